/* JSON: reading through Jansson (hidden here), writing through a small escaping writer.
 *
 *   loom_json *root = NULL;
 *   LOOM_TRY(loom_json_read_file(&root, path, LOOM_BOUND_JSON, err));
 *   int64_t layers = 0;
 *   st = loom_json_need_i64(root, "num_hidden_layers", &layers, err);
 *   loom_json_free(root);
 *
 * Nodes are borrowed from the root and die with it. Duplicate keys and invalid UTF-8 are errors. */
#ifndef LOOM_CORE_JSON_H
#define LOOM_CORE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/bounds.h"
#include "core/buf.h"
#include "core/err.h"

typedef struct loom_json loom_json;

loom_status loom_json_read_file(loom_json **out, const char *path, size_t max_bytes, loom_err *err);
/* `name` is used in messages. Strings may hold NUL bytes (use loom_json_str with its length). */
loom_status loom_json_parse(loom_json **out, const char *text, size_t len, const char *name, loom_err *err);
void loom_json_free(loom_json *root);

bool loom_json_is_object(const loom_json *n);
bool loom_json_is_array(const loom_json *n);
bool loom_json_is_string(const loom_json *n);
bool loom_json_is_int(const loom_json *n);
bool loom_json_is_number(const loom_json *n); /* int or real */
bool loom_json_is_bool(const loom_json *n);
bool loom_json_is_null(const loom_json *n); /* also true for a NULL node (absent) */

const loom_json *loom_json_get(const loom_json *object, const char *key); /* NULL when absent or not an object */
const loom_json *loom_json_at(const loom_json *array, size_t i);
size_t loom_json_len(const loom_json *n);                             /* members of an array or object, else 0 */
const char *loom_json_str(const loom_json *n, size_t *len);           /* NULL when not a string; len may be NULL */
const char *loom_json_text(const loom_json *object, const char *key); /* "" where the member is no string */
int64_t loom_json_i64(const loom_json *n, int64_t otherwise);
double loom_json_f64(const loom_json *n, double otherwise); /* integers are widened */
bool loom_json_bool(const loom_json *n, bool otherwise);

/* Members of an object in file order:  for (void *it = loom_json_iter(o); it; it = loom_json_iter_next(o, it)) */
void *loom_json_iter(const loom_json *object);
void *loom_json_iter_next(const loom_json *object, void *it);
const char *loom_json_iter_key(void *it);
const loom_json *loom_json_iter_value(void *it);

/* Required members: a FORMAT error names the key when it is absent or of another type. */
loom_status loom_json_need_i64(const loom_json *object, const char *key, int64_t *out, loom_err *err);
loom_status loom_json_need_f64(const loom_json *object, const char *key, double *out, loom_err *err);
loom_status loom_json_need_str(const loom_json *object, const char *key, const char **out, loom_err *err);

/* Optional ones: absent or null leaves *out as it is; another type is a FORMAT error that names the key. */
loom_status loom_json_may_i64(const loom_json *object, const char *key, int64_t *out, loom_err *err);
loom_status loom_json_may_f64(const loom_json *object, const char *key, double *out, loom_err *err);
loom_status loom_json_may_bool(const loom_json *object, const char *key, bool *out, loom_err *err);

/* ---- writing: appends to a buffer; commas, quotes and indentation are taken care of ---- */
typedef struct loom_jw {
    loom_buf *buf;
    int depth;
    bool pretty, first;
    bool after_key;
} loom_jw;

void loom_jw_init(loom_jw *w, loom_buf *buf, bool pretty);
void loom_jw_begin_object(loom_jw *w);
void loom_jw_end_object(loom_jw *w);
void loom_jw_begin_array(loom_jw *w);
void loom_jw_end_array(loom_jw *w);
void loom_jw_key(loom_jw *w, const char *key);
void loom_jw_str(loom_jw *w, const char *text);
void loom_jw_strn(loom_jw *w, const char *text, size_t len);
void loom_jw_i64(loom_jw *w, int64_t v);
void loom_jw_f64(loom_jw *w, double v); /* shortest text that reads back the same; NaN and infinity become null */
void loom_jw_bool(loom_jw *w, bool v);
void loom_jw_null(loom_jw *w);
void loom_jw_copy(loom_jw *w, const loom_json *n); /* a value that was read, with all that is in it; NULL: null */
/* key and value at once */
void loom_jw_kv_str(loom_jw *w, const char *key, const char *text);
void loom_jw_kv_i64(loom_jw *w, const char *key, int64_t v);
void loom_jw_kv_f64(loom_jw *w, const char *key, double v);
void loom_jw_kv_bool(loom_jw *w, const char *key, bool v);

#endif
