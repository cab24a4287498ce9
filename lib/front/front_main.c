/* `loom`: one command in front of the four. It knows no subcommand itself: it asks the programs beside it
 * (--help-format list), then becomes the one that has it. */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cli.h"
#include "core/log.h"
#include "core/num.h"
#include "core/shared_path.h"

extern char **environ;

static const char summary[] = "call graphs from traces to models and back: one command for all subcommands";
static const char *const stages[] = {"preprocess", "train", "infer", "eval", NULL};
enum { STAGES = 4 };

/* Its path beside this program; else its name, to be looked for in PATH. */
static void program_path(loom_buf *into, const char *stage)
{
    loom_buf folder = {0};

    loom_buf_reset(into);
    if (loom_program_folder(&folder)) loom_buf_printf(into, "%s/loom-%s", folder.data, stage);
    if (!into->len || access(into->data, X_OK) != 0) {
        loom_buf_reset(into);
        loom_buf_printf(into, "loom-%s", stage);
    }
    loom_buf_release(&folder);
}

/* What `loom-STAGE --help-format FORMAT` prints. False, with a sentence said, when it cannot be run. */
static bool ask(loom_buf *into, const char *stage, const char *format)
{
    posix_spawn_file_actions_t actions;
    loom_buf path = {0};
    int ends[2], status = 1;
    pid_t child = -1;
    ssize_t n;

    program_path(&path, stage);
    char *argv[] = {path.data, (char[]){"--help-format"}, NULL, NULL};
    argv[2] = loom_strdup(format);
    if (loom_buf_failed(&path) || !argv[2] || pipe(ends) != 0) {
        free(argv[2]);
        loom_buf_release(&path);
        return false;
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    int failed = posix_spawnp(&child, path.data, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    while (!failed && loom_buf_reserve(into, 4096)) {
        if ((n = read(ends[0], into->data + into->len, 4096)) <= 0) break;
        into->len += (size_t)n;
        into->data[into->len] = 0;
    }
    close(ends[0]);
    if (!failed) waitpid(child, &status, 0);
    if (failed) loom_error("cannot run %s: %s; it should lie beside this program", path.data, strerror(failed));
    else if (status != 0) loom_error("%s does not tell its subcommands; is it of another version?", path.data);
    free(argv[2]);
    loom_buf_release(&path);
    return !failed && status == 0;
}

/* Lines "NAME tab SENTENCE" one by one; NULL behind the last. */
static char *next_line(char **rest, char **sentence)
{
    char *line = *rest, *end = line ? strchr(line, '\n') : NULL, *tab = line ? strchr(line, '\t') : NULL;

    if (!end || !tab || tab > end) return NULL;
    *tab = *end = 0;
    *sentence = tab + 1;
    *rest = end + 1;
    return line;
}

static int print_help(FILE *to)
{
    fprintf(
        to,
        "loom %s: %s\n\nUsage: loom SUBCOMMAND [options] ...\n       loom preprocess|train|infer|eval SUBCOMMAND [options] "
        "...\n",
        LOOM_VERSION, summary);
    for (int i = 0; i < STAGES; i++) {
        loom_buf text = {0};
        char *sentence;
        if (!ask(&text, stages[i], "list")) return 1;
        char *rest = text.data, *name = next_line(&rest, &sentence);
        if (name) fprintf(to, "\n%s: %s\n", name, sentence);
        while (name && (name = next_line(&rest, &sentence))) fprintf(to, "  %-16s %s\n", name, sentence);
        loom_buf_release(&text);
    }
    fprintf(to, "\nloom SUBCOMMAND --help tells the options of one.\n");
    return to == stdout && fflush(to) != 0 ? 1 : 0;
}

/* ---- for installing ---- */

static const char man_head[] = ".TH LOOM 1 \"\" \"Spanloom " LOOM_VERSION "\" \"Spanloom\"\n.SH NAME\nloom \\- ";
static const char man_usage[] =
    "\n.SH SYNOPSIS\n\\fBloom\\fR \\fISUBCOMMAND\\fR [\\fIoptions\\fR] ...\n.PP\n\\fBloom\\fR "
    "preprocess|train|infer|eval \\fISUBCOMMAND\\fR [\\fIoptions\\fR] ...\n.SH DESCRIPTION\nRuns the program that has the "
    "subcommand. Where two have it, the name of the stage tells which.\n";
static const char man_tail[] =
    ".SH FILES\nPREFIX/share/spanloom/configs: recipes, found by their names (\\fB\\-\\-config\\fR "
    "demo).\n.PP\nPREFIX/share/spanloom/checkpoints/base.h5: the model that is taken where none is "
    "named.\n.SH SEE ALSO\n\\fBloom\\-preprocess\\fR(1), \\fBloom\\-train\\fR(1), "
    "\\fBloom\\-infer\\fR(1), \\fBloom\\-eval\\fR(1)\n";

static bool man_page(loom_buf *into)
{
    loom_buf_printf(into, "%s%s%s", man_head, summary, man_usage);
    for (int i = 0; i < STAGES; i++) {
        loom_buf text = {0};
        char *sentence;
        if (!ask(&text, stages[i], "list")) return false;
        char *rest = text.data, *name = next_line(&rest, &sentence);
        loom_buf_printf(into, ".SH LOOM %s\n%s\n", stages[i], name ? sentence : "");
        while ((name = next_line(&rest, &sentence))) loom_buf_printf(into, ".TP\n\\fB%s\\fR\n%s\n", name, sentence);
        loom_buf_release(&text);
    }
    loom_buf_str(into, man_tail);
    return true;
}

static const char bash_head[] =
    "# Completion for loom and the programs behind it; loom --help-format bash\n"
    "_loom_words() {\n"
    "    local word\n"
    "    while read -r word; do COMPREPLY+=(\"$word\"); done < <(compgen -W \"$1\" -- \"${COMP_WORDS[COMP_CWORD]}\")\n"
    "}\n"
    "_loom_files() {\n"
    "    local word\n"
    "    compopt -o filenames 2>/dev/null\n"
    "    while read -r word; do COMPREPLY+=(\"$word\"); done < <(compgen -f -- \"${COMP_WORDS[COMP_CWORD]}\")\n"
    "}\n"
    "_loom_reply() {\n"
    "    local spec words= last=${COMP_WORDS[COMP_CWORD-1]}\n"
    "    for spec in $1; do\n"
    "        words+=\" ${spec%%=*}\"\n"
    "        [[ ${spec%%=*} == \"$last\" && $spec == *=* ]] || continue\n"
    "        case ${spec#*=} in\n"
    "        @) _loom_files ;;\n"
    "        -) ;;\n"
    "        *) spec=${spec#*=}; _loom_words \"${spec//|/ }\" ;;\n"
    "        esac\n"
    "        return 0\n"
    "    done\n"
    "    if [[ ${COMP_WORDS[COMP_CWORD]} == -* ]]; then _loom_words \"$words\"; else _loom_files; fi\n"
    "    return 0\n"
    "}\n";
static const char bash_tail[] = "_loom() {\n"
                                "    local program=${COMP_WORDS[0]##*/} word= stage\n"
                                "    COMPREPLY=()\n"
                                "    ((COMP_CWORD > 1)) && word=${COMP_WORDS[1]}\n"
                                "    case $program in\n"
                                "    loom-*) \"_loom_${program#loom-}\" \"$word\" ;;\n"
                                "    *)\n"
                                "        for stage in preprocess train infer eval; do\n"
                                "            \"_loom_$stage\" \"$word\" && [ -n \"$word\" ] && break\n"
                                "        done ;;\n"
                                "    esac\n"
                                "    return 0\n"
                                "}\n"
                                "complete -F _loom loom loom-preprocess loom-train loom-infer loom-eval\n";

static const char zsh_head[] = "#compdef loom loom-preprocess loom-train loom-infer loom-eval\n"
                               "# Completion for loom and the programs behind it; loom --help-format zsh\n";
static const char zsh_tail[] = "local program=${words[1]:t} word= stage\n"
                               "if (( CURRENT > 2 )); then\n"
                               "    word=$words[2]\n"
                               "    shift words\n"
                               "    (( CURRENT-- ))\n"
                               "fi\n"
                               "case $program in\n"
                               "loom-*) \"_loom_${program#loom-}\" \"$word\" ;;\n"
                               "*)\n"
                               "    for stage in preprocess train infer eval; do\n"
                               "        \"_loom_$stage\" \"$word\" && [[ -n $word ]] && break\n"
                               "    done ;;\n"
                               "esac\n";

static bool completion(loom_buf *into, const char *format)
{
    bool bash = strcmp(format, "bash") == 0;

    loom_buf_str(into, bash ? bash_head : zsh_head);
    for (int i = 0; i < STAGES; i++)
        if (!ask(into, stages[i], format)) return false;
    loom_buf_str(into, bash ? bash_tail : zsh_tail);
    return true;
}

static int print_format(const char *format)
{
    loom_buf text = {0};
    loom_err err = {0};
    bool good = false;

    if (strcmp(format, "man") == 0) good = man_page(&text);
    else if (strcmp(format, "bash") == 0 || strcmp(format, "zsh") == 0) good = completion(&text, format);
    else loom_error("--help-format is \"%s\", expected man|bash|zsh", format);
    if (good && loom_stdout_write(loom_buf_text(&text), text.len, &err) != LOOM_OK) {
        loom_error("%s", err.msg);
        good = false;
    }
    loom_buf_release(&text);
    return good ? 0 : 1;
}

/* ---- running ---- */

static int become(const char *stage, char **argv)
{
    loom_buf path = {0};
    char name[32];

    program_path(&path, stage);
    snprintf(name, sizeof name, "loom-%s", stage);
    argv[0] = name;
    if (!loom_buf_failed(&path)) execvp(path.data, argv);
    loom_error("cannot run loom-%s: %s; it should lie beside this program", stage, strerror(errno));
    loom_buf_release(&path);
    return 1;
}

static bool has_command(const char *stage, const char *command, bool *asked)
{
    loom_buf text = {0};
    char *sentence, *name;
    bool found = false;

    *asked = ask(&text, stage, "list");
    char *rest = text.data;
    if (*asked) next_line(&rest, &sentence); /* the program itself */
    while (*asked && !found && (name = next_line(&rest, &sentence))) found = strcmp(name, command) == 0;
    loom_buf_release(&text);
    return found;
}

static int run(char **argv)
{
    const char *command = argv[1], *home = NULL, *other = NULL;
    bool asked;

    for (int i = 0; i < STAGES; i++)
        if (strcmp(command, stages[i]) == 0) return become(stages[i], argv + 1);
    for (int i = 0; i < STAGES; i++) {
        bool found = has_command(stages[i], command, &asked);
        if (!asked) return 1;
        if (found && home) other = stages[i];
        else if (found) home = stages[i];
    }
    if (home && !other) return become(home, argv);
    if (home) loom_error("loom %s %s and loom %s %s are two: say which", home, command, other, command);
    else loom_error("unknown subcommand \"%s\" (see loom --help)", command);
    return 2;
}

int main(int argc, char **argv)
{
    loom_log_set_program("loom");
    if (argc < 2) {
        int code = print_help(stderr);
        return code ? code : 2;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0)
        return print_help(stdout);
    if (strcmp(argv[1], "--version") == 0) {
        printf("loom %s\n", LOOM_VERSION);
        return fflush(stdout) != 0;
    }
    if (argc == 3 && strcmp(argv[1], "--help-format") == 0) return print_format(argv[2]);
    return run(argv);
}
