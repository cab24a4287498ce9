/* Between the files that read tokenizer.json: tokload.c calls the other two. */
#ifndef LOOM_TOKENIZER_TOKLOAD_IMPL_H
#define LOOM_TOKENIZER_TOKLOAD_IMPL_H

#include "core/json.h"
#include "core/num.h"
#include "tokenizer/tok_internal.h"

/* ---- tokload.c: helpers of all ---- */
/* FORMAT: "PLACE WHAT is not supported", with the cure. */
loom_status loom_tokload_refuse(loom_err *err, const char *place, const char *what);
const char *loom_tokload_type(const loom_json *component); /* its "type", for messages too */
bool loom_tokload_is(const loom_json *component, const char *type);
bool loom_tokload_says(const loom_json *node, const char *text); /* a string, and this one */
/* The bytes that a token stands for; a failure is remembered by the arena. */
void loom_tokload_keep_bytes(loom_tokenizer *tok, int64_t id, const loom_buf *bytes);

/* ---- tokload_chars.c: after the tokens and merges ---- */
loom_status loom_tokload_chars(loom_tokenizer *tok, const loom_json *root, const loom_json *model, loom_err *err);

/* ---- tokload_special.c: after the family ---- */
loom_status loom_tokload_index_added(loom_tokenizer *tok, loom_err *err);
loom_status loom_tokload_postprocessor(loom_tokenizer *tok, const loom_json *post, loom_err *err);
void loom_tokload_special_ids(loom_tokenizer *tok, const loom_json *model);

#endif
