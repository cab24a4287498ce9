/* Where an answer begins, and whether its request can be met at all. */
#include "trace/constrain/automaton_impl.h"

/* ---- texts ---- */

static loom_am_text whole(const char *t) { return (loom_am_text){t, (int32_t)strlen(t)}; }

/* Up to the first hole. */
static loom_am_text head(loom_line_kind kind)
{
    const char *t = loom_line_templates[kind];
    return (loom_am_text){t, (int32_t)strcspn(t, "#@")};
}

#define LAYER_OPEN LOOM_TEXT_LAYER "\n" LOOM_TEXT_EDGES "\n"
#define SPLIT_OPEN LOOM_TEXT_SPLIT "\n"

static void make_texts(loom_automaton *a)
{
    loom_am_text(*t)[MAX_ALTERNATIVES] = a->texts;

    t[G_OPEN][0] = whole(LAYER_OPEN);
    t[G_OPEN][1] = whole(SPLIT_OPEN);
    t[G_EDGE][EDGE_END] = whole(LOOM_TEXT_EDGES_END);
    t[G_EDGE][EDGE_MORE] = whole("(");
    for (int i = 0; i < LOOM_ITEMS; i++) t[G_ITEM][i] = head((loom_line_kind)i);
    for (int i = 0; i < LOOM_CALL_TYPES; i++) t[G_TYPE][i] = whole(loom_call_type_name((loom_call_type)i));
    t[G_TAIL][TAIL_END] = whole(LOOM_TEXT_LAYER_END);
    t[G_TAIL][TAIL_SUB] = whole(LOOM_TEXT_SUB);
    t[G_TAIL][TAIL_COUNT] = head(LOOM_LINE_COUNTED);
    t[G_PARTS][TAIL_END] = whole(LOOM_TEXT_SPLIT_END);
    t[G_PARTS][TAIL_SUB] = whole(LOOM_TEXT_SUB);
    t[G_PARTS][TAIL_COUNT] = whole(LOOM_TEXT_SUB_HEAD "\n");
    t[G_COND][COND_SUB] = whole(LOOM_TEXT_SUB);
    t[G_COND][COND_EDGES] = head(LOOM_LINE_SUB_NUM_EDGES);
    t[G_COND][COND_DEPTH] = head(LOOM_LINE_SUB_DEPTH);
    t[G_COND][COND_SPLIT_DEPTH] = head(LOOM_LINE_SUB_SPLIT_DEPTH);
    t[G_COND][COND_NODE] = head(LOOM_LINE_SUB_START_NODE);
    for (int i = LOOM_ATTR_ID; i <= LOOM_ATTR_CALLER; i++) t[G_ATTR][i] = whole(loom_attr_table[i].key);
    t[G_LIST][LIST_END] = whole("\n");
    t[G_LIST][LIST_MORE] = whole(LOOM_TEXT_SUBS_NEXT);
    t[G_MORE][NEXT_END] = whole(LOOM_TEXT_DONE);
    t[G_MORE][NEXT_SUB] = whole("\n" LOOM_TEXT_SUBS_OF);
    t[G_NEXT][NEXT_END] = whole(LOOM_TEXT_DONE);
    t[G_NEXT][NEXT_SUB] = whole(LOOM_TEXT_SUB_HEAD "\n");
}

/* ---- start ---- */

static bool ends_with(const char *t, size_t len, const char *end)
{
    size_t n = strlen(end);
    return len >= n && memcmp(t + len - n, end, n) == 0;
}

/* Where in the grammar the prompt leaves off. */
static bool begin_answer(loom_automaton *a, loom_automaton_state *s)
{
    const char *p = a->conf.prompt;
    size_t n = a->conf.prompt_len;

    if (ends_with(p, n, LOOM_TEXT_EDGES "\n")) return loom_am_begin_next_edge(a, s);
    if (ends_with(p, n, LOOM_TEXT_SPLIT "\n")) return loom_am_begin_tail(a, s, true);
    if (ends_with(p, n, LOOM_TEXT_EDGES)) LITERAL(s, P_TO_EDGES, "\n");
    else if (ends_with(p, n, LOOM_TEXT_SPLIT)) LITERAL(s, P_TO_PARTS, "\n");
    else if (ends_with(p, n, LOOM_TEXT_LAYER "\n")) LITERAL(s, P_TO_EDGES, LOOM_TEXT_EDGES "\n");
    else if (ends_with(p, n, LOOM_TEXT_LAYER)) LITERAL(s, P_TO_EDGES, "\n" LOOM_TEXT_EDGES "\n");
    else if (tabular(a) && ends_with(p, n, "\n")) LITERAL(s, P_TO_EDGES, LOOM_TEXT_EDGES "\n");
    else if (tabular(a)) LITERAL(s, P_TO_EDGES, "\n" LOOM_TEXT_EDGES "\n");
    else if (ends_with(p, n, "\n")) {
        s->place = P_TO_OPEN;
        return loom_am_advance(a, s);
    } else LITERAL(s, P_TO_OPEN, "\n");
    return true;
}

static bool opens_split(const loom_automaton *a)
{
    const char *p = a->conf.prompt;
    size_t n = a->conf.prompt_len;

    if (ends_with(p, n, LOOM_TEXT_SPLIT) || ends_with(p, n, LOOM_TEXT_SPLIT "\n")) return true;
    if (ends_with(p, n, LOOM_TEXT_EDGES) || ends_with(p, n, LOOM_TEXT_EDGES "\n")) return false;
    if (ends_with(p, n, LOOM_TEXT_LAYER) || ends_with(p, n, LOOM_TEXT_LAYER "\n")) return false;
    return !a->conf.root && a->req.num_current_edges > LOOM_LAYER_MAX_EDGES;
}

const char *loom_automaton_infeasible(loom_mode mode, int64_t edges, int64_t depth)
{
    int64_t graph_depth = depth < 0 ? -1 : mode == LOOM_MODE_TABULAR ? depth : depth + 1;

    if (edges == 0) return "a call graph has at least one edge";
    if (graph_depth == 0) return "a call graph has a depth of at least 1";
    if (mode == LOOM_MODE_TABULAR ? graph_depth > 62 : graph_depth > LOOM_ID_MAX_COMPONENTS)
        return "the depth is too large";
    if (edges < 0 || graph_depth < 0) return NULL;
    if (graph_depth > edges) return "a graph cannot be deeper than it has edges";
    if (graph_depth == 1 && edges > 1) return "a graph of depth 1 has exactly one edge, the root";
    return NULL;
}

#define LL(x) ((long long)(x))

static const char *explain(loom_automaton *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A reason with values in it; lives as long as the automaton. */
static const char *explain(loom_automaton *a, const char *fmt, ...)
{
    loom_buf text = {0};
    va_list args;

    va_start(args, fmt);
    loom_buf_vprintf(&text, fmt, args);
    va_end(args);
    const char *copy = loom_arena_strdup(&a->arena, loom_buf_text(&text), text.len);
    a->arena.failed |= loom_buf_failed(&text);
    loom_buf_release(&text);
    return copy;
}

static const char *check_root(const loom_automaton *a)
{
    const loom_attrs *r = &a->req;
    const char *why = loom_automaton_infeasible(a->conf.mode, r->num_edges, r->remaining_depth);

    if (why) return why;
    if (tabular(a)) return r->latency > LOOM_TIME_MAX_MS ? "the latency is too large" : NULL;
    if (strcmp(r->start_edge_id, "0") != 0) return "the first edge of a graph is edge 0";
    if (r->num_current_edges >= 0 && r->num_current_edges != 1)
        return "the first layer of a graph has exactly one edge";
    if (r->num_subgraphs > 1) return "the first layer of a graph has at most one subgraph";
    if (r->num_subgraphs == 0 && (r->num_edges > 1 || r->remaining_depth > 0))
        return "edges are left but no subgraph may be generated";
    if (r->num_subgraphs == 1 && (r->num_edges == 1 || r->remaining_depth == 0))
        return "a subgraph is asked for but no edges or depth are left for it";
    return NULL;
}

static const char *check_split(const loom_automaton *a)
{
    const loom_attrs *r = &a->req;
    int64_t extra = r->num_edges - r->num_current_edges;

    if (r->num_edges < 0 || r->num_current_edges < 0 || r->remaining_depth < 0)
        return "a layer to be split must state num_edges, num_current_edges and remaining_depth";
    if (a->start.all_subs < 2 || a->start.all_subs > r->num_current_edges) return "a split has at least two parts";
    if (extra < r->remaining_depth || (r->remaining_depth == 0 && extra > 0))
        return "num_edges, num_current_edges and remaining_depth contradict each other";
    return NULL;
}

static const char *check_plain(loom_automaton *a)
{
    const loom_attrs *r = &a->req;
    int64_t c = a->c_hi, left = r->num_edges - c;

    if (a->c_hi > 60) return "a layer that is not split has at most 60 edges";
    if (a->c_lo == c && r->num_subgraphs > c)
        return explain(a, "num_subgraphs is %lld but the layer has %lld edge%s", LL(r->num_subgraphs), LL(c),
                       c == 1 ? "" : "s");
    if (a->c_lo == c && r->num_edges >= 0 && left < 0)
        return explain(a, "num_current_edges is %lld but num_edges is only %lld", LL(c), LL(r->num_edges));
    if (a->c_lo == c && r->num_edges >= 0 && r->remaining_depth > left)
        return explain(a, "remaining_depth is %lld but only %lld edges are left below the layer",
                       LL(r->remaining_depth), LL(left));
    for (int64_t g = 1; g <= a->c_hi; g++)
        if (loom_am_can_close(a, &a->start, g)) return NULL;
    return "num_edges, num_current_edges, num_subgraphs and remaining_depth contradict each other";
}

/* ---- conditions ---- */

/* A condition line says a number that the attribute list may leave out, but not another one. */
static const char *agree(loom_automaton *a, int64_t *attr, int64_t said, const char *name)
{
    if (*attr < 0) *attr = said;
    if (*attr == said) return NULL;
    return explain(a, "a condition says %s is %lld, the requirements say %lld", name, LL(said), LL(*attr));
}

static const char *agree_text(loom_automaton *a, const char **attr, bool there, const char *said, const char *name)
{
    if (!there) *attr = said;
    if (strcmp(*attr, said) == 0) return NULL;
    return explain(a, "a condition says %s is %s, the requirements say %s", name, said, *attr);
}

static const char *take_include(loom_automaton *a, const loom_line *l)
{
    loom_line *seen = &a->include;

    if (seen->name[0] && (strcmp(seen->name[0], l->name[0]) != 0 || strcmp(seen->name[1], l->name[1]) != 0 ||
                          strcmp(seen->name[2], l->name[2]) != 0))
        return "there are several different \"" LOOM_TEXT_INCLUDE "\" lines; one can be met";
    *seen = *l;
    return NULL;
}

static const char *take_condition(loom_automaton *a, const loom_line *l)
{
    loom_attrs *r = &a->req;
    int64_t latency = r->latency >= 0 ? loom_min_i64(r->latency, l->num[0]) : l->num[0];

    switch (l->kind) {
    case LOOM_LINE_FIRST_EDGE_ID:
        return agree_text(a, &r->start_edge_id, loom_attrs_has(r, LOOM_ATTR_START_EDGE_ID), l->name[0],
                          "start_edge_id");
    case LOOM_LINE_COPY_CALLER: return agree_text(a, &r->start_node, r->start_node[0], l->name[0], "start_node");
    case LOOM_LINE_FIRST_START: return agree(a, &r->start, l->num[0], "start_communication_at");
    case LOOM_LINE_NUM_EDGES: return agree(a, &r->num_current_edges, l->num[0], "num_current_edges");
    case LOOM_LINE_SUBGRAPHS: return agree(a, &r->num_subgraphs, l->num[0], "num_subgraphs");
    case LOOM_LINE_NO_SUBGRAPHS: return agree(a, &r->num_subgraphs, 0, "num_subgraphs");
    case LOOM_LINE_START_WITHIN:
    case LOOM_LINE_FINISH_WITHIN: r->latency = latency; return NULL;
    case LOOM_LINE_INCLUDE: return take_include(a, l);
    case LOOM_LINE_LATENCY_FROM: a->latency_from = loom_max_i64(a->latency_from, l->num[0]); return NULL;
    default: return NULL;
    }
}

static const char *read_conditions(loom_automaton *a)
{
    const char *at = a->conf.prompt, *end = at + a->conf.prompt_len, *why = NULL;
    const char *mark = memmem(at, a->conf.prompt_len, LOOM_TEXT_ANSWER_MARK, strlen(LOOM_TEXT_ANSWER_MARK));

    for (end = mark ? mark : end; !why && at < end;) {
        const char *lf = memchr(at, '\n', (size_t)(end - at));
        size_t n = (size_t)((lf ? lf : end) - at);
        loom_line line;
        if (loom_line_match_any(&line, LOOM_LINE_PLAIN_FIRST, LOOM_LINE_PLAIN_LAST, at, n, &a->arena))
            why = take_condition(a, &line);
        at += n + 1;
    }
    return why;
}

static const char *not_writable(loom_automaton *a, const char *name)
{
    return explain(a,
                   a->conf.names ? "%s of the \"" LOOM_TEXT_INCLUDE "\" line is not among the names allowed"
                                 : "%s of the \"" LOOM_TEXT_INCLUDE "\" line is no microservice that can be called "
                                   "(MS_ and 5 to 9 digits)",
                   name);
}

/* The layer itself is to have the edge of the include line. */
static const char *wish_edge(loom_automaton *a)
{
    const char *const *name = a->include.name;
    loom_call_type type = loom_call_type_of(name[2], strlen(name[2]));

    if (type == LOOM_CALL_TYPES)
        return explain(a, "%s of the \"" LOOM_TEXT_INCLUDE "\" line is no type of call", name[2]);
    a->wish = (loom_am_wish){.destination = name[1], .type = (int32_t)type};
    return loom_am_writable(a, name[1], &a->wish.listed) ? NULL : not_writable(a, name[1]);
}

/* A layer further down is to start at `reach`. */
static const char *wish_way(loom_automaton *a)
{
    const loom_attrs *r = &a->req;
    const char *reach = a->conf.reach;
    int64_t left = r->num_edges - a->c_lo;
    const char *type = a->include.name[2]; /* NULL: `reach` alone says where to go */
    int32_t listed;

    if (strcmp(reach, LOOM_TEXT_USER) == 0) return "the \"" LOOM_TEXT_INCLUDE "\" line lets USER call below the root";
    if (!loom_am_writable(a, reach, &listed)) return not_writable(a, reach);
    if (r->remaining_depth == 0 || r->num_subgraphs == 0 || (r->num_edges >= 0 && left < 1))
        return explain(a, "the \"" LOOM_TEXT_INCLUDE "\" line lets %s call, but nothing may come below this layer",
                       reach);
    if (a->start.split) return NULL;
    a->ends = a->conf.on_the_way && type && loom_call_type_is_store(loom_call_type_of(type, strlen(type))) ? 1 : 0;
    a->reach_now = r->remaining_depth == 1 || (r->remaining_depth < 0 && r->num_edges >= 0 && left < 2);
    if (a->reach_now) a->wish = (loom_am_wish){.destination = reach, .listed = listed, .type = -1};
    return NULL;
}

static const char *read_wishes(loom_automaton *a)
{
    const char *source = a->include.name[0];
    const char *why = NULL;

    if (source && !a->start.split && strcmp(source, a->req.start_node) == 0) why = wish_edge(a);
    else if (source && (a->conf.root || a->conf.on_the_way) && !a->conf.reach) a->conf.reach = source;
    if (!why && a->conf.reach && strcmp(a->conf.reach, a->req.start_node) == 0) a->conf.reach = NULL;
    return why || !a->conf.reach ? why : wish_way(a);
}

static void fill_limits(loom_automaton *a)
{
    const loom_attrs *r = &a->req;
    loom_automaton_state *s = &a->start;

    a->k_cap = a->conf.max_subs > 0 ? loom_min_i64(a->conf.max_subs, LOOM_LAYER_MAX_EDGES) : LOOM_LAYER_MAX_EDGES;
    a->latency = r->latency >= 0 ? loom_min_i64(r->latency, LOOM_TIME_MAX_MS) : TIME_CAP;
    a->latency_exact = tabular(a) ? r->latency : -1;
    if (a->conf.time_cap > 0 && !tabular(a)) a->latency = loom_min_i64(a->latency, a->conf.time_cap);
    if (tabular(a)) a->latency = loom_max_i64(TIME_CAP, loom_min_i64(2 * a->latency, LOOM_TIME_MAX_MS));
    s->total = r->num_edges;
    s->depth = r->remaining_depth;
    s->all_subs = (int32_t)loom_min_i64(r->num_subgraphs, 1000);
    s->edges_left = r->num_edges;
    if (!loom_parse_i64(r->start_edge_id, strlen(r->start_edge_id), &a->first_id)) a->first_id = -1;
    a->c_lo = a->c_hi = loom_min_i64(r->num_current_edges, 2 * LOOM_AUTOMATON_MAX_EDGES);
    if (a->conf.root) a->c_lo = a->c_hi = 1;
    if (a->c_lo < 0 && !s->split) a->c_lo = 1, a->c_hi = LOOM_LAYER_MAX_EDGES;
    s->wide_left = a->c_lo;
    if (s->split && s->all_subs < 0) /* nobody said how many: as few parts as can be plain */
        s->all_subs = (int32_t)loom_min_i64(
            LOOM_SPLIT_MAX_PARTS, loom_max_i64(2, (a->c_lo + LOOM_LAYER_MAX_EDGES - 1) / LOOM_LAYER_MAX_EDGES));
}

/* What no answer could be given to, whatever the layer. */
static const char *check_request(const loom_automaton *a)
{
    const loom_attrs *r = &a->req;

    if (r->num_edges > LOOM_AUTOMATON_MAX_EDGES || r->num_current_edges > LOOM_AUTOMATON_MAX_EDGES)
        return "num_edges is too large";
    if (a->first_id < 0 || a->first_id > LOOM_AUTOMATON_MAX_EDGES)
        return "start_edge_id is no number that an edge can have";
    if (!tabular(a) && !loom_name_fits_record(r->start_node, strlen(r->start_node)))
        return "the request names no start_node";
    return a->conf.names && !a->conf.n_names ? "the list of names is empty" : NULL;
}

static const char *check_full(loom_automaton *a)
{
    const char *why = check_request(a);

    if (!why && a->conf.root) why = check_root(a);
    if (why) return why;
    if (a->req.start > a->latency)
        return explain(a, "start_communication_at is %lld, but everything must finish by latency %lld",
                       LL(a->req.start), LL(a->latency));
    if (a->latency_from > a->latency)
        return explain(a, "the latency is to be at least %lld, but everything must finish by %lld", LL(a->latency_from),
                       LL(a->latency));
    if (a->start.split && (why = check_split(a))) return why;
    if (!tabular(a) && (why = read_wishes(a))) return why;
    return a->start.split || tabular(a) ? NULL : check_plain(a);
}

static const char *start_up(loom_automaton *a)
{
    loom_parsed_prompt p;
    const char *why = loom_parse_prompt(&p, a->conf.mode, a->conf.prompt, a->conf.prompt_len, &a->arena);

    if (why && a->conf.full) return why;
    if (why) loom_attrs_init(&p.req);
    a->req = p.req;
    if (a->conf.full && a->conf.mode == LOOM_MODE_INSTRUCTION && (why = read_conditions(a))) return why;
    if (a->conf.root && !tabular(a) && !a->req.start_node[0]) a->req.start_node = LOOM_TEXT_USER;
    if (!a->conf.full) a->conf.reach = NULL;
    a->start.split = opens_split(a);
    a->start.last_sub = -1;
    a->start.start = a->start.finish = -1;
    fill_limits(a);
    if (a->conf.full && (why = check_full(a))) return why;
    return begin_answer(a, &a->start) ? NULL : "no answer can be given to this prompt";
}

loom_status loom_automaton_new(loom_automaton **out, const loom_automaton_conf *conf, loom_err *err)
{
    loom_automaton *a = loom_calloc(1, sizeof *a);
    const char *why;

    if (!a) return loom_fail_nomem(err, "the answer's grammar");
    a->conf = *conf;
    make_texts(a);
    if (loom_grow(&a->edges, &a->cap_edges, 64, sizeof *a->edges, err) != LOOM_OK) { /* enough for any layer */
        loom_automaton_free(a);
        return LOOM_STATUS_NOMEM;
    }
    why = start_up(a);
    if (a->arena.failed) {
        loom_automaton_free(a);
        return loom_fail_nomem(err, "the answer's grammar");
    }
    if (why) {
        loom_status st = loom_fail(err, LOOM_STATUS_ARG, "the request cannot be met: %s", why);
        loom_automaton_free(a);
        return st;
    }
    *out = a;
    return LOOM_OK;
}

void loom_automaton_free(loom_automaton *a)
{
    if (!a) return;
    free(a->edges);
    loom_arena_release(&a->arena);
    free(a);
}

const loom_automaton_state *loom_automaton_start(const loom_automaton *a) { return &a->start; }
