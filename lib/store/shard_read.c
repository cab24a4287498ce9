/* Token shards are read: nothing that the file claims is believed before it was checked. */
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
#include "store/shard_impl.h"

struct loom_shard {
    loom_shard_info info;
    hid_t file, tokens, space;
    int64_t *offsets;
    int32_t *answers;
    char *path, *tokenizer, *meta, *names;
};

void loom_text_digest(char digest[33], const char *text, size_t len)
{
    loom_hash128 h = loom_hash128_of(text, len);

    snprintf(digest, 33, "%016" PRIx64 "%016" PRIx64, h.hi, h.lo);
}

/* HDF5 unpacks whole chunks: one may not be larger than what is read whole elsewhere. */
static bool chunks_fit(hid_t create, H5D_layout_t layout, hid_t type)
{
    hsize_t chunk = 0;
    return layout != H5D_CHUNKED ||
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
    H5D_layout_t layout = H5D_LAYOUT_ERROR;
    loom_status st = LOOM_OK;

    if (set < 0 || (space = H5Dget_space(set)) < 0 || (type = H5Dget_type(set)) < 0 ||
        (create = H5Dget_create_plist(set)) < 0 || H5Sget_simple_extent_ndims(space) != 1 ||
        H5Tget_class(type) != H5T_INTEGER || H5Pget_external_count(create) != 0 ||
        ((layout = H5Pget_layout(create)) != H5D_CHUNKED && layout != H5D_CONTIGUOUS)) {
        st = loom_fail(err, LOOM_STATUS_FORMAT, "%s: /%s is missing or of another type", s->path, name);
        goto done;
    }
    H5Sget_simple_extent_dims(space, &dim, NULL);
    if (file_size < 0 || dim > (hsize_t)file_size * 1032 / H5Tget_size(type) || !chunks_fit(create, layout, type)) {
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

    if (H5Aexists(set, "checksum") == 0) return LOOM_OK; /* not: cannot be told */
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

    if (loom_h5_get_attr_str(s->file, "format", format, sizeof format, NULL) != LOOM_OK ||
        strcmp(format, LOOM_SHARD_FORMAT) != 0)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s is no token shard%s%s%s; make one with loom-preprocess tokens",
                         s->path, format[0] ? " but \"" : "", format, format[0] ? "\"" : "");
    LOOM_TRY(loom_h5_get_attr_i64(s->file, "version", &version, err));
    if (version != LOOM_SHARD_VERSION)
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
    if (H5Aexists(s->file, "digest") != 0)
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
    if (H5Lexists(s->file, "names", H5P_DEFAULT) != 0)
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
    loom_status st = LOOM_OK;

    if (H5Sselect_hyperslab(s->space, H5S_SELECT_SET, &start, NULL, &count, NULL) < 0 || /* else: the place before */
        H5Dread(s->tokens, type, memory, s->space, H5P_DEFAULT, values) < 0)
        st = loom_h5_fail(err, "%s is damaged, make it again: tokens from %" PRId64 " cannot be read", s->path, first);
    H5Sclose(memory);
    return st;
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
    void *block = loom_alloc(LOOM_SHARD_CHUNK, size);
    loom_status st = sum && block ? LOOM_OK : loom_fail_nomem(err, "a checksum");

    for (int64_t first = 0; first < s->info.n_tokens && st == LOOM_OK; first += LOOM_SHARD_CHUNK) {
        int64_t n = loom_min_i64(LOOM_SHARD_CHUNK, s->info.n_tokens - first);
        st = read_raw(s, first, n, type, block, err);
        if (st == LOOM_OK) loom_digest_add(sum, block, (size_t)n * size);
    }
    if (st == LOOM_OK) st = check_sum(s, s->tokens, "tokens", loom_digest_64(sum), err);
    loom_digest_free(sum);
    free(block);
    return st;
}
