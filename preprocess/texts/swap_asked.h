/* The call that a sample asks for ("Include an edge from X to Y") with other microservices: X, Y or both become others of
 * the text, throughout the sample. In text as it is the names alone mostly tell which call comes next, so that models
 * learn to guess it and pass over the request; here the request alone tells.
 *
 *   loom_swap_asked s = {.names = &names, .seed = 1};
 *   if (loom_swap_asked_sample(&s, text, len, answer, number)) use(s.text.data, s.text.len);
 *   loom_swap_asked_release(&s);
 *
 * What a sample becomes follows from names, seed and number alone. */
#ifndef LOOM_PREPROCESS_TEXTS_SWAP_ASKED_H
#define LOOM_PREPROCESS_TEXTS_SWAP_ASKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/hash.h"

typedef struct loom_swap_asked {
    const loom_intern *names; /* the microservices to draw from; the caller's */
    uint64_t seed;
    loom_buf text; /* the last sample with another call */
} loom_swap_asked;

/* Fills s->text. False, and no text, when the prompt, text[0 .. answer), asks for no call between microservices, when
 * neither of the two stands anywhere else in the sample (a deep call, of which only the names could tell where it
 * leads), or when every name is in the sample already. No two names become one. */
bool loom_swap_asked_sample(loom_swap_asked *s, const char *text, size_t len, size_t answer, uint64_t number);
void loom_swap_asked_release(loom_swap_asked *s);

#endif
