/* Memory that runs out inside a test: the allocations that the code of this program asks for are numbered, and one of
 * them fails. Those of libraries go through: what they do without memory is theirs.
 *
 *   failing_memory_sweep("reads a store", read_store, points);
 *
 * runs the function once with all memory there, then once for each of its allocations without that one (for `points`
 * of them, evenly spread, where there are more). Each time the function must either fail, with the mark of
 * core/nomem.h set and one sentence, or do as well as before; and everything must be given back.
 *
 * Not under sanitizers, which have their own malloc (FAILING_MEMORY is 0 there). */
#ifndef LOOM_TESTS_FAILING_MEMORY_H
#define LOOM_TESTS_FAILING_MEMORY_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "core/nomem.h"
#include "test.h"

#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define FAILING_MEMORY 0
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FAILING_MEMORY 0
#endif
#ifndef FAILING_MEMORY
#define FAILING_MEMORY 1
#endif

TEST_THREADED; /* which sanitizers do not see here */

static atomic_llong memory_calls_, memory_fail_at_, memory_live_;
static long long memory_refusals_; /* runs that failed as they should */

#if FAILING_MEMORY

/* glibc's own doors. */
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);
extern const char __executable_start[], etext[];

/* Blocks that this program's code holds, by address: what is freed elsewhere is not counted. */
enum { MEMORY_SLOTS_ = 1 << 20 };
static _Atomic(void *) memory_held_[MEMORY_SLOTS_];

static size_t memory_slot_(const void *p) { return ((uintptr_t)p >> 4) * 0x9e3779b97f4a7c15u >> 44; }

static void *memory_hold_(void *p)
{
    for (size_t i = memory_slot_(p), n = 0; p && n < 64; i = (i + 1) % MEMORY_SLOTS_, n++) {
        void *none = NULL;
        if (!atomic_compare_exchange_strong(&memory_held_[i], &none, p)) continue;
        memory_live_++;
        break;
    }
    return p;
}

static void memory_drop_(void *p)
{
    for (size_t i = memory_slot_(p), n = 0; p && n < 64; i = (i + 1) % MEMORY_SLOTS_, n++) {
        void *same = p;
        if (!atomic_compare_exchange_strong(&memory_held_[i], &same, NULL)) continue;
        memory_live_--;
        break;
    }
}

static bool memory_ours_(const void *caller)
{
    return (const char *)caller >= __executable_start && (const char *)caller < etext;
}

static bool memory_fails_(void)
{
    if (++memory_calls_ != memory_fail_at_) return false;
    errno = ENOMEM;
    return true;
}

#define MEMORY_OURS_ memory_ours_(__builtin_return_address(0))
void *malloc(size_t n)
{
    if (!MEMORY_OURS_) return __libc_malloc(n);
    return memory_fails_() ? NULL : memory_hold_(__libc_malloc(n));
}
void *calloc(size_t n, size_t size)
{
    if (!MEMORY_OURS_) return __libc_calloc(n, size);
    return memory_fails_() ? NULL : memory_hold_(__libc_calloc(n, size));
}
void *realloc(void *old, size_t n)
{
    if (!MEMORY_OURS_) return __libc_realloc(old, n);
    if (memory_fails_()) return NULL;
    memory_drop_(old);
    return memory_hold_(__libc_realloc(old, n));
}
void *aligned_alloc(size_t unit, size_t n)
{
    if (!MEMORY_OURS_) return __libc_memalign(unit, n);
    return memory_fails_() ? NULL : memory_hold_(__libc_memalign(unit, n));
}
char *strdup(const char *text)
{
    size_t n = strlen(text) + 1;
    bool ours = MEMORY_OURS_;
    if (ours && memory_fails_()) return NULL;
    char *copy = __libc_malloc(n);
    if (copy) memcpy(copy, text, n);
    return ours ? memory_hold_(copy) : copy;
}
void free(void *p)
{
    memory_drop_(p);
    __libc_free(p);
}

#endif

/* `work` leaves nothing behind; it returns what it did, and may check its results with memory_whole_(). */
typedef loom_status (*memory_work)(loom_err *err);

/* True in a run in which nothing fails. */
static inline bool memory_is_whole(void) { return memory_fail_at_ == 0; }

/* Runs `work` with allocation `at` failing (0: none); returns how many there were. */
static long long memory_run_(const char *what, memory_work work, long long at)
{
    loom_err err = {0};
    long long live = memory_live_;
    memory_calls_ = 0;
    memory_fail_at_ = at;
    loom_status st = work(&err);
    bool reached = at > 0 && memory_calls_ >= at;
    memory_fail_at_ = 0;
    test_checks_++;
    if (at == 0 && st != LOOM_OK) TEST_FAIL_("%s: %s", what, err.msg);
    if (reached && st != LOOM_OK && !loom_nomem_seen())
        TEST_FAIL_("%s, allocation %lld: failed without the mark: %s", what, at, err.msg);
    if (st != LOOM_OK && !err.msg[0]) TEST_FAIL_("%s, allocation %lld: failed without a sentence", what, at);
    if (memory_live_ != live)
        TEST_FAIL_("%s, allocation %lld: %lld blocks were not given back", what, at, (long long)memory_live_ - live);
    memory_refusals_ += reached && st != LOOM_OK;
    loom_nomem_set(false);
    return memory_calls_;
}

static inline void failing_memory_sweep(const char *what, memory_work work, long long points)
{
    loom_err err = {0};
    CHECK(work(&err) == LOOM_OK); /* what is made once and kept */
    long long n = memory_run_(what, work, 0), step = n > points ? n / points : 1;
    memory_refusals_ = 0;
    for (long long at = 1; FAILING_MEMORY && at <= n && test_failed_ < 20; at += step) memory_run_(what, work, at);
    if (getenv("MEMORY_SAYS")) printf("%s: %lld allocations, %lld refusals\n", what, n, memory_refusals_);
    CHECK(!FAILING_MEMORY || (n > 0 && memory_refusals_ > 0));
}

#endif
