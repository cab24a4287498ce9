/* The only caller of OpenBLAS: matrix products in float32, and the choice of its kernels.
 *
 *   int main(int argc, char **argv)
 *   {
 *       loom_blas_start(argc, argv);            (may re-execute the program once; see below)
 *       return loom_cli_main(...);
 *   }
 *
 * Matrices are row-major with a leading dimension (distance of rows in floats). Sizes are int64_t here and narrowed to
 * the BLAS integer with a check (assert). OpenBLAS always runs on one thread: the pool of core/pool.h is the one level
 * of parallelism, and these functions may be called from all its threads at once. */
#ifndef LOOM_MODEL_BLAS_H
#define LOOM_MODEL_BLAS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"

/* First thing in main of an executable that computes. OpenBLAS 0.3.21 does not know Zen 4 and later and picks its
 * Haswell kernels: when the CPU has avx512f and the core name says Haswell or Zen, sets OPENBLAS_CORETYPE=SKYLAKEX and
 * runs the program again, once (a guard variable prevents loops). A user's own OPENBLAS_CORETYPE wins. Adds the line
 * "OpenBLAS 0.3.21 SkylakeX" to --version and sets OpenBLAS to one thread. Also fine to call in tests. */
void loom_blas_start(int argc, char **argv);

/* Before the first product of n_threads threads at once: takes the working memory that OpenBLAS maps at each thread's
 * first product (128 MiB of address space). Without room for it OpenBLAS 0.3.21 tries for ever, and a product has no
 * way to say so; here it is LOOM_STATUS_NOMEM with a sentence that names the limit. */
loom_status loom_blas_reserve(int n_threads, loom_err *err);

const char *loom_blas_core(void);    /* "SkylakeX": the kernels in use; belongs into checkpoints and reports */
const char *loom_blas_version(void); /* "OpenBLAS 0.3.21" */

/* Route every product through the plain twin (tests; slow). Not to be changed while products run. */
void loom_blas_use_plain(bool plain);
bool loom_blas_plain(void);

/* c (M,N) = beta * c + alpha * op(a) op(b), the inner size is K. The letters t/n say whether a, b are stored
 * transposed. nt:  a (M,K)  b (N,K)      y = x Wᵀ     forward of a linear layer nn:  a (M,K)  b (K,N)      dx = dy W
 *   tn:  a (K,M)  b (K,N)      dW = dyᵀ x
 * c must not overlap a or b. beta = 0 does not read c. */
void loom_gemm_nt(float *c, int64_t ldc, const float *a, int64_t lda, const float *b, int64_t ldb, int64_t M, int64_t N,
                  int64_t K, float alpha, float beta);
void loom_gemm_nn(float *c, int64_t ldc, const float *a, int64_t lda, const float *b, int64_t ldb, int64_t M, int64_t N,
                  int64_t K, float alpha, float beta);
void loom_gemm_tn(float *c, int64_t ldc, const float *a, int64_t lda, const float *b, int64_t ldb, int64_t M, int64_t N,
                  int64_t K, float alpha, float beta);

/* The plain-C twins, for tests: sums in double, in the order of the inner index. */
void loom_gemm_nt_plain(float *c, int64_t ldc, const float *a, int64_t lda, const float *b, int64_t ldb, int64_t M,
                        int64_t N, int64_t K, float alpha, float beta);
void loom_gemm_nn_plain(float *c, int64_t ldc, const float *a, int64_t lda, const float *b, int64_t ldb, int64_t M,
                        int64_t N, int64_t K, float alpha, float beta);
void loom_gemm_tn_plain(float *c, int64_t ldc, const float *a, int64_t lda, const float *b, int64_t ldb, int64_t M,
                        int64_t N, int64_t K, float alpha, float beta);

#endif
