/* loom-eval settings: with what settings the models were trained, beside the paper's (Table 1). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/json.h"
#include "core/num.h"
#include "eval/commands/eval_cmds.h"
#include "eval/pages/paper.h"
#include "eval/pages/results.h"
#include "store/ckpt.h"

typedef struct settings_conf {
    const char *output;
} settings_conf;

static const loom_opt settings_opts[] = {
    LOOM_OPT_GROUP("Output"),
    LOOM_OPT_OUT("output", 'o', settings_conf, output, NULL, "DIR", "folder for table1.csv and manifest.json"),
    LOOM_OPT_END};

static const char *option_text(const loom_json *options, const char *name)
{
    const char *text = name ? loom_json_str(loom_json_get(options, name), NULL) : NULL;
    return text && *text ? text : NULL;
}

static double option_number(const loom_json *options, const char *name)
{
    const char *text = option_text(options, name);
    double v;
    return text && loom_parse_f64(text, strlen(text), &v) ? v : NAN;
}

/* Whether the option says how long a run was: 0 says that others do, and epochs are the last that are asked. */
static bool is_unset(const loom_json *options, const char *name, double v)
{
    static const char *const lengths[] = {"steps", "tokens", "minutes"};
    bool is_length = false, others = false;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        is_length |= strcmp(name, lengths[i]) == 0;
        others |= option_number(options, lengths[i]) > 0;
    }
    return (is_length && v == 0) || (strcmp(name, "epochs") == 0 && others);
}

/* What a checkpoint says about one setting; "" when nothing. */
static void used_text(char *text, size_t cap, const loom_paper_setting *s, const loom_json *meta, int64_t params)
{
    const loom_json *options = loom_json_get(meta, "options");
    const char *given = option_text(options, s->option);
    bool lora = option_text(options, "lora") && strcmp(option_text(options, "lora"), "true") == 0;
    *text = 0;
    bool muon = strcmp(s->parameter, "optimizer") == 0 && given && strcmp(given, "muon") == 0;
    if (strcmp(s->parameter, "optimizer") == 0) snprintf(text, cap, muon ? "Muon, AdamW" : "AdamW");
    else if (strcmp(s->parameter, "batch, sequences") == 0) {
        double n = option_number(options, "batch-tokens") / option_number(options, "context");
        if (isfinite(n)) snprintf(text, cap, "%.4g", n);
    } else if (strcmp(s->parameter, "weights") == 0) {
        if (params > 0) snprintf(text, cap, "%.2f M", (double)params / 1e6);
    } else if (strcmp(s->parameter, "machine") == 0) {
        int64_t threads = loom_json_i64(loom_json_get(meta, "threads"), 0);
        if (threads) snprintf(text, cap, "CPU, %lld threads", (long long)threads);
    } else if (given && (lora || strncmp(s->parameter, "LoRA ", 5) != 0)) {
        double v = option_number(options, s->option);
        bool automatic = v < 0 || (v == 0 && strcmp(s->option, "lr") == 0);
        if (!is_unset(options, s->option, v)) snprintf(text, cap, "%s", automatic ? "automatic" : given);
    }
}

static loom_status phase_rows(loom_csv_table *t, const loom_ctx *ctx, const char *phase, const char *path,
                              loom_err *err)
{
    loom_ckpt *c = NULL;
    loom_json *meta = NULL;
    size_t len;
    int64_t params = 0;
    char used[256];
    LOOM_TRY(loom_ckpt_open(&c, path, err));
    const char *text = loom_ckpt_text(c, "text/meta", &len);
    loom_status st =
        text ? loom_json_parse(&meta, text, len, path, err)
             : loom_fail(err, LOOM_STATUS_FORMAT, "%s does not say how it was made; give a model of loom-train", path);
    for (size_t i = 0; i < loom_ckpt_count(c); i++)
        if (strncmp(loom_ckpt_at(c, i)->name, "tensors/", 8) == 0) params += loom_ckpt_at(c, i)->count;
    bool downstream = strcmp(phase, "pretrain") != 0 && strcmp(phase, "sft") != 0;
    for (size_t i = 0; i < loom_paper_n_settings && st == LOOM_OK; i++) {
        const loom_paper_setting *s = &loom_paper_settings[i];
        const char *paper = downstream ? s->downstream : s->paper;
        used_text(used, sizeof used, s, meta, params);
        if (!paper && !*used) continue;
        loom_csv_table_str(t, "table1");
        loom_csv_table_i64(t, ctx->common.seed);
        loom_csv_table_str(t, phase);
        loom_csv_table_str(t, s->parameter);
        loom_csv_table_str(t, paper ? paper : "");
        loom_csv_table_str(t, used);
        loom_csv_table_end_row(t);
    }
    loom_json_free(meta);
    loom_ckpt_close(&c);
    return st;
}

static loom_status run_settings(const loom_ctx *ctx, loom_err *err)
{
    const settings_conf *conf = ctx->conf;
    loom_results r = {0};
    loom_csv_table t = {0};
    char name[128];
    loom_status st = loom_results_open(&r, ctx, conf->output, false, err);
    for (int i = 0; i < ctx->n_args && st == LOOM_OK; i++) {
        st = loom_results_input(&r, loom_path_called(name, sizeof name, ctx->args[i]), err);
        loom_results_called(&r, name);
    }
    if (st != LOOM_OK || loom_results_up_to_date(&r)) goto done;
    loom_csv_table_init(&t, "experiment,seed,phase,parameter,paper,used");
    for (int i = 0; i < ctx->n_args && st == LOOM_OK; i++) {
        const char *path = loom_path_called(name, sizeof name, ctx->args[i]);
        st = phase_rows(&t, ctx, name, path, err);
    }
    if (st == LOOM_OK) st = loom_results_table(&r, "table1.csv", &t, err);
    if (st == LOOM_OK) st = loom_stdout_text(t.text.data, t.text.len, err);
    if (st == LOOM_OK) st = loom_results_close(&r, err);
done:
    loom_csv_table_release(&t);
    loom_results_release(&r);
    return st;
}

const loom_cmd loom_cmd_settings = {
    .name = "settings",
    .summary = "with what settings models were trained, beside the paper's (Table 1)",
    .args = "PHASE=CHECKPOINT.h5...",
    .min_args = 1,
    .max_args = -1,
    .details = "PHASE is pretrain, sft, or any name for a downstream task. Prints the table.\n\n"
               "  loom-eval settings pretrain=recursive.pretrain/model.h5 sft=instruction.sft/model.h5 -o results\n",
    .opts = settings_opts,
    .conf_size = sizeof(settings_conf),
    .run = run_settings,
    .updates = true};
