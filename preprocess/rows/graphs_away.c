#include "preprocess/rows/graphs_away.h"

#include <stdlib.h>

#include "core/parcel.h"

enum { HERE, FOR_RANK_0 };

/* ---- there ---- */

/* The outputs that the job has, in memory. */
typedef struct away_outputs {
    loom_buf graphs, dropped, verdicts, tables, ends, traces;
} away_outputs;

static void release(away_outputs *made)
{
    loom_buf_release(&made->graphs);
    loom_buf_release(&made->dropped);
    loom_buf_release(&made->verdicts);
    loom_buf_release(&made->tables);
    loom_buf_release(&made->ends);
    loom_buf_release(&made->traces);
}

static loom_status open_outputs(loom_graphs_job *j, const loom_graphs_job *like, away_outputs *to, loom_err *err)
{
    LOOM_TRY(loom_out_to_buf(&j->out, &to->graphs, err));
    if (like->list_dropped) LOOM_TRY(loom_out_to_buf(&j->dropped, &to->dropped, err));
    return like->list_verdicts ? loom_out_to_buf(&j->verdicts, &to->verdicts, err) : LOOM_OK;
}

static void put_buf(loom_buf *into, const loom_buf *b) { loom_parcel_put_text(into, loom_buf_text(b), b->len); }

static void pack(loom_buf *into, const loom_graphs_job *j, const away_outputs *made)
{
    const loom_intern *types = &j->report.unlisted;

    loom_parcel_put_i64(into, HERE);
    put_buf(into, &made->graphs);
    put_buf(into, &made->dropped);
    put_buf(into, &made->verdicts);
    put_buf(into, &made->tables);
    loom_other_traces_pack(&j->other, into);
    loom_parcel_put(into, j->odd_name, sizeof j->odd_name);
    loom_parcel_put_i64(into, (int64_t)types->n);
    for (size_t i = 0; i < types->n; i++) {
        loom_parcel_put_text(into, loom_intern_text(types, (int64_t)i), loom_intern_len(types, (int64_t)i));
        loom_parcel_put_i64(into, j->report.unlisted_counts[i]);
    }
}

loom_status loom_graphs_away_make(loom_buf *into, const loom_graphs_job *job, const char *path, loom_err *err)
{
    away_outputs made = {0};
    loom_graphs_job j = {
        .rules = job->rules,
        .service_from_root = job->service_from_root,
        .several = true,
        .pool = job->pool,
        .safe_csv = job->safe_csv,
        .no_tables = job->rename != NULL,
        .tables_to = &made.tables,
        .other = {.ends_to = &made.ends,
                  .source = {.cut_outliving = job->other.source.cut_outliving, .traces_to = &made.traces}}};
    loom_status st = open_outputs(&j, job, &made, err);

    j.other.out = j.out;
    if (st == LOOM_OK) st = loom_graphs_add_file(&j, path, err);
    if (st == LOOM_OK && !j.left_to_lead) pack(into, &j, &made);
    if (j.left_to_lead) {
        st = LOOM_OK;
        loom_parcel_put_i64(into, FOR_RANK_0);
    }
    loom_out_abandon(&j.out);
    loom_out_abandon(&j.dropped);
    loom_out_abandon(&j.verdicts);
    loom_graphs_job_release(&j);
    release(&made);
    return st;
}

/* ---- here ---- */

static loom_status write_part(loom_out *out, loom_parcel *p, loom_err *err)
{
    size_t len;
    const char *text = loom_parcel_get_text(p, &len);

    return out ? loom_out_write(out, text, len, err) : LOOM_OK;
}

static loom_status take_tables(loom_graphs_job *job, loom_parcel *p, loom_err *err)
{
    size_t len;
    const char *text = loom_parcel_get_text(p, &len);
    loom_parcel tables = {text, text + len, false};

    while (tables.at < tables.end && !tables.bad) LOOM_TRY(loom_graphs_table_enter(job, &tables, err));
    p->bad |= tables.bad;
    return LOOM_OK;
}

loom_status loom_graphs_away_take(loom_graphs_job *job, const loom_buf *from, const char *path, loom_err *err)
{
    loom_parcel p = loom_parcel_of(from);
    char odd_name[sizeof job->odd_name];
    size_t len, n_graphs;

    if (loom_parcel_get_i64(&p) == FOR_RANK_0) return loom_graphs_add_file(job, path, err);
    const char *graphs = loom_parcel_get_text(&p, &n_graphs);
    LOOM_TRY(write_part(job->dropped, &p, err));
    LOOM_TRY(write_part(job->verdicts, &p, err));
    LOOM_TRY(take_tables(job, &p, err));
    LOOM_TRY(loom_other_traces_enter(&job->other, graphs, n_graphs, &p, err));
    loom_parcel_get(&p, odd_name, sizeof odd_name);
    if (!job->odd_name[0]) memcpy(job->odd_name, odd_name, sizeof odd_name);
    for (int64_t n = loom_parcel_get_i64(&p); n > 0 && !p.bad; n--) {
        const char *type = loom_parcel_get_text(&p, &len);

        LOOM_TRY(loom_graphs_report_type(&job->report, type, len, loom_parcel_get_i64(&p), err));
    }
    return loom_parcel_end(&p, err);
}
