#include "readers/graphsource.h"

#include <stdlib.h>

#include "core/file.h"
#include "core/num.h"
#include "trace/record.h"
#include "trace/rows.h"

#define MEMBER_MAX_BYTES ((size_t)2 << 30)

typedef struct reader {
    loom_source *s;
    const char *path;
    loom_take_graph take;
    void *arg;
} reader;

/* ---- graph stores ---- */

static loom_status take_record(reader *r, const char *line, size_t len, loom_arena *arena, loom_err *err)
{
    loom_graph g;
    loom_verdict why;

    loom_arena_reset(arena);
    r->s->records++;
    if (!loom_record_read(&g, &why, line, len, arena)) {
        r->s->rejected[why.n ? why.reasons[0] : LOOM_REASON_NUM_COLUMNS]++;
        return LOOM_OK;
    }
    r->s->graphs++;
    return r->take(r->arg, &g, err);
}

/* Calls fn for every line without its line end. */
static loom_status each_line(reader *r, const loom_buf *text, loom_arena *arena,
                             loom_status (*fn)(reader *, const char *, size_t, loom_arena *, loom_err *), loom_err *err)
{
    for (size_t at = 0; at < text->len;) {
        const char *lf = memchr(text->data + at, '\n', text->len - at);
        size_t len = lf ? (size_t)(lf - text->data) - at : text->len - at;
        size_t bare = len && text->data[at + len - 1] == '\r' ? len - 1 : len;
        if (bare) LOOM_TRY(fn(r, text->data + at, bare, arena, err));
        at += len + 1;
    }
    return LOOM_OK;
}

/* ---- CSV ---- */

enum { C_TIME, C_TRACE, C_SERVICE, C_ID, C_TYPE, C_UM, C_DM, C_RT, COLUMNS };
static const char *const column_names[COLUMNS] = {"timestamp", "traceid", "service", "rpc_id",
                                                  "rpctype",   "um",      "dm",      "rt"};

typedef struct csv_row {
    int64_t trace, order;
    loom_row row;
} csv_row;

typedef struct csv {
    int place[COLUMNS];
    int n_fields;
    csv_row *rows;
    size_t n, cap;
    loom_intern traces;
    loom_arena arena;
} csv;

/* Next field; quotes are taken off ("" inside is one). Returns the start of the rest, NULL behind the last field. */
static const char *next_field(const char *at, const char *end, const char **field, size_t *len, loom_arena *arena)
{
    if (at < end && *at == '"') {
        char *out = loom_arena_alloc(arena, (size_t)(end - at) + 1);
        size_t n = 0;
        for (at++; at < end; at++) {
            if (*at == '"' && (at + 1 == end || at[1] != '"')) break;
            if (*at == '"') at++;
            out[n++] = *at;
        }
        *field = out;
        *len = n;
        at = at < end ? at + 1 : end;
    } else {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        *field = at;
        *len = (size_t)((comma ? comma : end) - at);
        at += *len;
    }
    return at < end && *at == ',' ? at + 1 : NULL;
}

static bool read_header(csv *c, const char *line, size_t len)
{
    const char *at = line, *end = line + len, *field;
    size_t n;

    for (int i = 0; i < COLUMNS; i++) c->place[i] = -1;
    for (c->n_fields = 0; at; c->n_fields++) {
        at = next_field(at, end, &field, &n, &c->arena);
        for (int i = 0; i < COLUMNS; i++) {
            bool same = strlen(column_names[i]) == n && memcmp(column_names[i], field, n) == 0;
            if (same || (i == C_ID && n == 5 && memcmp(field, "rpcid", 5) == 0)) c->place[i] = c->n_fields;
        }
    }
    for (int i = 0; i < COLUMNS; i++)
        if (c->place[i] < 0) return false;
    return true;
}

static bool fill_row(csv *c, loom_row *row, const char *const *field, const size_t *len)
{
    int32_t id[LOOM_ID_MAX_COMPONENTS];
    double rt;

    row->n_id = loom_id_parse(id, LOOM_ID_MAX_COMPONENTS, field[C_ID], len[C_ID]);
    row->type = loom_call_type_of(field[C_TYPE], len[C_TYPE]);
    if (row->n_id < 1 || row->type == LOOM_CALL_TYPES || !len[C_TRACE] || !len[C_SERVICE]) return false;
    if (!loom_parse_i64(field[C_TIME], len[C_TIME], &row->timestamp) || !loom_parse_f64(field[C_RT], len[C_RT], &rt))
        return false;
    if (!(rt > -(double)LOOM_TIME_MAX_MS && rt < (double)LOOM_TIME_MAX_MS)) return false;
    for (int i = C_UM; i <= C_DM; i++)
        if (!loom_name_fits_record(field[i], len[i]) || loom_name_is_unknown(field[i], len[i])) return false;
    row->rt = (int64_t)rt;
    int32_t *own = loom_arena_alloc(&c->arena, (size_t)row->n_id * sizeof *own);
    memcpy(own, id, (size_t)row->n_id * sizeof *own);
    row->id = own;
    row->id_text = loom_arena_strdup(&c->arena, field[C_ID], len[C_ID]);
    row->source = loom_name_microservice(&c->arena, field[C_UM], len[C_UM]);
    row->destination = loom_name_microservice(&c->arena, field[C_DM], len[C_DM]);
    row->service = loom_arena_strdup(&c->arena, field[C_SERVICE], len[C_SERVICE]);
    return true;
}

static loom_status read_row(reader *r, csv *c, const char *line, size_t line_len, loom_err *err)
{
    const char *at = line, *field[COLUMNS] = {"", "", "", "", "", "", "", ""}, *value;
    size_t len[COLUMNS] = {0}, n;
    loom_row row = {0};

    r->s->rows++;
    for (int k = 0; at; k++) {
        at = next_field(at, line + line_len, &value, &n, &c->arena);
        for (int i = 0; i < COLUMNS; i++)
            if (c->place[i] == k) field[i] = value, len[i] = n;
    }
    if (!fill_row(c, &row, field, len)) {
        r->s->dropped_rows++;
        return LOOM_OK;
    }
    LOOM_TRY(loom_grow(&c->rows, &c->cap, c->n + 1, sizeof *c->rows, err));
    c->rows[c->n] = (csv_row){loom_intern_add(&c->traces, field[C_TRACE], len[C_TRACE]), (int64_t)c->n, row};
    c->n++;
    return LOOM_OK;
}

static int by_trace(const void *a, const void *b)
{
    const csv_row *x = a, *y = b;
    if (x->trace != y->trace) return x->trace < y->trace ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

static loom_status csv_graphs(reader *r, csv *c, loom_err *err)
{
    loom_row *rows = loom_alloc(c->n + 1, sizeof *rows);
    loom_arena arena = {0};
    loom_status st = LOOM_OK;

    if (!rows) return loom_fail_nomem(err, "rows");
    if (c->n) qsort(c->rows, c->n, sizeof *c->rows, by_trace);
    for (size_t i = 0, end; st == LOOM_OK && i < c->n; i = end) {
        loom_graph g;
        loom_verdict why;
        for (end = i; end < c->n && c->rows[end].trace == c->rows[i].trace; end++) rows[end - i] = c->rows[end].row;
        loom_arena_reset(&arena);
        r->s->traces++;
        loom_rows_to_graph(&g, rows, (int64_t)(end - i), &arena);
        loom_verdict_reset(&why);
        loom_graph_check(&why, &g);
        if (why.n) {
            r->s->rejected[why.reasons[0]]++;
            continue;
        }
        r->s->graphs++;
        st = r->take(r->arg, &g, err);
    }
    loom_arena_release(&arena);
    free(rows);
    return st;
}

static loom_status read_csv(reader *r, const loom_buf *text, loom_err *err)
{
    csv c = {0};
    size_t at = strcspn(text->data, "\n");
    size_t head = at && text->data[at - 1] == '\r' ? at - 1 : at;
    loom_status st = LOOM_OK;

    if (!read_header(&c, text->data, head)) {
        st = loom_fail(err, LOOM_STATUS_FORMAT,
                       "%s is no graph store, no JSON and no CallGraph table (the header needs timestamp, traceid, "
                       "service, rpc_id, rpctype, um, dm, rt)", r->path);
        goto done;
    }
    while (st == LOOM_OK && at < text->len) {
        const char *line = text->data + at + 1;
        size_t len = strcspn(line, "\n");
        at += 1 + len;
        if (len && line[len - 1] == '\r') len--;
        if (len) st = read_row(r, &c, line, len, err);
    }
    if (st == LOOM_OK) st = csv_graphs(r, &c, err);
done:
    free(c.rows);
    loom_intern_release(&c.traces);
    loom_arena_release(&c.arena);
    return st;
}

/* ---- JSON: one document, or one on each line ---- */

static loom_status parse_documents(reader *r, loom_spans *spans, const loom_buf *text, loom_err *err)
{
    loom_json *root = NULL;
    loom_err whole;
    int64_t number = 0;

    loom_status st = loom_json_parse(&root, text->data, text->len, r->path, &whole);
    if (st == LOOM_OK) {
        st = loom_spans_add_json(spans, root, r->path, err);
        loom_json_free(root);
        return st;
    }
    for (size_t at = 0; at < text->len;) {
        size_t len = strcspn(text->data + at, "\n");
        loom_err line;
        number++;
        if (len > 1) {
            if (loom_json_parse(&root, text->data + at, len, r->path, &line) != LOOM_OK)
                return number == 1 ? loom_fail(err, whole.status, "%s", whole.msg)
                                   : loom_fail(err, line.status, "%s:%lld: %s", r->path, (long long)number, line.msg);
            st = loom_spans_add_json(spans, root, r->path, err);
            loom_json_free(root);
            if (st != LOOM_OK) return st;
        }
        at += len + 1;
    }
    return LOOM_OK;
}

static loom_status read_json(reader *r, const loom_buf *text, loom_err *err)
{
    loom_spans spans = {0};
    int64_t before = r->s->spans.graphs;
    loom_status st = parse_documents(r, &spans, text, err);

    if (st == LOOM_OK) st = loom_spans_graphs(&spans, r->take, r->arg, &r->s->spans, err);
    r->s->graphs += r->s->spans.graphs - before;
    loom_spans_release(&spans);
    return st;
}

/* ---- files ---- */

static bool looks_like_record(const loom_buf *t)
{
    return t->len > 15 && t->data[2] == 'h' && t->data[5] == 'm' && t->data[8] == 's';
}

static loom_status read_text(reader *r, const loom_buf *text, loom_err *err)
{
    size_t at = text->len ? strspn(text->data, " \t\r\n") : 0;
    loom_arena arena = {0};
    loom_status st;

    if (at >= text->len) return LOOM_OK;
    if (text->data[at] == '{' || text->data[at] == '[') {
        r->s->seen_spans = true;
        return read_json(r, text, err);
    }
    if (!looks_like_record(text)) {
        r->s->seen_csv = true;
        return read_csv(r, text, err);
    }
    r->s->seen_records = true;
    st = each_line(r, text, &arena, take_record, err);
    loom_arena_release(&arena);
    return st;
}

static loom_status read_member(loom_in *in, loom_buf *text, const char *path, loom_err *err)
{
    loom_buf_reset(text);
    for (;;) {
        size_t n = 0;
        loom_buf_reserve(text, (size_t)1 << 16);
        LOOM_TRY(loom_in_read(in, text->data + text->len, (size_t)1 << 16, &n, err));
        text->len += n;
        text->data[text->len] = 0;
        if (n == 0) return LOOM_OK;
        if (text->len > MEMBER_MAX_BYTES)
            return loom_fail(err, LOOM_STATUS_FORMAT, "%s is larger than 2 GiB; split it first", path);
    }
}

static loom_status read_file(loom_source *s, const char *path, loom_take_graph take, void *arg, loom_err *err)
{
    loom_buf text = {0}, name = {0};
    loom_in *in = NULL;
    bool more = true;
    loom_status st = loom_in_open(&in, path, err);

    while (st == LOOM_OK && more) {
        const char *member = loom_in_member(in);
        loom_buf_reset(&name);
        loom_buf_printf(&name, member[0] ? "%s(%s)" : "%s", path, member);
        reader r = {.s = s, .path = name.data, .take = take, .arg = arg};
        s->files++;
        st = read_member(in, &text, name.data, err);
        if (st == LOOM_OK) st = read_text(&r, &text, err);
        if (st == LOOM_OK) st = loom_in_next_member(in, &more, err);
    }
    loom_in_close(&in);
    loom_buf_release(&text);
    loom_buf_release(&name);
    return st;
}

loom_status loom_source_read(loom_source *s, const char *path, loom_take_graph take, void *arg, loom_err *err)
{
    char **paths = NULL;
    size_t n = 0;
    loom_status st = LOOM_OK;

    if (!loom_file_is_dir(path)) return read_file(s, path, take, arg, err);
    LOOM_TRY(loom_list_files(&paths, &n, path, "", err));
    for (size_t i = 0; st == LOOM_OK && i < n; i++) {
        size_t len = strlen(paths[i]);
        bool meta = len > 10 && strcmp(paths[i] + len - 10, ".meta.json") == 0;
        if (!meta) st = read_file(s, paths[i], take, arg, err);
    }
    loom_free_list(paths, n);
    return st;
}

/* ---- report ---- */

int64_t loom_source_rejected(const loom_source *s)
{
    int64_t n = s->spans.too_large;
    for (int i = 0; i < LOOM_REASONS; i++) n += s->rejected[i] + s->spans.rejected[i];
    return n;
}

static void note(loom_buf *into, int64_t n, const char *what)
{
    if (n) loom_buf_printf(into, "; %lld %s", (long long)n, what);
}

void loom_source_render_counts(const loom_source *s, loom_buf *into)
{
    const loom_span_counts *c = &s->spans;

    loom_buf_printf(into, "%lld graphs", (long long)s->graphs);
    if (s->seen_records) loom_buf_printf(into, ", %lld records read", (long long)s->records);
    if (s->seen_csv) loom_buf_printf(into, ", %lld rows of %lld traces read", (long long)s->rows, (long long)s->traces);
    if (s->seen_spans)
        loom_buf_printf(into, ", %lld spans of %lld traces read", (long long)c->spans, (long long)c->traces);
    note(into, s->dropped_rows, "rows dropped (unknown type or name, unreadable id or time)");
    note(into, c->inside, "spans within a service, no calls");
    note(into, c->orphans, "spans left out because their parent is missing");
    note(into, c->extra_roots, "more first spans in a trace that has one");
    note(into, c->below_orphans, "spans left out below such");
    note(into, c->repeated_ids, "spans with an id that was there");
    note(into, c->bad_times, "spans left out because they end before they start or at times that cannot be");
    note(into, c->untyped, "calls of unknown type, taken as rpc");
    note(into, c->too_large, "traces too large");
    for (int i = 0; i < LOOM_REASONS; i++) {
        char text[64];
        snprintf(text, sizeof text, "graphs not valid: %s", loom_reason_name((loom_reason)i));
        note(into, s->rejected[i] + c->rejected[i], text);
    }
}
