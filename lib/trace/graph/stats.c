#include "trace/graph/stats.h"

#include <string.h>

#include "core/compare.h"
#include "core/num.h"
#include "trace/graph/stats_impl.h"

loom_stats *loom_stats_new(void) { return loom_calloc(1, sizeof(loom_stats)); }

void loom_stats_free(loom_stats *s)
{
    if (!s) return;
    for (size_t i = 0; i < s->services.n; i++) free(s->entries[i].latencies);
    loom_intern_release(&s->services);
    loom_intern_release(&s->names);
    free(s->entries);
    free(s->slots);
    free(s->by_name);
    free(s->ordered);
    free(s);
}

bool loom_stats_service_id(uint32_t *out, loom_stats *s, const char *name)
{
    size_t before = s->services.n;
    if (loom_grow(&s->entries, &s->cap_entries, before + 1, sizeof *s->entries, NULL) != LOOM_OK) return false;
    int64_t id = loom_intern_add(&s->services, name, strlen(name));
    if (id < 0) return false;
    if (s->services.n > before) s->entries[id] = (loom_stats_entry){0};
    *out = (uint32_t)id;
    return true;
}

bool loom_stats_name_id(uint32_t *out, loom_stats *s, const char *name)
{
    int64_t id = loom_intern_add(&s->names, name, strlen(name));
    if (id < 0) return false;
    *out = (uint32_t)id;
    return true;
}

/* ---- the table of triples ---- */

static size_t triple_hash(uint32_t service, uint32_t source, uint32_t type, uint32_t destination)
{
    uint64_t h = ((uint64_t)service << 32 | source) * 0x9E3779B97F4A7C15u;
    h = (h ^ (h >> 29) ^ ((uint64_t)destination << 3 | type)) * 0xBF58476D1CE4E5B9u;
    return (size_t)(h ^ (h >> 32));
}

/* The slot of the triple, or the empty slot where it belongs. */
static loom_stats_slot *find_slot(loom_stats_slot *slots, size_t n_slots, const loom_stats_slot *key)
{
    size_t i = triple_hash(key->service, key->source, key->type, key->destination) & (n_slots - 1);
    for (;; i = (i + 1) & (n_slots - 1)) {
        loom_stats_slot *slot = &slots[i];
        if (slot->count == 0) return slot;
        if (slot->service == key->service && slot->source == key->source && slot->type == key->type &&
            slot->destination == key->destination)
            return slot;
    }
}

static bool grow_slots(loom_stats *s)
{
    size_t n = s->n_slots ? s->n_slots * 2 : 1024;
    loom_stats_slot *fresh = loom_calloc(n, sizeof *fresh);
    if (!fresh) return false;
    for (size_t i = 0; i < s->n_slots; i++)
        if (s->slots[i].count) *find_slot(fresh, n, &s->slots[i]) = s->slots[i];
    free(s->slots);
    s->slots = fresh;
    s->n_slots = n;
    return true;
}

loom_stats_slot *loom_stats_slot_of(loom_stats *s, const loom_stats_slot *key)
{
    if ((s->n_triples + 1) * 4 > s->n_slots * 3 && !grow_slots(s)) return NULL;
    loom_stats_slot *slot = find_slot(s->slots, s->n_slots, key);
    if (slot->count == 0) {
        *slot = *key;
        slot->count = 0;
        slot->seen = 0;
        s->n_triples++;
    }
    return slot;
}

/* ---- gathering ---- */

static bool add_latency(loom_stats_entry *e, int64_t latency)
{
    if (loom_grow(&e->latencies, &e->cap_latencies, e->n_latencies + 1, sizeof *e->latencies, NULL) != LOOM_OK)
        return false;
    e->latencies[e->n_latencies++] = latency;
    return true;
}

static bool add_call(loom_stats *s, uint32_t service, const loom_call *c)
{
    loom_stats_slot key = {.service = service, .type = (uint32_t)c->type}, *slot;
    if (!loom_stats_name_id(&key.source, s, c->source) || !loom_stats_name_id(&key.destination, s, c->destination))
        return false;
    if (!(slot = loom_stats_slot_of(s, &key))) return false;
    slot->count += slot->seen != s->graphs;
    slot->seen = s->graphs;
    return true;
}

void loom_stats_add(loom_stats *s, const loom_graph *g)
{
    uint32_t service;
    if (g->n_calls == 0 || s->failed) return;
    s->failed = !loom_stats_service_id(&service, s, g->service);
    if (s->failed) return;
    s->graphs++;
    s->entries[service].graphs++;
    s->failed = !add_latency(&s->entries[service], loom_call_finish(&g->calls[0]));
    for (int32_t i = 0; i < g->n_calls && !s->failed; i++) s->failed = !add_call(s, service, &g->calls[i]);
}

static bool merge_services(loom_stats *into, const loom_stats *from, uint32_t *services)
{
    for (size_t i = 0; i < from->services.n; i++) {
        const loom_stats_entry *e = &from->entries[i];
        if (!loom_stats_service_id(&services[i], into, loom_intern_text(&from->services, (int64_t)i))) return false;
        into->entries[services[i]].graphs += e->graphs;
        for (size_t k = 0; k < e->n_latencies; k++)
            if (!add_latency(&into->entries[services[i]], e->latencies[k])) return false;
    }
    return true;
}

static bool merge_triples(loom_stats *into, const loom_stats *from, const uint32_t *services, uint32_t *names)
{
    for (size_t i = 0; i < from->names.n; i++)
        if (!loom_stats_name_id(&names[i], into, loom_intern_text(&from->names, (int64_t)i))) return false;
    for (size_t i = 0; i < from->n_slots; i++) {
        const loom_stats_slot *slot = &from->slots[i];
        if (!slot->count) continue;
        loom_stats_slot key = {.service = services[slot->service],
                               .source = names[slot->source],
                               .destination = names[slot->destination],
                               .type = slot->type};
        loom_stats_slot *to = loom_stats_slot_of(into, &key);
        if (!to) return false;
        to->count += slot->count;
    }
    return true;
}

void loom_stats_merge(loom_stats *into, const loom_stats *from)
{
    uint32_t *services = loom_alloc(from->services.n, sizeof *services);
    uint32_t *names = loom_alloc(from->names.n, sizeof *names);
    bool done = services && names && merge_services(into, from, services) && merge_triples(into, from, services, names);
    into->failed |= from->failed || !done;
    into->graphs += from->graphs;
    free(services);
    free(names);
}

/* ---- finishing ---- */

/* p90: sorted ascending, element floor(n * 0.9); in integers, so that no rounding of 0.9 can move it. */
static void finish_latency(loom_stats_entry *e)
{
    if (e->n_latencies >= LOOM_STATS_MIN_GRAPHS) {
        qsort(e->latencies, e->n_latencies, sizeof *e->latencies, loom_compare_i64);
        int64_t sum = 0;
        for (size_t i = 0; i < e->n_latencies; i++) sum += e->latencies[i];
        e->max = e->latencies[e->n_latencies - 1];
        e->p90 = e->latencies[e->n_latencies * 9 / 10];
        e->mean = (double)sum / (double)e->n_latencies;
        e->has_latency = true;
    }
    free(e->latencies);
    e->latencies = NULL;
    e->n_latencies = e->cap_latencies = 0;
}

static int compare_texts(const void *a, const void *b, void *texts)
{
    const char *const *names = texts;
    return strcmp(names[*(const int64_t *)a], names[*(const int64_t *)b]);
}

static int compare_triples(const void *a, const void *b)
{
    const loom_stats_triple *x = a, *y = b;
    int c = strcmp(x->source, y->source);
    if (!c) c = strcmp(loom_call_type_name(x->type), loom_call_type_name(y->type));
    return c ? c : strcmp(x->destination, y->destination);
}

/* Counting sort of the slots by service, then each run by name. */
static void order_triples(loom_stats *s)
{
    for (size_t i = 0; i < s->n_slots; i++)
        if (s->slots[i].count) s->entries[s->slots[i].service].n_triples++;
    int64_t at = 0;
    for (size_t i = 0; i < s->services.n; i++) {
        loom_stats_entry *e = &s->entries[s->by_name[i]];
        e->first_triple = at;
        at += e->n_triples;
        e->n_triples = 0;
    }
    for (size_t i = 0; i < s->n_slots; i++) {
        const loom_stats_slot *slot = &s->slots[i];
        if (!slot->count) continue;
        loom_stats_entry *e = &s->entries[slot->service];
        s->ordered[e->first_triple + e->n_triples++] = (loom_stats_triple){
            loom_intern_text(&s->names, slot->source), loom_intern_text(&s->names, slot->destination),
            (loom_call_type)slot->type, slot->count, slot->count * 10 < e->graphs};
    }
    for (size_t i = 0; i < s->services.n; i++) {
        loom_stats_entry *e = &s->entries[i];
        qsort(s->ordered + e->first_triple, (size_t)e->n_triples, sizeof *s->ordered, compare_triples);
    }
}

loom_status loom_stats_finish(loom_stats *s, loom_err *err)
{
    if (s->finished) return LOOM_OK;
    s->by_name = loom_alloc(s->services.n, sizeof *s->by_name);
    s->ordered = loom_alloc(s->n_triples, sizeof *s->ordered);
    if (s->failed || (!s->n_slots && !grow_slots(s)) || !s->by_name || !s->ordered)
        return loom_fail_nomem(err, "the statistics");
    for (size_t i = 0; i < s->services.n; i++) {
        s->by_name[i] = (int64_t)i;
        if (!s->loaded) finish_latency(&s->entries[i]);
    }
    qsort_r(s->by_name, s->services.n, sizeof *s->by_name, compare_texts, s->services.texts);
    order_triples(s);
    s->finished = true;
    return LOOM_OK;
}

/* ---- queries ---- */

static const loom_stats_entry *find_entry(const loom_stats *s, const char *service)
{
    int64_t id = loom_intern_find(&s->services, service, strlen(service));
    return id < 0 ? NULL : &s->entries[id];
}

int64_t loom_stats_graphs(const loom_stats *s) { return s->graphs; }

int64_t loom_stats_service_graphs(const loom_stats *s, const char *service)
{
    const loom_stats_entry *e = find_entry(s, service);
    return e ? e->graphs : 0;
}

bool loom_stats_latency(const loom_stats *s, const char *service, int64_t *max, int64_t *p90, double *mean)
{
    static const loom_stats_entry none;
    const loom_stats_entry *e = find_entry(s, service);
    if (!e) e = &none;
    if (max) *max = e->max;
    if (p90) *p90 = e->p90;
    if (mean) *mean = e->mean;
    return e->has_latency;
}

bool loom_stats_is_rare(const loom_stats *s, const char *service, const char *source, loom_call_type type,
                        const char *destination)
{
    int64_t ids[3] = {loom_intern_find(&s->services, service, strlen(service)),
                      loom_intern_find(&s->names, source, strlen(source)),
                      loom_intern_find(&s->names, destination, strlen(destination))};
    if (ids[0] < 0 || ids[1] < 0 || ids[2] < 0 || !s->n_slots) return false;
    loom_stats_slot key = {.service = (uint32_t)ids[0],
                           .source = (uint32_t)ids[1],
                           .destination = (uint32_t)ids[2],
                           .type = (uint32_t)type};
    int64_t count = find_slot(s->slots, s->n_slots, &key)->count;
    return count > 0 && count * 10 < s->entries[ids[0]].graphs;
}

int64_t loom_stats_n_services(const loom_stats *s) { return (int64_t)s->services.n; }

const char *loom_stats_service(const loom_stats *s, int64_t i) { return loom_intern_text(&s->services, s->by_name[i]); }

const loom_stats_triple *loom_stats_triples(const loom_stats *s, const char *service, int64_t *n)
{
    const loom_stats_entry *e = find_entry(s, service);
    *n = e ? e->n_triples : 0;
    return e ? s->ordered + e->first_triple : s->ordered;
}

const loom_stats_triple *loom_stats_destinations(const loom_stats *s, const char *service, const char *source,
                                                 loom_call_type type, int64_t *n)
{
    int64_t all;
    const loom_stats_triple *t = loom_stats_triples(s, service, &all);
    const char *type_name = loom_call_type_name(type);
    int64_t low = 0, high = all; /* the first triple that is not before (source, type) */
    while (low < high) {
        int64_t mid = low + (high - low) / 2;
        int c = strcmp(t[mid].source, source);
        if (!c) c = strcmp(loom_call_type_name(t[mid].type), type_name);
        if (c < 0) low = mid + 1;
        else high = mid;
    }
    *n = 0;
    while (low + *n < all && t[low + *n].type == type && strcmp(t[low + *n].source, source) == 0) ++*n;
    return t + low;
}
