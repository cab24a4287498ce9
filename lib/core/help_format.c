#include "core/cli_impl.h"

#include <ctype.h>

/* ---- manual pages ---- */

/* Text for troff: hyphens that can be copied, no backslash and no request at the start of a line. */
static void roff(loom_buf *into, const char *text)
{
    bool start = true;

    for (const char *c = text; *c; c++) {
        if (start && (*c == '.' || *c == '\'')) loom_buf_str(into, "\\&");
        start = *c == '\n';
        if (*c == '\\') loom_buf_str(into, "\\e");
        else if (*c == '-') loom_buf_str(into, "\\-");
        else loom_buf_char(into, *c);
    }
}

static void man_option(loom_buf *into, const loom_opt *o)
{
    loom_buf_str(into, ".TP\n\\fB");
    if (o->letter) loom_buf_printf(into, "\\-%c\\fR, \\fB", o->letter);
    roff(into, "--");
    roff(into, o->name);
    loom_buf_str(into, "\\fR");
    if (o->type != LOOM_OPT_TYPE_FLAG) {
        loom_buf_str(into, " \\fI");
        roff(into, o->meta ? o->meta : "VALUE");
        loom_buf_str(into, "\\fR");
    }
    loom_buf_char(into, '\n');
    roff(into, o->help);
    if (o->value && *o->value && o->type != LOOM_OPT_TYPE_FLAG) {
        loom_buf_str(into, " [");
        roff(into, o->value);
        loom_buf_char(into, ']');
    } else if (o->type == LOOM_OPT_TYPE_FLAG && strcmp(o->value, "true") == 0) {
        loom_buf_str(into, " [on]");
    }
    loom_buf_char(into, '\n');
}

static void man_options(loom_buf *into, const loom_opt *opts)
{
    bool hidden = false;

    for (const loom_opt *o = opts; o->type != LOOM_OPT_TYPE_END; o++) {
        if (o->type == LOOM_OPT_TYPE_GROUP) {
            hidden = o->hidden;
            if (hidden) continue;
            loom_buf_str(into, ".PP\n");
            roff(into, o->name);
            loom_buf_str(into, ":\n");
        } else if (loom_opt_is_value(o) && !hidden && !o->hidden) {
            man_option(into, o);
        }
    }
}

static void man_command(loom_buf *into, const char *program, const loom_cmd *c)
{
    loom_buf_str(into, ".SH ");
    for (const char *p = c->name; *p; p++) loom_buf_char(into, (char)toupper((unsigned char)*p));
    loom_buf_str(into, "\n\\fB");
    roff(into, program);
    loom_buf_char(into, ' ');
    roff(into, c->name);
    loom_buf_str(into, "\\fR [\\fIoptions\\fR]");
    if (*c->args) loom_buf_char(into, ' ');
    roff(into, c->args);
    loom_buf_str(into, "\n.PP\n");
    roff(into, c->summary);
    loom_buf_char(into, '\n');
    if (c->details) {
        loom_buf_str(into, ".PP\n.nf\n");
        roff(into, c->details);
        loom_buf_str(into, ".fi\n");
    }
    man_options(into, c->opts);
}

static void man_page(loom_buf *into, const char *program, const char *summary, const loom_cmd *cmds,
                     const loom_opt *common)
{
    loom_buf_str(into, ".TH ");
    for (const char *p = program; *p; p++) loom_buf_char(into, (char)toupper((unsigned char)*p));
    loom_buf_printf(into, " 1 \"\" \"Spanloom %s\" \"Spanloom\"\n.SH NAME\n", LOOM_VERSION);
    roff(into, program);
    loom_buf_str(into, " \\- ");
    roff(into, summary);
    loom_buf_str(into, "\n.SH SYNOPSIS\n\\fB");
    roff(into, program);
    loom_buf_str(into, "\\fR \\fISUBCOMMAND\\fR [\\fIoptions\\fR] ...\n.SH SUBCOMMANDS\n");
    for (const loom_cmd *c = loom_cmd_from(cmds); c->name; c = loom_cmd_from(c + 1)) {
        loom_buf_str(into, ".TP\n\\fB");
        roff(into, c->name);
        loom_buf_str(into, "\\fR\n");
        roff(into, c->summary);
        loom_buf_char(into, '\n');
    }
    for (const loom_cmd *c = loom_cmd_from(cmds); c->name; c = loom_cmd_from(c + 1)) man_command(into, program, c);
    loom_buf_str(into, ".SH COMMON OPTIONS\nEvery subcommand has these.\n");
    man_options(into, common);
    loom_buf_str(into,
                 ".SH EXIT STATUS\n"
                 "0 done; 1 failed; 2 wrong use; 3 ran, with a negative verdict; 130 interrupted after tidying up.\n"
                 ".SH SEE ALSO\n"
                 "\\fBloom\\fR(1), \\fBloom\\-preprocess\\fR(1), \\fBloom\\-train\\fR(1), \\fBloom\\-infer\\fR(1), "
                 "\\fBloom\\-eval\\fR(1)\n");
}

/* ---- completion ---- */

static bool takes_path(const loom_opt *o)
{
    return o->role != LOOM_OPT_SETTING ||
           (o->meta && (strstr(o->meta, "FILE") || strstr(o->meta, "PATH") || strstr(o->meta, "FOLDER")));
}

/* "loom-infer" as a name for a function. */
static void function_name(loom_buf *into, const char *program)
{
    loom_buf_char(into, '_');
    for (const char *p = program; *p; p++) loom_buf_char(into, *p == '-' ? '_' : *p);
}

/* --model=@ -m=@ --mode=a|b --edges=- --force: what follows an option is a path, a choice, something else, nothing.
 * */
static void bash_options(loom_buf *into, const loom_opt *opts)
{
    bool hidden = false;

    for (const loom_opt *o = opts; o->type != LOOM_OPT_TYPE_END; o++) {
        if (o->type == LOOM_OPT_TYPE_GROUP) hidden = o->hidden;
        if (!loom_opt_is_value(o) || hidden || o->hidden) continue;
        const char *kind = o->type == LOOM_OPT_TYPE_FLAG   ? NULL
                           : o->type == LOOM_OPT_TYPE_ENUM ? o->meta
                           : takes_path(o)                 ? "@"
                                                           : "-";
        loom_buf_printf(into, " --%s%s%s", o->name, kind ? "=" : "", kind ? kind : "");
        if (o->letter) loom_buf_printf(into, " -%c%s%s", o->letter, kind ? "=" : "", kind ? kind : "");
    }
}

static void bash_completion(loom_buf *into, const char *program, const loom_cmd *cmds, const loom_opt *common)
{
    function_name(into, program);
    loom_buf_str(into, "() {\n    local common='");
    bash_options(into, common);
    loom_buf_str(into, "'\n    case $1 in\n");
    for (const loom_cmd *c = loom_cmd_from(cmds); c->name; c = loom_cmd_from(c + 1)) {
        loom_buf_printf(into, "    %s) _loom_reply \"$common", c->name);
        bash_options(into, c->opts);
        loom_buf_str(into, "\" ;;\n");
    }
    loom_buf_str(into, "    '') _loom_words '");
    for (const loom_cmd *c = loom_cmd_from(cmds); c->name; c = loom_cmd_from(c + 1))
        loom_buf_printf(into, "%s%s", c == loom_cmd_from(cmds) ? "" : " ", c->name);
    loom_buf_str(into, "' ;;\n    *) return 1 ;;\n    esac\n}\n");
}

/* Within single quotes and the brackets of _arguments. */
static void zsh_text(loom_buf *into, const char *text)
{
    for (const char *c = text; *c; c++) {
        if (*c == '\'') loom_buf_str(into, "'\\''");
        else if (strchr("[]:\\", *c)) loom_buf_printf(into, "\\%c", *c);
        else loom_buf_char(into, *c);
    }
}

static void zsh_options(loom_buf *into, const loom_opt *opts)
{
    bool hidden = false;

    for (const loom_opt *o = opts; o->type != LOOM_OPT_TYPE_END; o++) {
        if (o->type == LOOM_OPT_TYPE_GROUP) hidden = o->hidden;
        if (!loom_opt_is_value(o) || hidden || o->hidden) continue;
        for (int form = 0; form < 2; form++) {
            if (form == 1 && !o->letter) break;
            if (form == 0) loom_buf_printf(into, " '--%s[", o->name);
            else loom_buf_printf(into, " '-%c[", o->letter);
            zsh_text(into, o->help);
            loom_buf_char(into, ']');
            if (o->type != LOOM_OPT_TYPE_FLAG) {
                loom_buf_char(into, ':');
                zsh_text(into, o->type == LOOM_OPT_TYPE_ENUM || !o->meta ? "value" : o->meta);
                loom_buf_char(into, ':');
                if (o->type == LOOM_OPT_TYPE_ENUM) {
                    loom_buf_char(into, '(');
                    for (const char *c = o->meta; *c; c++) loom_buf_char(into, *c == '|' ? ' ' : *c);
                    loom_buf_char(into, ')');
                } else if (takes_path(o)) {
                    loom_buf_str(into, "_files");
                }
            }
            loom_buf_char(into, '\'');
        }
    }
}

static void zsh_completion(loom_buf *into, const char *program, const loom_cmd *cmds, const loom_opt *common)
{
    function_name(into, program);
    loom_buf_str(into, "() {\n    local -a common=(");
    zsh_options(into, common);
    loom_buf_str(into, ")\n    case $1 in\n");
    for (const loom_cmd *c = loom_cmd_from(cmds); c->name; c = loom_cmd_from(c + 1)) {
        loom_buf_printf(into, "    %s) _arguments $common", c->name);
        zsh_options(into, c->opts);
        loom_buf_str(into, " '*:file:_files' ;;\n");
    }
    loom_buf_str(into, "    '') local -a commands=(");
    for (const loom_cmd *c = loom_cmd_from(cmds); c->name; c = loom_cmd_from(c + 1)) {
        loom_buf_printf(into, " '%s:", c->name);
        zsh_text(into, c->summary);
        loom_buf_char(into, '\'');
    }
    loom_buf_str(into, "); _describe subcommand commands ;;\n    *) return 1 ;;\n    esac\n}\n");
}

loom_status loom_help_format(loom_buf *into, const char *format, const char *program, const char *summary,
                             const loom_cmd *cmds, const loom_opt *common, loom_err *err)
{
    if (strcmp(format, "man") == 0) {
        man_page(into, program, summary, cmds, common);
    } else if (strcmp(format, "bash") == 0) {
        bash_completion(into, program, cmds, common);
    } else if (strcmp(format, "zsh") == 0) {
        zsh_completion(into, program, cmds, common);
    } else if (strcmp(format, "list") == 0) {
        loom_buf_printf(into, "%s\t%s\n", program, summary);
        for (const loom_cmd *c = loom_cmd_from(cmds); c->name; c = loom_cmd_from(c + 1))
            loom_buf_printf(into, "%s\t%s\n", c->name, c->summary);
    } else {
        return loom_fail(err, LOOM_STATUS_ARG, "--help-format is \"%s\", expected %s", format, LOOM_HELP_FORMATS);
    }
    return loom_buf_check(into, "the help", err);
}
