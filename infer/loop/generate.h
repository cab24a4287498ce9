/* The generation loop (what a prompt holds: docs/VALIDITY.md section 3): requests in, call graphs out.
 *
 * A graph is a tree of layers (trace/request.h): the root prompt gives a text; if it is valid, every subgraph line in
 * it becomes the prompt of a child layer, and so on. Layers of many graphs are in flight at once.
 *
 *   loom_gen_options o = {.match_training = true, .seed = 1, .samples = 4, .max_tokens = 4096, .top_k = 50};
 *   LOOM_TRY(loom_generate(completer, prompts, n, &o, keep, &state, &totals, err));
 *
 * `keep` gets every result in the order (prompt, sample), whatever order they end in. Sample k of a prompt depends on
 * (seed, prompt id, k) and, for each of its layers, on the layer's path and attempt; not on batch, threads or other
 * prompts. */
#ifndef LOOM_INFER_GENERATE_H
#define LOOM_INFER_GENERATE_H

#include "infer/engine/completion.h"
#include "trace/request/request.h"
#include "trace/text/names.h"

typedef enum loom_constrain { LOOM_CONSTRAIN_OFF, LOOM_CONSTRAIN_SYNTAX, LOOM_CONSTRAIN_FULL } loom_constrain;
#define LOOM_CONSTRAIN_CHOICES "off|syntax|full"

typedef struct loom_gen_prompt {
    int64_t id; /* names the request in seeds and results */
    loom_mode mode;
    const char *text; /* sent to the model, exactly */
    size_t len;
    int64_t edges, depth; /* asked for (graph depth); -1: not */
    const char *service;  /* "" unknown */
    const char *record;   /* graph it came from; NULL: none */
} loom_gen_prompt;

/* Of the last attempt at one layer. */
typedef struct loom_gen_layer {
    int64_t tokens;
    loom_stop stop;
    double logprob;
} loom_gen_layer;

typedef struct loom_gen_result {
    const loom_gen_prompt *prompt;
    int64_t sample;
    const loom_request *tree;
    const loom_outcome *outcome;
    const loom_gen_layer *layers; /* by layer index of the tree */
    int32_t n_unknown;   /* calls of microservices that are not among options.known; 0: valid and none, or unknown */
    const char *refused; /* constrained: why no text was made; NULL otherwise */
} loom_gen_result;       /* all of it borrowed until the callback returns */

typedef struct loom_gen_options {
    bool match_training;  /* child prompts like training text; else like the public program */
    bool listed_order;    /* condition lines of child prompts in listed order, not in a random one */
    bool bos[LOOM_MODES]; /* prompts of the mode begin with the BOS token */
    bool keep_going;      /* go on with the other layers of a graph that has already failed */
    loom_constrain constrain;
    uint64_t seed;
    int64_t samples; /* per prompt; first_sample .. first_sample + samples - 1 */
    int64_t first_sample;
    int64_t skip;       /* results at the front that are not made (there already, or another shard's) */
    int64_t count;      /* results behind these that are made; 0: all that are left */
    int64_t max_tokens; /* per layer */
    int64_t max_trials; /* attempts per layer; 0 and 1: no retry */
    double temperature;
    int64_t top_k;
    double top_p, min_p;
    int64_t max_subs;        /* constrained: most subgraphs of a layer; 0: no limit */
    int64_t time_cap;        /* constrained: latest time in a layer, ms; 0: no limit */
    const loom_names *names; /* full constraint: the only destinations, sorted; NULL: any. Borrowed */
    const loom_names *known; /* a graph that calls others is not as requested; NULL: any will do. Borrowed */
    /* called now and then; may be NULL */
    void (*progress)(void *arg, int64_t graphs, int64_t layers, int64_t tokens);
    void *progress_arg;
    void *party; /* what the jobs say in loom_job.party */
} loom_gen_options;

/* Sets o->bos as "auto|yes|no" says (0, 1, 2); auto: as in training, where only questions stand alone. */
void loom_gen_bos(loom_gen_options *o, int choice);

typedef struct loom_gen_totals {
    int64_t graphs, finished, valid, correct, refused, layers, tokens;
    int64_t stops[3];           /* by loom_stop */
    int64_t codes[LOOM_CODES];  /* how often each code was given */
    int64_t odd[LOOM_ODDITIES]; /* valid graphs of which no record is made, by reason */
    int64_t n_odd;              /* of any reason */
    int64_t unknown;            /* correct graphs with calls of microservices that are not known */
    loom_mask_stats mask;
} loom_gen_totals;

void loom_gen_totals_add(loom_gen_totals *to, const loom_gen_totals *more);

/* Calls of a finished graph that go to microservices other than the known ones; 0 with NULL. */
int32_t loom_unknown_calls(const loom_outcome *v, const loom_names *known);

typedef loom_status (*loom_gen_keep)(void *arg, const loom_gen_result *result, loom_err *err);

/* The same in steps, for several callers on one completer. prompts, o and what they point to are borrowed until the
 * end.
 *
 *   LOOM_TRY(loom_gen_new(&g, completer, prompts, n, &o, keep, &state, err));
 *   while there is room: LOOM_TRY(loom_gen_submit(g, &submitted, err));
 *   completer->step; of what is done, the jobs with job->party == o.party: LOOM_TRY(loom_gen_take(g, job, err));
 *   until loom_gen_ended(g) */
typedef struct loom_gen loom_gen;
loom_status loom_gen_new(loom_gen **out, loom_completer *c, const loom_gen_prompt *prompts, int64_t n_prompts,
                         const loom_gen_options *o, loom_gen_keep keep, void *arg, loom_err *err);
/* One layer more. *submitted = false: there is none to submit before an answer comes; perhaps none at all. */
loom_status loom_gen_submit(loom_gen *g, bool *submitted, loom_err *err);
loom_status loom_gen_take(loom_gen *g, loom_job *job, loom_err *err);
bool loom_gen_ended(const loom_gen *g);
const loom_gen_totals *loom_gen_count(const loom_gen *g); /* so far */
void loom_gen_free(loom_gen *g);                          /* takes back what is in flight */

/* Stops with INTERRUPT, between steps, once loom_stop_requested(). */
loom_status loom_generate(loom_completer *c, const loom_gen_prompt *prompts, int64_t n_prompts,
                          const loom_gen_options *o, loom_gen_keep keep, void *arg, loom_gen_totals *totals,
                          loom_err *err);

#endif
