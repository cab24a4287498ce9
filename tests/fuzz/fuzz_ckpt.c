/* Any bytes as a checkpoint: a message, or entries whose bytes, texts and shapes are all there; never a crash. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/h5_seal.h"
#include "store/ckpt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static void must(bool holds)
{
    if (!holds) abort();
}

/* A small checkpoint; `more` entries make HDF5 lay out its tables otherwise. */
static void write_seed(const char *dir, int more)
{
    static const float w[6] = {1, 2, 3, 4, 5, 6};
    char path[600], name[40];
    loom_err err = {0};
    loom_ckpt_writer *out = NULL;
    snprintf(path, sizeof path, "%s/seed-%d", dir, more);
    loom_status st = loom_ckpt_create(&out, path, true, 0, &err);
    must(st == LOOM_OK);
    st = loom_ckpt_put_text(out, "text/config", "{\"a\":1}", 7, &err);
    if (st == LOOM_OK) st = loom_ckpt_put(out, "tensors/w", LOOM_DTYPE_BF16, w, 2, (const int64_t[]){2, 3}, &err);
    for (int i = 0; st == LOOM_OK && i < more; i++) {
        snprintf(name, sizeof name, "tensors/layer.%d", i);
        st = loom_ckpt_put(out, name, LOOM_DTYPE_F32, w, 1, (const int64_t[]){6}, &err);
    }
    if (st == LOOM_OK) st = loom_ckpt_put_i64(out, "state/step", 7, &err);
    must(st == LOOM_OK && loom_ckpt_commit(&out, &err) == LOOM_OK);
}

/* run.sh names the folder of the first inputs. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *dir = getenv("FUZZ_SEEDS");
    (void)argc;
    (void)argv;
    for (int more = 0; dir && more <= 12; more += 6) write_seed(dir, more);
    return 0;
}

static void read_entry(loom_ckpt *c, const loom_ckpt_entry *e)
{
    volatile unsigned sum = 0;
    size_t len = 0;
    loom_err err;
    loom_tensor_view view;
    must(loom_ckpt_find(c, e->name) == e || strcmp(loom_ckpt_find(c, e->name)->name, e->name) == 0);
    const char *text = loom_ckpt_text(c, e->name, &len);
    for (size_t i = 0; text && i <= len; i++) sum += (unsigned char)text[i];
    if (e->is_text) return;
    void *raw = malloc(e->bytes + 1);
    (void)loom_ckpt_read(c, e->name, raw, e->bytes, &err);
    free(raw);
    raw = malloc((size_t)e->count * sizeof(float) + 1);
    if (e->dtype <= LOOM_DTYPE_F64) (void)loom_ckpt_read_f32(c, e->name, raw, e->count, &err);
    free(raw);
    if (loom_ckpt_map(c, e->name, &view, &err) != LOOM_OK) return;
    for (size_t i = 0; i < view.bytes; i++) sum += ((const unsigned char *)view.data)[i];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int file = -1;
    char path[40];
    loom_ckpt *c = NULL;
    loom_err err;
    if (file < 0) file = memfd_create("fuzz", 0);
    must(file >= 0 && ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    if (loom_ckpt_open(&c, path, &err) != LOOM_OK) return 0;
    for (size_t i = 0; i < loom_ckpt_count(c); i++) read_entry(c, loom_ckpt_at(c, i));
    (void)loom_ckpt_verify(c, &err);
    loom_ckpt_close(&c);
    return 0;
}
