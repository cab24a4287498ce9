#include "core/meta.h"

#include "core/file.h"
#include "core/hash.h"
#include "core/log.h"
#include "core/num.h"

loom_status loom_meta_input(loom_meta *m, const char *path, loom_err *err)
{
    loom_jw w;
    bool known = strcmp(path, "-") != 0 && !loom_file_is_dir(path);
    if (m->inputs.len) loom_buf_char(&m->inputs, ',');
    loom_jw_init(&w, &m->inputs, false);
    loom_jw_begin_object(&w);
    loom_jw_kv_str(&w, "path", path);
    m->unknown |= !known;
    if (known) {
        char digest[33];
        int64_t bytes = loom_file_size(path);
        LOOM_TRY(loom_hash_file(digest, path, err));
        loom_jw_kv_i64(&w, "bytes", bytes);
        loom_jw_kv_str(&w, "xxh3_128", digest);
        loom_buf_printf(&m->digests, "%lld %s\n", (long long)bytes, digest);
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

/* Every setting as a line of JSON, so that no value can look like two. */
static void settings_digest(char text[33], const loom_meta *m, const loom_ctx *ctx)
{
    loom_jw w;
    loom_buf all = {0}, value = {0};
    loom_jw_init(&w, &all, false);
    loom_jw_begin_object(&w);
    loom_jw_kv_str(&w, "program", ctx->program);
    loom_jw_kv_str(&w, "version", LOOM_VERSION);
    loom_jw_kv_str(&w, "subcommand", ctx->cmd->name);
    loom_jw_kv_i64(&w, "seed", ctx->common.seed);
    for (const loom_opt *o = ctx->cmd->opts; o->type != LOOM_OPT_TYPE_END; o++) {
        if (o->type == LOOM_OPT_TYPE_GROUP || o->role == LOOM_OPT_OUTPUT) continue;
        loom_buf_reset(&value);
        loom_opt_value_text(&value, ctx->conf, o);
        loom_jw_kv_str(&w, o->name, o->role == LOOM_OPT_SETTING ? loom_buf_text(&value) : value.len ? "given" : "");
    }
    loom_jw_kv_str(&w, "inputs", loom_buf_text(&m->digests));
    loom_jw_end_object(&w);
    loom_hash128 h = loom_hash128_of(all.data, all.len);
    snprintf(text, 33, "%016llx%016llx", (unsigned long long)h.hi, (unsigned long long)h.lo);
    loom_buf_release(&all);
    loom_buf_release(&value);
}

/* output_bytes < 0: not said. */
static void render(const loom_meta *m, const loom_ctx *ctx, int64_t output_bytes, loom_buf *into)
{
    char digest[33];
    settings_digest(digest, m, ctx);
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
    if (!m->unknown) loom_jw_kv_str(&w, "settings_digest", digest);
    if (output_bytes >= 0) loom_jw_kv_i64(&w, "output_bytes", output_bytes);
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

void loom_meta_render(const loom_meta *m, const loom_ctx *ctx, loom_buf *into) { render(m, ctx, -1, into); }

loom_status loom_meta_write(const loom_meta *m, const loom_ctx *ctx, const char *path, loom_err *err)
{
    if (strcmp(path, "-") == 0 || (loom_file_exists(path) && loom_file_size(path) < 0)) return LOOM_OK;
    loom_buf text = {0}, name = {0};
    render(m, ctx, loom_file_size(path), &text);
    loom_buf_printf(&name, "%s.meta.json", path);
    loom_status st = loom_file_write(name.data, text.data, text.len, true, err);
    loom_buf_release(&text);
    loom_buf_release(&name);
    return st;
}

static bool outputs_exist(const loom_ctx *ctx)
{
    for (const loom_opt *o = ctx->cmd->opts; o->type != LOOM_OPT_TYPE_END; o++) {
        if (o->type != LOOM_OPT_TYPE_STR || o->role != LOOM_OPT_OUTPUT) continue;
        const char *path = *(const char *const *)((const char *)ctx->conf + o->offset);
        if (path && (strcmp(path, "-") == 0 || !loom_file_exists(path))) return false;
    }
    return true;
}

bool loom_meta_fresh(const loom_meta *m, const loom_ctx *ctx, const char *path)
{
    enum { MAX_BYTES = 64 << 20 };
    char digest[33];
    loom_buf name = {0};
    loom_json *old = NULL;
    bool fresh = false;

    if (m->unknown || strcmp(path, "-") == 0 || !outputs_exist(ctx)) return false;
    loom_buf_printf(&name, "%s.meta.json", path);
    int64_t bytes = loom_file_size(path);
    if (bytes >= 0 && loom_file_exists(name.data) && loom_json_read_file(&old, name.data, MAX_BYTES, NULL) == LOOM_OK) {
        const char *was = loom_json_str(loom_json_get(old, "settings_digest"), NULL);
        settings_digest(digest, m, ctx);
        fresh = was && strcmp(was, digest) == 0 && loom_json_i64(loom_json_get(old, "output_bytes"), -1) == bytes;
    }
    loom_json_free(old);
    loom_buf_release(&name);
    return fresh;
}

bool loom_meta_up_to_date(const loom_meta *m, const loom_ctx *ctx, const char *path)
{
    if (!ctx->common.update || !loom_meta_fresh(m, ctx, path)) return false;
    loom_info("%s is up to date", path);
    return true;
}

void loom_meta_release(loom_meta *m)
{
    loom_buf_release(&m->inputs);
    loom_buf_release(&m->digests);
    loom_buf_release(&m->extra);
}
