#include "model/sampler.h"

#include <math.h>
#include <stdlib.h>

#include "core/num.h"
#include "model/vmath.h"

struct loom_sampler {
    int64_t V;
    float *p;      /* (V) unnormalised probabilities, exp((z - max) / temperature) */
    int32_t *heap; /* (V + 1) ids; [0,i) a heap by p, [i,n) taken out, most likely last */
    int64_t n;     /* ids that came into question */
    float *maxima; /* (V / BLOCK) */
};

loom_status loom_sampler_new(loom_sampler **out, int64_t V, loom_err *err)
{
    loom_sampler *s = loom_calloc(1, sizeof *s);

    if (s) {
        s->V = V;
        s->p = loom_alloc((size_t)V, sizeof *s->p);
        s->heap = loom_alloc((size_t)V + 1, sizeof *s->heap);
        s->maxima = loom_alloc((size_t)V, sizeof *s->maxima);
    }
    if (!s || !s->p || !s->heap || !s->maxima) {
        loom_sampler_free(s);
        return loom_fail_nomem(err, "the sampler");
    }
    *out = s;
    return LOOM_OK;
}

void loom_sampler_free(loom_sampler *s)
{
    if (!s) return;
    free(s->p);
    free(s->heap);
    free(s->maxima);
    free(s);
}

loom_status loom_sampling_check(const loom_sampling *how, loom_err *err)
{
    if (!(how->temperature >= 0) || !isfinite(how->temperature))
        return loom_fail(err, LOOM_STATUS_ARG, "temperature is %g, expected 0 (greedy) or more", how->temperature);
    if (how->top_k < 0) return loom_fail(err, LOOM_STATUS_ARG, "top-k is negative, expected 0 (off) or more");
    if (!(how->top_p >= 0 && how->top_p <= 1))
        return loom_fail(err, LOOM_STATUS_ARG, "top-p is %g, expected 0..1", how->top_p);
    if (!(how->min_p >= 0 && how->min_p <= 1))
        return loom_fail(err, LOOM_STATUS_ARG, "min-p is %g, expected 0..1", how->min_p);
    return LOOM_OK;
}

int32_t loom_sampler_greedy(const float *logits, int64_t V)
{
    float best = -INFINITY, sum = 0;
    int64_t at = -1;

#pragma omp simd reduction(max : best) reduction(+ : sum)
    for (int64_t v = 0; v < V; v++) {
        best = logits[v] > best ? logits[v] : best;
        sum += 0.0f * (logits[v] > -INFINITY ? logits[v] : logits[v] == logits[v] ? 0.0f : logits[v]); /* NaN shows */
    }
    if (sum != sum || best == -INFINITY) return -1;
    for (int64_t v = 0; v < V && at < 0; v++)
        if (logits[v] == best) at = v;
    return (int32_t)at;
}

/* a before b: more likely, or as likely with the smaller id. */
static bool before(const float *p, int32_t a, int32_t b) { return p[a] > p[b] || (p[a] == p[b] && a < b); }

static void sift(const float *p, int32_t *heap, int64_t i, int64_t n)
{
    for (int64_t child; (child = 2 * i + 1) < n; i = child) {
        int32_t other = heap[i];

        if (child + 1 < n && before(p, heap[child + 1], heap[child])) child++;
        if (!before(p, heap[child], other)) return;
        heap[i] = heap[child];
        heap[child] = other;
    }
}

/* Moves the most likely of the n remaining ids behind the heap and returns its probability. */
static float pop(loom_sampler *s, int64_t n)
{
    int32_t top = s->heap[0];

    s->heap[0] = s->heap[n - 1];
    s->heap[n - 1] = top;
    sift(s->p, s->heap, 0, n - 1);
    return s->p[top];
}

enum { BLOCK = 16 }; /* probabilities whose largest is looked at first */

float loom_kth_largest(float *v, int64_t n, int64_t k)
{
    int64_t lo = 0, hi = n - 1;

    while (lo < hi) {
        float pivot = v[lo + (hi - lo) / 2];
        int64_t i = lo, j = hi;

        while (i <= j) {
            while (v[i] > pivot) i++;
            while (v[j] < pivot) j--;
            if (i > j) break;
            float swap = v[i];
            v[i++] = v[j];
            v[j--] = swap;
        }
        if (k - 1 <= j) hi = j;
        else if (k - 1 >= i) lo = i;
        else break;
    }
    return v[k - 1];
}

/* Puts ids into heap[0..n) that hold the k most likely ones, and few others: the k-th largest of the maxima of blocks
 * is a bound that at least k probabilities reach. Returns n. */
static int64_t candidates(loom_sampler *s, int64_t k)
{
    int64_t blocks = s->V / BLOCK, n = 0;
    float bound = 0;

    if (k < blocks) {
        for (int64_t b = 0; b < blocks; b++) {
            const float *p = s->p + b * BLOCK;
            float most = p[0];

            for (int i = 1; i < BLOCK; i++) most = p[i] > most ? p[i] : most;
            s->maxima[b] = most;
        }
        bound = loom_kth_largest(s->maxima, blocks, k);
    }
    for (int64_t v = 0; v < s->V; v++) {
        s->heap[n] = (int32_t)v;
        n += s->p[v] >= bound;
    }
    return n;
}

/* Takes ids out of the heap, most likely first, as long as the filters let them in; they end up in s->heap[s->n - kept,
 * s->n) with the most likely last. Returns their number, *mass = their sum. `total`: of all probabilities. */
static int64_t filter(loom_sampler *s, const loom_sampling *how, double total, double *mass)
{
    int64_t k = how->top_k > 0 ? loom_min_i64(how->top_k, s->V) : s->V, kept = 0, n;
    bool nucleus = how->top_p > 0 && how->top_p < 1;
    double sum = 0, goal;
    float first = 0;

    n = s->n = candidates(s, k);
    for (int64_t i = n / 2 - 1; i >= 0; i--) sift(s->p, s->heap, i, n);
    if (k < s->V) { /* the nucleus is measured within the top k */
        for (total = 0; kept < k; kept++) total += pop(s, n - kept);
        first = s->p[s->heap[n - 1]];
    }
    goal = nucleus ? how->top_p * total : INFINITY;
    for (int64_t i = 0; i < k; i++) {
        float p;

        if (i == kept) {
            pop(s, n - kept);
            kept++;
        }
        p = s->p[s->heap[n - 1 - i]];
        if (i == 0) first = p;
        if (p <= 0 || sum >= goal || (how->min_p > 0 && p < how->min_p * first)) {
            k = i;
            break;
        }
        sum += p;
    }
    *mass = sum;
    return k;
}

static int32_t draw_all(const loom_sampler *s, double u)
{
    int64_t last = -1;

    for (int64_t v = 0; v < s->V; v++) {
        if (s->p[v] <= 0) continue;
        last = v;
        u -= s->p[v];
        if (u < 0) break;
    }
    return (int32_t)last;
}

int32_t loom_sampler_pick(loom_sampler *s, const loom_sampling *how, const float *logits, loom_rng *rng)
{
    int64_t V = s->V, n, i = 0;
    int32_t best = loom_sampler_greedy(logits, V);
    float inv, top, *restrict p = s->p;
    double total = 0, u;

    if (best < 0 || how->temperature <= 0) return best;
    inv = (float)(1 / how->temperature);
    top = logits[best];
    if (top == INFINITY) return best;
    for (int64_t v = 0; v < V; v++) p[v] = logits[v] > -INFINITY ? loom_expf((logits[v] - top) * inv) : 0.0f;
    if (how->top_k <= 0 || how->top_k >= V) /* else only the top k count */
        for (int64_t v = 0; v < V; v++) total += p[v];
    u = loom_rng_f64(rng);
    if (how->top_k <= 0 && !(how->top_p > 0 && how->top_p < 1) && how->min_p <= 0) return draw_all(s, u * total);
    n = filter(s, how, total, &total);
    for (u *= total; i < n - 1; i++) {
        u -= p[s->heap[s->n - 1 - i]];
        if (u < 0) break;
    }
    return s->heap[s->n - 1 - i];
}

double loom_logprob(const float *logits, int64_t V, int32_t token)
{
    float top = -INFINITY;
    double sum = 0;

#pragma omp simd reduction(max : top)
    for (int64_t v = 0; v < V; v++) top = logits[v] > top ? logits[v] : top;
    if (top == -INFINITY) return -INFINITY;
    for (int64_t v = 0; v < V; v++) sum += exp((double)logits[v] - top);
    return (double)logits[token] - top - log(sum);
}
