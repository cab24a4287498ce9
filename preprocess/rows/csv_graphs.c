#include "preprocess/rows/csv_graphs.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/csv_cell.h"
#include "core/log.h"
#include "core/num.h"
#include "core/usage.h"
#include "preprocess/rows/record_pairs.h"
#include "trace/graph/record.h"
#include "trace/graph/rows.h"

enum { TRACES_PER_ITEM = 512, ITEMS_PER_THREAD = 4 };

typedef struct block_info {
    int64_t first_line; /* of the file, from 1; first the number of lines in the block */
    uint32_t table;
} block_info;

/* A file or member that was read into a run; more than one with merge. */
typedef struct table_info {
    char *place; /* "file" or "file(member)" for messages */
    int64_t header_lines;
} table_info;

/* A trace in the order of the output. */
typedef struct trace_key {
    uint32_t time_of_day, trace;
} trace_key;

/* A file (with merge: all files) being turned into graphs. */
typedef struct loom_graphs_run {
    loom_graphs_job *job;
    table_info *tables;
    size_t n_tables, cap_tables;
    int n_threads;
    loom_row_reader *readers; /* (n_threads) */
    loom_chunks chunks;
    loom_csv_reader reader;
    block_info *blocks;
    size_t n_blocks, cap_blocks;
    pthread_mutex_t lock;
    loom_status status; /* first failure of any thread */
    loom_err err;
    bool stopping;

    /* joined tables, by number */
    loom_texts traces; /* taken over from thread 0 */
    const char **names, **service_raw, **service_out;
    const char **id_texts;
    const int32_t **ids;
    int32_t *id_lens;
    size_t n_names, n_services, n_ids;
    loom_intern all_names, all_services, all_ids;
    loom_arena arena; /* names and ids */
    uint32_t **maps;  /* (n_threads * 4): services, names, ids, traces of a thread to joined numbers */

    /* grouping, by trace */
    uint32_t *starts; /* (n_traces + 1): rows starts[t] .. starts[t + 1] - 1 of `refs` belong to trace t */
    uint32_t *refs;   /* chunk << 16 | row */
    trace_key *order; /* (n_ordered) */
    size_t n_ordered;
    loom_graphs_counts counts;
    double read_seconds;
} file_run;

static const char *place_of(const file_run *run) { return run->tables[run->n_tables - 1].place; }

static const char *const extra_faults[] = {"NO_ROWS_LEFT", "TOO_LARGE"};

const char *loom_trace_fault_name(int fault)
{
    return fault < LOOM_REASONS ? loom_reason_name((loom_reason)fault) : extra_faults[fault - LOOM_REASONS];
}

static loom_status fail_run(file_run *run, loom_status st, const loom_err *err)
{
    pthread_mutex_lock(&run->lock);
    if (run->status == LOOM_OK) {
        run->status = st;
        run->err = *err;
    }
    run->stopping = true;
    pthread_mutex_unlock(&run->lock);
    return st;
}

/* ---- reading ---- */

static loom_status take_chunk(void *arg, int32_t thread, uint32_t *chunk, loom_raw_row **rows, loom_err *err)
{
    file_run *run = arg;
    loom_status st = LOOM_OK;
    loom_raw_row *fresh = loom_alloc(LOOM_CHUNK_ROWS, sizeof *fresh);
    if (!fresh) return loom_fail_nomem(err, "the rows of a file");
    pthread_mutex_lock(&run->lock);
    loom_chunks *c = &run->chunks;
    if (c->n >= 65536)
        st = loom_fail(err, LOOM_STATUS_FORMAT, "%s: more than 4 billion rows; split the file", place_of(run));
    else
        st = loom_grow(&c->items, &c->cap, c->n + 1, sizeof *c->items, err);
    if (st == LOOM_OK) {
        c->items[c->n] = (loom_chunk){fresh, 0, thread};
        *chunk = (uint32_t)c->n++;
        *rows = fresh;
    }
    pthread_mutex_unlock(&run->lock);
    if (st != LOOM_OK) free(fresh);
    return st;
}

/* The next block of the file; *whole is 0 at the end. */
static loom_status next_block(file_run *run, loom_buf *block, size_t *whole, bool *last, int64_t *number, loom_err *err)
{
    loom_status st = LOOM_OK;
    *whole = 0;
    pthread_mutex_lock(&run->lock);
    if (!run->stopping) {
        st = loom_csv_reader_block(&run->reader, block, whole, last, err);
        if (st == LOOM_OK && *whole) {
            st = loom_grow(&run->blocks, &run->cap_blocks, run->n_blocks + 1, sizeof *run->blocks, err);
            if (st == LOOM_OK) {
                run->blocks[run->n_blocks].table = (uint32_t)run->n_tables - 1;
                *number = (int64_t)run->n_blocks++;
            }
        }
        if (run->job->progress)
            run->job->progress(run->job->progress_arg, run->job->total.bytes + run->counts.bytes + run->reader.bytes);
    }
    pthread_mutex_unlock(&run->lock);
    return st;
}

static void read_blocks(void *arg, int thread, int n_threads)
{
    file_run *run = arg;
    loom_buf block = {0};
    loom_err err;
    loom_status st = LOOM_OK;
    loom_chunk_source source = {take_chunk, run, place_of(run)};
    (void)n_threads;
    while (st == LOOM_OK) {
        bool last = false;
        int64_t number = 0, lines = 0;
        size_t whole;
        if ((st = next_block(run, &block, &whole, &last, &number, &err)) != LOOM_OK || whole == 0) break;
        st =
            loom_row_reader_block(&run->readers[thread], block.data, whole, block.len, last, number, &lines, &source, &err);
        pthread_mutex_lock(&run->lock); /* the array may move while other threads read blocks */
        run->blocks[number].first_line = lines;
        pthread_mutex_unlock(&run->lock);
    }
    if (st != LOOM_OK) fail_run(run, st, &err);
    loom_buf_release(&block);
}

static void number_lines(file_run *run)
{
    int64_t line = 1;
    for (size_t i = 0; i < run->n_blocks; i++) {
        int64_t lines = run->blocks[i].first_line;
        if (i == 0 || run->blocks[i].table != run->blocks[i - 1].table)
            line = 1 + run->tables[run->blocks[i].table].header_lines;
        run->blocks[i].first_line = line;
        line += lines;
    }
}

/* ---- counting ---- */

static loom_status add_unlisted(loom_graphs_job *job, const loom_row_reader *t, loom_err *err)
{
    for (size_t i = 0; i < t->unlisted.n; i++) {
        size_t before = job->unlisted.n;
        int64_t id = loom_intern_add(&job->unlisted, loom_intern_text(&t->unlisted, (int64_t)i),
                                     loom_intern_len(&t->unlisted, (int64_t)i));
        if (id < 0) return loom_fail_nomem(err, "the types of calls");
        LOOM_TRY(loom_grow(&job->unlisted_counts, &job->cap_unlisted, job->unlisted.n, sizeof *job->unlisted_counts, err));
        if (job->unlisted.n > before) job->unlisted_counts[id] = 0;
        job->unlisted_counts[id] += t->unlisted_counts[i];
    }
    return LOOM_OK;
}

static loom_status count_rows(file_run *run, loom_err *err)
{
    loom_graphs_counts *c = &run->counts;
    for (int i = 0; i < run->n_threads; i++) {
        const loom_row_reader *t = &run->readers[i];
        c->rows += t->rows;
        c->kept += t->kept;
        c->short_rows += t->short_rows;
        c->blank_lines += t->blank_lines;
        c->other_case += t->other_case;
        LOOM_TRY(add_unlisted(run->job, t, err));
        for (int d = 0; d < LOOM_DROPS; d++) {
            const loom_drop_count *drop = &t->drops[d];
            c->dropped[d] += drop->n;
            if (!drop->n) continue;
            int64_t line = run->blocks[drop->first_block].first_line + drop->first_line;
            if (c->first_line[d] == 0 || line < c->first_line[d]) c->first_line[d] = line;
        }
    }
    return LOOM_OK;
}

/* ---- joining the tables of the threads ---- */

static loom_status join_names(file_run *run, loom_intern *all, int which, loom_err *err)
{
    for (int i = 0; i < run->n_threads; i++) {
        const loom_intern *own = which == 0   ? &run->readers[i].services
                                 : which == 1 ? &run->readers[i].names
                                              : &run->readers[i].ids;
        uint32_t *map = loom_alloc(own->n, sizeof *map);
        if (!map) return loom_fail_nomem(err, "the names of a file");
        run->maps[i * 4 + which] = map;
        for (size_t k = 0; k < own->n; k++) {
            int64_t id = loom_intern_add(all, loom_intern_text(own, (int64_t)k), loom_intern_len(own, (int64_t)k));
            if (id < 0) return loom_fail_nomem(err, "the names of a file");
            map[k] = (uint32_t)id;
        }
    }
    return LOOM_OK;
}

/* Traces of the other threads are added to the table of thread 0, then their tables are let go. */
static loom_status join_traces(file_run *run, loom_err *err)
{
    run->traces = run->readers[0].traces;
    run->readers[0].traces = (loom_texts){0};
    for (int i = 1; i < run->n_threads; i++) {
        loom_texts *own = &run->readers[i].traces;
        uint32_t *map = loom_alloc(own->n, sizeof *map);
        if (!map) return loom_fail_nomem(err, "the traces of a file");
        run->maps[i * 4 + 3] = map;
        for (size_t k = 0; k < own->n; k++) {
            const char *text = loom_texts_at(own, (uint32_t)k);
            if ((map[k] = loom_texts_add(&run->traces, text, strlen(text))) == LOOM_TEXTS_FULL)
                return loom_texts_fail(place_of(run), err);
        }
        loom_texts_release(own);
    }
    loom_texts_seal(&run->traces);
    return LOOM_OK;
}

static void note_odd_name(loom_graphs_job *job, const char *name)
{
    if (!job->odd_name[0] && strpbrk(name, "/,:()<>[]")) snprintf(job->odd_name, sizeof job->odd_name, "%s", name);
}

static const char *final_name(file_run *run, loom_rename_kind kind, const char *raw)
{
    loom_buf text = {0};
    if (run->job->rename)
        loom_rename_append(run->job->rename, kind, raw, &text);
    else if (kind == LOOM_RENAME_SERVICE)
        loom_name_append_service(&text, raw, strlen(raw));
    else
        loom_name_append_microservice(&text, raw, strlen(raw));
    const char *name = loom_arena_strdup(&run->arena, loom_buf_text(&text), text.len);
    run->arena.failed |= loom_buf_failed(&text);
    loom_buf_release(&text);
    note_odd_name(run->job, name);
    return name;
}

/* Numbers for names without one; `texts` is copied, as it gets sorted. */
static loom_status rename_new(file_run *run, loom_rename_kind kind, const loom_intern *names, loom_err *err)
{
    if (!run->job->rename) return LOOM_OK;
    const char **texts = loom_alloc(names->n, sizeof *texts);
    if (!texts) return loom_fail_nomem(err, "a mapping of names");
    if (names->n) memcpy(texts, names->texts, names->n * sizeof *texts);
    bool added = loom_rename_add(run->job->rename, kind, texts, names->n);
    free(texts);
    return added ? LOOM_OK : loom_fail_nomem(err, "a mapping of names");
}

static loom_status final_names(file_run *run, loom_err *err)
{
    loom_arena *a = &run->arena;
    bool from_root = run->job->service_from_root;
    const loom_intern *services = from_root ? &run->all_names : &run->all_services;
    run->n_names = run->all_names.n;
    run->n_services = services->n;
    LOOM_TRY(rename_new(run, LOOM_RENAME_MICROSERVICE, &run->all_names, err));
    LOOM_TRY(rename_new(run, LOOM_RENAME_SERVICE, services, err));
    run->names = loom_arena_alloc(a, (run->n_names + 1) * sizeof *run->names);
    run->service_raw = loom_arena_alloc(a, (run->n_services + 1) * sizeof *run->service_raw);
    run->service_out = loom_arena_alloc(a, (run->n_services + 1) * sizeof *run->service_out);
    LOOM_TRY(loom_arena_check(a, "the names of a file", err));
    for (size_t i = 0; i < run->n_names; i++)
        run->names[i] = final_name(run, LOOM_RENAME_MICROSERVICE, loom_intern_text(&run->all_names, (int64_t)i));
    for (size_t i = 0; i < run->n_services; i++) {
        run->service_raw[i] = loom_intern_text(services, (int64_t)i);
        run->service_out[i] =
            from_root && !run->job->rename ? run->names[i] : final_name(run, LOOM_RENAME_SERVICE, run->service_raw[i]);
    }
    return loom_arena_check(a, "the names of a file", err);
}

static loom_status parse_ids(file_run *run, loom_err *err)
{
    loom_arena *a = &run->arena;
    int32_t components[LOOM_ID_MAX_COMPONENTS];
    size_t n = run->n_ids = run->all_ids.n;
    run->id_texts = run->all_ids.texts;
    run->ids = loom_arena_alloc(a, (n + 1) * sizeof *run->ids);
    run->id_lens = loom_arena_alloc(a, (n + 1) * sizeof *run->id_lens);
    LOOM_TRY(loom_arena_check(a, "the ids of a file", err));
    for (size_t i = 0; i < n; i++) {
        int32_t len = loom_id_parse(components, LOOM_ID_MAX_COMPONENTS, run->id_texts[i],
                                    loom_intern_len(&run->all_ids, (int64_t)i));
        int32_t *id = loom_arena_alloc(a, (size_t)(len > 0 ? len : 1) * sizeof *id);
        if (!id) break;
        if (len > 0) memcpy(id, components, (size_t)len * sizeof *id);
        run->ids[i] = id;
        run->id_lens[i] = len;
    }
    return loom_arena_check(a, "the ids of a file", err);
}

static void map_chunk(void *arg, int64_t item, int thread)
{
    file_run *run = arg;
    loom_chunk *chunk = &run->chunks.items[item];
    uint32_t *const *maps = &run->maps[chunk->thread * 4];
    bool has_service = !run->job->service_from_root;
    (void)thread;
    for (int32_t i = 0; i < chunk->n; i++) {
        loom_raw_row *r = &chunk->rows[i];
        if (has_service) r->service = maps[0][r->service];
        r->source = maps[1][r->source];
        r->destination = maps[1][r->destination];
        r->id = maps[2][r->id];
        if (maps[3]) r->trace = maps[3][r->trace];
    }
}

static loom_status join_tables(file_run *run, loom_err *err)
{
    LOOM_TRY(join_names(run, &run->all_services, 0, err));
    LOOM_TRY(join_names(run, &run->all_names, 1, err));
    LOOM_TRY(join_names(run, &run->all_ids, 2, err));
    LOOM_TRY(join_traces(run, err));
    LOOM_TRY(final_names(run, err));
    LOOM_TRY(parse_ids(run, err));
    loom_pool_for(run->job->pool, (int64_t)run->chunks.n, map_chunk, run);
    for (int i = 0; i < run->n_threads && !run->job->dropped; i++) { /* the list of dropped rows asks for them */
        free(run->maps[i * 4 + 3]);
        run->maps[i * 4 + 3] = NULL;
    }
    return LOOM_OK;
}

/* ---- grouping ---- */

/* All segments of the file in the order of its blocks. */
static loom_status ordered_segments(file_run *run, loom_segment **out, size_t *n, loom_err *err)
{
    size_t total = 0, *first;
    for (int i = 0; i < run->n_threads; i++) total += run->readers[i].n_segments;
    loom_segment *segments = loom_alloc(total, sizeof *segments);
    first = loom_calloc(run->n_blocks + 1, sizeof *first);
    if (!segments || !first) {
        free(segments);
        free(first);
        return loom_fail_nomem(err, "the order of a file");
    }
    for (int i = 0; i < run->n_threads; i++)
        for (size_t k = 0; k < run->readers[i].n_segments; k++) first[run->readers[i].segments[k].block + 1]++;
    for (size_t i = 0; i < run->n_blocks; i++) first[i + 1] += first[i];
    for (int i = 0; i < run->n_threads; i++) /* a block belongs to one thread, whose segments are in order */
        for (size_t k = 0; k < run->readers[i].n_segments; k++)
            segments[first[run->readers[i].segments[k].block]++] = run->readers[i].segments[k];
    free(first);
    *out = segments;
    *n = total;
    return LOOM_OK;
}

/* Counting sort of the rows by trace, keeping the order of the file; also the first timestamp of every trace. */
static loom_status group_rows(file_run *run, int64_t *base, loom_err *err)
{
    loom_status st;
    loom_segment *segments = NULL;
    size_t n_segments = 0, n_traces = run->traces.n;
    if ((st = ordered_segments(run, &segments, &n_segments, err)) != LOOM_OK) return st;
    for (size_t s = 0; s < n_segments; s++) {
        const loom_raw_row *rows = run->chunks.items[segments[s].chunk].rows + segments[s].first;
        for (int32_t i = 0; i < segments[s].n; i++) {
            uint32_t t = rows[i].trace;
            if (run->starts[t]++ == 0 || rows[i].timestamp < base[t]) base[t] = rows[i].timestamp;
        }
    }
    uint32_t sum = 0; /* counts to ends; placing from the back turns ends into starts */
    for (size_t t = 0; t < n_traces; t++) run->starts[t] = sum += run->starts[t];
    run->starts[n_traces] = sum;
    for (size_t s = n_segments; s-- > 0;) {
        const loom_raw_row *rows = run->chunks.items[segments[s].chunk].rows + segments[s].first;
        for (int32_t i = segments[s].n; i-- > 0;)
            run->refs[--run->starts[rows[i].trace]] = segments[s].chunk << 16 | (uint32_t)(segments[s].first + i);
    }
    free(segments);
    return LOOM_OK;
}

/* LSD radix sort by time of day: three passes of 9 bits hold 27 bits > 86,399,999. */
static void sort_by_time(trace_key *keys, trace_key *copy, size_t n)
{
    for (int shift = 0; shift < 27; shift += 9) {
        size_t counts[513] = {0};
        for (size_t i = 0; i < n; i++) counts[(keys[i].time_of_day >> shift & 511) + 1]++;
        for (int i = 0; i < 512; i++) counts[i + 1] += counts[i];
        for (size_t i = 0; i < n; i++) copy[counts[keys[i].time_of_day >> shift & 511]++] = keys[i];
        memcpy(keys, copy, n * sizeof *keys);
    }
}

static int compare_traceids(const void *a, const void *b, void *texts)
{
    return strcmp(loom_texts_at(texts, ((const trace_key *)a)->trace),
                  loom_texts_at(texts, ((const trace_key *)b)->trace));
}

/* The order of the output: time of day, then trace id by bytes. `base` is used up: the sort needs as much room. */
static void order_traces(file_run *run, int64_t *base)
{
    size_t n = 0;
    for (size_t t = 0; t < run->traces.n; t++) {
        if (run->starts[t + 1] == run->starts[t]) continue;
        int64_t time = base[t] % LOOM_MS_PER_DAY;
        run->order[n++] = (trace_key){(uint32_t)(time < 0 ? time + LOOM_MS_PER_DAY : time), (uint32_t)t};
    }
    static_assert(sizeof(trace_key) == sizeof *base, "the sort's copy takes the room of the first timestamps");
    sort_by_time(run->order, (trace_key *)(void *)base, n);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && run->order[end].time_of_day == run->order[i].time_of_day;) end++;
        if (end - i > 1) qsort_r(run->order + i, end - i, sizeof *run->order, compare_traceids, &run->traces);
    }
    run->n_ordered = n;
    run->counts.traces = (int64_t)run->traces.n;
    run->counts.rejected[LOOM_TRACE_NO_ROWS_LEFT] = run->counts.reasons[LOOM_TRACE_NO_ROWS_LEFT] =
        (int64_t)(run->traces.n - n);
}

static loom_status group(file_run *run, loom_err *err)
{
    size_t n = run->traces.n;
    int64_t *base = loom_alloc(n, sizeof *base);
    run->starts = loom_calloc(n + 1, sizeof *run->starts);
    run->refs = loom_alloc((size_t)run->counts.kept, sizeof *run->refs);
    run->order = loom_alloc(n, sizeof *run->order);
    loom_status st = LOOM_OK;
    if (!base || !run->starts || !run->refs || !run->order)
        st = loom_fail_nomem(err, "grouping the rows of a file");
    else if ((st = group_rows(run, base, err)) == LOOM_OK)
        order_traces(run, base);
    free(base);
    run->counts.table_bytes =
        run->counts.kept * (int64_t)(sizeof(loom_raw_row) + sizeof *run->refs) + loom_texts_bytes(&run->traces) +
        (int64_t)(n * (sizeof *base + sizeof *run->starts + sizeof *run->order));
    return st;
}

/* Traces that an earlier file had too; in the order of the output, so that the first of them is the same for any number
 * of threads. */
static loom_status note_split_traces(file_run *run, loom_err *err)
{
    loom_graphs_job *job = run->job;
    bool back;

    for (size_t i = 0; i < run->n_ordered; i++) {
        const char *id = loom_texts_at(&run->traces, run->order[i].trace);
        if (!loom_split_traces_add(&job->ids, id, strlen(id), &back))
            return loom_fail_nomem(err, "the traces of several files");
        if (!back) continue;
        if (job->ids.n_back == 1) loom_buf_printf(&job->first_split, "%s, trace %s", place_of(run), id);
        run->counts.split_traces++;
    }
    return loom_buf_check(&job->first_split, "the traces of several files", err);
}

/* ---- building ---- */

/* What one thread needs while building. */
typedef struct builder {
    loom_arena arena;
    loom_row *rows;
    size_t cap_rows;
    bool failed; /* memory ran out */
    loom_graphs_counts counts; /* graphs, edges, repeated ids, rejected, reasons */
} builder;

typedef struct batch_item {
    loom_buf records, verdicts;
} batch_item;

typedef struct build_run {
    file_run *file;
    builder *builders;  /* (threads) */
    batch_item *items[2]; /* (n_items) each: one set is built while the other is written */
    int64_t n_items;
    size_t first;       /* trace of item 0 of the set that is built */
    int set;            /* index of that set */
    loom_status status; /* of writing */
    loom_err err;
} build_run;

static const loom_raw_row *row_at(const file_run *run, uint32_t ref)
{
    return &run->chunks.items[ref >> 16].rows[ref & 0xffff];
}

/* The rows of a trace with their names; returns the number of its smallest service. */
static uint32_t gather(const file_run *run, builder *b, const uint32_t *refs, size_t n)
{
    uint32_t service = row_at(run, refs[0])->service;
    for (size_t i = 0; i < n; i++) {
        const loom_raw_row *r = row_at(run, refs[i]);
        b->rows[i] = (loom_row){r->timestamp,           r->rt,
                                run->id_texts[r->id],   run->ids[r->id],
                                run->id_lens[r->id],    (loom_call_type)r->type,
                                run->names[r->source],  run->names[r->destination],
                                ""};
        if (r->service != service && !run->job->service_from_root &&
            strcmp(run->service_raw[r->service], run->service_raw[service]) < 0)
            service = r->service;
    }
    return service;
}

/* With --service-from root: the number of the destination of the first call in dotted-id order. */
static uint32_t root_callee(const file_run *run, const uint32_t *refs, size_t n, const loom_call *root)
{
    for (size_t i = 0; i < n; i++) {
        const loom_raw_row *r = row_at(run, refs[i]);
        if (run->ids[r->id] == root->id && run->names[r->destination] == root->destination) return r->destination;
    }
    return 0;
}

static void count_verdict(builder *b, const loom_verdict *v)
{
    bool seen[LOOM_REASONS] = {false};
    b->counts.rejected[v->reasons[0]]++;
    for (int32_t i = 0; i < v->n && i < LOOM_VERDICT_MAX; i++) {
        if (!seen[v->reasons[i]]) b->counts.reasons[v->reasons[i]]++;
        seen[v->reasons[i]] = true;
    }
}

static void render_verdict(loom_buf *into, const char *trace, const loom_verdict *v, const char *fault, int64_t edges)
{
    loom_jw w;
    loom_jw_init(&w, into, false);
    loom_jw_begin_object(&w);
    loom_jw_kv_str(&w, "trace", trace);
    loom_jw_kv_bool(&w, "accepted", !fault && v->n == 0);
    loom_jw_key(&w, "reasons");
    loom_jw_begin_array(&w);
    if (fault) loom_jw_str(&w, fault);
    for (int32_t i = 0; v && i < v->n && i < LOOM_VERDICT_MAX; i++)
        loom_jw_str(&w, loom_reason_name((loom_reason)v->reasons[i]));
    loom_jw_end_array(&w);
    if (!fault) loom_jw_kv_i64(&w, "unique_edges", edges);
    loom_jw_end_object(&w);
    loom_buf_char(into, '\n');
}

/* Tables that name no service are those that tell the sides of a call by the sign of rt. */
static bool build_calls(const file_run *run, builder *b, loom_graph *g, int64_t n)
{
    loom_record_pairs pairs = {0};
    int64_t twins = run->job->service_from_root ? loom_record_pairs_join(&pairs, b->rows, n, &b->arena) : 0;

    int64_t repeated = b->arena.failed ? -1 : loom_rows_to_graph(g, b->rows, n - twins, &b->arena);
    if (repeated < 0) return false;
    b->counts.repeated_ids += twins + repeated;
    b->counts.callee_twins += twins;
    b->counts.callee_only += pairs.callee_only;
    b->counts.moved_calls += loom_record_pairs_fit(&pairs, g, &b->arena);
    return !b->arena.failed;
}

static void build_trace(const file_run *run, builder *b, uint32_t trace, batch_item *item)
{
    const uint32_t *refs = run->refs + run->starts[trace];
    size_t n = run->starts[trace + 1] - run->starts[trace];
    const char *traceid = loom_texts_at(&run->traces, trace);
    loom_graph g;
    loom_verdict v = {0};
    if (n > LOOM_TRACE_MAX_ROWS) {
        b->counts.rejected[LOOM_TRACE_TOO_LARGE]++;
        b->counts.reasons[LOOM_TRACE_TOO_LARGE]++;
        if (run->job->verdicts)
            render_verdict(&item->verdicts, traceid, NULL, loom_trace_fault_name(LOOM_TRACE_TOO_LARGE), 0);
        return;
    }
    loom_arena_reset(&b->arena);
    b->failed |= loom_grow(&b->rows, &b->cap_rows, n, sizeof *b->rows, NULL) != LOOM_OK;
    if (b->failed) return;
    uint32_t service = gather(run, b, refs, n);
    if ((b->failed = !build_calls(run, b, &g, (int64_t)n))) return;
    if (run->job->service_from_root) service = root_callee(run, refs, n, &g.calls[0]);
    g.service = run->service_out[service];
    loom_graph_check(&v, &g);
    if (run->job->verdicts) render_verdict(&item->verdicts, traceid, &v, NULL, g.n_calls);
    if (v.n) {
        count_verdict(b, &v);
        return;
    }
    b->counts.graphs++;
    b->counts.edges += g.n_calls;
    loom_record_render(&item->records, &g);
    loom_buf_char(&item->records, '\n');
}

static void build_item(build_run *build, int64_t item, int thread)
{
    const file_run *run = build->file;
    batch_item *to = &build->items[build->set][item];
    size_t first = build->first + (size_t)item * TRACES_PER_ITEM, end = first + TRACES_PER_ITEM;
    loom_buf_reset(&to->records);
    loom_buf_reset(&to->verdicts);
    for (size_t i = first; i < end && i < run->n_ordered; i++)
        build_trace(run, &build->builders[thread], run->order[i].trace, to);
    build->builders[thread].failed |= loom_buf_failed(&to->records) || loom_buf_failed(&to->verdicts);
}

static void write_set(build_run *build)
{
    loom_graphs_job *job = build->file->job;
    batch_item *items = build->items[1 - build->set];
    for (int64_t i = 0; i < build->n_items && build->status == LOOM_OK; i++) {
        build->status = loom_out_write(job->out, items[i].records.data, items[i].records.len, &build->err);
        if (build->status == LOOM_OK && job->verdicts)
            build->status = loom_out_write(job->verdicts, items[i].verdicts.data, items[i].verdicts.len, &build->err);
        loom_buf_reset(&items[i].records);
        loom_buf_reset(&items[i].verdicts);
    }
}

/* Item 0 writes the set before, which is slow because of the compression; the others build. */
static void build_or_write(void *arg, int64_t item, int thread)
{
    build_run *build = arg;
    if (item == 0)
        write_set(build);
    else
        build_item(build, item - 1, thread);
}

static void add_counts(loom_graphs_counts *into, const loom_graphs_counts *from)
{
    into->bytes += from->bytes;
    into->rows += from->rows;
    into->kept += from->kept;
    into->short_rows += from->short_rows;
    into->blank_lines += from->blank_lines;
    into->other_case += from->other_case;
    into->repeated_ids += from->repeated_ids;
    into->callee_twins += from->callee_twins;
    into->callee_only += from->callee_only;
    into->moved_calls += from->moved_calls;
    into->table_bytes = loom_max_i64(into->table_bytes, from->table_bytes);
    into->traces += from->traces;
    into->split_traces += from->split_traces;
    into->graphs += from->graphs;
    into->edges += from->edges;
    for (int i = 0; i < LOOM_DROPS; i++) into->dropped[i] += from->dropped[i];
    for (int i = 0; i < LOOM_TRACE_FAULTS; i++) {
        into->rejected[i] += from->rejected[i];
        into->reasons[i] += from->reasons[i];
    }
}

static void release_build(build_run *build, int n_threads)
{
    for (int i = 0; build->builders && i < n_threads; i++) {
        loom_arena_release(&build->builders[i].arena);
        free(build->builders[i].rows);
    }
    for (int set = 0; set < 2; set++) {
        for (int64_t i = 0; build->items[set] && i < build->n_items; i++) {
            loom_buf_release(&build->items[set][i].records);
            loom_buf_release(&build->items[set][i].verdicts);
        }
        free(build->items[set]);
    }
    free(build->builders);
}

static loom_status build_graphs(file_run *run, loom_err *err)
{
    build_run build = {.file = run, .n_items = (int64_t)run->n_threads * ITEMS_PER_THREAD};
    build.builders = loom_calloc((size_t)run->n_threads, sizeof *build.builders);
    build.items[0] = loom_calloc((size_t)build.n_items, sizeof *build.items[0]);
    build.items[1] = loom_calloc((size_t)build.n_items, sizeof *build.items[1]);
    loom_status st = LOOM_OK;
    if (!build.builders || !build.items[0] || !build.items[1]) {
        st = loom_fail_nomem(err, "building graphs");
        goto done;
    }
    size_t step = (size_t)build.n_items * TRACES_PER_ITEM;
    for (; build.first < run->n_ordered && build.status == LOOM_OK; build.first += step) {
        if (loom_stop_requested()) {
            st = loom_fail(err, LOOM_STATUS_INTERRUPT, "interrupted; nothing was left half-written");
            goto done;
        }
        loom_pool_for(run->job->pool, build.n_items + 1, build_or_write, &build);
        build.set = 1 - build.set;
    }
    if (build.status == LOOM_OK) write_set(&build);
    if ((st = build.status) != LOOM_OK && err) *err = build.err;
    for (int i = 0; i < run->n_threads; i++) {
        add_counts(&run->counts, &build.builders[i].counts);
        if (st == LOOM_OK && build.builders[i].failed) st = loom_fail_nomem(err, "building graphs");
    }
done:
    release_build(&build, run->n_threads);
    return st;
}

/* ---- listings ---- */

static int compare_dropped(const void *a, const void *b)
{
    const loom_dropped *x = a, *y = b;
    if (x->block != y->block) return x->block < y->block ? -1 : 1;
    return (x->line > y->line) - (x->line < y->line);
}

/* file,line,trace,reason of every dropped row, in the order of the file. The line of a row in its block becomes its
 * line in the file, the number of its trace that of the joined table. */
static loom_status list_dropped(file_run *run, loom_err *err)
{
    size_t n = 0;
    loom_status st = LOOM_OK;
    for (int i = 0; i < run->n_threads; i++) n += run->readers[i].n_dropped;
    loom_dropped *all = loom_alloc(n, sizeof *all);
    if (!all) return loom_fail_nomem(err, "the list of dropped rows");
    n = 0;
    for (int i = 0; i < run->n_threads; i++)
        for (size_t k = 0; k < run->readers[i].n_dropped; k++) {
            loom_dropped d = run->readers[i].dropped[k];
            d.line += run->blocks[d.block].first_line;
            if (d.trace != UINT32_MAX && run->maps[i * 4 + 3]) d.trace = run->maps[i * 4 + 3][d.trace];
            all[n++] = d;
        }
    qsort(all, n, sizeof *all, compare_dropped);
    loom_buf line = {0}, guarded = {0};
    for (size_t i = 0; i < n && st == LOOM_OK; i++) {
        const char *place = run->tables[run->blocks[all[i].block].table].place;
        const char *trace = all[i].trace == UINT32_MAX ? "" : loom_texts_at(&run->traces, all[i].trace);
        loom_buf_reset(&line);
        loom_csv_cell(&line, place, strlen(place));
        loom_buf_printf(&line, ",%lld,", (long long)all[i].line);
        loom_csv_cell(&line, trace, strlen(trace));
        loom_buf_printf(&line, ",%s\n", loom_drop_name(all[i].why));
        loom_buf_reset(&guarded);
        if (run->job->safe_csv) loom_csv_guard(&guarded, line.data, line.len);
        const loom_buf *row = run->job->safe_csv ? &guarded : &line;
        st = loom_out_write(run->job->dropped, row->data, row->len, err);
    }
    loom_buf_release(&line);
    loom_buf_release(&guarded);
    free(all);
    return st;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* By trace id: their numbers depend on which thread saw them first. */
static loom_status list_empty_traces(file_run *run, loom_err *err)
{
    loom_buf line = {0};
    loom_status st = LOOM_OK;
    size_t n = 0;
    const char **names = loom_alloc(run->traces.n, sizeof *names);
    if (!names) return loom_fail_nomem(err, "the list of verdicts");
    for (size_t t = 0; t < run->traces.n; t++)
        if (run->starts[t + 1] == run->starts[t]) names[n++] = loom_texts_at(&run->traces, (uint32_t)t);
    qsort(names, n, sizeof *names, compare_names);
    for (size_t i = 0; i < n && st == LOOM_OK; i++) {
        loom_buf_reset(&line);
        render_verdict(&line, names[i], NULL, loom_trace_fault_name(LOOM_TRACE_NO_ROWS_LEFT), 0);
        if ((st = loom_buf_check(&line, "a verdict", err)) != LOOM_OK) break;
        st = loom_out_write(run->job->verdicts, line.data, line.len, err);
    }
    loom_buf_release(&line);
    free(names);
    return st;
}

/* ---- one file ---- */

static loom_status read_header(file_run *run, loom_err *err)
{
    loom_csv csv = {0};
    loom_csv_kind kind;
    const char *place = place_of(run);
    loom_status st =
        loom_csv_reader_header(&run->reader, &csv, &kind, &run->tables[run->n_tables - 1].header_lines, err);
    if (st != LOOM_OK) goto done;
    if (kind == LOOM_CSV_END)
        st = loom_fail(err, LOOM_STATUS_FORMAT,
                       "%s: the file is empty; expected a CSV file whose first line names its columns", place);
    else if (kind != LOOM_CSV_RECORD || !loom_utf8_valid(run->reader.carry.data, run->reader.used))
        st = loom_fail(err, LOOM_STATUS_FORMAT,
                       "%s: line 1: not a CSV file (the header line is %s); expected a line that names the columns",
                       place,
                       kind == LOOM_CSV_BAD_QUOTES                          ? "not closed by its quotes"
                       : kind == LOOM_CSV_TOO_LONG || kind == LOOM_CSV_MORE ? "longer than 1 MiB"
                                                                            : "binary data");
    else
        st = loom_row_reader_columns(&run->job->rules, &csv, run->job->service_from_root, place, err);
    if (st == LOOM_OK && run->job->service_from_root) run->job->rules.column[LOOM_COLUMN_SERVICE] = -1;
done:
    loom_csv_release(&csv);
    return st;
}

static loom_status new_run(file_run **out, loom_graphs_job *job, loom_err *err)
{
    file_run *run = loom_calloc(1, sizeof *run);
    if (!run) return loom_fail_nomem(err, "reading a file");
    run->job = job;
    run->n_threads = loom_pool_threads(job->pool);
    pthread_mutex_init(&run->lock, NULL);
    run->readers = loom_calloc((size_t)run->n_threads, sizeof *run->readers);
    run->maps = loom_calloc((size_t)run->n_threads * 4, sizeof *run->maps);
    *out = run;
    if (!run->readers || !run->maps) return loom_fail_nomem(err, "reading a file");
    for (int i = 0; i < run->n_threads; i++) LOOM_TRY(loom_row_reader_init(&run->readers[i], &job->rules, i, err));
    return LOOM_OK;
}

static void free_run(file_run *run)
{
    if (!run) return;
    for (int i = 0; run->readers && i < run->n_threads; i++) loom_row_reader_release(&run->readers[i]);
    for (int i = 0; run->maps && i < run->n_threads * 4; i++) free(run->maps[i]);
    for (size_t i = 0; i < run->chunks.n; i++) free(run->chunks.items[i].rows);
    free(run->readers);
    free(run->maps);
    free(run->chunks.items);
    free(run->blocks);
    free(run->starts);
    free(run->refs);
    free(run->order);
    loom_csv_reader_release(&run->reader);
    loom_texts_release(&run->traces);
    loom_intern_release(&run->all_names);
    loom_intern_release(&run->all_services);
    loom_intern_release(&run->all_ids);
    loom_arena_release(&run->arena);
    for (size_t i = 0; i < run->n_tables; i++) free(run->tables[i].place);
    free(run->tables);
    pthread_mutex_destroy(&run->lock);
    free(run);
}

/* How many rows each chunk holds, from the segments. */
static void count_chunk_rows(file_run *run)
{
    for (int i = 0; i < run->n_threads; i++)
        for (size_t k = 0; k < run->readers[i].n_segments; k++)
            run->chunks.items[run->readers[i].segments[k].chunk].n += run->readers[i].segments[k].n;
}

static void render_counts(loom_jw *w, const loom_graphs_counts *c, bool with_lines);

static void report_file(file_run *run)
{
    loom_graphs_job *job = run->job;
    loom_jw w;
    if (job->files.len) loom_buf_char(&job->files, ',');
    loom_jw_init(&w, &job->files, false);
    loom_jw_begin_object(&w);
    if (job->merge)
        loom_jw_kv_i64(&w, "files_merged", (int64_t)run->n_tables);
    else
        loom_jw_kv_str(&w, "file", place_of(run));
    render_counts(&w, &run->counts, !job->merge);
    loom_jw_end_object(&w);
    add_counts(&job->total, &run->counts);
    job->most_rows = loom_max_i64(job->most_rows, run->counts.kept);
    job->n_files += (int64_t)run->n_tables;
    job->n_empty_files += run->counts.graphs == 0;
}

static loom_status add_table(file_run *run, loom_in *in, const char *path, loom_err *err)
{
    const char *member = loom_in_member(in);
    loom_buf place = {0};
    LOOM_TRY(loom_grow(&run->tables, &run->cap_tables, run->n_tables + 1, sizeof *run->tables, err));
    loom_buf_str(&place, strcmp(path, "-") == 0 ? "standard input" : path);
    if (member[0]) loom_buf_printf(&place, "(%s)", member);
    char *text = loom_buf_take(&place);
    if (!text) return loom_fail_nomem(err, "a file name");
    run->tables[run->n_tables++] = (table_info){.place = text};
    loom_csv_reader_release(&run->reader);
    run->reader = (loom_csv_reader){.in = in};
    return read_header(run, err);
}

/* The rows of one file or member. */
static loom_status read_table(file_run *run, loom_in *in, const char *path, loom_err *err)
{
    LOOM_TRY(add_table(run, in, path, err));
    for (int i = 0; i < run->n_threads; i++) run->readers[i].csv.n_columns = run->job->rules.n_columns;
    double start = loom_time_now();
    loom_pool_each(run->job->pool, read_blocks, run);
    run->read_seconds += loom_time_now() - start;
    run->counts.bytes += run->reader.bytes;
    run->reader.bytes = 0;
    if (run->status != LOOM_OK && err) *err = run->err;
    return run->status;
}

/* Everything after the rows are read. */
static loom_status finish_run(file_run *run, loom_err *err)
{
    double start = loom_time_now(), joined, grouped;
    count_chunk_rows(run);
    number_lines(run);
    LOOM_TRY(count_rows(run, err));
    LOOM_TRY(join_tables(run, err));
    joined = loom_time_now();
    LOOM_TRY(group(run, err));
    if (run->job->several && !run->job->merge) LOOM_TRY(note_split_traces(run, err));
    grouped = loom_time_now();
    if (run->job->dropped) LOOM_TRY(list_dropped(run, err));
    LOOM_TRY(build_graphs(run, err));
    loom_verbose("%s: rows read in %.2f s, tables joined in %.2f s, rows grouped in %.2f s, graphs built in %.2f s",
                 place_of(run), run->read_seconds, joined - start, grouped - joined, loom_time_now() - grouped);
    if (run->job->verdicts) LOOM_TRY(list_empty_traces(run, err));
    report_file(run);
    return LOOM_OK;
}

static loom_status add_member(loom_graphs_job *job, loom_in *in, const char *path, loom_err *err)
{
    file_run *run = NULL;
    loom_status st = LOOM_OK;
    if (job->merge) {
        if (!job->merged) LOOM_TRY(new_run(&job->merged, job, err));
        return read_table(job->merged, in, path, err);
    }
    if ((st = new_run(&run, job, err)) == LOOM_OK && (st = read_table(run, in, path, err)) == LOOM_OK)
        st = finish_run(run, err);
    free_run(run);
    return st;
}

/* About how many rows a file has, from the lines of its first block; *sure when that block is all of it. A packed file is
 * taken for ten times as much text, which CSV tables hardly reach. */
static loom_status estimate_rows(int64_t *rows, bool *sure, file_run *run, const char *path, loom_err *err)
{
    loom_buf block = {0};
    size_t whole = 0, len = strlen(path);
    loom_status st = loom_csv_reader_block(&run->reader, &block, &whole, sure, err);
    if (st == LOOM_OK && whole) {
        for (size_t i = 0; i < whole; i++) *rows += block.data[i] == '\n';
        if (!*sure) {
            double text = (double)loom_file_size(path) * (len > 4 && strcmp(path + len - 4, ".csv") == 0 ? 1 : 10);
            *rows = (int64_t)(text / (double)whole * (double)*rows);
        }
    }
    loom_buf_release(&block);
    return st;
}

static loom_status check_member(loom_graphs_job *job, loom_in *in, const char *path, loom_err *err)
{
    file_run *run = NULL;
    int64_t rows = 0;
    bool sure = true;
    loom_status st = new_run(&run, job, err);
    if (st == LOOM_OK) st = add_table(run, in, path, err);
    if (st == LOOM_OK) st = estimate_rows(&rows, &sure, run, path, err);
    free_run(run);
    job->unknown |= !sure && loom_file_size(path) < 0;
    job->estimated |= !sure;
    job->most_rows = job->merge ? job->most_rows + rows : loom_max_i64(job->most_rows, rows);
    return st;
}

static bool is_csv_member(const char *name)
{
    size_t n = strlen(name);
    if (n && loom_path_is_hidden(name)) return false; /* macOS puts "._NAME" beside NAME */
    return n == 0 || (n >= 4 && strcmp(name + n - 4, ".csv") == 0);
}

typedef loom_status member_fn(loom_graphs_job *job, loom_in *in, const char *path, loom_err *err);

static loom_status each_member(loom_graphs_job *job, const char *path, member_fn *fn, loom_err *err)
{
    loom_in *in = NULL;
    bool more = true, found = false;
    loom_status st = loom_in_open(&in, path, err);
    while (st == LOOM_OK && more) {
        job->several |= loom_in_member(in)[0] != 0;
        if (is_csv_member(loom_in_member(in))) {
            found = true;
            if ((st = fn(job, in, path, err)) != LOOM_OK) break;
        }
        st = loom_in_next_member(in, &more, err);
    }
    if (st == LOOM_OK && !found)
        st = loom_fail(err, LOOM_STATUS_FORMAT,
                       "%s: no member whose name ends in .csv; pack the CallGraph table itself", path);
    loom_in_close(&in);
    return st;
}

loom_status loom_graphs_add_file(loom_graphs_job *job, const char *path, loom_err *err)
{
    return each_member(job, path, add_member, err);
}

loom_status loom_graphs_check_file(loom_graphs_job *job, const char *path, loom_err *err)
{
    return each_member(job, path, check_member, err);
}

loom_status loom_graphs_finish(loom_graphs_job *job, loom_err *err)
{
    if (!job->merged) return LOOM_OK;
    loom_status st = finish_run(job->merged, err);
    free_run(job->merged);
    job->merged = NULL;
    return st;
}

/* ---- reports ---- */

static void render_map(loom_jw *w, const char *key, const int64_t *counts, int n, const char *(*name)(int))
{
    loom_jw_key(w, key);
    loom_jw_begin_object(w);
    for (int i = 0; i < n; i++)
        if (counts[i]) loom_jw_kv_i64(w, name(i), counts[i]);
    loom_jw_end_object(w);
}

static const char *drop_name(int drop) { return loom_drop_name((loom_drop)drop); }

static void render_counts(loom_jw *w, const loom_graphs_counts *c, bool with_lines)
{
    int64_t dropped = 0, rejected = 0;
    for (int i = 0; i < LOOM_DROPS; i++) dropped += c->dropped[i];
    for (int i = 0; i < LOOM_TRACE_FAULTS; i++) rejected += c->rejected[i];
    loom_jw_kv_i64(w, "bytes", c->bytes);
    loom_jw_kv_i64(w, "rows", c->rows);
    loom_jw_kv_i64(w, "rows_kept", c->kept);
    loom_jw_kv_i64(w, "rows_dropped", dropped);
    render_map(w, "rows_dropped_by_reason", c->dropped, LOOM_DROPS, drop_name);
    if (with_lines) render_map(w, "first_line_by_reason", c->first_line, LOOM_DROPS, drop_name);
    loom_jw_kv_i64(w, "rows_with_missing_fields", c->short_rows);
    loom_jw_kv_i64(w, "rows_with_type_in_other_case", c->other_case);
    loom_jw_kv_i64(w, "blank_lines", c->blank_lines);
    loom_jw_kv_i64(w, "traces", c->traces);
    loom_jw_kv_i64(w, "split_traces", c->split_traces);
    loom_jw_kv_i64(w, "graphs", c->graphs);
    loom_jw_kv_i64(w, "edges", c->edges);
    loom_jw_kv_i64(w, "repeated_ids_dropped", c->repeated_ids);
    loom_jw_kv_i64(w, "callee_records_dropped", c->callee_twins);
    loom_jw_kv_i64(w, "calls_by_callee_records", c->callee_only);
    loom_jw_kv_i64(w, "calls_moved_to_callers_clock", c->moved_calls);
    loom_jw_kv_i64(w, "graphs_dropped", rejected);
    loom_jw_kv_i64(w, "table_bytes", c->table_bytes);
    render_map(w, "graphs_dropped_by_first_reason", c->rejected, LOOM_TRACE_FAULTS, loom_trace_fault_name);
    render_map(w, "graphs_with_reason", c->reasons, LOOM_TRACE_FAULTS, loom_trace_fault_name);
}

void loom_graphs_render_report(const loom_graphs_job *job, loom_buf *into)
{
    loom_jw w;
    loom_jw_init(&w, into, false);
    loom_buf_printf(into, "{\"files\":[%s],\"total\":", loom_buf_text(&job->files));
    loom_jw_begin_object(&w);
    loom_jw_kv_i64(&w, "files", job->n_files);
    render_counts(&w, &job->total, false);
    loom_jw_kv_i64(&w, "split_traces_not_sought_among", job->ids.n_forgotten);
    loom_jw_end_object(&w);
    loom_buf_str(into, ",\"types_not_listed\":");
    loom_jw_init(&w, into, false);
    loom_jw_begin_object(&w);
    for (size_t i = 0; i < job->unlisted.n; i++)
        if (loom_utf8_valid(loom_intern_text(&job->unlisted, (int64_t)i), loom_intern_len(&job->unlisted, (int64_t)i)))
            loom_jw_kv_i64(&w, loom_intern_text(&job->unlisted, (int64_t)i), job->unlisted_counts[i]);
    loom_jw_end_object(&w);
    loom_buf_char(into, '}');
}

static void render_reasons(loom_buf *into, const char *what, const int64_t *counts, int n, const char *(*name)(int))
{
    int64_t sum = 0;
    for (int i = 0; i < n; i++) sum += counts[i];
    if (!sum) return;
    loom_buf_printf(into, "%s%lld %s%s dropped:", into->len ? "; " : "", (long long)sum, what, sum == 1 ? "" : "s");
    bool first = true;
    for (int i = 0; i < n; i++) {
        if (!counts[i]) continue;
        loom_buf_printf(into, "%s %s %lld", first ? "" : ",", name(i), (long long)counts[i]);
        first = false;
    }
}

void loom_graphs_render_reasons(const loom_graphs_counts *c, loom_buf *into)
{
    render_reasons(into, "row", c->dropped, LOOM_DROPS, drop_name);
    render_reasons(into, "trace", c->rejected, LOOM_TRACE_FAULTS, loom_trace_fault_name);
}

void loom_graphs_job_release(loom_graphs_job *job)
{
    free_run(job->merged);
    loom_buf_release(&job->files);
    loom_split_traces_release(&job->ids);
    loom_buf_release(&job->first_split);
    loom_intern_release(&job->unlisted);
    free(job->unlisted_counts);
}
