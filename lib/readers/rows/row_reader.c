#include "readers/rows/row_reader.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/nomem.h"
#include "core/num.h"
#include "core/utf8.h"

enum { TEXT_BLOCK = 1 << 20, TEXT_BLOCKS_MAX = 1 << 12, NAME_MAX_BYTES = 4095, TYPES_REMEMBERED = 1000 };

static const char *const drop_names[LOOM_DROPS] = {
    "BAD_FIELD_COUNT", "BAD_QUOTES", "BAD_BYTES", "LINE_TOO_LONG", "TYPE_NOT_LISTED", "UM_UNKNOWN",
    "DM_UNKNOWN",      "RT_NULL",    "BAD_RT",    "BAD_TIMESTAMP", "NO_TRACEID",      "NO_SERVICE",
    "BAD_RPC_ID",      "NO_UM",      "NO_DM",     "BAD_NAME",
};

const char *loom_drop_name(loom_drop drop) { return drop < LOOM_DROPS ? drop_names[drop] : "KEPT"; }

/* ---- values ---- */

bool loom_is_null_text(const char *text, size_t len)
{
    static const char *const spellings[] = {"NA",       "N/A",  "n/a",    "NaN",     "nan",     "-NaN",
                                            "-nan",     "null", "NULL",   "None",    "#N/A",    "#NA",
                                            "#N/A N/A", "<NA>", "1.#IND", "1.#QNAN", "-1.#IND", "-1.#QNAN"};
    if (len == 0) return true;
    if (len > 8) return false;
    switch (text[0]) { /* nearly all values end here */
    case 'N':
    case 'n':
    case '#':
    case '<': break;
    case '1':
        if (len < 3 || text[2] != '#') return false;
        break;
    case '-':
        if (len < 4 || (text[1] >= '0' && text[1] <= '9' && text[3] != '#')) return false;
        break;
    default: return false;
    }
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++)
        if (strlen(spellings[i]) == len && memcmp(spellings[i], text, len) == 0) return true;
    return false;
}

bool loom_parse_ms(const char *text, size_t len, int64_t *ms)
{
    const char *p = text, *end = text + len;
    bool negative = p < end && *p == '-';
    int64_t value = 0;
    p += negative;
    const char *digits = p;
    while (p < end && *p >= '0' && *p <= '9' && p - digits < 16) value = value * 10 + (*p++ - '0');
    if (p > digits && p < end && *p == '.') {
        p++;
        while (p < end && *p >= '0' && *p <= '9') p++;
    }
    if (p == end && p > digits) { /* plain digits, the usual case; the fraction is cut off */
        *ms = negative ? -value : value;
        return value <= LOOM_TIME_MAX_MS;
    }
    double real;
    if (!loom_parse_f64(text, len, &real) || fabs(real) > (double)LOOM_TIME_MAX_MS) return false;
    *ms = (int64_t)real;
    return true;
}

/* Can the name be written: in a record, or (when names will be replaced) in the mapping file? */
static bool name_is_usable(const char *text, size_t len, bool free_names)
{
    if (len > NAME_MAX_BYTES) return false;
    if (!free_names && !loom_name_fits_record(text, len)) return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f) return false;
    return loom_utf8_valid(text, len);
}

/* ---- rules ---- */

loom_status loom_type_maps_parse(loom_row_reader_rules *rules, const char *text, loom_err *err)
{
    while (text && *text) {
        size_t len = strcspn(text, ",");
        const char *equals = memchr(text, '=', len);
        loom_type_map *m = &rules->type_maps[rules->n_type_maps];
        if (rules->n_type_maps == LOOM_TYPE_MAPS_MAX)
            return loom_fail(err, LOOM_STATUS_ARG, "--type-map: more than %d pairs", LOOM_TYPE_MAPS_MAX);
        if (!equals)
            return loom_fail(err, LOOM_STATUS_ARG, "--type-map: \"%.*s\" is not FROM=TO, as in UNKNOWN=rpc", (int)len,
                             text);
        m->from = text;
        m->from_len = (size_t)(equals - text);
        m->to = loom_call_type_of(equals + 1, len - m->from_len - 1);
        if (m->to == LOOM_CALL_TYPES)
            return loom_fail(err, LOOM_STATUS_ARG, "--type-map: \"%.*s\" is none of rpc, http, mc, db, mq",
                             (int)(len - m->from_len - 1), equals + 1);
        rules->n_type_maps++;
        text += len + (text[len] == ',');
    }
    return LOOM_OK;
}

static const char *const column_names[LOOM_COLUMNS] = {"timestamp", "traceid", "service", "rpc_id",
                                                       "rpctype",   "um",      "dm",      "rt"};

static loom_csv_field trimmed(loom_csv_field f)
{
    while (f.len && (f.at[0] == ' ' || f.at[0] == '\t')) f.at++, f.len--;
    while (f.len && (f.at[f.len - 1] == ' ' || f.at[f.len - 1] == '\t')) f.len--;
    return f;
}

static bool is_column(loom_csv_field f, int column)
{
    f = trimmed(f);
    if (f.len == strlen(column_names[column]) && memcmp(f.at, column_names[column], f.len) == 0) return true;
    return column == LOOM_COLUMN_RPC_ID && f.len == 5 && memcmp(f.at, "rpcid", 5) == 0;
}

static void list_columns(loom_buf *into, const loom_csv *header)
{
    for (int32_t i = 0; i < header->n_fields && i < 20; i++)
        loom_buf_printf(into, "%s%.*s", i ? ", " : "", (int)(header->fields[i].len < 40 ? header->fields[i].len : 40),
                        header->fields[i].at);
    if (header->n_fields > 20) loom_buf_str(into, ", ...");
}

loom_status loom_row_reader_columns(loom_row_reader_rules *rules, const loom_csv *header, bool service_optional,
                                    const char *place, loom_err *err)
{
    loom_status st = LOOM_OK;
    loom_buf found = {0}, missing = {0};
    list_columns(&found, header);
    rules->n_columns = header->n_fields;
    for (int c = 0; c < LOOM_COLUMNS && st == LOOM_OK; c++) {
        rules->column[c] = -1;
        for (int32_t i = 0; i < header->n_fields && st == LOOM_OK; i++) {
            if (!is_column(header->fields[i], c)) continue;
            if (rules->column[c] >= 0)
                st = loom_fail(err, LOOM_STATUS_FORMAT, "%s: column \"%s\" stands twice in the header (%s); keep one",
                               place, column_names[c], found.data);
            rules->column[c] = i;
        }
        if (rules->column[c] < 0 && !(c == LOOM_COLUMN_SERVICE && service_optional))
            loom_buf_printf(&missing, "%s\"%s\"", missing.len ? ", " : "", column_names[c]);
    }
    if (st == LOOM_OK && missing.len)
        st = loom_fail(
            err, LOOM_STATUS_FORMAT, "%s: line 1: no column %s in the header, found: %s; %s", place, missing.data,
            loom_buf_text(&found),
            strcmp(missing.data, "\"service\"") == 0
                ? "name it, or let loom-preprocess graphs --service-from root take the root call's callee"
                : "the first line must name the columns of a CallGraph table, or of a table of spans (TraceID, SpanID, ...)");
    loom_buf_release(&found);
    loom_buf_release(&missing);
    return st;
}

/* ---- texts ---- */

static bool texts_rehash(loom_texts *t, size_t n_slots)
{
    uint32_t *slots = loom_calloc(n_slots, sizeof *slots);
    if (!slots) return false;
    for (size_t i = 0; i < t->n; i++) {
        const char *text = loom_texts_at(t, (uint32_t)i);
        size_t at = loom_hash64(text, strlen(text), 0) & (n_slots - 1);
        while (slots[at]) at = (at + 1) & (n_slots - 1);
        slots[at] = (uint32_t)i + 1;
    }
    free(t->slots);
    t->slots = slots;
    t->n_slots = n_slots;
    return true;
}

static bool texts_append(loom_texts *t, const char *text, size_t len)
{
    bool fits = t->n_blocks > 0 && t->used + len + 1 <= TEXT_BLOCK;
    if (!fits && t->n_blocks == TEXT_BLOCKS_MAX) return false;
    if (loom_grow(&t->offsets, &t->cap, t->n + 1, sizeof *t->offsets, NULL) != LOOM_OK) return false;
    if (!fits) {
        char **blocks = loom_realloc(t->blocks, t->n_blocks + 1, sizeof *blocks);
        if (blocks) t->blocks = blocks;
        char *block = blocks ? loom_alloc(TEXT_BLOCK, 1) : NULL;
        if (!block) return false;
        t->blocks[t->n_blocks++] = block;
        t->used = 0;
    }
    char *copy = t->blocks[t->n_blocks - 1] + t->used;
    memcpy(copy, text, len);
    copy[len] = 0;
    t->offsets[t->n++] = (uint32_t)((t->n_blocks - 1) << 20 | t->used);
    t->used += len + 1;
    return true;
}

uint32_t loom_texts_add(loom_texts *t, const char *text, size_t len)
{
    if ((t->n + 1) * 4 > t->n_slots * 3 && !texts_rehash(t, t->n_slots ? t->n_slots * 2 : 2048)) return LOOM_TEXTS_FULL;
    size_t at = loom_hash64(text, len, 0) & (t->n_slots - 1);
    for (; t->slots[at]; at = (at + 1) & (t->n_slots - 1)) {
        const char *have = loom_texts_at(t, t->slots[at] - 1);
        if (strncmp(have, text, len) == 0 && have[len] == 0) return t->slots[at] - 1; /* may end its block: no memcmp */
    }
    if (!texts_append(t, text, len)) return LOOM_TEXTS_FULL;
    t->slots[at] = (uint32_t)t->n;
    return (uint32_t)t->n - 1;
}

loom_status loom_texts_fail(const char *place, loom_err *err)
{
    LOOM_TRY(loom_nomem_check("the traces of a file", err));
    return loom_fail(err, LOOM_STATUS_FORMAT, "%s: the trace ids take more than 4 GiB; split the file", place);
}

void loom_texts_seal(loom_texts *t)
{
    free(t->slots);
    t->slots = NULL;
    t->n_slots = 0;
}

int64_t loom_texts_bytes(const loom_texts *t)
{
    return (int64_t)(t->n_blocks * TEXT_BLOCK + t->cap * sizeof *t->offsets + t->n_slots * sizeof *t->slots);
}

void loom_texts_release(loom_texts *t)
{
    for (size_t i = 0; i < t->n_blocks; i++) free(t->blocks[i]);
    free(t->blocks);
    free(t->slots);
    free(t->offsets);
    *t = (loom_texts){0};
}

/* ---- rows ---- */

enum { QUICK_TRACES, QUICK_SERVICES, QUICK_NAMES, QUICK_IDS, QUICK_TABLES };

loom_status loom_row_reader_init(loom_row_reader *t, const loom_row_reader_rules *rules, int32_t thread, loom_err *err)
{
    *t = (loom_row_reader){.rules = rules, .thread = thread};
    t->csv.n_columns = rules->n_columns;
    for (int i = 0; i < LOOM_DROPS; i++) t->drops[i].first_block = -1;
    t->quick = loom_calloc(QUICK_TABLES, sizeof *t->quick);
    return t->quick ? LOOM_OK : loom_fail_nomem(err, "reading rows");
}

void loom_row_reader_release(loom_row_reader *t)
{
    loom_csv_release(&t->csv);
    loom_texts_release(&t->traces);
    loom_intern_release(&t->services);
    loom_intern_release(&t->names);
    loom_intern_release(&t->ids);
    loom_intern_release(&t->unlisted);
    free(t->id_ok);
    free(t->service_ok);
    free(t->name_ok);
    free(t->segments);
    free(t->dropped);
    free(t->unlisted_counts);
    free(t->quick);
    *t = (loom_row_reader){0};
}

/* The entry where a short text belongs, with *hit telling whether it is there; NULL for long and empty ones. When it is
 * not there, the text is put in and the caller sets the number. */
static struct loom_quick_entry *quick_entry(loom_quick *quick, loom_csv_field f, bool *hit)
{
    uint64_t w[LOOM_QUICK_BYTES / 8] = {0};
    *hit = false;
    if (f.len > LOOM_QUICK_BYTES || f.len == 0) return NULL;
    memcpy(w, f.at, f.len);
    uint64_t hash = (w[0] ^ w[1] * 0x9E3779B97F4A7C15u ^ w[2] * 0xC2B2AE3D27D4EB4Fu) * 0xD6E8FEB86659FD93u;
    struct loom_quick_entry *e = &quick->entries[(hash ^ hash >> 29) >> 20 & (LOOM_QUICK_ENTRIES - 1)];
    *hit = e->words[0] == w[0] && e->words[1] == w[1] && e->words[2] == w[2] && e->len == f.len;
    if (*hit) return e;
    memcpy(e->words, w, sizeof w);
    e->len = (uint32_t)f.len;
    return e;
}

/* A text that memory ran out for is no number of anything: forgotten by the quick table, and the block fails. */
static uint32_t no_number(struct loom_quick_entry *e, bool *ok)
{
    if (e) e->len = 0;
    *ok = false;
    return 0;
}

/* Number of a name; *ok says whether it can be used, judged once for each distinct text. */
static uint32_t intern_judged(loom_quick *quick, loom_intern *names, unsigned char **verdicts, size_t *cap,
                              loom_csv_field f, bool free_names, bool *ok)
{
    bool hit;
    struct loom_quick_entry *e = quick_entry(quick, f, &hit);
    size_t before = names->n;
    int64_t id = hit ? e->number : loom_intern_add(names, f.at, f.len);
    if (id < 0 || loom_grow(verdicts, cap, names->n, 1, NULL) != LOOM_OK) return no_number(e, ok);
    if (names->n > before) {
        (*verdicts)[id] = name_is_usable(f.at, f.len, free_names);
    }
    if (e) e->number = (uint32_t)id;
    *ok = (*verdicts)[id];
    return (uint32_t)id;
}

static uint32_t intern_id(loom_row_reader *t, loom_csv_field f, bool *ok)
{
    int32_t components[LOOM_ID_MAX_COMPONENTS];
    bool hit;
    struct loom_quick_entry *e = quick_entry(&t->quick[QUICK_IDS], f, &hit);
    size_t before = t->ids.n;
    int64_t id = hit ? e->number : loom_intern_add(&t->ids, f.at, f.len);
    if (id < 0 || loom_grow(&t->id_ok, &t->cap_id_ok, t->ids.n, 1, NULL) != LOOM_OK) return no_number(e, ok);
    if (t->ids.n > before) {
        t->id_ok[id] = loom_id_parse(components, LOOM_ID_MAX_COMPONENTS, f.at, f.len) > 0;
    }
    if (e) e->number = (uint32_t)id;
    *ok = t->id_ok[id];
    return (uint32_t)id;
}

static loom_status trace_number(uint32_t *number, loom_row_reader *t, loom_csv_field f, const char *place,
                                loom_err *err)
{
    bool hit;
    struct loom_quick_entry *e = quick_entry(&t->quick[QUICK_TRACES], f, &hit);
    *number = hit ? e->number : loom_texts_add(&t->traces, f.at, f.len);
    if (e) e->number = *number;
    if (e && *number == LOOM_TEXTS_FULL) e->len = 0;
    return *number != LOOM_TEXTS_FULL ? LOOM_OK : loom_texts_fail(place, err);
}

static void count_unlisted(loom_row_reader *t, loom_csv_field f)
{
    if (f.len > 40) f.len = 40;
    if (t->unlisted.n >= TYPES_REMEMBERED && loom_intern_find(&t->unlisted, f.at, f.len) < 0) return;
    size_t before = t->unlisted.n;
    int64_t id = loom_intern_add(&t->unlisted, f.at, f.len);
    if (id < 0 ||
        loom_grow(&t->unlisted_counts, &t->cap_unlisted, t->unlisted.n, sizeof *t->unlisted_counts, NULL) != LOOM_OK)
        return; /* the block fails */
    if (t->unlisted.n > before) t->unlisted_counts[id] = 0;
    t->unlisted_counts[id]++;
}

static loom_call_type type_any_case(loom_csv_field f)
{
    char lower[4];
    if (f.len > sizeof lower) return LOOM_CALL_TYPES;
    for (size_t i = 0; i < f.len; i++) lower[i] = (char)tolower((unsigned char)f.at[i]);
    return loom_call_type_of(lower, f.len);
}

static loom_call_type read_type(loom_row_reader *t, loom_csv_field f)
{
    loom_call_type type = loom_call_type_of(f.at, f.len);
    if (type != LOOM_CALL_TYPES) return type;
    for (int32_t i = 0; i < t->rules->n_type_maps; i++) {
        const loom_type_map *m = &t->rules->type_maps[i];
        if (m->from_len == f.len && memcmp(m->from, f.at, f.len) == 0) return m->to;
    }
    loom_call_type other = type_any_case(f);
    if (other != LOOM_CALL_TYPES) {
        t->other_case++;
        if (t->rules->any_case) return other;
    }
    count_unlisted(t, f);
    return LOOM_CALL_TYPES;
}

static loom_csv_field column_of(const loom_row_reader *t, int column)
{
    int32_t i = t->rules->column[column];
    if (i < 0 || i >= t->csv.n_fields) return (loom_csv_field){"", 0};
    loom_csv_field f = t->csv.fields[i];
    return f.len && (f.at[0] <= ' ' || f.at[f.len - 1] <= ' ') ? trimmed(f) : f;
}

static bool is_null(loom_csv_field f) { return loom_is_null_text(f.at, f.len); }

/* Fills *row but for the trace from the record in t->csv; its steps are those of docs/VALIDITY.md. */
static loom_drop read_row(loom_row_reader *t, loom_raw_row *row, loom_csv_field trace)
{
    const loom_row_reader_rules *rules = t->rules;
    loom_csv_field um = column_of(t, LOOM_COLUMN_UM), dm = column_of(t, LOOM_COLUMN_DM),
                   rt = column_of(t, LOOM_COLUMN_RT);
    loom_csv_field timestamp = column_of(t, LOOM_COLUMN_TIMESTAMP), service = column_of(t, LOOM_COLUMN_SERVICE);
    loom_csv_field id = column_of(t, LOOM_COLUMN_RPC_ID);
    bool id_ok, service_ok = true, um_ok, dm_ok;

    row->type = (uint32_t)read_type(t, column_of(t, LOOM_COLUMN_RPCTYPE));
    if (row->type == LOOM_CALL_TYPES) return LOOM_DROP_TYPE_NOT_LISTED;
    if (loom_name_is_unknown(um.at, um.len)) return LOOM_DROP_UM_UNKNOWN;
    if (loom_name_is_unknown(dm.at, dm.len)) return LOOM_DROP_DM_UNKNOWN;
    if (is_null(rt)) return LOOM_DROP_RT_NULL;
    if (!loom_parse_ms(rt.at, rt.len, &row->rt)) return LOOM_DROP_BAD_RT;
    if (!loom_parse_ms(timestamp.at, timestamp.len, &row->timestamp)) return LOOM_DROP_BAD_TIMESTAMP;
    if (is_null(trace) || trace.len > NAME_MAX_BYTES) return LOOM_DROP_NO_TRACEID;
    if (rules->column[LOOM_COLUMN_SERVICE] >= 0 && is_null(service)) return LOOM_DROP_NO_SERVICE;
    if (id.len > NAME_MAX_BYTES) return LOOM_DROP_BAD_RPC_ID;
    row->id = intern_id(t, id, &id_ok);
    if (!id_ok) return LOOM_DROP_BAD_RPC_ID;
    if (is_null(um)) return LOOM_DROP_NO_UM;
    if (is_null(dm)) return LOOM_DROP_NO_DM;
    if (um.len > NAME_MAX_BYTES || dm.len > NAME_MAX_BYTES || service.len > NAME_MAX_BYTES) return LOOM_DROP_BAD_NAME;
    loom_quick *quick = &t->quick[QUICK_NAMES];
    row->source = intern_judged(quick, &t->names, &t->name_ok, &t->cap_name_ok, um, rules->free_names, &um_ok);
    row->destination = intern_judged(quick, &t->names, &t->name_ok, &t->cap_name_ok, dm, rules->free_names, &dm_ok);
    row->service = 0;
    if (rules->column[LOOM_COLUMN_SERVICE] >= 0)
        row->service = intern_judged(&t->quick[QUICK_SERVICES], &t->services, &t->service_ok, &t->cap_service_ok,
                                     service, rules->free_names, &service_ok);
    return um_ok && dm_ok && service_ok ? LOOM_DROP_NONE : LOOM_DROP_BAD_NAME;
}

static void count_drop(loom_row_reader *t, loom_drop why, int64_t block, int64_t line, uint32_t trace)
{
    loom_drop_count *c = &t->drops[why];
    if (c->n++ == 0) { /* a thread meets its blocks in ascending order */
        c->first_block = block;
        c->first_line = line;
    }
    if (!t->rules->keep_dropped) return;
    if (loom_grow(&t->dropped, &t->cap_dropped, t->n_dropped + 1, sizeof *t->dropped, NULL) != LOOM_OK) return;
    t->dropped[t->n_dropped++] = (loom_dropped){block, line, why, trace};
}

/* Makes room for a row; opens a segment where a chunk or a block begins. */
static loom_status need_room(loom_row_reader *t, int64_t block, const loom_chunk_source *chunks, loom_err *err)
{
    if (t->room_left == 0) {
        LOOM_TRY(chunks->take(chunks->arg, t->thread, &t->room_chunk, &t->room, err));
        t->room_left = LOOM_CHUNK_ROWS;
    }
    loom_segment *last = t->n_segments ? &t->segments[t->n_segments - 1] : NULL;
    if (last && last->block == block && last->chunk == t->room_chunk) return LOOM_OK;
    LOOM_TRY(loom_grow(&t->segments, &t->cap_segments, t->n_segments + 1, sizeof *t->segments, err));
    t->segments[t->n_segments++] = (loom_segment){block, t->room_chunk, LOOM_CHUNK_ROWS - t->room_left, 0};
    return LOOM_OK;
}

static loom_status take_record(loom_row_reader *t, int64_t block, int64_t line, const loom_chunk_source *chunks,
                               loom_err *err)
{
    LOOM_TRY(need_room(t, block, chunks, err));
    loom_csv_field trace = column_of(t, LOOM_COLUMN_TRACEID);
    loom_drop why = t->csv.n_fields > t->rules->n_columns ? LOOM_DROP_BAD_FIELD_COUNT : read_row(t, t->room, trace);
    uint32_t trace_id = UINT32_MAX;
    if (!is_null(trace) && trace.len <= NAME_MAX_BYTES) LOOM_TRY(trace_number(&trace_id, t, trace, chunks->place, err));
    t->short_rows += t->csv.n_fields < t->rules->n_columns;
    if (why != LOOM_DROP_NONE) {
        count_drop(t, why, block, line, trace_id);
        return LOOM_OK;
    }
    t->room->trace = trace_id;
    t->room++;
    t->room_left--;
    t->kept++;
    t->segments[t->n_segments - 1].n++;
    return LOOM_OK;
}

loom_status loom_row_reader_block(loom_row_reader *t, const char *text, size_t whole, size_t len, bool last,
                                  int64_t block, int64_t *n_lines, const loom_chunk_source *chunks, loom_err *err)
{
    const char *at = text, *end = text + len;
    int64_t line = 0, taken = 0;
    for (; at < text + whole; line += taken) {
        loom_csv_kind kind = loom_csv_next(&t->csv, &at, end, last, &taken);
        if (kind == LOOM_CSV_END || kind == LOOM_CSV_MORE) break;
        if (kind == LOOM_CSV_BLANK) {
            t->blank_lines++;
            continue;
        }
        t->rows++;
        if (kind == LOOM_CSV_RECORD) LOOM_TRY(take_record(t, block, line, chunks, err));
        else
            count_drop(t,
                       kind == LOOM_CSV_BAD_QUOTES  ? LOOM_DROP_BAD_QUOTES
                       : kind == LOOM_CSV_BAD_BYTES ? LOOM_DROP_BAD_BYTES
                                                    : LOOM_DROP_LINE_TOO_LONG,
                       block, line, UINT32_MAX);
    }
    *n_lines = line;
    return loom_nomem_check("the rows of a file", err);
}
