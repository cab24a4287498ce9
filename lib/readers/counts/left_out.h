/* What a reader could not use, counted by reason, with the place where each reason was met first.
 *
 *   loom_left_out left = {0};
 *   loom_left_add(&left, LOOM_LEFT_NO_END, "spans.json:12");
 *   loom_left_render(&left, &text);         "; 1 span without an end (NO_END, spans.json:12)"
 *   loom_left_release(&left);
 *
 * Names are stable: they stand in reports and in docs/FORMATS.md. */
#ifndef LOOM_READERS_COUNTS_LEFT_OUT_H
#define LOOM_READERS_COUNTS_LEFT_OUT_H

#include <stdint.h>

#include "core/buf.h"
#include "core/json.h"

typedef enum loom_left {
    /* spans */
    LOOM_LEFT_NO_ID,
    LOOM_LEFT_NO_SERVICE,
    LOOM_LEFT_NO_START,
    LOOM_LEFT_NO_END,
    LOOM_LEFT_BAD_TIMES,
    LOOM_LEFT_REPEATED_ID,
    LOOM_LEFT_EXTRA_ROOT,
    LOOM_LEFT_ORPHAN,
    LOOM_LEFT_BELOW,
    LOOM_LEFT_SPAN_KINDS, /* reasons below this one are about spans */
    /* what holds spans or rows */
    LOOM_LEFT_NOT_JSON = LOOM_LEFT_SPAN_KINDS,
    LOOM_LEFT_NOT_SPANS,
    LOOM_LEFT_BAD_TRACE,
    LOOM_LEFT_FOREIGN_FILE,
    LOOM_LEFT_BAD_ROW,
    LOOM_LEFT_NOT_PROTOBUF,
    LOOM_LEFT_KINDS
} loom_left;

typedef struct loom_left_out {
    int64_t n[LOOM_LEFT_KINDS];
    loom_buf first[LOOM_LEFT_KINDS]; /* "file:line", or the trace; of the first one */
} loom_left_out;                     /* zero-initialised is ready */

void loom_left_add(loom_left_out *l, loom_left kind, const char *place);
int64_t loom_left_spans(const loom_left_out *l); /* all spans that were left out */
/* Adds what `from` counted; places of reasons that are new are taken over. */
void loom_left_join(loom_left_out *l, const loom_left_out *from);
void loom_left_reset(loom_left_out *l);
void loom_left_render(const loom_left_out *l, loom_buf *into);
/* {"NO_END": {"n": 1, "first": "spans.json:12"}, ...}: the reasons that were met */
void loom_left_json(const loom_left_out *l, loom_jw *w);
void loom_left_release(loom_left_out *l);

#endif
