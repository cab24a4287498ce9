/* Accuracy per cell of the grid, gathered from answers files; the numbers behind Figs 3, 12, 13 and 14.
 *
 *   loom_tally t;
 *   LOOM_TRY(loom_tally_init(&t, &grid, err));
 *   LOOM_TRY(loom_tally_prompts(&t, "x.prompts.jsonl", err));           optional: coverage, and answers must fit
 *   LOOM_TRY(loom_tally_answers(&t, "x.answers.jsonl", NULL, pool, err));
 *   LOOM_TRY(loom_tally_finish(&t, false, err));    prompts without an answer become failures; sorts
 *   for (int64_t i = 0; i < t.n_series; i++) use(&t.series[i]);
 *   loom_tally_release(&t);
 */
#ifndef LOOM_EVAL_TALLY_H
#define LOOM_EVAL_TALLY_H

#include "core/hash.h"
#include "core/pool.h"
#include "eval/accuracy/grid.h"
#include "eval/answers/answers.h"

typedef struct loom_tally_cell {
    int64_t n, finished, valid, correct, accurate; /* answers; accurate: the paper's rules, correct: the code's */
    int64_t sum_edges, sum_depth;                  /* of valid graphs */
} loom_tally_cell;

/* One method at one temperature. */
typedef struct loom_series {
    char *method;
    loom_mode mode;
    double temperature;
    bool constrained;       /* decoded under constraints */
    int64_t seed;           /* of the first answer */
    loom_tally_cell *cells; /* by loom_grid_cell */
    loom_tally_cell all;
    int64_t rules[LOOM_RULES];       /* graphs that break it */
    int64_t code_graphs[LOOM_CODES]; /* graphs with that code */
    int64_t codes[LOOM_CODES];       /* how often it was given */
    int64_t odd[LOOM_ODDITIES];      /* correct graphs of which no record can be made, by reason */
    int64_t refused;                 /* nothing was generated */
    int64_t missing;                 /* prompts (times samples) without an answer: failures, counted in n */
    int32_t *answers;                /* by prompt id, for the prompts of the mode; NULL without prompts */
    size_t n_answers, cap_answers;
    int64_t samples; /* of each prompt: the largest `sample` + 1 */
    char *
        /* how the model was trained (eval/answers/trained.h); NULL: not known, or not the same for all files */
        trained;
    int64_t files; /* that its answers come from */
    bool touched;  /* by the file that is being read */
} loom_series;

/* What a prompts file and its sidecar say. */
typedef struct loom_tally_prompt {
    loom_hash128 hash;    /* of the prompt text */
    int64_t edges, depth; /* -1: no prompt has this id */
} loom_tally_prompt;

typedef struct loom_coverage {
    int64_t prompts, distinct, valid, train; /* -1: not told */
} loom_coverage;

typedef struct loom_tally {
    loom_grid grid;
    loom_series *series;
    size_t n_series, cap;
    loom_tally_prompt *prompts[LOOM_MODES]; /* by id; NULL: not given */
    size_t n_prompts[LOOM_MODES], cap_prompts[LOOM_MODES];
    char *prompts_path[LOOM_MODES];
    loom_coverage *coverage; /* by cell; of the first prompts file with a sidecar */
    bool has_coverage, has_train;
    int64_t outside; /* answers for cells outside the grid */
} loom_tally;

loom_status loom_tally_init(loom_tally *t, const loom_grid *grid, loom_err *err);
/* Widens *g to the cells that the sidecar of a prompts file names; the first ones (*any false) replace it. */
void loom_tally_extent(loom_grid *g, bool *any, const char *prompts_path);
/* Reads prompts and FILE.meta.json (which may be missing). */
loom_status loom_tally_prompts(loom_tally *t, const char *path, loom_err *err);
/* Scores every answer of a file, of our sampler or of programs of others (eval/answers/outside_answers.h; those
 * need the tabular prompts); `method` names the series, NULL: the mode. An empty file is a FORMAT error. */
loom_status loom_tally_answers(loom_tally *t, const char *path, const char *method, loom_pool *pool, loom_err *err);
/* Scores graphs of any origin (eval/answers/graphs.h) as answers to the prompts of one mode, the k-th graph to the
 * k-th prompt. A line that holds no valid graph is a failure; as many as there are prompts must be there. Only the
 * whole graph can be judged: rule 3 (no call starts before its caller or ends before it starts) stands for the
 * layers' rules. */
loom_status loom_tally_graphs(loom_tally *t, const char *path, const char *method, loom_err *err);
/* Counts prompts without an answer as failures, for each method and temperature by itself, then puts the methods in
 * order: tabular, recursive, instruction, others; within a method by temperature. Prompts of a mode that no answer
 * has are an error; `strict`: so are answers of a mode that has no prompts. */
loom_status loom_tally_finish(loom_tally *t, bool strict, loom_err *err);

/* Sums over cells with lo <= edges <= hi and the like; -1: no bound. */
loom_tally_cell loom_tally_sum(const loom_tally *t, const loom_series *s, int64_t edges_lo, int64_t edges_hi,
                               int64_t depth_lo, int64_t depth_hi);
static inline int64_t loom_tally_k(const loom_tally_cell *c, loom_validity v)
{
    return v == LOOM_VALIDITY_PAPER ? c->accurate : c->correct;
}

void loom_tally_release(loom_tally *t);

#endif
