/* Constrained decoding, the half that knows tokens: a vocabulary in byte order, and which of it an automaton lets stand
 * at a place.
 *
 *   loom_token_trie *t = NULL;
 *   LOOM_TRY(loom_token_trie_new(&t, tok, V, NULL, err));
 *   loom_token_trie_allowed(bits, t, automaton, &state, stack);
 *   if (loom_has_bit(bits, id)) ...
 *   loom_token_trie_free(t);
 *
 * It never changes: threads may share it, each with its own automaton, stack and bits. */
#ifndef LOOM_GUIDE_TOKEN_TRIE_H
#define LOOM_GUIDE_TOKEN_TRIE_H

#include "core/num.h"
#include "tokenizer/tokenizer.h"
#include "trace/constrain/automaton.h"

#define LOOM_TOKEN_TRIE_DEPTH 256 /* longer tokens are never allowed */

typedef struct loom_token_trie loom_token_trie;

/* Of ids 0..V-1; special and empty tokens, and those in leave_out (V; may be NULL), are never allowed. Borrows tok. */
loom_status loom_token_trie_new(loom_token_trie **out, const loom_tokenizer *tok, int64_t V, const bool *leave_out,
                                loom_err *err);
void loom_token_trie_free(loom_token_trie *t); /* NULL is fine */

/* bits (loom_bit_words(V)): the tokens that `a` takes behind `at`, whole or until the answer is complete. stack
 * (LOOM_TOKEN_TRIE_DEPTH + 1): room for states. `at` is not moved, but what the automaton has behind it may be written
 * over (see automaton.h). */
void loom_token_trie_allowed(uint64_t *bits, const loom_token_trie *t, loom_automaton *a,
                             const loom_automaton_state *at, loom_automaton_state *stack);

#endif
