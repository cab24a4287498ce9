/* Every call of the stores to HDF5 and to the system fails once: what was asked for is refused with a sentence, or is
 * as good as before; nothing is left behind. What is read in pieces, or after a signal, is what was read whole. */
#include "unit/failing_hdf5.h"

#include "core/file.h"
#include "core/hash.h"
#include "small_shard.h"
#include "store/ckpt.h"
#include "store/gguf.h"
#include "store/safetensors.h"
#include "store/shard.h"

static char folder[] = "/tmp/loom-calls-XXXXXX";

static const char *in_folder(const char *name)
{
    static char paths[4][128];
    static int next;
    next = (next + 1) % 4;
    snprintf(paths[next], sizeof paths[next], "%s/%s", folder, name);
    return paths[next];
}

/* After work that failed, with all calls well again: the file is not there, or it is whole. */
static bool has_file(const char *name) { return loom_file_exists(in_folder(name)); }

/* ---- shards ---- */

enum { SAMPLES = 30, LENGTH = 5 };
static int64_t vocabulary = 9;

static loom_status put_samples(loom_shard_writer *w, loom_err *err)
{
    static const int32_t ids[LENGTH] = {1, 5, 6, 7, 2};
    for (int i = 0; i < SAMPLES; i++) LOOM_TRY(loom_shard_add(w, ids, LENGTH, 1, err));
    return loom_shard_put_names(w, "names", 5, err);
}

static loom_status write_shard(loom_err *err)
{
    loom_shard_spec spec = small_shard(vocabulary);
    loom_shard_writer *w = NULL;
    loom_status st = loom_shard_create(&w, in_folder("x.tokens.h5"), true, &spec, err);
    if (st == LOOM_OK) st = put_samples(w, err);
    if (st == LOOM_OK) st = loom_shard_commit(&w, "{}", err);
    loom_shard_abandon(&w);
    return st;
}

/* All of the file, and every token of it. */
static loom_status read_shard(loom_err *err)
{
    loom_shard *s = NULL;
    int32_t ids[SAMPLES * LENGTH] = {0};
    LOOM_TRY(loom_shard_open(&s, in_folder("x.tokens.h5"), err));
    CHECK_I64(loom_shard_get_info(s)->n_samples, SAMPLES);
    CHECK_STR(loom_shard_get_info(s)->names, "names");
    loom_status st = loom_shard_read(s, LENGTH, 2, ids, err);
    if (st == LOOM_OK) CHECK(ids[0] == 1 && ids[1] == 5);
    if (st == LOOM_OK) st = loom_shard_read(s, LENGTH + 2, 2, ids, err); /* as many, at another place */
    if (st == LOOM_OK) CHECK(ids[0] == 6 && ids[1] == 7);
    if (st == LOOM_OK) st = loom_shard_read(s, 0, SAMPLES * LENGTH, ids, err);
    if (st == LOOM_OK) CHECK(ids[0] == 1 && ids[LENGTH + 3] == 7 && ids[SAMPLES * LENGTH - 1] == 2);
    if (st == LOOM_OK) st = loom_shard_verify(s, err);
    loom_shard_close(&s);
    return st;
}

TEST(shards)
{
    loom_err err = {0};
    calls_may_keep_ = false;
    for (int wide = 0; wide < 2; wide++) {
        vocabulary = wide ? 70000 : 9;
        failing_calls_sweep("writing a shard in pieces", write_shard, CALLS_SHORT);
        failing_calls_sweep("reading a shard", read_shard, CALLS_FAIL);
    }
    calls_may_keep_ = true; /* HDF5 keeps what it could not write */
    failing_calls_sweep("writing a shard", write_shard, CALLS_FAIL);
    CHECK(read_shard(&err) == LOOM_OK);
}

/* A file that cannot be closed stays open in HDF5, which may ask its sink at any time: that must not be freed. */
TEST(sink_outlives_a_failed_close)
{
    if (!FAILING_MEMORY) SKIP("calls do not fail here");
    calls_only_ = "H5Fclose";
    long long live = memory_live_;
    CHECK_I64(calls_run_("closing a shard", write_shard, CALLS_FAIL, 1), 1);
    CHECK(memory_live_ > live);
    calls_only_ = "";
}

/* ---- checkpoints ---- */

static const float values_[] = {1, 2, 3, 4, 5, 6};

static loom_status write_ckpt(loom_err *err)
{
    loom_ckpt_writer *w = NULL;
    loom_status st = loom_ckpt_create(&w, in_folder("step-00000001.h5"), true, 100, err);
    if (st == LOOM_OK) st = loom_ckpt_put(w, "tensors/a", LOOM_DTYPE_F32, values_, 2, (int64_t[]){2, 3}, err);
    if (st == LOOM_OK) st = loom_ckpt_put_i64(w, "state/step", 7, err);
    if (st == LOOM_OK) st = loom_ckpt_put_text(w, "text/config", "{}", 2, err);
    if (st == LOOM_OK) st = loom_ckpt_commit(&w, err);
    loom_ckpt_abandon(&w);
    return st;
}

static loom_status use_ckpt(loom_ckpt *c, loom_err *err)
{
    loom_tensor_view view;
    float back[6];
    int64_t step = 0;
    LOOM_TRY(loom_ckpt_read_f32(c, "tensors/a", back, 6, err));
    CHECK(memcmp(back, values_, sizeof back) == 0);
    LOOM_TRY(loom_ckpt_read_i64(c, "state/step", &step, err));
    CHECK_I64(step, 7);
    CHECK_STR(loom_ckpt_text(c, "text/config", NULL), "{}");
    LOOM_TRY(loom_ckpt_map(c, "tensors/a", &view, err));
    CHECK(memcmp(view.data, values_, sizeof back) == 0);
    return loom_ckpt_verify(c, err);
}

static loom_status read_ckpt(loom_err *err)
{
    loom_ckpt *c = NULL;
    LOOM_TRY(loom_ckpt_open(&c, in_folder("step-00000001.h5"), err));
    loom_status st = use_ckpt(c, err);
    loom_ckpt_close(&c);
    return st;
}

/* A folder with one intact checkpoint: it is found, and stays. */
static loom_status look_through(loom_err *err)
{
    char *newest = NULL;
    loom_ckpt_sweep(folder);
    LOOM_TRY(loom_ckpt_newest(&newest, folder, NULL, NULL, err));
    bool found = newest && strstr(newest, "step-00000001.h5");
    free(newest);
    if (!found) return loom_fail(err, LOOM_STATUS_FORMAT, "the checkpoint was not found");
    return loom_ckpt_prune(folder, 1, err);
}

TEST(checkpoints)
{
    loom_err err = {0};
    calls_may_keep_ = false;
    failing_calls_sweep("writing a checkpoint in pieces", write_ckpt, CALLS_SHORT);
    failing_calls_sweep("writing a checkpoint among signals", write_ckpt, CALLS_INTERRUPTED);
    failing_calls_sweep("reading a checkpoint", read_ckpt, CALLS_FAIL);
    failing_calls_sweep("reading a checkpoint that ends", read_ckpt, CALLS_END);
    failing_calls_sweep("reading a checkpoint in pieces", read_ckpt, CALLS_SHORT);
    failing_calls_sweep("reading a checkpoint among signals", read_ckpt, CALLS_INTERRUPTED);
    failing_calls_sweep("a folder of checkpoints", look_through, CALLS_FAIL);
    calls_may_keep_ = true;
    failing_calls_sweep("writing a checkpoint", write_ckpt, CALLS_FAIL);
    CHECK(read_ckpt(&err) == LOOM_OK);
    CHECK(has_file("step-00000001.h5"));
}

/* ---- tensors for others ---- */

static loom_status fetch(void *arg, const loom_safetensors_item *item, float *to, loom_err *err)
{
    (void)arg, (void)item, (void)err;
    memcpy(to, values_, sizeof values_);
    return LOOM_OK;
}

static loom_status write_tensors(loom_err *err)
{
    loom_safetensors_item items[] = {
        {.view = {.name = "a", .dtype = LOOM_DTYPE_F32, .rank = 2, .shape = {2, 3}, .data = values_}},
        {.view = {.name = "b", .dtype = LOOM_DTYPE_F16, .rank = 1, .shape = {6}, .data = values_}},
        {.view = {.name = "c", .dtype = LOOM_DTYPE_BF16, .rank = 1, .shape = {6}}, .fetch = fetch}};
    return loom_safetensors_write_model(folder, true, items, 3, 30, NULL, 0, err);
}

static loom_status read_tensors(loom_err *err)
{
    loom_safetensors *s = NULL;
    LOOM_TRY(loom_safetensors_open(&s, folder, err));
    const loom_tensor_view *a = loom_safetensors_find(s, "a"), *c = loom_safetensors_find(s, "c");
    CHECK_I64(loom_safetensors_count(s), 3);
    CHECK(a && memcmp(a->data, values_, sizeof values_) == 0);
    CHECK(c && c->bytes == 12);
    loom_safetensors_close(&s);
    return LOOM_OK;
}

TEST(safetensors)
{
    loom_err err = {0};
    calls_may_keep_ = false;
    failing_calls_sweep("writing tensors", write_tensors, CALLS_FAIL);
    failing_calls_sweep("writing tensors to a full disk", write_tensors, CALLS_FAIL_ON);
    CHECK(write_tensors(&err) == LOOM_OK);
    failing_calls_sweep("reading tensors", read_tensors, CALLS_FAIL);
    failing_calls_sweep("reading tensors in pieces", read_tensors, CALLS_SHORT);
}

static loom_status fetch_gguf(void *arg, const loom_gguf_item *item, float *to, loom_err *err)
{
    (void)arg, (void)err;
    for (int64_t i = 0; i < item->shape[0] * item->shape[1]; i++) to[i] = (float)i;
    return LOOM_OK;
}

static loom_status write_gguf(loom_err *err)
{
    loom_gguf g = {0};
    loom_out *out = NULL;
    loom_gguf_item items[] = {
        {.name = "a", .type = LOOM_GGUF_TENSOR_F32, .n_dims = 1, .shape = {6, 1}, .fetch = fetch_gguf},
        {.name = "b", .type = LOOM_GGUF_TENSOR_Q8_0, .n_dims = 2, .shape = {2, 64}, .fetch = fetch_gguf}};
    loom_gguf_str(&g, "general.architecture", "llama");
    loom_status st = loom_out_open(&out, in_folder("x.gguf"), true, err);
    if (st == LOOM_OK) st = loom_gguf_write(out, &g, items, 2, err);
    if (st == LOOM_OK) st = loom_out_commit(&out, err);
    loom_out_abandon(&out);
    loom_gguf_release(&g);
    return st;
}

TEST(gguf)
{
    char first[33], last[33];
    loom_err err = {0};
    REQUIRE_OK(write_gguf(&err), err);
    REQUIRE_OK(loom_hash_file(first, in_folder("x.gguf"), &err), err);
    failing_calls_sweep("a GGUF file", write_gguf, CALLS_FAIL);
    REQUIRE_OK(loom_hash_file(last, in_folder("x.gguf"), &err), err);
    CHECK_STR(last, first);
}

TEST(folder_is_clean)
{
    static const char *const names[] = {"x.tokens.h5",
                                        "x.gguf",
                                        "step-00000001.h5",
                                        "model.safetensors.index.json",
                                        "model-00001-of-00003.safetensors",
                                        "model-00002-of-00003.safetensors",
                                        "model-00003-of-00003.safetensors",
                                        "model-00001-of-00002.safetensors",
                                        "model-00002-of-00002.safetensors"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) unlink(in_folder(names[i]));
    CHECK(rmdir(folder) == 0); /* no temporary file is left */
}

TEST_MAIN(if (!mkdtemp(folder)) return 1; RUN(shards) RUN(sink_outlives_a_failed_close) RUN(checkpoints)
              RUN(safetensors) RUN(gguf) RUN(folder_is_clean))
