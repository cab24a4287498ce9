#include "trace/text/text.h"

#include "core/arena_array.h"

/* ---- rendering ---- */
static void put_line(loom_buf *b, const char *text)
{
    loom_buf_str(b, text);
    loom_buf_char(b, '\n');
}

static void put(loom_buf *b, loom_line line)
{
    loom_line_render(b, &line);
    loom_buf_char(b, '\n');
}

static void render_lines(loom_buf *b, const loom_line *lines, int32_t n)
{
    for (int32_t i = 0; i < n; i++) put(b, lines[i]);
}

static void render_edges(loom_buf *b, const loom_block *block)
{
    put_line(b, LOOM_TEXT_EDGES);
    for (int32_t i = 0; i < block->n_edges; i++) {
        loom_edge_render(b, &block->edges[i]);
        loom_buf_char(b, '\n');
    }
    put_line(b, LOOM_TEXT_EDGES_END);
}

static void render_sub(loom_buf *b, const loom_sub_text *sub)
{
    loom_buf_str(b, LOOM_TEXT_SUB);
    loom_buf_str(b, sub->index);
    loom_buf_char(b, '>');
    loom_attrs_render(b, &sub->attrs);
    put_line(b, LOOM_TEXT_SUB_END);
}

static void render_subs_counted(loom_buf *b, const loom_block *block)
{
    int64_t left = block->total - block->n_edges;
    for (int32_t i = 0; i < block->n_subs; i++) {
        const loom_sub_text *sub = &block->subs[i];
        int64_t taken = sub->attrs.num_edges;
        put_line(b, LOOM_TEXT_SUB_HEAD);
        render_lines(b, sub->lines, sub->n_lines);
        render_sub(b, sub);
        put(b, (loom_line){.kind = LOOM_LINE_NOW_REMAINING, .num = {left, taken, left - taken}});
        left -= taken;
        if (left == 0) loom_buf_str(b, LOOM_TEXT_DONE); /* no line end: the closing tag follows */
    }
}

static void render_counts(loom_buf *b, const loom_block *block)
{
    int64_t n = block->n_edges, left = block->total - n;
    const char *first = n ? block->edges[0].edge_id : "0", *last = n ? block->edges[n - 1].edge_id : "0";

    put(b, (loom_line){.kind = LOOM_LINE_COUNTED, .name = {last, first}, .num = {n}});
    put(b, (loom_line){.kind = LOOM_LINE_OUT_OF, .num = {n, block->total}});
    put(b, (loom_line){.kind = LOOM_LINE_REMAINING, .num = {block->total, n, left}});
    if (left == 0) {
        put_line(b, LOOM_TEXT_DONE);
        return;
    }
    loom_buf_char(b, '\n');
    loom_buf_str(b, LOOM_TEXT_SUBS_OF);
    for (int32_t i = 0; i < block->n_subs; i++) {
        if (i) loom_buf_str(b, LOOM_TEXT_SUBS_NEXT);
        loom_buf_str(b, block->subs[i].index);
    }
    loom_buf_char(b, '\n');
}

/* <layer> ... </layer> or <split> ... </split> */
static void render_body(loom_buf *b, const loom_block *block)
{
    put_line(b, block->split ? LOOM_TEXT_SPLIT : LOOM_TEXT_LAYER);
    if (!block->split) render_edges(b, block);
    if (block->counted && !block->split) render_counts(b, block);
    if (block->counted) {
        if (block->split || block->total != block->n_edges) render_subs_counted(b, block);
    } else {
        for (int32_t i = 0; i < block->n_subs; i++) render_sub(b, &block->subs[i]);
    }
    put_line(b, block->split ? LOOM_TEXT_SPLIT_END : LOOM_TEXT_LAYER_END);
}

void loom_text_render_question(loom_buf *into, const loom_block *block)
{
    loom_buf_str(into, LOOM_TEXT_QUESTION);
    put_line(into, LOOM_TEXT_SYSTEM);
    put_line(into, LOOM_TEXT_REQUIREMENTS);
    loom_attrs_render(into, &block->req);
    loom_buf_char(into, '\n');
    if (!block->split) put_line(into, LOOM_TEXT_CONDITIONS);
    render_lines(into, block->conds, block->n_conds);
    if (!block->split && !block->n_conds) loom_buf_char(into, '\n');
}

static void render_instruction(loom_buf *b, const loom_block *block)
{
    loom_text_render_question(b, block);
    loom_buf_char(b, '\n');
    put_line(b, LOOM_TEXT_ANSWER);
    render_body(b, block);
    if (block->finish) {
        loom_buf_char(b, '\n');
        loom_buf_str(b, LOOM_TEXT_FINISH);
    }
}

void loom_text_render(loom_buf *into, const loom_text *text)
{
    for (int32_t i = 0; i < text->n_blocks; i++) {
        const loom_block *block = &text->blocks[i];
        if (text->mode == LOOM_MODE_INSTRUCTION) {
            render_instruction(into, block);
            continue;
        }
        if (block->generate) loom_buf_str(into, LOOM_TEXT_GENERATE);
        loom_attrs_render(into, &block->req);
        loom_buf_char(into, '\n');
        if (text->mode == LOOM_MODE_TABULAR) render_edges(into, block);
        else render_body(into, block);
    }
}

/* ---- exact reading ---- */
typedef struct reader {
    const char *p, *end; /* next line starts at p */
    const char *text;    /* current line, without LF */
    size_t len;
    int64_t line; /* number of the current line, from 1 */
    loom_arena *arena;
    loom_err *err;
} reader;

static bool at_end(const reader *r) { return r->p >= r->end; }

static bool next_line(reader *r)
{
    if (at_end(r)) {
        r->text = r->end;
        r->len = 0;
        return false;
    }
    const char *lf = memchr(r->p, '\n', (size_t)(r->end - r->p));
    r->text = r->p;
    r->len = (size_t)((lf ? lf : r->end) - r->p);
    r->p = lf ? lf + 1 : r->end;
    r->line++;
    return true;
}

static void back(reader *r)
{
    r->p = r->text;
    r->line--;
}

static bool is(const reader *r, const char *want)
{
    return r->len == strlen(want) && memcmp(r->text, want, r->len) == 0;
}

static bool starts(const reader *r, const char *want)
{
    return r->len >= strlen(want) && memcmp(r->text, want, strlen(want)) == 0;
}

static loom_status expected(const reader *r, const char *what)
{
    return loom_fail(r->err, LOOM_STATUS_FORMAT, "line %lld of the sample: expected %s, found \"%.*s\"",
                     (long long)r->line, what, (int)(r->len < 60 ? r->len : 60), r->text);
}

static loom_status want(reader *r, const char *line)
{
    next_line(r);
    return is(r, line) ? LOOM_OK : expected(r, line[0] ? line : "an empty line");
}

static loom_status want_line(reader *r, loom_line_kind kind, loom_line *out)
{
    next_line(r);
    if (!loom_line_match(out, kind, r->text, r->len, r->arena)) return expected(r, loom_line_templates[kind]);
    return LOOM_OK;
}

static loom_status no_memory(const reader *r) { return loom_fail_nomem(r->err, "a sample"); }

static loom_status read_attrs(reader *r, loom_attrs *out, const char *text, size_t len)
{
    const char *why = loom_attrs_parse(out, text, len, r->arena);
    return why ? expected(r, "an attribute list") : LOOM_OK;
}

static loom_status read_edges(reader *r, loom_block *block)
{
    loom_edge_text *edges = NULL;
    size_t cap = 0;

    LOOM_TRY(want(r, LOOM_TEXT_EDGES));
    while (next_line(r) && !is(r, LOOM_TEXT_EDGES_END)) {
        edges = loom_arena_array_more(r->arena, edges, (size_t)block->n_edges, &cap, sizeof *edges);
        if (!edges) return no_memory(r);
        if (!loom_edge_match(&edges[block->n_edges], r->text, r->len, r->arena)) return expected(r, "an edge");
        block->n_edges++;
    }
    block->edges = edges;
    return is(r, LOOM_TEXT_EDGES_END) ? LOOM_OK : expected(r, LOOM_TEXT_EDGES_END);
}

/* The current line is a sub line. */
static loom_status read_sub(reader *r, loom_sub_text *sub)
{
    size_t open = strlen(LOOM_TEXT_SUB), close = strlen(LOOM_TEXT_SUB_END);
    const char *gt = r->len > open ? memchr(r->text + open, '>', r->len - open) : NULL;
    size_t head = gt ? (size_t)(gt - r->text) + 1 : 0;

    if (!starts(r, LOOM_TEXT_SUB) || !gt || r->len < head + close ||
        memcmp(r->text + r->len - close, LOOM_TEXT_SUB_END, close) != 0)
        return expected(r, "a subgraph line");
    sub->index = loom_arena_strdup(r->arena, r->text + open, head - open - 1);
    return read_attrs(r, &sub->attrs, r->text + head, r->len - head - close);
}

static loom_status read_sub_lines(reader *r, loom_sub_text *sub)
{
    loom_line *lines = NULL;
    size_t cap = 0;

    while (next_line(r) && !starts(r, LOOM_TEXT_SUB)) {
        lines = loom_arena_array_more(r->arena, lines, (size_t)sub->n_lines, &cap, sizeof *lines);
        if (!lines) return no_memory(r);
        if (!loom_line_match_any(&lines[sub->n_lines], LOOM_LINE_SUB_NUM_EDGES, LOOM_LINE_SUB_START_NODE, r->text,
                                 r->len, r->arena))
            return expected(r, "a subgraph constraint");
        sub->n_lines++;
    }
    sub->lines = lines;
    return LOOM_OK;
}

/* Subparts or bare sub lines, and the closing tag, which may follow "finish generation" on the same line. */
static loom_status read_subs(reader *r, loom_block *block)
{
    const char *close = block->split ? LOOM_TEXT_SPLIT_END : LOOM_TEXT_LAYER_END;
    const char *done = block->split ? LOOM_TEXT_DONE LOOM_TEXT_SPLIT_END : LOOM_TEXT_DONE LOOM_TEXT_LAYER_END;
    loom_sub_text *subs = NULL;
    loom_line now;
    size_t cap = 0;

    while (next_line(r) && !is(r, close) && !is(r, done)) {
        subs = loom_arena_array_more(r->arena, subs, (size_t)block->n_subs, &cap, sizeof *subs);
        if (!subs) return no_memory(r);
        loom_sub_text *sub = &subs[block->n_subs++];
        *sub = (loom_sub_text){0};
        bool counted = is(r, LOOM_TEXT_SUB_HEAD);
        if (counted) LOOM_TRY(read_sub_lines(r, sub));
        LOOM_TRY(read_sub(r, sub));
        if (!counted) continue;
        LOOM_TRY(want_line(r, LOOM_LINE_NOW_REMAINING, &now));
        if (block->split && !block->counted) block->total = now.num[0];
        block->counted = true;
    }
    block->subs = subs;
    return is(r, close) || is(r, done) ? LOOM_OK : expected(r, close);
}

static loom_status read_counts(reader *r, loom_block *block)
{
    loom_line line;
    if (!next_line(r)) return LOOM_OK;
    if (!loom_line_match(&line, LOOM_LINE_COUNTED, r->text, r->len, r->arena)) {
        back(r);
        return LOOM_OK;
    }
    block->counted = true;
    LOOM_TRY(want_line(r, LOOM_LINE_OUT_OF, &line));
    block->total = line.num[1];
    LOOM_TRY(want_line(r, LOOM_LINE_REMAINING, &line));
    if (block->total == block->n_edges) return want(r, LOOM_TEXT_DONE);
    LOOM_TRY(want(r, ""));
    next_line(r);
    return starts(r, LOOM_TEXT_SUBS_OF) ? LOOM_OK : expected(r, LOOM_TEXT_SUBS_OF);
}

static loom_status read_body(reader *r, loom_block *block)
{
    next_line(r);
    block->split = is(r, LOOM_TEXT_SPLIT);
    if (!block->split && !is(r, LOOM_TEXT_LAYER)) return expected(r, LOOM_TEXT_LAYER " or " LOOM_TEXT_SPLIT);
    if (!block->split) {
        LOOM_TRY(read_edges(r, block));
        LOOM_TRY(read_counts(r, block));
    }
    return read_subs(r, block);
}

static loom_status read_conditions(reader *r, loom_block *block)
{
    loom_line *lines = NULL;
    size_t cap = 0;
    bool plain;

    if (!next_line(r)) return expected(r, LOOM_TEXT_CONDITIONS);
    plain = is(r, LOOM_TEXT_CONDITIONS);
    if (!plain) back(r);
    while (next_line(r) && r->len) {
        lines = loom_arena_array_more(r->arena, lines, (size_t)block->n_conds, &cap, sizeof *lines);
        if (!lines) return no_memory(r);
        if (!loom_line_match_any(&lines[block->n_conds], plain ? LOOM_LINE_PLAIN_FIRST : LOOM_LINE_SPLIT,
                                 plain ? LOOM_LINE_PLAIN_LAST : LOOM_LINE_SPLIT_LAST, r->text, r->len, r->arena))
            return expected(r, "a condition");
        block->n_conds++;
    }
    block->conds = lines;
    return plain && !block->n_conds ? want(r, "") : LOOM_OK;
}

static loom_status read_instruction(reader *r, loom_block *block)
{
    LOOM_TRY(want(r, LOOM_TEXT_QUESTION LOOM_TEXT_SYSTEM));
    LOOM_TRY(want(r, LOOM_TEXT_REQUIREMENTS));
    next_line(r);
    LOOM_TRY(read_attrs(r, &block->req, r->text, r->len));
    LOOM_TRY(read_conditions(r, block));
    LOOM_TRY(want(r, LOOM_TEXT_ANSWER));
    LOOM_TRY(read_body(r, block));
    if (at_end(r)) return LOOM_OK;
    LOOM_TRY(want(r, ""));
    LOOM_TRY(want(r, LOOM_TEXT_FINISH));
    block->finish = true;
    return LOOM_OK;
}

static loom_status read_block(reader *r, loom_mode mode, loom_block *block)
{
    size_t skip = strlen(LOOM_TEXT_GENERATE);

    *block = (loom_block){0};
    if (mode == LOOM_MODE_INSTRUCTION) return read_instruction(r, block);
    next_line(r);
    block->generate = starts(r, LOOM_TEXT_GENERATE);
    if (!block->generate) skip = 0;
    LOOM_TRY(read_attrs(r, &block->req, r->text + skip, r->len - skip));
    return mode == LOOM_MODE_TABULAR ? read_edges(r, block) : read_body(r, block);
}

/* Numbers that follow from others (counts, sums, lists of indices) are not kept, so one rendering checks them all. */
static loom_status check_rendering(const loom_text *t, const char *text, size_t len, loom_err *err)
{
    loom_buf again = {0};
    loom_status st = LOOM_OK;
    size_t same = 0, line = 1;

    loom_text_render(&again, t);
    if (loom_buf_failed(&again)) {
        loom_buf_release(&again);
        return loom_fail_nomem(err, "a sample");
    }
    while (again.len && strchr(" \t\r\n", again.data[again.len - 1])) again.len--;
    while (same < len && same < again.len && text[same] == again.data[same]) {
        if (text[same] == '\n') line++;
        same++;
    }
    if (same != len || same != again.len)
        st = loom_fail(err, LOOM_STATUS_FORMAT, "line %zu of the sample: expected \"%.*s\", found \"%.*s\"", line,
                       (int)(again.len - same < 40 ? again.len - same : 40), again.data + same,
                       (int)(len - same < 40 ? len - same : 40), text + same);
    loom_buf_release(&again);
    return st;
}

loom_status loom_text_parse(loom_text *out, loom_mode mode, const char *text, size_t len, loom_arena *arena,
                            loom_err *err)
{
    loom_text t = {.mode = mode};
    loom_block *blocks = NULL;
    size_t cap = 0;

    while (len && strchr(" \t\r\n", text[len - 1])) len--;
    reader r = {.p = text, .end = text + len, .text = text, .arena = arena, .err = err};
    if (!len) return loom_fail(err, LOOM_STATUS_FORMAT, "the sample is empty");
    do {
        blocks = loom_arena_array_more(arena, blocks, (size_t)t.n_blocks, &cap, sizeof *blocks);
        if (!blocks) return no_memory(&r);
        LOOM_TRY(read_block(&r, mode, &blocks[t.n_blocks++]));
    } while (!at_end(&r) && mode == LOOM_MODE_RECURSIVE);
    t.blocks = blocks;
    if (!at_end(&r)) {
        next_line(&r);
        return expected(&r, "the end of the sample");
    }
    LOOM_TRY(loom_arena_check(arena, "a sample", err));
    LOOM_TRY(check_rendering(&t, text, len, err));
    *out = t;
    return LOOM_OK;
}
