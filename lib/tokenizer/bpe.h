/* Byte-pair merging: from a row of symbols to tokens. Repeatedly the adjacent pair of lowest rank is joined, leftmost
 * first among equals, until no pair has a rule. */
#ifndef LOOM_TOKENIZER_BPE_H
#define LOOM_TOKENIZER_BPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"

/* Merge rules: (left id, right id) -> rank, joined id. Open addressing, at most half full. */
typedef struct loom_merge_rule {
    uint64_t pair; /* left << 32 | right; LOOM_MERGE_EMPTY: no rule */
    uint32_t rank;
    int32_t joined;
} loom_merge_rule;
#define LOOM_MERGE_EMPTY UINT64_MAX

typedef struct loom_merge_map {
    loom_merge_rule *rules;
    size_t mask;
} loom_merge_map;

/* Room for n rules; false when memory is out. */
bool loom_merge_map_init(loom_merge_map *m, size_t n);
void loom_merge_map_put(loom_merge_map *m, int32_t left, int32_t right, uint32_t rank, int32_t joined);
void loom_merge_map_release(loom_merge_map *m);
const loom_merge_rule *loom_merge_map_find(const loom_merge_map *m, int32_t left, int32_t right); /* NULL: no rule */

typedef struct loom_symbol {
    int32_t id;
    uint32_t len; /* bytes of text */
} loom_symbol;

/* Merges symbols[0..n) in place; returns how many are left. `work` is working memory, kept between calls. */
int64_t loom_bpe_merge(loom_symbol *symbols, int64_t n, const loom_merge_map *rules, loom_buf *work);

/* The two ways it is done, same result: quadratic without queue for short words, a queue for long ones. */
enum { LOOM_BPE_SHORT = 64 };
int64_t loom_bpe_merge_short(loom_symbol *symbols, int64_t n, const loom_merge_map *rules); /* n <= LOOM_BPE_SHORT */
int64_t loom_bpe_merge_long(loom_symbol *symbols, int64_t n, const loom_merge_map *rules, loom_buf *work);

#endif
