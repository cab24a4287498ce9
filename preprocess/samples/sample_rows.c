#include "preprocess/samples/sample_rows.h"

#include "core/num.h"
#include "preprocess/samples/sample_math.h"

#define WRITE_DELAY 50 /* ms between a call and its row */
#define COLUMNS     11

const char *const loom_sample_quirk_names[LOOM_SAMPLE_QUIRKS] = {
    "callee_view", "duplicate", "collision", "repeated_id", "um_unknown",  "dm_unknown", "type_unknown", "no_root",
    "hole",        "skew",      "mismatch",  "malformed",   "negative_rt", "empty_rt",   "straddle"};

/* Probabilities per rpc row, call, row or trace, after the published raw rows. Roots go missing a little more often
 * than measured there, as single calls, which survive most other damage, are more frequent here. */
static const struct {
    double normal, harsh;
} rates[LOOM_SAMPLE_QUIRKS] = {
    [LOOM_SAMPLE_Q_CALLEE_VIEW] = {.30, .50},    [LOOM_SAMPLE_Q_DUPLICATE] = {.03, .12},
    [LOOM_SAMPLE_Q_COLLISION] = {.003, .02},     [LOOM_SAMPLE_Q_REPEATED_ID] = {.001, .006},
    [LOOM_SAMPLE_Q_UM_UNKNOWN] = {.02, .18},     [LOOM_SAMPLE_Q_DM_UNKNOWN] = {.01, .055},
    [LOOM_SAMPLE_Q_TYPE_UNKNOWN] = {.002, .006}, [LOOM_SAMPLE_Q_NO_ROOT] = {.04, .60},
    [LOOM_SAMPLE_Q_HOLE] = {.03, .14},           [LOOM_SAMPLE_Q_SKEW] = {.01, .08},
    [LOOM_SAMPLE_Q_UM_MISMATCH] = {.005, .04},   [LOOM_SAMPLE_Q_MALFORMED] = {.0005, .005},
    [LOOM_SAMPLE_Q_NEGATIVE_RT] = {0, .002},     [LOOM_SAMPLE_Q_EMPTY_RT] = {0, .002},
};

typedef struct maker {
    const loom_sample_world *world;
    const loom_sample_trace *trace;
    loom_sample_rows *out;
    loom_rng rng;
} maker;

static bool happens(maker *m, loom_sample_quirk q)
{
    const loom_sample_conf *c = &m->world->conf;
    return loom_rng_chance(&m->rng, c->harsh ? rates[q].harsh : rates[q].normal);
}

static void mark(maker *m, loom_sample_quirk q) { m->out->quirks |= 1u << q; }

/* A row that memory runs out for is left out: core/nomem.h keeps the file from its name. */
static void add_row(loom_sample_rows *out, const loom_sample_row *row)
{
    if (out->n == out->cap) {
        int32_t cap = out->cap ? 2 * out->cap : 64;
        loom_sample_row *rows = loom_realloc(out->rows, (size_t)cap, sizeof *rows);
        if (!rows) return;
        out->rows = rows;
        out->cap = cap;
    }
    out->rows[out->n++] = *row;
}

static loom_sample_row faithful_row(const loom_sample_trace *t, int32_t call)
{
    const loom_sample_call *c = &t->calls[call];
    loom_sample_row row = {.call = call, .id_call = call, .um = c->source, .columns = COLUMNS};
    row.um_pod = c->parent < 0 ? 0 : t->calls[c->parent].pod;
    row.timestamp = t->arrival + c->start;
    row.rt = c->rt;
    return row;
}

/* ---- damage to whole traces, decided before rows exist ---- */

/* A call drawn among those below the root that have children; -1 when there is none. */
static int32_t pick_inner(maker *m)
{
    const loom_sample_trace *t = m->trace;
    int32_t n = 0;
    for (int32_t i = 1; i < t->n_calls; i++) n += t->calls[i].n_children > 0;
    if (!n) return -1;
    int32_t k = (int32_t)loom_rng_below(&m->rng, (uint64_t)n);
    for (int32_t i = 1; i < t->n_calls; i++)
        if (t->calls[i].n_children > 0 && k-- == 0) return i;
    return -1;
}

static int32_t pick_child(maker *m)
{
    return m->trace->n_calls < 2 ? -1 : 1 + (int32_t)loom_rng_below(&m->rng, (uint64_t)m->trace->n_calls - 1);
}

/* The neighbour whose id a call wrongly carries: the child of the same parent before it, or after it. */
static int32_t sibling_of(const loom_sample_trace *t, int32_t call)
{
    for (int32_t i = call - 1; i > 0; i--)
        if (t->calls[i].parent == t->calls[call].parent) return i;
    for (int32_t i = call + 1; i < t->n_calls; i++)
        if (t->calls[i].parent == t->calls[call].parent) return i;
    return -1;
}

typedef struct damage {
    bool no_root;
    int32_t hole, skewed, mismatched; /* calls, -1: none */
    int32_t wrong_um;
} damage;

static damage draw_damage(maker *m)
{
    damage d = {.hole = -1, .skewed = -1, .mismatched = -1};
    d.no_root = happens(m, LOOM_SAMPLE_Q_NO_ROOT);
    if (happens(m, LOOM_SAMPLE_Q_HOLE)) d.hole = pick_inner(m);
    if (happens(m, LOOM_SAMPLE_Q_SKEW)) d.skewed = pick_child(m);
    if (happens(m, LOOM_SAMPLE_Q_UM_MISMATCH)) d.mismatched = pick_child(m);
    if (d.mismatched >= 0) {
        int64_t n = m->world->conf.n_names[LOOM_SAMPLE_STATELESS];
        d.wrong_um = (int32_t)loom_sample_pick_cum(&m->rng, m->world->name_cum[LOOM_SAMPLE_STATELESS], n);
        if (d.wrong_um == m->trace->calls[d.mismatched].source) d.mismatched = -1;
    }
    if (d.no_root) mark(m, LOOM_SAMPLE_Q_NO_ROOT);
    if (d.hole >= 0) mark(m, LOOM_SAMPLE_Q_HOLE);
    if (d.skewed >= 0) mark(m, LOOM_SAMPLE_Q_SKEW);
    if (d.mismatched >= 0) mark(m, LOOM_SAMPLE_Q_UM_MISMATCH);
    return d;
}

/* ---- rows of a call ---- */

/* The callee's record of the same call lies within the caller's: it starts 0 to 2 ms later and lasts 0 to 3 ms less. */
static loom_sample_row callee_view(maker *m, loom_sample_row row)
{
    int64_t cut = loom_min_i64((int64_t)loom_rng_below(&m->rng, 4), row.rt);
    row.timestamp += (int64_t)loom_rng_below(&m->rng, (uint64_t)loom_min_i64(cut, 2) + 1);
    row.rt -= cut;
    return row;
}

static void add_call(maker *m, int32_t call, const damage *d)
{
    const loom_sample_trace *t = m->trace;
    const loom_sample_call *c = &t->calls[call];
    loom_sample_row row = faithful_row(t, call);
    if (call == d->mismatched) row.um = d->wrong_um;
    if (call == d->skewed) {
        const loom_sample_call *up = &t->calls[c->parent];
        row.timestamp += up->start + up->rt - (c->start + c->rt) + 1 + (int64_t)loom_rng_below(&m->rng, 5);
    }
    bool collides = happens(m, LOOM_SAMPLE_Q_COLLISION) && c->parent >= 0 && c->n_children == 0;
    int32_t sibling = collides ? sibling_of(t, call) : -1;
    if (sibling >= 0) {
        row.id_call = sibling;
        mark(m, LOOM_SAMPLE_Q_COLLISION);
    }
    bool second = happens(m, LOOM_SAMPLE_Q_CALLEE_VIEW), same = happens(m, LOOM_SAMPLE_Q_DUPLICATE);
    bool again = happens(m, LOOM_SAMPLE_Q_REPEATED_ID);
    second = second && m->world->templates[t->service].slots[c->slot].type == LOOM_CALL_RPC;
    add_row(m->out, &row);
    if (second) {
        loom_sample_row callee = callee_view(m, row);
        add_row(m->out, &callee);
        mark(m, LOOM_SAMPLE_Q_CALLEE_VIEW);
    }
    if (same) {
        add_row(m->out, &row);
        mark(m, LOOM_SAMPLE_Q_DUPLICATE);
    }
    if (again) {
        int32_t want = 3 + (int32_t)loom_rng_below(&m->rng, 2);
        for (int32_t have = 1 + second + same; have < want; have++) add_row(m->out, &row);
        mark(m, LOOM_SAMPLE_Q_REPEATED_ID);
    }
}

/* ---- damage to single rows ---- */

static void damage_row(maker *m, loom_sample_row *row)
{
    row->um_unknown = happens(m, LOOM_SAMPLE_Q_UM_UNKNOWN);
    row->um_unavailable = loom_rng_chance(&m->rng, 0.5);
    row->dm_unknown = happens(m, LOOM_SAMPLE_Q_DM_UNKNOWN);
    row->type_unknown = happens(m, LOOM_SAMPLE_Q_TYPE_UNKNOWN);
    if (happens(m, LOOM_SAMPLE_Q_MALFORMED)) {
        row->columns = loom_rng_chance(&m->rng, 0.5) ? COLUMNS + 1 : 1 + (int32_t)loom_rng_below(&m->rng, COLUMNS - 1);
        mark(m, LOOM_SAMPLE_Q_MALFORMED);
    }
    if (happens(m, LOOM_SAMPLE_Q_NEGATIVE_RT)) {
        row->rt = -1 - (int64_t)loom_rng_below(&m->rng, 9);
        mark(m, LOOM_SAMPLE_Q_NEGATIVE_RT);
    }
    row->no_rt = happens(m, LOOM_SAMPLE_Q_EMPTY_RT);
    if (row->no_rt) mark(m, LOOM_SAMPLE_Q_EMPTY_RT);
    if (row->um_unknown) mark(m, LOOM_SAMPLE_Q_UM_UNKNOWN);
    if (row->dm_unknown) mark(m, LOOM_SAMPLE_Q_DM_UNKNOWN);
    if (row->type_unknown) mark(m, LOOM_SAMPLE_Q_TYPE_UNKNOWN);
}

int32_t loom_sample_file_at(const loom_sample_conf *c, int64_t ms)
{
    int64_t part = loom_max_i64(1, loom_sample_window(c) / c->n_files);
    return (int32_t)loom_min_i64(ms / part, c->n_files - 1);
}

/* Rows reach the files with a delay; without quirks a trace stays in the file in which it began. */
static void place(maker *m)
{
    const loom_sample_conf *c = &m->world->conf;
    loom_sample_rows *out = m->out;
    for (int32_t i = 0; i < out->n; i++) {
        loom_sample_row *row = &out->rows[i];
        row->written = row->timestamp + (int64_t)loom_rng_below(&m->rng, WRITE_DELAY + 1);
        row->file = loom_sample_file_at(c, c->quirks ? row->written : m->trace->arrival);
        if (row->file != out->rows[0].file) mark(m, LOOM_SAMPLE_Q_STRADDLE);
    }
}

void loom_sample_rows_make(const loom_sample_world *world, const loom_sample_trace *trace, loom_sample_rows *rows)
{
    maker m = {.world = world, .trace = trace, .out = rows};
    loom_rng_seed(&m.rng, world->conf.seed, "quirk", (uint64_t)trace->index);
    rows->n = 0;
    rows->quirks = 0;
    if (!world->conf.quirks) {
        for (int32_t i = 0; i < trace->n_calls; i++) {
            loom_sample_row row = faithful_row(trace, i);
            add_row(rows, &row);
        }
    } else {
        damage d = draw_damage(&m);
        for (int32_t i = 0; i < trace->n_calls; i++)
            if (!(i == 0 && d.no_root) && i != d.hole) add_call(&m, i, &d);
        for (int32_t i = 0; i < rows->n; i++) damage_row(&m, &rows->rows[i]);
    }
    place(&m);
}

void loom_sample_rows_release(loom_sample_rows *rows)
{
    free(rows->rows);
    *rows = (loom_sample_rows){0};
}

bool loom_sample_row_unusable(const loom_sample_row *row)
{
    return row->um_unknown || row->dm_unknown || row->type_unknown || row->no_rt || row->columns != COLUMNS;
}

/* ---- text ---- */

static void put_number(loom_buf *b, int64_t v, int width)
{
    char text[24];
    int at = sizeof text;
    bool negative = v < 0;
    uint64_t x = negative ? 0 - (uint64_t)v : (uint64_t)v;
    do {
        text[--at] = (char)('0' + x % 10);
        x /= 10;
    } while (x || (int)sizeof text - at < width);
    if (negative) text[--at] = '-';
    loom_buf_append(b, text + at, sizeof text - (size_t)at);
}

static void put_name(loom_buf *b, const loom_sample_world *w, int32_t name)
{
    if (name == LOOM_SAMPLE_USER) {
        loom_buf_append(b, "USER", 4);
        return;
    }
    loom_buf_append(b, "MS_", 3);
    put_number(b, w->names[name].number, 0);
}

static void put_pod(loom_buf *b, const loom_sample_world *w, int32_t name, int32_t pod)
{
    put_name(b, w, name);
    if (name == LOOM_SAMPLE_USER) return;
    loom_buf_append(b, "_POD_", 5);
    put_number(b, pod, 0);
}

static void put_column(loom_buf *b, const loom_sample_world *w, const loom_sample_trace *t, const loom_sample_row *row,
                       int column)
{
    const loom_sample_call *c = &t->calls[row->call], *id = &t->calls[row->id_call];
    const loom_sample_template *plan = &w->templates[t->service];
    const loom_sample_slot *slot = &plan->slots[c->slot];
    switch (column) {
    case 0: put_number(b, row->timestamp, 0); break;
    case 1:
        loom_buf_append(b, "T_", 2);
        put_number(b, loom_sample_trace_number(w, t->index), 11);
        break;
    case 2:
        loom_buf_append(b, "S_", 2);
        put_number(b, plan->service, 0);
        break;
    case 3: loom_buf_append(b, loom_sample_call_id(t, id), id->id_len); break;
    case 4: loom_buf_str(b, row->type_unknown ? "UNKNOWN" : loom_sample_type_names[slot->type]); break;
    case 5:
        if (row->um_unknown) loom_buf_str(b, row->um_unavailable ? "UNAVAILABLE" : "UNKNOWN");
        else put_name(b, w, row->um);
        break;
    case 6:
        if (row->um_unknown) loom_buf_str(b, "UNAVAILABLE");
        else put_pod(b, w, row->um, row->um_pod);
        break;
    case 7: loom_buf_append(b, slot->interface, LOOM_SAMPLE_INTERFACE); break;
    case 8:
        if (row->dm_unknown) loom_buf_str(b, "UNKNOWN");
        else put_name(b, w, c->destination);
        break;
    case 9:
        if (row->dm_unknown) loom_buf_str(b, "UNKNOWN");
        else put_pod(b, w, c->destination, c->pod);
        break;
    case 10:
        if (row->no_rt) break;
        put_number(b, row->rt, 0);
        loom_buf_append(b, ".0", 2);
        break;
    default: break; /* one column too many: empty */
    }
}

void loom_sample_row_text(loom_buf *into, const loom_sample_world *w, const loom_sample_trace *t,
                          const loom_sample_row *row)
{
    if (!loom_buf_reserve(into, 256)) return;
    for (int column = 0; column < row->columns; column++) {
        if (column) loom_buf_char(into, ',');
        put_column(into, w, t, row, column);
    }
    loom_buf_char(into, '\n');
}
