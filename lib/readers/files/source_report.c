/* What was read, and what was not, in words and as JSON. */
#include "readers/files/graphsource.h"

int64_t loom_source_rejected(const loom_source *s)
{
    int64_t n = 0;
    for (int i = 0; i < LOOM_REASONS; i++) n += s->rejected[i];
    for (int i = 0; i < LOOM_SPANS_FAULTS; i++) n += s->spans.rejected[i];
    return n;
}

static void note(loom_buf *into, int64_t n, const char *what)
{
    if (n) loom_buf_printf(into, "; %lld %s", (long long)n, what);
}

static void note_rejected(const loom_source *s, loom_buf *into)
{
    for (int i = 0; i < LOOM_SPANS_FAULTS; i++) {
        int64_t n = s->spans.rejected[i] + (i < LOOM_REASONS ? s->rejected[i] : 0);
        if (!n) continue;
        loom_buf_printf(into, "; %lld graphs not valid: %s", (long long)n, loom_spans_fault_name(i));
        if (s->spans.rejected_spans[i]) loom_buf_printf(into, " (%lld spans)", (long long)s->spans.rejected_spans[i]);
    }
}

/* Whose spans gave the times: said when both did. */
static void note_times(const loom_span_counts *c, loom_buf *into)
{
    if (c->callee_times && c->caller_times)
        loom_buf_printf(into, "; %lld calls have the callee's times, %lld the caller's", (long long)c->callee_times,
                        (long long)c->caller_times);
}

void loom_source_render_counts(const loom_source *s, loom_buf *into)
{
    const loom_span_counts *c = &s->spans;

    loom_buf_printf(into, "%lld graphs", (long long)s->graphs);
    if (s->seen_records) loom_buf_printf(into, ", %lld records read", (long long)s->records);
    if (s->seen_csv) loom_buf_printf(into, ", %lld rows of %lld traces read", (long long)s->rows, (long long)s->traces);
    if (s->seen_spans)
        loom_buf_printf(into, ", %lld spans of %lld traces read", (long long)c->spans, (long long)c->traces);
    note(into, c->inside, "spans within a service, no calls");
    note(into, c->second_calls, "spans that show two calls");
    loom_left_render(&c->left, into);
    loom_left_render(&s->left, into);
    note_rejected(s, into);
    note(into, s->split_traces, "traces that came back in a later file (give --merge)");
    note(into, c->not_exported, "graphs whose first span's parent was never exported (PARENT_NOT_EXPORTED)");
    note(into, c->links, "links to other spans, no parents");
    note(into, c->unnamed, "spans without a service name, taken as unknown_service");
    note(into, c->untyped, "calls of unknown type, taken as rpc");
    note(into, c->cut, "calls cut where their caller ends");
    note_times(c, into);
}

static void json_rejected(const loom_source *s, loom_jw *w)
{
    loom_jw_key(w, "rejected_by_reason");
    loom_jw_begin_object(w);
    for (int i = 0; i < LOOM_SPANS_FAULTS; i++) {
        int64_t n = s->spans.rejected[i] + (i < LOOM_REASONS ? s->rejected[i] : 0);
        if (n) loom_jw_kv_i64(w, loom_spans_fault_name(i), n);
    }
    loom_jw_end_object(w);
}

static int64_t rejected_spans(const loom_span_counts *c)
{
    int64_t n = 0;
    for (int i = 0; i < LOOM_SPANS_FAULTS; i++) n += c->rejected_spans[i];
    return n;
}

void loom_source_json_counts(const loom_source *s, loom_jw *w)
{
    const loom_span_counts *c = &s->spans;
    loom_left_out left = {0};

    loom_left_join(&left, &c->left);
    loom_left_join(&left, &s->left);
    loom_jw_begin_object(w);
    loom_jw_kv_i64(w, "graphs", s->graphs);
    loom_jw_kv_i64(w, "records", s->records);
    loom_jw_kv_i64(w, "rows", s->rows);
    loom_jw_kv_i64(w, "dropped_rows", left.n[LOOM_LEFT_BAD_ROW]);
    loom_jw_kv_i64(w, "traces", s->traces + c->traces);
    loom_jw_kv_i64(w, "spans", c->spans);
    loom_jw_kv_i64(w, "spans_calls", c->call_spans);
    loom_jw_kv_i64(w, "spans_inside", c->inside);
    loom_jw_kv_i64(w, "spans_left_out", loom_left_spans(&left));
    loom_jw_kv_i64(w, "spans_rejected", rejected_spans(c));
    loom_jw_kv_i64(w, "calls", c->calls);
    loom_jw_kv_i64(w, "second_calls", c->second_calls);
    loom_jw_kv_i64(w, "callee_times", c->callee_times);
    loom_jw_kv_i64(w, "caller_times", c->caller_times);
    loom_jw_kv_i64(w, "orphans", left.n[LOOM_LEFT_ORPHAN]);
    loom_jw_kv_i64(w, "below_orphans", left.n[LOOM_LEFT_BELOW]);
    loom_jw_kv_i64(w, "extra_roots", left.n[LOOM_LEFT_EXTRA_ROOT]);
    loom_jw_kv_i64(w, "repeated_ids", left.n[LOOM_LEFT_REPEATED_ID]);
    loom_jw_kv_i64(w, "bad_times", left.n[LOOM_LEFT_BAD_TIMES]);
    loom_jw_kv_i64(w, "untyped", c->untyped);
    loom_jw_kv_i64(w, "links", c->links);
    loom_jw_kv_i64(w, "unnamed", c->unnamed);
    loom_jw_kv_i64(w, "parent_not_exported", c->not_exported);
    loom_jw_kv_i64(w, "cut", c->cut);
    loom_jw_kv_i64(w, "split_traces", s->split_traces);
    loom_jw_key(w, "left_out");
    loom_left_json(&left, w);
    loom_jw_kv_i64(w, "rejected", loom_source_rejected(s));
    json_rejected(s, w);
    loom_jw_end_object(w);
    loom_left_release(&left);
}
