/* Temporary files: an output is written beside its place and gets its name when it is whole.
 *
 *   loom_temp t;
 *   LOOM_TRY(loom_temp_open(&t, "x.tokens.h5", force, err));     x.tokens.h5.tmp.<pid>-<16 hex digits>, open as t.fd
 *   write to t.fd, then
 *   st = loom_temp_sync(&t, err);
 *   st = loom_temp_publish((loom_temp *[]){&t}, 1, err);         or loom_temp_discard(&t)
 *   loom_temp_discard(&t);                                       always right; nothing to do once published
 *
 * The temporary file is new (O_EXCL, never through a link), its name cannot be guessed, and it stays locked while its
 * writer lives: a process of another container has the same number, but not the lock. So whoever gets the lock of such
 * a file knows that nobody wants it any more.
 *
 * A symbolic link as output stays one: what it points to is replaced. A replaced file leaves its permissions (and its
 * owner and group, where the system lets us) to the new one. */
#ifndef LOOM_CORE_TEMP_FILE_H
#define LOOM_CORE_TEMP_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/err.h"

typedef struct loom_temp {
    char *path;   /* the output as it was named */
    char *target; /* where it lies: path, or where links from there lead */
    char *name;   /* the temporary file; NULL once it is published */
    char *backup; /* the file that is being replaced, while a group is published */
    int fd;       /* for reading and writing; -1 when closed */
    bool force;
    bool replaces; /* something was there */
    mode_t mode;   /* that it leaves to the new file */
    ino_t inode;
    char digest[33]; /* XXH3-128 of all of it and its size, once loom_temp_digest has read it back */
    int64_t bytes;
} loom_temp;

/* Refuses an existing output unless `force`, and a folder; makes no folders. Sweeps what killed writers of the same
 * output left. Fills *t; on failure t is empty. */
loom_status loom_temp_open(loom_temp *t, const char *path, bool force, loom_err *err);
/* Gives the file its permissions and waits until it is on the disk. */
loom_status loom_temp_sync(loom_temp *t, loom_err *err);
/* Reads the file back and notes its digest and size. */
loom_status loom_temp_digest(loom_temp *t, loom_err *err);
/* Gives all of them their names, or none: a failure puts back what was there. Without `force`, a name that somebody has
 * taken in the meantime is an error (ARG). Killed in between, some names may be missing, but no two of different runs
 * stand side by side: what the second and later ones replace is moved aside before the first gets its name.
 * Processes of this toolkit take turns in a folder (a lock on the folder of the first); not in one of
 * loom_temp_dir_open, which is its maker's alone. */
loom_status loom_temp_publish(loom_temp *const *list, size_t n, loom_err *err);
/* For its owner only (0600), whatever was there before. */
void loom_temp_make_private(loom_temp *t);
/* A file that tells of another is for nobody who may not read that one. */
void loom_temp_allow_as(const loom_temp *t, const loom_temp *other);
/* Removes the temporary file, if there is one still, and closes; an empty *t is fine. */
void loom_temp_discard(loom_temp *t);

/* Removes temporary files of `path` whose writers are gone. */
void loom_temp_sweep(const char *path);
/* The same for every output of the folder of whose name `ours` says yes. */
void loom_temp_sweep_folder(const char *dir, bool (*ours)(const char *name));
/* Async-signal-safe: removes every temporary file and folder of this process; for handlers that end it. */
void loom_temp_unlink_all(void);

/* The same for whole folders that are filled before their files get their names: "DIR/NAME.<pid>-<16 hex digits>". */
loom_status loom_temp_dir_open(char **path, int *lock, const char *dir, const char *name, loom_err *err);
/* Removes the folder with the files that are still in it, and closes the lock; needs no memory. */
void loom_temp_dir_discard(const char *path, int lock);
/* Waits (two seconds at most) until no other process gives names in the folder; close() what it returns, if >= 0. */
int loom_temp_lock_folder(const char *dir);
/* Removes such folders with the files in them when their owners are gone; never one with folders or links in it. */
void loom_temp_dir_sweep(const char *dir, const char *name);

#endif
