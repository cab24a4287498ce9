/* tokenizer.json -> loom_tokenizer. Every component is either understood exactly or refused by its name. */
#include "core/hash.h"
#include "core/json.h"
#include "core/num.h"
#include "tokenizer/tok_internal.h"

enum { MAX_TOKENS = 4 << 20, MAX_TOKEN_BYTES = 1 << 16 };

static loom_status refuse(loom_err *err, const char *place, const char *what)
{
    return loom_fail(err, LOOM_STATUS_FORMAT,
                     "%s %.100s is not supported; use a Llama-2 or Llama-3 style BPE tokenizer.json", place, what);
}

static const char *type_of(const loom_json *component)
{
    const char *type = loom_json_str(loom_json_get(component, "type"), NULL);
    return type ? type : "without a type";
}

static bool has_type(const loom_json *component, const char *type) { return strcmp(type_of(component), type) == 0; }

static bool str_is(const loom_json *node, const char *text)
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

    for (size_t i = 0; i < 3; i++)
        if (loom_json_bool(loom_json_get(token, unsupported[i]), false))
            return loom_fail(err, LOOM_STATUS_FORMAT, "added token \"%.60s\" has %s, which is not supported", content,
                             unsupported[i]);
    if (has_normalizer && loom_json_bool(loom_json_get(token, "normalized"), false))
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "added token \"%.60s\" is matched in normalized text, which is not supported; set its "
                         "\"normalized\" to false",
                         content);
    LOOM_TRY(put_token(tok, id, content, len, err));
    bool special = loom_json_bool(loom_json_get(token, "special"), false);
    tok->flags[id] = (uint8_t)(tok->flags[id] | LOOM_TOK_ADDED | (special ? LOOM_TOK_SPECIAL : 0));
    return LOOM_OK;
}

static loom_status read_tokens(loom_tokenizer *tok, const loom_json *root, const loom_json *model, loom_err *err)
{
    const loom_json *vocab = loom_json_get(model, "vocab"), *added = loom_json_get(root, "added_tokens");
    bool has_normalizer = !loom_json_is_null(loom_json_get(root, "normalizer"));

    if (!loom_json_is_object(vocab) || loom_json_len(vocab) == 0)
        return loom_fail(err, LOOM_STATUS_FORMAT, "\"model\" has no \"vocab\" object with tokens");
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
    if (!str_is(loom_json_get(split, "behavior"), "Isolated"))
        return refuse(err, "pre_tokenizer Split: behavior", "other than Isolated");
    if (loom_json_bool(loom_json_get(split, "invert"), false)) return refuse(err, "pre_tokenizer Split:", "invert");
    size_t len = 0;
    *pattern = loom_json_str(loom_json_get(loom_json_get(split, "pattern"), "Regex"), &len);
    if (!*pattern || strlen(*pattern) != len)
        return refuse(err, "pre_tokenizer Split:", "a pattern that is not a Regex");
    return LOOM_OK;
}

/* ByteLevel alone, or a Sequence of one Split and ByteLevel. */
static loom_status read_byte_pretokenizer(loom_tokenizer *tok, const loom_json *pre, loom_err *err)
{
    const char *pattern = NULL;
    bool one = has_type(pre, "ByteLevel"), seen = false;
    const loom_json *list = one ? NULL : loom_json_get(pre, "pretokenizers");
    for (size_t i = 0; i < (one ? 1 : loom_json_len(list)); i++) {
        const loom_json *step = one ? pre : loom_json_at(list, i);
        if (has_type(step, "Split") && !pattern && !seen) LOOM_TRY(read_split(step, &pattern, err));
        else if (!has_type(step, "ByteLevel") || seen) return refuse(err, "pre_tokenizer", type_of(step));
        else {
            seen = true;
            if (loom_json_bool(loom_json_get(step, "add_prefix_space"), true))
                return refuse(err, "pre_tokenizer ByteLevel:", "add_prefix_space");
            if (loom_json_bool(loom_json_get(step, "use_regex"), true)) {
                if (pattern) return refuse(err, "pre_tokenizer ByteLevel:", "use_regex after a Split");
                pattern = LOOM_PATTERN_GPT2;
            }
        }
    }
    if (!seen) return refuse(err, "pre_tokenizer", "Sequence without ByteLevel");
    return loom_pretok_new(&tok->pretok, pattern, err);
}

/* What a token stands for. Without memory it is nothing, and the arena has failed. */
static void keep_bytes(loom_tokenizer *tok, int64_t id, const loom_buf *bytes)
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
    keep_bytes(tok, id, scratch);
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

/* ---- the character family ---- */

static bool is_blank_replace(const loom_json *r, const char *from, const char *to)
{
    return has_type(r, "Replace") && str_is(loom_json_get(loom_json_get(r, "pattern"), "String"), from) &&
           str_is(loom_json_get(r, "content"), to);
}

/* null, Replace " " -> U+2581, or Sequence[Prepend U+2581, Replace]. *blanks: the Replace is there. */
static loom_status read_normalizer(loom_tokenizer *tok, const loom_json *normalizer, bool *blanks, loom_err *err)
{
    bool one = !has_type(normalizer, "Sequence");
    const loom_json *list = loom_json_get(normalizer, "normalizers");
    *blanks = false;
    if (loom_json_is_null(normalizer)) return LOOM_OK;
    for (size_t i = 0; i < (one ? 1 : loom_json_len(list)); i++) {
        const loom_json *step = one ? normalizer : loom_json_at(list, i);
        if (is_blank_replace(step, " ", LOOM_TOK_BLANK) && !*blanks) *blanks = true;
        else if (has_type(step, "Prepend") && str_is(loom_json_get(step, "prepend"), LOOM_TOK_BLANK) && !*blanks &&
                 tok->prefix == LOOM_PREFIX_NEVER)
            tok->prefix = LOOM_PREFIX_ALWAYS;
        else return refuse(err, "normalizer", type_of(step));
    }
    if (!*blanks) return refuse(err, "normalizer", "without a Replace of blanks");
    return LOOM_OK;
}

/* *split: every blank begins a word. */
static loom_status read_metaspace(loom_tokenizer *tok, const loom_json *pre, bool *split, loom_err *err)
{
    const char *scheme = loom_json_str(loom_json_get(pre, "prepend_scheme"), NULL);
    if (!has_type(pre, "Metaspace")) return refuse(err, "pre_tokenizer", type_of(pre));
    if (!str_is(loom_json_get(pre, "replacement"), LOOM_TOK_BLANK))
        return refuse(err, "pre_tokenizer Metaspace:", "a replacement other than U+2581");
    if (!scheme) scheme = loom_json_bool(loom_json_get(pre, "add_prefix_space"), true) ? "always" : "never";
    if (strcmp(scheme, "always") == 0) tok->prefix = LOOM_PREFIX_ALWAYS;
    else if (strcmp(scheme, "first") == 0) tok->prefix = LOOM_PREFIX_FIRST;
    else if (strcmp(scheme, "never") != 0) return refuse(err, "pre_tokenizer Metaspace: prepend_scheme", scheme);
    tok->prefix_if_missing = true;
    *split = loom_json_bool(loom_json_get(pre, "split"), true);
    return LOOM_OK;
}

static loom_status read_char_decoder(loom_tokenizer *tok, const loom_json *decoder, loom_err *err)
{
    const loom_json *list = loom_json_get(decoder, "decoders");
    size_t n = loom_json_len(list);
    if (!has_type(decoder, "Sequence")) return refuse(err, "decoder", type_of(decoder));
    if (n < 3 || n > 4 || !is_blank_replace(loom_json_at(list, 0), LOOM_TOK_BLANK, " ") ||
        !has_type(loom_json_at(list, 1), "ByteFallback") || !has_type(loom_json_at(list, 2), "Fuse"))
        return refuse(err, "decoder", "Sequence other than Replace, ByteFallback, Fuse, Strip");
    if (n == 3) return LOOM_OK;
    const loom_json *strip = loom_json_at(list, 3);
    if (!has_type(strip, "Strip") || !str_is(loom_json_get(strip, "content"), " ") ||
        loom_json_i64(loom_json_get(strip, "start"), 0) != 1 || loom_json_i64(loom_json_get(strip, "stop"), 0) != 0)
        return refuse(err, "decoder", "Strip of anything but one leading blank");
    tok->strip_first_blank = true;
    return LOOM_OK;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte of "<0xHH>", -1 for any other text. */
static int byte_of_text(const loom_tok_text *t)
{
    if (t->len != 6 || memcmp(t->data, "<0x", 3) != 0 || t->data[5] != '>') return -1;
    int high = hex_digit(t->data[3]), low = hex_digit(t->data[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static void char_token_bytes(loom_tokenizer *tok, int64_t id, loom_buf *scratch)
{
    const loom_tok_text *t = &tok->texts[id];
    int byte = byte_of_text(t);
    loom_buf_reset(scratch);
    if (byte >= 0) {
        tok->flags[id] |= LOOM_TOK_BYTE;
        loom_buf_char(scratch, (char)byte);
    } else {
        for (size_t i = 0; i < t->len;) {
            bool blank = t->len - i >= 3 && memcmp(t->data + i, LOOM_TOK_BLANK, 3) == 0;
            loom_buf_char(scratch, blank ? ' ' : t->data[i]);
            i += blank ? 3 : 1;
        }
    }
    keep_bytes(tok, id, scratch);
}

static int class_of_char(const char *text, size_t n)
{
    if (n == 1 && (unsigned char)text[0] < 128) return text[0];
    return n == 3 && memcmp(text, LOOM_TOK_BLANK, 3) == 0 ? ' ' : LOOM_TOK_OTHER;
}

/* Two neighbouring characters that no joined token holds can be cut apart: no merge will ever reach over the place. */
static void find_cuts(loom_tokenizer *tok, bool split)
{
    memset(tok->cut, 1, sizeof tok->cut);
    for (size_t r = 0; r <= tok->merges.mask; r++) {
        const loom_merge_rule *rule = &tok->merges.rules[r];
        if (rule->pair == LOOM_MERGE_EMPTY) continue;
        if ((tok->flags[rule->pair >> 32] | tok->flags[rule->pair & UINT32_MAX]) & LOOM_TOK_BYTE) {
            memset(tok->cut, 0, sizeof tok->cut); /* byte tokens hide the characters they spell */
            break;
        }
        const loom_tok_text *t = &tok->texts[rule->joined];
        int left = -1;
        for (size_t i = 0, n; i < t->len; i += n) {
            n = loom_utf8_get(t->data + i, t->len - i, NULL);
            if (n == 0) n = 1;
            int right = class_of_char(t->data + i, n);
            if (left >= 0) tok->cut[left][right] = 0;
            left = right;
        }
    }
    for (int c = 0; split && c < LOOM_TOK_CLASSES; c++) tok->cut[c][' '] = 1;
}

static loom_status build_char_family(loom_tokenizer *tok, bool split, loom_err *err)
{
    loom_buf scratch = {0};
    for (int64_t id = 0; id < tok->n_ids; id++)
        if (tok->texts[id].data) char_token_bytes(tok, id, &scratch);
    loom_buf_release(&scratch);
    LOOM_TRY(loom_arena_check(&tok->arena, "a vocabulary", err));
    for (int b = 0; b < 256; b++) {
        char text[8];
        snprintf(text, sizeof text, "<0x%02X>", (unsigned)b);
        tok->byte_ids[b] = loom_tok_map_find(&tok->by_text, tok->texts, text, 6);
        if (tok->byte_ids[b] < 0)
            return loom_fail(err, LOOM_STATUS_FORMAT, "the vocabulary has no byte token %s, which byte_fallback needs",
                             text);
    }
    for (int c = 0; c < 128; c++) {
        char byte = (char)c;
        const char *text = c == ' ' ? LOOM_TOK_BLANK : &byte;
        tok->char_ids[c] = loom_tok_map_find(&tok->by_text, tok->texts, text, c == ' ' ? 3 : 1);
    }
    if (tok->char_ids[' '] < 0) return loom_fail(err, LOOM_STATUS_FORMAT, "the vocabulary has no token for a blank");
    find_cuts(tok, split);
    return LOOM_OK;
}

/* ---- added tokens, special ids ---- */

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

static loom_status index_added(loom_tokenizer *tok, loom_err *err)
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

static loom_status read_postprocessor(loom_tokenizer *tok, const loom_json *post, loom_err *err)
{
    bool one = !has_type(post, "Sequence");
    const loom_json *list = loom_json_get(post, "processors");
    if (loom_json_is_null(post)) return LOOM_OK;
    for (size_t i = 0; i < (one ? 1 : loom_json_len(list)); i++) {
        const loom_json *step = one ? post : loom_json_at(list, i);
        if (has_type(step, "ByteLevel")) continue; /* moves offsets only */
        if (!has_type(step, "TemplateProcessing")) return refuse(err, "post_processor", type_of(step));
        const loom_json *single = loom_json_get(step, "single");
        size_t n = loom_json_len(single);
        if (n == 0) continue;
        LOOM_TRY(template_token(tok, loom_json_at(single, 0), &tok->bos, err));
        if (n > 1) LOOM_TRY(template_token(tok, loom_json_at(single, n - 1), &tok->eos, err));
    }
    return LOOM_OK;
}

static void find_special_ids(loom_tokenizer *tok, const loom_json *model)
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

/* ---- all of it ---- */

static loom_status check_model(const loom_json *model, loom_err *err)
{
    static const char *const affixes[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    if (!loom_json_is_object(model))
        return loom_fail(err, LOOM_STATUS_FORMAT, "not a tokenizer: it has no \"model\" object");
    const loom_json *type = loom_json_get(model, "type");
    if (type && !str_is(type, "BPE")) return refuse(err, "model", type_of(model));
    if (loom_json_f64(loom_json_get(model, "dropout"), 0) != 0) return refuse(err, "model:", "dropout");
    for (size_t i = 0; i < 2; i++) {
        const loom_json *affix = loom_json_get(model, affixes[i]);
        if (!loom_json_is_null(affix) && !str_is(affix, "")) return refuse(err, "model:", affixes[i]);
    }
    return LOOM_OK;
}

static bool is_byte_level(const loom_json *pre)
{
    const loom_json *list = loom_json_get(pre, "pretokenizers");
    if (has_type(pre, "ByteLevel")) return true;
    for (size_t i = 0; has_type(pre, "Sequence") && i < loom_json_len(list); i++)
        if (has_type(loom_json_at(list, i), "ByteLevel")) return true;
    return false;
}

static loom_status build_bytes(loom_tokenizer *tok, const loom_json *root, const loom_json *model, loom_err *err)
{
    const loom_json *normalizer = loom_json_get(root, "normalizer"), *decoder = loom_json_get(root, "decoder");
    tok->family = LOOM_TOK_BYTES;
    if (!loom_json_is_null(normalizer)) return refuse(err, "normalizer", type_of(normalizer));
    if (!has_type(decoder, "ByteLevel")) return refuse(err, "decoder", type_of(decoder));
    if (loom_json_bool(loom_json_get(model, "byte_fallback"), false))
        return refuse(err, "model:", "byte_fallback together with ByteLevel");
    tok->ignore_merges = loom_json_bool(loom_json_get(model, "ignore_merges"), false);
    LOOM_TRY(read_byte_pretokenizer(tok, loom_json_get(root, "pre_tokenizer"), err));
    return build_byte_family(tok, err);
}

static loom_status build_chars(loom_tokenizer *tok, const loom_json *root, const loom_json *model, loom_err *err)
{
    const loom_json *pre = loom_json_get(root, "pre_tokenizer");
    bool blanks, split = false;
    tok->family = LOOM_TOK_CHARS;
    if (!loom_json_bool(loom_json_get(model, "byte_fallback"), false))
        return refuse(err, "model:", "BPE with neither ByteLevel nor byte_fallback");
    if (loom_json_bool(loom_json_get(model, "ignore_merges"), false))
        return refuse(err, "model:", "ignore_merges together with byte_fallback");
    LOOM_TRY(read_normalizer(tok, loom_json_get(root, "normalizer"), &blanks, err));
    if (!loom_json_is_null(pre)) {
        if (blanks) return refuse(err, "pre_tokenizer after a normalizer:", type_of(pre));
        LOOM_TRY(read_metaspace(tok, pre, &split, err));
    } else if (!blanks) return refuse(err, "pre_tokenizer null", "without a normalizer");
    LOOM_TRY(read_char_decoder(tok, loom_json_get(root, "decoder"), err));
    return build_char_family(tok, split, err);
}

static loom_status build_from(loom_tokenizer *tok, const loom_json *root, loom_err *err)
{
    const loom_json *model = loom_json_get(root, "model");
    tok->bos = tok->eos = tok->unk = -1;
    LOOM_TRY(check_model(model, err));
    LOOM_TRY(read_tokens(tok, root, model, err));
    LOOM_TRY(read_merges(tok, model, err));
    if (is_byte_level(loom_json_get(root, "pre_tokenizer"))) LOOM_TRY(build_bytes(tok, root, model, err));
    else LOOM_TRY(build_chars(tok, root, model, err));
    LOOM_TRY(index_added(tok, err));
    LOOM_TRY(read_postprocessor(tok, loom_json_get(root, "post_processor"), err));
    find_special_ids(tok, model);
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
