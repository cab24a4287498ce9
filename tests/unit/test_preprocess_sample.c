/* The sample traces: same bytes everywhere, valid graphs before the damage, exact truth, and the statistics of the
 * published traces. Longer than most: every profile is held to bands of its own, by the same helpers. */
#include "test.h"

#include <dirent.h>
#include <unistd.h>

#include "core/file.h"
#include "core/hash.h"
#include "core/hash_set.h"
#include "core/num.h"
#include "preprocess/samples/sample_math.h"
#include "preprocess/samples/sample_truth.h"
#include "preprocess/samples/sample_write.h"
#include "preprocess/stores/graph_profile.h"
#include "trace/graph/record.h"

TEST(arithmetic_is_that_of_the_library)
{
    for (int i = -3000; i <= 3000; i++) {
        double x = i / 100.0, e = exp(x);
        CHECK_NEAR(loom_sample_exp(x) / e, 1, 4e-15);
        CHECK_NEAR(loom_sample_log(e), log(e), 4e-15 * (1 + fabs(x)));
    }
    for (int i = 0; i <= 1000; i++)
        CHECK_NEAR(loom_sample_sin_turns(i / 1000.0), sin(6.283185307179586477 * i / 1000), 2e-15);
    CHECK_NEAR(loom_sample_log(1), 0, 0);
    CHECK_NEAR(loom_sample_exp(0), 1, 0);
}

static loom_sample_world *make_world(loom_sample_profile profile, uint64_t seed, bool quirks, bool harsh)
{
    loom_sample_conf conf;
    loom_sample_world *w = NULL;
    loom_err err = {0};
    loom_sample_conf_init(&conf, profile, seed);
    conf.quirks = quirks;
    conf.harsh = harsh;
    if (loom_sample_world_new(&w, &conf, &err) != LOOM_OK) fprintf(stderr, "%s\n", err.msg);
    return w;
}

TEST(clean_traces_pass_the_validator)
{
    for (int profile = 0; profile < LOOM_SAMPLE_PROFILES; profile++) {
        loom_sample_world *w = make_world((loom_sample_profile)profile, 1, false, false);
        loom_sample_trace t = {0};
        loom_sample_rows rows = {0};
        loom_arena a = {0};
        loom_buf text = {0};
        REQUIRE(w != NULL);
        int64_t bad = 0;
        for (int64_t i = 0; i < 2000; i++) {
            loom_graph g;
            loom_verdict why;
            loom_arena_reset(&a);
            loom_buf_reset(&text);
            loom_sample_draw(w, i, &t);
            loom_sample_rows_make(w, &t, &rows);
            bad += rows.n != t.n_calls || rows.quirks != 0 || loom_sample_cleaned(&text, w, &t, &rows, &a) != 1;
            bad += !loom_record_read(&g, &why, text.data, text.len - 1, &a) || g.n_calls != t.n_calls;
            for (int32_t c = 1; c < t.n_calls; c++) {
                const loom_sample_call *kid = &t.calls[c], *up = &t.calls[kid->parent];
                bad += kid->parent >= c || kid->start < up->start || kid->start + kid->rt > up->start + up->rt;
                bad += kid->rt < 0 || kid->depth != up->depth + 1 || kid->source != up->destination;
            }
        }
        CHECK_I64(bad, 0);
        loom_buf_release(&text);
        loom_arena_release(&a);
        loom_sample_rows_release(&rows);
        loom_sample_trace_release(&t);
        loom_sample_world_free(w);
    }
}

TEST(a_trace_does_not_depend_on_how_many_there_are)
{
    loom_sample_conf conf;
    loom_sample_world *few = NULL, *many = NULL;
    loom_sample_trace a = {0}, b = {0};
    loom_err err = {0};
    loom_sample_conf_init(&conf, LOOM_SAMPLE_DEFAULT, 7);
    conf.n_traces = 100;
    REQUIRE_OK(loom_sample_world_new(&few, &conf, &err), err);
    conf.n_traces = 3000000;
    REQUIRE_OK(loom_sample_world_new(&many, &conf, &err), err);
    for (int64_t i = 0; i < 100; i++) {
        loom_sample_draw(many, i + 1, &b); /* what was drawn before must not matter either */
        loom_sample_draw(few, i, &a);
        loom_sample_draw(many, i, &b);
        CHECK_I64(a.arrival, b.arrival);
        CHECK_I64(a.arrival, loom_sample_arrival(few, i));
        CHECK_I64(a.service, b.service);
        REQUIRE(a.n_calls == b.n_calls);
        CHECK(memcmp(a.ids.data, b.ids.data, a.ids.len) == 0);
        for (int32_t c = 0; c < a.n_calls; c++)
            CHECK(a.calls[c].start == b.calls[c].start && a.calls[c].rt == b.calls[c].rt);
    }
    loom_sample_trace_release(&a);
    loom_sample_trace_release(&b);
    loom_sample_world_free(few);
    loom_sample_world_free(many);
}

/* What the worlds of the profile base have together: small and large systems, deep graphs, split layers, slow ones. */
TEST(every_seed_of_the_base_is_another_world)
{
    int64_t tiny = 0, large = 0, deep = 0, wide = 0, big = 0, seconds = 0, traces = 0, foreign = 0;
    for (uint64_t seed = 1; seed <= 24; seed++) {
        loom_sample_world *w = make_world(LOOM_SAMPLE_BASE, seed, false, false);
        loom_sample_trace t = {0};
        REQUIRE(w != NULL);
        tiny += w->conf.n_services <= 15;
        large += w->conf.n_services >= 150;
        for (int64_t i = 0; i < w->first_name[LOOM_SAMPLE_KINDS]; i++)
            foreign += w->names[i].number < 1 || w->names[i].number > LOOM_SAMPLE_BASE_MAX_NAME;
        for (int64_t i = 0; i < w->conf.n_services; i++)
            foreign += w->templates[i].service < 1 || w->templates[i].service > LOOM_SAMPLE_BASE_MAX_SERVICE;
        for (int64_t i = 0; i < 300; i++) {
            bool is_wide = false;
            loom_sample_draw(w, i, &t);
            for (int32_t c = 0; c < t.n_calls; c++) is_wide |= t.calls[c].n_children > 15;
            deep += t.depth == 6;
            wide += is_wide;
            big += t.n_calls >= 20 && t.n_calls <= 30;
            seconds += t.calls[0].rt >= 1000;
            traces++;
        }
        loom_sample_trace_release(&t);
        loom_sample_world_free(w);
    }
    CHECK_I64(foreign, 0);
    CHECK(tiny >= 2 && large >= 4);
    CHECK(deep * 50 > traces);
    CHECK(wide * 50 > traces);
    CHECK(big * 20 > traces);
    CHECK(seconds * 50 > traces && seconds * 2 < traces);
}

TEST(impossible_settings_are_refused)
{
    loom_sample_conf good, conf;
    loom_sample_world *w = NULL;
    loom_err err = {0};
    loom_sample_conf_init(&good, LOOM_SAMPLE_TINY, 1);
    conf = good, conf.n_traces = 0;
    CHECK_I64(loom_sample_world_new(&w, &conf, &err), LOOM_STATUS_ARG);
    conf = good, conf.n_services = 2000000;
    CHECK_I64(loom_sample_world_new(&w, &conf, &err), LOOM_STATUS_ARG);
    conf = good, conf.n_names[LOOM_SAMPLE_DB] = 60000;
    CHECK_I64(loom_sample_world_new(&w, &conf, &err), LOOM_STATUS_ARG);
    conf = good, conf.n_files = 501;
    CHECK_I64(loom_sample_world_new(&w, &conf, &err), LOOM_STATUS_ARG);
    conf = good, conf.hours = 0;
    CHECK_I64(loom_sample_world_new(&w, &conf, &err), LOOM_STATUS_ARG);
    CHECK(w == NULL);
}

/* ---- exact probabilities against what is drawn ---- */

static bool same_call(const loom_sample_template *t, int32_t a, int32_t b)
{
    const loom_sample_slot *x = &t->slots[a], *y = &t->slots[b];
    int32_t from_x = x->parent < 0 ? -1 : t->slots[x->parent].name,
            from_y = y->parent < 0 ? -1 : t->slots[y->parent].name;
    return x->name == y->name && x->type == y->type && from_x == from_y;
}

TEST(exact_probabilities_are_those_of_the_draws)
{
    enum { DRAWS = 20000 };
    loom_sample_world *w = make_world(LOOM_SAMPLE_TINY, 3, true, false);
    loom_sample_truth *truth = NULL;
    loom_sample_trace t = {0};
    loom_err err = {0};
    int64_t rare = 0, slots = 0;
    REQUIRE(w != NULL);
    REQUIRE_OK(loom_sample_truth_new(&truth, w, NULL, &err), err);
    for (int32_t s = 0; s < w->conf.n_services; s++) {
        const loom_sample_template *plan = &w->templates[s];
        size_t n = (size_t)plan->n_slots;
        double *called = calloc(n, sizeof *called), *calls = calloc(n, sizeof *calls),
               *triple = calloc(n, sizeof *triple);
        double *squares = calloc(n, sizeof *squares), *in_trace = calloc(n, sizeof *in_trace);
        loom_rng r;
        int64_t over = 0;
        loom_rng_seed(&r, 99, "check", (uint64_t)s);
        for (int i = 0; i < DRAWS; i++) {
            loom_sample_draw_service(w, s, &r, &t);
            over += t.calls[0].rt > truth->p90[s];
            for (size_t k = 0; k < n; k++) in_trace[k] = 0;
            for (int32_t c = 0; c < t.n_calls; c++) in_trace[t.calls[c].slot]++;
            for (size_t k = 0; k < n; k++) {
                bool has = false;
                called[k] += in_trace[k] > 0;
                calls[k] += in_trace[k];
                squares[k] += in_trace[k] * in_trace[k];
                for (int32_t j = 0; j < plan->n_slots; j++) has |= in_trace[j] > 0 && same_call(plan, j, (int32_t)k);
                triple[k] += has;
            }
        }
        for (size_t k = 0; k < n; k++) {
            const loom_sample_slot_truth *want = &truth->slots[s][k];
            double mean = calls[k] / DRAWS, spread = sqrt((squares[k] / DRAWS - mean * mean) / DRAWS);
            slots++;
            rare += want->p_triple < 0.1;
            /* five standard errors, and one event where the slot is too rare for them to mean anything */
            CHECK_NEAR(called[k] / DRAWS, want->p, 5 * sqrt(want->p * (1 - want->p) / DRAWS) + 1.0 / DRAWS);
            CHECK_NEAR(triple[k] / DRAWS, want->p_triple,
                       5 * sqrt(want->p_triple * (1 - want->p_triple) / DRAWS) + 1.0 / DRAWS);
            CHECK_NEAR(mean, want->calls, 5 * spread + 3.0 / DRAWS);
        }
        CHECK(over <= DRAWS * 13 / 100); /* whole milliseconds: ties may put much less above */
        free(called), free(calls), free(triple), free(squares), free(in_trace);
    }
    CHECK(slots > 50);
    CHECK(rare > 5);
    loom_sample_trace_release(&t);
    loom_sample_truth_free(truth, w);
    loom_sample_world_free(w);
}

/* ---- files ---- */

static void remove_folder(const char *dir)
{
    char **paths = NULL;
    size_t n = 0;
    if (loom_list_files(&paths, &n, dir, "", NULL) != LOOM_OK) return;
    for (size_t i = 0; i < n; i++) unlink(paths[i]);
    loom_free_list(paths, n);
    rmdir(dir);
}

/* One digest for all files of a sample, in file order, truth last. */
static void sample_digest(char digest[33], const loom_sample_conf *conf, bool truth, int threads,
                          loom_sample_totals *totals)
{
    char dir[] = "/tmp/loom-sample-XXXXXX", text[33], path[128];
    loom_sample_world *w = NULL;
    loom_pool *pool = NULL;
    loom_buf all = {0};
    loom_err err = {0};
    snprintf(digest, 33, "failed");
    REQUIRE(mkdtemp(dir) != NULL);
    REQUIRE_OK(loom_sample_world_new(&w, conf, &err), err);
    REQUIRE_OK(loom_pool_new(&pool, threads, &err), err);
    REQUIRE_OK(loom_sample_write(totals, w, dir, truth, false, pool, NULL, &err), err);
    for (int64_t i = 0; i < conf->n_files + (truth ? 2 : 0); i++) {
        snprintf(path, sizeof path, "%s/CallGraph_%lld.csv", dir, (long long)i);
        if (i == conf->n_files) snprintf(path, sizeof path, "%s/truth.jsonl", dir);
        if (i == conf->n_files + 1) snprintf(path, sizeof path, "%s/templates.json", dir);
        REQUIRE_OK(loom_hash_file(text, path, &err), err);
        loom_buf_str(&all, text);
    }
    loom_hash128 h = loom_hash128_of(all.data, all.len);
    snprintf(digest, 33, "%016llx%016llx", (unsigned long long)h.hi, (unsigned long long)h.lo);
    loom_buf_release(&all);
    loom_pool_free(pool);
    loom_sample_world_free(w);
    remove_folder(dir);
}

TEST(same_seed_same_bytes)
{
    loom_sample_conf conf;
    loom_sample_totals totals;
    char one[33], eight[33], other[33];
    loom_sample_conf_init(&conf, LOOM_SAMPLE_TINY, 1);
    sample_digest(one, &conf, true, 1, &totals);
    sample_digest(eight, &conf, true, 8, &totals);
    CHECK_STR(eight, one);
    CHECK_STR(one, "2917d9a5a29db06c6903ba4f1b5cb0f9");
    CHECK_I64(totals.traces, 2000);
    conf.seed = 2;
    sample_digest(other, &conf, true, 2, &totals);
    CHECK(strcmp(one, other) != 0);
    loom_sample_conf_init(&conf, LOOM_SAMPLE_DEFAULT, 1);
    sample_digest(one, &conf, false, 2, &totals);
    CHECK_STR(one, "d4b9aaf0a373a8a76ca225a61e7f44b3");
    loom_sample_conf_init(&conf, LOOM_SAMPLE_V2021, 1);
    conf.n_traces = 3000;
    sample_digest(one, &conf, false, 3, &totals);
    CHECK_STR(one, "b66076174e7cdc55e4aafb4643cad9cd");
    loom_sample_conf_init(&conf, LOOM_SAMPLE_LARGE, 1);
    conf.n_traces = 10000;
    conf.harsh = true;
    conf.hours = 30;
    conf.n_files = 7;
    sample_digest(one, &conf, false, 3, &totals);
    CHECK_STR(one, "e373620bbc5855ea4c97a3f4083b469f");
}

TEST(rows_are_in_order_of_writing)
{
    char dir[] = "/tmp/loom-sample-XXXXXX", path[128];
    loom_sample_world *w = make_world(LOOM_SAMPLE_TINY, 1, true, false);
    loom_sample_totals totals;
    loom_err err = {0};
    int64_t rows = 0, inversions = 0, early = 0;
    REQUIRE(w != NULL && mkdtemp(dir) != NULL);
    REQUIRE_OK(loom_sample_write(&totals, w, dir, false, false, NULL, NULL, &err), err);
    for (int f = 0; f < 4; f++) {
        loom_lines *lines = NULL;
        char *line;
        size_t len;
        int64_t latest = 0;
        snprintf(path, sizeof path, "%s/CallGraph_%d.csv", dir, f);
        REQUIRE_OK(loom_lines_open(&lines, path, &err), err);
        while (loom_lines_next(lines, &line, &len, &err) == LOOM_OK && line) {
            int64_t at;
            char *comma = strchr(line, ',');
            if (loom_lines_number(lines) == 1) {
                CHECK(len + 1 == strlen(LOOM_SAMPLE_HEADER) && memcmp(line, LOOM_SAMPLE_HEADER, len) == 0);
                continue;
            }
            rows++;
            if (!loom_parse_i64(line, comma ? (size_t)(comma - line) : len, &at)) at = -1;
            CHECK(at >= 0);
            inversions += at < latest;
            early += at < latest - 50 || at < 900000 * f - 50;
            latest = loom_max_i64(latest, at);
        }
        loom_lines_close(&lines);
    }
    CHECK_I64(rows, totals.rows);
    CHECK_I64(early, 0);
    CHECK(inversions > rows / 20);
    CHECK_I64(loom_sample_write(&totals, w, dir, false, false, NULL, NULL, &err), LOOM_STATUS_ARG);
    REQUIRE_OK(loom_sample_write(&totals, w, dir, false, true, NULL, NULL, &err), err);
    w->conf.n_files = 2; /* files 2 and 3 would be read as part of the new sample */
    CHECK_I64(loom_sample_write(&totals, w, dir, false, true, NULL, NULL, &err), LOOM_STATUS_IO);
    remove_folder(dir);
    loom_sample_world_free(w);
}

/* ---- statistics after cleaning and removal of duplicates ---- */

typedef struct stats {
    int64_t traces, clean, graphs, edges, http_roots;
    int64_t depth[8], types[LOOM_CALL_TYPES], cell[31][7];
    int64_t *n_edges, *latency, *service;
    char *deep, *uncommon;
    size_t cap[5];
    loom_intern services, names, calls;
    /* per graph and distinct call: (service, call) */
    uint64_t *pairs;
    int64_t *pair_graph;
    size_t n_pairs, pairs_cap, pair_graph_cap;
} stats;

static void note_call(stats *s, loom_buf *key, const loom_call *c, int64_t graph, int64_t service)
{
    loom_buf_reset(key);
    loom_buf_printf(key, "%s|%d|%s", c->source, (int)c->type, c->destination);
    uint64_t call = (uint64_t)loom_intern_add(&s->calls, key->data, key->len), pair = (uint64_t)service << 32 | call;
    CHECK(loom_intern_add(&s->names, c->destination, strlen(c->destination)) >= 0);
    s->types[c->type]++;
    for (size_t i = s->n_pairs; i > 0 && s->pair_graph[i - 1] == graph; i--)
        if (s->pairs[i - 1] == pair) return;
    loom_grow(&s->pairs, &s->pairs_cap, s->n_pairs + 1, sizeof *s->pairs, NULL);
    loom_grow(&s->pair_graph, &s->pair_graph_cap, s->n_pairs + 1, sizeof *s->pair_graph, NULL);
    s->pairs[s->n_pairs] = pair;
    s->pair_graph[s->n_pairs++] = graph;
}

static void note_graph(stats *s, const loom_graph *g, loom_buf *key)
{
    int64_t i = s->graphs++, service = loom_intern_add(&s->services, g->service, strlen(g->service));
    int32_t depth = 1;
    size_t need = (size_t)i + 1;
    loom_grow(&s->n_edges, &s->cap[0], need, sizeof *s->n_edges, NULL);
    loom_grow(&s->latency, &s->cap[1], need, sizeof *s->latency, NULL);
    loom_grow(&s->service, &s->cap[2], need, sizeof *s->service, NULL);
    loom_grow(&s->deep, &s->cap[3], need, 1, NULL);
    loom_grow(&s->uncommon, &s->cap[4], need, 1, NULL);
    for (int32_t c = 0; c < g->n_calls; c++) {
        if (g->calls[c].n_id > depth) depth = g->calls[c].n_id;
        note_call(s, key, &g->calls[c], i, service);
    }
    s->n_edges[i] = g->n_calls;
    s->latency[i] = loom_call_finish(&g->calls[0]);
    s->service[i] = service;
    s->deep[i] = depth >= 3;
    s->uncommon[i] = 0;
    s->edges += g->n_calls;
    s->http_roots += g->calls[0].type == LOOM_CALL_HTTP;
    s->depth[depth < 7 ? depth : 7]++;
    if (g->n_calls <= 30 && depth <= 6) s->cell[g->n_calls][depth]++;
}

static void gather(stats *s, const loom_sample_world *w)
{
    loom_sample_trace t = {0};
    loom_sample_rows rows = {0};
    loom_arena a = {0};
    loom_buf text = {0}, key = {0};
    loom_hash_set seen = {0};
    for (int64_t i = 0; i < w->conf.n_traces; i++) {
        loom_arena_reset(&a);
        loom_buf_reset(&text);
        loom_sample_draw(w, i, &t);
        loom_sample_rows_make(w, &t, &rows);
        int32_t left = loom_sample_cleaned(&text, w, &t, &rows, &a);
        s->traces++;
        s->clean += left > 0;
        if (left != 1) continue; /* two graphs of a straddling trace are too few to matter here */
        const char *untimed = strchr(text.data, ' ');
        bool fresh;
        CHECK(loom_hash_set_add(&seen, loom_hash128_of(untimed, strlen(untimed)), &fresh));
        if (!fresh) continue;
        loom_graph g;
        loom_verdict why;
        if (loom_record_read(&g, &why, text.data, text.len - 1, &a)) note_graph(s, &g, &key);
    }
    loom_hash_set_release(&seen);
    loom_buf_release(&key);
    loom_buf_release(&text);
    loom_arena_release(&a);
    loom_sample_rows_release(&rows);
    loom_sample_trace_release(&t);
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Marks the graphs that hold a call which fewer than a tenth of the service's graphs have. */
static void mark_uncommon(stats *s)
{
    int64_t *per_service = calloc(s->services.n, sizeof *per_service);
    loom_intern keys = {0};
    int64_t *count = calloc(s->n_pairs, sizeof *count), *id = calloc(s->n_pairs, sizeof *id);
    for (int64_t i = 0; i < s->graphs; i++) per_service[s->service[i]]++;
    for (size_t i = 0; i < s->n_pairs; i++) count[id[i] = loom_intern_add(&keys, (const char *)&s->pairs[i], 8)]++;
    for (size_t i = 0; i < s->n_pairs; i++)
        if (count[id[i]] * 10 < per_service[s->pairs[i] >> 32]) s->uncommon[s->pair_graph[i]] = 1;
    loom_intern_release(&keys);
    free(count);
    free(id);
    free(per_service);
}

static int64_t quantile(const int64_t *sorted, int64_t n, double q) { return sorted[(int64_t)((double)n * q)]; }

/* Services with at least 10 graphs whose p90 lies more than 5 ms above the mean; *apps: those with 500 deep graphs. */
static int64_t spread_services(const stats *s, int64_t *apps)
{
    int64_t found = 0, *list = calloc((size_t)s->graphs, sizeof *list);
    *apps = 0;
    for (size_t k = 0; k < s->services.n; k++) {
        int64_t n = 0, deep = 0;
        double sum = 0;
        for (int64_t i = 0; i < s->graphs; i++) {
            if (s->service[i] != (int64_t)k) continue;
            list[n++] = s->latency[i];
            sum += (double)s->latency[i];
            deep += s->deep[i];
        }
        *apps += deep >= 500;
        if (n < 10) continue;
        qsort(list, (size_t)n, sizeof *list, by_value);
        found += (double)quantile(list, n, 0.9) - sum / (double)n > 5;
    }
    free(list);
    return found;
}

static void release_stats(stats *s)
{
    free(s->n_edges), free(s->latency), free(s->service), free(s->deep), free(s->uncommon), free(s->pairs),
        free(s->pair_graph);
    loom_intern_release(&s->services);
    loom_intern_release(&s->names);
    loom_intern_release(&s->calls);
}

#define CHECK_WITHIN(got, low, high)                                                                                   \
    do {                                                                                                               \
        double within_ = (double)(got);                                                                                \
        test_checks_++;                                                                                                \
        if (!(within_ >= (low) && within_ <= (high)))                                                                  \
            TEST_FAIL_("%s is %g, expected %g to %g", #got, within_, (double)(low), (double)(high));                   \
    } while (0)

TEST(default_sample_has_the_published_shape)
{
    loom_sample_world *w = make_world(LOOM_SAMPLE_DEFAULT, 1, true, false);
    stats s = {0};
    int64_t cells = 0, well_filled = 0, uncommon = 0, apps = 0;
    REQUIRE(w != NULL);
    gather(&s, w);
    mark_uncommon(&s);
    double n = (double)s.graphs, edges = (double)s.edges;
    CHECK_WITHIN((double)s.clean / (double)s.traces, 0.75, 0.90);
    CHECK_WITHIN((double)s.depth[1] / n, 0.22, 0.40);
    CHECK_WITHIN((double)s.depth[2] / n, 0.22, 0.35);
    CHECK_WITHIN((double)s.depth[3] / n, 0.20, 0.33);
    CHECK_WITHIN((double)s.depth[4] / n, 0.07, 0.15);
    CHECK_WITHIN((double)(s.depth[5] + s.depth[6]) / n, 0.03, 0.10);
    CHECK_WITHIN((double)s.types[LOOM_CALL_MC] / edges, 0.35, 0.50);
    CHECK_WITHIN((double)s.types[LOOM_CALL_RPC] / edges, 0.22, 0.38);
    CHECK_WITHIN((double)s.types[LOOM_CALL_HTTP] / edges, 0.12, 0.27);
    CHECK_WITHIN((double)s.types[LOOM_CALL_DB] / edges, 0.05, 0.13);
    CHECK_WITHIN((double)s.http_roots / n, 0.96, 1);
    int64_t gaps = spread_services(&s, &apps);
    CHECK_WITHIN(gaps, 100, 800);
    CHECK(apps >= 2);
    qsort(s.n_edges, (size_t)s.graphs, sizeof *s.n_edges, by_value);
    qsort(s.latency, (size_t)s.graphs, sizeof *s.latency, by_value);
    CHECK_WITHIN(quantile(s.n_edges, s.graphs, 0.5), 2, 5);
    CHECK_WITHIN(quantile(s.n_edges, s.graphs, 0.9), 8, 18);
    CHECK_WITHIN(quantile(s.n_edges, s.graphs, 0.99), 20, 70);
    CHECK_WITHIN(quantile(s.latency, s.graphs, 0.9), 40, 250);
    CHECK_WITHIN(quantile(s.latency, s.graphs, 0.99), 1500, 10000);
    for (int e = 1; e <= 30; e++) {
        for (int d = 1; d <= 6; d++) {
            if (d > e || (d == 1 && e > 1)) continue;
            cells += s.cell[e][d] > 0;
            well_filled += s.cell[e][d] >= 10;
        }
    }
    CHECK_WITHIN(cells, 125, 136);
    CHECK_WITHIN(well_filled, 80, 136);
    CHECK(s.names.n >= 550);
    CHECK(s.calls.n >= 1000);
    for (int64_t i = 0; i < s.graphs; i++) uncommon += s.uncommon[i];
    CHECK_WITHIN((double)uncommon / n, 0.05, 0.30);
    release_stats(&s);
    loom_sample_world_free(w);
}

TEST(harsh_rows_leave_as_little_as_the_published_raw_sample)
{
    loom_sample_world *w = make_world(LOOM_SAMPLE_DEFAULT, 1, true, true);
    stats s = {0};
    REQUIRE(w != NULL);
    w->conf.n_traces = 10000;
    gather(&s, w);
    CHECK_WITHIN((double)s.clean / (double)s.traces, 0.15, 0.30);
    release_stats(&s);
    loom_sample_world_free(w);
}

/* ---- every profile: shares, times and popularity within bands around the published figures ---- */

/* The profile of the first n_traces of a profile, cleaned, each graph once; *clean: share of traces that survive. */
static bool paint(loom_graph_profile *p, double *clean, loom_sample_profile profile, int64_t n_traces, bool harsh)
{
    loom_sample_world *w = make_world(profile, 1, true, harsh);
    loom_sample_trace t = {0};
    loom_sample_rows rows = {0};
    loom_arena a = {0};
    loom_buf text = {0};
    loom_hash_set seen = {0};
    int64_t survived = 0;
    if (!w) return false;
    CHECK(loom_graph_profile_init(p));
    for (int64_t i = 0; i < n_traces; i++) {
        loom_graph g;
        loom_verdict why;
        loom_arena_reset(&a);
        loom_buf_reset(&text);
        loom_sample_draw(w, i, &t);
        loom_sample_rows_make(w, &t, &rows);
        int32_t left = loom_sample_cleaned(&text, w, &t, &rows, &a);
        survived += left > 0;
        if (left != 1) continue;
        const char *untimed = strchr(text.data, ' ');
        bool fresh;
        CHECK(loom_hash_set_add(&seen, loom_hash128_of(untimed, strlen(untimed)), &fresh));
        if (fresh && loom_record_read(&g, &why, text.data, text.len - 1, &a)) loom_graph_profile_add(p, &g);
    }
    CHECK(loom_graph_profile_finish(p, NULL) == LOOM_OK);
    *clean = (double)survived / (double)n_traces;
    loom_hash_set_release(&seen);
    loom_buf_release(&text);
    loom_arena_release(&a);
    loom_sample_rows_release(&rows);
    loom_sample_trace_release(&t);
    loom_sample_world_free(w);
    return true;
}

static double share(int64_t part, int64_t whole) { return whole ? (double)part / (double)whole : 0; }

static double depth_share(const loom_graph_profile *p, int64_t depth)
{
    return share(loom_value_counts_count(&p->depth, depth), p->graphs);
}

static double zero_share(const loom_graph_profile *p, loom_call_type type)
{
    return share(loom_value_counts_count(&p->rt[type], 0), p->rt[type].n);
}

/* Share of a type among the calls at a depth; 0: at all depths. */
static double type_share(const loom_graph_profile *p, int depth, loom_call_type type)
{
    int64_t all = 0;
    for (int k = 0; k < LOOM_CALL_TYPES; k++) all += p->types_at[depth][k];
    return share(p->types_at[depth][type], all);
}

/* Own times are drawn alike in all profiles: mc and db take 0 ms in .43 of the calls, and so on (section 4, times). */
static void check_times(loom_graph_profile *p)
{
    CHECK_WITHIN(zero_share(p, LOOM_CALL_MC), 0.40, 0.48);
    CHECK_WITHIN(zero_share(p, LOOM_CALL_DB), 0.40, 0.48);
    CHECK_WITHIN(zero_share(p, LOOM_CALL_RPC), 0.07, 0.15);
    CHECK_I64(loom_value_counts_quantile(&p->rt[LOOM_CALL_MC], 0.5), 1);
    CHECK_I64(loom_value_counts_quantile(&p->rt[LOOM_CALL_MC], 0.9), 2);
    CHECK_WITHIN(loom_value_counts_quantile(&p->rt[LOOM_CALL_MC], 0.99), 3, 4);
    CHECK_I64(loom_value_counts_quantile(&p->rt[LOOM_CALL_DB], 0.5), 1);
    CHECK_WITHIN(loom_value_counts_quantile(&p->rt[LOOM_CALL_DB], 0.9), 2, 3);
    CHECK_WITHIN(loom_value_counts_quantile(&p->rt[LOOM_CALL_DB], 0.99), 4, 9);
    CHECK_WITHIN(loom_value_counts_quantile(&p->rt[LOOM_CALL_RPC], 0.5), 1, 3);
    CHECK_WITHIN(loom_value_counts_quantile(&p->rt[LOOM_CALL_RPC], 0.9), 6, 18);
    CHECK_WITHIN(loom_value_counts_quantile(&p->rt[LOOM_CALL_RPC], 0.99), 20, 200);
    CHECK_I64(loom_value_counts_quantile(&p->gap, 0.5), 0);
    CHECK_I64(loom_value_counts_quantile(&p->gap, 0.9), 1);
    CHECK_WITHIN(share(p->self_calls, p->calls), 0.02, 0.07);
    CHECK_WITHIN(share(p->http_roots, p->graphs), 0.96, 1);
    CHECK_I64(p->user_roots, p->graphs);
}

/* The hidden model that `default` and `large` share. */
static void check_shape(loom_graph_profile *p)
{
    CHECK_WITHIN(depth_share(p, 1), 0.22, 0.40);
    CHECK_WITHIN(depth_share(p, 2), 0.22, 0.35);
    CHECK_WITHIN(depth_share(p, 3), 0.20, 0.33);
    CHECK_WITHIN(depth_share(p, 4), 0.07, 0.15);
    CHECK_WITHIN(depth_share(p, 5) + depth_share(p, 6), 0.03, 0.10);
    CHECK_WITHIN(loom_value_counts_quantile(&p->edges, 0.5), 2, 5);
    CHECK_WITHIN(loom_value_counts_quantile(&p->edges, 0.9), 8, 18);
    CHECK_WITHIN(loom_value_counts_quantile(&p->edges, 0.99), 20, 70);
    CHECK_WITHIN(loom_value_counts_max(&p->edges), 60, 150);
    CHECK_WITHIN(loom_value_counts_mean(&p->edges), 4.3, 6.5);
    CHECK_WITHIN(type_share(p, 0, LOOM_CALL_MC), 0.35, 0.50);
    CHECK_WITHIN(type_share(p, 0, LOOM_CALL_RPC), 0.22, 0.38);
    CHECK_WITHIN(type_share(p, 0, LOOM_CALL_HTTP), 0.12, 0.27);
    CHECK_WITHIN(type_share(p, 0, LOOM_CALL_DB), 0.05, 0.13);
    CHECK_WITHIN(type_share(p, 2, LOOM_CALL_MC), 0.42, 0.56);
    CHECK_WITHIN(type_share(p, 2, LOOM_CALL_RPC), 0.32, 0.48);
    CHECK_WITHIN(type_share(p, 3, LOOM_CALL_MC), 0.45, 0.70);
    CHECK_WITHIN(type_share(p, 3, LOOM_CALL_DB), 0.10, 0.22);
    CHECK_WITHIN(type_share(p, 4, LOOM_CALL_DB), 0.20, 0.36);
    CHECK_WITHIN(share(p->overlapping_pairs, p->sibling_pairs), 0.03, 0.09);
    CHECK_WITHIN(share(p->repeated_groups, p->sibling_groups), 0.12, 0.26);
    CHECK_WITHIN(loom_value_counts_quantile(&p->root_finish, 0.5), 5, 9);
    CHECK_WITHIN(loom_value_counts_quantile(&p->root_finish, 0.9), 40, 250);
    CHECK_WITHIN(loom_value_counts_quantile(&p->root_finish, 0.99), 1500, 10000);
    CHECK_WITHIN(loom_value_counts_quantile(&p->slack, 0.5), 0, 1);
    CHECK_WITHIN(loom_value_counts_quantile(&p->slack, 0.9), 2, 8);
}

TEST(default_profile_is_within_its_bands)
{
    loom_graph_profile p;
    double clean = 0;
    REQUIRE(paint(&p, &clean, LOOM_SAMPLE_DEFAULT, 40000, false));
    CHECK_WITHIN(clean, 0.75, 0.90);
    check_times(&p);
    check_shape(&p);
    CHECK_WITHIN(loom_counter_top_share(&p.microservices, 50), 0.50, 0.75);
    CHECK_WITHIN(loom_counter_top_share(&p.communications, 100), 0.40, 0.60);
    CHECK_WITHIN(p.communications.texts.n, 1000, 4000);
    CHECK_I64((int64_t)p.service_names.n, 800);
    loom_graph_profile_release(&p);
}

TEST(large_profile_is_within_its_bands)
{
    loom_graph_profile p;
    double clean = 0;
    REQUIRE(paint(&p, &clean, LOOM_SAMPLE_LARGE, 100000, false));
    CHECK_WITHIN(clean, 0.75, 0.90);
    check_times(&p);
    check_shape(&p);
    CHECK_WITHIN(loom_counter_top_share(&p.microservices, 50), 0.35, 0.60);
    CHECK_WITHIN(p.service_names.n, 3800, 4000);
    CHECK_WITHIN(p.names.n, 2500, 6850);
    loom_graph_profile_release(&p);
    REQUIRE(paint(&p, &clean, LOOM_SAMPLE_LARGE, 10000, true));
    CHECK_WITHIN(clean, 0.15, 0.30);
    loom_graph_profile_release(&p);
}

/* Twelve services cannot have the shares of eight hundred: every depth and type is there, and the times are alike. */
TEST(tiny_profile_is_within_its_bands)
{
    loom_graph_profile p;
    double clean = 0;
    REQUIRE(paint(&p, &clean, LOOM_SAMPLE_TINY, 2000, false));
    CHECK_WITHIN(clean, 0.75, 0.93); /* its graphs are shorter: fewer rows that damage can hit */
    check_times(&p);
    for (int depth = 1; depth <= 4; depth++) CHECK_WITHIN(depth_share(&p, depth), 0.08, 0.60);
    for (int type = 0; type < LOOM_CALL_TYPES; type++)
        CHECK_WITHIN(type_share(&p, 0, (loom_call_type)type), 0.05, 0.50);
    CHECK_WITHIN(loom_value_counts_quantile(&p.edges, 0.5), 2, 8);
    CHECK_I64((int64_t)p.service_names.n, 12);
    CHECK_WITHIN(p.names.n, 30, 104);
    CHECK_WITHIN(p.graphs, 400, 1500);
    loom_graph_profile_release(&p);
}

/* Wide, with a heavy tail: the v2021 tables have 3, 6, 16, 42, 60, 194 edges at p10, 50, 75, 90, 95, 99, mean 16.5, and
 * a tenth of the graphs over 40 (section 1). */
TEST(v2021_profile_is_within_its_bands)
{
    loom_graph_profile p;
    double clean = 0;
    int64_t small = 0;
    REQUIRE(paint(&p, &clean, LOOM_SAMPLE_V2021, 20000, false));
    CHECK_WITHIN(clean, 0.75, 0.90);
    CHECK_WITHIN(loom_value_counts_quantile(&p.edges, 0.10), 2, 4);
    CHECK_WITHIN(loom_value_counts_quantile(&p.edges, 0.50), 4, 8);
    CHECK_WITHIN(loom_value_counts_quantile(&p.edges, 0.75), 11, 21);
    CHECK_WITHIN(loom_value_counts_quantile(&p.edges, 0.90), 28, 56);
    CHECK_WITHIN(loom_value_counts_quantile(&p.edges, 0.95), 42, 80);
    CHECK_WITHIN(loom_value_counts_quantile(&p.edges, 0.99), 110, 260);
    CHECK_WITHIN(loom_value_counts_mean(&p.edges), 12, 21);
    for (int64_t e = 1; e <= 40; e++) small += loom_value_counts_count(&p.edges, e);
    CHECK_WITHIN(share(p.graphs - small, p.graphs), 0.06, 0.14);
    CHECK_WITHIN(type_share(&p, 0, LOOM_CALL_MC), 0.50, 0.75);
    CHECK_WITHIN(zero_share(&p, LOOM_CALL_MC), 0.40, 0.48);
    CHECK_WITHIN(share(p.http_roots, p.graphs), 0.96, 1);
    loom_graph_profile_release(&p);
}

/* Every kind of damage appears about as often as asked for. */
TEST(damage_comes_at_its_rate)
{
    loom_sample_world *w = make_world(LOOM_SAMPLE_DEFAULT, 1, true, true);
    loom_sample_trace t = {0};
    loom_sample_rows rows = {0};
    int64_t n_rows = 0, um = 0, dm = 0, roots = 0, rpc = 0, views = 0, odd = 0, straddle = 0;
    REQUIRE(w != NULL);
    uint32_t seen = 0;
    for (int64_t i = 0; i < 20000; i++) {
        loom_sample_draw(w, i, &t);
        loom_sample_rows_make(w, &t, &rows);
        seen |= rows.quirks;
        roots += (rows.quirks >> LOOM_SAMPLE_Q_NO_ROOT) & 1;
        straddle += (rows.quirks >> LOOM_SAMPLE_Q_STRADDLE) & 1;
        for (int32_t c = 0; c < t.n_calls; c++)
            rpc += w->templates[t.service].slots[t.calls[c].slot].type == LOOM_CALL_RPC;
        for (int32_t k = 0; k < rows.n; k++) {
            const loom_sample_row *r = &rows.rows[k];
            const loom_sample_call *c = &t.calls[r->call];
            n_rows++;
            um += r->um_unknown;
            dm += r->dm_unknown;
            views += r->rt >= 0 && r->rt < c->rt;
            odd += r->written < r->timestamp || r->written > r->timestamp + 50 || r->timestamp < t.arrival;
        }
    }
    CHECK_I64(seen, (1u << LOOM_SAMPLE_QUIRKS) - 1);
    CHECK_I64(odd, 0);
    CHECK_NEAR((double)um / (double)n_rows, 0.18, 0.01);
    CHECK_NEAR((double)dm / (double)n_rows, 0.055, 0.005);
    CHECK_NEAR((double)roots / 20000, 0.60, 0.02);
    CHECK_NEAR((double)straddle / 20000, 0.01, 0.006);
    CHECK_WITHIN((double)views / (double)rpc, 0.25,
                 0.5); /* half of the calls, of which a quarter and the 0 ms show nothing */
    loom_sample_rows_release(&rows);
    loom_sample_trace_release(&t);
    loom_sample_world_free(w);
}

TEST_THREADED;
TEST_MAIN(RUN(arithmetic_is_that_of_the_library) RUN(clean_traces_pass_the_validator)
              RUN(a_trace_does_not_depend_on_how_many_there_are) RUN(every_seed_of_the_base_is_another_world)
                  RUN(impossible_settings_are_refused) RUN(exact_probabilities_are_those_of_the_draws)
                      RUN(same_seed_same_bytes) RUN(rows_are_in_order_of_writing)
                          RUN(default_sample_has_the_published_shape)
                              RUN(harsh_rows_leave_as_little_as_the_published_raw_sample)
                                  RUN(default_profile_is_within_its_bands) RUN(large_profile_is_within_its_bands)
                                      RUN(tiny_profile_is_within_its_bands) RUN(v2021_profile_is_within_its_bands)
                                          RUN(damage_comes_at_its_rate))
