#include "eval/privacy/training_digests.h"

#include <math.h>
#include <string.h>

#include "core/hash.h"
#include "core/hash_set.h"
#include "core/nomem.h"
#include "core/num.h"
#include "core/rng.h"
#include "eval/answers/graphs.h"
#include "trace/graph/record.h"

const char *const loom_copy_bucket_names[LOOM_COPY_BUCKETS] = {"1", "2-3", "4-7", "8-15", "16-30", "31+"};

int loom_copy_bucket(int64_t n_calls)
{
    static const int64_t last[LOOM_COPY_BUCKETS] = {1, 3, 7, 15, 30, INT64_MAX};
    int b = 0;
    while (n_calls > last[b]) b++;
    return b;
}

struct loom_training_digests {
    int64_t n;
    loom_hash_set exact, once, twice; /* structures seen at least once, at least twice */
    loom_intern services, nodes, pairs;
    loom_buf text;
};

loom_training_digests *loom_training_digests_new(void) { return loom_calloc(1, sizeof(loom_training_digests)); }

void loom_training_digests_free(loom_training_digests *m)
{
    if (!m) return;
    loom_hash_set_release(&m->exact);
    loom_hash_set_release(&m->once);
    loom_hash_set_release(&m->twice);
    loom_intern_release(&m->services);
    loom_intern_release(&m->nodes);
    loom_intern_release(&m->pairs);
    loom_buf_release(&m->text);
    free(m);
}

int64_t loom_training_digests_graphs(const loom_training_digests *m) { return m->n; }
int64_t loom_training_digests_shapes(const loom_training_digests *m) { return (int64_t)m->once.n; }

static loom_hash128 exact_key(loom_buf *text, const loom_graph *g)
{
    loom_buf_reset(text);
    loom_record_render_untimed(text, g);
    return loom_hash128_of(text->data, text->len);
}

static loom_hash128 structure_key(loom_buf *text, const loom_graph *g)
{
    loom_buf_reset(text);
    loom_record_render_structure(text, g);
    return loom_hash128_of(text->data, text->len);
}

static void pair_text(loom_buf *text, const loom_call *c)
{
    loom_buf_reset(text);
    loom_buf_printf(text, "%s,%s", c->source, c->destination);
}

static bool note(loom_intern *names, const char *name) { return loom_intern_add(names, name, strlen(name)) >= 0; }

static bool add_all(loom_training_digests *m, const loom_graph *g)
{
    bool fresh;
    loom_hash128 key = exact_key(&m->text, g), shape = structure_key(&m->text, g);
    if (!loom_hash_set_add(&m->exact, key, &fresh) || !loom_hash_set_add(&m->once, shape, &fresh)) return false;
    if (!fresh && !loom_hash_set_add(&m->twice, shape, &fresh)) return false;
    if (!note(&m->services, g->service)) return false;
    for (int32_t i = 0; i < g->n_calls; i++) {
        const loom_call *c = &g->calls[i];
        pair_text(&m->text, c);
        if (!note(&m->nodes, c->source) || !note(&m->nodes, c->destination) ||
            !note(&m->pairs, loom_buf_text(&m->text)))
            return false;
    }
    return true;
}

loom_status loom_training_digests_add(loom_training_digests *m, const loom_graph *g, loom_err *err)
{
    m->n++;
    if (!add_all(m, g) || loom_buf_failed(&m->text))
        return loom_fail_nomem(err, "what is known of the training graphs");
    return LOOM_OK;
}

loom_status loom_training_digests_load_some(loom_training_digests **out, const char *path, int64_t most, int64_t n,
                                            uint64_t seed, loom_err *err)
{
    loom_training_digests *m = loom_training_digests_new();
    loom_graphs *in = NULL;
    loom_graph g;
    loom_rng rng;
    bool more;
    int64_t seen = 0;
    loom_status st =
        m ? loom_graphs_open(&in, path, err) : loom_fail_nomem(err, "what is known of the training graphs");
    loom_rng_seed(&rng, seed, "known", 0);
    while (st == LOOM_OK && (st = loom_graphs_next(in, &g, &more, err)) == LOOM_OK && more) {
        /* of the n - seen that are left, most - m->n are still wanted */
        bool wanted = most == 0 || (int64_t)loom_rng_below(&rng, (uint64_t)loom_max_i64(n - seen, 1)) < most - m->n;
        if (wanted && (st = loom_training_digests_add(m, &g, err)) != LOOM_OK) break;
        seen++;
    }
    loom_graphs_close(&in);
    if (st == LOOM_OK) *out = m;
    else loom_training_digests_free(m);
    return st;
}

loom_status loom_training_digests_load(loom_training_digests **out, const char *path, loom_err *err)
{
    return loom_training_digests_load_some(out, path, 0, 0, 0, err);
}

/* ---- checking ---- */

typedef struct seen {
    loom_hash_set graphs;
    loom_intern services, nodes;
    loom_buf text;
} seen;

static bool is_new(loom_intern *own, const loom_intern *known, const char *name)
{
    size_t len = strlen(name);
    if (loom_intern_find(known, name, len) >= 0 || loom_intern_find(own, name, len) >= 0) return false;
    return loom_intern_add(own, name, len) >= 0;
}

/* Keeps the largest copies, smallest last. */
static void keep_example(loom_copy_report *r, const loom_graph *g, int64_t most)
{
    if (most == 0 || (r->n_examples == most && r->example_calls[most - 1] >= g->n_calls)) return;
    int64_t at = r->n_examples < most ? r->n_examples++ : most - 1;
    free(r->examples[at]);
    for (; at > 0 && r->example_calls[at - 1] < g->n_calls; at--) {
        r->examples[at] = r->examples[at - 1];
        r->example_calls[at] = r->example_calls[at - 1];
    }
    loom_buf text = {0};
    loom_record_render_untimed(&text, g);
    r->examples[at] = loom_buf_take(&text);
    r->example_calls[at] = g->n_calls;
}

static void count_match(loom_copies *into, const loom_training_digests *m, loom_hash128 key, loom_hash128 shape)
{
    if (!m) return;
    into->exact += loom_hash_set_has(&m->exact, key);
    into->structure += loom_hash_set_has(&m->once, shape);
}

static void count_names(loom_copy_report *r, const loom_training_digests *m, seen *s, const loom_graph *g)
{
    r->new_services += is_new(&s->services, &m->services, g->service);
    for (int32_t i = 0; i < g->n_calls; i++) {
        const loom_call *c = &g->calls[i];
        r->new_nodes += is_new(&s->nodes, &m->nodes, c->source);
        r->new_nodes += is_new(&s->nodes, &m->nodes, c->destination);
        pair_text(&s->text, c);
        r->n_calls++;
        r->new_calls += loom_intern_find(&m->pairs, s->text.data, s->text.len) < 0;
    }
}

static loom_status check_graph(loom_copy_report *r, const loom_known_sets *known, seen *s, const loom_graph *g,
                               int64_t n_examples, loom_err *err)
{
    const loom_training_digests *m = known->train;
    loom_hash128 key = exact_key(&s->text, g), shape;
    bool first;
    if (!loom_hash_set_add(&s->graphs, key, &first)) return loom_fail_nomem(err, "the graphs seen");
    shape = structure_key(&s->text, g);
    loom_copy_counts *into[2] = {&r->all, &r->bucket[loom_copy_bucket(g->n_calls)]};
    for (int i = 0; i < 2; i++) {
        into[i]->n++;
        count_match(&into[i]->of[LOOM_KNOWN_TRAIN], known->train, key, shape);
        count_match(&into[i]->of[LOOM_KNOWN_SAMPLE], known->sample, key, shape);
        count_match(&into[i]->of[LOOM_KNOWN_HELDOUT], known->heldout, key, shape);
        into[i]->unique_structure += loom_hash_set_has(&m->once, shape) && !loom_hash_set_has(&m->twice, shape);
    }
    r->n_distinct += first;
    if (first && loom_hash_set_has(&m->exact, key)) keep_example(r, g, n_examples);
    count_names(r, m, s, g);
    return loom_nomem_check("the graphs seen", err);
}

static loom_status note_temperature(loom_copy_report *r, const loom_graphs *in, const char *path, loom_err *err)
{
    double t = loom_graphs_temperature(in);
    if (isnan(t)) return LOOM_OK;
    if (!isnan(r->temperature) && r->temperature != t)
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "%s: answers at temperatures %g and %g in one file; give a file for each", path,
                         r->temperature, t);
    r->temperature = t;
    r->constrained = loom_graphs_constrained(in);
    return LOOM_OK;
}

loom_status loom_copy_check(loom_copy_report *out, const loom_known_sets *known, const char *path, int64_t n_examples,
                            loom_err *err)
{
    loom_graphs *in = NULL;
    loom_graph g;
    bool more = true;
    seen s = {0};
    loom_status st = loom_graphs_open(&in, path, err);
    *out = (loom_copy_report){.temperature = NAN, .has_heldout = known->heldout != NULL};
    out->examples = loom_calloc((size_t)n_examples, sizeof *out->examples);
    out->example_calls = loom_calloc((size_t)n_examples, sizeof *out->example_calls);
    if (st == LOOM_OK && (!out->examples || !out->example_calls)) st = loom_fail_nomem(err, "examples");
    while (st == LOOM_OK && more) {
        if ((st = loom_graphs_next(in, &g, &more, err)) != LOOM_OK) break;
        if ((st = note_temperature(out, in, path, err)) != LOOM_OK) break;
        if (more) st = check_graph(out, known, &s, &g, n_examples, err);
    }
    if (in) {
        out->n_requested = loom_graphs_read(in);
        out->n_rejected = loom_graphs_rejected(in);
    }
    loom_graphs_close(&in);
    loom_hash_set_release(&s.graphs);
    loom_intern_release(&s.services);
    loom_intern_release(&s.nodes);
    loom_buf_release(&s.text);
    return st;
}

loom_copy_counts loom_copy_large(const loom_copy_report *r)
{
    loom_copy_counts sum = {0};
    for (int b = 2; b < LOOM_COPY_BUCKETS; b++) {
        sum.n += r->bucket[b].n;
        for (int k = 0; k < LOOM_KNOWN; k++) {
            sum.of[k].exact += r->bucket[b].of[k].exact;
            sum.of[k].structure += r->bucket[b].of[k].structure;
        }
        sum.unique_structure += r->bucket[b].unique_structure;
    }
    return sum;
}

void loom_copy_report_release(loom_copy_report *r)
{
    for (int64_t i = 0; i < r->n_examples; i++) free(r->examples[i]);
    free(r->examples);
    free(r->example_calls);
    *r = (loom_copy_report){0};
}
