#include "trace/text/widest.h"

#include "trace/text/grammar.h"

enum { WIDEST_MS = 99999999, WIDEST_COUNT = 9999, WIDEST_DEPTH = 99 };

static void put_line(loom_buf *into, loom_line line)
{
    loom_line_render(into, &line);
    loom_buf_char(into, '\n');
}

void loom_widest_edge(loom_buf *into)
{
    loom_edge_text e = {.edge_id = "0.99.99.99.99",
                        .type = loom_call_type_name(LOOM_CALL_HTTP),
                        .source = LOOM_WIDEST_NAME,
                        .destination = LOOM_WIDEST_NAME,
                        .start = WIDEST_MS,
                        .finish = WIDEST_MS,
                        .order = {LOOM_ITEM_FINISH, LOOM_ITEM_DESTINATION, LOOM_ITEM_TYPE, LOOM_ITEM_EDGE_ID,
                                  LOOM_ITEM_SOURCE, LOOM_ITEM_START},
                        .n_items = LOOM_ITEMS};
    loom_edge_render(into, &e);
    loom_buf_char(into, '\n');
}

static void put_attributes(loom_buf *into)
{
    loom_attrs a;
    loom_attrs_init(&a);
    a.id = "S_999999999";
    a.start_node = a.caller = LOOM_WIDEST_NAME;
    a.start_edge_id = "999";
    a.num_edges = a.num_current_edges = WIDEST_COUNT;
    a.num_subgraphs = a.remaining_depth = WIDEST_DEPTH;
    a.start = a.latency = WIDEST_MS;
    for (const uint8_t *which = loom_attrs_other; *which != LOOM_ATTRS; which++) loom_attrs_put(&a, (loom_attr)*which);
    loom_attrs_render(into, &a);
}

void loom_widest_sub(loom_buf *into)
{
    loom_buf_str(into, LOOM_TEXT_SUB_HEAD "\n");
    put_line(into, (loom_line){.kind = LOOM_LINE_SUB_NUM_EDGES, .num = {WIDEST_COUNT}});
    put_line(into, (loom_line){.kind = LOOM_LINE_SUB_DEPTH, .num = {WIDEST_DEPTH, WIDEST_DEPTH - 1}});
    put_line(into, (loom_line){.kind = LOOM_LINE_SUB_START_NODE, .name = {"99", LOOM_WIDEST_NAME}});
    loom_buf_str(into, LOOM_TEXT_SUB "99>");
    put_attributes(into);
    loom_buf_str(into, LOOM_TEXT_SUB_END "\n");
    put_line(into, (loom_line){.kind = LOOM_LINE_NOW_REMAINING, .num = {WIDEST_COUNT, WIDEST_COUNT, WIDEST_COUNT}});
    loom_buf_str(into, LOOM_TEXT_SUBS_NEXT "99");
}

void loom_widest_frame(loom_buf *into)
{
    loom_buf_str(into, LOOM_TEXT_LAYER "\n" LOOM_TEXT_EDGES "\n" LOOM_TEXT_EDGES_END "\n");
    put_line(into, (loom_line){.kind = LOOM_LINE_COUNTED, .name = {"9999", "9999"}, .num = {WIDEST_COUNT}});
    put_line(into, (loom_line){.kind = LOOM_LINE_OUT_OF, .num = {WIDEST_COUNT, WIDEST_COUNT}});
    put_line(into, (loom_line){.kind = LOOM_LINE_REMAINING, .num = {WIDEST_COUNT, WIDEST_COUNT, WIDEST_COUNT}});
    loom_buf_str(into, "\n" LOOM_TEXT_SUBS_OF "9999\n" LOOM_TEXT_DONE);
}
