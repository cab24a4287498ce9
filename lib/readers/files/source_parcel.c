/* What a source has counted, as a parcel for another process (core/parcel.h). */
#include "readers/files/graphsource.h"

static void put_buf(loom_buf *into, const loom_buf *b) { loom_parcel_put_text(into, loom_buf_text(b), b->len); }

static void put_left(loom_buf *into, const loom_left_out *left)
{
    for (int i = 0; i < LOOM_LEFT_KINDS; i++) {
        loom_parcel_put_i64(into, left->n[i]);
        put_buf(into, &left->first[i]);
    }
}

/* Places of reasons that `left` has had already are passed over. */
static void enter_left(loom_left_out *left, loom_parcel *p)
{
    size_t len;

    for (int i = 0; i < LOOM_LEFT_KINDS; i++) {
        int64_t n = loom_parcel_get_i64(p);
        const char *first = loom_parcel_get_text(p, &len);
        if (n && !left->n[i]) loom_buf_append(&left->first[i], first, len);
        left->n[i] += n;
    }
}

static void add_all(int64_t *to, const int64_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++) to[i] += from[i];
}

static void enter_spans(loom_span_counts *to, loom_parcel *p)
{
    loom_span_counts from;

    loom_parcel_get(p, &from, sizeof from);
    from.left = (loom_left_out){0}; /* its places are addresses of the other process */
    loom_span_counts_join(to, &from);
    to->traces += from.traces;
    to->spans += from.spans;
    to->links += from.links;
    to->unnamed += from.unnamed;
    add_all(to->rejected, from.rejected, LOOM_SPANS_FAULTS);
    add_all(to->rejected_spans, from.rejected_spans, LOOM_SPANS_FAULTS);
    enter_left(&to->left, p);
}

typedef struct numbers {
    int64_t all[5], rejected[LOOM_REASONS];
    bool seen[3];
} numbers;

void loom_source_pack(const loom_source *s, loom_buf *into)
{
    numbers n = {.all = {s->files, s->records, s->traces, s->rows, s->graphs},
                 .seen = {s->seen_records, s->seen_csv, s->seen_spans}};

    add_all(n.rejected, s->rejected, LOOM_REASONS);
    loom_parcel_put(into, &n, sizeof n);
    loom_parcel_put(into, &s->spans, sizeof s->spans);
    put_left(into, &s->spans.left);
    put_left(into, &s->left);
    put_buf(into, s->traces_to);
}

static loom_status enter_traces(loom_source *s, loom_parcel *p, loom_err *err)
{
    size_t len;
    const char *text = loom_parcel_get_text(p, &len);
    loom_parcel traces = {text, text + len, false};

    while (traces.at < traces.end && !traces.bad) {
        size_t n_path, n_key;
        const char *path = loom_parcel_get_text(&traces, &n_path), *key = loom_parcel_get_text(&traces, &n_key);
        if (n_path && n_key && !path[n_path - 1]) LOOM_TRY(loom_source_note_trace(s, path, key, n_key, err));
        else traces.bad = true;
    }
    p->bad |= traces.bad;
    return LOOM_OK;
}

loom_status loom_source_enter(loom_source *s, loom_parcel *p, loom_err *err)
{
    numbers n;

    loom_parcel_get(p, &n, sizeof n);
    s->files += n.all[0];
    s->records += n.all[1];
    s->traces += n.all[2];
    s->rows += n.all[3];
    s->graphs += n.all[4];
    add_all(s->rejected, n.rejected, LOOM_REASONS);
    s->seen_records |= n.seen[0];
    s->seen_csv |= n.seen[1];
    s->seen_spans |= n.seen[2];
    enter_spans(&s->spans, p);
    enter_left(&s->left, p);
    return enter_traces(s, p, err);
}
