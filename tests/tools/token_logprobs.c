/* token_logprobs MODEL TEXT SAMPLES PROMPTS: what another program's reading of MODEL is compared with, as lines of
 * JSON.
 *
 * For each of the first SAMPLES samples of TEXT: {"text", "tokens"}. For the first PROMPTS of them also, of the
 * sample's first half as a prompt: "prompt" (how many tokens), "logprobs" (natural logarithms, of every token of the
 * vocabulary as the next one) and "greedy" (the GREEDY most likely tokens, one after the other). An adapter in MODEL
 * takes part. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/json.h"
#include "core/num.h"
#include "model/model_files.h"
#include "model/step.h"
#include "tokenizer/tokenizer.h"
#include "trace/text/textfile.h"

enum { GREEDY = 24, LONGEST = 400 /* tokens of a prompt */ };

typedef struct rig {
    loom_model_files b;
    loom_tokenizer *tok;
    loom_tok_scratch *scratch;
    loom_acts *acts;
    float *logits; /* (LONGEST + GREEDY, V) */
} rig;

static loom_status open_rig(rig *r, const char *model, loom_err *err)
{
    loom_model_files_options o = {.frozen = true};
    LOOM_TRY(loom_model_files_load(&r->b, model, NULL, &o, err));
    LOOM_TRY(loom_tokenizer_parse(&r->tok, r->b.tokenizer, r->b.tokenizer_len, "tokenizer", err));
    loom_acts_options a = {.max_rows = LONGEST + GREEDY, .max_seq = LONGEST + GREEDY};
    LOOM_TRY(loom_acts_new(&r->acts, r->b.model, r->b.lora, &a, err));
    r->scratch = loom_tok_scratch_new(r->tok);
    r->logits = loom_alloc((size_t)(LONGEST + GREEDY) * (size_t)r->b.model->config.V, sizeof *r->logits);
    return r->scratch && r->logits ? LOOM_OK : loom_fail_nomem(err, "logits");
}

static void close_rig(rig *r)
{
    free(r->logits);
    loom_tok_scratch_free(r->scratch);
    loom_acts_free(r->acts);
    loom_tokenizer_free(r->tok);
    loom_model_files_release(&r->b);
}

/* Logits of the last of n tokens. */
static loom_status last_row(const float **row, rig *r, const int32_t *tokens, int64_t n, loom_err *err)
{
    int64_t segments[] = {0, n};
    loom_batch b = {.N = n, .n_segments = 1, .tokens = tokens, .segments = segments};
    LOOM_TRY(loom_llama_logits(r->acts, r->b.model, r->b.lora, &b, r->logits, err));
    *row = r->logits + (n - 1) * r->b.model->config.V;
    return LOOM_OK;
}

static void print_logprobs(const float *row, int64_t V)
{
    double most = row[0], sum = 0;
    for (int64_t i = 1; i < V; i++) most = row[i] > most ? row[i] : most;
    for (int64_t i = 0; i < V; i++) sum += exp(row[i] - most);
    printf(",\"logprobs\":[");
    for (int64_t i = 0; i < V; i++) printf("%s%.6f", i ? "," : "", row[i] - most - log(sum));
    printf("]");
}

static loom_status print_prompt(rig *r, const loom_tokens *all, loom_err *err)
{
    int64_t V = r->b.model->config.V, n = loom_min_i64((all->n + 1) / 2, LONGEST);
    int32_t tokens[LONGEST + GREEDY];
    const float *row;
    for (int64_t i = 0; i < n; i++) tokens[i] = all->ids[i];
    LOOM_TRY(last_row(&row, r, tokens, n, err));
    printf(",\"prompt\":%lld", (long long)n);
    print_logprobs(row, V);
    printf(",\"greedy\":[");
    for (int64_t k = 0; k < GREEDY; k++) {
        int32_t best = 0;
        for (int32_t i = 1; i < V; i++) best = row[i] > row[best] ? i : best;
        printf("%s%d", k ? "," : "", best);
        tokens[n + k] = best;
        if (k + 1 < GREEDY) LOOM_TRY(last_row(&row, r, tokens, n + k + 1, err));
    }
    printf("]");
    return LOOM_OK;
}

static loom_status print_sample(rig *r, const loom_textfile_sample *s, bool prompt, loom_err *err)
{
    loom_tokens tokens = {0};
    loom_buf text = {0};
    loom_jw w;
    loom_status st = LOOM_OK;
    loom_tokenizer_encode(&tokens, r->tok, r->scratch, s->text, s->len, LOOM_ENCODE_PLAIN);
    loom_jw_init(&w, &text, false);
    loom_jw_strn(&w, s->text, s->len);
    printf("{\"text\":%s,\"tokens\":[", loom_buf_text(&text));
    for (int64_t i = 0; i < tokens.n; i++) printf("%s%d", i ? "," : "", tokens.ids[i]);
    printf("]");
    if (prompt) st = print_prompt(r, &tokens, err);
    printf("}\n");
    loom_buf_release(&text);
    loom_tokens_release(&tokens);
    return st;
}

int main(int argc, char **argv)
{
    loom_textfile *file = NULL;
    loom_textfile_sample s;
    loom_err err = {0};
    rig r = {0};
    int64_t samples = 0, prompts = 0;

    if (argc != 5 || !loom_parse_i64(argv[3], strlen(argv[3]), &samples) ||
        !loom_parse_i64(argv[4], strlen(argv[4]), &prompts)) {
        fprintf(stderr, "usage: token_logprobs MODEL TEXT SAMPLES PROMPTS\n");
        return 2;
    }
    loom_status st = open_rig(&r, argv[1], &err);
    if (st == LOOM_OK) st = loom_textfile_open(&file, argv[2], &err);
    for (int64_t i = 0; st == LOOM_OK && i < samples; i++) {
        if ((st = loom_textfile_next(file, &s, &err)) != LOOM_OK || !s.text) break;
        st = print_sample(&r, &s, i < prompts, &err);
    }
    loom_textfile_close(&file);
    close_rig(&r);
    if (st != LOOM_OK) fprintf(stderr, "token_logprobs: %s\n", err.msg);
    return st == LOOM_OK ? 0 : 1;
}
