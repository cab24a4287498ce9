/* Whole commands without one of their allocations (unit/failing_memory.h): they fail, and leave nothing behind.
 *
 *   static const loom_cmd *const cmds[] = {&loom_cmd_stats, ...};
 *   failing_command_sweep("loom-preprocess", cmds, n, "stats g.graphs.zst -o stats.json", points);
 *
 * Runs in the current folder; -q and --force are added. Sentences for people go to /dev/null. */
#ifndef LOOM_TESTS_FAILING_COMMAND_H
#define LOOM_TESTS_FAILING_COMMAND_H

#include <fcntl.h>
#include <unistd.h>

#include "core/cli.h"
#include "unit/failing_memory.h"

enum { COMMAND_WORDS_ = 40, COMMAND_LIST_ = 24 };

static struct {
    const char *program;
    loom_cmd cmds[COMMAND_LIST_]; /* ends with a zero */
    char text[1024];
    char *words[COMMAND_WORDS_];
    int n;
} command_;

static inline loom_status command_run_(loom_err *err)
{
    char *words[COMMAND_WORDS_ + 1] = {0};
    fflush(stdout);
    int out = dup(1), said = dup(2), none = open("/dev/null", O_WRONLY);
    dup2(none, 1);
    dup2(none, 2);
    memcpy(words, command_.words, sizeof command_.words); /* cli may move them */
    int code = loom_cli_main(command_.program, "", command_.cmds, command_.n, words);
    fflush(stdout);
    dup2(out, 1);
    dup2(said, 2);
    close(out);
    close(said);
    close(none);
    return code == 0 || code == 3 ? LOOM_OK : loom_fail(err, LOOM_STATUS_NOMEM, "exit code %d", code);
}

static inline void failing_command_sweep(const char *program, const loom_cmd *const *cmds, size_t n, const char *line,
                                         long long points)
{
    REQUIRE(n < COMMAND_LIST_);
    memset(&command_, 0, sizeof command_);
    command_.program = program;
    for (size_t i = 0; i < n; i++) command_.cmds[i] = *cmds[i];
    snprintf(command_.text, sizeof command_.text, "%s %s -q --force --threads 2", program, line);
    char *rest = command_.text, *word;
    while ((word = strsep(&rest, " ")) && command_.n < COMMAND_WORDS_) command_.words[command_.n++] = word;
    failing_memory_sweep(line, command_run_, points);
}

/* A folder of its own to work in, and its end: no temporary file may be left. */
static char command_folder_[] = "/tmp/loom-nomem-XXXXXX";
static inline bool enter_folder(void) { return mkdtemp(command_folder_) && chdir(command_folder_) == 0; }

static inline void leave_folder(void)
{
    char line[128];
    CHECK(system("! find . -name '*.tmp.*' | grep -q .") == 0); /* temporary files */
    snprintf(line, sizeof line, "rm -rf '%s'", command_folder_);
    CHECK(chdir("/") == 0 && system(line) == 0);
}

#endif
