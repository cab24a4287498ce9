/* Names of a sample exchanged for others, one to one: a name is then copied from where it stands, never guessed from
 * what usually calls what. The others are drawn from a pool of made-up names, which occur so often that a tokenizer
 * learns them whole, and from all numbers, which are so rare that they are spelled digit by digit.
 *
 *   loom_exchange x;
 *   LOOM_TRY(loom_exchange_init(&x, &(loom_exchange_conf){.pool = {1500, 250}, .spelled = 0.15, .seed = 1}, err));
 *   if (loom_exchange_sample(&x, text, len, number)) use(x.text.data, x.text.len);
 *   loom_exchange_release(&x);
 *
 * What a sample becomes follows from seed and number alone; the pool from its size alone, so that the texts of several
 * runs share it. Pool names are numbers that no world of the profile base uses (sample_shape.h). */
#ifndef LOOM_PREPROCESS_TEXTS_EXCHANGE_H
#define LOOM_PREPROCESS_TEXTS_EXCHANGE_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/rng.h"

typedef enum loom_name_kind { LOOM_NAME_MICROSERVICE, LOOM_NAME_SERVICE, LOOM_NAME_KINDS } loom_name_kind;

/* The next MS_<digits> or S_<digits> in text[at .. len): where it begins, `len` without one; its length and kind. */
size_t loom_name_next(const char *text, size_t at, size_t len, size_t *name_len, loom_name_kind *kind);

#define LOOM_EXCHANGE_MOST 1000 /* different names of a sample; one with more keeps its names */

typedef struct loom_exchange_conf {
    int64_t pool[LOOM_NAME_KINDS]; /* names of each kind, up to loom_exchange_max */
    double spelled; /* mean share of a sample's names drawn from all numbers; it varies from sample to sample, 0 to 1 */
    double kept;    /* mean share of a sample's microservices that stay as they are; likewise */
    uint64_t seed;
} loom_exchange_conf;

extern const int64_t loom_exchange_max[LOOM_NAME_KINDS];

typedef struct loom_exchange_name {
    const char *from; /* in the sample */
    size_t len;
    loom_name_kind kind;
    int32_t to; /* its own number if it is kept; -1 where that is too large */
    bool kept;
} loom_exchange_name;

typedef struct loom_exchange {
    loom_exchange_conf conf;
    int32_t *pool[LOOM_NAME_KINDS];
    loom_exchange_name names[LOOM_EXCHANGE_MOST];
    int32_t n;
    loom_buf text; /* the last sample with other names */
} loom_exchange;

loom_status loom_exchange_init(loom_exchange *x, const loom_exchange_conf *conf, loom_err *err);
/* Fills x->text. False, and no text, when the sample has no names or too many. Each name is exchanged or kept
 * throughout the sample, and no two names become one. */
bool loom_exchange_sample(loom_exchange *x, const char *text, size_t len, uint64_t number);
void loom_exchange_release(loom_exchange *x);

#endif
