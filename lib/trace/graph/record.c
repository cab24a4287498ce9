#include "trace/graph/record.h"

#include <string.h>

#include "core/num.h"
#include "trace/graph/rows.h"

/* ---- reading ---- */

/* A piece of the line being read. */
typedef struct span {
    const char *at, *end;
} span;

/* What one parse allocates: three blocks, sized by counting separators, filled from the front. */
typedef struct parser {
    loom_call *calls;
    int32_t *components;
    char *names;
    int32_t n_calls;
    bool has_control;  /* control bytes among the edges: no name, no number holds one */
    const char *fault; /* what is wrong with the edge, when one is */
    loom_reason reason;
} parser;

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* Splits at white space; returns the number of columns, filling the first three. */
static int split_columns(span columns[3], const char *line, size_t len)
{
    const char *p = line, *end = line + len;
    int n = 0;
    for (;;) {
        while (p < end && is_space(*p)) p++;
        if (p == end) return n;
        const char *start = p;
        while (p < end && !is_space(*p)) p++;
        if (n < 3) columns[n] = (span){start, p};
        n++;
    }
}

static bool two_digits(const char *p, int64_t limit, int64_t *value)
{
    if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9') return false;
    *value = (p[0] - '0') * 10 + (p[1] - '0');
    return *value < limit;
}

/* "00h00m03s000ms" to ms of the day; -1 when it is not that form or not a time. */
static int64_t parse_time(span text)
{
    const char *p = text.at;
    int64_t h, m, s, tens;
    if (text.end - p != 14 || p[2] != 'h' || p[5] != 'm' || p[8] != 's' || p[12] != 'm' || p[13] != 's') return -1;
    if (!two_digits(p, 24, &h) || !two_digits(p + 3, 60, &m) || !two_digits(p + 6, 60, &s)) return -1;
    if (!two_digits(p + 9, 100, &tens) || p[11] < '0' || p[11] > '9') return -1;
    return ((h * 60 + m) * 60 + s) * 1000 + tens * 10 + (p[11] - '0');
}

static bool parse_ms(span text, const char *prefix, size_t n_prefix, int64_t *ms)
{
    const char *p = text.at;
    int64_t value = 0;
    if ((size_t)(text.end - p) <= n_prefix || memcmp(p, prefix, n_prefix) != 0) return false;
    p += n_prefix;
    bool negative = *p == '-';
    p += negative;
    if (p == text.end) return false;
    for (; p < text.end; p++) {
        if (*p < '0' || *p > '9') return false;
        value = value * 10 + (*p - '0');
        if (value > LOOM_TIME_MAX_MS) return false;
    }
    *ms = negative ? -value : value;
    return true;
}

/* Copies a name in canonical form behind those already there. */
static const char *keep_name(parser *w, span text, const char *prefix, size_t n_prefix, size_t digits)
{
    char *name = w->names, *to = name;
    size_t len = (size_t)(text.end - text.at);
    if (len > n_prefix && len < n_prefix + digits && memcmp(text.at, prefix, n_prefix) == 0) {
        bool numeric = true;
        for (const char *p = text.at + n_prefix; p < text.end; p++) numeric = numeric && *p >= '0' && *p <= '9';
        if (numeric) {
            memcpy(to, prefix, n_prefix);
            memset(to + n_prefix, '0', n_prefix + digits - len);
            to += n_prefix + (n_prefix + digits - len);
            text.at += n_prefix;
        }
    }
    len = (size_t)(text.end - text.at);
    memcpy(to, text.at, len);
    to[len] = 0;
    w->names = to + len + 1;
    return name;
}

/* Takes the text up to the next '|' (or the end) and steps over the '|'. False at the end of the line. */
static bool next_field(span *rest, span *field)
{
    if (rest->at > rest->end) return false;
    const char *p = rest->at;
    while (p < rest->end && *p != '|') p++;
    *field = (span){rest->at, p};
    rest->at = p + 1;
    return true;
}

static bool edge_fault(parser *w, loom_reason reason, const char *fault)
{
    w->reason = reason;
    w->fault = fault;
    return false;
}

/* One edge from the front of *rest; afterwards *rest stands behind it and its "||". */
static bool parse_edge(parser *w, span *rest)
{
    span f[6];
    for (int i = 0; i < 6; i++)
        if (!next_field(rest, &f[i]))
            return edge_fault(w, LOOM_REASON_BAD_EDGE,
                              "has fewer than 6 fields id|type|source|destination|ARRIVED_n|RT_n");
    if (rest->at <= rest->end) { /* not the last edge: an empty field must follow */
        span gap;
        next_field(rest, &gap);
        if (gap.at != gap.end || rest->at > rest->end)
            return edge_fault(w, LOOM_REASON_BAD_EDGE, "has more than 6 fields, or || without an edge behind it");
    }

    loom_call *c = &w->calls[w->n_calls];
    c->n_id = loom_id_parse(w->components, LOOM_ID_MAX_COMPONENTS, f[0].at, (size_t)(f[0].end - f[0].at));
    if (c->n_id < 0) return edge_fault(w, LOOM_REASON_BAD_EDGE, "has an id that is not numbers joined by dots");
    c->id = w->components;
    w->components += c->n_id;

    size_t n_source = (size_t)(f[2].end - f[2].at), n_destination = (size_t)(f[3].end - f[3].at);
    c->type = loom_call_type_of(f[1].at, (size_t)(f[1].end - f[1].at));
    if (!parse_ms(f[4], "ARRIVED_", 8, &c->arrived) || !parse_ms(f[5], "RT_", 3, &c->rt))
        return edge_fault(w, LOOM_REASON_BAD_EDGE, "has a time that is not ARRIVED_ or RT_ and whole milliseconds");
    if (loom_name_is_unknown(f[1].at, (size_t)(f[1].end - f[1].at)) || loom_name_is_unknown(f[2].at, n_source) ||
        loom_name_is_unknown(f[3].at, n_destination))
        return edge_fault(w, LOOM_REASON_MISSING_INFO, "has a name that is UNKNOWN or UNAVAILABLE");
    if (c->type == LOOM_CALL_TYPES)
        return edge_fault(w, LOOM_REASON_BAD_EDGE, "has a type that is none of rpc, http, mc, db, mq");
    if (!n_source || !n_destination) return edge_fault(w, LOOM_REASON_BAD_EDGE, "has an empty source or destination");
    c->source = keep_name(w, f[2], "MS_", 3, 5);
    c->destination = keep_name(w, f[3], "MS_", 3, 5);
    w->n_calls++;
    return true;
}

/* Sizes for the blocks of a parser. A well-formed record has 7 n - 2 bars, and parsing ends at the first edge that is
 * not well-formed, so bars bound the edges. */
static bool parser_init(parser *w, span edges, size_t service_len, loom_arena *arena)
{
    size_t bars = 0, dots = 0, len = (size_t)(edges.end - edges.at);
    size_t controls = 0;
    for (const char *p = edges.at; p < edges.end; p++) {
        bars += *p == '|';
        dots += *p == '.';
        controls += (unsigned char)*p < ' ' || *p == 0x7f;
    }
    size_t cap = bars / 7 + 2;
    *w = (parser){.has_control = controls > 0};
    w->calls = loom_arena_alloc(arena, cap * sizeof *w->calls);
    w->components = loom_arena_alloc(arena, (dots + cap + 1) * sizeof *w->components);
    w->names = loom_arena_alloc(arena, len + cap * 12 + service_len + 16);
    return w->calls && w->components && w->names;
}

static bool service_fits(span text) { return loom_name_fits_record(text.at, (size_t)(text.end - text.at)); }

static bool parse_columns(loom_graph *g, parser *w, span columns[3], loom_arena *arena)
{
    span edges = columns[2];
    if (!parser_init(w, edges, (size_t)(columns[1].end - columns[1].at), arena))
        return edge_fault(w, LOOM_REASON_BAD_EDGE, "cannot be read: memory ran out");
    if (w->has_control) return edge_fault(w, LOOM_REASON_BAD_EDGE, "or another holds a control byte");
    while (edges.at <= edges.end)
        if (!parse_edge(w, &edges)) return false;
    g->calls = w->calls;
    g->n_calls = w->n_calls;
    g->service = service_fits(columns[1]) ? keep_name(w, columns[1], "S_", 2, 9) : "";
    return true;
}

static bool in_order(const loom_graph *g)
{
    for (int32_t i = 1; i < g->n_calls; i++)
        if (loom_id_compare(g->calls[i - 1].id, g->calls[i - 1].n_id, g->calls[i].id, g->calls[i].n_id) >= 0)
            return false;
    return true;
}

bool loom_record_parse(loom_graph *g, loom_verdict *why, const char *line, size_t len, loom_arena *arena)
{
    span columns[3];
    parser w;
    *g = (loom_graph){.service = ""};
    loom_verdict_reset(why);
    if (split_columns(columns, line, len) != 3) {
        loom_verdict_add(why, LOOM_REASON_NUM_COLUMNS);
        loom_verdict_add(why, LOOM_REASON_BAD_SERVICE);
        loom_verdict_add(why, LOOM_REASON_NO_ROOT);
        return false;
    }
    if (!parse_columns(g, &w, columns, arena)) {
        loom_verdict_add(why, w.reason);
        if (w.reason == LOOM_REASON_MISSING_INFO) {
            loom_verdict_add(why, LOOM_REASON_BAD_SERVICE);
            loom_verdict_add(why, LOOM_REASON_NO_ROOT);
        }
        return false;
    }
    g->time_of_day = parse_time(columns[0]);
    if (g->time_of_day < 0) {
        g->time_of_day = 0;
        loom_verdict_add(why, LOOM_REASON_BAD_TIMESTAMP);
    }
    if (!in_order(g)) loom_graph_sort_unique(g);
    return true;
}

bool loom_record_read(loom_graph *g, loom_verdict *why, const char *line, size_t len, loom_arena *arena)
{
    if (!loom_record_parse(g, why, line, len, arena)) return false;
    loom_graph_check(why, g);
    return why->n == 0;
}

void loom_record_explain_bad_edge(loom_buf *into, const char *line, size_t len)
{
    span columns[3];
    parser w;
    loom_graph g;
    loom_arena arena = {0};
    if (split_columns(columns, line, len) != 3) loom_buf_str(into, "the line has not three columns");
    else if (!parse_columns(&g, &w, columns, &arena))
        loom_buf_printf(into, "edge %lld %s", (long long)w.n_calls + 1, w.fault);
    loom_arena_release(&arena);
}

/* ---- writing ---- */

static char *put_text(char *p, const char *text, size_t len)
{
    memcpy(p, text, len);
    return p + len;
}

static char *put_i64(char *p, int64_t value)
{
    char digits[20];
    int n = 0;
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    if (value < 0) *p++ = '-';
    do {
        digits[n++] = (char)('0' + left % 10);
        left /= 10;
    } while (left);
    while (n) *p++ = digits[--n];
    return p;
}

static char *put_id(char *p, const int32_t *id, int32_t n_id)
{
    for (int32_t i = 0; i < n_id; i++) {
        if (i) *p++ = '.';
        if (id[i] >= 0 && id[i] < 10) *p++ = (char)('0' + id[i]);
        else p = put_i64(p, id[i]);
    }
    return p;
}

/* Room first, then plain stores: rendering is on the hot path of every stage. */
static void render_call(loom_buf *into, const loom_call *c, bool with_times)
{
    size_t n_source = strlen(c->source), n_destination = strlen(c->destination);
    if (!loom_buf_reserve(into, (size_t)c->n_id * 12 + n_source + n_destination + 80)) return;
    char *p = into->data + into->len;
    const char *type = loom_call_type_name(c->type);
    p = put_id(p, c->id, c->n_id);
    *p++ = '|';
    p = put_text(p, type, strlen(type));
    *p++ = '|';
    p = put_text(p, c->source, n_source);
    *p++ = '|';
    p = put_text(p, c->destination, n_destination);
    if (with_times) {
        p = put_text(p, "|ARRIVED_", 9);
        p = put_i64(p, c->arrived);
        p = put_text(p, "|RT_", 4);
        p = put_i64(p, c->rt);
    }
    *p = 0;
    into->len = (size_t)(p - into->data);
}

static void render_calls(loom_buf *into, const loom_graph *g, bool with_times)
{
    for (int32_t i = 0; i < g->n_calls; i++) {
        if (i) loom_buf_append(into, "||", 2);
        render_call(into, &g->calls[i], with_times);
    }
}

void loom_record_render_calls(loom_buf *into, const loom_graph *g) { render_calls(into, g, true); }

static char *put_digits(char *p, int64_t value, int digits)
{
    for (int i = digits - 1; i >= 0; i--) {
        p[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return p + digits;
}

void loom_record_render_time(loom_buf *into, int64_t time_of_day)
{
    char text[14], *p = text;
    int64_t ms = time_of_day < 0 ? 0 : time_of_day % LOOM_MS_PER_DAY;
    p = put_digits(p, ms / 3600000, 2);
    *p++ = 'h';
    p = put_digits(p, ms / 60000 % 60, 2);
    *p++ = 'm';
    p = put_digits(p, ms / 1000 % 60, 2);
    *p++ = 's';
    p = put_digits(p, ms % 1000, 3);
    *p++ = 'm';
    *p = 's';
    loom_buf_append(into, text, sizeof text);
}

static void render_record(loom_buf *into, const loom_graph *g, int64_t time_of_day)
{
    loom_record_render_time(into, time_of_day);
    loom_buf_char(into, ' ');
    loom_buf_str(into, g->service);
    loom_buf_char(into, ' ');
    render_calls(into, g, true);
}

void loom_record_render(loom_buf *into, const loom_graph *g) { render_record(into, g, g->time_of_day); }
void loom_record_render_untimed(loom_buf *into, const loom_graph *g) { render_record(into, g, 0); }

void loom_record_render_structure(loom_buf *into, const loom_graph *g)
{
    loom_buf_str(into, g->service);
    loom_buf_char(into, ' ');
    render_calls(into, g, false);
}
