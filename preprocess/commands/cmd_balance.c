/* loom-preprocess balance: training samples of rare shapes more often, those of frequent shapes less. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/hash.h"
#include "core/log.h"
#include "core/meta.h"
#include "core/nomem.h"
#include "core/num.h"
#include "core/progress.h"
#include "core/rng.h"
#include "preprocess/commands/preprocess_cmds.h"
#include "preprocess/texts/exchange.h"
#include "preprocess/texts/retime.h"
#include "preprocess/texts/swap_asked.h"
#include "preprocess/texts/text_batch.h"
#include "preprocess/texts/text_shape.h"
#include "preprocess/texts/unmet.h"

typedef struct balance_conf {
    const char *output;
    double exponent, slow, renamed, spelled, kept, swapped, unmet, retimed;
    const char *names;
    int64_t samples, repeats;
} balance_conf;

static const loom_opt balance_opts[] = {
    LOOM_OPT_GROUP("Selection"),
    LOOM_OPT_F64("exponent", 'e', balance_conf, exponent, "0.6", 0.0, 1.0, "A",
                 "n samples of a shape get a share in proportion to n^A; 1: as many as there are, 0: all shapes alike"),
    LOOM_OPT_I64("samples", 0, balance_conf, samples, "0", 0, 1000000000, "N",
                 "samples to write, about; 0: as many as are read"),
    LOOM_OPT_F64(
        "slow", 0, balance_conf, slow, "0", 0.0, 1.0, "P",
        "share of what is written for samples that ask for high latency, all services alike: how long that is, a "
        "model has to know of each service; 0: they share as all others do"),
    LOOM_OPT_I64("repeats", 0, balance_conf, repeats, "20", 1, 1000000, "N",
                 "times that one sample is written at most"),
    LOOM_OPT_GROUP("Names"),
    LOOM_OPT_F64("renamed", 0, balance_conf, renamed, "0", 0.0, 1.0, "P",
                 "share of the instruction samples below the root in which every microservice (MS_ and digits) becomes "
                 "another one of the text, drawn by chance: names are then copied from where they stand, not guessed "
                 "from what usually calls"),
    LOOM_OPT_STR(
        "names", 0, balance_conf, names, NULL, "M:S",
        "draw the other names from M microservices and S services that are made up, the same in every run: then "
        "all samples of all encodings may be renamed, services and layers of the root included"),
    LOOM_OPT_F64("spelled", 0, balance_conf, spelled, "0.15", 0.0, 1.0, "P",
                 "with --names: share of the names that are any number instead, too rare for a token of its own; from "
                 "sample to sample between none and all"),
    LOOM_OPT_F64(
        "kept", 0, balance_conf, kept, "0", 0.0, 1.0, "P",
        "with --names: share of the microservices of a renamed sample that stay as they are; likewise. A model then "
        "learns to copy strange names among those that it knows; services never stay, so that it can tell such text"),
    LOOM_OPT_F64(
        "swapped", 0, balance_conf, swapped, "0", 0.0, 1.0, "P",
        "share of the samples that ask for a call to include in which its caller and callee, each by half, become "
        "another microservice of the text: models then follow the request where the names alone would tell them "
        "what usually calls"),
    LOOM_OPT_F64("unmet", 0, balance_conf, unmet, "0", 0.0, 1.0, "P",
                 "share of the samples whose request becomes one for a call that the answer lacks; for `loom-train "
                 "--allowed`, which learns of such an answer only where it should have gone another way"),
    LOOM_OPT_GROUP("Times"),
    LOOM_OPT_F64("retimed", 0, balance_conf, retimed, "0", 0.0, 1.0, "P",
                 "share of the samples, but for those that ask for high latency, in which every time becomes another "
                 "one, drawn by chance, in their order: models then compare times with the window that they are given"),
    LOOM_OPT_GROUP("Output"),
    LOOM_OPT_OUT("output", 'o', balance_conf, output, NULL, "FILE", "text file; a name ending in .zst is compressed"),
    LOOM_OPT_WAS(NULL, 'n', "samples", NULL),
    LOOM_OPT_END};

typedef struct balance_run {
    const loom_ctx *ctx;
    loom_out *out;
    loom_progress progress;
    loom_text_batch batch;
    loom_rng rng;
    loom_exchange *exchange; /* made-up names; NULL: those of the text */
    loom_retime *retime;     /* other times; NULL: those of the text */
    loom_swap_asked swap;    /* other calls to include */
    loom_unmet unmet;        /* calls to include that are not there */
    loom_intern names;       /* every microservice of the text, where names are drawn from them */
    loom_buf other;          /* a sample with other names of the text */
    loom_intern shapes;
    bool *is_slow; /* of each shape: it has the share of --slow */
    int64_t *left; /* of each shape: samples not yet passed in the second reading */
    double *rate;  /* of each shape: how often a sample is written on average */
    size_t room;   /* elements of left and is_slow */
    int64_t samples, written, kept, numbered, renamed, unnamed, swapped, unmets, retimed, bytes;
} balance_run;

/* ---- other names ---- */

/* The next microservice at or after `at`: where it begins, `end` without one; *len of it. */
static const char *next_name(const char *at, const char *end, size_t *len)
{
    loom_name_kind kind = LOOM_NAME_SERVICE;
    size_t all = (size_t)(end - at), found = loom_name_next(at, 0, all, len, &kind);

    while (found < all && kind != LOOM_NAME_MICROSERVICE) found = loom_name_next(at, found + *len, all, len, &kind);
    return at + found;
}

static bool renames_alike(const balance_run *run, const balance_conf *conf)
{
    return conf->renamed > 0 && !run->exchange;
}

static bool draws_names(const balance_run *run, const balance_conf *conf)
{
    return conf->swapped > 0 || renames_alike(run, conf);
}

static bool gather_names(balance_run *run, const char *text, size_t text_len)
{
    const char *end = text + text_len;
    size_t len = 0;

    for (const char *at = next_name(text, end, &len); at < end; at = next_name(at + len, end, &len))
        if (loom_intern_add(&run->names, at, len) < 0) return false;
    return true;
}

/* Only layers below the root are asked for with their caller. Those at the root choose by the service, which must stay
 * as it is. `answer`: where the answer begins, 0 in text without prompts. */
static bool below_root(const char *text, size_t answer)
{
    return loom_text_value(text, text + answer, LOOM_ATTR_CALLER) != NULL;
}

static uint64_t gcd(uint64_t a, uint64_t b) { return b ? gcd(b, a % b) : a; }

/* Name i becomes name (factor i + shift) mod n: one to one, as the factor has no divisor in common with n. */
static void rename_all(balance_run *run, const char *text, size_t text_len)
{
    const char *end = text + text_len, *done = text;
    uint64_t n = run->names.n, factor, shift = loom_rng_below(&run->rng, n);
    size_t len = 0;

    do factor = 1 + loom_rng_below(&run->rng, n);
    while (gcd(factor, n) != 1);
    loom_buf_reset(&run->other);
    for (const char *at = next_name(text, end, &len); at < end; done = at + len, at = next_name(done, end, &len)) {
        uint64_t i = (uint64_t)loom_intern_find(&run->names, at, len), to = (factor * i + shift) % n;
        loom_buf_append(&run->other, done, (size_t)(at - done));
        loom_buf_append(&run->other, loom_intern_text(&run->names, (int64_t)to),
                        loom_intern_len(&run->names, (int64_t)to));
    }
    loom_buf_append(&run->other, done, (size_t)(end - done));
}

/* ---- the two readings ---- */

typedef loom_status take_fn(balance_run *run, const char *text, const loom_text_item *item, loom_err *err);

/* *slow: it has the share of --slow. */
static size_t shape_in(const balance_run *run, char *out, size_t size, const char *text, const loom_text_item *item,
                       bool *slow)
{
    const balance_conf *conf = run->ctx->conf;

    *slow = conf->slow > 0 && loom_text_asks_for_slow(text, item->answer);
    return *slow ? loom_text_shape_slow(out, size, text, item->answer) : loom_text_shape(out, size, text, item);
}

static loom_status add_shape(balance_run *run, int64_t i, bool slow, loom_err *err)
{
    size_t room = run->room;

    LOOM_TRY(loom_grow(&run->left, &run->room, run->shapes.n, sizeof *run->left, err));
    LOOM_TRY(loom_grow(&run->is_slow, &room, run->shapes.n, sizeof *run->is_slow, err));
    run->left[i] = 0;
    run->is_slow[i] = slow;
    return LOOM_OK;
}

static bool may_be_unmet(const balance_conf *conf, const loom_text_item *item)
{
    return conf->unmet > 0 && item->mode == LOOM_MODE_INSTRUCTION && item->answer > 0;
}

/* What later changes of the text draw from. */
static bool gather(balance_run *run, const balance_conf *conf, const char *text, const loom_text_item *item)
{
    return (!draws_names(run, conf) || gather_names(run, text, item->len)) &&
           (!may_be_unmet(conf, item) || loom_unmet_add(&run->unmet, text, item->len, item->answer));
}

static loom_status count(balance_run *run, const char *text, const loom_text_item *item, loom_err *err)
{
    const balance_conf *conf = run->ctx->conf;
    char shape[LOOM_TEXT_SHAPE];
    size_t known = run->shapes.n;
    bool slow;
    int64_t i;

    i = loom_intern_add(&run->shapes, shape, shape_in(run, shape, sizeof shape, text, item, &slow));
    if (i < 0 || !gather(run, conf, text, item)) return loom_fail_nomem(err, "the names and shapes of the text");
    if (run->shapes.n > known) LOOM_TRY(add_shape(run, i, slow, err));
    run->left[i]++;
    run->samples++;
    return LOOM_OK;
}

/* The sample is now what `other` holds, one more of these. */
static void use_other(const loom_buf *other, const char **text, size_t *len, int64_t *count)
{
    *text = other->data;
    *len = other->len;
    ++*count;
}

/* The sample with other names, in *text and *len, or left as it is. */
static void rename_some(balance_run *run, const char **text, size_t *len, size_t answer)
{
    const balance_conf *conf = run->ctx->conf;

    if (run->names.n && renames_alike(run, conf) && below_root(*text, answer) &&
        loom_rng_chance(&run->rng, conf->renamed)) {
        rename_all(run, *text, *len);
        use_other(&run->other, text, len, &run->renamed);
    }
}

/* Names and times draw nothing from the stream of the selection, so that they never change what is selected. */
static bool is_drawn(const balance_run *run, const char *tag, uint64_t number, double share)
{
    loom_rng r;

    loom_rng_seed(&r, (uint64_t)run->ctx->common.seed, tag, number);
    return loom_rng_chance(&r, share);
}

static void retime_some(balance_run *run, const char **text, size_t *len, uint64_t number)
{
    const balance_conf *conf = run->ctx->conf;

    if (!is_drawn(run, "balance-retimed", number, conf->retimed)) return;
    if (!loom_retime_sample(run->retime, *text, *len, number)) return;
    use_other(&run->retime->text, text, len, &run->retimed);
}

static void exchange_some(balance_run *run, const char **text, size_t *len, uint64_t number)
{
    const balance_conf *conf = run->ctx->conf;

    if (!is_drawn(run, "balance-renamed", number, conf->renamed)) return;
    if (!loom_exchange_sample(run->exchange, *text, *len, number)) {
        run->unnamed++;
        return;
    }
    use_other(&run->exchange->text, text, len, &run->renamed);
}

static void swap_some(balance_run *run, const char **text, size_t *len, size_t answer, uint64_t number)
{
    const balance_conf *conf = run->ctx->conf;

    if (!is_drawn(run, "balance-swapped", number, conf->swapped)) return;
    if (!loom_swap_asked_sample(&run->swap, *text, *len, answer, number)) return;
    use_other(&run->swap.text, text, len, &run->swapped);
}

/* The request's end moves with its line. */
static void unmeet_some(balance_run *run, const char **text, size_t *len, size_t *answer, uint64_t number)
{
    const balance_conf *conf = run->ctx->conf;
    size_t before = *len;

    if (!is_drawn(run, "balance-unmet", number, conf->unmet)) return;
    if (!loom_unmet_sample(&run->unmet, *text, *len, *answer, number)) return;
    use_other(&run->unmet.text, text, len, &run->unmets);
    *answer += *len - before;
}

static loom_status write_one(balance_run *run, const char *text, const loom_text_item *item, loom_err *err)
{
    size_t len = item->len, answer = item->answer;
    uint64_t number = (uint64_t)run->numbered++;

    if (may_be_unmet(run->ctx->conf, item)) unmeet_some(run, &text, &len, &answer, number);
    if (run->swap.names) swap_some(run, &text, &len, answer, number);
    if (run->exchange) exchange_some(run, &text, &len, number);
    else rename_some(run, &text, &len, answer);
    if (run->retime) retime_some(run, &text, &len, number);
    LOOM_TRY(loom_nomem_check("a sample", err));
    run->bytes += (int64_t)len + 1;
    LOOM_TRY(loom_out_write(run->out, text, len, err));
    return loom_out_write(run->out, "\n", 1, err);
}

static loom_status changed(const balance_run *run, loom_err *err)
{
    return loom_fail(err, LOOM_STATUS_IO,
                     "%s%s: cannot be read twice, or changed in between; give files that nobody writes to",
                     run->ctx->args[0], run->ctx->n_args > 1 ? ", ..." : "");
}

static loom_status write_some(balance_run *run, const char *text, const loom_text_item *item, loom_err *err)
{
    char name[LOOM_TEXT_SHAPE];
    bool slow;
    int64_t shape = loom_intern_find(&run->shapes, name, shape_in(run, name, sizeof name, text, item, &slow));
    double rate = shape < 0 ? 0 : run->rate[shape], whole = floor(rate);
    int64_t times = (int64_t)whole + loom_rng_chance(&run->rng, rate - whole);

    if (shape < 0) return changed(run, err);
    run->left[shape]--; /* below zero when the input grew in between: an error at the end */
    run->kept += times > 0;
    run->written += times;
    for (; times > 0; times--) LOOM_TRY(write_one(run, text, item, err));
    return LOOM_OK;
}

static loom_status read_file(balance_run *run, const char *path, take_fn *take, loom_err *err)
{
    loom_text_batch *b = &run->batch;
    loom_textfile *file = NULL;
    loom_status st;
    int64_t read = 0;

    LOOM_TRY(loom_textfile_open(&file, path, err));
    while ((st = loom_text_batch_fill(b, file, path, err)) == LOOM_OK && b->n > 0) {
        for (size_t i = 0; i < b->n && st == LOOM_OK; i++)
            st = take(run, b->text.data + b->items[i].at, &b->items[i], err);
        if (st == LOOM_OK && loom_stop_requested())
            st = loom_fail(err, LOOM_STATUS_INTERRUPT, "interrupted; nothing was left half-written");
        if (st != LOOM_OK) break;
        loom_progress_update(&run->progress, read += (int64_t)b->n, NULL);
    }
    loom_textfile_close(&file);
    return st;
}

static loom_status read_all(balance_run *run, take_fn *take, loom_err *err)
{
    for (int i = 0; i < run->ctx->n_args; i++) LOOM_TRY(read_file(run, run->ctx->args[i], take, err));
    return LOOM_OK;
}

/* A shape with n samples gets the share n^A / sum of all n^A, each sample of it the n-th part of that; those that
 * --slow is about and all others by themselves. */
static loom_status set_rates(balance_run *run, const balance_conf *conf, loom_err *err)
{
    double sum[2] = {0, 0}, samples = (double)(conf->samples ? conf->samples : run->samples);

    if (!(run->rate = loom_alloc(run->shapes.n, sizeof *run->rate)))
        return loom_fail_nomem(err, "the counts of shapes");
    for (size_t i = 0; i < run->shapes.n; i++) sum[run->is_slow[i]] += pow((double)run->left[i], conf->exponent);
    double slow = sum[1] > 0 ? conf->slow : 0;
    for (size_t i = 0; i < run->shapes.n; i++) {
        double share = run->is_slow[i] ? slow / sum[1] : (1 - slow) / sum[0];
        run->rate[i] = fmin((double)conf->repeats, samples * share * pow((double)run->left[i], conf->exponent - 1));
    }
    return LOOM_OK;
}

static loom_status read_twice(balance_run *run, loom_err *err)
{
    const loom_ctx *ctx = run->ctx;

    LOOM_TRY(read_all(run, count, err));
    if (!run->samples)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s%s: no sample to keep; give text made by loom-preprocess encode",
                         ctx->args[0], ctx->n_args > 1 ? ", ..." : "");
    LOOM_TRY(set_rates(run, run->ctx->conf, err));
    LOOM_TRY(read_all(run, write_some, err));
    for (size_t i = 0; i < run->shapes.n; i++)
        if (run->left[i]) return changed(run, err);
    return LOOM_OK;
}

static loom_status finish(balance_run *run, loom_meta *meta, loom_err *err)
{
    const balance_conf *conf = run->ctx->conf;
    char size[24];

    loom_meta_i64(meta, "samples_read", run->samples);
    loom_meta_i64(meta, "samples_kept", run->kept);
    loom_meta_i64(meta, "samples_written", run->written);
    loom_meta_i64(meta, "samples_renamed", run->renamed);
    if (run->exchange) loom_meta_i64(meta, "samples_without_names", run->unnamed);
    if (conf->swapped > 0) loom_meta_i64(meta, "samples_swapped", run->swapped);
    if (conf->unmet > 0) loom_meta_i64(meta, "samples_unmet", run->unmets);
    if (run->retime) loom_meta_i64(meta, "samples_retimed", run->retimed);
    LOOM_TRY(loom_meta_commit(meta, run->ctx, &run->out, 1, 1, err));
    loom_info("%lld samples, %s, of %lld shapes; %lld of the %lld read are among them", (long long)run->written,
              loom_format_bytes(size, sizeof size, (double)run->bytes), (long long)run->shapes.n, (long long)run->kept,
              (long long)run->samples);
    if (conf->renamed > 0 && run->exchange) loom_info("%lld of them with made-up names", (long long)run->renamed);
    else if (conf->renamed > 0)
        loom_info("%lld of them with other names, %zu names in all", (long long)run->renamed, (size_t)run->names.n);
    if (conf->swapped > 0) loom_info("%lld of them ask for another call", (long long)run->swapped);
    if (conf->unmet > 0) loom_info("%lld of them ask for a call that they lack", (long long)run->unmets);
    if (run->retime) loom_info("%lld of them with other times", (long long)run->retimed);
    if (run->unnamed)
        loom_warn("%lld samples kept their names: they have none of the form MS_ or S_ and digits, or more than %d",
                  (long long)run->unnamed, LOOM_EXCHANGE_MOST);
    return LOOM_OK;
}

static loom_status balance(balance_run *run, loom_meta *meta, loom_err *err)
{
    const loom_ctx *ctx = run->ctx;
    const balance_conf *conf = ctx->conf;

    for (int i = 0; i < ctx->n_args && !ctx->common.dry_run; i++) LOOM_TRY(loom_meta_input(meta, ctx->args[i], err));
    if (ctx->common.dry_run) {
        loom_info("would write samples of %d file%s to %s, those of rare shapes more often", ctx->n_args,
                  ctx->n_args == 1 ? "" : "s", conf->output);
        return LOOM_OK;
    }
    if (loom_meta_up_to_date(meta, ctx, conf->output)) return LOOM_OK;
    LOOM_TRY(loom_out_open(&run->out, conf->output, ctx->common.force, err));
    LOOM_TRY(read_twice(run, err));
    loom_progress_finish(&run->progress, NULL);
    return finish(run, meta, err);
}

/* "M:S" */
static loom_status open_exchange(balance_run *run, const balance_conf *conf, loom_err *err)
{
    const char *colon = conf->names ? strchr(conf->names, ':') : NULL;
    loom_exchange_conf how = {.spelled = conf->spelled, .kept = conf->kept, .seed = (uint64_t)run->ctx->common.seed};
    int64_t *pool = how.pool;

    if (!conf->names) return LOOM_OK;
    if (!colon || !loom_parse_i64(conf->names, (size_t)(colon - conf->names), &pool[LOOM_NAME_MICROSERVICE]) ||
        !loom_parse_i64(colon + 1, strlen(colon + 1), &pool[LOOM_NAME_SERVICE]))
        return loom_fail(err, LOOM_STATUS_ARG, "--names %s: expected M:S, such as 1500:250", conf->names);
    if (conf->renamed <= 0)
        return loom_fail(err, LOOM_STATUS_ARG, "--names %s renames nothing without --renamed", conf->names);
    if (!(run->exchange = loom_calloc(1, sizeof *run->exchange))) return loom_fail_nomem(err, "the pool of names");
    return loom_exchange_init(run->exchange, &how, err);
}

static loom_status open_retime(balance_run *run, const balance_conf *conf, loom_err *err)
{
    if (conf->retimed <= 0) return LOOM_OK;
    if (!(run->retime = loom_calloc(1, sizeof *run->retime))) return loom_fail_nomem(err, "the times of a sample");
    run->retime->seed = (uint64_t)run->ctx->common.seed;
    return LOOM_OK;
}

static loom_status run_balance(const loom_ctx *ctx, loom_err *err)
{
    const balance_conf *conf = ctx->conf;
    balance_run run = {.ctx = ctx};
    loom_meta meta = {0};
    loom_status st;

    if (!conf->output) return loom_fail(err, LOOM_STATUS_ARG, "no output; give -o FILE");
    loom_rng_seed(&run.rng, (uint64_t)ctx->common.seed, "balance", 0);
    loom_progress_start(&run.progress, &ctx->common, "balancing", 0, "samples");
    run.unmet.seed = (uint64_t)ctx->common.seed;
    if (conf->swapped > 0) run.swap = (loom_swap_asked){.names = &run.names, .seed = (uint64_t)ctx->common.seed};
    if ((st = open_exchange(&run, conf, err)) == LOOM_OK) st = open_retime(&run, conf, err);
    if (st == LOOM_OK) st = balance(&run, &meta, err);
    if (run.exchange) loom_exchange_release(run.exchange);
    if (run.retime) loom_retime_release(run.retime);
    loom_swap_asked_release(&run.swap);
    loom_unmet_release(&run.unmet);
    free(run.exchange);
    free(run.retime);
    loom_out_abandon(&run.out);
    loom_text_batch_release(&run.batch);
    loom_intern_release(&run.names);
    loom_intern_release(&run.shapes);
    loom_buf_release(&run.other);
    loom_meta_release(&meta);
    free(run.left);
    free(run.is_slow);
    free(run.rate);
    return st;
}

const loom_cmd loom_cmd_balance = {
    .name = "balance",
    .summary = "training text with more of the rare shapes",
    .args = "TEXT...",
    .min_args = 1,
    .max_args = -1,
    .details =
        "The shape of a sample is its number of calls and of subgraphs: in instruction text, of one layer; of a split\n"
        "layer, what its parts say; and, where there is a prompt, the depth and size of the graph below and whether a call or\n"
        "high latency is asked for. Most layers have one call and one subgraph and are learned soon; what a model gets\n"
        "wrong is wide, deep and rare. Here a shape with n samples gets a share in proportion to n^A (--exponent): frequent ones\n"
        "are thinned, rare ones repeated. Reads its input twice, so it takes files only.\n"
        "\n"
        "  loom-preprocess balance instruction.train.txt.zst --exponent 0.6 -o instruction.balanced.txt.zst",
    .opts = balance_opts,
    .conf_size = sizeof(balance_conf),
    .run = run_balance,
    .updates = true,
};
