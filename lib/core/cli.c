/* The command line of all programs. Longer than most: an option comes from the configuration file, the command line or
 * an older name, and what one of them sets the others must know. */
#include "core/cli.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <unistd.h>

#include "core/cli_impl.h"
#include "core/escape.h"
#include "core/file_impl.h"
#include "core/hash.h"
#include "core/launch.h"
#include "core/log.h"
#include "core/nomem.h"
#include "core/num.h"
#include "core/shared_path.h"
#include "core/usage.h"

/* Section names that a configuration file may hold: "common" and every subcommand of the four executables, so that a
 * misspelt section is found by whichever command reads the file. tests/cli/test_sections.sh compares it with --help. */
static const char *const known_sections[] = {
    "common",        "recipe", /* read by the data rules (Makefile.recipe), no subcommand */
    "sample-traces", "graphs",     "anonymise",   "canaries", "dedupe",     "split",        "stats",     "describe",
    "encode",        "balance",    "tokenizer",   "tokens",   "pretrain",   "sft",          "import",    "merge",
    "average",       "adapt",      "export",      "info",     "bench",      "sample",       "complete",  "convert",
    "show",          "serve",      "prompts",     "heatmap",  "similarity", "memorization", "privacy",   "distribution",
    "baseline",      "management", "tvae",        "topology", "compare",    "view",         "following", "variants",
    "ladder",        "few-shot",   "settings",    "figures",  "report",     "oracle",       "classify",  "classes",
    "infilling",     "jobs",       "sample-jobs", "push",     NULL};

/* --help and --version are handled before the table is consulted, but stand in it so that help lists them. */
struct common_conf {
    loom_common common;
    bool help, version, print_config;
};

static const loom_opt common_opts[] = {
    LOOM_OPT_GROUP("Common options"),
    LOOM_OPT_FLAG("help", 'h', struct common_conf, help, "this text"),
    LOOM_OPT_FLAG("version", 0, struct common_conf, version, "version, libraries and machine"),
    LOOM_OPT_STR("config", 'c', struct common_conf, common.config, NULL, "FILE",
                 "read options from FILE (key = value, # comments, [sections] named like subcommands)"),
    LOOM_OPT_FLAG("print-config", 0, struct common_conf, print_config,
                  "print the options in force as a configuration file, and stop"),
    LOOM_OPT_I64("threads", 0, struct common_conf, common.threads, "0", 0, 1024, "N",
                 "threads; 0: as many as this process may use"),
    LOOM_OPT_I64("seed", 0, struct common_conf, common.seed, "1", 0, 9007199254740992.0, "N",
                 "seed of every random draw"),
    LOOM_OPT_FLAG("quiet", 'q', struct common_conf, common.quiet, "say only errors and warnings"),
    LOOM_OPT_FLAG("verbose", 'v', struct common_conf, common.verbose, "say more"),
    LOOM_OPT_ENUM("progress", 0, struct common_conf, common.progress, "auto", "auto|always|never",
                  "progress on standard error"),
    LOOM_OPT_FLAG("json", 0, struct common_conf, common.json,
                  "results as JSON on standard output, where there are any"),
    LOOM_OPT_FLAG("dry-run", 0, struct common_conf, common.dry_run, "check the request and say what would be done"),
    LOOM_OPT_FLAG("safe-csv", 0, struct common_conf, common.safe_csv,
                  "tables: an apostrophe before each cell that a spreadsheet would run as a formula"),
    LOOM_OPT_FLAG("force", 'f', struct common_conf, common.force, "replace existing outputs"),
    LOOM_OPT_FLAG("update", 0, struct common_conf, common.update,
                  "do nothing when the outputs are up to date, replace them otherwise"),
    LOOM_OPT_END};

static loom_buf version_lines;

void loom_cli_add_version_line(const char *text) { loom_buf_printf(&version_lines, "%s\n", text); }

loom_status loom_stdout_write(const void *data, size_t len, loom_err *err)
{
    LOOM_TRY(loom_nomem_check("standard output", err)); /* something may be missing in it */
    if (fwrite(data, 1, len, stdout) != len || fflush(stdout) != 0)
        return loom_fail(err, LOOM_STATUS_IO, "cannot write to standard output: %s", strerror(errno));
    loom_nomem_note_result();
    return LOOM_OK;
}

loom_status loom_stdout_text(const void *data, size_t len, loom_err *err)
{
    loom_buf shown = {0};
    loom_escape_lines(&shown, data, len);
    loom_status st = loom_stdout_write(loom_buf_text(&shown), shown.len, err);
    loom_buf_release(&shown);
    return st;
}

int64_t loom_cpu_count(void)
{
    int64_t n = 1;
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) n = CPU_COUNT(&set);
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "r"); /* "max 100000" or "150000 100000" */
    if (f) {
        long long quota, period;
        if (fscanf(f, "%lld %lld", &quota, &period) == 2 && quota > 0 && period > 0)
            n = loom_min_i64(n, loom_max_i64(1, (quota + period - 1) / period));
        fclose(f);
    }
    return loom_max_i64(n, 1);
}

/* ---- one run of the command line ---- */

struct run {
    const char *program;
    const loom_cmd *cmd;
    struct common_conf common;
    void *conf;
    loom_arena arena;
    char **args;
    int n_args;
    bool *given; /* of each option of the subcommand: on the command line */
    loom_buf command_line;
};

static bool word_needs_quotes(const char *w)
{
    if (!*w) return true;
    for (; *w; w++)
        if (!isalnum((unsigned char)*w) && !strchr("-_./=:,+@%", *w)) return true;
    return false;
}

static void quote_command_line(loom_buf *into, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (i) loom_buf_char(into, ' ');
        if (!word_needs_quotes(argv[i])) {
            loom_buf_str(into, argv[i]);
            continue;
        }
        loom_buf_char(into, '\'');
        for (const char *c = argv[i]; *c; c++) {
            if (*c == '\'') loom_buf_str(into, "'\\''");
            else loom_buf_char(into, *c);
        }
        loom_buf_char(into, '\'');
    }
}

/* The option of a name among the command's own, then the common ones; *conf is what it belongs to. */
static const loom_opt *find_option(struct run *r, const char *name, void **conf)
{
    const loom_opt *o = loom_opt_find(r->cmd->opts, name);
    *conf = r->conf;
    if (o) return o;
    *conf = &r->common;
    return loom_opt_find(common_opts, name);
}

static const loom_opt *find_letter(struct run *r, char letter, void **conf)
{
    const loom_opt *tables[] = {r->cmd->opts, common_opts};
    void *confs[] = {r->conf, &r->common};
    for (int t = 0; t < 2; t++)
        for (const loom_opt *o = tables[t]; o->type != LOOM_OPT_TYPE_END; o++)
            if (loom_opt_is_value(o) && o->letter == letter) {
                *conf = confs[t];
                return o;
            }
    return NULL;
}

/* An option by an older spelling: says what it is called now. NULL: there is none. */
static const loom_opt *find_renamed(struct run *r, const char *where, const char *name, char letter,
                                    const loom_opt **was)
{
    *was = loom_opt_find_was(r->cmd->opts, name, letter);
    if (!*was) return NULL;
    const loom_opt *now = loom_opt_find(r->cmd->opts, (*was)->value);
    assert(now); /* the table names an option of the table */
    const char *choices = (*was)->meta ? now->meta : NULL;
    loom_warn("%s is called --%s%s%s now", where, now->name, choices ? " " : "", choices ? choices : "");
    return now;
}

/* Edit distance of two short words, for "did you mean". */
static size_t word_distance(const char *a, const char *b)
{
    size_t row[64], m = strlen(b);
    if (m >= 64) return 99;
    for (size_t j = 0; j <= m; j++) row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[m];
}

static void suggest_option(struct run *r, const char *name, char *text, size_t cap)
{
    const loom_opt *tables[] = {r->cmd->opts, common_opts};
    size_t best = 4;
    text[0] = 0;
    for (int t = 0; t < 2; t++)
        for (const loom_opt *o = tables[t]; o->type != LOOM_OPT_TYPE_END; o++) {
            if (!loom_opt_is_value(o) || o->hidden) continue;
            size_t d = word_distance(name, o->name);
            if (d < best) {
                best = d;
                snprintf(text, cap, "; did you mean --%s?", o->name);
            }
        }
}

static loom_status unknown_option(struct run *r, const char *word, const char *name, loom_err *err)
{
    char hint[80];
    suggest_option(r, name, hint, sizeof hint);
    return loom_fail(err, LOOM_STATUS_ARG, "unknown option %s%s (see %s %s --help)", word, hint, r->program,
                     r->cmd->name);
}

/* Remembers that an option of the subcommand stands on the command line. */
static void note_given(struct run *r, const void *conf, const loom_opt *o)
{
    if (conf == r->conf) r->given[o - r->cmd->opts] = true;
}

bool loom_ctx_given(const loom_ctx *ctx, const char *option)
{
    const loom_opt *o = loom_opt_find(ctx->cmd->opts, option);
    return ctx->given && o && ctx->given[o - ctx->cmd->opts];
}

/* Sets one long option; *used = true when it took the next word as its value. */
static loom_status set_long(struct run *r, const char *word, const char *next, bool *used, loom_err *err)
{
    void *conf;
    const loom_opt *was = NULL;
    const char *equals = strchr(word, '='), *value = NULL;
    const char *name = loom_arena_strdup(&r->arena, word + 2, equals ? (size_t)(equals - word - 2) : strlen(word + 2));
    LOOM_TRY(loom_arena_check(&r->arena, "options", err));
    const loom_opt *o = find_option(r, name, &conf);
    *used = false;
    if (!o && strncmp(name, "no-", 3) == 0 && !equals) {
        const loom_opt *flag = find_option(r, name + 3, &conf);
        if (flag && flag->type == LOOM_OPT_TYPE_FLAG) {
            note_given(r, conf, flag);
            return loom_opt_set(conf, flag, "false", word, &r->arena, err);
        }
    }
    if (!o && (o = find_renamed(r, word, name, 0, &was))) conf = r->conf;
    if (!o) return unknown_option(r, word, name, err);
    note_given(r, conf, o);
    if (equals) value = equals + 1;
    else if (o->type == LOOM_OPT_TYPE_FLAG) value = "true";
    else if (next) {
        value = next;
        *used = true;
    } else return loom_fail(err, LOOM_STATUS_ARG, "--%s needs a value (%s)", o->name, o->meta ? o->meta : "VALUE");
    if (was) value = loom_opt_was_value(was, o, value, &r->arena);
    loom_buf where = {0};
    loom_buf_printf(&where, "--%s", o->name);
    loom_status st = loom_opt_set(conf, o, value, loom_buf_text(&where), &r->arena, err);
    loom_buf_release(&where);
    return st;
}

/* -o FILE, -oFILE, -fq (flags together). */
static loom_status set_letters(struct run *r, const char *word, const char *next, bool *used, loom_err *err)
{
    *used = false;
    for (const char *c = word + 1; *c; c++) {
        void *conf;
        char where[3] = {'-', *c, 0};
        const loom_opt *was = NULL, *o = find_letter(r, *c, &conf);
        if (!o && (o = find_renamed(r, where, NULL, *c, &was))) conf = r->conf;
        if (!o) return unknown_option(r, where, where + 1, err);
        note_given(r, conf, o);
        if (o->type == LOOM_OPT_TYPE_FLAG) {
            LOOM_TRY(loom_opt_set(conf, o, "true", where, &r->arena, err));
            continue;
        }
        const char *value = c[1] ? c + 1 : next;
        *used = !c[1];
        if (!value) return loom_fail(err, LOOM_STATUS_ARG, "-%c needs a value (%s)", *c, o->meta ? o->meta : "VALUE");
        if (was) value = loom_opt_was_value(was, o, value, &r->arena);
        return loom_opt_set(conf, o, value, where, &r->arena, err);
    }
    return LOOM_OK;
}

static loom_status parse_words(struct run *r, int argc, char **argv, loom_err *err)
{
    bool options = true;
    for (int i = 0; i < argc; i++) {
        char *w = argv[i];
        bool used = false;
        if (options && strcmp(w, "--") == 0) {
            options = false;
            continue;
        }
        if (options && w[0] == '-' && w[1] == '-')
            LOOM_TRY(set_long(r, w, i + 1 < argc ? argv[i + 1] : NULL, &used, err));
        else if (options && w[0] == '-' && w[1])
            LOOM_TRY(set_letters(r, w, i + 1 < argc ? argv[i + 1] : NULL, &used, err));
        else r->args[r->n_args++] = w;
        i += used;
    }
    return LOOM_OK;
}

/* ---- configuration file ---- */

static char *trim(char *text)
{
    while (isspace((unsigned char)*text)) text++;
    size_t n = strlen(text);
    while (n > 0 && isspace((unsigned char)text[n - 1])) text[--n] = 0;
    return text;
}

static bool section_known(const char *name)
{
    for (const char *const *s = known_sections; *s; s++)
        if (strcmp(*s, name) == 0) return true;
    return false;
}

/* "[a, b]": *common, *own tell whether one of them is [common] or this subcommand. */
static loom_status parse_section(struct run *r, char *line, const char *where, bool *common, bool *own, loom_err *err)
{
    char *close = strchr(line, ']');
    if (!close || *trim(close + 1)) return loom_fail(err, LOOM_STATUS_ARG, "%s: expected [section]", where);
    *close = 0;
    *common = *own = false;
    for (char *name = line + 1, *comma; name; name = comma ? comma + 1 : NULL) {
        comma = strchr(name, ',');
        if (comma) *comma = 0;
        name = trim(name);
        if (!section_known(name))
            return loom_fail(err, LOOM_STATUS_ARG,
                             "%s: unknown section [%s]; sections are named like subcommands, or [common], [recipe]",
                             where, name);
        *common |= strcmp(name, "common") == 0;
        *own |= strcmp(name, r->cmd->name) == 0;
    }
    return LOOM_OK;
}

/* Value: bare up to a '#' that follows a space, or double-quoted with \" \\ \n. */
static loom_status parse_value(char *text, const char *where, char **value, loom_err *err)
{
    text = trim(text);
    if (*text != '"') {
        for (char *c = text; *c; c++)
            if (*c == '#' && (c == text || isspace((unsigned char)c[-1]))) {
                *c = 0;
                break;
            }
        *value = trim(text);
        return LOOM_OK;
    }
    char *w = text, *c = text + 1;
    for (; *c && *c != '"'; c++) {
        if (*c == '\\' && c[1]) {
            c++;
            *w++ = *c == 'n' ? '\n' : *c;
        } else *w++ = *c;
    }
    if (*c != '"') return loom_fail(err, LOOM_STATUS_ARG, "%s: the quote is not closed", where);
    char *rest = trim(c + 1);
    if (*rest && *rest != '#') return loom_fail(err, LOOM_STATUS_ARG, "%s: \"%s\" stands after the value", where, rest);
    *w = 0;
    *value = text;
    return LOOM_OK;
}

struct config_state {
    const char *path;
    bool common, own; /* which tables the current section reaches */
    bool begun;       /* a key was there */
    bool sectioned;   /* a section was */
    bool included;    /* by another file */
    loom_intern seen; /* "section kind/key" already set */
};

static loom_status read_config(struct run *r, const char *path, bool included, loom_err *err);

/* "include = FILE", from the folder of the file that says so, which may be known by a link: what stands there is in force
 * before all that follows here. */
static loom_status include_config(struct run *r, struct config_state *s, const char *file, const char *where,
                                  loom_err *err)
{
    char real[PATH_MAX];
    const char *slash = realpath(s->path, real) ? strrchr(real, '/') : NULL;
    loom_buf path = {0};

    if (s->begun)
        return loom_fail(err, LOOM_STATUS_ARG, "%s: include goes before every other key: those override it", where);
    s->begun = true;
    if (s->included)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "%s: this file is included itself; name %s in the file that is read first", where, file);
    if (!*file) return loom_fail(err, LOOM_STATUS_ARG, "%s: include names no file", where);
    if (slash && *file != '/') loom_buf_append(&path, real, (size_t)(slash - real) + 1);
    loom_buf_str(&path, file);
    loom_status st = loom_buf_check(&path, "the configuration", err);
    if (st == LOOM_OK && !loom_file_exists(path.data))
        st = loom_fail(err, LOOM_STATUS_IO, "%s: there is no %s to include", where, path.data);
    if (st == LOOM_OK) st = read_config(r, path.data, true, err);
    loom_buf_release(&path);
    return st;
}

static loom_status config_line(struct run *r, struct config_state *s, char *line, const char *where, loom_err *err)
{
    char *value = NULL; /* gcc cannot see that success sets it */
    line = trim(line);
    if (!*line || *line == '#') return LOOM_OK;
    if (*line == '[') {
        char *comment = strchr(line, '#');
        if (comment) *comment = 0;
        s->sectioned = true;
        return parse_section(r, line, where, &s->common, &s->own, err);
    }
    char *equals = strchr(line, '=');
    if (!equals) return loom_fail(err, LOOM_STATUS_ARG, "%s: expected key = value, found \"%.60s\"", where, line);
    *equals = 0;
    const char *key = trim(line);
    LOOM_TRY(parse_value(equals + 1, where, &value, err));
    if (!s->sectioned && strcmp(key, "include") == 0) return include_config(r, s, value, where, err);
    s->begun = true;
    const char *meant = value;
    if (!s->common && !s->own) return LOOM_OK; /* belongs to another subcommand, which checks it */
    const loom_opt *o = NULL, *was = NULL;
    void *conf = NULL;
    if (s->own && (o = loom_opt_find(r->cmd->opts, key))) conf = r->conf;
    if (!o && (o = loom_opt_find(common_opts, key))) conf = &r->common;
    if (!o && s->own) {
        char place[700];
        snprintf(place, sizeof place, "%s: %s", where, key);
        if ((o = find_renamed(r, place, key, 0, &was))) conf = r->conf;
    }
    if (was && o) {
        key = o->name; /* set twice is twice, whatever it is called */
        meant = loom_opt_was_value(was, o, value, &r->arena);
    }
    if (!o) {
        char hint[80];
        suggest_option(r, key, hint, sizeof hint);
        return loom_fail(err, LOOM_STATUS_ARG, "%s: unknown key \"%s\"%s (%s %s --print-config lists the keys)", where,
                         key, hint, r->program, r->cmd->name);
    }
    size_t before = s->seen.n;
    loom_buf mark = {0};
    loom_buf_printf(&mark, "%d/%s", s->own ? 1 : 0, key);
    bool noted = !loom_buf_failed(&mark) && loom_intern_add(&s->seen, mark.data, mark.len) >= 0;
    loom_buf_release(&mark);
    if (!noted) return loom_fail_nomem(err, "the configuration");
    if (s->seen.n == before) return loom_fail(err, LOOM_STATUS_ARG, "%s: \"%s\" is set twice", where, key);
    loom_buf at = {0};
    loom_buf_printf(&at, "%s: %s", where, key);
    loom_status st = loom_opt_set(conf, o, meant, at.data, &r->arena, err);
    loom_buf_release(&at);
    return st;
}

static loom_status read_config(struct run *r, const char *path, bool included, loom_err *err)
{
    loom_status st;
    loom_lines *lines = NULL;
    struct config_state state = {.path = path, .common = true, .included = included};
    char *line;
    size_t len;

    if ((st = loom_lines_open(&lines, path, err)) != LOOM_OK) goto done;
    loom_lines_bound(lines, LOOM_BOUND_SETTINGS);
    for (;;) {
        if ((st = loom_lines_next(lines, &line, &len, err)) != LOOM_OK || !line) break;
        char where[600];
        snprintf(where, sizeof where, "%s:%lld", path, (long long)loom_lines_number(lines));
        if (strlen(line) != len) {
            st = loom_fail(err, LOOM_STATUS_ARG, "%s: a binary file, expected a configuration (key = value)", where);
            break;
        }
        if ((st = config_line(r, &state, line, where, err)) != LOOM_OK) break;
    }
done:
    loom_intern_release(&state.seen);
    loom_lines_close(&lines);
    return st;
}

/* The value of --config / -c among the words, so that the file can be read before the command line overrides it. */
static const char *config_path(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strncmp(argv[i], "--config=", 9) == 0) return argv[i] + 9;
        if ((strcmp(argv[i], "--config") == 0 || strcmp(argv[i], "-c") == 0) && i + 1 < argc) return argv[i + 1];
    }
    return NULL;
}

/* A recipe that comes with the programs, where no file has the name: "demo", "demo.conf", "configs/demo.conf". */
static const char *find_config(struct run *r, const char *path)
{
    static const char *const forms[] = {"%s", "configs/%s", "configs/%s.conf"};
    loom_buf name = {0}, found = {0};

    if (loom_file_exists(path) || path[0] == '/' || strcmp(path, "-") == 0) return path;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        loom_buf_reset(&name);
        for (const char *c = forms[i]; *c; c++) {
            if (*c == '%') loom_buf_str(&name, path), c++;
            else loom_buf_char(&name, *c);
        }
        if (loom_buf_failed(&name) || !loom_shared_path(&found, name.data)) continue;
        path = loom_arena_strdup(&r->arena, found.data, found.len);
        break;
    }
    loom_buf_release(&name);
    loom_buf_release(&found);
    return path;
}

/* ---- help ---- */

static int print_program_help(const char *program, const char *summary, const loom_cmd *cmds, FILE *to)
{
    fprintf(to, "%s %s: %s\n\nUsage: %s SUBCOMMAND [options] ...\n\nSubcommands:\n", program, LOOM_VERSION, summary,
            program);
    for (const loom_cmd *c = cmds; c->name; c++) {
        if (*c->name) fprintf(to, "  %-16s %s\n", c->name, c->summary);
        else fprintf(to, "%s\n", c->summary);
    }
    fprintf(to, "\n%s SUBCOMMAND --help tells the options of one.\n", program);
    return to == stdout && fflush(to) != 0 ? 1 : 0;
}

static loom_status print_text(loom_buf *text, loom_err *err)
{
    loom_status st = loom_stdout_write(loom_buf_text(text), text->len, err);
    loom_buf_release(text);
    return st;
}

static loom_status print_version(const char *program, loom_err *err)
{
    loom_buf text = {0};
    loom_buf_printf(&text, "%s %s\n%s", program, LOOM_VERSION, loom_buf_text(&version_lines));
    return print_text(&text, err);
}

static loom_status print_command_help(struct run *r, loom_err *err)
{
    loom_buf text = {0};
    loom_buf_printf(&text, "%s %s: %s\n\nUsage: %s %s [options]%s%s\n", r->program, r->cmd->name, r->cmd->summary,
                    r->program, r->cmd->name, *r->cmd->args ? " " : "", r->cmd->args);
    if (r->cmd->details) loom_buf_printf(&text, "\n%s\n", r->cmd->details);
    loom_opt_print_help(&text, r->conf, r->cmd->opts);
    struct common_conf fresh = {0};
    loom_status st = loom_opt_defaults(&fresh, common_opts, &r->arena, err);
    if (st == LOOM_OK) loom_opt_print_help(&text, &fresh, common_opts);
    if (st == LOOM_OK) return print_text(&text, err);
    loom_buf_release(&text);
    return st;
}

static loom_status print_config(struct run *r, loom_err *err)
{
    loom_buf text = {0};
    loom_buf_str(&text, "[common]\n");
    loom_buf common = {0};
    loom_opt_print_config(&common, &r->common, common_opts, false);
    for (char *line = loom_buf_failed(&common) ? NULL : common.data, *end; line && *line;
         line = end + 1) { /* without the keys that only make sense once */
        end = strchr(line, '\n');
        size_t key = strcspn(line, " ");
        static const char *const once[] = {"help", "version", "print-config", "config", "#"};
        bool keep = true;
        for (size_t i = 0; i < sizeof once / sizeof *once; i++)
            keep &= key != strlen(once[i]) || memcmp(line, once[i], key) != 0;
        if (keep) loom_buf_append(&text, line, (size_t)(end - line + 1));
    }
    loom_buf_printf(&text, "\n[%s]\n", r->cmd->name);
    loom_opt_print_config(&text, r->conf, r->cmd->opts, true);
    loom_buf_release(&common);
    return print_text(&text, err);
}

/* ---- running ---- */

static loom_status check_args(const struct run *r, loom_err *err)
{
    if (r->common.common.update && !r->cmd->updates)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "%s %s cannot tell whether its outputs are up to date; leave --update out, or give --force",
                         r->program, r->cmd->name);
    if (r->n_args < r->cmd->min_args)
        return loom_fail(err, LOOM_STATUS_ARG, "missing argument: %s %s %s (see --help)", r->program, r->cmd->name,
                         r->cmd->args);
    if (r->cmd->max_args >= 0 && r->n_args > r->cmd->max_args)
        return loom_fail(err, LOOM_STATUS_ARG, "unexpected argument \"%s\" (usage: %s %s [options]%s%s)",
                         r->args[r->cmd->max_args], r->program, r->cmd->name, *r->cmd->args ? " " : "", r->cmd->args);
    return LOOM_OK;
}

/* Several processes that know nothing of one another would write the same outputs. */
static loom_status check_launch(const struct run *r, loom_err *err)
{
    if (loom_launch_size() == 1 || r->cmd->ranks) return LOOM_OK;
    if (loom_launch_rank()) loom_log_mute();
    return loom_fail(err, LOOM_STATUS_ARG,
                     "mpirun started %d processes, and %s %s is a single one; start it without mpirun",
                     loom_launch_size(), r->program, r->cmd->name);
}

static void say_usage(double started)
{
    char wall[24], cpu[24], peak[24];
    double seconds = loom_time_now() - started;
    loom_verbose("%s wall, %s CPU, %s peak memory", loom_format_seconds(wall, sizeof wall, seconds),
                 loom_format_seconds(cpu, sizeof cpu, loom_cpu_seconds()),
                 loom_format_bytes(peak, sizeof peak, (double)loom_peak_bytes()));
}

static loom_status run_command(struct run *r, int argc, char **argv, loom_err *err)
{
    const char *path = config_path(argc, argv);
    r->common = (struct common_conf){0};
    LOOM_TRY(loom_opt_defaults(&r->common, common_opts, &r->arena, err));
    LOOM_TRY(loom_opt_defaults(r->conf, r->cmd->opts, &r->arena, err));
    if (path) {
        path = find_config(r, path);
        LOOM_TRY(loom_arena_check(&r->arena, "options", err));
        LOOM_TRY(read_config(r, path, false, err));
    }
    LOOM_TRY(parse_words(r, argc, argv, err));
    if (r->common.help) return print_command_help(r, err);
    if (r->common.version) return print_version(r->program, err);
    if (r->common.print_config) return print_config(r, err);
    LOOM_TRY(check_args(r, err));
    LOOM_TRY(check_launch(r, err));
    r->common.common.force |= r->common.common.update;
    if (r->common.common.threads == 0) r->common.common.threads = loom_launch_threads(loom_cpu_count());
    loom_log_set_level(r->common.common.quiet     ? LOOM_LOG_QUIET
                       : r->common.common.verbose ? LOOM_LOG_VERBOSE
                                                  : LOOM_LOG_NORMAL);
    loom_ctx ctx = {.program = r->program,
                    .cmd = r->cmd,
                    .common = r->common.common,
                    .conf = r->conf,
                    .args = r->args,
                    .n_args = r->n_args,
                    .command_line = loom_buf_text(&r->command_line),
                    .given = r->given};
    double started = loom_time_now();
    LOOM_TRY(r->cmd->run(&ctx, err));
    if (fflush(stdout) != 0 || ferror(stdout))
        return loom_fail(err, LOOM_STATUS_IO, "cannot write to standard output: %s", strerror(errno));
    LOOM_TRY(loom_nomem_check_end(err));
    say_usage(started);
    return LOOM_OK;
}

static const loom_cmd *find_command(const char *program, const loom_cmd *cmds, const char *name)
{
    const loom_cmd *close = NULL;
    size_t best = 4;
    for (const loom_cmd *c = loom_cmd_from(cmds); c->name; c = loom_cmd_from(c + 1)) {
        if (strcmp(c->name, name) == 0) return c;
        size_t d = word_distance(name, c->name);
        if (d < best) {
            best = d;
            close = c;
        }
    }
    loom_log_set_program(program);
    if (close) loom_error("unknown subcommand \"%s\"; did you mean %s? (see %s --help)", name, close->name, program);
    else loom_error("unknown subcommand \"%s\" (see %s --help)", name, program);
    return NULL;
}

static size_t count_options(const loom_opt *opts)
{
    size_t n = 0;
    while (opts[n].type != LOOM_OPT_TYPE_END) n++;
    return n;
}

int loom_cli_main(const char *program, const char *summary, const loom_cmd *cmds, int argc, char **argv)
{
    loom_err err = {0};
    loom_status st;

    loom_stop_install();
    if (argc < 2) {
        print_program_help(program, summary, cmds, stderr);
        return 2;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0)
        return print_program_help(program, summary, cmds, stdout);
    if (strcmp(argv[1], "--version") == 0) {
        st = print_version(program, &err);
        if (st != LOOM_OK) loom_error("%s", err.msg);
        loom_buf_release(&version_lines);
        return loom_exit_code(st);
    }
    if (argc == 3 && strcmp(argv[1], "--help-format") == 0) {
        loom_buf text = {0};
        st = loom_help_format(&text, argv[2], program, summary, cmds, common_opts, &err);
        if (st == LOOM_OK) st = print_text(&text, &err);
        if (st != LOOM_OK) loom_error("%s", err.msg);
        loom_buf_release(&text);
        loom_buf_release(&version_lines);
        return loom_exit_code(st);
    }
    struct run r = {.program = program, .cmd = find_command(program, cmds, argv[1])};
    if (!r.cmd) return 2;
    char label[80];
    snprintf(label, sizeof label, "%s %s", program, r.cmd->name);
    loom_log_set_program(label);
    r.conf = loom_calloc(1, r.cmd->conf_size);
    r.args = loom_calloc((size_t)argc + 1, sizeof *r.args);
    r.given = loom_calloc(count_options(r.cmd->opts) + 1, sizeof *r.given);
    quote_command_line(&r.command_line, argc, argv);
    st = r.conf && r.args && r.given && !loom_buf_failed(&r.command_line) ? run_command(&r, argc - 2, argv + 2, &err)
                                                                          : loom_fail_nomem(&err, "options");
    st = loom_nomem_explain(st, &err);
    if (st != LOOM_OK) loom_error("%s", err.msg);
    if (st != LOOM_OK) loom_stop_note_told();
    loom_buf_release(&r.command_line);
    loom_arena_release(&r.arena);
    loom_buf_release(&version_lines);
    free(r.conf);
    free(r.args);
    free(r.given);
    return loom_exit_code(st);
}
