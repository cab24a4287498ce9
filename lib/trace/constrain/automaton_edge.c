/* Edges: items, times, how many; dotted ids and callers of tabular text. */
#include "trace/constrain/automaton_impl.h"

/* ---- edges ---- */

static loom_am_edge *edge_at(loom_automaton *a, int32_t i)
{
    if ((size_t)i >= a->cap_edges) {
        loom_err err;
        if (loom_grow(&a->edges, &a->cap_edges, (size_t)i + 1, sizeof *a->edges, &err) != LOOM_OK) return NULL;
    }
    return &a->edges[i];
}

/* Entry of the edge being written; for the form alone no edge need be remembered. */
static int32_t this_edge(const loom_automaton *a, const loom_automaton_state *s) { return full(a) ? s->n_edges : 0; }

/* Entry of the ancestor of the last edge (itself included) that stands on `level`. */
static int32_t path_at(const loom_automaton *a, const loom_automaton_state *s, int32_t level)
{
    int32_t i = s->n_edges - 1;
    while (i >= 0 && a->edges[i].level > level) i = a->edges[i].parent;
    return i;
}

/* Tabular: levels on which the next edge may stand. */
static uint64_t next_levels(const loom_automaton *a, const loom_automaton_state *s)
{
    int64_t left = (s->total >= 0 ? s->total : COUNT_CAP) - s->n_edges - 1; /* after this edge */
    int64_t deepest = s->depth >= 0 ? s->depth : DEPTH_CAP;
    uint64_t levels = 0;

    if (s->n_edges == 0) return 1u << 1;
    for (int32_t q = 2; q <= a->edges[s->n_edges - 1].level + 1 && q <= deepest && q < 64; q++) {
        int64_t reached = loom_max_i64(q, s->reached);
        if (s->depth >= 0 && reached < s->depth && left < s->depth - q) continue;
        levels |= (uint64_t)1 << q;
    }
    return levels;
}

static int64_t level_finish(const loom_automaton *a, const loom_automaton_state *s, int32_t q)
{
    return q <= 1 ? a->latency : a->edges[path_at(a, s, q - 1)].finish;
}

static int64_t latest_finish(const loom_automaton *a, const loom_automaton_state *s)
{
    for (int32_t q = 1; q < 64; q++) /* finishes fall along a path: the shallowest level allows most */
        if (s->listed >> q & 1) return level_finish(a, s, q);
    return -1;
}

/* Drops levels whose parent finishes before `t`. */
static void need_finish(const loom_automaton *a, loom_automaton_state *s, int64_t t)
{
    for (int32_t q = 1; q < 64; q++)
        if ((s->listed >> q & 1) && level_finish(a, s, q) < t) s->listed &= ~((uint64_t)1 << q);
}

bool loom_am_begin_item_choice(const loom_automaton *a, loom_automaton_state *s)
{
    uint32_t all = (1u << LOOM_ITEMS) - 1;
    if (!tabular(a)) all &= ~(1u << LOOM_ITEM_SOURCE);
    return loom_am_choice(s, P_ITEM, G_ITEM, all & ~(uint32_t)s->items);
}

/* Could the layer have more than g edges? */
static bool may_grow(const loom_automaton *a, const loom_automaton_state *s, int64_t g)
{
    for (int64_t more = g + 1; more <= a->c_hi; more++)
        if (loom_am_can_close(a, s, more)) return true;
    return false;
}

bool loom_am_begin_edge(loom_automaton *a, loom_automaton_state *s)
{
    loom_am_edge *e = edge_at(a, this_edge(a, s));

    if (!e) return false;
    *e = (loom_am_edge){.listed = -1, .parent = -1};
    s->items = 0;
    s->start = s->finish = -1;
    bool at_once = a->conf.asked_first && a->wish.type >= 0; /* without a type it is the way to `reach` */
    s->forced = a->wish.destination && !s->wished && (at_once || !may_grow(a, s, s->n_edges + 1));
    if (tabular(a) && full(a)) s->listed = next_levels(a, s);
    return loom_am_begin_item_choice(a, s);
}

static bool begin_time(const loom_automaton *a, loom_automaton_state *s, bool finish)
{
    bool first = s->n_edges == 0;

    if (!full(a)) return loom_am_number_free(s, P_ITEM_VALUE);
    if (tabular(a)) {
        int64_t latest = latest_finish(a, s), exact = first ? a->latency_exact : -1;
        if (exact >= 0) {
            if (finish)
                return loom_am_number_in(s, P_ITEM_VALUE, s->start >= 0 ? s->start + exact : exact,
                                         s->start >= 0 ? s->start + exact : loom_max_i64(latest, exact));
            int64_t hi = s->finish >= 0 ? s->finish - exact : loom_max_i64(latest - exact, 0);
            return loom_am_number_in(s, P_ITEM_VALUE, s->finish >= 0 ? hi : 0, hi);
        }
        if (finish) return loom_am_number_in(s, P_ITEM_VALUE, loom_max_i64(s->start, 0), latest);
        return loom_am_number_in(s, P_ITEM_VALUE, 0, s->finish >= 0 ? s->finish : latest);
    }
    int64_t floor = loom_max_i64(a->req.start, 0);
    int64_t earliest = loom_max_i64(s->start, first ? loom_max_i64(floor, a->latency_from) : floor);
    if (finish) return loom_am_number_in(s, P_ITEM_VALUE, earliest, a->latency);
    if (first && a->req.start >= 0) return loom_am_number_in(s, P_ITEM_VALUE, floor, floor);
    return loom_am_number_in(s, P_ITEM_VALUE, floor, s->finish >= 0 ? s->finish : a->latency);
}

static void begin_dotted(loom_automaton_state *s)
{
    s->place = P_ITEM_VALUE;
    s->kind = KIND_DOTTED;
    s->level = 1;
    s->number = 0;
    s->n_digits = 0;
}

bool loom_am_begin_item_value(const loom_automaton *a, loom_automaton_state *s)
{
    switch (s->item) {
    case LOOM_ITEM_EDGE_ID:
        if (tabular(a)) begin_dotted(s);
        else if (full(a)) loom_am_literal_number(s, P_ITEM_VALUE, a->first_id + s->n_edges);
        else return loom_am_number_free(s, P_ITEM_VALUE);
        return true;
    case LOOM_ITEM_TYPE: {
        uint32_t all = (1u << LOOM_CALL_TYPES) - 1;
        return loom_am_choice(s, P_ITEM_VALUE, G_TYPE, s->forced && a->wish.type >= 0 ? 1u << a->wish.type : all);
    }
    case LOOM_ITEM_SOURCE:
        if (!full(a)) loom_am_name(a, s, P_ITEM_VALUE, NAME_MS | NAME_USER);
        else if (s->n_edges == 0) LITERAL(s, P_ITEM_VALUE, LOOM_TEXT_USER);
        else s->place = P_ITEM_VALUE, s->kind = KIND_SOURCE, s->at = 0;
        return true;
    case LOOM_ITEM_DESTINATION:
        if (s->forced) loom_am_literal(s, P_ITEM_VALUE, a->wish.destination, strlen(a->wish.destination));
        else loom_am_name(a, s, P_ITEM_VALUE, full(a) && a->conf.names ? NAME_LISTED : NAME_MS);
        return true;
    case LOOM_ITEM_START: return begin_time(a, s, false);
    default: return begin_time(a, s, true);
    }
}

void loom_am_end_item(const loom_automaton *a, loom_automaton_state *s)
{
    uint32_t all = (1u << LOOM_ITEMS) - 1;
    if (!tabular(a)) all &= ~(1u << LOOM_ITEM_SOURCE);
    s->items |= (uint8_t)(1u << s->item);
    bool last = s->items == all, time = s->item == LOOM_ITEM_START || s->item == LOOM_ITEM_FINISH;
    if (time && last) LITERAL(s, P_ITEM_END, " milliseconds)\n");
    else if (time) LITERAL(s, P_ITEM_END, " milliseconds,");
    else if (last) LITERAL(s, P_ITEM_END, ")\n");
    else LITERAL(s, P_ITEM_END, ",");
}

bool loom_am_end_item_value(loom_automaton *a, loom_automaton_state *s)
{
    loom_am_edge *e = &a->edges[this_edge(a, s)];

    if (s->item == LOOM_ITEM_DESTINATION && s->kind == KIND_LITERAL) {
        e->listed = a->wish.listed;
        snprintf(e->name, sizeof e->name, "%s", a->wish.destination);
    } else if (s->item == LOOM_ITEM_DESTINATION) {
        e->listed = (s->choices & NAME_LISTED) ? s->name_lo : -1;
        snprintf(e->name, sizeof e->name, "%.*s", (int)loom_min_i64(s->at, (int64_t)sizeof e->name - 1), s->small);
    } else if (s->item == LOOM_ITEM_START) {
        s->start = e->start = s->number;
        if (tabular(a) && full(a)) need_finish(a, s, s->number);
    } else if (s->item == LOOM_ITEM_FINISH) {
        s->finish = e->finish = s->number;
        if (tabular(a) && full(a)) need_finish(a, s, s->number);
    }
    loom_am_end_item(a, s);
    return true;
}

/* ---- how many edges ---- */

/* Could the layer end after g edges, as far as the counts of the request go? */
bool loom_am_can_close(const loom_automaton *a, const loom_automaton_state *s, int64_t g)
{
    int64_t rest = s->total >= 0 ? s->total - g : -1;
    int64_t subs = s->all_subs;

    if (a->conf.reach && (rest == 0 || s->depth == 0 || subs == 0)) return false;
    if (g < a->c_lo || g > a->c_hi) return false;
    if (s->total >= 0 && rest < 0) return false;
    if (subs > g) return false;
    bool none = rest == 0 || s->depth == 0 || subs == 0;
    if (none) return rest <= 0 && s->depth <= 0 && subs <= 0;
    int64_t k = subs > 0 ? subs : 1, d = s->depth > 0 ? s->depth : 1;
    return rest < 0 || rest >= d + k - 1;
}

bool loom_am_begin_next_edge(loom_automaton *a, loom_automaton_state *s)
{
    uint32_t choices = 0;
    int64_t g = s->n_edges;

    if (!full(a)) {
        choices = 1u << EDGE_MORE | (g ? 1u << EDGE_END : 0);
    } else if (tabular(a)) {
        if (s->total >= 0 ? g == s->total : g > 0 && (s->depth < 0 || s->reached == s->depth))
            choices |= 1u << EDGE_END;
        if (s->total >= 0 ? g < s->total : g < COUNT_CAP && next_levels(a, s)) choices |= 1u << EDGE_MORE;
    } else {
        if ((s->wished || !a->wish.destination) && loom_am_can_close(a, s, g)) choices |= 1u << EDGE_END;
        if (may_grow(a, s, g)) choices |= 1u << EDGE_MORE;
    }
    return loom_am_choice(s, P_EDGE, G_EDGE, choices);
}

bool loom_am_finish_edge(loom_automaton *a, loom_automaton_state *s)
{
    loom_am_edge *e = &a->edges[this_edge(a, s)];

    if (tabular(a) && full(a)) s->reached = (int32_t)loom_max_i64(s->reached, e->level);
    if (a->wish.destination && (a->wish.type < 0 || s->type == a->wish.type) &&
        strcmp(loom_am_edge_name(a, e), a->wish.destination) == 0)
        s->wished = true;
    s->n_edges++;
    return loom_am_begin_next_edge(a, s);
}

/* ---- dotted ids (tabular) ---- */

static void dotted_ranges(const loom_automaton *a, loom_automaton_state *s)
{
    s->ranges.n = 0;
    if (!full(a)) {
        s->ranges = (loom_ranges){.lo = {0}, .hi = {ID_CAP}, .n = 1};
        return;
    }
    if (s->n_edges == 0) {
        s->ranges = (loom_ranges){.lo = {0}, .hi = {0}, .n = 1};
        return;
    }
    int32_t on = path_at(a, s, s->level);
    bool there = on >= 0 && a->edges[on].level == s->level;
    int64_t taken = there ? a->edges[on].number : 0;
    if (there && s->listed >> (s->level + 1)) { /* go below it */
        s->ranges.lo[s->ranges.n] = taken;
        s->ranges.hi[s->ranges.n++] = taken;
    }
    if (s->listed >> s->level & 1) { /* stand beside it, behind it */
        s->ranges.lo[s->ranges.n] = taken + 1;
        s->ranges.hi[s->ranges.n++] = loom_max_i64(ID_CAP, taken + 1);
    }
}

/* Is the number read the last component, the id's own? */
bool loom_am_dotted_complete(const loom_automaton *a, loom_automaton_state *s)
{
    dotted_ranges(a, s);
    if (!loom_am_number_complete(s)) return false;
    if (!full(a) || s->n_edges == 0) return true;
    int32_t on = path_at(a, s, s->level);
    bool there = on >= 0 && a->edges[on].level == s->level;
    return (s->listed >> s->level & 1) && (!there || s->number > a->edges[on].number);
}

bool loom_am_dotted_goes_on(const loom_automaton *a, loom_automaton_state *s)
{
    dotted_ranges(a, s);
    if (!loom_am_number_complete(s)) return false;
    if (!full(a)) return s->level < DEPTH_CAP;
    if (s->n_edges == 0) return false;
    int32_t on = path_at(a, s, s->level);
    return on >= 0 && a->edges[on].level == s->level && s->number == a->edges[on].number &&
           (s->listed >> (s->level + 1)) != 0;
}

bool loom_am_step_dotted(const loom_automaton *a, loom_automaton_state *s, unsigned char b)
{
    dotted_ranges(a, s);
    if (loom_am_is_digit(b)) return loom_am_step_number(s, b - '0');
    if (b != '.' || !loom_am_dotted_goes_on(a, s)) return false;
    s->level++;
    s->number = 0;
    s->n_digits = 0;
    return true;
}

void loom_am_end_dotted(loom_automaton *a, loom_automaton_state *s)
{
    loom_am_edge *e = &a->edges[this_edge(a, s)];

    if (full(a)) {
        e->level = s->level;
        e->number = s->number;
        e->parent = s->n_edges ? path_at(a, s, s->level - 1) : -1;
        s->listed &= (uint64_t)1 << s->level;
    }
    loom_am_end_item(a, s);
}

/* ---- the source of a tabular edge: the destination of one of the possible parents ---- */

const char *loom_am_source_of(const loom_automaton *a, const loom_automaton_state *s, int32_t q)
{
    return loom_am_edge_name(a, &a->edges[path_at(a, s, q - 1)]);
}

bool loom_am_step_source(const loom_automaton *a, loom_automaton_state *s, unsigned char b)
{
    uint64_t left = 0;

    for (int32_t q = 2; q < 64 && s->listed >> q; q++)
        if ((s->listed >> q & 1) && (unsigned char)loom_am_source_of(a, s, q)[s->at] == b) left |= (uint64_t)1 << q;
    if (!left) return false;
    s->listed = left;
    s->at++;
    return true;
}

uint64_t loom_am_sources_complete(const loom_automaton *a, const loom_automaton_state *s)
{
    uint64_t whole_ones = 0;
    for (int32_t q = 2; q < 64 && s->listed >> q; q++)
        if ((s->listed >> q & 1) && loom_am_source_of(a, s, q)[s->at] == 0) whole_ones |= (uint64_t)1 << q;
    return whole_ones;
}
