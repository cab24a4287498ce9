/* Call graphs as NumPy arrays, read by a reader of the test's own, and the graphs put together again from them. */
#include <unistd.h>

#include "core/buf.h"
#include "core/escape.h"
#include "core/file.h"
#include "core/num.h"
#include "infer/formats/graphsink.h"
#include "test.h"
#include "trace_random.h"

enum { GRAPHS = 60 };

typedef struct array {
    loom_buf file;
    int64_t rows, columns; /* columns 0: a plain list */
    const int64_t *v;
    int64_t n;
} array;

static char folder[] = "/tmp/loom-npy.XXXXXX";

/* numpy.lib.format, version 1.0, of what is written here alone */
static bool read_array(array *a, const char *name)
{
    char path[200], shape[100];
    int rows_only = 0;
    loom_err err;

    *a = (array){0};
    snprintf(path, sizeof path, "%s/out/%s", folder, name);
    if (loom_file_read(&a->file, path, 1 << 24, &err) != LOOM_OK || a->file.len < 64) return false;
    const unsigned char *f = (const unsigned char *)a->file.data;
    size_t head = 10 + f[8] + 256u * f[9];
    if (memcmp(f, "\x93NUMPY\x01\x00", 8) != 0 || head % 64 != 0 || head > a->file.len || f[head - 1] != '\n')
        return false;
    snprintf(shape, sizeof shape, "%.*s", (int)(head - 10), a->file.data + 10);
    long long r = 0, c = 0;
    if (sscanf(shape, "{'descr': '<i8', 'fortran_order': False, 'shape': (%lld, %lld), }", &r, &c) != 2) {
        rows_only = sscanf(shape, "{'descr': '<i8', 'fortran_order': False, 'shape': (%lld,), }", &r);
        if (rows_only != 1) return false;
    }
    a->rows = r;
    a->columns = c;
    a->n = r * (c ? c : 1);
    a->v = (const int64_t *)(const void *)(a->file.data + head);
    return a->file.len == head + (size_t)a->n * 8;
}

typedef struct arrays {
    array index, attr, parent, edge_ptr, node, node_ptr, graph;
    loom_buf names;
    char *name[4000];
    int64_t n_names;
} arrays;

static bool read_all(arrays *x)
{
    char path[200];
    loom_err err;

    snprintf(path, sizeof path, "%s/out/names.txt", folder);
    bool good = read_array(&x->index, "edge_index.npy") && read_array(&x->attr, "edge_attr.npy") &&
                read_array(&x->parent, "edge_parent.npy") && read_array(&x->edge_ptr, "edge_ptr.npy") &&
                read_array(&x->node, "node_name.npy") && read_array(&x->node_ptr, "node_ptr.npy") &&
                read_array(&x->graph, "graph_attr.npy") && loom_file_read(&x->names, path, 1 << 24, &err) == LOOM_OK;
    for (char *at = x->names.data, *end;
         good && (end = memchr(at, '\n', x->names.len - (size_t)(at - x->names.data)));) {
        loom_buf plain = {0};
        loom_unquote(&plain, at, (size_t)(end - at));
        x->name[x->n_names++] = loom_buf_take(&plain);
        at = end + 1;
        if (at == x->names.data + x->names.len) break;
    }
    return good;
}

static void release_all(arrays *x)
{
    array *all[] = {&x->index, &x->attr, &x->parent, &x->edge_ptr, &x->node, &x->node_ptr, &x->graph};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) loom_buf_release(&all[i]->file);
    for (int64_t i = 0; i < x->n_names; i++) free(x->name[i]);
    loom_buf_release(&x->names);
}

static const char *node_name(const arrays *x, int64_t node) { return x->name[x->node.v[node]]; }

static void check_graph(const arrays *x, int64_t number, const loom_graph *g)
{
    int64_t first = x->edge_ptr.v[number], E = x->index.columns;

    CHECK_I64(x->edge_ptr.v[number + 1] - first, g->n_calls);
    CHECK_STR(x->name[x->graph.v[2 * number]], g->service);
    CHECK_I64(x->graph.v[2 * number + 1], g->time_of_day);
    for (int32_t i = 0; i < g->n_calls; i++) {
        const loom_call *c = &g->calls[i];
        const int64_t e = first + i, *a = x->attr.v + 4 * e, parent = loom_graph_parent(g, i);
        int64_t from = x->index.v[e], to = x->index.v[E + e];

        CHECK(from >= x->node_ptr.v[number] && from < x->node_ptr.v[number + 1]);
        CHECK(to >= x->node_ptr.v[number] && to < x->node_ptr.v[number + 1]);
        CHECK_STR(node_name(x, from), c->source);
        CHECK_STR(node_name(x, to), c->destination);
        CHECK(a[0] == c->type && a[1] == c->n_id && a[2] == c->arrived && a[3] == c->rt);
        CHECK_I64(x->parent.v[e], parent < 0 ? -1 : first + parent);
    }
}

/* No name stands twice among the nodes of a graph. */
static void check_nodes(const arrays *x)
{
    for (int64_t g = 0; g < GRAPHS; g++)
        for (int64_t i = x->node_ptr.v[g]; i < x->node_ptr.v[g + 1]; i++)
            for (int64_t j = x->node_ptr.v[g]; j < i; j++) CHECK(x->node.v[i] != x->node.v[j]);
}

static void in_out(char *path, size_t cap, const char *name) { snprintf(path, cap, "%s/out/%s", folder, name); }

TEST(graphs_come_back)
{
    loom_sink_conf conf = {.format = LOOM_FORMAT_NPY};
    static arrays x;
    loom_graph graphs[GRAPHS];
    loom_arena arena = {0};
    loom_sink *k = NULL;
    loom_err err;
    loom_rng r;
    char path[200];

    snprintf(path, sizeof path, "%s/out", folder);
    loom_rng_seed(&r, 4, "npy", 0);
    REQUIRE_OK(loom_sink_open(&k, path, &conf, &err), err);
    int64_t edges = 0;
    for (int i = 0; i < GRAPHS; i++) {
        random_graph_fill(&graphs[i], &r, &arena, 5, 4);
        graphs[i].time_of_day = i * 1000;
        if (i == 7) graphs[i].service = "odd \\ na\nme";
        edges += graphs[i].n_calls;
        REQUIRE_OK(loom_sink_put(k, &graphs[i], &err), err);
    }
    REQUIRE_OK(loom_sink_commit(&k, NULL, NULL, &err), err);
    REQUIRE(read_all(&x));
    CHECK(x.index.rows == 2 && x.index.columns == edges && x.attr.rows == edges && x.attr.columns == 4);
    CHECK(x.parent.n == edges && x.edge_ptr.n == GRAPHS + 1 && x.node_ptr.n == GRAPHS + 1 && x.graph.rows == GRAPHS);
    CHECK_I64(x.node_ptr.v[GRAPHS], x.node.n);
    CHECK(x.node_ptr.v[0] == 0 && x.edge_ptr.v[0] == 0);
    for (int i = 0; i < GRAPHS; i++) check_graph(&x, i, &graphs[i]);
    check_nodes(&x);
    release_all(&x);
    loom_arena_release(&arena);
}

TEST(whole_or_nothing)
{
    loom_sink_conf conf = {.format = LOOM_FORMAT_NPY};
    loom_sink *k = NULL;
    loom_err err;
    char path[200];

    snprintf(path, sizeof path, "%s/out", folder); /* is there, from the test before */
    CHECK(loom_sink_open(&k, path, &conf, &err) != LOOM_OK && strstr(err.msg, "edge_index.npy"));
    CHECK(loom_sink_open(&k, "-", &conf, &err) == LOOM_STATUS_ARG);
    snprintf(path, sizeof path, "%s/other", folder);
    REQUIRE_OK(loom_sink_open(&k, path, &conf, &err), err);
    loom_sink_abandon(&k);
    CHECK(!loom_file_exists(path));
}

static void clean_up(void)
{
    static const char *const files[] = {"edge_index.npy", "edge_attr.npy", "edge_parent.npy", "edge_ptr.npy",
                                        "node_name.npy",  "node_ptr.npy",  "graph_attr.npy",  "names.txt"};
    char path[200];

    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        in_out(path, sizeof path, files[i]);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/out", folder);
    rmdir(path);
    rmdir(folder);
}

TEST_MAIN(if (!mkdtemp(folder)) return 1; RUN(graphs_come_back) RUN(whole_or_nothing) clean_up();)
