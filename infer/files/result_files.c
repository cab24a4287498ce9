#include "infer/files/result_files.h"

#include <stdlib.h>

#include "core/csv_cell.h"
#include "core/json.h"
#include "core/nomem.h"
#include "core/num.h"
#include "core/ranks.h"
#include "trace/graph/record.h"
#include "trace/graph/rows.h"

/* ---- one answer ---- */

typedef struct answer_writer {
    loom_jw w;
    const loom_gen_result *r;
    int64_t n; /* layers written */
} answer_writer;

/* A layer and all below it; layers that were never generated are left out. */
static void write_layer(answer_writer *a, int32_t index, int64_t parent)
{
    const loom_request_layer *l = loom_request_at(a->r->tree, index);
    loom_jw *w = &a->w;

    if (!l->text) return;
    int64_t own = a->n++;
    loom_jw_begin_object(w);
    loom_jw_kv_str(w, "prefix", l->prefix);
    loom_jw_kv_i64(w, "parent", parent);
    loom_jw_key(w, "prompt");
    loom_jw_strn(w, l->prompt, l->prompt_len);
    loom_jw_key(w, "text");
    loom_jw_strn(w, l->text, l->text_len);
    loom_jw_kv_i64(w, "tokens", a->r->layers[index].tokens);
    loom_jw_kv_str(w, "stop", loom_stop_names[a->r->layers[index].stop]);
    loom_jw_end_object(w);
    for (int32_t i = 0; i < l->n_children; i++) write_layer(a, l->first_child + i, own);
}

void loom_answer_line(loom_buf *into, const loom_result_files_conf *conf, const loom_gen_result *r)
{
    answer_writer a = {.r = r};
    loom_jw *w = &a.w;

    loom_jw_init(w, into, false);
    loom_jw_begin_object(w);
    loom_jw_kv_i64(w, "id", r->prompt->id);
    loom_jw_kv_i64(w, "sample", r->sample);
    loom_jw_kv_str(w, "mode", loom_mode_names[r->prompt->mode]);
    loom_jw_kv_i64(w, "edges", r->prompt->edges);
    loom_jw_kv_i64(w, "depth", r->prompt->depth);
    loom_jw_kv_f64(w, "temperature", conf->temperature);
    loom_jw_kv_i64(w, "seed", conf->seed);
    loom_jw_kv_str(w, "constrain", conf->constrain);
    if (r->refused) loom_jw_kv_str(w, "refused", r->refused);
    loom_jw_key(w, "layers");
    loom_jw_begin_array(w);
    if (!r->refused || loom_request_count(r->tree) > 1) write_layer(&a, 0, -1);
    loom_jw_end_array(w);
    loom_jw_end_object(w);
    loom_buf_char(into, '\n');
}

/* ---- files ---- */

static loom_status open_one(loom_out **out, const char *path, bool force, loom_buf *away, loom_err *err)
{
    if (!path) return LOOM_OK;
    return loom_ranks_lead() ? loom_out_open(out, path, force, err) : loom_out_to_buf(out, away, err);
}

static loom_status write_rows(loom_result_files *r, loom_err *err)
{
    if (!r->conf.safe_csv) return loom_out_write(r->csv, r->line.data, r->line.len, err);
    loom_buf guarded = {0};
    loom_csv_guard(&guarded, r->line.data, r->line.len);
    loom_status st = loom_buf_check(&guarded, "a graph", err);
    if (st == LOOM_OK) st = loom_out_write(r->csv, guarded.data, guarded.len, err);
    loom_buf_release(&guarded);
    return st;
}

static bool wanted(const loom_result_files *r, const loom_outcome *o)
{
    if (!loom_outcome_has_record(o)) return false;
    return !r->conf.only_correct || (o->correct && !loom_unknown_calls(o, r->conf.known));
}

static loom_status keep_graph(loom_result_files *r, const loom_graph *g, loom_err *err)
{
    char traceid[32];

    if (r->records) {
        loom_buf_reset(&r->line);
        loom_record_render_untimed(&r->line, g);
        loom_buf_char(&r->line, '\n');
        LOOM_TRY(loom_buf_check(&r->line, "a graph", err));
        LOOM_TRY(loom_out_write(r->records, r->line.data, r->line.len, err));
    }
    if (r->csv) {
        loom_buf_reset(&r->line);
        snprintf(traceid, sizeof traceid, "T_%011lld", (long long)(r->conf.first + r->number));
        loom_rows_render_graph(&r->line, g, traceid, 0);
        LOOM_TRY(loom_buf_check(&r->line, "a graph", err));
        LOOM_TRY(write_rows(r, err));
    }
    r->n_graphs++;
    return LOOM_OK;
}

/* ---- going on ---- */

static loom_status resumed_layers(loom_replay_layer *out, const loom_json *layers, loom_err *err)
{
    for (size_t i = 0; i < loom_json_len(layers); i++) {
        const loom_json *l = loom_json_at(layers, i);
        out[i] = (loom_replay_layer){.parent = (int32_t)loom_json_i64(loom_json_get(l, "parent"), -1)};
        out[i].prompt = loom_json_str(loom_json_get(l, "prompt"), &out[i].prompt_len);
        out[i].text = loom_json_str(loom_json_get(l, "text"), &out[i].text_len);
        if (!out[i].prompt || !out[i].text)
            return loom_fail(err, LOOM_STATUS_FORMAT, "a line of the partial file is damaged");
    }
    return LOOM_OK;
}

/* The graph of an answer that was there, judged again. */
static loom_status resume_line(void *results, const char *line, size_t len, loom_err *err)
{
    loom_result_files *r = results;
    loom_json *root = NULL;
    loom_request *tree = NULL;
    loom_replay_layer *layers = NULL;
    loom_request_conf conf = {.max_trials = 1};
    loom_status st = loom_json_parse(&root, line, len, "partial file", err);

    if (st != LOOM_OK) return st;
    const loom_json *list = loom_json_get(root, "layers");
    const char *mode = loom_json_str(loom_json_get(root, "mode"), NULL);
    size_t n = loom_json_len(list);
    layers = loom_calloc(n + 1, sizeof *layers);
    if (!layers) st = loom_fail_nomem(err, "layers");
    else if (!mode || !loom_mode_parse(&conf.mode, mode))
        st = loom_fail(err, LOOM_STATUS_FORMAT, "a line of the partial file has no mode");
    else st = resumed_layers(layers, list, err);
    if (st == LOOM_OK && n) st = loom_request_replay(&tree, &conf, layers, (int32_t)n, err);
    if (st == LOOM_OK && n) {
        const loom_outcome *o = loom_request_outcome(tree);
        if (wanted(r, o)) st = keep_graph(r, &o->graph.graph, err);
    }
    loom_request_free(&tree);
    free(layers);
    loom_json_free(root);
    r->number++;
    return st;
}

static loom_status open_partial(loom_result_files *r, loom_err *err)
{
    if (!r->conf.resume || !r->conf.answers) return LOOM_OK;
    LOOM_TRY(loom_resume_log_open(&r->partial, r->conf.answers, r->conf.run, err));
    r->n_resumed = loom_resume_log_count(r->partial);
    return loom_resume_log_each(r->partial, resume_line, r, err);
}

loom_status loom_result_files_open(loom_result_files *r, const loom_result_files_conf *conf, loom_err *err)
{
    loom_status st;

    *r = (loom_result_files){.conf = *conf};
    st = open_one(&r->answers, conf->answers, conf->force, &r->away[0], err);
    if (st == LOOM_OK) st = open_one(&r->records, conf->records, conf->force, &r->away[1], err);
    if (st == LOOM_OK) st = open_one(&r->csv, conf->csv, conf->force, &r->away[2], err);
    if (st == LOOM_OK && r->csv && loom_ranks_lead()) {
        loom_rows_render_header(&r->line);
        st = loom_buf_check(&r->line, "the header", err);
        if (st == LOOM_OK) st = loom_out_write(r->csv, r->line.data, r->line.len, err);
    }
    if (st == LOOM_OK) st = open_partial(r, err);
    if (st != LOOM_OK) loom_result_files_abandon(r);
    return st;
}

loom_status loom_result_files_keep(void *results, const loom_gen_result *result, loom_err *err)
{
    loom_result_files *r = results;

    if (r->answers) {
        loom_buf_reset(&r->line);
        loom_answer_line(&r->line, &r->conf, result);
        /* the partial file stays when this run fails: no answer goes there that memory may have changed */
        LOOM_TRY(loom_nomem_check("an answer", err));
        LOOM_TRY(r->partial ? loom_resume_log_add(r->partial, r->line.data, r->line.len, err)
                            : loom_out_write(r->answers, r->line.data, r->line.len, err));
    }
    loom_status st = wanted(r, result->outcome) ? keep_graph(r, &result->outcome->graph.graph, err) : LOOM_OK;
    r->number++;
    return st;
}

loom_status loom_result_files_commit(loom_result_files *r, const loom_meta *meta, const loom_ctx *ctx, loom_err *err)
{
    loom_out *outs[] = {r->answers, r->records, r->csv};
    loom_status st = LOOM_OK;

    if (r->partial) st = loom_resume_log_copy(r->partial, r->answers, err);
    if (st == LOOM_OK) {
        r->answers = r->records = r->csv = NULL;
        st = loom_meta_commit(meta, ctx, outs, 3, 3, err);
    }
    if (st == LOOM_OK) loom_resume_log_close(&r->partial, true);
    loom_result_files_abandon(r);
    return st;
}

void loom_result_files_abandon(loom_result_files *r)
{
    loom_out_abandon(&r->answers);
    loom_out_abandon(&r->records);
    loom_out_abandon(&r->csv);
    loom_resume_log_close(&r->partial, false);
    for (size_t i = 0; i < LOOM_RESULT_FILES; i++) loom_buf_release(&r->away[i]);
    loom_buf_release(&r->line);
}
