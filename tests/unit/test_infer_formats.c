/* Readers of outside files stay on their feet: every kind of document, cut short and with bytes changed, is read or
 * refused with a sentence, never worse; and what is passed on is a valid graph. */
#include "test.h"

#include <unistd.h>

#include "core/file.h"
#include "core/rng.h"
#include "infer/graphsink.h"
#include "infer/graphsource.h"
#include "trace/record.h"

static const char *const records[] = {
    "00h00m03s000ms S_000000011 "
    "0|http|USER|MS_00001|ARRIVED_0|RT_31||0.1|rpc|MS_00001|MS_00002|ARRIVED_2|RT_20||0.1.1|db|"
    "MS_00002|MS_00009|ARRIVED_4|RT_3||0.2|mc|MS_00001|MS_00007|ARRIVED_25|RT_1",
    "23h59m59s999ms S_000000012 0|rpc|USER|MS_00003|ARRIVED_0|RT_9||0.1|mc|MS_00003|MS_00007|ARRIVED_1|RT_1",
};

static char folder[] = "/tmp/loom-formats.XXXXXX";

static const char *in_folder(loom_buf *path, const char *name)
{
    loom_buf_reset(path);
    loom_buf_printf(path, "%s/%s", folder, name);
    return path->data;
}

typedef struct taken {
    int64_t n, invalid;
    loom_buf text;
} taken;

static loom_status take(void *arg, const loom_graph *g, loom_err *err)
{
    taken *t = arg;
    loom_verdict v;

    (void)err;
    loom_verdict_reset(&v);
    loom_graph_check(&v, g);
    t->n++;
    t->invalid += v.n != 0;
    loom_record_render(&t->text, g);
    loom_buf_char(&t->text, '\n');
    return LOOM_OK;
}

static void write_as(const char *path, loom_format format)
{
    loom_sink_conf conf = {.format = format, .force = true, .synthetic = true, .epoch_ms = 1640995200000};
    loom_sink *k = NULL;
    loom_arena arena = {0};
    loom_err err = {0};

    REQUIRE_OK(loom_sink_open(&k, path, &conf, &err), err);
    for (int i = 0; i < 2; i++) {
        loom_graph g;
        loom_verdict why;
        REQUIRE(loom_record_read(&g, &why, records[i], strlen(records[i]), &arena));
        REQUIRE_OK(loom_sink_put(k, &g, &err), err);
    }
    REQUIRE_OK(loom_sink_commit(&k, &err), err);
    loom_arena_release(&arena);
}

static const struct {
    const char *name;
    loom_format format;
} kinds[] = {{"g.graphs", LOOM_FORMAT_RECORDS},
             {"g.csv", LOOM_FORMAT_CSV},
             {"g.json", LOOM_FORMAT_JAEGER},
             {"g.jsonl", LOOM_FORMAT_OTLP}};

TEST(every_format_comes_back)
{
    loom_buf path = {0};

    for (size_t k = 0; k < 4; k++) {
        loom_source s = {0};
        taken t = {0};
        loom_err err = {0};
        write_as(in_folder(&path, kinds[k].name), kinds[k].format);
        REQUIRE_OK(loom_source_read(&s, path.data, take, &t, &err), err);
        CHECK_I64(t.n, 2);
        CHECK(strstr(t.text.data, records[0]) != NULL);
        CHECK(strstr(t.text.data, records[1]) != NULL);
        CHECK(loom_format_of_name(path.data) == kinds[k].format);
        loom_buf_release(&t.text);
    }
    CHECK(loom_format_of_name("x.graphs.zst") == LOOM_FORMAT_RECORDS);
    CHECK(loom_format_of_name("x") == LOOM_FORMATS);
    loom_buf_release(&path);
}

/* One damaged copy: cut, or some bytes changed, or a piece doubled. */
static void damage(loom_buf *b, loom_rng *r)
{
    static const char likely[] = "0123456789-.,:\"'{}[]|_ \n\\eE+nullMS";
    uint64_t what = loom_rng_below(r, 3);

    if (what == 0) {
        b->len = loom_rng_below(r, b->len);
        b->data[b->len] = 0;
    } else if (what == 1) {
        for (uint64_t n = 1 + loom_rng_below(r, 4); n; n--)
            b->data[loom_rng_below(r, b->len)] = loom_rng_chance(r, 0.8) ? likely[loom_rng_below(r, sizeof likely - 1)]
                                                                        : (char)loom_rng_u64(r);
    } else {
        size_t at = loom_rng_below(r, b->len), n = loom_rng_below(r, b->len - at);
        char *copy = malloc(n + 1);
        memcpy(copy, b->data + at, n);
        loom_buf_append(b, copy, n);
        free(copy);
    }
}

TEST(damaged_files_do_no_harm)
{
    loom_buf path = {0}, whole = {0}, hurt = {0};
    int64_t read = 0, refused = 0;
    loom_rng r;

    loom_rng_seed(&r, 1, "damage", 0);
    for (size_t k = 0; k < 4; k++) {
        loom_err err = {0};
        write_as(in_folder(&path, kinds[k].name), kinds[k].format);
        loom_buf_reset(&whole);
        REQUIRE_OK(loom_file_read(&whole, path.data, 1 << 20, &err), err);
        for (int round = 0; round < 400; round++) {
            loom_source s = {0};
            taken t = {0};
            err = (loom_err){0};
            loom_buf_reset(&hurt);
            loom_buf_append(&hurt, whole.data, whole.len);
            damage(&hurt, &r);
            REQUIRE_OK(loom_file_write(in_folder(&path, "hurt"), hurt.data, hurt.len, true, &err), err);
            loom_status st = loom_source_read(&s, path.data, take, &t, &err);
            if (st != LOOM_OK) CHECK(err.msg[0] != 0);
            CHECK_I64(t.invalid, 0);
            read += st == LOOM_OK;
            refused += st != LOOM_OK;
            loom_buf_release(&t.text);
        }
    }
    CHECK(read > 300);
    CHECK(refused > 300);
    loom_buf_release(&path);
    loom_buf_release(&whole);
    loom_buf_release(&hurt);
}

/* Spans whose links are drawn at random: loops, orphans, several roots, repeated ids. */
TEST(tangled_traces_do_no_harm)
{
    loom_buf text = {0};
    loom_span_counts counts = {0};
    loom_err err = {0};
    taken t = {0};
    loom_rng r;

    loom_rng_seed(&r, 2, "tangle", 0);
    for (int round = 0; round < 300; round++) {
        uint64_t n = 1 + loom_rng_below(&r, 12);
        loom_spans spans = {0};
        loom_json *root = NULL;
        loom_buf_reset(&text);
        loom_buf_str(
            &text, "{\"data\":[{\"processes\":{\"p0\":{\"serviceName\":\"a\"},\"p1\":{\"serviceName\":\"b|c\"},\"p2\":"
                   "{\"serviceName\":\"USER\"}},\"spans\":[");
        for (uint64_t i = 0; i < n; i++) {
            loom_buf_printf(
                &text,
                "%s{\"traceID\":\"t\",\"spanID\":\"%d\",\"processID\":\"p%d\",\"startTime\":%d,\"duration\":%d,"
                "\"references\":[",
                i ? "," : "", (int)(loom_rng_chance(&r, 0.9) ? i : loom_rng_below(&r, n)), (int)loom_rng_below(&r, 3),
                (int)loom_rng_below(&r, 9000), (int)loom_rng_below(&r, 9000));
            if (i && loom_rng_chance(&r, 0.9))
                loom_buf_printf(&text, "{\"refType\":\"CHILD_OF\",\"spanID\":\"%d\"}", (int)loom_rng_below(&r, n + 1));
            loom_buf_printf(
                &text,
                "],\"tags\":[{\"key\":\"span.kind\",\"value\":\"%s\"},{\"key\":\"peer.service\",\"value\":\"%s\"}]}",
                loom_rng_chance(&r, 0.5) ? "client" : "server", loom_rng_chance(&r, 0.5) ? "a" : "d");
        }
        loom_buf_str(&text, "]}]}");
        REQUIRE_OK(loom_json_parse(&root, text.data, text.len, "trace", &err), err);
        REQUIRE_OK(loom_spans_add_json(&spans, root, "trace", &err), err);
        REQUIRE_OK(loom_spans_graphs(&spans, take, &t, &counts, &err), err);
        loom_json_free(root);
        loom_spans_release(&spans);
    }
    CHECK_I64(t.invalid, 0);
    CHECK(t.n > 50);
    CHECK_I64(counts.graphs, t.n);
    CHECK_I64(counts.traces, 300);
    CHECK(counts.orphans > 0 && counts.repeated_ids > 0 && counts.below_orphans > 0);
    loom_buf_release(&t.text);
    loom_buf_release(&text);
}

static void sweep(void)
{
    char **paths = NULL;
    size_t n = 0;
    loom_err err;
    if (loom_list_files(&paths, &n, folder, "", &err) == LOOM_OK) {
        for (size_t i = 0; i < n; i++) unlink(paths[i]);
        loom_free_list(paths, n);
    }
    rmdir(folder);
}

TEST_MAIN(if (!mkdtemp(folder)) return 1; RUN(every_format_comes_back) RUN(damaged_files_do_no_harm)
              RUN(tangled_traces_do_no_harm) sweep();)
