/* topology_truth TOPOLOGY TEMPLATES [LEAST]: how often the call probabilities of a topology (--per-service) hold
 * those from which the sample traces were drawn (sample-traces --truth) in their 95 % intervals. Slots whose caller
 * is called at most once in a graph and LEAST (200) times in all, and which are the only one of their operation
 * there. Prints "slots N inside N rules N followed N groups N apart N": rules are cache and database behind it,
 * followed those whose database is called only after its cache; groups are alternatives, apart those never called
 * one after the other. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/num.h"
#include "system/topology.h"

static int32_t find(const loom_topology *t, const char *service, const char *name, const char *type, bool root)
{
    for (int32_t i = 0; i < t->n_operations; i++) {
        const loom_topology_operation *o = &t->operations[i];
        if (o->root == root && strcmp(o->service, service) == 0 && strcmp(o->name, name) == 0 &&
            strcmp(loom_call_type_name(o->type), type) == 0)
            return i;
    }
    return -1;
}

static const char *text(const loom_json *o, const char *key) { return loom_json_str(loom_json_get(o, key), NULL); }
static double number(const loom_json *o, const char *key) { return loom_json_f64(loom_json_get(o, key), 0); }

/* Names are padded in the graphs as the preprocessing does it. */
static const char *padded(loom_arena *a, const char *name) { return loom_name_microservice(a, name, strlen(name)); }

static bool only_one(const loom_json *slots, const loom_json *slot)
{
    int alike = 0;
    for (size_t k = 0; k < loom_json_len(slots); k++) {
        const loom_json *s = loom_json_at(slots, k);
        alike += strcmp(text(s, "destination"), text(slot, "destination")) == 0 &&
                 strcmp(text(s, "type"), text(slot, "type")) == 0 && loom_json_i64(loom_json_get(s, "parent"), -1) >= 0;
    }
    return alike == 1;
}

/* May the call of this slot come more than once in a graph? */
static bool repeats(const loom_json *slots, const loom_json *slot)
{
    for (int64_t p = loom_json_i64(loom_json_get(slot, "slot"), 0); p > 0;) {
        const loom_json *s = loom_json_at(slots, (size_t)p);
        if (number(s, "repeat") > 0) return true;
        p = loom_json_i64(loom_json_get(s, "parent"), -1);
    }
    return false;
}

static bool holds(int64_t k, int64_t n, double p)
{
    double z = 1.959964, share = (double)k / (double)n, m = (double)n;
    double centre = (share + z * z / 2 / m) / (1 + z * z / m),
           half = z * sqrt(share * (1 - share) / m + z * z / 4 / m / m) / (1 + z * z / m);
    return p >= centre - half - 1e-9 && p <= centre + half + 1e-9;
}

static bool calls(const loom_topology_state *s, int32_t op)
{
    for (int32_t c = 0; c < s->stages[0].n_calls; c++)
        if (s->stages[0].calls[c] == op) return true;
    return false;
}

/* Does `b` ever follow what is not `a` (wanted: a rule), or `a` itself (not wanted: alternatives)? In one stage
 * with `a` counts as following. Pooled states are passed over: rare ones stand together there. */
static bool steps_hold(const loom_topology *t, int32_t caller, int32_t a, int32_t b, bool wanted)
{
    const loom_topology_operation *o = &t->operations[caller];
    for (int32_t s = -1; s < o->n_states; s++) {
        const loom_topology_state *from = s < 0 ? &o->start : &o->states[s];
        for (int32_t k = 0; k < from->n_next; k++) {
            const loom_topology_state *to = from->next[k] < 0 ? NULL : &o->states[from->next[k]];
            if (!to || to->n_stages != 1 || !calls(to, b) || (s >= 0 && from->n_stages != 1)) continue;
            bool follows =
                calls(to, a) || (s >= 0 && (calls(from, a) || (wanted && calls(from, b)))); /* or is repeated */
            if (follows != wanted && (wanted || follows)) return false;
        }
    }
    return true;
}

/* The alternative of a slot: the nearest one before it of the same parent. */
static const loom_json *either_of(const loom_json *slots, const loom_json *slot)
{
    int64_t parent = loom_json_i64(loom_json_get(slot, "parent"), 0);
    for (int64_t k = loom_json_i64(loom_json_get(slot, "slot"), 0) - 1; k > 0; k--) {
        const loom_json *s = loom_json_at(slots, (size_t)k);
        if (loom_json_i64(loom_json_get(s, "parent"), -1) == parent && strcmp(text(s, "rule"), "either") == 0) return s;
    }
    return loom_json_at(slots, 0);
}

int main(int argc, char **argv)
{
    loom_topology *t = NULL;
    loom_json *truth = NULL;
    loom_arena arena = {0};
    loom_err err = {0};
    int64_t slots = 0, inside = 0, rules = 0, followed = 0, groups = 0, apart = 0,
            least = argc > 3 ? strtol(argv[3], NULL, 10) : 200;

    if (argc < 3 || loom_topology_load(&t, argv[1], &err) != LOOM_OK ||
        loom_json_read_file(&truth, argv[2], LOOM_BOUND_STATS, &err) != LOOM_OK) {
        fprintf(stderr, "topology_truth: %s\n",
                argc < 3 ? "usage: topology_truth TOPOLOGY TEMPLATES [LEAST]" : err.msg);
        return 1;
    }
    const loom_json *services = loom_json_get(truth, "services");
    for (size_t i = 0; i < loom_json_len(services); i++) {
        const loom_json *list = loom_json_get(loom_json_at(services, i), "slots");
        const char *service = text(loom_json_at(services, i), "service");
        for (size_t k = 1; k < loom_json_len(list); k++) {
            const loom_json *slot = loom_json_at(list, k);
            int64_t up = loom_json_i64(loom_json_get(slot, "parent"), 0);
            const loom_json *parent = loom_json_at(list, (size_t)up);
            if (!only_one(list, slot) || repeats(list, parent) || (up > 0 && !only_one(list, parent))) continue;
            int32_t caller =
                find(t, service, padded(&arena, text(parent, "destination")), text(parent, "type"), up == 0);
            int32_t callee = find(t, service, padded(&arena, text(slot, "destination")), text(slot, "type"), false);
            if (caller < 0 || t->operations[caller].n < least) continue;
            int32_t d = callee < 0 ? -1 : loom_topology_dependency_of(t, caller, callee);
            slots++;
            inside += holds(d < 0 ? 0 : t->dependencies[d].with, t->operations[caller].n,
                            number(slot, "p") / number(parent, "p"));
            bool miss = strcmp(text(slot, "rule"), "miss") == 0, or = strcmp(text(slot, "rule"), "or") == 0;
            const loom_json *first = or ? either_of(list, slot) : loom_json_at(list, k - 1);
            if (loom_json_bool(loom_json_get(parent, "overlap"), false)) continue; /* their order does not show */
            int32_t before = find(t, service, padded(&arena, text(first, "destination")), text(first, "type"), false);
            if ((!miss && ! or) || d < 0 || before < 0 || !only_one(list, first)) continue;
            bool hold = steps_hold(t, caller, before, callee, miss);
            rules += miss;
            followed += miss && hold;
            groups += or ;
            apart += or &&hold;
        }
    }
    printf("slots %lld inside %lld rules %lld followed %lld groups %lld apart %lld\n", (long long)slots,
           (long long)inside, (long long)rules, (long long)followed, (long long)groups, (long long)apart);
    loom_json_free(truth);
    loom_topology_free(t);
    loom_arena_release(&arena);
    return 0;
}
