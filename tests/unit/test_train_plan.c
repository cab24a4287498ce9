/* The plan of a run as arithmetic: length, warm-up, shape, memory, words; and which options a run may go on with
 * changed. */
#include "train/run_plan.h"
#include "train/snapshot.h"

#include "store/shard.h"
#include "test.h"
#include "train/run_identity.h"
#include "train/train_cmds.h"

static loom_arena arena;

/* Defaults of a subcommand. */
static train_conf defaults(const loom_cmd *cmd)
{
    train_conf c = {0};

    CHECK(loom_opt_defaults(&c, cmd->opts, &arena, NULL) == LOOM_OK);
    return c;
}

TEST(length)
{
    train_conf c = defaults(&loom_cmd_pretrain);
    loom_run_plan p = {.conf = &c};

    CHECK(loom_run_plan_counts_epochs(&c));
    loom_run_plan_schedule(&p, 1000);
    CHECK_I64(p.schedule.steps, 1000);
    CHECK_I64(p.schedule.warmup, 50); /* 5 % */
    CHECK(p.schedule.peak == 2e-3 && !p.timed);
    c.warmup_ratio = 0.0101;
    loom_run_plan_schedule(&p, 1000);
    CHECK_I64(p.schedule.warmup, 11);
    c.warmup = 7;
    loom_run_plan_schedule(&p, 1000);
    CHECK_I64(p.schedule.warmup, 7);

    c.tokens = 4096 * 3 + 1;
    CHECK(!loom_run_plan_counts_epochs(&c));
    loom_run_plan_schedule(&p, 1000);
    CHECK_I64(p.schedule.steps, 4);
    c.tokens = 0, c.steps = 5, c.minutes = 2;
    loom_run_plan_schedule(&p, 1000);
    CHECK_I64(p.schedule.steps, 5);
    CHECK(p.timed);
    c.steps = 0, c.warmup = -1;
    loom_run_plan_schedule(&p, 1000);
    CHECK_I64(p.schedule.steps, 0);
    CHECK_I64(p.schedule.warmup, 20);
    c.base_model = "base.h5";
    loom_run_plan_schedule(&p, 1000);
    CHECK(p.schedule.peak == 3e-4);
    c.base_model = "none", c.schedule = LOOM_SCHEDULE_CONSTANT, c.lr_floor = 0.25;
    loom_run_plan_schedule(&p, 1000);
    CHECK(p.schedule.peak == 2e-3 && p.schedule.kind == LOOM_SCHEDULE_CONSTANT && p.schedule.floor == 0.25);
}

TEST(rows)
{
    train_conf c = {.context = 1024, .batch_tokens = 65536};

    CHECK_I64(loom_run_plan_micro_rows(&c), 8192);
    c.micro_tokens = 100; /* never less than a sequence */
    CHECK_I64(loom_run_plan_micro_rows(&c), 1024);
    c.batch_tokens = 512; /* nor more than a step */
    CHECK_I64(loom_run_plan_micro_rows(&c), 512);
}

TEST(shape)
{
    train_conf c = defaults(&loom_cmd_pretrain);
    loom_run_plan p = {.conf = &c};
    loom_run_vocabulary words = {.size = 500, .bos_id = 1, .eos_id = -1};
    loom_err err = {0};

    REQUIRE_OK(loom_run_plan_shape(&p, &words, &err), err);
    CHECK_I64(p.config.F, 688); /* 8/3 of 256, to a multiple of 16 */
    CHECK_I64(p.config.K, 8);
    CHECK_I64(p.config.V, 500);
    CHECK_I64(p.config.n_eos, 0);
    CHECK(p.config.tied && p.config.bos_id == 1);
    c.heads = 7;
    CHECK(loom_run_plan_shape(&p, &words, &err) == LOOM_STATUS_ARG && strstr(err.msg, "--heads"));
    c.heads = 256;
    CHECK(loom_run_plan_shape(&p, &words, &err) == LOOM_STATUS_ARG && strstr(err.msg, "even"));
    c.heads = 8, c.kv_heads = 3;
    CHECK(loom_run_plan_shape(&p, &words, &err) == LOOM_STATUS_ARG && strstr(err.msg, "--kv-heads"));
}

/* Options that contradict each other, each with the word that its sentence must hold. */
TEST(contradictions)
{
    train_conf c = defaults(&loom_cmd_pretrain), s = defaults(&loom_cmd_sft);
    loom_run_plan p = {.conf = &c}, q = {.conf = &s, .kind = LOOM_RUN_SFT};
    loom_err err = {0};

    CHECK(loom_run_plan_check(&p, &err) == LOOM_STATUS_ARG && strstr(err.msg, "--output"));
    c.output = s.output = "x";
    REQUIRE_OK(loom_run_plan_check(&p, &err), err);
    CHECK(loom_run_plan_check(&q, &err) == LOOM_STATUS_ARG && strstr(err.msg, "--base is missing"));
    s.base = "m.h5";
    REQUIRE_OK(loom_run_plan_check(&q, &err), err);
    s.base_model = "b.h5";
    CHECK(loom_run_plan_check(&q, &err) == LOOM_STATUS_ARG && strstr(err.msg, "one of --base and"));
    s.base_model = NULL, s.optimizer = LOOM_OPTIMIZER_MUON;
    CHECK(loom_run_plan_check(&q, &err) == LOOM_STATUS_ARG && strstr(err.msg, "--no-lora"));
    c.lora = true;
    CHECK(loom_run_plan_check(&p, &err) == LOOM_STATUS_ARG && strstr(err.msg, "--init"));
    c.lora = false, c.lora_init = LORA_INIT_PISSA;
    CHECK(loom_run_plan_check(&p, &err) == LOOM_STATUS_ARG && strstr(err.msg, "--lora-init"));
    c.lora_init = LORA_INIT_NORMAL, c.steps = c.tokens = 1;
    CHECK(loom_run_plan_check(&p, &err) == LOOM_STATUS_ARG && strstr(err.msg, "one of --steps and --tokens"));
    c.tokens = 0, c.prompt_weight = 0.5, c.packing = PACKING_JOINED;
    CHECK(loom_run_plan_check(&p, &err) == LOOM_STATUS_ARG && strstr(err.msg, "--packing samples"));
    c.packing = PACKING_SAMPLES, c.loss = LOSS_ANSWER;
    CHECK(loom_run_plan_check(&p, &err) == LOOM_STATUS_ARG && strstr(err.msg, "--loss all"));
    c.prompt_weight = 1, c.patience = 3;
    CHECK(loom_run_plan_check(&p, &err) == LOOM_STATUS_ARG && strstr(err.msg, "--valid"));
    c.valid = "v.h5", c.best = false;
    CHECK(loom_run_plan_check(&p, &err) == LOOM_STATUS_ARG && strstr(err.msg, "--no-best"));
    c.patience = 0, c.gce = 0.4, c.dp = "epsilon=8,delta=1e-5";
    CHECK(loom_run_plan_check(&p, &err) == LOOM_STATUS_ARG && strstr(err.msg, "--gce and --dp"));
    c.dp = "none";
    REQUIRE_OK(loom_run_plan_check(&p, &err), err);
    loom_run_plan_trainer(&p);
    CHECK(p.trainer.shape.gce == 0.4);
}

/* Memory is counted once and in full; activations are computed twice when that makes them fit, and only then. */
TEST(memory)
{
    train_conf c = defaults(&loom_cmd_pretrain);
    loom_run_plan p = {.conf = &c, .threads = 2, .data_bytes = 12345};
    loom_run_vocabulary words = {.size = 500, .bos_id = 1, .eos_id = 2};
    loom_train_memory m;
    loom_buf text = {0};
    loom_err err = {0};
    size_t kept, twice;

    REQUIRE_OK(loom_run_plan_shape(&p, &words, &err), err);
    loom_run_plan_trainer(&p);
    kept = loom_run_plan_memory(&p, &m);
    CHECK_I64(kept, m.weights + m.gradients + m.moments + m.activations + m.process + 12345);
    p.memory = 2 * (double)kept;
    CHECK(!loom_run_plan_choose_recompute(&p, &text) && loom_run_plan_fits(&p));
    p.memory = 1.05 * (double)kept; /* a tenth is left to others */
    CHECK(loom_run_plan_choose_recompute(&p, &text) && p.trainer.recompute);
    CHECK(strstr(loom_buf_text(&text), "computed twice"));
    CHECK(!loom_run_plan_choose_recompute(&p, &text));
    twice = loom_run_plan_memory(&p, &m);
    CHECK(twice < kept);
    REQUIRE_OK(loom_run_plan_check_memory(&p, &err), err);
    p.memory = (double)twice - 1;
    CHECK(!loom_run_plan_fits(&p));
    CHECK(loom_run_plan_check_memory(&p, &err) == LOOM_STATUS_NOMEM && strstr(err.msg, "--micro-tokens"));
    p.frozen = true; /* weights that stay in their file need not fit */
    REQUIRE_OK(loom_run_plan_check_memory(&p, &err), err);
    loom_buf_release(&text);
}

TEST(words)
{
    train_conf c = defaults(&loom_cmd_pretrain);
    loom_run_plan p = {.conf = &c, .threads = 3};
    loom_run_vocabulary words = {.size = 500, .bos_id = 1, .eos_id = 2};
    loom_rehearsal none = {0}, tried = {.steps = 4, .rows = 4000, .seconds = 2};
    loom_buf text = {0}, json = {0};
    loom_err err = {0};

    REQUIRE_OK(loom_run_plan_shape(&p, &words, &err), err);
    loom_run_plan_trainer(&p);
    p.trained = 1234567;
    c.steps = 100;
    loom_run_plan_schedule(&p, 0);
    loom_run_plan_text(&p, &none, "it is too large", &text);
    CHECK(strstr(loom_buf_text(&text), "100 steps of at most 4096 tokens, 5 of warm-up"));
    CHECK(strstr(loom_buf_text(&text), "not estimated: it is too large"));
    CHECK(strstr(loom_buf_text(&text), "2 kept"));
    loom_buf_reset(&text);
    loom_run_plan_text(&p, &tried, NULL, &text);
    CHECK(strstr(loom_buf_text(&text), "from 4 steps at 2000 tokens/s with 3 threads"));
    loom_run_plan_json(&p, &tried, NULL, &json);
    CHECK(strstr(loom_buf_text(&json), "\"trained\": 1234567") &&
          strstr(loom_buf_text(&json), "\"measured_steps\": 4"));
    loom_buf_reset(&text);
    c.minutes = 1.5;
    loom_run_plan_schedule(&p, 0);
    loom_run_plan_line(&p, &text);
    CHECK(strstr(loom_buf_text(&text),
                 "1.5 minutes, at least 100 steps of at most 4096 tokens, learning rate 0.002, 3 threads"));
    loom_buf_release(&text);
    loom_buf_release(&json);
}

/* ---- which options may change when a run goes on ---- */

static void rules_of(loom_buf *into, const loom_cmd *cmd, const train_conf *c)
{
    loom_ctx ctx = {.cmd = cmd, .conf = c};
    loom_run_plan p = {.conf = c};
    loom_run_identity id = {0};
    loom_err err = {0};

    REQUIRE_OK(loom_run_identity_rules(&id, &ctx, &p, &err), err);
    loom_buf_append(into, id.rules.data, id.rules.len);
    loom_run_identity_release(&id);
}

/* Another value than the default's. */
static const char *other_value(const loom_opt *o)
{
    static char text[32];
    int64_t step;

    switch (o->type) {
    case LOOM_OPT_TYPE_FLAG: return strcmp(o->value, "true") == 0 ? "false" : "true";
    case LOOM_OPT_TYPE_ENUM: {
        const char *bar = strchr(o->meta, '|');
        size_t first = (size_t)(bar - o->meta);
        bool is_first = strlen(o->value) == first && strncmp(o->meta, o->value, first) == 0;
        snprintf(text, sizeof text, "%.*s", is_first ? (int)strcspn(bar + 1, "|") : (int)first,
                 is_first ? bar + 1 : o->meta);
        return text;
    }
    case LOOM_OPT_TYPE_I64:
        step = (int64_t)o->min + 1;
        snprintf(text, sizeof text, "%lld", (long long)step);
        if (strcmp(text, o->value) == 0) snprintf(text, sizeof text, "%lld", (long long)step + 1);
        return text;
    case LOOM_OPT_TYPE_F64:
        snprintf(text, sizeof text, "%g", o->min > 0.25 ? o->min + 1 : 0.25);
        if (strcmp(text, o->value) == 0) snprintf(text, sizeof text, "%g", o->min + 0.125);
        return text;
    default: return strcmp(o->name, "dp") == 0 ? "noise=1" : "none"; /* of base-model: no file is read */
    }
}

/* Written down here once more, so that a mark in the table cannot go astray unseen. */
static bool is_free(const char *name, bool patient)
{
    static const char *const list[] = {"output", "save-every", "save-minutes", "keep",        "log-every",
                                       "plot",   "stop-after", "max-minutes",  "recompute",   "memory-limit",
                                       "best",   "base-model", "net-gbits",    "net-latency", "dp-secret"};

    if (strncmp(name, "valid", 5) == 0) return !patient;
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (strcmp(list[i], name) == 0) return true;
    return false;
}

static void check_marks(const loom_cmd *cmd, bool patient)
{
    for (const loom_opt *o = cmd->opts; o->type != LOOM_OPT_TYPE_END; o++) {
        train_conf c = defaults(cmd);
        loom_buf before = {0}, after = {0};
        loom_err err = {0};

        /* read from files, or (compute) told as what it comes to */
        if (!loom_opt_is_value(o) || strcmp(o->name, "init") == 0 || strcmp(o->name, "base") == 0 ||
            strcmp(o->name, "compute") == 0)
            continue;
        c.patience = patient ? 5 : 0;
        rules_of(&before, cmd, &c);
        REQUIRE_OK(loom_opt_set(&c, o, other_value(o), o->name, &arena, &err), err);
        rules_of(&after, cmd, &c);
        if ((strcmp(before.data, after.data) == 0) != is_free(o->name, patient)) fprintf(stderr, "  --%s\n", o->name);
        CHECK((strcmp(before.data, after.data) == 0) == is_free(o->name, patient));
        loom_buf_release(&before);
        loom_buf_release(&after);
    }
}

TEST(what_may_change)
{
    check_marks(&loom_cmd_pretrain, false);
    check_marks(&loom_cmd_pretrain, true);
    check_marks(&loom_cmd_sft, false);
    check_marks(&loom_cmd_sft, true);
}

/* Runs of versions without --lora-init go on. */
TEST(late_options)
{
    train_conf c = defaults(&loom_cmd_sft);
    loom_buf rules = {0};
    loom_err err;

    rules_of(&rules, &loom_cmd_sft, &c);
    CHECK(strstr(rules.data, "--lora-rank=8\n") && !strstr(rules.data, "lora-init"));
    c.lora_init = LORA_INIT_PISSA;
    loom_buf_reset(&rules);
    rules_of(&rules, &loom_cmd_sft, &c);
    CHECK(strstr(rules.data, "--lora-init=pissa\n") != NULL);
    CHECK(!strstr(rules.data, "--shards"));
    c.shards = 16;
    loom_buf_reset(&rules);
    rules_of(&rules, &loom_cmd_sft, &c);
    CHECK(strstr(rules.data, "--shards=16\n") != NULL);
    /* what is not told is held against runs that tell of it */
    CHECK(loom_snapshot_same_rules("--lora-init=normal\n", "--lora-rank=8\n", false, "d", &err) == LOOM_OK);
    CHECK(loom_snapshot_same_rules("--lora-init=normal\n", "--lora-init=pissa\n", false, "d", &err) == LOOM_STATUS_ARG);
    CHECK(loom_snapshot_same_rules("--shards=8\n", "--lora-rank=8\n", true, "d", &err) == LOOM_STATUS_ARG);
    loom_buf_release(&rules);
}

TEST_MAIN(RUN(length) RUN(rows) RUN(shape) RUN(contradictions) RUN(memory) RUN(words) RUN(what_may_change)
              RUN(late_options) loom_arena_release(&arena);)
