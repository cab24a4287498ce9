/* What the attributes of a span say of the call it makes: the semantic conventions of OpenTelemetry, today's and former
 * ones, the tags of OpenTracing, and our own callgraph.*. docs/FORMATS.md has the table. */
#ifndef LOOM_READERS_SPANS_SPAN_ATTRIBUTES_H
#define LOOM_READERS_SPANS_SPAN_ATTRIBUTES_H

#include "core/arena.h"
#include "readers/spans/span.h"

loom_span_kind loom_span_kind_of(const char *text); /* "client", "CLIENT", "SPAN_KIND_CLIENT", "3" */
/* Attributes may come in any order: what says it best wins. Texts are copied into `arena`. */
void loom_span_attribute(loom_span *span, const char *key, const char *value, loom_arena *arena);
/* After the last attribute: the callee of spans that call, none for spans that are called, types by kind. */
void loom_span_settle(loom_span *span);

#endif
