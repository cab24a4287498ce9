#include "eval/answers/trained.h"

#include <stdio.h>
#include <string.h>

#include "core/escape.h"
#include "core/meta.h"
#include "core/num.h"
#include "model/training.h"

#define MOST_TRAININGS 4 /* one after another, told in one line */

const char *loom_group_digits(char *text, size_t cap, int64_t v)
{
    char digits[32];
    int n = snprintf(digits, sizeof digits, "%lld", (long long)v), out = 0;
    for (int i = 0; i < n && (size_t)out + 2 < cap; i++) {
        if (i && (n - i) % 3 == 0) text[out++] = ',';
        text[out++] = digits[i];
    }
    text[out] = 0;
    return text;
}

/* ", " between facts */
static void next(loom_buf *into, size_t begin)
{
    if (into->len > begin) loom_buf_str(into, ", ");
}

/* ---- where it began ---- */

static void digest_note(loom_buf *into, const char *digest)
{
    if (*digest) loom_buf_printf(into, " (digest %.8s)", digest);
}

/* The folder of a run, or the file when it is called otherwise than the results of runs are. */
static void model_name(loom_buf *into, const char *path)
{
    static const char *const usual[] = {"/model.h5", "/adapter.h5", "/"};
    size_t len = strlen(path);
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        size_t n = strlen(usual[i]);
        if (len > n && strcmp(path + len - n, usual[i]) == 0) len -= n;
    }
    size_t from = len;
    while (from > 0 && path[from - 1] != '/') from--;
    loom_escape(into, path + from, len - from);
}

static void start_of(loom_buf *into, const char *from, const char *path, const char *digest)
{
    if (strcmp(from, loom_training_starts[LOOM_TRAINING_RANDOM]) == 0) {
        loom_buf_str(into, "from random weights");
    } else if (strcmp(from, loom_training_starts[LOOM_TRAINING_BASE]) == 0) {
        loom_buf_str(into, "from the base model");
        digest_note(into, digest);
    } else if (strcmp(from, loom_training_starts[LOOM_TRAINING_MODEL]) == 0) {
        loom_buf_str(into, "from ");
        if (*path) model_name(into, path);
        else loom_buf_str(into, "a model");
        digest_note(into, digest);
    }
}

/* ---- training.json ---- */

static bool time_note(loom_buf *into, size_t begin, const loom_json *training)
{
    double seconds = loom_json_f64(loom_json_get(training, "seconds"), -1);
    if (seconds < 0) return false;
    next(into, begin);
    if (seconds < 59.5) loom_buf_printf(into, "%.0f s", seconds);
    else loom_buf_printf(into, "%.1f min", seconds / 60);
    return true;
}

/* " on 2 threads of AMD EPYC", behind the time */
static void machines_note(loom_buf *into, const loom_json *training)
{
    const loom_json *machines = loom_json_get(training, "machines");
    for (size_t i = 0; i < loom_json_len(machines); i++) {
        const loom_json *m = loom_json_at(machines, i);
        const char *cpu = loom_json_text(m, "cpu");
        int64_t threads = loom_json_i64(loom_json_get(m, "threads"), 0),
                ranks = loom_json_i64(loom_json_get(m, "ranks"), 1);
        if (threads < 1) continue;
        loom_buf_str(into, i ? " and " : " on ");
        if (ranks > 1) loom_buf_printf(into, "%lld processes of ", (long long)ranks);
        loom_buf_printf(into, "%lld thread%s", (long long)threads, threads == 1 ? "" : "s");
        if (*cpu) loom_buf_str(into, " of "), loom_escape(into, cpu, strlen(cpu));
    }
}

static void steps_note(loom_buf *into, size_t begin, int64_t steps)
{
    char text[40];
    if (steps < 0) return;
    next(into, begin);
    loom_buf_printf(into, "%s step%s", loom_group_digits(text, sizeof text, steps), steps == 1 ? "" : "s");
}

static void tokens_note(loom_buf *into, size_t begin, const loom_json *training)
{
    int64_t tokens = loom_json_i64(loom_json_get(training, "tokens"), -1);
    if (tokens < 0) return;
    next(into, begin);
    if (tokens < 1000) loom_buf_printf(into, "%lld tokens", (long long)tokens);
    else if (tokens < 999950) loom_buf_printf(into, "%.1f K tokens", 1e-3 * (double)tokens);
    else loom_buf_printf(into, "%.1f M tokens", 1e-6 * (double)tokens);
}

static void start_note(loom_buf *into, const loom_json *training)
{
    const loom_json *start = loom_json_get(training, "start");
    start_of(into, loom_json_text(start, "from"), loom_json_text(start, "path"), loom_json_text(start, "digest"));
}

static void last_training(loom_buf *into, const loom_json *training)
{
    int64_t kept = loom_json_i64(loom_json_get(training, "kept_step"), -1);
    const char *products = loom_json_text(training, "products");
    size_t begin = into->len;
    char text[40];
    start_note(into, training);
    if (time_note(into, begin, training)) machines_note(into, training);
    tokens_note(into, begin, training);
    steps_note(into, begin, loom_json_i64(loom_json_get(training, "steps"), -1));
    if (kept >= 0) loom_buf_printf(into, " (best at %s)", loom_group_digits(text, sizeof text, kept));
    if (*products) next(into, begin), loom_escape(into, products, strlen(products));
}

/* In short: the line is for a picture. */
static void earlier_training(loom_buf *into, const loom_json *training)
{
    loom_buf_str(into, "; before that ");
    size_t begin = into->len;
    start_note(into, training);
    time_note(into, begin, training);
    tokens_note(into, begin, training);
}

static const loom_json *before(const loom_json *training)
{
    return loom_json_get(loom_json_get(training, "start"), "training");
}

static void trainings(loom_buf *into, const loom_json *training)
{
    last_training(into, training);
    training = before(training);
    for (int i = 1; training && i < MOST_TRAININGS; i++, training = before(training)) earlier_training(into, training);
}

/* ---- what the model itself says ---- */

static void from_model(loom_buf *into, const loom_json *model, int64_t step)
{
    const char *command = loom_json_text(model, "subcommand"), *base = loom_json_text(model, "base"),
               *digest = loom_json_text(model, "base_digest");
    const loom_json *options = loom_json_get(model, "options");
    const char *base_model = loom_json_text(options, "base-model");
    bool pretrain = strcmp(command, "pretrain") == 0;
    size_t begin = into->len;
    if (strcmp(command, "adapt") == 0) {
        loom_buf_str(into, "the base model");
        digest_note(into, digest);
        loom_buf_str(into, " with other names, no training on these graphs");
        return;
    }
    if (!pretrain && strcmp(command, "sft") != 0) return;
    if (*base_model && strcmp(base_model, "none") != 0)
        start_of(into, loom_training_starts[LOOM_TRAINING_BASE], base, digest);
    else if (*base) start_of(into, loom_training_starts[LOOM_TRAINING_MODEL], base, digest);
    else if (pretrain && options && !*loom_json_text(options, "init"))
        start_of(into, loom_training_starts[LOOM_TRAINING_RANDOM], "", "");
    steps_note(into, begin, step);
}

void loom_trained_from_meta(loom_buf *into, const loom_json *meta)
{
    const loom_json *training = loom_json_get(meta, "model_training");
    if (loom_json_is_object(training)) trainings(into, training);
    else from_model(into, loom_json_get(meta, "model_meta"), loom_json_i64(loom_json_get(meta, "model_step"), -1));
}

void loom_trained_line(loom_buf *into, const char *answers)
{
    loom_json *meta = loom_meta_load(answers, true);
    loom_trained_from_meta(into, meta);
    loom_json_free(meta);
}
