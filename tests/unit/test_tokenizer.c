/* Pieces, merging, loading, encoding and decoding, on small tokenizers made here. Longer than most: all of it needs
 * the small tokenizers. */
#include "core/buf.h"
#include "core/rng.h"
#include "test.h"
#include "tokenizer/bpe.h"
#include "tokenizer/pretok.h"
#include "tokenizer/tokenizer.h"

/* ---- cutting into pieces ---- */

static void note_cut(void *arg, const char *text, size_t start, size_t len)
{
    (void)text;
    loom_buf_printf(arg, "%zu+%zu ", start, len);
}

static void show_piece(void *arg, const char *text, size_t start, size_t len)
{
    if (((loom_buf *)arg)->len) loom_buf_char(arg, '|');
    loom_buf_append(arg, text + start, len);
}

/* Random text out of fragments that make the alternatives of the patterns meet. */
static void random_text(loom_buf *text, loom_rng *rng, bool ascii)
{
    static const char *const parts[] = {"MS_12",
                                        "S_000000012",
                                        "S_",
                                        "_",
                                        " is ",
                                        "is ",
                                        " i",
                                        "s ",
                                        "USER",
                                        "http",
                                        "rpc",
                                        "mc",
                                        "mq",
                                        "db",
                                        ":",
                                        ": ",
                                        "id:",
                                        "num_edges:",
                                        "<",
                                        "</",
                                        "layer",
                                        ">",
                                        ")\n",
                                        "\n",
                                        "(",
                                        ")",
                                        ",",
                                        "/",
                                        " ",
                                        "  ",
                                        "\t",
                                        "\r\n",
                                        "\r",
                                        "'s",
                                        "'LL",
                                        "'re",
                                        "'",
                                        "abc",
                                        "X",
                                        "9",
                                        "123",
                                        "a_b",
                                        "-",
                                        ".",
                                        "!",
                                        "\x0b",
                                        "\x0c",
                                        "\x1c",
                                        "\x7f",
                                        "### Answer: ",
                                        "=",
                                        "edge_id is ",
                                        "start_edge_id:",
                                        "of edge_id ",
                                        "from edge ",
                                        "edge:",
                                        "12",
                                        "\xC3\xA9",
                                        "\xE4\xB8\xAD",
                                        "\xF0\x9F\x99\x82",
                                        "\xC2\xA0",
                                        "\xE2\x80\xA8",
                                        "\xC5\xBF",
                                        "'\xC5\xBF",
                                        "\xC2\xB2",
                                        "\xE2\x96\x81"};
    size_t n_ascii = 57, n_all = sizeof parts / sizeof *parts, n = loom_rng_below(rng, 20);
    loom_buf_reset(text);
    for (size_t i = 0; i < n; i++) {
        if (loom_rng_chance(rng, 0.3)) loom_buf_char(text, (char)loom_rng_below(rng, 128));
        else loom_buf_str(text, parts[loom_rng_below(rng, ascii ? n_ascii : n_all)]);
    }
}

static void compare_matchers(const char *pattern, bool ascii)
{
    loom_err err = {0};
    loom_pretok *p = NULL;
    loom_rng rng;
    loom_buf text = {0}, fast = {0}, slow = {0};
    int differ = 0;

    REQUIRE_OK(loom_pretok_new(&p, pattern, &err), err);
    loom_pretok_scratch *s = loom_pretok_scratch_new(p);
    loom_rng_seed(&rng, 7, pattern, ascii);
    for (int i = 0; i < 100000; i++) {
        random_text(&text, &rng, ascii);
        loom_buf_reset(&fast);
        loom_buf_reset(&slow);
        loom_pretok_run(p, s, loom_buf_text(&text), text.len, note_cut, &fast);
        loom_pretok_run_pcre2(p, s, loom_buf_text(&text), text.len, note_cut, &slow);
        test_checks_++;
        if (strcmp(loom_buf_text(&fast), loom_buf_text(&slow)) != 0 && differ++ < 5)
            TEST_FAIL_("\"%s\" is cut %s, PCRE2 cuts %s", loom_buf_text(&text), loom_buf_text(&fast),
                       loom_buf_text(&slow));
    }
    loom_buf_release(&text);
    loom_buf_release(&fast);
    loom_buf_release(&slow);
    loom_pretok_scratch_free(s);
    loom_pretok_free(p);
}

TEST(llama3_matcher_equals_pcre2) { compare_matchers(LOOM_PATTERN_LLAMA3, true); }
TEST(domain_matcher_equals_pcre2)
{
    compare_matchers(LOOM_PATTERN_DOMAIN, true);
    compare_matchers(LOOM_PATTERN_DOMAIN, false);
}

TEST(domain_pieces)
{
    static const char *const cases[][2] = {
        {"(edge_id is 0.12,type is rpc,source is USER)\n",
         "(|edge_id is |0|.|1|2|,|type is |rpc|,|source is |USER|)\n"},
        {"destination is MS_63670,communication starts at 15 milliseconds)",
         "destination is |MS_63670|,|communication starts at |1|5| milliseconds|)"},
        {"latency:8/id:S_000034483\n<layer>\n<edges>", "latency:|8|/|id:|S_000034483|\n|<layer>|\n|<edges>"},
        {"<subgraph of edge_id 3>num_edges:6/", "<subgraph of edge_id |3|>|num_edges:|6|/"},
        {"(edge_id is 17,type is", "(|edge_id is |1|7|,|type is"},
        {"/start_edge_id:12/num_edges:12", "/|start_edge_id:|1|2|/|num_edges:|1|2"},
        {"of edge:10,edge_id:21\n", "of |edge:|1|0|,|edge_id:|2|1|\n"},
        {"from edge 17 destination: MS_1", "from edge |1|7| |destination: |MS_1"},
        {"<subgraph of edge_id 99>", "<subgraph of edge_id |9|9|>"},
        {"edge_id is 100,", "edge_id is |1|0|0|,"},
        {"2 edges generated out of num_edges:57\n", "2| edges generated out of |num_edges:|5|7|\n"},
        {"Include an edge from MS_1 to MS_2 with db type", "Include an edge from |MS_1| to |MS_2| with |db| type"},
        {"start <= finish", "start |<= finish"},
        {"xMS_1 MS_x rpcs", "xMS_|1| MS_x rpcs"},
        {"<<a>", "<|<a>"},
    };
    loom_err err = {0};
    loom_pretok *p = NULL;
    REQUIRE_OK(loom_pretok_new(&p, LOOM_PATTERN_DOMAIN, &err), err);
    loom_pretok_scratch *s = loom_pretok_scratch_new(p);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        loom_buf got = {0};
        loom_pretok_run(p, s, cases[i][0], strlen(cases[i][0]), show_piece, &got);
        CHECK_STR(loom_buf_text(&got), cases[i][1]);
        loom_buf_release(&got);
    }
    loom_pretok_scratch_free(s);
    loom_pretok_free(p);
}

TEST(other_patterns)
{
    loom_err err = {0};
    loom_pretok *p = NULL;
    loom_buf got = {0};
    REQUIRE_OK(loom_pretok_new(&p, "b*", &err), err); /* matches nothing at most places */
    loom_pretok_scratch *s = loom_pretok_scratch_new(p);
    loom_pretok_run(p, s,
                    "aab\xC3\xA9"
                    "bbc",
                    8, show_piece, &got);
    CHECK_STR(loom_buf_text(&got), "aa|b|\xC3\xA9|bb|c");
    loom_pretok_scratch_free(s);
    loom_pretok_free(p);
    CHECK(loom_pretok_new(&p, "(a", &err) == LOOM_STATUS_FORMAT && strstr(err.msg, "(a"));
    REQUIRE_OK(loom_pretok_new(&p, "(?:a+)+$", &err), err); /* never ends on its own */
    s = loom_pretok_scratch_new(p);
    loom_buf_reset(&got);
    loom_pretok_run(p, s, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", 41, note_cut, &got);
    CHECK_STR(loom_buf_text(&got), "0+41 ");
    loom_pretok_scratch_free(s);
    loom_pretok_free(p);
    loom_buf_release(&got);
}

/* ---- merging ---- */

TEST(short_and_long_merging_agree)
{
    enum { IDS = 40 };
    loom_rng rng;
    loom_buf work = {0};
    loom_rng_seed(&rng, 3, "merging", 0);
    for (int round = 0; round < 3000; round++) {
        loom_merge_map rules = {0};
        loom_symbol a[LOOM_BPE_SHORT], b[LOOM_BPE_SHORT];
        REQUIRE(loom_merge_map_init(&rules, 60));
        for (uint32_t rank = 0; rank < 60; rank++)
            loom_merge_map_put(&rules, (int32_t)loom_rng_below(&rng, IDS), (int32_t)loom_rng_below(&rng, IDS), rank,
                               (int32_t)loom_rng_below(&rng, IDS));
        int64_t n = 1 + (int64_t)loom_rng_below(&rng, LOOM_BPE_SHORT);
        for (int64_t i = 0; i < n; i++) a[i] = b[i] = (loom_symbol){(int32_t)loom_rng_below(&rng, 6), 1};
        int64_t na = loom_bpe_merge_short(a, n, &rules), nb = loom_bpe_merge_long(b, n, &rules, &work);
        CHECK(na == nb && memcmp(a, b, (size_t)na * sizeof *a) == 0);
        loom_merge_map_release(&rules);
    }
    loom_buf_release(&work);
}

/* ---- a Llama-2 style tokenizer of a few tokens ---- */

#define BLANK "\xE2\x96\x81"

/* extra: members put in place of normalizer and pre_tokenizer */
static void char_json(loom_buf *json, const char *extra)
{
    static const char *const tokens[] = {BLANK,
                                         "a",
                                         "b",
                                         "c",
                                         "\xC3\xA9",
                                         BLANK "a",
                                         "ab",
                                         BLANK "ab",
                                         "bc",
                                         "abc",
                                         "\xC3\xA9"
                                         "a",
                                         BLANK BLANK,
                                         "1"};
    loom_buf_printf(json, "{\"added_tokens\":[");
    for (int i = 0; i < 3; i++)
        loom_buf_printf(json, "%s{\"id\":%d,\"content\":\"%s\",\"special\":true,\"normalized\":false}", i ? "," : "", i,
                        (const char *[]){"<unk>", "<s>", "</s>"}[i]);
    loom_buf_printf(json,
                    "],%s,\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":"
                    "{\"String\":\"" BLANK "\"},\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},"
                    "{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}]},"
                    "\"model\":{\"type\":\"BPE\",\"unk_token\":\"<unk>\",\"byte_fallback\":true,\"vocab\":"
                    "{\"<unk>\":0,\"<s>\":1,\"</s>\":2",
                    extra);
    for (int b = 0; b < 256; b++) loom_buf_printf(json, ",\"<0x%02X>\":%d", (unsigned)b, 3 + b);
    for (int i = 0; i < 13; i++) loom_buf_printf(json, ",\"%s\":%d", tokens[i], 259 + i);
    loom_buf_printf(json, "},\"merges\":[\"a b\",\"b c\",\"" BLANK " a\",\"" BLANK " ab\",[\"a\",\"bc\"],"
                          "\"\xC3\xA9 a\",\"" BLANK " " BLANK "\"]}}");
}

static const char legacy[] = "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":"
                             "\"" BLANK "\"},{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"" BLANK
                             "\"}]},\"pre_tokenizer\":null";
#define METASPACE(scheme, split)                                                                                       \
    "\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"" BLANK                           \
    "\",\"prepend_scheme\":\"" scheme "\",\"split\":" split "}"

static loom_tokenizer *char_tokenizer(const char *extra)
{
    loom_buf json = {0};
    loom_err err = {0};
    loom_tokenizer *tok = NULL;
    char_json(&json, extra);
    if (loom_tokenizer_parse(&tok, json.data, json.len, "small.json", &err) != LOOM_OK) TEST_FAIL_("%s", err.msg);
    loom_buf_release(&json);
    return tok;
}

/* The tokens of a text as "spelling@offset ..." */
static const char *encoded(loom_buf *into, const loom_tokenizer *tok, const char *text, size_t len, unsigned flags)
{
    loom_tokens t = {.with_offsets = true};
    loom_tok_scratch *scratch = loom_tok_scratch_new(tok);
    loom_buf_reset(into);
    for (int round = 0; round < 2; round++) { /* the second time from the cache */
        loom_tokens_reset(&t);
        loom_tokenizer_encode(&t, tok, scratch, text, len, flags);
    }
    for (int64_t i = 0; i < t.n; i++)
        loom_buf_printf(into, "%s%s@%" PRId64, i ? " " : "", loom_tokenizer_text(tok, t.ids[i]), t.offsets[i]);
    loom_tok_scratch_free(scratch);
    loom_tokens_release(&t);
    return loom_buf_text(into);
}

#define CHECK_ENCODED(tok, text, flags, want) CHECK_STR(encoded(&got, tok, text, sizeof(text) - 1, flags), want)

TEST(characters_with_fallback)
{
    loom_buf got = {0};
    loom_tokenizer *tok = char_tokenizer(legacy);
    REQUIRE(tok);
    CHECK_ENCODED(tok, "", 0, "");
    CHECK_ENCODED(tok, "abc", 0, BLANK "ab@0 c@2");
    CHECK_ENCODED(tok, "abc", LOOM_ENCODE_CONTINUE, "ab@0 c@2");
    CHECK_ENCODED(tok, "bc bc", LOOM_ENCODE_CONTINUE, "bc@0 " BLANK "@2 bc@3");
    CHECK_ENCODED(tok, " a", 0, BLANK "@0 " BLANK "a@0");
    CHECK_ENCODED(tok,
                  "\xC3\xA9"
                  "a\n\xF0\x9F\x99\x82",
                  0,
                  BLANK "@0 \xC3\xA9"
                        "a@0 <0x0A>@3 <0xF0>@4 <0x9F>@5 <0x99>@6 <0x82>@7");
    CHECK_ENCODED(tok, "a\xC3", 0, BLANK "a@0 <0xC3>@1");
    CHECK_ENCODED(tok, "a<s>b</s>", 0, BLANK "a@0 <s>@1 " BLANK "@4 b@4 </s>@5");
    CHECK_ENCODED(tok, "<s>", LOOM_ENCODE_PLAIN, BLANK "@0 <0x3C>@0 <0x73>@1 <0x3E>@2");
    CHECK_I64(loom_tokenizer_vocab_size(tok), 272);
    CHECK_I64(loom_tokenizer_bos(tok), 1);
    CHECK_I64(loom_tokenizer_eos(tok), 2);
    CHECK_I64(loom_tokenizer_unk(tok), 0);
    CHECK_I64(loom_tokenizer_find(tok, "<0x0A>", 6), 13);
    CHECK_I64(loom_tokenizer_find(tok, "nothing", 7), -1);
    CHECK(loom_tokenizer_text(tok, 272) == NULL && loom_tokenizer_text(tok, -1) == NULL);
    loom_tokenizer_free(tok);
    loom_buf_release(&got);
}

TEST(metaspace_schemes)
{
    loom_buf got = {0};
    loom_tokenizer *always = char_tokenizer(METASPACE("always", "false")),
                   *first = char_tokenizer(METASPACE("first", "true"));
    loom_tokenizer *never = char_tokenizer(METASPACE("never", "false"));
    REQUIRE(always && first && never);
    CHECK_ENCODED(always, "a<s>b", 0, BLANK "a@0 <s>@1 " BLANK "@4 b@4");
    CHECK_ENCODED(always, " a", 0, BLANK "a@0");
    CHECK_ENCODED(always, "  a", 0, BLANK "@0 " BLANK "a@1");
    CHECK_ENCODED(always, "b  ", 0, BLANK "@0 b@0 " BLANK BLANK "@1");
    CHECK_ENCODED(first, "b  ", 0, BLANK "@0 b@0 " BLANK "@1 " BLANK "@2");
    CHECK_ENCODED(first, "a<s>b", 0, BLANK "a@0 <s>@1 b@4");
    CHECK_ENCODED(first, "<s>b", 0, "<s>@0 b@3");
    CHECK_ENCODED(never, "a<s>b", 0, "a@0 <s>@1 b@4");
    loom_tokenizer_free(always);
    loom_tokenizer_free(first);
    loom_tokenizer_free(never);
    loom_buf_release(&got);
}

/* Of two added tokens that begin alike the longer one counts. */
TEST(longest_added_token)
{
    loom_buf json = {0}, got = {0};
    loom_err err = {0};
    loom_tokenizer *tok = NULL;
    char_json(&json, METASPACE("never", "false"));
    for (char *at = json.data; (at = strstr(at, "</s>")) != NULL;) memcpy(at, "<s>a", 4);
    REQUIRE_OK(loom_tokenizer_parse(&tok, json.data, json.len, "small", &err), err);
    CHECK_ENCODED(tok, "<s><s>ab<s", 0, "<s>@0 <s>a@3 b@7 <0x3C>@8 <0x73>@9");
    loom_tokenizer_free(tok);
    loom_buf_release(&json);
    loom_buf_release(&got);
}

/* Cutting where no token reaches over must not change what merging the whole text gives. */
TEST(cutting_equals_merging_whole)
{
    static const char *const parts[] = {"a", "b", "c", " ", "\xC3\xA9", "1", "\n", "ab", "\xC3"};
    loom_tokenizer *tok = char_tokenizer(METASPACE("never", "false"));
    loom_tok_scratch *scratch = loom_tok_scratch_new(tok);
    loom_merge_map rules = {0};
    static const char *const merges[][3] = {{"a", "b", "ab"},
                                            {"b", "c", "bc"},
                                            {BLANK, "a", BLANK "a"},
                                            {BLANK, "ab", BLANK "ab"},
                                            {"a", "bc", "abc"},
                                            {"\xC3\xA9", "a",
                                             "\xC3\xA9"
                                             "a"},
                                            {BLANK, BLANK, BLANK BLANK}};
    loom_rng rng;
    loom_buf text = {0}, work = {0};
    loom_rng_seed(&rng, 5, "cutting", 0);
    REQUIRE(loom_merge_map_init(&rules, 7));
    for (uint32_t r = 0; r < 7; r++) {
        int32_t id[3];
        for (int k = 0; k < 3; k++) id[k] = loom_tokenizer_find(tok, merges[r][k], strlen(merges[r][k]));
        loom_merge_map_put(&rules, id[0], id[1], r, id[2]);
    }
    for (int round = 0; round < 2000; round++) {
        loom_symbol whole[200];
        loom_tokens t = {0};
        int64_t n = 0;
        loom_buf_reset(&text);
        for (uint64_t k = loom_rng_below(&rng, 60); k > 0; k--) {
            const char *part = parts[loom_rng_below(&rng, 9)];
            loom_buf_str(&text, part);
            for (const char *c = part; *c; c++) {
                int32_t id = *c == ' ' ? loom_tokenizer_find(tok, BLANK, 3) : loom_tokenizer_find(tok, c, 1);
                if (strcmp(part, "\xC3\xA9") == 0) id = loom_tokenizer_find(tok, part, 2), c++;
                if (id < 0) id = 3 + (unsigned char)*c;
                whole[n++] = (loom_symbol){id, 1};
            }
        }
        n = loom_bpe_merge_long(whole, n, &rules, &work);
        loom_tokenizer_encode(&t, tok, scratch, loom_buf_text(&text), text.len, 0);
        bool same = n == t.n;
        for (int64_t i = 0; same && i < n; i++) same = whole[i].id == t.ids[i];
        test_checks_++;
        if (!same) TEST_FAIL_("\"%s\" is encoded otherwise in parts", loom_buf_text(&text));
        loom_tokens_release(&t);
    }
    loom_merge_map_release(&rules);
    loom_buf_release(&text);
    loom_buf_release(&work);
    loom_tok_scratch_free(scratch);
    loom_tokenizer_free(tok);
}

static const char *decoded(loom_buf *into, const loom_tokenizer *tok, const int32_t *ids, int64_t n, unsigned flags)
{
    loom_buf_reset(into);
    loom_tokenizer_decode(into, tok, ids, n, flags);
    return loom_buf_text(into);
}

TEST(decoding_characters)
{
    loom_buf got = {0};
    loom_tokenizer *tok = char_tokenizer(legacy);
    REQUIRE(tok);
    /* <s> _ab c <0xC3> <0xA9> <0xC3> c </s>, an id that is no token */
    int32_t ids[] = {1, 266, 262, 3 + 0xC3, 3 + 0xA9, 261, 3 + 0xC3, 3 + 0xA9, 3 + 0xFF, 2, 5000};
    CHECK_STR(decoded(&got, tok, ids, 11, 0), "<s> abc\xC3\xA9"
                                              "b\xC3\xA9\xFF</s>");
    CHECK_STR(decoded(&got, tok, ids, 11, LOOM_DECODE_SKIP_SPECIAL), "abc\xC3\xA9"
                                                                     "b\xC3\xA9\xFF");
    CHECK_STR(decoded(&got, tok, ids, 11, LOOM_DECODE_SKIP_SPECIAL | LOOM_DECODE_CONTINUE), " abc\xC3\xA9"
                                                                                            "b\xC3\xA9\xFF");
    CHECK_STR(decoded(&got, tok, ids, 10, LOOM_DECODE_SKIP_SPECIAL | LOOM_DECODE_UTF8),
              "abc\xC3\xA9"
              "b\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"); /* a run with a broken byte: every byte of it */
    loom_tok_stream stream = loom_tok_stream_start(true);
    loom_buf_reset(&got);
    for (int i = 0; i < 11; i++) loom_tok_stream_push(&stream, &got, tok, ids[i]);
    loom_tok_stream_push(&stream, &got, tok, 266); /* only the first blank of a text goes */
    CHECK_STR(loom_buf_text(&got), "abc\xC3\xA9"
                                   "b\xC3\xA9\xFF ab");
    loom_tokenizer_free(tok);
    loom_buf_release(&got);
}

/* ---- refusals ---- */

static void refused(const char *json, const char *says)
{
    loom_err err = {0};
    loom_tokenizer *tok = NULL;
    CHECK(loom_tokenizer_parse(&tok, json, strlen(json), "x.json", &err) == LOOM_STATUS_FORMAT);
    CHECK(tok == NULL);
    test_checks_++;
    if (!strstr(err.msg, says) || strncmp(err.msg, "x.json", 6) != 0)
        TEST_FAIL_("the message is \"%s\", expected x.json and \"%s\" in it", err.msg, says);
}

/* The small tokenizer with one text replaced. */
static void refused_with(const char *extra, const char *from, const char *to, const char *says)
{
    loom_buf json = {0}, changed = {0};
    char_json(&json, extra);
    const char *at = strstr(json.data, from);
    REQUIRE(at);
    loom_buf_append(&changed, json.data, (size_t)(at - json.data));
    loom_buf_str(&changed, to);
    loom_buf_str(&changed, at + strlen(from));
    refused(changed.data, says);
    loom_buf_release(&json);
    loom_buf_release(&changed);
}

TEST(foreign_components_are_refused_by_name)
{
    refused("", "not valid JSON");
    refused("[]", "no \"model\"");
    refused("{\"model\":{\"type\":\"Unigram\"}}", "Unigram");
    refused("{\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[]}}", "vocab");
    refused("{\"model\":{\"type\":\"BPE\",\"dropout\":0.1,\"vocab\":{\"a\":0},\"merges\":[]}}", "dropout");
    refused("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}}", "byte_fallback");
    refused("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1},\"merges\":[]}}", "id -1");
    refused("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":99999999999},\"merges\":[]}}", "id 99999999999");
    refused("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":\"x\"},\"merges\":[]}}", "id -1");
    refused("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]}}", "same id");
    refused("{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false},"
            "\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}}",
            "byte 0x00");
    refused_with(legacy, "\"Prepend\"", "\"NFKC\"", "NFKC");
    refused_with(legacy, "\"pre_tokenizer\":null", "\"pre_tokenizer\":{\"type\":\"Whitespace\"}", "Whitespace");
    refused_with(METASPACE("first", "true"), "\"first\"", "\"sometimes\"", "sometimes");
    refused_with(legacy, "\"Fuse\"", "\"WordPiece\"", "decoder");
    refused_with(legacy, "\"special\":true", "\"special\":true,\"lstrip\":true", "lstrip");
    refused_with(legacy, "\"normalized\":false", "\"normalized\":true", "normalized");
    refused_with(legacy, "\"id\":1,", "\"id\":7,", "have the same id 7");
    refused_with(legacy, "\"a b\"", "\"a x\"", "merge 0");
    refused_with(legacy, "\"b c\"", "\"b c d\"", "merge 1");
    refused_with(legacy, "\"<0x41>\"", "\"<0xZZ>\"", "<0x41>");
    refused_with(legacy, "\"decoder\"", "\"post_processor\":{\"type\":\"BertProcessing\"},\"decoder\"",
                 "BertProcessing");
}

TEST(truncated_and_damaged_files)
{
    loom_buf json = {0};
    loom_rng rng;
    loom_err err = {0};
    char_json(&json, legacy);
    loom_rng_seed(&rng, 9, "damage", 0);
    for (size_t len = 0; len < json.len; len += 13) {
        loom_tokenizer *tok = NULL;
        CHECK(loom_tokenizer_parse(&tok, json.data, len, "cut.json", &err) == LOOM_STATUS_FORMAT);
    }
    for (int i = 0; i < 2000; i++) {
        loom_tokenizer *tok = NULL;
        size_t at = loom_rng_below(&rng, json.len);
        char was = json.data[at];
        json.data[at] = (char)loom_rng_below(&rng, 256);
        loom_status st = loom_tokenizer_parse(&tok, json.data, json.len, "bad.json", &err);
        CHECK(st == LOOM_OK || (st == LOOM_STATUS_FORMAT && err.msg[0]));
        if (st == LOOM_OK) loom_tokenizer_free(tok);
        json.data[at] = was;
    }
    loom_buf_release(&json);
    loom_tokenizer *tok = NULL;
    CHECK(loom_tokenizer_load(&tok, "/nowhere/tokenizer.json", &err) == LOOM_STATUS_IO);
}

TEST(text_is_kept)
{
    loom_buf json = {0};
    loom_err err = {0};
    loom_tokenizer *tok = NULL, *again = NULL;
    char a[33], b[33];
    size_t len;
    char_json(&json, legacy);
    REQUIRE_OK(loom_tokenizer_parse(&tok, json.data, json.len, "small", &err), err);
    const char *kept = loom_tokenizer_json(tok, &len);
    CHECK(len == json.len && memcmp(kept, json.data, len) == 0);
    loom_buf_char(&json, '\n');
    REQUIRE_OK(loom_tokenizer_parse(&again, json.data, json.len, "small", &err), err);
    loom_tokenizer_digest(tok, a);
    loom_tokenizer_digest(again, b);
    CHECK(strlen(a) == 32 && strcmp(a, b) != 0);
    loom_tokenizer_free(tok);
    loom_tokenizer_free(again);
    loom_buf_release(&json);
}

TEST_MAIN(RUN(llama3_matcher_equals_pcre2) RUN(domain_matcher_equals_pcre2) RUN(domain_pieces) RUN(other_patterns)
              RUN(short_and_long_merging_agree) RUN(characters_with_fallback) RUN(metaspace_schemes)
                  RUN(longest_added_token) RUN(cutting_equals_merging_whole) RUN(decoding_characters)
                      RUN(foreign_components_are_refused_by_name) RUN(truncated_and_damaged_files) RUN(text_is_kept))
