/* Element types of stored tensors, and the view that checkpoint and safetensors readers hand out. */
#ifndef LOOM_STORE_DTYPE_H
#define LOOM_STORE_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

#define LOOM_TENSOR_MAX_RANK 8

typedef enum loom_dtype {
    LOOM_DTYPE_F32,
    LOOM_DTYPE_F16,
    LOOM_DTYPE_BF16,
    LOOM_DTYPE_F64,
    LOOM_DTYPE_I64,
    LOOM_DTYPE_U64,
    LOOM_DTYPE_I32,
    LOOM_DTYPE_U32,
    LOOM_DTYPE_I16,
    LOOM_DTYPE_U16,
    LOOM_DTYPE_I8,
    LOOM_DTYPE_U8,
    LOOM_DTYPE_BOOL,
    LOOM_DTYPE_N
} loom_dtype;

size_t loom_dtype_size(loom_dtype type);                      /* bytes of one element */
const char *loom_dtype_name(loom_dtype type);                 /* as safetensors spells it: "F32", "BF16", ... */
bool loom_dtype_from_name(loom_dtype *out, const char *name); /* false: not one of ours */

/* A tensor somewhere in memory: C order, packed, little-endian. */
typedef struct loom_tensor_view {
    const char *name; /* borrowed from whatever handed the view out, as is data */
    loom_dtype dtype;
    int rank; /* 0: scalar */
    int64_t shape[LOOM_TENSOR_MAX_RANK];
    int64_t count; /* elements: product of the shape */
    size_t bytes;  /* count * element size */
    const void *data;
} loom_tensor_view;

/* Fills in count and bytes from dtype, rank and shape with checked arithmetic; false: negative or too large. */
bool loom_tensor_measure(loom_tensor_view *t);

/* True when the tensor has exactly this shape: loom_tensor_has_shape(t, 2, V, C). The sizes are int64_t. */
bool loom_tensor_has_shape(const loom_tensor_view *t, int rank, ...);

/* "[4096, 11008]" into text[cap]; returns text. */
const char *loom_tensor_shape_text(char *text, size_t cap, const loom_tensor_view *t);

/* Converts n elements to float32; every type is accepted, 64-bit numbers are rounded to the nearest float. `from` need
 * not be aligned. The arrays must not overlap. */
void loom_dtype_to_f32(float *restrict to, const void *restrict from, loom_dtype type, int64_t n);

/* A sentence that names the tensor where a value is not finite, or would not be as F16 or BF16 (types shorter than F32;
 * the others hold everything). NUMERIC. */
loom_status loom_dtype_check_range(const char *tensor, loom_dtype type, const float *values, int64_t n, loom_err *err);

/* Converts n floats to F32, F16, BF16 (round to nearest even; NaN stays NaN) or F64; no other type (asserted). */
void loom_dtype_from_f32(void *restrict to, loom_dtype type, const float *restrict from, int64_t n);

#endif
