/* What training texts might have had instead: against one automaton for each token, and where nothing is known. */
#include "train/allowed.h"

#include "core/num.h"
#include "domain_rig.h"
#include "guide/token_trie.h"
#include "test.h"
#include "trace/text/textfile.h"

enum { MOST = 4000 };

typedef struct bed {
    rig r;
    loom_buf texts;
    loom_allowed *allowed;
    loom_tokens tokens;
    int64_t answer; /* first token of the answer */
    int32_t labels[MOST];
    int64_t segments[3];
    loom_batch batch;
} bed;

static loom_status write_texts(loom_buf *into, loom_mode mode, loom_err *err)
{
    loom_arena a = {0}, b = {0};
    loom_graph g;
    loom_verdict why;
    loom_rng rng;

    loom_rng_seed(&rng, 1, "texts", 0);
    if (!loom_record_read(&g, &why, records[0], strlen(records[0]), &a))
        return loom_fail(err, LOOM_STATUS_FORMAT, "not read");
    loom_status st = loom_encode_graph(into, &g, &(loom_facts){0}, &(loom_encode_conf){.mode = mode}, &rng, &b, err);
    loom_arena_release(&a);
    loom_arena_release(&b);
    return st;
}

/* A sample in the batch behind those that are there. apart: prompt and answer are cut into tokens one by one. */
static void add_sample(bed *b, const char *text, size_t len, bool apart, loom_tok_scratch *scratch)
{
    size_t cut = loom_sample_answer(text, len);
    int64_t first = b->batch.N;

    b->tokens.with_offsets = true;
    loom_tokenizer_encode(&b->tokens, b->r.tok, scratch, text, apart ? cut : len, 0);
    b->answer = b->tokens.n - first;
    if (apart) loom_tokenizer_encode(&b->tokens, b->r.tok, scratch, text + cut, len - cut, LOOM_ENCODE_CONTINUE);
    else
        while (b->answer > 0 && b->tokens.offsets[first + b->answer - 1] >= (int64_t)cut) b->answer--;
    for (int64_t n = first; n < b->tokens.n; n++)
        b->labels[n] = n + 1 < b->tokens.n && n + 1 - first >= b->answer ? b->tokens.ids[n + 1] : (int32_t)LOOM_IGNORE;
    b->batch.N = b->tokens.n;
    b->segments[++b->batch.n_segments] = b->batch.N;
    b->batch.tokens = b->tokens.ids;
}

static loom_status open_bed(bed *b, loom_err *err)
{
    size_t len;

    *b = (bed){.batch = {.labels = b->labels, .segments = b->segments}};
    LOOM_TRY(domain_tokenizer(&b->r.tok, err));
    LOOM_TRY(loom_pool_new(&b->r.pool, 2, err));
    loom_shard_info info = {.path = "x.tokens.h5",
                            .mode = "instruction",
                            .vocab_size = loom_tokenizer_vocab_size(b->r.tok),
                            .tokenizer = loom_tokenizer_json(b->r.tok, &len)};
    info.tokenizer_len = len;
    LOOM_TRY(loom_allowed_new(&b->allowed, &info, b->r.pool, err));
    return write_texts(&b->texts, LOOM_MODE_INSTRUCTION, err);
}

static void close_bed(bed *b)
{
    loom_allowed_free(b->allowed);
    loom_tokens_release(&b->tokens);
    loom_buf_release(&b->texts);
    release(&b->r);
}

/* Sample i of the graph; free it. */
static char *sample(const bed *b, int i)
{
    static const char end[] = " ### Finish\n";
    const char *from = loom_buf_text(&b->texts), *to = strstr(from, end);

    for (; to && i > 0; i--) from = to + strlen(end), to = strstr(from, end);
    if (!to) TEST_FAIL_("%s", "no such sample");
    char *text = to ? loom_strdup(from) : NULL;
    if (text) text[to + strlen(end) - from] = '\0';
    return text;
}

static size_t words(const bed *b) { return loom_bit_words(loom_tokenizer_vocab_size(b->r.tok)); }

static bool is_empty(const bed *b, int64_t n)
{
    for (size_t i = 0; i < words(b); i++)
        if (b->batch.allowed[(size_t)n * words(b) + i]) return false;
    return true;
}

/* Of every token: does an automaton take it that has only seen what stands before? */
static void check_row(const bed *b, const uint64_t *row, const char *text, size_t prompt, size_t before)
{
    loom_automaton_conf conf = {.mode = LOOM_MODE_INSTRUCTION, .full = true, .prompt = text, .prompt_len = prompt};
    loom_automaton *a = NULL;
    loom_err err;

    REQUIRE_OK(loom_automaton_new(&a, &conf, &err), err);
    loom_automaton_state seen = *loom_automaton_start(a);
    for (size_t i = 0; i < before; i++) loom_automaton_step(a, &seen, (unsigned char)text[prompt + i]);
    for (int32_t id = 0; id < loom_tokenizer_vocab_size(b->r.tok); id++) {
        size_t len = 0;
        const char *bytes = loom_tokenizer_bytes(b->r.tok, id, &len);
        bool good = len && !loom_tokenizer_is_special(b->r.tok, id);
        loom_automaton_state s = seen;
        for (size_t i = 0; good && i < len && !s.done; i++) good = loom_automaton_step(a, &s, (unsigned char)bytes[i]);
        CHECK(loom_has_bit(row, id) == good);
    }
    loom_automaton_free(a);
}

static void check_sample(int i, bool apart)
{
    bed b;
    loom_err err;
    int64_t rows, known, checked = 0;

    REQUIRE_OK(open_bed(&b, &err), err);
    loom_tok_scratch *scratch = loom_tok_scratch_new(b.r.tok);
    char *text = sample(&b, i);
    size_t len = strlen(text), prompt = loom_sample_answer(text, len) + 1, before = 0; /* the blank */
    add_sample(&b, text, len, apart, scratch);
    REQUIRE_OK(loom_allowed_fill(b.allowed, &b.batch, &err), err);
    for (int64_t n = 0; n < b.batch.N; n++) {
        if (b.labels[n] == LOOM_IGNORE || is_empty(&b, n)) continue;
        size_t size = 0;
        loom_tokenizer_bytes(b.r.tok, b.labels[n], &size);
        check_row(&b, b.batch.allowed + (size_t)n * words(&b), text, prompt, before);
        CHECK(loom_has_bit(b.batch.allowed + (size_t)n * words(&b), b.labels[n]));
        before += size;
        checked++;
    }
    loom_allowed_seen(b.allowed, &rows, &known);
    CHECK(known == checked && rows == b.batch.N - b.answer && known > rows - 12); /* not what follows "finish" */
    free(text);
    loom_tok_scratch_free(scratch);
    close_bed(&b);
}

TEST(as_one_automaton_for_each)
{
    for (int i = 0; i < 3; i++) check_sample(i, i == 1);
}

/* A number that is wrong: known up to it, not from it on. A request that says nothing: not at all. */
TEST(broken_texts)
{
    bed b;
    loom_err err;
    int64_t n = 0;

    REQUIRE_OK(open_bed(&b, &err), err);
    loom_tok_scratch *scratch = loom_tok_scratch_new(b.r.tok);
    char *text = sample(&b, 1), *id = strstr(text, "edge_id is ");
    REQUIRE(id);
    id[strlen("edge_id is ")] = '7';
    add_sample(&b, text, strlen(text), false, scratch);
    add_sample(&b, "nothing asked ### Answer: \n<layer>", strlen("nothing asked ### Answer: \n<layer>"), false,
               scratch);
    REQUIRE_OK(loom_allowed_fill(b.allowed, &b.batch, &err), err);
    for (n = b.answer = 0; n < b.segments[1] && is_empty(&b, n); n++) {
    }
    CHECK(n > 0 && n < b.segments[1]);
    for (; n < b.segments[1] && !is_empty(&b, n); n++) {
    }
    size_t size = 0;
    const char *bytes = loom_tokenizer_bytes(b.r.tok, b.labels[n], &size);
    CHECK(size && bytes[size - 1] == '7');
    for (; n < b.batch.N; n++) CHECK(is_empty(&b, n));
    free(text);
    loom_tok_scratch_free(scratch);
    close_bed(&b);
}

/* The second layer's text when its prompt asks for an edge from its start node; free it. */
static char *asked_sample(const bed *b, const char *line)
{
    static const char mark[] = "Conditions:\n";
    char *text = sample(b, 1), *at = strstr(text, mark);
    loom_buf all = {0};

    CHECK(at);
    size_t head = at ? (size_t)(at - text) + strlen(mark) : 0;
    loom_buf_append(&all, text, head);
    loom_buf_str(&all, line);
    loom_buf_str(&all, text + head);
    free(text);
    return all.data;
}

/* The first counted row whose label is this text. */
static int64_t row_of(const bed *b, const char *label)
{
    for (int64_t n = 0; n < b->batch.N; n++) {
        size_t len = 0;
        const char *bytes =
            b->labels[n] == LOOM_IGNORE || is_empty(b, n) ? NULL : loom_tokenizer_bytes(b->r.tok, b->labels[n], &len);
        if (bytes && len == strlen(label) && memcmp(bytes, label, len) == 0) return n;
    }
    return -1;
}

static bool may_be(const bed *b, int64_t n, const char *text)
{
    loom_tokens t = {0};
    loom_tok_scratch *scratch = loom_tok_scratch_new(b->r.tok);
    loom_tokenizer_encode(&t, b->r.tok, scratch, text, strlen(text), LOOM_ENCODE_CONTINUE);
    bool good = t.n == 1 && loom_has_bit(b->batch.allowed + (size_t)n * words(b), t.ids[0]);
    CHECK_I64(t.n, 1);
    loom_tokens_release(&t);
    loom_tok_scratch_free(scratch);
    return good;
}

/* A text that begins with the call it is asked for might have had no other first, also where it breaks a rule later;
 * one that has it later, might. */
static void check_asked(const char *line, bool first, bool broken)
{
    bed b;
    loom_err err;
    int64_t rows, known;

    REQUIRE_OK(open_bed(&b, &err), err);
    loom_tok_scratch *scratch = loom_tok_scratch_new(b.r.tok);
    char *text = asked_sample(&b, line), *second = strstr(text, "edge_id is 2");
    REQUIRE(second);
    if (broken) second[strlen("edge_id is ")] = '7';
    add_sample(&b, text, strlen(text), false, scratch);
    REQUIRE_OK(loom_allowed_fill(b.allowed, &b.batch, &err), err);
    int64_t type = row_of(&b, "rpc"), name = row_of(&b, "MS_00002");
    REQUIRE(type > 0 && name > type);
    CHECK(may_be(&b, type, "rpc") && may_be(&b, name, "MS_00002"));
    CHECK(may_be(&b, type, "mc") == !first);
    CHECK(may_be(&b, name, "MS_00001") == !first);
    if (!broken) CHECK(may_be(&b, row_of(&b, "mc"), "rpc") == first); /* the second: whatever, or the one owed */
    loom_allowed_seen(b.allowed, &rows, &known);
    CHECK(rows == b.batch.N - b.answer && (known > rows - 12) == !broken);
    free(text);
    loom_tok_scratch_free(scratch);
    close_bed(&b);
}

TEST(what_is_asked_for_comes_first)
{
    check_asked("Include an edge from MS_00001 to MS_00002 with rpc type\n", true, false);
    check_asked("Include an edge from MS_00001 to MS_00002 with rpc type\n", true, true);
    check_asked("Include an edge from MS_00001 to MS_00007 with mc type\n", false, false);
}

/* An answer that lacks what is asked for, and is right else: one row is left, which may be `good` and not `wrong`. */
static void check_refused(const char *line, const char *wrong, const char *good)
{
    bed b;
    loom_err err;
    int64_t left = 0, row = -1;

    REQUIRE_OK(open_bed(&b, &err), err);
    loom_tok_scratch *scratch = loom_tok_scratch_new(b.r.tok);
    char *text = asked_sample(&b, line);
    add_sample(&b, text, strlen(text), false, scratch);
    REQUIRE_OK(loom_allowed_fill(b.allowed, &b.batch, &err), err);
    for (int64_t n = 0; n < b.batch.N; n++) {
        CHECK(is_empty(&b, n) == (b.batch.labels[n] == LOOM_IGNORE));
        if (b.batch.labels[n] == LOOM_IGNORE) continue;
        left++;
        row = n;
        CHECK_I64(b.batch.labels[n], b.labels[n]);
    }
    REQUIRE(left == 1);
    size_t len = 0;
    const char *bytes = loom_tokenizer_bytes(b.r.tok, b.labels[row], &len);
    CHECK(len == strlen(wrong) && memcmp(bytes, wrong, len) == 0);
    CHECK(may_be(&b, row, good) && !may_be(&b, row, wrong));
    for (int32_t v = 0, n = 0; v < loom_tokenizer_vocab_size(b.r.tok); v++) /* not "M", which might be spelled on */
        CHECK((n += loom_has_bit(b.batch.allowed + (size_t)row * words(&b), v)) <= 1);
    free(text);
    loom_tok_scratch_free(scratch);
    close_bed(&b);
}

TEST(what_does_not_do_what_is_asked_is_wrong)
{
    check_refused("Include an edge from MS_00001 to MS_00002 with mc type\n", "rpc", "mc");
    check_refused("Include an edge from MS_00001 to MS_00001 with rpc type\n", "MS_00002", "MS_00001");
    /* the last call of a layer with one level below is its last chance to lead to the caller */
    check_refused("Include an edge from MS_00007 to MS_00009 with db type\n", "1", "2");
}

TEST(other_texts)
{
    loom_allowed *x = NULL;
    loom_shard_info info = {.path = "x.tokens.h5", .mode = "sonnets", .vocab_size = 10, .tokenizer = "{}"};
    loom_err err;

    CHECK(loom_allowed_new(&x, &info, NULL, &err) == LOOM_STATUS_FORMAT && strstr(err.msg, "sonnets"));
    snprintf(info.mode, sizeof info.mode, "tabular");
    CHECK(loom_allowed_new(&x, &info, NULL, &err) == LOOM_STATUS_FORMAT && strstr(err.msg, "tokenizer"));
    CHECK(!x);
    loom_allowed_free(NULL);
}

TEST_THREADED;
TEST_MAIN(RUN(as_one_automaton_for_each) RUN(broken_texts) RUN(what_is_asked_for_comes_first)
              RUN(what_does_not_do_what_is_asked_is_wrong) RUN(other_texts))
