/* The text of a file as documents: one, one a line, or several one after the other, however they are laid out; and what
 * each document is. A damaged one ends where the next line begins with a brace or bracket. */
#include <stdlib.h>

#include "core/num.h"
#include "readers/spans/span_doc.h"

/* ---- what a document is ---- */

typedef loom_status (*each_fn)(loom_span_doc *d, const loom_json *element, loom_err *err);

static loom_status each(loom_span_doc *d, const loom_json *list, each_fn fn, loom_err *err)
{
    for (size_t i = 0; i < loom_json_len(list); i++) {
        loom_span_doc_index(d, i);
        LOOM_TRY(fn(d, loom_json_at(list, i), err));
        loom_span_doc_back(d);
    }
    return LOOM_OK;
}

/* The first of the keys under which there is a list; NULL: none. */
static const char *list_key(const loom_json *root, const char *const *keys)
{
    for (; *keys; keys++)
        if (loom_json_is_array(loom_json_get(root, *keys))) return *keys;
    return NULL;
}

static loom_status add_value(loom_span_doc *d, const loom_json *root, int depth, loom_err *err);

static loom_status add_element(loom_span_doc *d, const loom_json *root, loom_err *err)
{
    return add_value(d, root, 1, err);
}

static loom_status add_inner(loom_span_doc *d, const loom_json *root, loom_err *err)
{
    return add_value(d, root, 2, err);
}

/* A ResourceSpans on its own; a span on its own, as the stores of Jaeger and Zipkin keep it. */
static loom_status add_single(loom_span_doc *d, const loom_json *root, bool *known, loom_err *err)
{
    static const char *const scopes[] = {"scopeSpans", "scope_spans", "instrumentationLibrarySpans",
                                         "instrumentation_library_spans", NULL};
    *known = true;
    if (list_key(root, scopes)) return loom_otlp_resource(d, root, err);
    if (loom_json_get(root, "spans") && loom_json_get(root, "processes")) return loom_jaeger_trace(d, root, err);
    if (loom_json_get(root, "spanID") && loom_json_get(root, "process")) return loom_jaeger_span(d, root, NULL, err);
    if (loom_json_get(root, "traceId") && loom_json_get(root, "id")) return loom_zipkin_span(d, root, err);
    *known = false;
    return LOOM_OK;
}

/* Lists of traces, of resources and what queries wrap around them; depth: arrays around `root`. */
static loom_status add_value(loom_span_doc *d, const loom_json *root, int depth, loom_err *err)
{
    static const char *const resources[] = {"resourceSpans", "resource_spans", "batches", NULL};
    static const char *const wrappers[] = {"result", "trace", NULL}; /* answers of Jaeger's and Tempo's services */
    const char *key = list_key(root, resources);
    bool known;

    if (loom_json_is_array(root) && depth < 2) return each(d, root, depth ? add_inner : add_element, err);
    if (key || loom_json_is_array(loom_json_get(root, "data"))) {
        each_fn fn = key ? loom_otlp_resource : loom_jaeger_trace;
        if (!key) key = "data";
        loom_span_doc_key(d, key);
        LOOM_TRY(each(d, loom_json_get(root, key), fn, err));
        loom_span_doc_back(d);
        return LOOM_OK;
    }
    LOOM_TRY(add_single(d, root, &known, err));
    if (known) return LOOM_OK;
    for (int i = 0; wrappers[i] && depth < 2; i++) {
        const loom_json *inner = loom_json_get(root, wrappers[i]);
        if (!loom_json_is_object(inner)) continue;
        loom_span_doc_key(d, wrappers[i]);
        LOOM_TRY(add_value(d, inner, 2, err));
        loom_span_doc_back(d);
        return LOOM_OK;
    }
    return loom_span_doc_left(d, LOOM_LEFT_NOT_SPANS, err,
                              "neither Jaeger JSON (\"data\") nor OTLP/JSON (\"resourceSpans\") nor Zipkin v2");
}

/* ---- where documents are ---- */

typedef struct text_walk {
    loom_spans *s;
    const char *name, *text;
    size_t len;
    size_t counted; /* lines are counted up to here */
    int64_t line;   /* of that place, from 1 */
    bool damaged;   /* a document did not end: from here on they end at the latest where another begins a line */
} text_walk;

static int64_t line_of(text_walk *w, size_t at)
{
    for (; w->counted < at; w->counted++) w->line += w->text[w->counted] == '\n';
    return w->line;
}

static bool opens(char c) { return c == '{' || c == '['; }

/* The next line behind `at` that begins with a brace or bracket. */
static size_t next_opening(const text_walk *w, size_t at)
{
    for (;;) {
        const char *lf = at < w->len ? memchr(w->text + at, '\n', w->len - at) : NULL;
        if (!lf) return w->len;
        at = (size_t)(lf - w->text) + 1;
        if (at < w->len && opens(w->text[at])) return at;
    }
}

/* Adds the document at [at, end); *ok tells whether it is one. */
static loom_status add_document(text_walk *w, size_t at, size_t end, bool *ok, loom_err *err)
{
    loom_span_doc d = {.s = w->s, .name = w->name, .text = w->text + at, .len = end - at, .line = line_of(w, at)};
    loom_json *root = NULL;
    loom_err why = {0};

    *ok = loom_json_parse(&root, w->text + at, end - at, "document", &why) == LOOM_OK;
    if (!*ok) return LOOM_OK;
    loom_status st = add_value(&d, root, 0, err);
    loom_json_free(root);
    return st;
}

/* What is no document: counted with the line where it began, or (strict) the parser's words for it. */
static loom_status not_json(text_walk *w, size_t at, size_t end, loom_err *err)
{
    loom_span_doc d = {.s = w->s, .name = w->name, .text = "", .line = line_of(w, at)};
    loom_json *root = NULL;
    loom_err why = {0};

    if (w->s->strict && loom_json_parse(&root, w->text + at, end - at, "document", &why) == LOOM_OK)
        loom_json_free(root);
    return loom_span_doc_left(&d, LOOM_LEFT_NOT_JSON, err, "not valid JSON: %s; cut short or damaged",
                              why.msg[0] ? why.msg : "text between documents");
}

loom_status loom_spans_add_text(loom_spans *s, const char *text, size_t len, const char *name, loom_err *err)
{
    text_walk w = {.s = s, .name = name, .text = text, .len = len, .line = 1};
    size_t at = len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0, stop = len;

    s->name = s->read++ ? NULL : loom_arena_strdup(&s->arena, name, strlen(name));
    while (at < len) {
        while (at < len && (text[at] == ' ' || text[at] == '\t' || text[at] == '\r' || text[at] == '\n')) at++;
        if (at == len) break;
        if (w.damaged && at >= stop) stop = next_opening(&w, at);
        size_t end = opens(text[at]) ? loom_json_value_end(text, stop, at) : at;
        bool ok = false;
        if (end > at) LOOM_TRY(add_document(&w, at, end, &ok, err));
        if (ok) {
            at = end;
            continue;
        }
        end = next_opening(&w, at);
        LOOM_TRY(not_json(&w, at, end, err));
        w.damaged = true;
        at = end;
        stop = at < len ? next_opening(&w, at) : len;
    }
    return LOOM_OK;
}

void loom_spans_release(loom_spans *s)
{
    free(s->items);
    loom_left_release(&s->left);
    loom_intern_release(&s->traces);
    loom_arena_release(&s->arena);
    *s = (loom_spans){0};
}
