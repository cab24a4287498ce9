#include "preprocess/rows/split_traces.h"

static void make_room(loom_split_traces *s)
{
    if (s->recent.n < (s->span ? s->span : LOOM_SPLIT_TRACES_SPAN)) return;
    s->n_forgotten += (int64_t)s->older.n;
    loom_hash_set_release(&s->older);
    s->older = s->recent;
    s->recent = (loom_hash_set){0};
}

bool loom_split_traces_add(loom_split_traces *s, const char *id, size_t len, bool *back)
{
    loom_hash128 key = loom_hash128_of(id, len);
    bool fresh;

    make_room(s);
    if (!loom_hash_set_add(&s->recent, key, &fresh)) return false;
    *back = !fresh || loom_hash_set_has(&s->older, key);
    s->n_back += *back;
    return true;
}

void loom_split_traces_release(loom_split_traces *s)
{
    loom_hash_set_release(&s->recent);
    loom_hash_set_release(&s->older);
    *s = (loom_split_traces){0};
}
