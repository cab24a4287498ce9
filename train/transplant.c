#include "train/transplant.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/num.h"
#include "model/gaussian.h"
#include "store/shard.h"
#include "tokenizer/tokformat.h"

typedef struct transplant {
    const loom_llama *from;
    loom_llama *to;
    const loom_tokenizer *old, *new;
    int64_t shared;                           /* rows of the format part */
    loom_gaussian names;                      /* of all kinds */
    loom_gaussian kinds[LOOM_TOK_NAME_KINDS]; /* mean NULL: too few of the kind, take `names` */
    uint64_t seed;
} transplant;

/* ---- are they of one format? ---- */

static loom_status check_domain(const loom_tokenizer *tok, const char *whose, loom_err *err)
{
    if (loom_tokenizer_format_size(tok) > 0) return LOOM_OK;
    return loom_fail(err, LOOM_STATUS_FORMAT,
                     "the tokenizer of %s has no format part, so its names cannot be replaced; give one made by "
                     "loom-preprocess tokenizer of this version",
                     whose);
}

/* Spelling of a token of the format part; "nothing" behind its end. */
static const char *format_token(const loom_tokenizer *tok, int64_t id)
{
    return id < loom_tokenizer_format_size(tok) ? loom_tokenizer_text(tok, (int32_t)id) : "nothing";
}

static loom_status check_format(const transplant *t, const char *base, const char *whose, loom_err *err)
{
    int64_t n = loom_max_i64(loom_tokenizer_format_size(t->old), loom_tokenizer_format_size(t->new));

    for (int64_t id = 0; id < n; id++) {
        const char *a = format_token(t->old, id), *b = format_token(t->new, id);
        if (strcmp(a, b) != 0)
            return loom_fail(err, LOOM_STATUS_FORMAT,
                             "token %" PRId64 " is \"%.80s\" in %s, but \"%.80s\" in %s: their format parts differ, so "
                             "the base cannot be adapted; make both with one version, or train without a base",
                             id, a, base, b, whose);
    }
    return LOOM_OK;
}

/* ---- the distribution of the base's names ---- */

/* Numbers of a name: its row of the embedding, and of the head where that is another matrix. */
static int64_t row_size(const loom_config *c) { return c->tied ? c->C : 2 * c->C; }

static float *row_at(const loom_llama *m, const char *tensor, int64_t id)
{
    return m->params + loom_tensors_find(&m->table, tensor)->offset + id * m->config.C;
}

#define EMBED "model.embed_tokens.weight"
#define HEAD  "lm_head.weight"

static void read_row(double *row, const loom_llama *m, int64_t id)
{
    const float *embed = row_at(m, EMBED, id);

    for (int64_t i = 0; i < m->config.C; i++) row[i] = embed[i];
    if (m->config.tied) return;
    const float *head = row_at(m, HEAD, id);
    for (int64_t i = 0; i < m->config.C; i++) row[m->config.C + i] = head[i];
}

static void write_row(loom_llama *m, int64_t id, const double *row)
{
    float *embed = row_at(m, EMBED, id);

    for (int64_t i = 0; i < m->config.C; i++) embed[i] = (float)row[i];
    if (m->config.tied) return;
    float *head = row_at(m, HEAD, id);
    for (int64_t i = 0; i < m->config.C; i++) head[i] = (float)row[m->config.C + i];
}

static int64_t count_names(const loom_tokenizer *tok, loom_tok_name kind)
{
    int64_t n = 0;

    for (int64_t id = loom_tokenizer_format_size(tok); id < loom_tokenizer_vocab_size(tok); id++)
        n += kind == LOOM_TOK_NAME_NONE || loom_tokenizer_name_kind(tok, (int32_t)id) == kind;
    return n;
}

/* Fits the base's names of a kind, LOOM_TOK_NAME_NONE: of all. */
static loom_status fit(loom_gaussian *g, const transplant *t, loom_tok_name kind, loom_err *err)
{
    int64_t D = row_size(&t->from->config), n = 0;
    double *rows = loom_alloc((size_t)(count_names(t->old, kind) * D), sizeof *rows);

    if (!rows) return loom_fail_nomem(err, "the rows of the base's names");
    for (int64_t id = t->shared; id < loom_tokenizer_vocab_size(t->old); id++)
        if (kind == LOOM_TOK_NAME_NONE || loom_tokenizer_name_kind(t->old, (int32_t)id) == kind)
            read_row(rows + n++ * D, t->from, id);
    loom_status st = loom_gaussian_fit(g, rows, n, D, err);
    free(rows);
    return st;
}

static loom_status fit_kinds(transplant *t, const char *base, loom_err *err)
{
    if (count_names(t->new, LOOM_TOK_NAME_NONE) == 0) return LOOM_OK;
    if (count_names(t->old, LOOM_TOK_NAME_NONE) == 0)
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "the tokenizer of %s has no names, so that nothing is known of how to draw new ones; give a "
                         "base that was trained with names",
                         base);
    LOOM_TRY(fit(&t->names, t, LOOM_TOK_NAME_NONE, err));
    for (int k = LOOM_TOK_NAME_NONE + 1; k < LOOM_TOK_NAME_KINDS; k++)
        if (count_names(t->old, (loom_tok_name)k) > row_size(&t->from->config)) /* else singular */
            LOOM_TRY(fit(&t->kinds[k], t, (loom_tok_name)k, err));
    return LOOM_OK;
}

/* ---- the new model ---- */

static void copy_weights(transplant *t)
{
    for (int64_t i = 0; i < t->to->table.n; i++) {
        const loom_tensor *to = &t->to->table.tensors[i], *from = loom_tensors_find(&t->from->table, to->name);
        bool per_token = to->role == LOOM_ROLE_EMBED || to->role == LOOM_ROLE_HEAD;
        size_t count = per_token ? (size_t)(t->shared * t->to->config.C) : to->count;
        memcpy(t->to->params + to->offset, t->from->params + from->offset, count * sizeof(float));
    }
}

static loom_status draw_names(transplant *t, loom_transplant_report *r, loom_err *err)
{
    double *row = loom_alloc((size_t)row_size(&t->to->config), sizeof *row);

    if (!row) return loom_fail_nomem(err, "a row");
    for (int64_t id = t->shared; id < loom_tokenizer_vocab_size(t->new); id++) {
        loom_tok_name kind = loom_tokenizer_name_kind(t->new, (int32_t)id);
        size_t len;
        const char *name = loom_tokenizer_bytes(t->new, (int32_t)id, &len);
        loom_rng rng;

        loom_rng_seed(&rng, t->seed, "name", loom_hash64(name, len, 0));
        loom_gaussian_draw(row, t->kinds[kind].mean ? &t->kinds[kind] : &t->names, &rng);
        write_row(t->to, id, row);
        if (kind == LOOM_TOK_NAME_MICROSERVICE) r->microservices++;
        else r->services++;
    }
    free(row);
    return LOOM_OK;
}

static loom_status make(transplant *t, loom_transplant_report *r, const loom_model_files *b, const char *whose,
                        loom_err *err)
{
    loom_config config = b->model->config;

    LOOM_TRY(check_domain(t->old, b->path, err));
    LOOM_TRY(check_domain(t->new, whose, err));
    LOOM_TRY(check_format(t, b->path, whose, err));
    r->shared = t->shared = loom_tokenizer_format_size(t->new);
    if (loom_tokenizer_vocab_size(t->old) > config.V)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s has fewer rows than its tokenizer has tokens", b->path);
    LOOM_TRY(fit_kinds(t, b->path, err));
    config.V = loom_tokenizer_vocab_size(t->new);
    LOOM_TRY(loom_llama_new(&t->to, &config, err));
    copy_weights(t);
    return draw_names(t, r, err);
}

/* The bundle gets model and text; takes the model. */
static loom_status hand_over(loom_model_files *b, loom_llama *model, const char *text, size_t len, loom_err *err)
{
    char *copy = loom_alloc(len + 1, 1);

    if (!copy) {
        loom_llama_free(model);
        return loom_fail_nomem(err, "a tokenizer");
    }
    memcpy(copy, text, len);
    copy[len] = 0;
    loom_llama_free(b->model);
    free(b->tokenizer);
    free(b->names); /* those of the other system mean nothing here */
    b->names = NULL;
    b->names_len = 0;
    b->model = model;
    b->tokenizer = copy;
    b->tokenizer_len = len;
    loom_text_digest(b->tokenizer_digest, text, len);
    return LOOM_OK;
}

loom_status loom_transplant(loom_model_files *b, loom_transplant_report *report, const char *text, size_t len,
                            const char *whose, uint64_t seed, loom_err *err)
{
    transplant t = {.from = b->model, .seed = seed};
    loom_tokenizer *old = NULL, *new = NULL;
    loom_transplant_report r = {0};
    char digest[33];
    loom_status st;

    if (!b->tokenizer)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s carries no tokenizer, so its names cannot be replaced", b->path);
    loom_text_digest(digest, text, len);
    r.same = strcmp(digest, b->tokenizer_digest) == 0;
    if (r.same) {
        *report = r;
        return LOOM_OK;
    }
    if ((st = loom_tokenizer_parse(&old, b->tokenizer, b->tokenizer_len, b->path, err)) != LOOM_OK) goto done;
    if ((st = loom_tokenizer_parse(&new, text, len, whose, err)) != LOOM_OK) goto done;
    t.old = old;
    t.new = new;
    if ((st = make(&t, &r, b, whose, err)) != LOOM_OK) {
        loom_llama_free(t.to);
        goto done;
    }
    if ((st = hand_over(b, t.to, text, len, err)) == LOOM_OK) *report = r;
done:
    loom_gaussian_release(&t.names);
    for (int k = 0; k < LOOM_TOK_NAME_KINDS; k++) loom_gaussian_release(&t.kinds[k]);
    loom_tokenizer_free(old);
    loom_tokenizer_free(new);
    return st;
}

const char *loom_transplant_text(char *text, size_t cap, const loom_transplant_report *r)
{
    if (r->same) snprintf(text, cap, "the tokenizer is its own, nothing is replaced");
    else
        snprintf(text, cap, "%" PRId64 " tokens shared, %" PRId64 " microservices and %" PRId64 " services new",
                 r->shared, r->microservices, r->services);
    return text;
}
