/* loom-preprocess graphs: traces of any kind to a graph store. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/meta.h"
#include "core/num.h"
#include "core/progress.h"
#include "core/ranks.h"
#include "core/usage.h"
#include "preprocess/commands/preprocess_cmds.h"
#include "preprocess/rows/graphs_away.h"

typedef struct graphs_conf {
    const char *output, *report, *dropped, *verdicts, *type_map, *rename;
    bool any_case, merge, keep_ids, cut_outliving;
    int service_from;
} graphs_conf;

static const loom_opt graphs_opts[] = {
    LOOM_OPT_GROUP("Output"),
    LOOM_OPT_OUT("output", 'o', graphs_conf, output, NULL, "FILE", "graph store to write (.graphs.zst), - for stdout"),
    LOOM_OPT_OUT("report", 0, graphs_conf, report, NULL, "FILE",
                 "JSON report of every row, span and graph dropped, by reason"),
    LOOM_OPT_OUT("dropped", 0, graphs_conf, dropped, NULL, "FILE",
                 "CSV list of the dropped rows of tables: file,line,trace,reason"),
    LOOM_OPT_OUT("verdicts", 0, graphs_conf, verdicts, NULL, "FILE",
                 "JSON lines, one per trace of tables: accepted or why not"),
    LOOM_OPT_GROUP("Reading"),
    LOOM_OPT_STR("type-map", 0, graphs_conf, type_map, NULL, "FROM=TO,...",
                 "rpctypes to read as rpc, http, mc, db or mq"),
    LOOM_OPT_FLAG("merge", 0, graphs_conf, merge,
                  "read all inputs as one, so that traces may straddle files (needs memory for all rows and spans)"),
    LOOM_OPT_FLAG("any-case", 0, graphs_conf, any_case, "accept rpctypes in any case (RPC, Http)"),
    LOOM_OPT_ENUM("service-from", 0, graphs_conf, service_from, "column", "column|root",
                  "service of a graph: the service column, or the callee of the root call (v2021 tables: the rows of "
                  "both sides of a call are paired)"),
    LOOM_OPT_FLAG("cut-outliving", 0, graphs_conf, cut_outliving,
                  "spans: a call that goes on after its caller's has ended (a queue's consumer) ends with it"),
    LOOM_OPT_GROUP("Names"),
    LOOM_OPT_OUT("rename", 0, graphs_conf, rename, NULL, "FILE",
                 "replace names by MS_n and S_n; the mapping is read from FILE when it exists, and written to it (for "
                 "its owner only). loom-infer convert and show bring the names back with --names-from FILE"),
    LOOM_OPT_FLAG("keep-ids", 0, graphs_conf, keep_ids,
                  "with --rename: names that are MS_n or S_n already keep their number, unless another name has it"),
    LOOM_OPT_END};

static void show_progress(void *arg, int64_t bytes) { loom_progress_update(arg, bytes, NULL); }

/* What a folder's file is called that may hold traces; a graph store only when it is named itself, as it may be
 * ours. */
static bool is_trace_name(const char *path)
{
    static const char *const packed[] = {"", ".gz", ".zst", ".xz"};
    static const char *const kinds[] = {".csv", ".json", ".jsonl", ".ndjson", ".tar", ".tgz"};
    size_t len = strlen(path);
    char suffix[16];
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (size_t i = 0; i < sizeof packed / sizeof *packed; i++) {
            size_t n = (size_t)snprintf(suffix, sizeof suffix, "%s%s", kinds[k], packed[i]);
            if (len > n && strcmp(path + len - n, suffix) == 0) return true;
        }
    return false;
}

static loom_status add_path(char ***paths, size_t *n, size_t *cap, const char *path, loom_err *err)
{
    LOOM_TRY(loom_grow(paths, cap, *n + 1, sizeof **paths, err));
    (*paths)[*n] = loom_strdup(path);
    if (!(*paths)[*n]) return loom_fail_nomem(err, "a list of files");
    ++*n;
    return LOOM_OK;
}

/* Files of other kinds are counted in *left; what lies beside files is passed over. */
static loom_status add_folder(char ***paths, size_t *n, size_t *cap, const char *dir, loom_source *left, loom_err *err)
{
    char **found = NULL;
    size_t n_found = 0, before = *n;
    loom_status st = loom_list_tree(&found, &n_found, dir, err);
    for (size_t i = 0; i < n_found && st == LOOM_OK; i++) {
        if (is_trace_name(found[i]) && !loom_source_is_beside(found[i])) st = add_path(paths, n, cap, found[i], err);
        else if (!loom_source_is_beside(found[i])) loom_source_left_file(left, found[i]);
    }
    if (st == LOOM_OK && *n == before)
        st =
            loom_fail(err, LOOM_STATUS_FORMAT,
                      "%s: no file of traces in this folder (.csv, .json, .jsonl, .ndjson, .tar; also .gz, .zst, .xz); "
                      "name another",
                      dir);
    loom_free_list(found, n_found);
    return st;
}

/* The files that the arguments name; free with loom_free_list, also after an error. */
static loom_status list_inputs(char ***paths, size_t *n, const loom_ctx *ctx, loom_source *left, loom_err *err)
{
    size_t cap = 0;
    for (int i = 0; i < ctx->n_args; i++) {
        if (loom_file_is_dir(ctx->args[i])) LOOM_TRY(add_folder(paths, n, &cap, ctx->args[i], left, err));
        else LOOM_TRY(add_path(paths, n, &cap, ctx->args[i], err));
    }
    return LOOM_OK;
}

/* A file by the rank whose turn it is; afterwards rank 0's job has it. */
static loom_status share_file(loom_graphs_job *job, const char *path, int64_t turn, loom_buf *bytes, loom_err *err)
{
    bool own = loom_ranks_own(turn), lead = loom_ranks_lead();
    loom_status st = LOOM_OK;

    loom_buf_reset(bytes);
    if (own) st = lead ? loom_graphs_add_file(job, path, err) : loom_graphs_away_make(bytes, job, path, err);
    LOOM_TRY(loom_ranks_deliver(bytes, turn, st, err));
    return lead && !own ? loom_graphs_away_take(job, bytes, path, err) : LOOM_OK;
}

/* What one file adds to merged rows and spans decides about the next: rank 0 does all of that. */
static loom_status read_inputs(loom_graphs_job *job, char *const *paths, size_t n, bool dry_run, loom_err *err)
{
    bool alone = n == 1 || job->merge;
    loom_buf bytes = {0};
    loom_status st = LOOM_OK;

    job->several = n > 1;
    for (size_t i = 0; i < n && st == LOOM_OK; i++) {
        if (loom_stop_requested())
            st = loom_fail(err, LOOM_STATUS_INTERRUPT, "interrupted; nothing was left half-written");
        else if (dry_run) st = loom_graphs_check_file(job, paths[i], err);
        else st = share_file(job, paths[i], alone ? 0 : (int64_t)i, &bytes, err);
    }
    loom_buf_release(&bytes);
    return st == LOOM_OK && loom_ranks_lead() ? loom_graphs_finish(job, err) : st;
}

/* No table among the inputs: what the others gave says why there is nothing. */
static loom_status no_graph_of_others(const loom_graphs_job *job, const char *input, loom_err *err)
{
    loom_buf counts = {0};
    loom_source_render_counts(&job->other.source, &counts);
    loom_status st = loom_fail(err, LOOM_STATUS_FORMAT, "%s: no valid call graph: %s%s",
                               strcmp(input, "-") == 0 ? "standard input" : input, loom_buf_text(&counts),
                               job->other.source.spans.rejected[LOOM_REASON_CHILD_OUTLIVES_PARENT] &&
                                       !job->other.source.cut_outliving
                                   ? "; --cut-outliving ends calls with their callers"
                                   : "");
    loom_buf_release(&counts);
    return st;
}

/* How rows that were dropped could be read. */
static void render_cure(const loom_graphs_job *job, loom_buf *into)
{
    const loom_graphs_counts *c = &job->report.total;
    const char *type = loom_graphs_report_commonest_type(&job->report);

    if (c->dropped[LOOM_DROP_TYPE_NOT_LISTED] * 2 > c->rows)
        loom_buf_printf(into,
                        " --type-map %s=rpc reads those of type \"%s\" as rpc (type-map under [graphs] of a "
                        "configuration)",
                        type, type);
    else if (c->dropped[LOOM_DROP_BAD_NAME]) loom_buf_str(into, " --rename replaces names with white space or |");
}

static loom_status check_not_empty(const loom_graphs_job *job, const char *input, loom_err *err)
{
    loom_buf reasons = {0}, cure = {0};
    loom_status st = LOOM_OK;
    if (job->report.total.graphs + job->other.source.graphs == 0 && job->report.n_files == 0)
        return no_graph_of_others(job, input, err);
    loom_graphs_render_reasons(&job->report.total, &reasons);
    render_cure(job, &cure);
    if (job->report.total.graphs + job->other.source.graphs == 0)
        st = loom_fail(err, LOOM_STATUS_FORMAT,
                       "%s: no valid graph in %lld row%s of %lld trace%s (%s); is it a CallGraph table?%s",
                       job->report.n_files == 1 && strcmp(input, "-") != 0 ? input
                       : job->report.n_files == 1                          ? "standard input"
                                                                           : "all inputs",
                       (long long)job->report.total.rows, job->report.total.rows == 1 ? "" : "s",
                       (long long)job->report.total.traces, job->report.total.traces == 1 ? "" : "s",
                       reasons.len ? reasons.data : "no rows", loom_buf_text(&cure));
    loom_buf_release(&reasons);
    loom_buf_release(&cure);
    return st;
}

/* After --dry-run: what the run would need. */
static void say_need(const loom_graphs_job *job, const char *output)
{
    char need[32], rows[32];
    const char *than = job->other.source.files
                           ? "all inputs have the columns of a CallGraph table, or are JSON or graph stores"
                           : "all inputs have the columns of a CallGraph table";
    loom_info("%s; the graphs would be written to %s", than, output);
    if (job->other.source.files)
        loom_info("JSON files and stores are read whole, one at a time; what is in them was not looked at");
    if (job->unknown) {
        loom_info("memory needed: at most %lld MiB and %d bytes a row; how many rows standard input has cannot be told",
                  LOOM_GRAPHS_BASE_BYTES >> 20, LOOM_GRAPHS_ROW_BYTES);
        return;
    }
    loom_info("memory needed: at most %s, for %s%s rows of %s",
              loom_format_bytes(need, sizeof need,
                                (double)(LOOM_GRAPHS_BASE_BYTES + LOOM_GRAPHS_ROW_BYTES * job->report.most_rows)),
              job->estimated ? "about " : "", loom_format_count(rows, sizeof rows, (double)job->report.most_rows),
              job->merge ? "all files" : "the largest file");
}

/* Traces in pieces; and where not all of them can be told. */
static void say_split_traces(const loom_graphs_job *job)
{
    int64_t n = job->report.total.split_traces;
    if (n)
        loom_warn("%lld trace%s came back in a later file (first: %s): the pieces are graphs of their own, or lost; "
                  "give --merge to put them together",
                  (long long)n, n == 1 ? "" : "s", loom_buf_text(&job->first_split));
    if (job->ids.n_forgotten)
        loom_warn("traces that came back were looked for among the %d before them, at least; not among the first %lld",
                  LOOM_SPLIT_TRACES_SPAN, (long long)job->ids.n_forgotten);
}

/* What is no table: the same words as convert has. */
static void say_others(const loom_graphs_job *job)
{
    const loom_source *s = &job->other.source;
    loom_buf counts = {0};
    loom_source_render_counts(s, &counts);
    if (loom_other_traces_any(&job->other)) loom_info("no tables: %s", loom_buf_text(&counts));
    loom_buf_release(&counts);
    if (s->split_traces)
        loom_warn(
            "%lld traces of spans came back in a later file (first: %s): the pieces are graphs of their own, or lost; "
            "give --merge to put them together",
            (long long)s->split_traces, loom_buf_text(&s->first_split));
    if (s->files && (job->dropped || job->verdicts))
        loom_warn("--dropped and --verdicts list tables only; --report counts spans by reason");
}

static void say_tables(const loom_graphs_job *job, double seconds)
{
    const loom_graphs_counts *c = &job->report.total;
    loom_buf reasons = {0};
    char rate[32], tables[32];
    loom_graphs_render_reasons(c, &reasons);
    loom_info(
        "%lld graphs with %lld calls from %lld rows of %lld traces, %lld file%s, %s rows/s, rows in memory %s%s%s",
        (long long)c->graphs, (long long)c->edges, (long long)c->rows, (long long)c->traces,
        (long long)job->report.n_files, job->report.n_files == 1 ? "" : "s",
        loom_format_count(rate, sizeof rate, (double)c->rows / (seconds > 0 ? seconds : 1)),
        loom_format_bytes(tables, sizeof tables, (double)c->table_bytes), reasons.len ? "; " : "",
        loom_buf_text(&reasons));
    if (c->other_case && c->dropped[LOOM_DROP_TYPE_NOT_LISTED])
        loom_warn("%lld rows have an rpctype in another case (RPC for rpc); --any-case accepts them",
                  (long long)c->other_case);
    if (c->dropped[LOOM_DROP_BAD_NAME])
        loom_warn("%lld rows have a name with white space, | or bytes that are no text; --rename replaces names",
                  (long long)c->dropped[LOOM_DROP_BAD_NAME]);
    if (job->report.n_empty_files)
        loom_warn("%lld of %lld files gave no valid graph; see --report", (long long)job->report.n_empty_files,
                  (long long)job->report.n_files);
    say_split_traces(job);
    loom_buf_release(&reasons);
}

static void say_result(const loom_graphs_job *job, double seconds)
{
    const char *odd = job->odd_name[0] ? job->odd_name : job->other.odd_name;
    if (job->report.n_files) say_tables(job, seconds);
    say_others(job);
    if (odd[0])
        loom_warn("name \"%s\" holds one of / , : ( ) < > [ ], which the text encodings cannot carry; --rename "
                  "replaces names",
                  odd);
    if (job->rename && job->rename->n_changed)
        loom_info(
            "%lld names were replaced; the mapping is private: convert and show have the names back with --names-from",
            (long long)job->rename->n_changed);
}

/* Opens what the options name; nothing appears under its final name before commit_all. Rank 0 alone writes. */
static loom_status open_outputs(loom_graphs_job *job, const graphs_conf *conf, bool force, loom_err *err)
{
    job->list_dropped = conf->dropped != NULL;
    job->list_verdicts = conf->verdicts != NULL;
    if (!loom_ranks_lead()) return LOOM_OK;
    if (conf->report && !force && strcmp(conf->report, "-") != 0 && loom_file_exists(conf->report))
        return loom_fail(err, LOOM_STATUS_ARG, "%s exists already; give --force to replace it", conf->report);
    LOOM_TRY(loom_out_open(&job->out, conf->output, force, err));
    if (conf->dropped) {
        LOOM_TRY(loom_out_open(&job->dropped, conf->dropped, force, err));
        LOOM_TRY(loom_out_printf(job->dropped, err, "file,line,trace,reason\n"));
    }
    if (conf->verdicts) LOOM_TRY(loom_out_open(&job->verdicts, conf->verdicts, force, err));
    return LOOM_OK;
}

/* A mapping is read and written: a run that finds the one it left behind would give the same again. */
static void mapping_digest(char text[33], const loom_buf *mapping)
{
    loom_hash128_text(loom_hash128_of(loom_buf_text(mapping), mapping->len), text);
}

static void note_mapping(loom_meta *meta, const loom_buf *mapping)
{
    char text[33] = "";
    mapping_digest(text, mapping);
    loom_meta_str(meta, "mapping_digest", text);
}

static bool mapping_is_same(const graphs_conf *conf)
{
    loom_buf bytes = {0};
    loom_err err = {0};
    char text[33] = "";
    loom_json *meta = loom_meta_load(conf->output, false);
    const char *noted = loom_json_str(loom_json_get(meta, "mapping_digest"), NULL);
    bool same = noted && loom_file_read(&bytes, conf->rename, LOOM_BOUND_NAMES, &err) == LOOM_OK;
    if (same) mapping_digest(text, &bytes);
    same = same && strcmp(text, noted) == 0;
    loom_buf_release(&bytes);
    loom_json_free(meta);
    return same;
}

static loom_status commit_all(loom_graphs_job *job, const graphs_conf *conf, loom_meta *meta, const loom_ctx *ctx,
                              loom_err *err)
{
    loom_buf text = {0}, mapping = {0};
    loom_out *outs[5] = {0};
    loom_status st = LOOM_OK;
    loom_graphs_report_render(&job->report, job->ids.n_forgotten, &job->other.source, &text);
    loom_meta_json(meta, "report", text.data);
    loom_buf_char(&text, '\n');
    if (job->rename) {
        loom_rename_render(job->rename, &mapping);
        note_mapping(meta, &mapping);
        st = loom_out_text(&outs[3], conf->rename, &mapping, true, err);
        if (st == LOOM_OK) loom_out_make_private(outs[3]);
        loom_buf_release(&mapping);
    }
    if (st == LOOM_OK && conf->report) st = loom_out_text(&outs[4], conf->report, &text, ctx->common.force, err);
    if (st == LOOM_OK) {
        outs[0] = job->out;
        outs[1] = job->dropped;
        outs[2] = job->verdicts;
        job->out = job->dropped = job->verdicts = NULL;
        st = loom_meta_commit(meta, ctx, outs, 5, 1, err);
    }
    loom_out_abandon(&outs[3]);
    loom_out_abandon(&outs[4]);
    if (st == LOOM_OK && ctx->common.json && strcmp(conf->output, "-") != 0)
        st = loom_stdout_write(text.data, text.len, err);
    loom_buf_release(&text);
    return st;
}

/* What the options say of the job; outputs and threads come later. */
static loom_status follow_options(loom_graphs_job *job, loom_rename *rename, const loom_ctx *ctx, loom_err *err)
{
    const graphs_conf *conf = ctx->conf;

    *job = (loom_graphs_job){.service_from_root = conf->service_from == 1, .merge = conf->merge};
    job->other.source.merge = conf->merge;
    job->other.source.cut_outliving = conf->cut_outliving;
    job->rules.any_case = conf->any_case;
    job->rules.free_names = conf->rename != NULL;
    job->rules.keep_dropped = conf->dropped != NULL;
    job->safe_csv = ctx->common.safe_csv;
    rename->keep_ids = conf->keep_ids;
    job->rename = job->other.rename = conf->rename ? rename : NULL;
    LOOM_TRY(loom_type_maps_parse(&job->rules, conf->type_map, err));
    return conf->rename ? loom_rename_load(rename, conf->rename, err) : LOOM_OK;
}

/* Records the inputs; true: the outputs were made of just these. A mapping that goes on growing is looked into only
 * where --update asks. */
static loom_status compare_with_last(bool *same, loom_meta *meta, char *const *paths, size_t n, const loom_ctx *ctx,
                                     loom_err *err)
{
    const graphs_conf *conf = ctx->conf;

    for (size_t i = 0; i < n; i++) LOOM_TRY(loom_meta_input(meta, paths[i], err));
    *same = loom_ranks_lead() && (!conf->rename || (ctx->common.update && mapping_is_same(conf))) &&
            loom_meta_up_to_date(meta, ctx, conf->output);
    return loom_ranks_share(same, meta, ctx, err);
}

static loom_status prepare(loom_graphs_job *job, loom_rename *rename, const loom_ctx *ctx, loom_err *err)
{
    const graphs_conf *conf = ctx->conf;

    if (!conf->output) return loom_fail(err, LOOM_STATUS_ARG, "no output named; give -o FILE, or -o - for stdout");
    if (conf->keep_ids && !conf->rename)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "--keep-ids says which names --rename leaves alone; give --rename FILE, too");
    LOOM_TRY(follow_options(job, rename, ctx, err));
    LOOM_TRY(loom_pool_new(&job->pool, (int)ctx->common.threads, err));
    return open_outputs(job, conf, ctx->common.force, err);
}

static loom_status make_graphs(const loom_ctx *ctx, loom_err *err)
{
    const graphs_conf *conf = ctx->conf;
    loom_graphs_job job = {0};
    bool same = false, dry_run = ctx->common.dry_run;
    loom_rename rename = {0};
    loom_meta meta = {0};
    loom_progress progress;
    char **paths = NULL;
    size_t n_paths = 0;
    double start = loom_time_now();
    loom_status st;

    loom_progress_start(&progress, &ctx->common, "reading", 0, "bytes");
    if ((st = loom_ranks_agree(prepare(&job, &rename, ctx, err), err)) != LOOM_OK) goto done;
    job.progress = show_progress;
    job.progress_arg = &progress;
    job.other.out = job.out;
    if ((st = list_inputs(&paths, &n_paths, ctx, &job.other.source, err)) != LOOM_OK) goto done;
    if (!dry_run) st = compare_with_last(&same, &meta, paths, n_paths, ctx, err);
    if (st != LOOM_OK || same) goto done;
    if ((st = read_inputs(&job, paths, n_paths, dry_run, err)) != LOOM_OK || !loom_ranks_lead()) goto done;
    if (dry_run) {
        say_need(&job, conf->output);
        goto done;
    }
    if ((st = check_not_empty(&job, ctx->args[0], err)) != LOOM_OK) goto done;
    if ((st = commit_all(&job, conf, &meta, ctx, err)) != LOOM_OK) goto done;
    loom_progress_finish(&progress, NULL);
    say_result(&job, loom_time_now() - start);
done:
    loom_out_abandon(&job.out);
    loom_out_abandon(&job.dropped);
    loom_out_abandon(&job.verdicts);
    loom_free_list(paths, n_paths);
    loom_pool_free(job.pool);
    loom_graphs_job_release(&job);
    loom_rename_release(&rename);
    loom_meta_release(&meta);
    return st;
}

static loom_status run_graphs(const loom_ctx *ctx, loom_err *err) { return loom_ranks_run(make_graphs, ctx, err); }

const loom_cmd loom_cmd_graphs = {
    .name = "graphs",
    .summary = "traces (CallGraph CSV, Jaeger, OTLP, Zipkin) to call graphs",
    .args = "TRACES...",
    .min_args = 1,
    .max_args = -1,
    .details =
        "Reads files (plain, .gz, .zst, .xz, inside .tar), folders of them, or - for stdin, told apart by content:\n"
        "CallGraph CSV, Jaeger JSON, OTLP (JSON, protobuf), Zipkin v2 JSON, CSV with a span a row, graph stores. Columns of\n"
        "tables are found by name. Rows and spans are grouped by trace and checked; valid graphs are written one a line,\n"
        "file after file, those of a table ordered by time of day. Every row, span and graph that is dropped is counted by\n"
        "reason.\n"
        "The rows of a table stay in memory: 64 bytes each and 256 MiB at most; --dry-run says how much that is.\n"
        "A trace that comes back in a later file is counted and warned about (--merge puts its pieces together).\n"
        "\n"
        "  loom-preprocess graphs CallGraph_0.tar.gz CallGraph_1.tar.gz -o raw.graphs.zst --report report.json\n"
        "  loom-preprocess graphs jaeger-export/ -o own.graphs.zst --rename names.tsv --keep-ids\n"
        "  loom-preprocess graphs own.csv -o own.graphs.zst --type-map UNKNOWN=rpc --rename names.tsv",
    .opts = graphs_opts,
    .conf_size = sizeof(graphs_conf),
    .run = run_graphs,
    .updates = true,
    .ranks = true,
};
