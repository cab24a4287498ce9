/* Token shards are written: three growing data sets with their checksums. */
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

/* One growing data set with the block that has not been written yet. */
typedef struct column {
    const char *name;
    hid_t set, type; /* type: of the values in memory */
    size_t size;     /* bytes of one value in memory */
    char *block;     /* LOOM_SHARD_CHUNK values */
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
    hsize_t zero = 0, most = H5S_UNLIMITED, chunk = LOOM_SHARD_CHUNK;
    hid_t space = H5Screate_simple(1, &zero, &most), create = loom_h5_set_list();
    loom_status st = LOOM_OK;

    *c = (column){.name = name, .set = -1, .type = type, .size = size, .block = loom_alloc(LOOM_SHARD_CHUNK, size)};
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
        int64_t part = loom_min_i64(n, LOOM_SHARD_CHUNK - c->n_block);
        memcpy(c->block + (size_t)c->n_block * c->size, from, (size_t)part * c->size);
        loom_digest_add(c->sum, from, (size_t)part * c->size);
        c->n_block += part;
        from += (size_t)part * c->size;
        n -= part;
        if (c->n_block == LOOM_SHARD_CHUNK) LOOM_TRY(column_flush(c, err));
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
    LOOM_TRY(loom_h5_put_attr_str(file, "format", LOOM_SHARD_FORMAT, err));
    LOOM_TRY(loom_h5_put_attr_i64(file, "version", LOOM_SHARD_VERSION, err));
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

    if (st == LOOM_OK && strcmp(loom_shard_get_info(s)->digest, digest) != 0)
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
