/* loom-preprocess tokenizer and tokens, run in this process: what stands in the shard. */
#include <unistd.h>

#include "core/file.h"
#include "preprocess/commands/preprocess_cmds.h"
#include "store/shard.h"
#include "test.h"
#include "tokenizer/tokenizer.h"

static const char instruction[] = "### Question: You are a trace generator.\n"
                                  "Requirements:\n"
                                  "num_edges:1/id:S_000000001\n\n"
                                  " ### Answer: \n"
                                  "<layer>\n(edge_id is 0,destination is MS_00017)\n</layer>\n"
                                  " ### Finish\n";
static const char tabular[] =
    "[GENERATE GRAPH]id:S_000000001/num_edges:1\n<edges>\n(edge_id is 0,source is USER)\n</edges>\n";

/* The path of a file in a scratch folder of this process. */
static const char *in_scratch(const char *name)
{
    static char paths[8][256];
    static int next;
    static char dir[128];
    char *path = paths[next++ % 8];
    if (!dir[0]) {
        snprintf(dir, sizeof dir, "/tmp/loom-tokens.XXXXXX");
        if (!mkdtemp(dir)) TEST_FAIL_("cannot make a scratch folder");
    }
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static int run_command(int argc, const char **argv)
{
    const loom_cmd cmds[] = {loom_cmd_tokenizer, loom_cmd_tokens, {.name = NULL}};
    return loom_cli_main("loom-preprocess", "", cmds, argc, (char **)(uintptr_t)argv);
}
#define COMMAND(...)                                                                                                   \
    run_command((int)(sizeof((const char *[]){"loom-preprocess", __VA_ARGS__}) / sizeof(char *)),                      \
                (const char *[]){"loom-preprocess", __VA_ARGS__, NULL})

static void write_samples(const char *name, const char *sample, int times)
{
    loom_buf text = {0};
    loom_err err = {0};
    for (int i = 0; i < times; i++) loom_buf_str(&text, sample);
    if (loom_file_write(in_scratch(name), text.data, text.len, true, &err) != LOOM_OK) TEST_FAIL_("%s", err.msg);
    loom_buf_release(&text);
}

/* The text of tokens first..first+n-1 of the shard. */
static const char *text_of(loom_buf *into, loom_shard *s, const loom_tokenizer *tok, int64_t first, int64_t n)
{
    int32_t ids[500];
    loom_err err = {0};
    loom_buf_reset(into);
    if (n > 500 || loom_shard_read(s, first, n, ids, &err) != LOOM_OK) TEST_FAIL_("%s", err.msg);
    loom_tokenizer_decode(into, tok, ids, n, 0);
    return loom_buf_text(into);
}

static loom_shard *open_shard(const char *name, loom_tokenizer **tok)
{
    loom_err err = {0};
    loom_shard *s = NULL;
    if (loom_shard_open(&s, in_scratch(name), &err) != LOOM_OK) {
        TEST_FAIL_("%s", err.msg);
        return NULL;
    }
    const loom_shard_info *info = loom_shard_get_info(s);
    if (loom_tokenizer_parse(tok, info->tokenizer, info->tokenizer_len, name, &err) != LOOM_OK)
        TEST_FAIL_("%s", err.msg);
    return s;
}

TEST(instruction_samples)
{
    loom_buf text = {0};
    loom_tokenizer *tok = NULL;
    int64_t first, n, answer;
    write_samples("i.txt", instruction, 500);
    CHECK_I64(COMMAND("tokenizer", in_scratch("i.txt"), "-o", in_scratch("tok.json"), "-q"), 0);
    CHECK_I64(
        COMMAND("tokens", in_scratch("i.txt"), "--tokenizer", in_scratch("tok.json"), "-o", in_scratch("i.h5"), "-q"),
        0);
    loom_shard *s = open_shard("i.h5", &tok);
    REQUIRE(s && tok);
    const loom_shard_info *info = loom_shard_get_info(s);
    CHECK_I64(info->n_samples, 500);
    CHECK(info->has_bos && info->has_eos && info->bos_id == 1 && info->eos_id == 2);
    CHECK_STR(info->mode, "instruction");
    CHECK(strstr(info->meta, "\"counts\"") != NULL);
    for (int64_t i = 0; i < 500; i += 499) {
        loom_shard_range(s, i, &first, &n, &answer);
        CHECK_STR(
            text_of(&text, s, tok, first, answer),
            "<s>### Question: You are a trace generator.\nRequirements:\nnum_edges:1/id:S_000000001\n\n ### Answer: ");
        CHECK_STR(text_of(&text, s, tok, first + answer, n - answer),
                  "\n<layer>\n(edge_id is 0,destination is MS_00017)\n</layer>\n ### Finish</s>");
    }
    CHECK_I64(first + n, info->n_tokens);
    loom_shard_close(&s);
    loom_tokenizer_free(tok);
    loom_buf_release(&text);
}

TEST(tabular_samples)
{
    loom_buf text = {0};
    loom_tokenizer *tok = NULL;
    int64_t first, n, answer;
    write_samples("t.txt", tabular, 3);
    CHECK_I64(
        COMMAND("tokens", in_scratch("t.txt"), "--tokenizer", in_scratch("tok.json"), "-o", in_scratch("t.h5"), "-q"),
        0);
    CHECK_I64(COMMAND("tokens", in_scratch("t.txt"), "--tokenizer", in_scratch("tok.json"), "-o", in_scratch("b.h5"),
                      "-q", "--bos", "yes", "--eos", "yes"),
              0);
    loom_shard *s = open_shard("t.h5", &tok);
    REQUIRE(s && tok);
    CHECK(!loom_shard_get_info(s)->has_bos && !loom_shard_get_info(s)->has_eos);
    loom_shard_range(s, 2, &first, &n, &answer);
    CHECK_I64(answer, 0);
    CHECK(strncmp(text_of(&text, s, tok, first, n), tabular, strlen(tabular) - 1) == 0); /* less its last LF */
    CHECK_I64((int64_t)text.len, (int64_t)strlen(tabular) - 1);
    loom_shard_close(&s);
    loom_tokenizer_free(tok);
    s = open_shard("b.h5", &tok);
    REQUIRE(s && tok);
    CHECK(loom_shard_get_info(s)->has_bos && loom_shard_get_info(s)->has_eos);
    loom_shard_range(s, 1, &first, &n, &answer);
    CHECK(strncmp(text_of(&text, s, tok, first, n), "<s>[GENERATE GRAPH]id:", 22) == 0);
    CHECK_STR(text.data + text.len - 4, "</s>");
    loom_shard_close(&s);
    loom_tokenizer_free(tok);
    loom_buf_release(&text);
}

/* Many batches' worth of chunks on several threads: the same shard as on one. */
TEST(threads_do_not_matter)
{
    loom_tokenizer *a_tok = NULL, *b_tok = NULL;
    write_samples("long.txt", instruction, 20000);
    CHECK_I64(COMMAND("tokens", in_scratch("long.txt"), "--tokenizer", in_scratch("tok.json"), "-o", in_scratch("1.h5"),
                      "-q", "--threads", "1"),
              0);
    CHECK_I64(COMMAND("tokens", in_scratch("long.txt"), "--tokenizer", in_scratch("tok.json"), "-o", in_scratch("4.h5"),
                      "-q", "--threads", "4"),
              0);
    loom_shard *a = open_shard("1.h5", &a_tok), *b = open_shard("4.h5", &b_tok);
    REQUIRE(a && b);
    const loom_shard_info *ia = loom_shard_get_info(a), *ib = loom_shard_get_info(b);
    CHECK_I64(ia->n_samples, 20000);
    CHECK(ia->n_tokens == ib->n_tokens && ia->n_samples == ib->n_samples);
    int64_t differ = 0;
    for (int64_t at = 0; at + 5000 <= ia->n_tokens; at += 5000) {
        int32_t x[5000], y[5000];
        loom_err err = {0};
        REQUIRE_OK(loom_shard_read(a, at, 5000, x, &err), err);
        REQUIRE_OK(loom_shard_read(b, at, 5000, y, &err), err);
        differ += memcmp(x, y, sizeof x) != 0;
    }
    CHECK_I64(differ, 0);
    loom_shard_close(&a);
    loom_shard_close(&b);
    loom_tokenizer_free(a_tok);
    loom_tokenizer_free(b_tok);
}

TEST(tidy_up)
{
    static const char *const names[] = {"i.txt", "t.txt", "long.txt", "tok.json", "i.h5",
                                        "t.h5",  "b.h5",  "1.h5",     "4.h5"};
    char path[512];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s.meta.json", in_scratch(names[i]));
        unlink(path);
        CHECK_I64(unlink(in_scratch(names[i])), 0);
    }
    CHECK_I64(rmdir(in_scratch("")), 0);
}

TEST_THREADED;
TEST_MAIN(RUN(instruction_samples) RUN(tabular_samples) RUN(threads_do_not_matter) RUN(tidy_up))
