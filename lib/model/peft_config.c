/* adapter_config.json as PEFT writes and reads it. */
#include "model/peft_config.h"

#include <string.h>

#include "core/json.h"
#include "model/peft_targets.h"

static loom_status refuse_key(const loom_json *root, const char *key, const char *name, loom_err *err)
{
    const loom_json *v = loom_json_get(root, key);
    bool set = loom_json_bool(v, false) || loom_json_len(v) > 0 ||
               (loom_json_is_string(v) && loom_json_str(v, NULL)[0]) || loom_json_f64(v, 0) != 0;

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
    static const char *const unknown[] = {"use_dora",          "modules_to_save",        "rank_pattern",
                                          "alpha_pattern",     "layers_to_transform",    "fan_in_fan_out",
                                          "lora_bias",         "layer_replication",      "exclude_modules",
                                          "target_parameters", "trainable_token_indices"};
    const loom_json *bias = loom_json_get(root, "bias");
    const char *which = loom_json_str(bias, NULL);
    const char *type = loom_json_str(loom_json_get(root, "peft_type"), NULL);
    loom_lora_config c = {0};

    if (!type || strcmp(type, "LORA") != 0)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s: peft_type is %.40s, expected LORA", name,
                         type ? type : "missing");
    if (!loom_json_is_null(bias) && (!which || strcmp(which, "none") != 0))
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s: bias is \"%.40s\", expected \"none\"", name,
                         which ? which : "(no text)");
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) LOOM_TRY(refuse_key(root, unknown[i], name, err));
    LOOM_TRY(loom_json_need_i64(root, "r", &c.R, err));
    LOOM_TRY(loom_json_need_f64(root, "lora_alpha", &c.alpha, err));
    LOOM_TRY(loom_json_may_f64(root, "lora_dropout", &c.dropout, err));
    LOOM_TRY(loom_json_may_bool(root, "use_rslora", &c.rslora, err));
    LOOM_TRY(parse_targets(&c.targets, loom_json_get(root, "target_modules"), name, err));
    *out = c;
    return LOOM_OK;
}

loom_status loom_peft_config_parse(loom_lora_config *out, const char *json, size_t len, const char *name, loom_err *err)
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
