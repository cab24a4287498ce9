/* Questions about call graphs beyond generation: will the request be slow, does it hold an
 * uncommon call, which attribute or which call is missing.
 *
 * The builders give the text of one layer each; loom_downstream_make puts a whole question and its answer together.
 * Only plain layers are shown; of a split nothing is. */
#ifndef LOOM_TRACE_TEXT_DOWNSTREAM_TASK_H
#define LOOM_TRACE_TEXT_DOWNSTREAM_TASK_H

#include "trace/text/encode.h"

typedef enum loom_downstream_task {
    LOOM_DOWNSTREAM_HIGH_LATENCY, /* "Yes" when the service's root finish is a high latency */
    LOOM_DOWNSTREAM_UNCOMMON,     /* "Yes" when any call of the graph is rare for the service */
    LOOM_DOWNSTREAM_ATTRIBUTE,    /* the type or destination that reads [MISSING] */
    LOOM_DOWNSTREAM_EDGE,         /* the edge between a parent and a child layer */
    LOOM_DOWNSTREAM_TASKS
} loom_downstream_task;
#define LOOM_DOWNSTREAM_CHOICES "high-latency|uncommon|attribute|edge"
/* first lines of the questions in instruction form */
#define LOOM_TEXT_ASK_UNCOMMON                                                                                         \
    "Predict whether the graph will include an edge not commonly seen given the following partial layers."
#define LOOM_TEXT_ASK_ATTRIBUTE "Predict a missing element in the following partial call graph."
#define LOOM_TEXT_ASK_PARENT    "Predict a missing edge to connect the two layers."
#define LOOM_TEXT_ASK_CHILD     "Child layer:"
#define LOOM_TEXT_MISSING       "[MISSING]"
#define LOOM_TEXT_YES           "Yes"
#define LOOM_TEXT_NO            "No"

static inline bool loom_downstream_is_binary(loom_downstream_task task)
{
    return task == LOOM_DOWNSTREAM_HIGH_LATENCY || task == LOOM_DOWNSTREAM_UNCOMMON;
}

typedef struct loom_downstream_view {
    const loom_graph *graph;
    loom_mode form; /* instruction: with first lines; recursive: without; tabular: without, whole ids and sources */
    loom_rng *rng;  /* order of headers and items; NULL: listed order */
    bool listed;    /* items of edges in listed order all the same */
    loom_arena *arena;
} loom_downstream_view;

/* Header, and the first `limit` edges without their finish times. Appends nothing for a split. Returns edges shown. */
int32_t loom_downstream_render_high_latency(loom_buf *into, const loom_downstream_view *v, const loom_layer *layer,
                                            int32_t limit);
/* The same with whole edges; `first`: the question's first line in front (instruction form). */
int32_t loom_downstream_render_uncommon(loom_buf *into, const loom_downstream_view *v, const loom_layer *layer,
                                        int32_t limit, bool first);
/* The layer with the type or destination of edge `target` (0 .. n_calls - 1) replaced; returns what was there. */
const char *loom_downstream_render_attribute(loom_buf *into, const loom_downstream_view *v, const loom_layer *layer,
                                             int32_t target, bool destination);
/* The two halves of the missing-call question: the parent with edge `target` hidden, and the child. */
void loom_downstream_render_parent(loom_buf *into, const loom_downstream_view *v, const loom_layer *layer,
                                   int32_t target);
void loom_downstream_render_child(loom_buf *into, const loom_downstream_view *v, const loom_layer *layer);

/* Appends question and answer for one graph: layers in pre-order share `limit` edges (the binary tasks); target edge
 * and missing attribute are drawn from view->rng (needed for the two infilling tasks). *made is false, and nothing is
 * appended, when the graph gives no sample: a service without latency statistics, no edge that may be shown, no plain
 * layer below a plain layer. Errors: those of loom_layers_build. */
loom_status loom_downstream_make(loom_buf *question, loom_buf *answer, bool *made, loom_downstream_task task,
                                 const loom_downstream_view *v, const loom_facts *facts, int32_t limit, loom_err *err);

/* The frame of an instruction sample: "### Question: " question LF " ### Answer: " LF answer LF " ### Finish" LF. */
void loom_downstream_render_sample(loom_buf *into, const char *question, const char *answer);

/* The same taken apart; all point into the sample. */
typedef struct loom_downstream_parts {
    const char *question, *answer;
    size_t question_len, answer_len; /* answer: up to the finish line, or to the end without one */
    bool finished;
} loom_downstream_parts;
bool loom_downstream_cut(loom_downstream_parts *out, const char *sample); /* false: it is not framed so */

#endif
