#include "trace/graph/callgraph.h"

#include <string.h>

#include "core/num.h"

/* ---- call types ---- */

const char *loom_call_type_name(loom_call_type type)
{
    static const char *const names[] = {"rpc", "http", "mc", "db", "mq"};
    return type < LOOM_CALL_TYPES ? names[type] : "UNKNOWN";
}

loom_call_type loom_call_type_of(const char *text, size_t len)
{
    if (len == 2 && text[0] == 'm')
        return text[1] == 'c' ? LOOM_CALL_MC : text[1] == 'q' ? LOOM_CALL_MQ : LOOM_CALL_TYPES;
    if (len == 2 && memcmp(text, "db", 2) == 0) return LOOM_CALL_DB;
    if (len == 3 && memcmp(text, "rpc", 3) == 0) return LOOM_CALL_RPC;
    if (len == 4 && memcmp(text, "http", 4) == 0) return LOOM_CALL_HTTP;
    return LOOM_CALL_TYPES;
}

/* ---- dotted ids ---- */

int loom_id_compare(const int32_t *a, int32_t n_a, const int32_t *b, int32_t n_b)
{
    int32_t n = n_a < n_b ? n_a : n_b;
    for (int32_t i = 0; i < n; i++)
        if (a[i] != b[i]) return a[i] < b[i] ? -1 : 1;
    return (n_a > n_b) - (n_a < n_b);
}

bool loom_id_equal(const int32_t *a, int32_t n_a, const int32_t *b, int32_t n_b)
{
    return n_a == n_b && loom_id_is_prefix(a, n_a, b, n_b);
}

bool loom_id_is_prefix(const int32_t *a, int32_t n_a, const int32_t *b, int32_t n_b)
{
    if (n_a > n_b) return false;
    for (int32_t i = n_a - 1; i >= 0; i--) /* ids of one graph share their beginning: differences stand at the end */
        if (a[i] != b[i]) return false;
    return true;
}

int32_t loom_id_parse(int32_t *id, int32_t cap, const char *text, size_t len)
{
    int32_t n = 0;
    size_t i = 0;
    for (;;) {
        size_t start = i;
        int64_t value = 0;
        while (i < len && text[i] >= '0' && text[i] <= '9') {
            value = value * 10 + (text[i++] - '0');
            if (value > INT32_MAX) return -1;
        }
        if (i == start || (text[start] == '0' && i - start > 1) || n == cap) return -1;
        id[n++] = (int32_t)value;
        if (i == len) return n;
        if (text[i++] != '.') return -1;
    }
}

void loom_id_render(loom_buf *into, const int32_t *id, int32_t n_id)
{
    for (int32_t i = 0; i < n_id; i++) {
        if (i) loom_buf_char(into, '.');
        if (id[i] >= 0 && id[i] < 10) loom_buf_char(into, (char)('0' + id[i]));
        else loom_buf_i64(into, id[i]);
    }
}

/* ---- names ---- */

/* Zeros to put after the prefix; -1 when the name is not prefix + digits. */
static int32_t zeros_wanted(const char *text, size_t len, const char *prefix, size_t n_prefix, size_t digits)
{
    if (len <= n_prefix || memcmp(text, prefix, n_prefix) != 0) return -1;
    for (size_t i = n_prefix; i < len; i++)
        if (text[i] < '0' || text[i] > '9') return -1;
    return len - n_prefix < digits ? (int32_t)(digits - (len - n_prefix)) : 0;
}

static void append_padded(loom_buf *into, const char *text, size_t len, const char *prefix, size_t digits)
{
    size_t n_prefix = strlen(prefix);
    int32_t zeros = zeros_wanted(text, len, prefix, n_prefix, digits);
    if (zeros <= 0) {
        loom_buf_append(into, text, len);
        return;
    }
    loom_buf_append(into, prefix, n_prefix);
    loom_buf_append(into, "000000000", (size_t)zeros);
    loom_buf_append(into, text + n_prefix, len - n_prefix);
}

void loom_name_append_microservice(loom_buf *into, const char *text, size_t len)
{
    append_padded(into, text, len, "MS_", 5);
}

void loom_name_append_service(loom_buf *into, const char *text, size_t len) { append_padded(into, text, len, "S_", 9); }

static const char *copy_padded(loom_arena *arena, const char *text, size_t len, const char *prefix, size_t digits)
{
    size_t n_prefix = strlen(prefix);
    int32_t zeros = zeros_wanted(text, len, prefix, n_prefix, digits);
    if (zeros <= 0) return loom_arena_strdup(arena, text, len);
    char *copy = loom_arena_alloc(arena, len + (size_t)zeros + 1);
    if (!copy) return "";
    memcpy(copy, prefix, n_prefix);
    memset(copy + n_prefix, '0', (size_t)zeros);
    memcpy(copy + n_prefix + zeros, text + n_prefix, len - n_prefix);
    copy[len + (size_t)zeros] = 0;
    return copy;
}

const char *loom_name_microservice(loom_arena *arena, const char *text, size_t len)
{
    return copy_padded(arena, text, len, "MS_", 5);
}

const char *loom_name_service(loom_arena *arena, const char *text, size_t len)
{
    return copy_padded(arena, text, len, "S_", 9);
}

bool loom_name_is_unknown(const char *text, size_t len)
{
    return (len == 7 && memcmp(text, "UNKNOWN", 7) == 0) || (len == 11 && memcmp(text, "UNAVAILABLE", 11) == 0);
}

bool loom_name_fits_record(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c <= ' ' || c == '|' || c == 0x7f) return false;
    }
    return len > 0;
}

const char *loom_name_fit_record(loom_arena *arena, const char *text)
{
    const char *from = text[0] ? text : "unknown";
    size_t len = strlen(from);
    char *copy = loom_arena_alloc(arena, len + 1);
    if (!copy) return "";
    for (size_t i = 0; i <= len; i++) {
        unsigned char c = (unsigned char)from[i];
        copy[i] = i < len && (c <= ' ' || c == '|' || c == 0x7f) ? '_' : from[i];
    }
    return loom_name_microservice(arena, copy, len);
}

/* ---- graphs ---- */

static int compare_calls(const loom_call *a, const loom_call *b)
{
    return loom_id_compare(a->id, a->n_id, b->id, b->n_id);
}

/* Binary insertion: most graphs are small and nearly sorted. */
static void insertion_sort(loom_call *calls, int32_t n)
{
    for (int32_t i = 1; i < n; i++) {
        loom_call moving = calls[i];
        int32_t at = i;
        while (at > 0 && compare_calls(&calls[at - 1], &moving) > 0) {
            calls[at] = calls[at - 1];
            at--;
        }
        calls[at] = moving;
    }
}

/* Merges calls[0..half) and calls[half..n), both sorted, with a copy of the first half; stable. */
static void merge_halves(loom_call *calls, int32_t half, int32_t n, loom_call *copy)
{
    memcpy(copy, calls, (size_t)half * sizeof *calls);
    int32_t left = 0, right = half, to = 0;
    while (left < half) {
        if (right < n && compare_calls(&calls[right], &copy[left]) < 0) calls[to++] = calls[right++];
        else calls[to++] = copy[left++];
    }
}

static void merge_sort(loom_call *calls, int32_t n, loom_call *copy)
{
    if (n <= 32) {
        insertion_sort(calls, n);
        return;
    }
    int32_t half = n / 2;
    merge_sort(calls, half, copy);
    merge_sort(calls + half, n - half, copy);
    if (compare_calls(&calls[half - 1], &calls[half]) > 0) merge_halves(calls, half, n, copy);
}

void loom_graph_sort(loom_graph *g)
{
    loom_call *copy = g->n_calls > 32 ? malloc((size_t)g->n_calls * sizeof *copy) : NULL;
    if (copy) merge_sort(g->calls, g->n_calls, copy);
    else insertion_sort(g->calls, g->n_calls); /* also without memory for a copy: slower, the same order */
    free(copy);
}

int32_t loom_graph_sort_unique(loom_graph *g)
{
    int32_t kept = 0;
    loom_graph_sort(g);
    for (int32_t i = 0; i < g->n_calls; i++) {
        const loom_call *c = &g->calls[i];
        if (kept && compare_calls(&g->calls[kept - 1], c) == 0) continue;
        if (kept != i) g->calls[kept] = *c;
        kept++;
    }
    int32_t removed = g->n_calls - kept;
    g->n_calls = kept;
    return removed;
}

int32_t loom_graph_depth(const loom_graph *g)
{
    int32_t depth = 0;
    for (int32_t i = 0; i < g->n_calls; i++)
        if (g->calls[i].n_id > depth) depth = g->calls[i].n_id;
    return depth;
}

int32_t loom_graph_find(const loom_graph *g, const int32_t *id, int32_t n_id)
{
    int32_t low = 0, high = g->n_calls; /* the first call that is not before id */
    while (low < high) {
        int32_t mid = low + (high - low) / 2;
        if (loom_id_compare(g->calls[mid].id, g->calls[mid].n_id, id, n_id) < 0) low = mid + 1;
        else high = mid;
    }
    if (low == g->n_calls || !loom_id_equal(g->calls[low].id, g->calls[low].n_id, id, n_id)) return -1;
    return low;
}

int32_t loom_graph_parent(const loom_graph *g, int32_t i)
{
    const loom_call *c = &g->calls[i];
    return c->n_id <= 1 ? -1 : loom_graph_find(g, c->id, c->n_id - 1);
}

bool loom_graph_copy(loom_graph *into, const loom_graph *g, loom_arena *arena)
{
    *into = *g;
    into->service = g->service ? loom_arena_strdup(arena, g->service, strlen(g->service)) : NULL;
    into->calls = loom_arena_alloc(arena, (size_t)(g->n_calls > 0 ? g->n_calls : 1) * sizeof *into->calls);
    if (!into->calls) into->n_calls = 0;
    for (int32_t i = 0; i < into->n_calls; i++) {
        const loom_call *from = &g->calls[i];
        loom_call *to = &into->calls[i];
        int32_t *id = loom_arena_alloc(arena, (size_t)(from->n_id > 0 ? from->n_id : 1) * sizeof *id);
        *to = *from;
        if (!id) to->n_id = 0;
        if (to->n_id > 0) memcpy(id, from->id, (size_t)from->n_id * sizeof *id);
        to->id = id;
        to->source = loom_arena_strdup(arena, from->source, strlen(from->source));
        to->destination = loom_arena_strdup(arena, from->destination, strlen(from->destination));
    }
    return !arena->failed;
}

static bool calls_equal(const loom_call *a, const loom_call *b)
{
    return compare_calls(a, b) == 0 && a->type == b->type && a->arrived == b->arrived && a->rt == b->rt &&
           strcmp(a->source, b->source) == 0 && strcmp(a->destination, b->destination) == 0;
}

bool loom_graph_equal(const loom_graph *a, const loom_graph *b)
{
    if (a->n_calls != b->n_calls || a->time_of_day != b->time_of_day || strcmp(a->service, b->service) != 0)
        return false;
    for (int32_t i = 0; i < a->n_calls; i++)
        if (!calls_equal(&a->calls[i], &b->calls[i])) return false;
    return true;
}
