/* Any bytes as a token shard: a message, or samples that lie within it; never a crash. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/h5_seal.h"
#include "small_shard.h"
#include "store/shard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static void must(bool holds)
{
    if (!holds) abort();
}

static void write_seed(const char *dir, int32_t vocab)
{
    char path[600];
    loom_err err = {0};
    loom_shard_writer *out = NULL;
    int32_t ids[40];
    loom_shard_spec spec = small_shard(vocab);
    snprintf(path, sizeof path, "%s/seed-%d", dir, vocab);
    must(loom_shard_create(&out, path, true, &spec, &err) == LOOM_OK);
    for (int sample = 1; sample <= 20; sample++) {
        for (int i = 0; i < 2 * sample; i++) ids[i] = (sample * 31 + i * 7) % 300;
        must(loom_shard_add(out, ids, 2 * sample, sample, &err) == LOOM_OK);
    }
    must(loom_shard_commit(&out, "{\"program\":\"fuzz\"}", &err) == LOOM_OK);
}

/* run.sh names the folder of the first inputs. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *dir = getenv("FUZZ_SEEDS");
    (void)argc;
    (void)argv;
    if (dir) write_seed(dir, 300), write_seed(dir, 70000);
    return 0;
}

static void read_samples(loom_shard *s)
{
    const loom_shard_info *info = loom_shard_get_info(s);
    loom_err err;
    int64_t first, n, answer, end = 0;
    must(strlen(info->meta) < SIZE_MAX && info->tokenizer[info->tokenizer_len] == 0);
    for (int64_t i = 0; i < info->n_samples; i++) {
        loom_shard_range(s, i, &first, &n, &answer);
        must(first == end && n >= 1 && n <= info->longest && answer >= 0 && answer <= n);
        end = first + n;
        if (i >= 50) continue;
        int32_t *ids = malloc((size_t)n * sizeof *ids);
        if (ids && loom_shard_read(s, first, n, ids, &err) == LOOM_OK)
            for (int64_t k = 0; k < n; k++) must(ids[k] >= 0 && ids[k] < info->vocab_size);
        free(ids);
    }
    must(end == info->n_tokens);
    must(loom_shard_read(s, end, 1, NULL, &err) != LOOM_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int file = -1;
    char path[40];
    loom_shard *s = NULL;
    loom_err err;
    if (file < 0) file = memfd_create("fuzz", 0);
    must(file >= 0 && ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    if (loom_shard_open(&s, path, &err) != LOOM_OK) return 0;
    read_samples(s);
    loom_shard_close(&s);
    return 0;
}
