/* fault_run [options] -- COMMAND...: makes one call after the other of a command fail, and judges how each run ends.
 *
 *   --library FILE   tests/tools/fault_points.c, built (needed)
 *   --label TEXT     name of the case in what is printed; default: the command
 *   --points N       at most N points, spread over the calls of each kind; default 100
 *   --point OP:N     this one only (OP:N+: and all later calls), and leave everything as it is then
 *   --start DIR      the folder `o` starts as a copy of DIR instead of empty
 *   --varies GLOB    files in `o` that differ from run to run (they hold times): not compared. Again for more.
 *   --whole GLOB     files in `o` that may be there after a failure, if they are as in the undisturbed run. Again for
 *                    more.
 *   --stays GLOB     files in `o` that may be there after a failure, whatever is in them: locks. Again for more.
 *   --any-stdout     standard output differs from run to run
 *   --seconds N      a run that takes longer hangs; default 60
 *   --findings FILE  appends what was found
 *
 * The command runs here and writes into the folder `o` only; TMPDIR is the folder `tmp`. Each point must end in one
 * of two ways. "same": exit 0, and `o` and standard output as after an undisturbed run. "error": exit 1, one sentence
 * on standard error, and `o` as it was before. Everything else is a finding: a signal, a hang, another exit code, no
 * sentence or several, other bytes with exit 0, a file left. Prints a line for each kind of call; exit 1 when there are
 * findings. */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/file.h"
#include "core/num.h"
#include "tools/fault_ops.h"

enum { MAX_GLOBS = 16, SAME = 0, ERROR, N_FINE, SIGNAL = N_FINE, HANG, CODE, MUTE, WRONG, LEFT, N_OUTCOMES };
static const char *const outcome_names[N_OUTCOMES] = {"same", "error", "signal", "hang",
                                                      "code", "mute",  "wrong",  "left"};

typedef struct globs {
    const char *list[MAX_GLOBS];
    int n;
} globs;

static struct {
    const char *library, *label, *point, *start, *findings;
    int64_t points, seconds;
    globs varies, whole, stays;
    bool any_stdout;
    char **command;
} opt = {.points = 100, .seconds = 60};

static void die(const char *what, const char *which)
{
    fprintf(stderr, "fault_run: %s %s: %s\n", what, which, errno ? strerror(errno) : "failed");
    exit(2);
}

static bool matches(const globs *g, const char *name)
{
    for (int i = 0; i < g->n; i++)
        if (fnmatch(g->list[i], name, 0) == 0) return true;
    return false;
}

/* ---- folders ---- */

typedef struct file {
    char *name;
    loom_buf bytes;
} file;

typedef struct tree {
    file *files;
    size_t n, cap;
} tree;

static tree *walked;
static const char *copy_to;

static int add_file(const char *path, const struct stat *info, int kind, struct FTW *f)
{
    (void)info;
    (void)f;
    if (kind == FTW_D) return 0;
    if (loom_grow(&walked->files, &walked->cap, walked->n + 1, sizeof *walked->files, NULL) != LOOM_OK) return -1;
    file *to = &walked->files[walked->n++];
    *to = (file){.name = strdup(strchr(path, '/') + 1)};
    return loom_file_read(&to->bytes, path, (size_t)1 << 30, NULL) == LOOM_OK ? 0 : -1;
}

static int compare_files(const void *a, const void *b)
{
    return strcmp(((const file *)a)->name, ((const file *)b)->name);
}

static tree read_tree(const char *dir)
{
    tree t = {0};
    walked = &t;
    if (loom_file_exists(dir) && nftw(dir, add_file, 16, FTW_PHYS) != 0) die("cannot read", dir);
    if (t.n) qsort(t.files, t.n, sizeof *t.files, compare_files);
    return t;
}

static void free_tree(tree *t)
{
    for (size_t i = 0; i < t->n; i++) {
        free(t->files[i].name);
        loom_buf_release(&t->files[i].bytes);
    }
    free(t->files);
    *t = (tree){0};
}

static const file *find_file(const tree *t, const char *name)
{
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->files[i].name, name) == 0) return &t->files[i];
    return NULL;
}

static bool equal(const file *a, const file *b)
{
    return b && a->bytes.len == b->bytes.len &&
           memcmp(loom_buf_text(&a->bytes), loom_buf_text(&b->bytes), a->bytes.len) == 0;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *f)
{
    (void)info;
    (void)kind;
    (void)f;
    return remove(path);
}

static int copy_one(const char *path, const struct stat *info, int kind, struct FTW *f)
{
    char to[4096];
    loom_buf bytes = {0};
    (void)f;
    snprintf(to, sizeof to, "%s%s", copy_to, path + strlen(opt.start));
    if (kind == FTW_D) return mkdir(to, 0777);
    int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC, info->st_mode & 0777);
    bool ok = fd >= 0 && loom_file_read(&bytes, path, (size_t)1 << 30, NULL) == LOOM_OK &&
              write(fd, loom_buf_text(&bytes), bytes.len) == (ssize_t)bytes.len;
    if (fd >= 0) close(fd);
    loom_buf_release(&bytes);
    return ok ? 0 : -1;
}

static void fresh_folder(void)
{
    static const char *const folders[] = {"o", "tmp"};
    for (int i = 0; i < 2; i++)
        if (loom_file_exists(folders[i]) && nftw(folders[i], remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
            die("cannot empty", folders[i]);
    mkdir("tmp", 0777);
    copy_to = "o";
    if (!opt.start) mkdir("o", 0777);
    else if (nftw(opt.start, copy_one, 16, FTW_PHYS) != 0) die("cannot copy", opt.start);
}

/* ---- one run ---- */

typedef struct ended {
    int status;
    bool hung;
    fault_report report;
} ended;

static fault_report *report; /* shared with the victim */

static void child(const char *point)
{
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    int in = open("/dev/null", O_RDONLY), out = open("fault.out", O_WRONLY | O_CREAT | O_TRUNC, 0666),
        err = open("fault.err", O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0) _exit(126);
    sigset_t nothing;
    sigemptyset(&nothing);
    sigprocmask(SIG_SETMASK, &nothing, NULL);
    if (point) setenv("FAULT_POINT", point, 1);
    setenv("FAULT_REPORT", "fault.report", 1);
    setenv("LOOM_BLAS_REEXECUTED", "1", 1); /* no second start: points are counted from the first */
    setenv("TMPDIR", "tmp", 1);
    setenv("LD_PRELOAD", opt.library, 1);
    execvp(opt.command[0], opt.command);
    _exit(127);
}

static ended run_once(const char *point)
{
    ended e = {0};
    memset(report, 0, sizeof *report);
    fresh_folder();
    pid_t pid = fork();
    if (pid < 0) die("cannot start", opt.command[0]);
    if (pid == 0) child(point);
    sigset_t chld;
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    struct timespec limit = {.tv_sec = (time_t)opt.seconds};
    while (waitpid(pid, &e.status, WNOHANG) == 0) {
        if (sigtimedwait(&chld, NULL, &limit) >= 0 || errno == EINTR) continue;
        e.hung = true;
        kill(pid, SIGKILL);
        waitpid(pid, &e.status, 0);
        break;
    }
    e.report = *report;
    return e;
}

/* ---- judging ---- */

static struct {
    tree before, after, tmp;
    loom_buf out;
} undisturbed;

/* Lines of standard error that are sentences: "loom-x y: ..." and no warning. */
static int64_t sentences(char *first, size_t cap, bool library_crashed)
{
    loom_buf text = {0};
    int64_t n = 0;
    first[0] = 0;
    if (loom_file_read(&text, "fault.err", 1 << 20, NULL) != LOOM_OK) die("cannot read", "fault.err");
    for (char *line = text.data, *end; line && *line; line = end ? end + 1 : NULL) {
        if ((end = strchr(line, '\n'))) *end = 0;
        if (!*first) snprintf(first, cap, "%s", line);
        bool other = library_crashed && strncmp(line, "loom-", 5) != 0; /* glibc's own word on a broken heap */
        n += !other && strstr(line, ": warning: ") == NULL;
    }
    loom_buf_release(&text);
    return n;
}

static bool same_output(const tree *now, char *why, size_t cap)
{
    loom_buf out = {0};
    const tree *want = &undisturbed.after;
    for (size_t i = 0; i < want->n; i++) {
        const file *f = find_file(now, want->files[i].name);
        if (f && (matches(&opt.varies, f->name) || equal(&want->files[i], f))) continue;
        snprintf(why, cap, "exit 0, but %s is %s", want->files[i].name, f ? "not as it should be" : "missing");
        return false;
    }
    for (size_t i = 0; i < now->n; i++)
        if (!find_file(want, now->files[i].name)) {
            snprintf(why, cap, "exit 0, but %s should not be there", now->files[i].name);
            return false;
        }
    if (loom_file_read(&out, "fault.out", (size_t)1 << 30, NULL) != LOOM_OK) die("cannot read", "fault.out");
    bool same = opt.any_stdout || (out.len == undisturbed.out.len &&
                                   memcmp(loom_buf_text(&out), loom_buf_text(&undisturbed.out), out.len) == 0);
    if (!same) snprintf(why, cap, "exit 0, but other text on standard output");
    loom_buf_release(&out);
    return same;
}

/* As before the run; but files that are whole by themselves may have come. */
static bool nothing_left(const tree *now, char *why, size_t cap)
{
    const tree *was = &undisturbed.before;
    for (size_t i = 0; i < now->n; i++) {
        const file *f = &now->files[i], *done = find_file(&undisturbed.after, f->name), *old = find_file(was, f->name);
        if ((old && equal(f, old)) || matches(&opt.stays, f->name)) continue;
        if (matches(&opt.whole, f->name) && done && (matches(&opt.varies, f->name) || equal(f, done))) continue;
        snprintf(why, cap, "%s is %s", f->name, old ? "changed" : "left");
        return false;
    }
    for (size_t i = 0; i < was->n; i++)
        if (!find_file(now, was->files[i].name)) {
            snprintf(why, cap, "%s is gone", was->files[i].name);
            return false;
        }
    return true;
}

static int judge(const ended *e, char *why, size_t cap)
{
    char said[600];
    int outcome = ERROR;
    if (e->hung) {
        snprintf(why, cap, "hangs");
        return HANG;
    }
    if (e->report.own_crash) {
        snprintf(why, cap, "crashes in code of ours");
        return SIGNAL;
    }
    if (WIFSIGNALED(e->status)) {
        snprintf(why, cap, "killed by signal %d (%s)", WTERMSIG(e->status), strsignal(WTERMSIG(e->status)));
        return SIGNAL;
    }
    tree now = read_tree("o"), tmp = read_tree("tmp");
    int code = WEXITSTATUS(e->status);
    int64_t n = sentences(said, sizeof said, e->report.library[0] != 0);
    if (tmp.n) {
        outcome = LEFT;
        snprintf(why, cap, "%s is left in TMPDIR", tmp.files[0].name);
    } else if (code == 0) outcome = same_output(&now, why, cap) ? SAME : WRONG;
    else if (code != 1) {
        outcome = CODE;
        snprintf(why, cap, "exit %d: %s", code, said);
    } else if (n != 1) {
        outcome = MUTE;
        snprintf(why, cap, "%" PRId64 " sentences: %s", n, said);
    } else if (!nothing_left(&now, why, cap)) outcome = LEFT;
    free_tree(&now);
    free_tree(&tmp);
    return outcome;
}

/* ---- all points ---- */

static void undisturbed_run(int64_t calls[N_OPS])
{
    fresh_folder();
    undisturbed.before = read_tree("o");
    ended e = run_once(NULL);
    if (e.hung || !WIFEXITED(e.status) || WEXITSTATUS(e.status) != 0) {
        fprintf(stderr, "fault_run: %s does not even work undisturbed (fault.err)\n", opt.label);
        exit(2);
    }
    undisturbed.after = read_tree("o");
    if (loom_file_read(&undisturbed.out, "fault.out", (size_t)1 << 30, NULL) != LOOM_OK)
        die("cannot read", "fault.out");
    memcpy(calls, e.report.calls, sizeof e.report.calls);
}

/* A second undisturbed run must give the same bytes, or "same" means nothing. */
static void check_repeatable(void)
{
    char why[700];
    ended e = run_once(NULL);
    if (judge(&e, why, sizeof why) == SAME) return;
    fprintf(stderr, "fault_run: %s: two undisturbed runs differ: %s\n", opt.label, why);
    exit(2);
}

static void note_finding(const char *point, int outcome, const char *why)
{
    FILE *f = opt.findings ? fopen(opt.findings, "a") : stderr;
    if (!f) die("cannot write", opt.findings);
    fprintf(f, "%s\t%s\t%s\t%s\n", opt.label, point, outcome_names[outcome], why);
    if (f != stderr) fclose(f);
}

/* Not a finding: the run ended with its sentence and nothing left. But said. */
static void note_library(const char *point, const char *library)
{
    FILE *f = fopen("libraries", "a");
    if (!f) die("cannot write", "libraries");
    fprintf(f, "%s\t%s\t%s\n", library, opt.label, point);
    fclose(f);
}

/* Points of one kind: all calls when the share allows it (then once more with "and all later ones"), else evenly
 * spread, every third with "+". */
static int64_t run_kind(int op, int64_t calls, int64_t share)
{
    int64_t tried = 0, counts[N_OUTCOMES] = {0}, bad = 0, unreached = 0;
    int64_t n = calls <= share ? calls : share, again = calls <= share ? loom_min_i64(calls, share - calls) : 0;
    for (int64_t i = 0; i < n + again; i++) {
        int64_t k = i < n ? i : i - n, of = i < n ? n : again;
        int64_t at = of > 1 ? 1 + (k * (calls - 1)) / (of - 1) : 1 + (calls - 1) / 2;
        bool sticky = calls <= share ? i >= n : i % 3 == 2;
        char point[64], why[700] = "";
        snprintf(point, sizeof point, "%s:%" PRId64 "%s", fault_names[op], at, sticky ? "+" : "");
        ended e = run_once(point);
        if (e.report.failed == 0 && !e.hung) {
            unreached++; /* threads: this time there were fewer calls */
            continue;
        }
        int outcome = judge(&e, why, sizeof why);
        if (outcome < N_FINE && e.report.library[0]) note_library(point, e.report.library);
        tried++;
        counts[outcome]++;
        bad += outcome >= N_FINE;
        if (outcome >= N_FINE) note_finding(point, outcome, why);
    }
    printf("%-28s %-7s %8" PRId64 " %6" PRId64, opt.label, fault_names[op], calls, tried);
    for (int o = 0; o < N_OUTCOMES; o++) printf(" %6" PRId64, counts[o]);
    printf("%s\n", unreached ? "  (some calls did not come)" : "");
    fflush(stdout);
    return bad;
}

static int64_t run_all(void)
{
    int64_t calls[N_OPS], bad = 0, left = opt.points;
    undisturbed_run(calls);
    check_repeatable();
    for (int op = N_OPS - 1; op >= 0; op--) { /* memory comes last and takes what is left */
        int64_t share = op == FAULT_MALLOC ? left : loom_min_i64(2 * calls[op], loom_max_i64(opt.points / 8, 1));
        if (calls[op] == 0 || share <= 0) continue;
        left -= share;
        bad += run_kind(op, calls[op], share);
    }
    return bad;
}

static int64_t run_point(void)
{
    int64_t calls[N_OPS];
    char why[700] = "";
    undisturbed_run(calls);
    ended e = run_once(opt.point);
    int outcome = judge(&e, why, sizeof why);
    printf("%s %s: %s %s\n", opt.label, opt.point, outcome_names[outcome], why);
    return outcome >= N_FINE;
}

static void read_options(int argc, char **argv)
{
    int i = 1;
    for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
        const char *name = argv[i];
        if (strcmp(name, "--any-stdout") == 0) {
            opt.any_stdout = true;
            continue;
        }
        const char *value = i + 1 < argc ? argv[++i] : "";
        if (strcmp(name, "--library") == 0) opt.library = value;
        else if (strcmp(name, "--label") == 0) opt.label = value;
        else if (strcmp(name, "--point") == 0) opt.point = value;
        else if (strcmp(name, "--start") == 0) opt.start = value;
        else if (strcmp(name, "--findings") == 0) opt.findings = value;
        else if (strcmp(name, "--varies") == 0 && opt.varies.n < MAX_GLOBS) opt.varies.list[opt.varies.n++] = value;
        else if (strcmp(name, "--whole") == 0 && opt.whole.n < MAX_GLOBS) opt.whole.list[opt.whole.n++] = value;
        else if (strcmp(name, "--stays") == 0 && opt.stays.n < MAX_GLOBS) opt.stays.list[opt.stays.n++] = value;
        else if (strcmp(name, "--points") == 0 && loom_parse_i64(value, strlen(value), &opt.points)) continue;
        else if (strcmp(name, "--seconds") == 0 && loom_parse_i64(value, strlen(value), &opt.seconds)) continue;
        else die("unknown option", name);
    }
    if (i + 1 >= argc || !opt.library) die("no command or no --library in", argv[0]);
    opt.command = argv + i + 1;
    if (!opt.label) opt.label = opt.command[0];
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    sigset_t chld;
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    sigprocmask(SIG_BLOCK, &chld, NULL);
    int fd = open("fault.report", O_RDWR | O_CREAT | O_TRUNC, 0666);
    if (fd < 0 || ftruncate(fd, (off_t)sizeof *report) != 0) die("cannot write", "fault.report");
    report = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (report == MAP_FAILED) die("cannot map", "fault.report");
    return (opt.point ? run_point() : run_all()) != 0;
}
