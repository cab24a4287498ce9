/* Continuous batching. A slot is a job that has a sequence in the cache; tokens[0..fed) of it are there. Every step:
 * admit waiting jobs, plan rows (the oldest slots first), run the model, choose a token for every slot whose last row
 * was in the run. Choosing is spread over the pool: slots are independent of one another. */
#include "infer/engine/engine.h"

#include <stdlib.h>
#include <unistd.h>

#include "core/nomem.h"
#include "core/num.h"
#include "core/usage.h"
#include "infer/engine/next_token.h"
#include "model/decode.h"
#include "trace/text/grammar.h"

enum { PARKED = 4, DEFAULT_PROMPT_ROWS = 256, WORTH_WAITING = 32 };

typedef struct loom_slot {
    loom_job *job;      /* NULL: free */
    int32_t seq;        /* in the cache; -1: none (waiting) */
    loom_tokens tokens; /* prompt, then what was generated */
    int64_t fed;        /* tokens in the cache */
    int64_t n_prompt;
    int64_t age; /* order of admission: the smallest is never preempted */
    int64_t row; /* of its logits in this step; -1: none */
    bool ended;
} slot;

/* The prompt of a job that has ended, kept for the next one that begins alike. */
typedef struct parked {
    int32_t seq; /* -1: free */
    loom_tokens tokens;
    int64_t age;
} parked;

struct loom_engine {
    loom_completer face;
    loom_engine_options o;
    const loom_llama *model;
    const loom_tokenizer *tok;
    loom_tok_scratch *scratch;
    loom_tokens measured; /* a prompt, to see whether it fits */
    loom_decode *decode;
    loom_next_token *next_token;
    slot *slots;  /* (batch) */
    slot **order; /* (batch) slots of this step, oldest first */
    int64_t n_order;
    parked parked[PARKED];
    loom_job *waiting, *waiting_last;
    loom_decode_row *rows;
    float *logits;
    slot **drawn; /* slots with logits in this step */
    int64_t n_drawn, max_rows, next_age;
    loom_engine_counts counts;
};

/* ---- cache ---- */

static int64_t position_bytes(const loom_engine *e)
{
    const loom_config *c = &e->model->config;
    return 2 * c->L * c->K * c->D * (e->o.half_cache ? 2 : (int64_t)sizeof(float));
}

static int64_t default_cache_bytes(void)
{
    int64_t bytes = (int64_t)sysconf(_SC_PHYS_PAGES) * (int64_t)sysconf(_SC_PAGESIZE) / 8;
    return loom_max_i64(bytes, (int64_t)256 << 20);
}

static int64_t cache_positions(const loom_engine *e)
{
    int64_t bytes = e->o.cache_bytes ? e->o.cache_bytes : default_cache_bytes();
    int64_t most = (e->o.batch + 1) * (e->o.context + LOOM_KV_BLOCK) / 2; /* texts are seldom as long as they may be */
    int64_t fit = bytes / position_bytes(e);
    int64_t least = e->o.context + 2 * LOOM_KV_BLOCK; /* one job must always fit */

    return loom_max_i64(loom_min_i64(fit, most), least);
}

static void drop_parked(loom_engine *e, parked *p)
{
    if (p->seq >= 0) loom_decode_close(e->decode, p->seq);
    p->seq = -1;
    loom_tokens_reset(&p->tokens);
}

static parked *oldest_parked(loom_engine *e, bool used)
{
    parked *best = NULL;
    for (int i = 0; i < PARKED; i++) {
        parked *p = &e->parked[i];
        if (used && p->seq < 0) continue;
        if (!used && p->seq < 0) return p;
        if (!best || p->age < best->age) best = p;
    }
    return best;
}

/* Keeps the prompt of a slot that has ended, in place of the oldest one kept. */
static void park(loom_engine *e, slot *s)
{
    parked *p = oldest_parked(e, false);
    int64_t keep = loom_min_i64(s->n_prompt, s->fed);

    if (e->o.no_sharing || keep < LOOM_KV_BLOCK) {
        loom_decode_close(e->decode, s->seq);
    } else {
        drop_parked(e, p);
        loom_decode_truncate(e->decode, s->seq, keep);
        p->seq = s->seq;
        p->age = e->next_age++;
        loom_tokens swap = p->tokens;
        p->tokens = s->tokens;
        p->tokens.n = keep;
        s->tokens = swap;
    }
    s->seq = -1;
}

/* Makes room for `need` blocks: prompts kept first, then the youngest slot other than `self`. False: no more to take.
 */
static bool free_some(loom_engine *e, int64_t need, const slot *self)
{
    while (loom_decode_free_blocks(e->decode) < need) {
        parked *p = oldest_parked(e, true);
        if (p) {
            drop_parked(e, p);
            continue;
        }
        slot *victim = NULL;
        for (int64_t i = 0; i < e->o.batch; i++) {
            slot *s = &e->slots[i];
            if (s->job && s->seq >= 0 && s != self && s->age > self->age && (!victim || s->age > victim->age))
                victim = s;
        }
        if (!victim) return false;
        loom_decode_close(e->decode, victim->seq);
        victim->seq = -1;
        victim->fed = 0;
        e->counts.preempted++;
    }
    return true;
}

/* ---- admission ---- */

static int64_t common_prefix(const loom_tokens *a, const loom_tokens *b)
{
    int64_t n = loom_min_i64(a->n, b->n), i = 0;
    while (i < n && a->ids[i] == b->ids[i]) i++;
    return i;
}

/* The sequence that shares most with `s`: *shared tokens of it are in the cache. Returns -1 for none. *coming: tokens
 * that a slot shares but has not computed yet. */
static int32_t find_donor(const loom_engine *e, const slot *s, int64_t *shared, int64_t *coming)
{
    int32_t seq = -1;

    *shared = *coming = 0;
    if (e->o.no_sharing) return -1;
    for (int64_t i = 0; i < e->o.batch; i++) {
        const slot *other = &e->slots[i];
        if (!other->job || other->seq < 0 || other == s) continue;
        int64_t common = loom_min_i64(common_prefix(&s->tokens, &other->tokens), s->tokens.n - 1);
        int64_t ready = loom_min_i64(common, other->fed);
        *coming = loom_max_i64(*coming, common);
        if (ready > *shared) *shared = ready, seq = other->seq;
    }
    for (int i = 0; i < PARKED; i++) {
        const parked *p = &e->parked[i];
        int64_t common = p->seq < 0 ? 0 : loom_min_i64(common_prefix(&s->tokens, &p->tokens), s->tokens.n - 1);
        if (common > *shared) *shared = common, seq = p->seq;
    }
    if (*shared < LOOM_KV_BLOCK) seq = -1, *shared = 0;
    return seq;
}

/* Gives the slot a sequence. False: not now (no blocks, or another slot is computing what this one can share). */
static bool enter(loom_engine *e, slot *s)
{
    int64_t shared, coming;
    int32_t donor = find_donor(e, s, &shared, &coming);

    if (coming - shared >= WORTH_WAITING) return false;
    int64_t blocks = (s->tokens.n - shared) / LOOM_KV_BLOCK + 3;
    int64_t floor = e->n_order; /* those already in will want a block soon */
    while (loom_decode_free_blocks(e->decode) < blocks + floor) {
        parked *p = oldest_parked(e, true);
        if (p && p->seq == donor) donor = -1, shared = 0;
        if (!p) break;
        drop_parked(e, p);
    }
    bool alone = e->n_order == 0;
    if (!alone && loom_decode_free_blocks(e->decode) < blocks + floor) return false;
    s->seq = donor >= 0 ? loom_decode_fork(e->decode, donor, shared) : loom_decode_open(e->decode);
    if (s->seq < 0 && donor >= 0) {
        shared = 0;
        s->seq = loom_decode_open(e->decode);
    }
    if (s->seq < 0) return false;
    s->fed = shared;
    e->counts.shared += shared;
    return true;
}

static void tokenize_prompt(const loom_engine *e, loom_tokens *into, const loom_job *job)
{
    int32_t bos = loom_tokenizer_bos(e->tok);

    loom_tokens_reset(into);
    if (job->bos && bos >= 0) loom_tokens_push(into, bos, 0);
    loom_tokenizer_encode(into, e->tok, e->scratch, job->prompt, job->prompt_len, LOOM_ENCODE_PLAIN);
}

static int by_age(const void *a, const void *b)
{
    const slot *x = *(slot *const *)a, *y = *(slot *const *)b;
    return (x->age > y->age) - (x->age < y->age);
}

static slot *free_slot(loom_engine *e)
{
    for (int64_t i = 0; i < e->o.batch; i++)
        if (!e->slots[i].job) return &e->slots[i];
    return NULL;
}

/* Jobs that were preempted enter first (they are older), then waiting jobs. */
static void admit(loom_engine *e)
{
    slot *s;

    e->n_order = 0;
    for (int64_t i = 0; i < e->o.batch; i++)
        if (e->slots[i].job) e->order[e->n_order++] = &e->slots[i];
    qsort(e->order, (size_t)e->n_order, sizeof(slot *), by_age);
    while (e->waiting && (s = free_slot(e))) {
        loom_job *job = e->waiting;
        e->waiting = job->next;
        if (!e->waiting) e->waiting_last = NULL;
        s->job = job;
        s->age = e->next_age++;
        s->seq = -1;
        s->fed = 0;
        s->ended = false;
        tokenize_prompt(e, &s->tokens, job);
        s->n_prompt = job->n_prompt = s->tokens.n;
        loom_next_token_begin(e->next_token, job);
        e->order[e->n_order++] = s;
    }
    int64_t all = e->n_order;
    e->n_order = 0;
    for (int64_t i = 0; i < all; i++) {
        s = e->order[i];
        if (s->seq < 0 && !enter(e, s)) continue;
        e->order[e->n_order++] = s;
    }
}

/* ---- one step ---- */

/* Rows of this step: what each slot has not fed yet, oldest slot first. A slot that is decoding always gets its row;
 * prompts share prompt_rows. Blocks that a slot lacks are taken from younger slots, which are planned after it. */
static int64_t plan_rows(loom_engine *e)
{
    int64_t n = 0, prompt_room = e->o.prompt_rows, reserved = 0;

    e->n_drawn = 0;
    for (int64_t i = 0; i < e->n_order; i++) {
        slot *s = e->order[i];
        if (s->seq < 0) continue; /* preempted by an older one in this very loop */
        int64_t want = s->tokens.n - s->fed;
        int64_t take = loom_min_i64(want, 1 + prompt_room);
        int64_t blocks = loom_decode_need_blocks(e->decode, s->seq, take);
        if (!free_some(e, reserved + blocks, s)) continue;
        reserved += blocks;
        prompt_room -= take - 1;
        for (int64_t k = 0; k < take; k++)
            e->rows[n++] = (loom_decode_row){s->seq, s->tokens.ids[s->fed + k], take == want && k == take - 1};
        s->row = take;
    }
    return n;
}

static void take_rows(loom_engine *e)
{
    for (int64_t i = 0; i < e->n_order; i++) {
        slot *s = e->order[i];
        if (s->row < 0) continue;
        bool drawn = s->fed + s->row == s->tokens.n;
        if (s->fed < s->n_prompt) e->counts.prefilled += loom_min_i64(s->row, s->n_prompt - s->fed);
        s->fed += s->row;
        if (drawn) e->drawn[e->n_drawn++] = s;
    }
}

static void choose_one(void *arg, int64_t item, int thread)
{
    loom_engine *e = arg;
    slot *s = e->drawn[item];
    int64_t room = loom_min_i64(s->job->max_tokens - s->job->n_tokens, e->o.context - s->tokens.n);

    s->ended =
        loom_next_token_choose(e->next_token, thread, s->job, e->logits + item * e->model->config.V, &s->tokens, room);
}

static loom_status run_rows(loom_engine *e, loom_err *err)
{
    int64_t n = plan_rows(e);
    double started = loom_time_now();

    if (n == 0) return loom_fail(err, LOOM_STATUS_ARG, "the key/value cache is too small for one sequence");
    LOOM_TRY(loom_decode_run(e->decode, e->rows, n, e->logits, err));
    e->counts.model_seconds += loom_time_now() - started;
    e->counts.steps++;
    e->counts.rows += n;
    return LOOM_OK;
}

static loom_job *finish(loom_engine *e, slot *s)
{
    loom_job *job = s->job;

    if (s->seq >= 0) park(e, s);
    s->job = NULL;
    e->face.room++;
    return job;
}

static bool ends_before_it_begins(const loom_engine *e, const slot *s)
{
    return s->tokens.n >= e->o.context || s->job->max_tokens <= 0;
}

static loom_status step(loom_completer *c, loom_job **done, loom_err *err)
{
    loom_engine *e = (loom_engine *)c;
    loom_job **tail = done;

    *done = NULL;
    for (int64_t i = 0; i < e->o.batch; i++)
        if (e->slots[i].job) e->slots[i].row = -1;
    admit(e);
    LOOM_TRY(loom_nomem_check("tokens", err));
    for (int64_t i = 0; i < e->o.batch; i++) {
        slot *s = &e->slots[i];
        if (!s->job || !ends_before_it_begins(e, s)) continue;
        s->job->stop = LOOM_STOP_LENGTH;
        loom_job *job = finish(e, s);
        job->next = NULL;
        *tail = job;
        tail = &job->next;
    }
    if (*done) return LOOM_OK; /* their slots are in the order of this step: begin afresh */
    if (e->n_order == 0) return LOOM_OK;
    LOOM_TRY(run_rows(e, err));
    take_rows(e);
    double started = loom_time_now();
    loom_pool_for(e->o.pool, e->n_drawn, choose_one, e);
    e->counts.choose_seconds += loom_time_now() - started;
    LOOM_TRY(loom_nomem_check("tokens", err));
    for (int64_t i = 0; i < e->n_drawn; i++) {
        slot *s = e->drawn[i];
        e->counts.decoded++;
        e->counts.forced += s->tokens.n - s->fed - 1;
        if (!s->ended) continue;
        loom_job *job = finish(e, s);
        job->next = NULL;
        *tail = job;
        tail = &job->next;
    }
    return LOOM_OK;
}

static loom_status submit(loom_completer *c, loom_job *job, loom_err *err)
{
    loom_engine *e = (loom_engine *)c;

    if (job->guide) {
        LOOM_TRY(loom_next_token_prepare(e->next_token, err));
        tokenize_prompt(e, &e->measured, job);
        LOOM_TRY(loom_nomem_check("tokens", err));
        int64_t room = loom_min_i64(job->max_tokens, e->o.context - e->measured.n);
        LOOM_TRY(loom_next_token_fits(e->next_token, job, room, err));
    }
    job->next = NULL;
    job->n_tokens = 0;
    loom_buf_reset(&job->text);
    if (e->waiting_last) e->waiting_last->next = job;
    else e->waiting = job;
    e->waiting_last = job;
    c->room--;
    return LOOM_OK;
}

static void drop(loom_completer *c)
{
    loom_engine *e = (loom_engine *)c;

    e->waiting = e->waiting_last = NULL;
    for (int64_t i = 0; i < e->o.batch; i++) {
        slot *s = &e->slots[i];
        if (s->job && s->seq >= 0) loom_decode_close(e->decode, s->seq);
        s->job = NULL;
        s->seq = -1;
    }
    c->room = e->o.batch;
}

/* ---- making ---- */

static loom_status check_sizes(loom_engine *e, loom_err *err)
{
    const loom_config *c = &e->model->config;

    if (loom_tokenizer_vocab_size(e->tok) > c->V)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "the tokenizer has %lld tokens but the model knows %lld; they do not belong together",
                         (long long)loom_tokenizer_vocab_size(e->tok), (long long)c->V);
    if (e->o.context > c->max_positions)
        return loom_fail(
            err, LOOM_STATUS_ARG,
            "--context %lld: the model has %lld positions; give at most as many, or train one with a longer "
            "--context",
            (long long)e->o.context, (long long)c->max_positions);
    if (e->o.context <= 0) e->o.context = c->max_positions;
    if (e->o.batch < 1) e->o.batch = 1;
    if (e->o.prompt_rows < 1) e->o.prompt_rows = DEFAULT_PROMPT_ROWS;
    e->max_rows = e->o.batch + e->o.prompt_rows;
    return LOOM_OK;
}

static loom_status make_arrays(loom_engine *e, loom_err *err)
{
    size_t batch = (size_t)e->o.batch, floats = 0;

    e->slots = loom_calloc(batch, sizeof *e->slots);
    e->order = loom_calloc(batch, sizeof(slot *));
    e->drawn = loom_calloc(batch, sizeof(slot *));
    e->rows = loom_calloc((size_t)e->max_rows, sizeof *e->rows);
    if (!loom_mul_size(&floats, batch, (size_t)e->model->config.V)) return loom_fail_nomem(err, "logits");
    e->logits = loom_alloc(floats, sizeof(float));
    if (!e->slots || !e->order || !e->drawn || !e->rows || !e->logits) return loom_fail_nomem(err, "logits");
    for (int64_t i = 0; i < e->o.batch; i++) e->slots[i].seq = -1;
    return LOOM_OK;
}

loom_status loom_engine_new(loom_engine **out, const loom_llama *model, const loom_lora *lora,
                            const loom_tokenizer *tok, const loom_engine_options *o, loom_err *err)
{
    loom_engine *e = loom_calloc(1, sizeof *e);
    loom_status st;

    if (!e) return loom_fail_nomem(err, "the engine");
    e->o = *o;
    e->model = model;
    e->tok = tok;
    for (int i = 0; i < PARKED; i++) e->parked[i].seq = -1;
    if ((st = check_sizes(e, err)) != LOOM_OK) goto done;
    if ((st = make_arrays(e, err)) != LOOM_OK) goto done;
    if (!(e->scratch = loom_tok_scratch_new(tok))) {
        st = loom_fail_nomem(err, "the engine");
        goto done;
    }
    loom_next_token_options co = {
        .V = model->config.V, .threads = loom_pool_threads(o->pool), .no_jump = o->no_jump, .config = &model->config};
    if ((st = loom_next_token_new(&e->next_token, tok, &co, err)) != LOOM_OK) goto done;
    loom_decode_options dopt = {.max_rows = e->max_rows,
                                .max_seqs = e->o.batch + PARKED,
                                .positions = cache_positions(e),
                                .half_cache = o->half_cache,
                                .bf16_compute = o->bf16_compute,
                                .pool = o->pool};
    if ((st = loom_decode_new(&e->decode, model, lora, &dopt, err)) != LOOM_OK) goto done;
    e->face = (loom_completer){.room = e->o.batch, .submit = submit, .step = step, .drop = drop};
    *out = e;
    e = NULL;
done:
    loom_engine_free(e);
    return st;
}

void loom_engine_free(loom_engine *e)
{
    if (!e) return;
    if (e->decode) loom_decode_free(e->decode);
    for (int64_t i = 0; e->slots && i < e->o.batch; i++) loom_tokens_release(&e->slots[i].tokens);
    for (int i = 0; i < PARKED; i++) loom_tokens_release(&e->parked[i].tokens);
    loom_tokens_release(&e->measured);
    loom_next_token_free(e->next_token);
    if (e->scratch) loom_tok_scratch_free(e->scratch);
    free(e->slots);
    free(e->order);
    free(e->drawn);
    free(e->rows);
    free(e->logits);
    free(e);
}

loom_completer *loom_engine_completer(loom_engine *e) { return &e->face; }
loom_engine_counts loom_engine_count(const loom_engine *e) { return e->counts; }
int64_t loom_engine_context(const loom_engine *e) { return e->o.context; }
