#include "core/file.h"
#include "core/json.h"
#include "core/log.h"
#include "core/meta.h"
#include "core/num.h"
#include "core/progress.h"
#include "core/ranks.h"
#include "preprocess/commands/preprocess_cmds.h"
#include "preprocess/texts/encode_batch.h"
#include "trace/text/textfile.h"

typedef struct encode_conf {
    int mode, draws, items, include, asked_for, task;
    bool intermediate, finish, balanced_split, shuffle, balance;
    const char *stats, *output, *sample;
    int64_t copies, max_edges, max_depth, shown_edges, questions;
    double asked, bounded;
} encode_conf;

static const loom_opt encode_opts[] = {
    LOOM_OPT_GROUP("Text"),
    LOOM_OPT_ENUM("mode", 0, encode_conf, mode, "instruction", LOOM_MODE_CHOICES, "encoding"),
    LOOM_OPT_IN("stats", 0, encode_conf, stats, NULL, "FILE",
                "output of loom-preprocess stats: needed for high-latency and uncommon-call conditions"),
    LOOM_OPT_FLAG_ON("intermediate", 0, encode_conf, intermediate, "instruction: counting lines in the answers"),
    LOOM_OPT_FLAG_ON("finish", 0, encode_conf, finish, "instruction: end samples with \"### Finish\""),
    LOOM_OPT_FLAG("balanced-split", 0, encode_conf, balanced_split,
                  "cut wide layers into parts of even size (the paper's last part may be tiny or alone)"),
    LOOM_OPT_ENUM("items", 0, encode_conf, items, "shuffled", "shuffled|listed",
                  "order of the items of an edge, of a subgraph line and of what the layers below the root are asked; "
                  "listed is easier to learn, but not the paper's"),
    LOOM_OPT_ENUM("include", 0, encode_conf, include, "own", "own|handed-down",
                  "instruction: where an uncommon call is asked for, in its own layer, or in those above it as well; a "
                  "model then hears of it at the root, where users ask, but that is not the paper's text"),
    LOOM_OPT_F64(
        "asked", 0, encode_conf, asked, "0", 0.0, 1.0, "P",
        "instruction: share of the layers that are asked for their first call, as if it were uncommon, and none is "
        "for a later one; models learn to begin with what they are told to include"),
    LOOM_OPT_ENUM("asked-for", 0, encode_conf, asked_for, "first", "first|any",
                  "which call these layers are asked for: the first one, or any, which is then put first"),
    LOOM_OPT_F64(
        "bounded", 0, encode_conf, bounded, "0", 0.0, 1.0, "P",
        "instruction: share of the graphs that are asked for a latency of at least some milliseconds; three of "
        "four requests for high latency then say from which on it is high. Models learn to compare"),
    LOOM_OPT_I64("copies", 0, encode_conf, copies, "1", 1, 1000, "N",
                 "texts of each graph, each with draws of its own"),
    LOOM_OPT_GROUP("Questions instead of graphs"),
    LOOM_OPT_ENUM("task", 0, encode_conf, task, "none", "none|" LOOM_DOWNSTREAM_CHOICES,
                  "what to ask about each graph, in the form of --mode"),
    LOOM_OPT_I64("shown-edges", 0, encode_conf, shown_edges, "10", 1, 100000, "N",
                 "edges that a question shows (high-latency, uncommon)"),
    LOOM_OPT_WAS("limit", 0, "shown-edges", NULL),
    LOOM_OPT_FLAG_ON("balance", 0, encode_conf, balance, "as many answers Yes as No (high-latency, uncommon)"),
    LOOM_OPT_I64("questions", 0, encode_conf, questions, "0", 0, 1000000000, "N",
                 "with --task: the first N questions (with --shuffle any N); 0: all"),
    LOOM_OPT_GROUP("Selection"),
    LOOM_OPT_STR("sample", 0, encode_conf, sample, NULL, "K:N", "only K graphs drawn from every N read"),
    LOOM_OPT_I64("max-edges", 0, encode_conf, max_edges, "0", 0, 1000000, "N",
                 "leave out graphs with more edges; 0: none"),
    LOOM_OPT_I64("max-depth", 0, encode_conf, max_depth, "0", 0, 1000, "N", "leave out deeper graphs; 0: none"),
    LOOM_OPT_GROUP("Output"),
    LOOM_OPT_FLAG("shuffle", 0, encode_conf, shuffle,
                  "random order of graphs and samples (holds all records in memory)"),
    LOOM_OPT_OUT("output", 'o', encode_conf, output, "-", "FILE", "text file; a name ending in .zst is compressed"),
    LOOM_OPT_GROUP_HIDDEN("Testing"),
    LOOM_OPT_ENUM("draws", 0, encode_conf, draws, "random", LOOM_DRAW_CHOICES,
                  "every draw at random, succeeds, or fails"),
    LOOM_OPT_WAS(NULL, 'm', "mode", NULL),
    LOOM_OPT_END};

#define BATCH_LINES 8192
#define BATCH_BYTES ((size_t)8 << 20)

/* Selection sampling: of every N records exactly K, the last incomplete group pro rata. */
typedef struct sampler {
    int64_t k, n;        /* 0: everything */
    int64_t seen, taken; /* in the current group */
    loom_rng rng;
} sampler;

/* Everything one run needs. */
typedef struct encoding {
    const loom_ctx *ctx;
    const encode_conf *conf;
    loom_stats *stats;
    loom_pool *pool;
    loom_encode_batch *batch;
    loom_out *out;
    loom_meta meta;
    sampler sampler;
    loom_progress progress;
    loom_arena records; /* of the batch, or of the whole input when shuffling */
    loom_encode_batch_line *lines;
    size_t n_lines, cap_lines, n_bytes;
    int64_t read;    /* records read */
    int64_t written; /* bytes */
    int64_t thinned; /* samples left out to balance the answers */
    int64_t asked;   /* questions written; counted with --questions only */
    int64_t beyond;  /* questions left out because there were enough */
    bool thin;
    bool alone;      /* rank 0 does all of it */
    int64_t batches; /* run so far: whose turn it is (core/ranks.h) */
    loom_buf bytes;  /* what ranks hand over */
    loom_rng rng;    /* order of graphs and samples */
} encoding;

static loom_status sampler_init(sampler *s, const char *text, uint64_t seed, loom_err *err)
{
    const char *colon = text ? strchr(text, ':') : NULL;
    *s = (sampler){0};
    loom_rng_seed(&s->rng, seed, "encode-sample", 0);
    if (!text) return LOOM_OK;
    if (!colon || !loom_parse_i64(text, (size_t)(colon - text), &s->k) ||
        !loom_parse_i64(colon + 1, strlen(colon + 1), &s->n) || s->k < 1 || s->n < s->k)
        return loom_fail(err, LOOM_STATUS_ARG, "--sample %s: expected K:N with 1 <= K <= N, such as 500:10000", text);
    return LOOM_OK;
}

static bool sampler_takes(sampler *s)
{
    if (!s->n) return true;
    bool take = loom_rng_below(&s->rng, (uint64_t)(s->n - s->seen)) < (uint64_t)(s->k - s->taken);
    s->seen++;
    s->taken += take;
    if (s->seen == s->n) s->seen = s->taken = 0;
    return take;
}

/* ---- writing ---- */
typedef struct piece {
    const char *text;
    size_t len;
} piece;

static loom_status write_in_order(encoding *e, int64_t n_texts, loom_err *err)
{
    for (int64_t i = 0; i < n_texts; i++) {
        const loom_buf *text = loom_encode_batch_text(e->batch, i);
        if (text->len) LOOM_TRY(loom_out_write(e->out, text->data, text->len, err));
        e->written += (int64_t)text->len;
    }
    return LOOM_OK;
}

static loom_status cut_into_samples(const encoding *e, int64_t n_texts, piece **pieces, size_t *n, loom_err *err)
{
    size_t cap = 0, next;
    for (int64_t i = 0; i < n_texts; i++) {
        const loom_buf *text = loom_encode_batch_text(e->batch, i);
        for (size_t at = 0; at < text->len; at += next) {
            LOOM_TRY(loom_grow(pieces, &cap, *n + 1, sizeof **pieces, err));
            loom_sample_length(text->data + at, text->len - at, &next);
            (*pieces)[(*n)++] = (piece){text->data + at, next};
        }
    }
    return LOOM_OK;
}

static bool says_yes(const piece *p)
{
    size_t at = loom_sample_answer(p->text, p->len), skip = strlen(" \n");
    return p->len - at >= skip + strlen(LOOM_TEXT_YES) &&
           memcmp(p->text + at + skip, LOOM_TEXT_YES, strlen(LOOM_TEXT_YES)) == 0;
}

/* Thins the more frequent answer of the batch to the number of the other; which ones go is drawn. */
static size_t balance(encoding *e, piece *pieces, size_t n)
{
    size_t yes = 0, kept = 0;
    for (size_t i = 0; i < n; i++) yes += says_yes(&pieces[i]);
    bool thin_yes = yes > n - yes;
    size_t left = thin_yes ? yes : n - yes, want = n - left;
    for (size_t i = 0; i < n; i++) {
        if (says_yes(&pieces[i]) == thin_yes) {
            bool take = loom_rng_below(&e->rng, left--) < want;
            if (!take) continue;
            want--;
        }
        pieces[kept++] = pieces[i];
    }
    return kept;
}

/* Is there room for one more question? */
static bool may_ask(encoding *e)
{
    if (!e->conf->questions) return true;
    bool room = e->asked < e->conf->questions;
    e->asked += room;
    e->beyond += !room;
    return room;
}

static bool has_asked_enough(const encoding *e) { return e->conf->questions && e->asked >= e->conf->questions; }

/* The samples of one batch, thinned, only so many as asked for, and in random order if asked for: the layers of a graph
 * do not stay side by side then. */
static loom_status write_arranged(encoding *e, int64_t n_texts, loom_err *err)
{
    piece *pieces = NULL;
    size_t n = 0;
    loom_status st = cut_into_samples(e, n_texts, &pieces, &n, err);

    if (st == LOOM_OK && e->thin) {
        size_t before = n;
        n = balance(e, pieces, n);
        e->thinned += (int64_t)(before - n);
    }
    if (st == LOOM_OK && n && e->conf->shuffle) loom_rng_shuffle(&e->rng, pieces, n, sizeof *pieces);
    for (size_t i = 0; i < n && st == LOOM_OK; i++) {
        if (!may_ask(e)) continue;
        st = loom_out_write(e->out, pieces[i].text, pieces[i].len, err);
        e->written += (int64_t)pieces[i].len;
    }
    free(pieces);
    return st;
}

/* By the rank whose turn it is; afterwards rank 0 has the texts. */
static loom_status encode_lines(encoding *e, const loom_encode_batch_line *lines, int64_t n, int64_t *n_texts,
                                loom_err *err)
{
    int64_t turn = e->alone ? 0 : e->batches++;
    bool own = loom_ranks_own(turn), lead = loom_ranks_lead();
    loom_status st = own ? loom_encode_batch_run(e->batch, lines, n, n_texts, err) : LOOM_OK;

    loom_buf_reset(&e->bytes);
    if (st == LOOM_OK && own && !lead) loom_encode_batch_pack(e->batch, *n_texts, &e->bytes);
    LOOM_TRY(loom_ranks_deliver(&e->bytes, turn, st, err));
    return lead && !own ? loom_encode_batch_unpack(e->batch, n_texts, &e->bytes, err) : LOOM_OK;
}

static loom_status run_batch(encoding *e, const loom_encode_batch_line *lines, int64_t n, loom_err *err)
{
    int64_t n_texts = 0;
    char note[64], size[24];

    if (loom_stop_requested())
        return loom_fail(err, LOOM_STATUS_INTERRUPT, "interrupted; nothing was left half-written");
    LOOM_TRY(encode_lines(e, lines, n, &n_texts, err));
    if (!loom_ranks_lead()) return LOOM_OK;
    LOOM_TRY(e->conf->shuffle || e->thin || e->conf->questions ? write_arranged(e, n_texts, err)
                                                               : write_in_order(e, n_texts, err));
    snprintf(note, sizeof note, "%s of text", loom_format_bytes(size, sizeof size, (double)e->written));
    loom_progress_update(&e->progress, loom_encode_batch_counts(e->batch).records, note);
    return LOOM_OK;
}

/* ---- reading ---- */
static loom_status flush_lines(encoding *e, loom_err *err)
{
    LOOM_TRY(run_batch(e, e->lines, (int64_t)e->n_lines, err));
    loom_arena_reset(&e->records);
    e->n_lines = e->n_bytes = 0;
    return LOOM_OK;
}

static loom_status add_record(encoding *e, const char *line, size_t len, loom_err *err)
{
    const char *record = loom_arena_strdup(&e->records, line, len);
    for (int64_t copy = 0; copy < e->conf->copies; copy++) {
        LOOM_TRY(loom_grow(&e->lines, &e->cap_lines, e->n_lines + 1, sizeof *e->lines, err));
        e->lines[e->n_lines++] = (loom_encode_batch_line){record, len, copy};
    }
    e->n_bytes += len;
    if (e->conf->shuffle || (e->n_lines < BATCH_LINES && e->n_bytes < BATCH_BYTES)) return LOOM_OK;
    return flush_lines(e, err);
}

static loom_status read_store(encoding *e, const char *path, loom_err *err)
{
    loom_lines *lines = NULL;
    char *line;
    size_t len;
    loom_status st;

    if ((st = loom_lines_open(&lines, path, err)) != LOOM_OK) return st;
    while ((st = loom_lines_next(lines, &line, &len, err)) == LOOM_OK && line) {
        if (has_asked_enough(e)) break;
        if (!len) continue;
        e->read++;
        if (!sampler_takes(&e->sampler)) continue;
        if ((st = add_record(e, line, len, err)) != LOOM_OK) break;
    }
    loom_lines_close(&lines);
    return st;
}

static loom_status encode_shuffled(encoding *e, loom_err *err)
{
    if (e->n_lines) loom_rng_shuffle(&e->rng, e->lines, e->n_lines, sizeof *e->lines);
    for (size_t at = 0; at < e->n_lines && !has_asked_enough(e); at += BATCH_LINES) {
        size_t n = e->n_lines - at < BATCH_LINES ? e->n_lines - at : BATCH_LINES;
        LOOM_TRY(run_batch(e, e->lines + at, (int64_t)n, err));
    }
    return LOOM_OK;
}

/* ---- the command ---- */
static void counts_json(loom_jw *j, const encoding *e)
{
    loom_encode_counts c = loom_encode_batch_counts(e->batch);
    loom_jw_begin_object(j);
    loom_jw_kv_str(j, "mode", loom_mode_names[e->conf->mode]);
    loom_jw_kv_i64(j, "records_read", e->read);
    loom_jw_kv_i64(j, "records_used", c.records / e->conf->copies);
    loom_jw_kv_i64(j, "invalid", c.invalid / e->conf->copies);
    loom_jw_kv_i64(j, "too_large", c.too_large / e->conf->copies);
    loom_jw_kv_i64(j, "texts", c.graphs);
    loom_jw_kv_i64(j, "samples", c.samples - e->thinned - e->beyond);
    loom_jw_kv_i64(j, "bytes", e->written);
    if (e->conf->task) loom_jw_kv_i64(j, "no_sample", c.no_sample);
    if (e->thin) loom_jw_kv_i64(j, "left_out_for_balance", e->thinned);
    if (e->conf->questions) loom_jw_kv_i64(j, "left_out_beyond_questions", e->beyond);
    loom_jw_end_object(j);
}

static loom_status finish(encoding *e, loom_err *err)
{
    loom_encode_counts c = loom_encode_batch_counts(e->batch);
    loom_buf text = {0};
    loom_jw j;
    loom_status st;
    char size[24];

    loom_jw_init(&j, &text, false);
    counts_json(&j, e);
    loom_meta_str(&e->meta, "mode", loom_mode_names[e->conf->mode]);
    loom_meta_json(&e->meta, "counts", text.data);
    st = loom_meta_commit(&e->meta, e->ctx, &e->out, 1, 1, err);
    if (st == LOOM_OK && e->ctx->common.json && strcmp(e->conf->output, "-") != 0) {
        loom_buf_char(&text, '\n');
        st = loom_stdout_write(text.data, text.len, err);
    }
    loom_buf_release(&text);
    if (c.invalid)
        loom_warn("%lld of %lld records hold no valid call graph and were left out; run the store through "
                  "loom-preprocess dedupe to see why",
                  (long long)(c.invalid / e->conf->copies), (long long)e->read);
    loom_info("%lld %s samples of %lld graphs, %s", (long long)(c.samples - e->thinned - e->beyond),
              loom_mode_names[e->conf->mode], (long long)(c.graphs / e->conf->copies),
              loom_format_bytes(size, sizeof size, (double)e->written));
    return st;
}

static loom_status open_all(encoding *e, loom_err *err)
{
    const encode_conf *conf = e->conf;
    uint64_t seed = (uint64_t)e->ctx->common.seed;
    loom_encode_batch_conf batch = {.encode = {.mode = (loom_mode)conf->mode,
                                               .policy = (loom_draw_policy)conf->draws,
                                               .no_intermediate = !conf->intermediate,
                                               .no_finish = !conf->finish,
                                               .balanced_split = conf->balanced_split,
                                               .listed_items = conf->items == 1,
                                               .handed_down = conf->include == 1,
                                               .bounded = conf->bounded},
                                    .seed = seed,
                                    .asked = conf->asked,
                                    .ask_any = conf->asked_for == 1,
                                    .max_edges = conf->max_edges,
                                    .max_depth = conf->max_depth,
                                    .task = conf->task - 1,
                                    .limit = (int32_t)conf->shown_edges};

    if (conf->questions && !conf->task)
        return loom_fail(err, LOOM_STATUS_ARG, "--questions goes with --task, whose questions it counts");
    e->thin = conf->balance && conf->task && loom_downstream_is_binary((loom_downstream_task)(conf->task - 1));
    if (conf->task == LOOM_DOWNSTREAM_ATTRIBUTE + 1 && conf->mode == LOOM_MODE_TABULAR)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "--task attribute has no tabular form; use --mode instruction or recursive");
    loom_rng_seed(&e->rng, seed, "encode-shuffle", 0);
    LOOM_TRY(sampler_init(&e->sampler, conf->sample, seed, err));
    if (conf->stats) {
        LOOM_TRY(loom_stats_load(&e->stats, conf->stats, err));
        LOOM_TRY(loom_meta_input(&e->meta, conf->stats, err));
    } else if (conf->task && loom_downstream_is_binary((loom_downstream_task)(conf->task - 1))) {
        return loom_fail(err, LOOM_STATUS_ARG,
                         "this task needs the statistics of its services; give --stats FILE "
                         "(loom-preprocess stats)");
    } else if (conf->mode == LOOM_MODE_INSTRUCTION && !conf->task) {
        loom_info("without --stats no text asks for high latency or for an uncommon call");
    }
    batch.stats = e->stats;
    LOOM_TRY(loom_pool_new(&e->pool, (int)e->ctx->common.threads, err));
    return loom_encode_batch_new(&e->batch, &batch, e->pool, err);
}

/* Selection may leave nothing; input without a single graph is the wrong file. */
static loom_status check_graphs(const encoding *e, loom_err *err)
{
    const loom_encode_counts c = loom_encode_batch_counts(e->batch);

    if (e->read == 0 || (c.records > 0 && c.invalid == c.records))
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "%s%s: no valid call graph in %lld records; give graph stores (*.graphs.zst), and see with "
                         "loom-preprocess dedupe --decisions what is wrong with them",
                         e->ctx->args[0], e->ctx->n_args > 1 ? ", ..." : "", (long long)e->read);
    return LOOM_OK;
}

/* Rank 0 alone writes; where the answers of one batch decide whether there is a next, it does all by itself. */
static loom_status join_ranks(encoding *e, bool *idle, loom_err *err)
{
    bool lead = loom_ranks_lead();
    loom_status st = LOOM_OK;

    *idle = lead && loom_meta_up_to_date(&e->meta, e->ctx, e->conf->output);
    LOOM_TRY(loom_ranks_share(idle, &e->meta, e->ctx, err));
    if (lead && !*idle) st = loom_out_open(&e->out, e->conf->output, e->ctx->common.force, err);
    LOOM_TRY(loom_ranks_agree(st, err));
    e->alone = e->conf->questions > 0;
    *idle |= e->alone && !lead;
    return LOOM_OK;
}

static loom_status encode(const loom_ctx *ctx, loom_err *err)
{
    encoding e = {.ctx = ctx, .conf = ctx->conf};
    bool idle = false;
    loom_status st;

    if ((st = loom_ranks_agree(open_all(&e, err), err)) != LOOM_OK) goto done;
    if (ctx->common.dry_run) {
        loom_info("would encode %d store%s as %s text into %s", ctx->n_args, ctx->n_args == 1 ? "" : "s",
                  loom_mode_names[e.conf->mode], e.conf->output);
        goto done;
    }
    for (int i = 0; i < ctx->n_args; i++)
        if ((st = loom_meta_input(&e.meta, ctx->args[i], err)) != LOOM_OK) goto done;
    if ((st = join_ranks(&e, &idle, err)) != LOOM_OK || idle) goto done;
    loom_progress_start(&e.progress, &ctx->common, "encode", 0, "graphs");
    for (int i = 0; i < ctx->n_args && st == LOOM_OK; i++) st = read_store(&e, ctx->args[i], err);
    if (st == LOOM_OK) st = e.conf->shuffle ? encode_shuffled(&e, err) : flush_lines(&e, err);
    loom_progress_finish(&e.progress, NULL);
    if (st != LOOM_OK || !loom_ranks_lead()) goto done;
    if ((st = check_graphs(&e, err)) != LOOM_OK) goto done;
    st = finish(&e, err);
done:
    loom_out_abandon(&e.out);
    loom_encode_batch_free(&e.batch);
    loom_pool_free(e.pool);
    loom_stats_free(e.stats);
    loom_meta_release(&e.meta);
    loom_arena_release(&e.records);
    loom_buf_release(&e.bytes);
    free(e.lines);
    return st;
}

static loom_status run(const loom_ctx *ctx, loom_err *err) { return loom_ranks_run(encode, ctx, err); }

const loom_cmd loom_cmd_encode = {
    .name = "encode",
    .summary = "turn call graphs into training text",
    .args = "STORE...",
    .min_args = 1,
    .max_args = -1,
    .details =
        "Reads graph stores (*.graphs.zst) and writes text in one of three encodings:\n"
        "  tabular      a graph at a time, every edge with caller and full id\n"
        "  recursive    a graph as a chain of layers, each announced by the layer above\n"
        "  instruction  a layer at a time as question and answer, with conditions and counting lines\n"
        "Which attributes and conditions are shown, and in what order, is drawn from --seed and the graph itself, so "
        "the\n"
        "text of a graph does not depend on threads or on its place in the store. Example:\n"
        "  loom-preprocess encode train.graphs.zst --mode instruction --stats stats.json --shuffle -o sft.txt.zst\n"
        "\n"
        "With --task the text is one question and answer per graph: will the root be slow (high-latency), is any call "
        "rare\n"
        "for the service (uncommon), what is the hidden type or callee (attribute), which call joins two layers "
        "(edge).",
    .opts = encode_opts,
    .conf_size = sizeof(encode_conf),
    .run = run,
    .updates = true,
    .ranks = true,
};
