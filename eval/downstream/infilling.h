/* Questions with something missing (loom-preprocess encode --task attribute, edge), and how often answers are right.
 *
 *   loom_infilling q = {0};
 *   LOOM_TRY(loom_infilling_read(&q, "attribute.txt.zst", err));      files one after the other: their samples count on
 *   LOOM_TRY(loom_infilling_judge(&score, &q, "instruction.answers.jsonl", err));
 *   loom_infilling_release(&q);
 *
 * An attribute is right when it reads as the one that was taken out. An edge is right when type and destination are
 * those that were taken out, it does not end before it starts, and it covers the calls of the layer below. */
#ifndef LOOM_EVAL_INFILLING_H
#define LOOM_EVAL_INFILLING_H

#include "core/arena.h"
#include "trace/graph/stats.h"
#include "trace/text/grammar.h"

typedef enum loom_missing { LOOM_MISSING_TYPE, LOOM_MISSING_DESTINATION, LOOM_MISSING_EDGE, LOOM_MISSING } loom_missing;
extern const char *const loom_missing_names[LOOM_MISSING]; /* "type", "destination", "edge" */

typedef struct loom_infilling_question {
    const char *text, *truth; /* the question as a model sees it, without frame; what was taken out */
    loom_missing missing;
    const char *service, *source; /* the layer's; "" where it names none */
    loom_edge_text edge;          /* attribute: the edge asked for, "[MISSING]" in it; edge: the true one */
    int64_t from, to;             /* edge: first start and last finish of the layer below */
} loom_infilling_question;

typedef struct loom_infilling {
    loom_infilling_question *list;
    int64_t n, counts[LOOM_MISSING];
    size_t cap;
    loom_arena arena;
} loom_infilling; /* zero-initialised is ready */

/* Adds the questions of a file. FORMAT, with file and line, when a sample asks for something else. */
loom_status loom_infilling_read(loom_infilling *q, const char *path, loom_err *err);
void loom_infilling_release(loom_infilling *q);

/* Right answers by what was missing. */
typedef struct loom_infilling_score {
    int64_t right[LOOM_MISSING];
    int64_t exact;    /* edges that are the very text that was taken out, in any order of items */
    int64_t answered; /* questions with an answer; others are failures */
} loom_infilling_score;

/* Is the text the right answer? *exact, may be NULL: is it the very edge? */
bool loom_infilling_right(const loom_infilling_question *q, const char *text, bool *exact, loom_arena *scratch);
/* Answers in any of the wrappings of eval/answers/outside_answers.h, ours among them; id: number of the question.
 * FORMAT when an answer tells its question ("prompt") and that is another one: answers of another task. */
loom_status loom_infilling_judge(loom_infilling_score *score, const loom_infilling *q, const char *path, loom_err *err);
/* Without any model: what training graphs have most often in that place for the service and source. */
void loom_infilling_frequency(loom_infilling_score *score, const loom_infilling *q, const loom_stats *stats);

#endif
