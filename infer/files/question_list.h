/* The questions of instruction text files, one after the other, as prompts.
 *
 *   loom_question_list q = {0};
 *   LOOM_TRY(loom_question_list_read(&q, "attribute.txt.zst,edge.txt.zst", err));
 *   q.list[i].prompt ends with the line " ### Answer: "; q.list[i].question is it without the frame */
#ifndef LOOM_INFER_QUESTION_LIST_H
#define LOOM_INFER_QUESTION_LIST_H

#include "core/arena.h"
#include "core/meta.h"

typedef struct loom_question {
    const char *prompt, *question;
} loom_question;

typedef struct loom_question_list {
    loom_question *list;
    int64_t n;
    size_t cap;
    loom_arena arena;
} loom_question_list; /* zero-initialised is ready */

/* `paths`: comma-separated; each is recorded in meta. FORMAT, with file and line, when a sample is no question and
 * answer. */
loom_status loom_question_list_read(loom_question_list *q, loom_meta *meta, const char *paths, loom_err *err);
void loom_question_list_release(loom_question_list *q);

#endif
