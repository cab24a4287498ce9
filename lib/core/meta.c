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
    return loom_buf_check(&m->inputs, "provenance", err);
}

void loom_meta_called(loom_meta *m, const char *name) { loom_buf_printf(&m->digests, "called %s\n", name); }

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
void loom_meta_settings(const loom_meta *m, const loom_ctx *ctx, char text[33])
{
    loom_jw w;
    loom_buf all = {0}, value = {0};
    loom_jw_init(&w, &all, false);
    loom_jw_begin_object(&w);
    loom_jw_kv_str(&w, "program", ctx->program);
    loom_jw_kv_str(&w, "version", LOOM_VERSION);
    loom_jw_kv_str(&w, "subcommand", ctx->cmd->name);
    loom_jw_kv_i64(&w, "seed", ctx->common.seed);
    if (ctx->common.safe_csv) loom_jw_kv_bool(&w, "safe_csv", true);
    for (const loom_opt *o = ctx->cmd->opts; o->type != LOOM_OPT_TYPE_END; o++) {
        if (!loom_opt_is_value(o) || o->role == LOOM_OPT_OUTPUT) continue;
        loom_buf_reset(&value);
        loom_opt_value_text(&value, ctx->conf, o);
        loom_jw_kv_str(&w, o->name, o->role == LOOM_OPT_SETTING ? loom_buf_text(&value) : value.len ? "given" : "");
    }
    loom_jw_kv_str(&w, "inputs", loom_buf_text(&m->digests));
    loom_jw_end_object(&w);
    loom_hash128_text(loom_hash128_of(all.data, all.len), text);
    loom_buf_release(&all);
    loom_buf_release(&value);
}

/* output NULL: not said. `inside`: only what shapes the content, so that the same content is the same bytes. */
static void render(const loom_meta *m, const loom_ctx *ctx, const loom_temp *output, bool inside, loom_buf *into)
{
    char digest[33];
    loom_meta_settings(m, ctx, digest);
    loom_jw w;
    loom_buf value = {0};
    loom_jw_init(&w, into, true);
    loom_jw_begin_object(&w);
    loom_jw_kv_str(&w, "program", ctx->program);
    loom_jw_kv_str(&w, "version", LOOM_VERSION);
    loom_jw_kv_str(&w, "subcommand", ctx->cmd->name);
    if (!inside) loom_jw_kv_str(&w, "command_line", ctx->command_line);
    loom_jw_kv_i64(&w, "seed", ctx->common.seed);
    if (!inside) loom_jw_kv_i64(&w, "threads", ctx->common.threads);
    if (!m->unknown) loom_jw_kv_str(&w, "settings_digest", digest);
    if (output) {
        loom_jw_kv_i64(&w, "output_bytes", output->bytes);
        loom_jw_kv_str(&w, "output_xxh3_128", output->digest);
    }
    loom_jw_key(&w, "options");
    loom_jw_begin_object(&w);
    for (const loom_opt *o = ctx->cmd->opts; o->type != LOOM_OPT_TYPE_END; o++) {
        if (!loom_opt_is_value(o) || (inside && o->role == LOOM_OPT_OUTPUT)) continue;
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

void loom_meta_render(const loom_meta *m, const loom_ctx *ctx, loom_buf *into) { render(m, ctx, NULL, false, into); }

void loom_meta_render_inside(const loom_meta *m, const loom_ctx *ctx, loom_buf *into)
{
    render(m, ctx, NULL, true, into);
}

/* The finished temporary file of PATH.meta.json, which tells of `output`. */
static loom_status write_beside(loom_out **out, const loom_meta *m, const loom_ctx *ctx, const loom_temp *output,
                                loom_err *err)
{
    loom_buf text = {0}, name = {0};
    render(m, ctx, output, false, &text);
    loom_buf_printf(&name, "%s.meta.json", output->path);
    loom_status st = loom_buf_check(&name, "provenance", err);
    if (st == LOOM_OK) st = loom_buf_check(&text, "provenance", err);
    if (st == LOOM_OK) st = loom_out_open(out, name.data, true, err);
    if (st == LOOM_OK) st = loom_out_write(*out, text.data, text.len, err);
    if (st == LOOM_OK) st = loom_out_finish(*out, err);
    if (st == LOOM_OK) loom_temp_allow_as(loom_out_temp(*out), output);
    loom_buf_release(&text);
    loom_buf_release(&name);
    return st;
}

loom_status loom_meta_publish(const loom_meta *m, const loom_ctx *ctx, loom_temp *const *outputs, size_t n,
                              size_t n_told, loom_err *err)
{
    loom_temp **all = loom_calloc(2 * n, sizeof *all);
    loom_out **metas = loom_calloc(n, sizeof *metas);
    size_t n_all = 0;
    loom_status st = all && metas ? LOOM_OK : loom_fail_nomem(err, "the names of outputs");
    for (size_t i = 0; i < n && st == LOOM_OK; i++) all[n_all++] = outputs[i];
    for (size_t i = 0; i < n_told && st == LOOM_OK; i++) {
        st = write_beside(&metas[i], m, ctx, outputs[i], err);
        if (st == LOOM_OK) all[n_all++] = loom_out_temp(metas[i]);
    }
    if (st == LOOM_OK) st = loom_temp_publish(all, n_all, err);
    for (size_t i = 0; metas && i < n; i++) loom_out_abandon(&metas[i]); /* what has its name stays */
    free(metas);
    free(all);
    return st;
}

loom_status loom_meta_commit(const loom_meta *m, const loom_ctx *ctx, loom_out **outs, size_t n, size_t n_told,
                             loom_err *err)
{
    loom_temp **temps = loom_calloc(n, sizeof *temps);
    size_t n_temps = 0, n_beside = 0;
    loom_status st = temps ? LOOM_OK : loom_fail_nomem(err, "the names of outputs");
    for (size_t i = 0; i < n && st == LOOM_OK; i++) {
        if (!outs[i]) continue;
        st = loom_out_finish(outs[i], err);
        if (!loom_out_temp(outs[i])) continue;
        temps[n_temps++] = loom_out_temp(outs[i]);
        n_beside += i < n_told;
    }
    if (st == LOOM_OK) st = loom_meta_publish(m, ctx, temps, n_temps, n_beside, err);
    for (size_t i = 0; i < n; i++) loom_out_abandon(&outs[i]);
    free(temps);
    return st;
}

loom_status loom_meta_file_write(const loom_meta *m, const loom_ctx *ctx, const char *path, const void *data,
                                 size_t len, bool force, loom_err *err)
{
    loom_out *out = NULL;
    LOOM_TRY(loom_out_open(&out, path, force, err));
    loom_status st = loom_out_write(out, data, len, err);
    if (st == LOOM_OK) return loom_meta_commit(m, ctx, &out, 1, 1, err);
    loom_out_abandon(&out);
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

/* *same: whether the file is the one that was told of; `digest` NULL: by an older version, which did not say. */
static loom_status compare_digest(bool *same, const char *path, const char *digest, loom_err *err)
{
    char now[33];
    loom_status st = digest ? loom_hash_file(now, path, err) : LOOM_OK;
    *same = st == LOOM_OK && (!digest || strcmp(now, digest) == 0);
    return st;
}

/* A text that is no JSON tells nothing; one that cannot be read, or no memory for it, is an error. */
static loom_status read_sidecar(loom_json **out, const char *path, loom_err *err)
{
    loom_buf name = {0};
    loom_status st;

    loom_buf_printf(&name, "%s.meta.json", path);
    st = loom_buf_check(&name, "a file name", err);
    if (st == LOOM_OK && loom_file_exists(name.data)) st = loom_json_read_file(out, name.data, LOOM_BOUND_JSON, err);
    loom_buf_release(&name);
    return st == LOOM_STATUS_FORMAT ? LOOM_OK : st;
}

loom_status loom_meta_read(loom_json **out, const char *path, bool by_digest, loom_err *err)
{
    loom_json *meta = NULL;
    bool same = true;

    *out = NULL;
    LOOM_TRY(read_sidecar(&meta, path, err));
    int64_t size = loom_file_size(path), bytes = loom_json_i64(loom_json_get(meta, "output_bytes"), -1);
    const char *digest = loom_json_str(loom_json_get(meta, "output_xxh3_128"), NULL);
    loom_status st = LOOM_OK;
    if (meta && size >= 0) same = bytes < 0 || bytes == size;
    if (meta && size >= 0 && same && by_digest) st = compare_digest(&same, path, digest, err);
    if (st == LOOM_OK && same) *out = meta;
    else loom_json_free(meta);
    return st;
}

loom_json *loom_meta_load(const char *path, bool by_digest)
{
    loom_json *meta = NULL;
    return loom_meta_read(&meta, path, by_digest, NULL) == LOOM_OK ? meta : NULL;
}

bool loom_meta_fresh(const loom_meta *m, const loom_ctx *ctx, const char *path)
{
    char digest[33];
    if (m->unknown || strcmp(path, "-") == 0 || !outputs_exist(ctx) || loom_file_size(path) < 0) return false;
    loom_json *old = loom_meta_load(path, true);
    const char *was = loom_json_str(loom_json_get(old, "settings_digest"), NULL);
    loom_meta_settings(m, ctx, digest);
    bool fresh = was && strcmp(was, digest) == 0 &&
                 loom_json_i64(loom_json_get(old, "output_bytes"), -1) == loom_file_size(path);
    loom_json_free(old);
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
