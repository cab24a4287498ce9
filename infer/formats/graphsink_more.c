/* Zipkin v2, Chrome trace events, GraphML, and a flat table of calls. */
#include <string.h>

#include "core/csv_cell.h"
#include "core/escape.h"
#include "core/hash.h"
#include "core/json.h"
#include "core/num.h"
#include "infer/formats/graphsink_impl.h"

void loom_sink_table_head(loom_sink *k)
{
    switch (k->conf.format) {
    case LOOM_FORMAT_ZIPKIN: loom_buf_str(&k->text, "[\n"); break;
    case LOOM_FORMAT_CHROME: loom_buf_str(&k->text, "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n"); break;
    case LOOM_FORMAT_FLAT:
        loom_buf_str(
            &k->text,
            "graph:int,service:str,time_of_day_ms:int,edge:str,parent:str,depth:int,type:str,source:str,destination:str,"
            "start_ms:int,response_ms:int\n");
        break;
    case LOOM_FORMAT_GRAPHML:
        loom_buf_str(
            &k->text,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<graphml xmlns=\"http://graphml.graphdrawing.org/xmlns\">\n"
            "  <key id=\"service\" for=\"graph\" attr.name=\"service\" attr.type=\"string\"/>\n"
            "  <key id=\"name\" for=\"node\" attr.name=\"name\" attr.type=\"string\"/>\n"
            "  <key id=\"edge\" for=\"edge\" attr.name=\"edge\" attr.type=\"string\"/>\n"
            "  <key id=\"type\" for=\"edge\" attr.name=\"type\" attr.type=\"string\"/>\n"
            "  <key id=\"start\" for=\"edge\" attr.name=\"start_ms\" attr.type=\"long\"/>\n"
            "  <key id=\"response\" for=\"edge\" attr.name=\"response_ms\" attr.type=\"long\"/>\n");
        break;
    default: break;
    }
}

void loom_sink_table_tail(loom_sink *k)
{
    if (k->conf.format == LOOM_FORMAT_ZIPKIN) loom_buf_str(&k->text, "\n]\n");
    if (k->conf.format == LOOM_FORMAT_CHROME) loom_buf_str(&k->text, "\n]}\n");
    if (k->conf.format == LOOM_FORMAT_GRAPHML) loom_buf_str(&k->text, "</graphml>\n");
}

/* ---- spans ---- */

static void attributes(loom_jw *w, const loom_sink *k, const loom_graph *g, const loom_call *c, bool late,
                       loom_buf *scratch)
{
    loom_sink_attribute a[LOOM_SINK_ATTRIBUTES];
    char digits[24];
    int n = loom_sink_call_attributes(a, k, g, c, late, scratch);
    loom_jw_begin_object(w);
    for (int t = 0; t < n; t++) { /* tags of Zipkin are texts */
        snprintf(digits, sizeof digits, "%lld", (long long)a[t].number);
        loom_jw_kv_str(w, a[t].key, a[t].text ? a[t].text : a[t].is_flag ? "true" : digits);
    }
    loom_jw_end_object(w);
}

static void endpoint(loom_jw *w, const char *key, const char *service)
{
    loom_jw_key(w, key);
    loom_jw_begin_object(w);
    loom_jw_kv_str(w, "serviceName", service);
    loom_jw_end_object(w);
}

/* Zipkin knows four kinds in capitals; a duration of 0 is written all the same, so that it is told from none. */
static void zipkin_span(loom_jw *w, const loom_sink *k, const loom_graph *g, int32_t i, const loom_span_ids *ids,
                        bool late, loom_buf *scratch)
{
    const loom_call *c = &g->calls[i];
    char id[17], parent[17], kind[16] = "";
    const char *name = loom_sink_kind_name(c->type);
    for (size_t n = 0; name[n] && n + 1 < sizeof kind; n++) kind[n] = (char)(name[n] - 'a' + 'A'), kind[n + 1] = 0;
    loom_sink_span_id(id, ids, c);
    loom_sink_parent_id(parent, ids, g, i);
    loom_sink_operation(scratch, c);
    loom_jw_begin_object(w);
    loom_jw_kv_str(w, "traceId", ids->trace);
    loom_jw_kv_str(w, "id", id);
    if (parent[0]) loom_jw_kv_str(w, "parentId", parent);
    loom_jw_kv_str(w, "name", scratch->data);
    loom_jw_kv_str(w, "kind", kind);
    loom_jw_kv_i64(w, "timestamp", (loom_sink_base_ms(k, g) + c->arrived) * 1000);
    loom_jw_kv_i64(w, "duration", loom_max_i64(c->rt, 0) * 1000);
    endpoint(w, "localEndpoint", c->destination);
    loom_jw_key(w, "tags");
    attributes(w, k, g, c, late, scratch);
    loom_jw_end_object(w);
}

void loom_sink_zipkin(loom_sink *k, const loom_graph *g)
{
    loom_buf scratch = {0};
    loom_span_ids ids = loom_sink_make_ids(k);
    bool late = loom_sink_begins_late(g);
    for (int32_t i = 0; i < g->n_calls; i++) {
        loom_jw w;
        if (k->n || i) loom_buf_str(&k->one, ",\n");
        loom_jw_init(&w, &k->one, false);
        zipkin_span(&w, k, g, i, &ids, late, &scratch);
    }
    loom_buf_release(&scratch);
}

/* A graph is a process, a call a thread of its own: slices of one thread must nest, calls may overlap. */
static void chrome_event(loom_jw *w, const char *phase, const char *name, int64_t pid, int64_t tid)
{
    loom_jw_begin_object(w);
    loom_jw_kv_str(w, "ph", phase);
    loom_jw_kv_str(w, "name", name);
    loom_jw_kv_i64(w, "pid", pid);
    loom_jw_kv_i64(w, "tid", tid);
}

static void chrome_name(loom_buf *into, const char *kind, const char *name, int64_t pid, int64_t tid)
{
    loom_jw w;
    loom_jw_init(&w, into, false);
    chrome_event(&w, "M", kind, pid, tid);
    loom_jw_key(&w, "args");
    loom_jw_begin_object(&w);
    loom_jw_kv_str(&w, "name", name);
    loom_jw_end_object(&w);
    loom_jw_end_object(&w);
}

void loom_sink_chrome(loom_sink *k, const loom_graph *g)
{
    loom_buf scratch = {0};
    bool late = loom_sink_begins_late(g);
    if (k->n) loom_buf_str(&k->one, ",\n");
    chrome_name(&k->one, "process_name", g->service, k->n + 1, 0);
    for (int32_t i = 0; i < g->n_calls; i++) {
        const loom_call *c = &g->calls[i];
        loom_jw w;
        loom_buf_reset(&scratch);
        loom_id_render(&scratch, c->id, c->n_id);
        loom_buf_printf(&scratch, " %s", c->destination);
        loom_buf_str(&k->one, ",\n");
        chrome_name(&k->one, "thread_name", scratch.data, k->n + 1, i + 1);
        loom_buf_str(&k->one, ",\n");
        loom_jw_init(&w, &k->one, false);
        loom_sink_operation(&scratch, c);
        chrome_event(&w, "X", scratch.data, k->n + 1, i + 1);
        loom_jw_kv_str(&w, "cat", loom_call_type_name(c->type));
        loom_jw_kv_i64(&w, "ts", (loom_sink_base_ms(k, g) + c->arrived) * 1000);
        loom_jw_kv_i64(&w, "dur", loom_max_i64(c->rt, 0) * 1000);
        loom_jw_key(&w, "args");
        attributes(&w, k, g, c, late, &scratch);
        loom_jw_end_object(&w);
    }
    loom_buf_release(&scratch);
}

/* ---- GraphML: microservices are nodes, calls are edges ---- */

static void xml_text(loom_buf *into, const char *text)
{
    loom_buf plain = {0};
    loom_escape(&plain, text, strlen(text)); /* XML has no control characters, and only UTF-8 */
    for (const char *c = loom_buf_text(&plain); *c; c++) {
        if (*c == '&') loom_buf_str(into, "&amp;");
        else if (*c == '<') loom_buf_str(into, "&lt;");
        else if (*c == '>') loom_buf_str(into, "&gt;");
        else loom_buf_char(into, *c);
    }
    loom_buf_release(&plain);
}

static int64_t graphml_node(loom_sink *k, loom_intern *nodes, const char *name)
{
    size_t before = nodes->n;
    int64_t id = loom_intern_add(nodes, name, strlen(name));
    if (nodes->n == before) return id;
    loom_buf_printf(&k->text, "    <node id=\"g%lldn%lld\"><data key=\"name\">", (long long)k->n, (long long)id);
    xml_text(&k->text, name);
    loom_buf_str(&k->text, "</data></node>\n");
    return id;
}

void loom_sink_graphml(loom_sink *k, const loom_graph *g)
{
    loom_intern nodes = {0};
    loom_buf_printf(&k->text, "  <graph id=\"g%lld\" edgedefault=\"directed\">\n    <data key=\"service\">",
                    (long long)k->n);
    xml_text(&k->text, g->service);
    loom_buf_str(&k->text, "</data>\n");
    for (int32_t i = 0; i < g->n_calls; i++) {
        const loom_call *c = &g->calls[i];
        int64_t from = graphml_node(k, &nodes, c->source), to = graphml_node(k, &nodes, c->destination);
        loom_buf_printf(&k->text, "    <edge source=\"g%lldn%lld\" target=\"g%lldn%lld\"><data key=\"edge\">",
                        (long long)k->n, (long long)from, (long long)k->n, (long long)to);
        loom_id_render(&k->text, c->id, c->n_id);
        loom_buf_printf(
            &k->text,
            "</data><data key=\"type\">%s</data><data key=\"start\">%lld</data><data key=\"response\">%lld</data></edge>\n",
            loom_call_type_name(c->type), (long long)c->arrived, (long long)c->rt);
    }
    loom_buf_str(&k->text, "  </graph>\n");
    loom_intern_release(&nodes);
}

/* ---- a row for each call ---- */

void loom_sink_flat(loom_sink *k, const loom_graph *g)
{
    for (int32_t i = 0; i < g->n_calls; i++) {
        const loom_call *c = &g->calls[i];
        loom_buf_printf(&k->text, "%lld,", (long long)k->n);
        loom_csv_cell(&k->text, g->service, strlen(g->service));
        loom_buf_printf(&k->text, ",%lld,", (long long)g->time_of_day);
        loom_id_render(&k->text, c->id, c->n_id);
        loom_buf_char(&k->text, ',');
        if (c->n_id > 1) loom_id_render(&k->text, c->id, c->n_id - 1);
        loom_buf_printf(&k->text, ",%d,%s,", c->n_id, loom_call_type_name(c->type));
        loom_csv_cell(&k->text, c->source, strlen(c->source));
        loom_buf_char(&k->text, ',');
        loom_csv_cell(&k->text, c->destination, strlen(c->destination));
        loom_buf_printf(&k->text, ",%lld,%lld\n", (long long)c->arrived, (long long)c->rt);
    }
}

/* ---- DOT: calls are arrows between microservices, one for each pair and type ---- */

static void dot_name(loom_buf *into, const char *name)
{
    loom_buf shown = {0};

    loom_escape(&shown, name, strlen(name));
    loom_buf_char(into, '"');
    for (const char *c = loom_buf_text(&shown); *c; c++) {
        if (*c == '"' || *c == '\\') loom_buf_char(into, '\\');
        loom_buf_char(into, *c);
    }
    loom_buf_char(into, '"');
    loom_buf_release(&shown);
}

void loom_sink_dot(loom_sink *k, const loom_graph *g)
{
    static const char *const colours[LOOM_CALL_TYPES] = {"#1f77b4", "#2ca02c", "#ff7f0e", "#d62728", "#9467bd"};
    loom_buf *t = &k->text;

    loom_buf_printf(t, "digraph g%lld {\n  label=", (long long)k->n);
    dot_name(t, g->service);
    loom_buf_str(
        t, "; rankdir=LR; node [shape=box, fontname=\"sans-serif\"]; edge [fontname=\"sans-serif\", fontsize=10];\n");
    for (int32_t i = 0; i < g->n_calls; i++) {
        const loom_call *c = &g->calls[i];
        loom_buf_str(t, "  ");
        dot_name(t, c->source);
        loom_buf_str(t, " -> ");
        dot_name(t, c->destination);
        loom_buf_str(t, " [label=\"");
        loom_id_render(t, c->id, c->n_id);
        loom_buf_printf(t, " %s %lld+%lld ms\", color=\"%s\"];\n", loom_call_type_name(c->type), (long long)c->arrived,
                        (long long)c->rt, colours[c->type]);
    }
    loom_buf_str(t, "}\n");
}

/* ---- what the formats are elsewhere ---- */

#define EPOCH_2022 ((int64_t)1640995200000)

int64_t loom_format_epoch(loom_format format) { return format == LOOM_FORMAT_CSV ? 0 : EPOCH_2022; }

const char *loom_format_media_type(loom_format format)
{
    switch (format) {
    case LOOM_FORMAT_CSV: return "text/csv; charset=utf-8";
    case LOOM_FORMAT_JAEGER:
    case LOOM_FORMAT_ZIPKIN:
    case LOOM_FORMAT_CHROME: return "application/json";
    case LOOM_FORMAT_OTLP: return "application/x-ndjson";
    case LOOM_FORMAT_DOT: return "text/vnd.graphviz; charset=utf-8";
    case LOOM_FORMAT_GRAPHML: return "application/xml";
    default: return "text/plain; charset=utf-8";
    }
}
