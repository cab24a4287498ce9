#include "store/dtype.h"

#include "test.h"

static float widen16(uint16_t h, loom_dtype type)
{
    float v;

    loom_dtype_to_f32(&v, &h, type, 1);
    return v;
}

static uint16_t narrow16(float v, loom_dtype type)
{
    uint16_t h;

    loom_dtype_from_f32(&h, type, &v, 1);
    return h;
}

/* Every half and every bfloat16 survives the way to float and back. */
TEST(round_trip)
{
    int wrong = 0;

    for (uint32_t h = 0; h < 65536; h++) {
        for (int t = 0; t < 2; t++) {
            loom_dtype type = t ? LOOM_DTYPE_BF16 : LOOM_DTYPE_F16;
            float v = widen16((uint16_t)h, type);
            if (isnan(v) ? !isnan(widen16(narrow16(v, type), type)) : narrow16(v, type) != h) wrong++;
        }
    }
    CHECK_I64(wrong, 0);
}

TEST(known_values)
{
    CHECK(widen16(0x3c00, LOOM_DTYPE_F16) == 1.0f);
    CHECK(widen16(0xc000, LOOM_DTYPE_F16) == -2.0f);
    CHECK(widen16(0x7bff, LOOM_DTYPE_F16) == 65504.0f);
    CHECK(widen16(0x0001, LOOM_DTYPE_F16) == 0x1p-24f);
    CHECK(isinf(widen16(0x7c00, LOOM_DTYPE_F16)));
    CHECK(widen16(0x3f80, LOOM_DTYPE_BF16) == 1.0f);
    CHECK(widen16(0xc2f7, LOOM_DTYPE_BF16) == -123.5f);
}

/* Round to nearest, ties to even: against the two neighbours found by search. */
TEST(rounding)
{
    CHECK_I64(narrow16(1.0f + 0x1p-11f, LOOM_DTYPE_F16), 0x3c00);
    CHECK_I64(narrow16(1.0f + 0x1p-11f + 0x1p-20f, LOOM_DTYPE_F16), 0x3c01);
    CHECK_I64(narrow16(1.0f + 3 * 0x1p-11f, LOOM_DTYPE_F16), 0x3c02);
    CHECK_I64(narrow16(65519.0f, LOOM_DTYPE_F16), 0x7bff);
    CHECK_I64(narrow16(65520.0f, LOOM_DTYPE_F16), 0x7c00);
    CHECK_I64(narrow16(0x1p-25f, LOOM_DTYPE_F16), 0);
    CHECK_I64(narrow16(0x1.8p-25f, LOOM_DTYPE_F16), 1);
    CHECK_I64(narrow16(-0x1p-26f, LOOM_DTYPE_F16), 0x8000);
    CHECK_I64(narrow16(1.0f + 0x1p-8f, LOOM_DTYPE_BF16), 0x3f80);
    CHECK_I64(narrow16(1.0f + 3 * 0x1p-8f, LOOM_DTYPE_BF16), 0x3f82);
    CHECK_I64(narrow16(1.0f + 0x1p-8f + 0x1p-20f, LOOM_DTYPE_BF16), 0x3f81);
    CHECK_I64(narrow16(3.4e38f, LOOM_DTYPE_BF16), 0x7f80);
    CHECK(isnan(widen16(narrow16(NAN, LOOM_DTYPE_BF16), LOOM_DTYPE_BF16)));
    CHECK(isnan(widen16(narrow16(NAN, LOOM_DTYPE_F16), LOOM_DTYPE_F16)));
}

/* Unaligned sources of every width. */
TEST(unaligned)
{
    unsigned char raw[64] = {0};
    float v;
    double d = -1234.5;
    int64_t i = -7;

    memcpy(raw + 1, &d, 8);
    loom_dtype_to_f32(&v, raw + 1, LOOM_DTYPE_F64, 1);
    CHECK(v == -1234.5f);
    memcpy(raw + 3, &i, 8);
    loom_dtype_to_f32(&v, raw + 3, LOOM_DTYPE_I64, 1);
    CHECK(v == -7.0f);
}

/* Every type becomes float32: its largest and its smallest value, and what lies between. */
TEST(every_type_is_widened)
{
    static const unsigned char ones[8] = {255, 255, 255, 255, 255, 255, 255, 255}, two[8] = {2};
    static const float all_ones[LOOM_DTYPE_N] = {[LOOM_DTYPE_I64] = -1, [LOOM_DTYPE_U64] = 18446744073709551616.0f,
                                                 [LOOM_DTYPE_I32] = -1, [LOOM_DTYPE_U32] = 4294967296.0f,
                                                 [LOOM_DTYPE_I16] = -1, [LOOM_DTYPE_U16] = 65535,
                                                 [LOOM_DTYPE_I8] = -1,  [LOOM_DTYPE_U8] = 255,
                                                 [LOOM_DTYPE_BOOL] = 1};
    for (int type = LOOM_DTYPE_I64; type < LOOM_DTYPE_N; type++) {
        unsigned char three[24] = {0};
        float v[3] = {9, 9, 9};
        size_t size = loom_dtype_size((loom_dtype)type);
        memcpy(three, ones, size), memcpy(three + size, two, size);
        loom_dtype_to_f32(v, three, (loom_dtype)type, 3);
        CHECK(v[0] == all_ones[type] && v[1] == (type == LOOM_DTYPE_BOOL ? 1 : 2) && v[2] == 0);
    }
    double wide[2];
    const float values[] = {0.1f, -3e38f};
    float back[2];
    loom_dtype_from_f32(wide, LOOM_DTYPE_F64, values, 2);
    loom_dtype_to_f32(back, wide, LOOM_DTYPE_F64, 2);
    CHECK(memcmp(back, values, sizeof back) == 0 && wide[0] == (double)0.1f);
}

TEST(sizes)
{
    loom_tensor_view t = {.dtype = LOOM_DTYPE_F32, .rank = 3, .shape = {1 << 30, 1 << 30, 1 << 30}};
    char text[64];

    CHECK(!loom_tensor_measure(&t));
    t = (loom_tensor_view){.dtype = LOOM_DTYPE_F64, .rank = 2, .shape = {1LL << 31, 1LL << 30}};
    CHECK(!loom_tensor_measure(&t));
    t = (loom_tensor_view){.dtype = LOOM_DTYPE_BF16, .rank = 2, .shape = {3, -1}};
    CHECK(!loom_tensor_measure(&t));
    t = (loom_tensor_view){.dtype = LOOM_DTYPE_BF16, .rank = 2, .shape = {4096, 11008}};
    REQUIRE(loom_tensor_measure(&t));
    CHECK_I64(t.count, 4096 * 11008);
    CHECK_I64(t.bytes, 4096 * 11008 * 2);
    CHECK_STR(loom_tensor_shape_text(text, sizeof text, &t), "[4096, 11008]");
    CHECK(loom_tensor_has_shape(&t, 2, (int64_t)4096, (int64_t)11008));
    CHECK(!loom_tensor_has_shape(&t, 2, (int64_t)4096, (int64_t)11007));
    CHECK_STR(loom_tensor_shape_text(text, 8, &t), "[4096, "); /* cut where there is no room */
    CHECK_STR(loom_tensor_shape_text(text, 3, &t), "[4");
    t = (loom_tensor_view){.dtype = LOOM_DTYPE_U8};
    REQUIRE(loom_tensor_measure(&t));
    CHECK_I64(t.count, 1);
}

TEST(names)
{
    loom_dtype type;

    for (int i = 0; i < LOOM_DTYPE_N; i++) {
        REQUIRE(loom_dtype_from_name(&type, loom_dtype_name((loom_dtype)i)));
        CHECK_I64(type, i);
    }
    CHECK(!loom_dtype_from_name(&type, "F8_E4M3"));
}

/* Nothing that a short type cannot hold is written as infinite without a word. */
TEST(values_out_of_range_are_refused)
{
    const loom_dtype types[] = {LOOM_DTYPE_F16, LOOM_DTYPE_BF16};
    const float last[] = {65519.0f, 3.3895e38f}, beyond[] = {65520.0f, 3.4e38f};

    for (int i = 0; i < 2; i++) {
        float values[3] = {-1, last[i], -last[i]}, back[3];
        uint16_t stored[3];
        loom_err err = {0};
        CHECK(loom_dtype_check_range("w", types[i], values, 3, &err) == LOOM_OK);
        loom_dtype_from_f32(stored, types[i], values, 3);
        loom_dtype_to_f32(back, stored, types[i], 3);
        CHECK(isfinite(back[1]) && isfinite(back[2]));
        const float bad[] = {beyond[i], -beyond[i], INFINITY, NAN};
        for (int k = 0; k < 4; k++) {
            values[1] = bad[k];
            CHECK(loom_dtype_check_range("w", types[i], values, 3, &err) == LOOM_STATUS_NUMERIC);
            CHECK(strstr(err.msg, "tensor w holds") && strstr(err.msg, loom_dtype_name(types[i])));
        }
        CHECK(loom_dtype_check_range("w", LOOM_DTYPE_F32, values, 3, &err) == LOOM_OK);
    }
}

TEST_MAIN(RUN(values_out_of_range_are_refused) RUN(round_trip) RUN(known_values) RUN(rounding) RUN(unaligned)
              RUN(every_type_is_widened) RUN(sizes) RUN(names))
