#include "eval/likeness/graph_counts.h"

#include <string.h>

#include "core/num.h"
#include "eval/answers/graphs.h"
#include "eval/baselines/call_table.h"
#include "trace/text/grammar.h"

const char *const loom_field_names[LOOM_FIELDS] = {"in_degree", "out_degree", "response_time"};

void loom_vocabulary_release(loom_vocabulary *words)
{
    loom_intern_release(&words->calls);
    loom_intern_release(&words->nodes);
}

void loom_graph_counts_release(loom_graph_counts *c)
{
    free(c->first);
    free(c->call);
    free(c->node);
    free(c->from);
    for (int f = 0; f < LOOM_FIELDS; f++) {
        free(c->field[f].first);
        free(c->field[f].v);
    }
    *c = (loom_graph_counts){0};
}

static loom_status add_sample(loom_samples *s, double v, loom_err *err)
{
    LOOM_TRY(loom_grow(&s->v, &s->cap, s->n + 1, sizeof *s->v, err));
    s->v[s->n++] = v;
    return LOOM_OK;
}

static loom_status end_graph(loom_samples *s, int64_t graph, loom_err *err)
{
    LOOM_TRY(loom_grow(&s->first, &s->cap_first, (size_t)graph + 2, sizeof *s->first, err));
    s->first[0] = 0;
    s->first[graph + 1] = (int64_t)s->n;
    return LOOM_OK;
}

/* Graphs are small (tens of calls), so a table of pairs searched from the front beats hashing. */
typedef struct degree {
    int32_t node; /* -1: USER */
    int32_t in, out;
} degree;

static degree *degree_of(degree *list, int32_t *n, int32_t node)
{
    for (int32_t i = 0; i < *n; i++)
        if (list[i].node == node) return &list[i];
    list[*n] = (degree){.node = node};
    return &list[(*n)++];
}

/* *id: -1 for USER. False: no memory. */
static bool node_id(int32_t *id, loom_vocabulary *words, const char *name)
{
    *id = -1;
    if (strcmp(name, LOOM_TEXT_USER) == 0) return true;
    *id = (int32_t)loom_intern_add(&words->nodes, name, strlen(name));
    return *id >= 0;
}

loom_status loom_graph_counts_add(loom_graph_counts *c, loom_vocabulary *words, const loom_graph *g, bool with_user,
                                  loom_err *err)
{
    size_t edges = (size_t)c->n_edges + (size_t)g->n_calls;
    LOOM_TRY(loom_grow(&c->first, &c->cap_first, (size_t)c->n_graphs + 2, sizeof *c->first, err));
    LOOM_TRY(loom_grow(&c->call, &c->cap_call, edges, sizeof *c->call, err));
    LOOM_TRY(loom_grow(&c->node, &c->cap_node, edges, sizeof *c->node, err));
    LOOM_TRY(loom_grow(&c->from, &c->cap_from, edges, sizeof *c->from, err));
    degree *degrees = loom_alloc(2 * (size_t)g->n_calls, sizeof *degrees);
    loom_status st = LOOM_OK;
    loom_buf key = {0};
    int32_t n = 0;
    if (!degrees) return loom_fail_nomem(err, "a corpus");
    c->first[0] = 0;
    c->with_user = with_user;
    for (int32_t i = 0; i < g->n_calls && st == LOOM_OK; i++) {
        const loom_call *call = &g->calls[i];
        loom_buf_reset(&key);
        loom_buf_printf(&key, "%s,%s,%s", call->source, call->destination, loom_call_type_name(call->type));
        int32_t node, from;
        int64_t id = loom_buf_failed(&key) ? -1 : loom_intern_add(&words->calls, key.data, key.len);
        if (id < 0 || !node_id(&node, words, call->destination) || !node_id(&from, words, call->source)) {
            st = loom_fail_nomem(err, "a corpus");
            break;
        }
        c->from[c->n_edges] = from;
        c->call[c->n_edges] = (int32_t)id;
        c->node[c->n_edges++] = node;
        degree_of(degrees, &n, node)->in++;
        degree_of(degrees, &n, from)->out++;
        st = add_sample(&c->field[LOOM_FIELD_TIME], (double)call->rt, err);
    }
    for (int32_t i = 0; i < n && st == LOOM_OK; i++) {
        bool user = degrees[i].node < 0;
        if (!user) st = add_sample(&c->field[LOOM_FIELD_IN], degrees[i].in, err);
        if (st == LOOM_OK && (!user || with_user)) st = add_sample(&c->field[LOOM_FIELD_OUT], degrees[i].out, err);
    }
    for (int f = 0; f < LOOM_FIELDS && st == LOOM_OK; f++) st = end_graph(&c->field[f], c->n_graphs, err);
    c->first[++c->n_graphs] = c->n_edges;
    loom_buf_release(&key);
    free(degrees);
    return st;
}

typedef struct table_job {
    loom_graph_counts *c;
    loom_vocabulary *words;
} table_job;

static loom_status add_call(void *arg, const loom_call *call, loom_err *err)
{
    table_job *j = arg;
    loom_call one = *call;
    j->c->n_read++;
    return loom_graph_counts_add(j->c, j->words, &(loom_graph){.service = "", .calls = &one, .n_calls = 1}, false, err);
}

loom_status loom_graph_counts_load(loom_graph_counts *c, loom_vocabulary *words, const char *path, int64_t limit,
                                   bool with_user, loom_err *err)
{
    loom_graphs *in = NULL;
    loom_graph g;
    bool more;
    LOOM_TRY(loom_call_table_is(&c->calls_only, path, err));
    if (c->calls_only) return loom_call_table_read(path, add_call, &(table_job){c, words}, err);
    loom_status st = loom_graphs_open(&in, path, err);
    for (int64_t n = 0; st == LOOM_OK && (limit == 0 || n < limit); n++) {
        if ((st = loom_graphs_next(in, &g, &more, err)) != LOOM_OK || !more) break;
        st = loom_graph_counts_add(c, words, &g, with_user, err);
    }
    if (in) {
        c->n_read += loom_graphs_read(in);
        c->n_rejected += loom_graphs_rejected(in);
    }
    loom_graphs_close(&in);
    return st;
}

void loom_graph_counts_calls(const loom_graph_counts *c, const int64_t *index, int64_t n, int64_t *counts,
                             int64_t n_calls)
{
    memset(counts, 0, (size_t)n_calls * sizeof *counts);
    for (int64_t i = 0; i < (index ? n : c->n_graphs); i++) {
        int64_t g = index ? index[i] : i;
        for (int64_t e = c->first[g]; e < c->first[g + 1]; e++) counts[c->call[e]]++;
    }
}

void loom_graph_counts_nodes(const loom_graph_counts *c, const int64_t *index, int64_t n, int64_t *counts,
                             int64_t n_nodes)
{
    memset(counts, 0, (size_t)n_nodes * sizeof *counts);
    for (int64_t i = 0; i < (index ? n : c->n_graphs); i++) {
        int64_t g = index ? index[i] : i;
        for (int64_t e = c->first[g]; e < c->first[g + 1]; e++)
            if (c->node[e] >= 0) counts[c->node[e]]++;
    }
}

loom_graph_counts loom_graph_counts_head(const loom_graph_counts *c, int64_t n)
{
    loom_graph_counts head = *c;
    if (n >= c->n_graphs) return head;
    head.n_graphs = n;
    head.n_edges = c->first[n];
    for (int f = 0; f < LOOM_FIELDS; f++) head.field[f].n = (size_t)c->field[f].first[n];
    return head;
}

int64_t loom_graph_counts_degrees(const loom_graph_counts *c, const int64_t *index, int64_t n, loom_field field,
                                  double *out, int64_t n_nodes)
{
    int64_t graphs = index ? n : c->n_graphs, used = 0;
    int64_t *count = loom_calloc((size_t)n_nodes + 1, sizeof *count); /* the last one is USER's */
    bool *occurs = loom_calloc((size_t)n_nodes + 1, sizeof *occurs);
    if (!count || !occurs) { /* core/nomem.h keeps it out of every result, here and below */
        free(count);
        free(occurs);
        return 0;
    }
    for (int64_t i = 0; i < graphs; i++) {
        int64_t g = index ? index[i] : i;
        for (int64_t e = c->first[g]; e < c->first[g + 1]; e++) {
            int32_t to = c->node[e], from = c->from[e];
            occurs[to < 0 ? n_nodes : to] = occurs[from < 0 ? n_nodes : from] = true;
            int32_t counted = field == LOOM_FIELD_IN ? to : from;
            count[counted < 0 ? n_nodes : counted]++;
        }
    }
    if (field == LOOM_FIELD_IN || !c->with_user) occurs[n_nodes] = false;
    for (int64_t i = 0; i <= n_nodes; i++)
        if (occurs[i]) out[used++] = (double)count[i] / (double)graphs;
    free(count);
    free(occurs);
    return used;
}

typedef struct popular {
    int64_t count, id;
    const char *text;
} popular;

static int by_popularity(const void *pa, const void *pb)
{
    const popular *a = pa, *b = pb;
    if (a->count != b->count) return a->count > b->count ? -1 : 1;
    return strcmp(a->text, b->text);
}

int64_t loom_graph_counts_top_calls(const loom_vocabulary *words, const int64_t *counts, int64_t *ids, int64_t n)
{
    int64_t all = (int64_t)words->calls.n, used = 0;
    popular *list = loom_alloc((size_t)all, sizeof *list);
    if (!list) return 0;
    for (int64_t i = 0; i < all; i++)
        if (counts[i] > 0) list[used++] = (popular){counts[i], i, loom_intern_text(&words->calls, i)};
    qsort(list, (size_t)used, sizeof *list, by_popularity);
    if (used > n) used = n;
    for (int64_t i = 0; i < used; i++) ids[i] = list[i].id;
    free(list);
    return used;
}

void loom_graph_counts_shuffle(int64_t *index, int64_t n, loom_rng *rng)
{
    for (int64_t i = 0; i < n; i++) index[i] = i;
    loom_rng_shuffle(rng, index, (size_t)n, sizeof *index);
}

void loom_graph_counts_group(loom_graph_counts_groups *out, int64_t n_graphs, uint64_t seed)
{
    loom_rng rng;
    int64_t n = loom_min_i64(n_graphs, LOOM_GRAPH_COUNTS_GROUPS);
    *out = (loom_graph_counts_groups){n, loom_alloc((size_t)n + 1, sizeof *out->first),
                                      loom_alloc((size_t)n_graphs, sizeof *out->order)};
    if (!out->first || !out->order) return;
    for (int64_t i = 0; i < n_graphs; i++) out->order[i] = i;
    loom_rng_seed(&rng, seed, "groups", 0);
    if (n < n_graphs) loom_rng_shuffle(&rng, out->order, (size_t)n_graphs, sizeof *out->order);
    for (int64_t k = 0; k <= n; k++) out->first[k] = n ? k * n_graphs / n : 0;
}

void loom_graph_counts_groups_release(loom_graph_counts_groups *g)
{
    free(g->first);
    free(g->order);
    *g = (loom_graph_counts_groups){0};
}
