#include "train/privacy_cost.h"

#include <math.h>
#include <stddef.h>

/* ---- logarithms of sums ---- */

static double log_add(double a, double b)
{
    double most = fmax(a, b), least = fmin(a, b);

    return isinf(least) ? most : most + log1p(exp(least - most));
}

/* log(exp(a) - exp(b)), a >= b; rounding may turn them round by a hair */
static double log_sub(double a, double b)
{
    if (isinf(b) && b < 0) return a;
    return a > b ? a + log1p(-exp(b - a)) : -INFINITY;
}

/* log erfc x, also where erfc underflows (the asymptotic series, whose first left-out term is below 1e-6 there) */
static double log_erfc(double x)
{
    double y = 1 / (x * x);

    if (x < 20) return log(erfc(x));
    return -x * x - log(x * sqrt(acos(-1.0))) + log1p(-y / 2 + 3 * y * y / 4 - 15 * y * y * y / 8);
}

/* ---- one step ---- */

/* log of the sum over k of binom(a, k) (1-q)^(a-k) q^k exp((k^2 - k) / (2 noise^2)) */
static double log_moment_whole(int64_t a, double q, double noise)
{
    double sum = -INFINITY, n = (double)a;

    for (int64_t k = 0; k <= a; k++) {
        double i = (double)k, choose = lgamma(n + 1) - lgamma(i + 1) - lgamma(n - i + 1);

        sum = log_add(sum, choose + i * log(q) + (n - i) * log1p(-q) + (i * i - i) / (2 * noise * noise));
    }
    return sum;
}

/* log of half the tail: what the i-th power of the density ratio gives on one side of z */
static double log_side(double i, double q_power, double p_power, double from, double q, double noise)
{
    return q_power * log(q) + p_power * log1p(-q) + (i * i - i) / (2 * noise * noise) +
           log_erfc(from / (sqrt(2) * noise)) - log(2);
}

/* The same moment for any order: the integral is cut at z, where the two densities weigh the same, and either side is
 * a binomial series, whose terms alternate in sign after the order. */
static double log_moment_any(double a, double q, double noise)
{
    double z = noise * noise * log(1 / q - 1) + 0.5, plus = -INFINITY, minus = -INFINITY;
    double log_choose = 0;
    int sign = 1;

    for (int i = 0; i < 100000; i++) {
        double n = i, left = log_choose + log_side(n, n, a - n, n - z, q, noise);
        double right = log_choose + log_side(a - n, a - n, n, z - a + n, q, noise), both = log_add(left, right);

        if (sign > 0) plus = log_add(plus, both);
        else minus = log_add(minus, both);
        if (n > a && both < log_sub(plus, minus) - 40) break;
        log_choose += log(fabs(a - n)) - log(n + 1);
        if (a < n) sign = -sign;
    }
    return log_sub(plus, minus);
}

double loom_privacy_divergence(double order, double rate, double noise)
{
    double moment;

    if (!(noise > 0)) return INFINITY;
    if (rate >= 1) return order / (2 * noise * noise);
    moment = order == floor(order) ? log_moment_whole((int64_t)order, rate, noise) : log_moment_any(order, rate, noise);
    if (isnan(moment) || (isinf(moment) && moment < 0)) return INFINITY;
    return fmax(0, moment / (order - 1));
}

/* ---- all steps ---- */

/* Orders that are tried: 1.1 to 10.9 by tenths, whole ones to 64, then powers of two. */
enum { FINE = 99, WHOLE = 54, POWERS = 5 };

static double order_at(int i)
{
    if (i < FINE) return 1 + (double)(i + 1) / 10;
    if (i < FINE + WHOLE) return 11 + (double)(i - FINE);
    return ldexp(128, i - FINE - WHOLE);
}

double loom_privacy_epsilon(const loom_privacy_steps *s, double delta, double *order)
{
    double least = INFINITY;

    if (s->steps == 0) least = 0;
    for (int i = 0; i < FINE + WHOLE + POWERS && s->steps; i++) {
        double a = order_at(i), all = (double)s->steps * loom_privacy_divergence(a, s->rate, s->noise);
        double epsilon = fmax(0, all + log1p(-1 / a) - (log(delta) + log(a)) / (a - 1));

        if (!(epsilon < least)) continue;
        least = epsilon;
        if (order) *order = a;
    }
    return least;
}

static double epsilon_at(const loom_privacy_steps *s, double noise, double delta)
{
    loom_privacy_steps with = {.rate = s->rate, .noise = noise, .steps = s->steps};

    return loom_privacy_epsilon(&with, delta, NULL);
}

double loom_privacy_noise(const loom_privacy_steps *s, double epsilon, double delta)
{
    double low = 0, high = 0.25, unit;

    while (epsilon_at(s, high, delta) > epsilon) {
        low = high;
        high *= 2;
        if (high > 1e6) return NAN;
    }
    while (high - low > 1e-6 * high) {
        double middle = (low + high) / 2;

        if (epsilon_at(s, middle, delta) > epsilon) low = middle;
        else high = middle;
    }
    unit = pow(10, floor(log10(high)) - 3);
    return ceil(high / unit) * unit;
}
