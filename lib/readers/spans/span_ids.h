/* Ids of traces and spans in one spelling: numbers compare as numbers, whatever system wrote them.
 *
 *   hexadecimal     lower case, without leading zeros: 64-bit ids equal their 128-bit forms
 *   base64          of 8 or 16 bytes (protobuf's JSON): the same bytes as hexadecimal
 *   zeros, nothing  "": no id
 *   anything else   as it is */
#ifndef LOOM_READERS_SPANS_SPAN_IDS_H
#define LOOM_READERS_SPANS_SPAN_IDS_H

#include "core/arena.h"

/* NULL is nothing; the text lives in `arena`. */
const char *loom_span_id(loom_arena *arena, const char *text);

#endif
