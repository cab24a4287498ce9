#include "preprocess/samples/sample_world.h"

#include <string.h>

#include "core/num.h"
#include "preprocess/samples/sample_math.h"

#define MAX_SLOTS  2000 /* of a template; only the v2021 profile comes near */
#define V2021_ROWS 8    /* depths that the Erms tables describe */

const char *const loom_sample_type_names[LOOM_CALL_TYPES] = {
    [LOOM_CALL_RPC] = "rpc", [LOOM_CALL_HTTP] = "http", [LOOM_CALL_MC] = "mc",
    [LOOM_CALL_DB] = "db",   [LOOM_CALL_MQ] = "mq",
};

static const struct {
    int64_t services, traces, names[LOOM_SAMPLE_KINDS];
} profiles[LOOM_SAMPLE_PROFILES] = {
    [LOOM_SAMPLE_TINY] = {12, 2000, {60, 20, 20, 4}},
    [LOOM_SAMPLE_DEFAULT] = {800, 40000, {1000, 250, 350, 40}},
    [LOOM_SAMPLE_LARGE] = {4000, 1500000, {4500, 900, 1300, 150}},
    [LOOM_SAMPLE_V2021] = {800, 40000, {1000, 250, 350, 40}},
    [LOOM_SAMPLE_BASE] = {.traces = 40000}, /* the rest is drawn */
};

void loom_sample_conf_init(loom_sample_conf *conf, loom_sample_profile profile, uint64_t seed)
{
    *conf = (loom_sample_conf){.profile = profile,
                               .seed = seed,
                               .n_traces = profiles[profile].traces,
                               .n_services = profiles[profile].services,
                               .n_files = 4,
                               .zipf = 1,
                               .hours = 1,
                               .quirks = true};
    memcpy(conf->n_names, profiles[profile].names, sizeof conf->n_names);
    if (profile == LOOM_SAMPLE_BASE) loom_sample_sizes_draw(&conf->n_services, &conf->zipf, conf->n_names, seed);
}

int64_t loom_sample_window(const loom_sample_conf *conf) { return (int64_t)(conf->hours * 3600000.0 + 0.5); }

/* ---- names ---- */

/* n different numbers from 1 .. max in random order (n at most half of max, so that rejection ends soon). */
static loom_status distinct_numbers(int32_t *out, int64_t n, int64_t max, loom_rng *r, loom_err *err)
{
    size_t n_slots = 16;
    while (n_slots < (size_t)n * 2) n_slots *= 2;
    int32_t *seen = loom_calloc(n_slots, sizeof *seen);
    if (!seen) return loom_fail_nomem(err, "names of the sample");
    for (int64_t i = 0; i < n;) {
        int32_t x = 1 + (int32_t)loom_rng_below(r, (uint64_t)max);
        size_t at = ((uint32_t)x * 2654435761u) & (n_slots - 1);
        while (seen[at] && seen[at] != x) at = (at + 1) & (n_slots - 1);
        if (seen[at]) continue;
        seen[at] = x;
        out[i++] = x;
    }
    free(seen);
    return LOOM_OK;
}

static loom_status make_names(loom_sample_world *w, loom_rng *r, loom_err *err)
{
    loom_status st = LOOM_OK;
    int64_t total = 0;
    for (int k = 0; k < LOOM_SAMPLE_KINDS; k++) {
        int64_t n = w->conf.n_names[k];
        w->first_name[k] = total;
        total += n;
        if (!(w->name_cum[k] = loom_alloc((size_t)n, sizeof(double))))
            return loom_fail_nomem(err, "names of the sample");
        loom_sample_zipf_cum(w->name_cum[k], n, 2, w->shape.name_slopes[k]);
    }
    w->first_name[LOOM_SAMPLE_KINDS] = total;
    w->n_entries = loom_min_i64(w->shape.n_entries, w->conf.n_names[LOOM_SAMPLE_STATELESS]);
    w->names = loom_calloc((size_t)total, sizeof *w->names);
    int32_t *numbers = loom_alloc((size_t)total, sizeof *numbers);
    if (!w->names || !numbers) {
        st = loom_fail_nomem(err, "names of the sample");
        goto done;
    }
    if ((st = distinct_numbers(numbers, total, w->shape.max_name, r, err)) != LOOM_OK) goto done;
    for (int64_t i = 0; i < total; i++)
        w->names[i] = (loom_sample_name){.number = numbers[i], .pods = 1 + (int32_t)loom_sample_geometric(r, 20, 2000)};
done:
    free(numbers);
    return st;
}

static int32_t pick_name(const loom_sample_world *w, loom_call_type type, loom_rng *r)
{
    static const loom_sample_kind kinds[LOOM_CALL_TYPES] = {[LOOM_CALL_RPC] = LOOM_SAMPLE_STATELESS,
                                                            [LOOM_CALL_HTTP] = LOOM_SAMPLE_STATELESS,
                                                            [LOOM_CALL_MC] = LOOM_SAMPLE_CACHE,
                                                            [LOOM_CALL_DB] = LOOM_SAMPLE_DB,
                                                            [LOOM_CALL_MQ] = LOOM_SAMPLE_QUEUE};
    loom_sample_kind k = kinds[type];
    return (int32_t)(w->first_name[k] + loom_sample_pick_cum(r, w->name_cum[k], w->conf.n_names[k]));
}

/* ---- templates ---- */

/* A slot while its template grows. */
typedef struct draft {
    loom_sample_slot slot;
    double p;       /* before the modes */
    int32_t target; /* depth that its branch aims at */
} draft;

typedef struct builder {
    const loom_sample_world *world;
    loom_sample_template *t;
    double width; /* quantile of the number of the root's children */
    loom_rng rng;
    draft *drafts;
    size_t n, cap;
    loom_err *err;
} builder;

/* Properties that decide the look of the whole sample are spread evenly over the ranks instead of drawn freely, as a
 * few popular services make most of the traces: fraction of (offset + rank * irrational), uniform over any run of
 * ranks. One irrational for each property, so that they stay independent. */
typedef enum spread { SPREAD_DEPTH, SPREAD_HEAVY, SPREAD_WIDTH, SPREADS } spread;
static const double spread_steps[SPREADS] = {0.6180339887498949, 0.4142135623730950, 0.7320508075688773};

static double spread_at(const loom_sample_world *w, spread which, int64_t rank)
{
    double x = w->spread[which] + (double)rank * spread_steps[which];
    return x - (double)(int64_t)x;
}

static loom_call_type pick_type(const builder *b, loom_rng *r, int32_t depth)
{
    int row = depth <= 2 ? 0 : depth == 3 ? 1 : LOOM_SAMPLE_TYPE_DEPTHS - 1;
    return (loom_call_type)loom_sample_pick(r, b->world->shape.types[row], LOOM_CALL_TYPES);
}

/* First rows of the tables of the Erms generator (its graphGenerator/), by depth of the caller: probability of being a
 * leaf, of going on, and percentiles of the number of children. */
static const struct {
    double leaf, medium, p50, p75, p90, p95, p99;
} erms[V2021_ROWS] = {
    {.0285, .9243, 0, 0, 0, 0, 0},   {.0324, .7290, 2, 3, 4, 11, 33},  {.0403, .7302, 2, 4, 11, 17, 55},
    {.1835, .5283, 1, 3, 6, 12, 41}, {.2605, .4690, 1, 5, 12, 18, 33}, {.2868, .3092, 3, 5, 9, 15, 26},
    {.3622, .3119, 1, 2, 5, 8, 18},  {.3248, .2897, 1, 2, 5, 9, 18},
};

static int32_t erms_row(int32_t depth) { return depth < V2021_ROWS ? depth : V2021_ROWS - 1; }

static bool erms_expands(loom_rng *r, int32_t depth)
{
    bool branches = loom_rng_f64(r) > erms[erms_row(depth)].leaf;
    bool goes_on = loom_rng_f64(r) < erms[erms_row(depth)].medium;
    return branches && goes_on;
}

/* Between the known percentiles the number of children is taken as linear; the last hundredth grows by a half. */
static int32_t erms_children(loom_rng *r, int32_t depth)
{
    int32_t row = erms_row(depth);
    const double at[] = {0, .5, .75, .9, .95, .99, 1};
    const double count[] = {0.5,
                            erms[row].p50 + 0.5,
                            erms[row].p75 + 0.5,
                            erms[row].p90 + 0.5,
                            erms[row].p95 + 0.5,
                            erms[row].p99 + 0.5,
                            erms[row].p99 * 1.5};
    double u = loom_rng_f64(r);
    int i = 0;
    while (i < 5 && u >= at[i + 1]) i++;
    double k = count[i] + (u - at[i]) / (at[i + 1] - at[i]) * (count[i + 1] - count[i]);
    return (int32_t)(k + 0.5) + (depth == 1 ? 1 : 0);
}

/* Types of the children, by depth of the caller and number of children: the published examples, each for the numbers
 * up to `children`; the last row serves all deeper callers. */
static const struct {
    int32_t depth, children;
    double types[LOOM_CALL_TYPES]; /* rpc, http, mc, db, mq */
} erms_types[] = {
    {1, 1, {.673, .003, .206, .098, .020}},   {1, 3, {.484, .004, .467, .045, .000}},
    {1, 999, {.287, .004, .597, .059, .053}}, {2, 2, {.418, .006, .401, .121, .054}},
    {2, 999, {.287, .004, .597, .059, .053}}, {3, 2, {.209, .004, .676, .079, .032}},
    {3, 999, {.063, .005, .789, .123, .020}}, {4, 999, {.295, .000, .537, .067, .102}},
};

static loom_call_type erms_type(loom_rng *r, int32_t depth, int32_t k)
{
    size_t i = 0, last = sizeof erms_types / sizeof *erms_types - 1;
    while (i < last && (erms_types[i].depth < depth || erms_types[i].children < k)) i++;
    return (loom_call_type)loom_sample_pick(r, erms_types[i].types, LOOM_CALL_TYPES);
}

static double pick_probability(const builder *b, loom_rng *r)
{
    static const double values[] = {1, .85, .5, .25}, weights[] = {.42, .18, .20, .20}, wide[] = {.70, .15, .10, .05};
    return values[loom_sample_pick(r, b->world->conf.profile == LOOM_SAMPLE_V2021 ? wide : weights, 4)];
}

static bool can_call(loom_call_type type)
{
    return type == LOOM_CALL_RPC || type == LOOM_CALL_HTTP || type == LOOM_CALL_MQ;
}

static void fill_common(builder *b, draft *d, int32_t parent)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    static const double repeat_means[LOOM_SAMPLE_REPEAT_MEANS] = {0, 1, 3, 8};
    const loom_sample_shape *shape = &b->world->shape;
    loom_rng *r = &b->rng;
    loom_sample_slot *s = &d->slot;
    s->parent = parent;
    s->depth = parent < 0 ? 1 : b->drafts[parent].slot.depth + 1;
    if (parent < 0)
        s->name = (int32_t)loom_sample_pick_cum(r, b->world->name_cum[LOOM_SAMPLE_STATELESS], b->world->n_entries);
    else if (s->type == LOOM_CALL_RPC && loom_rng_chance(r, shape->self_call)) s->name = b->drafts[parent].slot.name;
    else s->name = pick_name(b->world, s->type, r);
    s->repeat = repeat_means[loom_sample_pick(r, shape->repeats, LOOM_SAMPLE_REPEAT_MEANS)];
    if (parent < 0) s->repeat = 0;
    s->offset = loom_sample_normal(r, 0, 0.40);
    s->overlap = loom_rng_chance(r, shape->overlap);
    for (int i = 0; i < LOOM_SAMPLE_INTERFACE; i++) s->interface[i] = letters[loom_rng_below(r, 64)];
}

static loom_status append(builder *b, const draft *d)
{
    LOOM_TRY(loom_grow(&b->drafts, &b->cap, b->n + 1, sizeof *b->drafts, b->err));
    b->drafts[b->n++] = *d;
    return LOOM_OK;
}

/* Regular children of a slot: one carries the branch's depth, the others may go one level further. */
static int32_t draw_children(builder *b, int32_t parent, draft *kids)
{
    loom_rng *r = &b->rng;
    const draft *up = &b->drafts[parent];
    int32_t depth = up->slot.depth + 1;
    const loom_sample_shape *shape = &b->world->shape;
    int32_t k = depth == 2 ? loom_sample_count_at(&shape->children_first, b->width)
                           : loom_sample_count_at(&shape->children_deeper, loom_rng_f64(r));
    int32_t spine = (int32_t)loom_rng_below(r, (uint64_t)k);
    for (int32_t i = 0; i < k; i++) {
        draft *d = &kids[i];
        *d = (draft){.target = depth};
        d->slot.type = pick_type(b, r, depth);
        bool further = loom_rng_chance(r, shape->further);
        bool sure = loom_rng_chance(r, 0.75) || b->t->heavy; /* heavy services always reach their depth */
        double p = pick_probability(b, r);
        d->p = p;
        if (i == spine) {
            d->slot.spine = true;
            d->target = up->target;
            if (sure) d->p = 1;
            if (depth < up->target) d->slot.type = LOOM_CALL_RPC;
        } else if (further && depth < up->target) {
            d->target = depth + 1;
        }
    }
    return k;
}

static int32_t draw_children_v2021(builder *b, int32_t parent, draft *kids)
{
    loom_rng *r = &b->rng;
    int32_t depth = b->drafts[parent].slot.depth, k = erms_children(r, depth);
    for (int32_t i = 0; i < k; i++) {
        kids[i] = (draft){.p = pick_probability(b, r)};
        kids[i].slot.type = erms_type(r, depth, k);
        kids[i].target = erms_expands(r, depth) ? depth + 2 : depth + 1;
    }
    return k;
}

#define MAX_KIDS 128

/* Uncommon branches: extra leaves with small probabilities, at random places among the others. */
static int32_t add_rare(builder *b, int32_t depth, draft *kids, int32_t k)
{
    static const double values[] = {.04, .02, .008}, weights[] = {.3, .4, .3};
    loom_rng *r = &b->rng;
    int32_t extra = loom_sample_count_at(&b->world->shape.rare_children, loom_rng_f64(r));
    for (; extra > 0; extra--) {
        int32_t at = (int32_t)loom_rng_below(r, (uint64_t)k + 1);
        memmove(&kids[at + 1], &kids[at], (size_t)(k - at) * sizeof *kids);
        kids[at] = (draft){.p = values[loom_sample_pick(r, weights, 3)], .target = depth};
        kids[at].slot.type = pick_type(b, r, depth);
        kids[at].slot.rare = true;
        k++;
    }
    return k;
}

/* A database right after a cache is asked only on a miss; two of the other optional siblings may be alternatives. */
static void add_rules(builder *b, draft *kids, int32_t k)
{
    loom_rng *r = &b->rng;
    int32_t free_kids[MAX_KIDS], n_free = 0;
    for (int32_t i = 1; i < k; i++) {
        bool plain = !kids[i].slot.rare && !kids[i - 1].slot.rare && !kids[i].slot.spine;
        if (plain && kids[i].slot.type == LOOM_CALL_DB && kids[i - 1].slot.type == LOOM_CALL_MC) {
            kids[i].slot.rule = LOOM_SAMPLE_MISS;
            kids[i].p = b->world->shape.miss;
        }
    }
    for (int32_t i = 0; i < k; i++) {
        bool bound = kids[i].slot.rule == LOOM_SAMPLE_MISS || (i + 1 < k && kids[i + 1].slot.rule == LOOM_SAMPLE_MISS);
        if (!bound && !kids[i].slot.rare && kids[i].p < 1) free_kids[n_free++] = i;
    }
    if (loom_rng_chance(r, 0.3) && n_free >= 2) {
        loom_rng_shuffle(r, free_kids, (size_t)n_free, sizeof free_kids[0]);
        int32_t a = (int32_t)loom_min_i64(free_kids[0], free_kids[1]);
        kids[a].slot.rule = LOOM_SAMPLE_EITHER;
        kids[free_kids[0] + free_kids[1] - a].slot.rule = LOOM_SAMPLE_OR;
    }
}

static loom_status expand(builder *b, int32_t parent)
{
    draft kids[MAX_KIDS];
    int32_t depth = b->drafts[parent].slot.depth + 1, k;
    k = b->world->conf.profile == LOOM_SAMPLE_V2021 ? draw_children_v2021(b, parent, kids)
                                                    : draw_children(b, parent, kids);
    k = add_rare(b, depth, kids, k);
    add_rules(b, kids, k);
    b->drafts[parent].slot.first_child = (int32_t)b->n;
    b->drafts[parent].slot.n_children = k;
    for (int32_t i = 0; i < k; i++) {
        fill_common(b, &kids[i], parent);
        LOOM_TRY(append(b, &kids[i]));
    }
    return LOOM_OK;
}

static double odds_to_p(double odds) { return odds / (1 + odds); }

/* Hidden request modes: each shifts the odds of every optional slot and the root's own time. */
static void make_modes(builder *b)
{
    loom_sample_template *t = b->t;
    loom_rng *r = &b->rng;
    double sum = 0;
    t->n_modes = 1 + (int32_t)loom_rng_below(r, LOOM_SAMPLE_MODES);
    for (int32_t m = 0; m < t->n_modes; m++) { /* Dirichlet(2): normalised sums of two exponentials */
        t->mode_weight[m] = -loom_sample_log((1 - loom_rng_f64(r)) * (1 - loom_rng_f64(r)));
        sum += t->mode_weight[m];
    }
    for (int32_t m = 0; m < t->n_modes; m++) {
        t->mode_weight[m] /= sum;
        t->root_factor[m] = loom_sample_exp(loom_sample_normal(r, 0, 0.3));
    }
    for (size_t i = 0; i < b->n; i++) {
        draft *d = &b->drafts[i];
        bool shifts = d->p < 1 && !d->slot.rare && d->slot.rule != LOOM_SAMPLE_MISS;
        for (int32_t m = 0; m < t->n_modes; m++) {
            double factor = loom_sample_exp(loom_sample_normal(r, 0, 1));
            d->slot.p[m] = shifts ? odds_to_p(d->p / (1 - d->p) * factor) : d->p;
        }
    }
}

/* Of two alternatives exactly one is called, in proportion to their probabilities. */
static void normalise_alternatives(loom_sample_template *t)
{
    int32_t first = -1;
    for (int32_t i = 0; i < t->n_slots; i++) {
        loom_sample_slot *s = &t->slots[i];
        if (s->rule == LOOM_SAMPLE_EITHER) first = i;
        if (s->rule != LOOM_SAMPLE_OR) continue;
        for (int32_t m = 0; m < t->n_modes; m++) {
            double a = t->slots[first].p[m], c = s->p[m];
            t->slots[first].p[m] = a / (a + c);
            s->p[m] = c / (a + c);
        }
    }
}

/* Ranks (from 1) whose services always are heavy and three calls deep: the applications A and B of the downstream
 * studies, popular enough to keep 500 different graphs each. */
static const int64_t app_ranks[] = {3, 6};

static bool is_app(const loom_sample_shape *shape, int64_t rank)
{
    return shape->apps && (rank == app_ranks[0] || rank == app_ranks[1]);
}

static loom_status make_template(loom_sample_world *w, int64_t rank, loom_err *err)
{
    loom_sample_template *t = &w->templates[rank - 1];
    builder b = {.world = w, .t = t, .err = err};
    loom_status st;
    loom_rng_seed(&b.rng, w->conf.seed, "template", (uint64_t)rank - 1);
    bool wide = w->conf.profile == LOOM_SAMPLE_V2021;
    bool app = is_app(&w->shape, rank);
    t->heavy = app || spread_at(w, SPREAD_HEAVY, rank) < w->shape.heavy;
    t->depth = app ? 3 : loom_sample_count_at(&w->shape.depths, spread_at(w, SPREAD_DEPTH, rank));
    b.width = spread_at(w, SPREAD_WIDTH, rank);
    draft root = {.p = 1, .target = wide ? (erms_expands(&b.rng, 0) ? 2 : 1) : t->depth};
    root.slot.type = loom_rng_chance(&b.rng, w->shape.root_http) ? LOOM_CALL_HTTP : LOOM_CALL_RPC;
    root.slot.spine = true;
    fill_common(&b, &root, -1);
    if ((st = append(&b, &root)) != LOOM_OK) goto done;
    for (size_t i = 0; i < b.n; i++) {
        const draft *d = &b.drafts[i];
        bool grows = d->slot.depth < d->target && can_call(d->slot.type) && b.n + MAX_KIDS <= MAX_SLOTS;
        if (grows && (st = expand(&b, (int32_t)i)) != LOOM_OK) goto done;
    }
    make_modes(&b);
    t->n_slots = (int32_t)b.n;
    if (!(t->slots = loom_alloc(b.n, sizeof *t->slots))) {
        st = loom_fail_nomem(err, "templates of the sample");
        goto done;
    }
    for (size_t i = 0; i < b.n; i++) t->slots[i] = b.drafts[i].slot;
    normalise_alternatives(t);
done:
    free(b.drafts);
    return st;
}

static loom_status make_templates(loom_sample_world *w, loom_rng *r, loom_err *err)
{
    int64_t n = w->conf.n_services;
    loom_status st;
    int32_t *numbers = loom_alloc((size_t)n, sizeof *numbers);
    w->templates = loom_calloc((size_t)n, sizeof *w->templates);
    w->service_cum = loom_alloc((size_t)n, sizeof *w->service_cum);
    if (!numbers || !w->templates || !w->service_cum) {
        st = loom_fail_nomem(err, "templates of the sample");
        goto done;
    }
    loom_sample_zipf_cum(w->service_cum, n, 3, w->conf.zipf);
    if ((st = distinct_numbers(numbers, n, w->shape.max_service, r, err)) != LOOM_OK) goto done;
    for (int64_t i = 0; i < n; i++) {
        w->templates[i].service = numbers[i];
        w->templates[i].weight = (w->service_cum[i] - (i ? w->service_cum[i - 1] : 0)) / w->service_cum[n - 1];
        if ((st = make_template(w, i + 1, err)) != LOOM_OK) goto done;
    }
done:
    free(numbers);
    return st;
}

static loom_status check_conf(const loom_sample_conf *c, loom_err *err)
{
    int64_t names = 0;
    for (int k = 0; k < LOOM_SAMPLE_KINDS; k++) {
        if (c->n_names[k] < 1)
            return loom_fail(err, LOOM_STATUS_ARG, "sample traces need names of every kind, at least one");
        names += c->n_names[k];
    }
    if (names > LOOM_SAMPLE_MAX_NAME / 2)
        return loom_fail(err, LOOM_STATUS_ARG, "sample traces have at most %d names, not %lld",
                         LOOM_SAMPLE_MAX_NAME / 2, (long long)names);
    if (c->n_services < 1 || c->n_services > 1000000)
        return loom_fail(err, LOOM_STATUS_ARG, "sample traces have 1 to 1,000,000 services, not %lld",
                         (long long)c->n_services);
    if (c->n_traces < 1 || c->n_traces > 50000000)
        return loom_fail(err, LOOM_STATUS_ARG, "a sample has 1 to 50,000,000 traces, not %lld", (long long)c->n_traces);
    if (c->n_files < 1 || c->n_files > 500)
        return loom_fail(err, LOOM_STATUS_ARG, "a sample has 1 to 500 files, not %lld", (long long)c->n_files);
    if (!(c->hours >= 0.001 && c->hours <= 400))
        return loom_fail(err, LOOM_STATUS_ARG, "a sample spans 0.001 to 400 hours, not %g", c->hours);
    return LOOM_OK;
}

loom_status loom_sample_world_new(loom_sample_world **out, const loom_sample_conf *conf, loom_err *err)
{
    loom_sample_world *w = NULL;
    loom_rng r;
    loom_status st = check_conf(conf, err);
    if (st != LOOM_OK) return st;
    if (!(w = loom_calloc(1, sizeof *w))) return loom_fail_nomem(err, "sample traces");
    w->conf = *conf;
    if (conf->profile == LOOM_SAMPLE_BASE) loom_sample_shape_draw(&w->shape, conf->seed);
    else loom_sample_shape_fixed(&w->shape);
    loom_rng_seed(&r, conf->seed, "catalogue", 0);
    w->trace_shift = loom_rng_u64(&r);
    for (int i = 0; i < SPREADS; i++) w->spread[i] = loom_rng_f64(&r);
    if ((st = make_names(w, &r, err)) != LOOM_OK) goto done;
    if ((st = make_templates(w, &r, err)) != LOOM_OK) goto done;
    *out = w;
    w = NULL;
done:
    loom_sample_world_free(w);
    return st;
}

void loom_sample_world_free(loom_sample_world *w)
{
    if (!w) return;
    for (int64_t i = 0; w->templates && i < w->conf.n_services; i++) free(w->templates[i].slots);
    for (int k = 0; k < LOOM_SAMPLE_KINDS; k++) free(w->name_cum[k]);
    free(w->templates);
    free(w->service_cum);
    free(w->names);
    free(w);
}
