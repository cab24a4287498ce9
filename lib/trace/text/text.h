/* Text of call graphs: the model of one sample, and its two inverse functions (docs/FORMATS.md, encoded text).
 *
 * A text holds everything that a rendering needs, the random orders included: order of attributes, of edge items, of
 * condition lines, of subgraphs. trace/encode.h fills it from a graph; loom_text_parse fills it from published text,
 * and rendering gives the same bytes back. The tolerant reading of what a model generated is trace/parse.h. */
#ifndef LOOM_TRACE_TEXT_TEXT_H
#define LOOM_TRACE_TEXT_TEXT_H

#include "trace/text/grammar.h"

typedef struct loom_sub_text {
    const char *index; /* "<subgraph of edge_id INDEX>" */
    loom_attrs attrs;
    const loom_line *lines; /* "Subgraph constraints", instruction mode with counting */
    int32_t n_lines;
} loom_sub_text;

typedef struct loom_block {
    loom_attrs req;
    bool generate; /* [GENERATE GRAPH] in front (tabular, recursive) */
    bool split;
    bool counted;           /* instruction: with the intermediate instructions */
    bool finish;            /* instruction: " ### Finish" at the end */
    int64_t total;          /* counted: num_edges of the layer, also when the attribute is not shown */
    const loom_line *conds; /* instruction: condition lines in printed order; of a split: its four lines */
    int32_t n_conds;
    const loom_edge_text *edges;
    int32_t n_edges;
    const loom_sub_text *subs;
    int32_t n_subs;
} loom_block;

/* One sample: a tabular graph (one block), a recursive graph (a block per layer), an instruction layer (one block). */
typedef struct loom_text {
    loom_mode mode;
    const loom_block *blocks;
    int32_t n_blocks;
} loom_text;

/* Appends the sample. Tabular and recursive samples end with LF, as does an instruction sample without finish line;
 * one with it ends after " ### Finish". */
void loom_text_render(loom_buf *into, const loom_text *text);
/* The question of an instruction block, the LF that ends its last line included; in a sample follow an empty line and
 * LOOM_TEXT_ANSWER LF. */
void loom_text_render_question(loom_buf *into, const loom_block *block);

/* Exact reading of one sample, white space at the end aside; a FORMAT error names the line (from 1) and what was
 * expected there. Everything lives in `arena`. */
loom_status loom_text_parse(loom_text *out, loom_mode mode, const char *text, size_t len, loom_arena *arena,
                            loom_err *err);

#endif
