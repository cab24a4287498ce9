/* Made-up batch jobs, as rows of batch_task (preprocess/jobs/batch_tasks.h): programs, each a plan of tasks in levels
 * whose kinds and usual durations are its own, run again and again; at times only the first levels of it.
 *
 * The same seed gives the same bytes on every machine. */
#ifndef LOOM_PREPROCESS_SAMPLES_SAMPLE_JOBS_H
#define LOOM_PREPROCESS_SAMPLES_SAMPLE_JOBS_H

#include "core/file.h"

typedef struct loom_sample_jobs_conf {
    uint64_t seed;
    int64_t programs, jobs;
} loom_sample_jobs_conf;

/* *tasks: rows written. INTERRUPT when asked to stop. */
loom_status loom_sample_jobs_write(loom_out *out, const loom_sample_jobs_conf *conf, int64_t *tasks, loom_err *err);

#endif
