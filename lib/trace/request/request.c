#include "trace/request/request.h"

#include "core/arena_array.h"
#include "core/hash.h"
#include "core/num.h"
#include "trace/graph/record.h"

/* A layer with what the public view does not show. The view comes first, so that both share their address. */
typedef struct node {
    loom_request_layer view;
    uint64_t path;         /* hash of the way from the root, seeds the layer's own draws */
    int32_t depth;         /* of the tree of layers */
    const char **includes; /* lines handed down to the children */
    int32_t n_includes;
} node;

typedef struct attempt {
    const char *text;
    size_t len;
    loom_codes codes;
} attempt;

struct loom_request {
    loom_request_conf conf;
    loom_arena arena;
    node **nodes;
    size_t n_nodes, cap_nodes;
    int32_t *waiting; /* a stack: the layer on top is taken next */
    size_t n_waiting, cap_waiting;
    int32_t n_out, n_attempts;
    bool failed, random;
    uint64_t seed; /* of all draws, when random */
    attempt *failures;
    size_t n_failures, cap_failures;
    loom_outcome outcome;
};

bool loom_outcome_accepts(const loom_outcome *v, loom_validity validity)
{
    return validity == LOOM_VALIDITY_PAPER ? v->accurate : v->correct;
}

bool loom_outcome_has_record(const loom_outcome *v) { return v->valid && !v->odd; }

/* ---- the tree ---- */
/* A request whose arena has failed is over: no layer is taken from it, answering it is an error. */
static void push_waiting(loom_request *r, int32_t index)
{
    int32_t *waiting = loom_arena_array_more(&r->arena, r->waiting, r->n_waiting, &r->cap_waiting, sizeof *waiting);
    if (!waiting) return;
    r->waiting = waiting;
    r->waiting[r->n_waiting++] = index;
}

/* NULL: no memory. */
static node *new_node(loom_request *r, const node *parent, const char *prefix, uint64_t ordinal)
{
    uint64_t way[2] = {parent ? parent->path : 0, ordinal};
    node *n = loom_arena_calloc(&r->arena, 1, sizeof *n);
    node **nodes = loom_arena_array_more(&r->arena, r->nodes, r->n_nodes, &r->cap_nodes, sizeof *nodes);

    if (nodes) r->nodes = nodes;
    if (!n || !nodes) return NULL;
    *n = (node){.path = parent ? loom_hash64(way, sizeof way, 0) : 0, .depth = parent ? parent->depth + 1 : 1};
    n->view.index = (int32_t)r->n_nodes;
    n->view.parent = parent ? parent->view.index : -1;
    n->view.prefix = prefix;
    if (parent) {
        n->includes = parent->includes;
        n->n_includes = parent->n_includes;
    }
    r->nodes[r->n_nodes++] = n;
    return n;
}

static void set_prompt(loom_request *r, node *n, const char *prompt, size_t len)
{
    n->view.prompt = loom_arena_strdup(&r->arena, prompt, len);
    n->view.prompt_len = len;
}

static const char *joined(loom_request *r, const char *prefix, const char *index)
{
    size_t a = strlen(prefix), b = strlen(index);
    char *text = loom_arena_alloc(&r->arena, a + b + 2);
    if (!text) return "";
    if (a) memcpy(text, prefix, a);
    if (a) text[a++] = '.';
    memcpy(text + a, index, b + 1);
    return text;
}

/* An include line whose caller is not this layer's start node is owed further down. The first child that starts at the
 * caller pays; else the deepest one, which has layers below itself, takes the debt over. */
static void hand_down_reach(loom_request *r, const node *n)
{
    const loom_parsed *p = &n->view.parsed;
    node *heir = NULL;
    int64_t deepest = 0;

    if (!n->view.reach) return;
    for (int32_t i = 0; i < p->n_subs; i++) {
        const loom_attrs *a = &p->subs[i].attrs;
        if (strcmp(a->start_node, n->view.reach) == 0) return;
        if (a->remaining_depth <= deepest) continue;
        deepest = a->remaining_depth;
        heir = r->nodes[n->view.first_child + i];
    }
    if (heir) heir->view.reach = n->view.reach;
}

static void add_children(loom_request *r, node *n)
{
    const loom_parsed *p = &n->view.parsed;
    loom_prompt_conf conf = {.mode = r->conf.mode, .match_training = r->conf.match_training};
    loom_buf prompt = {0};
    loom_rng rng;

    n->view.first_child = (int32_t)r->n_nodes;
    for (int32_t i = 0; i < p->n_subs; i++) {
        const char *prefix = p->n_edges ? joined(r, n->view.prefix, p->subs[i].index) : n->view.prefix;
        if (!new_node(r, n, prefix, (uint64_t)i)) break;
        n->view.n_children++;
    }
    if (r->arena.failed) return;
    hand_down_reach(r, n);
    for (int32_t i = 0; i < p->n_subs; i++) {
        node *child = r->nodes[n->view.first_child + i];
        conf.owed = child->view.reach != NULL;
        loom_buf_reset(&prompt);
        if (r->random) loom_rng_seed(&rng, r->seed ^ child->path, "conditions", 0);
        loom_request_child_prompt(&prompt, &conf, &p->subs[i], child->includes, child->n_includes,
                                  r->random ? &rng : NULL);
        set_prompt(r, child, loom_buf_text(&prompt), prompt.len);
        r->arena.failed |= loom_buf_failed(&prompt);
    }
    for (int32_t i = p->n_subs - 1; i >= 0; i--) push_waiting(r, n->view.first_child + i);
    loom_buf_release(&prompt);
}

static void read_root_includes(loom_request *r, node *root)
{
    loom_parsed_prompt p;
    loom_parse_prompt(&p, r->conf.mode, root->view.prompt, root->view.prompt_len, &r->arena);
    root->includes = p.includes;
    root->n_includes = p.n_includes;
    loom_line line;
    if (!p.n_includes || !loom_line_match(&line, LOOM_LINE_INCLUDE, p.includes[0], strlen(p.includes[0]), &r->arena))
        return;
    const char *start = p.req.start_node[0] ? p.req.start_node : LOOM_TEXT_USER;
    if (strcmp(line.name[0], start) != 0) root->view.reach = line.name[0];
}

loom_status loom_request_new(loom_request **out, const loom_request_conf *conf, const char *prompt, size_t len,
                             const loom_rng *rng, loom_err *err)
{
    loom_request *r = loom_calloc(1, sizeof *r);
    if (!r) return loom_fail_nomem(err, "a request");
    r->conf = *conf;
    if (r->conf.max_trials < 1) r->conf.max_trials = 1;
    if (rng) {
        loom_rng own = *rng;
        r->random = true;
        r->seed = loom_rng_u64(&own);
    }
    node *root = new_node(r, NULL, "", 0);
    if (root) {
        set_prompt(r, root, prompt, len);
        read_root_includes(r, root);
        push_waiting(r, 0);
    }
    if (r->arena.failed) {
        loom_request_free(&r);
        return loom_fail_nomem(err, "a request");
    }
    *out = r;
    return LOOM_OK;
}

void loom_request_free(loom_request **r)
{
    if (!*r) return;
    loom_arena_release(&(*r)->arena);
    free(*r);
    *r = NULL;
}

static bool given_up(const loom_request *r) { return r->arena.failed || (r->failed && !r->conf.keep_going); }

const loom_request_layer *loom_request_take(loom_request *r)
{
    if (given_up(r) || !r->n_waiting) return NULL;
    node *n = r->nodes[r->waiting[--r->n_waiting]];
    n->view.state = LOOM_LAYER_OUT;
    r->n_out++;
    return &n->view;
}

bool loom_request_done(const loom_request *r) { return !r->n_out && (!r->n_waiting || given_up(r)); }
int32_t loom_request_count(const loom_request *r) { return (int32_t)r->n_nodes; }
const loom_request_layer *loom_request_at(const loom_request *r, int32_t index) { return &r->nodes[index]->view; }

static void remember_failure(loom_request *r, const node *n)
{
    attempt *failures =
        loom_arena_array_more(&r->arena, r->failures, r->n_failures, &r->cap_failures, sizeof *failures);
    if (!failures) return;
    r->failures = failures;
    r->failures[r->n_failures++] = (attempt){n->view.text, n->view.text_len, n->view.codes};
}

static bool has_room(const loom_request *r, const node *n)
{
    return n->depth < LOOM_REQUEST_MAX_DEPTH && r->n_nodes + (size_t)n->view.parsed.n_subs <= LOOM_REQUEST_MAX_LAYERS;
}

loom_status loom_request_answer(loom_request *r, int32_t layer, const char *text, size_t len, loom_err *err)
{
    node *n = layer >= 0 && (size_t)layer < r->n_nodes ? r->nodes[layer] : NULL;
    if (!n || n->view.state != LOOM_LAYER_OUT)
        return loom_fail(err, LOOM_STATUS_ARG, "layer %d was not taken, so it cannot be answered", layer);

    loom_request_layer *v = &n->view;
    r->n_out--;
    r->n_attempts++;
    v->trials++;
    v->text = loom_arena_strdup(&r->arena, text, len);
    v->text_len = len;
    loom_parse_answer(&v->parsed, r->conf.mode, v->prompt, v->prompt_len, text, len, &r->arena);
    loom_check_layer_codes(&v->codes, &v->parsed, &r->arena);
    v->rules = loom_check_layer_rules(&v->parsed);
    LOOM_TRY(loom_arena_check(&r->arena, "an answer", err));
    if (v->codes.n == 0 && has_room(r, n)) {
        v->state = LOOM_LAYER_VALID;
        if (r->conf.mode != LOOM_MODE_TABULAR) add_children(r, n);
        return loom_arena_check(&r->arena, "an answer", err);
    }
    remember_failure(r, n);
    if (v->trials < r->conf.max_trials) {
        v->state = LOOM_LAYER_WAITING;
        push_waiting(r, layer);
    } else {
        v->state = LOOM_LAYER_FAILED;
        r->failed = true;
    }
    return loom_arena_check(&r->arena, "an answer", err);
}

loom_status loom_request_refuse(loom_request *r, int32_t layer, loom_err *err)
{
    node *n = layer >= 0 && (size_t)layer < r->n_nodes ? r->nodes[layer] : NULL;
    if (!n || n->view.state != LOOM_LAYER_OUT)
        return loom_fail(err, LOOM_STATUS_ARG, "layer %d was not taken, so it cannot be refused", layer);
    r->n_out--;
    n->view.state = LOOM_LAYER_FAILED;
    r->failed = true;
    return LOOM_OK;
}

/* ---- the outcome ---- */
typedef struct collector {
    loom_request *r;
    loom_edge_text *edges;
    size_t n, cap;
} collector;

static void collect(collector *c, const node *n)
{
    const loom_parsed *p = &n->view.parsed;
    for (int32_t i = 0; i < p->n_edges; i++) {
        loom_edge_text *edges = loom_arena_array_more(&c->r->arena, c->edges, c->n, &c->cap, sizeof *edges);
        if (!edges) return;
        c->edges = edges;
        loom_edge_text *e = &c->edges[c->n++];
        *e = p->edges[i];
        if (n->view.prefix[0]) e->edge_id = joined(c->r, n->view.prefix, e->edge_id);
        /* published recursive prompts may leave start_node out; the caller of a root is the user */
        if (!e->source[0] && n->view.parent < 0 && p->mode != LOOM_MODE_TABULAR) e->source = LOOM_TEXT_USER;
    }
    for (int32_t i = 0; i < n->view.n_children; i++) collect(c, c->r->nodes[n->view.first_child + i]);
}

static void judge_layers(const loom_request *r, loom_outcome *v)
{
    v->finished = true;
    v->failed_layer = -1;
    for (size_t i = 0; i < r->n_nodes; i++) {
        const loom_request_layer *l = &r->nodes[i]->view;
        if (l->text) v->rules |= l->rules;
        if (l->state != LOOM_LAYER_VALID) v->finished = false;
        if (l->state == LOOM_LAYER_FAILED && v->failed_layer < 0) v->failed_layer = l->index;
    }
    if (!v->finished) v->rules |= LOOM_RULE_BIT(LOOM_RULE_UNFINISHED);
}

/* Does a layer name another service than the root? */
static bool names_other_service(loom_request *r, const char *service)
{
    for (size_t i = 1; i < r->n_nodes; i++) {
        const loom_attrs *a = &r->nodes[i]->view.parsed.req;
        if (!loom_attrs_has(a, LOOM_ATTR_ID)) continue;
        if (strcmp(loom_name_service(&r->arena, a->id, strlen(a->id)), service) != 0) return true;
    }
    return false;
}

const loom_outcome *loom_request_outcome(loom_request *r)
{
    loom_outcome *v = &r->outcome;
    const loom_parsed *root = &r->nodes[0]->view.parsed;

    *v = (loom_outcome){.n_layers = (int32_t)r->n_nodes, .n_attempts = r->n_attempts};
    judge_layers(r, v);
    if (!v->finished) return v;
    collector c = {.r = r};
    collect(&c, r->nodes[0]);
    v->edges = c.edges;
    v->n_edges = (int32_t)c.n;
    loom_check_graph(&v->graph, r->conf.mode, root->req.id, v->edges, v->n_edges, &root->req, &r->arena);
    v->valid = v->graph.valid;
    v->correct = v->graph.correct;
    v->accurate = v->correct && !v->rules;
    v->rules |= v->graph.rules;
    if (!v->valid) return v;
    v->odd = loom_oddities_of(&v->graph);
    if (names_other_service(r, v->graph.graph.service)) v->odd |= LOOM_ODD_BIT(LOOM_ODD_SERVICE);
    return v;
}

void loom_request_failures(const loom_request *r, int64_t id, loom_buf *log, loom_buf *codes)
{
    for (size_t i = 0; i < r->n_failures; i++) {
        const attempt *a = &r->failures[i];
        loom_buf_printf(log, "<%lld>FAILED CASE\nReasons: ", (long long)id);
        loom_buf_printf(codes, "<%lld>", (long long)id);
        for (int32_t k = 0; k < a->codes.n; k++) {
            if (k) loom_buf_char(log, '/'), loom_buf_char(codes, ',');
            loom_buf_str(log, a->codes.items[k].message);
            loom_buf_i64(codes, a->codes.items[k].code);
        }
        loom_buf_str(log, "\nResult:\n");
        loom_buf_append(log, a->text, a->len);
        loom_buf_char(log, '\n');
        loom_buf_char(codes, '\n');
    }
}

/* ---- replay ---- */
static loom_status replay_layer(loom_request *r, node *n, const loom_replay_layer *from, int32_t index, loom_err *err)
{
    if (from->prefix && strcmp(from->prefix, n->view.prefix) != 0)
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "layer %d says its id prefix is \"%s\", its parent's text makes it \"%s\"", index,
                         from->prefix, n->view.prefix);
    set_prompt(r, n, from->prompt, from->prompt_len);
    LOOM_TRY(loom_arena_check(&r->arena, "an answer", err));
    if (!from->text) return LOOM_OK;
    n->view.state = LOOM_LAYER_OUT;
    r->n_out++;
    return loom_request_answer(r, n->view.index, from->text, from->text_len, err);
}

loom_status loom_request_replay(loom_request **out, const loom_request_conf *conf, const loom_replay_layer *layers,
                                int32_t n, loom_err *err)
{
    loom_request_conf own = *conf;
    loom_request *r = NULL;
    int32_t *at = NULL, *used = NULL; /* node of each layer, -1: none; children of each node seen so far */
    loom_status st;

    if (n < 1) return loom_fail(err, LOOM_STATUS_FORMAT, "an answer without layers");
    own.keep_going = true;
    own.max_trials = 1;
    at = loom_calloc((size_t)n, sizeof *at);
    used = loom_calloc((size_t)n, sizeof *used);
    if (!at || !used) {
        st = loom_fail_nomem(err, "the layers of an answer");
        goto done;
    }
    if ((st = loom_request_new(&r, &own, layers[0].prompt, layers[0].prompt_len, NULL, err)) != LOOM_OK) goto done;
    for (int32_t i = 0; i < n; i++) {
        int32_t parent = layers[i].parent;
        if (i ? parent < 0 || parent >= i : parent >= 0) {
            st = loom_fail(err, LOOM_STATUS_FORMAT,
                           "layer %d names layer %d as its parent; only layer 0 has none, and a "
                           "parent stands before its children",
                           i, parent);
            goto done;
        }
        if (i) {
            const node *p = at[parent] < 0 ? NULL : r->nodes[at[parent]];
            int32_t ordinal = used[parent]++;
            at[i] = p && ordinal < p->view.n_children ? p->view.first_child + ordinal : -1;
        }
        if (at[i] >= 0 && (st = replay_layer(r, r->nodes[at[i]], &layers[i], i, err)) != LOOM_OK) goto done;
    }
    r->n_waiting = 0; /* what is left will not come */
    *out = r;
    r = NULL;
done:
    loom_request_free(&r);
    free(at);
    free(used);
    return st;
}

/* ---- output files ---- */
static void render_collected(loom_buf *into, const loom_outcome *v)
{
    for (int32_t i = 0; i < v->n_edges; i++) {
        const loom_edge_text *e = &v->edges[i];
        if (i) loom_buf_str(into, "||");
        loom_buf_printf(into, "%s|%s|%s|%s|ARRIVED_%lld|RT_%lld", e->edge_id, e->type, e->source, e->destination,
                        (long long)e->start, (long long)((uint64_t)e->finish - (uint64_t)e->start));
    }
}

void loom_trace_line(loom_buf *into, int64_t id, loom_mode mode, const loom_outcome *v)
{
    if (!v->finished || (mode == LOOM_MODE_TABULAR && !v->correct)) return;
    if (v->valid) {
        loom_buf_printf(into, "<%lld><s> id:%s/max depth:%d/num edges:%d[", (long long)id, v->graph.graph.service,
                        v->graph.depth, v->graph.n_edges);
    } else {
        loom_buf_str(into, "[INVALID TRACE]");
        loom_verdict_render(into, &v->graph.why);
        loom_buf_char(into, '[');
    }
    if (mode == LOOM_MODE_TABULAR) loom_record_render_calls(into, &v->graph.graph);
    else render_collected(into, v);
    loom_buf_str(into, "]</s>\n");
}

void loom_summary_line(loom_buf *into, int32_t edges, int32_t depth, int64_t finished, int64_t valid, int64_t correct,
                       int64_t repetitions, int64_t sum_edges, int64_t sum_depth)
{
    loom_buf_printf(into, "(%d:%d),%lld,%lld,%lld,%lld,", edges, depth, (long long)finished, (long long)valid,
                    (long long)correct, (long long)repetitions);
    if (valid)
        loom_buf_printf(into, "(%.2f:%.2f)\n", (double)sum_edges / (double)valid, (double)sum_depth / (double)valid);
    else loom_buf_str(into, "(0:0)\n");
}
