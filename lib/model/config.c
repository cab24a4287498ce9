#include "model/config.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "core/num.h"

/* Larger than any real model; keeps every later product of two sizes far from overflow. */
#define MAX_SIZE   (INT64_C(1) << 24)
#define MAX_LAYERS 4096

void loom_config_default(loom_config *c)
{
    *c = (loom_config){.max_positions = 2048,
                       .rms_eps = 1e-5,
                       .init_range = 0.02,
                       .rope_theta = 10000.0,
                       .rope_kind = LOOM_ROPE_DEFAULT,
                       .rope_factor = 1.0,
                       .rope_low = 1.0,
                       .rope_high = 4.0,
                       .rope_old_positions = 8192,
                       .bos_id = 1,
                       .pad_id = -1,
                       .eos_ids = {2},
                       .n_eos = 1};
}

static loom_status check_size(const char *key, int64_t value, int64_t max, loom_err *err)
{
    if (value >= 1 && value <= max) return LOOM_OK;
    return loom_fail(err, LOOM_STATUS_ARG, "%s is %" PRId64 ", expected 1..%" PRId64, key, value, max);
}

static loom_status check_rope(const loom_config *c, loom_err *err)
{
    if (!(c->rope_theta > 0) || !isfinite(c->rope_theta))
        return loom_fail(err, LOOM_STATUS_ARG, "rope_theta is %g, expected a positive number", c->rope_theta);
    if (c->rope_kind == LOOM_ROPE_DEFAULT) return LOOM_OK;
    if (!(c->rope_factor > 0) || !isfinite(c->rope_factor))
        return loom_fail(err, LOOM_STATUS_ARG, "rope_scaling factor is %g, expected a positive number", c->rope_factor);
    if (c->rope_kind == LOOM_ROPE_LLAMA3 &&
        !(c->rope_low > 0 && c->rope_high > c->rope_low && c->rope_old_positions > 0))
        return loom_fail(err, LOOM_STATUS_ARG,
                         "rope_scaling llama3 needs 0 < low_freq_factor < high_freq_factor and "
                         "original_max_position_embeddings > 0, found %g, %g, %" PRId64,
                         c->rope_low, c->rope_high, c->rope_old_positions);
    return LOOM_OK;
}

loom_status loom_config_check(loom_config *c, loom_err *err)
{
    LOOM_TRY(check_size("hidden_size", c->C, MAX_SIZE, err));
    LOOM_TRY(check_size("num_hidden_layers", c->L, MAX_LAYERS, err));
    LOOM_TRY(check_size("num_attention_heads", c->H, 65536, err));
    if (c->K == 0) c->K = c->H;
    LOOM_TRY(check_size("num_key_value_heads", c->K, c->H, err));
    if (c->H % c->K)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "num_key_value_heads (%" PRId64 ") must divide num_attention_heads (%" PRId64 ")", c->K, c->H);
    if (c->D == 0) {
        if (c->C % c->H)
            return loom_fail(err, LOOM_STATUS_ARG,
                             "num_attention_heads (%" PRId64 ") must divide hidden_size (%" PRId64
                             ") when head_dim is not set",
                             c->H, c->C);
        c->D = c->C / c->H;
    }
    LOOM_TRY(check_size("head_dim", c->D, 65536, err));
    if (c->D % 2)
        return loom_fail(err, LOOM_STATUS_ARG, "head_dim is %" PRId64 ", rotary positions need an even number", c->D);
    LOOM_TRY(check_size("num_attention_heads * head_dim", c->H * c->D, MAX_SIZE, err));
    LOOM_TRY(check_size("intermediate_size", c->F, MAX_SIZE, err));
    LOOM_TRY(check_size("vocab_size", c->V, MAX_SIZE, err));
    LOOM_TRY(check_size("max_position_embeddings", c->max_positions, MAX_SIZE, err));
    if (!(c->rms_eps >= 0) || c->rms_eps > 1)
        return loom_fail(err, LOOM_STATUS_ARG, "rms_norm_eps is %g, expected 0..1", c->rms_eps);
    if (!(c->init_range > 0) || c->init_range > 10)
        return loom_fail(err, LOOM_STATUS_ARG, "initializer_range is %g, expected a number above 0", c->init_range);
    return check_rope(c, err);
}

/* ---- config.json ---- */
static loom_status read_identity(const loom_json *root, loom_err *err)
{
    const char *type = loom_json_str(loom_json_get(root, "model_type"), NULL);
    const loom_json *arch = loom_json_get(root, "architectures");
    const char *first = loom_json_str(loom_json_at(arch, 0), NULL);
    const loom_json *act = loom_json_get(root, "hidden_act");
    const char *shape = loom_json_str(act, NULL);
    bool attention_bias = false, mlp_bias = false;

    if (!type || strcmp(type, "llama") != 0)
        return loom_fail(err, LOOM_STATUS_FORMAT, "model_type is \"%.60s\", only \"llama\" can be read",
                         type ? type : "(absent)");
    if (!loom_json_is_null(arch) && (!first || strcmp(first, "LlamaForCausalLM") != 0))
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "architectures holds \"%.60s\", only \"LlamaForCausalLM\" can be read",
                         first ? first : "(no text)");
    if (!loom_json_is_null(act) && (!shape || strcmp(shape, "silu") != 0))
        return loom_fail(err, LOOM_STATUS_FORMAT, "hidden_act is \"%.60s\", only \"silu\" can be read",
                         shape ? shape : "(no text)");
    LOOM_TRY(loom_json_may_bool(root, "attention_bias", &attention_bias, err));
    LOOM_TRY(loom_json_may_bool(root, "mlp_bias", &mlp_bias, err));
    if (attention_bias || mlp_bias)
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "attention_bias or mlp_bias is true; models with biases cannot be read");
    return LOOM_OK;
}

static loom_status read_rope(loom_config *c, const loom_json *root, loom_err *err)
{
    const loom_json *five = loom_json_get(root, "rope_parameters");
    const loom_json *scaling = loom_json_is_null(five) ? loom_json_get(root, "rope_scaling") : five;
    const char *kind;

    LOOM_TRY(loom_json_may_f64(root, "rope_theta", &c->rope_theta, err));
    if (loom_json_is_null(scaling)) return LOOM_OK;
    if (!loom_json_is_object(scaling)) return loom_fail(err, LOOM_STATUS_FORMAT, "rope_scaling is not an object");
    LOOM_TRY(loom_json_may_f64(scaling, "rope_theta", &c->rope_theta, err));
    kind = loom_json_str(loom_json_get(scaling, "rope_type"), NULL);
    if (!kind) kind = loom_json_str(loom_json_get(scaling, "type"), NULL);
    if (!kind) return loom_fail(err, LOOM_STATUS_FORMAT, "rope_scaling has no rope_type");
    if (strcmp(kind, "default") == 0) return LOOM_OK;
    if (strcmp(kind, "linear") == 0) c->rope_kind = LOOM_ROPE_LINEAR;
    else if (strcmp(kind, "llama3") == 0) c->rope_kind = LOOM_ROPE_LLAMA3;
    else
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "rope_scaling of type \"%.40s\" cannot be read, only default, linear and llama3", kind);
    LOOM_TRY(loom_json_need_f64(scaling, "factor", &c->rope_factor, err));
    if (c->rope_kind == LOOM_ROPE_LINEAR) return LOOM_OK;
    LOOM_TRY(loom_json_need_f64(scaling, "low_freq_factor", &c->rope_low, err));
    LOOM_TRY(loom_json_need_f64(scaling, "high_freq_factor", &c->rope_high, err));
    return loom_json_need_i64(scaling, "original_max_position_embeddings", &c->rope_old_positions, err);
}

static loom_status read_ids(loom_config *c, const loom_json *root, loom_err *err)
{
    const loom_json *eos = loom_json_get(root, "eos_token_id");

    LOOM_TRY(loom_json_may_i64(root, "bos_token_id", &c->bos_id, err));
    LOOM_TRY(loom_json_may_i64(root, "pad_token_id", &c->pad_id, err));
    if (loom_json_is_null(eos)) return LOOM_OK;
    if (loom_json_is_int(eos)) {
        c->eos_ids[0] = loom_json_i64(eos, 2);
        return LOOM_OK;
    }
    if (!loom_json_is_array(eos) || loom_json_len(eos) > LOOM_MAX_EOS)
        return loom_fail(err, LOOM_STATUS_FORMAT, "eos_token_id is neither a number nor a list of at most %d",
                         LOOM_MAX_EOS);
    c->n_eos = 0;
    for (size_t i = 0; i < loom_json_len(eos); i++) {
        if (!loom_json_is_int(loom_json_at(eos, i)))
            return loom_fail(err, LOOM_STATUS_FORMAT, "eos_token_id holds something that is not a whole number");
        c->eos_ids[c->n_eos++] = loom_json_i64(loom_json_at(eos, i), 0);
    }
    return LOOM_OK;
}

static loom_status read_sizes(loom_config *c, const loom_json *root, loom_err *err)
{
    LOOM_TRY(loom_json_need_i64(root, "hidden_size", &c->C, err));
    LOOM_TRY(loom_json_need_i64(root, "intermediate_size", &c->F, err));
    LOOM_TRY(loom_json_need_i64(root, "num_hidden_layers", &c->L, err));
    LOOM_TRY(loom_json_need_i64(root, "num_attention_heads", &c->H, err));
    LOOM_TRY(loom_json_need_i64(root, "vocab_size", &c->V, err));
    LOOM_TRY(loom_json_may_i64(root, "num_key_value_heads", &c->K, err));
    LOOM_TRY(loom_json_may_i64(root, "head_dim", &c->D, err));
    LOOM_TRY(loom_json_may_i64(root, "max_position_embeddings", &c->max_positions, err));
    LOOM_TRY(loom_json_may_f64(root, "rms_norm_eps", &c->rms_eps, err));
    LOOM_TRY(loom_json_may_f64(root, "initializer_range", &c->init_range, err));
    return loom_json_may_bool(root, "tie_word_embeddings", &c->tied, err);
}

loom_status loom_config_from_json(loom_config *out, const loom_json *root, loom_err *err)
{
    loom_config c;

    loom_config_default(&c);
    if (!loom_json_is_object(root))
        return loom_fail(err, LOOM_STATUS_FORMAT, "model configuration is not a JSON object");
    LOOM_TRY(read_identity(root, err));
    LOOM_TRY(read_sizes(&c, root, err));
    LOOM_TRY(read_rope(&c, root, err));
    LOOM_TRY(read_ids(&c, root, err));
    if (loom_config_check(&c, err) != LOOM_OK) { /* the file is wrong here, not the user's option */
        if (err) err->status = LOOM_STATUS_FORMAT;
        return LOOM_STATUS_FORMAT;
    }
    *out = c;
    return LOOM_OK;
}

loom_status loom_config_read(loom_config *out, const char *path, loom_err *err)
{
    loom_json *root = NULL;
    loom_status st = loom_json_read_file(&root, path, LOOM_BOUND_SETTINGS, err);

    if (st != LOOM_OK) return st;
    st = loom_config_from_json(out, root, err);
    loom_json_free(root);
    return st == LOOM_OK ? LOOM_OK : loom_err_in(err, "%s", path);
}

static void write_rope(const loom_config *c, loom_jw *w)
{
    loom_jw_kv_f64(w, "rope_theta", c->rope_theta);
    loom_jw_key(w, "rope_scaling");
    if (c->rope_kind == LOOM_ROPE_DEFAULT) {
        loom_jw_null(w);
        return;
    }
    loom_jw_begin_object(w);
    loom_jw_kv_str(w, "rope_type", c->rope_kind == LOOM_ROPE_LINEAR ? "linear" : "llama3");
    loom_jw_kv_f64(w, "factor", c->rope_factor);
    if (c->rope_kind == LOOM_ROPE_LLAMA3) {
        loom_jw_kv_f64(w, "low_freq_factor", c->rope_low);
        loom_jw_kv_f64(w, "high_freq_factor", c->rope_high);
        loom_jw_kv_i64(w, "original_max_position_embeddings", c->rope_old_positions);
    }
    loom_jw_end_object(w);
}

static void write_ids(const loom_config *c, loom_jw *w)
{
    if (c->bos_id >= 0) loom_jw_kv_i64(w, "bos_token_id", c->bos_id);
    if (c->n_eos == 1) loom_jw_kv_i64(w, "eos_token_id", c->eos_ids[0]);
    if (c->n_eos > 1) {
        loom_jw_key(w, "eos_token_id");
        loom_jw_begin_array(w);
        for (int i = 0; i < c->n_eos; i++) loom_jw_i64(w, c->eos_ids[i]);
        loom_jw_end_array(w);
    }
    if (c->pad_id >= 0) loom_jw_kv_i64(w, "pad_token_id", c->pad_id);
}

void loom_config_write(const loom_config *c, const char *dtype, loom_buf *into)
{
    loom_jw w;

    loom_jw_init(&w, into, true);
    loom_jw_begin_object(&w);
    loom_jw_key(&w, "architectures");
    loom_jw_begin_array(&w);
    loom_jw_str(&w, "LlamaForCausalLM");
    loom_jw_end_array(&w);
    loom_jw_kv_str(&w, "model_type", "llama");
    loom_jw_kv_i64(&w, "hidden_size", c->C);
    loom_jw_kv_i64(&w, "intermediate_size", c->F);
    loom_jw_kv_i64(&w, "num_hidden_layers", c->L);
    loom_jw_kv_i64(&w, "num_attention_heads", c->H);
    loom_jw_kv_i64(&w, "num_key_value_heads", c->K);
    loom_jw_kv_i64(&w, "head_dim", c->D);
    loom_jw_kv_i64(&w, "vocab_size", c->V);
    loom_jw_kv_i64(&w, "max_position_embeddings", c->max_positions);
    loom_jw_kv_f64(&w, "rms_norm_eps", c->rms_eps);
    loom_jw_kv_f64(&w, "initializer_range", c->init_range);
    write_rope(c, &w);
    loom_jw_kv_bool(&w, "tie_word_embeddings", c->tied);
    write_ids(c, &w);
    loom_jw_kv_str(&w, "hidden_act", "silu");
    loom_jw_kv_bool(&w, "attention_bias", false);
    loom_jw_kv_bool(&w, "mlp_bias", false);
    loom_jw_kv_str(&w, "torch_dtype", dtype);
    loom_jw_end_object(&w);
}

bool loom_config_is_eos(const loom_config *c, int64_t token)
{
    for (int i = 0; i < c->n_eos; i++)
        if (c->eos_ids[i] == token) return true;
    return false;
}

/* Weights of one layer's seven matrices. */
static int64_t layer_matrices(const loom_config *c) { return c->C * (2 * c->H * c->D + 2 * c->K * c->D + 3 * c->F); }

int64_t loom_config_params(const loom_config *c)
{
    return c->V * c->C * (c->tied ? 1 : 2) + c->L * (layer_matrices(c) + 2 * c->C) + c->C;
}

double loom_config_flops(const loom_config *c, int64_t T)
{
    double matrices = (double)(c->L * layer_matrices(c)) + (double)c->V * (double)c->C;

    return 6.0 * matrices + 6.0 * (double)c->L * (double)(c->H * c->D) * (double)T;
}

void loom_rope_frequencies(double *f, const loom_config *c)
{
    for (int64_t i = 0; i < c->D / 2; i++) {
        double base = pow(c->rope_theta, -2.0 * (double)i / (double)c->D);
        double length = 2.0 * 3.14159265358979323846 / base; /* positions of a full turn */
        double old = (double)c->rope_old_positions;

        f[i] = base;
        if (c->rope_kind == LOOM_ROPE_LINEAR) f[i] = base / c->rope_factor;
        if (c->rope_kind != LOOM_ROPE_LLAMA3 || length < old / c->rope_high) continue;
        if (length > old / c->rope_low) {
            f[i] = base / c->rope_factor;
        } else {
            double s = (old / length - c->rope_low) / (c->rope_high - c->rope_low);

            f[i] = (1 - s) * base / c->rope_factor + s * base;
        }
    }
}
