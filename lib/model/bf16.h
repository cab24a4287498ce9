/* Matrix products on bfloat16 numbers with float32 sums: the only caller of oneDNN.
 *
 * On a CPU with AVX512_BF16 they run about twice as fast as float32's. Operands are rounded to 8 bits of mantissa, sums
 * are not: the usual "mixed precision" of training, where weights, moments, gradients and everything between the
 * products stay float32. One loom_bf16_engine belongs to one thread; it keeps a primitive for every shape it has
 * met. */
#ifndef LOOM_MODEL_BF16_H
#define LOOM_MODEL_BF16_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"

/* Does this CPU multiply bfloat16 numbers? Not where oneDNN's own limit (ONEDNN_MAX_CPU_ISA) keeps it from that. */
bool loom_bf16_cpu(void);
/* OK, or ARG with the reason: built without oneDNN, or a CPU without AVX512_BF16. */
loom_status loom_bf16_check(loom_err *err);

typedef struct loom_bf16_engine loom_bf16_engine;
/* Call it on any thread; use it on one thread at a time. */
loom_status loom_bf16_new(loom_bf16_engine **out, loom_err *err);
void loom_bf16_free(loom_bf16_engine *h);

/* to (rows, cols) = from (rows, cols) rounded to nearest even; leading dimensions in elements. */
void loom_bf16_round(uint16_t *to, int64_t ldto, const float *from, int64_t ldfrom, int64_t rows, int64_t cols);

/* c (M,N) = op(a) op(b), or c += with `add`; as loom_gemm_nt and _nn (model/blas.h). A product that oneDNN refuses
 * runs in plain float32 on the same rounded numbers. */
void loom_bf16_nt(loom_bf16_engine *h, float *c, int64_t ldc, const uint16_t *a, int64_t lda, const uint16_t *b,
                  int64_t ldb, int64_t M, int64_t N, int64_t K, bool add);
void loom_bf16_nn(loom_bf16_engine *h, float *c, int64_t ldc, const uint16_t *a, int64_t lda, const uint16_t *b,
                  int64_t ldb, int64_t M, int64_t N, int64_t K, bool add);

#endif
