/* HDF5 behind a small door: error text instead of printing, attributes and strings in one call, atomic creation.
 * Only lib/store includes this. Functions that can fail put HDF5's own innermost message into *err. */
#ifndef LOOM_STORE_H5_H
#define LOOM_STORE_H5_H

#include <hdf5.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "store/dtype.h"

/* Fails with IO: "<fmt>: <innermost HDF5 message>" and clears HDF5's error stack. */
loom_status loom_h5_fail(loom_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A file being written under a temporary name. Whoever writes into `file` sets `broken` when HDF5 reports a failure:
 * HDF5 cannot close a file whose disk is full (it fails again, or crashes), so such a file is emptied, removed and
 * left. */
typedef struct loom_h5_out {
    hid_t file;
    char *path, *tmp;
    bool force, broken;
} loom_h5_out;
loom_status loom_h5_create(loom_h5_out *out, const char *path, bool force, loom_err *err);
loom_status loom_h5_commit(loom_h5_out *out, loom_err *err); /* flush, close, fsync, rename, fsync of the folder */
void loom_h5_abandon(loom_h5_out *out);

/* Opens read-only; a file that is no HDF5 or is cut short gives one sentence. */
loom_status loom_h5_open(hid_t *file, const char *path, loom_err *err);
void loom_h5_close_file(hid_t file); /* also closes what was left open in it; negative ids are fine */

hid_t loom_h5_type(loom_dtype type);                 /* file and memory type; borrowed for the process's life */
bool loom_h5_type_is(loom_dtype *out, hid_t h5type); /* false: none of ours */

loom_status loom_h5_put_attr_i64(hid_t object, const char *name, int64_t v, loom_err *err);
loom_status loom_h5_put_attr_str(hid_t object, const char *name, const char *text, loom_err *err);
loom_status loom_h5_get_attr_i64(hid_t object, const char *name, int64_t *v, loom_err *err);
loom_status loom_h5_get_attr_str(hid_t object, const char *name, char *text, size_t cap, loom_err *err);

/* Scalar string data sets (NUL-padded UTF-8, contiguous). get: malloc'ed, NUL-terminated, at most max bytes. */
loom_status loom_h5_put_text(hid_t file, const char *name, const char *text, size_t len, loom_err *err);
loom_status loom_h5_get_text(hid_t file, const char *name, char **text, size_t *len, size_t max, loom_err *err);

#endif
