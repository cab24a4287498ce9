#include "preprocess/samples/sample_math.h"

#include <math.h>
#include <string.h>

#define LN2      0.693147180559945309417
#define LN2_HIGH 0x1.62e42fee00000p-1 /* the leading bits of ln 2: k * LN2_HIGH is exact for the k that occur */
#define LN2_LOW  1.90821492927058770002e-10

/* x = m 2^k with m in [sqrt(1/2), sqrt(2)); ln m = 2 atanh(s), s = (m - 1)/(m + 1), |s| < .172. */
double loom_sample_log(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int64_t k = (int64_t)((bits >> 52) & 0x7ff) - 1023;
    bits = (bits & 0x000fffffffffffffu) | 0x3ff0000000000000u;
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m > 1.4142135623730951) {
        m *= 0.5;
        k++;
    }
    double s = (m - 1) / (m + 1), z = s * s, sum = 0;
    for (int i = 21; i >= 3; i -= 2) sum = (sum + 1.0 / i) * z;
    return (double)k * LN2 + (2 * s + 2 * s * sum);
}

/* e^x = 2^k e^r, |r| <= ln(2)/2, by the Taylor series to r^13/13! < 1e-16. */
double loom_sample_exp(double x)
{
    if (x > 700) x = 700;
    if (x < -700) x = -700;
    int64_t k = (int64_t)(x / LN2 + (x < 0 ? -0.5 : 0.5));
    double r = (x - (double)k * LN2_HIGH) - (double)k * LN2_LOW, sum = 1;
    for (int i = 13; i >= 1; i--) sum = 1 + sum * r / i;
    uint64_t bits = (uint64_t)(k + 1023) << 52;
    double scale;
    memcpy(&scale, &bits, sizeof scale);
    return sum * scale;
}

double loom_sample_sin_turns(double t)
{
    double sign = 1;
    if (t >= 0.5) {
        t -= 0.5;
        sign = -1;
    }
    if (t > 0.25) t = 0.5 - t;
    double x = t * 6.283185307179586476925, z = x * x, sum = 1;
    for (int i = 20; i >= 2; i -= 2) sum = 1 - sum * z / (i * (i + 1));
    return sign * x * sum;
}

double loom_sample_normal(loom_rng *r, double mean, double sd)
{
    double u, v, q;
    do {
        u = 2 * loom_rng_f64(r) - 1;
        v = 2 * loom_rng_f64(r) - 1;
        q = u * u + v * v;
    } while (q >= 1 || q == 0);
    return mean + sd * (u * sqrt(-2 * loom_sample_log(q) / q));
}

double loom_sample_uniform(loom_rng *r, double low, double high) { return low + (high - low) * loom_rng_f64(r); }

int64_t loom_sample_geometric(loom_rng *r, double mean, int64_t max)
{
    int64_t n = 0;
    if (mean <= 0) return 0;
    while (n < max && loom_rng_chance(r, mean / (1 + mean))) n++;
    return n;
}

int64_t loom_sample_pick(loom_rng *r, const double *weights, int64_t n)
{
    double sum = 0, at;
    for (int64_t i = 0; i < n; i++) sum += weights[i];
    at = loom_rng_f64(r) * sum;
    for (int64_t i = 0; i < n - 1; i++) {
        at -= weights[i];
        if (at < 0) return i;
    }
    return n - 1;
}

int64_t loom_sample_pick_cum(loom_rng *r, const double *cum, int64_t n)
{
    double at = loom_rng_f64(r) * cum[n - 1];
    int64_t low = 0, high = n - 1; /* the first index with cum > at */
    while (low < high) {
        int64_t mid = low + (high - low) / 2;
        if (cum[mid] > at) high = mid;
        else low = mid + 1;
    }
    return low;
}

void loom_sample_zipf_cum(double *cum, int64_t n, double shift, double s)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += loom_sample_exp(-s * loom_sample_log((double)i + shift));
        cum[i] = sum;
    }
}
