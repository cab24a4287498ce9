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
    o->written += (int64_t)o->line.len;
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
    int64_t before = o->written;

    LOOM_TRY(loom_source_read_member(&o->source, in, place, take, o, err));
    if (o->ends_to) loom_parcel_put_i64(o->ends_to, o->written - before);
    return write_waiting(o, err);
}

loom_status loom_other_traces_finish(loom_other_traces *o, loom_err *err)
{
    LOOM_TRY(loom_source_finish(&o->source, take, o, err));
    return write_waiting(o, err);
}

/* ---- for another process ---- */

void loom_other_traces_pack(const loom_other_traces *o, loom_buf *into)
{
    loom_parcel_put_text(into, loom_buf_text(o->ends_to), o->ends_to->len);
    loom_parcel_put_i64(into, o->calls);
    loom_parcel_put(into, o->odd_name, sizeof o->odd_name);
    loom_source_pack(&o->source, into);
}

/* The records of one text get their numbers here. */
static loom_status rename_text(loom_other_traces *o, const char *text, size_t len, bool *bad, loom_err *err)
{
    loom_arena arena = {0};
    loom_status st = LOOM_OK;

    for (size_t at = 0; st == LOOM_OK && !*bad && at < len;) {
        loom_graph g;
        loom_verdict why;
        const char *lf = memchr(text + at, '\n', len - at);
        loom_arena_reset(&arena);
        *bad = !lf || !loom_record_read(&g, &why, text + at, (size_t)(lf - text) - at, &arena);
        if (*bad) break;
        st = keep_graph(o, &g, err);
        at = (size_t)(lf - text) + 1;
    }
    loom_arena_release(&arena);
    return st == LOOM_OK ? write_waiting(o, err) : st;
}

loom_status loom_other_traces_enter(loom_other_traces *o, const char *graphs, size_t len, loom_parcel *p, loom_err *err)
{
    char odd_name[sizeof o->odd_name];
    size_t n_ends;
    const char *text = loom_parcel_get_text(p, &n_ends);
    loom_parcel ends = {text, text + n_ends, false};

    while (o->rename && ends.at < ends.end && !p->bad) {
        int64_t n = loom_parcel_get_i64(&ends);
        p->bad |= ends.bad || n < 0 || n > (int64_t)len;
        if (p->bad) break;
        LOOM_TRY(rename_text(o, graphs, (size_t)n, &p->bad, err));
        graphs += n;
        len -= (size_t)n;
    }
    int64_t calls = loom_parcel_get_i64(p);
    loom_parcel_get(p, odd_name, sizeof odd_name);
    if (!o->rename) o->calls += calls; /* else they were counted as they were written */
    if (!o->rename && !o->odd_name[0]) memcpy(o->odd_name, odd_name, sizeof odd_name);
    if (!o->rename && len) LOOM_TRY(loom_out_write(o->out, graphs, len, err));
    return loom_source_enter(&o->source, p, err);
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
