/* What the paper reports, and ours is held against: the one place of its numbers.
 *
 *   snprintf(ours, sizeof ours, "%.1f %%", 100 * share);
 *   loom_paper_compare(r, LOOM_PAPER_TABULAR_LARGE, share, ours, NULL);
 *
 * Figures, sections and Table 1 are those of "Large Language Models as Realistic Microservice Trace Generators"
 * (EMNLP 2025, arXiv 2502.17439). Only orders and gaps can be compared on other traces, so a verdict says no more than
 * on which side of a bound ours lies. */
#ifndef LOOM_EVAL_PAPER_H
#define LOOM_EVAL_PAPER_H

#include <stdbool.h>
#include <stddef.h>

#include "eval/pages/results.h"

/* ---- findings ---- */

typedef enum loom_paper_finding {
    LOOM_PAPER_EVERY_DEPTH,       /* Fig 3b: lowest share of correct graphs over the depths, 0..1 */
    LOOM_PAPER_TABULAR_LARGE,     /* Fig 3a: share with more than 15 edges */
    LOOM_PAPER_TABULAR_DEEP,      /* Fig 3b: share with depth above 4 */
    LOOM_PAPER_LAYERS_GAIN,       /* Fig 3a, 3b: recursive less tabular, points */
    LOOM_PAPER_INSTRUCTIONS_GAIN, /* Fig 3: instruction tuning less recursive, points */
    LOOM_PAPER_INTERMEDIATE_GAIN, /* Fig 13: with less without intermediate instructions, points */
    LOOM_PAPER_SIZE_GAIN,         /* Fig 14: largest less smallest model, points */
    LOOM_PAPER_SIZE_GAIN_DEEP,    /* Fig 14b: the same for depth above 4 */
    LOOM_PAPER_FOLLOWED,          /* Fig 6: with less without the line that asks, points */
    LOOM_PAPER_EMD_RATIO,         /* Fig 16: EMD of a method over that of recursive + instruction */
    LOOM_PAPER_FEW_SHOT_GAIN,     /* Table 3: instruction tuning less few-shot answers of another model, points */
    LOOM_PAPER_FIRM_OURS,         /* Fig 5: accuracy trained on real less on generated graphs, points, without sign */
    LOOM_PAPER_FIRM_BASELINE,     /* Fig 5: the same for a baseline, with sign */
    LOOM_PAPER_TRACE_VAE_OURS,    /* Fig 5: ROC AUC trained on real less on generated graphs, without sign */
    LOOM_PAPER_CLASSES,           /* Table 2: accuracy trained on real less on generated graphs, points, without sign */
    LOOM_PAPER_UNCOMMON,          /* Fig 7: uncommon calls predicted; trained on traces less never trained, points */
    LOOM_PAPER_ATTRIBUTE,         /* Fig 7: missing attributes; likewise */
    LOOM_PAPER_EDGE,              /* Fig 7: missing edges; likewise */
    LOOM_PAPER_FINDINGS
} loom_paper_finding;

/* One line of the comparison. `ours` says `value` in words; NaN: no verdict. `what` NULL: as the finding is called. */
void loom_paper_compare(loom_results *r, loom_paper_finding finding, const char *what, double value, const char *ours,
                        const char *note);

/* ---- numbers of single methods ---- */

typedef enum loom_paper_series {
    LOOM_PAPER_KL,       /* Fig 4a: KL divergence of popular calls */
    LOOM_PAPER_HEAVY_10, /* Fig 4b: heavy hitters found again among the first 10, */
    LOOM_PAPER_HEAVY_50,
    LOOM_PAPER_HEAVY_500,
    LOOM_PAPER_COPIES /* Fig 15: exact copies of training graphs */
} loom_paper_series;
/* As a report shows it ("0.16", "above 90 %"); NULL: the paper has none for that method. */
const char *loom_paper_number(loom_paper_series series, const char *method);

/* Table 3: share of correct graphs of 2 to 10 calls, percent, by depth 2 to 5; NaN for others. */
double loom_paper_few_shot(int64_t depth);

/* Table 2: accuracy of a task ("high-latency", "uncommon"), trained on real or on generated graphs; NULL: none. */
const char *loom_paper_class(const char *task, bool real);

/* ---- Table 1 and section 4.1; the public code's numbers where the paper gives none ---- */

typedef struct loom_paper_setting {
    const char *parameter, *option; /* option of loom-train; NULL: none */
    const char *paper, *downstream; /* pretraining and instruction tuning; downstream tasks. NULL: not given */
} loom_paper_setting;
extern const loom_paper_setting loom_paper_settings[];
extern const size_t loom_paper_n_settings;

/* ---- sample sizes, sections 4.1 to 4.5 (Figs 3, 4, 6, 16) ---- */

#define LOOM_PAPER_PER_CELL     50
#define LOOM_PAPER_LIKE         50000
#define LOOM_PAPER_RUNS         20
#define LOOM_PAPER_SEQUENCE     1000
#define LOOM_PAPER_BRANCHING    10000
#define LOOM_PAPER_ASKED        1000
#define LOOM_PAPER_EPOCHS       300  /* of TVAE: its public program's; the paper does not say */
#define LOOM_PAPER_VAE_EPOCHS   60   /* of TraceVAE: its public program's */
#define LOOM_PAPER_MANAGED      5000 /* Fig 5: graphs to train on, */
#define LOOM_PAPER_MANAGED_TEST 2000 /* and to test on */

#endif
