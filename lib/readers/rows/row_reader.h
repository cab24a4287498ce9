/* From CSV text to compact rows: which lines are kept, which are dropped and why (docs/VALIDITY.md section 1).
 *
 * One loom_row_reader per thread. Names, trace ids and call ids are interned per thread; a kept row is 40 bytes.
 * Rows stand in chunks that never move; a segment says which rows of a chunk came from which block, so that the order
 * of the file can be told afterwards whatever thread read a block. */
#ifndef LOOM_READERS_ROWS_ROW_READER_H
#define LOOM_READERS_ROWS_ROW_READER_H

#include "core/hash.h"
#include "readers/rows/csv.h"
#include "trace/graph/callgraph.h"

/* Columns that are used. */
typedef enum loom_column {
    LOOM_COLUMN_TIMESTAMP,
    LOOM_COLUMN_TRACEID,
    LOOM_COLUMN_SERVICE,
    LOOM_COLUMN_RPC_ID,
    LOOM_COLUMN_RPCTYPE,
    LOOM_COLUMN_UM,
    LOOM_COLUMN_DM,
    LOOM_COLUMN_RT,
    LOOM_COLUMNS
} loom_column;

/* Why a row is dropped: the first of these that holds. */
typedef enum loom_drop {
    LOOM_DROP_BAD_FIELD_COUNT, /* more fields than the header */
    LOOM_DROP_BAD_QUOTES,
    LOOM_DROP_BAD_BYTES,
    LOOM_DROP_LINE_TOO_LONG,
    LOOM_DROP_TYPE_NOT_LISTED,
    LOOM_DROP_UM_UNKNOWN,
    LOOM_DROP_DM_UNKNOWN,
    LOOM_DROP_RT_NULL,
    LOOM_DROP_BAD_RT,
    LOOM_DROP_BAD_TIMESTAMP,
    LOOM_DROP_NO_TRACEID,
    LOOM_DROP_NO_SERVICE,
    LOOM_DROP_BAD_RPC_ID,
    LOOM_DROP_NO_UM,
    LOOM_DROP_NO_DM,
    LOOM_DROP_BAD_NAME, /* a name that cannot stand in a record */
    LOOM_DROPS,
    LOOM_DROP_NONE = LOOM_DROPS
} loom_drop;

const char *loom_drop_name(loom_drop drop); /* "BAD_FIELD_COUNT" */

#define LOOM_TYPE_MAPS_MAX 64

typedef struct loom_type_map {
    const char *from;
    size_t from_len;
    loom_call_type to;
} loom_type_map;

/* How rows are read; shared by all threads. */
typedef struct loom_row_reader_rules {
    int32_t column[LOOM_COLUMNS]; /* index in the line, -1: absent (only SERVICE may be) */
    int32_t n_columns;            /* of the header */
    loom_type_map type_maps[LOOM_TYPE_MAPS_MAX];
    int32_t n_type_maps;
    bool any_case;     /* "RPC" counts as "rpc" */
    bool free_names;   /* names will be replaced: white space and bars are fine */
    bool keep_dropped; /* remember every dropped row for a listing */
} loom_row_reader_rules;

/* "UNKNOWN=rpc,GRPC=rpc" into rules; the text must outlive them. */
loom_status loom_type_maps_parse(loom_row_reader_rules *rules, const char *text, loom_err *err);
/* Finds the columns in a header record. With `service_optional` the service column may be absent. `place` names the
 * file in messages. */
loom_status loom_row_reader_columns(loom_row_reader_rules *rules, const loom_csv *header, bool service_optional,
                                    const char *place, loom_err *err);

/* Set of texts with numbers 0, 1, 2, ...: 4 to 6 bytes, while texts are added 5 to 11 more, and the text for each. */
typedef struct loom_texts {
    uint32_t *slots;   /* number + 1; open addressing, power of two */
    uint32_t *offsets; /* of text n: block << 20 | position */
    char **blocks;     /* 1 MiB each */
    size_t n_slots, n, cap, n_blocks, used;
} loom_texts;

#define LOOM_TEXTS_FULL UINT32_MAX
/* The number of the text; LOOM_TEXTS_FULL, and nothing added, where it is new and 4 GiB of texts are there already.
 * len < 4096. */
uint32_t loom_texts_add(loom_texts *t, const char *text, size_t len);
loom_status loom_texts_fail(const char *place, loom_err *err); /* says that trace ids were LOOM_TEXTS_FULL */
void loom_texts_seal(loom_texts *t);                           /* no more texts will come: lets go of what finds them */
int64_t loom_texts_bytes(const loom_texts *t);                 /* memory held */
static inline const char *loom_texts_at(const loom_texts *t, uint32_t n)
{
    return t->blocks[t->offsets[n] >> 20] + (t->offsets[n] & 0xfffff);
}
void loom_texts_release(loom_texts *t);

typedef struct loom_raw_row {
    int64_t timestamp, rt;
    uint32_t trace, service, id, source, destination; /* numbers in the tables of the thread that read the row */
    uint32_t type;
} loom_raw_row;

#define LOOM_CHUNK_ROWS 65536
typedef struct loom_chunk {
    loom_raw_row *rows; /* (LOOM_CHUNK_ROWS) */
    int32_t n, thread;
} loom_chunk;

/* Rows first .. first + n - 1 of a chunk came from block `block`. */
typedef struct loom_segment {
    int64_t block;
    uint32_t chunk;
    int32_t first, n;
} loom_segment;

typedef struct loom_dropped {
    int64_t block, line; /* line within the block, from 0 */
    loom_drop why;
    uint32_t trace; /* UINT32_MAX: not known */
} loom_dropped;

typedef struct loom_drop_count {
    int64_t n, first_block, first_line; /* of the first such row; first_block -1: none */
} loom_drop_count;

/* Chunks of all threads, numbered; add under a lock. */
typedef struct loom_chunks {
    loom_chunk *items;
    size_t n, cap;
} loom_chunks;

/* A small direct-mapped cache in front of a table of texts: rows that stand near each other name the same things, and
 * an entry holds the whole of a short text, so a hit costs one cache line instead of a walk through a large table. */
#define LOOM_QUICK_ENTRIES 4096
#define LOOM_QUICK_BYTES   24
typedef struct loom_quick {
    struct loom_quick_entry {
        uint64_t words[LOOM_QUICK_BYTES / 8]; /* the text, filled up with zeros */
        uint32_t len;                         /* 0: empty */
        uint32_t number;
    } entries[LOOM_QUICK_ENTRIES];
} loom_quick;

typedef struct loom_row_reader {
    const loom_row_reader_rules *rules;
    loom_csv csv;
    int32_t thread;
    loom_texts traces;
    loom_intern services, names, ids;
    unsigned char *id_ok; /* by id number */
    unsigned char *service_ok, *name_ok;
    size_t cap_id_ok, cap_service_ok, cap_name_ok;
    loom_segment *segments;
    size_t n_segments, cap_segments;
    loom_dropped *dropped;
    size_t n_dropped, cap_dropped;
    int64_t rows, kept, short_rows, blank_lines, other_case;
    loom_drop_count drops[LOOM_DROPS];
    loom_intern unlisted; /* types that were not listed, and how often */
    int64_t *unlisted_counts;
    size_t cap_unlisted;
    loom_quick *quick;  /* (4): traces, services, names, ids */
    loom_raw_row *room; /* where the next row goes, room_left of them */
    int32_t room_left;
    uint32_t room_chunk;
} loom_row_reader;

/* What a row reader needs from the outside when its chunk is full: a new chunk's number and rows (locked inside). */
typedef struct loom_chunk_source {
    loom_status (*take)(void *arg, int32_t thread, uint32_t *chunk, loom_raw_row **rows, loom_err *err);
    void *arg;
    const char *place; /* the table, for messages */
} loom_chunk_source;

loom_status loom_row_reader_init(loom_row_reader *t, const loom_row_reader_rules *rules, int32_t thread, loom_err *err);
void loom_row_reader_release(loom_row_reader *t);
/* Reads the records that start in the first `whole` of `len` bytes (see loom_csv_reader_block). *n_lines is set to the
 * lines they take. The number of rows written to each chunk is in the segments. */
loom_status loom_row_reader_block(loom_row_reader *t, const char *text, size_t whole, size_t len, bool last,
                                  int64_t block, int64_t *n_lines, const loom_chunk_source *chunks, loom_err *err);

/* Is this one of the spellings of "no value" (empty, NA, NaN, null, None, ...)? */
bool loom_is_null_text(const char *text, size_t len);
/* Milliseconds as a decimal number, truncated toward zero; false when it is not one or is out of range. */
bool loom_parse_ms(const char *text, size_t len, int64_t *ms);

#endif
