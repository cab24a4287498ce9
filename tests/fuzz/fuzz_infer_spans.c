/* Any bytes as Jaeger, OTLP or Zipkin documents: no crash; graphs that come out are valid, can be written as
 * records and read back, and survive the way into spans and back; every span is accounted for. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/fuzz_spans.h"
#include "infer/formats/graphsink.h"
#include "readers/files/graphsource.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct kept {
    loom_buf records;
    loom_sink *sink; /* NULL: none */
    int64_t n;
} kept;

static loom_status keep(void *arg, const loom_graph *g, loom_err *err)
{
    kept *k = arg;

    check_record(&k->records, g);
    k->n++;
    if (k->sink) loom_sink_put(k->sink, g, err);
    return LOOM_OK;
}

static void check_all_counts(const loom_span_counts *c, int64_t graphs)
{
    check_counts(c, graphs);
    must(c->calls == c->call_spans + c->second_calls && c->calls == c->callee_times + c->caller_times);
}

/* Writing a file and reading it costs more than all the rest. */
static void round_trip(const char *text, size_t len, bool otlp)
{
    loom_sink_conf conf = {.format = otlp ? LOOM_FORMAT_OTLP : LOOM_FORMAT_JAEGER, .force = true};
    char path[64];
    kept first = {.n = 0}, second = {.n = 0};
    loom_spans s = {0};
    loom_span_counts counts = {0};
    loom_source source = {.strict = true};
    loom_err err = {0};

    snprintf(path, sizeof path, "/dev/shm/loom-fuzz-spans-%d.json", (int)getpid());
    if (loom_sink_open(&first.sink, path, &conf, &err) != LOOM_OK) return;
    if (loom_spans_add_text(&s, text, len, "fuzz", &err) == LOOM_OK &&
        loom_spans_graphs(&s, keep, &first, &counts, &err) == LOOM_OK && loom_sink_count(first.sink) == first.n &&
        loom_sink_commit(&first.sink, NULL, NULL, &err) == LOOM_OK) {
        must(loom_source_read(&source, path, keep, &second, &err) == LOOM_OK);
        must(first.n == second.n);
    }
    loom_sink_abandon(&first.sink);
    unlink(path);
    loom_spans_release(&s);
    loom_span_counts_release(&counts);
    loom_source_release(&source);
    loom_buf_release(&first.records);
    loom_buf_release(&second.records);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    loom_spans s = {.cut_outliving = size % 2}, strict = {.strict = true};
    loom_span_counts counts = {0};
    kept k = {.n = 0};
    loom_err err = {0};

    must(loom_spans_add_text(&s, text, size, "fuzz", &err) == LOOM_OK);
    must(loom_spans_graphs(&s, keep, &k, &counts, &err) == LOOM_OK);
    check_all_counts(&counts, k.n);
    loom_status st = loom_spans_add_text(&strict, text, size, "fuzz", &err);
    must(st == LOOM_OK || strstr(err.msg, "fuzz:"));
    must(st != LOOM_OK || loom_left_spans(&s.left) == s.left.n[LOOM_LEFT_BAD_TIMES]);
    if (k.n && size % 16 == 0) round_trip(text, size, size % 32 == 0);
    loom_spans_release(&s);
    loom_spans_release(&strict);
    loom_span_counts_release(&counts);
    loom_buf_release(&k.records);
    return 0;
}
