#include "store/gguf.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/num.h"
#include "store/dtype.h"

enum { BLOCK = 1 << 16 /* values converted at a time; a multiple of LOOM_Q8_BLOCK */ };

void loom_gguf_release(loom_gguf *g)
{
    loom_buf_release(&g->facts);
    g->n = 0;
}

/* ---- facts ---- */

static void put_u32(loom_buf *b, uint32_t v) { loom_buf_append(b, &v, sizeof v); }

static void put_u64(loom_buf *b, uint64_t v) { loom_buf_append(b, &v, sizeof v); }

static void put_text(loom_buf *b, const char *text, size_t len)
{
    put_u64(b, len);
    loom_buf_append(b, text, len);
}

static void begin(loom_gguf *g, const char *key, loom_gguf_kind kind)
{
    put_text(&g->facts, key, strlen(key));
    put_u32(&g->facts, kind);
    g->n++;
}

void loom_gguf_str(loom_gguf *g, const char *key, const char *text)
{
    begin(g, key, LOOM_GGUF_STR);
    put_text(&g->facts, text, strlen(text));
}

void loom_gguf_u32(loom_gguf *g, const char *key, uint32_t v)
{
    begin(g, key, LOOM_GGUF_U32);
    put_u32(&g->facts, v);
}

void loom_gguf_f32(loom_gguf *g, const char *key, float v)
{
    begin(g, key, LOOM_GGUF_F32);
    loom_gguf_add_f32(g, v);
}

void loom_gguf_bool(loom_gguf *g, const char *key, bool v)
{
    begin(g, key, LOOM_GGUF_BOOL);
    loom_buf_char(&g->facts, v ? 1 : 0);
}

void loom_gguf_array(loom_gguf *g, const char *key, loom_gguf_kind kind, uint64_t n)
{
    begin(g, key, LOOM_GGUF_ARRAY);
    put_u32(&g->facts, kind);
    put_u64(&g->facts, n);
}

void loom_gguf_add_str(loom_gguf *g, const char *text, size_t len) { put_text(&g->facts, text, len); }

void loom_gguf_add_i32(loom_gguf *g, int32_t v) { loom_buf_append(&g->facts, &v, sizeof v); }

void loom_gguf_add_f32(loom_gguf *g, float v) { loom_buf_append(&g->facts, &v, sizeof v); }

/* ---- values ---- */

void loom_q8_from_f32(unsigned char *restrict to, const float *restrict from, int64_t n)
{
    for (int64_t b = 0; b < n; b += LOOM_Q8_BLOCK, to += LOOM_Q8_BYTES) {
        float most = 0;
        for (int i = 0; i < LOOM_Q8_BLOCK; i++) most = fmaxf(most, fabsf(from[b + i]));
        float d = most / 127, inverse = d > 0 ? 1 / d : 0;
        if (isinf(inverse)) inverse = 0; /* so small that float16 holds no such scale either */
        loom_dtype_from_f32(to, LOOM_DTYPE_F16, &d, 1);
        for (int i = 0; i < LOOM_Q8_BLOCK; i++) to[2 + i] = (unsigned char)(signed char)roundf(from[b + i] * inverse);
    }
}

bool loom_gguf_bytes(size_t *bytes, loom_gguf_type type, int64_t count)
{
    size_t each = type == LOOM_GGUF_TENSOR_F32 ? 4 : 2;

    if (count < 0) return false;
    if (type != LOOM_GGUF_TENSOR_Q8_0) return loom_mul_size(bytes, (size_t)count, each);
    return count % LOOM_Q8_BLOCK == 0 && loom_mul_size(bytes, (size_t)count / LOOM_Q8_BLOCK, LOOM_Q8_BYTES);
}

static loom_status check_values(const loom_gguf_item *item, const float *values, int64_t n, loom_err *err)
{
    if (item->type == LOOM_GGUF_TENSOR_F16) return loom_dtype_check_range(item->name, LOOM_DTYPE_F16, values, n, err);
    if (item->type == LOOM_GGUF_TENSOR_BF16) return loom_dtype_check_range(item->name, LOOM_DTYPE_BF16, values, n, err);
    float most = item->type == LOOM_GGUF_TENSOR_Q8_0 ? 127 * 65504.0f : FLT_MAX;
    for (int64_t i = 0; i < n; i++)
        if (!(fabsf(values[i]) <= most))
            return loom_fail(
                err, LOOM_STATUS_NUMERIC,
                "tensor %s holds %g, which its type cannot; write it with another --dtype, or see what became of the "
                "model",
                item->name, (double)values[i]);
    return LOOM_OK;
}

static void convert(void *to, loom_gguf_type type, const float *from, int64_t n)
{
    if (type == LOOM_GGUF_TENSOR_Q8_0) loom_q8_from_f32(to, from, n);
    else loom_dtype_from_f32(to, type == LOOM_GGUF_TENSOR_F16 ? LOOM_DTYPE_F16 : LOOM_DTYPE_BF16, from, n);
}

/* Of a shape that render_head has found possible. */
static int64_t count_of(const loom_gguf_item *item) { return item->shape[0] * item->shape[1]; }

static loom_status write_values(loom_out *out, const loom_gguf_item *item, const float *values, loom_err *err)
{
    int64_t count = count_of(item);
    loom_status st = check_values(item, values, count, err);
    void *block;

    if (st != LOOM_OK) return st;
    if (item->type == LOOM_GGUF_TENSOR_F32) return loom_out_write(out, values, (size_t)count * sizeof *values, err);
    if (!(block = loom_alloc(BLOCK, 2))) return loom_fail_nomem(err, item->name);
    for (int64_t i = 0; i < count && st == LOOM_OK; i += BLOCK) {
        int64_t n = loom_min_i64(BLOCK, count - i);
        size_t bytes = 0;
        convert(block, item->type, values + i, n);
        (void)loom_gguf_bytes(&bytes, item->type, n);
        st = loom_out_write(out, block, bytes, err);
    }
    free(block);
    return st;
}

static size_t padding(size_t at) { return (LOOM_GGUF_ALIGNMENT - at % LOOM_GGUF_ALIGNMENT) % LOOM_GGUF_ALIGNMENT; }

static loom_status write_padding(loom_out *out, size_t at, loom_err *err)
{
    static const char zeros[LOOM_GGUF_ALIGNMENT];

    return loom_out_write(out, zeros, padding(at), err);
}

static loom_status write_item(loom_out *out, const loom_gguf_item *item, loom_err *err)
{
    float *values = loom_alloc((size_t)count_of(item), sizeof *values);
    size_t bytes = 0;
    loom_status st;

    if (!values) return loom_fail_nomem(err, item->name);
    st = item->fetch(item->arg, item, values, err);
    if (st == LOOM_OK) st = write_values(out, item, values, err);
    free(values);
    (void)loom_gguf_bytes(&bytes, item->type, count_of(item));
    return st == LOOM_OK ? write_padding(out, bytes, err) : st;
}

/* ---- the file ---- */

static bool is_possible(const loom_gguf_item *item)
{
    size_t count;

    return item->shape[0] >= 0 && item->shape[1] >= 0 &&
           loom_mul_size(&count, (size_t)item->shape[0], (size_t)item->shape[1]) && count <= INT64_MAX;
}

static loom_status render_head(loom_buf *b, const loom_gguf *g, const loom_gguf_item *items, size_t n, loom_err *err)
{
    size_t place = 0;

    loom_buf_str(b, "GGUF");
    put_u32(b, 3);
    put_u64(b, n);
    put_u64(b, g->n);
    loom_buf_append(b, g->facts.data, g->facts.len);
    for (size_t i = 0; i < n; i++) {
        size_t bytes = 0;
        put_text(b, items[i].name, strlen(items[i].name));
        put_u32(b, (uint32_t)items[i].n_dims);
        for (int d = items[i].n_dims - 1; d >= 0; d--) put_u64(b, (uint64_t)items[i].shape[d]);
        put_u32(b, items[i].type);
        put_u64(b, place);
        if (!is_possible(&items[i]) || !loom_gguf_bytes(&bytes, items[i].type, count_of(&items[i])) ||
            bytes > SIZE_MAX / 2 - place)
            return loom_fail(err, LOOM_STATUS_ARG, "tensor %s: impossible shape", items[i].name);
        place += bytes + padding(bytes);
    }
    return loom_buf_check(b, "the head of a GGUF file", err);
}

loom_status loom_gguf_write(loom_out *out, const loom_gguf *g, const loom_gguf_item *items, size_t n, loom_err *err)
{
    loom_buf head = {0};
    loom_status st = loom_buf_check(&g->facts, "the facts of a GGUF file", err);

    if (st == LOOM_OK) st = render_head(&head, g, items, n, err);
    if (st == LOOM_OK) st = loom_out_write(out, head.data, head.len, err);
    if (st == LOOM_OK) st = write_padding(out, head.len, err);
    for (size_t i = 0; i < n && st == LOOM_OK; i++) st = write_item(out, &items[i], err);
    loom_buf_release(&head);
    return st;
}
