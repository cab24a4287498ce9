#include "infer/loop/budget.h"

#include <stdlib.h>

#include "core/num.h"

#define LL(x) ((long long)(x))
enum { SLACK = 16, WORTH_HAVING = 5, MOST_DIGITS = 8, FEWEST_DIGITS = 4 };

typedef struct measure {
    const loom_tokenizer *tok;
    const loom_budget_conf *conf;
    loom_tok_scratch *scratch;
    loom_tokens ids;
    loom_arena arena;
    const char *name, *service; /* those that cost most tokens */
} measure;

static int64_t count(measure *m, const loom_buf *text, unsigned flags)
{
    loom_tokens_reset(&m->ids);
    loom_tokenizer_encode(&m->ids, m->tok, m->scratch, text->data, text->len, flags | LOOM_ENCODE_PLAIN);
    return m->ids.n;
}

static int64_t time_cap(int digits)
{
    int64_t cap = 9;
    while (--digits) cap = cap * 10 + 9;
    return cap;
}

static int64_t cost(measure *m, const char *name)
{
    loom_tokens_reset(&m->ids);
    loom_tokenizer_encode(&m->ids, m->tok, m->scratch, name, strlen(name), LOOM_ENCODE_CONTINUE | LOOM_ENCODE_PLAIN);
    return m->ids.n;
}

/* Names that are one token and names that are spelt may have the same length: only their tokens tell. */
static void find_costly_names(measure *m, const loom_gen_prompt *prompts, int64_t n)
{
    const loom_names *names = m->conf->names;
    int64_t most = -1, now;

    m->name = "MS_999999999";
    for (size_t i = 0; names && i < names->n; i++)
        if ((now = cost(m, names->items[i])) > most) most = now, m->name = names->items[i];
    m->service = "S_999999999";
    most = cost(m, m->service);
    for (int64_t i = 0; i < n; i++) {
        const char *service = prompts[i].service;
        if (!service || (i && service == prompts[i - 1].service)) continue;
        if ((now = cost(m, service)) > most) most = now, m->service = service;
    }
}

/* Attributes of a layer of c edges and k subgraphs whose numbers are as long as they get. */
static void fill_attrs(loom_attrs *a, const measure *m, int64_t c, int64_t k, int64_t cap)
{
    loom_attrs_init(a);
    a->id = m->service;
    a->start_node = a->caller = m->name;
    a->start_edge_id = "99";
    a->num_current_edges = c;
    a->num_subgraphs = k;
    a->remaining_depth = 99;
    a->num_edges = 9999;
    a->start = a->latency = cap;
    for (int i = 0; loom_attrs_other[i] != LOOM_ATTRS; i++) loom_attrs_put(a, (loom_attr)loom_attrs_other[i]);
}

/* Tokens of such a layer's prompt and of the shortest answer to it. */
static loom_status layer_tokens(int64_t *prompt, int64_t *answer, measure *m, loom_mode mode, int64_t c, int64_t k,
                                int digits, loom_err *err)
{
    const loom_budget_conf *bc = m->conf;
    loom_prompt_conf pc = {.mode = mode, .match_training = bc->match_training};
    loom_buf line = {0}, text = {0};
    loom_parsed_sub sub = {.index = "99"};
    loom_automaton *a = NULL;

    loom_arena_reset(&m->arena);
    fill_attrs(&sub.attrs, m, c, k, time_cap(digits));
    loom_attrs_render(&line, &sub.attrs);
    sub.text = loom_arena_strdup(&m->arena, loom_buf_text(&line), line.len);
    loom_line wish = {.kind = LOOM_LINE_INCLUDE, .name = {sub.attrs.start_node, sub.attrs.start_node, "http"}};
    loom_buf_reset(&line);
    loom_line_render(&line, &wish);
    loom_request_child_prompt(&text, &pc, &sub, (const char *const[]){line.data}, 1, NULL);
    if (loom_buf_failed(&line) || loom_buf_failed(&text) || m->arena.failed) {
        loom_buf_release(&line);
        loom_buf_release(&text);
        return loom_fail_nomem(err, "a prompt");
    }
    *prompt = count(m, &text, 0) + 1; /* BOS */
    loom_automaton_conf ac = {.mode = mode, .full = true, .prompt = text.data, .prompt_len = text.len};
    if (bc->names) ac.names = bc->names->items, ac.n_names = bc->names->n, ac.shortest = bc->names->shortest;
    loom_status st = loom_automaton_new(&a, &ac, err);
    if (st == LOOM_OK) {
        loom_buf_reset(&line);
        loom_automaton_shortest(a, loom_automaton_start(a), &line);
        *answer = count(m, &line, LOOM_ENCODE_CONTINUE) + SLACK;
    }
    loom_automaton_free(a);
    if (st == LOOM_OK) st = loom_buf_check(&line, "an answer", err);
    if (st == LOOM_OK && m->ids.failed) st = loom_fail_nomem(err, "tokens");
    loom_buf_release(&line);
    loom_buf_release(&text);
    return st;
}

/* Most subgraphs, at most 15, with which a layer of c edges fits; 0: not even with one. *prompt, *answer: with one. */
static loom_status most_subs(int64_t *most, int64_t *prompt, int64_t *answer, measure *m, loom_mode mode, int64_t c,
                             int digits, loom_err *err)
{
    const loom_budget_conf *bc = m->conf;
    int64_t p = 0, q = 0;

    *most = 0;
    if (c == LOOM_LAYER_MAX_EDGES) { /* wider ones are split */
        LOOM_TRY(layer_tokens(prompt, answer, m, mode, 9 * LOOM_LAYER_MAX_EDGES, LOOM_SPLIT_MAX_PARTS, digits, err));
        if (*prompt + *answer > bc->context || *answer > bc->max_tokens) return LOOM_OK;
    }
    for (int64_t k = 1; k <= c; k++) {
        LOOM_TRY(layer_tokens(&p, &q, m, mode, c, k, digits, err));
        if (k == 1) *prompt = p, *answer = q;
        if (p + q > bc->context || q > bc->max_tokens) return LOOM_OK;
        *most = k;
    }
    return LOOM_OK;
}

static loom_status no_room(const loom_budget_conf *bc, int64_t c, int64_t prompt, int64_t answer, loom_err *err)
{
    if (answer > bc->max_tokens)
        return loom_fail(
            err, LOOM_STATUS_ARG,
            "--constrain full: a layer of %lld edges needs an answer of up to %lld tokens, --max-tokens is "
            "%lld; give more, or ask for smaller graphs",
            LL(c), LL(answer), LL(bc->max_tokens));
    return loom_fail(
        err, LOOM_STATUS_ARG,
        "--constrain full: a layer of %lld edges needs up to %lld tokens (%lld of prompt, %lld of answer), "
        "the context has %lld; take a longer --context or a model that has one, ask for smaller graphs, or "
        "use --constrain syntax",
        LL(c), LL(prompt + answer), LL(prompt), LL(answer), LL(bc->context));
}

static loom_status fit_mode(loom_budget *out, measure *m, loom_mode mode, int64_t c, loom_err *err)
{
    int64_t prompt = 0, answer = 0, most, worth = loom_min_i64(c, WORTH_HAVING);
    loom_budget best = {0};

    for (int digits = MOST_DIGITS; digits >= FEWEST_DIGITS && best.max_subs < worth; digits--) {
        LOOM_TRY(most_subs(&most, &prompt, &answer, m, mode, c, digits, err));
        if (most > best.max_subs) best = (loom_budget){most, time_cap(digits)};
    }
    if (!best.max_subs) return no_room(m->conf, c, prompt, answer, err);
    out->max_subs = out->max_subs ? loom_min_i64(out->max_subs, best.max_subs) : best.max_subs;
    out->time_cap = loom_min_i64(out->time_cap, best.time_cap);
    return LOOM_OK;
}

/* The widest plain layer below the root that a prompt of this mode can lead to. */
static int64_t widest_layer(const loom_gen_prompt *prompts, int64_t n, loom_mode mode)
{
    int64_t c = 0;

    for (int64_t i = 0; i < n; i++) {
        const loom_gen_prompt *p = &prompts[i];
        int64_t most = p->edges < 0 ? LOOM_LAYER_MAX_EDGES : p->edges - 1;
        if (p->edges > 0 && p->depth > 2) most = p->edges - p->depth + 1; /* one edge on every other level */
        if (p->mode == mode) c = loom_max_i64(c, loom_min_i64(most, LOOM_LAYER_MAX_EDGES));
    }
    return c;
}

loom_status loom_budget_of_prompts(loom_budget *out, const loom_tokenizer *tok, const loom_gen_prompt *prompts,
                                   int64_t n, const loom_budget_conf *conf, loom_err *err)
{
    measure m = {.tok = tok, .conf = conf, .scratch = loom_tok_scratch_new(tok)};
    loom_status st = m.scratch ? LOOM_OK : loom_fail_nomem(err, "tokens");

    *out = (loom_budget){.time_cap = time_cap(MOST_DIGITS)};
    find_costly_names(&m, prompts, n);
    for (int mode = LOOM_MODE_RECURSIVE; st == LOOM_OK && mode < LOOM_MODES; mode++) {
        int64_t c = widest_layer(prompts, n, (loom_mode)mode);
        if (c > 0) st = fit_mode(out, &m, (loom_mode)mode, c, err);
    }
    loom_tok_scratch_free(m.scratch);
    loom_tokens_release(&m.ids);
    loom_arena_release(&m.arena);
    return st;
}

loom_status loom_budget_keep(loom_gen_options *o, const loom_tokenizer *tok, const loom_gen_prompt *prompts, int64_t n,
                             int64_t context, loom_err *err)
{
    loom_budget_conf bc = {
        .context = context, .max_tokens = o->max_tokens, .match_training = o->match_training, .names = o->names};
    loom_budget budget;

    if (o->constrain != LOOM_CONSTRAIN_FULL) return LOOM_OK;
    LOOM_TRY(loom_budget_of_prompts(&budget, tok, prompts, n, &bc, err));
    o->max_subs = budget.max_subs;
    o->time_cap = budget.time_cap;
    return LOOM_OK;
}
