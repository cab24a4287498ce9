/* The file of the statistics, stats.json: written, and read from outside. */
#include <string.h>

#include "core/file.h"
#include "core/json.h"
#include "trace/graph/stats_impl.h"

static void render_latency(const loom_stats *s, loom_jw *w)
{
    loom_jw_key(w, "latency");
    loom_jw_begin_object(w);
    for (size_t i = 0; i < s->services.n; i++) {
        const loom_stats_entry *e = &s->entries[s->by_name[i]];
        if (!e->has_latency) continue;
        loom_jw_key(w, loom_stats_service(s, (int64_t)i));
        loom_jw_begin_object(w);
        loom_jw_kv_i64(w, "max", e->max);
        loom_jw_kv_i64(w, "p90", e->p90);
        loom_jw_kv_f64(w, "mean", e->mean);
        loom_jw_end_object(w);
    }
    loom_jw_end_object(w);
}

static void render_rare(const loom_stats *s, loom_jw *w)
{
    loom_jw_key(w, "rare");
    loom_jw_begin_object(w);
    for (size_t i = 0; i < s->services.n; i++) {
        const loom_stats_entry *e = &s->entries[s->by_name[i]];
        bool open = false;
        for (int64_t k = 0; k < e->n_triples; k++) {
            const loom_stats_triple *t = &s->ordered[e->first_triple + k];
            if (!t->rare) continue;
            if (!open) {
                loom_jw_key(w, loom_stats_service(s, (int64_t)i));
                loom_jw_begin_array(w);
            }
            open = true;
            loom_jw_begin_array(w);
            loom_jw_str(w, t->source);
            loom_jw_str(w, loom_call_type_name(t->type));
            loom_jw_str(w, t->destination);
            loom_jw_end_array(w);
        }
        if (open) loom_jw_end_array(w);
    }
    loom_jw_end_object(w);
}

static void render_infilling(const loom_stats *s, loom_jw *w)
{
    loom_buf key = {0};
    loom_jw_key(w, "infilling");
    loom_jw_begin_object(w);
    for (size_t i = 0; i < s->services.n; i++) {
        const loom_stats_entry *e = &s->entries[s->by_name[i]];
        const loom_stats_triple *t = s->ordered + e->first_triple;
        for (int64_t k = 0; k < e->n_triples; k++) {
            bool same = k && t[k].type == t[k - 1].type && strcmp(t[k].source, t[k - 1].source) == 0;
            if (!same) {
                if (k) loom_jw_end_object(w);
                loom_buf_reset(&key);
                loom_buf_printf(&key, "%s|%s|%s", loom_stats_service(s, (int64_t)i), t[k].source,
                                loom_call_type_name(t[k].type));
                loom_jw_key(w, key.data);
                loom_jw_begin_object(w);
            }
            loom_jw_kv_i64(w, t[k].destination, t[k].count);
        }
        if (e->n_triples) loom_jw_end_object(w);
    }
    loom_jw_end_object(w);
    loom_buf_release(&key);
}

void loom_stats_render(const loom_stats *s, loom_buf *into)
{
    loom_jw w;
    loom_jw_init(&w, into, true);
    loom_jw_begin_object(&w);
    loom_jw_kv_str(&w, "format", "spanloom-stats-1");
    loom_jw_kv_i64(&w, "graphs_total", s->graphs);
    loom_jw_key(&w, "graphs");
    loom_jw_begin_object(&w);
    for (size_t i = 0; i < s->services.n; i++)
        loom_jw_kv_i64(&w, loom_stats_service(s, (int64_t)i), s->entries[s->by_name[i]].graphs);
    loom_jw_end_object(&w);
    render_latency(s, &w);
    render_rare(s, &w);
    render_infilling(s, &w);
    loom_jw_end_object(&w);
    loom_buf_char(into, '\n');
}

static loom_status bad_stats(const char *name, const char *what, loom_err *err)
{
    return loom_fail(err, LOOM_STATUS_FORMAT, "%s: %s; make it again with loom-preprocess stats", name, what);
}

static loom_status read_graph_counts(loom_stats *s, const loom_json *root, const char *name, loom_err *err)
{
    const loom_json *graphs = loom_json_get(root, "graphs");
    if (!loom_json_is_object(graphs)) return bad_stats(name, "no object \"graphs\"", err);
    for (void *it = loom_json_iter(graphs); it; it = loom_json_iter_next(graphs, it)) {
        int64_t n = loom_json_i64(loom_json_iter_value(it), 0);
        if (n < 1 || n > INT64_MAX - s->graphs)
            return bad_stats(name, "\"graphs\" holds a value that is not a count", err);
        uint32_t id;
        if (!loom_stats_service_id(&id, s, loom_json_iter_key(it))) return loom_fail_nomem(err, "the statistics");
        s->entries[id].graphs = n;
        s->graphs += n;
    }
    return LOOM_OK;
}

static loom_status read_latencies(loom_stats *s, const loom_json *root, const char *name, loom_err *err)
{
    const loom_json *latency = loom_json_get(root, "latency");
    if (!loom_json_is_object(latency)) return bad_stats(name, "no object \"latency\"", err);
    for (void *it = loom_json_iter(latency); it; it = loom_json_iter_next(latency, it)) {
        const loom_json *v = loom_json_iter_value(it);
        const char *service = loom_json_iter_key(it);
        int64_t id = loom_intern_find(&s->services, service, strlen(service));
        if (id < 0) return bad_stats(name, "\"latency\" names a service that \"graphs\" does not", err);
        loom_stats_entry *e = &s->entries[id];
        LOOM_TRY(loom_json_need_i64(v, "max", &e->max, err));
        LOOM_TRY(loom_json_need_i64(v, "p90", &e->p90, err));
        LOOM_TRY(loom_json_need_f64(v, "mean", &e->mean, err));
        e->has_latency = true;
    }
    return LOOM_OK;
}

/* "service|source|type"; the service may not hold a bar (it stood in a record), nor may the others. */
static bool split_key(const char *key, loom_buf *service, loom_buf *source, loom_call_type *type)
{
    const char *first = strchr(key, '|'), *second = first ? strchr(first + 1, '|') : NULL;
    if (!second) return false;
    loom_buf_reset(service);
    loom_buf_reset(source);
    loom_buf_append(service, key, (size_t)(first - key));
    loom_buf_append(source, first + 1, (size_t)(second - first - 1));
    *type = loom_call_type_of(second + 1, strlen(second + 1));
    return *type != LOOM_CALL_TYPES;
}

static loom_status read_infilling(loom_stats *s, const loom_json *root, const char *name, loom_err *err)
{
    loom_status st = LOOM_OK;
    loom_buf service = {0}, source = {0};
    loom_call_type type;
    const loom_json *infilling = loom_json_get(root, "infilling");
    if (!loom_json_is_object(infilling)) return bad_stats(name, "no object \"infilling\"", err);
    for (void *it = loom_json_iter(infilling); it && st == LOOM_OK; it = loom_json_iter_next(infilling, it)) {
        const loom_json *counts = loom_json_iter_value(it);
        if (!loom_json_is_object(counts)) {
            st = bad_stats(name, "\"infilling\" holds a value that is no object of counts", err);
            break;
        }
        if (!split_key(loom_json_iter_key(it), &service, &source, &type) ||
            loom_intern_find(&s->services, loom_buf_text(&service), service.len) < 0) {
            st = bad_stats(name, "\"infilling\" has a key that is not service|source|type", err);
            break;
        }
        for (void *k = loom_json_iter(counts); k; k = loom_json_iter_next(counts, k)) {
            loom_stats_slot key = {.type = (uint32_t)type}, *slot;
            if (loom_buf_failed(&source) || !loom_stats_service_id(&key.service, s, loom_buf_text(&service)) ||
                !loom_stats_name_id(&key.source, s, loom_buf_text(&source)) ||
                !loom_stats_name_id(&key.destination, s, loom_json_iter_key(k)) ||
                !(slot = loom_stats_slot_of(s, &key))) {
                st = loom_fail_nomem(err, "the statistics");
                break;
            }
            int64_t count = loom_json_i64(loom_json_iter_value(k), 0);
            if (count < 1 || count > s->entries[key.service].graphs) {
                st = bad_stats(name, "\"infilling\" holds a value that is not a count of the service's graphs", err);
                break;
            }
            slot->count = count;
        }
    }
    loom_buf_release(&service);
    loom_buf_release(&source);
    return st;
}

loom_status loom_stats_parse(loom_stats **out, const char *text, size_t len, const char *name, loom_err *err)
{
    loom_status st;
    loom_json *root = NULL;
    loom_stats *s = loom_stats_new();
    if (!s) return loom_fail_nomem(err, "the statistics");
    s->loaded = true;
    if ((st = loom_json_parse(&root, text, len, name, err)) != LOOM_OK) goto done;
    const char *format = loom_json_str(loom_json_get(root, "format"), NULL);
    if (!format || strcmp(format, "spanloom-stats-1") != 0) {
        st = bad_stats(name, "not a statistics file (\"format\" is not \"spanloom-stats-1\")", err);
        goto done;
    }
    if ((st = read_graph_counts(s, root, name, err)) != LOOM_OK) goto done;
    if ((st = read_latencies(s, root, name, err)) != LOOM_OK) goto done;
    if ((st = read_infilling(s, root, name, err)) != LOOM_OK) goto done;
    if ((st = loom_stats_finish(s, err)) != LOOM_OK) goto done;
    *out = s;
    s = NULL;
done:
    loom_json_free(root);
    loom_stats_free(s);
    return st;
}

loom_status loom_stats_load(loom_stats **out, const char *path, loom_err *err)
{
    loom_in *in = NULL;
    loom_buf text = {0};
    loom_status st = loom_in_open(&in, path, err);
    if (st == LOOM_OK) st = loom_in_read_all(&text, in, LOOM_BOUND_STATS, path, err);
    loom_in_close(&in);
    if (st == LOOM_OK) st = loom_stats_parse(out, loom_buf_text(&text), text.len, path, err);
    loom_buf_release(&text);
    return st;
}
