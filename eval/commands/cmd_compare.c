/* loom-eval compare: what differs between two sets of traces, and where it comes from. */
#include <string.h>

#include "core/log.h"
#include "core/num.h"
#include "eval/commands/eval_cmds.h"
#include "eval/systems/compare_out.h"
#include "eval/systems/read_system.h"

typedef struct compare_conf {
    const char *output;
    double fdr;
    int64_t min_graphs, depth, top;
    bool merge, fail;
} compare_conf;

static const loom_opt compare_opts[] = {
    LOOM_OPT_GROUP("Tests"),
    LOOM_OPT_F64("fdr", 0, compare_conf, fdr, "0.01", 1e-9, 0.5, "RATE",
                 "share of false discoveries among what is reported, over all tests"),
    LOOM_OPT_I64("min-graphs", 0, compare_conf, min_graphs, "10", 1, 1000000000, "N",
                 "what is in fewer graphs of both sets together is not tested"),
    LOOM_OPT_I64("depth", 0, compare_conf, depth, "4", 0, 64, "N",
                 "paths from the root of up to so many calls; 0: none"),
    LOOM_OPT_FLAG("fail", 0, compare_conf, fail, "end with code 3 when something differs"),
    LOOM_OPT_GROUP("Input"),
    LOOM_OPT_FLAG("merge", 0, compare_conf, merge, "traces may be spread over the files of a set: all are read first"),
    LOOM_OPT_GROUP("Output"),
    LOOM_OPT_I64("top", 0, compare_conf, top, "20", 0, 100000, "N", "places shown in the terminal"),
    LOOM_OPT_OUT("output", 'o', compare_conf, output, NULL, "DIR",
                 "folder for comparison.json, places.csv, changes.csv, comparison.html"),
    LOOM_OPT_END};

static loom_status add(void *tally, const loom_graph *g, loom_err *err) { return loom_contrast_add(tally, g, err); }
static loom_status join(void *into, void *from, loom_err *err) { return loom_contrast_join(into, from, err); }
static void release(void *tally) { loom_contrast_release(tally); }

static loom_status write_files(loom_results *r, const loom_contrast *c, const loom_contrast_conf *conf, char **args,
                               loom_err *err)
{
    loom_buf text = {0};
    loom_csv_table table = {0};
    loom_status st;

    loom_contrast_json(&text, c, conf);
    st = loom_results_text(r, "comparison.json", loom_buf_text(&text), text.len, err);
    loom_contrast_places_table(&table, c);
    if (st == LOOM_OK) st = loom_results_table(r, "places.csv", &table, err);
    loom_csv_table_release(&table);
    loom_contrast_changes_table(&table, c);
    if (st == LOOM_OK) st = loom_results_table(r, "changes.csv", &table, err);
    loom_csv_table_release(&table);
    loom_buf_reset(&text);
    loom_contrast_page(&text, c, conf, args[0], args[1]);
    if (st == LOOM_OK) st = loom_results_text(r, "comparison.html", loom_buf_text(&text), text.len, err);
    loom_buf_release(&text);
    return st;
}

static loom_status say(const loom_contrast *c, const compare_conf *conf, const loom_ctx *ctx, loom_err *err)
{
    loom_buf text = {0};
    loom_contrast_conf tests = {conf->fdr, conf->min_graphs};
    if (ctx->common.json) loom_contrast_json(&text, c, &tests);
    else loom_contrast_text(&text, c, conf->top);
    loom_status st = ctx->common.json ? loom_stdout_write(loom_buf_text(&text), text.len, err)
                                      : loom_stdout_text(loom_buf_text(&text), text.len, err);
    loom_buf_release(&text);
    if (st == LOOM_OK)
        loom_info("%lld and %lld graphs, %lld tests: %lld differ, from %lld places", (long long)c->graphs[0],
                  (long long)c->graphs[1], (long long)c->n_tests, (long long)c->n_found, (long long)c->n_places);
    return st;
}

static loom_status run_compare(const loom_ctx *ctx, loom_err *err)
{
    static const char *const counts[] = {"counts_before", "counts_after"};
    const loom_tally_kind kind = {sizeof(loom_contrast_tally), add, join, release};
    const compare_conf *conf = ctx->conf;
    loom_contrast_conf tests = {conf->fdr, conf->min_graphs};
    loom_contrast_tally sets[2] = {{.path_depth = (int32_t)conf->depth}, {.path_depth = (int32_t)conf->depth}};
    loom_contrast c = {0};
    loom_results r = {0};
    loom_status st = LOOM_OK;

    if (conf->output && (st = loom_results_open(&r, ctx, conf->output, false, err)) != LOOM_OK) return st;
    for (int s = 0; s < 2 && conf->output; s++)
        if ((st = loom_results_input(&r, ctx->args[s], err)) != LOOM_OK) goto done;
    if (conf->output && loom_results_up_to_date(&r)) goto done;
    for (int s = 0; s < 2; s++)
        if ((st = loom_read_tally(&sets[s], &kind, ctx, &ctx->args[s], 1, conf->merge, &r.meta, counts[s], err)) !=
            LOOM_OK)
            goto done;
    if ((st = loom_contrast_compare(&c, &sets[0], &sets[1], &tests, err)) != LOOM_OK) goto done;
    if (conf->output && (st = write_files(&r, &c, &tests, ctx->args, err)) != LOOM_OK) goto done;
    if (conf->output && (st = loom_results_close(&r, err)) != LOOM_OK) goto done;
    if ((st = say(&c, conf, ctx, err)) != LOOM_OK) goto done;
    if (conf->fail && c.n_found)
        st = loom_fail(err, LOOM_STATUS_VERDICT, "%s and %s differ at %lld places", ctx->args[0], ctx->args[1],
                       (long long)c.n_places);
done:
    loom_contrast_free(&c);
    for (int s = 0; s < 2; s++) loom_contrast_release(&sets[s]);
    loom_results_release(&r);
    return st;
}

const loom_cmd loom_cmd_compare = {
    .name = "compare",
    .summary = "find what differs between two sets of traces, and where it comes from",
    .args = "BEFORE AFTER",
    .min_args = 2,
    .max_args = 2,
    .details =
        "For traces of an incident against a steady state, or generated against real ones. Each set is a file or folder of any\n"
        "kind that loom-infer convert reads. Services, operations, dependencies and paths are tested for how often they occur\n"
        "and how long they take; a change is put down to the lowest place that explains it. docs/SYSTEMS.md has the tests.\n"
        "\n"
        "  loom-eval compare steady.graphs.zst incident.graphs.zst -o comparison\n"
        "  loom-eval compare valid.graphs.zst new.graphs.zst --fail      code 3 when they differ\n",
    .opts = compare_opts,
    .conf_size = sizeof(compare_conf),
    .run = run_compare,
    .updates = true};
