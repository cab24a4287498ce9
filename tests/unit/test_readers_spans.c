/* Spans of other systems to calls: ids, who is called, whose times, what damaged spans cost. */
#include "test.h"

#include "readers/spans/span_attributes.h"
#include "readers/spans/span_ids.h"
#include "readers/spans/spans.h"
#include "trace/graph/record.h"

TEST(ids_are_numbers)
{
    static const char *const pairs[][2] = {
        {"00000000000000001f", "1f"},
        {"AbCdEf", "abcdef"},
        {"0", ""},
        {"0000000000000000", ""},
        {"", ""},
        {"t1", "t1"},
        {"Zz", "Zz"},
        {"AAAAAAAAAAE=", "1"},
        {"W47/95gDgQM", "5b8efff798038103"},
        {"AAAAAAAAAAA=", ""},
        {"x=", "x="},
        {"AAAAAAAAAAAAAAAAAAAAAQ==", "1"},
        {"W47/95gDgQPSabYzgT/GDA", "5b8efff798038103d269b633813fc60c"},
        {"W47_95gDgQM=", "5b8efff798038103"},
        {"W47/95gDgQPSabYzgT/GDA==", "5b8efff798038103d269b633813fc60c"},
    };
    loom_arena arena = {0};

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const char *id = loom_span_id(&arena, pairs[i][0]);
        if (strcmp(id, pairs[i][1]) != 0) fprintf(stderr, "%s gives %s\n", pairs[i][0], id);
        CHECK(strcmp(id, pairs[i][1]) == 0);
    }
    CHECK(loom_span_id(&arena, NULL)[0] == 0);
    loom_arena_release(&arena);
}

/* "key=value key=value" in both orders: who is called and how. */
static bool means(loom_span_kind kind, const char *attributes, const char *callee, loom_call_type type)
{
    loom_arena arena = {0};
    bool good = true;

    for (int way = 0; way < 2; way++) {
        loom_span s = {
            .callee = "", .type = LOOM_CALL_TYPES, .kind = kind, .edge_id = "", .caller = "", .service_id = ""};
        char text[256], *parts[8];
        int n = 0;
        snprintf(text, sizeof text, "%s", attributes);
        char *rest = text;
        for (char *part; (part = strsep(&rest, " ")) && n < 8;) parts[n++] = part;
        for (int i = 0; i < n; i++) {
            char *value = parts[way ? n - 1 - i : i], *key = strsep(&value, "=");
            loom_span_attribute(&s, key, value, &arena);
            value[-1] = '=';
        }
        loom_span_settle(&s);
        good = good && strcmp(s.callee, callee) == 0 && s.type == type;
        if (!good) fprintf(stderr, "%s: calls \"%s\" by %s\n", attributes, s.callee, loom_call_type_name(s.type));
    }
    loom_arena_release(&arena);
    return good;
}

TEST(attributes_old_and_new)
{
    const loom_span_kind client = LOOM_SPAN_CLIENT, producer = LOOM_SPAN_PRODUCER;

    CHECK(means(client, "http.url=http://user:secret@cart:8080/x?y", "cart", LOOM_CALL_HTTP));
    CHECK(
        means(client, "url.full=https://[2001:db8::1]:8443/x http.request.method=GET", "2001:db8::1", LOOM_CALL_HTTP));
    CHECK(means(client, "url.full=http://a@b@cart/#x", "cart", LOOM_CALL_HTTP));
    CHECK(means(client, "server.address=cart:80 network.peer.address=10.0.0.7", "cart", LOOM_CALL_TYPES));
    CHECK(means(client, "server.address=2001:db8::1", "2001:db8::1", LOOM_CALL_TYPES));
    CHECK(means(client, "network.peer.address=10.0.0.7 rpc.system.name=grpc", "10.0.0.7", LOOM_CALL_RPC));
    CHECK(means(client, "net.sock.peer.name=cart net.sock.peer.addr=10.0.0.7 rpc.method=Get", "cart", LOOM_CALL_RPC));
    CHECK(means(client, "db.system.name=postgresql server.address=pg-main", "postgresql", LOOM_CALL_DB));
    CHECK(means(client, "db.system=redis peer.service=cache", "cache", LOOM_CALL_MC));
    CHECK(means(client, "http.method=POST db.system=elasticsearch url.full=http://es:9200/", "elasticsearch",
                LOOM_CALL_DB));
    CHECK(means(producer, "messaging.system=kafka messaging.destination.name=orders server.address=b1", "orders",
                LOOM_CALL_MQ));
    CHECK(means(producer, "messaging.system=kafka server.address=b1", "kafka", LOOM_CALL_MQ));
    CHECK(means(producer, "server.address=b1", "b1", LOOM_CALL_MQ));
    CHECK(means(LOOM_SPAN_CONSUMER, "messaging.destination.name=orders", "", LOOM_CALL_MQ));
    CHECK(means(LOOM_SPAN_INTERNAL, "messaging.destination.name=orders", "", LOOM_CALL_MQ));
    CHECK(means(LOOM_SPAN_INTERNAL, "db.system=mysql", "mysql", LOOM_CALL_DB));
    CHECK(means(LOOM_SPAN_SERVER, "peer.service=cart http.host=shop:80", "", LOOM_CALL_HTTP));
    CHECK(means(LOOM_SPAN_OTHER, "server.address=cart", "", LOOM_CALL_TYPES));
    CHECK(loom_span_kind_of("SPAN_KIND_CLIENT") == client && loom_span_kind_of("client") == client);
    CHECK(loom_span_kind_of("CLIENT") == client && loom_span_kind_of("3") == client);
    CHECK(loom_span_kind_of("33") == LOOM_SPAN_OTHER && loom_span_kind_of(NULL) == LOOM_SPAN_OTHER);
}

/* ---- spans of Zipkin are the shortest to write ---- */
#define SPAN(id, parent, kind, service, us, duration, more)                                                            \
    "{\"traceId\":\"7\",\"id\":\"" id "\",\"parentId\":\"" parent "\",\"kind\":\"" kind "\",\"name\":\"x\","           \
    "\"localEndpoint\":{\"serviceName\":\"" service "\"},\"timestamp\":" us ",\"duration\":" duration more "}"
#define REMOTE(name) ",\"remoteEndpoint\":{\"serviceName\":\"" name "\"}"
#define FRONT        SPAN("1", "", "SERVER", "f", "0", "90000", "")

static const struct {
    const char *spans, *calls, *says; /* the calls of the record, "" none; a piece of the reasons (NULL: none) */
} cases[] = {
    /* both sides of a call share an id; what hangs on it is the server's, or the client's in its own service */
    {FRONT "," SPAN("2", "1", "CLIENT", "f", "1000", "50000", "") "," SPAN(
         "2", "1", "SERVER", "g", "3000", "40000", ",\"shared\":true") "," SPAN("3", "2", "CLIENT", "g", "4000", "1000",
                                                                                REMOTE("h")) "," SPAN("4", "2", "", "f",
                                                                                                      "1500", "10", ""),
     "0|rpc|USER|f|ARRIVED_0|RT_90||0.1|rpc|f|g|ARRIVED_3|RT_40||0.1.1|rpc|g|h|ARRIVED_4|RT_1", NULL},
    {FRONT
     "," SPAN("2", "1", "SERVER", "g", "3000", "40000", "") "," SPAN("2", "1", "CLIENT", "f", "1000", "50000", ""),
     "0|rpc|USER|f|ARRIVED_0|RT_90||0.1|rpc|f|g|ARRIVED_3|RT_40", NULL},
    {FRONT "," SPAN("2", "1", "CLIENT", "f", "1000", "50000", REMOTE("g")) "," SPAN("2", "1", "CLIENT", "f", "1000",
                                                                                    "50000", ""),
     "0|rpc|USER|f|ARRIVED_0|RT_90||0.1|rpc|f|g|ARRIVED_1|RT_50", "REPEATED_ID"},
    /* what a client does within its service is no call back */
    {FRONT
     "," SPAN("2", "1", "CLIENT", "f", "1000", "50000", REMOTE("g")) "," SPAN("3", "2", "", "f", "2000", "1000", ""),
     "0|rpc|USER|f|ARRIVED_0|RT_90||0.1|rpc|f|g|ARRIVED_1|RT_50", NULL},
    {FRONT "," SPAN("2", "1", "CLIENT", "f", "1000", "50000", REMOTE("g")) "," SPAN(
         "3", "2", "", "f", "2000", "40000", "") "," SPAN("4", "3", "SERVER", "g", "3000", "30000", ""),
     "0|rpc|USER|f|ARRIVED_0|RT_90||0.1|rpc|f|g|ARRIVED_3|RT_30", NULL},
    /* the innermost of nested clients is the call */
    {FRONT "," SPAN("2", "1", "CLIENT", "f", "1000", "50000", REMOTE("store")) "," SPAN("3", "2", "CLIENT", "f", "2000",
                                                                                        "40000", REMOTE("s3")),
     "0|rpc|USER|f|ARRIVED_0|RT_90||0.1|rpc|f|s3|ARRIVED_2|RT_40", NULL},
    /* a callee that recorded only its own calls: one call, with the caller's times */
    {FRONT "," SPAN("2", "1", "CLIENT", "f", "1000", "50000",
                    "") "," SPAN("3", "2", "CLIENT", "g", "3000", "1000",
                                 REMOTE("h")) "," SPAN("4", "2", "CLIENT", "g", "5000", "1000", REMOTE("i")),
     "0|rpc|USER|f|ARRIVED_0|RT_90||0.1|rpc|f|g|ARRIVED_1|RT_50||0.1.1|rpc|g|h|ARRIVED_3|RT_1||0.1.2|rpc|g|i|ARRIVED_5|RT_1",
     NULL},
    /* a service that calls itself */
    {FRONT "," SPAN("2", "1", "CLIENT", "f", "1000", "50000", REMOTE("f")) "," SPAN(
         "3", "2", "SERVER", "f", "2000", "40000", "") "," SPAN("4", "3", "CLIENT", "f", "3000", "1000", REMOTE("h")),
     "0|rpc|USER|f|ARRIVED_0|RT_90||0.1|rpc|f|f|ARRIVED_2|RT_40||0.1.1|rpc|f|h|ARRIVED_3|RT_1", NULL},
    /* damaged spans, one below the other, in a loop, and the first one */
    {FRONT "," SPAN("2", "1", "", "f", "1000", "null", "") "," SPAN("3", "2", "", "f", "null", "1", "") "," SPAN(
         "4", "3", "SERVER", "g", "3000", "1000", ""),
     "0|rpc|USER|f|ARRIVED_0|RT_90||0.1|rpc|f|g|ARRIVED_3|RT_1", "NO_END"},
    {FRONT "," SPAN("2", "3", "", "f", "1000", "null", "") "," SPAN("3", "2", "", "f", "1000", "null", "") "," SPAN(
         "4", "3", "SERVER", "g", "3000", "1000", ""),
     "0|rpc|USER|f|ARRIVED_0|RT_90", "ORPHAN"},
    {SPAN("1", "", "SERVER", "f", "0", "null", "") "," SPAN("2", "1", "SERVER", "g", "3000", "1000", ""),
     "0|rpc|USER|g|ARRIVED_0|RT_1", "NO_END"},
    {SPAN("1", "", "SERVER", "f", "0", "null", "") "," SPAN("2", "1", "SERVER", "g", "3000", "1000",
                                                            "") "," SPAN("3", "1", "SERVER", "h", "5000", "1000", ""),
     "", "NO_END"},
    /* of several spans without a parent the earliest is the first span, wherever it stands */
    {SPAN("1", "", "SERVER", "g", "5000", "1000", "") "," SPAN("2", "", "SERVER", "f", "0", "90000", "") "," SPAN(
         "3", "2", "SERVER", "h", "1000", "1000", "") "," SPAN("4", "", "SERVER", "i", "7000", "1000", ""),
     "0|rpc|USER|f|ARRIVED_0|RT_90||0.1|rpc|f|h|ARRIVED_1|RT_1", "EXTRA_ROOT"},
    /* durations are rounded once, equal starts in ms go by their exact times, and what fits goes on fitting */
    {SPAN("1", "", "SERVER", "f", "400", "9600", "") "," SPAN("2", "1", "SERVER", "g", "1700", "1110",
                                                              "") "," SPAN("3", "1", "SERVER", "h", "1600", "100", ""),
     "0|rpc|USER|f|ARRIVED_0|RT_10||0.1|rpc|f|h|ARRIVED_1|RT_0||0.2|rpc|f|g|ARRIVED_1|RT_1", NULL},
    {SPAN("1", "", "SERVER", "f", "0", "9400", "") "," SPAN("2", "1", "SERVER", "g", "4600", "4800", ""),
     "0|rpc|USER|f|ARRIVED_0|RT_9||0.1|rpc|f|g|ARRIVED_4|RT_5", NULL},
    {SPAN("1", "", "SERVER", "f", "600", "9600", "") "," SPAN("2", "1", "SERVER", "g", "600", "9800", ""),
     "0|rpc|USER|f|ARRIVED_0|RT_10||0.1|rpc|f|g|ARRIVED_0|RT_10", NULL},
};

static loom_status take(void *arg, const loom_graph *g, loom_err *err)
{
    loom_buf line = {0};

    (void)err;
    loom_record_render(&line, g);
    loom_buf_str(arg, strchr(strchr(line.data, ' ') + 1, ' ') + 1);
    loom_buf_release(&line);
    return LOOM_OK;
}

TEST(spans_show_calls)
{
    loom_buf text = {0}, calls = {0}, reasons = {0};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        loom_spans s = {0};
        loom_span_counts c = {0};
        loom_err err = {0};
        loom_buf_reset(&text);
        loom_buf_reset(&calls);
        loom_buf_reset(&reasons);
        loom_buf_printf(&text, "[%s]", cases[i].spans);
        REQUIRE_OK(loom_spans_add_text(&s, text.data, text.len, "case", &err), err);
        REQUIRE_OK(loom_spans_graphs(&s, take, &calls, &c, &err), err);
        loom_left_render(&c.left, &reasons);
        bool good = strcmp(loom_buf_text(&calls), cases[i].calls) == 0 &&
                    (cases[i].says ? strstr(loom_buf_text(&reasons), cases[i].says) != NULL : reasons.len == 0);
        if (!good)
            fprintf(stderr, "%s\n  gives %s\n  and %s\n", text.data, loom_buf_text(&calls), loom_buf_text(&reasons));
        CHECK(good);
        int64_t spans = c.call_spans + c.inside + loom_left_spans(&c.left);
        for (int f = 0; f < LOOM_SPANS_FAULTS; f++) spans += c.rejected_spans[f];
        CHECK_I64(spans, c.spans);
        CHECK_I64(c.calls, c.call_spans + c.second_calls);
        loom_span_counts_release(&c);
        loom_spans_release(&s);
    }
    loom_buf_release(&text);
    loom_buf_release(&calls);
    loom_buf_release(&reasons);
}

/* Long chains of damaged spans, and many loops of them, take no longer than their length. */
TEST(many_damaged_spans)
{
    enum { N = 200000 };
    loom_buf text = {0}, calls = {0};
    loom_spans s = {0};
    loom_span_counts c = {0};
    loom_err err = {0};

    loom_buf_printf(&text, "[" FRONT);
    for (int i = 2; i < N; i++)
        loom_buf_printf(&text, ",{\"traceId\":\"7\",\"id\":\"%x\",\"parentId\":\"%x\"}", i, i < N / 2 ? i - 1 : i ^ 1);
    loom_buf_printf(&text, "," SPAN("f0000000", "%x", "SERVER", "g", "1000", "1000", "") "]", N / 2 - 1);
    REQUIRE_OK(loom_spans_add_text(&s, text.data, text.len, "case", &err), err);
    REQUIRE_OK(loom_spans_graphs(&s, take, &calls, &c, &err), err);
    CHECK(strcmp(loom_buf_text(&calls), "0|rpc|USER|f|ARRIVED_0|RT_90||0.1|rpc|f|g|ARRIVED_1|RT_1") == 0);
    CHECK_I64(c.left.n[LOOM_LEFT_NO_SERVICE], N - 2);
    loom_span_counts_release(&c);
    loom_spans_release(&s);
    loom_buf_release(&text);
    loom_buf_release(&calls);
}

/* A file of cut lines is read once, not once for each of them. */
TEST(many_cut_lines)
{
    enum { N = 100000 };
    loom_buf text = {0};
    loom_spans s = {0};
    loom_err err = {0};

    for (int i = 0; i < N; i++) loom_buf_str(&text, i % 2 ? "{\"data\":[\n" : "[{\"a\":\"b\n");
    loom_buf_str(&text, "[" FRONT "]");
    REQUIRE_OK(loom_spans_add_text(&s, text.data, text.len, "case", &err), err);
    CHECK_I64(s.left.n[LOOM_LEFT_NOT_JSON], N);
    CHECK_I64(s.n, 1);
    loom_spans_release(&s);
    loom_buf_release(&text);
}

TEST_MAIN(RUN(ids_are_numbers) RUN(attributes_old_and_new) RUN(spans_show_calls) RUN(many_damaged_spans)
              RUN(many_cut_lines))
