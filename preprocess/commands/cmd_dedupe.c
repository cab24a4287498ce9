/* loom-preprocess dedupe: valid graphs, each once (docs/VALIDITY.md section 1). */
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/hash_set.h"
#include "core/log.h"
#include "core/num.h"
#include "core/parcel.h"
#include "core/progress.h"
#include "core/ranks.h"
#include "core/usage.h"
#include "preprocess/commands/preprocess_cmds.h"
#include "preprocess/stores/store_command.h"
#include "trace/graph/record.h"

typedef struct dedupe_conf {
    const char *output, *report, *decisions;
    int64_t max_depth;
    bool structural;
} dedupe_conf;

static const loom_opt dedupe_opts[] = {
    LOOM_OPT_GROUP("Output"),
    LOOM_OPT_OUT("output", 'o', dedupe_conf, output, NULL, "FILE", "graph store to write (.graphs.zst), - for stdout"),
    LOOM_OPT_OUT("report", 0, dedupe_conf, report, NULL, "FILE", "JSON report of what was dropped, by reason"),
    LOOM_OPT_OUT("decisions", 0, dedupe_conf, decisions, NULL, "FILE",
                 "JSON lines, one per input line: kept or why not"),
    LOOM_OPT_GROUP("Rules"),
    LOOM_OPT_I64("max-depth", 0, dedupe_conf, max_depth, "15", 1, 1000, "N", "drop deeper graphs"),
    LOOM_OPT_FLAG("structural", 0, dedupe_conf, structural, "graphs that differ in times only count as equal"),
    LOOM_OPT_END};

typedef enum dedupe_fate { FATE_CANDIDATE, FATE_INVALID, FATE_TOO_DEEP, FATE_DUPLICATE, FATE_KEPT } dedupe_fate;

/* What became of one line; its text stands in the block's `records`. */
typedef struct dedupe_line {
    loom_hash128 key;
    size_t start, len;                 /* with line end */
    int64_t number;                    /* line of the file, from 1 */
    int32_t first_verdict, n_verdicts; /* in the block's `reasons` */
    dedupe_fate fate;
} dedupe_line;

typedef struct dedupe_block {
    loom_buf records, reasons, key;
    dedupe_line *lines;
    size_t n_lines, cap_lines;
    loom_arena arena;
    loom_status status;
} dedupe_block;

typedef struct dedupe_run {
    const dedupe_conf *conf;
    loom_out *out, *decisions;
    loom_hash_set seen;
    loom_progress progress;
    int64_t graphs, kept, duplicates, too_deep, invalid[LOOM_REASONS];
} dedupe_run;

static void judge(const dedupe_conf *conf, dedupe_block *b, dedupe_line *line, const char *at, size_t len)
{
    loom_graph g;
    loom_verdict why;
    loom_arena_reset(&b->arena);
    line->start = b->records.len;
    line->first_verdict = (int32_t)b->reasons.len;
    line->fate = FATE_CANDIDATE;
    if (!loom_record_read(&g, &why, at, len, &b->arena)) {
        int32_t n = why.n < LOOM_VERDICT_MAX ? why.n : LOOM_VERDICT_MAX;
        loom_buf_append(&b->reasons, why.reasons, (size_t)n);
        line->n_verdicts = n;
        line->fate = FATE_INVALID;
        return;
    }
    if (loom_graph_depth(&g) > conf->max_depth) {
        line->fate = FATE_TOO_DEEP;
        return;
    }
    loom_record_render_untimed(&b->records, &g);
    line->len = b->records.len - line->start;
    if (conf->structural) {
        loom_buf_reset(&b->key);
        loom_record_render_structure(&b->key, &g);
        line->key = loom_hash128_of(b->key.data, b->key.len);
    } else {
        line->key = loom_hash128_of(b->records.data + line->start, line->len);
    }
    loom_buf_char(&b->records, '\n');
    line->len++;
}

static void work(void *arg, loom_store_block *block, int thread)
{
    const dedupe_run *run = arg;
    dedupe_block *b = block->result;
    int64_t number = block->first_line;
    (void)thread;
    loom_buf_reset(&b->records);
    loom_buf_reset(&b->reasons);
    b->n_lines = 0;
    b->status = LOOM_OK;
    for (const char *at = NULL, *end = NULL; loom_store_block_line(block, &at, &end); number++) {
        size_t len = (size_t)(end - at);
        if (len == 0 || (len == 1 && *at == '\r')) continue;
        b->status = loom_grow(&b->lines, &b->cap_lines, b->n_lines + 1, sizeof *b->lines, NULL);
        if (b->status != LOOM_OK) return;
        dedupe_line *line = &b->lines[b->n_lines++];
        *line = (dedupe_line){.number = number};
        judge(run->conf, b, line, at, len);
    }
}

static loom_status decide(dedupe_run *run, const dedupe_block *b, dedupe_line *line, loom_err *err)
{
    bool fresh = false;
    run->graphs++;
    if (line->fate == FATE_INVALID) run->invalid[(unsigned char)b->reasons.data[line->first_verdict]]++;
    else if (line->fate == FATE_TOO_DEEP) run->too_deep++;
    else if (!loom_hash_set_add(&run->seen, line->key, &fresh)) return loom_fail_nomem(err, "the graphs seen");
    else if (fresh) {
        line->fate = FATE_KEPT;
        run->kept++;
    } else {
        line->fate = FATE_DUPLICATE;
        run->duplicates++;
    }
    return LOOM_OK;
}

/* Kept lines that stand together are written at once. */
static loom_status write_kept(dedupe_run *run, const dedupe_block *b, loom_err *err)
{
    size_t start = 0, end = 0;
    for (size_t i = 0; i < b->n_lines; i++) {
        const dedupe_line *line = &b->lines[i];
        if (line->fate != FATE_KEPT) continue;
        if (line->start != end) {
            LOOM_TRY(loom_out_write(run->out, b->records.data + start, end - start, err));
            start = line->start;
        }
        end = line->start + line->len;
    }
    return end > start ? loom_out_write(run->out, b->records.data + start, end - start, err) : LOOM_OK;
}

static loom_status write_decisions(dedupe_run *run, const loom_store_block *block, loom_err *err)
{
    static const char *const names[] = {NULL, "INVALID", "TOO_DEEP", "DUPLICATE", NULL};
    const dedupe_block *b = block->result;
    loom_buf text = {0};
    for (size_t i = 0; i < b->n_lines; i++) {
        const dedupe_line *line = &b->lines[i];
        loom_jw w;
        loom_jw_init(&w, &text, false);
        loom_jw_begin_object(&w);
        loom_jw_kv_str(&w, "file", block->path);
        loom_jw_kv_i64(&w, "line", line->number);
        loom_jw_kv_bool(&w, "kept", line->fate == FATE_KEPT);
        if (names[line->fate]) loom_jw_kv_str(&w, "why", names[line->fate]);
        if (line->fate == FATE_INVALID) {
            loom_jw_key(&w, "reasons");
            loom_jw_begin_array(&w);
            for (int32_t k = 0; k < line->n_verdicts; k++)
                loom_jw_str(&w, loom_reason_name((loom_reason)(unsigned char)b->reasons.data[line->first_verdict + k]));
            loom_jw_end_array(&w);
        }
        loom_jw_end_object(&w);
        loom_buf_char(&text, '\n');
    }
    loom_status st = loom_buf_check(&text, "decisions", err);
    if (st == LOOM_OK) st = loom_out_write(run->decisions, loom_buf_text(&text), text.len, err);
    loom_buf_release(&text);
    return st;
}

static loom_status take(void *arg, loom_store_block *block, loom_err *err)
{
    dedupe_run *run = arg;
    dedupe_block *b = block->result;
    if (b->status != LOOM_OK || loom_buf_failed(&b->records) || loom_buf_failed(&b->reasons))
        return loom_fail_nomem(err, "a block of graphs");
    enum { AHEAD = 16 };
    for (size_t i = 0; i < b->n_lines; i++) {
        if (i + AHEAD < b->n_lines) loom_hash_set_prefetch(&run->seen, b->lines[i + AHEAD].key);
        LOOM_TRY(decide(run, b, &b->lines[i], err));
    }
    LOOM_TRY(write_kept(run, b, err));
    return run->decisions ? write_decisions(run, block, err) : LOOM_OK;
}

static loom_status pack(const void *result, loom_buf *into, loom_err *err)
{
    const dedupe_block *b = result;

    if (b->status != LOOM_OK || loom_buf_failed(&b->records) || loom_buf_failed(&b->reasons))
        return loom_fail_nomem(err, "a block of graphs");
    loom_parcel_put_text(into, loom_buf_text(&b->records), b->records.len);
    loom_parcel_put_text(into, loom_buf_text(&b->reasons), b->reasons.len);
    loom_parcel_put_text(into, (const char *)b->lines, b->n_lines * sizeof *b->lines);
    return LOOM_OK;
}

static void unpack_text(loom_parcel *p, loom_buf *into)
{
    size_t len;
    const char *text = loom_parcel_get_text(p, &len);

    loom_buf_reset(into);
    loom_buf_append(into, text, len);
}

static loom_status unpack(void *result, const loom_buf *from, loom_err *err)
{
    dedupe_block *b = result;
    loom_parcel p = loom_parcel_of(from);
    size_t len;

    unpack_text(&p, &b->records);
    unpack_text(&p, &b->reasons);
    const char *lines = loom_parcel_get_text(&p, &len);
    b->n_lines = 0;
    b->status = loom_grow(&b->lines, &b->cap_lines, len / sizeof *b->lines, sizeof *b->lines, err);
    if (b->status != LOOM_OK) return b->status;
    b->n_lines = len / sizeof *b->lines;
    if (len) memcpy(b->lines, lines, b->n_lines * sizeof *b->lines);
    return loom_parcel_end(&p, err);
}

static void release_block(void *result)
{
    dedupe_block *b = result;
    loom_buf_release(&b->records);
    loom_buf_release(&b->reasons);
    loom_buf_release(&b->key);
    loom_arena_release(&b->arena);
    free(b->lines);
}

static void show_progress(void *arg, int64_t bytes)
{
    loom_progress_update(&((dedupe_run *)arg)->progress, bytes, NULL);
}

static void render_report(const dedupe_run *run, loom_buf *into)
{
    loom_jw w;
    int64_t invalid = 0;
    for (int i = 0; i < LOOM_REASONS; i++) invalid += run->invalid[i];
    loom_jw_init(&w, into, false);
    loom_jw_begin_object(&w);
    loom_jw_kv_i64(&w, "graphs", run->graphs);
    loom_jw_kv_i64(&w, "kept", run->kept);
    loom_jw_kv_i64(&w, "duplicates", run->duplicates);
    loom_jw_kv_i64(&w, "too_deep", run->too_deep);
    loom_jw_kv_i64(&w, "invalid", invalid);
    loom_jw_key(&w, "invalid_by_first_reason");
    loom_jw_begin_object(&w);
    for (int i = 0; i < LOOM_REASONS; i++)
        if (run->invalid[i]) loom_jw_kv_i64(&w, loom_reason_name((loom_reason)i), run->invalid[i]);
    loom_jw_end_object(&w);
    loom_jw_kv_i64(&w, "table_bytes", (int64_t)loom_hash_set_bytes(&run->seen));
    loom_jw_end_object(&w);
}

static loom_status finish(dedupe_run *run, loom_meta *meta, const loom_ctx *ctx, loom_err *err)
{
    const dedupe_conf *conf = run->conf;
    loom_out *outs[3] = {0};
    loom_buf text = {0};
    loom_status st = LOOM_OK;
    render_report(run, &text);
    loom_meta_json(meta, "report", text.data);
    loom_buf_char(&text, '\n');
    if (run->graphs == 0)
        st = loom_fail(err, LOOM_STATUS_FORMAT,
                       "%s: no graph in the input; make a graph store with loom-preprocess graphs", ctx->args[0]);
    else if (run->kept == 0)
        st = loom_fail(err, LOOM_STATUS_FORMAT, "%s: no valid graph among %lld (%.*s); is it a graph store?",
                       ctx->args[0], (long long)run->graphs, (int)(text.len - 1), text.data);
    if (st == LOOM_OK && conf->report) st = loom_out_open(&outs[2], conf->report, ctx->common.force, err);
    if (st == LOOM_OK && conf->report) st = loom_out_write(outs[2], text.data, text.len, err);
    if (st == LOOM_OK) {
        outs[0] = run->out;
        outs[1] = run->decisions;
        run->out = run->decisions = NULL;
        st = loom_meta_commit(meta, ctx, outs, 3, 1, err);
    }
    loom_out_abandon(&outs[2]);
    if (st == LOOM_OK && ctx->common.json && strcmp(conf->output, "-") != 0)
        st = loom_stdout_write(text.data, text.len, err);
    loom_buf_release(&text);
    return st;
}

static void say_result(const dedupe_run *run, double seconds)
{
    char rate[32];
    int64_t invalid = run->graphs - run->kept - run->duplicates - run->too_deep;
    loom_info("%lld of %lld graphs kept: %lld duplicates, %lld too deep, %lld invalid dropped; %s graphs/s",
              (long long)run->kept, (long long)run->graphs, (long long)run->duplicates, (long long)run->too_deep,
              (long long)invalid,
              loom_format_count(rate, sizeof rate, (double)run->graphs / (seconds > 0 ? seconds : 1)));
}

/* Rank 0 alone writes. */
static loom_status open_outputs(dedupe_run *run, bool force, loom_err *err)
{
    const dedupe_conf *conf = run->conf;

    if (!conf->output) return loom_fail(err, LOOM_STATUS_ARG, "no output named; give -o FILE, or -o - for stdout");
    if (!loom_ranks_lead()) return LOOM_OK;
    if (conf->report && !force && loom_file_exists(conf->report))
        return loom_fail(err, LOOM_STATUS_ARG, "%s exists already; give --force to replace it", conf->report);
    LOOM_TRY(loom_out_open(&run->out, conf->output, force, err));
    return conf->decisions ? loom_out_open(&run->decisions, conf->decisions, force, err) : LOOM_OK;
}

static loom_status dedupe(const loom_ctx *ctx, loom_err *err)
{
    const dedupe_conf *conf = ctx->conf;
    dedupe_run run = {.conf = conf};
    loom_store_stream stream = {.result_size = sizeof(dedupe_block),
                                .work = work,
                                .take = take,
                                .pack = pack,
                                .unpack = unpack,
                                .release = release_block,
                                .progress = show_progress,
                                .arg = &run};
    loom_buf would = {0};
    loom_store_command command = {.ctx = ctx, .stream = &stream, .outputs = {conf->output}};
    loom_meta meta = {0};
    bool ran = false;
    double start = loom_time_now();
    loom_status st;

    loom_buf_printf(&would, "distinct graphs written to %s", conf->output ? conf->output : "");
    command.would = loom_buf_text(&would);
    loom_progress_start(&run.progress, &ctx->common, "deduplicating", 0, "bytes");
    if ((st = loom_ranks_agree(open_outputs(&run, ctx->common.force, err), err)) != LOOM_OK) goto done;
    if ((st = loom_store_command_run(&command, &meta, &ran, err)) != LOOM_OK || !ran || !loom_ranks_lead()) goto done;
    if ((st = finish(&run, &meta, ctx, err)) != LOOM_OK) goto done;
    loom_progress_finish(&run.progress, NULL);
    say_result(&run, loom_time_now() - start);
done:
    loom_out_abandon(&run.out);
    loom_out_abandon(&run.decisions);
    loom_hash_set_release(&run.seen);
    loom_meta_release(&meta);
    loom_buf_release(&would);
    return st;
}

static loom_status run_dedupe(const loom_ctx *ctx, loom_err *err) { return loom_ranks_run(dedupe, ctx, err); }

const loom_cmd loom_cmd_dedupe = {
    .name = "dedupe",
    .summary = "valid graphs, each once",
    .args = "GRAPHS...",
    .min_args = 1,
    .max_args = -1,
    .details =
        "Reads graph stores (or folders of them, or - for stdin) in the order given and writes every valid graph that\n"
        "was not written before, with its time of day set to zero. Graphs are equal when service and all calls with\n"
        "their times are; with --structural times do not count.\n"
        "\n"
        "  loom-preprocess dedupe raw.graphs.zst -o all.graphs.zst",
    .opts = dedupe_opts,
    .conf_size = sizeof(dedupe_conf),
    .run = run_dedupe,
    .updates = true,
    .ranks = true,
};
