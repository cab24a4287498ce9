/* The attack's numbers: area under the curve against counting all pairs, its interval against simulation, nearest
 * distances against brute force. */
#include <math.h>
#include <unistd.h>

#include "core/file.h"
#include "core/rng.h"
#include "eval/numbers/roc.h"
#include "eval/privacy/nearest.h"
#include "test.h"

static double by_pairs(const double *x, int64_t n, const double *y, int64_t m)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < m; k++) sum += x[i] > y[k] ? 1 : x[i] == y[k] ? 0.5 : 0;
    return sum / (double)(n * m);
}

TEST(area_by_pairs)
{
    loom_rng rng;
    loom_roc roc;
    loom_err err;
    double x[37], y[53];
    loom_rng_seed(&rng, 1, "test", 0);
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 37; i++)
            x[i] = (double)loom_rng_below(&rng, 12) + round / 10.0 - (double)loom_rng_below(&rng, 3);
        for (int i = 0; i < 53; i++) y[i] = (double)loom_rng_below(&rng, 12);
        CHECK(loom_roc_of(&roc, x, 37, y, 53, &err) == LOOM_OK);
        CHECK(fabs(roc.auc.value - by_pairs(x, 37, y, 53)) < 1e-12);
        CHECK(roc.auc.lo <= roc.auc.value && roc.auc.value <= roc.auc.hi);
    }
}

/* Normal scores d apart: the true area is Phi(d / sqrt 2). 95 % of the intervals shall hold it; of 400, 367 to 393. */
TEST(interval_covers)
{
    loom_rng rng;
    loom_roc roc;
    loom_err err;
    double x[100], y[150];
    int held = 0, chance = 0;
    loom_rng_seed(&rng, 2, "test", 0);
    for (int round = 0; round < 400; round++) {
        for (int i = 0; i < 100; i++) x[i] = 0.7 + loom_rng_normal(&rng);
        for (int i = 0; i < 150; i++) y[i] = loom_rng_normal(&rng);
        CHECK(loom_roc_of(&roc, x, 100, y, 150, &err) == LOOM_OK);
        double truth = 0.5 * erfc(-0.7 / 2);
        held += roc.auc.lo <= truth && truth <= roc.auc.hi;
        CHECK(loom_roc_of(&roc, y, 75, y + 75, 75, &err) == LOOM_OK);
        chance += roc.auc.lo > 0.5;
    }
    CHECK(held >= 367 && held <= 393);
    CHECK(chance <= 20); /* a difference where there is none: 2.5 % */
}

TEST(all_apart)
{
    loom_roc roc;
    loom_err err;
    double x[200], y[200];
    for (int i = 0; i < 200; i++) x[i] = 10 + i, y[i] = -i;
    CHECK(loom_roc_of(&roc, x, 200, y, 200, &err) == LOOM_OK);
    CHECK(roc.auc.value >= 1 && roc.auc.hi >= 1 && fabs(roc.auc.lo - (1 - 3.0 / 200)) < 1e-12);
    CHECK(roc.caught >= 1 && roc.alarms <= 0.01);
    CHECK(loom_roc_of(&roc, y, 200, x, 200, &err) == LOOM_OK);
    CHECK(roc.auc.value <= 0 && roc.caught <= 0);
}

static const char train_text[] =
    "00h00m00s000ms S_000000001 0|http|USER|MS_00001|ARRIVED_0|RT_9||0.1|rpc|MS_00001|MS_00002|ARRIVED_1|RT_1||0.2|rpc|MS_00001|MS_00002|ARRIVED_3|RT_1\n"
    "00h00m00s000ms S_000000002 0|http|USER|MS_00003|ARRIVED_0|RT_9\n";
static const char asked_text[] =
    "00h00m00s000ms S_000000001 0|http|USER|MS_00001|ARRIVED_0|RT_5||0.1|rpc|MS_00001|MS_00002|ARRIVED_1|RT_1\n"
    "00h00m00s000ms S_000000009 0|http|USER|MS_00003|ARRIVED_2|RT_7\n"
    "00h00m00s000ms S_000000009 0|http|USER|MS_00004|ARRIVED_2|RT_7\n";

TEST(nearest)
{
    loom_call_sets known = {0}, asked = {0};
    loom_err err = {0};
    double d[3];
    int64_t met;
    char a[] = "/tmp/loom-near.XXXXXX", b[] = "/tmp/loom-near.XXXXXX";
    int fd = mkstemp(a), fe = mkstemp(b);
    CHECK(fd >= 0 && fe >= 0);
    close(fd), close(fe);
    CHECK(loom_file_write(a, train_text, sizeof train_text - 1, true, &err) == LOOM_OK);
    CHECK(loom_file_write(b, asked_text, sizeof asked_text - 1, true, &err) == LOOM_OK);
    CHECK(loom_call_sets_load(&known, a, 0, 1, &err) == LOOM_OK);
    CHECK(loom_call_sets_load(&asked, b, 0, 1, &err) == LOOM_OK);
    CHECK_I64(known.n, 2);
    CHECK_I64(asked.n, 3);
    loom_nearest(d, &known, &asked, NULL);
    CHECK(fabs(d[0] - 1.0 / 5) < 1e-12); /* 2 of 3 calls in common */
    CHECK(d[1] <= 0 && d[2] >= 1);
    CHECK_I64(loom_rare_names_met(&met, &known, &asked, 2), 5); /* every name of the two graphs */
    CHECK_I64(met, 4);
    CHECK_I64(loom_rare_names_met(&met, &known, &asked, 1), 0); /* in one graph is not in fewer than one */
    CHECK_I64(met, 0);
    loom_call_sets_release(&asked);
    CHECK(loom_call_sets_load(&asked, b, 2, 1, &err) == LOOM_OK);
    CHECK_I64(asked.n, 2);
    loom_call_sets_release(&known), loom_call_sets_release(&asked);
    unlink(a), unlink(b);
}

/* ---- against counting by hand: roots that call some of a few microservices, any of them several times ---- */
enum { STARS = 40, ROOTS = 2, LEAVES = 3 };
typedef struct star {
    int root, n, calls[LEAVES]; /* n: calls in all */
} star;

static void draw_stars(star *stars, loom_buf *text, loom_rng *rng)
{
    for (int i = 0; i < STARS; i++) {
        star *s = &stars[i];
        *s = (star){.root = (int)loom_rng_below(rng, ROOTS), .n = 1 + (int)loom_rng_below(rng, 5)};
        loom_buf_printf(text, "00h00m00s000ms S_000000001 0|http|USER|MS_0000%d|ARRIVED_0|RT_9", s->root);
        for (int k = 1; k < s->n; k++) {
            int leaf = (int)loom_rng_below(rng, LEAVES);
            s->calls[leaf]++;
            loom_buf_printf(text, "||0.%d|rpc|MS_0000%d|MS_0001%d|ARRIVED_1|RT_1", k, s->root, leaf);
        }
        loom_buf_char(text, '\n');
    }
}

static double apart_by_hand(const star *a, const star *b)
{
    int common = a->root == b->root;
    for (int l = 0; common && l < LEAVES; l++) common += a->calls[l] < b->calls[l] ? a->calls[l] : b->calls[l];
    return (double)(a->n + b->n - 2 * common) / (a->n + b->n);
}

static void load_stars(loom_call_sets *s, star *stars, loom_rng *rng)
{
    char path[] = "/tmp/loom-near.XXXXXX";
    int fd = mkstemp(path);
    loom_buf text = {0};
    loom_err err = {0};
    CHECK(fd >= 0);
    close(fd);
    draw_stars(stars, &text, rng);
    CHECK(loom_file_write(path, text.data, text.len, true, &err) == LOOM_OK);
    CHECK(loom_call_sets_load(s, path, 0, 1, &err) == LOOM_OK);
    CHECK_I64(s->n, STARS);
    loom_buf_release(&text);
    unlink(path);
}

TEST(nearest_by_hand)
{
    loom_call_sets known = {0}, asked = {0};
    star a[STARS], b[STARS];
    double d[STARS];
    int copies = 0, near = 0;
    loom_rng rng;
    loom_rng_seed(&rng, 4, "stars", 0);
    load_stars(&known, a, &rng);
    load_stars(&asked, b, &rng);
    loom_nearest(d, &known, &asked, NULL);
    for (int i = 0; i < STARS; i++) {
        double best = 1;
        for (int k = 0; k < STARS; k++) best = fmin(best, apart_by_hand(&b[i], &a[k]));
        CHECK_NEAR(d[i], best, 1e-12);
        copies += best <= 0;
        near += best > 0 && best < 1;
    }
    CHECK(copies > 5 && near > 5);
    loom_call_sets_release(&known), loom_call_sets_release(&asked);
}

TEST_MAIN(RUN(area_by_pairs) RUN(interval_covers) RUN(all_apart) RUN(nearest) RUN(nearest_by_hand))
