#include "core/hash_set.h"

#include <stdlib.h>

#include "core/buf.h"
#include "core/num.h"

static size_t part_of(loom_hash128 key) { return key.hi >> 56; }

/* Any number of slots (below 2^32 in a part): 32 bits of the hash scaled to the range. */
static size_t home_of(loom_hash128 key, size_t n_slots) { return (size_t)((key.lo >> 32) * n_slots >> 32); }

static bool is_empty(loom_hash128 key) { return (key.lo | key.hi) == 0; }

/* The slot of the key, or the empty one where it belongs. */
static loom_hash128 *find(loom_hash128 *slots, size_t n_slots, loom_hash128 key)
{
    size_t i = home_of(key, n_slots);
    while (!is_empty(slots[i]) && (slots[i].lo != key.lo || slots[i].hi != key.hi))
        if (++i == n_slots) i = 0;
    return &slots[i];
}

static bool grow(struct loom_hash_set_part *p)
{
    size_t n_slots = p->n_slots ? p->n_slots + p->n_slots / 3 : 48;
    loom_hash128 *slots = loom_calloc(n_slots, sizeof *slots);
    if (!slots) return false;
    for (size_t i = 0; i < p->n_slots; i++)
        if (!is_empty(p->slots[i])) *find(slots, n_slots, p->slots[i]) = p->slots[i];
    free(p->slots);
    p->slots = slots;
    p->n_slots = n_slots;
    return true;
}

bool loom_hash_set_add(loom_hash_set *s, loom_hash128 key, bool *fresh)
{
    struct loom_hash_set_part *p = &s->parts[part_of(key)];
    if (is_empty(key)) {
        *fresh = !s->has_zero;
        s->has_zero = true;
        s->n += *fresh;
        return true;
    }
    if ((p->n + 1) * 5 > p->n_slots * 4 && !grow(p)) return false;
    loom_hash128 *slot = find(p->slots, p->n_slots, key);
    *fresh = is_empty(*slot);
    if (!*fresh) return true;
    *slot = key;
    p->n++;
    s->n++;
    return true;
}

bool loom_hash_set_has(const loom_hash_set *s, loom_hash128 key)
{
    const struct loom_hash_set_part *p = &s->parts[part_of(key)];
    if (is_empty(key)) return s->has_zero;
    return p->n_slots && !is_empty(*find(p->slots, p->n_slots, key));
}

void loom_hash_set_prefetch(const loom_hash_set *s, loom_hash128 key)
{
    const struct loom_hash_set_part *p = &s->parts[part_of(key)];
    if (p->n_slots) __builtin_prefetch(&p->slots[home_of(key, p->n_slots)]);
}

size_t loom_hash_set_bytes(const loom_hash_set *s)
{
    size_t slots = 0;
    for (size_t i = 0; i < LOOM_HASH_SET_PARTS; i++) slots += s->parts[i].n_slots;
    return slots * sizeof(loom_hash128);
}

void loom_hash_set_release(loom_hash_set *s)
{
    for (size_t i = 0; i < LOOM_HASH_SET_PARTS; i++) free(s->parts[i].slots);
    *s = (loom_hash_set){0};
}
