#include "train/loader.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/num.h"
#include "core/rng.h"

/* One shard, its tokens in memory or not. Its samples have the numbers first_sample, first_sample + 1, ... */
typedef struct source {
    loom_shard *shard;
    uint16_t *narrow; /* vocabularies up to 65536 */
    int32_t *wide;
} source;

/* Where a sample lies. */
typedef struct sample {
    int64_t first;  /* token in its shard */
    int32_t n;      /* tokens */
    int32_t answer; /* first token that counts */
    int32_t source;
    int64_t number; /* in its shard */
} sample;

struct loom_loader {
    loom_loader_options o;
    source *sources;
    int64_t n_sources;
    sample *samples;
    int64_t n_samples, n_tokens, dropped;
    int64_t *order; /* of the epoch at hand */
    int64_t order_epoch;
    loom_position at;
    /* the step handed out */
    int32_t *tokens, *labels;
    float *weights; /* NULL: every label counts as much */
    int64_t *segments;
    int32_t *scratch; /* context + 1 tokens */
    size_t bytes;
};

/* ---- opening ---- */

static loom_status same_tokenizer(const loom_loader *l, const loom_shard_info *info, loom_err *err)
{
    const loom_shard_info *first = loom_shard_get_info(l->sources[0].shard);

    if (strcmp(first->tokenizer_digest, info->tokenizer_digest) == 0 && first->vocab_size == info->vocab_size)
        return LOOM_OK;
    return loom_fail(err, LOOM_STATUS_FORMAT,
                     "%s and %s were made with different tokenizers; make both with the same one", first->path,
                     info->path);
}

/* Keeps the tokens of a shard in memory; reads in blocks of the shard's own chunks. */
static loom_status load_tokens(loom_loader *l, source *s, loom_err *err)
{
    const loom_shard_info *info = loom_shard_get_info(s->shard);
    const int64_t block = 32768;
    bool small = info->vocab_size <= 65536;
    int32_t *ids = loom_alloc((size_t)block, sizeof *ids);
    loom_status st = LOOM_OK;

    if (small) s->narrow = loom_alloc((size_t)info->n_tokens, sizeof *s->narrow);
    else s->wide = loom_alloc((size_t)info->n_tokens, sizeof *s->wide);
    if (!ids || (!s->narrow && !s->wide)) {
        free(ids);
        return loom_fail_nomem(err, "the tokens");
    }
    for (int64_t i = 0; i < info->n_tokens && st == LOOM_OK; i += block) {
        int64_t n = loom_min_i64(block, info->n_tokens - i);
        st = loom_shard_read(s->shard, i, n, small ? ids : s->wide + i, err);
        for (int64_t j = 0; small && j < n; j++) s->narrow[i + j] = (uint16_t)ids[j];
    }
    free(ids);
    l->bytes += (size_t)info->n_tokens * (small ? 2 : 4);
    return st;
}

static loom_status open_sources(loom_loader *l, char *const *paths, int64_t n, loom_err *err)
{
    int64_t bytes = 0;

    if (!(l->sources = loom_calloc((size_t)n, sizeof *l->sources))) return loom_fail_nomem(err, "the shards");
    for (int64_t i = 0; i < n; i++) {
        LOOM_TRY(loom_shard_open(&l->sources[i].shard, paths[i], err));
        l->n_sources = i + 1;
        const loom_shard_info *info = loom_shard_get_info(l->sources[i].shard);
        LOOM_TRY(same_tokenizer(l, info, err));
        bytes += info->n_tokens * (info->vocab_size <= 65536 ? 2 : 4);
    }
    if (bytes > l->o.memory) return LOOM_OK;
    for (int64_t i = 0; i < n; i++) LOOM_TRY(load_tokens(l, &l->sources[i], err));
    return LOOM_OK;
}

/* ---- samples ---- */

/* Whether a sample can be used; too long ones and ones of a single token (which predict nothing) are passed over. */
static loom_status admit(loom_loader *l, const sample *s, int64_t number, bool *use, loom_err *err)
{
    *use = false;
    if (l->o.answers_only && s->answer >= s->n)
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "%s: sample %" PRId64
                         " has no answer to learn from; make the shard again, or train on all tokens "
                         "with --loss all",
                         loom_shard_get_info(l->sources[s->source].shard)->path, number);
    if (l->o.drop_long && s->n - 1 > l->o.context) {
        l->dropped++;
        return LOOM_OK;
    }
    *use = s->n > 1 || l->o.joined;
    return LOOM_OK;
}

static loom_status gather_samples(loom_loader *l, loom_err *err)
{
    size_t cap = 0;

    for (int64_t i = 0; i < l->n_sources; i++) {
        const loom_shard_info *info = loom_shard_get_info(l->sources[i].shard);
        for (int64_t j = 0; j < info->n_samples; j++) {
            int64_t n, answer;
            sample s = {.source = (int32_t)i, .number = j};
            bool use;
            if (l->o.limit && l->n_samples >= l->o.limit) return LOOM_OK;
            loom_shard_range(l->sources[i].shard, j, &s.first, &n, &answer);
            if (l->o.joined && info->has_bos) { /* the paper joins without BOS */
                s.first++;
                n--;
            }
            s.n = (int32_t)n;
            s.answer = (int32_t)answer;
            LOOM_TRY(admit(l, &s, j, &use, err));
            if (!use) continue;
            LOOM_TRY(loom_grow(&l->samples, &cap, (size_t)l->n_samples + 1, sizeof s, err));
            l->samples[l->n_samples++] = s;
            l->n_tokens += s.n;
        }
    }
    return LOOM_OK;
}

static loom_status check_samples(const loom_loader *l, loom_err *err)
{
    const char *path = loom_shard_get_info(l->sources[0].shard)->path;

    if (l->o.joined && l->n_tokens < l->o.context)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "%s holds %" PRId64 " tokens, less than one sequence of %" PRId64 "; lower --context", path,
                         l->n_tokens, l->o.context);
    if (l->n_samples == 0)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "%s has no usable sample (%" PRId64 " are longer than the context of %" PRId64 ")", path,
                         l->dropped, l->o.context);
    return LOOM_OK;
}

static loom_status allocate(loom_loader *l, loom_err *err)
{
    size_t budget = (size_t)l->o.budget;

    l->order = loom_alloc((size_t)l->n_samples, sizeof *l->order);
    l->tokens = loom_alloc(budget, sizeof *l->tokens);
    l->labels = loom_alloc(budget, sizeof *l->labels);
    if (l->o.prompt_weight > 0 && !(l->weights = loom_alloc(budget, sizeof *l->weights)))
        return loom_fail_nomem(err, "a batch");
    l->segments = loom_alloc(budget + 1, sizeof *l->segments);
    l->scratch = loom_alloc((size_t)l->o.context + 1, sizeof *l->scratch);
    l->order_epoch = -1;
    l->bytes += (size_t)l->n_samples * (sizeof *l->order + sizeof *l->samples) + budget * (l->weights ? 20 : 16);
    return l->order && l->tokens && l->labels && l->segments && l->scratch ? LOOM_OK : loom_fail_nomem(err, "a batch");
}

loom_status loom_loader_new(loom_loader **out, char *const *paths, int64_t n_paths, const loom_loader_options *o,
                            loom_err *err)
{
    loom_loader *l = NULL;
    loom_status st;

    if (o->budget < o->context)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "a step of %" PRId64 " tokens cannot hold one sequence of %" PRId64
                         "; raise --batch-tokens or lower "
                         "--context",
                         o->budget, o->context);
    if (!(l = loom_calloc(1, sizeof *l))) return loom_fail_nomem(err, "the loader");
    l->o = *o;
    if ((st = open_sources(l, paths, n_paths, err)) != LOOM_OK) goto done;
    if ((st = gather_samples(l, err)) != LOOM_OK) goto done;
    if ((st = check_samples(l, err)) != LOOM_OK) goto done;
    if ((st = allocate(l, err)) != LOOM_OK) goto done;
    *out = l;
    l = NULL;
done:
    loom_loader_free(l);
    return st;
}

void loom_loader_free(loom_loader *l)
{
    if (!l) return;
    for (int64_t i = 0; i < l->n_sources; i++) {
        loom_shard_close(&l->sources[i].shard);
        free(l->sources[i].narrow);
        free(l->sources[i].wide);
    }
    free(l->sources);
    free(l->samples);
    free(l->order);
    free(l->tokens);
    free(l->labels);
    free(l->weights);
    free(l->segments);
    free(l->scratch);
    free(l);
}

/* ---- order ---- */

static void prepare_order(loom_loader *l, int64_t epoch)
{
    loom_rng rng;

    if (l->order_epoch == epoch) return;
    for (int64_t i = 0; i < l->n_samples; i++) l->order[i] = i;
    if (l->o.shuffle) {
        loom_rng_seed(&rng, l->o.seed, "shuffle", (uint64_t)epoch);
        loom_rng_shuffle(&rng, l->order, (size_t)l->n_samples, sizeof *l->order);
    }
    l->order_epoch = epoch;
}

/* A run of tokens from one sample. */
typedef struct piece {
    int64_t sample;
    int64_t offset, n; /* tokens */
} piece;

/* Moves past the end of an epoch. */
static void wrap(loom_loader *l, loom_position *p)
{
    if (p->sample < l->n_samples) return;
    *p = (loom_position){.epoch = p->epoch + 1};
}

/* The next piece of a sample: at most context + 1 tokens, of which the last is only predicted. */
static piece next_piece(loom_loader *l, loom_position *p)
{
    prepare_order(l, p->epoch);
    int64_t index = l->order[p->sample], left = l->samples[index].n - p->offset;
    piece x = {.sample = index, .offset = p->offset, .n = loom_min_i64(left, l->o.context + 1)};

    p->offset += x.n - 1; /* the piece after it begins with this one's last token */
    if (p->offset + 1 >= l->samples[index].n) {
        p->sample++;
        p->offset = 0;
    }
    return x;
}

/* The next run of at most `room` tokens of the joined stream; n = 0 at the end of the epoch. */
static piece next_run(loom_loader *l, loom_position *p, int64_t room)
{
    piece x = {0};

    while (p->sample < l->n_samples) {
        prepare_order(l, p->epoch);
        int64_t index = l->order[p->sample], left = l->samples[index].n - p->offset;
        if (left > 0) {
            x = (piece){.sample = index, .offset = p->offset, .n = loom_min_i64(left, room)};
            p->offset += x.n;
            return x;
        }
        p->sample++;
        p->offset = 0;
    }
    return x;
}

/* ---- steps ---- */

static loom_status read_tokens(loom_loader *l, int32_t *ids, const piece *x, loom_err *err)
{
    const sample *s = &l->samples[x->sample];
    const source *from = &l->sources[s->source];
    int64_t first = s->first + x->offset;

    if (from->narrow) {
        for (int64_t i = 0; i < x->n; i++) ids[i] = from->narrow[first + i];
        return LOOM_OK;
    }
    if (from->wide) {
        memcpy(ids, from->wide + first, (size_t)x->n * sizeof *ids);
        return LOOM_OK;
    }
    return loom_shard_read(from->shard, first, x->n, ids, err);
}

static loom_status add_piece(loom_loader *l, loom_batch *b, const piece *x, loom_err *err)
{
    int32_t begins = l->samples[x->sample].answer, answer = l->o.answers_only ? begins : 0;

    LOOM_TRY(read_tokens(l, l->scratch, x, err));
    for (int64_t i = 0; i + 1 < x->n; i++) {
        l->tokens[b->N + i] = l->scratch[i];
        l->labels[b->N + i] = x->offset + i + 1 >= answer ? l->scratch[i + 1] : LOOM_IGNORE;
        if (l->weights) l->weights[b->N + i] = x->offset + i + 1 >= begins ? 1 : (float)l->o.prompt_weight;
    }
    b->N += x->n - 1;
    l->segments[++b->n_segments] = b->N;
    return LOOM_OK;
}

/* Whole pieces until the next would not fit. No step reaches over the end of an epoch. */
static loom_status step_of_samples(loom_loader *l, loom_batch *b, loom_err *err)
{
    wrap(l, &l->at);
    while (l->at.sample < l->n_samples) {
        loom_position after = l->at;
        piece x = next_piece(l, &after);
        if (b->N + x.n - 1 > l->o.budget) break;
        LOOM_TRY(add_piece(l, b, &x, err));
        l->at = after;
    }
    return LOOM_OK;
}

/* One sequence of the stream; false when what is left of the epoch is too short. */
static loom_status add_sequence(loom_loader *l, loom_batch *b, bool *added, loom_err *err)
{
    loom_position at = l->at;
    int64_t n = 0, T = l->o.context;
    int32_t *tokens = l->tokens + b->N, *labels = l->labels + b->N;

    *added = false;
    while (n < T) {
        piece x = next_run(l, &at, T - n);
        if (x.n == 0) break;
        LOOM_TRY(read_tokens(l, tokens + n, &x, err));
        n += x.n;
    }
    if (n < T) {
        l->at.sample = l->n_samples; /* the rest of the epoch is dropped */
        return LOOM_OK;
    }
    memcpy(labels, tokens + 1, (size_t)(T - 1) * sizeof *labels);
    labels[T - 1] = LOOM_IGNORE;
    b->N += T;
    l->segments[++b->n_segments] = b->N;
    l->at = at;
    *added = true;
    return LOOM_OK;
}

static loom_status step_of_stream(loom_loader *l, loom_batch *b, loom_err *err)
{
    bool added = true;

    wrap(l, &l->at);
    while (added && b->N + l->o.context <= l->o.budget) LOOM_TRY(add_sequence(l, b, &added, err));
    if (b->N == 0) { /* the epoch was over but for a rest */
        wrap(l, &l->at);
        LOOM_TRY(add_sequence(l, b, &added, err));
        while (added && b->N + l->o.context <= l->o.budget) LOOM_TRY(add_sequence(l, b, &added, err));
    }
    return LOOM_OK;
}

loom_status loom_loader_next(loom_loader *l, loom_batch *batch, loom_err *err)
{
    loom_batch b = {.tokens = l->tokens, .labels = l->labels, .weights = l->weights, .segments = l->segments};
    loom_position before = l->at;
    loom_status st;

    l->segments[0] = 0;
    st = l->o.joined ? step_of_stream(l, &b, err) : step_of_samples(l, &b, err);
    if (st != LOOM_OK) {
        l->at = before;
        return st;
    }
    *batch = b;
    return LOOM_OK;
}

void loom_loader_begin(loom_loader *l, loom_batch *batch)
{
    *batch = (loom_batch){.tokens = l->tokens, .labels = l->labels, .weights = l->weights, .segments = l->segments};
    l->segments[0] = 0;
}

loom_status loom_loader_append(loom_loader *l, loom_batch *batch, int64_t i, loom_err *err)
{
    piece x = {.sample = i, .n = l->samples[i].n};

    return add_piece(l, batch, &x, err);
}

int64_t loom_loader_rows(const loom_loader *l, int64_t i) { return l->samples[i].n - 1; }

int64_t loom_loader_number(const loom_loader *l, int64_t i) { return l->samples[i].number; }

loom_position loom_loader_tell(const loom_loader *l) { return l->at; }

/* A position that cannot be is moved to the nearest one that can. */
void loom_loader_seek(loom_loader *l, const loom_position *p)
{
    l->at = *p;
    l->at.sample = loom_min_i64(loom_max_i64(p->sample, 0), l->n_samples);
    prepare_order(l, l->at.epoch);
    if (l->at.sample == l->n_samples || p->offset < 0) l->at.offset = 0;
    else if (p->offset >= l->samples[l->order[l->at.sample]].n + l->o.joined)
        l->at.offset = 0; /* a stream may stand at its end */
}

/* In the joined stream a rest too short for a sequence counts as nothing. */
bool loom_loader_at_end(const loom_loader *l)
{
    int64_t left = 0;

    if (!l->o.joined) return l->at.sample >= l->n_samples;
    for (int64_t i = l->at.sample; i < l->n_samples && left < l->o.context; i++)
        left += l->samples[l->order[i]].n - (i == l->at.sample ? l->at.offset : 0);
    return left < l->o.context;
}

static int64_t steps_of_epoch(loom_loader *l, int64_t epoch)
{
    loom_position p = {.epoch = epoch};
    int64_t steps = 0, rows = l->o.budget;

    if (l->o.joined) {
        int64_t sequences = l->n_tokens / l->o.context, per_step = l->o.budget / l->o.context;
        return (sequences + per_step - 1) / per_step;
    }
    while (p.sample < l->n_samples) {
        piece x = next_piece(l, &p);
        if (rows + x.n - 1 > l->o.budget) {
            steps++;
            rows = 0;
        }
        rows += x.n - 1;
    }
    return steps;
}

int64_t loom_loader_steps(loom_loader *l, int64_t epochs)
{
    int64_t steps = 0;

    for (int64_t e = 0; e < epochs; e++) steps += steps_of_epoch(l, e);
    return steps;
}

const loom_shard_info *loom_loader_info(const loom_loader *l) { return loom_shard_get_info(l->sources[0].shard); }

int64_t loom_loader_shards(const loom_loader *l) { return l->n_sources; }

const loom_shard_info *loom_loader_shard(const loom_loader *l, int64_t i)
{
    return loom_shard_get_info(l->sources[i].shard);
}

int64_t loom_loader_samples(const loom_loader *l) { return l->n_samples; }

int64_t loom_loader_tokens(const loom_loader *l) { return l->n_tokens; }

int64_t loom_loader_dropped(const loom_loader *l) { return l->dropped; }

size_t loom_loader_bytes(const loom_loader *l) { return l->bytes; }
