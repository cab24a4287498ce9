/* Cutting text into the pieces that byte-level BPE merges one by one: the pre_tokenizer of a tokenizer.json.
 *
 * A pattern cuts the text into its matches; what lies between matches is a piece too ("Isolated"). Two patterns are
 * known here and have a hand-written matcher (Llama-3's for ASCII text, our own for any), proven equal to PCRE2 by a
 * test on random text; everything else goes through PCRE2. */
#ifndef LOOM_TOKENIZER_PRETOK_H
#define LOOM_TOKENIZER_PRETOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

/* Published with Llama-3. */
#define LOOM_PATTERN_LLAMA3                                                                                            \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"           \
    "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

/* ByteLevel with use_regex, as GPT-2 had it. */
#define LOOM_PATTERN_GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

/* Our own, for the text encodings (toktrain.h says why):
 *   VALUE  a name or a call type      KEY  "num_edges:"
 *   pattern = VALUE | digit | KEY blank? | tag | ")" LF | one of / , ( ) > LF | phrase | "<"
 *   phrase  = characters up to the next VALUE, KEY, digit or delimiter, or up to and with " is "; may begin with "<".
 * The words are those of trace/text/grammar.h, which no file here may include; test_trace_words compares them.
 * No \b: regex libraries differ in what is part of a word beyond ASCII. */
#define LOOM_PATTERN_VALUE_ "(?<![0-9A-Za-z_])(?:M?S_[0-9]+|(?:USER|http|rpc|mc|db|mq)(?![0-9A-Za-z_]))"
#define LOOM_PATTERN_KEY_   "(?<![0-9A-Za-z_])[a-z_]+:"
#define LOOM_PATTERN_DOMAIN                                                                                            \
    LOOM_PATTERN_VALUE_                                                                                                \
    "|[0-9]|" LOOM_PATTERN_KEY_ " ?|</?[a-z]+>|\\)\\n|[/,()>\\n]|<?(?!" LOOM_PATTERN_VALUE_ "|" LOOM_PATTERN_KEY_      \
    ")[^0-9/,()<>\\n](?:(?!" LOOM_PATTERN_VALUE_ "|" LOOM_PATTERN_KEY_ ")(?<! is )[^0-9/,()<>\\n])*|<"

typedef struct loom_pretok loom_pretok;

/* pattern NULL: no cutting, the whole text is one piece. FORMAT error when PCRE2 does not take the pattern. */
loom_status loom_pretok_new(loom_pretok **out, const char *pattern, loom_err *err);
void loom_pretok_free(loom_pretok *p);
bool loom_pretok_is_domain(const loom_pretok *p); /* made of LOOM_PATTERN_DOMAIN */
bool loom_pretok_is_llama3(const loom_pretok *p); /* made of LOOM_PATTERN_LLAMA3 */

/* Working memory of one thread for one loom_pretok. NULL when memory is out. */
typedef struct loom_pretok_scratch loom_pretok_scratch;
loom_pretok_scratch *loom_pretok_scratch_new(const loom_pretok *p);
void loom_pretok_scratch_free(loom_pretok_scratch *s);

/* Calls fn for every piece text[start .. start+len), in order; the pieces tile the text. Cannot fail: where the matcher
 * gives up (its limits against patterns that never end), the rest of the text is one piece. */
typedef void loom_piece_fn(void *arg, const char *text, size_t start, size_t len);
void loom_pretok_run(const loom_pretok *p, loom_pretok_scratch *s, const char *text, size_t len, loom_piece_fn *fn,
                     void *arg);
/* The same through PCRE2 always: for the test that compares the two. */
void loom_pretok_run_pcre2(const loom_pretok *p, loom_pretok_scratch *s, const char *text, size_t len,
                           loom_piece_fn *fn, void *arg);

#endif
