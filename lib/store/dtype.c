#include "store/dtype.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/num.h"

static const struct {
    const char *name;
    size_t size;
} types[LOOM_DTYPE_N] = {
    [LOOM_DTYPE_F32] = {"F32", 4},   [LOOM_DTYPE_F16] = {"F16", 2}, [LOOM_DTYPE_BF16] = {"BF16", 2},
    [LOOM_DTYPE_F64] = {"F64", 8},   [LOOM_DTYPE_I64] = {"I64", 8}, [LOOM_DTYPE_U64] = {"U64", 8},
    [LOOM_DTYPE_I32] = {"I32", 4},   [LOOM_DTYPE_U32] = {"U32", 4}, [LOOM_DTYPE_I16] = {"I16", 2},
    [LOOM_DTYPE_U16] = {"U16", 2},   [LOOM_DTYPE_I8] = {"I8", 1},   [LOOM_DTYPE_U8] = {"U8", 1},
    [LOOM_DTYPE_BOOL] = {"BOOL", 1},
};

size_t loom_dtype_size(loom_dtype type) { return types[type].size; }

const char *loom_dtype_name(loom_dtype type) { return types[type].name; }

bool loom_dtype_from_name(loom_dtype *out, const char *name)
{
    for (int i = 0; i < LOOM_DTYPE_N; i++) {
        if (strcmp(types[i].name, name) == 0) {
            *out = (loom_dtype)i;
            return true;
        }
    }
    return false;
}

bool loom_tensor_measure(loom_tensor_view *t)
{
    size_t count = 1, bytes;

    for (int i = 0; i < t->rank; i++) {
        if (t->shape[i] < 0 || !loom_mul_size(&count, count, (size_t)t->shape[i])) return false;
    }
    if (!loom_mul_size(&bytes, count, loom_dtype_size(t->dtype)) || bytes > (size_t)INT64_MAX) return false;
    t->count = (int64_t)count;
    t->bytes = bytes;
    return true;
}

bool loom_tensor_has_shape(const loom_tensor_view *t, int rank, ...)
{
    bool same = t->rank == rank;
    va_list args;

    va_start(args, rank);
    for (int i = 0; i < rank && same; i++) same = t->shape[i] == va_arg(args, int64_t);
    va_end(args);
    return same;
}

const char *loom_tensor_shape_text(char *text, size_t cap, const loom_tensor_view *t)
{
    size_t n = (size_t)snprintf(text, cap, "[");

    for (int i = 0; i < t->rank && n < cap; i++)
        n += (size_t)snprintf(text + n, cap - n, "%s%lld", i ? ", " : "", (long long)t->shape[i]);
    if (n < cap) snprintf(text + n, cap - n, "]");
    return text;
}

static float bits_to_f32(uint32_t bits)
{
    float v;

    memcpy(&v, &bits, 4);
    return v;
}

/* Half to float: normal numbers by moving the exponent's bias, subnormal ones by an exact multiplication. */
static float f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = (h >> 10) & 31, fraction = h & 0x3ff;

    if (exponent == 31) return bits_to_f32(sign | 0x7f800000u | fraction << 13);
    if (exponent == 0) {
        float v = (float)fraction * 0x1p-24f;
        return sign ? -v : v;
    }
    return bits_to_f32(sign | (exponent + 112) << 23 | fraction << 13);
}

/* Float to half, round to nearest even. Below the smallest normal half the sum with 0.5 does the rounding: the half's
 * last bit, 2^-24, is then the sum's last bit. */
static uint16_t f32_to_f16(float v)
{
    uint32_t bits, sign;

    memcpy(&bits, &v, 4);
    sign = bits >> 16 & 0x8000;
    bits &= 0x7fffffff;
    if (bits > 0x7f800000) return (uint16_t)(sign | 0x7e00);
    if (bits >= 0x477ff000) return (uint16_t)(sign | 0x7c00);
    if (bits < 0x38800000) {
        float sum = bits_to_f32(bits) + 0.5f;
        uint32_t rounded;
        memcpy(&rounded, &sum, 4);
        return (uint16_t)(sign | (rounded - 0x3f000000));
    }
    bits += 0xfff + (bits >> 13 & 1);
    return (uint16_t)(sign | (bits - 0x38000000) >> 13);
}

static uint16_t f32_to_bf16(float v)
{
    uint32_t bits;

    memcpy(&bits, &v, 4);
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* One loop per type; memcpy because the source may be unaligned (safetensors promises nothing). */
#define WIDEN(T, expr)                                                                                                 \
    for (int64_t i = 0; i < n; i++) {                                                                                  \
        T v;                                                                                                           \
        memcpy(&v, bytes + (size_t)i * sizeof v, sizeof v);                                                            \
        to[i] = (expr);                                                                                                \
    }                                                                                                                  \
    break

void loom_dtype_to_f32(float *restrict to, const void *restrict from, loom_dtype type, int64_t n)
{
    const unsigned char *bytes = from;

    switch (type) {
    case LOOM_DTYPE_F32: memcpy(to, from, (size_t)n * 4); break;
    case LOOM_DTYPE_F16: WIDEN(uint16_t, f16_to_f32(v));
    case LOOM_DTYPE_BF16: WIDEN(uint16_t, bits_to_f32((uint32_t)v << 16));
    case LOOM_DTYPE_F64: WIDEN(double, (float)v);
    case LOOM_DTYPE_I64: WIDEN(int64_t, (float)v);
    case LOOM_DTYPE_U64: WIDEN(uint64_t, (float)v);
    case LOOM_DTYPE_I32: WIDEN(int32_t, (float)v);
    case LOOM_DTYPE_U32: WIDEN(uint32_t, (float)v);
    case LOOM_DTYPE_I16: WIDEN(int16_t, (float)v);
    case LOOM_DTYPE_U16: WIDEN(uint16_t, (float)v);
    case LOOM_DTYPE_I8: WIDEN(int8_t, (float)v);
    case LOOM_DTYPE_U8: WIDEN(uint8_t, (float)v);
    case LOOM_DTYPE_BOOL: WIDEN(uint8_t, v ? 1.0f : 0.0f);
    case LOOM_DTYPE_N: break;
    }
}

/* What still rounds to a finite number: float16 holds 65504, and rounds to it from below 65520. */
static float largest(loom_dtype type) { return type == LOOM_DTYPE_F16 ? 65519.0f : 3.39e38f; }

loom_status loom_dtype_check_range(const char *tensor, loom_dtype type, const float *values, int64_t n, loom_err *err)
{
    if (type != LOOM_DTYPE_F16 && type != LOOM_DTYPE_BF16) return LOOM_OK;
    for (int64_t i = 0; i < n; i++)
        if (!(fabsf(values[i]) <= largest(type)))
            return loom_fail(
                err, LOOM_STATUS_NUMERIC,
                "tensor %s holds %g, which %s cannot; write it with another --dtype, or see what became of "
                "the model",
                tensor, (double)values[i], loom_dtype_name(type));
    return LOOM_OK;
}

#define NARROW(T, expr)                                                                                                \
    for (int64_t i = 0; i < n; i++) {                                                                                  \
        T v = (expr);                                                                                                  \
        memcpy(bytes + (size_t)i * sizeof v, &v, sizeof v);                                                            \
    }                                                                                                                  \
    break

void loom_dtype_from_f32(void *restrict to, loom_dtype type, const float *restrict from, int64_t n)
{
    unsigned char *bytes = to;

    switch (type) {
    case LOOM_DTYPE_F32: memcpy(to, from, (size_t)n * 4); break;
    case LOOM_DTYPE_F16: NARROW(uint16_t, f32_to_f16(from[i]));
    case LOOM_DTYPE_BF16: NARROW(uint16_t, f32_to_bf16(from[i]));
    case LOOM_DTYPE_F64: NARROW(double, (double)from[i]);
    default: assert(!"a type that floats are written as");
    }
}
