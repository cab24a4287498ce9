/* Is a generated layer or graph valid? Two yardsticks: the public validator's codes 0..19 (docs/VALIDITY.md
 * section 5) and the paper's own rules (section 6). */
#ifndef LOOM_TRACE_CHECK_CHECK_H
#define LOOM_TRACE_CHECK_CHECK_H

#include "trace/graph/validity.h"
#include "trace/text/parse.h"

/* ---- codes ---- */
enum {
    LOOM_CODE_BAD_SUB = 0, /* attribute list of a subgraph incomplete */
    LOOM_CODE_NUM_EDGES = 3,
    LOOM_CODE_SUB_EDGE = 4,  /* subgraph of an edge that is not there */
    LOOM_CODE_SUB_NODE = 6,  /* start_node is not the edge's destination */
    LOOM_CODE_SUB_START = 7, /* starts after its own latency */
    LOOM_CODE_SUB_LATENCY = 8,
    LOOM_CODE_SUB_DEPTH = 9,
    LOOM_CODE_NO_SUBS = 11,
    LOOM_CODE_LATENCY = 12,
    LOOM_CODE_CHAIN = 13, /* a chain must have one edge per layer */
    LOOM_CODE_PARSE = 14,
    LOOM_CODE_GRAPH = 15, /* tabular: not a valid call graph */
    LOOM_CODE_DEPTHS = 16,
    LOOM_CODE_MAX_DEPTH = 17, /* tabular */
    LOOM_CODE_SPLIT_DEPTH = 18,
    LOOM_CODE_SPLIT_EDGES = 19,
    LOOM_CODES /* 1, 2, 5, 10 are reserved and never given */
};

typedef struct loom_code {
    int32_t code;
    const char *message; /* as in the failure log, without "Generation Error - code: " */
} loom_code;

typedef struct loom_codes {
    loom_code *items; /* in the order of the checks; codes may repeat; n = 0: valid */
    int32_t n;
} loom_codes;

/* Checks one parsed answer, any mode. Everything lives in `arena`. */
void loom_check_layer_codes(loom_codes *out, const loom_parsed *parsed, loom_arena *arena);

/* ---- the paper's rules, as a bit mask of those broken ---- */
typedef enum loom_rule {
    LOOM_RULE_FORM,          /* 1 tags well formed, each edge with all its fields */
    LOOM_RULE_CURRENT_EDGES, /* 2 edges of the layer = num_current_edges */
    LOOM_RULE_TIMES,         /* 3 condition start <= start <= finish <= condition latency */
    LOOM_RULE_NO_SUBS,       /* 4 no subgraph without depth or edges left */
    LOOM_RULE_SUB_EDGE,      /* 5 subgraph's edge exists; its start_node and caller fit */
    LOOM_RULE_DEPTH,         /* 6 child depths below the parent's, at least one exactly one less */
    LOOM_RULE_SUB_TIMES,     /* 7 child latency <= parent edge's finish, child start >= its start */
    LOOM_RULE_NUM_EDGES,     /* 8 edges here + num_edges of the children = num_edges */
    LOOM_LAYER_RULES,
    /* of the whole graph */
    LOOM_RULE_GRAPH = LOOM_LAYER_RULES, /* call graph not valid */
    LOOM_RULE_TOTAL_EDGES,              /* not the requested number of edges */
    LOOM_RULE_TOTAL_DEPTH,              /* not the requested depth */
    LOOM_RULE_UNFINISHED,               /* a layer is missing or failed its codes */
    LOOM_RULES
} loom_rule;
#define LOOM_RULE_BIT(r) (1u << (r))
extern const char *const loom_rule_names[LOOM_RULES]; /* "form", "current_edges", ... for CSV columns */

/* Rules 1..8 for one parsed answer; a condition that the request does not state is not tested. A split (no edges, parts
 * that share its start node and caller) is held to the rules in the sense of a split: parts keep the depth (6), stay
 * within the latency (7), and add up (2, 8). Tabular text knows only rule 1 and, per edge, start <= finish (3). */
uint32_t loom_check_layer_rules(const loom_parsed *parsed);

/* ---- instruction following ----
 * Which condition lines the prompt states (`asked`) and which of them the answer does not obey (`broken`, a subset), as
 * bits of LOOM_CONDITION_BIT(kind). Never part of the codes. Lines that ask for nothing a layer could show (hidden
 * attributes, latencies by distribution, high latency without its bound) are not counted; latency limits and start
 * before finish hold for every edge, the least latency for the first one, the subgraph lines for the number of sub
 * lines, the caller line for each of them. */
#define LOOM_CONDITION_BIT(kind) (1u << ((kind)-LOOM_LINE_PLAIN_FIRST))
typedef struct loom_following {
    uint32_t asked, broken;
} loom_following;
loom_following loom_check_conditions(const loom_parsed *parsed, const char *prompt, size_t len, loom_arena *arena);

/* ---- whole graphs ---- */
typedef enum loom_validity { LOOM_VALIDITY_PAPER, LOOM_VALIDITY_CODE } loom_validity;
#define LOOM_VALIDITY_CHOICES "paper|code"

/* Judges a collected graph: edges with whole dotted ids in collected order, ids may repeat.
 * `req` = attribute list of the root request (NULL: nothing was asked for).
 * Counts are compared as the mode asks: tabular depth = graph depth, else remaining_depth = graph depth - 1. */
typedef struct loom_graph_result {
    bool valid;   /* a call graph */
    bool correct; /* valid, with the requested number of edges and depth, where these were stated */
    int32_t n_edges, depth;
    uint32_t rules;   /* LOOM_RULE_GRAPH, _TOTAL_EDGES, _TOTAL_DEPTH */
    loom_verdict why; /* reasons when not valid; BAD_EDGE for an id, name or time that no record could hold */
    loom_graph graph; /* dotted-id order, first of repeated ids; of use when valid. In `arena`, names borrowed */
} loom_graph_result;

/* Recursive and instruction: repeated ids are judged, not removed. Tabular: the first of repeated ids is kept before
 * anything is counted. */
void loom_check_graph(loom_graph_result *out, loom_mode mode, const char *service, const loom_edge_text *edges,
                      int32_t n_edges, const loom_attrs *req, loom_arena *arena);

#endif
