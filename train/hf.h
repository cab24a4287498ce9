/* Writing models for others: a Hugging Face folder, a PEFT folder, or a checkpoint of another type or with its adapter
 * merged. Weights are streamed tensor by tensor, so that a model kept in mapped bfloat16 is written in little memory.
 */
#ifndef LOOM_TRAIN_HF_H
#define LOOM_TRAIN_HF_H

#include "core/buf.h"
#include "model/model_files.h"

/* The small files beside the weights, byte for byte as the base model has them, or made up when it has none. */
#define LOOM_HF_SIDE_FILES 3
extern const char
    *const loom_hf_side_names[LOOM_HF_SIDE_FILES]; /* generation_config.json, tokenizer_config.json, ... */
typedef struct loom_hf_side {
    loom_buf files[LOOM_HF_SIDE_FILES];
} loom_hf_side;

/* `path`: where the weights came from (loom_model_files.path), a checkpoint or a folder. */
loom_status loom_hf_side_read(loom_hf_side *side, const char *path, loom_err *err);
void loom_hf_side_release(loom_hf_side *side);

typedef struct loom_hf_how {
    loom_dtype
        dtype;  /* of the matrices: F32, F16 or BF16; vectors are F32 in checkpoints, like the matrices elsewhere */
    bool merge; /* W + s B A with the bundle's adapter: in float32, rounded once */
    bool force;
    int64_t max_bytes; /* of one safetensors file */
    const char *meta;  /* JSON: how it was made */
} loom_hf_how;

/* Fills the values of a tensor of the model's table, with the adapter's part added if `merge`. */
void loom_hf_tensor_values(float *values, const loom_model_files *b, bool merge, const loom_tensor *t);

/* A name ending in .h5 asks for a checkpoint, any other for a folder. */
bool loom_hf_is_ckpt_name(const char *path);
/* DIR (made if needed): config.json, model.safetensors or shards with an index, tokenizer.json, the side files. */
loom_status loom_hf_write_folder(const char *dir, const loom_model_files *b, const loom_hf_how *how, loom_err *err);
/* A checkpoint of weights. */
loom_status loom_hf_write_ckpt(const char *path, const loom_model_files *b, const loom_hf_how *how, loom_err *err);
/* DIR/adapter_config.json and adapter_model.safetensors of the bundle's adapter. base: as PEFT is to find it. */
loom_status loom_hf_write_peft(const char *dir, const loom_model_files *b, const char *base, bool force, loom_err *err);

#endif
