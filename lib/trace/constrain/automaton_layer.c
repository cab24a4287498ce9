/* What follows the edges of a layer: counting lines, subgraphs with their attribute lists, parts of a split. */
#include "trace/constrain/automaton_impl.h"

/* ---- lines with holes ---- */

static int64_t hole_value(const loom_automaton *a, const loom_automaton_state *s, int hole)
{
    int64_t g = s->n_edges, n = s->total, r = s->edges_left;

    if (!full(a)) return -1;
    switch (s->line) {
    case LOOM_LINE_COUNTED: return hole == 0 ? a->first_id + g - 1 : hole == 1 ? a->first_id : g;
    case LOOM_LINE_OUT_OF: return hole == 0 ? g : n;
    case LOOM_LINE_REMAINING: return hole == 0 ? n : hole == 1 ? g : n - g;
    case LOOM_LINE_NOW_REMAINING: return hole == 0 ? r + s->sub.n : hole == 1 ? s->sub.n : r;
    case LOOM_LINE_SUB_NUM_EDGES: return r;
    case LOOM_LINE_SUB_DEPTH: return s->depth < 0 ? -1 : hole == 0 ? s->depth : s->depth - 1;
    case LOOM_LINE_SUB_START_NODE: return a->first_id + s->sub.index;
    default: return s->depth; /* LOOM_LINE_SUB_SPLIT_DEPTH */
    }
}

/* Does a subgraph of edge i of this layer pay the debt at once? */
static bool starts_at_reach(const loom_automaton *a, int64_t i)
{
    return strcmp(loom_am_edge_name(a, &a->edges[i]), a->conf.reach) == 0;
}

/* A number that the request leaves open: num_edges or remaining_depth of a root. */
static bool begin_open_hole(const loom_automaton *a, loom_automaton_state *s)
{
    int64_t g = s->n_edges;

    if (!full(a)) return loom_am_number_free(s, P_LINE_HOLE);
    bool owed = a->conf.reach && !starts_at_reach(a, 0); /* an open number is a root's: its edge is edge 0 */
    if (s->line == LOOM_LINE_OUT_OF) {
        int64_t subs = s->all_subs, least = loom_max_i64(s->depth, subs);
        if (a->conf.reach) least = loom_max_i64(least, owed && s->depth < 0 ? 2 : 1);
        bool none = s->depth == 0 || subs == 0;
        if (none) return loom_am_number_in(s, P_LINE_HOLE, g, g);
        return loom_am_number_in(s, P_LINE_HOLE, g + loom_max_i64(least, 0), g + COUNT_CAP);
    }
    return loom_am_number_in(s, P_LINE_HOLE, owed ? 2 : 1,
                             loom_min_i64(DEPTH_CAP, s->edges_left < 0 ? DEPTH_CAP : s->edges_left));
}

/* The one hole that holds a microservice: where the subgraph starts. */
static void begin_node_hole(const loom_automaton *a, loom_automaton_state *s)
{
    if (!full(a)) {
        loom_am_name(a, s, P_LINE_HOLE, NAME_MS | NAME_USER);
        return;
    }
    const char *node = loom_am_edge_name(a, &a->edges[s->sub.index]);
    loom_am_literal(s, P_LINE, node, strlen(node));
}

/* Goes on with the line's template at line_at: a stretch of text, a hole, or its end. */
bool loom_am_line_on(loom_automaton *a, loom_automaton_state *s)
{
    const char *t = loom_line_templates[s->line] + s->line_at;

    if (*t == 0) {
        LITERAL(s, P_LINE_END, "\n");
        return true;
    }
    if (*t == '#' || *t == '@') {
        int hole = s->hole++;
        s->line_at++;
        if (s->line == LOOM_LINE_SUB_START_NODE && hole == 1) {
            begin_node_hole(a, s);
            return true;
        }
        int64_t v = hole_value(a, s, hole);
        if (v < 0) return begin_open_hole(a, s);
        loom_am_literal_number(s, P_LINE, v);
        return true;
    }
    size_t len = strcspn(t, "#@");
    s->line_at += (int32_t)len;
    loom_am_literal(s, P_LINE, t, len);
    return true;
}

bool loom_am_begin_line(loom_automaton *a, loom_automaton_state *s, loom_line_kind kind, size_t skip)
{
    s->line = (uint8_t)kind;
    s->hole = 0;
    s->line_at = (int32_t)skip;
    return loom_am_line_on(a, s);
}

void loom_am_end_open_hole(loom_automaton_state *s)
{
    if (s->line == LOOM_LINE_OUT_OF) {
        s->total = s->number;
        s->edges_left = s->number - s->n_edges;
    } else if (s->line == LOOM_LINE_SUB_DEPTH) {
        s->depth = s->number;
    }
}

/* ---- subgraphs ---- */

/* Fewest and most subgraphs that a plain layer may still want. */
static void subs_wanted(const loom_automaton *a, const loom_automaton_state *s, int64_t *lo, int64_t *hi)
{
    int64_t left = s->edges_left, behind = s->n_edges - 1 - s->last_sub;

    if (s->all_subs >= 0) {
        *lo = *hi = s->all_subs - s->n_subs;
        return;
    }
    if (left == 0 || s->depth == 0) {
        *lo = *hi = 0;
        return;
    }
    *hi = loom_min_i64(behind, a->k_cap - s->n_subs);
    if (left > 0) {
        int64_t deep = s->depth > 0 && !s->deep_enough ? s->depth - 1 : 0;
        *hi = loom_min_i64(*hi, left - deep);
    }
    bool must = left > 0 || (s->depth > 0 && !s->deep_enough) || (a->conf.reach && !s->met);
    *lo = must ? 1 : 0;
    if (a->conf.root) *hi = loom_min_i64(*hi, 1);
}

static int64_t part_count(const loom_automaton_state *s) { return s->all_subs - s->n_subs - 1; }

/* What the rest of the layer allows of the subgraph being written. */
static void sub_bounds(const loom_automaton *a, const loom_automaton_state *s, loom_sub_bounds *b)
{
    int64_t deepest = s->depth < 0 ? DEPTH_CAP : s->split ? s->depth : s->depth - 1;

    *b = (loom_sub_bounds){.n_lo = 1,
                           .c_lo = 1,
                           .n_hi = COUNT_CAP,
                           .c_hi = COUNT_CAP,
                           .x_hi = COUNT_CAP,
                           .d_hi = deepest,
                           .k_cap = a->k_cap,
                           .deep = -1};
    if (s->depth >= 0 && !s->deep_enough) b->deep = deepest;
    b->n_shallow = b->x_shallow = COUNT_CAP;
    if (s->split) {
        int64_t m = part_count(s), extra = s->edges_left - s->wide_left;
        b->n_hi = b->n_shallow = INT64_MAX / 4;
        b->c_lo = m ? 1 : s->wide_left;
        b->c_hi = s->wide_left - m;
        b->x_lo = m ? 0 : extra;
        b->x_hi = extra;
        b->x_shallow = m ? extra - b->deep : -1;
    } else {
        int64_t lo, hi, left = s->edges_left;
        subs_wanted(a, s, &lo, &hi);
        int64_t behind = s->sub.index >= 0 ? s->n_edges - 1 - s->sub.index : s->n_edges;
        int64_t m_lo = loom_max_i64(lo - 1, 0), m_hi = loom_min_i64(hi - 1, behind); /* subgraphs after this one */
        bool owed = a->conf.reach && !s->met;
        if (owed && s->sub.index >= 0 && starts_at_reach(a, s->sub.index)) {
            b->ends = a->ends;
            owed = false;
        }
        if (owed && a->reach_now) m_lo = loom_max_i64(m_lo, 1);
        if (owed && s->depth < 0) b->d_lo = 1;
        if (left >= 0) {
            b->n_hi = left - m_lo;
            b->n_lo = m_hi > 0 ? 1 : left;
            b->c_hi = b->x_hi = loom_max_i64(left, COUNT_CAP);
        }
        if (m_hi <= 0) b->n_shallow = -1;
        else if (left >= 0) b->n_shallow = left - loom_max_i64(m_lo, 1) - b->deep;
    }
    if (s->must_deep) b->d_lo = b->d_hi = s->depth - 1;
}

/* Can the subgraph be written at all when it is to have depth d (-1: any)? */
static bool sub_possible(const loom_automaton *a, const loom_automaton_state *s, int64_t d)
{
    loom_sub_bounds b;
    loom_sub_state sub = s->sub;
    loom_ranges r;

    if (!full(a)) return true;
    sub_bounds(a, s, &b);
    if (d >= 0) sub.d = d;
    loom_sub_ranges(&r, &b, &sub, LOOM_ATTR_NUM_EDGES);
    return r.n > 0;
}

static void fresh_sub(loom_automaton_state *s)
{
    s->sub = (loom_sub_state){.index = -1, .n = -1, .d = -1, .c = -1, .k = -1, .start = -1, .latency = -1};
    s->must_deep = false;
    s->conds = 0;
}

static int32_t next_listed(const loom_automaton_state *s)
{
    for (int32_t i = s->last_sub + 1; i < 64; i++)
        if (s->listed >> i & 1) return i;
    return -1;
}

/* The edge of the next subgraph, lo to hi of which are still to come. While one must start at `reach`, it may stand in
 * front of such an edge as long as another one follows; the last one is at such an edge. */
static bool index_in(const loom_automaton *a, loom_automaton_state *s, int place, int64_t lo, int64_t hi)
{
    int64_t from = s->last_sub + 1, to = s->n_edges - loom_max_i64(lo, 1), last = -1;

    if (!a->reach_now || s->met) return loom_am_number_in(s, place, a->first_id + from, a->first_id + to);
    for (int64_t i = from; i < s->n_edges; i++)
        if (starts_at_reach(a, i)) last = i;
    if (hi > 1) return loom_am_number_in(s, place, a->first_id + from, a->first_id + loom_min_i64(to, last));
    loom_am_number(s, place);
    s->ranges.n = 0;
    for (int64_t i = from; i <= to && s->ranges.n < LOOM_AUTOMATON_RANGES; i++) {
        if (!starts_at_reach(a, i)) continue;
        s->ranges.lo[s->ranges.n] = s->ranges.hi[s->ranges.n] = a->first_id + i;
        s->ranges.n++;
    }
    return s->ranges.n > 0;
}

bool loom_am_begin_sub_index(const loom_automaton *a, loom_automaton_state *s)
{
    int64_t lo, hi;

    if (!full(a) || s->split) return loom_am_number_in(s, P_SUB_INDEX, 0, full(a) ? ID_CAP : FREE_CAP);
    if (s->sub.index >= 0) { /* announced: counting lines */
        loom_am_literal_number(s, P_SUB_INDEX, a->first_id + s->sub.index);
        return true;
    }
    subs_wanted(a, s, &lo, &hi);
    return index_in(a, s, P_SUB_INDEX, lo, hi);
}

bool loom_am_begin_attr(loom_automaton_state *s)
{
    return loom_am_choice(s, P_ATTR, G_ATTR, ALL_ATTRS & ~s->sub.written);
}

static int64_t sub_latest(const loom_automaton *a, const loom_automaton_state *s)
{
    return s->split ? a->latency : loom_min_i64(a->latency, a->edges[s->sub.index].finish);
}

static int64_t sub_earliest(const loom_automaton *a, const loom_automaton_state *s)
{
    return s->split ? loom_max_i64(a->req.start, 0) : a->edges[s->sub.index].start;
}

static bool begin_attr_number(const loom_automaton *a, loom_automaton_state *s)
{
    loom_sub_bounds b;

    sub_bounds(a, s, &b);
    loom_sub_ranges(&s->ranges, &b, &s->sub, (loom_attr)s->attr);
    loom_am_number(s, P_ATTR_VALUE);
    return s->ranges.n > 0;
}

static bool begin_attr_name(loom_automaton *a, loom_automaton_state *s)
{
    const char *fixed = NULL;

    if (full(a)) {
        if (s->attr == LOOM_ATTR_ID) fixed = a->req.id;
        else if (s->attr == LOOM_ATTR_START_NODE)
            fixed = s->split ? a->req.start_node : loom_am_edge_name(a, &a->edges[s->sub.index]);
        else fixed = s->split ? a->req.caller : a->req.start_node;
    }
    if (fixed && fixed[0]) loom_am_literal(s, P_ATTR_VALUE, fixed, strlen(fixed));
    else if (s->attr == LOOM_ATTR_ID) loom_am_name(a, s, P_ATTR_VALUE, NAME_SERVICE);
    else loom_am_name(a, s, P_ATTR_VALUE, NAME_MS | NAME_USER | (s->attr == LOOM_ATTR_CALLER ? NAME_NONE : 0));
    return true;
}

bool loom_am_begin_attr_value(loom_automaton *a, loom_automaton_state *s)
{
    switch (s->attr) {
    case LOOM_ATTR_ID:
    case LOOM_ATTR_START_NODE:
    case LOOM_ATTR_CALLER: return begin_attr_name(a, s);
    default: break;
    }
    if (!full(a)) return loom_am_number_free(s, P_ATTR_VALUE);
    switch (s->attr) {
    case LOOM_ATTR_START_EDGE_ID:
        if (!s->split) return loom_am_number_in(s, P_ATTR_VALUE, 1, FIRST_ID_CAP);
        loom_am_literal_number(s, P_ATTR_VALUE, a->first_id + a->c_lo - s->wide_left);
        return true;
    case LOOM_ATTR_START:
        return loom_am_number_in(s, P_ATTR_VALUE, sub_earliest(a, s),
                                 s->sub.latency >= 0 ? s->sub.latency : sub_latest(a, s));
    case LOOM_ATTR_LATENCY:
        return loom_am_number_in(s, P_ATTR_VALUE, loom_max_i64(s->sub.start, sub_earliest(a, s)), sub_latest(a, s));
    default: return begin_attr_number(a, s);
    }
}

void loom_am_end_attr_value(loom_automaton_state *s)
{
    s->sub.written |= LOOM_ATTR_BIT(s->attr);
    if (s->kind == KIND_NUMBER) {
        switch (s->attr) {
        case LOOM_ATTR_NUM_EDGES: s->sub.n = s->number; break;
        case LOOM_ATTR_REMAINING_DEPTH: s->sub.d = s->number; break;
        case LOOM_ATTR_NUM_CURRENT_EDGES: s->sub.c = s->number; break;
        case LOOM_ATTR_NUM_SUBGRAPHS: s->sub.k = s->number; break;
        case LOOM_ATTR_START: s->sub.start = s->number; break;
        case LOOM_ATTR_LATENCY: s->sub.latency = s->number; break;
        default: break;
        }
    }
    if (s->sub.written == ALL_ATTRS) LITERAL(s, P_ATTR_END, LOOM_TEXT_SUB_END "\n");
    else LITERAL(s, P_ATTR_END, "/");
}

/* Parts or end of a split; subgraphs or end of a layer without counting lines. */
bool loom_am_begin_tail(loom_automaton *a, loom_automaton_state *s, bool first)
{
    uint32_t choices = 0;
    bool instruction = a->conf.mode == LOOM_MODE_INSTRUCTION;
    int64_t lo, hi;

    if (!full(a)) {
        choices = 1u << TAIL_SUB | (first && s->split ? 0 : 1u << TAIL_END);
    } else if (s->split) {
        choices = s->n_subs == s->all_subs ? 1u << TAIL_END : 1u << TAIL_SUB;
    } else {
        subs_wanted(a, s, &lo, &hi);
        if (lo <= 0) choices |= 1u << TAIL_END;
        if (hi > 0) choices |= 1u << TAIL_SUB;
    }
    if (first && instruction) choices |= 1u << TAIL_COUNT;
    fresh_sub(s);
    return loom_am_choice(s, s->split ? P_PARTS : P_TAIL, s->split ? G_PARTS : G_TAIL, choices);
}

/* Condition lines in front of a subgraph; the subgraph itself once the lines that are always there are written. */
static bool begin_cond(const loom_automaton *a, loom_automaton_state *s)
{
    uint32_t must = 1u << COND_EDGES | (s->split ? 0 : 1u << COND_NODE);
    uint32_t may = must | (s->split ? 1u << COND_SPLIT_DEPTH : 1u << COND_DEPTH);

    if (full(a)) {
        if (s->split && (s->depth < 1 || !sub_possible(a, s, s->depth - 1))) may &= ~(1u << COND_SPLIT_DEPTH);
        if (!s->split && s->depth >= 0 && !sub_possible(a, s, s->depth - 1)) may &= ~(1u << COND_DEPTH);
    }
    may &= ~(uint32_t)s->conds;
    if ((s->conds & must) == must) may |= 1u << COND_SUB;
    return loom_am_choice(s, P_COND, G_COND, may);
}

bool loom_am_begin_counted_sub(const loom_automaton *a, loom_automaton_state *s)
{
    fresh_sub(s);
    if (full(a) && !s->split) s->sub.index = next_listed(s);
    return begin_cond(a, s);
}

/* Fewest and most edges that the list of edges with subgraphs may still name. */
static void list_wanted(const loom_automaton *a, const loom_automaton_state *s, int64_t *lo, int64_t *hi)
{
    int64_t n = s->n_listed, deep = loom_max_i64(s->depth - 1, 0);

    if (s->all_subs >= 0) {
        *lo = *hi = s->all_subs - n;
        return;
    }
    *lo = n == 0 || (a->reach_now && !s->met) ? 1 : 0;
    *hi = loom_min_i64(s->n_edges - 1 - s->last_sub, a->k_cap - n);
    if (s->edges_left >= 0) *hi = loom_min_i64(*hi, s->edges_left - deep - n);
    if (a->conf.root) *hi = loom_min_i64(*hi, 1 - n);
}

/* "generate subgraphs of edge:" and its list. */
bool loom_am_begin_list_index(const loom_automaton *a, loom_automaton_state *s)
{
    int64_t lo, hi;

    if (!full(a)) return loom_am_number_free(s, P_LIST_INDEX);
    list_wanted(a, s, &lo, &hi);
    return index_in(a, s, P_LIST_INDEX, lo, hi);
}

bool loom_am_end_list_index(const loom_automaton *a, loom_automaton_state *s)
{
    int64_t lo, hi;

    s->n_listed++;
    if (!full(a)) return loom_am_choice(s, P_LIST, G_LIST, 1u << LIST_END | 1u << LIST_MORE);
    s->last_sub = (int32_t)(s->number - a->first_id);
    s->listed |= (uint64_t)1 << s->last_sub;
    if (a->reach_now && starts_at_reach(a, s->last_sub)) s->met = true;
    list_wanted(a, s, &lo, &hi);
    return loom_am_choice(s, P_LIST, G_LIST, (lo <= 0 ? 1u << LIST_END : 0) | (hi > 0 ? 1u << LIST_MORE : 0));
}

bool loom_am_end_list(const loom_automaton *a, loom_automaton_state *s)
{
    if (full(a)) s->all_subs = s->n_listed;
    s->last_sub = -1;
    LITERAL(s, P_NEXT, LOOM_TEXT_SUB_HEAD "\n");
    return true;
}

/* What follows a whole line and its line end. */
bool loom_am_after_line(loom_automaton *a, loom_automaton_state *s)
{
    uint32_t both = 1u << NEXT_END | 1u << NEXT_SUB;

    switch (s->line) {
    case LOOM_LINE_COUNTED: return loom_am_begin_line(a, s, LOOM_LINE_OUT_OF, 0);
    case LOOM_LINE_OUT_OF: return loom_am_begin_line(a, s, LOOM_LINE_REMAINING, 0);
    case LOOM_LINE_REMAINING:
        if (full(a)) both = s->edges_left == 0 ? 1u << NEXT_END : 1u << NEXT_SUB;
        return loom_am_choice(s, P_MORE, G_MORE, both);
    case LOOM_LINE_NOW_REMAINING:
        if (full(a)) both = s->n_subs == s->all_subs ? 1u << NEXT_END : 1u << NEXT_SUB;
        return loom_am_choice(s, P_NEXT, G_NEXT, both);
    default: return begin_cond(a, s);
    }
}

/* A subgraph line is complete. */
bool loom_am_finish_sub(loom_automaton *a, loom_automaton_state *s)
{
    const loom_sub_state *sub = &s->sub;

    s->n_subs++;
    if (full(a)) {
        if (s->edges_left >= 0) s->edges_left -= sub->n;
        if (s->split) s->wide_left -= sub->c;
        else s->last_sub = (int32_t)sub->index;
        if (s->depth >= 0 && sub->d == (s->split ? s->depth : s->depth - 1)) s->deep_enough = true;
        if (a->conf.reach && (sub->d >= 1 || (!s->split && starts_at_reach(a, sub->index)))) s->met = true;
    }
    if (s->counted) return loom_am_begin_line(a, s, LOOM_LINE_NOW_REMAINING, 0);
    return loom_am_begin_tail(a, s, false);
}
