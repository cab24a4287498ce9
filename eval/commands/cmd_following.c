/* loom-eval following: does the model do what it is told (Fig 6)? */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/file.h"
#include "core/hash.h"
#include "core/json.h"
#include "core/log.h"
#include "core/num.h"
#include "eval/answers/answers.h"
#include "eval/answers/instruction_prompts.h"
#include "eval/answers/jsonl.h"
#include "eval/answers/name_list.h"
#include "eval/commands/eval_cmds.h"
#include "eval/numbers/metrics.h"
#include "eval/pages/paper.h"
#include "eval/pages/results.h"

typedef struct following_conf {
    const char *prompts, *output;
    bool pictures;
} following_conf;

static const loom_opt following_opts[] = {
    LOOM_OPT_GROUP("Judging"),
    LOOM_OPT_IN("prompts", 'p', following_conf, prompts, NULL, "FILE[,FILE]",
                "pairs of prompts (loom-eval prompts --ask), one file for each answers file, in this order"),
    LOOM_OPT_GROUP("Output"),
    LOOM_OPT_OUT("output", 'o', following_conf, output, NULL, "DIR", "folder for tables, pictures and manifest.json"),
    LOOM_OPT_FLAG_ON("pictures", 0, following_conf, pictures, "draw PNG and SVG with gnuplot"),
    LOOM_OPT_END};

typedef struct asked_prompt {
    loom_instruction asked;
    loom_hash128 hash;
    bool with, there, answered;
} asked_prompt;

typedef struct arm {
    int64_t n, n_valid, k, k_strict;
} arm;

typedef struct following_job {
    asked_prompt *prompts;
    size_t n, cap;
    loom_arena names;
    const char *prompts_path;
    arm arms[LOOM_ASKS][2]; /* without, with */
} following_job;

/* ---- prompts ---- */

static loom_status add_prompt(void *arg, const loom_json *root, int64_t number, loom_err *err)
{
    following_job *j = arg;
    const char *ask = loom_json_str(loom_json_get(root, "ask"), NULL),
               *which = loom_json_str(loom_json_get(root, "arm"), NULL);
    const loom_json *include = loom_json_get(root, "include");
    int64_t id = loom_json_i64(loom_json_get(root, "id"), -1);
    size_t len, old = j->n;
    const char *prompt = loom_json_str(loom_json_get(root, "prompt"), &len);
    int kind = 0;
    for (int a = 1; ask && a < LOOM_ASKS; a++)
        if (strcmp(ask, loom_ask_names[a]) == 0) kind = a;
    if (!kind || !which || !prompt || id < 0 || id > 1000000000 ||
        (kind != LOOM_ASK_HIGH_LATENCY && loom_json_len(include) != 3))
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "%s:%lld: this prompt asks for nothing; write the file with `loom-eval prompts --ask`",
                         j->prompts_path, (long long)number);
    if ((size_t)id >= j->n) {
        LOOM_TRY(loom_grow(&j->prompts, &j->cap, (size_t)id + 1, sizeof *j->prompts, err));
        memset(j->prompts + old, 0, ((size_t)id + 1 - old) * sizeof *j->prompts);
        j->n = (size_t)id + 1;
    }
    asked_prompt *p = &j->prompts[id];
    *p = (asked_prompt){.with = strcmp(which, "with") == 0, .there = true, .hash = loom_hash128_of(prompt, len)};
    p->asked = (loom_instruction){.ask = (loom_ask)kind, .p90 = loom_json_i64(loom_json_get(root, "p90"), 0)};
    const char **names[3] = {&p->asked.source, &p->asked.type, &p->asked.destination};
    for (size_t i = 0; i < 3 && loom_json_len(include) == 3; i++) {
        const char *text = loom_json_str(loom_json_at(include, i), &len);
        *names[i] = loom_arena_strdup(&j->names, text ? text : "", text ? len : 0);
    }
    return LOOM_OK;
}

static loom_status read_prompts(following_job *j, const char *path, loom_err *err)
{
    j->n = 0;
    j->prompts_path = path;
    return loom_jsonl_read(path, "prompts", "loom-eval prompts --ask", NULL, add_prompt, j, err);
}

/* ---- answers ---- */

static loom_status count_answer(following_job *j, const char *line, size_t len, const char *path, int64_t number,
                                loom_arena *arena, loom_err *err)
{
    loom_answer answer;
    loom_score score = {0};
    LOOM_TRY(loom_answer_parse(&answer, line, len, path, number, arena, err));
    asked_prompt *p = answer.id >= 0 && (size_t)answer.id < j->n ? &j->prompts[answer.id] : NULL;
    loom_hash128 hash = {0};
    if (answer.n_layers) hash = loom_hash128_of(answer.layers[0].prompt, answer.layers[0].prompt_len);
    if (!p || !p->there || (answer.n_layers && (hash.lo != p->hash.lo || hash.hi != p->hash.hi)))
        return loom_fail(
            err, LOOM_STATUS_FORMAT,
            "%s:%lld: this is no answer to a prompt of the file; give the prompts these answers were made from", path,
            (long long)number);
    LOOM_TRY(loom_answer_score(&score, &answer, err));
    arm *a = &j->arms[p->asked.ask][p->with];
    p->answered = true;
    a->n++;
    a->n_valid += score.valid;
    if (score.valid) {
        a->k += loom_instruction_followed(&p->asked, &score.outcome->graph.graph, false);
        a->k_strict += loom_instruction_followed(&p->asked, &score.outcome->graph.graph, true);
    }
    loom_score_release(&score);
    return LOOM_OK;
}

/* What was asked for and never answered has failed. */
static void add_missing(following_job *j, const char *path)
{
    int64_t missing = 0;
    for (size_t i = 0; i < j->n; i++) {
        const asked_prompt *p = &j->prompts[i];
        if (!p->there || p->answered) continue;
        j->arms[p->asked.ask][p->with].n++;
        missing++;
    }
    if (missing)
        loom_warn("%s: %lld of the prompts in %s have no answer; they are counted as failures", path,
                  (long long)missing, j->prompts_path);
}

static loom_status read_answers(following_job *j, const char *path, loom_err *err)
{
    loom_lines *lines = NULL;
    loom_arena arena = {0};
    char *line;
    size_t len;
    int64_t n = 0;
    loom_status st = loom_lines_open(&lines, path, err);
    while (st == LOOM_OK && (st = loom_lines_next(lines, &line, &len, err)) == LOOM_OK && line) {
        loom_arena_reset(&arena);
        st = count_answer(j, line, len, path, loom_lines_number(lines), &arena, err);
        n++;
    }
    loom_lines_close(&lines);
    loom_arena_release(&arena);
    if (st == LOOM_OK && n == 0)
        st = loom_fail(err, LOOM_STATUS_FORMAT, "%s: the file holds no answers; write it with `loom-infer sample`",
                       path);
    if (st == LOOM_OK) add_missing(j, path);
    return st;
}

/* ---- results ---- */

static void fill_table(loom_csv_table *t, const loom_ctx *ctx, const following_job *j)
{
    loom_csv_table_init(t, "experiment,seed,instruction,arm,k,n,value,lo,hi,k_strict,k_valid,n_valid,value_valid");
    for (int a = 1; a < LOOM_ASKS; a++) {
        for (int with = 0; with < 2; with++) {
            const arm *m = &j->arms[a][with];
            if (m->n == 0) continue;
            loom_interval i = loom_metrics_wilson(m->k, m->n);
            loom_csv_table_str(t, "fig06");
            loom_csv_table_i64(t, ctx->common.seed);
            loom_csv_table_str(t, loom_ask_names[a]);
            loom_csv_table_str(t, with ? "with" : "without");
            loom_csv_table_i64(t, m->k);
            loom_csv_table_i64(t, m->n);
            loom_csv_table_f64(t, i.value);
            loom_csv_table_f64(t, i.lo);
            loom_csv_table_f64(t, i.hi);
            loom_csv_table_i64(t, m->k_strict);
            loom_csv_table_i64(t, m->k); /* only valid graphs can follow */
            loom_csv_table_i64(t, m->n_valid);
            loom_csv_table_f64(t, loom_metrics_wilson(m->k, m->n_valid).value);
            loom_csv_table_end_row(t);
        }
    }
}

static void summarise(loom_results *r, const following_job *j)
{
    for (int a = 1; a < LOOM_ASKS; a++) {
        const arm *with = &j->arms[a][1], *without = &j->arms[a][0];
        char ours[128];
        if (with->n == 0) continue;
        double p = 100 * (double)with->k / (double)with->n,
               q = without->n ? 100 * (double)without->k / (double)without->n : 0;
        snprintf(ours, sizeof ours, "%.1f %%, without the line %.1f %%", p, q);
        loom_paper_compare(r, LOOM_PAPER_FOLLOWED, loom_ask_names[a], without->n ? p - q : NAN, ours, NULL);
    }
}

static loom_status draw(loom_results *r, const following_job *j, loom_err *err)
{
    loom_figure_vars vars = {0};
    char caption[512], origin[128];
    int64_t most = 0;
    for (int a = 1; a < LOOM_ASKS; a++) most = loom_max_i64(most, j->arms[a][1].n);
    snprintf(caption, sizeof caption,
             "%sup to %lld pairs of prompts · an invalid graph does not follow · bars: 95 %% interval",
             loom_results_origin(r, origin, sizeof origin), (long long)most);
    loom_figure_str(&vars, "title", "Does the model do what it is told?");
    loom_figure_str(&vars, "caption", caption);
    loom_status st = loom_results_figure(r, "fig06", &vars, err);
    loom_figure_vars_release(&vars);
    return st;
}

static loom_status record_inputs(loom_results *r, const loom_ctx *ctx, loom_err *err)
{
    const following_conf *conf = ctx->conf;
    loom_buf name = {0};
    loom_status st = LOOM_OK;
    for (int i = 0; i < ctx->n_args && st == LOOM_OK; i++) {
        if (!loom_name_list_nth(&name, conf->prompts, i)) {
            st = loom_fail(err, LOOM_STATUS_ARG,
                           "no prompts for %s; name one file for each answers file with --prompts A,B,...",
                           ctx->args[i]);
            break;
        }
        if ((st = loom_results_input(r, name.data, err)) == LOOM_OK) st = loom_results_input(r, ctx->args[i], err);
    }
    loom_buf_release(&name);
    return st;
}

static loom_status judge_all(following_job *j, const loom_ctx *ctx, loom_err *err)
{
    const following_conf *conf = ctx->conf;
    loom_buf name = {0};
    loom_status st = LOOM_OK;
    for (int i = 0; i < ctx->n_args && st == LOOM_OK; i++) {
        loom_name_list_nth(&name, conf->prompts, i);
        if ((st = read_prompts(j, name.data, err)) == LOOM_OK) st = read_answers(j, ctx->args[i], err);
    }
    loom_buf_release(&name);
    return st;
}

static loom_status run_following(const loom_ctx *ctx, loom_err *err)
{
    const following_conf *conf = ctx->conf;
    following_job j = {0};
    loom_results r = {0};
    loom_csv_table t = {0};
    loom_status st;
    if ((st = loom_results_open(&r, ctx, conf->output, conf->pictures, err)) != LOOM_OK) goto done;
    if ((st = record_inputs(&r, ctx, err)) != LOOM_OK) goto done;
    if (loom_results_up_to_date(&r)) goto done;
    if ((st = judge_all(&j, ctx, err)) != LOOM_OK) goto done;
    fill_table(&t, ctx, &j);
    if ((st = loom_results_table(&r, "fig06.csv", &t, err)) != LOOM_OK) goto done;
    if ((st = draw(&r, &j, err)) != LOOM_OK) goto done;
    summarise(&r, &j);
    if ((st = loom_stdout_text(t.text.data, t.text.len, err)) != LOOM_OK) goto done;
    st = loom_results_close(&r, err);
done:
    free(j.prompts);
    loom_arena_release(&j.names);
    loom_csv_table_release(&t);
    loom_results_release(&r);
    return st;
}

const loom_cmd loom_cmd_following = {
    .name = "following",
    .summary = "does the model follow instructions: high latency, uncommon calls (Fig 6)",
    .args = "ANSWERS.jsonl...",
    .min_args = 1,
    .max_args = -1,
    .details =
        "Compares graphs asked for with an instruction line to graphs asked for without it. Prints the table.\n\n"
        "  loom-eval prompts valid.graphs.zst --stats stats.json --ask uncommon -o ask.prompts.jsonl\n"
        "  loom-infer sample --model m --prompts ask.prompts.jsonl -o ask.answers.jsonl\n"
        "  loom-eval following ask.answers.jsonl --prompts ask.prompts.jsonl -o results\n",
    .opts = following_opts,
    .conf_size = sizeof(following_conf),
    .run = run_following,
    .updates = true};
