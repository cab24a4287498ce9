/* loom-eval baseline: generators without a model, from counts alone: independent ones, or a topology. */
#include <string.h>

#include "core/file.h"
#include "core/json.h"
#include "core/log.h"
#include "core/meta.h"
#include "core/num.h"
#include "eval/answers/graphs.h"
#include "eval/answers/jsonl.h"
#include "eval/baselines/draw_like.h"
#include "eval/baselines/probabilistic.h"
#include "eval/commands/eval_cmds.h"
#include "eval/commands/preset.h"
#include "system/topology_draw.h"
#include "trace/graph/record.h"
#include "trace/graph/validity.h"

typedef struct baseline_conf {
    const char *prompts, *topology, *output;
    int64_t count, tries;
    int names, times, preset;
} baseline_conf;

static const loom_opt baseline_opts[] = {
    LOOM_OPT_GROUP("What to draw"),
    LOOM_OPT_ENUM("preset", 0, baseline_conf, preset, "paper", LOOM_PRESET_CHOICES, LOOM_PRESET_HELP),
    LOOM_OPT_I64("count", 0, baseline_conf, count, "0", 0, 1000000000, "N",
                 "graphs to draw (without --prompts); 0: as the preset says (" LOOM_PRESET_NUMBERS(LIKE) ")"),
    LOOM_OPT_IN("prompts", 'p', baseline_conf, prompts, NULL, "FILE",
                "one graph for each prompt, of its service, edges and depth"),
    LOOM_OPT_IN("topology", 0, baseline_conf, topology, NULL, "FILE",
                "draw from this topology.json (loom-eval topology) instead of TRAIN"),
    LOOM_OPT_I64("tries", 0, baseline_conf, tries, "200", 1, 1000000, "N",
                 "draws for a prompt until edges and depth fit; then the closest is taken"),
    LOOM_OPT_ENUM("names", 0, baseline_conf, names, "frequency", "frequency|uniform", "how destinations are drawn"),
    LOOM_OPT_ENUM("times", 0, baseline_conf, times, "repair", "repair|raw",
                  "let callers grow to cover their calls, or leave what was drawn"),
    LOOM_OPT_GROUP("Output"),
    LOOM_OPT_OUT("output", 'o', baseline_conf, output, "-", "FILE", "graph store to write (.graphs.zst)"),
    LOOM_OPT_END};

typedef struct baseline_job {
    const loom_ctx *ctx;
    const baseline_conf *conf;
    loom_prob_conf draw;
    loom_prob *p;
    loom_topology *topology;
    loom_topology_drawing *drawing; /* of the topology; NULL: the probabilistic generator draws */
    loom_out *out;
    loom_meta meta;
    loom_arena arena;
    loom_buf line;
    int64_t n, missed, invalid;
} baseline_job;

static loom_status fit(baseline_job *j, loom_err *err)
{
    loom_graphs *in = NULL;
    loom_graph g;
    bool more;
    if (j->conf->topology) {
        LOOM_TRY(loom_topology_load(&j->topology, j->conf->topology, err));
        return loom_topology_drawing_new(&j->drawing, j->topology, err);
    }
    const char *path = j->ctx->args[0];
    j->p = loom_prob_new();
    loom_status st = j->p ? loom_graphs_open(&in, path, err) : loom_fail_nomem(err, "the baseline's distributions");
    while (st == LOOM_OK && (st = loom_graphs_next(in, &g, &more, err)) == LOOM_OK && more)
        st = loom_prob_add(j->p, &g, err);
    loom_graphs_close(&in);
    return st;
}

static int64_t fitted_graphs(const baseline_job *j)
{
    return j->topology ? j->topology->graphs : loom_prob_graphs(j->p);
}

static loom_status draw_topology(void *arg, loom_graph *g, const char *service, loom_rng *rng, loom_arena *arena,
                                 loom_err *err)
{
    return loom_topology_draw(g, arg, service, rng, arena, err);
}

/* Every graph has a stream of its own, so the n-th is the same however many are drawn. */
static loom_status draw_one(baseline_job *j, int64_t edges, int64_t depth, const char *service, loom_err *err)
{
    loom_graph g;
    loom_rng rng;
    loom_verdict why = {0};
    if (loom_stop_requested())
        return loom_fail(err, LOOM_STATUS_INTERRUPT, "interrupted; nothing was left half-written");
    loom_arena_reset(&j->arena);
    loom_rng_seed(&rng, (uint64_t)j->ctx->common.seed, "baseline", (uint64_t)j->n++);
    bool alike;
    if (j->drawing)
        LOOM_TRY(loom_draw_like(&alike, &g, draw_topology, j->drawing, edges, depth, service, j->conf->tries, &rng,
                                &j->arena, err));
    else
        LOOM_TRY(loom_prob_draw_like(&alike, &g, j->p, &j->draw, edges, depth, service, j->conf->tries, &rng, &j->arena,
                                     err));
    j->missed += !alike;
    loom_graph_check(&why, &g);
    j->invalid += why.n > 0;
    loom_buf_reset(&j->line);
    loom_record_render(&j->line, &g);
    loom_buf_char(&j->line, '\n');
    LOOM_TRY(loom_buf_check(&j->line, "a line", err));
    return loom_out_write(j->out, j->line.data, j->line.len, err);
}

static loom_status draw_prompt(void *arg, const loom_json *root, int64_t number, loom_err *err)
{
    baseline_job *j = arg;
    if (!loom_json_get(root, "prompt"))
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s:%lld: not a prompt; write the file with `loom-eval prompts`",
                         j->conf->prompts, (long long)number);
    return draw_one(j, loom_json_i64(loom_json_get(root, "edges"), -1), loom_json_i64(loom_json_get(root, "depth"), -1),
                    loom_json_str(loom_json_get(root, "service"), NULL), err);
}

static loom_status commit(baseline_job *j, loom_err *err)
{
    loom_meta_i64(&j->meta, "training_graphs", fitted_graphs(j));
    loom_meta_i64(&j->meta, "graphs", j->n);
    loom_meta_i64(&j->meta, "not_of_the_wished_size", j->missed);
    loom_meta_i64(&j->meta, "invalid", j->invalid);
    return loom_meta_commit(&j->meta, j->ctx, &j->out, 1, 1, err);
}

static loom_status check_use(const loom_ctx *ctx, loom_err *err)
{
    const baseline_conf *conf = ctx->conf;
    if (conf->topology && ctx->n_args)
        return loom_fail(err, LOOM_STATUS_ARG, "--topology says all there is to draw from; leave %s out", ctx->args[0]);
    if (!conf->topology && ctx->n_args == 0)
        return loom_fail(err, LOOM_STATUS_ARG, "give the graphs to draw after, or a topology of them with --topology");
    if (conf->topology && (conf->names || conf->times))
        return loom_fail(err, LOOM_STATUS_ARG,
                         "--names and --times are of the probabilistic generator; a topology has both");
    return LOOM_OK;
}

static loom_status run_baseline(const loom_ctx *ctx, loom_err *err)
{
    baseline_job j = {.ctx = ctx, .conf = ctx->conf};
    loom_status st;
    j.draw = (loom_prob_conf){.uniform_names = j.conf->names == 1, .raw_times = j.conf->times == 1};
    if ((st = check_use(ctx, err)) != LOOM_OK) return st;
    if ((st = loom_meta_input(&j.meta, j.conf->topology ? j.conf->topology : ctx->args[0], err)) != LOOM_OK) goto done;
    if (j.conf->prompts && (st = loom_meta_input(&j.meta, j.conf->prompts, err)) != LOOM_OK) goto done;
    if (loom_meta_up_to_date(&j.meta, ctx, j.conf->output)) goto done;
    if ((st = fit(&j, err)) != LOOM_OK) goto done;
    if ((st = loom_out_open(&j.out, j.conf->output, ctx->common.force, err)) != LOOM_OK) goto done;
    int64_t count = loom_preset_or(j.conf->count, loom_preset_of(j.conf->preset)->like);
    if (j.conf->prompts)
        st = loom_jsonl_read(j.conf->prompts, "prompts", "loom-eval prompts", NULL, draw_prompt, &j, err);
    else
        while (st == LOOM_OK && j.n < count) st = draw_one(&j, -1, -1, NULL, err);
    if (st != LOOM_OK || (st = commit(&j, err)) != LOOM_OK) goto done;
    loom_info("%lld graphs drawn after %lld training graphs; %lld not of the wished size, %lld not valid",
              (long long)j.n, (long long)fitted_graphs(&j), (long long)j.missed, (long long)j.invalid);
done:
    loom_out_abandon(&j.out);
    loom_prob_free(j.p);
    loom_topology_drawing_free(j.drawing);
    loom_topology_free(j.topology);
    loom_meta_release(&j.meta);
    loom_arena_release(&j.arena);
    loom_buf_release(&j.line);
    return st;
}

const loom_cmd loom_cmd_baseline = {
    .name = "baseline",
    .summary = "draw graphs from counts alone: the generators without a model that models are compared with",
    .args = "[TRAIN.graphs.zst]",
    .min_args = 0,
    .max_args = 1,
    .details =
        "Numbers of calls, types, destinations and times are drawn from the training graphs by depth, each\n"
        "independent of the others. With --topology calls depend on who calls and what was called before, and times\n"
        "on who asks: a much stronger baseline.\n\n"
        "  loom-eval baseline train.graphs.zst --count 2000 -o probabilistic.graphs.zst\n"
        "  loom-eval baseline --topology topology.json --count 2000 -o topology.graphs.zst\n",
    .opts = baseline_opts,
    .conf_size = sizeof(baseline_conf),
    .run = run_baseline,
    .updates = true};
