#include "infer/formats/npy_sink.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/escape.h"
#include "core/hash.h"
#include "core/num.h"

/* Columns of numbers that are gathered; those of one array follow one another. */
enum { CALLERS, CALLEES, ATTRIBUTES, PARENTS, EDGE_PTR, NODE_NAMES, NODE_PTR, GRAPHS, SPOOLS };

/* Which spools make an array, and how wide its rows are. */
static const struct {
    const char *file;
    int first, n; /* spools */
    int width;    /* numbers of a row of (rows, width); 0: a plain list */
} arrays[] = {{"edge_index.npy", CALLERS, 2, 0},   {"edge_attr.npy", ATTRIBUTES, 1, 4},
              {"edge_parent.npy", PARENTS, 1, 0},  {"edge_ptr.npy", EDGE_PTR, 1, 0},
              {"node_name.npy", NODE_NAMES, 1, 0}, {"node_ptr.npy", NODE_PTR, 1, 0},
              {"graph_attr.npy", GRAPHS, 1, 2}};

enum { ARRAYS = sizeof arrays / sizeof *arrays };

typedef struct spool {
    FILE *file;
    int64_t n;
} spool;

struct loom_npy_sink {
    char *dir;
    bool made_dir;
    spool spools[SPOOLS];
    loom_out *outs[ARRAYS + 1]; /* names.txt behind the arrays */
    loom_intern names;
    int64_t *node_of; /* of each name in the graph at hand; -1: not there yet */
    size_t cap;
    int64_t edges, nodes;
};

/* ---- spools ---- */

static loom_status spool_put(spool *s, int64_t v, loom_err *err)
{
    s->n++;
    if (fwrite(&v, sizeof v, 1, s->file) == 1) return LOOM_OK;
    return loom_fail(err, LOOM_STATUS_IO, "cannot write a temporary file: %s; TMPDIR may name a place with more room",
                     strerror(errno));
}

/* ---- opening ---- */

static char *path_in(const char *dir, const char *name)
{
    loom_buf path = {0};

    loom_buf_printf(&path, "%s/%s", dir, name);
    return loom_buf_take(&path);
}

static loom_status open_out(loom_npy_sink *k, int i, const char *name, bool force, loom_err *err)
{
    char *path = path_in(k->dir, name);
    loom_status st = path ? loom_out_open(&k->outs[i], path, force, err) : loom_fail_nomem(err, "a file name");

    free(path);
    return st;
}

static loom_status open_all(loom_npy_sink *k, bool force, loom_err *err)
{
    k->made_dir = !loom_file_exists(k->dir);
    LOOM_TRY(loom_make_dirs(k->dir, err));
    for (int i = 0; i < ARRAYS; i++) LOOM_TRY(open_out(k, i, arrays[i].file, force, err));
    LOOM_TRY(open_out(k, ARRAYS, "names.txt", force, err));
    for (int i = 0; i < SPOOLS; i++)
        if (!(k->spools[i].file = tmpfile()))
            return loom_fail(err, LOOM_STATUS_IO, "cannot open a temporary file: %s", strerror(errno));
    LOOM_TRY(spool_put(&k->spools[EDGE_PTR], 0, err));
    return spool_put(&k->spools[NODE_PTR], 0, err);
}

loom_status loom_npy_sink_open(loom_npy_sink **out, const char *dir, bool force, loom_err *err)
{
    loom_npy_sink *k;
    loom_status st;

    if (strcmp(dir, "-") == 0)
        return loom_fail(err, LOOM_STATUS_ARG, "npy is a folder of arrays; name it with --output DIR");
    if (!(k = loom_calloc(1, sizeof *k)) || !(k->dir = loom_strdup(dir))) {
        free(k);
        return loom_fail_nomem(err, "an output folder");
    }
    if ((st = open_all(k, force, err)) == LOOM_OK) *out = k;
    else loom_npy_sink_abandon(&k);
    return st;
}

void loom_npy_sink_abandon(loom_npy_sink **sink)
{
    loom_npy_sink *k = *sink;

    if (!k) return;
    for (int i = 0; i <= ARRAYS; i++) loom_out_abandon(&k->outs[i]);
    for (int i = 0; i < SPOOLS; i++)
        if (k->spools[i].file) fclose(k->spools[i].file);
    if (k->made_dir) rmdir(k->dir); /* only where nothing came into it */
    loom_intern_release(&k->names);
    free(k->node_of);
    free(k->dir);
    free(k);
    *sink = NULL;
}

/* ---- graphs ---- */

static loom_status name_of(int64_t *out, loom_npy_sink *k, const char *name, loom_err *err)
{
    size_t had = k->cap;

    if ((*out = loom_intern_add(&k->names, name, strlen(name))) < 0) return loom_fail_nomem(err, "the names");
    LOOM_TRY(loom_grow(&k->node_of, &k->cap, (size_t)*out + 1, sizeof *k->node_of, err));
    for (size_t i = had; i < k->cap; i++) k->node_of[i] = -1;
    return LOOM_OK;
}

/* The node of a microservice in the graph at hand. */
static loom_status node_of(int64_t *out, loom_npy_sink *k, const char *microservice, loom_err *err)
{
    int64_t name;

    LOOM_TRY(name_of(&name, k, microservice, err));
    if (k->node_of[name] < 0) {
        k->node_of[name] = k->nodes++;
        LOOM_TRY(spool_put(&k->spools[NODE_NAMES], name, err));
    }
    *out = k->node_of[name];
    return LOOM_OK;
}

static loom_status put_call(loom_npy_sink *k, const loom_graph *g, int32_t i, loom_err *err)
{
    const loom_call *c = &g->calls[i];
    int32_t parent = loom_graph_parent(g, i);
    int64_t caller, callee, attributes[] = {c->type, c->n_id, c->arrived, c->rt};

    LOOM_TRY(node_of(&caller, k, c->source, err));
    LOOM_TRY(node_of(&callee, k, c->destination, err));
    LOOM_TRY(spool_put(&k->spools[CALLERS], caller, err));
    LOOM_TRY(spool_put(&k->spools[CALLEES], callee, err));
    for (int a = 0; a < 4; a++) LOOM_TRY(spool_put(&k->spools[ATTRIBUTES], attributes[a], err));
    return spool_put(&k->spools[PARENTS], parent < 0 ? -1 : k->edges + parent, err);
}

/* Nodes of the next graph are others. */
static void forget_nodes(loom_npy_sink *k, const loom_graph *g)
{
    for (int32_t i = 0; i < g->n_calls; i++) {
        const char *ends[] = {g->calls[i].source, g->calls[i].destination};
        for (int e = 0; e < 2; e++) k->node_of[loom_intern_find(&k->names, ends[e], strlen(ends[e]))] = -1;
    }
}

loom_status loom_npy_sink_put(loom_npy_sink *k, const loom_graph *g, loom_err *err)
{
    int64_t service;

    for (int32_t i = 0; i < g->n_calls; i++) LOOM_TRY(put_call(k, g, i, err));
    forget_nodes(k, g);
    k->edges += g->n_calls;
    LOOM_TRY(spool_put(&k->spools[EDGE_PTR], k->edges, err));
    LOOM_TRY(spool_put(&k->spools[NODE_PTR], k->nodes, err));
    LOOM_TRY(name_of(&service, k, g->service, err));
    LOOM_TRY(spool_put(&k->spools[GRAPHS], service, err));
    return spool_put(&k->spools[GRAPHS], g->time_of_day, err);
}

/* ---- files ---- */

/* Magic, version, length of the header, and the header, padded so that numbers begin at a multiple of 64 bytes. */
static loom_status write_header(loom_out *out, const loom_npy_sink *k, int i, loom_err *err)
{
    const int64_t n = k->spools[arrays[i].first].n;
    loom_buf h = {0};
    size_t len;
    loom_status st;

    loom_buf_append(&h, "\x93NUMPY\x01\x00..", 10);
    loom_buf_str(&h, "{'descr': '<i8', 'fortran_order': False, 'shape': (");
    if (arrays[i].n == 2) loom_buf_printf(&h, "2, %" PRId64, n);
    else if (arrays[i].width) loom_buf_printf(&h, "%" PRId64 ", %d", n / arrays[i].width, arrays[i].width);
    else loom_buf_printf(&h, "%" PRId64 ",", n);
    loom_buf_str(&h, "), }");
    for (size_t pad = 63 - h.len % 64; pad > 0; pad--) loom_buf_char(&h, ' ');
    loom_buf_char(&h, '\n');
    if ((st = loom_buf_check(&h, "a header", err)) == LOOM_OK) {
        len = h.len - 10;
        h.data[8] = (char)(len & 0xff);
        h.data[9] = (char)(len >> 8);
        st = loom_out_write(out, h.data, h.len, err);
    }
    loom_buf_release(&h);
    return st;
}

static loom_status copy_spool(loom_out *out, const spool *s, loom_err *err)
{
    char block[65536];
    int64_t left = s->n * (int64_t)sizeof(int64_t);

    if (fflush(s->file) || fseeko(s->file, 0, SEEK_SET))
        return loom_fail(err, LOOM_STATUS_IO, "cannot write a temporary file: %s", strerror(errno));
    while (left > 0) {
        size_t n = fread(block, 1, (size_t)loom_min_i64(left, sizeof block), s->file);
        if (n == 0) return loom_fail(err, LOOM_STATUS_IO, "a temporary file ends too early");
        LOOM_TRY(loom_out_write(out, block, n, err));
        left -= (int64_t)n;
    }
    return LOOM_OK;
}

static loom_status write_names(loom_npy_sink *k, loom_err *err)
{
    loom_buf text = {0};
    loom_status st;

    for (size_t i = 0; i < k->names.n; i++) {
        const char *name = loom_intern_text(&k->names, (int64_t)i);
        loom_quote(&text, name, strlen(name));
        loom_buf_char(&text, '\n');
    }
    if ((st = loom_buf_check(&text, "the names", err)) == LOOM_OK)
        st = loom_out_write(k->outs[ARRAYS], loom_buf_text(&text), text.len, err);
    loom_buf_release(&text);
    return st;
}

static loom_status write_all(loom_npy_sink *k, loom_err *err)
{
    for (int i = 0; i < ARRAYS; i++) {
        LOOM_TRY(write_header(k->outs[i], k, i, err));
        for (int s = 0; s < arrays[i].n; s++) LOOM_TRY(copy_spool(k->outs[i], &k->spools[arrays[i].first + s], err));
    }
    return write_names(k, err);
}

loom_status loom_npy_sink_commit(loom_npy_sink **sink, const loom_meta *meta, const loom_ctx *ctx, loom_err *err)
{
    loom_npy_sink *k = *sink;
    loom_status st = write_all(k, err);

    if (st == LOOM_OK) st = loom_meta_commit(meta, ctx, k->outs, ARRAYS + 1, meta != NULL, err);
    loom_npy_sink_abandon(sink);
    return st;
}
