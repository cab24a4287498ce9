/* What the files behind core/file.h share; included by them only. */
#ifndef LOOM_CORE_FILE_IMPL_H
#define LOOM_CORE_FILE_IMPL_H

#include <sys/types.h>

#include "core/file.h"

const char *loom_shown_path(const char *path); /* "standard input" for "-" */
const char *loom_in_path(const loom_in *in);   /* the same of an open stream */
bool loom_has_suffix(const char *text, const char *suffix);
loom_status loom_fail_interrupted(loom_err *err);
void loom_stop_note_told(void); /* the sentence of this run has been said: a crash while tidying up adds none */
/* A file that holds more or less at its end than it did when it was opened. */
loom_status loom_fail_changed(const char *shown, int64_t bytes_then, int64_t bytes_now, loom_err *err);
void loom_map_guard_install(void); /* mapped_file.c */
/* read(2); EINTR without a stop request goes on; with one, the caller is told. */
ssize_t loom_read_fd(int fd, void *data, size_t cap);

#endif
