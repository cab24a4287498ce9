#include "model/training.h"

#include <string.h>

#include "core/file.h"
#include "core/json.h"
#include "core/usage.h"
#include "store/ckpt.h"

#define FORMAT "spanloom-training-1"

const char *const loom_training_starts[] = {"random weights", "model", "base model"};

/* training.json in the folder of the checkpoint */
static void beside(loom_buf *path, const char *checkpoint)
{
    const char *slash = strrchr(checkpoint, '/');

    loom_buf_append(path, checkpoint, slash ? (size_t)(slash - checkpoint) + 1 : 0);
    loom_buf_str(path, "training.json");
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* ---- writing ---- */

static void raw(loom_jw *w, const char *key, const char *json)
{
    loom_jw_key(w, key);
    loom_buf_str(w->buf, json);
    w->after_key = w->first = false;
}

static void put_start(loom_jw *w, const loom_training *t)
{
    loom_jw_key(w, "start");
    loom_jw_begin_object(w);
    loom_jw_kv_str(w, "from", loom_training_starts[t->start]);
    if (t->start != LOOM_TRAINING_RANDOM) {
        loom_jw_kv_str(w, "path", t->start_path);
        if (t->start_digest && *t->start_digest) loom_jw_kv_str(w, "digest", t->start_digest);
        if (t->start_training) raw(w, "training", t->start_training);
    }
    loom_jw_end_object(w);
}

static void render(loom_buf *into, const char *checkpoint, const char *digest, const loom_training *t)
{
    loom_jw w;

    loom_jw_init(&w, into, false);
    loom_jw_begin_object(&w);
    loom_jw_kv_str(&w, "format", FORMAT);
    loom_jw_kv_str(&w, "model", base_name(checkpoint));
    loom_jw_kv_str(&w, "digest", digest);
    loom_jw_kv_str(&w, "command", t->command);
    loom_jw_kv_i64(&w, "steps", t->steps);
    loom_jw_kv_i64(&w, "tokens", t->tokens);
    if (t->kept_step >= 0) loom_jw_kv_i64(&w, "kept_step", t->kept_step);
    loom_jw_kv_f64(&w, "seconds", t->seconds);
    if (t->machines) raw(&w, "machines", t->machines);
    loom_jw_kv_str(&w, "products", t->products);
    if (t->privacy) raw(&w, "privacy", t->privacy);
    put_start(&w, t);
    loom_jw_end_object(&w);
    loom_buf_char(into, '\n');
}

loom_status loom_training_write(const char *checkpoint, const loom_training *t, loom_err *err)
{
    loom_buf path = {0}, text = {0};
    loom_ckpt *c = NULL;
    loom_status st = loom_ckpt_open(&c, checkpoint, err);

    if (st == LOOM_OK) {
        beside(&path, checkpoint);
        render(&text, checkpoint, loom_ckpt_digest(c), t);
        st = loom_buf_check(&text, "how the model was trained", err);
    }
    if (st == LOOM_OK) st = loom_buf_check(&path, "a file name", err);
    if (st == LOOM_OK) st = loom_file_write(path.data, text.data, text.len, true, err);
    loom_ckpt_close(&c);
    loom_buf_release(&path);
    loom_buf_release(&text);
    return st;
}

/* ---- reading ---- */

/* Does the text tell of this very checkpoint? */
static loom_status tells_of(bool *yes, const loom_buf *text, const char *checkpoint, loom_err *err)
{
    loom_json *root = NULL;
    loom_ckpt *c = NULL;
    loom_status st = loom_json_parse(&root, loom_buf_text(text), text->len, "training.json", err);

    *yes = false;
    if (st == LOOM_STATUS_FORMAT) return LOOM_OK; /* none of ours */
    if (st == LOOM_OK) st = loom_ckpt_open(&c, checkpoint, err);
    const char *format = loom_json_str(loom_json_get(root, "format"), NULL);
    const char *digest = loom_json_str(loom_json_get(root, "digest"), NULL);
    if (st == LOOM_OK && format && digest)
        *yes = strcmp(format, FORMAT) == 0 && strcmp(digest, loom_ckpt_digest(c)) == 0;
    loom_ckpt_close(&c);
    loom_json_free(root);
    return st;
}

loom_status loom_training_find(loom_buf *into, const char *checkpoint, loom_err *err)
{
    loom_buf path = {0}, text = {0};
    bool ours = false;
    loom_status st;

    if (loom_file_is_dir(checkpoint)) return LOOM_OK;
    beside(&path, checkpoint);
    if ((st = loom_buf_check(&path, "a file name", err)) == LOOM_OK && loom_file_exists(path.data)) {
        st = loom_file_read(&text, path.data, LOOM_BOUND_SETTINGS, err);
        if (st == LOOM_OK) st = tells_of(&ours, &text, checkpoint, err);
    }
    while (text.len && text.data[text.len - 1] == '\n') text.len--;
    if (ours) loom_buf_append(into, text.data, text.len);
    loom_buf_release(&path);
    loom_buf_release(&text);
    return st == LOOM_OK ? loom_buf_check(into, "how a model was trained", err) : st;
}

/* ---- machines ---- */

loom_status loom_training_add_machine(loom_buf *list, int64_t threads, int ranks, loom_err *err)
{
    char cpu[128];
    loom_buf one = {0};
    loom_jw w;

    loom_jw_init(&w, &one, false);
    loom_jw_begin_object(&w);
    loom_jw_kv_i64(&w, "threads", threads);
    if (ranks > 1) loom_jw_kv_i64(&w, "ranks", ranks);
    if (*loom_cpu_name(cpu, sizeof cpu)) loom_jw_kv_str(&w, "cpu", cpu);
    loom_jw_end_object(&w);
    loom_status st = loom_buf_check(&one, "the name of the CPU", err);
    if (st == LOOM_OK && !list->len) loom_buf_printf(list, "[%s]", one.data);
    else if (st == LOOM_OK && !strstr(list->data, one.data)) {
        loom_buf before = *list, after = {0};
        loom_buf_printf(&after, "%.*s%s%s]", (int)before.len - 1, before.data, before.len > 2 ? "," : "", one.data);
        loom_buf_release(list);
        *list = after;
    }
    if (st == LOOM_OK) st = loom_buf_check(list, "the machines of the run", err);
    loom_buf_release(&one);
    return st;
}
