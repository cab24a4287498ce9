#include "train/snapshot.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/num.h"
#include "model/model_files.h"
#include "model/pissa.h"

/* What is kept of one tensor, under its name in a group. */
typedef struct kept {
    const char *group;
    float *data;
} kept;

/* What is kept of the i-th trained tensor beside its weights; returns how many things. */
static int kept_of(kept list[3], const loom_trainer *t, int64_t i)
{
    const loom_optimizer *o = t->optimizer;
    size_t offset = t->table->tensors[i].offset;
    bool muon = loom_optimizer_is_muon(o, i);
    int n = 0;

    list[n++] = (kept){muon ? "muon_m" : "adam_m", o->m + offset};
    if (!muon) list[n++] = (kept){"adam_v", o->v + o->v_at[i]};
    if (t->mean) list[n++] = (kept){"ema", t->mean + offset};
    return n;
}

typedef loom_status kept_fn(void *checkpoint, const char *name, const loom_tensor *x, float *data, loom_err *err);

static loom_status each_kept(const loom_trainer *t, kept_fn *fn, void *checkpoint, loom_err *err)
{
    loom_buf name = {0};
    loom_status st = LOOM_OK;

    for (int64_t i = 0; i < t->table->n && st == LOOM_OK; i++) {
        const loom_tensor *x = &t->table->tensors[i];
        kept list[3];

        for (int n = kept_of(list, t, i), j = 0; j < n && st == LOOM_OK; j++) {
            loom_buf_reset(&name);
            loom_buf_printf(&name, "%s/%s", list[j].group, x->name);
            st = fn(checkpoint, name.data, x, list[j].data, err);
        }
    }
    loom_buf_release(&name);
    return st;
}

static loom_status put_one(void *writer, const char *name, const loom_tensor *x, float *data, loom_err *err)
{
    return loom_ckpt_put(writer, name, LOOM_DTYPE_F32, data, x->n_dims, x->shape, err);
}

static loom_status read_one(void *checkpoint, const char *name, const loom_tensor *x, float *data, loom_err *err)
{
    return loom_ckpt_read_f32(checkpoint, name, data, (int64_t)x->count, err);
}

/* The adapter for the base as it lies in its file. */
static loom_status put_adapter(loom_ckpt_writer *w, const loom_trainer *t, const loom_snapshot_texts *x, loom_err *err)
{
    loom_lora *wide = NULL;
    loom_status st;

    if (!t->pissa) return loom_adapter_file_put(w, t->lora, x->base_path, x->base_digest, err);
    LOOM_TRY(loom_pissa_widen(&wide, t->lora, t->pissa, &t->model->config, err));
    st = loom_adapter_file_put(w, wide, x->base_path, x->base_digest, err);
    loom_lora_free(wide);
    return st;
}

static loom_status put_weights(loom_ckpt_writer *w, const loom_trainer *t, const loom_snapshot_texts *x, loom_err *err)
{
    loom_buf config = {0};
    loom_status st;

    loom_config_write(&t->model->config, "float32", &config);
    st = loom_ckpt_put_text(w, "text/config", config.data, config.len, err);
    if (st == LOOM_OK && t->lora) st = put_adapter(w, t, x, err);
    else if (st == LOOM_OK) st = loom_model_weights_put(w, t->model, LOOM_DTYPE_F32, err);
    if (st == LOOM_OK) st = loom_ckpt_put_text(w, "text/tokenizer", x->tokenizer, x->tokenizer_len, err);
    if (st == LOOM_OK && x->names[0])
        st = loom_ckpt_put_text(w, LOOM_MODEL_FILES_NAMES, x->names, strlen(x->names), err);
    if (st == LOOM_OK) st = loom_ckpt_put_text(w, "text/meta", x->meta, strlen(x->meta), err);
    if (st == LOOM_OK) st = loom_ckpt_put_i64(w, "state/step", t->step, err);
    if (st == LOOM_OK) st = loom_ckpt_put_i64(w, "state/tokens", t->tokens, err);
    loom_buf_release(&config);
    return st;
}

static loom_status put_state(loom_ckpt_writer *w, const loom_trainer *t, const loom_snapshot_run *run,
                             const loom_snapshot_texts *x, loom_err *err)
{
    loom_position p = loom_loader_tell(t->loader);
    const int64_t position[3] = {p.epoch, p.sample, p.offset}, three = 3;

    LOOM_TRY(each_kept(t, put_one, w, err));
    LOOM_TRY(loom_ckpt_put(w, "state/position", LOOM_DTYPE_I64, position, 1, &three, err));
    LOOM_TRY(loom_ckpt_put_i64(w, "state/seed", (int64_t)t->o.seed, err));
    LOOM_TRY(loom_ckpt_put_f64(w, "state/seconds", run->seconds, err));
    LOOM_TRY(loom_ckpt_put_f64(w, "state/curve_sum", run->curve_sum, err));
    LOOM_TRY(loom_ckpt_put_i64(w, "state/curve_count", run->curve_count, err));
    LOOM_TRY(loom_ckpt_put_i64(w, "state/curve_tokens", run->curve_tokens, err));
    LOOM_TRY(loom_ckpt_put_f64(w, "state/valid_loss", run->valid_loss, err));
    LOOM_TRY(loom_ckpt_put_f64(w, "state/best_loss", run->best_loss, err));
    LOOM_TRY(loom_ckpt_put_i64(w, "state/best_step", run->best_step, err));
    LOOM_TRY(loom_ckpt_put_i64(w, "state/threads", run->threads, err));
    if (t->dp) LOOM_TRY(loom_ckpt_put_i64(w, "state/dp_secret", (int64_t)t->secret, err));
    if (t->dp) LOOM_TRY(loom_ckpt_put_f64(w, "state/dp_noise", t->o.dp.noise, err));
    LOOM_TRY(loom_ckpt_put_text(w, LOOM_SNAPSHOT_MACHINES, x->machines, strlen(x->machines), err));
    return loom_ckpt_put_text(w, "text/train", x->rules, strlen(x->rules), err);
}

/* Bytes of a file of weights alone, a little more than the tensors in it. */
static int64_t weight_bytes(const loom_trainer *t, const loom_snapshot_texts *x)
{
    int64_t weights = (int64_t)(t->table->floats * sizeof(float)) * (t->pissa ? 2 : 1);

    return weights + (int64_t)(x->tokenizer_len + strlen(x->names)) + (1 << 20);
}

/* The same with all that is kept beside them. */
static int64_t state_bytes(const loom_trainer *t, const loom_snapshot_texts *x)
{
    size_t state, work, block = t->table->floats * sizeof(float);

    loom_optimizer_bytes(&state, &work, t->optimizer->o.kind, t->table, 1);
    return weight_bytes(t, x) + (int64_t)(state + (t->mean ? block : 0));
}

loom_status loom_snapshot_save(const char *dir, int64_t keep, const loom_trainer *t, const loom_snapshot_run *run,
                               const loom_snapshot_texts *texts, loom_err *err)
{
    char *path = loom_ckpt_step_path(dir, t->step);
    loom_ckpt_writer *w = NULL;
    loom_status st;

    if (!path) return loom_fail_nomem(err, "a file name");
    if ((st = loom_ckpt_create(&w, path, true, state_bytes(t, texts), err)) != LOOM_OK) goto done;
    if ((st = put_weights(w, t, texts, err)) != LOOM_OK) goto done;
    if ((st = put_state(w, t, run, texts, err)) != LOOM_OK) goto done;
    if ((st = loom_ckpt_commit(&w, err)) != LOOM_OK) goto done;
    st = loom_ckpt_prune(dir, keep, err);
done:
    loom_ckpt_abandon(&w);
    free(path);
    return st == LOOM_OK ? LOOM_OK : loom_err_in(err, "saving step %" PRId64, t->step);
}

static char *export_path(const char *dir, const loom_trainer *t)
{
    loom_buf name = {0};
    loom_buf_printf(&name, "%s/%s.h5", dir, t->lora ? "adapter" : "model");
    return loom_buf_take(&name);
}

char *loom_snapshot_exported(const char *dir, const loom_trainer *t)
{
    char *path = export_path(dir, t);
    if (path && loom_file_exists(path)) return path;
    free(path);
    return NULL;
}

/* The weights that are the result: their moving average if one is kept. */
static loom_status put_result(loom_ckpt_writer *w, loom_trainer *t, const loom_snapshot_texts *x, loom_err *err)
{
    loom_status st;

    int64_t tokens = t->tokens;

    if (t->dp) t->tokens = 0; /* how many there were depends on which graphs were drawn */
    loom_trainer_swap_mean(t);
    st = put_weights(w, t, x, err);
    loom_trainer_swap_mean(t);
    t->tokens = tokens;
    return st;
}

loom_status loom_snapshot_export(char **path, const char *dir, loom_trainer *t, const loom_snapshot_texts *texts,
                                 loom_err *err)
{
    char *name = export_path(dir, t);
    loom_ckpt_writer *w = NULL;
    loom_status st;

    if (!name) return loom_fail_nomem(err, "a file name");
    if ((st = loom_ckpt_create(&w, name, true, weight_bytes(t, texts), err)) != LOOM_OK) goto done;
    if ((st = put_result(w, t, texts, err)) != LOOM_OK) goto done;
    if ((st = loom_ckpt_commit(&w, err)) != LOOM_OK) goto done;
    *path = name;
    name = NULL;
done:
    loom_ckpt_abandon(&w);
    free(name);
    return st;
}

loom_status loom_snapshot_best(const char *dir, loom_trainer *t, double valid_loss, const loom_snapshot_texts *texts,
                               loom_err *err)
{
    loom_buf path = {0};
    loom_ckpt_writer *w = NULL;
    loom_status st;

    loom_buf_printf(&path, "%s/best.h5", dir);
    if ((st = loom_ckpt_create(&w, path.data, true, weight_bytes(t, texts), err)) != LOOM_OK) goto done;
    if ((st = put_result(w, t, texts, err)) != LOOM_OK) goto done;
    if ((st = loom_ckpt_put_f64(w, "state/valid_loss", valid_loss, err)) != LOOM_OK) goto done;
    st = loom_ckpt_commit(&w, err);
done:
    loom_ckpt_abandon(&w);
    loom_buf_release(&path);
    return st == LOOM_OK ? LOOM_OK : loom_err_in(err, "saving the best weights so far");
}

/* False: another shape. */
static bool take_adapter(const loom_trainer *t, const loom_lora *read)
{
    if (t->pissa) return loom_pissa_narrow(t->lora, read);
    if (read->config.R != t->lora->config.R || read->table.floats != t->lora->table.floats) return false;
    memcpy(t->lora->params, read->params, read->table.floats * sizeof(float));
    return true;
}

static loom_status restore_weights(loom_trainer *t, loom_ckpt *c, loom_err *err)
{
    loom_lora *read = NULL;
    bool fits;

    if (!t->lora) return loom_model_weights_read(t->model, c, err);
    LOOM_TRY(loom_adapter_file_read(&read, &t->model->config, c, true, err));
    fits = take_adapter(t, read);
    loom_lora_free(read);
    if (!fits) return loom_fail(err, LOOM_STATUS_FORMAT, "%s holds an adapter of another shape", loom_ckpt_path(c));
    return LOOM_OK;
}

loom_status loom_snapshot_take_best(const char *dir, loom_trainer *t, loom_err *err)
{
    loom_buf path = {0};
    loom_ckpt *c = NULL;
    loom_status st;

    loom_buf_printf(&path, "%s/best.h5", dir);
    if ((st = loom_ckpt_open(&c, path.data, err)) == LOOM_OK) st = restore_weights(t, c, err);
    if (st == LOOM_OK && t->mean) memcpy(t->mean, t->w, t->table->floats * sizeof *t->w);
    loom_ckpt_close(&c);
    loom_buf_release(&path);
    return st == LOOM_OK ? LOOM_OK : loom_err_in(err, "going back to the best weights");
}

/* The noise of the steps to come goes on where it was; those done are spent, which state/step says. */
static loom_status restore_privacy(loom_trainer *t, loom_ckpt *c, loom_err *err)
{
    int64_t secret;
    double noise;

    LOOM_TRY(loom_ckpt_read_i64(c, "state/dp_secret", &secret, err));
    LOOM_TRY(loom_ckpt_read_f64(c, "state/dp_noise", &noise, err));
    if (noise != t->o.dp.noise)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "the steps in %s were made with noise %.6g, and this version plans %.6g for the same --dp; "
                         "start over with --force",
                         loom_ckpt_path(c), noise, t->o.dp.noise);
    t->secret = (uint64_t)secret;
    return LOOM_OK;
}

loom_status loom_snapshot_restore(loom_trainer *t, loom_snapshot_run *run, loom_ckpt *c, loom_err *err)
{
    int64_t position[3];
    loom_position p;

    LOOM_TRY(restore_weights(t, c, err));
    LOOM_TRY(each_kept(t, read_one, c, err));
    LOOM_TRY(loom_ckpt_read_i64(c, "state/step", &t->step, err));
    LOOM_TRY(loom_ckpt_read_i64(c, "state/tokens", &t->tokens, err));
    LOOM_TRY(loom_ckpt_read(c, "state/position", position, sizeof position, err));
    LOOM_TRY(loom_ckpt_read_f64(c, "state/seconds", &run->seconds, err));
    LOOM_TRY(loom_ckpt_read_f64(c, "state/curve_sum", &run->curve_sum, err));
    LOOM_TRY(loom_ckpt_read_i64(c, "state/curve_count", &run->curve_count, err));
    LOOM_TRY(loom_ckpt_read_i64(c, "state/curve_tokens", &run->curve_tokens, err));
    LOOM_TRY(loom_ckpt_read_f64(c, "state/valid_loss", &run->valid_loss, err));
    run->threads = 0;
    if (loom_ckpt_find(c, "state/threads")) LOOM_TRY(loom_ckpt_read_i64(c, "state/threads", &run->threads, err));
    if (loom_ckpt_find(c, "state/best_step")) { /* older checkpoints have none */
        LOOM_TRY(loom_ckpt_read_f64(c, "state/best_loss", &run->best_loss, err));
        LOOM_TRY(loom_ckpt_read_i64(c, "state/best_step", &run->best_step, err));
    }
    if (t->dp) LOOM_TRY(restore_privacy(t, c, err));
    p = (loom_position){.epoch = position[0], .sample = position[1], .offset = position[2]};
    if (p.epoch < 0 || p.sample < 0 || p.sample > loom_loader_samples(t->loader) || p.offset < 0)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s: the position in the data makes no sense", loom_ckpt_path(c));
    loom_loader_seek(t->loader, &p);
    return LOOM_OK;
}

/* Value of a key in "key=value" lines; len 0 and NULL when absent. */
static const char *value_of(const char *text, const char *key, size_t key_len, size_t *len)
{
    for (const char *line = text; line && *line;) {
        const char *end = strchrnul(line, '\n');
        if ((size_t)(end - line) > key_len && strncmp(line, key, key_len) == 0 && line[key_len] == '=') {
            *len = (size_t)(end - line) - key_len - 1;
            return line + key_len + 1;
        }
        line = *end ? end + 1 : end;
    }
    *len = 0;
    return NULL;
}

loom_status loom_snapshot_same_rules(const char *now, const char *then, bool all, const char *dir, loom_err *err)
{
    for (const char *line = now; *line;) {
        const char *end = strchrnul(line, '\n'), *equals = memchr(line, '=', (size_t)(end - line));
        size_t key_len = equals ? (size_t)(equals - line) : 0, len, old_len;
        const char *value = equals ? equals + 1 : end, *old = value_of(then, line, key_len, &old_len);
        len = (size_t)(end - value);
        if (old ? len != old_len || memcmp(value, old, len) != 0 : all)
            return loom_fail(
                err, LOOM_STATUS_ARG,
                "%.*s is \"%.*s\" here, but \"%.*s\" in the run that %s holds; go on with the same, choose another "
                "--output, or start over with --force",
                (int)key_len, line, (int)loom_min_i64((int64_t)len, 100), value,
                (int)loom_min_i64((int64_t)old_len, 100), old ? old : "", dir);
        line = *end ? end + 1 : end;
    }
    return LOOM_OK;
}
