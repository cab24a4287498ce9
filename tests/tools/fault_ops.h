/* What can be made to fail: the names that tests/tools/fault_points.c understands and fault_run.c prints. */
#ifndef LOOM_TESTS_FAULT_OPS_H
#define LOOM_TESTS_FAULT_OPS_H

#include <stdint.h>

enum fault_op { FAULT_MALLOC, FAULT_WRITE, FAULT_FSYNC, FAULT_RENAME, FAULT_OPEN, FAULT_MAP, FAULT_THREAD, N_OPS };

/* What the victim maps and the driver reads. */
typedef struct fault_report {
    int64_t calls[N_OPS]; /* so far */
    int64_t failed;       /* how many of them were made to */
    int64_t own_crash;    /* it crashed in code of ours, */
    char library[64];     /* or in this library, which did not ask whether it got memory */
} fault_report;

static const char *const fault_names[N_OPS] = {"malloc", "write", "fsync", "rename", "open", "map", "thread"};

#endif
