/* Whole runs of pretrain and sft in scratch folders: what must be equal bit for bit, and what must be refused.
 * Longer than most: runs are compared with one another, and each takes time to make. */
#include "train/run.h"

#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/file.h"
#include "core/log.h"
#include "core/num.h"
#include "core/rng.h"
#include "core/usage.h"
#include "model/bf16.h"
#include "model/blas.h"
#include "model/model_files.h"
#include "store/ckpt.h"
#include "store/shard.h"
#include "test.h"
#include "train/train_cmds.h"

static char dir[] = "/tmp/loom-run.XXXXXX";
static char train_shard[200], valid_shard[200], other_shard[200], twin_shard[200];

/* Sequences that count upwards by a step: learnable by a tiny model in a hundred steps. alike: one sequence, again and
 * again. */
static loom_status make_shard(const char *path, int64_t n_samples, bool alike, uint64_t seed, const char *tokenizer,
                              loom_err *err)
{
    loom_shard_spec spec = {.vocab_size = 64,
                            .bos_id = 1,
                            .eos_id = 2,
                            .has_bos = true,
                            .has_eos = true,
                            .mode = "instruction",
                            .tokenizer = tokenizer,
                            .tokenizer_len = strlen(tokenizer)};
    loom_shard_writer *w = NULL;
    loom_rng rng;
    loom_status st = loom_shard_create(&w, path, true, &spec, err);

    loom_rng_seed(&rng, seed, "shard", 0);
    for (int64_t i = 0; i < n_samples && st == LOOM_OK; i++) {
        if (alike) loom_rng_seed(&rng, seed, "shard", 0);
        int32_t ids[32] = {1}, x = (int32_t)loom_rng_below(&rng, 61), step = 1 + (int32_t)loom_rng_below(&rng, 3);
        int64_t n = 8 + (int64_t)loom_rng_below(&rng, 20);
        for (int64_t j = 1; j < n - 1; j++) ids[j] = 3 + (x + (int32_t)j * step) % 61;
        ids[n - 1] = 2;
        st = loom_shard_add(w, ids, n, 3, err);
    }
    if (st == LOOM_OK) return loom_shard_commit(&w, "{}", err);
    loom_shard_abandon(&w);
    return st;
}

/* Runs a subcommand with "--name", "value" pairs up to NULL, on a shard. */
static loom_status command(const loom_cmd *cmd, bool force, char *shard, loom_err *err, va_list args)
{
    train_conf conf = {0};
    loom_arena arena = {0};
    char *shards[1] = {shard};
    loom_ctx ctx = {.program = "loom-train",
                    .cmd = cmd,
                    .conf = &conf,
                    .args = shards,
                    .n_args = 1,
                    .command_line = "test",
                    .common = {.threads = 1, .seed = 7, .quiet = true, .progress = 2, .force = force}};
    loom_status st = loom_opt_defaults(&conf, cmd->opts, &arena, err);

    for (const char *name; st == LOOM_OK && (name = va_arg(args, const char *));) {
        const loom_opt *opt = loom_opt_find(cmd->opts, name);
        const char *value = va_arg(args, const char *);
        st = opt ? loom_opt_set(&conf, opt, value, name, &arena, err)
                 : loom_fail(err, LOOM_STATUS_ARG, "no option %s", name);
    }
    if (st == LOOM_OK) st = cmd->run(&ctx, err);
    loom_arena_release(&arena);
    return st;
}

static bool forced; /* --force */

static loom_status pretrain(loom_err *err, const char *out, ...)
{
    loom_cmd cmd = loom_cmd_pretrain;
    loom_opt *opts = NULL;
    va_list args;
    loom_status st;
    size_t n = 0;

    /* the tiny shape as defaults */
    static const char *const tiny[][2] = {{"hidden", "16"},  {"layers", "2"},         {"heads", "2"},
                                          {"context", "16"}, {"batch-tokens", "128"}, {"warmup", "2"},
                                          {"plot", "false"}, {"log-every", "1"},      {"compute", "f32"}};
    while (cmd.opts[n].type != LOOM_OPT_TYPE_END) n++;
    opts = malloc((n + 1) * sizeof *opts);
    memcpy(opts, cmd.opts, (n + 1) * sizeof *opts);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < sizeof tiny / sizeof *tiny; j++) {
            if (loom_opt_is_value(&opts[i]) && strcmp(opts[i].name, tiny[j][0]) == 0) opts[i].value = tiny[j][1];
        }
        if (loom_opt_is_value(&opts[i]) && strcmp(opts[i].name, "output") == 0) opts[i].value = out;
    }
    cmd.opts = opts;
    va_start(args, out);
    st = command(&cmd, forced, train_shard, err, args);
    va_end(args);
    free(opts);
    return st;
}

static loom_status sft_on(char *shard, loom_err *err, ...)
{
    va_list args;
    loom_status st;

    va_start(args, err);
    st = command(&loom_cmd_sft, false, shard, err, args);
    va_end(args);
    return st;
}
#define sft(...) sft_on(train_shard, __VA_ARGS__)

static const char *in_dir(const char *name)
{
    static char text[8][256];
    static int i;

    i = (i + 1) % 8;
    snprintf(text[i], sizeof text[i], "%s/%s", dir, name);
    return text[i];
}

/* All tensors and counters of two checkpoints are equal, bit for bit; times differ. */
static void same_checkpoint(const char *a, const char *b)
{
    loom_ckpt *x = NULL, *y = NULL;
    loom_err err = {0};

    REQUIRE_OK(loom_ckpt_open(&x, a, &err), err);
    REQUIRE_OK(loom_ckpt_open(&y, b, &err), err);
    CHECK_I64(loom_ckpt_count(x), loom_ckpt_count(y));
    for (size_t i = 0; i < loom_ckpt_count(x); i++) {
        const loom_ckpt_entry *e = loom_ckpt_at(x, i), *f = loom_ckpt_find(y, e->name);
        if (strcmp(e->name, "state/seconds") == 0 || strcmp(e->name, "text/meta") == 0) continue;
        CHECK(f != NULL);
        if (f && f->checksum != e->checksum) fprintf(stderr, "  %s differs\n", e->name);
        CHECK(f && f->checksum == e->checksum);
    }
    loom_ckpt_close(&x);
    loom_ckpt_close(&y);
}

TEST(ten_is_five_and_five)
{
    loom_err err = {0};

    REQUIRE_OK(pretrain(&err, in_dir("ten"), "steps", "10", NULL), err);
    REQUIRE_OK(pretrain(&err, in_dir("five"), "steps", "10", "stop-after", "5", NULL), err);
    CHECK(loom_file_exists(in_dir("five/step-00000005.h5")));
    CHECK(!loom_file_exists(in_dir("five/model.h5")));
    REQUIRE_OK(pretrain(&err, in_dir("five"), "steps", "10", NULL), err);
    same_checkpoint(in_dir("ten/step-00000010.h5"), in_dir("five/step-00000010.h5"));
    same_checkpoint(in_dir("ten/model.h5"), in_dir("five/model.h5"));
}

/* The same with products in bfloat16, where there are any; such a run is not mixed with one in float32. */
TEST(half_precision)
{
    loom_err err = {0};

    if (loom_bf16_check(NULL) != LOOM_OK) SKIP("this build or CPU has no products in bfloat16");
    REQUIRE_OK(pretrain(&err, in_dir("half"), "steps", "10", "compute", "bf16", NULL), err);
    REQUIRE_OK(pretrain(&err, in_dir("half5"), "steps", "10", "compute", "bf16", "stop-after", "5", NULL), err);
    CHECK(pretrain(&err, in_dir("half5"), "steps", "10", "compute", "f32", NULL) == LOOM_STATUS_ARG);
    CHECK(strstr(err.msg, "--compute"));
    REQUIRE_OK(pretrain(&err, in_dir("half5"), "steps", "10", "compute", "auto", NULL), err);
    same_checkpoint(in_dir("half/step-00000010.h5"), in_dir("half5/step-00000010.h5"));
}

static void read_norm(float *x, const char *file, const char *group)
{
    loom_ckpt *c = NULL;
    loom_err err = {0};
    char name[64];

    snprintf(name, sizeof name, "%s/model.norm.weight", group);
    REQUIRE_OK(loom_ckpt_open(&c, file, &err), err);
    REQUIRE_OK(loom_ckpt_read_f32(c, name, x, 16, &err), err);
    loom_ckpt_close(&c);
}

/* --ema: the average of every checkpoint follows from the one before and the weights, the model is the last average, it
 * is what is validated, and a run that was stopped ends with the same bits. */
TEST(moving_average)
{
    loom_err err = {0};
    float w[16], mean[16], next[16];

    REQUIRE_OK(pretrain(&err, in_dir("mean"), "steps", "10", "ema", "0.3", "lr", "0.05", "save-every", "1", "keep",
                        "20", "valid", valid_shard, "valid-every", "10", NULL),
               err);
    read_norm(mean, in_dir("mean/step-00000001.h5"), "ema");
    for (int t = 2; t <= 10; t++) {
        double decay = fmin(0.3, (1.0 + t) / (10.0 + t));
        char file[64];

        snprintf(file, sizeof file, "mean/step-%08d.h5", t);
        read_norm(w, in_dir(file), "tensors");
        read_norm(next, in_dir(file), "ema");
        for (int i = 0; i < 16; i++) CHECK_NEAR(next[i], decay * mean[i] + (1 - decay) * w[i], 1e-6);
        memcpy(mean, next, sizeof mean);
    }
    CHECK(memcmp(mean, w, sizeof mean) != 0);
    read_norm(next, in_dir("mean/model.h5"), "tensors");
    CHECK(memcmp(mean, next, sizeof mean) == 0);
    read_norm(next, in_dir("mean/best.h5"), "tensors");
    CHECK(memcmp(mean, next, sizeof mean) == 0);

    REQUIRE_OK(pretrain(&err, in_dir("mean5"), "steps", "10", "ema", "0.3", "lr", "0.05", "stop-after", "5", NULL),
               err);
    CHECK(pretrain(&err, in_dir("mean5"), "steps", "10", "lr", "0.05", NULL) == LOOM_STATUS_ARG);
    CHECK(strstr(err.msg, "--ema"));
    REQUIRE_OK(pretrain(&err, in_dir("mean5"), "steps", "10", "ema", "0.3", "lr", "0.05", NULL), err);
    same_checkpoint(in_dir("mean/model.h5"), in_dir("mean5/model.h5"));
}

/* The model's own validation is that of the average: the loss that a run from it begins with. */
TEST(average_is_validated)
{
    loom_err err = {0};
    double loss = 0;
    loom_ckpt *c = NULL;

    REQUIRE_OK(pretrain(&err, in_dir("after"), "steps", "1", "init", in_dir("mean/model.h5"), "lr", "1e-9", "valid",
                        valid_shard, NULL),
               err);
    REQUIRE_OK(loom_ckpt_open(&c, in_dir("after/step-00000001.h5"), &err), err);
    REQUIRE_OK(loom_ckpt_read_f64(c, "state/valid_loss", &loss, &err), err);
    loom_ckpt_close(&c);
    double before = 0;
    REQUIRE_OK(loom_ckpt_open(&c, in_dir("mean/step-00000010.h5"), &err), err);
    REQUIRE_OK(loom_ckpt_read_f64(c, "state/valid_loss", &before, &err), err);
    loom_ckpt_close(&c);
    CHECK_NEAR(loss, before, 1e-6);
}

/* -1: cannot be read. */
static int64_t step_of(const char *file)
{
    loom_ckpt *c = NULL;
    int64_t step = -1;

    if (loom_ckpt_open(&c, file, NULL) == LOOM_OK) CHECK(loom_ckpt_read_i64(c, "state/step", &step, NULL) == LOOM_OK);
    loom_ckpt_close(&c);
    return step;
}

/* --minutes with --steps: neither a short time nor few steps end the run alone. */
TEST(time_and_steps)
{
    loom_err err = {0};

    REQUIRE_OK(pretrain(&err, in_dir("both"), "steps", "30", "minutes", "0.00001", NULL), err);
    CHECK_I64(step_of(in_dir("both/model.h5")), 30);
    double started = loom_time_now();
    REQUIRE_OK(pretrain(&err, in_dir("long"), "steps", "1", "minutes", "0.02", NULL), err);
    CHECK(loom_time_now() - started >= 1.2);
    CHECK(step_of(in_dir("long/model.h5")) > 1);
}

/* --patience: a model that learns two samples by heart gets worse on others; the run ends early and its model is
 * the best one, also when it was stopped on the way. */
TEST(patience)
{
    loom_err err = {0};
    const char *runs[2] = {"patient", "patient5"};
    float best[16], model[16], other[16];

    for (int i = 0; i < 2; i++) {
        for (int part = i == 0; part < 2; part++)
            REQUIRE_OK(pretrain(&err, in_dir(runs[i]), "steps", "3000", "overfit", "2", "lr", "0.02", "valid",
                                valid_shard, "valid-every", "5", "patience", "3", "ema", "0.5", "schedule", "constant",
                                part ? NULL : "stop-after", "7", NULL),
                       err);
    }
    CHECK(step_of(in_dir("patient/model.h5")) < 3000);
    read_norm(best, in_dir("patient/best.h5"), "tensors");
    read_norm(model, in_dir("patient/model.h5"), "tensors");
    CHECK(memcmp(best, model, sizeof best) == 0);
    char last[64];
    snprintf(last, sizeof last, "patient/step-%08d.h5", (int)step_of(in_dir("patient/model.h5")));
    CHECK_I64(step_of(in_dir("patient/model.h5")) - step_of(in_dir("patient/best.h5")), 15);
    read_norm(other, in_dir(last), "ema");
    CHECK(memcmp(best, other, sizeof best) != 0);
    same_checkpoint(in_dir("patient/model.h5"), in_dir("patient5/model.h5"));
    CHECK(pretrain(&err, in_dir("x"), "patience", "3", NULL) == LOOM_STATUS_ARG);
}

/* A stop in the middle of a step: the step is done again when the run goes on. */
TEST(stops_within_a_step)
{
    loom_err err = {0};

    REQUIRE_OK(pretrain(&err, in_dir("signal"), "steps", "10", "stop-after", "4", NULL), err);
    loom_stop_set(true);
    CHECK(pretrain(&err, in_dir("signal"), "steps", "10", NULL) == LOOM_STATUS_INTERRUPT);
    loom_stop_set(false);
    CHECK(strstr(err.msg, "interrupted at step 4"));
    REQUIRE_OK(pretrain(&err, in_dir("signal"), "steps", "10", NULL), err);
    same_checkpoint(in_dir("ten/step-00000010.h5"), in_dir("signal/step-00000010.h5"));
}

/* The curve of an interrupted run has each step once. */
TEST(curve_goes_on)
{
    loom_buf text = {0};
    loom_err err = {0};
    int lines = 0;

    REQUIRE_OK(loom_file_read(&text, in_dir("five/curve.csv"), 1 << 20, &err), err);
    for (size_t i = 0; i < text.len; i++) lines += text.data[i] == '\n';
    CHECK_I64(lines, 11);
    CHECK(strstr(text.data, "\n6,"));
    loom_buf_release(&text);
}

/* Going on is refused when anything that matters has changed, and named. */
TEST(refuses_changes)
{
    loom_err err = {0};

    CHECK(pretrain(&err, in_dir("five"), "steps", "10", "lr", "0.5", NULL) == LOOM_STATUS_ARG);
    CHECK(strstr(err.msg, "--lr is \"0.5\" here"));
    CHECK(pretrain(&err, in_dir("five"), "steps", "12", NULL) == LOOM_STATUS_ARG);
    CHECK(pretrain(&err, in_dir("five"), "steps", "10", "hidden", "32", NULL) == LOOM_STATUS_ARG);
    CHECK(pretrain(&err, in_dir("five"), "steps", "10", "keep", "5", NULL) == LOOM_OK);
}

/* Files of steps in a folder. */
static int64_t step_files(const char *folder)
{
    char **paths = NULL;
    size_t n = 0;
    int64_t found = 0;

    CHECK(loom_list_files(&paths, &n, folder, ".h5", NULL) == LOOM_OK);
    for (size_t i = 0; i < n; i++) found += strstr(paths[i], "/step-") != NULL;
    loom_free_list(paths, n);
    return found;
}

/* --save-minutes: by time alone, when it has passed; and not before. */
TEST(saves_by_time)
{
    loom_err err = {0};

    REQUIRE_OK(
        pretrain(&err, in_dir("often"), "steps", "6", "save-every", "0", "save-minutes", "1e-6", "keep", "100", NULL),
        err);
    CHECK_I64(step_files(in_dir("often")), 6);
    REQUIRE_OK(
        pretrain(&err, in_dir("seldom"), "steps", "6", "save-every", "0", "save-minutes", "60", "keep", "100", NULL),
        err);
    CHECK_I64(step_files(in_dir("seldom")), 1);
    REQUIRE_OK(
        pretrain(&err, in_dir("never"), "steps", "6", "save-every", "0", "save-minutes", "0", "keep", "100", NULL),
        err);
    CHECK_I64(step_files(in_dir("never")), 1);
}

/* --max-minutes: saved and stopped, and gone on with to the same end. */
TEST(stops_by_time)
{
    loom_err err = {0};

    REQUIRE_OK(pretrain(&err, in_dir("brief"), "steps", "10", "max-minutes", "1e-6", NULL), err);
    CHECK(!loom_file_exists(in_dir("brief/model.h5")));
    CHECK_I64(step_of(in_dir("brief/step-00000001.h5")), 1);
    REQUIRE_OK(pretrain(&err, in_dir("brief"), "steps", "10", "max-minutes", "60", NULL), err);
    same_checkpoint(in_dir("ten/step-00000010.h5"), in_dir("brief/step-00000010.h5"));
}

/* Column `column` (from 0) of the rows of a curve. */
static void read_curve(double *into, int rows, const char *file, int column)
{
    loom_buf text = {0};
    loom_err err = {0};
    const char *at;

    REQUIRE_OK(loom_file_read(&text, file, 1 << 20, &err), err);
    at = loom_buf_text(&text);
    for (int i = 0; i < rows; i++) {
        REQUIRE(at = strchr(at, '\n'));
        for (int c = 0; c < column; c++) REQUIRE(at = strchr(at + 1, ','));
        into[i] = strtod(at + 1, NULL);
    }
    loom_buf_release(&text);
}

/* The mask of dropout is another one in every step: one sample, weights that stay, yet another gradient. */
TEST(dropout_changes)
{
    loom_err err = {0};
    double with[3], without[3];
    const char *folders[] = {"dropped", "kept"};

    for (int i = 0; i < 2; i++)
        REQUIRE_OK(sft(&err, "base", in_dir("learn"), "output", in_dir(folders[i]), "steps", "3", "context", "32",
                       "overfit", "1", "batch-tokens", "32", "lora-rank", "4", "lora-dropout", i ? "0" : "0.5", "plot",
                       "false", "lr", "1e-12", "log-every", "1", NULL),
                   err);
    read_curve(with, 3, in_dir("dropped/curve.csv"), 5);
    read_curve(without, 3, in_dir("kept/curve.csv"), 5);
    for (int i = 1; i < 3; i++) {
        CHECK(fabs(with[i] / with[0] - 1) > 1e-3);
        CHECK_NEAR(without[i] / without[0], 1, 1e-4);
    }
    CHECK(fabs(with[2] / with[1] - 1) > 1e-3);
}

/* The same sample twice in a step, one in each shard: two masks, so not the gradient of the sample alone. */
TEST(shards_drop_apart)
{
    loom_err err = {0};
    double norm[4];

    for (int i = 0; i < 4; i++) {
        bool twice = i & 1, dropped = i & 2;
        char name[16], curve[32];
        snprintf(name, sizeof name, "apart-%d", i);
        snprintf(curve, sizeof curve, "%s/curve.csv", name);
        REQUIRE_OK(sft_on(twin_shard, &err, "base", in_dir("learn"), "output", in_dir(name), "steps", "1", "context",
                          "32", "overfit", twice ? "2" : "1", "batch-tokens", "64", "shards", twice ? "2" : "0",
                          "lora-rank", "4", "lora-dropout", dropped ? "0.5" : "0", "plot", "false", "lr", "1e-12",
                          "log-every", "1", NULL),
                   err);
        read_curve(&norm[i], 1, in_dir(curve), 5);
    }
    CHECK_NEAR(norm[1] / norm[0], 1, 1e-4);
    CHECK(fabs(norm[3] / norm[2] - 1) > 1e-3);
}

/* --force goes on with the same run and throws another one away. */
TEST(force)
{
    loom_err err = {0};

    forced = true;
    REQUIRE_OK(pretrain(&err, in_dir("forced"), "steps", "6", "stop-after", "3", NULL), err);
    REQUIRE_OK(pretrain(&err, in_dir("forced"), "steps", "6", "stop-after", "4", NULL), err);
    CHECK(loom_file_exists(in_dir("forced/step-00000003.h5")) && loom_file_exists(in_dir("forced/step-00000004.h5")));
    REQUIRE_OK(pretrain(&err, in_dir("forced"), "steps", "5", NULL), err);
    CHECK(!loom_file_exists(in_dir("forced/step-00000003.h5")) && loom_file_exists(in_dir("forced/step-00000005.h5")));
    forced = false;
}

/* kill -9 at random moments, then going on: the same weights as a run never stopped. */
TEST(survives_kill)
{
    loom_err err = {0};
    loom_rng rng;
    int kills = 0;
    double took = loom_time_now();

    const char *seed = getenv("LOOM_TEST_SEED");
    int64_t drawn = (int64_t)getpid();
    if (seed) CHECK(loom_parse_i64(seed, strlen(seed), &drawn));
    printf("moments drawn with LOOM_TEST_SEED=%lld\n", (long long)drawn);
    loom_rng_seed(&rng, (uint64_t)drawn, "kill", 0);
    REQUIRE_OK(pretrain(&err, in_dir("whole"), "steps", "200", NULL), err);
    took = loom_time_now() - took;
    for (int i = 0; i < 40 && !loom_file_exists(in_dir("killed/model.h5")); i++) {
        int status = 0;
        pid_t child;
        fflush(NULL);
        child = fork();
        if (child == 0)
            _exit(pretrain(&err, in_dir("killed"), "steps", "200", "save-every", "3", NULL) == LOOM_OK ? 0 : 1);
        /* within the time of a run that saves nothing, so that the first one at least is hit */
        usleep((useconds_t)(1e6 * took * (0.1 + 0.5 * loom_rng_f64(&rng))));
        kill(child, SIGKILL);
        REQUIRE(waitpid(child, &status, 0) == child);
        if (WIFSIGNALED(status)) kills++;
        else CHECK(WEXITSTATUS(status) == 0);
    }
    REQUIRE_OK(pretrain(&err, in_dir("killed"), "steps", "200", "save-every", "3", NULL), err);
    printf("killed %d times\n", kills);
    CHECK(kills > 0);
    same_checkpoint(in_dir("whole/step-00000200.h5"), in_dir("killed/step-00000200.h5"));
}

/* A damaged newest checkpoint: the one before is used, with the same end. */
TEST(survives_damage)
{
    loom_err err = {0};

    REQUIRE_OK(pretrain(&err, in_dir("damaged"), "steps", "10", "save-every", "2", "stop-after", "6", NULL), err);
    REQUIRE(truncate(in_dir("damaged/step-00000006.h5"), 5000) == 0);
    REQUIRE_OK(pretrain(&err, in_dir("damaged"), "steps", "10", "save-every", "2", NULL), err);
    same_checkpoint(in_dir("ten/step-00000010.h5"), in_dir("damaged/step-00000010.h5"));
}

/* A step cut into micro-batches gives the weights of one computed at once, up to the rounding of sums. */
TEST(accumulation)
{
    loom_model_files a = {0}, b = {0};
    loom_model_files_options o = {0};
    loom_err err = {0};
    double difference = 0, size = 0;

    REQUIRE_OK(pretrain(&err, in_dir("micro"), "steps", "10", "micro-tokens", "32", NULL), err);
    REQUIRE_OK(loom_model_files_load(&a, in_dir("ten"), NULL, &o, &err), err);
    REQUIRE_OK(loom_model_files_load(&b, in_dir("micro"), NULL, &o, &err), err);
    for (size_t i = 0; i < a.model->table.floats; i++) {
        difference += pow((double)a.model->params[i] - (double)b.model->params[i], 2);
        size += pow((double)a.model->params[i], 2);
    }
    CHECK(sqrt(difference / size) < 1e-4);
    loom_model_files_release(&a);
    loom_model_files_release(&b);
}

TEST(learns)
{
    loom_ckpt *c = NULL;
    loom_err err = {0};
    double loss = 99;

    REQUIRE_OK(
        pretrain(&err, in_dir("learn"), "steps", "300", "lr", "0.01", "context", "32", "valid", valid_shard, NULL),
        err);
    REQUIRE_OK(loom_ckpt_open(&c, in_dir("learn"), &err), err);
    REQUIRE_OK(loom_ckpt_read_f64(c, "state/valid_loss", &loss, &err), err);
    CHECK(loss < 1.8); /* log 61 = 4.1 for guessing; the first two tokens of a sample cannot be known */
    loom_ckpt_close(&c);
}

TEST(overfits)
{
    loom_ckpt *c = NULL;
    loom_err err = {0};
    loom_buf text = {0};

    REQUIRE_OK(pretrain(&err, in_dir("overfit"), "steps", "150", "lr", "0.02", "overfit", "4", "hidden", "32", NULL),
               err);
    REQUIRE_OK(loom_file_read(&text, in_dir("overfit/curve.csv"), 1 << 20, &err), err);
    const char *last = strstr(text.data, "\n150,");
    REQUIRE(last);
    for (int i = 0; i < 4; i++) last = strchr(last + 1, ',');
    CHECK(strtod(last + 1, NULL) < 0.5);
    loom_buf_release(&text);
    loom_ckpt_close(&c);
}

/* Adapter on top of the learnt model: made, resumed bit for bit, loadable, bound to its base. */
TEST(adapter)
{
    loom_model_files b = {0};
    loom_model_files_options o = {0};
    loom_err err = {0};
    double moved = 0;

    REQUIRE_OK(sft(&err, "base", in_dir("learn"), "output", in_dir("ad10"), "steps", "10", "context", "32",
                   "batch-tokens", "128", "lora-rank", "4", "plot", "false", "lr", "0.01", NULL),
               err);
    REQUIRE_OK(sft(&err, "base", in_dir("learn"), "output", in_dir("ad5"), "steps", "10", "context", "16",
                   "batch-tokens", "128", "lora-rank", "4", "plot", "false", "lr", "0.01", "stop-after", "5", NULL),
               err);
    CHECK(!loom_file_exists(in_dir("ad5/adapter.h5")));
    CHECK(sft(&err, "base", in_dir("learn"), "output", in_dir("ad5"), "steps", "10", "context", "32", "batch-tokens",
              "128", "lora-rank", "4", "plot", "false", "lr", "0.01", NULL) == LOOM_STATUS_ARG);
    CHECK(strstr(err.msg, "--context"));
    REQUIRE_OK(sft(&err, "base", in_dir("learn"), "output", in_dir("ad5b"), "steps", "10", "context", "32",
                   "batch-tokens", "128", "lora-rank", "4", "plot", "false", "lr", "0.01", "stop-after", "5", NULL),
               err);
    REQUIRE_OK(sft(&err, "base", in_dir("learn"), "output", in_dir("ad5b"), "steps", "10", "context", "32",
                   "batch-tokens", "128", "lora-rank", "4", "plot", "false", "lr", "0.01", NULL),
               err);
    same_checkpoint(in_dir("ad10/step-00000010.h5"), in_dir("ad5b/step-00000010.h5"));
    REQUIRE_OK(loom_model_files_load(&b, in_dir("ad10"), NULL, &o, &err), err);
    REQUIRE(b.lora);
    CHECK_I64(b.lora->config.R, 4);
    for (size_t i = 0; i < b.lora->table.floats; i++) moved += fabs((double)b.lora->params[i]);
    CHECK(moved > 0);
    CHECK(strstr(b.path, "learn/model.h5") && strstr(b.adapter_path, "ad10/adapter.h5"));
    loom_model_files_release(&b);
    CHECK(loom_model_files_load(&b, in_dir("ten"), in_dir("ad10"), &o, &err) == LOOM_STATUS_FORMAT);
    CHECK(strstr(err.msg, "trained on other weights"));
    CHECK(sft(&err, "base", in_dir("ad10"), "output", in_dir("ad3"), NULL) == LOOM_STATUS_ARG);
    CHECK(strstr(err.msg, "loom-train merge"));
    CHECK(sft(&err, "base", in_dir("ten"), "output", in_dir("ad10"), "steps", "10", "context", "16", "batch-tokens",
              "128", "lora-rank", "4", "plot", "false", "lr", "0.01", NULL) == LOOM_STATUS_ARG);
}

/* --lora-init pissa: the written adapter fits the base as it is, whose loss an untrained one does not change; a run
 * that was stopped ends in the same bits. */
TEST(pissa)
{
    loom_err err = {0};
    loom_model_files b = {0};
    loom_model_files_options o = {0};
    double plain[2], principal[2];
    const char *runs[] = {"pissa10", "pissa5", "pissa5"}, *stops[] = {"0", "5", "0"};

    for (int i = 0; i < 3; i++)
        REQUIRE_OK(sft(&err, "base", in_dir("learn"), "output", in_dir(runs[i]), "steps", "10", "context", "32",
                       "batch-tokens", "128", "lora-rank", "4", "lora-init", "pissa", "plot", "false", "lr", "0.01",
                       "log-every", "1", "stop-after", stops[i], NULL),
                   err);
    same_checkpoint(in_dir("pissa10/step-00000010.h5"), in_dir("pissa5/step-00000010.h5"));
    same_checkpoint(in_dir("pissa10/adapter.h5"), in_dir("pissa5/adapter.h5"));
    REQUIRE_OK(loom_model_files_load(&b, in_dir("pissa10"), NULL, &o, &err), err);
    CHECK_I64(b.lora->config.R, 8);
    loom_model_files_release(&b);

    /* before the first step the model is its base */
    REQUIRE_OK(sft(&err, "base", in_dir("learn"), "output", in_dir("plain"), "steps", "2", "context", "32",
                   "batch-tokens", "128", "lora-rank", "4", "plot", "false", "lr", "0.01", "log-every", "1",
                   "lora-dropout", "0", NULL),
               err);
    REQUIRE_OK(sft(&err, "base", in_dir("learn"), "output", in_dir("principal"), "steps", "2", "context", "32",
                   "batch-tokens", "128", "lora-rank", "4", "lora-init", "pissa", "plot", "false", "lr", "0.01",
                   "log-every", "1", "lora-dropout", "0", NULL),
               err);
    read_curve(plain, 2, in_dir("plain/curve.csv"), 4);
    read_curve(principal, 2, in_dir("principal/curve.csv"), 4);
    CHECK_NEAR(principal[0], plain[0], 1e-4);
    CHECK(fabs(principal[1] - plain[1]) > 1e-6);

    CHECK(sft(&err, "base", in_dir("learn"), "output", in_dir("pissa5"), "steps", "10", "context", "32", "batch-tokens",
              "128", "lora-rank", "4", "plot", "false", "lr", "0.01", "log-every", "1", NULL) != LOOM_OK);
    CHECK(sft(&err, "base", in_dir("learn"), "output", in_dir("x"), "lora", "false", "lora-init", "pissa", NULL) ==
          LOOM_STATUS_ARG);
    CHECK(strstr(err.msg, "--lora-init"));
    CHECK(sft(&err, "base", in_dir("learn"), "output", in_dir("x"), "context", "32", "lora-rank", "12", "lora-init",
              "pissa", NULL) == LOOM_STATUS_ARG);
}

/* All weights, from given ones. */
TEST(full_tuning)
{
    loom_err err = {0};

    REQUIRE_OK(sft(&err, "base", in_dir("learn"), "output", in_dir("full"), "steps", "4", "context", "32",
                   "batch-tokens", "128", "lora", "false", "plot", "false", NULL),
               err);
    CHECK(loom_file_exists(in_dir("full/model.h5")));
    REQUIRE_OK(pretrain(&err, in_dir("more"), "steps", "4", "init", in_dir("learn"), NULL), err);
    CHECK(loom_file_exists(in_dir("more/model.h5")));
}

TEST(refuses)
{
    loom_err err = {0};
    char *keep = strdup(train_shard);

    CHECK(sft(&err, "output", in_dir("x"), NULL) == LOOM_STATUS_ARG);
    CHECK(pretrain(&err, NULL, NULL) == LOOM_STATUS_ARG);
    CHECK(pretrain(&err, in_dir("x"), "lora", "true", NULL) == LOOM_STATUS_ARG);
    CHECK(pretrain(&err, in_dir("x"), "heads", "3", NULL) == LOOM_STATUS_ARG);
    CHECK(pretrain(&err, in_dir("x"), "valid", other_shard, NULL) == LOOM_STATUS_FORMAT);
    CHECK(strstr(err.msg, "different tokenizers"));
    snprintf(train_shard, sizeof train_shard, "%s", other_shard);
    CHECK(sft(&err, "base", in_dir("learn"), "output", in_dir("x"), "context", "16", "batch-tokens", "64", NULL) ==
          LOOM_STATUS_FORMAT);
    CHECK(strstr(err.msg, "another tokenizer"));
    CHECK(pretrain(&err, in_dir("five"), "steps", "10", NULL) != LOOM_OK);
    snprintf(train_shard, sizeof train_shard, "%s", keep);
    free(keep);
    CHECK(sft(&err, "base", train_shard, "output", in_dir("x"), NULL) == LOOM_STATUS_FORMAT);
    CHECK(!strchr(err.msg, '\n'));
}

/* A learning rate that explodes stops the run with the tensor and the checkpoint that is still good. */
TEST(stops_at_nan)
{
    loom_err err = {0};
    loom_status st = pretrain(&err, in_dir("nan"), "steps", "300", "lr", "10", "clip", "0", "weight-decay", "10",
                              "beta2", "0", "warmup", "0", "eps", "1e-16", "save-every", "1", NULL);

    CHECK(st == LOOM_STATUS_NUMERIC);
    CHECK(strstr(err.msg, "not finite") && strstr(err.msg, "step-"));
}

static void start(void)
{
    loom_err err = {0};

    if (!mkdtemp(dir)) exit(1);
    snprintf(train_shard, sizeof train_shard, "%s/train.tokens.h5", dir);
    snprintf(valid_shard, sizeof valid_shard, "%s/valid.tokens.h5", dir);
    snprintf(twin_shard, sizeof twin_shard, "%s/twin.tokens.h5", dir);
    snprintf(other_shard, sizeof other_shard, "%s/other.tokens.h5", dir);
    loom_log_set_level(LOOM_LOG_QUIET);
    if (make_shard(train_shard, 300, false, 1, "{}", &err) != LOOM_OK ||
        make_shard(valid_shard, 50, false, 2, "{}", &err) != LOOM_OK ||
        make_shard(other_shard, 50, false, 2, "{\"other\":1}", &err) != LOOM_OK ||
        make_shard(twin_shard, 2, true, 3, "{}", &err) != LOOM_OK)
        exit(1);
}

static void finish(void)
{
    char text[300];

    snprintf(text, sizeof text, "rm -r %s", dir);
    if (system(text) != 0) fprintf(stderr, "%s stays\n", dir);
}

TEST_MAIN(loom_blas_start(argc, argv); start(); RUN(ten_is_five_and_five) RUN(half_precision) RUN(moving_average)
              RUN(average_is_validated) RUN(time_and_steps) RUN(patience) RUN(stops_within_a_step) RUN(curve_goes_on)
                  RUN(refuses_changes) RUN(saves_by_time) RUN(stops_by_time) RUN(force) RUN(survives_kill)
                      RUN(survives_damage) RUN(accumulation) RUN(learns) RUN(overfits) RUN(adapter) RUN(dropout_changes)
                          RUN(shards_drop_apart) RUN(pissa) RUN(full_tuning) RUN(refuses) RUN(stops_at_nan) finish();)
