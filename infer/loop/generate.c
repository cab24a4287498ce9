/* The loop: one `open_graph` per graph in flight, one `layer_job` per layer that is out at the completer. New
 * graphs are begun only while the completer has room that waiting layers of older graphs do not fill, so that few
 * graphs are open at a time and results leave early. */
#include "infer/loop/generate.h"

#include <stdlib.h>

#include "core/file.h"
#include "core/hash.h"
#include "core/num.h"
#include "core/utf8.h"

typedef struct open_graph open_graph;

typedef struct layer_job {
    loom_job job;
    open_graph *owner;
    int32_t layer;
    bool out; /* at the completer */
    struct layer_job *next_free, *next_made;
} layer_job;

struct open_graph {
    int64_t number; /* place in the order of results */
    const loom_gen_prompt *prompt;
    int64_t index; /* sample of that prompt */
    loom_request *tree;
    loom_gen_layer *layers;
    size_t cap_layers;
    int64_t out; /* layers at the completer */
    bool ended;
    loom_buf refused;
    open_graph *next; /* in order of their number */
};

struct loom_gen {
    loom_completer *completer;
    const loom_gen_prompt *prompts;
    const loom_gen_options *o;
    loom_gen_keep keep;
    void *arg;
    loom_gen_totals totals;
    open_graph *first, *last; /* open or not yet handed on */
    open_graph *cursor; /* graphs before it have no layer to submit until an answer comes; NULL: begin a new one */
    int64_t next_number, n_numbers;
    int64_t n_out;
    layer_job *free_jobs, *made_jobs;
};

typedef loom_gen loop;

/* The stream of one attempt at one layer. A layer is named by the way to it: the place of each ancestor among its
 * siblings. That does not change with the order in which answers come in, as a layer's index may. */
static void seed_layer(loom_rng *rng, const loop *l, const open_graph *s, const loom_request_layer *layer)
{
    loom_buf path = {0};

    loom_buf_printf(&path, "%lld/%lld/%d", (long long)s->prompt->id, (long long)s->index, layer->trials);
    for (const loom_request_layer *at = layer; at->parent >= 0;) {
        const loom_request_layer *parent = loom_request_at(s->tree, at->parent);
        loom_buf_printf(&path, "/%d", at->index - parent->first_child);
        at = parent;
    }
    loom_rng_seed(rng, l->o->seed, "sample", loom_hash64(path.data, path.len, 0));
    loom_buf_release(&path);
}

static loom_status begin_graph(loop *l, loom_err *err)
{
    const loom_gen_options *o = l->o;
    open_graph *s = loom_calloc(1, sizeof *s);
    loom_rng rng;
    loom_status st;

    if (!s) return loom_fail_nomem(err, "a graph");
    s->number = l->next_number++;
    s->prompt = &l->prompts[s->number / o->samples];
    s->index = o->first_sample + s->number % o->samples;
    loom_request_conf conf = {.mode = s->prompt->mode,
                              .match_training = o->match_training,
                              .keep_going = o->keep_going,
                              .max_trials = o->max_trials};
    uint64_t which = loom_hash64(&s->prompt->id, sizeof s->prompt->id, (uint64_t)s->index);
    loom_rng_seed(&rng, o->seed, "conditions", which);
    st = loom_request_new(&s->tree, &conf, s->prompt->text, s->prompt->len, o->listed_order ? NULL : &rng, err);
    if (st != LOOM_OK) {
        free(s);
        return st;
    }
    if (l->last) l->last->next = s;
    else l->first = s;
    l->last = s;
    return LOOM_OK;
}

static void free_graph(open_graph *s)
{
    loom_request_free(&s->tree);
    loom_buf_release(&s->refused);
    free(s->layers);
    free(s);
}

static layer_job *take_job(loop *l)
{
    layer_job *t = l->free_jobs;
    if (t) {
        l->free_jobs = t->next_free;
    } else if ((t = loom_calloc(1, sizeof *t))) {
        t->next_made = l->made_jobs;
        l->made_jobs = t;
    }
    return t;
}

static void give_job(loop *l, layer_job *t)
{
    loom_automaton_free(t->job.guide);
    loom_job_release(&t->job);
    t->job = (loom_job){0};
    t->next_free = l->free_jobs;
    l->free_jobs = t;
}

/* A layer that cannot be met has no text: it fails, and the reason is kept. */
static loom_status refuse(loop *l, open_graph *s, const loom_request_layer *layer, const char *why, loom_err *err)
{
    if (!s->refused.len) loom_buf_str(&s->refused, why);
    l->totals.refused++;
    return loom_request_refuse(s->tree, layer->index, err);
}

static loom_status submit_layer(loop *l, open_graph *s, const loom_request_layer *layer, loom_err *err)
{
    const loom_gen_options *o = l->o;
    loom_status st = loom_grow(&s->layers, &s->cap_layers, (size_t)layer->index + 1, sizeof *s->layers, err);
    layer_job *t;
    loom_err why;

    if (st != LOOM_OK) return st;
    s->layers[layer->index] = (loom_gen_layer){.stop = LOOM_STOP_LENGTH};
    if (!(t = take_job(l))) return loom_fail_nomem(err, "a layer");
    t->owner = s;
    t->layer = layer->index;
    loom_job *job = &t->job;
    *job = (loom_job){.prompt = layer->prompt,
                      .prompt_len = layer->prompt_len,
                      .max_tokens = o->max_tokens,
                      .temperature = o->temperature,
                      .top_k = o->top_k,
                      .top_p = o->top_p,
                      .min_p = o->min_p,
                      .bos = o->bos[s->prompt->mode],
                      .owner = t,
                      .party = o->party};
    job->stops = loom_stop_strings(s->prompt->mode, &job->n_stops);
    seed_layer(&job->rng, l, s, layer);
    if (o->constrain != LOOM_CONSTRAIN_OFF) {
        loom_automaton_conf conf = {.mode = s->prompt->mode,
                                    .full = o->constrain == LOOM_CONSTRAIN_FULL,
                                    .root = layer->parent < 0,
                                    .prompt = layer->prompt,
                                    .prompt_len = layer->prompt_len,
                                    .max_subs = o->max_subs,
                                    .time_cap = o->time_cap,
                                    .reach = layer->reach};
        if (o->names) {
            conf.names = o->names->items;
            conf.n_names = o->names->n;
            conf.shortest = o->names->shortest;
            conf.longest = o->names->longest;
        }
        st = loom_automaton_new(&job->guide, &conf, &why);
    }
    if (st == LOOM_OK) st = l->completer->submit(l->completer, job, &why);
    if (st != LOOM_OK) {
        give_job(l, t);
        if (st != LOOM_STATUS_ARG) return loom_fail(err, st, "%s", why.msg);
        return refuse(l, s, layer, why.msg, err);
    }
    t->out = true;
    s->out++;
    l->n_out++;
    return LOOM_OK;
}

static void add_all(int64_t *to, const int64_t *more, int n)
{
    for (int i = 0; i < n; i++) to[i] += more[i];
}

void loom_gen_totals_add(loom_gen_totals *to, const loom_gen_totals *more)
{
    to->graphs += more->graphs;
    to->finished += more->finished;
    to->valid += more->valid;
    to->correct += more->correct;
    to->refused += more->refused;
    to->layers += more->layers;
    to->tokens += more->tokens;
    add_all(to->stops, more->stops, 3);
    add_all(to->codes, more->codes, LOOM_CODES);
    add_all(to->odd, more->odd, LOOM_ODDITIES);
    to->n_odd += more->n_odd;
    to->unknown += more->unknown;
    loom_mask_add(&to->mask, &more->mask);
}

static void count_layer(loop *l, const loom_job *job, const loom_request_layer *layer)
{
    loom_gen_totals *t = &l->totals;

    t->layers++;
    t->tokens += job->n_tokens;
    t->stops[job->stop]++;
    loom_mask_add(&t->mask, &job->mask);
    for (int32_t i = 0; i < layer->codes.n; i++) t->codes[layer->codes.items[i].code]++;
}

static loom_status take_answer(loop *l, loom_job *job, loom_err *err)
{
    layer_job *t = job->owner;
    open_graph *s = t->owner;
    loom_utf8_mend(job->text.data, job->text.len);
    loom_status st = loom_request_answer(s->tree, t->layer, loom_buf_text(&job->text), job->text.len, err);
    if (st == LOOM_OK) {
        s->layers[t->layer] = (loom_gen_layer){job->n_tokens, job->stop, job->logprob};
        count_layer(l, job, loom_request_at(s->tree, t->layer));
    }
    t->out = false;
    s->out--;
    l->n_out--;
    give_job(l, t);
    return st;
}

/* Submits one waiting layer, oldest graph first, or begins a graph. Graphs that were passed over on the way have
 * nothing to submit before the next answer. */
static loom_status submit_next(loop *l, bool *submitted, loom_err *err)
{
    *submitted = false;
    for (;;) {
        if (!l->cursor) {
            if (l->next_number == l->n_numbers) return LOOM_OK;
            LOOM_TRY(begin_graph(l, err));
            l->cursor = l->last;
        }
        open_graph *s = l->cursor;
        const loom_request_layer *layer = s->ended ? NULL : loom_request_take(s->tree);
        if (layer) {
            *submitted = true;
            return submit_layer(l, s, layer, err);
        }
        if (s->out == 0) s->ended = true;
        l->cursor = s->next;
    }
}

int32_t loom_unknown_calls(const loom_outcome *v, const loom_names *known)
{
    int32_t n = 0;

    for (int32_t i = 0; known && i < v->n_edges; i++) n += !loom_names_has(known, v->edges[i].destination);
    return n;
}

/* Results leave in their order; an ended graph waits for older ones. */
static loom_status hand_on(loop *l, loom_err *err)
{
    loom_status st = LOOM_OK;

    while (st == LOOM_OK && l->first) {
        open_graph *s = l->first;
        if (!s->ended) s->ended = s->out == 0 && loom_request_done(s->tree);
        if (!s->ended) break;
        loom_gen_result r = {.prompt = s->prompt,
                             .sample = s->index,
                             .tree = s->tree,
                             .outcome = loom_request_outcome(s->tree),
                             .layers = s->layers,
                             .refused = s->refused.len ? s->refused.data : NULL};
        r.n_unknown = loom_unknown_calls(r.outcome, l->o->known);
        l->totals.unknown += r.outcome->correct && r.n_unknown;
        l->totals.graphs++;
        l->totals.finished += r.outcome->finished;
        l->totals.valid += r.outcome->valid;
        l->totals.correct += r.outcome->correct;
        l->totals.n_odd += r.outcome->odd != 0;
        for (int o = 0; o < LOOM_ODDITIES; o++) l->totals.odd[o] += r.outcome->odd >> o & 1;
        st = l->keep(l->arg, &r, err);
        l->first = s->next;
        if (!l->first) l->last = NULL;
        free_graph(s);
    }
    l->cursor = l->first;
    return st;
}

loom_status loom_gen_new(loom_gen **out, loom_completer *c, const loom_gen_prompt *prompts, int64_t n_prompts,
                         const loom_gen_options *o, loom_gen_keep keep, void *arg, loom_err *err)
{
    if (o->samples < 1) return loom_fail(err, LOOM_STATUS_ARG, "samples must be at least 1");
    loop *l = loom_calloc(1, sizeof *l);
    if (!l) return loom_fail_nomem(err, "graphs");
    *l = (loop){.completer = c, .prompts = prompts, .o = o, .keep = keep, .arg = arg};
    l->n_numbers = n_prompts * o->samples;
    l->next_number = loom_min_i64(o->skip, l->n_numbers);
    if (o->count > 0) l->n_numbers = loom_min_i64(l->n_numbers, l->next_number + o->count);
    *out = l;
    return LOOM_OK;
}

loom_status loom_gen_submit(loom_gen *l, bool *submitted, loom_err *err)
{
    LOOM_TRY(submit_next(l, submitted, err));
    return *submitted ? LOOM_OK : hand_on(l, err); /* what was refused at once ends without an answer */
}

loom_status loom_gen_take(loom_gen *l, loom_job *job, loom_err *err)
{
    LOOM_TRY(take_answer(l, job, err));
    return hand_on(l, err);
}

bool loom_gen_ended(const loom_gen *l) { return l->n_out == 0 && !l->first && l->next_number == l->n_numbers; }
const loom_gen_totals *loom_gen_count(const loom_gen *l) { return &l->totals; }

void loom_gen_free(loom_gen *l)
{
    if (!l) return;
    for (open_graph *s = l->first, *next; s; s = next) {
        next = s->next;
        free_graph(s);
    }
    for (layer_job *t = l->made_jobs, *next; t; t = next) {
        next = t->next_made;
        if (t->out) l->completer->cancel(l->completer, &t->job);
        loom_automaton_free(t->job.guide);
        loom_job_release(&t->job);
        free(t);
    }
    free(l);
}

static loom_status run(loop *l, loom_err *err)
{
    loom_status st = LOOM_OK;
    loom_completer *c = l->completer;

    while (!loom_gen_ended(l)) {
        bool more = true;
        if (loom_stop_requested()) return loom_fail(err, LOOM_STATUS_INTERRUPT, "interrupted");
        while (more && c->room > 0) LOOM_TRY(loom_gen_submit(l, &more, err));
        if (l->n_out == 0) continue; /* everything that was begun has been refused at once: begin more */
        loom_job *done = NULL;
        LOOM_TRY(c->step(c, &done, err));
        for (loom_job *next; done && st == LOOM_OK; done = next) {
            next = done->next;
            st = loom_gen_take(l, done, err);
        }
        if (st != LOOM_OK) return st;
        if (l->o->progress) l->o->progress(l->o->progress_arg, l->totals.graphs, l->totals.layers, l->totals.tokens);
    }
    return LOOM_OK;
}

loom_status loom_generate(loom_completer *c, const loom_gen_prompt *prompts, int64_t n_prompts,
                          const loom_gen_options *o, loom_gen_keep keep, void *arg, loom_gen_totals *totals,
                          loom_err *err)
{
    loom_gen *l = NULL;

    LOOM_TRY(loom_gen_new(&l, c, prompts, n_prompts, o, keep, arg, err));
    loom_status st = run(l, err);
    if (totals) *totals = l->totals;
    loom_gen_free(l);
    return st;
}

void loom_gen_bos(loom_gen_options *o, int choice)
{
    for (int m = 0; m < LOOM_MODES; m++) o->bos[m] = choice == 1 || (choice == 0 && m == LOOM_MODE_INSTRUCTION);
}
