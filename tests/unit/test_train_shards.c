/* The cut of a step, the tree of its sums, and what ranks share out. One process: tests/cli/test_train_ranks.sh has
 * several. */
#include "test.h"

#include <math.h>

#include "core/num.h"
#include "core/rng.h"
#include "model/shard_tree.h"
#include "model/vmath.h"
#include "train/step_shards.h"

/* Sequences of random lengths up to `longest`. */
static int64_t make_segments(int64_t *segments, int64_t n, int64_t longest, uint64_t seed)
{
    loom_rng rng;

    loom_rng_seed(&rng, seed, "segments", 0);
    segments[0] = 0;
    for (int64_t i = 0; i < n; i++)
        segments[i + 1] = segments[i] + 1 + (int64_t)loom_rng_below(&rng, (uint64_t)longest);
    return segments[n];
}

static int64_t rows_of(const loom_dealt_step *d, int first, int n)
{
    int64_t rows = 0;
    for (int s = first; s < first + n; s++) rows += loom_step_shard(d, s)->N;
    return rows;
}

/* Every sequence is in one shard, whole: rows are numbered, and a label is its token's negative. */
static void check_rows(const loom_dealt_step *d, int shards, const int64_t *segments, int64_t n)
{
    int32_t *seen = calloc((size_t)n, sizeof *seen);

    for (int s = 0; s < shards; s++) {
        const loom_batch *b = loom_step_shard(d, s);
        int64_t before = -1;

        for (int64_t i = 0; i < b->n_segments; i++) {
            int64_t from = b->segments[i], k = 0, row = b->tokens[from];
            while (segments[k] != row) k++;
            CHECK(k > before); /* in the order of the step */
            before = k;
            seen[k]++;
            CHECK_I64(b->segments[i + 1] - from, segments[k + 1] - row);
            for (int64_t j = from; j < b->segments[i + 1]; j++)
                CHECK(b->tokens[j] == row + j - from && b->labels[j] == -b->tokens[j] &&
                      b->weights[j] == (float)b->tokens[j]);
        }
        CHECK(b->N == (b->n_segments ? b->segments[b->n_segments] : 0));
    }
    for (int64_t k = 0; k < n; k++) CHECK_I64(seen[k], 1);
    free(seen);
}

TEST(shards_cover_a_step)
{
    enum { MOST = 200 * 40 };
    static int32_t tokens[MOST], labels[MOST];
    static float weights[MOST];
    int64_t segments[201];
    loom_dealt_step d = {0};
    double apart = 0;
    loom_err err;

    for (int i = 0; i < MOST; i++) tokens[i] = i, labels[i] = -i, weights[i] = (float)i;
    for (uint64_t trial = 0; trial < 200; trial++) {
        int64_t n = 1 + (int64_t)trial, longest = 1 + (int64_t)(trial * 7 % 40),
                rows = make_segments(segments, n, longest, trial);
        loom_batch step = {
            .N = rows, .n_segments = n, .tokens = tokens, .labels = labels, .weights = weights, .segments = segments};

        for (int shards = 1; shards <= 64; shards *= 2) {
            REQUIRE_OK(loom_step_deal(&d, &step, shards, &err), err);
            check_rows(&d, shards, segments, n);
            for (int part = shards; part > 1; part /= 2) /* the two halves of every node have much the same to do */
                for (int s = 0; s < shards; s += part)
                    CHECK(llabs(rows_of(&d, s, part / 2) - rows_of(&d, s + part / 2, part / 2)) <= longest);
        }
        if (n >= 16) apart = fmax(apart, fabs((double)rows_of(&d, 0, 32) / (double)rows - 0.5));
    }
    CHECK(apart < 0.02);
    loom_dealt_step_release(&d);
}

/* ((0+1)+(2+3))+..., written down as it is said. */
static float tree(const float *leaves, int n)
{
    return n == 1 ? *leaves : tree(leaves, n / 2) + tree(leaves + n / 2, n / 2);
}

static float rounded(float x) { return loom_bf16_to_f32(loom_f32_to_bf16(x)); }

/* Every node rounded. */
static float half_tree(const float *leaves, int n)
{
    return rounded(n == 1 ? *leaves : half_tree(leaves, n / 2) + half_tree(leaves + n / 2, n / 2));
}

TEST(one_rank_adds_up_along_the_tree)
{
    enum { FLOATS = 70000 };
    float *g = malloc(FLOATS * sizeof *g), leaves[64];
    loom_err err;

    for (int shards = 1, half = 0; shards <= 64; shards *= 1 + half, half = !half) {
        loom_shard_tree t;

        REQUIRE_OK(loom_shard_tree_new(&t, shards, 0, 1, FLOATS, half, g, NULL, &err), err);
        for (int again = 0; again < 2; again++) {
            loom_shard_tree_clear(&t);
            for (int s = t.first; s < t.end; s++) {
                float *leaf = loom_shard_tree_leaf(&t);

                CHECK(leaf[0] == 0 && leaf[FLOATS - 1] == 0);
                for (int i = 0; i < FLOATS; i++) leaf[i] = 1.0f / (float)(1 + i % 977 + 31 * s);
                loom_shard_tree_add(&t);
            }
            REQUIRE_OK(loom_shard_tree_sum(&t, &err), err);
            for (int i = 0; i < FLOATS; i += 61) {
                for (int s = 0; s < shards; s++) leaves[s] = 1.0f / (float)(1 + i % 977 + 31 * s);
                CHECK(g[i] == (half ? half_tree : tree)(leaves, shards));
            }
        }
        loom_shard_tree_release(&t);
    }
    free(g);
}

TEST(ranks_share_shards_and_room)
{
    for (int shards = 1; shards <= 64; shards *= 2) {
        for (int ranks = 1; ranks <= shards; ranks++) {
            int last = 0;

            for (int s = 0; s < shards; s++) {
                int r = loom_shard_rank(shards, ranks, s);

                CHECK(r == last || r == last + 1);
                last = r;
            }
            CHECK_I64(last, ranks - 1);
            for (int r = 0; r < ranks; r++) {
                int blocks = loom_shard_tree_blocks(shards, ranks, r);

                CHECK(blocks >= 1 && blocks <= LOOM_SHARD_DEPTH);
            }
        }
        CHECK_NEAR(loom_shard_tree_traffic(shards, 1), 0, 0);
        CHECK_NEAR(loom_shard_tree_traffic(shards, shards), 2.0 * (shards - 1) / shards, 1e-12);
    }
    CHECK_I64(loom_shard_tree_blocks(8, 1, 0), 4);
    CHECK_I64(loom_shard_tree_blocks(8, 8, 3), 1);
    CHECK_NEAR(loom_shard_tree_traffic(8, 2), 1, 1e-12);
    CHECK_NEAR(loom_shard_tree_traffic(8, 4), 1.5, 1e-12);
    CHECK(loom_shard_tree_traffic(8, 3) > 4.0 / 3);
    CHECK_I64(loom_shard_tree_slices(8, 1, 0, 1000, true), 0);
}

TEST_MAIN(RUN(shards_cover_a_step) RUN(one_rank_adds_up_along_the_tree) RUN(ranks_share_shards_and_room))
