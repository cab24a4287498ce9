/* The tables of names and ids of several readers joined into one, and the rows renumbered.
 *
 *   loom_row_join join = {0};
 *   LOOM_TRY(loom_row_join_make(&join, &tables, &conf, err));     after loom_row_tables_finish
 *   loom_row_join_release(&join);
 */
#ifndef LOOM_PREPROCESS_ROWS_ROW_JOIN_H
#define LOOM_PREPROCESS_ROWS_ROW_JOIN_H

#include "preprocess/rows/row_tables.h"
#include "trace/graph/rename.h"

/* Numbers of a reader's own tables to the joined ones. */
typedef struct loom_row_maps {
    uint32_t *services, *names, *ids;
    uint32_t *traces; /* NULL for reader 0, whose table the others are added to */
} loom_row_maps;

typedef struct loom_row_join_conf {
    loom_rename *rename;    /* NULL: names stay */
    bool service_from_root; /* services are named after microservices, numbered alike */
    bool keep_trace_maps;   /* the list of dropped rows asks for them */
} loom_row_join_conf;

typedef struct loom_row_join {
    loom_row_join_conf conf;
    loom_row_maps *maps; /* (n_maps), one for each reader */
    int n_maps;
    loom_texts traces;                       /* taken over from reader 0 */
    const char **names;                      /* of microservices, as they are written out */
    const char **service_raw, **service_out; /* as read and as written out */
    const char **id_texts;
    const int32_t **ids;
    int32_t *id_lens;
    loom_intern all_names, all_services, all_ids;
    loom_arena arena;  /* names and ids */
    char odd_name[64]; /* a name that the text encodings cannot carry, "" when there is none */
} loom_row_join;       /* zero-initialised may be released */

loom_status loom_row_join_make(loom_row_join *j, loom_row_tables *t, const loom_row_join_conf *conf, loom_err *err);
void loom_row_join_release(loom_row_join *j);

#endif
