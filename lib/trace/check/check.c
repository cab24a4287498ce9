#include "trace/check/check.h"

#include "core/arena_array.h"
#include "core/num.h"

/* ---- codes ---- */
typedef struct checker {
    loom_codes *out;
    loom_arena *arena;
    size_t cap;
} checker;

static void give(checker *c, int32_t code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void give(checker *c, int32_t code, const char *fmt, ...)
{
    loom_buf text = {0};
    va_list args;
    va_start(args, fmt);
    loom_buf_vprintf(&text, fmt, args);
    va_end(args);
    loom_code *items = loom_arena_array_more(c->arena, c->out->items, (size_t)c->out->n, &c->cap, sizeof *items);
    if (items) c->out->items = items;
    if (items) items[c->out->n++] = (loom_code){code, loom_arena_strdup(c->arena, loom_buf_text(&text), text.len)};
    loom_buf_release(&text);
}

/* Adds of generated numbers must not overflow. */
static int64_t sum(int64_t a, int64_t b)
{
    int64_t s;
    if (__builtin_add_overflow(a, b, &s)) return a < 0 ? INT64_MIN : INT64_MAX;
    return s;
}

static int64_t sub_edges(const loom_parsed *p)
{
    int64_t n = 0;
    for (int32_t i = 0; i < p->n_subs; i++) n = sum(n, p->subs[i].attrs.num_edges);
    return n;
}

static const char *sub_depths(const loom_parsed *p, loom_arena *arena)
{
    loom_buf text = {0};
    for (int32_t i = 0; i < p->n_subs; i++) {
        if (i) loom_buf_char(&text, ',');
        loom_buf_i64(&text, p->subs[i].attrs.remaining_depth);
    }
    const char *copy = loom_arena_strdup(arena, loom_buf_text(&text), text.len);
    loom_buf_release(&text);
    return copy;
}

static const char *edge_ids(const loom_parsed *p, loom_arena *arena)
{
    loom_buf text = {0};
    for (int32_t i = 0; i < p->n_edges; i++) {
        if (i) loom_buf_char(&text, ',');
        loom_buf_str(&text, p->edges[i].edge_id);
    }
    const char *copy = loom_arena_strdup(arena, loom_buf_text(&text), text.len);
    loom_buf_release(&text);
    return copy;
}

static const loom_edge_text *edge_with_id(const loom_parsed *p, const char *id)
{
    for (int32_t i = 0; i < p->n_edges; i++)
        if (strcmp(p->edges[i].edge_id, id) == 0) return &p->edges[i];
    return NULL;
}

static int64_t latest_finish(const loom_parsed *p)
{
    int64_t finish = p->edges[0].finish;
    for (int32_t i = 1; i < p->n_edges; i++) finish = loom_max_i64(finish, p->edges[i].finish);
    return finish;
}

#define LL(x) ((long long)(x))

static void check_sub_lists(checker *c, const loom_parsed *p)
{
    for (int32_t i = 0; i < p->n_subs; i++) {
        const loom_attrs *s = &p->subs[i].attrs;
        if (s->id[0] && s->start_node[0] && s->num_edges >= 0 && s->remaining_depth >= 0 && s->start >= 0) continue;
        give(c, LOOM_CODE_BAD_SUB, "Invalid Instruction - %s", p->subs[i].text);
    }
}

static void check_sub(checker *c, const loom_parsed *p, const loom_parsed_sub *sub)
{
    static const char *const latency_text = "Parent latency > Child latency - parent: %lld, child: %lld";
    const loom_attrs *req = &p->req, *s = &sub->attrs;
    const loom_edge_text *e = edge_with_id(p, sub->index);

    if (p->n_edges && !e)
        give(c, LOOM_CODE_SUB_EDGE, "Invalid start RPC ID in generated edges - desired: %s, current: %s", sub->index,
             edge_ids(p, c->arena));
    if (e && strcmp(e->destination, s->start_node) != 0)
        give(c, LOOM_CODE_SUB_NODE, "Invalid start node in the subgraph instruction - desired: %s, current: %s",
             e->destination, s->start_node);
    if (s->start > s->latency)
        give(c, LOOM_CODE_SUB_START,
             "Offset is larger than latency in subgraph instruction - offset: %lld, latency: %lld", LL(s->start),
             LL(s->latency));
    if (req->latency >= 0 && req->latency < s->latency)
        give(c, LOOM_CODE_SUB_LATENCY, latency_text, LL(req->latency), LL(s->latency));
    if (e && e->finish < s->latency) give(c, LOOM_CODE_SUB_LATENCY, latency_text, LL(e->finish), LL(s->latency));
    if (req->remaining_depth >= 0 && s->remaining_depth > req->remaining_depth)
        give(c, LOOM_CODE_SUB_DEPTH, "Parent depth < Child depth - parent: %lld, child: %lld", LL(req->remaining_depth),
             LL(s->remaining_depth));
}

static bool some_depth(const loom_parsed *p, int64_t depth)
{
    for (int32_t i = 0; i < p->n_subs; i++)
        if (p->subs[i].attrs.remaining_depth == depth) return true;
    return false;
}

static bool some_depth_from(const loom_parsed *p, int64_t depth)
{
    for (int32_t i = 0; i < p->n_subs; i++)
        if (p->subs[i].attrs.remaining_depth >= depth) return true;
    return false;
}

static void check_depths(checker *c, const loom_parsed *p)
{
    static const char *const text = "All subgraphs generated shallow call graphs - instruction: %lld, subgraphs: %s";
    int64_t depth = p->req.remaining_depth;
    if (depth < 0) return;
    if (some_depth_from(p, depth)) give(c, LOOM_CODE_DEPTHS, text, LL(depth), sub_depths(p, c->arena));
    if (!some_depth(p, depth - 1)) give(c, LOOM_CODE_DEPTHS, text, LL(depth), sub_depths(p, c->arena));
}

static void check_parts(checker *c, const loom_parsed *p)
{
    int64_t depth = p->req.remaining_depth;
    bool whole = false;

    if (depth >= 0 && !some_depth(p, depth))
        give(c, LOOM_CODE_SPLIT_DEPTH, "Depth should be the same when splitting - instruction: %lld, subgraphs: %s",
             LL(depth), sub_depths(p, c->arena));
    for (int32_t i = 0; i < p->n_subs; i++) whole = whole || p->subs[i].attrs.num_edges >= p->req.num_edges;
    if (whole)
        give(c, LOOM_CODE_SPLIT_EDGES, "Num edges not splitted - desired edges: %lld, num_generated_edges: %lld",
             LL(p->req.num_edges), LL(sub_edges(p)));
}

static void check_layer(checker *c, const loom_parsed *p)
{
    const loom_attrs *req = &p->req;
    int64_t n = sum(p->n_edges, sub_edges(p));

    check_sub_lists(c, p);
    if (req->num_edges > 0 && req->num_edges != n)
        give(c, LOOM_CODE_NUM_EDGES, "Invalid num edges - desired: %lld, current: %lld", LL(req->num_edges), LL(n));
    for (int32_t i = 0; i < p->n_subs; i++) check_sub(c, p, &p->subs[i]);
    if (p->n_subs && p->n_edges) check_depths(c, p);
    if (p->n_subs && !p->n_edges) check_parts(c, p);
    if (!p->n_subs && req->remaining_depth > 0 && req->num_edges > 0 && req->num_edges > p->n_edges)
        give(c, LOOM_CODE_NO_SUBS, "No subgraph generation - desired depth: %lld, current_depth: -1",
             LL(req->remaining_depth));
    if (!p->n_edges) return;
    if (req->latency >= 0 && req->latency < latest_finish(p))
        give(c, LOOM_CODE_LATENCY, "Generated latency is larger than instruction's - desired: %lld, generated: %lld",
             LL(req->latency), LL(latest_finish(p)));
    if (req->num_edges > 0 && req->remaining_depth >= 0 && req->num_edges - req->remaining_depth == 1 &&
        p->n_edges != 1)
        give(c, LOOM_CODE_CHAIN,
             "More edges generated than required - desired edges: %lld, remaining_depth: %lld, "
             "num_generated_edges: %d",
             LL(req->num_edges), LL(req->remaining_depth), p->n_edges);
}

static void check_tabular(checker *c, const loom_parsed *p)
{
    const loom_attrs *req = &p->req;
    loom_graph_result g;

    loom_check_graph(&g, LOOM_MODE_TABULAR, req->id, p->edges, p->n_edges, req, c->arena);
    if (!g.valid) {
        loom_buf reasons = {0};
        loom_verdict_render(&reasons, &g.why);
        give(c, LOOM_CODE_GRAPH, "Invalid Call Graph: %s", loom_buf_text(&reasons));
        loom_buf_release(&reasons);
        return;
    }
    if (req->num_edges >= 0 && req->num_edges != g.n_edges)
        give(c, LOOM_CODE_NUM_EDGES, "Invalid num edges - desired: %lld, current: %d", LL(req->num_edges), g.n_edges);
    if (req->remaining_depth >= 0 && req->remaining_depth != g.depth)
        give(c, LOOM_CODE_MAX_DEPTH, "Invalid max depth - desired: %lld, current: %d", LL(req->remaining_depth),
             g.depth);
}

void loom_check_layer_codes(loom_codes *out, const loom_parsed *parsed, loom_arena *arena)
{
    checker c = {.out = out, .arena = arena};
    *out = (loom_codes){0};
    if (!parsed->ok) give(&c, LOOM_CODE_PARSE, "Error during parsing - %s", parsed->why);
    else if (parsed->mode == LOOM_MODE_TABULAR) check_tabular(&c, parsed);
    else check_layer(&c, parsed);
}

/* ---- the paper's rules ---- */
const char *const loom_rule_names[LOOM_RULES] = {
    [LOOM_RULE_FORM] = "form",
    [LOOM_RULE_CURRENT_EDGES] = "current_edges",
    [LOOM_RULE_TIMES] = "times",
    [LOOM_RULE_NO_SUBS] = "no_subgraphs",
    [LOOM_RULE_SUB_EDGE] = "subgraph_edge",
    [LOOM_RULE_DEPTH] = "depth",
    [LOOM_RULE_SUB_TIMES] = "subgraph_times",
    [LOOM_RULE_NUM_EDGES] = "num_edges",
    [LOOM_RULE_GRAPH] = "graph",
    [LOOM_RULE_TOTAL_EDGES] = "total_edges",
    [LOOM_RULE_TOTAL_DEPTH] = "total_depth",
    [LOOM_RULE_UNFINISHED] = "unfinished",
};

static bool well_formed(const loom_parsed *p)
{
    if (p->odd_lines || p->missing_subs) return false;
    if (p->mode == LOOM_MODE_TABULAR) return p->edges_opened;
    return p->split ? !p->edges_opened : p->edges_opened && p->edges_closed;
}

static bool times_fit(const loom_parsed *p)
{
    for (int32_t i = 0; i < p->n_edges; i++) {
        const loom_edge_text *e = &p->edges[i];
        if (e->start > e->finish) return false;
        if (p->mode == LOOM_MODE_TABULAR) continue;
        if (p->req.start >= 0 && e->start < p->req.start) return false;
        if (p->req.latency >= 0 && e->finish > p->req.latency) return false;
    }
    return true;
}

static int64_t current_edges(const loom_parsed *p)
{
    int64_t n = p->n_edges;
    for (int32_t i = 0; p->split && i < p->n_subs; i++) n = sum(n, p->subs[i].attrs.num_current_edges);
    return n;
}

static bool sub_edge_fits(const loom_parsed *p, const loom_parsed_sub *sub)
{
    const loom_attrs *s = &sub->attrs, *req = &p->req;
    const char *caller = p->split ? req->caller : req->start_node;
    const loom_edge_text *e = edge_with_id(p, sub->index);

    if (!p->split && (!e || strcmp(e->destination, s->start_node) != 0)) return false;
    if (p->split && req->start_node[0] && strcmp(req->start_node, s->start_node) != 0) return false;
    return !caller[0] || strcmp(caller, s->caller) == 0;
}

static bool sub_times_fit(const loom_parsed *p, const loom_parsed_sub *sub)
{
    const loom_edge_text *e = edge_with_id(p, sub->index);
    if (p->split) return p->req.latency < 0 || sub->attrs.latency <= p->req.latency;
    return !e || (sub->attrs.latency <= e->finish && sub->attrs.start >= e->start);
}

static bool depths_fit(const loom_parsed *p)
{
    int64_t depth = p->req.remaining_depth, most = p->split ? depth : depth - 1;
    if (depth < 0) return true;
    if (!p->n_subs) return depth == 0;
    for (int32_t i = 0; i < p->n_subs; i++)
        if (p->subs[i].attrs.remaining_depth > most) return false;
    return some_depth(p, most);
}

static bool subs_allowed(const loom_parsed *p)
{
    const loom_attrs *req = &p->req;
    if (!p->n_subs) return true;
    if (!p->split && req->remaining_depth == 0) return false;
    return req->num_edges < 0 || req->num_edges > p->n_edges;
}

uint32_t loom_check_layer_rules(const loom_parsed *p)
{
    const loom_attrs *req = &p->req;
    uint32_t broken = 0;

    if (!p->ok) return LOOM_RULE_BIT(LOOM_RULE_FORM);
    if (!well_formed(p)) broken |= LOOM_RULE_BIT(LOOM_RULE_FORM);
    if (!times_fit(p)) broken |= LOOM_RULE_BIT(LOOM_RULE_TIMES);
    if (p->mode == LOOM_MODE_TABULAR) return broken;
    if (req->num_current_edges >= 0 && req->num_current_edges != current_edges(p))
        broken |= LOOM_RULE_BIT(LOOM_RULE_CURRENT_EDGES);
    if (!subs_allowed(p)) broken |= LOOM_RULE_BIT(LOOM_RULE_NO_SUBS);
    if (!depths_fit(p)) broken |= LOOM_RULE_BIT(LOOM_RULE_DEPTH);
    for (int32_t i = 0; i < p->n_subs; i++) {
        if (!sub_edge_fits(p, &p->subs[i])) broken |= LOOM_RULE_BIT(LOOM_RULE_SUB_EDGE);
        if (!sub_times_fit(p, &p->subs[i])) broken |= LOOM_RULE_BIT(LOOM_RULE_SUB_TIMES);
    }
    if (req->num_edges >= 0 && req->num_edges != sum(p->n_edges, sub_edges(p)))
        broken |= LOOM_RULE_BIT(LOOM_RULE_NUM_EDGES);
    return broken;
}

/* ---- instruction following ---- */
static bool all_edges(const loom_parsed *p, bool (*holds)(const loom_edge_text *e, int64_t limit), int64_t limit)
{
    for (int32_t i = 0; i < p->n_edges; i++)
        if (!holds(&p->edges[i], limit)) return false;
    return true;
}

static bool starts_within(const loom_edge_text *e, int64_t limit) { return e->start <= limit; }
static bool finishes_within(const loom_edge_text *e, int64_t limit) { return e->finish <= limit; }

static bool starts_before_finish(const loom_edge_text *e, int64_t limit)
{
    (void)limit;
    return e->start <= e->finish;
}

static bool has_edge(const loom_parsed *p, const loom_line *l)
{
    for (int32_t i = 0; i < p->n_edges; i++) {
        const loom_edge_text *e = &p->edges[i];
        if (strcmp(e->source, l->name[0]) == 0 && strcmp(e->destination, l->name[1]) == 0 &&
            strcmp(e->type, l->name[2]) == 0)
            return true;
    }
    return false;
}

static bool callers_are(const loom_parsed *p, const char *caller)
{
    for (int32_t i = 0; i < p->n_subs; i++)
        if (strcmp(p->subs[i].attrs.caller, caller) != 0) return false;
    return true;
}

/* 1: obeyed, 0: not, -1: nothing that could be seen in a layer. */
static int obeys(const loom_parsed *p, const loom_line *l)
{
    switch (l->kind) {
    case LOOM_LINE_FIRST_EDGE_ID: return p->n_edges && strcmp(p->edges[0].edge_id, l->name[0]) == 0;
    case LOOM_LINE_FIRST_START: return p->n_edges && p->edges[0].start == l->num[0];
    case LOOM_LINE_START_WITHIN: return all_edges(p, starts_within, l->num[0]);
    case LOOM_LINE_FINISH_WITHIN: return all_edges(p, finishes_within, l->num[0]);
    case LOOM_LINE_SUBGRAPHS: return p->n_subs == l->num[0];
    case LOOM_LINE_NO_SUBGRAPHS: return p->n_subs == 0;
    case LOOM_LINE_NUM_EDGES: return p->n_edges == l->num[0];
    case LOOM_LINE_INCLUDE: return has_edge(p, l);
    case LOOM_LINE_START_BEFORE_FINISH: return all_edges(p, starts_before_finish, 0);
    case LOOM_LINE_COPY_CALLER: return callers_are(p, l->name[0]);
    case LOOM_LINE_LATENCY_FROM: return p->n_edges && p->edges[0].finish >= l->num[0];
    default: return -1;
    }
}

loom_following loom_check_conditions(const loom_parsed *parsed, const char *prompt, size_t len, loom_arena *arena)
{
    loom_following f = {0};
    const char *mark = len ? memmem(prompt, len, LOOM_TEXT_ANSWER_MARK, strlen(LOOM_TEXT_ANSWER_MARK)) : NULL;
    const char *end = mark ? mark : prompt + len;

    while (prompt < end) {
        const char *lf = memchr(prompt, '\n', (size_t)(end - prompt));
        size_t n = (size_t)((lf ? lf : end) - prompt);
        loom_line line;
        if (loom_line_match_any(&line, LOOM_LINE_PLAIN_FIRST, LOOM_LINE_PLAIN_LAST, prompt, n, arena)) {
            int good = obeys(parsed, &line);
            if (good >= 0) f.asked |= LOOM_CONDITION_BIT(line.kind);
            if (good == 0) f.broken |= LOOM_CONDITION_BIT(line.kind);
        }
        prompt += n + (lf != NULL);
        if (!lf) break;
    }
    return f;
}

/* ---- whole graphs ---- */

/* A call as records hold it; false when no record could. */
static bool to_call(loom_call *call, const loom_edge_text *e, loom_arena *arena)
{
    size_t len = strlen(e->edge_id);
    if (len > 12 * (size_t)LOOM_ID_MAX_COMPONENTS) return false;
    int32_t *id = loom_arena_alloc(arena, (len / 2 + 1) * sizeof *id); /* a component takes two bytes with its dot */
    int32_t n = !id ? -1 : loom_id_parse(id, (int32_t)(len / 2 + 1), e->edge_id, len);

    if (n < 1 || n > LOOM_ID_MAX_COMPONENTS) return false;
    *call = (loom_call){.id = id,
                        .n_id = n,
                        .type = loom_call_type_of(e->type, strlen(e->type)),
                        .source = e->source,
                        .destination = e->destination,
                        .arrived = e->start};
    if (e->start > LOOM_TIME_MAX_MS || e->start < -LOOM_TIME_MAX_MS) return false;
    if (e->finish > LOOM_TIME_MAX_MS || e->finish < -LOOM_TIME_MAX_MS) return false;
    call->rt = e->finish - e->start;
    return loom_name_fits_record(e->source, strlen(e->source)) &&
           loom_name_fits_record(e->destination, strlen(e->destination));
}

static void judge_counts(loom_graph_result *out, loom_mode mode, const loom_attrs *req)
{
    int64_t left = out->depth - (mode != LOOM_MODE_TABULAR); /* as the request counts; its own numbers may be any */

    if (req && req->num_edges > 0 && req->num_edges != out->n_edges) out->rules |= LOOM_RULE_BIT(LOOM_RULE_TOTAL_EDGES);
    if (req && req->remaining_depth >= 0 && req->remaining_depth != left)
        out->rules |= LOOM_RULE_BIT(LOOM_RULE_TOTAL_DEPTH);
    if (!out->valid) out->rules |= LOOM_RULE_BIT(LOOM_RULE_GRAPH);
    out->correct = out->rules == 0;
}

void loom_check_graph(loom_graph_result *out, loom_mode mode, const char *service, const loom_edge_text *edges,
                      int32_t n_edges, const loom_attrs *req, loom_arena *arena)
{
    loom_graph *g = &out->graph;
    bool readable;

    *out = (loom_graph_result){0};
    g->service = loom_name_service(arena, service, strlen(service));
    g->calls = loom_arena_calloc(arena, (size_t)n_edges + 1, sizeof *g->calls);
    readable = g->calls != NULL;
    for (int32_t i = 0; i < n_edges && readable; i++) readable = to_call(&g->calls[i], &edges[i], arena);
    if (readable) {
        g->n_calls = n_edges;
        if (mode == LOOM_MODE_TABULAR) {
            loom_graph_sort_unique(g);
            loom_graph_check(&out->why, g);
        } else {
            loom_graph_check_repeated(&out->why, g, arena);
        }
    } else {
        loom_verdict_add(&out->why, LOOM_REASON_BAD_EDGE);
    }
    if (!loom_name_fits_record(service, strlen(service)) && !loom_verdict_has(&out->why, LOOM_REASON_BAD_SERVICE))
        loom_verdict_add(&out->why, LOOM_REASON_BAD_SERVICE);
    out->valid = out->why.n == 0;
    out->n_edges = readable ? g->n_calls : n_edges;
    out->depth = loom_graph_depth(g);
    judge_counts(out, mode, req);
    if (mode != LOOM_MODE_TABULAR) loom_graph_sort_unique(g);
}
