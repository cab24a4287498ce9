/* What to generate: prompts from a file of `loom-eval prompts`, like the graphs of a store, or from wishes typed in.
 *
 *   loom_prompts p = {0};
 *   LOOM_TRY(loom_prompts_read(&p, "cells.prompts.jsonl", err));
 *   use(p.items, p.n);
 *   loom_prompts_release(&p); */
#ifndef LOOM_INFER_PROMPTLIST_H
#define LOOM_INFER_PROMPTLIST_H

#include "core/arena.h"
#include "infer/generate.h"
#include "trace/stats.h"

typedef struct loom_prompts {
    loom_gen_prompt *items;
    int64_t n;
    size_t cap;
    loom_arena arena; /* texts */
} loom_prompts; /* zero-initialised is ready */

void loom_prompts_release(loom_prompts *p);

/* Appends the prompts of a *.prompts.jsonl file. `mode`: only prompts of that mode are taken; LOOM_MODES: all. FORMAT
 * errors name file and line. */
loom_status loom_prompts_read(loom_prompts *p, const char *path, loom_mode mode, loom_err *err);

/* A wish: -1 (or NULL) where it says nothing. */
typedef struct loom_wish {
    const char *service;
    int64_t edges, depth, latency;
} loom_wish;

/* Appends n prompts that ask for the wish, with conditions in an order of their own. ARG when no graph can be like it.
 */
loom_status loom_prompts_wish(loom_prompts *p, const loom_wish *wish, loom_mode mode, bool match_training, int64_t n,
                              uint64_t seed, loom_err *err);

/* Appends one prompt for each graph of a store, attributes and conditions drawn as in training. `stats` (NULL: none)
 * tells high latencies and uncommon calls. `limit` graphs at most; 0: all. */
loom_status loom_prompts_like(loom_prompts *p, const char *store, const loom_stats *stats, loom_mode mode,
                              bool match_training, int64_t limit, uint64_t seed, loom_err *err);

#endif
