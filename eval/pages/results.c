#include "eval/pages/results.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/csv_cell.h"
#include "core/file.h"
#include "core/log.h"
#include "core/nomem.h"
#include "core/num.h"
#include "core/usage.h"

/* ---- where the data come from ---- */

/* An input named in the provenance: as it stands, else beside the file that names it. */
static bool search_origin(const char *path, int depth, int64_t *seed)
{
    loom_buf beside = {0};
    loom_json *root = depth > 0 ? loom_meta_load(path, false) : NULL;
    bool found = false;

    if (!root) goto done;
    const char *subcommand = loom_json_str(loom_json_get(root, "subcommand"), NULL);
    if (subcommand && strcmp(subcommand, "sample-traces") == 0) {
        *seed = loom_json_i64(loom_json_get(root, "seed"), 0);
        found = true;
        goto done;
    }
    const loom_json *inputs = loom_json_get(root, "inputs");
    for (size_t i = 0; i < loom_json_len(inputs) && !found; i++) {
        const char *input = loom_json_str(loom_json_get(loom_json_at(inputs, i), "path"), NULL);
        if (!input || strcmp(input, path) == 0) continue;
        found = search_origin(input, depth - 1, seed);
        const char *base = strrchr(input, '/'), *slash = strrchr(path, '/');
        if (found || !slash) continue;
        loom_buf_reset(&beside);
        loom_buf_printf(&beside, "%.*s/%s", (int)(slash - path), path, base ? base + 1 : input);
        if (strcmp(beside.data, path) != 0 && strcmp(beside.data, input) != 0)
            found = search_origin(beside.data, depth - 1, seed);
    }
done:
    loom_json_free(root);
    loom_buf_release(&beside);
    return found;
}

bool loom_results_sample_seed(const char *path, int64_t *seed) { return search_origin(path, 9, seed); }

const char *loom_results_origin(const loom_results *r, char *text, size_t cap)
{
    if (r->synthetic) snprintf(text, cap, "synthetic sample data, seed %lld · ", (long long)r->sample_seed);
    else *text = 0;
    return text;
}

/* ---- the folder ---- */

loom_status loom_results_open(loom_results *r, const loom_ctx *ctx, const char *dir, bool pictures, loom_err *err)
{
    if (!dir) return loom_fail(err, LOOM_STATUS_ARG, "no folder for the results; name one with --output");
    *r = (loom_results){.ctx = ctx, .dir = dir, .pictures = pictures, .started = loom_time_now()};
    return LOOM_OK;
}

loom_status loom_results_input(loom_results *r, const char *path, loom_err *err)
{
    if (!r->synthetic) r->synthetic = loom_results_sample_seed(path, &r->sample_seed);
    return loom_meta_input(&r->meta, path, err);
}

void loom_results_called(loom_results *r, const char *name)
{
    loom_jw w;
    if (r->names.len) loom_buf_char(&r->names, ',');
    loom_jw_init(&w, &r->names, false);
    loom_jw_str(&w, name);
}

/* New files stand in DIR/.part.<pid>-<random> until all of them are there; the folder is made when the first one
 * comes, and those of killed runs go. */
static loom_status make_stage(loom_results *r, loom_err *err)
{
    if (r->stage.len) return LOOM_OK;
    r->made_dir = !loom_file_exists(r->dir);
    char *path = NULL;
    loom_temp_dir_sweep(r->dir, ".part");
    LOOM_TRY(loom_temp_dir_open(&path, &r->stage_lock, r->dir, ".part", err));
    loom_buf_str(&r->stage, path);
    loom_status st = loom_buf_check(&r->stage, "a folder name", err);
    if (st != LOOM_OK) {
        loom_temp_dir_discard(path, r->stage_lock);
        loom_buf_reset(&r->stage);
    }
    free(path);
    return st;
}

/* An existing file stops the command before it has written anything else. */
static loom_status refuse_replacing(const loom_results *r, const char *name, loom_err *err)
{
    loom_buf path = {0};
    loom_status st = LOOM_OK;
    loom_buf_printf(&path, "%s/%s", r->dir, name);
    if (!r->ctx->common.force && loom_file_exists(path.data))
        st = loom_fail(err, LOOM_STATUS_ARG, "%s exists already; give --force to replace it", path.data);
    loom_buf_release(&path);
    return st;
}

static void record_file(loom_results *r, const char *name)
{
    loom_jw w;
    if (r->files.len) loom_buf_char(&r->files, ',');
    loom_jw_init(&w, &r->files, false);
    loom_jw_str(&w, name);
}

loom_status loom_results_text(loom_results *r, const char *name, const char *text, size_t len, loom_err *err)
{
    loom_buf path = {0};
    if (loom_stop_requested()) /* the numbers may be of a part only */
        return loom_fail(err, LOOM_STATUS_INTERRUPT, "interrupted; %s/%s was not written", r->dir, name);
    LOOM_TRY(refuse_replacing(r, name, err));
    LOOM_TRY(make_stage(r, err));
    loom_buf_printf(&path, "%s/%s", r->stage.data, name);
    loom_status st = loom_file_write(path.data, text, len, true, err);
    if (st == LOOM_OK) record_file(r, name);
    loom_buf_release(&path);
    return st;
}

loom_status loom_results_table(loom_results *r, const char *name, const loom_csv_table *table, loom_err *err)
{
    loom_buf guarded = {0};
    if (!r->ctx->common.safe_csv) return loom_results_text(r, name, table->text.data, table->text.len, err);
    loom_csv_guard(&guarded, table->text.data, table->text.len);
    loom_status st = loom_results_text(r, name, guarded.data, guarded.len, err);
    loom_buf_release(&guarded);
    return st;
}

loom_status loom_results_figure(loom_results *r, const char *name, const loom_figure_vars *vars, loom_err *err)
{
    static const char *const endings[] = {".gp", ".png", ".svg"};
    const loom_figure *f = loom_figure_find(name);
    char why[512], file[128];

    if (!r->pictures) return LOOM_OK;
    if (!f) return loom_fail(err, LOOM_STATUS_ARG, "there is no figure %s", name);
    snprintf(file, sizeof file, "%s.gp", name);
    LOOM_TRY(refuse_replacing(r, file, err));
    LOOM_TRY(make_stage(r, err));
    LOOM_TRY(loom_figure_draw(f, r->stage.data, vars, true, why, sizeof why, err));
    if (*why && !r->told) {
        loom_warn("no pictures: %s; the tables and scripts are in %s, `gnuplot %s.gp` draws there later", why, r->dir,
                  name);
        r->told = true;
    }
    for (size_t i = 0; i < (*why ? 1u : 3u); i++) {
        snprintf(file, sizeof file, "%s%s", name, endings[i]);
        record_file(r, file);
    }
    return LOOM_OK;
}

void loom_results_summary(loom_results *r, const char *figure, const char *what, const char *paper, const char *ours,
                          int same, const char *note)
{
    loom_jw w;
    if (r->summary.len) loom_buf_str(&r->summary, ",\n      ");
    loom_jw_init(&w, &r->summary, false);
    loom_jw_begin_object(&w);
    loom_jw_kv_str(&w, "figure", figure);
    loom_jw_kv_str(&w, "what", what);
    if (paper) loom_jw_kv_str(&w, "paper", paper);
    if (ours) loom_jw_kv_str(&w, "ours", ours);
    if (same >= 0) loom_jw_kv_bool(&w, "same_direction", same);
    if (note) loom_jw_kv_str(&w, "note", note);
    loom_jw_end_object(&w);
}

/* Another process may have written the same in the meantime; the manifest is everybody's. */
static loom_status check_free(const loom_results *r, char *const *paths, size_t n, loom_err *err)
{
    for (size_t i = 0; i < n; i++) {
        const char *name = strrchr(paths[i], '/') + 1;
        if (strcmp(name, "manifest.json") != 0) LOOM_TRY(refuse_replacing(r, name, err));
    }
    return LOOM_OK;
}

/* Where a staged file belongs. */
static loom_status final_name(loom_buf *final, const loom_results *r, const char *path, loom_err *err)
{
    loom_buf_reset(final);
    loom_buf_printf(final, "%s/%s", r->dir, strrchr(path, '/') + 1);
    return loom_buf_check(final, "a file name", err);
}

/* The new file gets the name; one that has it goes into the stage, from where it can come back. 0 or an errno. */
static int give_name(const char *path, const char *final, bool *swapped)
{
    *swapped = renameat2(AT_FDCWD, path, AT_FDCWD, final, RENAME_EXCHANGE) == 0;
    if (*swapped) return 0;
    if (errno != ENOENT && errno != ENOSYS && errno != EINVAL && errno != ENOTSUP) return errno;
    return rename(path, final) == 0 ? 0 : errno;
}

static void take_back(const loom_results *r, char *const *paths, const bool *swapped, size_t n)
{
    loom_buf final = {0};
    for (size_t i = 0; i < n; i++) {
        if (final_name(&final, r, paths[i], NULL) != LOOM_OK) continue;
        if (swapped[i]) (void)!renameat2(AT_FDCWD, paths[i], AT_FDCWD, final.data, RENAME_EXCHANGE);
        else unlink(final.data);
    }
    loom_buf_release(&final);
}

/* All of them or none. */
static loom_status give_names(const loom_results *r, char *const *paths, size_t n, loom_err *err)
{
    loom_buf final = {0};
    bool *swapped = loom_calloc(n, sizeof *swapped);
    loom_status st = swapped ? check_free(r, paths, n, err) : loom_fail_nomem(err, "a list of files");
    for (size_t i = 0; i < n && st == LOOM_OK; i++) {
        int code = 0;
        if ((st = final_name(&final, r, paths[i], err)) == LOOM_OK &&
            (code = give_name(paths[i], final.data, &swapped[i])))
            st = loom_fail(err, LOOM_STATUS_IO, "cannot rename %s to %s: %s", paths[i], final.data, strerror(code));
        if (st != LOOM_OK) take_back(r, paths, swapped, i);
    }
    loom_buf_release(&final);
    free(swapped);
    return st;
}

/* Gives every staged file its name. */
static loom_status publish_stage(loom_results *r, loom_err *err)
{
    char **paths = NULL;
    size_t n = 0;
    LOOM_TRY(loom_nomem_check("the results", err));
    LOOM_TRY(loom_list_files(&paths, &n, r->stage.data, "", err));
    loom_status st = give_names(r, paths, n, err);
    loom_free_list(paths, n);
    return st;
}

/* Needs no memory: it may be the want of it that ends the run. */
static void remove_stage(loom_results *r, bool published)
{
    if (!r->stage.len) return;
    loom_temp_dir_discard(r->stage.data, r->stage_lock);
    if (!published && r->made_dir) rmdir(r->dir); /* succeeds only when nobody else has written there */
    loom_buf_reset(&r->stage);
}

/* ---- manifest ---- */

/* The manifest that is there; NULL when none is or it cannot be read. */
static loom_json *open_manifest(const loom_results *r)
{
    loom_buf path = {0};
    loom_json *root = NULL;
    loom_buf_printf(&path, "%s/manifest.json", r->dir);
    if (loom_file_exists(path.data)) (void)loom_json_read_file(&root, path.data, LOOM_BOUND_JSON, NULL);
    loom_buf_release(&path);
    return root;
}

/* Parts of other commands from a manifest that is already there. One that cannot be read is replaced. */
static void copy_other_parts(loom_jw *w, const loom_results *r)
{
    loom_json *root = open_manifest(r);
    const loom_json *runs = loom_json_get(root, "runs");
    if (loom_json_is_object(runs)) {
        for (void *it = loom_json_iter(runs); it; it = loom_json_iter_next(runs, it)) {
            if (strcmp(loom_json_iter_key(it), r->ctx->cmd->name) == 0) continue;
            loom_jw_key(w, loom_json_iter_key(it));
            loom_jw_copy(w, loom_json_iter_value(it));
        }
    }
    loom_json_free(root);
}

/* This command's part as it would be written now. */
static loom_status own_part(loom_json **out, const loom_results *r, loom_err *err)
{
    loom_buf text = {0};
    loom_meta_render(&r->meta, r->ctx, &text);
    loom_status st = loom_json_parse(out, text.data, text.len, "manifest", err);
    loom_buf_release(&text);
    return st;
}

static void add_list(loom_results *r, const char *key, const loom_buf *members)
{
    loom_buf list = {0};
    loom_buf_printf(&list, "[%s]", loom_buf_text(members));
    loom_meta_json(&r->meta, key, list.data);
    loom_buf_release(&list);
}

static bool files_are_there(const loom_results *r, const loom_json *files)
{
    loom_buf path = {0};
    bool all = loom_json_len(files) > 0;
    for (size_t i = 0; i < loom_json_len(files) && all; i++) {
        const char *name = loom_json_str(loom_json_at(files, i), NULL);
        loom_buf_reset(&path);
        loom_buf_printf(&path, "%s/%s", r->dir, name ? name : "");
        all = name && loom_file_exists(path.data);
    }
    loom_buf_release(&path);
    return all;
}

static bool same_names(const loom_results *r, const loom_json *list)
{
    loom_buf text = {0};
    loom_jw w;
    for (size_t i = 0; i < loom_json_len(list); i++) {
        const char *name = loom_json_str(loom_json_at(list, i), NULL);
        if (i) loom_buf_char(&text, ',');
        loom_jw_init(&w, &text, false);
        loom_jw_str(&w, name ? name : "");
    }
    bool same = strcmp(loom_buf_text(&text), loom_buf_text(&r->names)) == 0;
    loom_buf_release(&text);
    return same;
}

bool loom_results_up_to_date(const loom_results *r)
{
    loom_json *now = NULL, *root;
    if (!r->ctx->common.update || own_part(&now, r, NULL) != LOOM_OK) return false;
    root = open_manifest(r);
    const loom_json *was = loom_json_get(loom_json_get(root, "runs"), r->ctx->cmd->name);
    const char *a = loom_json_str(loom_json_get(now, "settings_digest"), NULL);
    const char *b = loom_json_str(loom_json_get(was, "settings_digest"), NULL);
    bool fresh = a && b && strcmp(a, b) == 0 && same_names(r, loom_json_get(was, "names")) &&
                 files_are_there(r, loom_json_get(was, "files"));
    if (fresh) loom_info("%s: what %s writes is up to date", r->dir, r->ctx->cmd->name);
    loom_json_free(now);
    loom_json_free(root);
    return fresh;
}

loom_status loom_results_close(loom_results *r, loom_err *err)
{
    loom_buf text = {0}, path = {0};
    loom_json *part = NULL;
    loom_jw w;
    loom_status st;
    int lock = -1;

    loom_meta_f64(&r->meta, "seconds", loom_time_now() - r->started);
    add_list(r, "names", &r->names);
    add_list(r, "files", &r->files);
    add_list(r, "summary", &r->summary);
    if (r->synthetic) loom_meta_i64(&r->meta, "sample_traces_seed", r->sample_seed);
    if ((st = own_part(&part, r, err)) != LOOM_OK) goto done;
    if ((st = make_stage(r, err)) != LOOM_OK) goto done;
    lock = loom_temp_lock_folder(r->dir); /* from reading the manifest to replacing it */
    loom_jw_init(&w, &text, true);
    loom_jw_begin_object(&w);
    loom_jw_kv_str(&w, "format", "spanloom-results-1");
    loom_jw_key(&w, "runs");
    loom_jw_begin_object(&w);
    copy_other_parts(&w, r);
    loom_jw_key(&w, r->ctx->cmd->name);
    loom_jw_copy(&w, part);
    loom_jw_end_object(&w);
    loom_jw_end_object(&w);
    loom_buf_char(&text, '\n');
    loom_buf_printf(&path, "%s/manifest.json", r->stage.data);
    if ((st = loom_file_write(path.data, text.data, text.len, true, err)) != LOOM_OK) goto done;
    st = publish_stage(r, err);
    if (st == LOOM_OK) remove_stage(r, true);
done:
    if (lock >= 0) close(lock);
    loom_json_free(part);
    loom_buf_release(&text);
    loom_buf_release(&path);
    return st;
}

void loom_results_release(loom_results *r)
{
    remove_stage(r, false);
    loom_buf_release(&r->stage);
    loom_meta_release(&r->meta);
    loom_buf_release(&r->names);
    loom_buf_release(&r->files);
    loom_buf_release(&r->summary);
}
