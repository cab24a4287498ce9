#include "readers/files/graphsource.h"

#include "core/file.h"
#include "trace/graph/record.h"

typedef struct reader {
    loom_source *s;
    const char *path; /* "file" or "file(member)" */
    bool alone;       /* named by the caller, not found in a folder or tar file */
    loom_take_graph take;
    void *arg;
} reader;

/* ---- graph stores ---- */

static loom_status take_record(reader *r, const char *line, size_t len, loom_arena *arena, loom_err *err)
{
    loom_graph g;
    loom_verdict why;

    loom_arena_reset(arena);
    r->s->records++;
    if (!loom_record_read(&g, &why, line, len, arena)) {
        r->s->rejected[why.n ? why.reasons[0] : LOOM_REASON_NUM_COLUMNS]++;
        return LOOM_OK;
    }
    r->s->graphs++;
    return r->take(r->arg, &g, err);
}

static loom_status read_records(reader *r, const char *text, size_t len, loom_err *err)
{
    loom_arena arena = {0};
    loom_status st = LOOM_OK;

    r->s->seen_records = true;
    if (r->s->take_lines) return r->s->take_lines(r->arg, text, len, err);
    for (size_t at = 0; st == LOOM_OK && at < len;) {
        const char *lf = memchr(text + at, '\n', len - at);
        size_t n = lf ? (size_t)(lf - text) - at : len - at;
        size_t bare = n && text[at + n - 1] == '\r' ? n - 1 : n;
        if (bare) st = take_record(r, text + at, bare, &arena, err);
        at += n + 1;
    }
    loom_arena_release(&arena);
    return st;
}

/* ---- traces that come in pieces ---- */

/* A trace that an earlier file had too is counted: its pieces look like small graphs. */
loom_status loom_source_note_trace(loom_source *s, const char *path, const char *key, size_t len, loom_err *err)
{
    bool fresh;

    if (s->traces_to) {
        loom_parcel_put_text(s->traces_to, path, strlen(path) + 1);
        loom_parcel_put_text(s->traces_to, key, len);
        return loom_buf_check(s->traces_to, "the traces of several files", err);
    }
    if (!loom_hash_set_add(&s->earlier, loom_hash128_of(key, len), &fresh))
        return loom_fail_nomem(err, "the traces of several files");
    if (!fresh && s->split_traces++ == 0)
        loom_buf_printf(&s->first_split, "%s, trace %.*s", path, (int)len - 1, key + 1);
    return LOOM_OK;
}

static loom_status note_traces(reader *r, const loom_intern *traces, char kind, loom_err *err)
{
    loom_buf key = {0};
    loom_status st = LOOM_OK;

    for (size_t i = 0; i < traces->n && st == LOOM_OK; i++) {
        loom_buf_reset(&key);
        loom_buf_char(&key, kind);
        loom_buf_append(&key, loom_intern_text(traces, (int64_t)i), loom_intern_len(traces, (int64_t)i));
        st = loom_buf_check(&key, "the traces of several files", err);
        if (st == LOOM_OK) st = loom_source_note_trace(r->s, r->path, key.data, key.len, err);
    }
    loom_buf_release(&key);
    return st;
}

static loom_status rows_to_graphs(loom_source *s, loom_csv_rows *rows, loom_take_graph take, void *arg, loom_err *err)
{
    loom_arena arena = {0};
    loom_status st = LOOM_OK;
    loom_verdict why;
    loom_graph g;
    bool more = true;

    s->rows += loom_csv_rows_met(rows);
    s->traces += (int64_t)rows->traces.n;
    while (st == LOOM_OK) {
        loom_arena_reset(&arena);
        if ((st = loom_csv_rows_next(rows, &g, &why, &more, &arena, err)) != LOOM_OK || !more) break;
        if (why.n) {
            s->rejected[why.reasons[0]]++;
            continue;
        }
        s->graphs++;
        st = take(arg, &g, err);
    }
    loom_arena_release(&arena);
    return st;
}

static loom_status spans_to_graphs(loom_source *s, loom_spans *spans, loom_take_graph take, void *arg, loom_err *err)
{
    int64_t before = s->spans.graphs;
    loom_status st = loom_spans_graphs(spans, take, arg, &s->spans, err);
    s->graphs += s->spans.graphs - before;
    return st;
}

static loom_status foreign(reader *r, loom_err *err)
{
    if (!r->alone && !r->s->strict) {
        loom_left_add(&r->s->left, LOOM_LEFT_FOREIGN_FILE, r->path);
        return LOOM_OK;
    }
    return loom_fail(err, LOOM_STATUS_FORMAT,
                     "%s is no graph store, no JSON and no CallGraph table (the header needs timestamp, traceid, "
                     "service, rpc_id, rpctype, um, dm, rt)",
                     r->path);
}

static loom_status read_csv(reader *r, const char *text, size_t len, loom_err *err)
{
    loom_csv_rows own = {0}, *rows = r->s->merge ? &r->s->waiting_rows : &own;
    bool known;

    loom_status st = loom_csv_rows_add(rows, text, len, r->path, &r->s->left, &known, err);
    if (st == LOOM_OK && !known) st = foreign(r, err);
    r->s->seen_csv |= known;
    if (st == LOOM_OK && known && !r->s->merge) {
        st = note_traces(r, &own.traces, 'c', err);
        if (st == LOOM_OK) st = rows_to_graphs(r->s, &own, r->take, r->arg, err);
    }
    loom_csv_rows_release(&own);
    return st;
}

typedef loom_status add_spans(loom_spans *s, const char *text, size_t len, const char *name, loom_err *err);

static loom_status add_protobuf(loom_spans *s, const char *text, size_t len, const char *name, loom_err *err)
{
    return loom_spans_add_protobuf(s, text, len, name, err);
}

static loom_status read_spans(reader *r, add_spans *add, const char *text, size_t len, loom_err *err)
{
    loom_spans own = {0}, *spans = r->s->merge ? &r->s->waiting_spans : &own;

    r->s->seen_spans = true;
    spans->strict = r->s->strict;
    spans->cut_outliving = r->s->cut_outliving;
    loom_status st = add(spans, text, len, r->path, err);
    if (st == LOOM_OK && !r->s->merge) {
        st = note_traces(r, &own.traces, 's', err);
        if (st == LOOM_OK) st = spans_to_graphs(r->s, &own, r->take, r->arg, err);
    }
    loom_spans_release(&own);
    return st;
}

/* ---- files ---- */

static bool looks_like_record(const char *text, size_t len)
{
    return len > 15 && text[2] == 'h' && text[5] == 'm' && text[8] == 's';
}

static size_t mark_length(const char *text, size_t len)
{
    return len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

loom_text_kind loom_source_kind(const char *text, size_t len)
{
    size_t mark = mark_length(text, len), at = mark;

    if (loom_spans_are_protobuf(text, len)) return LOOM_TEXT_KIND_PROTOBUF;
    while (at < len && text[at] && strchr(" \t\r\n", text[at])) at++;
    if (at >= len) return LOOM_TEXT_KIND_BLANK;
    if (text[at] == '{' || text[at] == '[') return LOOM_TEXT_KIND_SPANS;
    if (looks_like_record(text + mark, len - mark)) return LOOM_TEXT_KIND_RECORDS;
    return loom_spans_are_table(text + at, len - at) ? LOOM_TEXT_KIND_SPAN_TABLE : LOOM_TEXT_KIND_ROWS;
}

static loom_status read_text(reader *r, const loom_buf *whole, loom_err *err)
{
    const char *text = loom_buf_text(whole);
    loom_text_kind kind = loom_source_kind(text, whole->len);
    size_t mark = mark_length(text, whole->len);

    if (kind == LOOM_TEXT_KIND_BLANK) return LOOM_OK;
    if (kind == LOOM_TEXT_KIND_PROTOBUF) return read_spans(r, add_protobuf, text, whole->len, err);
    if (kind == LOOM_TEXT_KIND_SPANS) return read_spans(r, loom_spans_add_text, text + mark, whole->len - mark, err);
    if (kind == LOOM_TEXT_KIND_SPAN_TABLE)
        return read_spans(r, loom_spans_add_table, text + mark, whole->len - mark, err);
    return read_csv(r, text + mark, whole->len - mark, err);
}

#define PIECE ((size_t)4 << 20) /* bytes of a store that are read at once */

/* Appends up to `n` bytes; *more: there may be others. */
static loom_status read_piece(loom_buf *text, loom_in *in, size_t n, bool *more, loom_err *err)
{
    size_t got = 0;

    if (!loom_buf_reserve(text, n)) return loom_fail_nomem(err, "a piece of a file");
    LOOM_TRY(loom_in_read(in, text->data + text->len, n, &got, err));
    text->len += got;
    text->data[text->len] = 0;
    *more = got > 0;
    return LOOM_OK;
}

/* A store may have any size: whole lines go on, what is left of the last one waits for its rest. */
static loom_status stream_records(reader *r, loom_buf *text, loom_in *in, loom_err *err)
{
    size_t mark = mark_length(text->data, text->len);

    memmove(text->data, text->data + mark, text->len - mark + 1);
    text->len -= mark;
    for (bool more = true; more;) {
        size_t before = text->len;
        while (more && text->len < before + PIECE) LOOM_TRY(read_piece(text, in, PIECE, &more, err));
        const char *end = more ? memrchr(text->data, '\n', text->len) : text->data + text->len;
        if (!end && text->len > LOOM_BOUND_LINE) return loom_fail_bound(err, r->path, LOOM_BOUND_LINE);
        if (!end) continue;
        size_t whole = (size_t)(end - text->data) + (more ? 1 : 0);
        LOOM_TRY(read_records(r, text->data, whole, err));
        memmove(text->data, text->data + whole, text->len - whole + 1);
        text->len -= whole;
    }
    return LOOM_OK;
}

/* What stands in a file is told by how it begins; all but stores are read whole. */
static loom_status read_member(reader *r, loom_buf *text, loom_in *in, loom_err *err)
{
    bool more = true;

    r->s->files++;
    while (more && text->len < 64) LOOM_TRY(read_piece(text, in, PIECE, &more, err));
    if (loom_source_kind(text->data, text->len) == LOOM_TEXT_KIND_RECORDS) return stream_records(r, text, in, err);
    LOOM_TRY(loom_in_read_all(text, in, LOOM_BOUND_TRACES, r->path, err));
    return read_text(r, text, err);
}

bool loom_source_is_beside(const char *path)
{
    size_t len = strlen(path);
    return loom_path_is_hidden(path) || (len > 10 && strcmp(path + len - 10, ".meta.json") == 0);
}

static loom_status read_file(loom_source *s, const char *path, bool alone, loom_take_graph take, void *arg,
                             loom_err *err)
{
    loom_buf text = {0}, name = {0};
    loom_in *in = NULL;
    bool more = true;
    loom_status st = loom_in_open(&in, path, err);

    while (st == LOOM_OK && more) {
        const char *member = loom_in_member(in);
        loom_buf_reset(&name);
        loom_buf_printf(&name, member[0] ? "%s(%s)" : "%s", path, member);
        reader r = {.s = s, .path = name.data, .alone = alone && !member[0], .take = take, .arg = arg};
        if (!member[0] || !loom_source_is_beside(member)) {
            loom_buf_reset(&text);
            st = read_member(&r, &text, in, err);
        }
        if (st == LOOM_OK) st = loom_in_next_member(in, &more, err);
    }
    loom_in_close(&in);
    loom_buf_release(&text);
    loom_buf_release(&name);
    return st;
}

loom_status loom_source_read_member(loom_source *s, loom_in *in, const char *place, loom_take_graph take, void *arg,
                                    loom_err *err)
{
    reader r = {.s = s, .path = place, .take = take, .arg = arg};
    loom_buf text = {0};
    loom_status st = read_member(&r, &text, in, err);
    loom_buf_release(&text);
    return st;
}

void loom_source_left_file(loom_source *s, const char *place)
{
    loom_left_add(&s->left, LOOM_LEFT_FOREIGN_FILE, place);
}

loom_status loom_source_read(loom_source *s, const char *path, loom_take_graph take, void *arg, loom_err *err)
{
    char **paths = NULL;
    size_t n = 0;
    loom_status st = LOOM_OK;

    if (!loom_file_is_dir(path)) return read_file(s, path, true, take, arg, err);
    LOOM_TRY(loom_list_tree(&paths, &n, path, err));
    for (size_t i = 0; st == LOOM_OK && i < n; i++)
        if (!loom_source_is_beside(paths[i])) st = read_file(s, paths[i], false, take, arg, err);
    loom_free_list(paths, n);
    return st;
}

loom_status loom_source_finish(loom_source *s, loom_take_graph take, void *arg, loom_err *err)
{
    if (!s->merge) return LOOM_OK;
    LOOM_TRY(spans_to_graphs(s, &s->waiting_spans, take, arg, err));
    LOOM_TRY(rows_to_graphs(s, &s->waiting_rows, take, arg, err));
    loom_spans_release(&s->waiting_spans);
    loom_csv_rows_release(&s->waiting_rows);
    return LOOM_OK;
}

void loom_source_release(loom_source *s)
{
    loom_spans_release(&s->waiting_spans);
    loom_csv_rows_release(&s->waiting_rows);
    loom_hash_set_release(&s->earlier);
    loom_span_counts_release(&s->spans);
    loom_left_release(&s->left);
    loom_buf_release(&s->first_split);
}
