/* HDF5 behind a small door: error text instead of printing, attributes and strings in one call, atomic creation.
 * Only lib/store includes this. Functions that can fail put HDF5's own innermost message into *err. */
#ifndef LOOM_STORE_H5_H
#define LOOM_STORE_H5_H

#include <hdf5.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "core/temp_file.h"
#include "store/dtype.h"
#include "store/h5_driver.h"

/* Fails with IO: "<fmt>: <innermost HDF5 message>" and clears HDF5's error stack. */
loom_status loom_h5_fail(loom_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A file being written under a temporary name (core/temp_file.h), through a driver that hides failures of the disk from
 * HDF5 (store/h5_driver.h): loom_h5_check tells of them. Whoever writes into `file` sets `broken` when HDF5 itself
 * reports a failure, which it may not survive a second time: such a file is left open.
 *
 *   LOOM_TRY(loom_h5_create(&out, path, force, err));
 *   write into out.file, loom_h5_check now and then
 *   st = loom_h5_finish(&out, err);                              flushed, closed, checked, on the disk
 *   read out.temp.name back and compare with what was meant
 *   st = loom_temp_publish((loom_temp *[]){&out.temp}, 1, err);
 *   loom_h5_abandon(&out);                                       always */
typedef struct loom_h5_out {
    hid_t file;
    const char *path; /* of the file to come; borrowed from temp */
    loom_temp temp;
    loom_h5_sink *sink;
    bool broken;
} loom_h5_out;
loom_status loom_h5_create(loom_h5_out *out, const char *path, bool force, loom_err *err);
loom_status loom_h5_check(const loom_h5_out *out, loom_err *err);
loom_status loom_h5_finish(loom_h5_out *out, loom_err *err);
/* st is how comparing it with what was meant ended: whatever was found wrong is a failed write of the file. */
loom_status loom_h5_read_back(const loom_h5_out *out, loom_status st, loom_err *err);
void loom_h5_abandon(loom_h5_out *out);

/* For what is written: a failed close is a failed write. Puts it into *st, unless a failure stands there already. */
void loom_h5_closed(herr_t result, loom_status *st, loom_err *err, const char *what);
/* Instead of H5Eclear2: does nothing while the library is not in use, which that would start. */
void loom_h5_forget_errors(void);
hid_t loom_h5_set_list(void); /* a data set creation list that keeps no times; the caller closes it */
loom_status loom_h5_make_group(hid_t file, const char *name, loom_err *err); /* does nothing when it is there */

/* Opens read-only; a file that is no HDF5 or is cut short gives one sentence. */
loom_status loom_h5_open(hid_t *file, const char *path, loom_err *err);
void loom_h5_close_file(hid_t file); /* also closes what was left open in it; negative ids are fine */

hid_t loom_h5_type(loom_dtype type);                 /* file and memory type; borrowed for the process's life */
bool loom_h5_type_is(loom_dtype *out, hid_t h5type); /* false: none of ours */

loom_status loom_h5_put_attr_i64(hid_t object, const char *name, int64_t v, loom_err *err);
loom_status loom_h5_put_attr_str(hid_t object, const char *name, const char *text, loom_err *err);
loom_status loom_h5_get_attr_i64(hid_t object, const char *name, int64_t *v, loom_err *err);
loom_status loom_h5_get_attr_str(hid_t object, const char *name, char *text, size_t cap, loom_err *err);

/* Scalar string data sets (NUL-padded UTF-8, contiguous) with an attribute "checksum" (XXH3-64), which get compares
 * where there is one. get: malloc'ed, NUL-terminated, at most max bytes. */
loom_status loom_h5_put_text(hid_t file, const char *name, const char *text, size_t len, loom_err *err);
loom_status loom_h5_get_text(hid_t file, const char *name, char **text, size_t *len, size_t max, loom_err *err);

#endif
