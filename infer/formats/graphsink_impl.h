/* Inside of infer/formats/graphsink.h: what its files share. */
#ifndef LOOM_INFER_GRAPHSINK_IMPL_H
#define LOOM_INFER_GRAPHSINK_IMPL_H

#include "core/file.h"
#include "infer/formats/graphsink.h"
#include "infer/formats/npy_sink.h"

struct loom_sink {
    loom_sink_conf conf;
    loom_out *out;      /* a file, or ... */
    loom_npy_sink *npy; /* ... arrays, or ... */
    loom_buf *into;     /* ... a text */
    loom_buf text, one;
    int32_t *process; /* of each call of the graph at hand: the first call with the same destination */
    size_t cap_process;
    int64_t n;
};

typedef struct loom_span_ids {
    char trace[33];
    uint64_t seed;
} loom_span_ids;

/* What all formats of spans say about a call: a text, a number, or "true". */
typedef struct loom_sink_attribute {
    const char *key, *text; /* text NULL: none */
    int64_t number;
    bool is_flag;
} loom_sink_attribute;

enum { LOOM_SINK_ATTRIBUTES = 9 };

loom_span_ids loom_sink_make_ids(const loom_sink *k);
void loom_sink_span_id(char text[17], const loom_span_ids *ids, const loom_call *c);
void loom_sink_parent_id(char text[17], const loom_span_ids *ids, const loom_graph *g, int32_t i); /* "": the root */
int loom_sink_call_attributes(loom_sink_attribute out[LOOM_SINK_ATTRIBUTES], const loom_sink *k, const loom_graph *g,
                              const loom_call *c, bool late, loom_buf *edge_id);
bool loom_sink_begins_late(const loom_graph *g);
const char *loom_sink_kind_name(loom_call_type type);
int64_t loom_sink_base_ms(const loom_sink *k, const loom_graph *g);
void loom_sink_operation(loom_buf *into, const loom_call *c);

/* ---- graphsink_more.c: spans into k->one, the others into k->text ---- */
void loom_sink_table_head(loom_sink *k);
void loom_sink_table_tail(loom_sink *k);
void loom_sink_zipkin(loom_sink *k, const loom_graph *g);
void loom_sink_chrome(loom_sink *k, const loom_graph *g);
void loom_sink_graphml(loom_sink *k, const loom_graph *g);
void loom_sink_flat(loom_sink *k, const loom_graph *g);
void loom_sink_dot(loom_sink *k, const loom_graph *g);

#endif
