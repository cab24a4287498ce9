/* Batch jobs as a table tells of them: rows of batch_task (Alibaba cluster-trace 2018), without a header,
 *
 *   task_name,instance_num,job_name,task_type,status,start_time,end_time,plan_cpu,plan_mem          times in seconds
 *
 * A name such as M5_3_4 says: task 5 of its job, after 3 and 4; the letters carry nothing. Any other name is that of a
 * task that waits for none and is waited for by none.
 *
 *   loom_batch_tasks t = {0};
 *   LOOM_TRY(loom_batch_tasks_add(&t, "batch_task.csv", err));
 *   LOOM_TRY(loom_batch_tasks_group(&t, err));
 *   for (int64_t j = 0; j < t.n_jobs; j++) tasks t.list[t.first[j]] .. t.list[t.first[j + 1] - 1]
 *
 * All rows are held in memory, about 100 bytes each. */
#ifndef LOOM_PREPROCESS_JOBS_BATCH_TASKS_H
#define LOOM_PREPROCESS_JOBS_BATCH_TASKS_H

#include "core/arena.h"
#include "core/err.h"
#include "core/hash.h"

#define LOOM_TASK_AFTER 32 /* tasks that one may wait for */

/* Why a row is left out, and its job with it: a job that lacks a task is another job. */
typedef enum loom_task_flaw {
    LOOM_TASK_COLUMNS, /* not nine fields, or no job */
    LOOM_TASK_STATUS,  /* not Terminated: it failed, or was still running */
    LOOM_TASK_TIMES,   /* no start or end, or an end before the start */
    LOOM_TASK_AFTER_TOO_MANY,
    LOOM_TASK_FLAWS
} loom_task_flaw;
extern const char *const loom_task_flaw_names[LOOM_TASK_FLAWS];

typedef struct loom_batch_task {
    int64_t job;          /* number of the job, in the order of the table */
    int64_t number;       /* M5_3_4: 5; -1: its name tells none */
    const int64_t *after; /* (n_after) M5_3_4: 3, 4 */
    int64_t n_after;
    int64_t start, end; /* s */
    int64_t kind;       /* type, planned CPU and memory: tasks of a kind do the same work */
} loom_batch_task;

typedef struct loom_batch_tasks {
    loom_batch_task *list;
    int64_t n, rows; /* kept, read */
    int64_t flaws[LOOM_TASK_FLAWS];
    loom_intern jobs, kinds;
    bool *broken;           /* (jobs) a row of it was left out */
    int64_t *first, n_jobs; /* after grouping */
    size_t cap, cap_broken;
    loom_arena arena;
} loom_batch_tasks; /* zero-initialised is ready */

/* Adds the rows of a file in any container. FORMAT when it has none that can be used. */
loom_status loom_batch_tasks_add(loom_batch_tasks *t, const char *path, loom_err *err);
/* Puts the tasks of a job next to each other, in the order of the rows. */
loom_status loom_batch_tasks_group(loom_batch_tasks *t, loom_err *err);
void loom_batch_tasks_release(loom_batch_tasks *t);

#endif
