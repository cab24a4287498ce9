#include "train/loader.h"

#include <unistd.h>

#include "test.h"

static char dir[] = "/tmp/loom-loader.XXXXXX";
static char path_a[200], path_b[200];
static char *paths[2] = {path_a, path_b};

enum { SAMPLES = 37 };

/* Sample i of shard k has length 2 + (7 i + k) % 23; token j is 3 + (i * 31 + j) % 90. BOS first. */
static int64_t length(int64_t k, int64_t i) { return 2 + (7 * i + k) % 23; }

static loom_status make(const char *path, int64_t k, const char *tokenizer, loom_err *err)
{
    loom_shard_spec spec = {.vocab_size = 100,
                            .bos_id = 1,
                            .eos_id = 2,
                            .has_bos = true,
                            .mode = "instruction",
                            .tokenizer = tokenizer,
                            .tokenizer_len = strlen(tokenizer)};
    loom_shard_writer *w = NULL;
    loom_status st = loom_shard_create(&w, path, true, &spec, err);

    for (int64_t i = 0; i < SAMPLES && st == LOOM_OK; i++) {
        int32_t ids[32] = {1};
        for (int64_t j = 1; j < length(k, i); j++) ids[j] = (int32_t)(3 + (i * 31 + j) % 90);
        st = loom_shard_add(w, ids, length(k, i), length(k, i) / 2, err);
    }
    if (st == LOOM_OK) return loom_shard_commit(&w, "{}", err);
    loom_shard_abandon(&w);
    return st;
}

/* Labels of all steps of an epoch, counted by value and by how many rows there were. */
static void tally(loom_loader *l, int64_t steps, int64_t counts[100], int64_t *rows, int64_t *counted, int64_t budget)
{
    loom_err err = {0};
    loom_batch b;

    memset(counts, 0, 100 * sizeof *counts);
    *rows = *counted = 0;
    for (int64_t s = 0; s < steps; s++) {
        REQUIRE_OK(loom_loader_next(l, &b, &err), err);
        CHECK(b.N > 0 && b.N <= budget);
        CHECK(b.segments[0] == 0 && b.segments[b.n_segments] == b.N);
        for (int64_t i = 0; i < b.n_segments; i++) CHECK(b.segments[i + 1] > b.segments[i]);
        for (int64_t i = 0; i < b.N; i++) {
            if (b.labels[i] == LOOM_IGNORE) continue;
            counts[b.labels[i]]++;
            ++*counted;
        }
        *rows += b.N;
    }
}

/* Every token but the first of each sample is predicted exactly once an epoch, whatever the context and budget. */
TEST(samples_cover_everything)
{
    loom_err err = {0};
    int64_t want[100] = {0}, got[100], rows, counted, total = 0;

    for (int64_t k = 0; k < 2; k++) {
        for (int64_t i = 0; i < SAMPLES; i++) {
            for (int64_t j = 1; j < length(k, i); j++, total++) want[3 + (i * 31 + j) % 90]++;
        }
    }
    const int64_t shapes[][2] = {{8, 8}, {8, 64}, {5, 7}, {100, 100}, {24, 1000}};
    for (size_t c = 0; c < sizeof shapes / sizeof *shapes; c++) {
        for (int in_memory = 0; in_memory < 2; in_memory++) {
            loom_loader_options o = {.context = shapes[c][0],
                                     .budget = shapes[c][1],
                                     .seed = 5,
                                     .shuffle = true,
                                     .memory = in_memory ? 1 << 20 : 0};
            loom_loader *l = NULL;
            REQUIRE_OK(loom_loader_new(&l, paths, 2, &o, &err), err);
            for (int64_t e = 0; e < 2; e++) {
                int64_t steps = loom_loader_steps(l, e + 1) - loom_loader_steps(l, e);
                tally(l, steps, got, &rows, &counted, o.budget);
                CHECK_I64(counted, total);
                CHECK_I64(rows, total);
                CHECK(memcmp(got, want, sizeof want) == 0);
                CHECK(loom_loader_at_end(l));
            }
            loom_loader_free(l);
        }
    }
}

/* The joined stream: samples without BOS, cut into equal sequences; rows keep their order. */
TEST(joined)
{
    loom_err err = {0};
    loom_loader_options o = {.context = 10, .budget = 35, .seed = 5, .joined = true, .memory = 1 << 20};
    loom_loader *l = NULL;
    loom_batch b;
    int32_t stream[4000];
    int64_t n = 0, at = 0, steps;

    REQUIRE_OK(loom_loader_new(&l, paths, 2, &o, &err), err);
    for (int64_t k = 0; k < 2; k++) {
        for (int64_t i = 0; i < SAMPLES; i++) {
            for (int64_t j = 1; j < length(k, i); j++) stream[n++] = (int32_t)(3 + (i * 31 + j) % 90);
        }
    }
    steps = loom_loader_steps(l, 1);
    CHECK_I64(steps, (n / 10 + 2) / 3);
    for (int64_t s = 0; s < steps; s++) {
        REQUIRE_OK(loom_loader_next(l, &b, &err), err);
        for (int64_t i = 0; i < b.N; i++, at++) {
            CHECK_I64(b.tokens[i], stream[at]);
            CHECK_I64(b.labels[i], at % 10 == 9 ? LOOM_IGNORE : stream[at + 1]);
        }
    }
    CHECK_I64(at, n / 10 * 10);
    CHECK(loom_loader_at_end(l));
    REQUIRE_OK(loom_loader_next(l, &b, &err), err);
    CHECK_I64(b.tokens[0], stream[0]);
    loom_loader_free(l);
}

/* Only the second half of each sample counts; longer ones than the context are left out. */
TEST(answers)
{
    loom_err err = {0};
    loom_loader_options o = {.context = 12,
                             .budget = 50,
                             .seed = 1,
                             .shuffle = true,
                             .answers_only = true,
                             .drop_long = true,
                             .memory = 1 << 20};
    loom_loader *l = NULL;
    int64_t got[100], rows, counted, want = 0, dropped = 0;

    REQUIRE_OK(loom_loader_new(&l, paths, 1, &o, &err), err);
    for (int64_t i = 0; i < SAMPLES; i++) {
        int64_t n = length(0, i);
        if (n - 1 > 12) dropped++;
        else want += n - (n / 2 > 1 ? n / 2 : 1);
    }
    CHECK(dropped > 0);
    CHECK_I64(loom_loader_dropped(l), dropped);
    tally(l, loom_loader_steps(l, 1), got, &rows, &counted, 50);
    CHECK_I64(counted, want);
    loom_loader_free(l);
}

/* Labels before the answer count less, none is left out. */
TEST(prompt_weight)
{
    loom_err err = {0};
    loom_loader_options o = {.context = 40, .budget = 50, .prompt_weight = 0.25, .memory = 1 << 20};
    loom_loader *l = NULL;
    loom_batch b;

    REQUIRE_OK(loom_loader_new(&l, paths, 1, &o, &err), err);
    REQUIRE_OK(loom_loader_next(l, &b, &err), err);
    int64_t n = length(0, 0), answer = n / 2 > 1 ? n / 2 : 1;
    REQUIRE(b.weights && b.N >= n - 1);
    for (int64_t i = 0; i + 1 < n; i++) {
        CHECK(b.labels[i] != LOOM_IGNORE);
        CHECK(b.weights[i] == (i + 1 < answer ? 0.25f : 1.0f));
    }
    loom_loader_free(l);
}

/* Two loaders, the second set to the first one's position at every step, give the same batches. */
static void resume_with(const loom_loader_options *o)
{
    loom_err err = {0};
    loom_loader *a = NULL, *b = NULL;
    loom_batch x, y;

    REQUIRE_OK(loom_loader_new(&a, paths, 2, o, &err), err);
    for (int step = 0; step < 40; step++) {
        loom_position p = loom_loader_tell(a);
        REQUIRE_OK(loom_loader_new(&b, paths, 2, o, &err), err);
        loom_loader_seek(b, &p);
        REQUIRE_OK(loom_loader_next(a, &x, &err), err);
        REQUIRE_OK(loom_loader_next(b, &y, &err), err);
        REQUIRE(x.N == y.N && x.n_segments == y.n_segments);
        CHECK(memcmp(x.tokens, y.tokens, (size_t)x.N * 4) == 0);
        CHECK(memcmp(x.labels, y.labels, (size_t)x.N * 4) == 0);
        loom_loader_free(b);
    }
    CHECK(loom_loader_tell(a).epoch > 0);
    loom_loader_free(a);
}

TEST(resumes)
{
    resume_with(&(loom_loader_options){.context = 9, .budget = 60, .seed = 3, .shuffle = true, .memory = 1 << 20});
    resume_with(&(loom_loader_options){.context = 9, .budget = 60, .seed = 3, .shuffle = true, .joined = true});
}

/* By seed, and from epoch to epoch. */
TEST(orders_differ)
{
    loom_err err = {0};
    loom_loader_options o = {.context = 30, .budget = 60, .seed = 3, .shuffle = true, .memory = 1 << 20};
    loom_loader *a = NULL, *b = NULL;
    loom_batch x, y;
    int32_t first[60];

    REQUIRE_OK(loom_loader_new(&a, paths, 2, &o, &err), err);
    o.seed = 4;
    REQUIRE_OK(loom_loader_new(&b, paths, 2, &o, &err), err);
    REQUIRE_OK(loom_loader_next(a, &x, &err), err);
    REQUIRE_OK(loom_loader_next(b, &y, &err), err);
    CHECK(x.N != y.N || memcmp(x.tokens, y.tokens, (size_t)x.N * 4) != 0);
    int64_t n = y.N;
    memcpy(first, y.tokens, (size_t)n * sizeof *first);
    loom_loader_seek(b, &(loom_position){.epoch = 1});
    REQUIRE_OK(loom_loader_next(b, &y, &err), err);
    CHECK(y.N != n || memcmp(y.tokens, first, (size_t)n * sizeof *first) != 0);
    loom_loader_free(a);
    loom_loader_free(b);
}

TEST(refuses)
{
    loom_err err = {0};
    loom_loader *l = NULL;
    loom_loader_options o = {.context = 30, .budget = 20};
    char other[250];
    char *mixed[2] = {path_a, other};

    CHECK(loom_loader_new(&l, paths, 2, &o, &err) == LOOM_STATUS_ARG);
    o.budget = 30;
    snprintf(other, sizeof other, "%s/other.tokens.h5", dir);
    REQUIRE_OK(make(other, 0, "{\"another\":1}", &err), err);
    CHECK(loom_loader_new(&l, mixed, 2, &o, &err) == LOOM_STATUS_FORMAT);
    CHECK(strstr(err.msg, "different tokenizers"));
    unlink(other);
    o = (loom_loader_options){.context = 100000, .budget = 100000, .joined = true};
    CHECK(loom_loader_new(&l, paths, 2, &o, &err) == LOOM_STATUS_ARG);
    CHECK(strstr(err.msg, "lower --context"));
}

TEST(refuses_unanswered)
{
    loom_err err = {0};
    loom_loader *l = NULL;
    loom_shard_spec spec = {.vocab_size = 100, .bos_id = 1, .eos_id = 2, .mode = "instruction", .tokenizer = ""};
    loom_loader_options o = {.context = 30, .budget = 30, .answers_only = true};
    loom_shard_writer *w = NULL;
    char other[250];
    char *one[1] = {other};

    snprintf(other, sizeof other, "%s/other.tokens.h5", dir);
    REQUIRE_OK(loom_shard_create(&w, other, true, &spec, &err), err);
    REQUIRE_OK(loom_shard_add(w, (int32_t[]){5, 6, 7}, 3, 1, &err), err);
    REQUIRE_OK(loom_shard_add(w, (int32_t[]){5, 6, 7}, 3, 3, &err), err);
    REQUIRE_OK(loom_shard_commit(&w, "{}", &err), err);
    CHECK(loom_loader_new(&l, one, 1, &o, &err) == LOOM_STATUS_FORMAT);
    CHECK(strstr(err.msg, "sample 1 has no answer"));
    unlink(other);
}

static void start(void)
{
    loom_err err = {0};

    if (!mkdtemp(dir)) exit(1);
    snprintf(path_a, sizeof path_a, "%s/a.tokens.h5", dir);
    snprintf(path_b, sizeof path_b, "%s/b.tokens.h5", dir);
    if (make(path_a, 0, "{}", &err) != LOOM_OK || make(path_b, 1, "{}", &err) != LOOM_OK) exit(1);
}

static void finish(void)
{
    unlink(path_a);
    unlink(path_b);
    if (rmdir(dir) != 0) fprintf(stderr, "%s is not empty\n", dir);
}

TEST_MAIN(start(); RUN(samples_cover_everything) RUN(joined) RUN(answers) RUN(prompt_weight) RUN(resumes)
              RUN(orders_differ) RUN(refuses) RUN(refuses_unanswered) finish();)
