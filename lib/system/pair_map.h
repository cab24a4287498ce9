/* Numbers for pairs of numbers: (a, b) gets the next index 0, 1, 2, ... Zero-initialised is ready. */
#ifndef LOOM_SYSTEM_PAIR_MAP_H
#define LOOM_SYSTEM_PAIR_MAP_H

#include <stddef.h>
#include <stdint.h>

typedef struct loom_pair_map {
    uint64_t *keys; /* by index: a << 32 | b */
    size_t n, cap;
    int32_t *slots; /* index + 1, 0 empty; a power of two */
    size_t n_slots;
} loom_pair_map;

/* Index, new or old (new: equal to the n of before); -1: no memory. */
int32_t loom_pair_add(loom_pair_map *m, int32_t a, int32_t b) __attribute__((warn_unused_result));
int32_t loom_pair_find(const loom_pair_map *m, int32_t a, int32_t b); /* -1: not there */
static inline int32_t loom_pair_a(const loom_pair_map *m, size_t i) { return (int32_t)(m->keys[i] >> 32); }
static inline int32_t loom_pair_b(const loom_pair_map *m, size_t i) { return (int32_t)(uint32_t)m->keys[i]; }
void loom_pair_release(loom_pair_map *m);

#endif
