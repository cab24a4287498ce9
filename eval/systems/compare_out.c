#include "eval/systems/compare_out.h"

#include <math.h>
#include <string.h>

#include "core/json.h"

/* ---- names ---- */

static void operation_name(loom_buf *into, const loom_contrast *c, int32_t op)
{
    if (op < 0) {
        loom_buf_str(into, "USER");
        return;
    }
    const char *service = loom_operation_service(&c->ops, op);
    loom_buf_printf(into, "%s %s", loom_operation_name(&c->ops, op),
                    loom_call_type_name(loom_operation_type(&c->ops, op)));
    if (service[0]) loom_buf_printf(into, " (%s)", service);
}

void loom_change_name(loom_buf *into, const loom_contrast *c, const loom_change *x)
{
    if (x->kind == LOOM_CHANGE_SERVICE) {
        loom_buf_str(into, loom_operation_service(&c->ops, x->service));
        return;
    }
    if (x->kind == LOOM_CHANGE_DEPENDENCY) operation_name(into, c, x->caller);
    if (x->kind == LOOM_CHANGE_PATH && x->path >= 0) loom_change_name(into, c, &c->changes[x->path]);
    if (x->kind == LOOM_CHANGE_DEPENDENCY || (x->kind == LOOM_CHANGE_PATH && x->path >= 0)) loom_buf_str(into, " -> ");
    operation_name(into, c, x->callee);
}

/* ---- JSON ---- */

static void json_operation(loom_jw *w, const char *key, const loom_contrast *c, int32_t op)
{
    if (op < 0) return;
    loom_jw_key(w, key);
    loom_jw_begin_object(w);
    loom_jw_kv_str(w, "microservice", loom_operation_name(&c->ops, op));
    loom_jw_kv_str(w, "type", loom_call_type_name(loom_operation_type(&c->ops, op)));
    loom_jw_kv_str(w, "service", loom_operation_service(&c->ops, op));
    loom_jw_end_object(w);
}

static void json_pair(loom_jw *w, const char *key, const int64_t v[2])
{
    loom_jw_key(w, key);
    loom_jw_begin_array(w);
    loom_jw_i64(w, v[0]);
    loom_jw_i64(w, v[1]);
    loom_jw_end_array(w);
}

static void json_test(loom_jw *w, const loom_tested *t, loom_test which)
{
    loom_jw_key(w, loom_test_names[which]);
    loom_jw_begin_object(w);
    loom_jw_kv_f64(w, "p", t->p);
    loom_jw_kv_f64(w, "q", t->q);
    loom_jw_kv_f64(w, "before", t->before);
    loom_jw_kv_f64(w, "after", t->after);
    if (isnan(t->superiority)) {
        loom_jw_kv_f64(w, "log_ratio", t->ratio.value);
        loom_jw_kv_f64(w, "lo", t->ratio.lo);
        loom_jw_kv_f64(w, "hi", t->ratio.hi);
    } else loom_jw_kv_f64(w, "superiority", t->superiority);
    loom_jw_end_object(w);
}

static void json_change(loom_jw *w, const loom_contrast *c, const loom_change *x, loom_buf *name)
{
    loom_buf_reset(name);
    loom_change_name(name, c, x);
    loom_jw_begin_object(w);
    loom_jw_kv_str(w, "kind", loom_change_kind_names[x->kind]);
    loom_jw_kv_str(w, "name", loom_buf_text(name));
    json_operation(w, "caller", c, x->caller);
    json_operation(w, "callee", c, x->callee);
    json_pair(w, "calls", x->calls);
    json_pair(w, "graphs", x->graphs);
    loom_jw_kv_bool(w, "explained", x->explained);
    for (int t = 0; t < LOOM_TESTS; t++)
        if (!isnan(x->tests[t].p)) json_test(w, &x->tests[t], (loom_test)t);
    loom_jw_end_object(w);
    loom_buf_char(w->buf, '\n');
}

static void json_place(loom_jw *w, const loom_contrast *c, int64_t i, loom_buf *name)
{
    const loom_place *p = &c->places[i];
    const loom_change *x = &c->changes[p->change];
    loom_buf_reset(name);
    loom_change_name(name, c, x);
    loom_jw_begin_object(w);
    loom_jw_kv_i64(w, "rank", i + 1);
    loom_jw_kv_str(w, "kind", loom_change_kind_names[x->kind]);
    loom_jw_kv_str(w, "name", loom_buf_text(name));
    json_operation(w, "caller", c, x->caller);
    json_operation(w, "callee", c, x->callee);
    loom_jw_kv_str(w, "what", p->what);
    loom_jw_kv_f64(w, "affected", p->affected);
    loom_jw_kv_bool(w, "mixed", p->mixed);
    loom_jw_kv_str(w, "test", loom_test_names[p->test]);
    loom_jw_kv_f64(w, "q", x->tests[p->test].q);
    loom_jw_end_object(w);
    loom_buf_char(w->buf, '\n');
}

void loom_contrast_json(loom_buf *into, const loom_contrast *c, const loom_contrast_conf *conf)
{
    loom_jw w;
    loom_buf name = {0};
    loom_jw_init(&w, into, false);
    loom_jw_begin_object(&w);
    loom_jw_kv_str(&w, "format", "spanloom-comparison-1");
    json_pair(&w, "graphs", c->graphs);
    loom_jw_kv_f64(&w, "fdr", conf->fdr);
    loom_jw_kv_i64(&w, "tests", c->n_tests);
    loom_jw_kv_i64(&w, "found", c->n_found);
    loom_jw_key(&w, "places");
    loom_jw_begin_array(&w);
    for (int64_t i = 0; i < c->n_places; i++) json_place(&w, c, i, &name);
    loom_jw_end_array(&w);
    loom_jw_key(&w, "changes");
    loom_jw_begin_array(&w);
    for (int64_t i = 0; i < c->n_changes; i++)
        if (c->changes[i].found) json_change(&w, c, &c->changes[i], &name);
    loom_jw_end_array(&w);
    loom_jw_end_object(&w);
    loom_buf_char(into, '\n');
    loom_buf_release(&name);
}

/* ---- tables ---- */

void loom_contrast_places_table(loom_csv_table *t, const loom_contrast *c)
{
    loom_buf name = {0};
    loom_csv_table_init(t, "rank,kind,name,what,affected,test,before,after,q");
    for (int64_t i = 0; i < c->n_places; i++) {
        const loom_place *p = &c->places[i];
        const loom_change *x = &c->changes[p->change];
        loom_buf_reset(&name);
        loom_change_name(&name, c, x);
        loom_csv_table_i64(t, i + 1);
        loom_csv_table_str(t, loom_change_kind_names[x->kind]);
        loom_csv_table_str(t, loom_buf_text(&name));
        loom_csv_table_str(t, p->what);
        loom_csv_table_f64(t, p->affected);
        loom_csv_table_str(t, loom_test_names[p->test]);
        loom_csv_table_f64(t, x->tests[p->test].before);
        loom_csv_table_f64(t, x->tests[p->test].after);
        loom_csv_table_f64(t, x->tests[p->test].q);
        loom_csv_table_end_row(t);
    }
    loom_buf_release(&name);
}

void loom_contrast_changes_table(loom_csv_table *t, const loom_contrast *c)
{
    loom_buf name = {0};
    loom_csv_table_init(
        t,
        "kind,name,calls_before,calls_after,graphs_before,graphs_after,test,before,after,log_ratio,lo,hi,superiority,p,q,found,explained");
    for (int64_t i = 0; i < c->n_changes * LOOM_TESTS; i++) {
        const loom_change *x = &c->changes[i / LOOM_TESTS];
        const loom_tested *one = &x->tests[i % LOOM_TESTS];
        if (isnan(one->p)) continue;
        bool ranks = !isnan(one->superiority);
        loom_buf_reset(&name);
        loom_change_name(&name, c, x);
        loom_csv_table_str(t, loom_change_kind_names[x->kind]);
        loom_csv_table_str(t, loom_buf_text(&name));
        for (int s = 0; s < 2; s++) loom_csv_table_i64(t, x->calls[s]);
        for (int s = 0; s < 2; s++) loom_csv_table_i64(t, x->graphs[s]);
        loom_csv_table_str(t, loom_test_names[i % LOOM_TESTS]);
        loom_csv_table_f64(t, one->before);
        loom_csv_table_f64(t, one->after);
        loom_csv_table_f64(t, ranks ? NAN : one->ratio.value);
        loom_csv_table_f64(t, ranks ? NAN : one->ratio.lo);
        loom_csv_table_f64(t, ranks ? NAN : one->ratio.hi);
        loom_csv_table_f64(t, one->superiority);
        loom_csv_table_f64(t, one->p);
        loom_csv_table_f64(t, one->q);
        loom_csv_table_i64(t, one->found);
        loom_csv_table_i64(t, one->found && x->explained);
        loom_csv_table_end_row(t);
    }
    loom_buf_release(&name);
}

/* ---- terminal ---- */

static void value_text(loom_buf *into, loom_test test, double v)
{
    loom_test_unit unit = loom_test_unit_of(test);
    if (isnan(v)) loom_buf_char(into, '-');
    else if (unit == LOOM_TEST_SHARE) loom_buf_printf(into, "%.1f %%", 100 * v);
    else loom_buf_printf(into, unit == LOOM_TEST_MS ? "%.0f ms" : "%.2f calls", v);
}

void loom_contrast_text(loom_buf *into, const loom_contrast *c, int64_t most)
{
    loom_buf name = {0}, value = {0};
    if (c->n_places)
        loom_buf_printf(into, "%4s %-14s %10s %10s %9s  %s\n", "rank", "what", "before", "after", "affected", "where");
    for (int64_t i = 0; i < c->n_places && i < most; i++) {
        const loom_place *p = &c->places[i];
        const loom_tested *t = &c->changes[p->change].tests[p->test];
        loom_buf_reset(&name);
        loom_change_name(&name, c, &c->changes[p->change]);
        loom_buf_printf(into, "%4lld %-14s ", (long long)i + 1, p->what);
        for (int s = 0; s < 2; s++) {
            loom_buf_reset(&value);
            value_text(&value, p->test, s ? t->after : t->before);
            loom_buf_printf(into, "%10s ", loom_buf_text(&value));
        }
        loom_buf_printf(into, "%9.0f  %s\n", p->affected, loom_buf_text(&name));
    }
    if (c->n_places > most) loom_buf_printf(into, "and %lld more: places.csv\n", (long long)(c->n_places - most));
    loom_buf_release(&name);
    loom_buf_release(&value);
}
