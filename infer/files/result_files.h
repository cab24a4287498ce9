/* Results of a generation run into files: raw answers (JSON lines), valid graphs (graph store), the same as rows
 * (Alibaba CSV). All of them appear whole or not at all.
 *
 *   loom_result_files r = {0};
 *   LOOM_TRY(loom_result_files_open(&r, &conf, err));
 *   LOOM_TRY(loom_generate(..., loom_result_files_keep, &r, ...));
 *   LOOM_TRY(loom_result_files_commit(&r, &meta, ctx, err));            else loom_result_files_abandon(&r) */
#ifndef LOOM_INFER_RESULT_FILES_H
#define LOOM_INFER_RESULT_FILES_H

#include "core/meta.h"
#include "infer/files/resume_log.h"
#include "infer/loop/generate.h"

typedef struct loom_result_files_conf {
    const char *answers, *records, *csv; /* paths; NULL: not wanted */
    bool force;
    bool safe_csv;           /* rows for spreadsheets (core/csv_cell.h) */
    bool resume;             /* keep answers in FILE.partial while running, and go on from there */
    loom_hash128 run;        /* resume: what the results depend on */
    bool only_correct;       /* records and rows of graphs that also meet their request */
    const loom_names *known; /* ... and call none but these microservices; NULL: any */
    double temperature;      /* written into every answer */
    int64_t seed;
    int64_t first; /* place of the first result in the whole run (of a shard); trace ids of rows count from it */
    const char *constrain; /* "off", "syntax", "full" */
} loom_result_files_conf;

#define LOOM_RESULT_FILES 3

typedef struct loom_result_files {
    loom_result_files_conf conf;
    loom_buf away[LOOM_RESULT_FILES]; /* on ranks but 0: answers, records, rows for rank 0 to write (result_ranks.h) */
    loom_out *answers, *records, *csv;
    loom_resume_log *partial; /* with resume: takes the place of `answers` until commit */
    int64_t n_resumed;        /* results that were there */
    loom_buf line;
    int64_t number;   /* results seen, those that were there included */
    int64_t n_graphs; /* in records and rows */
} loom_result_files;

/* With resume: graphs of the results that are there are judged and written again; generate the others. */
loom_status loom_result_files_open(loom_result_files *r, const loom_result_files_conf *conf, loom_err *err);
loom_status loom_result_files_keep(void *results, const loom_gen_result *result, loom_err *err); /* a loom_gen_keep */
/* All files with their PATH.meta.json, or none. */
loom_status loom_result_files_commit(loom_result_files *r, const loom_meta *meta, const loom_ctx *ctx, loom_err *err);
void loom_result_files_abandon(loom_result_files *r); /* after commit: nothing happens */

/* One line of an answers file, LF included: layers in pre-order. */
void loom_answer_line(loom_buf *into, const loom_result_files_conf *conf, const loom_gen_result *result);

#endif
