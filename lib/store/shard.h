/* Token shards (*.tokens.h5): tokenised samples, the input of training.
 *
 * Layout (HDF5, readable from h5py):
 *   /tokens        (n_tokens)     uint16 when vocab_size <= 65536, else int32; chunked, shuffle + deflate 1,
 *                                 fletcher32
 *   /offsets       (n_samples+1)  int64: sample i is tokens[offsets[i] .. offsets[i+1])
 *   /answer_start  (n_samples)    int32: index within the sample of the first token whose prediction counts when only
 *                                 answers are trained; 0 = all count; = length: none (such a sample cannot be trained)
 *   /tokenizer     scalar string: the whole tokenizer.json          /meta  scalar string: how the file was made (JSON)
 *   /names         scalar string: names in the text (trace/names.h); older files have none
 *   root attributes: format "spanloom-tokens", version, vocab_size, bos_id, eos_id (-1: none), has_bos, has_eos, mode,
 *                  digest (of the content without /meta: two shards agree iff these do)
 *   every data set: attribute checksum, XXH3-64 of its values (of /tokens: in the stored type); absent in older files
 *
 * Samples are stored as they are fed to the model: whoever writes them decides whether a BOS stands in front and an EOS
 * behind, and says so in has_bos and has_eos.
 *
 * Writing:
 *   loom_shard_spec spec = {.vocab_size = 4096, .bos_id = 1, .eos_id = 2, .has_eos = true, .mode = "tabular",
 *                           .tokenizer = text, .tokenizer_len = len};
 *   LOOM_TRY(loom_shard_create(&w, "train.tokens.h5", force, &spec, err));
 *   for (...) st = loom_shard_add(w, ids, n, answer_start, err);
 *   st = loom_shard_commit_told(&w, &meta, ctx, err);        or loom_shard_abandon(&w)
 *
 * Reading:
 *   LOOM_TRY(loom_shard_open(&s, path, err));
 *   const loom_shard_info *info = loom_shard_get_info(s);
 *   loom_shard_range(s, i, &first, &n, &answer_start);
 *   st = loom_shard_read(s, first, n, ids, err);
 *   loom_shard_close(&s);
 *
 * HDF5 is not used from several threads: nor may these functions be. */
#ifndef LOOM_STORE_SHARD_H
#define LOOM_STORE_SHARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/meta.h"

/* ---- writing ---- */
typedef struct loom_shard_spec {
    int64_t vocab_size;     /* ids are 0..vocab_size-1 */
    int32_t bos_id, eos_id; /* -1: the tokenizer has none */
    bool has_bos, has_eos;  /* every sample begins / ends with it */
    const char *mode;       /* name of the text's mode (trace/grammar.h: loom_mode_names); at most 15 bytes, copied */
    const char *tokenizer;  /* tokenizer.json, borrowed during create */
    size_t tokenizer_len;
} loom_shard_spec;

typedef struct loom_shard_writer loom_shard_writer;

/* Refuses to replace a file unless `force`; the file appears at commit, whole. */
loom_status loom_shard_create(loom_shard_writer **out, const char *path, bool force, const loom_shard_spec *spec,
                              loom_err *err);
/* One sample of n > 0 tokens, 0 <= answer_start <= n; an id outside the vocabulary is an error. Written in blocks. */
loom_status loom_shard_add(loom_shard_writer *w, const int32_t *ids, int64_t n, int64_t answer_start, loom_err *err);
/* The names in the text, once and before commit; store knows nothing of their form. */
loom_status loom_shard_put_names(loom_shard_writer *w, const char *text, size_t len, loom_err *err);
/* Finishes, syncs, reads all of it back and compares, renames; frees *w also on failure. */
loom_status loom_shard_commit(loom_shard_writer **w, const char *meta_json, loom_err *err);
/* The same with what `meta` tells inside and in PATH.meta.json. */
loom_status loom_shard_commit_told(loom_shard_writer **w, const loom_meta *meta, const loom_ctx *ctx, loom_err *err);
void loom_shard_abandon(loom_shard_writer **w); /* removes the temporary file; NULL is fine */

/* ---- reading ---- */
typedef struct loom_shard loom_shard;

typedef struct loom_shard_info {
    const char *path;
    int64_t n_tokens, n_samples, longest; /* longest: tokens of the longest sample */
    int64_t vocab_size;
    int32_t bos_id, eos_id;
    bool has_bos, has_eos;
    char mode[16];         /* "tabular", "recursive", "instruction": a name only, the floor above store knows modes */
    const char *tokenizer; /* NUL-terminated */
    size_t tokenizer_len;
    char tokenizer_digest[33]; /* loom_text_digest of it: two files agree iff these do */
    char digest[33];           /* of the content, whoever made it and when; "" in files of older versions */
    const char *meta;          /* JSON text, NUL-terminated */
    const char *names;         /* NUL-terminated; "" in older files */
    size_t names_len;
} loom_shard_info;

/* Checks the layout: monotone offsets, sizes that agree, answer_start within its sample, and every checksum but that of
 * the tokens, whose blocks are checked as they are read. */
loom_status loom_shard_open(loom_shard **out, const char *path, loom_err *err);
const loom_shard_info *loom_shard_get_info(const loom_shard *s); /* borrowed until close */
void loom_shard_close(loom_shard **s);

/* Sample i (0..n_samples-1): position of its first token, length, answer_start. Any out-pointer may be NULL. */
void loom_shard_range(const loom_shard *s, int64_t i, int64_t *first, int64_t *n, int64_t *answer_start);

/* Tokens first..first+n-1 into ids[n]; an id outside the vocabulary is a FORMAT error. */
loom_status loom_shard_read(loom_shard *s, int64_t first, int64_t n, int32_t *ids, loom_err *err);

/* Reads all tokens and compares their checksum. */
loom_status loom_shard_verify(loom_shard *s, loom_err *err);

/* XXH3-128 of a text as 32 hex digits: how tokenizers are compared. */
void loom_text_digest(char digest[33], const char *text, size_t len);

#endif
