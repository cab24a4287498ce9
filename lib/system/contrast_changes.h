/* What two sets of graphs differ by: every thing in either, what was tested of it, and where changes come from.
 * Filled by loom_contrast_compare (contrast.h). */
#ifndef LOOM_SYSTEM_CONTRAST_CHANGES_H
#define LOOM_SYSTEM_CONTRAST_CHANGES_H

#include "system/operations.h"
#include "system/two_samples.h"

typedef enum loom_change_kind {
    LOOM_CHANGE_SERVICE,   /* share of the graphs; response time of its roots */
    LOOM_CHANGE_OPERATION, /* share of the graphs with it; own and response time */
    /* share of the graphs with it; of the caller's invocations that call it, and often; response time */
    LOOM_CHANGE_DEPENDENCY,
    LOOM_CHANGE_PATH, /* share of the graphs with it; response time */
    LOOM_CHANGE_KINDS
} loom_change_kind;
extern const char *const loom_change_kind_names[LOOM_CHANGE_KINDS]; /* "service", ... */

typedef enum loom_test {
    LOOM_TEST_GRAPHS,    /* share of graphs that contain it */
    LOOM_TEST_ASKED,     /* share of the caller's drawn invocations that call it */
    LOOM_TEST_OFTEN,     /* share that call it more often than the median of those that do */
    LOOM_TEST_NUMBER,    /* calls of all of them, none included, by ranks; where any makes two */
    LOOM_TEST_OWN,       /* own time, by ranks */
    LOOM_TEST_OWN_TAIL,  /* share whose own time is above the 90 % quantile of both sets together */
    LOOM_TEST_OWN_KINDS, /* by ranks within the short and within the long ones */
    LOOM_TEST_RESPONSE,  /* tail and kinds follow, as for own time */
    LOOM_TEST_RESPONSE_TAIL,
    LOOM_TEST_RESPONSE_KINDS,
    LOOM_TESTS
} loom_test;
extern const char *const loom_test_names[LOOM_TESTS];

typedef enum loom_test_unit { LOOM_TEST_SHARE, LOOM_TEST_MS, LOOM_TEST_CALLS } loom_test_unit;
loom_test_unit loom_test_unit_of(loom_test t);

typedef struct loom_tested {
    double p, q;          /* NaN: not tested */
    bool found;           /* q at most the rate */
    double before, after; /* shares; of times medians, ms; of numbers of calls means */
    loom_log_ratio ratio; /* shares */
    double superiority;   /* times and numbers: P(after is more) */
} loom_tested;

typedef struct loom_change {
    loom_change_kind kind;
    int32_t caller, callee; /* operations: callee of all kinds but service; caller of dependencies, -1: USER */
    int32_t service;        /* of services: a root operation of it */
    int32_t path;           /* of paths: the change of the path above, -1: none */
    int64_t calls[2], graphs[2];
    loom_tested tests[LOOM_TESTS];
    bool found;     /* any of them */
    bool explained; /* found, but by the change of something else */
} loom_change;

/* Where something has changed itself. */
typedef struct loom_place {
    int32_t change; /* the operation or dependency */
    loom_test test;
    double affected;  /* graphs of the second set */
    const char *what; /* "slower", "faster", "gone", "new", "fewer calls", "more calls", "calls it more often", ... */
    /* Its caller is called less itself: what is left may be invocations of another mix. Such ones come last. */
    bool mixed;
} loom_place;

typedef struct loom_contrast {
    loom_operations ops;  /* of both sets */
    loom_change *changes; /* operations by key, dependencies by caller and callee, services, paths */
    int64_t n_changes, n_tests, n_found;
    size_t cap;
    loom_place *places; /* most affected first, mixed ones last */
    int64_t n_places;
    size_t place_cap;
    int64_t graphs[2];
} loom_contrast; /* zero-initialised is ready */

#endif
