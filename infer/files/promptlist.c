#include "infer/files/promptlist.h"

#include <stdlib.h>

#include "core/file.h"
#include "core/hash.h"
#include "core/json.h"
#include "core/num.h"
#include "trace/graph/record.h"
#include "trace/text/parse.h"

void loom_prompts_release(loom_prompts *p)
{
    free(p->items);
    loom_arena_release(&p->arena);
    *p = (loom_prompts){0};
}

static loom_status append(loom_prompts *p, const loom_gen_prompt *item, loom_err *err)
{
    LOOM_TRY(loom_arena_check(&p->arena, "prompts", err));
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

/* ---- files of prompts ---- */

typedef struct reader {
    loom_prompts *p;
    const loom_prompts_how *how;
    const char *path;
    int64_t line; /* at work, from 1, in all members together */
} reader;

static loom_status at_line(const reader *r, loom_status st, int64_t line, loom_err *err)
{
    if (st == LOOM_STATUS_FORMAT)
        loom_err_in(
            err, "%s:%lld (a line of `loom-eval prompts` or a record from \"" LOOM_TEXT_QUESTION "\" on is expected)",
            r->path, (long long)line);
    return st;
}

static loom_status read_json_lines(reader *r, char *text, size_t len, loom_err *err)
{
    for (size_t at = 0; at < len; r->line++) {
        size_t n = strcspn(text + at, "\n");
        loom_json *root = NULL;
        loom_status st = LOOM_OK;

        if (n && text[at + n - 1] == '\r') text[at + n - 1] = ' ';
        if (n) st = loom_json_parse(&root, text + at, n, "prompt", err);
        if (st == LOOM_OK && n) st = take_line(r->p, root, r->how->mode, err);
        loom_json_free(root);
        if (st != LOOM_OK) return at_line(r, st, r->line, err);
        at += n + 1;
    }
    return LOOM_OK;
}

static loom_mode mode_of_record(const char *record, size_t len)
{
    const char *depth = memmem(record, len, "depth:", 6);

    if (memmem(record, len, LOOM_TEXT_REQUIREMENTS, strlen(LOOM_TEXT_REQUIREMENTS))) return LOOM_MODE_INSTRUCTION;
    return depth && depth > record && depth[-1] != '_' ? LOOM_MODE_TABULAR : LOOM_MODE_RECURSIVE;
}

/* What the record asks for, as far as it says so. */
static void describe(loom_gen_prompt *item, loom_arena *arena)
{
    loom_parsed_prompt asked;

    item->edges = item->depth = -1;
    item->service = "";
    if (loom_parse_prompt(&asked, item->mode, item->text, item->len, arena)) return;
    item->edges = asked.req.num_edges;
    item->depth = asked.req.remaining_depth;
    if (item->mode != LOOM_MODE_TABULAR && item->depth >= 0) item->depth++; /* the graph's */
    if (loom_attrs_has(&asked.req, LOOM_ATTR_ID)) item->service = asked.req.id;
}

static loom_status take_record(reader *r, const char *record, size_t len, loom_err *err)
{
    loom_prompts *p = r->p;
    loom_gen_prompt item = {.id = p->n, .mode = mode_of_record(record, len)};
    loom_buf text = {0};

    if (r->how->mode != LOOM_MODES && r->how->mode != item.mode) return LOOM_OK;
    loom_status st = loom_request_record_prompt(&text, item.mode, r->how->match_training, record, len, err);
    if (st == LOOM_OK) {
        item.text = loom_arena_strdup(&p->arena, loom_buf_text(&text), text.len);
        p->arena.failed |= loom_buf_failed(&text);
        item.len = p->arena.failed ? 0 : text.len;
        describe(&item, &p->arena);
        st = append(p, &item, err);
    }
    loom_buf_release(&text);
    return st;
}

/* Start of the line, from `at` on, that begins the next record; len when there is none. *lines: line ends passed. */
static size_t next_record(const char *text, size_t at, size_t len, int64_t *lines)
{
    for (*lines = 0; at < len; ++*lines) {
        size_t n = strcspn(text + at, "\n");
        size_t mark = strlen(LOOM_TEXT_QUESTION) - 1; /* the blank behind it may be missing */

        if (memmem(text + at, n, LOOM_TEXT_QUESTION, mark)) return at;
        at += n + 1;
    }
    return len;
}

static loom_status read_records(reader *r, const char *text, size_t len, loom_err *err)
{
    int64_t lines;
    size_t at = next_record(text, 0, len, &lines);

    if (at == len && len)
        return at_line(r, loom_fail(err, LOOM_STATUS_FORMAT, "no prompts in this format"), r->line, err);
    r->line += lines;
    while (at < len) {
        size_t next = next_record(text, at + strcspn(text + at, "\n") + 1, len, &lines);

        if (next < len || !r->how->drop_last)
            LOOM_TRY(at_line(r, take_record(r, text + at, next - at, err), r->line, err));
        r->line += 1 + lines;
        at = next;
    }
    return LOOM_OK;
}

static loom_status read_member(loom_buf *text, loom_in *in, const char *path, loom_err *err)
{
    loom_buf_reset(text);
    LOOM_TRY(loom_in_read_all(text, in, LOOM_BOUND_PROMPTS, path, err));
    loom_buf_char(text, 0);
    LOOM_TRY(loom_buf_check(text, path, err));
    text->len--;
    if (strlen(text->data) == text->len) return LOOM_OK;
    return loom_fail(err, LOOM_STATUS_FORMAT, "%s holds a zero byte: it is no text file", path);
}

loom_status loom_prompts_read(loom_prompts *p, const char *path, const loom_prompts_how *how, loom_err *err)
{
    reader r = {.p = p, .how = how, .path = path, .line = 1};
    loom_in *in = NULL;
    loom_buf text = {0};
    bool more = true;
    loom_status st = loom_in_open(&in, path, err);

    while (st == LOOM_OK && more) {
        if ((st = read_member(&text, in, path, err)) != LOOM_OK) break;
        st = text.data[strspn(text.data, " \t\r\n")] == '{' ? read_json_lines(&r, text.data, text.len, err)
                                                            : read_records(&r, text.data, text.len, err);
        if (st == LOOM_OK) st = loom_in_next_member(in, &more, err);
    }
    loom_in_close(&in);
    loom_buf_release(&text);
    return st;
}

/* ---- wishes ---- */

static void fill_wish(loom_attrs *a, const loom_wish *w, loom_mode mode, loom_arena *arena)
{
    loom_attrs_init(a);
    if (w->service) a->id = loom_name_service(arena, w->service, strlen(w->service));
    loom_attrs_put(a, LOOM_ATTR_ID);
    if (mode != LOOM_MODE_TABULAR) {
        a->start_node =
            w->start_node ? loom_name_microservice(arena, w->start_node, strlen(w->start_node)) : LOOM_TEXT_USER;
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
    a->num_subgraphs = w->edges > 1 || w->depth > 1 ? 1 : w->edges == 1 || w->depth == 1 ? 0 : w->children;
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

/* Wishes that the encoding has no words for, or that contradict each other. */
static loom_status check_wish(const loom_wish *w, loom_mode mode, loom_err *err)
{
    const char *fault = wish_fault(w);
    bool alone = w->edges == 1 || w->depth == 1, more = w->edges > 1 || w->depth > 1;

    if (fault)
        return loom_fail(err, LOOM_STATUS_ARG, "no graph has %lld edges and depth %lld: %s", (long long)w->edges,
                         (long long)w->depth, fault);
    if (mode == LOOM_MODE_TABULAR && (w->start_node || w->children >= 0))
        return loom_fail(err, LOOM_STATUS_ARG,
                         "tabular requests cannot name a start node or a number of children; "
                         "use --mode recursive or instruction");
    if (mode != LOOM_MODE_INSTRUCTION && (w->include || w->high_latency || w->latency_from))
        return loom_fail(err, LOOM_STATUS_ARG,
                         "only instructions can ask for a call or for high latency; use --mode "
                         "instruction");
    if ((w->children == 0 && more) || (w->children > 0 && alone))
        return loom_fail(err, LOOM_STATUS_ARG,
                         "a graph of %s has %s below its first call, so %lld children "
                         "contradict that",
                         alone ? "one call" : "several calls", alone ? "nothing" : "one layer", (long long)w->children);
    if ((w->high_latency || w->latency_from) && w->latency >= 0)
        return loom_fail(err, LOOM_STATUS_ARG, "ask for high latency or for a latency in milliseconds, not for both");
    return LOOM_OK;
}

/* "CALLER,CALLEE,TYPE" */
static loom_status parse_include(loom_line *out, const char *text, loom_arena *arena, loom_err *err)
{
    const char *one = text ? strchr(text, ',') : NULL, *two = one ? strchr(one + 1, ',') : NULL;
    const char *type = two ? two + 1 : "";

    if (!text) return LOOM_OK;
    if (!two || one == text || two == one + 1 || loom_call_type_of(type, strlen(type)) == LOOM_CALL_TYPES)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "--include is \"%s\", expected CALLER,CALLEE,TYPE like "
                         "MS_00001,MS_00002,rpc with a type of call (http, rpc, mc, db, mq, ...)",
                         text);
    *out = (loom_line){.kind = LOOM_LINE_INCLUDE,
                       .name = {loom_name_microservice(arena, text, (size_t)(one - text)),
                                loom_name_microservice(arena, one + 1, (size_t)(two - one - 1)),
                                loom_arena_strdup(arena, type, strlen(type))}};
    return LOOM_OK;
}

loom_status loom_prompts_wish(loom_prompts *p, const loom_wish *wish, loom_mode mode, bool match_training, int64_t n,
                              uint64_t seed, loom_err *err)
{
    loom_prompt_conf conf = {.mode = mode,
                             .match_training = match_training,
                             .high_latency = wish->high_latency || wish->latency_from,
                             .latency_from = wish->latency_from};
    loom_attrs attrs;
    loom_line include;
    loom_buf text = {0};

    LOOM_TRY(check_wish(wish, mode, err));
    LOOM_TRY(parse_include(&include, wish->include, &p->arena, err));
    if (wish->include) conf.include = &include;
    fill_wish(&attrs, wish, mode, &p->arena);
    for (int64_t i = 0; i < n; i++) {
        loom_rng rng;
        loom_rng_seed(&rng, seed, "wish", (uint64_t)i);
        loom_rng_shuffle(&rng, attrs.order, attrs.n_order, sizeof attrs.order[0]);
        loom_buf_reset(&text);
        loom_request_attrs_prompt(&text, &attrs, &conf, &rng);
        loom_gen_prompt item = {.id = p->n,
                                .mode = mode,
                                .edges = wish->edges,
                                .depth = wish->depth,
                                .service = wish->service ? attrs.id : "",
                                .len = text.len};
        item.text = loom_arena_strdup(&p->arena, loom_buf_text(&text), text.len);
        p->arena.failed |= loom_buf_failed(&text);
        loom_status st = append(p, &item, err);
        if (st != LOOM_OK) {
            loom_buf_release(&text);
            return st;
        }
    }
    loom_buf_release(&text);
    return LOOM_OK;
}

static loom_status wish_services(loom_prompts *p, const loom_wish *wish, const loom_names *names, loom_mode mode,
                                 bool match_training, int64_t n, uint64_t seed, loom_err *err)
{
    loom_intern drawn = {0};
    int64_t *first = loom_alloc(names->n_services + 1, sizeof *first); /* prompt of each service drawn, by its id */
    loom_status st = first ? LOOM_OK : loom_fail_nomem(err, "services");

    for (int64_t i = 0; i < n && st == LOOM_OK; i++) {
        loom_rng rng;
        loom_wish own = *wish;
        loom_rng_seed(&rng, seed, "service", (uint64_t)i);
        own.service = loom_names_draw_service(names, &rng);
        size_t seen = drawn.n;
        int64_t id = loom_intern_add(&drawn, own.service, strlen(own.service));
        if ((size_t)id == seen) {
            first[id] = p->n;
            st = loom_prompts_wish(p, &own, mode, match_training, 1, seed, err);
        } else {
            loom_gen_prompt item = p->items[first[id]];
            item.id = p->n;
            st = append(p, &item, err);
        }
    }
    loom_intern_release(&drawn);
    free(first);
    return st;
}

loom_status loom_prompts_ask(loom_prompts *p, const loom_wish *wish, const loom_names *names, loom_mode mode,
                             bool match_training, int64_t count, uint64_t seed, int64_t *samples, loom_err *err)
{
    bool one = wish->service || !names->n_services;

    *samples = one ? count : 1;
    return one ? loom_prompts_wish(p, wish, mode, match_training, 1, seed, err)
               : wish_services(p, wish, names, mode, match_training, count, seed, err);
}

static loom_status like_graph(loom_prompts *p, const loom_graph *g, const loom_stats *stats, loom_mode mode,
                              bool match_training, uint64_t seed, loom_arena *scratch, loom_err *err)
{
    loom_prompt_conf conf = {.mode = mode, .match_training = match_training};
    loom_buf text = {0}, record = {0};

    loom_status st = loom_request_graph_prompt(&text, g, stats, &conf, seed, scratch, err);
    loom_record_render_untimed(&record, g);
    if (st == LOOM_OK) st = loom_buf_check(&text, "a prompt", err);
    if (st == LOOM_OK) st = loom_buf_check(&record, "a prompt", err);
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
