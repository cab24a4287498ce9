/* Any bytes as OTLP in protobuf: no crash, graphs that come out are valid, every span is accounted for, and a message
 * in front of others changes nothing of theirs. */
#include <string.h>

#include "fuzz/fuzz_spans.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    loom_spans s = {.cut_outliving = size % 2}, strict = {.strict = true};
    loom_span_counts counts = {0};
    int64_t graphs = 0;
    loom_err err = {0};

    loom_spans_are_protobuf((const char *)data, size);
    must(loom_spans_add_protobuf(&s, data, size, "fuzz", &err) == LOOM_OK);
    must(loom_spans_graphs(&s, count_graph, &graphs, &counts, &err) == LOOM_OK);
    check_counts(&counts, graphs);
    loom_status st = loom_spans_add_protobuf(&strict, data, size, "fuzz", &err);
    must(st == LOOM_OK || strstr(err.msg, "fuzz, byte "));
    must(st != LOOM_OK || counts.left.n[LOOM_LEFT_NOT_PROTOBUF] == 0);
    loom_spans_release(&s);
    loom_spans_release(&strict);
    loom_span_counts_release(&counts);
    return 0;
}
