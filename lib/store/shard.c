#include "store/shard.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/digest.h"
#include "core/file.h"
#include "core/hash.h"
#include "core/num.h"
#include "store/h5.h"

#define FORMAT  "spanloom-tokens"
#define VERSION 1
#define CHUNK   32768 /* elements; also the block that is gathered before it is written */

void loom_text_digest(char digest[33], const char *text, size_t len)
{
    loom_hash128 h = loom_hash128_of(text, len);

    snprintf(digest, 33, "%016" PRIx64 "%016" PRIx64, h.hi, h.lo);
}

/* ---- writing ---- */

struct loom_shard {
    loom_shard_info info;
    hid_t file, tokens, space;
    int64_t *offsets;
    int32_t *answers;
    char *path, *tokenizer, *meta, *names;
};

/* One growing data set with the block that has not been written yet. */
typedef struct column {
    const char *name;
    hid_t set, type; /* type: of the values in memory */
    size_t size;     /* bytes of one value in memory */
    char *block;     /* CHUNK values */
    int64_t n_block, written;
    loom_digest *sum; /* of all values as they lie in memory */
} column;

struct loom_shard_writer {
    loom_h5_out out;
    int64_t vocab_size;
    column tokens, offsets, answers;
    int64_t n_tokens;
    uint64_t names_sum; /* of the names; they need not be there */
    bool has_names;
    char spec_text[128]; /* the attributes and the tokenizer, for the digest */
};

static loom_status column_open(column *c, hid_t file, const char *name, hid_t stored, hid_t type, size_t size,
                               loom_err *err)
{
    hsize_t zero = 0, most = H5S_UNLIMITED, chunk = CHUNK;
    hid_t space = H5Screate_simple(1, &zero, &most), create = loom_h5_set_list();
    loom_status st = LOOM_OK;

    *c = (column){.name = name, .set = -1, .type = type, .size = size, .block = loom_alloc(CHUNK, size)};
    c->sum = loom_digest_new_64();
    H5Pset_chunk(create, 1, &chunk);
    H5Pset_shuffle(create);
    H5Pset_deflate(create, 1);
    H5Pset_fletcher32(create);
    c->set = H5Dcreate2(file, name, stored, space, H5P_DEFAULT, create, H5P_DEFAULT);
    if (!c->block || !c->sum) st = loom_fail_nomem(err, "a token shard");
    else if (c->set < 0) st = loom_h5_fail(err, "cannot create /%s", name);
    H5Pclose(create);
    H5Sclose(space);
    return st;
}

static loom_status column_flush(column *c, loom_err *err)
{
    hsize_t total = (hsize_t)(c->written + c->n_block), start = (hsize_t)c->written, count = (hsize_t)c->n_block;
    hid_t memory = -1, file = -1;
    loom_status st = LOOM_OK;

    if (c->n_block == 0) return LOOM_OK;
    if (H5Dset_extent(c->set, &total) < 0 || (file = H5Dget_space(c->set)) < 0 ||
        H5Sselect_hyperslab(file, H5S_SELECT_SET, &start, NULL, &count, NULL) < 0 ||
        (memory = H5Screate_simple(1, &count, NULL)) < 0 ||
        H5Dwrite(c->set, c->type, memory, file, H5P_DEFAULT, c->block) < 0)
        st = loom_h5_fail(err, "cannot write /%s", c->name);
    if (memory >= 0) H5Sclose(memory);
    if (file >= 0) H5Sclose(file);
    c->written += c->n_block;
    c->n_block = 0;
    return st;
}

static loom_status column_add(column *c, const void *values, int64_t n, loom_err *err)
{
    const char *from = values;

    while (n > 0) {
        int64_t part = loom_min_i64(n, CHUNK - c->n_block);
        memcpy(c->block + (size_t)c->n_block * c->size, from, (size_t)part * c->size);
        loom_digest_add(c->sum, from, (size_t)part * c->size);
        c->n_block += part;
        from += (size_t)part * c->size;
        n -= part;
        if (c->n_block == CHUNK) LOOM_TRY(column_flush(c, err));
    }
    return LOOM_OK;
}

/* The rest of the values, and the checksum of all. */
static loom_status column_finish(column *c, loom_err *err)
{
    loom_status st = column_flush(c, err);

    if (st == LOOM_OK) st = loom_h5_put_attr_i64(c->set, "checksum", (int64_t)loom_digest_64(c->sum), err);
    if (st != LOOM_OK) return st;
    loom_h5_closed(H5Dclose(c->set), &st, err, c->name);
    c->set = -1;
    return st;
}

/* `sound`: HDF5 has refused nothing so far (see store/h5.h). */
static void column_release(column *c, bool sound)
{
    if (sound && c->set >= 0 && c->block) H5Dclose(c->set);
    loom_digest_free(c->sum);
    free(c->block);
    *c = (column){.set = -1};
}

static loom_status write_attrs(hid_t file, const loom_shard_spec *spec, loom_err *err)
{
    LOOM_TRY(loom_h5_put_attr_str(file, "format", FORMAT, err));
    LOOM_TRY(loom_h5_put_attr_i64(file, "version", VERSION, err));
    LOOM_TRY(loom_h5_put_attr_i64(file, "vocab_size", spec->vocab_size, err));
    LOOM_TRY(loom_h5_put_attr_i64(file, "bos_id", spec->bos_id, err));
    LOOM_TRY(loom_h5_put_attr_i64(file, "eos_id", spec->eos_id, err));
    LOOM_TRY(loom_h5_put_attr_i64(file, "has_bos", spec->has_bos, err));
    LOOM_TRY(loom_h5_put_attr_i64(file, "has_eos", spec->has_eos, err));
    LOOM_TRY(loom_h5_put_attr_str(file, "mode", spec->mode, err));
    return loom_h5_put_text(file, "tokenizer", spec->tokenizer, spec->tokenizer_len, err);
}

loom_status loom_shard_create(loom_shard_writer **out, const char *path, bool force, const loom_shard_spec *spec,
                              loom_err *err)
{
    bool small = spec->vocab_size <= 65536;
    loom_shard_writer *w = NULL;
    loom_status st;
    int64_t zero = 0;
    char tokenizer[33];

    if (spec->vocab_size < 1 || spec->vocab_size > INT32_MAX)
        return loom_fail(err, LOOM_STATUS_ARG, "a vocabulary of %" PRId64 " tokens cannot be stored", spec->vocab_size);
    if (!spec->mode[0] || strlen(spec->mode) > 15)
        return loom_fail(err, LOOM_STATUS_ARG, "\"%s\" is no name of a mode", spec->mode);
    if (!(w = loom_calloc(1, sizeof *w))) return loom_fail_nomem(err, "a token shard");
    w->vocab_size = spec->vocab_size;
    w->tokens.set = w->offsets.set = w->answers.set = -1;
    if ((st = loom_h5_create(&w->out, path, force, err)) != LOOM_OK) {
        free(w);
        return st;
    }
    if ((st = column_open(&w->tokens, w->out.file, "tokens", small ? H5T_STD_U16LE : H5T_STD_I32LE,
                          small ? H5T_NATIVE_UINT16 : H5T_NATIVE_INT32, small ? 2 : 4, err)) != LOOM_OK)
        goto done;
    if ((st = column_open(&w->offsets, w->out.file, "offsets", H5T_STD_I64LE, H5T_NATIVE_INT64, 8, err)) != LOOM_OK)
        goto done;
    if ((st = column_open(&w->answers, w->out.file, "answer_start", H5T_STD_I32LE, H5T_NATIVE_INT32, 4, err)) !=
        LOOM_OK)
        goto done;
    loom_text_digest(tokenizer, spec->tokenizer, spec->tokenizer_len);
    snprintf(w->spec_text, sizeof w->spec_text, "%s %d %d %d %d %s", spec->mode, spec->bos_id, spec->eos_id,
             spec->has_bos, spec->has_eos, tokenizer);
    if ((st = write_attrs(w->out.file, spec, err)) != LOOM_OK) goto done;
    if ((st = column_add(&w->offsets, &zero, 1, err)) != LOOM_OK) goto done;
    *out = w;
    w = NULL;
done:
    loom_shard_abandon(&w);
    return st;
}

static loom_status check_sample(const loom_shard_writer *w, const int32_t *ids, int64_t n, int64_t answer_start,
                                loom_err *err)
{
    int64_t sample = w->answers.written + w->answers.n_block;

    if (n < 1 || n > INT32_MAX || answer_start < 0 || answer_start > n)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "%s: sample %" PRId64 " has %" PRId64 " tokens and an answer from token %" PRId64, w->out.path,
                         sample, n, answer_start);
    for (int64_t i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] >= w->vocab_size)
            return loom_fail(err, LOOM_STATUS_ARG,
                             "%s: token %" PRId64 " of sample %" PRId64 " is %" PRId32 ", the vocabulary has %" PRId64,
                             w->out.path, i, sample, ids[i], w->vocab_size);
    }
    return LOOM_OK;
}

static loom_status add_small(column *c, const int32_t *ids, int64_t n, loom_err *err)
{
    uint16_t part[1024];

    for (int64_t i = 0; i < n; i += 1024) {
        int64_t m = loom_min_i64(1024, n - i);
        for (int64_t j = 0; j < m; j++) part[j] = (uint16_t)ids[i + j];
        LOOM_TRY(column_add(c, part, m, err));
    }
    return LOOM_OK;
}

loom_status loom_shard_add(loom_shard_writer *w, const int32_t *ids, int64_t n, int64_t answer_start, loom_err *err)
{
    int32_t answer = (int32_t)answer_start;
    loom_status st;

    LOOM_TRY(check_sample(w, ids, n, answer_start, err));
    w->n_tokens += n;
    st = w->tokens.size == 2 ? add_small(&w->tokens, ids, n, err) : column_add(&w->tokens, ids, n, err);
    if (st == LOOM_OK) st = column_add(&w->offsets, &w->n_tokens, 1, err);
    if (st == LOOM_OK) st = column_add(&w->answers, &answer, 1, err);
    if (st == LOOM_OK) return loom_h5_check(&w->out, err);
    w->out.broken = true;
    return loom_err_in(err, "%s", w->out.path);
}

loom_status loom_shard_put_names(loom_shard_writer *w, const char *text, size_t len, loom_err *err)
{
    loom_status st = loom_h5_put_text(w->out.file, "names", text, len, err);

    w->names_sum = loom_hash64(text, len, 0);
    w->has_names = true;
    if (st == LOOM_OK) return LOOM_OK;
    w->out.broken = true;
    return loom_err_in(err, "%s", w->out.path);
}

/* Which content it is, whoever made it and when: what readers compare. */
static void content_digest(char digest[33], const loom_shard_writer *w)
{
    loom_buf b = {0};

    loom_buf_printf(&b, "%s %" PRId64 "\n%" PRId64 " %016" PRIx64 "\n%" PRId64 " %016" PRIx64 "\n%016" PRIx64 "\n",
                    w->spec_text, w->vocab_size, w->n_tokens, loom_digest_64(w->tokens.sum),
                    w->answers.written + w->answers.n_block, loom_digest_64(w->offsets.sum),
                    loom_digest_64(w->answers.sum));
    if (w->has_names) loom_buf_printf(&b, "names %016" PRIx64 "\n", w->names_sum);
    loom_text_digest(digest, loom_buf_text(&b), b.len);
    loom_buf_release(&b);
}

static loom_status finish(loom_shard_writer *w, const char *meta_json, char digest[33], loom_err *err)
{
    content_digest(digest, w);
    LOOM_TRY(column_finish(&w->tokens, err));
    LOOM_TRY(column_finish(&w->offsets, err));
    LOOM_TRY(column_finish(&w->answers, err));
    LOOM_TRY(loom_h5_put_text(w->out.file, "meta", meta_json, strlen(meta_json), err));
    return loom_h5_put_attr_str(w->out.file, "digest", digest, err);
}

static loom_status check_written(const loom_shard_writer *w, const char *digest, loom_err *err)
{
    loom_shard *s = NULL;
    loom_status st = loom_shard_open(&s, w->out.temp.name, err);

    if (st == LOOM_OK && strcmp(s->info.digest, digest) != 0)
        st = loom_fail(err, LOOM_STATUS_IO, "its digest is another one");
    if (st == LOOM_OK) st = loom_shard_verify(s, err);
    loom_shard_close(&s);
    return loom_h5_read_back(&w->out, st, err);
}

/* Without `ctx`: no file that tells of it. */
static loom_status commit(loom_shard_writer *w, const char *meta_json, const loom_meta *meta, const loom_ctx *ctx,
                          loom_err *err)
{
    char digest[33];
    loom_temp *temp = &w->out.temp;
    loom_status st = finish(w, meta_json, digest, err);

    if (st != LOOM_OK) {
        w->out.broken = true;
        return st;
    }
    LOOM_TRY(loom_h5_finish(&w->out, err));
    LOOM_TRY(check_written(w, digest, err));
    if (!ctx) return loom_temp_publish(&temp, 1, err);
    LOOM_TRY(loom_temp_digest(temp, err));
    return loom_meta_publish(meta, ctx, &temp, 1, 1, err);
}

loom_status loom_shard_commit(loom_shard_writer **w, const char *meta_json, loom_err *err)
{
    loom_status st = commit(*w, meta_json, NULL, NULL, err);

    loom_shard_abandon(w); /* what has its name stays */
    return st;
}

loom_status loom_shard_commit_told(loom_shard_writer **w, const loom_meta *meta, const loom_ctx *ctx, loom_err *err)
{
    loom_buf text = {0};
    loom_status st;

    loom_meta_render_inside(meta, ctx, &text);
    st = commit(*w, loom_buf_text(&text), meta, ctx, err);
    loom_buf_release(&text);
    loom_shard_abandon(w);
    return st;
}

void loom_shard_abandon(loom_shard_writer **writer)
{
    loom_shard_writer *w = writer ? *writer : NULL;

    if (!w) return;
    if (w->out.sink) w->out.sink->stopped = true;
    column_release(&w->tokens, !w->out.broken);
    column_release(&w->offsets, !w->out.broken);
    column_release(&w->answers, !w->out.broken);
    loom_h5_abandon(&w->out);
    free(w);
    *writer = NULL;
}

/* ---- reading ---- */

/* HDF5 unpacks whole chunks: one may not be larger than what is read whole elsewhere. */
static bool chunks_fit(hid_t create, hid_t type)
{
    hsize_t chunk = 0;
    return H5Pget_layout(create) != H5D_CHUNKED ||
           (H5Pget_chunk(create, 1, &chunk) == 1 && chunk <= LOOM_BOUND_JSON / H5Tget_size(type));
}

/* Opens a one-dimensional data set of integers whose claimed size is possible for the file it lies in: deflate packs
 * at most 1032 to 1, so that a small hostile file cannot ask for all memory. External and virtual ones (which could
 * name other files) are refused. */
static loom_status open_column(hid_t *out, int64_t *n, const loom_shard *s, const char *name, loom_err *err)
{
    hid_t set = H5Dopen2(s->file, name, H5P_DEFAULT), space = -1, type = -1, create = -1;
    int64_t file_size = loom_file_size(s->path);
    hsize_t dim = 0;
    loom_status st = LOOM_OK;

    if (set < 0 || (space = H5Dget_space(set)) < 0 || (type = H5Dget_type(set)) < 0 ||
        (create = H5Dget_create_plist(set)) < 0 || H5Sget_simple_extent_ndims(space) != 1 ||
        H5Tget_class(type) != H5T_INTEGER || H5Pget_external_count(create) != 0 ||
        (H5Pget_layout(create) != H5D_CHUNKED && H5Pget_layout(create) != H5D_CONTIGUOUS)) {
        st = loom_fail(err, LOOM_STATUS_FORMAT, "%s: /%s is missing or of another type", s->path, name);
        goto done;
    }
    H5Sget_simple_extent_dims(space, &dim, NULL);
    if (file_size < 0 || dim > (hsize_t)file_size * 1032 / H5Tget_size(type) || !chunks_fit(create, type)) {
        st = loom_fail(err, LOOM_STATUS_FORMAT, "%s: /%s claims more values than the file can hold", s->path, name);
        goto done;
    }
    *n = (int64_t)dim;
    *out = set;
    set = -1;
done:
    if (create >= 0) H5Pclose(create);
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    if (set >= 0) H5Dclose(set);
    loom_h5_forget_errors();
    return st;
}

/* Files of older versions have no checksums. */
static loom_status check_sum(const loom_shard *s, hid_t set, const char *name, uint64_t sum, loom_err *err)
{
    int64_t checksum;

    if (H5Aexists(set, "checksum") <= 0) return LOOM_OK;
    if (loom_h5_get_attr_i64(set, "checksum", &checksum, NULL) == LOOM_OK && (uint64_t)checksum == sum) return LOOM_OK;
    return loom_fail(err, LOOM_STATUS_FORMAT, "%s is damaged: the checksum of /%s does not agree; make the file again",
                     s->path, name);
}

static loom_status read_column(void **out, int64_t *n, const loom_shard *s, const char *name, hid_t type, size_t size,
                               loom_err *err)
{
    hid_t set = -1;
    void *values = NULL;
    loom_status st;

    LOOM_TRY(open_column(&set, n, s, name, err));
    if (!(values = loom_alloc((size_t)*n, size))) st = loom_fail_nomem(err, "the table of samples");
    else if (*n && H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0)
        st = loom_h5_fail(err, "%s: cannot read /%s", s->path, name);
    else st = check_sum(s, set, name, loom_hash64(values, (size_t)*n * size, 0), err);
    H5Dclose(set);
    if (st == LOOM_OK) *out = values;
    else free(values);
    return st;
}

static loom_status check_table(loom_shard *s, int64_t n_offsets, int64_t n_answers, loom_err *err)
{
    loom_shard_info *info = &s->info;

    info->n_samples = n_answers;
    if (n_offsets != n_answers + 1 || s->offsets[0] != 0 || s->offsets[n_answers] != info->n_tokens)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s: the sizes of /tokens, /offsets and /answer_start do not agree",
                         s->path);
    for (int64_t i = 0; i < n_answers; i++) {
        int64_t n = s->offsets[i + 1] - s->offsets[i];
        if (s->offsets[i + 1] < s->offsets[i] || n < 1 || n > INT32_MAX || s->offsets[i + 1] > info->n_tokens ||
            s->answers[i] < 0 || s->answers[i] > n)
            return loom_fail(err, LOOM_STATUS_FORMAT, "%s: sample %" PRId64 " has impossible bounds", s->path, i);
        info->longest = loom_max_i64(info->longest, n);
    }
    return LOOM_OK;
}

static loom_status read_attrs(loom_shard *s, loom_err *err)
{
    char format[64] = "";
    int64_t version = 0, bos = -1, eos = -1, has_bos = 0, has_eos = 0;
    loom_shard_info *info = &s->info;

    if (loom_h5_get_attr_str(s->file, "format", format, sizeof format, NULL) != LOOM_OK || strcmp(format, FORMAT) != 0)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s is no token shard%s%s%s; make one with loom-preprocess tokens",
                         s->path, format[0] ? " but \"" : "", format, format[0] ? "\"" : "");
    LOOM_TRY(loom_h5_get_attr_i64(s->file, "version", &version, err));
    if (version != VERSION)
        return loom_fail(err, LOOM_STATUS_FORMAT, "version %" PRId64 " of the format is not known here", version);
    LOOM_TRY(loom_h5_get_attr_i64(s->file, "vocab_size", &info->vocab_size, err));
    LOOM_TRY(loom_h5_get_attr_i64(s->file, "bos_id", &bos, err));
    LOOM_TRY(loom_h5_get_attr_i64(s->file, "eos_id", &eos, err));
    LOOM_TRY(loom_h5_get_attr_i64(s->file, "has_bos", &has_bos, err));
    LOOM_TRY(loom_h5_get_attr_i64(s->file, "has_eos", &has_eos, err));
    LOOM_TRY(loom_h5_get_attr_str(s->file, "mode", info->mode, sizeof info->mode, err));
    if (info->vocab_size < 1 || info->vocab_size > INT32_MAX || bos < -1 || bos >= info->vocab_size || eos < -1 ||
        eos >= info->vocab_size)
        return loom_fail(err, LOOM_STATUS_FORMAT, "vocab_size, bos_id or eos_id make no sense");
    if (H5Aexists(s->file, "digest") > 0)
        LOOM_TRY(loom_h5_get_attr_str(s->file, "digest", info->digest, sizeof info->digest, err));
    info->bos_id = (int32_t)bos;
    info->eos_id = (int32_t)eos;
    info->has_bos = has_bos != 0;
    info->has_eos = has_eos != 0;
    return LOOM_OK;
}

static loom_status open_shard(loom_shard *s, loom_err *err)
{
    size_t len = 0;
    int64_t n_offsets = 0, n_answers = 0;
    void *values = NULL;

    LOOM_TRY(loom_h5_open(&s->file, s->path, err));
    LOOM_TRY(read_attrs(s, err));
    LOOM_TRY(loom_h5_get_text(s->file, "tokenizer", &s->tokenizer, &s->info.tokenizer_len, LOOM_BOUND_JSON, err));
    LOOM_TRY(loom_h5_get_text(s->file, "meta", &s->meta, &len, LOOM_BOUND_JSON, err));
    if (H5Lexists(s->file, "names", H5P_DEFAULT) > 0)
        LOOM_TRY(loom_h5_get_text(s->file, "names", &s->names, &s->info.names_len, LOOM_BOUND_NAMES, err));
    LOOM_TRY(open_column(&s->tokens, &s->info.n_tokens, s, "tokens", err));
    LOOM_TRY(read_column(&values, &n_offsets, s, "offsets", H5T_NATIVE_INT64, sizeof *s->offsets, err));
    s->offsets = values;
    LOOM_TRY(read_column(&values, &n_answers, s, "answer_start", H5T_NATIVE_INT32, sizeof *s->answers, err));
    s->answers = values;
    if (n_offsets < 1) return loom_fail(err, LOOM_STATUS_FORMAT, "%s: /offsets is empty", s->path);
    LOOM_TRY(check_table(s, n_offsets, n_answers, err));
    if ((s->space = H5Dget_space(s->tokens)) < 0) return loom_h5_fail(err, "%s: /tokens", s->path);
    s->info.path = s->path;
    s->info.tokenizer = s->tokenizer;
    s->info.meta = s->meta;
    s->info.names = s->names ? s->names : "";
    loom_text_digest(s->info.tokenizer_digest, s->tokenizer, s->info.tokenizer_len);
    return LOOM_OK;
}

loom_status loom_shard_open(loom_shard **out, const char *path, loom_err *err)
{
    loom_shard *s = loom_calloc(1, sizeof *s);
    loom_status st;

    if (!s) return loom_fail_nomem(err, "a token shard");
    s->file = s->tokens = s->space = -1;
    if (!(s->path = loom_strdup(path))) st = loom_fail_nomem(err, "a token shard");
    else st = open_shard(s, err);
    if (st != LOOM_OK) {
        loom_shard_close(&s);
        if (err && !strstr(err->msg, path)) loom_err_in(err, "%s", path);
        return st;
    }
    *out = s;
    return LOOM_OK;
}

const loom_shard_info *loom_shard_get_info(const loom_shard *s) { return &s->info; }

void loom_shard_close(loom_shard **shard)
{
    loom_shard *s = shard ? *shard : NULL;

    if (!s) return;
    if (s->space >= 0) H5Sclose(s->space);
    if (s->tokens >= 0) H5Dclose(s->tokens);
    loom_h5_close_file(s->file);
    free(s->offsets);
    free(s->answers);
    free(s->tokenizer);
    free(s->meta);
    free(s->names);
    free(s->path);
    free(s);
    *shard = NULL;
}

void loom_shard_range(const loom_shard *s, int64_t i, int64_t *first, int64_t *n, int64_t *answer_start)
{
    if (first) *first = s->offsets[i];
    if (n) *n = s->offsets[i + 1] - s->offsets[i];
    if (answer_start) *answer_start = s->answers[i];
}

static loom_status read_raw(loom_shard *s, int64_t first, int64_t n, hid_t type, void *values, loom_err *err)
{
    hsize_t start = (hsize_t)first, count = (hsize_t)n;
    hid_t memory = H5Screate_simple(1, &count, NULL);
    herr_t failed;

    H5Sselect_hyperslab(s->space, H5S_SELECT_SET, &start, NULL, &count, NULL);
    failed = H5Dread(s->tokens, type, memory, s->space, H5P_DEFAULT, values);
    if (failed < 0)
        loom_h5_fail(err, "%s is damaged, make it again: tokens from %" PRId64 " cannot be read", s->path, first);
    H5Sclose(memory);
    return failed < 0 ? LOOM_STATUS_IO : LOOM_OK;
}

loom_status loom_shard_read(loom_shard *s, int64_t first, int64_t n, int32_t *ids, loom_err *err)
{
    if (first < 0 || n < 0 || n > s->info.n_tokens - first)
        return loom_fail(err, LOOM_STATUS_ARG, "%s: tokens %" PRId64 "..%" PRId64 " of %" PRId64, s->path, first,
                         first + n, s->info.n_tokens);
    if (n == 0) return LOOM_OK;
    LOOM_TRY(read_raw(s, first, n, H5T_NATIVE_INT32, ids, err));
    for (int64_t i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] >= s->info.vocab_size)
            return loom_fail(err, LOOM_STATUS_FORMAT,
                             "%s: token %" PRId64 " is %" PRId32 ", the vocabulary has %" PRId64
                             "; the file is damaged, "
                             "make it again",
                             s->path, first + i, ids[i], s->info.vocab_size);
    }
    return LOOM_OK;
}

loom_status loom_shard_verify(loom_shard *s, loom_err *err)
{
    size_t size = s->info.vocab_size <= 65536 ? 2 : 4;
    hid_t type = size == 2 ? H5T_NATIVE_UINT16 : H5T_NATIVE_INT32;
    loom_digest *sum = loom_digest_new_64();
    void *block = loom_alloc(CHUNK, size);
    loom_status st = sum && block ? LOOM_OK : loom_fail_nomem(err, "a checksum");

    for (int64_t first = 0; first < s->info.n_tokens && st == LOOM_OK; first += CHUNK) {
        int64_t n = loom_min_i64(CHUNK, s->info.n_tokens - first);
        st = read_raw(s, first, n, type, block, err);
        if (st == LOOM_OK) loom_digest_add(sum, block, (size_t)n * size);
    }
    if (st == LOOM_OK) st = check_sum(s, s->tokens, "tokens", loom_digest_64(sum), err);
    loom_digest_free(sum);
    free(block);
    return st;
}
