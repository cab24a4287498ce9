/* Which file a model path stands for. */
#include "model/model_find.h"

#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/file.h"
#include "core/num.h"
#include "store/ckpt.h"

bool loom_model_file_in(loom_buf *path, const char *dir, const char *name)
{
    loom_buf_reset(path);
    loom_buf_printf(path, "%s/%s", dir, name);
    return loom_file_exists(path->data);
}

static loom_status resolve_folder(char **file, loom_model_kind *kind, const char *dir, loom_err *err)
{
    loom_buf path = {0};
    loom_status st = LOOM_OK;
    char *found = NULL;

    *kind = LOOM_MODEL_KIND_CKPT;
    if (loom_model_file_in(&path, dir, "config.json")) {
        *kind = LOOM_MODEL_KIND_HF;
        found = loom_strdup(dir);
    } else if (loom_model_file_in(&path, dir, "model.h5") || loom_model_file_in(&path, dir, "adapter.h5")) {
        found = loom_strdup(path.data);
    } else {
        st = loom_ckpt_newest(&found, dir, NULL, NULL, err);
    }
    loom_buf_release(&path);
    if (st == LOOM_OK && !found)
        st = loom_fail(err, LOOM_STATUS_IO,
                       "%s holds no model: no model.h5, adapter.h5, step-*.h5 of loom-train and no config.json", dir);
    if (st == LOOM_OK) *file = found;
    return st;
}

loom_status loom_model_find(char **file, loom_model_kind *kind, const char *path, loom_err *err)
{
    if (loom_file_is_dir(path)) return resolve_folder(file, kind, path, err);
    if (!loom_file_exists(path))
        return loom_fail(err, LOOM_STATUS_IO, "%s does not exist; give a checkpoint or a folder", path);
    *kind = LOOM_MODEL_KIND_CKPT;
    *file = loom_strdup(path);
    return *file ? LOOM_OK : loom_fail_nomem(err, "a file name");
}
