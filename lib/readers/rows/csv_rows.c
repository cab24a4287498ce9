#include "readers/rows/csv_rows.h"

#include <stdlib.h>

#include "core/num.h"

enum { C_TIME, C_TRACE, C_SERVICE, C_ID, C_TYPE, C_UM, C_DM, C_RT };
static const char *const column_names[LOOM_CSV_COLUMNS] = {"timestamp", "traceid", "service", "rpc_id",
                                                           "rpctype",   "um",      "dm",      "rt"};

typedef struct field {
    const char *at;
    size_t len;
} field;

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

/* Next field; quotes are taken off ("" inside is one), and blanks around what has none. Returns the start of the rest,
 * NULL behind the last field. */
static const char *next_field(const char *at, const char *end, field *f, loom_arena *arena)
{
    while (at < end && is_blank(*at)) at++;
    if (at < end && *at == '"') {
        char *out = loom_arena_alloc(arena, (size_t)(end - at) + 1);
        size_t n = 0;
        for (at++; out && at < end; at++) {
            if (*at == '"' && (at + 1 == end || at[1] != '"')) break;
            if (*at == '"') at++;
            out[n++] = *at;
        }
        *f = (field){out ? out : "", n};
        at = at < end ? at + 1 : end;
        while (at < end && is_blank(*at)) at++;
    } else {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        *f = (field){at, (size_t)((comma ? comma : end) - at)};
        at += f->len;
        while (f->len && is_blank(f->at[f->len - 1])) f->len--;
    }
    return at < end && *at == ',' ? at + 1 : NULL;
}

static bool is_text(field f, const char *text) { return strlen(text) == f.len && memcmp(text, f.at, f.len) == 0; }

static bool read_header(loom_csv_rows *c, const char *line, size_t len)
{
    const char *at = line;
    field f;

    for (int i = 0; i < LOOM_CSV_COLUMNS; i++) c->place[i] = -1;
    for (int k = 0; at; k++) {
        at = next_field(at, line + len, &f, &c->arena);
        for (int i = 0; i < LOOM_CSV_COLUMNS; i++)
            if (is_text(f, column_names[i]) || (i == C_ID && is_text(f, "rpcid"))) c->place[i] = k;
    }
    for (int i = 0; i < LOOM_CSV_COLUMNS; i++)
        if (c->place[i] < 0) return false;
    return true;
}

static bool fill_row(loom_csv_rows *c, loom_row *row, const field *f)
{
    int32_t id[LOOM_ID_MAX_COMPONENTS];
    double rt;

    row->n_id = loom_id_parse(id, LOOM_ID_MAX_COMPONENTS, f[C_ID].at, f[C_ID].len);
    row->type = loom_call_type_of(f[C_TYPE].at, f[C_TYPE].len);
    if (row->n_id < 1 || row->type == LOOM_CALL_TYPES || !f[C_TRACE].len || !f[C_SERVICE].len) return false;
    if (!loom_parse_i64(f[C_TIME].at, f[C_TIME].len, &row->timestamp) || !loom_parse_f64(f[C_RT].at, f[C_RT].len, &rt))
        return false;
    if (!(rt > -(double)LOOM_TIME_MAX_MS && rt < (double)LOOM_TIME_MAX_MS)) return false;
    for (int i = C_UM; i <= C_DM; i++)
        if (!loom_name_fits_record(f[i].at, f[i].len) || loom_name_is_unknown(f[i].at, f[i].len)) return false;
    row->rt = (int64_t)rt;
    int32_t *own = loom_arena_alloc(&c->arena, (size_t)row->n_id * sizeof *own);
    if (!own) return false;
    memcpy(own, id, (size_t)row->n_id * sizeof *own);
    row->id = own;
    row->id_text = loom_arena_strdup(&c->arena, f[C_ID].at, f[C_ID].len);
    row->source = loom_name_microservice(&c->arena, f[C_UM].at, f[C_UM].len);
    row->destination = loom_name_microservice(&c->arena, f[C_DM].at, f[C_DM].len);
    row->service = loom_arena_strdup(&c->arena, f[C_SERVICE].at, f[C_SERVICE].len);
    return true;
}

static loom_status read_row(loom_csv_rows *c, bool *kept, const char *line, size_t len, loom_err *err)
{
    const char *at = line;
    field f[LOOM_CSV_COLUMNS], value;
    loom_row row = {0};

    for (int i = 0; i < LOOM_CSV_COLUMNS; i++) f[i] = (field){"", 0};
    for (int k = 0; at; k++) {
        at = next_field(at, line + len, &value, &c->arena);
        for (int i = 0; i < LOOM_CSV_COLUMNS; i++)
            if (c->place[i] == k) f[i] = value;
    }
    *kept = fill_row(c, &row, f);
    LOOM_TRY(loom_arena_check(&c->arena, "rows", err));
    if (!*kept) return LOOM_OK;
    LOOM_TRY(loom_grow(&c->items, &c->cap, c->n + 1, sizeof *c->items, err));
    int64_t trace = loom_intern_add(&c->traces, f[C_TRACE].at, f[C_TRACE].len);
    if (trace < 0) return loom_fail_nomem(err, "rows");
    c->items[c->n] = (loom_csv_row){trace, (int64_t)c->n, row};
    c->n++;
    return LOOM_OK;
}

loom_status loom_csv_rows_add(loom_csv_rows *c, const char *text, size_t len, const char *name, loom_left_out *left,
                              bool *known, loom_err *err)
{
    size_t at = strcspn(text, "\n");
    loom_buf place = {0};
    loom_status st = LOOM_OK;

    *known = read_header(c, text, at && text[at - 1] == '\r' ? at - 1 : at);
    for (int64_t number = 2; *known && st == LOOM_OK && at < len; number++) {
        const char *line = text + at + 1;
        size_t n = strcspn(line, "\n");
        bool kept;
        at += 1 + n;
        if (n && line[n - 1] == '\r') n--;
        if (!n) continue;
        c->met++;
        if ((st = read_row(c, &kept, line, n, err)) != LOOM_OK || kept) continue;
        loom_buf_reset(&place);
        if (!left->n[LOOM_LEFT_BAD_ROW]) loom_buf_printf(&place, "%s:%lld", name, (long long)number);
        loom_left_add(left, LOOM_LEFT_BAD_ROW, loom_buf_text(&place));
    }
    loom_buf_release(&place);
    return st;
}

static int by_trace(const void *a, const void *b)
{
    const loom_csv_row *x = a, *y = b;
    if (x->trace != y->trace) return x->trace < y->trace ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

loom_status loom_csv_rows_graphs(loom_csv_rows *c, loom_take_graph take, void *arg, int64_t *rejected, int64_t *graphs,
                                 loom_err *err)
{
    loom_row *rows = loom_alloc(c->n + 1, sizeof *rows);
    loom_arena arena = {0};
    loom_status st = LOOM_OK;

    if (!rows) return loom_fail_nomem(err, "rows");
    if (c->n) qsort(c->items, c->n, sizeof *c->items, by_trace);
    for (size_t i = 0, end; st == LOOM_OK && i < c->n; i = end) {
        loom_graph g;
        loom_verdict why;
        for (end = i; end < c->n && c->items[end].trace == c->items[i].trace; end++) rows[end - i] = c->items[end].row;
        loom_arena_reset(&arena);
        if (loom_rows_to_graph(&g, rows, (int64_t)(end - i), &arena) < 0) {
            st = loom_fail_nomem(err, "a graph");
            break;
        }
        loom_verdict_reset(&why);
        loom_graph_check(&why, &g);
        if (why.n) {
            rejected[why.reasons[0]]++;
            continue;
        }
        ++*graphs;
        st = take(arg, &g, err);
    }
    loom_arena_release(&arena);
    free(rows);
    return st;
}

void loom_csv_rows_release(loom_csv_rows *c)
{
    free(c->items);
    loom_intern_release(&c->traces);
    loom_arena_release(&c->arena);
    *c = (loom_csv_rows){0};
}
