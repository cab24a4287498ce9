#include "system/pair_map.h"

#include <stdlib.h>

#include "core/num.h"

static uint64_t key_of(int32_t a, int32_t b) { return (uint64_t)(uint32_t)a << 32 | (uint32_t)b; }

static size_t place_of(const loom_pair_map *m, uint64_t key)
{
    uint64_t h = key * 0x9e3779b97f4a7c15u;
    size_t at = (size_t)(h ^ h >> 29) & (m->n_slots - 1);
    while (m->slots[at] && m->keys[m->slots[at] - 1] != key) at = (at + 1) & (m->n_slots - 1);
    return at;
}

static bool grow(loom_pair_map *m)
{
    size_t n_slots = m->n_slots ? m->n_slots * 2 : 64;
    int32_t *slots = loom_calloc(n_slots, sizeof *slots);
    if (!slots) return false;
    free(m->slots);
    m->slots = slots;
    m->n_slots = n_slots;
    for (size_t i = 0; i < m->n; i++) m->slots[place_of(m, m->keys[i])] = (int32_t)i + 1;
    return true;
}

int32_t loom_pair_add(loom_pair_map *m, int32_t a, int32_t b)
{
    uint64_t key = key_of(a, b);
    if (2 * (m->n + 1) > m->n_slots && !grow(m)) return -1;
    size_t at = place_of(m, key);
    if (m->slots[at]) return m->slots[at] - 1;
    if (m->n >= INT32_MAX || loom_grow(&m->keys, &m->cap, m->n + 1, sizeof *m->keys, NULL) != LOOM_OK) return -1;
    m->keys[m->n++] = key;
    m->slots[at] = (int32_t)m->n;
    return (int32_t)m->n - 1;
}

int32_t loom_pair_find(const loom_pair_map *m, int32_t a, int32_t b)
{
    return m->n ? m->slots[place_of(m, key_of(a, b))] - 1 : -1;
}

void loom_pair_release(loom_pair_map *m)
{
    free(m->keys);
    free(m->slots);
    *m = (loom_pair_map){0};
}
