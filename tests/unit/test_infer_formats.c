/* Readers of outside files stay on their feet: every kind of document, cut short and with bytes changed, is read or
 * refused with a sentence, never worse; and what is passed on is a valid graph. Longer than most: each format goes
 * through the same mills. */
#include "test.h"

#include <unistd.h>

#include "core/file.h"
#include "core/rng.h"
#include "infer/formats/graphsink.h"
#include "readers/files/graphsource.h"
#include "trace/graph/record.h"

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

/* Reads all of a path; what was read so far is counted also when it fails. */
static loom_status read_all(loom_source *s, const char *path, taken *t, loom_err *err)
{
    loom_status st = loom_source_read(s, path, take, t, err);
    return st == LOOM_OK ? loom_source_finish(s, take, t, err) : st;
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
    REQUIRE_OK(loom_sink_commit(&k, NULL, NULL, &err), err);
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
        REQUIRE_OK(read_all(&s, path.data, &t, &err), err);
        CHECK_I64(t.n, 2);
        CHECK(strstr(t.text.data, records[0]) != NULL);
        CHECK(strstr(t.text.data, records[1]) != NULL);
        CHECK(loom_format_of_name(path.data) == kinds[k].format);
        loom_buf_release(&t.text);
        loom_source_release(&s);
    }
    CHECK(loom_format_of_name("x.graphs.zst") == LOOM_FORMAT_RECORDS);
    CHECK(loom_format_of_name("x") == LOOM_FORMATS);
    loom_buf_release(&path);
}

/* ---- do the files keep to the formats as published? ---- */

/* Graphs whose times spans alone cannot tell, and names that JSON must escape. */
static const char *const odd_records[] = {
    "12h30m15s250ms S_000000013 0|http|USER|MS_00001|ARRIVED_5|RT_10||0.1|mq|MS_00001|MS_00002|ARRIVED_6|RT_-2||"
    "0.1.3|db|MS_00002|MS_00009|ARRIVED_3|RT_1",
    "00h00m00s000ms shop:GET_/x 0|http|USER|a\"b\\c|ARRIVED_0|RT_7||0.2|rpc|a\"b\\c|s\xc3\xbc\xc3\x9f|ARRIVED_0|RT_7||"
    "0.3|mc|a\"b\\c|a\"b\\c|ARRIVED_7|RT_0",
    "23h59m59s999ms S_000000014 0|rpc|USER|MS_00003|ARRIVED_-4|RT_9",
};

static int64_t faults; /* against a format */
#define MUST(cond)                                                                                                     \
    do {                                                                                                               \
        if (!(cond)) faults++, fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #cond);                      \
    } while (0)

static bool is_hex(const char *text, size_t digits)
{
    return text && strlen(text) == digits && strspn(text, "0123456789abcdef") == digits && strspn(text, "0") < digits;
}

static const char *str(const loom_json *object, const char *key)
{
    return loom_json_str(loom_json_get(object, key), NULL);
}

static bool only_keys(const loom_json *object, const char *const *keys)
{
    for (void *it = loom_json_iter(object); it; it = loom_json_iter_next(object, it)) {
        bool known = false;
        for (int i = 0; keys[i]; i++) known = known || strcmp(keys[i], loom_json_iter_key(it)) == 0;
        if (!known) return false;
    }
    return true;
}

static void check_tag(const loom_json *tag)
{
    const char *type = str(tag, "type");
    const loom_json *value = loom_json_get(tag, "value");

    MUST(str(tag, "key") && str(tag, "key")[0] && type &&
         only_keys(tag, (const char *const[]){"key", "type", "value", NULL}));
    if (!type) return;
    MUST(strcmp(type, "string") == 0  ? loom_json_is_string(value)
         : strcmp(type, "bool") == 0  ? loom_json_is_bool(value)
         : strcmp(type, "int64") == 0 ? loom_json_is_int(value)
                                      : strcmp(type, "float64") == 0 && loom_json_is_number(value));
}

/* Ids are distinct; every link leads to one of them; exactly one has none. */
static void check_links(const char *const *ids, const char *const *parents, size_t n)
{
    size_t roots = 0;

    for (size_t i = 0; i < n; i++) {
        bool there = !parents[i];
        roots += !parents[i];
        for (size_t j = 0; j < n; j++) {
            MUST(i == j || strcmp(ids[i], ids[j]) != 0);
            there = there || strcmp(parents[i], ids[j]) == 0;
        }
        MUST(there);
    }
    MUST(roots == 1);
}

enum { MOST_SPANS = 16 };

static void check_jaeger_trace(const loom_json *trace)
{
    static const char *const span_keys[] = {"traceID", "spanID", "operationName", "references", "startTime", "duration",
                                            "tags",    "logs",   "processID",     "warnings",   "flags",     NULL};
    const loom_json *spans = loom_json_get(trace, "spans"), *processes = loom_json_get(trace, "processes");
    const char *ids[MOST_SPANS], *parents[MOST_SPANS] = {0};
    size_t n = loom_json_len(spans);

    MUST(is_hex(str(trace, "traceID"), 32) && loom_json_is_array(spans) && n > 0 && n <= MOST_SPANS);
    MUST(loom_json_is_object(processes) && loom_json_is_null(loom_json_get(trace, "warnings")));
    for (size_t i = 0; i < n && i < MOST_SPANS; i++) {
        const loom_json *s = loom_json_at(spans, i), *refs = loom_json_get(s, "references"),
                        *tags = loom_json_get(s, "tags");
        const loom_json *p = loom_json_get(processes, str(s, "processID") ? str(s, "processID") : "");
        MUST(only_keys(s, span_keys) && strcmp(str(s, "traceID"), str(trace, "traceID")) == 0);
        MUST(is_hex(ids[i] = str(s, "spanID"), 16) && str(s, "operationName"));
        MUST(loom_json_is_int(loom_json_get(s, "startTime")) && loom_json_is_int(loom_json_get(s, "duration")));
        int64_t start = loom_json_i64(loom_json_get(s, "startTime"), -1);
        MUST(start > 1640990000000000 && start < 1641090000000000); /* microseconds of that day */
        MUST(loom_json_i64(loom_json_get(s, "duration"), -1) >= 0);
        MUST(loom_json_is_array(refs) && loom_json_len(refs) <= 1 && loom_json_is_array(loom_json_get(s, "logs")));
        if (loom_json_len(refs)) {
            const loom_json *r = loom_json_at(refs, 0);
            MUST(strcmp(str(r, "refType"), "CHILD_OF") == 0 && strcmp(str(r, "traceID"), str(trace, "traceID")) == 0);
            parents[i] = str(r, "spanID");
        }
        MUST(loom_json_is_array(tags));
        for (size_t t = 0; t < loom_json_len(tags); t++) check_tag(loom_json_at(tags, t));
        MUST(p && str(p, "serviceName") && str(p, "serviceName")[0] && loom_json_is_array(loom_json_get(p, "tags")));
    }
    if (n <= MOST_SPANS) check_links(ids, parents, n);
}

static void check_jaeger(const char *text, size_t len, size_t traces)
{
    loom_json *root = NULL;
    loom_err err = {0};

    REQUIRE_OK(loom_json_parse(&root, text, len, "jaeger", &err), err);
    const loom_json *data = loom_json_get(root, "data");
    MUST(loom_json_is_array(data) && loom_json_len(data) == traces);
    MUST(loom_json_is_int(loom_json_get(root, "total")) && loom_json_is_null(loom_json_get(root, "errors")));
    for (size_t i = 0; i < loom_json_len(data); i++) check_jaeger_trace(loom_json_at(data, i));
    loom_json_free(root);
}

/* 64-bit integers are decimal strings. */
static bool is_decimal(const char *text) { return text && text[0] && strspn(text, "0123456789-") == strlen(text); }

static void check_attributes(const loom_json *list)
{
    static const char *const values[] = {"stringValue", "boolValue",   "intValue",   "doubleValue",
                                         "arrayValue",  "kvlistValue", "bytesValue", NULL};
    MUST(loom_json_is_array(list));
    for (size_t i = 0; i < loom_json_len(list); i++) {
        const loom_json *a = loom_json_at(list, i), *v = loom_json_get(a, "value");
        MUST(str(a, "key") && str(a, "key")[0] && loom_json_len(a) == 2 && loom_json_len(v) == 1 &&
             only_keys(v, values));
        if (loom_json_get(v, "intValue")) MUST(is_decimal(str(v, "intValue")));
        if (loom_json_get(v, "stringValue")) MUST(str(v, "stringValue") != NULL);
        if (loom_json_get(v, "boolValue")) MUST(loom_json_is_bool(loom_json_get(v, "boolValue")));
    }
}

static void check_otlp_span(const loom_json *s, const char **id, const char **parent, const char **trace)
{
    static const char *const keys[] = {"traceId",           "spanId",          "parentSpanId", "name",   "kind",
                                       "startTimeUnixNano", "endTimeUnixNano", "attributes",   "status", NULL};
    const char *start = str(s, "startTimeUnixNano"), *end = str(s, "endTimeUnixNano"), *up = str(s, "parentSpanId");
    int64_t kind = loom_json_i64(loom_json_get(s, "kind"), -1);
    int64_t code = loom_json_i64(loom_json_get(loom_json_get(s, "status"), "code"), -1);

    MUST(only_keys(s, keys) && is_hex(str(s, "traceId"), 32) && is_hex(*id = str(s, "spanId"), 16));
    MUST(!*trace || strcmp(*trace, str(s, "traceId")) == 0);
    *trace = str(s, "traceId");
    *parent = up && up[0] ? up : NULL;
    MUST(!*parent || is_hex(up, 16));
    MUST(str(s, "name") && str(s, "name")[0] && kind >= 0 && kind <= 5 && code >= 0 && code <= 2);
    MUST(is_decimal(start) && is_decimal(end) && strlen(start) == 19 && strcmp(start, end) <= 0); /* nanoseconds */
    check_attributes(loom_json_get(s, "attributes"));
}

static void check_otlp_line(const char *text, size_t len)
{
    const char *ids[MOST_SPANS], *parents[MOST_SPANS], *services[MOST_SPANS], *trace = NULL;
    loom_json *root = NULL;
    loom_err err = {0};
    size_t n = 0;

    REQUIRE_OK(loom_json_parse(&root, text, len, "otlp", &err), err);
    const loom_json *resources = loom_json_get(root, "resourceSpans");
    MUST(loom_json_is_array(resources) && loom_json_len(resources) > 0 && loom_json_len(root) == 1);
    for (size_t i = 0; i < loom_json_len(resources) && i < MOST_SPANS; i++) {
        const loom_json *r = loom_json_at(resources, i),
                        *attributes = loom_json_get(loom_json_get(r, "resource"), "attributes");
        const loom_json *scope = loom_json_at(loom_json_get(r, "scopeSpans"), 0),
                        *spans = loom_json_get(scope, "spans");
        check_attributes(attributes);
        MUST(strcmp(str(loom_json_at(attributes, 0), "key"), "service.name") == 0);
        services[i] = str(loom_json_get(loom_json_at(attributes, 0), "value"), "stringValue");
        for (size_t j = 0; j < i; j++) MUST(strcmp(services[i], services[j]) != 0); /* one for each service */
        MUST(str(loom_json_get(scope, "scope"), "name") && loom_json_len(spans) > 0);
        for (size_t j = 0; j < loom_json_len(spans) && n < MOST_SPANS; j++, n++)
            check_otlp_span(loom_json_at(spans, j), &ids[n], &parents[n], &trace);
    }
    check_links(ids, parents, n);
    loom_json_free(root);
}

/* Writes all records, ours and odd ones. */
static void write_all(const char *path, loom_format format, bool synthetic)
{
    loom_sink_conf conf = {.format = format, .force = true, .synthetic = synthetic, .epoch_ms = 1640995200000};
    loom_sink *k = NULL;
    loom_arena arena = {0};
    loom_err err = {0};

    REQUIRE_OK(loom_sink_open(&k, path, &conf, &err), err);
    for (int i = 0; i < 5; i++) {
        const char *line = i < 2 ? records[i] : odd_records[i - 2];
        loom_graph g;
        loom_verdict why = {0};
        REQUIRE(loom_record_read(&g, &why, line, strlen(line), &arena));
        REQUIRE_OK(loom_sink_put(k, &g, &err), err);
    }
    REQUIRE_OK(loom_sink_commit(&k, NULL, NULL, &err), err);
    loom_arena_release(&arena);
}

TEST(files_keep_to_the_published_formats)
{
    loom_buf path = {0}, text = {0};
    loom_err err = {0};

    for (int synthetic = 0; synthetic < 2; synthetic++) {
        write_all(in_folder(&path, "all.json"), LOOM_FORMAT_JAEGER, synthetic);
        loom_buf_reset(&text);
        REQUIRE_OK(loom_file_read(&text, path.data, 1 << 20, &err), err);
        check_jaeger(text.data, text.len, 5);
        write_all(in_folder(&path, "all.jsonl"), LOOM_FORMAT_OTLP, synthetic);
        loom_buf_reset(&text);
        REQUIRE_OK(loom_file_read(&text, path.data, 1 << 20, &err), err);
        for (size_t at = 0; at < text.len;) {
            size_t len = strcspn(text.data + at, "\n");
            check_otlp_line(text.data + at, len);
            at += len + 1;
        }
    }
    CHECK_I64(faults, 0);
    loom_buf_release(&path);
    loom_buf_release(&text);
}

/* Records -> one span format -> the other -> records: nothing is lost. */
TEST(spans_hold_the_whole_graph)
{
    loom_buf path = {0};

    for (int way = 0; way < 2; way++) {
        loom_source s = {0};
        taken t = {0};
        loom_err err = {0};
        write_all(in_folder(&path, "all"), way ? LOOM_FORMAT_OTLP : LOOM_FORMAT_JAEGER, true);
        REQUIRE_OK(read_all(&s, path.data, &t, &err), err);
        CHECK_I64(t.n, 5);
        for (int i = 0; i < 5; i++) CHECK(strstr(t.text.data, i < 2 ? records[i] : odd_records[i - 2]) != NULL);
        loom_buf_release(&t.text);
        loom_source_release(&s);
    }
    loom_buf_release(&path);
}

/* A name that is no UTF-8 still makes a document; times that spans cannot say are refused. */
TEST(odd_names_and_times)
{
    static const char bad_name[] = "00h00m00s000ms S_000000001 0|http|USER|a\xff|ARRIVED_0|RT_1";
    static const char early[] = "00h00m00s000ms S_000000001 0|http|USER|MS_00001|ARRIVED_-9|RT_1";
    loom_sink_conf conf = {.format = LOOM_FORMAT_JAEGER, .force = true, .epoch_ms = 1640995200000};
    loom_sink *k = NULL;
    loom_arena arena = {0};
    loom_graph g;
    loom_verdict why = {0};
    loom_source s = {0};
    taken t = {0};
    loom_buf path = {0};
    loom_err err = {0};

    REQUIRE(loom_record_read(&g, &why, bad_name, sizeof bad_name - 1, &arena));
    REQUIRE_OK(loom_sink_open(&k, in_folder(&path, "odd.json"), &conf, &err), err);
    REQUIRE_OK(loom_sink_put(k, &g, &err), err);
    REQUIRE_OK(loom_sink_commit(&k, NULL, NULL, &err), err);
    REQUIRE_OK(read_all(&s, path.data, &t, &err), err);
    CHECK(t.n == 1 && strstr(t.text.data, "|a?|") != NULL);
    REQUIRE(loom_record_read(&g, &why, early, sizeof early - 1, &arena));
    conf.epoch_ms = 0;
    REQUIRE_OK(loom_sink_open(&k, path.data, &conf, &err), err);
    CHECK(loom_sink_put(k, &g, &err) == LOOM_STATUS_ARG && strstr(err.msg, "-9 ms since 1970"));
    loom_sink_abandon(&k);
    loom_source_release(&s);
    loom_arena_release(&arena);
    loom_buf_release(&t.text);
    loom_buf_release(&path);
}

/* ---- documents made to hurt ---- */
#define SPAN(id, parent, start, duration)                                                                              \
    "{\"traceID\":\"t\",\"spanID\":\"" id "\",\"processID\":\"p\",\"startTime\":" start ",\"duration\":" duration      \
    ",\"references\":[{\"refType\":\"CHILD_OF\",\"spanID\":\"" parent "\"}]}"
#define JAEGER(spans) "{\"data\":[{\"processes\":{\"p\":{\"serviceName\":\"a\"}},\"spans\":[" spans "]}]}"
#define OTLP(spans)                                                                                                    \
    "{\"resourceSpans\":[{\"resource\":{\"attributes\":"                                                               \
    "[{\"key\":\"service.name\",\"value\":{\"stringValue\":\"a\"}}]},"                                                 \
    "\"scopeSpans\":[{\"spans\":[" spans "]}]}]}"
#define OSPAN(id, start, end)                                                                                          \
    "{\"traceId\":\"t\",\"spanId\":\"" id "\",\"startTimeUnixNano\":" start ",\"endTimeUnixNano\":" end "}"

static const struct {
    const char *text, *strict, *says; /* a piece of the error with `strict` (NULL: none), of the counts without */
    int64_t graphs;                   /* without */
} hostile[] = {
    {JAEGER(SPAN("1", "", "1e999", "1")), "not valid JSON", "NOT_JSON", 0},
    {JAEGER(SPAN("1", "", "99999999999999999999", "1")), "not valid JSON", "NOT_JSON", 0},
    {JAEGER(SPAN("1", "", "9223372036854775807", "9223372036854775807")), NULL, "1 spans left out because they end", 0},
    {JAEGER(SPAN("1", "", "1", "9007199254740993")), NULL, "1 spans left out because they end", 0},
    {JAEGER(SPAN("1", "", "-1", "1")), NULL, "1 spans left out because they end", 0},
    {JAEGER(SPAN("1", "", "5", "-1") "," SPAN("2", "", "5", "1")), NULL, "1 spans left out because they end", 1},
    {JAEGER(SPAN("1", "", "1.5e3", "2000.0")), NULL, "1 graphs", 1},
    {JAEGER(SPAN("1", "", "\"x\"", "1")), "has no start", "(NO_START, first: ", 0},
    {JAEGER(SPAN("1", "", "null", "1")), "has no start", "(NO_START, first: ", 0},
    {JAEGER(SPAN("1", "", "1", "null")), "has no end", "(NO_END, first: ", 0},
    {JAEGER(SPAN("1", "1", "1", "1")), NULL, "NO_ROOT", 0},
    {JAEGER(SPAN("1", "2", "1", "1") "," SPAN("2", "1", "1", "1")), NULL, "NO_ROOT", 0},
    {JAEGER(SPAN("0", "", "1", "1") "," SPAN("1", "2", "1", "1") "," SPAN("2", "1", "1", "1")), NULL,
     "2 spans left out below such", 1},
    {JAEGER(SPAN("1", "", "1", "1") "," SPAN("1", "", "1", "1")), NULL, "1 spans with an id that was there", 1},
    {JAEGER(SPAN("1", "", "1", "1") "," SPAN("2", "9", "1", "1")), NULL,
     "1 spans left out because their parent is missing", 1},
    {JAEGER(SPAN("1", "", "2", "1") "," SPAN("2", "", "1", "1")), NULL, "1 more first spans", 1},
    {JAEGER("null"), "without a trace id", "(NO_ID, first: ", 0},
    {JAEGER("7"), "without a trace id", "(NO_ID, first: ", 0},
    {JAEGER(""), NULL, "0 graphs", 0},
    {"{\"data\":[]}", NULL, "0 graphs", 0},
    {"{\"data\":{}}", "neither Jaeger", "NOT_SPANS", 0},
    {"{\"data\":[null]}", "without \"spans\"", "BAD_TRACE", 0},
    {"{\"data\":[{\"spans\":{},\"processes\":{}}]}", "without \"spans\"", "BAD_TRACE", 0},
    {"{\"data\":[{\"spans\":[{\"traceID\":\"t\",\"spanID\":\"1\",\"processID\":\"q\",\"startTime\":1,\"duration\":1}],"
     "\"processes\":{\"p\":{}}}]}",
     "names a process that has no serviceName", "(NO_SERVICE, first: ", 0},
    {"{\"data\":[],\"data\":[]}", "not valid JSON", "NOT_JSON", 0},
    {"{\"data\":\"\xff\"}", "not valid JSON", "NOT_JSON", 0},
    {"[[[[1]]]]", "neither Jaeger", "NOT_SPANS", 0},
    {"[]", NULL, "0 graphs", 0},
    {"{}", "neither Jaeger", "NOT_SPANS", 0},
    {OTLP(OSPAN("1", "\"2000000\"", "\"1000000\"")), NULL, "1 spans left out because they end", 0},
    {OTLP(OSPAN("1", "\"-5\"", "\"1000000\"")), NULL, "1 spans left out because they end", 0},
    {OTLP(OSPAN("1", "\"99999999999999999999\"", "\"1\"")), "has no start", "NO_START", 0},
    {OTLP(OSPAN("1", "1000000", "0")), "has no end", "NO_END", 0},
    {OTLP(OSPAN("1", "1000000", "3000000")), NULL, "1 graphs", 1},
    {OTLP("{\"traceId\":5}"), "without a trace id", "NO_ID", 0},
    {"{\"resourceSpans\":[null,7,{\"scopeSpans\":[null]}]}", NULL, "0 graphs", 0},
};

/* Every span is counted once, every call belongs to a span. */
static bool adds_up(const loom_span_counts *c)
{
    int64_t spans = c->call_spans + c->inside + loom_left_spans(&c->left), traces = c->graphs;

    for (int i = 0; i < LOOM_SPANS_FAULTS; i++) {
        spans += c->rejected_spans[i];
        traces += c->rejected[i];
    }
    return spans == c->spans && traces == c->traces && c->calls == c->call_spans + c->second_calls &&
           c->calls == c->callee_times + c->caller_times;
}

static bool hostile_as_told(size_t i, bool strict, const char *path)
{
    loom_source s = {.strict = strict};
    taken t = {0};
    loom_err err = {0};
    loom_buf counts = {0};

    loom_status st = read_all(&s, path, &t, &err);
    loom_source_render_counts(&s, &counts);
    bool fails = strict && hostile[i].strict;
    const char *said = st == LOOM_OK ? counts.data : err.msg;
    bool good = fails ? st == LOOM_STATUS_FORMAT && strstr(said, hostile[i].strict) && strstr(said, path)
                      : st == LOOM_OK && t.n == hostile[i].graphs && strstr(said, hostile[i].says);
    good = good && t.invalid == 0 && (st != LOOM_OK || adds_up(&s.spans));
    if (!good) fprintf(stderr, "%s\n  gives %d graphs: %s\n", hostile[i].text, (int)t.n, said);
    loom_buf_release(&t.text);
    loom_buf_release(&counts);
    loom_source_release(&s);
    return good;
}

TEST(hostile_documents_get_a_sentence)
{
    loom_buf path = {0};

    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        loom_err err = {0};
        REQUIRE_OK(loom_file_write(in_folder(&path, "hostile"), hostile[i].text, strlen(hostile[i].text), true, &err),
                   err);
        CHECK(hostile_as_told(i, false, path.data));
        CHECK(hostile_as_told(i, true, path.data));
    }
    loom_buf_release(&path);
}

/* Brackets without end, and a call in a call in a call. */
TEST(bottomless_documents)
{
    loom_buf path = {0}, text = {0};
    loom_err err = {0};
    loom_source s = {0}, none = {.strict = true};
    taken t = {0};

    for (int i = 0; i < 200000; i++) loom_buf_char(&text, '[');
    REQUIRE_OK(loom_file_write(in_folder(&path, "deep"), text.data, text.len, true, &err), err);
    CHECK(read_all(&none, path.data, &t, &err) == LOOM_STATUS_FORMAT && strstr(err.msg, "not valid JSON"));
    loom_buf_reset(&text);
    loom_buf_str(
        &text, "{\"data\":[{\"processes\":{\"p0\":{\"serviceName\":\"a\"},\"p1\":{\"serviceName\":\"b\"}},\"spans\":[");
    for (int i = 1; i <= 1500; i++) {
        loom_buf_printf(&text,
                        "%s{\"traceID\":\"t\",\"spanID\":\"%d\",\"processID\":\"p%d\",\"startTime\":1,\"duration\":1",
                        i > 1 ? "," : "", i, i % 2);
        if (i > 1) loom_buf_printf(&text, ",\"references\":[{\"refType\":\"CHILD_OF\",\"spanID\":\"%d\"}]", i - 1);
        loom_buf_char(&text, '}');
    }
    loom_buf_str(&text, "]}]}");
    REQUIRE_OK(loom_file_write(path.data, text.data, text.len, true, &err), err);
    REQUIRE_OK(read_all(&s, path.data, &t, &err), err);
    CHECK_I64(t.n, 0);
    CHECK_I64(s.spans.rejected[LOOM_SPANS_TOO_LARGE], 1);
    CHECK_I64(s.spans.rejected_spans[LOOM_SPANS_TOO_LARGE], 1500);
    loom_source_release(&s);
    loom_source_release(&none);
    loom_buf_release(&t.text);
    loom_buf_release(&path);
    loom_buf_release(&text);
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
            b->data[loom_rng_below(r, b->len)] =
                loom_rng_chance(r, 0.8) ? likely[loom_rng_below(r, sizeof likely - 1)] : (char)loom_rng_u64(r);
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
            loom_source s = {.strict = round % 2};
            taken t = {0};
            err = (loom_err){0};
            loom_buf_reset(&hurt);
            loom_buf_append(&hurt, whole.data, whole.len);
            damage(&hurt, &r);
            REQUIRE_OK(loom_file_write(in_folder(&path, "hurt"), hurt.data, hurt.len, true, &err), err);
            loom_status st = read_all(&s, path.data, &t, &err);
            if (st != LOOM_OK) CHECK(err.msg[0] != 0);
            CHECK_I64(t.invalid, 0);
            if (st == LOOM_OK) CHECK(adds_up(&s.spans));
            read += st == LOOM_OK;
            refused += st != LOOM_OK || s.spans.left.n[LOOM_LEFT_NOT_JSON];
            loom_buf_release(&t.text);
            loom_source_release(&s);
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
        REQUIRE_OK(loom_spans_add_text(&spans, text.data, text.len, "trace", &err), err);
        REQUIRE_OK(loom_spans_graphs(&spans, take, &t, &counts, &err), err);
        loom_spans_release(&spans);
    }
    CHECK_I64(t.invalid, 0);
    CHECK(t.n > 50);
    CHECK_I64(counts.graphs, t.n);
    CHECK_I64(counts.traces, 300);
    CHECK(adds_up(&counts));
    const int64_t *left = counts.left.n;
    CHECK(left[LOOM_LEFT_ORPHAN] > 0 && left[LOOM_LEFT_REPEATED_ID] > 0 && left[LOOM_LEFT_BELOW] > 0);
    loom_span_counts_release(&counts);
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
              RUN(tangled_traces_do_no_harm) RUN(files_keep_to_the_published_formats) RUN(spans_hold_the_whole_graph)
                  RUN(odd_names_and_times) RUN(hostile_documents_get_a_sentence) RUN(bottomless_documents) sweep();)
