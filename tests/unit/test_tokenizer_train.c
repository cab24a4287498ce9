/* The domain tokenizer: what becomes a token, and that the result hangs on nothing but the counts. */
#include "core/json.h"
#include "core/rng.h"
#include "test.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/tokformat.h"
#include "tokenizer/toktrain.h"

/* Text in the manner of the encodings: names 0..n-1 with falling frequency, now and then a rare one. */
static void make_text(loom_buf *into, int samples, uint64_t seed)
{
    loom_rng rng;
    loom_rng_seed(&rng, seed, "text", 0);
    for (int i = 0; i < samples; i++) {
        int service = (int)(loom_rng_f64(&rng) * loom_rng_f64(&rng) * 10), n = 1 + (int)loom_rng_below(&rng, 4);
        loom_buf_printf(into, "[GENERATE GRAPH]num_edges:%d/id:S_%09d/latency:%d\n<edges>\n", n, service,
                        (int)loom_rng_below(&rng, 500));
        for (int e = 0; e < n; e++) {
            int name = (int)(loom_rng_f64(&rng) * loom_rng_f64(&rng) * 40);
            if (loom_rng_chance(&rng, 0.01)) name = 90000 + i; /* seen once */
            loom_buf_printf(
                into, "(edge_id is 0.%d,type is %s,destination is MS_%05d,communication starts at %d milliseconds)\n",
                e, loom_rng_chance(&rng, 0.5) ? "rpc" : "mc", name, (int)loom_rng_below(&rng, 300));
        }
        loom_buf_str(into, "</edges>\nhello frobnication");
        loom_buf_str(into, loom_rng_chance(&rng, 0.2) ? "s\n" : "\n");
    }
}

static const char phrases[] =
    "[GENERATE GRAPH]num_edges:0/id:S_0/latency:0\n<edges>\n(edge_id is 0,type is rpc,source is USER,destination is "
    "MS_0,communication starts at 0 milliseconds)\n(mc,MS_5)\n</edges>\n";

/* Lines as samples. */
static loom_status learn(loom_buf *json, loom_toktrain_report *report, const loom_buf *text, int threads,
                         const loom_toktrain_conf *conf, loom_err *err)
{
    loom_toktrain *t = NULL;
    LOOM_TRY(loom_toktrain_new(&t, phrases, strlen(phrases), threads, err));
    size_t line = 0;
    int thread = 0;
    for (size_t i = 0; i < text->len; i++) /* lines go round the threads, last thread first */
        if (text->data[i] == '\n') {
            loom_toktrain_count(t, threads - 1 - thread, 0, text->data + line, i + 1 - line);
            thread = (thread + 1) % threads;
            line = i + 1;
        }
    loom_status st = loom_toktrain_finish(json, report, t, conf, err);
    loom_toktrain_free(t);
    return st;
}

static const loom_toktrain_conf usual = {.name_tokens = 1000, .min_count = 4};

static loom_tokenizer *learned(const loom_toktrain_conf *conf, loom_toktrain_report *report)
{
    loom_buf text = {0}, json = {0};
    loom_err err = {0};
    loom_tokenizer *tok = NULL;
    make_text(&text, 500, 1);
    if (learn(&json, report, &text, 1, conf, &err) != LOOM_OK ||
        loom_tokenizer_parse(&tok, json.data, json.len, "learned", &err) != LOOM_OK)
        TEST_FAIL_("%s", err.msg);
    loom_buf_release(&text);
    loom_buf_release(&json);
    return tok;
}

static const char *spelt(loom_buf *into, const loom_tokenizer *tok, const char *text)
{
    loom_tokens t = {0};
    loom_tok_scratch *scratch = loom_tok_scratch_new(tok);
    loom_buf_reset(into);
    loom_tokenizer_encode(&t, tok, scratch, text, strlen(text), 0);
    for (int64_t i = 0; i < t.n; i++) {
        size_t len;
        const char *bytes = loom_tokenizer_bytes(tok, t.ids[i], &len);
        if (i) loom_buf_char(into, '|');
        loom_buf_append(into, bytes, len);
    }
    loom_tokens_release(&t);
    loom_tok_scratch_free(scratch);
    return loom_buf_text(into);
}

TEST(names_phrases_digits)
{
    loom_buf got = {0};
    loom_toktrain_report r;
    loom_tokenizer *tok = learned(&usual, &r);
    REQUIRE(tok);
    CHECK_STR(spelt(&got, tok, "(edge_id is 0.3,type is rpc,destination is MS_00001)\n"),
              "(|edge_id is |0|.|3|,|type is |rpc|,|destination is |MS_00001|)\n");
    CHECK_STR(spelt(&got, tok, "latency:170/num_edges:2/id:S_000000000\n<edges>\n"),
              "latency:|1|7|0|/|num_edges:|2|/|id:|S_000000000|\n|<edges>|\n");
    CHECK_STR(spelt(&got, tok, ",communication starts at 12 milliseconds"),
              ",|communication starts at |1|2| milliseconds");
    CHECK_STR(spelt(&got, tok, "MS_98765/S_000054321"), "MS_|9|8|7|6|5|/|S_|0|0|0|0|5|4|3|2|1");
    CHECK_STR(spelt(&got, tok, "<s>[GENERATE GRAPH]</s>"), "<s>|[GENERATE GRAPH]|</s>");
    CHECK_STR(spelt(&got, tok, "\xC3\xA9"), "\xC3|\xA9");
    loom_tokens plain = {0}; /* "<s>" as text is not the special token */
    loom_tok_scratch *scratch = loom_tok_scratch_new(tok);
    loom_tokenizer_encode(&plain, tok, scratch, "<s>", 3, LOOM_ENCODE_PLAIN);
    CHECK_I64(plain.n, 3);
    loom_tok_scratch_free(scratch);
    loom_tokens_release(&plain);
    CHECK_I64(loom_tokenizer_unk(tok), 0);
    CHECK_I64(loom_tokenizer_bos(tok), 1);
    CHECK_I64(loom_tokenizer_eos(tok), 2);
    CHECK(loom_tokenizer_is_special(tok, 0) && loom_tokenizer_is_special(tok, 2) && !loom_tokenizer_is_special(tok, 3));
    CHECK_I64(loom_tokenizer_vocab_size(tok), r.vocab_size);
    CHECK_I64(r.vocab_size, r.format_tokens + r.name_tokens);
    CHECK_I64(loom_tokenizer_format_size(tok), r.format_tokens);
    CHECK(r.name_tokens > 20 && r.names_rare > 0 && r.names_over == 0);
    CHECK_I64(r.distinct_names, r.name_tokens + r.names_rare + r.names_over + r.names_inside);
    CHECK(r.names_single > r.names * 9 / 10);
    for (int32_t id = 0; id < (int32_t)r.vocab_size; id++) { /* no holes, and every text finds its id */
        const char *text = loom_tokenizer_text(tok, id);
        REQUIRE(text);
        CHECK_I64(loom_tokenizer_find(tok, text, strlen(text)), id);
    }
    loom_tokenizer_free(tok);
    loom_buf_release(&got);
}

/* The format part hangs on the phrases alone: names in them are none of it, and no text changes it. */
TEST(format_part)
{
    loom_buf text = {0}, json = {0}, spelling = {0};
    loom_toktrain_report r, other;
    loom_err err = {0};
    char digest[33];
    loom_tokenizer *tok = learned(&usual, &r);
    REQUIRE(tok);
    static const char *const behind_the_bytes[] = {"MS",         "MS_", "S_",      "[GENERATE GRAPH]",
                                                   "num_edges:", "id:", "latency:"};
    for (int i = 0; i < 7; i++) {
        size_t len;
        const char *bytes = loom_tokenizer_bytes(tok, 259 + i, &len);
        loom_buf_reset(&spelling);
        loom_buf_append(&spelling, bytes, len);
        CHECK_STR(loom_buf_text(&spelling), behind_the_bytes[i]);
    }
    loom_tokenizer_format_digest(tok, digest);
    CHECK_STR(digest, r.format_digest);
    CHECK(loom_tokenizer_find(tok, "MS_5", 4) < 0);
    loom_buf_str(&text, "(MS_5,hello frobnication)\n(MS_5,rpc)\n(MS_5,rpc)\n(MS_5,rpc)\n(MS_5,rpc)\n");
    REQUIRE_OK(learn(&json, &other, &text, 1, &usual, &err), err);
    CHECK_STR(other.format_digest, r.format_digest);
    CHECK_I64(other.format_tokens, r.format_tokens);
    CHECK_I64(other.name_tokens, 1);
    CHECK_I64(other.foreign_tokens, (int64_t)strlen("hello frobnication"));
    loom_tokenizer_free(tok);
    loom_buf_release(&text);
    loom_buf_release(&json);
    loom_buf_release(&spelling);
}

/* A name counts once in a sample, and the kind of samples that shows it most often decides. */
TEST(samples_count_not_mentions)
{
    loom_toktrain *t = NULL;
    loom_toktrain_report r;
    loom_toktrain_conf conf = {.name_tokens = 10, .min_count = 3};
    loom_buf json = {0}, got = {0};
    loom_err err = {0};
    loom_tokenizer *tok = NULL;
    REQUIRE_OK(loom_toktrain_new(&t, phrases, strlen(phrases), 1, &err), err);
    for (int kind = 0; kind < 2; kind++)
        for (int sample = 0; sample < 2 + kind; sample++) {
            const char *text = kind ? "MS_1,MS_2" : "MS_1,MS_3,MS_3,MS_3,MS_3";
            loom_toktrain_count(t, 0, kind, text, strlen(text));
        }
    REQUIRE_OK(loom_toktrain_finish(&json, &r, t, &conf, &err), err);
    REQUIRE_OK(loom_tokenizer_parse(&tok, json.data, json.len, "learned", &err), err);
    CHECK_STR(spelt(&got, tok, "MS_1,MS_2,MS_3"), "MS_1|,|MS_2|,|MS_|3");
    CHECK_I64(r.names_rare, 1);
    CHECK_I64(r.names, 2 * 5 + 3 * 2);
    loom_toktrain_free(t);
    loom_tokenizer_free(tok);
    loom_buf_release(&json);
    loom_buf_release(&got);
}

/* No token stands inside a name that is spelt, so that cutting the longest tokens out first gives the same. */
TEST(no_token_inside_a_spelt_name)
{
    static const char *const cases[][3] = {
        /* seen three times, seen once, tokens */
        {"MS_1,MS_12,S_7", "MS_13", "MS_|1|,|MS_12|,|S_7|,|MS_|1|3"},
        {"MS_1,MS_12,S_12", "MS_123", "MS_|1|,|MS_|1|2|,|S_|1|2|,|MS_|1|2|3"},
        {"S_1,S_12,MS_12", "S_123", "S_|1|,|S_|1|2|,|MS_12|,|S_|1|2|3"},
        {"S_5,MS_55", "MS_5", "S_|5|,|MS_55|,|MS_|5"},
        {"MS_1,MS_12,S_12", "", "MS_1|,|MS_12|,|S_12|,"},
    };
    loom_toktrain_conf conf = {.name_tokens = 10, .min_count = 2};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        loom_buf text = {0}, json = {0}, got = {0}, both = {0};
        loom_err err = {0};
        loom_tokenizer *tok = NULL;
        for (int k = 0; k < 3; k++) loom_buf_printf(&text, "%s\n", cases[i][0]);
        loom_buf_printf(&text, "%s\n", cases[i][1]);
        loom_buf_printf(&both, "%s,%s", cases[i][0], cases[i][1]);
        REQUIRE_OK(learn(&json, NULL, &text, 1, &conf, &err), err);
        REQUIRE_OK(loom_tokenizer_parse(&tok, json.data, json.len, "learned", &err), err);
        CHECK_STR(spelt(&got, tok, loom_buf_text(&both)), cases[i][2]);
        loom_tokenizer_free(tok);
        loom_buf_release(&text);
        loom_buf_release(&json);
        loom_buf_release(&got);
        loom_buf_release(&both);
    }
}

TEST(budget_of_names)
{
    loom_buf got = {0};
    loom_toktrain_report all, few, none;
    loom_toktrain_conf conf = usual;
    loom_tokenizer *tok = learned(&conf, &all);
    loom_tokenizer_free(tok);
    conf.name_tokens = 5;
    tok = learned(&conf, &few);
    CHECK_I64(few.name_tokens, 5);
    CHECK_I64(few.names_over, all.name_tokens - 5);
    CHECK_I64(few.format_tokens, all.format_tokens);
    CHECK_STR(spelt(&got, tok, "MS_00000"), "MS_00000"); /* the most frequent ones */
    loom_tokenizer_free(tok);
    conf.name_tokens = 0;
    tok = learned(&conf, &none);
    CHECK_I64(none.vocab_size, all.format_tokens);
    CHECK(none.tokens > all.tokens);
    loom_tokenizer_free(tok);
    loom_buf_release(&got);
}

TEST(same_for_any_thread_count)
{
    loom_buf text = {0}, one = {0}, three = {0};
    loom_err err = {0};
    loom_toktrain_report r;
    make_text(&text, 300, 2);
    REQUIRE_OK(learn(&one, &r, &text, 1, &usual, &err), err);
    REQUIRE_OK(learn(&three, NULL, &text, 3, &usual, &err), err);
    CHECK(one.len == three.len && memcmp(one.data, three.data, one.len) == 0);
    CHECK_I64(r.bytes, (int64_t)text.len);
    loom_buf_release(&text);
    loom_buf_release(&one);
    loom_buf_release(&three);
}

/* A token never reaches over a line end: encoding line by line gives the tokens of the whole. The report's count too.
 */
TEST(lines_stand_alone)
{
    loom_buf text = {0}, json = {0}, back = {0};
    loom_err err = {0};
    loom_toktrain_report r;
    loom_tokenizer *tok = NULL;
    loom_tokens whole = {0}, lines = {0};
    make_text(&text, 300, 3);
    REQUIRE_OK(learn(&json, &r, &text, 2, &usual, &err), err);
    REQUIRE_OK(loom_tokenizer_parse(&tok, json.data, json.len, "learned", &err), err);
    loom_tok_scratch *scratch = loom_tok_scratch_new(tok);
    loom_tokenizer_encode(&whole, tok, scratch, text.data, text.len, 0);
    for (size_t i = 0, line = 0; i < text.len; i++)
        if (text.data[i] == '\n') {
            loom_tokenizer_encode(&lines, tok, scratch, text.data + line, i + 1 - line, 0);
            line = i + 1;
        }
    CHECK(whole.n == lines.n && memcmp(whole.ids, lines.ids, (size_t)whole.n * sizeof *whole.ids) == 0);
    CHECK_I64(whole.n, r.tokens);
    loom_tokenizer_decode(&back, tok, whole.ids, whole.n, 0);
    CHECK(back.len == text.len && memcmp(back.data, text.data, text.len) == 0);
    loom_tokens_release(&whole);
    loom_tokens_release(&lines);
    loom_tok_scratch_free(scratch);
    loom_tokenizer_free(tok);
    loom_buf_release(&text);
    loom_buf_release(&json);
    loom_buf_release(&back);
}

/* More words than the cache holds: whatever was forgotten, the tokens are those of a fresh scratch. */
TEST(cache_changes_nothing)
{
    loom_toktrain_report r;
    loom_tokenizer *tok = learned(&usual, &r);
    loom_tok_scratch *used = loom_tok_scratch_new(tok);
    loom_rng rng;
    loom_rng_seed(&rng, 11, "cache", 0);
    int64_t differ = 0;
    for (int i = 0; i < 60000; i++) {
        char word[24];
        size_t len = 3 + loom_rng_below(&rng, 20);
        for (size_t k = 0; k < len; k++) word[k] = "hel"[loom_rng_below(&rng, 3)];
        loom_tokens a = {0}, b = {0};
        loom_tokenizer_encode(&a, tok, used, word, len, 0);
        if (i % 40 == 0) {
            loom_tok_scratch *fresh = loom_tok_scratch_new(tok);
            loom_tokenizer_encode(&b, tok, fresh, word, len, 0);
            differ += a.n != b.n || memcmp(a.ids, b.ids, (size_t)a.n * sizeof *a.ids) != 0;
            loom_tok_scratch_free(fresh);
        }
        loom_tokens_release(&a);
        loom_tokens_release(&b);
    }
    CHECK_I64(differ, 0);
    loom_tok_scratch_free(used);
    loom_tokenizer_free(tok);
}

TEST(wrong_use)
{
    loom_buf text = {0}, json = {0};
    loom_err err = {0};
    CHECK(learn(&json, NULL, &text, 1, &usual, &err) == LOOM_STATUS_FORMAT);
    CHECK(strstr(err.msg, "no text") != NULL);
    loom_buf_release(&text);
    loom_buf_release(&json);
}

TEST_MAIN(RUN(names_phrases_digits) RUN(format_part) RUN(samples_count_not_mentions) RUN(no_token_inside_a_spelt_name)
              RUN(budget_of_names) RUN(same_for_any_thread_count) RUN(lines_stand_alone) RUN(cache_changes_nothing)
                  RUN(wrong_use))
