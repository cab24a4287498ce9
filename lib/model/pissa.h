/* PiSSA (Meng, Wang and Zhang, 2024): an adapter that starts as the R principal directions of every matrix, beside
 * a base that lacks them.
 *
 *   W = U S Vᵀ,   s B0 A0 = the best part of rank R of W,   W' = W - s B0 A0;   trained: y = x (W' + s B A)ᵀ
 *
 * On disk the base is still W. What is trained is therefore written as an adapter of rank 2R that fits it:
 *
 *   W' + s B A  =  W + s [B, -B0] [A; A0]
 *
 * The only user of LAPACK. */
#ifndef LOOM_MODEL_PISSA_H
#define LOOM_MODEL_PISSA_H

#include "model/lora.h"

/* Fills the adapter and takes its part out of the base, which must be float32 (ARG) and must not be trained or written.
 * NUMERIC when a decomposition does not converge. Same base and library: same bits. */
loom_status loom_pissa_start(loom_lora *lora, loom_llama *base, loom_err *err);

/* The adapter of rank 2R for the base as it was; `start` is what loom_pissa_start filled. The caller frees *out.
 * ARG when the model is too small for that rank. */
loom_status loom_pissa_widen(loom_lora **out, const loom_lora *now, const loom_lora *start, const loom_config *base,
                             loom_err *err);
/* Back: the first halves of `wide`; false when it is not twice as wide as `to`. */
bool loom_pissa_narrow(loom_lora *to, const loom_lora *wide);

#endif
