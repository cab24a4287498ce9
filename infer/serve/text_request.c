#include "infer/serve/text_request.h"

#include <stdlib.h>

#include "core/num.h"
#include "infer/serve/json_fields.h"

enum { MOST_STOPS = 64, MOST_STOP_IDS = 256, MOST_LOGPROBS = 20, DEFAULT_TOKENS = 16 };

static loom_status read_prompts(loom_text_request *r, int64_t most, loom_err *err)
{
    const loom_json *p = loom_json_get(r->root, "prompt");
    size_t n = loom_json_is_string(p) ? 1 : loom_json_len(p);

    if (!loom_json_is_string(p) && !(loom_json_is_array(p) && r->openai && n))
        return loom_fail(err, LOOM_STATUS_ARG, "\"prompt\" must be %s",
                         r->openai ? "a string or a list of strings" : "a string");
    if ((int64_t)n > most)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "%zu prompts, and at most %lld texts are made for a request (--max-texts)", n,
                         (long long)most);
    r->prompts = loom_calloc(n, sizeof *r->prompts);
    if (!r->prompts) return loom_fail_nomem(err, "prompts");
    for (r->n_prompts = 0; r->n_prompts < n; r->n_prompts++) {
        const loom_json *one = loom_json_is_string(p) ? p : loom_json_at(p, r->n_prompts);
        loom_text_prompt *to = &r->prompts[r->n_prompts];
        if (!(to->text = loom_json_str(one, &to->len)))
            return loom_fail(err, LOOM_STATUS_ARG,
                             "\"prompt\" must be a string or a list of strings; lists of token ids are not taken");
    }
    return LOOM_OK;
}

/* What would change the text and cannot be met is refused; members without effect are passed over, as by others. */
static loom_status refuse_unsupported(const loom_json *o, loom_err *err)
{
    static const char *const numbers[] = {"presence_penalty", "frequency_penalty", NULL};
    double zero = 0, one = 1;
    int64_t best_of = 1, n = 1;
    const char *suffix = NULL;

    for (const char *const *key = numbers; *key; key++) {
        LOOM_TRY(loom_field_f64(&zero, o, *key, -1e9, 1e9, err));
        if (zero != 0) return loom_fail(err, LOOM_STATUS_ARG, "\"%s\" is not supported: leave it out, or give 0", *key);
    }
    LOOM_TRY(loom_field_f64(&one, o, "repetition_penalty", -1e9, 1e9, err));
    if (one != 1)
        return loom_fail(err, LOOM_STATUS_ARG, "\"repetition_penalty\" is not supported: leave it out, or give 1");
    if (loom_json_len(loom_json_get(o, "logit_bias")))
        return loom_fail(err, LOOM_STATUS_ARG, "\"logit_bias\" is not supported: leave it out");
    LOOM_TRY(loom_field_str(&suffix, o, "suffix", err));
    if (suffix && *suffix) return loom_fail(err, LOOM_STATUS_ARG, "\"suffix\" is not supported: leave it out");
    LOOM_TRY(loom_field_i64(&n, o, "n", 1, 1000000, err));
    LOOM_TRY(loom_field_i64(&best_of, o, "best_of", 1, 1000000, err));
    if (loom_json_get(o, "best_of") && best_of > n)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "\"best_of\" is %lld and \"n\" %lld: choosing among texts is not supported",
                         (long long)best_of, (long long)n);
    return LOOM_OK;
}

static loom_status read_openai(loom_text_request *r, const loom_task *t, loom_err *err)
{
    const loom_json *options = loom_json_get(r->root, "stream_options");
    const char *model = NULL;

    LOOM_TRY(refuse_unsupported(r->root, err));
    LOOM_TRY(loom_field_str(&model, r->root, "model", err));
    if (model && strcmp(model, t->at->name) != 0)
        return loom_fail(err, LOOM_STATUS_ARG, "there is no model \"%.80s\" here, only \"%.80s\" (GET /v1/models)",
                         model, t->at->name);
    LOOM_TRY(loom_field_i64(&r->logprobs, r->root, "logprobs", 0, MOST_LOGPROBS, err));
    if (r->logprobs >= 0 && r->echo)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "log-probabilities are told of generated tokens, not of the prompt: leave \"echo\" or "
                         "\"logprobs\" out");
    return loom_json_is_object(options) ? loom_field_bool(&r->usage, options, "include_usage", err) : LOOM_OK;
}

static loom_status read_sampling(loom_text_request *r, loom_err *err)
{
    const loom_json *o = r->root;
    int64_t seed = -1;

    LOOM_TRY(loom_field_i64(&r->max_tokens, o, "max_tokens", 0, (int64_t)1 << 53, err));
    LOOM_TRY(loom_field_f64(&r->temperature, o, "temperature", 0, 100, err));
    LOOM_TRY(loom_field_f64(&r->top_p, o, "top_p", 0, 1, err));
    LOOM_TRY(loom_field_f64(&r->min_p, o, "min_p", 0, 1, err));
    LOOM_TRY(loom_field_i64(&r->top_k, o, "top_k", -1, (int64_t)1 << 31, err));
    LOOM_TRY(loom_field_i64(&seed, o, "seed", 0, (int64_t)1 << 53, err));
    if (seed >= 0) r->seed = (uint64_t)seed;
    if (r->top_k < 0) r->top_k = 0;
    if (r->top_p >= 1) r->top_p = 0; /* all of it: off */
    LOOM_TRY(loom_field_strings(&r->stops, &r->n_stops, o, "stop", MOST_STOPS, err));
    for (size_t i = 0; i < r->n_stops; i++)
        if (strlen(r->stops[i]) > r->longest_stop) r->longest_stop = strlen(r->stops[i]);
    return loom_field_ids(&r->stop_ids, &r->n_stop_ids, o, "stop_token_ids", MOST_STOP_IDS, err);
}

loom_status loom_text_request_read(loom_text_request *r, const loom_task *t, loom_err *err)
{
    bool openai = t->endpoint == LOOM_ENDPOINT_COMPLETIONS;

    *r = (loom_text_request){.openai = openai,
                             .n = 1,
                             .max_tokens = DEFAULT_TOKENS,
                             .temperature = 1,
                             .echo = !openai,
                             .logprobs = -1,
                             .seed = t->seed};
    LOOM_TRY(loom_request_json(&r->root, t, err));
    LOOM_TRY(read_prompts(r, t->at->max_texts, err));
    LOOM_TRY(loom_field_i64(&r->n, r->root, "n", 1, t->at->max_texts / (int64_t)r->n_prompts, err));
    LOOM_TRY(loom_field_bool(&r->stream, r->root, "stream", err));
    LOOM_TRY(loom_field_bool(&r->echo, r->root, "echo", err));
    LOOM_TRY(read_sampling(r, err));
    if (t->at->max_tokens > 0) r->max_tokens = loom_min_i64(r->max_tokens, t->at->max_tokens);
    return openai ? read_openai(r, t, err) : LOOM_OK;
}

void loom_text_request_release(loom_text_request *r)
{
    free(r->prompts);
    free(r->stops);
    free(r->stop_ids);
    loom_json_free(r->root);
    *r = (loom_text_request){0};
}
