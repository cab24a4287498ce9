#include "trace/graph/rows.h"

#include <string.h>

#include "core/csv_cell.h"
#include "core/num.h"

/* Negative, 0 or positive: by time, then by the bytes of the id. */
static int compare_rows(const loom_row *a, const loom_row *b)
{
    if (a->timestamp != b->timestamp) return a->timestamp < b->timestamp ? -1 : 1;
    return strcmp(a->id_text, b->id_text);
}

static void insertion_sort(loom_row *rows, int64_t n)
{
    for (int64_t i = 1; i < n; i++) {
        loom_row moving = rows[i];
        int64_t at = i;
        while (at > 0 && compare_rows(&rows[at - 1], &moving) > 0) {
            rows[at] = rows[at - 1];
            at--;
        }
        rows[at] = moving;
    }
}

static void merge_sort(loom_row *rows, int64_t n, loom_row *copy)
{
    if (n <= 24) {
        insertion_sort(rows, n);
        return;
    }
    int64_t half = n / 2, left = 0, right = half, to = 0;
    merge_sort(rows, half, copy);
    merge_sort(rows + half, n - half, copy);
    if (compare_rows(&rows[half - 1], &rows[half]) <= 0) return;
    memcpy(copy, rows, (size_t)half * sizeof *rows);
    while (left < half) {
        if (right < n && compare_rows(&rows[right], &copy[left]) < 0) rows[to++] = rows[right++];
        else rows[to++] = copy[left++];
    }
}

int64_t loom_rows_to_graph(loom_graph *g, loom_row *rows, int64_t n, loom_arena *arena)
{
    loom_row *copy = n > 24 ? loom_arena_alloc(arena, (size_t)n * sizeof *copy) : NULL;
    loom_call *calls = loom_arena_alloc(arena, (size_t)n * sizeof *calls);
    if (arena->failed) return -1;
    merge_sort(rows, n, copy);

    int64_t base = rows[0].timestamp;
    const char *service = rows[0].service;
    for (int64_t i = 0; i < n; i++) {
        const loom_row *r = &rows[i];
        if (r->service != service && strcmp(r->service, service) < 0) service = r->service;
        calls[i] = (loom_call){r->id, r->n_id, r->type, r->source, r->destination, r->timestamp - base, r->rt};
    }
    int64_t time_of_day = base % LOOM_MS_PER_DAY;
    g->service = loom_name_service(arena, service, strlen(service));
    if (arena->failed) return -1;
    g->time_of_day = time_of_day < 0 ? time_of_day + LOOM_MS_PER_DAY : time_of_day;
    g->calls = calls;
    g->n_calls = (int32_t)n;
    return loom_graph_sort_unique(g);
}

/* ---- back to CSV ---- */

void loom_rows_render_header(loom_buf *into)
{
    loom_buf_str(into, "timestamp,traceid,service,rpc_id,rpctype,um,uminstanceid,interface,dm,dminstanceid,rt\n");
}

/* Without the zeros of the canonical form, as in the published CSV; quoted where a reader of CSV needs it. */
static void render_name(loom_buf *into, const char *name, const char *prefix)
{
    size_t n_prefix = strlen(prefix);
    if (strncmp(name, prefix, n_prefix) == 0) {
        const char *digits = name + n_prefix;
        while (digits[0] == '0' && digits[1]) digits++;
        if (digits[0] && strspn(digits, "0123456789") == strlen(digits)) {
            loom_buf_str(into, prefix);
            loom_buf_str(into, digits);
            return;
        }
    }
    loom_csv_cell(into, name, strlen(name));
}

void loom_rows_render_graph(loom_buf *into, const loom_graph *g, const char *traceid, int64_t base_ms)
{
    for (int32_t i = 0; i < g->n_calls; i++) {
        const loom_call *c = &g->calls[i];
        loom_buf_i64(into, base_ms + c->arrived);
        loom_buf_char(into, ',');
        loom_buf_str(into, traceid);
        loom_buf_char(into, ',');
        render_name(into, g->service, "S_");
        loom_buf_char(into, ',');
        loom_id_render(into, c->id, c->n_id);
        loom_buf_printf(into, ",%s,", loom_call_type_name(c->type));
        render_name(into, c->source, "MS_");
        loom_buf_str(into, ",UNKNOWN,UNKNOWN,");
        render_name(into, c->destination, "MS_");
        loom_buf_str(into, ",UNKNOWN,");
        loom_buf_i64(into, c->rt);
        loom_buf_str(into, ".0\n");
    }
}
