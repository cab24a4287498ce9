#include "model/peft_targets.h"

#include <regex.h>
#include <stdio.h>
#include <string.h>

#include "core/buf.h"
#include "model/lora.h"

enum { LAYERS = 256, LONGEST = 1000 }; /* numbers of layers that are tried; bytes of an expression */

/* What is asked for: a suffix of whole components, or an expression. */
typedef struct pattern {
    const char *suffix;
    regex_t re;
} pattern;

static bool matches(const pattern *p, const char *module)
{
    if (!p->suffix) return regexec(&p->re, module, 0, NULL, 0) == 0;
    size_t n = strlen(module), k = strlen(p->suffix);
    return n >= k && strcmp(module + n - k, p->suffix) == 0 && (n == k || module[n - k - 1] == '.');
}

/* Python's expression as an extended one of POSIX, anchored. False: it has parts that POSIX does not know. */
static bool translate(loom_buf *into, const char *text)
{
    if (strlen(text) > LONGEST || strchr(text, '{')) return false; /* counts can make an expression huge */
    loom_buf_str(into, "^(");
    for (const char *at = text; *at; at++) {
        if (at[0] == '(' && at[1] == '?') {
            if (at[2] != ':') return false;
            loom_buf_char(into, '(');
            at += 2;
        } else if (at[0] == '\\' && at[1] == 'd') {
            loom_buf_str(into, "[0-9]");
            at++;
        } else if (at[0] == '\\' && at[1] == 'w') {
            loom_buf_str(into, "[A-Za-z0-9_]");
            at++;
        } else if (at[0] == '\\') {
            if (!at[1] || !strchr(".\\[](){}*+?|^$-_", at[1])) return false;
            if (!strchr("-_", at[1])) loom_buf_char(into, '\\');
            loom_buf_char(into, *++at);
        } else if (strchr("*+?", at[0]) && at[1] == '?') { /* lazy or greedy: the whole must match, so it is the same */
            loom_buf_char(into, at[0]);
            at++;
        } else if (at[0] == '[') {
            size_t n = strcspn(at, "]");
            if (!at[n] || memchr(at, '\\', n))
                return false; /* a backslash is a character of its own within brackets there */
            loom_buf_append(into, at, n + 1);
            at += n;
        } else {
            loom_buf_char(into, at[0]);
        }
    }
    loom_buf_str(into, ")$");
    return true;
}

static loom_status compile(pattern *p, const char *text, const char *name, loom_err *err)
{
    loom_buf posix = {0};
    bool good = translate(&posix, text) && regcomp(&p->re, loom_buf_text(&posix), REG_EXTENDED | REG_NOSUB) == 0;

    loom_buf_release(&posix);
    if (good) return LOOM_OK;
    return loom_fail(
        err, LOOM_STATUS_FORMAT,
        "%s: target_modules is the regular expression \"%.200s\", which cannot be read here; name the matrices in a "
        "list, such as [\"q_proj\", \"v_proj\"]",
        name, text);
}

/* PEFT would adapt these as well, and there is no place for that here. */
static const char *other_weight(const pattern *p)
{
    static const char *const others[] = {"lm_head", "model.embed_tokens", "model.norm",
                                         "model.layers.0.input_layernorm", "model.layers.0.post_attention_layernorm"};

    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (matches(p, others[i])) return others[i];
    return NULL;
}

static loom_status bits_of(unsigned *out, const pattern *p, const char *text, const char *name, loom_err *err)
{
    const char *other = other_weight(p);
    unsigned bits = 0, in_layer;

    if (other)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s: target_modules \"%.200s\" adapts %s, which is not supported",
                         name, text, other);
    for (int layer = 0; layer < LAYERS; layer++) {
        in_layer = 0;
        for (int r = 0; r < LOOM_N_ADAPTABLE; r++) {
            char module[128];
            snprintf(module, sizeof module, "model.layers.%d.%s.%s", layer, r < LOOM_ROLE_GATE ? "self_attn" : "mlp",
                     loom_lora_module((loom_role)r));
            if (matches(p, module)) in_layer |= 1u << r;
        }
        if (layer && in_layer != bits)
            return loom_fail(err, LOOM_STATUS_FORMAT,
                             "%s: target_modules \"%.200s\" does not adapt all layers alike, which is not supported",
                             name, text);
        bits = in_layer;
    }
    *out = bits;
    return bits
               ? LOOM_OK
               : loom_fail(
                     err, LOOM_STATUS_FORMAT,
                     "%s: target_modules \"%.200s\" is no matrix of a Llama (q_proj, k_proj, v_proj, o_proj, gate_proj, "
                     "up_proj, down_proj)",
                     name, text);
}

loom_status loom_peft_targets(unsigned *out, const char *text, bool whole, const char *name, loom_err *err)
{
    pattern p = {.suffix = whole ? NULL : text};

    /* plain names; our own files may have a list of them in one text */
    if (loom_lora_parse_targets(out, text, NULL) == LOOM_OK) return LOOM_OK;
    if (whole) LOOM_TRY(compile(&p, text, name, err));
    loom_status st = bits_of(out, &p, text, name, err);
    if (whole) regfree(&p.re);
    return st;
}
