/* Critical components: which microservice is to blame when requests of an application are slow, after FIRM (Qiu et al.,
 * OSDI 2020). The paper trains FIRM's support vector machine on generated graphs and tests it on real ones;
 * features, unit and labels of it are not published, so that what stands here is one reading:
 *
 *   window  a sample is (50 consecutive graphs of an application, a microservice on the critical path of at least 10);
 *           features RI: correlation of its exclusive time with the response time, over the graphs that have it on
 *                        the path;
 *                    CI: p99 / p50 of its exclusive time, the median at least .5 ms
 *           critical: of the graphs that violate the objective (at least 3), its excess over its median is at least
 *           30 % of what their response times have above the median
 *   trace   a sample is (a graph, a microservice on its critical path); features exclusive / response time, exclusive /
 *           median; critical: the graph violates the objective and its exclusive time is at least its p90
 *
 * The objective is the 90th percentile of the response time, violated above it. All of these norms are those of real
 * training graphs, whatever a machine is trained on. */
#ifndef LOOM_EVAL_FIRM_H
#define LOOM_EVAL_FIRM_H

#include "eval/management/critical_path.h"

#define LOOM_FIRM_WINDOW   50
#define LOOM_FIRM_STRIDE   10
#define LOOM_FIRM_FEATURES 2

typedef enum loom_firm_unit { LOOM_FIRM_BY_WINDOW, LOOM_FIRM_BY_TRACE, LOOM_FIRM_UNITS } loom_firm_unit;

typedef struct loom_firm_norms {
    double objective, median_total; /* ms */
    double *median, *p90;           /* of the exclusive time, by microservice; -1: never on a path */
    int64_t n_nodes;
} loom_firm_norms; /* zero-initialised is ready */
/* Of all graphs of p; n_nodes: ids given so far. FORMAT without a graph. */
loom_status loom_firm_norms_of(loom_firm_norms *norms, const loom_critical_paths *p, int64_t n_nodes, loom_err *err);
void loom_firm_norms_release(loom_firm_norms *norms);

typedef struct loom_firm_samples {
    float *x; /* (n, LOOM_FIRM_FEATURES) */
    bool *y;  /* critical */
    int64_t n, positive;
    size_t cap_x, cap_y;
} loom_firm_samples; /* zero-initialised is ready */
/* Samples of the graphs index[0..n) in this order. */
loom_status loom_firm_samples_of(loom_firm_samples *s, loom_firm_unit unit, const loom_critical_paths *p,
                                 const int64_t *index, int64_t n, const loom_firm_norms *norms, loom_err *err);
void loom_firm_samples_release(loom_firm_samples *s);

/* What a machine trained on `train` says of `test`. */
typedef struct loom_firm_score {
    int64_t n_train, n_test, tp, fp, tn, fn;
    double accuracy, balanced, majority, auc, average_precision;
} loom_firm_score;
/* rbf: random features of a Gaussian kernel; else a linear machine. FORMAT when the training samples are of one
 * class. */
loom_status loom_firm_judge(loom_firm_score *score, const loom_firm_samples *train, const loom_firm_samples *test,
                            bool rbf, uint64_t seed, loom_err *err);

#endif
