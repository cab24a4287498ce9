/* PEFT's adapter_config.json: reading, leniently where nothing is at stake (docs/TRAINING.md), and writing. */
#ifndef LOOM_MODEL_PEFT_CONFIG_H
#define LOOM_MODEL_PEFT_CONFIG_H

#include "core/buf.h"
#include "model/lora.h"

/* `name` is for messages. FORMAT when a key is set that would change what the adapter computes and is not supported. */
loom_status loom_peft_config_parse(loom_lora_config *out, const char *json, size_t len, const char *name,
                                   loom_err *err);
/* base_path: what the file calls its base. */
void loom_peft_config_write(const loom_lora_config *c, const char *base_path, loom_buf *into);

#endif
