/* ranks_check N: under mpirun -n N; every rank fails unless there are N of them that reach one another, and the sum
 * over shards has the bits of the tree on each. Rank 0 says how many there were. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/num.h"
#include "core/ranks.h"
#include "model/shard_tree.h"
#include "model/vmath.h"

#define FLOATS ((5u << 20) + 3) /* no round number, and more than are exchanged at once */

static void want(bool good, const char *what)
{
    if (good) return;
    fprintf(stderr, "rank %d of %d: %s\n", loom_ranks_me(), loom_ranks_count(), what);
    loom_ranks_abort(1);
}

static float leaf_at(size_t i, int shard) { return 1.0f / (float)(1 + i % 977 + 31 * (size_t)shard); }

static float rounded(float x, bool half) { return half ? loom_bf16_to_f32(loom_f32_to_bf16(x)) : x; }

static float tree(size_t i, int first, int n, bool half)
{
    return rounded(n == 1 ? leaf_at(i, first) : tree(i, first, n / 2, half) + tree(i, first + n / 2, n / 2, half),
                   half);
}

static void sums(int shards, bool half)
{
    float *g = malloc(FLOATS * sizeof *g);
    loom_shard_tree t;
    loom_err err;

    want(g && loom_shard_tree_new(&t, shards, loom_ranks_me(), loom_ranks_count(), FLOATS, half, g, NULL, &err) ==
                  LOOM_OK,
         "memory");
    for (int s = t.first; s < t.end; s++) {
        float *leaf = loom_shard_tree_leaf(&t);

        for (size_t i = 0; i < FLOATS; i++) leaf[i] = leaf_at(i, s);
        loom_shard_tree_add(&t);
    }
    want(loom_shard_tree_sum(&t, &err) == LOOM_OK, "the sum failed");
    for (size_t i = 0; i < FLOATS; i += 997) want(g[i] == tree(i, 0, shards, half), "the sum has other bits");
    want(g[FLOATS - 1] == tree(FLOATS - 1, 0, shards, half), "the last float has other bits");
    loom_shard_tree_release(&t);
    free(g);
}

static void meetings(void)
{
    int me = loom_ranks_me(), n = loom_ranks_count();
    uint32_t bits = 1u << me;
    int64_t told = me == 0 ? 4711 : 0;
    char all[64] = {0};
    loom_err err = {0};

    want(loom_ranks_bits(&bits, &err) == LOOM_OK && bits == (1u << n) - 1, "bits");
    want(loom_ranks_tell(&told, sizeof told, &err) == LOOM_OK && told == 4711, "tell");
    all[me] = (char)('a' + me);
    want(loom_ranks_gather(all, 1, &err) == LOOM_OK, "gather");
    for (int i = 0; i < n; i++) want(all[i] == 'a' + i, "gathered");
    want(loom_ranks_agree(LOOM_OK, &err) == LOOM_OK, "agree");
    want(loom_ranks_same(7, "x", &err) == LOOM_OK, "same");
    if (n == 1) return;
    want(loom_ranks_same(me == n - 1 ? 8 : 7, "x", &err) == LOOM_STATUS_FORMAT, "not the same");
    loom_fail(&err, LOOM_STATUS_IO, "broken");
    want(loom_ranks_agree(me == n - 1 ? LOOM_STATUS_IO : LOOM_OK, &err) == LOOM_STATUS_IO,
         "a failure of one is that of all");
    want(strstr(err.msg, "rank ") && strstr(err.msg, "broken"), "its sentence");
    want(loom_ranks_agree(LOOM_OK, &err) == LOOM_OK, "agree after a failure");
}

/* 3 results a rank, one of them long and one empty, in the order of turns; then one that fails. */
static void deliveries(void)
{
    int me = loom_ranks_me(), n = loom_ranks_count();
    loom_buf bytes = {0};
    loom_err err = {0};

    for (int turn = 0; turn < 3 * n; turn++) {
        size_t len = turn < n ? 1u << 22 : turn < 2 * n ? 0 : 5;

        loom_buf_reset(&bytes);
        for (size_t i = 0; loom_ranks_own(turn) && i < len; i++) loom_buf_char(&bytes, (char)('a' + me));
        want(loom_ranks_deliver(&bytes, turn, LOOM_OK, &err) == LOOM_OK, "deliver");
        if (me || turn % n == 0) continue;
        want(bytes.len == len, "the length of what was delivered");
        for (size_t i = 0; i < len; i++) want(bytes.data[i] == 'a' + turn % n, "what was delivered");
    }
    if (n > 1) {
        loom_fail(&err, LOOM_STATUS_FORMAT, "torn");
        loom_status st = loom_ranks_deliver(&bytes, 1, me == 1 ? LOOM_STATUS_FORMAT : LOOM_OK, &err);
        want(st == (me < 2 ? LOOM_STATUS_FORMAT : LOOM_OK), "a failure is delivered");
        want(me || (strstr(err.msg, "rank 1 on ") && strstr(err.msg, "torn")), "with its sentence");
    }
    loom_buf_release(&bytes);
}

int main(int argc, char **argv)
{
    loom_err err;
    int64_t n = 0;

    if (argc != 2 || !loom_parse_i64(argv[1], strlen(argv[1]), &n)) return 2;
    if (loom_ranks_start(&err) != LOOM_OK) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    want(loom_ranks_count() == n, "another number of ranks was expected");
    meetings();
    deliveries();
    for (int half = 0; half < 2; half++) {
        sums(8, half);
        sums(64, half);
    }
    if (loom_ranks_lead()) printf("%d ranks agree\n", loom_ranks_count());
    loom_ranks_end();
    return 0;
}
