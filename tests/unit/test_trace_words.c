/* The words of the texts stand in one place: what else knows them, or is made of them, agrees with the grammar. */
#include "test.h"
#include "tokenizer/pretok.h"
#include "trace/text/grammar.h"
#include "trace/text/widest.h"

static const char *rendered(loom_buf *text, void (*render)(loom_buf *into))
{
    loom_buf_reset(text);
    render(text);
    return loom_buf_text(text);
}

/* The room that is reserved for an answer hangs on every byte of these. */
TEST(widest_parts)
{
    loom_buf text = {0};
    CHECK_STR(rendered(&text, loom_widest_edge),
              "(communication finishes at 99999999 milliseconds,destination is MS_999999999,type is http,edge_id is "
              "0.99.99.99.99,source is MS_999999999,communication starts at 99999999 milliseconds)\n");
    CHECK_STR(
        rendered(&text, loom_widest_sub),
        "Subgraph constraints:\nnum_edges <= num_remaining_edges:9999\nremaining_depth should be the requirement's "
        "remaining_depth:99 - 1 = 98\ncopy start_node from edge 99 destination: MS_999999999\n<subgraph of edge_id "
        "99>id:S_999999999/num_edges:9999/start_node:MS_999999999/start_edge_id:999/start_communication_at:99999999/"
        "latency:99999999/num_subgraphs:99/remaining_depth:99/num_current_edges:9999/caller:MS_999999999"
        "</subgraph>\nnow, num_remaining_edges is 9999 - 9999 = 9999\n,edge_id:99");
    CHECK_STR(
        rendered(&text, loom_widest_frame),
        "<layer>\n<edges>\n</edges>\nnum generated edges = the last edge id - the first edge id + 1 = 9999 - 9999 + "
        "1 = 9999\n9999 edges generated out of num_edges:9999\nnum_remaining_edges = num_edges:9999 - "
        "generated:9999 = 9999\n\ngenerate subgraphs of edge:9999\nfinish generation");
    loom_buf_release(&text);
}

TEST(items_begin_with_their_words_and_keys_are_names)
{
    for (int i = 0; i < LOOM_ITEMS; i++)
        CHECK_I64(strncmp(loom_line_templates[i], loom_item_words[i], strlen(loom_item_words[i])), 0);
    for (int i = 0; i < LOOM_ATTRS; i++) {
        size_t n = strlen(loom_attr_table[i].name);
        CHECK_I64(strncmp(loom_attr_table[i].key, loom_attr_table[i].name, n), 0);
        CHECK_STR(loom_attr_table[i].key + n, ":");
    }
}

static void count_piece(void *arg, const char *text, size_t start, size_t len)
{
    loom_buf_append(arg, text + start, len);
    loom_buf_char(arg, '|');
}

static void expect_pieces(const loom_pretok *p, loom_pretok_scratch *s, const char *text, const char *want)
{
    loom_buf pieces = {0};
    loom_pretok_run(p, s, text, strlen(text), count_piece, &pieces);
    CHECK_STR(loom_buf_text(&pieces), want);
    loom_buf_release(&pieces);
}

/* The pattern of the domain tokenizer spells call types, USER and " is " itself (it stands in tokenizer.json). */
TEST(the_pattern_knows_the_words_of_the_grammar)
{
    loom_pretok *p = NULL;
    loom_err err;
    loom_buf text = {0}, want = {0};
    REQUIRE_OK(loom_pretok_new(&p, LOOM_PATTERN_DOMAIN, &err), err);
    loom_pretok_scratch *s = loom_pretok_scratch_new(p);
    for (int t = 0; t <= LOOM_CALL_TYPES; t++) {
        const char *value = t < LOOM_CALL_TYPES ? loom_call_type_name((loom_call_type)t) : LOOM_TEXT_USER;
        size_t word = strcspn(loom_line_templates[LOOM_ITEM_TYPE], "@");
        loom_buf_reset(&text);
        loom_buf_reset(&want);
        loom_buf_printf(&text, "%.*s%s", (int)word, loom_line_templates[LOOM_ITEM_TYPE], value);
        loom_buf_printf(&want, "%.*s|%s|", (int)word, loom_line_templates[LOOM_ITEM_TYPE], value);
        expect_pieces(p, s, loom_buf_text(&text), loom_buf_text(&want));
    }
    for (int i = 0; i < LOOM_ATTRS; i++) {
        loom_buf_reset(&text);
        loom_buf_reset(&want);
        loom_buf_printf(&text, "%s7", loom_attr_table[i].key);
        loom_buf_printf(&want, "%s|7|", loom_attr_table[i].key);
        expect_pieces(p, s, loom_buf_text(&text), loom_buf_text(&want));
    }
    loom_buf_release(&text);
    loom_buf_release(&want);
    loom_pretok_scratch_free(s);
    loom_pretok_free(p);
}

TEST_MAIN(RUN(widest_parts) RUN(items_begin_with_their_words_and_keys_are_names)
              RUN(the_pattern_knows_the_words_of_the_grammar))
