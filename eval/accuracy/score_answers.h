/* From answers files to a tally: finds the prompts they belong to, records all inputs, judges every answer. What the
 * commands for Figs 3, 12, 13 and 14 have in common.
 *
 *   loom_score_answers_run run = {0};
 *   LOOM_TRY(loom_score_answers_inputs(&run, &r, &conf->scoring, ctx->args, ctx->n_args, err));
 *   if (loom_results_up_to_date(&r)) goto done;
 *   LOOM_TRY(loom_score_answers_all(&run, &r, err));
 *   ... run.tally ...
 *   loom_score_answers_release(&run);
 */
#ifndef LOOM_EVAL_SCORE_ANSWERS_H
#define LOOM_EVAL_SCORE_ANSWERS_H

#include "eval/accuracy/tally.h"
#include "eval/pages/results.h"

typedef struct loom_score_answers_conf {
    const char *prompts, *edges, *depths;
    const char *generated; /* [NAME=]GRAPHS of any origin; NULL: none */
} loom_score_answers_conf;

/* Rows of an option table; `member` is the loom_score_answers_conf within the command's options S. */
#define LOOM_SCORE_ANSWERS_OPTS(S, member)                                                                             \
    LOOM_OPT_IN(                                                                                                       \
        "prompts", 'p', S, member.prompts, NULL, "FILE[,FILE]",                                                        \
        "prompts the answers belong to: every answer must fit its prompt, missing ones are failures (default: "        \
        "those named in the answers' .meta.json)"),                                                                    \
        LOOM_OPT_STR("edges", 0, S, member.edges, "auto", "FIRST:LAST",                                                \
                     "numbers of edges to show (auto: those the prompts ask for, else 1:30)"),                         \
        LOOM_OPT_STR("depths", 0, S, member.depths, "auto", "FIRST:LAST",                                              \
                     "depths to show (auto: those the prompts ask for, else 1:6)")

typedef struct loom_paths {
    char **paths;
    size_t n, cap;
} loom_paths;

typedef struct loom_score_answers_run {
    const loom_score_answers_conf *conf;
    char *const *args; /* [NAME=]ANSWERS.jsonl */
    int n_args;
    loom_paths prompts;
    loom_tally tally;
} loom_score_answers_run; /* zero-initialised is ready */

/* Borrows conf and args. */
loom_status loom_score_answers_inputs(loom_score_answers_run *run, loom_results *r, const loom_score_answers_conf *conf,
                                      char *const *args, int n, loom_err *err);
/* Fills run->tally, sorted; warns of gaps. */
loom_status loom_score_answers_all(loom_score_answers_run *run, const loom_results *r, loom_err *err);
void loom_score_answers_release(loom_score_answers_run *run);

/* What a command makes of the scores; `arg` is its own. */
typedef loom_status loom_score_answers_fn(loom_results *r, const loom_tally *tally, const void *arg, loom_err *err);
/* A whole command: scores the answers that ctx names and hands them to `write`, unless `output` is up to date. */
loom_status loom_score_answers_to(const loom_ctx *ctx, const char *output, bool pictures,
                                  const loom_score_answers_conf *conf, loom_score_answers_fn *write, const void *arg,
                                  loom_err *err);

/* "NAME=FILE" gives NAME and returns FILE; a bare FILE gives "". */
const char *loom_score_answers_name(char *name, size_t cap, const char *arg);

#endif
