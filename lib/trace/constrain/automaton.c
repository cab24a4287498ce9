/* The answer grammar as a machine of small pieces (automaton_impl.h). Numbers and names have no end of their own: the
 * first byte that is not theirs closes them and belongs to the next piece. */
#include "trace/constrain/automaton_impl.h"

/* ---- moving on ---- */

/* The piece at s->place is complete. */
bool loom_am_advance(loom_automaton *a, loom_automaton_state *s)
{
    switch (s->place) {
    case P_TO_OPEN: return loom_am_choice(s, P_OPEN, G_OPEN, !full(a) ? 3 : s->split ? 2 : 1);
    case P_TO_EDGES: return loom_am_begin_next_edge(a, s);
    case P_TO_PARTS: return loom_am_begin_tail(a, s, true);
    case P_ITEM_VALUE: return loom_am_end_item_value(a, s);
    case P_ITEM_END:
        return s->piece[s->piece_len - 1] == ',' ? loom_am_begin_item_choice(a, s) : loom_am_finish_edge(a, s);
    case P_EDGES_LF: return loom_am_begin_tail(a, s, true);
    case P_LINE: return loom_am_line_on(a, s);
    case P_LINE_END: return loom_am_after_line(a, s);
    case P_SUB_INDEX: LITERAL(s, P_SUB_OPEN, ">"); return true;
    case P_SUB_OPEN: return loom_am_begin_attr(s);
    case P_ATTR_VALUE: loom_am_end_attr_value(s); return true;
    case P_ATTR_END: return s->piece_len == 1 ? loom_am_begin_attr(s) : loom_am_finish_sub(a, s);
    case P_NEXT: return loom_am_begin_counted_sub(a, s);
    default: s->done = true; return true;
    }
}

/* Alternative `i` of the current group is complete. */
static bool chosen(loom_automaton *a, loom_automaton_state *s, int i)
{
    switch (s->place) {
    case P_OPEN: s->split = i == 1; return s->split ? loom_am_begin_tail(a, s, true) : loom_am_begin_next_edge(a, s);
    case P_EDGE:
        if (i == EDGE_MORE) return loom_am_begin_edge(a, s);
        if (tabular(a)) return s->done = true;
        LITERAL(s, P_EDGES_LF, "\n");
        if (s->total >= 0) s->edges_left = s->total - s->n_edges;
        s->listed = 0;
        s->last_sub = -1;
        return true;
    case P_ITEM: s->item = (uint8_t)i; return loom_am_begin_item_value(a, s);
    case P_ITEM_VALUE:
        s->type = (uint8_t)i;
        loom_am_end_item(a, s);
        return true;
    case P_TAIL:
    case P_PARTS:
        if (i == TAIL_END) return s->done = true;
        if (i == TAIL_SUB) return loom_am_begin_sub_index(a, s);
        s->counted = true;
        if (s->place == P_PARTS) return loom_am_begin_counted_sub(a, s);
        return loom_am_begin_line(a, s, LOOM_LINE_COUNTED, (size_t)s->at);
    case P_COND:
        if (i == COND_SUB) return loom_am_begin_sub_index(a, s);
        s->conds |= (uint8_t)(1u << i);
        if (i == COND_DEPTH || i == COND_SPLIT_DEPTH) s->must_deep = full(a);
        static const loom_line_kind lines[] = {[COND_EDGES] = LOOM_LINE_SUB_NUM_EDGES,
                                               [COND_DEPTH] = LOOM_LINE_SUB_DEPTH,
                                               [COND_SPLIT_DEPTH] = LOOM_LINE_SUB_SPLIT_DEPTH,
                                               [COND_NODE] = LOOM_LINE_SUB_START_NODE};
        return loom_am_begin_line(a, s, lines[i], (size_t)s->at);
    case P_ATTR: s->attr = (uint8_t)i; return loom_am_begin_attr_value(a, s);
    case P_LIST:
        if (i == LIST_MORE) return loom_am_begin_list_index(a, s);
        return loom_am_end_list(a, s);
    case P_MORE: return i == NEXT_END ? (s->done = true) : loom_am_begin_list_index(a, s);
    default: /* P_NEXT */
        if (i == NEXT_END) return s->done = true;
        return loom_am_begin_counted_sub(a, s);
    }
}

static loom_am_text current_literal(const loom_automaton_state *s)
{
    return (loom_am_text){s->piece ? s->piece : s->small, s->piece_len};
}

static loom_am_text alternative(const loom_automaton *a, const loom_automaton_state *s, int i)
{
    return a->texts[s->group][i];
}

/* Moves over a number, name or id that is complete, without reading a byte. False: it is not complete. */
static bool close_piece(loom_automaton *a, loom_automaton_state *s)
{
    uint64_t levels;

    switch (s->kind) {
    case KIND_NUMBER:
        if (!loom_am_number_complete(s)) return false;
        if (s->place == P_LIST_INDEX) return loom_am_end_list_index(a, s);
        if (s->place == P_LINE_HOLE) {
            loom_am_end_open_hole(s);
            s->place = P_LINE;
        }
        if (s->place == P_SUB_INDEX) s->sub.index = s->split ? s->number : s->number - a->first_id;
        return loom_am_advance(a, s);
    case KIND_NAME:
        if (!loom_am_name_complete(a, s)) return false;
        if (s->place == P_LINE_HOLE) s->place = P_LINE;
        return loom_am_advance(a, s);
    case KIND_DOTTED:
        if (!loom_am_dotted_complete(a, s)) return false;
        loom_am_end_dotted(a, s);
        return true;
    case KIND_SOURCE:
        levels = loom_am_sources_complete(a, s);
        if (!levels) return false;
        s->listed = levels;
        loom_am_end_item(a, s);
        return true;
    default: return false;
    }
}

static bool step_choice(loom_automaton *a, loom_automaton_state *s, unsigned char b)
{
    uint32_t left = 0;
    int complete = -1;

    for (uint32_t rest = s->choices; rest; rest &= rest - 1) {
        int i = __builtin_ctz(rest);
        loom_am_text t = alternative(a, s, i);
        if ((unsigned char)t.data[s->at] != b) continue;
        left |= 1u << i;
        if (t.len == s->at + 1) complete = i;
    }
    if (!left) return false;
    s->choices = left;
    s->at++;
    return complete >= 0 ? chosen(a, s, complete) : true;
}

bool loom_automaton_step(loom_automaton *a, loom_automaton_state *s, unsigned char b)
{
    if (b == 0) return false; /* names are compared up to their NUL */
    for (;;) {
        if (s->done) return true;
        switch (s->kind) {
        case KIND_LITERAL:
            if ((unsigned char)current_literal(s).data[s->at] != b) return false;
            return ++s->at == s->piece_len ? loom_am_advance(a, s) : true;
        case KIND_CHOICE: return step_choice(a, s, b);
        case KIND_NUMBER:
            if (loom_am_is_digit(b)) return loom_am_step_number(s, b - '0');
            break;
        case KIND_NAME:
            if (loom_am_step_name(a, s, b)) return true;
            break;
        case KIND_DOTTED:
            if (loom_am_is_digit(b) || b == '.') return loom_am_step_dotted(a, s, b);
            break;
        default:
            if (loom_am_step_source(a, s, b)) return true;
            break;
        }
        if (!close_piece(a, s)) return false;
    }
}

bool loom_automaton_feed(loom_automaton *a, loom_automaton_state *s, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (s->done) return true;
        if (!loom_automaton_step(a, s, (unsigned char)bytes[i])) return false;
    }
    return true;
}

/* ---- forced text and shortest ways ---- */

/* The only byte that can follow, -1 when there are several, -2 when the piece is closed without one. */
static int forced_byte(loom_automaton *a, loom_automaton_state *s)
{
    int found = -1, n = 0;

    switch (s->kind) {
    case KIND_LITERAL: return (unsigned char)current_literal(s).data[s->at];
    case KIND_CHOICE: /* what several alternatives have in common is half a word: the model has a token for the whole */
        if (s->choices & (s->choices - 1)) return -1;
        return (unsigned char)alternative(a, s, __builtin_ctz(s->choices)).data[s->at];
    case KIND_NUMBER:
        if (loom_am_number_complete(s)) return loom_am_more_digits(s) ? -1 : -2;
        for (int d = 0; d < 10; d++) {
            loom_automaton_state copy = *s;
            if (loom_am_step_number(&copy, d)) found = '0' + d, n++;
        }
        return n == 1 ? found : -1;
    default: return -1;
    }
}

void loom_automaton_forced(loom_automaton *a, const loom_automaton_state *from, loom_buf *into)
{
    loom_automaton_state s = *from;

    while (!s.done) {
        int b = forced_byte(a, &s);
        if (b == -1) return;
        if (b == -2) {
            if (!close_piece(a, &s)) return;
            continue;
        }
        if (!loom_automaton_step(a, &s, (unsigned char)b)) return;
        loom_buf_char(into, (char)b);
    }
}

/* The first digit of a number in s->ranges that takes as few digits as any. */
static int shortest_digit(const loom_automaton_state *s)
{
    int64_t begun[10]; /* what is written with this digit behind it; -1: it cannot come */

    for (int d = 0; d < 10; d++) {
        loom_automaton_state copy = *s;
        begun[d] = loom_am_step_number(&copy, d) ? copy.number : -1;
    }
    for (int64_t width = 1; width < ((int64_t)1 << 40); width *= 10) {
        for (int d = 0; d < 10; d++) {
            if (begun[d] < 0 || (width > 1 && begun[d] == 0)) continue;
            int64_t lo = begun[d] * width, hi = lo + width - 1;
            for (int i = 0; i < s->ranges.n; i++)
                if (lo <= s->ranges.hi[i] && hi >= s->ranges.lo[i]) return '0' + d;
        }
    }
    return -1;
}

static int shortest_name_byte(const loom_automaton *a, const loom_automaton_state *s)
{
    if (s->choices & NAME_USER) return "USER"[s->at];
    if (s->choices & NAME_NONE) return "None"[s->at];
    if (s->choices & NAME_LISTED) {
        int32_t best = (int32_t)a->conf.shortest; /* as long as what is written can become it */
        bool can = best >= s->name_lo && best < s->name_hi;
        return (unsigned char)a->conf.names[can ? best : s->name_lo][s->at];
    }
    const char *prefix = s->choices & NAME_MS ? "MS_" : "S_";
    return s->at < (int32_t)strlen(prefix) ? prefix[s->at] : '0';
}

/* Next byte of a shortest way, or -2: close the piece. */
static int shortest_byte(loom_automaton *a, loom_automaton_state *s)
{
    switch (s->kind) {
    case KIND_LITERAL: return (unsigned char)current_literal(s).data[s->at];
    case KIND_CHOICE: return (unsigned char)alternative(a, s, __builtin_ctz(s->choices)).data[s->at];
    case KIND_NUMBER: return loom_am_number_complete(s) ? -2 : shortest_digit(s);
    case KIND_NAME: return loom_am_name_complete(a, s) ? -2 : shortest_name_byte(a, s);
    case KIND_DOTTED:
        if (loom_am_dotted_complete(a, s)) return -2;
        if (loom_am_dotted_goes_on(a, s)) return '.';
        return shortest_digit(s);
    default:
        if (loom_am_sources_complete(a, s)) return -2;
        return (unsigned char)loom_am_source_of(a, s, __builtin_ctzll(s->listed))[s->at];
    }
}

void loom_automaton_shortest(loom_automaton *a, const loom_automaton_state *from, loom_buf *into)
{
    loom_automaton_state s = *from;

    while (!s.done) {
        int b = shortest_byte(a, &s);
        if (b == -2) {
            if (!close_piece(a, &s)) return;
            continue;
        }
        if (b < 0 || !loom_automaton_step(a, &s, (unsigned char)b)) return;
        loom_buf_char(into, (char)b);
    }
}

size_t loom_automaton_longest_name(const loom_automaton *a)
{
    const loom_attrs *r = &a->req;
    size_t longest = a->conf.longest ? a->conf.longest : strlen("MS_999999999");
    const char *const own[] = {r->id, r->start_node, r->caller, a->conf.reach, a->wish.destination};

    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (own[i] && strlen(own[i]) > longest) longest = strlen(own[i]);
    return longest;
}

bool loom_automaton_in_name(const loom_automaton_state *s)
{
    return s->kind == KIND_NAME && (s->choices & NAME_LISTED);
}

void loom_automaton_left(const loom_automaton *a, const loom_automaton_state *s, int64_t *edges, int64_t *subs,
                         int64_t *digits)
{
    int64_t all = tabular(a) ? s->total : a->c_hi;

    *edges = full(a) && !s->split && all >= 0 ? loom_max_i64(all - s->n_edges, 0) : 1;
    *digits = tabular(a) && full(a) ? *edges * 7 * (s->depth >= 0 ? s->depth : DEPTH_CAP) : 0; /* "." and up to six */
    if (!full(a)) *subs = 2;
    else if (tabular(a)) *subs = 0;
    else if (s->all_subs >= 0) *subs = s->all_subs - s->n_subs + 1;
    else *subs = loom_min_i64(s->edges_left == 0 ? 0 : a->c_hi, a->k_cap) + 1;
}
