/* How well a score tells two groups apart: the area under the ROC curve with its interval, and what is caught at
 * few false alarms. */
#ifndef LOOM_EVAL_ROC_H
#define LOOM_EVAL_ROC_H

#include <stdint.h>

#include "core/err.h"
#include "eval/numbers/metrics.h"

typedef struct loom_roc {
    /* P(x > y) + P(x = y) / 2 for x of the first group, y of the second; 95 % (DeLong et al. 1988), within 0 .. 1 */
    loom_interval auc;
    double caught; /* share of the first group above the threshold that `alarms` of the second exceed at most */
    double alarms; /* that share of the second group: 1 % or less */
} loom_roc;

/* Both groups not empty. With everything told apart the DeLong variance is 0; the interval then reaches as far as
 * the rule of three has it for the smaller group, 3/n. */
loom_status loom_roc_of(loom_roc *out, const double *x, int64_t n, const double *y, int64_t m, loom_err *err);

#endif
