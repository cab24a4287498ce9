#include "trace/request.h"

#include <math.h>

#include "core/hash.h"
#include "core/num.h"
#include "trace/grow.h"
#include "trace/record.h"

/* A layer with what the public view does not show. The view comes first, so that both share their address. */
typedef struct node {
    loom_request_layer view;
    uint64_t path;            /* hash of the way from the root, seeds the layer's own draws */
    int32_t depth;            /* of the tree of layers */
    const char **includes;    /* lines handed down to the children */
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
    uint64_t seed;    /* of all draws, when random */
    attempt *failures;
    size_t n_failures, cap_failures;
    loom_outcome outcome;
};

bool loom_outcome_accepts(const loom_outcome *v, loom_validity validity)
{
    return validity == LOOM_VALIDITY_PAPER ? v->accurate : v->correct;
}

/* ---- conditions of a prompt ---- */
#define MAX_LINES 16

typedef struct prompt_lines {
    loom_line items[MAX_LINES];
    size_t n;
} prompt_lines;

static void add(prompt_lines *l, loom_line line) { l->items[l->n++] = line; }

static void add_latency(prompt_lines *l, const loom_attrs *a)
{
    add(l, (loom_line){.kind = LOOM_LINE_START_WITHIN, .num = {a->latency}});
    add(l, (loom_line){.kind = LOOM_LINE_FINISH_WITHIN, .num = {a->latency}});
}

/* Conditions of a plain child layer in the public program's order. */
static void reference_lines(prompt_lines *l, const loom_attrs *a)
{
    add(l, (loom_line){.kind = LOOM_LINE_NUM_EDGES, .num = {a->num_current_edges}});
    add(l, (loom_line){.kind = LOOM_LINE_FIRST_EDGE_ID, .name = {a->start_edge_id}});
    add(l, (loom_line){.kind = LOOM_LINE_FIRST_START, .num = {a->start}});
    add(l, (loom_line){.kind = LOOM_LINE_START_BEFORE_FINISH});
    add_latency(l, a);
}

/* The same as training text has them, each where its attribute is present. */
static void training_lines(prompt_lines *l, const loom_attrs *a, bool root)
{
    if (loom_attrs_has(a, LOOM_ATTR_START_EDGE_ID))
        add(l, (loom_line){.kind = LOOM_LINE_FIRST_EDGE_ID, .name = {a->start_edge_id}});
    if (loom_attrs_has(a, LOOM_ATTR_START)) add(l, (loom_line){.kind = LOOM_LINE_FIRST_START, .num = {a->start}});
    if (loom_attrs_has(a, LOOM_ATTR_LATENCY)) add_latency(l, a);
    if (!root && loom_attrs_has(a, LOOM_ATTR_NUM_SUBGRAPHS))
        add(l, a->num_subgraphs ? (loom_line){.kind = LOOM_LINE_SUBGRAPHS, .num = {a->num_subgraphs}}
                                : (loom_line){.kind = LOOM_LINE_NO_SUBGRAPHS});
    if (loom_attrs_has(a, LOOM_ATTR_NUM_CURRENT_EDGES))
        add(l, (loom_line){.kind = LOOM_LINE_NUM_EDGES, .num = {a->num_current_edges}});
    add(l, (loom_line){.kind = LOOM_LINE_START_BEFORE_FINISH});
    if (loom_attrs_has(a, LOOM_ATTR_START_NODE))
        add(l, (loom_line){.kind = LOOM_LINE_COPY_CALLER, .name = {a->start_node}});
}

static void split_lines(prompt_lines *l, const loom_attrs *a)
{
    add(l, (loom_line){.kind = LOOM_LINE_SPLIT_START_NODE, .name = {a->start_node}});
    add(l, (loom_line){.kind = LOOM_LINE_SPLIT_LATENCY});
    add(l, (loom_line){.kind = LOOM_LINE_SPLIT_START});
}

/* Rendered lines, so that handed-down texts and our own can be shuffled together. */
static void render_lines(loom_buf *into, const prompt_lines *l, const char *const *more, size_t n_more, loom_rng *rng)
{
    size_t n = l->n + n_more, *order = loom_alloc(n + 1, sizeof *order);
    for (size_t i = 0; i < n; i++) order[i] = i;
    if (rng && order) loom_rng_shuffle(rng, order, n, sizeof *order);
    for (size_t i = 0; i < n; i++) {
        size_t k = order ? order[i] : i;
        if (k < l->n)
            loom_line_render(into, &l->items[k]);
        else
            loom_buf_str(into, more[k - l->n]);
        loom_buf_char(into, '\n');
    }
    free(order);
}

static void render_head(loom_buf *into, const char *attrs)
{
    loom_buf_str(into, LOOM_TEXT_QUESTION LOOM_TEXT_SYSTEM "\n" LOOM_TEXT_REQUIREMENTS "\n");
    loom_buf_str(into, attrs);
    loom_buf_char(into, '\n');
}

static void render_tail(loom_buf *into, bool split, bool match_training)
{
    if (match_training) loom_buf_char(into, '\n'); /* the empty line that training text has here */
    loom_buf_str(into, LOOM_TEXT_ANSWER "\n");
    loom_buf_str(into, split ? LOOM_TEXT_SPLIT "\n" : LOOM_TEXT_LAYER "\n" LOOM_TEXT_EDGES);
}

/* Training text has an include line only where the layer itself has the edge, so its source is the start node. */
static size_t fitting_includes(const char **out, const node *child, const loom_attrs *a, bool split, bool match)
{
    size_t n = 0;
    for (int32_t i = 0; i < child->n_includes; i++) {
        const char *line = child->includes[i], *rest = line + strlen(LOOM_TEXT_INCLUDE);
        size_t len = strlen(a->start_node);
        bool own = rest[0] == ' ' && strncmp(rest + 1, a->start_node, len) == 0 && rest[1 + len] == ' ';
        if (!match || (own && !split)) out[n++] = line;
    }
    return n;
}

static void child_prompt(loom_buf *into, const loom_request *r, const node *child, const loom_parsed_sub *sub)
{
    const loom_attrs *a = &sub->attrs;
    bool split = a->num_current_edges > LOOM_LAYER_MAX_EDGES, match = r->conf.match_training;
    prompt_lines lines = {.n = 0};
    loom_rng rng;

    if (r->conf.mode != LOOM_MODE_INSTRUCTION) {
        loom_buf_str(into, sub->text);
        loom_buf_char(into, '\n');
        return;
    }
    if (r->random) loom_rng_seed(&rng, r->seed ^ child->path, "conditions", 0);
    const char **includes = loom_alloc((size_t)child->n_includes, sizeof *includes);
    size_t n_includes = includes ? fitting_includes(includes, child, a, split, match) : 0;
    render_head(into, sub->text);
    if (split) {
        loom_line head = {.kind = LOOM_LINE_SPLIT};
        loom_line_render(into, &head);
        loom_buf_char(into, '\n');
        split_lines(&lines, a);
    } else {
        loom_buf_str(into, LOOM_TEXT_CONDITIONS "\n");
        if (match)
            training_lines(&lines, a, false);
        else
            reference_lines(&lines, a);
    }
    render_lines(into, &lines, includes, n_includes, r->random ? &rng : NULL);
    render_tail(into, split, match);
    free(includes);
}

/* ---- the tree ---- */
static void push_waiting(loom_request *r, int32_t index)
{
    r->waiting = loom_arena_more(&r->arena, r->waiting, r->n_waiting, &r->cap_waiting, sizeof *r->waiting);
    r->waiting[r->n_waiting++] = index;
}

static node *new_node(loom_request *r, const node *parent, const char *prefix, uint64_t ordinal)
{
    uint64_t way[2] = {parent ? parent->path : 0, ordinal};
    node *n = loom_arena_calloc(&r->arena, 1, sizeof *n);

    *n = (node){.path = parent ? loom_hash64(way, sizeof way, 0) : 0, .depth = parent ? parent->depth + 1 : 1};
    n->view.index = (int32_t)r->n_nodes;
    n->view.parent = parent ? parent->view.index : -1;
    n->view.prefix = prefix;
    if (parent) {
        n->includes = parent->includes;
        n->n_includes = parent->n_includes;
    }
    r->nodes = loom_arena_more(&r->arena, r->nodes, r->n_nodes, &r->cap_nodes, sizeof *r->nodes);
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
    if (a) memcpy(text, prefix, a);
    if (a) text[a++] = '.';
    memcpy(text + a, index, b + 1);
    return text;
}

static void add_children(loom_request *r, node *n)
{
    const loom_parsed *p = &n->view.parsed;
    loom_buf prompt = {0};

    n->view.first_child = (int32_t)r->n_nodes;
    n->view.n_children = p->n_subs;
    for (int32_t i = 0; i < p->n_subs; i++) {
        const char *prefix = p->n_edges ? joined(r, n->view.prefix, p->subs[i].index) : n->view.prefix;
        node *child = new_node(r, n, prefix, (uint64_t)i);
        loom_buf_reset(&prompt);
        child_prompt(&prompt, r, child, &p->subs[i]);
        set_prompt(r, child, loom_buf_text(&prompt), prompt.len);
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
    set_prompt(r, root, prompt, len);
    read_root_includes(r, root);
    push_waiting(r, 0);
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

static bool given_up(const loom_request *r) { return r->failed && !r->conf.keep_going; }

const loom_request_layer *loom_request_take(loom_request *r)
{
    if (given_up(r) || !r->n_waiting) return NULL;
    node *n = r->nodes[r->waiting[--r->n_waiting]];
    n->view.state = LOOM_LAYER_OUT;
    r->n_out++;
    return &n->view;
}

bool loom_request_done(const loom_request *r) { return !r->n_out && (!r->n_waiting || given_up(r)); }
int32_t loom_request_waiting(const loom_request *r) { return given_up(r) ? 0 : (int32_t)r->n_waiting; }
int32_t loom_request_count(const loom_request *r) { return (int32_t)r->n_nodes; }
const loom_request_layer *loom_request_at(const loom_request *r, int32_t index) { return &r->nodes[index]->view; }

static void remember_failure(loom_request *r, const node *n)
{
    r->failures = loom_arena_more(&r->arena, r->failures, r->n_failures, &r->cap_failures, sizeof *r->failures);
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
    if (v->codes.n == 0 && has_room(r, n)) {
        v->state = LOOM_LAYER_VALID;
        if (r->conf.mode != LOOM_MODE_TABULAR) add_children(r, n);
        return LOOM_OK;
    }
    remember_failure(r, n);
    if (v->trials < r->conf.max_trials) {
        v->state = LOOM_LAYER_WAITING;
        push_waiting(r, layer);
    } else {
        v->state = LOOM_LAYER_FAILED;
        r->failed = true;
    }
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
        c->edges = loom_arena_more(&c->r->arena, c->edges, c->n, &c->cap, sizeof *c->edges);
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
        return loom_fail(err, LOOM_STATUS_FORMAT, "layer %d says its id prefix is \"%s\", its parent's text makes it \"%s\"",
                         index, from->prefix, n->view.prefix);
    set_prompt(r, n, from->prompt, from->prompt_len);
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
            st = loom_fail(err, LOOM_STATUS_FORMAT, "layer %d names layer %d as its parent; only layer 0 has none, and a "
                           "parent stands before its children", i, parent);
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

/* ---- prompts ---- */
static void root_tail(loom_buf *into, const loom_prompt_conf *conf)
{
    if (conf->mode == LOOM_MODE_INSTRUCTION)
        render_tail(into, false, conf->match_training);
    else
        loom_buf_str(into, conf->mode == LOOM_MODE_TABULAR ? LOOM_TEXT_EDGES "\n"
                                                           : LOOM_TEXT_LAYER "\n" LOOM_TEXT_EDGES "\n");
}

static void bare_prompt(loom_buf *into, const loom_attrs *a, const loom_prompt_conf *conf)
{
    if (conf->match_training) loom_buf_str(into, LOOM_TEXT_GENERATE);
    loom_attrs_render(into, a);
    loom_buf_char(into, '\n');
    root_tail(into, conf);
}

static uint32_t kept(const loom_prompt_conf *conf, loom_rng *rng)
{
    uint32_t keep = LOOM_ATTR_BIT(LOOM_ATTR_NUM_EDGES) | LOOM_ATTR_BIT(LOOM_ATTR_REMAINING_DEPTH);
    if (conf->keep) return conf->keep;
    if (conf->mode == LOOM_MODE_TABULAR)
        return LOOM_ATTR_BIT(LOOM_ATTR_NUM_EDGES) | LOOM_ATTR_BIT(LOOM_ATTR_DEPTH) | LOOM_ATTR_BIT(LOOM_ATTR_LATENCY);
    if (conf->mode == LOOM_MODE_INSTRUCTION) return keep | LOOM_ATTR_BIT(LOOM_ATTR_START_NODE);
    /* published recursive prompts show the latency nine times in ten, their training text one time in two */
    if (!conf->match_training && rng && loom_rng_chance(rng, 0.8)) keep |= LOOM_ATTR_BIT(LOOM_ATTR_LATENCY);
    return keep;
}

/* Reference form ends the question after its last line; without conditions that is the "Conditions:" line. */
static void trim_end(loom_buf *b)
{
    while (b->len && strchr(" \t\r\n", b->data[b->len - 1])) b->data[--b->len] = 0;
}

loom_status loom_request_root_prompt(loom_buf *into, const loom_graph *graph, const loom_facts *facts,
                                     const loom_prompt_conf *conf, loom_rng *rng, loom_arena *arena, loom_err *err)
{
    loom_encode_conf encode = {.mode = conf->mode, .policy = rng ? LOOM_DRAW_RANDOM : LOOM_DRAW_ALL,
                               .keep = kept(conf, rng)};
    loom_facts known = facts ? *facts : (loom_facts){0};
    loom_block root;

    if (conf->high_latency) { /* facts for which every latency is a high one */
        known.has_latency = true;
        known.p90 = INT64_MIN;
        known.mean = -INFINITY;
    }
    LOOM_TRY(loom_encode_root(&root, graph, &known, &encode, conf->include, rng, arena, err));
    if (conf->mode != LOOM_MODE_INSTRUCTION) {
        bare_prompt(into, &root.req, conf);
        return LOOM_OK;
    }
    loom_text_render_question(into, &root);
    if (!conf->match_training) {
        trim_end(into);
        loom_buf_char(into, '\n');
    }
    root_tail(into, conf);
    return LOOM_OK;
}

void loom_request_attrs_prompt(loom_buf *into, const loom_attrs *attrs, const loom_prompt_conf *conf, loom_rng *rng)
{
    prompt_lines lines = {.n = 0};
    loom_buf list = {0};

    if (conf->mode != LOOM_MODE_INSTRUCTION) {
        bare_prompt(into, attrs, conf);
        return;
    }
    training_lines(&lines, attrs, true);
    if (conf->include) add(&lines, *conf->include);
    if (conf->high_latency) add(&lines, (loom_line){.kind = LOOM_LINE_HIGH_LATENCY});
    if (!conf->high_latency && !loom_attrs_has(attrs, LOOM_ATTR_LATENCY))
        add(&lines, (loom_line){.kind = LOOM_LINE_DISTRIBUTIONS});
    loom_attrs_render(&list, attrs);
    render_head(into, loom_buf_text(&list));
    loom_buf_str(into, LOOM_TEXT_CONDITIONS "\n");
    render_lines(into, &lines, NULL, 0, rng);
    root_tail(into, conf);
    loom_buf_release(&list);
}

/* The word of a record that holds the attribute list. */
static const char *attrs_word(const char *record, size_t len, size_t *n)
{
    for (size_t i = 0; i < len;) {
        size_t from = i;
        while (i < len && !strchr(" \t\r\n", record[i])) i++;
        *n = i - from;
        if (memmem(record + from, *n, "id:", 3)) return record + from;
        if (i == from) i++;
    }
    return NULL;
}

loom_status loom_request_record_prompt(loom_buf *into, loom_mode mode, bool match_training, const char *record,
                                       size_t len, loom_err *err)
{
    loom_prompt_conf conf = {.mode = mode, .match_training = match_training};
    size_t n = 0;
    const char *word = attrs_word(record, len, &n);

    if (!word)
        return loom_fail(err, LOOM_STATUS_FORMAT, "a prompt record without an attribute list (a word with \"id:\"): "
                         "\"%.*s\"", (int)(len < 60 ? len : 60), record);
    if (mode != LOOM_MODE_INSTRUCTION) {
        if (match_training) loom_buf_str(into, LOOM_TEXT_GENERATE);
        loom_buf_append(into, word, n);
        loom_buf_char(into, '\n');
    } else {
        while (len && strchr(" \t\r\n", record[len - 1])) len--;
        loom_buf_append(into, record, len);
        size_t bare = strlen(LOOM_TEXT_CONDITIONS);
        bool empty = len >= bare && memcmp(record + len - bare, LOOM_TEXT_CONDITIONS, bare) == 0;
        loom_buf_str(into, match_training && empty ? "\n\n" : "\n");
    }
    root_tail(into, &conf);
    return LOOM_OK;
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
    if (mode == LOOM_MODE_TABULAR)
        loom_record_render_calls(into, &v->graph.graph);
    else
        render_collected(into, v);
    loom_buf_str(into, "]</s>\n");
}

void loom_summary_line(loom_buf *into, int32_t edges, int32_t depth, int64_t finished, int64_t valid, int64_t correct,
                       int64_t repetitions, int64_t sum_edges, int64_t sum_depth)
{
    loom_buf_printf(into, "(%d:%d),%lld,%lld,%lld,%lld,", edges, depth, (long long)finished, (long long)valid,
                    (long long)correct, (long long)repetitions);
    if (valid)
        loom_buf_printf(into, "(%.2f:%.2f)\n", (double)sum_edges / (double)valid, (double)sum_depth / (double)valid);
    else
        loom_buf_str(into, "(0:0)\n");
}
