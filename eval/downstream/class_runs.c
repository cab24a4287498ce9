#include "eval/downstream/class_runs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/num.h"
#include "eval/answers/jsonl.h"
#include "eval/numbers/metrics.h"

#define MAKER "loom-train classify"

typedef struct reading {
    loom_class_runs *c;
    const char *path;
    double *margins; /* (n_test) */
} reading;

static loom_status not_one(const reading *r, int64_t number, const char *what, loom_err *err)
{
    return loom_fail(err, LOOM_STATUS_FORMAT, "%s:%lld: %s; write the file with `" MAKER "`", r->path,
                     (long long)number, what);
}

static loom_status take_head(reading *r, const loom_json *root, int64_t number, loom_err *err)
{
    loom_class_runs *c = r->c;
    const char *format = loom_json_str(loom_json_get(root, "format"), NULL);
    const char *task = loom_json_str(loom_json_get(root, "task"), NULL);
    const loom_json *truth = loom_json_get(root, "truth");

    if (!format || strcmp(format, "spanloom-classes-1") != 0 || !task || !loom_json_is_array(truth))
        return not_one(r, number, "not the first line of what classifiers say", err);
    c->n_test = (int64_t)loom_json_len(truth);
    c->task = loom_arena_strdup(&c->arena, task, strlen(task));
    c->fresh = loom_json_bool(loom_json_get(root, "fresh"), false);
    c->truth = loom_alloc((size_t)c->n_test + 1, sizeof *c->truth);
    r->margins = loom_alloc((size_t)c->n_test + 1, sizeof *r->margins);
    if (!c->truth || !r->margins) return loom_fail_nomem(err, "the answers of classifiers");
    for (int64_t i = 0; i < c->n_test; i++) {
        c->truth[i] = loom_json_i64(loom_json_at(truth, (size_t)i), 0) == 1;
        c->n_yes += c->truth[i];
    }
    if (c->n_yes == 0 || c->n_yes == c->n_test)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s: the graphs to test on are of one class only; give more of them",
                         r->path);
    c->majority = (double)loom_max_i64(c->n_yes, c->n_test - c->n_yes) / (double)c->n_test;
    return LOOM_OK;
}

static void judge(loom_class_run *run, const loom_class_runs *c, const double *margins)
{
    for (int64_t i = 0; i < c->n_test; i++) {
        bool says = margins[i] > 0;
        run->tp += says && c->truth[i];
        run->fp += says && !c->truth[i];
        run->fn += !says && c->truth[i];
        run->tn += !says && !c->truth[i];
    }
    run->accuracy = (double)(run->tp + run->tn) / (double)c->n_test;
    run->balanced = (double)run->tp / (double)c->n_yes / 2 + (double)run->tn / (double)(c->n_test - c->n_yes) / 2;
    run->auc = loom_metrics_auc(margins, c->truth, c->n_test);
}

static loom_status take_run(reading *r, const loom_json *root, int64_t number, loom_err *err)
{
    loom_class_runs *c = r->c;
    const char *origin = loom_json_str(loom_json_get(root, "origin"), NULL);
    const char *solver = loom_json_str(loom_json_get(root, "solver"), NULL);
    const loom_json *margins = loom_json_get(root, "margins");

    if (!origin || !solver || (int64_t)loom_json_len(margins) != c->n_test)
        return not_one(r, number, "not a head with origin, solver, and a margin for each graph to test on", err);
    for (int64_t i = 0; i < c->n_test; i++) {
        r->margins[i] = loom_json_f64(loom_json_at(margins, (size_t)i), NAN);
        if (isnan(r->margins[i])) return not_one(r, number, "a margin that is no number", err);
    }
    LOOM_TRY(loom_grow(&c->list, &c->cap, (size_t)c->n + 1, sizeof *c->list, err));
    loom_class_run *run = &c->list[c->n++];
    *run = (loom_class_run){.origin = loom_arena_strdup(&c->arena, origin, strlen(origin)),
                            .solver = loom_arena_strdup(&c->arena, solver, strlen(solver)),
                            .seed = loom_json_i64(loom_json_get(root, "seed"), 0),
                            .n_train = loom_json_i64(loom_json_get(root, "n_train"), 0),
                            .n_valid = loom_json_i64(loom_json_get(root, "n_valid"), 0),
                            .batch = loom_json_i64(loom_json_get(root, "batch"), -1),
                            .decay = loom_json_f64(loom_json_get(root, "decay"), NAN),
                            .lr = loom_json_f64(loom_json_get(root, "lr"), NAN)};
    judge(run, c, r->margins);
    return loom_arena_check(&c->arena, "the answers of classifiers", err);
}

static loom_status take(void *arg, const loom_json *root, int64_t number, loom_err *err)
{
    reading *r = arg;

    return r->c->task ? take_run(r, root, number, err) : take_head(r, root, number, err);
}

loom_status loom_class_runs_read(loom_class_runs *c, const char *path, loom_err *err)
{
    reading r = {.c = c, .path = path};
    loom_status st = loom_jsonl_read(path, "heads", MAKER, NULL, take, &r, err);

    if (st == LOOM_OK && c->n == 0)
        st = loom_fail(err, LOOM_STATUS_FORMAT, "%s: the file holds no head; write it with `" MAKER "`", path);
    free(r.margins);
    return st;
}

void loom_class_runs_release(loom_class_runs *c)
{
    free(c->truth);
    free(c->list);
    loom_arena_release(&c->arena);
    *c = (loom_class_runs){0};
}

bool loom_class_runs_mean(loom_class_mean *m, const loom_class_runs *c, const char *origin)
{
    double *accuracy = loom_alloc((size_t)c->n + 1, sizeof *accuracy);

    *m = (loom_class_mean){.noise = NAN};
    for (int64_t i = 0; accuracy && i < c->n; i++) {
        const loom_class_run *run = &c->list[i];
        if (strcmp(run->origin, origin) != 0) continue;
        accuracy[m->seeds++] = run->accuracy;
        m->balanced += run->balanced;
        m->auc += run->auc;
        m->n_train = run->n_train;
    }
    if (m->seeds) {
        m->accuracy = loom_metrics_mean(accuracy, m->seeds);
        m->std = loom_metrics_std(accuracy, m->seeds);
        m->noise = loom_metrics_noise(accuracy, m->seeds);
        m->balanced /= (double)m->seeds;
        m->auc /= (double)m->seeds;
    }
    free(accuracy);
    return m->seeds > 0;
}
