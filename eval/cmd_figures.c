/* loom-eval figures: draws the pictures of a results folder again from their scripts. */
#include <string.h>

#include "core/file.h"
#include "core/log.h"
#include "eval/eval_cmds.h"
#include "eval/figure.h"

static const loom_opt figures_opts[] = {LOOM_OPT_END};

typedef struct figures_conf {
    char none;
} figures_conf;

static loom_status run_figures(const loom_ctx *ctx, loom_err *err)
{
    const char *dir = ctx->args[0];
    char **paths = NULL, why[512] = "";
    size_t n = 0;
    LOOM_TRY(loom_list_files(&paths, &n, dir, ".gp", err));
    loom_status st = n ? LOOM_OK : loom_fail(err, LOOM_STATUS_ARG, "%s holds no scripts (*.gp); give a folder of results", dir);
    for (size_t i = 0; i < n && st == LOOM_OK; i++) {
        char *base = strrchr(paths[i], '/');
        base = base ? base + 1 : paths[i];
        base[strlen(base) - 3] = 0;
        st = loom_figure_redraw(base, dir, why, sizeof why, err);
        if (st == LOOM_OK && *why) st = loom_fail(err, LOOM_STATUS_IO, "%s/%s.gp: %s", dir, base, why);
        if (st == LOOM_OK) loom_info("%s/%s.png, .svg", dir, base);
    }
    loom_free_list(paths, n);
    return st;
}

const loom_cmd loom_cmd_figures = {
    .name = "figures",
    .summary = "draw the pictures of a results folder again from their scripts",
    .args = "DIR",
    .min_args = 1,
    .max_args = 1,
    .details = "For scripts that were edited by hand, or after gnuplot has been installed. Pictures are replaced.\n\n"
               "  loom-eval figures results\n",
    .opts = figures_opts,
    .conf_size = sizeof(figures_conf),
    .run = run_figures};
