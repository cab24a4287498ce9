/* Writing a checkpoint through HDF5, and reading it back before it gets its name. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "core/hash.h"
#include "core/num.h"
#include "store/ckpt_impl.h"
#include "store/h5.h"

struct loom_ckpt_writer {
    loom_h5_out out;
    loom_ckpt_entries list;
};

static loom_status check_room(const char *path, int64_t bytes, loom_err *err)
{
    loom_buf dir = {0};
    const char *slash = strrchr(path, '/');
    struct statvfs fs;
    char need[32], room[32];
    bool known;

    loom_buf_append(&dir, slash ? path : ".", slash ? (size_t)(slash - path) + 1 : 1);
    known = statvfs(dir.data, &fs) == 0;
    loom_buf_release(&dir);
    if (!known || (double)bytes <= (double)fs.f_bavail * (double)fs.f_frsize) return LOOM_OK;
    return loom_fail(err, LOOM_STATUS_IO, "no room for %s: it needs %s, the disk has %s; free some space and run again",
                     path, loom_format_bytes(need, sizeof need, (double)bytes),
                     loom_format_bytes(room, sizeof room, (double)fs.f_bavail * (double)fs.f_frsize));
}

loom_status loom_ckpt_create(loom_ckpt_writer **out, const char *path, bool force, int64_t expected_bytes,
                             loom_err *err)
{
    loom_ckpt_writer *w = NULL;

    LOOM_TRY(check_room(path, expected_bytes, err));
    if (!(w = loom_calloc(1, sizeof *w))) return loom_fail_nomem(err, "a checkpoint");
    if (loom_h5_create(&w->out, path, force, err) != LOOM_OK) {
        free(w);
        return err ? err->status : LOOM_STATUS_IO;
    }
    *out = w;
    return LOOM_OK;
}

/* Records an entry; its name must be "group/name" and new. */
static loom_status add_entry(loom_ckpt_writer *w, const loom_ckpt_entry *e, loom_err *err)
{
    const char *slash = strchr(e->name, '/');
    loom_ckpt_item copy = {.e = *e};
    loom_status st;

    if (!slash || slash == e->name || !slash[1] || strchr(slash + 1, '/'))
        return loom_fail(err, LOOM_STATUS_ARG, "\"%s\" is not of the form group/name", e->name);
    if ((st = loom_grow(&w->list.items, &w->list.cap, w->list.n + 1, sizeof copy, err)) != LOOM_OK) return st;
    if (!(copy.e.name = loom_strdup(e->name))) return loom_fail_nomem(err, "a checkpoint");
    w->list.items[w->list.n++] = copy;
    return LOOM_OK;
}

/* The group of "group/name", which add_entry has looked at. */
static loom_status make_group_of(loom_ckpt_writer *w, const char *name, loom_err *err)
{
    char group[64];
    size_t len = strcspn(name, "/");

    if (len >= sizeof group) return loom_fail(err, LOOM_STATUS_ARG, "\"%s\": the name of the group is too long", name);
    memcpy(group, name, len);
    group[len] = 0;
    return loom_h5_make_group(w->out.file, group, err);
}

static loom_status write_set(loom_ckpt_writer *w, const loom_ckpt_entry *e, hid_t type, hid_t space, const void *data,
                             loom_err *err)
{
    hid_t create = loom_h5_set_list(), set;
    loom_status st = make_group_of(w, e->name, err);

    if (st != LOOM_OK) {
        w->out.broken = true;
        H5Pclose(create);
        return st;
    }
    H5Pset_fill_time(create, H5D_FILL_TIME_NEVER);
    set = H5Dcreate2(w->out.file, e->name, type, space, H5P_DEFAULT, create, H5P_DEFAULT);
    if (set < 0 || H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0)
        st = loom_h5_fail(err, "cannot write %s to %s", e->name, w->out.path);
    if (st == LOOM_OK) st = loom_h5_put_attr_i64(set, "checksum", (int64_t)e->checksum, err);
    if (st == LOOM_OK && !e->is_text) st = loom_h5_put_attr_str(set, "dtype", loom_dtype_name(e->dtype), err);
    if (st == LOOM_OK) loom_h5_closed(H5Dclose(set), &st, err, e->name);
    if (st != LOOM_OK) w->out.broken = true;
    H5Pclose(create);
    return st != LOOM_OK ? st : loom_h5_check(&w->out, err);
}

loom_status loom_ckpt_put(loom_ckpt_writer *w, const char *name, loom_dtype dtype, const void *data, int rank,
                          const int64_t *shape, loom_err *err)
{
    loom_tensor_view v = {.name = name, .dtype = dtype, .rank = rank};
    loom_ckpt_entry e = {.name = name, .dtype = dtype, .rank = rank};
    hsize_t dims[LOOM_TENSOR_MAX_RANK];
    hid_t space;
    loom_status st;

    if (rank < 1 || rank > LOOM_TENSOR_MAX_RANK)
        return loom_fail(err, LOOM_STATUS_ARG, "%s: rank %d is not 1..%d", name, rank, LOOM_TENSOR_MAX_RANK);
    for (int i = 0; i < rank; i++) {
        e.shape[i] = v.shape[i] = shape[i];
        dims[i] = (hsize_t)shape[i];
    }
    if (!loom_tensor_measure(&v)) return loom_fail(err, LOOM_STATUS_ARG, "%s: shape is negative or too large", name);
    e.count = v.count;
    e.bytes = v.bytes;
    e.checksum = loom_hash64(data, v.bytes, 0);
    if ((st = add_entry(w, &e, err)) != LOOM_OK) return st;
    space = H5Screate_simple(rank, dims, NULL);
    st = write_set(w, &e, loom_h5_type(dtype), space, data, err);
    H5Sclose(space);
    return st;
}

loom_status loom_ckpt_put_i64(loom_ckpt_writer *w, const char *name, int64_t value, loom_err *err)
{
    return loom_ckpt_put(w, name, LOOM_DTYPE_I64, &value, 1, (const int64_t[]){1}, err);
}

loom_status loom_ckpt_put_f64(loom_ckpt_writer *w, const char *name, double value, loom_err *err)
{
    return loom_ckpt_put(w, name, LOOM_DTYPE_F64, &value, 1, (const int64_t[]){1}, err);
}

/* A text is stored with its closing NUL: HDF5 has no empty strings. */
loom_status loom_ckpt_put_text(loom_ckpt_writer *w, const char *name, const char *text, size_t len, loom_err *err)
{
    loom_ckpt_entry e = {.name = name, .is_text = true, .bytes = len + 1, .count = 1};
    char *copy = NULL;
    hid_t space, type;
    loom_status st;

    if (len >= LOOM_BOUND_JSON) return loom_fail(err, LOOM_STATUS_ARG, "%s: %zu bytes of text are too much", name, len);
    if (!(copy = loom_alloc(len + 1, 1))) return loom_fail_nomem(err, name);
    memcpy(copy, text, len);
    copy[len] = 0;
    e.checksum = loom_hash64(copy, e.bytes, 0);
    if ((st = add_entry(w, &e, err)) != LOOM_OK) {
        free(copy);
        return st;
    }
    space = H5Screate(H5S_SCALAR);
    type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, e.bytes);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    H5Tset_cset(type, H5T_CSET_UTF8);
    st = write_set(w, &e, type, space, copy, err);
    H5Tclose(type);
    H5Sclose(space);
    free(copy);
    return st;
}

/* What lies in the temporary file is what was put in, byte for byte. */
static loom_status check_written(loom_ckpt_writer *w, loom_err *err)
{
    loom_ckpt *c = NULL;
    char digest[17];
    loom_status st = loom_ckpt_open_file(&c, w->out.temp.name, err);

    snprintf(digest, sizeof digest, "%016" PRIx64, loom_ckpt_entries_digest(&w->list));
    if (st == LOOM_OK && strcmp(digest, c->digest) != 0)
        st = loom_fail(err, LOOM_STATUS_IO, "its table of contents is another one");
    if (st == LOOM_OK) st = loom_ckpt_verify(c, err);
    loom_ckpt_close(&c);
    return loom_h5_read_back(&w->out, st, err);
}

loom_status loom_ckpt_commit(loom_ckpt_writer **writer, loom_err *err)
{
    loom_ckpt_writer *w = *writer;
    loom_status st;

    st = loom_h5_put_attr_str(w->out.file, "format", LOOM_CKPT_FORMAT, err);
    if (st == LOOM_OK) st = loom_h5_put_attr_i64(w->out.file, "version", LOOM_CKPT_VERSION, err);
    if (st == LOOM_OK)
        st = loom_h5_put_attr_i64(w->out.file, "digest", (int64_t)loom_ckpt_entries_digest(&w->list), err);
    if (st != LOOM_OK) w->out.broken = true;
    if (st == LOOM_OK) st = loom_h5_finish(&w->out, err);
    if (st == LOOM_OK) st = check_written(w, err);
    if (st == LOOM_OK) st = loom_temp_publish((loom_temp *[]){&w->out.temp}, 1, err);
    loom_ckpt_abandon(writer); /* what has its name stays */
    return st;
}

void loom_ckpt_abandon(loom_ckpt_writer **writer)
{
    loom_ckpt_writer *w = writer ? *writer : NULL;

    if (!w) return;
    loom_h5_abandon(&w->out);
    loom_ckpt_entries_release(&w->list);
    free(w);
    *writer = NULL;
}
