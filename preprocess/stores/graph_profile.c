#include "preprocess/stores/graph_profile.h"

#include <stdlib.h>
#include <string.h>

#include "core/compare.h"
#include "core/nomem.h"
#include "core/num.h"
#include "trace/graph/record.h"

enum { REPEAT_WINDOW = 256 };

/* What memory runs out for is left out of a profile; loom_graph_profile_finish tells. */

/* ---- tallies ---- */

void loom_value_counts_add(loom_value_counts *t, int64_t value)
{
    if (value >= 0 && value < LOOM_VALUE_COUNTS_SMALL) {
        if (!t->small && !(t->small = loom_calloc(LOOM_VALUE_COUNTS_SMALL, sizeof *t->small))) return;
        t->small[value]++;
    } else {
        if (loom_grow(&t->others, &t->cap_others, t->n_others + 1, sizeof *t->others, NULL) != LOOM_OK) return;
        t->others[t->n_others++] = value;
    }
    t->n++; /* counts what was kept */
    t->sum += (double)value;
}

void loom_value_counts_merge(loom_value_counts *into, const loom_value_counts *from)
{
    for (int64_t v = 0; from->small && v < LOOM_VALUE_COUNTS_SMALL; v++) {
        if (!from->small[v]) continue;
        loom_value_counts_add(into, v);
        if (!into->small) return;
        into->small[v] += from->small[v] - 1;
        into->n += from->small[v] - 1;
        into->sum += (double)v * (double)(from->small[v] - 1);
    }
    for (size_t i = 0; i < from->n_others; i++) loom_value_counts_add(into, from->others[i]);
}

int64_t loom_value_counts_quantile(loom_value_counts *t, double share)
{
    if (t->n == 0) return 0;
    int64_t want = (int64_t)(share * (double)t->n), seen = 0; /* values below the one looked for */
    size_t i = 0;
    if (want >= t->n) want = t->n - 1;
    if (t->n_others) qsort(t->others, t->n_others, sizeof *t->others, loom_compare_i64);
    for (; i < t->n_others && t->others[i] < 0; i++)
        if (seen++ == want) return t->others[i];
    for (int64_t v = 0; t->small && v < LOOM_VALUE_COUNTS_SMALL; v++)
        if ((seen += t->small[v]) > want) return v;
    return t->others[i + (size_t)(want - seen)];
}

int64_t loom_value_counts_count(const loom_value_counts *t, int64_t value) { return t->small ? t->small[value] : 0; }
int64_t loom_value_counts_max(loom_value_counts *t) { return loom_value_counts_quantile(t, 1); }
double loom_value_counts_mean(const loom_value_counts *t) { return t->n ? t->sum / (double)t->n : 0; }

void loom_value_counts_release(loom_value_counts *t)
{
    free(t->small);
    free(t->others);
    *t = (loom_value_counts){0};
}

/* ---- counters ---- */

int64_t loom_counter_add(loom_counter *c, const char *text, size_t len, int64_t n)
{
    size_t before = c->texts.n;
    if (loom_grow(&c->counts, &c->cap, before + 1, sizeof *c->counts, NULL) != LOOM_OK) return -1;
    int64_t id = loom_intern_add(&c->texts, text, len);
    if (id < 0) return -1;
    if (c->texts.n > before) c->counts[id] = 0;
    c->counts[id] += n;
    return id;
}

void loom_counter_merge(loom_counter *into, const loom_counter *from)
{
    for (size_t i = 0; i < from->texts.n; i++)
        loom_counter_add(into, loom_intern_text(&from->texts, (int64_t)i), loom_intern_len(&from->texts, (int64_t)i),
                         from->counts[i]);
}

double loom_counter_top_share(const loom_counter *c, size_t k)
{
    int64_t *sorted = loom_alloc(c->texts.n, sizeof *sorted), sum = 0, top = 0;
    if (!sorted) return 0;
    for (size_t i = 0; i < c->texts.n; i++) sum += sorted[i] = c->counts[i];
    qsort(sorted, c->texts.n, sizeof *sorted, loom_compare_i64);
    for (size_t i = 0; i < k && i < c->texts.n; i++) top += sorted[c->texts.n - 1 - i];
    free(sorted);
    return sum ? (double)top / (double)sum : 0;
}

void loom_counter_release(loom_counter *c)
{
    loom_intern_release(&c->texts);
    free(c->counts);
    *c = (loom_counter){0};
}

/* ---- profiles ---- */

bool loom_graph_profile_init(loom_graph_profile *p)
{
    *p = (loom_graph_profile){0};
    p->stats = loom_stats_new();
    return p->stats != NULL;
}

static void add_call(loom_graph_profile *p, const loom_call *c, bool is_leaf)
{
    int32_t depth = c->n_id <= LOOM_GRAPH_PROFILE_DEPTHS ? c->n_id : 0;
    loom_value_counts_add(&p->rt[c->type], c->rt);
    p->types_at[0][c->type]++;
    if (depth) p->types_at[depth][c->type]++;
    if (depth && is_leaf && (c->type == LOOM_CALL_RPC || c->type == LOOM_CALL_HTTP)) p->leaves_at[depth]++;
    p->self_calls += strcmp(c->source, c->destination) == 0;
    loom_buf_reset(&p->scratch);
    loom_buf_str(&p->scratch, c->source);
    loom_buf_char(&p->scratch, '|');
    loom_buf_str(&p->scratch, loom_call_type_name(c->type));
    loom_buf_char(&p->scratch, '|');
    loom_buf_str(&p->scratch, c->destination);
    loom_counter_add(&p->communications, p->scratch.data, p->scratch.len, 1);
}

static bool same_communication(const loom_call *a, const loom_call *b)
{
    return a->type == b->type && strcmp(a->destination, b->destination) == 0;
}

/* The children of call `parent`, which follow it among their own descendants. */
static void add_children(loom_graph_profile *p, const loom_graph *g, int32_t parent)
{
    const loom_call *up = &g->calls[parent], *before = NULL;
    int64_t last_finish = INT64_MIN;
    int32_t n = 0;
    bool repeated = false;
    for (int32_t i = parent + 1;
         i < g->n_calls && loom_id_is_prefix(up->id, up->n_id, g->calls[i].id, g->calls[i].n_id); i++) {
        const loom_call *c = &g->calls[i];
        if (c->n_id != up->n_id + 1) continue;
        n++;
        last_finish = loom_max_i64(last_finish, loom_call_finish(c));
        if (before) {
            int64_t gap = c->arrived - loom_call_finish(before);
            loom_value_counts_add(&p->gap, gap);
            p->sibling_pairs++;
            p->overlapping_pairs += gap < 0;
        }
        int32_t near = i - parent > REPEAT_WINDOW ? i - REPEAT_WINDOW : parent + 1; /* keeps broad graphs linear */
        for (int32_t k = near; k < i && !repeated; k++)
            repeated = g->calls[k].n_id == c->n_id && same_communication(&g->calls[k], c);
        before = c;
    }
    if (n == 0) return;
    loom_value_counts_add(&p->slack, loom_call_finish(up) - last_finish);
    p->sibling_groups++;
    p->repeated_groups += repeated;
}

/* Of a shape: the service it was first seen with. */
static void set_service(loom_graph_profile *p, int64_t shape, const char *name)
{
    int64_t id = loom_intern_add(&p->service_names, name, strlen(name));
    bool room = loom_grow(&p->shape_services, &p->cap_shape_services, p->shapes.texts.n, sizeof *p->shape_services,
                          NULL) == LOOM_OK;
    if (room) p->shape_services[shape] = id < 0 ? 0 : (uint32_t)id;
}

static void add_shape(loom_graph_profile *p, const loom_graph *g)
{
    loom_buf_reset(&p->scratch);
    loom_record_render_structure(&p->scratch, g);
    loom_hash128 hash = loom_hash128_of(p->scratch.data, p->scratch.len);
    size_t before = p->shapes.texts.n;
    int64_t id = loom_counter_add(&p->shapes, (const char *)&hash, sizeof hash, 1);
    if (id >= 0 && p->shapes.texts.n > before) set_service(p, id, g->service);
}

void loom_graph_profile_add(loom_graph_profile *p, const loom_graph *g)
{
    const loom_call *root = &g->calls[0];
    p->graphs++;
    p->calls += g->n_calls;
    loom_value_counts_add(&p->depth, loom_graph_depth(g));
    loom_value_counts_add(&p->edges, g->n_calls);
    loom_value_counts_add(&p->root_finish, loom_call_finish(root));
    p->http_roots += root->type == LOOM_CALL_HTTP;
    p->user_roots += strcmp(root->source, "USER") == 0;
    for (int32_t i = 0; i < g->n_calls; i++) {
        const loom_call *c = &g->calls[i];
        bool is_leaf = i + 1 == g->n_calls || !loom_id_is_prefix(c->id, c->n_id, c[1].id, c[1].n_id);
        add_call(p, c, is_leaf);
        if (!is_leaf) add_children(p, g, i);
    }
    add_shape(p, g);
    loom_stats_add(p->stats, g);
}

static void merge_shapes(loom_graph_profile *into, const loom_graph_profile *from)
{
    for (size_t i = 0; i < from->shapes.texts.n; i++) {
        const char *service = loom_intern_text(&from->service_names, from->shape_services[i]);
        size_t before = into->shapes.texts.n;
        int64_t id = loom_counter_add(&into->shapes, loom_intern_text(&from->shapes.texts, (int64_t)i),
                                      sizeof(loom_hash128), from->shapes.counts[i]);
        if (id >= 0 && into->shapes.texts.n > before) set_service(into, id, service);
    }
}

void loom_graph_profile_merge(loom_graph_profile *into, const loom_graph_profile *from)
{
    if (loom_nomem_seen()) return;
    into->graphs += from->graphs;
    into->invalid += from->invalid;
    into->calls += from->calls;
    loom_value_counts_merge(&into->depth, &from->depth);
    loom_value_counts_merge(&into->edges, &from->edges);
    loom_value_counts_merge(&into->root_finish, &from->root_finish);
    loom_value_counts_merge(&into->gap, &from->gap);
    loom_value_counts_merge(&into->slack, &from->slack);
    for (int t = 0; t < LOOM_CALL_TYPES; t++) loom_value_counts_merge(&into->rt[t], &from->rt[t]);
    for (int d = 0; d <= LOOM_GRAPH_PROFILE_DEPTHS; d++) {
        into->leaves_at[d] += from->leaves_at[d];
        for (int t = 0; t < LOOM_CALL_TYPES; t++) into->types_at[d][t] += from->types_at[d][t];
    }
    into->http_roots += from->http_roots;
    into->user_roots += from->user_roots;
    into->sibling_pairs += from->sibling_pairs;
    into->overlapping_pairs += from->overlapping_pairs;
    into->sibling_groups += from->sibling_groups;
    into->repeated_groups += from->repeated_groups;
    into->self_calls += from->self_calls;
    loom_counter_merge(&into->communications, &from->communications);
    merge_shapes(into, from);
    loom_stats_merge(into->stats, from->stats);
}

static loom_status finish_names(loom_graph_profile *p, loom_err *err)
{
    for (size_t i = 0; i < p->communications.texts.n; i++) {
        const char *text = loom_intern_text(&p->communications.texts, (int64_t)i);
        const char *source_end = strchr(text, '|'), *destination = strchr(source_end + 1, '|') + 1;
        loom_counter_add(&p->microservices, destination, strlen(destination), p->communications.counts[i]);
        if (loom_intern_add(&p->names, text, (size_t)(source_end - text)) < 0 ||
            loom_intern_add(&p->names, destination, strlen(destination)) < 0)
            return loom_fail_nomem(err, "the names of the graphs");
    }
    return LOOM_OK;
}

static loom_status finish_shapes(loom_graph_profile *p, loom_err *err)
{
    size_t n = p->service_names.n;
    int64_t *shapes = loom_calloc(n, sizeof *shapes), *most = loom_calloc(n, sizeof *most);
    if (!shapes || !most) {
        free(shapes);
        free(most);
        return loom_fail_nomem(err, "the shapes of the graphs");
    }
    for (size_t i = 0; i < p->shapes.texts.n; i++) {
        uint32_t s = p->shape_services[i];
        shapes[s]++;
        most[s] = loom_max_i64(most[s], p->shapes.counts[i]);
    }
    for (size_t s = 0; s < n; s++) {
        loom_value_counts_add(&p->shapes_per_service, shapes[s]);
        loom_value_counts_add(&p->dominant_share,
                              most[s] * 1000 /
                                  loom_stats_service_graphs(p->stats, loom_intern_text(&p->service_names, (int64_t)s)));
    }
    free(shapes);
    free(most);
    return LOOM_OK;
}

loom_status loom_graph_profile_finish(loom_graph_profile *p, loom_err *err)
{
    LOOM_TRY(loom_nomem_check("a profile of the graphs", err));
    LOOM_TRY(loom_stats_finish(p->stats, err));
    LOOM_TRY(finish_names(p, err));
    LOOM_TRY(finish_shapes(p, err));
    return loom_nomem_check("a profile of the graphs", err);
}

bool loom_graph_profile_is_rare(const loom_graph_profile *p, const loom_graph *g, bool *judged)
{
    *judged = loom_stats_service_graphs(p->stats, g->service) >= LOOM_STATS_MIN_GRAPHS;
    for (int32_t i = 0; i < g->n_calls; i++) {
        const loom_call *c = &g->calls[i];
        if (loom_stats_is_rare(p->stats, g->service, c->source, c->type, c->destination)) return true;
    }
    return false;
}

void loom_graph_profile_release(loom_graph_profile *p)
{
    loom_value_counts *tallies[] = {
        &p->depth, &p->edges, &p->root_finish, &p->gap, &p->slack, &p->shapes_per_service, &p->dominant_share};
    for (size_t i = 0; i < sizeof tallies / sizeof *tallies; i++) loom_value_counts_release(tallies[i]);
    for (int t = 0; t < LOOM_CALL_TYPES; t++) loom_value_counts_release(&p->rt[t]);
    loom_counter_release(&p->communications);
    loom_counter_release(&p->microservices);
    loom_counter_release(&p->shapes);
    loom_intern_release(&p->service_names);
    loom_intern_release(&p->names);
    loom_stats_free(p->stats);
    free(p->shape_services);
    loom_buf_release(&p->scratch);
    *p = (loom_graph_profile){0};
}
