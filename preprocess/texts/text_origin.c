#include "preprocess/texts/text_origin.h"

#include <string.h>

#include "core/json.h"
#include "core/meta.h"

/* Options that say where files are: they do not shape the text, and are nobody's business. */
static bool names_file(const char *key)
{
    static const char *const files[] = {"output", "stats", "names"};

    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (strcmp(key, files[i]) == 0) return true;
    return false;
}

static void put_origin(loom_jw *w, const loom_json *meta)
{
    const char *subcommand = loom_json_str(loom_json_get(meta, "subcommand"), NULL);
    const loom_json *options = loom_json_get(meta, "options");

    if (!subcommand || !options) {
        loom_jw_null(w);
        return;
    }
    loom_jw_begin_object(w);
    loom_jw_kv_str(w, "subcommand", subcommand);
    loom_jw_key(w, "options");
    loom_jw_begin_object(w);
    for (void *it = loom_json_iter(options); it; it = loom_json_iter_next(options, it)) {
        if (names_file(loom_json_iter_key(it))) continue;
        loom_jw_key(w, loom_json_iter_key(it));
        loom_jw_copy(w, loom_json_iter_value(it));
    }
    loom_jw_end_object(w);
    loom_jw_end_object(w);
}

loom_status loom_text_origins(loom_buf *into, char *const *paths, int n, loom_err *err)
{
    loom_jw w;
    loom_status st = LOOM_OK;

    loom_jw_init(&w, into, false);
    loom_jw_begin_array(&w);
    for (int i = 0; i < n && st == LOOM_OK; i++) {
        loom_json *meta = NULL;
        if (strcmp(paths[i], "-") != 0) st = loom_meta_read(&meta, paths[i], true, err);
        put_origin(&w, meta);
        loom_json_free(meta);
    }
    loom_jw_end_array(&w);
    return st;
}
