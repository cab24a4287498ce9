#include "tokenizer/toktrain.h"

#include <stdbool.h>

#include "core/hash.h"
#include "core/json.h"
#include "core/num.h"
#include "tokenizer/tok_internal.h"
#include "tokenizer/tokformat.h"

enum { PIECE_MAX = 255 /* bytes; longer pieces are counted in parts */ };

static const char *const specials[] = {"<unk>", "<s>", "</s>"};
static const char *const fronts[] = {"MS", "MS_", "S_"}; /* of names, for those that are spelt */
static const char *const merges[] = {"M S", "MS _", "S _"};
enum { N_SPECIALS = 3, N_FRONTS = 3, N_BYTES = 256 };

/* What is known of a distinct piece. */
typedef struct tally {
    int64_t count;                        /* how often it stands in the text */
    int64_t samples[LOOM_TOKTRAIN_KINDS]; /* how many samples it stands in */
    int64_t last;                         /* number of the sample that counted it last */
} tally;

typedef struct counter {
    loom_pretok_scratch *pretok;
    loom_intern pieces;
    tally *tallies; /* of each piece */
    size_t cap;
    int64_t bytes;
    int64_t sample; /* under way, from 1 */
    int kind;
    bool failed; /* memory ran out, pieces are missing */
} counter;

struct loom_toktrain {
    loom_pretok *pretok;
    bool failed;        /* memory ran out for the format part */
    loom_intern format; /* tokens of the format part behind the bytes, in their order */
    counter *threads;
    int n_threads;
};

/* A distinct name of the text. */
typedef struct name {
    const char *text, *digits;
    size_t len;
    loom_tok_name kind;
    int64_t seen;
    bool chosen;
} name;

typedef struct names {
    name *all;
    size_t n;
} names;

/* ---- the format part ---- */

static void add_phrase(void *arg, const char *text, size_t start, size_t len)
{
    loom_toktrain *t = arg;
    bool wanted = len > 1 && loom_tok_name_of(text + start, len) == LOOM_TOK_NAME_NONE;
    if (wanted && loom_intern_add(&t->format, text + start, len) < 0) t->failed = true;
}

static loom_status learn_format(loom_toktrain *t, const char *phrases, size_t len, loom_err *err)
{
    loom_pretok_scratch *scratch = loom_pretok_scratch_new(t->pretok);
    if (!scratch) return loom_fail_nomem(err, "the tokenizer training");
    for (int i = 0; i < N_FRONTS; i++)
        if (loom_intern_add(&t->format, fronts[i], strlen(fronts[i])) < 0) t->failed = true;
    loom_pretok_run(t->pretok, scratch, phrases, len, add_phrase, t);
    loom_pretok_scratch_free(scratch);
    return t->failed ? loom_fail_nomem(err, "the tokenizer training") : LOOM_OK;
}

/* ---- counting ---- */

loom_status loom_toktrain_new(loom_toktrain **out, const char *phrases, size_t len, int n_threads, loom_err *err)
{
    loom_toktrain *t = loom_calloc(1, sizeof *t);
    if (!t) return loom_fail_nomem(err, "the tokenizer training");
    loom_status st = loom_pretok_new(&t->pretok, LOOM_PATTERN_DOMAIN, err);
    if (st == LOOM_OK) st = learn_format(t, phrases, len, err);
    t->n_threads = n_threads;
    t->threads = loom_calloc((size_t)n_threads, sizeof *t->threads);
    if (st == LOOM_OK && !t->threads) st = loom_fail_nomem(err, "the tokenizer training");
    for (int i = 0; st == LOOM_OK && i < n_threads; i++) {
        t->threads[i].pretok = loom_pretok_scratch_new(t->pretok);
        if (!t->threads[i].pretok) st = loom_fail_nomem(err, "the tokenizer training");
    }
    if (st == LOOM_OK) *out = t;
    else loom_toktrain_free(t);
    return st;
}

void loom_toktrain_free(loom_toktrain *t)
{
    if (!t) return;
    for (int i = 0; t->threads && i < t->n_threads; i++) {
        loom_pretok_scratch_free(t->threads[i].pretok);
        loom_intern_release(&t->threads[i].pieces);
        free(t->threads[i].tallies);
    }
    free(t->threads);
    loom_intern_release(&t->format);
    loom_pretok_free(t->pretok);
    free(t);
}

/* NULL: no memory. */
static tally *tally_of(counter *c, const char *text, size_t len)
{
    int64_t found = loom_intern_add(&c->pieces, text, len);
    size_t id = (size_t)found;
    if (found < 0) c->failed = true;
    if (c->failed) return NULL;
    if (id >= c->cap) {
        size_t grown = c->cap ? 2 * c->cap : 1024;
        tally *tallies = loom_realloc(c->tallies, grown, sizeof *tallies);
        if (!tallies) {
            c->failed = true;
            return NULL;
        }
        memset(tallies + c->cap, 0, (grown - c->cap) * sizeof *tallies);
        c->tallies = tallies;
        c->cap = grown;
    }
    return &c->tallies[id];
}

static void add_piece(counter *c, const char *text, size_t len)
{
    tally *t = tally_of(c, text, len);
    if (!t) return;
    t->count++;
    t->samples[c->kind] += t->last != c->sample;
    t->last = c->sample;
}

static void count_piece(void *arg, const char *text, size_t start, size_t len)
{
    counter *c = arg;
    for (; len > PIECE_MAX; start += PIECE_MAX, len -= PIECE_MAX) add_piece(c, text + start, PIECE_MAX);
    add_piece(c, text + start, len);
}

void loom_toktrain_count(loom_toktrain *t, int thread, int kind, const char *text, size_t len)
{
    counter *c = &t->threads[thread];
    c->kind = kind;
    c->sample++;
    loom_pretok_run(t->pretok, c->pretok, text, len, count_piece, c);
    c->bytes += (int64_t)len;
}

static void merge_counters(loom_toktrain *t)
{
    counter *all = &t->threads[0];
    for (int i = 1; i < t->n_threads; i++) {
        counter *c = &t->threads[i];
        for (int64_t p = 0; p < (int64_t)c->pieces.n && !c->failed; p++) {
            tally *to = tally_of(all, loom_intern_text(&c->pieces, p), loom_intern_len(&c->pieces, p));
            if (!to) break;
            to->count += c->tallies[p].count;
            for (int k = 0; k < LOOM_TOKTRAIN_KINDS; k++) to->samples[k] += c->tallies[p].samples[k];
        }
        all->bytes += c->bytes;
        all->failed |= c->failed;
        loom_intern_release(&c->pieces);
    }
}

/* ---- choosing names ---- */

/* Most samples first; ties by text, so that the order is the same however the pieces were counted. */
static int by_seen(const void *a, const void *b)
{
    const name *x = a, *y = b;
    if (x->seen != y->seen) return x->seen > y->seen ? -1 : 1;
    return strcmp(x->text, y->text);
}

/* By digits, S_ before MS_: names that another one stands inside come right behind it. */
static int by_digits(const void *a, const void *b)
{
    const name *x = a, *y = b;
    int c = strcmp(x->digits, y->digits);
    return c ? c : (int)y->kind - (int)x->kind;
}

static bool begins(const name *n, const name *with)
{
    return strncmp(n->digits, with->digits, strlen(with->digits)) == 0;
}

static loom_status list_names(names *out, const counter *c, loom_err *err)
{
    out->all = loom_alloc((size_t)c->pieces.n + 1, sizeof *out->all);
    if (!out->all) return loom_fail_nomem(err, "the names of the text");
    for (int64_t i = 0; i < (int64_t)c->pieces.n; i++) {
        name n = {.text = loom_intern_text(&c->pieces, i), .len = loom_intern_len(&c->pieces, i)};
        n.kind = loom_tok_name_of(n.text, n.len);
        if (n.kind == LOOM_TOK_NAME_NONE) continue;
        n.digits = strchr(n.text, '_') + 1;
        for (int k = 0; k < LOOM_TOKTRAIN_KINDS; k++) n.seen = loom_max_i64(n.seen, c->tallies[i].samples[k]);
        out->all[out->n++] = n;
    }
    return LOOM_OK;
}

/* Takes back the choice of names that stand inside one that was not chosen: "S_1" stands inside "S_12" and "MS_12",
 * "MS_1" inside "MS_12" only. From the back, so that what is taken back counts for the shorter ones. */
static int64_t drop_inside(names *l)
{
    int64_t dropped = 0;
    qsort(l->all, l->n, sizeof *l->all, by_digits);
    for (size_t i = l->n; i-- > 0;) {
        name *n = &l->all[i];
        bool inside = false;
        for (size_t k = i + 1; n->chosen && !inside && k < l->n && begins(&l->all[k], n); k++)
            inside = !l->all[k].chosen && (n->kind == LOOM_TOK_NAME_SERVICE || l->all[k].kind == n->kind);
        dropped += inside;
        if (inside) n->chosen = false;
    }
    qsort(l->all, l->n, sizeof *l->all, by_seen);
    return dropped;
}

static void choose(names *l, loom_toktrain_report *r, const loom_toktrain_conf *conf)
{
    qsort(l->all, l->n, sizeof *l->all, by_seen);
    for (size_t i = 0; i < l->n; i++) {
        name *n = &l->all[i];
        n->chosen = n->seen >= conf->min_count && r->name_tokens < conf->name_tokens;
        r->name_tokens += n->chosen;
        r->names_rare += n->seen < conf->min_count;
        r->names_over += !n->chosen && n->seen >= conf->min_count;
    }
    r->names_inside = drop_inside(l);
    r->name_tokens -= r->names_inside;
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

/* Ids in order: specials, bytes, the format part, names. */
static void write_vocab(loom_jw *w, const loom_intern *format, const names *l)
{
    loom_buf scratch = {0};
    int64_t id = 0;
    loom_jw_key(w, "vocab");
    loom_jw_begin_object(w);
    for (int i = 0; i < N_SPECIALS; i++) loom_jw_kv_i64(w, specials[i], id++);
    for (int b = 0; b < N_BYTES; b++) loom_jw_kv_i64(w, spell(&scratch, &(char){(char)b}, 1), id++);
    for (int64_t p = 0; p < (int64_t)format->n; p++)
        loom_jw_kv_i64(w, spell(&scratch, loom_intern_text(format, p), loom_intern_len(format, p)), id++);
    for (size_t i = 0; i < l->n; i++)
        if (l->all[i].chosen) loom_jw_kv_i64(w, l->all[i].text, id++);
    loom_jw_end_object(w);
    loom_buf_release(&scratch);
}

static void write_merges(loom_jw *w)
{
    loom_jw_key(w, "merges");
    loom_jw_begin_array(w);
    for (int i = 0; i < N_FRONTS; i++) loom_jw_str(w, merges[i]);
    loom_jw_end_array(w);
}

static void write_json(loom_buf *json, const loom_intern *format, const names *l)
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
    write_vocab(&w, format, l);
    write_merges(&w);
    loom_jw_end_object(&w);
    loom_jw_end_object(&w);
    loom_buf_char(json, '\n');
}

/* ---- the report: what the written tokenizer makes of the text ---- */

static loom_status measure(loom_toktrain_report *r, const loom_buf *json, size_t from, const loom_toktrain *t,
                           loom_err *err)
{
    const counter *c = &t->threads[0];
    loom_tokenizer *tok = NULL;
    loom_tokens tokens = {0};
    LOOM_TRY(loom_tokenizer_parse(&tok, json->data + from, json->len - from, "the learned tokenizer", err));
    loom_tok_scratch *scratch = loom_tok_scratch_new(tok);
    if (!scratch) {
        loom_tokenizer_free(tok);
        return loom_fail_nomem(err, "the learned tokenizer");
    }
    for (int64_t i = 0; i < (int64_t)c->pieces.n; i++) {
        const char *text = loom_intern_text(&c->pieces, i);
        size_t len = loom_intern_len(&c->pieces, i);
        int64_t count = c->tallies[i].count;
        bool is_name = loom_tok_name_of(text, len) != LOOM_TOK_NAME_NONE;
        loom_tokens_reset(&tokens);
        loom_tokenizer_encode(&tokens, tok, scratch, text, len, LOOM_ENCODE_PLAIN);
        r->tokens += count * tokens.n;
        if (!is_name && tokens.n > 1) r->foreign_tokens += count * tokens.n;
        if (!is_name) continue;
        r->distinct_names++;
        r->names += count;
        if (tokens.n == 1) r->names_single += count;
    }
    r->bytes = c->bytes;
    r->vocab_size = loom_tokenizer_vocab_size(tok);
    r->format_tokens = loom_tokenizer_format_size(tok);
    loom_tokenizer_format_digest(tok, r->format_digest);
    bool failed = tokens.failed;
    loom_tokens_release(&tokens);
    loom_tok_scratch_free(scratch);
    loom_tokenizer_free(tok);
    return failed ? loom_fail_nomem(err, "the tokens of the text") : LOOM_OK;
}

loom_status loom_toktrain_finish(loom_buf *json, loom_toktrain_report *report, loom_toktrain *t,
                                 const loom_toktrain_conf *conf, loom_err *err)
{
    loom_toktrain_report r = {0};
    names l = {0};
    size_t from = json->len;

    merge_counters(t);
    if (t->threads[0].failed) return loom_fail_nomem(err, "the pieces of the text");
    if (t->threads[0].pieces.n == 0)
        return loom_fail(err, LOOM_STATUS_FORMAT, "no text to learn a tokenizer from; give a file with samples");
    LOOM_TRY(list_names(&l, &t->threads[0], err));
    choose(&l, &r, conf);
    write_json(json, &t->format, &l);
    loom_status st = loom_buf_check(json, "the tokenizer", err);
    if (st == LOOM_OK) st = measure(&r, json, from, t, err);
    if (st == LOOM_OK && report) *report = r;
    free(l.all);
    return st;
}
