#include "infer/files/result_ranks.h"

#include "core/num.h"
#include "core/parcel.h"
#include "core/ranks.h"

void loom_result_ranks_cut(int64_t *first, int64_t *count)
{
    int64_t all = *count, n = loom_ranks_count(), me = loom_ranks_me();

    *first += all / n * me + loom_min_i64(me, all % n);
    *count = all / n + (me < all % n);
}

static void pack(const loom_result_files *r, const loom_gen_totals *totals, const loom_engine_counts *counts,
                 loom_buf *into)
{
    for (size_t i = 0; i < LOOM_RESULT_FILES; i++)
        loom_parcel_put_text(into, loom_buf_text(&r->away[i]), r->away[i].len);
    loom_parcel_put(into, totals, sizeof *totals);
    loom_parcel_put(into, counts, sizeof *counts);
    loom_parcel_put_i64(into, r->number);
    loom_parcel_put_i64(into, r->n_graphs);
}

static void add_counts(loom_engine_counts *to, const loom_engine_counts *c)
{
    to->steps += c->steps;
    to->rows += c->rows;
    to->decoded += c->decoded;
    to->forced += c->forced;
    to->prefilled += c->prefilled;
    to->shared += c->shared;
    to->preempted += c->preempted;
}

static loom_status unpack(loom_result_files *r, loom_gen_totals *totals, loom_engine_counts *others,
                          const loom_buf *from, loom_err *err)
{
    loom_out *outs[LOOM_RESULT_FILES] = {r->answers, r->records, r->csv};
    loom_parcel p = loom_parcel_of(from);
    loom_gen_totals more;
    loom_engine_counts counts;
    size_t len;

    for (size_t i = 0; i < LOOM_RESULT_FILES; i++) {
        const char *text = loom_parcel_get_text(&p, &len);
        if (outs[i]) LOOM_TRY(loom_out_write(outs[i], text, len, err));
    }
    loom_parcel_get(&p, &more, sizeof more);
    loom_gen_totals_add(totals, &more);
    loom_parcel_get(&p, &counts, sizeof counts);
    add_counts(others, &counts);
    r->number += loom_parcel_get_i64(&p);
    r->n_graphs += loom_parcel_get_i64(&p);
    return loom_parcel_end(&p, err);
}

loom_status loom_result_ranks_join(loom_result_files *r, loom_gen_totals *totals, loom_engine_counts *others,
                                   const loom_engine_counts *mine, loom_err *err)
{
    loom_buf bytes = {0};
    loom_status st = LOOM_OK;

    for (int rank = 1; rank < loom_ranks_count() && st == LOOM_OK; rank++) {
        loom_buf_reset(&bytes);
        if (loom_ranks_own(rank)) pack(r, totals, mine, &bytes);
        st = loom_ranks_deliver(&bytes, rank, LOOM_OK, err);
        if (st == LOOM_OK && loom_ranks_lead()) st = unpack(r, totals, others, &bytes, err);
    }
    loom_buf_release(&bytes);
    return st;
}
