#include "preprocess/texts/exchange.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/num.h"
#include "preprocess/samples/sample_shape.h"

static const struct {
    const char *prefix;
    int digits;
    int64_t first, last; /* numbers of the pool */
} kinds[LOOM_NAME_KINDS] = {
    [LOOM_NAME_MICROSERVICE] = {"MS_", 5, LOOM_SAMPLE_BASE_MAX_NAME + 1, LOOM_SAMPLE_MAX_NAME},
    [LOOM_NAME_SERVICE] = {"S_", 9, LOOM_SAMPLE_BASE_MAX_SERVICE + 1, LOOM_SAMPLE_MAX_SERVICE},
};

/* At most half of the numbers that are kept for it. */
const int64_t loom_exchange_max[LOOM_NAME_KINDS] = {10000, 10000};

/* ---- names in text ---- */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_word(char c) { return is_digit(c) || c == '_' || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }

size_t loom_name_next(const char *text, size_t at, size_t len, size_t *name_len, loom_name_kind *kind)
{
    const size_t mark = strlen("S_");

    for (const char *found; (found = memmem(text + at, len - at, "S_", mark));) {
        size_t begin = (size_t)(found - text), stop = begin + mark;
        while (stop < len && is_digit(text[stop])) stop++;
        bool numbered = stop > begin + mark, micro = begin > at && text[begin - 1] == 'M';
        if (numbered && (micro || begin == 0 || !is_word(text[begin - 1]))) {
            *kind = micro ? LOOM_NAME_MICROSERVICE : LOOM_NAME_SERVICE;
            begin -= micro;
            *name_len = stop - begin;
            return begin;
        }
        at = stop;
    }
    return len;
}

/* ---- the pool ---- */

/* n different numbers: each of n equal parts of the range gives one. */
static loom_status fill_pool(loom_exchange *x, loom_name_kind k, loom_err *err)
{
    int64_t n = x->conf.pool[k], first = kinds[k].first, size = kinds[k].last - first + 1;
    loom_rng r;

    if (n < 0 || n > loom_exchange_max[k])
        return loom_fail(err, LOOM_STATUS_ARG, "a pool has 0 to %lld names of a kind, not %lld",
                         (long long)loom_exchange_max[k], (long long)n);
    if (n == 0) return LOOM_OK;
    if (!(x->pool[k] = loom_alloc((size_t)n, sizeof *x->pool[k]))) return loom_fail_nomem(err, "the pool of names");
    loom_rng_seed(&r, 0, "exchange-pool", (uint64_t)k);
    for (int64_t i = 0; i < n; i++)
        x->pool[k][i] = (int32_t)(first + size / n * i + (int64_t)loom_rng_below(&r, (uint64_t)(size / n)));
    return LOOM_OK;
}

loom_status loom_exchange_init(loom_exchange *x, const loom_exchange_conf *conf, loom_err *err)
{
    loom_status st = LOOM_OK;

    *x = (loom_exchange){.conf = *conf};
    for (int k = 0; k < LOOM_NAME_KINDS && st == LOOM_OK; k++) st = fill_pool(x, (loom_name_kind)k, err);
    if (st != LOOM_OK) loom_exchange_release(x);
    return st;
}

void loom_exchange_release(loom_exchange *x)
{
    for (int k = 0; k < LOOM_NAME_KINDS; k++) free(x->pool[k]);
    loom_buf_release(&x->text);
    *x = (loom_exchange){0};
}

/* ---- one sample ---- */

static bool is_taken(const loom_exchange *x, loom_name_kind k, int32_t number)
{
    for (int32_t i = 0; i < x->n; i++)
        if (x->names[i].kind == k && x->names[i].to == number) return true;
    return false;
}

/* Any number of the kind's width. Half of them have only some digits that are not leading zeros, as systems whose names
 * are numbered from 1 have. */
static int32_t any_number(loom_name_kind k, loom_rng *r)
{
    int digits = kinds[k].digits;
    uint64_t below = 10;

    if (loom_rng_chance(r, 0.5)) digits = 1 + (int)loom_rng_below(r, (uint64_t)digits);
    while (--digits > 0) below *= 10;
    return (int32_t)loom_rng_below(r, below);
}

/* The tries end soon: a sample has few names, and numbers of five digits are many. A pool that is used up gives way. */
static int32_t draw_number(const loom_exchange *x, loom_name_kind k, double spelled, loom_rng *r)
{
    bool any = loom_rng_chance(r, spelled) || x->conf.pool[k] == 0;
    int32_t to = 0;

    for (int tries = 0; !any && tries < 100; tries++)
        if (!is_taken(x, k, to = x->pool[k][loom_rng_below(r, (uint64_t)x->conf.pool[k])])) return to;
    while (is_taken(x, k, to = any_number(k, r))) continue;
    return to;
}

static const loom_exchange_name *find(const loom_exchange *x, const char *name, size_t len)
{
    for (int32_t i = 0; i < x->n; i++)
        if (x->names[i].len == len && memcmp(x->names[i].from, name, len) == 0) return &x->names[i];
    return NULL;
}

/* u^(1/m - 1) has the mean m: most samples have no spelled name or a few, some hardly any other. */
static double draw_share(double mean, loom_rng *r)
{
    double u = loom_rng_f64(r);
    return mean > 0 ? pow(u, 1 / mean - 1) : 0;
}

static void put(loom_buf *into, const loom_exchange_name *name)
{
    if (name->kept) loom_buf_append(into, name->from, name->len);
    else loom_buf_printf(into, "%s%0*d", kinds[name->kind].prefix, kinds[name->kind].digits, (int)name->to);
}

static int32_t number_in(const char *name, size_t len, loom_name_kind k)
{
    int64_t n = 0;

    for (size_t i = strlen(kinds[k].prefix); i < len; i++)
        if ((n = 10 * n + (name[i] - '0')) > INT32_MAX) return -1;
    return (int32_t)n;
}

/* Names that are kept come first, so that no other becomes one of them. Services never are: by them a model tells text
 * with strange names, where it had better repeat what stands there, from the system's own, where it had better not. */
static bool gather(loom_exchange *x, const char *text, size_t len, double kept, loom_rng *r)
{
    size_t name_len = 0;
    loom_name_kind k = LOOM_NAME_SERVICE;

    x->n = 0;
    for (size_t at = 0; (at = loom_name_next(text, at, len, &name_len, &k)) < len; at += name_len) {
        if (find(x, text + at, name_len)) continue;
        if (x->n == LOOM_EXCHANGE_MOST) return false;
        bool keep = kept > 0 && loom_rng_chance(r, kept) && k != LOOM_NAME_SERVICE;
        x->names[x->n++] = (loom_exchange_name){.from = text + at,
                                                .len = name_len,
                                                .kind = k,
                                                .kept = keep,
                                                .to = keep ? number_in(text + at, name_len, k) : -1};
    }
    return x->n > 0;
}

bool loom_exchange_sample(loom_exchange *x, const char *text, size_t len, uint64_t number)
{
    size_t done = 0, name_len = 0;
    loom_name_kind k = LOOM_NAME_SERVICE;
    loom_rng r;

    loom_rng_seed(&r, x->conf.seed, "exchange", number);
    double spelled = draw_share(x->conf.spelled, &r);
    loom_buf_reset(&x->text);
    if (!gather(x, text, len, x->conf.kept > 0 ? draw_share(x->conf.kept, &r) : 0, &r)) return false;
    for (int32_t i = 0; i < x->n; i++)
        if (!x->names[i].kept) x->names[i].to = draw_number(x, x->names[i].kind, spelled, &r);
    for (size_t at; (at = loom_name_next(text, done, len, &name_len, &k)) < len; done = at + name_len) {
        loom_buf_append(&x->text, text + done, at - done);
        put(&x->text, find(x, text + at, name_len));
    }
    loom_buf_append(&x->text, text + done, len - done);
    return true;
}
