#include "train/graph_units.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/compare.h"
#include "core/hash.h"
#include "core/json.h"
#include "core/num.h"
#include "tokenizer/tokenizer.h"
#include "trace/text/names.h"

/* ---- how the text was made ---- */

static bool option_is(const loom_json *text, const char *option, const char *value)
{
    const char *has = loom_json_str(loom_json_get(loom_json_get(text, "options"), option), NULL);

    return has && strcmp(has, value) == 0;
}

static loom_status check_text(const loom_json *text, const char *path, loom_err *err)
{
    const char *made_by = loom_json_str(loom_json_get(text, "subcommand"), NULL);

    if (!made_by)
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "%s does not tell how its text was made, so its graphs cannot be told apart for --dp; make "
                         "the text with loom-preprocess encode and the shard with tokens again",
                         path);
    if (strcmp(made_by, "encode") != 0)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "%s holds text of loom-preprocess %s, in which a graph stands several times or in pieces: "
                         "what one graph adds to the model could not be bounded; give --dp text as encode wrote it",
                         path, made_by);
    if (option_is(text, "copies", "1") && option_is(text, "shuffle", "false") && option_is(text, "task", "none"))
        return LOOM_OK;
    return loom_fail(err, LOOM_STATUS_ARG,
                     "%s holds text in which the samples of a graph do not stand together once (encode --copies, "
                     "--shuffle or --task); for --dp encode the graphs without these",
                     path);
}

static loom_status check_origin(const loom_shard_info *info, loom_err *err)
{
    loom_json *meta = NULL;
    const loom_json *texts;
    loom_status st;

    if (strcmp(info->mode, "mixed") == 0)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "%s mixes encodings, so a graph may stand in it several times; give --dp one encoding",
                         info->path);
    LOOM_TRY(loom_json_parse(&meta, info->meta, strlen(info->meta), info->path, err));
    texts = loom_json_get(meta, "texts");
    if (loom_json_len(texts) > 1)
        st = loom_fail(err, LOOM_STATUS_ARG,
                       "%s was made of %zu texts, in which the same graphs may stand; for --dp make it of one",
                       info->path, loom_json_len(texts));
    else st = check_text(loom_json_at(texts, 0), info->path, err);
    loom_json_free(meta);
    return st;
}

/* ---- where graphs begin ---- */

typedef struct reading {
    loom_shard *shard;
    loom_tokenizer *tokenizer;
    loom_buf text;
    int32_t *ids;
    int64_t *hashes; /* of each graph, of all its tokens, those of samples that are left out included */
    size_t cap_first, cap_hashes;
} reading;

static loom_status begins_graph(bool *yes, reading *r, int64_t n, loom_err *err)
{
    loom_buf_reset(&r->text);
    loom_tokenizer_decode(&r->text, r->tokenizer, r->ids, n, LOOM_DECODE_SKIP_SPECIAL);
    LOOM_TRY(loom_buf_check(&r->text, "a sample", err));
    *yes = loom_names_begins_graph(loom_buf_text(&r->text), r->text.len);
    return LOOM_OK;
}

/* Sample i of the shard; *used samples of the loader come before it. */
static loom_status take_sample(loom_graph_units *u, reading *r, int64_t i, int64_t used, loom_err *err)
{
    int64_t at, n;
    bool begins;

    loom_shard_range(r->shard, i, &at, &n, NULL);
    LOOM_TRY(loom_shard_read(r->shard, at, n, r->ids, err));
    LOOM_TRY(begins_graph(&begins, r, n, err));
    if (i == 0 && !begins)
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "%s begins in the middle of a graph; for --dp make it of the text that encode wrote",
                         loom_shard_get_info(r->shard)->path);
    if (begins) {
        LOOM_TRY(loom_grow(&u->first, &r->cap_first, (size_t)u->n + 2, sizeof *u->first, err));
        LOOM_TRY(loom_grow(&r->hashes, &r->cap_hashes, (size_t)u->n + 1, sizeof *r->hashes, err));
        u->first[u->n] = used;
        r->hashes[u->n++] = 0;
    }
    r->hashes[u->n - 1] = (int64_t)loom_hash64(r->ids, (size_t)n * sizeof *r->ids, (uint64_t)r->hashes[u->n - 1]);
    return LOOM_OK;
}

static loom_status walk(loom_graph_units *u, reading *r, const loom_loader *l, loom_err *err)
{
    int64_t samples = loom_shard_get_info(r->shard)->n_samples, used = 0;

    for (int64_t i = 0; i < samples; i++) {
        LOOM_TRY(take_sample(u, r, i, used, err));
        used += used < loom_loader_samples(l) && loom_loader_number(l, used) == i;
    }
    u->first[u->n] = used;
    return LOOM_OK;
}

static void count_alike(loom_graph_units *u, int64_t *hashes)
{
    qsort(hashes, (size_t)u->n, sizeof *hashes, loom_compare_i64);
    for (int64_t i = 0, end; i < u->n; i = end) {
        for (end = i + 1; end < u->n && hashes[end] == hashes[i]; end++) continue;
        if (end - i > 1) u->alike += end - i;
        u->most_alike = loom_max_i64(u->most_alike, end - i);
    }
}

loom_status loom_graph_units_find(loom_graph_units *out, const loom_loader *l, loom_err *err)
{
    const loom_shard_info *info = loom_loader_info(l);
    loom_graph_units u = {0};
    reading r = {0};
    loom_status st;

    if (loom_loader_shards(l) > 1)
        return loom_fail(err, LOOM_STATUS_ARG,
                         "--dp takes one token shard: a graph that stands in two would count twice");
    LOOM_TRY(check_origin(info, err));
    if (!(r.ids = loom_alloc((size_t)info->longest + 1, sizeof *r.ids))) st = loom_fail_nomem(err, "a sample");
    else st = loom_shard_open(&r.shard, info->path, err);
    if (st == LOOM_OK)
        st =
            loom_tokenizer_parse(&r.tokenizer, info->tokenizer, info->tokenizer_len, "the tokenizer of the shard", err);
    if (st == LOOM_OK) st = walk(&u, &r, l, err);
    if (st == LOOM_OK) count_alike(&u, r.hashes);
    if (st == LOOM_OK) *out = u;
    else loom_graph_units_release(&u);
    loom_shard_close(&r.shard);
    loom_tokenizer_free(r.tokenizer);
    loom_buf_release(&r.text);
    free(r.ids);
    free(r.hashes);
    return st;
}

void loom_graph_units_release(loom_graph_units *u)
{
    free(u->first);
    *u = (loom_graph_units){0};
}
