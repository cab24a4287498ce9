/* Writing goes through HDF5. Reading uses HDF5 only for the table of contents: every data set is contiguous and
 * unfiltered, so its bytes are read (or mapped) straight from the file at the offset HDF5 names, and checked against
 * their checksum before anyone believes them. */
#include "store/ckpt.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/digest.h"
#include "core/file.h"
#include "core/hash.h"
#include "core/num.h"
#include "store/h5.h"

#define FORMAT      "spanloom-checkpoint"
#define VERSION     1
#define MAX_ENTRIES 1000000

typedef struct entry {
    loom_ckpt_entry e;
    int64_t offset; /* in the file; reading only */
    char *text;     /* texts; reading only */
} entry;

typedef struct entries {
    entry *items;
    size_t n, cap;
} entries;

static void entries_release(entries *list)
{
    for (size_t i = 0; i < list->n; i++) {
        free((char *)(uintptr_t)list->items[i].e.name);
        free(list->items[i].text);
    }
    free(list->items);
    *list = (entries){0};
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const entry *)a)->e.name, ((const entry *)b)->e.name);
}

/* Digest of the whole: names, types, shapes and checksums in name order. */
static uint64_t digest_of(entries *list)
{
    loom_buf b = {0};
    uint64_t digest;

    if (list->n) qsort(list->items, list->n, sizeof *list->items, by_name);
    for (size_t i = 0; i < list->n; i++) {
        const loom_ckpt_entry *e = &list->items[i].e;
        loom_buf_printf(&b, "%s %s", e->name, e->is_text ? "text" : loom_dtype_name(e->dtype));
        for (int d = 0; d < e->rank; d++) loom_buf_printf(&b, " %" PRId64, e->shape[d]);
        loom_buf_printf(&b, " %zu %016" PRIx64 "\n", e->bytes, e->checksum);
    }
    digest = loom_hash64(loom_buf_text(&b), b.len, 0);
    loom_buf_release(&b);
    return digest;
}

struct loom_ckpt {
    char *path;
    int fd;
    size_t size; /* of the file */
    entries list;
    char digest[17];
    loom_map_file map; /* empty until something is mapped */
};

/* ---- writing ---- */

static loom_status open_file(loom_ckpt **out, const char *path, loom_err *err);

struct loom_ckpt_writer {
    loom_h5_out out;
    entries list;
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
    entry copy = {.e = *e};
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

loom_status loom_ckpt_put_rng(loom_ckpt_writer *w, const char *name, const loom_rng *rng, loom_err *err)
{
    return loom_ckpt_put(w, name, LOOM_DTYPE_U64, rng->s, 1, (const int64_t[]){4}, err);
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
    loom_status st = open_file(&c, w->out.temp.name, err);

    snprintf(digest, sizeof digest, "%016" PRIx64, digest_of(&w->list));
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

    st = loom_h5_put_attr_str(w->out.file, "format", FORMAT, err);
    if (st == LOOM_OK) st = loom_h5_put_attr_i64(w->out.file, "version", VERSION, err);
    if (st == LOOM_OK) st = loom_h5_put_attr_i64(w->out.file, "digest", (int64_t)digest_of(&w->list), err);
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
    entries_release(&w->list);
    free(w);
    *writer = NULL;
}

/* ---- reading ---- */

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
static loom_status describe(const walk *w, hid_t set, entry *x)
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
        if (x->e.rank != 0 || x->e.bytes < 1 || x->e.bytes > LOOM_BOUND_JSON) st = bad_entry(w, x->e.name, "is no plain text");
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
    entry x = {0};
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

    if (loom_h5_get_attr_str(file, "format", format, sizeof format, NULL) != LOOM_OK || strcmp(format, FORMAT) != 0)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s is no checkpoint of Spanloom%s%s%s", c->path,
                         format[0] ? " but \"" : "", format, format[0] ? "\"" : "");
    if (loom_h5_get_attr_i64(file, "version", &version, NULL) != LOOM_OK || version != VERSION)
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "%s is a checkpoint of version %" PRId64
                         ", this program reads version %d; use the program that "
                         "wrote it",
                         c->path, version, VERSION);
    if (H5Literate(file, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, visit_group, &w) < 0) {
        loom_h5_forget_errors();
        return w.st != LOOM_OK ? w.st : bad_entry(&w, "its table of contents", "cannot be read");
    }
    if (loom_h5_get_attr_i64(file, "digest", &digest, NULL) != LOOM_OK || (uint64_t)digest != digest_of(&c->list))
        return bad_entry(&w, "its table of contents", "does not agree with its digest");
    snprintf(c->digest, sizeof c->digest, "%016" PRIx64, (uint64_t)digest);
    return LOOM_OK;
}

static loom_status damaged(const loom_ckpt *c, const entry *x, loom_err *err)
{
    return loom_fail(err, LOOM_STATUS_FORMAT, "%s is damaged: the checksum of %s does not agree; use another checkpoint",
                     c->path, x->e.name);
}

/* Bytes of an entry straight from the file, checked. */
static loom_status read_bytes(const loom_ckpt *c, const entry *x, void *out, loom_err *err)
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
        entry *x = &c->list.items[i];
        if (!x->e.is_text) continue;
        if (!(x->text = loom_alloc(x->e.bytes, 1))) return loom_fail_nomem(err, x->e.name);
        LOOM_TRY(read_bytes(c, x, x->text, err));
        x->text[x->e.bytes - 1] = 0;
    }
    return LOOM_OK;
}

static loom_status open_file(loom_ckpt **out, const char *path, loom_err *err)
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

loom_status loom_ckpt_open(loom_ckpt **out, const char *path, loom_err *err)
{
    char *newest = NULL;
    loom_status st;

    if (!loom_file_is_dir(path)) return open_file(out, path, err);
    if ((st = loom_ckpt_newest(&newest, path, NULL, NULL, err)) != LOOM_OK) return st;
    if (!newest)
        return loom_fail(err, LOOM_STATUS_IO,
                         "%s holds no checkpoint (step-*.h5); give a folder of loom-train or a file", path);
    st = open_file(out, newest, err);
    free(newest);
    return st;
}

void loom_ckpt_close(loom_ckpt **ckpt)
{
    loom_ckpt *c = ckpt ? *ckpt : NULL;

    if (!c) return;
    loom_map_close(&c->map);
    if (c->fd >= 0) close(c->fd);
    entries_release(&c->list);
    free(c->path);
    free(c);
    *ckpt = NULL;
}

const char *loom_ckpt_path(const loom_ckpt *c)
{
    return c->path;
}

const char *loom_ckpt_digest(const loom_ckpt *c)
{
    return c->digest;
}

size_t loom_ckpt_count(const loom_ckpt *c)
{
    return c->list.n;
}

const loom_ckpt_entry *loom_ckpt_at(const loom_ckpt *c, size_t i)
{
    return &c->list.items[i].e;
}

static entry *find(const loom_ckpt *c, const char *name)
{
    entry key = {.e.name = name};

    return c->list.n ? bsearch(&key, c->list.items, c->list.n, sizeof key, by_name) : NULL;
}

const loom_ckpt_entry *loom_ckpt_find(const loom_ckpt *c, const char *name)
{
    entry *x = find(c, name);

    return x ? &x->e : NULL;
}

const char *loom_ckpt_text(const loom_ckpt *c, const char *name, size_t *len)
{
    entry *x = find(c, name);

    if (!x || !x->e.is_text) return NULL;
    if (len) *len = x->e.bytes - 1;
    return x->text;
}

static loom_status need(entry **out, const loom_ckpt *c, const char *name, loom_err *err)
{
    entry *x = find(c, name);

    if (!x || x->e.is_text)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s has no %s; it is a checkpoint of another kind", c->path, name);
    *out = x;
    return LOOM_OK;
}

loom_status loom_ckpt_read(loom_ckpt *c, const char *name, void *out, size_t bytes, loom_err *err)
{
    entry *x = NULL;

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
    entry *x = NULL;

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
    entry *x = NULL;

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

loom_status loom_ckpt_read_rng(loom_ckpt *c, const char *name, loom_rng *out, loom_err *err)
{
    return read_typed(c, name, LOOM_DTYPE_U64, out->s, sizeof out->s, err);
}

loom_status loom_ckpt_map(loom_ckpt *c, const char *name, loom_tensor_view *out, loom_err *err)
{
    entry *x = NULL;

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
        const entry *x = &c->list.items[i];
        if (x->e.is_text) continue; /* checked when opened */
        loom_digest_reset(sum);
        st = loom_digest_range(sum, c->fd, x->offset, (int64_t)x->e.bytes, block, BLOCK, c->path, err);
        if (st == LOOM_OK && loom_digest_64(sum) != x->e.checksum) st = damaged(c, x, err);
    }
    loom_digest_free(sum);
    free(block);
    return st;
}

/* ---- folders ---- */

char *loom_ckpt_step_path(const char *dir, int64_t step)
{
    loom_buf b = {0};

    loom_buf_printf(&b, "%s/step-%08" PRId64 ".h5", dir, step);
    return loom_buf_take(&b);
}

/* Step of a file name, -1 when it is not one of ours. */
static int64_t step_of(const char *path)
{
    const char *name = strrchr(path, '/');
    size_t len;
    int64_t step;

    name = name ? name + 1 : path;
    len = strlen(name);
    if (len < 9 || strncmp(name, "step-", 5) != 0 || strcmp(name + len - 3, ".h5") != 0) return -1;
    return loom_parse_i64(name + 5, len - 8, &step) && step >= 0 ? step : -1;
}

static int newest_first(const void *a, const void *b)
{
    int64_t x = step_of(*(char *const *)a), y = step_of(*(char *const *)b);

    return x < y ? 1 : x > y ? -1 : 0;
}

/* The folder's step files, newest first. */
static loom_status list_steps(char ***paths, size_t *n, const char *dir, loom_err *err)
{
    char **all = NULL;
    size_t n_all = 0, kept = 0;

    LOOM_TRY(loom_list_files(&all, &n_all, dir, ".h5", err));
    for (size_t i = 0; i < n_all; i++) {
        if (step_of(all[i]) >= 0)
            all[kept++] = all[i];
        else
            free(all[i]);
    }
    if (kept) qsort(all, kept, sizeof *all, newest_first);
    *paths = all;
    *n = kept;
    return LOOM_OK;
}

static loom_status verify_file(const char *path, loom_err *err)
{
    loom_ckpt *c = NULL;
    loom_status st = open_file(&c, path, err);

    if (st == LOOM_OK) st = loom_ckpt_verify(c, err);
    loom_ckpt_close(&c);
    return st;
}

loom_status loom_ckpt_newest(char **path, const char *dir, void (*note)(void *arg, const char *sentence), void *arg,
                             loom_err *err)
{
    char **paths = NULL, *found = NULL;
    size_t n = 0;
    loom_err bad = {0};
    loom_status st;

    LOOM_TRY(list_steps(&paths, &n, dir, err));
    for (size_t i = 0; i < n && !found; i++) {
        st = verify_file(paths[i], &bad);
        if (st == LOOM_OK) {
            found = paths[i];
            paths[i] = NULL;
        } else if (note) {
            note(arg, bad.msg);
        }
    }
    st = LOOM_OK;
    if (n && !found)
        st = loom_fail(err, LOOM_STATUS_FORMAT, "none of the %zu checkpoints in %s is intact (the last one: %s)", n,
                       dir, bad.msg);
    for (size_t i = 0; i < n; i++) free(paths[i]);
    free(paths);
    if (st == LOOM_OK) *path = found;
    return st;
}

loom_status loom_ckpt_prune(const char *dir, int64_t keep, loom_err *err)
{
    char **paths = NULL;
    size_t n = 0;
    loom_status st = LOOM_OK;

    LOOM_TRY(list_steps(&paths, &n, dir, err));
    for (size_t i = (size_t)loom_max_i64(keep, 1); i < n && st == LOOM_OK; i++) {
        if (unlink(paths[i]) != 0 && errno != ENOENT)
            st = loom_fail(err, LOOM_STATUS_IO, "cannot remove the old checkpoint %s: %s", paths[i], strerror(errno));
    }
    for (size_t i = 0; i < n; i++) free(paths[i]);
    free(paths);
    return st;
}

static bool is_of_a_run(const char *name)
{
    static const char *const others[] = {"model.h5", "adapter.h5", "best.h5", "curve.csv", "curve.gp"};

    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(name, others[i]) == 0) return true;
    return step_of(name) >= 0;
}

void loom_ckpt_sweep(const char *dir)
{
    loom_temp_sweep_folder(dir, is_of_a_run);
}
