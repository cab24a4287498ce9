/* Inside of core/cli.h: the tables behind --help for other readers: `PROGRAM --help-format FORMAT` prints them as
 *
 *   list   one line for each subcommand: NAME, tab, one sentence; the first line has the program's own name
 *   man    a manual page
 *   bash   a completion function for bash; `loom --help-format bash` has what it calls
 *   zsh    the same for zsh
 *
 * Installing writes manual pages and completions with it, so that nothing is told twice. */
#ifndef LOOM_CORE_CLI_IMPL_H
#define LOOM_CORE_CLI_IMPL_H

#include "core/cli.h"

#define LOOM_HELP_FORMATS "list|man|bash|zsh"

/* ARG for a format that is not there. `common`: the options that every subcommand has. */
loom_status loom_help_format(loom_buf *into, const char *format, const char *program, const char *summary,
                             const loom_cmd *cmds, const loom_opt *common, loom_err *err);

/* The first subcommand from here on, past headings; the end of the table where there is none. */
static inline const loom_cmd *loom_cmd_from(const loom_cmd *c)
{
    while (c->name && !*c->name) c++;
    return c;
}

#endif
