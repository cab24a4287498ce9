/* Continuous batching. A slot is a job that has a sequence in the cache; tokens[0..fed) of it are there. Every step:
 * admit waiting jobs, plan rows (the oldest slots first), run the model, choose a token for every slot whose last row
 * was in the run. Choosing is spread over the pool: slots are independent of one another. */
#include "infer/engine/engine_impl.h"

#include <stdlib.h>

#include "core/nomem.h"
#include "core/num.h"
#include "core/usage.h"

enum { WORTH_WAITING = 32 };

typedef loom_slot slot;
typedef loom_parked parked;

/* ---- cache ---- */

static void drop_parked(loom_engine *e, parked *p)
{
    if (p->seq >= 0) loom_decode_close(e->decode, p->seq);
    p->seq = -1;
    loom_tokens_reset(&p->tokens);
}

static parked *oldest_parked(loom_engine *e, bool used)
{
    parked *best = NULL;
    for (int i = 0; i < LOOM_ENGINE_PARKED; i++) {
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
    for (int i = 0; i < LOOM_ENGINE_PARKED; i++) {
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

loom_status loom_engine_step(loom_completer *c, loom_job **done, loom_err *err)
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

loom_status loom_engine_submit(loom_completer *c, loom_job *job, loom_err *err)
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

/* Blocks that others share stay with them. */
void loom_engine_cancel(loom_completer *c, loom_job *job)
{
    loom_engine *e = (loom_engine *)c;
    loom_job **at = &e->waiting, *before = NULL;

    for (; *at && *at != job; at = &(*at)->next) before = *at;
    if (*at) {
        *at = job->next;
        if (e->waiting_last == job) e->waiting_last = before;
        c->room++;
        return;
    }
    for (int64_t i = 0; i < e->o.batch; i++) {
        slot *s = &e->slots[i];
        if (s->job != job) continue;
        if (s->seq >= 0) loom_decode_close(e->decode, s->seq);
        s->job = NULL;
        s->seq = -1;
        c->room++;
    }
}

int64_t loom_engine_prompt_tokens(loom_engine *e, const loom_job *job)
{
    tokenize_prompt(e, &e->measured, job);
    return e->measured.n;
}
