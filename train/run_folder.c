/* Lock, checkpoints and starting over, in the folder of a run. */
#include "train/run_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"
#include "core/log.h"

/* Opens and locks the file; again when the run before removed it in between. */
static loom_status lock_file(int *lock, const char *path, const char *dir, loom_err *err)
{
    for (;;) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);

        if (fd < 0) return loom_fail(err, LOOM_STATUS_IO, "cannot create %s: %s", path, strerror(errno));
        if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
            close(fd);
            return loom_fail(err, LOOM_STATUS_IO,
                             "another loom-train is at work in %s; wait for it or choose another --output", dir);
        }
        if (loom_file_is_open(fd, path)) {
            *lock = fd;
            return LOOM_OK;
        }
        close(fd);
    }
}

loom_status loom_run_folder_open(loom_run_folder *f, const char *dir, loom_err *err)
{
    loom_buf path = {0};
    loom_status st;

    f->made = !loom_file_is_dir(dir);
    LOOM_TRY(loom_make_dirs(dir, err));
    loom_buf_printf(&path, "%s/run.lock", dir);
    st = lock_file(&f->lock, path.data, dir, err);
    if (st == LOOM_OK) f->dir = dir;
    loom_buf_release(&path);
    return st;
}

void loom_run_folder_close(loom_run_folder *f)
{
    loom_buf path = {0};

    free(f->newest);
    if (!f->dir) return;
    loom_buf_printf(&path, "%s/run.lock", f->dir);
    unlink(path.data);
    if (f->made) rmdir(f->dir); /* refused unless it is empty */
    close(f->lock);
    loom_buf_release(&path);
}

static loom_status start_over(const char *dir, loom_err *err)
{
    static const char *const names[] = {"model.h5", "adapter.h5", "best.h5", "curve.csv", "training.json"};
    char **paths = NULL;
    size_t n = 0;
    loom_buf path = {0};

    LOOM_TRY(loom_list_files(&paths, &n, dir, ".h5", err));
    for (size_t i = 0; i < n; i++) {
        const char *name = strrchr(paths[i], '/');
        if (name && strncmp(name, "/step-", 6) == 0) unlink(paths[i]);
    }
    loom_free_list(paths, n);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        loom_buf_reset(&path);
        loom_buf_printf(&path, "%s/%s", dir, names[i]);
        unlink(path.data);
    }
    loom_buf_release(&path);
    return LOOM_OK;
}

static void say_damaged(void *arg, const char *sentence)
{
    (void)arg;
    loom_warn("%s; trying the one before", sentence);
}

static loom_status open_newest(loom_run_folder *f, loom_ckpt **c, const loom_run_identity *id,
                               const loom_shard_info *train, loom_err *err)
{
    LOOM_TRY(loom_ckpt_newest(&f->newest, f->dir, say_damaged, NULL, err));
    if (!f->newest) return LOOM_OK;
    LOOM_TRY(loom_ckpt_open(c, f->newest, err));
    return loom_run_identity_check(id, *c, train, f->dir, err);
}

loom_status loom_run_folder_find(loom_run_folder *f, loom_ckpt **c, const loom_run_identity *id,
                                 const loom_shard_info *train, bool force, loom_err *err)
{
    loom_status st;

    loom_ckpt_sweep(f->dir);
    if ((st = open_newest(f, c, id, train, err)) == LOOM_OK || !force) return st;
    loom_info("starting over in %s: %s", f->dir, err->msg);
    loom_ckpt_close(c);
    free(f->newest);
    f->newest = NULL;
    return start_over(f->dir, err);
}
