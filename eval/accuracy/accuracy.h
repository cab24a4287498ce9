/* Accuracy as rows of a table and as lines of a picture: Figs 3, 13 and 14 differ in what a line stands for (a
 * method, a variant, a model) and are otherwise the same. */
#ifndef LOOM_EVAL_ACCURACY_H
#define LOOM_EVAL_ACCURACY_H

#include "eval/accuracy/tally.h"
#include "eval/pages/results.h"

extern const char *const loom_validity_names[]; /* "paper", "code" */

/* Fields k,n,value,lo,hi: a proportion with its 95 % Wilson interval. */
void loom_accuracy_proportion(loom_csv_table *t, int64_t k, int64_t n);
/* k of n under one set of rules, 0..1; NaN for n = 0. */
double loom_accuracy_share(const loom_tally_cell *c, loom_validity v);

/* Fields validity,axis,x,k,n,value,lo,hi, once for each edges, depth and the temperature that has answers; `lead`
 * writes the fields before them. */
typedef void (*loom_accuracy_lead)(loom_csv_table *t, const void *arg, const loom_series *s);
#define LOOM_ACCURACY_COLUMNS "validity,axis,x,k,n,value,lo,hi"
#define LOOM_AXIS_SIZES       1 /* edges and depth */
#define LOOM_AXIS_TEMPERATURE 2
void loom_accuracy_rows(loom_csv_table *t, const loom_tally *tally, const loom_series *s, loom_validity v, int axes,
                        loom_accuracy_lead lead, const void *arg);

/* The lines and panels of pictures: each method at its lowest temperature. */
typedef struct loom_accuracy_lines {
    const loom_series **list;
    int64_t n;
    int64_t most_n, least_n; /* answers per scored cell */
    double temp_lo, temp_hi;
    bool several_temperatures;
} loom_accuracy_lines;
typedef enum loom_decoding { LOOM_DECODING_ANY, LOOM_DECODING_FREE, LOOM_DECODING_CONSTRAINED } loom_decoding;
/* Borrows the series of the tally; those decoded in one way, or all. */
void loom_accuracy_choose(loom_accuracy_lines *lines, const loom_tally *tally, loom_decoding which);
void loom_accuracy_lines_release(loom_accuracy_lines *lines);

/* Variables methods, temperatures, labels, validity of a script. `list_name` is the list of methods' name there;
 * `labels` NULL: titles of the methods. */
void loom_accuracy_vars(loom_figure_vars *vars, const char *list_name, const loom_accuracy_lines *lines,
                        const char *const *labels, loom_validity v);
/* "10", "2 to 10": answers per cell. */
void loom_accuracy_per_cell(char *text, size_t cap, const loom_accuracy_lines *lines);
const char *loom_accuracy_rules(loom_validity v); /* "the paper's rules" */

/* One picture of lines from a table with the columns above. */
typedef struct loom_accuracy_picture {
    const char *name, *title; /* "fig03a", "Accuracy by number of edges" */
    const char *who;          /* column that tells the lines apart */
    const char *axis, *x_label;
    double x_lo, x_hi, x_step;
    const char *const *labels; /* NULL: titles of the methods */
    bool ordered;              /* lines in shades of one colour */
} loom_accuracy_picture;
loom_status loom_accuracy_draw(loom_results *r, const loom_accuracy_lines *lines, loom_validity v,
                               const loom_accuracy_picture *p, loom_err *err);

#endif
