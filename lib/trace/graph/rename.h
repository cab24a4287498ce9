/* Names to numbers: private names become MS_n and S_n, and the mapping is kept in a file.
 *
 *   MS_00001<TAB>cart-service
 *   S_000000001<TAB>frontend:/api/cart
 *
 * Lines that begin with "#" are kept, in front. Names are written as loom_quote does it (core/escape.h), so that
 * the file can be shown in a terminal.
 *
 * Every name but USER gets a number, so that no number can be taken twice. With keep_ids, MS_n and S_n keep theirs
 * unless another name has it already; they stand in the mapping as well, so that it stays theirs. A mapping file that
 * exists is read first and goes on growing, so that several runs agree. New names are numbered in byte order, file by
 * file: the result does not depend on threads. */
#ifndef LOOM_TRACE_GRAPH_RENAME_H
#define LOOM_TRACE_GRAPH_RENAME_H

#include "core/buf.h"
#include "core/hash_set.h"
#include "trace/graph/callgraph.h"

typedef enum loom_rename_kind { LOOM_RENAME_MICROSERVICE, LOOM_RENAME_SERVICE, LOOM_RENAME_KINDS } loom_rename_kind;

typedef struct loom_rename {
    loom_intern names[LOOM_RENAME_KINDS]; /* names in the order of their places in `numbers` */
    int64_t *numbers[LOOM_RENAME_KINDS];
    size_t cap[LOOM_RENAME_KINDS];
    int64_t next[LOOM_RENAME_KINDS];
    loom_hash_set taken[LOOM_RENAME_KINDS], kept[LOOM_RENAME_KINDS]; /* numbers; those of names that keep them */
    loom_buf remarks;                                                /* lines that begin with "#", with their ends */
    bool keep_ids;                                                   /* set before anything is read or added */
    int64_t n_changed; /* names that are written otherwise than they were */
} loom_rename;         /* zero-initialised is ready */

/* Reads a mapping file; a file that does not exist is an empty mapping. */
loom_status loom_rename_load(loom_rename *r, const char *path, loom_err *err);
/* The whole file as text. */
void loom_rename_render(const loom_rename *r, loom_buf *into);
/* Gives numbers to the names that have none, in byte order. `names` (n) is sorted in place. */
bool loom_rename_add(loom_rename *r, loom_rename_kind kind, const char **names, size_t n);
/* A number of the caller's choice for a name that has none; whether another name has it is the caller's to ask. */
bool loom_rename_set(loom_rename *r, loom_rename_kind kind, const char *name, int64_t number);
bool loom_rename_has(const loom_rename *r, loom_rename_kind kind, int64_t number);
/* Appends "MS_00012" or "S_000000003" for a name that was added, "USER" for USER. */
void loom_rename_append(const loom_rename *r, loom_rename_kind kind, const char *name, loom_buf *into);
/* The same names in a graph: the names of a copy of `g` are exchanged, its texts live in `arena`. False: no memory. */
bool loom_rename_graph(const loom_rename *r, loom_graph *g, loom_arena *arena);
void loom_rename_release(loom_rename *r);

#endif
