/* Shards and checkpoints that somebody else made: right HDF5, wrong content. Each is refused with a sentence that names
 * the file and what is wrong with it, before anything of it is believed. */
#include <hdf5.h>
#include <unistd.h>

#include "core/bounds.h"
#include "core/file.h"
#include "small_shard.h"
#include "store/ckpt.h"
#include "store/shard.h"
#include "test.h"

static char folder[] = "/tmp/loom-hostile-XXXXXX", path[64];

/* ---- what is changed in a file ---- */

typedef struct change {
    const char *object; /* "/": the root */
    const char *name;   /* of an attribute; NULL: the object itself */
    const char *text;   /* a string for it; NULL: the number */
    int64_t number;
    const char *says; /* the sentence has these words; NULL: the file is read */
} change;

static void put_attr(hid_t at, const char *name, hid_t type, hid_t space, const void *value)
{
    if (H5Aexists(at, name) > 0) CHECK(H5Adelete(at, name) >= 0);
    hid_t attr = H5Acreate2(at, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    CHECK(attr >= 0 && H5Awrite(attr, type, value) >= 0);
    H5Aclose(attr);
}

static hid_t text_type(size_t n)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, n);
    return type;
}

static void set_attr(hid_t at, const change *c)
{
    hid_t one = H5Screate(H5S_SCALAR), type = c->text ? text_type(strlen(c->text) + 1) : H5Tcopy(H5T_NATIVE_INT64);
    put_attr(at, c->name, type, one, c->text ? (const void *)c->text : &c->number);
    H5Tclose(type), H5Sclose(one);
}

static void apply(const change *c)
{
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), at = H5Oopen(file, c->object, H5P_DEFAULT);
    REQUIRE(at >= 0);
    set_attr(at, c);
    H5Oclose(at), H5Fclose(file);
}

static void drop_attr(const char *object, const char *name)
{
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    CHECK(H5Adelete_by_name(file, object, name, H5P_DEFAULT) >= 0);
    H5Fclose(file);
}

static void drop(const char *name)
{
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    CHECK(H5Ldelete(file, name, H5P_DEFAULT) >= 0);
    H5Fclose(file);
}

/* A data set in the place of another: without values where `values` is NULL. */
typedef struct set {
    hid_t type;
    int rank;
    hsize_t dims[9];
    H5D_layout_t layout;
    hsize_t chunk;
    const char *external; /* values lie in that file */
    const void *values;
    bool no_checksum;
} set;

static void put_set(const char *name, const set *s)
{
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), create = H5Pcreate(H5P_DATASET_CREATE);
    hsize_t most[9] = {H5S_UNLIMITED}; /* of chunked ones; those have one size */
    hid_t space =
        !s->rank ? H5Screate(H5S_SCALAR) : H5Screate_simple(s->rank, s->dims, s->layout == H5D_CHUNKED ? most : NULL);
    hid_t one = H5Screate(H5S_SCALAR);
    int64_t checksum = 0;
    if (H5Lexists(file, name, H5P_DEFAULT) > 0) CHECK(H5Ldelete(file, name, H5P_DEFAULT) >= 0);
    H5Pset_layout(create, s->layout);
    if (s->layout == H5D_CHUNKED) H5Pset_chunk(create, s->rank, &s->chunk);
    if (s->external) H5Pset_external(create, s->external, 0, H5F_UNLIMITED);
    hid_t made = H5Dcreate2(file, name, s->type, space, H5P_DEFAULT, create, H5P_DEFAULT);
    REQUIRE(made >= 0);
    if (s->values) CHECK(H5Dwrite(made, s->type, H5S_ALL, H5S_ALL, H5P_DEFAULT, s->values) >= 0);
    if (!s->no_checksum) put_attr(made, "checksum", H5T_NATIVE_INT64, one, &checksum);
    H5Dclose(made), H5Sclose(one), H5Sclose(space), H5Pclose(create), H5Fclose(file);
}

/* ---- shards ---- */

static void make_shard(void)
{
    static const int32_t ids[] = {1, 5, 6, 7, 2};
    loom_shard_spec spec = small_shard(9);
    loom_shard_writer *w = NULL;
    loom_err err = {0};
    REQUIRE_OK(loom_shard_create(&w, path, true, &spec, &err), err);
    REQUIRE_OK(loom_shard_add(w, ids, 5, 1, &err), err);
    REQUIRE_OK(loom_shard_add(w, ids, 3, 0, &err), err);
    REQUIRE_OK(loom_shard_put_names(w, "names", 5, &err), err);
    REQUIRE_OK(loom_shard_commit(&w, "{}", &err), err);
}

static void check_shard(const char *says)
{
    loom_shard *s = NULL;
    loom_err err = {0};
    loom_status st = loom_shard_open(&s, path, &err);
    CHECK_I64(st, says ? LOOM_STATUS_FORMAT : LOOM_OK);
    if (says && !strstr(err.msg, says)) TEST_FAIL_("\"%s\" lacks \"%s\"", err.msg, says);
    if (says) CHECK(strstr(err.msg, path) && !s);
    loom_shard_close(&s);
}

TEST(attributes_of_a_shard)
{
    static const change changes[] = {{"/", "format", "another", 0, "is no token shard but \"another\""},
                                     {"/", "format", NULL, 1, "is no token shard"},
                                     {"/", "version", NULL, 99, "version 99 of the format"},
                                     {"/", "version", "1", 0, "attribute version"},
                                     {"/", "vocab_size", NULL, 0, "make no sense"},
                                     {"/", "vocab_size", NULL, (int64_t)1 << 40, "make no sense"},
                                     {"/", "bos_id", NULL, -2, "make no sense"},
                                     {"/", "bos_id", NULL, 9, "make no sense"},
                                     {"/", "eos_id", NULL, -2, "make no sense"},
                                     {"/", "eos_id", NULL, 9, "make no sense"},
                                     {"/", "eos_id", NULL, -1, NULL},
                                     {"/", "mode", "a-mode-of-more-than-fifteen-bytes", 0, "attribute mode"},
                                     {"/", "digest", NULL, 5, "attribute digest"},
                                     {"/tokenizer", "checksum", "five", 0, "text tokenizer is damaged"},
                                     {"/offsets", "checksum", "five", 0, "the checksum of /offsets"},
                                     {"/offsets", "checksum", NULL, 5, "the checksum of /offsets"}};
    static const char *const needed[] = {"version", "vocab_size", "bos_id", "eos_id", "has_bos", "has_eos", "mode"};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        make_shard();
        apply(&changes[i]);
        check_shard(changes[i].says);
    }
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        make_shard();
        drop_attr("/", needed[i]);
        check_shard(needed[i]);
    }
}

/* An attribute of two values would be read past the one that there is room for; a text of any length likewise. */
TEST(attributes_of_other_shapes)
{
    static const int64_t two[] = {1, 1};
    static const char *const word = "tabular";
    hsize_t n = 2;
    make_shard();
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), pair = H5Screate_simple(1, &n, NULL);
    put_attr(file, "version", H5T_NATIVE_INT64, pair, two);
    H5Fclose(file);
    check_shard("attribute version");
    make_shard();
    file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    hid_t type = text_type(H5T_VARIABLE), one = H5Screate(H5S_SCALAR);
    put_attr(file, "mode", type, one, &word);
    H5Fclose(file);
    check_shard("attribute mode");
    H5Tclose(type), H5Sclose(one), H5Sclose(pair);
}

TEST(what_older_shards_lack)
{
    static const char *const sums[] = {"/tokenizer", "/meta", "/tokens", "/offsets", "/answer_start"};
    loom_shard *s = NULL;
    loom_err err = {0};
    make_shard();
    drop_attr("/", "digest");
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++) drop_attr(sums[i], "checksum");
    drop("names");
    REQUIRE_OK(loom_shard_open(&s, path, &err), err);
    CHECK_STR(loom_shard_get_info(s)->digest, "");
    CHECK_STR(loom_shard_get_info(s)->names, "");
    REQUIRE_OK(loom_shard_verify(s, &err), err);
    loom_shard_close(&s);
}

TEST(data_sets_that_are_missing)
{
    static const char *const names[] = {"tokenizer", "meta", "tokens", "offsets", "answer_start"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        make_shard();
        drop(names[i]);
        check_shard(names[i]);
    }
}

static void replace_in_shard(const char *name, const set *s, const char *says)
{
    make_shard();
    put_set(name, s);
    check_shard(says);
}

TEST(texts_of_other_kinds)
{
    hid_t any = text_type(H5T_VARIABLE), two = text_type(2), long_text = text_type(LOOM_BOUND_JSON + 1);
    replace_in_shard("tokenizer", &(set){.type = H5T_NATIVE_INT64, .layout = H5D_CONTIGUOUS}, "text tokenizer");
    replace_in_shard("tokenizer", &(set){.type = any, .layout = H5D_CONTIGUOUS}, "text tokenizer");
    replace_in_shard("tokenizer", &(set){.type = two, .rank = 1, .dims = {2}, .layout = H5D_CONTIGUOUS},
                     "text tokenizer");
    replace_in_shard("tokenizer", &(set){.type = long_text, .layout = H5D_CONTIGUOUS}, "more than the");
    H5Tclose(any), H5Tclose(two), H5Tclose(long_text);
}

TEST(columns_of_other_kinds)
{
    static const int64_t values[9] = {0};
    hid_t i64 = H5T_NATIVE_INT64;
    hsize_t many = (hsize_t)1 << 40;
    replace_in_shard("offsets", &(set){.type = i64, .layout = H5D_CONTIGUOUS, .values = values}, "/offsets is missing");
    replace_in_shard("offsets", &(set){.type = i64, .rank = 2, .dims = {1, 3}, .layout = H5D_CONTIGUOUS},
                     "/offsets is missing");
    replace_in_shard("offsets", &(set){.type = H5T_NATIVE_DOUBLE, .rank = 1, .dims = {3}, .layout = H5D_CONTIGUOUS},
                     "/offsets is missing");
    replace_in_shard("offsets", &(set){.type = i64, .rank = 1, .dims = {3}, .layout = H5D_COMPACT, .values = values},
                     "/offsets is missing");
    replace_in_shard("tokens",
                     &(set){.type = i64, .rank = 1, .dims = {8}, .layout = H5D_CONTIGUOUS, .external = "/etc/passwd"},
                     "/tokens is missing");
    replace_in_shard("tokens", &(set){.type = i64, .rank = 1, .dims = {many}, .layout = H5D_CHUNKED, .chunk = 4096},
                     "more values than the file can hold");
    replace_in_shard("tokens",
                     &(set){.type = i64, .rank = 1, .dims = {8}, .layout = H5D_CHUNKED, .chunk = (hsize_t)1 << 26},
                     "more values than the file can hold");
}

/* Tables that contradict each other, or themselves. */
TEST(tables_that_make_no_sense)
{
    static const struct {
        int64_t offsets[4];
        hsize_t n;
        int32_t answers[2];
        hsize_t n_answers;
        const char *says;
    } tables[] = {{{0, 5, 8}, 3, {1, 0}, 2, NULL},
                  {{0}, 0, {0}, 2, "/offsets is empty"},
                  {{0, 8}, 2, {1, 0}, 2, "do not agree"},
                  {{1, 5, 8}, 3, {1, 0}, 2, "do not agree"},
                  {{0, 5, 9}, 3, {1, 0}, 2, "do not agree"},
                  {{0, 8, 8}, 3, {1, 0}, 2, "sample 1 has impossible bounds"},
                  {{0, 9, 8}, 3, {1, 0}, 2, "sample 0 has impossible bounds"},
                  {{0, -1, 8}, 3, {0, 0}, 2, "sample 0 has impossible bounds"},
                  {{0, 5, 8}, 3, {6, 0}, 2, "sample 0 has impossible bounds"},
                  {{0, 5, 8}, 3, {5, -1}, 2, "sample 1 has impossible bounds"}};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        set offsets = {.type = H5T_NATIVE_INT64,
                       .rank = 1,
                       .dims = {tables[i].n},
                       .layout = H5D_CONTIGUOUS,
                       .values = tables[i].offsets,
                       .no_checksum = true};
        set answers = {.type = H5T_NATIVE_INT32,
                       .rank = 1,
                       .dims = {tables[i].n_answers},
                       .layout = H5D_CONTIGUOUS,
                       .values = tables[i].answers,
                       .no_checksum = true};
        make_shard();
        put_set("offsets", &offsets);
        put_set("answer_start", &answers);
        check_shard(tables[i].says);
    }
}

TEST(tokens_outside_the_vocabulary)
{
    static const int32_t tokens[8] = {1, 2, 3, 9, -1};
    loom_shard *s = NULL;
    loom_err err = {0};
    int32_t ids[8];
    make_shard();
    put_set("tokens",
            &(set){.type = H5T_NATIVE_INT32, .rank = 1, .dims = {8}, .layout = H5D_CONTIGUOUS, .values = tokens});
    REQUIRE_OK(loom_shard_open(&s, path, &err), err);
    CHECK_I64(loom_shard_read(s, 0, 8, ids, &err), LOOM_STATUS_FORMAT);
    CHECK(strstr(err.msg, "token 3 is 9") && strstr(err.msg, path));
    CHECK_I64(loom_shard_read(s, 4, 1, ids, &err), LOOM_STATUS_FORMAT);
    CHECK(strstr(err.msg, "token 4 is -1"));
    CHECK_I64(loom_shard_read(s, -1, 1, ids, &err), LOOM_STATUS_ARG);
    CHECK_I64(loom_shard_read(s, 0, -1, ids, &err), LOOM_STATUS_ARG);
    CHECK_I64(loom_shard_read(s, 7, 2, ids, &err), LOOM_STATUS_ARG);
    CHECK_I64(loom_shard_read(s, 8, 0, ids, &err), LOOM_OK);
    CHECK_I64(loom_shard_verify(s, &err), LOOM_STATUS_FORMAT); /* its checksum is another one */
    loom_shard_close(&s);
    int64_t first = -1;
    make_shard();
    REQUIRE_OK(loom_shard_open(&s, path, &err), err);
    loom_shard_range(s, 1, NULL, NULL, NULL);
    loom_shard_range(s, 1, &first, NULL, NULL);
    CHECK_I64(first, 5);
    loom_shard_close(&s);
}

/* What cannot be written is refused by the writer. */
TEST(shards_that_cannot_be)
{
    loom_shard_writer *w = NULL;
    loom_err err = {0};
    loom_shard_spec spec = {.vocab_size = 0, .mode = "tabular", .tokenizer = "{}", .tokenizer_len = 2};
    CHECK_I64(loom_shard_create(&w, path, true, &spec, &err), LOOM_STATUS_ARG);
    CHECK(strstr(err.msg, "vocabulary of 0 tokens"));
    spec.vocab_size = (int64_t)1 << 31;
    CHECK_I64(loom_shard_create(&w, path, true, &spec, &err), LOOM_STATUS_ARG);
    spec.vocab_size = 9;
    spec.mode = "";
    CHECK_I64(loom_shard_create(&w, path, true, &spec, &err), LOOM_STATUS_ARG);
    spec.mode = "sixteen-letters-";
    CHECK_I64(loom_shard_create(&w, path, true, &spec, &err), LOOM_STATUS_ARG);
    CHECK(strstr(err.msg, "no name of a mode"));
    spec.mode = "tabular";
    CHECK_I64(loom_shard_create(&w, "-", true, &spec, &err), LOOM_STATUS_ARG);
    CHECK(strstr(err.msg, "standard output"));
    CHECK(!w);
    loom_shard_abandon(&w);
    loom_shard_abandon(NULL);
}

/* ---- checkpoints ---- */

static void make_ckpt(void)
{
    static const float values[] = {1, 2, 3, 4, 5, 6};
    loom_ckpt_writer *w = NULL;
    loom_err err = {0};
    REQUIRE_OK(loom_ckpt_create(&w, path, true, 0, &err), err);
    REQUIRE_OK(loom_ckpt_put(w, "tensors/a", LOOM_DTYPE_F32, values, 2, (int64_t[]){2, 3}, &err), err);
    REQUIRE_OK(loom_ckpt_put_text(w, "text/config", "{}", 2, &err), err);
    REQUIRE_OK(loom_ckpt_commit(&w, &err), err);
}

static void check_ckpt(const char *says)
{
    loom_ckpt *c = NULL;
    loom_err err = {0};
    loom_status st = loom_ckpt_open(&c, path, &err);
    CHECK_I64(st, LOOM_STATUS_FORMAT);
    if (!strstr(err.msg, says)) TEST_FAIL_("\"%s\" lacks \"%s\"", err.msg, says);
    CHECK(strstr(err.msg, path) && !c);
    loom_ckpt_close(&c);
}

TEST(attributes_of_a_checkpoint)
{
    static const change changes[] = {
        {"/", "format", "spanloom-tokens", 0, "is no checkpoint of Spanloom but \"spanloom-tokens\""},
        {"/", "format", NULL, 1, "is no checkpoint of Spanloom"},
        {"/", "version", NULL, 2, "a checkpoint of version 2"},
        {"/", "version", "1", 0, "a checkpoint of version 0"},
        {"/", "digest", NULL, 5, "does not agree with its digest"},
        {"/", "digest", "five", 0, "does not agree with its digest"},
        {"/tensors/a", "checksum", "five", 0, "tensors/a has no checksum"}};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        make_ckpt();
        apply(&changes[i]);
        check_ckpt(changes[i].says);
    }
    make_ckpt();
    drop_attr("/tensors/a", "checksum");
    check_ckpt("tensors/a has no checksum");
}

static void replace_in_ckpt(const char *name, const set *s, const char *says)
{
    make_ckpt();
    put_set(name, s);
    check_ckpt(says);
}

TEST(entries_of_other_kinds)
{
    static const float six[6] = {0};
    hid_t f32 = H5T_NATIVE_FLOAT, any = text_type(H5T_VARIABLE), two = text_type(2),
          vast = text_type(LOOM_BOUND_JSON + 1);
    hsize_t huge = (hsize_t)1 << 31;
    replace_in_ckpt("tensors/a",
                    &(set){.type = f32, .rank = 1, .dims = {6}, .layout = H5D_CHUNKED, .chunk = 6, .values = six},
                    "is not stored in one piece");
    replace_in_ckpt("tensors/a",
                    &(set){.type = f32, .rank = 1, .dims = {6}, .layout = H5D_CONTIGUOUS, .external = "/etc/passwd"},
                    "is not stored in one piece");
    replace_in_ckpt("tensors/a", &(set){.type = f32, .layout = H5D_CONTIGUOUS, .values = six}, "unknown type or shape");
    replace_in_ckpt("tensors/a",
                    &(set){.type = f32, .rank = 9, .dims = {1, 1, 1, 1, 1, 1, 1, 1, 1}, .layout = H5D_CONTIGUOUS},
                    "unknown type or shape");
    replace_in_ckpt("tensors/a", &(set){.type = H5T_IEEE_F32BE, .rank = 1, .dims = {6}, .layout = H5D_CONTIGUOUS},
                    "unknown type or shape");
    replace_in_ckpt("tensors/a", &(set){.type = f32, .rank = 2, .dims = {huge, huge / 2}, .layout = H5D_CONTIGUOUS},
                    "impossible shape");
    replace_in_ckpt("tensors/a", &(set){.type = f32, .rank = 1, .dims = {6}, .layout = H5D_CONTIGUOUS},
                    "lies outside the file");
    replace_in_ckpt("text/config", &(set){.type = any, .layout = H5D_CONTIGUOUS}, "is no plain text");
    replace_in_ckpt("text/config", &(set){.type = two, .rank = 1, .dims = {1}, .layout = H5D_CONTIGUOUS},
                    "is no plain text");
    replace_in_ckpt("text/config", &(set){.type = vast, .layout = H5D_CONTIGUOUS}, "is no plain text");
    H5Tclose(any), H5Tclose(two), H5Tclose(vast);
}

/* A link could lead out of the file; a group in a group, or a type, is none of ours. */
TEST(links_and_strangers)
{
    for (int kind = 0; kind < 5; kind++) {
        static const char *const says[] = {"here is not a group", "lone is not a group", "there is a link",
                                           "deep cannot be opened", "shape cannot be opened"};
        make_ckpt();
        hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), made = -1;
        if (kind == 0) CHECK(H5Lcreate_external("/etc/other.h5", "/", file, "here", H5P_DEFAULT, H5P_DEFAULT) >= 0);
        if (kind == 2) CHECK(H5Lcreate_soft("/tensors/a", file, "tensors/there", H5P_DEFAULT, H5P_DEFAULT) >= 0);
        if (kind == 3) made = H5Gcreate2(file, "tensors/deep", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        if (made >= 0) H5Gclose(made);
        if (kind == 4) {
            hid_t type = H5Tcopy(H5T_NATIVE_INT);
            CHECK(H5Tcommit2(file, "tensors/shape", type, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT) >= 0);
            H5Tclose(type);
        }
        H5Fclose(file);
        if (kind == 1) put_set("lone", &(set){.type = H5T_NATIVE_FLOAT, .layout = H5D_CONTIGUOUS});
        check_ckpt(says[kind]);
    }
}

/* What is asked for must be there, of that kind and size. */
TEST(other_entries_than_asked_for)
{
    loom_ckpt *c = NULL;
    loom_err err = {0};
    loom_tensor_view view;
    float values[6];
    double loss;
    make_ckpt();
    REQUIRE_OK(loom_ckpt_open(&c, path, &err), err);
    CHECK_I64(loom_ckpt_read(c, "tensors/a", values, 23, &err), LOOM_STATUS_FORMAT);
    CHECK(strstr(err.msg, "has 24 bytes, expected 23"));
    CHECK_I64(loom_ckpt_read(c, "text/config", values, 3, &err), LOOM_STATUS_FORMAT);
    CHECK(strstr(err.msg, "has no text/config"));
    CHECK_I64(loom_ckpt_map(c, "tensors/b", &view, &err), LOOM_STATUS_FORMAT);
    CHECK_I64(loom_ckpt_read_f64(c, "tensors/a", &loss, &err), LOOM_STATUS_FORMAT);
    CHECK(strstr(err.msg, "is of type F32, expected F64"));
    CHECK(loom_ckpt_find(c, "tensors/a") && !loom_ckpt_find(c, "tensors/b"));
    CHECK_STR(loom_ckpt_path(c), path);
    loom_ckpt_close(&c);
    loom_ckpt_close(&c);
    loom_ckpt_close(NULL);
}

TEST(entries_that_cannot_be)
{
    static const char *const names[] = {"tensors", "/a", "tensors/", "tensors/a/b"};
    char group[100];
    loom_ckpt_writer *w = NULL;
    loom_err err = {0};
    REQUIRE_OK(loom_ckpt_create(&w, path, true, 0, &err), err);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        CHECK_I64(loom_ckpt_put_i64(w, names[i], 1, &err), LOOM_STATUS_ARG);
        CHECK(strstr(err.msg, "group/name"));
        CHECK_I64(loom_ckpt_put_text(w, names[i], "", 0, &err), LOOM_STATUS_ARG);
    }
    CHECK_I64(loom_ckpt_put(w, "tensors/a", LOOM_DTYPE_F32, "", 0, NULL, &err), LOOM_STATUS_ARG);
    CHECK_I64(loom_ckpt_put(w, "tensors/a", LOOM_DTYPE_F32, "", 9, NULL, &err), LOOM_STATUS_ARG);
    CHECK(strstr(err.msg, "rank 9"));
    CHECK_I64(loom_ckpt_put(w, "tensors/a", LOOM_DTYPE_F32, "", 1, (int64_t[]){-1}, &err), LOOM_STATUS_ARG);
    CHECK_I64(loom_ckpt_put_text(w, "text/a", "", LOOM_BOUND_JSON, &err), LOOM_STATUS_ARG);
    CHECK(strstr(err.msg, "are too much"));
    memset(group, 'g', sizeof group);
    snprintf(group + 70, sizeof group - 70, "/name");
    CHECK_I64(loom_ckpt_put_i64(w, group, 1, &err), LOOM_STATUS_ARG);
    CHECK(strstr(err.msg, "the name of the group is too long"));
    loom_ckpt_abandon(&w);
    loom_ckpt_abandon(&w);
    loom_ckpt_abandon(NULL);
    CHECK_I64(loom_ckpt_create(&w, "/nonexistent/x.h5", false, 0, &err), LOOM_STATUS_IO);
    CHECK_I64(loom_ckpt_create(&w, "/nonexistent/x.h5", false, 0, NULL), LOOM_STATUS_IO);
    make_ckpt();
    CHECK_I64(loom_ckpt_create(&w, path, false, 0, &err), LOOM_STATUS_ARG);
    CHECK(strstr(err.msg, "--force"));
    CHECK(!w);
}

static void finish(void)
{
    unlink(path);
    CHECK(rmdir(folder) == 0);
}

TEST_MAIN(if (!mkdtemp(folder)) return 1; snprintf(path, sizeof path, "%s/x.h5", folder);
          H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
          RUN(attributes_of_a_shard) RUN(attributes_of_other_shapes) RUN(what_older_shards_lack)
              RUN(data_sets_that_are_missing) RUN(texts_of_other_kinds) RUN(columns_of_other_kinds)
                  RUN(tables_that_make_no_sense) RUN(tokens_outside_the_vocabulary) RUN(shards_that_cannot_be)
                      RUN(attributes_of_a_checkpoint) RUN(entries_of_other_kinds) RUN(links_and_strangers)
                          RUN(other_entries_than_asked_for) RUN(entries_that_cannot_be) finish();)
