/* Options: one table per command serves the command line, the configuration file, --help and --print-config.
 *
 *   typedef struct split_conf { const char *out; int64_t modulo; bool strict; int by; } split_conf;
 *
 *   static const loom_opt split_opts[] = {
 *       LOOM_OPT_GROUP("Output"),
 *       LOOM_OPT_OUT("output", 'o', split_conf, out, "-", "FILE", "where to write"),
 *       LOOM_OPT_I64("modulo", 0, split_conf, modulo, "10", 2, 1000, "N", "one graph in N goes to validation"),
 *       LOOM_OPT_FLAG("strict", 0, split_conf, strict, "stop at the first bad line"),
 *       LOOM_OPT_ENUM("by", 0, split_conf, by, "graph", "graph|service", "unit that is kept together"),
 *       LOOM_OPT_END
 *   };
 *
 * LOOM_OPT_STR is a word, LOOM_OPT_IN a file to read, LOOM_OPT_OUT a file to write: the three differ in what counts for
 * --update (core/meta.h).
 * Defaults are the texts in the table; precedence: default < configuration file < command line.
 * --name VALUE and --name=VALUE; flags: --name, --no-name, --name=true|false; "--" ends the options. */
#ifndef LOOM_CORE_OPT_H
#define LOOM_CORE_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/buf.h"
#include "core/err.h"

typedef enum loom_opt_type {
    LOOM_OPT_TYPE_END,
    LOOM_OPT_TYPE_GROUP, /* heading; the options after it belong to it */
    LOOM_OPT_TYPE_FLAG,  /* bool */
    LOOM_OPT_TYPE_I64,   /* int64_t within [min, max] */
    LOOM_OPT_TYPE_F64,   /* double within [min, max] */
    LOOM_OPT_TYPE_STR,   /* const char *; NULL when neither default nor value is given */
    LOOM_OPT_TYPE_ENUM,  /* int: index into choices */
    LOOM_OPT_TYPE_WAS    /* an older spelling of another option; `value` is its name now */
} loom_opt_type;

/* What an option's value means for the outputs (core/meta.h). */
typedef enum loom_opt_role {
    LOOM_OPT_SETTING, /* may change the bytes of an output */
    LOOM_OPT_INPUT,   /* names a file that is read: its content counts, not its name */
    LOOM_OPT_OUTPUT   /* names a file that is written: does not count */
} loom_opt_role;

typedef struct loom_opt {
    loom_opt_type type;
    const char *name;
    char letter;
    size_t offset;
    const char *value; /* default, as text; NULL: none (STR only) */
    double min, max;
    const char *meta; /* placeholder in --help; for ENUM the choices "a|b|c" */
    const char *help;
    bool hidden; /* GROUP: the options after it are left out of --help (testing aids) */
    loom_opt_role role;
    int mark; /* the command's own note on the option, 0: none */
} loom_opt;

/* The last argument of a macro is the help; what follows it sets members: "help text", .mark = MAY_CHANGE */

#define LOOM_OPT_GROUP(title)                                                                                          \
    {                                                                                                                  \
        .type = LOOM_OPT_TYPE_GROUP, .name = (title)                                                                   \
    }
#define LOOM_OPT_GROUP_HIDDEN(title)                                                                                   \
    {                                                                                                                  \
        .type = LOOM_OPT_TYPE_GROUP, .name = (title), .hidden = true                                                   \
    }
#define LOOM_OPT_FLAG(n, c, S, f, ...)                                                                                 \
    {                                                                                                                  \
        .type = LOOM_OPT_TYPE_FLAG, .name = (n), .letter = (c), .offset = offsetof(S, f), .value = "false",            \
        .help = __VA_ARGS__                                                                                            \
    }
#define LOOM_OPT_FLAG_ON(n, c, S, f, ...)                                                                              \
    {                                                                                                                  \
        .type = LOOM_OPT_TYPE_FLAG, .name = (n), .letter = (c), .offset = offsetof(S, f), .value = "true",             \
        .help = __VA_ARGS__                                                                                            \
    }
#define LOOM_OPT_I64(n, c, S, f, v, lo, hi, m, ...)                                                                    \
    {                                                                                                                  \
        .type = LOOM_OPT_TYPE_I64, .name = (n), .letter = (c), .offset = offsetof(S, f), .value = (v), .min = (lo),    \
        .max = (hi), .meta = (m), .help = __VA_ARGS__                                                                  \
    }
#define LOOM_OPT_F64(n, c, S, f, v, lo, hi, m, ...)                                                                    \
    {                                                                                                                  \
        .type = LOOM_OPT_TYPE_F64, .name = (n), .letter = (c), .offset = offsetof(S, f), .value = (v), .min = (lo),    \
        .max = (hi), .meta = (m), .help = __VA_ARGS__                                                                  \
    }
#define LOOM_OPT_STR(n, c, S, f, v, m, ...)                                                                            \
    {                                                                                                                  \
        .type = LOOM_OPT_TYPE_STR, .name = (n), .letter = (c), .offset = offsetof(S, f), .value = (v), .meta = (m),    \
        .help = __VA_ARGS__                                                                                            \
    }
#define LOOM_OPT_IN(n, c, S, f, v, m, ...)                                                                             \
    {                                                                                                                  \
        .type = LOOM_OPT_TYPE_STR, .name = (n), .letter = (c), .offset = offsetof(S, f), .value = (v), .meta = (m),    \
        .role = LOOM_OPT_INPUT, .help = __VA_ARGS__                                                                    \
    }
#define LOOM_OPT_OUT(n, c, S, f, v, m, ...)                                                                            \
    {                                                                                                                  \
        .type = LOOM_OPT_TYPE_STR, .name = (n), .letter = (c), .offset = offsetof(S, f), .value = (v), .meta = (m),    \
        .role = LOOM_OPT_OUTPUT, .help = __VA_ARGS__                                                                   \
    }
#define LOOM_OPT_ENUM(n, c, S, f, v, choices, ...)                                                                     \
    {                                                                                                                  \
        .type = LOOM_OPT_TYPE_ENUM, .name = (n), .letter = (c), .offset = offsetof(S, f), .value = (v),                \
        .meta = (choices), .help = __VA_ARGS__                                                                         \
    }
/* An older spelling of the option `now`, which goes on working with a notice: its name (NULL: none) or its letter
 * (0: none), and the choices it had, in the order of those it has ("a|b|c"; NULL: the same). A letter means the
 * same option in every subcommand (tests/cli/test_help.sh). */
#define LOOM_OPT_WAS(n, c, now, choices)                                                                               \
    {                                                                                                                  \
        .type = LOOM_OPT_TYPE_WAS, .name = (n), .letter = (c), .value = (now), .meta = (choices)                       \
    }
#define LOOM_OPT_END                                                                                                   \
    {                                                                                                                  \
        .type = LOOM_OPT_TYPE_END                                                                                      \
    }

/* Fills conf with the table's defaults. Strings live in `arena`. */
loom_status loom_opt_defaults(void *conf, const loom_opt *opts, loom_arena *arena, loom_err *err);
/* Sets one option from text; `where` names the place in messages ("--lr", "desk.conf:12"). */
loom_status loom_opt_set(void *conf, const loom_opt *opt, const char *text, const char *where, loom_arena *arena,
                         loom_err *err);
const loom_opt *loom_opt_find(const loom_opt *opts, const char *name);
/* Does the entry hold a value: is it neither heading, end nor older spelling? */
static inline bool loom_opt_is_value(const loom_opt *o)
{
    return o->type != LOOM_OPT_TYPE_END && o->type != LOOM_OPT_TYPE_GROUP && o->type != LOOM_OPT_TYPE_WAS;
}
/* The entry for an older spelling, by name or (name NULL) by letter. */
const loom_opt *loom_opt_find_was(const loom_opt *opts, const char *name, char letter);
/* A value given in the older spelling as the option takes it now; `text` itself where nothing changed. */
const char *loom_opt_was_value(const loom_opt *was, const loom_opt *now, const char *text, loom_arena *arena);
/* The current value as text. */
void loom_opt_value_text(loom_buf *into, const void *conf, const loom_opt *opt);
/* "key = value" lines, with each option's help as comment when `comments`; string values that cannot stand bare are
 * written in double quotes. */
void loom_opt_print_config(loom_buf *into, const void *conf, const loom_opt *opts, bool comments);
void loom_opt_print_help(loom_buf *into, const void *conf, const loom_opt *opts);

#endif
