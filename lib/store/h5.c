#include "store/h5.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "core/hash.h"
#include "core/nomem.h"
#include "core/num.h"

#ifdef __SANITIZE_ADDRESS__
/* HDF5 1.10 forgets some memory whenever it refuses a damaged file; that is no leak of ours. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return "leak:libhdf5"; }
#endif

/* ---- errors ---- */

static herr_t keep_innermost(unsigned n, const H5E_error2_t *e, void *arg)
{
    char *text = arg;

    if (n == 0 && e->desc) snprintf(text, 512, "%s", e->desc);
    return 0;
}

/* The sec2 driver hides the system's reason in a long list; everything else is short enough as it is. */
static const char *pick_reason(char *text)
{
    static const char mark[] = "error message = '";
    char *reason = strstr(text, mark), *end;

    if (!reason) return text;
    reason += sizeof mark - 1;
    end = strchr(reason, '\'');
    if (end) *end = 0;
    return reason;
}

loom_status loom_h5_fail(loom_err *err, const char *fmt, ...)
{
    char what[512], why[512] = "unknown HDF5 error";
    va_list args;

    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_innermost, why);
    loom_h5_forget_errors();
    return loom_fail(err, LOOM_STATUS_IO, "%s: %s", what, pick_reason(why));
}

/* Files that were left open because their disk was full (see loom_h5_out). HDF5's own end of the process would try to
 * write them again, so it is ours to end: with such files it is left as it is. */
static bool left_open;
static loom_h5_sink *kept; /* of these files: HDF5 may still ask for them */

static void end_library(void)
{
    if (!left_open) H5close();
}

enum { NOT_TRIED, USABLE, UNUSABLE };
static atomic_int state;

static bool settings(void) { return H5Eset_auto2(H5E_DEFAULT, NULL, NULL) >= 0 && H5PLset_loading_state(0) >= 0; }

/* The library starts up. When that fails for want of memory, every later call would try again and print why. */
static bool start(void)
{
    H5dont_atexit();  /* must come before the library's first use */
    loom_stop_mute(); /* what HDF5 says before it can be told to be silent */
    state = settings() ? USABLE : UNUSABLE;
    loom_stop_unmute();
    if (state == USABLE) atexit(end_library);
    return state == USABLE;
}

/* HDF5 keeps its settings per thread, hence at every door. Filters from plugins are refused: a data file must not be
 * able to choose code to load. */
static bool quiet(void)
{
    bool done = state == NOT_TRIED ? start() : state == USABLE && settings();

    if (!done) loom_nomem_note(); /* the one reason there is */
    return done;
}

void loom_h5_forget_errors(void)
{
    if (state == USABLE) H5Eclear2(H5E_DEFAULT);
}

/* ---- files ---- */

/* Objects in the 1.8 format carry checksums. No locks: files appear by rename and never change after. */
static hid_t access_list(void)
{
    hid_t list = H5Pcreate(H5P_FILE_ACCESS);

    H5Pset_fclose_degree(list, H5F_CLOSE_STRONG);
    H5Pset_libver_bounds(list, H5F_LIBVER_V18, H5F_LIBVER_V18);
    H5Pset_alignment(list, 1024, 64);
#if H5_VERSION_GE(1, 10, 7)
    H5Pset_file_locking(list, false, true);
#endif
    return list;
}

/* No times in the objects: the same content gives the same bytes. */
static hid_t list_without_times(hid_t class)
{
    hid_t list = H5Pcreate(class);

    if (list >= 0) H5Pset_obj_track_times(list, false);
    return list;
}

hid_t loom_h5_set_list(void) { return list_without_times(H5P_DATASET_CREATE); }

loom_status loom_h5_make_group(hid_t file, const char *name, loom_err *err)
{
    hid_t list, group;
    loom_status st = LOOM_OK;

    if (H5Lexists(file, name, H5P_DEFAULT) > 0) return LOOM_OK;
    list = list_without_times(H5P_GROUP_CREATE);
    group = H5Gcreate2(file, name, H5P_DEFAULT, list, H5P_DEFAULT);
    if (group < 0) st = loom_h5_fail(err, "cannot create %s", name);
    else loom_h5_closed(H5Gclose(group), &st, err, name);
    H5Pclose(list);
    return st;
}

void loom_h5_closed(herr_t result, loom_status *st, loom_err *err, const char *what)
{
    if (result >= 0) return;
    if (*st == LOOM_OK) *st = loom_h5_fail(err, "cannot finish %s", what);
    else loom_h5_forget_errors();
}

static loom_status open_output(loom_h5_out *out, loom_err *err)
{
    hid_t access = access_list(), create = list_without_times(H5P_FILE_CREATE);
    loom_status st = LOOM_OK;

    if (loom_h5_use_sink(access, out->sink) < 0 ||
        (out->file = H5Fcreate(out->temp.name, H5F_ACC_TRUNC, create, access)) < 0)
        st = loom_h5_fail(err, "cannot create %s", out->path);
    if (create >= 0) H5Pclose(create);
    if (access >= 0) H5Pclose(access);
    return st;
}

loom_status loom_h5_create(loom_h5_out *out, const char *path, bool force, loom_err *err)
{
    loom_status st;

    *out = (loom_h5_out){.file = -1, .temp.fd = -1};
    if (!quiet()) return loom_fail_nomem(err, "HDF5");
    if (strcmp(path, "-") == 0)
        return loom_fail(err, LOOM_STATUS_ARG, "HDF5 files cannot go to standard output; give a file name");
    if ((st = loom_temp_open(&out->temp, path, force, err)) != LOOM_OK) return st;
    out->path = out->temp.path;
    out->sink = loom_calloc(1, sizeof *out->sink);
    if (out->sink) out->sink->fd = out->temp.fd;
    st = out->sink ? open_output(out, err) : loom_fail_nomem(err, "an HDF5 file");
    if (st != LOOM_OK) loom_h5_abandon(out);
    return st;
}

loom_status loom_h5_check(const loom_h5_out *out, loom_err *err)
{
    if (!out->sink->failed) return LOOM_OK;
    return loom_fail(err, LOOM_STATUS_IO, "cannot write %s: %s; nothing was left half-written", out->path,
                     strerror(out->sink->failed));
}

void loom_h5_close_file(hid_t file)
{
    if (file >= 0) H5Fclose(file);
    loom_h5_forget_errors();
}

/* The driver writes nothing any more, so closing is safe, unless HDF5 itself has refused something. */
void loom_h5_abandon(loom_h5_out *out)
{
    if (out->sink) out->sink->stopped = true;
    if (out->file >= 0 && (out->broken || H5Fclose(out->file) < 0)) {
        left_open = true;
        out->sink->next = kept;
        kept = out->sink;
        out->sink = NULL;
    }
    loom_h5_forget_errors();
    free(out->sink);
    loom_temp_discard(&out->temp);
    *out = (loom_h5_out){.file = -1, .temp.fd = -1};
}

loom_status loom_h5_finish(loom_h5_out *out, loom_err *err)
{
    loom_status st = LOOM_OK;

    if (out->broken || H5Fflush(out->file, H5F_SCOPE_GLOBAL) < 0) {
        out->broken = true;
        return loom_h5_fail(err, "cannot write %s", out->path);
    }
    loom_h5_closed(H5Fclose(out->file), &st, err, out->path);
    if (st == LOOM_OK) out->file = -1;
    else out->broken = true; /* it stays open, and HDF5 may still ask for its sink */
    if (st == LOOM_OK) st = loom_h5_check(out, err);
    if (st == LOOM_OK) st = loom_temp_sync(&out->temp, err);
    return st;
}

loom_status loom_h5_read_back(const loom_h5_out *out, loom_status st, loom_err *err)
{
    if (st == LOOM_OK || st == LOOM_STATUS_NOMEM) return st;
    loom_err_in(err, "cannot write %s: it reads back other than it was written; check the disk", out->path);
    return LOOM_STATUS_IO;
}

loom_status loom_h5_open(hid_t *file, const char *path, loom_err *err)
{
    hid_t list, opened;

    if (!quiet()) return loom_fail_nomem(err, "HDF5");
    if (loom_file_is_dir(path)) return loom_fail(err, LOOM_STATUS_IO, "%s is a folder; give a file", path);
    if (access(path, R_OK) != 0) return loom_fail(err, LOOM_STATUS_IO, "cannot open %s: %s", path, strerror(errno));
    if (H5Fis_hdf5(path) <= 0) {
        loom_h5_forget_errors();
        return loom_fail(
            err, LOOM_STATUS_FORMAT,
            "%s is not an HDF5 file; give a checkpoint of loom-train or a shard of loom-preprocess tokens (*.h5)",
            path);
    }
    list = access_list();
    opened = H5Fopen(path, H5F_ACC_RDONLY, list);
    if (opened < 0) loom_h5_fail(err, "%s is damaged or cut short", path); /* before another call clears the reason */
    H5Pclose(list);
    if (opened < 0) {
        if (err) err->status = LOOM_STATUS_FORMAT;
        return LOOM_STATUS_FORMAT;
    }
    *file = opened;
    return LOOM_OK;
}

/* ---- types ---- */

/* HDF5 has no bfloat16: a float of 2 bytes with sign at 15, 8 bits of exponent at 7, 7 of fraction at 0, bias 127. */
static hid_t bf16_type(void)
{
    static hid_t type = -1;

    if (type < 0) {
        type = H5Tcopy(H5T_IEEE_F32LE);
        H5Tset_fields(type, 15, 7, 8, 0, 7);
        H5Tset_size(type, 2);
        H5Tset_ebias(type, 127);
    }
    return type;
}

static hid_t f16_type(void)
{
    static hid_t type = -1;

    if (type < 0) {
        type = H5Tcopy(H5T_IEEE_F32LE);
        H5Tset_fields(type, 15, 10, 5, 0, 10);
        H5Tset_size(type, 2);
        H5Tset_ebias(type, 15);
    }
    return type;
}

hid_t loom_h5_type(loom_dtype type)
{
    switch (type) {
    case LOOM_DTYPE_F32: return H5T_IEEE_F32LE;
    case LOOM_DTYPE_F16: return f16_type();
    case LOOM_DTYPE_BF16: return bf16_type();
    case LOOM_DTYPE_F64: return H5T_IEEE_F64LE;
    case LOOM_DTYPE_I64: return H5T_STD_I64LE;
    case LOOM_DTYPE_U64: return H5T_STD_U64LE;
    case LOOM_DTYPE_I32: return H5T_STD_I32LE;
    case LOOM_DTYPE_U32: return H5T_STD_U32LE;
    case LOOM_DTYPE_I16: return H5T_STD_I16LE;
    case LOOM_DTYPE_U16: return H5T_STD_U16LE;
    case LOOM_DTYPE_I8: return H5T_STD_I8LE;
    default: return H5T_STD_U8LE;
    }
}

bool loom_h5_type_is(loom_dtype *out, hid_t h5type)
{
    for (int i = 0; i < LOOM_DTYPE_BOOL; i++) {
        if (H5Tequal(loom_h5_type((loom_dtype)i), h5type) > 0) {
            *out = (loom_dtype)i;
            return true;
        }
    }
    return false;
}

/* ---- attributes ---- */

loom_status loom_h5_put_attr_i64(hid_t object, const char *name, int64_t v, loom_err *err)
{
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attr = H5Acreate2(object, name, H5T_STD_I64LE, space, H5P_DEFAULT, H5P_DEFAULT);
    loom_status st = LOOM_OK;

    if (attr < 0 || H5Awrite(attr, H5T_NATIVE_INT64, &v) < 0) st = loom_h5_fail(err, "cannot write attribute %s", name);
    if (attr >= 0) loom_h5_closed(H5Aclose(attr), &st, err, name);
    H5Sclose(space);
    return st;
}

static hid_t string_type(size_t len)
{
    hid_t type = H5Tcopy(H5T_C_S1);

    H5Tset_size(type, len ? len : 1);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
}

loom_status loom_h5_put_attr_str(hid_t object, const char *name, const char *text, loom_err *err)
{
    hid_t space = H5Screate(H5S_SCALAR), type = string_type(strlen(text));
    hid_t attr = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    loom_status st = LOOM_OK;

    if (attr < 0 || H5Awrite(attr, type, text) < 0) st = loom_h5_fail(err, "cannot write attribute %s", name);
    if (attr >= 0) loom_h5_closed(H5Aclose(attr), &st, err, name);
    H5Tclose(type);
    H5Sclose(space);
    return st;
}

static loom_status missing_attr(const char *name, loom_err *err)
{
    loom_h5_forget_errors();
    return loom_fail(err, LOOM_STATUS_FORMAT, "attribute %s is missing or of another type", name);
}

/* Whether there is room for one value only, so that reading it fills no more. Takes the space. */
static bool is_one(hid_t space)
{
    bool one = space >= 0 && H5Sget_simple_extent_npoints(space) == 1;

    if (space >= 0) H5Sclose(space);
    return one;
}

static bool is_scalar(hid_t attr) { return is_one(H5Aget_space(attr)); }

loom_status loom_h5_get_attr_i64(hid_t object, const char *name, int64_t *v, loom_err *err)
{
    hid_t attr = H5Aopen(object, name, H5P_DEFAULT), type = attr < 0 ? -1 : H5Aget_type(attr);
    bool good =
        type >= 0 && H5Tget_class(type) == H5T_INTEGER && is_scalar(attr) && H5Aread(attr, H5T_NATIVE_INT64, v) >= 0;

    if (type >= 0) H5Tclose(type);
    if (attr >= 0) H5Aclose(attr);
    return good ? LOOM_OK : missing_attr(name, err);
}

loom_status loom_h5_get_attr_str(hid_t object, const char *name, char *text, size_t cap, loom_err *err)
{
    hid_t attr = H5Aopen(object, name, H5P_DEFAULT), type = attr < 0 ? -1 : H5Aget_type(attr);
    bool good = type >= 0 && H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0 && is_scalar(attr) &&
                H5Tget_size(type) < cap && H5Aread(attr, type, text) >= 0;

    if (good) text[H5Tget_size(type)] = 0;
    if (type >= 0) H5Tclose(type);
    if (attr >= 0) H5Aclose(attr);
    return good ? LOOM_OK : missing_attr(name, err);
}

/* ---- texts ---- */

loom_status loom_h5_put_text(hid_t file, const char *name, const char *text, size_t len, loom_err *err)
{
    hid_t space = H5Screate(H5S_SCALAR), type = string_type(len), create = loom_h5_set_list();
    hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, create, H5P_DEFAULT);
    loom_status st = LOOM_OK;

    if (set < 0 || H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, len ? text : "") < 0)
        st = loom_h5_fail(err, "cannot write %s", name);
    if (st == LOOM_OK) st = loom_h5_put_attr_i64(set, "checksum", (int64_t)loom_hash64(text, len, 0), err);
    if (set >= 0) loom_h5_closed(H5Dclose(set), &st, err, name);
    H5Pclose(create);
    H5Tclose(type);
    H5Sclose(space);
    return st;
}

/* Files of older versions have none. */
static bool checksum_agrees(hid_t set, const char *text, size_t len)
{
    int64_t checksum;

    if (H5Aexists(set, "checksum") == 0) return true;
    return loom_h5_get_attr_i64(set, "checksum", &checksum, NULL) == LOOM_OK &&
           (uint64_t)checksum == loom_hash64(text, len, 0);
}

loom_status loom_h5_get_text(hid_t file, const char *name, char **text, size_t *len, size_t max, loom_err *err)
{
    hid_t set = H5Dopen2(file, name, H5P_DEFAULT), type = set < 0 ? -1 : H5Dget_type(set);
    char *copy = NULL;
    size_t size = 0;
    loom_status st = LOOM_OK;

    if (type < 0 || H5Tget_class(type) != H5T_STRING || H5Tis_variable_str(type) != 0 || !is_one(H5Dget_space(set))) {
        st = loom_fail(err, LOOM_STATUS_FORMAT, "text %s is missing or of another type", name);
        goto done;
    }
    size = H5Tget_size(type);
    if (size > max) {
        st =
            loom_fail(err, LOOM_STATUS_FORMAT, "text %s is %zu bytes long, more than the %zu allowed", name, size, max);
        goto done;
    }
    if (!(copy = loom_alloc(size + 1, 1))) {
        st = loom_fail_nomem(err, name);
        goto done;
    }
    if (H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, copy) < 0) {
        st = loom_h5_fail(err, "cannot read %s", name);
        goto done;
    }
    copy[size] = 0;
    if (size == 1 && !copy[0]) size = 0;
    if (!checksum_agrees(set, copy, size)) {
        st = loom_fail(err, LOOM_STATUS_FORMAT, "text %s is damaged: its checksum does not agree; make the file again",
                       name);
        goto done;
    }
    *len = size;
    *text = copy;
    copy = NULL;
done:
    free(copy);
    if (type >= 0) H5Tclose(type);
    if (set >= 0) H5Dclose(set);
    loom_h5_forget_errors();
    return st;
}
