/* GGUF version 3, writing: one file with a model's facts, vocabulary and weights, as llama.cpp reads it.
 *
 *   loom_gguf g = {0};
 *   loom_gguf_str(&g, "general.architecture", "llama");
 *   loom_gguf_array(&g, "tokenizer.ggml.tokens", LOOM_GGUF_STR, n);
 *   for (...) loom_gguf_add_str(&g, text, len);                 n of them
 *   st = loom_gguf_write(out, &g, items, n_items, err);         header, then tensor after tensor
 *   loom_gguf_release(&g);
 *
 *   "GGUF" u32 3, u64 tensors, u64 facts | facts: key, type, value
 *   | tensors: name, sizes (contiguous one first), type, place
 *   | zeros up to a multiple of 32 | values of the tensors, each from a multiple of 32
 *
 * Little-endian. docs/FORMATS.md has the facts that a Llama needs. */
#ifndef LOOM_STORE_GGUF_H
#define LOOM_STORE_GGUF_H

#include <stdbool.h>
#include <stdint.h>

#include "core/file.h"

#define LOOM_GGUF_ALIGNMENT 32
#define LOOM_GGUF_NAME_MAX  64 /* bytes of a tensor's name */

/* Types of facts, numbered as in the file. */
typedef enum loom_gguf_kind {
    LOOM_GGUF_U32 = 4,
    LOOM_GGUF_I32 = 5,
    LOOM_GGUF_F32 = 6,
    LOOM_GGUF_BOOL = 7,
    LOOM_GGUF_STR = 8,
    LOOM_GGUF_ARRAY = 9
} loom_gguf_kind;

/* Types of tensors, numbered as in the file. */
typedef enum loom_gguf_type {
    LOOM_GGUF_TENSOR_F32 = 0,
    LOOM_GGUF_TENSOR_F16 = 1,
    LOOM_GGUF_TENSOR_Q8_0 = 8,
    LOOM_GGUF_TENSOR_BF16 = 30
} loom_gguf_type;

typedef struct loom_gguf {
    loom_buf facts; /* rendered */
    uint64_t n;
} loom_gguf; /* zero-initialised is ready */

void loom_gguf_release(loom_gguf *g);
void loom_gguf_str(loom_gguf *g, const char *key, const char *text);
void loom_gguf_u32(loom_gguf *g, const char *key, uint32_t v);
void loom_gguf_f32(loom_gguf *g, const char *key, float v);
void loom_gguf_bool(loom_gguf *g, const char *key, bool v);
/* Begins an array of n elements, which the caller adds one by one. */
void loom_gguf_array(loom_gguf *g, const char *key, loom_gguf_kind kind, uint64_t n);
void loom_gguf_add_str(loom_gguf *g, const char *text, size_t len);
void loom_gguf_add_i32(loom_gguf *g, int32_t v);
void loom_gguf_add_f32(loom_gguf *g, float v);

/* A tensor of one or two sizes, (out, in) row-major. */
typedef struct loom_gguf_item {
    char name[LOOM_GGUF_NAME_MAX + 1];
    loom_gguf_type type; /* Q8_0: shape[n_dims - 1] is a multiple of LOOM_Q8_BLOCK */
    int n_dims;
    int64_t shape[2]; /* shape[1] = 1 for vectors */
    loom_status (*fetch)(void *arg, const struct loom_gguf_item *item, float *values, loom_err *err); /* fills all */
    void *arg;
} loom_gguf_item;

/* Writes everything to an open output, which the caller commits. NUMERIC, naming the tensor, for a value that its type
 * cannot hold: infinity, no number, or beyond the type's range. */
loom_status loom_gguf_write(loom_out *out, const loom_gguf *g, const loom_gguf_item *items, size_t n, loom_err *err);
/* Bytes of count values; false: the type does not take that many. */
bool loom_gguf_bytes(size_t *bytes, loom_gguf_type type, int64_t count);

/* ---- Q8_0: blocks of 32 values share a scale ---- */
#define LOOM_Q8_BLOCK 32
#define LOOM_Q8_BYTES 34 /* float16 d, then 32 int8 q: value = d q */

/* d = max |x| / 127, q = x / d rounded, halves away from zero (with d before it is rounded to float16). n is a
 * multiple of LOOM_Q8_BLOCK. */
void loom_q8_from_f32(unsigned char *restrict to, const float *restrict from, int64_t n);

#endif
