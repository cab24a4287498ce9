#include "trace/text/phrases.h"

#include "trace/text/downstream_task.h"
#include "trace/text/grammar.h"

static void put_line(loom_buf *b, const char *text)
{
    loom_buf_str(b, text);
    loom_buf_char(b, '\n');
}

static void put_attributes(loom_buf *b)
{
    loom_attrs a;
    loom_attrs_init(&a);
    a.start_node = LOOM_TEXT_USER;
    a.caller = LOOM_TEXT_NO_CALLER;
    a.num_edges = a.remaining_depth = a.latency = a.start = a.num_subgraphs = a.num_current_edges = 0;
    for (int which = 0; which < LOOM_ATTRS; which++) loom_attrs_put(&a, (loom_attr)which);
    loom_attrs_render(b, &a);
}

/* An edge of each type: its last bracket takes the line end. */
static void put_edges(loom_buf *b)
{
    for (int type = 0; type < LOOM_CALL_TYPES; type++) {
        loom_edge_text e = {.edge_id = "0",
                            .type = loom_call_type_name((loom_call_type)type),
                            .source = LOOM_TEXT_USER,
                            .destination = LOOM_TEXT_USER,
                            .n_items = LOOM_ITEMS};
        for (int item = 0; item < LOOM_ITEMS; item++) e.order[item] = (uint8_t)item;
        loom_edge_render(b, &e);
        loom_buf_char(b, '\n');
    }
}

static void put_lines(loom_buf *b)
{
    for (int kind = LOOM_ITEMS; kind < LOOM_LINES; kind++) {
        if (kind == LOOM_LINE_LATENCY_FROM) continue; /* made of phrases of others, whose order it would change */
        loom_line line = {.kind = (loom_line_kind)kind, .name = {LOOM_TEXT_USER, LOOM_TEXT_USER, LOOM_TEXT_USER}};
        loom_line_render(b, &line);
        loom_buf_char(b, '\n');
    }
}

static void put_questions(loom_buf *b)
{
    static const char *const asked[] = {LOOM_TEXT_ASK_UNCOMMON, LOOM_TEXT_ASK_ATTRIBUTE, LOOM_TEXT_ASK_PARENT};
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        loom_buf_str(b, LOOM_TEXT_QUESTION);
        put_line(b, asked[i]);
    }
    loom_buf_str(b, LOOM_TEXT_QUESTION); /* a question that begins with its attributes */
    put_attributes(b);
    put_line(b, "\n" LOOM_TEXT_ASK_CHILD);
    put_line(b, "(" LOOM_TEXT_MISSING ")");
    put_line(b, LOOM_TEXT_YES);
    put_line(b, LOOM_TEXT_NO);
}

void loom_phrases_render(loom_buf *into)
{
    loom_buf_str(into, LOOM_TEXT_GENERATE);
    put_attributes(into);
    put_line(into, "\n" LOOM_TEXT_LAYER "\n" LOOM_TEXT_LAYER_END "\n" LOOM_TEXT_SPLIT "\n" LOOM_TEXT_SPLIT_END);
    put_line(into, LOOM_TEXT_EDGES);
    put_edges(into);
    put_line(into, LOOM_TEXT_EDGES_END);
    loom_buf_str(into, LOOM_TEXT_SUB "0>");
    put_attributes(into);
    put_line(into, LOOM_TEXT_SUB_END);
    put_line(into, LOOM_TEXT_QUESTION LOOM_TEXT_SYSTEM "\n" LOOM_TEXT_REQUIREMENTS "\n" LOOM_TEXT_CONDITIONS);
    put_line(into, LOOM_TEXT_ANSWER "\n" LOOM_TEXT_FINISH);
    put_lines(into);
    put_line(into, LOOM_TEXT_SUBS_OF "0" LOOM_TEXT_SUBS_NEXT "0\n" LOOM_TEXT_SUB_HEAD "\n" LOOM_TEXT_DONE);
    put_questions(into);
}
