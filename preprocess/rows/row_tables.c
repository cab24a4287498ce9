#include "preprocess/rows/row_tables.h"

#include <stdlib.h>
#include <string.h>

#include "core/num.h"
#include "core/usage.h"
#include "core/utf8.h"

enum { CHUNKS_MAX = 65536 }; /* 16 bits of a ref */

loom_status loom_row_tables_init(loom_row_tables *t, const loom_row_tables_conf *conf, loom_err *err)
{
    *t = (loom_row_tables){.conf = *conf, .n_threads = loom_pool_threads(conf->pool)};
    pthread_mutex_init(&t->lock, NULL);
    t->readers = loom_calloc((size_t)t->n_threads, sizeof *t->readers);
    if (!t->readers) return loom_fail_nomem(err, "reading a file");
    for (int i = 0; i < t->n_threads; i++) LOOM_TRY(loom_row_reader_init(&t->readers[i], conf->rules, i, err));
    return LOOM_OK;
}

void loom_row_tables_release(loom_row_tables *t)
{
    for (int i = 0; t->readers && i < t->n_threads; i++) loom_row_reader_release(&t->readers[i]);
    for (size_t i = 0; i < t->chunks.n; i++) free(t->chunks.items[i].rows);
    for (size_t i = 0; i < t->n; i++) free(t->items[i].place);
    free(t->readers);
    free(t->chunks.items);
    free(t->blocks);
    free(t->items);
    loom_csv_reader_release(&t->csv);
    pthread_mutex_destroy(&t->lock);
}

const char *loom_row_tables_place(const loom_row_tables *t) { return t->items[t->n - 1].place; }

/* ---- headers ---- */

static loom_status bad_header(const loom_row_tables *t, loom_csv_kind kind, loom_err *err)
{
    const char *place = loom_row_tables_place(t);
    if (kind == LOOM_CSV_END)
        return loom_fail(
            err, LOOM_STATUS_FORMAT,
            "%s: the file is empty; expected traces: a CSV file whose first line names its columns, or JSON", place);
    return loom_fail(
        err, LOOM_STATUS_FORMAT,
        "%s: line 1: not a CSV file, nor JSON or an archive with files in it (the first line is %s); give a table "
        "whose first line names its columns, or JSON, plain, .gz, .zst, .xz or in a tar file; unpack others",
        place,
        kind == LOOM_CSV_BAD_QUOTES                          ? "not closed by its quotes"
        : kind == LOOM_CSV_TOO_LONG || kind == LOOM_CSV_MORE ? "longer than 1 MiB"
                                                             : "binary data");
}

static loom_status read_header(loom_row_tables *t, loom_err *err)
{
    loom_csv csv = {0};
    loom_csv_kind kind;
    loom_row_reader_rules *rules = t->conf.rules;
    loom_status st = loom_csv_reader_header(&t->csv, &csv, &kind, &t->items[t->n - 1].header_lines, err);
    if (st == LOOM_OK && (kind != LOOM_CSV_RECORD || !loom_utf8_valid(t->csv.carry.data, t->csv.used)))
        st = bad_header(t, kind, err);
    if (st == LOOM_OK)
        st = loom_row_reader_columns(rules, &csv, t->conf.service_optional, loom_row_tables_place(t), err);
    if (st == LOOM_OK && t->conf.service_optional) rules->column[LOOM_COLUMN_SERVICE] = -1;
    loom_csv_release(&csv);
    return st;
}

loom_status loom_row_tables_open(loom_row_tables *t, loom_in *in, const char *path, loom_err *err)
{
    const char *member = loom_in_member(in);
    loom_buf place = {0};
    LOOM_TRY(loom_grow(&t->items, &t->cap, t->n + 1, sizeof *t->items, err));
    loom_buf_str(&place, strcmp(path, "-") == 0 ? "standard input" : path);
    if (member[0]) loom_buf_printf(&place, "(%s)", member);
    char *text = loom_buf_take(&place);
    if (!text) return loom_fail_nomem(err, "a file name");
    t->items[t->n++] = (loom_row_table){.place = text};
    loom_csv_reader_release(&t->csv);
    t->csv = (loom_csv_reader){.in = in};
    return read_header(t, err);
}

/* ---- rows ---- */

static void fail_table(loom_row_tables *t, loom_status st, const loom_err *err)
{
    pthread_mutex_lock(&t->lock);
    if (t->status == LOOM_OK) {
        t->status = st;
        t->err = *err;
    }
    t->stopping = true;
    pthread_mutex_unlock(&t->lock);
}

static loom_status take_chunk(void *arg, int32_t thread, uint32_t *chunk, loom_raw_row **rows, loom_err *err)
{
    loom_row_tables *t = arg;
    loom_status st = LOOM_OK;
    loom_raw_row *fresh = loom_alloc(LOOM_CHUNK_ROWS, sizeof *fresh);
    if (!fresh) return loom_fail_nomem(err, "the rows of a file");
    pthread_mutex_lock(&t->lock);
    loom_chunks *c = &t->chunks;
    if (c->n >= CHUNKS_MAX)
        st = loom_fail(err, LOOM_STATUS_FORMAT, "%s: more than 4 billion rows; split the file",
                       loom_row_tables_place(t));
    else st = loom_grow(&c->items, &c->cap, c->n + 1, sizeof *c->items, err);
    if (st == LOOM_OK) {
        c->items[c->n] = (loom_chunk){fresh, 0, thread};
        *chunk = (uint32_t)c->n++;
        *rows = fresh;
    }
    pthread_mutex_unlock(&t->lock);
    if (st != LOOM_OK) free(fresh);
    return st;
}

/* The next block of the file; *whole is 0 at the end. */
static loom_status next_block(loom_row_tables *t, loom_buf *block, size_t *whole, bool *last, int64_t *number,
                              loom_err *err)
{
    loom_status st = LOOM_OK;
    *whole = 0;
    pthread_mutex_lock(&t->lock);
    if (!t->stopping) {
        st = loom_csv_reader_block(&t->csv, block, whole, last, err);
        if (st == LOOM_OK && *whole) {
            st = loom_grow(&t->blocks, &t->cap_blocks, t->n_blocks + 1, sizeof *t->blocks, err);
            if (st == LOOM_OK) {
                t->blocks[t->n_blocks] = (loom_row_block){.table = (uint32_t)t->n - 1};
                *number = (int64_t)t->n_blocks++;
            }
        }
        if (t->conf.progress) t->conf.progress(t->conf.progress_arg, t->conf.bytes_before + t->bytes + t->csv.bytes);
    }
    pthread_mutex_unlock(&t->lock);
    return st;
}

static void read_blocks(void *arg, int thread, int n_threads)
{
    loom_row_tables *t = arg;
    loom_buf block = {0};
    loom_err err;
    loom_status st = LOOM_OK;
    loom_chunk_source source = {take_chunk, t, loom_row_tables_place(t)};
    (void)n_threads;
    while (st == LOOM_OK) {
        bool last = false;
        int64_t number = 0, lines = 0;
        size_t whole;
        if ((st = next_block(t, &block, &whole, &last, &number, &err)) != LOOM_OK || whole == 0) break;
        st = loom_row_reader_block(&t->readers[thread], block.data, whole, block.len, last, number, &lines, &source,
                                   &err);
        pthread_mutex_lock(&t->lock); /* the array may move while other threads read blocks */
        t->blocks[number].n_lines = lines;
        pthread_mutex_unlock(&t->lock);
    }
    if (st != LOOM_OK) fail_table(t, st, &err);
    loom_buf_release(&block);
}

loom_status loom_row_tables_read(loom_row_tables *t, loom_in *in, const char *path, loom_err *err)
{
    LOOM_TRY(loom_row_tables_open(t, in, path, err));
    for (int i = 0; i < t->n_threads; i++) t->readers[i].csv.n_columns = t->conf.rules->n_columns;
    double start = loom_time_now();
    loom_pool_each(t->conf.pool, read_blocks, t);
    t->seconds += loom_time_now() - start;
    t->bytes += t->csv.bytes;
    t->csv.bytes = 0;
    if (t->status != LOOM_OK && err) *err = t->err;
    return t->status;
}

/* ---- after the last table ---- */

static void number_lines(loom_row_tables *t)
{
    int64_t line = 1;
    for (size_t i = 0; i < t->n_blocks; i++) {
        if (i == 0 || t->blocks[i].table != t->blocks[i - 1].table)
            line = 1 + t->items[t->blocks[i].table].header_lines;
        t->blocks[i].first_line = line;
        line += t->blocks[i].n_lines;
    }
}

static void count_chunk_rows(loom_row_tables *t)
{
    for (int i = 0; i < t->n_threads; i++)
        for (size_t k = 0; k < t->readers[i].n_segments; k++)
            t->chunks.items[t->readers[i].segments[k].chunk].n += t->readers[i].segments[k].n;
}

static void count_drops(const loom_row_tables *t, const loom_row_reader *reader, loom_graphs_counts *c)
{
    for (int d = 0; d < LOOM_DROPS; d++) {
        const loom_drop_count *drop = &reader->drops[d];
        c->dropped[d] += drop->n;
        if (!drop->n) continue;
        int64_t line = t->blocks[drop->first_block].first_line + drop->first_line;
        if (c->first_line[d] == 0 || line < c->first_line[d]) c->first_line[d] = line;
    }
}

loom_status loom_row_tables_finish(loom_row_tables *t, loom_graphs_counts *c, loom_graphs_report *report, loom_err *err)
{
    count_chunk_rows(t);
    number_lines(t);
    c->bytes += t->bytes;
    for (int i = 0; i < t->n_threads; i++) {
        const loom_row_reader *reader = &t->readers[i];
        c->rows += reader->rows;
        c->kept += reader->kept;
        c->short_rows += reader->short_rows;
        c->blank_lines += reader->blank_lines;
        c->other_case += reader->other_case;
        count_drops(t, reader, c);
        LOOM_TRY(loom_graphs_report_unlisted(report, reader, err));
    }
    return LOOM_OK;
}

/* A packed file is taken for ten times as much text, which CSV tables hardly reach. */
loom_status loom_row_tables_estimate(loom_row_tables *t, const char *path, int64_t *rows, bool *sure, loom_err *err)
{
    loom_buf block = {0};
    size_t whole = 0, len = strlen(path);
    loom_status st = loom_csv_reader_block(&t->csv, &block, &whole, sure, err);
    if (st == LOOM_OK && whole) {
        for (size_t i = 0; i < whole; i++) *rows += block.data[i] == '\n';
        if (!*sure) {
            double text = (double)loom_file_size(path) * (len > 4 && strcmp(path + len - 4, ".csv") == 0 ? 1 : 10);
            *rows = (int64_t)(text / (double)whole * (double)*rows);
        }
    }
    loom_buf_release(&block);
    return st;
}

loom_segment *loom_row_tables_segments(const loom_row_tables *t, size_t *n)
{
    size_t total = 0;
    for (int i = 0; i < t->n_threads; i++) total += t->readers[i].n_segments;
    loom_segment *segments = loom_alloc(total, sizeof *segments);
    size_t *first = loom_calloc(t->n_blocks + 1, sizeof *first);
    if (!segments || !first) {
        free(segments);
        free(first);
        return NULL;
    }
    for (int i = 0; i < t->n_threads; i++)
        for (size_t k = 0; k < t->readers[i].n_segments; k++) first[t->readers[i].segments[k].block + 1]++;
    for (size_t i = 0; i < t->n_blocks; i++) first[i + 1] += first[i];
    for (int i = 0; i < t->n_threads; i++) /* a block belongs to one thread, whose segments are in order */
        for (size_t k = 0; k < t->readers[i].n_segments; k++)
            segments[first[t->readers[i].segments[k].block]++] = t->readers[i].segments[k];
    free(first);
    *n = total;
    return segments;
}
