#include "store/safetensors.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/file.h"
#include "core/json.h"
#include "core/num.h"

#define MAX_FILES 10000
#define BLOCK     65536 /* floats converted at a time when writing */

/* One file: mapped, or the caller's bytes. */
typedef struct part {
    char *path;
    loom_map_file map;
    loom_json *header;
    const unsigned char *data; /* behind the header */
    size_t data_len;
    bool borrowed;
} part;

struct loom_safetensors {
    part *parts;
    size_t n_parts, cap_parts;
    loom_tensor_view *tensors; /* by name; names live in the parts' headers */
    size_t n, cap;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const loom_tensor_view *)a)->name, ((const loom_tensor_view *)b)->name);
}

static int by_place(const void *a, const void *b)
{
    const loom_tensor_view *x = a, *y = b;

    if (x->data != y->data) return x->data < y->data ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes; /* empty tensors before the one that starts there */
}

/* ---- one file ---- */

static loom_status bad_tensor(const part *p, const char *name, const char *why, loom_err *err)
{
    return loom_fail(err, LOOM_STATUS_FORMAT, "%s: tensor %.200s %s; the file is damaged", p->path, name, why);
}

static loom_status parse_shape(loom_tensor_view *t, const loom_json *shape, const part *p, loom_err *err)
{
    if (!loom_json_is_array(shape) || loom_json_len(shape) > LOOM_TENSOR_MAX_RANK)
        return bad_tensor(p, t->name, "has no shape of at most 8 sizes", err);
    t->rank = (int)loom_json_len(shape);
    for (int i = 0; i < t->rank; i++) {
        const loom_json *size = loom_json_at(shape, (size_t)i);
        t->shape[i] = loom_json_i64(size, -1);
        if (!loom_json_is_int(size) || t->shape[i] < 0)
            return bad_tensor(p, t->name, "has a bad size in its shape", err);
    }
    return loom_tensor_measure(t) ? LOOM_OK : bad_tensor(p, t->name, "has a shape that overflows", err);
}

static loom_status parse_tensor(loom_tensor_view *t, const char *name, const loom_json *node, const part *p,
                                loom_err *err)
{
    const char *dtype = loom_json_str(loom_json_get(node, "dtype"), NULL);
    const loom_json *place = loom_json_get(node, "data_offsets");
    int64_t begin = loom_json_i64(loom_json_at(place, 0), -1), end = loom_json_i64(loom_json_at(place, 1), -1);

    *t = (loom_tensor_view){.name = name};
    if (!dtype) return bad_tensor(p, name, "has no dtype", err);
    if (!loom_dtype_from_name(&t->dtype, dtype))
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "%s: tensor %.200s is of type %.32s, which is not supported; convert the "
                         "model to BF16, F16 or F32",
                         p->path, name, dtype);
    LOOM_TRY(parse_shape(t, loom_json_get(node, "shape"), p, err));
    if (loom_json_len(place) != 2 || begin < 0 || end < begin || (uint64_t)end > p->data_len)
        return bad_tensor(p, name, "lies outside the file", err);
    if ((uint64_t)(end - begin) != t->bytes)
        return bad_tensor(p, name, "has more or fewer bytes than its shape needs", err);
    t->data = p->data + begin;
    return LOOM_OK;
}

/* Sorted by place, the tensors must cover the data without holes, overlaps or a rest. */
static loom_status check_tiling(const part *p, loom_tensor_view *tensors, size_t n, loom_err *err)
{
    const unsigned char *next = p->data;

    if (n) qsort(tensors, n, sizeof *tensors, by_place);
    for (size_t i = 0; i < n; i++) {
        if (tensors[i].data != next) return bad_tensor(p, tensors[i].name, "leaves a hole or overlaps another", err);
        next += tensors[i].bytes;
    }
    if (next != p->data + p->data_len)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s: %zu bytes follow the last tensor; the file is damaged", p->path,
                         (size_t)(p->data + p->data_len - next));
    return LOOM_OK;
}

static loom_status parse_header(loom_safetensors *st, part *p, loom_err *err)
{
    uint64_t len = 0;
    size_t first = st->n;

    if (p->map.len < 8) return loom_fail(err, LOOM_STATUS_FORMAT, "%s is too short to be a safetensors file", p->path);
    memcpy(&len, p->map.data, 8);
    if (len > LOOM_BOUND_HEADER || len > p->map.len - 8 || len < 2 || p->map.data[8] != '{')
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s is not a safetensors file, or is cut short", p->path);
    p->data = p->map.data + 8 + len;
    p->data_len = p->map.len - 8 - (size_t)len;
    LOOM_TRY(loom_json_parse(&p->header, (const char *)p->map.data + 8, (size_t)len, p->path, err));
    if (!loom_json_is_object(p->header))
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s: the header is no JSON object", p->path);
    for (void *it = loom_json_iter(p->header); it; it = loom_json_iter_next(p->header, it)) {
        const char *name = loom_json_iter_key(it);
        if (strcmp(name, "__metadata__") == 0) continue;
        LOOM_TRY(loom_grow(&st->tensors, &st->cap, st->n + 1, sizeof *st->tensors, err));
        LOOM_TRY(parse_tensor(&st->tensors[st->n], name, loom_json_iter_value(it), p, err));
        st->n++;
    }
    return check_tiling(p, st->tensors ? st->tensors + first : NULL, st->n - first, err);
}

static loom_status add_part(loom_safetensors *st, const char *path, const void *bytes, size_t len, loom_err *err)
{
    part p = {.borrowed = bytes != NULL, .map = {.data = bytes, .len = len}};
    loom_status status = LOOM_OK;

    LOOM_TRY(loom_grow(&st->parts, &st->cap_parts, st->n_parts + 1, sizeof p, err));
    if (!(p.path = loom_strdup(path))) return loom_fail_nomem(err, "a file name");
    if (!bytes && (status = loom_map_open(&p.map, path, err)) != LOOM_OK) {
        free(p.path);
        return status;
    }
    st->parts[st->n_parts++] = p;
    return parse_header(st, &st->parts[st->n_parts - 1], err);
}

/* ---- models of several files ---- */

static bool plain_name(const char *name) { return name[0] && name[0] != '.' && !strchr(name, '/'); }

static loom_status add_file_once(loom_safetensors *st, const char *dir, size_t dir_len, const char *name, loom_err *err)
{
    loom_buf path = {0};
    loom_status status = LOOM_OK;
    bool known = false;

    if (!plain_name(name))
        return loom_fail(err, LOOM_STATUS_FORMAT, "file name \"%.100s\" points out of the folder", name);
    loom_buf_append(&path, dir, dir_len);
    loom_buf_str(&path, name);
    for (size_t i = 0; i < st->n_parts && !known; i++) known = strcmp(st->parts[i].path, path.data) == 0;
    if (!known && st->n_parts >= MAX_FILES)
        status = loom_fail(err, LOOM_STATUS_FORMAT, "more than %d files", MAX_FILES);
    else if (!known) status = add_part(st, path.data, NULL, 0, err);
    loom_buf_release(&path);
    return status;
}

/* Every tensor of the weight map must be in the file the map names, and no other. */
static loom_status check_map(const loom_safetensors *st, const loom_json *map, loom_err *err)
{
    for (void *it = loom_json_iter(map); it; it = loom_json_iter_next(map, it)) {
        if (!loom_safetensors_find(st, loom_json_iter_key(it)))
            return loom_fail(err, LOOM_STATUS_FORMAT, "tensor %.200s is in no file", loom_json_iter_key(it));
    }
    if (loom_json_len(map) != st->n)
        return loom_fail(err, LOOM_STATUS_FORMAT, "the files hold tensors it does not name");
    return LOOM_OK;
}

static loom_status check_unique(loom_safetensors *st, const char *path, loom_err *err)
{
    if (st->n) qsort(st->tensors, st->n, sizeof *st->tensors, by_name);
    for (size_t i = 1; i < st->n; i++) {
        if (strcmp(st->tensors[i - 1].name, st->tensors[i].name) == 0)
            return loom_fail(err, LOOM_STATUS_FORMAT, "%s: tensor %.200s is there twice", path, st->tensors[i].name);
    }
    return LOOM_OK;
}

static loom_status open_index(loom_safetensors *st, const char *path, loom_err *err)
{
    const char *slash = strrchr(path, '/');
    size_t dir_len = slash ? (size_t)(slash - path) + 1 : 0;
    loom_json *root = NULL;
    const loom_json *map;
    loom_status status = loom_json_read_file(&root, path, LOOM_BOUND_HEADER, err);

    if (status != LOOM_OK) return status;
    map = loom_json_get(root, "weight_map");
    if (!loom_json_is_object(map)) status = loom_fail(err, LOOM_STATUS_FORMAT, "%s: no weight_map", path);
    for (void *it = loom_json_iter(map); it && status == LOOM_OK; it = loom_json_iter_next(map, it)) {
        const char *file = loom_json_str(loom_json_iter_value(it), NULL);
        if (!file) status = loom_fail(err, LOOM_STATUS_FORMAT, "%s: weight_map holds no file names", path);
        else if ((status = add_file_once(st, path, dir_len, file, err)) != LOOM_OK) loom_err_in(err, "%s", path);
    }
    if (status == LOOM_OK) status = check_unique(st, path, err);
    if (status == LOOM_OK && (status = check_map(st, map, err)) != LOOM_OK) loom_err_in(err, "%s", path);
    loom_json_free(root);
    return status;
}

static loom_status open_folder(loom_safetensors *st, const char *dir, loom_err *err)
{
    static const char *const names[] = {"model.safetensors", "model.safetensors.index.json",
                                        "adapter_model.safetensors"};
    loom_status status = LOOM_OK;
    loom_buf path = {0};
    bool found = false;

    for (size_t i = 0; i < sizeof names / sizeof *names && !found; i++) {
        loom_buf_reset(&path);
        loom_buf_printf(&path, "%s/%s", dir, names[i]);
        if (!(found = loom_file_exists(path.data))) continue;
        status = i == 1 ? open_index(st, path.data, err) : add_part(st, path.data, NULL, 0, err);
    }
    loom_buf_release(&path);
    if (!found)
        return loom_fail(err, LOOM_STATUS_IO, "%s holds no model.safetensors and no model.safetensors.index.json", dir);
    return status;
}

loom_status loom_safetensors_open(loom_safetensors **out, const char *path, loom_err *err)
{
    loom_safetensors *st = loom_calloc(1, sizeof *st);
    loom_status status;

    if (!st) return loom_fail_nomem(err, "a safetensors file");
    if (loom_file_is_dir(path)) status = open_folder(st, path, err);
    else if (loom_path_ends_in(path, ".index.json")) status = open_index(st, path, err);
    else status = add_part(st, path, NULL, 0, err);
    if (status == LOOM_OK) status = check_unique(st, path, err);
    if (status != LOOM_OK) loom_safetensors_close(&st);
    else *out = st;
    return status;
}

loom_status loom_safetensors_open_bytes(loom_safetensors **out, const void *bytes, size_t len, const char *name,
                                        loom_err *err)
{
    loom_safetensors *st = loom_calloc(1, sizeof *st);
    loom_status status;

    if (!st) return loom_fail_nomem(err, "a safetensors file");
    status = add_part(st, name, bytes ? bytes : "", len, err);
    if (status == LOOM_OK) status = check_unique(st, name, err);
    if (status != LOOM_OK) loom_safetensors_close(&st);
    else *out = st;
    return status;
}

void loom_safetensors_close(loom_safetensors **ptr)
{
    loom_safetensors *st = ptr ? *ptr : NULL;

    if (!st) return;
    for (size_t i = 0; i < st->n_parts; i++) {
        if (!st->parts[i].borrowed) loom_map_close(&st->parts[i].map);
        loom_json_free(st->parts[i].header);
        free(st->parts[i].path);
    }
    free(st->parts);
    free(st->tensors);
    free(st);
    *ptr = NULL;
}

size_t loom_safetensors_count(const loom_safetensors *st) { return st->n; }

const loom_tensor_view *loom_safetensors_at(const loom_safetensors *st, size_t i) { return &st->tensors[i]; }

const loom_tensor_view *loom_safetensors_find(const loom_safetensors *st, const char *name)
{
    loom_tensor_view key = {.name = name};

    return st->n ? bsearch(&key, st->tensors, st->n, sizeof key, by_name) : NULL;
}

const char *loom_safetensors_metadata(const loom_safetensors *st, const char *key)
{
    for (size_t i = 0; i < st->n_parts; i++) {
        const char *text = loom_json_str(loom_json_get(loom_json_get(st->parts[i].header, "__metadata__"), key), NULL);
        if (text) return text;
    }
    return NULL;
}

void loom_safetensors_forget(const loom_safetensors *st, const loom_tensor_view *t)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = ((uintptr_t)t->data + page - 1) / page * page, to = ((uintptr_t)t->data + t->bytes) / page * page;

    if (st->n_parts && !st->parts[0].borrowed && to > from) madvise((void *)from, to - from, MADV_DONTNEED);
}

/* ---- writing ---- */

static int writing_order(const void *a, const void *b)
{
    const loom_safetensors_item *x = a, *y = b;
    size_t n = loom_dtype_size(x->view.dtype), m = loom_dtype_size(y->view.dtype);

    if (n != m) return n > m ? -1 : 1;
    return strcmp(x->view.name, y->view.name);
}

static loom_status prepare(loom_safetensors_item *items, size_t n, loom_err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (!loom_tensor_measure(&items[i].view))
            return loom_fail(err, LOOM_STATUS_ARG, "tensor %s: impossible shape", items[i].view.name);
    }
    if (n) qsort(items, n, sizeof *items, writing_order);
    return LOOM_OK;
}

static void render_header(loom_buf *b, const loom_safetensors_item *items, size_t n, const char *const (*metadata)[2],
                          size_t n_metadata)
{
    size_t place = 0;
    loom_jw w;

    loom_jw_init(&w, b, false);
    loom_jw_begin_object(&w);
    loom_jw_key(&w, "__metadata__");
    loom_jw_begin_object(&w);
    loom_jw_kv_str(&w, "format", "pt");
    for (size_t i = 0; i < n_metadata; i++) loom_jw_kv_str(&w, metadata[i][0], metadata[i][1]);
    loom_jw_end_object(&w);
    for (size_t i = 0; i < n; i++) {
        const loom_tensor_view *v = &items[i].view;
        loom_jw_key(&w, v->name);
        loom_jw_begin_object(&w);
        loom_jw_kv_str(&w, "dtype", loom_dtype_name(v->dtype));
        loom_jw_key(&w, "shape");
        loom_jw_begin_array(&w);
        for (int d = 0; d < v->rank; d++) loom_jw_i64(&w, v->shape[d]);
        loom_jw_end_array(&w);
        loom_jw_key(&w, "data_offsets");
        loom_jw_begin_array(&w);
        loom_jw_i64(&w, (int64_t)place);
        loom_jw_i64(&w, (int64_t)(place += v->bytes));
        loom_jw_end_array(&w);
        loom_jw_end_object(&w);
    }
    loom_jw_end_object(&w);
    for (size_t pad = (8 - b->len % 8) % 8; pad > 0; pad--) loom_buf_char(b, ' ');
}

/* Converts and writes in blocks; `block` holds BLOCK elements of any type. */
static loom_status write_converted(loom_out *out, const loom_tensor_view *v, const float *values, void *block,
                                   loom_err *err)
{
    for (int64_t i = 0; i < v->count; i += BLOCK) {
        int64_t n = loom_min_i64(BLOCK, v->count - i);
        LOOM_TRY(loom_dtype_check_range(v->name, v->dtype, values + i, n, err));
        loom_dtype_from_f32(block, v->dtype, values + i, n);
        LOOM_TRY(loom_out_write(out, block, (size_t)n * loom_dtype_size(v->dtype), err));
    }
    return LOOM_OK;
}

static loom_status write_item(loom_out *out, const loom_safetensors_item *item, void *block, loom_err *err)
{
    const loom_tensor_view *v = &item->view;
    float *values = NULL;
    loom_status st;

    if (v->data && item->from == v->dtype) return loom_out_write(out, v->data, v->bytes, err);
    if (v->data && item->from == LOOM_DTYPE_F32) return write_converted(out, v, v->data, block, err);
    if (v->data) return loom_fail(err, LOOM_STATUS_ARG, "tensor %s: this conversion is not known", v->name);
    if (!(values = loom_alloc((size_t)v->count, sizeof *values))) return loom_fail_nomem(err, v->name);
    st = item->fetch(item->arg, item, values, err);
    if (st == LOOM_OK) st = write_converted(out, v, values, block, err);
    free(values);
    return st;
}

/* Items are measured and in order. */
static loom_status write_file(const char *path, bool force, const loom_safetensors_item *items, size_t n,
                              const char *const (*metadata)[2], size_t n_metadata, loom_err *err)
{
    loom_buf header = {0};
    loom_out *out = NULL;
    void *block = loom_alloc(BLOCK, 8);
    uint64_t len;
    loom_status st;

    if (!block) return loom_fail_nomem(err, "a safetensors file");
    render_header(&header, items, n, metadata, n_metadata);
    len = header.len;
    if ((st = loom_out_open(&out, path, force, err)) != LOOM_OK) goto done;
    if ((st = loom_out_write(out, &len, 8, err)) != LOOM_OK) goto done;
    if ((st = loom_out_write(out, header.data, header.len, err)) != LOOM_OK) goto done;
    for (size_t i = 0; i < n; i++) {
        if ((st = write_item(out, &items[i], block, err)) != LOOM_OK) goto done;
    }
    st = loom_out_commit(&out, err);
done:
    loom_out_abandon(&out);
    loom_buf_release(&header);
    free(block);
    return st;
}

loom_status loom_safetensors_write(const char *path, bool force, loom_safetensors_item *items, size_t n,
                                   const char *const (*metadata)[2], size_t n_metadata, loom_err *err)
{
    LOOM_TRY(prepare(items, n, err));
    return write_file(path, force, items, n, metadata, n_metadata, err);
}

/* End of the file that starts with item i: as many items as fit into max_bytes, at least one. */
static size_t file_end(const loom_safetensors_item *items, size_t n, size_t i, int64_t max_bytes)
{
    size_t bytes = items[i].view.bytes;

    for (i++; i < n && bytes + items[i].view.bytes <= (size_t)max_bytes; i++) bytes += items[i].view.bytes;
    return i;
}

static void part_name(loom_buf *b, size_t i, size_t n) { loom_buf_printf(b, "model-%05zu-of-%05zu.safetensors", i, n); }

static void add_to_map(loom_jw *w, const loom_safetensors_item *items, size_t n, const char *file)
{
    for (size_t i = 0; i < n; i++) loom_jw_kv_str(w, items[i].view.name, file);
}

static loom_status write_parts(const char *dir, bool force, const loom_safetensors_item *items, size_t n,
                               size_t n_files, int64_t max_bytes, const char *const (*metadata)[2], size_t n_metadata,
                               loom_err *err)
{
    loom_buf index = {0}, name = {0}, path = {0};
    int64_t total = 0;
    size_t file = 0;
    loom_jw w;
    loom_status st = LOOM_OK;

    for (size_t i = 0; i < n; i++) total += (int64_t)items[i].view.bytes;
    loom_jw_init(&w, &index, true);
    loom_jw_begin_object(&w);
    loom_jw_key(&w, "metadata");
    loom_jw_begin_object(&w);
    loom_jw_kv_i64(&w, "total_size", total);
    loom_jw_end_object(&w);
    loom_jw_key(&w, "weight_map");
    loom_jw_begin_object(&w);
    for (size_t i = 0, end; i < n && st == LOOM_OK; i = end) {
        end = file_end(items, n, i, max_bytes);
        loom_buf_reset(&name);
        loom_buf_reset(&path);
        part_name(&name, ++file, n_files);
        loom_buf_printf(&path, "%s/%s", dir, name.data);
        add_to_map(&w, items + i, end - i, name.data);
        st = write_file(path.data, force, items + i, end - i, metadata, n_metadata, err);
    }
    loom_jw_end_object(&w);
    loom_jw_end_object(&w);
    loom_buf_reset(&path);
    loom_buf_printf(&path, "%s/model.safetensors.index.json", dir);
    if (st == LOOM_OK) st = loom_file_write(path.data, index.data, index.len, force, err);
    loom_buf_release(&path);
    loom_buf_release(&name);
    loom_buf_release(&index);
    return st;
}

loom_status loom_safetensors_write_model(const char *dir, bool force, loom_safetensors_item *items, size_t n,
                                         int64_t max_bytes, const char *const (*metadata)[2], size_t n_metadata,
                                         loom_err *err)
{
    size_t n_files = 0;
    loom_buf path = {0};
    loom_status st;

    LOOM_TRY(prepare(items, n, err));
    for (size_t i = 0; i < n; i = file_end(items, n, i, max_bytes)) n_files++;
    if (n_files > 1) return write_parts(dir, force, items, n, n_files, max_bytes, metadata, n_metadata, err);
    loom_buf_printf(&path, "%s/model.safetensors", dir);
    st = write_file(path.data, force, items, n, metadata, n_metadata, err);
    loom_buf_release(&path);
    return st;
}
