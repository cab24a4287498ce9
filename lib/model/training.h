/* How a model came to be, with what was measured: training.json beside model.h5 or adapter.h5. The model itself
 * must not hold times and machines, since the same training gives the same bytes; this file may, and is believed
 * only while the checkpoint that it tells of lies beside it.
 *
 *   loom_training t = {.command = "pretrain", .steps = 1021, ...};
 *   LOOM_TRY(loom_training_write("runs/small/model.h5", &t, err));
 *
 *   loom_buf text = {0};
 *   LOOM_TRY(loom_training_find(&text, "runs/small/model.h5", err));
 *   if (text.len) use(text.data);                                              JSON, one line
 *   loom_buf_release(&text); */
#ifndef LOOM_MODEL_TRAINING_H
#define LOOM_MODEL_TRAINING_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

typedef enum loom_training_start {
    LOOM_TRAINING_RANDOM, /* weights drawn at random */
    LOOM_TRAINING_MODEL,  /* a model with the same tokenizer */
    LOOM_TRAINING_BASE,   /* a base model that took on other names */
} loom_training_start;
extern const char *const loom_training_starts[]; /* "random weights", "model", "base model" */

typedef struct loom_training {
    const char *command; /* pretrain, sft */
    int64_t steps, tokens;
    int64_t kept_step;    /* the weights are those of this step; -1: of the last */
    double seconds;       /* of training, with its validations and checkpoints */
    const char *machines; /* JSON list (loom_training_add_machine); NULL: not known of all parts of the run */
    const char *products; /* bf16, f32 */
    const char *privacy;  /* JSON object of a training with differential privacy; NULL: it was without */
    loom_training_start start;
    const char *start_path, *start_digest; /* unless random */
    const char *start_training;            /* the start's own training.json; NULL: not known */
} loom_training;

/* Writes training.json beside the checkpoint, atomically, over the one that is there. */
loom_status loom_training_write(const char *checkpoint, const loom_training *t, loom_err *err);

/* Appends the text of training.json beside a checkpoint; nothing when there is none, it is none of ours, or it tells of
 * another checkpoint. An error when it is there and cannot be read. A folder (Hugging Face) has none. */
loom_status loom_training_find(loom_buf *into, const char *checkpoint, loom_err *err);

/* Puts this machine ([{"threads": 2, "cpu": "..."}], the CPU only if the system names it) into a JSON list of them,
 * unless it is there. An empty text becomes a list. ranks: processes with as many threads each, told if there are
 * several. */
loom_status loom_training_add_machine(loom_buf *list, int64_t threads, int ranks, loom_err *err);

#endif
