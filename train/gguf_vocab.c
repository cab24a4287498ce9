#include "train/gguf_vocab.h"

#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/num.h"
#include "trace/text/names.h"
#include "trace/text/textfile.h"
#include "train/piece_scores.h"

/* Types of tokens, numbered as in the file. */
enum { NORMAL = 1, UNKNOWN = 2, CONTROL = 3, USER_DEFINED = 4, UNUSED = 5, BYTE = 6 };

/* ---- which vocabulary ---- */

static loom_status find_scores(loom_gguf_vocab *v, const loom_model_files *b, loom_err *err)
{
    v->scores = loom_calloc((size_t)loom_tokenizer_vocab_size(v->tok), sizeof *v->scores);
    if (!v->scores) return loom_fail_nomem(err, "the scores of the pieces");
    bool found = false;
    LOOM_TRY(loom_piece_scores_read(v->scores, &found, v->tok, b->path, err));
    if (found || loom_tokenizer_llama2_scores(v->scores, v->tok)) return LOOM_OK;
    return loom_fail(
        err, LOOM_STATUS_FORMAT,
        "%s: llama.cpp joins pieces of this kind of vocabulary by score, and tokenizer.json has none; export "
        "from a Hugging Face folder that holds tokenizer.model too",
        b->path);
}

loom_status loom_gguf_vocab_init(loom_gguf_vocab *v, const loom_model_files *b, loom_err *err)
{
    *v = (loom_gguf_vocab){0};
    if (!b->tokenizer)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s holds no tokenizer, which a GGUF file must have", b->path);
    LOOM_TRY(loom_tokenizer_parse(&v->tok, b->tokenizer, b->tokenizer_len, "tokenizer of the model", err));
    v->kind = loom_tokenizer_kind(v->tok);
    if (loom_tokenizer_vocab_size(v->tok) > b->model->config.V)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s: the tokenizer has %lld tokens, the model only %lld", b->path,
                         (long long)loom_tokenizer_vocab_size(v->tok), (long long)b->model->config.V);
    if (v->kind == LOOM_TOK_KIND_LLAMA2) return find_scores(v, b, err);
    if (v->kind != LOOM_TOK_KIND_OTHER) return LOOM_OK;
    return loom_fail(
        err, LOOM_STATUS_FORMAT,
        "%s: llama.cpp knows no way to cut texts as this tokenizer does; GGUF is written for the tokenizers of "
        "loom-preprocess, Llama-2 and Llama-3",
        b->path);
}

void loom_gguf_vocab_release(loom_gguf_vocab *v)
{
    loom_tokenizer_free(v->tok);
    free(v->scores);
    *v = (loom_gguf_vocab){0};
}

/* ---- facts ---- */

static int type_of(const loom_gguf_vocab *v, int32_t id, const char *text, size_t n_bytes)
{
    bool llama2 = v->kind == LOOM_TOK_KIND_LLAMA2;

    if (!text) return UNUSED;
    if (id == loom_tokenizer_unk(v->tok)) return UNKNOWN;
    if (loom_tokenizer_is_special(v->tok, id)) return CONTROL;
    if (llama2 && n_bytes == 1 && strlen(text) == 6 && memcmp(text, "<0x", 3) == 0) return BYTE;
    return v->kind == LOOM_TOK_KIND_DOMAIN && n_bytes > 1 ? USER_DEFINED : NORMAL;
}

static void put_tokens(loom_gguf *g, const loom_gguf_vocab *v, int64_t V)
{
    loom_gguf_array(g, "tokenizer.ggml.tokens", LOOM_GGUF_STR, (uint64_t)V);
    for (int32_t id = 0; id < V; id++) {
        size_t n;
        char unused[32];
        const char *text = loom_tokenizer_text(v->tok, id), *bytes = loom_tokenizer_bytes(v->tok, id, &n);
        int type = type_of(v, id, text, n);
        snprintf(unused, sizeof unused, "[unused %d]", id);
        if (type == USER_DEFINED) /* taken out of the text as it is */
            loom_gguf_add_str(g, bytes, n);
        else if (type == UNUSED) loom_gguf_add_str(g, unused, strlen(unused));
        else loom_gguf_add_str(g, text, strlen(text));
    }
    loom_gguf_array(g, "tokenizer.ggml.token_type", LOOM_GGUF_I32, (uint64_t)V);
    for (int32_t id = 0; id < V; id++) {
        size_t n;
        (void)loom_tokenizer_bytes(v->tok, id, &n);
        loom_gguf_add_i32(g, type_of(v, id, loom_tokenizer_text(v->tok, id), n));
    }
}

static void put_scores(loom_gguf *g, const loom_gguf_vocab *v, int64_t V)
{
    int64_t n = loom_tokenizer_vocab_size(v->tok);

    loom_gguf_array(g, "tokenizer.ggml.scores", LOOM_GGUF_F32, (uint64_t)V);
    for (int64_t id = 0; id < V; id++) loom_gguf_add_f32(g, id < n ? v->scores[id] : -1e9f);
}

/* "a b" for every merge; tokenizer.json has that text, or a pair. */
static loom_status put_merges(loom_gguf *g, const loom_gguf_vocab *v, loom_err *err)
{
    size_t len = 0;
    const char *text = loom_tokenizer_json(v->tok, &len);
    loom_json *root = NULL;
    loom_buf line = {0};

    LOOM_TRY(loom_json_parse(&root, text, len, "tokenizer of the model", err));
    const loom_json *merges = loom_json_get(loom_json_get(root, "model"), "merges");
    loom_gguf_array(g, "tokenizer.ggml.merges", LOOM_GGUF_STR, loom_json_len(merges));
    for (size_t i = 0; i < loom_json_len(merges); i++) {
        const loom_json *m = loom_json_at(merges, i);
        loom_buf_reset(&line);
        if (loom_json_is_string(m)) loom_buf_str(&line, loom_json_str(m, NULL));
        else
            loom_buf_printf(&line, "%s %s", loom_json_str(loom_json_at(m, 0), NULL),
                            loom_json_str(loom_json_at(m, 1), NULL));
        loom_gguf_add_str(g, loom_buf_text(&line), line.len);
    }
    loom_json_free(root);
    loom_status st = loom_buf_check(&line, "the merges", err);
    loom_buf_release(&line);
    return st;
}

static void put_id(loom_gguf *g, const char *key, int64_t id)
{
    if (id >= 0) loom_gguf_u32(g, key, (uint32_t)id);
}

loom_status loom_gguf_vocab_put(loom_gguf *g, const loom_gguf_vocab *v, const loom_config *c, bool add_bos,
                                loom_err *err)
{
    bool llama2 = v->kind == LOOM_TOK_KIND_LLAMA2;

    loom_gguf_str(g, "tokenizer.ggml.model", llama2 ? "llama" : "gpt2");
    loom_gguf_str(g, "tokenizer.ggml.pre",
                  llama2                            ? "default"
                  : v->kind == LOOM_TOK_KIND_LLAMA3 ? "llama-bpe"
                                                    : "smollm");
    put_tokens(g, v, c->V);
    if (llama2) put_scores(g, v, c->V);
    else LOOM_TRY(put_merges(g, v, err));
    put_id(g, "tokenizer.ggml.bos_token_id", loom_tokenizer_bos(v->tok));
    put_id(g, "tokenizer.ggml.eos_token_id", c->n_eos > 0 ? c->eos_ids[0] : loom_tokenizer_eos(v->tok));
    put_id(g, "tokenizer.ggml.unknown_token_id", loom_tokenizer_unk(v->tok));
    loom_gguf_bool(g, "tokenizer.ggml.add_bos_token", add_bos && loom_tokenizer_bos(v->tok) >= 0);
    loom_gguf_bool(g, "tokenizer.ggml.add_eos_token", false);
    if (v->kind != LOOM_TOK_KIND_LLAMA3) loom_gguf_bool(g, "tokenizer.ggml.add_space_prefix", llama2);
    return LOOM_OK;
}

/* ---- does it cut as we do? ---- */

typedef struct comparison {
    loom_gguf_check *k;
    const loom_tokenizer *tok;
    loom_foreign *foreign;
    loom_tok_scratch *scratch;
    loom_tokens ours, theirs;
} comparison;

static loom_status begin_comparison(comparison *c, loom_gguf_check *k, const loom_gguf_vocab *v, loom_err *err)
{
    *c = (comparison){
        .k = k, .tok = v->tok, .foreign = loom_foreign_new(v->tok, v->scores), .scratch = loom_tok_scratch_new(v->tok)};
    return c->foreign && c->scratch ? LOOM_OK : loom_fail_nomem(err, "the comparison of tokens");
}

static loom_status end_comparison(comparison *c, loom_status st, loom_err *err)
{
    if (st == LOOM_OK && (c->ours.failed || c->theirs.failed)) st = loom_fail_nomem(err, "the comparison of tokens");
    loom_foreign_free(c->foreign);
    loom_tok_scratch_free(c->scratch);
    loom_tokens_release(&c->ours);
    loom_tokens_release(&c->theirs);
    return st;
}

static void compare(comparison *c, const char *text, size_t len)
{
    loom_tokens_reset(&c->ours);
    loom_tokens_reset(&c->theirs);
    loom_tokenizer_encode(&c->ours, c->tok, c->scratch, text, len, LOOM_ENCODE_PLAIN);
    bool clear = loom_foreign_encode(&c->theirs, c->foreign, text, len);
    c->k->texts++;
    if (clear && c->ours.n == c->theirs.n &&
        memcmp(c->ours.ids, c->theirs.ids, (size_t)c->ours.n * sizeof *c->ours.ids) == 0)
        return;
    if (c->k->differ++ == 0) snprintf(c->k->first, sizeof c->k->first, "%.*s", (int)(len < 150 ? len : 150), text);
}

loom_status loom_gguf_check_names(loom_gguf_check *k, const loom_gguf_vocab *v, const loom_model_files *b,
                                  loom_err *err)
{
    loom_names names = {0};
    comparison c;
    loom_status st;

    if (!b->names || v->kind == LOOM_TOK_KIND_LLAMA3) return LOOM_OK;
    LOOM_TRY(begin_comparison(&c, k, v, err));
    if ((st = loom_names_parse(&names, b->names, b->names_len, "names of the model", err)) != LOOM_OK) goto done;
    if ((st = loom_names_sort(&names, err)) != LOOM_OK) goto done;
    for (size_t i = 0; i < names.n; i++) compare(&c, names.items[i], strlen(names.items[i]));
    for (size_t i = 0; i < names.n_services; i++) compare(&c, names.service_items[i], strlen(names.service_items[i]));
done:
    loom_names_release(&names);
    return end_comparison(&c, st, err);
}

loom_status loom_gguf_check_texts(loom_gguf_check *k, const loom_gguf_vocab *v, const char *path, int64_t most,
                                  loom_err *err)
{
    loom_textfile *file = NULL;
    loom_textfile_sample s;
    comparison c;
    loom_status st;

    if (v->kind == LOOM_TOK_KIND_LLAMA3) return LOOM_OK;
    LOOM_TRY(begin_comparison(&c, k, v, err));
    st = loom_textfile_open(&file, path, err);
    for (int64_t i = 0; st == LOOM_OK && i < most; i++) {
        if ((st = loom_textfile_next(file, &s, err)) != LOOM_OK || !s.text) break;
        compare(&c, s.text, s.len);
    }
    loom_textfile_close(&file);
    return end_comparison(&c, st, err);
}
