/* Names: what is there, folders and their files. */
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "core/compare.h"
#include "core/escape.h"
#include "core/file_impl.h"
#include "core/num.h"
#include "core/utf8.h"

const char *loom_shown_path(const char *path) { return strcmp(path, "-") == 0 ? "standard input" : path; }

bool loom_has_suffix(const char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);
    return n >= m && strcmp(text + n - m, suffix) == 0;
}

bool loom_file_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

bool loom_file_exists_in(const char *dir, const char *name)
{
    loom_buf path = {0};
    bool there;

    loom_buf_printf(&path, "%s/%s", dir, name);
    there = loom_file_exists(loom_buf_text(&path));
    loom_buf_release(&path);
    return there;
}

bool loom_path_ends_in(const char *path, const char *end)
{
    size_t n = strlen(path), m = strlen(end);

    return n >= m && strcmp(path + n - m, end) == 0;
}

const char *loom_path_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash && slash[1] ? slash + 1 : path;
}

/* Names stand in tables, in pages and in the scripts of pictures, which must find them again in the tables: what those
 * cannot hold is replaced, as is half a character at the end. */
static void tidy_name(char *name)
{
    for (size_t n; *name; name += n ? n : 1) {
        n = loom_utf8_length(name, strlen(name));
        if (n == 0) *name = '?';
        else if (!loom_is_plain(name, n)) memset(name, '_', n);
        else if (strchr("\"\\`", *name)) *name = *name == '"' ? '\'' : *name == '`' ? '_' : '/';
    }
}

const char *loom_path_called(char *name, size_t cap, const char *arg)
{
    const char *equals = strchr(arg, '='), *first = strchr(arg, '/'), *last = strrchr(arg, '/');
    if (equals && equals != arg && (!first || first > equals)) {
        snprintf(name, cap, "%.*s", (int)(equals - arg), arg);
        tidy_name(name);
        return equals + 1;
    }
    const char *base = last ? last + 1 : arg;
    snprintf(name, cap, "%.*s", (int)strcspn(base, "."), base);
    tidy_name(name);
    return arg;
}

bool loom_file_is_open(int fd, const char *path)
{
    struct stat mine, there;

    return fstat(fd, &mine) == 0 && stat(path, &there) == 0 && mine.st_ino == there.st_ino &&
           mine.st_dev == there.st_dev;
}

bool loom_file_is_dir(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

int64_t loom_file_size(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) ? (int64_t)info.st_size : -1;
}

loom_status loom_make_dirs(const char *path, loom_err *err)
{
    loom_status st = LOOM_OK;
    loom_buf part = {0};
    loom_buf_str(&part, path);
    LOOM_TRY(loom_buf_check(&part, path, err));
    for (size_t i = 1; i <= part.len && st == LOOM_OK; i++) {
        char c = part.data[i];
        if (c != '/' && c != 0) continue;
        part.data[i] = 0;
        if (mkdir(part.data, 0777) != 0 && (errno != EEXIST || !loom_file_is_dir(part.data)))
            st = loom_fail(err, LOOM_STATUS_IO, "cannot make the folder %s: %s", part.data, strerror(errno));
        part.data[i] = c;
    }
    loom_buf_release(&part);
    return st;
}

bool loom_path_is_hidden(const char *path)
{
    const char *slash = strrchr(path, '/');
    return (slash ? slash + 1 : path)[0] == '.';
}

typedef struct file_list {
    char **items;
    size_t n, cap;
    const char *suffix;
    bool deep; /* folders in folders too */
} file_list;

enum { FOLDERS_DEEP = 256 };

static loom_status list_folder(file_list *l, const char *dir, int depth, loom_err *err);

/* Keeps the name (the list takes its memory), goes into a folder, or passes over the rest. */
static loom_status list_entry(file_list *l, loom_buf *full, const char *name, int depth, loom_err *err)
{
    struct stat info, link;

    if (stat(full->data, &info) != 0) return LOOM_OK;
    if (S_ISDIR(info.st_mode) && l->deep && lstat(full->data, &link) == 0 && S_ISDIR(link.st_mode)) {
        if (depth == FOLDERS_DEEP)
            return loom_fail(err, LOOM_STATUS_IO, "%s: more than %d folders within folders", full->data, depth);
        return list_folder(l, full->data, depth + 1, err);
    }
    if (!S_ISREG(info.st_mode) || !loom_has_suffix(name, l->suffix)) return LOOM_OK;
    LOOM_TRY(loom_grow(&l->items, &l->cap, l->n + 1, sizeof *l->items, err));
    if (!(l->items[l->n] = loom_buf_take(full))) return loom_fail_nomem(err, "a list of files");
    l->n++;
    return LOOM_OK;
}

static loom_status list_folder(file_list *l, const char *dir, int depth, loom_err *err)
{
    loom_status st = LOOM_OK;
    DIR *d = opendir(dir);

    if (!d) return loom_fail(err, LOOM_STATUS_IO, "cannot open the folder %s: %s", dir, strerror(errno));
    for (struct dirent *e; st == LOOM_OK && (e = readdir(d));) {
        loom_buf full = {0};
        if (e->d_name[0] == '.') continue;
        loom_buf_printf(&full, "%s/%s", dir, e->d_name);
        st = loom_buf_check(&full, "a list of files", err);
        if (st == LOOM_OK) st = list_entry(l, &full, e->d_name, depth, err);
        loom_buf_release(&full);
    }
    closedir(d);
    return st;
}

static loom_status list_all(char ***paths, size_t *n, file_list *l, const char *dir, loom_err *err)
{
    loom_status st = list_folder(l, dir, 0, err);

    if (st != LOOM_OK) {
        loom_free_list(l->items, l->n);
        return st;
    }
    if (l->n) qsort(l->items, l->n, sizeof *l->items, loom_compare_texts);
    *paths = l->items;
    *n = l->n;
    return LOOM_OK;
}

loom_status loom_list_files(char ***paths, size_t *n, const char *dir, const char *suffix, loom_err *err)
{
    return list_all(paths, n, &(file_list){.suffix = suffix}, dir, err);
}

loom_status loom_list_tree(char ***paths, size_t *n, const char *dir, loom_err *err)
{
    return list_all(paths, n, &(file_list){.suffix = "", .deep = true}, dir, err);
}

void loom_free_list(char **paths, size_t n)
{
    for (size_t i = 0; i < n; i++) free(paths[i]);
    free(paths);
}
