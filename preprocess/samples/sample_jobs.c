#include "preprocess/samples/sample_jobs.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/num.h"
#include "core/rng.h"
#include "preprocess/samples/sample_math.h"

enum { LEVELS = 6, WIDE = 3, TASKS = LEVELS * WIDE };
#define CUT    0.3 /* chance that a job ends before its last level */
#define ALONE  0.1 /* chance of a job that is one task outside any plan */
#define KINDS  40
#define FIRST  86400 /* s: when the first job begins */
#define PERIOD 20    /* s between jobs, in the mean */

typedef struct plan_task {
    int level, kind;
    int after[TASKS], n_after; /* numbers, from 1 */
    double usual;              /* natural logarithm of its usual duration, s */
} plan_task;

/* Tasks by level; task i has the number i + 1. */
typedef struct plan {
    plan_task list[TASKS];
    int n, levels;
} plan;

/* Each waits for one task of the level before at least, and for others before it now and then. */
static void draw_after(plan *p, int i, loom_rng *rng)
{
    plan_task *t = &p->list[i];
    int from = i, to = i;

    while (from > 0 && p->list[from - 1].level >= t->level - 1) from--;
    while (to > 0 && p->list[to - 1].level == t->level) to--;
    if (t->level == 0) return;
    int must = from + (int)loom_rng_below(rng, (uint64_t)(to - from));
    for (int k = to - 1; k >= 0; k--)
        if (k == must || loom_rng_chance(rng, k >= from ? 0.4 : 0.1)) t->after[t->n_after++] = k + 1;
}

static void draw_plan(plan *p, loom_rng *rng)
{
    *p = (plan){.levels = 1 + (int)loom_sample_geometric(rng, 2.0, LEVELS - 1)};
    for (int level = 0; level < p->levels; level++) {
        int n = 1 + (int)loom_sample_geometric(rng, 0.6, WIDE - 1);
        for (int k = 0; k < n; k++) {
            plan_task *t = &p->list[p->n];
            *t = (plan_task){
                .level = level, .kind = (int)loom_rng_below(rng, KINDS), .usual = loom_sample_normal(rng, 3.0, 1.2)};
            draw_after(p, p->n++, rng);
        }
    }
}

static int64_t duration(const plan_task *t, loom_rng *rng)
{
    return 1 + (int64_t)loom_sample_exp(loom_sample_normal(rng, t->usual, 0.5));
}

static loom_status row(loom_out *out, const char *name, int64_t job, int kind, int64_t start, int64_t end,
                       loom_err *err)
{
    return loom_out_printf(out, err, "%s,%d,j_%lld,%d,Terminated,%lld,%lld,%d,%d.%02d\n", name, 1 + kind % 7,
                           (long long)job, 1 + kind % 12, (long long)start, (long long)end, 50 * (1 + kind % 4),
                           kind % 3, 10 + kind % 90);
}

/* "M1", "R3_2_1" */
static void task_name(loom_buf *into, const plan_task *t, int number)
{
    loom_buf_reset(into);
    loom_buf_printf(into, "%c%d", t->n_after == 0 ? 'M' : t->n_after == 1 ? 'R' : 'J', number);
    for (int k = 0; k < t->n_after; k++) loom_buf_printf(into, "_%d", t->after[k]);
}

static loom_status write_job(loom_out *out, const plan *p, int64_t job, int64_t begin, loom_rng *rng, int64_t *tasks,
                             loom_err *err)
{
    int64_t end[TASKS];
    int levels = loom_rng_chance(rng, CUT) ? 1 + (int)loom_rng_below(rng, (uint64_t)p->levels) : p->levels;
    loom_buf name = {0};
    loom_status st = LOOM_OK;

    for (int i = 0; st == LOOM_OK && i < p->n && p->list[i].level < levels; i++) {
        const plan_task *t = &p->list[i];
        int64_t start = begin;
        for (int k = 0; k < t->n_after; k++) start = loom_max_i64(start, end[t->after[k] - 1]);
        start += (int64_t)loom_rng_below(rng, 3);
        end[i] = start + duration(t, rng);
        task_name(&name, t, i + 1);
        st = loom_buf_check(&name, "a job", err);
        if (st == LOOM_OK) st = row(out, name.data, job, t->kind, start, end[i], err);
        ++*tasks;
    }
    loom_buf_release(&name);
    return st;
}

static loom_status write_alone(loom_out *out, int64_t job, int64_t begin, loom_rng *rng, int64_t *tasks, loom_err *err)
{
    char name[40];
    int kind = (int)loom_rng_below(rng, KINDS);

    snprintf(name, sizeof name, "task_%016llx", (unsigned long long)loom_rng_u64(rng));
    ++*tasks;
    return row(out, name, job, kind, begin, begin + 1 + (int64_t)loom_rng_below(rng, 100), err);
}

loom_status loom_sample_jobs_write(loom_out *out, const loom_sample_jobs_conf *conf, int64_t *tasks, loom_err *err)
{
    plan *plans = loom_alloc((size_t)conf->programs, sizeof *plans);
    int64_t begin = FIRST;
    loom_rng rng;
    loom_status st = plans ? LOOM_OK : loom_fail_nomem(err, "plans of jobs");

    loom_rng_seed(&rng, conf->seed, "sample-jobs", 0);
    for (int64_t i = 0; plans && i < conf->programs; i++) draw_plan(&plans[i], &rng);
    *tasks = 0;
    for (int64_t job = 0; st == LOOM_OK && job < conf->jobs; job++) {
        begin += (int64_t)loom_rng_below(&rng, 2 * PERIOD);
        if (loom_stop_requested())
            st = loom_fail(err, LOOM_STATUS_INTERRUPT, "interrupted; nothing was left half-written");
        else if (loom_rng_chance(&rng, ALONE)) st = write_alone(out, job, begin, &rng, tasks, err);
        else st = write_job(out, &plans[loom_rng_below(&rng, (uint64_t)conf->programs)], job, begin, &rng, tasks, err);
    }
    free(plans);
    return st;
}
