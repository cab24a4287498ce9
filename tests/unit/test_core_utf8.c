/* UTF-8: every character there and back, everything else refused. */
#include "core/utf8.h"
#include "test.h"

TEST(all_characters_come_back)
{
    int64_t wrong = 0;
    for (uint32_t c = 0; c <= 0x10ffff; c++) {
        char bytes[4];
        uint32_t back = UINT32_MAX;
        size_t n = loom_utf8_put(bytes, c), want = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        bool surrogate = c >= 0xd800 && c < 0xe000;
        wrong += n != want || loom_utf8_get(bytes, n, &back) != (surrogate ? 0 : n) || (!surrogate && back != c);
        wrong += loom_utf8_length(bytes, n - 1) != 0; /* cut off */
    }
    CHECK_I64(wrong, 0);
}

/* Of all sequences of three bytes with a fourth that continues: exactly as many are characters as there are. */
TEST(nothing_else_is_a_character)
{
    int64_t two = 0, three = 0, four = 0;
    for (uint32_t i = 0; i < 1 << 24; i++) {
        char bytes[4] = {(char)(i >> 16), (char)(i >> 8), (char)i, (char)0x80};
        size_t n = loom_utf8_length(bytes, 4);
        two += n == 2 && (unsigned char)bytes[2] == 0;
        three += n == 3;
        four += n == 4;
    }
    CHECK_I64(two, 0x800 - 0x80);
    CHECK_I64(three, 0x10000 - 0x800 - 0x800);
    CHECK_I64(four * 64, 0x110000 - 0x10000);
}

TEST(texts)
{
    CHECK(loom_utf8_valid("", 0));
    CHECK(loom_utf8_valid("gr\xc3\xbc\xc3\x9f dich \xe2\x82\xac \xf0\x9f\x98\x80", 20));
    CHECK(!loom_utf8_valid("caf\xe9", 4));
    CHECK(!loom_utf8_valid("\xc3", 1));
    CHECK(!loom_utf8_valid("\xc0\x80", 2));
    CHECK_I64(loom_utf8_length("", 0), 0);
    char broken[] = "ok \xc3\xa4 \xff\xc3 \xed\xa0\x80 \0 end";
    loom_utf8_mend(broken, sizeof broken - 1);
    CHECK_STR(broken, "ok \xc3\xa4 ?? ??? ? end");
}

TEST_MAIN(RUN(all_characters_come_back) RUN(nothing_else_is_a_character) RUN(texts))
