#include "system/topology_export.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/csv_cell.h"
#include "core/json.h"
#include "core/num.h"
#include "readers/spans/span.h"

/* ---- names ---- */

enum { LABEL = 63 };

static size_t make_label(char text[LABEL + 1], const char *name)
{
    size_t n = 0;
    for (const char *c = name; *c && n < 50; c++) {
        bool upper = *c >= 'A' && *c <= 'Z', plain = (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9');
        char use = upper ? (char)(*c - 'A' + 'a') : plain ? *c : '-';
        if (n == 0 && !(use >= 'a' && use <= 'z')) text[n++] = 's';
        if (n && use == '-' && text[n - 1] == '-') continue;
        text[n++] = use;
    }
    while (n && text[n - 1] == '-') n--;
    if (n == 0) text[n++] = 's';
    text[n] = 0;
    return n;
}

static loom_status make_labels(const char ***out, loom_buf *names, const char *const *from, int32_t n,
                               loom_arena *arena, loom_err *err)
{
    const char **labels = loom_arena_alloc(arena, (size_t)n * sizeof *labels);
    loom_intern used = {0};
    char text[LABEL + 1];
    loom_status st = labels ? LOOM_OK : loom_fail_nomem(err, "the names of services");

    loom_buf_str(names, "label,microservice\n");
    for (int32_t i = 0; st == LOOM_OK && i < n; i++) {
        size_t len = make_label(text, from[i]), before;
        for (int k = 2;; k++) { /* names that come out alike are numbered */
            before = used.n;
            if (loom_intern_add(&used, text, strlen(text)) < 0) st = loom_fail_nomem(err, "the names of services");
            if (st != LOOM_OK || used.n > before) break;
            snprintf(text + len, sizeof text - len, "-%d", k);
        }
        labels[i] = loom_arena_strdup(arena, text, strlen(text));
        loom_buf_printf(names, "%s,", text);
        loom_csv_cell(names, from[i], strlen(from[i]));
        loom_buf_char(names, '\n');
    }
    loom_intern_release(&used);
    *out = labels;
    return st == LOOM_OK ? loom_arena_check(arena, "the names of services", err) : st;
}

/* ---- DOT ---- */

static void dot_text(loom_buf *into, const char *text)
{
    loom_buf_char(into, '"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') loom_buf_char(into, '\\');
        loom_buf_char(into, *text);
    }
    loom_buf_char(into, '"');
}

static void dot_operation(loom_buf *into, const loom_topology *t, int32_t i)
{
    const loom_topology_operation *o = &t->operations[i];
    loom_buf label = {0};
    loom_buf_printf(&label, "%s %s", o->name, loom_call_type_name(o->type));
    if (o->service[0]) loom_buf_printf(&label, " (%s)", o->service);
    loom_buf_printf(into, "  o%d [label=", i);
    dot_text(into, loom_buf_text(&label));
    loom_buf_printf(into, ", tooltip=\"%lld invocations, median %.0f ms\"%s];\n", (long long)o->n,
                    loom_time_counts_quantile(&o->response, .5), o->root ? ", style=bold" : "");
    loom_buf_release(&label);
}

loom_status loom_topology_dot(loom_buf *into, const loom_topology *t, loom_err *err)
{
    static const char *const colours[LOOM_CALL_TYPES] = {"#1f77b4", "#2ca02c", "#b35900", "#d62728", "#9467bd"};
    loom_buf_printf(into, "digraph topology {\n  rankdir=LR; node [shape=box, fontname=\"sans-serif\"]; "
                          "edge [fontname=\"sans-serif\", fontsize=10];\n  user [label=\"USER\", shape=ellipse];\n");
    for (int32_t i = 0; i < t->n_operations; i++) dot_operation(into, t, i);
    for (int32_t i = 0; i < t->n_dependencies; i++) {
        const loom_topology_dependency *d = &t->dependencies[i];
        if (d->caller < 0) loom_buf_str(into, "  user");
        else loom_buf_printf(into, "  o%d", d->caller);
        double per_graph = (double)d->calls / (double)t->graphs;
        loom_buf_printf(
            into, " -> o%d [label=\"%.3g\", penwidth=%.2f, color=\"%s\", tooltip=\"%lld calls, median %.0f ms\"];\n",
            d->callee, loom_topology_share(t, d), 0.5 + 5 * sqrt(per_graph < 4 ? per_graph : 4) / 2,
            colours[t->operations[d->callee].type], (long long)d->calls, loom_time_counts_quantile(&d->response, .5));
    }
    loom_buf_str(into, "}\n");
    return loom_buf_check(into, "the picture of the topology", err);
}

/* ---- what is lost ---- */

static void count_left(loom_export_left *left, const loom_topology *t)
{
    for (int32_t i = 0; i < t->n_operations; i++) {
        int32_t ways = t->operations[i].start.n_next;
        for (int32_t s = 0; s < t->operations[i].n_states; s++) ways += t->operations[i].states[s].n_next - 1;
        left->rules += ways > 1;
    }
}

static bool is_parallel(const loom_merged_call *c) { return c->overlapping > c->sequential; }

/* ---- muBench ---- */

static void mubench_group(loom_jw *w, const loom_merged *m, const char **labels, const loom_merged_call *const *calls,
                          int32_t n)
{
    loom_jw_begin_object(w);
    loom_jw_kv_i64(w, "seq_len", n);
    loom_jw_key(w, "services");
    loom_jw_begin_array(w);
    for (int32_t i = 0; i < n; i++) loom_jw_str(w, labels[calls[i]->callee]);
    loom_jw_end_array(w);
    loom_jw_key(w, "probabilities");
    loom_jw_begin_object(w);
    for (int32_t i = 0; i < n; i++)
        loom_jw_kv_f64(w, labels[calls[i]->callee],
                       (double)calls[i]->with / (double)loom_max_i64(1, m->invocations[calls[i]->caller]));
    loom_jw_end_object(w);
    loom_jw_end_object(w);
}

/* muBench runs the groups beside each other, and seq_len services of a group, drawn where there are more, one after the
 * other (its ServiceCell/ExternalServiceExecutor.py): so what is called in order is one group, what overlaps its
 * sibling has a group of its own. */
static void mubench_groups(loom_jw *w, const loom_merged *m, const char **labels, const loom_merged_call *first,
                           int32_t n, const loom_merged_call **list, loom_export_left *left)
{
    int32_t in_order = 0;
    for (int32_t i = 0; i < n; i++) {
        left->self_calls += first[i].callee == first[i].caller;
        left->repeats += first[i].calls > first[i].with;
        if (first[i].callee != first[i].caller && !is_parallel(&first[i])) list[in_order++] = &first[i];
    }
    loom_jw_key(w, "external_services");
    loom_jw_begin_array(w);
    if (in_order) mubench_group(w, m, labels, list, in_order);
    for (int32_t i = 0; i < n; i++) {
        const loom_merged_call *one = &first[i];
        if (one->callee != one->caller && is_parallel(one)) mubench_group(w, m, labels, &one, 1);
    }
    loom_jw_end_array(w);
}

static void mubench_stress(loom_jw *w, double sleep)
{
    loom_jw_key(w, "loader");
    loom_jw_begin_object(w);
    loom_jw_key(w, "cpu_stress");
    loom_jw_begin_object(w);
    loom_jw_kv_bool(w, "run", false);
    loom_jw_key(w, "range_complexity");
    loom_jw_begin_array(w);
    loom_jw_i64(w, 100);
    loom_jw_i64(w, 100);
    loom_jw_end_array(w);
    loom_jw_kv_i64(w, "thread_pool_size", 1);
    loom_jw_kv_i64(w, "trials", 1);
    loom_jw_end_object(w);
    loom_jw_key(w, "memory_stress");
    loom_jw_begin_object(w);
    loom_jw_kv_bool(w, "run", false);
    loom_jw_kv_i64(w, "memory_size", 10000);
    loom_jw_kv_i64(w, "memory_io", 1000);
    loom_jw_end_object(w);
    loom_jw_key(w, "disk_stress");
    loom_jw_begin_object(w);
    loom_jw_kv_bool(w, "run", false);
    loom_jw_kv_str(w, "tmp_file_name", "mubtestfile.txt");
    loom_jw_kv_i64(w, "disk_write_block_count", 1000);
    loom_jw_kv_i64(w, "disk_write_block_size", 1024);
    loom_jw_end_object(w);
    loom_jw_key(w, "sleep_stress");
    loom_jw_begin_object(w);
    loom_jw_kv_bool(w, "run", true);
    loom_jw_kv_f64(w, "sleep_time", sleep);
    loom_jw_end_object(w);
    loom_jw_kv_i64(w, "mean_bandwidth", 1);
    loom_jw_kv_str(w, "function_id", "f0");
    loom_jw_end_object(w);
}

static double median_seconds(const loom_time_counts *t)
{
    return t->total ? loom_time_counts_quantile(t, .5) / 1000 : 0;
}

loom_status loom_topology_mubench(loom_buf *into, loom_buf *names, const loom_topology *t, loom_export_left *left,
                                  loom_err *err)
{
    loom_merged m;
    const char **labels;
    loom_jw jw, *w = &jw;

    LOOM_TRY(loom_topology_merge(&m, t, err));
    loom_status st = make_labels(&labels, names, m.names, m.n, &m.arena, err);
    const loom_merged_call **list = loom_arena_alloc(&m.arena, (size_t)m.n_calls * sizeof *list);
    if (st == LOOM_OK && !list) st = loom_fail_nomem(err, "the calls of a service");
    count_left(left, t);
    loom_jw_init(w, into, true);
    loom_jw_begin_object(w);
    for (int32_t s = 0, at = 0; st == LOOM_OK && s < m.n; s++) {
        int32_t n = 0;
        while (at + n < m.n_calls && m.calls[at + n].caller == s) n++;
        loom_jw_key(w, labels[s]);
        loom_jw_begin_object(w);
        mubench_groups(w, &m, labels, m.calls + at, n, list, left);
        loom_jw_key(w, "internal_service");
        loom_jw_begin_object(w);
        mubench_stress(w, median_seconds(&m.own[s]));
        loom_jw_end_object(w);
        loom_jw_kv_str(w, "request_method", "rest");
        loom_jw_kv_i64(w, "workers", 4);
        loom_jw_kv_i64(w, "threads", 16);
        loom_jw_end_object(w);
        at += n;
    }
    loom_jw_end_object(w);
    loom_buf_char(into, '\n');
    loom_merged_release(&m);
    return st == LOOM_OK ? loom_buf_check(into, "the work model", err) : st;
}

/* ---- HydraGen ---- */

static void hydragen_endpoint_name(loom_buf *into, const loom_topology *t, int32_t op)
{
    char label[LABEL + 1];
    const loom_topology_operation *o = &t->operations[op];
    loom_buf_reset(into);
    loom_buf_str(into, loom_call_type_name(o->type));
    if (!o->service[0]) return;
    make_label(label, o->service);
    loom_buf_printf(into, "%s-%s", o->root ? "-root" : "", label);
}

static void hydragen_endpoint(loom_jw *w, const loom_topology *t, const loom_merged *m, const char **labels, int32_t op,
                              loom_buf *scratch, loom_export_left *left)
{
    const loom_topology_operation *o = &t->operations[op];
    int64_t overlapping = 0, sequential = 0;
    for (int32_t k = o->first; k < o->first + o->n_calls; k++) {
        overlapping += t->dependencies[k].overlapping;
        sequential += t->dependencies[k].sequential;
    }
    hydragen_endpoint_name(scratch, t, op);
    loom_jw_begin_object(w);
    loom_jw_kv_str(w, "name", loom_buf_text(scratch));
    loom_jw_kv_str(w, "protocol", "http");
    loom_jw_kv_str(w, "execution_mode", overlapping > sequential ? "parallel" : "sequential");
    loom_jw_key(w, "cpu_complexity");
    loom_jw_begin_object(w);
    loom_jw_kv_f64(w, "execution_time", median_seconds(&o->own));
    loom_jw_end_object(w);
    loom_jw_key(w, "network_complexity");
    loom_jw_begin_object(w);
    loom_jw_kv_str(w, "forward_requests", "synchronous");
    loom_jw_kv_i64(w, "response_payload_size", 512);
    loom_jw_key(w, "called_services");
    loom_jw_begin_array(w);
    for (int32_t k = o->first; k < o->first + o->n_calls; k++) {
        const loom_topology_dependency *d = &t->dependencies[k];
        int64_t ratio = llround((double)d->calls / (double)loom_max_i64(1, o->n));
        left->rare += ratio == 0;
        left->self_calls += d->callee == op;
        if (ratio == 0 || d->callee == op) continue;
        hydragen_endpoint_name(scratch, t, d->callee);
        loom_jw_begin_object(w);
        loom_jw_kv_str(w, "service", labels[m->of[d->callee]]);
        loom_jw_kv_str(w, "port", "80");
        loom_jw_kv_str(w, "endpoint", loom_buf_text(scratch));
        loom_jw_kv_str(w, "protocol", "http");
        loom_jw_kv_i64(w, "traffic_forward_ratio", ratio);
        loom_jw_kv_i64(w, "request_payload_size", 256);
        loom_jw_end_object(w);
    }
    loom_jw_end_array(w);
    loom_jw_end_object(w);
    loom_jw_end_object(w);
}

static void hydragen_deployment(loom_jw *w)
{
    static const char *const kinds[] = {"limits", "requests"}, *const cpu[] = {"1000m", "100m"},
                             *const memory[] = {"512M", "64M"};
    loom_jw_key(w, "clusters");
    loom_jw_begin_array(w);
    loom_jw_begin_object(w);
    loom_jw_kv_str(w, "cluster", "cluster-1");
    loom_jw_kv_i64(w, "replicas", 1);
    loom_jw_kv_str(w, "namespace", "default");
    loom_jw_end_object(w);
    loom_jw_end_array(w);
    loom_jw_key(w, "resources");
    loom_jw_begin_object(w);
    for (int k = 0; k < 2; k++) {
        loom_jw_key(w, kinds[k]);
        loom_jw_begin_object(w);
        loom_jw_kv_str(w, "memory", memory[k]);
        loom_jw_kv_str(w, "cpu", cpu[k]);
        loom_jw_end_object(w);
    }
    loom_jw_end_object(w);
    loom_jw_kv_i64(w, "processes", 0);
    loom_jw_kv_i64(w, "threads", 1);
    loom_jw_kv_i64(w, "readiness_probe", 2);
}

loom_status loom_topology_hydragen(loom_buf *into, loom_buf *names, const loom_topology *t, loom_export_left *left,
                                   loom_err *err)
{
    loom_merged m;
    const char **labels;
    loom_jw jw, *w = &jw;
    loom_buf scratch = {0};

    LOOM_TRY(loom_topology_merge(&m, t, err));
    loom_status st = make_labels(&labels, names, m.names, m.n, &m.arena, err);
    count_left(left, t);
    loom_jw_init(w, into, true);
    loom_jw_begin_object(w);
    loom_jw_key(w, "services");
    loom_jw_begin_array(w);
    for (int32_t s = 0; st == LOOM_OK && s < m.n; s++) {
        loom_jw_begin_object(w);
        loom_jw_kv_str(w, "name", labels[s]);
        hydragen_deployment(w);
        loom_jw_key(w, "endpoints");
        loom_jw_begin_array(w);
        for (int32_t op = 0; op < t->n_operations; op++)
            if (m.of[op] == s) hydragen_endpoint(w, t, &m, labels, op, &scratch, left);
        loom_jw_end_array(w);
        loom_jw_end_object(w);
    }
    loom_jw_end_array(w);
    loom_jw_end_object(w);
    loom_buf_char(into, '\n');
    loom_buf_release(&scratch);
    loom_merged_release(&m);
    return st == LOOM_OK ? loom_buf_check(into, "the application", err) : st;
}

/* ---- lading ---- */

static void yaml_text(loom_buf *into, const char *text)
{
    loom_jw w; /* a JSON string is a YAML string in double quotes */
    loom_jw_init(&w, into, false);
    loom_jw_str(&w, text);
}

static void lading_edge(loom_buf *into, const loom_topology *t, const loom_topology_dependency *d)
{
    const loom_topology_operation *callee = &t->operations[d->callee],
                                  *caller = d->caller < 0 ? NULL : &t->operations[d->caller];
    loom_buf_str(into, "  - caller: ");
    yaml_text(into, caller ? caller->name : "USER");
    loom_buf_str(into, "\n    caller_operation: ");
    yaml_text(into, caller ? loom_call_type_name(callee->type) : callee->service);
    loom_buf_str(into, "\n    callee: ");
    yaml_text(into, callee->name);
    loom_buf_str(into, "\n    callee_operation: ");
    yaml_text(into, loom_call_type_name(callee->type));
    loom_buf_printf(
        into, "\n    caller_span_kind: %d\n    callee_span_kind: %d\n    weight: %lld\n    max_repeat: %lld\n",
        callee->type == LOOM_CALL_MQ ? LOOM_SPAN_PRODUCER : LOOM_SPAN_CLIENT, loom_span_kind_of_call(callee->type),
        (long long)loom_min_i64(UINT32_MAX / 4096, loom_max_i64(1, d->with)),
        (long long)loom_max_i64(1, llround(2 * (double)d->calls / (double)loom_max_i64(1, d->with) - 1)));
}

loom_status loom_topology_lading(loom_buf *into, const loom_topology *t, loom_export_left *left, loom_err *err)
{
    loom_merged m;
    int64_t calls = 0, callers = 0;

    LOOM_TRY(loom_topology_merge(&m, t, err));
    count_left(left, t);
    loom_buf_str(into, "services:\n  - name: \"USER\"\n");
    for (int32_t s = 0; s < m.n; s++) {
        loom_buf_str(into, "  - name: ");
        yaml_text(into, m.names[s]);
        loom_buf_char(into, '\n');
    }
    loom_buf_str(into, "edges:\n");
    for (int32_t i = 0; i < t->n_dependencies; i++) lading_edge(into, t, &t->dependencies[i]);
    for (int32_t i = 0; i < t->n_operations; i++) {
        if (t->operations[i].n_calls == 0) continue;
        callers += t->operations[i].n;
        for (int32_t k = t->operations[i].first; k < t->operations[i].first + t->operations[i].n_calls; k++)
            calls += t->dependencies[k].with;
    }
    int64_t mean = callers ? llround((double)calls / (double)callers) : 1; /* 1 .. fanout are equally likely there */
    loom_buf_printf(into, "error_rate: 0.0\nmax_fanout: %lld\n",
                    (long long)loom_min_i64(255, loom_max_i64(1, 2 * mean - 1)));
    loom_merged_release(&m);
    return loom_buf_check(into, "the lading configuration", err);
}
