#include "preprocess/jobs/batch_tasks.h"

#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/num.h"

const char *const loom_task_flaw_names[LOOM_TASK_FLAWS] = {"bad_columns", "not_terminated", "bad_times",
                                                           "too_many_prerequisites"};

enum { NAME, INSTANCES, JOB, TYPE, STATUS, START, END, CPU, MEM, FIELDS };
#define TIME_MOST ((int64_t)1 << 40) /* s */

typedef struct field {
    const char *text;
    size_t len;
} field;

/* Fields hold no quotes in this table. False: not nine of them. */
static bool split(field *f, const char *line, size_t len)
{
    const char *end = line + len;
    int n = 0;

    for (;; n++) {
        const char *comma = memchr(line, ',', (size_t)(end - line));
        if (n == FIELDS) return false;
        f[n] = (field){line, (size_t)((comma ? comma : end) - line)};
        if (!comma) return n + 1 == FIELDS;
        line = comma + 1;
    }
}

/* Decimal digits, at most nine; moves *at behind them. */
static bool digits(const char **at, const char *end, int64_t *out)
{
    const char *from = *at;

    while (*at < end && **at >= '0' && **at <= '9') ++*at;
    return *at > from && *at - from <= 9 && loom_parse_i64(from, (size_t)(*at - from), out);
}

/* Letters, a number, and the numbers it waits for, each behind a '_'. Any other name: number -1. False: too many. */
static bool read_name(loom_batch_task *task, int64_t after[LOOM_TASK_AFTER], field name)
{
    const char *at = name.text, *end = at + name.len;
    int64_t number, n = 0;

    task->number = -1;
    while (at < end && ((*at >= 'A' && *at <= 'Z') || (*at >= 'a' && *at <= 'z'))) at++;
    if (at == name.text || !digits(&at, end, &number)) return true;
    for (; at < end; n++) {
        int64_t one;
        if (*at++ != '_' || !digits(&at, end, &one)) return true;
        if (n == LOOM_TASK_AFTER) return false;
        after[n] = one;
    }
    task->number = number;
    task->n_after = n;
    return true;
}

static bool read_times(loom_batch_task *task, const field *f)
{
    return loom_parse_i64(f[START].text, f[START].len, &task->start) &&
           loom_parse_i64(f[END].text, f[END].len, &task->end) && task->start > 0 && task->end >= task->start &&
           task->end < TIME_MOST;
}

static bool is_terminated(field status)
{
    static const char word[] = "Terminated";

    return status.len == sizeof word - 1 && memcmp(status.text, word, status.len) == 0;
}

static loom_status keep(loom_batch_tasks *t, loom_batch_task *task, const int64_t *after, const field *f, loom_err *err)
{
    loom_buf kind = {0};

    for (int i = TYPE; i <= MEM; i += i == TYPE ? CPU - TYPE : 1)
        loom_buf_printf(&kind, "%s%.*s", i == TYPE ? "type_" : i == CPU ? "_cpu_" : "_mem_", (int)f[i].len, f[i].text);
    task->kind = kind.data ? loom_intern_add(&t->kinds, kind.data, kind.len) : -1;
    loom_buf_release(&kind);
    if (task->kind < 0) return loom_fail_nomem(err, "kinds of tasks");
    int64_t *list = loom_arena_alloc(&t->arena, (size_t)(task->n_after + 1) * sizeof *list);
    if (!list) return loom_fail_nomem(err, "tasks");
    if (task->n_after) memcpy(list, after, (size_t)task->n_after * sizeof *list);
    task->after = list;
    LOOM_TRY(loom_grow(&t->list, &t->cap, (size_t)t->n + 1, sizeof *t->list, err));
    t->list[t->n++] = *task;
    return LOOM_OK;
}

static loom_status take_row(loom_batch_tasks *t, const char *line, size_t len, loom_err *err)
{
    loom_batch_task task = {0};
    int64_t after[LOOM_TASK_AFTER];
    field f[FIELDS];
    loom_task_flaw flaw = LOOM_TASK_FLAWS;

    t->rows++;
    if (!split(f, line, len) || f[JOB].len == 0) return t->flaws[LOOM_TASK_COLUMNS]++, LOOM_OK;
    task.job = loom_intern_add(&t->jobs, f[JOB].text, f[JOB].len);
    if (task.job < 0 || !loom_grow_zeroed(&t->broken, &t->cap_broken, t->jobs.n, sizeof *t->broken))
        return loom_fail_nomem(err, "jobs");
    if (!is_terminated(f[STATUS])) flaw = LOOM_TASK_STATUS;
    else if (!read_times(&task, f)) flaw = LOOM_TASK_TIMES;
    else if (!read_name(&task, after, f[NAME])) flaw = LOOM_TASK_AFTER_TOO_MANY;
    if (flaw == LOOM_TASK_FLAWS) return keep(t, &task, after, f, err);
    t->flaws[flaw]++;
    t->broken[task.job] = true;
    return LOOM_OK;
}

loom_status loom_batch_tasks_add(loom_batch_tasks *t, const char *path, loom_err *err)
{
    loom_lines *lines = NULL;
    char *line;
    size_t len;
    int64_t before = t->n;
    loom_status st = loom_lines_open(&lines, path, err);

    while (st == LOOM_OK && (st = loom_lines_next(lines, &line, &len, err)) == LOOM_OK && line)
        if (len) st = take_row(t, line, len, err);
    loom_lines_close(&lines);
    if (st != LOOM_OK || t->n > before) return st;
    return loom_fail(
        err, LOOM_STATUS_FORMAT,
        "%s: no row of a finished task; give batch_task of cluster-trace 2018: nine columns, task_name first, "
        "no header",
        path);
}

/* Counting sort by job: rows keep their order. */
loom_status loom_batch_tasks_group(loom_batch_tasks *t, loom_err *err)
{
    loom_batch_task *sorted = loom_alloc((size_t)t->n + 1, sizeof *sorted);

    t->n_jobs = (int64_t)t->jobs.n;
    t->first = loom_calloc((size_t)t->n_jobs + 2, sizeof *t->first);
    if (!sorted || !t->first) {
        free(sorted);
        return loom_fail_nomem(err, "jobs");
    }
    for (int64_t i = 0; i < t->n; i++) t->first[t->list[i].job + 2]++;
    for (int64_t j = 0; j < t->n_jobs; j++) t->first[j + 2] += t->first[j + 1];
    for (int64_t i = 0; i < t->n; i++) sorted[t->first[t->list[i].job + 1]++] = t->list[i];
    free(t->list);
    t->list = sorted;
    t->cap = (size_t)t->n + 1;
    return LOOM_OK;
}

void loom_batch_tasks_release(loom_batch_tasks *t)
{
    free(t->list);
    free(t->broken);
    free(t->first);
    loom_intern_release(&t->jobs);
    loom_intern_release(&t->kinds);
    loom_arena_release(&t->arena);
    *t = (loom_batch_tasks){0};
}
