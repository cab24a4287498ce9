/* The answer grammar as a machine of small pieces. A piece is a literal, one of several alternatives, a number within
 * ranges, a name, or a dotted id; when it is complete, `advance` looks at the place and sets up the next one. Numbers
 * and names have no end of their own: the first byte that is not theirs closes them and belongs to the next piece. */
#include "trace/automaton.h"

#include <stdlib.h>

#include "core/num.h"

#define TIME_CAP ((int64_t)99999999)     /* ms; 27 hours */
#define FREE_CAP ((int64_t)999999999)    /* syntax: any number of at most nine digits */
#define COUNT_CAP ((int64_t)300)         /* edges, where the request does not say */
#define DEPTH_CAP ((int64_t)15)
#define ID_CAP ((int64_t)9999)
#define FIRST_ID_CAP ((int64_t)99)

enum { KIND_LITERAL, KIND_CHOICE, KIND_NUMBER, KIND_NAME, KIND_DOTTED, KIND_SOURCE };

/* Lists of alternatives; in each the one that ends soonest comes first, shortest ways are found by taking it. */
enum { G_OPEN, G_EDGE, G_ITEM, G_TYPE, G_TAIL, G_PARTS, G_COND, G_ATTR, G_LIST, G_MORE, G_NEXT, GROUPS };
enum { EDGE_END, EDGE_MORE };
enum { TAIL_END, TAIL_SUB, TAIL_COUNT };
enum { COND_SUB, COND_EDGES, COND_DEPTH, COND_SPLIT_DEPTH, COND_NODE };
enum { LIST_END, LIST_MORE };
enum { NEXT_END, NEXT_SUB };
#define MAX_ALTERNATIVES 12

enum { NAME_MS = 1, NAME_USER = 2, NAME_NONE = 4, NAME_SERVICE = 8, NAME_LISTED = 16 };

enum {
    P_TO_OPEN,     /* literal in front of <layer> or <split> */
    P_OPEN,        /* <layer> or <split> */
    P_TO_EDGES,    /* literal that ends behind <edges> */
    P_TO_PARTS,    /* literal that ends behind <split> */
    P_EDGE,        /* another edge or the end of the list */
    P_ITEM, P_ITEM_VALUE, P_ITEM_END,
    P_EDGES_LF, P_TAIL, P_PARTS,
    P_LINE,        /* inside a line with holes */
    P_LINE_HOLE, P_LINE_END,
    P_MORE,        /* behind the counting lines */
    P_LIST_INDEX, P_LIST,
    P_COND, P_SUB_INDEX, P_SUB_OPEN, P_ATTR, P_ATTR_VALUE, P_ATTR_END,
    P_NEXT, P_FINAL
};

typedef struct text {
    const char *data;
    int32_t len;
} text;

/* A finished edge. Entries below a state's n_edges never change while that state is in use. */
typedef struct edge {
    int64_t start, finish;
    int32_t parent, level; /* tabular: entry of the parent (-1), components of the id */
    int64_t number;        /* last component */
    int32_t listed;        /* index in names, -1: spelt in `name` */
    char name[20];
} edge;

struct loom_automaton {
    loom_automaton_conf conf;
    loom_arena arena;
    loom_attrs req;
    text texts[GROUPS][MAX_ALTERNATIVES];
    edge *edges;
    size_t cap_edges;
    int64_t first_id;       /* of the layer's edges */
    int64_t c_lo, c_hi;     /* edges of the layer; equal when known */
    int64_t latency;        /* latest finish */
    int64_t latency_exact;  /* tabular: response time of the root, -1 open */
    int64_t k_cap;
    loom_automaton_state start;
};

/* ---- texts ---- */

static text whole(const char *t) { return (text){t, (int32_t)strlen(t)}; }

/* Up to the first hole. */
static text head(loom_line_kind kind)
{
    const char *t = loom_line_templates[kind];
    return (text){t, (int32_t)strcspn(t, "#@")};
}

#define LAYER_OPEN LOOM_TEXT_LAYER "\n" LOOM_TEXT_EDGES "\n"
#define SPLIT_OPEN LOOM_TEXT_SPLIT "\n"

static void make_texts(loom_automaton *a)
{
    text(*t)[MAX_ALTERNATIVES] = a->texts;

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
    static const char *const attr_texts[] = {"id:", "num_edges:", "start_node:", "start_edge_id:",
                                             "start_communication_at:", "latency:", "num_subgraphs:",
                                             "remaining_depth:", "num_current_edges:", "caller:"};
    for (int i = LOOM_ATTR_ID; i <= LOOM_ATTR_CALLER; i++) t[G_ATTR][i] = whole(attr_texts[i]);
    t[G_LIST][LIST_END] = whole("\n");
    t[G_LIST][LIST_MORE] = whole(LOOM_TEXT_SUBS_NEXT);
    t[G_MORE][NEXT_END] = whole(LOOM_TEXT_DONE);
    t[G_MORE][NEXT_SUB] = whole("\n" LOOM_TEXT_SUBS_OF);
    t[G_NEXT][NEXT_END] = whole(LOOM_TEXT_DONE);
    t[G_NEXT][NEXT_SUB] = whole(LOOM_TEXT_SUB_HEAD "\n");
}

#define ALL_ATTRS ((1u << (LOOM_ATTR_CALLER + 1)) - 1)

static bool tabular(const loom_automaton *a) { return a->conf.mode == LOOM_MODE_TABULAR; }
static bool full(const loom_automaton *a) { return a->conf.full; }

/* ---- setting up pieces ---- */

static void literal(loom_automaton_state *s, int place, const char *piece, size_t len)
{
    s->place = (uint8_t)place;
    s->kind = KIND_LITERAL;
    s->piece = piece;
    s->piece_len = (int32_t)len;
    s->at = 0;
}
#define LITERAL(s, place, piece) literal((s), (place), (piece), sizeof(piece) - 1)

/* A text of our own, at most 23 bytes. */
static void literal_small(loom_automaton_state *s, int place, const char *t)
{
    size_t len = strlen(t);
    memcpy(s->small, t, len + 1);
    literal(s, place, NULL, len);
}

static void literal_number(loom_automaton_state *s, int place, int64_t v)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%lld", (long long)v);
    literal_small(s, place, digits);
}

static bool choice(loom_automaton_state *s, int place, int group, uint32_t choices)
{
    s->place = (uint8_t)place;
    s->kind = KIND_CHOICE;
    s->group = (uint8_t)group;
    s->choices = choices;
    s->at = 0;
    return choices != 0;
}

static void number(loom_automaton_state *s, int place)
{
    s->place = (uint8_t)place;
    s->kind = KIND_NUMBER;
    s->number = 0;
    s->n_digits = 0;
}

static bool number_in(loom_automaton_state *s, int place, int64_t lo, int64_t hi)
{
    number(s, place);
    s->ranges.n = 1;
    s->ranges.lo[0] = lo;
    s->ranges.hi[0] = hi;
    return lo <= hi;
}

static bool number_free(loom_automaton_state *s, int place) { return number_in(s, place, 0, FREE_CAP); }

static void name(const loom_automaton *a, loom_automaton_state *s, int place, uint32_t kinds)
{
    s->place = (uint8_t)place;
    s->kind = KIND_NAME;
    s->choices = kinds;
    s->at = 0;
    s->name_lo = 0;
    s->name_hi = (int32_t)a->conf.n_names;
}

/* ---- numbers ---- */

static bool has_number(const loom_ranges *r, int64_t v)
{
    for (int i = 0; i < r->n; i++)
        if (v >= r->lo[i] && v <= r->hi[i]) return true;
    return false;
}

/* Can v, or v with more digits behind it, be in range? */
static bool leads_to(const loom_ranges *r, int64_t v)
{
    for (int i = 0; i < r->n; i++) {
        int64_t lo = v, hi = v;
        for (;;) {
            if (lo <= r->hi[i] && hi >= r->lo[i]) return true;
            if (v == 0 || lo > r->hi[i] / 10) break;
            lo *= 10;
            hi = hi * 10 + 9;
        }
    }
    return false;
}

static bool more_digits(const loom_automaton_state *s)
{
    if (s->n_digits && s->number == 0) return false;
    for (int d = 0; d < 10; d++)
        if (leads_to(&s->ranges, s->number * 10 + d) && (d || s->n_digits || has_number(&s->ranges, 0))) return true;
    return false;
}

static bool step_number(loom_automaton_state *s, int digit)
{
    if (s->n_digits && s->number == 0) return false; /* no leading zeros */
    int64_t v = s->number * 10 + digit;
    if (!s->n_digits && digit == 0 ? !has_number(&s->ranges, 0) : !leads_to(&s->ranges, v)) return false;
    s->number = v;
    s->n_digits++;
    return true;
}

static bool number_complete(const loom_automaton_state *s) { return s->n_digits && has_number(&s->ranges, s->number); }

/* ---- names ---- */

static bool is_digit(unsigned char b) { return b >= '0' && b <= '9'; }

/* "PREFIX" then digits. */
static bool fits_numbered(const char *prefix, int32_t at, unsigned char b, int32_t max_digits)
{
    int32_t n = (int32_t)strlen(prefix);
    return at < n ? (unsigned char)prefix[at] == b : is_digit(b) && at < n + max_digits;
}

/* First of names[lo..hi), which agree in their first `at` bytes, whose next byte is not below b. */
static int32_t first_not_below(const char *const *names, int32_t lo, int32_t hi, int32_t at, int b)
{
    while (lo < hi) {
        int32_t mid = lo + (hi - lo) / 2;
        if ((unsigned char)names[mid][at] < b) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

static bool step_name(const loom_automaton *a, loom_automaton_state *s, unsigned char b)
{
    uint32_t left = 0;

    /* canonical names: zeros in front fill up to five digits, longer numbers have none */
    int32_t most = s->at > 3 && s->small[3] == '0' ? 5 : 9;
    if ((s->choices & NAME_MS) && fits_numbered("MS_", s->at, b, most)) left |= NAME_MS;
    if ((s->choices & NAME_SERVICE) && fits_numbered("S_", s->at, b, 12)) left |= NAME_SERVICE;
    if ((s->choices & NAME_USER) && s->at < 4 && (unsigned char)"USER"[s->at] == b) left |= NAME_USER;
    if ((s->choices & NAME_NONE) && s->at < 4 && (unsigned char)"None"[s->at] == b) left |= NAME_NONE;
    if (s->choices & NAME_LISTED) {
        const char *const *names = a->conf.names;
        int32_t lo = s->name_lo, hi = s->name_hi;
        lo = first_not_below(names, lo, hi, s->at, b);
        hi = first_not_below(names, lo, hi, s->at, b + 1);
        if (lo < hi) {
            left |= NAME_LISTED;
            s->name_lo = lo;
            s->name_hi = hi;
        }
    }
    if (!left) return false;
    s->choices = left;
    if (s->at < (int32_t)sizeof s->small - 1) {
        s->small[s->at] = (char)b;
        s->small[s->at + 1] = 0;
    }
    s->at++;
    return true;
}

static bool name_complete(const loom_automaton *a, const loom_automaton_state *s)
{
    if ((s->choices & NAME_MS) && s->at >= 3 + 5) return true;
    if ((s->choices & NAME_SERVICE) && s->at >= 2 + 1) return true;
    if ((s->choices & (NAME_USER | NAME_NONE)) && s->at == 4) return true;
    return (s->choices & NAME_LISTED) && a->conf.names[s->name_lo][s->at] == 0;
}

static const char *edge_name(const loom_automaton *a, const edge *e)
{
    return e->listed >= 0 ? a->conf.names[e->listed] : e->name;
}

/* ---- edges ---- */

static edge *edge_at(loom_automaton *a, int32_t i)
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
    int64_t left = s->total >= 0 ? s->total - s->n_edges - 1 : COUNT_CAP; /* after this edge */
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

static bool begin_item_choice(const loom_automaton *a, loom_automaton_state *s)
{
    uint32_t all = (1u << LOOM_ITEMS) - 1;
    if (!tabular(a)) all &= ~(1u << LOOM_ITEM_SOURCE);
    return choice(s, P_ITEM, G_ITEM, all & ~(uint32_t)s->items);
}

static bool begin_edge(loom_automaton *a, loom_automaton_state *s)
{
    edge *e = edge_at(a, this_edge(a, s));

    if (!e) return false;
    *e = (edge){.listed = -1, .parent = -1};
    s->items = 0;
    s->start = s->finish = -1;
    if (tabular(a) && full(a)) s->listed = next_levels(a, s);
    return begin_item_choice(a, s);
}

static bool begin_time(const loom_automaton *a, loom_automaton_state *s, bool finish)
{
    bool first = s->n_edges == 0;

    if (!full(a)) return number_free(s, P_ITEM_VALUE);
    if (tabular(a)) {
        int64_t latest = latest_finish(a, s), exact = first ? a->latency_exact : -1;
        if (exact >= 0) {
            if (finish) return number_in(s, P_ITEM_VALUE, s->start >= 0 ? s->start + exact : exact,
                                         s->start >= 0 ? s->start + exact : loom_max_i64(latest, exact));
            int64_t hi = s->finish >= 0 ? s->finish - exact : loom_max_i64(latest - exact, 0);
            return number_in(s, P_ITEM_VALUE, s->finish >= 0 ? hi : 0, hi);
        }
        if (finish) return number_in(s, P_ITEM_VALUE, loom_max_i64(s->start, 0), latest);
        return number_in(s, P_ITEM_VALUE, 0, s->finish >= 0 ? s->finish : latest);
    }
    int64_t floor = loom_max_i64(a->req.start, 0);
    if (finish) return number_in(s, P_ITEM_VALUE, loom_max_i64(s->start, floor), a->latency);
    if (first && a->req.start >= 0) return number_in(s, P_ITEM_VALUE, floor, floor);
    return number_in(s, P_ITEM_VALUE, floor, s->finish >= 0 ? s->finish : a->latency);
}

static void begin_dotted(loom_automaton_state *s)
{
    s->place = P_ITEM_VALUE;
    s->kind = KIND_DOTTED;
    s->level = 1;
    s->number = 0;
    s->n_digits = 0;
}

static bool begin_item_value(const loom_automaton *a, loom_automaton_state *s)
{
    switch (s->item) {
    case LOOM_ITEM_EDGE_ID:
        if (tabular(a)) begin_dotted(s);
        else if (full(a)) literal_number(s, P_ITEM_VALUE, a->first_id + s->n_edges);
        else return number_free(s, P_ITEM_VALUE);
        return true;
    case LOOM_ITEM_TYPE: return choice(s, P_ITEM_VALUE, G_TYPE, (1u << LOOM_CALL_TYPES) - 1);
    case LOOM_ITEM_SOURCE:
        if (!full(a)) name(a, s, P_ITEM_VALUE, NAME_MS | NAME_USER);
        else if (s->n_edges == 0) LITERAL(s, P_ITEM_VALUE, LOOM_TEXT_USER);
        else s->place = P_ITEM_VALUE, s->kind = KIND_SOURCE, s->at = 0;
        return true;
    case LOOM_ITEM_DESTINATION:
        name(a, s, P_ITEM_VALUE, full(a) && a->conf.names ? NAME_LISTED : NAME_MS);
        return true;
    case LOOM_ITEM_START: return begin_time(a, s, false);
    default: return begin_time(a, s, true);
    }
}

static void end_item(const loom_automaton *a, loom_automaton_state *s)
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

static bool end_item_value(loom_automaton *a, loom_automaton_state *s)
{
    edge *e = &a->edges[this_edge(a, s)];

    if (s->item == LOOM_ITEM_DESTINATION) {
        e->listed = (s->choices & NAME_LISTED) ? s->name_lo : -1;
        snprintf(e->name, sizeof e->name, "%.*s", (int)loom_min_i64(s->at, (int64_t)sizeof e->name - 1), s->small);
    } else if (s->item == LOOM_ITEM_START) {
        s->start = e->start = s->number;
        if (tabular(a) && full(a)) need_finish(a, s, s->number);
    } else if (s->item == LOOM_ITEM_FINISH) {
        s->finish = e->finish = s->number;
        if (tabular(a) && full(a)) need_finish(a, s, s->number);
    }
    end_item(a, s);
    return true;
}

/* ---- how many edges ---- */

/* Could the layer end after g edges, as far as the counts of the request go? */
static bool can_close(const loom_automaton *a, const loom_automaton_state *s, int64_t g)
{
    int64_t rest = s->total >= 0 ? s->total - g : -1;
    int64_t subs = s->all_subs;

    if (g < a->c_lo || g > a->c_hi) return false;
    if (s->total >= 0 && rest < 0) return false;
    if (subs > g) return false;
    bool none = rest == 0 || s->depth == 0 || subs == 0;
    if (none) return rest <= 0 && s->depth <= 0 && subs <= 0;
    int64_t k = subs > 0 ? subs : 1, d = s->depth > 0 ? s->depth : 1;
    return rest < 0 || rest >= d + k - 1;
}

static bool begin_next_edge(loom_automaton *a, loom_automaton_state *s)
{
    uint32_t choices = 0;
    int64_t g = s->n_edges;

    if (!full(a)) {
        choices = 1u << EDGE_MORE | (g ? 1u << EDGE_END : 0);
    } else if (tabular(a)) {
        if (s->total >= 0 ? g == s->total : g > 0 && (s->depth < 0 || s->reached == s->depth)) choices |= 1u << EDGE_END;
        if (s->total >= 0 ? g < s->total : g < COUNT_CAP && next_levels(a, s)) choices |= 1u << EDGE_MORE;
    } else {
        if (can_close(a, s, g)) choices |= 1u << EDGE_END;
        for (int64_t more = g + 1; more <= a->c_hi && !(choices >> EDGE_MORE & 1); more++)
            if (can_close(a, s, more)) choices |= 1u << EDGE_MORE;
    }
    return choice(s, P_EDGE, G_EDGE, choices);
}

static bool finish_edge(loom_automaton *a, loom_automaton_state *s)
{
    edge *e = &a->edges[this_edge(a, s)];

    if (tabular(a) && full(a)) s->reached = (int32_t)loom_max_i64(s->reached, e->level);
    s->n_edges++;
    return begin_next_edge(a, s);
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
static bool dotted_complete(const loom_automaton *a, loom_automaton_state *s)
{
    dotted_ranges(a, s);
    if (!number_complete(s)) return false;
    if (!full(a) || s->n_edges == 0) return true;
    int32_t on = path_at(a, s, s->level);
    bool there = on >= 0 && a->edges[on].level == s->level;
    return (s->listed >> s->level & 1) && (!there || s->number > a->edges[on].number);
}

static bool dotted_goes_on(const loom_automaton *a, loom_automaton_state *s)
{
    dotted_ranges(a, s);
    if (!number_complete(s)) return false;
    if (!full(a)) return s->level < DEPTH_CAP;
    if (s->n_edges == 0) return false;
    int32_t on = path_at(a, s, s->level);
    return on >= 0 && a->edges[on].level == s->level && s->number == a->edges[on].number &&
           (s->listed >> (s->level + 1)) != 0;
}

static bool step_dotted(const loom_automaton *a, loom_automaton_state *s, unsigned char b)
{
    dotted_ranges(a, s);
    if (is_digit(b)) return step_number(s, b - '0');
    if (b != '.' || !dotted_goes_on(a, s)) return false;
    s->level++;
    s->number = 0;
    s->n_digits = 0;
    return true;
}

static void end_dotted(loom_automaton *a, loom_automaton_state *s)
{
    edge *e = &a->edges[this_edge(a, s)];

    if (full(a)) {
        e->level = s->level;
        e->number = s->number;
        e->parent = s->n_edges ? path_at(a, s, s->level - 1) : -1;
        s->listed &= (uint64_t)1 << s->level;
    }
    end_item(a, s);
}

/* ---- the source of a tabular edge: the destination of one of the possible parents ---- */

static const char *source_of(const loom_automaton *a, const loom_automaton_state *s, int32_t q)
{
    return edge_name(a, &a->edges[path_at(a, s, q - 1)]);
}

static bool step_source(const loom_automaton *a, loom_automaton_state *s, unsigned char b)
{
    uint64_t left = 0;

    for (int32_t q = 2; q < 64 && s->listed >> q; q++)
        if ((s->listed >> q & 1) && (unsigned char)source_of(a, s, q)[s->at] == b) left |= (uint64_t)1 << q;
    if (!left) return false;
    s->listed = left;
    s->at++;
    return true;
}

static uint64_t sources_complete(const loom_automaton *a, const loom_automaton_state *s)
{
    uint64_t whole_ones = 0;
    for (int32_t q = 2; q < 64 && s->listed >> q; q++)
        if ((s->listed >> q & 1) && source_of(a, s, q)[s->at] == 0) whole_ones |= (uint64_t)1 << q;
    return whole_ones;
}

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

/* A number that the request leaves open: num_edges or remaining_depth of a root. */
static bool begin_open_hole(const loom_automaton *a, loom_automaton_state *s)
{
    int64_t g = s->n_edges;

    if (!full(a)) return number_free(s, P_LINE_HOLE);
    if (s->line == LOOM_LINE_OUT_OF) {
        int64_t subs = s->all_subs, least = loom_max_i64(s->depth, subs);
        bool none = s->depth == 0 || subs == 0;
        if (none) return number_in(s, P_LINE_HOLE, g, g);
        return number_in(s, P_LINE_HOLE, g + loom_max_i64(least, 0), g + COUNT_CAP);
    }
    return number_in(s, P_LINE_HOLE, 1, loom_min_i64(DEPTH_CAP, s->edges_left < 0 ? DEPTH_CAP : s->edges_left));
}

/* The one hole that holds a microservice: where the subgraph starts. */
static void begin_node_hole(const loom_automaton *a, loom_automaton_state *s)
{
    if (!full(a)) {
        name(a, s, P_LINE_HOLE, NAME_MS | NAME_USER);
        return;
    }
    const char *node = edge_name(a, &a->edges[s->sub.index]);
    literal(s, P_LINE, node, strlen(node));
}

/* Goes on with the line's template at line_at: a stretch of text, a hole, or its end. */
static bool line_on(loom_automaton *a, loom_automaton_state *s)
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
        literal_number(s, P_LINE, v);
        return true;
    }
    size_t len = strcspn(t, "#@");
    s->line_at += (int32_t)len;
    literal(s, P_LINE, t, len);
    return true;
}

static bool begin_line(loom_automaton *a, loom_automaton_state *s, loom_line_kind kind, size_t skip)
{
    s->line = (uint8_t)kind;
    s->hole = 0;
    s->line_at = (int32_t)skip;
    return line_on(a, s);
}

static void end_open_hole(loom_automaton_state *s)
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
    bool must = left > 0 || (s->depth > 0 && !s->deep_enough);
    *lo = must ? 1 : 0;
    if (a->conf.root) *hi = loom_min_i64(*hi, 1);
}

static int64_t part_count(const loom_automaton_state *s) { return s->all_subs - s->n_subs - 1; }

/* What the rest of the layer allows of the subgraph being written. */
static void sub_bounds(const loom_automaton *a, const loom_automaton_state *s, loom_sub_bounds *b)
{
    int64_t deepest = s->depth < 0 ? DEPTH_CAP : s->split ? s->depth : s->depth - 1;

    *b = (loom_sub_bounds){.n_lo = 1, .c_lo = 1, .n_hi = COUNT_CAP, .c_hi = COUNT_CAP, .x_hi = COUNT_CAP,
                           .d_hi = deepest, .k_cap = a->k_cap, .deep = -1};
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

static bool begin_sub_index(const loom_automaton *a, loom_automaton_state *s)
{
    int64_t lo, hi;

    if (!full(a) || s->split) return number_in(s, P_SUB_INDEX, 0, full(a) ? ID_CAP : FREE_CAP);
    if (s->sub.index >= 0) { /* announced: counting lines */
        literal_number(s, P_SUB_INDEX, a->first_id + s->sub.index);
        return true;
    }
    subs_wanted(a, s, &lo, &hi);
    return number_in(s, P_SUB_INDEX, a->first_id + s->last_sub + 1,
                     a->first_id + s->n_edges - loom_max_i64(lo, 1));
}

static bool begin_attr(loom_automaton_state *s)
{
    return choice(s, P_ATTR, G_ATTR, ALL_ATTRS & ~s->sub.written);
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
    number(s, P_ATTR_VALUE);
    return s->ranges.n > 0;
}

static bool begin_attr_name(loom_automaton *a, loom_automaton_state *s)
{
    const char *fixed = NULL;

    if (full(a)) {
        if (s->attr == LOOM_ATTR_ID) fixed = a->req.id;
        else if (s->attr == LOOM_ATTR_START_NODE)
            fixed = s->split ? a->req.start_node : edge_name(a, &a->edges[s->sub.index]);
        else fixed = s->split ? a->req.caller : a->req.start_node;
    }
    if (fixed && fixed[0]) literal(s, P_ATTR_VALUE, fixed, strlen(fixed));
    else if (s->attr == LOOM_ATTR_ID) name(a, s, P_ATTR_VALUE, NAME_SERVICE);
    else name(a, s, P_ATTR_VALUE, NAME_MS | NAME_USER | (s->attr == LOOM_ATTR_CALLER ? NAME_NONE : 0));
    return true;
}

static bool begin_attr_value(loom_automaton *a, loom_automaton_state *s)
{
    switch (s->attr) {
    case LOOM_ATTR_ID:
    case LOOM_ATTR_START_NODE:
    case LOOM_ATTR_CALLER: return begin_attr_name(a, s);
    default: break;
    }
    if (!full(a)) return number_free(s, P_ATTR_VALUE);
    switch (s->attr) {
    case LOOM_ATTR_START_EDGE_ID:
        if (!s->split) return number_in(s, P_ATTR_VALUE, 1, FIRST_ID_CAP);
        literal_number(s, P_ATTR_VALUE, a->first_id + a->c_lo - s->wide_left);
        return true;
    case LOOM_ATTR_START:
        return number_in(s, P_ATTR_VALUE, sub_earliest(a, s), s->sub.latency >= 0 ? s->sub.latency : sub_latest(a, s));
    case LOOM_ATTR_LATENCY:
        return number_in(s, P_ATTR_VALUE, loom_max_i64(s->sub.start, sub_earliest(a, s)), sub_latest(a, s));
    default: return begin_attr_number(a, s);
    }
}

static void end_attr_value(loom_automaton_state *s)
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
static bool begin_tail(loom_automaton *a, loom_automaton_state *s, bool first)
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
    return choice(s, s->split ? P_PARTS : P_TAIL, s->split ? G_PARTS : G_TAIL, choices);
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
    return choice(s, P_COND, G_COND, may);
}

static bool begin_counted_sub(const loom_automaton *a, loom_automaton_state *s)
{
    fresh_sub(s);
    if (full(a) && !s->split) s->sub.index = next_listed(s);
    return begin_cond(a, s);
}

/* "generate subgraphs of edge:" and its list. */
static bool begin_list_index(const loom_automaton *a, loom_automaton_state *s)
{
    int64_t lo, hi;

    if (!full(a)) return number_free(s, P_LIST_INDEX);
    subs_wanted(a, s, &lo, &hi);
    return number_in(s, P_LIST_INDEX, a->first_id + s->last_sub + 1,
                     a->first_id + s->n_edges - loom_max_i64(lo - s->n_listed, 1));
}

static bool end_list_index(const loom_automaton *a, loom_automaton_state *s)
{
    int64_t lo, hi;

    s->n_listed++;
    if (!full(a)) return choice(s, P_LIST, G_LIST, 1u << LIST_END | 1u << LIST_MORE);
    s->last_sub = (int32_t)(s->number - a->first_id);
    s->listed |= (uint64_t)1 << s->last_sub;
    subs_wanted(a, s, &lo, &hi);
    if (s->all_subs < 0) hi += s->n_listed; /* counted from the edges behind the last one listed */
    uint32_t choices = s->n_listed >= lo ? 1u << LIST_END : 0;
    if (s->n_listed < hi && s->last_sub < s->n_edges - 1 &&
        (s->edges_left < 0 || s->n_listed + loom_max_i64(s->depth - 1, 0) < s->edges_left))
        choices |= 1u << LIST_MORE;
    return choice(s, P_LIST, G_LIST, choices);
}

static bool end_list(const loom_automaton *a, loom_automaton_state *s)
{
    if (full(a)) s->all_subs = s->n_listed;
    s->last_sub = -1;
    LITERAL(s, P_NEXT, LOOM_TEXT_SUB_HEAD "\n");
    return true;
}

/* What follows a whole line and its line end. */
static bool after_line(loom_automaton *a, loom_automaton_state *s)
{
    uint32_t both = 1u << NEXT_END | 1u << NEXT_SUB;

    switch (s->line) {
    case LOOM_LINE_COUNTED: return begin_line(a, s, LOOM_LINE_OUT_OF, 0);
    case LOOM_LINE_OUT_OF: return begin_line(a, s, LOOM_LINE_REMAINING, 0);
    case LOOM_LINE_REMAINING:
        if (full(a)) both = s->edges_left == 0 ? 1u << NEXT_END : 1u << NEXT_SUB;
        return choice(s, P_MORE, G_MORE, both);
    case LOOM_LINE_NOW_REMAINING:
        if (full(a)) both = s->n_subs == s->all_subs ? 1u << NEXT_END : 1u << NEXT_SUB;
        return choice(s, P_NEXT, G_NEXT, both);
    default: return begin_cond(a, s);
    }
}

/* A subgraph line is complete. */
static bool finish_sub(loom_automaton *a, loom_automaton_state *s)
{
    const loom_sub_state *sub = &s->sub;

    s->n_subs++;
    if (full(a)) {
        if (s->edges_left >= 0) s->edges_left -= sub->n;
        if (s->split) s->wide_left -= sub->c;
        else s->last_sub = (int32_t)sub->index;
        if (s->depth >= 0 && sub->d == (s->split ? s->depth : s->depth - 1)) s->deep_enough = true;
    }
    if (s->counted) return begin_line(a, s, LOOM_LINE_NOW_REMAINING, 0);
    return begin_tail(a, s, false);
}

/* ---- moving on ---- */

/* The piece at s->place is complete. */
static bool advance(loom_automaton *a, loom_automaton_state *s)
{
    switch (s->place) {
    case P_TO_OPEN: return choice(s, P_OPEN, G_OPEN, !full(a) ? 3 : s->split ? 2 : 1);
    case P_TO_EDGES: return begin_next_edge(a, s);
    case P_TO_PARTS: return begin_tail(a, s, true);
    case P_ITEM_VALUE: return end_item_value(a, s);
    case P_ITEM_END: return s->piece[s->piece_len - 1] == ',' ? begin_item_choice(a, s) : finish_edge(a, s);
    case P_EDGES_LF: return begin_tail(a, s, true);
    case P_LINE: return line_on(a, s);
    case P_LINE_END: return after_line(a, s);
    case P_SUB_INDEX: LITERAL(s, P_SUB_OPEN, ">"); return true;
    case P_SUB_OPEN: return begin_attr(s);
    case P_ATTR_VALUE: end_attr_value(s); return true;
    case P_ATTR_END: return s->piece_len == 1 ? begin_attr(s) : finish_sub(a, s);
    case P_NEXT: return begin_counted_sub(a, s);
    default: s->done = true; return true;
    }
}

/* Alternative `i` of the current group is complete. */
static bool chosen(loom_automaton *a, loom_automaton_state *s, int i)
{
    switch (s->place) {
    case P_OPEN:
        s->split = i == 1;
        return s->split ? begin_tail(a, s, true) : begin_next_edge(a, s);
    case P_EDGE:
        if (i == EDGE_MORE) return begin_edge(a, s);
        if (tabular(a)) return s->done = true;
        LITERAL(s, P_EDGES_LF, "\n");
        if (s->total >= 0) s->edges_left = s->total - s->n_edges;
        s->listed = 0;
        s->last_sub = -1;
        return true;
    case P_ITEM: s->item = (uint8_t)i; return begin_item_value(a, s);
    case P_ITEM_VALUE: end_item(a, s); return true; /* type */
    case P_TAIL:
    case P_PARTS:
        if (i == TAIL_END) return s->done = true;
        if (i == TAIL_SUB) return begin_sub_index(a, s);
        s->counted = true;
        if (s->place == P_PARTS) return begin_counted_sub(a, s);
        return begin_line(a, s, LOOM_LINE_COUNTED, (size_t)s->at);
    case P_COND:
        if (i == COND_SUB) return begin_sub_index(a, s);
        s->conds |= (uint8_t)(1u << i);
        if (i == COND_DEPTH || i == COND_SPLIT_DEPTH) s->must_deep = full(a);
        static const loom_line_kind lines[] = {[COND_EDGES] = LOOM_LINE_SUB_NUM_EDGES, [COND_DEPTH] = LOOM_LINE_SUB_DEPTH,
                                               [COND_SPLIT_DEPTH] = LOOM_LINE_SUB_SPLIT_DEPTH,
                                               [COND_NODE] = LOOM_LINE_SUB_START_NODE};
        return begin_line(a, s, lines[i], (size_t)s->at);
    case P_ATTR: s->attr = (uint8_t)i; return begin_attr_value(a, s);
    case P_LIST:
        if (i == LIST_MORE) return begin_list_index(a, s);
        return end_list(a, s);
    case P_MORE: return i == NEXT_END ? (s->done = true) : begin_list_index(a, s);
    default: /* P_NEXT */
        if (i == NEXT_END) return s->done = true;
        return begin_counted_sub(a, s);
    }
}

static text current_literal(const loom_automaton_state *s)
{
    return (text){s->piece ? s->piece : s->small, s->piece_len};
}

static text alternative(const loom_automaton *a, const loom_automaton_state *s, int i) { return a->texts[s->group][i]; }

/* Moves over a number, name or id that is complete, without reading a byte. False: it is not complete. */
static bool close_piece(loom_automaton *a, loom_automaton_state *s)
{
    uint64_t levels;

    switch (s->kind) {
    case KIND_NUMBER:
        if (!number_complete(s)) return false;
        if (s->place == P_LIST_INDEX) return end_list_index(a, s);
        if (s->place == P_LINE_HOLE) {
            end_open_hole(s);
            s->place = P_LINE;
        }
        if (s->place == P_SUB_INDEX) s->sub.index = s->split ? s->number : s->number - a->first_id;
        return advance(a, s);
    case KIND_NAME:
        if (!name_complete(a, s)) return false;
        if (s->place == P_LINE_HOLE) s->place = P_LINE;
        return advance(a, s);
    case KIND_DOTTED:
        if (!dotted_complete(a, s)) return false;
        end_dotted(a, s);
        return true;
    case KIND_SOURCE:
        levels = sources_complete(a, s);
        if (!levels) return false;
        s->listed = levels;
        end_item(a, s);
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
        text t = alternative(a, s, i);
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
            return ++s->at == s->piece_len ? advance(a, s) : true;
        case KIND_CHOICE: return step_choice(a, s, b);
        case KIND_NUMBER:
            if (is_digit(b)) return step_number(s, b - '0');
            break;
        case KIND_NAME:
            if (step_name(a, s, b)) return true;
            break;
        case KIND_DOTTED:
            if (is_digit(b) || b == '.') return step_dotted(a, s, b);
            break;
        default:
            if (step_source(a, s, b)) return true;
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
    case KIND_CHOICE:
        for (uint32_t rest = s->choices; rest; rest &= rest - 1) {
            int b = (unsigned char)alternative(a, s, __builtin_ctz(rest)).data[s->at];
            if (b != found) n++;
            found = b;
        }
        return n == 1 ? found : -1;
    case KIND_NUMBER:
        if (number_complete(s)) return more_digits(s) ? -1 : -2;
        for (int d = 0; d < 10; d++) {
            loom_automaton_state copy = *s;
            if (step_number(&copy, d)) found = '0' + d, n++;
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

static int shortest_digit(const loom_automaton_state *s)
{
    for (int64_t width = 1; width < ((int64_t)1 << 40); width *= 10) {
        for (int d = 0; d < 10; d++) {
            loom_automaton_state copy = *s;
            if (!step_number(&copy, d)) continue;
            int64_t lo = copy.number * width, hi = lo + width - 1;
            if (width > 1 && copy.number == 0) continue;
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
    if (s->choices & NAME_LISTED) return (unsigned char)a->conf.names[s->name_lo][s->at];
    const char *prefix = s->choices & NAME_MS ? "MS_" : "S_";
    return s->at < (int32_t)strlen(prefix) ? prefix[s->at] : '0';
}

/* Next byte of a shortest way, or -2: close the piece. */
static int shortest_byte(loom_automaton *a, loom_automaton_state *s)
{
    switch (s->kind) {
    case KIND_LITERAL: return (unsigned char)current_literal(s).data[s->at];
    case KIND_CHOICE: return (unsigned char)alternative(a, s, __builtin_ctz(s->choices)).data[s->at];
    case KIND_NUMBER: return number_complete(s) ? -2 : shortest_digit(s);
    case KIND_NAME: return name_complete(a, s) ? -2 : shortest_name_byte(a, s);
    case KIND_DOTTED:
        if (dotted_complete(a, s)) return -2;
        if (dotted_goes_on(a, s)) return '.';
        return shortest_digit(s);
    default:
        if (sources_complete(a, s)) return -2;
        return (unsigned char)source_of(a, s, __builtin_ctzll(s->listed))[s->at];
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

    if (ends_with(p, n, LOOM_TEXT_EDGES "\n")) return begin_next_edge(a, s);
    if (ends_with(p, n, LOOM_TEXT_SPLIT "\n")) return begin_tail(a, s, true);
    if (ends_with(p, n, LOOM_TEXT_EDGES)) LITERAL(s, P_TO_EDGES, "\n");
    else if (ends_with(p, n, LOOM_TEXT_SPLIT)) LITERAL(s, P_TO_PARTS, "\n");
    else if (ends_with(p, n, LOOM_TEXT_LAYER "\n")) LITERAL(s, P_TO_EDGES, LOOM_TEXT_EDGES "\n");
    else if (ends_with(p, n, LOOM_TEXT_LAYER)) LITERAL(s, P_TO_EDGES, "\n" LOOM_TEXT_EDGES "\n");
    else if (tabular(a) && ends_with(p, n, "\n")) LITERAL(s, P_TO_EDGES, LOOM_TEXT_EDGES "\n");
    else if (tabular(a)) LITERAL(s, P_TO_EDGES, "\n" LOOM_TEXT_EDGES "\n");
    else if (ends_with(p, n, "\n")) {
        s->place = P_TO_OPEN;
        return advance(a, s);
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
    if (mode == LOOM_MODE_TABULAR ? graph_depth > 62 : graph_depth > LOOM_ID_MAX_COMPONENTS) return "the depth is too large";
    if (edges < 0 || graph_depth < 0) return NULL;
    if (graph_depth > edges) return "a graph cannot be deeper than it has edges";
    if (graph_depth == 1 && edges > 1) return "a graph of depth 1 has exactly one edge, the root";
    return NULL;
}

static const char *check_root(const loom_automaton *a)
{
    const loom_attrs *r = &a->req;
    const char *why = loom_automaton_infeasible(a->conf.mode, r->num_edges, r->remaining_depth);

    if (why) return why;
    if (tabular(a)) return NULL;
    if (!r->start_node[0]) return "the request names no start_node";
    if (strcmp(r->start_edge_id, "0") != 0) return "the first edge of a graph is edge 0";
    if (r->num_current_edges >= 0 && r->num_current_edges != 1) return "the first layer of a graph has exactly one edge";
    if (r->num_subgraphs > 1) return "the first layer of a graph has at most one subgraph";
    if (r->num_subgraphs == 0 && (r->num_edges > 1 || r->remaining_depth > 0)) return "edges are left but no subgraph may be generated";
    if (r->num_subgraphs == 1 && (r->num_edges == 1 || r->remaining_depth == 0)) return "a subgraph is asked for but no edges or depth are left for it";
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

static const char *check_plain(const loom_automaton *a)
{
    if (a->c_hi > 60) return "a layer that is not split has at most 60 edges";
    for (int64_t g = 1; g <= a->c_hi; g++)
        if (can_close(a, &a->start, g)) return NULL;
    return "num_edges, num_current_edges, num_subgraphs and remaining_depth contradict each other";
}

static void fill_limits(loom_automaton *a)
{
    const loom_attrs *r = &a->req;
    loom_automaton_state *s = &a->start;

    a->k_cap = a->conf.max_subs > 0 ? loom_min_i64(a->conf.max_subs, LOOM_LAYER_MAX_EDGES) : LOOM_LAYER_MAX_EDGES;
    a->latency = r->latency >= 0 ? r->latency : TIME_CAP;
    a->latency_exact = tabular(a) ? r->latency : -1;
    if (tabular(a)) a->latency = loom_max_i64(TIME_CAP, 2 * r->latency);
    s->total = r->num_edges;
    s->depth = r->remaining_depth;
    s->all_subs = (int32_t)loom_min_i64(r->num_subgraphs, 1000);
    s->edges_left = r->num_edges;
    if (!loom_parse_i64(r->start_edge_id, strlen(r->start_edge_id), &a->first_id)) a->first_id = 0;
    a->c_lo = a->c_hi = r->num_current_edges;
    if (a->conf.root) a->c_lo = a->c_hi = 1;
    if (a->c_lo < 0 && !s->split) a->c_lo = 1, a->c_hi = LOOM_LAYER_MAX_EDGES;
    s->wide_left = a->c_lo;
    if (s->split && s->all_subs < 0) /* nobody said how many: as few parts as can be plain */
        s->all_subs = (int32_t)loom_min_i64(LOOM_SPLIT_MAX_PARTS,
                                            loom_max_i64(2, (a->c_lo + LOOM_LAYER_MAX_EDGES - 1) / LOOM_LAYER_MAX_EDGES));
}

static const char *start_up(loom_automaton *a)
{
    loom_parsed_prompt p;
    const char *why = loom_parse_prompt(&p, a->conf.mode, a->conf.prompt, a->conf.prompt_len, &a->arena);

    if (why && a->conf.full) return why;
    if (why) loom_attrs_init(&p.req);
    a->req = p.req;
    a->start.split = opens_split(a);
    a->start.last_sub = -1;
    a->start.start = a->start.finish = -1;
    fill_limits(a);
    if (a->conf.full) {
        if (a->conf.root && (why = check_root(a))) return why;
        if (a->req.start > a->latency) return "start_communication_at lies behind latency";
        if (a->start.split && (why = check_split(a))) return why;
        if (!a->start.split && !tabular(a) && (why = check_plain(a))) return why;
        if (a->conf.names && !a->conf.n_names) return "the list of names is empty";
    }
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
