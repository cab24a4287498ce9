/* The hidden model behind the sample traces: names, services, and per service a template, a tree of call slots with
 * probabilities. Everything follows from (configuration, seed); nothing in it comes from a real file, so any
 * coincidence of a name with one of a real system is accidental.
 *
 *   loom_sample_conf conf;
 *   loom_sample_conf_init(&conf, LOOM_SAMPLE_DEFAULT, 1);
 *   loom_sample_world *world = NULL;
 *   LOOM_TRY(loom_sample_world_new(&world, &conf, err));
 *   ... loom_sample_draw(world, i, &trace)  (sample_trace.h), from any thread: the world is read-only ...
 *   loom_sample_world_free(world);
 *
 * Streams (core/rng.h): sizes and shape (base only); catalogue; template/<service>; trace/<i>; quirk/<i>;
 * p90/<service>. So trace i is the same whatever the number of traces or threads. */
#ifndef LOOM_PREPROCESS_SAMPLES_SAMPLE_WORLD_H
#define LOOM_PREPROCESS_SAMPLES_SAMPLE_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "core/rng.h"
#include "preprocess/samples/sample_shape.h"
#include "trace/graph/callgraph.h"

typedef enum loom_sample_profile {
    LOOM_SAMPLE_TINY,    /* 12 services, 2,000 traces: tests */
    LOOM_SAMPLE_DEFAULT, /* 800 services, 40,000 traces: the default run and its pictures */
    LOOM_SAMPLE_LARGE,   /* 4,000 services, 1,500,000 traces: the paper's counts */
    LOOM_SAMPLE_V2021,   /* wide and heavy-tailed trees after the Erms tables: stress */
    LOOM_SAMPLE_BASE,    /* every seed another world: what base models learn from */
    LOOM_SAMPLE_PROFILES
} loom_sample_profile;
#define LOOM_SAMPLE_PROFILE_CHOICES "tiny|default|large|v2021|base" /* for LOOM_OPT_ENUM: index = loom_sample_profile */

typedef struct loom_sample_conf {
    loom_sample_profile profile;
    uint64_t seed;
    int64_t n_traces, n_services, n_files;
    int64_t n_names[LOOM_SAMPLE_KINDS];
    double zipf;  /* slope of service popularity */
    double hours; /* length of the window */
    bool quirks;  /* damage the rows as real collection does */
    bool harsh;   /* ... as much as in the published raw sample */
} loom_sample_conf;

/* Fills the profile's numbers: 4 files, slope 1, one hour, quirks on, not harsh; base draws services, names and slope
 * from the seed. Fields may then be changed. */
void loom_sample_conf_init(loom_sample_conf *conf, loom_sample_profile profile, uint64_t seed);
int64_t loom_sample_window(const loom_sample_conf *conf); /* ms */

#define LOOM_SAMPLE_MODES     3  /* most request modes of a service */
#define LOOM_SAMPLE_REPEATS   20 /* most calls of one slot in a row */
#define LOOM_SAMPLE_INTERFACE 10 /* characters */

/* How the calls of a slot depend on its siblings. */
typedef enum loom_sample_rule {
    LOOM_SAMPLE_ALONE,  /* called with its own probability */
    LOOM_SAMPLE_EITHER, /* first of two alternatives: called with its probability, otherwise its partner is */
    LOOM_SAMPLE_OR,     /* the second of them */
    LOOM_SAMPLE_MISS    /* database behind a cache: called with its probability if the slot before was called */
} loom_sample_rule;

typedef struct loom_sample_slot {
    int32_t parent;                  /* slot, -1 for the root */
    int32_t first_child, n_children; /* children are neighbours, in calling order */
    int32_t depth;                   /* 1 for the root */
    loom_call_type type;
    int32_t name; /* callee: index into world->names */
    loom_sample_rule rule;
    bool spine;                  /* on the path that carries the template's depth */
    bool rare;                   /* an uncommon branch by construction */
    bool overlap;                /* starts its children without waiting for them */
    double p[LOOM_SAMPLE_MODES]; /* probability of being called (see rule) per execution of the parent, by mode */
    double repeat;               /* mean of the number of further calls after the first */
    double offset;               /* added to the mean of ln(own time) */
    char interface[LOOM_SAMPLE_INTERFACE + 1];
} loom_sample_slot;

typedef struct loom_sample_template {
    int32_t service; /* number in "S_<number>" */
    double weight;   /* share of all traces */
    int32_t depth;   /* that its spine aims at */
    bool heavy;      /* half of its traces wait for seconds in the root */
    int32_t n_modes;
    double mode_weight[LOOM_SAMPLE_MODES]; /* sum 1 */
    double root_factor[LOOM_SAMPLE_MODES]; /* on the root's own time */
    loom_sample_slot *slots;               /* slots[0] is the root; parents before children */
    int32_t n_slots;
} loom_sample_template;

typedef struct loom_sample_name {
    int32_t number; /* "MS_<number>" */
    int32_t pods;   /* instances 0 .. pods - 1 */
} loom_sample_name;

typedef struct loom_sample_world {
    loom_sample_conf conf;
    loom_sample_shape shape;
    loom_sample_name *names;                   /* all kinds, one after the other */
    int64_t first_name[LOOM_SAMPLE_KINDS + 1]; /* kind k: first_name[k] .. first_name[k + 1] - 1 */
    double *name_cum[LOOM_SAMPLE_KINDS];       /* popularity, running sums */
    int64_t n_entries;                         /* the first stateless names are entry points */
    loom_sample_template *templates;           /* by falling popularity */
    double *service_cum;
    double spread[3];     /* see sample_world.c */
    uint64_t trace_shift; /* where trace numbers start */
} loom_sample_world;

/* ARG error when the configuration asks for more than fits (names, services, traces). */
loom_status loom_sample_world_new(loom_sample_world **out, const loom_sample_conf *conf, loom_err *err);
void loom_sample_world_free(loom_sample_world *world);

extern const char *const loom_sample_type_names[LOOM_CALL_TYPES];

#endif
