#include "readers/rows/csv_rows.h"

#include <stdlib.h>
#include <string.h>

#include "core/num.h"

/* ---- numbers to texts ---- */

typedef const char *name_fn(loom_arena *arena, const char *text, size_t len);

static loom_status extend_names(loom_csv_names *to, const loom_intern *from, name_fn *name, loom_arena *arena,
                                loom_err *err)
{
    LOOM_TRY(loom_grow(&to->texts, &to->cap, from->n, sizeof *to->texts, err));
    for (; to->n < from->n; to->n++)
        to->texts[to->n] = name(arena, loom_intern_text(from, (int64_t)to->n), loom_intern_len(from, (int64_t)to->n));
    return LOOM_OK;
}

static loom_status extend_ids(loom_csv_rows *c, loom_err *err)
{
    const loom_intern *from = &c->reader.ids;
    int32_t components[LOOM_ID_MAX_COMPONENTS];

    LOOM_TRY(loom_grow(&c->ids, &c->cap_ids, from->n, sizeof *c->ids, err));
    LOOM_TRY(loom_grow(&c->id_lens, &c->cap_id_lens, from->n, sizeof *c->id_lens, err));
    for (; c->n_ids < from->n; c->n_ids++) {
        int64_t i = (int64_t)c->n_ids;
        int32_t len =
            loom_id_parse(components, LOOM_ID_MAX_COMPONENTS, loom_intern_text(from, i), loom_intern_len(from, i));
        int32_t *id = loom_arena_alloc(&c->arena, (size_t)(len > 0 ? len : 1) * sizeof *id);
        if (id && len > 0) memcpy(id, components, (size_t)len * sizeof *id);
        c->ids[i] = id;
        c->id_lens[i] = len;
    }
    return LOOM_OK;
}

/* ---- rows ---- */

static loom_status keep_row(loom_csv_rows *c, const loom_raw_row *r, loom_err *err)
{
    const char *trace = loom_texts_at(&c->reader.traces, r->trace);
    int64_t number = loom_intern_add(&c->traces, trace, strlen(trace));
    if (number < 0) return loom_fail_nomem(err, "rows");
    LOOM_TRY(loom_grow(&c->items, &c->cap, c->n + 1, sizeof *c->items, err));
    loom_row row = {.timestamp = r->timestamp,
                    .rt = r->rt,
                    .id_text = loom_intern_text(&c->reader.ids, r->id),
                    .id = c->ids[r->id],
                    .n_id = c->id_lens[r->id],
                    .type = (loom_call_type)r->type,
                    .source = c->microservices.texts[r->source],
                    .destination = c->microservices.texts[r->destination],
                    .service = c->services.texts[r->service]};
    c->items[c->n] = (loom_csv_row){number, (int64_t)c->n, row};
    c->n++;
    return LOOM_OK;
}

/* The first n rows of the room. */
static loom_status keep_rows(loom_csv_rows *c, int32_t n, loom_err *err)
{
    LOOM_TRY(extend_names(&c->microservices, &c->reader.names, loom_name_microservice, &c->arena, err));
    LOOM_TRY(extend_names(&c->services, &c->reader.services, loom_name_service, &c->arena, err));
    LOOM_TRY(extend_ids(c, err));
    LOOM_TRY(loom_arena_check(&c->arena, "rows", err));
    for (int32_t i = 0; i < n; i++) LOOM_TRY(keep_row(c, &c->room[i], err));
    return LOOM_OK;
}

/* The reader's chunk is full: its rows move on, and it begins anew. */
static loom_status take_room(void *arg, int32_t thread, uint32_t *chunk, loom_raw_row **rows, loom_err *err)
{
    loom_csv_rows *c = arg;
    (void)thread;
    if (c->reader.room) LOOM_TRY(keep_rows(c, LOOM_CHUNK_ROWS, err));
    *chunk = 0;
    *rows = c->room;
    return LOOM_OK;
}

static loom_status start(loom_csv_rows *c, loom_err *err)
{
    if (c->room) return LOOM_OK;
    LOOM_TRY(loom_row_reader_init(&c->reader, &c->rules, 0, err));
    c->room = loom_alloc(LOOM_CHUNK_ROWS, sizeof *c->room);
    return c->room ? LOOM_OK : loom_fail_nomem(err, "rows");
}

/* Reads the first record as the header; *at moves behind it. */
static bool read_header(loom_csv_rows *c, const char **at, const char *end, int64_t *n_lines, const char *name,
                        loom_err *err)
{
    loom_csv *csv = &c->reader.csv;
    loom_csv_kind kind;
    int64_t taken = 0;

    csv->n_columns = 0;
    *n_lines = 0;
    do {
        kind = loom_csv_next(csv, at, end, true, &taken);
        *n_lines += taken;
    } while (kind == LOOM_CSV_BLANK);
    if (kind == LOOM_CSV_RECORD) {
        csv->n_columns = csv->n_fields;
        return loom_row_reader_columns(&c->rules, csv, false, name, err) == LOOM_OK;
    }
    loom_fail(err, LOOM_STATUS_FORMAT, "%s: the first line names no columns", name);
    return false;
}

/* Adds what the reader dropped since `before`; `at_line`: line of the file that its block began with. */
static void count_left(const loom_csv_rows *c, int64_t before, const char *name, int64_t at_line, loom_left_out *left)
{
    int64_t dropped = c->reader.rows - c->reader.kept - before, first = INT64_MAX;
    loom_buf place = {0};

    for (int d = 0; d < LOOM_DROPS; d++) {
        const loom_drop_count *drop = &c->reader.drops[d];
        if (drop->n && drop->first_block == c->files) first = loom_min_i64(first, drop->first_line);
    }
    if (first < INT64_MAX) loom_buf_printf(&place, "%s:%lld", name, (long long)(at_line + first));
    for (int64_t i = 0; i < dropped; i++) loom_left_add(left, LOOM_LEFT_BAD_ROW, loom_buf_text(&place));
    loom_buf_release(&place);
}

loom_status loom_csv_rows_add(loom_csv_rows *c, const char *text, size_t len, const char *name, loom_left_out *left,
                              bool *known, loom_err *err)
{
    const char *at = text, *end = text + len;
    int64_t n_header = 0, n_lines = 0, before;
    loom_chunk_source source = {take_room, c, name};

    LOOM_TRY(start(c, err));
    if (len >= 3 && memcmp(at, "\xef\xbb\xbf", 3) == 0) at += 3;
    *known = read_header(c, &at, end, &n_header, name, err);
    if (!*known) return LOOM_OK;
    before = c->reader.rows - c->reader.kept;
    c->reader.room_left = 0;
    c->reader.room = NULL;
    LOOM_TRY(loom_row_reader_block(&c->reader, at, (size_t)(end - at), (size_t)(end - at), true, c->files, &n_lines,
                                   &source, err));
    if (c->reader.room) LOOM_TRY(keep_rows(c, LOOM_CHUNK_ROWS - c->reader.room_left, err));
    count_left(c, before, name, 1 + n_header, left);
    c->files++;
    return LOOM_OK;
}

int64_t loom_csv_rows_met(const loom_csv_rows *c) { return c->reader.rows; }

/* ---- graphs ---- */

static int by_trace(const void *a, const void *b)
{
    const loom_csv_row *x = a, *y = b;
    if (x->trace != y->trace) return x->trace < y->trace ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

loom_status loom_csv_rows_next(loom_csv_rows *c, loom_graph *g, loom_verdict *why, bool *more, loom_arena *arena,
                               loom_err *err)
{
    size_t from = c->next, end = from;

    if (!c->sorted && c->n) qsort(c->items, c->n, sizeof *c->items, by_trace);
    c->sorted = true;
    *more = from < c->n;
    if (!*more) return LOOM_OK;
    while (end < c->n && c->items[end].trace == c->items[from].trace) end++;
    LOOM_TRY(loom_grow(&c->rows, &c->cap_rows, end - from, sizeof *c->rows, err));
    for (size_t i = from; i < end; i++) c->rows[i - from] = c->items[i].row;
    c->next = end;
    if (loom_rows_to_graph(g, c->rows, (int64_t)(end - from), arena) < 0) return loom_fail_nomem(err, "a graph");
    loom_verdict_reset(why);
    loom_graph_check(why, g);
    return LOOM_OK;
}

void loom_csv_rows_release(loom_csv_rows *c)
{
    loom_row_reader_release(&c->reader);
    free(c->room);
    free(c->microservices.texts);
    free(c->services.texts);
    free(c->ids);
    free(c->id_lens);
    free(c->items);
    free(c->rows);
    loom_intern_release(&c->traces);
    loom_arena_release(&c->arena);
    *c = (loom_csv_rows){0};
}
