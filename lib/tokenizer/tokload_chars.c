/* The character family of tokenizer.json (Llama-2): blanks as U+2581, characters joined, the rest spelt by bytes. */
#include <stdio.h>

#include "tokenizer/tokload_impl.h"

static bool is_blank_replace(const loom_json *r, const char *from, const char *to)
{
    return loom_tokload_is(r, "Replace") &&
           loom_tokload_says(loom_json_get(loom_json_get(r, "pattern"), "String"), from) &&
           loom_tokload_says(loom_json_get(r, "content"), to);
}

/* null, Replace " " -> U+2581, or Sequence[Prepend U+2581, Replace]. *blanks: the Replace is there. */
static loom_status read_normalizer(loom_tokenizer *tok, const loom_json *normalizer, bool *blanks, loom_err *err)
{
    bool one = !loom_tokload_is(normalizer, "Sequence");
    const loom_json *list = loom_json_get(normalizer, "normalizers");
    *blanks = false;
    if (loom_json_is_null(normalizer)) return LOOM_OK;
    for (size_t i = 0; i < (one ? 1 : loom_json_len(list)); i++) {
        const loom_json *step = one ? normalizer : loom_json_at(list, i);
        if (is_blank_replace(step, " ", LOOM_TOK_BLANK) && !*blanks) *blanks = true;
        else if (loom_tokload_is(step, "Prepend") &&
                 loom_tokload_says(loom_json_get(step, "prepend"), LOOM_TOK_BLANK) && !*blanks &&
                 tok->prefix == LOOM_PREFIX_NEVER)
            tok->prefix = LOOM_PREFIX_ALWAYS;
        else return loom_tokload_refuse(err, "normalizer", loom_tokload_type(step));
    }
    if (!*blanks) return loom_tokload_refuse(err, "normalizer", "without a Replace of blanks");
    return LOOM_OK;
}

/* *split: every blank begins a word. */
static loom_status read_metaspace(loom_tokenizer *tok, const loom_json *pre, bool *split, loom_err *err)
{
    const char *scheme = loom_json_str(loom_json_get(pre, "prepend_scheme"), NULL);
    bool prefix = true;
    *split = true;
    if (!loom_tokload_is(pre, "Metaspace")) return loom_tokload_refuse(err, "pre_tokenizer", loom_tokload_type(pre));
    if (!loom_tokload_says(loom_json_get(pre, "replacement"), LOOM_TOK_BLANK))
        return loom_tokload_refuse(err, "pre_tokenizer Metaspace:", "a replacement other than U+2581");
    LOOM_TRY(loom_json_may_bool(pre, "add_prefix_space", &prefix, err));
    if (!scheme) scheme = prefix ? "always" : "never";
    if (strcmp(scheme, "always") == 0) tok->prefix = LOOM_PREFIX_ALWAYS;
    else if (strcmp(scheme, "first") == 0) tok->prefix = LOOM_PREFIX_FIRST;
    else if (strcmp(scheme, "never") != 0)
        return loom_tokload_refuse(err, "pre_tokenizer Metaspace: prepend_scheme", scheme);
    tok->prefix_if_missing = true;
    return loom_json_may_bool(pre, "split", split, err);
}

static loom_status read_char_decoder(loom_tokenizer *tok, const loom_json *decoder, loom_err *err)
{
    const loom_json *list = loom_json_get(decoder, "decoders");
    size_t n = loom_json_len(list);
    if (!loom_tokload_is(decoder, "Sequence")) return loom_tokload_refuse(err, "decoder", loom_tokload_type(decoder));
    if (n < 3 || n > 4 || !is_blank_replace(loom_json_at(list, 0), LOOM_TOK_BLANK, " ") ||
        !loom_tokload_is(loom_json_at(list, 1), "ByteFallback") || !loom_tokload_is(loom_json_at(list, 2), "Fuse"))
        return loom_tokload_refuse(err, "decoder", "Sequence other than Replace, ByteFallback, Fuse, Strip");
    if (n == 3) return LOOM_OK;
    const loom_json *strip = loom_json_at(list, 3);
    if (!loom_tokload_is(strip, "Strip") || !loom_tokload_says(loom_json_get(strip, "content"), " ") ||
        loom_json_i64(loom_json_get(strip, "start"), 0) != 1 || loom_json_i64(loom_json_get(strip, "stop"), 0) != 0)
        return loom_tokload_refuse(err, "decoder", "Strip of anything but one leading blank");
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
    loom_tokload_keep_bytes(tok, id, scratch);
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

loom_status loom_tokload_chars(loom_tokenizer *tok, const loom_json *root, const loom_json *model, loom_err *err)
{
    const loom_json *pre = loom_json_get(root, "pre_tokenizer");
    bool blanks, split = false, fallback = false, whole = false;
    tok->family = LOOM_TOK_CHARS;
    LOOM_TRY(loom_json_may_bool(model, "byte_fallback", &fallback, err));
    LOOM_TRY(loom_json_may_bool(model, "ignore_merges", &whole, err));
    if (!fallback) return loom_tokload_refuse(err, "model:", "BPE with neither ByteLevel nor byte_fallback");
    if (whole) return loom_tokload_refuse(err, "model:", "ignore_merges together with byte_fallback");
    LOOM_TRY(read_normalizer(tok, loom_json_get(root, "normalizer"), &blanks, err));
    if (!loom_json_is_null(pre)) {
        if (blanks) return loom_tokload_refuse(err, "pre_tokenizer after a normalizer:", loom_tokload_type(pre));
        LOOM_TRY(read_metaspace(tok, pre, &split, err));
    } else if (!blanks) return loom_tokload_refuse(err, "pre_tokenizer null", "without a normalizer");
    LOOM_TRY(read_char_decoder(tok, loom_json_get(root, "decoder"), err));
    return build_char_family(tok, split, err);
}
