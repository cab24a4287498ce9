/* An adapter in files: "adapter/..." and text/adapter of a checkpoint, or the tensors of a PEFT folder. */
#ifndef LOOM_MODEL_ADAPTER_FILE_H
#define LOOM_MODEL_ADAPTER_FILE_H

#include "model/lora.h"
#include "model/tensor_source.h"

/* base_path, base_digest: what the adapter was trained on, as text/base keeps it. */
loom_status loom_adapter_file_put(loom_ckpt_writer *w, const loom_lora *lora, const char *base_path,
                                  const char *base_digest, loom_err *err);
/* Makes the adapter from text/adapter and, if `weights`, reads its tensors. The caller frees *out. */
loom_status loom_adapter_file_read(loom_lora **out, const loom_config *base, loom_ckpt *c, bool weights, loom_err *err);
/* The same from any source; NULL: no weights are read. *odd is set when names are not PEFT's plain ones. */
loom_status loom_adapter_file_make(loom_lora **out, const loom_config *base, const loom_lora_config *config,
                                   const loom_tensor_source *s, bool *odd, loom_err *err);

#endif
