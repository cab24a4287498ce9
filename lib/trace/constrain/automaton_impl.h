/* Inside the automaton: places, pieces, and what its files lend one another. Nothing here is for users.
 *
 * A piece is a literal, one of several alternatives, a number within ranges, a name, a dotted id or a caller. When it
 * is complete, `advance` (automaton.c) looks at the place and the functions of the other files set up the next piece.
 * They return false where the text cannot go on.
 *
 * Places (P_ left out), and where each leads; `end`: the answer is done.
 *
 *   TO_OPEN > OPEN                    <layer> > EDGE             <split> > PARTS
 *   TO_EDGES > EDGE                   where the prompt ends with <layer> or <edges>
 *   TO_PARTS > PARTS                  where it ends with <split>
 *
 *   EDGE --one more----> ITEM > ITEM_VALUE > ITEM_END            "," > ITEM       ")" > EDGE
 *        --no more-----> EDGES_LF > TAIL                         tabular: end
 *
 *   TAIL, PARTS --one more---> SUB_INDEX
 *               --no more----> end
 *               --counted----> LINE from TAIL, COND from PARTS   instruction, in front of the first subgraph
 *
 *   SUB_INDEX > SUB_OPEN > ATTR > ATTR_VALUE > ATTR_END          "/" > ATTR       "</subgraph>" > TAIL, PARTS;
 *                                                                                 counted: > LINE
 *   MORE --one more----> LIST_INDEX > LIST                       "," > LIST_INDEX      line end > NEXT
 *        --no more-----> end
 *   NEXT --one more----> COND
 *        --no more-----> end
 *   COND --condition---> LINE > COND
 *        --subgraph----> SUB_INDEX
 *
 *   LINE, LINE_HOLE (a number or name that is not known yet), LINE_END: the lines of the counted form. The three that
 *   count stand one after the other and lead to MORE, what is left behind a subgraph to NEXT. */
#ifndef LOOM_TRACE_CONSTRAIN_AUTOMATON_IMPL_H
#define LOOM_TRACE_CONSTRAIN_AUTOMATON_IMPL_H

#include <stdlib.h>

#include "core/num.h"
#include "trace/constrain/automaton.h"

#define TIME_CAP     ((int64_t)99999999)  /* ms; 27 hours */
#define FREE_CAP     ((int64_t)999999999) /* syntax: any number of at most nine digits */
#define COUNT_CAP    ((int64_t)300)       /* edges, where the request does not say */
#define DEPTH_CAP    ((int64_t)15)
#define ID_CAP       ((int64_t)9999)
#define FIRST_ID_CAP ((int64_t)99)

enum { KIND_LITERAL, KIND_CHOICE, KIND_NUMBER, KIND_NAME, KIND_DOTTED, KIND_SOURCE };

/* Lists of alternatives; in each the one that ends soonest comes first, shortest ways are found by taking it. */
enum { G_OPEN, G_EDGE, G_ITEM, G_TYPE, G_TAIL, G_PARTS, G_COND, G_ATTR, G_LIST, G_MORE, G_NEXT, GROUPS };
enum { EDGE_END, EDGE_MORE };
enum { TAIL_END, TAIL_SUB, TAIL_COUNT };
enum { COND_SUB, COND_EDGES, COND_DEPTH, COND_SPLIT_DEPTH, COND_NODE };
enum { LIST_END, LIST_MORE };
enum { NEXT_END, NEXT_SUB };
#define MAX_ALTERNATIVES 12

enum { NAME_MS = 1, NAME_USER = 2, NAME_NONE = 4, NAME_SERVICE = 8, NAME_LISTED = 16 };

enum {
    P_TO_OPEN,  /* literal in front of <layer> or <split> */
    P_OPEN,     /* <layer> or <split> */
    P_TO_EDGES, /* literal that ends behind <edges> */
    P_TO_PARTS, /* literal that ends behind <split> */
    P_EDGE,     /* another edge or the end of the list */
    P_ITEM,
    P_ITEM_VALUE,
    P_ITEM_END,
    P_EDGES_LF,
    P_TAIL,
    P_PARTS,
    P_LINE, /* inside a line with holes */
    P_LINE_HOLE,
    P_LINE_END,
    P_MORE, /* behind the counting lines */
    P_LIST_INDEX,
    P_LIST,
    P_COND,
    P_SUB_INDEX,
    P_SUB_OPEN,
    P_ATTR,
    P_ATTR_VALUE,
    P_ATTR_END,
    P_NEXT,
    P_FINAL
};

typedef struct loom_am_text {
    const char *data;
    int32_t len;
} loom_am_text;

/* A finished edge. Entries below a state's n_edges never change while that state is in use. */
typedef struct loom_am_edge {
    int64_t start, finish;
    int32_t parent, level; /* tabular: entry of the parent (-1), components of the id */
    int64_t number;        /* last component */
    int32_t listed;        /* index in names, -1: spelt in `name` */
    char name[20];
} loom_am_edge;

/* An edge that the layer must have. */
typedef struct loom_am_wish {
    const char *destination; /* NULL: none */
    int32_t listed;          /* its place among conf.names, -1 */
    int32_t type;            /* loom_call_type, -1: any */
} loom_am_wish;

struct loom_automaton {
    loom_automaton_conf conf;
    loom_arena arena;
    loom_attrs req;
    loom_am_text texts[GROUPS][MAX_ALTERNATIVES];
    loom_am_edge *edges;
    size_t cap_edges;
    int64_t first_id;      /* of the layer's edges */
    int64_t c_lo, c_hi;    /* edges of the layer; equal when known */
    int64_t latency;       /* latest finish */
    int64_t latency_exact; /* tabular: response time of the root, -1 open */
    int64_t latency_from;  /* earliest finish of the first edge; 0: any */
    int64_t k_cap;
    loom_line include; /* of the conditions; name[0] NULL: none */
    loom_am_wish wish;
    bool reach_now; /* a subgraph of this very layer must start at conf.reach */
    int64_t ends;   /* calls that the layer at conf.reach must have with nothing below */
    loom_automaton_state start;
};

static inline bool tabular(const loom_automaton *a) { return a->conf.mode == LOOM_MODE_TABULAR; }
static inline bool full(const loom_automaton *a) { return a->conf.full; }

#define ALL_ATTRS                ((1u << (LOOM_ATTR_CALLER + 1)) - 1)
#define LITERAL(s, place, piece) loom_am_literal((s), (place), (piece), sizeof(piece) - 1)

/* automaton_piece.c: what a piece is and when it is complete */
void loom_am_literal(loom_automaton_state *s, int place, const char *piece, size_t len);
void loom_am_literal_number(loom_automaton_state *s, int place, int64_t v);
bool loom_am_choice(loom_automaton_state *s, int place, int group, uint32_t choices);
void loom_am_number(loom_automaton_state *s, int place);
bool loom_am_number_in(loom_automaton_state *s, int place, int64_t lo, int64_t hi);
bool loom_am_number_free(loom_automaton_state *s, int place);
void loom_am_name(const loom_automaton *a, loom_automaton_state *s, int place, uint32_t kinds);
bool loom_am_more_digits(const loom_automaton_state *s);
bool loom_am_step_number(loom_automaton_state *s, int digit);
bool loom_am_number_complete(const loom_automaton_state *s);
bool loom_am_is_digit(unsigned char b);
bool loom_am_step_name(const loom_automaton *a, loom_automaton_state *s, unsigned char b);
bool loom_am_name_complete(const loom_automaton *a, const loom_automaton_state *s);
bool loom_am_writable(const loom_automaton *a, const char *name, int32_t *listed);
const char *loom_am_edge_name(const loom_automaton *a, const loom_am_edge *e);

/* automaton_edge.c: edges of layers and of tabular text */
bool loom_am_begin_item_choice(const loom_automaton *a, loom_automaton_state *s);
bool loom_am_begin_edge(loom_automaton *a, loom_automaton_state *s);
bool loom_am_begin_item_value(const loom_automaton *a, loom_automaton_state *s);
void loom_am_end_item(const loom_automaton *a, loom_automaton_state *s);
bool loom_am_end_item_value(loom_automaton *a, loom_automaton_state *s);
bool loom_am_can_close(const loom_automaton *a, const loom_automaton_state *s, int64_t g);
bool loom_am_begin_next_edge(loom_automaton *a, loom_automaton_state *s);
bool loom_am_finish_edge(loom_automaton *a, loom_automaton_state *s);
bool loom_am_dotted_complete(const loom_automaton *a, loom_automaton_state *s);
bool loom_am_dotted_goes_on(const loom_automaton *a, loom_automaton_state *s);
bool loom_am_step_dotted(const loom_automaton *a, loom_automaton_state *s, unsigned char b);
void loom_am_end_dotted(loom_automaton *a, loom_automaton_state *s);
const char *loom_am_source_of(const loom_automaton *a, const loom_automaton_state *s, int32_t q);
bool loom_am_step_source(const loom_automaton *a, loom_automaton_state *s, unsigned char b);
uint64_t loom_am_sources_complete(const loom_automaton *a, const loom_automaton_state *s);

/* automaton_layer.c: counting lines, subgraphs, parts of a split */
bool loom_am_line_on(loom_automaton *a, loom_automaton_state *s);
bool loom_am_begin_line(loom_automaton *a, loom_automaton_state *s, loom_line_kind kind, size_t skip);
void loom_am_end_open_hole(loom_automaton_state *s);
bool loom_am_begin_sub_index(const loom_automaton *a, loom_automaton_state *s);
bool loom_am_begin_attr(loom_automaton_state *s);
bool loom_am_begin_attr_value(loom_automaton *a, loom_automaton_state *s);
void loom_am_end_attr_value(loom_automaton_state *s);
bool loom_am_begin_tail(loom_automaton *a, loom_automaton_state *s, bool first);
bool loom_am_begin_counted_sub(const loom_automaton *a, loom_automaton_state *s);
bool loom_am_begin_list_index(const loom_automaton *a, loom_automaton_state *s);
bool loom_am_end_list_index(const loom_automaton *a, loom_automaton_state *s);
bool loom_am_end_list(const loom_automaton *a, loom_automaton_state *s);
bool loom_am_after_line(loom_automaton *a, loom_automaton_state *s);
bool loom_am_finish_sub(loom_automaton *a, loom_automaton_state *s);

/* automaton.c: moving on */
bool loom_am_advance(loom_automaton *a, loom_automaton_state *s);

#endif
