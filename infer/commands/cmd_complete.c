#include <unistd.h>

#include "core/file.h"
#include "core/json.h"
#include "core/log.h"
#include "core/num.h"
#include "core/usage.h"
#include "core/utf8.h"
#include "infer/commands/infer_cmds.h"
#include "infer/engine/model_loader.h"
#include "infer/files/question_list.h"

typedef struct complete_conf {
    loom_model_loader_conf model;
    const char *prompt_file, *questions, *stop, *output;
    int64_t n, top_k, max_tokens;
    double temperature, top_p, min_p;
    bool logprobs, echo;
} complete_conf;

static const loom_opt complete_opts[] = {
    LOOM_MODEL_LOADER_OPTS(complete_conf, model),
    LOOM_OPT_GROUP("Text"),
    LOOM_OPT_STR("prompt-file", 0, complete_conf, prompt_file, NULL, "FILE",
                 "read the prompt from FILE, byte for byte"),
    LOOM_OPT_IN("questions", 0, complete_conf, questions, NULL, "A,B,...",
                "answer every question of these texts (loom-preprocess encode --task), as JSON lines into --output"),
    LOOM_OPT_OUT("output", 'o', complete_conf, output, NULL, "FILE", "with --questions: where to write"),
    LOOM_OPT_STR("stop", 0, complete_conf, stop, NULL, "TEXT", "end when this has been generated; it is cut off"),
    LOOM_OPT_I64("n", 'n', complete_conf, n, "1", 1, 1e6, "K", "texts"),
    LOOM_OPT_F64("temperature", 't', complete_conf, temperature, "0", 0, 100, "T", "0: always the most likely token"),
    LOOM_OPT_I64("top-k", 'k', complete_conf, top_k, "50", 0, 1e9, "K", "draw among the K most likely tokens; 0: all"),
    LOOM_OPT_F64("top-p", 0, complete_conf, top_p, "0", 0, 1, "P",
                 "... and the fewest of probability P together; 0: off"),
    LOOM_OPT_F64("min-p", 0, complete_conf, min_p, "0", 0, 1, "P",
                 "... and those at least P times as likely as the most likely one; 0: off"),
    LOOM_OPT_I64("max-tokens", 0, complete_conf, max_tokens, "256", 1, 1e9, "N", "longest text"),
    LOOM_OPT_FLAG("logprobs", 0, complete_conf, logprobs, "one line for each token: its log-probability, id and text"),
    LOOM_OPT_FLAG("echo", 0, complete_conf, echo, "begin each text with the prompt"),
    LOOM_OPT_WAS(NULL, 'p', "prompt-file", NULL),
    LOOM_OPT_END};

static loom_status read_prompt(loom_buf *into, const loom_ctx *ctx, const complete_conf *c, loom_err *err)
{
    if ((c->prompt_file != NULL) + ctx->n_args != 1)
        return loom_fail(err, LOOM_STATUS_ARG, "give one prompt: as argument or with --prompt-file");
    if (c->prompt_file) return loom_file_read(into, c->prompt_file, LOOM_BOUND_JSON, err);
    loom_buf_str(into, ctx->args[0]);
    return LOOM_OK;
}

static void token_text(loom_buf *into, const loom_tokenizer *tok, int32_t id)
{
    size_t len = 0;
    const char *bytes = loom_tokenizer_bytes(tok, id, &len);
    loom_buf_append(into, bytes, len);
    loom_utf8_mend(into->data, into->len);
}

static void write_json(loom_buf *out, const loom_model_loader *b, const loom_job *job, const complete_conf *c)
{
    loom_buf piece = {0};
    loom_jw w;

    loom_jw_init(&w, out, false);
    loom_jw_begin_object(&w);
    loom_jw_key(&w, "text");
    loom_jw_strn(&w, loom_buf_text(&job->text), job->text.len);
    loom_jw_kv_str(&w, "stop", loom_stop_names[job->stop]);
    loom_jw_kv_i64(&w, "prompt_tokens", job->n_prompt);
    loom_jw_kv_i64(&w, "tokens", job->n_tokens);
    if (c->logprobs) {
        loom_jw_kv_f64(&w, "logprob", job->logprob);
        loom_jw_key(&w, "logprobs");
        loom_jw_begin_array(&w);
        for (size_t i = 0; i < job->n_ids; i++) {
            loom_buf_reset(&piece);
            token_text(&piece, b->tok, job->ids[i]);
            loom_jw_begin_object(&w);
            loom_jw_kv_i64(&w, "id", job->ids[i]);
            loom_jw_kv_str(&w, "text", loom_buf_text(&piece));
            loom_jw_kv_f64(&w, "logprob", (double)job->logprobs[i]);
            loom_jw_end_object(&w);
        }
        loom_jw_end_array(&w);
    }
    loom_jw_end_object(&w);
    loom_buf_char(out, '\n');
    loom_buf_release(&piece);
}

static void write_plain(loom_buf *out, const loom_model_loader *b, const loom_job *job, const complete_conf *c)
{
    loom_buf piece = {0}, quoted = {0};
    loom_jw w;

    for (size_t i = 0; c->logprobs && i < job->n_ids; i++) {
        loom_buf_reset(&piece);
        loom_buf_reset(&quoted);
        token_text(&piece, b->tok, job->ids[i]);
        loom_jw_init(&w, &quoted, false);
        loom_jw_str(&w, loom_buf_text(&piece));
        loom_buf_printf(out, "%.4f\t%d\t%s\n", (double)job->logprobs[i], job->ids[i], quoted.data);
    }
    if (!c->logprobs) {
        loom_buf_append(out, loom_buf_text(&job->text), job->text.len);
        loom_buf_char(out, '\n');
    }
    loom_buf_release(&piece);
    loom_buf_release(&quoted);
}

/* All jobs through the completer, at most `room` at a time. */
static loom_status run_jobs(loom_completer *c, loom_job *jobs, int64_t n, loom_err *err)
{
    int64_t submitted = 0, ended = 0;

    while (ended < n) {
        loom_job *done = NULL;
        if (loom_stop_requested()) return loom_fail(err, LOOM_STATUS_INTERRUPT, "interrupted");
        while (submitted < n && c->room > 0) LOOM_TRY(c->submit(c, &jobs[submitted++], err));
        LOOM_TRY(c->step(c, &done, err));
        for (; done; done = done->next) ended++;
    }
    return LOOM_OK;
}

static loom_job new_job(const complete_conf *c, const char *prompt, size_t len, const loom_common *common, int64_t i)
{
    loom_job job = {.prompt = prompt,
                    .prompt_len = len,
                    .max_tokens = c->max_tokens,
                    .temperature = c->temperature,
                    .top_k = c->top_k,
                    .top_p = c->top_p,
                    .min_p = c->min_p,
                    .bos = loom_model_loader_bos(&c->model, prompt, len)};

    loom_rng_seed(&job.rng, (uint64_t)common->seed, "complete", (uint64_t)i);
    return job;
}

/* ---- many questions ---- */

static loom_status write_answers(loom_out *out, const loom_question_list *q, loom_job *jobs, loom_err *err)
{
    loom_buf line = {0};
    loom_status st = LOOM_OK;

    for (int64_t i = 0; st == LOOM_OK && i < q->n; i++) {
        loom_jw w;
        loom_buf_reset(&line);
        loom_utf8_mend(jobs[i].text.data, jobs[i].text.len);
        loom_jw_init(&w, &line, false);
        loom_jw_begin_object(&w);
        loom_jw_kv_i64(&w, "id", i);
        loom_jw_kv_str(&w, "prompt", q->list[i].question);
        loom_jw_key(&w, "text");
        loom_jw_strn(&w, loom_buf_text(&jobs[i].text), jobs[i].text.len);
        loom_jw_kv_str(&w, "stop", loom_stop_names[jobs[i].stop]);
        loom_jw_end_object(&w);
        loom_buf_char(&line, '\n');
        st = loom_buf_check(&line, "an answer", err);
        if (st == LOOM_OK) st = loom_out_write(out, line.data, line.len, err);
    }
    loom_buf_release(&line);
    return st;
}

static loom_status ask(loom_model_loader *b, const loom_question_list *q, loom_job *jobs, const loom_ctx *ctx,
                       loom_err *err)
{
    static const char *const line_end = "\n"; /* an answer is one line; a model may go on without end */
    const complete_conf *c = ctx->conf;

    for (int64_t i = 0; i < q->n; i++) {
        jobs[i] = new_job(c, q->list[i].prompt, strlen(q->list[i].prompt), &ctx->common, i);
        jobs[i].stops = c->stop ? &c->stop : &line_end;
        jobs[i].n_stops = 1;
    }
    return run_jobs(b->completer, jobs, q->n, err);
}

static loom_status answer_questions(const loom_ctx *ctx, loom_err *err)
{
    const complete_conf *c = ctx->conf;
    loom_model_loader b = {0};
    loom_question_list q = {0};
    loom_meta meta = {0};
    loom_out *out = NULL;
    loom_job *jobs = NULL;
    loom_status st;

    if (!c->output)
        return loom_fail(err, LOOM_STATUS_ARG, "--questions needs a file for the answers; name one with -o");
    if ((st = loom_question_list_read(&q, &meta, c->questions, err)) != LOOM_OK) goto done;
    if ((st = loom_model_loader_open(&b, &c->model, &ctx->common, err)) != LOOM_OK) goto done;
    if ((st = loom_model_loader_inputs(&meta, &b, &c->model, err)) != LOOM_OK) goto done;
    if (loom_meta_up_to_date(&meta, ctx, c->output)) goto done;
    if ((st = loom_out_open(&out, c->output, ctx->common.force, err)) != LOOM_OK) goto done;
    if (!(jobs = loom_calloc((size_t)q.n, sizeof *jobs))) {
        st = loom_fail_nomem(err, "answers");
        goto done;
    }
    double started = loom_time_now();
    if ((st = ask(&b, &q, jobs, ctx, err)) != LOOM_OK) goto done;
    if ((st = write_answers(out, &q, jobs, err)) != LOOM_OK) goto done;
    loom_model_loader_meta(&meta, &b);
    st = loom_meta_commit(&meta, ctx, &out, 1, 1, err);
    if (ctx->common.verbose) loom_model_loader_report(&b, loom_time_now() - started);
done:
    loom_out_abandon(&out);
    for (int64_t i = 0; jobs && i < q.n; i++) loom_job_release(&jobs[i]);
    free(jobs);
    loom_question_list_release(&q);
    loom_model_loader_close(&b);
    loom_meta_release(&meta);
    return st;
}

/* ---- one prompt ---- */

static loom_status run_complete(const loom_ctx *ctx, loom_err *err)
{
    const complete_conf *c = ctx->conf;
    loom_model_loader b = {0};
    loom_buf prompt = {0}, out = {0};
    loom_job *jobs = NULL;
    loom_status st;

    if (c->questions && (c->prompt_file || ctx->n_args))
        return loom_fail(err, LOOM_STATUS_ARG, "--questions has the prompts; leave out the other one");
    if (c->questions) return answer_questions(ctx, err);
    if (c->output)
        return loom_fail(err, LOOM_STATUS_ARG, "-o goes with --questions; one text is written to standard output");
    if ((st = read_prompt(&prompt, ctx, c, err)) != LOOM_OK) goto done;
    if ((st = loom_model_loader_open(&b, &c->model, &ctx->common, err)) != LOOM_OK) goto done;
    jobs = loom_calloc((size_t)c->n, sizeof *jobs);
    if (!jobs) {
        st = loom_fail_nomem(err, "texts");
        goto done;
    }
    for (int64_t i = 0; i < c->n; i++) {
        jobs[i] = new_job(c, loom_buf_text(&prompt), prompt.len, &ctx->common, i);
        jobs[i].want_logprobs = c->logprobs;
        jobs[i].stops = &c->stop;
        jobs[i].n_stops = c->stop != NULL;
    }
    double started = loom_time_now();
    if ((st = run_jobs(b.completer, jobs, c->n, err)) != LOOM_OK) goto done;
    for (int64_t i = 0; i < c->n; i++) {
        loom_utf8_mend(jobs[i].text.data, jobs[i].text.len);
        if (ctx->common.json) {
            write_json(&out, &b, &jobs[i], c);
            continue;
        }
        if (c->echo && !c->logprobs) loom_buf_append(&out, loom_buf_text(&prompt), prompt.len);
        write_plain(&out, &b, &jobs[i], c);
    }
    st = isatty(STDOUT_FILENO) ? loom_stdout_text(loom_buf_text(&out), out.len, err) /* a model may write anything */
                               : loom_stdout_write(loom_buf_text(&out), out.len, err);
    if (ctx->common.verbose) loom_model_loader_report(&b, loom_time_now() - started);
done:
    for (int64_t i = 0; jobs && i < c->n; i++) loom_job_release(&jobs[i]);
    free(jobs);
    loom_model_loader_close(&b);
    loom_buf_release(&prompt);
    loom_buf_release(&out);
    return st;
}

const loom_cmd loom_cmd_complete = {
    .name = "complete",
    .summary = "let a model go on with a text",
    .args = "[PROMPT]",
    .max_args = 1,
    .details =
        "Writes what the model would write after PROMPT. Several texts (--n) are decoded together.\n"
        "\n"
        "  loom-infer complete --model runs/demo --stop '</edges>' 'id:S_000000007/num_edges:2'\n"
        "\n"
        "With --questions every question of an instruction text is answered by one line (--stop: up to another text);\n"
        "loom-eval infilling judges the answers.\n"
        "\n"
        "  loom-infer complete --model tuned --questions attribute.txt.zst,edge.txt.zst -o tuned.answers.jsonl\n",
    .opts = complete_opts,
    .conf_size = sizeof(complete_conf),
    .run = run_complete,
    .updates = true,
};
