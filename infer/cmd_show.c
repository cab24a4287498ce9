#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/num.h"
#include "infer/graphsource.h"
#include "infer/infer_cmds.h"

typedef struct show_conf {
    int64_t skip, limit, width;
    const char *service;
    int colour;
} show_conf;

static const loom_opt show_opts[] = {
    LOOM_OPT_GROUP("Which graphs"),
    LOOM_OPT_I64("skip", 's', show_conf, skip, "0", 0, 1e15, "N", "leave out the first N graphs"),
    LOOM_OPT_I64("limit", 'n', show_conf, limit, "1", 0, 1e15, "N", "graphs to show; 0: all"),
    LOOM_OPT_STR("service", 0, show_conf, service, NULL, "NAME", "only graphs of this service"),
    LOOM_OPT_GROUP("Looks"),
    LOOM_OPT_I64("width", 'w', show_conf, width, "0", 0, 1000, "COLUMNS",
                 "width of the picture; 0: of the terminal, else 100"),
    LOOM_OPT_ENUM("color", 0, show_conf, colour, "auto", "auto|always|never", "colours for the types of calls"),
    LOOM_OPT_END};

enum { BAR_MIN = 10 };

typedef struct show_state {
    const show_conf *conf;
    loom_buf out;
    int64_t seen, shown, columns;
    bool colour;
    char service[64];
} show_state;

static int64_t terminal_columns(const show_conf *c)
{
    struct winsize w;

    if (c->width) return c->width;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col >= 40) return w.ws_col;
    return 100;
}

static void spaces(loom_buf *b, int64_t n)
{
    for (; n > 0; n--) loom_buf_char(b, ' ');
}

/* Is there a later call with the same parent? Then its branch goes on below this one. */
static bool has_later_sibling(const loom_graph *g, int32_t i, int32_t level)
{
    const loom_call *c = &g->calls[i];

    for (int32_t j = i + 1; j < g->n_calls; j++) {
        const loom_call *d = &g->calls[j];
        if (d->n_id < level || !loom_id_equal(d->id, level - 1, c->id, level - 1)) return false;
        if (d->n_id == level) return true;
    }
    return false;
}

/* "├─ " and what stands in front of it; three columns a level. */
static void branch(loom_buf *b, const loom_graph *g, int32_t i)
{
    int32_t depth = g->calls[i].n_id;

    for (int32_t level = 2; level < depth; level++) {
        /* the ancestor on this level is the last call before i with that depth */
        int32_t a = i;
        while (g->calls[a].n_id > level) a--;
        loom_buf_str(b, has_later_sibling(g, a, level) ? "│  " : "   ");
    }
    if (depth > 1) loom_buf_str(b, has_later_sibling(g, i, depth) ? "├─ " : "└─ ");
}

static void bar(loom_buf *b, const loom_call *c, int64_t from, int64_t span, int64_t columns)
{
    int64_t start = span > 0 ? (c->arrived - from) * columns / span : 0;
    int64_t end = span > 0 ? (loom_call_finish(c) - from) * columns / span : columns;

    start = loom_max_i64(0, loom_min_i64(start, columns - 1));
    end = loom_max_i64(start, loom_min_i64(end, columns));
    spaces(b, start);
    if (end == start) loom_buf_str(b, "▏");
    for (int64_t i = start; i < end; i++) loom_buf_str(b, "█");
}

static int64_t label_columns(const loom_call *c)
{
    return 3 * (int64_t)(c->n_id - 1) + (int64_t)strlen(c->destination) + 1 +
           (int64_t)strlen(loom_call_type_name(c->type));
}

static void show_call(show_state *s, const loom_graph *g, int32_t i, int64_t labels, int64_t from, int64_t span)
{
    static const char *const colours[LOOM_CALL_TYPES + 1] = {"\033[34m", "\033[32m", "\033[33m",
                                                             "\033[31m", "\033[35m", ""};
    const loom_call *c = &g->calls[i];
    const char *colour = s->colour ? colours[c->type] : "", *plain = s->colour ? "\033[0m" : "";
    loom_buf *b = &s->out;
    char times[64];

    branch(b, g, i);
    loom_buf_printf(b, "%s %s%s%s", c->destination, colour, loom_call_type_name(c->type), plain);
    spaces(b, labels - label_columns(c));
    int n = snprintf(times, sizeof times, "%lld+%lld ms", (long long)c->arrived, (long long)c->rt);
    spaces(b, 16 - n);
    loom_buf_printf(b, "%s  %s", times, colour);
    bar(b, c, from, span, loom_max_i64(BAR_MIN, s->columns - labels - 18));
    loom_buf_printf(b, "%s\n", plain);
}

static void show_graph(show_state *s, const loom_graph *g)
{
    int64_t labels = 0, from = g->calls[0].arrived, until = loom_call_finish(&g->calls[0]);

    for (int32_t i = 0; i < g->n_calls; i++) {
        labels = loom_max_i64(labels, label_columns(&g->calls[i]));
        from = loom_min_i64(from, g->calls[i].arrived);
        until = loom_max_i64(until, loom_call_finish(&g->calls[i]));
    }
    loom_buf_printf(&s->out, "%s#%lld %s, %d calls, depth %d, %lld ms\n", s->shown ? "\n" : "", (long long)s->seen,
                    g->service, g->n_calls, loom_graph_depth(g), (long long)(until - from));
    for (int32_t i = 0; i < g->n_calls; i++) show_call(s, g, i, labels, from, until - from);
}

static loom_status take(void *arg, const loom_graph *g, loom_err *err)
{
    show_state *s = arg;
    const show_conf *c = s->conf;

    if (s->service[0] && strcmp(s->service, g->service) != 0) return LOOM_OK;
    if (s->seen >= c->skip && (c->limit == 0 || s->shown < c->limit)) {
        show_graph(s, g);
        s->shown++;
        LOOM_TRY(loom_stdout_write(s->out.data, s->out.len, err));
        loom_buf_reset(&s->out);
    }
    s->seen++;
    return LOOM_OK;
}

static loom_status run_show(const loom_ctx *ctx, loom_err *err)
{
    const show_conf *c = ctx->conf;
    show_state s = {.conf = c, .columns = terminal_columns(c)};
    loom_source source = {0};
    loom_buf name = {0};
    loom_status st = LOOM_OK;

    s.colour = c->colour == 1 || (c->colour == 0 && isatty(STDOUT_FILENO) && !getenv("NO_COLOR"));
    if (c->service) {
        loom_name_append_service(&name, c->service, strlen(c->service));
        snprintf(s.service, sizeof s.service, "%s", name.data);
    }
    for (int i = 0; st == LOOM_OK && i < ctx->n_args; i++) st = loom_source_read(&source, ctx->args[i], take, &s, err);
    if (st == LOOM_OK && !s.shown) {
        loom_buf_reset(&name);
        loom_source_render_counts(&source, &name);
        st = loom_fail(err, LOOM_STATUS_ARG, "%s%s: no graph to show: %s", ctx->args[0], ctx->n_args > 1 ? ", ..." : "",
                       name.data);
    }
    loom_buf_release(&s.out);
    loom_buf_release(&name);
    return st;
}

const loom_cmd loom_cmd_show = {
    .name = "show",
    .summary = "draw call graphs as trees in the terminal",
    .args = "FILE...",
    .min_args = 1,
    .max_args = -1,
    .details = "Every call is a line: where it goes, its type, start+duration, and a bar on the graph's time axis.\n"
               "Reads what loom-infer convert reads.\n"
               "\n"
               "  loom-infer show valid.graphs.zst --skip 10 --limit 3\n",
    .opts = show_opts,
    .conf_size = sizeof(show_conf),
    .run = run_show,
};
