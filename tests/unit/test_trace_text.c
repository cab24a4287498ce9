/* Properties of the text side: rendering and reading are inverse, real text passes its own validator, prompts are
 * prefixes of training text, a graph grown from its own layers is that graph, hostile bytes do no harm. Longer than
 * most: all of them draw the same random graphs. */
#include <unistd.h>

#include "test.h"
#include "trace/graph/record.h"
#include "trace/request/request.h"
#include "trace/text/textfile.h"
#include "trace_random.h"

static loom_arena arena, scratch;

static bool rare_by_name(const void *ctx, const char *service, const char *source, loom_call_type type,
                         const char *destination)
{
    (void)ctx, (void)service, (void)source, (void)type;
    return destination[strlen(destination) - 1] == '7';
}

static const loom_facts facts = {.has_latency = true, .p90 = 2500, .mean = 100, .is_rare = rare_by_name};

static void make(loom_graph *g, uint64_t i, loom_rng *rng)
{
    loom_verdict why = {0};
    loom_arena_reset(&arena);
    loom_rng_seed(rng, 11, "graph", i);
    random_graph_fill(g, rng, &arena, 1 + (int32_t)(i % 6), i % 5 ? 6 : 110);
    loom_graph_check(&why, g);
    CHECK_I64(why.n, 0);
}

TEST(render_and_read_are_inverse)
{
    for (uint64_t i = 0; i < 300; i++) {
        loom_graph g;
        loom_rng rng;
        loom_err err = {0};
        make(&g, i, &rng);
        for (int variant = 0; variant < 5; variant++) {
            loom_encode_conf conf = {.mode = variant < 3 ? (loom_mode)variant : LOOM_MODE_INSTRUCTION,
                                     .no_intermediate = variant == 3,
                                     .no_finish = variant == 4,
                                     .balanced_split = i % 2};
            loom_text *texts, back;
            loom_buf text = {0}, again = {0};
            int32_t n;
            loom_arena_reset(&scratch);
            REQUIRE_OK(loom_encode_texts(&texts, &n, &g, &facts, &conf, &rng, &scratch, &err), err);
            for (int32_t k = 0; k < n; k++) {
                loom_buf_reset(&text);
                loom_buf_reset(&again);
                loom_text_render(&text, &texts[k]);
                REQUIRE_OK(loom_text_parse(&back, conf.mode, text.data, text.len, &scratch, &err), err);
                loom_text_render(&again, &back);
                CHECK_STR(loom_buf_text(&again), loom_buf_text(&text));
            }
            loom_buf_release(&text);
            loom_buf_release(&again);
        }
    }
}

/* ---- the loop, answered from a graph's own layers ---- */
typedef struct oracle {
    loom_graph g;
    loom_layers layers;
    loom_text *texts;  /* one per layer, instruction or recursive blocks as texts of their own */
    int32_t *layer_of; /* layer of every request layer */
} oracle;

static void oracle_answer(loom_buf *into, const oracle *o, const loom_request_layer *l, loom_mode mode)
{
    loom_buf text = {0};
    loom_text_render(&text, &o->texts[o->layer_of[l->index]]);
    const char *body = strstr(text.data, LOOM_TEXT_LAYER "\n"), *split = strstr(text.data, "\n" LOOM_TEXT_SPLIT "\n");
    size_t n_stops, end;
    if (split && (!body || split < body)) body = split + 1;
    /* what the prompt already gives of the body */
    const char *rest = mode == LOOM_MODE_INSTRUCTION || !l->index ? strstr(l->prompt, "\n<") : NULL;
    body += rest ? strlen(rest + 1) : 0;
    end = strlen(body);
    const char *const *stops = loom_stop_strings(mode, &n_stops);
    for (size_t i = 0; i < n_stops; i++) {
        const char *stop = strstr(body, stops[i]);
        if (stop && (size_t)(stop - body) < end) end = (size_t)(stop - body);
    }
    loom_buf_append(into, body, end);
    loom_buf_release(&text);
}

static void prepare(oracle *o, uint64_t i, loom_mode mode, loom_draw_policy policy, bool balanced)
{
    loom_rng rng, copy;
    loom_err err = {0};
    loom_text *texts;
    int32_t n;
    loom_encode_conf conf = {.mode = mode, .policy = policy, .balanced_split = balanced};

    make(&o->g, i, &rng);
    copy = rng; /* the layer tree is drawn first, so the same stream gives the same tree */
    loom_split_conf split = {.rng = policy == LOOM_DRAW_RANDOM ? &copy : NULL, .balanced = balanced};
    loom_arena_reset(&scratch);
    REQUIRE_OK(loom_layers_build(&o->layers, &o->g, &split, &scratch, &err), err);
    REQUIRE_OK(loom_encode_texts(&texts, &n, &o->g, NULL, &conf, &rng, &scratch, &err), err);
    o->texts = texts;
    if (mode == LOOM_MODE_RECURSIVE) { /* cut the one sample into its blocks */
        o->texts = loom_arena_calloc(&scratch, (size_t)texts->n_blocks, sizeof *texts);
        for (int32_t k = 0; k < texts->n_blocks; k++)
            o->texts[k] = (loom_text){.mode = mode, .blocks = &texts->blocks[k], .n_blocks = 1};
    }
    o->layer_of = loom_arena_calloc(&scratch, (size_t)o->layers.n + 1, sizeof *o->layer_of);
}

static void grow(oracle *o, loom_request *r, loom_mode mode)
{
    const loom_request_layer *l;
    loom_buf answer = {0};
    loom_err err = {0};

    while ((l = loom_request_take(r))) {
        const loom_layer *from = o->layers.all[o->layer_of[l->index]];
        loom_buf_reset(&answer);
        oracle_answer(&answer, o, l, mode);
        REQUIRE_OK(loom_request_answer(r, l->index, loom_buf_text(&answer), answer.len, &err), err);
        REQUIRE(l->state == LOOM_LAYER_VALID && l->n_children == from->n_children);
        for (int32_t i = 0; i < l->n_children; i++) o->layer_of[l->first_child + i] = from->children[i]->index;
    }
    loom_buf_release(&answer);
}

static void check_same_graph(const oracle *o, const loom_outcome *v)
{
    CHECK(v->finished && v->valid && v->correct);
    CHECK_I64(v->rules & ~LOOM_RULE_BIT(LOOM_RULE_UNFINISHED), 0);
    CHECK(v->accurate);
    CHECK(loom_graph_equal(&v->graph.graph, &o->g));
}

TEST(a_graph_grows_back_from_its_layers)
{
    for (uint64_t i = 0; i < 200; i++) {
        for (int variant = 0; variant < 4; variant++) {
            loom_mode mode = variant & 1 ? LOOM_MODE_RECURSIVE : LOOM_MODE_INSTRUCTION;
            loom_request_conf conf = {.mode = mode, .match_training = variant & 2};
            loom_prompt_conf prompt_conf = {.mode = mode, .match_training = conf.match_training};
            loom_request *r = NULL;
            loom_buf prompt = {0};
            loom_arena own = {0};
            loom_rng rng;
            loom_err err = {0};
            oracle o;

            prepare(&o, i, mode, LOOM_DRAW_RANDOM, true);
            loom_rng_seed(&rng, i, "prompt", 0);
            REQUIRE_OK(loom_request_root_prompt(&prompt, &o.g, NULL, &prompt_conf, &rng, &own, &err), err);
            REQUIRE_OK(loom_request_new(&r, &conf, prompt.data, prompt.len, &rng, &err), err);
            grow(&o, r, mode);
            check_same_graph(&o, loom_request_outcome(r));
            loom_request_free(&r);
            loom_buf_release(&prompt);
            loom_arena_release(&own);
        }
    }
}

static void check_prefix(const char *prompt, const loom_text *text)
{
    loom_buf whole = {0};
    loom_text_render(&whole, text);
    test_checks_++;
    if (strncmp(whole.data, prompt, strlen(prompt)) != 0)
        TEST_FAIL_("the prompt is not a prefix of training text:\n%s\n-- against --\n%s", prompt, whole.data);
    loom_buf_release(&whole);
}

TEST(matching_prompts_are_prefixes_of_training_text)
{
    for (uint64_t i = 0; i < 100; i++) {
        loom_mode mode = i % 2 ? LOOM_MODE_RECURSIVE : LOOM_MODE_INSTRUCTION;
        loom_request_conf conf = {.mode = mode, .match_training = true};
        loom_prompt_conf prompt_conf = {.mode = mode, .match_training = true};
        loom_request *r = NULL;
        loom_buf prompt = {0};
        loom_arena own = {0};
        loom_err err = {0};
        oracle o;

        prepare(&o, i, mode, LOOM_DRAW_ALL, true);
        REQUIRE_OK(loom_request_root_prompt(&prompt, &o.g, NULL, &prompt_conf, NULL, &own, &err), err);
        REQUIRE_OK(loom_request_new(&r, &conf, prompt.data, prompt.len, NULL, &err), err);
        grow(&o, r, mode);
        for (int32_t k = 0; k < loom_request_count(r); k++)
            check_prefix(loom_request_at(r, k)->prompt, &o.texts[o.layer_of[k]]);
        loom_request_free(&r);
        loom_buf_release(&prompt);
        loom_arena_release(&own);
    }
}

TEST(a_random_root_prompt_is_a_prefix_of_training_text)
{
    for (uint64_t i = 0; i < 90; i++) {
        loom_mode mode = (loom_mode)(i % 3);
        uint32_t keep = LOOM_ATTR_BIT(LOOM_ATTR_NUM_EDGES) | LOOM_ATTR_BIT(LOOM_ATTR_START_NODE);
        loom_encode_conf conf = {.mode = mode, .keep = keep};
        loom_prompt_conf prompt_conf = {.mode = mode, .match_training = true, .keep = keep};
        loom_graph g;
        loom_text *texts;
        int32_t n;
        loom_rng rng, a, b;
        loom_buf prompt = {0};
        loom_err err = {0};

        make(&g, i, &rng);
        a = b = rng;
        loom_arena_reset(&scratch);
        REQUIRE_OK(loom_encode_texts(&texts, &n, &g, &facts, &conf, &a, &scratch, &err), err);
        REQUIRE_OK(loom_request_root_prompt(&prompt, &g, &facts, &prompt_conf, &b, &scratch, &err), err);
        check_prefix(prompt.data, &texts[0]);
        loom_buf_release(&prompt);
    }
}

/* ---- prompt forms ---- */
TEST(reference_prompts)
{
    static const char *const record =
        "### Question: " LOOM_TEXT_SYSTEM "\nRequirements:\nid:S_1/num_edges:3\nConditions:\n"
        "generate 1 edges following num_current_edges\n";
    loom_buf b = {0};
    loom_err err = {0};

    REQUIRE_OK(loom_request_record_prompt(&b, LOOM_MODE_INSTRUCTION, false, record, strlen(record), &err), err);
    CHECK_STR(b.data, "### Question: " LOOM_TEXT_SYSTEM "\nRequirements:\nid:S_1/num_edges:3\nConditions:\n"
                      "generate 1 edges following num_current_edges\n ### Answer: \n<layer>\n<edges>");
    loom_buf_reset(&b);
    REQUIRE_OK(
        loom_request_record_prompt(&b, LOOM_MODE_RECURSIVE, false, "### Question: id:S_1/num_edges:3\n", 33, &err),
        err);
    CHECK_STR(b.data, "id:S_1/num_edges:3\n<layer>\n<edges>\n");
    loom_buf_reset(&b);
    REQUIRE_OK(loom_request_record_prompt(&b, LOOM_MODE_TABULAR, true, "### Question: depth:1/id:S_1\n", 29, &err),
               err);
    CHECK_STR(b.data, "[GENERATE GRAPH]depth:1/id:S_1\n<edges>\n");
    CHECK(loom_request_record_prompt(&b, LOOM_MODE_TABULAR, true, "### Question: \n", 15, &err) == LOOM_STATUS_FORMAT);
    loom_buf_release(&b);
}

TEST(prompts_from_attributes)
{
    loom_attrs a;
    loom_buf b = {0};
    loom_line include = {.kind = LOOM_LINE_INCLUDE, .name = {"USER", "MS_00001", "http"}};
    loom_prompt_conf conf = {.mode = LOOM_MODE_INSTRUCTION, .match_training = true, .include = &include};

    loom_attrs_init(&a);
    a.id = "S_000000007", a.num_edges = 4, a.remaining_depth = 2, a.start_node = "USER";
    loom_attrs_put(&a, LOOM_ATTR_ID);
    loom_attrs_put(&a, LOOM_ATTR_NUM_EDGES);
    loom_attrs_put(&a, LOOM_ATTR_REMAINING_DEPTH);
    loom_attrs_put(&a, LOOM_ATTR_START_NODE);
    loom_request_attrs_prompt(&b, &a, &conf, NULL);
    CHECK_STR(b.data, "### Question: " LOOM_TEXT_SYSTEM "\nRequirements:\n"
                      "id:S_000000007/num_edges:4/remaining_depth:2/start_node:USER\nConditions:\n"
                      "for all edges, communication start time <= communication finish time\n"
                      "copy caller from requirement's start_node:USER\n"
                      "Include an edge from USER to MS_00001 with http type\n"
                      "Build a call graph with latencies based on distributions\n"
                      "\n ### Answer: \n<layer>\n<edges>");
    loom_buf_release(&b);
}

TEST(include_lines_are_handed_down)
{
    static const char *const prompt =
        "### Question: " LOOM_TEXT_SYSTEM "\nRequirements:\nid:S_1/num_edges:3/remaining_depth:1\nConditions:\n"
        "Include an edge from MS_1 to MS_2 with rpc type\nInclude an edge from USER to MS_1 with rpc type\n"
        " ### Answer: \n<layer>\n<edges>";
    static const char *const answer =
        "\n(edge_id is 0,type is rpc,destination is MS_1,communication starts at 0 milliseconds,communication finishes "
        "at "
        "9 milliseconds)\n</edges>\n<subgraph of edge_id 0>id:S_1/num_edges:2/start_node:MS_1/start_edge_id:1/"
        "start_communication_at:0/latency:9/num_subgraphs:0/remaining_depth:0/num_current_edges:2/caller:USER</"
        "subgraph>\n";
    for (int match = 0; match < 2; match++) {
        loom_request_conf conf = {.mode = LOOM_MODE_INSTRUCTION, .match_training = match};
        loom_request *r = NULL;
        loom_err err = {0};
        REQUIRE_OK(loom_request_new(&r, &conf, prompt, strlen(prompt), NULL, &err), err);
        CHECK(loom_request_take(r) != NULL);
        REQUIRE_OK(loom_request_answer(r, 0, answer, strlen(answer), &err), err);
        const loom_request_layer *child = loom_request_take(r);
        REQUIRE(child != NULL);
        CHECK_STR(child->prefix, "0");
        CHECK(strstr(child->prompt, "from MS_1 to MS_2") != NULL);
        /* training text never asks a layer for an edge that starts elsewhere */
        CHECK((strstr(child->prompt, "from USER") != NULL) == !match);
        CHECK((strstr(child->prompt, "no subgraph to generate") != NULL) == match);
        loom_request_free(&r);
    }
}

TEST(trials_and_giving_up)
{
    loom_request_conf conf = {.mode = LOOM_MODE_RECURSIVE, .max_trials = 3};
    loom_request *r = NULL;
    loom_buf log = {0}, codes = {0};
    loom_err err = {0};

    REQUIRE_OK(loom_request_new(&r, &conf, "id:S_1/num_edges:1\n", 19, NULL, &err), err);
    CHECK(loom_request_answer(r, 0, "", 0, &err) == LOOM_STATUS_ARG);
    for (int i = 0; i < 3; i++) {
        CHECK(!loom_request_done(r));
        REQUIRE(loom_request_take(r) != NULL);
        CHECK(loom_request_take(r) == NULL);
        REQUIRE_OK(loom_request_answer(r, 0, "<layer>\n<edges>\n</edges>\n", 25, &err), err);
    }
    CHECK(loom_request_done(r));
    CHECK(!loom_request_outcome(r)->finished);
    CHECK_I64(loom_request_outcome(r)->failed_layer, 0);
    CHECK_I64(loom_request_outcome(r)->n_attempts, 3);
    loom_request_failures(r, 5, &log, &codes);
    CHECK_STR(codes.data, "<5>3\n<5>3\n<5>3\n");
    loom_request_free(&r);
    loom_buf_release(&log);
    loom_buf_release(&codes);
}

TEST(summary_lines)
{
    loom_buf b = {0};
    loom_summary_line(&b, 7, 3, 40, 39, 30, 50, 390, 117);
    loom_summary_line(&b, 8, 3, 4, 0, 0, 50, 0, 0);
    CHECK_STR(b.data, "(7:3),40,39,30,50,(10.00:3.00)\n(8:3),4,0,0,50,(0:0)\n");
    loom_buf_release(&b);
}

/* ---- rules of the paper ---- */
TEST(rules)
{
    static const char *const prompt = "id:S_1/start_node:USER/num_edges:3/start_edge_id:0/start_communication_at:2/"
                                      "latency:9/num_subgraphs:1/remaining_depth:1/num_current_edges:1/caller:None\n";
    static const struct {
        int64_t start, finish;
        const char *index, *caller;
        int64_t sub_start, sub_latency, sub_depth, sub_edges;
        uint32_t broken;
    } cases[] = {
        {2, 9, "0", "USER", 2, 9, 0, 2, 0},
        {1, 9, "0", "USER", 2, 9, 0, 2, LOOM_RULE_BIT(LOOM_RULE_TIMES)},
        {2, 10, "0", "USER", 2, 9, 0, 2, LOOM_RULE_BIT(LOOM_RULE_TIMES)},
        {2, 9, "1", "USER", 2, 9, 0, 2, LOOM_RULE_BIT(LOOM_RULE_SUB_EDGE)},
        {2, 9, "0", "MS_7", 2, 9, 0, 2, LOOM_RULE_BIT(LOOM_RULE_SUB_EDGE)},
        {2, 9, "0", "USER", 1, 9, 0, 2, LOOM_RULE_BIT(LOOM_RULE_SUB_TIMES)},
        {2, 8, "0", "USER", 2, 9, 0, 2, LOOM_RULE_BIT(LOOM_RULE_SUB_TIMES)},
        {2, 9, "0", "USER", 2, 9, 1, 2, LOOM_RULE_BIT(LOOM_RULE_DEPTH)},
        {2, 9, "0", "USER", 2, 9, 0, 1, LOOM_RULE_BIT(LOOM_RULE_NUM_EDGES)},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        loom_buf text = {0};
        loom_parsed p;
        loom_arena_reset(&scratch);
        loom_buf_printf(
            &text,
            "<layer>\n<edges>\n(edge_id is 0,type is rpc,destination is MS_1,communication starts at %d "
            "milliseconds,communication finishes at %d milliseconds)\n</edges>\n<subgraph of edge_id %s>id:S_1/"
            "num_edges:%d/start_node:MS_1/start_edge_id:1/start_communication_at:%d/latency:%d/num_subgraphs:0/"
            "remaining_depth:%d/num_current_edges:2/caller:%s</subgraph>\n",
            (int)cases[i].start, (int)cases[i].finish, cases[i].index, (int)cases[i].sub_edges, (int)cases[i].sub_start,
            (int)cases[i].sub_latency, (int)cases[i].sub_depth, cases[i].caller);
        loom_parse_answer(&p, LOOM_MODE_RECURSIVE, prompt, strlen(prompt), text.data, text.len, &scratch);
        CHECK(p.ok);
        CHECK_I64(loom_check_layer_rules(&p), cases[i].broken);
        loom_buf_release(&text);
    }
}

TEST(broken_form_is_rule_one)
{
    static const char *const texts[] = {
        "<layer>\n<edges>\n(edge_id is 0,type is rpc)\n</edges>\n",    /* items missing */
        "<layer>\n<edges>\nedge\n</edges>\n",                          /* no edge */
        "<layer>\n<edges>\n",                                          /* not closed */
        "<layer>\n<edges>\n</edges>\n<subgraph of edge_id 0>id:S_1\n", /* subgraph not closed */
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        loom_parsed p;
        loom_arena_reset(&scratch);
        loom_parse_answer(&p, LOOM_MODE_RECURSIVE, "id:S_1\n", 7, texts[i], strlen(texts[i]), &scratch);
        CHECK(loom_check_layer_rules(&p) & LOOM_RULE_BIT(LOOM_RULE_FORM));
    }
}

TEST(conditions_are_followed_or_not)
{
    static const char *const prompt =
        "### Question: x\nRequirements:\nid:S_1/start_node:MS_1\nConditions:\nthe first edge_id should be "
        "start_edge_id 1\n"
        "generate 2 edges following num_current_edges\nInclude an edge from MS_1 to MS_2 with db type\nno subgraph to "
        "generate\n"
        "Also, communication should finish before latency 9 milliseconds\nBuild a call graph with high latency\n"
        "Build a call graph with high latency, 13 <= latency\n"
        " ### Answer: \n<layer>\n<edges>";
    static const char *const text = "\n(edge_id is 1,type is db,destination is MS_2,communication starts at 0 "
                                    "milliseconds,communication finishes at 12 "
                                    "milliseconds)\n</edges>\n";
    loom_parsed p;
    loom_arena_reset(&scratch);
    loom_parse_answer(&p, LOOM_MODE_INSTRUCTION, prompt, strlen(prompt), text, strlen(text), &scratch);
    loom_following f = loom_check_conditions(&p, prompt, strlen(prompt), &scratch);
    CHECK(p.ok);
    CHECK_I64(f.asked, LOOM_CONDITION_BIT(LOOM_LINE_FIRST_EDGE_ID) | LOOM_CONDITION_BIT(LOOM_LINE_NUM_EDGES) |
                           LOOM_CONDITION_BIT(LOOM_LINE_INCLUDE) | LOOM_CONDITION_BIT(LOOM_LINE_NO_SUBGRAPHS) |
                           LOOM_CONDITION_BIT(LOOM_LINE_FINISH_WITHIN) | LOOM_CONDITION_BIT(LOOM_LINE_LATENCY_FROM));
    CHECK_I64(f.broken, LOOM_CONDITION_BIT(LOOM_LINE_NUM_EDGES) | LOOM_CONDITION_BIT(LOOM_LINE_FINISH_WITHIN) |
                            LOOM_CONDITION_BIT(LOOM_LINE_LATENCY_FROM));
}

TEST(graphs_no_record_could_hold)
{
    static const loom_edge_text root = {
        .edge_id = "0", .type = "http", .source = "USER", .destination = "MS_00001", .start = 0, .finish = 9};
    loom_edge_text e = root;
    loom_graph_result g;
    loom_attrs req;

    loom_arena_reset(&scratch);
    loom_check_graph(&g, LOOM_MODE_RECURSIVE, "S_1", &e, 1, NULL, &scratch);
    CHECK(g.valid && g.correct && g.n_edges == 1 && g.depth == 1);
    CHECK_STR(g.graph.service, "S_000000001");
    e.edge_id = "zero";
    loom_check_graph(&g, LOOM_MODE_RECURSIVE, "S_1", &e, 1, NULL, &scratch);
    CHECK(!g.valid && loom_verdict_has(&g.why, LOOM_REASON_BAD_EDGE));
    e = root, e.destination = "MS 1|x";
    loom_check_graph(&g, LOOM_MODE_RECURSIVE, "S_1", &e, 1, NULL, &scratch);
    CHECK(!g.valid && loom_verdict_has(&g.why, LOOM_REASON_BAD_EDGE));
    e = root, e.finish = INT64_MAX;
    loom_check_graph(&g, LOOM_MODE_RECURSIVE, "S_1", &e, 1, NULL, &scratch);
    CHECK(!g.valid);
    e = root, e.type = "smtp";
    loom_check_graph(&g, LOOM_MODE_RECURSIVE, "S_1", &e, 1, NULL, &scratch);
    CHECK(!g.valid && loom_verdict_has(&g.why, LOOM_REASON_MISSING_INFO));
    e = root;
    loom_attrs_init(&req);
    req.remaining_depth = INT64_MAX; /* one more than this is no number */
    loom_check_graph(&g, LOOM_MODE_RECURSIVE, "S_1", &e, 1, &req, &scratch);
    CHECK(g.valid && !g.correct && g.rules == LOOM_RULE_BIT(LOOM_RULE_TOTAL_DEPTH));
    loom_check_graph(&g, LOOM_MODE_TABULAR, "S 1", &e, 1, NULL, &scratch);
    CHECK(!g.valid && loom_verdict_has(&g.why, LOOM_REASON_BAD_SERVICE));
    loom_check_graph(&g, LOOM_MODE_TABULAR, "S_1", NULL, 0, NULL, &scratch);
    CHECK(!g.valid && g.depth == 0);
}

/* ---- hostile text ---- */
TEST(damaged_text_is_a_verdict)
{
    loom_rng rng;
    loom_err err = {0};
    loom_buf text = {0};
    loom_codes codes;
    loom_text back;

    for (uint64_t i = 0; i < 400; i++) {
        loom_graph g;
        loom_encode_conf conf = {.mode = (loom_mode)(i % 3)};
        make(&g, i % 40, &rng);
        loom_rng_seed(&rng, 3, "damage", i);
        loom_buf_reset(&text);
        REQUIRE_OK(loom_encode_graph(&text, &g, &facts, &conf, &rng, &scratch, &err), err);
        size_t next, len = loom_sample_length(text.data, text.len, &next);
        for (int k = 0; k < 4; k++) {
            size_t at = loom_rng_below(&rng, len);
            if (k & 1) text.data[at] = (char)loom_rng_below(&rng, 256);
            if (k == 2) len = at + 1;
        }
        loom_parsed p;
        size_t cut = loom_rng_below(&rng, len + 1);
        loom_arena_reset(&scratch);
        for (int m = 0; m < LOOM_MODES; m++) {
            loom_parse_answer(&p, (loom_mode)m, text.data, cut, text.data + cut, len - cut, &scratch);
            loom_check_layer_codes(&codes, &p, &scratch);
            CHECK(p.ok || codes.items[0].code == LOOM_CODE_PARSE);
            (void)loom_check_layer_rules(&p);
            (void)loom_text_parse(&back, (loom_mode)m, text.data, len, &scratch, &err);
        }
    }
    loom_buf_release(&text);
}

/* ---- layers of recursive text ---- */
TEST(recursive_samples_fall_into_their_layers)
{
    loom_err err = {0};
    loom_rng rng;
    loom_buf text = {0}, joined = {0};

    for (uint64_t i = 0; i < 100; i++) {
        loom_graph g;
        loom_encode_conf conf = {.mode = LOOM_MODE_RECURSIVE};
        loom_text *texts;
        int32_t n_texts;
        int64_t n = 0;
        make(&g, i % 40, &rng);
        loom_rng_seed(&rng, 4, "layers", i);
        loom_arena_reset(&scratch);
        REQUIRE_OK(loom_encode_texts(&texts, &n_texts, &g, &facts, &conf, &rng, &scratch, &err), err);
        loom_buf_reset(&text);
        loom_text_render(&text, texts);
        loom_buf_reset(&joined);
        size_t next, len = loom_sample_length(text.data, text.len, &next);
        for (size_t at = 0; at < len; at += next, n++) {
            size_t piece = loom_sample_layer(text.data + at, len - at, &next);
            const char *begin = text.data + at;
            CHECK(memcmp(begin, n ? "id:" : "[GENERATE GRAPH]", 3) == 0 || memmem(begin, piece, "/id:", 4));
            CHECK(memcmp(begin + piece - 2, "r>", 2) == 0 || memcmp(begin + piece - 2, "t>", 2) == 0);
            loom_buf_append(&joined, begin, next);
        }
        CHECK_I64(n, texts->n_blocks);
        CHECK(joined.len == len && memcmp(joined.data, text.data, len) == 0);
    }
    size_t next;
    CHECK_I64(loom_sample_layer("", 0, &next), 0);
    CHECK_I64(loom_sample_layer("a\n</layer> \nb", 13, &next), 13); /* not a line of its own: no end */
    CHECK_I64(next, 13);
    loom_buf_release(&joined);
    loom_buf_release(&text);
}

/* ---- draws ---- */
TEST(draws_have_their_probabilities)
{
    enum { ROUNDS = 4000 };
    loom_encode_conf conf = {.mode = LOOM_MODE_INSTRUCTION};
    int shown[LOOM_ATTRS] = {0}, lines[LOOM_LINES] = {0}, first[LOOM_ATTRS] = {0};
    loom_graph g;
    loom_rng rng;
    loom_err err = {0};

    make(&g, 3, &rng);
    for (uint64_t i = 0; i < ROUNDS; i++) {
        loom_block root;
        loom_rng_seed(&rng, 5, "draws", i);
        loom_arena_reset(&scratch);
        REQUIRE_OK(loom_encode_root(&root, &g, NULL, &conf, NULL, &rng, &scratch, &err), err);
        for (int a = 0; a < LOOM_ATTRS; a++) shown[a] += loom_attrs_has(&root.req, (loom_attr)a);
        for (int32_t k = 0; k < root.n_conds; k++) lines[root.conds[k].kind]++;
        first[root.req.order[0]]++;
    }
    /* 4000 draws of 0.9 spread by 19, of 0.5 by 32: five times that is beyond chance */
    CHECK_I64(shown[LOOM_ATTR_ID], ROUNDS);
    CHECK_I64(shown[LOOM_ATTR_CALLER], 0);
    CHECK_NEAR(shown[LOOM_ATTR_NUM_EDGES], 0.9 * ROUNDS, 95);
    CHECK_NEAR(shown[LOOM_ATTR_REMAINING_DEPTH], 0.9 * ROUNDS, 95);
    CHECK_NEAR(shown[LOOM_ATTR_LATENCY], 0.5 * ROUNDS, 160);
    CHECK_NEAR(lines[LOOM_LINE_FIRST_EDGE_ID], 0.81 * ROUNDS, 125);
    CHECK_NEAR(lines[LOOM_LINE_NO_NUM_EDGES], 0.09 * ROUNDS, 95);
    CHECK_NEAR(lines[LOOM_LINE_FINISH_WITHIN], 0.45 * ROUNDS, 160);
    CHECK_NEAR(lines[LOOM_LINE_DISTRIBUTIONS], 0.25 * ROUNDS, 140);
    CHECK_NEAR(lines[LOOM_LINE_COPY_CALLER], 0.9 * ROUNDS, 95);
    /* id is one of 1 + 7 * 0.9 + 0.5 attributes, each as likely to stand first */
    CHECK_NEAR(first[LOOM_ATTR_ID], ROUNDS / 7.8, 130);
}

/* Bounds of latencies: of a share of the graphs, always true of them, and then the latency itself is hidden. */
TEST(latencies_are_bounded_truly)
{
    enum { ROUNDS = 2000 };
    int n_bounds[2] = {0}, n_plain = 0;
    loom_graph g;
    loom_rng rng;
    loom_err err = {0};

    make(&g, 3, &rng);
    int64_t latency = loom_call_finish(&g.calls[0]);
    loom_facts high = {.has_latency = true, .p90 = latency, .mean = (double)latency - 6};
    REQUIRE(latency > 1);
    for (uint64_t i = 0; i < 2 * ROUNDS; i++) {
        loom_encode_conf conf = {.mode = LOOM_MODE_INSTRUCTION, .bounded = 0.25};
        loom_block root;
        bool slow = i % 2;
        loom_rng_seed(&rng, 5, "bounds", i);
        loom_arena_reset(&scratch);
        REQUIRE_OK(loom_encode_root(&root, &g, slow ? &high : NULL, &conf, NULL, &rng, &scratch, &err), err);
        for (int32_t k = 0; k < root.n_conds; k++) {
            const loom_line *l = &root.conds[k];
            n_plain += l->kind == LOOM_LINE_HIGH_LATENCY;
            if (l->kind != LOOM_LINE_LATENCY_FROM) continue;
            n_bounds[slow]++;
            CHECK(slow ? l->num[0] == latency : l->num[0] >= latency / 2 && l->num[0] <= latency && l->num[0] > 0);
            CHECK(!loom_attrs_has(&root.req, LOOM_ATTR_LATENCY));
        }
    }
    CHECK_NEAR(n_bounds[0], 0.25 * ROUNDS, 100);
    CHECK_NEAR(n_bounds[1], 0.75 * ROUNDS, 100);
    CHECK_I64(n_bounds[1] + n_plain, ROUNDS); /* every slow graph is asked for being slow */
}

/* ---- files ---- */
static char *write_scratch(const char *text)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/loom_text_XXXXXX");
    int fd = mkstemp(path);
    FILE *f = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (f) fputs(text, f), fclose(f);
    return path;
}

TEST(files_are_cut_into_samples)
{
    char *path =
        write_scratch("\n[GENERATE GRAPH]id:S_1\n<layer>\n<edges>\n</edges>\n</layer>\n\n"
                      "[GENERATE GRAPH]id:S_2\n<edges>\n</edges>\n"
                      "### Question: q\nRequirements:\nid:S_1\n\n ### Answer: \n<layer>\n</layer>\n\n ### Finish");
    loom_textfile *f = NULL;
    loom_textfile_sample s;
    loom_err err = {0};

    REQUIRE_OK(loom_textfile_open(&f, path, &err), err);
    REQUIRE_OK(loom_textfile_next(f, &s, &err), err);
    CHECK_STR(s.text, "[GENERATE GRAPH]id:S_1\n<layer>\n<edges>\n</edges>\n</layer>");
    CHECK(s.mode == LOOM_MODE_RECURSIVE && s.answer == 0 && s.line == 2);
    REQUIRE_OK(loom_textfile_next(f, &s, &err), err);
    CHECK_STR(s.text, "[GENERATE GRAPH]id:S_2\n<edges>\n</edges>");
    CHECK(s.mode == LOOM_MODE_TABULAR && s.line == 8);
    REQUIRE_OK(loom_textfile_next(f, &s, &err), err);
    CHECK(s.mode == LOOM_MODE_INSTRUCTION && s.line == 11);
    CHECK_STR(s.text + s.answer, " \n<layer>\n</layer>\n\n ### Finish");
    REQUIRE_OK(loom_textfile_next(f, &s, &err), err);
    CHECK(s.text == NULL);
    loom_textfile_close(&f);
    unlink(path);
}

TEST(foreign_files_are_refused)
{
    char *path = write_scratch("timestamp,traceid\n");
    loom_textfile *f = NULL;
    loom_textfile_sample s;
    loom_err err = {0};

    REQUIRE_OK(loom_textfile_open(&f, path, &err), err);
    CHECK(loom_textfile_next(f, &s, &err) == LOOM_STATUS_FORMAT);
    CHECK(strstr(err.msg, "line 1") != NULL);
    loom_textfile_close(&f);
    unlink(path);
    path = write_scratch("");
    REQUIRE_OK(loom_textfile_open(&f, path, &err), err);
    REQUIRE_OK(loom_textfile_next(f, &s, &err), err);
    CHECK(s.text == NULL);
    loom_textfile_close(&f);
    unlink(path);
}

/* ---- layers ---- */
TEST(balanced_splits_have_no_single_part)
{
    for (uint64_t i = 0; i < 60; i++) {
        loom_graph g;
        loom_layers layers;
        loom_rng rng;
        loom_err err = {0};
        make(&g, 5 * i, &rng);
        REQUIRE_OK(loom_layers_build(&layers, &g, &(loom_split_conf){.rng = &rng, .balanced = true}, &arena, &err),
                   err);
        for (int32_t k = 0; k < layers.n; k++) {
            const loom_layer *l = layers.all[k];
            CHECK(l->split ? l->n_children >= 2 && l->n_children <= LOOM_SPLIT_MAX_PARTS
                           : l->n_calls <= LOOM_LAYER_MAX_EDGES);
        }
        CHECK_I64(layers.all[0]->num_edges, g.n_calls);
        CHECK_I64(layers.all[0]->depth, loom_graph_depth(&g));
    }
}

TEST(invalid_graphs_have_no_layers)
{
    static const int32_t id0[] = {0}, id12[] = {0, 1, 2}, id1[] = {1};
    loom_call calls[2] = {{.id = id0, .n_id = 1, .source = "USER", .destination = "MS_1"},
                          {.id = id12, .n_id = 3, .source = "MS_1", .destination = "MS_2"}};
    loom_graph g = {.service = "S_1", .calls = calls, .n_calls = 2};
    loom_layers layers;
    loom_err err = {0};

    loom_arena_reset(&arena);
    CHECK(loom_layers_build(&layers, &g, &(loom_split_conf){0}, &arena, &err) == LOOM_STATUS_FORMAT);
    calls[1].id = id1, calls[1].n_id = 1;
    CHECK(loom_layers_build(&layers, &g, &(loom_split_conf){0}, &arena, &err) == LOOM_STATUS_FORMAT);
    g.n_calls = 0;
    CHECK(loom_layers_build(&layers, &g, &(loom_split_conf){0}, &arena, &err) == LOOM_STATUS_FORMAT);
}

static void release(void)
{
    loom_arena_release(&arena);
    loom_arena_release(&scratch);
}

static const char *unblanked(const char *text) { return text + strspn(text, " "); }

/* Items that begin as usual are read quickly; with a blank in front they are not, and the same must come out (but for
 * blanks in front, where a value is the whole item). */
TEST(usual_items_are_read_like_any)
{
    static const char *const parts[] = {"edge_id is ",
                                        "type is ",
                                        "destination is ",
                                        "source is ",
                                        "communication starts at ",
                                        "communication finishes at ",
                                        " is ",
                                        " at ",
                                        " milliseconds",
                                        "12",
                                        "-3",
                                        "+4",
                                        "rpc",
                                        "MS_00001",
                                        "S_",
                                        "edge_id",
                                        "source",
                                        "type",
                                        "communication starts at",
                                        "e",
                                        " ",
                                        ""};
    enum { PARTS = sizeof parts / sizeof *parts };
    loom_rng rng;
    int read = 0;
    loom_rng_seed(&rng, 5, "items", 0);
    for (int round = 0; round < 20000; round++) {
        loom_buf line[2] = {{0}, {0}};
        loom_parsed p[2];
        for (int k = 0; k < 2; k++) loom_buf_str(&line[k], "<edges>\n(");
        for (int item = 0; item < 6; item++) {
            const char *front = parts[loom_rng_chance(&rng, 0.9) ? (size_t)item : loom_rng_below(&rng, PARTS)];
            const char *value = parts[loom_rng_chance(&rng, 0.8) ? (item < 4 ? 13 : 9) : loom_rng_below(&rng, PARTS)];
            const char *tail =
                parts[loom_rng_chance(&rng, 0.8) ? (item < 4 ? PARTS - 1 : 8) : loom_rng_below(&rng, PARTS)];
            for (int k = 0; k < 2; k++)
                loom_buf_printf(&line[k], "%s%s%s%s%s", item ? "," : "", k ? " " : "", front, value, tail);
        }
        for (int k = 0; k < 2; k++) {
            loom_buf_str(&line[k], ")\n</edges>\n");
            loom_parse_answer(&p[k], LOOM_MODE_TABULAR, "id:S_1\n", 7, line[k].data, line[k].len, &scratch);
        }
        CHECK(p[0].ok == p[1].ok && p[0].n_edges == p[1].n_edges);
        if (p[0].ok && p[0].n_edges == 1) {
            const loom_edge_text *a = &p[0].edges[0], *b = &p[1].edges[0];
            read++;
            CHECK_STR(unblanked(a->edge_id), unblanked(b->edge_id));
            CHECK_STR(unblanked(a->type), unblanked(b->type));
            CHECK_STR(unblanked(a->source), unblanked(b->source));
            CHECK_STR(unblanked(a->destination), unblanked(b->destination));
            CHECK(a->start == b->start && a->finish == b->finish && memcmp(a->order, b->order, sizeof a->order) == 0);
        }
        for (int k = 0; k < 2; k++) loom_buf_release(&line[k]);
        loom_arena_reset(&scratch);
    }
    CHECK(read > 1000 && read < 19000);
}

TEST_MAIN(RUN(render_and_read_are_inverse) RUN(a_graph_grows_back_from_its_layers)
              RUN(matching_prompts_are_prefixes_of_training_text) RUN(a_random_root_prompt_is_a_prefix_of_training_text)
                  RUN(reference_prompts) RUN(prompts_from_attributes) RUN(include_lines_are_handed_down)
                      RUN(trials_and_giving_up) RUN(summary_lines) RUN(rules) RUN(broken_form_is_rule_one)
                          RUN(conditions_are_followed_or_not) RUN(graphs_no_record_could_hold)
                              RUN(usual_items_are_read_like_any) RUN(damaged_text_is_a_verdict)
                                  RUN(recursive_samples_fall_into_their_layers) RUN(draws_have_their_probabilities)
                                      RUN(latencies_are_bounded_truly) RUN(files_are_cut_into_samples)
                                          RUN(foreign_files_are_refused) RUN(balanced_splits_have_no_single_part)
                                              RUN(invalid_graphs_have_no_layers) release();)
