#include "eval/answers/oracle.h"

#include <string.h>

#include "core/num.h"
#include "trace/graph/record.h"
#include "trace/text/layer.h"

/* One graph with its texts: block i is layer i of the pre-order (tabular: the only one). */
typedef struct script {
    loom_graph graph;
    loom_layers layers;
    loom_text *texts;
    int32_t n_texts;
    loom_mode mode;
    loom_arena arena;
} script;

static loom_status write_script(script *s, loom_mode mode, const char *record, loom_err *err)
{
    loom_encode_conf conf = {.mode = mode, .policy = LOOM_DRAW_ALL};
    loom_split_conf split = {0};
    loom_facts facts = {0};
    loom_verdict why = {0};
    s->mode = mode;
    if (!loom_record_read(&s->graph, &why, record, strlen(record), &s->arena))
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "the record of the prompt is no valid graph (%s); make the prompts anew",
                         why.n ? loom_reason_name((loom_reason)why.reasons[0]) : "empty");
    LOOM_TRY(loom_layers_build(&s->layers, &s->graph, &split, &s->arena, err));
    return loom_encode_texts(&s->texts, &s->n_texts, &s->graph, &facts, &conf, NULL, &s->arena, err);
}

static loom_text block_text(const script *s, int32_t layer)
{
    if (s->mode == LOOM_MODE_INSTRUCTION) return s->texts[layer];
    return (loom_text){.mode = s->mode, .blocks = &s->texts[0].blocks[layer], .n_blocks = 1};
}

/* The sample from its answer tag on, without what the prompt has already, up to the first stop string. */
static void answer_text(loom_buf *into, const script *s, int32_t layer, const char *prompt, size_t prompt_len)
{
    loom_text text = block_text(s, layer);
    const char *tag = s->mode == LOOM_MODE_TABULAR ? LOOM_TEXT_EDGES "\n"
                      : text.blocks[0].split       ? LOOM_TEXT_SPLIT "\n"
                                                   : LOOM_TEXT_LAYER "\n";
    size_t n_stops, shared, end;
    const char *const *stops = loom_stop_strings(s->mode, &n_stops);
    loom_buf sample = {0};

    loom_text_render(&sample, &text);
    char *body = strstr(sample.data, tag);
    body = body ? body : sample.data + sample.len;
    end = strlen(body);
    for (shared = end < prompt_len ? end : prompt_len; shared > 0; shared--)
        if (memcmp(prompt + prompt_len - shared, body, shared) == 0) break;
    body += shared;
    end = strlen(body);
    for (size_t i = 0; i < n_stops; i++) {
        const char *at = strstr(body, stops[i]);
        if (at && (size_t)(at - body) < end) end = (size_t)(at - body);
    }
    loom_buf_append(into, body, end);
    loom_buf_release(&sample);
}

/* ---- damage ---- */

static void damage_digit(loom_buf *text, loom_rng *rng)
{
    size_t n = 0;
    for (size_t i = 0; i < text->len; i++) n += text->data[i] >= '0' && text->data[i] <= '9';
    if (n == 0) return;
    uint64_t at = loom_rng_below(rng, n);
    for (size_t i = 0; i < text->len; i++) {
        if (text->data[i] < '0' || text->data[i] > '9' || at-- > 0) continue;
        text->data[i] = (char)('0' + (text->data[i] - '0' + 1 + (int)loom_rng_below(rng, 9)) % 10);
        return;
    }
}

static void damage_line(loom_buf *text, loom_rng *rng)
{
    size_t n = 0, from = 0;
    for (size_t i = 0; i < text->len; i++) n += text->data[i] == '\n';
    if (n == 0) return;
    for (uint64_t skip = loom_rng_below(rng, n); skip > 0; from++) skip -= text->data[from] == '\n';
    size_t line = strcspn(text->data + from, "\n") + 1;
    if (from + line > text->len) line = text->len - from;
    memmove(text->data + from, text->data + from + line, text->len - from - line + 1);
    text->len -= line;
}

static void apply_damage(loom_buf *text, loom_damage damage, loom_rng *rng)
{
    if (damage == LOOM_DAMAGE_DIGIT) damage_digit(text, rng);
    else if (damage == LOOM_DAMAGE_LINE) damage_line(text, rng);
    else if (damage == LOOM_DAMAGE_TRUNCATE && text->len) {
        text->len = (size_t)loom_rng_below(rng, text->len);
        text->data[text->len] = 0;
    }
}

/* ---- the loop ---- */

loom_status loom_oracle_answer(loom_request **out, loom_mode mode, const char *prompt, size_t len, const char *record,
                               loom_damage damage, loom_rng *rng, loom_err *err)
{
    script s = {0};
    loom_request *r = NULL;
    loom_request_conf conf = {.mode = mode, .max_trials = 1};
    loom_buf text = {0};
    int32_t *layer_of = NULL; /* request layer -> layer of the graph */
    loom_status st;

    if ((st = write_script(&s, mode, record, err)) != LOOM_OK) goto done;
    if ((st = loom_request_new(&r, &conf, prompt, len, NULL, err)) != LOOM_OK) goto done;
    int32_t n = mode == LOOM_MODE_TABULAR ? 1 : s.layers.n;
    int32_t hurt = damage == LOOM_DAMAGE_NONE ? -1 : (int32_t)loom_rng_below(rng, (uint64_t)n);
    layer_of = loom_calloc((size_t)n, sizeof *layer_of);
    if (!layer_of) {
        st = loom_fail_nomem(err, "an answer");
        goto done;
    }
    for (const loom_request_layer *l; (l = loom_request_take(r)) != NULL;) {
        int32_t index = l->index, at = index < n ? layer_of[index] : 0;
        loom_buf_reset(&text);
        if (!loom_buf_reserve(&text, 1)) break;
        answer_text(&text, &s, at, l->prompt, l->prompt_len);
        if (at == hurt) apply_damage(&text, damage, rng);
        if ((st = loom_request_answer(r, index, loom_buf_text(&text), text.len, err)) != LOOM_OK) goto done;
        l = loom_request_at(r, index);
        const loom_layer *own = mode == LOOM_MODE_TABULAR ? NULL : s.layers.all[at];
        for (int32_t j = 0; own && j < l->n_children && j < own->n_children && l->first_child + j < n; j++)
            layer_of[l->first_child + j] = own->children[j]->index;
    }
    if ((st = loom_buf_check(&text, "an answer", err)) != LOOM_OK) goto done;
    *out = r;
    r = NULL;
done:
    free(layer_of);
    loom_buf_release(&text);
    loom_request_free(&r);
    loom_arena_release(&s.arena);
    return st;
}
