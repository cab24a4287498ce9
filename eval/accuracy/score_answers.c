#include "eval/accuracy/score_answers.h"

#include <stdio.h>
#include <string.h>

#include "core/file.h"
#include "core/log.h"
#include "core/num.h"
#include "core/usage.h"

const char *loom_score_answers_name(char *name, size_t cap, const char *arg)
{
    const char *path = loom_path_called(name, cap, arg);
    if (path == arg) *name = 0; /* the name that a bare file would get */
    return path;
}

/* ---- prompts ---- */

static loom_status add_path(loom_paths *list, const char *path, loom_err *err)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->paths[i], path) == 0) return LOOM_OK;
    LOOM_TRY(loom_grow(&list->paths, &list->cap, list->n + 1, sizeof *list->paths, err));
    if (!(list->paths[list->n] = loom_strdup(path))) return loom_fail_nomem(err, "a list of files");
    list->n++;
    return LOOM_OK;
}

/* Prompts files named in the answers' sidecar, unless they have changed since. */
static loom_status prompts_of_answers(loom_paths *list, const char *answers, loom_err *err)
{
    loom_json *root = loom_meta_load(answers, true);
    loom_status st = LOOM_OK;
    const loom_json *inputs = loom_json_get(root, "inputs");
    for (size_t i = 0; i < loom_json_len(inputs) && st == LOOM_OK; i++) {
        const char *path = loom_json_str(loom_json_get(loom_json_at(inputs, i), "path"), NULL);
        const char *digest = loom_json_str(loom_json_get(loom_json_at(inputs, i), "xxh3_128"), NULL);
        char now[33];
        if (!path || !digest || !strstr(path, ".prompts.jsonl") || !loom_file_exists(path)) continue;
        if (loom_hash_file(now, path, NULL) != LOOM_OK) continue;
        if (strcmp(now, digest) == 0) st = add_path(list, path, err);
        else loom_warn("%s has changed since %s was made from it and is not used", path, answers);
    }
    loom_json_free(root);
    return st;
}

static loom_status find_prompts(loom_paths *list, const loom_score_answers_conf *conf, char *const *args, int n,
                                loom_err *err)
{
    char own[128];
    loom_buf name = {0};
    loom_status st = LOOM_OK;
    for (int i = 0; !conf->prompts && i < n && st == LOOM_OK; i++)
        st = prompts_of_answers(list, loom_score_answers_name(own, sizeof own, args[i]), err);
    for (const char *from = conf->prompts; from && *from && st == LOOM_OK;) {
        size_t len = strcspn(from, ",");
        loom_buf_reset(&name);
        loom_buf_append(&name, from, len);
        from += len + (from[len] == ',');
        if (len) st = add_path(list, name.data, err);
    }
    loom_buf_release(&name);
    return st;
}

/* The sizes to show: as the options say, else those that the prompts' sidecars name, else the paper's. */
static loom_status choose_grid(loom_grid *g, const loom_score_answers_conf *conf, const loom_paths *prompts,
                               loom_err *err)
{
    loom_grid asked = LOOM_GRID_PAPER;
    bool any = false;
    for (size_t i = 0; i < prompts->n; i++) loom_tally_extent(&asked, &any, prompts->paths[i]);
    *g = asked;
    if (strcmp(conf->edges, "auto") != 0)
        LOOM_TRY(loom_grid_range(&g->edges_lo, &g->edges_hi, conf->edges, "--edges", err));
    if (strcmp(conf->depths, "auto") != 0)
        LOOM_TRY(loom_grid_range(&g->depth_lo, &g->depth_hi, conf->depths, "--depths", err));
    return LOOM_OK;
}

/* ---- answers ---- */

static void warn_gaps(const loom_tally *t)
{
    if (t->outside)
        loom_warn("%lld answers ask for sizes outside the grid and are left out; see --edges and --depths",
                  (long long)t->outside);
    for (size_t i = 0; i < t->n_series; i++) {
        const loom_series *s = &t->series[i];
        if (s->missing)
            loom_warn("%s, temperature %g: %lld of the prompts in %s have no answer; they are counted as failures",
                      s->method, s->temperature, (long long)s->missing, t->prompts_path[s->mode]);
    }
    if (!t->has_coverage)
        loom_warn(
            "no prompts file with a .meta.json: cells without answers cannot be told from sizes that no validation graph has");
}

loom_status loom_score_answers_inputs(loom_score_answers_run *run, loom_results *r, const loom_score_answers_conf *conf,
                                      char *const *args, int n, loom_err *err)
{
    char name[128];
    *run = (loom_score_answers_run){.conf = conf, .args = args, .n_args = n};
    LOOM_TRY(find_prompts(&run->prompts, conf, args, n, err));
    for (size_t i = 0; i < run->prompts.n; i++) LOOM_TRY(loom_results_input(r, run->prompts.paths[i], err));
    for (int i = 0; i < n; i++) {
        LOOM_TRY(loom_results_input(r, loom_score_answers_name(name, sizeof name, args[i]), err));
        loom_results_called(r, name);
    }
    if (!conf->generated) return LOOM_OK;
    LOOM_TRY(loom_results_input(r, loom_path_called(name, sizeof name, conf->generated), err));
    loom_results_called(r, name);
    return LOOM_OK;
}

static int64_t count_answers(const loom_tally *t)
{
    int64_t total = 0;
    for (size_t i = 0; i < t->n_series; i++) total += t->series[i].all.n;
    return total;
}

static loom_status judge_all(loom_score_answers_run *run, loom_pool *pool, loom_err *err)
{
    char name[128];
    for (size_t i = 0; i < run->prompts.n; i++) LOOM_TRY(loom_tally_prompts(&run->tally, run->prompts.paths[i], err));
    for (int i = 0; i < run->n_args; i++) {
        const char *path = loom_score_answers_name(name, sizeof name, run->args[i]);
        LOOM_TRY(loom_tally_answers(&run->tally, path, *name ? name : NULL, pool, err));
    }
    if (!run->conf->generated) return LOOM_OK;
    const char *path = loom_path_called(name, sizeof name, run->conf->generated);
    return loom_tally_graphs(&run->tally, path, name, err);
}

loom_status loom_score_answers_all(loom_score_answers_run *run, const loom_results *r, loom_err *err)
{
    loom_grid g;
    loom_pool *pool = NULL;
    double started = loom_time_now();
    LOOM_TRY(choose_grid(&g, run->conf, &run->prompts, err));
    LOOM_TRY(loom_tally_init(&run->tally, &g, err));
    LOOM_TRY(loom_pool_new(&pool, (int)r->ctx->common.threads, err));
    loom_status st = judge_all(run, pool, err);
    loom_pool_free(pool);
    LOOM_TRY(st);
    int64_t total = count_answers(&run->tally);
    if (total == 0)
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "no answer asks for %lld to %lld edges and depth %lld to %lld; widen --edges and --depths",
                         (long long)g.edges_lo, (long long)g.edges_hi, (long long)g.depth_lo, (long long)g.depth_hi);
    double seconds = loom_time_now() - started;
    loom_verbose("%lld answers judged in %.2f s (%.0f graphs/s)", (long long)total, seconds, (double)total / seconds);
    LOOM_TRY(loom_tally_finish(&run->tally, run->conf->prompts != NULL, err));
    warn_gaps(&run->tally);
    return LOOM_OK;
}

void loom_score_answers_release(loom_score_answers_run *run)
{
    loom_free_list(run->prompts.paths, run->prompts.n);
    if (run->tally.coverage) loom_tally_release(&run->tally);
    run->prompts = (loom_paths){0};
}

loom_status loom_score_answers_to(const loom_ctx *ctx, const char *output, bool pictures,
                                  const loom_score_answers_conf *conf, loom_score_answers_fn *write, const void *arg,
                                  loom_err *err)
{
    loom_score_answers_run run = {0};
    loom_results r = {0};
    loom_status st;

    if ((st = loom_results_open(&r, ctx, output, pictures, err)) != LOOM_OK) goto done;
    if ((st = loom_score_answers_inputs(&run, &r, conf, ctx->args, ctx->n_args, err)) != LOOM_OK) goto done;
    if (loom_results_up_to_date(&r)) goto done;
    if ((st = loom_score_answers_all(&run, &r, err)) != LOOM_OK) goto done;
    st = write(&r, &run.tally, arg, err);
done:
    loom_results_release(&r);
    loom_score_answers_release(&run);
    return st;
}
