/* Folders of checkpoints: which is the newest intact one, which are old, what killed runs have left. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/num.h"
#include "store/ckpt_impl.h"

char *loom_ckpt_step_path(const char *dir, int64_t step)
{
    loom_buf b = {0};

    loom_buf_printf(&b, "%s/step-%08" PRId64 ".h5", dir, step);
    return loom_buf_take(&b);
}

/* Step of a file name, -1 when it is not one of ours. */
static int64_t step_of(const char *path)
{
    const char *name = strrchr(path, '/');
    size_t len;
    int64_t step;

    name = name ? name + 1 : path;
    len = strlen(name);
    if (len < 9 || strncmp(name, "step-", 5) != 0 || strcmp(name + len - 3, ".h5") != 0) return -1;
    return loom_parse_i64(name + 5, len - 8, &step) && step >= 0 ? step : -1;
}

static int newest_first(const void *a, const void *b)
{
    int64_t x = step_of(*(char *const *)a), y = step_of(*(char *const *)b);

    return x < y ? 1 : x > y ? -1 : 0;
}

/* The folder's step files, newest first. */
static loom_status list_steps(char ***paths, size_t *n, const char *dir, loom_err *err)
{
    char **all = NULL;
    size_t n_all = 0, kept = 0;

    LOOM_TRY(loom_list_files(&all, &n_all, dir, ".h5", err));
    for (size_t i = 0; i < n_all; i++) {
        if (step_of(all[i]) >= 0) all[kept++] = all[i];
        else free(all[i]);
    }
    if (kept) qsort(all, kept, sizeof *all, newest_first);
    *paths = all;
    *n = kept;
    return LOOM_OK;
}

static loom_status verify_file(const char *path, loom_err *err)
{
    loom_ckpt *c = NULL;
    loom_status st = loom_ckpt_open_file(&c, path, err);

    if (st == LOOM_OK) st = loom_ckpt_verify(c, err);
    loom_ckpt_close(&c);
    return st;
}

loom_status loom_ckpt_newest(char **path, const char *dir, void (*note)(void *arg, const char *sentence), void *arg,
                             loom_err *err)
{
    char **paths = NULL, *found = NULL;
    size_t n = 0;
    loom_err bad = {0};
    loom_status st;

    LOOM_TRY(list_steps(&paths, &n, dir, err));
    for (size_t i = 0; i < n && !found; i++) {
        st = verify_file(paths[i], &bad);
        if (st == LOOM_OK) {
            found = paths[i];
            paths[i] = NULL;
        } else if (note) {
            note(arg, bad.msg);
        }
    }
    st = LOOM_OK;
    if (n && !found)
        st = loom_fail(err, LOOM_STATUS_FORMAT, "none of the %zu checkpoints in %s is intact (the last one: %s)", n,
                       dir, bad.msg);
    for (size_t i = 0; i < n; i++) free(paths[i]);
    free(paths);
    if (st == LOOM_OK) *path = found;
    return st;
}

loom_status loom_ckpt_prune(const char *dir, int64_t keep, loom_err *err)
{
    char **paths = NULL;
    size_t n = 0;
    loom_status st = LOOM_OK;

    assert(keep >= 1);
    LOOM_TRY(list_steps(&paths, &n, dir, err));
    for (size_t i = (size_t)keep; i < n && st == LOOM_OK; i++) {
        if (unlink(paths[i]) != 0 && errno != ENOENT)
            st = loom_fail(err, LOOM_STATUS_IO, "cannot remove the old checkpoint %s: %s", paths[i], strerror(errno));
    }
    for (size_t i = 0; i < n; i++) free(paths[i]);
    free(paths);
    return st;
}

static bool is_of_a_run(const char *name)
{
    static const char *const others[] = {"model.h5", "adapter.h5", "best.h5", "curve.csv", "curve.gp"};

    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(name, others[i]) == 0) return true;
    return step_of(name) >= 0;
}

void loom_ckpt_sweep(const char *dir) { loom_temp_sweep_folder(dir, is_of_a_run); }

loom_status loom_ckpt_open(loom_ckpt **out, const char *path, loom_err *err)
{
    char *newest = NULL;
    loom_status st;

    if (!loom_file_is_dir(path)) return loom_ckpt_open_file(out, path, err);
    if ((st = loom_ckpt_newest(&newest, path, NULL, NULL, err)) != LOOM_OK) return st;
    if (!newest)
        return loom_fail(err, LOOM_STATUS_IO,
                         "%s holds no checkpoint (step-*.h5); give a folder of loom-train or a file", path);
    st = loom_ckpt_open_file(out, newest, err);
    free(newest);
    return st;
}
