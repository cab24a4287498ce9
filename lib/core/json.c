#include "core/json.h"

#include <jansson.h>
#include <math.h>
#include <pthread.h>

#include "core/file.h"
#include "core/nomem.h"
#include "core/num.h"

static json_t *node(const loom_json *n) { return (json_t *)(uintptr_t)n; } /* jansson's readers take non-const */
static const loom_json *wrap(json_t *n) { return (const loom_json *)n; }

/* Jansson tells neither its caller nor its error text apart from bad input when memory is out: so core's own are
 * used. */
static void *json_alloc(size_t n) { return loom_alloc(n, 1); }
static void use_own_memory(void) { json_set_alloc_funcs(json_alloc, free); }

/* About the bytes that the values of a text take: an object 320, a list 140, anything else 40 and its letters.
 * Commas stand between values; those within strings count too much, which their letters make up for. */
static size_t weigh(const char *text, size_t len)
{
    size_t weight = len;
    for (size_t i = 0; i < len; i++) weight += text[i] == '{' ? 320 : text[i] == '[' ? 140 : text[i] == ',' ? 40 : 0;
    return weight;
}

loom_status loom_json_parse(loom_json **out, const char *text, size_t len, const char *name, loom_err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    json_error_t e;
    if (len > LOOM_BOUND_PLAIN && weigh(text, len) / LOOM_BOUND_RICHNESS > len)
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "%s: JSON of hardly anything but empty values, which would take %d times its size; "
                         "is it the right file?",
                         name, LOOM_BOUND_RICHNESS);
    pthread_once(&once, use_own_memory);
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &e);
    if (!root) LOOM_TRY(loom_nomem_check(name, err));
    if (!root)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s:%d:%d: not valid JSON: %s", name, e.line, e.column, e.text);
    *out = (loom_json *)root;
    return LOOM_OK;
}

loom_status loom_json_read_file(loom_json **out, const char *path, size_t max_bytes, loom_err *err)
{
    loom_buf text = {0};
    loom_status st = loom_file_read(&text, path, max_bytes, err);
    if (st == LOOM_OK) st = loom_json_parse(out, loom_buf_text(&text), text.len, path, err);
    loom_buf_release(&text);
    return st;
}

void loom_json_free(loom_json *root) { json_decref((json_t *)root); }

bool loom_json_is_object(const loom_json *n) { return n && json_is_object(node(n)); }
bool loom_json_is_array(const loom_json *n) { return n && json_is_array(node(n)); }
bool loom_json_is_string(const loom_json *n) { return n && json_is_string(node(n)); }
bool loom_json_is_int(const loom_json *n) { return n && json_is_integer(node(n)); }
bool loom_json_is_number(const loom_json *n) { return n && json_is_number(node(n)); }
bool loom_json_is_bool(const loom_json *n) { return n && json_is_boolean(node(n)); }
bool loom_json_is_null(const loom_json *n) { return !n || json_is_null(node(n)); }

const loom_json *loom_json_get(const loom_json *object, const char *key)
{
    return loom_json_is_object(object) ? wrap(json_object_get(node(object), key)) : NULL;
}

const loom_json *loom_json_at(const loom_json *array, size_t i)
{
    return loom_json_is_array(array) ? wrap(json_array_get(node(array), i)) : NULL;
}

size_t loom_json_len(const loom_json *n)
{
    if (loom_json_is_array(n)) return json_array_size(node(n));
    if (loom_json_is_object(n)) return json_object_size(node(n));
    return 0;
}

const char *loom_json_str(const loom_json *n, size_t *len)
{
    if (!loom_json_is_string(n)) return NULL;
    if (len) *len = json_string_length(node(n));
    return json_string_value(node(n));
}

const char *loom_json_text(const loom_json *object, const char *key)
{
    const char *text = loom_json_str(loom_json_get(object, key), NULL);
    return text ? text : "";
}

int64_t loom_json_i64(const loom_json *n, int64_t otherwise)
{
    return loom_json_is_int(n) ? (int64_t)json_integer_value(node(n)) : otherwise;
}

double loom_json_f64(const loom_json *n, double otherwise)
{
    return loom_json_is_number(n) ? json_number_value(node(n)) : otherwise;
}

bool loom_json_bool(const loom_json *n, bool otherwise)
{
    return loom_json_is_bool(n) ? json_is_true(node(n)) : otherwise;
}

void *loom_json_iter(const loom_json *object)
{
    return loom_json_is_object(object) ? json_object_iter(node(object)) : NULL;
}
void *loom_json_iter_next(const loom_json *object, void *it) { return json_object_iter_next(node(object), it); }
const char *loom_json_iter_key(void *it) { return json_object_iter_key(it); }
const loom_json *loom_json_iter_value(void *it) { return wrap(json_object_iter_value(it)); }

static loom_status need(const char *key, const char *kind, const loom_json *found, loom_err *err)
{
    return loom_fail(err, LOOM_STATUS_FORMAT, found ? "\"%s\" should be %s" : "\"%s\" is missing, it should be %s", key,
                     kind);
}

loom_status loom_json_need_i64(const loom_json *object, const char *key, int64_t *out, loom_err *err)
{
    const loom_json *n = loom_json_get(object, key);
    if (!loom_json_is_int(n)) return need(key, "an integer", n, err);
    *out = loom_json_i64(n, 0);
    return LOOM_OK;
}

loom_status loom_json_need_f64(const loom_json *object, const char *key, double *out, loom_err *err)
{
    const loom_json *n = loom_json_get(object, key);
    if (!loom_json_is_number(n)) return need(key, "a number", n, err);
    *out = loom_json_f64(n, 0);
    return LOOM_OK;
}

loom_status loom_json_need_str(const loom_json *object, const char *key, const char **out, loom_err *err)
{
    const loom_json *n = loom_json_get(object, key);
    if (!loom_json_is_string(n)) return need(key, "a string", n, err);
    *out = loom_json_str(n, NULL);
    return LOOM_OK;
}

loom_status loom_json_may_i64(const loom_json *object, const char *key, int64_t *out, loom_err *err)
{
    return loom_json_is_null(loom_json_get(object, key)) ? LOOM_OK : loom_json_need_i64(object, key, out, err);
}

loom_status loom_json_may_f64(const loom_json *object, const char *key, double *out, loom_err *err)
{
    return loom_json_is_null(loom_json_get(object, key)) ? LOOM_OK : loom_json_need_f64(object, key, out, err);
}

loom_status loom_json_may_bool(const loom_json *object, const char *key, bool *out, loom_err *err)
{
    const loom_json *n = loom_json_get(object, key);
    if (loom_json_is_null(n)) return LOOM_OK;
    if (!loom_json_is_bool(n)) return need(key, "true or false", n, err);
    *out = loom_json_bool(n, false);
    return LOOM_OK;
}

/* ---- writing ---- */

void loom_jw_init(loom_jw *w, loom_buf *buf, bool pretty)
{
    *w = (loom_jw){.buf = buf, .pretty = pretty, .first = true};
}

static void newline(loom_jw *w)
{
    if (!w->pretty) return;
    loom_buf_char(w->buf, '\n');
    for (int i = 0; i < w->depth; i++) loom_buf_str(w->buf, "  ");
}

static void before_value(loom_jw *w)
{
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if (w->depth == 0) return;
    if (!w->first) loom_buf_char(w->buf, ',');
    newline(w);
    w->first = false;
}

static void begin(loom_jw *w, char c)
{
    before_value(w);
    loom_buf_char(w->buf, c);
    w->depth++;
    w->first = true;
}

static void end(loom_jw *w, char c)
{
    w->depth--;
    if (!w->first) newline(w);
    loom_buf_char(w->buf, c);
    w->first = false;
}

void loom_jw_begin_object(loom_jw *w) { begin(w, '{'); }
void loom_jw_end_object(loom_jw *w) { end(w, '}'); }
void loom_jw_begin_array(loom_jw *w) { begin(w, '['); }
void loom_jw_end_array(loom_jw *w) { end(w, ']'); }

/* Control characters are escaped, those above 0x7f too (0xc2 before 0x80 to 0x9f): terminals obey them. */
static bool is_bare(const unsigned char *c, size_t left)
{
    if (*c == 0xc2) return left < 2 || c[1] < 0x80 || c[1] >= 0xa0;
    return *c >= 0x20 && *c != '"' && *c != '\\' && *c != 0x7f;
}

static void quoted(loom_buf *b, const char *text, size_t len)
{
    loom_buf_char(b, '"');
    for (size_t i = 0; i < len;) {
        size_t run = i;
        while (run < len && is_bare((const unsigned char *)text + run, len - run)) run++;
        loom_buf_append(b, text + i, run - i);
        if ((i = run) == len) break;
        unsigned char c = (unsigned char)text[i++];
        switch (c) {
        case '"': loom_buf_str(b, "\\\""); break;
        case '\\': loom_buf_str(b, "\\\\"); break;
        case '\n': loom_buf_str(b, "\\n"); break;
        case '\r': loom_buf_str(b, "\\r"); break;
        case '\t': loom_buf_str(b, "\\t"); break;
        case 0xc2: loom_buf_printf(b, "\\u%04x", (unsigned char)text[i++]); break;
        default: loom_buf_printf(b, "\\u%04x", c);
        }
    }
    loom_buf_char(b, '"');
}

void loom_jw_key(loom_jw *w, const char *key)
{
    before_value(w);
    quoted(w->buf, key, strlen(key));
    loom_buf_str(w->buf, w->pretty ? ": " : ":");
    w->after_key = true;
}

void loom_jw_strn(loom_jw *w, const char *text, size_t len)
{
    before_value(w);
    quoted(w->buf, text, len);
}

void loom_jw_str(loom_jw *w, const char *text) { loom_jw_strn(w, text, strlen(text)); }

void loom_jw_i64(loom_jw *w, int64_t v)
{
    before_value(w);
    loom_buf_i64(w->buf, v);
}

void loom_jw_f64(loom_jw *w, double v)
{
    before_value(w);
    if (!isfinite(v)) {
        loom_buf_str(w->buf, "null");
        return;
    }
    loom_buf_f64(w->buf, v);
}

void loom_jw_bool(loom_jw *w, bool v)
{
    before_value(w);
    loom_buf_str(w->buf, v ? "true" : "false");
}

void loom_jw_null(loom_jw *w)
{
    before_value(w);
    loom_buf_str(w->buf, "null");
}

void loom_jw_kv_str(loom_jw *w, const char *key, const char *text)
{
    loom_jw_key(w, key);
    loom_jw_str(w, text);
}

void loom_jw_kv_i64(loom_jw *w, const char *key, int64_t v)
{
    loom_jw_key(w, key);
    loom_jw_i64(w, v);
}

void loom_jw_kv_f64(loom_jw *w, const char *key, double v)
{
    loom_jw_key(w, key);
    loom_jw_f64(w, v);
}

void loom_jw_kv_bool(loom_jw *w, const char *key, bool v)
{
    loom_jw_key(w, key);
    loom_jw_bool(w, v);
}

void loom_jw_copy(loom_jw *w, const loom_json *n)
{
    size_t len;
    if (loom_json_is_object(n)) {
        loom_jw_begin_object(w);
        for (void *it = loom_json_iter(n); it; it = loom_json_iter_next(n, it)) {
            loom_jw_key(w, loom_json_iter_key(it));
            loom_jw_copy(w, loom_json_iter_value(it));
        }
        loom_jw_end_object(w);
    } else if (loom_json_is_array(n)) {
        loom_jw_begin_array(w);
        for (size_t i = 0; i < loom_json_len(n); i++) loom_jw_copy(w, loom_json_at(n, i));
        loom_jw_end_array(w);
    } else if (loom_json_is_string(n)) {
        const char *text = loom_json_str(n, &len);
        loom_jw_strn(w, text, len);
    } else if (loom_json_is_int(n)) {
        loom_jw_i64(w, loom_json_i64(n, 0));
    } else if (loom_json_is_number(n)) {
        loom_jw_f64(w, loom_json_f64(n, 0));
    } else if (loom_json_is_bool(n)) {
        loom_jw_bool(w, loom_json_bool(n, false));
    } else {
        loom_jw_null(w);
    }
}
