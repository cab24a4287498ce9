/* A base model takes on the names of another system: its vocabulary of names is replaced, all else stays.
 *
 * Rows of the embedding (and of the head, where it is not tied) of the format part are copied. Every name gets a row
 * drawn from the normal distribution of the base's own names, of the same kind (microservices, services) where the base
 * has more of them than a row has numbers, else of all names; the two rows of an untied name are drawn together. Names
 * that both systems have are drawn too: MS_00012 here and MS_00012 there are two services. A row depends on seed and
 * name only, not on the place of the name in the vocabulary. */
#ifndef LOOM_TRAIN_TRANSPLANT_H
#define LOOM_TRAIN_TRANSPLANT_H

#include "model/model_files.h"

typedef struct loom_transplant_report {
    bool same;                               /* the tokenizers were equal: nothing was changed */
    int64_t shared, microservices, services; /* tokens copied; names drawn */
} loom_transplant_report;

/* Gives the model of a bundle (float32, no adapter) the tokenizer.json text[0..len); `whose` names it in messages. The
 * bundle's model and tokenizer are then new; its path, digest and meta still say where the base was. FORMAT, naming the
 * first token that differs, when the format parts are not equal; then, as on any failure, the bundle is as it was. */
loom_status loom_transplant(loom_model_files *b, loom_transplant_report *report, const char *text, size_t len,
                            const char *whose, uint64_t seed, loom_err *err);
/* "368 tokens shared, 1427 microservices and 60 services new", or that nothing had to change. Returns text. */
const char *loom_transplant_text(char *text, size_t cap, const loom_transplant_report *report);

#endif
