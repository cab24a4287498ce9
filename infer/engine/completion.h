/* Completions: prompts go in, texts come out, many at a time. The loop that grows call graphs
 * (infer/loop/generate.h) knows only this interface; behind it stands a model (infer/engine/engine.h) or, in tests,
 * a table of answers.
 *
 *   loom_job job = {.prompt = "...", .prompt_len = n, .stops = stops, .n_stops = 3, .max_tokens = 4096};
 *   loom_rng_seed(&job.rng, seed, "sample", index);
 *   LOOM_TRY(completer->submit(completer, &job, err));
 *   do { LOOM_TRY(completer->step(completer, &done, err)); } while (!done);     done == &job
 *
 * What a job returns depends on the job alone (its prompt, limits, stream), never on the other jobs in flight. */
#ifndef LOOM_INFER_COMPLETION_H
#define LOOM_INFER_COMPLETION_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/rng.h"
#include "trace/constrain/automaton.h"

typedef enum loom_stop {
    LOOM_STOP_STRING, /* a stop string was generated; it is cut off the text */
    LOOM_STOP_EOS,    /* the model ended the text */
    LOOM_STOP_LENGTH  /* max_tokens or the model's context is used up */
} loom_stop;
extern const char *const loom_stop_names[]; /* "stop", "eos", "length": what the answers file says */

#define LOOM_MASK_BINS 100

/* What constrained decoding did to a text. */
typedef struct loom_mask_stats {
    int64_t tokens;               /* sampled under a constraint */
    int64_t forced;               /* appended without asking the model (jump-ahead) */
    int64_t changed;              /* tokens where the model's own choice was refused */
    int64_t names, names_changed; /* of tokens and changed: where a name was chosen from a list */
    int64_t whole;  /* of these: where none of the candidates was allowed and the whole vocabulary was masked */
    double removed; /* sum over `changed` of the probability mass that was refused, each in (0, 1] */
    int64_t bins[LOOM_MASK_BINS]; /* how often that mass lay in ((b) / BINS, (b + 1) / BINS] */
} loom_mask_stats;

void loom_mask_add(loom_mask_stats *to, const loom_mask_stats *more);
double loom_mask_mean(const loom_mask_stats *m); /* of the mass refused, over `changed`; 0 when there is none */
/* Smallest mass, rounded up to a bin, that the share q in (0, 1] of `changed` does not exceed; 0 when there is none. */
double loom_mask_quantile(const loom_mask_stats *m, double q);

typedef struct loom_job {
    /* ---- request; borrowed until the job is done ---- */
    const char *prompt;
    size_t prompt_len;
    const char *const *stops;
    size_t n_stops;
    int64_t max_tokens;
    double temperature;      /* 0: greedy */
    int64_t top_k;           /* 0: off */
    double top_p;            /* 0: off */
    double min_p;            /* 0: off */
    loom_rng rng;            /* the job's own stream */
    loom_automaton *guide;   /* NULL: the text is free. Else at its start state; moved along with the text */
    void *owner;             /* for the caller */
    void *party;             /* where several callers share a completer: whose job it is */
    bool bos;                /* the prompt begins with the BOS token */
    bool want_logprobs;      /* keep ids and log-probabilities of the generated tokens */
    int64_t n_top;           /* with want_logprobs: and as many of the most likely tokens at each place */
    const int32_t *stop_ids; /* (n_stop_ids) tokens that end a free text, as the model's own end does */
    size_t n_stop_ids;

    /* ---- result; the job's owner releases it with loom_job_release ---- */
    loom_buf text; /* generated text, stop string removed */
    loom_stop stop;
    int64_t n_prompt; /* tokens of the prompt */
    int64_t n_tokens; /* tokens generated, the one that ended the text included */
    double logprob;   /* sum over the generated tokens, of the unfiltered model; 0 unless want_logprobs */
    int32_t *ids;     /* (n_ids) generated tokens; NULL unless want_logprobs */
    float *logprobs;  /* (n_ids) */
    int32_t *top_ids; /* (n_ids, n_top) most likely first; NULL unless n_top */
    float *top_logprobs;
    size_t n_ids, cap_ids, cap_logprobs, cap_top_ids, cap_top_logprobs;
    loom_mask_stats mask;

    /* ---- the completer's own ---- */
    struct loom_job *next;
    loom_automaton_state at; /* of the guide, behind the text so far */
} loom_job;                  /* zero-initialised, then filled */

void loom_job_release(loom_job *job);

typedef struct loom_completer loom_completer;
struct loom_completer {
    int64_t room; /* jobs that can be submitted now without waiting behind others */
    /* Borrows the job until step returns it. ARG when the prompt cannot be served (too long). */
    loom_status (*submit)(loom_completer *c, loom_job *job, loom_err *err);
    /* Some work on all jobs in flight; *done is a list (by ->next) of those that ended, NULL when none did. */
    loom_status (*step)(loom_completer *c, loom_job **done, loom_err *err);
    /* Forgets a job that was submitted and has not come back; it never does. Between steps only. */
    void (*cancel)(loom_completer *c, loom_job *job);
};

/* Cuts text[from..] at the first stop string that ends behind `from`. True when one was found. */
bool loom_cut_at_stop(loom_buf *text, size_t from, const char *const *stops, size_t n_stops);

#endif
