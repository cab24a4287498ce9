#include "preprocess/texts/swap_asked.h"

#include <string.h>

#include "core/rng.h"
#include "preprocess/texts/exchange.h"
#include "trace/text/grammar.h"

#define ASKED 2 /* caller and callee */

typedef struct swapped_name {
    const char *from, *to; /* to: NULL where the name stays */
    size_t len, to_len;
} swapped_name;

/* The microservices from text[at] to text[end). */
static int asked_names(swapped_name *out, const char *text, size_t at, size_t end)
{
    loom_name_kind kind = LOOM_NAME_SERVICE;
    size_t name_len = 0;
    int n = 0;

    for (; (at = loom_name_next(text, at, end, &name_len, &kind)) < end && n < ASKED; at += name_len)
        if (kind == LOOM_NAME_MICROSERVICE) out[n++] = (swapped_name){.from = text + at, .len = name_len};
    return n;
}

static bool is_name(const char *at, size_t at_len, const char *name, size_t len)
{
    return at_len == len && memcmp(at, name, len) == 0;
}

/* How often the name stands in text[0 .. len). */
static int occurrences(const char *text, size_t len, const char *name, size_t name_len)
{
    loom_name_kind kind = LOOM_NAME_SERVICE;
    size_t found_len = 0;
    int n = 0;

    for (size_t at = 0; (at = loom_name_next(text, at, len, &found_len, &kind)) < len; at += found_len)
        n += is_name(text + at, found_len, name, name_len);
    return n;
}

/* A name that the sample does not have and that no other name becomes; false when a hundred draws found none. */
static bool draw_other(const loom_swap_asked *s, swapped_name *name, const swapped_name *before, const char *text,
                       size_t len, loom_rng *r)
{
    for (int tries = 0; tries < 100 && s->names->n > 0; tries++) {
        int64_t i = (int64_t)loom_rng_below(r, s->names->n);
        name->to = loom_intern_text(s->names, i);
        name->to_len = loom_intern_len(s->names, i);
        bool taken = before && before->to && is_name(before->to, before->to_len, name->to, name->to_len);
        if (!taken && occurrences(text, len, name->to, name->to_len) == 0) return true;
    }
    name->to = NULL;
    return false;
}

static void write_swapped(loom_buf *into, const char *text, size_t len, const swapped_name *names, int n)
{
    loom_name_kind kind = LOOM_NAME_SERVICE;
    size_t done = 0, found_len = 0;

    for (size_t at; (at = loom_name_next(text, done, len, &found_len, &kind)) < len; done = at + found_len) {
        const swapped_name *name = names;
        while (name < names + n && !(name->to && is_name(text + at, found_len, name->from, name->len))) name++;
        loom_buf_append(into, text + done, at - done);
        if (name < names + n) loom_buf_append(into, name->to, name->to_len);
        else loom_buf_append(into, text + at, found_len);
    }
    loom_buf_append(into, text + done, len - done);
}

bool loom_swap_asked_sample(loom_swap_asked *s, const char *text, size_t len, size_t answer, uint64_t number)
{
    size_t line_len = 0;
    const char *line = loom_text_include_line(text, answer, &line_len);
    size_t begin = line ? (size_t)(line - text) : 0, end = begin + line_len;
    swapped_name names[ASKED];
    bool any = false;
    loom_rng r;

    loom_buf_reset(&s->text);
    if (!line) return false;
    loom_rng_seed(&r, s->seed, "swap-asked", number);
    int n = asked_names(names, text, begin, end);
    for (int i = 0; i < n; i++) {
        bool elsewhere = occurrences(text, len, names[i].from, names[i].len) >
                         occurrences(text + begin, end - begin, names[i].from, names[i].len);
        if (elsewhere && loom_rng_chance(&r, 0.5)) any |= draw_other(s, &names[i], i ? &names[0] : NULL, text, len, &r);
    }
    if (any) write_swapped(&s->text, text, len, names, n);
    return any;
}

void loom_swap_asked_release(loom_swap_asked *s)
{
    loom_buf_release(&s->text);
    *s = (loom_swap_asked){0};
}
