#include "core/parcel.h"

void loom_parcel_put_text(loom_buf *into, const char *text, size_t len)
{
    loom_parcel_put_i64(into, (int64_t)len);
    loom_parcel_put(into, text, len);
}

loom_parcel loom_parcel_of(const loom_buf *from)
{
    const char *text = loom_buf_text(from);

    return (loom_parcel){text, text + from->len, false};
}

void loom_parcel_get(loom_parcel *p, void *data, size_t len)
{
    p->bad |= (size_t)(p->end - p->at) < len;
    if (p->bad) {
        memset(data, 0, len);
        return;
    }
    memcpy(data, p->at, len);
    p->at += len;
}

int64_t loom_parcel_get_i64(loom_parcel *p)
{
    int64_t v;

    loom_parcel_get(p, &v, sizeof v);
    return v;
}

const char *loom_parcel_get_text(loom_parcel *p, size_t *len)
{
    int64_t n = loom_parcel_get_i64(p);
    const char *text = p->at;

    p->bad |= n < 0 || p->end - p->at < n;
    *len = p->bad ? 0 : (size_t)n;
    if (p->bad) return "";
    p->at += n;
    return text;
}

loom_status loom_parcel_end(const loom_parcel *p, loom_err *err)
{
    if (!p->bad && p->at == p->end) return LOOM_OK;
    return loom_fail(err, LOOM_STATUS_FORMAT,
                     "another rank sends what this one does not understand; start one build everywhere");
}
