/* A frozen model as a classifier: its last hidden states, and a linear head upon them.
 *
 *   LOOM_TRY(loom_classifier_states(states, &questions, model, lora, acts, LOOM_STATE_LAST, err));
 *   loom_classifier head = {0};
 *   LOOM_TRY(loom_classifier_fit(&head, states, questions.yes, index, n, F, &conf, err));
 *   double margin = loom_classifier_margin(&head, row);        of states as they come
 *
 * Settings of the head are chosen by its loss on a part of the samples that it is not trained on. */
#ifndef LOOM_TRAIN_CLASSIFIER_H
#define LOOM_TRAIN_CLASSIFIER_H

#include "learn/logistic.h"
#include "model/step.h"
#include "train/yes_no.h"

/* states (q->n, F), F = loom_state_size(which, C); batches of at most max_rows tokens. INTERRUPT when asked to stop. */
loom_status loom_classifier_states(float *states, const loom_yes_no *q, const loom_llama *m, const loom_lora *lora,
                                   loom_acts *acts, int64_t max_rows, loom_state_of which, loom_err *err);

typedef struct loom_classifier_conf {
    loom_solver solver;
    double valid_share; /* of the samples, to choose by */
    int64_t epochs;     /* Adam */
    uint64_t seed;
} loom_classifier_conf;

/* A head that was trained, with the standardisation of its features folded in. */
typedef struct loom_classifier {
    double *w; /* (F+1), the bias last */
    int64_t F;
    loom_logistic_conf how; /* chosen: decay, or rate and batch */
    int64_t n_train, n_valid;
    double valid_loss, valid_accuracy;
} loom_classifier; /* zero-initialised is ready */

/* Trains on the samples index[0..n) of states (.., F), the first of them to choose by. FORMAT when the rest is of one
 * class. */
loom_status loom_classifier_fit(loom_classifier *head, const float *states, const bool *yes, const int64_t *index,
                                int64_t n, int64_t F, const loom_classifier_conf *conf, loom_err *err);
double loom_classifier_margin(const loom_classifier *head, const float *state);
void loom_classifier_release(loom_classifier *head);

#endif
