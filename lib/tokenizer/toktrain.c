#include "tokenizer/toktrain.h"

#include <stdbool.h>

#include "core/hash.h"
#include "core/json.h"
#include "core/num.h"
#include "tokenizer/bpelearn.h"
#include "tokenizer/tok_internal.h"

enum { PIECE_MAX = 255 /* bytes; longer pieces are never tokens */, MIN_VOCAB = 300 };

static const char *const specials[] = {"<unk>", "<s>", "</s>", NULL};
enum { N_SPECIALS = 3 };

typedef struct counter {
    loom_pretok_scratch *pretok;
    loom_intern pieces;
    int64_t *counts; /* of each piece */
    size_t cap;
    int64_t bytes;
} counter;

struct loom_toktrain {
    loom_pretok *pretok;
    counter *threads;
    int n_threads;
};

/* A distinct piece of the text. */
typedef struct piece {
    const char *text;
    uint32_t len;
    bool is_name, chosen;
    int64_t count, saved; /* tokens that the text loses when the piece becomes one */
} piece;

/* ---- counting ---- */

loom_status loom_toktrain_new(loom_toktrain **out, int n_threads, loom_err *err)
{
    loom_toktrain *t = loom_calloc(1, sizeof *t);
    if (!t) return loom_fail_nomem(err, "the tokenizer training");
    loom_status st = loom_pretok_new(&t->pretok, LOOM_PATTERN_DOMAIN, err);
    t->n_threads = n_threads;
    t->threads = loom_calloc((size_t)n_threads, sizeof *t->threads);
    if (st == LOOM_OK && !t->threads) st = loom_fail_nomem(err, "the tokenizer training");
    for (int i = 0; st == LOOM_OK && i < n_threads; i++) {
        t->threads[i].pretok = loom_pretok_scratch_new(t->pretok);
        if (!t->threads[i].pretok) st = loom_fail_nomem(err, "the tokenizer training");
    }
    if (st == LOOM_OK)
        *out = t;
    else
        loom_toktrain_free(t);
    return st;
}

void loom_toktrain_free(loom_toktrain *t)
{
    if (!t) return;
    for (int i = 0; t->threads && i < t->n_threads; i++) {
        loom_pretok_scratch_free(t->threads[i].pretok);
        loom_intern_release(&t->threads[i].pieces);
        free(t->threads[i].counts);
    }
    free(t->threads);
    loom_pretok_free(t->pretok);
    free(t);
}

static void add_count(counter *c, const char *text, size_t len, int64_t count)
{
    size_t id = (size_t)loom_intern_add(&c->pieces, text, len);
    if (id >= c->cap) {
        size_t grown = c->cap ? 2 * c->cap : 1024;
        int64_t *counts = loom_realloc(c->counts, grown, sizeof *counts);
        if (!counts) abort(); /* as loom_intern does */
        memset(counts + c->cap, 0, (grown - c->cap) * sizeof *counts);
        c->counts = counts;
        c->cap = grown;
    }
    c->counts[id] += count;
}

static void count_piece(void *arg, const char *text, size_t start, size_t len)
{
    counter *c = arg;
    for (; len > PIECE_MAX; start += PIECE_MAX, len -= PIECE_MAX) add_count(c, text + start, PIECE_MAX, 1);
    add_count(c, text + start, len, 1);
}

void loom_toktrain_count(loom_toktrain *t, int thread, const char *text, size_t len)
{
    counter *c = &t->threads[thread];
    loom_pretok_run(t->pretok, c->pretok, text, len, count_piece, c);
    c->bytes += (int64_t)len;
}

static void merge_counters(loom_toktrain *t)
{
    counter *all = &t->threads[0];
    for (int i = 1; i < t->n_threads; i++) {
        counter *c = &t->threads[i];
        for (int64_t p = 0; p < (int64_t)c->pieces.n; p++)
            add_count(all, loom_intern_text(&c->pieces, p), loom_intern_len(&c->pieces, p), c->counts[p]);
        all->bytes += c->bytes;
        loom_intern_release(&c->pieces);
    }
}

/* ---- choosing ---- */

/* MS_12345, S_000000012 */
static bool is_name(const char *text, size_t len)
{
    size_t digits = len > 3 && text[0] == 'M' ? 3 : 2;
    if (len <= digits || memcmp(text, digits == 3 ? "MS_" : "S_", digits) != 0) return false;
    for (size_t i = digits; i < len; i++)
        if (text[i] < '0' || text[i] > '9') return false;
    return true;
}

static bool is_special_text(const char *text, size_t len)
{
    for (int i = 0; i < N_SPECIALS; i++)
        if (strlen(specials[i]) == len && memcmp(specials[i], text, len) == 0) return true;
    return false;
}

/* Most tokens saved first; ties by text, so that the order is the same however the pieces were counted. */
static int by_saved(const void *a, const void *b)
{
    const piece *x = a, *y = b;
    if (x->saved != y->saved) return x->saved > y->saved ? -1 : 1;
    int c = memcmp(x->text, y->text, x->len < y->len ? x->len : y->len);
    return c ? c : (x->len > y->len) - (x->len < y->len);
}

static piece *list_pieces(const counter *all)
{
    piece *pieces = loom_alloc((size_t)all->pieces.n, sizeof *pieces);
    for (size_t i = 0; pieces && i < (size_t)all->pieces.n; i++) {
        piece *p = &pieces[i];
        *p = (piece){.text = loom_intern_text(&all->pieces, (int64_t)i),
                     .len = (uint32_t)loom_intern_len(&all->pieces, (int64_t)i),
                     .count = all->counts[i]};
        p->is_name = is_name(p->text, p->len);
        int64_t spelt = p->is_name ? (int64_t)p->len - (p->text[0] == 'M' ? 2 : 1) : (int64_t)p->len;
        p->saved = p->count * (spelt - 1);
    }
    if (pieces) qsort(pieces, (size_t)all->pieces.n, sizeof *pieces, by_saved);
    return pieces;
}

typedef struct chooser {
    piece *pieces;
    size_t n, at; /* pieces before `at` have been looked at */
    const loom_toktrain_conf *conf;
    int64_t phrases, names;
} chooser;

/* Takes pieces in order until `room` are taken. `made` holds the strings that are tokens already. */
static void choose(chooser *c, int64_t room, const loom_intern *made)
{
    for (; c->at < c->n && room > 0; c->at++) {
        piece *p = &c->pieces[c->at];
        if (p->len < 2 || p->count < c->conf->min_count || is_special_text(p->text, p->len)) continue;
        if (p->is_name && c->conf->name_tokens >= 0 && c->names >= c->conf->name_tokens) continue;
        if (made && loom_intern_find(made, p->text, p->len) >= 0) continue;
        p->chosen = true;
        c->names += p->is_name;
        c->phrases += !p->is_name;
        room--;
    }
}

/* Merges that spell what has no token of its own: first the fronts of names, then what the left-over phrases teach. */
static loom_status learn_merges(loom_bpelearn *b, const chooser *c, int64_t max_merges, loom_err *err)
{
    static const char *const fronts[][2] = {{"M", "S"}, {"MS", "_"}, {"S", "_"}};
    loom_word *words = loom_alloc(c->n, sizeof *words);
    size_t n = 0;
    loom_status st = words ? LOOM_OK : loom_fail_nomem(err, "learning merges");
    for (int i = 0; st == LOOM_OK && i < 3; i++) st = loom_bpelearn_add(b, fronts[i][0], fronts[i][1], err);
    for (size_t i = 0; st == LOOM_OK && i < c->n; i++) {
        const piece *p = &c->pieces[i];
        bool is_number = p->text[0] >= '0' && p->text[0] <= '9';
        if (!p->chosen && !p->is_name && !is_number && p->len > 1) words[n++] = (loom_word){p->text, p->len, p->count};
    }
    if (st == LOOM_OK) st = loom_bpelearn_run(b, words, n, max_merges, c->conf->min_count, specials, err);
    free(words);
    return st;
}

/* ---- writing ---- */

/* A byte string in the byte-level alphabet, as a JSON key or string needs it. */
static const char *spell(loom_buf *scratch, const char *text, size_t len)
{
    loom_buf_reset(scratch);
    for (size_t i = 0; i < len; i++) {
        char utf8[4];
        loom_buf_append(scratch, utf8, loom_utf8_put(utf8, loom_byte_char((unsigned char)text[i])));
    }
    return loom_buf_text(scratch);
}

static void write_added_tokens(loom_jw *w)
{
    static const char *const no[] = {"single_word", "lstrip", "rstrip", "normalized"};
    loom_jw_key(w, "added_tokens");
    loom_jw_begin_array(w);
    for (int i = 0; i < N_SPECIALS; i++) {
        loom_jw_begin_object(w);
        loom_jw_kv_i64(w, "id", i);
        loom_jw_kv_str(w, "content", specials[i]);
        for (int k = 0; k < 4; k++) loom_jw_kv_bool(w, no[k], false);
        loom_jw_kv_bool(w, "special", true);
        loom_jw_end_object(w);
    }
    loom_jw_end_array(w);
}

static void write_byte_level(loom_jw *w)
{
    loom_jw_begin_object(w);
    loom_jw_kv_str(w, "type", "ByteLevel");
    loom_jw_kv_bool(w, "add_prefix_space", false);
    loom_jw_kv_bool(w, "trim_offsets", true);
    loom_jw_kv_bool(w, "use_regex", false);
    loom_jw_end_object(w);
}

static void write_pretokenizer(loom_jw *w)
{
    loom_jw_key(w, "pre_tokenizer");
    loom_jw_begin_object(w);
    loom_jw_kv_str(w, "type", "Sequence");
    loom_jw_key(w, "pretokenizers");
    loom_jw_begin_array(w);
    loom_jw_begin_object(w);
    loom_jw_kv_str(w, "type", "Split");
    loom_jw_key(w, "pattern");
    loom_jw_begin_object(w);
    loom_jw_kv_str(w, "Regex", LOOM_PATTERN_DOMAIN);
    loom_jw_end_object(w);
    loom_jw_kv_str(w, "behavior", "Isolated");
    loom_jw_kv_bool(w, "invert", false);
    loom_jw_end_object(w);
    write_byte_level(w);
    loom_jw_end_array(w);
    loom_jw_end_object(w);
}

static void write_template_item(loom_jw *w, const char *kind, const char *id, int type_id)
{
    loom_jw_begin_object(w);
    loom_jw_key(w, kind);
    loom_jw_begin_object(w);
    loom_jw_kv_str(w, "id", id);
    loom_jw_kv_i64(w, "type_id", type_id);
    loom_jw_end_object(w);
    loom_jw_end_object(w);
}

/* <s> in front, as Llama has it. */
static void write_postprocessor(loom_jw *w)
{
    loom_jw_key(w, "post_processor");
    loom_jw_begin_object(w);
    loom_jw_kv_str(w, "type", "TemplateProcessing");
    for (int texts = 1; texts <= 2; texts++) {
        loom_jw_key(w, texts == 1 ? "single" : "pair");
        loom_jw_begin_array(w);
        for (int i = 0; i < texts; i++) {
            write_template_item(w, "SpecialToken", "<s>", i);
            write_template_item(w, "Sequence", i ? "B" : "A", i);
        }
        loom_jw_end_array(w);
    }
    loom_jw_key(w, "special_tokens");
    loom_jw_begin_object(w);
    loom_jw_key(w, "<s>");
    loom_jw_begin_object(w);
    loom_jw_kv_str(w, "id", "<s>");
    loom_jw_key(w, "ids");
    loom_jw_begin_array(w);
    loom_jw_i64(w, 1);
    loom_jw_end_array(w);
    loom_jw_key(w, "tokens");
    loom_jw_begin_array(w);
    loom_jw_str(w, "<s>");
    loom_jw_end_array(w);
    loom_jw_end_object(w);
    loom_jw_end_object(w);
    loom_jw_end_object(w);
}

/* Ids in order: specials, bytes, merges, phrases, names. Returns how many there are. */
static int64_t write_vocab(loom_jw *w, const loom_bpelearn *b, const chooser *c)
{
    loom_buf scratch = {0};
    int64_t id = 0;
    loom_jw_key(w, "vocab");
    loom_jw_begin_object(w);
    for (int i = 0; i < N_SPECIALS; i++) loom_jw_kv_i64(w, specials[i], id++);
    for (int64_t s = 0; s < (int64_t)b->symbols.n; s++)
        loom_jw_kv_i64(w, spell(&scratch, loom_intern_text(&b->symbols, s), loom_intern_len(&b->symbols, s)), id++);
    for (int names = 0; names < 2; names++)
        for (size_t i = 0; i < c->n; i++)
            if (c->pieces[i].chosen && c->pieces[i].is_name == names)
                loom_jw_kv_i64(w, spell(&scratch, c->pieces[i].text, c->pieces[i].len), id++);
    loom_jw_end_object(w);
    loom_buf_release(&scratch);
    return id;
}

static void write_merges(loom_jw *w, const loom_bpelearn *b)
{
    loom_buf text = {0}, side = {0};
    loom_jw_key(w, "merges");
    loom_jw_begin_array(w);
    for (int64_t m = 0; m < b->n_merges; m++) {
        int32_t l = b->merges[m].left, r = b->merges[m].right;
        loom_buf_reset(&text);
        loom_buf_str(&text, spell(&side, loom_intern_text(&b->symbols, l), loom_intern_len(&b->symbols, l)));
        loom_buf_char(&text, ' ');
        loom_buf_str(&text, spell(&side, loom_intern_text(&b->symbols, r), loom_intern_len(&b->symbols, r)));
        loom_jw_str(w, loom_buf_text(&text));
    }
    loom_jw_end_array(w);
    loom_buf_release(&text);
    loom_buf_release(&side);
}

static void write_json(loom_buf *json, const loom_bpelearn *b, const chooser *c)
{
    loom_jw w;
    loom_jw_init(&w, json, true);
    loom_jw_begin_object(&w);
    loom_jw_kv_str(&w, "version", "1.0");
    static const char *const none[] = {"truncation", "padding"};
    for (int i = 0; i < 2; i++) {
        loom_jw_key(&w, none[i]);
        loom_jw_null(&w);
    }
    write_added_tokens(&w);
    loom_jw_key(&w, "normalizer");
    loom_jw_null(&w);
    write_pretokenizer(&w);
    write_postprocessor(&w);
    loom_jw_key(&w, "decoder");
    write_byte_level(&w);
    loom_jw_key(&w, "model");
    loom_jw_begin_object(&w);
    loom_jw_kv_str(&w, "type", "BPE");
    static const char *const null_keys[] = {"dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix"};
    for (int i = 0; i < 4; i++) {
        loom_jw_key(&w, null_keys[i]);
        loom_jw_null(&w);
    }
    loom_jw_kv_bool(&w, "fuse_unk", false);
    loom_jw_kv_bool(&w, "byte_fallback", false);
    loom_jw_kv_bool(&w, "ignore_merges", true);
    write_vocab(&w, b, c);
    write_merges(&w, b);
    loom_jw_end_object(&w);
    loom_jw_end_object(&w);
    loom_buf_char(json, '\n');
}

/* ---- the report: what the written tokenizer makes of the text ---- */

static loom_status measure(loom_toktrain_report *r, const loom_buf *json, size_t from, const chooser *c, loom_err *err)
{
    loom_tokenizer *tok = NULL;
    loom_tokens tokens = {0};
    LOOM_TRY(loom_tokenizer_parse(&tok, json->data + from, json->len - from, "the learned tokenizer", err));
    loom_tok_scratch *scratch = loom_tok_scratch_new(tok);
    r->vocab_size = loom_tokenizer_vocab_size(tok);
    for (size_t i = 0; i < c->n; i++) {
        const piece *p = &c->pieces[i];
        loom_tokens_reset(&tokens);
        loom_tokenizer_encode(&tokens, tok, scratch, p->text, p->len, LOOM_ENCODE_PLAIN);
        r->pieces += p->count;
        r->tokens += p->count * tokens.n;
        if (!p->is_name) continue;
        r->distinct_names++;
        r->names += p->count;
        if (tokens.n == 1) r->names_single += p->count;
    }
    r->distinct_pieces = (int64_t)c->n;
    r->phrase_tokens = c->phrases;
    r->name_tokens = c->names;
    loom_tokens_release(&tokens);
    loom_tok_scratch_free(scratch);
    loom_tokenizer_free(tok);
    return LOOM_OK;
}

loom_status loom_toktrain_finish(loom_buf *json, loom_toktrain_report *report, loom_toktrain *t,
                                 const loom_toktrain_conf *conf, loom_err *err)
{
    loom_bpelearn b = {0};
    loom_toktrain_report r = {0};
    size_t from = json->len;
    int64_t room = conf->vocab_size - N_SPECIALS - 256 - 3 /* MS, MS_, S_ */;

    if (conf->vocab_size < MIN_VOCAB)
        return loom_fail(err, LOOM_STATUS_ARG, "a vocabulary of %lld tokens is too small, ask for at least %d",
                         (long long)conf->vocab_size, MIN_VOCAB);
    merge_counters(t);
    chooser c = {.n = (size_t)t->threads[0].pieces.n, .conf = conf};
    if (c.n == 0)
        return loom_fail(err, LOOM_STATUS_FORMAT, "no text to learn a tokenizer from; give a file with samples");
    c.pieces = list_pieces(&t->threads[0]);
    if (!c.pieces) return loom_fail_nomem(err, "the pieces of the text");

    int64_t merges = loom_min_i64(conf->merges, room / 4);
    choose(&c, room - merges, NULL);
    loom_status st = learn_merges(&b, &c, merges, err);
    if (st == LOOM_OK) {
        choose(&c, conf->vocab_size - N_SPECIALS - (int64_t)b.symbols.n - c.phrases - c.names, &b.symbols);
        write_json(json, &b, &c);
        r.bytes = t->threads[0].bytes;
        r.merges = b.n_merges;
        st = measure(&r, json, from, &c, err);
    }
    if (st == LOOM_OK && report) *report = r;
    loom_bpelearn_release(&b);
    free(c.pieces);
    return st;
}
