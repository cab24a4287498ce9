/* Files: reading any container, writing whole files or nothing.
 *
 * Reading: plain, .gz, .zst, .xz and .tar.* through libarchive, by content, not by name; "-" is stdin.
 * Writing: a temporary file (core/temp_file.h), then flush, fsync, rename on commit; ".zst" in the name compresses;
 * "-" is stdout; a device or pipe (/dev/null) is written in place. A commit removes `path.meta.json`, which told of the
 * file that is replaced; loom_meta_commit (core/meta.h) writes a new one in the same breath.
 * Reads return LOOM_STATUS_INTERRUPT once loom_stop_requested() is true, so that streaming commands unwind cleanly. */
#ifndef LOOM_CORE_FILE_H
#define LOOM_CORE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/bounds.h"
#include "core/buf.h"
#include "core/err.h"
#include "core/temp_file.h"

/* ---- reading streams: in_stream.c; lines: lines.c ---- */
typedef struct loom_in loom_in;

/* Opens and positions at the first member (a file that is not an archive has one member with an empty name). */
loom_status loom_in_open(loom_in **out, const char *path, loom_err *err);
/* Up to cap bytes; *n = 0 at the end of the member. A truncated container is an error, never a short file. */
loom_status loom_in_read(loom_in *in, void *data, size_t cap, size_t *n, loom_err *err);
/* Up to 512 bytes of what the member has next, which loom_in_read returns all the same; *n = 0 at its end. Borrowed
 * until the next call. */
loom_status loom_in_peek(loom_in *in, const char **data, size_t *n, loom_err *err);
/* Goes to the next regular member of a tar file; *more = false at the end. */
loom_status loom_in_next_member(loom_in *in, bool *more, loom_err *err);
/* Appends the rest of the member, which must not be larger than `bound`, nor (packed) grow beyond all measure
 * (core/bounds.h). `name` is used in messages. */
loom_status loom_in_read_all(loom_buf *into, loom_in *in, size_t bound, const char *name, loom_err *err);
const char *loom_in_member(const loom_in *in); /* member name, "" for a plain file; borrowed until the next member */
void loom_in_close(loom_in **in);

/* Lines of one file (all members one after the other). A last line without LF counts; CR before LF is removed. */
typedef struct loom_lines loom_lines;
loom_status loom_lines_open(loom_lines **out, const char *path, loom_err *err);
/* *line = NULL at the end; else borrowed until the next call, NUL-terminated, without line end. */
loom_status loom_lines_next(loom_lines *lines, char **line, size_t *len, loom_err *err);
/* All lines together must not be longer than `bound`: for files whose lines are kept. A line has its own
 * (core/bounds.h). */
void loom_lines_bound(loom_lines *lines, size_t bound);
int64_t loom_lines_number(const loom_lines *lines); /* number of the last line returned, from 1 */
void loom_lines_close(loom_lines **lines);

/* ---- writing: out_file.c ---- */
typedef struct loom_out loom_out;

/* Refuses to replace an existing file unless `force`; makes no folders. Removes temporary files of the same output that
 * killed processes have left. */
loom_status loom_out_open(loom_out **out, const char *path, bool force, loom_err *err);
/* What is written goes to the end of `into`, as it is, for another process to write (core/ranks.h). Never committed;
 * loom_out_abandon frees the writer and leaves the bytes. */
loom_status loom_out_to_buf(loom_out **out, loom_buf *into, loom_err *err);
loom_status loom_out_write(loom_out *out, const void *data, size_t len, loom_err *err);
/* Opens *out with `text` in it, to be committed. */
loom_status loom_out_text(loom_out **out, const char *path, const loom_buf *text, bool force, loom_err *err);
loom_status loom_out_printf(loom_out *out, loom_err *err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Flush, sync, rename; frees *out and sets it to NULL, also on failure (then the old file is still there). */
loom_status loom_out_commit(loom_out **out, loom_err *err);
/* Several files get their names together, or none of them (core/temp_file.h); NULL members are passed over. */
loom_status loom_out_commit_all(loom_out **outs, size_t n, loom_err *err);
void loom_out_make_private(loom_out *out); /* for its owner only (0600): a mapping of names */
void loom_out_abandon(loom_out **out);     /* removes the temporary file; NULL is fine */

/* For who publishes files together with something else: flushes, syncs and reads back; the digest of what loom_out_temp
 * returns is known then. That is NULL for what is written in place. */
loom_status loom_out_finish(loom_out *out, loom_err *err);
loom_temp *loom_out_temp(loom_out *out);

/* ---- whole files: whole_file.c; names and folders: path.c ---- */
/* Appends the raw bytes (no decompression) of a file of at most `bound` bytes (core/bounds.h). */
loom_status loom_file_read(loom_buf *into, const char *path, size_t bound, loom_err *err);
loom_status loom_file_write(const char *path, const void *data, size_t len, bool force, loom_err *err); /* atomic */

typedef struct loom_map_file {
    const unsigned char *data;
    size_t len;
} loom_map_file;
/* Read-only: mapped_file.c. A file that is cut short while it is mapped ends the process with a sentence (a program
 * that has called loom_stop_install, else with SIGBUS): there is no way back from a missing page. */
loom_status loom_map_open(loom_map_file *out, const char *path, loom_err *err);
/* The first `len` bytes of an open file; `path` is for the sentence. */
loom_status loom_map_fd(loom_map_file *out, int fd, size_t len, const char *path, loom_err *err);
void loom_map_close(loom_map_file *map);

bool loom_file_exists(const char *path);
bool loom_file_exists_in(const char *dir, const char *name); /* is there a dir/name? */
bool loom_path_ends_in(const char *path, const char *end);
const char *loom_path_name(const char *path); /* its last part; all of it where that is empty */
/* "NAME=FILE" gives NAME and returns FILE; a bare FILE is called by its base name up to the first dot. */
const char *loom_path_called(char *name, size_t cap, const char *arg);
bool loom_file_is_open(int fd, const char *path); /* is the open file still the one under that name? */
bool loom_file_is_dir(const char *path);
bool loom_path_is_hidden(const char *path);                  /* does the last part of the name begin with a dot? */
int64_t loom_file_size(const char *path);                    /* bytes, -1 when it cannot be told */
loom_status loom_make_dirs(const char *path, loom_err *err); /* mkdir -p */
/* Regular files in a folder whose names end in `suffix` ("" = all), sorted by name; *paths malloc'ed, each too. */
loom_status loom_list_files(char ***paths, size_t *n, const char *dir, const char *suffix, loom_err *err);
/* The same for the folder and all folders in it, but hidden ones; links to folders are not followed. */
loom_status loom_list_tree(char ***paths, size_t *n, const char *dir, loom_err *err);
void loom_free_list(char **paths, size_t n);

/* ---- stop flag: stop.c ---- */
bool loom_stop_requested(void); /* SIGINT, SIGTERM or SIGHUP seen */
/* Between the two standard error leads nowhere, but for the last words of a crash: for a library that starts up and
 * cannot be told to be silent before. A crash in between counts as one for want of memory. */
void loom_stop_mute(void);
void loom_stop_unmute(void);
void loom_stop_on_user_signal(void); /* SIGUSR1 asks for an end, too: mpirun passes it on */
void loom_stop_install(
    void); /* called once by loom_cli_main; a second signal removes temporary files and ends the process */
void loom_stop_set(bool stop); /* for tests */

#endif
