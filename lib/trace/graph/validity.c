#include "trace/graph/validity.h"

#include <string.h>

#include "core/num.h"
#include "trace/graph/rows.h"

static const char *const reason_names[LOOM_REASONS] = {
    "NUM_COLUMNS", "BAD_EDGE",      "BAD_TIMESTAMP",         "MISSING_INFO",      "BAD_SERVICE",       "INVALID_ROOT",
    "NO_ROOT",     "NOT_CONNECTED", "CHILD_OUTLIVES_PARENT", "SRC_DEST_MISMATCH", "MULTIPLE_SRC_DEST",
};

const char *loom_reason_name(loom_reason r) { return r < LOOM_REASONS ? reason_names[r] : "?"; }

void loom_verdict_add(loom_verdict *v, loom_reason r)
{
    if (v->n < LOOM_VERDICT_MAX) v->reasons[v->n] = (unsigned char)r;
    v->n++;
}

bool loom_verdict_has(const loom_verdict *v, loom_reason r)
{
    for (int32_t i = 0; i < v->n && i < LOOM_VERDICT_MAX; i++)
        if (v->reasons[i] == r) return true;
    return false;
}

void loom_verdict_render(loom_buf *into, const loom_verdict *v)
{
    for (int32_t i = 0; i < v->n && i < LOOM_VERDICT_MAX; i++) {
        if (i) loom_buf_char(into, ',');
        loom_buf_str(into, loom_reason_name((loom_reason)v->reasons[i]));
    }
}

static bool name_is_missing(const char *name) { return name[0] == 'U' && loom_name_is_unknown(name, strlen(name)); }

static bool call_has_missing_info(const loom_call *c)
{
    return c->type == LOOM_CALL_TYPES || name_is_missing(c->source) || name_is_missing(c->destination);
}

static bool service_is_bad(const char *service)
{
    return !service || !service[0] || strncmp(service, "S_-", 3) == 0 || name_is_missing(service) ||
           strchr(service, '|');
}

/* The checks that look at the graph as a list. */
static void check_list(loom_verdict *v, const loom_graph *g)
{
    bool missing = false, has_root_tree = false, is_foreign = false;
    const loom_call *first = g->n_calls ? &g->calls[0] : NULL;
    for (int32_t i = 0; i < g->n_calls; i++) {
        const loom_call *c = &g->calls[i];
        missing = missing || call_has_missing_info(c);
        if (c->n_id > 0 && c->id[0] == 0) has_root_tree = true;
        else is_foreign = true;
        if (i && loom_id_compare(c->id, c->n_id, first->id, first->n_id) < 0) first = c;
    }
    if (g->time_of_day < 0 || g->time_of_day >= LOOM_MS_PER_DAY) loom_verdict_add(v, LOOM_REASON_BAD_TIMESTAMP);
    if (missing) loom_verdict_add(v, LOOM_REASON_MISSING_INFO);
    if (service_is_bad(g->service)) loom_verdict_add(v, LOOM_REASON_BAD_SERVICE);
    if (first && !(first->n_id == 1 && first->id[0] == 0)) loom_verdict_add(v, LOOM_REASON_INVALID_ROOT);
    if (!has_root_tree) loom_verdict_add(v, LOOM_REASON_NO_ROOT);
    if (is_foreign && has_root_tree) loom_verdict_add(v, LOOM_REASON_NOT_CONNECTED);
}

static bool names_differ(const char *a, const char *b) { return a != b && strcmp(a, b) != 0; }

/* Sorted order is depth-first order, so one pass with the stack of present ancestors sees every parent, and the
 * children below one absent id stand together. Depth is bounded by LOOM_ID_MAX_COMPONENTS, and so is the stack. */
typedef struct ancestor {
    int32_t call;
    int32_t absent; /* last child component that was found absent with descendants, -1: none */
} ancestor;

static void check_tree(loom_verdict *v, const loom_graph *g)
{
    ancestor stack[LOOM_ID_MAX_COMPONENTS];
    int32_t top = -1;
    for (int32_t i = 0; i < g->n_calls; i++) {
        const loom_call *c = &g->calls[i];
        if (c->n_id < 1 || c->id[0] != 0 || c->n_id > LOOM_ID_MAX_COMPONENTS) continue;
        while (top >= 0) {
            const loom_call *a = &g->calls[stack[top].call];
            if (a->n_id < c->n_id && loom_id_is_prefix(a->id, a->n_id, c->id, c->n_id)) break;
            top--;
        }
        if (top >= 0) {
            const loom_call *parent = &g->calls[stack[top].call];
            if (parent->n_id + 1 == c->n_id) {
                if (loom_call_finish(c) > loom_call_finish(parent))
                    loom_verdict_add(v, LOOM_REASON_CHILD_OUTLIVES_PARENT);
                if (names_differ(c->source, parent->destination)) loom_verdict_add(v, LOOM_REASON_SRC_DEST_MISMATCH);
            } else if (stack[top].absent != c->id[parent->n_id]) {
                stack[top].absent = c->id[parent->n_id];
                loom_verdict_add(v, LOOM_REASON_NOT_CONNECTED);
            }
        }
        stack[++top] = (ancestor){i, -1};
    }
}

void loom_graph_check(loom_verdict *v, const loom_graph *g)
{
    check_list(v, g);
    check_tree(v, g);
}

/* ---- repeated ids ---- */

/* Tree of ids, in arrays linked by index; node 0 is above "0" and foreign roots. */
typedef struct id_node {
    int32_t component, first_child, last_child, next_sibling, parent;
    int32_t first_call, last_call; /* calls with this id, linked by next_call; -1: absent */
} id_node;

typedef struct id_tree {
    id_node *nodes;
    int32_t n;
    int32_t *next_call; /* (n_calls) */
    const loom_call *calls;
} id_tree;

static int32_t tree_child(id_tree *t, int32_t parent, int32_t component)
{
    int32_t last = t->nodes[parent].last_child; /* neighbours in a file are neighbours in the tree */
    if (last >= 0 && t->nodes[last].component == component) return last;
    for (int32_t n = t->nodes[parent].first_child; n >= 0; n = t->nodes[n].next_sibling)
        if (t->nodes[n].component == component) return n;
    int32_t fresh = t->n++;
    t->nodes[fresh] = (id_node){component, -1, -1, -1, parent, -1, -1};
    if (last >= 0) t->nodes[last].next_sibling = fresh;
    else t->nodes[parent].first_child = fresh;
    t->nodes[parent].last_child = fresh;
    return fresh;
}

static void tree_add(id_tree *t, int32_t call)
{
    int32_t node = 0;
    for (int32_t i = 0; i < t->calls[call].n_id; i++) node = tree_child(t, node, t->calls[call].id[i]);
    t->next_call[call] = -1;
    if (t->nodes[node].last_call >= 0) t->next_call[t->nodes[node].last_call] = call;
    else t->nodes[node].first_call = call;
    t->nodes[node].last_call = call;
}

/* How many different names, 0, 1 or 2 (= several), UNKNOWN and UNAVAILABLE left out; *one is the first. */
static int count_names(const id_tree *t, const id_node *node, bool of_sources, const char **one)
{
    *one = NULL;
    for (int32_t c = node->first_call; c >= 0; c = t->next_call[c]) {
        const char *name = of_sources ? t->calls[c].source : t->calls[c].destination;
        if (name_is_missing(name)) continue;
        if (!*one) *one = name;
        else if (names_differ(*one, name)) return 2;
    }
    return *one != NULL;
}

static void check_repeated_node(loom_verdict *v, const id_tree *t, const id_node *node)
{
    const id_node *parent = &t->nodes[node->parent];
    if (node->first_call < 0) {
        if (parent->first_call >= 0 && node->first_child >= 0) loom_verdict_add(v, LOOM_REASON_NOT_CONNECTED);
        return;
    }
    if (parent->first_call < 0) return;

    int64_t child_finish = INT64_MIN, parent_finish = INT64_MAX;
    for (int32_t c = node->first_call; c >= 0; c = t->next_call[c])
        child_finish = loom_max_i64(child_finish, loom_call_finish(&t->calls[c]));
    for (int32_t c = parent->first_call; c >= 0; c = t->next_call[c])
        parent_finish = loom_min_i64(parent_finish, loom_call_finish(&t->calls[c]));
    if (child_finish > parent_finish) loom_verdict_add(v, LOOM_REASON_CHILD_OUTLIVES_PARENT);

    const char *source, *destination;
    int n_sources = count_names(t, node, true, &source), n_destinations = count_names(t, parent, false, &destination);
    if (n_sources > 1 || n_destinations > 1) loom_verdict_add(v, LOOM_REASON_MULTIPLE_SRC_DEST);
    else if (n_sources == 1 && n_destinations == 1 && names_differ(source, destination))
        loom_verdict_add(v, LOOM_REASON_SRC_DEST_MISMATCH);
}

void loom_graph_check_repeated(loom_verdict *v, const loom_graph *g, loom_arena *scratch)
{
    size_t n_nodes = 1;
    check_list(v, g);
    for (int32_t i = 0; i < g->n_calls; i++) n_nodes += (size_t)g->calls[i].n_id;
    id_tree t = {.n = 1, .calls = g->calls};
    t.nodes = loom_arena_alloc(scratch, n_nodes * sizeof *t.nodes);
    t.next_call = loom_arena_alloc(scratch, ((size_t)g->n_calls + 1) * sizeof *t.next_call);
    if (!t.nodes || !t.next_call) { /* whatever it says, core/nomem.h keeps it out of every result */
        loom_verdict_add(v, LOOM_REASON_BAD_EDGE);
        return;
    }
    t.nodes[0] = (id_node){-1, -1, -1, -1, -1, -1, -1};
    for (int32_t i = 0; i < g->n_calls; i++)
        if (g->calls[i].n_id > 0 && g->calls[i].id[0] == 0) tree_add(&t, i);

    int32_t node = t.nodes[0].first_child; /* walk without recursion: ids may be deep */
    while (node > 0) {
        check_repeated_node(v, &t, &t.nodes[node]);
        if (t.nodes[node].first_child >= 0) {
            node = t.nodes[node].first_child;
            continue;
        }
        while (node > 0 && t.nodes[node].next_sibling < 0) node = t.nodes[node].parent;
        if (node > 0) node = t.nodes[node].next_sibling;
    }
}
