/* What the training graphs look like, kept as 128-bit digests, and which generated graphs are among them.
 *
 *   loom_training_digests *m = NULL;
 *   LOOM_TRY(loom_training_digests_load(&m, "train.graphs.zst", err));
 *   loom_copy_report rep = {0};
 *   LOOM_TRY(loom_copy_check(&rep, &(loom_known_sets){.train = m}, "x.answers.jsonl", 20, err));
 *   ... rep.all.of[LOOM_KNOWN_TRAIN].exact of rep.all.n ...
 *   loom_copy_report_release(&rep);
 *   loom_training_digests_free(m);
 *
 * Exact: the canonical text without time of day, i.e. service and id, type, source, destination, start, response
 * time of every call. Structure: the same without the times; a near-duplicate has the structure, but other times.
 * About 60 bytes a training graph.
 *
 * A graph may be in the training data because the model remembers it or because every system makes that graph all the
 * time. Held-out graphs tell the two apart: against as many training graphs (drawn at random) as there are held-out
 * ones, a model that leaks finds more copies than against the held-out ones, a model that knows what is common finds as
 * many. */
#ifndef LOOM_EVAL_TRAINING_DIGESTS_H
#define LOOM_EVAL_TRAINING_DIGESTS_H

#include <stdint.h>

#include "core/err.h"
#include "trace/graph/callgraph.h"

#define LOOM_COPY_BUCKETS 6                                         /* by number of calls */
extern const char *const loom_copy_bucket_names[LOOM_COPY_BUCKETS]; /* "1", "2-3", "4-7", "8-15", "16-30", "31+" */
int loom_copy_bucket(int64_t n_calls);

typedef struct loom_training_digests loom_training_digests;

loom_training_digests *loom_training_digests_new(void); /* NULL: no memory */
loom_status loom_training_digests_add(loom_training_digests *m, const loom_graph *g, loom_err *err);
/* `most` > 0: that many of the file's `n` graphs, drawn at random from `seed`. Any graphs, see
 * eval/answers/graphs.h. */
loom_status loom_training_digests_load(loom_training_digests **out, const char *path, loom_err *err);
loom_status loom_training_digests_load_some(loom_training_digests **out, const char *path, int64_t most, int64_t n,
                                            uint64_t seed, loom_err *err);
void loom_training_digests_free(loom_training_digests *m);
int64_t loom_training_digests_graphs(const loom_training_digests *m);
int64_t loom_training_digests_shapes(const loom_training_digests *m); /* distinct structures */

/* What graphs are looked for in. */
typedef enum loom_known {
    LOOM_KNOWN_TRAIN,   /* all training graphs */
    LOOM_KNOWN_SAMPLE,  /* as many of them as there are held-out ones */
    LOOM_KNOWN_HELDOUT, /* graphs that were not trained on */
    LOOM_KNOWN
} loom_known;
typedef struct loom_known_sets {
    const loom_training_digests *train, *sample, *heldout; /* sample, heldout: NULL when there are no held-out graphs */
} loom_known_sets;

typedef struct loom_copies {
    int64_t exact;
    int64_t structure; /* same structure, exact ones included: the others are near-duplicates */
} loom_copies;

typedef struct loom_copy_counts {
    int64_t n;
    loom_copies of[LOOM_KNOWN];
    int64_t unique_structure; /* structures of exactly one training graph */
} loom_copy_counts;

typedef struct loom_copy_report {
    loom_copy_counts all, bucket[LOOM_COPY_BUCKETS];
    double temperature; /* of the answers; NaN: not answers */
    bool constrained;   /* answers decoded under constraints */
    bool has_heldout;
    int64_t n_requested, n_rejected; /* graphs of the file; not valid (answers: not correct) */
    int64_t n_distinct;
    int64_t new_services, new_nodes; /* distinct names that training does not have */
    int64_t n_calls, new_calls;      /* calls; those whose (source, destination) training does not have */
    char **examples;                 /* records of the largest exact copies, distinct */
    int64_t *example_calls;
    int64_t n_examples;
} loom_copy_report; /* zero-initialised is ready */

/* All answers of a file must be of one temperature. */
loom_status loom_copy_check(loom_copy_report *out, const loom_known_sets *known, const char *path, int64_t n_examples,
                            loom_err *err);
/* Graphs with 4 or more calls, where copies by chance are rare. */
loom_copy_counts loom_copy_large(const loom_copy_report *r);
void loom_copy_report_release(loom_copy_report *r);

#endif
