/* --dp: what a run with differential privacy is going to spend, worked out before its first step.
 *
 *   LOOM_TRY(loom_privacy_plan_read(&p, conf, alone, err));         p.on: --dp was given, and nothing forbids it
 *   loom_privacy_plan_data(&p, &units);                             rate and delta
 *   steps = loom_privacy_plan_steps(&p, epochs);
 *   LOOM_TRY(loom_privacy_plan_solve(&p, steps, err));              noise for the epsilon, or epsilon for the noise
 *
 * The guarantee: for any two sets of graphs that differ in one graph, and any set of adapters, the chance to end in it
 * differs by a factor of at most exp(epsilon), but for delta. Whoever says so must also say what it does not cover;
 * loom_privacy_plan_json and docs/TRAINING.md do. Pure arithmetic; nothing here opens a file. */
#ifndef LOOM_TRAIN_PRIVACY_PLAN_H
#define LOOM_TRAIN_PRIVACY_PLAN_H

#include "core/buf.h"
#include "core/err.h"
#include "core/json.h"
#include "train/graph_units.h"
#include "train/train_conf.h"

typedef struct loom_privacy_plan {
    bool on;
    double epsilon; /* of all steps; as asked for until solved, 0: noise was asked for */
    double noise;   /* standard deviation over clip */
    double delta;   /* 0 until the data is known: then a tenth of one graph in all */
    double clip;
    int64_t graphs_a_step; /* expected */
    int64_t graphs;
    double rate; /* chance of a graph to be in a step */
    int64_t steps;
    double order; /* of the Renyi divergence that gives epsilon */
    int64_t alike, most_alike;
} loom_privacy_plan;

/* Is it "none"? */
bool loom_privacy_is_off(const char *dp);
/* Parses --dp and checks the other options: ARG with a sentence for what would break the guarantee. alone: the run is
 * one process and computes a step as one. */
loom_status loom_privacy_plan_read(loom_privacy_plan *p, const train_conf *c, bool alone, loom_err *err);
/* ARG when a step would be more than all graphs. */
loom_status loom_privacy_plan_data(loom_privacy_plan *p, const loom_graph_units *u, loom_err *err);
/* Steps of so many passes, each rounded up to whole steps. */
int64_t loom_privacy_plan_steps(const loom_privacy_plan *p, double epochs);
/* ARG when no noise is enough. */
loom_status loom_privacy_plan_solve(loom_privacy_plan *p, int64_t steps, loom_err *err);

/* One line for people. */
void loom_privacy_plan_line(const loom_privacy_plan *p, loom_buf *into);
/* What several graphs of one text mean; nothing where all differ. */
void loom_privacy_plan_alike(const loom_privacy_plan *p, loom_buf *into);
/* The object "privacy" of training.json, after `spent` steps. */
void loom_privacy_plan_json(const loom_privacy_plan *p, int64_t spent, loom_buf *into);

#endif
