#include "store/shard.h"

#include "store/h5.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/file.h"
#include "core/rng.h"
#include "small_shard.h"
#include "test.h"

static char dir[] = "/tmp/loom-shard.XXXXXX";
static char path[200];

static const char *made = "{}";

static loom_status make(int64_t V, int64_t n_samples, loom_err *err)
{
    loom_shard_spec spec = small_shard(V);
    loom_shard_writer *w = NULL;
    int32_t ids[5000];

    spec.tokenizer = "{\"x\":1}";
    spec.tokenizer_len = 7;
    loom_status st = loom_shard_create(&w, path, true, &spec, err);

    for (int64_t i = 0; i < n_samples && st == LOOM_OK; i++) {
        int64_t n = 1 + i * 37 % 4999;
        for (int64_t j = 0; j < n; j++) ids[j] = (int32_t)((i * 7919 + j * 31) % V);
        st = loom_shard_add(w, ids, n, i % (n + 1), err);
    }
    if (st == LOOM_OK) return loom_shard_commit(&w, made, err);
    loom_shard_abandon(&w);
    return st;
}

static void round_trip_of(int64_t V)
{
    loom_shard *s = NULL;
    loom_err err = {0};
    int32_t ids[5000];
    int wrong = 0;

    REQUIRE_OK(make(V, 100, &err), err);
    REQUIRE_OK(loom_shard_open(&s, path, &err), err);
    const loom_shard_info *info = loom_shard_get_info(s);
    CHECK_I64(info->n_samples, 100);
    CHECK_I64(info->vocab_size, V);
    CHECK_I64(info->eos_id, 2);
    CHECK(info->has_eos && !info->has_bos);
    CHECK_STR(info->tokenizer, "{\"x\":1}");
    CHECK_STR(info->mode, "tabular");
    CHECK_I64(strlen(info->tokenizer_digest), 32);
    CHECK_I64(info->longest, 1 + 99 * 37 % 4999);
    for (int64_t i = 99; i >= 0; i--) {
        int64_t first, n, answer;
        loom_shard_range(s, i, &first, &n, &answer);
        CHECK_I64(n, 1 + i * 37 % 4999);
        CHECK_I64(answer, i % (n + 1));
        REQUIRE_OK(loom_shard_read(s, first, n, ids, &err), err);
        for (int64_t j = 0; j < n; j++) wrong += ids[j] != (i * 7919 + j * 31) % V;
    }
    CHECK_I64(wrong, 0);
    CHECK(loom_shard_read(s, info->n_tokens - 1, 2, ids, &err) == LOOM_STATUS_ARG);
    CHECK(loom_shard_read(s, -1, 1, ids, &err) == LOOM_STATUS_ARG);
    loom_shard_close(&s);
}

TEST(round_trip)
{
    round_trip_of(4096);
    round_trip_of(65536);
    round_trip_of(128256);
}

TEST(refuses_bad_samples)
{
    loom_shard_spec spec = {.vocab_size = 10, .bos_id = -1, .eos_id = -1, .mode = "tabular", .tokenizer = ""};
    loom_shard_writer *w = NULL;
    loom_err err = {0};

    REQUIRE_OK(loom_shard_create(&w, path, true, &spec, &err), err);
    CHECK(loom_shard_add(w, (int32_t[]){1, 10}, 2, 0, &err) == LOOM_STATUS_ARG);
    CHECK(strstr(err.msg, "token 1 of sample 0 is 10"));
    CHECK(loom_shard_add(w, (int32_t[]){-1}, 1, 0, &err) == LOOM_STATUS_ARG);
    CHECK(loom_shard_add(w, (int32_t[]){1}, 0, 0, &err) == LOOM_STATUS_ARG);
    CHECK(loom_shard_add(w, (int32_t[]){1}, 1, 2, &err) == LOOM_STATUS_ARG);
    loom_shard_abandon(&w);
}

/* Without force an existing file stays. */
TEST(keeps_old_file)
{
    loom_shard_spec spec = {.vocab_size = 10, .bos_id = -1, .eos_id = -1, .mode = "tabular", .tokenizer = ""};
    loom_shard_writer *w = NULL;
    loom_err err = {0};

    REQUIRE_OK(make(100, 3, &err), err);
    CHECK(loom_shard_create(&w, path, false, &spec, &err) == LOOM_STATUS_ARG);
    CHECK(strstr(err.msg, "--force"));
    loom_shard_abandon(&w);
}

/* Reads everything of a possibly damaged file; the verdict does not matter, that it returns does. */
static loom_status read_all(loom_err *err)
{
    loom_shard *s = NULL;
    int32_t ids[5000];
    loom_status st = loom_shard_open(&s, path, err);

    for (int64_t i = 0; st == LOOM_OK && i < loom_shard_get_info(s)->n_samples; i++) {
        int64_t first, n;
        loom_shard_range(s, i, &first, &n, NULL);
        st = n > 5000 ? LOOM_STATUS_FORMAT : loom_shard_read(s, first, n, ids, err);
    }
    loom_shard_close(&s);
    return st;
}

TEST(cut_short)
{
    loom_err err = {0};
    loom_buf whole = {0};

    REQUIRE_OK(make(1000, 20, &err), err);
    REQUIRE_OK(loom_file_read(&whole, path, 1 << 24, &err), err);
    for (size_t n = 0; n < whole.len; n += 1 + n / 40) {
        REQUIRE_OK(loom_file_write(path, whole.data, n, true, &err), err);
        err.msg[0] = 0;
        CHECK(read_all(&err) != LOOM_OK);
        CHECK(strstr(err.msg, path));
        CHECK(!strchr(err.msg, '\n'));
    }
    loom_buf_release(&whole);
}

TEST(flipped_bytes)
{
    loom_err err = {0};
    loom_buf whole = {0};
    loom_rng rng;

    loom_rng_seed(&rng, 1, "flip", 0);
    REQUIRE_OK(make(1000, 20, &err), err);
    REQUIRE_OK(loom_file_read(&whole, path, 1 << 24, &err), err);
    for (int round = 0; round < 1500; round++) {
        size_t at = loom_rng_below(&rng, round % 2 ? whole.len : 4096);
        char old = whole.data[at];
        whole.data[at] = (char)loom_rng_below(&rng, 256);
        REQUIRE_OK(loom_file_write(path, whole.data, whole.len, true, &err), err);
        loom_status st = read_all(&err);
        CHECK(st == LOOM_OK || err.msg[0]);
        whole.data[at] = old;
    }
    loom_buf_release(&whole);
}

TEST(foreign_files)
{
    loom_shard *s = NULL;
    loom_err err = {0};

    REQUIRE_OK(loom_file_write(path, "hello", 5, true, &err), err);
    CHECK(loom_shard_open(&s, path, &err) == LOOM_STATUS_FORMAT);
    CHECK(strstr(err.msg, "not an HDF5 file"));
    CHECK(loom_shard_open(&s, "/nonexistent", &err) == LOOM_STATUS_IO);
    CHECK(loom_shard_open(&s, "/tmp", &err) == LOOM_STATUS_IO);
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

/* A full disk (here: a file size limit) at any moment: one sentence, no crash, no rest. */
TEST(full_disk)
{
    loom_err err = {0};

    unlink(path);
    fflush(NULL);
    for (rlim_t size = 1; size < 100000; size = size * 3 + 100) {
        pid_t child = fork();
        int status = 0;
        if (child == 0) {
            struct rlimit limit = {size, size};
            signal(SIGXFSZ, SIG_IGN);
            setrlimit(RLIMIT_FSIZE, &limit);
            loom_status st = make(70000, 400, &err);
            leave(st == LOOM_STATUS_IO && strstr(err.msg, "File too large") && !loom_file_exists(path) ? 0 : 1);
        }
        REQUIRE(waitpid(child, &status, 0) == child);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        if (status) fprintf(stderr, "  with room for %ld bytes: status %d\n", (long)size, status);
    }
}

static void start(void)
{
    if (!mkdtemp(dir)) exit(1);
    snprintf(path, sizeof path, "%s/x.tokens.h5", dir);
}

static void finish(void)
{
    unlink(path);
    if (rmdir(dir) != 0) fprintf(stderr, "%s is not empty\n", dir);
}

/* A text that is many texts once overran the room for one. */
TEST(many_texts_for_one)
{
    loom_shard *s = NULL;
    loom_err err = {0};
    hsize_t n = 5000;
    REQUIRE_OK(make(300, 3, &err), err);
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), type = H5Tcopy(H5T_C_S1);
    hid_t space = H5Screate_simple(1, &n, NULL);
    H5Tset_size(type, 64);
    REQUIRE(file >= 0 && H5Ldelete(file, "meta", H5P_DEFAULT) >= 0);
    hid_t set = H5Dcreate2(file, "meta", type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    CHECK(set >= 0);
    H5Dclose(set), H5Sclose(space), H5Tclose(type), H5Fclose(file);
    CHECK_I64(loom_shard_open(&s, path, &err), LOOM_STATUS_FORMAT);
    CHECK(strstr(err.msg, "meta") != NULL);
    loom_shard_close(&s);
    unlink(path);
}

/* The digest tells of the content only; files of older versions have neither digest nor checksums and are read. */
TEST(digest_of_the_content)
{
    char first[33];
    loom_shard *s = NULL;
    loom_err err = {0};
    static const char *const sets[] = {"tokens", "offsets", "answer_start", "tokenizer", "meta"};

    REQUIRE_OK(make(300, 3, &err), err);
    REQUIRE_OK(loom_shard_open(&s, path, &err), err);
    snprintf(first, sizeof first, "%s", loom_shard_get_info(s)->digest);
    CHECK_I64(strlen(first), 32);
    loom_shard_close(&s);
    REQUIRE_OK(make(300, 4, &err), err);
    REQUIRE_OK(loom_shard_open(&s, path, &err), err);
    CHECK(strcmp(first, loom_shard_get_info(s)->digest) != 0);
    loom_shard_close(&s);
    made = "{\"command_line\":\"another\"}";
    REQUIRE_OK(make(300, 3, &err), err);
    made = "{}";
    REQUIRE_OK(loom_shard_open(&s, path, &err), err);
    CHECK_STR(loom_shard_get_info(s)->digest, first);
    loom_shard_close(&s);

    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    REQUIRE(file >= 0 && H5Adelete(file, "digest") >= 0);
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        CHECK(H5Adelete_by_name(file, sets[i], "checksum", H5P_DEFAULT) >= 0);
    H5Fclose(file);
    REQUIRE_OK(loom_shard_open(&s, path, &err), err);
    CHECK_STR(loom_shard_get_info(s)->digest, "");
    CHECK_I64(loom_shard_get_info(s)->n_samples, 3);
    loom_shard_close(&s);
    unlink(path);
}

/* What lies in the file has changed, the checksum has not. */
TEST(damaged_texts_and_tables)
{
    loom_err err = {0};
    loom_shard *s = NULL;
    static const char zeros[7];
    REQUIRE_OK(make(300, 3, &err), err);
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), set = H5Dopen2(file, "tokenizer", H5P_DEFAULT);
    hid_t type = H5Dget_type(set);
    REQUIRE(type >= 0 && H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, zeros) >= 0);
    H5Tclose(type), H5Dclose(set), H5Fclose(file);
    CHECK_I64(loom_shard_open(&s, path, &err), LOOM_STATUS_FORMAT);
    CHECK(strstr(err.msg, "tokenizer") && strstr(err.msg, "damaged") && strstr(err.msg, path));

    REQUIRE_OK(make(300, 3, &err), err);
    file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), set = H5Dopen2(file, "answer_start", H5P_DEFAULT);
    int32_t answers[3] = {0};
    REQUIRE(set >= 0 && H5Dwrite(set, H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, answers) >= 0);
    H5Dclose(set), H5Fclose(file);
    CHECK_I64(loom_shard_open(&s, path, &err), LOOM_STATUS_FORMAT);
    CHECK(strstr(err.msg, "answer_start") && strstr(err.msg, "damaged"));
    unlink(path);
}

TEST_MAIN(start(); RUN(round_trip) RUN(refuses_bad_samples) RUN(keeps_old_file) RUN(cut_short) RUN(flipped_bytes)
              RUN(foreign_files) RUN(many_texts_for_one) RUN(digest_of_the_content) RUN(damaged_texts_and_tables)
                  RUN(full_disk) finish();)
