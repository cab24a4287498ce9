/* What can be made to fail: the names that tests/tools/fault_points.c understands and fault_run.c prints. */
#ifndef LOOM_TESTS_FAULT_OPS_H
#define LOOM_TESTS_FAULT_OPS_H

enum fault_op { FAULT_MALLOC, FAULT_WRITE, FAULT_FSYNC, FAULT_RENAME, FAULT_OPEN, FAULT_MAP, FAULT_THREAD, N_OPS };

static const char *const fault_names[N_OPS] = {"malloc", "write", "fsync", "rename", "open", "map", "thread"};

#endif
