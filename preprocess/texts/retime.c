#include "preprocess/texts/retime.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/num.h"
#include "core/rng.h"
#include "preprocess/texts/text_shape.h"
#include "trace/text/grammar.h"

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* ---- times in text ---- */

static bool ends_with(const char *text, size_t begin, size_t end, const char *mark, size_t mark_len)
{
    return end - begin >= mark_len && memcmp(text + end - mark_len, mark, mark_len) == 0;
}

static bool after_attribute(const char *text, size_t begin, size_t end)
{
    static const loom_attr times[] = {LOOM_ATTR_START, LOOM_ATTR_LATENCY};

    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        const char *key = loom_attr_table[times[i]].key;
        if (ends_with(text, begin, end, key, strlen(key))) return true;
    }
    return false;
}

/* An item or a condition, up to its hole. */
static bool after_line(const char *text, size_t begin, size_t end)
{
    static const loom_line_kind times[] = {LOOM_ITEM_START, LOOM_ITEM_FINISH, LOOM_LINE_FIRST_START,
                                           LOOM_LINE_START_WITHIN, LOOM_LINE_FINISH_WITHIN};

    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        const char *line = loom_line_templates[times[i]];
        if (ends_with(text, begin, end, line, strcspn(line, "#"))) return true;
    }
    return false;
}

size_t loom_time_next(const char *text, size_t at, size_t len, size_t *digits)
{
    for (size_t i = at; i < len; i++) {
        size_t n = 1;
        if (!is_digit(text[i])) continue;
        while (i + n < len && is_digit(text[i + n])) n++;
        if (after_attribute(text, at, i) || after_line(text, at, i)) {
            *digits = n;
            return i;
        }
        i += n;
    }
    return len;
}

/* ---- one sample ---- */

static int by_time(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Each once; false when they are too many, or no times at all. */
static bool gather(loom_retime *r, const char *text, size_t len)
{
    size_t digits = 0;

    r->n = 0;
    for (size_t at = 0; (at = loom_time_next(text, at, len, &digits)) < len; at += digits) {
        int64_t time;
        bool seen = false;
        if (!loom_parse_i64(text + at, digits, &time)) return false;
        for (int32_t i = 0; i < r->n && !seen; i++) seen = r->from[i] == time;
        if (seen) continue;
        if (r->n == LOOM_RETIME_MOST) return false;
        r->from[r->n++] = time;
    }
    qsort(r->from, (size_t)r->n, sizeof *r->from, by_time);
    return r->n > 0;
}

/* e^u - 1 with even u: a third of them have one digit. */
static int64_t draw_width(loom_rng *rng)
{
    const double most = 2000;
    return (int64_t)(exp(loom_rng_f64(rng) * log(most)) - 0.5);
}

/* The last time stands at the end of the window, mostly the layer's latency. The others are spread over it evenly, or
 * crowd before its end, where models stop comparing. */
static void draw_times(loom_retime *r, loom_rng *rng)
{
    int64_t start = r->from[0] > 0 ? draw_width(rng) : 0, width = draw_width(rng);
    double power = loom_rng_chance(rng, 0.5) ? 1 : 0.3;

    for (int32_t i = 0; i < r->n; i++)
        r->to[i] = start + loom_min_i64(width, (int64_t)(pow(loom_rng_f64(rng), power) * (double)(width + 1)));
    qsort(r->to, (size_t)r->n, sizeof *r->to, by_time);
    r->to[0] = start;
    if (r->n > 1) r->to[r->n - 1] = start + width;
}

static void put(loom_retime *r, const char *digits, size_t n)
{
    int64_t time = 0;
    const int64_t *found;

    (void)loom_parse_i64(digits, n, &time);
    found = bsearch(&time, r->from, (size_t)r->n, sizeof time, by_time);
    loom_buf_i64(&r->text, r->to[found - r->from]);
}

bool loom_retime_sample(loom_retime *r, const char *text, size_t len, uint64_t number)
{
    const char *call = loom_item_words[LOOM_ITEM_START];
    size_t done = 0, digits = 0;
    loom_rng rng;

    loom_buf_reset(&r->text);
    if (loom_text_asks_for_slow(text, len) || !memmem(text, len, call, strlen(call)) || !gather(r, text, len))
        return false;
    loom_rng_seed(&rng, r->seed, "retime", number);
    draw_times(r, &rng);
    for (size_t at; (at = loom_time_next(text, done, len, &digits)) < len; done = at + digits) {
        loom_buf_append(&r->text, text + done, at - done);
        put(r, text + at, digits);
    }
    loom_buf_append(&r->text, text + done, len - done);
    return true;
}

void loom_retime_release(loom_retime *r)
{
    loom_buf_release(&r->text);
    *r = (loom_retime){0};
}
