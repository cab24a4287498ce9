#include "preprocess/texts/unmet.h"

#include <stdlib.h>
#include <string.h>

#include "core/nomem.h"
#include "core/num.h"
#include "core/rng.h"
#include "trace/text/parse.h"

enum { TRIES = 20, WAYS_TRIED = 4 };

static bool is_name(const char *name) { return strncmp(name, "MS_", 3) == 0; }

/* The sample as it was asked for and answered; false: not to be read, or the parts of a split. */
static bool read_sample(loom_parsed *p, loom_arena *arena, const char *text, size_t len, size_t answer)
{
    const char *end = memmem(text + answer, len - answer, LOOM_TEXT_FINISH, strlen(LOOM_TEXT_FINISH));

    loom_arena_reset(arena);
    loom_parse_answer(p, LOOM_MODE_INSTRUCTION, text, answer, text + answer,
                      end ? (size_t)(end - text) - answer : len - answer, arena);
    return p->ok && !arena->failed && p->n_edges > 0;
}

/* ---- the calls there are ---- */

/* NULL: no memory. */
static const char *name_of(loom_arena *arena, const char *from, const char *to, const char *type)
{
    size_t a = strlen(from), b = strlen(to), c = strlen(type);
    char *text = loom_arena_alloc(arena, a + b + c + 3);

    if (!text) return NULL;
    memcpy(text, from, a + 1);
    memcpy(text + a + 1, to, b + 1);
    memcpy(text + a + b + 2, type, c + 1);
    return text;
}

static size_t name_len(const char *call)
{
    const char *to = call + strlen(call) + 1, *type = to + strlen(to) + 1;
    return (size_t)(type - call) + strlen(type);
}

bool loom_unmet_add(loom_unmet *u, const char *text, size_t len, size_t answer)
{
    loom_parsed p;

    if (!read_sample(&p, &u->arena, text, len, answer)) return !u->arena.failed;
    if (!is_name(p.req.start_node)) return true;
    for (int32_t i = 0; i < p.n_edges; i++) {
        const char *call = name_of(&u->arena, p.req.start_node, p.edges[i].destination, p.edges[i].type);
        if (!call) return false;
        if (is_name(p.edges[i].destination) && loom_intern_add(&u->calls, call, name_len(call)) < 0) return false;
    }
    return true;
}

static int by_text(const void *a, const void *b, void *arg)
{
    const loom_intern *calls = arg;
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    const char *p = loom_intern_text(calls, x), *q = loom_intern_text(calls, y);
    int order = strcmp(p, q); /* the caller, which ends with a zero */

    return order ? order : (x > y) - (x < y);
}

static bool sort_calls(loom_unmet *u)
{
    if (u->sorted || !u->calls.n) return u->sorted != NULL;
    if (!(u->sorted = loom_alloc(u->calls.n, sizeof *u->sorted))) return false;
    for (size_t i = 0; i < u->calls.n; i++) u->sorted[i] = (int64_t)i;
    qsort_r(u->sorted, u->calls.n, sizeof *u->sorted, by_text, &u->calls);
    return true;
}

/* How many calls have a caller before `name`, or up to it. */
static size_t calls_before(const loom_unmet *u, const char *name, bool with_it)
{
    size_t lo = 0, hi = u->calls.n;

    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        int order = strcmp(loom_intern_text(&u->calls, u->sorted[mid]), name);
        if (order < 0 || (with_it && order == 0)) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

/* ---- what an answer does not do ---- */

typedef struct unmet_way {
    const char *caller;  /* one of its calls is asked for; NULL: any but those that a subgraph starts at */
    const char *made_by; /* the caller in the request; NULL: its own */
    bool ends;           /* the call goes to a store */
} unmet_way;

typedef struct unmet_ways {
    unmet_way room[LOOM_LAYER_MAX_EDGES], lacking[2], below[LOOM_LAYER_MAX_EDGES];
    int32_t n_room, n_lacking, n_below;
} unmet_ways;

/* Could the layer of the subgraph have had one more call, all else as it is? */
static bool lacks_room(const loom_attrs *a)
{
    int64_t calls = a->num_current_edges, below = a->num_edges - calls;

    return a->remaining_depth > 0 && calls > 0 && calls == a->num_subgraphs && calls < LOOM_LAYER_MAX_EDGES &&
           below - 1 >= a->remaining_depth + a->num_subgraphs - 1;
}

static void find_ways(unmet_ways *w, const loom_parsed *p)
{
    const char *own = p->req.start_node;

    *w = (unmet_ways){0};
    for (int32_t i = 0; i < p->n_subs && i < LOOM_LAYER_MAX_EDGES; i++) {
        const char *start = p->subs[i].attrs.start_node;
        if (strcmp(start, own) == 0) continue;
        if (lacks_room(&p->subs[i].attrs)) w->room[w->n_room++] = (unmet_way){.caller = start, .ends = true};
        else if (is_name(own)) w->below[w->n_below++] = (unmet_way){.caller = own, .made_by = start};
    }
    if (is_name(own)) w->lacking[w->n_lacking++] = (unmet_way){.caller = own};
    if (p->req.remaining_depth == 1 && p->req.num_current_edges > 0) w->lacking[w->n_lacking++] = (unmet_way){0};
}

/* Room is lacking in few samples: most of these are about it. Where something may be made below, something is lacking
 * here as well. NULL: there is none. */
static const unmet_way *draw_way(const unmet_ways *w, loom_rng *r)
{
    if (w->n_room && (!w->n_lacking || loom_rng_chance(r, 0.8)))
        return &w->room[loom_rng_below(r, (uint64_t)w->n_room)];
    if (w->n_below && loom_rng_chance(r, 0.5)) return &w->below[loom_rng_below(r, (uint64_t)w->n_below)];
    return w->n_lacking ? &w->lacking[loom_rng_below(r, (uint64_t)w->n_lacking)] : NULL;
}

static bool starts_below(const loom_parsed *p, const char *name)
{
    for (int32_t i = 0; i < p->n_subs; i++)
        if (strcmp(p->subs[i].attrs.start_node, name) == 0) return true;
    return false;
}

static bool has_call(const loom_parsed *p, const char *to, const char *type)
{
    for (int32_t i = 0; i < p->n_edges; i++)
        if (strcmp(p->edges[i].destination, to) == 0 && strcmp(p->edges[i].type, type) == 0) return true;
    return false;
}

static bool is_unmet(const loom_parsed *p, const unmet_way *way, const char *const name[3])
{
    if (way->ends) return loom_call_type_is_store(loom_call_type_of(name[2], strlen(name[2])));
    if (way->caller) return !has_call(p, name[1], name[2]);
    return strcmp(name[0], p->req.start_node) != 0 && !starts_below(p, name[0]);
}

static bool draw_call(const loom_unmet *u, const loom_parsed *p, const unmet_way *way, loom_rng *r, const char *name[3])
{
    size_t lo = way->caller ? calls_before(u, way->caller, false) : 0;
    size_t hi = way->caller ? calls_before(u, way->caller, true) : u->calls.n;

    for (int i = 0; i < TRIES && lo < hi; i++) {
        name[0] = loom_intern_text(&u->calls, u->sorted[lo + loom_rng_below(r, hi - lo)]);
        name[1] = name[0] + strlen(name[0]) + 1;
        name[2] = name[1] + strlen(name[1]) + 1;
        if (!is_unmet(p, way, name)) continue;
        if (way->made_by) name[0] = way->made_by;
        return true;
    }
    return false;
}

/* ---- the other request ---- */

/* The conditions of text[0 .. end): from the line behind their head to the blank one. */
static bool find_conditions(const char *text, size_t end, size_t *from, size_t *to)
{
    static const char head[] = LOOM_TEXT_CONDITIONS "\n";
    const char *at = memmem(text, end, head, sizeof head - 1);
    const char *blank = at ? memmem(at, end - (size_t)(at - text), "\n\n", 2) : NULL;

    if (!blank) return false;
    *from = (size_t)(at - text) + sizeof head - 1;
    *to = (size_t)(blank - text) + 1;
    return *from <= *to;
}

/* The line goes in the place of the old one, or before one drawn at random. */
static void place_line(const char *text, size_t from, size_t to, loom_rng *r, size_t *at, size_t *end)
{
    uint64_t lines = 0, before;
    size_t old_len;
    const char *old = loom_text_include_line(text + from, to - from, &old_len);

    if (old) {
        *at = (size_t)(old - text);
        *end = *at + old_len + 1;
        return;
    }
    for (size_t i = from; i < to; i++) lines += text[i] == '\n';
    before = loom_rng_below(r, lines + 1);
    for (*at = from; before > 0; before--) *at = (size_t)((const char *)memchr(text + *at, '\n', to - *at) + 1 - text);
    *end = *at;
}

static bool write_other(loom_unmet *u, const char *text, size_t len, size_t answer, const char *const name[3],
                        loom_rng *r)
{
    loom_line line = {.kind = LOOM_LINE_INCLUDE, .name = {name[0], name[1], name[2]}};
    size_t from, to, at, end;

    if (!find_conditions(text, answer, &from, &to)) return false;
    place_line(text, from, to, r, &at, &end);
    loom_buf_append(&u->text, text, at);
    loom_line_render(&u->text, &line);
    loom_buf_char(&u->text, '\n');
    loom_buf_append(&u->text, text + end, len - end);
    return !loom_buf_failed(&u->text);
}

bool loom_unmet_sample(loom_unmet *u, const char *text, size_t len, size_t answer, uint64_t number)
{
    unmet_ways ways;
    const char *name[3];
    loom_parsed p;
    loom_rng r;

    loom_buf_reset(&u->text);
    if (!sort_calls(u) || !read_sample(&p, &u->arena, text, len, answer)) return false;
    find_ways(&ways, &p);
    loom_rng_seed(&r, u->seed, "unmet", number);
    for (int i = 0; i < WAYS_TRIED; i++) {
        const unmet_way *way = draw_way(&ways, &r);
        if (!way) return false;
        if (draw_call(u, &p, way, &r, name)) return write_other(u, text, len, answer, name, &r);
    }
    return false;
}

void loom_unmet_release(loom_unmet *u)
{
    loom_intern_release(&u->calls);
    loom_arena_release(&u->arena);
    loom_buf_release(&u->text);
    free(u->sorted);
    *u = (loom_unmet){0};
}
