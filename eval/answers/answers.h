/* Raw answers of a sampler (*.answers.jsonl), judged anew: the texts are parsed and checked again, and no verdict
 * of the file is believed.
 *
 *   loom_lines *lines = NULL; char *line; size_t len;
 *   LOOM_TRY(loom_lines_open(&lines, path, err));
 *   while ((st = loom_lines_next(lines, &line, &len, err)) == LOOM_OK && line) {
 *       loom_answer answer; loom_score score;
 *       loom_arena_reset(&arena);
 *       LOOM_TRY(loom_answer_parse(&answer, line, len, path, loom_lines_number(lines), &arena, err));
 *       LOOM_TRY(loom_answer_score(&score, &answer, err));
 *       ...
 *       loom_score_release(&score);
 *   }
 *
 * Lines are read by one thread; parsing and scoring may run on many. */
#ifndef LOOM_EVAL_ANSWERS_H
#define LOOM_EVAL_ANSWERS_H

#include "core/arena.h"
#include "core/file.h"
#include "eval/answers/answer.h"

/* `path` names the file in messages. FORMAT error with file, line and cure when the line is not an answer. */
loom_status loom_answer_parse(loom_answer *out, const char *line, size_t len, const char *path, int64_t number,
                              loom_arena *arena, loom_err *err);
/* The same, slowly: what holds for lines that no sampler of ours wrote, and the twin that the fast reader
 * (eval/answers/answer_scan.h) is tested against. */
loom_status loom_answer_parse_general(loom_answer *out, const char *line, size_t len, const char *path, int64_t number,
                                      loom_arena *arena, loom_err *err);

typedef struct loom_score {
    loom_request *request;       /* owns what outcome borrows; NULL when nothing was generated */
    const loom_outcome *outcome; /* NULL with request NULL */
    bool finished, valid;
    bool correct;              /* LOOM_VALIDITY_CODE */
    bool accurate;             /* LOOM_VALIDITY_PAPER */
    uint32_t rules;            /* LOOM_RULE_BIT of everything broken */
    uint32_t odd;              /* LOOM_ODD_BIT of what no record shows */
    int32_t codes[LOOM_CODES]; /* how often each was given, all layers */
    int32_t n_edges, depth;    /* of a valid graph */
} loom_score;

/* Replays the layers; besides the codes and rules, every child's prompt must ask for what its parent's answer says, and
 * the cell (edges, depth) of the answer counts as requested even where the prompt does not state it. */
loom_status loom_answer_score(loom_score *out, const loom_answer *answer, loom_err *err);
void loom_score_release(loom_score *s);

/* Appends the line of a request as answers files hold it; `head` gives everything but the layers. */
void loom_answer_render(loom_buf *into, const loom_answer *head, const loom_request *request);

/* How a method is called when the user gives no name: the mode, " constrained" after it where that holds. */
const char *loom_answer_method(const loom_answer *answer);

#endif
