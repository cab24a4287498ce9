/* Tolerant reading of what a model generated (docs/VALIDITY.md section 4).
 *
 *   loom_parsed p;
 *   loom_parse_answer(&p, LOOM_MODE_INSTRUCTION, prompt, prompt_len, text, text_len, &arena);
 *   if (!p.ok) ... p.why                                   code 14 and nothing else
 *
 * Nothing here fails or crashes on any bytes; what cannot be read is a verdict, not an error. */
#ifndef LOOM_TRACE_TEXT_PARSE_H
#define LOOM_TRACE_TEXT_PARSE_H

#include "trace/text/grammar.h"

typedef struct loom_parsed_sub {
    const char *index; /* edge index as written */
    const char *text;  /* attribute list as written, becomes the child's request */
    loom_attrs attrs;
} loom_parsed_sub;

typedef struct loom_parsed {
    loom_mode mode;
    bool ok;
    const char *why;      /* !ok: free text of code 14 */
    const char *req_text; /* attribute list of the prompt as written, [GENERATE GRAPH] removed */
    loom_attrs req;
    loom_edge_text *edges; /* source = start_node of the request (tabular: as written) */
    int32_t n_edges;
    loom_parsed_sub *subs;
    int32_t n_subs;
    /* seen on the way, for the paper's rules */
    bool split; /* the answer opens with <split> */
    bool edges_opened, edges_closed;
    int32_t odd_lines;    /* non-empty lines among the edges that are no edges */
    int32_t missing_subs; /* <subgraph ...> without </subgraph> or the reverse */
} loom_parsed;

/* Prompt and generated text (stop string removed). Everything lives in `arena`. */
void loom_parse_answer(loom_parsed *out, loom_mode mode, const char *prompt, size_t prompt_len, const char *text,
                       size_t text_len, loom_arena *arena);

/* The request alone: attribute list of a prompt, and the include lines it hands down. NULL on success, else why not. */
typedef struct loom_parsed_prompt {
    const char *req_text;
    loom_attrs req;
    const char **includes; /* whole lines */
    int32_t n_includes;
} loom_parsed_prompt;
const char *loom_parse_prompt(loom_parsed_prompt *out, loom_mode mode, const char *prompt, size_t len,
                              loom_arena *arena);

#endif
