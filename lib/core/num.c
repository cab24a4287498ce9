#include "core/num.h"

#include <math.h>
#include <sys/mman.h>

#include "core/nomem.h"

bool loom_mul_size(size_t *out, size_t a, size_t b)
{
    size_t r;
    if (__builtin_mul_overflow(a, b, &r)) return false;
    *out = r;
    return true;
}

bool loom_add_size(size_t *out, size_t a, size_t b)
{
    size_t r;
    if (__builtin_add_overflow(a, b, &r)) return false;
    *out = r;
    return true;
}

bool loom_parse_i64(const char *text, size_t len, int64_t *out)
{
    size_t i = 0;
    bool negative = false;
    int64_t value = 0;

    if (len > 0 && (text[0] == '-' || text[0] == '+')) {
        negative = text[0] == '-';
        i = 1;
    }
    if (i == len) return false;
    for (; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        int digit = text[i] - '0';
        /* negative while adding up: the range of negatives is larger by one */
        if (__builtin_mul_overflow(value, (int64_t)10, &value) || __builtin_sub_overflow(value, (int64_t)digit, &value))
            return false;
    }
    if (!negative && __builtin_mul_overflow(value, (int64_t)-1, &value)) return false;
    *out = value;
    return true;
}

bool loom_parse_f64(const char *text, size_t len, double *out)
{
    char copy[64];
    bool digits = false;

    if (len == 0 || len >= sizeof copy) return false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c >= '0' && c <= '9') digits = true;
        else if (c != '+' && c != '-' && c != '.' && c != 'e' && c != 'E')
            return false; /* keeps out spaces, hex, inf and nan, which strtod would take */
        copy[i] = c;
    }
    if (!digits) return false;
    copy[len] = 0;
    char *end;
    double value = strtod(copy, &end);
    if (end != copy + len || !isfinite(value)) return false;
    *out = value;
    return true;
}

static void *noted(void *p)
{
    if (!p) loom_nomem_note();
    return p;
}

void *loom_alloc(size_t n, size_t size)
{
    size_t bytes;
    bool fits = loom_mul_size(&bytes, n, size);
    return noted(fits ? malloc(bytes ? bytes : 1) : NULL);
}

void *loom_calloc(size_t n, size_t size) { return noted(calloc(n ? n : 1, size ? size : 1)); }

void *loom_realloc(void *old, size_t n, size_t size)
{
    size_t bytes;
    bool fits = loom_mul_size(&bytes, n, size);
    return noted(fits ? realloc(old, bytes ? bytes : 1) : NULL);
}

char *loom_strdup(const char *text) { return noted(strdup(text)); }

/* Large blocks on large pages, where the system gives them: products walk down columns, which would need an entry
 * of the page table for every row. */
#define LARGE_PAGE ((size_t)2 << 20)

void *loom_alloc_aligned(size_t bytes)
{
    size_t unit = bytes < 2 * LARGE_PAGE ? 64 : LARGE_PAGE, rounded;
    if (!loom_add_size(&rounded, bytes, unit)) return noted(NULL);
    rounded &= ~(unit - 1);
    void *p = noted(aligned_alloc(unit, rounded));
    if (p && unit == LARGE_PAGE) (void)madvise(p, rounded, MADV_HUGEPAGE); /* a wish: may fail */
    if (p) memset(p, 0, rounded);
    return p;
}

loom_status loom_grow(void *array, size_t *cap, size_t need, size_t size, loom_err *err)
{
    void *old;
    if (need <= *cap) return LOOM_OK;
    size_t grown = *cap < 16 ? 16 : *cap;
    while (grown < need) {
        size_t more = grown / 2;
        if (!loom_add_size(&grown, grown, more)) return loom_fail_nomem(err, "a growing array");
    }
    memcpy(&old, array, sizeof old); /* array is a T**: read and write the pointer without punning its type */
    void *p = loom_realloc(old, grown, size);
    if (!p) return loom_fail_nomem(err, "a growing array");
    memcpy(array, &p, sizeof p);
    *cap = grown;
    return LOOM_OK;
}

bool loom_grow_zeroed(void *array, size_t *cap, size_t need, size_t size)
{
    size_t before = *cap;

    if (need <= before) return true;
    if (loom_grow(array, cap, need, size, NULL) != LOOM_OK) return false;
    memset(*(char **)array + before * size, 0, (*cap - before) * size);
    return true;
}

const char *loom_format_bytes(char *text, size_t cap, double bytes)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    size_t u = 0;
    while (bytes >= 1024 && u < 4) {
        bytes /= 1024;
        u++;
    }
    snprintf(text, cap,
             u == 0        ? "%.0f %s"
             : bytes < 10  ? "%.2f %s"
             : bytes < 100 ? "%.1f %s"
                           : "%.0f %s",
             bytes, units[u]);
    return text;
}

const char *loom_format_count(char *text, size_t cap, double count)
{
    static const char *const units[] = {"", " K", " M", " G", " T"};
    size_t u = 0;
    while (count >= 10000 && u < 4) {
        count /= 1000;
        u++;
    }
    snprintf(text, cap, u == 0 ? "%.0f%s" : count < 100 ? "%.1f%s" : "%.0f%s", count, units[u]);
    return text;
}

const char *loom_format_seconds(char *text, size_t cap, double seconds)
{
    if (seconds < 60) {
        snprintf(text, cap, seconds < 10 ? "%.1f s" : "%.0f s", seconds);
        return text;
    }
    int64_t s = (int64_t)(seconds + 0.5);
    if (s < 3600) snprintf(text, cap, "%d:%02d", (int)(s / 60), (int)(s % 60));
    else snprintf(text, cap, "%lld:%02d:%02d", (long long)(s / 3600), (int)(s / 60 % 60), (int)(s % 60));
    return text;
}
