/* Can others speak with our tokenizer? llama.cpp knows pre-tokenizers by name only, and ours is none of them; with
 * every token of more than one byte written as USER_DEFINED it cuts these out of the text first, the longest first, and
 * gives the rest to a pre-tokenizer (here smollm and qwen2) and byte-level BPE. That rule, restated here, must give the
 * tokens that we give, for every text of the encodings. */
#include "core/json.h"
#include "core/rng.h"
#include "test.h"
#include "tokenizer/pretok.h"
#include "tokenizer/tokformat.h"
#include "tokenizer/toktrain.h"
#include "trace/request/prompt.h"
#include "trace/text/downstream_task.h"
#include "trace/text/phrases.h"
#include "trace/text/textfile.h"
#include "trace_random.h"

/* ---- the rule ---- */

typedef struct fragment {
    const char *text;
    size_t len;
    int32_t id; /* -1: text yet to be cut */
} fragment;

typedef struct fragments {
    fragment *all;
    size_t n, cap;
} fragments;

static void add_fragment(fragments *f, const char *text, size_t len, int32_t id)
{
    if (f->n == f->cap) {
        f->cap = f->cap ? 2 * f->cap : 1024;
        f->all = realloc(f->all, f->cap * sizeof *f->all);
    }
    f->all[f->n++] = (fragment){text, len, id};
}

typedef struct speaker {
    const loom_tokenizer *tok;
    int32_t *cut; /* tokens of more than one byte, longest first */
    size_t n_cut;
    int n_patterns; /* applied one after the other, each to the pieces of the one before */
    loom_pretok *pretok[2];
    loom_pretok_scratch *scratch[2];
    loom_tokens *into;
} speaker;

static const char *const smollm[] = {"\\p{N}", LOOM_PATTERN_GPT2};
static const char *const qwen2[] = {
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|"
    "\\s+(?!\\S)|\\s+"};

/* Among tokens of one length the order is not said: once as the ids, once against them. */
static void order_tokens(speaker *s, bool backwards)
{
    int64_t n = loom_tokenizer_vocab_size(s->tok);
    s->cut = calloc((size_t)n, sizeof *s->cut);
    s->n_cut = 0;
    for (size_t want = 255; want > 1; want--)
        for (int64_t i = 3; i < n; i++) {
            int32_t id = (int32_t)(backwards ? n + 2 - i : i);
            size_t len;
            loom_tokenizer_bytes(s->tok, id, &len);
            if (len == want) s->cut[s->n_cut++] = id;
        }
}

static void speaker_init(speaker *s, const loom_tokenizer *tok, const char *const *patterns, int n, bool backwards)
{
    loom_err err = {0};
    *s = (speaker){.tok = tok, .n_patterns = n};
    for (int i = 0; i < n; i++) {
        REQUIRE_OK(loom_pretok_new(&s->pretok[i], patterns[i], &err), err);
        s->scratch[i] = loom_pretok_scratch_new(s->pretok[i]);
    }
    order_tokens(s, backwards);
}

static void speaker_release(speaker *s)
{
    for (int i = 0; i < s->n_patterns; i++) {
        loom_pretok_scratch_free(s->scratch[i]);
        loom_pretok_free(s->pretok[i]);
    }
    free(s->cut);
}

static void cut_out(fragments *out, const fragments *in, const char *token, size_t len, int32_t id)
{
    out->n = 0;
    for (size_t i = 0; i < in->n; i++) {
        fragment f = in->all[i];
        for (const char *at; f.id < 0 && (at = memmem(f.text, f.len, token, len)) != NULL;) {
            if (at > f.text) add_fragment(out, f.text, (size_t)(at - f.text), -1);
            add_fragment(out, at, len, id);
            f.len -= (size_t)(at - f.text) + len;
            f.text = at + len;
        }
        if (f.len) add_fragment(out, f.text, f.len, f.id);
    }
}

static int32_t id_of(const speaker *s, const char *text, size_t len)
{
    for (int32_t id = 3; id < (int32_t)loom_tokenizer_vocab_size(s->tok); id++) {
        size_t n;
        const char *bytes = loom_tokenizer_bytes(s->tok, id, &n);
        if (n == len && memcmp(bytes, text, n) == 0) return id;
    }
    return -1;
}

/* Byte-level BPE of one word with the merges M+S, MS+_, S+_, the earliest in the list first. */
static void spell_word(const speaker *s, const char *word, size_t len)
{
    static const char *const merges[][2] = {{"M", "S"}, {"MS", "_"}, {"S", "_"}};
    size_t ends[64], n = 0;
    REQUIRE(len < 64);
    for (size_t i = 0; i < len; i++) ends[n++] = i + 1;
    for (size_t m = 0; m < 3; m++)
        for (size_t i = 0; i + 1 < n;) {
            size_t start = i ? ends[i - 1] : 0, a = strlen(merges[m][0]), b = strlen(merges[m][1]);
            bool fits = ends[i] - start == a && ends[i + 1] - ends[i] == b &&
                        memcmp(word + start, merges[m][0], a) == 0 && memcmp(word + ends[i], merges[m][1], b) == 0;
            if (fits) memmove(&ends[i], &ends[i + 1], (--n - i) * sizeof *ends);
            i += !fits;
        }
    for (size_t i = 0; i < n; i++) {
        size_t start = i ? ends[i - 1] : 0;
        loom_tokens_push(s->into, id_of(s, word + start, ends[i] - start), 0);
    }
}

static void second_pattern(void *arg, const char *text, size_t start, size_t len)
{
    spell_word(arg, text + start, len);
}

static void first_pattern(void *arg, const char *text, size_t start, size_t len)
{
    speaker *s = arg;
    if (s->n_patterns == 1) spell_word(s, text + start, len);
    else loom_pretok_run(s->pretok[1], s->scratch[1], text + start, len, second_pattern, s);
}

static void speak(loom_tokens *into, speaker *s, const char *text, size_t len)
{
    fragments now = {0}, next = {0};
    s->into = into;
    add_fragment(&now, text, len, -1);
    for (size_t i = 0; i < s->n_cut; i++) {
        size_t n;
        const char *token = loom_tokenizer_bytes(s->tok, s->cut[i], &n);
        if (!memmem(text, len, token, n)) continue;
        cut_out(&next, &now, token, n, s->cut[i]);
        fragments swap = now;
        now = next;
        next = swap;
    }
    for (size_t i = 0; i < now.n; i++) {
        if (now.all[i].id >= 0) loom_tokens_push(into, now.all[i].id, 0);
        else loom_pretok_run(s->pretok[0], s->scratch[0], now.all[i].text, now.all[i].len, first_pattern, s);
    }
    free(now.all);
    free(next.all);
}

/* ---- texts ---- */

typedef struct texts {
    loom_buf all;
    size_t *starts; /* of each sample; one more for the end */
    int64_t n;
    loom_mode *modes;
} texts;

enum { MAX_TEXTS = 20000 };

static void end_text(texts *t, loom_mode mode)
{
    if (t->all.len == t->starts[t->n] || t->n + 2 > MAX_TEXTS) return;
    t->modes[t->n] = mode;
    t->starts[++t->n] = t->all.len;
}

/* Names of several widths, so that some stand inside others: an odd number loses its zeros. */
static const char *other_width(const char *name, loom_arena *arena)
{
    size_t len = strlen(name);
    if (strncmp(name, "MS_", 3) != 0 || (name[len - 1] - '0') % 2 == 0) return name;
    loom_buf b = {0};
    loom_buf_printf(&b, "MS_%s", name + 3 + strspn(name + 3, "0"));
    const char *copy = loom_arena_strdup(arena, loom_buf_text(&b), b.len);
    loom_buf_release(&b);
    return copy;
}

static void make_graph(loom_graph *g, loom_rng *rng, loom_arena *arena)
{
    char service[24];
    random_graph_fill(g, rng, arena, 1 + (int32_t)loom_rng_below(rng, 5),
                      1 + (int32_t)loom_rng_below(rng, loom_rng_chance(rng, 0.1) ? 40 : 6));
    snprintf(service, sizeof service, "S_%0*d", loom_rng_chance(rng, 0.5) ? 9 : 1, (int)loom_rng_below(rng, 60));
    g->service = loom_arena_strdup(arena, service, strlen(service));
    for (int32_t i = 0; i < g->n_calls; i++) {
        g->calls[i].source = other_width(g->calls[i].source, arena);
        g->calls[i].destination = other_width(g->calls[i].destination, arena);
    }
}

static bool every_seventh(const void *ctx, const char *service, const char *source, loom_call_type type,
                          const char *destination)
{
    (void)ctx, (void)service, (void)source, (void)type;
    return destination[strlen(destination) - 1] % 7 == 0;
}

static const loom_facts facts = {.has_latency = true, .p90 = 3000, .mean = 1000, .is_rare = every_seventh};

static void put_samples(texts *t, const loom_graph *g, loom_mode mode, loom_rng *rng, loom_arena *arena)
{
    loom_err err = {0};
    loom_buf whole = {0};
    loom_encode_conf conf = {
        .mode = mode, .no_intermediate = loom_rng_chance(rng, 0.2), .listed_items = loom_rng_chance(rng, 0.5)};
    REQUIRE_OK(loom_encode_graph(&whole, g, &facts, &conf, rng, arena, &err), err);
    for (size_t at = 0, next = 0; at < whole.len; at += next) {
        size_t len = loom_sample_length(whole.data + at, whole.len - at, &next);
        loom_buf_append(&t->all, whole.data + at, len);
        end_text(t, mode);
        if (!next) break;
    }
    loom_buf_release(&whole);
}

static void put_prompt_and_task(texts *t, const loom_graph *g, loom_mode mode, loom_rng *rng, loom_arena *arena)
{
    loom_err err = {0};
    loom_buf question = {0}, answer = {0};
    bool made = false;
    loom_prompt_conf ask = {.mode = mode, .match_training = loom_rng_chance(rng, 0.5)};
    loom_arena_reset(arena);
    REQUIRE_OK(loom_request_root_prompt(&t->all, g, &facts, &ask, rng, arena, &err), err);
    end_text(t, mode);
    loom_downstream_view view = {.graph = g, .form = LOOM_MODE_INSTRUCTION, .rng = rng, .arena = arena};
    loom_arena_reset(arena);
    REQUIRE_OK(loom_downstream_make(&question, &answer, &made,
                                    (loom_downstream_task)loom_rng_below(rng, LOOM_DOWNSTREAM_TASKS), &view, &facts, 40,
                                    &err),
               err);
    if (made) loom_downstream_render_sample(&t->all, loom_buf_text(&question), loom_buf_text(&answer));
    end_text(t, mode);
    loom_buf_release(&question);
    loom_buf_release(&answer);
}

static void make_texts(texts *t, int graphs)
{
    loom_arena arena = {0}, scratch = {0};
    loom_rng rng;
    t->starts = calloc(MAX_TEXTS + 1, sizeof *t->starts);
    t->modes = calloc(MAX_TEXTS + 1, sizeof *t->modes);
    loom_rng_seed(&rng, 3, "others", 0);
    for (int i = 0; i < graphs; i++) {
        loom_graph g;
        loom_arena_reset(&arena);
        make_graph(&g, &rng, &arena);
        put_samples(t, &g, (loom_mode)(i % LOOM_MODES), &rng, &scratch);
        put_prompt_and_task(t, &g, (loom_mode)(i % LOOM_MODES), &rng, &scratch);
    }
    loom_arena_release(&arena);
    loom_arena_release(&scratch);
}

static void texts_release(texts *t)
{
    loom_buf_release(&t->all);
    free(t->starts);
    free(t->modes);
}

/* Learned on all texts, with room for half of the names: the others are spelt. */
static loom_tokenizer *learned(const texts *t, int64_t name_tokens, loom_toktrain_report *r)
{
    loom_toktrain *train = NULL;
    loom_toktrain_conf conf = {.name_tokens = name_tokens, .min_count = 1};
    loom_buf phrases = {0}, json = {0};
    loom_tokenizer *tok = NULL;
    loom_err err = {0};
    loom_phrases_render(&phrases);
    loom_status st = loom_toktrain_new(&train, phrases.data, phrases.len, 1, &err);
    for (int64_t i = 0; st == LOOM_OK && i < t->n; i++)
        loom_toktrain_count(train, 0, (int)t->modes[i], t->all.data + t->starts[i], t->starts[i + 1] - t->starts[i]);
    if (st == LOOM_OK) st = loom_toktrain_finish(&json, r, train, &conf, &err);
    if (st == LOOM_OK) st = loom_tokenizer_parse(&tok, json.data, json.len, "learned", &err);
    if (st != LOOM_OK) TEST_FAIL_("%s", err.msg);
    loom_toktrain_free(train);
    loom_buf_release(&phrases);
    loom_buf_release(&json);
    return tok;
}

/* True when both give the same tokens. */
static bool agree(speaker *s, loom_tok_scratch *scratch, const char *text, size_t len)
{
    loom_tokens ours = {0}, theirs = {0};
    loom_tokenizer_encode(&ours, s->tok, scratch, text, len, 0);
    speak(&theirs, s, text, len);
    bool same = ours.n == theirs.n && memcmp(ours.ids, theirs.ids, (size_t)ours.n * sizeof *ours.ids) == 0;
    loom_tokens_release(&ours);
    loom_tokens_release(&theirs);
    return same;
}

static int64_t count_disagreements(const texts *t, const loom_tokenizer *tok, const char *const *patterns, int n,
                                   bool backwards)
{
    speaker s;
    loom_tok_scratch *scratch = loom_tok_scratch_new(tok);
    int64_t bad = 0;
    speaker_init(&s, tok, patterns, n, backwards);
    for (int64_t i = 0; i < t->n; i++) {
        const char *text = t->all.data + t->starts[i];
        size_t len = t->starts[i + 1] - t->starts[i];
        if (!agree(&s, scratch, text, len) && bad++ < 2) TEST_FAIL_("other tokens: %.*s", (int)len, text);
    }
    speaker_release(&s);
    loom_tok_scratch_free(scratch);
    return bad;
}

TEST(the_same_tokens)
{
    texts t = {0};
    loom_toktrain_report r;
    int64_t of_mode[LOOM_MODES] = {0};
    make_texts(&t, 420);
    for (int64_t i = 0; i < t.n; i++) of_mode[t.modes[i]]++;
    for (int m = 0; m < LOOM_MODES; m++) CHECK(of_mode[m] > 300);
    CHECK(t.n > 1500 && t.n + 2 < MAX_TEXTS);
    for (int64_t names = 40; names <= 100000; names = names == 40 ? 100000 : 200000) {
        loom_tokenizer *tok = learned(&t, names, &r);
        REQUIRE(tok);
        CHECK(names == 40 ? r.names_over > 40 && r.names_inside > 0 : r.names_single == r.names);
        CHECK_I64(count_disagreements(&t, tok, smollm, 2, false), 0);
        CHECK_I64(count_disagreements(&t, tok, qwen2, 1, true), 0);
        loom_tokenizer_free(tok);
    }
    texts_release(&t);
}

/* The comparison sees what it is there for: a name that was not in the text and has a token in it is cut otherwise. */
TEST(a_difference_is_seen)
{
    static const char text[] = "start_node:MS_12/id:S_7\n", longer[] = "start_node:MS_123/id:S_7\n";
    texts t = {.starts = calloc(2, sizeof(size_t)), .modes = calloc(2, sizeof(loom_mode))};
    loom_toktrain_report r;
    speaker s;
    loom_buf_str(&t.all, text);
    t.starts[++t.n] = t.all.len;
    loom_tokenizer *tok = learned(&t, 10, &r);
    REQUIRE(tok);
    loom_tok_scratch *scratch = loom_tok_scratch_new(tok);
    speaker_init(&s, tok, smollm, 2, false);
    CHECK(agree(&s, scratch, text, strlen(text)));
    CHECK(!agree(&s, scratch, longer, strlen(longer)));
    speaker_release(&s);
    loom_tok_scratch_free(scratch);
    loom_tokenizer_free(tok);
    texts_release(&t);
}

TEST_MAIN(RUN(the_same_tokens) RUN(a_difference_is_seen))
