#include "model/model_files.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/hash.h"
#include "core/num.h"
#include "model/peft_targets.h"
#include "store/shard.h"


/* ---- finding files ---- */

static bool exists_in(loom_buf *path, const char *dir, const char *name)
{
    loom_buf_reset(path);
    loom_buf_printf(path, "%s/%s", dir, name);
    return loom_file_exists(path->data);
}

static loom_status resolve_folder(char **file, loom_model_kind *kind, const char *dir, loom_err *err)
{
    loom_buf path = {0};
    loom_status st = LOOM_OK;
    char *found = NULL;

    *kind = LOOM_MODEL_KIND_CKPT;
    if (exists_in(&path, dir, "config.json")) {
        *kind = LOOM_MODEL_KIND_HF;
        found = loom_strdup(dir);
    } else if (exists_in(&path, dir, "model.h5") || exists_in(&path, dir, "adapter.h5")) {
        found = loom_strdup(path.data);
    } else {
        st = loom_ckpt_newest(&found, dir, NULL, NULL, err);
    }
    loom_buf_release(&path);
    if (st == LOOM_OK && !found)
        st = loom_fail(err, LOOM_STATUS_IO,
                       "%s holds no model: no model.h5, adapter.h5, step-*.h5 of loom-train and no config.json", dir);
    if (st == LOOM_OK) *file = found;
    return st;
}

loom_status loom_model_find(char **file, loom_model_kind *kind, const char *path, loom_err *err)
{
    if (loom_file_is_dir(path)) return resolve_folder(file, kind, path, err);
    if (!loom_file_exists(path))
        return loom_fail(err, LOOM_STATUS_IO, "%s does not exist; give a checkpoint or a folder", path);
    *kind = LOOM_MODEL_KIND_CKPT;
    *file = loom_strdup(path);
    return *file ? LOOM_OK : loom_fail_nomem(err, "a file name");
}

/* ---- tensors by name, whatever they lie in ---- */

/* A checkpoint's group or a safetensors file, seen as named tensors. */
typedef struct source {
    loom_ckpt *ckpt;
    const char *group; /* "tensors/" or "adapter/" */
    loom_safetensors *st;
    const char *path;
} source;

static size_t source_count(const source *s)
{
    return s->ckpt ? loom_ckpt_count(s->ckpt) : loom_safetensors_count(s->st);
}

/* Name of tensor i without its group; NULL for what is not in the group. */
static const char *source_name(const source *s, size_t i)
{
    const char *name;

    if (s->st) return loom_safetensors_at(s->st, i)->name;
    name = loom_ckpt_at(s->ckpt, i)->name;
    return strncmp(name, s->group, strlen(s->group)) == 0 ? name + strlen(s->group) : NULL;
}

/* Type and shape; data is NULL for checkpoints unless `map`. */
static bool source_find(loom_tensor_view *out, const source *s, const char *name)
{
    const loom_tensor_view *v;
    const loom_ckpt_entry *e;
    loom_buf full = {0};

    if (s->st) {
        if ((v = loom_safetensors_find(s->st, name))) *out = *v;
        return v != NULL;
    }
    loom_buf_printf(&full, "%s%s", s->group, name);
    e = loom_ckpt_find(s->ckpt, full.data);
    loom_buf_release(&full);
    if (!e || e->is_text) return false;
    *out =
        (loom_tensor_view){.name = e->name, .dtype = e->dtype, .rank = e->rank, .count = e->count, .bytes = e->bytes};
    memcpy(out->shape, e->shape, sizeof out->shape);
    return true;
}

/* v as found by source_find. */
static loom_status source_read(float *out, const source *s, const loom_tensor_view *v, loom_err *err)
{
    if (s->ckpt) return loom_ckpt_read_f32(s->ckpt, v->name, out, v->count, err);
    loom_dtype_to_f32(out, v->data, v->dtype, v->count);
    loom_safetensors_forget(s->st, v);
    return LOOM_OK;
}

static loom_status source_map(loom_tensor_view *v, const source *s, loom_err *err)
{
    return s->ckpt ? loom_ckpt_map(s->ckpt, v->name, v, err) : LOOM_OK;
}

/* The first five names of a list that may be long. */
typedef struct names {
    loom_buf text;
    int64_t n;
} names;

static void names_add(names *list, const char *name)
{
    if (list->n < 5)
        loom_buf_printf(&list->text, "%s%s", list->n ? ", " : "", name);
    else if (list->n == 5)
        loom_buf_str(&list->text, ", ...");
    list->n++;
}

static loom_status names_fail(names *missing, names *extra, const char *path, loom_err *err)
{
    loom_status st = LOOM_OK;

    if (missing->n)
        st = loom_fail(err, LOOM_STATUS_FORMAT, "%s lacks %" PRId64 " tensors of this model: %.600s", path, missing->n,
                       loom_buf_text(&missing->text));
    else if (extra->n)
        st = loom_fail(err, LOOM_STATUS_FORMAT, "%s holds %" PRId64 " tensors this model does not have: %.600s", path,
                       extra->n, loom_buf_text(&extra->text));
    loom_buf_release(&missing->text);
    loom_buf_release(&extra->text);
    return st;
}

static loom_status check_shape(const loom_tensor *t, const loom_tensor_view *v, const char *path, loom_err *err)
{
    char text[128];
    bool same = v->rank == t->n_dims;

    for (int i = 0; i < v->rank && same; i++) same = v->shape[i] == t->shape[i];
    if (same) return LOOM_OK;
    if (t->n_dims == 1)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s: %s is %s, the model needs [%" PRId64 "]", path, t->name,
                         loom_tensor_shape_text(text, sizeof text, v), t->shape[0]);
    return loom_fail(err, LOOM_STATUS_FORMAT, "%s: %s is %s, the model needs [%" PRId64 ", %" PRId64 "]", path, t->name,
                     loom_tensor_shape_text(text, sizeof text, v), t->shape[0], t->shape[1]);
}

/* ---- weights ---- */

/* Old Llama-2 files store the rotary frequencies; some tied models store the head a second time. */
static bool may_be_ignored(const char *name, const loom_config *c)
{
    size_t n = strlen(name), m = strlen(".rotary_emb.inv_freq");

    return (n > m && strcmp(name + n - m, ".rotary_emb.inv_freq") == 0) ||
           (c->tied && strcmp(name, "lm_head.weight") == 0);
}

/* Exactly the tensors of the table, each with its shape. */
static loom_status check_names(const source *s, const loom_tensors *table, const loom_config *c, loom_err *err)
{
    names missing = {0}, extra = {0};
    loom_tensor_view v;

    for (int64_t i = 0; i < table->n; i++) {
        if (!source_find(&v, s, table->tensors[i].name)) names_add(&missing, table->tensors[i].name);
    }
    for (size_t i = 0; i < source_count(s); i++) {
        const char *name = source_name(s, i);
        if (name && !loom_tensors_find(table, name) && !may_be_ignored(name, c)) names_add(&extra, name);
    }
    LOOM_TRY(names_fail(&missing, &extra, s->path, err));
    for (int64_t i = 0; i < table->n; i++) {
        source_find(&v, s, table->tensors[i].name);
        LOOM_TRY(check_shape(&table->tensors[i], &v, s->path, err));
    }
    return LOOM_OK;
}

static loom_status read_weights(loom_llama *m, const source *s, loom_err *err)
{
    loom_tensor_view v;

    LOOM_TRY(check_names(s, &m->table, &m->config, err));
    for (int64_t i = 0; i < m->table.n; i++) {
        const loom_tensor *t = &m->table.tensors[i];
        source_find(&v, s, t->name);
        if (m->frozen && t->n_dims == 2) {
            LOOM_TRY(source_map(&v, s, err));
            loom_llama_borrow(m, i, v.data);
        } else {
            LOOM_TRY(source_read(m->params + t->offset, s, &v, err));
        }
    }
    return loom_llama_complete(m, err);
}

/* Matrices can stay where they are when all are bfloat16 at even addresses. */
static bool can_freeze(const source *s, const loom_config *config)
{
    loom_tensors table = {0};
    loom_tensor_view v;
    bool can = loom_llama_table(&table, config, NULL) == LOOM_OK;

    for (int64_t i = 0; i < table.n && can; i++) {
        if (table.tensors[i].n_dims != 2) continue;
        can = source_find(&v, s, table.tensors[i].name) && v.dtype == LOOM_DTYPE_BF16 && (uintptr_t)v.data % 2 == 0;
    }
    loom_tensors_release(&table);
    return can;
}

static loom_status make_model(loom_llama **out, const loom_config *config, const source *s, bool freeze, loom_err *err)
{
    loom_llama *m = NULL;
    loom_status st;

    if (freeze && can_freeze(s, config))
        st = loom_llama_new_frozen(&m, config, err);
    else
        st = loom_llama_new(&m, config, err);
    if (st == LOOM_OK) st = read_weights(m, s, err);
    if (st != LOOM_OK)
        loom_llama_free(m);
    else
        *out = m;
    return st;
}

loom_status loom_model_weights_check(loom_safetensors *st, const loom_config *config, const char *path, loom_err *err)
{
    source s = {.st = st, .path = path};
    loom_tensors table;
    loom_status status;

    LOOM_TRY(loom_llama_table(&table, config, err));
    status = check_names(&s, &table, config, err);
    loom_tensors_release(&table);
    return status;
}

loom_status loom_model_weights_read(loom_llama *m, loom_ckpt *c, loom_err *err)
{
    source s = {.ckpt = c, .group = "tensors/", .path = loom_ckpt_path(c)};

    return read_weights(m, &s, err);
}

loom_status loom_model_weights_put(loom_ckpt_writer *w, const loom_llama *m, loom_dtype dtype, loom_err *err)
{
    loom_buf name = {0};
    void *narrow = NULL;
    loom_status st = LOOM_OK;

    if (m->frozen) return loom_fail(err, LOOM_STATUS_ARG, "the weights of a frozen model are not written again");
    for (int64_t i = 0; i < m->table.n && st == LOOM_OK; i++) {
        const loom_tensor *t = &m->table.tensors[i];
        const void *data = m->params + t->offset;
        loom_dtype stored = t->n_dims == 2 ? dtype : LOOM_DTYPE_F32;
        loom_buf_reset(&name);
        loom_buf_printf(&name, "tensors/%s", t->name);
        if (stored != LOOM_DTYPE_F32) {
            if (!(narrow = loom_alloc(t->count, loom_dtype_size(stored)))) {
                st = loom_fail_nomem(err, t->name);
                break;
            }
            loom_dtype_from_f32(narrow, stored, data, (int64_t)t->count);
            data = narrow;
        }
        st = loom_ckpt_put(w, name.data, stored, data, t->n_dims, t->shape, err);
        free(narrow);
        narrow = NULL;
    }
    loom_buf_release(&name);
    return st;
}

void loom_model_weights_digest(char digest[17], const loom_ckpt *c)
{
    loom_buf b = {0};

    for (size_t i = 0; i < loom_ckpt_count(c); i++) {
        const loom_ckpt_entry *e = loom_ckpt_at(c, i);
        if (strncmp(e->name, "tensors/", 8) == 0)
            loom_buf_printf(&b, "%s %s %016" PRIx64 "\n", e->name, loom_dtype_name(e->dtype), e->checksum);
    }
    if (b.len)
        snprintf(digest, 17, "%016" PRIx64, loom_hash64(b.data, b.len, 0));
    else
        digest[0] = 0;
    loom_buf_release(&b);
}

/* ---- adapters ---- */

static loom_status refuse_key(const loom_json *root, const char *key, const char *name, loom_err *err)
{
    const loom_json *v = loom_json_get(root, key);
    bool set = loom_json_bool(v, false) || loom_json_len(v) > 0 ||
               (loom_json_is_string(v) && loom_json_str(v, NULL)[0]) ||
               (loom_json_is_int(v) && loom_json_i64(v, 0) != 0);

    return set ? loom_fail(err, LOOM_STATUS_FORMAT, "%s: \"%s\" is set; such adapters are not supported", name, key)
               : LOOM_OK;
}

static loom_status parse_targets(unsigned *out, const loom_json *node, const char *name, loom_err *err)
{
    unsigned bits = 0, one;

    if (loom_json_is_string(node)) return loom_peft_targets(out, loom_json_str(node, NULL), true, name, err);
    if (!loom_json_is_array(node) || loom_json_len(node) == 0)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s: target_modules is no list of matrices", name);
    for (size_t i = 0; i < loom_json_len(node); i++) {
        const char *text = loom_json_str(loom_json_at(node, i), NULL);
        LOOM_TRY(loom_peft_targets(&one, text ? text : "?", false, name, err));
        bits |= one;
    }
    *out = bits;
    return LOOM_OK;
}

static loom_status parse_adapter(loom_lora_config *out, const loom_json *root, const char *name, loom_err *err)
{
    static const char *const unknown[] = {"use_dora",      "modules_to_save",     "rank_pattern",
                                          "alpha_pattern", "layers_to_transform", "fan_in_fan_out",
                                          "lora_bias",     "layer_replication",   "exclude_modules",
                                          "target_parameters", "trainable_token_indices"};
    const char *bias = loom_json_str(loom_json_get(root, "bias"), NULL);
    const char *type = loom_json_str(loom_json_get(root, "peft_type"), NULL);
    loom_lora_config c = {0};

    if (!type || strcmp(type, "LORA") != 0)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s: peft_type is %.40s, expected LORA", name,
                         type ? type : "missing");
    if (bias && strcmp(bias, "none") != 0)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s: bias is \"%.40s\", expected \"none\"", name, bias);
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) LOOM_TRY(refuse_key(root, unknown[i], name, err));
    LOOM_TRY(loom_json_need_i64(root, "r", &c.R, err));
    LOOM_TRY(loom_json_need_f64(root, "lora_alpha", &c.alpha, err));
    c.dropout = loom_json_f64(loom_json_get(root, "lora_dropout"), 0);
    c.rslora = loom_json_bool(loom_json_get(root, "use_rslora"), false);
    LOOM_TRY(parse_targets(&c.targets, loom_json_get(root, "target_modules"), name, err));
    *out = c;
    return LOOM_OK;
}

loom_status loom_peft_config_parse(loom_lora_config *out, const char *json, size_t len, const char *name,
                                             loom_err *err)
{
    loom_json *root = NULL;
    loom_status st;

    LOOM_TRY(loom_json_parse(&root, json, len, name, err));
    st = parse_adapter(out, root, name, err);
    loom_json_free(root);
    if (st != LOOM_OK && err && !strstr(err->msg, name)) loom_err_in(err, "%s", name);
    return st;
}

/* Exactly the keys that PEFT 0.10 knows: older ones fail on keys they do not. */
void loom_peft_config_write(const loom_lora_config *c, const char *base_path, loom_buf *into)
{
    loom_jw w;

    loom_jw_init(&w, into, true);
    loom_jw_begin_object(&w);
    loom_jw_key(&w, "auto_mapping"), loom_jw_null(&w);
    loom_jw_kv_str(&w, "base_model_name_or_path", base_path);
    loom_jw_kv_str(&w, "bias", "none");
    loom_jw_kv_bool(&w, "fan_in_fan_out", false);
    loom_jw_kv_bool(&w, "inference_mode", true);
    loom_jw_kv_bool(&w, "init_lora_weights", true);
    loom_jw_key(&w, "layers_pattern"), loom_jw_null(&w);
    loom_jw_key(&w, "layers_to_transform"), loom_jw_null(&w);
    loom_jw_kv_f64(&w, "lora_alpha", c->alpha);
    loom_jw_kv_f64(&w, "lora_dropout", c->dropout);
    loom_jw_key(&w, "modules_to_save"), loom_jw_null(&w);
    loom_jw_kv_str(&w, "peft_type", "LORA");
    loom_jw_kv_i64(&w, "r", c->R);
    loom_jw_key(&w, "rank_pattern"), loom_jw_begin_object(&w), loom_jw_end_object(&w);
    loom_jw_key(&w, "alpha_pattern"), loom_jw_begin_object(&w), loom_jw_end_object(&w);
    loom_jw_key(&w, "revision"), loom_jw_null(&w);
    loom_jw_key(&w, "target_modules");
    loom_jw_begin_array(&w);
    for (int r = 0; r < LOOM_N_ADAPTABLE; r++) {
        if (c->targets >> r & 1) loom_jw_str(&w, loom_lora_module((loom_role)r));
    }
    loom_jw_end_array(&w);
    loom_jw_kv_str(&w, "task_type", "CAUSAL_LM");
    loom_jw_kv_bool(&w, "use_rslora", c->rslora);
    loom_jw_end_object(&w);
    loom_buf_char(into, '\n');
}

loom_status loom_adapter_file_put(loom_ckpt_writer *w, const loom_lora *lora, const char *base_path,
                                    const char *base_digest, loom_err *err)
{
    loom_buf text = {0}, name = {0};
    loom_jw jw;
    loom_status st;

    loom_peft_config_write(&lora->config, base_path, &text);
    st = loom_ckpt_put_text(w, "text/adapter", text.data, text.len, err);
    loom_buf_reset(&text);
    loom_jw_init(&jw, &text, false);
    loom_jw_begin_object(&jw);
    loom_jw_kv_str(&jw, "path", base_path);
    loom_jw_kv_str(&jw, "digest", base_digest);
    loom_jw_end_object(&jw);
    if (st == LOOM_OK) st = loom_ckpt_put_text(w, "text/base", text.data, text.len, err);
    for (int64_t i = 0; i < lora->table.n && st == LOOM_OK; i++) {
        const loom_tensor *t = &lora->table.tensors[i];
        loom_buf_reset(&name);
        loom_buf_printf(&name, "adapter/" LOOM_LORA_PREFIX "%s", t->name);
        st = loom_ckpt_put(w, name.data, LOOM_DTYPE_F32, lora->params + t->offset, t->n_dims, t->shape, err);
    }
    loom_buf_release(&text);
    loom_buf_release(&name);
    return st;
}

/* The spelling a tensor of the table has in the file: with the inner "model." or without, plain or with the adapter's
 * name in it. *odd is set when it is not the plain one. */
static bool find_lora(loom_tensor_view *v, const source *s, const char *name, bool *odd)
{
    static const char *const middles[] = {"", ".default"};
    const char *last = strrchr(name, '.');
    bool found = false;
    loom_buf b = {0};

    for (int inner = 0; inner < 2 && !found; inner++) {
        for (int m = 0; m < 2 && !found; m++) {
            const char *stem = inner ? name + strlen("model.") : name;
            loom_buf_reset(&b);
            loom_buf_printf(&b, LOOM_LORA_PREFIX "%.*s%s%s", (int)(last - stem), stem, middles[m], last);
            found = source_find(v, s, b.data);
            if (found && (inner || m)) *odd = true;
        }
    }
    loom_buf_release(&b);
    return found;
}

static loom_status read_adapter(loom_lora *lora, const source *s, bool *odd, loom_err *err)
{
    names missing = {0}, extra = {0};
    loom_tensor_view v;
    int64_t in_group = 0;

    for (int64_t i = 0; i < lora->table.n; i++) {
        if (!find_lora(&v, s, lora->table.tensors[i].name, odd)) names_add(&missing, lora->table.tensors[i].name);
    }
    for (size_t i = 0; i < source_count(s); i++) in_group += source_name(s, i) != NULL;
    if (!missing.n && in_group > lora->table.n) {
        loom_buf_printf(&extra.text, "it has %" PRId64 ", the configuration asks for %" PRId64, in_group,
                        lora->table.n);
        extra.n = in_group - lora->table.n;
    }
    LOOM_TRY(names_fail(&missing, &extra, s->path, err));
    for (int64_t i = 0; i < lora->table.n; i++) {
        const loom_tensor *t = &lora->table.tensors[i];
        find_lora(&v, s, t->name, odd);
        LOOM_TRY(check_shape(t, &v, s->path, err));
        LOOM_TRY(source_read(lora->params + t->offset, s, &v, err));
    }
    return LOOM_OK;
}

static loom_status make_adapter(loom_lora **out, const loom_config *base, const loom_lora_config *config,
                                const source *s, bool *odd, loom_err *err)
{
    loom_lora *lora = NULL;
    loom_status st = loom_lora_new(&lora, base, config, err);

    if (st == LOOM_OK && s) st = read_adapter(lora, s, odd, err);
    if (st != LOOM_OK)
        loom_lora_free(lora);
    else
        *out = lora;
    return st;
}

loom_status loom_adapter_file_read(loom_lora **out, const loom_config *base, loom_ckpt *c, bool weights,
                                     loom_err *err)
{
    source s = {.ckpt = c, .group = "adapter/", .path = loom_ckpt_path(c)};
    loom_lora_config config;
    size_t len = 0;
    bool odd = false;
    const char *json = loom_ckpt_text(c, "text/adapter", &len);

    if (!json) return loom_fail(err, LOOM_STATUS_FORMAT, "%s holds no adapter", s.path);
    LOOM_TRY(loom_peft_config_parse(&config, json, len, s.path, err));
    return make_adapter(out, base, &config, weights ? &s : NULL, &odd, err);
}

static loom_status take_text(char **out, size_t *len_out, const char *text, size_t len, loom_err *err)
{
    char *copy;

    if (!text) return LOOM_OK;
    if (!(copy = loom_alloc(len + 1, 1))) return loom_fail_nomem(err, "a text");
    memcpy(copy, text, len);
    copy[len] = 0;
    free(*out);
    *out = copy;
    if (len_out) *len_out = len;
    return LOOM_OK;
}

/* The names of an adapter's own training take the place of its base's. */
static loom_status names_of_ckpt(loom_model_files *b, const loom_ckpt *c, loom_err *err)
{
    size_t len = 0;
    const char *text = loom_ckpt_text(c, LOOM_MODEL_FILES_NAMES, &len);

    return take_text(&b->names, &b->names_len, text, len, err);
}

static loom_status names_of_folder(loom_model_files *b, const char *dir, loom_err *err)
{
    loom_buf path = {0}, text = {0};
    loom_status st = LOOM_OK;

    if (exists_in(&path, dir, "names.txt")) {
        st = loom_file_read(&text, path.data, LOOM_BOUND_NAMES, err);
        if (st == LOOM_OK) st = take_text(&b->names, &b->names_len, loom_buf_text(&text), text.len, err);
    }
    loom_buf_release(&path);
    loom_buf_release(&text);
    return st;
}

static loom_status load_peft(loom_model_files *b, const char *dir, loom_err *err)
{
    loom_lora_config config;
    loom_buf path = {0}, json = {0};
    loom_safetensors *st_file = NULL;
    source s = {0};
    bool odd = false;
    loom_status st;

    loom_buf_printf(&path, "%s/adapter_config.json", dir);
    if ((st = loom_file_read(&json, path.data, LOOM_BOUND_SETTINGS, err)) != LOOM_OK) goto done;
    if ((st = loom_peft_config_parse(&config, json.data, json.len, path.data, err)) != LOOM_OK) goto done;
    loom_buf_reset(&path);
    loom_buf_printf(&path, "%s/adapter_model.safetensors", dir);
    if ((st = loom_safetensors_open(&st_file, path.data, err)) != LOOM_OK) goto done;
    s.st = st_file;
    s.path = path.data;
    if ((st = make_adapter(&b->lora, &b->model->config, &config, &s, &odd, err)) != LOOM_OK) goto done;
    if (odd)
        snprintf(b->note, sizeof b->note, "%.180s: the names of the tensors are not PEFT's plain ones; read anyway",
                 dir);
    b->adapter_path = loom_strdup(dir);
    st = b->adapter_path ? names_of_folder(b, dir, err) : loom_fail_nomem(err, "a path");
done:
    loom_safetensors_close(&st_file);
    loom_buf_release(&path);
    loom_buf_release(&json);
    return st;
}

/* The base an adapter was trained on must be the one at hand: other weights give plausible nonsense. */
static loom_status check_base(const loom_model_files *b, const loom_ckpt *adapter, loom_err *err)
{
    size_t len = 0;
    const char *json = loom_ckpt_text(adapter, "text/base", &len), *digest;
    loom_json *root = NULL;
    loom_status st;

    if (!json) return LOOM_OK;
    if ((st = loom_json_parse(&root, json, len, loom_ckpt_path(adapter), err)) != LOOM_OK) return st;
    digest = loom_json_str(loom_json_get(root, "digest"), NULL);
    if (digest && digest[0] && b->digest[0] && strcmp(digest, b->digest) != 0)
        st = loom_fail(err, LOOM_STATUS_FORMAT,
                       "adapter %s was trained on other weights than those of %s; give its base",
                       loom_ckpt_path(adapter), b->path);
    loom_json_free(root);
    return st;
}

static loom_status load_adapter_ckpt(loom_model_files *b, const char *path, loom_err *err)
{
    loom_ckpt *c = NULL;
    loom_status st;

    if ((st = loom_ckpt_open(&c, path, err)) != LOOM_OK) return st;
    st = check_base(b, c, err);
    if (st == LOOM_OK) st = loom_adapter_file_read(&b->lora, &b->model->config, c, true, err);
    if (st == LOOM_OK && !(b->adapter_path = loom_strdup(path))) st = loom_fail_nomem(err, "a path");
    if (st == LOOM_OK) st = names_of_ckpt(b, c, err);
    loom_ckpt_close(&c);
    return st;
}

static loom_status load_adapter(loom_model_files *b, const char *adapter, loom_err *err)
{
    loom_buf path = {0};
    bool peft = exists_in(&path, adapter, "adapter_config.json");
    loom_model_kind kind;
    char *file = NULL;
    loom_status st;

    loom_buf_release(&path);
    if (peft) return load_peft(b, adapter, err);
    if ((st = loom_model_find(&file, &kind, adapter, err)) != LOOM_OK) return st;
    if (kind != LOOM_MODEL_KIND_CKPT)
        st = loom_fail(err, LOOM_STATUS_FORMAT, "%s is a model, not an adapter", adapter);
    else
        st = load_adapter_ckpt(b, file, err);
    free(file);
    return st;
}

/* ---- the whole ---- */

static loom_status load_hf(loom_model_files *b, const char *dir, const loom_model_files_options *o, loom_err *err)
{
    loom_buf path = {0}, tokenizer = {0};
    loom_config config;
    source s = {.path = dir};
    loom_status st;

    loom_buf_printf(&path, "%s/config.json", dir);
    if ((st = loom_config_read(&config, path.data, err)) != LOOM_OK) goto done;
    if ((st = loom_safetensors_open(&b->st, dir, err)) != LOOM_OK) goto done;
    s.st = b->st;
    if ((st = make_model(&b->model, &config, &s, o->frozen, err)) != LOOM_OK) goto done;
    if (exists_in(&path, dir, "tokenizer.json")) {
        if ((st = loom_file_read(&tokenizer, path.data, LOOM_BOUND_JSON, err)) != LOOM_OK) goto done;
        st = take_text(&b->tokenizer, &b->tokenizer_len, loom_buf_text(&tokenizer), tokenizer.len, err);
    }
    if (!b->model->frozen) loom_safetensors_close(&b->st);
    if (st == LOOM_OK) st = names_of_folder(b, dir, err);
done:
    loom_buf_release(&path);
    loom_buf_release(&tokenizer);
    return st;
}

loom_status loom_model_config_of(loom_config *out, const loom_ckpt *c, loom_err *err)
{
    size_t len = 0;
    const char *json = loom_ckpt_text(c, "text/config", &len);
    loom_json *root = NULL;
    loom_status st;

    if (!json) return loom_fail(err, LOOM_STATUS_FORMAT, "%s holds no model configuration", loom_ckpt_path(c));
    if ((st = loom_json_parse(&root, json, len, loom_ckpt_path(c), err)) != LOOM_OK) return st;
    st = loom_config_from_json(out, root, err);
    loom_json_free(root);
    return st == LOOM_OK ? LOOM_OK : loom_err_in(err, "%s", loom_ckpt_path(c));
}

static loom_status load_ckpt(loom_model_files *b, loom_ckpt *c, const loom_model_files_options *o, loom_err *err)
{
    source s = {.ckpt = c, .group = "tensors/", .path = loom_ckpt_path(c)};
    loom_config config;
    size_t len = 0;
    const char *text;

    LOOM_TRY(loom_model_config_of(&config, c, err));
    LOOM_TRY(make_model(&b->model, &config, &s, o->frozen, err));
    text = loom_ckpt_text(c, "text/tokenizer", &len);
    LOOM_TRY(take_text(&b->tokenizer, &b->tokenizer_len, text, len, err));
    LOOM_TRY(names_of_ckpt(b, c, err));
    text = loom_ckpt_text(c, "text/meta", &len);
    LOOM_TRY(take_text(&b->meta, NULL, text, len, err));
    if (loom_ckpt_read_i64(c, "state/step", &b->step, NULL) != LOOM_OK) b->step = -1;
    loom_model_weights_digest(b->digest, c);
    return LOOM_OK;
}

/* Where an adapter checkpoint says its base is; the caller frees. */
static loom_status recorded_base(char **out, const loom_ckpt *c, loom_err *err)
{
    size_t len = 0;
    const char *json = loom_ckpt_text(c, "text/base", &len), *path;
    loom_json *root = NULL;
    loom_status st;

    if (!json) return loom_fail(err, LOOM_STATUS_FORMAT, "%s holds neither a model nor an adapter", loom_ckpt_path(c));
    if ((st = loom_json_parse(&root, json, len, loom_ckpt_path(c), err)) != LOOM_OK) return st;
    path = loom_json_str(loom_json_get(root, "path"), NULL);
    if (!path || !loom_file_exists(path))
        st = loom_fail(err, LOOM_STATUS_IO,
                       "%s is an adapter and its base %.300s is not there; give the base as the model and "
                       "this file as --adapter",
                       loom_ckpt_path(c), path ? path : "(unknown)");
    else if (!(*out = loom_strdup(path)))
        st = loom_fail_nomem(err, "a file name");
    loom_json_free(root);
    return st;
}

static bool has_weights(const loom_ckpt *c)
{
    return loom_ckpt_find(c, "tensors/model.embed_tokens.weight") != NULL;
}

/* `path` is a checkpoint file. An adapter alone leads to its base, then to itself. */
static loom_status load_ckpt_file(loom_model_files *b, const char *path, const char *adapter, const loom_model_files_options *o,
                                  loom_err *err)
{
    loom_model_files_options plain = {.frozen = o->frozen};
    loom_ckpt *c = NULL;
    char *base = NULL;
    loom_status st;

    if ((st = loom_ckpt_open(&c, path, err)) != LOOM_OK) return st;
    if (has_weights(c)) {
        st = load_ckpt(b, c, o, err);
        if (st == LOOM_OK && b->model->frozen) {
            b->ckpt = c;
            c = NULL;
        }
        b->path = loom_strdup(path);
        goto done;
    }
    if (adapter) {
        st = loom_fail(err, LOOM_STATUS_ARG, "%s is an adapter itself; give its base as the model", path);
        goto done;
    }
    if (o->base)
        base = loom_strdup(o->base);
    else if ((st = recorded_base(&base, c, err)) != LOOM_OK)
        goto done;
    st = loom_model_files_load(b, base, path, &plain, err);
done:
    free(base);
    loom_ckpt_close(&c);
    return st;
}

loom_status loom_model_files_load(loom_model_files *out, const char *model, const char *adapter, const loom_model_files_options *o,
                             loom_err *err)
{
    loom_model_files b = {.step = -1};
    loom_model_kind kind;
    char *file = NULL;
    loom_status st;

    if ((st = loom_model_find(&file, &kind, model, err)) != LOOM_OK) return st;
    if (kind == LOOM_MODEL_KIND_HF) {
        st = load_hf(&b, file, o, err);
        b.path = file;
        file = NULL;
    } else {
        st = load_ckpt_file(&b, file, adapter, o, err);
    }
    free(file);
    if (st == LOOM_OK && adapter && !b.lora) st = load_adapter(&b, adapter, err);
    if (st != LOOM_OK) {
        loom_model_files_release(&b);
        return st;
    }
    if (b.tokenizer) loom_text_digest(b.tokenizer_digest, b.tokenizer, b.tokenizer_len);
    *out = b;
    return LOOM_OK;
}

void loom_model_files_release(loom_model_files *b)
{
    loom_lora_free(b->lora);
    loom_llama_free(b->model);
    loom_ckpt_close(&b->ckpt);
    loom_safetensors_close(&b->st);
    free(b->tokenizer);
    free(b->names);
    free(b->path);
    free(b->adapter_path);
    free(b->meta);
    *b = (loom_model_files){.step = -1};
}
