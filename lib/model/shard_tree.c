/* A stack of nodes on which equal neighbours are added up at once, as a binary counter carries: it makes the tree
 * of any number of shards in their order, on one rank's blocks and on the slices of all. */
#include "model/shard_tree.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/num.h"
#include "core/ranks.h"
#include "model/vmath.h"

#define PIECE   65536      /* floats that a thread adds up at a time */
#define STRETCH (4u << 20) /* floats exchanged at a time, by all ranks together: bounds the memory for slices */

static int first_of(int shards, int ranks, int rank) { return (int)((int64_t)rank * shards / ranks); }

int loom_shard_rank(int shards, int ranks, int shard)
{
    int rank = 0;

    while (first_of(shards, ranks, rank + 1) <= shard) rank++;
    return rank;
}

/* Are they the two halves of one node? */
static bool siblings(const loom_shard_node *a, const loom_shard_node *b)
{
    return a->n == b->n && a->first + a->n == b->first && a->first % (2 * a->n) == 0;
}

/* Puts shard s on the stack of n nodes and carries; returns its new height. *high: the highest it was. */
static int push(loom_shard_node *stack, int n, int s, int rank, int *high)
{
    stack[n++] = (loom_shard_node){s, 1, rank};
    if (n > *high) *high = n;
    while (n > 1 && siblings(&stack[n - 2], &stack[n - 1])) stack[--n - 1].n *= 2;
    return n;
}

/* Nodes of a rank; returns how many. */
static int nodes_of(loom_shard_node *stack, int shards, int ranks, int rank, int *high)
{
    int n = 0;

    *high = 0;
    for (int s = first_of(shards, ranks, rank); s < first_of(shards, ranks, rank + 1); s++)
        n = push(stack, n, s, rank, high);
    return n;
}

int loom_shard_tree_blocks(int shards, int ranks, int me)
{
    loom_shard_node stack[LOOM_SHARD_DEPTH];
    int high;

    nodes_of(stack, shards, ranks, me, &high);
    return high;
}

static int count_nodes(int shards, int ranks)
{
    loom_shard_node stack[LOOM_SHARD_DEPTH];
    int all = 0, high;

    for (int r = 0; r < ranks; r++) all += nodes_of(stack, shards, ranks, r, &high);
    return all;
}

double loom_shard_tree_traffic(int shards, int ranks)
{
    loom_shard_node stack[LOOM_SHARD_DEPTH];
    double R = ranks, most = 0;
    int all = count_nodes(shards, ranks), high;

    for (int r = 0; r < ranks; r++) {
        int own = nodes_of(stack, shards, ranks, r, &high);

        most = fmax(most, fmax(own * (R - 1) / R, (all - own) / R));
    }
    return most + (R - 1) / R;
}

int64_t loom_shard_tree_rounds(size_t floats) { return 2 * (int64_t)((floats + STRETCH - 1) / STRETCH); }

size_t loom_shard_tree_slices(int shards, int ranks, int me, size_t floats, bool half)
{
    loom_shard_node stack[LOOM_SHARD_DEPTH];
    int high, others = count_nodes(shards, ranks) - nodes_of(stack, shards, ranks, me, &high);
    size_t at_once = floats < STRETCH ? floats : STRETCH;

    size_t slices = (size_t)others * (at_once / (size_t)ranks + 32) * sizeof(float);

    if (half) slices += (size_t)count_nodes(shards, ranks) * at_once * sizeof(uint16_t);
    return ranks > 1 ? slices : 0;
}

loom_status loom_shard_tree_new(loom_shard_tree *t, int shards, int me, int ranks, size_t floats, bool half, float *g,
                                loom_pool *pool, loom_err *err)
{
    loom_shard_node stack[LOOM_SHARD_DEPTH];
    size_t bytes;
    int high;

    *t = (loom_shard_tree){.shards = shards,
                           .me = me,
                           .ranks = ranks,
                           .floats = floats,
                           .half = half,
                           .pool = pool,
                           .block = {g},
                           .n_made = 1};
    t->first = first_of(shards, ranks, me);
    t->end = first_of(shards, ranks, me + 1);
    if (!(t->all = loom_alloc((size_t)shards, sizeof *t->all)) || !loom_mul_size(&bytes, floats, sizeof(float)))
        goto nomem;
    for (int r = 0; r < ranks; r++) {
        int n = nodes_of(stack, shards, ranks, r, &high);

        for (int i = 0; i < n; i++) t->all[t->n_all++] = stack[i];
    }
    for (int n = loom_shard_tree_blocks(shards, ranks, me); t->n_made < n; t->n_made++)
        if (!(t->block[t->n_made] = loom_alloc_aligned(bytes))) goto nomem;
    if (!(t->slices = loom_alloc(loom_shard_tree_slices(shards, ranks, me, floats, false), 1))) goto nomem;
    return LOOM_OK;
nomem:
    loom_shard_tree_release(t);
    return loom_fail_nomem(err, "the gradients of the shards");
}

void loom_shard_tree_release(loom_shard_tree *t)
{
    for (int i = 1; i < t->n_made; i++) free(t->block[i]);
    free(t->all);
    free(t->slices);
    *t = (loom_shard_tree){0};
}

void loom_shard_tree_clear(loom_shard_tree *t) { t->n_blocks = 0; }

float *loom_shard_tree_leaf(loom_shard_tree *t)
{
    memset(t->block[t->n_blocks], 0, t->floats * sizeof(float));
    return t->block[t->n_blocks];
}

typedef struct addition {
    float *to;
    const float *from; /* NULL: nothing to add */
    size_t floats;
    bool half;
} addition;

static void add_piece(void *arg, int64_t item, int thread)
{
    const addition *a = arg;
    size_t from = (size_t)item * PIECE, to = from + PIECE < a->floats ? from + PIECE : a->floats;
    float *restrict x = a->to;
    const float *restrict y = a->from;

    (void)thread;
    if (y) {
#pragma omp simd
        for (size_t i = from; i < to; i++) x[i] += y[i];
    }
    for (size_t i = from; a->half && i < to; i++) x[i] = loom_bf16_to_f32(loom_f32_to_bf16(x[i]));
}

/* to += from, rounded where the tree is. */
static void add(const loom_shard_tree *t, float *to, const float *from, size_t floats)
{
    addition a = {to, from, floats, t->half};

    loom_pool_for(t->pool, (int64_t)((floats + PIECE - 1) / PIECE), add_piece, &a);
}

void loom_shard_tree_add(loom_shard_tree *t)
{
    int s = t->n_blocks ? t->node[t->n_blocks - 1].first + t->node[t->n_blocks - 1].n : t->first;

    if (t->half) add(t, t->block[t->n_blocks], NULL, t->floats);
    t->node[t->n_blocks++] = (loom_shard_node){s, 1, t->me};
    while (t->n_blocks > 1 && siblings(&t->node[t->n_blocks - 2], &t->node[t->n_blocks - 1])) {
        t->n_blocks--;
        t->node[t->n_blocks - 1].n *= 2;
        add(t, t->block[t->n_blocks - 1], t->block[t->n_blocks], t->floats);
    }
}

/* ---- with other ranks ---- */

/* Floats [from,to) of all ranks together, of which each takes a slice. */
typedef struct stretch {
    size_t from, to;
} stretch;

static size_t slice_from(const loom_shard_tree *t, const stretch *s, int rank)
{
    size_t n = s->to - s->from, at = n / 16 * (size_t)rank / (size_t)t->ranks * 16;

    return rank == t->ranks ? s->to : s->from + at;
}

static size_t slice_floats(const loom_shard_tree *t, const stretch *s, int rank)
{
    return slice_from(t, s, rank + 1) - slice_from(t, s, rank);
}

/* My slice of every node of others comes to me, and theirs of mine goes to them. at[i]: where my slice of node i
 * lies. */
static loom_status scatter(loom_shard_tree *t, const stretch *s, float **at, loom_err *err)
{
    size_t mine = slice_floats(t, s, t->me);
    loom_ranks_move *moves = loom_alloc((size_t)t->n_all * (size_t)t->ranks, sizeof *moves);
    float *free_at = t->slices;
    int n = 0, block = 0;
    loom_status st;

    if (!moves) return loom_fail_nomem(err, "messages between ranks");
    for (int i = 0; i < t->n_all; i++) {
        const loom_shard_node *node = &t->all[i];

        if (node->rank != t->me) {
            at[i] = free_at;
            moves[n++] = (loom_ranks_move){node->rank, t->me, free_at, mine};
            free_at += mine;
            continue;
        }
        at[i] = t->block[block] + slice_from(t, s, t->me);
        for (int r = 0; r < t->ranks; r++)
            moves[n++] = (loom_ranks_move){t->me, r, t->block[block] + slice_from(t, s, r), slice_floats(t, s, r)};
        block++;
    }
    st = loom_ranks_carry(moves, n, t->half, err);
    free(moves);
    return st;
}

/* Adds up my slice of all nodes along the tree, into that of g. */
static void add_slices(loom_shard_tree *t, const stretch *s, float **at)
{
    loom_shard_node stack[LOOM_SHARDS_MOST];
    size_t floats = slice_floats(t, s, t->me);
    float *g = t->block[0] + slice_from(t, s, t->me);
    int n = 0;

    for (int i = 0; i < t->n_all; i++) {
        stack[n] = t->all[i];
        at[n++] = at[i]; /* n <= i */
        while (n > 1 && siblings(&stack[n - 2], &stack[n - 1])) {
            n--;
            stack[n - 1].n *= 2;
            add(t, at[n - 1], at[n], floats);
        }
    }
    if (at[0] != g) memcpy(g, at[0], floats * sizeof *g);
}

/* My slice of the sum to the others, theirs to me. */
static loom_status collect(loom_shard_tree *t, const stretch *s, loom_err *err)
{
    loom_ranks_move moves[2 * LOOM_SHARDS_MOST];
    int n = 0;

    for (int r = 0; r < t->ranks; r++) {
        moves[n++] = (loom_ranks_move){r, t->me, t->block[0] + slice_from(t, s, r), slice_floats(t, s, r)};
        moves[n++] = (loom_ranks_move){t->me, r, t->block[0] + slice_from(t, s, t->me), slice_floats(t, s, t->me)};
    }
    return loom_ranks_carry(moves, n, t->half, err);
}

loom_status loom_shard_tree_sum(loom_shard_tree *t, loom_err *err)
{
    float *at[LOOM_SHARDS_MOST];

    for (size_t from = 0; t->ranks > 1 && from < t->floats; from += STRETCH) {
        stretch s = {from, t->floats - from > STRETCH ? from + STRETCH : t->floats};

        LOOM_TRY(scatter(t, &s, at, err));
        add_slices(t, &s, at);
        LOOM_TRY(collect(t, &s, err));
    }
    return LOOM_OK;
}
