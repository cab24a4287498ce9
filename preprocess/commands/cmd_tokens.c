#include "core/file.h"
#include "core/log.h"
#include "core/meta.h"
#include "core/num.h"
#include "core/parcel.h"
#include "core/pool.h"
#include "core/progress.h"
#include "core/ranks.h"
#include "core/usage.h"
#include "preprocess/commands/preprocess_cmds.h"
#include "preprocess/texts/text_batch.h"
#include "preprocess/texts/text_origin.h"
#include "store/shard.h"
#include "tokenizer/tokenizer.h"
#include "trace/text/names.h"

enum { ENDS_AUTO, ENDS_YES, ENDS_NO };
enum { UNIT_GRAPH, UNIT_LAYER };

typedef struct tokens_conf {
    const char *tokenizer, *output;
    int bos, eos, unit;
    int64_t max_tokens;
    bool mode_agnostic, names;
} tokens_conf;

static const loom_opt tokens_opts[] = {
    LOOM_OPT_GROUP("Samples"),
    LOOM_OPT_IN("tokenizer", 0, tokens_conf, tokenizer, "tokenizer.json", "FILE",
                "tokenizer.json: ours, Llama-2's or Llama-3's"),
    LOOM_OPT_ENUM("bos", 0, tokens_conf, bos, "auto", "auto|yes|no",
                  "begin-of-text token in front of every sample; auto: instruction samples only"),
    LOOM_OPT_ENUM("eos", 0, tokens_conf, eos, "auto", "auto|yes|no",
                  "end-of-text token behind every sample; auto: instruction samples only"),
    LOOM_OPT_ENUM(
        "recursive-unit", 0, tokens_conf, unit, "graph", "graph|layer",
        "what a sample of recursive text is: a whole graph, as the paper trains, or one layer, as the sampler asks "
        "for it"),
    LOOM_OPT_WAS("layers", 0, "recursive-unit", "together|apart"),
    LOOM_OPT_I64("max-tokens", 0, tokens_conf, max_tokens, "0", 0, 1000000000, "N",
                 "leave out longer samples; 0: none"),
    LOOM_OPT_FLAG("mode-agnostic", 0, tokens_conf, mode_agnostic,
                  "take tabular, recursive and instruction samples together; the shard's mode is then \"mixed\""),
    LOOM_OPT_FLAG_ON("names", 0, tokens_conf, names,
                     "keep the names in the text for the model; --no-names when they are made up and mean nothing"),
    LOOM_OPT_GROUP("Output"),
    LOOM_OPT_OUT("output", 'o', tokens_conf, output, NULL, "FILE",
                 "token shard to write (HDF5), such as train.tokens.h5"),
    LOOM_OPT_WAS(NULL, 't', "tokenizer", NULL),
    LOOM_OPT_END};

/* The tokens of one chunk of samples. */
typedef struct chunk {
    loom_tokens tokens;      /* of all its samples */
    int64_t *ends, *answers; /* of each sample: end in tokens, answer_start */
    size_t cap;
} chunk;

typedef struct tokenizing {
    const loom_ctx *ctx;
    const tokens_conf *conf;
    loom_tokenizer *tok;
    loom_tok_scratch **scratch; /* of each thread */
    loom_pool *pool;
    loom_text_batch batch;
    chunk *chunks;
    size_t cap_chunks;
    loom_shard_writer *shard; /* rank 0: created at the first sample, whose mode it takes */
    loom_mode mode;
    bool has_bos, has_eos;
    bool begun;       /* there was a sample, whose mode all have */
    int64_t batches;  /* so far: whose turn it is (core/ranks.h) */
    loom_buf bytes;   /* what ranks hand over */
    loom_names names; /* in the samples that are kept */
    loom_progress progress;
    loom_meta meta;
    int64_t samples, tokens, bytes_read, longest, too_long, no_answer;
    double busy; /* seconds of tokenising alone */
} tokenizing;

/* ---- tokenising ---- */

/* Index of the first token that begins at or after the byte where the answer does. */
static int64_t answer_token(const loom_tokens *t, int64_t from, size_t answer)
{
    int64_t low = from, high = t->n; /* offsets grow */
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (t->offsets[middle] < (int64_t)answer) low = middle + 1;
        else high = middle;
    }
    return low;
}

static void tokenize_sample(tokenizing *k, chunk *c, size_t slot, const loom_text_item *item, int thread)
{
    const char *text = k->batch.text.data + item->at;
    int64_t first = c->tokens.n;
    if (k->has_bos) loom_tokens_push(&c->tokens, loom_tokenizer_bos(k->tok), 0);
    int64_t from = c->tokens.n;
    loom_tokenizer_encode(&c->tokens, k->tok, k->scratch[thread], text, item->len, LOOM_ENCODE_PLAIN);
    c->answers[slot] = item->answer ? answer_token(&c->tokens, from, item->answer) - first : 0;
    if (k->has_eos) loom_tokens_push(&c->tokens, loom_tokenizer_eos(k->tok), (int64_t)item->len);
    c->ends[slot] = c->tokens.n;
}

static void tokenize_chunk(void *arg, int64_t number, int thread)
{
    tokenizing *k = arg;
    chunk *c = &k->chunks[number];
    size_t first, n;
    loom_text_batch_chunk(&k->batch, number, &first, &n);
    loom_tokens_reset(&c->tokens);
    for (size_t i = 0; i < n; i++) tokenize_sample(k, c, i, &k->batch.items[first + i], thread);
}

/* Room for every chunk's samples, so that the threads need none. */
static loom_status prepare_chunks(tokenizing *k, loom_err *err)
{
    size_t had = k->cap_chunks;
    LOOM_TRY(loom_grow(&k->chunks, &k->cap_chunks, (size_t)k->batch.n_chunks, sizeof *k->chunks, err));
    for (size_t i = had; i < k->cap_chunks; i++) k->chunks[i] = (chunk){.tokens.with_offsets = true};
    for (int64_t i = 0; i < k->batch.n_chunks; i++) {
        chunk *c = &k->chunks[i];
        size_t first, n, cap = c->cap;
        loom_text_batch_chunk(&k->batch, i, &first, &n);
        LOOM_TRY(loom_grow(&c->ends, &cap, n, sizeof *c->ends, err));
        LOOM_TRY(loom_grow(&c->answers, &c->cap, n, sizeof *c->answers, err));
    }
    return LOOM_OK;
}

/* ---- writing ---- */

static void choose_ends(tokenizing *k)
{
    bool instruction = k->mode == LOOM_MODE_INSTRUCTION && !k->conf->mode_agnostic;

    k->has_bos = k->conf->bos == ENDS_YES || (k->conf->bos == ENDS_AUTO && instruction);
    k->has_eos = k->conf->eos == ENDS_YES || (k->conf->eos == ENDS_AUTO && instruction);
}

static loom_status create_shard(tokenizing *k, loom_err *err)
{
    loom_shard_spec spec = {.vocab_size = loom_tokenizer_vocab_size(k->tok),
                            .bos_id = loom_tokenizer_bos(k->tok),
                            .eos_id = loom_tokenizer_eos(k->tok),
                            .mode = k->conf->mode_agnostic ? "mixed" : loom_mode_names[k->mode]};
    spec.has_bos = k->has_bos;
    spec.has_eos = k->has_eos;
    if ((k->has_bos && spec.bos_id < 0) || (k->has_eos && spec.eos_id < 0))
        return loom_fail(err, LOOM_STATUS_ARG, "%s has no %s-of-text token; give --%s no", k->conf->tokenizer,
                         k->has_bos && spec.bos_id < 0 ? "begin" : "end",
                         k->has_bos && spec.bos_id < 0 ? "bos" : "eos");
    spec.tokenizer = loom_tokenizer_json(k->tok, &spec.tokenizer_len);
    return loom_shard_create(&k->shard, k->conf->output, k->ctx->common.force, &spec, err);
}

static loom_status check_modes(tokenizing *k, const char *path, loom_err *err)
{
    for (size_t i = 0; i < k->batch.n && !k->conf->mode_agnostic; i++) {
        const loom_text_item *item = &k->batch.items[i];
        if (item->mode == k->mode) continue;
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "%s:%lld: a sample in %s encoding after %s ones; tokenise them apart or give --mode-agnostic",
                         path, (long long)item->line, loom_mode_names[item->mode], loom_mode_names[k->mode]);
    }
    return LOOM_OK;
}

static loom_status write_chunk(tokenizing *k, const chunk *c, size_t first, size_t n, loom_err *err)
{
    int64_t at = 0;
    if (c->tokens.failed) return loom_fail_nomem(err, "tokens");
    for (size_t i = 0; i < n; at = c->ends[i], i++) {
        const loom_text_item *item = &k->batch.items[first + i];
        int64_t length = c->ends[i] - at, answer = c->answers[i];
        if (length == 0) continue;
        if (k->conf->max_tokens && length > k->conf->max_tokens) {
            k->too_long++;
            continue;
        }
        k->no_answer += answer == length;
        LOOM_TRY(loom_shard_add(k->shard, c->tokens.ids + at, length, answer, err));
        if (k->conf->names) LOOM_TRY(loom_names_learn(&k->names, k->batch.text.data + item->at, item->len, err));
        k->samples++;
        k->tokens += length;
        k->longest = loom_max_i64(k->longest, length);
    }
    return LOOM_OK;
}

/* ---- between ranks ---- */

static void pack_batch(const tokenizing *k, loom_buf *into)
{
    for (int64_t i = 0; i < k->batch.n_chunks; i++) {
        const chunk *c = &k->chunks[i];
        size_t first, n;

        loom_text_batch_chunk(&k->batch, i, &first, &n);
        loom_parcel_put_i64(into, c->tokens.n);
        loom_parcel_put(into, c->tokens.ids, (size_t)c->tokens.n * sizeof *c->tokens.ids);
        loom_parcel_put(into, c->ends, n * sizeof *c->ends);
        loom_parcel_put(into, c->answers, n * sizeof *c->answers);
    }
}

/* Where tokens stood in the text is of no use any more. */
static loom_status unpack_batch(tokenizing *k, const loom_buf *from, loom_err *err)
{
    loom_parcel p = loom_parcel_of(from);

    for (int64_t i = 0; i < k->batch.n_chunks; i++) {
        chunk *c = &k->chunks[i];
        size_t first, n;
        int32_t id;

        loom_text_batch_chunk(&k->batch, i, &first, &n);
        loom_tokens_reset(&c->tokens);
        for (int64_t left = loom_parcel_get_i64(&p); left > 0 && !p.bad; left--) {
            loom_parcel_get(&p, &id, sizeof id);
            loom_tokens_push(&c->tokens, id, 0);
        }
        loom_parcel_get(&p, c->ends, n * sizeof *c->ends);
        loom_parcel_get(&p, c->answers, n * sizeof *c->answers);
    }
    return loom_parcel_end(&p, err);
}

static loom_status tokenize_batch(tokenizing *k, const char *path, loom_err *err)
{
    double start = loom_time_now();

    LOOM_TRY(check_modes(k, path, err));
    loom_pool_for(k->pool, k->batch.n_chunks, tokenize_chunk, k);
    k->busy += loom_time_now() - start;
    for (int64_t i = 0; i < k->batch.n_chunks; i++)
        if (k->chunks[i].tokens.failed) return loom_fail_nomem(err, "tokens");
    return LOOM_OK;
}

/* By the rank whose turn it is; afterwards rank 0 has the tokens. */
static loom_status share_batch(tokenizing *k, const char *path, loom_err *err)
{
    int64_t turn = k->batches++;
    bool own = loom_ranks_own(turn), lead = loom_ranks_lead();
    loom_status st = own ? tokenize_batch(k, path, err) : LOOM_OK;

    loom_buf_reset(&k->bytes);
    if (st == LOOM_OK && own && !lead) pack_batch(k, &k->bytes);
    LOOM_TRY(loom_ranks_deliver(&k->bytes, turn, st, err));
    return lead && !own ? unpack_batch(k, &k->bytes, err) : LOOM_OK;
}

static loom_status run_batch(tokenizing *k, const char *path, loom_err *err)
{
    char note[64];

    if (!k->begun) {
        k->mode = k->batch.items[0].mode;
        choose_ends(k);
        LOOM_TRY(loom_ranks_agree(loom_ranks_lead() ? create_shard(k, err) : LOOM_OK, err));
        k->begun = true;
    }
    LOOM_TRY(prepare_chunks(k, err));
    LOOM_TRY(share_batch(k, path, err));
    if (!loom_ranks_lead()) return LOOM_OK;
    k->bytes_read += (int64_t)k->batch.text.len;
    for (int64_t i = 0; i < k->batch.n_chunks; i++) {
        size_t first, n;
        loom_text_batch_chunk(&k->batch, i, &first, &n);
        LOOM_TRY(write_chunk(k, &k->chunks[i], first, n, err));
    }
    snprintf(note, sizeof note, "%.1f M tokens", (double)k->tokens / 1e6);
    loom_progress_update(&k->progress, k->samples, note);
    return LOOM_OK;
}

static loom_status tokenize_file(tokenizing *k, const char *path, loom_err *err)
{
    loom_textfile *file = NULL;
    loom_status st;
    if ((st = loom_textfile_open(&file, path, err)) != LOOM_OK) return st;
    while ((st = loom_text_batch_fill(&k->batch, file, path, err)) == LOOM_OK && k->batch.n > 0)
        if ((st = run_batch(k, path, err)) != LOOM_OK) break;
    loom_textfile_close(&file);
    return st;
}

/* ---- the command ---- */

static void report_json(loom_jw *j, const tokenizing *k)
{
    char digest[33];
    loom_tokenizer_digest(k->tok, digest);
    loom_jw_begin_object(j);
    loom_jw_kv_str(j, "mode", k->conf->mode_agnostic ? "mixed" : loom_mode_names[k->mode]);
    loom_jw_kv_str(j, "tokenizer", digest);
    loom_jw_kv_i64(j, "vocab_size", loom_tokenizer_vocab_size(k->tok));
    loom_jw_kv_i64(j, "samples", k->samples);
    loom_jw_kv_i64(j, "tokens", k->tokens);
    loom_jw_kv_i64(j, "longest", k->longest);
    loom_jw_kv_i64(j, "bytes", k->bytes_read);
    loom_jw_kv_i64(j, "microservices", (int64_t)k->names.microservices.n);
    loom_jw_kv_i64(j, "services", (int64_t)k->names.services.n);
    loom_jw_kv_i64(j, "too_long", k->too_long);
    loom_jw_kv_i64(j, "without_answer", k->no_answer);
    loom_jw_end_object(j);
}

static void say(const tokenizing *k)
{
    char size[24], tokens[24];
    int threads = loom_pool_threads(k->pool);
    double mb = (double)k->bytes_read / 1e6;
    loom_info("%lld samples, %s tokens (longest sample %lld), %s of text, %.2f bytes a token", (long long)k->samples,
              loom_format_count(tokens, sizeof tokens, (double)k->tokens), (long long)k->longest,
              loom_format_bytes(size, sizeof size, (double)k->bytes_read),
              (double)k->bytes_read / (double)loom_max_i64(k->tokens, 1));
    loom_info("tokenised at %.1f MB/s on %d thread%s", mb / (k->busy > 1e-9 ? k->busy : 1e-9), threads,
              threads == 1 ? "" : "s");
    if (k->too_long)
        loom_warn("%lld samples of more than %lld tokens were left out", (long long)k->too_long,
                  (long long)k->conf->max_tokens);
    if (k->no_answer) loom_warn("%lld samples have no answer to learn from", (long long)k->no_answer);
}

static loom_status put_names(tokenizing *k, loom_err *err)
{
    loom_buf text = {0};
    if (!k->conf->names) return LOOM_OK;
    loom_status st = loom_names_sort(&k->names, err);

    if (st == LOOM_OK) {
        loom_names_render(&text, &k->names);
        st = loom_shard_put_names(k->shard, text.data, text.len, err);
    }
    loom_buf_release(&text);
    return st;
}

static loom_status finish(tokenizing *k, loom_err *err)
{
    loom_buf counts = {0}, texts = {0};
    loom_jw j;
    loom_status st;

    if (!k->samples)
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "%s%s: no sample to write; give text made by loom-preprocess encode%s", k->ctx->args[0],
                         k->ctx->n_args > 1 ? ", ..." : "", k->too_long ? ", or a larger --max-tokens" : "");
    loom_jw_init(&j, &counts, false);
    report_json(&j, k);
    loom_meta_json(&k->meta, "counts", counts.data);
    if ((st = loom_text_origins(&texts, k->ctx->args, k->ctx->n_args, err)) != LOOM_OK) goto done;
    loom_meta_json(&k->meta, "texts", loom_buf_text(&texts));
    if ((st = put_names(k, err)) != LOOM_OK) goto done;
    st = loom_shard_commit_told(&k->shard, &k->meta, k->ctx, err);
    if (st == LOOM_OK) say(k);
    if (st == LOOM_OK && k->ctx->common.json) {
        loom_buf_char(&counts, '\n');
        st = loom_stdout_write(counts.data, counts.len, err);
    }
done:
    loom_buf_release(&counts);
    loom_buf_release(&texts);
    return st;
}

static loom_status open_all(tokenizing *k, loom_err *err)
{
    if (!k->conf->output) return loom_fail(err, LOOM_STATUS_ARG, "give the token shard to write with --output FILE");
    if (strcmp(k->conf->output, "-") == 0)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "a token shard is HDF5 and cannot go to standard output; give a file name");
    LOOM_TRY(loom_tokenizer_load(&k->tok, k->conf->tokenizer, err));
    LOOM_TRY(loom_meta_input(&k->meta, k->conf->tokenizer, err));
    for (int i = 0; i < k->ctx->n_args && !k->ctx->common.dry_run; i++)
        LOOM_TRY(loom_meta_input(&k->meta, k->ctx->args[i], err));
    LOOM_TRY(loom_pool_new(&k->pool, (int)k->ctx->common.threads, err));
    int n = loom_pool_threads(k->pool);
    k->scratch = loom_calloc((size_t)n, sizeof *k->scratch);
    if (!k->scratch) return loom_fail_nomem(err, "the threads");
    for (int i = 0; i < n; i++)
        if (!(k->scratch[i] = loom_tok_scratch_new(k->tok))) return loom_fail_nomem(err, "the threads");
    return LOOM_OK;
}

static void close_all(tokenizing *k)
{
    loom_shard_abandon(&k->shard);
    for (int i = 0; k->scratch && i < loom_pool_threads(k->pool); i++) loom_tok_scratch_free(k->scratch[i]);
    free(k->scratch);
    for (size_t i = 0; i < k->cap_chunks; i++) {
        loom_tokens_release(&k->chunks[i].tokens);
        free(k->chunks[i].ends);
        free(k->chunks[i].answers);
    }
    free(k->chunks);
    loom_pool_free(k->pool);
    loom_tokenizer_free(k->tok);
    loom_text_batch_release(&k->batch);
    loom_names_release(&k->names);
    loom_buf_release(&k->bytes);
    loom_meta_release(&k->meta);
}

/* Whether the shard is there is for rank 0 to say. */
static loom_status is_idle(const tokenizing *k, bool *idle, loom_err *err)
{
    *idle = loom_ranks_lead() && loom_meta_up_to_date(&k->meta, k->ctx, k->conf->output);
    return loom_ranks_share(idle, &k->meta, k->ctx, err);
}

static loom_status tokenize(const loom_ctx *ctx, loom_err *err)
{
    tokenizing k = {.ctx = ctx, .conf = ctx->conf};
    k.batch.apart = k.conf->unit == UNIT_LAYER;
    bool idle = false;
    loom_status st = loom_ranks_agree(open_all(&k, err), err);

    if (st == LOOM_OK && ctx->common.dry_run)
        loom_info("would tokenise %d file%s with %s (%lld tokens) into %s", ctx->n_args, ctx->n_args == 1 ? "" : "s",
                  k.conf->tokenizer, (long long)loom_tokenizer_vocab_size(k.tok), k.conf->output);
    else if (st == LOOM_OK && (st = is_idle(&k, &idle, err)) == LOOM_OK && !idle) {
        loom_progress_start(&k.progress, &ctx->common, "tokens", 0, "samples");
        for (int i = 0; i < ctx->n_args && st == LOOM_OK; i++) st = tokenize_file(&k, ctx->args[i], err);
        loom_progress_finish(&k.progress, NULL);
        if (st == LOOM_OK && loom_ranks_lead()) st = finish(&k, err);
    }
    close_all(&k);
    return st;
}

static loom_status run(const loom_ctx *ctx, loom_err *err) { return loom_ranks_run(tokenize, ctx, err); }

const loom_cmd loom_cmd_tokens = {
    .name = "tokens",
    .summary = "turn training text into token shards",
    .args = "TEXT...",
    .min_args = 1,
    .max_args = -1,
    .details =
        "Cuts text files into samples, tokenises them on all threads and writes one token shard, in the order of the "
        "text.\n"
        "In instruction text the place where the answer begins is kept, so that training can leave out the prompts;\n"
        "it is found by byte, not by token. Pre-training text gets neither begin nor end tokens, as samples are "
        "strung\n"
        "together there. The shard keeps the names of the microservices that the text calls, and of the services with their\n"
        "graphs: a model trained on it carries them. Example:\n"
        "  loom-preprocess tokens sft.txt.zst --tokenizer tokenizer.json -o sft.tokens.h5",
    .opts = tokens_opts,
    .conf_size = sizeof(tokens_conf),
    .run = run,
    .updates = true,
    .ranks = true,
};
