/* Comparisons for qsort and bsearch, ascending. */
#ifndef LOOM_CORE_COMPARE_H
#define LOOM_CORE_COMPARE_H

#include <stdint.h>
#include <string.h>

/* Elements are char *, compared by bytes. */
static inline int loom_compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static inline int loom_compare_i32(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static inline int loom_compare_i64(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* No NaN among them. */
static inline int loom_compare_f64(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

#endif
