/* When an output counts as up to date (core/meta.h), and what a commit does to provenance and stale files. */
#include <sys/wait.h>
#include <unistd.h>

#include "core/file.h"
#include "core/log.h"
#include "core/meta.h"
#include "test.h"

typedef struct conf {
    const char *output, *report, *model, *word;
    int64_t n;
} conf;

static char dir[] = "/tmp/loom-test.XXXXXX";

static const loom_opt opts[] = {LOOM_OPT_GROUP("All"),
                                LOOM_OPT_OUT("output", 'o', conf, output, NULL, "FILE", "out"),
                                LOOM_OPT_OUT("report", 0, conf, report, NULL, "FILE", "another"),
                                LOOM_OPT_IN("model", 0, conf, model, NULL, "FILE", "in"),
                                LOOM_OPT_STR("word", 0, conf, word, NULL, "WORD", "a word"),
                                LOOM_OPT_I64("n", 0, conf, n, "1", 0, 100, "N", "a number"),
                                LOOM_OPT_END};

static const loom_cmd cmd = {.name = "make", .opts = opts, .conf_size = sizeof(conf), .updates = true};

typedef struct fixture {
    char out[600], in[600], side[600];
    conf c;
    loom_ctx ctx;
} fixture;

static void put(const char *path, const char *text)
{
    CHECK(loom_file_write(path, text, strlen(text), true, NULL) == LOOM_OK);
}

static void setup(fixture *f)
{
    *f = (fixture){0};
    snprintf(f->out, sizeof f->out, "%s/out", dir);
    snprintf(f->in, sizeof f->in, "%s/in", dir);
    snprintf(f->side, sizeof f->side, "%s/side", dir);
    put(f->in, "input");
    f->c = (conf){.output = f->out, .word = "a", .n = 1};
    f->ctx = (loom_ctx){.program = "loom-test",
                        .cmd = &cmd,
                        .conf = &f->c,
                        .command_line = "loom-test make",
                        .common = {.seed = 1, .threads = 1}};
}

static void make(const fixture *f)
{
    loom_meta m = {0};
    CHECK(loom_meta_input(&m, f->in, NULL) == LOOM_OK);
    loom_meta_str(&m, "note", "kept");
    CHECK(loom_meta_file_write(&m, &f->ctx, f->out, "output", 6, true, NULL) == LOOM_OK);
    loom_meta_release(&m);
}

static bool fresh(const fixture *f, const char *in)
{
    loom_meta m = {0};
    CHECK(loom_meta_input(&m, in, NULL) == LOOM_OK);
    bool yes = loom_meta_fresh(&m, &f->ctx, f->out);
    CHECK(!loom_meta_up_to_date(&m, &f->ctx, f->out) == !(yes && f->ctx.common.update));
    loom_meta_release(&m);
    return yes;
}

TEST(folder)
{
    loom_log_set_level(LOOM_LOG_QUIET);
    REQUIRE(mkdtemp(dir) != NULL);
}

TEST(settings)
{
    fixture f;
    loom_cmd other = cmd;
    setup(&f);
    CHECK(!fresh(&f, f.in));
    make(&f);
    CHECK(fresh(&f, f.in));
    f.ctx.common = (loom_common){.seed = 1, .threads = 8, .verbose = true, .force = true, .update = true};
    f.ctx.command_line = "loom-test make --threads 8";
    CHECK(fresh(&f, f.in));
    f.ctx.common.seed = 2;
    CHECK(!fresh(&f, f.in));
    f.ctx.common.seed = 1;
    f.c.n = 2;
    CHECK(!fresh(&f, f.in));
    f.c.n = 1;
    f.c.word = "a\",\"n\":\"1"; /* no value can pass for two */
    CHECK(!fresh(&f, f.in));
    f.c.word = NULL;
    CHECK(!fresh(&f, f.in));
    f.c.word = "a";
    f.c.model = "anything"; /* given or not is a setting; which file it is, its digest says */
    CHECK(!fresh(&f, f.in));
    f.c.model = NULL;
    other.name = "unmake";
    f.ctx.cmd = &other;
    CHECK(!fresh(&f, f.in));
    f.ctx.cmd = &cmd;
    f.ctx.program = "loom-other";
    CHECK(!fresh(&f, f.in));
    f.ctx.program = "loom-test";
    CHECK(fresh(&f, f.in));
}

TEST(inputs)
{
    fixture f;
    char moved[620];
    loom_meta m = {0};
    setup(&f);
    make(&f);
    snprintf(moved, sizeof moved, "%s.moved", f.in);
    put(moved, "input");
    CHECK(fresh(&f, moved));
    put(moved, "inpuT");
    CHECK(!fresh(&f, moved));
    CHECK(!loom_meta_fresh(&m, &f.ctx, f.out)); /* no input at all */
    CHECK(loom_meta_input(&m, f.in, NULL) == LOOM_OK);
    CHECK(loom_meta_input(&m, f.in, NULL) == LOOM_OK); /* twice */
    CHECK(!loom_meta_fresh(&m, &f.ctx, f.out));
    loom_meta_release(&m);
    CHECK(!fresh(&f, dir)); /* no digest of a folder or stdin */
    CHECK(!fresh(&f, "-"));
}

TEST(outputs)
{
    fixture f;
    char meta[620];
    setup(&f);
    make(&f);
    snprintf(meta, sizeof meta, "%s.meta.json", f.out);
    f.c.report = f.side;
    CHECK(!fresh(&f, f.in)); /* asked for and not there */
    put(f.side, "x");
    CHECK(fresh(&f, f.in));
    f.c.report = "-";
    CHECK(!fresh(&f, f.in));
    f.c.report = NULL;
    CHECK(truncate(f.out, 3) == 0);
    CHECK(!fresh(&f, f.in));
    put(f.out, "output"); /* the commit removes what told of the file before */
    CHECK(!loom_file_exists(meta));
    CHECK(!fresh(&f, f.in));
    put(meta, "{\"settings_digest\": 1}");
    CHECK(!fresh(&f, f.in));
    put(meta, "not JSON");
    CHECK(!fresh(&f, f.in));
    make(&f);
    CHECK(fresh(&f, f.in));
    unlink(f.out);
    CHECK(!fresh(&f, f.in));
}

/* A process that is gone: a child that has been waited for. */
static long dead_process(void)
{
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    waitpid(pid, NULL, 0);
    return (long)pid;
}

/* What killed writers left goes, nothing else does. */
TEST(stale_temps)
{
    char path[600], dead[700], live[700], odd[700], short_one[700], other[700];
    long gone = dead_process();
    snprintf(path, sizeof path, "%s/data.zst", dir);
    snprintf(dead, sizeof dead, "%s.tmp.%ld-0123456789abcdef", path, gone);
    snprintf(live, sizeof live, "%s.tmp.%ld-0123456789abcdef", path, (long)getppid());
    snprintf(odd, sizeof odd, "%s.tmp.%ld-0123456789abcdefg", path, gone);
    snprintf(short_one, sizeof short_one, "%s.tmp.%ld", path, gone);
    snprintf(other, sizeof other, "%s/data.zst2.tmp.%ld-0123456789abcdef", dir, gone);
    put(dead, "x");
    put(live, "x");
    put(odd, "x");
    put(short_one, "x");
    put(other, "x");
    put(path, "whole");
    CHECK(!loom_file_exists(dead));
    CHECK(loom_file_exists(live));
    CHECK(loom_file_exists(odd));
    CHECK(loom_file_exists(short_one));
    CHECK(loom_file_exists(other));
}

TEST(clean_up)
{
    char command[80];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    CHECK_I64(system(command), 0);
}

TEST_MAIN(RUN(folder) RUN(settings) RUN(inputs) RUN(outputs) RUN(stale_temps) RUN(clean_up))
