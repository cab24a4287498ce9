/* The spans of one trace as a tree: who is whose parent, and which span is the first. */
#ifndef LOOM_READERS_SPANS_SPAN_TREE_H
#define LOOM_READERS_SPANS_SPAN_TREE_H

#include "core/arena.h"
#include "core/hash.h"
#include "readers/spans/span.h"

enum { LOOM_NODE_FIRST = -1, LOOM_NODE_NO_PARENT = -2 }; /* in place of a parent: none named; named, but not there */

typedef struct loom_span_node {
    const loom_span *span;
    int32_t parent;         /* node, or one of the above */
    int32_t child, next;    /* first child, next sibling; -1 none; siblings in the order of the file */
    bool seen;              /* for the walk, as are all below */
    bool covered;           /* the call that its span would show is shown by spans below */
    int32_t call;           /* call that is on when its children start, -1 none */
    int32_t shows;          /* how many calls its span shows: has timed */
    int32_t implied;        /* call of this span that only its children show, -1 none */
    const char *implied_in; /* the service it enters */
    const char *in;         /* service that its children start from */
} loom_span_node;

typedef struct loom_span_tree {
    loom_span_node *nodes; /* spans that are there (not lost, not repeated), in the order of the file */
    int32_t n;
    int32_t root;       /* -1: none, or more than one could be */
    bool root_orphaned; /* its parent is named and not there */
    int32_t orphans;    /* nodes whose parent is not there, without the root */
    int32_t repeated;   /* spans whose id was there */
    const loom_span *first_repeated;
} loom_span_tree;

/* Arrays live in `arena`; `ids` is emptied and filled. */
loom_status loom_span_tree_build(loom_span_tree *t, const loom_span *const *spans, int64_t n, loom_arena *arena,
                                 loom_intern *ids, loom_err *err);

#endif
