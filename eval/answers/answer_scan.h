/* Lines of answers and prompts files as we write them, read without building a tree: about ten times as fast as a
 * general JSON reader. What is not written that way (other keys, escapes by number, bytes beyond ASCII, anything
 * wrong) is left to the general reader, whose verdict and messages hold: eval/answers/answers.c tries this one
 * first. */
#ifndef LOOM_EVAL_ANSWER_SCAN_H
#define LOOM_EVAL_ANSWER_SCAN_H

#include "core/arena.h"
#include "eval/answers/answer.h"

/* True: *out is what loom_answer_parse_general gives. False: use that; *out may be changed. Texts live in `arena`. */
bool loom_answer_scan(loom_answer *out, const char *line, size_t len, loom_arena *arena);

/* What an accuracy grid needs of a line of a prompts file. */
typedef struct loom_prompt_line {
    int64_t id, edges, depth;  /* -1: not there */
    const char *mode, *prompt; /* NULL: not there */
    size_t prompt_len;
} loom_prompt_line;

/* The same for these. */
bool loom_prompt_scan(loom_prompt_line *out, const char *line, size_t len, loom_arena *arena);

#endif
