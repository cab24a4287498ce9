/* Between the readers of the formats: a document being taken apart into spans. */
#ifndef LOOM_READERS_SPANS_SPAN_DOC_H
#define LOOM_READERS_SPANS_SPAN_DOC_H

#include "readers/spans/json_place.h"
#include "readers/spans/spans.h"

enum { LOOM_SPAN_DOC_STEPS = 12 };

typedef struct loom_span_doc {
    loom_spans *s;
    const char *name; /* of the file */
    const char *text; /* of the document */
    size_t len;
    int64_t line;                             /* of the file where it begins, from 1 */
    loom_json_step path[LOOM_SPAN_DOC_STEPS]; /* to the value at hand */
    int depth;
    bool binary; /* protobuf: the place is a byte of the file, from 0 */
    int64_t byte;
} loom_span_doc;

/* On the way to a value, and back; beyond LOOM_SPAN_DOC_STEPS the place is that of the last container. */
void loom_span_doc_key(loom_span_doc *d, const char *key);
void loom_span_doc_index(loom_span_doc *d, size_t index);
void loom_span_doc_back(loom_span_doc *d);

/* Counts what is left out, with the file and line of the value at hand; with `strict` it is a FORMAT error that says
 * the same with the reason `fmt`. */
loom_status loom_span_doc_left(loom_span_doc *d, loom_left kind, loom_err *err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* A span without anything, ready for attributes. */
loom_span loom_span_empty(void);
/* Ids and parent, and the trace's number; false: no ids, counted. */
loom_status loom_span_doc_begin(loom_span_doc *d, loom_span *span, bool *usable, const char *trace, const char *id,
                                loom_err *err);
/* Settles and keeps the span; NULL service or times that cannot be: counted, kept as lost. `fault` is
 * LOOM_LEFT_KINDS when nothing is known to be wrong. */
loom_status loom_span_doc_end(loom_span_doc *d, loom_span *span, loom_left fault, const char *why, loom_err *err);

/* The member under one of two spellings. */
const loom_json *loom_span_doc_either(const loom_json *object, const char *camel, const char *snake);
const char *loom_span_doc_text(const loom_json *object, const char *camel, const char *snake); /* NULL: no string */
/* Numbers come as numbers or as decimal strings. */
bool loom_span_doc_whole(const loom_json *n, int64_t *out);
/* Microseconds as nanoseconds; those beyond all calendars become INT64_MAX. False: no number. */
bool loom_span_doc_us(const loom_json *n, int64_t *ns);
/* An attribute whose value is a string, number or bool; others say nothing about calls. */
void loom_span_doc_attribute(loom_span_doc *d, loom_span *span, const char *key, const loom_json *value);
const char *loom_span_doc_keep(loom_span_doc *d, const char *text); /* copy; NULL is "" */

loom_status loom_jaeger_trace(loom_span_doc *d, const loom_json *trace, loom_err *err);
loom_status loom_jaeger_span(loom_span_doc *d, const loom_json *node, const loom_json *processes, loom_err *err);
loom_status loom_otlp_resource(loom_span_doc *d, const loom_json *resource, loom_err *err);
loom_status loom_zipkin_span(loom_span_doc *d, const loom_json *node, loom_err *err);

#endif
