#include "core/bounds.h"

#include "core/num.h"

loom_status loom_fail_bound(loom_err *err, const char *name, size_t bound)
{
    char text[32];
    return loom_fail(err, LOOM_STATUS_FORMAT,
                     "%s is larger than %s, the most that such a file may have; is it the right one?", name,
                     loom_format_bytes(text, sizeof text, (double)bound));
}

loom_status loom_check_unpacked(size_t unpacked, size_t packed, const char *name, loom_err *err)
{
    char text[32];
    if (unpacked <= LOOM_BOUND_UNPACKED || unpacked / LOOM_BOUND_RATIO <= packed) return LOOM_OK;
    return loom_fail(
        err, LOOM_STATUS_FORMAT,
        "%s unpacks to more than %d times its size (%s so far), which no such file does; if it is sound, unpack it first",
        name, LOOM_BOUND_RATIO, loom_format_bytes(text, sizeof text, (double)unpacked));
}
