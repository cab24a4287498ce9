/* Answers of language models of others to few-shot requests (eval/answers/few_shot.h), judged like those of ours.
 *
 * One JSON value a line, in the wrappings that such programs write: lines of batch interfaces ({"custom_id",
 * "response" or "result"}), chat and text completions ("choices", "candidates", "outputs"), plain objects with a text
 * under "text", "content", "answer", "completion", "response", "generated_text", "output" or "output_text", or the
 * bare text as a JSON string. Whose prompt it answers stands in "custom_id" or in "id", as a number (other words in
 * "id" are passed over); without one, the k-th line answers the k-th prompt. Of the text counts what lies between the
 * last <edges> and </edges>; what was thought aloud before (<think>) and lines of code fences do not. A line that
 * tells of an error is a failure. */
#ifndef LOOM_EVAL_OUTSIDE_ANSWERS_H
#define LOOM_EVAL_OUTSIDE_ANSWERS_H

#include "core/json.h"
#include "eval/answers/answers.h"

typedef struct loom_outside_answers loom_outside_answers;

/* What a line holds, whatever was asked: the number of the question (-1: none that can be read), and the text of the
 * answer without what was thought aloud before; *none: an error instead of one. FORMAT when there is no text in it. */
loom_status loom_outside_answers_text(loom_buf *text, int64_t *id, bool *none, const loom_json *root, const char *path,
                                      int64_t number, loom_err *err);

/* Is a line of that kind? No: an answer of ours, or whatever else. */
bool loom_outside_answers_like(const char *line, size_t len);
/* Reads the tabular prompts that were asked. */
loom_status loom_outside_answers_new(loom_outside_answers **out, const char *prompts_path, loom_err *err);
/* Like loom_answer_parse; one layer, or none where the line tells of an error. */
loom_status loom_outside_answers_parse(const loom_outside_answers *o, loom_answer *out, const char *line, size_t len,
                                       const char *path, int64_t number, loom_arena *arena, loom_err *err);
void loom_outside_answers_free(loom_outside_answers **o);

#endif
