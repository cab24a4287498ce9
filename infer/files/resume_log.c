#include "infer/files/resume_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"
#include "core/num.h"

struct loom_resume_log {
    char *path;
    FILE *file; /* open for appending */
    int64_t n;
};

static void head_line(loom_buf *into, loom_hash128 key)
{
    loom_buf_printf(into, "{\"spanloom\":\"partial\",\"run\":\"%016llx%016llx\"}\n", (unsigned long long)key.hi,
                    (unsigned long long)key.lo);
}

/* Reads what is there: *keep bytes are whole lines of this run. */
static loom_status scan(loom_resume_log *p, const loom_buf *head, size_t *keep, loom_err *err)
{
    loom_map_file map;
    bool same;

    LOOM_TRY(loom_map_open(&map, p->path, err));
    const char *data = (const char *)map.data, *last = map.len ? memrchr(data, '\n', map.len) : NULL;
    *keep = last ? (size_t)(last - data) + 1 : 0;
    same = *keep == 0 || (*keep >= head->len && memcmp(data, head->data, head->len) == 0);
    for (size_t at = head->len; same && at < *keep; p->n++) {
        const char *lf = memchr(data + at, '\n', *keep - at);
        at = (size_t)(lf - data) + 1;
    }
    loom_map_close(&map);
    if (same) return LOOM_OK;
    return loom_fail(err, LOOM_STATUS_ARG,
                     "%s belongs to a run with other options, prompts or model; give those again, "
                     "or remove it",
                     p->path);
}

/* One run at a time; again when the run before has removed its file in between. The lock dies with the process. */
static loom_status open_locked(loom_resume_log *p, loom_err *err)
{
    for (;;) {
        int fd = open(p->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (fd < 0) return loom_fail(err, LOOM_STATUS_IO, "cannot write %s: %s", p->path, strerror(errno));
        if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
            close(fd);
            return loom_fail(err, LOOM_STATUS_IO,
                             "another loom-infer is at work on %s; wait for it or choose another --output", p->path);
        }
        if (!loom_file_is_open(fd, p->path)) {
            close(fd);
            continue;
        }
        if ((p->file = fdopen(fd, "ab"))) return LOOM_OK;
        close(fd);
        return loom_fail_nomem(err, "a partial file");
    }
}

loom_status loom_resume_log_open(loom_resume_log **out, const char *path, loom_hash128 key, loom_err *err)
{
    loom_resume_log *p = loom_calloc(1, sizeof *p);
    loom_buf name = {0}, head = {0};
    size_t keep = 0;
    loom_status st = LOOM_OK;

    if (!p) return loom_fail_nomem(err, "a partial file");
    loom_buf_printf(&name, "%s.partial", path);
    head_line(&head, key);
    if (!(p->path = loom_buf_take(&name)) || loom_buf_failed(&head)) {
        st = loom_fail_nomem(err, "a partial file");
        goto done;
    }
    if ((st = open_locked(p, err)) != LOOM_OK) goto done;
    if (loom_file_size(p->path) > 0 && (st = scan(p, &head, &keep, err)) != LOOM_OK) goto done;
    if (loom_file_size(p->path) > (int64_t)keep && ftruncate(fileno(p->file), (off_t)keep) != 0) {
        st = loom_fail(err, LOOM_STATUS_IO, "cannot write %s: %s", p->path, strerror(errno));
        goto done;
    }
    if (keep == 0) {
        st = loom_resume_log_add(p, head.data, head.len, err);
        p->n = 0;
    }
done:
    loom_buf_release(&head);
    if (st != LOOM_OK) loom_resume_log_close(&p, false);
    else *out = p;
    return st;
}

int64_t loom_resume_log_count(const loom_resume_log *p) { return p->n; }

loom_status loom_resume_log_each(loom_resume_log *p,
                                 loom_status (*fn)(void *arg, const char *line, size_t len, loom_err *err), void *arg,
                                 loom_err *err)
{
    loom_map_file map;
    loom_status st;

    LOOM_TRY(loom_map_open(&map, p->path, err));
    const char *data = (const char *)map.data;
    const char *lf = map.len ? memchr(data, '\n', map.len) : NULL; /* the first line names the run */
    st = LOOM_OK;
    for (size_t at = lf ? (size_t)(lf - data) + 1 : map.len; st == LOOM_OK && at < map.len;) {
        lf = memchr(data + at, '\n', map.len - at);
        if (!lf) break;
        size_t len = (size_t)(lf - data) - at;
        st = fn(arg, data + at, len, err);
        at += len + 1;
    }
    loom_map_close(&map);
    return st;
}

loom_status loom_resume_log_add(loom_resume_log *p, const char *line, size_t len, loom_err *err)
{
    if (fwrite(line, 1, len, p->file) != len || fflush(p->file) != 0)
        return loom_fail(err, LOOM_STATUS_IO, "cannot write %s: %s", p->path, strerror(errno));
    p->n++;
    return LOOM_OK;
}

static loom_status copy_line(void *arg, const char *line, size_t len, loom_err *err)
{
    loom_out *out = arg;
    LOOM_TRY(loom_out_write(out, line, len, err));
    return loom_out_write(out, "\n", 1, err);
}

loom_status loom_resume_log_copy(loom_resume_log *p, loom_out *out, loom_err *err)
{
    return loom_resume_log_each(p, copy_line, out, err);
}

void loom_resume_log_close(loom_resume_log **partial, bool remove)
{
    loom_resume_log *p = *partial;

    if (!p) return;
    if (remove && p->path) unlink(p->path); /* before the lock goes */
    if (p->file) fclose(p->file);
    free(p->path);
    free(p);
    *partial = NULL;
}
