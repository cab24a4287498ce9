/* Threads: one pool, one level of parallelism. The caller is thread 0, so a pool of one runs everything inline. */
#ifndef LOOM_CORE_POOL_H
#define LOOM_CORE_POOL_H

#include <stdint.h>

#include "core/err.h"

typedef struct loom_pool loom_pool;

loom_status loom_pool_new(loom_pool **out, int n_threads, loom_err *err);
void loom_pool_free(loom_pool *pool);
int loom_pool_threads(const loom_pool *pool); /* 1 for NULL */

/* Calls fn(arg, item, thread) for item = 0..n-1, items handed out one by one in increasing order; returns when all are
 * done. NULL pool: inline. */
void loom_pool_for(loom_pool *pool, int64_t n, void (*fn)(void *arg, int64_t item, int thread), void *arg);

/* The same, but each thread begins with a share of its own (items n*t/threads to n*(t+1)/threads - 1, so that calls
 * with the same n find in its cache what it left there) and then helps the others: one that the system takes off
 * its core holds up a single item. */
void loom_pool_share(loom_pool *pool, int64_t n, void (*fn)(void *arg, int64_t item, int thread), void *arg);

/* Calls fn(arg, thread, n_threads) once on every thread; low latency (workers spin shortly before they sleep), for the
 * kernels of a training step. */
void loom_pool_each(loom_pool *pool, void (*fn)(void *arg, int thread, int n_threads), void *arg);

#endif
