/* Numbers: checked sizes and strict parsing. */
#ifndef LOOM_CORE_NUM_H
#define LOOM_CORE_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

/* *out = a * b (or a + b); false on overflow, *out untouched. */
bool loom_mul_size(size_t *out, size_t a, size_t b);
bool loom_add_size(size_t *out, size_t a, size_t b);

/* The whole of text[0..len) must be a decimal integer ([-+]digits) that fits; false otherwise. */
bool loom_parse_i64(const char *text, size_t len, int64_t *out);
/* The whole of text[0..len) must be a finite decimal number; false otherwise (also for inf, nan, hex). */
bool loom_parse_f64(const char *text, size_t len, double *out);

static inline int64_t loom_min_i64(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t loom_max_i64(int64_t a, int64_t b) { return a > b ? a : b; }

/* Sets of the numbers 0..n-1 as bits. */
static inline size_t loom_bit_words(int64_t n) { return ((size_t)n + 63) / 64; }
static inline bool loom_has_bit(const uint64_t *bits, int64_t i) { return bits[i / 64] >> (i % 64) & 1; }
static inline void loom_set_bit(uint64_t *bits, int64_t i) { bits[i / 64] |= (uint64_t)1 << (i % 64); }

/* malloc/calloc/realloc of n elements of `size` bytes with checked multiplication; n = 0 gives a valid pointer.
 * NULL when memory is out, as all allocations here (and see core/nomem.h). */
void *loom_alloc(size_t n, size_t size);
void *loom_calloc(size_t n, size_t size);
void *loom_realloc(void *old, size_t n, size_t size);
char *loom_strdup(const char *text);
/* 64-byte aligned, zeroed; free with free(). */
void *loom_alloc_aligned(size_t bytes);

/* Makes room for `need` elements of `size` bytes in *array (capacity *cap, grown geometrically). */
loom_status loom_grow(void *array /* T** */, size_t *cap, size_t need, size_t size, loom_err *err);
/* The same; what is new holds zeros. False: no memory. */
bool loom_grow_zeroed(void *array /* T** */, size_t *cap, size_t need, size_t size);

/* "1.5 GiB", "640 MiB", "12.3 M", "1:02:03" into text[cap]; return text. */
const char *loom_format_bytes(char *text, size_t cap, double bytes);
const char *loom_format_count(char *text, size_t cap, double count);
const char *loom_format_seconds(char *text, size_t cap, double seconds);

#include "core/banned.h"
#endif
