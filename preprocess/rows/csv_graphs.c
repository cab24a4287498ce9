#include "preprocess/rows/csv_graphs.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/num.h"
#include "core/usage.h"
#include "preprocess/rows/dropped_rows.h"
#include "preprocess/rows/graph_build.h"

/* A file (with merge: all files) being turned into graphs. */
typedef struct loom_graphs_run {
    loom_row_tables tables;
    loom_row_join join;
    loom_trace_groups groups;
    loom_graphs_counts counts;
} loom_graphs_run;

static void free_run(loom_graphs_run *run)
{
    if (!run) return;
    loom_row_tables_release(&run->tables);
    loom_row_join_release(&run->join);
    loom_trace_groups_release(&run->groups);
    free(run);
}

static loom_status new_run(loom_graphs_run **out, loom_graphs_job *job, loom_err *err)
{
    loom_graphs_run *run = *out = loom_calloc(1, sizeof *run);
    if (!run) return loom_fail_nomem(err, "reading a file");
    return loom_row_tables_init(&run->tables,
                                &(loom_row_tables_conf){.rules = &job->rules,
                                                        .pool = job->pool,
                                                        .service_optional = job->service_from_root,
                                                        .progress = job->progress,
                                                        .progress_arg = job->progress_arg,
                                                        .bytes_before = job->report.total.bytes},
                                err);
}

/* ---- one file ---- */

static loom_status join_rows(loom_graphs_run *run, loom_graphs_job *job, loom_err *err)
{
    loom_row_join_conf conf = {job->rename, job->service_from_root, .keep_trace_maps = job->dropped != NULL};
    LOOM_TRY(loom_row_join_make(&run->join, &run->tables, &conf, err));
    if (!job->odd_name[0]) snprintf(job->odd_name, sizeof job->odd_name, "%s", run->join.odd_name);
    return LOOM_OK;
}

static loom_status group_rows(loom_graphs_run *run, loom_err *err)
{
    size_t n = 0, n_traces = run->join.traces.n;
    loom_segment *segments = loom_row_tables_segments(&run->tables, &n);
    if (!segments) return loom_fail_nomem(err, "the order of a file");
    loom_status st = loom_trace_groups_make(&run->groups, &run->tables.chunks, segments, n, &run->join.traces, err);
    free(segments);
    run->counts.traces = (int64_t)n_traces;
    run->counts.rejected[LOOM_TRACE_NO_ROWS_LEFT] = run->counts.reasons[LOOM_TRACE_NO_ROWS_LEFT] =
        (int64_t)(n_traces - run->groups.n);
    run->counts.table_bytes = run->groups.bytes;
    return st;
}

/* ---- the report of a table ---- */

static const char *trace_at(const loom_graphs_run *run, size_t i)
{
    return loom_texts_at(&run->join.traces, run->groups.order[i].trace);
}

/* A trace that an earlier file had too is counted. */
static loom_status note_trace(loom_graphs_job *job, const char *place, const char *id, size_t len,
                              loom_graphs_counts *counts, loom_err *err)
{
    bool back;

    if (!loom_split_traces_add(&job->ids, id, len, &back)) return loom_fail_nomem(err, "the traces of several files");
    if (!back) return LOOM_OK;
    if (job->ids.n_back == 1) loom_buf_printf(&job->first_split, "%s, trace %.*s", place, (int)len, id);
    counts->split_traces++;
    return loom_buf_check(&job->first_split, "the traces of several files", err);
}

static loom_status send_table(const loom_graphs_run *run, loom_buf *into, loom_err *err)
{
    const char *place = loom_row_tables_place(&run->tables);

    loom_parcel_put_text(into, place, strlen(place) + 1);
    loom_parcel_put(into, &run->counts, sizeof run->counts);
    loom_parcel_put_i64(into, (int64_t)run->groups.n);
    for (size_t i = 0; i < run->groups.n; i++) loom_parcel_put_text(into, trace_at(run, i), strlen(trace_at(run, i)));
    return loom_buf_check(into, "the traces of a file", err);
}

loom_status loom_graphs_table_enter(loom_graphs_job *job, loom_parcel *tables, loom_err *err)
{
    loom_graphs_counts counts;
    size_t len;
    const char *place = loom_parcel_get_text(tables, &len);

    tables->bad |= !len || place[len - 1];
    loom_parcel_get(tables, &counts, sizeof counts);
    for (int64_t n = loom_parcel_get_i64(tables); n > 0 && !tables->bad; n--) {
        const char *id = loom_parcel_get_text(tables, &len);
        LOOM_TRY(note_trace(job, place, id, len, &counts, err));
    }
    if (!tables->bad) loom_graphs_report_file(&job->report, place, 1, &counts);
    return LOOM_OK;
}

/* Traces in the order of the output, so that the first of them is the same for any number of threads. */
static loom_status enter_table(loom_graphs_run *run, loom_graphs_job *job, loom_err *err)
{
    const char *place = loom_row_tables_place(&run->tables);

    if (job->tables_to) return send_table(run, job->tables_to, err);
    for (size_t i = 0; job->several && !job->merge && i < run->groups.n; i++)
        LOOM_TRY(note_trace(job, place, trace_at(run, i), strlen(trace_at(run, i)), &run->counts, err));
    loom_graphs_report_file(&job->report, job->merge ? NULL : place, (int64_t)run->tables.n, &run->counts);
    return LOOM_OK;
}

/* ---- a whole file ---- */

/* Everything after the rows are read. */
static loom_status finish_run(loom_graphs_run *run, loom_graphs_job *job, loom_err *err)
{
    double start = loom_time_now(), joined, grouped;
    const loom_row_tables *t = &run->tables;
    loom_graph_build build = {&t->chunks, &run->join, &run->groups, job->pool, job->out, job->verdicts};
    LOOM_TRY(loom_row_tables_finish(&run->tables, &run->counts, &job->report, err));
    LOOM_TRY(join_rows(run, job, err));
    joined = loom_time_now();
    LOOM_TRY(group_rows(run, err));
    grouped = loom_time_now();
    if (job->dropped) LOOM_TRY(loom_dropped_rows_write(job->dropped, t, &run->join, job->safe_csv, err));
    LOOM_TRY(loom_graph_build_run(&build, &run->counts, err));
    loom_verbose("%s: rows read in %.2f s, tables joined in %.2f s, rows grouped in %.2f s, graphs built in %.2f s",
                 loom_row_tables_place(t), t->seconds, joined - start, grouped - joined, loom_time_now() - grouped);
    if (job->verdicts) LOOM_TRY(loom_graph_build_empty(&build, err));
    return enter_table(run, job, err);
}

static loom_status add_member(loom_graphs_job *job, loom_in *in, const char *path, loom_err *err)
{
    loom_graphs_run *run = NULL;
    loom_status st = LOOM_OK;
    if (job->merge) {
        if (!job->merged) LOOM_TRY(new_run(&job->merged, job, err));
        return loom_row_tables_read(&job->merged->tables, in, path, err);
    }
    if ((st = new_run(&run, job, err)) == LOOM_OK &&
        (st = loom_row_tables_read(&run->tables, in, path, err)) == LOOM_OK)
        st = finish_run(run, job, err);
    free_run(run);
    return st;
}

static loom_status check_member(loom_graphs_job *job, loom_in *in, const char *path, loom_err *err)
{
    loom_graphs_run *run = NULL;
    int64_t rows = 0;
    bool sure = true;
    loom_status st = new_run(&run, job, err);
    if (st == LOOM_OK) st = loom_row_tables_open(&run->tables, in, path, err);
    if (st == LOOM_OK) st = loom_row_tables_estimate(&run->tables, path, &rows, &sure, err);
    free_run(run);
    job->unknown |= !sure && loom_file_size(path) < 0;
    job->estimated |= !sure;
    job->report.most_rows = job->merge ? job->report.most_rows + rows : loom_max_i64(job->report.most_rows, rows);
    return st;
}

/* ---- members ---- */

static bool is_csv_member(const char *name)
{
    size_t n = strlen(name);
    return n == 0 || (n >= 4 && strcmp(name + n - 4, ".csv") == 0);
}

typedef loom_status table_fn(loom_graphs_job *job, loom_in *in, const char *path, loom_err *err);
typedef loom_status other_fn(loom_other_traces *o, loom_in *in, const char *place, loom_err *err);

typedef struct member_fns {
    table_fn *table;
    other_fn *other;
} member_fns;

static loom_status check_other(loom_other_traces *o, loom_in *in, const char *place, loom_err *err)
{
    (void)in, (void)place, (void)err;
    o->source.files++;
    return LOOM_OK;
}

/* *used: it holds traces of some kind. */
static loom_status one_member(loom_graphs_job *job, loom_in *in, const char *path, const member_fns *fns, bool *used,
                              loom_err *err)
{
    const char *member = loom_in_member(in), *head;
    loom_buf place = {0};
    size_t n_head;

    if (member[0] && loom_source_is_beside(member)) return LOOM_OK;
    LOOM_TRY(loom_in_peek(in, &head, &n_head, err));
    loom_text_kind kind = loom_source_kind(head, n_head);
    bool other = kind != LOOM_TEXT_KIND_BLANK && kind != LOOM_TEXT_KIND_ROWS;
    *used |= other || is_csv_member(member);
    if (!other && is_csv_member(member)) {
        if ((job->left_to_lead = job->no_tables)) return loom_fail(err, LOOM_STATUS_FORMAT, "left to rank 0");
        return fns->table(job, in, path, err);
    }
    loom_buf_str(&place, strcmp(path, "-") == 0 ? "standard input" : path);
    if (member[0]) loom_buf_printf(&place, "(%s)", member);
    loom_status st = loom_buf_check(&place, "a file name", err);
    if (st == LOOM_OK && other) st = fns->other(&job->other, in, place.data, err);
    if (st == LOOM_OK && !other) loom_source_left_file(&job->other.source, place.data);
    loom_buf_release(&place);
    return st;
}

static loom_status each_member(loom_graphs_job *job, const char *path, const member_fns *fns, loom_err *err)
{
    loom_in *in = NULL;
    loom_buf first = {0};
    bool more = true, used = false;
    loom_status st = loom_in_open(&in, path, err);
    while (st == LOOM_OK && more) {
        if (!first.len) loom_buf_str(&first, loom_in_member(in));
        job->several |= loom_in_member(in)[0] != 0;
        if ((st = one_member(job, in, path, fns, &used, err)) != LOOM_OK) break;
        st = loom_in_next_member(in, &more, err);
    }
    if (st == LOOM_OK && !used)
        st = loom_fail(
            err, LOOM_STATUS_FORMAT,
            "%s: no member holds traces (first: %s); pack the CallGraph tables themselves (names that end in .csv), or "
            "Jaeger, OTLP or Zipkin JSON; an archive within it is to be unpacked",
            path, loom_buf_text(&first));
    loom_in_close(&in);
    loom_buf_release(&first);
    return st;
}

loom_status loom_graphs_add_file(loom_graphs_job *job, const char *path, loom_err *err)
{
    return each_member(job, path, &(member_fns){add_member, loom_other_traces_add}, err);
}

loom_status loom_graphs_check_file(loom_graphs_job *job, const char *path, loom_err *err)
{
    return each_member(job, path, &(member_fns){check_member, check_other}, err);
}

loom_status loom_graphs_finish(loom_graphs_job *job, loom_err *err)
{
    LOOM_TRY(loom_other_traces_finish(&job->other, err));
    if (!job->merged) return LOOM_OK;
    loom_status st = finish_run(job->merged, job, err);
    free_run(job->merged);
    job->merged = NULL;
    return st;
}

void loom_graphs_job_release(loom_graphs_job *job)
{
    free_run(job->merged);
    loom_graphs_report_release(&job->report);
    loom_other_traces_release(&job->other);
    loom_split_traces_release(&job->ids);
    loom_buf_release(&job->first_split);
}
