/* Prompts: the text a model is sent for a root layer and for each child that a generated layer asks for
 * (docs/VALIDITY.md section 3).
 *
 * Two forms. The reference form is that of the public program and its prompt files; match_training is exactly a prefix
 * of training text, which a small model trained here needs: an empty line before " ### Answer: ", [GENERATE GRAPH] in
 * front of a recursive or tabular root, the caller and number-of-subgraphs lines, include lines only where they can be
 * met, or on the way there. */
#ifndef LOOM_TRACE_REQUEST_PROMPT_H
#define LOOM_TRACE_REQUEST_PROMPT_H

#include "trace/text/encode.h"
#include "trace/text/parse.h"

typedef struct loom_prompt_conf {
    loom_mode mode;
    bool match_training;      /* exactly like training text; default: like the published prompt files */
    uint32_t keep;            /* attributes always shown; 0: as published (id, num_edges, depth; instruction also
                                 start_node; tabular all) */
    const loom_line *include; /* a LOOM_LINE_INCLUDE to ask for, or NULL */
    bool high_latency;        /* ask for high latency whatever the facts say */
    int64_t latency_from;     /* with it: say that it begins here, ms; 0: say no number */
    bool owed;                /* of a child: an include line that a layer further down is to meet */
} loom_prompt_conf;

/* The line that asks for high latency, with its bound where `conf` has one. */
loom_line loom_request_high_latency(const loom_prompt_conf *conf);

/* The prompt sent for a graph like `graph` (a validation graph): attributes and conditions drawn as in training, from
 * `rng` (NULL: all shown, listed order). Appends. */
loom_status loom_request_root_prompt(loom_buf *into, const loom_graph *graph, const loom_facts *facts,
                                     const loom_prompt_conf *conf, loom_rng *rng, loom_arena *arena, loom_err *err);
/* The same for a graph of whose service `stats` (NULL: none) tell. The draws follow from `seed` and from the graph
 * without its time of day, so that every program makes the same prompt of a graph. */
loom_status loom_request_graph_prompt(loom_buf *into, const loom_graph *graph, const loom_stats *stats,
                                      const loom_prompt_conf *conf, uint64_t seed, loom_arena *arena, loom_err *err);
/* The prompt for attributes given by hand (order of `attrs`); conditions follow from those that are present. */
void loom_request_attrs_prompt(loom_buf *into, const loom_attrs *attrs, const loom_prompt_conf *conf, loom_rng *rng);
/* The prompt sent for one record of a published prompt file ("### Question: ..." up to the next). FORMAT error when the
 * record holds no attribute list. */
loom_status loom_request_record_prompt(loom_buf *into, loom_mode mode, bool match_training, const char *record,
                                       size_t len, loom_err *err);
/* The prompt of the child that a sub line asks for. `includes`: lines handed down from the root's prompt. `rng` (NULL:
 * listed order) orders the conditions; `conf` gives mode, form and owed alone. */
void loom_request_child_prompt(loom_buf *into, const loom_prompt_conf *conf, const loom_parsed_sub *sub,
                               const char *const *includes, int32_t n_includes, loom_rng *rng);

#endif
