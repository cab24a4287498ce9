/* Two small tokenizers of ours, and the published ones, against ids from other programs, and there and back on the
 * published training text. The ids of the small ones come from a plain merging by rank, written apart from this
 * code; the published files are other people's, and their tests are skipped where they are absent. */
#include "core/file.h"
#include "core/json.h"
#include "test.h"
#include "tokenizer/tokenizer.h"

static loom_tokenizer *load_file(const char *path)
{
    loom_err err = {0};
    loom_tokenizer *tok = NULL;
    if (loom_tokenizer_load(&tok, path, &err) != LOOM_OK) TEST_FAIL_("%s", err.msg);
    return tok;
}

static loom_tokenizer *load(const char *family)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/data/tokenizers/%s/tokenizer.json", test_shared(), family);
    return load_file(path);
}

/* Llama-2 cannot tell U+2581 in a text from a blank (nor can any other program that uses it). */
static void blanks_for_2581(loom_buf *into, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool mark = len - i >= 3 && memcmp(text + i, "\xE2\x96\x81", 3) == 0;
        loom_buf_char(into, mark ? ' ' : text[i]);
        if (mark) i += 2;
    }
}

/* One line: ids equal, text comes back. */
static void check_line(const loom_tokenizer *tok, loom_tok_scratch *scratch, const loom_json *line, int64_t number)
{
    size_t len;
    const char *text = loom_json_str(loom_json_get(line, "text"), &len);
    const loom_json *ids = loom_json_get(line, "ids");
    loom_tokens got = {.with_offsets = true};
    loom_buf back = {0}, want = {0};

    REQUIRE(text && ids);
    if (loom_tokenizer_find(tok, "<0x0A>", 6) >= 0) blanks_for_2581(&want, text, len);
    else loom_buf_append(&want, text, len);
    loom_tokenizer_encode(&got, tok, scratch, text, len, 0);
    bool same = got.n == (int64_t)loom_json_len(ids);
    for (int64_t i = 0; same && i < got.n; i++) same = got.ids[i] == loom_json_i64(loom_json_at(ids, (size_t)i), -1);
    test_checks_++;
    if (!same) TEST_FAIL_("line %" PRId64 ": other ids than expected for \"%s\"", number, text);
    for (unsigned flags = 0; flags <= LOOM_DECODE_UTF8; flags += LOOM_DECODE_UTF8) {
        loom_buf_reset(&back);
        loom_tokenizer_decode(&back, tok, got.ids, got.n, flags);
        test_checks_++;
        if (back.len != want.len || memcmp(loom_buf_text(&back), loom_buf_text(&want), want.len) != 0)
            TEST_FAIL_("line %" PRId64 ": \"%s\" came back as \"%s\"", number, text, loom_buf_text(&back));
    }
    loom_buf_release(&back);
    loom_buf_release(&want);
    loom_tokens_release(&got);
}

/* Every line of the file; frees the tokenizer. */
static void check_lines(loom_tokenizer *tok, const char *path, int64_t least)
{
    char *line;
    size_t len;
    loom_err err = {0};
    loom_lines *lines = NULL;
    REQUIRE(tok);
    loom_tok_scratch *scratch = loom_tok_scratch_new(tok);
    REQUIRE_OK(loom_lines_open(&lines, path, &err), err);
    while (loom_lines_next(lines, &line, &len, &err) == LOOM_OK && line) {
        loom_json *root = NULL;
        REQUIRE_OK(loom_json_parse(&root, line, len, path, &err), err);
        check_line(tok, scratch, root, loom_lines_number(lines));
        loom_json_free(root);
    }
    CHECK(loom_lines_number(lines) >= least);
    loom_lines_close(&lines);
    loom_tok_scratch_free(scratch);
    loom_tokenizer_free(tok);
}

static void check_file(const char *family)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/golden/tokenizer/%s.jsonl", test_shared(), family);
    check_lines(load(family), path, 90);
}

#define OWN LOOM_SOURCE_DIR "/tests/golden/tokenizer/"
TEST(own_characters) { check_lines(load_file(OWN "characters.json"), OWN "characters.jsonl", 12); }
TEST(own_byte_level) { check_lines(load_file(OWN "byte-level.json"), OWN "byte-level.jsonl", 12); }

TEST(llama2_ids)
{
    if (!test_shared()) SKIP("no shared data");
    check_file("llama-2");
}

TEST(llama3_ids)
{
    if (!test_shared()) SKIP("no shared data");
    check_file("llama-3");
}

/* decode(encode(x)) = x, offsets tile the text, and cutting the work into lines changes nothing that may not change. */
static void check_text(const loom_tokenizer *tok, const char *name)
{
    char path[4096];
    loom_err err = {0};
    loom_buf text = {0}, back = {0}, streamed = {0};
    loom_tokens tokens = {.with_offsets = true};
    loom_tok_scratch *scratch = loom_tok_scratch_new(tok);
    loom_tok_stream stream = loom_tok_stream_start(true);

    snprintf(path, sizeof path, "%s/data/alibaba-v2022-text/%s", test_shared(), name);
    REQUIRE_OK(loom_file_read(&text, path, 1 << 24, &err), err);
    loom_tokenizer_encode(&tokens, tok, scratch, text.data, text.len, 0);
    loom_tokenizer_decode(&back, tok, tokens.ids, tokens.n, 0);
    CHECK(back.len == text.len && memcmp(back.data, text.data, text.len) == 0);
    int64_t bad = 0;
    for (int64_t i = 0; i < tokens.n; i++) {
        size_t len, end = i + 1 < tokens.n ? (size_t)tokens.offsets[i + 1] : text.len, at = (size_t)tokens.offsets[i];
        const char *bytes = loom_tokenizer_bytes(tok, tokens.ids[i], &len);
        if (i > 0) bad += len != end - at || memcmp(bytes, text.data + at, len) != 0;
        loom_tok_stream_push(&stream, &streamed, tok, tokens.ids[i]);
    }
    CHECK_I64(bad, 0);
    CHECK(streamed.len == text.len && memcmp(streamed.data, text.data, text.len) == 0);
    loom_tok_scratch_free(scratch);
    loom_tokens_release(&tokens);
    loom_buf_release(&text);
    loom_buf_release(&back);
    loom_buf_release(&streamed);
}

static void check_training_text(const char *family)
{
    loom_tokenizer *tok = load(family);
    REQUIRE(tok);
    check_text(tok, "tabular_dataset.txt");
    check_text(tok, "recursive_dataset.txt");
    check_text(tok, "recursive_instruction_dataset.txt");
    loom_tokenizer_free(tok);
}

TEST(llama2_there_and_back)
{
    if (!test_shared()) SKIP("no shared data");
    check_training_text("llama-2");
}

TEST(llama3_there_and_back)
{
    if (!test_shared()) SKIP("no shared data");
    check_training_text("llama-3");
}

TEST(vocabularies)
{
    if (!test_shared()) SKIP("no shared data");
    loom_tokenizer *two = load("llama-2"), *three = load("llama-3");
    REQUIRE(two && three);
    CHECK_I64(loom_tokenizer_vocab_size(two), 32000);
    CHECK_I64(loom_tokenizer_bos(two), 1);
    CHECK_I64(loom_tokenizer_eos(two), 2);
    CHECK_I64(loom_tokenizer_unk(two), 0);
    CHECK_I64(loom_tokenizer_vocab_size(three), 128256);
    CHECK_I64(loom_tokenizer_bos(three), 128000);
    CHECK_I64(loom_tokenizer_eos(three), 128001);
    CHECK_I64(loom_tokenizer_unk(three), -1);
    CHECK(loom_tokenizer_is_special(three, 128009) && !loom_tokenizer_is_special(three, 524));
    CHECK_STR(loom_tokenizer_text(three, 17010), "\xC4\xA0###");
    CHECK_STR(loom_tokenizer_text(two, 13), "<0x0A>");
    loom_tokenizer_free(two);
    loom_tokenizer_free(three);
}

TEST_MAIN(RUN(own_characters) RUN(own_byte_level) RUN(llama2_ids) RUN(llama3_ids) RUN(llama2_there_and_back)
              RUN(llama3_there_and_back) RUN(vocabularies))
