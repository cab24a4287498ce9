/* loom-preprocess anonymise: graphs that may be shown to others. */
#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "core/meta.h"
#include "preprocess/commands/preprocess_cmds.h"
#include "preprocess/private/blur.h"
#include "preprocess/private/hide_names.h"
#include "preprocess/private/rare_keys.h"
#include "readers/files/graphsource.h"
#include "trace/graph/record.h"

typedef struct anonymise_conf {
    const char *output, *mapping, *key, *report;
    int names, rare;
    int64_t min_graphs, round_ms;
    double log_grid;
    bool merge, cut_outliving;
} anonymise_conf;

static const loom_opt anonymise_opts[] = {
    LOOM_OPT_GROUP("Output"),
    LOOM_OPT_OUT("output", 'o', anonymise_conf, output, NULL, "FILE",
                 "graph store to write (.graphs.zst), - for stdout"),
    LOOM_OPT_OUT("mapping", 0, anonymise_conf, mapping, NULL, "FILE",
                 "where the names that were replaced are kept, for its owner only; keep it to yourself"),
    LOOM_OPT_OUT("report", 0, anonymise_conf, report, NULL, "FILE", "JSON report of what was left out and pooled"),
    LOOM_OPT_GROUP("Names"),
    LOOM_OPT_ENUM("names", 0, anonymise_conf, names, "hash", "hash|numbers",
                  "replace names by a keyed hash, or by numbers in an order drawn from --seed"),
    LOOM_OPT_IN("key", 0, anonymise_conf, key, NULL, "FILE",
                "32 hex digits: the key of the hash; without it one is drawn at random and kept in the mapping"),
    LOOM_OPT_GROUP("What is rare"),
    LOOM_OPT_I64("min-graphs", 0, anonymise_conf, min_graphs, "1", 1, 1e9, "K",
                 "every service, operation (microservice and type of call) and dependency occurs in K graphs or more"),
    LOOM_OPT_ENUM(
        "rare", 0, anonymise_conf, rare, "drop", "drop|pool",
        "graphs with something rarer are left out; pool: rare services and microservices become one name before"),
    LOOM_OPT_GROUP("Times"),
    LOOM_OPT_I64("round", 0, anonymise_conf, round_ms, "1", 1, 86400000, "MS",
                 "starts and finishes to multiples of so many ms"),
    LOOM_OPT_F64("log-grid", 0, anonymise_conf, log_grid, "0", 0, 10, "SHARE",
                 "starts and finishes to a grid whose steps grow by this share (0.1: ten percent); 0: none"),
    LOOM_OPT_GROUP("Reading"),
    LOOM_OPT_FLAG("merge", 0, anonymise_conf, merge, "traces may be spread over the inputs"),
    LOOM_OPT_FLAG("cut-outliving", 0, anonymise_conf, cut_outliving,
                  "spans: a call that goes on after its caller's has ended ends with it"),
    LOOM_OPT_END};

typedef struct anonymising {
    const loom_ctx *ctx;
    const anonymise_conf *conf;
    loom_rare_keys plain;       /* of the graphs as they are: tells which names are pooled */
    loom_rare_keys before, now; /* of the graphs that were left by the pass before, and by this one */
    bool first, writing;
    loom_intern names[LOOM_RENAME_KINDS];
    loom_rename rename;
    loom_arena arena;
    loom_buf line;
    loom_out *out;
    int64_t read, left_out[LOOM_RARE_KINDS], written, passes;
} anonymising;

/* ---- one graph ---- */

static const char *pooled(const char *name, int64_t graphs, int64_t least)
{
    return strcmp(name, "USER") != 0 && graphs < least ? LOOM_HIDDEN_RARE : name;
}

static void pool_names(anonymising *a, loom_graph *g)
{
    int64_t k = a->conf->min_graphs;
    g->service = pooled(g->service, loom_rare_keys_service(&a->plain, g->service), k);
    for (int32_t i = 0; i < g->n_calls; i++) {
        loom_call *c = &g->calls[i];
        c->source = pooled(c->source, loom_rare_keys_microservice(&a->plain, c->source), k);
        c->destination = pooled(c->destination, loom_rare_keys_microservice(&a->plain, c->destination), k);
    }
}

static loom_status note_names(anonymising *a, const loom_graph *g, loom_err *err)
{
    bool room = loom_intern_add(&a->names[LOOM_RENAME_SERVICE], g->service, strlen(g->service)) >= 0;
    for (int32_t i = 0; room && i < g->n_calls; i++) {
        loom_intern *names = &a->names[LOOM_RENAME_MICROSERVICE];
        room = loom_intern_add(names, g->calls[i].source, strlen(g->calls[i].source)) >= 0 &&
               loom_intern_add(names, g->calls[i].destination, strlen(g->calls[i].destination)) >= 0;
    }
    return room ? LOOM_OK : loom_fail_nomem(err, "the names of all graphs");
}

static loom_status write_graph(anonymising *a, loom_graph *g, loom_err *err)
{
    loom_blur blur = {a->conf->round_ms, a->conf->log_grid};
    loom_blur_graph(&blur, g);
    if (!loom_rename_graph(&a->rename, g, &a->arena)) return loom_fail_nomem(err, "a graph");
    loom_buf_reset(&a->line);
    loom_record_render_untimed(&a->line, g);
    loom_buf_char(&a->line, '\n');
    LOOM_TRY(loom_buf_check(&a->line, "a record", err));
    a->written++;
    return loom_out_write(a->out, a->line.data, a->line.len, err);
}

static loom_status count_plain(void *arg, const loom_graph *g, loom_err *err)
{
    return loom_rare_keys_add(&((anonymising *)arg)->plain, g, err);
}

/* Counts what is left of a graph, or writes it. */
static loom_status sift(void *arg, const loom_graph *g, loom_err *err)
{
    anonymising *a = arg;
    loom_graph own;
    loom_arena_reset(&a->arena);
    if (!loom_graph_copy(&own, g, &a->arena)) return loom_fail_nomem(err, "a graph");
    a->read++;
    if (a->conf->rare == 1) pool_names(a, &own);
    loom_rare why = a->first ? LOOM_RARE_NONE : loom_rare_keys_find(&a->before, &own, a->conf->min_graphs);
    if (why != LOOM_RARE_NONE) {
        a->left_out[why]++;
        return LOOM_OK;
    }
    if (a->writing) return write_graph(a, &own, err);
    LOOM_TRY(note_names(a, &own, err));
    return loom_rare_keys_add(&a->now, &own, err);
}

/* ---- passes ---- */

static loom_status pass(anonymising *a, loom_take_graph take, loom_source *s, loom_err *err)
{
    *s = (loom_source){.merge = a->conf->merge, .cut_outliving = a->conf->cut_outliving};
    a->read = 0;
    a->passes++;
    memset(a->left_out, 0, sizeof a->left_out);
    for (int i = 0; i < a->ctx->n_args; i++) LOOM_TRY(loom_source_read(s, a->ctx->args[i], take, a, err));
    return loom_source_finish(s, take, a, err);
}

static loom_status silent_pass(anonymising *a, loom_take_graph take, loom_err *err)
{
    loom_source s;
    loom_status st = pass(a, take, &s, err);
    loom_source_release(&s);
    return st;
}

static void forget_names(anonymising *a)
{
    for (int kind = 0; kind < LOOM_RENAME_KINDS; kind++) loom_intern_release(&a->names[kind]);
}

/* A graph that is left out takes its share of the counts with it, so that others may become rare: until nothing
 * changes. */
static loom_status find_rare(anonymising *a, loom_err *err)
{
    int64_t left = -1;
    if (a->conf->rare == 1) LOOM_TRY(silent_pass(a, count_plain, err));
    a->first = true;
    for (;;) {
        forget_names(a);
        LOOM_TRY(silent_pass(a, sift, err));
        bool settled = a->now.graphs == left || a->conf->min_graphs <= 1;
        left = a->now.graphs;
        loom_rare_keys_release(&a->before);
        a->before = a->now;
        a->now = (loom_rare_keys){0};
        a->first = false;
        if (settled || left == 0) return LOOM_OK;
    }
}

static loom_status choose_numbers(anonymising *a, loom_err *err)
{
    loom_siphash_key key;
    const anonymise_conf *c = a->conf;
    uint64_t seed = (uint64_t)a->ctx->common.seed;
    if (c->names == 0) LOOM_TRY(c->key ? loom_hide_key_read(&key, c->key, err) : loom_hide_key_draw(&key, err));
    if (c->names == 0 && !c->key) {
        const unsigned char *bytes = (const unsigned char *)&key;
        loom_buf_str(&a->rename.remarks, "# key ");
        for (size_t i = 0; i < sizeof key; i++) loom_buf_printf(&a->rename.remarks, "%02x", bytes[i]);
        loom_buf_char(&a->rename.remarks, '\n');
    }
    for (int kind = 0; kind < LOOM_RENAME_KINDS; kind++)
        LOOM_TRY(loom_hide_names(&a->rename, (loom_rename_kind)kind, &a->names[kind], c->names == 0 ? &key : NULL, seed,
                                 err));
    return LOOM_OK;
}

/* ---- what is told ---- */

static void report_json(const anonymising *a, const loom_source *s, loom_buf *into)
{
    loom_jw w;
    loom_jw_init(&w, into, false);
    loom_jw_begin_object(&w);
    loom_jw_kv_i64(&w, "graphs", a->read);
    loom_jw_kv_i64(&w, "written", a->written);
    loom_jw_key(&w, "left_out_for_rare");
    loom_jw_begin_object(&w);
    for (int i = 0; i < LOOM_RARE_KINDS; i++) loom_jw_kv_i64(&w, loom_rare_names[i], a->left_out[i]);
    loom_jw_end_object(&w);
    loom_jw_kv_i64(&w, "min_graphs", a->conf->min_graphs);
    loom_jw_kv_i64(&w, "microservices", (int64_t)a->rename.names[LOOM_RENAME_MICROSERVICE].n);
    loom_jw_kv_i64(&w, "services", (int64_t)a->rename.names[LOOM_RENAME_SERVICE].n);
    loom_jw_kv_bool(&w, "pooled",
                    loom_rename_has(&a->rename, LOOM_RENAME_MICROSERVICE, 0) ||
                        loom_rename_has(&a->rename, LOOM_RENAME_SERVICE, 0));
    loom_jw_kv_i64(&w, "passes", a->passes);
    loom_jw_key(&w, "input");
    loom_source_json_counts(s, &w);
    loom_jw_end_object(&w);
    loom_buf_char(into, '\n');
}

static void say(const anonymising *a, const loom_source *s)
{
    loom_buf counts = {0};
    const int64_t *out = a->left_out;
    loom_source_render_counts(s, &counts);
    loom_info("read: %s", loom_buf_text(&counts));
    loom_buf_release(&counts);
    loom_info("%lld of %lld graphs written; left out for a rare service %lld, operation %lld, dependency %lld",
              (long long)a->written, (long long)a->read, (long long)out[LOOM_RARE_SERVICE],
              (long long)out[LOOM_RARE_OPERATION], (long long)out[LOOM_RARE_DEPENDENCY]);
    loom_info("names are hidden, times of day are gone; which calls there are and how long they take is still told%s",
              a->conf->round_ms > 1 || a->conf->log_grid > 0 ? " (rounded)" : "");
}

static loom_status commit(anonymising *a, const loom_source *s, loom_meta *meta, loom_err *err)
{
    loom_buf mapping = {0}, report = {0};
    loom_out *outs[3] = {0};
    bool force = a->ctx->common.force;
    loom_rename_render(&a->rename, &mapping);
    report_json(a, s, &report);
    loom_meta_json(meta, "report", loom_buf_text(&report));
    loom_status st = loom_out_text(&outs[1], a->conf->mapping, &mapping, force, err);
    if (st == LOOM_OK) loom_out_make_private(outs[1]);
    if (st == LOOM_OK && a->conf->report) st = loom_out_text(&outs[2], a->conf->report, &report, force, err);
    if (st == LOOM_OK) {
        outs[0] = a->out;
        a->out = NULL;
        st = loom_meta_commit(meta, a->ctx, outs, 3, 1, err);
    }
    for (int i = 0; i < 3; i++) loom_out_abandon(&outs[i]);
    if (st == LOOM_OK && a->ctx->common.json && strcmp(a->conf->output, "-") != 0)
        st = loom_stdout_write(report.data, report.len, err);
    loom_buf_release(&mapping);
    loom_buf_release(&report);
    return st;
}

/* ---- the command ---- */

static loom_status check_conf(const loom_ctx *ctx, loom_err *err)
{
    const anonymise_conf *c = ctx->conf;
    if (!c->output) return loom_fail(err, LOOM_STATUS_ARG, "no output named; give -o FILE, or -o - for stdout");
    if (!c->mapping)
        return loom_fail(err, LOOM_STATUS_ARG, "say where the mapping of names is to be kept: --mapping FILE");
    if (c->key && c->names != 0)
        return loom_fail(err, LOOM_STATUS_ARG, "--key is for hashes; leave it out with --names numbers");
    for (int i = 0; i < ctx->n_args; i++)
        if (strcmp(ctx->args[i], "-") == 0)
            return loom_fail(err, LOOM_STATUS_ARG,
                             "the input is read several times, which standard input cannot be; name a file");
    return LOOM_OK;
}

static loom_status nothing_left(const anonymising *a, const loom_source *s, loom_err *err)
{
    loom_buf counts = {0};
    loom_source_render_counts(s, &counts);
    loom_status st =
        loom_fail(err, LOOM_STATUS_FORMAT, "%s: no graph to write: %s%s", a->ctx->args[0], loom_buf_text(&counts),
                  a->read ? "; every one holds something rare, so give a smaller --min-graphs, or --rare pool" : "");
    loom_buf_release(&counts);
    return st;
}

static loom_status run_anonymise(const loom_ctx *ctx, loom_err *err)
{
    anonymising a = {.ctx = ctx, .conf = ctx->conf};
    loom_source source = {0};
    loom_meta meta = {0};
    loom_status st = check_conf(ctx, err);

    for (int i = 0; i < ctx->n_args && st == LOOM_OK; i++) st = loom_meta_input(&meta, ctx->args[i], err);
    if (st == LOOM_OK) st = loom_out_open(&a.out, a.conf->output, ctx->common.force, err);
    if (st == LOOM_OK) st = find_rare(&a, err);
    if (st == LOOM_OK) st = choose_numbers(&a, err);
    a.writing = true;
    if (st == LOOM_OK) st = pass(&a, sift, &source, err);
    if (st == LOOM_OK && a.written == 0) st = nothing_left(&a, &source, err);
    if (st == LOOM_OK) st = commit(&a, &source, &meta, err);
    if (st == LOOM_OK) say(&a, &source);
    loom_out_abandon(&a.out);
    loom_source_release(&source);
    loom_rare_keys_release(&a.plain);
    loom_rare_keys_release(&a.before);
    loom_rare_keys_release(&a.now);
    forget_names(&a);
    loom_rename_release(&a.rename);
    loom_arena_release(&a.arena);
    loom_buf_release(&a.line);
    loom_meta_release(&meta);
    return st;
}

const loom_cmd loom_cmd_anonymise = {
    .name = "anonymise",
    .summary = "graphs to be shown to others: other names, nothing rare, coarse times",
    .args = "TRACES...",
    .min_args = 1,
    .max_args = -1,
    .details =
        "Reads what graphs reads, several times, and writes a graph store. Names become a keyed hash or numbers; the\n"
        "mapping has them, and who has the mapping has the names (loom-infer convert --names-from). Times of day are\n"
        "left out. Every service, operation and dependency of the output occurs in --min-graphs of its graphs.\n"
        "How calls hang together and how long they take stays: that may tell a system from others.\n"
        "\n"
        "  loom-preprocess anonymise jaeger-export/ -o open.graphs.zst --mapping names.tsv --min-graphs 10 --round 5",
    .opts = anonymise_opts,
    .conf_size = sizeof(anonymise_conf),
    .run = run_anonymise,
};
