#include "preprocess/samples/sample_write.h"

#include <stdio.h>
#include <string.h>

#include "core/file.h"
#include "core/num.h"
#include "preprocess/samples/sample_truth.h"

#define BLOCK 1024 /* traces made by one thread in one go */

/* Where a finished line stands and when it belongs into the file. */
typedef struct line {
    int64_t written, trace;
    size_t at;
    uint32_t len;
    int32_t file, row;
} line;

typedef struct lines {
    line *all;
    size_t n, cap;
    loom_buf text;
} lines;

/* One block of traces, neighbours in time: made in parallel, written in order. */
typedef struct block {
    lines rows;
    loom_buf truth;
    loom_sample_totals totals;
    loom_status st;
    loom_err err;
} block;

typedef struct arrival {
    int64_t at, trace;
} arrival;

typedef struct writer {
    const loom_sample_world *world;
    const loom_sample_truth *truth; /* NULL: not wanted */
    arrival *order;                 /* of all traces */
    int64_t n_traces;
    block *blocks; /* of one wave */
    int64_t first; /* block number of blocks[0] */
    struct scratch {
        loom_sample_trace trace;
        loom_sample_rows rows;
        loom_arena arena;
    } * scratch;          /* per thread */
    lines waiting, spare; /* rows whose time has not come yet, sorted */
    loom_out **files;     /* tables, truth.jsonl, templates.json; the last two NULL without truth */
    loom_buf out;
    int32_t out_file;
} writer;

/* ---- making a block ---- */

static int compare_lines(const void *a, const void *b)
{
    const line *x = a, *y = b;
    if (x->file != y->file) return x->file < y->file ? -1 : 1;
    if (x->written != y->written) return x->written < y->written ? -1 : 1;
    if (x->trace != y->trace) return x->trace < y->trace ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static loom_status add_line(lines *to, const line *l, const char *text, loom_err *err)
{
    LOOM_TRY(loom_grow(&to->all, &to->cap, to->n + 1, sizeof *to->all, err));
    to->all[to->n] = *l;
    to->all[to->n].at = to->text.len;
    to->n++;
    loom_buf_append(&to->text, text, l->len);
    return LOOM_OK;
}

static void forget_lines(lines *l)
{
    l->n = 0;
    loom_buf_reset(&l->text);
}

static loom_status add_rows(writer *w, block *b, struct scratch *s)
{
    for (int32_t i = 0; i < s->rows.n; i++) {
        const loom_sample_row *row = &s->rows.rows[i];
        line l = {.written = row->written, .trace = s->trace.index, .file = row->file, .row = i};
        LOOM_TRY(loom_grow(&b->rows.all, &b->rows.cap, b->rows.n + 1, sizeof *b->rows.all, &b->err));
        l.at = b->rows.text.len;
        loom_sample_row_text(&b->rows.text, w->world, &s->trace, row);
        l.len = (uint32_t)(b->rows.text.len - l.at);
        b->rows.all[b->rows.n++] = l;
    }
    return LOOM_OK;
}

static void count_trace(loom_sample_totals *t, const loom_sample_trace *trace, const loom_sample_rows *rows)
{
    t->traces++;
    t->calls += trace->n_calls;
    t->rows += rows->n;
    t->depths[loom_min_i64(trace->depth, 15)]++;
    for (int q = 0; q < LOOM_SAMPLE_QUIRKS; q++) t->quirks[q] += (rows->quirks >> q) & 1;
}

static void make_block(void *arg, int64_t item, int thread)
{
    writer *w = arg;
    block *b = &w->blocks[item];
    struct scratch *s = &w->scratch[thread];
    int64_t first = (w->first + item) * BLOCK, last = loom_min_i64(first + BLOCK, w->n_traces);
    forget_lines(&b->rows);
    loom_buf_reset(&b->truth);
    b->totals = (loom_sample_totals){0};
    b->st = LOOM_OK;
    for (int64_t i = first; i < last && b->st == LOOM_OK; i++) {
        if (!loom_sample_draw(w->world, w->order[i].trace, &s->trace)) {
            b->st = loom_fail_nomem(&b->err, "a trace");
            break;
        }
        loom_sample_rows_make(w->world, &s->trace, &s->rows);
        count_trace(&b->totals, &s->trace, &s->rows);
        b->st = add_rows(w, b, s);
        if (w->truth && b->st == LOOM_OK)
            b->totals.clean += loom_sample_truth_line(&b->truth, w->world, w->truth, &s->trace, &s->rows, &s->arena);
    }
    if (b->rows.n) qsort(b->rows.all, b->rows.n, sizeof *b->rows.all, compare_lines);
    b->totals.bytes = (int64_t)b->rows.text.len;
}

/* ---- writing in order ---- */

static loom_status flush(writer *w, loom_err *err)
{
    if (w->out.len) LOOM_TRY(loom_out_write(w->files[w->out_file], w->out.data, w->out.len, err));
    loom_buf_reset(&w->out);
    return LOOM_OK;
}

static loom_status put_line(writer *w, const line *l, const char *text, loom_err *err)
{
    if (l->file != w->out_file || w->out.len > (1u << 20)) LOOM_TRY(flush(w, err));
    w->out_file = l->file;
    loom_buf_append(&w->out, text, l->len);
    return LOOM_OK;
}

/* Merges the waiting lines with a block's; what comes before `until` (the earliest that later blocks can bring) is
 * written, the rest waits. */
static loom_status merge(writer *w, const lines *rows, const line *until, loom_err *err)
{
    size_t i = 0, k = 0;
    forget_lines(&w->spare);
    while (i < w->waiting.n || k < rows->n) {
        bool old = k == rows->n || (i < w->waiting.n && compare_lines(&w->waiting.all[i], &rows->all[k]) < 0);
        const lines *from = old ? &w->waiting : rows;
        const line *l = &from->all[old ? i++ : k++];
        bool ripe = !until || compare_lines(l, until) < 0;
        LOOM_TRY(ripe ? put_line(w, l, from->text.data + l->at, err)
                      : add_line(&w->spare, l, from->text.data + l->at, err));
    }
    lines t = w->waiting;
    w->waiting = w->spare;
    w->spare = t;
    return LOOM_OK;
}

static void add_totals(loom_sample_totals *to, const loom_sample_totals *from)
{
    to->traces += from->traces;
    to->calls += from->calls;
    to->rows += from->rows;
    to->bytes += from->bytes;
    to->clean += from->clean;
    for (int i = 0; i < LOOM_SAMPLE_QUIRKS; i++) to->quirks[i] += from->quirks[i];
    for (int i = 0; i < 16; i++) to->depths[i] += from->depths[i];
}

static loom_status write_block(writer *w, block *b, int64_t number, loom_sample_totals *totals, loom_err *err)
{
    const loom_sample_conf *c = &w->world->conf;
    int64_t next = (number + 1) * BLOCK;
    line until = {0};
    if (b->st != LOOM_OK) return loom_fail(err, b->st, "%s", b->err.msg);
    if (next < w->n_traces) {
        until.written = w->order[next].at;
        until.file = loom_sample_file_at(c, until.written);
        until.trace = -1;
    }
    LOOM_TRY(merge(w, &b->rows, next < w->n_traces ? &until : NULL, err));
    if (w->truth) LOOM_TRY(loom_out_write(w->files[w->world->conf.n_files], b->truth.data, b->truth.len, err));
    add_totals(totals, &b->totals);
    return LOOM_OK;
}

static int compare_arrivals(const void *a, const void *b)
{
    const arrival *x = a, *y = b;
    if (x->at != y->at) return x->at < y->at ? -1 : 1;
    return (x->trace > y->trace) - (x->trace < y->trace);
}

static loom_status sort_arrivals(writer *w, loom_err *err)
{
    if (!(w->order = loom_alloc((size_t)w->n_traces, sizeof *w->order)))
        return loom_fail_nomem(err, "order of the traces");
    for (int64_t i = 0; i < w->n_traces; i++) w->order[i] = (arrival){loom_sample_arrival(w->world, i), i};
    qsort(w->order, (size_t)w->n_traces, sizeof *w->order, compare_arrivals);
    return LOOM_OK;
}

static loom_status write_all(writer *w, loom_sample_totals *totals, loom_pool *pool, int64_t wave,
                             const loom_sample_hooks *hooks, loom_err *err)
{
    int64_t n_blocks = (w->n_traces + BLOCK - 1) / BLOCK;
    for (w->first = 0; w->first < n_blocks; w->first += wave) {
        int64_t n = loom_min_i64(wave, n_blocks - w->first);
        if (loom_stop_requested()) return loom_fail(err, LOOM_STATUS_INTERRUPT, "stopped; no sample was written");
        loom_pool_for(pool, n, make_block, w);
        for (int64_t i = 0; i < n; i++) LOOM_TRY(write_block(w, &w->blocks[i], w->first + i, totals, err));
        if (hooks && hooks->progress) hooks->progress(hooks->arg, totals->traces);
    }
    return flush(w, err);
}

/* ---- files ---- */

/* Files of another sample in the folder would be read together with this one. */
static loom_status check_folder(const char *dir, int64_t n_files, bool force, loom_err *err)
{
    char **paths = NULL;
    size_t n = 0;
    loom_status st = LOOM_OK;
    if (!loom_file_is_dir(dir)) return LOOM_OK;
    LOOM_TRY(loom_list_files(&paths, &n, dir, ".csv", err));
    for (size_t i = 0; i < n && st == LOOM_OK; i++) {
        const char *slash = strrchr(paths[i], '/'), *name = slash ? slash + 1 : paths[i];
        int64_t number = 0;
        size_t len = strlen(name);
        if (strncmp(name, "CallGraph_", 10) != 0 || !loom_parse_i64(name + 10, len - 14, &number)) continue;
        if (!force)
            st = loom_fail(err, LOOM_STATUS_ARG, "%s already holds %s; give --force or another folder", dir, name);
        else if (number >= n_files)
            st = loom_fail(err, LOOM_STATUS_IO,
                           "%s holds %s of another sample, which would be read with this one; remove it", dir, name);
    }
    loom_free_list(paths, n);
    return st;
}

static loom_status open_in(loom_out **out, const char *dir, bool force, loom_err *err, const char *name)
{
    loom_buf path = {0};
    loom_buf_printf(&path, "%s/%s", dir, name);
    loom_status st = loom_out_open(out, path.data, force, err);
    loom_buf_release(&path);
    return st;
}

static loom_status open_files(writer *w, const char *dir, bool force, loom_err *err)
{
    int64_t n = w->world->conf.n_files;
    char name[64];
    if (!(w->files = loom_calloc((size_t)n + 2, sizeof *w->files))) return loom_fail_nomem(err, "sample files");
    for (int64_t i = 0; i < n; i++) {
        snprintf(name, sizeof name, "CallGraph_%lld.csv", (long long)i);
        LOOM_TRY(open_in(&w->files[i], dir, force, err, name));
        LOOM_TRY(loom_out_write(w->files[i], LOOM_SAMPLE_HEADER, strlen(LOOM_SAMPLE_HEADER), err));
    }
    return w->truth ? open_in(&w->files[n], dir, force, err, "truth.jsonl") : LOOM_OK;
}

static loom_status write_templates(writer *w, const char *dir, bool force, loom_err *err)
{
    loom_buf text = {0};
    loom_out **out = &w->files[w->world->conf.n_files + 1];
    loom_sample_templates_json(&text, w->world, w->truth);
    loom_status st = open_in(out, dir, force, err, "templates.json");
    if (st == LOOM_OK) st = loom_out_write(*out, text.data, text.len, err);
    loom_buf_release(&text);
    return st;
}

static loom_status commit_files(writer *w, const loom_sample_totals *totals, const loom_sample_hooks *hooks,
                                loom_err *err)
{
    size_t n = (size_t)w->world->conf.n_files + 2;
    return hooks && hooks->commit ? hooks->commit(hooks->arg, totals, w->files, n, err)
                                  : loom_out_commit_all(w->files, n, err);
}

static void release_lines(lines *l)
{
    free(l->all);
    loom_buf_release(&l->text);
}

static void release(writer *w, int64_t wave, int n_threads)
{
    for (int64_t i = 0; w->blocks && i < wave; i++) {
        release_lines(&w->blocks[i].rows);
        loom_buf_release(&w->blocks[i].truth);
    }
    for (int i = 0; w->scratch && i < n_threads; i++) {
        loom_sample_trace_release(&w->scratch[i].trace);
        loom_sample_rows_release(&w->scratch[i].rows);
        loom_arena_release(&w->scratch[i].arena);
    }
    for (int64_t i = 0; w->files && i < w->world->conf.n_files + 2; i++) loom_out_abandon(&w->files[i]);
    release_lines(&w->waiting);
    release_lines(&w->spare);
    loom_buf_release(&w->out);
    free(w->files);
    free(w->blocks);
    free(w->scratch);
    free(w->order);
}

loom_status loom_sample_write(loom_sample_totals *totals, const loom_sample_world *world, const char *dir, bool truth,
                              bool force, loom_pool *pool, const loom_sample_hooks *hooks, loom_err *err)
{
    writer w = {.world = world, .n_traces = world->conf.n_traces};
    loom_sample_truth *known = NULL;
    loom_sample_totals sum = {0};
    int n_threads = loom_pool_threads(pool);
    int64_t wave = 2 * (int64_t)n_threads;
    loom_status st;

    if ((st = check_folder(dir, world->conf.n_files, force, err)) != LOOM_OK) goto done;
    if ((st = loom_make_dirs(dir, err)) != LOOM_OK) goto done;
    w.blocks = loom_calloc((size_t)wave, sizeof *w.blocks);
    w.scratch = loom_calloc((size_t)n_threads, sizeof *w.scratch);
    if (!w.blocks || !w.scratch) {
        st = loom_fail_nomem(err, "sample traces");
        goto done;
    }
    if (truth && (st = loom_sample_truth_new(&known, world, pool, err)) != LOOM_OK) goto done;
    w.truth = known;
    if ((st = sort_arrivals(&w, err)) != LOOM_OK) goto done;
    if ((st = open_files(&w, dir, force, err)) != LOOM_OK) goto done;
    if ((st = write_all(&w, &sum, pool, wave, hooks, err)) != LOOM_OK) goto done;
    if (truth && (st = write_templates(&w, dir, force, err)) != LOOM_OK) goto done;
    if ((st = commit_files(&w, &sum, hooks, err)) != LOOM_OK) goto done;
    *totals = sum;
done:
    release(&w, wave, n_threads);
    loom_sample_truth_free(known, world);
    return st;
}
