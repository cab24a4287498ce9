/* Heads: what the last layer of a small network means, as negative log-likelihood with its gradient, and the
 * divergence of Gaussian codes. Each returns the sum over all rows in nats and ADDS scale times the gradient where
 * a gradient is wanted (NULL: not). Rows N, columns C. */
#ifndef LOOM_LEARN_HEADS_H
#define LOOM_LEARN_HEADS_H

#include <stdbool.h>
#include <stdint.h>

/* Categorical:  -log softmax(z[n])[label[n]];   z (N,C) at row distance ld, dz likewise; labels in 0..C-1.
 * each (N), NULL: not wanted: the value of every row. */
double loom_head_categorical(float *dz, double *each, const float *z, int64_t ld, const int32_t *label, double scale,
                             int64_t N, int64_t C);

/* Bernoulli of one logit:  -log sigmoid(z) for a hit, -log sigmoid(-z) else. *dz: the gradient by z. */
double loom_head_bernoulli(double *dz, double z, bool hit);

/* Gaussian with a spread of its own:  (x - mean)^2 / (2 e^(2 s)) + s + ln(2 pi)/2,  s = log standard deviation.
 * *dmean, *ds: gradients. */
double loom_head_gaussian(double *dmean, double *ds, double x, double mean, double s);

/* KL of N(mu, e^logvar) from N(0, I):  -1/2 sum (1 + logvar - mu^2 - e^logvar);   mu, logvar (N,C) */
double loom_kl_standard(float *dmu, float *dlogvar, const float *mu, const float *logvar, double scale, int64_t N,
                        int64_t C);

/* KL of N(mu, e^logvar) from N(pmu, e^plogvar), all (N,C):
 *   1/2 sum (plogvar - logvar + (e^logvar + (mu - pmu)^2) / e^plogvar - 1) */
double loom_kl_gaussian(float *dmu, float *dlogvar, float *dpmu, float *dplogvar, const float *mu, const float *logvar,
                        const float *pmu, const float *plogvar, double scale, int64_t N, int64_t C);

/* log N(x; mu, e^logvar) of one row of C numbers. */
double loom_log_gaussian(const float *x, const float *mu, const float *logvar, int64_t C);
/* log sum exp of n numbers; -INFINITY for none. */
double loom_log_sum_exp(const double *x, int64_t n);

#endif
