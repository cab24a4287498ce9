/* The command line of every executable: subcommands from a table, common options, configuration file, exit codes.
 *
 *   int main(int argc, char **argv) { return loom_cli_main("loom-eval", "scores call graphs", cmds, argc, argv); }
 *
 * `main` only parses, calls, reports: on failure one line "loom-eval heatmap: <sentence>" on stderr and the exit code
 * of the status (core/err.h). At the end of a run of more than a second: one stderr line with wall, CPU, peak memory.
 *
 * Configuration file (--config): `key = value`, `#` comments, `[section]` or `[section, section]`. Keys before any
 * section and keys in [common] are the common options; a section named like a subcommand holds its options. Sections
 * of other subcommands are skipped, so one file can configure a whole pipeline. `include = FILE` before all of it reads
 * FILE (from the folder of this one) first, and what follows overrides it. An unknown section or key, a duplicate key
 * or trailing characters are errors with file and line. */
#ifndef LOOM_CORE_CLI_H
#define LOOM_CORE_CLI_H

#include "core/err.h"
#include "core/opt.h"

#define LOOM_VERSION "0.1.0"

/* Options that every subcommand has. */
typedef struct loom_common {
    int64_t threads; /* never 0 here: resolved from CPU set and cgroup limit */
    int64_t seed;
    bool quiet, verbose, json, dry_run;
    bool force;    /* replace outputs; --update sets it too */
    bool safe_csv; /* no cell of a table that a spreadsheet would take for a formula (core/csv_cell.h) */
    bool update;   /* do nothing when the outputs are up to date (loom_meta_up_to_date) */
    int progress;  /* 0 auto, 1 always, 2 never */
    const char *config;
} loom_common;

typedef struct loom_cmd loom_cmd;

/* What a subcommand gets. All borrowed until it returns. */
typedef struct loom_ctx {
    const char *program; /* "loom-train" */
    const loom_cmd *cmd;
    loom_common common;
    const void *conf; /* the subcommand's own options */
    char **args;      /* positional arguments */
    int n_args;
    const char *command_line; /* as typed, shell-quoted */
    const bool *given;        /* of each entry of cmd->opts: it stands on the command line; NULL: not known */
} loom_ctx;

/* True when the option was given on the command line, not by a configuration file or by default. */
bool loom_ctx_given(const loom_ctx *ctx, const char *option);

struct loom_cmd {
    const char *name;       /* "pretrain" */
    const char *summary;    /* one line for the list of subcommands */
    const char *args;       /* positional arguments in the usage line: "CSV...", "" */
    int min_args, max_args; /* max -1: no limit */
    const char *details;    /* paragraphs after the usage line; NULL: none. Examples belong here. */
    const loom_opt *opts;
    size_t conf_size;
    loom_status (*run)(const loom_ctx *ctx, loom_err *err);
    bool updates; /* knows --update */
    bool ranks;   /* may be one of several processes that mpirun started (core/ranks.h) */
};                /* a table ends with {.name = NULL} */

/* A heading among the subcommands of a table: what those after it are for. */
#define LOOM_CMD_GOAL(text)                                                                                            \
    {                                                                                                                  \
        .name = "", .summary = (text)                                                                                  \
    }

int loom_cli_main(const char *program, const char *summary, const loom_cmd *cmds, int argc, char **argv);

/* Lines added to --version by floors above core ("OpenBLAS 0.3.21 SkylakeX, 2 threads"); call before loom_cli_main. */
void loom_cli_add_version_line(const char *text);

/* CPUs this process may use: affinity mask and cgroup limit, at least 1. */
int64_t loom_cpu_count(void);

/* Results on stdout: writes and reports a failed write (full disk, closed pipe) as an IO error. */
loom_status loom_stdout_write(const void *data, size_t len, loom_err *err);
/* The same for text that people read: what a terminal would obey is escaped (core/escape.h), line ends and tabs
 * stay. */
loom_status loom_stdout_text(const void *data, size_t len, loom_err *err);

#endif
