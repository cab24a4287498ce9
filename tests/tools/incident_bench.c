/* incident_bench STORE [RUNS [SEED]]: does `compare` find what was done to traces? For every kind of incident RUNS
 * (200) times: 5,000 graphs of STORE as they are against 500 others with one fault put in; and as often two sets of
 * graphs without one. Prints a row for each kind: how often the place of the fault came first and among the first
 * three, and how often anything was reported where nothing was. Faults go where there is traffic: see `fits`. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/num.h"
#include "system/contrast.h"
#include "trace/graph/record.h"

enum { STEADY = 5000, INCIDENT = 500 };

typedef enum fault { SLOWER_3, SLOWER_10, LOST_SOME, LOST_ALL, ADDED, RETRIES, SERVICE_GONE, FAULTS } fault;
static const char *const fault_names[FAULTS] = {
    "operation 3 x slower", "operation 10 x slower", "dependency lost, p .3", "dependency lost, p 1",
    "dependency new",       "calls doubled",         "service gone"};

/* ---- graphs ---- */

typedef struct store {
    loom_graph *graphs;
    size_t n, cap;
    loom_arena arena;
} store;

static bool load(store *s, const char *path, loom_err *err)
{
    loom_lines *lines = NULL;
    char *line = NULL;
    size_t len;
    if (loom_lines_open(&lines, path, err) != LOOM_OK) return false;
    while (loom_lines_next(lines, &line, &len, err) == LOOM_OK && line) {
        loom_verdict why;
        if (loom_grow(&s->graphs, &s->cap, s->n + 1, sizeof *s->graphs, err) != LOOM_OK) break;
        s->n += loom_record_read(&s->graphs[s->n], &why, line, len, &s->arena);
    }
    loom_lines_close(&lines);
    return s->n >= STEADY + 2 * INCIDENT;
}

/* ---- a graph as a tree whose times can be changed ---- */

typedef struct node {
    loom_call call;
    int32_t parent, first_child, next; /* children in order of start */
    int64_t wait; /* after the sibling's finish, or (overlapping) its start, or the caller's start */
    int64_t rest; /* after the last child has finished */
    bool overlaps;
} node;

typedef struct tree {
    node *nodes;
    int32_t n, cap;
    loom_arena *arena;
    const loom_graph *g;
} tree;

static int32_t add_node(tree *t)
{
    if (t->n == t->cap) {
        int32_t cap = 2 * t->cap + 64;
        node *nodes = loom_arena_alloc(t->arena, (size_t)cap * sizeof *nodes);
        if (t->n) memcpy(nodes, t->nodes, (size_t)t->n * sizeof *nodes);
        t->nodes = nodes;
        t->cap = cap;
    }
    t->nodes[t->n] = (node){.first_child = -1, .next = -1, .parent = -1};
    return t->n++;
}

static void take_apart(tree *t, const loom_graph *g, loom_arena *arena)
{
    loom_call_tree in = {0};
    *t = (tree){.arena = arena, .g = g};
    if (!loom_call_tree_fill(&in, g)) exit(1);
    for (int32_t i = 0; i < g->n_calls; i++) {
        int32_t at = add_node(t); /* may move the nodes */
        t->nodes[at].call = g->calls[i];
    }
    for (int32_t i = 0; i < g->n_calls; i++) {
        node *up = &t->nodes[i];
        int64_t finish = up->call.arrived;
        int32_t before = -1;
        for (int32_t k = in.first[i]; k < in.first[i + 1]; k++) {
            node *c = &t->nodes[in.child[k]];
            c->parent = i;
            c->overlaps = before >= 0 && in.stage[in.child[k]] == in.stage[before];
            c->wait = c->call.arrived - (c->overlaps ? t->nodes[before].call.arrived : finish);
            *(before < 0 ? &up->first_child : &t->nodes[before].next) = in.child[k];
            before = in.child[k];
            finish = loom_max_i64(finish, loom_call_finish(&c->call));
        }
        up->rest = loom_max_i64(0, loom_call_finish(&up->call) - finish);
    }
    loom_call_tree_release(&in);
}

static void lay_out(tree *t, int32_t i, int64_t start)
{
    node *up = &t->nodes[i];
    int64_t finish = start, before = start;
    up->call.arrived = start;
    for (int32_t c = up->first_child; c >= 0; c = t->nodes[c].next) {
        lay_out(t, c, loom_max_i64(0, t->nodes[c].wait) + (t->nodes[c].overlaps ? before : finish));
        before = t->nodes[c].call.arrived;
        finish = loom_max_i64(finish, loom_call_finish(&t->nodes[c].call));
    }
    up->call.rt = finish + up->rest - start;
}

static void put_calls(const tree *t, int32_t i, loom_graph *g, const int32_t *id, int32_t n_id)
{
    int32_t number = 0;
    g->calls[g->n_calls] = t->nodes[i].call;
    g->calls[g->n_calls].id = id;
    g->calls[g->n_calls++].n_id = n_id;
    for (int32_t c = t->nodes[i].first_child; c >= 0; c = t->nodes[c].next) {
        int32_t *below = loom_arena_alloc(t->arena, ((size_t)n_id + 1) * sizeof *below);
        memcpy(below, id, (size_t)n_id * sizeof *below);
        below[n_id] = ++number;
        put_calls(t, c, g, below, n_id + 1);
    }
}

static loom_graph put_together(tree *t)
{
    static const int32_t zero[] = {0};
    loom_graph g = *t->g;
    lay_out(t, 0, t->nodes[0].call.arrived);
    g.calls = loom_arena_alloc(t->arena, (size_t)t->n * sizeof *g.calls);
    g.n_calls = 0;
    put_calls(t, 0, &g, zero, 1);
    return g;
}

/* ---- faults ---- */

typedef struct place {
    char caller[256], callee[256], service[64]; /* caller "": an operation; "USER" for roots, which have a service */
    loom_call_type caller_type, type;
} place;

static bool is_callee(const node *c, const place *p, const loom_graph *g)
{
    if (c->call.type != p->type || strcmp(c->call.destination, p->callee) != 0) return false;
    return (c->parent < 0) == (p->service[0] != 0) && (!p->service[0] || strcmp(p->service, g->service) == 0);
}

static bool is_caller(const tree *t, int32_t i, const place *p)
{
    const node *c = &t->nodes[i];
    return c->call.type == p->caller_type && strcmp(c->call.destination, p->caller) == 0 &&
           (c->parent >= 0) == !p->service[0] && (!p->service[0] || strcmp(p->service, t->g->service) == 0);
}

/* In dependencies `service` is the caller's, when that is a root. */
static bool is_dependency(const tree *t, int32_t i, const place *p)
{
    const node *c = &t->nodes[i];
    return c->parent >= 0 && is_caller(t, c->parent, p) && c->call.type == p->type &&
           strcmp(c->call.destination, p->callee) == 0;
}

static void slow_down(tree *t, const place *p, int times)
{
    int32_t n = t->n;
    for (int32_t i = 0; i < n; i++) {
        if (!is_callee(&t->nodes[i], p, t->g)) continue;
        int32_t c = t->nodes[i].first_child;
        t->nodes[i].rest *= times;
        for (; c >= 0; c = t->nodes[c].next)
            if (!t->nodes[c].overlaps) t->nodes[c].wait *= times;
    }
}

static void lose(tree *t, const place *p, double share, loom_rng *rng)
{
    for (int32_t i = 0; i < t->n; i++) {
        int32_t *link = &t->nodes[i].first_child;
        while (*link >= 0) {
            int32_t c = *link;
            if (is_dependency(t, c, p) && loom_rng_chance(rng, share)) {
                *link = t->nodes[c].next;
                if (*link >= 0 && t->nodes[*link].overlaps) { /* takes its place */
                    t->nodes[*link].overlaps = t->nodes[c].overlaps;
                    t->nodes[*link].wait += t->nodes[c].wait;
                }
            } else link = &t->nodes[c].next;
        }
    }
}

static int32_t copy_below(tree *t, int32_t i, int32_t parent)
{
    int32_t at = add_node(t);
    t->nodes[at] = t->nodes[i];
    t->nodes[at].parent = parent;
    t->nodes[at].first_child = t->nodes[at].next = -1;
    int32_t last = -1;
    for (int32_t c = t->nodes[i].first_child; c >= 0; c = t->nodes[c].next) {
        int32_t made = copy_below(t, c, at);
        *(last < 0 ? &t->nodes[at].first_child : &t->nodes[last].next) = made;
        last = made;
    }
    return at;
}

static void repeat(tree *t, const place *p)
{
    int32_t n = t->n;
    for (int32_t i = 0; i < n; i++) {
        if (!is_dependency(t, i, p)) continue;
        int32_t again = copy_below(t, i, t->nodes[i].parent);
        t->nodes[again].next = t->nodes[i].next;
        t->nodes[again].overlaps = false;
        t->nodes[again].wait = 0;
        t->nodes[i].next = again;
    }
}

static void call_more(tree *t, const place *p, loom_rng *rng)
{
    int32_t n = t->n;
    for (int32_t i = 0; i < n; i++) {
        if (!is_caller(t, i, p) || !loom_rng_chance(rng, .5)) continue;
        int32_t at = add_node(t), *link = &t->nodes[i].first_child;
        while (*link >= 0) link = &t->nodes[*link].next;
        *link = at;
        t->nodes[at].call =
            (loom_call){.type = p->type, .source = t->nodes[i].call.destination, .destination = p->callee};
        t->nodes[at].parent = i;
        t->nodes[at].rest = 1 + (int64_t)loom_rng_below(rng, 3);
    }
}

static loom_graph damaged(const loom_graph *g, fault f, const place *p, loom_rng *rng, loom_arena *arena)
{
    tree t;
    take_apart(&t, g, arena);
    switch (f) {
    case SLOWER_3: slow_down(&t, p, 3); break;
    case SLOWER_10: slow_down(&t, p, 10); break;
    case LOST_SOME: lose(&t, p, .3, rng); break;
    case LOST_ALL: lose(&t, p, 1, rng); break;
    case ADDED: call_more(&t, p, rng); break;
    case RETRIES: repeat(&t, p); break;
    default: break;
    }
    return put_together(&t);
}

/* ---- where to put them ---- */

/* What a fault must touch to be seen in 500 graphs, and what is not there cannot be lost or slow: operations in at
 * least 100 of 500 graphs that work for at least 1 ms in half of them; dependencies of operations in as many that
 * are called by at least three quarters of the invocations; services of at least 25. */
static bool fits(const loom_contrast_tally *t, fault f, int32_t i)
{
    double per = (double)INCIDENT / (double)t->graphs;
    if (f == SLOWER_3 || f == SLOWER_10)
        return (double)t->op[i].graphs * per >= 100 && loom_time_counts_quantile(&t->op[i].own, .5) >= 1;
    int32_t caller = loom_pair_a(&t->pairs, (size_t)i), callee = loom_pair_b(&t->pairs, (size_t)i);
    if (f == SERVICE_GONE) return caller < 0 && (double)t->dep[i].graphs * per >= 25;
    if (caller < 0 || (double)t->op[caller].graphs * per < 100) return false;
    return f == ADDED || (caller != callee && 4 * t->dep[i].number.total >= 3 * t->op[caller].graphs);
}

static bool choose(place *p, const loom_contrast_tally *t, fault f, loom_rng *rng)
{
    size_t n = f == SLOWER_3 || f == SLOWER_10 ? t->ops.keys.n : t->pairs.n;
    for (int tries = 0; tries < 100000; tries++) {
        int32_t i = (int32_t)loom_rng_below(rng, n), caller = -1, callee = i;
        if (!fits(t, f, i)) continue;
        *p = (place){.type = LOOM_CALL_RPC};
        if (f != SLOWER_3 && f != SLOWER_10) {
            caller = loom_pair_a(&t->pairs, (size_t)i);
            callee = loom_pair_b(&t->pairs, (size_t)i);
        }
        p->type = loom_operation_type(&t->ops, callee);
        snprintf(p->callee, sizeof p->callee, "%s", loom_operation_name(&t->ops, callee));
        if (f == ADDED) snprintf(p->callee, sizeof p->callee, "MS_99999");
        int32_t whose = caller < 0 ? callee : caller;
        snprintf(p->service, sizeof p->service, "%s", loom_operation_service(&t->ops, whose));
        if (caller < 0) return true;
        p->caller_type = loom_operation_type(&t->ops, caller);
        snprintf(p->caller, sizeof p->caller, "%s", loom_operation_name(&t->ops, caller));
        return true;
    }
    return false;
}

static bool is_place(const loom_contrast *c, const loom_place *found, fault f, const place *p)
{
    const loom_change *x = &c->changes[found->change];
    const loom_operations *o = &c->ops;
    if (strcmp(loom_operation_name(o, x->callee), p->callee) != 0 || loom_operation_type(o, x->callee) != p->type)
        return false;
    if (f == SLOWER_3 || f == SLOWER_10)
        return x->kind == LOOM_CHANGE_OPERATION && strcmp(loom_operation_service(o, x->callee), p->service) == 0;
    if (f == SERVICE_GONE)
        return x->caller < 0 && x->kind == LOOM_CHANGE_DEPENDENCY &&
               strcmp(loom_operation_service(o, x->callee), p->service) == 0;
    return x->kind == LOOM_CHANGE_DEPENDENCY && x->caller >= 0 &&
           strcmp(loom_operation_name(o, x->caller), p->caller) == 0 &&
           loom_operation_type(o, x->caller) == p->caller_type &&
           strcmp(loom_operation_service(o, x->caller), p->service) == 0;
}

/* ---- runs ---- */

static void must(loom_status st)
{
    if (st == LOOM_OK) return;
    fprintf(stderr, "incident_bench: no memory\n");
    exit(1);
}

static const loom_contrast_conf conf = {.fdr = .01, .min_graphs = 10};

/* Rank of the place from 1; 0: not among what was found; -1: these graphs have no place for such a fault. *n_found:
 * what was reported. */
static int64_t run(const store *s, fault f, uint64_t seed, int64_t *n_found, char *what, size_t cap)
{
    loom_contrast_tally before = {.path_depth = 4}, after = {.path_depth = 4};
    loom_contrast c = {0};
    loom_arena arena = {0};
    loom_rng rng;
    place p = {.type = LOOM_CALL_RPC};
    int64_t rank = 0;

    loom_rng_seed(&rng, seed, fault_names[f < FAULTS ? f : 0], f);
    size_t *order = loom_alloc(s->n, sizeof *order);
    for (size_t i = 0; i < s->n; i++) order[i] = i;
    for (size_t i = 0; i < STEADY + 2 * INCIDENT; i++) { /* the first of a shuffle */
        size_t k = i + (size_t)loom_rng_below(&rng, s->n - i), swap = order[i];
        order[i] = order[k];
        order[k] = swap;
    }
    for (size_t i = 0; i < STEADY; i++) must(loom_contrast_add(&before, &s->graphs[order[i]], NULL));
    bool chosen = f < FAULTS && choose(&p, &before, f, &rng);
    rank = f < FAULTS && !chosen ? -1 : 0;
    for (size_t i = STEADY; after.graphs < INCIDENT && i < s->n; i++) {
        const loom_graph *g = &s->graphs[order[i]];
        if (f == SERVICE_GONE && chosen && strcmp(g->service, p.service) == 0) continue;
        loom_arena_reset(&arena);
        loom_graph made = chosen && f != SERVICE_GONE ? damaged(g, f, &p, &rng, &arena) : *g;
        must(loom_contrast_add(&after, &made, NULL));
    }
    must(loom_contrast_compare(&c, &before, &after, &conf, NULL));
    for (int64_t i = 0; chosen && i < c.n_places && rank == 0; i++)
        if (is_place(&c, &c.places[i], f, &p)) rank = i + 1;
    *n_found = c.n_found;
    snprintf(what, cap, "%s -> %s %s %s: rank %lld of %lld%s", p.caller, p.callee, loom_call_type_name(p.type),
             p.service, (long long)rank, (long long)c.n_places, f < FAULTS && !chosen ? ", no place for it" : "");
    for (int64_t i = 0; i < c.n_places && i < 3 && chosen; i++) {
        const loom_change *x = &c.changes[c.places[i].change];
        size_t at = strlen(what);
        snprintf(what + at, cap - at, "; %s>%s %s %.1f", x->caller < 0 ? "" : loom_operation_name(&c.ops, x->caller),
                 loom_operation_name(&c.ops, x->callee), c.places[i].what, c.places[i].affected);
    }
    for (int64_t i = 0; !chosen && i < c.n_changes * LOOM_TESTS; i++) { /* what is reported though nothing was done */
        const loom_change *x = &c.changes[i / LOOM_TESTS];
        const loom_tested *t = &x->tests[i % LOOM_TESTS];
        size_t at = strlen(what);
        if (t->found)
            snprintf(what + at, cap - at, "; %s %s %lld/%lld %s q %.2g", loom_change_kind_names[x->kind],
                     x->callee < 0 ? "" : loom_operation_name(&c.ops, x->callee), (long long)x->graphs[0],
                     (long long)x->graphs[1], loom_test_names[i % LOOM_TESTS], t->q);
    }
    loom_contrast_free(&c);
    loom_contrast_release(&before);
    loom_contrast_release(&after);
    loom_arena_release(&arena);
    free(order);
    return rank;
}

static double percent(int64_t n, int64_t of) { return of > 0 ? 100 * (double)n / (double)of : 0; }

int main(int argc, char **argv)
{
    store s = {0};
    loom_err err = {0};
    int64_t runs = argc > 2 ? strtol(argv[2], NULL, 10) : 200, n = 0, alarms = 0, made_all = 0, first_all = 0,
            third_all = 0;
    uint64_t seed = argc > 3 ? strtoul(argv[3], NULL, 10) : 1;
    char what[1024];

    if (argc < 2 || !load(&s, argv[1], &err)) {
        fprintf(stderr, "incident_bench: %s\n",
                argc < 2     ? "usage: incident_bench STORE [RUNS [SEED]]"
                : err.msg[0] ? err.msg
                             : "too few graphs");
        return 1;
    }
    printf("| incident | runs | first, %% | first three, %% |\n|---|---:|---:|---:|\n");
    for (fault f = 0; f < FAULTS; f++) {
        int64_t first = 0, third = 0, made = 0;
        for (int64_t r = 0; r < runs; r++) {
            int64_t rank = run(&s, f, seed * 1000003 + (uint64_t)r, &n, what, sizeof what);
            made += rank >= 0;
            first += rank == 1;
            third += rank >= 1 && rank <= 3;
            if (rank != 1) fprintf(stderr, "%s: %s\n", fault_names[f], what);
        }
        printf("| %s | %lld | %.1f | %.1f |\n", fault_names[f], (long long)made, percent(first, made),
               percent(third, made));
        fflush(stdout);
        made_all += made;
        first_all += first;
        third_all += third;
    }
    printf("| all | %lld | %.3f | %.3f |\n", (long long)made_all, percent(first_all, made_all),
           percent(third_all, made_all));
    for (int64_t r = 0; r < 5 * runs; r++) {
        run(&s, FAULTS, seed * 1000003 + (uint64_t)r, &n, what, sizeof what);
        alarms += n > 0;
        if (n > 0) fprintf(stderr, "false alarm: %s\n", what);
    }
    printf("| nothing (a report is a false alarm) | %lld | %.2f | |\n", (long long)(5 * runs),
           percent(alarms, 5 * runs));
    free(s.graphs);
    loom_arena_release(&s.arena);
    return 0;
}
