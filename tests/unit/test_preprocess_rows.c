/* Rows in memory: grouped by trace from segments made by hand, counted over several readers, listed in order. */
#include <unistd.h>

#include "core/num.h"
#include "preprocess/rows/dropped_rows.h"
#include "preprocess/rows/row_tables.h"
#include "preprocess/rows/trace_groups.h"
#include "test.h"
#include "trace/graph/rows.h"

static loom_texts texts_of(const char *const *ids, size_t n)
{
    loom_texts t = {0};
    for (size_t i = 0; i < n; i++) CHECK_I64(loom_texts_add(&t, ids[i], strlen(ids[i])), i);
    loom_texts_seal(&t);
    return t;
}

/* ---- trace_groups ---- */

/* Two chunks; the file's order is block 0 (chunk 1), block 1 (chunk 0), block 2 (chunk 1 again). `rt` tells rows
 * apart. */
TEST(rows_are_grouped_in_the_order_of_the_file)
{
    static const char *const ids[] = {"a", "nobody", "c"};
    loom_raw_row first[2] = {{.trace = 2, .timestamp = 30, .rt = 3}, {.trace = 0, .timestamp = 20, .rt = 4}};
    loom_raw_row second[4] = {{.trace = 0, .timestamp = 50, .rt = 1},
                              {.trace = 2, .timestamp = 60, .rt = 2},
                              {.trace = 2, .timestamp = 70, .rt = 99}, /* no segment names it */
                              {.trace = 0, .timestamp = 40, .rt = 5}};
    loom_chunk items[2] = {{first, 2, 0}, {second, 4, 1}};
    loom_chunks chunks = {items, 2, 2};
    loom_segment segments[3] = {{0, 1, 0, 2}, {1, 0, 0, 2}, {2, 1, 3, 1}};
    loom_texts traces = texts_of(ids, 3);
    loom_trace_groups g = {0};
    loom_err err;
    REQUIRE_OK(loom_trace_groups_make(&g, &chunks, segments, 3, &traces, &err), err);
    static const uint32_t starts[] = {0, 3, 3, 5};
    for (int t = 0; t < 4; t++) CHECK_I64(g.starts[t], starts[t]);
    static const int64_t rows[] = {1, 4, 5, 2, 3}; /* of trace 0, then of trace 2 */
    for (int i = 0; i < 5; i++) CHECK_I64(loom_raw_row_at(&chunks, g.refs[i])->rt, rows[i]);
    CHECK_I64(g.refs[0], 1 << 16 | 0);
    CHECK_I64(g.refs[2], 1 << 16 | 3);
    CHECK_I64(g.n, 2); /* the trace without rows has no place in the order */
    CHECK_I64(g.order[0].trace, 0);
    CHECK_I64(g.order[0].time_of_day, 20);
    CHECK_I64(g.order[1].trace, 2);
    CHECK_I64(g.order[1].time_of_day, 30);
    loom_trace_groups_release(&g);
    loom_texts_release(&traces);
}

/* All three digits of the radix sort count, days do not, times before 1970 fall into their day, equal times go by
 * id. */
TEST(traces_are_ordered_by_time_of_day_and_id)
{
    static const char *const ids[] = {"z", "late", "b", "a", "middle", "early", "before"};
    static const int64_t times[] = {7, LOOM_MS_PER_DAY - 1, 7 + 3 * LOOM_MS_PER_DAY, 7, 600 * 512, LOOM_MS_PER_DAY + 1,
                                    -2};
    static const char *const want[] = {"early", "a", "b", "z", "middle", "before", "late"};
    enum { N = 7 };
    loom_raw_row rows[N];
    for (uint32_t i = 0; i < N; i++) rows[i] = (loom_raw_row){.trace = i, .timestamp = times[i]};
    loom_chunk chunk = {rows, N, 0};
    loom_chunks chunks = {&chunk, 1, 1};
    loom_segment segment = {0, 0, 0, N};
    loom_texts traces = texts_of(ids, N);
    loom_trace_groups g = {0};
    loom_err err;
    REQUIRE_OK(loom_trace_groups_make(&g, &chunks, &segment, 1, &traces, &err), err);
    CHECK_I64(g.n, N);
    for (size_t i = 0; i < N; i++) CHECK_STR(loom_texts_at(&traces, g.order[i].trace), want[i]);
    loom_trace_groups_release(&g);
    loom_texts_release(&traces);
}

TEST(no_rows_are_no_groups)
{
    loom_chunks chunks = {0};
    loom_texts traces = {0};
    loom_trace_groups g = {0};
    loom_err err;
    REQUIRE_OK(loom_trace_groups_make(&g, &chunks, NULL, 0, &traces, &err), err);
    CHECK_I64(g.n, 0);
    CHECK_I64(g.starts[0], 0);
    loom_trace_groups_release(&g);
}

/* ---- row_tables ---- */

/* Three blocks of 10, 20 and 5 lines behind a header of 2; the first and last were read by reader 1. */
static void fake_tables(loom_row_tables *t, loom_row_reader *readers, loom_row_block *blocks, loom_row_table *table)
{
    *table = (loom_row_table){(char *)(uintptr_t) "rows.csv", 2};
    blocks[0] = (loom_row_block){.n_lines = 10};
    blocks[1] = (loom_row_block){.n_lines = 20};
    blocks[2] = (loom_row_block){.n_lines = 5};
    for (int i = 0; i < 2; i++)
        for (int d = 0; d < LOOM_DROPS; d++) readers[i].drops[d].first_block = -1;
    *t = (loom_row_tables){.items = table, .n = 1, .n_threads = 2, .readers = readers, .blocks = blocks, .n_blocks = 3};
}

TEST(first_lines_are_those_of_the_file_whatever_thread_met_them)
{
    static loom_row_reader readers[2];
    loom_row_block blocks[3];
    loom_row_table table;
    loom_row_tables t;
    loom_graphs_counts c = {0};
    loom_graphs_report report = {0};
    loom_err err;
    memset(readers, 0, sizeof readers);
    fake_tables(&t, readers, blocks, &table);
    readers[0].rows = 20, readers[1].rows = 15;
    readers[0].kept = 17, readers[1].kept = 12;
    /* both met one: reader 1 in block 2 (line 3 + 10 + 20 + 1), reader 0 in block 1 (line 3 + 10 + 4) */
    readers[0].drops[LOOM_DROP_RT_NULL] = (loom_drop_count){2, 1, 4};
    readers[1].drops[LOOM_DROP_RT_NULL] = (loom_drop_count){1, 2, 1};
    /* reader 1 met it first: block 0, line 3 + 9 */
    readers[0].drops[LOOM_DROP_NO_UM] = (loom_drop_count){1, 1, 0};
    readers[1].drops[LOOM_DROP_NO_UM] = (loom_drop_count){2, 0, 9};
    REQUIRE_OK(loom_row_tables_finish(&t, &c, &report, &err), err);
    CHECK_I64(c.first_line[LOOM_DROP_RT_NULL], 17);
    CHECK_I64(c.first_line[LOOM_DROP_NO_UM], 12);
    CHECK_I64(c.first_line[LOOM_DROP_NO_DM], 0);
    CHECK_I64(c.dropped[LOOM_DROP_RT_NULL], 3);
    CHECK_I64(c.dropped[LOOM_DROP_NO_UM], 3);
    CHECK_I64(c.rows, 35);
    CHECK_I64(c.kept, 29);
    loom_graphs_report_release(&report);
}

/* Lines begin anew with every table that is merged. */
TEST(lines_begin_anew_with_every_table)
{
    static loom_row_reader readers[2];
    loom_row_block blocks[3];
    loom_row_table tables[2];
    loom_row_tables t;
    loom_graphs_counts c = {0};
    loom_graphs_report report = {0};
    loom_err err;
    memset(readers, 0, sizeof readers);
    fake_tables(&t, readers, blocks, tables);
    tables[1] = (loom_row_table){(char *)(uintptr_t) "more.csv", 1};
    blocks[2].table = 1;
    t.n = 2;
    REQUIRE_OK(loom_row_tables_finish(&t, &c, &report, &err), err);
    CHECK_I64(blocks[0].first_line, 3);
    CHECK_I64(blocks[1].first_line, 13);
    CHECK_I64(blocks[2].first_line, 2);
    loom_graphs_report_release(&report);
}

TEST(segments_come_in_the_order_of_the_blocks)
{
    static loom_row_reader readers[2];
    loom_row_block blocks[3];
    loom_row_table table;
    loom_row_tables t;
    size_t n;
    loom_segment one[] = {{1, 0, 0, 5}}, two[] = {{0, 1, 0, 3}, {0, 2, 0, 4}, {2, 2, 4, 1}};
    memset(readers, 0, sizeof readers);
    fake_tables(&t, readers, blocks, &table);
    readers[0].segments = one, readers[0].n_segments = 1;
    readers[1].segments = two, readers[1].n_segments = 3;
    loom_segment *s = loom_row_tables_segments(&t, &n);
    REQUIRE(s);
    static const int32_t rows[] = {3, 4, 5, 1}; /* of block 0 both segments, then blocks 1 and 2 */
    CHECK_I64(n, 4);
    for (size_t i = 0; i < 4; i++) CHECK_I64(s[i].n, rows[i]);
    free(s);
}

/* ---- dropped_rows ---- */

TEST(dropped_rows_are_listed_in_the_order_of_the_file)
{
    static loom_row_reader readers[2];
    static const char *const ids[] = {"ours", "theirs"};
    loom_row_block blocks[3];
    loom_row_table table;
    loom_row_tables t;
    loom_out *out = NULL;
    loom_err err;
    loom_dropped zero[] = {{1, 2, LOOM_DROP_RT_NULL, 0}};
    loom_dropped one[] = {{0, 4, LOOM_DROP_NO_UM, 0}, {2, 0, LOOM_DROP_BAD_QUOTES, UINT32_MAX}};
    uint32_t map[] = {1}; /* trace 0 of reader 1 is trace 1 */
    loom_row_maps maps[2] = {{0}, {.traces = map}};
    loom_row_join join = {.maps = maps, .n_maps = 2, .traces = texts_of(ids, 2)};
    char path[] = "/tmp/loom_dropped_XXXXXX";
    int fd = mkstemp(path);
    REQUIRE(fd >= 0);
    close(fd);
    memset(readers, 0, sizeof readers);
    fake_tables(&t, readers, blocks, &table);
    for (int i = 0; i < 3; i++) blocks[i].first_line = 1 + 100 * i;
    readers[0].dropped = zero, readers[0].n_dropped = 1;
    readers[1].dropped = one, readers[1].n_dropped = 2;
    REQUIRE_OK(loom_out_open(&out, path, true, &err), err);
    REQUIRE_OK(loom_dropped_rows_write(out, &t, &join, false, &err), err);
    REQUIRE_OK(loom_out_commit(&out, &err), err);
    loom_buf text = {0};
    REQUIRE_OK(loom_file_read(&text, path, 1 << 16, &err), err);
    CHECK_STR(loom_buf_text(&text), "rows.csv,5,theirs,NO_UM\nrows.csv,103,ours,RT_NULL\nrows.csv,201,,BAD_QUOTES\n");
    loom_buf_release(&text);
    unlink(path);
    loom_texts_release(&join.traces);
}

TEST_MAIN(RUN(rows_are_grouped_in_the_order_of_the_file) RUN(traces_are_ordered_by_time_of_day_and_id)
              RUN(no_rows_are_no_groups) RUN(first_lines_are_those_of_the_file_whatever_thread_met_them)
                  RUN(lines_begin_anew_with_every_table) RUN(segments_come_in_the_order_of_the_blocks)
                      RUN(dropped_rows_are_listed_in_the_order_of_the_file))
