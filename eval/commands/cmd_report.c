/* loom-eval report: a results folder as one page that needs nothing else. */
#include <stdio.h>
#include <string.h>

#include "core/file.h"
#include "core/json.h"
#include "core/log.h"
#include "core/meta.h"
#include "core/num.h"
#include "eval/commands/eval_cmds.h"
#include "eval/pages/html.h"
#include "eval/pages/method_title.h"

typedef struct report_conf {
    const char *output, *title;
    int64_t rows;
} report_conf;

static const loom_opt report_opts[] = {
    LOOM_OPT_GROUP("Page"),
    LOOM_OPT_STR("title", 0, report_conf, title, "Spanloom: generated against real call graphs", "TEXT",
                 "title of the page"),
    LOOM_OPT_I64("rows", 0, report_conf, rows, "60", 0, 100000, "N", "rows of each table that the page shows"),
    LOOM_OPT_OUT("output", 'o', report_conf, output, NULL, "FILE",
                 "page to write (default: report.html in the folder)"),
    LOOM_OPT_END};

/* What the page shows, in this order; a part without files is left out. */
typedef struct chapter {
    const char *figure, *heading, *text, *csv, *skip;
} chapter;

static const chapter chapters[] = {
    {"fig12", "Accuracy by requested size (Fig 12)",
     "Every cell asks for graphs with so many calls and so many levels. A graph is correct when it can be read, obeys all "
     "structural rules, and has exactly the requested size. A prompt without an answer counts as a failure.",
     NULL, NULL},
    {"fig12_constrained", "The same under constrained decoding",
     "The sampler may write only what can still meet the request (not in the paper).", NULL, NULL},
    {"fig03a", "Accuracy by number of calls (Fig 3a)", NULL, NULL, NULL},
    {"fig03b", "Accuracy by depth (Fig 3b)", NULL, NULL, NULL},
    {"fig03c", "Accuracy by temperature (Fig 3c)", NULL, NULL, NULL},
    {NULL, "What was wrong", "A graph may appear under several rules and codes.", "errors.csv", "experiment,seed"},
    {"fig13", "Without intermediate instructions (Fig 13)",
     "The same model tuned on the same graphs, with and without the counting lines in its answers.", "fig13.csv",
     "experiment,seed,validity,axis,x"},
    {"fig14a", "Model sizes by number of calls (Fig 14a)", NULL, NULL, NULL},
    {"fig14b", "Model sizes by depth (Fig 14b)", NULL, NULL, NULL},
    {"fig14c", "Model sizes by temperature (Fig 14c)", NULL, "fig14.csv", "experiment,seed,validity"},
    {"fig15", "Copies of training graphs by temperature (Fig 15)", NULL, NULL, NULL},
    {"fig15_size", "Copies of training graphs by size",
     "Short graphs repeat by chance; copies of long ones are remembered. k_sample counts copies of as many training graphs as "
     "there are held-out ones, k_heldout copies of those: what is above the latter leaks. Details stand in privacy.json.",
     "fig15.csv", "experiment,seed"},
    {"fig04a", "Popular calls (Fig 4a)",
     "A call is a source, a destination and a type. The divergence is taken over the most popular calls of the real graphs.",
     "fig04a_kl.csv", "experiment,seed"},
    {"fig04b", "Heavy hitters (Fig 4b)",
     "Of the K microservices that real graphs trigger most: how many are among the K that generated graphs trigger most.",
     "fig04b_summary.csv", "experiment,seed"},
    {"fig16", "Branching and response times (Fig 16)",
     "How far values of generated graphs must be moved, on average, to become those of real graphs.", "fig16.csv",
     "experiment,seed"},
    {"fig05", "Management models (Fig 5)",
     "A support vector machine learns which microservice is to blame for slow requests, from graphs of one origin, and is tested on "
     "the same real graphs. Accuracy means little where one class is rare: beside it stand the balanced accuracy and what two seeds "
     "of real graphs differ by.",
     "fig05_mean.csv", "experiment"},
    {"fig05_tracevae", "Anomaly detection (Fig 5, TraceVAE)",
     "An autoencoder learns what graphs of one origin look like; real graphs in which one call was made slow, or calls were taken out, should "
     "be less likely to it than other real graphs. auc_no_graph: the same by the strangest response time alone.",
     "fig05_tracevae_mean.csv", "experiment"},
    {"fig06", "Instruction following (Fig 6)",
     "The same requests with and without the line that asks for high latency, for an uncommon call, or for both.",
     "fig06.csv", "experiment,seed"},
    {"fig07", "Questions beside generation (Fig 7)",
     "Will the graph hold a call that is rare for its service, seen its first ten calls; a type or callee that was taken out; the "
     "call between two layers. \"Never trained on traces\": the same architecture from random weights, tuned on the same questions.",
     "fig07.csv", "experiment,seed"},
    {NULL, "Classifiers trained on generated graphs (Table 2)",
     "A linear head on the frozen model, trained on as many questions of every origin, tested on the same real ones. floor: "
     "mean difference of two seeds trained on real graphs.",
     "table2_mean.csv", "experiment"},
    {"fig08", "Sizes (Fig 8)", NULL, NULL, NULL},
    {NULL, "Other language models, by rules and examples (Table 3)",
     "Asked for the same sizes with the rules of the text and real graphs as examples; paper_few_shot is what the paper found.",
     "table3.csv", "experiment,seed"},
    {NULL, "Settings of the training (Table 1)", "The paper's beside those of these models.", "table1.csv",
     "experiment,seed"},
};

static const char style[] =
    "body{font:16px/1.5 system-ui,-apple-system,'Segoe UI','Liberation Sans',sans-serif;color:#1b1b1b;background:#fff;"
    "max-width:1120px;margin:0 auto;padding:1.5rem 1.25rem 4rem}"
    "h1{font-size:1.7rem;line-height:1.2;margin:.4rem 0 .3rem}h2{font-size:1.2rem;margin:2.6rem 0 .4rem}"
    "p{margin:.3rem 0 .8rem;max-width:46rem}.lead{color:#555}"
    ".note{border-left:4px solid #e69f00;background:#fff8e8;padding:.5rem .9rem}"
    "figure{margin:.6rem 0 0}.wide{overflow-x:auto}.wide svg{display:block;width:100%;min-width:34rem;height:auto}"
    ".wide.map svg{min-width:54rem}"
    ".wide table{min-width:40rem}table{border-collapse:collapse;font-size:.86rem;font-variant-numeric:tabular-nums}"
    "th,td{padding:.28rem .7rem .28rem 0;text-align:left;border-bottom:1px solid #e6e6e6;vertical-align:top}"
    "th{color:#555;font-weight:600;white-space:nowrap}td.n{text-align:right}"
    "details{margin:.7rem 0}summary{cursor:pointer;color:#0b5e96}summary:hover{text-decoration:underline}"
    "code{font:.85em ui-monospace,'DejaVu Sans Mono',monospace;overflow-wrap:anywhere}"
    ".yes{color:#00714f;font-weight:600}.no{color:#a33d00;font-weight:600}"
    /* on a phone a picture has the width of the screen, and its own once it is touched or reached by the keyboard;
     * a row of a table is a card */
    "@media(max-width:600px){body{padding:1rem .8rem 3rem;font-size:15px}h1{font-size:1.35rem}"
    ".wide svg,.wide.map svg{min-width:0}.wide:focus svg{min-width:34rem}.wide.map:focus svg{min-width:54rem}.wide table{min-width:0}"
    "table.cards,.cards tbody,.cards tr,.cards td{display:block}.cards tr.h{display:none}.cards td{border:0;padding:.1rem 0;overflow-wrap:anywhere}"
    ".cards tr{border:1px solid #e6e6e6;padding:.4rem .6rem;margin:.5rem 0}.cards td.n{text-align:left}.cards td:empty{display:none}"
    ".cards td[data-l]::before{content:attr(data-l) ': ';color:#555}}"
    "@media print{body{max-width:none;padding:0;font-size:10.5pt}h2{break-after:avoid}figure,tr{break-inside:avoid}"
    ".wide{overflow:visible}.wide table{min-width:0}.wide svg,.wide.map svg{min-width:0}details{display:none}a{color:inherit}}";

typedef struct page {
    const char *dir;
    const report_conf *conf;
    loom_json *manifest;
    loom_buf html;
    int64_t n_pictures;
    loom_status st; /* first part that is there and cannot be read */
    loom_err trouble;
} page;

/* The text of a file of the folder; false when it is not there, or when it cannot be read, which the page keeps in
 * mind. */
static bool read_part(page *p, loom_buf *into, const char *name, const char *ending)
{
    loom_buf path = {0};
    loom_buf_reset(into);
    loom_buf_printf(&path, "%s/%s%s", p->dir, name, ending);
    bool found = loom_file_exists(path.data);
    loom_status st =
        found ? loom_file_read(into, path.data, LOOM_BOUND_JSON, p->st == LOOM_OK ? &p->trouble : NULL) : LOOM_OK;
    if (p->st == LOOM_OK) p->st = st;
    loom_buf_release(&path);
    return found && st == LOOM_OK && into->len;
}

/* ---- summary ---- */

static void cell(loom_buf *html, const char *heading, const char *text)
{
    loom_buf_str(html, "<td");
    loom_html_label(html, heading);
    loom_html_text(html, text);
    loom_buf_str(html, "</td>");
}

static int64_t summary_rows(page *p, const loom_json *run)
{
    const loom_json *list = loom_json_get(run, "summary");
    for (size_t i = 0; i < loom_json_len(list); i++) {
        const loom_json *item = loom_json_at(list, i), *same = loom_json_get(item, "same_direction");
        loom_buf_str(&p->html, "<tr>");
        cell(&p->html, "Figure", loom_json_text(item, "figure"));
        cell(&p->html, "What", loom_json_text(item, "what"));
        cell(&p->html, "Paper", loom_json_text(item, "paper"));
        cell(&p->html, "Here", loom_json_text(item, "ours"));
        if (loom_json_is_bool(same))
            loom_buf_str(&p->html, loom_json_bool(same, false) ? "<td class=\"yes\" data-l=\"Same direction\">yes</td>"
                                                               : "<td class=\"no\" data-l=\"Same direction\">no</td>");
        else loom_buf_str(&p->html, "<td></td>");
        cell(&p->html, "", loom_json_text(item, "note"));
        loom_buf_str(&p->html, "</tr>\n");
    }
    return (int64_t)loom_json_len(list);
}

static void write_summary(page *p)
{
    const loom_json *runs = loom_json_get(p->manifest, "runs");
    size_t before = p->html.len;
    int64_t n = 0;
    loom_buf_str(
        &p->html,
        "<h2>The paper's numbers beside these</h2>\n<div class=\"wide\"><table class=\"cards\">\n<tr class=\"h\"><th>Figure</th><th>What</th>"
        "<th>Paper</th><th>Here</th><th>Same direction</th><td></td></tr>\n");
    for (void *it = loom_json_iter(runs); it; it = loom_json_iter_next(runs, it))
        n += summary_rows(p, loom_json_iter_value(it));
    loom_buf_str(&p->html, "</table></div>\n");
    if (n == 0) {
        p->html.len = before;
        p->html.data[before] = 0;
    }
}

/* ---- parts ---- */

static bool write_picture(page *p, const chapter *part, loom_buf *scratch)
{
    if (!part->figure || !read_part(p, scratch, part->figure, ".svg")) return false;
    char prefix[64];
    snprintf(prefix, sizeof prefix, "%s-", part->figure);
    loom_buf_printf(&p->html, "<figure class=\"wide%s\" tabindex=\"0\">",
                    strncmp(part->figure, "fig12", 5) == 0 ? " map" : "");
    loom_html_svg(&p->html, scratch->data, part->heading, prefix);
    loom_buf_str(&p->html, "</figure>\n");
    p->n_pictures++;
    return true;
}

/* Under the heat map: what each method's model started from and how long it was trained. */
static void write_trained(page *p)
{
    const loom_json *list = loom_json_get(loom_json_get(loom_json_get(p->manifest, "runs"), "heatmap"), "trained");
    if (!loom_json_len(list)) return;
    loom_buf_str(&p->html, "<p class=\"lead\">How the models were trained:</p>\n<ul>\n");
    for (size_t i = 0; i < loom_json_len(list); i++) {
        loom_buf_str(&p->html, "<li>");
        loom_html_text(&p->html, loom_method_title(loom_json_text(loom_json_at(list, i), "method")));
        loom_buf_str(&p->html, ": ");
        loom_html_text(&p->html, loom_json_text(loom_json_at(list, i), "text"));
        loom_buf_str(&p->html, "</li>\n");
    }
    loom_buf_str(&p->html, "</ul>\n");
}

static bool write_table(page *p, const chapter *part, loom_buf *scratch)
{
    loom_buf table = {0};
    if (!part->csv || !read_part(p, scratch, part->csv, "")) return false;
    int64_t n = loom_html_csv(&table, scratch->data, part->skip ? part->skip : "", p->conf->rows);
    loom_buf_printf(&p->html, "<details><summary>Numbers: %s", part->csv);
    if (n > p->conf->rows)
        loom_buf_printf(&p->html, ", the first %lld of %lld rows", (long long)p->conf->rows, (long long)n);
    loom_buf_str(&p->html, "</summary><div class=\"wide\" tabindex=\"0\">");
    loom_buf_append(&p->html, loom_buf_text(&table), table.len);
    loom_buf_str(&p->html, "</div></details>\n");
    loom_buf_release(&table);
    return true;
}

static void write_part(page *p, const chapter *part, loom_buf *scratch)
{
    size_t before = p->html.len;
    loom_buf_str(&p->html, "<section><h2>");
    loom_html_text(&p->html, part->heading);
    loom_buf_str(&p->html, "</h2>\n");
    if (part->text) {
        loom_buf_str(&p->html, "<p>");
        loom_html_text(&p->html, part->text);
        loom_buf_str(&p->html, "</p>\n");
    }
    bool any = write_picture(p, part, scratch);
    if (any && part->figure && strcmp(part->figure, "fig12") == 0) write_trained(p);
    any |= write_table(p, part, scratch);
    loom_buf_str(&p->html, "</section>\n");
    if (any) return;
    p->html.len = before;
    p->html.data[before] = 0;
}

/* ---- how it was made ---- */

/* The command that made an input, from its own provenance; nothing when there is none. */
static void write_maker(page *p, const char *input)
{
    loom_json *meta = loom_meta_load(input, true);
    if (meta) {
        loom_buf_str(&p->html, "<code>");
        loom_html_text(&p->html, loom_json_text(meta, "command_line"));
        loom_buf_str(&p->html, "</code>");
    }
    loom_json_free(meta);
}

static void write_run(page *p, const char *name, const loom_json *run)
{
    const loom_json *inputs = loom_json_get(run, "inputs");
    loom_buf_str(&p->html, "<h3>");
    loom_html_text(&p->html, name);
    loom_buf_printf(&p->html, "</h3><p><code>");
    loom_html_text(&p->html, loom_json_text(run, "command_line"));
    loom_buf_str(&p->html, "</code><br>version ");
    loom_html_text(&p->html, loom_json_text(run, "version"));
    loom_buf_printf(&p->html, ", seed %lld", (long long)loom_json_i64(loom_json_get(run, "seed"), 0));
    double seconds = loom_json_f64(loom_json_get(run, "seconds"), -1);
    if (seconds >= 0) loom_buf_printf(&p->html, ", %.1f s", seconds);
    loom_buf_str(
        &p->html,
        "</p>\n<div class=\"wide\" tabindex=\"0\"><table class=\"cards\"><tr class=\"h\"><th>Input</th><th>Bytes</th><th>XXH3-128</th><th>Made by</th></tr>\n");
    for (size_t i = 0; i < loom_json_len(inputs); i++) {
        const loom_json *in = loom_json_at(inputs, i);
        loom_buf_str(&p->html, "<tr>");
        cell(&p->html, "Input", loom_json_text(in, "path"));
        loom_buf_printf(&p->html, "<td class=\"n\" data-l=\"Bytes\">%lld</td><td data-l=\"XXH3-128\"><code>",
                        (long long)loom_json_i64(loom_json_get(in, "bytes"), 0));
        loom_html_text(&p->html, loom_json_text(in, "xxh3_128"));
        loom_buf_str(&p->html, "</code></td><td data-l=\"Made by\">");
        write_maker(p, loom_json_text(in, "path"));
        loom_buf_str(&p->html, "</td></tr>\n");
    }
    loom_buf_str(&p->html, "</table></div>\n");
}

static void write_provenance(page *p)
{
    const loom_json *runs = loom_json_get(p->manifest, "runs");
    loom_buf_str(&p->html, "<section><h2>How this was made</h2>\n<details><summary>Commands and inputs</summary>\n");
    for (void *it = loom_json_iter(runs); it; it = loom_json_iter_next(runs, it))
        write_run(p, loom_json_iter_key(it), loom_json_iter_value(it));
    loom_buf_str(&p->html, "</details></section>\n");
}

static void write_head(page *p)
{
    const loom_json *runs = loom_json_get(p->manifest, "runs");
    int64_t seed = -1;
    for (void *it = loom_json_iter(runs); it; it = loom_json_iter_next(runs, it))
        seed = loom_max_i64(seed, loom_json_i64(loom_json_get(loom_json_iter_value(it), "sample_traces_seed"), -1));
    loom_buf_str(
        &p->html,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
        /* pictures and texts come from files: whatever they hold, a browser runs and loads nothing */
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'none'\">"
        "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>");
    loom_html_text(&p->html, p->conf->title);
    loom_buf_printf(&p->html, "</title><style>%s</style></head><body><main>\n<h1>", style);
    loom_html_text(&p->html, p->conf->title);
    loom_buf_str(
        &p->html,
        "</h1>\n<p class=\"lead\">After the figures of <i>Large Language Models as Realistic Microservice Trace "
        "Generators</i> (arXiv 2502.17439).</p>\n");
    if (seed >= 0)
        loom_buf_printf(
            &p->html,
            "<p class=\"note\">Synthetic sample data (seed %lld): the traces behind these numbers are made up, so "
            "only orders and gaps can be compared with the paper, not values.</p>\n",
            (long long)seed);
}

static loom_status read_manifest(page *p, loom_err *err)
{
    loom_buf path = {0};
    loom_status st;
    loom_buf_printf(&path, "%s/manifest.json", p->dir);
    if (!loom_file_exists(path.data))
        st = loom_fail(
            err, LOOM_STATUS_IO,
            "%s holds no manifest.json; give the folder that loom-eval heatmap, similarity or others wrote into",
            p->dir);
    else if ((st = loom_json_read_file(&p->manifest, path.data, LOOM_BOUND_JSON, err)) == LOOM_OK &&
             !loom_json_is_object(loom_json_get(p->manifest, "runs")))
        st = loom_fail(err, LOOM_STATUS_FORMAT, "%s: not a manifest of loom-eval results; run the commands again",
                       path.data);
    loom_buf_release(&path);
    return st;
}

static loom_status run_report(const loom_ctx *ctx, loom_err *err)
{
    page p = {.dir = ctx->args[0], .conf = ctx->conf};
    loom_buf scratch = {0}, path = {0};
    loom_status st;
    if ((st = read_manifest(&p, err)) != LOOM_OK) goto done;
    write_head(&p);
    write_summary(&p);
    for (size_t i = 0; i < sizeof chapters / sizeof *chapters; i++) write_part(&p, &chapters[i], &scratch);
    write_provenance(&p);
    loom_buf_str(&p.html, "</main>\n</body></html>\n");
    if (p.conf->output) loom_buf_str(&path, p.conf->output);
    else loom_buf_printf(&path, "%s/report.html", p.dir);
    if ((st = p.st) != LOOM_OK) {
        if (err) *err = p.trouble;
        goto done;
    }
    st = strcmp(path.data, "-") == 0 ? loom_stdout_write(p.html.data, p.html.len, err)
                                     : loom_file_write(path.data, p.html.data, p.html.len, ctx->common.force, err);
    if (st == LOOM_OK && p.n_pictures == 0)
        loom_warn("%s holds no SVG pictures; with gnuplot installed, run the commands again with --force", p.dir);
    if (st == LOOM_OK)
        loom_info("%s: %lld pictures, %lld KiB", path.data, (long long)p.n_pictures, (long long)(p.html.len >> 10));
done:
    loom_json_free(p.manifest);
    loom_buf_release(&p.html);
    loom_buf_release(&scratch);
    loom_buf_release(&path);
    return st;
}

const loom_cmd loom_cmd_report = {
    .name = "report",
    .summary = "put a results folder on one self-contained page",
    .args = "DIR",
    .min_args = 1,
    .max_args = 1,
    .details =
        "Pictures, tables, the paper's numbers beside these, and how everything was made, in one HTML file without\n"
        "scripts or links to other files.\n\n"
        "  loom-eval report results\n",
    .opts = report_opts,
    .conf_size = sizeof(report_conf),
    .run = run_report};
