#include "eval/answers/graphs.h"

#include <math.h>
#include <string.h>

#include "core/file.h"
#include "core/hash.h"
#include "core/num.h"
#include "eval/answers/answers.h"
#include "trace/graph/record.h"
#include "trace/graph/rows.h"

typedef enum format { FORMAT_UNKNOWN, FORMAT_RECORDS, FORMAT_REFERENCE, FORMAT_ANSWERS, FORMAT_CSV } format;
static const char *const format_names[] = {"unknown", "records", "reference output", "answers", "CSV"};

/* Rows of a CSV, grouped by trace in order of first appearance. */
typedef struct csv_rows {
    loom_row *rows;
    int64_t *trace; /* per row */
    size_t n, cap, cap_trace;
    loom_intern traces;
    int64_t *first; /* rows of trace t are order[first[t] .. first[t + 1]) */
    int64_t *order;
    int64_t next;   /* trace to return next */
    loom_arena arena;
} csv_rows;

struct loom_graphs {
    char *path;
    loom_lines *lines;
    format format;
    loom_arena arena;
    loom_score score; /* owns the graph of an answer */
    double temperature;
    bool constrained;
    csv_rows csv;
    int64_t n_read, n_rejected, n_given;
    loom_buf first_problem;
};

/* ---- CSV ---- */

enum { COL_TIMESTAMP, COL_TRACE, COL_SERVICE, COL_ID, COL_TYPE, COL_UM, COL_DM, COL_RT, COLS };
static const char *const col_names[COLS] = {"timestamp", "traceid", "service", "rpc_id", "rpctype", "um", "dm", "rt"};

/* Splits at commas; a field in double quotes loses them. Returns the number of fields, at most cap. */
static int split_fields(char *line, size_t len, char **fields, size_t *lens, int cap)
{
    int n = 0;
    char *end = line + len;
    for (char *c = line; n < cap; c++) {
        char *start = c, *stop;
        if (c < end && *c == '"') {
            start++;
            for (c = start; c < end && *c != '"';) c++;
            stop = c;
            while (c < end && *c != ',') c++;
        } else {
            while (c < end && *c != ',') c++;
            stop = c;
        }
        fields[n] = start;
        lens[n++] = (size_t)(stop - start);
        if (c >= end) break;
    }
    return n;
}

static bool find_columns(int columns[COLS], char *header, size_t len)
{
    char *fields[64];
    size_t lens[64];
    int n = split_fields(header, len, fields, lens, 64);
    for (int c = 0; c < COLS; c++) {
        columns[c] = -1;
        for (int f = 0; f < n; f++)
            if (lens[f] == strlen(col_names[c]) && memcmp(fields[f], col_names[c], lens[f]) == 0) columns[c] = f;
        if (columns[c] < 0) return false;
    }
    return true;
}

/* One row that stage 1 of preprocessing would keep; false otherwise. */
static bool read_row(loom_row *row, char **f, const size_t *n, const int col[COLS], loom_arena *arena)
{
    double rt;
    int32_t id[LOOM_ID_MAX_COMPONENTS], n_id;
    if (!loom_parse_i64(f[col[COL_TIMESTAMP]], n[col[COL_TIMESTAMP]], &row->timestamp)) return false;
    if (row->timestamp < -LOOM_TIME_MAX_MS || row->timestamp > LOOM_TIME_MAX_MS) return false;
    if (!loom_parse_f64(f[col[COL_RT]], n[col[COL_RT]], &rt) || rt < -1e15 || rt > 1e15) return false;
    row->rt = (int64_t)rt;
    row->type = loom_call_type_of(f[col[COL_TYPE]], n[col[COL_TYPE]]);
    if (row->type == LOOM_CALL_TYPES) return false;
    n_id = loom_id_parse(id, LOOM_ID_MAX_COMPONENTS, f[col[COL_ID]], n[col[COL_ID]]);
    if (n_id < 1) return false;
    for (int c = COL_UM; c <= COL_DM; c++)
        if (!loom_name_fits_record(f[col[c]], n[col[c]]) || loom_name_is_unknown(f[col[c]], n[col[c]])) return false;
    if (!loom_name_fits_record(f[col[COL_SERVICE]], n[col[COL_SERVICE]]) || n[col[COL_TRACE]] == 0) return false;
    int32_t *copy = loom_arena_alloc(arena, (size_t)n_id * sizeof *copy);
    if (!copy) return false;
    memcpy(copy, id, (size_t)n_id * sizeof *copy);
    row->id = copy;
    row->n_id = n_id;
    row->id_text = loom_arena_strdup(arena, f[col[COL_ID]], n[col[COL_ID]]);
    row->source = loom_name_microservice(arena, f[col[COL_UM]], n[col[COL_UM]]);
    row->destination = loom_name_microservice(arena, f[col[COL_DM]], n[col[COL_DM]]);
    row->service = loom_arena_strdup(arena, f[col[COL_SERVICE]], n[col[COL_SERVICE]]);
    return true;
}

static loom_status group_rows(csv_rows *csv, loom_err *err)
{
    int64_t n_traces = (int64_t)csv->traces.n, n = (int64_t)csv->n;
    csv->first = loom_calloc((size_t)n_traces + 1, sizeof *csv->first);
    csv->order = loom_alloc((size_t)n, sizeof *csv->order);
    int64_t *at = loom_alloc((size_t)n_traces, sizeof *at);
    if (!csv->first || !csv->order || !at) {
        free(at);
        return loom_fail_nomem(err, "rows");
    }
    for (int64_t i = 0; i < n; i++) csv->first[csv->trace[i] + 1]++;
    for (int64_t t = 0; t < n_traces; t++) csv->first[t + 1] += csv->first[t];
    memcpy(at, csv->first, (size_t)n_traces * sizeof *at);
    for (int64_t i = 0; i < n; i++) csv->order[at[csv->trace[i]]++] = i;
    free(at);
    return LOOM_OK;
}

static loom_status read_csv(loom_graphs *in, const int columns[COLS], loom_err *err)
{
    csv_rows *csv = &in->csv;
    char *line, *fields[64];
    size_t len, lens[64];
    int widest = 0;
    for (int c = 0; c < COLS; c++) widest = columns[c] > widest ? columns[c] : widest;
    for (;;) {
        LOOM_TRY(loom_lines_next(in->lines, &line, &len, err));
        if (!line) break;
        loom_row row;
        if (split_fields(line, len, fields, lens, 64) <= widest) continue;
        bool kept = read_row(&row, fields, lens, columns, &csv->arena);
        LOOM_TRY(loom_arena_check(&csv->arena, "rows", err));
        if (!kept) continue;
        LOOM_TRY(loom_grow(&csv->rows, &csv->cap, csv->n + 1, sizeof *csv->rows, err));
        LOOM_TRY(loom_grow(&csv->trace, &csv->cap_trace, csv->n + 1, sizeof *csv->trace, err));
        csv->rows[csv->n] = row;
        int64_t trace = loom_intern_add(&csv->traces, fields[columns[COL_TRACE]], lens[columns[COL_TRACE]]);
        if (trace < 0) return loom_fail_nomem(err, "rows");
        csv->trace[csv->n++] = trace;
    }
    return group_rows(csv, err);
}

static bool next_csv(loom_graphs *in, loom_graph *g, loom_verdict *why)
{
    csv_rows *csv = &in->csv;
    int64_t from = csv->first[csv->next], n = csv->first[csv->next + 1] - from;
    loom_row *rows = loom_arena_alloc(&in->arena, (size_t)n * sizeof *rows);
    for (int64_t i = 0; rows && i < n; i++) rows[i] = csv->rows[csv->order[from + i]];
    csv->next++;
    if (!rows || loom_rows_to_graph(g, rows, n, &in->arena) < 0) return false; /* the arena tells */
    g->service = loom_name_service(&in->arena, g->service, strlen(g->service));
    loom_graph_check(why, g);
    return why->n == 0;
}

/* ---- one line, one graph ---- */

static const char *find_text(const char *from, const char *end, const char *what)
{
    size_t n = strlen(what);
    for (; from + n <= end; from++)
        if (memcmp(from, what, n) == 0) return from;
    return NULL;
}

/* "<-1><s> id:S_1/max depth:2/num edges:3[edge||edge]</s>" becomes a record and is read as one. */
static bool next_reference(loom_graphs *in, loom_graph *g, loom_verdict *why, const char *line, size_t len)
{
    const char *end = line + len, *id = find_text(line, end, "id:");
    const char *slash = id ? memchr(id, '/', (size_t)(end - id)) : NULL, *open = id ? memchr(id, '[', (size_t)(end - id)) : NULL;
    const char *close = end;
    while (open && close > open && *close != ']') close--;
    if (!slash || !open || close <= open) {
        loom_verdict_add(why, LOOM_REASON_NUM_COLUMNS);
        return false;
    }
    loom_buf record = {0};
    loom_buf_str(&record, "00h00m00s000ms ");
    loom_buf_append(&record, id + 3, (size_t)(slash - id - 3));
    loom_buf_char(&record, ' ');
    loom_buf_append(&record, open + 1, (size_t)(close - open - 1));
    const char *text = loom_arena_strdup(&in->arena, record.data, record.len);
    size_t n = record.len;
    in->arena.failed |= loom_buf_failed(&record);
    loom_buf_release(&record);
    if (in->arena.failed) return false;
    return loom_record_read(g, why, text, n, &in->arena);
}

static loom_status next_answer(loom_graphs *in, loom_graph *g, bool *valid, const char *line, size_t len, loom_err *err)
{
    loom_answer answer;
    loom_score_release(&in->score);
    LOOM_TRY(loom_answer_parse(&answer, line, len, in->path, loom_lines_number(in->lines), &in->arena, err));
    LOOM_TRY(loom_answer_score(&in->score, &answer, err));
    in->temperature = answer.temperature;
    in->constrained = answer.constrained;
    *valid = in->score.correct && !in->score.odd;
    if (*valid) *g = in->score.outcome->graph.graph;
    return LOOM_OK;
}

static format sniff(const char *line, size_t len)
{
    const char *end = line + len;
    if (len && *line == '{') return FORMAT_ANSWERS;
    if (find_text(line, end, "traceid") && find_text(line, end, "rpc_id")) return FORMAT_CSV;
    if ((len && *line == '<') || find_text(line, end, "[INVALID TRACE]") || find_text(line, end, "><s>")) return FORMAT_REFERENCE;
    return FORMAT_RECORDS;
}

static bool is_blank(const char *line, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (line[i] != ' ' && line[i] != '\t') return false;
    return true;
}

static void keep_problem(loom_graphs *in, const loom_verdict *why)
{
    if (in->first_problem.len) return;
    loom_buf_printf(&in->first_problem, "line %lld: ", (long long)loom_lines_number(in->lines));
    loom_verdict_render(&in->first_problem, why);
}

static loom_status read_graph(loom_graphs *in, loom_graph *g, bool *valid, bool *more, loom_err *err)
{
    char *line = NULL;
    size_t len = 0;
    loom_verdict why = {0};
    *more = true;
    *valid = false;
    loom_arena_reset(&in->arena);
    if (in->format == FORMAT_CSV) {
        *more = in->csv.next < (int64_t)in->csv.traces.n;
        if (*more) *valid = next_csv(in, g, &why);
    } else {
        do LOOM_TRY(loom_lines_next(in->lines, &line, &len, err));
        while (line && is_blank(line, len));
        *more = line != NULL;
        if (!line) return LOOM_OK;
        if (in->format == FORMAT_UNKNOWN) in->format = sniff(line, len);
        if (in->format == FORMAT_CSV) {
            int columns[COLS];
            if (!find_columns(columns, line, len))
                return loom_fail(err, LOOM_STATUS_FORMAT,
                                 "%s:1: the header lacks one of timestamp, traceid, service, rpc_id, rpctype, um, dm, rt",
                                 in->path);
            LOOM_TRY(read_csv(in, columns, err));
            return read_graph(in, g, valid, more, err);
        }
        if (in->format == FORMAT_ANSWERS) LOOM_TRY(next_answer(in, g, valid, line, len, err));
        else if (in->format == FORMAT_REFERENCE) *valid = next_reference(in, g, &why, line, len);
        else *valid = loom_record_read(g, &why, line, len, &in->arena);
    }
    LOOM_TRY(loom_arena_check(&in->arena, "a graph", err));
    if (!*more) return LOOM_OK;
    in->n_read++;
    if (*valid) return LOOM_OK;
    in->n_rejected++;
    keep_problem(in, &why);
    return LOOM_OK;
}

/* ---- interface ---- */

loom_status loom_graphs_open(loom_graphs **out, const char *path, loom_err *err)
{
    loom_graphs *in = loom_calloc(1, sizeof *in);
    if (!in || !(in->path = loom_strdup(path))) {
        free(in);
        return loom_fail_nomem(err, "a graph reader");
    }
    in->temperature = NAN;
    loom_status st = loom_lines_open(&in->lines, path, err);
    if (st != LOOM_OK) {
        loom_graphs_close(&in);
        return st;
    }
    *out = in;
    return LOOM_OK;
}

loom_status loom_graphs_next(loom_graphs *in, loom_graph *g, bool *more, loom_err *err)
{
    bool valid = false;
    do LOOM_TRY(read_graph(in, g, &valid, more, err));
    while (*more && !valid);
    if (*more) in->n_given++;
    if (*more || in->n_given || (in->format == FORMAT_ANSWERS && in->n_read)) return LOOM_OK;
    if (in->n_read == 0)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s: the file is empty, expected call graphs (records, CSV, answers)",
                         in->path);
    return loom_fail(err, LOOM_STATUS_FORMAT, "%s: none of %lld %s holds a valid call graph (%s)", in->path,
                     (long long)in->n_read, in->format == FORMAT_CSV ? "traces" : "lines",
                     in->first_problem.len ? in->first_problem.data : "all incorrect");
}

loom_status loom_graphs_next_any(loom_graphs *in, loom_graph *g, bool *valid, bool *more, loom_err *err)
{
    return read_graph(in, g, valid, more, err);
}

int64_t loom_graphs_read(const loom_graphs *in) { return in->n_read; }
int64_t loom_graphs_rejected(const loom_graphs *in) { return in->n_rejected; }
double loom_graphs_temperature(const loom_graphs *in) { return in->temperature; }
bool loom_graphs_constrained(const loom_graphs *in) { return in->constrained; }
const char *loom_graphs_format(const loom_graphs *in) { return format_names[in->format]; }

void loom_graphs_close(loom_graphs **in)
{
    if (!*in) return;
    loom_lines_close(&(*in)->lines);
    loom_score_release(&(*in)->score);
    loom_arena_release(&(*in)->arena);
    loom_buf_release(&(*in)->first_problem);
    csv_rows *csv = &(*in)->csv;
    free(csv->rows);
    free(csv->trace);
    free(csv->first);
    free(csv->order);
    loom_intern_release(&csv->traces);
    loom_arena_release(&csv->arena);
    free((*in)->path);
    free(*in);
    *in = NULL;
}

loom_status loom_graph_set_load(loom_graph_set *set, const char *path, int64_t limit, loom_err *err)
{
    loom_graphs *in = NULL;
    loom_graph g;
    bool more = true;
    loom_status st = loom_graphs_open(&in, path, err);
    for (int64_t n = 0; st == LOOM_OK && (limit == 0 || n < limit); n++) {
        if ((st = loom_graphs_next(in, &g, &more, err)) != LOOM_OK || !more) break;
        if ((st = loom_grow(&set->graphs, &set->cap, (size_t)set->n + 1, sizeof *set->graphs, err)) != LOOM_OK) break;
        if (!loom_graph_copy(&set->graphs[set->n++], &g, &set->arena)) st = loom_fail_nomem(err, "graphs");
    }
    if (in) set->n_rejected += in->n_rejected;
    loom_graphs_close(&in);
    return st;
}

void loom_graph_set_release(loom_graph_set *set)
{
    free(set->graphs);
    loom_arena_release(&set->arena);
    *set = (loom_graph_set){0};
}
