/* loom-eval oracle: perfect answers, or damaged ones, without a model. */
#include <string.h>

#include "core/file.h"
#include "core/json.h"
#include "core/log.h"
#include "core/meta.h"
#include "core/num.h"
#include "eval/answers/answers.h"
#include "eval/answers/jsonl.h"
#include "eval/answers/oracle.h"
#include "eval/commands/eval_cmds.h"

typedef struct oracle_conf {
    const char *output;
    double damage;
} oracle_conf;

static const loom_opt oracle_opts[] = {
    LOOM_OPT_GROUP("Answers"),
    LOOM_OPT_F64("damage", 0, oracle_conf, damage, "0", 0, 1, "SHARE",
                 "share of the answers in which one layer loses a digit, a line or its end"),
    LOOM_OPT_OUT("output", 'o', oracle_conf, output, "-", "FILE", "where to write the answers, one JSON object a line"),
    LOOM_OPT_END};

typedef struct oracle_job {
    const loom_ctx *ctx;
    const oracle_conf *conf;
    loom_out *out;
    int64_t n, n_damaged;
} oracle_job;

static loom_status answer_line(void *arg, const loom_json *root, int64_t number, loom_err *err)
{
    oracle_job *j = arg;
    const char *path = j->ctx->args[0];
    size_t len;
    loom_mode mode;
    loom_rng rng;
    loom_request *r = NULL;
    loom_buf line = {0};
    const char *name = loom_json_str(loom_json_get(root, "mode"), NULL),
               *record = loom_json_str(loom_json_get(root, "record"), NULL);
    const char *prompt = loom_json_str(loom_json_get(root, "prompt"), &len);
    int64_t id = loom_json_i64(loom_json_get(root, "id"), -1);

    if (!name || !prompt || !record || !loom_mode_parse(&mode, name))
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "%s:%lld: not a prompt with mode, prompt and record; write the file with `loom-eval prompts`",
                         path, (long long)number);
    loom_rng_seed(&rng, (uint64_t)j->ctx->common.seed, "damage", (uint64_t)id);
    bool hurt = loom_rng_chance(&rng, j->conf->damage);
    loom_damage damage = hurt ? (loom_damage)(1 + loom_rng_below(&rng, LOOM_DAMAGES - 1)) : LOOM_DAMAGE_NONE;
    loom_status st = loom_oracle_answer(&r, mode, prompt, len, record, damage, &rng, err);
    if (st != LOOM_OK) {
        loom_err_in(err, "%s:%lld", path, (long long)number);
        return st;
    }
    loom_answer head = {.id = id,
                        .mode = mode,
                        .seed = j->ctx->common.seed,
                        .edges = loom_json_i64(loom_json_get(root, "edges"), -1),
                        .depth = loom_json_i64(loom_json_get(root, "depth"), -1)};
    loom_answer_render(&line, &head, r);
    st = loom_out_write(j->out, line.data, line.len, err);
    j->n++;
    j->n_damaged += hurt;
    loom_request_free(&r);
    loom_buf_release(&line);
    return st;
}

static loom_status answer_all(oracle_job *j, const char *path, loom_err *err)
{
    loom_meta meta = {0};
    loom_status st;
    if ((st = loom_meta_input(&meta, path, err)) != LOOM_OK) goto done;
    if (loom_meta_up_to_date(&meta, j->ctx, j->conf->output)) goto done;
    if ((st = loom_out_open(&j->out, j->conf->output, j->ctx->common.force, err)) != LOOM_OK) goto done;
    if ((st = loom_jsonl_read(path, "prompts", "loom-eval prompts", NULL, answer_line, j, err)) != LOOM_OK) goto done;
    loom_meta_i64(&meta, "answers", j->n);
    loom_meta_i64(&meta, "damaged", j->n_damaged);
    if ((st = loom_meta_commit(&meta, j->ctx, &j->out, 1, 1, err)) != LOOM_OK) goto done;
    loom_info("%lld answers, %lld of them damaged", (long long)j->n, (long long)j->n_damaged);
done:
    loom_meta_release(&meta);
    return st;
}

static loom_status run_oracle(const loom_ctx *ctx, loom_err *err)
{
    oracle_job j = {.ctx = ctx, .conf = ctx->conf};
    loom_status st = answer_all(&j, ctx->args[0], err);
    loom_out_abandon(&j.out);
    return st;
}

const loom_cmd loom_cmd_oracle = {
    .name = "oracle",
    .summary = "answer prompts with the graphs they came from: a check of the evaluator itself",
    .args = "PROMPTS.jsonl",
    .min_args = 1,
    .max_args = 1,
    .details = "A perfect sampler without a model: its answers must score 100 %, with --damage less.\n\n"
               "  loom-eval oracle instruction.prompts.jsonl -o oracle.answers.jsonl\n"
               "  loom-eval heatmap oracle=oracle.answers.jsonl -o check\n",
    .opts = oracle_opts,
    .conf_size = sizeof(oracle_conf),
    .run = run_oracle,
    .updates = true};
