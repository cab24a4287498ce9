/* Fields of protobuf messages from bytes that nobody vouches for. */
#include "readers/spans/protobuf.h"

#include "readers/spans/spans.h"
#include "test.h"

static bool first(loom_pb_field *f, const char *bytes, size_t len)
{
    loom_pb m = loom_pb_of(bytes, len);
    bool got = loom_pb_next(&m, f);

    CHECK(got != m.bad);
    CHECK(m.at >= (const unsigned char *)bytes && m.at <= (const unsigned char *)bytes + len);
    return got;
}

TEST(values)
{
    loom_pb_field f;

    REQUIRE(first(&f, "\x08\x96\x01", 3)); /* the example of the documentation: field 1 is 150 */
    CHECK(f.number == 1 && f.type == LOOM_PB_VARINT && f.value == 150);
    REQUIRE(first(&f, "\x12\x07testing", 9));
    CHECK(f.number == 2 && f.type == LOOM_PB_BYTES && f.len == 7 && memcmp(f.bytes, "testing", 7) == 0);
    REQUIRE(first(&f, "\x39\x01\x02\x03\x04\x05\x06\x07\x08", 9));
    CHECK(f.number == 7 && f.value == 0x0807060504030201u);
    REQUIRE(first(&f, "\x3d\xff\xff\xff\xff", 5));
    CHECK(f.value == 0xffffffffu);
    REQUIRE(first(&f, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11)); /* -1 */
    CHECK(f.value == UINT64_MAX);
    REQUIRE(first(&f, "\xc2\x3e\x00", 3));
    CHECK(f.number == 1000 && f.len == 0);
}

TEST(what_cannot_be)
{
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {{"\x08", 1},
               {"\x08\x80", 2},
               {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11},     /* the 65th bit */
               {"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 12}, /* eleven bytes */
               {"\x12\x07testin", 8},
               {"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01zz", 13}, /* a length of 2^64 - 1 */
               {"\x12\xff\xff\xff\xff\xff\xff\xff\xff\x7fzz", 12},     /* of 2^63 - 1 */
               {"\x39\x01\x02\x03\x04\x05\x06\x07", 8},
               {"\x3d\xff\xff\xff", 4},
               {"\x0b\x0c", 2}, /* a group */
               {"\x0e\x00", 2}, /* no such type */
               {"\x00\x00", 2}, /* field 0 */
               {"\x82\x80\x80\x80\x10\x00", 6} /* field 2^29 */};
    loom_pb_field f;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK(!first(&f, bad[i].bytes, bad[i].len));
}

TEST(nothing_goes_on_after_a_fault)
{
    loom_pb m = loom_pb_of("\x08\x01\x0b\x08\x02", 5);
    loom_pb_field f;

    CHECK(loom_pb_next(&m, &f) && f.value == 1);
    CHECK(!loom_pb_next(&m, &f) && m.bad);
    CHECK(!loom_pb_next(&m, &f) && m.bad);
    m = loom_pb_of("", 0);
    CHECK(!loom_pb_next(&m, &f) && !m.bad);
}

TEST(told_from_texts)
{
    static const char *const texts[] = {"\n\n\n{\"resourceSpans\":[]}", "\n\r\n timestamp,traceid,service\n", "", "\n",
                                        "\n\x0a\x0a\x0a\x0a"};
    static const char message[] = "\x0a\x19\x0a\x17\x0a\x15\x0a\x0cservice.name\x12\x05\x0a\x03"
                                  "abc";

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        CHECK(!loom_spans_are_protobuf(texts[i], strlen(texts[i])));
    CHECK(loom_spans_are_protobuf(message, sizeof message - 1));
    CHECK(loom_spans_are_protobuf("\0\0\0\x1b\x0a\x19\x0a\x17\x0a\x15", 10));
    CHECK(!loom_spans_are_protobuf("\0\0\0\x1b", 4));
}

TEST_MAIN(RUN(values) RUN(what_cannot_be) RUN(nothing_goes_on_after_a_fault) RUN(told_from_texts))
