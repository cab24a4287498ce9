#include "infer/serve/json_fields.h"

#include <stdlib.h>
#include <string.h>

#include "core/num.h"

/* What a member is, for a sentence. */
static void shown(loom_buf *into, const loom_json *v)
{
    enum { MOST = 60 };
    loom_jw w;

    loom_jw_init(&w, into, false);
    loom_jw_copy(&w, v);
    if (into->len > MOST) {
        into->len = MOST;
        loom_buf_str(into, "...");
    }
}

static loom_status wrong(const loom_json *v, const char *key, const char *expected, loom_err *err)
{
    loom_buf text = {0};

    shown(&text, v);
    loom_fail(err, LOOM_STATUS_ARG, "\"%s\" is %s, expected %s", key, loom_buf_text(&text), expected);
    loom_buf_release(&text);
    return LOOM_STATUS_ARG;
}

loom_status loom_field_i64(int64_t *out, const loom_json *o, const char *key, int64_t least, int64_t most,
                           loom_err *err)
{
    const loom_json *v = loom_json_get(o, key);
    char expected[96];

    if (loom_json_is_null(v)) return LOOM_OK;
    snprintf(expected, sizeof expected, "a whole number from %lld to %lld", (long long)least, (long long)most);
    int64_t n = loom_json_i64(v, least);
    if (!loom_json_is_int(v) || n < least || n > most) return wrong(v, key, expected, err);
    *out = n;
    return LOOM_OK;
}

loom_status loom_field_f64(double *out, const loom_json *o, const char *key, double least, double most, loom_err *err)
{
    const loom_json *v = loom_json_get(o, key);
    char expected[96];

    if (loom_json_is_null(v)) return LOOM_OK;
    snprintf(expected, sizeof expected, "a number from %g to %g", least, most);
    double n = loom_json_f64(v, least);
    if (!loom_json_is_number(v) || !(n >= least && n <= most)) return wrong(v, key, expected, err);
    *out = n;
    return LOOM_OK;
}

loom_status loom_field_bool(bool *out, const loom_json *o, const char *key, loom_err *err)
{
    const loom_json *v = loom_json_get(o, key);

    if (loom_json_is_null(v)) return LOOM_OK;
    if (!loom_json_is_bool(v)) return wrong(v, key, "true or false", err);
    *out = loom_json_bool(v, false);
    return LOOM_OK;
}

static bool is_plain(const loom_json *v)
{
    size_t len = 0;
    const char *text = loom_json_str(v, &len);
    return text && strlen(text) == len;
}

loom_status loom_field_str(const char **out, const loom_json *o, const char *key, loom_err *err)
{
    const loom_json *v = loom_json_get(o, key);

    if (loom_json_is_null(v)) return LOOM_OK;
    if (!is_plain(v)) return wrong(v, key, "a string", err);
    *out = loom_json_str(v, NULL);
    return LOOM_OK;
}

loom_status loom_field_choice(int *out, const loom_json *o, const char *key, const char *choices, loom_err *err)
{
    const char *word = NULL;
    int place = 0;

    LOOM_TRY(loom_field_str(&word, o, key, err));
    if (!word) return LOOM_OK;
    for (const char *c = choices; *c; place++) {
        size_t n = strcspn(c, "|");
        if (n == strlen(word) && memcmp(c, word, n) == 0) {
            *out = place;
            return LOOM_OK;
        }
        c += n + (c[n] != 0);
    }
    return wrong(loom_json_get(o, key), key, choices, err);
}

loom_status loom_field_strings(const char ***out, size_t *n, const loom_json *o, const char *key, size_t most,
                               loom_err *err)
{
    const loom_json *v = loom_json_get(o, key);
    size_t count = loom_json_is_string(v) ? 1 : loom_json_len(v);
    char expected[96];

    if (loom_json_is_null(v)) return LOOM_OK;
    snprintf(expected, sizeof expected, "a string or a list of at most %zu, none of them empty", most);
    if (!(loom_json_is_string(v) || loom_json_is_array(v)) || count > most) return wrong(v, key, expected, err);
    const char **list = loom_calloc(count + 1, sizeof *list);
    if (!list) return loom_fail_nomem(err, "strings");
    for (size_t i = 0; i < count; i++) {
        const loom_json *one = loom_json_is_string(v) ? v : loom_json_at(v, i);
        if (!is_plain(one) || !*loom_json_str(one, NULL)) {
            free(list);
            return wrong(v, key, expected, err);
        }
        list[i] = loom_json_str(one, NULL);
    }
    *out = list;
    *n = count;
    return LOOM_OK;
}

loom_status loom_field_ids(int32_t **out, size_t *n, const loom_json *o, const char *key, size_t most, loom_err *err)
{
    const loom_json *v = loom_json_get(o, key);
    size_t count = loom_json_len(v);
    char expected[96];

    if (loom_json_is_null(v)) return LOOM_OK;
    snprintf(expected, sizeof expected, "a list of at most %zu token ids", most);
    if (!loom_json_is_array(v) || count > most) return wrong(v, key, expected, err);
    int32_t *list = loom_calloc(count + 1, sizeof *list);
    if (!list) return loom_fail_nomem(err, "token ids");
    for (size_t i = 0; i < count; i++) {
        const loom_json *one = loom_json_at(v, i);
        int64_t id = loom_json_i64(one, -1);
        if (!loom_json_is_int(one) || id < 0 || id > INT32_MAX) {
            free(list);
            return wrong(v, key, expected, err);
        }
        list[i] = (int32_t)id;
    }
    *out = list;
    *n = count;
    return LOOM_OK;
}

loom_status loom_fields_known(const loom_json *o, const char *const *known, loom_err *err)
{
    for (void *it = loom_json_iter(o); it; it = loom_json_iter_next(o, it)) {
        const char *const *k = known;
        while (*k && strcmp(*k, loom_json_iter_key(it)) != 0) k++;
        if (*k) continue;
        loom_buf all = {0};
        for (k = known; *k; k++) loom_buf_printf(&all, "%s%s", k == known ? "" : ", ", *k);
        loom_fail(err, LOOM_STATUS_ARG, "unknown member \"%.60s\"; there are %s", loom_json_iter_key(it),
                  loom_buf_text(&all));
        loom_buf_release(&all);
        return LOOM_STATUS_ARG;
    }
    return LOOM_OK;
}
