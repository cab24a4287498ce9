/* Longer than most: names, locks, giving names and sweeping hold only together, and signal handlers need them. */
#include "core/temp_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/digest.h"
#include "core/file_impl.h"
#include "core/nomem.h"
#include "core/num.h"

enum { NAME_CAP = 4096, LIVE_CAP = 32, SUFFIX_DIGITS = 16 };

/* ---- names of this process, for signal handlers ---- */

typedef struct live_name {
    atomic_int used; /* 0 free, 1 being written, 2 valid */
    char name[NAME_CAP];
} live_name;

static live_name live[LIVE_CAP];

/* One that does not fit stays unknown to handlers; the next run sweeps it. */
static void remember(const char *name)
{
    size_t len = strlen(name);
    for (int i = 0; i < LIVE_CAP && len < NAME_CAP; i++) {
        int unused = 0;
        if (!atomic_compare_exchange_strong(&live[i].used, &unused, 1)) continue;
        memcpy(live[i].name, name, len + 1);
        atomic_store(&live[i].used, 2);
        return;
    }
}

static void forget(const char *name)
{
    for (int i = 0; i < LIVE_CAP; i++)
        if (atomic_load(&live[i].used) == 2 && strcmp(live[i].name, name) == 0) atomic_store(&live[i].used, 0);
}

/* Removes the files of a folder and the folder, without memory: it may be the want of it that ends the run. */
static void remove_folder(int fd, const char *path)
{
    _Alignas(struct dirent64) char entries[4096];
    ssize_t n;
    bool again = true;
    while (again) { /* removing moves what is still to come in some file systems: from the start, until nothing goes */
        again = false;
        if (lseek(fd, 0, SEEK_SET) != 0) return;
        while ((n = getdents64(fd, entries, sizeof entries)) > 0) {
            for (ssize_t at = 0; at < n;) {
                const struct dirent64 *e = (const struct dirent64 *)(entries + at);
                if (unlinkat(fd, e->d_name, 0) == 0) again = true;
                at += e->d_reclen;
            }
        }
    }
    rmdir(path);
}

static void remove_named(const char *path)
{
    if (unlink(path) == 0 || (errno != EISDIR && errno != EPERM)) return;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return;
    remove_folder(fd, path);
    close(fd);
}

void loom_temp_unlink_all(void)
{
    for (int i = 0; i < LIVE_CAP; i++)
        if (atomic_load(&live[i].used) == 2) remove_named(live[i].name);
}

/* ---- names ---- */

static uint64_t random_word(void)
{
    static _Atomic uint64_t count;
    uint64_t word;
    struct timespec now;
    if (getrandom(&word, sizeof word, GRND_NONBLOCK) == (ssize_t)sizeof word) return word;
    clock_gettime(CLOCK_REALTIME, &now); /* early in a machine's life; O_EXCL still keeps two apart */
    return (uint64_t)now.tv_nsec * 0x9e3779b97f4a7c15u ^ (uint64_t)now.tv_sec ^ atomic_fetch_add(&count, 1) << 48;
}

/* ".tmp.<pid>-<16 hex digits>" behind a name; malloc'ed. */
static char *temp_name(const char *target)
{
    char *name;
    int n = asprintf(&name, "%s.tmp.%ld-%016llx", target, (long)getpid(), (unsigned long long)random_word());
    return n < 0 ? NULL : name;
}

/* "<pid>-<16 hex digits>": what only this toolkit puts behind a name. */
static bool is_owner_suffix(const char *text, pid_t *pid)
{
    const char *dash = strchr(text, '-');
    int64_t number;
    if (!dash || dash == text || strspn(text, "0123456789") != (size_t)(dash - text)) return false;
    if (strspn(dash + 1, "0123456789abcdef") != SUFFIX_DIGITS || dash[1 + SUFFIX_DIGITS]) return false;
    if (!loom_parse_i64(text, (size_t)(dash - text), &number) || number <= 0 || number > INT32_MAX) return false;
    *pid = (pid_t)number;
    return true;
}

/* Where symbolic links lead, whether or not something is there; malloc'ed, NULL without memory. */
static char *follow_links(const char *path)
{
    char *at = loom_strdup(path);
    for (int depth = 0; at && depth < 40; depth++) {
        char link[NAME_CAP];
        ssize_t n = readlink(at, link, sizeof link - 1);
        if (n < 0) break;
        link[n] = 0;
        const char *slash = strrchr(at, '/');
        char *next = NULL;
        int printed = link[0] == '/' || !slash ? asprintf(&next, "%s", link)
                                               : asprintf(&next, "%.*s/%s", (int)(slash - at), at, link);
        free(at);
        at = printed < 0 ? NULL : next;
    }
    return at;
}

/* ---- opening ---- */

/* The folder of a path; malloc'ed. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) return loom_strdup(".");
    return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

/* What the file to come shall be allowed: as the one it replaces, else as the process makes files. */
static void take_permissions(loom_temp *t)
{
    struct stat old;
    t->replaces = t->force && stat(t->target, &old) == 0;
    t->mode = t->replaces ? old.st_mode & 0777 : 0666;
}

/* A sweep may have taken the file between its making and its locking: then it has no name any more. */
static bool is_ours_still(int fd, ino_t *inode)
{
    struct stat info;
    if (flock(fd, LOCK_EX) != 0 && errno == EINTR) return false;
    if (fstat(fd, &info) != 0 || info.st_nlink == 0) return false;
    *inode = info.st_ino;
    return true;
}

static loom_status cannot_create(const loom_temp *t, loom_err *err)
{
    int code = errno;
    return loom_fail(err, LOOM_STATUS_IO, "cannot create %s: %s%s", t->path, strerror(code),
                     code == ENOENT ? "; make its folder first" : "");
}

static loom_status make_file(loom_temp *t, loom_err *err)
{
    enum { TRIES = 100 };
    for (int i = 0; i < TRIES; i++) {
        if (!(t->name = temp_name(t->target))) return loom_fail_nomem(err, "a file name");
        t->fd = open(t->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, t->mode | 0600); /* less the umask */
        if (t->fd >= 0 && is_ours_still(t->fd, &t->inode)) {
            remember(t->name);
            return LOOM_OK;
        }
        if (t->fd < 0 && errno != EEXIST) {
            loom_status st = cannot_create(t, err);
            free(t->name);
            t->name = NULL;
            return st;
        }
        if (t->fd >= 0) {
            unlink(t->name);
            close(t->fd);
        }
        free(t->name);
        t->name = NULL;
    }
    errno = EEXIST;
    return cannot_create(t, err);
}

static loom_status exists_already(const loom_temp *t, loom_err *err)
{
    return loom_fail(err, LOOM_STATUS_ARG, "%s exists already; give --force to replace it", t->path);
}

loom_status loom_temp_open(loom_temp *t, const char *path, bool force, loom_err *err)
{
    loom_status st;
    *t = (loom_temp){.fd = -1, .force = force};
    if (loom_file_is_dir(path)) return loom_fail(err, LOOM_STATUS_ARG, "%s is a folder; name a file in it", path);
    t->path = loom_strdup(path);
    t->target = follow_links(path);
    if (!t->path || !t->target) st = loom_fail_nomem(err, "a file name");
    else if (!force && loom_file_exists(t->target)) st = exists_already(t, err);
    else {
        take_permissions(t);
        loom_temp_sweep(t->target);
        st = make_file(t, err);
    }
    if (st != LOOM_OK) loom_temp_discard(t);
    return st;
}

void loom_temp_discard(loom_temp *t)
{
    if (t->name) {
        unlink(t->name);
        forget(t->name);
    }
    if (t->path && t->fd >= 0) close(t->fd);
    free(t->name);
    free(t->backup);
    free(t->path);
    free(t->target);
    *t = (loom_temp){.fd = -1};
}

/* ---- publishing ---- */

/* The owner can be kept by root only; a group that cannot be kept must not get more than others do. */
static void keep_owner(loom_temp *t)
{
    struct stat old, now;
    if (stat(t->target, &old) != 0 || fstat(t->fd, &now) != 0) return;
    if (old.st_uid == now.st_uid && old.st_gid == now.st_gid) return;
    if (fchown(t->fd, old.st_uid, old.st_gid) == 0 || fchown(t->fd, (uid_t)-1, old.st_gid) == 0) return;
    if (old.st_gid != now.st_gid) t->mode = (t->mode & ~(mode_t)070) | (mode_t)(t->mode & 07) << 3;
}

static loom_status cannot_write(const loom_temp *t, int code, loom_err *err)
{
    return loom_fail(err, LOOM_STATUS_IO, "cannot write %s: %s; nothing was left half-written", t->path,
                     strerror(code));
}

loom_status loom_temp_sync(loom_temp *t, loom_err *err)
{
    if (t->replaces) {
        keep_owner(t);
        if (fchmod(t->fd, t->mode) != 0 && errno != EPERM && errno != ENOTSUP) /* some file systems know none */
            return cannot_write(t, errno, err);
    }
    if (fsync(t->fd) != 0 && errno != EINVAL && errno != EROFS) return cannot_write(t, errno, err);
    return LOOM_OK;
}

loom_status loom_temp_digest(loom_temp *t, loom_err *err)
{
    return loom_digest_file(t->digest, &t->bytes, t->fd, t->name, err);
}

void loom_temp_make_private(loom_temp *t)
{
    t->mode = 0600;
    (void)!fchmod(t->fd, t->mode);
}

void loom_temp_allow_as(const loom_temp *t, const loom_temp *other)
{
    struct stat info;
    if (fstat(other->fd, &info) == 0) (void)!fchmod(t->fd, info.st_mode & 0666);
}

/* The name must be free. Where the kernel or the file system has no such rename, a second link does the same; where
 * there are no links either, looking first is all that can be done. 0 or an errno. */
static int rename_to_free(const char *from, const char *to)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return 0;
    if (errno != ENOSYS && errno != EINVAL && errno != ENOTSUP) return errno;
    if (link(from, to) == 0) {
        unlink(from);
        return 0;
    }
    if (errno != EPERM && errno != ENOTSUP && errno != ENOSYS && errno != EMLINK) return errno;
    if (access(to, F_OK) == 0) return EEXIST;
    return rename(from, to) == 0 ? 0 : errno;
}

/* Keeps what is there for the case that something fails: the first of a group under both names, so that its own never
 * lacks a file; the others are moved. */
static int keep_old(loom_temp *t, bool first)
{
    struct stat there;
    t->replaces = t->force && lstat(t->target, &there) == 0; /* now: it may have come or gone since the beginning */
    if (!t->replaces) return 0;
    if (!(t->backup = temp_name(t->target))) return ENOMEM;
    if (first ? link(t->target, t->backup) == 0 : rename(t->target, t->backup) == 0) return 0;
    int code = errno;
    free(t->backup);
    t->backup = NULL;
    return first ? 0 : code; /* file systems without links: the first cannot be put back */
}

static int give_name(const loom_temp *t)
{
    if (!t->force) return rename_to_free(t->name, t->target);
    return rename(t->name, t->target) == 0 ? 0 : errno;
}

static bool is_same_file(const char *a, const char *b)
{
    struct stat x, y;
    return lstat(a, &x) == 0 && lstat(b, &y) == 0 && x.st_ino == y.st_ino && x.st_dev == y.st_dev;
}

/* What was there stands there again. A file that was replaced and could not be kept stays replaced. */
static void put_back(const loom_temp *t, bool named)
{
    struct stat there;
    if (t->backup) { /* of two links to one file a rename leaves both; where none works, one needs none */
        if (is_same_file(t->backup, t->target) || rename(t->backup, t->target) == 0) unlink(t->backup);
    } else if (named && !t->replaces && lstat(t->target, &there) == 0 && there.st_ino == t->inode) {
        unlink(t->target);
    }
}

static void drop_backup(loom_temp *t)
{
    if (t->backup) unlink(t->backup);
    free(t->backup);
    t->backup = NULL;
}

/* A rename lasts through a power cut only once the folder is synced too. */
static void sync_folder_of(const char *path)
{
    char *dir = folder_of(path);
    int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    free(dir);
}

/* Processes that publish in the same folder take turns, so that a file and what tells of it come from one of them.
 * Where folders cannot be locked, or somebody else holds the lock for long, the digest in what tells still shows it. */
int loom_temp_lock_folder(const char *dir)
{
    enum { TRIES = 200 };
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; fd >= 0 && i < TRIES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0 || (errno != EWOULDBLOCK && errno != EINTR)) break;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    return fd;
}

/* Is it a folder of loom_temp_dir_open that this process fills? Nobody else gives names there, and this process
 * holds its lock already: to wait for that would be to wait for itself. */
static bool is_own_folder(const char *dir)
{
    char pid[32];
    const char *dot = strrchr(dir, '.');
    int n = snprintf(pid, sizeof pid, ".%ld-", (long)getpid());
    return dot && strncmp(dot, pid, (size_t)n) == 0 && strlen(dot) == (size_t)n + 16 &&
           strspn(dot + n, "0123456789abcdef") == 16;
}

static int lock_folder_of(const char *path)
{
    char *dir = folder_of(path);
    int fd = dir && !is_own_folder(dir) ? loom_temp_lock_folder(dir) : -1;
    free(dir);
    return fd;
}

static loom_status check_free(loom_temp *const *list, size_t n, loom_err *err)
{
    for (size_t i = 0; i < n; i++)
        if (!list[i]->force && loom_file_exists(list[i]->target)) return exists_already(list[i], err);
    return LOOM_OK;
}

static loom_status publish_locked(loom_temp *const *list, size_t n, loom_err *err)
{
    size_t kept = 0, named = 0;
    int code = 0;
    LOOM_TRY(check_free(list, n, err));
    while (kept < n && (code = keep_old(list[kept], kept == 0)) == 0) kept++;
    while (code == 0 && named < n && (code = give_name(list[named])) == 0) named++;
    if (code == 0) return LOOM_OK;
    const loom_temp *failed = list[kept < n ? kept : named];
    for (size_t i = kept < n ? kept + 1 : n; i-- > 0;) put_back(list[i], i < named);
    return code == EEXIST && !failed->force ? exists_already(failed, err) : cannot_write(failed, code, err);
}

loom_status loom_temp_publish(loom_temp *const *list, size_t n, loom_err *err)
{
    if (n == 0) return LOOM_OK;
    LOOM_TRY(loom_nomem_check(list[0]->path, err)); /* something may be missing in it */
    int lock = lock_folder_of(list[0]->target);
    loom_status st = publish_locked(list, n, err);
    for (size_t i = 0; i < n; i++) {
        if (st != LOOM_OK) { /* names that were given and taken back are gone */
            free(list[i]->backup);
            list[i]->backup = NULL;
            continue;
        }
        forget(list[i]->name);
        free(list[i]->name);
        list[i]->name = NULL;
        drop_backup(list[i]);
        sync_folder_of(list[i]->target);
    }
    if (lock >= 0) close(lock);
    if (st == LOOM_OK) loom_nomem_note_result();
    return st;
}

/* ---- sweeping ---- */

static bool is_alive(pid_t pid) { return kill(pid, 0) == 0 || errno != ESRCH; }

/* Opens and locks what lies there when it is a plain file or folder of this user; -1: not to be touched. */
static int claim(const char *path, bool folder)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (folder ? O_DIRECTORY : 0));
    if (fd < 0) return -1;
    if (fstat(fd, &info) == 0 && info.st_uid == geteuid() && (folder ? S_ISDIR(info.st_mode) : S_ISREG(info.st_mode)) &&
        flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    close(fd);
    return -1;
}

static void remove_if_left(const char *path, pid_t pid)
{
    if (pid != getpid() && is_alive(pid)) return;
    int fd = claim(path, false);
    if (fd < 0) return;
    unlink(path);
    close(fd);
}

typedef struct sweep {
    const char *between; /* ".tmp." or "." */
    bool (*ours)(const char *name, void *arg);
    void *arg;
    void (*remove)(const char *path, pid_t pid);
} sweep;

/* Cuts "NAME<between><pid>-<digits>" to NAME. */
static bool cut_owner(char *name, const char *between, pid_t *pid)
{
    size_t len = strlen(between);
    char *dot = strrchr(name, '.');
    if (!dot || !is_owner_suffix(dot + 1, pid) || (size_t)(dot + 1 - name) < len) return false;
    char *cut = dot + 1 - len;
    if (strncmp(cut, between, len) != 0) return false;
    *cut = 0;
    return true;
}

static void sweep_folder(const char *dir, const sweep *s)
{
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        char name[sizeof e->d_name], *path;
        pid_t pid;
        memcpy(name, e->d_name, strlen(e->d_name) + 1);
        if (!cut_owner(name, s->between, &pid) || !s->ours(name, s->arg)) continue;
        if (asprintf(&path, "%s/%s", dir, e->d_name) < 0) continue;
        s->remove(path, pid);
        free(path);
    }
    if (d) closedir(d);
}

static bool is_same(const char *name, void *arg) { return strcmp(name, arg) == 0; }

void loom_temp_sweep(const char *path)
{
    char *dir = folder_of(path), *name = loom_strdup(strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
    sweep s = {".tmp.", is_same, name, remove_if_left};
    if (dir && name) sweep_folder(dir, &s);
    free(dir);
    free(name);
}

static bool ask_caller(const char *name, void *arg) { return (*(bool (**)(const char *))arg)(name); }

void loom_temp_sweep_folder(const char *dir, bool (*ours)(const char *name))
{
    sweep s = {".tmp.", ask_caller, &ours, remove_if_left};
    sweep_folder(dir, &s);
}

/* ---- folders ---- */

loom_status loom_temp_dir_open(char **path, int *lock, const char *dir, const char *name, loom_err *err)
{
    char *made = NULL;
    if (asprintf(&made, "%s/%s.%ld-%016llx", dir, name, (long)getpid(), (unsigned long long)random_word()) < 0)
        return loom_fail_nomem(err, "a folder name");
    loom_status st = loom_make_dirs(made, err);
    if (st != LOOM_OK) {
        free(made);
        return st;
    }
    *lock = open(made, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*lock < 0) {
        st = loom_fail(err, LOOM_STATUS_IO, "cannot open the folder %s: %s", made, strerror(errno));
        rmdir(made);
        free(made);
        return st;
    }
    flock(*lock, LOCK_EX | LOCK_NB);
    remember(made);
    *path = made;
    return LOOM_OK;
}

void loom_temp_dir_discard(const char *path, int lock)
{
    remove_folder(lock, path);
    forget(path);
    close(lock);
}

static bool holds_files_only(const char *path)
{
    DIR *d = opendir(path);
    bool plain = d != NULL;
    for (struct dirent *e; plain && (e = readdir(d));) {
        struct stat info;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        plain = fstatat(dirfd(d), e->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode);
    }
    if (d) closedir(d);
    return plain;
}

static void remove_folder_if_left(const char *path, pid_t pid)
{
    if (pid != getpid() && is_alive(pid)) return;
    int lock = claim(path, true);
    DIR *d = lock >= 0 && holds_files_only(path) ? opendir(path) : NULL;
    for (struct dirent *e; d && (e = readdir(d));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) unlinkat(dirfd(d), e->d_name, 0);
    if (d) {
        closedir(d);
        rmdir(path);
    }
    if (lock >= 0) close(lock);
}

void loom_temp_dir_sweep(const char *dir, const char *name)
{
    char *copy = loom_strdup(name);
    sweep s = {".", is_same, copy, remove_folder_if_left};
    if (copy) sweep_folder(dir, &s);
    free(copy);
}
