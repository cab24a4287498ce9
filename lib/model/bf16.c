#include "model/bf16.h"

#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/num.h"
#include "model/vmath.h"

void loom_bf16_round(uint16_t *to, int64_t ldto, const float *from, int64_t ldfrom, int64_t rows, int64_t cols)
{
    for (int64_t n = 0; n < rows; n++) {
        uint16_t *restrict t = to + n * ldto;
        const float *restrict f = from + n * ldfrom;

        for (int64_t c = 0; c < cols; c++) t[c] = loom_f32_to_bf16(f[c]);
    }
}

#ifdef LOOM_HAVE_DNNL

#include <dlfcn.h>
#include <oneapi/dnnl/dnnl.h>

/* What makes a primitive: sizes, strides of a and b (row, column), and whether it adds. Zeroed before it is filled,
 * since it is hashed as bytes. */
typedef struct shape {
    int64_t M, N, K, a_row, a_col, b_row, b_col, ldc, add;
} shape;

typedef struct product {
    shape shape;
    dnnl_primitive_t primitive; /* NULL: refused */
    dnnl_memory_t a, b, c;
    bool used;
} product;

#define SLOTS 1024 /* a training run meets about a hundred shapes */

struct loom_bf16_engine {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    void (*set_threads)(int); /* OpenMP's, found at run time: one thread for each of ours */
    product *slots;
    int n_used;
};

bool loom_bf16_cpu(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512bf16") &&
           (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core_bf16) == dnnl_cpu_isa_avx512_core_bf16;
}

loom_status loom_bf16_check(loom_err *err)
{
    if (loom_bf16_cpu()) return LOOM_OK;
    return loom_fail(err, LOOM_STATUS_ARG, "this CPU has no AVX512_BF16 instructions; compute in float32");
}

loom_status loom_bf16_new(loom_bf16_engine **out, loom_err *err)
{
    loom_bf16_engine *h;
    void *symbol;

    LOOM_TRY(loom_bf16_check(err));
    h = loom_calloc(1, sizeof *h);
    if (h) h->slots = loom_calloc(SLOTS, sizeof *h->slots);
    if (!h || !h->slots || dnnl_engine_create(&h->engine, dnnl_cpu, 0) != dnnl_success ||
        dnnl_stream_create(&h->stream, h->engine, dnnl_stream_default_flags) != dnnl_success) {
        loom_bf16_free(h);
        return loom_fail(err, LOOM_STATUS_NOMEM, "oneDNN could not be started; compute in float32");
    }
    symbol = dlsym(RTLD_DEFAULT, "omp_set_num_threads");
    memcpy(&h->set_threads, &symbol, sizeof symbol);
    *out = h;
    return LOOM_OK;
}

static void release_product(product *p)
{
    if (p->primitive) dnnl_primitive_destroy(p->primitive);
    if (p->a) dnnl_memory_destroy(p->a);
    if (p->b) dnnl_memory_destroy(p->b);
    if (p->c) dnnl_memory_destroy(p->c);
    *p = (product){0};
}

static void forget_all(loom_bf16_engine *h)
{
    for (int i = 0; i < SLOTS; i++) release_product(&h->slots[i]);
    h->n_used = 0;
}

void loom_bf16_free(loom_bf16_engine *h)
{
    if (!h) return;
    if (h->slots) forget_all(h);
    free(h->slots);
    if (h->stream) dnnl_stream_destroy(h->stream);
    if (h->engine) dnnl_engine_destroy(h->engine);
    free(h);
}

static bool describe(dnnl_memory_desc_t *md, int64_t rows, int64_t cols, dnnl_data_type_t type, int64_t row,
                     int64_t col)
{
    dnnl_dims_t dims = {rows, cols}, strides = {row, col};

    return dnnl_memory_desc_init_by_strides(md, 2, dims, type, strides) == dnnl_success;
}

static bool make_primitive(loom_bf16_engine *h, product *p, dnnl_matmul_desc_t *d)
{
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t ops = NULL;
    dnnl_primitive_desc_t pd = NULL;
    bool ok = dnnl_primitive_attr_create(&attr) == dnnl_success && dnnl_post_ops_create(&ops) == dnnl_success;

    if (ok && p->shape.add)
        ok = dnnl_post_ops_append_sum(ops, 1.0f) == dnnl_success &&
             dnnl_primitive_attr_set_post_ops(attr, ops) == dnnl_success;
    ok = ok && dnnl_primitive_desc_create(&pd, d, attr, h->engine, NULL) == dnnl_success &&
         dnnl_primitive_create(&p->primitive, pd) == dnnl_success;
    if (pd) dnnl_primitive_desc_destroy(pd);
    if (ops) dnnl_post_ops_destroy(ops);
    if (attr) dnnl_primitive_attr_destroy(attr);
    return ok;
}

static void make_product(loom_bf16_engine *h, product *p, const shape *s)
{
    dnnl_memory_desc_t a, b, c;
    dnnl_matmul_desc_t d;

    p->shape = *s;
    p->used = true;
    if (!describe(&a, s->M, s->K, dnnl_bf16, s->a_row, s->a_col) ||
        !describe(&b, s->K, s->N, dnnl_bf16, s->b_row, s->b_col) || !describe(&c, s->M, s->N, dnnl_f32, s->ldc, 1) ||
        dnnl_matmul_desc_init(&d, &a, &b, NULL, &c) != dnnl_success || !make_primitive(h, p, &d) ||
        dnnl_memory_create(&p->a, &a, h->engine, DNNL_MEMORY_NONE) != dnnl_success ||
        dnnl_memory_create(&p->b, &b, h->engine, DNNL_MEMORY_NONE) != dnnl_success ||
        dnnl_memory_create(&p->c, &c, h->engine, DNNL_MEMORY_NONE) != dnnl_success) {
        release_product(p);
        p->shape = *s; /* remembered as refused */
        p->used = true;
    }
}

static product *find(loom_bf16_engine *h, const shape *s)
{
    uint64_t at = loom_hash64(s, sizeof *s, 0) % SLOTS;

    while (h->slots[at].used && memcmp(&h->slots[at].shape, s, sizeof *s) != 0) at = (at + 1) % SLOTS;
    if (h->slots[at].used) return &h->slots[at];
    if (h->n_used >= SLOTS / 2) { /* a run of ever new shapes: start over */
        forget_all(h);
        at = loom_hash64(s, sizeof *s, 0) % SLOTS;
    }
    h->n_used++;
    make_product(h, &h->slots[at], s);
    return &h->slots[at];
}

static bool run(loom_bf16_engine *h, const shape *s, float *c, const uint16_t *a, const uint16_t *b)
{
    product *p;
    dnnl_exec_arg_t args[3];

    if (h->set_threads) h->set_threads(1);
    p = find(h, s);
    if (!p->primitive) return false;
    args[0] = (dnnl_exec_arg_t){DNNL_ARG_SRC, p->a};
    args[1] = (dnnl_exec_arg_t){DNNL_ARG_WEIGHTS, p->b};
    args[2] = (dnnl_exec_arg_t){DNNL_ARG_DST, p->c};
    /* handles are not written through where the argument is an input */
    return dnnl_memory_set_data_handle(p->a, (void *)(uintptr_t)a) == dnnl_success &&
           dnnl_memory_set_data_handle(p->b, (void *)(uintptr_t)b) == dnnl_success &&
           dnnl_memory_set_data_handle(p->c, c) == dnnl_success &&
           dnnl_primitive_execute(p->primitive, h->stream, 3, args) == dnnl_success &&
           dnnl_stream_wait(h->stream) == dnnl_success;
}

#else /* without oneDNN nothing below is reached: loom_bf16_new fails */

typedef struct shape {
    int64_t M, N, K, a_row, a_col, b_row, b_col, ldc, add;
} shape;

struct loom_bf16_engine {
    int unused;
};

bool loom_bf16_cpu(void)
{
#ifdef __x86_64__
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512bf16");
#else
    return false;
#endif
}

loom_status loom_bf16_check(loom_err *err)
{
    return loom_fail(err, LOOM_STATUS_ARG, "this build has no oneDNN (libdnnl-dev) for bfloat16; compute in float32");
}

loom_status loom_bf16_new(loom_bf16_engine **out, loom_err *err)
{
    (void)out;
    return loom_bf16_check(err);
}

void loom_bf16_free(loom_bf16_engine *h) { (void)h; }

static bool run(loom_bf16_engine *h, const shape *s, float *c, const uint16_t *a, const uint16_t *b)
{
    (void)h, (void)s, (void)c, (void)a, (void)b;
    return false;
}

#endif

static void plain(const shape *s, float *c, const uint16_t *a, const uint16_t *b)
{
    for (int64_t i = 0; i < s->M; i++) {
        for (int64_t j = 0; j < s->N; j++) {
            double sum = s->add ? c[i * s->ldc + j] : 0;

            for (int64_t k = 0; k < s->K; k++)
                sum += (double)loom_bf16_to_f32(a[i * s->a_row + k * s->a_col]) *
                       loom_bf16_to_f32(b[k * s->b_row + j * s->b_col]);
            c[i * s->ldc + j] = (float)sum;
        }
    }
}

static void multiply(loom_bf16_engine *h, const shape *s, float *c, const uint16_t *a, const uint16_t *b)
{
    if (s->M > 0 && s->N > 0 && s->K > 0 && !run(h, s, c, a, b)) plain(s, c, a, b);
}

/* Batches differ in their number of rows. Rows are taken in powers of two up to MOST_ROWS, so that few shapes ever
 * occur. */
#define MOST_ROWS 128

static int64_t bite(int64_t left)
{
    int64_t most = MOST_ROWS;

    while (most > left) most /= 2;
    return most;
}

void loom_bf16_nt(loom_bf16_engine *h, float *c, int64_t ldc, const uint16_t *a, int64_t lda, const uint16_t *b,
                  int64_t ldb, int64_t M, int64_t N, int64_t K, bool add)
{
    for (int64_t m = 0, n; m < M; m += n) {
        shape s = {n = bite(M - m), N, K, lda, 1, 1, ldb, ldc, add};

        multiply(h, &s, c + m * ldc, a + m * lda, b);
    }
}

void loom_bf16_nn(loom_bf16_engine *h, float *c, int64_t ldc, const uint16_t *a, int64_t lda, const uint16_t *b,
                  int64_t ldb, int64_t M, int64_t N, int64_t K, bool add)
{
    for (int64_t m = 0, n; m < M; m += n) {
        shape s = {n = bite(M - m), N, K, lda, 1, ldb, 1, ldc, add};

        multiply(h, &s, c + m * ldc, a + m * lda, b);
    }
}
