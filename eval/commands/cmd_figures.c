/* loom-eval figures: draws the pictures of a results folder again from their scripts. */
#include <stdio.h>
#include <string.h>

#include "core/file.h"
#include "core/log.h"
#include "eval/commands/eval_cmds.h"
#include "eval/pages/figure.h"

typedef struct figures_conf {
    bool trust;
} figures_conf;

static const loom_opt figures_opts[] = {
    LOOM_OPT_FLAG("trust", 0, figures_conf, trust,
                  "run scripts that were edited or come from elsewhere, too: they may run any program"),
    LOOM_OPT_END};

/* gnuplot runs whatever a script says. */
static loom_status check_script(const char *path, const char *name, loom_err *err)
{
    loom_buf text = {0};
    loom_status st = loom_file_read(&text, path, LOOM_BOUND_SETTINGS, err);
    if (st == LOOM_OK && !loom_figure_is_ours(name, loom_buf_text(&text), text.len))
        st = loom_fail(
            err, LOOM_STATUS_ARG,
            "%s is not, but for its values, the script that this program writes; a script may run any program: read "
            "it, then give --trust",
            path);
    loom_buf_release(&text);
    return st;
}

static loom_status draw_script(const char *path, const figures_conf *conf, loom_err *err)
{
    const char *slash = strrchr(path, '/');
    char dir[4096], name[256], why[512] = "";
    snprintf(dir, sizeof dir, "%.*s", (int)(slash - path), path);
    snprintf(name, sizeof name, "%.*s", (int)(strlen(slash + 1) - 3), slash + 1);
    if (!conf->trust) LOOM_TRY(check_script(path, name, err));
    LOOM_TRY(loom_figure_redraw(name, dir, why, sizeof why, err));
    if (*why) return loom_fail(err, LOOM_STATUS_IO, "%s: %s", path, why);
    loom_info("%s/%s.png, .svg", dir, name);
    return LOOM_OK;
}

static loom_status run_figures(const loom_ctx *ctx, loom_err *err)
{
    const figures_conf *conf = ctx->conf;
    const char *dir = ctx->args[0];
    char **paths = NULL;
    size_t n = 0;
    LOOM_TRY(loom_list_files(&paths, &n, dir, ".gp", err));
    loom_status st =
        n ? LOOM_OK : loom_fail(err, LOOM_STATUS_ARG, "%s holds no scripts (*.gp); give a folder of results", dir);
    for (size_t i = 0; i < n && st == LOOM_OK; i++) st = draw_script(paths[i], conf, err);
    loom_free_list(paths, n);
    return st;
}

const loom_cmd loom_cmd_figures = {
    .name = "figures",
    .summary = "draw the pictures of a results folder again from their scripts",
    .args = "DIR",
    .min_args = 1,
    .max_args = 1,
    .details = "For scripts that were edited by hand, or after gnuplot has been installed. Pictures are replaced.\n"
               "Runs the gnuplot scripts of DIR, and such a script may run any program: one that differs, but for its\n"
               "values, from what this program writes is refused unless you give --trust.\n\n"
               "  loom-eval figures results\n"
               "  loom-eval figures results --trust        with scripts that you have edited\n",
    .opts = figures_opts,
    .conf_size = sizeof(figures_conf),
    .run = run_figures};
