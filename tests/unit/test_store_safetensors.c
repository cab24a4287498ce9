#include "store/safetensors.h"

#include <unistd.h>

#include "core/buf.h"
#include "core/file.h"
#include "test.h"

/* A file in memory: header text and n data bytes 0, 1, 2, ... */
static void make(loom_buf *b, const char *header, size_t n)
{
    uint64_t len = strlen(header);

    loom_buf_reset(b);
    loom_buf_append(b, &len, 8);
    loom_buf_str(b, header);
    for (size_t i = 0; i < n; i++) loom_buf_char(b, (char)i);
}

/* The header with that much data must be refused, with these words. */
static void refuse(const char *header, size_t n, const char *words)
{
    loom_buf b = {0};
    loom_safetensors *st = NULL;
    loom_err err = {0};

    make(&b, header, n);
    CHECK_I64(loom_safetensors_open_bytes(&st, b.data, b.len, "bad.safetensors", &err), LOOM_STATUS_FORMAT);
    CHECK(strstr(err.msg, "bad.safetensors") && strstr(err.msg, words));
    if (!strstr(err.msg, words)) fprintf(stderr, "  %s\n  gives: %s\n", header, err.msg);
    loom_buf_release(&b);
    loom_safetensors_close(&st);
}

TEST(reads)
{
    loom_buf b = {0};
    loom_safetensors *st = NULL;
    loom_err err = {0};
    const loom_tensor_view *t;

    make(&b,
         "{\"__metadata__\":{\"who\":\"me\"},\"b\":{\"dtype\":\"U8\",\"shape\":[2,3],\"data_offsets\":[4,10]},"
         "\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
         "\"empty\":{\"dtype\":\"BF16\",\"shape\":[0,7],\"data_offsets\":[4,4]}}   ",
         10);
    REQUIRE_OK(loom_safetensors_open_bytes(&st, b.data, b.len, "x", &err), err);
    CHECK_I64(loom_safetensors_count(st), 3);
    CHECK_STR(loom_safetensors_at(st, 0)->name, "a");
    CHECK_STR(loom_safetensors_metadata(st, "who"), "me");
    CHECK(!loom_safetensors_metadata(st, "format"));
    t = loom_safetensors_find(st, "b");
    REQUIRE(t);
    CHECK(loom_tensor_has_shape(t, 2, (int64_t)2, (int64_t)3));
    CHECK(((const unsigned char *)t->data)[5] == 9);
    CHECK(!loom_safetensors_find(st, "c"));
    loom_safetensors_close(&st);
    make(&b, "{\"__metadata__\":{}}", 0);
    REQUIRE_OK(loom_safetensors_open_bytes(&st, b.data, b.len, "x", &err), err);
    CHECK_I64(loom_safetensors_count(st), 0);
    loom_safetensors_close(&st);
    loom_buf_release(&b);
}

#define T(name, dtype, shape, place)                                                                                   \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" place "}"

TEST(refuses)
{
    refuse("{" T("a", "F32", "[1]", "[0,4]") "}", 5, "follow the last");
    refuse("{" T("a", "F32", "[1]", "[0,4]") "}", 3, "outside");
    refuse("{" T("a", "F32", "[1]", "[1,5]") "}", 5, "hole or overlaps");
    refuse("{" T("a", "F32", "[1]", "[0,4]") "," T("b", "F32", "[1]", "[2,6]") "}", 6, "hole or overlaps");
    refuse("{" T("a", "F32", "[2]", "[0,4]") "}", 4, "more or fewer");
    refuse("{" T("a", "F32", "[1]", "[4,0]") "}", 4, "outside");
    refuse("{" T("a", "F32", "[1]", "[0]") "}", 4, "outside");
    refuse("{" T("a", "F32", "[1]", "[0,4.0]") "}", 4, "outside");
    refuse("{" T("a", "F8_E4M3", "[4]", "[0,4]") "}", 4, "F8_E4M3");
    refuse("{" T("a", "F32", "[-1]", "[0,4]") "}", 4, "bad size");
    refuse("{" T("a", "F32", "[1.5]", "[0,4]") "}", 4, "bad size");
    refuse("{" T("a", "F32", "[4294967296,4294967296,4294967296]", "[0,4]") "}", 4, "overflows");
    refuse("{" T("a", "F64", "[2305843009213693952]", "[0,4]") "}", 4, "overflows");
    refuse("{" T("a", "F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 4, "at most 8");
    refuse("{" T("a", "F32", "[1]", "[0,4]") "," T("a", "F32", "[1]", "[4,8]") "}", 8, "a");
    refuse("{\"a\":1}", 0, "dtype");
    refuse("[1]", 0, "not a safetensors");
    refuse("{\"a\":", 0, "bad.safetensors");
    refuse("{\"\xff\":{}}", 0, "bad.safetensors");
}

TEST(refuses_lengths)
{
    loom_safetensors *st = NULL;
    loom_err err = {0};
    unsigned char raw[16];

    for (size_t n = 0; n < sizeof raw; n++) {
        memset(raw, 0xff, sizeof raw);
        CHECK_I64(loom_safetensors_open_bytes(&st, raw, n, "short", &err), LOOM_STATUS_FORMAT);
    }
    memset(raw, 0, sizeof raw);
    CHECK_I64(loom_safetensors_open_bytes(&st, raw, sizeof raw, "zero", &err), LOOM_STATUS_FORMAT);
}

static loom_status ramp(void *arg, const loom_safetensors_item *item, float *values, loom_err *err)
{
    (void)err;
    for (int64_t i = 0; i < item->view.count; i++) values[i] = *(float *)arg * (float)i;
    return LOOM_OK;
}

/* Written in one file and in several, read back the same. */
TEST(round_trip)
{
    char dir[] = "/tmp/loom-st.XXXXXX", path[200];
    float data[6] = {1, 2, 3, -4, 5.5f, 1e-3f}, step = 0.5f, back[6];
    uint16_t bf[2] = {0x3f80, 0x4000};
    const char *const meta[][2] = {{"made", "here"}};
    loom_err err = {0};

    REQUIRE(mkdtemp(dir));
    for (int several = 0; several < 2; several++) {
        loom_safetensors_item items[] = {
            {.view = {.name = "z", .dtype = LOOM_DTYPE_BF16, .rank = 1, .shape = {2}, .data = bf},
             .from = LOOM_DTYPE_BF16},
            {.view = {.name = "m", .dtype = LOOM_DTYPE_F32, .rank = 2, .shape = {2, 3}, .data = data},
             .from = LOOM_DTYPE_F32},
            {.view = {.name = "h", .dtype = LOOM_DTYPE_F16, .rank = 1, .shape = {6}, .data = data},
             .from = LOOM_DTYPE_F32},
            {.view = {.name = "c", .dtype = LOOM_DTYPE_F32, .rank = 1, .shape = {4}}, .fetch = ramp, .arg = &step},
        };
        loom_safetensors *st = NULL;
        REQUIRE_OK(loom_safetensors_write_model(dir, true, items, 4, several ? 16 : 1000, meta, 1, &err), err);
        if (several) {
            snprintf(path, sizeof path, "%s/model.safetensors", dir);
            REQUIRE(unlink(path) == 0);
        }
        REQUIRE_OK(loom_safetensors_open(&st, dir, &err), err);
        CHECK_I64(loom_safetensors_count(st), 4);
        CHECK_STR(loom_safetensors_metadata(st, "format"), "pt");
        CHECK_STR(loom_safetensors_metadata(st, "made"), "here");
        CHECK(memcmp(loom_safetensors_find(st, "m")->data, data, sizeof data) == 0);
        CHECK(memcmp(loom_safetensors_find(st, "z")->data, bf, sizeof bf) == 0);
        loom_dtype_to_f32(back, loom_safetensors_find(st, "c")->data, LOOM_DTYPE_F32, 4);
        CHECK(back[3] == 1.5f);
        loom_dtype_to_f32(back, loom_safetensors_find(st, "h")->data, LOOM_DTYPE_F16, 6);
        CHECK(back[4] == 5.5f);
        CHECK_NEAR(back[5], 1e-3, 1e-6);
        loom_safetensors_close(&st);
    }
    snprintf(path, sizeof path, "%s/model-00001-of-00003.safetensors", dir);
    CHECK(unlink(path) == 0);
    loom_safetensors *none = NULL;
    CHECK(loom_safetensors_open(&none, dir, &err) != LOOM_OK);
    CHECK(strstr(err.msg, "model-00001-of-00003.safetensors"));
    snprintf(path, sizeof path, "rm -r %s", dir);
    CHECK(system(path) == 0);
}

/* An index may not reach outside its folder. */
TEST(index_stays_in)
{
    char dir[] = "/tmp/loom-st.XXXXXX", path[200];
    static const char text[] = "{\"weight_map\":{\"a\":\"../x.safetensors\"}}";
    loom_err err = {0};
    loom_safetensors *st = NULL;

    REQUIRE(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/model.safetensors.index.json", dir);
    REQUIRE_OK(loom_file_write(path, text, strlen(text), true, &err), err);
    CHECK_I64(loom_safetensors_open(&st, path, &err), LOOM_STATUS_FORMAT);
    CHECK(strstr(err.msg, "out of the folder"));
    unlink(path);
    rmdir(dir);
}

/* An index that says too much, too little, or something else than the files hold. */
TEST(indexes_that_lie)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"two.safetensors\"}}", NULL},
        {"{\"weight_map\":[]}", "no weight_map"},
        {"{}", "no weight_map"},
        {"[", "not valid JSON"},
        {"{\"weight_map\":{\"a\":5}}", "holds no file names"},
        {"{\"weight_map\":{\"a\":\"\"}}", "out of the folder"},
        {"{\"weight_map\":{\"a\":\".hidden\"}}", "out of the folder"},
        {"{\"weight_map\":{\"a\":\"none.safetensors\"}}", "none.safetensors"},
        {"{\"weight_map\":{\"a\":\"one.safetensors\",\"c\":\"one.safetensors\"}}", "tensor c is in no file"},
        {"{\"weight_map\":{\"a\":\"one.safetensors\"}}", NULL},
        {"{\"weight_map\":{\"a\":\"both.safetensors\"}}", "tensors it does not name"},
        {"{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"both.safetensors\"}}", "tensor a is there twice"}};
    char dir[] = "/tmp/loom-st.XXXXXX", path[200];
    float value = 1;
    const char *const names[] = {"one", "two", "both"};
    loom_err err = {0};

    REQUIRE(mkdtemp(dir));
    for (int i = 0; i < 3; i++) {
        loom_safetensors_item items[] = {
            {.view = {.name = i == 1 ? "b" : "a", .rank = 1, .shape = {1}, .data = &value}},
            {.view = {.name = "b", .rank = 1, .shape = {1}, .data = &value}}};
        snprintf(path, sizeof path, "%s/%s.safetensors", dir, names[i]);
        REQUIRE_OK(loom_safetensors_write(path, false, items, i == 2 ? 2 : 1, NULL, 0, &err), err);
    }
    snprintf(path, sizeof path, "%s/x.index.json", dir);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        loom_safetensors *st = NULL;
        REQUIRE_OK(loom_file_write(path, cases[i].text, strlen(cases[i].text), true, &err), err);
        loom_status status = loom_safetensors_open(&st, path, &err);
        CHECK(cases[i].says ? status != LOOM_OK && !st : status == LOOM_OK);
        if (cases[i].says && (!strstr(err.msg, cases[i].says) || !strstr(err.msg, dir)))
            TEST_FAIL_("\"%s\" lacks \"%s\"", err.msg, cases[i].says);
        if (!cases[i].says) {
            CHECK(loom_safetensors_metadata(st, "format") && !loom_safetensors_metadata(st, "none"));
            loom_safetensors_forget(st, loom_safetensors_find(st, "a"));
        }
        loom_safetensors_close(&st);
    }
    loom_safetensors_close(NULL);
    snprintf(path, sizeof path, "rm -r %s", dir);
    CHECK(system(path) == 0);
}

/* Conversions that are not there, shapes that cannot be, values that are not had. */
TEST(items_that_cannot_be_written)
{
    loom_err err = {0};
    int16_t whole = 1;
    float large = 70000, step = 1e5f;
    const char *path = "/tmp/loom-st-none.safetensors";
    loom_safetensors_item other = {
        .view = {.name = "a", .dtype = LOOM_DTYPE_F32, .rank = 1, .shape = {1}, .data = &whole},
        .from = LOOM_DTYPE_I16};
    loom_safetensors_item negative = {.view = {.name = "a", .rank = 1, .shape = {-1}, .data = &large}};
    loom_safetensors_item beyond = {
        .view = {.name = "a", .dtype = LOOM_DTYPE_F16, .rank = 1, .shape = {1}, .data = &large}};
    loom_safetensors_item fetched = {
        .view = {.name = "a", .dtype = LOOM_DTYPE_F16, .rank = 1, .shape = {2}}, .fetch = ramp, .arg = &step};

    CHECK_I64(loom_safetensors_write(path, true, &other, 1, NULL, 0, &err), LOOM_STATUS_ARG);
    CHECK(strstr(err.msg, "this conversion is not known"));
    CHECK_I64(loom_safetensors_write(path, true, &negative, 1, NULL, 0, &err), LOOM_STATUS_ARG);
    CHECK_I64(loom_safetensors_write_model("/tmp", true, &negative, 1, 100, NULL, 0, &err), LOOM_STATUS_ARG);
    CHECK(strstr(err.msg, "impossible shape"));
    CHECK_I64(loom_safetensors_write(path, true, &beyond, 1, NULL, 0, &err), LOOM_STATUS_NUMERIC);
    CHECK_I64(loom_safetensors_write(path, true, &fetched, 1, NULL, 0, &err), LOOM_STATUS_NUMERIC);
    CHECK(!loom_file_exists(path));
}

TEST(golden_files)
{
    loom_safetensors *st = NULL;
    loom_err err = {0};

    REQUIRE_OK(loom_safetensors_open(&st, LOOM_SOURCE_DIR "/tests/golden/llama/mha-untied", &err), err);
    const loom_tensor_view *t = loom_safetensors_find(st, "model.embed_tokens.weight");
    REQUIRE(t);
    CHECK(loom_tensor_has_shape(t, 2, (int64_t)97, (int64_t)64));
    loom_safetensors_close(&st);
}

TEST_MAIN(RUN(reads) RUN(refuses) RUN(refuses_lengths) RUN(round_trip) RUN(index_stays_in) RUN(indexes_that_lie)
              RUN(items_that_cannot_be_written) RUN(golden_files))
