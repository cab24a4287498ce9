#include "preprocess/rows/graphs_report.h"

#include <stdlib.h>

#include "core/num.h"
#include "core/utf8.h"

static const char *const extra_faults[] = {"NO_ROWS_LEFT", "TOO_LARGE"};

const char *loom_trace_fault_name(int fault)
{
    return fault < LOOM_REASONS ? loom_reason_name((loom_reason)fault) : extra_faults[fault - LOOM_REASONS];
}

void loom_graphs_counts_add(loom_graphs_counts *into, const loom_graphs_counts *from)
{
    into->bytes += from->bytes;
    into->rows += from->rows;
    into->kept += from->kept;
    into->short_rows += from->short_rows;
    into->blank_lines += from->blank_lines;
    into->other_case += from->other_case;
    into->repeated_ids += from->repeated_ids;
    into->callee_twins += from->callee_twins;
    into->callee_only += from->callee_only;
    into->moved_calls += from->moved_calls;
    into->table_bytes = loom_max_i64(into->table_bytes, from->table_bytes);
    into->traces += from->traces;
    into->split_traces += from->split_traces;
    into->graphs += from->graphs;
    into->edges += from->edges;
    for (int i = 0; i < LOOM_DROPS; i++) into->dropped[i] += from->dropped[i];
    for (int i = 0; i < LOOM_TRACE_FAULTS; i++) {
        into->rejected[i] += from->rejected[i];
        into->reasons[i] += from->reasons[i];
    }
}

loom_status loom_graphs_report_type(loom_graphs_report *r, const char *type, size_t len, int64_t n, loom_err *err)
{
    size_t before = r->unlisted.n;
    int64_t id = loom_intern_add(&r->unlisted, type, len);

    if (id < 0) return loom_fail_nomem(err, "the types of calls");
    LOOM_TRY(loom_grow(&r->unlisted_counts, &r->cap_unlisted, r->unlisted.n, sizeof *r->unlisted_counts, err));
    if (r->unlisted.n > before) r->unlisted_counts[id] = 0;
    r->unlisted_counts[id] += n;
    return LOOM_OK;
}

const char *loom_graphs_report_commonest_type(const loom_graphs_report *r)
{
    size_t best = 0;

    for (size_t i = 1; i < r->unlisted.n; i++)
        if (r->unlisted_counts[i] > r->unlisted_counts[best]) best = i;
    return r->unlisted.n ? loom_intern_text(&r->unlisted, (int64_t)best) : "";
}

loom_status loom_graphs_report_unlisted(loom_graphs_report *r, const loom_row_reader *from, loom_err *err)
{
    for (size_t i = 0; i < from->unlisted.n; i++)
        LOOM_TRY(loom_graphs_report_type(r, loom_intern_text(&from->unlisted, (int64_t)i),
                                         loom_intern_len(&from->unlisted, (int64_t)i), from->unlisted_counts[i], err));
    return LOOM_OK;
}

/* ---- JSON ---- */

static void render_map(loom_jw *w, const char *key, const int64_t *counts, int n, const char *(*name)(int))
{
    loom_jw_key(w, key);
    loom_jw_begin_object(w);
    for (int i = 0; i < n; i++)
        if (counts[i]) loom_jw_kv_i64(w, name(i), counts[i]);
    loom_jw_end_object(w);
}

static const char *drop_name(int drop) { return loom_drop_name((loom_drop)drop); }

static void render_counts(loom_jw *w, const loom_graphs_counts *c, bool with_lines)
{
    int64_t dropped = 0, rejected = 0;
    for (int i = 0; i < LOOM_DROPS; i++) dropped += c->dropped[i];
    for (int i = 0; i < LOOM_TRACE_FAULTS; i++) rejected += c->rejected[i];
    loom_jw_kv_i64(w, "bytes", c->bytes);
    loom_jw_kv_i64(w, "rows", c->rows);
    loom_jw_kv_i64(w, "rows_kept", c->kept);
    loom_jw_kv_i64(w, "rows_dropped", dropped);
    render_map(w, "rows_dropped_by_reason", c->dropped, LOOM_DROPS, drop_name);
    if (with_lines) render_map(w, "first_line_by_reason", c->first_line, LOOM_DROPS, drop_name);
    loom_jw_kv_i64(w, "rows_with_missing_fields", c->short_rows);
    loom_jw_kv_i64(w, "rows_with_type_in_other_case", c->other_case);
    loom_jw_kv_i64(w, "blank_lines", c->blank_lines);
    loom_jw_kv_i64(w, "traces", c->traces);
    loom_jw_kv_i64(w, "split_traces", c->split_traces);
    loom_jw_kv_i64(w, "graphs", c->graphs);
    loom_jw_kv_i64(w, "edges", c->edges);
    loom_jw_kv_i64(w, "repeated_ids_dropped", c->repeated_ids);
    loom_jw_kv_i64(w, "callee_records_dropped", c->callee_twins);
    loom_jw_kv_i64(w, "calls_by_callee_records", c->callee_only);
    loom_jw_kv_i64(w, "calls_moved_to_callers_clock", c->moved_calls);
    loom_jw_kv_i64(w, "graphs_dropped", rejected);
    loom_jw_kv_i64(w, "table_bytes", c->table_bytes);
    render_map(w, "graphs_dropped_by_first_reason", c->rejected, LOOM_TRACE_FAULTS, loom_trace_fault_name);
    render_map(w, "graphs_with_reason", c->reasons, LOOM_TRACE_FAULTS, loom_trace_fault_name);
}

void loom_graphs_report_file(loom_graphs_report *r, const char *place, int64_t n_files, const loom_graphs_counts *c)
{
    loom_jw w;
    if (r->files.len) loom_buf_char(&r->files, ',');
    loom_jw_init(&w, &r->files, false);
    loom_jw_begin_object(&w);
    if (place) loom_jw_kv_str(&w, "file", place);
    else loom_jw_kv_i64(&w, "files_merged", n_files);
    render_counts(&w, c, place != NULL);
    loom_jw_end_object(&w);
    loom_graphs_counts_add(&r->total, c);
    r->most_rows = loom_max_i64(r->most_rows, c->kept);
    r->n_files += n_files;
    r->n_empty_files += c->graphs == 0;
}

void loom_graphs_report_render(const loom_graphs_report *r, int64_t not_sought, const loom_source *others,
                               loom_buf *into)
{
    loom_jw w;
    loom_jw_init(&w, into, false);
    loom_buf_printf(into, "{\"files\":[%s],\"total\":", loom_buf_text(&r->files));
    loom_jw_begin_object(&w);
    loom_jw_kv_i64(&w, "files", r->n_files);
    render_counts(&w, &r->total, false);
    loom_jw_kv_i64(&w, "split_traces_not_sought_among", not_sought);
    loom_jw_end_object(&w);
    loom_buf_str(into, ",\"types_not_listed\":");
    loom_jw_init(&w, into, false);
    loom_jw_begin_object(&w);
    for (size_t i = 0; i < r->unlisted.n; i++)
        if (loom_utf8_valid(loom_intern_text(&r->unlisted, (int64_t)i), loom_intern_len(&r->unlisted, (int64_t)i)))
            loom_jw_kv_i64(&w, loom_intern_text(&r->unlisted, (int64_t)i), r->unlisted_counts[i]);
    loom_jw_end_object(&w);
    if (others->files || others->left.n[LOOM_LEFT_FOREIGN_FILE]) {
        loom_buf_str(into, ",\"no_tables\":");
        loom_jw_init(&w, into, false);
        loom_source_json_counts(others, &w);
    }
    loom_buf_char(into, '}');
}

void loom_graphs_render_verdict(loom_buf *into, const char *trace, const loom_verdict *v, const char *fault,
                                int64_t edges)
{
    loom_jw w;
    loom_jw_init(&w, into, false);
    loom_jw_begin_object(&w);
    loom_jw_kv_str(&w, "trace", trace);
    loom_jw_kv_bool(&w, "accepted", !fault && v->n == 0);
    loom_jw_key(&w, "reasons");
    loom_jw_begin_array(&w);
    if (fault) loom_jw_str(&w, fault);
    for (int32_t i = 0; v && i < v->n && i < LOOM_VERDICT_MAX; i++)
        loom_jw_str(&w, loom_reason_name((loom_reason)v->reasons[i]));
    loom_jw_end_array(&w);
    if (!fault) loom_jw_kv_i64(&w, "unique_edges", edges);
    loom_jw_end_object(&w);
    loom_buf_char(into, '\n');
}

/* ---- for messages ---- */

static void render_reasons(loom_buf *into, const char *what, const int64_t *counts, int n, const char *(*name)(int))
{
    int64_t sum = 0;
    for (int i = 0; i < n; i++) sum += counts[i];
    if (!sum) return;
    loom_buf_printf(into, "%s%lld %s%s dropped:", into->len ? "; " : "", (long long)sum, what, sum == 1 ? "" : "s");
    bool first = true;
    for (int i = 0; i < n; i++) {
        if (!counts[i]) continue;
        loom_buf_printf(into, "%s %s %lld", first ? "" : ",", name(i), (long long)counts[i]);
        first = false;
    }
}

void loom_graphs_render_reasons(const loom_graphs_counts *c, loom_buf *into)
{
    render_reasons(into, "row", c->dropped, LOOM_DROPS, drop_name);
    render_reasons(into, "trace", c->rejected, LOOM_TRACE_FAULTS, loom_trace_fault_name);
}

void loom_graphs_report_release(loom_graphs_report *r)
{
    loom_buf_release(&r->files);
    loom_intern_release(&r->unlisted);
    free(r->unlisted_counts);
    *r = (loom_graphs_report){0};
}
