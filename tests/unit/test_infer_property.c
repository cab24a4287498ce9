/* The promise of `--constrain full`, held to at random: a model with random weights, drawing at temperature 1, answers
 * feasible requests of every kind, and each graph is valid by the paper's rules, has exactly the edges and depth asked
 * for, obeys every condition of every layer's prompt, and holds the edge that had to be included.
 *
 *   test_infer_property [REQUESTS [REQUESTS_PUBLISHED [SEED]]]
 *
 * REQUESTS with a tokenizer learned on the spot, REQUESTS_PUBLISHED with each of the Llama tokenizers where these
 * are at hand. `make property` gives 10,000 and 500. The first failure of a kind is printed with its prompt and
 * text. */
#include "test.h"

#include "core/num.h"
#include "core/usage.h"
#include "infer/engine/engine.h"
#include "infer/loop/budget.h"
#include "model/blas.h"
#include "unit/domain_rig.h"

static int64_t requests = 200, published = 3, seed = 1;

/* ---- a model ---- */
static loom_status build(rig *r, const char *tokenizer, loom_err *err)
{
    loom_config c;

    loom_config_default(&c);
    c.C = 32;
    c.L = 1;
    c.H = 2;
    c.K = 1;
    c.F = 32;
    c.max_positions = 32768;
    return rig_build(r, tokenizer, c, 1, (uint64_t)seed, err);
}

/* ---- requests ---- */
#define NAMES 40
static char name_texts[NAMES][16];
static const char *names[NAMES];

/* Lists that graphs are kept to; all hold `names`, which requests ask for. */
enum { LIST_NAMES, LIST_UNEVEN, LIST_HUGE, LISTS };
static loom_names lists[LISTS];

static void list_name(int list, const char *name)
{
    loom_err err;
    if (loom_names_add(&lists[list], name, strlen(name), &err) != LOOM_OK) TEST_FAIL_("%s", err.msg);
}

static void make_names(void)
{
    char text[32];
    loom_err err;

    for (int i = 0; i < NAMES; i++) {
        snprintf(name_texts[i], sizeof name_texts[i], "MS_%05d", 11 + 1237 * i);
        names[i] = name_texts[i];
        for (int list = 0; list < LISTS; list++) list_name(list, names[i]);
    }
    /* a name is a prefix of another, the first ones are long and of odd bytes, one is a word of the grammar */
    list_name(LIST_UNEVEN, "!!#~#~#~#~#~#~#~#~#~#~#~#~#~#~#~#~#~#~#~");
    list_name(LIST_UNEVEN, "recommendation-service-v2.europe-west.replica-of-replica");
    list_name(LIST_UNEVEN, "recommendation");
    list_name(LIST_UNEVEN, "db");
    for (int i = 0; i < 100000; i++) {
        snprintf(text, sizeof text, "MS_%05d", 7 * i);
        list_name(LIST_HUGE, text);
    }
    for (int list = 0; list < LISTS; list++)
        if (loom_names_sort(&lists[list], &err) != LOOM_OK) TEST_FAIL_("%s", err.msg);
}

/* What a prompt asks for, to be compared with its graph; -1 and NULL: nothing. */
typedef struct wish {
    loom_mode mode;
    int64_t edges, depth, latency, start;
    const char *start_node, *from, *to, *type;
    const loom_names *listed; /* only these; NULL: any */
} wish;

static int64_t draw(loom_rng *r, int64_t lo, int64_t hi)
{
    return lo + (int64_t)loom_rng_below(r, (uint64_t)(hi - lo + 1));
}

static int64_t draw_edges(loom_rng *r, bool small)
{
    double u = loom_rng_f64(r);
    if (small) return u < 0.9 ? draw(r, 1, 8) : draw(r, 9, 24);
    return u < 0.70 ? draw(r, 1, 12) : u < 0.95 ? draw(r, 13, 40) : u < 0.995 ? draw(r, 41, 120) : draw(r, 121, 400);
}

static void draw_wish(wish *w, loom_rng *r, bool small)
{
    static const char *const types[] = {"http", "rpc", "db", "mc", "mq"};

    *w = (wish){.mode = (loom_mode)loom_rng_below(r, LOOM_MODES), .latency = -1, .start = -1, .start_node = "USER"};
    w->edges = draw_edges(r, small);
    if (w->mode == LOOM_MODE_TABULAR) w->edges = loom_min_i64(w->edges, small ? 12 : 150);
    w->depth = w->edges == 1 ? 1 : draw(r, 2, loom_min_i64(w->edges, 15));
    if (loom_rng_chance(r, 0.5))
        w->latency = loom_rng_chance(r, 0.1) ? 0 : draw(r, 1, loom_rng_chance(r, 0.5) ? 40 : 3000);
    if (w->mode != LOOM_MODE_INSTRUCTION || !loom_rng_chance(r, 0.4)) return;
    w->to = names[loom_rng_below(r, NAMES)];
    w->type = types[loom_rng_below(r, 5)];
    w->from = w->edges == 1 || loom_rng_chance(r, 0.4) ? "USER" : names[loom_rng_below(r, NAMES)];
}

/* Shows some of the attributes, as published prompts do; a wish that is not shown is forgotten. */
static void show_attrs(loom_attrs *a, wish *w, loom_rng *r)
{
    bool tabular = w->mode == LOOM_MODE_TABULAR, other_start = loom_rng_chance(r, 0.1) && !w->from;

    loom_attrs_init(a);
    a->id = "S_000000007";
    a->num_edges = w->edges;
    a->latency = w->latency;
    a->remaining_depth = tabular ? w->depth : w->depth - 1;
    loom_attrs_put(a, LOOM_ATTR_ID);
    if (loom_rng_chance(r, tabular ? 0.99 : 0.95)) loom_attrs_put(a, LOOM_ATTR_NUM_EDGES);
    else w->edges = a->num_edges = -1;
    if (loom_rng_chance(r, 0.9)) loom_attrs_put(a, tabular ? LOOM_ATTR_DEPTH : LOOM_ATTR_REMAINING_DEPTH);
    else w->depth = a->remaining_depth = -1;
    if (w->latency >= 0) loom_attrs_put(a, LOOM_ATTR_LATENCY);
    if (tabular) return;
    if (other_start) w->start_node = names[3];
    a->start_node = w->start_node;
    a->num_current_edges = 1;
    a->num_subgraphs = a->num_edges != 1 && a->remaining_depth != 0;
    w->start = loom_rng_chance(r, 0.7) ? 0 : draw(r, 0, w->latency >= 0 ? w->latency : 70);
    a->start = w->start;
    static const loom_attr more[] = {LOOM_ATTR_START_NODE, LOOM_ATTR_START_EDGE_ID, LOOM_ATTR_START,
                                     LOOM_ATTR_NUM_SUBGRAPHS, LOOM_ATTR_NUM_CURRENT_EDGES};
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        if (loom_rng_chance(r, 0.8) || (i == 0 && other_start)) loom_attrs_put(a, more[i]);
    if (a->num_edges < 0 && a->remaining_depth < 0) loom_attrs_put(a, LOOM_ATTR_NUM_SUBGRAPHS); /* else: 300 edges */
    if (!loom_attrs_has(a, LOOM_ATTR_START)) w->start = -1;
    loom_rng_shuffle(r, a->order, a->n_order, sizeof a->order[0]);
}

static void write_prompt(loom_buf *into, wish *w, bool training, loom_rng *r)
{
    loom_line include = {.kind = LOOM_LINE_INCLUDE, .name = {w->from, w->to, w->type}};
    loom_prompt_conf conf = {.mode = w->mode,
                             .match_training = training,
                             .include = w->from ? &include : NULL,
                             .high_latency = loom_rng_chance(r, 0.2)};
    loom_attrs a;

    show_attrs(&a, w, r);
    loom_buf_reset(into);
    loom_request_attrs_prompt(into, &a, &conf, r);
}

/* ---- judging ---- */
enum { NOT_ACCURATE, WRONG_SIZE, NO_RECORD, DISOBEYED, NO_EDGE, ODD_NAME, WRONG_TIME, WRONG_START, REFUSED, KINDS };
static const char *const kind_names[KINDS] = {"not accurate",
                                              "wrong size",
                                              "no record",
                                              "a condition is not obeyed",
                                              "include edge missing",
                                              "name not listed",
                                              "latency exceeded",
                                              "wrong start node or start",
                                              "refused"};

typedef struct tally {
    const wish *wishes;
    int64_t n, layers, splits, edges, included, failures[KINDS];
    int32_t deepest, largest;
} tally;

static void fail(tally *t, int kind, const loom_gen_result *r, const char *what)
{
    if (t->failures[kind]++) return;
    const loom_request_layer *l =
        loom_request_at(r->tree, r->outcome->failed_layer >= 0 ? r->outcome->failed_layer : 0);
    fprintf(stderr, "%s: %s\nroot prompt: %s\nlayer prompt: %s\ntext: %.3000s\n%s\n", kind_names[kind], what,
            r->prompt->text, l->prompt, l->text ? l->text : "(none)", l->codes.n ? l->codes.items[0].message : "");
}

/* Conditions of a layer's prompt; the include line counts where its caller is the start node. */
static void judge_layer(tally *t, const loom_gen_result *r, const loom_request_layer *l, const wish *w)
{
    loom_arena arena = {0};
    loom_following f = loom_check_conditions(&l->parsed, l->prompt, l->prompt_len, &arena);

    if (!w->from || strcmp(l->parsed.req.start_node[0] ? l->parsed.req.start_node : "USER", w->from) != 0 ||
        l->parsed.split)
        f.broken &= ~LOOM_CONDITION_BIT(LOOM_LINE_INCLUDE);
    if (l->parent < 0 && !l->parsed.req.start_node[0]) f.broken &= ~LOOM_CONDITION_BIT(LOOM_LINE_INCLUDE);
    if (f.broken) {
        fail(t, DISOBEYED, r, l->prompt);
        if (t->failures[DISOBEYED] == 1) fprintf(stderr, "bits %x of layer text: %s\n", f.broken, l->text);
    }
    t->layers++;
    t->splits += l->parsed.split;
    loom_arena_release(&arena);
}

static void judge_edges(tally *t, const loom_gen_result *r, const wish *w)
{
    const loom_outcome *o = r->outcome;
    const loom_edge_text *root = &o->edges[0];
    bool found = !w->from;

    for (int32_t i = 0; i < o->n_edges; i++) {
        const loom_edge_text *e = &o->edges[i];
        if (w->listed && !loom_names_has(w->listed, e->destination)) fail(t, ODD_NAME, r, e->destination);
        found = found || (strcmp(e->source, w->from) == 0 && strcmp(e->destination, w->to) == 0 &&
                          strcmp(e->type, w->type) == 0);
        if (strcmp(e->edge_id, "0") == 0) root = e;
    }
    if (!found) fail(t, NO_EDGE, r, w->from);
    t->included += w->from != NULL;
    if (w->latency >= 0 &&
        (w->mode == LOOM_MODE_TABULAR ? root->finish - root->start != w->latency : root->finish > w->latency))
        fail(t, WRONG_TIME, r, root->edge_id);
    if (strcmp(root->source, w->start_node) != 0 || (w->start >= 0 && root->start != w->start))
        fail(t, WRONG_START, r, root->source);
}

/* What is written as a graph reads back as one. */
static void judge_record(tally *t, const loom_gen_result *r)
{
    loom_arena arena = {0};
    loom_buf line = {0};
    loom_graph g;
    loom_verdict why = {0};

    loom_record_render(&line, &r->outcome->graph.graph);
    if (!loom_record_read(&g, &why, line.data, line.len, &arena) || !loom_graph_equal(&g, &r->outcome->graph.graph))
        fail(t, NO_RECORD, r, line.data);
    loom_buf_release(&line);
    loom_arena_release(&arena);
}

static loom_status judge(void *arg, const loom_gen_result *r, loom_err *err)
{
    tally *t = arg;
    const loom_outcome *o = r->outcome;
    const wish *w = &t->wishes[r->prompt->id];

    (void)err;
    t->n++;
    if (r->refused) fail(t, REFUSED, r, r->refused);
    if (!o->valid || !loom_outcome_accepts(o, LOOM_VALIDITY_PAPER)) {
        fail(t, NOT_ACCURATE, r, "by the paper's rules");
        return LOOM_OK;
    }
    if ((w->edges >= 0 && o->graph.n_edges != w->edges) || (w->depth >= 0 && o->graph.depth != w->depth) ||
        o->n_edges != o->graph.n_edges)
        fail(t, WRONG_SIZE, r, "edges or depth");
    for (int32_t i = 0; i < loom_request_count(r->tree); i++) judge_layer(t, r, loom_request_at(r->tree, i), w);
    judge_edges(t, r, w);
    judge_record(t, r);
    t->edges += o->n_edges;
    t->deepest = o->graph.depth > t->deepest ? o->graph.depth : t->deepest;
    t->largest = o->n_edges > t->largest ? o->n_edges : t->largest;
    return LOOM_OK;
}

/* ---- a round: some requests under settings of their own ---- */
enum { ROUND = 50 };

typedef struct settings {
    loom_engine_options engine;
    loom_gen_options gen;
} settings;

static void draw_settings(settings *s, const rig *r, int64_t round, loom_rng *rng)
{
    static const int64_t top_k[] = {0, 50, 3};

    *s = (settings){.engine = {.batch = draw(rng, 1, 40), .pool = r->pool, .no_jump = loom_rng_chance(rng, 0.05)},
                    .gen = {.match_training = loom_rng_chance(rng, 0.5),
                            .constrain = LOOM_CONSTRAIN_FULL,
                            .seed = (uint64_t)(seed * 1000 + round),
                            .samples = 1,
                            .temperature = 1,
                            .top_k = top_k[loom_rng_below(rng, 3)],
                            .max_tokens = 32768}};
    if (loom_rng_chance(rng, 0.5)) s->gen.names = &lists[loom_rng_below(rng, LISTS)];
    for (int m = 0; m < LOOM_MODES; m++) s->gen.bos[m] = loom_rng_chance(rng, 0.5);
}

/* Contexts and answer limits as small as they may be: the smallest of a few that leave room for the largest layer. */
static loom_status find_room(settings *s, const rig *r, const loom_gen_prompt *prompts, int64_t n, bool tight,
                             loom_err *err)
{
    loom_budget_conf bc = {
        .context = 32768, .max_tokens = 32768, .match_training = s->gen.match_training, .names = s->gen.names};
    loom_budget b;

    for (int64_t room = 400; tight && room < 4000; room += 50) {
        bc.context = room;
        if (loom_budget_of_prompts(&b, r->tok, prompts, n, &bc, err) == LOOM_OK) break;
    }
    for (int64_t room = 200; tight && room < bc.context; room += 50) {
        bc.max_tokens = room;
        if (loom_budget_of_prompts(&b, r->tok, prompts, n, &bc, err) == LOOM_OK) break;
    }
    s->engine.context = bc.context;
    s->gen.max_tokens = bc.max_tokens;
    LOOM_TRY(loom_budget_of_prompts(&b, r->tok, prompts, n, &bc, err));
    s->gen.max_subs = b.max_subs;
    s->gen.time_cap = b.time_cap;
    return LOOM_OK;
}

static loom_status run_round(tally *t, const rig *r, int64_t round, int64_t n, bool small, loom_err *err)
{
    loom_gen_prompt prompts[ROUND] = {{0}};
    loom_arena arena = {0};
    loom_buf text = {0};
    loom_engine *e = NULL;
    wish wishes[ROUND];
    settings s;
    loom_rng rng;

    loom_rng_seed(&rng, (uint64_t)seed, "property", (uint64_t)round);
    draw_settings(&s, r, round, &rng);
    bool tight = round % 3 == 0;
    for (int64_t i = 0; i < n; i++) {
        do draw_wish(&wishes[i], &rng, small);
        while (tight && wishes[i].mode == LOOM_MODE_TABULAR); /* one text that must fit in whole */
        wishes[i].listed = s.gen.names;
        write_prompt(&text, &wishes[i], s.gen.match_training, &rng);
        prompts[i] = (loom_gen_prompt){.id = i,
                                       .mode = wishes[i].mode,
                                       .edges = wishes[i].edges,
                                       .depth = wishes[i].depth,
                                       .service = "",
                                       .len = text.len};
        prompts[i].text = loom_arena_strdup(&arena, text.data, text.len);
    }
    t->wishes = wishes;
    loom_status st = find_room(&s, r, prompts, n, tight, err);
    if (st == LOOM_OK) st = loom_engine_new(&e, r->model, NULL, r->tok, &s.engine, err);
    if (st == LOOM_OK) st = loom_generate(loom_engine_completer(e), prompts, n, &s.gen, judge, t, NULL, err);
    loom_engine_free(e);
    loom_buf_release(&text);
    loom_arena_release(&arena);
    return st;
}

static void check_many(const char *what, const char *tokenizer, int64_t count, bool small)
{
    tally t = {0};
    loom_err err = {0};
    double started = loom_cpu_seconds();
    rig r;

    REQUIRE_OK(build(&r, tokenizer, &err), err);
    for (int64_t round = 0; t.n < count; round++) {
        int64_t n = loom_min_i64(ROUND, count - t.n), before = t.n;
        REQUIRE_OK(run_round(&t, &r, round, n, small, &err), err);
        REQUIRE(t.n == before + n);
    }
    printf("%s: %" PRId64 " graphs of up to %d edges and depth %d, %" PRId64 " edges, %" PRId64 " layers (%" PRId64
           " splits), %" PRId64 " with an edge to include; %.1f s of CPU\n",
           what, t.n, t.largest, t.deepest, t.edges, t.layers, t.splits, t.included, loom_cpu_seconds() - started);
    for (int k = 0; k < KINDS; k++) {
        if (t.failures[k]) fprintf(stderr, "%s: %" PRId64 " of %" PRId64 "\n", kind_names[k], t.failures[k], t.n);
        CHECK_I64(t.failures[k], 0);
    }
    release(&r);
}

static void check_published(const char *name)
{
    const char *shared = test_shared();
    char path[4096];

    if (!shared) SKIP("no shared data");
    snprintf(path, sizeof path, "%s/data/tokenizers/%s/tokenizer.json", shared, name);
    check_many(name, path, published, true);
}

TEST(every_request_is_met) { check_many("own tokenizer", NULL, requests, false); }
TEST(every_request_is_met_by_llama_2) { check_published("llama-2"); }
TEST(every_request_is_met_by_llama_3) { check_published("llama-3"); }

int main(int argc, char **argv)
{
    loom_blas_start(argc, argv);
    if (argc > 1) requests = strtoll(argv[1], NULL, 10);
    if (argc > 2) published = strtoll(argv[2], NULL, 10);
    if (argc > 3) seed = strtoll(argv[3], NULL, 10);
    make_names();
    if (requests > 0) RUN(every_request_is_met)
    if (published > 0) RUN(every_request_is_met_by_llama_2)
    if (published > 0) RUN(every_request_is_met_by_llama_3)
    for (int list = 0; list < LISTS; list++) loom_names_release(&lists[list]);
    printf("%s: %d checks, %d failed, %d skipped\n", argv[0], test_checks_, test_failed_, test_skipped_);
    return test_failed_ != 0;
}
