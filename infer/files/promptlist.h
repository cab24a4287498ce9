/* What to generate: prompts from a file of `loom-eval prompts` or a published one, like the graphs of a store, or
 * from wishes typed in.
 *
 *   loom_prompts p = {0};
 *   LOOM_TRY(loom_prompts_read(&p, "cells.prompts.jsonl", &(loom_prompts_how){.mode = LOOM_MODES}, err));
 *   use(p.items, p.n);
 *   loom_prompts_release(&p); */
#ifndef LOOM_INFER_PROMPTLIST_H
#define LOOM_INFER_PROMPTLIST_H

#include "core/arena.h"
#include "infer/loop/generate.h"
#include "trace/graph/stats.h"

typedef struct loom_prompts {
    loom_gen_prompt *items;
    int64_t n;
    size_t cap;
    loom_arena arena; /* texts */
} loom_prompts;       /* zero-initialised is ready */

void loom_prompts_release(loom_prompts *p);

typedef struct loom_prompts_how {
    loom_mode mode;      /* only prompts of that mode are taken; LOOM_MODES: all */
    bool match_training; /* published records: sent like training text, not as they stand */
    bool drop_last;      /* published records: without the last of each file, as the public program
                            (docs/VALIDITY.md section 9) */
} loom_prompts_how;

/* Appends the prompts of a file, or of all files in an archive, in one of two formats: lines of `loom-eval prompts`
 * (*.prompts.jsonl), or published records, each from a line with "### Question:" to the next one. A record says its
 * mode itself: "Requirements:" instruction, an attribute depth tabular, else recursive. FORMAT errors name file and
 * line. */
loom_status loom_prompts_read(loom_prompts *p, const char *path, const loom_prompts_how *how, loom_err *err);

/* A wish: -1 (or NULL, false) where it says nothing. */
typedef struct loom_wish {
    const char *service;
    const char *start_node; /* caller of the first call; NULL: USER. Not tabular */
    int64_t edges, depth, latency;
    int64_t children;     /* layers below the first call, 0 or 1. Not tabular */
    const char *include;  /* "CALLER,CALLEE,TYPE": a call the graph must have. Instruction only */
    bool high_latency;    /* Instruction only */
    int64_t latency_from; /* ms, at least: high latency with its bound; 0: not said. Instruction only */
} loom_wish;

/* Appends n prompts that ask for the wish, with conditions in an order of their own. ARG when no graph can be like
 * it, or when the mode cannot ask for it. */
loom_status loom_prompts_wish(loom_prompts *p, const loom_wish *wish, loom_mode mode, bool match_training, int64_t n,
                              uint64_t seed, loom_err *err);

/* The prompts for `count` graphs of a wish. Where it names no service, each has one drawn from those of `names`, as
 * often as they have graphs; prompts of one service share their text. *samples: graphs for each prompt. */
loom_status loom_prompts_ask(loom_prompts *p, const loom_wish *wish, const loom_names *names, loom_mode mode,
                             bool match_training, int64_t count, uint64_t seed, int64_t *samples, loom_err *err);

/* Appends one prompt for each graph of a store, attributes and conditions drawn as in training. `stats` (NULL: none)
 * tells high latencies and uncommon calls. `limit` graphs at most; 0: all. */
loom_status loom_prompts_like(loom_prompts *p, const char *store, const loom_stats *stats, loom_mode mode,
                              bool match_training, int64_t limit, uint64_t seed, loom_err *err);

#endif
