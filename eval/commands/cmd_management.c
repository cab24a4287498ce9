/* loom-eval management: models of system management trained on generated graphs, tested on real ones (Fig 5). */
#include <string.h>

#include "core/log.h"
#include "core/num.h"
#include "eval/answers/name_list.h"
#include "eval/commands/eval_cmds.h"
#include "eval/commands/preset.h"
#include "eval/management/management.h"
#include "eval/management/trace_vae.h"
#include "model/blas.h"

#define NAME_MOST 128 /* bytes of an origin's name */

typedef struct management_conf {
    const char *real, *test, *apps, *output;
    int64_t seeds, train, held, vae_epochs;
    int preset;
    bool pictures, trace_vae;
} management_conf;

static const loom_opt management_opts[] = {
    LOOM_OPT_GROUP("Graphs"),
    LOOM_OPT_IN("real", 0, management_conf, real, NULL, "STORE",
                "real training graphs: what is usual comes from them, and they are one origin"),
    LOOM_OPT_IN("test", 0, management_conf, test, NULL, "STORE", "real graphs to test on (validation)"),
    LOOM_OPT_STR(
        "apps", 0, management_conf, apps, NULL, "[NAME=]GRAPHS,...",
        "graphs of the two applications alone (of the prompts of loom-eval prompts --like --apps); critical components "
        "are learned from these instead of from those of the origin of the same name"),
    LOOM_OPT_ENUM("preset", 0, management_conf, preset, "paper", LOOM_PRESET_CHOICES, LOOM_PRESET_HELP),
    LOOM_OPT_I64(
        "train-graphs", 0, management_conf, train, "0", 0, 1000000000, "N",
        "graphs of an application to train on, at most; 0: as the preset says (" LOOM_PRESET_NUMBERS(MANAGED) ")"),
    LOOM_OPT_I64(
        "test-graphs", 0, management_conf, held, "0", 0, 1000000000, "N",
        "graphs of an application to test on, at most; 0: as the preset says (" LOOM_PRESET_NUMBERS(MANAGED_TEST) ")"),
    LOOM_OPT_I64("seeds", 0, management_conf, seeds, "5", 1, 1000, "N",
                 "runs, each with other training graphs and random features"),
    LOOM_OPT_FLAG_ON("tracevae", 0, management_conf, trace_vae,
                     "also train TraceVAE, with as many graphs of any service, and let it find anomalies"),
    LOOM_OPT_I64("vae-epochs", 0, management_conf, vae_epochs, "0", 0, 100000, "N",
                 "epochs of TraceVAE; 0: as the preset says (" LOOM_PRESET_NUMBERS(VAE_EPOCHS) ")"),
    LOOM_OPT_GROUP("Output"),
    LOOM_OPT_OUT("output", 'o', management_conf, output, NULL, "DIR", "folder for tables, pictures and manifest.json"),
    LOOM_OPT_FLAG_ON("pictures", 0, management_conf, pictures, "draw PNG and SVG with gnuplot"),
    LOOM_OPT_END};

static loom_status record_named(loom_results *r, const char *entry, loom_err *err)
{
    char name[NAME_MOST];

    LOOM_TRY(loom_results_input(r, loom_path_called(name, sizeof name, entry), err));
    loom_results_called(r, name);
    return LOOM_OK;
}

static loom_status record_inputs(loom_results *r, const loom_ctx *ctx, loom_err *err)
{
    const management_conf *conf = ctx->conf;
    loom_buf entry = {0};
    loom_status st = loom_results_input(r, conf->real, err);

    if (st == LOOM_OK) st = loom_results_input(r, conf->test, err);
    for (int i = 0; st == LOOM_OK && i < ctx->n_args; i++) st = record_named(r, ctx->args[i], err);
    for (int i = 0; st == LOOM_OK && loom_name_list_nth(&entry, conf->apps, i); i++)
        st = record_named(r, loom_buf_text(&entry), err);
    loom_buf_release(&entry);
    return st;
}

/* The file whose graphs of the applications stand for an origin: what --apps has under its name, else its own. */
static const char *apps_of(loom_buf *entry, const char *apps, const char *name, const char *path)
{
    char called[NAME_MOST];

    for (int i = 0; loom_name_list_nth(entry, apps, i); i++) {
        const char *file = loom_path_called(called, sizeof called, loom_buf_text(entry));
        if (strcmp(called, name) == 0) return file;
    }
    return path;
}

/* Every name of --apps is that of an origin. */
static loom_status check_apps(const loom_ctx *ctx, loom_err *err)
{
    const management_conf *conf = ctx->conf;
    char name[NAME_MOST], other[NAME_MOST];
    loom_buf entry = {0};
    bool known = true;

    for (int i = 0; known && loom_name_list_nth(&entry, conf->apps, i); i++) {
        known = false;
        loom_path_called(name, sizeof name, loom_buf_text(&entry));
        for (int k = 0; k < ctx->n_args && !known; k++) {
            loom_path_called(other, sizeof other, ctx->args[k]);
            known = strcmp(name, other) == 0;
        }
    }
    loom_buf_release(&entry);
    return known ? LOOM_OK
                 : loom_fail(err, LOOM_STATUS_ARG,
                             "--apps has graphs of \"%s\", but no origin is called so; write NAME=FILE there as here",
                             name);
}

static loom_status load_origin(loom_management *m, const char *name, const char *path, loom_err *err)
{
    loom_origin *o = &m->origins[m->n_origins++];

    if (!(o->name = loom_strdup(name))) return loom_fail_nomem(err, "names");
    for (int64_t k = 0; k + 1 < m->n_origins; k++)
        if (strcmp(m->origins[k].name, name) == 0)
            return loom_fail(err, LOOM_STATUS_ARG, "two origins are called \"%s\"; name them with NAME=FILE", name);
    LOOM_TRY(loom_management_load(m, o->paths, &o->n_graphs, path, err));
    for (int a = 0; a < LOOM_APPS; a++) {
        int64_t n = o->paths[a].n;
        const char *service = loom_intern_text(&m->services, m->app[a]);
        if (n >= LOOM_FIRM_WINDOW) continue;
        if (m->n_origins == 1)
            return loom_fail(err, LOOM_STATUS_FORMAT,
                             "%s: application %c (%s) has %lld graphs, at least %d are needed; give more real graphs",
                             path, 'A' + a, service, (long long)n, LOOM_FIRM_WINDOW);
        loom_warn("%s: %lld correct graphs of application %c (%s), at least %d are needed; left out of it", path,
                  (long long)n, 'A' + a, service, LOOM_FIRM_WINDOW);
    }
    return LOOM_OK;
}

static loom_status load_all(loom_management *m, const loom_ctx *ctx, loom_err *err)
{
    const management_conf *conf = ctx->conf;
    int64_t n = 0;
    char name[NAME_MOST];

    LOOM_TRY(loom_management_apps(m, conf->real, err));
    LOOM_TRY(load_origin(m, "real", conf->real, err));
    LOOM_TRY(loom_management_load(m, m->test, &n, conf->test, err));
    for (int a = 0; a < LOOM_APPS; a++)
        if (m->test[a].n < LOOM_FIRM_WINDOW)
            return loom_fail(err, LOOM_STATUS_FORMAT,
                             "%s: application %c (%s) has %lld graphs to test on, at least %d are needed; give more",
                             conf->test, 'A' + a, loom_intern_text(&m->services, m->app[a]), (long long)m->test[a].n,
                             LOOM_FIRM_WINDOW);
    loom_buf entry = {0};
    loom_status st = LOOM_OK;
    for (int i = 0; st == LOOM_OK && i < ctx->n_args; i++) {
        const char *path = loom_path_called(name, sizeof name, ctx->args[i]);
        st = load_origin(m, name, apps_of(&entry, conf->apps, name, path), err);
    }
    loom_buf_release(&entry);
    return st;
}

static loom_status run_trace_vae(const loom_management *m, loom_results *r, const loom_ctx *ctx, loom_err *err)
{
    const management_conf *conf = ctx->conf;
    const loom_preset *preset = loom_preset_of(conf->preset);
    loom_trace_vae t = {.conf = {.seed = m->seed,
                                 .seeds = m->seeds,
                                 .n_train = m->n_train,
                                 .n_test = m->n_test,
                                 .epochs = loom_preset_or(conf->vae_epochs, preset->vae_epochs)}};
    char name[NAME_MOST];
    loom_status st;

    if (!conf->trace_vae) return LOOM_OK;
    t.names = loom_calloc((size_t)m->n_origins, sizeof *t.names);
    t.origins = loom_calloc((size_t)m->n_origins, sizeof *t.origins);
    st = t.names && t.origins ? loom_trace_vae_load(&t, m->origins[0].name, conf->real, err)
                              : loom_fail_nomem(err, "origins");
    for (int i = 0; st == LOOM_OK && i < ctx->n_args; i++)
        st = loom_trace_vae_load(&t, m->origins[i + 1].name, loom_path_called(name, sizeof name, ctx->args[i]), err);
    if (st == LOOM_OK) st = loom_trace_vae_load_test(&t, conf->test, err);
    if (st == LOOM_OK) st = loom_trace_vae_run(&t, r, err);
    loom_trace_vae_release(&t);
    return st;
}

static loom_status run_management(const loom_ctx *ctx, loom_err *err)
{
    const management_conf *conf = ctx->conf;
    const loom_preset *preset = loom_preset_of(conf->preset);
    loom_results r = {0};
    loom_management m = {.seed = (uint64_t)ctx->common.seed,
                         .seeds = conf->seeds,
                         .n_train = loom_preset_or(conf->train, preset->managed),
                         .n_test = loom_preset_or(conf->held, preset->managed_test)};
    loom_status st;

    if (!conf->real || !conf->test)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "name real graphs to train on with --real, and others to test on with --test");
    LOOM_TRY(check_apps(ctx, err));
    LOOM_TRY(loom_blas_reserve(1, err));
    m.origins = loom_calloc((size_t)ctx->n_args + 1, sizeof *m.origins);
    if (!m.origins) return loom_fail_nomem(err, "origins");
    if ((st = loom_results_open(&r, ctx, conf->output, conf->pictures, err)) != LOOM_OK) goto done;
    if ((st = record_inputs(&r, ctx, err)) != LOOM_OK) goto done;
    if (loom_results_up_to_date(&r)) goto done;
    if ((st = load_all(&m, ctx, err)) != LOOM_OK) goto done;
    if ((st = loom_management_firm(&m, &r, err)) != LOOM_OK) goto done;
    if ((st = run_trace_vae(&m, &r, ctx, err)) != LOOM_OK) goto done;
    st = loom_results_close(&r, err);
done:
    loom_management_release(&m);
    loom_results_release(&r);
    return st;
}

const loom_cmd loom_cmd_management = {
    .name = "management",
    .summary = "train management models on generated graphs and test them on real ones (Fig 5)",
    .args = "[NAME=]GRAPHS...",
    .min_args = 1,
    .max_args = -1,
    .details =
        "FIRM's support vector machine learns which microservice on the critical path is to blame for slow requests,\n"
        "for the two services with most graphs of at least three levels. It is trained on as many graphs of every\n"
        "origin, and tested on the same real graphs. TraceVAE learns what graphs of an origin look like and is to tell\n"
        "real graphs in which a call was made slow, or calls were taken out, from other real ones. Graphs asked for as\n"
        "real ones occur hold few of one application and hardly a slow one; --apps brings graphs of prompts made for that.\n\n"
        "  loom-eval prompts train.graphs.zst --like --apps --unusual --stats stats.json -o apps.prompts.jsonl\n"
        "  loom-eval management --real train.graphs.zst --test valid.graphs.zst instruction=like.answers.jsonl \\\n"
        "      --apps instruction=apps.answers.jsonl probabilistic.graphs.zst -o results\n",
    .opts = management_opts,
    .conf_size = sizeof(management_conf),
    .run = run_management,
    .updates = true};
