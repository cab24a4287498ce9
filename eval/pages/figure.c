#include "eval/pages/figure.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/file.h"
#include "core/num.h"

extern char **environ;

const loom_figure *loom_figure_find(const char *name)
{
    for (const loom_figure *f = loom_figures; f->name; f++)
        if (strcmp(f->name, name) == 0) return f;
    return NULL;
}

/* ---- variables ---- */

/* gnuplot's double-quoted strings know backslash escapes; backquotes would run a program. The words of a list are put
 * together to a command again (`eval legend(...)`), where a quote would end the string and a backslash hide its end. */
static void quote_into(loom_buf *into, const char *text, bool nested)
{
    for (const char *c = text; *c; c++) {
        if (*c == '`' || (unsigned char)*c < ' ') continue;
        if (nested && (*c == '"' || *c == '\\')) {
            loom_buf_char(into, *c == '"' ? '\'' : '/');
            continue;
        }
        if (*c == '"' || *c == '\\') loom_buf_char(into, '\\');
        loom_buf_char(into, *c);
    }
}

void loom_figure_str(loom_figure_vars *v, const char *name, const char *text)
{
    loom_buf_printf(&v->text, "%s = \"", name);
    quote_into(&v->text, text, false);
    loom_buf_str(&v->text, "\"\n");
}

void loom_figure_list(loom_figure_vars *v, const char *name, const char *const *items, int64_t n)
{
    loom_buf_printf(&v->text, "%s = \"", name);
    for (int64_t i = 0; i < n; i++) {
        loom_buf_str(&v->text, i ? " \\\"" : "\\\"");
        quote_into(&v->text, items[i], true);
        loom_buf_str(&v->text, "\\\"");
    }
    loom_buf_str(&v->text, "\"\n");
}

void loom_figure_num(loom_figure_vars *v, const char *name, double value)
{
    loom_buf_printf(&v->text, "%s = %.10g\n", name, value);
}

void loom_figure_vars_release(loom_figure_vars *v) { loom_buf_release(&v->text); }

/* ---- script ---- */

static void add_lines(loom_buf *into, const char *const *lines)
{
    for (; *lines; lines++) loom_buf_printf(into, "%s\n", *lines);
}

void loom_figure_head(loom_buf *into, const loom_figure *f)
{
    loom_buf_printf(into,
                    "# %s, drawn from %s. Edit and draw again:\n"
                    "#   gnuplot %s.gp                      makes %s.png\n"
                    "#   gnuplot -e \"format='svg'\" %s.gp    makes %s.svg\n\n",
                    f->name, f->csv, f->name, f->name, f->name, f->name);
    loom_figure_vars own = {0};
    loom_figure_str(&own, "name", f->name);
    loom_figure_str(&own, "csv", f->csv);
    loom_buf_str(into, own.text.data);
    loom_figure_vars_release(&own);
}

void loom_figure_tail(loom_buf *into, const loom_figure *f)
{
    add_lines(into, f->size);
    if (f->with_key) add_lines(into, loom_figure_key_size);
    loom_buf_char(into, '\n');
    add_lines(into, loom_figure_common);
    loom_buf_char(into, '\n');
    if (f->with_key) add_lines(into, loom_figure_key);
    add_lines(into, f->body);
    loom_buf_str(into, "\nunset output\n");
}

static void script_into(loom_buf *into, const loom_figure *f, const loom_figure_vars *vars)
{
    loom_figure_head(into, f);
    loom_buf_str(into, loom_buf_text(&vars->text));
    loom_figure_tail(into, f);
}

/* ---- gnuplot ---- */

/* First line of what gnuplot said on stderr, trimmed, into why. */
static void read_complaint(int fd, char *why, size_t cap)
{
    char text[4096];
    size_t n = 0;
    ssize_t got;
    while (n + 1 < sizeof text && (got = read(fd, text + n, sizeof text - 1 - n)) > 0) n += (size_t)got;
    text[n] = 0;
    char *line = text + strspn(text, " \r\n\t^");
    line[strcspn(line, "\r\n")] = 0;
    snprintf(why, cap, "gnuplot failed: %s", *line ? line : "it gave no reason");
}

/* Runs gnuplot in `dir`; false with the reason in `why`. */
static bool run_gnuplot(const char *dir, const char *script, const char *format, char *why, size_t cap)
{
    int ends[2] = {-1, -1};
    if (pipe2(ends, O_CLOEXEC) != 0) {
        snprintf(why, cap, "no pipe for gnuplot: %s", strerror(errno));
        return false;
    }
    char set_format[64], drain[1024];
    snprintf(set_format, sizeof set_format, "format='%s'", format);
    char program[] = "gnuplot", no_startup[] = "-d", dash_e[] = "-e";
    char *script_copy = loom_strdup(script);
    char *argv[] = {program, no_startup, dash_e, set_format, script_copy, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addchdir_np(&actions, dir);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
    pid_t pid = -1;
    int failed = posix_spawnp(&pid, program, &actions, NULL, argv, environ), status = 0;
    posix_spawn_file_actions_destroy(&actions);
    free(script_copy);
    close(ends[1]);
    if (failed) {
        if (failed == ENOENT) snprintf(why, cap, "gnuplot is not installed");
        else snprintf(why, cap, "gnuplot does not start: %s", strerror(failed));
        close(ends[0]);
        return false;
    }
    read_complaint(ends[0], why, cap);
    while (read(ends[0], drain, sizeof drain) > 0) {
    }
    close(ends[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        *why = 0;
        return true;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127) snprintf(why, cap, "gnuplot is not installed");
    return false;
}

/* The script writes NAME.FORMAT.tmp; it gets its own name only when gnuplot succeeded. */
static loom_status draw_format(const char *name, const char *dir, const char *format, char *why, size_t cap,
                               loom_err *err)
{
    loom_buf script = {0}, temp = {0}, final = {0};
    loom_status st = LOOM_OK;
    loom_buf_printf(&script, "%s.gp", name);
    loom_buf_printf(&temp, "%s/%s.%s.tmp", dir, name, format);
    loom_buf_printf(&final, "%s/%s.%s", dir, name, format);
    if (run_gnuplot(dir, script.data, format, why, cap) && loom_file_size(temp.data) <= 0)
        snprintf(why, cap, "gnuplot wrote nothing; is the disk full?");
    if (*why) unlink(temp.data);
    else if (rename(temp.data, final.data) != 0)
        st = loom_fail(err, LOOM_STATUS_IO, "cannot rename %s to %s: %s", temp.data, final.data, strerror(errno));
    loom_buf_release(&script);
    loom_buf_release(&temp);
    loom_buf_release(&final);
    return st;
}

loom_status loom_figure_draw(const loom_figure *f, const char *dir, const loom_figure_vars *vars, bool force, char *why,
                             size_t cap, loom_err *err)
{
    loom_buf script = {0}, path = {0};
    loom_status st;
    *why = 0;
    script_into(&script, f, vars);
    loom_buf_printf(&path, "%s/%s.gp", dir, f->name);
    if ((st = loom_file_write(path.data, script.data, script.len, force, err)) != LOOM_OK) goto done;
    st = loom_figure_redraw(f->name, dir, why, cap, err);
done:
    loom_buf_release(&script);
    loom_buf_release(&path);
    return st;
}

loom_status loom_figure_redraw(const char *name, const char *dir, char *why, size_t cap, loom_err *err)
{
    *why = 0;
    LOOM_TRY(draw_format(name, dir, "png", why, cap, err));
    return *why ? LOOM_OK : draw_format(name, dir, "svg", why, cap, err);
}
