#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/escape.h"
#include "core/num.h"
#include "infer/commands/infer_cmds.h"
#include "readers/files/graphsource.h"
#include "trace/graph/real_names.h"

typedef struct show_conf {
    int64_t skip, limit, width;
    const char *service, *names_from;
    int colour, symbols;
} show_conf;

static const loom_opt show_opts[] = {
    LOOM_OPT_GROUP("Which graphs"),
    LOOM_OPT_I64("skip", 's', show_conf, skip, "0", 0, 1e15, "N", "leave out the first N graphs of those asked for"),
    LOOM_OPT_I64("limit", 0, show_conf, limit, "1", 0, 1e15, "N", "graphs to show; 0: all"),
    LOOM_OPT_STR("service", 0, show_conf, service, NULL, "NAME", "only graphs of this service"),
    LOOM_OPT_IN("names-from", 0, show_conf, names_from, NULL, "MAPPING",
                "show the real names for MS_n and S_n: the private file that graphs --rename keeps"),
    LOOM_OPT_GROUP("Looks"),
    LOOM_OPT_I64("width", 'w', show_conf, width, "0", 0, 1000, "COLUMNS",
                 "width of the picture in columns; 0: of the terminal, else 100"),
    LOOM_OPT_ENUM("color", 0, show_conf, colour, "auto", "auto|always|never",
                  "colours for the types of calls; auto: on a terminal"),
    LOOM_OPT_ENUM("symbols", 0, show_conf, symbols, "auto", "auto|utf8|ascii",
                  "lines and blocks, or plain characters; auto: by the locale"),
    LOOM_OPT_WAS(NULL, 'n', "limit", NULL),
    LOOM_OPT_END};

enum { BAR_MIN = 10, NAME_MIN = 12, LEVEL_COLUMNS = 3 };

/* What trees and bars are drawn with. */
typedef struct glyphs {
    const char *down, *branch, *last, *blank, *cut, *block, *moment;
} glyphs;

static const glyphs utf8_glyphs = {"│  ", "├─ ", "└─ ", "   ", "…", "█", "▏"};
static const glyphs ascii_glyphs = {"|  ", "|- ", "`- ", "   ", "~", "#", "|"};

typedef struct show_state {
    const show_conf *conf;
    const glyphs *glyphs;
    loom_buf out, name;
    int64_t seen, shown, columns;
    loom_real_names names;
    loom_arena arena;    /* of one graph under its real names */
    bool colour, closed; /* closed: nobody reads any more (head, less) */
    char service[64];
} show_state;

/* Columns of one graph's picture. */
typedef struct layout {
    int64_t labels; /* branches, name and type */
    int64_t times;  /* "start+duration ms" */
    int64_t bar;
    int32_t levels;     /* most levels of branches; outer ones are cut off a deeper call */
    int64_t from, span; /* ms: left end and length of the time axis */
} layout;

static int64_t terminal_columns(const show_conf *c)
{
    struct winsize w;

    if (c->width) return c->width;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0) return loom_max_i64(w.ws_col, 40);
    return 100;
}

/* A locale that is named and is no UTF-8 has no box characters; most that are not named do. */
static bool speaks_utf8(void)
{
    static const char *const variables[] = {"LC_ALL", "LC_CTYPE", "LANG"};

    for (int i = 0; i < 3; i++) {
        const char *locale = getenv(variables[i]);
        if (locale && locale[0]) return strcasestr(locale, "utf-8") || strcasestr(locale, "utf8");
    }
    return true;
}

static void spaces(loom_buf *b, int64_t n)
{
    for (; n > 0; n--) loom_buf_char(b, ' ');
}

static bool starts_letter(char c) { return ((unsigned char)c & 0xc0) != 0x80; }

/* Letters of a text, one column each. */
static int64_t letters(const char *text)
{
    int64_t n = 0;
    for (; *text; text++) n += starts_letter(*text);
    return n;
}

/* Names come from outside: what no terminal should get is spelt out, what a plain one has no letters for is "?". */
static const char *clean_name(show_state *s, const char *name)
{
    loom_buf *b = &s->name;
    bool ascii = s->glyphs == &ascii_glyphs;
    size_t kept = 0;

    loom_buf_reset(b);
    loom_escape(b, name, strlen(name));
    for (size_t i = 0; ascii && i < b->len; i++) {
        unsigned char c = (unsigned char)b->data[i];
        if (c < 0x80 || starts_letter((char)c)) b->data[kept++] = c < 0x80 ? (char)c : '?';
    }
    if (ascii) b->data[b->len = kept] = 0;
    return b->data;
}

/* At most `room` columns of a name; what does not fit is cut out of its middle, ends tell most. */
static void put_name(show_state *s, const char *name, int64_t room)
{
    int64_t n = letters(name), k = 0, tail = (room - 1) / 2, front = room - 1 - tail;

    if (n <= room) {
        loom_buf_str(&s->out, name);
        return;
    }
    for (const char *p = name; *p; p++) {
        if (starts_letter(*p) && k++ == front) loom_buf_str(&s->out, s->glyphs->cut);
        if (k <= front || k > n - tail) loom_buf_char(&s->out, *p);
    }
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

/* "├─ " and what stands in front of it; a call that is too deep shows how deep, and its innermost levels. Returns
 * the columns taken. */
static int64_t branch(show_state *s, const loom_graph *g, int32_t i, int32_t most)
{
    int32_t depth = g->calls[i].n_id, first = 2, levels = depth - 1;
    loom_buf *b = &s->out;
    int64_t taken = 0;

    if (levels > most) {
        char text[24];
        snprintf(text, sizeof text, "%d", depth);
        loom_buf_str(b, s->glyphs->cut);
        loom_buf_str(b, text);
        taken = 1 + (int64_t)strlen(text);
        int32_t lost =
            (int32_t)((taken + LEVEL_COLUMNS) / LEVEL_COLUMNS); /* levels that the number takes the place of */
        spaces(b, lost * LEVEL_COLUMNS - taken);
        taken = lost * LEVEL_COLUMNS;
        levels = (int32_t)loom_max_i64(1, most - lost);
        first = depth - levels + 1;
    }
    for (int32_t level = first; level < depth; level++) {
        /* the ancestor on this level is the last call before i with that depth */
        int32_t a = i;
        while (g->calls[a].n_id > level) a--;
        loom_buf_str(b, has_later_sibling(g, a, level) ? s->glyphs->down : s->glyphs->blank);
    }
    if (depth > 1) loom_buf_str(b, has_later_sibling(g, i, depth) ? s->glyphs->branch : s->glyphs->last);
    return taken + LEVEL_COLUMNS * (int64_t)levels;
}

static void bar(show_state *s, const loom_call *c, const layout *l)
{
    int64_t start = l->span > 0 ? (c->arrived - l->from) * l->bar / l->span : 0;
    int64_t end = l->span > 0 ? (loom_call_finish(c) - l->from) * l->bar / l->span : l->bar;

    start = loom_max_i64(0, loom_min_i64(start, l->bar - 1));
    end = loom_max_i64(start, loom_min_i64(end, l->bar));
    spaces(&s->out, start);
    if (end == start) loom_buf_str(&s->out, s->glyphs->moment);
    for (int64_t i = start; i < end; i++) loom_buf_str(&s->out, s->glyphs->block);
}

static int render_times(char text[64], const loom_call *c)
{
    return snprintf(text, 64, "%lld+%lld ms", (long long)c->arrived, (long long)c->rt);
}

/* Labels get what bars do not need; when that is too little, branches are cut first, then names. */
static void lay_out(layout *l, show_state *s, const loom_graph *g)
{
    int64_t own = 0, all = 0, until = loom_call_finish(&g->calls[0]);
    char text[64];

    *l = (layout){.from = g->calls[0].arrived};
    for (int32_t i = 0; i < g->n_calls; i++) {
        const loom_call *c = &g->calls[i];
        int64_t label = letters(clean_name(s, c->destination)) + 1 + (int64_t)strlen(loom_call_type_name(c->type));
        own = loom_max_i64(own, label);
        all = loom_max_i64(all, label + LEVEL_COLUMNS * (int64_t)(c->n_id - 1));
        l->times = loom_max_i64(l->times, render_times(text, c));
        l->from = loom_min_i64(l->from, c->arrived);
        until = loom_max_i64(until, loom_call_finish(c));
    }
    int64_t room = loom_max_i64(s->columns - l->times - 4 - BAR_MIN, NAME_MIN + 2 * LEVEL_COLUMNS);
    l->labels = loom_min_i64(all, room);
    l->levels =
        all <= room
            ? INT32_MAX
            : (int32_t)loom_max_i64(3, (room - loom_min_i64(own, loom_max_i64(NAME_MIN, room / 2))) / LEVEL_COLUMNS);
    l->bar = loom_max_i64(BAR_MIN, s->columns - l->labels - l->times - 4);
    l->span = until - l->from;
}

static void show_call(show_state *s, const loom_graph *g, int32_t i, const layout *l)
{
    static const char *const colours[LOOM_CALL_TYPES + 1] = {"\033[34m", "\033[32m", "\033[33m",
                                                             "\033[31m", "\033[35m", ""};
    const loom_call *c = &g->calls[i];
    const char *colour = s->colour ? colours[c->type] : "", *plain = s->colour ? "\033[0m" : "";
    const char *type = loom_call_type_name(c->type), *name = clean_name(s, c->destination);
    loom_buf *b = &s->out;
    char times[64];

    int64_t taken = branch(s, g, i, l->levels);
    int64_t room = loom_max_i64(4, l->labels - taken - 1 - (int64_t)strlen(type));
    put_name(s, name, room);
    loom_buf_printf(b, " %s%s%s", colour, type, plain);
    spaces(b, l->labels - taken - loom_min_i64(letters(name), room) - 1 - (int64_t)strlen(type));
    spaces(b, 2 + l->times - render_times(times, c));
    loom_buf_printf(b, "%s  %s", times, colour);
    bar(s, c, l);
    loom_buf_printf(b, "%s\n", plain);
}

static void show_graph(show_state *s, const loom_graph *g)
{
    layout l;

    lay_out(&l, s, g);
    loom_buf_printf(&s->out, "%s#%lld %s, %d call%s, depth %d, %lld ms\n", s->shown ? "\n" : "", (long long)s->seen,
                    clean_name(s, g->service), g->n_calls, g->n_calls == 1 ? "" : "s", loom_graph_depth(g),
                    (long long)l.span);
    for (int32_t i = 0; i < g->n_calls; i++) show_call(s, g, i, &l);
}

static loom_status take(void *arg, const loom_graph *g, loom_err *err)
{
    show_state *s = arg;
    const show_conf *c = s->conf;

    if (s->service[0] && strcmp(s->service, g->service) != 0) return LOOM_OK;
    if (s->seen >= c->skip && (c->limit == 0 || s->shown < c->limit)) {
        loom_graph real = *g;
        loom_arena_reset(&s->arena);
        if (c->names_from) LOOM_TRY(loom_real_names_graph(&real, &s->names, g, &s->arena, err));
        show_graph(s, &real);
        s->shown++;
        loom_status st = loom_stdout_write(s->out.data, s->out.len, err);
        s->closed = st != LOOM_OK && errno == EPIPE;
        if (st != LOOM_OK) return st;
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

    s.glyphs = c->symbols == 2 || (c->symbols == 0 && !speaks_utf8()) ? &ascii_glyphs : &utf8_glyphs;
    s.colour = c->colour == 1 || (c->colour == 0 && isatty(STDOUT_FILENO) && !getenv("NO_COLOR"));
    if (c->service) {
        loom_name_append_service(&name, c->service, strlen(c->service));
        snprintf(s.service, sizeof s.service, "%s", name.data);
    }
    if (c->names_from) st = loom_real_names_load(&s.names, c->names_from, err);
    for (int i = 0; st == LOOM_OK && i < ctx->n_args; i++) st = loom_source_read(&source, ctx->args[i], take, &s, err);
    if (st == LOOM_OK) st = loom_source_finish(&source, take, &s, err);
    if (s.closed) { /* whoever asked has seen enough: no complaint about what is left in the buffer either */
        st = freopen("/dev/null", "w", stdout) ? LOOM_OK : st;
    }
    if (st == LOOM_OK && !s.shown) {
        loom_buf_reset(&name);
        loom_source_render_counts(&source, &name);
        st = loom_fail(err, LOOM_STATUS_ARG, "%s%s: no graph to show: %s", ctx->args[0], ctx->n_args > 1 ? ", ..." : "",
                       name.data);
    }
    loom_source_release(&source);
    loom_real_names_release(&s.names);
    loom_arena_release(&s.arena);
    loom_buf_release(&s.out);
    loom_buf_release(&s.name);
    loom_buf_release(&name);
    return st;
}

const loom_cmd loom_cmd_show = {
    .name = "show",
    .summary = "draw call graphs as trees in the terminal",
    .args = "FILE...",
    .min_args = 1,
    .max_args = -1,
    .details =
        "A graph is a heading (number in the file, service, size, response time) and a line for each call, below the\n"
        "call it belongs to: the microservice called, the type of call, start+duration in milliseconds since the\n"
        "graph began, and a bar on the graph's time axis. A call too deep for the picture shows its depth instead of\n"
        "its outer branches; a long name loses its middle.\n"
        "Reads graph stores, CallGraph CSV, Jaeger, OTLP, Zipkin and tables of spans, like loom-infer convert.\n"
        "\n"
        "  loom-infer show valid.graphs.zst                        the first graph\n"
        "  loom-infer show valid.graphs.zst --skip 10 --limit 3    the next three behind the first ten\n"
        "  loom-infer show jaeger.json --limit 0 | less            all\n",
    .opts = show_opts,
    .conf_size = sizeof(show_conf),
    .run = run_show,
};
