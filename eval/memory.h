/* What the training graphs look like, kept as 128-bit digests, and which generated graphs are among them.
 *
 *   loom_memory *m = NULL;
 *   LOOM_TRY(loom_memory_load(&m, "train.graphs.zst", err));
 *   loom_memory_report rep = {0};
 *   LOOM_TRY(loom_memory_check(&rep, m, "x.answers.jsonl", 20, err));
 *   ... rep.all.exact of rep.all.n ...
 *   loom_memory_report_release(&rep);
 *   loom_memory_free(m);
 *
 * Exact: the canonical text without time of day, i.e. service and id, type, source, destination, start, response time of
 * every call. Structure: the same without the times. About 60 bytes a training graph. */
#ifndef LOOM_EVAL_MEMORY_H
#define LOOM_EVAL_MEMORY_H

#include <stdint.h>

#include "core/err.h"
#include "trace/callgraph.h"

#define LOOM_MEMORY_BUCKETS 6 /* by number of calls */
extern const char *const loom_memory_bucket_names[LOOM_MEMORY_BUCKETS]; /* "1", "2-3", "4-7", "8-15", "16-30", "31+" */
int loom_memory_bucket(int64_t n_calls);

typedef struct loom_memory loom_memory;

loom_memory *loom_memory_new(void);
void loom_memory_add(loom_memory *m, const loom_graph *g);
loom_status loom_memory_load(loom_memory **out, const char *path, loom_err *err); /* any graphs, see eval/graphs.h */
void loom_memory_free(loom_memory *m);
int64_t loom_memory_graphs(const loom_memory *m);
int64_t loom_memory_shapes(const loom_memory *m); /* distinct structures */

typedef struct loom_memory_counts {
    int64_t n, exact;
    int64_t structure;        /* same structure, exact ones included */
    int64_t unique_structure; /* of those: exactly one training graph has it */
} loom_memory_counts;

typedef struct loom_memory_report {
    loom_memory_counts all, bucket[LOOM_MEMORY_BUCKETS];
    int64_t n_requested, n_rejected; /* graphs of the file; not valid (answers: not correct) */
    int64_t n_distinct;
    int64_t new_services, new_nodes; /* distinct names that training does not have */
    int64_t n_calls, new_calls;      /* calls; those whose (source, destination) training does not have */
    char **examples;                 /* records of the largest exact copies, distinct */
    int64_t *example_calls;
    int64_t n_examples;
} loom_memory_report; /* zero-initialised is ready */

loom_status loom_memory_check(loom_memory_report *out, const loom_memory *m, const char *path, int64_t n_examples,
                              loom_err *err);
/* Graphs with 4 or more calls, where copies by chance are rare. */
loom_memory_counts loom_memory_large(const loom_memory_report *r);
void loom_memory_report_release(loom_memory_report *r);

#endif
