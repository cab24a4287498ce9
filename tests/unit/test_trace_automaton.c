/* Constrained decoding without a model: bytes drawn at random among those the automaton allows must always lead to
 * answers, and answers to graphs, that meet the request. */
#include "test.h"

#include "core/file.h"
#include "core/json.h"
#include "core/num.h"
#include "core/rng.h"
#include "trace/automaton.h"
#include "trace/request.h"
#include "trace/textfile.h"

/* ---- ranges of a subgraph's numbers against enumeration ---- */

static bool can_be_met(int64_t n, int64_t d, int64_t c, int64_t k, int64_t k_cap)
{
    int64_t x = n - c;
    if (n < 1 || c < 1 || x < 0 || d < 0) return false;
    if ((x == 0) != (d == 0) || d > x) return false;
    if (c > LOOM_LAYER_MAX_EDGES) return k >= 2 && k <= LOOM_SPLIT_MAX_PARTS;
    if (d == 0) return k == 0;
    return k >= 1 && k <= c && k <= k_cap && x >= d + k - 1;
}

static bool within(const loom_sub_bounds *b, int64_t n, int64_t d, int64_t c)
{
    int64_t x = n - c;
    bool shallow = b->deep >= 0 && d < b->deep;
    if (b->deep >= 0 && d > b->deep) return false;
    if (d < b->d_lo || d > b->d_hi || c < b->c_lo || c > b->c_hi) return false;
    if (n < b->n_lo || n > (shallow ? loom_min_i64(b->n_shallow, b->n_hi) : b->n_hi)) return false;
    return x >= b->x_lo && x <= (shallow ? loom_min_i64(b->x_shallow, b->x_hi) : b->x_hi);
}

enum { MOST = 22 };

static void enumerate(bool *seen, const loom_sub_bounds *b, const loom_sub_state *s, loom_attr which)
{
    memset(seen, 0, (MOST + 1) * sizeof *seen);
    for (int64_t n = 1; n <= MOST; n++)
        for (int64_t c = 1; c <= n; c++)
            for (int64_t d = 0; d <= 6; d++)
                for (int64_t k = 0; k <= LOOM_LAYER_MAX_EDGES; k++) {
                    if ((s->n >= 0 && s->n != n) || (s->d >= 0 && s->d != d) || (s->c >= 0 && s->c != c) ||
                        (s->k >= 0 && s->k != k) || !can_be_met(n, d, c, k, b->k_cap) || !within(b, n, d, c))
                        continue;
                    int64_t v = which == LOOM_ATTR_NUM_EDGES ? n : which == LOOM_ATTR_REMAINING_DEPTH ? d
                                : which == LOOM_ATTR_NUM_CURRENT_EDGES ? c : k;
                    seen[v] = true;
                }
}

static int64_t draw(loom_rng *r, int64_t lo, int64_t hi)
{
    return lo + (int64_t)loom_rng_below(r, (uint64_t)(hi - lo + 1));
}

TEST(ranges_equal_enumeration)
{
    static const loom_attr which[] = {LOOM_ATTR_NUM_EDGES, LOOM_ATTR_REMAINING_DEPTH, LOOM_ATTR_NUM_CURRENT_EDGES,
                                      LOOM_ATTR_NUM_SUBGRAPHS};
    int64_t wrong = 0, not_empty = 0;
    loom_rng r;

    loom_rng_seed(&r, 7, "ranges", 0);
    for (int round = 0; round < 3000; round++) {
        loom_sub_bounds b = {.n_lo = draw(&r, 1, 4), .n_hi = draw(&r, 1, MOST), .c_lo = draw(&r, 1, 3),
                             .c_hi = draw(&r, 1, MOST), .x_lo = draw(&r, 0, 2), .x_hi = draw(&r, 0, MOST), .d_lo = 0,
                             .d_hi = draw(&r, 0, 6), .k_cap = draw(&r, 1, 15), .deep = draw(&r, -1, 4)};
        b.n_shallow = draw(&r, -1, MOST);
        b.x_shallow = draw(&r, -1, MOST);
        loom_sub_state s = {.n = -1, .d = -1, .c = -1, .k = -1};
        if (loom_rng_chance(&r, 0.4)) s.n = draw(&r, 1, MOST);
        if (loom_rng_chance(&r, 0.4)) s.d = draw(&r, 0, 4);
        if (loom_rng_chance(&r, 0.4)) s.c = draw(&r, 1, MOST);
        if (loom_rng_chance(&r, 0.4)) s.k = draw(&r, 0, 6);
        for (size_t w = 0; w < 4; w++) {
            bool seen[MOST + 1];
            loom_ranges got;
            enumerate(seen, &b, &s, which[w]);
            loom_sub_ranges(&got, &b, &s, which[w]);
            for (int64_t v = 0; v <= MOST; v++) {
                bool in = false;
                for (int i = 0; i < got.n; i++) in = in || (v >= got.lo[i] && v <= got.hi[i]);
                wrong += in != seen[v];
                not_empty += seen[v];
            }
        }
    }
    CHECK_I64(wrong, 0);
    CHECK(not_empty > 5000);
}

/* ---- random walks ---- */

/* Bytes allowed at s, among those that texts are made of. */
static int allowed_bytes(unsigned char *out, loom_automaton *a, const loom_automaton_state *s)
{
    int n = 0;
    for (int b = 0; b < 128; b++) {
        loom_automaton_state copy = *s;
        if ((b == '\n' || b >= ' ') && loom_automaton_step(a, &copy, (unsigned char)b)) out[n++] = (unsigned char)b;
    }
    return n;
}

/* Writes an answer by drawing bytes; false: stuck. */
static bool walk(loom_buf *text, loom_automaton *a, loom_rng *r)
{
    loom_automaton_state s = *loom_automaton_start(a);
    unsigned char bytes[128];

    loom_buf_reset(text);
    while (!s.done && text->len < 200000) {
        int n = allowed_bytes(bytes, a, &s);
        if (!n) return false;
        unsigned char b = bytes[loom_rng_below(r, (uint64_t)n)];
        if (!loom_automaton_step(a, &s, b)) return false;
        loom_buf_char(text, (char)b);
    }
    return s.done;
}

static void cut(loom_buf *text, loom_mode mode)
{
    size_t n;
    const char *const *stops = loom_stop_strings(mode, &n);
    for (size_t i = 0; i < n; i++) {
        char *hit = strstr(text->data, stops[i]);
        if (hit) *hit = 0, text->len = (size_t)(hit - text->data);
    }
}

static void root_prompt(loom_buf *into, loom_mode mode, int64_t edges, int64_t depth, int64_t latency, bool training,
                        loom_rng *r)
{
    loom_prompt_conf conf = {.mode = mode, .match_training = training};
    loom_attrs a;

    loom_attrs_init(&a);
    a.id = "S_000000007";
    a.start_node = "USER";
    a.num_edges = edges;
    a.latency = latency;
    a.remaining_depth = mode == LOOM_MODE_TABULAR ? depth : depth - 1;
    a.num_current_edges = 1;
    a.num_subgraphs = edges > 1;
    a.start = 0;
    loom_attrs_put(&a, LOOM_ATTR_ID);
    loom_attrs_put(&a, LOOM_ATTR_NUM_EDGES);
    if (latency >= 0) loom_attrs_put(&a, LOOM_ATTR_LATENCY);
    if (mode == LOOM_MODE_TABULAR) {
        loom_attrs_put(&a, LOOM_ATTR_DEPTH);
    } else {
        static const loom_attr more[] = {LOOM_ATTR_START_NODE,      LOOM_ATTR_START_EDGE_ID,
                                         LOOM_ATTR_START,           LOOM_ATTR_NUM_SUBGRAPHS,
                                         LOOM_ATTR_REMAINING_DEPTH, LOOM_ATTR_NUM_CURRENT_EDGES};
        for (size_t i = 0; i < sizeof more / sizeof *more; i++)
            if (more[i] == LOOM_ATTR_START_NODE || more[i] == LOOM_ATTR_REMAINING_DEPTH || loom_rng_chance(r, 0.8))
                loom_attrs_put(&a, more[i]);
    }
    loom_request_attrs_prompt(into, &a, &conf, r);
}

typedef struct tally {
    int64_t graphs, stuck, unfinished, invalid, wrong, inaccurate, layers, splits;
} tally;

/* Grows one graph by random walks. */
static void grow(tally *t, loom_mode mode, int64_t edges, int64_t depth, int64_t latency, bool training, loom_rng *r)
{
    loom_request_conf conf = {.mode = mode, .match_training = training};
    loom_request *tree = NULL;
    loom_buf prompt = {0}, text = {0};
    loom_err err;

    t->graphs++;
    root_prompt(&prompt, mode, edges, depth, latency, training, r);
    if (loom_request_new(&tree, &conf, prompt.data, prompt.len, r, &err) != LOOM_OK) {
        t->unfinished++;
        goto done;
    }
    for (const loom_request_layer *l; (l = loom_request_take(tree));) {
        loom_automaton_conf ac = {
            .mode = mode, .full = true, .root = l->parent < 0, .prompt = l->prompt, .prompt_len = l->prompt_len};
        loom_automaton *a = NULL;
        if (loom_automaton_new(&a, &ac, &err) != LOOM_OK || !walk(&text, a, r)) {
            if (t->stuck++ == 0)
                fprintf(stderr, "%s\nprompt: %s\ntext: %s\n", a ? "stuck" : err.msg, l->prompt, loom_buf_text(&text));
            loom_automaton_free(a);
            goto done;
        }
        loom_automaton_free(a);
        cut(&text, mode);
        if (loom_request_answer(tree, l->index, text.data, text.len, &err) != LOOM_OK) break;
        if (l->codes.n && t->unfinished == 0)
            fprintf(stderr, "code %d: %s\nprompt: %s\ntext: %s\n", l->codes.items[0].code, l->codes.items[0].message,
                    l->prompt, text.data);
        if (l->rules && !l->codes.n && t->inaccurate == 0)
            fprintf(stderr, "rules %x\nprompt: %s\ntext: %s\n", l->rules, l->prompt, text.data);
        t->layers++;
        t->splits += l->parsed.n_edges == 0;
    }
    const loom_outcome *o = loom_request_outcome(tree);
    t->unfinished += !o->finished;
    t->invalid += !o->valid;
    t->wrong += !o->correct || o->graph.n_edges != edges || o->graph.depth != depth;
    t->inaccurate += !o->accurate;
done:
    loom_request_free(&tree);
    loom_buf_release(&prompt);
    loom_buf_release(&text);
}

static void grow_many(loom_mode mode, bool training)
{
    tally t = {0};
    loom_rng r;

    loom_rng_seed(&r, 11, "walk", (uint64_t)mode * 2 + training);
    for (int64_t edges = 1; edges <= 40; edges++)
        for (int64_t depth = 1; depth <= 7; depth++) {
            if (depth > edges || (depth == 1 && edges > 1)) continue;
            grow(&t, mode, edges, depth, depth % 3 == 0 ? -1 : 10 * edges, training, &r);
        }
    if (mode != LOOM_MODE_TABULAR) grow(&t, mode, 200, 4, 5000, training, &r);
    grow(&t, mode, 30, 25, 90, training, &r);
    grow(&t, mode, 12, 12, 0, training, &r);
    CHECK(t.graphs > 200);
    CHECK_I64(t.stuck, 0);
    CHECK_I64(t.unfinished, 0);
    CHECK_I64(t.invalid, 0);
    CHECK_I64(t.wrong, 0);
    CHECK_I64(t.inaccurate, 0);
    if (mode != LOOM_MODE_TABULAR) CHECK(t.splits > 20 && t.layers > 1000);
}

TEST(random_recursive_graphs_meet_their_request)
{
    grow_many(LOOM_MODE_RECURSIVE, true);
    grow_many(LOOM_MODE_RECURSIVE, false);
}

TEST(random_instruction_graphs_meet_their_request)
{
    grow_many(LOOM_MODE_INSTRUCTION, true);
    grow_many(LOOM_MODE_INSTRUCTION, false);
}

TEST(random_tabular_graphs_meet_their_request)
{
    grow_many(LOOM_MODE_TABULAR, true);
    grow_many(LOOM_MODE_TABULAR, false);
}

/* ---- real text is within the grammar ---- */

typedef struct acceptance {
    int64_t n, syntax, full;
} acceptance;

static bool accepts(loom_mode mode, bool full, bool root, const char *text, size_t split, size_t len)
{
    loom_automaton_conf conf = {.mode = mode, .full = full, .root = root, .prompt = text, .prompt_len = split};
    loom_automaton *a = NULL;
    loom_err err;
    bool ok = loom_automaton_new(&a, &conf, &err) == LOOM_OK;

    if (ok) {
        loom_automaton_state s = *loom_automaton_start(a);
        ok = loom_automaton_feed(a, &s, text + split, len - split) && s.done;
    }
    loom_automaton_free(a);
    return ok;
}

static void try_sample(acceptance *t, loom_mode mode, const char *text, size_t len)
{
    static const char *const marks[] = {"<layer>\n<edges>", "<split>\n", "<edges>\n"};
    const char *from =
        mode == LOOM_MODE_INSTRUCTION ? memmem(text, len, LOOM_TEXT_ANSWER, strlen(LOOM_TEXT_ANSWER)) : text;
    const char *question = from ? from : text;
    bool root = mode == LOOM_MODE_TABULAR || memmem(text, (size_t)(question - text), "start_node:USER", 15) != NULL;

    if (!from) return;
    for (int i = mode == LOOM_MODE_TABULAR ? 2 : 0; i < 3; i++) {
        const char *hit = memmem(from, len - (size_t)(from - text), marks[i], strlen(marks[i]));
        if (!hit) continue;
        size_t split = (size_t)(hit - text) + strlen(marks[i]);
        bool syntax = accepts(mode, false, root, text, split, len), whole = accepts(mode, true, root, text, split, len);
        t->n++;
        t->syntax += syntax;
        t->full += whole;
        if (!syntax && t->n - t->syntax == 1) fprintf(stderr, "not within the form:\n%.*s\n", (int)len, text);
        return;
    }
}

static void try_file(acceptance *t, const char *name)
{
    loom_textfile *f = NULL;
    loom_textfile_sample s;
    loom_err err = {0};
    char path[4096];

    *t = (acceptance){0};
    snprintf(path, sizeof path, "%s/data/alibaba-v2022-text/%s", test_shared(), name);
    REQUIRE_OK(loom_textfile_open(&f, path, &err), err);
    while (loom_textfile_next(f, &s, &err) == LOOM_OK && s.text) try_sample(t, s.mode, s.text, s.len);
    loom_textfile_close(&f);
}

/* Published text is what models are trained on: the form must hold all of it, the full constraint nearly all (what it
 * leaves out: numbers of siblings with gaps, calls that start before the first one or before their caller). */
TEST(published_text_is_within_the_grammar)
{
    acceptance t;

    if (!test_shared()) SKIP("no shared data");
    try_file(&t, "recursive_instruction_dataset.txt");
    printf("instruction: %d of %d layers within full\n", (int)t.full, (int)t.n);
    CHECK(t.n > 200);
    CHECK_I64(t.syntax, t.n);
    CHECK(t.full > t.n * 85 / 100);
    try_file(&t, "tabular_dataset.txt");
    printf("tabular: %d of %d graphs within full\n", (int)t.full, (int)t.n);
    CHECK(t.n > 1000);
    CHECK_I64(t.syntax, t.n);
    CHECK(t.full > t.n * 85 / 100);
}

TEST_MAIN(RUN(published_text_is_within_the_grammar) RUN(ranges_equal_enumeration)
              RUN(random_recursive_graphs_meet_their_request) RUN(random_instruction_graphs_meet_their_request)
                  RUN(random_tabular_graphs_meet_their_request))
