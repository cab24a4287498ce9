/* A folder of results: tables, figures drawn from them, and manifest.json, which says how each was made.
 *
 *   loom_results r = {0};
 *   LOOM_TRY(loom_results_open(&r, ctx, dir, pictures, err));
 *   st = loom_results_input(&r, path, err);                 recorded with checksum
 *   st = loom_results_table(&r, "fig12.csv", &table, err);
 *   st = loom_results_figure(&r, "fig12", &vars, err);
 *   st = loom_results_close(&r, err);                       writes this command's part of the manifest
 *   loom_results_release(&r);
 *
 * Several commands may share a folder: each replaces its own part of the manifest and leaves the others. Files get
 * their names in the folder when all of them are there; a command that fails (full disk, bad input) leaves none. */
#ifndef LOOM_EVAL_RESULTS_H
#define LOOM_EVAL_RESULTS_H

#include "core/cli.h"
#include "core/meta.h"
#include "eval/pages/figure.h"
#include "eval/pages/table.h"

typedef struct loom_results {
    const loom_ctx *ctx;
    const char *dir;
    bool pictures;
    bool told;      /* that gnuplot is missing */
    bool synthetic; /* an input goes back to generated sample traces */
    int64_t sample_seed;
    double started;   /* loom_time_now() of the opening */
    loom_meta meta;   /* add counters and choices here */
    loom_buf stage;   /* folder of the files that do not have their names yet; empty: none so far */
    int stage_lock;   /* says that the folder is in use; of no meaning without one */
    bool made_dir;    /* dir was not there before */
    loom_buf names;   /* JSON strings of how the inputs are called, comma-separated */
    loom_buf files;   /* JSON strings of what was written, comma-separated */
    loom_buf summary; /* JSON objects, comma-separated */
} loom_results;

/* Borrows ctx and dir; the folder is made when the first file is. */
loom_status loom_results_open(loom_results *r, const loom_ctx *ctx, const char *dir, bool pictures, loom_err *err);
/* Records an input file and looks through its provenance for generated sample traces. */
loom_status loom_results_input(loom_results *r, const char *path, loom_err *err);
/* How an input is called in the tables; like the inputs themselves it decides whether the results are up to date. */
void loom_results_called(loom_results *r, const char *name);
/* Under --update: true, and said to the user, when the folder holds what this run would write. All inputs and names
 * must have been recorded. */
bool loom_results_up_to_date(const loom_results *r);
loom_status loom_results_table(loom_results *r, const char *name, const loom_csv_table *table, loom_err *err);
loom_status loom_results_text(loom_results *r, const char *name, const char *text, size_t len, loom_err *err);
/* Writes the script and the pictures; without gnuplot warns once and goes on. */
loom_status loom_results_figure(loom_results *r, const char *name, const loom_figure_vars *vars, loom_err *err);

/* One line of "the paper's number beside ours". `same` 1: same direction, 0: not, -1: not to be told. NULL texts:
 * none. */
void loom_results_summary(loom_results *r, const char *figure, const char *what, const char *paper, const char *ours,
                          int same, const char *note);

/* "synthetic sample data, seed 1 · " when that is what the inputs come from, else "". */
const char *loom_results_origin(const loom_results *r, char *text, size_t cap);

loom_status loom_results_close(loom_results *r, loom_err *err);
void loom_results_release(loom_results *r);

/* Looks for sample-traces in PATH.meta.json and in the files it names, nine steps deep; true when found. */
bool loom_results_sample_seed(const char *path, int64_t *seed);

#endif
