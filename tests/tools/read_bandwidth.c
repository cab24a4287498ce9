/* read_bandwidth [THREADS]: bytes a second that THREADS threads (default: one a CPU) together read from memory, best of
 * twenty passes over 256 MiB each. The ceiling of generation at batch 1, which reads every weight once a token. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cli.h"
#include "core/num.h"
#include "core/usage.h"

#define BYTES  ((size_t)256 << 20)
#define MAX    256
#define PASSES 20

typedef struct reader {
    pthread_t thread;
    pthread_barrier_t *gate;
    uint64_t *data;
    uint64_t sum; /* kept, so that reading is not optimised away */
} reader;

/* Eight sums under way, so that loads do not wait for additions. */
static uint64_t read_all(const uint64_t *data, size_t n)
{
    uint64_t s[8] = {0}, all = 0;

    for (size_t i = 0; i < n; i += 8)
        for (int k = 0; k < 8; k++) s[k] ^= data[i + (size_t)k];
    for (int k = 0; k < 8; k++) all ^= s[k];
    return all;
}

static void *work(void *arg)
{
    reader *r = arg;

    for (int pass = 0; pass < PASSES; pass++) {
        pthread_barrier_wait(r->gate);
        r->sum += read_all(r->data, BYTES / sizeof *r->data);
        pthread_barrier_wait(r->gate);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    int64_t n = 0;
    reader readers[MAX];
    pthread_barrier_t gate;
    double best = 0;
    uint64_t sum = 0;

    if (argc < 2) n = loom_cpu_count();
    else if (!loom_parse_i64(argv[1], strlen(argv[1]), &n)) n = 0;
    if (n < 1 || n > MAX || argc > 2 || pthread_barrier_init(&gate, NULL, (unsigned)n + 1)) {
        fprintf(stderr, "usage: read_bandwidth [THREADS], 1..%d\n", MAX);
        return 2;
    }
    for (int64_t i = 0; i < n; i++) {
        readers[i] = (reader){.gate = &gate, .data = malloc(BYTES)};
        if (!readers[i].data) {
            fprintf(stderr, "read_bandwidth: no memory\n");
            return 1;
        }
        memset(readers[i].data, (int)i + 1, BYTES);
        if (pthread_create(&readers[i].thread, NULL, work, &readers[i])) {
            fprintf(stderr, "read_bandwidth: no thread\n");
            return 1;
        }
    }
    for (int pass = 0; pass < PASSES; pass++) {
        double from, seconds;

        pthread_barrier_wait(&gate);
        from = loom_time_now();
        pthread_barrier_wait(&gate);
        seconds = loom_time_now() - from;
        if ((double)n * (double)BYTES / seconds > best) best = (double)n * (double)BYTES / seconds;
    }
    for (int64_t i = 0; i < n; i++) {
        pthread_join(readers[i].thread, NULL);
        sum += readers[i].sum;
        free(readers[i].data);
    }
    printf("%.0f\n", best);
    return sum == 1; /* never: the sums are even */
}
