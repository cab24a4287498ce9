/* Disks that fail and disks that lie: whatever happens to one write of a checkpoint or shard, the file is right, or
 * it is an error, nothing is left and the process lives. */
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/file.h"
#include "core/hash.h"
#include "store/ckpt.h"
#include "store/shard.h"
#include "test.h"

typedef enum fault { FAULT_NONE, FAULT_ONCE, FAULT_FROM_THEN_ON, FAULT_ZEROS } fault;

static fault kind;
static long n_writes, at;
static bool fails_sync;
static char dir[] = "/tmp/loom-faults-XXXXXX", path[64];

/* These stand before the C library's: the store writes through them. */
ssize_t pwrite64(int fd, const void *data, size_t n, off64_t place);
ssize_t pwrite64(int fd, const void *data, size_t n, off64_t place)
{
    static const char zeros[1 << 16];
    bool hit = ++n_writes == at || (kind == FAULT_FROM_THEN_ON && n_writes > at);
    if (hit && (kind == FAULT_ONCE || kind == FAULT_FROM_THEN_ON)) {
        errno = EIO;
        return -1;
    }
    if (hit && kind == FAULT_ZEROS) {
        if (n > sizeof zeros) n = sizeof zeros;
        data = zeros;
    }
    return syscall(SYS_pwrite64, fd, data, n, place);
}

int fsync(int fd)
{
    if (!fails_sync) return (int)syscall(SYS_fsync, fd);
    errno = EIO;
    return -1;
}

static void set_fault(fault f, long n)
{
    kind = f;
    at = n;
    n_writes = 0;
}

static size_t files_left(void)
{
    char **paths = NULL;
    size_t n = 0;
    loom_err err = {0};
    if (loom_list_files(&paths, &n, dir, "", &err) != LOOM_OK) return 999;
    loom_free_list(paths, n);
    return n;
}

/* ---- checkpoints ---- */

static loom_status write_ckpt(loom_err *err)
{
    enum { N = 300 };
    static float values[N];
    loom_ckpt_writer *w = NULL;
    char name[64];
    for (int i = 0; i < N; i++) values[i] = (float)i + 0.5f;
    loom_status st = loom_ckpt_create(&w, path, false, 0, err);
    for (int i = 0; i < 24 && st == LOOM_OK; i++) {
        snprintf(name, sizeof name, "tensors/layer.%d.weight", i);
        st = loom_ckpt_put(w, name, LOOM_DTYPE_F32, values, 2, (const int64_t[]){3, N / 3}, err);
    }
    if (st == LOOM_OK) st = loom_ckpt_put_i64(w, "state/step", 77, err);
    if (st == LOOM_OK) st = loom_ckpt_put_text(w, "text/config", "{\"a\": 1}", 8, err);
    if (st == LOOM_OK) return loom_ckpt_commit(&w, err);
    loom_ckpt_abandon(&w);
    return st;
}

static void check_ckpt(void)
{
    loom_ckpt *c = NULL;
    loom_err err = {0};
    REQUIRE_OK(loom_ckpt_open(&c, path, &err), err);
    CHECK_I64(loom_ckpt_count(c), 26);
    REQUIRE_OK(loom_ckpt_verify(c, &err), err);
    CHECK_STR(loom_ckpt_text(c, "text/config", NULL), "{\"a\": 1}");
    loom_ckpt_close(&c);
}

/* ---- shards ---- */

static loom_status write_shard(loom_err *err)
{
    enum { N = 400, SAMPLES = 400 };
    static const char tokenizer[] = "{\"model\": {\"type\": \"BPE\"}}";
    loom_shard_spec spec = {.vocab_size = 5000,
                            .bos_id = 1,
                            .eos_id = 2,
                            .has_eos = true,
                            .mode = "tabular",
                            .tokenizer = tokenizer,
                            .tokenizer_len = sizeof tokenizer - 1};
    loom_shard_writer *w = NULL;
    int32_t ids[N];
    loom_status st = loom_shard_create(&w, path, false, &spec, err);
    for (int64_t i = 0; i < SAMPLES && st == LOOM_OK; i++) {
        for (int64_t j = 0; j < N; j++) ids[j] = (int32_t)((i * i + 7 * j) % 5000);
        st = loom_shard_add(w, ids, N, i % N, err);
    }
    if (st == LOOM_OK) return loom_shard_commit(&w, "{\"made\": \"so\"}", err);
    loom_shard_abandon(&w);
    return st;
}

static void check_shard(void)
{
    loom_shard *s = NULL;
    loom_err err = {0};
    int32_t ids[400];
    REQUIRE_OK(loom_shard_open(&s, path, &err), err);
    CHECK_I64(loom_shard_get_info(s)->n_samples, 400);
    CHECK_STR(loom_shard_get_info(s)->meta, "{\"made\": \"so\"}");
    REQUIRE_OK(loom_shard_verify(s, &err), err);
    REQUIRE_OK(loom_shard_read(s, 399 * 400, 400, ids, &err), err);
    CHECK_I64(ids[1], (399 * 399 + 7) % 5000);
    loom_shard_close(&s);
}

/* ---- every write ---- */

static void try_all(loom_status (*write_it)(loom_err *err), void (*check_it)(void))
{
    loom_err err = {0};
    long total, refused = 0;
    set_fault(FAULT_NONE, 0);
    REQUIRE_OK(write_it(&err), err);
    total = n_writes;
    check_it();
    unlink(path);
    REQUIRE(total > 5);
    for (fault f = FAULT_ONCE; f <= FAULT_ZEROS; f++) {
        for (long n = 1; n <= total; n++) {
            set_fault(f, n);
            loom_status st = write_it(&err);
            set_fault(FAULT_NONE, 0);
            if (f != FAULT_ZEROS) CHECK_I64(st, LOOM_STATUS_IO);
            if (f != FAULT_ZEROS) CHECK(strstr(err.msg, "Input/output error") && strstr(err.msg, path));
            if (st == LOOM_OK) check_it(); /* what became zeros were zeros, or was written again */
            refused += st != LOOM_OK && f == FAULT_ZEROS;
            unlink(path);
            CHECK_I64(files_left(), 0);
        }
    }
    CHECK(refused > 0);
    fails_sync = true;
    CHECK_I64(write_it(&err), LOOM_STATUS_IO);
    fails_sync = false;
    CHECK_I64(files_left(), 0);
}

TEST(folder)
{
    REQUIRE(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/x.h5", dir);
}
TEST(checkpoint) { try_all(write_ckpt, check_ckpt); }
TEST(shard) { try_all(write_shard, check_shard); }

/* Two of the same content are the same bytes, in whatever second they were made. */
TEST(same_bytes)
{
    char first[33], second[33];
    loom_err err = {0};
    loom_status (*const writers[])(loom_err *) = {write_ckpt, write_shard};
    set_fault(FAULT_NONE, 0);
    for (int i = 0; i < 2; i++) {
        REQUIRE_OK(writers[i](&err), err);
        REQUIRE_OK(loom_hash_file(first, path, &err), err);
        unlink(path);
        usleep(1100000);
        REQUIRE_OK(writers[i](&err), err);
        REQUIRE_OK(loom_hash_file(second, path, &err), err);
        CHECK_STR(first, second);
        unlink(path);
    }
}

TEST(clean_up) { CHECK_I64(rmdir(dir), 0); }

TEST_MAIN(RUN(folder) RUN(checkpoint) RUN(shard) RUN(same_bytes) RUN(clean_up))
