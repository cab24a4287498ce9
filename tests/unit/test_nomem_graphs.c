/* Every allocation of readers, graphs, texts and topologies fails once: what was asked for is refused with a sentence
 * or done as well, and nothing is left behind. */
#include "unit/failing_memory.h"

#include <unistd.h>

#include "core/pool.h"
#include "readers/files/graphsource.h"
#include "system/contrast.h"
#include "system/graph_feed.h"
#include "system/shape_tally.h"
#include "system/topology.h"
#include "system/topology_draw.h"
#include "system/topology_export.h"
#include "trace/check/check.h"
#include "trace/constrain/automaton.h"
#include "trace/graph/real_names.h"
#include "trace/graph/record.h"
#include "trace/graph/rename.h"
#include "trace/graph/rows.h"
#include "trace/graph/stats.h"
#include "trace/request/request.h"
#include "trace/text/downstream_task.h"
#include "trace/text/encode.h"
#include "trace/text/names.h"
#include "trace/text/textfile.h"

#define FROZEN(name) LOOM_SOURCE_DIR "/tests/frozen/" name
enum { POINTS = 250 };

static const char record[] =
    "00h00m00s000ms S_000000011 0|http|USER|MS_00001|ARRIVED_0|RT_31||0.1|rpc|MS_00001|MS_00002|ARRIVED_2|RT_20||"
    "0.1.1|db|MS_00002|MS_00009|ARRIVED_4|RT_3||0.2|mc|MS_00001|MS_00007|ARRIVED_25|RT_1";

static loom_status read_graph(loom_graph *g, loom_arena *arena, loom_err *err)
{
    loom_verdict why;
    bool ok = loom_record_read(g, &why, record, sizeof record - 1, arena);
    LOOM_TRY(loom_arena_check(arena, "a graph", err));
    return ok ? LOOM_OK : loom_fail(err, LOOM_STATUS_FORMAT, "the record is not valid");
}

/* ---- readers ---- */

static const char *source_path;
static bool source_merge;

static loom_status count_graph(void *arg, const loom_graph *g, loom_err *err)
{
    (void)err;
    *(int64_t *)arg += g->n_calls;
    return LOOM_OK;
}

static loom_status read_source(loom_err *err)
{
    loom_source s = {.merge = source_merge};
    loom_buf counts = {0};
    int64_t calls = 0;
    loom_status st = loom_source_read(&s, source_path, count_graph, &calls, err);
    if (st == LOOM_OK) st = loom_source_finish(&s, count_graph, &calls, err);
    loom_source_render_counts(&s, &counts);
    loom_jw w;
    loom_jw_init(&w, &counts, false);
    loom_source_json_counts(&s, &w);
    if (st == LOOM_OK) st = loom_buf_check(&counts, "the counts", err);
    loom_buf_release(&counts);
    loom_source_release(&s);
    return st == LOOM_OK && calls == 0 ? loom_fail(err, LOOM_STATUS_FORMAT, "no call was read") : st;
}

TEST(traces_of_every_kind)
{
    static const char *const paths[] = {FROZEN("graphs.graphs.zst"), FROZEN("c.csv"), FROZEN("c.json"),
                                        FROZEN("c.jsonl")};
    for (int merge = 0; merge < 2; merge++)
        for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
            source_path = paths[i];
            source_merge = merge;
            failing_memory_sweep(paths[i], read_source, POINTS);
        }
}

/* ---- the system behind graphs ---- */

static loom_status tally_graph(void *tally, const loom_graph *g, loom_err *err)
{
    return loom_system_tally_add(tally, g, err);
}

static loom_status export_all(const loom_topology *t, loom_err *err)
{
    loom_buf text = {0}, names = {0};
    loom_export_left left;
    loom_status st = loom_topology_dot(&text, t, err);
    if (st == LOOM_OK) st = loom_topology_mubench(&text, &names, t, &left, err);
    if (st == LOOM_OK) st = loom_topology_hydragen(&text, &names, t, &left, err);
    if (st == LOOM_OK) st = loom_topology_lading(&text, t, &left, err);
    if (st == LOOM_OK) st = loom_buf_check(&text, "a topology", err);
    loom_buf_release(&text);
    loom_buf_release(&names);
    return st;
}

static loom_status draw_some(const loom_topology *t, loom_err *err)
{
    loom_topology_drawing *d = NULL;
    loom_arena arena = {0};
    loom_graph g;
    loom_rng rng;
    loom_rng_seed(&rng, 1, "draw", 0);
    loom_status st = loom_topology_drawing_new(&d, t, err);
    for (int i = 0; i < 3 && st == LOOM_OK; i++) st = loom_topology_draw(&g, d, NULL, &rng, &arena, err);
    loom_topology_drawing_free(d);
    loom_arena_release(&arena);
    return st;
}

static loom_status make_topology(loom_err *err)
{
    char path[] = FROZEN("graphs.graphs.zst"), *paths[] = {path};
    loom_system_tally part = {0}, all = {0};
    loom_feed feed = {.tallies = &part, .size = sizeof part, .add = tally_graph};
    loom_source source = {0};
    loom_topology_conf conf = {.min_count = 2};
    loom_topology *t = NULL;
    loom_buf text = {0};
    loom_status st = loom_feed_read(&feed, paths, 1, NULL, &source, err);
    if (st == LOOM_OK) st = loom_system_tally_join(&all, &part, err);
    if (st == LOOM_OK) st = loom_topology_render(&text, &all, &conf, NULL, err);
    if (st == LOOM_OK) st = loom_topology_parse(&t, text.data, text.len, "topology.json", err);
    if (st == LOOM_OK) st = draw_some(t, err);
    if (st == LOOM_OK) st = export_all(t, err);
    loom_topology_free(t);
    loom_buf_release(&text);
    loom_system_tally_release(&part);
    loom_system_tally_release(&all);
    loom_source_release(&source);
    return st;
}

TEST(topologies) { failing_memory_sweep("a topology", make_topology, POINTS); }

static loom_status compare_sets(loom_err *err)
{
    loom_contrast_tally set[2] = {{.path_depth = 3}, {.path_depth = 3}}, part = {.path_depth = 3};
    loom_contrast_conf conf = {.fdr = 0.05};
    loom_contrast c = {0};
    loom_arena arena = {0};
    loom_graph g;
    loom_status st = read_graph(&g, &arena, err);
    for (int i = 0; i < 40 && st == LOOM_OK; i++) {
        g.calls[1].rt = 10 + i % 9;
        st = loom_contrast_add(i % 2 ? &part : &set[1], &g, err);
    }
    if (st == LOOM_OK) st = loom_contrast_join(&set[0], &part, err);
    if (st == LOOM_OK) st = loom_contrast_compare(&c, &set[0], &set[1], &conf, err);
    loom_contrast_free(&c);
    loom_contrast_release(&part);
    for (int s = 0; s < 2; s++) loom_contrast_release(&set[s]);
    loom_arena_release(&arena);
    return st;
}

static loom_status look_for_shapes(loom_err *err)
{
    loom_shape_tally t = {0}, part = {0};
    loom_arena arena = {0};
    loom_graph g;
    int32_t missing, extra;
    loom_status st = read_graph(&g, &arena, err);
    for (int i = 0; i < 4 && st == LOOM_OK; i++) st = loom_shape_add(&part, &g, err);
    if (st == LOOM_OK) st = loom_shape_join(&t, &part, err);
    if (st == LOOM_OK && loom_shape_seen(&t, &g) != 4) st = loom_nomem_check_end(err);
    if (st == LOOM_OK && loom_shape_nearest(&t, &g, 1, &missing, &extra) < 0) st = loom_nomem_check_end(err);
    loom_shape_release(&t);
    loom_shape_release(&part);
    loom_arena_release(&arena);
    return st;
}

TEST(comparisons_and_shapes)
{
    failing_memory_sweep("a comparison", compare_sets, POINTS);
    failing_memory_sweep("shapes", look_for_shapes, POINTS);
}

/* ---- graphs and their texts ---- */

static loom_status make_stats(loom_err *err)
{
    loom_stats *a = loom_stats_new(), *b = loom_stats_new(), *back = NULL;
    loom_arena arena = {0};
    loom_graph g;
    loom_buf text = {0};
    loom_status st = a && b ? read_graph(&g, &arena, err) : loom_fail_nomem(err, "statistics");
    for (int i = 0; i < 24 && st == LOOM_OK; i++) loom_stats_add(i % 2 ? a : b, &g);
    if (st == LOOM_OK) loom_stats_merge(a, b);
    if (st == LOOM_OK) st = loom_stats_finish(a, err);
    if (st == LOOM_OK) loom_stats_render(a, &text);
    if (st == LOOM_OK) st = loom_buf_check(&text, "statistics", err);
    if (st == LOOM_OK) st = loom_stats_parse(&back, text.data, text.len, "stats.json", err);
    if (st == LOOM_OK && loom_stats_graphs(back) != 24) st = loom_fail(err, LOOM_STATUS_FORMAT, "graphs are lost");
    loom_stats_free(a);
    loom_stats_free(b);
    loom_stats_free(back);
    loom_buf_release(&text);
    loom_arena_release(&arena);
    return st;
}

static loom_status load_stats(loom_err *err)
{
    loom_stats *s = NULL;
    LOOM_TRY(loom_stats_load(&s, FROZEN("stats.json"), err));
    loom_stats_free(s);
    return LOOM_OK;
}

TEST(statistics)
{
    failing_memory_sweep("statistics", make_stats, POINTS);
    failing_memory_sweep("stats.json", load_stats, POINTS);
}

static loom_mode text_mode;

/* One graph to a text, and what is learned from the text. */
static loom_status write_text(loom_err *err)
{
    loom_arena graphs = {0}, arena = {0};
    loom_encode_conf conf = {.mode = text_mode, .bounded = 0.5};
    loom_facts facts = {0};
    loom_names names = {0}, back = {0};
    loom_buf text = {0}, list = {0};
    loom_graph g;
    loom_rng rng;
    loom_rng_seed(&rng, 1, "text", 0);
    loom_status st = read_graph(&g, &graphs, err);
    if (st == LOOM_OK) st = loom_encode_graph(&text, &g, &facts, &conf, &rng, &arena, err);
    if (st == LOOM_OK) st = loom_buf_check(&text, "a text", err);
    if (st == LOOM_OK) st = loom_names_learn(&names, text.data, text.len, err);
    if (st == LOOM_OK) st = loom_names_sort(&names, err);
    if (st == LOOM_OK) loom_names_render(&list, &names);
    if (st == LOOM_OK) st = loom_buf_check(&list, "names", err);
    if (st == LOOM_OK) st = loom_names_parse(&back, list.data, list.len, "names.txt", err);
    loom_names_release(&names);
    loom_names_release(&back);
    loom_buf_release(&text);
    loom_buf_release(&list);
    loom_arena_release(&graphs);
    loom_arena_release(&arena);
    return st;
}

static loom_status parse_sample(void *arg, const loom_textfile_sample *s, loom_err *err)
{
    loom_arena arena = {0};
    loom_text text;
    loom_status st = loom_text_parse(&text, s->mode, s->text, s->len, &arena, err);
    if (st == LOOM_OK) st = loom_arena_check(&arena, "a text", err);
    loom_arena_release(&arena);
    ++*(int64_t *)arg;
    return st;
}

static loom_status read_texts(loom_err *err)
{
    static const char *const files[] = {FROZEN("tabular.txt.zst"), FROZEN("recursive.txt.zst"),
                                        FROZEN("instruction.txt.zst")};
    int64_t n = 0;
    return loom_textfile_each(files[text_mode], parse_sample, &n, err);
}

TEST(texts)
{
    for (text_mode = 0; text_mode < LOOM_MODES; text_mode++) {
        failing_memory_sweep("writing a text", write_text, POINTS);
        failing_memory_sweep("reading texts", read_texts, POINTS / 5);
    }
}

/* A requested graph, answered by the shortest texts that its automata allow. */
static loom_status grow(loom_err *err)
{
    static const char *const prompts[] = {"id:S_7/num_edges:4/depth:2\n<edges>\n",
                                          "id:S_7/start_node:USER/num_edges:5/remaining_depth:2\n<layer>\n<edges>\n"};
    const char *prompt = prompts[text_mode == LOOM_MODE_RECURSIVE];
    loom_request_conf conf = {.mode = text_mode, .max_trials = 2};
    loom_request *r = NULL;
    loom_rng rng;
    loom_rng_seed(&rng, 1, "grow", 0);
    loom_status st = loom_request_new(&r, &conf, prompt, strlen(prompt), &rng, err);
    for (const loom_request_layer *l; st == LOOM_OK && (l = loom_request_take(r));) {
        loom_automaton_conf ac = {.mode = text_mode,
                                  .full = true,
                                  .root = l->parent < 0,
                                  .prompt = l->prompt,
                                  .prompt_len = l->prompt_len,
                                  .reach = l->reach};
        loom_automaton *a = NULL;
        loom_buf text = {0};
        st = loom_automaton_new(&a, &ac, err);
        if (st == LOOM_OK) loom_automaton_shortest(a, loom_automaton_start(a), &text);
        if (st == LOOM_OK) st = loom_buf_check(&text, "an answer", err);
        if (st == LOOM_OK) st = loom_request_answer(r, l->index, text.data, text.len, err);
        loom_automaton_free(a);
        loom_buf_release(&text);
    }
    if (st == LOOM_OK && !loom_request_outcome(r)->correct) {
        st = loom_nomem_check_end(err);
        if (st == LOOM_OK) st = loom_fail(err, LOOM_STATUS_FORMAT, "the graph is not as requested");
    }
    loom_request_free(&r);
    return st;
}

TEST(requests)
{
    for (text_mode = LOOM_MODE_TABULAR; text_mode <= LOOM_MODE_RECURSIVE; text_mode++)
        failing_memory_sweep("a requested graph", grow, POINTS);
}

static loom_status rename_names(loom_err *err)
{
    char path[] = "/tmp/loom-names-XXXXXX";
    const char *services[] = {"shop:/cart", "shop:/pay"}, *calls[] = {"cart", "db one", "MS_00003"};
    loom_rename r = {.keep_ids = true}, again = {.keep_ids = true};
    loom_real_names real = {0};
    loom_arena arena = {0};
    loom_buf text = {0};
    loom_graph g, to;
    int fd = mkstemp(path);
    bool ok = fd >= 0 && loom_rename_add(&r, LOOM_RENAME_SERVICE, services, 2) &&
              loom_rename_add(&r, LOOM_RENAME_MICROSERVICE, calls, 3);
    loom_status st = ok ? LOOM_OK : loom_fail_nomem(err, "names");
    if (st == LOOM_OK) loom_rename_render(&r, &text);
    if (st == LOOM_OK) st = loom_buf_check(&text, "names", err);
    if (st == LOOM_OK && write(fd, text.data, text.len) != (ssize_t)text.len)
        st = loom_fail(err, LOOM_STATUS_IO, "write");
    if (st == LOOM_OK) st = loom_rename_load(&again, path, err);
    if (st == LOOM_OK) st = loom_real_names_load(&real, path, err);
    if (st == LOOM_OK) st = read_graph(&g, &arena, err);
    if (st == LOOM_OK) st = loom_real_names_graph(&to, &real, &g, &arena, err);
    close(fd);
    unlink(path);
    loom_rename_release(&r);
    loom_rename_release(&again);
    loom_real_names_release(&real);
    loom_arena_release(&arena);
    loom_buf_release(&text);
    return st;
}

TEST(names_and_numbers) { failing_memory_sweep("names", rename_names, POINTS); }

TEST_MAIN(RUN(traces_of_every_kind) RUN(topologies) RUN(comparisons_and_shapes) RUN(statistics) RUN(texts) RUN(requests)
              RUN(names_and_numbers))
