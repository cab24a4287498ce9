/* A test program is a list of functions:
 *
 *   TEST(adds_numbers) { CHECK(1 + 1 == 2); CHECK_I64(2 + 2, 4); }
 *   TEST_MAIN(RUN(adds_numbers))
 *
 * A failed check prints file, line and values; the program exits 1 if any check failed, 77 if it only skipped. A
 * test that neither checks nor skips has failed, and so has a program without tests. Each program ends with a line
 * "name: N checks, N failed, N skipped". SKIP("why") leaves the test, says so and is counted. A program that starts
 * threads says TEST_THREADED; on a line of its own: `make test-threads` takes those that do, and starting some without
 * is a failure. */
#ifndef LOOM_TEST_H
#define LOOM_TEST_H

#include <dlfcn.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/err.h"

static int test_checks_, test_failed_, test_skipped_, test_run_;
static int test_threads_;                          /* that our own code started */
static int test_threaded_ __attribute__((unused)); /* may it? */
#define TEST_THREADED static int test_threaded_ = 1

#define TEST(name) static void test_##name(void)
#define RUN(name)                                                                                                      \
    do {                                                                                                               \
        int failed_before_ = test_failed_, seen_before_ = test_checks_ + test_skipped_ + test_failed_;                 \
        test_run_++;                                                                                                   \
        test_##name();                                                                                                 \
        if (test_checks_ + test_skipped_ + test_failed_ == seen_before_) {                                             \
            test_failed_++;                                                                                            \
            fprintf(stderr, "%s checked nothing\n", #name);                                                            \
        }                                                                                                              \
        if (test_failed_ > failed_before_) fprintf(stderr, "  in test %s\n", #name);                                   \
    } while (0);
#define TEST_MAIN(...)                                                                                                 \
    int main(int argc, char **argv)                                                                                    \
    {                                                                                                                  \
        (void)argc;                                                                                                    \
        __VA_ARGS__                                                                                                    \
        if (test_threads_ > 0 && !test_threaded_) TEST_FAIL_("%d threads, but no TEST_THREADED", test_threads_);       \
        printf("%s: %d checks, %d failed, %d skipped\n", argv[0], test_checks_, test_failed_, test_skipped_);          \
        if (test_failed_ || !test_run_) return 1;                                                                      \
        return test_skipped_ && test_skipped_ == test_run_ ? 77 : 0;                                                   \
    }
#define SKIP(why)                                                                                                      \
    do {                                                                                                               \
        test_skipped_++;                                                                                               \
        printf("SKIPPED %s: %s\n", __func__, why);                                                                     \
        return;                                                                                                        \
    } while (0)

#define TEST_FAIL_(...)                                                                                                \
    do {                                                                                                               \
        test_failed_++;                                                                                                \
        fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                                                                \
        fprintf(stderr, __VA_ARGS__);                                                                                  \
        fputc('\n', stderr);                                                                                           \
    } while (0)
#define CHECK(cond)                                                                                                    \
    do {                                                                                                               \
        test_checks_++;                                                                                                \
        if (!(cond)) TEST_FAIL_("failed: %s", #cond);                                                                  \
    } while (0)
/* For what the rest of the test cannot do without. */
#define REQUIRE(cond)                                                                                                  \
    do {                                                                                                               \
        test_checks_++;                                                                                                \
        if (!(cond)) {                                                                                                 \
            TEST_FAIL_("failed: %s", #cond);                                                                           \
            return;                                                                                                    \
        }                                                                                                              \
    } while (0)
#define REQUIRE_OK(expr, err)                                                                                          \
    do {                                                                                                               \
        test_checks_++;                                                                                                \
        if ((expr) != LOOM_OK) {                                                                                       \
            TEST_FAIL_("%s: %s", #expr, (err).msg);                                                                    \
            return;                                                                                                    \
        }                                                                                                              \
    } while (0)
#define CHECK_I64(got, want)                                                                                           \
    do {                                                                                                               \
        int64_t got_ = (int64_t)(got), want_ = (int64_t)(want);                                                        \
        test_checks_++;                                                                                                \
        if (got_ != want_) TEST_FAIL_("%s is %" PRId64 ", expected %" PRId64, #got, got_, want_);                      \
    } while (0)
#define CHECK_STR(got, want)                                                                                           \
    do {                                                                                                               \
        const char *got_ = (got), *want_ = (want);                                                                     \
        test_checks_++;                                                                                                \
        if (!got_ || !want_ || strcmp(got_, want_) != 0)                                                               \
            TEST_FAIL_("%s is\n  \"%s\", expected\n  \"%s\"", #got, got_ ? got_ : "(null)", want_ ? want_ : "(null)"); \
    } while (0)
#define CHECK_NEAR(got, want, tolerance)                                                                               \
    do {                                                                                                               \
        double got_ = (got), want_ = (want);                                                                           \
        test_checks_++;                                                                                                \
        if (!(fabs(got_ - want_) <= (tolerance))) TEST_FAIL_("%s is %.17g, expected %.17g", #got, got_, want_);        \
    } while (0)

/* In the place of libc's, which it calls; those of a library's own threads count for nothing. Sanitizers have one, too,
 * and so has tests/unit/failing_calls.h. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(TEST_THREADS_UNCOUNTED)
int pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict how, void *(*start)(void *),
                   void *restrict arg)
{
    int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    Dl_info caller, own;

    *(void **)&next = dlsym(RTLD_NEXT, "pthread_create");
    test_threads_ += dladdr(__builtin_return_address(0), &caller) && dladdr(&test_threads_, &own) &&
                     caller.dli_fbase == own.dli_fbase;
    return next(thread, how, start, arg);
}
#endif

/* The larger of two errors; not a number where one of them is none. fmax would pass over it, and the check with it. */
static inline double test_worse(double worst, double error) { return error > worst || isnan(error) ? error : worst; }

/* True under the thread sanitizer: everything takes ten times as long, so that long tests take smaller cases there, and
 * run them on several threads. */
#if defined(__SANITIZE_THREAD__)
#define TEST_RACES true
#else
#define TEST_RACES false
#endif

/* Folder with other people's data beside the checkout, or NULL: $LOOM_SHARED, else ../shared. */
static inline const char *test_shared(void)
{
    const char *dir = getenv("LOOM_SHARED");
    struct stat st;
    if (!dir) dir = LOOM_SOURCE_DIR "/../shared";
    return stat(dir, &st) == 0 ? dir : NULL;
}

#endif
