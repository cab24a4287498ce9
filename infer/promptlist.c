#include "infer/promptlist.h"

#include <stdlib.h>

#include "core/file.h"
#include "core/hash.h"
#include "core/json.h"
#include "core/num.h"
#include "trace/record.h"

void loom_prompts_release(loom_prompts *p)
{
    free(p->items);
    loom_arena_release(&p->arena);
    *p = (loom_prompts){0};
}

static loom_status append(loom_prompts *p, const loom_gen_prompt *item, loom_err *err)
{
    LOOM_TRY(loom_grow(&p->items, &p->cap, (size_t)p->n + 1, sizeof *p->items, err));
    p->items[p->n++] = *item;
    return LOOM_OK;
}

static const char *text_of(loom_arena *arena, const loom_json *object, const char *key, const char *otherwise)
{
    size_t len = 0;
    const char *text = loom_json_str(loom_json_get(object, key), &len);
    return text ? loom_arena_strdup(arena, text, len) : otherwise;
}

static loom_status take_line(loom_prompts *p, const loom_json *o, loom_mode mode, loom_err *err)
{
    const char *name = NULL, *prompt = NULL;
    loom_gen_prompt item = {.edges = loom_json_i64(loom_json_get(o, "edges"), -1),
                            .depth = loom_json_i64(loom_json_get(o, "depth"), -1)};

    if (!loom_json_is_object(o)) return loom_fail(err, LOOM_STATUS_FORMAT, "not a JSON object");
    LOOM_TRY(loom_json_need_i64(o, "id", &item.id, err));
    LOOM_TRY(loom_json_need_str(o, "mode", &name, err));
    LOOM_TRY(loom_json_need_str(o, "prompt", &prompt, err));
    if (!loom_mode_parse(&item.mode, name))
        return loom_fail(err, LOOM_STATUS_FORMAT, "mode is \"%s\", expected one of " LOOM_MODE_CHOICES, name);
    if (mode != LOOM_MODES && mode != item.mode) return LOOM_OK;
    item.len = strlen(prompt);
    item.text = loom_arena_strdup(&p->arena, prompt, item.len);
    item.service = text_of(&p->arena, o, "service", "");
    item.record = text_of(&p->arena, o, "record", NULL);
    return append(p, &item, err);
}

loom_status loom_prompts_read(loom_prompts *p, const char *path, loom_mode mode, loom_err *err)
{
    loom_lines *lines = NULL;
    char *line;
    size_t len;
    loom_status st = loom_lines_open(&lines, path, err);

    while (st == LOOM_OK && (st = loom_lines_next(lines, &line, &len, err)) == LOOM_OK && line) {
        if (!len) continue;
        loom_json *root = NULL;
        st = loom_json_parse(&root, line, len, "prompt", err);
        if (st == LOOM_OK) st = take_line(p, root, mode, err);
        loom_json_free(root);
        if (st == LOOM_STATUS_FORMAT)
            loom_err_in(err, "%s:%lld (a line of `loom-eval prompts` is expected)", path,
                        (long long)loom_lines_number(lines));
    }
    loom_lines_close(&lines);
    return st;
}

static void fill_wish(loom_attrs *a, const loom_wish *w, loom_mode mode, loom_arena *arena)
{
    loom_attrs_init(a);
    if (w->service) a->id = loom_name_service(arena, w->service, strlen(w->service));
    loom_attrs_put(a, LOOM_ATTR_ID);
    if (mode != LOOM_MODE_TABULAR) {
        a->start_node = LOOM_TEXT_USER;
        loom_attrs_put(a, LOOM_ATTR_START_NODE);
    }
    a->num_edges = w->edges;
    if (w->edges >= 0) loom_attrs_put(a, LOOM_ATTR_NUM_EDGES);
    if (mode != LOOM_MODE_TABULAR) {
        a->start = 0;
        a->num_current_edges = 1;
        loom_attrs_put(a, LOOM_ATTR_START_EDGE_ID);
        loom_attrs_put(a, LOOM_ATTR_START);
    }
    a->latency = w->latency;
    if (w->latency >= 0) loom_attrs_put(a, LOOM_ATTR_LATENCY);
    if (mode == LOOM_MODE_TABULAR) {
        a->remaining_depth = w->depth;
        if (w->depth >= 0) loom_attrs_put(a, LOOM_ATTR_DEPTH);
        return;
    }
    a->num_subgraphs = w->edges > 1 || w->depth > 1 ? 1 : w->edges == 1 || w->depth == 1 ? 0 : -1;
    if (a->num_subgraphs >= 0) loom_attrs_put(a, LOOM_ATTR_NUM_SUBGRAPHS);
    a->remaining_depth = w->depth >= 0 ? w->depth - 1 : -1;
    if (w->depth >= 0) loom_attrs_put(a, LOOM_ATTR_REMAINING_DEPTH);
    loom_attrs_put(a, LOOM_ATTR_NUM_CURRENT_EDGES);
}

static const char *wish_fault(const loom_wish *w)
{
    if (w->edges == 0 || w->depth == 0) return "a call graph has at least one call";
    if (w->edges > 0 && w->depth > w->edges) return "a graph cannot be deeper than it has edges";
    if (w->depth == 1 && w->edges > 1) return "a graph of depth 1 has exactly one edge";
    return NULL;
}

loom_status loom_prompts_wish(loom_prompts *p, const loom_wish *wish, loom_mode mode, bool match_training, int64_t n,
                              uint64_t seed, loom_err *err)
{
    const char *fault = wish_fault(wish);
    loom_prompt_conf conf = {.mode = mode, .match_training = match_training};
    loom_attrs attrs;
    loom_buf text = {0};

    if (fault)
        return loom_fail(err, LOOM_STATUS_ARG, "no graph has %lld edges and depth %lld: %s", (long long)wish->edges,
                         (long long)wish->depth, fault);
    fill_wish(&attrs, wish, mode, &p->arena);
    for (int64_t i = 0; i < n; i++) {
        loom_rng rng;
        loom_rng_seed(&rng, seed, "wish", (uint64_t)i);
        loom_rng_shuffle(&rng, attrs.order, attrs.n_order, sizeof attrs.order[0]);
        loom_buf_reset(&text);
        loom_request_attrs_prompt(&text, &attrs, &conf, &rng);
        loom_gen_prompt item = {.id = p->n, .mode = mode, .edges = wish->edges, .depth = wish->depth,
                                .service = wish->service ? attrs.id : "", .len = text.len};
        item.text = loom_arena_strdup(&p->arena, text.data, text.len);
        loom_status st = append(p, &item, err);
        if (st != LOOM_OK) {
            loom_buf_release(&text);
            return st;
        }
    }
    loom_buf_release(&text);
    return LOOM_OK;
}

static bool is_rare(const void *ctx, const char *service, const char *source, loom_call_type type,
                    const char *destination)
{
    return loom_stats_is_rare(ctx, service, source, type, destination);
}

static loom_status like_graph(loom_prompts *p, const loom_graph *g, const loom_stats *stats, loom_mode mode,
                              bool match_training, uint64_t seed, loom_arena *scratch, loom_err *err)
{
    loom_prompt_conf conf = {.mode = mode, .match_training = match_training};
    loom_facts facts = {0};
    loom_buf text = {0}, record = {0};
    loom_rng rng;

    if (stats) {
        facts = (loom_facts){.is_rare = is_rare, .ctx = stats};
        facts.has_latency = loom_stats_latency(stats, g->service, NULL, &facts.p90, &facts.mean);
    }
    loom_record_render_untimed(&record, g);
    loom_rng_seed(&rng, seed, "prompt", loom_hash64(record.data, record.len, 0));
    loom_status st = loom_request_root_prompt(&text, g, &facts, &conf, &rng, scratch, err);
    if (st == LOOM_OK) {
        loom_gen_prompt item = {
            .id = p->n, .mode = mode, .edges = g->n_calls, .depth = loom_graph_depth(g), .len = text.len};
        item.text = loom_arena_strdup(&p->arena, text.data, text.len);
        item.service = loom_arena_strdup(&p->arena, g->service, strlen(g->service));
        item.record = loom_arena_strdup(&p->arena, record.data, record.len);
        st = append(p, &item, err);
    }
    loom_buf_release(&text);
    loom_buf_release(&record);
    return st;
}

loom_status loom_prompts_like(loom_prompts *p, const char *store, const loom_stats *stats, loom_mode mode,
                              bool match_training, int64_t limit, uint64_t seed, loom_err *err)
{
    loom_lines *lines = NULL;
    loom_arena scratch = {0};
    loom_graph g;
    loom_verdict why;
    char *line;
    size_t len;
    int64_t taken = 0;
    loom_status st = loom_lines_open(&lines, store, err);

    while (st == LOOM_OK && (limit <= 0 || taken < limit) &&
           (st = loom_lines_next(lines, &line, &len, err)) == LOOM_OK && line) {
        loom_arena_reset(&scratch);
        if (!loom_record_read(&g, &why, line, len, &scratch)) {
            st = loom_fail(err, LOOM_STATUS_FORMAT,
                           "%s:%lld: not a valid call graph; make the store with `loom-preprocess graphs`", store,
                           (long long)loom_lines_number(lines));
            break;
        }
        st = like_graph(p, &g, stats, mode, match_training, seed, &scratch, err);
        taken++;
    }
    loom_lines_close(&lines);
    loom_arena_release(&scratch);
    return st;
}
