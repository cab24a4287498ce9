#include "core/file.h"
#include "core/log.h"
#include "core/meta.h"
#include "core/num.h"
#include "core/pool.h"
#include "core/progress.h"
#include "core/usage.h"
#include "preprocess/commands/preprocess_cmds.h"
#include "preprocess/texts/text_batch.h"
#include "tokenizer/toktrain.h"
#include "trace/text/phrases.h"

_Static_assert((int)LOOM_MODES <= LOOM_TOKTRAIN_KINDS, "texts of each encoding are counted apart");

typedef struct tokenizer_conf {
    int64_t name_tokens, min_count;
    const char *output;
} tokenizer_conf;

static const loom_opt tokenizer_opts[] = {
    LOOM_OPT_GROUP("Vocabulary"),
    LOOM_OPT_I64("name-tokens", 0, tokenizer_conf, name_tokens, "2048", 0, 1000000, "N",
                 "services and microservices that may be one token, the most frequent ones; the others are spelt"),
    LOOM_OPT_I64("min-count", 0, tokenizer_conf, min_count, "2", 1, 1000000000, "N",
                 "a name that stands in fewer samples of an encoding is spelt"),
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
        loom_toktrain_count(l->train, thread, l->batch.items[i].mode, l->batch.text.data + l->batch.items[i].at,
                            l->batch.items[i].len);
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
    loom_jw_kv_i64(j, "format_tokens", r->format_tokens);
    loom_jw_kv_str(j, "format_digest", r->format_digest);
    loom_jw_kv_i64(j, "name_tokens", r->name_tokens);
    loom_jw_kv_i64(j, "tokens", r->tokens);
    loom_jw_kv_i64(j, "foreign_tokens", r->foreign_tokens);
    loom_jw_kv_i64(j, "names", r->names);
    loom_jw_kv_i64(j, "names_single", r->names_single);
    loom_jw_kv_i64(j, "distinct_names", r->distinct_names);
    loom_jw_kv_i64(j, "names_rare", r->names_rare);
    loom_jw_kv_i64(j, "names_over", r->names_over);
    loom_jw_kv_i64(j, "names_inside", r->names_inside);
    loom_jw_end_object(j);
}

static double percent(int64_t part, int64_t all) { return all ? 100.0 * (double)part / (double)all : 0; }

static void say(const loom_toktrain_report *r)
{
    char tokens[24];
    loom_info("%lld tokens in the vocabulary: %lld of the format, %lld of %lld names; spelt are %lld seen in too few "
              "samples, %lld above --name-tokens, %lld that stand inside a name that is spelt",
              (long long)r->vocab_size, (long long)r->format_tokens, (long long)r->name_tokens,
              (long long)r->distinct_names, (long long)r->names_rare, (long long)r->names_over,
              (long long)r->names_inside);
    loom_info("the text is %s tokens, %.2f bytes each; %.1f %% of its names are one token",
              loom_format_count(tokens, sizeof tokens, (double)r->tokens), (double)r->bytes / (double)r->tokens,
              r->names ? percent(r->names_single, r->names) : 100.0);
    if (r->foreign_tokens)
        loom_warn("%.1f %% of the tokens spell words that are neither phrases of the format nor MS_ or S_ and digits; "
                  "other names become such by loom-preprocess graphs --rename",
                  percent(r->foreign_tokens, r->tokens));
}

static loom_status finish(learning *l, const loom_buf *json, const loom_toktrain_report *r, loom_err *err)
{
    loom_buf text = {0};
    loom_jw j;
    loom_status st;
    char size[24];

    loom_jw_init(&j, &text, false);
    report_json(&j, l, r);
    loom_meta_json(&l->meta, "counts", text.data);
    st = loom_meta_file_write(&l->meta, l->ctx, l->conf->output, json->data, json->len, l->ctx->common.force, err);
    if (st == LOOM_OK && l->ctx->common.json && strcmp(l->conf->output, "-") != 0) {
        loom_buf_char(&text, '\n');
        st = loom_stdout_write(text.data, text.len, err);
    }
    loom_buf_release(&text);
    if (st != LOOM_OK) return st;
    loom_info("%lld samples, %s, read at %.0f MB/s", (long long)l->samples,
              loom_format_bytes(size, sizeof size, (double)r->bytes), (double)r->bytes / 1e6 / l->seconds);
    say(r);
    return st;
}

static loom_status learn(learning *l, loom_err *err)
{
    const tokenizer_conf *c = l->conf;
    loom_toktrain_conf conf = {c->name_tokens, c->min_count};
    loom_toktrain_report r;
    loom_buf json = {0};
    loom_status st;

    if ((st = loom_toktrain_finish(&json, &r, l->train, &conf, err)) != LOOM_OK) {
        if (st == LOOM_STATUS_FORMAT) loom_err_in(err, "%s%s", l->ctx->args[0], l->ctx->n_args > 1 ? ", ..." : "");
        goto done;
    }
    st = finish(l, &json, &r, err);
done:
    loom_buf_release(&json);
    return st;
}

static loom_status run(const loom_ctx *ctx, loom_err *err)
{
    learning l = {.ctx = ctx, .conf = ctx->conf};
    loom_buf phrases = {0};
    loom_status st = LOOM_OK;

    if (ctx->common.dry_run) {
        loom_info("would learn at most %lld names from %d file%s into %s", (long long)l.conf->name_tokens, ctx->n_args,
                  ctx->n_args == 1 ? "" : "s", l.conf->output);
        return LOOM_OK;
    }
    if (!ctx->common.force && strcmp(l.conf->output, "-") != 0 && loom_file_exists(l.conf->output))
        return loom_fail(err, LOOM_STATUS_ARG, "%s exists already; give --force to replace it", l.conf->output);
    for (int i = 0; i < ctx->n_args; i++)
        if ((st = loom_meta_input(&l.meta, ctx->args[i], err)) != LOOM_OK) goto done;
    if (loom_meta_up_to_date(&l.meta, ctx, l.conf->output)) goto done;
    if ((st = loom_pool_new(&l.pool, (int)ctx->common.threads, err)) != LOOM_OK) goto done;
    loom_phrases_render(&phrases);
    if ((st = loom_toktrain_new(&l.train, phrases.data, phrases.len, loom_pool_threads(l.pool), err)) != LOOM_OK)
        goto done;
    loom_progress_start(&l.progress, &ctx->common, "tokenizer", 0, "samples");
    l.seconds = -loom_time_now();
    for (int i = 0; i < ctx->n_args && st == LOOM_OK; i++) st = count_file(&l, ctx->args[i], err);
    l.seconds += loom_time_now();
    loom_progress_finish(&l.progress, NULL);
    if (st == LOOM_OK) st = learn(&l, err);
done:
    loom_buf_release(&phrases);
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
    .details =
        "Writes a byte-level BPE tokenizer as a Hugging Face tokenizer.json. Its format part is the same for every "
        "system:\n"
        "a key (num_edges:) or phrase (communication starts at) of any encoding is one token wherever it stands; "
        "every digit\n"
        "is one, so that sums can be learned. Behind it stand the names of the texts, one token each where they "
        "are in\n"
        "enough samples, otherwise spelt: MS_ or S_ and their digits. Of texts in several encodings the one that "
        "shows a\n"
        "name most often counts. The result does not depend on the number of threads. Example:\n"
        "  loom-preprocess tokenizer train.txt.zst -o tokenizer.json",
    .opts = tokenizer_opts,
    .conf_size = sizeof(tokenizer_conf),
    .run = run,
    .updates = true,
};
