/* Reading a checkpoint. HDF5 is used for the table of contents only: every data set is contiguous and unfiltered,
 * so its bytes are read (or mapped) straight from the file at the offset HDF5 names, and checked against their
 * checksum before anyone believes them. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/digest.h"
#include "core/hash.h"
#include "core/num.h"
#include "store/ckpt_impl.h"
#include "store/h5.h"

#define MAX_ENTRIES 1000000

/* What the walk through the file carries along. */
typedef struct walk {
    loom_ckpt *c;
    const char *group;
    loom_err *err;
    loom_status st;
} walk;

static loom_status bad_entry(const walk *w, const char *name, const char *why)
{
    return loom_fail(w->err, LOOM_STATUS_FORMAT, "%s: %s %s; the file is damaged or was not written by Spanloom",
                     w->c->path, name, why);
}

/* Type, shape and place of a data set. Only plain ones are taken: a filtered, virtual or external one (which could name
 * any file of the system) is not ours. */
static loom_status describe(const walk *w, hid_t set, loom_ckpt_item *x)
{
    hid_t type = H5Dget_type(set), space = H5Dget_space(set), create = H5Dget_create_plist(set);
    hsize_t dims[LOOM_TENSOR_MAX_RANK];
    loom_tensor_view v = {0};
    loom_status st = LOOM_OK;
    int64_t checksum = 0;
    haddr_t offset;

    if (type < 0 || space < 0 || create < 0 || H5Pget_layout(create) != H5D_CONTIGUOUS ||
        H5Pget_external_count(create) != 0) {
        st = bad_entry(w, x->e.name, "is not stored in one piece");
        goto done;
    }
    x->e.is_text = H5Tget_class(type) == H5T_STRING;
    x->e.rank = H5Sget_simple_extent_ndims(space);
    if (x->e.is_text) {
        x->e.bytes = H5Tis_variable_str(type) == 0 ? H5Tget_size(type) : 0;
        x->e.count = 1;
        if (x->e.rank != 0 || x->e.bytes < 1 || x->e.bytes > LOOM_BOUND_JSON)
            st = bad_entry(w, x->e.name, "is no plain text");
    } else if (x->e.rank < 1 || x->e.rank > LOOM_TENSOR_MAX_RANK || !loom_h5_type_is(&x->e.dtype, type) ||
               H5Sget_simple_extent_dims(space, dims, NULL) < 0) {
        st = bad_entry(w, x->e.name, "has an unknown type or shape");
    } else {
        v.rank = x->e.rank;
        v.dtype = x->e.dtype;
        for (int i = 0; i < v.rank; i++) x->e.shape[i] = v.shape[i] = (int64_t)dims[i];
        if (!loom_tensor_measure(&v)) st = bad_entry(w, x->e.name, "has an impossible shape");
        x->e.count = v.count;
        x->e.bytes = v.bytes;
    }
    if (st != LOOM_OK) goto done;
    offset = H5Dget_offset(set);
    if (x->e.bytes == 0) offset = 0;
    if (offset == HADDR_UNDEF || offset > w->c->size || x->e.bytes > w->c->size - offset) {
        st = bad_entry(w, x->e.name, "lies outside the file");
        goto done;
    }
    x->offset = (int64_t)offset;
    if ((st = loom_h5_get_attr_i64(set, "checksum", &checksum, NULL)) != LOOM_OK)
        st = bad_entry(w, x->e.name, "has no checksum");
    x->e.checksum = (uint64_t)checksum;
done:
    if (create >= 0) H5Pclose(create);
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    return st;
}

static loom_status add_set(walk *w, hid_t group, const char *name)
{
    loom_buf full = {0};
    loom_ckpt_item x = {0};
    hid_t set;

    if (w->c->list.n >= MAX_ENTRIES) return bad_entry(w, name, "is one of too many entries");
    LOOM_TRY(loom_grow(&w->c->list.items, &w->c->list.cap, w->c->list.n + 1, sizeof x, w->err));
    loom_buf_printf(&full, "%s/%s", w->group, name);
    if (!(x.e.name = loom_buf_take(&full))) return loom_fail_nomem(w->err, "a checkpoint");
    w->c->list.items[w->c->list.n++] = x; /* owned by the list from here on */
    if ((set = H5Dopen2(group, name, H5P_DEFAULT)) < 0) return bad_entry(w, x.e.name, "cannot be opened");
    w->st = describe(w, set, &w->c->list.items[w->c->list.n - 1]);
    H5Dclose(set);
    return w->st;
}

static herr_t visit_set(hid_t group, const char *name, const H5L_info_t *info, void *arg)
{
    walk *w = arg;

    w->st = info->type == H5L_TYPE_HARD ? add_set(w, group, name) : bad_entry(w, name, "is a link");
    return w->st == LOOM_OK ? 0 : -1;
}

static herr_t visit_group(hid_t file, const char *name, const H5L_info_t *info, void *arg)
{
    walk *w = arg;
    hid_t group = -1;

    if (info->type == H5L_TYPE_HARD) group = H5Gopen2(file, name, H5P_DEFAULT);
    if (group < 0) {
        w->st = bad_entry(w, name, "is not a group");
        return -1;
    }
    w->group = name;
    if (H5Literate(group, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, visit_set, w) < 0 && w->st == LOOM_OK)
        w->st = bad_entry(w, name, "cannot be listed");
    H5Gclose(group);
    return w->st == LOOM_OK ? 0 : -1;
}

/* Format, version, table of contents, digest. */
static loom_status read_directory(loom_ckpt *c, hid_t file, loom_err *err)
{
    walk w = {.c = c, .err = err};
    char format[64] = "";
    int64_t version = 0, digest = 0;

    if (loom_h5_get_attr_str(file, "format", format, sizeof format, NULL) != LOOM_OK ||
        strcmp(format, LOOM_CKPT_FORMAT) != 0)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s is no checkpoint of Spanloom%s%s%s", c->path,
                         format[0] ? " but \"" : "", format, format[0] ? "\"" : "");
    if (loom_h5_get_attr_i64(file, "version", &version, NULL) != LOOM_OK || version != LOOM_CKPT_VERSION)
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "%s is a checkpoint of version %" PRId64
                         ", this program reads version %d; use the program that "
                         "wrote it",
                         c->path, version, LOOM_CKPT_VERSION);
    if (H5Literate(file, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, visit_group, &w) < 0) {
        loom_h5_forget_errors();
        return w.st != LOOM_OK ? w.st : bad_entry(&w, "its table of contents", "cannot be read");
    }
    if (loom_h5_get_attr_i64(file, "digest", &digest, NULL) != LOOM_OK ||
        (uint64_t)digest != loom_ckpt_entries_digest(&c->list))
        return bad_entry(&w, "its table of contents", "does not agree with its digest");
    snprintf(c->digest, sizeof c->digest, "%016" PRIx64, (uint64_t)digest);
    return LOOM_OK;
}

static loom_status damaged(const loom_ckpt *c, const loom_ckpt_item *x, loom_err *err)
{
    return loom_fail(err, LOOM_STATUS_FORMAT,
                     "%s is damaged: the checksum of %s does not agree; use another checkpoint", c->path, x->e.name);
}

/* Bytes of an entry straight from the file, checked. */
static loom_status read_bytes(const loom_ckpt *c, const loom_ckpt_item *x, void *out, loom_err *err)
{
    size_t done = 0;

    while (done < x->e.bytes) {
        ssize_t n = pread(c->fd, (char *)out + done, x->e.bytes - done, x->offset + (off_t)done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0)
            return loom_fail(err, LOOM_STATUS_IO, "cannot read %s of %s: %s", x->e.name, c->path,
                             n ? strerror(errno) : "the file is cut short");
        done += (size_t)n;
    }
    return loom_hash64(out, x->e.bytes, 0) == x->e.checksum ? LOOM_OK : damaged(c, x, err);
}

static loom_status read_texts(loom_ckpt *c, loom_err *err)
{
    for (size_t i = 0; i < c->list.n; i++) {
        loom_ckpt_item *x = &c->list.items[i];
        if (!x->e.is_text) continue;
        if (!(x->text = loom_alloc(x->e.bytes, 1))) return loom_fail_nomem(err, x->e.name);
        LOOM_TRY(read_bytes(c, x, x->text, err));
        x->text[x->e.bytes - 1] = 0;
    }
    return LOOM_OK;
}

loom_status loom_ckpt_open_file(loom_ckpt **out, const char *path, loom_err *err)
{
    loom_ckpt *c = loom_calloc(1, sizeof *c);
    hid_t file = -1;
    loom_status st;
    struct stat stat_of;

    if (!c) return loom_fail_nomem(err, "a checkpoint");
    c->fd = -1;
    if (!(c->path = loom_strdup(path))) {
        st = loom_fail_nomem(err, "a checkpoint");
        goto done;
    }
    if ((st = loom_h5_open(&file, path, err)) != LOOM_OK) goto done;
    c->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (c->fd < 0 || fstat(c->fd, &stat_of) != 0) {
        st = loom_fail(err, LOOM_STATUS_IO, "cannot open %s: %s", path, strerror(errno));
        goto done;
    }
    c->size = (size_t)stat_of.st_size;
    if ((st = read_directory(c, file, err)) != LOOM_OK) goto done;
    if ((st = read_texts(c, err)) != LOOM_OK) goto done;
    *out = c;
    c = NULL;
done:
    loom_h5_close_file(file);
    loom_ckpt_close(&c);
    return st;
}

void loom_ckpt_close(loom_ckpt **ckpt)
{
    loom_ckpt *c = ckpt ? *ckpt : NULL;

    if (!c) return;
    loom_map_close(&c->map);
    if (c->fd >= 0) close(c->fd);
    loom_ckpt_entries_release(&c->list);
    free(c->path);
    free(c);
    *ckpt = NULL;
}

const char *loom_ckpt_path(const loom_ckpt *c) { return c->path; }

const char *loom_ckpt_digest(const loom_ckpt *c) { return c->digest; }

size_t loom_ckpt_count(const loom_ckpt *c) { return c->list.n; }

const loom_ckpt_entry *loom_ckpt_at(const loom_ckpt *c, size_t i) { return &c->list.items[i].e; }

static loom_ckpt_item *find(const loom_ckpt *c, const char *name)
{
    loom_ckpt_item key = {.e.name = name};

    return c->list.n ? bsearch(&key, c->list.items, c->list.n, sizeof key, loom_ckpt_by_name) : NULL;
}

const loom_ckpt_entry *loom_ckpt_find(const loom_ckpt *c, const char *name)
{
    loom_ckpt_item *x = find(c, name);

    return x ? &x->e : NULL;
}

const char *loom_ckpt_text(const loom_ckpt *c, const char *name, size_t *len)
{
    loom_ckpt_item *x = find(c, name);

    if (!x || !x->e.is_text) return NULL;
    if (len) *len = x->e.bytes - 1;
    return x->text;
}

static loom_status need(loom_ckpt_item **out, const loom_ckpt *c, const char *name, loom_err *err)
{
    loom_ckpt_item *x = find(c, name);

    if (!x || x->e.is_text)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s has no %s; it is a checkpoint of another kind", c->path, name);
    *out = x;
    return LOOM_OK;
}

loom_status loom_ckpt_read(loom_ckpt *c, const char *name, void *out, size_t bytes, loom_err *err)
{
    loom_ckpt_item *x = NULL;

    LOOM_TRY(need(&x, c, name, err));
    if (x->e.bytes != bytes)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s: %s has %zu bytes, expected %zu", c->path, name, x->e.bytes,
                         bytes);
    return read_bytes(c, x, out, err);
}

loom_status loom_ckpt_read_f32(loom_ckpt *c, const char *name, float *out, int64_t count, loom_err *err)
{
    void *raw = NULL;
    loom_status st;
    loom_ckpt_item *x = NULL;

    LOOM_TRY(need(&x, c, name, err));
    if (x->e.count != count)
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "%s: %s has %" PRId64 " elements, the model needs %" PRId64 "; it belongs to another model",
                         c->path, name, x->e.count, count);
    if (x->e.dtype == LOOM_DTYPE_F32) return read_bytes(c, x, out, err);
    if (!(raw = loom_alloc(x->e.bytes, 1))) return loom_fail_nomem(err, name);
    st = read_bytes(c, x, raw, err);
    if (st == LOOM_OK) loom_dtype_to_f32(out, raw, x->e.dtype, count);
    free(raw);
    return st;
}

static loom_status read_typed(loom_ckpt *c, const char *name, loom_dtype dtype, void *out, size_t bytes, loom_err *err)
{
    loom_ckpt_item *x = NULL;

    LOOM_TRY(need(&x, c, name, err));
    if (x->e.dtype != dtype)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s: %s is of type %s, expected %s", c->path, name,
                         loom_dtype_name(x->e.dtype), loom_dtype_name(dtype));
    return loom_ckpt_read(c, name, out, bytes, err);
}

loom_status loom_ckpt_read_i64(loom_ckpt *c, const char *name, int64_t *out, loom_err *err)
{
    return read_typed(c, name, LOOM_DTYPE_I64, out, sizeof *out, err);
}

loom_status loom_ckpt_read_f64(loom_ckpt *c, const char *name, double *out, loom_err *err)
{
    return read_typed(c, name, LOOM_DTYPE_F64, out, sizeof *out, err);
}

loom_status loom_ckpt_map(loom_ckpt *c, const char *name, loom_tensor_view *out, loom_err *err)
{
    loom_ckpt_item *x = NULL;

    LOOM_TRY(need(&x, c, name, err));
    if (!c->map.data) LOOM_TRY(loom_map_fd(&c->map, c->fd, c->size, c->path, err));
    *out = (loom_tensor_view){.name = x->e.name,
                              .dtype = x->e.dtype,
                              .rank = x->e.rank,
                              .count = x->e.count,
                              .bytes = x->e.bytes,
                              .data = c->map.data + x->offset};
    memcpy(out->shape, x->e.shape, sizeof out->shape);
    return LOOM_OK;
}

loom_status loom_ckpt_verify(loom_ckpt *c, loom_err *err)
{
    enum { BLOCK = 1 << 20 };
    loom_digest *sum = loom_digest_new_64();
    void *block = loom_alloc(BLOCK, 1);
    loom_status st = sum && block ? LOOM_OK : loom_fail_nomem(err, "a checksum");

    for (size_t i = 0; i < c->list.n && st == LOOM_OK; i++) {
        const loom_ckpt_item *x = &c->list.items[i];
        if (x->e.is_text) continue; /* checked when opened */
        loom_digest_reset(sum);
        st = loom_digest_range(sum, c->fd, x->offset, (int64_t)x->e.bytes, block, BLOCK, c->path, err);
        if (st == LOOM_OK && loom_digest_64(sum) != x->e.checksum) st = damaged(c, x, err);
    }
    loom_digest_free(sum);
    free(block);
    return st;
}
