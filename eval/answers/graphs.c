#include "eval/answers/graphs.h"

#include <math.h>
#include <string.h>

#include "core/file.h"
#include "core/num.h"
#include "eval/answers/answers.h"
#include "readers/rows/csv_rows.h"
#include "trace/graph/record.h"

typedef enum format { FORMAT_UNKNOWN, FORMAT_RECORDS, FORMAT_REFERENCE, FORMAT_ANSWERS, FORMAT_CSV } format;
static const char *const format_names[] = {"unknown", "records", "reference output", "answers", "CSV"};

struct loom_graphs {
    char *path;
    loom_lines *lines;
    format format;
    loom_arena arena;
    loom_score score; /* owns the graph of an answer */
    double temperature;
    bool constrained;
    loom_csv_rows csv;
    int64_t n_read, n_rejected, n_given;
    loom_buf first_problem;
};

/* ---- CSV ---- */

/* The header and all lines that follow it. */
static loom_status read_csv(loom_graphs *in, char *line, size_t len, loom_err *err)
{
    loom_buf text = {0};
    loom_left_out left = {0};
    loom_status st = LOOM_OK;
    bool known = false;

    while (st == LOOM_OK && line) {
        loom_buf_append(&text, line, len);
        loom_buf_char(&text, '\n');
        st = loom_lines_next(in->lines, &line, &len, err);
    }
    if (st == LOOM_OK) st = loom_buf_check(&text, "a table of calls", err);
    if (st == LOOM_OK) st = loom_csv_rows_add(&in->csv, loom_buf_text(&text), text.len, in->path, &left, &known, err);
    loom_left_release(&left);
    loom_buf_release(&text);
    return st != LOOM_OK || known ? st : LOOM_STATUS_FORMAT; /* *err says what the header lacks */
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
    const char *slash = id ? memchr(id, '/', (size_t)(end - id)) : NULL,
               *open = id ? memchr(id, '[', (size_t)(end - id)) : NULL;
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
    if (find_text(line, end, "traceid") && find_text(line, end, "rpctype")) return FORMAT_CSV;
    if ((len && *line == '<') || find_text(line, end, "[INVALID TRACE]") || find_text(line, end, "><s>"))
        return FORMAT_REFERENCE;
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
        LOOM_TRY(loom_csv_rows_next(&in->csv, g, &why, more, &in->arena, err));
        *valid = *more && why.n == 0;
    } else {
        do LOOM_TRY(loom_lines_next(in->lines, &line, &len, err));
        while (line && is_blank(line, len));
        *more = line != NULL;
        if (!line) return LOOM_OK;
        if (in->format == FORMAT_UNKNOWN) in->format = sniff(line, len);
        if (in->format == FORMAT_CSV) {
            LOOM_TRY(read_csv(in, line, len, err));
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
    loom_csv_rows_release(&(*in)->csv);
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

bool loom_graphs_breaks_times(const loom_graph *g)
{
    for (int32_t i = 0; i < g->n_calls; i++) {
        if (g->calls[i].rt < 0) return true;
        int32_t parent = loom_graph_parent(g, i);
        if (parent >= 0 && g->calls[i].arrived < g->calls[parent].arrived) return true;
    }
    return false;
}
