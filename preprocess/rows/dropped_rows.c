#include "preprocess/rows/dropped_rows.h"

#include <stdlib.h>
#include <string.h>

#include "core/csv_cell.h"
#include "core/num.h"

static int compare_dropped(const void *a, const void *b)
{
    const loom_dropped *x = a, *y = b;
    if (x->block != y->block) return x->block < y->block ? -1 : 1;
    return (x->line > y->line) - (x->line < y->line);
}

/* Rows of all readers in the order of the file. The line of a row in its block becomes its line in the file, the number
 * of its trace that of the joined table. NULL: no memory. */
static loom_dropped *collect(const loom_row_tables *t, const loom_row_join *j, size_t *n)
{
    size_t total = 0, at = 0;
    for (int i = 0; i < t->n_threads; i++) total += t->readers[i].n_dropped;
    loom_dropped *all = loom_alloc(total, sizeof *all);
    if (!all) return NULL;
    for (int i = 0; i < t->n_threads; i++)
        for (size_t k = 0; k < t->readers[i].n_dropped; k++) {
            loom_dropped d = t->readers[i].dropped[k];
            d.line += t->blocks[d.block].first_line;
            if (d.trace != UINT32_MAX && j->maps[i].traces) d.trace = j->maps[i].traces[d.trace];
            all[at++] = d;
        }
    qsort(all, total, sizeof *all, compare_dropped);
    *n = total;
    return all;
}

static void render_row(loom_buf *into, const loom_row_tables *t, const loom_row_join *j, const loom_dropped *d)
{
    const char *place = t->items[t->blocks[d->block].table].place;
    const char *trace = d->trace == UINT32_MAX ? "" : loom_texts_at(&j->traces, d->trace);
    loom_csv_cell(into, place, strlen(place));
    loom_buf_printf(into, ",%lld,", (long long)d->line);
    loom_csv_cell(into, trace, strlen(trace));
    loom_buf_printf(into, ",%s\n", loom_drop_name(d->why));
}

loom_status loom_dropped_rows_write(loom_out *out, const loom_row_tables *t, const loom_row_join *j, bool safe_csv,
                                    loom_err *err)
{
    size_t n = 0;
    loom_status st = LOOM_OK;
    loom_buf line = {0}, guarded = {0};
    loom_dropped *all = collect(t, j, &n);
    if (!all) return loom_fail_nomem(err, "the list of dropped rows");
    for (size_t i = 0; i < n && st == LOOM_OK; i++) {
        loom_buf_reset(&line);
        loom_buf_reset(&guarded);
        render_row(&line, t, j, &all[i]);
        if (safe_csv) loom_csv_guard(&guarded, line.data, line.len);
        const loom_buf *row = safe_csv ? &guarded : &line;
        st = loom_out_write(out, row->data, row->len, err);
    }
    loom_buf_release(&line);
    loom_buf_release(&guarded);
    free(all);
    return st;
}
