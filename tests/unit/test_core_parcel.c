/* Parcels between processes: what goes in comes out, and a short or long one is told. */
#include "core/parcel.h"
#include "test.h"

TEST(round_trip)
{
    loom_buf b = {0};
    double pair[2] = {0.5, -3}, got[2];
    size_t len;

    loom_parcel_put_i64(&b, -7);
    loom_parcel_put_text(&b, "a\0b", 3);
    loom_parcel_put_text(&b, "", 0);
    loom_parcel_put(&b, pair, sizeof pair);
    loom_parcel p = loom_parcel_of(&b);
    CHECK(loom_parcel_get_i64(&p) == -7);
    CHECK(memcmp(loom_parcel_get_text(&p, &len), "a\0b", 3) == 0 && len == 3);
    loom_parcel_get_text(&p, &len);
    CHECK(len == 0);
    CHECK(loom_parcel_end(&p, NULL) == LOOM_STATUS_FORMAT); /* something is left */
    loom_parcel_get(&p, got, sizeof got);
    CHECK(memcmp(got, pair, sizeof pair) == 0);
    CHECK(loom_parcel_end(&p, NULL) == LOOM_OK);
    loom_buf_release(&b);
}

/* Every cut of a parcel, and a length that is a lie. */
TEST(cut_short)
{
    loom_buf b = {0};
    size_t len;
    int64_t number;

    loom_parcel_put_i64(&b, 1);
    loom_parcel_put_text(&b, "text", 4);
    for (size_t n = 0; n < b.len; n++) {
        loom_parcel p = {b.data, b.data + n, false};

        number = loom_parcel_get_i64(&p);
        loom_parcel_get_text(&p, &len);
        CHECK(p.bad && len == 0 && (n >= sizeof number || number == 0));
        CHECK(loom_parcel_end(&p, NULL) == LOOM_STATUS_FORMAT);
    }
    loom_buf_reset(&b);
    loom_parcel_put_i64(&b, INT64_MAX);
    loom_parcel p = loom_parcel_of(&b);
    loom_parcel_get_text(&p, &len);
    CHECK(p.bad && len == 0);
    loom_buf_reset(&b);
    loom_parcel_put_i64(&b, -1);
    p = loom_parcel_of(&b);
    loom_parcel_get_text(&p, &len);
    CHECK(p.bad && len == 0);
    loom_buf_release(&b);
}

TEST_MAIN(RUN(round_trip) RUN(cut_short))
