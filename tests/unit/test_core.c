/* lib/core: numbers, buffers, arena, hashing, random streams, files, JSON, options, pool. */
#include "core/arena.h"
#include "core/cli.h"
#include "core/file.h"
#include "core/hash.h"
#include "core/hash_set.h"
#include "core/json.h"
#include "core/num.h"
#include "core/opt.h"
#include "core/pool.h"
#include "core/rng.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

#include "test.h"

TEST(parses_integers_strictly)
{
    int64_t v = 7;
    CHECK(loom_parse_i64("0", 1, &v) && v == 0);
    CHECK(loom_parse_i64("-9223372036854775808", 20, &v) && v == INT64_MIN);
    CHECK(loom_parse_i64("9223372036854775807", 19, &v) && v == INT64_MAX);
    v = 7;
    static const char *const bad[] = {"",    "-",   "+",  "9223372036854775808", "-9223372036854775809", "1 ", " 1",
                                      "1.0", "0x1", "--1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK(!loom_parse_i64(bad[i], strlen(bad[i]), &v));
    CHECK_I64(v, 7);
}

TEST(parses_numbers_strictly)
{
    double v = 7;
    CHECK(loom_parse_f64("2.999", 5, &v) && v == 2.999);
    CHECK(loom_parse_f64("-1e3", 4, &v) && v == -1000);
    v = 7;
    static const char *const bad[] = {"", ".", "nan", "inf", "1e999", "0x10", " 1", "1 ", "1,5", "1e"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK(!loom_parse_f64(bad[i], strlen(bad[i]), &v));
    CHECK(v == 7);
}

TEST(checks_sizes)
{
    size_t n = 5;
    CHECK(loom_mul_size(&n, 3, 4) && n == 12);
    CHECK(!loom_mul_size(&n, SIZE_MAX / 2, 3) && n == 12);
    CHECK(!loom_add_size(&n, SIZE_MAX, 1) && n == 12);
}

TEST(numbers_are_short_and_plain)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {{30, "30"},
                 {1500, "1500"},
                 {-2e6, "-2000000"},
                 {0.1, "0.1"},
                 {1.5e-3, "0.0015"},
                 {1e-8, "1e-08"},
                 {1e15, "1e+15"},
                 {1.0 / 3, "0.3333333333333333"},
                 {123456789.5, "123456789.5"},
                 {0, "0"}};
    loom_buf b = {0};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        loom_buf_reset(&b);
        loom_buf_f64(&b, cases[i].value);
        CHECK_STR(b.data, cases[i].text);
        CHECK(strtod(b.data, NULL) == cases[i].value);
    }
    loom_buf_release(&b);
}

TEST(buffers_grow)
{
    loom_buf b = {0};
    CHECK_STR(loom_buf_text(&b), "");
    for (int i = 0; i < 1000; i++) loom_buf_printf(&b, "%d,", i);
    CHECK_I64(b.len, 3890);
    loom_buf_reset(&b);
    loom_buf_i64(&b, INT64_MIN);
    loom_buf_char(&b, ' ');
    loom_buf_i64(&b, 0);
    CHECK_STR(b.data, "-9223372036854775808 0");
    loom_buf_release(&b);
}

TEST(arena_keeps_contents_and_reuses_memory)
{
    loom_arena a = {0};
    char *kept[200];
    for (int round = 0; round < 3; round++) {
        loom_arena_reset(&a);
        for (int i = 0; i < 200; i++) {
            size_t n = (size_t)(i * 977 % 90000);
            kept[i] = loom_arena_alloc(&a, n + 1);
            CHECK(((uintptr_t)kept[i] & 15) == 0);
            memset(kept[i], i, n + 1);
        }
        int bad = 0;
        for (int i = 0; i < 200; i++) bad += kept[i][i * 977 % 90000] != (char)i || kept[i][0] != (char)i;
        CHECK_I64(bad, 0);
    }
    loom_arena_release(&a);
}

TEST(interns_strings)
{
    loom_intern t = {0};
    char text[32];
    for (int64_t i = 0; i < 5000; i++) {
        int n = snprintf(text, sizeof text, "MS_%lld", (long long)(i * 7919 % 5000));
        CHECK_I64(loom_intern_add(&t, text, (size_t)n), i);
    }
    CHECK_I64(loom_intern_add(&t, "MS_0", 4), 0);
    CHECK_I64(loom_intern_find(&t, "MS_5000", 7), -1);
    CHECK_STR(loom_intern_text(&t, 0), "MS_0");
    loom_intern_release(&t);
}

static bool first_time(loom_hash_set *s, loom_hash128 key)
{
    bool fresh;
    return loom_hash_set_add(s, key, &fresh) && fresh;
}

TEST(set_tells_new_from_old)
{
    loom_hash_set s = {0};
    CHECK(first_time(&s, (loom_hash128){0, 0}));
    CHECK(!first_time(&s, (loom_hash128){0, 0}));
    for (uint64_t i = 1; i <= 10000; i++) CHECK(first_time(&s, (loom_hash128){i % 100, i}));
    for (uint64_t i = 1; i <= 10000; i++) CHECK(!first_time(&s, (loom_hash128){i % 100, i}));
    CHECK(loom_hash_set_has(&s, (loom_hash128){5, 105}));
    CHECK(!loom_hash_set_has(&s, (loom_hash128){5, 106}));
    CHECK_I64(s.n, 10001);
    loom_hash_set_release(&s);
}

TEST(random_streams_are_separate_and_repeatable)
{
    loom_rng a, b, c, d;
    loom_rng_seed(&a, 1, "shuffle", 0);
    loom_rng_seed(&b, 1, "shuffle", 0);
    loom_rng_seed(&c, 1, "shuffle", 1);
    loom_rng_seed(&d, 1, "dropout", 0);
    uint64_t x = loom_rng_u64(&a);
    CHECK(x == loom_rng_u64(&b));
    CHECK(x != loom_rng_u64(&c));
    CHECK(x != loom_rng_u64(&d));
    double sum = 0, squares = 0;
    for (int i = 0; i < 100000; i++) {
        double z = loom_rng_normal(&a);
        sum += z;
        squares += z * z;
    }
    CHECK_NEAR(sum / 1e5, 0, 0.015);     /* 4.7 standard errors */
    CHECK_NEAR(squares / 1e5, 1, 0.025); /* 5.6 standard errors */
    int counts[6] = {0};
    for (int i = 0; i < 60000; i++) {
        int perm[3] = {0, 1, 2};
        loom_rng_shuffle(&a, perm, 3, sizeof *perm);
        counts[perm[0] * 2 + (perm[1] > perm[2])]++;
    }
    for (int i = 0; i < 6; i++) CHECK_NEAR(counts[i], 10000, 500); /* 5.5 standard errors */
}

static void temp_path(char *path, size_t cap, const char *name)
{
    snprintf(path, cap, "/tmp/loom-test-%ld-%s", (long)getpid(), name);
}

static void check_round_trip(const char *name, int64_t lines)
{
    char path[256];
    loom_err err = {0};
    loom_out *out = NULL;
    temp_path(path, sizeof path, name);
    REQUIRE_OK(loom_out_open(&out, path, false, &err), err);
    CHECK(!loom_file_exists(path)); /* nothing under the final name before the commit */
    for (int64_t i = 0; i < lines; i++)
        REQUIRE_OK(loom_out_printf(out, &err, "line %lld%s", (long long)i, i % 2 ? "\r\n" : "\n"), err);
    REQUIRE_OK(loom_out_write(out, "no end", 6, &err), err);
    REQUIRE_OK(loom_out_commit(&out, &err), err);
    CHECK(loom_out_open(&out, path, false, &err) == LOOM_STATUS_ARG);

    loom_lines *in = NULL;
    char *line = NULL, want[64];
    size_t len = 0;
    int64_t i = 0, bad = 0;
    REQUIRE_OK(loom_lines_open(&in, path, &err), err);
    while (loom_lines_next(in, &line, &len, &err) == LOOM_OK && line) {
        snprintf(want, sizeof want, i == lines ? "no end" : "line %lld", (long long)i);
        bad += strcmp(line, want) != 0 || strlen(line) != len;
        CHECK_I64(loom_lines_number(in), ++i);
    }
    CHECK_I64(bad, 0);
    CHECK_I64(i, lines + 1);
    loom_lines_close(&in);
    unlink(path);
}

TEST(files_round_trip_plain_and_compressed)
{
    check_round_trip("plain.txt", 50000);
    check_round_trip("packed.txt.zst", 50000);
    check_round_trip("short.txt", 0);
}

TEST(abandoned_output_leaves_nothing)
{
    char path[256];
    loom_err err = {0};
    loom_out *out = NULL;
    temp_path(path, sizeof path, "abandoned");
    REQUIRE_OK(loom_out_open(&out, path, false, &err), err);
    loom_out_write(out, "x", 1, &err);
    loom_out_abandon(&out);
    CHECK(!loom_file_exists(path));
    char **left = NULL;
    size_t n = 0, mine = 0;
    REQUIRE_OK(loom_list_files(&left, &n, "/tmp", "", &err), err);
    for (size_t i = 0; i < n; i++) mine += strncmp(left[i], path, strlen(path)) == 0;
    CHECK_I64(mine, 0);
    loom_free_list(left, n);
}

TEST(full_disk_is_an_error)
{
    loom_err err = {0};
    loom_out *out = NULL;
    /* /dev/full refuses every write; the writer must say so at the latest when it commits */
    FILE *full = fopen("/dev/full", "w");
    if (!full) SKIP("no /dev/full here");
    fclose(full);
    static char big[70000];
    REQUIRE_OK(loom_out_open(&out, "/dev/full", false, &err), err);
    loom_status st = loom_out_write(out, big, sizeof big, &err);
    if (st == LOOM_OK) st = loom_out_commit(&out, &err);
    else loom_out_abandon(&out);
    CHECK_I64(st, LOOM_STATUS_IO);
    CHECK(strstr(err.msg, "No space left") != NULL);
}

/* The same for a file that may not grow. */
TEST(file_too_large_is_an_error)
{
    static char big[70000];
    char path[256];
    loom_err err = {0};
    struct rlimit old, small;
    temp_path(path, sizeof path, "large");
    REQUIRE(getrlimit(RLIMIT_FSIZE, &old) == 0);
    small = (struct rlimit){1000, old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
    CHECK_I64(loom_file_write(path, big, sizeof big, false, &err), LOOM_STATUS_IO);
    setrlimit(RLIMIT_FSIZE, &old);
    CHECK(strstr(err.msg, "too large") != NULL);
    CHECK(!loom_file_exists(path));
}

TEST(truncated_compressed_input_is_an_error)
{
    char path[256];
    loom_err err = {0};
    loom_out *out = NULL;
    temp_path(path, sizeof path, "cut.zst");
    REQUIRE_OK(loom_out_open(&out, path, false, &err), err);
    for (int i = 0; i < 5000; i++) loom_out_printf(out, &err, "%d\n", i * 7919);
    REQUIRE_OK(loom_out_commit(&out, &err), err);
    REQUIRE(truncate(path, loom_file_size(path) - 9) == 0);
    loom_lines *in = NULL;
    char *line = NULL;
    size_t len;
    loom_status st = loom_lines_open(&in, path, &err); /* so short a file may already fail here */
    while (st == LOOM_OK && (st = loom_lines_next(in, &line, &len, &err)) == LOOM_OK && line) continue;
    CHECK_I64(st, LOOM_STATUS_FORMAT);
    CHECK(strstr(err.msg, "cut.zst") != NULL);
    loom_lines_close(&in);
    unlink(path);
}

TEST(json_reads_and_writes)
{
    loom_buf b = {0};
    loom_jw w;
    loom_jw_init(&w, &b, false);
    loom_jw_begin_object(&w);
    loom_jw_kv_str(&w, "text", "a\"b\\c\n\t\x01");
    loom_jw_kv_i64(&w, "big", 9007199254740993);
    loom_jw_kv_f64(&w, "tenth", 0.1);
    loom_jw_key(&w, "list");
    loom_jw_begin_array(&w);
    loom_jw_bool(&w, true);
    loom_jw_null(&w);
    loom_jw_begin_object(&w);
    loom_jw_end_object(&w);
    loom_jw_end_array(&w);
    loom_jw_end_object(&w);
    CHECK_STR(b.data,
              "{\"text\":\"a\\\"b\\\\c\\n\\t\\u0001\",\"big\":9007199254740993,\"tenth\":0.1,\"list\":[true,null,{}]}");
    loom_json *root = NULL;
    loom_err err = {0};
    REQUIRE_OK(loom_json_parse(&root, b.data, b.len, "test", &err), err);
    CHECK_STR(loom_json_str(loom_json_get(root, "text"), NULL), "a\"b\\c\n\t\x01");
    CHECK_I64(loom_json_i64(loom_json_get(root, "big"), 0), 9007199254740993);
    CHECK(loom_json_f64(loom_json_get(root, "tenth"), 0) == 0.1);
    CHECK_I64(loom_json_len(loom_json_get(root, "list")), 3);
    CHECK(loom_json_is_null(loom_json_get(root, "absent")));
    int64_t v;
    CHECK(loom_json_need_i64(root, "text", &v, &err) == LOOM_STATUS_FORMAT);
    loom_json_free(root);
    CHECK(loom_json_parse(&root, "{\"a\":1,\"a\":2}", 13, "test", &err) == LOOM_STATUS_FORMAT);
    CHECK(loom_json_parse(&root, "{\"a\":\"\xff\"}", 9, "test", &err) == LOOM_STATUS_FORMAT);
    loom_buf_release(&b);
}

typedef struct demo_conf {
    int64_t n;
    double x;
    const char *text;
    bool on;
    int mode;
} demo_conf;

static const loom_opt demo_opts[] = {LOOM_OPT_GROUP("Demo"),
                                     LOOM_OPT_I64("n", 'n', demo_conf, n, "3", 0, 10, "N", "a number"),
                                     LOOM_OPT_F64("x", 0, demo_conf, x, "0.1", 0, 1, "X", "a real"),
                                     LOOM_OPT_STR("text", 0, demo_conf, text, NULL, "TEXT", "a text"),
                                     LOOM_OPT_FLAG_ON("on", 0, demo_conf, on, "a flag"),
                                     LOOM_OPT_ENUM("mode", 0, demo_conf, mode, "b", "a|b|c", "a choice"),
                                     LOOM_OPT_WAS("way", 'w', "mode", "first|second|third"),
                                     LOOM_OPT_END};

TEST(options_take_their_table)
{
    demo_conf conf = {0};
    loom_arena arena = {0};
    loom_err err = {0};
    REQUIRE_OK(loom_opt_defaults(&conf, demo_opts, &arena, &err), err);
    CHECK(conf.n == 3 && conf.x == 0.1 && conf.text == NULL && conf.on && conf.mode == 1);
    CHECK(loom_opt_set(&conf, loom_opt_find(demo_opts, "n"), "11", "--n", &arena, &err) == LOOM_STATUS_ARG);
    CHECK_STR(err.msg, "--n is \"11\", expected an integer from 0 to 10");
    CHECK(loom_opt_set(&conf, loom_opt_find(demo_opts, "mode"), "d", "--mode", &arena, &err) == LOOM_STATUS_ARG);
    CHECK(loom_opt_set(&conf, loom_opt_find(demo_opts, "mode"), "c", "--mode", &arena, &err) == LOOM_OK &&
          conf.mode == 2);
    REQUIRE_OK(loom_opt_set(&conf, loom_opt_find(demo_opts, "text"), "a # \"b\"", "--text", &arena, &err), err);
    const loom_opt *was = loom_opt_find_was(demo_opts, "way", 0), *mode = loom_opt_find(demo_opts, "mode");
    REQUIRE(was && was == loom_opt_find_was(demo_opts, NULL, 'w') && !loom_opt_find(demo_opts, "way"));
    CHECK(!loom_opt_find_was(demo_opts, "mode", 0) && !loom_opt_find_was(demo_opts, NULL, 'n'));
    CHECK_STR(loom_opt_was_value(was, mode, "second", &arena), "b");
    CHECK_STR(loom_opt_was_value(was, mode, "c", &arena), "c");
    loom_buf b = {0};
    loom_opt_print_config(&b, &conf, demo_opts, false);
    CHECK_STR(b.data, "n = 3\nx = 0.1\ntext = \"a # \\\"b\\\"\"\non = true\nmode = c\n");
    loom_buf_release(&b);
    loom_arena_release(&arena);
}

struct sum_job {
    _Atomic int64_t sum;
    _Atomic int64_t calls;
};

static void add_item(void *arg, int64_t item, int thread)
{
    struct sum_job *job = arg;
    (void)thread;
    job->sum += item;
}

static void count_thread(void *arg, int thread, int n_threads)
{
    struct sum_job *job = arg;
    job->calls += 1;
    job->sum += thread < n_threads;
}

TEST(pool_runs_every_item_once)
{
    loom_err err = {0};
    for (int threads = 1; threads <= 4; threads++) {
        loom_pool *pool = NULL;
        REQUIRE_OK(loom_pool_new(&pool, threads, &err), err);
        for (int round = 0; round < 200; round++) {
            struct sum_job job = {0};
            loom_pool_for(pool, 100, add_item, &job);
            CHECK_I64(job.sum, 4950);
            job = (struct sum_job){0};
            loom_pool_share(pool, round % 7, add_item, &job); /* also fewer items than threads */
            CHECK_I64(job.sum, (round % 7) * (round % 7 - 1) / 2);
        }
        if (threads == 3) usleep(20000); /* lets the workers fall asleep */
        struct sum_job each = {0};
        loom_pool_each(pool, count_thread, &each);
        CHECK_I64(each.calls, threads);
        CHECK_I64(each.sum, threads);
        loom_pool_free(pool);
    }
}

TEST_THREADED;
TEST_MAIN(RUN(parses_integers_strictly) RUN(parses_numbers_strictly) RUN(checks_sizes) RUN(numbers_are_short_and_plain)
              RUN(buffers_grow) RUN(arena_keeps_contents_and_reuses_memory) RUN(interns_strings)
                  RUN(set_tells_new_from_old) RUN(random_streams_are_separate_and_repeatable)
                      RUN(files_round_trip_plain_and_compressed) RUN(abandoned_output_leaves_nothing)
                          RUN(full_disk_is_an_error) RUN(file_too_large_is_an_error)
                              RUN(truncated_compressed_input_is_an_error) RUN(json_reads_and_writes)
                                  RUN(options_take_their_table) RUN(pool_runs_every_item_once))
