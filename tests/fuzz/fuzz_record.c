/* Any bytes as a record: no crash; what is read renders and reads back the same; a bad edge is explained. */
#include <stdlib.h>
#include <string.h>

#include "trace/graph/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) abort();
}

static void check_round_trip(const loom_graph *g, loom_arena *arena)
{
    loom_graph again;
    loom_verdict why, first = {0}, second = {0};
    loom_buf text = {0}, text_again = {0};
    loom_record_render(&text, g);
    must(loom_record_parse(&again, &why, text.data, text.len, arena));
    must(loom_graph_equal(g, &again));
    loom_record_render(&text_again, &again);
    must(strcmp(text.data, text_again.data) == 0);
    loom_graph_check(&first, g);
    loom_graph_check_repeated(&second, g, arena);
    must(first.n == second.n && memcmp(first.reasons, second.reasons, (size_t)(first.n < 256 ? first.n : 256)) == 0);
    loom_buf_release(&text);
    loom_buf_release(&text_again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    loom_arena arena = {0};
    loom_graph g;
    loom_verdict why;
    char *line = malloc(size ? size : 1); /* exactly as long as the input, so that reading on is seen */
    must(line != NULL);
    if (size) memcpy(line, data, size);
    bool parsed = loom_record_parse(&g, &why, line, size, &arena);
    must(parsed || why.n > 0);
    if (parsed && why.n == 0 && g.service[0]) check_round_trip(&g, &arena);
    if (!parsed && why.reasons[0] == LOOM_REASON_BAD_EDGE) {
        loom_buf text = {0};
        loom_record_explain_bad_edge(&text, line, size);
        must(text.len > 0);
        loom_buf_release(&text);
    }
    free(line);
    loom_arena_release(&arena);
    return 0;
}
