#include "preprocess/samples/sample_truth.h"

#include <stdio.h>
#include <string.h>

#include "core/compare.h"
#include "core/json.h"
#include "core/num.h"
#include "preprocess/samples/sample_math.h"
#include "trace/graph/record.h"
#include "trace/graph/rows.h"
#include "trace/graph/validity.h"

#define P90_DRAWS 1001
#define UNCOMMON  0.1 /* a call in fewer of a service's traces is rare */

/* ---- exact probabilities ---- */

/* Probability of n calls in a row, n = 1 .. LOOM_SAMPLE_REPEATS, is q^(n-1) (1 - q), the rest at the last. */
static double repeat_q(const loom_sample_slot *s) { return s->repeat / (1 + s->repeat); }

static double mean_calls(const loom_sample_slot *s)
{
    double q = repeat_q(s), sum = 0, power = 1;
    for (int n = 0; n < LOOM_SAMPLE_REPEATS; n++) {
        sum += power;
        power *= q;
    }
    return sum;
}

/* E[z^n] over the number of calls in a row. */
static double repeated(const loom_sample_slot *s, double z)
{
    double q = repeat_q(s), sum = 0, power = 1, zn = z;
    if (q <= 0) return z;
    for (int n = 1; n < LOOM_SAMPLE_REPEATS; n++) {
        sum += power * (1 - q) * zn;
        power *= q;
        zn *= z;
    }
    return sum + power * zn;
}

/* Probability that none of the marked slots is called in one execution of the whole template in a mode. z (n_slots) is
 * working space: z[i] = the same for one execution of slot i. Children come after their parents. */
static double absence(const loom_sample_template *t, int32_t mode, const bool *marked, double *z)
{
    for (int32_t i = t->n_slots - 1; i >= 0; i--) {
        const loom_sample_slot *s = &t->slots[i];
        double either = 0;
        z[i] = marked[i] ? 0 : 1;
        for (int32_t c = s->first_child; z[i] > 0 && c < s->first_child + s->n_children; c++) {
            const loom_sample_slot *kid = &t->slots[c];
            double p = kid->p[mode], without = repeated(kid, z[c]);
            bool cached = c + 1 < s->first_child + s->n_children && t->slots[c + 1].rule == LOOM_SAMPLE_MISS;
            if (cached) {
                double miss = t->slots[c + 1].p[mode];
                without *= miss * repeated(&t->slots[c + 1], z[c + 1]) + (1 - miss);
            }
            switch (kid->rule) {
            case LOOM_SAMPLE_ALONE: z[i] *= 1 - p + p * without; break;
            case LOOM_SAMPLE_EITHER: either = p * without; break;
            case LOOM_SAMPLE_OR: z[i] *= either + p * without; break;
            case LOOM_SAMPLE_MISS: break; /* counted with the cache before it */
            }
        }
    }
    return z[0];
}

static double presence(const loom_sample_template *t, const bool *marked, double *z)
{
    double p = 0;
    for (int32_t m = 0; m < t->n_modes; m++) p += t->mode_weight[m] * (1 - absence(t, m, marked, z));
    return p;
}

static void expected_calls(const loom_sample_template *t, loom_sample_slot_truth *out, double *calls)
{
    for (int32_t m = 0; m < t->n_modes; m++) {
        for (int32_t i = 0; i < t->n_slots; i++) {
            const loom_sample_slot *s = &t->slots[i];
            double p = i ? s->p[m] : 1;
            if (s->rule == LOOM_SAMPLE_MISS) p *= t->slots[i - 1].p[m];
            calls[i] = i ? calls[s->parent] * p * mean_calls(s) : 1;
            out[i].calls += t->mode_weight[m] * calls[i];
        }
    }
}

static int32_t slot_source(const loom_sample_template *t, int32_t slot)
{
    return t->slots[slot].parent < 0 ? LOOM_SAMPLE_USER : t->slots[t->slots[slot].parent].name;
}

static bool same_triple(const loom_sample_template *t, int32_t a, int32_t b)
{
    return t->slots[a].name == t->slots[b].name && t->slots[a].type == t->slots[b].type &&
           slot_source(t, a) == slot_source(t, b);
}

static void slot_truths(const loom_sample_template *t, loom_sample_slot_truth *out, loom_arena *scratch)
{
    size_t n = (size_t)t->n_slots;
    double *z = loom_arena_alloc(scratch, n * sizeof *z);
    bool *marked = loom_arena_calloc(scratch, n, sizeof *marked);
    if (!z || !marked) return; /* core/nomem.h keeps it out of every result, here and below */
    expected_calls(t, out, z);
    for (int32_t i = 0; i < t->n_slots; i++) {
        int32_t first = 0, alike = 0;
        marked[i] = true;
        out[i].p = presence(t, marked, z);
        while (!same_triple(t, first, i)) first++;
        for (int32_t k = first; k < t->n_slots; k++) {
            marked[k] = same_triple(t, k, i);
            alike += marked[k];
        }
        out[i].p_triple = alike == 1 ? out[i].p : first < i ? out[first].p_triple : presence(t, marked, z);
        memset(marked, 0, n * sizeof *marked);
    }
}

static int64_t root_p90(const loom_sample_world *w, int32_t service, loom_sample_trace *trace)
{
    int64_t latencies[P90_DRAWS];
    loom_rng r;
    loom_rng_seed(&r, w->conf.seed, "p90", (uint64_t)service);
    for (int i = 0; i < P90_DRAWS; i++) {
        if (!loom_sample_draw_service(w, service, &r, trace)) return 0;
        latencies[i] = trace->calls[0].rt;
    }
    qsort(latencies, P90_DRAWS, sizeof latencies[0], loom_compare_i64);
    return latencies[P90_DRAWS * 9 / 10];
}

typedef struct truth_job {
    loom_sample_truth *truth;
    const loom_sample_world *world;
} truth_job;

static void truth_of_service(void *arg, int64_t i, int thread)
{
    truth_job *job = arg;
    loom_arena scratch = {0};
    loom_sample_trace trace = {0};
    (void)thread;
    slot_truths(&job->world->templates[i], job->truth->slots[i], &scratch);
    job->truth->p90[i] = root_p90(job->world, (int32_t)i, &trace);
    loom_sample_trace_release(&trace);
    loom_arena_release(&scratch);
}

loom_status loom_sample_truth_new(loom_sample_truth **out, const loom_sample_world *w, loom_pool *pool, loom_err *err)
{
    size_t n = (size_t)w->conf.n_services;
    loom_sample_truth *t = loom_calloc(1, sizeof *t);
    bool ok = t && (t->slots = loom_calloc(n, sizeof *t->slots)) && (t->p90 = loom_calloc(n, sizeof *t->p90));
    for (size_t i = 0; ok && i < n; i++)
        ok = (t->slots[i] = loom_calloc((size_t)w->templates[i].n_slots, sizeof *t->slots[i])) != NULL;
    if (!ok) {
        loom_sample_truth_free(t, w);
        return loom_fail_nomem(err, "truth about the sample");
    }
    truth_job job = {t, w};
    loom_pool_for(pool, (int64_t)n, truth_of_service, &job);
    *out = t;
    return LOOM_OK;
}

void loom_sample_truth_free(loom_sample_truth *t, const loom_sample_world *w)
{
    if (!t) return;
    for (int64_t i = 0; t->slots && i < w->conf.n_services; i++) free(t->slots[i]);
    free(t->slots);
    free(t->p90);
    free(t);
}

/* ---- what cleaning leaves ---- */

static const char *name_text(const loom_sample_world *w, int32_t name, loom_arena *a)
{
    char text[32];
    if (name == LOOM_SAMPLE_USER) return "USER";
    int len = snprintf(text, sizeof text, "MS_%05d", (int)w->names[name].number);
    return loom_arena_strdup(a, text, (size_t)len);
}

static const char *service_text(const loom_sample_world *w, int32_t service, loom_arena *a)
{
    char text[32];
    int len = snprintf(text, sizeof text, "S_%09d", (int)w->templates[service].service);
    return loom_arena_strdup(a, text, (size_t)len);
}

static const int32_t *id_numbers(const loom_sample_trace *t, const loom_sample_call *c, loom_arena *a)
{
    int32_t *id = loom_arena_calloc(a, (size_t)c->depth, sizeof *id);
    const char *text = loom_sample_call_id(t, c);
    for (int32_t at = 0; id && *text; text++) {
        if (*text == '.') at++;
        else id[at] = id[at] * 10 + (*text - '0');
    }
    return id;
}

typedef struct order {
    int32_t file, row;
    int64_t written;
} order;

static int compare_order(const void *a, const void *b)
{
    const order *x = a, *y = b;
    if (x->file != y->file) return x->file < y->file ? -1 : 1;
    if (x->written != y->written) return x->written < y->written ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static loom_row row_as_read(const loom_sample_world *w, const loom_sample_trace *t, const loom_sample_row *r,
                            loom_arena *a)
{
    const loom_sample_call *c = &t->calls[r->call], *id = &t->calls[r->id_call];
    return (loom_row){.timestamp = r->timestamp,
                      .rt = r->rt,
                      .id_text = loom_sample_call_id(t, id),
                      .id = id_numbers(t, id, a),
                      .n_id = id->depth,
                      .type = w->templates[t->service].slots[c->slot].type,
                      .source = name_text(w, r->um, a),
                      .destination = name_text(w, c->destination, a),
                      .service = service_text(w, t->service, a)};
}

int32_t loom_sample_cleaned(loom_buf *into, const loom_sample_world *w, const loom_sample_trace *t,
                            const loom_sample_rows *rows, loom_arena *scratch)
{
    order *sorted = loom_arena_alloc(scratch, (size_t)rows->n * sizeof *sorted);
    loom_row *usable = loom_arena_alloc(scratch, (size_t)rows->n * sizeof *usable);
    int32_t n = 0, left = 0;
    if (!sorted || !usable) return 0;
    for (int32_t i = 0; i < rows->n; i++)
        if (!loom_sample_row_unusable(&rows->rows[i]))
            sorted[n++] = (order){rows->rows[i].file, i, rows->rows[i].written};
    qsort(sorted, (size_t)n, sizeof *sorted, compare_order);
    for (int32_t i = 0, next; i < n; i = next) {
        loom_graph g;
        loom_verdict verdict;
        int32_t k = 0;
        for (next = i; next < n && sorted[next].file == sorted[i].file; next++)
            usable[k++] = row_as_read(w, t, &rows->rows[sorted[next].row], scratch);
        if (scratch->failed || loom_rows_to_graph(&g, usable, k, scratch) < 0) return 0;
        loom_verdict_reset(&verdict);
        loom_graph_check(&verdict, &g);
        if (verdict.n) continue;
        loom_record_render(into, &g);
        loom_buf_char(into, '\n');
        left++;
    }
    return left;
}

/* ---- who is to blame ---- */

/* Adds to own[] (per call) the time that each call on the critical path spends itself: its span without the spans of
 * its critical children, which are the last to finish and, going back, each one that ended before it started. */
static void critical_path(const loom_sample_trace *t, int32_t call, int64_t *own)
{
    const loom_sample_call *c = &t->calls[call];
    int64_t until = c->start + c->rt, exclusive = c->rt;
    for (;;) {
        int32_t last = -1;
        int64_t last_finish = -1;
        for (int32_t i = call + 1; i < t->n_calls && t->calls[i].depth > c->depth; i++) {
            const loom_sample_call *kid = &t->calls[i];
            int64_t finish = kid->start + kid->rt;
            if (kid->parent != call || own[i] >= 0 || finish > until || finish <= last_finish) continue;
            last = i;
            last_finish = finish;
        }
        if (last < 0) break;
        exclusive -= t->calls[last].rt;
        until = t->calls[last].start;
        own[last] = 0;
        critical_path(t, last, own);
    }
    own[call] = exclusive;
}

/* The name with the largest excess of its own time on the critical path over the usual own time; -2: nobody. */
static int32_t find_culprit(const loom_sample_world *w, const loom_sample_trace *t, loom_arena *scratch)
{
    size_t n = (size_t)t->n_calls;
    int64_t *own = loom_arena_alloc(scratch, n * sizeof *own);
    double best = 0;
    int32_t culprit = -2;
    if (!own) return culprit;
    for (size_t i = 0; i < n; i++) own[i] = -1;
    own[0] = 0;
    critical_path(t, 0, own);
    for (int32_t i = 0; i < t->n_calls; i++) {
        double excess = 0;
        if (own[i] < 0) continue;
        for (int32_t k = 0; k < t->n_calls; k++) {
            const loom_sample_slot *s = &w->templates[t->service].slots[t->calls[k].slot];
            if (own[k] < 0 || t->calls[k].destination != t->calls[i].destination) continue;
            excess += (double)own[k] - loom_sample_exp(w->shape.times[s->type].mu + s->offset);
        }
        if (excess > best) {
            best = excess;
            culprit = t->calls[i].destination;
        }
    }
    return culprit;
}

/* ---- JSON ---- */

static void json_names(loom_jw *j, const char *key, const loom_sample_world *w, int32_t name)
{
    char text[32];
    snprintf(text, sizeof text, "MS_%05d", name < 0 ? 0 : (int)w->names[name].number);
    loom_jw_kv_str(j, key, name == LOOM_SAMPLE_USER ? "USER" : text);
}

static void json_slow(loom_jw *j, const loom_sample_trace *t)
{
    loom_jw_key(j, "slow");
    loom_jw_begin_array(j);
    for (int32_t i = 0; i < t->n_calls; i++)
        if (t->calls[i].slow) loom_jw_str(j, loom_sample_call_id(t, &t->calls[i]));
    loom_jw_end_array(j);
}

static void json_rare(loom_jw *j, const loom_sample_world *w, const loom_sample_truth *truth,
                      const loom_sample_trace *t)
{
    const loom_sample_slot *slots = w->templates[t->service].slots;
    loom_arena a = {0};
    loom_jw_key(j, "rare");
    loom_jw_begin_array(j);
    for (int32_t i = 0; i < t->n_calls; i++) {
        const loom_sample_call *c = &t->calls[i];
        loom_buf text = {0};
        if (truth->slots[t->service][c->slot].p_triple >= UNCOMMON) continue;
        loom_buf_printf(&text, "%s|%s|%s|%s", loom_sample_call_id(t, c), loom_sample_type_names[slots[c->slot].type],
                        name_text(w, c->source, &a), name_text(w, c->destination, &a));
        loom_jw_str(j, text.data);
        loom_buf_release(&text);
    }
    loom_jw_end_array(j);
    loom_arena_release(&a);
}

static void json_quirks(loom_jw *j, const loom_sample_rows *rows)
{
    loom_jw_key(j, "quirks");
    loom_jw_begin_array(j);
    for (int q = 0; q < LOOM_SAMPLE_QUIRKS; q++)
        if (rows->quirks & (1u << q)) loom_jw_str(j, loom_sample_quirk_names[q]);
    loom_jw_end_array(j);
}

static void json_cleaned(loom_jw *j, const loom_buf *records)
{
    loom_jw_key(j, "cleaned");
    loom_jw_begin_array(j);
    for (const char *at = loom_buf_text(records), *end; (end = strchr(at, '\n')); at = end + 1)
        loom_jw_strn(j, at, (size_t)(end - at));
    loom_jw_end_array(j);
}

bool loom_sample_truth_line(loom_buf *into, const loom_sample_world *w, const loom_sample_truth *truth,
                            const loom_sample_trace *t, const loom_sample_rows *rows, loom_arena *scratch)
{
    char traceid[32];
    loom_buf records = {0};
    loom_jw j;
    loom_arena_reset(scratch);
    int32_t left = loom_sample_cleaned(&records, w, t, rows, scratch);
    int32_t culprit = t->calls[0].rt > truth->p90[t->service] ? find_culprit(w, t, scratch) : -2;
    snprintf(traceid, sizeof traceid, "T_%011lld", (long long)loom_sample_trace_number(w, t->index));
    loom_jw_init(&j, into, false);
    loom_jw_begin_object(&j);
    loom_jw_kv_str(&j, "traceid", traceid);
    loom_jw_kv_str(&j, "service", service_text(w, t->service, scratch));
    loom_jw_kv_i64(&j, "mode", t->mode);
    loom_jw_kv_i64(&j, "n_edges", t->n_calls);
    loom_jw_kv_i64(&j, "depth", t->depth);
    loom_jw_kv_i64(&j, "root_latency", t->calls[0].rt);
    json_slow(&j, t);
    if (culprit >= 0) {
        json_names(&j, "culprit", w, culprit);
    } else {
        loom_jw_key(&j, "culprit");
        loom_jw_null(&j);
    }
    json_rare(&j, w, truth, t);
    json_quirks(&j, rows);
    loom_jw_kv_bool(&j, "clean", left > 0);
    json_cleaned(&j, &records);
    loom_jw_end_object(&j);
    loom_buf_char(into, '\n');
    loom_buf_release(&records);
    return left > 0;
}

static const char *const rule_names[] = {[LOOM_SAMPLE_ALONE] = "alone",
                                         [LOOM_SAMPLE_EITHER] = "either",
                                         [LOOM_SAMPLE_OR] = "or",
                                         [LOOM_SAMPLE_MISS] = "miss"};

static void json_slot(loom_jw *j, const loom_sample_world *w, const loom_sample_template *t, int32_t i,
                      const loom_sample_slot_truth *truth)
{
    const loom_sample_slot *s = &t->slots[i];
    loom_jw_begin_object(j);
    loom_jw_kv_i64(j, "slot", i);
    loom_jw_kv_i64(j, "parent", s->parent);
    loom_jw_kv_str(j, "type", loom_sample_type_names[s->type]);
    json_names(j, "source", w, slot_source(t, i));
    json_names(j, "destination", w, s->name);
    loom_jw_kv_str(j, "interface", s->interface);
    loom_jw_kv_str(j, "rule", rule_names[s->rule]);
    loom_jw_kv_bool(j, "spine", s->spine);
    loom_jw_kv_bool(j, "rare", s->rare);
    loom_jw_kv_bool(j, "overlap", s->overlap);
    loom_jw_kv_f64(j, "repeat", s->repeat);
    loom_jw_kv_f64(j, "offset", s->offset);
    loom_jw_key(j, "p_mode");
    loom_jw_begin_array(j);
    for (int32_t m = 0; m < t->n_modes; m++) loom_jw_f64(j, s->p[m]);
    loom_jw_end_array(j);
    loom_jw_kv_f64(j, "p", truth->p);
    loom_jw_kv_f64(j, "calls", truth->calls);
    loom_jw_kv_f64(j, "p_triple", truth->p_triple);
    loom_jw_end_object(j);
}

static void json_template(loom_jw *j, const loom_sample_world *w, const loom_sample_truth *truth, int64_t i)
{
    const loom_sample_template *t = &w->templates[i];
    loom_arena a = {0};
    loom_jw_begin_object(j);
    loom_jw_kv_str(j, "service", service_text(w, (int32_t)i, &a));
    loom_jw_kv_f64(j, "weight", t->weight);
    loom_jw_kv_i64(j, "depth", t->depth);
    loom_jw_kv_bool(j, "heavy", t->heavy);
    loom_jw_kv_i64(j, "p90", truth->p90[i]);
    loom_jw_key(j, "modes");
    loom_jw_begin_array(j);
    for (int32_t m = 0; m < t->n_modes; m++) {
        loom_jw_begin_object(j);
        loom_jw_kv_f64(j, "weight", t->mode_weight[m]);
        loom_jw_kv_f64(j, "root_factor", t->root_factor[m]);
        loom_jw_end_object(j);
    }
    loom_jw_end_array(j);
    loom_jw_key(j, "slots");
    loom_jw_begin_array(j);
    for (int32_t s = 0; s < t->n_slots; s++) json_slot(j, w, t, s, &truth->slots[i][s]);
    loom_jw_end_array(j);
    loom_jw_end_object(j);
    loom_arena_release(&a);
}

void loom_sample_templates_json(loom_buf *into, const loom_sample_world *w, const loom_sample_truth *truth)
{
    loom_jw j;
    loom_jw_init(&j, into, false);
    loom_jw_begin_object(&j);
    loom_jw_kv_str(&j, "note", "hidden model of synthetic sample data; any coincidence with real names is accidental");
    loom_jw_kv_i64(&j, "seed", (int64_t)w->conf.seed);
    loom_jw_key(&j, "services");
    loom_jw_begin_array(&j);
    for (int64_t i = 0; i < w->conf.n_services; i++) json_template(&j, w, truth, i);
    loom_jw_end_array(&j);
    loom_jw_end_object(&j);
    loom_buf_char(into, '\n');
}
