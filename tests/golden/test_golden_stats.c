/* Per-service statistics of each part, and of both parts pooled, against the golden values; also after a round trip
 * through the JSON file, and when gathered by several objects. */
#include "core/file.h"
#include "core/json.h"
#include "test.h"
#include "trace/graph/record.h"
#include "trace/graph/stats.h"

#define FOLDER LOOM_SOURCE_DIR "/tests/golden/spec/stats/"

static loom_json *expected;

static void add_file(loom_stats *s, const char *path)
{
    loom_lines *lines = NULL;
    loom_arena arena = {0};
    loom_err err;
    char *line;
    size_t len;
    REQUIRE_OK(loom_lines_open(&lines, path, &err), err);
    while (loom_lines_next(lines, &line, &len, &err) == LOOM_OK && line) {
        loom_graph g;
        loom_verdict why;
        loom_arena_reset(&arena);
        if (!loom_record_read(&g, &why, line, len, &arena)) continue; /* one line of part 1 is invalid on purpose */
        loom_stats_add(s, &g);
    }
    loom_lines_close(&lines);
    loom_arena_release(&arena);
}

static void check_latency(const loom_stats *s, const loom_json *want)
{
    size_t entries = 0;
    for (int64_t i = 0; i < loom_stats_n_services(s); i++) {
        const char *service = loom_stats_service(s, i);
        const loom_json *w = loom_json_get(want, service);
        int64_t max, p90;
        double mean;
        bool has = loom_stats_latency(s, service, &max, &p90, &mean);
        CHECK(has == loom_json_is_object(w));
        if (!has || !w) continue;
        entries++;
        CHECK_I64(max, loom_json_i64(loom_json_get(w, "max"), -1));
        CHECK_I64(p90, loom_json_i64(loom_json_get(w, "p90"), -1));
        double want_mean = loom_json_f64(loom_json_get(w, "mean"), -1);
        CHECK_NEAR(mean, want_mean, 1e-9 * want_mean);
    }
    CHECK_I64(entries, loom_json_len(want));
}

static void check_triples(const loom_stats *s, const loom_json *want_rare, const loom_json *want_infilling)
{
    size_t rare_services = 0, keys = 0;
    loom_buf key = {0};
    for (int64_t i = 0; i < loom_stats_n_services(s); i++) {
        const char *service = loom_stats_service(s, i);
        const loom_json *rare = loom_json_get(want_rare, service);
        int64_t n;
        size_t n_rare = 0;
        const loom_stats_triple *t = loom_stats_triples(s, service, &n);
        for (int64_t k = 0; k < n; k++) {
            CHECK(loom_stats_is_rare(s, service, t[k].source, t[k].type, t[k].destination) == t[k].rare);
            if (t[k].rare) {
                const loom_json *w = loom_json_at(rare, n_rare++);
                CHECK_STR(t[k].source, loom_json_str(loom_json_at(w, 0), NULL));
                CHECK_STR(loom_call_type_name(t[k].type), loom_json_str(loom_json_at(w, 1), NULL));
                CHECK_STR(t[k].destination, loom_json_str(loom_json_at(w, 2), NULL));
            }
            int64_t n_same;
            const loom_stats_triple *same = loom_stats_destinations(s, service, t[k].source, t[k].type, &n_same);
            loom_buf_reset(&key);
            loom_buf_printf(&key, "%s|%s|%s", service, t[k].source, loom_call_type_name(t[k].type));
            const loom_json *counts = loom_json_get(want_infilling, key.data);
            CHECK_I64(n_same, loom_json_len(counts));
            CHECK_I64(t[k].count, loom_json_i64(loom_json_get(counts, t[k].destination), -1));
            keys += same == &t[k];
        }
        CHECK_I64(n_rare, loom_json_len(rare));
        rare_services += n_rare > 0;
    }
    CHECK_I64(rare_services, loom_json_len(want_rare));
    CHECK_I64(keys, loom_json_len(want_infilling));
    loom_buf_release(&key);
}

static void check_all(const loom_stats *s, const char *part)
{
    const loom_json *want = loom_json_get(expected, part);
    REQUIRE(loom_json_is_object(want));
    check_latency(s, loom_json_get(want, "latency"));
    check_triples(s, loom_json_get(want, "rare"), loom_json_get(want, "infilling"));
}

TEST(part_1)
{
    loom_stats *s = loom_stats_new();
    add_file(s, FOLDER "part_1.txt");
    CHECK(loom_stats_finish(s, NULL) == LOOM_OK);
    check_all(s, "part_1");
    loom_stats_free(s);
}

TEST(part_2)
{
    loom_stats *s = loom_stats_new();
    add_file(s, FOLDER "part_2.txt");
    CHECK(loom_stats_finish(s, NULL) == LOOM_OK);
    check_all(s, "part_2");
    loom_stats_free(s);
}

TEST(pooled)
{
    loom_stats *s = loom_stats_new();
    add_file(s, FOLDER "part_1.txt");
    add_file(s, FOLDER "part_2.txt");
    CHECK(loom_stats_finish(s, NULL) == LOOM_OK);
    check_all(s, "pooled");
    CHECK_I64(loom_stats_service_graphs(s, "S_000000012"), 13);
    CHECK_I64(loom_stats_service_graphs(s, "S_none"), 0);
    CHECK(!loom_stats_latency(s, "S_none", NULL, NULL, NULL));
    loom_stats_free(s);
}

TEST(merged_and_reloaded)
{
    loom_stats *s = loom_stats_new(), *other = loom_stats_new(), *loaded = NULL;
    loom_buf direct = {0}, again = {0};
    loom_err err;
    add_file(other, FOLDER "part_1.txt");
    add_file(s, FOLDER "part_2.txt");
    loom_stats_merge(s, other);
    CHECK(loom_stats_finish(s, NULL) == LOOM_OK);
    check_all(s, "pooled");
    loom_stats_render(s, &direct);
    REQUIRE_OK(loom_stats_parse(&loaded, direct.data, direct.len, "memory", &err), err);
    check_all(loaded, "pooled");
    loom_stats_render(loaded, &again);
    CHECK_STR(again.data, direct.data);
    loom_stats_free(s);
    loom_stats_free(other);
    loom_stats_free(loaded);
    loom_buf_release(&direct);
    loom_buf_release(&again);
}

TEST(refuses_what_is_not_statistics)
{
    static const char *const texts[] = {
        "",
        "[]",
        "{\"format\":\"else\"}",
        "{\"format\":\"spanloom-stats-1\"}",
        "{\"format\":\"spanloom-stats-1\",\"graphs\":{\"S_1\":0},\"latency\":{},\"infilling\":{}}",
        "{\"format\":\"spanloom-stats-1\",\"graphs\":{\"S_1\":9000000000000000000,\"S_2\":9000000000000000000},"
        "\"latency\":{},\"infilling\":{}}",
        "{\"format\":\"spanloom-stats-1\",\"graphs\":{\"S_1\":2},\"latency\":{\"S_2\":{}},\"infilling\":{}}",
        "{\"format\":\"spanloom-stats-1\",\"graphs\":{\"S_1\":2},\"latency\":{},\"infilling\":{\"S_1|MS_1\":{\"MS_2\":1}}}",
        "{\"format\":\"spanloom-stats-1\",\"graphs\":{\"S_1\":2},\"latency\":{},\"infilling\":{\"S_1|MS_1|rpc\":{\"MS_2\":3}}}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        loom_stats *s = NULL;
        loom_err err;
        CHECK(loom_stats_parse(&s, texts[i], strlen(texts[i]), "memory", &err) == LOOM_STATUS_FORMAT);
        CHECK(s == NULL);
    }
}

TEST_MAIN(loom_err err; if (loom_json_read_file(&expected, FOLDER "expected.json", 1 << 24, &err) != LOOM_OK) return 1;
          RUN(part_1) RUN(part_2) RUN(pooled) RUN(merged_and_reloaded) RUN(refuses_what_is_not_statistics)
              loom_json_free(expected);)
