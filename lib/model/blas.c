#include "model/blas.h"

#include <assert.h>
#include <cblas.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/cli.h"
#include "core/nomem.h"
#include "core/num.h"

#define GUARD "LOOM_BLAS_REEXECUTED"

static bool use_plain; /* tests only, see the header */

/* True when the kernels OpenBLAS chose waste this CPU's AVX-512. */
static bool wrong_kernels(void)
{
#if defined(__x86_64__)
    const char *core = openblas_get_corename();

    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && (strcasecmp(core, "Haswell") == 0 || strcasecmp(core, "Zen") == 0);
#else
    return false;
#endif
}

void loom_blas_start(int argc, char **argv)
{
    static char line[160]; /* kept by loom_cli_add_version_line */

    if (argc > 0 && !getenv("OPENBLAS_CORETYPE") && !getenv(GUARD) && wrong_kernels()) {
        /* The library picks its kernels while it is loaded, so only a fresh start can change them. */
        setenv("OPENBLAS_CORETYPE", "SKYLAKEX", 1);
        setenv(GUARD, "1", 1);
        execv("/proc/self/exe", argv);
        unsetenv("OPENBLAS_CORETYPE"); /* could not start again: slower, still right */
    }
    openblas_set_num_threads(1);
    snprintf(line, sizeof line, "%s, %s kernels", loom_blas_version(), loom_blas_core());
    loom_cli_add_version_line(line);
}

/* OpenBLAS's own, in no header of it; a library without them takes its memory later. */
extern void *blas_memory_alloc(int where) __attribute__((weak));
extern void blas_memory_free(void *memory) __attribute__((weak));

enum { WORK_MIB = 128, MAX_RESERVED = 64 }; /* of one thread; and its table of them is not endless */

static loom_status no_room(int n_threads, loom_err *err)
{
    struct rlimit limit = {.rlim_cur = RLIM_INFINITY};
    char text[96] = "";

    loom_nomem_note();
    getrlimit(RLIMIT_AS, &limit);
    if (limit.rlim_cur != RLIM_INFINITY)
        snprintf(text, sizeof text, ", and the address space is limited to %llu MiB (ulimit -v)",
                 (unsigned long long)(limit.rlim_cur >> 20));
    return loom_fail(err, LOOM_STATUS_NOMEM,
                     "out of memory: matrix products need %d MiB for each of %d thread%s%s; raise the limit, free some "
                     "memory or give fewer --threads",
                     (int)WORK_MIB, n_threads, n_threads == 1 ? "" : "s", text);
}

loom_status loom_blas_reserve(int n_threads, loom_err *err)
{
    void *taken[MAX_RESERVED];
    int n = n_threads < MAX_RESERVED ? n_threads : MAX_RESERVED;
    size_t size = (size_t)n_threads * WORK_MIB << 20;
    void *room = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (room == MAP_FAILED) return no_room(n_threads, err);
    munmap(room, size);
    if (!blas_memory_alloc || !blas_memory_free) return LOOM_OK;
    for (int i = 0; i < n; i++) taken[i] = blas_memory_alloc(0);
    for (int i = n; i-- > 0;) blas_memory_free(taken[i]); /* it keeps them for the products to come */
    return LOOM_OK;
}

const char *loom_blas_core(void) { return openblas_get_corename(); }

const char *loom_blas_version(void)
{
    static char text[64];
    const char *config = openblas_get_config(); /* "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ..." */
    const char *end = strchr(config, ' ');

    if (end) end = strchr(end + 1, ' ');
    snprintf(text, sizeof text, "%.*s", end ? (int)(end - config) : (int)sizeof text - 1, config);
    return text;
}

void loom_blas_use_plain(bool plain) { use_plain = plain; }

bool loom_blas_plain(void) { return use_plain; }

static blasint narrow(int64_t size)
{
    assert(size >= 0 && size <= INT_MAX);
    return (blasint)size;
}

void loom_gemm_nt(float *c, int64_t ldc, const float *a, int64_t lda, const float *b, int64_t ldb, int64_t M, int64_t N,
                  int64_t K, float alpha, float beta)
{
    if (M == 0 || N == 0) return;
    if (use_plain) loom_gemm_nt_plain(c, ldc, a, lda, b, ldb, M, N, K, alpha, beta);
    else
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, narrow(M), narrow(N), narrow(K), alpha, a, narrow(lda), b,
                    narrow(ldb), beta, c, narrow(ldc));
}

void loom_gemm_nn(float *c, int64_t ldc, const float *a, int64_t lda, const float *b, int64_t ldb, int64_t M, int64_t N,
                  int64_t K, float alpha, float beta)
{
    if (M == 0 || N == 0) return;
    if (use_plain) loom_gemm_nn_plain(c, ldc, a, lda, b, ldb, M, N, K, alpha, beta);
    else
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, narrow(M), narrow(N), narrow(K), alpha, a, narrow(lda),
                    b, narrow(ldb), beta, c, narrow(ldc));
}

void loom_gemm_tn(float *c, int64_t ldc, const float *a, int64_t lda, const float *b, int64_t ldb, int64_t M, int64_t N,
                  int64_t K, float alpha, float beta)
{
    if (M == 0 || N == 0) return;
    if (use_plain) loom_gemm_tn_plain(c, ldc, a, lda, b, ldb, M, N, K, alpha, beta);
    else
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, narrow(M), narrow(N), narrow(K), alpha, a, narrow(lda), b,
                    narrow(ldb), beta, c, narrow(ldc));
}

/* ---- plain twins: element strides say how to walk, one loop serves all three ---- */
static void gemm_plain(float *c, int64_t ldc, const float *a, int64_t a_row, int64_t a_inner, const float *b,
                       int64_t b_col, int64_t b_inner, int64_t M, int64_t N, int64_t K, float alpha, float beta)
{
    for (int64_t i = 0; i < M; i++) {
        for (int64_t j = 0; j < N; j++) {
            double sum = 0;

            for (int64_t k = 0; k < K; k++) sum += (double)a[i * a_row + k * a_inner] * b[j * b_col + k * b_inner];
            sum *= alpha;
            if (beta != 0) sum += (double)beta * c[i * ldc + j];
            c[i * ldc + j] = (float)sum;
        }
    }
}

void loom_gemm_nt_plain(float *c, int64_t ldc, const float *a, int64_t lda, const float *b, int64_t ldb, int64_t M,
                        int64_t N, int64_t K, float alpha, float beta)
{
    gemm_plain(c, ldc, a, lda, 1, b, ldb, 1, M, N, K, alpha, beta);
}

void loom_gemm_nn_plain(float *c, int64_t ldc, const float *a, int64_t lda, const float *b, int64_t ldb, int64_t M,
                        int64_t N, int64_t K, float alpha, float beta)
{
    gemm_plain(c, ldc, a, lda, 1, b, 1, ldb, M, N, K, alpha, beta);
}

void loom_gemm_tn_plain(float *c, int64_t ldc, const float *a, int64_t lda, const float *b, int64_t ldb, int64_t M,
                        int64_t N, int64_t K, float alpha, float beta)
{
    gemm_plain(c, ldc, a, 1, lda, b, 1, ldb, M, N, K, alpha, beta);
}
