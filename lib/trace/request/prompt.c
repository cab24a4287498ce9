#include "trace/request/prompt.h"

#include <math.h>

#include "core/hash.h"
#include "core/num.h"
#include "trace/graph/record.h"

/* ---- conditions ---- */
#define MAX_LINES 16

typedef struct prompt_lines {
    loom_line items[MAX_LINES];
    size_t n;
} prompt_lines;

static void add(prompt_lines *l, loom_line line) { l->items[l->n++] = line; }

static void add_latency(prompt_lines *l, const loom_attrs *a)
{
    add(l, (loom_line){.kind = LOOM_LINE_START_WITHIN, .num = {a->latency}});
    add(l, (loom_line){.kind = LOOM_LINE_FINISH_WITHIN, .num = {a->latency}});
}

/* Conditions of a plain child layer in the public program's order. */
static void reference_lines(prompt_lines *l, const loom_attrs *a)
{
    add(l, (loom_line){.kind = LOOM_LINE_NUM_EDGES, .num = {a->num_current_edges}});
    add(l, (loom_line){.kind = LOOM_LINE_FIRST_EDGE_ID, .name = {a->start_edge_id}});
    add(l, (loom_line){.kind = LOOM_LINE_FIRST_START, .num = {a->start}});
    add(l, (loom_line){.kind = LOOM_LINE_START_BEFORE_FINISH});
    add_latency(l, a);
}

/* The same as training text has them, each where its attribute is present. */
static void training_lines(prompt_lines *l, const loom_attrs *a, bool root)
{
    if (loom_attrs_has(a, LOOM_ATTR_START_EDGE_ID))
        add(l, (loom_line){.kind = LOOM_LINE_FIRST_EDGE_ID, .name = {a->start_edge_id}});
    if (loom_attrs_has(a, LOOM_ATTR_START)) add(l, (loom_line){.kind = LOOM_LINE_FIRST_START, .num = {a->start}});
    if (loom_attrs_has(a, LOOM_ATTR_LATENCY)) add_latency(l, a);
    if (!root && loom_attrs_has(a, LOOM_ATTR_NUM_SUBGRAPHS))
        add(l, a->num_subgraphs ? (loom_line){.kind = LOOM_LINE_SUBGRAPHS, .num = {a->num_subgraphs}}
                                : (loom_line){.kind = LOOM_LINE_NO_SUBGRAPHS});
    if (loom_attrs_has(a, LOOM_ATTR_NUM_CURRENT_EDGES))
        add(l, (loom_line){.kind = LOOM_LINE_NUM_EDGES, .num = {a->num_current_edges}});
    add(l, (loom_line){.kind = LOOM_LINE_START_BEFORE_FINISH});
    if (loom_attrs_has(a, LOOM_ATTR_START_NODE))
        add(l, (loom_line){.kind = LOOM_LINE_COPY_CALLER, .name = {a->start_node}});
}

static void split_lines(prompt_lines *l, const loom_attrs *a)
{
    add(l, (loom_line){.kind = LOOM_LINE_SPLIT_START_NODE, .name = {a->start_node}});
    add(l, (loom_line){.kind = LOOM_LINE_SPLIT_LATENCY});
    add(l, (loom_line){.kind = LOOM_LINE_SPLIT_START});
}

/* Rendered lines, so that handed-down texts and our own can be shuffled together. */
static void render_lines(loom_buf *into, const prompt_lines *l, const char *const *more, size_t n_more, loom_rng *rng)
{
    size_t n = l->n + n_more, *order = loom_alloc(n + 1, sizeof *order);
    for (size_t i = 0; order && i < n; i++) order[i] = i;
    if (rng && order) loom_rng_shuffle(rng, order, n, sizeof *order);
    for (size_t i = 0; i < n; i++) {
        size_t k = order ? order[i] : i;
        if (k < l->n) loom_line_render(into, &l->items[k]);
        else loom_buf_str(into, more[k - l->n]);
        loom_buf_char(into, '\n');
    }
    free(order);
}

static void render_head(loom_buf *into, const char *attrs)
{
    loom_buf_str(into, LOOM_TEXT_QUESTION LOOM_TEXT_SYSTEM "\n" LOOM_TEXT_REQUIREMENTS "\n");
    loom_buf_str(into, attrs);
    loom_buf_char(into, '\n');
}

static void render_tail(loom_buf *into, bool split, bool match_training)
{
    if (match_training) loom_buf_char(into, '\n'); /* the empty line that training text has here */
    loom_buf_str(into, LOOM_TEXT_ANSWER "\n");
    loom_buf_str(into, split ? LOOM_TEXT_SPLIT "\n" : LOOM_TEXT_LAYER "\n" LOOM_TEXT_EDGES);
}

/* Training text has an include line where the layer itself has the edge, so that its source is the start node, and, if
 * encoded so, in the layers above. */
static size_t fitting_includes(const char **out, const char *const *includes, int32_t n_includes, const loom_attrs *a,
                               bool owed)
{
    size_t n = 0, len = strlen(a->start_node);
    for (int32_t i = 0; i < n_includes; i++) {
        const char *rest = includes[i] + strlen(LOOM_TEXT_INCLUDE);
        bool own = rest[0] == ' ' && strncmp(rest + 1, a->start_node, len) == 0 && rest[1 + len] == ' ';
        if (own || owed) out[n++] = includes[i];
    }
    return n;
}

/* ---- of a child ---- */
void loom_request_child_prompt(loom_buf *into, const loom_prompt_conf *conf, const loom_parsed_sub *sub,
                               const char *const *includes, int32_t n_includes, loom_rng *rng)
{
    const loom_attrs *a = &sub->attrs;
    bool split = a->num_current_edges > LOOM_LAYER_MAX_EDGES, match = conf->match_training;
    prompt_lines lines = {.n = 0};

    if (conf->mode != LOOM_MODE_INSTRUCTION) {
        loom_buf_str(into, sub->text);
        loom_buf_char(into, '\n');
        return;
    }
    const char **fitting = loom_alloc((size_t)n_includes, sizeof *fitting);
    size_t n_fitting = fitting && match && !split ? fitting_includes(fitting, includes, n_includes, a, conf->owed) : 0;
    render_head(into, sub->text);
    if (split) {
        loom_line head = {.kind = LOOM_LINE_SPLIT};
        loom_line_render(into, &head);
        loom_buf_char(into, '\n');
        split_lines(&lines, a);
    } else {
        loom_buf_str(into, LOOM_TEXT_CONDITIONS "\n");
        if (match) training_lines(&lines, a, false);
        else reference_lines(&lines, a);
    }
    render_lines(into, &lines, match ? fitting : includes, match ? n_fitting : (size_t)n_includes, rng);
    render_tail(into, split, match);
    free(fitting);
}

/* ---- of a root ---- */
static void root_tail(loom_buf *into, const loom_prompt_conf *conf)
{
    if (conf->mode == LOOM_MODE_INSTRUCTION) render_tail(into, false, conf->match_training);
    else
        loom_buf_str(into, conf->mode == LOOM_MODE_TABULAR ? LOOM_TEXT_EDGES "\n"
                                                           : LOOM_TEXT_LAYER "\n" LOOM_TEXT_EDGES "\n");
}

static void bare_prompt(loom_buf *into, const loom_attrs *a, const loom_prompt_conf *conf)
{
    if (conf->match_training) loom_buf_str(into, LOOM_TEXT_GENERATE);
    loom_attrs_render(into, a);
    loom_buf_char(into, '\n');
    root_tail(into, conf);
}

static uint32_t kept(const loom_prompt_conf *conf, loom_rng *rng)
{
    uint32_t keep = LOOM_ATTR_BIT(LOOM_ATTR_NUM_EDGES) | LOOM_ATTR_BIT(LOOM_ATTR_REMAINING_DEPTH);
    if (conf->keep) return conf->keep;
    if (conf->mode == LOOM_MODE_TABULAR)
        return LOOM_ATTR_BIT(LOOM_ATTR_NUM_EDGES) | LOOM_ATTR_BIT(LOOM_ATTR_DEPTH) | LOOM_ATTR_BIT(LOOM_ATTR_LATENCY);
    if (conf->mode == LOOM_MODE_INSTRUCTION) return keep | LOOM_ATTR_BIT(LOOM_ATTR_START_NODE);
    /* published recursive prompts show the latency nine times in ten, their training text one time in two */
    if (!conf->match_training && rng && loom_rng_chance(rng, 0.8)) keep |= LOOM_ATTR_BIT(LOOM_ATTR_LATENCY);
    return keep;
}

/* Reference form ends the question after its last line; without conditions that is the "Conditions:" line. */
static void trim_end(loom_buf *b)
{
    while (b->len && strchr(" \t\r\n", b->data[b->len - 1])) b->data[--b->len] = 0;
}

loom_line loom_request_high_latency(const loom_prompt_conf *conf)
{
    if (conf->latency_from <= 0) return (loom_line){.kind = LOOM_LINE_HIGH_LATENCY};
    return (loom_line){.kind = LOOM_LINE_LATENCY_FROM, .num = {conf->latency_from}};
}

loom_status loom_request_root_prompt(loom_buf *into, const loom_graph *graph, const loom_facts *facts,
                                     const loom_prompt_conf *conf, loom_rng *rng, loom_arena *arena, loom_err *err)
{
    loom_encode_conf encode = {.mode = conf->mode,
                               .policy = rng ? LOOM_DRAW_RANDOM : LOOM_DRAW_ALL,
                               .keep = kept(conf, rng),
                               .latency_from = conf->latency_from};
    loom_facts known = facts ? *facts : (loom_facts){0};
    loom_block root;

    if (conf->high_latency) { /* facts for which every latency is a high one */
        known.has_latency = true;
        known.p90 = INT64_MIN;
        known.mean = -INFINITY;
    }
    LOOM_TRY(loom_encode_root(&root, graph, &known, &encode, conf->include, rng, arena, err));
    if (conf->mode != LOOM_MODE_INSTRUCTION) {
        bare_prompt(into, &root.req, conf);
        return LOOM_OK;
    }
    loom_text_render_question(into, &root);
    if (!conf->match_training) {
        trim_end(into);
        loom_buf_char(into, '\n');
    }
    root_tail(into, conf);
    return LOOM_OK;
}

loom_status loom_request_graph_prompt(loom_buf *into, const loom_graph *graph, const loom_stats *stats,
                                      const loom_prompt_conf *conf, uint64_t seed, loom_arena *arena, loom_err *err)
{
    loom_facts facts = loom_stats_facts(stats, graph->service);
    loom_buf record = {0};
    loom_rng rng;

    loom_record_render_untimed(&record, graph);
    loom_status st = loom_buf_check(&record, "a prompt", err);
    if (st == LOOM_OK) {
        loom_rng_seed(&rng, seed, "prompt", loom_hash64(record.data, record.len, 0));
        st = loom_request_root_prompt(into, graph, &facts, conf, &rng, arena, err);
    }
    loom_buf_release(&record);
    return st;
}

void loom_request_attrs_prompt(loom_buf *into, const loom_attrs *attrs, const loom_prompt_conf *conf, loom_rng *rng)
{
    prompt_lines lines = {.n = 0};
    loom_buf list = {0};

    if (conf->mode != LOOM_MODE_INSTRUCTION) {
        bare_prompt(into, attrs, conf);
        return;
    }
    training_lines(&lines, attrs, true);
    if (conf->include) add(&lines, *conf->include);
    if (conf->high_latency) add(&lines, loom_request_high_latency(conf));
    if (!conf->high_latency && !loom_attrs_has(attrs, LOOM_ATTR_LATENCY))
        add(&lines, (loom_line){.kind = LOOM_LINE_DISTRIBUTIONS});
    loom_attrs_render(&list, attrs);
    render_head(into, loom_buf_text(&list));
    loom_buf_str(into, LOOM_TEXT_CONDITIONS "\n");
    render_lines(into, &lines, NULL, 0, rng);
    root_tail(into, conf);
    loom_buf_release(&list);
}

/* The word of a record that holds the attribute list. */
static const char *attrs_word(const char *record, size_t len, size_t *n)
{
    for (size_t i = 0; i < len;) {
        size_t from = i;
        while (i < len && !strchr(" \t\r\n", record[i])) i++;
        *n = i - from;
        if (memmem(record + from, *n, loom_attr_table[LOOM_ATTR_ID].key, strlen(loom_attr_table[LOOM_ATTR_ID].key)))
            return record + from;
        if (i == from) i++;
    }
    return NULL;
}

static int64_t line_end(const char *text, size_t len)
{
    const char *lf = memchr(text, '\n', len);
    return lf ? lf - text : (int64_t)len;
}

loom_status loom_request_record_prompt(loom_buf *into, loom_mode mode, bool match_training, const char *record,
                                       size_t len, loom_err *err)
{
    loom_prompt_conf conf = {.mode = mode, .match_training = match_training};
    size_t n = 0;
    const char *word = attrs_word(record, len, &n);

    if (!word)
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "a prompt record without an attribute list (a word with \"id:\"): "
                         "\"%.*s\"",
                         (int)loom_min_i64(60, line_end(record, len)), record);
    if (mode != LOOM_MODE_INSTRUCTION) {
        if (match_training) loom_buf_str(into, LOOM_TEXT_GENERATE);
        loom_buf_append(into, word, n);
        loom_buf_char(into, '\n');
    } else {
        while (len && strchr(" \t\r\n", record[len - 1])) len--;
        loom_buf_append(into, record, len);
        size_t bare = strlen(LOOM_TEXT_CONDITIONS);
        bool empty = len >= bare && memcmp(record + len - bare, LOOM_TEXT_CONDITIONS, bare) == 0;
        loom_buf_str(into, match_training && empty ? "\n\n" : "\n");
    }
    root_tail(into, &conf);
    return LOOM_OK;
}
