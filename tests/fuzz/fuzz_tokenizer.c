/* tokenizer.json from anywhere: a message or a tokenizer that encodes and decodes, never a crash.
 * The input is the JSON; where it loads, it is also the text that is encoded. */
#include <stdint.h>
#include <stdlib.h>

#include "tokenizer/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    loom_tokenizer *tok = NULL;
    loom_err err;
    if (loom_tokenizer_parse(&tok, (const char *)data, size, "fuzz", &err) != LOOM_OK) return 0;
    loom_tokens tokens = {.with_offsets = true};
    loom_tok_scratch *scratch = loom_tok_scratch_new(tok);
    for (unsigned flags = 0; flags <= (LOOM_ENCODE_CONTINUE | LOOM_ENCODE_PLAIN); flags++) {
        loom_buf text = {0};
        loom_tokens_reset(&tokens);
        loom_tokenizer_encode(&tokens, tok, scratch, (const char *)data, size < 4096 ? size : 4096, flags);
        for (int64_t i = 0; i < tokens.n; i++)
            if (tokens.ids[i] < 0 || tokens.ids[i] >= loom_tokenizer_vocab_size(tok) || tokens.offsets[i] < 0 ||
                tokens.offsets[i] > (int64_t)size)
                abort();
        loom_tokenizer_decode(&text, tok, tokens.ids, tokens.n, flags & 1 ? LOOM_DECODE_UTF8 : 0);
        loom_buf_release(&text);
    }
    loom_tokens_release(&tokens);
    loom_tok_scratch_free(scratch);
    loom_tokenizer_free(tok);
    return 0;
}
