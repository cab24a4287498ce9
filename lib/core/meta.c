#include "core/meta.h"

#include "core/file.h"
#include "core/hash.h"
#include "core/num.h"

loom_status loom_meta_input(loom_meta *m, const char *path, loom_err *err)
{
    loom_jw w;
    if (m->inputs.len) loom_buf_char(&m->inputs, ',');
    loom_jw_init(&w, &m->inputs, false);
    loom_jw_begin_object(&w);
    loom_jw_kv_str(&w, "path", path);
    if (strcmp(path, "-") != 0 && !loom_file_is_dir(path)) {
        char digest[33];
        LOOM_TRY(loom_hash_file(digest, path, err));
        loom_jw_kv_i64(&w, "bytes", loom_file_size(path));
        loom_jw_kv_str(&w, "xxh3_128", digest);
    }
    loom_jw_end_object(&w);
    return LOOM_OK;
}

static void add_key(loom_meta *m, loom_jw *w, const char *key)
{
    loom_buf_str(&m->extra, ",\n  ");
    loom_jw_init(w, &m->extra, false);
    loom_jw_str(w, key);
    loom_buf_str(&m->extra, ": ");
}

void loom_meta_i64(loom_meta *m, const char *key, int64_t v)
{
    loom_jw w;
    add_key(m, &w, key);
    loom_jw_i64(&w, v);
}

void loom_meta_f64(loom_meta *m, const char *key, double v)
{
    loom_jw w;
    add_key(m, &w, key);
    loom_jw_f64(&w, v);
}

void loom_meta_str(loom_meta *m, const char *key, const char *text)
{
    loom_jw w;
    add_key(m, &w, key);
    loom_jw_str(&w, text);
}

void loom_meta_json(loom_meta *m, const char *key, const char *json_text)
{
    loom_jw w;
    add_key(m, &w, key);
    loom_buf_str(&m->extra, json_text);
}

void loom_meta_render(const loom_meta *m, const loom_ctx *ctx, loom_buf *into)
{
    loom_jw w;
    loom_buf value = {0};
    loom_jw_init(&w, into, true);
    loom_jw_begin_object(&w);
    loom_jw_kv_str(&w, "program", ctx->program);
    loom_jw_kv_str(&w, "version", LOOM_VERSION);
    loom_jw_kv_str(&w, "subcommand", ctx->cmd->name);
    loom_jw_kv_str(&w, "command_line", ctx->command_line);
    loom_jw_kv_i64(&w, "seed", ctx->common.seed);
    loom_jw_kv_i64(&w, "threads", ctx->common.threads);
    loom_jw_key(&w, "options");
    loom_jw_begin_object(&w);
    for (const loom_opt *o = ctx->cmd->opts; o->type != LOOM_OPT_TYPE_END; o++) {
        if (o->type == LOOM_OPT_TYPE_GROUP) continue;
        loom_buf_reset(&value);
        loom_opt_value_text(&value, ctx->conf, o);
        loom_jw_kv_str(&w, o->name, loom_buf_text(&value));
    }
    loom_jw_end_object(&w);
    loom_buf_printf(into, ",\n  \"inputs\": [%s]%s", loom_buf_text(&m->inputs), loom_buf_text(&m->extra));
    loom_jw_end_object(&w);
    loom_buf_char(into, '\n');
    loom_buf_release(&value);
}

loom_status loom_meta_write(const loom_meta *m, const loom_ctx *ctx, const char *path, loom_err *err)
{
    if (strcmp(path, "-") == 0 || (loom_file_exists(path) && loom_file_size(path) < 0)) return LOOM_OK;
    loom_buf text = {0}, name = {0};
    loom_meta_render(m, ctx, &text);
    loom_buf_printf(&name, "%s.meta.json", path);
    loom_status st = loom_file_write(name.data, text.data, text.len, true, err);
    loom_buf_release(&text);
    loom_buf_release(&name);
    return st;
}

void loom_meta_release(loom_meta *m)
{
    loom_buf_release(&m->inputs);
    loom_buf_release(&m->extra);
}
