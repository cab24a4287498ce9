/* Questions that are answered by Yes or No (loom-preprocess encode --task high-latency, uncommon), as tokens.
 *
 *   loom_yes_no q = {0};
 *   LOOM_TRY(loom_yes_no_read(&q, "real.txt.zst", tokenizer, context, err));
 *   tokens of question i: q.tokens + q.first[i] .. q.first[i + 1];  q.yes[i]
 *   loom_yes_no_release(&q);
 *
 * A question has the tokens it has in training, up to the line end behind " ### Answer:". */
#ifndef LOOM_TRAIN_YES_NO_H
#define LOOM_TRAIN_YES_NO_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "tokenizer/tokenizer.h"

typedef struct loom_yes_no {
    int32_t *tokens;
    int64_t *first; /* (n+1) */
    bool *yes;      /* (n) */
    int64_t n, n_yes;
    int64_t too_long; /* questions of more tokens than the context, left out */
    bool uncommon;    /* asks for an uncommon call; else for high latency */
    size_t cap_tokens, cap_first, cap_yes;
} loom_yes_no; /* zero-initialised is ready */

/* FORMAT when a sample is no such question, when the file asks two of them, or holds none that fits. */
loom_status loom_yes_no_read(loom_yes_no *q, const char *path, const loom_tokenizer *tok, int64_t context,
                             loom_err *err);
void loom_yes_no_release(loom_yes_no *q);

#endif
