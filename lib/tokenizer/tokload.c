/* tokenizer.json -> loom_tokenizer. Every component is either understood exactly or refused by its name. */
#include <assert.h>

#include "core/hash.h"
#include "core/json.h"
#include "core/num.h"
#include "tokenizer/tokload_impl.h"

enum { MAX_TOKENS = 4 << 20, MAX_TOKEN_BYTES = 1 << 16 };

loom_status loom_tokload_refuse(loom_err *err, const char *place, const char *what)
{
    return loom_fail(err, LOOM_STATUS_FORMAT,
                     "%s %.100s is not supported; use a Llama-2 or Llama-3 style BPE tokenizer.json", place, what);
}

const char *loom_tokload_type(const loom_json *component)
{
    const char *type = loom_json_str(loom_json_get(component, "type"), NULL);
    return type ? type : "without a type";
}

bool loom_tokload_is(const loom_json *component, const char *type)
{
    return strcmp(loom_tokload_type(component), type) == 0;
}

bool loom_tokload_says(const loom_json *node, const char *text)
{
    size_t len = 0;
    const char *s = loom_json_str(node, &len);
    return s && len == strlen(text) && memcmp(s, text, len) == 0;
}

/* ---- tokens ---- */

static loom_status check_id(int64_t id, int64_t limit, const char *text, loom_err *err)
{
    if (id >= 0 && id < limit) return LOOM_OK;
    return loom_fail(err, LOOM_STATUS_FORMAT, "token \"%.60s\" has the id %lld, expected 0 to %lld", text,
                     (long long)id, (long long)limit - 1);
}

/* Largest id + 1 over vocabulary and added tokens; bounded by the number of tokens, as holes cost memory. */
static loom_status count_ids(int64_t *n_ids, const loom_json *vocab, const loom_json *added, loom_err *err)
{
    int64_t limit = (int64_t)loom_json_len(vocab) + (int64_t)loom_json_len(added), top = -1;
    if (limit > MAX_TOKENS)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%lld tokens are too many, the limit is %d", (long long)limit,
                         MAX_TOKENS);
    limit = 2 * limit + 4096;
    for (void *it = loom_json_iter(vocab); it; it = loom_json_iter_next(vocab, it)) {
        int64_t id = loom_json_i64(loom_json_iter_value(it), -1);
        LOOM_TRY(check_id(id, limit, loom_json_iter_key(it), err));
        top = loom_max_i64(top, id);
    }
    for (size_t i = 0; i < loom_json_len(added); i++) {
        const loom_json *token = loom_json_at(added, i);
        const char *content;
        int64_t id;
        LOOM_TRY(loom_json_need_str(token, "content", &content, err));
        LOOM_TRY(loom_json_need_i64(token, "id", &id, err));
        LOOM_TRY(check_id(id, limit, content, err));
        top = loom_max_i64(top, id);
    }
    *n_ids = top + 1;
    return LOOM_OK;
}

static loom_status put_token(loom_tokenizer *tok, int64_t id, const char *text, size_t len, loom_err *err)
{
    loom_tok_text *t = &tok->texts[id];
    if (len == 0 || len > MAX_TOKEN_BYTES)
        return loom_fail(err, LOOM_STATUS_FORMAT, "token %lld has %zu bytes, expected 1 to %d", (long long)id, len,
                         MAX_TOKEN_BYTES);
    if (t->data) {
        if (t->len == len && memcmp(t->data, text, len) == 0) return LOOM_OK; /* added, and in the vocabulary */
        return loom_fail(err, LOOM_STATUS_FORMAT, "the tokens \"%.60s\" and \"%.60s\" have the same id %lld", t->data,
                         text, (long long)id);
    }
    const char *copy = loom_arena_strdup(&tok->arena, text, len);
    LOOM_TRY(loom_arena_check(&tok->arena, "a vocabulary", err));
    *t = (loom_tok_text){copy, (uint32_t)len};
    int32_t other = loom_tok_map_put(&tok->by_text, tok->texts, (int32_t)id);
    if (other >= 0)
        return loom_fail(err, LOOM_STATUS_FORMAT, "the token \"%.60s\" has two ids, %d and %lld", text, other,
                         (long long)id);
    return LOOM_OK;
}

static loom_status put_added_token(loom_tokenizer *tok, const loom_json *token, bool has_normalizer, loom_err *err)
{
    size_t len;
    const char *content = loom_json_str(loom_json_get(token, "content"), &len);
    int64_t id = loom_json_i64(loom_json_get(token, "id"), -1);
    static const char *const unsupported[] = {"single_word", "lstrip", "rstrip"};
    bool normalized = false, special = false;

    for (size_t i = 0; i < 3; i++) {
        bool set = false;
        LOOM_TRY(loom_json_may_bool(token, unsupported[i], &set, err));
        if (set)
            return loom_fail(err, LOOM_STATUS_FORMAT, "added token \"%.60s\" has %s, which is not supported", content,
                             unsupported[i]);
    }
    LOOM_TRY(loom_json_may_bool(token, "normalized", &normalized, err));
    LOOM_TRY(loom_json_may_bool(token, "special", &special, err));
    if (has_normalizer && normalized)
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "added token \"%.60s\" is matched in normalized text, which is not supported; set its "
                         "\"normalized\" to false",
                         content);
    LOOM_TRY(put_token(tok, id, content, len, err));
    tok->flags[id] = (uint8_t)(tok->flags[id] | LOOM_TOK_ADDED | (special ? LOOM_TOK_SPECIAL : 0));
    return LOOM_OK;
}

static loom_status read_tokens(loom_tokenizer *tok, const loom_json *root, const loom_json *model, loom_err *err)
{
    const loom_json *vocab = loom_json_get(model, "vocab"), *added = loom_json_get(root, "added_tokens");
    bool has_normalizer = !loom_json_is_null(loom_json_get(root, "normalizer"));

    if (!loom_json_is_object(vocab) || loom_json_len(vocab) == 0)
        return loom_fail(err, LOOM_STATUS_FORMAT, "\"model\" has no \"vocab\" object with tokens");
    if (!loom_json_is_null(added) && !loom_json_is_array(added))
        return loom_fail(err, LOOM_STATUS_FORMAT, "\"added_tokens\" is not a list");
    LOOM_TRY(count_ids(&tok->n_ids, vocab, added, err));
    size_t n = (size_t)tok->n_ids;
    tok->texts = loom_calloc(n, sizeof *tok->texts);
    tok->bytes = loom_calloc(n, sizeof *tok->bytes);
    tok->flags = loom_calloc(n, 1);
    if (!tok->texts || !tok->bytes || !tok->flags || !loom_tok_map_init(&tok->by_text, n))
        return loom_fail_nomem(err, "a vocabulary");
    for (void *it = loom_json_iter(vocab); it; it = loom_json_iter_next(vocab, it)) {
        const char *text = loom_json_iter_key(it);
        LOOM_TRY(put_token(tok, loom_json_i64(loom_json_iter_value(it), -1), text, strlen(text), err));
    }
    for (size_t i = 0; i < loom_json_len(added); i++)
        LOOM_TRY(put_added_token(tok, loom_json_at(added, i), has_normalizer, err));
    return LOOM_OK;
}

/* ---- merges ---- */

/* "a b", or ["a","b"]. */
static loom_status split_merge(const loom_json *merge, size_t rank, loom_tok_text side[2], loom_err *err)
{
    size_t len;
    const char *text = loom_json_str(merge, &len);
    if (text) {
        const char *blank = memchr(text, ' ', len);
        if (blank && !memchr(blank + 1, ' ', (size_t)(text + len - blank - 1))) {
            side[0] = (loom_tok_text){text, (uint32_t)(blank - text)};
            side[1] = (loom_tok_text){blank + 1, (uint32_t)(text + len - blank - 1)};
            return LOOM_OK;
        }
    } else if (loom_json_len(merge) == 2) {
        for (size_t i = 0; i < 2; i++) {
            side[i].data = loom_json_str(loom_json_at(merge, i), &len);
            side[i].len = (uint32_t)len;
        }
        if (side[0].data && side[1].data) return LOOM_OK;
    }
    return loom_fail(err, LOOM_STATUS_FORMAT, "merge %zu is neither \"a b\" nor [\"a\", \"b\"]", rank);
}

static loom_status put_merge(loom_tokenizer *tok, const loom_tok_text side[2], size_t rank, loom_buf *joined,
                             loom_err *err)
{
    int32_t id[3];
    loom_buf_reset(joined);
    loom_buf_append(joined, side[0].data, side[0].len);
    loom_buf_append(joined, side[1].data, side[1].len);
    LOOM_TRY(loom_buf_check(joined, "the merges", err));
    id[0] = loom_tok_map_find(&tok->by_text, tok->texts, side[0].data, side[0].len);
    id[1] = loom_tok_map_find(&tok->by_text, tok->texts, side[1].data, side[1].len);
    id[2] = loom_tok_map_find(&tok->by_text, tok->texts, joined->data, joined->len);
    if (id[0] < 0 || id[1] < 0 || id[2] < 0)
        return loom_fail(
            err, LOOM_STATUS_FORMAT, "merge %zu (\"%.*s\" and \"%.*s\") names a token that is not in \"vocab\"", rank,
            (int)loom_min_i64(side[0].len, 60), side[0].data, (int)loom_min_i64(side[1].len, 60), side[1].data);
    loom_merge_map_put(&tok->merges, id[0], id[1], (uint32_t)rank, id[2]);
    return LOOM_OK;
}

static loom_status read_merges(loom_tokenizer *tok, const loom_json *model, loom_err *err)
{
    const loom_json *merges = loom_json_get(model, "merges");
    loom_buf joined = {0};
    loom_status st = LOOM_OK;

    if (!loom_json_is_array(merges)) return loom_fail(err, LOOM_STATUS_FORMAT, "\"model\" has no \"merges\" array");
    if (!loom_merge_map_init(&tok->merges, loom_json_len(merges))) return loom_fail_nomem(err, "the merges");
    for (size_t i = 0; st == LOOM_OK && i < loom_json_len(merges); i++) {
        loom_tok_text side[2] = {0};
        st = split_merge(loom_json_at(merges, i), i, side, err);
        if (st == LOOM_OK) st = put_merge(tok, side, i, &joined, err);
    }
    loom_buf_release(&joined);
    return st;
}

/* ---- the byte family ---- */

static loom_status read_split(const loom_json *split, const char **pattern, loom_err *err)
{
    if (!loom_tokload_says(loom_json_get(split, "behavior"), "Isolated"))
        return loom_tokload_refuse(err, "pre_tokenizer Split: behavior", "other than Isolated");
    bool invert = false;
    LOOM_TRY(loom_json_may_bool(split, "invert", &invert, err));
    if (invert) return loom_tokload_refuse(err, "pre_tokenizer Split:", "invert");
    size_t len = 0;
    *pattern = loom_json_str(loom_json_get(loom_json_get(split, "pattern"), "Regex"), &len);
    if (!*pattern || strlen(*pattern) != len)
        return loom_tokload_refuse(err, "pre_tokenizer Split:", "a pattern that is not a Regex");
    return LOOM_OK;
}

/* ByteLevel alone, or a Sequence of one Split and ByteLevel. */
static loom_status read_byte_pretokenizer(loom_tokenizer *tok, const loom_json *pre, loom_err *err)
{
    const char *pattern = NULL;
    bool one = loom_tokload_is(pre, "ByteLevel"), seen = false;
    const loom_json *list = one ? NULL : loom_json_get(pre, "pretokenizers");
    for (size_t i = 0; i < (one ? 1 : loom_json_len(list)); i++) {
        const loom_json *step = one ? pre : loom_json_at(list, i);
        if (loom_tokload_is(step, "Split") && !pattern && !seen) LOOM_TRY(read_split(step, &pattern, err));
        else if (!loom_tokload_is(step, "ByteLevel") || seen)
            return loom_tokload_refuse(err, "pre_tokenizer", loom_tokload_type(step));
        else {
            seen = true;
            bool prefix = true, regex = true;
            LOOM_TRY(loom_json_may_bool(step, "add_prefix_space", &prefix, err));
            LOOM_TRY(loom_json_may_bool(step, "use_regex", &regex, err));
            if (prefix) return loom_tokload_refuse(err, "pre_tokenizer ByteLevel:", "add_prefix_space");
            if (regex) {
                if (pattern) return loom_tokload_refuse(err, "pre_tokenizer ByteLevel:", "use_regex after a Split");
                pattern = LOOM_PATTERN_GPT2;
            }
        }
    }
    assert(seen); /* is_byte_level has found one */
    return loom_pretok_new(&tok->pretok, pattern, err);
}

/* What a token stands for. Without memory it is nothing, and the arena has failed. */
void loom_tokload_keep_bytes(loom_tokenizer *tok, int64_t id, const loom_buf *bytes)
{
    const char *copy = loom_arena_strdup(&tok->arena, loom_buf_text(bytes), bytes->len);
    tok->arena.failed |= loom_buf_failed(bytes);
    tok->bytes[id] = (loom_tok_text){copy, tok->arena.failed ? 0 : (uint32_t)bytes->len};
}

/* The bytes a token stands for; its own text where that has characters outside the alphabet, and then false. */
static bool byte_token_bytes(loom_tokenizer *tok, int64_t id, loom_buf *scratch)
{
    const loom_tok_text *t = &tok->texts[id];
    loom_buf_reset(scratch);
    for (size_t i = 0, n; i < t->len; i += n) {
        uint32_t code = 0;
        int byte;
        n = loom_utf8_get(t->data + i, t->len - i, &code);
        if (n == 0 || (byte = loom_char_byte(code)) < 0) {
            tok->bytes[id] = *t;
            return false;
        }
        loom_buf_char(scratch, (char)byte);
    }
    loom_tokload_keep_bytes(tok, id, scratch);
    return true;
}

static loom_status build_byte_family(loom_tokenizer *tok, loom_err *err)
{
    loom_buf scratch = {0};
    if (!loom_tok_map_init(&tok->by_bytes, (size_t)tok->n_ids)) return loom_fail_nomem(err, "a vocabulary");
    for (int64_t id = 0; id < tok->n_ids; id++)
        if (tok->texts[id].data && byte_token_bytes(tok, id, &scratch) && !(tok->flags[id] & LOOM_TOK_ADDED))
            loom_tok_map_put(&tok->by_bytes, tok->bytes, (int32_t)id);
    loom_buf_release(&scratch);
    LOOM_TRY(loom_arena_check(&tok->arena, "a vocabulary", err));
    for (int b = 0; b < 256; b++) {
        char c = (char)b;
        tok->byte_ids[b] = loom_tok_map_find(&tok->by_bytes, tok->bytes, &c, 1);
        if (tok->byte_ids[b] < 0)
            return loom_fail(err, LOOM_STATUS_FORMAT, "the vocabulary has no token for the byte 0x%02X", (unsigned)b);
    }
    return LOOM_OK;
}

/* ---- all of it ---- */

static loom_status check_model(const loom_json *model, loom_err *err)
{
    static const char *const affixes[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    if (!loom_json_is_object(model))
        return loom_fail(err, LOOM_STATUS_FORMAT, "not a tokenizer: it has no \"model\" object");
    const loom_json *type = loom_json_get(model, "type");
    if (type && !loom_tokload_says(type, "BPE")) return loom_tokload_refuse(err, "model", loom_tokload_type(model));
    if (loom_json_f64(loom_json_get(model, "dropout"), 0) != 0) return loom_tokload_refuse(err, "model:", "dropout");
    for (size_t i = 0; i < 2; i++) {
        const loom_json *affix = loom_json_get(model, affixes[i]);
        if (!loom_json_is_null(affix) && !loom_tokload_says(affix, ""))
            return loom_tokload_refuse(err, "model:", affixes[i]);
    }
    return LOOM_OK;
}

static bool is_byte_level(const loom_json *pre)
{
    const loom_json *list = loom_json_get(pre, "pretokenizers");
    if (loom_tokload_is(pre, "ByteLevel")) return true;
    for (size_t i = 0; loom_tokload_is(pre, "Sequence") && i < loom_json_len(list); i++)
        if (loom_tokload_is(loom_json_at(list, i), "ByteLevel")) return true;
    return false;
}

static loom_status build_bytes(loom_tokenizer *tok, const loom_json *root, const loom_json *model, loom_err *err)
{
    const loom_json *normalizer = loom_json_get(root, "normalizer"), *decoder = loom_json_get(root, "decoder");
    bool fallback = false;
    tok->family = LOOM_TOK_BYTES;
    LOOM_TRY(loom_json_may_bool(model, "byte_fallback", &fallback, err));
    LOOM_TRY(loom_json_may_bool(model, "ignore_merges", &tok->ignore_merges, err));
    if (!loom_json_is_null(normalizer)) return loom_tokload_refuse(err, "normalizer", loom_tokload_type(normalizer));
    if (!loom_tokload_is(decoder, "ByteLevel")) return loom_tokload_refuse(err, "decoder", loom_tokload_type(decoder));
    if (fallback) return loom_tokload_refuse(err, "model:", "byte_fallback together with ByteLevel");
    LOOM_TRY(read_byte_pretokenizer(tok, loom_json_get(root, "pre_tokenizer"), err));
    return build_byte_family(tok, err);
}

static loom_status build_from(loom_tokenizer *tok, const loom_json *root, loom_err *err)
{
    const loom_json *model = loom_json_get(root, "model");
    tok->bos = tok->eos = tok->unk = -1;
    LOOM_TRY(check_model(model, err));
    LOOM_TRY(read_tokens(tok, root, model, err));
    LOOM_TRY(read_merges(tok, model, err));
    if (is_byte_level(loom_json_get(root, "pre_tokenizer"))) LOOM_TRY(build_bytes(tok, root, model, err));
    else LOOM_TRY(loom_tokload_chars(tok, root, model, err));
    LOOM_TRY(loom_tokload_index_added(tok, err));
    LOOM_TRY(loom_tokload_postprocessor(tok, loom_json_get(root, "post_processor"), err));
    loom_tokload_special_ids(tok, model);
    return LOOM_OK;
}

loom_status loom_tokenizer_build(loom_tokenizer *tok, const char *name, loom_err *err)
{
    loom_json *root = NULL;
    LOOM_TRY(loom_json_parse(&root, loom_buf_text(&tok->json), tok->json.len, name, err));
    loom_status st = build_from(tok, root, err);
    loom_json_free(root);
    return st == LOOM_OK ? LOOM_OK : loom_err_in(err, "%s", name);
}
