#include "core/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/escape.h"
#include "core/launch.h"
#include "core/num.h"
#include "core/usage.h"

static const double quiet_seconds = 1, bar_interval = 1.0 / 6, line_interval = 10;

void loom_progress_start(loom_progress *p, const loom_common *common, const char *label, int64_t total,
                         const char *unit)
{
    bool tty = isatty(STDERR_FILENO);
    *p = (loom_progress){.label = label, .unit = unit, .total = total, .started = loom_time_now()};
    p->on = !common->quiet && common->progress != 2 && loom_launch_rank() == 0;
    p->bar = tty;
    p->last = p->started;
}

static int terminal_columns(void)
{
    struct winsize w;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 20) return w.ws_col;
    return 80;
}

/* Appends a note to text[0..n). */
static void put_note(char *text, size_t cap, size_t n, const char *note)
{
    memcpy(text + n, "  ", 2);
    loom_escape_into(text + n + 2, cap - n - 2, note, strlen(note));
}

static void line_text(const loom_progress *p, const char *note, char *text, size_t cap)
{
    char done[24], total[24], eta[24];
    double elapsed = loom_time_now() - p->started;
    int n;

    loom_format_count(done, sizeof done, (double)p->done);
    if (p->total > 0) {
        double share = (double)p->done / (double)p->total;
        char bar[21];
        for (int i = 0; i < 20; i++) bar[i] = share * 20 > i ? '#' : '.';
        bar[20] = 0;
        loom_format_count(total, sizeof total, (double)p->total);
        loom_format_seconds(eta, sizeof eta, share > 0 ? elapsed * (1 - share) / share : 0);
        n = snprintf(text, cap, "%s [%s] %s/%s %s, %s left", p->label, bar, done, total, p->unit, eta);
    } else {
        n = snprintf(text, cap, "%s %s %s, %s", p->label, done, p->unit, loom_format_seconds(eta, sizeof eta, elapsed));
    }
    if (note && n > 0 && (size_t)n + 2 < cap) put_note(text, cap, (size_t)n, note);
}

void loom_progress_update(loom_progress *p, int64_t done, const char *note)
{
    p->done = done;
    if (!p->on) return;
    double now = loom_time_now();
    if (now - p->started < quiet_seconds || now - p->last < (p->bar ? bar_interval : line_interval)) return;
    char text[512];
    line_text(p, note, text, sizeof text);
    if (p->bar) {
        int columns = terminal_columns() - 1;
        fprintf(stderr, "\r%-*.*s", columns, columns, text);
        fflush(stderr);
    } else {
        fprintf(stderr, "%s\n", text);
    }
    p->last = now;
    p->shown = true;
}

void loom_progress_finish(loom_progress *p, const char *note)
{
    if (!p->on || !p->shown) return;
    if (p->bar) {
        char text[512], took[24];
        int columns = terminal_columns() - 1, n;
        char done[24];
        n = snprintf(text, sizeof text, "%s: %s %s in %s", p->label,
                     loom_format_count(done, sizeof done, (double)p->done), p->unit,
                     loom_format_seconds(took, sizeof took, loom_time_now() - p->started));
        if (note && n > 0 && (size_t)n + 2 < sizeof text) put_note(text, sizeof text, (size_t)n, note);
        fprintf(stderr, "\r%-*.*s\n", columns, columns, text);
    }
    p->on = false;
}
