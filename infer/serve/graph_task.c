/* POST /v1/callgraphs: whole call graphs of a wish, in any of the formats of `convert`. The same wish with the same
 * seed gives what `loom-infer sample` writes. */
#include <stdlib.h>

#include "core/num.h"
#include "infer/files/promptlist.h"
#include "infer/formats/graphsink.h"
#include "infer/loop/budget.h"
#include "infer/loop/naming.h"
#include "infer/serve/json_fields.h"
#include "infer/serve/task.h"

typedef struct graph_task {
    loom_task base;
    loom_json *root; /* what the strings of the wish are borrowed from */
    loom_wish wish;
    int format, mode;
    bool only_correct;
    int64_t count;
    loom_gen_options o;
    loom_prompts prompts;
    loom_naming own; /* where the wish asks for a call of its own */
    loom_gen *gen;
    loom_sink *sink;
    loom_buf text;
    loom_buf refused; /* why a layer could not be met: the first */
    int64_t correct;  /* of the graphs written */
} graph_task;

/* ---- the request ---- */

static loom_status read_wish(graph_task *t, loom_err *err)
{
    loom_wish *w = &t->wish;
    const loom_json *o = t->root;

    *w = (loom_wish){.edges = -1, .depth = -1, .latency = -1, .children = -1};
    LOOM_TRY(loom_field_i64(&w->edges, o, "edges", 1, 1000000, err));
    LOOM_TRY(loom_field_i64(&w->depth, o, "depth", 1, 1000, err));
    LOOM_TRY(loom_field_i64(&w->latency, o, "latency", 0, 1000000000000, err));
    LOOM_TRY(loom_field_i64(&w->latency_from, o, "min_latency", 0, 1000000000000, err));
    LOOM_TRY(loom_field_bool(&w->high_latency, o, "high_latency", err));
    LOOM_TRY(loom_field_str(&w->service, o, "service", err));
    LOOM_TRY(loom_field_str(&w->start_node, o, "start_node", err));
    return loom_field_str(&w->include, o, "include", err);
}

static loom_status read_sampling(graph_task *t, loom_err *err)
{
    const loom_json *o = t->root;
    int constrain = LOOM_CONSTRAIN_FULL;
    int64_t seed = -1;

    t->o = (loom_gen_options){
        .match_training = true, .max_tokens = 4096, .max_trials = 1, .temperature = 0.8, .top_k = 50};
    LOOM_TRY(loom_field_choice(&constrain, o, "constrain", LOOM_CONSTRAIN_CHOICES, err));
    LOOM_TRY(loom_field_f64(&t->o.temperature, o, "temperature", 0, 100, err));
    LOOM_TRY(loom_field_i64(&t->o.top_k, o, "top_k", 0, (int64_t)1 << 31, err));
    LOOM_TRY(loom_field_f64(&t->o.top_p, o, "top_p", 0, 1, err));
    LOOM_TRY(loom_field_f64(&t->o.min_p, o, "min_p", 0, 1, err));
    LOOM_TRY(loom_field_i64(&t->o.max_tokens, o, "max_tokens", 1, (int64_t)1 << 53, err));
    LOOM_TRY(loom_field_i64(&t->o.max_trials, o, "trials", 1, 1000, err));
    LOOM_TRY(loom_field_i64(&seed, o, "seed", 0, (int64_t)1 << 53, err));
    if (seed >= 0) t->base.seed = (uint64_t)seed;
    if (t->base.at->max_tokens > 0) t->o.max_tokens = loom_min_i64(t->o.max_tokens, t->base.at->max_tokens);
    t->o.constrain = (loom_constrain)constrain;
    t->o.seed = t->base.seed;
    t->o.party = t;
    loom_gen_bos(&t->o, t->base.at->bos);
    return LOOM_OK;
}

static loom_status read_request(graph_task *t, loom_err *err)
{
    static const char *const known[] = {
        "edges",   "depth", "latency",    "min_latency", "high_latency", "service",      "start_node",
        "include", "count", "format",     "mode",        "constrain",    "temperature",  "top_k",
        "top_p",   "min_p", "max_tokens", "trials",      "seed",         "only_correct", NULL};

    LOOM_TRY(loom_request_json(&t->root, &t->base, err));
    LOOM_TRY(loom_fields_known(t->root, known, err));
    t->count = 1;
    t->mode = LOOM_MODE_INSTRUCTION;
    t->only_correct = true;
    LOOM_TRY(loom_field_i64(&t->count, t->root, "count", 1, t->base.at->max_texts, err));
    LOOM_TRY(loom_field_choice(&t->format, t->root, "format", LOOM_FORMAT_TEXTS, err));
    LOOM_TRY(loom_field_choice(&t->mode, t->root, "mode", "tabular|recursive|instruction", err));
    LOOM_TRY(loom_field_bool(&t->only_correct, t->root, "only_correct", err));
    LOOM_TRY(read_wish(t, err));
    return read_sampling(t, err);
}

/* ---- results ---- */

static loom_status keep(void *arg, const loom_gen_result *r, loom_err *err)
{
    graph_task *t = arg;
    bool correct = r->outcome->correct && !r->n_unknown;

    if (r->refused && !t->refused.len) loom_buf_str(&t->refused, r->refused);
    if (!loom_outcome_has_record(r->outcome) || (t->only_correct && !correct)) return LOOM_OK;
    t->correct += correct;
    t->base.at->counts->graphs++;
    return loom_sink_put(t->sink, &r->outcome->graph.graph, err);
}

static loom_status submit(loom_task *task, bool *submitted, loom_err *err)
{
    return loom_gen_submit(((graph_task *)task)->gen, submitted, err);
}

static loom_status take(loom_task *task, loom_job *job, loom_err *err)
{
    task->at->counts->texts++;
    return loom_gen_take(((graph_task *)task)->gen, job, err);
}

static bool ended(const loom_task *task) { return loom_gen_ended(((const graph_task *)task)->gen); }

static void number_header(loom_http_request *http, const char *name, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)value);
    loom_http_header(http, name, text);
}

/* No graph at all: the client's wish, or the model. */
static void reply_none(graph_task *t)
{
    const loom_gen_totals *n = loom_gen_count(t->gen);
    loom_buf why = {0};

    if (t->refused.len) {
        loom_buf_printf(&why, "the wish cannot be met: %s", t->refused.data);
    } else {
        loom_buf_printf(&why,
                        "none of %lld graphs is %s (%lld finished, %lld valid): use \"constrain\": \"full\", more "
                        "\"trials\", or a model that was trained longer",
                        (long long)n->graphs, t->only_correct ? "as requested" : "valid", (long long)n->finished,
                        (long long)n->valid);
    }
    loom_task_refuse(&t->base, 422, loom_buf_text(&why));
    loom_buf_release(&why);
}

static void reply(loom_task *task)
{
    graph_task *t = (graph_task *)task;
    int64_t written = loom_sink_count(t->sink);
    loom_err err = {0};

    if (written == 0) {
        reply_none(t);
        return;
    }
    if (loom_sink_finish_text(&t->sink, &err) != LOOM_OK) {
        loom_task_refuse(task, 500, err.msg);
        return;
    }
    number_header(task->http, "Spanloom-Seed", (int64_t)task->seed);
    number_header(task->http, "Spanloom-Asked", t->count);
    number_header(task->http, "Spanloom-Written", written);
    number_header(task->http, "Spanloom-As-Requested", t->correct);
    loom_task_reply(task, 200, loom_format_media_type((loom_format)t->format), &t->text);
}

static void free_task(loom_task *task)
{
    graph_task *t = (graph_task *)task;

    loom_gen_free(t->gen);
    loom_sink_abandon(&t->sink);
    loom_naming_release(&t->own);
    loom_prompts_release(&t->prompts);
    loom_buf_release(&t->text);
    loom_buf_release(&t->refused);
    loom_json_free(t->root);
    free(t);
}

static const loom_task_kind kind = {.submit = submit, .take = take, .ended = ended, .reply = reply, .free = free_task};

/* ---- making ---- */

static loom_status prepare(graph_task *t, loom_err *err)
{
    const loom_model_loader *m = t->base.at->model;
    bool full = t->o.constrain == LOOM_CONSTRAIN_FULL;
    loom_sink_conf sc = {.format = (loom_format)t->format,
                         .untimed = true,
                         .synthetic = true,
                         .seed = t->o.seed,
                         .epoch_ms = loom_format_epoch((loom_format)t->format)};

    const loom_naming *naming = t->base.at->naming;
    LOOM_TRY(loom_prompts_ask(&t->prompts, &t->wish, &naming->model, (loom_mode)t->mode, true, t->count, t->o.seed,
                              &t->o.samples, err));
    if (t->wish.include) { /* its microservices may be called too */
        LOOM_TRY(loom_naming_open(&t->own, NULL, m->bundle.names, m->bundle.names_len, full, err));
        LOOM_TRY(loom_naming_ask(&t->own, t->prompts.items, t->prompts.n, err));
        naming = &t->own;
    }
    t->o.names = full ? naming->allowed : NULL;
    t->o.known = naming->known;
    LOOM_TRY(loom_budget_keep(&t->o, m->tok, t->prompts.items, t->prompts.n, loom_engine_context(m->engine), err));
    LOOM_TRY(loom_sink_open_text(&t->sink, &t->text, &sc, err));
    return loom_gen_new(&t->gen, m->completer, t->prompts.items, t->prompts.n, &t->o, keep, t, err);
}

loom_status loom_graph_task_new(loom_task **out, const loom_task *task, loom_err *err)
{
    graph_task *t = loom_calloc(1, sizeof *t);

    if (!t) return loom_fail_nomem(err, "a request");
    t->base = *task;
    t->base.kind = &kind;
    loom_status st = read_request(t, err);
    if (st == LOOM_OK) st = prepare(t, err);
    if (st != LOOM_OK) free_task(&t->base);
    if (st == LOOM_OK) *out = &t->base;
    return st;
}
