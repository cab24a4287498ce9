/* How similar generated graphs are to real ones: popular calls (Fig 4a), heavy hitters (Fig 4b), branching and response
 * times (Fig 16). Each function writes its tables and picture; a noise floor between halves of the real graphs stands
 * beside every number, because on little data even real differs from real. */
#ifndef LOOM_EVAL_SIMILARITY_H
#define LOOM_EVAL_SIMILARITY_H

#include "eval/likeness/graph_counts.h"
#include "eval/pages/results.h"

typedef struct loom_rival {
    char *name; /* "instruction", "probabilistic", ... */
    loom_graph_counts counts;
} loom_rival;

typedef struct loom_similarity {
    loom_vocabulary words;
    loom_graph_counts real;
    loom_rival *rivals;
    int64_t n_rivals;
    uint64_t seed;
    int64_t resamples;      /* of the bootstrap; 0: no intervals */
    int64_t top;            /* popular calls that are compared: 100 */
    int64_t runs, sequence; /* heavy hitters: 20 runs of 1,000 graphs */
    int64_t branching;      /* graphs of each rival whose branching and times are compared; 0: all */
} loom_similarity;

loom_status loom_similarity_calls(const loom_similarity *s, loom_results *r, loom_err *err);
loom_status loom_similarity_heavy(const loom_similarity *s, loom_results *r, loom_err *err);
loom_status loom_similarity_branching(const loom_similarity *s, loom_results *r, loom_err *err);

/* ---- the numbers themselves, for tests ---- */

/* W1 between fields of two corpora over the graphs `index` (NULL: all), with its scale taken from `real`. */
typedef struct loom_emd {
    double w1, range, std, p99; /* w1 itself, and divided by max - min, standard deviation, p99 - p1 of real */
} loom_emd;
loom_emd loom_similarity_emd(const loom_graph_counts *real, const loom_graph_counts *made, loom_field field);

/* Names of the methods and of what is drawn, as lists for a script: real first when `with_real`. */
void loom_similarity_series(const loom_similarity *s, loom_figure_vars *vars, bool with_real);

#endif
