#include "infer/namelist.h"

#include <stdlib.h>

#include "core/arena.h"
#include "core/file.h"
#include "core/num.h"
#include "trace/record.h"

static int by_bytes(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* A record has blanks in it, a name has none. */
static loom_status take_line(loom_names *names, const char *line, size_t len, loom_arena *arena, loom_err *err)
{
    loom_graph g;
    loom_verdict why;
    bool kept = true;

    if (len && !memchr(line, ' ', len)) kept = loom_intern_add(&names->texts, line, len) >= 0;
    else if (len && loom_record_parse(&g, &why, line, len, arena))
        for (int32_t i = 0; i < g.n_calls && kept; i++)
            kept = loom_intern_add(&names->texts, g.calls[i].destination, strlen(g.calls[i].destination)) >= 0;
    return kept && !arena->failed ? LOOM_OK : loom_fail_nomem(err, "names");
}

/* Texts have these characters between names. */
static loom_status check_names(const loom_names *names, const char *path, loom_err *err)
{
    for (size_t i = 0; i < names->n; i++) {
        const char *name = loom_intern_text(&names->texts, (int64_t)i);
        if (strpbrk(name, ",/:()<>") || strstr(name, "##"))
            return loom_fail(err, LOOM_STATUS_FORMAT,
                             "%s: the name \"%s\" cannot stand in a text (it holds one of , / : ( ) < > or ##); rename it, "
                             "as loom-preprocess graphs does", path, name);
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
        if ((st = take_line(names, line, len, &arena, err)) != LOOM_OK) break;
    }
    loom_lines_close(&lines);
    loom_arena_release(&arena);
    if (st != LOOM_OK) return st;
    names->n = names->texts.n;
    if (!names->n) return loom_fail(err, LOOM_STATUS_FORMAT, "%s holds no names", path);
    LOOM_TRY(check_names(names, path, err));
    names->items = loom_alloc(names->n, sizeof *names->items);
    if (!names->items) return loom_fail_nomem(err, "names");
    for (size_t i = 0; i < names->n; i++) names->items[i] = loom_intern_text(&names->texts, (int64_t)i);
    qsort(names->items, names->n, sizeof *names->items, by_bytes);
    return LOOM_OK;
}

void loom_names_release(loom_names *names)
{
    free(names->items);
    loom_intern_release(&names->texts);
    *names = (loom_names){0};
}
