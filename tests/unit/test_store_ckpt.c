#include "store/ckpt.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/file.h"
#include "core/rng.h"
#include "test.h"

static char dir[] = "/tmp/loom-ckpt.XXXXXX";
static char path[200];

static loom_status make(const char *where, int64_t rows, float first, loom_err *err)
{
    loom_ckpt_writer *w = NULL;
    loom_rng rng = {{1, 2, 3, 0xffffffffffffffffu}};
    float *data = calloc((size_t)rows * 8 + 1, sizeof *data);
    uint16_t half[2] = {0x3f80, 0xc000};
    loom_status st = loom_ckpt_create(&w, where, true, 1000, err);

    data[0] = first;
    if (st == LOOM_OK) st = loom_ckpt_put(w, "tensors/w", LOOM_DTYPE_F32, data, 2, (int64_t[]){rows, 8}, err);
    if (st == LOOM_OK) st = loom_ckpt_put(w, "tensors/b", LOOM_DTYPE_BF16, half, 1, (int64_t[]){2}, err);
    if (st == LOOM_OK) st = loom_ckpt_put(w, "tensors/none", LOOM_DTYPE_F32, data, 1, (int64_t[]){0}, err);
    if (st == LOOM_OK) st = loom_ckpt_put_i64(w, "state/step", -17, err);
    if (st == LOOM_OK) st = loom_ckpt_put_f64(w, "state/loss", 0.1, err);
    if (st == LOOM_OK) st = loom_ckpt_put(w, "state/rng", LOOM_DTYPE_U64, rng.s, 1, (int64_t[]){4}, err);
    if (st == LOOM_OK) st = loom_ckpt_put_text(w, "text/config", "{}", 2, err);
    if (st == LOOM_OK) st = loom_ckpt_put_text(w, "text/empty", "", 0, err);
    free(data);
    if (st == LOOM_OK) return loom_ckpt_commit(&w, err);
    loom_ckpt_abandon(&w);
    return st;
}

TEST(round_trip)
{
    loom_ckpt *c = NULL;
    loom_err err = {0};
    loom_rng rng;
    loom_tensor_view view;
    float w[24], b[2];
    int64_t step;
    double loss;
    size_t len;

    REQUIRE_OK(make(path, 3, 2.5f, &err), err);
    REQUIRE_OK(loom_ckpt_open(&c, path, &err), err);
    CHECK_I64(loom_ckpt_count(c), 8);
    CHECK_STR(loom_ckpt_at(c, 0)->name, "state/loss");
    CHECK_I64(strlen(loom_ckpt_digest(c)), 16);
    REQUIRE_OK(loom_ckpt_read_f32(c, "tensors/w", w, 24, &err), err);
    CHECK(w[0] == 2.5f && w[23] == 0);
    REQUIRE_OK(loom_ckpt_read_f32(c, "tensors/b", b, 2, &err), err);
    CHECK(b[0] == 1.0f && b[1] == -2.0f);
    REQUIRE_OK(loom_ckpt_map(c, "tensors/w", &view, &err), err);
    CHECK(*(const float *)view.data == 2.5f);
    CHECK((uintptr_t)view.data % 4 == 0);
    CHECK(loom_tensor_has_shape(&view, 2, (int64_t)3, (int64_t)8));
    REQUIRE_OK(loom_ckpt_read_i64(c, "state/step", &step, &err), err);
    CHECK_I64(step, -17);
    REQUIRE_OK(loom_ckpt_read_f64(c, "state/loss", &loss, &err), err);
    CHECK(loss == 0.1);
    REQUIRE_OK(loom_ckpt_read(c, "state/rng", rng.s, sizeof rng.s, &err), err);
    CHECK(rng.s[0] == 1 && rng.s[3] == 0xffffffffffffffffu);
    CHECK_STR(loom_ckpt_text(c, "text/config", &len), "{}");
    CHECK_I64(len, 2);
    CHECK_STR(loom_ckpt_text(c, "text/empty", &len), "");
    CHECK_I64(len, 0);
    CHECK(!loom_ckpt_text(c, "text/none", NULL));
    CHECK(!loom_ckpt_text(c, "tensors/w", NULL));
    CHECK(loom_ckpt_read_f32(c, "tensors/x", w, 1, &err) == LOOM_STATUS_FORMAT);
    CHECK(loom_ckpt_read_f32(c, "tensors/w", w, 23, &err) == LOOM_STATUS_FORMAT);
    CHECK(loom_ckpt_read_i64(c, "state/loss", &step, &err) == LOOM_STATUS_FORMAT);
    REQUIRE_OK(loom_ckpt_verify(c, &err), err);
    loom_ckpt_close(&c);
}

static loom_status verify(loom_err *err)
{
    loom_ckpt *c = NULL;
    loom_status st = loom_ckpt_open(&c, path, err);

    if (st == LOOM_OK) st = loom_ckpt_verify(c, err);
    loom_ckpt_close(&c);
    return st;
}

/* All that a reader gets of the file: names, shapes, texts and the bytes of tensors. */
static void contents(loom_buf *into, loom_ckpt *c)
{
    for (size_t i = 0; i < loom_ckpt_count(c); i++) {
        const loom_ckpt_entry *e = loom_ckpt_at(c, i);
        loom_tensor_view v = {0};
        loom_err err = {0};

        loom_buf_printf(into, "%s %d %" PRId64 " %zu ", e->name, e->rank, e->count, e->bytes);
        for (int d = 0; d < e->rank; d++) loom_buf_printf(into, "%" PRId64 " ", e->shape[d]);
        if (e->is_text) {
            loom_buf_str(into, loom_ckpt_text(c, e->name, NULL));
            continue;
        }
        REQUIRE_OK(loom_ckpt_map(c, e->name, &v, &err), err);
        loom_buf_append(into, v.data, v.bytes);
    }
}

static void check_contents(const loom_buf *want)
{
    loom_ckpt *c = NULL;
    loom_buf got = {0};
    loom_err err = {0};

    REQUIRE_OK(loom_ckpt_open(&c, path, &err), err);
    contents(&got, c);
    CHECK(got.len == want->len && memcmp(got.data, want->data, got.len) == 0);
    loom_ckpt_close(&c);
    loom_buf_release(&got);
}

/* Every changed byte that matters is noticed; those that do not (gaps) leave the content whole. */
TEST(flipped_bytes)
{
    loom_err err = {0};
    loom_buf whole = {0}, want = {0};
    loom_ckpt *c = NULL;
    int64_t noticed = 0, tried = 0;

    REQUIRE_OK(make(path, 3, 2.5f, &err), err);
    REQUIRE_OK(loom_file_read(&whole, path, 1 << 24, &err), err);
    REQUIRE_OK(loom_ckpt_open(&c, path, &err), err);
    contents(&want, c);
    loom_ckpt_close(&c);
    for (size_t at = 0; at < whole.len; at += 3) {
        whole.data[at] = (char)(whole.data[at] ^ (1 << at % 8));
        REQUIRE_OK(loom_file_write(path, whole.data, whole.len, true, &err), err);
        err.msg[0] = 0;
        loom_status st = verify(&err);
        CHECK(st == LOOM_OK || (err.msg[0] && !strchr(err.msg, '\n')));
        if (st == LOOM_OK) check_contents(&want);
        noticed += st != LOOM_OK;
        tried++;
        whole.data[at] = (char)(whole.data[at] ^ (1 << at % 8));
    }
    printf("%" PRId64 " of %" PRId64 " flipped bits noticed\n", noticed, tried);
    CHECK(noticed > 100);
    loom_buf_release(&want);
    loom_buf_release(&whole);
}

TEST(cut_short)
{
    loom_err err = {0};
    loom_buf whole = {0};

    REQUIRE_OK(make(path, 3, 2.5f, &err), err);
    REQUIRE_OK(loom_file_read(&whole, path, 1 << 24, &err), err);
    for (size_t n = 0; n < whole.len; n += 1 + n / 30) {
        REQUIRE_OK(loom_file_write(path, whole.data, n, true, &err), err);
        err.msg[0] = 0;
        CHECK(verify(&err) == LOOM_STATUS_FORMAT);
        CHECK(strstr(err.msg, path));
    }
    loom_buf_release(&whole);
}

static int n_notes;

static void take_note(void *arg, const char *sentence)
{
    (void)arg;
    (void)sentence;
    n_notes++;
}

/* The newest is taken; a damaged newest one is passed over with a note; old ones are pruned. */
TEST(folders)
{
    loom_err err = {0};
    char *found = NULL, *step;
    loom_ckpt *c = NULL;

    unlink(path);
    REQUIRE_OK(loom_ckpt_newest(&found, dir, take_note, NULL, &err), err);
    CHECK(!found);
    for (int64_t i = 8; i <= 12; i++) {
        step = loom_ckpt_step_path(dir, i);
        REQUIRE_OK(make(step, 1, (float)i, &err), err);
        free(step);
    }
    REQUIRE_OK(loom_ckpt_prune(dir, 3, &err), err);
    step = loom_ckpt_step_path(dir, 9);
    CHECK(!loom_file_exists(step));
    free(step);
    step = loom_ckpt_step_path(dir, 12);
    REQUIRE(truncate(step, 900) == 0);
    REQUIRE_OK(loom_ckpt_newest(&found, dir, take_note, NULL, &err), err);
    CHECK_I64(n_notes, 1);
    REQUIRE(found);
    CHECK(strstr(found, "step-00000011.h5"));
    free(found);
    REQUIRE_OK(loom_ckpt_open(&c, dir, &err), err);
    CHECK(strstr(loom_ckpt_path(c), "step-00000011.h5"));
    loom_ckpt_close(&c);
    free(step);
    for (int64_t i = 10; i <= 11; i++) {
        step = loom_ckpt_step_path(dir, i);
        REQUIRE(truncate(step, 10) == 0);
        free(step);
    }
    CHECK(loom_ckpt_newest(&found, dir, NULL, NULL, &err) == LOOM_STATUS_FORMAT);
    CHECK(strstr(err.msg, "none of the 3"));
    for (int64_t i = 10; i <= 12; i++) {
        step = loom_ckpt_step_path(dir, i);
        unlink(step);
        free(step);
    }
}

/* The end of a child: a proper one, that HDF5 must survive, except where a leak checker would count what it abandons.
 */
static void leave(int code)
{
#ifdef __SANITIZE_ADDRESS__
    _exit(code);
#else
    exit(code);
#endif
}

/* A disk that fills up while saving (here: a file size limit): one sentence, the old file stays, no rest is left, and
 * the process can still end properly. */
TEST(full_disk)
{
    loom_err err = {0};
    pid_t child;
    int status = 0;
    char **left = NULL;
    size_t n_left = 0;
    loom_ckpt *c = NULL;
    float first[8];

    REQUIRE_OK(make(path, 1, 42, &err), err);
    fflush(NULL);
    child = fork();
    if (child == 0) {
        struct rlimit limit = {100000, 100000};
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        loom_status st = make(path, 100000, 1, &err);
        leave(st == LOOM_STATUS_IO && strstr(err.msg, path) && strstr(err.msg, "File too large") ? 0 : 1);
    }
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    REQUIRE_OK(loom_list_files(&left, &n_left, dir, "", &err), err);
    CHECK_I64(n_left, 1);
    loom_free_list(left, n_left);
    REQUIRE_OK(loom_ckpt_open(&c, path, &err), err);
    REQUIRE_OK(loom_ckpt_read_f32(c, "tensors/w", first, 8, &err), err);
    CHECK(first[0] == 42);
    loom_ckpt_close(&c);
}

TEST(no_room)
{
    loom_ckpt_writer *w = NULL;
    loom_err err = {0};

    CHECK(loom_ckpt_create(&w, path, true, INT64_MAX / 2, &err) == LOOM_STATUS_IO);
    CHECK(strstr(err.msg, "no room"));
    loom_ckpt_abandon(&w);
}

TEST(foreign)
{
    loom_ckpt *c = NULL;
    loom_err err = {0};

    REQUIRE_OK(loom_file_write(path, "0123456789", 10, true, &err), err);
    CHECK(loom_ckpt_open(&c, path, &err) == LOOM_STATUS_FORMAT);
    CHECK(loom_ckpt_open(&c, "/nonexistent.h5", &err) == LOOM_STATUS_IO);
    unlink(path);
    CHECK(loom_ckpt_open(&c, dir, &err) == LOOM_STATUS_IO);
    CHECK(strstr(err.msg, "holds no checkpoint"));
}

/* Rests of killed runs go, those of living processes stay. */
TEST(sweep)
{
    char dead[300], alive[300], users[300], numbered[300];
    loom_err err = {0};
    pid_t child = fork();

    if (child == 0) _exit(0);
    REQUIRE(waitpid(child, NULL, 0) == child);
    snprintf(dead, sizeof dead, "%s/step-00000001.h5.tmp.%ld-0123456789abcdef", dir, (long)child);
    snprintf(alive, sizeof alive, "%s/step-00000001.h5.tmp.%ld-0123456789abcdef", dir, (long)getppid());
    snprintf(users, sizeof users, "%s/notes.tmp.%ld-0123456789abcdef", dir, (long)child);
    snprintf(numbered, sizeof numbered, "%s/notes.tmp.%ld", dir, (long)child);
    REQUIRE_OK(loom_file_write(users, "x", 1, true, &err), err);
    REQUIRE_OK(loom_file_write(numbered, "x", 1, true, &err), err);
    REQUIRE_OK(loom_file_write(dead, "x", 1, true, &err), err);
    REQUIRE_OK(loom_file_write(alive, "x", 1, true, &err), err);
    loom_ckpt_sweep(dir);
    CHECK(!loom_file_exists(dead));
    CHECK(loom_file_exists(alive));
    CHECK(loom_file_exists(users));
    CHECK(loom_file_exists(numbered));
    unlink(alive);
    unlink(users);
    unlink(numbered);
}

static void start(void)
{
    if (!mkdtemp(dir)) exit(1);
    snprintf(path, sizeof path, "%s/x.h5", dir);
}

static void finish(void)
{
    unlink(path);
    if (rmdir(dir) != 0) fprintf(stderr, "%s is not empty\n", dir);
}

TEST_MAIN(start(); RUN(round_trip) RUN(flipped_bytes) RUN(cut_short) RUN(folders) RUN(full_disk) RUN(no_room)
              RUN(foreign) RUN(sweep) finish();)
