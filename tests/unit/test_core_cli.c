/* The command line inside one process: words, letters, configuration files, help in all its forms, and what each wrong
 * use is told. A program of two subcommands that only remember what they got. */
#include <sys/wait.h>
#include <unistd.h>

#include "core/cli.h"
#include "core/escape.h"
#include "core/file.h"
#include "core/log.h"
#include "core/nomem.h"
#include "core/progress.h"
#include "core/usage.h"
#include "test.h"

typedef struct conf {
    const char *output, *input, *word;
    int64_t n;
    double x;
    bool strict, on;
    int mode;
} conf;

static conf got;
static loom_common common;
static char command_line[400], args[200];
static bool word_given, n_given;
static loom_status outcome;
static bool starves;

static loom_status keep(const loom_ctx *ctx, loom_err *err)
{
    got = *(const conf *)ctx->conf;
    common = ctx->common;
    static char word[100];
    if (got.word) snprintf(word, sizeof word, "%s", got.word);
    if (got.word) got.word = word;
    snprintf(command_line, sizeof command_line, "%s", ctx->command_line);
    args[0] = 0;
    for (int i = 0; i < ctx->n_args; i++)
        snprintf(args + strlen(args), sizeof args - strlen(args), "%s|", ctx->args[i]);
    word_given = loom_ctx_given(ctx, "word");
    n_given = loom_ctx_given(ctx, "n");
    CHECK(!loom_ctx_given(ctx, "none"));
    if (starves) loom_nomem_note();
    return outcome == LOOM_OK ? LOOM_OK : loom_fail(err, outcome, "it went wrong");
}

static const loom_opt opts[] = {
    LOOM_OPT_GROUP("What to make"),
    LOOM_OPT_OUT("output", 'o', conf, output, "-", "FILE", "where to write it, and a text so long that it is wrapped"),
    LOOM_OPT_IN("model", 0, conf, input, NULL, "PATH", ".starts with a dot, has a \\ and a [bracket]: it's 'quoted'"),
    LOOM_OPT_STR("word", 'w', conf, word, NULL, NULL, "a word"),
    LOOM_OPT_I64("n", 'n', conf, n, "3", 0, 10, "N", "a number"),
    LOOM_OPT_F64("a-rather-long-option-name", 0, conf, x, "0.5", 0, 1, "X", "a real"),
    LOOM_OPT_FLAG("strict", 's', conf, strict, "a flag"),
    LOOM_OPT_FLAG_ON("on", 0, conf, on, "another"),
    LOOM_OPT_ENUM("mode", 'm', conf, mode, "b", "a|b|c", "a choice"),
    LOOM_OPT_WAS("way", 'y', "mode", "first|second|third"),
    LOOM_OPT_WAS("number", 0, "n", NULL),
    LOOM_OPT_GROUP_HIDDEN("For tests"),
    LOOM_OPT_F64("secret", 0, conf, x, "0.5", 0, 1, "X", "hidden"),
    LOOM_OPT_END};
static const loom_opt none[] = {LOOM_OPT_END};

static const loom_cmd cmds[] = {LOOM_CMD_GOAL("to make something:"),
                                {.name = "stats",
                                 .summary = "makes it: or [not]",
                                 .args = "FILE...",
                                 .min_args = 1,
                                 .max_args = 2,
                                 .details = "Two lines\n'of' -details-.\n",
                                 .opts = opts,
                                 .conf_size = sizeof(conf),
                                 .run = keep,
                                 .updates = true},
                                LOOM_CMD_GOAL("to look at it:"),
                                {.name = "view",
                                 .summary = "looks",
                                 .args = "",
                                 .max_args = -1,
                                 .opts = none,
                                 .conf_size = sizeof(conf),
                                 .run = keep,
                                 .ranks = true},
                                {.name = "show",
                                 .summary = "shows",
                                 .args = "",
                                 .max_args = 0,
                                 .opts = none,
                                 .conf_size = sizeof(conf),
                                 .run = keep},
                                {.name = NULL}};

/* ---- running, with what is said ---- */

static char folder[] = "/tmp/loom-cli-XXXXXX";
static loom_buf out, said;

static const char *in_folder(const char *name)
{
    static char path[80];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void take(loom_buf *into, const char *name)
{
    loom_err err = {0};
    loom_buf_reset(into);
    REQUIRE_OK(loom_file_read(into, in_folder(name), 1 << 20, &err), err);
}

/* Words are parted by blanks, '~' stands for one inside a word. */
static int run(const char *line)
{
    char text[2000], *words[40], *rest = text, *word;
    int n = 0;
    snprintf(text, sizeof text, "loom-test %s", line);
    while ((word = strsep(&rest, " "))) {
        for (char *c = word; *c; c++) *c = *c == '~' ? ' ' : *c;
        words[n++] = word;
    }
    if (!*line) n = 1;
    fflush(stdout);
    int was_out = dup(1), was_err = dup(2);
    if (!freopen(in_folder("out"), "w", stdout) || !freopen(in_folder("err"), "w", stderr)) _exit(9);
    memset(&got, 0, sizeof got);
    int code = loom_cli_main("loom-test", "does little", cmds, n, words);
    fflush(stdout), fflush(stderr);
    dup2(was_out, 1), dup2(was_err, 2);
    close(was_out), close(was_err);
    loom_nomem_set(false);
    take(&out, "out");
    take(&said, "err");
    return code;
}

static void check_refused(const char *line, const char *says)
{
    int code = run(line);
    CHECK_I64(code, 2);
    if (!strstr(loom_buf_text(&said), says)) TEST_FAIL_("%s: \"%s\" lacks \"%s\"", line, loom_buf_text(&said), says);
}

#define CHECK_RUNS(line) CHECK_I64(run(line), 0)

/* ---- options ---- */

TEST(words_and_letters)
{
    CHECK_RUNS("stats a");
    CHECK(got.n == 3 && got.x == 0.5 && !got.strict && got.on && got.mode == 1 && !got.word && !got.input);
    CHECK(!word_given && !n_given && common.seed == 1 && common.threads >= 1);
    CHECK_STR(args, "a|");
    CHECK_RUNS("stats --word=x~y --n 5 -s --no-on --mode c a b");
    CHECK(got.n == 5 && got.strict && !got.on && got.mode == 2 && word_given && n_given);
    CHECK_STR(got.word, "x y");
    CHECK_STR(args, "a|b|");
    CHECK_STR(command_line, "loom-test stats '--word=x y' --n 5 -s --no-on --mode c a b");
    CHECK_RUNS("stats -sqn7 -w it's a");
    CHECK(got.strict && common.quiet && got.n == 7);
    CHECK_STR(command_line, "loom-test stats -sqn7 -w 'it'\\''s' a");
    CHECK_RUNS("stats -n 7 -- --word");
    CHECK_STR(args, "--word|");
    CHECK_RUNS("stats - --word ");
    CHECK_STR(args, "-|");
    CHECK_STR(command_line, "loom-test stats - --word ''");
    CHECK_RUNS("stats a --strict=true --on=false --seed 9 --verbose --update");
    CHECK(got.strict && !got.on && common.seed == 9 && common.verbose && common.force);
    CHECK(strstr(loom_buf_text(&said), " wall, ")); /* what it cost */
}

TEST(older_spellings)
{
    CHECK_RUNS("stats a --way second");
    CHECK_I64(got.mode, 1);
    CHECK(strstr(loom_buf_text(&said), "warning: --way is called --mode a|b|c now"));
    CHECK_RUNS("stats a -y third");
    CHECK_I64(got.mode, 2);
    CHECK_RUNS("stats a -ya");
    CHECK_I64(got.mode, 0);
    CHECK_RUNS("stats a --number 4");
    CHECK_I64(got.n, 4);
    CHECK(strstr(loom_buf_text(&said), "warning: --number is called --n now"));
    check_refused("stats a --way fourth", "expected one of a|b|c");
}

TEST(wrong_options)
{
    check_refused("stats a --stric", "unknown option --stric; did you mean --strict? (see loom-test stats --help)");
    check_refused("stats a --entirely-different", "unknown option --entirely-different (see");
    check_refused("stats a --an-option-of-far-more-letters-than-any-that-this-or-any-other-program-has-ever-had",
                  "unknown option");
    check_refused("stats a -z", "unknown option -z");
    check_refused("stats a --n", "--n needs a value (N)");
    check_refused("stats a --word", "--word needs a value (VALUE)");
    check_refused("stats a -n", "-n needs a value (N)");
    check_refused("stats a -w", "-w needs a value (VALUE)");
    check_refused("stats a --n 11", "--n is \"11\", expected an integer from 0 to 10");
    check_refused("stats a --n=-1", "expected an integer");
    check_refused("stats a --n x", "expected an integer");
    check_refused("stats a -nx", "-n is \"x\"");
    check_refused("stats a --a-rather-long-option-name 2", "expected a number from 0 to 1");
    check_refused("stats a --a-rather-long-option-name=-0.1", "expected a number");
    check_refused("stats a --a-rather-long-option-name nan", "expected a number");
    check_refused("stats a --strict=maybe", "expected true or false");
    check_refused("stats a --mode d", "expected one of a|b|c");
    check_refused("stats a --seed -1", "--seed");
}

/* "--no-" goes before flags only, and takes no value. */
TEST(no_before_what_is_no_flag)
{
    check_refused("stats a --no-n 5", "unknown option --no-n");
    check_refused("stats a --no-seed=5", "unknown option --no-seed=5");
    check_refused("stats a --no-strict=true", "unknown option --no-strict=true");
    check_refused("stats a --no-quiet=true", "unknown option --no-quiet=true");
    check_refused("stats a --no-nothing", "unknown option --no-nothing");
    CHECK_RUNS("stats a --strict --no-strict --no-quiet");
    CHECK(!got.strict && !common.quiet);
}

TEST(wrong_use)
{
    check_refused("", "Usage: loom-test SUBCOMMAND");
    check_refused("stat a", "unknown subcommand \"stat\"; did you mean stats?");
    check_refused("entirely", "unknown subcommand \"entirely\" (see loom-test --help)");
    check_refused("stats", "missing argument: loom-test stats FILE...");
    check_refused("stats a b c", "unexpected argument \"c\" (usage: loom-test stats [options] FILE...)");
    check_refused("show a", "unexpected argument \"a\" (usage: loom-test show [options])");
    check_refused("view --update", "cannot tell whether its outputs are up to date");
    CHECK_RUNS("view a b c d");
    CHECK_STR(args, "a|b|c|d|");
}

TEST(outcomes)
{
    static const loom_status all[] = {LOOM_STATUS_ARG,     LOOM_STATUS_IO,      LOOM_STATUS_FORMAT,   LOOM_STATUS_NOMEM,
                                      LOOM_STATUS_NUMERIC, LOOM_STATUS_VERDICT, LOOM_STATUS_INTERRUPT};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        outcome = all[i];
        CHECK_I64(run("stats a"), loom_exit_code(all[i]));
        CHECK_STR(loom_buf_text(&said), "loom-test stats: it went wrong\n");
    }
    outcome = LOOM_OK;
    starves = true; /* noticed by nobody on the way */
    CHECK_I64(run("stats a"), 1);
    CHECK(strstr(loom_buf_text(&said), "out of memory"));
    outcome = LOOM_STATUS_FORMAT;
    CHECK_I64(run("stats a"), 1);
    CHECK(strstr(loom_buf_text(&said), "out of memory")); /* the cause, not what came of it */
    starves = false;
    outcome = LOOM_OK;
}

static void launch(const char *size, const char *rank)
{
    if (size) setenv("PMI_SIZE", size, 1), setenv("PMI_RANK", rank, 1);
    else unsetenv("PMI_SIZE"), unsetenv("PMI_RANK");
}

TEST(under_mpirun)
{
    launch("3", "0");
    check_refused("stats a", "mpirun started 3 processes, and loom-test stats is a single one");
    CHECK_RUNS("view");
    launch("3", "1");
    CHECK_I64(run("stats a"), 2);
    CHECK_STR(loom_buf_text(&said), ""); /* rank 0 says it */
    loom_log_unmute();
    launch(NULL, NULL);
}

/* ---- configuration files ---- */

static const char *config(const char *text)
{
    static char line[200];
    loom_err err = {0};
    CHECK(loom_file_write(in_folder("x.conf"), text, strlen(text), true, &err) == LOOM_OK);
    snprintf(line, sizeof line, "stats a --config %s", in_folder("x.conf"));
    return line;
}

TEST(configurations)
{
    CHECK_RUNS(config(
        "# comment\nseed = 4\n[stats] # mine\n n = 5 # five\nword = \"a # \\\"b\\\"\\nc\" # quoted\n\nstrict=true\n[view]\nnonsense = 7\n"));
    CHECK(common.seed == 4 && got.n == 5 && got.strict && !n_given);
    CHECK_STR(got.word, "a # \"b\"\nc");
    CHECK_RUNS(config("[common, stats]\nn = 6\nseed = 2\n[recipe]\nanything = goes\n"));
    CHECK(common.seed == 2 && got.n == 6);
    CHECK_RUNS(config("[stats]\nway = third\nword = #none\n"));
    CHECK_I64(got.mode, 2);
    CHECK_STR(got.word, "");
    CHECK(strstr(loom_buf_text(&said), "x.conf:2: way is called --mode a|b|c now"));
    CHECK_RUNS(config("[stats]\nword = a#b\n"));
    CHECK_STR(got.word, "a#b");
    char line[200];
    snprintf(line, sizeof line, "stats a --config=%s --word over", in_folder("x.conf"));
    CHECK_RUNS(line); /* the command line goes before the file */
    CHECK_STR(got.word, "over");
    snprintf(line, sizeof line, "stats a -c %s", in_folder("x.conf"));
    CHECK_RUNS(line);
    CHECK_STR(got.word, "a#b");
    CHECK_RUNS("stats -- a -c"); /* a name, behind the end of the options */
}

TEST(wrong_configurations)
{
    static const struct {
        const char *text, *says;
    } cases[] = {{"[stats\n", "x.conf:1: expected [section]"},
                 {"[stats] n = 5\n", "x.conf:1: expected [section]"},
                 {"\n[statistics]\n", "x.conf:2: unknown section [statistics]"},
                 {"[stats, ]\n", "unknown section []"},
                 {"[stats]\nn\n", "x.conf:2: expected key = value, found \"n\""},
                 {"[stats]\nm = 5\n", "x.conf:2: unknown key \"m\""},
                 {"[stats]\nstrickt = true\n", "did you mean --strict?"},
                 {"n = 5\n", "unknown key \"n\""},
                 {"[stats]\nn = 5\nn = 6\n", "x.conf:3: \"n\" is set twice"},
                 {"[stats]\nmode = a\nway = first\n", "\"mode\" is set twice"},
                 {"[stats]\nn = five\n", "x.conf:2: n is \"five\""},
                 {"[stats]\nword = \"open\n", "the quote is not closed"},
                 {"[stats]\nword = \"a\" b\n", "\"b\" stands after the value"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_refused(config(cases[i].text), cases[i].says);
    loom_err err = {0};
    config("");
    CHECK(loom_file_write(in_folder("x.conf"), "[stats]\nn = \0\n", 14, true, &err) == LOOM_OK);
    char line[200];
    snprintf(line, sizeof line, "stats a --config %s", in_folder("x.conf"));
    check_refused(line, "x.conf:2: a binary file");
    CHECK_I64(run("stats a --config none-of-that-name"), 1);
    CHECK(strstr(loom_buf_text(&said), "cannot open none-of-that-name"));
}

static void write_in_folder(const char *name, const char *text)
{
    loom_err err = {0};
    CHECK(loom_file_write(in_folder(name), text, strlen(text), true, &err) == LOOM_OK);
}

/* What a file includes is read first, from the folder of the file, and whatever follows goes before it. */
TEST(included_configurations)
{
    write_in_folder("under.conf", "seed = 8\n[stats]\nn = 5\nword = below\n[view]\nnonsense = 7\n");
    CHECK_RUNS(config("# mine\ninclude = under.conf # theirs\n[stats]\nn = 6\n"));
    CHECK(common.seed == 8 && got.n == 6);
    CHECK_STR(got.word, "below");
    CHECK_RUNS(config("include = \"under.conf\"\nseed = 9\n"));
    CHECK(common.seed == 9 && got.n == 5);
    char absolute[400];
    snprintf(absolute, sizeof absolute, "include = %s\n", in_folder("under.conf"));
    CHECK_RUNS(config(absolute));
    CHECK_I64(got.n, 5);
    check_refused(config("seed = 3\ninclude = under.conf\n"), "x.conf:2: include goes before every other key");
    check_refused(config("include = under.conf\ninclude = under.conf\n"),
                  "x.conf:2: include goes before every other key");
    check_refused(config("[common]\ninclude = under.conf\n"), "unknown key \"include\"");
    check_refused(config("[stats]\ninclude = under.conf\n"), "unknown key \"include\"");
    check_refused(config("include =\n"), "x.conf:1: include names no file");
    CHECK_I64(run(config("include = nowhere.conf\n")), 1);
    CHECK(strstr(loom_buf_text(&said), "x.conf:1: there is no ") &&
          strstr(loom_buf_text(&said), "nowhere.conf to include"));
    check_refused(config("include = x.conf\n"), "x.conf:1: this file is included itself");
    write_in_folder("under.conf", "[stats]\nm = 5\n");
    check_refused(config("include = under.conf\n"), "under.conf:2: unknown key \"m\"");
}

/* A recipe that comes with the programs is found by its bare name (this program lies in a build folder). */
TEST(shipped_configurations)
{
    loom_buf path = {0};
    int code = run("stats a --config demo");
    CHECK(code == 0 || code == 2);
    CHECK(!strstr(loom_buf_text(&said), "cannot open"));
    code = run("stats a --config demo.conf");
    CHECK(!strstr(loom_buf_text(&said), "cannot open"));
    loom_buf_release(&path);
}

TEST(printed_configuration)
{
    CHECK_RUNS("stats --print-config --seed 3 --word a~#b\\ --a-rather-long-option-name 0.25");
    const char *text = loom_buf_text(&out);
    CHECK(strstr(text, "[common]\n") && strstr(text, "seed = 3\n") && strstr(text, "\n[stats]\n"));
    CHECK(strstr(text, "word = \"a #b\\\\\"\n") && strstr(text, "# model =\n") && strstr(text, "mode = b\n"));
    CHECK(strstr(text, "a-rather-long-option-name = 0.25") && strstr(text, "# ---- What to make ----"));
    CHECK(!strstr(text, "print-config =") && !strstr(text, "help =") && !strstr(text, "way"));
    loom_err err = {0};
    REQUIRE_OK(loom_file_write(in_folder("y.conf"), out.data, out.len, true, &err), err);
    char line[200];
    snprintf(line, sizeof line, "stats a --config %s", in_folder("y.conf"));
    CHECK_RUNS(line); /* and is read again */
    CHECK(common.seed == 3 && got.x == 0.25);
    CHECK_STR(got.word, "a #b\\");
}

/* ---- help ---- */

TEST(help)
{
    static const char *const forms[] = {"--help", "-h", "help"};
    for (int i = 0; i < 3; i++) {
        CHECK_RUNS(forms[i]);
        CHECK(strstr(loom_buf_text(&out), "Usage: loom-test SUBCOMMAND") &&
              strstr(loom_buf_text(&out), "to look at it:"));
    }
    CHECK_RUNS("stats --help");
    const char *text = loom_buf_text(&out);
    CHECK(strstr(text, "Usage: loom-test stats [options] FILE...") && strstr(text, "Two lines"));
    CHECK(strstr(text, "-o, --output FILE") && strstr(text, "(default -)") && strstr(text, "(on; --no-on)"));
    CHECK(!strstr(text, "secret") && !strstr(text, "--way") && strstr(text, "Common options:"));
    CHECK_RUNS("view -h");
    CHECK(strstr(loom_buf_text(&out), "Usage: loom-test view [options]\n"));
    loom_cli_add_version_line("a library 1.0");
    CHECK_RUNS("--version");
    CHECK_STR(loom_buf_text(&out), "loom-test " LOOM_VERSION "\na library 1.0\n");
    CHECK_RUNS("stats --version");
    CHECK_STR(loom_buf_text(&out), "loom-test " LOOM_VERSION "\n");
}

TEST(help_for_other_readers)
{
    CHECK_RUNS("--help-format list");
    CHECK_STR(loom_buf_text(&out), "loom-test\tdoes little\nstats\tmakes it: or [not]\nview\tlooks\nshow\tshows\n");
    CHECK_RUNS("--help-format man");
    const char *text = loom_buf_text(&out);
    CHECK(strncmp(text, ".TH LOOM-TEST 1", 15) == 0 && strstr(text, ".SH STATS\n"));
    CHECK(strstr(text, "\\fB\\-o\\fR, \\fB\\-\\-output\\fR \\fIFILE\\fR\n"));
    CHECK(strstr(text, "\n\\&.starts with a dot, has a \\e and a [bracket]: it's 'quoted'\n"));
    CHECK(strstr(text, "\n\\&'of' \\-details\\-.\n") && strstr(text, "another [on]\n") &&
          strstr(text, "a number [3]\n"));
    CHECK(strstr(text, "\\fIVALUE\\fR") && !strstr(text, "secret") && strstr(text, ".SH COMMON OPTIONS"));
    CHECK_RUNS("--help-format bash");
    text = loom_buf_text(&out);
    CHECK(strstr(text, "_loom_test() {") && strstr(text, "--output=@ -o=@") && strstr(text, "--mode=a|b|c -m=a|b|c"));
    CHECK(strstr(text, " --strict -s") && strstr(text, "--n=- -n=-") && strstr(text, "--model=@") &&
          !strstr(text, "secret"));
    CHECK(strstr(text, "_loom_words 'stats view show'"));
    CHECK_RUNS("--help-format zsh");
    text = loom_buf_text(&out);
    CHECK(strstr(text, "'--mode[a choice]:value:(a b c)'") && strstr(text, "'-o[where") &&
          strstr(text, ":FILE:_files'"));
    CHECK(strstr(text, "has a \\\\ and a \\[bracket\\]\\: it'\\''s") &&
          strstr(text, "'stats:makes it\\: or \\[not\\]'"));
    CHECK(strstr(text, "'--strict[a flag]'") && strstr(text, "'--word[a word]:value:'"));
    check_refused("--help-format html", "--help-format is \"html\", expected list|man|bash|zsh");
}

/* ---- progress, and what is said to people ---- */

/* What a progress says, in a child with a clock that is a few seconds ahead. */
static void show(loom_progress *p, const char *note)
{
    p->started -= 20, p->last -= 20;
    loom_progress_update(p, 25, note);
    loom_progress_finish(p, note);
}

static void check_progress(int mode, bool quiet, bool bar, int64_t total, const char *note, const char *says)
{
    loom_common c = {.progress = mode, .quiet = quiet};
    loom_progress p;
    fflush(stderr);
    int was = dup(2);
    if (!freopen(in_folder("err"), "w", stderr)) _exit(9);
    loom_progress_start(&p, &c, "reading", total, "rows");
    loom_progress_update(&p, 1, note); /* quiet in the first second */
    p.bar = bar;
    show(&p, note);
    fflush(stderr);
    dup2(was, 2);
    close(was);
    take(&said, "err");
    const char *text = loom_buf_text(&said);
    if (says ? !strstr(text, says) : *text) TEST_FAIL_("\"%s\" lacks \"%s\"", text, says ? says : "");
}

TEST(progress)
{
    check_progress(0, false, false, 100, NULL, "reading [#####...............] 25/100 rows, 1:00 left\n");
    check_progress(0, false, false, 100, "loss 1", "left  loss 1\n");
    check_progress(0, false, false, 0, NULL, "reading 25 rows, 20 s\n");
    check_progress(0, false, true, 100, "a\033b", "\rreading: 25 rows in 20 s  a\\x1bb");
    check_progress(0, false, true, 0, NULL, "\rreading: 25 rows in 20 s");
    check_progress(0, true, false, 100, NULL, NULL);
    check_progress(2, false, false, 100, NULL, NULL);
}

TEST(standard_output)
{
    loom_err err = {0};
    fflush(stdout);
    int was = dup(1);
    if (!freopen("/dev/full", "w", stdout)) SKIP("no /dev/full here");
    loom_status st = loom_stdout_write("x", 1, &err), text = loom_stdout_text("x\033", 2, &err);
    int help = loom_cli_main("loom-test", "x", cmds, 2, (char *[]){"loom-test", "--help", NULL});
    clearerr(stdout);
    fflush(stdout);
    dup2(was, 1);
    close(was);
    CHECK_I64(st, LOOM_STATUS_IO);
    CHECK_I64(text, LOOM_STATUS_IO);
    CHECK_I64(help, 1);
    CHECK(strstr(err.msg, "cannot write to standard output: No space left"));
}

static void finish(void)
{
    loom_buf_release(&out);
    loom_buf_release(&said);
    char line[80];
    snprintf(line, sizeof line, "rm -r %s", folder);
    CHECK_I64(system(line), 0);
}

TEST_MAIN(if (!mkdtemp(folder)) return 1;
          RUN(words_and_letters) RUN(older_spellings) RUN(wrong_options) RUN(no_before_what_is_no_flag) RUN(wrong_use)
              RUN(outcomes) RUN(under_mpirun) RUN(configurations) RUN(wrong_configurations) RUN(included_configurations)
                  RUN(shipped_configurations) RUN(printed_configuration) RUN(help) RUN(help_for_other_readers)
                      RUN(progress) RUN(standard_output) finish();)
