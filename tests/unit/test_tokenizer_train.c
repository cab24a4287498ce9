/* The domain tokenizer: what becomes a token, and that the result hangs on nothing but the counts. */
#include "core/json.h"
#include "core/rng.h"
#include "test.h"
#include "tokenizer/bpelearn.h"
#include "tokenizer/tokenizer.h"
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

static loom_status learn(loom_buf *json, loom_toktrain_report *report, const loom_buf *text, int threads,
                         const loom_toktrain_conf *conf, loom_err *err)
{
    loom_toktrain *t = NULL;
    LOOM_TRY(loom_toktrain_new(&t, threads, err));
    size_t line = 0;
    int thread = 0;
    for (size_t i = 0; i < text->len; i++) /* lines go round the threads, last thread first */
        if (text->data[i] == '\n') {
            loom_toktrain_count(t, threads - 1 - thread, text->data + line, i + 1 - line);
            thread = (thread + 1) % threads;
            line = i + 1;
        }
    loom_status st = loom_toktrain_finish(json, report, t, conf, err);
    loom_toktrain_free(t);
    return st;
}

static const loom_toktrain_conf usual = {.vocab_size = 400, .name_tokens = -1, .merges = 16, .min_count = 4};

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
    CHECK(r.vocab_size <= 400 && r.name_tokens > 20 && r.phrase_tokens > 10);
    CHECK(r.names_single > r.names * 9 / 10);
    for (int32_t id = 0; id < (int32_t)r.vocab_size; id++) { /* no holes, and every text finds its id */
        const char *text = loom_tokenizer_text(tok, id);
        REQUIRE(text);
        CHECK_I64(loom_tokenizer_find(tok, text, strlen(text)), id);
    }
    loom_tokenizer_free(tok);
    loom_buf_release(&got);
}

/* An id is one token where there is room; the digits of one that got none are not joined, or names would be spelt in
 * pairs. */
TEST(edge_ids)
{
    loom_buf text = {0}, json = {0}, got = {0}, name = {0}, digits = {0};
    loom_err err = {0};
    loom_tokenizer *tok = NULL;
    loom_toktrain_conf conf = {.vocab_size = 300, .name_tokens = 0, .merges = 40, .min_count = 5};
    for (int i = 0; i < 700; i++) loom_buf_printf(&text, "edge_id is %d,num_edges:12\n", i < 100 ? 99 : 10 + i % 60);
    REQUIRE_OK(learn(&json, NULL, &text, 1, &conf, &err), err);
    REQUIRE_OK(loom_tokenizer_parse(&tok, json.data, json.len, "learned", &err), err);
    CHECK_STR(spelt(&got, tok, "edge_id is 99,num_edges:99"), "edge_id is |99|,|num_edges:|9|9");
    for (int id = 10; id < 70; id++) {
        loom_buf_reset(&name);
        loom_buf_reset(&digits);
        loom_buf_printf(&name, "S_%d", id);
        loom_buf_printf(&digits, "S_|%d|%d", id / 10, id % 10);
        CHECK_STR(spelt(&got, tok, loom_buf_text(&name)), loom_buf_text(&digits));
    }
    loom_tokenizer_free(tok);
    loom_buf_release(&text);
    loom_buf_release(&json);
    loom_buf_release(&got);
    loom_buf_release(&name);
    loom_buf_release(&digits);
}

TEST(budgets)
{
    loom_buf got = {0};
    loom_toktrain_report all, few, tiny;
    loom_toktrain_conf conf = usual;
    loom_tokenizer *tok = learned(&conf, &all);
    loom_tokenizer_free(tok);
    conf.name_tokens = 5;
    tok = learned(&conf, &few);
    CHECK_I64(few.name_tokens, 5);
    CHECK_I64(few.phrase_tokens, all.phrase_tokens);
    CHECK_STR(spelt(&got, tok, "MS_00000"), "MS_00000"); /* the most frequent ones */
    loom_tokenizer_free(tok);
    conf = usual;
    conf.vocab_size = 300;
    tok = learned(&conf, &tiny);
    CHECK_I64(tiny.vocab_size, 300);
    CHECK_I64(loom_tokenizer_vocab_size(tok), 300);
    CHECK(tiny.tokens > all.tokens);
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

/* Words that get no token of their own are spelt by learned merges; texts of special tokens stay special. */
TEST(merges_and_special_texts)
{
    loom_buf text = {0}, json = {0};
    loom_err err = {0};
    loom_toktrain_report r;
    loom_tokenizer *tok = NULL;
    loom_toktrain_conf conf = {.vocab_size = 310, .name_tokens = -1, .merges = 20, .min_count = 2};
    for (int i = 0; i < 300; i++) loom_buf_printf(&text, "token%c%c<s></s>\n", 'a' + i % 25, 'a' + i % 24);
    REQUIRE_OK(learn(&json, &r, &text, 1, &conf, &err), err);
    REQUIRE_OK(loom_tokenizer_parse(&tok, json.data, json.len, "learned", &err), err);
    loom_buf got = {0};
    CHECK(r.merges > 4 && r.vocab_size <= 310);
    CHECK(strncmp(spelt(&got, tok, "tokenzzz"), "token|", 6) == 0);
    CHECK_I64(loom_tokenizer_find(tok, "<s>", 3), 1);
    loom_tokenizer_free(tok);
    loom_buf_release(&text);
    loom_buf_release(&json);
    loom_buf_release(&got);
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

/* The most frequent pair first, words counted as often as they stand; ties go to the smaller symbols. */
TEST(order_of_merges)
{
    const loom_word words[] = {{"ab", 2, 3}, {"abab", 4, 1}, {"zyz", 3, 9}, {"cab", 3, 4}, {"<s>", 3, 50}};
    static const char *const forbidden[] = {"<s>", NULL};
    loom_bpelearn b = {0};
    loom_err err = {0};
    loom_buf got = {0};
    REQUIRE_OK(loom_bpelearn_run(&b, words, 5, 6, 4, forbidden, &err), err);
    for (int64_t m = 0; m < b.n_merges; m++)
        loom_buf_printf(&got, "%s+%s ", loom_intern_text(&b.symbols, b.merges[m].left),
                        loom_intern_text(&b.symbols, b.merges[m].right));
    CHECK_STR(loom_buf_text(&got), "<+s a+b y+z z+yz c+ab "); /* "s>" is gone, "<s>" forbidden, "abab" too rare */
    loom_bpelearn_release(&b);
    loom_buf_release(&got);
}

TEST(wrong_use)
{
    loom_buf text = {0}, json = {0};
    loom_err err = {0};
    loom_toktrain_conf conf = usual;
    CHECK(learn(&json, NULL, &text, 1, &conf, &err) == LOOM_STATUS_FORMAT);
    loom_buf_str(&text, "a\n");
    conf.vocab_size = 100;
    CHECK(learn(&json, NULL, &text, 1, &conf, &err) == LOOM_STATUS_ARG && strstr(err.msg, "300"));
    loom_buf_release(&text);
    loom_buf_release(&json);
}

TEST_MAIN(RUN(names_phrases_digits) RUN(edge_ids) RUN(budgets) RUN(same_for_any_thread_count) RUN(lines_stand_alone)
              RUN(merges_and_special_texts) RUN(order_of_merges) RUN(cache_changes_nothing) RUN(wrong_use))
