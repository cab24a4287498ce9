#include "train/classifier.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/num.h"
#include "learn/heads.h"
#include "learn/svm.h"

/* ---- states ---- */

loom_status loom_classifier_states(float *states, const loom_yes_no *q, const loom_llama *m, const loom_lora *lora,
                                   loom_acts *acts, int64_t max_rows, loom_state_of which, loom_err *err)
{
    int64_t *segments = loom_alloc((size_t)max_rows + 1, sizeof *segments), next;
    int64_t F = loom_state_size(which, m->config.C);
    loom_status st = segments ? LOOM_OK : loom_fail_nomem(err, "a batch");

    for (int64_t i = 0; st == LOOM_OK && i < q->n; i = next) {
        for (next = i; next < q->n && q->first[next + 1] - q->first[i] <= max_rows; next++)
            segments[next - i] = q->first[next] - q->first[i];
        segments[next - i] = q->first[next] - q->first[i];
        loom_batch b = {
            .N = segments[next - i], .n_segments = next - i, .tokens = q->tokens + q->first[i], .segments = segments};
        st = loom_stop_requested() ? loom_fail(err, LOOM_STATUS_INTERRUPT, "interrupted; nothing was left half-written")
                                   : loom_llama_states(acts, m, lora, &b, which, states + i * F, err);
    }
    free(segments);
    return st;
}

/* ---- one head ---- */

static const double decays[] = {1e-4, 1e-3, 1e-2, 1e-1, 1};
static const double rates[] = {1e-4, 1e-3, 1e-2};
static const int64_t batches[] = {2, 16, 128};
#define COUNT(list) ((int)(sizeof(list) / sizeof *(list)))

/* Features and classes of some samples. */
typedef struct part {
    float *x;
    bool *y;
    int64_t n;
} part;

static void part_release(part *p)
{
    free(p->x);
    free(p->y);
}

static loom_status gather(part *p, const float *states, const bool *yes, const int64_t *index, int64_t n, int64_t F,
                          loom_err *err)
{
    *p = (part){loom_alloc((size_t)n * (size_t)F + 1, sizeof *p->x), loom_alloc((size_t)n + 1, sizeof *p->y), n};
    if (!p->x || !p->y) return loom_fail_nomem(err, "the features of a classifier");
    for (int64_t i = 0; i < n; i++) {
        memcpy(p->x + i * F, states + index[i] * F, (size_t)F * sizeof *p->x);
        p->y[i] = yes[index[i]];
    }
    return LOOM_OK;
}

static void judge(double *loss, double *accuracy, const loom_logistic *fit, const part *p)
{
    int64_t right = 0;

    *loss = 0;
    for (int64_t i = 0; i < p->n; i++) {
        double margin = loom_logistic_margin(fit, p->x + i * fit->F);
        *loss += loom_head_bernoulli(NULL, margin, p->y[i]) / (double)p->n;
        right += (margin > 0) == p->y[i];
    }
    *accuracy = p->n ? (double)right / (double)p->n : NAN;
}

/* Settings number k; false: there are no more. */
static bool setting(loom_logistic_conf *how, const loom_classifier_conf *conf, int k)
{
    bool adam = conf->solver == LOOM_SOLVER_ADAM;

    if (k >= (adam ? COUNT(rates) * COUNT(batches) : COUNT(decays))) return false;
    *how = (loom_logistic_conf){.solver = conf->solver, .epochs = conf->epochs, .seed = conf->seed};
    if (adam) how->lr = rates[k / COUNT(batches)], how->batch = batches[k % COUNT(batches)];
    else how->decay = decays[k];
    return true;
}

/* margin = w . (x - mean) factor + b, as a head upon x itself */
static loom_status fold(loom_classifier *head, const loom_logistic *fit, const loom_scaler *scale, loom_err *err)
{
    if (!head->w && !(head->w = loom_alloc((size_t)fit->F + 1, sizeof *head->w)))
        return loom_fail_nomem(err, "a classifier");
    head->w[fit->F] = fit->w[fit->F];
    for (int64_t c = 0; c < fit->F; c++) {
        head->w[c] = fit->w[c] * scale->factor[c];
        head->w[fit->F] -= head->w[c] * scale->mean[c];
    }
    return LOOM_OK;
}

static loom_status choose(loom_classifier *head, const part *train, const part *valid, const loom_scaler *scale,
                          const loom_classifier_conf *conf, loom_err *err)
{
    loom_logistic_conf how;
    loom_status st = LOOM_OK;

    head->valid_loss = INFINITY;
    for (int k = 0; st == LOOM_OK && setting(&how, conf, k); k++) {
        loom_logistic fit = {0};
        double loss, accuracy;
        st = loom_logistic_fit(&fit, train->x, train->y, train->n, head->F, &how, err);
        if (st != LOOM_OK) break;
        judge(&loss, &accuracy, &fit, valid);
        if (loss < head->valid_loss) {
            head->valid_loss = loss;
            head->valid_accuracy = accuracy;
            head->how = how;
            st = fold(head, &fit, scale, err);
        }
        loom_logistic_release(&fit);
    }
    if (st == LOOM_OK && !head->w)
        st = loom_fail(err, LOOM_STATUS_NUMERIC, "no setting of the classifier gave a finite loss");
    return st;
}

loom_status loom_classifier_fit(loom_classifier *head, const float *states, const bool *yes, const int64_t *index,
                                int64_t n, int64_t F, const loom_classifier_conf *conf, loom_err *err)
{
    int64_t n_valid = loom_max_i64(1, (int64_t)(conf->valid_share * (double)n));
    part train = {0}, valid = {0};
    loom_scaler scale = {0};

    *head = (loom_classifier){.F = F, .n_train = n - n_valid, .n_valid = n_valid};
    loom_status st = gather(&valid, states, yes, index, n_valid, F, err);
    if (st == LOOM_OK) st = gather(&train, states, yes, index + n_valid, n - n_valid, F, err);
    if (st == LOOM_OK) st = loom_scaler_fit(&scale, train.x, train.n, F, err);
    if (st == LOOM_OK) {
        loom_scaler_apply(train.x, &scale, train.n);
        loom_scaler_apply(valid.x, &scale, valid.n);
        st = choose(head, &train, &valid, &scale, conf, err);
    }
    loom_scaler_release(&scale);
    part_release(&train);
    part_release(&valid);
    if (st != LOOM_OK) loom_classifier_release(head);
    return st;
}

double loom_classifier_margin(const loom_classifier *head, const float *state)
{
    double sum = head->w[head->F];

    for (int64_t c = 0; c < head->F; c++) sum += head->w[c] * (double)state[c];
    return sum;
}

void loom_classifier_release(loom_classifier *head)
{
    free(head->w);
    *head = (loom_classifier){0};
}
