/* Every part of a tokenizer.json in all the forms that are taken, and others, which are refused by name. A small
 * tokenizer of each family, of which one part at a time is another. */
#include "unit/failing_calls.h"

#include "tokenizer/tokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "tokenizer/foreign.h"
#include "tokenizer/pretok.h"
#include "tokenizer/tok_internal.h"

#if FAILING_MEMORY
/* Without memory PCRE2 gives none of these. */
pcre2_code *pcre2_compile(PCRE2_SPTR pattern, PCRE2_SIZE n, uint32_t options, int *code, PCRE2_SIZE *at,
                          pcre2_compile_context *context)
{
    CALLS_NEXT_(pcre2_code *, pcre2_compile_8,
                (PCRE2_SPTR, PCRE2_SIZE, uint32_t, int *, PCRE2_SIZE *, pcre2_compile_context *));
    if (!calls_hit_("pcre2_compile", ENOMEM, false)) return next(pattern, n, options, code, at, context);
    *code = PCRE2_ERROR_HEAP_FAILED;
    return NULL;
}
CALL_FAILS(pcre2_match_data_8 *, NULL, ENOMEM, pcre2_match_data_create_8,
           (uint32_t n, pcre2_general_context_8 *context), (n, context))
CALL_FAILS(pcre2_match_context_8 *, NULL, ENOMEM, pcre2_match_context_create_8, (pcre2_general_context_8 * context),
           (context))
CALL_FAILS(pcre2_jit_stack_8 *, NULL, ENOMEM, pcre2_jit_stack_create_8,
           (size_t start, size_t most, pcre2_general_context_8 *context), (start, most, context))
CALL_FAILS(int, PCRE2_ERROR_NOMEMORY, ENOMEM, pcre2_match_8,
           (const pcre2_code_8 *code, PCRE2_SPTR8 text, PCRE2_SIZE n, PCRE2_SIZE at, uint32_t options,
            pcre2_match_data_8 *data, pcre2_match_context_8 *context),
           (code, text, n, at, options, data, context))
#endif

#define BLANK             "\xE2\x96\x81"
#define NAMED(type)       "{\"type\":\"" type "\"}"
#define LEVEL             "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}"
#define SPLIT(rest)       "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[a-z]+\"}," rest "}"
#define ISOLATED          SPLIT("\"behavior\":\"Isolated\",\"invert\":false")
#define LIST(key, list)   "{\"type\":\"Sequence\",\"" key "\":[" list "]}"
#define REPLACE(from, to) "{\"type\":\"Replace\",\"pattern\":{\"String\":\"" from "\"},\"content\":\"" to "\"}"
#define SPELT             "{\"type\":\"Prepend\",\"prepend\":\"" BLANK "\"}"
#define METASPACE(rest)   "{\"type\":\"Metaspace\",\"replacement\":\"" BLANK "\"" rest "}"
#define DECODE(rest)      LIST("decoders", REPLACE(BLANK, " ") "," NAMED("ByteFallback") "," NAMED("Fuse") rest)
#define STRIP(rest)       ",{\"type\":\"Strip\"," rest "}"
#define TOKEN(rest)       "{\"special\":true," rest "}"

/* What is put in the place of a part; NULL: what stands there otherwise. */
typedef struct parts {
    const char *normalizer, *pre, *decoder, *post, *added, *model, *vocab, *merges;
} parts;

static const char * or (const char *given, const char *otherwise) { return given ? given : otherwise; }

static void render(loom_buf *json, const parts *p, bool chars)
{
    loom_buf_printf(
        json, "{\"added_tokens\":%s,\"normalizer\":%s,\"pre_tokenizer\":%s,\"decoder\":%s,\"post_processor\":%s,",
        or (p->added, "[" TOKEN("\"id\":0,\"content\":\"<s>\"") "," TOKEN("\"id\":1,\"content\":\"</s>\"") "]"),
        or (p->normalizer, chars ? LIST("normalizers", SPELT "," REPLACE(" ", BLANK)) : "null"),
        or (p->pre, chars ? "null" : LEVEL), or (p->decoder, chars ? DECODE("") : NAMED("ByteLevel")),
        or (p->post, "null"));
    loom_buf_printf(json, "\"model\":{\"type\":\"BPE\",%s,\"merges\":%s,\"vocab\":{\"<s>\":0,\"</s>\":1%s",
                    or (p->model, chars ? "\"byte_fallback\":true" : "\"byte_fallback\":false"), or (p->merges, "[]"),
                    or (p->vocab, chars ? ",\"" BLANK "\":300,\"a\":301,\"b\":302,\"ab\":303" : ",\"ab\":300"));
    for (unsigned b = 0; b < 256; b++) {
        char utf8[5] = "";
        if (!chars) loom_utf8_put(utf8, loom_byte_char((unsigned char)b));
        if (chars) loom_buf_printf(json, ",\"<0x%02X>\":%u", b, 2 + b);
        else loom_buf_printf(json, ",\"%s%s\":%u", *utf8 == '"' || *utf8 == '\\' ? "\\" : "", utf8, 2 + b);
    }
    loom_buf_str(json, "}}}");
}

/* The tokenizer; NULL where it is refused, and then says what. */
static loom_tokenizer *made(const parts *p, bool chars, const char *says)
{
    loom_buf json = {0};
    loom_err err = {0};
    loom_tokenizer *tok = NULL;
    render(&json, p, chars);
    loom_status st = loom_tokenizer_parse(&tok, json.data, json.len, "x.json", &err);
    CHECK_I64(st, says ? LOOM_STATUS_FORMAT : LOOM_OK);
    if (says ? !strstr(err.msg, says) || strncmp(err.msg, "x.json: ", 8) != 0 : st != LOOM_OK)
        TEST_FAIL_("\"%s\" lacks \"%s\"", err.msg, says ? says : "");
    loom_buf_release(&json);
    return tok;
}

#define REFUSED(chars, says, ...) CHECK(made(&(parts){__VA_ARGS__}, chars, says) == NULL)
#define TAKEN(chars, ...)         loom_tokenizer_free(made(&(parts){__VA_ARGS__}, chars, NULL))

TEST(cutting_of_bytes)
{
    TAKEN(false, .pre = LEVEL);
    TAKEN(false, .pre = "{\"type\":\"ByteLevel\",\"add_prefix_space\":false}");
    TAKEN(false, .pre = LIST("pretokenizers", ISOLATED "," LEVEL));
    TAKEN(false, .pre = LIST("pretokenizers", LEVEL));
    REFUSED(false, "ByteLevel: add_prefix_space", .pre = NAMED("ByteLevel"));
    REFUSED(false, "use_regex after a Split",
            .pre = LIST("pretokenizers", ISOLATED ",{\"type\":\"ByteLevel\",\"add_prefix_space\":false}"));
    REFUSED(false, "pre_tokenizer Split", .pre = LIST("pretokenizers", ISOLATED "," ISOLATED "," LEVEL));
    REFUSED(false, "pre_tokenizer Split", .pre = LIST("pretokenizers", LEVEL "," ISOLATED));
    REFUSED(false, "pre_tokenizer ByteLevel", .pre = LIST("pretokenizers", LEVEL "," LEVEL));
    REFUSED(false, "pre_tokenizer Digits", .pre = LIST("pretokenizers", NAMED("Digits") "," LEVEL));
    REFUSED(false, "other than Isolated", .pre = LIST("pretokenizers", SPLIT("\"behavior\":\"Removed\"") "," LEVEL));
    REFUSED(false, "other than Isolated", .pre = LIST("pretokenizers", SPLIT("\"a\":1") "," LEVEL));
    REFUSED(false, "Split: invert",
            .pre = LIST("pretokenizers", SPLIT("\"behavior\":\"Isolated\",\"invert\":true") "," LEVEL));
    REFUSED(false, "not a Regex",
            .pre = LIST("pretokenizers",
                        "{\"type\":\"Split\",\"behavior\":\"Isolated\",\"pattern\":{\"String\":\" \"}}," LEVEL));
    REFUSED(false, "not a Regex",
            .pre = LIST("pretokenizers",
                        "{\"type\":\"Split\",\"behavior\":\"Isolated\",\"pattern\":{\"Regex\":\"a\\u0000b\"}}," LEVEL));
    REFUSED(false, "cannot use the split pattern",
            .pre = LIST("pretokenizers",
                        "{\"type\":\"Split\",\"behavior\":\"Isolated\",\"pattern\":{\"Regex\":\"(\"}}," LEVEL));
    REFUSED(false, "neither ByteLevel nor byte_fallback", .pre = LIST("pretokenizers", ISOLATED));
    REFUSED(false, "normalizer NFC", .normalizer = NAMED("NFC"));
    REFUSED(false, "decoder without a type", .decoder = "null");
    REFUSED(false, "decoder Fuse", .decoder = NAMED("Fuse"));
    REFUSED(false, "byte_fallback together with ByteLevel", .model = "\"byte_fallback\":true");
}

TEST(the_model)
{
    TAKEN(false, .model = "\"continuing_subword_prefix\":\"\",\"end_of_word_suffix\":null,\"dropout\":null");
    REFUSED(false, "continuing_subword_prefix", .model = "\"continuing_subword_prefix\":\"##\"");
    REFUSED(false, "end_of_word_suffix", .model = "\"end_of_word_suffix\":\"</w>\"");
    REFUSED(false, "dropout", .model = "\"dropout\":0.5");
    REFUSED(false, "no \"merges\" array", .merges = "{}");
    REFUSED(false, "no \"merges\" array", .merges = "null");
    static const char *const bad[] = {"[5]", "[[\"a\"]]", "[[\"a\",1]]", "[[1,\"a\"]]", "[\"ab\"]", "[\"a b c\"]"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) REFUSED(false, "merge 0 is neither", .merges = bad[i]);
    static const char *const strange[] = {"[\"x ab\"]", "[\"ab x\"]", "[\"ab ab\"]", "[\"ab \"]"};
    for (size_t i = 0; i < sizeof strange / sizeof *strange; i++) REFUSED(false, "merge 0 (", .merges = strange[i]);
    TAKEN(false, .merges = "[\"a b\"]");
    TAKEN(false, .merges = "[[\"a\",\"b\"]]");
}

TEST(tokens)
{
    static char vast[70000], cell[70100];
    REFUSED(false, "content", .added = "[{\"id\":0}]");
    REFUSED(false, "\"id\"", .added = "[{\"content\":\"<s>\"}]");
    REFUSED(false, "has the id 99999", .added = "[{\"id\":99999,\"content\":\"<s>\"}]");
    REFUSED(false, "has the id -1", .added = "[{\"id\":-1,\"content\":\"<s>\"}]");
    REFUSED(false, "has 0 bytes", .added = "[{\"id\":301,\"content\":\"\"}]");
    REFUSED(false, "has two ids, 300 and 301", .added = "[{\"id\":301,\"content\":\"ab\"}]");
    REFUSED(false, "have the same id 300", .added = "[{\"id\":300,\"content\":\"abc\"}]");
    REFUSED(false, "have the same id 300", .added = "[{\"id\":300,\"content\":\"cd\"}]");
    REFUSED(false, "single_word", .added = "[{\"id\":301,\"content\":\"x\",\"single_word\":true}]");
    REFUSED(false, "rstrip", .added = "[{\"id\":301,\"content\":\"x\",\"rstrip\":true}]");
    REFUSED(true, "normalized", .added = "[{\"id\":310,\"content\":\"x\",\"normalized\":true}]");
    TAKEN(false, .added = "[{\"id\":301,\"content\":\"x y\",\"normalized\":true}]");
    TAKEN(false, .added = "[]");
    TAKEN(false, .added = "null");
    REFUSED(false, "has 0 bytes", .vocab = ",\"\":300");
    memset(vast, 'a', sizeof vast - 1);
    snprintf(cell, sizeof cell, ",\"%s\":300", vast);
    REFUSED(false, "has 69999 bytes", .vocab = cell);
    /* holes between ids hold nothing */
    size_t len = 1;
    loom_tokenizer *tok = made(&(parts){.vocab = ",\"ab\":320"}, false, NULL);
    REQUIRE(tok);
    CHECK_I64(loom_tokenizer_vocab_size(tok), 321);
    CHECK(loom_tokenizer_text(tok, 310) == NULL && !loom_tokenizer_is_special(tok, 310));
    CHECK_STR(loom_tokenizer_bytes(tok, 310, &len), "");
    CHECK_I64(len, 0);
    CHECK(loom_tokenizer_is_special(tok, 0) && !loom_tokenizer_is_special(tok, 320));
    loom_tokenizer_json(tok, NULL);
    loom_tokenizer_free(tok);
    loom_tokenizer_free(NULL);
}

TEST(normalizers_of_characters)
{
    TAKEN(true, .normalizer = REPLACE(" ", BLANK));
    TAKEN(true, .normalizer = LIST("normalizers", SPELT "," REPLACE(" ", BLANK)));
    REFUSED(true, "normalizer Replace", .normalizer = LIST("normalizers", REPLACE(" ", BLANK) "," REPLACE(" ", BLANK)));
    REFUSED(true, "normalizer Replace", .normalizer = REPLACE("x", BLANK));
    REFUSED(true, "normalizer Replace", .normalizer = REPLACE(" ", "_"));
    REFUSED(true, "normalizer Prepend", .normalizer = LIST("normalizers", SPELT "," SPELT "," REPLACE(" ", BLANK)));
    REFUSED(true, "normalizer Prepend", .normalizer = LIST("normalizers", REPLACE(" ", BLANK) "," SPELT));
    REFUSED(true, "normalizer Prepend", .normalizer = LIST("normalizers", "{\"type\":\"Prepend\",\"prepend\":\"x\"}"));
    REFUSED(true, "without a Replace", .normalizer = SPELT);
    REFUSED(true, "without a Replace", .normalizer = LIST("normalizers", ""));
    REFUSED(true, "pre_tokenizer null without a normalizer", .normalizer = "null");
    REFUSED(true, "after a normalizer: Metaspace", .pre = METASPACE(""));
    REFUSED(true, "ignore_merges", .model = "\"byte_fallback\":true,\"ignore_merges\":true");
}

TEST(metaspace)
{
#define SCHEMED(rest) .normalizer = "null", .pre = METASPACE(rest)
    static const struct {
        const char *pre;
        loom_tok_prefix prefix;
    } forms[] = {{METASPACE(""), LOOM_PREFIX_ALWAYS},
                 {METASPACE(",\"add_prefix_space\":true"), LOOM_PREFIX_ALWAYS},
                 {METASPACE(",\"add_prefix_space\":false"), LOOM_PREFIX_NEVER},
                 {METASPACE(",\"prepend_scheme\":\"never\",\"add_prefix_space\":true"), LOOM_PREFIX_NEVER},
                 {METASPACE(",\"prepend_scheme\":\"first\",\"split\":false"), LOOM_PREFIX_FIRST}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        loom_tokenizer *tok = made(&(parts){.normalizer = "null", .pre = forms[i].pre}, true, NULL);
        REQUIRE(tok);
        CHECK_I64(tok->prefix, forms[i].prefix);
        CHECK_I64(loom_tokenizer_kind(tok), i < 2 ? LOOM_TOK_KIND_LLAMA2 : LOOM_TOK_KIND_OTHER);
        loom_tokenizer_free(tok);
    }
    REFUSED(true, "prepend_scheme sometimes", SCHEMED(",\"prepend_scheme\":\"sometimes\""));
    REFUSED(true, "pre_tokenizer Digits", .normalizer = "null", .pre = NAMED("Digits"));
    REFUSED(true, "other than U+2581", .normalizer = "null", .pre = "{\"type\":\"Metaspace\",\"replacement\":\"_\"}");
}

TEST(decoders_of_characters)
{
    TAKEN(true, .decoder = DECODE(STRIP("\"content\":\" \",\"start\":1,\"stop\":0")));
    REFUSED(true, "decoder ByteFallback", .decoder = NAMED("ByteFallback"));
    static const char *const others[] = {
        LIST("decoders", REPLACE(BLANK, " ") "," NAMED("ByteFallback")),
        LIST("decoders", REPLACE("_", " ") "," NAMED("ByteFallback") "," NAMED("Fuse")),
        LIST("decoders", REPLACE(BLANK, " ") "," NAMED("Fuse") "," NAMED("ByteFallback")),
        LIST("decoders", REPLACE(BLANK, " ") "," NAMED("ByteFallback") "," NAMED("Strip")),
        DECODE(STRIP("\"content\":\" \",\"start\":1,\"stop\":0") "," NAMED("Fuse"))};
    static const char *const strips[] = {"\"content\":\"x\",\"start\":1,\"stop\":0",
                                         "\"content\":\" \",\"start\":2,\"stop\":0",
                                         "\"content\":\" \",\"start\":1,\"stop\":1", "\"content\":\" \""};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        REFUSED(true, "other than Replace", .decoder = others[i]);
    for (size_t i = 0; i < sizeof strips / sizeof *strips; i++) {
        char text[400];
        snprintf(text, sizeof text, DECODE(STRIP("%s")), strips[i]);
        REFUSED(true, "Strip of anything but one leading blank", .decoder = text);
    }
    REFUSED(true, "Strip of anything but one leading blank", .decoder = DECODE("," NAMED("Fuse")));
}

TEST(vocabularies_of_characters)
{
    loom_tokenizer *tok =
        made(&(parts){.vocab = ",\"" BLANK "\":300,\"<0x4a>\":301,\"<0x4g>\":302,\"<0xg4>\":303,\"<0x4A\":304,"
                               "\"<0y4A>\":305,\"<0x4AA\":306"},
             true, NULL);
    size_t len;
    REQUIRE(tok);
    CHECK(*loom_tokenizer_bytes(tok, 301, &len) == 'J' && len == 1);
    for (int32_t id = 302; id < 307; id++) CHECK(*loom_tokenizer_bytes(tok, id, &len) == '<' && len >= 5);
    loom_tokenizer_free(tok);
    REFUSED(true, "no token for a blank", .vocab = ",\"a\":300");
    /* a rule that joins bytes: no place can be cut any more */
    tok =
        made(&(parts){.vocab = ",\"" BLANK "\":300,\"<0x41><0x42>\":301", .merges = "[\"<0x41> <0x42>\"]"}, true, NULL);
    REQUIRE(tok);
    CHECK(!tok->cut['x'][' '] && !tok->cut['x']['y']);
    loom_tokenizer_free(tok);
    tok =
        made(&(parts){.vocab = ",\"" BLANK "\":300,\"a\":301,\"ab\":302,\"b\":303", .merges = "[\"a b\"]"}, true, NULL);
    REQUIRE(tok);
    CHECK(!tok->cut['a']['b'] && tok->cut['b']['a']);
    loom_tokenizer_free(tok);
}

static loom_tokenizer *with_post(const char *post, const char *says)
{
    return made(&(parts){.post = post, .vocab = ",\"<one>\":300,\"<two>\":301"}, false, says);
}

TEST(templates)
{
#define TEMPLATE(single) "{\"type\":\"TemplateProcessing\",\"single\":[" single "]}"
#define SPECIAL(id)      "{\"SpecialToken\":{\"id\":" id ",\"type_id\":0}}"
#define TEXT_            "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}"
    static const struct {
        const char *post;
        int32_t bos, eos;
    } forms[] = {{TEMPLATE(SPECIAL("\"<one>\"") "," TEXT_ "," SPECIAL("\"<two>\"")), 300, 301},
                 {TEMPLATE(SPECIAL("\"<one>\"") "," TEXT_), 300, 1}, /* </s> by its name */
                 {TEMPLATE(TEXT_ "," SPECIAL("\"<two>\"")), 0, 301},
                 {TEMPLATE(TEXT_), 0, 1},
                 {TEMPLATE(""), 0, 1},
                 {NAMED("ByteLevel"), 0, 1},
                 {LIST("processors", NAMED("ByteLevel") "," TEMPLATE(SPECIAL("\"<one>\""))), 300, 1}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        loom_tokenizer *tok = with_post(forms[i].post, NULL);
        REQUIRE(tok);
        CHECK_I64(loom_tokenizer_bos(tok), forms[i].bos);
        CHECK_I64(loom_tokenizer_eos(tok), forms[i].eos);
        loom_tokenizer_free(tok);
    }
    CHECK(!with_post(TEMPLATE(SPECIAL("\"<none>\"")), "names the token \"<none>\""));
    CHECK(!with_post(TEMPLATE(SPECIAL("5")), "names the token \"\""));
    CHECK(!with_post(TEMPLATE(TEXT_ "," SPECIAL("\"<none>\"")), "names the token \"<none>\""));
    CHECK(!with_post(NAMED("RobertaProcessing"), "post_processor RobertaProcessing"));
    loom_tokenizer *tok =
        made(&(parts){.added = "[]", .vocab = ",\"<unk>\":300", .model = "\"unk_token\":\"none\""}, false, NULL);
    REQUIRE(tok);
    CHECK_I64(loom_tokenizer_unk(tok), 300); /* by its usual name */
    loom_tokenizer_free(tok);
}

/* Characters that are cut short, too long, or none at all: each is spelt, and comes back as it was. */
TEST(broken_characters)
{
    static const char *const texts[] = {"\xE2\x82",
                                        "\xF0\x9F\x99",
                                        "\xE0\x80\x80",
                                        "\xED\xA0\x80",
                                        "\xF0\x80\x80\x80",
                                        "\xF4\x90\x80\x80",
                                        "\xC3",
                                        "\xC0\x80",
                                        "\xFF",
                                        "\xF5\x80",
                                        "\xE2(\xA1",
                                        "a\xE2\x82"
                                        "b"};
    static const char *const shown[] = {"?", "?", "???", "???", "????", "????", "?", "??", "?", "??", "?(?", "a?b"};
    for (int chars = 0; chars < 2; chars++) {
        loom_tokenizer *tok = made(&(parts){0}, chars, NULL);
        loom_tok_scratch *scratch = loom_tok_scratch_new(tok);
        loom_tokens ids = {0};
        loom_buf text = {0}, want = {0};
        REQUIRE(tok && scratch);
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
            loom_tokens_reset(&ids);
            loom_tokenizer_encode(&ids, tok, scratch, texts[i], strlen(texts[i]), LOOM_ENCODE_CONTINUE);
            loom_buf_reset(&text);
            loom_tokenizer_decode(&text, tok, ids.ids, ids.n, 0);
            CHECK_STR(loom_buf_text(&text), texts[i]);
            loom_buf_reset(&text);
            loom_buf_reset(&want);
            loom_tokenizer_decode(&text, tok, ids.ids, ids.n, LOOM_DECODE_UTF8);
            for (const char *c = shown[i]; *c; c++) loom_buf_str(&want, *c == '?' ? "\xEF\xBF\xBD" : (char[]){*c, 0});
            if (!chars) CHECK_STR(loom_buf_text(&text), loom_buf_text(&want));
        }
        loom_tokens_release(&ids);
        loom_buf_release(&text);
        loom_buf_release(&want);
        loom_tok_scratch_free(scratch);
        loom_tokenizer_free(tok);
    }
    loom_tok_scratch_free(NULL);
}

/* ---- as others would cut ---- */

static void check_foreign(const loom_tokenizer *tok, const float *scores, const char *text, bool clear,
                          const char *want)
{
    loom_tokens ids = {0};
    loom_buf got = {0};
    loom_foreign *f = loom_foreign_new(tok, scores);
    REQUIRE(f);
    for (int twice = 0; twice < 2; twice++) {
        loom_tokens_reset(&ids);
        CHECK_I64(loom_foreign_encode(&ids, f, text, strlen(text)), clear);
    }
    for (int64_t i = 0; i < ids.n; i++)
        loom_buf_printf(&got, "%s%s", i ? " " : "", loom_tokenizer_text(tok, ids.ids[i]));
    CHECK_STR(loom_buf_text(&got), want);
    loom_buf_release(&got);
    loom_tokens_release(&ids);
    loom_foreign_free(f);
}

/* The longest first; where two of a length overlap, the rule does not say which one. */
TEST(tokens_cut_out_longest_first)
{
    loom_tokenizer *tok = made(&(parts){.vocab = ",\"ab\":300,\"bc\":301,\"abcd\":302,\"<s\":303"}, false, NULL);
    REQUIRE(tok);
    CHECK_I64(loom_tokenizer_kind(tok), LOOM_TOK_KIND_OTHER);
    check_foreign(tok, NULL, "", true, "");
    check_foreign(tok, NULL, "xaby", true, "x ab y");
    check_foreign(tok, NULL, "abcdab", true, "abcd ab");
    check_foreign(tok, NULL, "abc", false, "ab c");
    check_foreign(tok, NULL, "a<s>", true, "a <s >"); /* special ones are not cut out */
    float scores[400];
    CHECK(!loom_tokenizer_llama2_scores(scores, tok)); /* not the published vocabulary */
    loom_foreign_free(NULL);
    loom_tokenizer_free(tok);
}

/* Characters joined by score, the best pair first, the leftmost of equals. */
TEST(characters_joined_by_score)
{
    loom_tokenizer *tok = made(&(parts){.vocab = ",\"" BLANK "\":300,\"a\":301,\"b\":302,\"ab\":303,\"bb\":304,\"" BLANK
                                                 "a\":305,\"abb\":306"},
                               true, NULL);
    float scores[307] = {0};
    REQUIRE(tok);
    CHECK_I64(loom_tokenizer_kind(tok), LOOM_TOK_KIND_LLAMA2);
    for (int i = 300; i < 307; i++) scores[i] = (float)(300 - i);
    check_foreign(tok, scores, "", true, "");
    check_foreign(tok, scores, "ab", true, BLANK " ab");
    check_foreign(tok, scores, "abb", true, BLANK " abb");
    check_foreign(tok, scores, "bb a", true, BLANK " bb " BLANK "a");
    check_foreign(tok, scores, "a  x\xC3\xA9\xFF", true, BLANK "a " BLANK " " BLANK " <0x78> <0xC3> <0xA9> <0xFF>");
    scores[304] = 5; /* the later pair is the better one */
    check_foreign(tok, scores, "abb", true, BLANK "a bb");
    CHECK(!loom_tokenizer_llama2_scores(scores, tok));
    loom_tokenizer_free(tok);
}

/* ---- without memory for patterns ---- */

static void count_piece(void *arg, const char *text, size_t start, size_t len)
{
    (void)text, (void)start;
    *(size_t *)arg += len;
}

static loom_status cut_text(loom_err *err)
{
    loom_pretok *p = NULL;
    size_t seen = 0;
    LOOM_TRY(loom_pretok_new(&p, "[a-z]+", err));
    loom_pretok_scratch *s = loom_pretok_scratch_new(p);
    loom_status st = s ? LOOM_OK : loom_fail_nomem(err, "a pattern");
    if (s) loom_pretok_run(p, s, "ab 12 cd", 8, count_piece, &seen);
    if (s) CHECK_I64(seen, 8); /* whatever becomes of the pattern: the pieces tile the text */
    if (st == LOOM_OK) st = loom_nomem_check("the pieces", err);
    loom_pretok_scratch_free(s);
    loom_pretok_free(p);
    return st;
}

TEST(patterns_without_memory)
{
    failing_calls_sweep("cutting a text", cut_text, CALLS_FAIL);
    loom_pretok_free(NULL);
    loom_pretok_scratch_free(NULL);
}

/* No pattern: the whole text is one piece. */
TEST(no_pattern)
{
    loom_pretok *p = NULL;
    loom_err err = {0};
    size_t seen = 0;
    REQUIRE_OK(loom_pretok_new(&p, NULL, &err), err);
    loom_pretok_scratch *s = loom_pretok_scratch_new(p);
    loom_pretok_run(p, s, "ab 12", 5, count_piece, &seen);
    CHECK_I64(seen, 5);
    loom_pretok_run(p, s, "", 0, count_piece, &seen);
    CHECK_I64(seen, 5);
    loom_pretok_scratch_free(s);
    loom_pretok_free(p);
}

TEST_MAIN(RUN(cutting_of_bytes) RUN(the_model) RUN(tokens) RUN(normalizers_of_characters) RUN(metaspace)
              RUN(decoders_of_characters) RUN(vocabularies_of_characters) RUN(templates) RUN(broken_characters)
                  RUN(tokens_cut_out_longest_first) RUN(characters_joined_by_score) RUN(patterns_without_memory)
                      RUN(no_pattern))
