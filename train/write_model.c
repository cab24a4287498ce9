/* The one way from a loaded model to a written one. */
#include "train/write_model.h"

loom_dtype loom_write_dtype(int choice, const loom_model_files *b)
{
    switch (choice) {
    case WRITE_F32: return LOOM_DTYPE_F32;
    case WRITE_F16: return LOOM_DTYPE_F16;
    case WRITE_BF16: return LOOM_DTYPE_BF16;
    default: return b->model->frozen ? LOOM_DTYPE_BF16 : LOOM_DTYPE_F32;
    }
}

loom_status loom_write_model(const char *path, bool checkpoint, const loom_ctx *ctx, const loom_model_files *b,
                             loom_hf_how *how, loom_meta *made, loom_err *err)
{
    loom_buf meta = {0};
    loom_status st;

    loom_meta_render_inside(made, ctx, &meta);
    how->meta = meta.data;
    how->force = ctx->common.force;
    st = checkpoint || loom_hf_is_ckpt_name(path) ? loom_hf_write_ckpt(path, b, how, err)
                                                  : loom_hf_write_folder(path, b, how, err);
    how->meta = NULL;
    loom_buf_release(&meta);
    return st;
}
