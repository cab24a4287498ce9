/* GGUF files are read back by a reader of the tests' own; Q8_0 is compared with a plain twin. */
#include "store/gguf.h"

#include <unistd.h>

#include "core/rng.h"
#include "gguf_reader.h"

enum { ROWS = 3, WIDTH = 64 };
static float values_[ROWS * WIDTH];

static loom_status fetch(void *arg, const loom_gguf_item *item, float *values, loom_err *err)
{
    (void)err;
    memcpy(values, arg, (size_t)(item->shape[0] * item->shape[1]) * sizeof *values);
    return LOOM_OK;
}

static void fill(void)
{
    loom_rng rng;
    loom_rng_seed(&rng, 5, "gguf", 0);
    for (int i = 0; i < ROWS * WIDTH; i++) values_[i] = (float)(loom_rng_normal(&rng) * 0.02);
}

static loom_status write_file(const char *path, loom_gguf_item *items, size_t n, loom_err *err)
{
    loom_gguf g = {0};
    loom_out *out = NULL;
    loom_gguf_str(&g, "general.architecture", "llama");
    loom_gguf_u32(&g, "a.number", 4000000000u);
    loom_gguf_f32(&g, "a.real", 1e-5f);
    loom_gguf_bool(&g, "a.truth", true);
    loom_gguf_array(&g, "texts", LOOM_GGUF_STR, 3);
    loom_gguf_add_str(&g, "one", 3);
    loom_gguf_add_str(&g, "", 0);
    loom_gguf_add_str(&g, "three\n", 6);
    loom_gguf_array(&g, "numbers", LOOM_GGUF_I32, 2);
    loom_gguf_add_i32(&g, -7);
    loom_gguf_add_i32(&g, 8);
    loom_status st = loom_out_open(&out, path, true, err);
    if (st == LOOM_OK) st = loom_gguf_write(out, &g, items, n, err);
    if (st == LOOM_OK) st = loom_out_commit(&out, err);
    loom_out_abandon(&out);
    loom_gguf_release(&g);
    return st;
}

static loom_gguf_item item(const char *name, loom_gguf_type type, int n_dims)
{
    loom_gguf_item it = {.type = type,
                         .n_dims = n_dims,
                         .shape = {n_dims == 1 ? 7 : ROWS, n_dims == 1 ? 1 : WIDTH},
                         .fetch = fetch,
                         .arg = values_};
    snprintf(it.name, sizeof it.name, "%s", name);
    return it;
}

static const char *path_of(void)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/loom-gguf.%d.gguf", (int)getpid());
    return path;
}

TEST(what_was_written_is_read)
{
    loom_err err = {0};
    static gguf g;
    loom_buf bytes = {0};
    fill();
    loom_gguf_item items[] = {item("vector", LOOM_GGUF_TENSOR_F32, 1), item("f32", LOOM_GGUF_TENSOR_F32, 2),
                              item("f16", LOOM_GGUF_TENSOR_F16, 2), item("bf16", LOOM_GGUF_TENSOR_BF16, 2),
                              item("q8", LOOM_GGUF_TENSOR_Q8_0, 2)};
    REQUIRE_OK(write_file(path_of(), items, 5, &err), err);
    REQUIRE_OK(loom_file_read(&bytes, path_of(), 1 << 20, &err), err);
    unlink(path_of());
    gguf_read(&g, bytes.data, bytes.len);
    CHECK_I64((int64_t)g.n_tensors, 5);
    const gguf_fact *f = gguf_fact_of(&g, "a.number"), *texts = gguf_fact_of(&g, "texts");
    REQUIRE(f && texts && texts->n == 3 && texts->of == 8);
    uint32_t number;
    memcpy(&number, f->at, 4);
    CHECK(number == 4000000000u);
    CHECK(memcmp(texts->at, "\3\0\0\0\0\0\0\0one\0\0\0\0\0\0\0\0\6\0\0\0\0\0\0\0three\n", 33) == 0);
    const double tolerance[] = {0, 0, 1.0 / 2048, 1.0 / 256, 0};
    for (int k = 0; k < 5; k++) {
        const gguf_tensor *t = gguf_tensor_of(&g, items[k].name);
        REQUIRE(t && t->type == items[k].type);
        CHECK(t->n_dims == 1 ? t->dims[0] == 7 : t->dims[0] == WIDTH && t->dims[1] == ROWS); /* contiguous one first */
        for (uint64_t i = 0; k < 4 && i < t->count; i++)
            CHECK(fabs(gguf_value(t, i) - values_[i]) <= tolerance[k] * fabs(values_[i]) + (k == 2 ? 1e-7 : 0));
    }
    loom_buf_release(&bytes);
}

/* The rule once more, a value at a time in double precision; halves are away from zero. */
static int twin(float x, float most)
{
    float d = most / 127, inverse = d > 0 ? 1 / d : 0, y = x * inverse;
    int whole = (int)y;
    double rest = (double)y - whole;
    return rest >= 0.5 ? whole + 1 : rest <= -0.5 ? whole - 1 : whole;
}

TEST(q8_0_is_its_plain_twin)
{
    enum { BLOCKS = 400 };
    static float x[BLOCKS * LOOM_Q8_BLOCK];
    static unsigned char q[BLOCKS * LOOM_Q8_BYTES];
    loom_rng rng;
    int wrong = 0, far = 0;
    loom_rng_seed(&rng, 7, "q8", 0);
    for (int i = 0; i < BLOCKS * LOOM_Q8_BLOCK; i++)
        x[i] = (float)(loom_rng_normal(&rng) * pow(10, i / LOOM_Q8_BLOCK % 12 - 5));
    for (int i = 0; i < LOOM_Q8_BLOCK; i++) x[i] = 0, x[LOOM_Q8_BLOCK + i] = i == 3 ? 1e-42f : 0;
    for (int i = 0; i < LOOM_Q8_BLOCK; i++) x[2 * LOOM_Q8_BLOCK + i] = i == 0 ? 127 : (float)i - 15.5f; /* halves */
    loom_q8_from_f32(q, x, BLOCKS * LOOM_Q8_BLOCK);
    gguf_tensor t = {.type = 8, .at = q};
    for (int b = 0; b < BLOCKS; b++) {
        float most = 0;
        for (int i = 0; i < LOOM_Q8_BLOCK; i++) most = fmaxf(most, fabsf(x[b * LOOM_Q8_BLOCK + i]));
        for (int i = 0; i < LOOM_Q8_BLOCK && b != 1; i++) {
            float v = x[b * LOOM_Q8_BLOCK + i];
            wrong += (signed char)q[b * LOOM_Q8_BYTES + 2 + i] != twin(v, most);
            /* half a step, and what the scale loses as float16 (3e-8 where it is subnormal) */
            far += fabs(gguf_value(&t, (uint64_t)(b * LOOM_Q8_BLOCK + i)) - v) >
                   most / 127 * 0.5 + most / 2048 + 127 * 3.1e-8;
        }
    }
    CHECK_I64(wrong, 0);
    CHECK_I64(far, 0);
    CHECK(gguf_value(&t, LOOM_Q8_BLOCK + 3) == 0); /* too small for a scale */
}

TEST(values_that_do_not_fit)
{
    static const struct {
        loom_gguf_type type;
        float bad;
    } cases[] = {{LOOM_GGUF_TENSOR_F16, 70000},      {LOOM_GGUF_TENSOR_F16, NAN},   {LOOM_GGUF_TENSOR_F32, INFINITY},
                 {LOOM_GGUF_TENSOR_Q8_0, -INFINITY}, {LOOM_GGUF_TENSOR_Q8_0, 1e9f}, {LOOM_GGUF_TENSOR_BF16, NAN}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        loom_err err = {0};
        fill();
        values_[WIDTH + 5] = cases[i].bad;
        loom_gguf_item one = item("blk.0.ffn_up.weight", cases[i].type, 2);
        CHECK(write_file(path_of(), &one, 1, &err) == LOOM_STATUS_NUMERIC);
        CHECK(strstr(err.msg, "blk.0.ffn_up.weight") && access(path_of(), F_OK) != 0);
    }
}

TEST(rows_that_blocks_do_not_fit)
{
    loom_err err = {0};
    size_t bytes;
    CHECK(!loom_gguf_bytes(&bytes, LOOM_GGUF_TENSOR_Q8_0, 33) && !loom_gguf_bytes(&bytes, LOOM_GGUF_TENSOR_F32, -1));
    CHECK(!loom_gguf_bytes(&bytes, LOOM_GGUF_TENSOR_F32, INT64_MAX));
    CHECK(loom_gguf_bytes(&bytes, LOOM_GGUF_TENSOR_Q8_0, 64) && bytes == 68);
    loom_gguf_item one = item("odd", LOOM_GGUF_TENSOR_Q8_0, 2);
    one.shape[1] = 31;
    CHECK(write_file(path_of(), &one, 1, &err) == LOOM_STATUS_ARG);
}

/* Sizes whose product is no count: 2^32 times 2^32 would be none at all. */
TEST(shapes_that_cannot_be)
{
    static const int64_t shapes[][2] = {
        {(int64_t)1 << 32, (int64_t)1 << 32}, {INT64_MAX, 2}, {-1, -1}, {7, -1}, {INT64_MAX, 1}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        loom_err err = {0};
        loom_gguf_item one = item("vast", LOOM_GGUF_TENSOR_F16, 2);
        memcpy(one.shape, shapes[i], sizeof one.shape);
        CHECK_I64(write_file(path_of(), &one, 1, &err), LOOM_STATUS_ARG);
        CHECK_STR(err.msg, "tensor vast: impossible shape");
    }
}

static loom_status refuse(void *arg, const loom_gguf_item *item, float *values, loom_err *err)
{
    (void)arg, (void)values;
    return loom_fail(err, LOOM_STATUS_FORMAT, "%s cannot be had", item->name);
}

TEST(values_that_are_not_there)
{
    loom_err err = {0};
    loom_gguf_item one = item("gone", LOOM_GGUF_TENSOR_F32, 2);
    one.fetch = refuse;
    CHECK_I64(write_file(path_of(), &one, 1, &err), LOOM_STATUS_FORMAT);
    CHECK_STR(err.msg, "gone cannot be had");
    CHECK(access(path_of(), F_OK) != 0);
}

TEST_MAIN(RUN(what_was_written_is_read) RUN(q8_0_is_its_plain_twin) RUN(values_that_do_not_fit)
              RUN(rows_that_blocks_do_not_fit) RUN(shapes_that_cannot_be) RUN(values_that_are_not_there))
