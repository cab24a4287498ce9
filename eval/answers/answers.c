#include "eval/answers/answers.h"

#include <string.h>

#include "core/json.h"
#include "core/num.h"
#include "eval/answers/answer_scan.h"

#define CURE "write the file with `loom-infer sample`"

/* A string member; "" where absent, NULL where it is something else. */
static const char *text_member(const loom_json *object, const char *key, size_t *len, loom_arena *arena)
{
    const loom_json *n = loom_json_get(object, key);
    *len = 0;
    if (loom_json_is_null(n)) return "";
    const char *text = loom_json_str(n, len);
    text = text ? loom_arena_strdup(arena, text, *len) : NULL;
    return arena->failed ? NULL : text; /* its length would not be that of "" */
}

static loom_status parse_layer(loom_replay_layer *out, const loom_json *n, int32_t index, const char *path,
                               int64_t number, loom_arena *arena, loom_err *err)
{
    int64_t parent = loom_json_i64(loom_json_get(n, "parent"), index == 0 ? -1 : index);
    if (!loom_json_is_object(n))
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s:%lld: layer %d is no object; " CURE, path, (long long)number,
                         index);
    if (index == 0 ? parent != -1 : parent < 0 || parent >= index)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s:%lld: layer %d has parent %lld, expected %s; " CURE, path,
                         (long long)number, index, (long long)parent,
                         index == 0 ? "-1 for the first layer" : "an earlier layer");
    out->parent = (int32_t)parent;
    out->prefix = NULL; /* worked out from the parents' texts, whatever the file says */
    out->prompt = text_member(n, "prompt", &out->prompt_len, arena);
    out->text = loom_json_is_null(loom_json_get(n, "text")) ? NULL : text_member(n, "text", &out->text_len, arena);
    if (!out->prompt || !out->prompt_len || (!out->text && !loom_json_is_null(loom_json_get(n, "text"))))
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "%s:%lld: layer %d has no \"prompt\", or its \"text\" is no text; " CURE, path,
                         (long long)number, index);
    return LOOM_OK;
}

static bool is_constrained(const loom_json *root)
{
    const loom_json *n = loom_json_get(root, "constrain");
    const char *text = loom_json_str(n, NULL);
    return text ? strcmp(text, "off") != 0 : loom_json_bool(n, false);
}

static loom_status fill_answer(loom_answer *out, const loom_json *root, const char *path, int64_t number,
                               loom_arena *arena, loom_err *err)
{
    const loom_json *layers = loom_json_get(root, "layers");
    const char *mode = loom_json_str(loom_json_get(root, "mode"), NULL);
    *out = (loom_answer){.id = loom_json_i64(loom_json_get(root, "id"), -1),
                         .sample = loom_json_i64(loom_json_get(root, "sample"), 0),
                         .edges = loom_json_i64(loom_json_get(root, "edges"), -1),
                         .depth = loom_json_i64(loom_json_get(root, "depth"), -1),
                         .temperature = loom_json_f64(loom_json_get(root, "temperature"), 0),
                         .seed = loom_json_i64(loom_json_get(root, "seed"), 0),
                         .constrained = is_constrained(root),
                         .refused = loom_json_is_string(loom_json_get(root, "refused"))};
    if (!loom_json_is_array(layers)) {
        const char *what = loom_json_get(root, "prompt") ? "this is a prompts file" : "it has no \"layers\"";
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s:%lld: not an answer: %s; " CURE, path, (long long)number, what);
    }
    if (!mode || !loom_mode_parse(&out->mode, mode))
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s:%lld: mode is %s%s%s, expected %s; " CURE, path,
                         (long long)number, mode ? "\"" : "", mode ? mode : "missing", mode ? "\"" : "",
                         LOOM_MODE_CHOICES);
    size_t n = loom_json_len(layers);
    if (n > LOOM_REQUEST_MAX_LAYERS)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s:%lld: %zu layers, more than any sampler makes (%d); " CURE, path,
                         (long long)number, n, LOOM_REQUEST_MAX_LAYERS);
    loom_replay_layer *list = loom_arena_calloc(arena, n ? n : 1, sizeof *list);
    LOOM_TRY(loom_arena_check(arena, "an answer", err));
    for (size_t i = 0; i < n; i++)
        LOOM_TRY(parse_layer(&list[i], loom_json_at(layers, i), (int32_t)i, path, number, arena, err));
    out->layers = list;
    out->n_layers = (int32_t)n;
    return LOOM_OK;
}

loom_status loom_answer_parse(loom_answer *out, const char *line, size_t len, const char *path, int64_t number,
                              loom_arena *arena, loom_err *err)
{
    if (loom_answer_scan(out, line, len, arena)) return LOOM_OK;
    LOOM_TRY(loom_arena_check(arena, "an answer", err));
    return loom_answer_parse_general(out, line, len, path, number, arena, err);
}

loom_status loom_answer_parse_general(loom_answer *out, const char *line, size_t len, const char *path, int64_t number,
                                      loom_arena *arena, loom_err *err)
{
    loom_json *root = NULL;
    loom_err why = {0};
    if (loom_json_parse(&root, line, len, "line", &why) != LOOM_OK || !loom_json_is_object(root)) {
        loom_json_free(root);
        if (why.status == LOOM_STATUS_NOMEM) return loom_fail_nomem(err, "an answer");
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s:%lld: not a line of JSON; " CURE, path, (long long)number);
    }
    loom_status st = fill_answer(out, root, path, number, arena, err);
    loom_json_free(root);
    return st;
}

/* ---- writing ---- */

static void write_layer(loom_jw *w, const loom_request_layer *l)
{
    loom_jw_begin_object(w);
    loom_jw_kv_str(w, "prefix", l->prefix ? l->prefix : "");
    loom_jw_kv_i64(w, "parent", l->parent);
    loom_jw_key(w, "prompt");
    loom_jw_strn(w, l->prompt, l->prompt_len);
    loom_jw_key(w, "text");
    if (l->text) loom_jw_strn(w, l->text, l->text_len);
    else loom_jw_null(w);
    loom_jw_kv_i64(w, "tokens", 0);
    loom_jw_kv_str(w, "stop", "stop");
    loom_jw_end_object(w);
}

void loom_answer_render(loom_buf *into, const loom_answer *head, const loom_request *request)
{
    loom_jw w;
    loom_jw_init(&w, into, false);
    loom_jw_begin_object(&w);
    loom_jw_kv_i64(&w, "id", head->id);
    loom_jw_kv_i64(&w, "sample", head->sample);
    loom_jw_kv_str(&w, "mode", loom_mode_names[head->mode]);
    loom_jw_kv_i64(&w, "edges", head->edges);
    loom_jw_kv_i64(&w, "depth", head->depth);
    loom_jw_kv_f64(&w, "temperature", head->temperature);
    loom_jw_kv_i64(&w, "seed", head->seed);
    loom_jw_key(&w, "layers");
    loom_jw_begin_array(&w);
    for (int32_t i = 0; i < loom_request_count(request); i++) write_layer(&w, loom_request_at(request, i));
    loom_jw_end_array(&w);
    loom_jw_end_object(&w);
    loom_buf_char(into, '\n');
}

/* ---- scoring ---- */

/* Does every child ask for what its parent's text says? A sampler that changed a request would judge itself. */
static bool prompts_fit(const loom_request *r)
{
    for (int32_t i = 0; i < loom_request_count(r); i++) {
        const loom_request_layer *parent = loom_request_at(r, i);
        for (int32_t j = 0; j < parent->n_children && j < parent->parsed.n_subs; j++) {
            const loom_request_layer *child = loom_request_at(r, parent->first_child + j);
            if (!child->text || !child->parsed.req_text) continue;
            if (strcmp(child->parsed.req_text, parent->parsed.subs[j].text) != 0) return false;
        }
    }
    return true;
}

static void count_codes(loom_score *s, const loom_request *r)
{
    for (int32_t i = 0; i < loom_request_count(r); i++) {
        const loom_request_layer *l = loom_request_at(r, i);
        for (int32_t c = 0; c < l->codes.n; c++) {
            int32_t code = l->codes.items[c].code;
            if (code >= 0 && code < LOOM_CODES) s->codes[code]++;
        }
    }
}

/* The request as the cell states it, whatever the prompt left out. */
static void hold_to_cell(loom_score *s, const loom_answer *answer)
{
    if (!s->valid) return;
    if (answer->edges >= 0 && s->n_edges != answer->edges) s->rules |= LOOM_RULE_BIT(LOOM_RULE_TOTAL_EDGES);
    if (answer->depth >= 0 && s->depth != answer->depth) s->rules |= LOOM_RULE_BIT(LOOM_RULE_TOTAL_DEPTH);
    if (s->rules & (LOOM_RULE_BIT(LOOM_RULE_TOTAL_EDGES) | LOOM_RULE_BIT(LOOM_RULE_TOTAL_DEPTH)))
        s->correct = s->accurate = false;
}

loom_status loom_answer_score(loom_score *out, const loom_answer *answer, loom_err *err)
{
    loom_request_conf conf = {.mode = answer->mode, .max_trials = 1};
    *out = (loom_score){.rules = LOOM_RULE_BIT(LOOM_RULE_UNFINISHED)};
    if (answer->n_layers == 0) return LOOM_OK;
    LOOM_TRY(loom_request_replay(&out->request, &conf, answer->layers, answer->n_layers, err));
    const loom_outcome *o = loom_request_outcome(out->request);
    out->outcome = o;
    out->finished = o->finished;
    out->valid = o->valid;
    out->correct = o->correct;
    out->accurate = o->accurate;
    out->rules = o->rules;
    out->odd = o->odd;
    out->n_edges = o->graph.n_edges;
    out->depth = o->graph.depth;
    count_codes(out, out->request);
    if (out->finished && !prompts_fit(out->request)) {
        out->finished = out->valid = out->correct = out->accurate = false;
        out->rules |= LOOM_RULE_BIT(LOOM_RULE_UNFINISHED);
    }
    hold_to_cell(out, answer);
    return LOOM_OK;
}

void loom_score_release(loom_score *s)
{
    loom_request_free(&s->request);
    s->outcome = NULL;
}

const char *loom_answer_method(const loom_answer *answer)
{
    static const char *const constrained[LOOM_MODES] = {"tabular constrained", "recursive constrained",
                                                        "instruction constrained"};
    return answer->constrained ? constrained[answer->mode] : loom_mode_names[answer->mode];
}
