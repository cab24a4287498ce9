#include "preprocess/stores/store_stream.h"

#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/num.h"
#include "core/ranks.h"
#include "trace/graph/record.h"

enum { BLOCK_BYTES = 512 << 10, BLOCKS_PER_THREAD = 3, BLOCKS_PER_TURN = 8 };

typedef struct block_set {
    loom_store_block *blocks; /* (n_blocks); the first n_filled hold text */
    int64_t n_filled;
} block_set;

typedef struct stream_run {
    const loom_store_stream *job;
    const char *const *paths;
    int64_t n_paths, next_path;
    loom_in *in;
    const char *path; /* of `in` */
    loom_buf carry;   /* the beginning of a line */
    int64_t line;     /* lines read from this file */
    int64_t block;    /* of this file */
    int64_t bytes;
    loom_buf bytes_over; /* what ranks hand over */
    block_set sets[2];
    int64_t n_blocks;
    int current; /* the set that is worked on */
    loom_status status;
    loom_err err;
} stream_run;

static int64_t count_lines(const char *text, size_t len)
{
    int64_t n = 0;
    for (size_t i = 0; i < len; i++) n += text[i] == '\n';
    return n;
}

/* Appends up to BLOCK_BYTES of the member that is open; *ended at its end. */
static loom_status read_some(stream_run *run, loom_buf *text, bool *ended, loom_err *err)
{
    if (!loom_buf_reserve(text, BLOCK_BYTES)) return loom_fail_nomem(err, "a block of the file");
    for (size_t got = 0; got < BLOCK_BYTES;) {
        size_t n;
        LOOM_TRY(loom_in_read(run->in, text->data + text->len, BLOCK_BYTES - got, &n, err));
        text->len += n;
        got += n;
        run->bytes += (int64_t)n;
        if ((*ended = n == 0)) break;
    }
    text->data[text->len] = 0;
    return LOOM_OK;
}

static loom_status open_next(stream_run *run, bool *more, loom_err *err)
{
    *more = false;
    if (run->in) {
        LOOM_TRY(loom_in_next_member(run->in, more, err));
        if (*more) return LOOM_OK;
        loom_in_close(&run->in);
    }
    if (run->next_path == run->n_paths) return LOOM_OK;
    run->path = run->paths[run->next_path++];
    run->line = run->block = 0;
    *more = true;
    return loom_in_open(&run->in, run->path, err);
}

/* Fills one block with whole lines; false in *more when there are no more files. */
static loom_status fill_block(stream_run *run, loom_store_block *block, bool *more, loom_err *err)
{
    bool ended = false;
    loom_buf_reset(&block->text);
    while (block->text.len == 0) {
        if (!run->in) LOOM_TRY(open_next(run, more, err));
        if (!run->in) return LOOM_OK;
        loom_buf_append(&block->text, loom_buf_text(&run->carry), run->carry.len);
        loom_buf_reset(&run->carry);
        const char *lf = NULL;
        while (!lf && !ended) {
            LOOM_TRY(read_some(run, &block->text, &ended, err));
            lf = memrchr(block->text.data, '\n', block->text.len);
            if (!lf && block->text.len > LOOM_BOUND_LINE)
                return loom_fail(err, LOOM_STATUS_FORMAT,
                                 "%s:%lld: a line of more than 64 MiB; this is not a graph store", run->path,
                                 (long long)run->line + 1);
        }
        if (!ended) {
            size_t whole = (size_t)(lf + 1 - block->text.data);
            loom_buf_append(&run->carry, lf + 1, block->text.len - whole);
            block->text.len = whole;
            block->text.data[whole] = 0;
        }
        LOOM_TRY(loom_buf_check(&run->carry, "a block of the file", err));
        block->path = run->path;
        block->first_line = run->line + 1;
        block->turn = run->next_path - 1 + run->block++ / BLOCKS_PER_TURN;
        run->line += count_lines(block->text.data, block->text.len);
        if (ended) LOOM_TRY(open_next(run, more, err));
        ended = false;
    }
    *more = true;
    return LOOM_OK;
}

static void fill_set(stream_run *run, block_set *set)
{
    bool more = true;
    set->n_filled = 0;
    while (run->status == LOOM_OK && set->n_filled < run->n_blocks) {
        loom_store_block *block = &set->blocks[set->n_filled];
        run->status = fill_block(run, block, &more, &run->err);
        if (run->status != LOOM_OK || block->text.len == 0) return;
        set->n_filled++;
    }
}

/* Rank 0 has the block as if it had worked on it itself. */
static loom_status hand_over(const loom_store_stream *s, loom_store_block *block, loom_buf *bytes, loom_err *err)
{
    bool own = loom_ranks_own(block->turn), lead = loom_ranks_lead();
    loom_status st = LOOM_OK;

    if (loom_ranks_count() == 1) return LOOM_OK;
    loom_buf_reset(bytes);
    if (own && !lead) st = s->pack(block->result, bytes, err);
    LOOM_TRY(loom_ranks_deliver(bytes, block->turn, st, err));
    return lead && !own ? s->unpack(block->result, bytes, err) : LOOM_OK;
}

static loom_status take_block(const loom_store_stream *s, loom_store_block *block, loom_buf *bytes, loom_err *err)
{
    LOOM_TRY(hand_over(s, block, bytes, err));
    return s->take && loom_ranks_lead() ? s->take(s->arg, block, err) : LOOM_OK;
}

static void take_set(stream_run *run, block_set *set)
{
    for (int64_t i = 0; i < set->n_filled && run->status == LOOM_OK; i++)
        run->status = take_block(run->job, &set->blocks[i], &run->bytes_over, &run->err);
    set->n_filled = 0;
}

/* Item 0 takes the set before and reads the set after; the others work on the current one. */
static void run_item(void *arg, int64_t item, int thread)
{
    stream_run *run = arg;
    block_set *other = &run->sets[1 - run->current];
    if (item > 0) {
        loom_store_block *block = &run->sets[run->current].blocks[item - 1];

        if (loom_ranks_own(block->turn)) run->job->work(run->job->arg, block, thread);
        return;
    }
    take_set(run, other);
    if (run->status == LOOM_OK) fill_set(run, other);
    if (run->job->progress) run->job->progress(run->job->arg, run->bytes);
}

static void release(stream_run *run)
{
    for (int s = 0; s < 2; s++) {
        for (int64_t i = 0; run->sets[s].blocks && i < run->n_blocks; i++) {
            loom_store_block *b = &run->sets[s].blocks[i];
            if (b->result && run->job->release) run->job->release(b->result);
            free(b->result);
            loom_buf_release(&b->text);
        }
        free(run->sets[s].blocks);
    }
    loom_in_close(&run->in);
    loom_buf_release(&run->carry);
    loom_buf_release(&run->bytes_over);
}

static loom_status allocate(stream_run *run, loom_err *err)
{
    run->n_blocks = (int64_t)loom_pool_threads(run->job->pool) * BLOCKS_PER_THREAD;
    for (int s = 0; s < 2; s++) {
        run->sets[s].blocks = loom_calloc((size_t)run->n_blocks, sizeof *run->sets[s].blocks);
        if (!run->sets[s].blocks) return loom_fail_nomem(err, "reading graph stores");
        for (int64_t i = 0; i < run->n_blocks; i++) {
            run->sets[s].blocks[i].result = loom_calloc(1, run->job->result_size);
            if (!run->sets[s].blocks[i].result) return loom_fail_nomem(err, "reading graph stores");
        }
    }
    return LOOM_OK;
}

loom_status loom_store_stream_run(const loom_store_stream *s, const char *const *paths, int64_t n_paths, loom_err *err)
{
    stream_run run = {.job = s, .paths = paths, .n_paths = n_paths};
    run.status = allocate(&run, &run.err);
    if (run.status == LOOM_OK) fill_set(&run, &run.sets[0]);
    while (run.status == LOOM_OK && run.sets[run.current].n_filled > 0) {
        loom_pool_for(s->pool, run.sets[run.current].n_filled + 1, run_item, &run);
        run.current = 1 - run.current; /* the set just read; the one just worked on is taken next */
    }
    if (run.status == LOOM_OK) take_set(&run, &run.sets[1 - run.current]);
    if (run.status != LOOM_OK && err) *err = run.err;
    release(&run);
    return run.status;
}

bool loom_store_block_line(const loom_store_block *block, const char **at, const char **end)
{
    const char *start = *at ? *end + 1 : block->text.data, *stop = block->text.data + block->text.len;
    if (start >= stop) return false;
    const char *lf = memchr(start, '\n', (size_t)(stop - start));
    *at = start;
    *end = lf ? lf : stop;
    return true;
}

bool loom_store_block_graph(const loom_store_block *block, const char **at, const char **end, loom_graph *g,
                            loom_arena *arena, int64_t *invalid)
{
    while (loom_store_block_line(block, at, end)) {
        loom_verdict why;
        size_t len = (size_t)(*end - *at);
        if (len == 0 || (len == 1 && **at == '\r')) continue;
        loom_arena_reset(arena);
        if (loom_record_read(g, &why, *at, len, arena)) return true;
        ++*invalid;
    }
    return false;
}

/* ---- inputs ---- */

static loom_status add_path(char ***paths, size_t *n, size_t *cap, const char *path, loom_meta *meta, loom_err *err)
{
    LOOM_TRY(loom_grow(paths, cap, *n + 1, sizeof **paths, err));
    (*paths)[*n] = loom_strdup(path);
    if (!(*paths)[*n]) return loom_fail_nomem(err, "a list of files");
    ++*n;
    return loom_meta_input(meta, path, err);
}

static loom_status add_folder(char ***paths, size_t *n, size_t *cap, const char *dir, loom_meta *meta, loom_err *err)
{
    char **found = NULL;
    size_t n_found = 0;
    loom_status st = loom_list_files(&found, &n_found, dir, ".graphs.zst", err);
    if (st == LOOM_OK && n_found == 0)
        st = loom_fail(err, LOOM_STATUS_FORMAT,
                       "%s: no graph store (*.graphs.zst) in this folder; name files or another folder", dir);
    for (size_t i = 0; i < n_found && st == LOOM_OK; i++) st = add_path(paths, n, cap, found[i], meta, err);
    loom_free_list(found, n_found);
    return st;
}

loom_status loom_store_stream_inputs(char ***paths, size_t *n, const loom_ctx *ctx, loom_meta *meta, loom_err *err)
{
    loom_status st = LOOM_OK;
    char **list = NULL;
    size_t n_list = 0, cap = 0;
    for (int i = 0; i < ctx->n_args && st == LOOM_OK; i++)
        st = loom_file_is_dir(ctx->args[i]) ? add_folder(&list, &n_list, &cap, ctx->args[i], meta, err)
                                            : add_path(&list, &n_list, &cap, ctx->args[i], meta, err);
    if (st != LOOM_OK) {
        loom_free_list(list, n_list);
        return st;
    }
    *paths = list;
    *n = n_list;
    return LOOM_OK;
}
