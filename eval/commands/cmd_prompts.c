/* loom-eval prompts: what to ask for, cell by cell of the grid, taken from validation graphs.
 * Longer than most: three ways to choose what is asked for end in one file. */
#include <string.h>

#include "core/file.h"
#include "core/hash.h"
#include "core/hash_set.h"
#include "core/log.h"
#include "core/meta.h"
#include "core/num.h"
#include "eval/accuracy/grid.h"
#include "eval/answers/few_shot.h"
#include "eval/answers/graphs.h"
#include "eval/answers/instruction_prompts.h"
#include "eval/commands/eval_cmds.h"
#include "eval/commands/preset.h"
#include "eval/management/management.h"
#include "trace/graph/record.h"
#include "trace/graph/stats.h"
#include "trace/request/request.h"

typedef struct prompts_conf {
    const char *edges, *depths, *output, *stats, *train, *few_shot, *asked_model;
    int mode, ask, preset, part, even;
    int64_t per_cell, min_train, examples, count; /* per_cell and count: 0 until filled from the preset */
    bool match_training, bounded, repeat, records, like, unusual, apps;
} prompts_conf;

static const loom_opt prompts_opts[] = {
    LOOM_OPT_GROUP("What to ask for"),
    LOOM_OPT_ENUM("mode", 0, prompts_conf, mode, "instruction", LOOM_MODE_CHOICES,
                  "form of the prompts, the one the model was trained on"),
    LOOM_OPT_STR("edges", 0, prompts_conf, edges, "1:30", "FIRST:LAST", "numbers of edges"),
    LOOM_OPT_STR("depths", 0, prompts_conf, depths, "1:6", "FIRST:LAST", "depths; the root call alone has depth 1"),
    LOOM_OPT_ENUM("preset", 0, prompts_conf, preset, "paper", LOOM_PRESET_CHOICES, LOOM_PRESET_HELP),
    LOOM_OPT_I64("per-cell", 0, prompts_conf, per_cell, "0", 0, 1000000, "N",
                 "prompts for each (edges, depth); 0: as the preset says (" LOOM_PRESET_NUMBERS(PER_CELL) ")"),
    LOOM_OPT_FLAG_ON(
        "repeat", 0, prompts_conf, repeat,
        "ask again for the prompts of cells that have fewer distinct ones (as the paper does; with greedy decoding the answers are the same again)"),
    LOOM_OPT_ENUM(
        "ask", 0, prompts_conf, ask, "none", LOOM_ASK_CHOICES,
        "instead of the cells: instruction prompts in pairs, with and without the line that asks for this (loom-eval following); needs --stats"),
    LOOM_OPT_FLAG(
        "like", 0, prompts_conf, like,
        "instead of the cells: prompts of validation graphs as they occur, of any size, for comparison with real ones (Figs 4, 16); "
        "with --stats slow graphs are asked for as slow ones, as training text has it: nobody else gets them"),
    LOOM_OPT_FLAG(
        "unusual", 0, prompts_conf, unusual,
        "with --like: also ask for an uncommon call that the validation graph has, so that generated graphs are as unusual "
        "as real ones; needs --stats"),
    LOOM_OPT_ENUM(
        "even", 0, prompts_conf, even, "none", "none|high-latency|uncommon",
        "with --unusual: as many prompts of graphs that have this as of graphs that have not, so that a classifier "
        "learns from more of what is rare"),
    LOOM_OPT_FLAG(
        "apps", 0, prompts_conf, apps,
        "with --like: prompts of the two applications that loom-eval management looks at, --count of each, in the order of "
        "their graphs"),
    LOOM_OPT_I64("count", 0, prompts_conf, count, "0", 0, 1000000000, "N",
                 "with --ask: most pairs; with --like: most prompts; 0: as the preset says "
                 "(--ask: " LOOM_PRESET_NUMBERS(ASKED) "; --like: " LOOM_PRESET_NUMBERS(
                     LIKE) "; --apps: " LOOM_PRESET_NUMBERS(MANAGED) ")"),
    LOOM_OPT_ENUM(
        "part", 0, prompts_conf, part, "all", "all|dev|test",
        "validation graphs to ask for: one half to choose models and options by, the other to say what came out; which half a graph "
        "belongs to follows from its structure alone, not from the seed"),
    LOOM_OPT_FLAG("match-training", 0, prompts_conf, match_training,
                  "write prompts exactly like training text, not like the published prompt files"),
    LOOM_OPT_FLAG(
        "bounded", 0, prompts_conf, bounded,
        "with --ask or --like: the line about high latency says from how many milliseconds on a latency is high; for models "
        "trained on text of loom-preprocess encode --bounded"),
    LOOM_OPT_GROUP("What is known"),
    LOOM_OPT_IN("stats", 0, prompts_conf, stats, NULL, "FILE",
                "statistics of the services, for conditions on latency and rare calls"),
    LOOM_OPT_IN("train", 0, prompts_conf, train, NULL, "STORE", "training graphs, counted for each cell"),
    LOOM_OPT_I64("min-train", 0, prompts_conf, min_train, "10", 0, 1000000000, "N",
                 "cells with fewer training graphs are reported as thin"),
    LOOM_OPT_GROUP("For a language model of others"),
    LOOM_OPT_OUT(
        "few-shot", 0, prompts_conf, few_shot, NULL, "FILE",
        "also write requests that such a model can answer, one JSON object a line: the rules, examples from --train, the prompt; "
        "needs --mode tabular"),
    LOOM_OPT_I64("examples", 0, prompts_conf, examples, "2", 0, 20, "N", "training graphs shown in each request"),
    LOOM_OPT_STR("asked-model", 0, prompts_conf, asked_model, "model", "NAME", "how the requests call the model"),
    LOOM_OPT_GROUP("Output"),
    LOOM_OPT_OUT("output", 'o', prompts_conf, output, "-", "FILE",
                 "where to write the prompts, one JSON object a line"),
    LOOM_OPT_FLAG_ON("records", 0, prompts_conf, records, "keep the graph that each prompt comes from"),
    LOOM_OPT_WAS(NULL, 'm', "mode", NULL),
    LOOM_OPT_END};

/* The validation graphs of one cell, in file order. */
typedef struct cell {
    int64_t *graphs; /* indices into the set */
    size_t n, cap;
    int64_t n_train, n_prompts, n_distinct;
} cell;

typedef struct prompts_job {
    const loom_ctx *ctx;
    prompts_conf own; /* the options, with the preset's numbers filled in */
    const prompts_conf *conf;
    loom_grid grid;
    cell *cells;
    loom_graph_set valid;
    loom_stats *stats;
    loom_few_shot shot;
    loom_out *out, *requests; /* requests: NULL without --few-shot */
    loom_meta meta;
    loom_arena arena;
    int64_t n_written, outside;
} prompts_job;

typedef enum prompts_part { PART_ALL, PART_DEV, PART_TEST } prompts_part;
static const char *const part_names[] = {"all", "dev", "test"};

/* Graphs that differ in times only belong to the same half. The salt keeps the halves apart from every split by
 * loom-preprocess, which hashes a graph with its seed. */
static prompts_part part_of(const loom_graph *g, loom_buf *key)
{
    loom_buf_reset(key);
    loom_buf_str(key, "prompts part ");
    loom_record_render_structure(key, g);
    return loom_hash64(key->data, key->len, 0) % 2 ? PART_DEV : PART_TEST;
}

/* The validation graphs of the part that is asked for. */
static loom_status load_part(prompts_job *j, const char *path, loom_err *err)
{
    loom_buf key = {0};
    int64_t kept = 0;

    LOOM_TRY(loom_graph_set_load(&j->valid, path, 0, err));
    if (j->conf->part == PART_ALL) return LOOM_OK;
    for (int64_t i = 0; i < j->valid.n; i++)
        if ((int)part_of(&j->valid.graphs[i], &key) == j->conf->part) j->valid.graphs[kept++] = j->valid.graphs[i];
    loom_buf_release(&key);
    loom_info("%lld of %lld validation graphs are in the part \"%s\"", (long long)kept, (long long)j->valid.n,
              part_names[j->conf->part]);
    j->valid.n = kept;
    return kept ? LOOM_OK
                : loom_fail(err, LOOM_STATUS_FORMAT,
                            "%s: no graph is in the part \"%s\"; give more graphs, or --part all", path,
                            part_names[j->conf->part]);
}

static loom_status load_valid(prompts_job *j, const char *path, loom_err *err)
{
    LOOM_TRY(load_part(j, path, err));
    for (int64_t i = 0; i < j->valid.n; i++) {
        const loom_graph *g = &j->valid.graphs[i];
        int64_t at = loom_grid_cell(&j->grid, g->n_calls, loom_graph_depth(g));
        if (at < 0) {
            j->outside++;
            continue;
        }
        cell *c = &j->cells[at];
        LOOM_TRY(loom_grow(&c->graphs, &c->cap, c->n + 1, sizeof *c->graphs, err));
        c->graphs[c->n++] = i;
    }
    return LOOM_OK;
}

static loom_status count_train(prompts_job *j, loom_err *err)
{
    if (!j->conf->train) return LOOM_OK;
    loom_graphs *in = NULL;
    loom_graph g;
    bool more;
    LOOM_TRY(loom_graphs_open(&in, j->conf->train, err));
    loom_status st;
    while ((st = loom_graphs_next(in, &g, &more, err)) == LOOM_OK && more) {
        int64_t at = loom_grid_cell(&j->grid, g.n_calls, loom_graph_depth(&g));
        if (at < 0) continue;
        j->cells[at].n_train++;
        if (j->requests && (st = loom_few_shot_offer(&j->shot, &g, &j->arena, err)) != LOOM_OK) break;
    }
    loom_graphs_close(&in);
    return st;
}

/* The prompt of one graph; its draws depend on the seed and the graph alone. */
static loom_status render_prompt(prompts_job *j, loom_buf *into, const loom_graph *g, loom_err *err)
{
    loom_prompt_conf conf = {.mode = (loom_mode)j->conf->mode, .match_training = j->conf->match_training};
    loom_instruction asked;
    loom_line include;
    loom_rng rng;

    loom_buf_reset(into);
    if (j->conf->bounded) conf.latency_from = loom_stats_facts(j->stats, g->service).p90;
    loom_rng_seed(&rng, (uint64_t)j->ctx->common.seed, "unusual", (uint64_t)j->n_written);
    if (j->conf->unusual && loom_instruction_of(&asked, LOOM_ASK_UNCOMMON, g, j->stats, &rng)) {
        include = (loom_line){.kind = LOOM_LINE_INCLUDE, .name = {asked.source, asked.destination, asked.type}};
        conf.include = &include;
    }
    return loom_request_graph_prompt(into, g, j->stats, &conf, (uint64_t)j->ctx->common.seed, &j->arena, err);
}

/* What was asked for, so that `following` can look for it. */
static void describe_asked(loom_jw *w, const loom_instruction *asked, bool with)
{
    loom_jw_kv_str(w, "ask", loom_ask_names[asked->ask]);
    loom_jw_kv_str(w, "arm", with ? "with" : "without");
    if (asked->ask != LOOM_ASK_UNCOMMON) loom_jw_kv_i64(w, "p90", asked->p90);
    if (!asked->source) return;
    loom_jw_key(w, "include");
    loom_jw_begin_array(w);
    loom_jw_str(w, asked->source);
    loom_jw_str(w, asked->type);
    loom_jw_str(w, asked->destination);
    loom_jw_end_array(w);
}

static loom_status open_outputs(prompts_job *j, loom_err *err)
{
    LOOM_TRY(loom_out_open(&j->out, j->conf->output, j->ctx->common.force, err));
    return j->conf->few_shot ? loom_out_open(&j->requests, j->conf->few_shot, j->ctx->common.force, err) : LOOM_OK;
}

static loom_status write_request(prompts_job *j, int64_t id, const loom_buf *prompt, loom_err *err)
{
    loom_buf line = {0};
    if (!j->requests) return LOOM_OK;
    loom_status st = loom_few_shot_render(&line, &j->shot, id, j->conf->asked_model, prompt->data, prompt->len, err);
    if (st == LOOM_OK) st = loom_out_write(j->requests, line.data, line.len, err);
    loom_buf_release(&line);
    return st;
}

/* `asked` is NULL for the prompts of the cells. */
static loom_status write_prompt(prompts_job *j, const loom_graph *g, const loom_buf *prompt,
                                const loom_instruction *asked, bool with, loom_err *err)
{
    loom_buf line = {0}, record = {0};
    loom_jw w;
    loom_jw_init(&w, &line, false);
    loom_jw_begin_object(&w);
    loom_jw_kv_i64(&w, "id", j->n_written++);
    loom_jw_kv_str(&w, "mode", loom_mode_names[j->conf->mode]);
    loom_jw_kv_i64(&w, "edges", g->n_calls);
    loom_jw_kv_i64(&w, "depth", loom_graph_depth(g));
    loom_jw_kv_str(&w, "service", g->service);
    loom_jw_key(&w, "prompt");
    loom_jw_strn(&w, prompt->data, prompt->len);
    if (asked) describe_asked(&w, asked, with);
    if (j->conf->records) {
        loom_record_render(&record, g);
        loom_jw_kv_str(&w, "record", record.data);
    }
    loom_jw_end_object(&w);
    loom_buf_char(&line, '\n');
    loom_status st = loom_out_write(j->out, line.data, line.len, err);
    loom_buf_release(&line);
    loom_buf_release(&record);
    return st == LOOM_OK ? write_request(j, j->n_written - 1, prompt, err) : st;
}

/* Distinct prompts from the shuffled graphs of a cell; once through, they are taken again from the first. */
static loom_status write_cell(prompts_job *j, int64_t at, loom_err *err)
{
    cell *c = &j->cells[at];
    loom_hash_set seen = {0};
    loom_buf prompt = {0};
    loom_status st = LOOM_OK;
    loom_rng rng;
    int64_t n = (int64_t)c->n, distinct = 0, want = j->conf->per_cell;
    int64_t *chosen = loom_alloc(c->n, sizeof *chosen);

    if (!chosen) return loom_fail_nomem(err, "prompts");
    loom_rng_seed(&rng, (uint64_t)j->ctx->common.seed, "prompts", (uint64_t)at);
    loom_rng_shuffle(&rng, c->graphs, c->n, sizeof *c->graphs);
    for (int64_t i = 0; i < n && distinct < want; i++) {
        if ((st = render_prompt(j, &prompt, &j->valid.graphs[c->graphs[i]], err)) != LOOM_OK) goto done;
        bool fresh;
        if (!loom_hash_set_add(&seen, loom_hash128_of(prompt.data, prompt.len), &fresh)) {
            st = loom_fail_nomem(err, "prompts");
            goto done;
        }
        if (fresh) chosen[distinct++] = c->graphs[i];
        loom_arena_reset(&j->arena);
    }
    c->n_distinct = distinct;
    if (!j->conf->repeat) want = distinct;
    for (int64_t k = 0; distinct > 0 && k < want; k++) {
        const loom_graph *g = &j->valid.graphs[chosen[k % distinct]];
        if ((st = render_prompt(j, &prompt, g, err)) != LOOM_OK) goto done;
        if ((st = write_prompt(j, g, &prompt, NULL, false, err)) != LOOM_OK) goto done;
        loom_arena_reset(&j->arena);
        c->n_prompts++;
    }
done:
    free(chosen);
    loom_buf_release(&prompt);
    loom_hash_set_release(&seen);
    return st;
}

/* The cells for the sidecar: [{"edges":1,"depth":1,"prompts":50,"distinct":50,"valid":412,"train":3801}, ...] */
static void describe_cells(const prompts_job *j, loom_buf *into)
{
    loom_jw w;
    loom_jw_init(&w, into, false);
    loom_jw_begin_array(&w);
    for (int64_t at = 0; at < loom_grid_cells(&j->grid); at++) {
        int64_t edges = loom_grid_edges(&j->grid, at), depth = loom_grid_depth(&j->grid, at);
        const cell *c = &j->cells[at];
        if (!loom_grid_possible(edges, depth)) continue;
        loom_jw_begin_object(&w);
        loom_jw_kv_i64(&w, "edges", edges);
        loom_jw_kv_i64(&w, "depth", depth);
        loom_jw_kv_i64(&w, "prompts", c->n_prompts);
        loom_jw_kv_i64(&w, "distinct", c->n_distinct);
        loom_jw_kv_i64(&w, "valid", (int64_t)c->n);
        if (j->conf->train) loom_jw_kv_i64(&w, "train", c->n_train);
        loom_jw_end_object(&w);
    }
    loom_jw_end_array(&w);
}

typedef struct coverage {
    int64_t possible, covered, cycled, thin;
} coverage;

static coverage count_coverage(const prompts_job *j)
{
    coverage v = {0};
    for (int64_t at = 0; at < loom_grid_cells(&j->grid); at++) {
        if (!loom_grid_possible(loom_grid_edges(&j->grid, at), loom_grid_depth(&j->grid, at))) continue;
        const cell *c = &j->cells[at];
        v.possible++;
        v.covered += c->n > 0;
        v.cycled += c->n > 0 && c->n_distinct < j->conf->per_cell;
        v.thin += j->conf->train && c->n_train < j->conf->min_train;
    }
    return v;
}

static void report(const prompts_job *j, const coverage *v)
{
    loom_info(
        "%lld prompts for %lld of %lld cells; %lld cells have no validation graph, %lld have fewer than %lld distinct prompts%s",
        (long long)j->n_written, (long long)v->covered, (long long)v->possible, (long long)(v->possible - v->covered),
        (long long)v->cycled, (long long)j->conf->per_cell, j->conf->repeat && v->cycled ? " (repeated)" : "");
    if (j->conf->train)
        loom_info("%lld cells have fewer than %lld training graphs", (long long)v->thin, (long long)j->conf->min_train);
    if (j->valid.n_rejected)
        loom_warn("%lld lines of the validation file hold no valid graph", (long long)j->valid.n_rejected);
}

static loom_status record_inputs(prompts_job *j, const char *valid_path, loom_err *err)
{
    LOOM_TRY(loom_meta_input(&j->meta, valid_path, err));
    if (j->conf->train) LOOM_TRY(loom_meta_input(&j->meta, j->conf->train, err));
    return j->conf->stats ? loom_meta_input(&j->meta, j->conf->stats, err) : LOOM_OK;
}

/* `v` is NULL for pairs, which know no cells. */
static loom_status commit(prompts_job *j, const coverage *v, loom_err *err)
{
    loom_buf cells = {0};
    loom_meta_i64(&j->meta, "prompts", j->n_written);
    loom_meta_str(&j->meta, "part", part_names[j->conf->part]);
    if (v) {
        loom_meta_i64(&j->meta, "cells_possible", v->possible);
        loom_meta_i64(&j->meta, "cells_covered", v->covered);
        describe_cells(j, &cells);
        loom_meta_json(&j->meta, "cells", cells.data);
    }
    loom_out *outs[] = {j->out, j->requests};
    loom_status st = loom_meta_commit(&j->meta, j->ctx, outs, 2, 2, err);
    j->out = outs[0], j->requests = outs[1];
    loom_buf_release(&cells);
    return st;
}

/* ---- pairs that ask for something ---- */

static loom_status write_pair(prompts_job *j, const loom_graph *g, const loom_instruction *asked, loom_rng *rng,
                              loom_err *err)
{
    loom_buf with = {0}, without = {0};
    loom_status st = loom_instruction_prompts(&with, &without, asked, g, j->conf->match_training, j->conf->bounded, rng,
                                              &j->arena, err);
    if (st == LOOM_OK) st = write_prompt(j, g, &with, asked, true, err);
    if (st == LOOM_OK) st = write_prompt(j, g, &without, asked, false, err);
    loom_buf_release(&with);
    loom_buf_release(&without);
    loom_arena_reset(&j->arena);
    return st;
}

static loom_status write_pairs(prompts_job *j, const char *valid_path, loom_err *err)
{
    loom_rng rng;
    if (!j->conf->stats)
        return loom_fail(err, LOOM_STATUS_ARG, "--ask needs to know what is usual; give the statistics with --stats");
    LOOM_TRY(load_part(j, valid_path, err));
    LOOM_TRY(loom_stats_load(&j->stats, j->conf->stats, err));
    LOOM_TRY(loom_out_open(&j->out, j->conf->output, j->ctx->common.force, err));
    loom_rng_seed(&rng, (uint64_t)j->ctx->common.seed, "ask", (uint64_t)j->conf->ask);
    loom_rng_shuffle(&rng, j->valid.graphs, (size_t)j->valid.n, sizeof *j->valid.graphs);
    for (int64_t i = 0; i < j->valid.n && j->n_written < 2 * j->conf->count; i++) {
        const loom_graph *g = &j->valid.graphs[i];
        loom_instruction asked;
        if (loom_grid_cell(&j->grid, g->n_calls, loom_graph_depth(g)) < 0) continue;
        if (!loom_instruction_of(&asked, (loom_ask)j->conf->ask, g, j->stats, &rng)) continue;
        LOOM_TRY(write_pair(j, g, &asked, &rng, err));
    }
    if (j->n_written == 0)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s: no graph of these sizes can be asked for %s", valid_path,
                         loom_ask_names[j->conf->ask]);
    LOOM_TRY(commit(j, NULL, err));
    loom_info("%lld pairs of prompts", (long long)(j->n_written / 2));
    return LOOM_OK;
}

/* ---- prompts as real graphs occur ---- */

/* A random choice of `count` graphs of each application, in the order of the file: what follows one another there is
 * what a window of them shows. */
static loom_status keep_apps(prompts_job *j, const char *path, loom_err *err)
{
    loom_management m = {0};
    loom_rng rng;
    int64_t left[LOOM_APPS] = {0}, want[LOOM_APPS], kept = 0;
    loom_status st = loom_management_apps(&m, path, err);

    for (int64_t i = 0; st == LOOM_OK && i < j->valid.n; i++) {
        int app = loom_management_app_of(&m, j->valid.graphs[i].service);
        if (app >= 0) left[app]++;
    }
    for (int a = 0; a < LOOM_APPS; a++) want[a] = loom_min_i64(j->conf->count, left[a]);
    loom_rng_seed(&rng, (uint64_t)j->ctx->common.seed, "apps", 0);
    for (int64_t i = 0; st == LOOM_OK && i < j->valid.n; i++) {
        int app = loom_management_app_of(&m, j->valid.graphs[i].service);
        if (app < 0) continue;
        if ((int64_t)loom_rng_below(&rng, (uint64_t)left[app]--) >= want[app]) continue;
        want[app]--;
        j->valid.graphs[kept++] = j->valid.graphs[i];
    }
    j->valid.n = kept;
    j->own.count = kept;
    loom_management_release(&m);
    return st;
}

typedef enum even_kind { EVEN_NONE, EVEN_HIGH_LATENCY, EVEN_UNCOMMON } even_kind;

static bool has(even_kind kind, const loom_graph *g, const loom_stats *stats)
{
    loom_facts facts = loom_stats_facts(stats, g->service);

    if (kind == EVEN_HIGH_LATENCY) return loom_is_high_latency(&facts, loom_call_finish(&g->calls[0]));
    for (int32_t i = 0; i < g->n_calls; i++) {
        const loom_call *c = &g->calls[i];
        if (loom_stats_is_rare(stats, g->service, c->source, c->type, c->destination)) return true;
    }
    return false;
}

/* Half of `count` with it and half without, as far as there are so many, in the order in which they stand. */
static void keep_even(prompts_job *j)
{
    int64_t room[2] = {j->conf->count - j->conf->count / 2, j->conf->count / 2}, kept = 0;

    for (int64_t i = 0; i < j->valid.n; i++)
        if (room[has((even_kind)j->conf->even, &j->valid.graphs[i], j->stats)]-- > 0)
            j->valid.graphs[kept++] = j->valid.graphs[i];
    j->valid.n = kept;
}

/* A random choice of the validation graphs, in random order: each once, so as many as there are at most. */
static loom_status write_like(prompts_job *j, const char *valid_path, loom_err *err)
{
    loom_rng rng;
    loom_buf prompt = {0};
    loom_status st = LOOM_OK;
    LOOM_TRY(load_part(j, valid_path, err));
    if (j->conf->stats) LOOM_TRY(loom_stats_load(&j->stats, j->conf->stats, err));
    LOOM_TRY(loom_out_open(&j->out, j->conf->output, j->ctx->common.force, err));
    loom_rng_seed(&rng, (uint64_t)j->ctx->common.seed, "like", 0);
    if (j->conf->apps) LOOM_TRY(keep_apps(j, valid_path, err));
    else loom_rng_shuffle(&rng, j->valid.graphs, (size_t)j->valid.n, sizeof *j->valid.graphs);
    if (j->conf->even) keep_even(j);
    for (int64_t i = 0; i < loom_min_i64(j->valid.n, j->conf->count) && st == LOOM_OK; i++) {
        const loom_graph *g = &j->valid.graphs[i];
        st = render_prompt(j, &prompt, g, err);
        if (st == LOOM_OK) st = write_prompt(j, g, &prompt, NULL, false, err);
        loom_arena_reset(&j->arena);
    }
    loom_buf_release(&prompt);
    LOOM_TRY(st);
    LOOM_TRY(commit(j, NULL, err));
    if (j->n_written < j->conf->count)
        loom_info("%lld prompts: one for every validation graph (%lld were asked for)", (long long)j->n_written,
                  (long long)j->conf->count);
    else loom_info("%lld prompts", (long long)j->n_written);
    return LOOM_OK;
}

static loom_status write_all(prompts_job *j, const char *valid_path, loom_err *err)
{
    LOOM_TRY(load_valid(j, valid_path, err));
    if (j->conf->stats) LOOM_TRY(loom_stats_load(&j->stats, j->conf->stats, err));
    if (!j->ctx->common.dry_run) LOOM_TRY(open_outputs(j, err));
    LOOM_TRY(count_train(j, err));
    coverage v = count_coverage(j);
    if (v.covered == 0)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s: no graph has %s edges and depth %s; widen --edges and --depths",
                         valid_path, j->conf->edges, j->conf->depths);
    if (j->ctx->common.dry_run) {
        loom_info("would write %lld prompts to %s", (long long)(v.covered * j->conf->per_cell), j->conf->output);
        return LOOM_OK;
    }
    for (int64_t at = 0; at < loom_grid_cells(&j->grid); at++)
        if (j->cells[at].n) LOOM_TRY(write_cell(j, at, err));
    v = count_coverage(j);
    LOOM_TRY(commit(j, &v, err));
    report(j, &v);
    return LOOM_OK;
}

/* Whole graphs in one answer are what a model can be asked for that knows no layers of ours. */
static loom_status check_kinds(const prompts_conf *conf, loom_err *err)
{
    if (conf->unusual && (!conf->like || !conf->stats || conf->mode != LOOM_MODE_INSTRUCTION))
        return loom_fail(err, LOOM_STATUS_ARG, "--unusual goes with --like, instruction prompts, and --stats");
    if (conf->even && !conf->unusual)
        return loom_fail(err, LOOM_STATUS_ARG, "--even shares out prompts that ask for what is unusual; add --unusual");
    if (conf->apps && !conf->like)
        return loom_fail(err, LOOM_STATUS_ARG, "--apps asks for graphs as they occur; add --like");
    if (conf->like && conf->ask)
        return loom_fail(err, LOOM_STATUS_ARG, "--like and --ask are two kinds of prompts; give one of them");
    if (!conf->few_shot) return LOOM_OK;
    if (conf->mode != LOOM_MODE_TABULAR || conf->like || conf->ask)
        return loom_fail(
            err, LOOM_STATUS_ARG,
            "--few-shot asks for whole graphs of given sizes; add --mode tabular, without --like and --ask");
    if (!conf->train)
        return loom_fail(err, LOOM_STATUS_ARG, "--few-shot shows examples; give the training graphs with --train");
    if (strcmp(conf->few_shot, conf->output) == 0)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "prompts and requests cannot both go to %s; give --few-shot another file", conf->output);
    return LOOM_OK;
}

static loom_status run_prompts(const loom_ctx *ctx, loom_err *err)
{
    prompts_job j = {.ctx = ctx, .own = *(const prompts_conf *)ctx->conf};
    const loom_preset *preset = loom_preset_of(j.own.preset);
    j.own.per_cell = loom_preset_or(j.own.per_cell, preset->per_cell);
    j.own.count = loom_preset_or(j.own.count, j.own.apps ? preset->managed : j.own.like ? preset->like : preset->asked);
    j.conf = &j.own;
    j.shot = (loom_few_shot){.n_examples = j.own.examples, .seed = (uint64_t)ctx->common.seed};
    LOOM_TRY(check_kinds(j.conf, err));
    LOOM_TRY(loom_grid_range(&j.grid.edges_lo, &j.grid.edges_hi, j.conf->edges, "--edges", err));
    LOOM_TRY(loom_grid_range(&j.grid.depth_lo, &j.grid.depth_hi, j.conf->depths, "--depths", err));
    j.cells = loom_calloc((size_t)loom_grid_cells(&j.grid), sizeof *j.cells);
    if (!j.cells) return loom_fail_nomem(err, "the cells");
    loom_status st = record_inputs(&j, ctx->args[0], err);
    if (st == LOOM_OK && !loom_meta_up_to_date(&j.meta, ctx, j.conf->output))
        st = j.conf->ask    ? write_pairs(&j, ctx->args[0], err)
             : j.conf->like ? write_like(&j, ctx->args[0], err)
                            : write_all(&j, ctx->args[0], err);
    loom_out_abandon(&j.out);
    loom_out_abandon(&j.requests);
    loom_few_shot_release(&j.shot);
    for (int64_t at = 0; at < loom_grid_cells(&j.grid); at++) free(j.cells[at].graphs);
    free(j.cells);
    loom_stats_free(j.stats);
    loom_meta_release(&j.meta);
    loom_graph_set_release(&j.valid);
    loom_arena_release(&j.arena);
    return st;
}

const loom_cmd loom_cmd_prompts = {
    .name = "prompts",
    .summary = "make prompts for every size of graph, from validation graphs",
    .args = "VALID.graphs.zst",
    .min_args = 1,
    .max_args = 1,
    .details =
        "For every number of edges and depth that a graph can have (136 cells with the defaults) prompts are drawn\n"
        "from the validation graphs of that size: distinct ones as long as there are any, then the same again.\n"
        "Sizes without a validation graph get none and are named in FILE.meta.json. With --like, graphs are asked for\n"
        "as they occur. Choose models and options by prompts of --part dev, and report what came out with --part test:\n"
        "a choice made on the prompts that are reported flatters itself. With --few-shot a language model of others\n"
        "is asked the same; loom-eval few-shot judges its answers.\n\n"
        "  loom-eval prompts valid.graphs.zst --mode recursive --stats stats.json --train train.graphs.zst \\\n"
        "      -o recursive.prompts.jsonl\n"
        "  loom-eval prompts valid.graphs.zst --mode tabular --edges 2:10 --depths 2:5 --per-cell 10 --train train.graphs.zst \\\n"
        "      --few-shot few-shot.requests.jsonl -o few-shot.prompts.jsonl\n",
    .opts = prompts_opts,
    .conf_size = sizeof(prompts_conf),
    .run = run_prompts,
    .updates = true};
