/* The domain tokenizer: a fixed part that knows the text encodings and a part learned from the names of one system,
 * written as a tokenizer.json of the byte-level family.
 *
 *   loom_toktrain *t = NULL;
 *   loom_phrases_render(&phrases);                              // trace/phrases.h
 *   LOOM_TRY(loom_toktrain_new(&t, phrases.data, phrases.len, n_threads, err));
 *   loom_toktrain_count(t, thread, mode, text, len);            // any thread, any order, a sample at a time
 *   st = loom_toktrain_finish(&json, &report, t, &conf, err);
 *   loom_toktrain_free(t);
 *
 * How the text is cut into pieces decides how fast a small model learns, so the pattern (tokenizer/pretok.h) knows the
 * text encodings: a name (MS_12345, S_000000012, USER), a call type and a digit is one piece, because names are looked
 * up (one token to find) while numbers are added up; a key ("num_edges:") or phrase ("communication starts at ",
 * " milliseconds", "edge_id is ") is one piece wherever it stands, because `/ , ( ) >` and line ends stand alone (but
 * for ")" and the line end after it). A line end always ends a piece.
 *
 * A piece that is in the vocabulary is one token (ignore_merges); any other is spelt by bytes, MS, MS_ and S_:
 *   ids 0..2      <unk> <s> </s>
 *   then          the 256 bytes, digits among them
 *   then          "MS", "MS_", "S_" and the pieces of the phrases, in their order: the format part ends here. It hangs
 *                 on nothing but the phrases, so that models of different systems agree in it
 *   then          names, the most frequent first.
 * No token stands inside a name of the text that is none (MS_12 not, where MS_123 is spelt): then cutting the longest
 * tokens out of a text first, as some programs do with added tokens, gives the same tokens.
 * The result depends on the counts only, never on threads or order. */
#ifndef LOOM_TOKENIZER_TOKTRAIN_H
#define LOOM_TOKENIZER_TOKTRAIN_H

#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

typedef struct loom_toktrain loom_toktrain;

/* Samples of one kind are different graphs; those of different kinds may show the same ones in other words. */
enum { LOOM_TOKTRAIN_KINDS = 4 };

typedef struct loom_toktrain_conf {
    int64_t name_tokens; /* at most so many names become tokens */
    int64_t min_count;   /* samples of one kind that a name must stand in; however often it stands there */
} loom_toktrain_conf;

typedef struct loom_toktrain_report {
    int64_t bytes;                                /* text seen */
    int64_t names, distinct_names;                /* pieces that are names */
    int64_t names_single;                         /* names (occurrences) that are one token */
    int64_t names_rare, names_over, names_inside; /* names without a token: seen too rarely, above the limit, standing
                                                     inside one that has none */
    int64_t vocab_size;                           /* tokens made, of which: */
    int64_t format_tokens, name_tokens;
    int64_t tokens;         /* the text in tokens */
    int64_t foreign_tokens; /* of which spell what is neither phrase, name nor number */
    char format_digest[33]; /* loom_tokenizer_format_digest */
} loom_toktrain_report;

/* Counters for n_threads threads. phrases[0..len): a text that has every phrase of the format. */
loom_status loom_toktrain_new(loom_toktrain **out, const char *phrases, size_t len, int n_threads, loom_err *err);
void loom_toktrain_free(loom_toktrain *t);
/* Counts the names of one sample of a kind, 0 .. LOOM_TOKTRAIN_KINDS-1. Each thread 0..n_threads-1 may call meanwhile.
 */
void loom_toktrain_count(loom_toktrain *t, int thread, int kind, const char *text, size_t len);
/* Appends tokenizer.json to `json`; fills *report (may be NULL). The counters are used up. */
loom_status loom_toktrain_finish(loom_buf *json, loom_toktrain_report *report, loom_toktrain *t,
                                 const loom_toktrain_conf *conf, loom_err *err);

#endif
