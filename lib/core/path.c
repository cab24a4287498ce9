/* Names: what is there, folders and their files. */
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "core/file_impl.h"
#include "core/num.h"

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

static int compare_texts(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

loom_status loom_list_files(char ***paths, size_t *n, const char *dir, const char *suffix, loom_err *err)
{
    loom_status st = LOOM_OK;
    char **list = NULL;
    size_t count = 0, cap = 0;
    DIR *d = opendir(dir);
    if (!d) return loom_fail(err, LOOM_STATUS_IO, "cannot open the folder %s: %s", dir, strerror(errno));
    for (struct dirent *e; st == LOOM_OK && (e = readdir(d));) {
        if (e->d_name[0] == '.' || !loom_has_suffix(e->d_name, suffix)) continue;
        loom_buf full = {0};
        loom_buf_printf(&full, "%s/%s", dir, e->d_name);
        struct stat info;
        if (stat(full.data, &info) == 0 && S_ISREG(info.st_mode)) {
            st = loom_grow(&list, &cap, count + 1, sizeof *list, err);
            if (st == LOOM_OK) {
                list[count++] = full.data;
                full = (loom_buf){0};
            }
        }
        loom_buf_release(&full);
    }
    closedir(d);
    if (st != LOOM_OK) {
        loom_free_list(list, count);
        return st;
    }
    if (count) qsort(list, count, sizeof *list, compare_texts);
    *paths = list;
    *n = count;
    return LOOM_OK;
}

void loom_free_list(char **paths, size_t n)
{
    for (size_t i = 0; i < n; i++) free(paths[i]);
    free(paths);
}
