#include "eval/answers/few_shot.h"

#include <stdio.h>

#include "core/json.h"
#include "core/num.h"
#include "core/rng.h"
#include "eval/answers/graphs.h"
#include "eval/answers/oracle.h"
#include "trace/graph/record.h"

static const char rules[] =
    "You write call graphs of microservices.\n"
    "A request is a list of attributes, joined by \"/\", and the tag <edges>: id is the service, num_edges the number of calls, "
    "depth the number of levels (the first call alone is one level), latency the response time of the first call in milliseconds.\n"
    "Answer with one line for each call, then </edges>, and nothing else. The rules:\n"
    "1. A line stands in round brackets and has six items, separated by commas, in any order: edge_id is ID, type is TYPE, "
    "source is NAME, destination is NAME, communication starts at N milliseconds, communication finishes at N milliseconds. "
    "TYPE is rpc, http, mc, db or mq; N is a whole number.\n"
    "2. The first call has the edge_id 0. A call that the destination of another call makes has that call's edge_id, a dot and a "
    "number: 0.1, 0.2, and below 0.1 then 0.1.1. No edge_id comes twice.\n"
    "3. The source of a call is the destination of the call it hangs from.\n"
    "4. No call finishes before it starts, starts before the call it hangs from, or finishes after that one.\n"
    "5. There are exactly num_edges calls on exactly depth levels, and the first call lasts for the latency, where it is given.\n";

/* ---- examples ---- */

static loom_status example_text(loom_buf *into, const loom_graph *g, uint64_t seed, loom_arena *arena, loom_err *err)
{
    loom_prompt_conf conf = {.mode = LOOM_MODE_TABULAR};
    loom_request *answered = NULL;
    loom_buf record = {0};
    loom_buf_reset(into);
    loom_arena_reset(arena);
    loom_status st = loom_request_graph_prompt(into, g, NULL, &conf, seed, arena, err);
    loom_record_render(&record, g);
    if (st == LOOM_OK) st = loom_buf_check(&record, "an example", err);
    if (st == LOOM_OK)
        st = loom_oracle_answer(&answered, LOOM_MODE_TABULAR, into->data, into->len, record.data, LOOM_DAMAGE_NONE,
                                NULL, err);
    if (st == LOOM_OK) {
        const loom_request_layer *l = loom_request_at(answered, 0);
        loom_buf_append(into, l->text, l->text_len);
        loom_buf_str(into, LOOM_TEXT_EDGES_END "\n");
        st = loom_buf_check(into, "an example", err);
    }
    loom_request_free(&answered);
    loom_buf_release(&record);
    return st;
}

/* Algorithm R: each graph offered so far is among the kept ones with the same probability. */
loom_status loom_few_shot_offer(loom_few_shot *s, const loom_graph *g, loom_arena *arena, loom_err *err)
{
    loom_rng rng;
    if (loom_graphs_breaks_times(g)) return LOOM_OK;
    int64_t at = s->n_offered++;
    if (at >= LOOM_FEW_SHOT_KEPT) {
        loom_rng_seed(&rng, s->seed, "few-shot kept", (uint64_t)at);
        at = (int64_t)loom_rng_below(&rng, (uint64_t)s->n_offered);
    }
    return at < LOOM_FEW_SHOT_KEPT ? example_text(&s->kept[at], g, s->seed, arena, err) : LOOM_OK;
}

/* ---- requests ---- */

static void add_examples(loom_buf *into, const loom_few_shot *s, int64_t id)
{
    int32_t order[LOOM_FEW_SHOT_KEPT];
    size_t n = (size_t)loom_min_i64(s->n_offered, LOOM_FEW_SHOT_KEPT);
    loom_rng rng;
    for (size_t i = 0; i < n; i++) order[i] = (int32_t)i;
    loom_rng_seed(&rng, s->seed, "few-shot examples", (uint64_t)id);
    loom_rng_shuffle(&rng, order, n, sizeof *order);
    for (int64_t i = 0; i < s->n_examples; i++)
        loom_buf_printf(into, "Example %lld:\n%s\n", (long long)(i + 1), s->kept[order[i]].data);
}

static void add_message(loom_jw *w, const char *role, const char *text, size_t len)
{
    loom_jw_begin_object(w);
    loom_jw_kv_str(w, "role", role);
    loom_jw_key(w, "content");
    loom_jw_strn(w, text, len);
    loom_jw_end_object(w);
}

static void render_request(loom_buf *into, int64_t id, const char *model, const loom_buf *question)
{
    char name[24];
    loom_jw w;
    snprintf(name, sizeof name, "%lld", (long long)id);
    loom_jw_init(&w, into, false);
    loom_jw_begin_object(&w);
    loom_jw_kv_str(&w, "custom_id", name);
    loom_jw_kv_str(&w, "method", "POST");
    loom_jw_kv_str(&w, "url", "/v1/chat/completions");
    loom_jw_key(&w, "body");
    loom_jw_begin_object(&w);
    loom_jw_kv_str(&w, "model", model);
    loom_jw_key(&w, "messages");
    loom_jw_begin_array(&w);
    add_message(&w, "system", rules, sizeof rules - 1);
    add_message(&w, "user", question->data, question->len);
    loom_jw_end_array(&w);
    loom_jw_end_object(&w);
    loom_jw_end_object(&w);
    loom_buf_char(into, '\n');
}

loom_status loom_few_shot_render(loom_buf *into, const loom_few_shot *s, int64_t id, const char *model,
                                 const char *prompt, size_t len, loom_err *err)
{
    loom_buf question = {0};
    if (s->n_offered < s->n_examples)
        return loom_fail(
            err, LOOM_STATUS_FORMAT,
            "%lld training graphs of these sizes, %lld examples wanted; give more with --train, or fewer --examples",
            (long long)s->n_offered, (long long)s->n_examples);
    add_examples(&question, s, id);
    loom_buf_str(&question, "Your turn:\n");
    loom_buf_append(&question, prompt, len);
    loom_status st = loom_buf_check(&question, "a request", err);
    if (st == LOOM_OK) render_request(into, id, model, &question);
    loom_buf_release(&question);
    return st == LOOM_OK ? loom_buf_check(into, "a request", err) : st;
}

void loom_few_shot_release(loom_few_shot *s)
{
    for (int i = 0; i < LOOM_FEW_SHOT_KEPT; i++) loom_buf_release(&s->kept[i]);
    s->n_offered = 0;
}
