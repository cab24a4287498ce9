/* libFuzzer target: a safetensors header decides nothing but a message. Touches what an accepted file promises. */
#include <stdint.h>
#include <stdlib.h>

#include "store/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    loom_safetensors *st = NULL;
    loom_err err;
    volatile unsigned sum = 0;

    if (loom_safetensors_open_bytes(&st, data, size, "fuzz", &err) != LOOM_OK) return 0;
    for (size_t i = 0; i < loom_safetensors_count(st); i++) {
        const loom_tensor_view *t = loom_safetensors_at(st, i);
        if (loom_safetensors_find(st, t->name) != t) abort();
        for (size_t j = 0; j < t->bytes; j++) sum += ((const unsigned char *)t->data)[j];
    }
    loom_safetensors_metadata(st, "format");
    loom_safetensors_close(&st);
    return 0;
}
