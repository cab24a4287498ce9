/* Memory that runs out: what fails, what is kept, and that no result is made of the rest. */
#include <unistd.h>

#include "core/arena.h"
#include "core/file.h"
#include "core/hash.h"
#include "core/nomem.h"
#include "core/num.h"

#include "test.h"

#define TOO_MUCH (SIZE_MAX / 2) /* no system gives that */

TEST(buffer_keeps_what_it_held)
{
    loom_buf b = {0};
    loom_err err = {0};
    loom_buf_str(&b, "one");
    CHECK(!loom_buf_failed(&b) && !loom_nomem_seen());
    CHECK(!loom_buf_reserve(&b, TOO_MUCH));
    CHECK(loom_buf_failed(&b) && loom_nomem_seen());
    for (int i = 0; i < 100; i++) loom_buf_str(&b, "two"); /* also what would have fitted: no text with a hole in it */
    loom_buf_printf(&b, "%d", 3);
    CHECK_STR(b.data, "one");
    CHECK(loom_buf_check(&b, "a text", &err) == LOOM_STATUS_NOMEM);
    CHECK_STR(err.msg, "out of memory for a text; free some memory and run the command again");
    CHECK(loom_buf_take(&b) == NULL);
    CHECK(!loom_buf_failed(&b)); /* taken: empty and usable again */
    loom_nomem_set(false);
}

TEST(buffer_without_memory_is_an_empty_text)
{
    loom_buf b = {0};
    CHECK(!loom_buf_reserve(&b, TOO_MUCH));
    loom_buf_char(&b, 'x');
    CHECK_STR(b.data, "");
    loom_buf_reset(&b);
    loom_buf_str(&b, "more");
    CHECK_I64((int64_t)b.len, 0);
    CHECK(loom_buf_failed(&b)); /* until its release */
    loom_buf_release(&b);
    loom_buf_str(&b, "more");
    CHECK_STR(b.data, "more");
    char *taken = loom_buf_take(&b);
    CHECK_STR(taken, "more");
    free(taken);
    loom_nomem_set(false);
}

TEST(arena_goes_on_with_what_it_has)
{
    loom_arena a = {0};
    loom_err err = {0};
    const char *kept = loom_arena_strdup(&a, "kept", 4);
    CHECK(loom_arena_check(&a, "names", &err) == LOOM_OK);
    CHECK(loom_arena_alloc(&a, TOO_MUCH) == NULL);
    CHECK(loom_arena_calloc(&a, SIZE_MAX / 4, 8) == NULL);
    CHECK_STR(loom_arena_strdup(&a, "", SIZE_MAX), "");
    CHECK_STR(kept, "kept");
    CHECK(loom_arena_check(&a, "names", &err) == LOOM_STATUS_NOMEM);
    loom_arena_reset(&a);
    CHECK(loom_arena_check(&a, "names", &err) == LOOM_STATUS_NOMEM);
    loom_arena_release(&a);
    CHECK(loom_arena_check(&a, "names", &err) == LOOM_OK);
    loom_nomem_set(false);
}

TEST(allocations_of_core_leave_the_mark)
{
    size_t cap = 0;
    char *array = NULL;
    void *p[] = {loom_alloc(TOO_MUCH, 1), loom_calloc(TOO_MUCH, 1), loom_realloc(NULL, TOO_MUCH, 1),
                 loom_alloc_aligned(TOO_MUCH)};
    for (int i = 0; i < 4; i++) CHECK(p[i] == NULL);
    CHECK(loom_nomem_seen());
    loom_nomem_set(false);
    CHECK(loom_grow(&array, &cap, TOO_MUCH, 1, NULL) == LOOM_STATUS_NOMEM);
    CHECK(array == NULL && cap == 0 && loom_nomem_seen());
    loom_nomem_set(false);
}

TEST(no_output_gets_its_name)
{
    char dir[] = "/tmp/loom-nomem-XXXXXX", path[64];
    loom_out *out = NULL;
    loom_err err = {0};
    REQUIRE(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/x.txt", dir);
    REQUIRE_OK(loom_out_open(&out, path, false, &err), err);
    REQUIRE_OK(loom_out_write(out, "lost ", 5, &err), err);
    loom_nomem_note();
    CHECK(loom_out_commit(&out, &err) == LOOM_STATUS_NOMEM);
    CHECK(out == NULL);
    CHECK(rmdir(dir) == 0); /* no file, no temporary file */
    loom_nomem_set(false);
}

TEST(a_consequence_is_told_by_its_cause)
{
    loom_err err = {0};
    loom_fail(&err, LOOM_STATUS_FORMAT, "not a line of JSON");
    CHECK(loom_nomem_explain(LOOM_STATUS_FORMAT, &err) == LOOM_STATUS_FORMAT);
    CHECK(loom_nomem_check("x", &err) == LOOM_OK);
    loom_nomem_note();
    CHECK(loom_nomem_explain(LOOM_OK, &err) == LOOM_OK);
    CHECK(loom_nomem_explain(LOOM_STATUS_INTERRUPT, &err) == LOOM_STATUS_INTERRUPT);
    CHECK(loom_nomem_explain(LOOM_STATUS_FORMAT, &err) == LOOM_STATUS_NOMEM);
    CHECK_STR(err.msg, "out of memory for this command; free some memory and run the command again");
    CHECK(loom_nomem_check("x", &err) == LOOM_STATUS_NOMEM);
    loom_nomem_set(false);
}

TEST_MAIN(RUN(buffer_keeps_what_it_held) RUN(buffer_without_memory_is_an_empty_text) RUN(arena_goes_on_with_what_it_has)
              RUN(allocations_of_core_leave_the_mark) RUN(no_output_gets_its_name)
                  RUN(a_consequence_is_told_by_its_cause))
