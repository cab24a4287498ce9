#include "tokenizer/tokformat.h"

#include <stdio.h>

#include "core/hash.h"
#include "tokenizer/tok_internal.h"

loom_tok_name loom_tok_name_of(const char *text, size_t len)
{
    size_t front = len > 0 && text[0] == 'M' ? 3 : 2;
    if (len <= front || len > LOOM_TOK_NAME_MAX || memcmp(text, front == 3 ? "MS_" : "S_", front) != 0)
        return LOOM_TOK_NAME_NONE;
    for (size_t i = front; i < len; i++)
        if (text[i] < '0' || text[i] > '9') return LOOM_TOK_NAME_NONE;
    return front == 3 ? LOOM_TOK_NAME_MICROSERVICE : LOOM_TOK_NAME_SERVICE;
}

loom_tok_name loom_tokenizer_name_kind(const loom_tokenizer *tok, int32_t id)
{
    size_t len;
    const char *text = loom_tokenizer_bytes(tok, id, &len);
    return loom_tok_name_of(text, len);
}

int64_t loom_tokenizer_format_size(const loom_tokenizer *tok)
{
    int64_t n = tok->n_ids;
    if (!tok->pretok || !loom_pretok_is_domain(tok->pretok)) return 0;
    while (n > 0 && loom_tokenizer_name_kind(tok, (int32_t)n - 1) != LOOM_TOK_NAME_NONE) n--;
    for (int64_t id = 0; id < n; id++)
        if (!tok->texts[id].data || loom_tokenizer_name_kind(tok, (int32_t)id) != LOOM_TOK_NAME_NONE) return 0;
    return n;
}

void loom_tokenizer_format_digest(const loom_tokenizer *tok, char text[33])
{
    loom_buf all = {0};
    for (int64_t id = 0, n = loom_tokenizer_format_size(tok); id < n; id++) {
        loom_buf_append(&all, tok->texts[id].data, tok->texts[id].len);
        loom_buf_char(&all, '\n'); /* no spelling holds one */
    }
    loom_hash128_text(loom_hash128_of(all.len ? all.data : "", all.len), text);
    loom_buf_release(&all);
}
