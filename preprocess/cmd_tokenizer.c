#include "core/file.h"
#include "core/log.h"
#include "core/meta.h"
#include "core/num.h"
#include "core/pool.h"
#include "core/progress.h"
#include "core/usage.h"
#include "preprocess/preprocess_cmds.h"
#include "preprocess/text_batch.h"
#include "tokenizer/toktrain.h"

typedef struct tokenizer_conf {
    int64_t vocab_size, name_tokens, merges, min_count;
    const char *output;
} tokenizer_conf;

static const loom_opt tokenizer_opts[] = {
    LOOM_OPT_GROUP("Vocabulary"),
    LOOM_OPT_I64("vocab-size", 'V', tokenizer_conf, vocab_size, "2048", 300, 1000000, "N",
                 "tokens in all; fewer come out when the text has fewer pieces worth one"),
    LOOM_OPT_I64("name-tokens", 0, tokenizer_conf, name_tokens, "-1", -1, 1000000, "N",
                 "services and microservices that may be one token; -1: as many as there is room for"),
    LOOM_OPT_I64("merges", 0, tokenizer_conf, merges, "128", 0, 100000, "N",
                 "merges learned to spell what gets no token of its own; at most a quarter of the vocabulary"),
    LOOM_OPT_I64("min-count", 0, tokenizer_conf, min_count, "8", 1, 1000000000, "N",
                 "a phrase or name seen less often gets no token"),
    LOOM_OPT_GROUP("Output"),
    LOOM_OPT_OUT("output", 'o', tokenizer_conf, output, "tokenizer.json", "FILE", "tokenizer.json to write"),
    LOOM_OPT_END};

typedef struct learning {
    const loom_ctx *ctx;
    const tokenizer_conf *conf;
    loom_toktrain *train;
    loom_pool *pool;
    loom_text_batch batch;
    loom_progress progress;
    loom_meta meta;
    int64_t samples;
    double seconds; /* of reading and counting */
} learning;

static void count_chunk(void *arg, int64_t chunk, int thread)
{
    learning *l = arg;
    size_t first, n;
    loom_text_batch_chunk(&l->batch, chunk, &first, &n);
    for (size_t i = first; i < first + n; i++)
        loom_toktrain_count(l->train, thread, l->batch.text.data + l->batch.items[i].at, l->batch.items[i].len);
}

static loom_status count_file(learning *l, const char *path, loom_err *err)
{
    loom_textfile *file = NULL;
    loom_status st;
    if ((st = loom_textfile_open(&file, path, err)) != LOOM_OK) return st;
    while ((st = loom_text_batch_fill(&l->batch, file, path, err)) == LOOM_OK && l->batch.n > 0) {
        loom_pool_for(l->pool, l->batch.n_chunks, count_chunk, l);
        l->samples += (int64_t)l->batch.n;
        loom_progress_update(&l->progress, l->samples, NULL);
    }
    loom_textfile_close(&file);
    return st;
}

static void report_json(loom_jw *j, const learning *l, const loom_toktrain_report *r)
{
    loom_jw_begin_object(j);
    loom_jw_kv_i64(j, "samples", l->samples);
    loom_jw_kv_i64(j, "bytes", r->bytes);
    loom_jw_kv_i64(j, "vocab_size", r->vocab_size);
    loom_jw_kv_i64(j, "phrase_tokens", r->phrase_tokens);
    loom_jw_kv_i64(j, "name_tokens", r->name_tokens);
    loom_jw_kv_i64(j, "merges", r->merges);
    loom_jw_kv_i64(j, "tokens", r->tokens);
    loom_jw_kv_i64(j, "distinct_names", r->distinct_names);
    loom_jw_kv_i64(j, "names", r->names);
    loom_jw_kv_i64(j, "names_single", r->names_single);
    loom_jw_end_object(j);
}

static loom_status report(learning *l, const loom_toktrain_report *r, loom_err *err)
{
    loom_buf text = {0};
    loom_jw j;
    loom_status st;
    char size[24], tokens[24];

    loom_jw_init(&j, &text, false);
    report_json(&j, l, r);
    loom_meta_json(&l->meta, "counts", text.data);
    st = loom_meta_write(&l->meta, l->ctx, l->conf->output, err);
    if (st == LOOM_OK && l->ctx->common.json && strcmp(l->conf->output, "-") != 0) {
        loom_buf_char(&text, '\n');
        st = loom_stdout_write(text.data, text.len, err);
    }
    loom_buf_release(&text);
    loom_info("%lld samples, %s, read at %.0f MB/s", (long long)l->samples,
              loom_format_bytes(size, sizeof size, (double)r->bytes), (double)r->bytes / 1e6 / l->seconds);
    loom_info("%lld tokens in the vocabulary: %lld phrases, %lld of %lld names, %lld merges, 256 bytes, 3 special",
              (long long)r->vocab_size, (long long)r->phrase_tokens, (long long)r->name_tokens,
              (long long)r->distinct_names, (long long)r->merges);
    loom_info("the text is %s tokens, %.2f bytes each; %.1f %% of its names are one token",
              loom_format_count(tokens, sizeof tokens, (double)r->tokens), (double)r->bytes / (double)r->tokens,
              r->names ? 100.0 * (double)r->names_single / (double)r->names : 100.0);
    return st;
}

static loom_status learn(learning *l, loom_err *err)
{
    const tokenizer_conf *c = l->conf;
    loom_toktrain_conf conf = {c->vocab_size, c->name_tokens, c->merges, c->min_count};
    loom_toktrain_report r;
    loom_buf json = {0};
    loom_status st;

    if ((st = loom_toktrain_finish(&json, &r, l->train, &conf, err)) != LOOM_OK) {
        if (st == LOOM_STATUS_FORMAT) loom_err_in(err, "%s%s", l->ctx->args[0], l->ctx->n_args > 1 ? ", ..." : "");
        goto done;
    }
    if (strcmp(c->output, "-") == 0)
        st = loom_stdout_write(json.data, json.len, err);
    else
        st = loom_file_write(c->output, json.data, json.len, l->ctx->common.force, err);
    if (st == LOOM_OK) st = report(l, &r, err);
done:
    loom_buf_release(&json);
    return st;
}

static loom_status run(const loom_ctx *ctx, loom_err *err)
{
    learning l = {.ctx = ctx, .conf = ctx->conf};
    loom_status st = LOOM_OK;

    if (ctx->common.dry_run) {
        loom_info("would learn a tokenizer of %lld tokens from %d file%s into %s", (long long)l.conf->vocab_size,
                  ctx->n_args, ctx->n_args == 1 ? "" : "s", l.conf->output);
        return LOOM_OK;
    }
    if (!ctx->common.force && strcmp(l.conf->output, "-") != 0 && loom_file_exists(l.conf->output))
        return loom_fail(err, LOOM_STATUS_ARG, "%s exists already; give --force to replace it", l.conf->output);
    for (int i = 0; i < ctx->n_args; i++)
        if ((st = loom_meta_input(&l.meta, ctx->args[i], err)) != LOOM_OK) goto done;
    if (loom_meta_up_to_date(&l.meta, ctx, l.conf->output)) goto done;
    if ((st = loom_pool_new(&l.pool, (int)ctx->common.threads, err)) != LOOM_OK) goto done;
    if ((st = loom_toktrain_new(&l.train, loom_pool_threads(l.pool), err)) != LOOM_OK) goto done;
    loom_progress_start(&l.progress, &ctx->common, "tokenizer", 0, "samples");
    l.seconds = -loom_time_now();
    for (int i = 0; i < ctx->n_args && st == LOOM_OK; i++) st = count_file(&l, ctx->args[i], err);
    l.seconds += loom_time_now();
    loom_progress_finish(&l.progress, NULL);
    if (st == LOOM_OK) st = learn(&l, err);
done:
    loom_toktrain_free(l.train);
    loom_pool_free(l.pool);
    loom_text_batch_release(&l.batch);
    loom_meta_release(&l.meta);
    return st;
}

const loom_cmd loom_cmd_tokenizer = {
    .name = "tokenizer",
    .summary = "learn the domain tokenizer from training text",
    .args = "TEXT...",
    .min_args = 1,
    .max_args = -1,
    .details = "Learns a byte-level BPE tokenizer on encoded text and writes it as a Hugging Face tokenizer.json. "
               "Every digit is\n"
               "a token of its own, so that sums can be learned, but the id of an edge up to 99 is one token, so that "
               "it can be\n"
               "looked up; a key (num_edges:) or phrase (communication starts at) is one token wherever it stands; "
               "names are\n"
               "one token where frequent, otherwise MS_ or S_ and their digits.\n"
               "The result does not depend on the number of threads. Example:\n"
               "  loom-preprocess tokenizer train.txt.zst --vocab-size 4096 -o tokenizer.json",
    .opts = tokenizer_opts,
    .conf_size = sizeof(tokenizer_conf),
    .run = run,
    .updates = true,
};
