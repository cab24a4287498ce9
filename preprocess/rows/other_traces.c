#include "preprocess/rows/other_traces.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/num.h"
#include "trace/graph/record.h"

static void look_at_name(loom_other_traces *o, const char *name)
{
    if (!o->odd_name[0] && strpbrk(name, LOOM_NAME_ODD)) snprintf(o->odd_name, sizeof o->odd_name, "%s", name);
}

static loom_status write_graph(loom_other_traces *o, const loom_graph *g, loom_err *err)
{
    loom_buf_reset(&o->line);
    loom_record_render(&o->line, g);
    loom_buf_char(&o->line, '\n');
    LOOM_TRY(loom_buf_check(&o->line, "a record", err));
    look_at_name(o, g->service);
    for (int32_t i = 0; i < g->n_calls; i++) look_at_name(o, g->calls[i].destination);
    o->calls += g->n_calls;
    return loom_out_write(o->out, o->line.data, o->line.len, err);
}

/* ---- renaming ---- */

static bool note_name(loom_other_traces *o, loom_rename_kind kind, const char *name)
{
    return loom_intern_add(&o->names[kind], name, strlen(name)) >= 0;
}

static loom_status keep_graph(loom_other_traces *o, const loom_graph *g, loom_err *err)
{
    LOOM_TRY(loom_grow(&o->waiting, &o->cap, o->n + 1, sizeof *o->waiting, err));
    bool room = loom_graph_copy(&o->waiting[o->n], g, &o->arena) && note_name(o, LOOM_RENAME_SERVICE, g->service);
    for (int32_t i = 0; room && i < g->n_calls; i++)
        room = note_name(o, LOOM_RENAME_MICROSERVICE, g->calls[i].source) &&
               note_name(o, LOOM_RENAME_MICROSERVICE, g->calls[i].destination);
    if (!room) return loom_fail_nomem(err, "the graphs of a file");
    o->n++;
    return LOOM_OK;
}

static bool number_names(loom_other_traces *o, loom_rename_kind kind)
{
    const loom_intern *names = &o->names[kind];
    const char **texts = loom_alloc(names->n + 1, sizeof *texts);
    if (texts && names->n) memcpy(texts, names->texts, names->n * sizeof *texts);
    bool added = texts && loom_rename_add(o->rename, kind, texts, names->n);
    free(texts);
    loom_intern_release(&o->names[kind]);
    return added;
}

/* The graphs that wait, under their numbers. */
static loom_status write_waiting(loom_other_traces *o, loom_err *err)
{
    if (!o->n) return LOOM_OK;
    if (!number_names(o, LOOM_RENAME_MICROSERVICE) || !number_names(o, LOOM_RENAME_SERVICE))
        return loom_fail_nomem(err, "a mapping of names");
    for (size_t i = 0; i < o->n; i++) {
        if (!loom_rename_graph(o->rename, &o->waiting[i], &o->arena))
            return loom_fail_nomem(err, "the graphs of a file");
        LOOM_TRY(write_graph(o, &o->waiting[i], err));
    }
    o->n = 0;
    loom_arena_reset(&o->arena);
    return LOOM_OK;
}

/* ---- texts ---- */

static loom_status take(void *arg, const loom_graph *g, loom_err *err)
{
    loom_other_traces *o = arg;
    return o->rename ? keep_graph(o, g, err) : write_graph(o, g, err);
}

loom_status loom_other_traces_add(loom_other_traces *o, loom_in *in, const char *place, loom_err *err)
{
    LOOM_TRY(loom_source_read_member(&o->source, in, place, take, o, err));
    return write_waiting(o, err);
}

loom_status loom_other_traces_finish(loom_other_traces *o, loom_err *err)
{
    LOOM_TRY(loom_source_finish(&o->source, take, o, err));
    return write_waiting(o, err);
}

bool loom_other_traces_any(const loom_other_traces *o)
{
    return o->source.files > 0 || o->source.left.n[LOOM_LEFT_FOREIGN_FILE] > 0;
}

void loom_other_traces_release(loom_other_traces *o)
{
    for (int kind = 0; kind < LOOM_RENAME_KINDS; kind++) loom_intern_release(&o->names[kind]);
    loom_source_release(&o->source);
    free(o->waiting);
    loom_arena_release(&o->arena);
    loom_buf_release(&o->line);
}
