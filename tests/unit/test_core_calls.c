/* Every call of lib/core to the system and to the libraries of its containers fails once: reading and writing files,
 * giving them names, listing folders, threads. What fails is told in a sentence, and nothing is left behind. */
#include "unit/failing_calls.h"

#include <archive.h>
#include <archive_entry.h>
#include <xxhash.h>
#include <zstd.h>

#include "core/file.h"
#include "core/gzip.h"
#include "core/hash.h"
#include "core/json.h"
#include "core/meta.h"
#include "core/pool.h"
#include "core/shared_path.h"
#include "core/usage.h"

#if FAILING_MEMORY
#define ARCHIVE_FAILS(name, params, args) CALL_FAILS(int, ARCHIVE_FATAL, ENOMEM, name, params, args)
ARCHIVE_FAILS(archive_read_support_filter_gzip, (struct archive * a), (a))
ARCHIVE_FAILS(archive_read_support_filter_zstd, (struct archive * a), (a))
ARCHIVE_FAILS(archive_read_support_filter_xz, (struct archive * a), (a))
ARCHIVE_FAILS(archive_read_support_filter_bzip2, (struct archive * a), (a))
ARCHIVE_FAILS(archive_read_support_format_tar, (struct archive * a), (a))
ARCHIVE_FAILS(archive_read_support_format_raw, (struct archive * a), (a))
ARCHIVE_FAILS(archive_read_next_header, (struct archive * a, struct archive_entry **entry), (a, entry))
ARCHIVE_FAILS(archive_write_set_format_raw, (struct archive * a), (a))
ARCHIVE_FAILS(archive_write_add_filter_gzip, (struct archive * a), (a))
ARCHIVE_FAILS(archive_write_set_filter_option,
              (struct archive * a, const char *module, const char *key, const char *value), (a, module, key, value))
ARCHIVE_FAILS(archive_write_set_bytes_per_block, (struct archive * a, int n), (a, n))
ARCHIVE_FAILS(archive_write_header, (struct archive * a, struct archive_entry *entry), (a, entry))
ARCHIVE_FAILS(archive_write_close, (struct archive * a), (a))
CALL_FAILS(struct archive *, NULL, ENOMEM, archive_read_new, (void), ())
CALL_FAILS(struct archive *, NULL, ENOMEM, archive_write_new, (void), ())
CALL_FAILS(struct archive_entry *, NULL, ENOMEM, archive_entry_new, (void), ())
CALL_FAILS(la_ssize_t, ARCHIVE_FATAL, EIO, archive_read_data, (struct archive * a, void *to, size_t n), (a, to, n))
CALL_FAILS(la_ssize_t, ARCHIVE_FATAL, EIO, archive_write_data, (struct archive * a, const void *from, size_t n),
           (a, from, n))
CALL_FAILS(XXH3_state_t *, NULL, ENOMEM, XXH3_createState, (void), ())
CALL_FAILS(ZSTD_CCtx *, NULL, ENOMEM, ZSTD_createCCtx, (void), ())
CALL_FAILS(size_t, (size_t)-64, ENOMEM, ZSTD_compressStream2,
           (ZSTD_CCtx * c, ZSTD_outBuffer *to, ZSTD_inBuffer *from, ZSTD_EndDirective how), (c, to, from, how))
#endif

static char folder[] = "/tmp/loom-calls-XXXXXX";

static const char *in_folder(const char *name)
{
    static char paths[8][128];
    static int next;
    next = (next + 1) % 8;
    snprintf(paths[next], sizeof paths[next], "%s/%s", folder, name);
    return paths[next];
}

static void empty_folder(void)
{
    char line[64];
    snprintf(line, sizeof line, "rm -rf %s/*", folder);
    CHECK_I64(system(line), 0);
}

/* The calls of this one go well. */
static int files_in_folder(void)
{
    int n = 0;
    calls_way way = calls_way_;
    calls_way_ = CALLS_WELL;
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) n += e->d_name[0] != '.';
    if (d) closedir(d);
    calls_way_ = way;
    return n;
}

/* ---- writing ---- */

static const char *written = "x.txt";
static bool forced;
enum { LINES = 3000 };

static loom_status write_lines(loom_err *err)
{
    loom_out *out = NULL;
    if (!forced) unlink(in_folder(written));
    loom_status st = loom_out_open(&out, in_folder(written), forced, err);
    loom_buf text = {0};
    for (int i = 0; i < LINES; i++) {
        loom_buf_printf(&text, "line %d\n", i);
        if (st == LOOM_OK && i % 1000 == 999) st = loom_out_write(out, text.data, text.len, err);
        if (i % 1000 == 999) loom_buf_reset(&text);
    }
    loom_buf_release(&text);
    if (st == LOOM_OK) st = loom_out_printf(out, err, "line %d\n", LINES);
    if (st == LOOM_OK) st = loom_out_commit(&out, err);
    loom_out_abandon(&out);
    if (files_in_folder() > 1) /* the file or nothing */
        TEST_FAIL_("%d files, after %s: %s", files_in_folder(), calls_name_, st ? err->msg : "OK");
    return st;
}

static loom_status read_lines(loom_err *err)
{
    loom_lines *in = NULL;
    char *line = NULL;
    size_t len;
    int64_t n = 0;
    LOOM_TRY(loom_lines_open(&in, in_folder(written), err));
    loom_status st;
    while ((st = loom_lines_next(in, &line, &len, err)) == LOOM_OK && line) n++;
    loom_lines_close(&in);
    if (st == LOOM_OK && n != LINES + 1) st = loom_fail(err, LOOM_STATUS_FORMAT, "read %d lines", (int)n);
    return st;
}

TEST(writing)
{
    static const char *const names[] = {"x.txt", "x.txt.zst"};
    for (int i = 0; i < 4; i++) {
        written = names[i % 2];
        forced = i >= 2;
        failing_calls_sweep("writing a file", write_lines, CALLS_FAIL);
        failing_calls_sweep("writing to a disk that is full", write_lines, CALLS_FAIL_ON);
        loom_err err = {0};
        CHECK(write_lines(&err) == LOOM_OK && read_lines(&err) == LOOM_OK);
        empty_folder();
    }
}

/* Kernels and file systems that lack a call, one after the other: the file gets its name by the next best. */
TEST(names_where_calls_are_missing)
{
    static const int codes[] = {ENOSYS, EINVAL, ENOTSUP, EPERM, EMLINK, EEXIST};
    loom_err err = {0};
    written = "x.txt";
    forced = false;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        calls_code_ = codes[i];
        failing_calls_set("renameat2", CALLS_FAIL_ON, 1);
        loom_status st = write_lines(&err);
        failing_calls_set("", CALLS_WELL, 0);
        CHECK_I64(st, i < 3 || !FAILING_MEMORY ? LOOM_OK : i < 5 ? LOOM_STATUS_IO : LOOM_STATUS_ARG);
        CHECK_I64(files_in_folder(), st == LOOM_OK);
        failing_calls_set("", CALLS_FAIL_ON, 0);
        failing_calls_sweep("giving a name without a call", write_lines, CALLS_FAIL);
    }
    calls_code_ = 0;
    empty_folder();
}

/* ---- two that belong together ---- */

static loom_status write_pair(loom_err *err)
{
    loom_out *outs[2] = {NULL, NULL};
    if (!forced) unlink(in_folder("a")), unlink(in_folder("b"));
    loom_status st = loom_out_open(&outs[0], in_folder("a"), forced, err);
    if (st == LOOM_OK) st = loom_out_open(&outs[1], in_folder("b"), forced, err);
    for (int i = 0; i < 2 && st == LOOM_OK; i++) st = loom_out_write(outs[i], "x", 1, err);
    if (st == LOOM_OK) st = loom_out_commit_all(outs, 2, err);
    for (int i = 0; i < 2; i++) loom_out_abandon(&outs[i]);
    int n = files_in_folder();
    if (n != 2 && (n != 0 || st == LOOM_OK))
        TEST_FAIL_("%d files of 2, after %s: %s", n, calls_name_, st ? err->msg : "OK");
    return st;
}

TEST(pairs)
{
    static const int codes[] = {0, ENOSYS, EPERM, EEXIST};
    loom_err err = {0};
    for (int i = 0; i < 8; i++) {
        forced = i % 2;
        if (forced) CHECK(write_pair(&err) == LOOM_OK);
        calls_code_ = codes[i / 2];
        failing_calls_sweep("writing a pair", write_pair, CALLS_FAIL);
        calls_code_ = 0;
        empty_folder();
    }
}

/* ---- reading ---- */

static void make_tar(const char *path, const char *text, size_t n)
{
    struct archive *a = archive_write_new();
    struct archive_entry *entry = archive_entry_new();
    archive_write_set_format_ustar(a);
    REQUIRE(archive_write_open_filename(a, path) == ARCHIVE_OK);
    for (int i = 0; i < 2; i++) { /* a folder, which is passed over, and the file */
        archive_entry_clear(entry);
        archive_entry_set_pathname(entry, i ? "folder/lines" : "folder");
        archive_entry_set_filetype(entry, i ? AE_IFREG : AE_IFDIR);
        archive_entry_set_perm(entry, 0755);
        archive_entry_set_size(entry, i ? (int64_t)n : 0);
        REQUIRE(archive_write_header(a, entry) == ARCHIVE_OK);
        if (i) CHECK(archive_write_data(a, text, n) == (la_ssize_t)n);
    }
    archive_entry_free(entry);
    CHECK(archive_write_free(a) == ARCHIVE_OK);
}

static void make_containers(void)
{
    loom_buf plain = {0}, packed = {0};
    loom_err err = {0};
    for (int i = 0; i <= LINES; i++) loom_buf_printf(&plain, "line %d\n", i);
    REQUIRE_OK(loom_gzip(&packed, plain.data, plain.len, &err), err);
    REQUIRE_OK(loom_file_write(in_folder("plain"), plain.data, plain.len, true, &err), err);
    REQUIRE_OK(loom_file_write(in_folder("lines.gz"), packed.data, packed.len, true, &err), err);
    make_tar(in_folder("lines.tar"), plain.data, plain.len);
    loom_out *out = NULL;
    REQUIRE_OK(loom_out_text(&out, in_folder("lines.zst"), &plain, true, &err), err);
    REQUIRE_OK(loom_out_commit(&out, &err), err);
    loom_buf_release(&plain);
    loom_buf_release(&packed);
}

TEST(reading)
{
    static const char *const names[] = {"plain", "lines.gz", "lines.zst", "lines.tar"};
    make_containers();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        written = names[i];
        failing_calls_sweep(names[i], read_lines, CALLS_FAIL);
        failing_calls_sweep(names[i], read_lines, CALLS_END); /* a table that ends early is not a short one */
        failing_calls_sweep(names[i], read_lines, CALLS_SHORT);
        failing_calls_sweep(names[i], read_lines, CALLS_INTERRUPTED);
    }
    empty_folder();
}

static loom_status read_whole(loom_err *err)
{
    loom_json *root = NULL;
    loom_map_file map = {0};
    char digest[33];
    LOOM_TRY(loom_json_read_file(&root, in_folder("x.json"), LOOM_BOUND_JSON, err));
    CHECK_I64(loom_json_i64(loom_json_get(root, "a"), 0), 7);
    loom_json_free(root);
    LOOM_TRY(loom_map_open(&map, in_folder("x.json"), err));
    CHECK(map.len == 8 && memcmp(map.data, "{\"a\": 7}", 8) == 0);
    loom_map_close(&map);
    LOOM_TRY(loom_hash_file(digest, in_folder("x.json"), err));
    CHECK_I64(strlen(digest), 32);
    return LOOM_OK;
}

TEST(whole_files)
{
    char digest[33];
    loom_err err = {0};
    REQUIRE_OK(loom_file_write(in_folder("x.json"), "{\"a\": 7}", 8, true, &err), err);
    failing_calls_sweep("a whole file", read_whole, CALLS_FAIL);
    failing_calls_sweep("a whole file that ends", read_whole, CALLS_END);
    failing_calls_sweep("a whole file in pieces", read_whole, CALLS_SHORT);
    CHECK_I64(loom_hash_file(digest, folder, &err), LOOM_STATUS_IO); /* a folder opens, and cannot be read */
    CHECK(strstr(err.msg, "cannot read") && strstr(err.msg, folder));
    empty_folder();
}

static loom_status compress(loom_err *err)
{
    loom_buf packed = {0};
    loom_status st = loom_gzip(&packed, "text", 4, err);
    if (st == LOOM_OK) CHECK((unsigned char)packed.data[0] == 0x1f && packed.len > 20);
    loom_buf_release(&packed);
    return st;
}

TEST(compressing) { failing_calls_sweep("a text as gzip", compress, CALLS_FAIL); }

/* ---- folders ---- */

static loom_status walk(loom_err *err)
{
    char **paths = NULL;
    size_t n = 0;
    LOOM_TRY(loom_list_tree(&paths, &n, folder, err));
    loom_free_list(paths, n);
    if (n != 2) return loom_fail(err, LOOM_STATUS_IO, "%zu files of 2", n);
    LOOM_TRY(loom_list_files(&paths, &n, in_folder("one"), ".txt", err));
    loom_free_list(paths, n);
    return n == 1 ? LOOM_OK : loom_fail(err, LOOM_STATUS_IO, "%zu files of 1", n);
}

static loom_status make_folders(loom_err *err)
{
    loom_status st = loom_make_dirs(in_folder("deep/er"), err);
    bool made = rmdir(in_folder("deep/er")) == 0;
    CHECK(made || st != LOOM_OK);
    rmdir(in_folder("deep"));
    return st;
}

static loom_status fill_folder(loom_err *err)
{
    char *path = NULL;
    int lock = -1;
    LOOM_TRY(loom_temp_dir_open(&path, &lock, folder, ".part", err));
    loom_temp_dir_discard(path, lock);
    loom_temp_dir_sweep(folder, ".part");
    CHECK(!loom_file_exists(path));
    free(path);
    return LOOM_OK;
}

TEST(folders)
{
    loom_err err = {0};
    REQUIRE_OK(loom_make_dirs(in_folder("one/two"), &err), err);
    REQUIRE_OK(loom_file_write(in_folder("one/a.txt"), "a", 1, true, &err), err);
    REQUIRE_OK(loom_file_write(in_folder("one/two/b"), "b", 1, true, &err), err);
    failing_calls_sweep("listing a folder", walk, CALLS_FAIL);
    failing_calls_sweep("making folders", make_folders, CALLS_FAIL);
    failing_calls_sweep("a folder of its own", fill_folder, CALLS_FAIL);
    CHECK_I64(loom_list_files(NULL, NULL, in_folder("none"), "", &err), LOOM_STATUS_IO);
    CHECK_I64(loom_make_dirs(in_folder("one/a.txt/b"), &err), LOOM_STATUS_IO);
    CHECK(strstr(err.msg, "cannot make the folder"));
    empty_folder();
}

/* ---- provenance ---- */

typedef struct conf {
    const char *output;
} conf;

static const loom_opt opts[] = {LOOM_OPT_OUT("output", 'o', conf, output, NULL, "FILE", "out"), LOOM_OPT_END};
static const loom_cmd cmd = {.name = "make", .opts = opts, .conf_size = sizeof(conf), .updates = true};

static loom_status make_told(loom_err *err)
{
    conf c = {.output = in_folder("out")};
    loom_ctx ctx = {.program = "loom-test", .cmd = &cmd, .conf = &c, .command_line = "", .common = {.seed = 1}};
    loom_meta m = {0};
    loom_json *told = NULL;
    loom_status st = loom_meta_input(&m, in_folder("in"), err);
    if (st == LOOM_OK) st = loom_meta_file_write(&m, &ctx, c.output, "text", 4, true, err);
    if (st == LOOM_OK) st = loom_meta_read(&told, c.output, true, err);
    if (st == LOOM_OK && !told) st = loom_fail(err, LOOM_STATUS_FORMAT, "nothing tells of the file");
    loom_json_free(told);
    loom_meta_release(&m);
    return st;
}

TEST(provenance)
{
    loom_err err = {0};
    REQUIRE_OK(loom_file_write(in_folder("in"), "a", 1, true, &err), err);
    failing_calls_sweep("a file and what tells of it", make_told, CALLS_FAIL);
    CHECK_I64(files_in_folder(), 3);
    empty_folder();
}

/* ---- the machine ---- */

static void count_item(void *arg, int64_t item, int thread)
{
    (void)item, (void)thread;
    atomic_fetch_add((atomic_int *)arg, 1);
}

static loom_status use_threads(loom_err *err)
{
    loom_pool *pool = NULL;
    atomic_int n = 0;
    LOOM_TRY(loom_pool_new(&pool, 4, err));
    loom_pool_for(pool, 100, count_item, &n);
    CHECK_I64(n, 100);
    loom_pool_free(pool);
    return LOOM_OK;
}

TEST(threads)
{
    loom_pool *pool = NULL;
    loom_err err = {0};
    failing_calls_sweep("threads", use_threads, CALLS_FAIL);
    CHECK_I64(loom_pool_new(&pool, 0, &err), LOOM_STATUS_ARG);
    CHECK_I64(loom_pool_new(&pool, 1025, &err), LOOM_STATUS_ARG);
    CHECK_I64(loom_pool_threads(NULL), 1);
    loom_pool_free(NULL);
}

/* Where the system does not say, a careful answer is given. */
TEST(what_the_machine_says)
{
    char name[64];
    loom_buf path = {0};
    CHECK(loom_resident_bytes() > 0 && loom_peak_bytes() > 0 && loom_memory_there() > 0 && loom_cpu_count() >= 1);
    CHECK(loom_program_folder(&path) && path.len > 0);
    loom_buf_release(&path);
    if (!FAILING_MEMORY) SKIP("calls do not fail here");
    failing_calls_set("fopen", CALLS_FAIL_ON, 1);
    CHECK_I64(loom_resident_bytes(), 0);
    CHECK_STR(loom_cpu_name(name, sizeof name), "");
    CHECK(loom_cpu_count() >= 1);
    failing_calls_set("open", CALLS_FAIL_ON, 1);
    CHECK(loom_memory_there() > 0);
    failing_calls_set("readlink", CALLS_FAIL_ON, 1);
    CHECK(loom_program_folder(&path)); /* by the name it was started under */
    failing_calls_set("access", CALLS_FAIL_ON, 1);
    CHECK(!loom_shared_path(&path, "configs/demo.conf"));
    failing_calls_set("", CALLS_WELL, 0);
    CHECK(loom_shared_path(&path, "configs/demo.conf"));
    CHECK(!loom_shared_path(&path, "configs/none.conf"));
    loom_buf_release(&path);
}

TEST(folder_is_clean) { CHECK(rmdir(folder) == 0); } /* no temporary file is left */

TEST_MAIN(if (!mkdtemp(folder)) return 1;
          RUN(writing) RUN(names_where_calls_are_missing) RUN(pairs) RUN(reading) RUN(whole_files) RUN(compressing)
              RUN(folders) RUN(provenance) RUN(threads) RUN(what_the_machine_says) RUN(folder_is_clean))
