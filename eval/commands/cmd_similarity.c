/* loom-eval similarity: popular calls, heavy hitters, branching and response times against real graphs. */
#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "core/num.h"
#include "eval/commands/eval_cmds.h"
#include "eval/commands/preset.h"
#include "eval/likeness/similarity.h"

typedef struct similarity_conf {
    const char *real, *output;
    int64_t limit, resamples, top, runs, sequence, branching;
    int preset;
    bool with_user, pictures;
} similarity_conf;

static const loom_opt similarity_opts[] = {
    LOOM_OPT_GROUP("Comparison"),
    LOOM_OPT_IN("real", 0, similarity_conf, real, NULL, "STORE", "real graphs that were not trained on (validation)"),
    LOOM_OPT_I64("limit", 0, similarity_conf, limit, "0", 0, 1000000000, "N",
                 "use the first N graphs of every file; 0: all"),
    LOOM_OPT_I64("top", 0, similarity_conf, top, "100", 1, 100000, "N", "popular calls that are compared"),
    LOOM_OPT_ENUM("preset", 0, similarity_conf, preset, "paper", LOOM_PRESET_CHOICES, LOOM_PRESET_HELP),
    LOOM_OPT_I64("runs", 0, similarity_conf, runs, "0", 0, 10000, "N",
                 "runs of the heavy hitters; 0: as the preset says (" LOOM_PRESET_NUMBERS(RUNS) ")"),
    LOOM_OPT_I64(
        "sequence", 0, similarity_conf, sequence, "0", 0, 1000000000, "N",
        "graphs of a run, fewer when a file has fewer; 0: as the preset says (" LOOM_PRESET_NUMBERS(SEQUENCE) ")"),
    LOOM_OPT_I64("branching", 0, similarity_conf, branching, "0", 0, 1000000000, "N",
                 "generated graphs whose branching and times are compared; 0: as the preset says (" LOOM_PRESET_NUMBERS(
                     BRANCHING) ")"),
    LOOM_OPT_I64("resamples", 0, similarity_conf, resamples, "1000", 0, 1000000, "N",
                 "resamples of the 95 % intervals (basic bootstrap); 0: none"),
    LOOM_OPT_FLAG("with-user", 0, similarity_conf, with_user, "count the calls that USER makes in the out-degree"),
    LOOM_OPT_GROUP("Output"),
    LOOM_OPT_OUT("output", 'o', similarity_conf, output, NULL, "DIR", "folder for tables, pictures and manifest.json"),
    LOOM_OPT_FLAG_ON("pictures", 0, similarity_conf, pictures, "draw PNG and SVG with gnuplot"),
    LOOM_OPT_WAS(NULL, 'r', "real", NULL),
    LOOM_OPT_END};

static loom_status record_inputs(loom_results *r, const loom_ctx *ctx, loom_err *err)
{
    char name[128];
    LOOM_TRY(loom_results_input(r, ((const similarity_conf *)ctx->conf)->real, err));
    for (int i = 0; i < ctx->n_args; i++) {
        LOOM_TRY(loom_results_input(r, loom_path_called(name, sizeof name, ctx->args[i]), err));
        loom_results_called(r, name);
    }
    return LOOM_OK;
}

/* Another system's graphs make none of the calls: every number would be as bad as can be, for no fault of the model. */
static void warn_stranger(const loom_similarity *s, const loom_rival *m, const char *path, const char *real)
{
    int64_t n = (int64_t)s->words.calls.n, common = 0;
    int64_t *a = loom_alloc((size_t)n, sizeof *a), *b = loom_alloc((size_t)n, sizeof *b);
    bool room = a && b;
    if (room) loom_graph_counts_calls(&s->real, NULL, 0, a, n);
    if (room) loom_graph_counts_calls(&m->counts, NULL, 0, b, n);
    for (int64_t i = 0; room && i < n; i++) common += a[i] > 0 && b[i] > 0;
    if (room && common == 0) loom_warn("%s has no call in common with %s; are they of the same system?", path, real);
    free(a);
    free(b);
}

static loom_status load_all(loom_similarity *s, const loom_ctx *ctx, loom_err *err)
{
    const similarity_conf *conf = ctx->conf;
    char name[128];
    LOOM_TRY(loom_graph_counts_load(&s->real, &s->words, conf->real, conf->limit, conf->with_user, err));
    if (s->real.calls_only)
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "%s: a table of calls is no set of real graphs; name a graph store with --real", conf->real);
    if (s->real.n_graphs < 2)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s: one graph cannot be compared with; give more real graphs",
                         conf->real);
    for (int i = 0; i < ctx->n_args; i++) {
        const char *path = loom_path_called(name, sizeof name, ctx->args[i]);
        loom_rival *m = &s->rivals[s->n_rivals++];
        if (!(m->name = loom_strdup(name))) return loom_fail_nomem(err, "names");
        for (int64_t k = 0; k + 1 < s->n_rivals; k++)
            if (strcmp(s->rivals[k].name, name) == 0)
                return loom_fail(err, LOOM_STATUS_ARG, "two files are called \"%s\"; name them with NAME=FILE", name);
        LOOM_TRY(loom_graph_counts_load(&m->counts, &s->words, path, conf->limit, conf->with_user, err));
        if (m->counts.n_graphs == 0) {
            loom_warn("%s: none of the %lld answers is a correct graph; left out", path, (long long)m->counts.n_read);
            free(m->name);
            loom_graph_counts_release(&m->counts);
            s->n_rivals--;
            continue;
        }
        warn_stranger(s, m, path, conf->real);
        loom_verbose("%s: %lld graphs, %lld rejected", name, (long long)m->counts.n_graphs,
                     (long long)m->counts.n_rejected);
    }
    if (s->n_rivals == 0)
        return loom_fail(err, LOOM_STATUS_FORMAT, "no file holds a correct graph, nothing can be compared");
    return LOOM_OK;
}

/* Heavy hitters and branching: of those that are graphs. */
static loom_status compare_graphs(const loom_similarity *s, loom_results *r, loom_err *err)
{
    loom_similarity graphs = *s;
    loom_rival *list = loom_calloc((size_t)s->n_rivals, sizeof *list);
    loom_status st = LOOM_OK;
    if (!list) return loom_fail_nomem(err, "names");
    graphs.rivals = list;
    graphs.n_rivals = 0;
    for (int64_t i = 0; i < s->n_rivals; i++)
        if (!s->rivals[i].counts.calls_only) list[graphs.n_rivals++] = s->rivals[i];
    if (graphs.n_rivals > 0 && (st = loom_similarity_heavy(&graphs, r, err)) == LOOM_OK)
        st = loom_similarity_branching(&graphs, r, err);
    free(list);
    return st;
}

static loom_status run_similarity(const loom_ctx *ctx, loom_err *err)
{
    const similarity_conf *conf = ctx->conf;
    const loom_preset *preset = loom_preset_of(conf->preset);
    loom_results r = {0};
    loom_similarity s = {.seed = (uint64_t)ctx->common.seed,
                         .resamples = conf->resamples,
                         .top = conf->top,
                         .runs = loom_preset_or(conf->runs, preset->runs),
                         .sequence = loom_preset_or(conf->sequence, preset->sequence),
                         .branching = loom_preset_or(conf->branching, preset->branching)};
    loom_status st;
    if (!conf->real) return loom_fail(err, LOOM_STATUS_ARG, "no real graphs to compare with; name them with --real");
    s.rivals = loom_calloc((size_t)ctx->n_args, sizeof *s.rivals);
    if (!s.rivals) return loom_fail_nomem(err, "names");
    if ((st = loom_results_open(&r, ctx, conf->output, conf->pictures, err)) != LOOM_OK) goto done;
    if ((st = record_inputs(&r, ctx, err)) != LOOM_OK) goto done;
    if (loom_results_up_to_date(&r)) goto done;
    if ((st = load_all(&s, ctx, err)) != LOOM_OK) goto done;
    if ((st = loom_similarity_calls(&s, &r, err)) != LOOM_OK) goto done;
    if ((st = compare_graphs(&s, &r, err)) != LOOM_OK) goto done;
    st = loom_results_close(&r, err);
done:
    for (int64_t i = 0; i < s.n_rivals; i++) {
        free(s.rivals[i].name);
        loom_graph_counts_release(&s.rivals[i].counts);
    }
    free(s.rivals);
    loom_graph_counts_release(&s.real);
    loom_vocabulary_release(&s.words);
    loom_results_release(&r);
    return st;
}

const loom_cmd loom_cmd_similarity = {
    .name = "similarity",
    .summary = "compare generated with real graphs: popular calls, heavy hitters, branching, times (Figs 4, 16)",
    .args = "[NAME=]GRAPHS...",
    .min_args = 1,
    .max_args = -1,
    .details =
        "GRAPHS are of any origin: answers of the sampler, graph stores, CallGraph CSV, output lines of the public\n"
        "program, or calls by themselves (loom-eval tvae; Fig 4a only). A method is the file's name up to its first\n"
        "dot, or NAME. Beside every number stands what two random halves of the real graphs give.\n\n"
        "Ask for graphs as real ones occur (loom-eval prompts --like): prompts of the heat map hold\n"
        "as many of every size, which no real system has.\n\n"
        "  loom-eval similarity --real valid.graphs.zst instruction=like.answers.jsonl probabilistic.graphs.zst -o results\n",
    .opts = similarity_opts,
    .conf_size = sizeof(similarity_conf),
    .run = run_similarity,
    .updates = true};
