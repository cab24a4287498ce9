/* CSV records, blocks of records, values, and the set of hashes. */
#include <unistd.h>

#include "core/num.h"
#include "core/rng.h"
#include "core/utf8.h"
#include "preprocess/rows/split_traces.h"
#include "readers/rows/csv.h"
#include "readers/rows/row_reader.h"
#include "test.h"
#include "trace/graph/rename.h"

static loom_csv csv;

/* All records of a text as "a|b;c;" with !Q !N !L for bad ones. */
static void render_records(loom_buf *into, const char *text, size_t whole, size_t len, bool last, size_t *left)
{
    const char *at = text, *end = text + len;
    int64_t lines;
    while (at < text + whole) {
        loom_csv_kind kind = loom_csv_next(&csv, &at, end, last, &lines);
        if (kind == LOOM_CSV_END || kind == LOOM_CSV_MORE) break;
        if (kind == LOOM_CSV_BLANK) continue;
        if (kind == LOOM_CSV_RECORD)
            for (int32_t i = 0; i < csv.n_fields; i++) {
                if (i) loom_buf_char(into, '|');
                loom_buf_append(into, csv.fields[i].at, csv.fields[i].len);
            }
        else loom_buf_str(into, kind == LOOM_CSV_BAD_QUOTES ? "!Q" : kind == LOOM_CSV_BAD_BYTES ? "!N" : "!L");
        loom_buf_char(into, ';');
    }
    *left = (size_t)(text + whole - at);
}

static void expect_records(int32_t n_columns, const char *text, const char *want)
{
    loom_buf got = {0};
    size_t left;
    csv.n_columns = n_columns;
    render_records(&got, text, strlen(text), strlen(text), true, &left);
    CHECK_STR(loom_buf_text(&got), want);
    CHECK_I64(left, 0);
    loom_buf_release(&got);
}

TEST(records)
{
    expect_records(2, "", "");
    expect_records(2, "a,b\nc,d\n", "a|b;c|d;");
    expect_records(2, "a,b\r\n\r\n\nc,d", "a|b;c|d;");
    expect_records(2, ",\n", "|;");
    expect_records(2, "a,b,\n", "a|b|;");
    expect_records(2, "a\n", "a;");
    expect_records(2, "\"a\",\"b\"\n", "a|b;");
    expect_records(2, "\"a,1\",\"b \"\"q\"\"\"\r\n", "a,1|b \"q\";");
    expect_records(2, "\"\",\"\"\"\"\n", "|\";");
    expect_records(2, "a\"b,c\n", "a\"b|c;");
    expect_records(2, "\"a\"x,b\nc,d\n", "!Q;c|d;");
    expect_records(2, "\"a\nb\",c\nd,e\n", "a\nb|c;d|e;");
    expect_records(2, "\"a\nb\",c,d\ne,f\n",
                   "!Q;b\"|c|d;e|f;"); /* joined it has three fields: the lines stand for themselves */
    expect_records(2, "\"a,b\nc,d\ne,f\n", "!Q;c|d;e|f;");
    expect_records(2, "x,\"a", "!Q;");
    expect_records(3, "\"a,1\n\"b,2\nc,3\n", "!Q;!Q;c|3;");
}

TEST(limits_of_joining)
{
    loom_buf text = {0}, got = {0};
    size_t left;
    csv.n_columns = 2;
    loom_buf_str(&text, "\"");
    for (int i = 0; i < LOOM_CSV_JOIN_LINES + 1; i++) loom_buf_str(&text, "x\n");
    loom_buf_str(&text, "\",y\n");
    render_records(&got, text.data, text.len, text.len, true, &left);
    CHECK(strncmp(got.data, "!Q;x;x;", 7) == 0);
    loom_buf_reset(&text);
    loom_buf_reset(&got);
    CHECK(loom_buf_reserve(&text, LOOM_CSV_MAX_LINE + 10));
    for (int i = 0; i <= LOOM_CSV_MAX_LINE; i++) loom_buf_char(&text, 'a');
    loom_buf_str(&text, "\nb,c\n");
    render_records(&got, text.data, text.len, text.len, true, &left);
    CHECK_STR(got.data, "!L;b|c;");
    loom_buf_release(&text);
    loom_buf_release(&got);
}

/* Records with everything that can go wrong, longer than a few blocks. */
static void make_text(loom_buf *text, loom_rng *rng, size_t bytes, double quotes)
{
    loom_buf_str(text, "a,b,c\n");
    while (text->len < bytes) {
        double kind = loom_rng_f64(rng);
        unsigned long long n = loom_rng_below(rng, 1000000);
        if (kind < quotes) loom_buf_printf(text, "\"%llu\",\"x,\n%llu\",\"\"\"q\"\"\"\r\n", n, n);
        else if (kind < quotes * 1.1) loom_buf_printf(text, "%llu,\"open,%llu\n", n, n);
        else if (kind < quotes * 1.11) loom_buf_printf(text, "%llu,\"far%*s\n\n\n\",%llu\n", n, 5000, "", n);
        else if (kind > 0.99999) {
            for (int i = 0; i < 300000; i++) loom_buf_append(text, "long line,", 10);
            loom_buf_char(text, '\n');
        } else loom_buf_printf(text, "%llu,%llu,%llu\n", n, n * n, n + 1);
    }
}

static bool seen_first(loom_hash_set *s, loom_hash128 key)
{
    bool fresh;
    return loom_hash_set_add(s, key, &fresh) && fresh;
}

static void check_blocks(double quotes, uint64_t seed, bool cut)
{
    char path[] = "/tmp/loom-csv-XXXXXX";
    loom_buf text = {0}, want = {0}, got = {0}, block = {0};
    loom_csv_reader reader = {0};
    loom_csv_kind kind;
    loom_rng rng;
    loom_err err;
    size_t left = 0, whole = 0;
    int64_t lines;
    bool last = false;
    int fd = mkstemp(path);
    REQUIRE(fd >= 0);
    close(fd);
    loom_rng_seed(&rng, seed, "csv", 0);
    make_text(&text, &rng, 9 << 20, quotes);
    if (cut) text.len -= 2;
    REQUIRE_OK(loom_file_write(path, text.data, text.len, true, &err), err);
    csv.n_columns = 3;
    render_records(&want, text.data + 6, text.len - 6, text.len - 6, true, &left);
    CHECK_I64(left, 0);

    REQUIRE_OK(loom_in_open(&reader.in, path, &err), err);
    REQUIRE_OK(loom_csv_reader_header(&reader, &csv, &kind, &lines, &err), err);
    CHECK(kind == LOOM_CSV_RECORD && csv.n_fields == 3 && lines == 1);
    int64_t blocks = 0;
    do {
        REQUIRE_OK(loom_csv_reader_block(&reader, &block, &whole, &last, &err), err);
        render_records(&got, loom_buf_text(&block), whole, block.len, last, &left);
        CHECK_I64(left, 0);
        blocks++;
    } while (whole > 0);
    CHECK(blocks >= 3);
    CHECK(got.len == want.len && memcmp(got.data, want.data, got.len) == 0);
    CHECK(want.len > 1000);
    loom_in_close(&reader.in);
    loom_csv_reader_release(&reader);
    unlink(path);
    loom_buf_release(&text);
    loom_buf_release(&want);
    loom_buf_release(&got);
    loom_buf_release(&block);
}

TEST(blocks_do_not_matter)
{
    check_blocks(0, 1, false);
    check_blocks(0, 2, true);
    check_blocks(0.5, 3, false);
    check_blocks(0.0001, 4, true);
}

TEST(milliseconds)
{
    static const struct {
        const char *text;
        bool ok;
        int64_t ms;
    } cases[] = {
        {"5", true, 5},
        {"2.999", true, 2},
        {"-0.5", true, 0},
        {"-2.0", true, -2},
        {"0012", true, 12},
        {"1e3", true, 1000},
        {"+7", true, 7},
        {".5", true, 0},
        {"1.", true, 1},
        {"4503599627370496", true, 4503599627370496},
        {"4503599627370497", false, 0},
        {"99999999999999999999", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"abc", false, 0},
        {"inf", false, 0},
        {"nan", false, 0},
        {"1,5", false, 0},
        {"5 ", false, 0},
        {"0x10", false, 0},
        {"1.5.2", false, 0},
        {".", false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t ms = 0;
        bool ok = loom_parse_ms(cases[i].text, strlen(cases[i].text), &ms);
        CHECK(ok == cases[i].ok);
        if (ok != cases[i].ok) fprintf(stderr, "  \"%s\"\n", cases[i].text);
        if (ok && cases[i].ok) CHECK_I64(ms, cases[i].ms);
    }
}

TEST(null_spellings_and_utf8)
{
    static const char *const nulls[] = {"", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "-nan", "#N/A"};
    static const char *const values[] = {"0", "none", "Nan", "MS_1", "USER", "N", "NaNs", "2.0"};
    for (size_t i = 0; i < sizeof nulls / sizeof *nulls; i++) CHECK(loom_is_null_text(nulls[i], strlen(nulls[i])));
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) CHECK(!loom_is_null_text(values[i], strlen(values[i])));
    CHECK(loom_utf8_valid("plain \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", 17));
    CHECK(!loom_utf8_valid("\xc0\xaf", 2) && !loom_utf8_valid("\xe2\x82", 2) && !loom_utf8_valid("\xed\xa0\x80", 3));
    CHECK(!loom_utf8_valid("\xff", 1) && !loom_utf8_valid("\x80", 1) && !loom_utf8_valid("\xf4\x90\x80\x80", 4));
}

TEST(seen_hashes)
{
    enum { N = 200000 };
    loom_hash_set s = {0};
    loom_rng rng;
    loom_rng_seed(&rng, 1, "seen", 0);
    CHECK(seen_first(&s, (loom_hash128){0, 0}) && !seen_first(&s, (loom_hash128){0, 0}));
    size_t worst = 0;
    for (int i = 0; i < N; i++) {
        CHECK(seen_first(&s, (loom_hash128){loom_rng_u64(&rng), loom_rng_u64(&rng)}));
        if (i > 50000 && loom_hash_set_bytes(&s) / (size_t)i > worst) worst = loom_hash_set_bytes(&s) / (size_t)i;
    }
    loom_rng_seed(&rng, 1, "seen", 0);
    for (int i = 0; i < N; i++) CHECK(!seen_first(&s, (loom_hash128){loom_rng_u64(&rng), loom_rng_u64(&rng)}));
    CHECK_I64(s.n, N + 1);
    CHECK(worst <= 30);
    CHECK(seen_first(&s, (loom_hash128){1, 0}) && seen_first(&s, (loom_hash128){0, 1}));
    loom_hash_set_release(&s);
}

static bool came_back(loom_split_traces *s, int i)
{
    char id[32];
    bool back = false;
    CHECK(loom_split_traces_add(s, id, (size_t)snprintf(id, sizeof id, "T_%d", i), &back));
    return back;
}

TEST(split_traces)
{
    loom_split_traces s = {.span = 10};
    for (int i = 0; i < 10; i++) CHECK(!came_back(&s, i));
    CHECK(came_back(&s, 0)); /* the oldest of the span */
    for (int i = 10; i < 18; i++) CHECK(!came_back(&s, i));
    CHECK_I64(s.n_back, 1);
    CHECK_I64(s.n_forgotten, 0);
    CHECK(came_back(&s, 9) && came_back(&s, 0) && came_back(&s, 17));
    CHECK(!came_back(&s, 1)); /* more than ten others came between */
    CHECK_I64(s.n_forgotten, 10);
    CHECK(s.recent.n + s.older.n <= 20);
    CHECK(came_back(&s, 1));
    loom_split_traces_release(&s);
}

/* Whatever came before, what is kept stays within the bound that the header states. */
TEST(split_traces_memory)
{
    enum { SPAN = 20000 };
    loom_split_traces s = {.span = SPAN};
    size_t most = 0;
    for (int i = 0; i < 5 * SPAN; i++) {
        CHECK(!came_back(&s, i));
        size_t bytes = loom_hash_set_bytes(&s.recent) + loom_hash_set_bytes(&s.older);
        most = bytes > most ? bytes : most;
    }
    CHECK(most <= 2 * 27 * SPAN);
    CHECK_I64(s.n_forgotten, 3 * SPAN);
    for (int i = 4 * SPAN; i < 5 * SPAN; i++) CHECK(came_back(&s, i));
    loom_split_traces_release(&s);
}

TEST(interned_traces)
{
    loom_texts t = {0};
    char text[32];
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 100000; i++) {
            int len = snprintf(text, sizeof text, "T_%d", i * 7);
            CHECK_I64(loom_texts_add(&t, text, (size_t)len), i);
        }
    CHECK_STR(loom_texts_at(&t, 99999), "T_699993");
    CHECK_I64(loom_texts_add(&t, "T_10", 3), 100000); /* a prefix is another text */
    CHECK_STR(loom_texts_at(&t, 100000), "T_1");
    int64_t before = loom_texts_bytes(&t);
    loom_texts_seal(&t);
    CHECK(loom_texts_bytes(&t) < before);
    CHECK_STR(loom_texts_at(&t, 100000), "T_1");
    loom_texts_release(&t);
}

/* A text that ends where its block does must not be compared with more than its length (seen by the sanitizer). */
TEST(texts_at_the_end_of_a_block)
{
    loom_texts t = {0};
    char text[64];
    for (int64_t i = 0; i < 65536; i++) { /* with their NUL exactly 1 MiB */
        int len = snprintf(text, sizeof text, "T_%013lld", (long long)i);
        CHECK_I64(loom_texts_add(&t, text, (size_t)len), i);
    }
    CHECK_I64(t.used, 1 << 20);
    memset(text, 'T', sizeof text);
    for (int64_t i = 0; i < 32000; i++) /* many long texts, so that some are compared with the last one */
        CHECK_I64(loom_texts_add(&t, text, 50 + (size_t)snprintf(text + 50, 14, "%lld", (long long)i)), 65536 + i);
    loom_texts_release(&t);
}

TEST(texts_that_do_not_fit)
{
    loom_texts t = {0};
    CHECK_I64(loom_texts_add(&t, "T_1", 3), 0);
    size_t used = t.used;
    t.n_blocks = 4096, t.used = (1 << 20) - 3; /* as if 4 GiB were full but for three bytes */
    CHECK_I64(loom_texts_add(&t, "T_2", 3), LOOM_TEXTS_FULL);
    CHECK_I64(loom_texts_add(&t, "T_1", 3), 0);
    CHECK_I64(t.n, 1);
    t.n_blocks = 1, t.used = used;
    CHECK_I64(loom_texts_add(&t, "T_2", 3), 1);
    loom_texts_release(&t);
}

TEST(renaming)
{
    const char *names[] = {"web", "USER", "cart", "web"};
    loom_rename r = {0};
    loom_buf text = {0};
    CHECK(loom_rename_add(&r, LOOM_RENAME_MICROSERVICE, names, 4));
    loom_rename_append(&r, LOOM_RENAME_MICROSERVICE, "web", &text);
    loom_rename_append(&r, LOOM_RENAME_MICROSERVICE, "USER", &text);
    loom_rename_append(&r, LOOM_RENAME_MICROSERVICE, "cart", &text);
    CHECK_STR(text.data, "MS_00002USERMS_00001");
    loom_rename_release(&r);
    loom_buf_release(&text);
}

TEST_MAIN(RUN(records) RUN(limits_of_joining) RUN(blocks_do_not_matter) RUN(milliseconds) RUN(null_spellings_and_utf8)
              RUN(seen_hashes) RUN(split_traces) RUN(split_traces_memory) RUN(interned_traces)
                  RUN(texts_at_the_end_of_a_block) RUN(texts_that_do_not_fit) RUN(renaming) loom_csv_release(&csv);)
