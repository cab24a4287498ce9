#include "eval/answers/outside_answers.h"

#include <string.h>

#include "core/json.h"
#include "core/num.h"
#include "eval/answers/jsonl.h"

#define MOST_WRAPPINGS 12 /* one in the other */
#define CURE           "ask with the lines of `loom-eval prompts --few-shot`"

typedef struct asked {
    const char *prompt; /* NULL: no prompt has this id */
    size_t len;
    int64_t edges, depth;
} asked;

struct loom_outside_answers {
    asked *list; /* by id */
    size_t n, cap;
    const char *path;
    loom_arena arena;
};

/* ---- prompts ---- */

static loom_status take_prompt(void *arg, const loom_json *root, int64_t number, loom_err *err)
{
    loom_outside_answers *o = arg;
    int64_t id = loom_json_i64(loom_json_get(root, "id"), -1);
    const char *mode = loom_json_str(loom_json_get(root, "mode"), NULL);
    size_t len, old = o->n;
    const char *prompt = loom_json_str(loom_json_get(root, "prompt"), &len);
    if (!mode || !prompt || id < 0 || id > 1000000000)
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "%s:%lld: not a prompt with id, mode and prompt; write the file with `loom-eval prompts`",
                         o->path, (long long)number);
    if (strcmp(mode, loom_mode_names[LOOM_MODE_TABULAR]) != 0) return LOOM_OK; /* of models of ours */
    if ((size_t)id >= old) {
        LOOM_TRY(loom_grow(&o->list, &o->cap, (size_t)id + 1, sizeof *o->list, err));
        memset(o->list + old, 0, ((size_t)id + 1 - old) * sizeof *o->list);
        o->n = (size_t)id + 1;
    }
    o->list[id] = (asked){.prompt = loom_arena_strdup(&o->arena, prompt, len),
                          .len = len,
                          .edges = loom_json_i64(loom_json_get(root, "edges"), -1),
                          .depth = loom_json_i64(loom_json_get(root, "depth"), -1)};
    return loom_arena_check(&o->arena, "prompts", err);
}

loom_status loom_outside_answers_new(loom_outside_answers **out, const char *prompts_path, loom_err *err)
{
    loom_outside_answers *o = loom_calloc(1, sizeof *o);
    if (!o) return loom_fail_nomem(err, "prompts");
    o->path = prompts_path;
    loom_status st = loom_jsonl_read(prompts_path, "prompts", "loom-eval prompts", NULL, take_prompt, o, err);
    if (st != LOOM_OK) loom_outside_answers_free(&o);
    *out = o;
    return st;
}

void loom_outside_answers_free(loom_outside_answers **o)
{
    if (!*o) return;
    free((*o)->list);
    loom_arena_release(&(*o)->arena);
    free(*o);
    *o = NULL;
}

/* ---- a line ---- */

/* What an answer may lie in, the outer wrappings first. */
static const char *const wrappings[] = {"response", "result",     "body",           "choices",     "candidates",
                                        "outputs",  "message",    "content",        "parts",       "text",
                                        "answer",   "completion", "generated_text", "output_text", "output"};
/* Of these a second one is a second answer; of others it is a further piece. */
static bool is_choice(const char *key)
{
    return strcmp(key, "choices") == 0 || strcmp(key, "candidates") == 0 || strcmp(key, "outputs") == 0;
}

typedef struct found {
    loom_buf text;
    bool any;
    int64_t choices;
} found;

static void collect(found *f, const loom_json *n, int deep)
{
    size_t len;
    const char *text = loom_json_str(n, &len), *type = loom_json_str(loom_json_get(n, "type"), NULL);
    if (text) {
        f->any = true;
        loom_buf_append(&f->text, text, len);
    }
    if (deep == MOST_WRAPPINGS || (type && (strstr(type, "reasoning") || strstr(type, "thinking")))) return;
    if (loom_json_is_array(n))
        for (size_t i = 0; i < loom_json_len(n); i++) collect(f, loom_json_at(n, i), deep + 1);
    for (size_t k = 0; k < sizeof wrappings / sizeof *wrappings; k++) {
        const loom_json *inner = loom_json_get(n, wrappings[k]);
        if (loom_json_is_null(inner)) continue;
        if (is_choice(wrappings[k])) f->choices = loom_max_i64(f->choices, (int64_t)loom_json_len(inner));
        collect(f, inner, deep + 1);
        return;
    }
}

/* An error of the service instead of an answer. */
static bool tells_error(const loom_json *root)
{
    const loom_json *response = loom_json_get(root, "response"), *result = loom_json_get(root, "result");
    const char *type = loom_json_str(loom_json_get(result, "type"), NULL);
    int64_t status = loom_json_i64(loom_json_get(response, "status_code"), 200);
    return !loom_json_is_null(loom_json_get(root, "error")) || !loom_json_is_null(loom_json_get(result, "error")) ||
           status < 200 || status > 299 ||
           (type && strcmp(type, "succeeded") != 0 && !loom_json_get(result, "message"));
}

static bool is_number(const loom_json *n, int64_t *id)
{
    size_t len;
    const char *text = loom_json_str(n, &len);
    if (text) return len && loom_parse_i64(text, len, id);
    *id = loom_json_i64(n, -1);
    return loom_json_is_int(n);
}

/* Programs put ids of their own under "id"; "custom_id" is what was sent. */
static int64_t id_of(const loom_json *root, int64_t number)
{
    int64_t id;
    const loom_json *sent = loom_json_get(root, "custom_id");
    if (!loom_json_is_null(sent)) return is_number(sent, &id) ? id : -1;
    return is_number(loom_json_get(root, "id"), &id) ? id : number - 1;
}

/* The last place of a word; NULL: nowhere. */
static const char *last_of(const char *text, const char *word)
{
    const char *last = NULL;
    for (const char *at = text; (at = strstr(at, word)) != NULL; at++) last = at;
    return last;
}

/* What was thought aloud before the answer is none of it. */
static const char *past_thoughts(const char *text)
{
    const char *thought = last_of(text, "</think");

    return thought ? thought + strcspn(thought, ">") + (strchr(thought, '>') != NULL) : text;
}

/* The lines of calls, without the tags around them. */
static void unwrap(loom_buf *into, const char *text)
{
    const char *end;
    text = past_thoughts(text);
    const char *tag = last_of(text, LOOM_TEXT_EDGES);
    if (tag) text = tag + strlen(LOOM_TEXT_EDGES);
    else if (text[0] != '(' && (tag = strstr(text, "\n(")) != NULL) text = tag + 1;
    end = strstr(text, LOOM_TEXT_EDGES_END);
    if (!end) end = text + strlen(text);
    while (text < end) {
        size_t n = strcspn(text, "\n");
        if (n > (size_t)(end - text)) n = (size_t)(end - text);
        size_t keep = n - (n && text[n - 1] == '\r');
        if (keep && strncmp(text, "```", 3) != 0) {
            loom_buf_append(into, text, keep);
            loom_buf_char(into, '\n');
        }
        text += n + (text + n < end);
    }
}

/* The whole text of a line. */
static loom_status collect_text(found *f, const loom_json *root, const char *path, int64_t number, loom_err *err)
{
    collect(f, root, 0);
    LOOM_TRY(loom_buf_check(&f->text, "an answer", err));
    if (f->choices > 1)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s:%lld: %lld answers in one line; ask for one at a time", path,
                         (long long)number, (long long)f->choices);
    if (f->any) return LOOM_OK;
    return loom_fail(
        err, LOOM_STATUS_FORMAT,
        "%s:%lld: no text of an answer is in this line; it may stand under \"content\", \"text\" or \"answer\"", path,
        (long long)number);
}

static loom_status find_text(loom_buf *into, const loom_json *root, const char *path, int64_t number, loom_err *err)
{
    found f = {0};
    loom_status st = collect_text(&f, root, path, number, err);

    if (st == LOOM_OK) unwrap(into, loom_buf_text(&f.text));
    loom_buf_release(&f.text);
    return st == LOOM_OK ? loom_buf_check(into, "an answer", err) : st;
}

loom_status loom_outside_answers_text(loom_buf *text, int64_t *id, bool *none, const loom_json *root, const char *path,
                                      int64_t number, loom_err *err)
{
    found f = {0};
    loom_status st = LOOM_OK;

    loom_buf_reset(text);
    *id = id_of(root, number);
    if ((*none = tells_error(root))) return LOOM_OK;
    st = collect_text(&f, root, path, number, err);
    if (st == LOOM_OK) loom_buf_str(text, past_thoughts(loom_buf_text(&f.text)));
    loom_buf_release(&f.text);
    return st == LOOM_OK ? loom_buf_check(text, "an answer", err) : st;
}

static loom_status fill(const loom_outside_answers *o, loom_answer *out, const loom_json *root, const char *path,
                        int64_t number, loom_arena *arena, loom_err *err)
{
    loom_buf text = {0};
    int64_t id = id_of(root, number);
    const asked *a = id >= 0 && (size_t)id < o->n ? &o->list[id] : NULL;
    if (!a || !a->prompt)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s:%lld: %s has no tabular prompt %lld; " CURE, path,
                         (long long)number, o->path, (long long)id);
    *out = (loom_answer){
        .id = id, .edges = a->edges, .depth = a->depth, .mode = LOOM_MODE_TABULAR, .refused = tells_error(root)};
    if (out->refused) return LOOM_OK;
    LOOM_TRY(find_text(&text, root, path, number, err));
    loom_replay_layer *layer = loom_arena_calloc(arena, 1, sizeof *layer);
    if (layer)
        *layer = (loom_replay_layer){.parent = -1,
                                     .prompt = a->prompt,
                                     .prompt_len = a->len,
                                     .text = loom_arena_strdup(arena, loom_buf_text(&text), text.len),
                                     .text_len = text.len};
    loom_buf_release(&text);
    out->layers = layer;
    out->n_layers = 1;
    return loom_arena_check(arena, "an answer", err);
}

loom_status loom_outside_answers_parse(const loom_outside_answers *o, loom_answer *out, const char *line, size_t len,
                                       const char *path, int64_t number, loom_arena *arena, loom_err *err)
{
    loom_json *root = NULL;
    loom_err why = {0};
    loom_status st = loom_json_parse(&root, line, len, "line", &why);
    if (st == LOOM_STATUS_NOMEM) st = loom_fail_nomem(err, "an answer");
    else if (st != LOOM_OK)
        st = loom_fail(err, LOOM_STATUS_FORMAT,
                       "%s:%lld: not a line of JSON; put each answer on a line, as {\"id\": 0, \"text\": \"...\"}",
                       path, (long long)number);
    else st = fill(o, out, root, path, number, arena, err);
    loom_json_free(root);
    return st;
}

/* ---- which kind ---- */

bool loom_outside_answers_like(const char *line, size_t len)
{
    loom_json *root = NULL;
    found f = {0};
    if (loom_json_parse(&root, line, len, "line", NULL) != LOOM_OK) return false;
    bool ours = loom_json_get(root, "layers") || (loom_json_get(root, "mode") && loom_json_get(root, "prompt"));
    if (!ours) collect(&f, root, 0);
    bool yes = !ours && (f.any || tells_error(root) || loom_json_get(root, "custom_id"));
    loom_buf_release(&f.text);
    loom_json_free(root);
    return yes;
}
