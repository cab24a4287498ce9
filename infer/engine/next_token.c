#include "infer/engine/next_token.h"

#include <math.h>
#include <stdlib.h>

#include "core/num.h"
#include "guide/token_trie.h"
#include "model/sampler.h"
#include "trace/text/widest.h"

enum { GREEDY_CANDIDATES = 50, SLACK = LOOM_NEXT_TOKEN_SLACK };
enum { MID_PHRASE = 64 }; /* a phrase begun in single bytes may have to be finished in single bytes */

typedef struct worker {
    loom_sampler *sampler;
    loom_tok_scratch *scratch;
    loom_tokens ids;
    loom_buf text;
    float *values;               /* (V) for partial sorting */
    loom_automaton_state *stack; /* as loom_token_trie_allowed wants it, and the bits that it sets */
    uint64_t *bits;
} worker;

struct loom_next_token {
    const loom_tokenizer *tok;
    loom_next_token_options o;
    int n_workers;
    worker *workers;
    bool *ends; /* (V) ids that end a text */
    loom_token_trie *trie;
    int64_t edge_tokens, sub_tokens, base_tokens; /* generous costs of the pieces of an answer, with names that ... */
    int64_t name_tokens;                          /* ... cost this */
};

/* ---- making ---- */

static loom_status make_workers(loom_next_token *c, loom_err *err)
{
    c->n_workers = c->o.threads > 0 ? c->o.threads : 1;
    c->workers = loom_calloc((size_t)c->n_workers, sizeof *c->workers);
    if (!c->workers) return loom_fail_nomem(err, "samplers");
    for (int i = 0; i < c->n_workers; i++) {
        LOOM_TRY(loom_sampler_new(&c->workers[i].sampler, c->o.V, err));
        if (!(c->workers[i].scratch = loom_tok_scratch_new(c->tok))) return loom_fail_nomem(err, "samplers");
    }
    return LOOM_OK;
}

loom_status loom_next_token_new(loom_next_token **out, const loom_tokenizer *tok, const loom_next_token_options *o,
                                loom_err *err)
{
    loom_next_token *c = loom_calloc(1, sizeof *c);
    loom_status st;

    if (!c) return loom_fail_nomem(err, "samplers");
    c->tok = tok;
    c->o = *o;
    if ((st = make_workers(c, err)) != LOOM_OK) goto done;
    c->ends = loom_calloc((size_t)o->V, sizeof *c->ends);
    if (!c->ends) {
        st = loom_fail_nomem(err, "samplers");
        goto done;
    }
    for (int64_t id = 0; id < o->V; id++)
        c->ends[id] = loom_config_is_eos(o->config, id) || id == loom_tokenizer_eos(tok) ||
                      id == loom_tokenizer_bos(tok) || id == o->config->bos_id;
    *out = c;
    c = NULL;
done:
    loom_next_token_free(c);
    return st;
}

void loom_next_token_free(loom_next_token *c)
{
    if (!c) return;
    for (int i = 0; c->workers && i < c->n_workers; i++) {
        worker *w = &c->workers[i];
        if (w->sampler) loom_sampler_free(w->sampler);
        if (w->scratch) loom_tok_scratch_free(w->scratch);
        loom_tokens_release(&w->ids);
        loom_buf_release(&w->text);
        free(w->values);
        free(w->stack);
        free(w->bits);
    }
    free(c->workers);
    free(c->ends);
    loom_token_trie_free(c->trie);
    free(c);
}

static int64_t count_tokens(worker *w, const loom_tokenizer *tok, const char *text, size_t len)
{
    loom_tokens_reset(&w->ids);
    loom_tokenizer_encode(&w->ids, tok, w->scratch, text, len, LOOM_ENCODE_CONTINUE | LOOM_ENCODE_PLAIN);
    return w->ids.n;
}

/* Tokens of the widest part that `render` makes. */
static int64_t count_widest(const loom_next_token *c, void (*render)(loom_buf *into))
{
    worker *w = &c->workers[0];

    loom_buf_reset(&w->text);
    render(&w->text);
    return count_tokens(w, c->tok, loom_buf_text(&w->text), w->text.len);
}

static void widest_name(loom_buf *into) { loom_buf_str(into, LOOM_WIDEST_NAME); }

loom_status loom_next_token_prepare(loom_next_token *c, loom_err *err)
{
    if (c->trie) return LOOM_OK;
    LOOM_TRY(loom_token_trie_new(&c->trie, c->tok, c->o.V, c->ends, err));
    for (int i = 0; i < c->n_workers; i++) {
        worker *w = &c->workers[i];
        w->stack = loom_calloc(LOOM_TOKEN_TRIE_DEPTH + 1, sizeof *w->stack);
        w->bits = loom_calloc(loom_bit_words(c->o.V), sizeof *w->bits);
        w->values = loom_calloc((size_t)c->o.V, sizeof(float));
        if (!w->stack || !w->bits || !w->values) return loom_fail_nomem(err, "masks");
    }
    c->name_tokens = count_widest(c, widest_name);
    c->edge_tokens = count_widest(c, loom_widest_edge);
    c->sub_tokens = count_widest(c, loom_widest_sub);
    c->base_tokens = count_widest(c, loom_widest_frame) + MID_PHRASE + SLACK;
    return LOOM_OK;
}

loom_status loom_next_token_fits(loom_next_token *c, const loom_job *job, int64_t room, loom_err *err)
{
    worker *w = &c->workers[0];

    loom_buf_reset(&w->text);
    loom_automaton_shortest(job->guide, loom_automaton_start(job->guide), &w->text);
    int64_t need = count_tokens(w, c->tok, loom_buf_text(&w->text), w->text.len) + SLACK;
    if (need <= room) return LOOM_OK;
    return loom_fail(err, LOOM_STATUS_ARG,
                     "a layer needs at least %lld tokens but only %lld are left of the context or of --max-tokens",
                     (long long)need, (long long)(room > 0 ? room : 0));
}

void loom_next_token_begin(loom_next_token *c, loom_job *job)
{
    (void)c;
    if (job->guide) job->at = *loom_automaton_start(job->guide);
}

/* ---- under a constraint ---- */

static bool allowed(const loom_next_token *c, const loom_job *job, int32_t id, loom_automaton_state *next)
{
    size_t len = 0;

    if (id < 0 || c->ends[id] || loom_tokenizer_is_special(c->tok, id)) return false;
    const char *bytes = loom_tokenizer_bytes(c->tok, id, &len);
    if (!len) return false;
    *next = job->at;
    return loom_automaton_feed(job->guide, next, bytes, len);
}

/* Puts -INFINITY on every candidate (logit >= floor) that is refused and on everything below. Adds up the probability
 * of both kinds, exp((logit - top) * scale). Returns how many candidates are left. */
static int64_t mask_candidates(const loom_next_token *c, const loom_job *job, float *logits, float floor, float top,
                               double scale, double *kept, double *refused)
{
    loom_automaton_state next;
    int64_t left = 0;

    *kept = *refused = 0;
    for (int64_t id = 0; id < c->o.V; id++) {
        if (!(logits[id] >= floor)) continue;
        double p = exp((double)(logits[id] - top) * scale);
        if (allowed(c, job, (int32_t)id, &next)) {
            *kept += p;
            left++;
        } else {
            *refused += p;
        }
    }
    return left;
}

static void hide_refused(const loom_next_token *c, const loom_job *job, float *logits, float floor)
{
    loom_automaton_state next;

    for (int64_t id = 0; id < c->o.V; id++)
        if (!(logits[id] >= floor) || !allowed(c, job, (int32_t)id, &next)) logits[id] = -INFINITY;
}

static void mask_all(const loom_next_token *c, worker *w, const loom_job *job, float *logits)
{
    loom_token_trie_allowed(w->bits, c->trie, job->guide, &job->at, w->stack);
    for (int64_t id = 0; id < c->o.V; id++)
        if (!loom_has_bit(w->bits, id)) logits[id] = -INFINITY;
}

/* Rounded to what makes sums exact, so that they do not depend on the order of texts. */
static void note_removed(loom_mask_stats *m, double mass)
{
    int64_t bin = (int64_t)ceil(mass * LOOM_MASK_BINS) - 1;

    m->removed += rint(mass * 0x1p24) * 0x1p-24;
    m->bins[loom_max_i64(0, loom_min_i64(bin, LOOM_MASK_BINS - 1))]++;
}

/* The model's own choice was refused: chooses among what is allowed. -1: nothing is (cannot happen while the
 * automaton has a way on and every byte has a token). */
static int32_t choose_again(const loom_next_token *c, worker *w, loom_job *job, const loom_sampling *how, float *logits)
{
    int64_t k = how->top_k > 0 ? how->top_k : how->temperature > 0 ? c->o.V : GREEDY_CANDIDATES;
    int32_t best = loom_sampler_greedy(logits, c->o.V);
    double scale = how->temperature > 0 ? 1 / how->temperature : 1, kept = 0, refused = 0;

    if (best < 0) return -1;
    job->mask.changed++;
    if (k < c->o.V) {
        memcpy(w->values, logits, (size_t)c->o.V * sizeof(float));
        float floor = loom_kth_largest(w->values, c->o.V, k);
        if (mask_candidates(c, job, logits, floor, logits[best], scale, &kept, &refused) > 0) {
            note_removed(&job->mask, refused / (kept + refused));
            hide_refused(c, job, logits, floor);
            return loom_sampler_pick(w->sampler, how, logits, &job->rng);
        }
        note_removed(&job->mask, 1);
    }
    job->mask.whole++;
    float top = logits[best];
    double all = 0;
    if (k >= c->o.V)
        for (int64_t id = 0; id < c->o.V; id++) all += exp((double)(logits[id] - top) * scale);
    mask_all(c, w, job, logits);
    if (k >= c->o.V) {
        for (int64_t id = 0; id < c->o.V; id++) kept += exp((double)(logits[id] - top) * scale);
        note_removed(&job->mask, 1 - kept / all);
    }
    return loom_sampler_pick(w->sampler, how, logits, &job->rng);
}

/* Does the shortest way from `s` to the end fit into `room` tokens? */
static bool fits(const loom_next_token *c, worker *w, const loom_job *job, const loom_automaton_state *s, int64_t room)
{
    int64_t edges = 0, subs = 0, digits = 0;

    loom_automaton_left(job->guide, s, &edges, &subs, &digits);
    /* at worst each byte of a name is a token; an edge has two names, a subgraph four, what is begun as many */
    int64_t more = loom_max_i64((int64_t)loom_automaton_longest_name(job->guide) - c->name_tokens, 0);
    int64_t names = 2 * edges + 4 * (subs + 1);
    if (edges * c->edge_tokens + digits + subs * c->sub_tokens + c->base_tokens + names * more <= room) return true;
    loom_buf_reset(&w->text);
    loom_automaton_shortest(job->guide, s, &w->text);
    return count_tokens(w, c->tok, loom_buf_text(&w->text), w->text.len) + SLACK <= room;
}

/* Appends text that needs no choice: its tokens but the last `leave`, which the model chooses so that its own cut
 * between words is kept. */
static void append_forced(loom_next_token *c, worker *w, loom_job *job, loom_tokens *tokens, int64_t leave,
                          int64_t room)
{
    int64_t n = count_tokens(w, c->tok, loom_buf_text(&w->text), w->text.len) - leave;

    for (int64_t i = 0; i < n && i < room; i++) {
        size_t len = 0;
        const char *bytes = loom_tokenizer_bytes(c->tok, w->ids.ids[i], &len);
        loom_automaton_state next = job->at;
        if (!len || !loom_automaton_feed(job->guide, &next, bytes, len)) return;
        job->at = next;
        loom_buf_append(&job->text, bytes, len);
        loom_tokens_push(tokens, w->ids.ids[i], 0);
        job->n_tokens++;
        job->mask.forced++;
    }
}

static bool end_guided(loom_job *job, size_t from)
{
    loom_cut_at_stop(&job->text, from, job->stops, job->n_stops);
    job->stop = LOOM_STOP_STRING;
    return true;
}

static bool wind_up(loom_next_token *c, worker *w, loom_job *job, loom_tokens *tokens, int64_t room)
{
    size_t from = job->text.len;

    loom_buf_reset(&w->text);
    loom_automaton_shortest(job->guide, &job->at, &w->text);
    append_forced(c, w, job, tokens, 0, room);
    if (job->at.done) return end_guided(job, from);
    job->stop = LOOM_STOP_LENGTH;
    return true;
}

static bool next_guided(loom_next_token *c, worker *w, loom_job *job, const loom_sampling *how, float *logits,
                        loom_tokens *tokens, int64_t room)
{
    loom_automaton_state next;
    size_t from = job->text.len, len = 0;
    int32_t id = loom_sampler_pick(w->sampler, how, logits, &job->rng);

    bool name = loom_automaton_in_name(&job->at);

    job->mask.tokens++;
    job->mask.names += name;
    if (!allowed(c, job, id, &next)) {
        job->mask.names_changed += name;
        id = choose_again(c, w, job, how, logits);
        if (!allowed(c, job, id, &next)) return wind_up(c, w, job, tokens, room);
    }
    if (!next.done && !fits(c, w, job, &next, room - 1)) return wind_up(c, w, job, tokens, room);
    /* the look-ahead may have written over the edges behind the state: walk the real one */
    const char *bytes = loom_tokenizer_bytes(c->tok, id, &len);
    loom_automaton_feed(job->guide, &job->at, bytes, len);
    loom_buf_append(&job->text, bytes, len);
    loom_tokens_push(tokens, id, 0);
    job->n_tokens++;
    if (job->at.done) return end_guided(job, from);
    if (c->o.no_jump) return false;
    from = job->text.len;
    loom_buf_reset(&w->text);
    loom_automaton_forced(job->guide, &job->at, &w->text);
    if (w->text.len < 2) return false;
    loom_automaton_state end = job->at;
    bool whole = loom_automaton_feed(job->guide, &end, w->text.data, w->text.len) && end.done;
    append_forced(c, w, job, tokens, whole ? 0 : 1, room - 1);
    return job->at.done ? end_guided(job, from) : false;
}

/* ---- free text ---- */

/* The n_top most likely tokens of this place, likeliest first, by insertion: n_top is small. */
static loom_status keep_top(loom_job *job, const float *logits, int64_t V, double p, int32_t id)
{
    size_t n = (size_t)job->n_top, from = job->n_ids * n, have = 0;

    LOOM_TRY(loom_grow(&job->top_ids, &job->cap_top_ids, from + n, sizeof *job->top_ids, NULL));
    LOOM_TRY(loom_grow(&job->top_logprobs, &job->cap_top_logprobs, from + n, sizeof *job->top_logprobs, NULL));
    int32_t *ids = job->top_ids + from;
    for (int32_t v = 0; v < V; v++) {
        if (have == n && !(logits[v] > logits[ids[n - 1]])) continue;
        size_t at = have < n ? have++ : n - 1;
        for (; at > 0 && logits[v] > logits[ids[at - 1]]; at--) ids[at] = ids[at - 1];
        ids[at] = v;
    }
    for (size_t i = 0; i < n; i++) /* a vocabulary smaller than n_top: the last again */
        job->top_logprobs[from + i] = (float)(p + (double)(logits[ids[i < have ? i : have - 1]] - logits[id]));
    for (size_t i = have; i < n; i++) ids[i] = ids[have - 1];
    return LOOM_OK;
}

static loom_status keep_logprob(loom_job *job, const float *logits, int64_t V, int32_t id)
{
    double p = loom_logprob(logits, V, id);

    job->logprob += p;
    if (job->n_top > 0) LOOM_TRY(keep_top(job, logits, V, p, id));
    LOOM_TRY(loom_grow(&job->ids, &job->cap_ids, job->n_ids + 1, sizeof *job->ids, NULL));
    LOOM_TRY(loom_grow(&job->logprobs, &job->cap_logprobs, job->n_ids + 1, sizeof *job->logprobs, NULL));
    job->ids[job->n_ids] = id;
    job->logprobs[job->n_ids++] = (float)p;
    return LOOM_OK;
}

static bool is_stop_id(const loom_job *job, int32_t id)
{
    for (size_t i = 0; i < job->n_stop_ids; i++)
        if (job->stop_ids[i] == id) return true;
    return false;
}

static bool next_free(loom_next_token *c, worker *w, loom_job *job, const loom_sampling *how, const float *logits,
                      loom_tokens *tokens, int64_t room)
{
    size_t from = job->text.len;
    int32_t id = loom_sampler_pick(w->sampler, how, logits, &job->rng);

    if (id < 0) { /* not a number anywhere: the model is broken, the text ends here */
        job->stop = LOOM_STOP_LENGTH;
        return true;
    }
    if (job->want_logprobs && keep_logprob(job, logits, c->o.V, id) != LOOM_OK) return true;
    loom_tokens_push(tokens, id, 0);
    job->n_tokens++;
    if (c->ends[id] || is_stop_id(job, id)) {
        job->stop = LOOM_STOP_EOS;
        return true;
    }
    if (!loom_tokenizer_is_special(c->tok, id)) {
        size_t len = 0;
        const char *bytes = loom_tokenizer_bytes(c->tok, id, &len);
        loom_buf_append(&job->text, bytes, len);
    }
    if (loom_cut_at_stop(&job->text, from, job->stops, job->n_stops)) {
        job->stop = LOOM_STOP_STRING;
        return true;
    }
    job->stop = LOOM_STOP_LENGTH;
    return room <= 1;
}

bool loom_next_token_choose(loom_next_token *c, int thread, loom_job *job, float *logits, loom_tokens *tokens,
                            int64_t room)
{
    worker *w = &c->workers[thread];
    loom_sampling how = {
        .temperature = job->temperature, .top_k = job->top_k, .top_p = job->top_p, .min_p = job->min_p};

    if (job->guide) return next_guided(c, w, job, &how, logits, tokens, room);
    return next_free(c, w, job, &how, logits, tokens, room);
}
