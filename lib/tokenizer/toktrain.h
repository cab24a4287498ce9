/* The domain tokenizer: learned on encoded text, written as a tokenizer.json of the byte-level family.
 *
 *   loom_toktrain *t = NULL;
 *   LOOM_TRY(loom_toktrain_new(&t, n_threads, err));
 *   loom_toktrain_count(t, thread, text, len);            // any thread, any order, whole lines
 *   st = loom_toktrain_finish(&json, &report, t, &conf, err);
 *   loom_toktrain_free(t);
 *
 * How the text is cut into pieces decides how fast a small model learns, so the pattern (tokenizer/pretok.h) knows the
 * text encodings: a name (MS_12345, S_000000012, USER), a call type, an edge's id up to 99 and any other digit is one
 * piece, because ids are looked up (one token to find) while other numbers are added up; a key ("num_edges:") or phrase
 * ("communication starts at ", " milliseconds", "edge_id is ") is one piece wherever it stands, because `/ , ( ) >` and
 * line ends stand alone (but for ")" and the line end after it). A line end always ends a piece.
 *
 * A piece that is in the vocabulary is one token (ignore_merges); any other is spelt by merges down to single bytes. So
 *   ids 0..2      <unk> <s> </s>
 *   then          the 256 bytes
 *   then          "MS", "MS_", "S_" and the merges learned on the pieces that got no token of their own
 *   then          whole pieces, the most frequent first; names among them at most `name_tokens`.
 * No merge joins digits: a name without a token of its own is "MS_" and its digits.
 * The result depends on the counts only, never on threads or order. */
#ifndef LOOM_TOKENIZER_TOKTRAIN_H
#define LOOM_TOKENIZER_TOKTRAIN_H

#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

typedef struct loom_toktrain loom_toktrain;

typedef struct loom_toktrain_conf {
    int64_t vocab_size;  /* tokens in all, at least 300; fewer come out when the text has fewer pieces worth one */
    int64_t name_tokens; /* names that may become tokens; -1: as many as the vocabulary has room for */
    int64_t merges;      /* at most this many learned merges */
    int64_t min_count;   /* a piece or merge seen less often gets no token */
} loom_toktrain_conf;

typedef struct loom_toktrain_report {
    int64_t bytes;                   /* text seen */
    int64_t pieces, distinct_pieces; /* of the text */
    int64_t names, distinct_names;   /* pieces that are names */
    int64_t vocab_size;              /* tokens made, of which: */
    int64_t merges, phrase_tokens, name_tokens;
    int64_t tokens;       /* the text in tokens */
    int64_t names_single; /* names (occurrences) that are one token */
} loom_toktrain_report;

/* Counters for n_threads threads. */
loom_status loom_toktrain_new(loom_toktrain **out, int n_threads, loom_err *err);
void loom_toktrain_free(loom_toktrain *t);
/* Counts the pieces of text[0..len), which should end at a line end. Each thread 0..n_threads-1 may call meanwhile. */
void loom_toktrain_count(loom_toktrain *t, int thread, const char *text, size_t len);
/* Appends tokenizer.json to `json`; fills *report (may be NULL). The counters are used up. */
loom_status loom_toktrain_finish(loom_buf *json, loom_toktrain_report *report, loom_toktrain *t,
                                 const loom_toktrain_conf *conf, loom_err *err);

#endif
