/* Added tokens and special ids of tokenizer.json, once all tokens are there. */
#include "tokenizer/tokload_impl.h"

static int by_byte_then_length(const void *a, const void *b, void *texts)
{
    const loom_tok_text *x = (const loom_tok_text *)texts + *(const int32_t *)a;
    const loom_tok_text *y = (const loom_tok_text *)texts + *(const int32_t *)b;
    unsigned char fx = (unsigned char)x->data[0], fy = (unsigned char)y->data[0];
    if (fx != fy) return fx < fy ? -1 : 1;
    if (x->len != y->len) return x->len > y->len ? -1 : 1;
    return memcmp(x->data, y->data, x->len);
}

/* Bytes at the front that all of a group share. */
static uint32_t common_front(const loom_tokenizer *tok, int32_t first, int32_t last)
{
    const loom_tok_text *a = &tok->texts[tok->added[first]];
    uint32_t n = a->len;
    for (int32_t i = first + 1; i < last; i++) {
        const loom_tok_text *b = &tok->texts[tok->added[i]];
        uint32_t k = 0;
        while (k < n && k < b->len && a->data[k] == b->data[k]) k++;
        n = k;
    }
    return n;
}

loom_status loom_tokload_index_added(loom_tokenizer *tok, loom_err *err)
{
    int32_t n = 0;
    for (int64_t id = 0; id < tok->n_ids; id++) n += (tok->flags[id] & LOOM_TOK_ADDED) != 0;
    tok->added = loom_alloc((size_t)n, sizeof *tok->added);
    if (!tok->added) return loom_fail_nomem(err, "the added tokens");
    for (int32_t id = 0; id < tok->n_ids; id++)
        if (tok->flags[id] & LOOM_TOK_ADDED) tok->added[tok->n_added++] = id;
    qsort_r(tok->added, (size_t)n, sizeof *tok->added, by_byte_then_length, tok->texts);
    int groups = 0;
    tok->added_byte = -1;
    for (int32_t b = 0, i = 0; b < 256; b++) {
        int32_t first = i;
        while (i < n && (unsigned char)tok->texts[tok->added[i]].data[0] == b) i++;
        tok->added_first[b] = first;
        tok->added_first[b + 1] = i;
        if (i == first) continue;
        tok->added_common[b] = common_front(tok, first, i);
        tok->added_byte = groups++ == 0 ? b : -1;
    }
    return LOOM_OK;
}

static int32_t find_first(const loom_tokenizer *tok, const char *const *names)
{
    for (; *names; names++) {
        int32_t id = loom_tokenizer_find(tok, *names, strlen(*names));
        if (id >= 0) return id;
    }
    return -1;
}

/* The special token of one template item, -1 for the text itself. */
static loom_status template_token(const loom_tokenizer *tok, const loom_json *item, int32_t *id, loom_err *err)
{
    size_t len = 0;
    const loom_json *special = loom_json_get(item, "SpecialToken");
    const char *text = loom_json_str(loom_json_get(special, "id"), &len);
    *id = -1;
    if (!special) return LOOM_OK;
    if (text) *id = loom_tokenizer_find(tok, text, len);
    if (*id < 0)
        return loom_fail(err, LOOM_STATUS_FORMAT, "post_processor names the token \"%.60s\", which does not exist",
                         text ? text : "");
    return LOOM_OK;
}

loom_status loom_tokload_postprocessor(loom_tokenizer *tok, const loom_json *post, loom_err *err)
{
    bool one = !loom_tokload_is(post, "Sequence");
    const loom_json *list = loom_json_get(post, "processors");
    if (loom_json_is_null(post)) return LOOM_OK;
    for (size_t i = 0; i < (one ? 1 : loom_json_len(list)); i++) {
        const loom_json *step = one ? post : loom_json_at(list, i);
        if (loom_tokload_is(step, "ByteLevel")) continue; /* moves offsets only */
        if (!loom_tokload_is(step, "TemplateProcessing"))
            return loom_tokload_refuse(err, "post_processor", loom_tokload_type(step));
        const loom_json *single = loom_json_get(step, "single");
        size_t n = loom_json_len(single);
        if (n == 0) continue;
        LOOM_TRY(template_token(tok, loom_json_at(single, 0), &tok->bos, err));
        if (n > 1) LOOM_TRY(template_token(tok, loom_json_at(single, n - 1), &tok->eos, err));
    }
    return LOOM_OK;
}

void loom_tokload_special_ids(loom_tokenizer *tok, const loom_json *model)
{
    static const char *const bos[] = {"<s>", "<|begin_of_text|>", "<|startoftext|>", NULL};
    static const char *const eos[] = {"</s>", "<|end_of_text|>", "<|endoftext|>", NULL};
    static const char *const unk[] = {"<unk>", NULL};
    size_t len;
    const char *text = loom_json_str(loom_json_get(model, "unk_token"), &len);
    if (tok->bos < 0) tok->bos = find_first(tok, bos);
    if (tok->eos < 0) tok->eos = find_first(tok, eos);
    tok->unk = text ? loom_tokenizer_find(tok, text, len) : -1;
    if (tok->unk < 0) tok->unk = find_first(tok, unk);
}
