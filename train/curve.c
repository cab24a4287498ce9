#include "train/curve.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/file.h"
#include "core/num.h"

extern char **environ;

static const char header[] = "step,tokens,epoch,lr,loss,grad_norm,tokens_per_s,seconds,valid_loss,valid_accuracy\n";

/* Rows of the old file up to a step; a damaged row ends it. */
static void keep_rows(loom_buf *into, const char *text, int64_t step)
{
    const char *line = strchr(text, '\n');

    while (line && *++line) {
        const char *end = strchr(line, '\n'), *comma = strchr(line, ',');
        int64_t n;
        if (!end || !comma || !loom_parse_i64(line, (size_t)(comma - line), &n) || n > step) break;
        loom_buf_append(into, line, (size_t)(end - line) + 1);
        line = end;
    }
}

loom_status loom_curve_open(loom_curve *c, const char *dir, int64_t step, loom_err *err)
{
    loom_buf path = {0}, old = {0}, text = {0};
    loom_status st = LOOM_OK;

    loom_buf_printf(&path, "%s/curve.csv", dir);
    loom_buf_str(&text, header);
    if (step > 0 && loom_file_exists(path.data) && loom_file_read(&old, path.data, LOOM_BOUND_PROMPTS, NULL) == LOOM_OK)
        keep_rows(&text, loom_buf_text(&old), step);
    c->path = loom_buf_take(&path);
    st = c->path ? loom_file_write(c->path, text.data, text.len, true, err) : loom_fail_nomem(err, "a file name");
    if (st == LOOM_OK && !(c->file = fopen(c->path, "ae")))
        st = loom_fail(err, LOOM_STATUS_IO, "cannot open %s: %s", c->path, strerror(errno));
    loom_buf_release(&old);
    loom_buf_release(&text);
    return st;
}

loom_status loom_curve_add(loom_curve *c, const loom_curve_row *r, loom_err *err)
{
    fprintf(c->file, "%" PRId64 ",%" PRId64 ",%.4f,%.6g,%.6f,%.5g,%.1f,%.2f,", r->step, r->tokens, r->epoch, r->lr,
            r->loss, r->grad_norm, r->tokens_per_s, r->seconds);
    if (r->has_valid) fprintf(c->file, "%.6f,%.5f\n", r->valid_loss, r->valid_accuracy);
    else fputs(",\n", c->file);
    if (fflush(c->file) != 0) return loom_fail(err, LOOM_STATUS_IO, "cannot write %s: %s", c->path, strerror(errno));
    return LOOM_OK;
}

void loom_curve_close(loom_curve *c)
{
    if (c->file) fclose(c->file);
    free(c->path);
    *c = (loom_curve){0};
}

static const char script[] =
    "# Learning curve; run in this folder: gnuplot curve.gp\n"
    "set datafile separator ','\n"
    "set xlabel 'tokens trained on'\n"
    "set ylabel 'loss (nats per token)'\n"
    "set format x '%.1s%c'\n"
    "set grid\n"
    "set key top right\n"
    "set terminal svg size 800,500 dynamic background rgb 'white'\n"
    "set output 'curve.svg'\n"
    "plot 'curve.csv' using 2:5 skip 1 with lines title 'training', \\\n"
    "     'curve.csv' using 2:9 skip 1 with linespoints pointtype 7 pointsize 0.5 title 'validation'\n"
    "set terminal pngcairo size 1200,750\n"
    "set output 'curve.png'\n"
    "replot\n";

/* Runs gnuplot in the folder; anything but success counts as "not drawn". */
static bool run_gnuplot(const char *dir)
{
    char *const argv[] = {"gnuplot", "curve.gp", NULL};
    posix_spawn_file_actions_t actions;
    pid_t child;
    int status = -1;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addchdir_np(&actions, dir);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (posix_spawnp(&child, "gnuplot", &actions, NULL, argv, environ) == 0) {
        while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    }
    posix_spawn_file_actions_destroy(&actions);
    return status == 0;
}

loom_status loom_curve_draw(const char *dir, bool *drawn, loom_err *err)
{
    loom_buf path = {0};
    loom_status st;

    loom_buf_printf(&path, "%s/curve.gp", dir);
    st = loom_file_write(path.data, script, sizeof script - 1, true, err);
    loom_buf_release(&path);
    if (st == LOOM_OK) *drawn = run_gnuplot(dir);
    return st;
}
