#include "readers/counts/left_out.h"

static const struct {
    const char *name, *says; /* what there are n of */
} kinds[LOOM_LEFT_KINDS] = {
    {"NO_ID", "spans left out because they have no trace id or no span id"},
    {"NO_SERVICE", "spans left out because no process or service of theirs is known"},
    {"NO_START", "spans left out because they have no start"},
    {"NO_END", "spans left out because they have no end"},
    {"BAD_TIMES", "spans left out because they end before they start or at times that cannot be"},
    {"REPEATED_ID", "spans with an id that was there"},
    {"EXTRA_ROOT", "more first spans in a trace that has one"},
    {"ORPHAN", "spans left out because their parent is missing"},
    {"BELOW_LEFT_OUT", "spans left out below such"},
    {"NOT_JSON", "lines or documents left out because they are not valid JSON"},
    {"NOT_SPANS", "JSON documents without spans"},
    {"BAD_TRACE", "Jaeger traces without spans or processes"},
    {"FOREIGN_FILE", "files of other kinds"},
    {"BAD_ROW", "rows dropped (unknown type or name, unreadable id or time)"},
    {"NOT_PROTOBUF", "messages left out because they are cut short or damaged"},
};

void loom_left_add(loom_left_out *l, loom_left kind, const char *place)
{
    if (l->n[kind]++ == 0) loom_buf_str(&l->first[kind], place);
}

int64_t loom_left_spans(const loom_left_out *l)
{
    int64_t n = 0;
    for (int i = 0; i < LOOM_LEFT_SPAN_KINDS; i++) n += l->n[i];
    return n;
}

void loom_left_join(loom_left_out *l, const loom_left_out *from)
{
    for (int i = 0; i < LOOM_LEFT_KINDS; i++) {
        if (from->n[i] && !l->n[i]) loom_buf_str(&l->first[i], loom_buf_text(&from->first[i]));
        l->n[i] += from->n[i];
    }
}

void loom_left_reset(loom_left_out *l)
{
    for (int i = 0; i < LOOM_LEFT_KINDS; i++) {
        l->n[i] = 0;
        loom_buf_reset(&l->first[i]);
    }
}

void loom_left_render(const loom_left_out *l, loom_buf *into)
{
    for (int i = 0; i < LOOM_LEFT_KINDS; i++)
        if (l->n[i])
            loom_buf_printf(into, "; %lld %s (%s, first: %s)", (long long)l->n[i], kinds[i].says, kinds[i].name,
                            loom_buf_text(&l->first[i]));
}

void loom_left_json(const loom_left_out *l, loom_jw *w)
{
    loom_jw_begin_object(w);
    for (int i = 0; i < LOOM_LEFT_KINDS; i++) {
        if (!l->n[i]) continue;
        loom_jw_key(w, kinds[i].name);
        loom_jw_begin_object(w);
        loom_jw_kv_i64(w, "n", l->n[i]);
        loom_jw_kv_str(w, "first", loom_buf_text(&l->first[i]));
        loom_jw_end_object(w);
    }
    loom_jw_end_object(w);
}

void loom_left_release(loom_left_out *l)
{
    for (int i = 0; i < LOOM_LEFT_KINDS; i++) loom_buf_release(&l->first[i]);
    *l = (loom_left_out){0};
}
