/* One requested call graph: a tree of layers, each a prompt and a generated text (docs/VALIDITY.md sections 3 to 8).
 * Knows nothing of models: the sampler, the evaluator and the tests feed it texts.
 *
 *   loom_request *r = NULL;
 *   LOOM_TRY(loom_request_new(&r, &conf, prompt, strlen(prompt), &rng, err));
 *   while (!loom_request_done(r)) {
 *       const loom_request_layer *l = loom_request_take(r);       NULL while all waiting ones are out being generated
 *       ... generate from l->prompt, cut at a stop string of the mode ...
 *       loom_request_answer(r, l->index, text, len);
 *   }
 *   const loom_outcome *v = loom_request_outcome(r);
 *   loom_request_free(&r);
 *
 * Any number of layers may be out at a time; answers may come in any order. One request belongs to one thread at a
 * time. Layers of another process are judged again with loom_request_replay. */
#ifndef LOOM_TRACE_REQUEST_REQUEST_H
#define LOOM_TRACE_REQUEST_REQUEST_H

#include "trace/check/oddity.h"
#include "trace/request/prompt.h"

#define LOOM_REQUEST_MAX_LAYERS 100000 /* a graph that asks for more has failed */
#define LOOM_REQUEST_MAX_DEPTH  1000   /* of the tree of layers */

typedef struct loom_request_conf {
    loom_mode mode;
    bool match_training; /* children's prompts exactly like training text; default: like the public program */
    bool keep_going;     /* generate the other layers of a graph that has already failed (for statistics) */
    int64_t max_trials;  /* attempts per layer; 0 means 1: no retry */
} loom_request_conf;

typedef enum loom_layer_state {
    LOOM_LAYER_WAITING,
    LOOM_LAYER_OUT,
    LOOM_LAYER_VALID,
    LOOM_LAYER_FAILED
} loom_layer_state;

typedef struct loom_request_layer {
    int32_t index;                   /* place in the request's list; 0 is the root */
    int32_t parent;                  /* -1 for the root */
    int32_t first_child, n_children; /* children stand together, in the order of the parent's sub lines */
    const char *prefix;              /* id prefix of its edges: "", "0", "0.1", ... */
    const char *prompt;
    size_t prompt_len;
    const char *text; /* last answer, NULL before */
    size_t text_len;
    int32_t trials;
    loom_layer_state state;
    loom_parsed parsed; /* of the last answer */
    loom_codes codes;   /* of the last answer */
    uint32_t rules;     /* paper rules broken by the last answer */
    const char *reach;  /* for an include line: a layer below must start at this microservice; NULL: none */
} loom_request_layer;

typedef struct loom_outcome {
    bool finished;        /* every layer is code-free and none is missing */
    bool valid;           /* finished, and the collected graph is a call graph */
    bool correct;         /* valid, and number of edges and depth as requested */
    bool accurate;        /* correct, and no layer breaks one of the paper's rules */
    uint32_t rules;       /* LOOM_RULE_BIT of everything broken, layers and graph */
    uint32_t odd;         /* LOOM_ODD_BIT of what a valid graph has and no record can show */
    int32_t failed_layer; /* first failed layer, -1 */
    int32_t n_layers, n_attempts;
    const loom_edge_text *edges; /* collected order, whole ids; n = 0 unless finished */
    int32_t n_edges;
    loom_graph_result graph; /* zero unless finished */
} loom_outcome;              /* everything is borrowed from the request */

/* Is outcome->graph.graph all that was counted? Records and rows are made of such graphs only. */
bool loom_outcome_has_record(const loom_outcome *v);
/* correct for LOOM_VALIDITY_CODE, accurate for LOOM_VALIDITY_PAPER */
bool loom_outcome_accepts(const loom_outcome *v, loom_validity validity);

typedef struct loom_request loom_request;

/* The prompt is copied. `rng` (copied too, may be NULL) orders the condition lines of child prompts; NULL: listed
 * order. A prompt whose attribute list cannot be read is accepted: its layer will fail with code 14. */
loom_status loom_request_new(loom_request **out, const loom_request_conf *conf, const char *prompt, size_t len,
                             const loom_rng *rng, loom_err *err);
/* Next layer to generate, or NULL. Depth first: children of the layer answered last come first. The pointer is valid
 * until the request is freed. */
const loom_request_layer *loom_request_take(loom_request *r);
/* Judges the answer; valid: its children wait; invalid: it waits again or, after max_trials, has failed. ARG error when
 * that layer is not out. */
loom_status loom_request_answer(loom_request *r, int32_t layer, const char *text, size_t len, loom_err *err);
/* The layer's request cannot be met, so that nothing was generated: it has failed, whatever an empty answer would be
 * worth. ARG error when that layer is not out. */
loom_status loom_request_refuse(loom_request *r, int32_t layer, loom_err *err);
bool loom_request_done(const loom_request *r);
int32_t loom_request_count(const loom_request *r); /* layers so far */
const loom_request_layer *loom_request_at(const loom_request *r, int32_t index);
/* Final judgement; may be asked for at any time (unfinished layers count as missing). Borrowed until the next
 * answer. */
const loom_outcome *loom_request_outcome(loom_request *r);
/* Texts of every failed attempt so far. */
void loom_request_failures(const loom_request *r, int64_t id, loom_buf *log, loom_buf *codes);
void loom_request_free(loom_request **r);

/* Judges layers generated elsewhere. layers[0] is the root; each later one names a parent before it; the children of a
 * layer stand in the order of its sub lines. A child that is not there counts as missing. */
typedef struct loom_replay_layer {
    int32_t parent;
    const char *prefix; /* NULL: worked out */
    const char *prompt;
    size_t prompt_len;
    const char *text; /* NULL: never answered */
    size_t text_len;
} loom_replay_layer;
loom_status loom_request_replay(loom_request **out, const loom_request_conf *conf, const loom_replay_layer *layers,
                                int32_t n, loom_err *err);

/* ---- output files ---- */
/* "<id><s> id:S_.../max depth:d/num edges:n[...]</s>" of a valid graph (tabular: of a correct one), the
 * "[INVALID TRACE]" line of a finished invalid one, nothing otherwise. */
void loom_trace_line(loom_buf *into, int64_t id, loom_mode mode, const loom_outcome *v);
/* "(edges:depth),finished,valid,correct,repetitions,(avg_edges:avg_depth)"; sums over valid graphs. */
void loom_summary_line(loom_buf *into, int32_t edges, int32_t depth, int64_t finished, int64_t valid, int64_t correct,
                       int64_t repetitions, int64_t sum_edges, int64_t sum_depth);

#endif
