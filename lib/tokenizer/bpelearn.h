/* Learning merges: byte-pair encoding of a list of weighted words.
 *
 * Symbols 0..255 are the bytes; each merge joins the most frequent neighbouring pair (ties: the smaller symbol numbers)
 * and names the result with the next number, unless the same string has a number already. The result depends on the
 * words, their order and counts only. */
#ifndef LOOM_TOKENIZER_BPELEARN_H
#define LOOM_TOKENIZER_BPELEARN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/hash.h"

typedef struct loom_word {
    const char *text; /* borrowed */
    size_t len;
    int64_t count;
} loom_word;

typedef struct loom_learned_merge {
    int32_t left, right, joined; /* symbol numbers */
} loom_learned_merge;

typedef struct loom_bpelearn {
    loom_intern symbols; /* string of each symbol; 0..255 are the bytes */
    loom_learned_merge *merges;
    int64_t n_merges;
    size_t cap_merges;
} loom_bpelearn;

/* At most max_merges merges, none of a pair that occurs less than min_count times, none that gives one of the
 * NULL-terminated `forbidden` strings. Merges already in *b are kept and applied first; zero-initialised is a fresh
 * start. */
loom_status loom_bpelearn_run(loom_bpelearn *b, const loom_word *words, size_t n_words, int64_t max_merges,
                              int64_t min_count, const char *const *forbidden, loom_err *err);
/* Appends the merge of two strings that are symbols already (made of single bytes or earlier merges). */
loom_status loom_bpelearn_add(loom_bpelearn *b, const char *left, const char *right, loom_err *err);
void loom_bpelearn_release(loom_bpelearn *b);

#endif
