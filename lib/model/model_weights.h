/* The weights of a model in files: exactly the tensors of its table, each with its shape. Missing, left-over or
 * wrongly shaped ones are FORMAT errors. */
#ifndef LOOM_MODEL_MODEL_WEIGHTS_H
#define LOOM_MODEL_MODEL_WEIGHTS_H

#include "model/tensor_source.h"

/* A model with the weights of `s`. freeze: matrices stay in the mapped file if all of them are bfloat16 there; the
 * file must then outlive the model. The caller frees *out. */
loom_status loom_model_weights_make(loom_llama **out, const loom_config *config, const loom_tensor_source *s,
                                    bool freeze, loom_err *err);
/* Weights of one checkpoint into a model (float32 copies; both must have the same table) and back. */
loom_status loom_model_weights_read(loom_llama *m, loom_ckpt *c, loom_err *err);
loom_status loom_model_weights_put(loom_ckpt_writer *w, const loom_llama *m, loom_dtype dtype, loom_err *err);
/* Checks that a safetensors model holds exactly the tensors of the configuration (those that Llama files may carry
 * beside them are passed over); FORMAT names the first five that do not fit. */
loom_status loom_model_weights_check(loom_safetensors *st, const loom_config *config, const char *path, loom_err *err);

/* Digest of the weights in a checkpoint: the same for every checkpoint with these weights. "" when it has none. */
void loom_model_weights_digest(char digest[17], const loom_ckpt *c);

#endif
