/* Any bytes as a CallGraph table: no crash; every line is kept, dropped for a reason or blank; records do not depend on
 * how the text is cut. */
#include <stdlib.h>
#include <string.h>

#include "core/num.h"
#include "readers/rows/row_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) abort();
}

static loom_raw_row *rooms[64];
static uint32_t n_rooms;

static loom_status take(void *arg, int32_t thread, uint32_t *chunk, loom_raw_row **rows, loom_err *err)
{
    (void)arg;
    (void)thread;
    (void)err;
    must(n_rooms < 64);
    if (!rooms[n_rooms]) rooms[n_rooms] = malloc(LOOM_CHUNK_ROWS * sizeof **rooms);
    *rows = rooms[n_rooms];
    *chunk = n_rooms++;
    return LOOM_OK;
}

static void check_rows(const loom_row_reader *t)
{
    int64_t dropped = 0, in_segments = 0;
    for (int i = 0; i < LOOM_DROPS; i++) dropped += t->drops[i].n;
    for (size_t i = 0; i < t->n_segments; i++) in_segments += t->segments[i].n;
    must(t->rows == t->kept + dropped);
    must(t->kept == in_segments);
    for (int64_t i = 0; i < t->kept && i < LOOM_CHUNK_ROWS; i++) {
        const loom_raw_row *r = &rooms[0][i];
        must(r->trace < t->traces.n && r->service < t->services.n && r->id < t->ids.n);
        must(r->source < t->names.n && r->destination < t->names.n && r->type < LOOM_CALL_TYPES);
        must(loom_name_fits_record(loom_intern_text(&t->names, r->source), loom_intern_len(&t->names, r->source)));
    }
}

/* Cuts the text where the first byte says, reads the first part with the rest in sight, then the rest. */
static void read_table(const loom_row_reader_rules *rules, const char *text, size_t len, size_t cut, int64_t *rows,
                       int64_t *kept)
{
    loom_row_reader t;
    loom_csv probe = {.n_columns = rules->n_columns};
    loom_chunk_source source = {take, NULL, "input"};
    const char *at = text;
    int64_t lines;
    n_rooms = 0;
    must(loom_row_reader_init(&t, rules, 0, NULL) == LOOM_OK);
    while (at < text + cut && at < text + len) /* the end of the record that the cut falls into */
        if (loom_csv_next(&probe, &at, text + len, true, &lines) == LOOM_CSV_END) break;
    size_t whole = (size_t)(at - text);
    must(loom_row_reader_block(&t, text, whole, len, true, 0, &lines, &source, NULL) == LOOM_OK);
    must(loom_row_reader_block(&t, at, len - whole, len - whole, true, 1, &lines, &source, NULL) == LOOM_OK);
    check_rows(&t);
    *rows = t.rows;
    *kept = t.kept;
    loom_row_reader_release(&t);
    loom_csv_release(&probe);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char header[] = "timestamp,traceid,service,rpc_id,um,rpctype,dm,rt\n";
    loom_row_reader_rules rules = {0};
    loom_csv csv = {0};
    loom_err err;
    int64_t lines, rows[2], kept[2];
    if (size < 2) return 0;
    char *text = malloc(size - 1);
    must(text != NULL);
    memcpy(text, data + 1, size - 1);
    const char *at = data[0] & 1 ? text : header, *end = data[0] & 1 ? text + size - 1 : header + sizeof header - 1;
    bool own_header = (data[0] & 1) != 0;
    if (loom_csv_next(&csv, &at, end, true, &lines) == LOOM_CSV_RECORD &&
        loom_row_reader_columns(&rules, &csv, (data[0] & 2) != 0, "input", &err) == LOOM_OK &&
        rules.column[LOOM_COLUMN_SERVICE] >= 0) {
        const char *body = own_header ? at : text;
        size_t len = (size_t)(text + size - 1 - body);
        rules.any_case = (data[0] & 4) != 0;
        read_table(&rules, body, len, len, &rows[0], &kept[0]);
        read_table(&rules, body, len, len * (data[0] >> 3) / 32, &rows[1], &kept[1]);
        must(rows[0] == rows[1] && kept[0] == kept[1]);
    }
    loom_csv_release(&csv);
    free(text);
    return 0;
}
