#include "core/pool.h"

#include <pthread.h>
#include <stdatomic.h>

#include "core/num.h"

/* Workers wait for a new generation number; they spin for a moment first, since the kernels of a training step follow
 * each other within microseconds. A spin that was in vain makes the next one half as long, one that was not twice as
 * long: where other programs hold the processors, or calls are rare, threads sleep instead of taking time from those
 * that they wait for. */
enum { SPINS_MOST = 20000, SPINS_LEAST = 1250 };

struct worker {
    loom_pool *pool;
    pthread_t thread;
    int index;
    _Atomic int64_t next; /* item of its share in loom_pool_share */
    char apart[64];       /* no two counters on one cache line */
};

struct loom_pool {
    int n_threads;
    struct worker *workers;
    void (*fn)(void *arg, int thread, int n_threads);
    void *arg;
    _Alignas(64) atomic_uint generation;
    _Alignas(64) atomic_int running;
    atomic_int stopping;
    int spins; /* of the calling thread */
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
};

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void learn(int *spins, bool in_vain)
{
    *spins = in_vain ? *spins / 2 : *spins * 2;
    if (*spins < SPINS_LEAST) *spins = SPINS_LEAST;
    if (*spins > SPINS_MOST) *spins = SPINS_MOST;
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    loom_pool *p = w->pool;
    unsigned seen = 0;
    int spins = SPINS_MOST;

    for (;;) {
        for (int i = 0; i < spins && atomic_load_explicit(&p->generation, memory_order_acquire) == seen; i++) relax();
        bool in_vain = atomic_load_explicit(&p->generation, memory_order_acquire) == seen;
        learn(&spins, in_vain);
        if (in_vain) {
            pthread_mutex_lock(&p->lock);
            while (atomic_load(&p->generation) == seen) pthread_cond_wait(&p->wake, &p->lock);
            pthread_mutex_unlock(&p->lock);
        }
        seen = atomic_load_explicit(&p->generation, memory_order_acquire);
        if (atomic_load(&p->stopping)) return NULL;
        p->fn(p->arg, w->index, p->n_threads);
        if (atomic_fetch_sub_explicit(&p->running, 1, memory_order_acq_rel) == 1) {
            pthread_mutex_lock(&p->lock);
            pthread_cond_signal(&p->done);
            pthread_mutex_unlock(&p->lock);
        }
    }
}

static void start_generation(loom_pool *p)
{
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add_explicit(&p->generation, 1, memory_order_release);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
}

loom_status loom_pool_new(loom_pool **out, int n_threads, loom_err *err)
{
    if (n_threads < 1 || n_threads > 1024)
        return loom_fail(err, LOOM_STATUS_ARG, "--threads is %d, expected 1 to 1024", n_threads);
    loom_pool *p = loom_alloc_aligned(sizeof *p);
    if (!p) return loom_fail_nomem(err, "a thread pool");
    p->n_threads = 1;
    p->spins = SPINS_MOST;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    pthread_cond_init(&p->done, NULL);
    p->workers = loom_calloc((size_t)n_threads, sizeof *p->workers);
    if (!p->workers) {
        loom_pool_free(p);
        return loom_fail_nomem(err, "a thread pool");
    }
    for (int i = 1; i < n_threads; i++) {
        p->workers[i] = (struct worker){.pool = p, .index = i};
        if (pthread_create(&p->workers[i].thread, NULL, worker_main, &p->workers[i]) != 0) {
            loom_pool_free(p);
            return loom_fail(err, LOOM_STATUS_NOMEM, "cannot start thread %d of %d; use fewer --threads", i + 1,
                             n_threads);
        }
        p->n_threads = i + 1;
    }
    *out = p;
    return LOOM_OK;
}

void loom_pool_free(loom_pool *p)
{
    if (!p) return;
    atomic_store(&p->stopping, 1);
    start_generation(p);
    for (int i = 1; i < p->n_threads; i++) pthread_join(p->workers[i].thread, NULL);
    pthread_cond_destroy(&p->done);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    free(p->workers);
    free(p);
}

int loom_pool_threads(const loom_pool *p) { return p ? p->n_threads : 1; }

void loom_pool_each(loom_pool *p, void (*fn)(void *arg, int thread, int n_threads), void *arg)
{
    if (!p || p->n_threads == 1) {
        fn(arg, 0, 1);
        return;
    }
    p->fn = fn;
    p->arg = arg;
    atomic_store_explicit(&p->running, p->n_threads - 1, memory_order_relaxed);
    start_generation(p);
    fn(arg, 0, p->n_threads);
    for (int i = 0; i < p->spins && atomic_load_explicit(&p->running, memory_order_acquire) > 0; i++) relax();
    bool in_vain = atomic_load_explicit(&p->running, memory_order_acquire) > 0;
    learn(&p->spins, in_vain);
    if (in_vain) {
        pthread_mutex_lock(&p->lock);
        while (atomic_load_explicit(&p->running, memory_order_acquire) > 0) pthread_cond_wait(&p->done, &p->lock);
        pthread_mutex_unlock(&p->lock);
    }
}

struct for_job {
    void (*fn)(void *arg, int64_t item, int thread);
    void *arg;
    int64_t n;
    _Atomic int64_t next;
};

static void run_items(void *arg, int thread, int n_threads)
{
    struct for_job *job = arg;
    (void)n_threads;
    for (;;) {
        int64_t item = atomic_fetch_add(&job->next, 1);
        if (item >= job->n) return;
        job->fn(job->arg, item, thread);
    }
}

struct share_job {
    void (*fn)(void *arg, int64_t item, int thread);
    void *arg;
    int64_t n;
    struct worker *workers;
};

/* The own share first, then those of the threads that follow. */
static void run_shares(void *arg, int thread, int n_threads)
{
    struct share_job *job = arg;

    for (int i = 0; i < n_threads; i++) {
        int of = (thread + i) % n_threads;
        int64_t end = job->n * (of + 1) / n_threads, item;

        while ((item = atomic_fetch_add(&job->workers[of].next, 1)) < end) job->fn(job->arg, item, thread);
    }
}

void loom_pool_share(loom_pool *p, int64_t n, void (*fn)(void *arg, int64_t item, int thread), void *arg)
{
    struct share_job job = {.fn = fn, .arg = arg, .n = n};
    int n_threads = loom_pool_threads(p);

    if (n_threads == 1) {
        for (int64_t item = 0; item < n; item++) fn(arg, item, 0);
        return;
    }
    job.workers = p->workers;
    for (int t = 0; t < n_threads; t++) atomic_store(&p->workers[t].next, n * t / n_threads);
    loom_pool_each(p, run_shares, &job);
}

void loom_pool_for(loom_pool *p, int64_t n, void (*fn)(void *arg, int64_t item, int thread), void *arg)
{
    struct for_job job = {.fn = fn, .arg = arg, .n = n};
    atomic_init(&job.next, 0);
    loom_pool_each(p, run_items, &job);
}
