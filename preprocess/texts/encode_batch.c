#include "preprocess/texts/encode_batch.h"

#include "core/hash.h"
#include "core/num.h"
#include "core/parcel.h"
#include "preprocess/texts/ask_first.h"
#include "trace/graph/record.h"
#include "trace/text/textfile.h"

#define LINES_PER_ITEM 32

/* What one thread works with. Padded against sharing cache lines with its neighbours. */
typedef struct worker {
    _Alignas(64) loom_arena record, scratch;
    loom_buf key, question, answer;
    loom_encode_counts counts;
    loom_status status;
    loom_err err;
} worker;

struct loom_encode_batch {
    loom_encode_batch_conf conf;
    loom_pool *pool;
    worker *workers;
    int n_workers;
    loom_buf *texts; /* one per item */
    size_t n_texts, cap_texts;
    const loom_encode_batch_line *lines; /* of the run in progress */
    int64_t n_lines;
    loom_encode_counts packed, others; /* told to another process; told by others */
};

loom_status loom_encode_batch_new(loom_encode_batch **out, const loom_encode_batch_conf *conf, loom_pool *pool,
                                  loom_err *err)
{
    loom_encode_batch *b = loom_calloc(1, sizeof *b);
    int n = loom_pool_threads(pool);
    if (!b) return loom_fail_nomem(err, "the encoder");
    *b = (loom_encode_batch){.conf = *conf, .pool = pool, .n_workers = n};
    b->workers = loom_alloc_aligned((size_t)n * sizeof *b->workers);
    if (!b->workers) {
        loom_encode_batch_free(&b);
        return loom_fail_nomem(err, "the encoder's threads");
    }
    *out = b;
    return LOOM_OK;
}

void loom_encode_batch_free(loom_encode_batch **batch)
{
    loom_encode_batch *b = *batch;
    if (!b) return;
    for (int i = 0; b->workers && i < b->n_workers; i++) {
        loom_arena_release(&b->workers[i].record);
        loom_arena_release(&b->workers[i].scratch);
        loom_buf_release(&b->workers[i].key);
        loom_buf_release(&b->workers[i].question);
        loom_buf_release(&b->workers[i].answer);
    }
    for (size_t i = 0; i < b->n_texts; i++) loom_buf_release(&b->texts[i]);
    free(b->workers);
    free(b->texts);
    free(b);
    *batch = NULL;
}

/* draw: of this text */
static loom_facts facts_of(const loom_encode_batch *b, const loom_graph *g, uint64_t draw)
{
    loom_facts facts = loom_stats_facts(b->conf.stats, g->service);
    facts.asked = b->conf.asked;
    facts.draw = draw;
    return facts;
}

static bool is_too_large(const loom_encode_batch *b, const loom_graph *g)
{
    return (b->conf.max_edges && g->n_calls > b->conf.max_edges) ||
           (b->conf.max_depth && loom_graph_depth(g) > b->conf.max_depth);
}

static int64_t count_samples(const char *text, size_t len)
{
    int64_t n = 0;
    for (size_t next; len; n++) {
        loom_sample_length(text, len, &next);
        text += next;
        len -= next;
    }
    return n;
}

static loom_status ask(loom_encode_batch *b, worker *w, const loom_graph *g, const loom_facts *facts, loom_rng *rng,
                       loom_buf *into)
{
    loom_downstream_view view = {.graph = g,
                                 .form = b->conf.encode.mode,
                                 .rng = rng,
                                 .listed = b->conf.encode.listed_items,
                                 .arena = &w->scratch};
    bool made = false;

    loom_arena_reset(&w->scratch);
    loom_buf_reset(&w->question);
    loom_buf_reset(&w->answer);
    LOOM_TRY(loom_downstream_make(&w->question, &w->answer, &made, (loom_downstream_task)b->conf.task, &view, facts,
                                  b->conf.limit, &w->err));
    if (made) loom_downstream_render_sample(into, loom_buf_text(&w->question), loom_buf_text(&w->answer));
    return LOOM_OK;
}

static loom_status write_text(loom_encode_batch *b, worker *w, const loom_graph *g, const loom_facts *facts,
                              loom_rng *rng, loom_buf *into)
{
    loom_graph reordered;
    bool ask_any = b->conf.ask_any && b->conf.encode.mode == LOOM_MODE_INSTRUCTION;

    if (ask_any && !loom_ask_first(&reordered, g, facts, &w->record))
        return loom_fail_nomem(&w->err, "a graph in another order");
    return loom_encode_graph(into, ask_any ? &reordered : g, facts, &b->conf.encode, rng, &w->scratch, &w->err);
}

static loom_status encode_line(loom_encode_batch *b, worker *w, const loom_encode_batch_line *line, loom_buf *into)
{
    loom_graph g;
    loom_verdict why;
    loom_rng rng;
    size_t before = into->len;

    loom_arena_reset(&w->record);
    w->counts.records++;
    if (!loom_record_read(&g, &why, line->record, line->len, &w->record)) {
        w->counts.invalid++;
        return LOOM_OK;
    }
    if (is_too_large(b, &g)) {
        w->counts.too_large++;
        return LOOM_OK;
    }
    loom_buf_reset(&w->key);
    loom_record_render_untimed(&w->key, &g);
    uint64_t own = loom_hash64(w->key.data, w->key.len, (uint64_t)line->copy);
    loom_rng_seed(&rng, b->conf.seed, b->conf.task >= 0 ? "encode-task" : "encode", own);
    loom_facts facts = facts_of(b, &g, own ^ b->conf.seed);
    if (b->conf.task >= 0) LOOM_TRY(ask(b, w, &g, &facts, &rng, into));
    else LOOM_TRY(write_text(b, w, &g, &facts, &rng, into));
    if (into->len == before) {
        w->counts.no_sample++;
        return LOOM_OK;
    }
    w->counts.graphs++;
    w->counts.bytes += (int64_t)(into->len - before);
    bool many = b->conf.encode.mode == LOOM_MODE_INSTRUCTION && b->conf.task < 0;
    w->counts.samples += many ? count_samples(into->data + before, into->len - before) : 1;
    return LOOM_OK;
}

static void encode_item(void *arg, int64_t item, int thread)
{
    loom_encode_batch *b = arg;
    worker *w = &b->workers[thread];
    int64_t from = item * LINES_PER_ITEM, to = loom_min_i64(from + LINES_PER_ITEM, b->n_lines);

    loom_buf_reset(&b->texts[item]);
    for (int64_t i = from; i < to && w->status == LOOM_OK; i++)
        w->status = encode_line(b, w, &b->lines[i], &b->texts[item]);
}

static loom_status make_texts(loom_encode_batch *batch, int64_t n, loom_err *err)
{
    LOOM_TRY(loom_grow(&batch->texts, &batch->cap_texts, (size_t)n, sizeof *batch->texts, err));
    while (batch->n_texts < (size_t)n) batch->texts[batch->n_texts++] = (loom_buf){0};
    return LOOM_OK;
}

loom_status loom_encode_batch_run(loom_encode_batch *batch, const loom_encode_batch_line *lines, int64_t n,
                                  int64_t *n_texts, loom_err *err)
{
    int64_t n_items = (n + LINES_PER_ITEM - 1) / LINES_PER_ITEM;

    LOOM_TRY(make_texts(batch, n_items, err));
    batch->lines = lines;
    batch->n_lines = n;
    loom_pool_for(batch->pool, n_items, encode_item, batch);
    for (int i = 0; i < batch->n_workers; i++)
        if (batch->workers[i].status != LOOM_OK)
            return loom_fail(err, batch->workers[i].status, "%s", batch->workers[i].err.msg);
    *n_texts = n_items;
    return LOOM_OK;
}

const loom_buf *loom_encode_batch_text(const loom_encode_batch *batch, int64_t i) { return &batch->texts[i]; }

/* sign -1: takes away */
static void add_counts(loom_encode_counts *all, const loom_encode_counts *c, int sign)
{
    all->records += sign * c->records;
    all->invalid += sign * c->invalid;
    all->too_large += sign * c->too_large;
    all->no_sample += sign * c->no_sample;
    all->graphs += sign * c->graphs;
    all->samples += sign * c->samples;
    all->bytes += sign * c->bytes;
}

loom_encode_counts loom_encode_batch_counts(const loom_encode_batch *batch)
{
    loom_encode_counts all = batch->others;
    for (int i = 0; i < batch->n_workers; i++) add_counts(&all, &batch->workers[i].counts, 1);
    return all;
}

void loom_encode_batch_pack(loom_encode_batch *batch, int64_t n_texts, loom_buf *into)
{
    loom_encode_counts all = loom_encode_batch_counts(batch), more = all;

    add_counts(&more, &batch->packed, -1);
    batch->packed = all;
    loom_parcel_put(into, &more, sizeof more);
    loom_parcel_put_i64(into, n_texts);
    for (int64_t i = 0; i < n_texts; i++)
        loom_parcel_put_text(into, loom_buf_text(&batch->texts[i]), batch->texts[i].len);
}

loom_status loom_encode_batch_unpack(loom_encode_batch *batch, int64_t *n_texts, const loom_buf *from, loom_err *err)
{
    loom_parcel p = loom_parcel_of(from);
    loom_encode_counts more;
    size_t len;

    loom_parcel_get(&p, &more, sizeof more);
    add_counts(&batch->others, &more, 1);
    *n_texts = loom_parcel_get_i64(&p);
    if (*n_texts < 0 || *n_texts > (int64_t)from->len) p.bad = true;
    if (p.bad) return loom_parcel_end(&p, err);
    LOOM_TRY(make_texts(batch, *n_texts, err));
    for (int64_t i = 0; i < *n_texts; i++) {
        const char *text = loom_parcel_get_text(&p, &len);

        loom_buf_reset(&batch->texts[i]);
        loom_buf_append(&batch->texts[i], text, len);
        LOOM_TRY(loom_buf_check(&batch->texts[i], "what another rank made", err));
    }
    return loom_parcel_end(&p, err);
}
