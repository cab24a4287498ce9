#include "trace/text/names.h"

#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "core/compare.h"
#include "core/file.h"
#include "core/num.h"
#include "trace/graph/record.h"
#include "trace/text/grammar.h"

#define HEAD "spanloom-names 1\n"
enum { MOST_BYTES = 4096 }; /* of a name */

static void unsort(loom_names *names)
{
    free(names->items);
    free(names->service_items);
    free(names->upto);
    names->items = names->service_items = NULL;
    names->upto = NULL;
    names->n = names->n_services = 0;
}

void loom_names_release(loom_names *names)
{
    unsort(names);
    loom_intern_release(&names->microservices);
    loom_intern_release(&names->services);
    free(names->graphs);
    *names = (loom_names){0};
}

/* ---- adding ---- */

loom_status loom_names_add(loom_names *names, const char *name, size_t len, loom_err *err)
{
    unsort(names);
    return loom_intern_add(&names->microservices, name, len) < 0 ? loom_fail_nomem(err, "the names") : LOOM_OK;
}

static loom_status add_service(loom_names *names, const char *name, size_t len, int64_t graphs, loom_err *err)
{
    unsort(names);
    int64_t id = loom_intern_add(&names->services, name, len);
    size_t had = names->cap_graphs;
    if (id < 0) return loom_fail_nomem(err, "the names");
    LOOM_TRY(loom_grow(&names->graphs, &names->cap_graphs, (size_t)id + 1, sizeof *names->graphs, err));
    for (size_t i = had; i < names->cap_graphs; i++) names->graphs[i] = 0;
    names->graphs[id] += graphs;
    return LOOM_OK;
}

/* ---- from training text ---- */

/* Value of an attribute in a list with '/' between its parts; NULL: not there. */
static const char *attr_value(const char *list, size_t len, loom_attr which, size_t *n)
{
    const char *key = loom_attr_table[which].key;
    size_t k = strlen(key);
    for (size_t at = 0; at < len;) {
        const char *slash = memchr(list + at, '/', len - at);
        size_t part = slash ? (size_t)(slash - list) - at : len - at;
        if (part > k && memcmp(list + at, key, k) == 0) {
            *n = part - k;
            return list + at + k;
        }
        at += part + 1;
    }
    return NULL;
}

/* The attribute list of a sample's first layer; len 0: it has none (questions of downstream tasks). */
static const char *first_list(const char *sample, size_t len, size_t *n)
{
    const char *at = sample, *end = sample + len;
    size_t question = strlen(LOOM_TEXT_QUESTION), mark = strlen(LOOM_TEXT_GENERATE);

    if (len >= question && memcmp(sample, LOOM_TEXT_QUESTION, question) == 0) {
        const char *requirements = memmem(sample, len, LOOM_TEXT_REQUIREMENTS "\n", strlen(LOOM_TEXT_REQUIREMENTS) + 1);
        at = requirements ? requirements + strlen(LOOM_TEXT_REQUIREMENTS) + 1 : end;
    } else if (len >= mark && memcmp(sample, LOOM_TEXT_GENERATE, mark) == 0) {
        at += mark;
    }
    const char *lf = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
    *n = (size_t)((lf ? lf : end) - at);
    return at;
}

/* The first layer of a graph has no caller, or "None". */
bool loom_names_begins_graph(const char *sample, size_t len)
{
    size_t n, n_caller = 0;
    const char *list = first_list(sample, len, &n), *caller = attr_value(list, n, LOOM_ATTR_CALLER, &n_caller);

    return !caller || (n_caller == strlen(LOOM_TEXT_NO_CALLER) && memcmp(caller, LOOM_TEXT_NO_CALLER, n_caller) == 0);
}

static loom_status learn_service(loom_names *names, const char *sample, size_t len, loom_err *err)
{
    size_t n, n_id = 0;
    const char *list = first_list(sample, len, &n), *id = attr_value(list, n, LOOM_ATTR_ID, &n_id);

    if (!id || !loom_names_begins_graph(sample, len) || !loom_name_fits_record(id, n_id)) return LOOM_OK;
    return add_service(names, id, n_id, 1, err);
}

loom_status loom_names_learn(loom_names *names, const char *sample, size_t len, loom_err *err)
{
    const char *mark = loom_line_templates[LOOM_ITEM_DESTINATION]; /* up to its hole */
    const size_t n_mark = strcspn(mark, "@");
    const char *at = sample, *end = sample + len;

    while (at < end && (at = memmem(at, (size_t)(end - at), mark, n_mark))) {
        const char *name = at += n_mark;
        while (at < end && *at != ',' && *at != ')' && *at != '\n') at++;
        size_t n = (size_t)(at - name);
        /* the questions of infilling tasks have "[MISSING]" there */
        if (n && n <= MOST_BYTES && name[0] != '[' && loom_name_fits_record(name, n))
            LOOM_TRY(loom_names_add(names, name, n, err));
    }
    return learn_service(names, sample, len, err);
}

/* ---- from a store or a list ---- */

/* A record has blanks in it, a name has none. */
static loom_status take_line(loom_names *names, const char *line, size_t len, loom_arena *arena, loom_err *err)
{
    loom_graph g;
    loom_verdict why;

    if (!len) return LOOM_OK;
    if (!memchr(line, ' ', len)) return loom_names_add(names, line, len, err);
    if (!loom_record_parse(&g, &why, line, len, arena)) return LOOM_OK;
    LOOM_TRY(add_service(names, g.service, strlen(g.service), 1, err));
    for (int32_t i = 0; i < g.n_calls; i++)
        LOOM_TRY(loom_names_add(names, g.calls[i].destination, strlen(g.calls[i].destination), err));
    return LOOM_OK;
}

/* Texts have these characters between names. */
static loom_status check_names(const loom_names *names, const char *path, loom_err *err)
{
    for (size_t i = 0; i < names->n; i++) {
        const char *name = names->items[i];
        if (strpbrk(name, ",/:()<>") || strstr(name, "##"))
            return loom_fail(
                err, LOOM_STATUS_FORMAT,
                "%s: the name \"%s\" cannot stand in a text (it holds one of , / : ( ) < > or ##); rename it, "
                "as loom-preprocess graphs does",
                path, name);
    }
    return LOOM_OK;
}

loom_status loom_names_read(loom_names *names, const char *path, loom_err *err)
{
    loom_lines *lines = NULL;
    loom_arena arena = {0};
    char *line;
    size_t len;
    loom_status st = loom_lines_open(&lines, path, err);

    while (st == LOOM_OK && (st = loom_lines_next(lines, &line, &len, err)) == LOOM_OK && line) {
        loom_arena_reset(&arena);
        st = take_line(names, line, len, &arena, err);
    }
    loom_lines_close(&lines);
    loom_arena_release(&arena);
    if (st != LOOM_OK) return st;
    if (!names->microservices.n) return loom_fail(err, LOOM_STATUS_FORMAT, "%s holds no names", path);
    LOOM_TRY(loom_names_sort(names, err));
    return check_names(names, path, err);
}

/* ---- order ---- */

static loom_status sorted_texts(const char ***out, const loom_intern *texts, loom_err *err)
{
    if (!(*out = loom_alloc(texts->n + 1, sizeof **out))) return loom_fail_nomem(err, "names");
    for (size_t i = 0; i < texts->n; i++) (*out)[i] = loom_intern_text(texts, (int64_t)i);
    qsort(*out, texts->n, sizeof **out, loom_compare_texts);
    return LOOM_OK;
}

loom_status loom_names_sort(loom_names *names, loom_err *err)
{
    size_t least = SIZE_MAX;
    int64_t sum = 0;

    unsort(names);
    LOOM_TRY(sorted_texts(&names->items, &names->microservices, err));
    LOOM_TRY(sorted_texts(&names->service_items, &names->services, err));
    if (!(names->upto = loom_alloc(names->services.n + 1, sizeof *names->upto))) return loom_fail_nomem(err, "names");
    names->n = names->microservices.n;
    names->n_services = names->services.n;
    names->longest = 0;
    for (size_t i = 0; i < names->n; i++) {
        size_t len = strlen(names->items[i]);
        if (len < least) least = len, names->shortest = i;
        if (len > names->longest) names->longest = len;
    }
    for (size_t i = 0; i < names->n_services; i++) {
        const char *name = names->service_items[i];
        sum += names->graphs[loom_intern_find(&names->services, name, strlen(name))];
        names->upto[i] = sum;
    }
    return LOOM_OK;
}

bool loom_names_has(const loom_names *names, const char *microservice)
{
    return loom_intern_find(&names->microservices, microservice, strlen(microservice)) >= 0;
}

const char *loom_names_draw_service(const loom_names *names, loom_rng *rng)
{
    size_t lo = 0, hi = names->n_services;

    if (!hi || names->upto[hi - 1] < 1) return NULL;
    int64_t at = (int64_t)loom_rng_below(rng, (uint64_t)names->upto[hi - 1]);
    while (lo < hi) { /* the first with upto > at */
        size_t mid = lo + (hi - lo) / 2;
        if (names->upto[mid] <= at) lo = mid + 1;
        else hi = mid;
    }
    return names->service_items[lo];
}

/* ---- as a text ---- */

void loom_names_render(loom_buf *into, const loom_names *names)
{
    const char *before = "";

    loom_buf_printf(into, HEAD "microservices %zu\n", names->n);
    for (size_t i = 0; i < names->n; i++) {
        const char *name = names->items[i];
        size_t shared = 0;
        while (before[shared] && before[shared] == name[shared]) shared++;
        loom_buf_printf(into, "%zu %s\n", shared, name + shared);
        before = name;
    }
    loom_buf_printf(into, "services %zu\n", names->n_services);
    for (size_t i = 0; i < names->n_services; i++)
        loom_buf_printf(into, "%lld %s\n", (long long)(names->upto[i] - (i ? names->upto[i - 1] : 0)),
                        names->service_items[i]);
}

typedef struct text_reader {
    const char *at, *end, *place;
    int64_t line;
} text_reader;

static loom_status damaged(const text_reader *r, loom_err *err)
{
    return loom_fail(err, LOOM_STATUS_FORMAT, "%s:%lld: not a list of names as loom-preprocess tokens writes it",
                     r->place, (long long)r->line);
}

/* "WORD REST" or "NUMBER REST": the two parts of the next line. */
static bool next_line(text_reader *r, const char **first, size_t *n_first, const char **rest, size_t *n_rest)
{
    const char *lf = r->at < r->end ? memchr(r->at, '\n', (size_t)(r->end - r->at)) : NULL;
    const char *blank = lf ? memchr(r->at, ' ', (size_t)(lf - r->at)) : NULL;

    r->line++;
    if (!blank) return false;
    *first = r->at;
    *n_first = (size_t)(blank - r->at);
    *rest = blank + 1;
    *n_rest = (size_t)(lf - blank - 1);
    r->at = lf + 1;
    return true;
}

static bool read_count(text_reader *r, const char *word, int64_t *count)
{
    const char *first, *rest;
    size_t n_first, n_rest;

    return next_line(r, &first, &n_first, &rest, &n_rest) && n_first == strlen(word) &&
           memcmp(first, word, n_first) == 0 && loom_parse_i64(rest, n_rest, count) && *count >= 0;
}

static loom_status read_microservices(loom_names *names, text_reader *r, loom_err *err)
{
    const char *first, *rest;
    size_t n_first, n_rest;
    int64_t count, shared;
    char name[MOST_BYTES + 1];
    size_t len = 0;

    if (!read_count(r, "microservices", &count)) return damaged(r, err);
    for (int64_t i = 0; i < count; i++) {
        if (!next_line(r, &first, &n_first, &rest, &n_rest) || !loom_parse_i64(first, n_first, &shared) || shared < 0 ||
            (size_t)shared > len || (size_t)shared + n_rest > MOST_BYTES)
            return damaged(r, err);
        memcpy(name + shared, rest, n_rest);
        len = (size_t)shared + n_rest;
        if (!loom_name_fits_record(name, len)) return damaged(r, err);
        LOOM_TRY(loom_names_add(names, name, len, err));
    }
    return LOOM_OK;
}

static loom_status read_services(loom_names *names, text_reader *r, loom_err *err)
{
    const char *first, *rest;
    size_t n_first, n_rest;
    int64_t count, graphs;

    if (!read_count(r, "services", &count)) return damaged(r, err);
    for (int64_t i = 0; i < count; i++) {
        if (!next_line(r, &first, &n_first, &rest, &n_rest) || !loom_parse_i64(first, n_first, &graphs) || graphs < 0 ||
            graphs > INT64_MAX / 1000000 || n_rest > MOST_BYTES || !loom_name_fits_record(rest, n_rest))
            return damaged(r, err);
        LOOM_TRY(add_service(names, rest, n_rest, graphs, err));
    }
    return LOOM_OK;
}

loom_status loom_names_parse(loom_names *names, const char *text, size_t len, const char *place, loom_err *err)
{
    text_reader r = {.at = text, .end = text + len, .place = place, .line = 1};
    size_t head = strlen(HEAD);

    if (!len) return LOOM_OK;
    if (len < head || memcmp(text, HEAD, head) != 0) return damaged(&r, err);
    r.at += head;
    LOOM_TRY(read_microservices(names, &r, err));
    LOOM_TRY(read_services(names, &r, err));
    return r.at == r.end ? LOOM_OK : damaged(&r, err);
}
