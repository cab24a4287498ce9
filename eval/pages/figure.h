/* Pictures: each is a gnuplot script that reads one CSV file beside it, so that a user may edit and redraw it.
 *
 * A figure is a row of one table: base name, the CSV it reads, the script. The evaluator writes the CSV, then asks
 *
 *   loom_figure_vars v = {0};
 *   loom_figure_str(&v, "title", "Correct call graphs by requested size");
 *   loom_figure_str(&v, "caption", caption);
 *   st = loom_figure_draw(loom_figure_find("fig12"), dir, &v, force, why, sizeof why, err);
 *   if (*why) loom_warn("no picture of fig12: %s", why);
 *
 * which writes DIR/fig12.gp and lets gnuplot make DIR/fig12.png and DIR/fig12.svg. Without gnuplot the .gp stays. */
#ifndef LOOM_EVAL_FIGURE_H
#define LOOM_EVAL_FIGURE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

typedef struct loom_figure {
    const char *name;        /* base name of .gp, .png, .svg */
    const char *csv;         /* file that the script reads */
    const char *const *size; /* script lines that set W and H in pixels; NULL-terminated */
    const char *const *body; /* script lines that draw; NULL-terminated */
    bool with_key;           /* the shared key, margins and axes come before the body */
} loom_figure;

extern const loom_figure loom_figures[]; /* ends with name NULL */
extern const char *const loom_figure_key_size[], *const loom_figure_key[];
extern const char *const loom_figure_common[];         /* script lines that set terminal, fonts and colours */
const loom_figure *loom_figure_find(const char *name); /* NULL: no such figure */

/* Lines "name = value" at the head of the script. Lists are one string of quoted words (gnuplot: word(list, i)). */
typedef struct loom_figure_vars {
    loom_buf text;
} loom_figure_vars; /* zero-initialised is ready */
void loom_figure_str(loom_figure_vars *v, const char *name, const char *text);
void loom_figure_list(loom_figure_vars *v, const char *name, const char *const *items, int64_t n);
void loom_figure_num(loom_figure_vars *v, const char *name, double value);
void loom_figure_vars_release(loom_figure_vars *v);

/* `why` (cap bytes) is empty when the pictures were drawn, else says in a few words why not; that is no error. */
loom_status loom_figure_draw(const loom_figure *f, const char *dir, const loom_figure_vars *vars, bool force, char *why,
                             size_t cap, loom_err *err);
/* Draws NAME.png and NAME.svg from DIR/NAME.gp as it stands, a user's changes included. */
loom_status loom_figure_redraw(const char *name, const char *dir, char *why, size_t cap, loom_err *err);

/* A script is head, values, tail. Is `text` one, with the head and tail that this program writes for NAME and with
 * values that cannot be anything but values? Only such a script can be run without trusting who wrote it. */
void loom_figure_head(loom_buf *into, const loom_figure *f);
void loom_figure_tail(loom_buf *into, const loom_figure *f);
bool loom_figure_is_ours(const char *name, const char *text, size_t len);

#endif
