/* How large what is read whole may be: one table, so that no small file can ask for all memory.
 *
 * Bytes are counted after unpacking. Graph stores, training text, answers and CSV tables are read piece by piece
 * and may have any size; of them a line or a sample is bounded. docs/FORMATS.md states the same numbers. */
#ifndef LOOM_CORE_BOUNDS_H
#define LOOM_CORE_BOUNDS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"

#define LOOM_BOUND_SETTINGS ((size_t)1 << 20)  /* *.conf, config.json, adapter_config.json */
#define LOOM_BOUND_JSON     ((size_t)64 << 20) /* one JSON document: tokenizer.json, provenance, manifests, indexes; */
                                               /* a text in a shard or checkpoint; a results table; a prompt */
#define LOOM_BOUND_STATS   ((size_t)256 << 20) /* stats.json */
#define LOOM_BOUND_HEADER  ((size_t)100000000) /* a safetensors header: the reference reader's bound */
#define LOOM_BOUND_LINE    ((size_t)64 << 20)  /* a line of a file that is read by lines */
#define LOOM_BOUND_SAMPLE  ((size_t)256 << 20) /* a training text */
#define LOOM_BOUND_NAMES   ((size_t)256 << 20) /* all of a list of names or a mapping */
#define LOOM_BOUND_PROMPTS ((size_t)1 << 30)   /* all prompts of a file; a learning curve */
#define LOOM_BOUND_TRACES                                                                                              \
    ((size_t)2 << 30) /* a file of traces that is read at once: Jaeger and OTLP JSON, tables to convert */

/* What is packed and read whole may grow to this many times its packed size; below LOOM_BOUND_UNPACKED always.
 * Traces and texts reach some 20 to 60 times, a bomb of zeros several thousand times. */
#define LOOM_BOUND_RATIO    200
#define LOOM_BOUND_UNPACKED ((size_t)64 << 20)

/* A JSON document longer than LOOM_BOUND_PLAIN may take this many times its text in memory; `[{},{},...]` takes 100. */
#define LOOM_BOUND_RICHNESS 40
#define LOOM_BOUND_PLAIN    ((size_t)1 << 20)

/* The one sentence: "NAME is larger than 64 MiB, the most that such a file may have; is it the right one?" */
loom_status loom_fail_bound(loom_err *err, const char *name, size_t bound);
/* Fails when `unpacked` bytes of `packed` ones are more than a file that is read whole may have. */
loom_status loom_check_unpacked(size_t unpacked, size_t packed, const char *name, loom_err *err);

#endif
