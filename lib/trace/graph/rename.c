#include "trace/graph/rename.h"

#include <stdlib.h>
#include <string.h>

#include "core/compare.h"
#include "core/escape.h"
#include "core/file.h"
#include "core/nomem.h"
#include "core/num.h"

static const char *const prefixes[LOOM_RENAME_KINDS] = {"MS_", "S_"};
static const int digits[LOOM_RENAME_KINDS] = {5, 9};

static void append_number(loom_rename_kind kind, int64_t number, loom_buf *into)
{
    loom_buf_printf(into, "%s%0*lld", prefixes[kind], digits[kind], (long long)number);
}

static loom_hash128 key_of(int64_t number) { return loom_hash128_of(&number, sizeof number); }

/* The number of a name that is MS_n or S_n already, written with any number of zeros less than usual; -1: another
 * name. */
static int64_t own_number(loom_rename_kind kind, const char *name, size_t len)
{
    size_t n_prefix = strlen(prefixes[kind]), width = len - n_prefix;
    int64_t number;
    if (len <= n_prefix || memcmp(name, prefixes[kind], n_prefix) != 0 ||
        strspn(name + n_prefix, "0123456789") != width || !loom_parse_i64(name + n_prefix, width, &number))
        return -1;
    return width > (size_t)digits[kind] && name[n_prefix] == '0' ? -1 : number;
}

static bool set_number(loom_rename *r, loom_rename_kind kind, const char *name, size_t len, int64_t number)
{
    size_t before = r->names[kind].n;
    bool fresh;
    int64_t id = loom_intern_add(&r->names[kind], name, len);
    if (id < 0) return false;
    if (r->names[kind].n == before) return true;
    if (loom_grow(&r->numbers[kind], &r->cap[kind], r->names[kind].n, sizeof *r->numbers[kind], NULL) != LOOM_OK)
        return false;
    r->numbers[kind][id] = number;
    bool keeps = own_number(kind, name, len) == number;
    r->n_changed += !keeps;
    if (keeps && !loom_hash_set_add(&r->kept[kind], key_of(number), &fresh)) return false;
    if (!r->keep_ids && number >= r->next[kind]) r->next[kind] = number + 1;
    return loom_hash_set_add(&r->taken[kind], key_of(number), &fresh);
}

bool loom_rename_set(loom_rename *r, loom_rename_kind kind, const char *name, int64_t number)
{
    return set_number(r, kind, name, strlen(name), number);
}

bool loom_rename_has(const loom_rename *r, loom_rename_kind kind, int64_t number)
{
    return loom_hash_set_has(&r->taken[kind], key_of(number));
}

/* What is wrong with giving the name this number, NULL: nothing. MS_12 and MS_00012 are one name and may share it. */
static const char *conflict(const loom_rename *r, loom_rename_kind kind, const char *name, size_t len, int64_t number)
{
    int64_t id = loom_intern_find(&r->names[kind], name, len);
    bool kept = own_number(kind, name, len) == number && loom_hash_set_has(&r->kept[kind], key_of(number));
    if (id >= 0) return r->numbers[kind][id] == number ? NULL : "the name has another number already";
    return loom_rename_has(r, kind, number) && !kept ? "another name has the number already" : NULL;
}

static const char *take_pair(loom_rename *r, loom_rename_kind kind, const char *quoted, size_t len, int64_t number)
{
    loom_buf name = {0};
    loom_unquote(&name, quoted, len);
    const char *wrong = conflict(r, kind, loom_buf_text(&name), name.len, number);
    bool kept = !wrong && !loom_buf_failed(&name) && set_number(r, kind, loom_buf_text(&name), name.len, number);
    loom_buf_release(&name);
    return kept ? NULL : wrong ? wrong : "no memory"; /* which the caller finds by its mark */
}

/* "MS_00012<TAB>name": what is wrong with it, NULL: nothing. */
static const char *take_line(loom_rename *r, const char *line, size_t len)
{
    static const char form[] = "not \"MS_<number><TAB>name\" or \"S_<number><TAB>name\"";
    const char *tab = memchr(line, '\t', len);
    if (!tab || tab + 1 == line + len) return form;
    for (int kind = 0; kind < LOOM_RENAME_KINDS; kind++) {
        size_t n_prefix = strlen(prefixes[kind]);
        int64_t number;
        if ((size_t)(tab - line) <= n_prefix || memcmp(line, prefixes[kind], n_prefix) != 0) continue;
        if (!loom_parse_i64(line + n_prefix, (size_t)(tab - line) - n_prefix, &number) || number < 0) return form;
        return take_pair(r, (loom_rename_kind)kind, tab + 1, (size_t)(line + len - tab - 1), number);
    }
    return form;
}

loom_status loom_rename_load(loom_rename *r, const char *path, loom_err *err)
{
    loom_lines *lines = NULL;
    loom_status st;
    char *line;
    size_t len;
    if (!loom_file_exists(path)) return LOOM_OK;
    if ((st = loom_lines_open(&lines, path, err)) != LOOM_OK) return st;
    loom_lines_bound(lines, LOOM_BOUND_NAMES);
    while ((st = loom_lines_next(lines, &line, &len, err)) == LOOM_OK && line) {
        if (len && line[0] == '#') {
            loom_buf_append(&r->remarks, line, len);
            loom_buf_char(&r->remarks, '\n');
            continue;
        }
        const char *wrong = len ? take_line(r, line, len) : NULL;
        if (!wrong) continue;
        if ((st = loom_nomem_check("a mapping of names", err)) != LOOM_OK) break;
        st = loom_fail(err, LOOM_STATUS_FORMAT, "%s:%lld: %s; mend the line or name another file", path,
                       (long long)loom_lines_number(lines), wrong);
        break;
    }
    loom_lines_close(&lines);
    return st;
}

void loom_rename_render(const loom_rename *r, loom_buf *into)
{
    loom_buf_append(into, loom_buf_text(&r->remarks), r->remarks.len);
    for (int kind = 0; kind < LOOM_RENAME_KINDS; kind++)
        for (size_t i = 0; i < r->names[kind].n; i++) {
            append_number((loom_rename_kind)kind, r->numbers[kind][i], into);
            loom_buf_char(into, '\t');
            loom_quote(into, loom_intern_text(&r->names[kind], (int64_t)i),
                       loom_intern_len(&r->names[kind], (int64_t)i));
            loom_buf_char(into, '\n');
        }
}

static int64_t next_number(loom_rename *r, loom_rename_kind kind)
{
    if (r->next[kind] == 0) r->next[kind] = 1;
    while (loom_hash_set_has(&r->taken[kind], key_of(r->next[kind]))) r->next[kind]++;
    return r->next[kind];
}

/* Names that are numbers keep them before any other name is given one. */
static bool keep_numbers(loom_rename *r, loom_rename_kind kind, const char **names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(names[i]);
        int64_t own = own_number(kind, names[i], len);
        bool others =
            loom_hash_set_has(&r->taken[kind], key_of(own)) && !loom_hash_set_has(&r->kept[kind], key_of(own));
        if (own < 0 || others) continue;
        if (!set_number(r, kind, names[i], len, own)) return false;
    }
    return true;
}

bool loom_rename_add(loom_rename *r, loom_rename_kind kind, const char **names, size_t n)
{
    qsort(names, n, sizeof *names, loom_compare_texts);
    if (r->keep_ids && !keep_numbers(r, kind, names, n)) return false;
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(names[i]);
        if (strcmp(names[i], "USER") == 0 || loom_intern_find(&r->names[kind], names[i], len) >= 0) continue;
        if (!set_number(r, kind, names[i], len, next_number(r, kind))) return false;
    }
    return true;
}

void loom_rename_append(const loom_rename *r, loom_rename_kind kind, const char *name, loom_buf *into)
{
    int64_t id = loom_intern_find(&r->names[kind], name, strlen(name));
    if (id < 0) loom_buf_str(into, name);
    else append_number(kind, r->numbers[kind][id], into);
}

static const char *new_name(const loom_rename *r, loom_rename_kind kind, const char *name, loom_buf *text,
                            loom_arena *arena)
{
    loom_buf_reset(text);
    loom_rename_append(r, kind, name, text);
    return loom_arena_strdup(arena, loom_buf_text(text), text->len);
}

bool loom_rename_graph(const loom_rename *r, loom_graph *g, loom_arena *arena)
{
    loom_buf text = {0};
    g->service = new_name(r, LOOM_RENAME_SERVICE, g->service, &text, arena);
    for (int32_t i = 0; i < g->n_calls; i++) {
        g->calls[i].source = new_name(r, LOOM_RENAME_MICROSERVICE, g->calls[i].source, &text, arena);
        g->calls[i].destination = new_name(r, LOOM_RENAME_MICROSERVICE, g->calls[i].destination, &text, arena);
    }
    bool room = !arena->failed && !loom_buf_failed(&text);
    loom_buf_release(&text);
    return room;
}

void loom_rename_release(loom_rename *r)
{
    for (int kind = 0; kind < LOOM_RENAME_KINDS; kind++) {
        loom_hash_set_release(&r->taken[kind]);
        loom_hash_set_release(&r->kept[kind]);
        loom_intern_release(&r->names[kind]);
        free(r->numbers[kind]);
    }
    loom_buf_release(&r->remarks);
    *r = (loom_rename){0};
}
