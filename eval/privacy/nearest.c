#include "eval/privacy/nearest.h"

#include <stdlib.h>
#include <string.h>

#include "core/num.h"
#include "core/rng.h"
#include "eval/answers/graphs.h"

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static uint64_t digest_of(const loom_call *c, loom_buf *text)
{
    loom_buf_reset(text);
    loom_buf_append(text, c->source, strlen(c->source) + 1);
    loom_buf_append(text, c->destination, strlen(c->destination) + 1);
    loom_buf_char(text, (char)('a' + (int)c->type));
    return loom_hash64(loom_buf_text(text), text->len, 0);
}

static loom_status note_name(loom_call_sets *s, const char *name, loom_err *err)
{
    size_t before = s->names.n;
    int64_t id = loom_intern_add(&s->names, name, strlen(name));
    if (id < 0) return loom_fail_nomem(err, "names");
    LOOM_TRY(loom_grow(&s->graphs_of, &s->cap_names, s->names.n, sizeof *s->graphs_of, err));
    LOOM_TRY(loom_grow(&s->last, &s->cap_last, s->names.n, sizeof *s->last, err));
    if (s->names.n > before) s->graphs_of[id] = 0, s->last[id] = -1;
    s->graphs_of[id] += s->last[id] != s->n;
    s->last[id] = s->n;
    return LOOM_OK;
}

static loom_status add_graph(loom_call_sets *s, const loom_graph *g, loom_buf *text, loom_err *err)
{
    LOOM_TRY(loom_grow(&s->calls, &s->cap_calls, (size_t)(s->n_calls + g->n_calls), sizeof *s->calls, err));
    LOOM_TRY(loom_grow(&s->first, &s->cap_first, (size_t)s->n + 2, sizeof *s->first, err));
    uint64_t *own = s->calls + s->n_calls;
    LOOM_TRY(note_name(s, g->service, err));
    for (int32_t i = 0; i < g->n_calls; i++) {
        own[i] = digest_of(&g->calls[i], text);
        LOOM_TRY(note_name(s, g->calls[i].destination, err));
    }
    LOOM_TRY(loom_buf_check(text, "a call", err));
    qsort(own, (size_t)g->n_calls, sizeof *own, compare_u64);
    s->first[s->n++] = s->n_calls;
    s->n_calls += g->n_calls;
    s->first[s->n] = s->n_calls;
    return LOOM_OK;
}

loom_status loom_call_sets_load(loom_call_sets *s, const char *path, int64_t most, uint64_t seed, loom_err *err)
{
    loom_graph_set set = {0};
    loom_buf text = {0};
    loom_rng rng;
    loom_status st = loom_graph_set_load(&set, path, 0, err);
    loom_rng_seed(&rng, seed, "privacy-nearest", 0);
    for (int64_t i = 0, left = set.n, want = most > 0 ? loom_min_i64(most, set.n) : set.n; i < set.n && st == LOOM_OK;
         i++, left--) {
        if (want < left && loom_rng_below(&rng, (uint64_t)left) >= (uint64_t)want) continue; /* each as likely as any */
        want--;
        st = add_graph(s, &set.graphs[i], &text, err);
    }
    loom_graph_set_release(&set);
    loom_buf_release(&text);
    return st;
}

/* Of two ascending arrays: how many belong to one only. */
static int64_t apart(const uint64_t *a, int64_t n, const uint64_t *b, int64_t m)
{
    int64_t i = 0, k = 0, common = 0;
    while (i < n && k < m) {
        common += a[i] == b[k];
        bool on_a = a[i] <= b[k], on_b = b[k] <= a[i];
        i += on_a;
        k += on_b;
    }
    return n + m - 2 * common;
}

typedef struct search {
    double *distances;
    const loom_call_sets *known, *asked;
} search;

static void search_one(void *arg, int64_t item, int thread)
{
    const search *s = arg;
    const uint64_t *own = s->asked->calls + s->asked->first[item];
    int64_t n = s->asked->first[item + 1] - s->asked->first[item];
    double best = 1;
    (void)thread;
    for (int64_t i = 0; i < s->known->n && best > 0; i++) {
        int64_t m = s->known->first[i + 1] - s->known->first[i], least = n > m ? n - m : m - n;
        if ((double)least >= best * (double)(n + m)) continue; /* the sizes alone are further apart */
        double d = (double)apart(own, n, s->known->calls + s->known->first[i], m) / (double)(n + m);
        if (d < best) best = d;
    }
    s->distances[item] = best;
}

void loom_nearest(double *distances, const loom_call_sets *known, const loom_call_sets *asked, loom_pool *pool)
{
    loom_pool_for(pool, asked->n, search_one, &(search){distances, known, asked});
}

int64_t loom_rare_names_met(int64_t *met, const loom_call_sets *known, const loom_call_sets *asked, int64_t below)
{
    int64_t rare = 0;
    *met = 0;
    for (size_t i = 0; i < known->names.n; i++) {
        if (known->graphs_of[i] >= below) continue;
        rare++;
        *met += loom_intern_find(&asked->names, loom_intern_text(&known->names, (int64_t)i),
                                 loom_intern_len(&known->names, (int64_t)i)) >= 0;
    }
    return rare;
}

void loom_call_sets_release(loom_call_sets *s)
{
    free(s->calls);
    free(s->first);
    free(s->graphs_of);
    free(s->last);
    loom_intern_release(&s->names);
    *s = (loom_call_sets){0};
}
