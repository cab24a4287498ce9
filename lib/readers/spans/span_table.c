/* Tables of spans: CSV whose header names the columns, one span a row, as data sets publish them (Nezha). */
#include <strings.h>

#include "core/num.h"
#include "core/utf8.h"
#include "readers/rows/csv.h"
#include "readers/spans/span_attributes.h"
#include "readers/spans/span_doc.h"
#include "readers/spans/span_ids.h"

enum { TRACE, SPAN, PARENT, SERVICE, POD, OPERATION, KIND, START, END, COLUMNS };

static const char *const column_names[COLUMNS][3] = {
    [TRACE] = {"TraceID"},
    [SPAN] = {"SpanID"},
    [PARENT] = {"ParentID", "ParentSpanID"},
    [SERVICE] = {"ServiceName", "Service"},
    [POD] = {"PodName", "Pod"},
    [OPERATION] = {"OperationName", "SpanName", "Operation"},
    [KIND] = {"SpanKind", "Kind"},
    [START] = {"StartTimeUnixNano"},
    [END] = {"EndTimeUnixNano"},
};

typedef struct table {
    loom_span_doc d;
    loom_csv csv;
    int32_t at[COLUMNS]; /* -1: no such column */
} table;

/* ---- the header ---- */

static loom_csv_field trimmed(loom_csv_field f)
{
    while (f.len && (f.at[0] == ' ' || f.at[0] == '\t')) f.at++, f.len--;
    while (f.len && (f.at[f.len - 1] == ' ' || f.at[f.len - 1] == '\t')) f.len--;
    return f;
}

/* In any case, with or without underscores: "trace_id" is TraceID. */
static bool is_called(loom_csv_field f, const char *name)
{
    f = trimmed(f);
    for (size_t i = 0; i < f.len; i++) {
        if (f.at[i] == '_') continue;
        if (!*name || strncasecmp(&f.at[i], name, 1) != 0) return false;
        name++;
    }
    return !*name;
}

static int32_t find_column(const loom_csv *header, const char *const names[3])
{
    int32_t n = header->n_fields < LOOM_CSV_MAX_COLUMNS ? header->n_fields : LOOM_CSV_MAX_COLUMNS;

    for (int k = 0; k < 3 && names[k]; k++)
        for (int32_t i = 0; i < n; i++)
            if (is_called(header->fields[i], names[k])) return i;
    return -1;
}

/* Reads the first record that is not blank; *at moves behind it. */
static bool read_header(table *t, const char **at, const char *end, int64_t *line)
{
    loom_csv_kind kind;
    int64_t n;

    do {
        kind = loom_csv_next(&t->csv, at, end, true, &n);
        *line += n;
    } while (kind == LOOM_CSV_BLANK);
    t->csv.n_columns = t->csv.n_fields;
    for (int c = 0; c < COLUMNS; c++) t->at[c] = kind == LOOM_CSV_RECORD ? find_column(&t->csv, column_names[c]) : -1;
    return t->at[TRACE] >= 0 && t->at[SPAN] >= 0;
}

bool loom_spans_are_table(const char *text, size_t len)
{
    table t = {.csv = {0}};
    const char *lf = len ? memchr(text, '\n', len) : NULL;
    int64_t line = 0;
    bool yes = len && read_header(&t, &text, lf ? lf : text + len, &line);

    loom_csv_release(&t.csv);
    return yes;
}

static loom_status check_columns(const table *t, loom_err *err)
{
    static const int needed[] = {PARENT, OPERATION, START, END};
    loom_buf missing = {0};

    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (t->at[needed[i]] < 0)
            loom_buf_printf(&missing, "%s%s", missing.len ? ", " : "", column_names[needed[i]][0]);
    if (t->at[SERVICE] < 0 && t->at[POD] < 0)
        loom_buf_printf(&missing, "%sServiceName or PodName", missing.len ? ", " : "");
    loom_status st = missing.len ? loom_fail(err, LOOM_STATUS_FORMAT,
                                             "%s: line 1: a table of spans without the column %s; name in its header "
                                             "what holds these (times in nanoseconds since 1970)",
                                             t->d.name, loom_buf_text(&missing))
                                 : LOOM_OK;
    loom_buf_release(&missing);
    return st;
}

/* ---- a row ---- */

/* "" where there is no such column; bytes that are no text become '?'. */
static const char *cell(table *t, int column)
{
    if (t->at[column] < 0) return "";
    loom_csv_field f = trimmed(t->csv.fields[t->at[column]]);
    char *copy = loom_arena_alloc(&t->d.s->arena, f.len + 1);
    if (!copy) return ""; /* the arena tells */
    memcpy(copy, f.at, f.len);
    copy[f.len] = 0;
    loom_utf8_mend(copy, f.len);
    return copy;
}

/* How many bytes at the end of name[0..len) are "-" and `least` to `most` characters that Kubernetes makes names of. */
static size_t suffix(const char *name, size_t len, size_t least, size_t most)
{
    size_t n = 0;

    while (n < len && strchr("bcdfghjklmnpqrstvwxz2456789", name[len - 1 - n])) n++;
    return n >= least && n <= most && n + 1 < len && name[len - 1 - n] == '-' ? n + 1 : 0;
}

/* A pod is called DEPLOYMENT-TEMPLATE-POD; names of another form are services as they are. */
static const char *service_of_pod(table *t, const char *pod)
{
    size_t len = strlen(pod), own = suffix(pod, len, 4, 5), of_template = suffix(pod, len - own, 6, 10);

    return own && of_template ? loom_arena_strdup(&t->d.s->arena, pod, len - own - of_template) : pod;
}

static bool is_nobody(const char *parent) { return strcasecmp(parent, "root") == 0 || strcasecmp(parent, "null") == 0; }

static loom_left read_times(table *t, loom_span *span)
{
    const char *start = cell(t, START), *end = cell(t, END);

    if (!loom_parse_i64(start, strlen(start), &span->start)) return LOOM_LEFT_NO_START;
    return loom_parse_i64(end, strlen(end), &span->end) ? LOOM_LEFT_KINDS : LOOM_LEFT_NO_END;
}

static loom_status add_row(table *t, loom_err *err)
{
    const char *parent = cell(t, PARENT), *why = "has no start (StartTimeUnixNano)";
    loom_span span;
    bool usable;

    LOOM_TRY(loom_span_doc_begin(&t->d, &span, &usable, cell(t, TRACE), cell(t, SPAN), err));
    if (!usable) return LOOM_OK;
    span.parent = is_nobody(parent) ? "" : loom_span_id(&t->d.s->arena, parent);
    span.service = cell(t, SERVICE);
    if (!span.service[0]) span.service = service_of_pod(t, cell(t, POD));
    span.operation = cell(t, OPERATION);
    span.kind = loom_span_kind_of(cell(t, KIND));
    LOOM_TRY(loom_arena_check(&t->d.s->arena, "spans", err));
    loom_left fault = read_times(t, &span);
    if (fault == LOOM_LEFT_NO_END) why = "has no end (EndTimeUnixNano)";
    if (!span.service[0]) fault = LOOM_LEFT_NO_SERVICE, why = "names no service";
    return loom_span_doc_end(&t->d, &span, fault, why, err);
}

static loom_status add_rows(table *t, const char *at, const char *end, int64_t line, loom_err *err)
{
    for (int64_t n = 0;; line += n) {
        loom_csv_kind kind = loom_csv_next(&t->csv, &at, end, true, &n);
        t->d.line = line + 1;
        if (kind == LOOM_CSV_END) return LOOM_OK;
        if (kind == LOOM_CSV_BLANK) continue;
        if (kind != LOOM_CSV_RECORD || t->csv.n_fields != t->csv.n_columns)
            LOOM_TRY(loom_span_doc_left(&t->d, LOOM_LEFT_BAD_ROW, err, "a row that has not the columns of the header"));
        else LOOM_TRY(add_row(t, err));
    }
}

loom_status loom_spans_add_table(loom_spans *s, const char *text, size_t len, const char *name, loom_err *err)
{
    table t = {.d = {.s = s, .name = name, .text = ""}};
    const char *at = text, *end = text + len;
    int64_t line = 0;

    s->name = s->read++ ? NULL : loom_arena_strdup(&s->arena, name, strlen(name));
    read_header(&t, &at, end, &line);
    loom_status st = check_columns(&t, err);
    if (st == LOOM_OK) st = add_rows(&t, at, end, line, err);
    loom_csv_release(&t.csv);
    return st;
}
