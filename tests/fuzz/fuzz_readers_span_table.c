/* Any bytes as a table of spans: no crash, graphs that come out are valid, every span is accounted for. */
#include <string.h>

#include "fuzz/fuzz_spans.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    loom_spans s = {.cut_outliving = size % 2}, strict = {.strict = true};
    loom_span_counts counts = {0};
    int64_t graphs = 0;
    loom_err err = {0};

    if (loom_spans_are_table(text, size) && loom_spans_add_table(&s, text, size, "fuzz", &err) == LOOM_OK) {
        must(loom_spans_graphs(&s, count_graph, &graphs, &counts, &err) == LOOM_OK);
        check_counts(&counts, graphs);
        loom_status st = loom_spans_add_table(&strict, text, size, "fuzz", &err);
        must(st == LOOM_OK || strstr(err.msg, "fuzz:"));
        must(st != LOOM_OK || counts.left.n[LOOM_LEFT_BAD_ROW] == 0);
    }
    loom_spans_release(&s);
    loom_spans_release(&strict);
    loom_span_counts_release(&counts);
    return 0;
}
