#include "trace/text/parse.h"

#include "core/arena_array.h"
#include "core/num.h"

/* No verdict, but it ends up beside a status: the arena has failed, and core/nomem.h keeps it out of every result. */
#define NO_MEMORY "memory ran out"

/* A piece of text; what is searched in it is bounded by its end, never by a NUL. */
typedef struct span {
    const char *text;
    size_t len;
} span;

static span between(const char *from, const char *to) { return (span){from, (size_t)(to - from)}; }
static const char *end_of(span s) { return s.text + s.len; }

static const char *find(span s, const char *what) { return s.len ? memmem(s.text, s.len, what, strlen(what)) : NULL; }

static const char *find_last(span s, const char *what)
{
    size_t n = strlen(what), left = s.len >= n ? s.len - n + 1 : 0; /* places where it may begin */
    for (const char *at; left && (at = memrchr(s.text, what[0], left)); left = (size_t)(at - s.text))
        if (memcmp(at, what, n) == 0) return at;
    return NULL;
}

static int32_t count(span s, const char *what)
{
    int32_t n = 0;
    for (const char *at; (at = find(s, what)); n++) s = between(at + strlen(what), end_of(s));
    return n;
}

static span first_line(span s)
{
    const char *lf = s.len ? memchr(s.text, '\n', s.len) : NULL;
    return lf ? between(s.text, lf) : s;
}

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static span trimmed(span s)
{
    while (s.len && is_space(s.text[0])) s = between(s.text + 1, end_of(s));
    while (s.len && is_space(s.text[s.len - 1])) s.len--;
    return s;
}

static bool starts_with(span s, const char *what)
{
    return s.len >= strlen(what) && memcmp(s.text, what, strlen(what)) == 0;
}

/* ---- the request ---- */

/* Attribute list and answer inside prompt + text; NULL or why there is none. */
static const char *find_request(loom_mode mode, span all, span *request, span *answer)
{
    *answer = all;
    if (mode == LOOM_MODE_INSTRUCTION) {
        const char *mark = find(all, LOOM_TEXT_ANSWER_MARK);
        span question = mark ? between(all.text, mark) : all;
        const char *at = find(question, LOOM_TEXT_REQUIREMENTS);
        if (!mark) return "no " LOOM_TEXT_ANSWER_MARK " in the text";
        if (!at) return "no " LOOM_TEXT_REQUIREMENTS " in the question";
        *answer = between(mark + strlen(LOOM_TEXT_ANSWER_MARK), end_of(all));
        span rest = between(at + strlen(LOOM_TEXT_REQUIREMENTS), end_of(question));
        const char *lf = rest.len ? memchr(rest.text, '\n', rest.len) : NULL;
        if (!lf) return "no line after " LOOM_TEXT_REQUIREMENTS;
        *request = trimmed(first_line(between(lf + 1, end_of(rest))));
        return NULL;
    }
    const char *edges = mode == LOOM_MODE_TABULAR ? find(all, LOOM_TEXT_EDGES) : NULL;
    *request = trimmed(first_line(edges ? between(all.text, edges) : all));
    if (starts_with(*request, LOOM_TEXT_GENERATE))
        *request = between(request->text + strlen(LOOM_TEXT_GENERATE), end_of(*request));
    return NULL;
}

/* ---- edges ---- */

/* The items of an edge in the order in which their words are looked for. */
static const loom_line_kind looked_for[LOOM_ITEMS] = {LOOM_ITEM_EDGE_ID, LOOM_ITEM_TYPE,  LOOM_ITEM_DESTINATION,
                                                      LOOM_ITEM_SOURCE,  LOOM_ITEM_START, LOOM_ITEM_FINISH};

static span after_last(span s, const char *what)
{
    const char *at = find_last(s, what);
    return at ? between(at + strlen(what), end_of(s)) : s;
}

static bool is_time(loom_line_kind item) { return item == LOOM_ITEM_START || item == LOOM_ITEM_FINISH; }

static span without_unit(span value)
{
    static const char unit[] = LOOM_TEXT_UNIT;
    const size_t n = sizeof unit - 1;
    if (value.len >= n && memcmp(end_of(value) - n, unit, n) == 0) value.len -= n;
    return value;
}

static span after(span s, const char *front) { return between(s.text + strlen(front), end_of(s)); }

/* The quick way for an item that begins with its word and " is ", or a blank before a time, if its value cannot
 * hold a word that is looked for before (those have an 'e', and times are digits) nor a second " is ". */
static bool usual_item(span item, bool tabular, loom_line_kind *kind, span *value)
{
    for (int i = 0; i < LOOM_ITEMS; i++) {
        const char *word = loom_item_words[looked_for[i]];
        if (!starts_with(item, word)) continue;
        *kind = looked_for[i];
        *value = after(item, word);
        const char *link = is_time(*kind) ? " " : LOOM_TEXT_IS;
        if (!starts_with(*value, link) || (*kind == LOOM_ITEM_SOURCE && !tabular)) return false;
        *value = after(*value, link);
        if (is_time(*kind)) *value = without_unit(*value);
        for (size_t c = 0; c < value->len; c++) {
            char v = value->text[c];
            if (is_time(*kind) ? v < '0' || v > '9' : v == ' ' || v == 'e') return false;
        }
        return true;
    }
    return false;
}

/* Kind and value of an item; LOOM_LINES: none of those known. */
static loom_line_kind item_of(span item, bool tabular, span *value)
{
    loom_line_kind kind;
    if (usual_item(item, tabular, &kind, value)) return kind;
    for (int i = 0; i < LOOM_ITEMS; i++) {
        kind = looked_for[i];
        if ((kind == LOOM_ITEM_SOURCE && !tabular) || !find(item, loom_item_words[kind])) continue;
        *value = is_time(kind) ? without_unit(after_last(item, LOOM_TEXT_AT " ")) : after_last(item, LOOM_TEXT_IS);
        return kind;
    }
    return LOOM_LINES;
}

static const char *parse_item(loom_edge_text *e, span item, bool tabular, loom_arena *arena)
{
    span value;
    loom_line_kind kind = item_of(item, tabular, &value);
    if (kind == LOOM_LINES) return NULL;
    if (is_time(kind)) {
        int64_t *time = kind == LOOM_ITEM_START ? &e->start : &e->finish;
        if (!value.len || value.text[0] == '+' || !loom_parse_i64(value.text, value.len, time))
            return "a time is not an integer";
    } else {
        const char *text = loom_arena_strdup(arena, value.text, value.len);
        if (kind == LOOM_ITEM_EDGE_ID) e->edge_id = text;
        if (kind == LOOM_ITEM_TYPE) e->type = text;
        if (kind == LOOM_ITEM_SOURCE) e->source = text;
        if (kind == LOOM_ITEM_DESTINATION) e->destination = text;
    }
    for (int i = 0; i < e->n_items; i++)
        if (e->order[i] == kind) return NULL;
    e->order[e->n_items++] = (uint8_t)kind;
    return NULL;
}

static const char *parse_edge(loom_edge_text *e, span line, bool tabular, loom_arena *arena)
{
    *e = (loom_edge_text){.source = ""};
    while (line.len && line.text[0] == '(') line = between(line.text + 1, end_of(line));
    while (line.len && line.text[line.len - 1] == ')') line.len--;
    for (const char *p = line.text; p <= end_of(line);) {
        const char *comma = p < end_of(line) ? memchr(p, ',', (size_t)(end_of(line) - p)) : NULL;
        const char *stop = comma ? comma : end_of(line);
        const char *why = parse_item(e, between(p, stop), tabular, arena);
        if (why) return why;
        p = stop + 1;
    }
    return e->n_items == (tabular ? LOOM_ITEMS : LOOM_ITEMS - 1) ? NULL : "an edge lacks one of its items";
}

static const char *parse_edges(loom_parsed *out, span text, loom_arena *arena)
{
    size_t cap = 0;
    while (text.len) {
        span line = first_line(text);
        text = line.len < text.len ? between(end_of(line) + 1, end_of(text)) : between(end_of(text), end_of(text));
        if (!starts_with(line, "(") || line.text[line.len - 1] != ')') {
            out->odd_lines += trimmed(line).len != 0;
            continue;
        }
        loom_edge_text *edges = loom_arena_array_more(arena, out->edges, (size_t)out->n_edges, &cap, sizeof *edges);
        if (!edges) return NO_MEMORY;
        loom_edge_text *e = &edges[out->n_edges];
        out->edges = edges;
        const char *why = parse_edge(e, line, out->mode == LOOM_MODE_TABULAR, arena);
        if (why) return why;
        if (out->mode != LOOM_MODE_TABULAR) e->source = out->req.start_node;
        out->n_edges++;
    }
    return NULL;
}

/* ---- subgraphs ---- */

static const char *parse_sub(loom_parsed_sub *sub, span piece, loom_arena *arena)
{
    const char *gt = find_last(piece, ">");
    if (!gt) return "a subgraph line without its bracket";
    span index = after_last(between(piece.text, gt), LOOM_TEXT_SUB), attrs = between(gt + 1, end_of(piece));
    sub->index = loom_arena_strdup(arena, index.text, index.len);
    sub->text = loom_arena_strdup(arena, attrs.text, attrs.len);
    return loom_attrs_parse(&sub->attrs, attrs.text, attrs.len, arena);
}

/* What stands behind the last closing tag is not looked at, a subgraph line that begins there included. */
static const char *parse_subs(loom_parsed *out, span text, loom_arena *arena)
{
    const char *first = find(text, LOOM_TEXT_SUB);
    const char *last = find_last(text, LOOM_TEXT_SUB_END);
    size_t cap = 0, close = strlen(LOOM_TEXT_SUB_END);

    if (!first) return NULL;
    if (!last || last < first) return "a subgraph line is not closed";
    for (span rest = between(first, last + close); rest.len;) {
        const char *stop = find(rest, LOOM_TEXT_SUB_END);
        loom_parsed_sub *subs = loom_arena_array_more(arena, out->subs, (size_t)out->n_subs, &cap, sizeof *subs);
        if (!subs) return NO_MEMORY;
        out->subs = subs;
        const char *why = parse_sub(&out->subs[out->n_subs], between(rest.text, stop), arena);
        if (why) return why;
        out->n_subs++;
        rest = between(stop + close, end_of(rest));
    }
    return NULL;
}

/* ---- the whole ---- */
static bool opens_with_split(loom_mode mode, span answer)
{
    span line;
    if (mode == LOOM_MODE_RECURSIVE) { /* the first line is the request */
        line = first_line(answer);
        answer = between(end_of(line), end_of(answer));
    }
    return starts_with(trimmed(answer), LOOM_TEXT_SPLIT);
}

/* Where the edges stand, and where subgraphs are looked for: behind the edges, in the whole answer when there is no
 * edge tag, among the edges when the list is not closed. */
static void find_parts(loom_parsed *out, span answer, span *edges, span *subs)
{
    const char *open = find(answer, LOOM_TEXT_EDGES);
    *edges = between(answer.text, answer.text);
    *subs = answer;
    if (!open) return;
    *edges = between(open + strlen(LOOM_TEXT_EDGES), end_of(answer));
    *subs = *edges;
    const char *close = find(*edges, LOOM_TEXT_EDGES_END);
    out->edges_opened = true;
    out->edges_closed = close != NULL;
    if (!close) return;
    *subs = between(close + strlen(LOOM_TEXT_EDGES_END), end_of(*edges));
    *edges = between(edges->text, close);
}

static const char *parse_all(loom_parsed *out, span all, loom_arena *arena)
{
    span request, answer, edges, subs;
    const char *why = find_request(out->mode, all, &request, &answer);
    if (why) return why;
    out->req_text = loom_arena_strdup(arena, request.text, request.len);
    if ((why = loom_attrs_parse(&out->req, request.text, request.len, arena))) return why;
    out->split = opens_with_split(out->mode, answer);
    find_parts(out, answer, &edges, &subs);
    out->missing_subs = count(subs, LOOM_TEXT_SUB) - count(subs, LOOM_TEXT_SUB_END);
    if ((why = parse_edges(out, edges, arena))) return why;
    if (out->edges_closed && edges.len <= 1) return NULL; /* subgraphs of an empty layer are not looked at (quirk V4) */
    return out->mode == LOOM_MODE_TABULAR ? NULL : parse_subs(out, subs, arena);
}

void loom_parse_answer(loom_parsed *out, loom_mode mode, const char *prompt, size_t prompt_len, const char *text,
                       size_t text_len, loom_arena *arena)
{
    char *all = loom_arena_alloc(arena, prompt_len + text_len + 1);
    *out = (loom_parsed){.mode = mode, .req_text = ""};
    loom_attrs_init(&out->req);
    if (all) {
        if (prompt_len) memcpy(all, prompt, prompt_len);
        if (text_len) memcpy(all + prompt_len, text, text_len);
        all[prompt_len + text_len] = 0;
        out->why = parse_all(out, (span){all, prompt_len + text_len}, arena);
    }
    if (arena->failed) out->why = NO_MEMORY;
    out->ok = !out->why;
}

const char *loom_parse_prompt(loom_parsed_prompt *out, loom_mode mode, const char *prompt, size_t len,
                              loom_arena *arena)
{
    span request, answer, all = {prompt, len}, rest;
    size_t cap = 0;
    const char *why = find_request(mode, all, &request, &answer);

    *out = (loom_parsed_prompt){.req_text = ""};
    loom_attrs_init(&out->req);
    if (why) return why;
    out->req_text = loom_arena_strdup(arena, request.text, request.len);
    for (rest = all; mode == LOOM_MODE_INSTRUCTION && rest.len && rest.text < answer.text;) {
        span line = first_line(rest);
        if (starts_with(line, LOOM_TEXT_INCLUDE)) {
            const char **includes =
                loom_arena_array_more(arena, out->includes, (size_t)out->n_includes, &cap, sizeof *includes);
            if (!includes) return NO_MEMORY;
            out->includes = includes;
            out->includes[out->n_includes++] = loom_arena_strdup(arena, line.text, line.len);
        }
        rest = line.len < rest.len ? between(end_of(line) + 1, end_of(rest)) : (span){end_of(rest), 0};
    }
    return loom_attrs_parse(&out->req, request.text, request.len, arena);
}
