/* What subcommands that read graph stores once have in common: dedupe, split, stats. */
#ifndef LOOM_PREPROCESS_STORES_STORE_COMMAND_H
#define LOOM_PREPROCESS_STORES_STORE_COMMAND_H

#include "preprocess/stores/store_stream.h"

typedef struct loom_store_command {
    const loom_ctx *ctx;
    loom_store_stream *stream; /* without its pool, which lives as long as the run */
    const char *outputs[2];    /* what --update looks at; the second may be NULL */
    const char *would;         /* for --dry-run: "N graph stores would be read, WOULD" */
} loom_store_command;

/* Runs the stream over the inputs of the command, which are recorded in *meta. *ran is false where there is nothing to
 * do: the outputs are up to date, or it is a dry run. */
loom_status loom_store_command_run(const loom_store_command *c, loom_meta *meta, bool *ran, loom_err *err);

#endif
