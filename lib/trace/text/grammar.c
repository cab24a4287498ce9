#include "trace/text/grammar.h"

#include "core/num.h"

/* ---- modes ---- */
const char *const loom_mode_names[LOOM_MODES] = {"tabular", "recursive", "instruction"};

bool loom_mode_parse(loom_mode *out, const char *name)
{
    for (int i = 0; i < LOOM_MODES; i++) {
        if (strcmp(name, loom_mode_names[i]) != 0) continue;
        *out = (loom_mode)i;
        return true;
    }
    return false;
}

static const char *const stops_tabular[] = {"##", LOOM_TEXT_DONE, LOOM_TEXT_EDGES_END};
static const char *const stops_recursive[] = {"##", LOOM_TEXT_DONE, "[GENERATE", LOOM_TEXT_LAYER_END,
                                              LOOM_TEXT_SPLIT_END};
static const char *const stops_instruction[] = {"##", LOOM_TEXT_DONE, LOOM_TEXT_LAYER_END, LOOM_TEXT_SPLIT_END};

const char *const *loom_stop_strings(loom_mode mode, size_t *n)
{
    switch (mode) {
    case LOOM_MODE_TABULAR: *n = sizeof stops_tabular / sizeof *stops_tabular; return stops_tabular;
    case LOOM_MODE_RECURSIVE: *n = sizeof stops_recursive / sizeof *stops_recursive; return stops_recursive;
    default: *n = sizeof stops_instruction / sizeof *stops_instruction; return stops_instruction;
    }
}

/* ---- attributes ---- */
#define NAME(text) .name = text, .key = text ":"
const loom_attr_info loom_attr_table[LOOM_ATTRS] = {
    [LOOM_ATTR_ID] = {NAME("id")},
    [LOOM_ATTR_NUM_EDGES] = {NAME("num_edges"), .aliases = {"num edges"}, .is_int = true},
    [LOOM_ATTR_START_NODE] = {NAME("start_node")},
    [LOOM_ATTR_START_EDGE_ID] = {NAME("start_edge_id"), .aliases = {"start_rpc_id"}},
    [LOOM_ATTR_START] = {NAME("start_communication_at"), .aliases = {"offset", "start_arrived"}, .is_int = true},
    [LOOM_ATTR_LATENCY] = {NAME("latency"), .is_int = true},
    [LOOM_ATTR_NUM_SUBGRAPHS] = {NAME("num_subgraphs"), .is_int = true},
    [LOOM_ATTR_REMAINING_DEPTH] = {NAME("remaining_depth"), .aliases = {"max_depth", "max depth"}, .is_int = true},
    [LOOM_ATTR_NUM_CURRENT_EDGES] = {NAME("num_current_edges"), .is_int = true},
    [LOOM_ATTR_CALLER] = {NAME("caller")},
    [LOOM_ATTR_DEPTH] = {NAME("depth"), .is_int = true},
};
#undef NAME

const uint8_t loom_attrs_tabular[] = {LOOM_ATTR_ID, LOOM_ATTR_NUM_EDGES, LOOM_ATTR_LATENCY, LOOM_ATTR_DEPTH,
                                      LOOM_ATTRS};
const uint8_t loom_attrs_other[] = {LOOM_ATTR_ID,
                                    LOOM_ATTR_NUM_EDGES,
                                    LOOM_ATTR_START_NODE,
                                    LOOM_ATTR_START_EDGE_ID,
                                    LOOM_ATTR_START,
                                    LOOM_ATTR_LATENCY,
                                    LOOM_ATTR_NUM_SUBGRAPHS,
                                    LOOM_ATTR_REMAINING_DEPTH,
                                    LOOM_ATTR_NUM_CURRENT_EDGES,
                                    LOOM_ATTR_CALLER,
                                    LOOM_ATTRS};
const uint8_t loom_attrs_listed[] = {LOOM_ATTR_ID,
                                     LOOM_ATTR_NUM_EDGES,
                                     LOOM_ATTR_START_NODE,
                                     LOOM_ATTR_START_EDGE_ID,
                                     LOOM_ATTR_NUM_CURRENT_EDGES,
                                     LOOM_ATTR_NUM_SUBGRAPHS,
                                     LOOM_ATTR_REMAINING_DEPTH,
                                     LOOM_ATTR_START,
                                     LOOM_ATTR_LATENCY,
                                     LOOM_ATTR_CALLER,
                                     LOOM_ATTRS};

void loom_attrs_init(loom_attrs *a)
{
    *a = (loom_attrs){.id = "S_0",
                      .start_edge_id = "0",
                      .start_node = "",
                      .caller = "",
                      .num_edges = -1,
                      .remaining_depth = -1,
                      .latency = -1,
                      .start = -1,
                      .num_subgraphs = -1,
                      .num_current_edges = -1};
}

void loom_attrs_put(loom_attrs *a, loom_attr which)
{
    if (loom_attrs_has(a, which)) return;
    a->present |= LOOM_ATTR_BIT(which);
    a->order[a->n_order++] = (uint8_t)which;
}

bool loom_attrs_has(const loom_attrs *a, loom_attr which) { return (a->present & LOOM_ATTR_BIT(which)) != 0; }

static const char **attr_text(loom_attrs *a, loom_attr which)
{
    switch (which) {
    case LOOM_ATTR_ID: return &a->id;
    case LOOM_ATTR_START_NODE: return &a->start_node;
    case LOOM_ATTR_START_EDGE_ID: return &a->start_edge_id;
    default: return &a->caller;
    }
}

static int64_t *attr_int(loom_attrs *a, loom_attr which)
{
    switch (which) {
    case LOOM_ATTR_NUM_EDGES: return &a->num_edges;
    case LOOM_ATTR_START: return &a->start;
    case LOOM_ATTR_LATENCY: return &a->latency;
    case LOOM_ATTR_NUM_SUBGRAPHS: return &a->num_subgraphs;
    case LOOM_ATTR_NUM_CURRENT_EDGES: return &a->num_current_edges;
    default: return &a->remaining_depth; /* depth shares it */
    }
}

void loom_attrs_render(loom_buf *into, const loom_attrs *attrs)
{
    loom_attrs a = *attrs;
    for (int i = 0; i < a.n_order; i++) {
        loom_attr which = (loom_attr)a.order[i];
        if (i) loom_buf_char(into, '/');
        loom_buf_str(into, loom_attr_table[which].key);
        if (loom_attr_table[which].is_int) loom_buf_i64(into, *attr_int(&a, which));
        else loom_buf_str(into, *attr_text(&a, which));
    }
}

static bool is_text(const char *text, size_t len, const char *want)
{
    return want && strlen(want) == len && memcmp(text, want, len) == 0;
}

static loom_attr attr_of(const char *name, size_t len)
{
    for (int i = 0; i < LOOM_ATTRS; i++) {
        const loom_attr_info *info = &loom_attr_table[i];
        if (is_text(name, len, info->name)) return (loom_attr)i;
        for (size_t j = 0; j < sizeof info->aliases / sizeof *info->aliases; j++)
            if (is_text(name, len, info->aliases[j])) return (loom_attr)i;
    }
    return LOOM_ATTRS;
}

/* [-]digits; loom_parse_i64 also takes a plus sign, which no text of ours has. */
static bool parse_int(const char *text, size_t len, int64_t *out)
{
    return len > 0 && text[0] != '+' && loom_parse_i64(text, len, out);
}

static const char *parse_attr(loom_attrs *a, const char *part, size_t len, loom_arena *arena)
{
    const char *colon = memchr(part, ':', len);
    if (!colon) return "attribute without a colon";
    size_t name_len = (size_t)(colon - part), value_len = len - name_len - 1;
    const char *value = colon + 1;
    if (memchr(value, ':', value_len)) return "attribute with two colons";
    loom_attr which = attr_of(part, name_len);
    if (which == LOOM_ATTRS) return NULL;
    if (!loom_attr_table[which].is_int) *attr_text(a, which) = loom_arena_strdup(arena, value, value_len);
    else if (!parse_int(value, value_len, attr_int(a, which))) return "attribute value is not an integer";
    loom_attrs_put(a, which);
    return NULL;
}

const char *loom_attrs_parse(loom_attrs *out, const char *text, size_t len, loom_arena *arena)
{
    loom_attrs a;
    const char *end = text + len;

    loom_attrs_init(&a);
    while (text < end) {
        const char *slash = memchr(text, '/', (size_t)(end - text));
        size_t n = (size_t)((slash ? slash : end) - text);
        const char *why = n ? parse_attr(&a, text, n, arena) : NULL;
        if (why) return why;
        text += n + 1;
    }
    *out = a;
    return NULL;
}

/* ---- lines ---- */
#define WORD_EDGE_ID     "edge_id"
#define WORD_TYPE        "type"
#define WORD_SOURCE      "source"
#define WORD_DESTINATION "destination"
#define WORD_START       "communication starts" LOOM_TEXT_AT
#define WORD_FINISH      "communication finishes" LOOM_TEXT_AT

const char *const loom_item_words[LOOM_ITEMS] = {
    [LOOM_ITEM_EDGE_ID] = WORD_EDGE_ID,         [LOOM_ITEM_TYPE] = WORD_TYPE,   [LOOM_ITEM_SOURCE] = WORD_SOURCE,
    [LOOM_ITEM_DESTINATION] = WORD_DESTINATION, [LOOM_ITEM_START] = WORD_START, [LOOM_ITEM_FINISH] = WORD_FINISH,
};

const char *const loom_line_templates[LOOM_LINES] = {
    [LOOM_ITEM_EDGE_ID] = WORD_EDGE_ID LOOM_TEXT_IS "@",
    [LOOM_ITEM_TYPE] = WORD_TYPE LOOM_TEXT_IS "@",
    [LOOM_ITEM_SOURCE] = WORD_SOURCE LOOM_TEXT_IS "@",
    [LOOM_ITEM_DESTINATION] = WORD_DESTINATION LOOM_TEXT_IS "@",
    [LOOM_ITEM_START] = WORD_START " #" LOOM_TEXT_UNIT,
    [LOOM_ITEM_FINISH] = WORD_FINISH " #" LOOM_TEXT_UNIT,

    [LOOM_LINE_NO_NUM_EDGES] = "The total number of edges is not provided",
    [LOOM_LINE_FIRST_EDGE_ID] = "the first edge_id should be start_edge_id @",
    [LOOM_LINE_FIRST_START] = "the first start_communication_at should be requirement's start_communication_at #",
    [LOOM_LINE_START_WITHIN] =
        "In each edge, communication start time should NOT be greater than latency # milliseconds",
    [LOOM_LINE_FINISH_WITHIN] = "Also, communication should finish before latency # milliseconds",
    [LOOM_LINE_DISTRIBUTIONS] = "Build a call graph with latencies based on distributions",
    [LOOM_LINE_SUBGRAPHS_IF_NEEDED] = "Generate subgraph instructions if necessary",
    [LOOM_LINE_SUBGRAPHS] = "generate # number of subgraphs",
    [LOOM_LINE_NO_SUBGRAPHS] = "no subgraph to generate",
    [LOOM_LINE_NO_DEPTH] = "The depth information is not provided",
    [LOOM_LINE_NUM_EDGES] = "generate # edges following num_current_edges",
    [LOOM_LINE_INCLUDE] = LOOM_TEXT_INCLUDE " @ to @ with @ type",
    [LOOM_LINE_HIGH_LATENCY] = LOOM_TEXT_HIGH_LATENCY,
    [LOOM_LINE_START_BEFORE_FINISH] = "for all edges, communication start time <= communication finish time",
    [LOOM_LINE_COPY_CALLER] = "copy caller from requirement's start_node:@",
    [LOOM_LINE_LATENCY_FROM] = LOOM_TEXT_HIGH_LATENCY ", # <= latency",

    [LOOM_LINE_SPLIT] = ("num_current_edges is over the threshold, so split the subgraph instructions into smaller "
                         "subgraph instructions"),
    [LOOM_LINE_SPLIT_START_NODE] = "When splitting the subgraph instructions, copy start_node:@ from the requirement",
    [LOOM_LINE_SPLIT_LATENCY] =
        "for all subgraph instructions, latency should not be larger than the requirement's latency",
    [LOOM_LINE_SPLIT_START] = "for all subgraph instructions, start_communication_at <= latency",

    [LOOM_LINE_SUB_NUM_EDGES] = "num_edges <= num_remaining_edges:#",
    [LOOM_LINE_SUB_DEPTH] = "remaining_depth should be the requirement's remaining_depth:# - 1 = #",
    [LOOM_LINE_SUB_SPLIT_DEPTH] = "copy 'remaining_depth:#' from the requirement",
    [LOOM_LINE_SUB_START_NODE] = "copy start_node from edge @ destination: @",

    [LOOM_LINE_COUNTED] = "num generated edges = the last edge id - the first edge id + 1 = @ - @ + 1 = #",
    [LOOM_LINE_OUT_OF] = "# edges generated out of num_edges:#",
    [LOOM_LINE_REMAINING] = "num_remaining_edges = num_edges:# - generated:# = #",
    [LOOM_LINE_NOW_REMAINING] = "now, num_remaining_edges is # - # = #",
};

void loom_line_render(loom_buf *into, const loom_line *line)
{
    const char *t = loom_line_templates[line->kind];
    int n_name = 0, n_num = 0;

    while (*t) {
        size_t literal = strcspn(t, "@#");
        loom_buf_append(into, t, literal);
        t += literal;
        if (*t == '@') loom_buf_str(into, line->name[n_name++]);
        if (*t == '#') loom_buf_i64(into, line->num[n_num++]);
        if (*t) t++;
    }
}

/* Length of the canonical integer at the start of the text, 0 when there is none. */
static size_t int_length(const char *text, size_t len)
{
    size_t sign = len > 0 && text[0] == '-', n = sign;
    while (n < len && text[n] >= '0' && text[n] <= '9') n++;
    if (n == sign) return 0;
    if (text[sign] == '0' && (sign || n > 1)) return 0;
    return n;
}

/* Length of the name that fills a hole: up to the literal that follows it, never empty. */
static size_t name_length(const char *text, size_t len, const char *rest)
{
    size_t literal = strcspn(rest, "@#");
    if (!literal) return len;
    const char *found = len > 1 ? memmem(text + 1, len - 1, rest, literal) : NULL;
    return found ? (size_t)(found - text) : 0;
}

bool loom_line_match(loom_line *out, loom_line_kind kind, const char *text, size_t len, loom_arena *arena)
{
    loom_line line = {.kind = kind};
    const char *t = loom_line_templates[kind], *name[3];
    size_t name_len[3], n;
    int n_name = 0, n_num = 0;

    while (*t) {
        size_t literal = strcspn(t, "@#");
        if (len < literal || memcmp(t, text, literal) != 0) return false;
        text += literal, len -= literal, t += literal;
        if (!*t) break;
        if (*t == '@') {
            n = name_length(text, len, t + 1);
            if (!n || memchr(text, '\n', n)) return false;
            name[n_name] = text;
            name_len[n_name++] = n;
        } else {
            n = int_length(text, len);
            if (!n || !loom_parse_i64(text, n, &line.num[n_num++])) return false;
        }
        text += n, len -= n, t++;
    }
    if (len) return false;
    for (int i = 0; i < n_name; i++) line.name[i] = loom_arena_strdup(arena, name[i], name_len[i]);
    *out = line;
    return true;
}

const char *loom_text_include_line(const char *text, size_t len, size_t *line_len)
{
    const char *line = len ? memmem(text, len, LOOM_TEXT_INCLUDE, strlen(LOOM_TEXT_INCLUDE)) : NULL;
    const char *end = line ? memchr(line, '\n', (size_t)(text + len - line)) : NULL;

    if (line) *line_len = (size_t)((end ? end : text + len) - line);
    return line;
}

bool loom_line_match_any(loom_line *out, loom_line_kind first, loom_line_kind last, const char *text, size_t len,
                         loom_arena *arena)
{
    for (int k = (int)first; k <= (int)last; k++)
        if (loom_line_match(out, (loom_line_kind)k, text, len, arena)) return true;
    return false;
}

/* ---- edges ---- */
static loom_line edge_item(const loom_edge_text *e, loom_line_kind item)
{
    loom_line line = {.kind = item};
    switch (item) {
    case LOOM_ITEM_EDGE_ID: line.name[0] = e->edge_id; break;
    case LOOM_ITEM_TYPE: line.name[0] = e->type; break;
    case LOOM_ITEM_SOURCE: line.name[0] = e->source; break;
    case LOOM_ITEM_DESTINATION: line.name[0] = e->destination; break;
    case LOOM_ITEM_START: line.num[0] = e->start; break;
    default: line.num[0] = e->finish; break;
    }
    return line;
}

void loom_edge_render(loom_buf *into, const loom_edge_text *e)
{
    loom_buf_char(into, '(');
    for (int i = 0; i < e->n_items; i++) {
        loom_line line = edge_item(e, (loom_line_kind)e->order[i]);
        if (i) loom_buf_char(into, ',');
        loom_line_render(into, &line);
    }
    loom_buf_char(into, ')');
}

static bool edge_take(loom_edge_text *e, const loom_line *item)
{
    for (int i = 0; i < e->n_items; i++)
        if (e->order[i] == item->kind) return false;
    e->order[e->n_items++] = (uint8_t)item->kind;
    switch (item->kind) {
    case LOOM_ITEM_EDGE_ID: e->edge_id = item->name[0]; break;
    case LOOM_ITEM_TYPE: e->type = item->name[0]; break;
    case LOOM_ITEM_SOURCE: e->source = item->name[0]; break;
    case LOOM_ITEM_DESTINATION: e->destination = item->name[0]; break;
    case LOOM_ITEM_START: e->start = item->num[0]; break;
    default: e->finish = item->num[0]; break;
    }
    return true;
}

bool loom_edge_match(loom_edge_text *out, const char *text, size_t len, loom_arena *arena)
{
    loom_edge_text e = {.source = ""};
    const char *end;

    if (len < 2 || text[0] != '(' || text[len - 1] != ')') return false;
    for (end = text + len - 1, text++; text < end; text++) {
        const char *comma = memchr(text, ',', (size_t)(end - text));
        size_t n = (size_t)((comma ? comma : end) - text);
        loom_line item;
        if (!loom_line_match_any(&item, LOOM_ITEM_EDGE_ID, LOOM_ITEM_FINISH, text, n, arena)) return false;
        if (!edge_take(&e, &item)) return false;
        text += n;
        if (comma && text + 1 == end) return false; /* a comma before the closing bracket */
    }
    if (!e.edge_id || !e.type || !e.destination) return false;
    if (e.n_items != LOOM_ITEMS && !(e.n_items == LOOM_ITEMS - 1 && !e.source[0])) return false;
    *out = e;
    return true;
}
