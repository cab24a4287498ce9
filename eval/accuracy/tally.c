/* Longer than most: answers and graphs of others are counted into the same cells, by the same checks. */
#include "eval/accuracy/tally.h"

#include <stdio.h>
#include <string.h>

#include "core/json.h"
#include "core/meta.h"
#include "core/num.h"
#include "eval/answers/answer_scan.h"
#include "eval/answers/graphs.h"
#include "eval/answers/jsonl.h"
#include "eval/answers/outside_answers.h"
#include "eval/answers/trained.h"

#define BATCH        256
#define MOST_SAMPLES 1000000 /* of one prompt */

loom_status loom_tally_init(loom_tally *t, const loom_grid *grid, loom_err *err)
{
    *t = (loom_tally){.grid = *grid};
    int64_t n = loom_grid_cells(grid);
    t->coverage = loom_alloc((size_t)n, sizeof *t->coverage);
    if (!t->coverage) return loom_fail_nomem(err, "the table of cells");
    for (int64_t i = 0; i < n; i++) t->coverage[i] = (loom_coverage){-1, -1, -1, -1};
    return LOOM_OK;
}

void loom_tally_release(loom_tally *t)
{
    for (size_t i = 0; i < t->n_series; i++) {
        free(t->series[i].method);
        free(t->series[i].cells);
        free(t->series[i].answers);
        free(t->series[i].trained);
    }
    free(t->series);
    for (int m = 0; m < LOOM_MODES; m++) {
        free(t->prompts[m]);
        free(t->prompts_path[m]);
    }
    free(t->coverage);
    *t = (loom_tally){0};
}

/* ---- prompts ---- */

void loom_tally_extent(loom_grid *g, bool *any, const char *prompts_path)
{
    loom_json *root = loom_meta_load(prompts_path, true);
    const loom_json *cells = loom_json_get(root, "cells");
    for (size_t i = 0; i < loom_json_len(cells); i++) {
        int64_t e = loom_json_i64(loom_json_get(loom_json_at(cells, i), "edges"), -1);
        int64_t d = loom_json_i64(loom_json_get(loom_json_at(cells, i), "depth"), -1);
        if (e < 1 || d < 1 || e > LOOM_GRID_MAX || d > LOOM_GRID_MAX) continue;
        if (!*any) *g = (loom_grid){e, e, d, d};
        *any = true;
        g->edges_lo = loom_min_i64(g->edges_lo, e);
        g->edges_hi = loom_max_i64(g->edges_hi, e);
        g->depth_lo = loom_min_i64(g->depth_lo, d);
        g->depth_hi = loom_max_i64(g->depth_hi, d);
    }
    loom_json_free(root);
}

/* The sidecar's cells. A cell that it names with no prompts is not covered. */
static void read_coverage(loom_tally *t, const char *path)
{
    loom_json *root = loom_meta_load(path, true);
    const loom_json *cells = loom_json_get(root, "cells");
    for (size_t i = 0; i < loom_json_len(cells); i++) {
        const loom_json *c = loom_json_at(cells, i);
        int64_t at = loom_grid_cell(&t->grid, loom_json_i64(loom_json_get(c, "edges"), -1),
                                    loom_json_i64(loom_json_get(c, "depth"), -1));
        if (at < 0) continue;
        t->coverage[at] = (loom_coverage){
            loom_json_i64(loom_json_get(c, "prompts"), -1), loom_json_i64(loom_json_get(c, "distinct"), -1),
            loom_json_i64(loom_json_get(c, "valid"), -1), loom_json_i64(loom_json_get(c, "train"), -1)};
        t->has_coverage = true;
        t->has_train |= t->coverage[at].train >= 0;
    }
    loom_json_free(root);
}

typedef struct prompts_file {
    loom_tally *t;
    const char *path;
    loom_arena arena; /* texts of a line */
} prompts_file;

static loom_status add_prompt(const prompts_file *file, const loom_prompt_line *l, int64_t number, loom_err *err)
{
    loom_tally *t = file->t;
    const char *path = file->path, *name = l->mode;
    int64_t id = l->id;
    loom_mode mode;
    if (!name || !l->prompt || !loom_mode_parse(&mode, name) || id < 0 || id > 1000000000)
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "%s:%lld: not a prompt with id, mode and prompt; write the file with `loom-eval prompts`",
                         path, (long long)number);
    if (t->prompts_path[mode] && strcmp(t->prompts_path[mode], path) != 0)
        return loom_fail(err, LOOM_STATUS_ARG, "%s and %s both hold %s prompts; give one prompts file for each mode",
                         t->prompts_path[mode], path, name);
    if (!t->prompts_path[mode] && !(t->prompts_path[mode] = loom_strdup(path))) return loom_fail_nomem(err, "names");
    size_t old = t->n_prompts[mode], need = (size_t)id + 1;
    if (need > old) {
        LOOM_TRY(loom_grow(&t->prompts[mode], &t->cap_prompts[mode], need, sizeof **t->prompts, err));
        memset(t->prompts[mode] + old, 0, (need - old) * sizeof **t->prompts);
        for (size_t i = old; i < need; i++) t->prompts[mode][i].edges = -1;
        t->n_prompts[mode] = need;
    }
    t->prompts[mode][id] =
        (loom_tally_prompt){.hash = loom_hash128_of(l->prompt, l->prompt_len), .edges = l->edges, .depth = l->depth};
    return LOOM_OK;
}

static loom_status add_json(void *arg, const loom_json *root, int64_t number, loom_err *err)
{
    loom_prompt_line l = {.id = loom_json_i64(loom_json_get(root, "id"), -1),
                          .edges = loom_json_i64(loom_json_get(root, "edges"), -1),
                          .depth = loom_json_i64(loom_json_get(root, "depth"), -1),
                          .mode = loom_json_str(loom_json_get(root, "mode"), NULL)};
    l.prompt = loom_json_str(loom_json_get(root, "prompt"), &l.prompt_len);
    return add_prompt(arg, &l, number, err);
}

static bool add_quickly(void *arg, const char *line, size_t len, int64_t number, loom_status *st, loom_err *err)
{
    prompts_file *file = arg;
    loom_prompt_line l;
    loom_arena_reset(&file->arena);
    if (!loom_prompt_scan(&l, line, len, &file->arena)) return false;
    *st = add_prompt(file, &l, number, err);
    return true;
}

loom_status loom_tally_prompts(loom_tally *t, const char *path, loom_err *err)
{
    prompts_file file = {.t = t, .path = path};
    loom_status st = loom_jsonl_read(path, "prompts", "loom-eval prompts", add_quickly, add_json, &file, err);
    loom_arena_release(&file.arena);
    if (st == LOOM_OK && !t->has_coverage) read_coverage(t, path);
    return st;
}

/* ---- answers ---- */

typedef struct item {
    const char *line; /* in the batch text */
    size_t offset, len;
    int64_t number;
    loom_status st;
    loom_err err;
    loom_answer answer; /* its layers are gone once scored */
    loom_hash128 prompt;
    loom_score score; /* released */
} item;

typedef struct batch {
    loom_buf text;
    item items[BATCH];
    int64_t n;
    const char *path;
    loom_outside_answers *outside; /* the prompts that others answered; NULL: answers of ours */
    loom_arena *arenas;            /* one per thread */
} batch;

static void score_item(void *arg, int64_t i, int thread)
{
    batch *b = arg;
    item *it = &b->items[i];
    loom_arena *arena = &b->arenas[thread];
    loom_arena_reset(arena);
    const char *line = b->text.data + it->offset;
    it->st = b->outside ? loom_outside_answers_parse(b->outside, &it->answer, line, it->len, b->path, it->number, arena,
                                                     &it->err)
                        : loom_answer_parse(&it->answer, line, it->len, b->path, it->number, arena, &it->err);
    if (it->st != LOOM_OK) return;
    if (it->answer.n_layers) it->prompt = loom_hash128_of(it->answer.layers[0].prompt, it->answer.layers[0].prompt_len);
    it->st = loom_answer_score(&it->score, &it->answer, &it->err);
    if (it->st != LOOM_OK) loom_err_in(&it->err, "%s:%lld", b->path, (long long)it->number);
    loom_score_release(&it->score);
}

static loom_series *find_series(loom_tally *t, const char *method, const loom_answer *a)
{
    for (size_t i = 0; i < t->n_series; i++)
        if (t->series[i].temperature == a->temperature && strcmp(t->series[i].method, method) == 0)
            return &t->series[i];
    if (loom_grow(&t->series, &t->cap, t->n_series + 1, sizeof *t->series, NULL) != LOOM_OK) return NULL;
    loom_series *s = &t->series[t->n_series];
    *s = (loom_series){.method = loom_strdup(method),
                       .mode = a->mode,
                       .temperature = a->temperature,
                       .constrained = a->constrained,
                       .seed = a->seed};
    s->cells = loom_calloc((size_t)loom_grid_cells(&t->grid), sizeof *s->cells);
    if (!s->method || !s->cells) {
        free(s->method);
        free(s->cells);
        return NULL;
    }
    t->n_series++;
    return s;
}

static void add_cell(loom_tally_cell *into, const loom_tally_cell *c)
{
    into->n += c->n;
    into->finished += c->finished;
    into->valid += c->valid;
    into->correct += c->correct;
    into->accurate += c->accurate;
    into->sum_edges += c->sum_edges;
    into->sum_depth += c->sum_depth;
}

/* The answer must be one to the prompt of its id. */
static loom_status fits_prompt(const loom_tally *t, const item *it, const char *path, loom_err *err)
{
    const loom_answer *a = &it->answer;
    if (!t->prompts[a->mode]) return LOOM_OK;
    const loom_tally_prompt *p = NULL;
    if (a->id >= 0 && (size_t)a->id < t->n_prompts[a->mode]) p = &t->prompts[a->mode][a->id];
    if (!p || p->edges < 0)
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "%s:%lld: %s has no prompt %lld; give the prompts file these answers were made from", path,
                         (long long)it->number, t->prompts_path[a->mode], (long long)a->id);
    bool same = p->hash.lo == it->prompt.lo && p->hash.hi == it->prompt.hi;
    if ((a->n_layers && !same) || p->edges != a->edges || p->depth != a->depth)
        return loom_fail(
            err, LOOM_STATUS_FORMAT,
            "%s:%lld: this is not an answer to prompt %lld of %s; give the prompts file these answers were made from",
            path, (long long)it->number, (long long)a->id, t->prompts_path[a->mode]);
    return LOOM_OK;
}

static loom_status note_answer(const loom_tally *t, loom_series *s, const loom_answer *a, loom_err *err)
{
    size_t need = t->n_prompts[a->mode], old = s->n_answers;
    if (!need) return LOOM_OK;
    if (a->sample < 0 || a->sample > MOST_SAMPLES)
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "prompt %lld: sample is %lld, expected 0 to %d; write the file with `loom-infer sample`",
                         (long long)a->id, (long long)a->sample, MOST_SAMPLES);
    if (old < need) {
        LOOM_TRY(loom_grow(&s->answers, &s->cap_answers, need, sizeof *s->answers, err));
        memset(s->answers + old, 0, (need - old) * sizeof *s->answers);
        s->n_answers = need;
    }
    s->answers[a->id]++; /* fits_prompt has seen that there is such a prompt */
    s->samples = loom_max_i64(s->samples, a->sample + 1);
    return LOOM_OK;
}

static loom_status count_item(loom_tally *t, const item *it, const char *path, const char *method, loom_err *err)
{
    const loom_answer *a = &it->answer;
    const loom_score *s = &it->score;
    LOOM_TRY(fits_prompt(t, it, path, err));
    if (a->edges < 1 || a->depth < 1)
        return loom_fail(
            err, LOOM_STATUS_FORMAT,
            "%s:%lld: the answer does not say which edges and depth were asked for; use prompts of `loom-eval prompts`",
            path, (long long)it->number);
    int64_t at = loom_grid_cell(&t->grid, a->edges, a->depth);
    if (at < 0) {
        t->outside++;
        return LOOM_OK;
    }
    loom_series *series = find_series(t, method ? method : loom_answer_method(a), a);
    if (!series) return loom_fail_nomem(err, "the table of methods");
    if (series->mode != a->mode)
        return loom_fail(
            err, LOOM_STATUS_ARG, "%s:%lld: %s and %s answers under one name \"%s\"; give each file a name of its own",
            path, (long long)it->number, loom_mode_names[series->mode], loom_mode_names[a->mode], series->method);
    series->touched = true;
    LOOM_TRY(note_answer(t, series, a, err));
    loom_tally_cell one = {
        .n = 1, .finished = s->finished, .valid = s->valid, .correct = s->correct, .accurate = s->accurate};
    if (s->valid) one.sum_edges = s->n_edges, one.sum_depth = s->depth;
    add_cell(&series->cells[at], &one);
    add_cell(&series->all, &one);
    for (int r = 0; r < LOOM_RULES; r++) series->rules[r] += (s->rules & LOOM_RULE_BIT(r)) != 0;
    for (int o = 0; o < LOOM_ODDITIES; o++) series->odd[o] += s->correct && (s->odd >> o & 1);
    for (int c = 0; c < LOOM_CODES; c++) {
        series->code_graphs[c] += s->codes[c] > 0;
        series->codes[c] += s->codes[c];
    }
    series->refused += a->refused || a->n_layers == 0;
    return LOOM_OK;
}

static loom_status fill_batch(batch *b, loom_lines *lines, loom_err *err)
{
    char *line;
    size_t len;
    b->n = 0;
    loom_buf_reset(&b->text);
    while (b->n < BATCH && b->text.len < LOOM_BOUND_LINE) {
        LOOM_TRY(loom_lines_next(lines, &line, &len, err));
        if (!line) break;
        if (len == 0) continue;
        item *it = &b->items[b->n++];
        it->offset = b->text.len;
        it->len = len;
        it->number = loom_lines_number(lines);
        loom_buf_append(&b->text, line, len);
    }
    return loom_buf_check(&b->text, "answers", err);
}

/* The first line tells whose answers these are. */
static loom_status recognize(batch *b, const loom_tally *t, loom_err *err)
{
    const char *prompts = t->prompts_path[LOOM_MODE_TABULAR];
    if (b->n == 0 || !loom_outside_answers_like(b->text.data + b->items[0].offset, b->items[0].len)) return LOOM_OK;
    if (prompts) return loom_outside_answers_new(&b->outside, prompts, err);
    return loom_fail(err, LOOM_STATUS_ARG,
                     "%s holds answers of another program; give the tabular prompts it was asked with --prompts",
                     b->path);
}

/* Tells the methods that the file has answers of how their model was trained. */
static loom_status note_training(loom_tally *t, const char *path, loom_err *err)
{
    loom_buf line = {0};
    loom_status st = LOOM_OK;
    if (path) loom_trained_line(&line, path);
    for (size_t i = 0; i < t->n_series && st == LOOM_OK; i++) {
        loom_series *s = &t->series[i];
        if (!s->touched) continue;
        s->touched = false;
        if (s->files++ == 0 && line.len && !(s->trained = loom_strdup(line.data)))
            st = loom_fail_nomem(err, "how a model was trained");
        else if (s->trained && strcmp(s->trained, loom_buf_text(&line)) != 0) {
            free(s->trained);
            s->trained = NULL;
        }
    }
    loom_buf_release(&line);
    return st;
}

loom_status loom_tally_answers(loom_tally *t, const char *path, const char *method, loom_pool *pool, loom_err *err)
{
    loom_lines *lines = NULL;
    batch *b = loom_calloc(1, sizeof *b);
    int threads = loom_pool_threads(pool);
    int64_t total = 0;
    loom_status st;
    if (!b || !(b->arenas = loom_calloc((size_t)threads, sizeof *b->arenas))) {
        free(b);
        return loom_fail_nomem(err, "answers");
    }
    b->path = path;
    if ((st = loom_lines_open(&lines, path, err)) != LOOM_OK) goto done;
    do {
        if ((st = fill_batch(b, lines, err)) != LOOM_OK) goto done;
        if (total == 0 && (st = recognize(b, t, err)) != LOOM_OK) goto done;
        loom_pool_for(pool, b->n, score_item, b);
        for (int64_t i = 0; i < b->n && st == LOOM_OK; i++) {
            st = b->items[i].st;
            if (st != LOOM_OK) loom_fail(err, st, "%s", b->items[i].err.msg);
            else st = count_item(t, &b->items[i], path, method, err);
        }
        total += b->n;
    } while (st == LOOM_OK && b->n > 0);
    if (st == LOOM_OK && total == 0)
        st = loom_fail(err, LOOM_STATUS_FORMAT, "%s: the file holds no answers; write it with `loom-infer sample`",
                       path);
    if (st == LOOM_OK) st = note_training(t, path, err);
done:
    loom_lines_close(&lines);
    for (int i = 0; i < threads; i++) loom_arena_release(&b->arenas[i]);
    free(b->arenas);
    loom_outside_answers_free(&b->outside);
    loom_buf_release(&b->text);
    free(b);
    return st;
}

/* ---- graphs of others ---- */

static void judge_graph(item *it, const loom_graph *g, bool valid)
{
    loom_score *s = &it->score;
    *s = (loom_score){.finished = valid, .valid = valid};
    if (!valid) {
        s->rules = LOOM_RULE_BIT(LOOM_RULE_GRAPH);
        return;
    }
    s->n_edges = g->n_calls;
    s->depth = loom_graph_depth(g);
    if (s->n_edges != it->answer.edges) s->rules |= LOOM_RULE_BIT(LOOM_RULE_TOTAL_EDGES);
    if (s->depth != it->answer.depth) s->rules |= LOOM_RULE_BIT(LOOM_RULE_TOTAL_DEPTH);
    s->correct = s->rules == 0;
    if (loom_graphs_breaks_times(g)) s->rules |= LOOM_RULE_BIT(LOOM_RULE_TIMES);
    s->accurate = s->rules == 0;
}

static loom_status mode_of_prompts(loom_mode *mode, const loom_tally *t, const char *path, loom_err *err)
{
    int n = 0;
    for (int m = 0; m < LOOM_MODES; m++)
        if (t->n_prompts[m]) *mode = (loom_mode)m, n++;
    return n == 1 ? LOOM_OK
                  : loom_fail(err, LOOM_STATUS_ARG,
                              "%s: which prompts do these graphs answer? Give one prompts file with --prompts", path);
}

loom_status loom_tally_graphs(loom_tally *t, const char *path, const char *method, loom_err *err)
{
    loom_graphs *in = NULL;
    loom_graph g;
    loom_mode mode = LOOM_MODE_TABULAR;
    bool valid, more = true;
    size_t k = 0;
    item *it = loom_calloc(1, sizeof *it);
    loom_status st = it ? mode_of_prompts(&mode, t, path, err) : loom_fail_nomem(err, "answers");
    if (st == LOOM_OK) st = loom_graphs_open(&in, path, err);
    while (st == LOOM_OK && (st = loom_graphs_next_any(in, &g, &valid, &more, err)) == LOOM_OK && more) {
        if (k == t->n_prompts[mode]) break;
        const loom_tally_prompt *p = &t->prompts[mode][k];
        it->number = (int64_t)k + 1;
        it->answer = (loom_answer){.id = (int64_t)k, .mode = mode, .edges = p->edges, .depth = p->depth, .n_layers = 1};
        it->prompt = p->hash;
        judge_graph(it, &g, valid);
        st = count_item(t, it, path, method, err);
        k++;
    }
    if (st == LOOM_OK) st = note_training(t, NULL, err); /* of others: nothing is known */
    loom_graphs_close(&in);
    free(it);
    if (st == LOOM_OK && (more || k != t->n_prompts[mode]))
        st = loom_fail(
            err, LOOM_STATUS_FORMAT,
            "%s holds %s than the %zu prompts of %s; give one line for each prompt, in their order, \"-\" where "
            "there is no graph",
            path, more ? "more graphs" : "fewer graphs", t->n_prompts[mode], t->prompts_path[mode]);
    return st;
}

/* ---- reading it out ---- */

static int rank_of(const char *method)
{
    for (int m = 0; m < LOOM_MODES; m++)
        if (strcmp(method, loom_mode_names[m]) == 0) return 2 * m;
    for (int m = 0; m < LOOM_MODES; m++)
        if (strncmp(method, loom_mode_names[m], strlen(loom_mode_names[m])) == 0) return 2 * m + 1;
    return 2 * LOOM_MODES;
}

static int by_method(const void *pa, const void *pb)
{
    const loom_series *a = pa, *b = pb;
    int ra = rank_of(a->method), rb = rank_of(b->method);
    if (ra != rb) return ra - rb;
    int names = strcmp(a->method, b->method);
    if (names) return names;
    return a->temperature < b->temperature ? -1 : a->temperature > b->temperature;
}

/* What was asked for and never answered has failed. */
static void add_missing(const loom_tally *t, loom_series *s)
{
    for (size_t i = 0; s->answers && i < t->n_prompts[s->mode]; i++) {
        const loom_tally_prompt *p = &t->prompts[s->mode][i];
        int64_t at = p->edges < 0 ? -1 : loom_grid_cell(&t->grid, p->edges, p->depth);
        int64_t n = s->samples - (i < s->n_answers ? s->answers[i] : 0);
        if (at < 0 || n <= 0) continue;
        s->cells[at].n += n;
        s->all.n += n;
        s->missing += n;
        s->rules[LOOM_RULE_UNFINISHED] += n;
    }
}

static const loom_series *series_of_mode(const loom_tally *t, loom_mode mode)
{
    for (size_t i = 0; i < t->n_series; i++)
        if (t->series[i].mode == mode) return &t->series[i];
    return NULL;
}

loom_status loom_tally_finish(loom_tally *t, bool strict, loom_err *err)
{
    for (int m = 0; m < LOOM_MODES; m++) {
        const loom_series *s = series_of_mode(t, (loom_mode)m);
        if (t->n_prompts[m] && !s)
            return loom_fail(err, LOOM_STATUS_ARG, "%s holds %s prompts, but no answers of that mode were given",
                             t->prompts_path[m], loom_mode_names[m]);
        if (strict && s && !t->n_prompts[m])
            return loom_fail(err, LOOM_STATUS_ARG,
                             "the answers of \"%s\" are of the mode %s, for which --prompts names no file; "
                             "give the prompts of every mode",
                             s->method, loom_mode_names[m]);
    }
    for (size_t i = 0; i < t->n_series; i++) add_missing(t, &t->series[i]);
    qsort(t->series, t->n_series, sizeof *t->series, by_method);
    return LOOM_OK;
}

loom_tally_cell loom_tally_sum(const loom_tally *t, const loom_series *s, int64_t edges_lo, int64_t edges_hi,
                               int64_t depth_lo, int64_t depth_hi)
{
    loom_tally_cell sum = {0};
    for (int64_t at = 0; at < loom_grid_cells(&t->grid); at++) {
        int64_t e = loom_grid_edges(&t->grid, at), d = loom_grid_depth(&t->grid, at);
        if ((edges_lo >= 0 && e < edges_lo) || (edges_hi >= 0 && e > edges_hi)) continue;
        if ((depth_lo >= 0 && d < depth_lo) || (depth_hi >= 0 && d > depth_hi)) continue;
        add_cell(&sum, &s->cells[at]);
    }
    return sum;
}
