/* The grammar of the texts, in one place: modes, markers, attribute names, edge items, condition and counting lines,
 * stop strings. The renderer, the parsers, the request builder and constrained decoding all read these tables. Two
 * places know words besides: text/downstream_task.h has those of its questions, and the tokenizer's pattern
 * (tokenizer/pretok.h), which stands in tokenizer.json and must not move, the call types, USER and " is ";
 * test_trace_words holds it to these tables (docs/FORMATS.md, encoded text; docs/VALIDITY.md).
 *
 * A line is a template with holes: '#' a decimal integer, '@' a name without LF. Rendering fills the holes, matching
 * reads them back:
 *
 *   loom_line l = {.kind = LOOM_LINE_NUM_EDGES, .num = {4}};
 *   loom_line_render(&buf, &l);                       "generate 4 edges following num_current_edges"
 *   loom_line_match(&l, LOOM_LINE_NUM_EDGES, text, len, arena)      true, l.num[0] == 4
 */
#ifndef LOOM_TRACE_TEXT_GRAMMAR_H
#define LOOM_TRACE_TEXT_GRAMMAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/buf.h"
#include "trace/graph/callgraph.h"

/* ---- modes ---- */
typedef enum loom_mode { LOOM_MODE_TABULAR, LOOM_MODE_RECURSIVE, LOOM_MODE_INSTRUCTION, LOOM_MODES } loom_mode;
#define LOOM_MODE_CHOICES "tabular|recursive|instruction" /* for LOOM_OPT_ENUM: index = loom_mode */
extern const char *const loom_mode_names[LOOM_MODES];
bool loom_mode_parse(loom_mode *out, const char *name); /* false: no such mode */

/* Strings at which generation of a layer ends; they are not part of the returned text. *n receives how many. */
const char *const *loom_stop_strings(loom_mode mode, size_t *n);

/* ---- markers ---- */
#define LOOM_TEXT_GENERATE     "[GENERATE GRAPH]"
#define LOOM_TEXT_QUESTION     "### Question: "
#define LOOM_TEXT_SYSTEM       "You are a trace generator that creates traces based on given requirements."
#define LOOM_TEXT_REQUIREMENTS "Requirements:"
#define LOOM_TEXT_CONDITIONS   "Conditions:"
#define LOOM_TEXT_ANSWER       " ### Answer: " /* a line of its own, blanks included */
#define LOOM_TEXT_ANSWER_MARK  "### Answer:"   /* where a prompt is cut when it is read back */
#define LOOM_TEXT_FINISH       " ### Finish"
#define LOOM_TEXT_LAYER        "<layer>"
#define LOOM_TEXT_LAYER_END    "</layer>"
#define LOOM_TEXT_SPLIT        "<split>"
#define LOOM_TEXT_SPLIT_END    "</split>"
#define LOOM_TEXT_EDGES        "<edges>"
#define LOOM_TEXT_EDGES_END    "</edges>"
#define LOOM_TEXT_SUB          "<subgraph of edge_id "
#define LOOM_TEXT_SUB_END      "</subgraph>"
#define LOOM_TEXT_SUB_HEAD     "Subgraph constraints:"
#define LOOM_TEXT_DONE         "finish generation"
#define LOOM_TEXT_SUBS_OF      "generate subgraphs of edge:" /* then index { ",edge_id:" index } */
#define LOOM_TEXT_SUBS_NEXT    ",edge_id:"
#define LOOM_TEXT_INCLUDE      "Include an edge from" /* handed down to children */
#define LOOM_TEXT_HIGH_LATENCY "Build a call graph with high latency"
#define LOOM_TEXT_USER         "USER"
#define LOOM_TEXT_NO_CALLER    "None"

#define LOOM_LAYER_MAX_EDGES 15 /* a layer with more is split */
#define LOOM_SPLIT_MAX_PARTS 5

/* ---- attributes: "name:value" joined by "/" ---- */
typedef enum loom_attr {
    LOOM_ATTR_ID,
    LOOM_ATTR_NUM_EDGES,
    LOOM_ATTR_START_NODE,
    LOOM_ATTR_START_EDGE_ID,
    LOOM_ATTR_START, /* start_communication_at */
    LOOM_ATTR_LATENCY,
    LOOM_ATTR_NUM_SUBGRAPHS,
    LOOM_ATTR_REMAINING_DEPTH,
    LOOM_ATTR_NUM_CURRENT_EDGES,
    LOOM_ATTR_CALLER,
    LOOM_ATTR_DEPTH, /* tabular only; shares its value with remaining_depth */
    LOOM_ATTRS
} loom_attr;

typedef struct loom_attr_info {
    const char *name;       /* as printed */
    const char *key;        /* the name and its colon */
    const char *aliases[3]; /* also understood, NULL-terminated when fewer */
    bool is_int;
} loom_attr_info;
extern const loom_attr_info loom_attr_table[LOOM_ATTRS];

/* Orders of attributes; a list ends with LOOM_ATTRS. `tabular` and `other` are those of deterministic mode. `listed`
 * (encode --items listed) has the numbers of a layer in the order in which one follows from the other: the last part
 * of a split begins where the part before ends, so its calls are what is left from there, and its subgraphs what is
 * left of num_edges. */
extern const uint8_t loom_attrs_tabular[], loom_attrs_other[], loom_attrs_listed[];

#define LOOM_ATTR_BIT(a) (1u << (a))

/* Values of an attribute list. `present` says which were there; the others hold the defaults named here. `order` is
 * the order of the printed ones: what is rendered is exactly order[0 .. n_order). Strings are never NULL. */
typedef struct loom_attrs {
    const char *id;            /* "S_0" */
    const char *start_edge_id; /* "0" */
    const char *start_node;    /* "" */
    const char *caller;        /* "" */
    int64_t num_edges, remaining_depth /* tabular: depth */, latency, start, num_subgraphs, num_current_edges; /* -1 */
    uint32_t present; /* LOOM_ATTR_BIT(...) */
    uint8_t order[LOOM_ATTRS + 1];
    uint8_t n_order;
} loom_attrs;

void loom_attrs_init(loom_attrs *a);                 /* nothing present, all defaults */
void loom_attrs_put(loom_attrs *a, loom_attr which); /* marks as present, last in the order */
bool loom_attrs_has(const loom_attrs *a, loom_attr which);
void loom_attrs_render(loom_buf *into, const loom_attrs *a); /* no line end */
/* Tolerant reading (generation and validation, section 3): empty parts are skipped, unknown names ignored, the last of
 * a repeated name wins. Strings are copied into `arena`. NULL on success, else a constant or arena text saying why not
 * (the free text of code 14). */
const char *loom_attrs_parse(loom_attrs *out, const char *text, size_t len, loom_arena *arena);

/* ---- lines ---- */
typedef enum loom_line_kind {
    /* items of an edge, in listed order */
    LOOM_ITEM_EDGE_ID,
    LOOM_ITEM_TYPE,
    LOOM_ITEM_SOURCE,
    LOOM_ITEM_DESTINATION,
    LOOM_ITEM_START,
    LOOM_ITEM_FINISH,
    /* conditions of a plain layer, in listed order */
    LOOM_LINE_NO_NUM_EDGES,
    LOOM_LINE_FIRST_EDGE_ID,
    LOOM_LINE_FIRST_START,
    LOOM_LINE_START_WITHIN,
    LOOM_LINE_FINISH_WITHIN,
    LOOM_LINE_DISTRIBUTIONS,
    LOOM_LINE_SUBGRAPHS_IF_NEEDED,
    LOOM_LINE_SUBGRAPHS,
    LOOM_LINE_NO_SUBGRAPHS,
    LOOM_LINE_NO_DEPTH,
    LOOM_LINE_NUM_EDGES,
    LOOM_LINE_INCLUDE,
    LOOM_LINE_HIGH_LATENCY,
    LOOM_LINE_START_BEFORE_FINISH,
    LOOM_LINE_COPY_CALLER,
    LOOM_LINE_LATENCY_FROM, /* high latency, with the bound that makes it one */
    /* of a split */
    LOOM_LINE_SPLIT,
    LOOM_LINE_SPLIT_START_NODE,
    LOOM_LINE_SPLIT_LATENCY,
    LOOM_LINE_SPLIT_START,
    /* of a subgraph, in listed order */
    LOOM_LINE_SUB_NUM_EDGES,
    LOOM_LINE_SUB_DEPTH,
    LOOM_LINE_SUB_SPLIT_DEPTH,
    LOOM_LINE_SUB_START_NODE,
    /* counting, in order of appearance */
    LOOM_LINE_COUNTED,
    LOOM_LINE_OUT_OF,
    LOOM_LINE_REMAINING,
    LOOM_LINE_NOW_REMAINING,
    LOOM_LINES
} loom_line_kind;
#define LOOM_ITEMS (LOOM_ITEM_FINISH + 1)
/* Conditions of a plain layer and of a split. */
#define LOOM_LINE_PLAIN_FIRST LOOM_LINE_NO_NUM_EDGES
#define LOOM_LINE_PLAIN_LAST  LOOM_LINE_LATENCY_FROM
#define LOOM_LINE_SPLIT_LAST  LOOM_LINE_SPLIT_START

typedef struct loom_line {
    loom_line_kind kind;
    const char *name[3]; /* values of the '@' holes, in order */
    int64_t num[3];      /* values of the '#' holes, in order */
} loom_line;

#define LOOM_TEXT_IS   " is "          /* between the word of an item and its value */
#define LOOM_TEXT_AT   " at"           /* ends the word of a time, which a blank follows */
#define LOOM_TEXT_UNIT " milliseconds" /* behind a time */
/* By what a reader knows an item: "edge_id", "communication starts at". */
extern const char *const loom_item_words[LOOM_ITEMS];
extern const char *const loom_line_templates[LOOM_LINES];
void loom_line_render(loom_buf *into, const loom_line *line); /* no line end */
/* Exact match of the whole text against one template. Names are copied into `arena`; `out` is untouched on false.
 * Integers are [-]digits without leading zeros, so that rendering gives the same text back. */
bool loom_line_match(loom_line *out, loom_line_kind kind, const char *text, size_t len, loom_arena *arena);
/* The first line that asks for a call; *line_len: its bytes, without the LF. NULL: the text has none. */
const char *loom_text_include_line(const char *text, size_t len, size_t *line_len);
/* The same against kinds first..last; the first that matches. */
bool loom_line_match_any(loom_line *out, loom_line_kind first, loom_line_kind last, const char *text, size_t len,
                         loom_arena *arena);

/* ---- edge text ----
 * Names are texts because generated ones may be anything. edge_id is the last component of the dotted id in layers,
 * the whole dotted id in tabular text and in collected graphs. finish = arrived + rt. */
typedef struct loom_edge_text {
    const char *edge_id, *type, *source, *destination; /* source "" where the text has none */
    int64_t start, finish;                             /* ms */
    uint8_t order[LOOM_ITEMS];                         /* printed items, LOOM_ITEM_... */
    uint8_t n_items;                                   /* 6 tabular, 5 in layers */
} loom_edge_text;

void loom_edge_render(loom_buf *into, const loom_edge_text *e); /* "(...)", no line end */
/* Exact inverse of loom_edge_render: every item once, all six or all but source. False otherwise. */
bool loom_edge_match(loom_edge_text *out, const char *text, size_t len, loom_arena *arena);

#endif
