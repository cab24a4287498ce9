/* Constrained decoding without a model: bytes drawn at random among those the automaton allows must always lead to
 * answers, and answers to graphs, that meet the request. Longer than most: requests, walks and refusals are made by
 * the same helpers. */
#include "test.h"

#include "core/file.h"
#include "core/json.h"
#include "core/num.h"
#include "core/rng.h"
#include "trace/constrain/automaton.h"
#include "trace/request/request.h"
#include "trace/text/textfile.h"

/* ---- ranges of a subgraph's numbers against enumeration ---- */

static bool can_be_met(int64_t n, int64_t d, int64_t c, int64_t k, int64_t k_cap, int64_t ends)
{
    int64_t x = n - c;
    if (n < 1 || c < 1 || x < 0 || d < 0) return false;
    if ((x == 0) != (d == 0) || d > x) return false;
    if (c > LOOM_LAYER_MAX_EDGES) return k >= 2 && k <= LOOM_SPLIT_MAX_PARTS;
    if (k + ends > c) return false;
    if (d == 0) return k == 0;
    return k >= 1 && k <= c && k <= k_cap && x >= d + k - 1;
}

static bool within(const loom_sub_bounds *b, int64_t n, int64_t d, int64_t c)
{
    int64_t x = n - c;
    bool shallow = b->deep >= 0 && d < b->deep;
    if (b->deep >= 0 && d > b->deep) return false;
    if (d < b->d_lo || d > b->d_hi || c < b->c_lo || c > b->c_hi) return false;
    if (n < b->n_lo || n > (shallow ? loom_min_i64(b->n_shallow, b->n_hi) : b->n_hi)) return false;
    return x >= b->x_lo && x <= (shallow ? loom_min_i64(b->x_shallow, b->x_hi) : b->x_hi);
}

enum { MOST = 22 };

static void enumerate(bool *seen, const loom_sub_bounds *b, const loom_sub_state *s, loom_attr which)
{
    memset(seen, 0, (MOST + 1) * sizeof *seen);
    for (int64_t n = 1; n <= MOST; n++)
        for (int64_t c = 1; c <= n; c++)
            for (int64_t d = 0; d <= 6; d++)
                for (int64_t k = 0; k <= LOOM_LAYER_MAX_EDGES; k++) {
                    if ((s->n >= 0 && s->n != n) || (s->d >= 0 && s->d != d) || (s->c >= 0 && s->c != c) ||
                        (s->k >= 0 && s->k != k) || !can_be_met(n, d, c, k, b->k_cap, b->ends) || !within(b, n, d, c))
                        continue;
                    int64_t v = which == LOOM_ATTR_NUM_EDGES           ? n
                                : which == LOOM_ATTR_REMAINING_DEPTH   ? d
                                : which == LOOM_ATTR_NUM_CURRENT_EDGES ? c
                                                                       : k;
                    seen[v] = true;
                }
}

static int64_t draw(loom_rng *r, int64_t lo, int64_t hi)
{
    return lo + (int64_t)loom_rng_below(r, (uint64_t)(hi - lo + 1));
}

TEST(ranges_equal_enumeration)
{
    static const loom_attr which[] = {LOOM_ATTR_NUM_EDGES, LOOM_ATTR_REMAINING_DEPTH, LOOM_ATTR_NUM_CURRENT_EDGES,
                                      LOOM_ATTR_NUM_SUBGRAPHS};
    int64_t wrong = 0, not_empty = 0;
    loom_rng r;

    loom_rng_seed(&r, 7, "ranges", 0);
    for (int round = 0; round < 3000; round++) {
        loom_sub_bounds b = {.n_lo = draw(&r, 1, 4),
                             .n_hi = draw(&r, 1, MOST),
                             .c_lo = draw(&r, 1, 3),
                             .c_hi = draw(&r, 1, MOST),
                             .x_lo = draw(&r, 0, 2),
                             .x_hi = draw(&r, 0, MOST),
                             .d_lo = 0,
                             .d_hi = draw(&r, 0, 6),
                             .k_cap = draw(&r, 1, 15),
                             .deep = draw(&r, -1, 4),
                             .ends = loom_max_i64(draw(&r, -1, 2), 0)};
        b.n_shallow = draw(&r, -1, MOST);
        b.x_shallow = draw(&r, -1, MOST);
        loom_sub_state s = {.n = -1, .d = -1, .c = -1, .k = -1};
        if (loom_rng_chance(&r, 0.4)) s.n = draw(&r, 1, MOST);
        if (loom_rng_chance(&r, 0.4)) s.d = draw(&r, 0, 4);
        if (loom_rng_chance(&r, 0.4)) s.c = draw(&r, 1, MOST);
        if (loom_rng_chance(&r, 0.4)) s.k = draw(&r, 0, 6);
        for (size_t w = 0; w < 4; w++) {
            bool seen[MOST + 1];
            loom_ranges got;
            enumerate(seen, &b, &s, which[w]);
            loom_sub_ranges(&got, &b, &s, which[w]);
            for (int64_t v = 0; v <= MOST; v++) {
                bool in = false;
                for (int i = 0; i < got.n; i++) in = in || (v >= got.lo[i] && v <= got.hi[i]);
                wrong += in != seen[v];
                not_empty += seen[v];
            }
        }
    }
    CHECK_I64(wrong, 0);
    CHECK(not_empty > 5000);
}

/* ---- random walks ---- */

/* Goes on by a byte drawn among those that are allowed at s and that texts are made of; -1: there is none. Candidates
 * come in random order and the first that is allowed is taken: all are equally likely without trying every one. */
static int step_at_random(loom_automaton *a, loom_automaton_state *s, loom_rng *r)
{
    unsigned char bytes[128];
    int n = 0;

    bytes[n++] = '\n';
    for (int b = ' '; b < 128; b++) bytes[n++] = (unsigned char)b;
    while (n) {
        uint64_t i = loom_rng_below(r, (uint64_t)n);
        unsigned char b = bytes[i];
        loom_automaton_state next = *s;
        if (loom_automaton_step(a, &next, b)) {
            *s = next;
            return b;
        }
        bytes[i] = bytes[--n];
    }
    return -1;
}

/* Writes an answer by drawing bytes; false: stuck. Where there is no choice, what must follow is mostly taken at its
 * word; every tenth time it is drawn like the rest, and must come out as foretold. */
static bool walk(loom_buf *text, loom_automaton *a, loom_rng *r)
{
    loom_automaton_state s = *loom_automaton_start(a);
    loom_buf must = {0};
    bool ok = true;

    loom_buf_reset(text);
    while (ok && !s.done && text->len < 200000) {
        loom_buf_reset(&must);
        loom_automaton_forced(a, &s, &must);
        if (must.len && !loom_rng_chance(r, 0.1)) {
            ok = loom_automaton_feed(a, &s, must.data, must.len);
            loom_buf_append(text, must.data, must.len);
            continue;
        }
        int b = step_at_random(a, &s, r);
        ok = b >= 0 && (!must.len || b == (unsigned char)must.data[0]);
        if (b >= 0) loom_buf_char(text, (char)b);
    }
    loom_buf_release(&must);
    return ok && s.done;
}

static void cut(loom_buf *text, loom_mode mode)
{
    size_t n;
    const char *const *stops = loom_stop_strings(mode, &n);
    for (size_t i = 0; i < n; i++) {
        char *hit = strstr(text->data, stops[i]);
        if (hit) *hit = 0, text->len = (size_t)(hit - text->data);
    }
}

typedef struct asked {
    loom_mode mode;
    int64_t edges, depth, latency;
    bool training;
    const char *from, *to, *type;         /* an include line; NULL: none */
    bool hide_edges, hide_depth, at_once; /* at_once: the edge asked for is the first of its layer */
    const char *const *names;
    size_t n_names;
} asked;

static void root_prompt(loom_buf *into, const asked *q, loom_rng *r)
{
    loom_mode mode = q->mode;
    int64_t edges = q->edges, depth = q->depth, latency = q->latency;
    loom_line include = {.kind = LOOM_LINE_INCLUDE, .name = {q->from, q->to, q->type}};
    loom_prompt_conf conf = {.mode = mode, .match_training = q->training, .include = q->from ? &include : NULL};
    loom_attrs a;

    loom_attrs_init(&a);
    a.id = "S_000000007";
    a.start_node = "USER";
    a.num_edges = edges;
    a.latency = latency;
    a.remaining_depth = mode == LOOM_MODE_TABULAR ? depth : depth - 1;
    a.num_current_edges = 1;
    a.num_subgraphs = edges > 1;
    a.start = 0;
    loom_attrs_put(&a, LOOM_ATTR_ID);
    if (!q->hide_edges) loom_attrs_put(&a, LOOM_ATTR_NUM_EDGES);
    if (latency >= 0) loom_attrs_put(&a, LOOM_ATTR_LATENCY);
    if (mode == LOOM_MODE_TABULAR) {
        loom_attrs_put(&a, LOOM_ATTR_DEPTH);
    } else {
        static const loom_attr more[] = {LOOM_ATTR_START_NODE,      LOOM_ATTR_START_EDGE_ID,
                                         LOOM_ATTR_START,           LOOM_ATTR_NUM_SUBGRAPHS,
                                         LOOM_ATTR_REMAINING_DEPTH, LOOM_ATTR_NUM_CURRENT_EDGES};
        for (size_t i = 0; i < sizeof more / sizeof *more; i++)
            if (more[i] == LOOM_ATTR_REMAINING_DEPTH ? !q->hide_depth : loom_rng_chance(r, 0.8))
                loom_attrs_put(&a, more[i]);
    }
    loom_request_attrs_prompt(into, &a, &conf, r);
}

typedef struct tally {
    int64_t graphs, stuck, unfinished, invalid, wrong, inaccurate, layers, splits;
    int64_t disobeyed, late;   /* layers against a condition; layers that do not begin with the edge asked for */
    int64_t lacking, unlisted; /* graphs without the edge asked for; odd names */
} tally;

/* Every condition of the prompt that a layer can show; an include line only where its caller is the start node. */
static void judge_layer(tally *t, const asked *q, const loom_request_layer *l)
{
    loom_arena arena = {0};
    loom_following f = loom_check_conditions(&l->parsed, l->prompt, l->prompt_len, &arena);
    loom_parsed_prompt p;

    loom_parse_prompt(&p, l->parsed.mode, l->prompt, l->prompt_len, &arena);
    size_t n = strlen(l->parsed.req.start_node);
    const char *caller = p.n_includes ? p.includes[0] + strlen(LOOM_TEXT_INCLUDE) + 1 : "";
    bool own = p.n_includes && strncmp(caller, l->parsed.req.start_node, n) == 0 && caller[n] == ' ';
    if (!own || l->parsed.split) f.broken &= ~LOOM_CONDITION_BIT(LOOM_LINE_INCLUDE);
    else if (q->at_once) t->late += strcmp(l->parsed.edges[0].destination, q->to) != 0;
    if (f.broken && t->disobeyed++ == 0)
        fprintf(stderr, "conditions %x\nprompt: %s\ntext: %s\n", f.broken, l->prompt, l->text);
    loom_arena_release(&arena);
}

static void judge_names(tally *t, const asked *q, const loom_outcome *o)
{
    bool found = !q->from;

    for (int32_t i = 0; i < o->n_edges; i++) {
        const loom_edge_text *e = &o->edges[i];
        bool listed = !q->names;
        for (size_t k = 0; k < q->n_names; k++) listed = listed || strcmp(q->names[k], e->destination) == 0;
        t->unlisted += !listed;
        found = found || (strcmp(e->source, q->from) == 0 && strcmp(e->destination, q->to) == 0 &&
                          strcmp(e->type, q->type) == 0);
    }
    t->lacking += !found;
}

/* Grows one graph by random walks. */
static void grow(tally *t, const asked *q, loom_rng *r)
{
    loom_mode mode = q->mode;
    loom_request_conf conf = {.mode = mode, .match_training = q->training};
    loom_request *tree = NULL;
    loom_buf prompt = {0}, text = {0};
    loom_err err;

    t->graphs++;
    root_prompt(&prompt, q, r);
    if (loom_request_new(&tree, &conf, prompt.data, prompt.len, r, &err) != LOOM_OK) {
        t->unfinished++;
        goto done;
    }
    for (const loom_request_layer *l; (l = loom_request_take(tree));) {
        loom_automaton_conf ac = {.mode = mode,
                                  .full = true,
                                  .root = l->parent < 0,
                                  .prompt = l->prompt,
                                  .prompt_len = l->prompt_len,
                                  .reach = l->reach,
                                  .asked_first = q->at_once,
                                  .names = q->names,
                                  .n_names = q->n_names};
        loom_automaton *a = NULL;
        if (loom_automaton_new(&a, &ac, &err) != LOOM_OK || !walk(&text, a, r)) {
            if (t->stuck++ == 0)
                fprintf(stderr, "%s\nprompt: %s\ntext: %s\n", a ? "stuck" : err.msg, l->prompt, loom_buf_text(&text));
            loom_automaton_free(a);
            goto done;
        }
        loom_automaton_free(a);
        cut(&text, mode);
        if (loom_request_answer(tree, l->index, text.data, text.len, &err) != LOOM_OK) break;
        if (l->codes.n && t->unfinished == 0)
            fprintf(stderr, "code %d: %s\nprompt: %s\ntext: %s\n", l->codes.items[0].code, l->codes.items[0].message,
                    l->prompt, text.data);
        if (l->rules && !l->codes.n && t->inaccurate == 0)
            fprintf(stderr, "rules %x\nprompt: %s\ntext: %s\n", l->rules, l->prompt, text.data);
        judge_layer(t, q, l);
        t->layers++;
        t->splits += l->parsed.n_edges == 0;
    }
    const loom_outcome *o = loom_request_outcome(tree);
    t->unfinished += !o->finished;
    t->invalid += !o->valid;
    t->wrong += !o->correct || (!q->hide_edges && o->graph.n_edges != q->edges) ||
                (!q->hide_depth && o->graph.depth != q->depth);
    t->inaccurate += !o->accurate;
    judge_names(t, q, o);
done:
    loom_request_free(&tree);
    loom_buf_release(&prompt);
    loom_buf_release(&text);
}

static void check_tally(const tally *t)
{
    CHECK_I64(t->stuck, 0);
    CHECK_I64(t->unfinished, 0);
    CHECK_I64(t->invalid, 0);
    CHECK_I64(t->wrong, 0);
    CHECK_I64(t->inaccurate, 0);
    CHECK_I64(t->disobeyed, 0);
    CHECK_I64(t->late, 0);
    CHECK_I64(t->lacking, 0);
    CHECK_I64(t->unlisted, 0);
}

static void grow_many(loom_mode mode, bool training)
{
    tally t = {0};
    loom_rng r;

    loom_rng_seed(&r, 11, "walk", (uint64_t)mode * 2 + training);
    for (int64_t edges = 1; edges <= 40; edges++)
        for (int64_t depth = 1; depth <= 7; depth++) {
            if (depth > edges || (depth == 1 && edges > 1)) continue;
            asked q = {mode, edges, depth, depth % 3 == 0 ? -1 : 10 * edges, training, .type = NULL};
            grow(&t, &q, &r);
        }
    if (mode != LOOM_MODE_TABULAR) grow(&t, &(asked){mode, 200, 4, 5000, training, .type = NULL}, &r);
    grow(&t, &(asked){mode, 30, 25, 90, training, .type = NULL}, &r);
    grow(&t, &(asked){mode, 12, 12, 0, training, .type = NULL}, &r);
    for (int i = 0; i < 3; i++) grow(&t, &(asked){mode, 99, 15, 90, training, .hide_edges = true}, &r);
    CHECK(t.graphs > 200);
    check_tally(&t);
    if (mode != LOOM_MODE_TABULAR) CHECK(t.splits > 20 && t.layers > 1000);
}

TEST(random_recursive_graphs_meet_their_request)
{
    grow_many(LOOM_MODE_RECURSIVE, true);
    grow_many(LOOM_MODE_RECURSIVE, false);
}

TEST(random_instruction_graphs_meet_their_request)
{
    grow_many(LOOM_MODE_INSTRUCTION, true);
    grow_many(LOOM_MODE_INSTRUCTION, false);
}

TEST(random_tabular_graphs_meet_their_request)
{
    grow_many(LOOM_MODE_TABULAR, true);
    grow_many(LOOM_MODE_TABULAR, false);
}

/* "Include an edge from ... to ...": it is there, in every layer that says so and starts at its caller; the caller is
 * called when it is another one than the root's. */
TEST(edges_asked_for_are_there)
{
    static const char *const names[] = {"MS_00003", "MS_00004", "MS_00005", "MS_00006"};
    static const char *const types[] = {"http", "mc", "db"};
    tally t = {0};
    loom_rng r;

    loom_rng_seed(&r, 13, "include", 0);
    for (int64_t edges = 1; edges <= 24; edges++)
        for (int64_t depth = edges > 1 ? 2 : 1; depth <= 6 && depth <= edges; depth++)
            for (int way = 0; way < 8; way++) {
                asked q = {.mode = LOOM_MODE_INSTRUCTION,
                           .edges = edges == 24 ? 90 : edges,
                           .depth = depth,
                           .latency = way & 1 ? -1 : 100,
                           .training = way & 2,
                           .to = "MS_00006",
                           .type = types[edges % 3],
                           .from = way & 4 || depth == 1 ? "USER" : "MS_00005"};
                if (loom_rng_chance(&r, 0.3)) q.names = names, q.n_names = 4;
                if (edges == 7 && depth == 3 && !(way & 4)) q.from = q.to; /* it calls itself */
                q.at_once = loom_rng_chance(&r, 0.3);
                q.hide_depth = loom_rng_chance(&r, 0.2);
                q.hide_edges = edges < 4 && loom_rng_chance(&r, 0.1);
                grow(&t, &q, &r);
            }
    CHECK(t.graphs > 700);
    CHECK(t.splits > 10);
    check_tally(&t);
}

/* Below this layer, of n calls, MS_00002 is to have a call of `type`: is `then` a way to go on behind `text`? */
static bool goes_on(const char *type, bool on_the_way, int n, int depth, const char *text, const char *then)
{
    char prompt[400];
    loom_automaton_conf conf = {.mode = LOOM_MODE_INSTRUCTION, .full = true, .on_the_way = on_the_way};
    loom_automaton *a = NULL;
    loom_err err;

    conf.prompt_len = (size_t)snprintf(
        prompt, sizeof prompt,
        "Requirements:\nid:S_1/start_edge_id:1/num_edges:%d/num_subgraphs:1/start_node:MS_00001/remaining_depth:%d/"
        "start_communication_at:0/num_current_edges:1/latency:5/caller:USER\nConditions:\n"
        "Include an edge from MS_00002 to MS_00009 with %s type\n\n ### Answer: ",
        n, depth, type);
    conf.prompt = prompt;
    if (loom_automaton_new(&a, &conf, &err) != LOOM_OK) {
        TEST_FAIL_("%s", err.msg);
        return false;
    }
    loom_automaton_state s = *loom_automaton_start(a);
    bool known = loom_automaton_feed(a, &s, text, strlen(text));
    CHECK(known);
    known = known && loom_automaton_feed(a, &s, then, strlen(then));
    loom_automaton_free(a);
    return known;
}

#define ONE_CALL_TO "\n<layer>\n<edges>\n(edge_id is 1,type is rpc,destination is "
#define ITS_SUBGRAPH                                                                                                   \
    ONE_CALL_TO                                                                                                        \
    "MS_00002,communication starts at 0 milliseconds,communication finishes at 5 milliseconds)\n</edges>\n"            \
    "num generated edges = the last edge id - the first edge id + 1 = 1 - 1 + 1 = 1\n"                                 \
    "1 edges generated out of num_edges:5\nnum_remaining_edges = num_edges:5 - generated:1 = 4\n\n"                    \
    "generate subgraphs of edge:1\nSubgraph constraints:\nnum_edges <= num_remaining_edges:4\n"                        \
    "remaining_depth should be the requirement's remaining_depth:2 - 1 = 1\n"                                          \
    "copy start_node from edge 1 destination: MS_00002\n"                                                              \
    "<subgraph of edge_id 1>id:S_1/num_edges:4/num_subgraphs:1/"

/* A layer on the way to the call that is asked for leads to its caller, and leaves room for a call that ends. */
TEST(the_way_to_what_is_asked_for)
{
    CHECK(goes_on("rpc", true, 2, 1, ONE_CALL_TO, "MS_00002"));
    CHECK(!goes_on("rpc", true, 2, 1, ONE_CALL_TO, "MS_00009")); /* the layer below could only start there */
    CHECK(goes_on("rpc", false, 2, 1, ONE_CALL_TO, "MS_00009"));
    CHECK(goes_on("rpc", true, 5, 2, ONE_CALL_TO, "MS_00009")); /* there may be another layer in between */
    CHECK(goes_on("rpc", true, 5, 2, ITS_SUBGRAPH, "num_current_edges:1/"));
    CHECK(goes_on("db", false, 5, 2, ITS_SUBGRAPH, "num_current_edges:1/"));
    CHECK(goes_on("db", true, 5, 2, ITS_SUBGRAPH, "num_current_edges:2/"));
    CHECK(!goes_on("db", true, 5, 2, ITS_SUBGRAPH, "num_current_edges:1/"));
    CHECK(!goes_on("mc", true, 5, 2, ITS_SUBGRAPH, "num_current_edges:1/"));
}

/* Text that is appended without asking the model ends where a choice begins, not in the middle of a phrase that two
 * choices have in common: the model has a token for the phrase, none for its half. */
TEST(forced_text_ends_between_phrases)
{
    static const char prompt[] = "id:S_1/start_node:USER/num_edges:1\n<layer>\n<edges>\n";
    static const char *const before[] = {"edge_id is 0,type is db,destination is MS_00001,",
                                         "communication starts at 3 milliseconds,"};
    static const char *const after[] = {"", "communication finishes at "};
    loom_automaton_conf conf = {
        .mode = LOOM_MODE_RECURSIVE, .full = true, .root = true, .prompt = prompt, .prompt_len = sizeof prompt - 1};
    loom_automaton *a = NULL;
    loom_buf text = {0};
    loom_err err = {0};

    REQUIRE_OK(loom_automaton_new(&a, &conf, &err), err);
    loom_automaton_state s = *loom_automaton_start(a);
    REQUIRE(loom_automaton_feed(a, &s, "(", 1));
    for (int i = 0; i < 2; i++) {
        REQUIRE(loom_automaton_feed(a, &s, before[i], strlen(before[i])));
        loom_buf_reset(&text);
        loom_automaton_forced(a, &s, &text);
        CHECK_STR(loom_buf_text(&text), after[i]);
    }
    loom_automaton_free(a);
    loom_buf_release(&text);
}

/* ---- what cannot be met is refused, and why ---- */
typedef struct refusal {
    loom_mode mode;
    bool root;
    const char *attrs, *conditions, *why; /* why NULL: it can be met */
} refusal;

#define CHILD   "id:S_1/start_node:MS_00001/caller:USER/start_edge_id:1/start_communication_at:3/latency:9/"
#define INCLUDE "Include an edge from "

static const refusal refusals[] = {
    {LOOM_MODE_TABULAR, true, "id:S_1/num_edges:3/depth:4", "", "deeper than it has edges"},
    {LOOM_MODE_TABULAR, true, "id:S_1/num_edges:2/depth:1", "", "exactly one edge"},
    {LOOM_MODE_TABULAR, true, "id:S_1/num_edges:0", "", "at least one edge"},
    {LOOM_MODE_TABULAR, true, "id:S_1/depth:0", "", "depth of at least 1"},
    {LOOM_MODE_TABULAR, true, "id:S_1/depth:63/num_edges:99", "", "depth is too large"},
    {LOOM_MODE_TABULAR, true, "id:S_1/num_edges:9223372036854775807", "", "num_edges is too large"},
    {LOOM_MODE_TABULAR, true, "id:S_1/latency:9223372036854775807", "", "latency is too large"},
    {LOOM_MODE_TABULAR, true, "id:S_1/num_edges:x", "", "not an integer"},
    {LOOM_MODE_RECURSIVE, true, "id:S_1/start_node:USER/num_edges:3/remaining_depth:3", "", "deeper than it has edges"},
    {LOOM_MODE_RECURSIVE, true, "id:S_1/start_node:USER/num_edges:3/remaining_depth:0", "", "exactly one edge"},
    {LOOM_MODE_RECURSIVE, true, "id:S_1/num_edges:3/num_subgraphs:0", "", "no subgraph may be generated"},
    {LOOM_MODE_RECURSIVE, true, "id:S_1/num_edges:3/num_subgraphs:2", "", "at most one subgraph"},
    {LOOM_MODE_RECURSIVE, true, "id:S_1/num_edges:1/num_subgraphs:1", "", "no edges or depth are left"},
    {LOOM_MODE_RECURSIVE, true, "id:S_1/num_edges:3/num_current_edges:2", "", "exactly one edge"},
    {LOOM_MODE_RECURSIVE, true, "id:S_1/num_edges:3/start_edge_id:1", "", "edge 0"},
    {LOOM_MODE_RECURSIVE, true, "id:S_1/num_edges:3/start_communication_at:9/latency:8", "",
     "start_communication_at is 9, but everything must finish by latency 8"},
    {LOOM_MODE_RECURSIVE, true, "id:S_1/num_edges:3/remaining_depth:1001", "", "depth is too large"},
    {LOOM_MODE_RECURSIVE, true, "id:S_1/num_edges:3/remaining_depth:2", "", NULL}, /* no start_node: USER */
    {LOOM_MODE_RECURSIVE, true, "", "", NULL},                                     /* nothing is asked for */
    {LOOM_MODE_RECURSIVE, false, CHILD "num_edges:5/remaining_depth:1/num_current_edges:3/num_subgraphs:4", "",
     "num_subgraphs is 4 but the layer has 3 edges"},
    {LOOM_MODE_RECURSIVE, false, CHILD "num_edges:2/remaining_depth:1/num_current_edges:3/num_subgraphs:1", "",
     "num_current_edges is 3 but num_edges is only 2"},
    {LOOM_MODE_RECURSIVE, false, CHILD "num_edges:5/remaining_depth:3/num_current_edges:3/num_subgraphs:1", "",
     "remaining_depth is 3 but only 2 edges are left below the layer"},
    {LOOM_MODE_RECURSIVE, false, CHILD "num_edges:5/remaining_depth:0/num_current_edges:3/num_subgraphs:0", "",
     "contradict"},
    {LOOM_MODE_RECURSIVE, false, CHILD "num_edges:40/remaining_depth:0/num_current_edges:40/num_subgraphs:1", "",
     "at least two parts"},
    {LOOM_MODE_RECURSIVE, false, CHILD "num_edges:50/remaining_depth:0/num_current_edges:40/num_subgraphs:3", "",
     "contradict"},
    {LOOM_MODE_RECURSIVE, false, "id:S_1/start_node:MS_00001/start_edge_id:x/num_edges:1/remaining_depth:0", "",
     "start_edge_id"},
    {LOOM_MODE_RECURSIVE, false, "id:S_1/num_edges:1/remaining_depth:0", "", "no start_node"},
    {LOOM_MODE_INSTRUCTION, true, "id:S_1/start_node:USER/num_current_edges:1",
     "generate 2 edges following num_current_edges", "a condition says num_current_edges is 2, the requirements say 1"},
    {LOOM_MODE_INSTRUCTION, true, "id:S_1/start_node:USER", "generate 2 edges following num_current_edges",
     "exactly one edge"},
    {LOOM_MODE_INSTRUCTION, true, "id:S_1/start_node:USER/start_communication_at:7",
     "Also, communication should finish before latency 6 milliseconds", "must finish by latency 6"},
    {LOOM_MODE_INSTRUCTION, true, "id:S_1/start_node:USER", "copy caller from requirement's start_node:MS_00002",
     "a condition says start_node is MS_00002, the requirements say USER"},
    {LOOM_MODE_INSTRUCTION, true, "id:S_1/start_node:USER/num_edges:3", "no subgraph to generate",
     "no subgraph may be generated"},
    {LOOM_MODE_INSTRUCTION, true, "id:S_1/num_edges:3", INCLUDE "USER to MS_00003 with http type", NULL},
    {LOOM_MODE_INSTRUCTION, true, "id:S_1/num_edges:3", INCLUDE "MS_00002 to MS_00003 with http type", NULL},
    {LOOM_MODE_INSTRUCTION, true, "id:S_1/num_edges:1", INCLUDE "MS_00002 to MS_00003 with http type",
     "lets MS_00002 call, but nothing may come below"},
    {LOOM_MODE_INSTRUCTION, true, "id:S_1/start_node:MS_00009/num_edges:3", INCLUDE "USER to MS_00003 with http type",
     "lets USER call below the root"},
    {LOOM_MODE_INSTRUCTION, true, "id:S_1/num_edges:3", INCLUDE "USER to MS_00003 with soap type", "soap"},
    {LOOM_MODE_INSTRUCTION, true, "id:S_1/num_edges:3", INCLUDE "USER to redis with mc type", "redis"},
    {LOOM_MODE_INSTRUCTION, true, "id:S_1/num_edges:3", INCLUDE "MS_1 to MS_00003 with mc type", "MS_1 "},
    {LOOM_MODE_INSTRUCTION, true, "id:S_1/num_edges:3",
     INCLUDE "USER to MS_00003 with mc type\n" INCLUDE "USER to MS_00004 with mc type", "several different"},
    {LOOM_MODE_INSTRUCTION, true, "id:S_1/num_edges:3",
     INCLUDE "USER to MS_00003 with mc type\n" INCLUDE "USER to MS_00003 with mc type", NULL},
};

static void try_refusal(const refusal *c)
{
    loom_buf prompt = {0};
    loom_automaton *a = NULL;
    loom_err err = {0};

    if (c->mode == LOOM_MODE_INSTRUCTION)
        loom_buf_printf(&prompt,
                        LOOM_TEXT_QUESTION LOOM_TEXT_SYSTEM "\n" LOOM_TEXT_REQUIREMENTS "\n%s\n" LOOM_TEXT_CONDITIONS
                                                            "\n%s\n" LOOM_TEXT_ANSWER "\n",
                        c->attrs, c->conditions);
    else loom_buf_printf(&prompt, "%s\n", c->attrs);
    loom_automaton_conf conf = {
        .mode = c->mode, .full = true, .root = c->root, .prompt = prompt.data, .prompt_len = prompt.len};
    loom_status st = loom_automaton_new(&a, &conf, &err);
    if (c->why ? st != LOOM_STATUS_ARG || !strstr(err.msg, c->why) : st != LOOM_OK)
        fprintf(stderr, "%s%s\n  gives: %s\n", prompt.data, c->why ? c->why : "can be met",
                st ? err.msg : "(accepted)");
    CHECK(c->why ? st == LOOM_STATUS_ARG && strstr(err.msg, c->why) : st == LOOM_OK);
    loom_automaton_free(a);
    loom_buf_release(&prompt);
}

TEST(what_cannot_be_met_is_refused)
{
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) try_refusal(&refusals[i]);
}

/* Names that are all an answer may use bound what can be asked for. */
TEST(names_bound_what_can_be_included)
{
    static const char *const names[] = {"MS_00003", "MS_00005"};
    static const struct {
        const char *from, *to;
        bool good;
    } cases[] = {{"USER", "MS_00005", true},
                 {"USER", "MS_00004", false},
                 {"MS_00003", "MS_00005", true},
                 {"MS_00004", "MS_00005", false}};

    for (size_t i = 0; i < 4; i++) {
        asked q = {LOOM_MODE_INSTRUCTION, 4, 3, -1, true, cases[i].from, cases[i].to, "rpc", .names = names};
        loom_buf prompt = {0};
        loom_automaton *a = NULL;
        loom_err err = {0};
        loom_rng r;
        loom_rng_seed(&r, i, "names", 0);
        root_prompt(&prompt, &q, &r);
        loom_automaton_conf conf = {.mode = q.mode,
                                    .full = true,
                                    .root = true,
                                    .names = names,
                                    .n_names = 2,
                                    .prompt = prompt.data,
                                    .prompt_len = prompt.len};
        loom_status st = loom_automaton_new(&a, &conf, &err);
        CHECK(cases[i].good ? st == LOOM_OK : st == LOOM_STATUS_ARG && strstr(err.msg, "MS_00004"));
        loom_automaton_free(a);
        loom_buf_release(&prompt);
    }
}

/* ---- real text is within the grammar ---- */

typedef struct acceptance {
    int64_t n, syntax, full;
} acceptance;

static bool accepts(loom_mode mode, bool full, bool root, const char *text, size_t split, size_t len)
{
    loom_automaton_conf conf = {.mode = mode, .full = full, .root = root, .prompt = text, .prompt_len = split};
    loom_automaton *a = NULL;
    loom_err err;
    bool ok = loom_automaton_new(&a, &conf, &err) == LOOM_OK;

    if (ok) {
        loom_automaton_state s = *loom_automaton_start(a);
        ok = loom_automaton_feed(a, &s, text + split, len - split) && s.done;
    }
    loom_automaton_free(a);
    return ok;
}

static void try_sample(acceptance *t, loom_mode mode, const char *text, size_t len)
{
    static const char *const marks[] = {"<layer>\n<edges>", "<split>\n", "<edges>\n"};
    const char *from =
        mode == LOOM_MODE_INSTRUCTION ? memmem(text, len, LOOM_TEXT_ANSWER, strlen(LOOM_TEXT_ANSWER)) : text;
    const char *question = from ? from : text;
    bool root = mode == LOOM_MODE_TABULAR || memmem(text, (size_t)(question - text), "start_node:USER", 15) != NULL;

    if (!from) return;
    for (int i = mode == LOOM_MODE_TABULAR ? 2 : 0; i < 3; i++) {
        const char *hit = memmem(from, len - (size_t)(from - text), marks[i], strlen(marks[i]));
        if (!hit) continue;
        size_t split = (size_t)(hit - text) + strlen(marks[i]);
        bool syntax = accepts(mode, false, root, text, split, len), whole = accepts(mode, true, root, text, split, len);
        t->n++;
        t->syntax += syntax;
        t->full += whole;
        if (!syntax && t->n - t->syntax == 1) fprintf(stderr, "not within the form:\n%.*s\n", (int)len, text);
        return;
    }
}

static void try_file(acceptance *t, const char *name)
{
    loom_textfile *f = NULL;
    loom_textfile_sample s;
    loom_err err = {0};
    char path[4096];

    *t = (acceptance){0};
    snprintf(path, sizeof path, "%s/data/alibaba-v2022-text/%s", test_shared(), name);
    REQUIRE_OK(loom_textfile_open(&f, path, &err), err);
    while (loom_textfile_next(f, &s, &err) == LOOM_OK && s.text) try_sample(t, s.mode, s.text, s.len);
    loom_textfile_close(&f);
}

/* Published text is what models are trained on: the form must hold all of it, the full constraint nearly all (what it
 * leaves out: numbers of siblings with gaps, calls that start before the first one or before their caller). */
TEST(published_text_is_within_the_grammar)
{
    acceptance t;

    if (!test_shared()) SKIP("no shared data");
    try_file(&t, "recursive_instruction_dataset.txt");
    printf("instruction: %d of %d layers within full\n", (int)t.full, (int)t.n);
    CHECK(t.n > 200);
    CHECK_I64(t.syntax, t.n);
    CHECK(t.full > t.n * 85 / 100);
    try_file(&t, "tabular_dataset.txt");
    printf("tabular: %d of %d graphs within full\n", (int)t.full, (int)t.n);
    CHECK(t.n > 1000);
    CHECK_I64(t.syntax, t.n);
    CHECK(t.full > t.n * 85 / 100);
}

TEST_MAIN(RUN(published_text_is_within_the_grammar) RUN(ranges_equal_enumeration) RUN(what_cannot_be_met_is_refused)
              RUN(forced_text_ends_between_phrases) RUN(names_bound_what_can_be_included) RUN(edges_asked_for_are_there)
                  RUN(the_way_to_what_is_asked_for) RUN(random_recursive_graphs_meet_their_request)
                      RUN(random_instruction_graphs_meet_their_request) RUN(random_tabular_graphs_meet_their_request))
