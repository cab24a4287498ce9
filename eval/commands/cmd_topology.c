/* loom-eval topology: what a set of traces says of the system behind it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/log.h"
#include "core/meta.h"
#include "core/num.h"
#include "eval/commands/eval_cmds.h"
#include "eval/systems/read_system.h"
#include "system/topology_export.h"

typedef enum target { TO_JSON, TO_DOT, TO_MUBENCH, TO_HYDRAGEN, TO_LADING } target;

typedef struct topology_conf {
    const char *output, *names;
    int64_t min_count;
    int to;
    bool per_service, merge;
} topology_conf;

static const loom_opt topology_opts[] = {
    LOOM_OPT_GROUP("Model"),
    LOOM_OPT_FLAG("per-service", 0, topology_conf, per_service, "operations of different services apart, not pooled"),
    LOOM_OPT_I64("min-count", 0, topology_conf, min_count, "5", 1, 1000000000, "N",
                 "states of an operation's automaton that were seen fewer times are pooled"),
    LOOM_OPT_GROUP("Input"),
    LOOM_OPT_FLAG("merge", 0, topology_conf, merge, "traces may be spread over the inputs: all are read first"),
    LOOM_OPT_GROUP("Output"),
    LOOM_OPT_ENUM("to", 0, topology_conf, to, "json", "json|dot|mubench|hydragen|lading", "format, see above"),
    LOOM_OPT_OUT("output", 'o', topology_conf, output, "-", "FILE", "where to write, - is standard output"),
    LOOM_OPT_OUT("names", 0, topology_conf, names, NULL, "FILE",
                 "mubench, hydragen: what the services' labels stand for (CSV); default: OUTPUT.names.csv"),
    LOOM_OPT_END};

typedef struct job {
    const loom_ctx *ctx;
    const topology_conf *conf;
    loom_system_tally tally;
    loom_topology *model;
    loom_meta meta;
    loom_buf text, names, names_path;
    loom_export_left left;
} job;

/* ---- from graphs to the text of topology.json ---- */

static loom_status read_graphs(job *j, loom_err *err)
{
    LOOM_TRY(loom_read_system(&j->tally, j->ctx, j->ctx->args, j->ctx->n_args, j->conf->per_service, j->conf->merge,
                              &j->meta, err));
    loom_buf inside = {0};
    loom_topology_conf conf = {.min_count = j->conf->min_count};
    loom_meta_render_inside(&j->meta, j->ctx, &inside);
    loom_status st = loom_topology_render(&j->text, &j->tally, &conf, loom_buf_text(&inside), err);
    loom_buf_release(&inside);
    if (st != LOOM_OK) return st;
    loom_info("%lld graphs of %zu services: %zu operations, %zu dependencies, %zu states", (long long)j->tally.graphs,
              j->tally.services.n, j->tally.ops.keys.n, j->tally.pairs.n, j->tally.states.n);
    return LOOM_OK;
}

static bool is_topology(const char *path)
{
    char head[64] = "";
    loom_in *in = NULL;
    size_t n = 0;
    if (strcmp(path, "-") == 0 || loom_file_is_dir(path) || loom_in_open(&in, path, NULL) != LOOM_OK) return false;
    bool read = loom_in_read(in, head, sizeof head - 1, &n, NULL) == LOOM_OK;
    loom_in_close(&in);
    head[n < sizeof head ? n : 0] = 0;
    return read && strstr(head, LOOM_TOPOLOGY_FORMAT) != NULL;
}

/* ---- out ---- */

static loom_status export(job *j, loom_err *err)
{
    loom_buf_reset(&j->text);
    switch ((target)j->conf->to) {
    case TO_DOT: return loom_topology_dot(&j->text, j->model, err);
    case TO_MUBENCH: return loom_topology_mubench(&j->text, &j->names, j->model, &j->left, err);
    case TO_HYDRAGEN: return loom_topology_hydragen(&j->text, &j->names, j->model, &j->left, err);
    default: return loom_topology_lading(&j->text, j->model, &j->left, err);
    }
}

static void say_left(const job *j)
{
    const loom_export_left *l = &j->left;
    if (l->rules)
        loom_info("%lld operations choose what they call by what they called before, which the format cannot say",
                  (long long)l->rules);
    if (l->repeats)
        loom_info("%lld dependencies are called several times by one invocation; the format says one",
                  (long long)l->repeats);
    if (l->rare)
        loom_info(
            "%lld dependencies are called by less than half of the invocations and left out: ratios are whole numbers there",
            (long long)l->rare);
    if (l->self_calls) loom_info("%lld dependencies of a service on itself are left out", (long long)l->self_calls);
}

static loom_status write_out(job *j, loom_err *err)
{
    loom_out *outs[2] = {NULL, NULL};
    bool force = j->ctx->common.force, std = strcmp(j->conf->output, "-") == 0;
    loom_status st = loom_out_open(&outs[0], j->conf->output, force, err);
    if (st == LOOM_OK && j->names.len && (j->conf->names || !std)) {
        if (j->conf->names) loom_buf_str(&j->names_path, j->conf->names);
        else loom_buf_printf(&j->names_path, "%s.names.csv", j->conf->output);
        st = loom_out_open(&outs[1], loom_buf_text(&j->names_path), force, err);
    }
    if (st == LOOM_OK) st = loom_out_write(outs[0], j->text.data, j->text.len, err);
    if (st == LOOM_OK && outs[1]) st = loom_out_write(outs[1], j->names.data, j->names.len, err);
    if (st == LOOM_OK) st = loom_meta_commit(&j->meta, j->ctx, outs, 2, 1, err);
    loom_out_abandon(&outs[0]);
    loom_out_abandon(&outs[1]);
    return st;
}

static loom_status run_topology(const loom_ctx *ctx, loom_err *err)
{
    job j = {.ctx = ctx, .conf = ctx->conf};
    loom_status st = LOOM_OK;

    for (int i = 0; i < ctx->n_args; i++)
        if ((st = loom_meta_input(&j.meta, ctx->args[i], err)) != LOOM_OK) goto done;
    if (loom_meta_up_to_date(&j.meta, ctx, j.conf->output)) goto done;
    if (ctx->n_args == 1 && is_topology(ctx->args[0])) {
        if (j.conf->to == TO_JSON)
            st = loom_fail(err, LOOM_STATUS_ARG, "%s is a topology already; choose another format with --to",
                           ctx->args[0]);
        else st = loom_topology_load(&j.model, ctx->args[0], err);
    } else {
        st = read_graphs(&j, err);
        if (st == LOOM_OK && j.conf->to != TO_JSON)
            st = loom_topology_parse(&j.model, j.text.data, j.text.len, "the topology", err);
    }
    if (st == LOOM_OK && j.conf->to != TO_JSON) st = export(&j, err);
    if (st == LOOM_OK) st = write_out(&j, err);
    if (st == LOOM_OK) say_left(&j);
done:
    loom_system_tally_release(&j.tally);
    loom_topology_free(j.model);
    loom_meta_release(&j.meta);
    loom_buf_release(&j.text);
    loom_buf_release(&j.names);
    loom_buf_release(&j.names_path);
    return st;
}

const loom_cmd loom_cmd_topology = {
    .name = "topology",
    .summary = "learn a system from its traces: who calls whom, how often, in which order, how long it takes",
    .args = "INPUT...",
    .min_args = 1,
    .max_args = -1,
    .details =
        "INPUT are traces of any kind that loom-infer convert reads, or one topology.json made before. Memory depends on how\n"
        "many operations, dependencies and states there are, not on the number of graphs. docs/SYSTEMS.md says what is\n"
        "counted.\n"
        "\n"
        "  json      all of it, for loom-eval baseline --topology and for reading\n"
        "  dot       for Graphviz: calls per invocation on the arrows, width by traffic\n"
        "  mubench   workmodel.json of muBench\n"
        "  hydragen  input of HydraGen's application generator\n"
        "  lading    services and edges of lading's topology-driven OpenTelemetry trace payload (YAML)\n"
        "\n"
        "  loom-eval topology train.graphs.zst -o topology.json\n"
        "  loom-eval topology topology.json --to dot | dot -Tsvg -o topology.svg\n"
        "  loom-eval baseline --topology topology.json --count 1000 -o topology.graphs.zst\n",
    .opts = topology_opts,
    .conf_size = sizeof(topology_conf),
    .run = run_topology,
    .updates = true};
