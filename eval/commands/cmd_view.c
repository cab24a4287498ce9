/* loom-eval view: single traces in the context of many. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/log.h"
#include "core/num.h"
#include "eval/commands/eval_cmds.h"
#include "eval/systems/read_system.h"
#include "eval/systems/view_page.h"

typedef enum choice { CHOICE_RARE, CHOICE_SLOW, CHOICE_FIRST } choice;

typedef struct view_conf {
    const char *against, *output, *service;
    int64_t top;
    int by;
    bool merge;
} view_conf;

static const loom_opt view_opts[] = {
    LOOM_OPT_GROUP("Which traces"),
    LOOM_OPT_I64("top", 0, view_conf, top, "10", 1, LOOM_VIEW_MOST_TRACES, "N", "traces on the page"),
    LOOM_OPT_ENUM("by", 0, view_conf, by, "rare", "rare|slow|first",
                  "which: of the rarest structure, the slowest, or the first of each input"),
    LOOM_OPT_STR("service", 0, view_conf, service, NULL, "NAME", "only traces of this service"),
    LOOM_OPT_GROUP("Context"),
    LOOM_OPT_IN("against", 0, view_conf, against, NULL, "FILE",
                "graphs that say what is usual; default: the inputs themselves"),
    LOOM_OPT_FLAG("merge", 0, view_conf, merge, "traces may be spread over the files: all are read first"),
    LOOM_OPT_GROUP("Output"),
    LOOM_OPT_OUT("output", 'o', view_conf, output, "view.html", "FILE", "page to write"),
    LOOM_OPT_END};

typedef struct job {
    const loom_ctx *ctx;
    const view_conf *conf;
    loom_shape_tally usual;
    loom_view_trace *traces; /* the best so far, in order of reading */
    loom_arena *arenas;      /* of each of them */
    int64_t n, room, seen;
    const char *origin;
} job;

static loom_status add(void *tally, const loom_graph *g, loom_err *err) { return loom_shape_add(tally, g, err); }
static loom_status join(void *into, void *from, loom_err *err) { return loom_shape_join(into, from, err); }
static void release(void *tally) { loom_shape_release(tally); }

/* Is a to be shown rather than b? Of equals the one that was read first stays. */
static bool before(const job *j, const loom_view_trace *a, const loom_view_trace *b)
{
    double x = j->conf->by == CHOICE_SLOW ? -a->slowness : a->structure,
           y = j->conf->by == CHOICE_SLOW ? -b->slowness : b->structure;
    x = isnan(x) ? -2 : x;
    y = isnan(y) ? -2 : y;
    if (x != y) return x < y;
    return j->conf->by == CHOICE_SLOW && a->graph.calls[0].rt > b->graph.calls[0].rt;
}

/* Keeps the trace when it belongs to the first `room`: in place of the least of them. */
static loom_status take(void *arg, const loom_graph *g, loom_err *err)
{
    job *j = arg;
    loom_view_trace one = {.graph = *g, .origin = j->origin};
    int64_t at = j->n;

    if (j->conf->service && strcmp(j->conf->service, g->service) != 0) return LOOM_OK;
    j->seen++;
    if (j->conf->by == CHOICE_FIRST && j->n >= j->room) return LOOM_OK;
    loom_view_judge(&one, &j->usual);
    if (j->n == j->room) {
        at = 0;
        for (int64_t i = 1; i < j->n; i++)
            if (!before(j, &j->traces[i], &j->traces[at])) at = i;
        if (!before(j, &one, &j->traces[at])) return LOOM_OK;
        loom_arena last = j->arenas[at];
        memmove(&j->traces[at], &j->traces[at + 1], (size_t)(j->n - 1 - at) * sizeof *j->traces);
        memmove(&j->arenas[at], &j->arenas[at + 1], (size_t)(j->n - 1 - at) * sizeof *j->arenas);
        at = --j->n;
        j->arenas[at] = last;
    }
    loom_arena_reset(&j->arenas[at]);
    j->traces[at] = one;
    j->n++;
    return loom_graph_copy(&j->traces[at].graph, g, &j->arenas[at]) ? LOOM_OK : loom_fail_nomem(err, "a trace");
}

static loom_status choose(job *j, loom_err *err)
{
    loom_status st = LOOM_OK;
    int64_t share = loom_max_i64(1, j->conf->top / j->ctx->n_args);
    j->traces = loom_calloc((size_t)j->conf->top, sizeof *j->traces);
    j->arenas = loom_calloc((size_t)j->conf->top, sizeof *j->arenas);
    if (!j->traces || !j->arenas) return loom_fail_nomem(err, "the traces of the page");
    for (int i = 0; st == LOOM_OK && i < j->ctx->n_args; i++) {
        loom_source source = {.merge = j->conf->merge};
        j->origin = j->ctx->args[i];
        j->room = j->conf->by == CHOICE_FIRST && i + 1 < j->ctx->n_args ? loom_min_i64(j->conf->top, share * (i + 1))
                                                                        : j->conf->top;
        st = loom_source_read(&source, j->origin, take, j, err);
        if (st == LOOM_OK) st = loom_source_finish(&source, take, j, err);
        loom_source_release(&source);
    }
    if (st == LOOM_OK && j->n == 0)
        st = loom_fail(err, LOOM_STATUS_ARG, "none of the graphs of %s is of service %s", j->ctx->args[0],
                       j->conf->service ? j->conf->service : "?");
    return st;
}

static loom_status write_page(job *j, loom_meta *meta, loom_err *err)
{
    loom_buf html = {0};
    loom_view_order(j->traces, j->n);
    bool ok = loom_view_page(&html, j->traces, j->n, &j->usual, j->conf->against ? j->conf->against : j->ctx->args[0]);
    loom_status st = ok ? loom_buf_check(&html, "the page", err) : loom_fail_nomem(err, "the page");
    loom_meta_i64(meta, "traces", j->n);
    if (st == LOOM_OK && strcmp(j->conf->output, "-") == 0) st = loom_stdout_write(html.data, html.len, err);
    else if (st == LOOM_OK)
        st = loom_meta_file_write(meta, j->ctx, j->conf->output, html.data, html.len, j->ctx->common.force, err);
    if (st == LOOM_OK)
        loom_info("%s: %lld of %lld traces, %zu KiB", j->conf->output, (long long)j->n, (long long)j->seen,
                  html.len >> 10);
    loom_buf_release(&html);
    return st;
}

static loom_status run_view(const loom_ctx *ctx, loom_err *err)
{
    const loom_tally_kind kind = {sizeof(loom_shape_tally), add, join, release};
    job j = {.ctx = ctx, .conf = ctx->conf};
    loom_meta meta = {0};
    char *one = (char *)(uintptr_t)j.conf->against, **paths = one ? &one : ctx->args;
    loom_status st = LOOM_OK;

    for (int i = 0; i < ctx->n_args; i++) {
        if (strcmp(ctx->args[i], "-") == 0)
            st = loom_fail(err, LOOM_STATUS_ARG, "traces are read twice, which standard input cannot be; give a file");
        else st = loom_meta_input(&meta, ctx->args[i], err);
        if (st != LOOM_OK) goto done;
    }
    if (one && (st = loom_meta_input(&meta, one, err)) != LOOM_OK) goto done;
    if (loom_meta_up_to_date(&meta, ctx, j.conf->output)) goto done;
    if ((st = loom_read_tally(&j.usual, &kind, ctx, paths, one ? 1 : ctx->n_args, j.conf->merge, &meta, "counts",
                              err)) != LOOM_OK)
        goto done;
    if ((st = choose(&j, err)) != LOOM_OK) goto done;
    st = write_page(&j, &meta, err);
done:
    for (int64_t i = 0; j.arenas && i < j.conf->top; i++) loom_arena_release(&j.arenas[i]);
    free(j.arenas);
    free(j.traces);
    loom_shape_release(&j.usual);
    loom_meta_release(&meta);
    return st;
}

const loom_cmd loom_cmd_view = {
    .name = "view",
    .summary = "show single traces in the context of many: what is slow, missing or rare about them",
    .args = "INPUT...",
    .min_args = 1,
    .max_args = -1,
    .details =
        "Writes one page that needs nothing else: each trace as a chart of its calls, and for each call how long it took among\n"
        "such calls from the same caller, and what its operation usually calls and here did not. INPUT are traces of any kind that\n"
        "loom-infer convert reads; with --against they are seen beside others, as generated graphs beside real ones.\n"
        "\n"
        "  loom-eval view all.graphs.zst --by slow -o slow.html\n"
        "  loom-eval view new.graphs.zst --against valid.graphs.zst -o new.html\n",
    .opts = view_opts,
    .conf_size = sizeof(view_conf),
    .run = run_view,
    .updates = true};
