/* Ordered streams of records over several files and threads; tallies and counters of descriptions. */
#include <unistd.h>

#include "core/file.h"
#include "core/num.h"
#include "core/rng.h"
#include "preprocess/stores/graph_profile.h"
#include "preprocess/stores/store_stream.h"
#include "test.h"

/* ---- streams ---- */

typedef struct lengths {
    loom_buf text;
} lengths;

typedef struct gathered {
    loom_buf text;
    int64_t last_line;
    const char *last_path;
    bool in_order;
} gathered;

static void count_work(void *arg, loom_store_block *block, int thread)
{
    lengths *l = block->result;
    (void)arg;
    (void)thread;
    loom_buf_reset(&l->text);
    for (const char *at = NULL, *end = NULL; loom_store_block_line(block, &at, &end);)
        loom_buf_printf(&l->text, "%zu:%c ", (size_t)(end - at), end > at ? *at : '-');
}

static loom_status gather(void *arg, loom_store_block *block, loom_err *err)
{
    gathered *g = arg;
    lengths *l = block->result;
    (void)err;
    if (block->path == g->last_path && block->first_line <= g->last_line) g->in_order = false;
    g->last_path = block->path;
    g->last_line = block->first_line;
    loom_buf_append(&g->text, loom_buf_text(&l->text), l->text.len);
    return LOOM_OK;
}

static void release_lengths(void *result) { loom_buf_release(&((lengths *)result)->text); }

TEST(streams_keep_the_order)
{
    char paths[3][64];
    const char *list[3];
    loom_buf text = {0}, want = {0};
    loom_rng rng;
    loom_err err;
    loom_rng_seed(&rng, 1, "stream", 0);
    for (int f = 0; f < 3; f++) {
        loom_buf_reset(&text);
        for (int i = 0; i < (f == 1 ? 3 : 60000); i++) {
            size_t n = loom_rng_below(&rng, f == 1 ? 2000000 : 100);
            for (size_t k = 0; k < n; k++) loom_buf_char(&text, (char)('a' + i % 26));
            loom_buf_printf(&want, "%zu:%c ", n, n ? 'a' + i % 26 : '-');
            loom_buf_char(&text, '\n');
        }
        if (f == 2) { /* a last line without an end */
            loom_buf_str(&text, "zzz");
            loom_buf_str(&want, "3:z ");
        }
        snprintf(paths[f], sizeof paths[f], "/tmp/loom-stream-%d-%ld%s", f, (long)getpid(), f == 0 ? ".zst" : "");
        loom_out *out = NULL;
        REQUIRE_OK(loom_out_open(&out, paths[f], true, &err), err);
        REQUIRE_OK(loom_out_write(out, text.data, text.len, &err), err);
        REQUIRE_OK(loom_out_commit(&out, &err), err);
        list[f] = paths[f];
    }
    for (int threads = 1; threads <= 4; threads += 3) {
        gathered g = {.in_order = true};
        loom_store_stream s = {
            .result_size = sizeof(lengths), .work = count_work, .take = gather, .release = release_lengths, .arg = &g};
        REQUIRE_OK(loom_pool_new(&s.pool, threads, &err), err);
        REQUIRE_OK(loom_store_stream_run(&s, list, 3, &err), err);
        CHECK(g.in_order);
        CHECK(g.text.len == want.len && memcmp(g.text.data, want.data, want.len) == 0);
        loom_pool_free(s.pool);
        loom_buf_release(&g.text);
    }
    for (int f = 0; f < 3; f++) unlink(paths[f]);
    loom_buf_release(&text);
    loom_buf_release(&want);
}

static loom_status refuse(void *arg, loom_store_block *block, loom_err *err)
{
    (void)arg;
    (void)block;
    return loom_fail(err, LOOM_STATUS_IO, "no");
}

TEST(streams_stop_at_a_failure)
{
    char path[64];
    const char *list[] = {path, "/nonexistent/file"};
    loom_err err;
    loom_store_stream s = {
        .result_size = sizeof(lengths), .work = count_work, .take = refuse, .release = release_lengths};
    snprintf(path, sizeof path, "/tmp/loom-stream-%ld", (long)getpid());
    REQUIRE_OK(loom_file_write(path, "a\n", 2, true, &err), err);
    CHECK(loom_store_stream_run(&s, list, 1, &err) == LOOM_STATUS_IO);
    CHECK_STR(err.msg, "no");
    s.take = NULL;
    CHECK(loom_store_stream_run(&s, list, 2, &err) == LOOM_STATUS_IO);
    unlink(path);
}

/* ---- tallies ---- */

static int compare_i64(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

TEST(quantiles_are_those_of_the_sorted_list)
{
    enum { N = 5000 };
    static int64_t values[N];
    loom_value_counts halves[2] = {{0}}, t = {0};
    loom_rng rng;
    loom_rng_seed(&rng, 2, "tally", 0);
    CHECK_I64(loom_value_counts_quantile(&t, .5), 0);
    for (int i = 0; i < N; i++) {
        uint64_t kind = loom_rng_below(&rng, 10);
        values[i] = kind == 0   ? -(int64_t)loom_rng_below(&rng, 50)
                    : kind == 1 ? (int64_t)loom_rng_below(&rng, 1000000)
                                : (int64_t)kind;
        loom_value_counts_add(&halves[i % 2], values[i]);
    }
    loom_value_counts_merge(&t, &halves[0]);
    loom_value_counts_merge(&t, &halves[1]);
    qsort(values, N, sizeof *values, compare_i64);
    static const double shares[] = {0, .001, .05, .1, .25, .5, .75, .9, .95, .99, .9999, 1};
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        int64_t at = (int64_t)(shares[i] * N);
        CHECK_I64(loom_value_counts_quantile(&t, shares[i]), values[at < N ? at : N - 1]);
    }
    CHECK_I64(loom_value_counts_max(&t), values[N - 1]);
    double sum = 0;
    for (int i = 0; i < N; i++) sum += (double)values[i];
    CHECK_NEAR(loom_value_counts_mean(&t), sum / N, 1e-9 * fabs(sum / N));
    loom_value_counts_release(&halves[0]);
    loom_value_counts_release(&halves[1]);
    loom_value_counts_release(&t);
}

TEST(counters)
{
    loom_counter a = {0}, b = {0};
    loom_counter_add(&a, "x", 1, 5);
    loom_counter_add(&b, "y", 1, 3);
    loom_counter_add(&b, "x", 1, 1);
    loom_counter_add(&b, "z", 1, 1);
    loom_counter_merge(&a, &b);
    CHECK_NEAR(loom_counter_top_share(&a, 1), .6, 1e-12);
    CHECK_NEAR(loom_counter_top_share(&a, 2), .9, 1e-12);
    CHECK_NEAR(loom_counter_top_share(&a, 100), 1, 1e-12);
    loom_counter_release(&a);
    loom_counter_release(&b);
}

TEST_THREADED;
TEST_MAIN(RUN(streams_keep_the_order) RUN(streams_stop_at_a_failure) RUN(quantiles_are_those_of_the_sorted_list)
              RUN(counters))
