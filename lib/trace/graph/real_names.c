#include "trace/graph/real_names.h"

#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/num.h"

/* Several names may share a number ("MS_1" and "MS_00001"): the first stands for all. */
static bool add_number(loom_real_names *r, loom_rename_kind kind, int64_t place)
{
    loom_buf text = {0};
    size_t before = r->numbers[kind].n;
    loom_rename_append(&r->mapping, kind, loom_intern_text(&r->mapping.names[kind], place), &text);
    int64_t id = loom_buf_failed(&text) ? -1 : loom_intern_add(&r->numbers[kind], text.data, text.len);
    loom_buf_release(&text);
    if (id < 0) return false;
    if (r->numbers[kind].n == before) return true;
    if (loom_grow(&r->places[kind], &r->cap[kind], (size_t)id + 1, sizeof *r->places[kind], NULL) != LOOM_OK)
        return false;
    r->places[kind][id] = place;
    return true;
}

loom_status loom_real_names_load(loom_real_names *r, const char *path, loom_err *err)
{
    if (!loom_file_exists(path))
        return loom_fail(err, LOOM_STATUS_IO,
                         "there is no mapping of names %s; loom-preprocess graphs --rename writes one", path);
    LOOM_TRY(loom_rename_load(&r->mapping, path, err));
    for (int kind = 0; kind < LOOM_RENAME_KINDS; kind++)
        for (size_t i = 0; i < r->mapping.names[kind].n; i++)
            if (!add_number(r, (loom_rename_kind)kind, (int64_t)i)) return loom_fail_nomem(err, "a mapping of names");
    return LOOM_OK;
}

static const char *real_name(loom_real_names *r, loom_rename_kind kind, const char *name, loom_arena *arena)
{
    int64_t id = loom_intern_find(&r->numbers[kind], name, strlen(name));
    if (id < 0) {
        r->n_unknown += strcmp(name, "USER") != 0;
        return name;
    }
    const char *real = loom_intern_text(&r->mapping.names[kind], r->places[kind][id]);
    return loom_name_fits_record(real, strlen(real)) ? real : loom_name_fit_record(arena, real);
}

loom_status loom_real_names_graph(loom_graph *to, loom_real_names *r, const loom_graph *g, loom_arena *arena,
                                  loom_err *err)
{
    *to = *g;
    to->calls = loom_arena_alloc(arena, (size_t)g->n_calls * sizeof *to->calls);
    LOOM_TRY(loom_arena_check(arena, "a graph under its real names", err));
    to->service = real_name(r, LOOM_RENAME_SERVICE, g->service, arena);
    for (int32_t i = 0; i < g->n_calls; i++) {
        to->calls[i] = g->calls[i];
        to->calls[i].source = real_name(r, LOOM_RENAME_MICROSERVICE, g->calls[i].source, arena);
        to->calls[i].destination = real_name(r, LOOM_RENAME_MICROSERVICE, g->calls[i].destination, arena);
    }
    return loom_arena_check(arena, "a graph under its real names", err);
}

void loom_real_names_release(loom_real_names *r)
{
    for (int kind = 0; kind < LOOM_RENAME_KINDS; kind++) {
        loom_intern_release(&r->numbers[kind]);
        free(r->places[kind]);
    }
    loom_rename_release(&r->mapping);
    *r = (loom_real_names){0};
}
