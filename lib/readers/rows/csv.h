/* CSV (RFC 4180) as it occurs in traces: records out of blocks of text, blocks out of files of any size.
 *
 * One broken row loses that row only: a quote that is opened and not closed could swallow the rest of a file, so a
 * quoted field may hold line ends only if the record closes within LOOM_CSV_JOIN_LINES lines and LOOM_CSV_JOIN_BYTES
 * bytes and then has exactly as many fields as the header. Otherwise the first line alone is given back as bad.
 * What is a record depends on the text only, never on how it was cut into blocks. */
#ifndef LOOM_READERS_ROWS_CSV_H
#define LOOM_READERS_ROWS_CSV_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/file.h"

#define LOOM_CSV_MAX_LINE    (1 << 20) /* bytes; a longer line is given back as LOOM_CSV_TOO_LONG */
#define LOOM_CSV_MAX_COLUMNS 1024
#define LOOM_CSV_JOIN_LINES  16
#define LOOM_CSV_JOIN_BYTES  (16 << 10)

typedef struct loom_csv_field {
    const char *at; /* not NUL-terminated */
    size_t len;
} loom_csv_field;

typedef enum loom_csv_kind {
    LOOM_CSV_RECORD,     /* fields are in csv->fields */
    LOOM_CSV_BLANK,      /* an empty line */
    LOOM_CSV_BAD_QUOTES, /* quote not closed, or text behind a closing quote */
    LOOM_CSV_BAD_BYTES,  /* a NUL byte */
    LOOM_CSV_TOO_LONG,
    LOOM_CSV_MORE, /* the text ends within a record (only when more may follow) */
    LOOM_CSV_END
} loom_csv_kind;

/* A reader of records with its scratch; one per thread. Zero-initialise, set n_columns, release at the end. */
typedef struct loom_csv {
    int32_t n_columns; /* of the header; 0: not known yet */
    int32_t n_fields;  /* of the last record; only the first LOOM_CSV_MAX_COLUMNS are in `fields` */
    loom_csv_field fields[LOOM_CSV_MAX_COLUMNS]; /* of the last record; valid until the next one */
    loom_buf scratch;
} loom_csv;

void loom_csv_release(loom_csv *csv);
/* The next record of [*at, end); moves *at behind it and sets *n_lines to the lines it took. `last` says that the file
 * ends at `end`: its last line needs no line end. With LOOM_CSV_MORE and LOOM_CSV_END, *at stays. */
loom_csv_kind loom_csv_next(loom_csv *csv, const char **at, const char *end, bool last, int64_t *n_lines);

/* ---- blocks of whole records ---- */
#define LOOM_CSV_BLOCK (2 << 20)

typedef struct loom_csv_reader {
    loom_in *in; /* borrowed; stands at the member that is read */
    int32_t n_columns;
    loom_buf carry; /* bytes read and not given out */
    loom_csv probe;
    size_t used;   /* bytes at the front of carry that the header took */
    int64_t bytes; /* read so far */
    bool ended;
} loom_csv_reader; /* zero-initialise and set `in` */

/* Reads the first record that is not blank, a header, into csv->fields (valid until the next call on r or csv) and sets
 * n_columns of both; a byte-order mark is skipped. *kind is LOOM_CSV_END for an empty file. *n_lines: lines it took. */
loom_status loom_csv_reader_header(loom_csv_reader *r, loom_csv *csv, loom_csv_kind *kind, int64_t *n_lines,
                                   loom_err *err);
/* Fills *block (replacing what it holds); the records that start in its first *whole bytes, about LOOM_CSV_BLOCK, are
 * this block's. What stands behind them is only for loom_csv_next to look ahead, and comes again. *whole = 0 is the
 * end. *last: the member ends with the text of this block. Not thread-safe: lock around it. */
loom_status loom_csv_reader_block(loom_csv_reader *r, loom_buf *block, size_t *whole, bool *last, loom_err *err);
void loom_csv_reader_release(loom_csv_reader *r);

#endif
