/* A batch job as a call graph, so that all that is done with call graphs can be done with it. The published text form
 * of jobs is not; what was chosen:
 *
 *   The last tasks, those that none waits for, are called by the job itself, the root call. A task calls those that it
 *   waits for: results flow up the tree, as answers do. A task that several wait for is called by the first of them
 *   (the lowest number) only; how many such edges are left out is counted. A call lasts from the first start to the
 * last
 *   end of all below it, in seconds where call graphs have milliseconds. Calls of one task stand in the order of their
 *   starts. Every call is of type rpc, the root http. What is called is the task's kind; the service is the kinds of
 *   the last tasks. */
#ifndef LOOM_PREPROCESS_JOBS_JOB_GRAPH_H
#define LOOM_PREPROCESS_JOBS_JOB_GRAPH_H

#include "preprocess/jobs/batch_tasks.h"
#include "trace/graph/rename.h"

/* Why a job gives no graph. */
typedef enum loom_job_flaw {
    LOOM_JOB_OK,
    LOOM_JOB_ROW_LEFT_OUT, /* of one of its rows */
    LOOM_JOB_REPEATED,     /* two tasks of one number */
    LOOM_JOB_ABSENT,       /* a task waits for one that is not there */
    LOOM_JOB_CYCLE,        /* tasks that wait for each other */
    LOOM_JOB_TOO_LARGE,    /* more than LOOM_JOB_MOST tasks */
    LOOM_JOB_FLAWS
} loom_job_flaw;
extern const char *const loom_job_flaw_names[LOOM_JOB_FLAWS];

#define LOOM_JOB_MOST 999 /* tasks */

typedef struct loom_job_graphs {
    const loom_batch_tasks *tasks;
    loom_rename names;      /* MS_n: kinds of tasks; S_n: what a job ends with */
    int64_t edges_left_out; /* of tasks that several wait for */
    loom_arena arena;       /* of the graph made last */
} loom_job_graphs;          /* set tasks; the rest zero */

/* *g is borrowed until the next call; only with LOOM_JOB_OK. */
loom_status loom_job_graph(loom_job_graphs *j, int64_t job, loom_graph *g, loom_job_flaw *flaw, loom_err *err);
void loom_job_graphs_release(loom_job_graphs *j);

#endif
