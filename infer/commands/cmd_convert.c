#include "core/file.h"
#include "core/json.h"
#include "core/log.h"
#include "core/meta.h"
#include "infer/commands/infer_cmds.h"
#include "infer/formats/graphsink.h"
#include "readers/files/graphsource.h"
#include "trace/graph/real_names.h"

typedef struct convert_conf {
    int to;
    const char *output, *names_from;
    int64_t limit, epoch, gap;
    bool synthetic, strict, merge, cut_outliving;
} convert_conf;

static const loom_opt convert_opts[] = {
    LOOM_OPT_GROUP("Output"),
    LOOM_OPT_OUT("output", 'o', convert_conf, output, "-", "FILE",
                 "where to write, - is standard output; a name ending in .zst is compressed"),
    LOOM_OPT_ENUM("to", 0, convert_conf, to, "auto", LOOM_FORMAT_CHOICES "|auto",
                  "format; auto: by the ending of the output's name, see above"),
    LOOM_OPT_I64("limit", 0, convert_conf, limit, "0", 0, 1e15, "N", "only the first N graphs; 0: all"),
    LOOM_OPT_IN(
        "names-from", 0, convert_conf, names_from, NULL, "MAPPING",
        "write the real names for MS_n and S_n: the private file that graphs --rename keeps (make demo: names.tsv)"),
    LOOM_OPT_GROUP("Input"),
    LOOM_OPT_FLAG("strict", 0, convert_conf, strict,
                  "a span, line or file that cannot be read is an error; otherwise it is counted and left out"),
    LOOM_OPT_FLAG("merge", 0, convert_conf, merge,
                  "traces may be spread over the inputs: all are read before the first graph is written"),
    LOOM_OPT_FLAG("cut-outliving", 0, convert_conf, cut_outliving,
                  "spans: a call that goes on after its caller's has ended (a queue's consumer) ends with it"),
    LOOM_OPT_GROUP("Times and origin"),
    LOOM_OPT_I64("epoch", 0, convert_conf, epoch, "-1", -1, 1e13, "MS",
                 "milliseconds since 1970 at which the day of the graphs begins; -1: 2022-01-01 for spans, 0 for rows"),
    LOOM_OPT_I64("gap", 0, convert_conf, gap, "0", 0, 1e9, "MS", "spans and rows: milliseconds from graph to graph"),
    LOOM_OPT_FLAG_ON("synthetic", 0, convert_conf, synthetic, "spans: mark them callgraph.synthetic"),
    LOOM_OPT_WAS(NULL, 't', "to", NULL),
    LOOM_OPT_END};

typedef struct converting {
    const convert_conf *conf;
    loom_sink *sink;
    loom_real_names names;
    loom_arena arena; /* of one graph under its real names */
} converting;

static loom_status take(void *arg, const loom_graph *g, loom_err *err)
{
    converting *c = arg;

    if (c->conf->limit > 0 && loom_sink_count(c->sink) >= c->conf->limit) return LOOM_OK;
    if (!c->conf->names_from) return loom_sink_put(c->sink, g, err);
    loom_graph real;
    loom_arena_reset(&c->arena);
    LOOM_TRY(loom_real_names_graph(&real, &c->names, g, &c->arena, err));
    return loom_sink_put(c->sink, &real, err);
}

static loom_status choose_format(loom_format *out, const convert_conf *c, loom_err *err)
{
    *out = c->to < LOOM_FORMATS ? (loom_format)c->to : loom_format_of_name(c->output);
    if (*out < LOOM_FORMATS) return LOOM_OK;
    return loom_fail(err, LOOM_STATUS_ARG, "the name %s does not tell the format; give --to " LOOM_FORMAT_CHOICES,
                     c->output);
}

static loom_status report(const loom_source *s, const loom_buf *counts, const loom_ctx *ctx, loom_err *err)
{
    loom_buf text = {0};
    loom_status st = LOOM_OK;

    loom_source_render_counts(s, &text);
    loom_info("%s", text.data);
    if (s->split_traces)
        loom_warn("%lld traces came back in a later file (first: %s): their pieces are graphs of their own, or lost; "
                  "give --merge to put them together",
                  (long long)s->split_traces, loom_buf_text(&s->first_split));
    if (ctx->common.json) {
        loom_buf_reset(&text);
        loom_buf_printf(&text, "%s\n", counts->data);
        st = loom_stdout_write(text.data, text.len, err);
    }
    loom_buf_release(&text);
    return st;
}

static loom_status read_all(loom_source *s, const loom_ctx *ctx, converting *c, loom_err *err)
{
    for (int i = 0; i < ctx->n_args; i++) LOOM_TRY(loom_source_read(s, ctx->args[i], take, c, err));
    return loom_source_finish(s, take, c, err);
}

static loom_status run_convert(const loom_ctx *ctx, loom_err *err)
{
    const convert_conf *conf = ctx->conf;
    converting c = {.conf = conf};
    loom_source source = {.strict = conf->strict, .merge = conf->merge, .cut_outliving = conf->cut_outliving};
    loom_jw w;
    loom_meta meta = {0};
    loom_sink_conf sc = {.force = ctx->common.force,
                         .synthetic = conf->synthetic,
                         .seed = (uint64_t)ctx->common.seed,
                         .gap_ms = conf->gap,
                         .safe_csv = ctx->common.safe_csv};
    loom_buf counts = {0};
    loom_status st;

    if ((st = choose_format(&sc.format, conf, err)) != LOOM_OK) goto done;
    sc.epoch_ms = conf->epoch >= 0 ? conf->epoch : loom_format_epoch(sc.format);
    for (int i = 0; i < ctx->n_args; i++)
        if ((st = loom_meta_input(&meta, ctx->args[i], err)) != LOOM_OK) goto done;
    if (conf->names_from) {
        if ((st = loom_real_names_load(&c.names, conf->names_from, err)) != LOOM_OK) goto done;
        if ((st = loom_meta_input(&meta, conf->names_from, err)) != LOOM_OK) goto done;
    }
    if (loom_meta_up_to_date(&meta, ctx, conf->output)) goto done;
    if ((st = loom_sink_open(&c.sink, conf->output, &sc, err)) != LOOM_OK) goto done;
    if ((st = read_all(&source, ctx, &c, err)) != LOOM_OK) goto done;
    if (source.graphs == 0) {
        loom_source_render_counts(&source, &counts);
        st = loom_fail(err, LOOM_STATUS_FORMAT, "%s%s: no valid call graph in the input: %s", ctx->args[0],
                       ctx->n_args > 1 ? ", ..." : "", counts.data);
        goto done;
    }
    loom_meta_i64(&meta, "graphs", loom_sink_count(c.sink));
    loom_meta_i64(&meta, "rejected", loom_source_rejected(&source));
    loom_jw_init(&w, &counts, false);
    loom_source_json_counts(&source, &w);
    loom_meta_json(&meta, "counts", counts.data);
    if ((st = loom_sink_commit(&c.sink, &meta, ctx, err)) != LOOM_OK) goto done;
    st = report(&source, &counts, ctx, err);
    if (c.names.n_unknown)
        loom_warn("%lld names of calls are not in %s and stayed as they were", (long long)c.names.n_unknown,
                  conf->names_from);
done:
    loom_real_names_release(&c.names);
    loom_arena_release(&c.arena);
    loom_sink_abandon(&c.sink);
    loom_source_release(&source);
    loom_meta_release(&meta);
    loom_buf_release(&counts);
    return st;
}

const loom_cmd loom_cmd_convert = {
    .name = "convert",
    .summary = "call graphs from and to CSV, Jaeger, OTLP, Zipkin, and to DOT, Chrome events, GraphML, tables, arrays",
    .args = "INPUT...",
    .min_args = 1,
    .max_args = -1,
    .details =
        "Reads graph stores, CallGraph CSV, Jaeger JSON, OTLP (JSON, protobuf), Zipkin v2 and CSV with a span a row (plain\n"
        "or compressed, alone, in tar files or in folders; told apart by content) and writes one of the formats below. What\n"
        "cannot be used is left out and counted by reason, with the place of the first (docs/FORMATS.md). A call is where a request\n"
        "moves from one service to another; spans inside a service are no calls.\n"
        "Graphs of our own come back from Jaeger, OTLP and Zipkin exactly as they were. Traces of other systems keep their\n"
        "names here; loom-preprocess graphs reads the same formats and renames them on the way to a model.\n"
        "\n"
        "  records  .graphs .graphs.zst  one graph a line, what the other commands read\n"
        "  csv      .csv                 rows of an Alibaba CallGraph table\n"
        "  jaeger   .json                for the Jaeger UI; a few thousand spans a file at most\n"
        "  otlp     .jsonl .ndjson       OpenTelemetry, one trace a line\n"
        "  dot      .dot .gv             for Graphviz\n"
        "  zipkin                        Zipkin v2 JSON\n"
        "  chrome                        trace events for Perfetto and chrome://tracing\n"
        "  graphml  .graphml             for graph libraries: microservices are nodes, calls are edges\n"
        "  flat                          one row a call for data frames; the header says the types\n"
        "  npy                           a folder of NumPy arrays for graph learning (docs/FORMATS.md)\n"
        "\n"
        "  loom-infer convert new.graphs.zst -o new.json --limit 50      look at 50 graphs in the Jaeger UI\n"
        "  loom-infer convert new.graphs.zst --names-from names.tsv -o new.jsonl   with the names of the private traces\n"
        "  loom-infer convert new.graphs.zst --to dot | dot -Tsvg -O     pictures\n",
    .opts = convert_opts,
    .conf_size = sizeof(convert_conf),
    .run = run_convert,
    .updates = true,
};
