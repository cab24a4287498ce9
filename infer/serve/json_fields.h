/* Members of a JSON request, each with its bounds: absent or null leaves *out as it is, what is wrong is a sentence
 * that names the member, what it is and what it may be. */
#ifndef LOOM_INFER_JSON_FIELDS_H
#define LOOM_INFER_JSON_FIELDS_H

#include "core/json.h"

loom_status loom_field_i64(int64_t *out, const loom_json *o, const char *key, int64_t least, int64_t most,
                           loom_err *err);
loom_status loom_field_f64(double *out, const loom_json *o, const char *key, double least, double most, loom_err *err);
loom_status loom_field_bool(bool *out, const loom_json *o, const char *key, loom_err *err);
/* Borrowed from o; no NUL in it. */
loom_status loom_field_str(const char **out, const loom_json *o, const char *key, loom_err *err);
/* One of "a|b|c", as its place. */
loom_status loom_field_choice(int *out, const loom_json *o, const char *key, const char *choices, loom_err *err);
/* A string or a list of at most `most` of them, none empty: *out is malloc'ed, its strings are borrowed from o. */
loom_status loom_field_strings(const char ***out, size_t *n, const loom_json *o, const char *key, size_t most,
                               loom_err *err);
/* A list of at most `most` integers of 32 bits: *out is malloc'ed. */
loom_status loom_field_ids(int32_t **out, size_t *n, const loom_json *o, const char *key, size_t most, loom_err *err);
/* ARG when the object has a member that `known` (ends with NULL) does not name. */
loom_status loom_fields_known(const loom_json *o, const char *const *known, loom_err *err);

#endif
