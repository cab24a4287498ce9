/* Constrained decoding, the half that knows characters: an incremental recogniser of the text a model may answer with.
 *
 * It is fed one byte at a time and says whether the text so far can still become a whole answer. Two levels:
 *   syntax  the form only: tags, items, attribute names, separators; every number, name and count is free;
 *   full    the request as well: number of edges, remaining depth, latency window, edge ids, start nodes and callers of
 *           the subgraphs, counting lines. Every answer then passes the checks of trace/check.h, each subgraph it asks
 *           for is a request that can be met, and a graph grown from a feasible root request by such answers is valid
 *           and has exactly the requested edges and depth.
 *
 *   loom_automaton *a = NULL;
 *   LOOM_TRY(loom_automaton_new(&a, &conf, err));              ARG: the request cannot be met, and why
 *   loom_automaton_state s = *loom_automaton_start(a);
 *   for (size_t i = 0; i < len; i++)
 *       if (!loom_automaton_step(a, &s, text[i])) ...          s is spoilt; go on from a copy made before
 *   if (s.done) ...                                            a stop string is complete
 *
 * Condition lines of the prompt count like the attribute they name. A root without start_node starts at USER, as the
 * public program's roots do.
 *
 * A line "Include an edge from S to D with T type" (full; one in a request): a plain layer whose start_node is S has
 * such an edge. For a layer to start at S some call above must go to S: `reach` says that this is still owed below the
 * layer, the subgraphs are then kept to those that can lead there, and the last one possible starts at S
 * (loom_request_layer.reach passes the debt on to one child). "Build a call graph with high latency" asks for a number
 * that is not in the prompt; no constraint follows from it. With its bound (", N <= latency") the first call lasts at
 * least so long.
 *
 * A state is a plain value: copy it to look ahead. Copies share the automaton's list of finished edges, so they must be
 * used like a stack: work on a copy must end before the state it was copied from moves on (a depth-first walk over a
 * vocabulary does just that). One automaton belongs to one thread at a time.
 *
 * How a layer's budget works (full). A request of n edges, c of them in this layer, depth d and k subgraphs can be met
 * iff  d = 0: n = c and k = 0,  d > 0: 1 <= k <= c and n - c >= d + k - 1  (c <= 15);  a wider layer is split into
 * 2 <= k <= 5 parts, n - c >= d, and n = c if d = 0. While an attribute list is being written, in whatever order, each
 * number is kept to the values for which the rest of the list, the remaining subgraphs and the depth that one of
 * them must reach can still be chosen. */
#ifndef LOOM_TRACE_CONSTRAIN_AUTOMATON_H
#define LOOM_TRACE_CONSTRAIN_AUTOMATON_H

#include "trace/text/parse.h"

typedef struct loom_automaton_conf {
    loom_mode mode;
    bool full;          /* else syntax */
    bool root;          /* the first layer of a graph: exactly the edge 0 */
    const char *prompt; /* the whole prompt; its end says where the answer begins */
    size_t prompt_len;
    int64_t max_subs;         /* most subgraphs of a plain layer (small contexts); 0: as many as it has edges */
    int64_t time_cap;         /* ms, latest time in a layer (small contexts); 0: 99999999 where no latency is given */
    const char *const *names; /* full: the only destinations allowed, sorted by bytes; NULL: any MS_<5 to 9 digits> */
    size_t n_names;
    size_t shortest;   /* index of a name that short answers are made of */
    size_t longest;    /* bytes of the longest name that can come up; 0: as long as MS_999999999 */
    const char *reach; /* full: a layer below must start at this microservice; NULL: no such debt */
    bool asked_first;  /* full: the edge that the prompt asks of this layer comes first, as `encode --asked` has it */
    bool on_the_way;   /* full: an include line of another caller is owed below, as `encode --include handed-down` has
                        * it, and the layer of that caller has room for a call of mc or db, which has nothing below */
} loom_automaton_conf; /* borrowed until loom_automaton_free: names, reach */

#define LOOM_AUTOMATON_RANGES    8
#define LOOM_AUTOMATON_MAX_EDGES ((int64_t)100000) /* of a request */

/* Numbers that may be written at one place: a union of intervals. */
typedef struct loom_ranges {
    int64_t lo[LOOM_AUTOMATON_RANGES], hi[LOOM_AUTOMATON_RANGES];
    int n;
} loom_ranges;

/* What is known of the subgraph whose attribute list is being written; -1: not yet. */
typedef struct loom_sub_state {
    int64_t index;      /* edge it hangs on, from 0 in this layer; split: the number written */
    int64_t n, d, c, k; /* num_edges, remaining_depth, num_current_edges, num_subgraphs */
    int64_t start, latency;
    uint32_t written; /* LOOM_ATTR_BIT(...) */
} loom_sub_state;

/* A value to copy; its members belong to automaton.c. */
typedef struct loom_automaton_state {
    bool done;                      /* a stop string is complete */
    bool split;                     /* parts instead of edges */
    bool counted;                   /* the answer has counting lines */
    bool deep_enough;               /* a subgraph reaches the depth that one of them must reach */
    bool must_deep;                 /* the subgraph being written was announced to do so */
    bool wished;                    /* the edge that the layer must have is there */
    bool forced;                    /* the edge being written must be it */
    bool met;                       /* a subgraph leads to conf.reach */
    uint8_t place, kind;            /* production, and how its current piece is matched */
    uint8_t group;                  /* alternatives: which list of texts */
    uint8_t item, attr, line, type; /* last choices */
    uint8_t hole;                   /* of the line: next one */
    uint8_t items, conds;           /* bits: edge items, condition lines written */
    uint8_t n_digits;
    uint32_t choices;                   /* alternatives, or kinds of names, still possible */
    int32_t at, line_at;                /* matched bytes of the piece; offset in the line's template */
    int32_t n_edges;                    /* finished edges */
    int32_t n_subs, n_listed, all_subs; /* finished; announced; in all (-1 open) */
    int32_t name_lo, name_hi;           /* names still possible */
    uint64_t listed;        /* edges announced to have subgraphs; tabular: levels the next edge may stand on */
    int64_t number;         /* being read */
    int64_t total, depth;   /* num_edges and remaining depth of the layer as far as known, -1 */
    int64_t edges_left;     /* for subgraphs to come, -1 unknown */
    int64_t wide_left;      /* split: of edges_left those on this level */
    int64_t start, finish;  /* of the edge being written, -1: not yet */
    int32_t level, reached; /* tabular: component of the id; deepest level so far */
    int32_t last_sub;       /* edge that had the last subgraph */
    const char *piece;      /* literal being matched; NULL: `small` */
    int32_t piece_len;
    char small[24];
    loom_ranges ranges;
    loom_sub_state sub;
} loom_automaton_state;

typedef struct loom_automaton loom_automaton;

/* ARG, with the reason, when full and the request cannot be met (or when the prompt cannot be read). */
loom_status loom_automaton_new(loom_automaton **out, const loom_automaton_conf *conf, loom_err *err);
void loom_automaton_free(loom_automaton *a);

const loom_automaton_state *loom_automaton_start(const loom_automaton *a);
/* One more byte. False: the text cannot go on like that. */
bool loom_automaton_step(loom_automaton *a, loom_automaton_state *s, unsigned char byte);
/* All bytes of a token; true as well when the answer is complete before its last byte. */
bool loom_automaton_feed(loom_automaton *a, loom_automaton_state *s, const char *bytes, size_t n);

/* Appends what must follow, byte for byte, as far as there is no choice; `s` is not moved. */
void loom_automaton_forced(loom_automaton *a, const loom_automaton_state *s, loom_buf *into);
/* Appends a shortest way to the end. */
void loom_automaton_shortest(loom_automaton *a, const loom_automaton_state *s, loom_buf *into);
/* Edges and subgraphs that must still be written, the ones begun included, and the digits that the edges' ids may need:
 * for cheap bounds on what is to come. */
void loom_automaton_left(const loom_automaton *a, const loom_automaton_state *s, int64_t *edges, int64_t *subs,
                         int64_t *digits);

/* Bytes of the longest name in what is to come. */
size_t loom_automaton_longest_name(const loom_automaton *a);
/* Is a name being chosen from conf.names? */
bool loom_automaton_in_name(const loom_automaton_state *s);

/* Can a root request be met at all? NULL: yes; else why not. -1: not asked for. `depth` counts like the mode's
 * attribute: graph depth (tabular) or remaining depth. */
const char *loom_automaton_infeasible(loom_mode mode, int64_t edges, int64_t depth);

/* ---- exposed for tests ---- */

/* What surrounds a subgraph allows of it; n = c + x. */
typedef struct loom_sub_bounds {
    int64_t n_lo, n_hi, c_lo, c_hi, x_lo, x_hi, d_lo, d_hi;
    int64_t k_cap;                /* most subgraphs of a plain layer */
    int64_t deep;                 /* depth that a subgraph still has to reach; -1: none has to */
    int64_t n_shallow, x_shallow; /* instead of n_hi and x_hi when this one does not reach it */
    int64_t ends;                 /* calls of a plain layer that must have nothing below */
} loom_sub_bounds;
/* The values of LOOM_ATTR_NUM_EDGES, _REMAINING_DEPTH, _NUM_CURRENT_EDGES or _NUM_SUBGRAPHS for which the others can be
 * chosen so that the subgraph can be met; those that `sub` has are fixed. */
void loom_sub_ranges(loom_ranges *out, const loom_sub_bounds *b, const loom_sub_state *sub, loom_attr which);

#endif
