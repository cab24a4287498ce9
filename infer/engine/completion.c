#include "infer/engine/completion.h"

#include <math.h>
#include <stdlib.h>

const char *const loom_stop_names[] = {"stop", "eos", "length"};

void loom_job_release(loom_job *job)
{
    loom_buf_release(&job->text);
    free(job->ids);
    free(job->logprobs);
    free(job->top_ids);
    free(job->top_logprobs);
    job->ids = job->top_ids = NULL;
    job->logprobs = job->top_logprobs = NULL;
    job->n_ids = job->cap_ids = job->cap_logprobs = job->cap_top_ids = job->cap_top_logprobs = 0;
}

void loom_mask_add(loom_mask_stats *to, const loom_mask_stats *more)
{
    to->tokens += more->tokens;
    to->forced += more->forced;
    to->changed += more->changed;
    to->names += more->names;
    to->names_changed += more->names_changed;
    to->whole += more->whole;
    to->removed += more->removed;
    for (int b = 0; b < LOOM_MASK_BINS; b++) to->bins[b] += more->bins[b];
}

double loom_mask_mean(const loom_mask_stats *m) { return m->changed ? m->removed / (double)m->changed : 0; }

double loom_mask_quantile(const loom_mask_stats *m, double q)
{
    int64_t seen = 0, want = (int64_t)ceil(q * (double)m->changed);

    for (int b = 0; m->changed && b < LOOM_MASK_BINS; b++)
        if ((seen += m->bins[b]) >= want) return (b + 1) / (double)LOOM_MASK_BINS;
    return 0;
}

bool loom_cut_at_stop(loom_buf *text, size_t from, const char *const *stops, size_t n_stops)
{
    size_t best = text->len;

    for (size_t i = 0; i < n_stops; i++) {
        size_t len = strlen(stops[i]);
        size_t start = from >= len ? from - len + 1 : 0; /* the match must end behind `from` */
        if (len == 0 || text->len < start + len) continue;
        const char *hit = memmem(text->data + start, text->len - start, stops[i], len);
        if (hit && (size_t)(hit - text->data) < best) best = (size_t)(hit - text->data);
    }
    if (best == text->len) return false;
    text->len = best;
    text->data[best] = 0;
    return true;
}
