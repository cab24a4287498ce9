/* Which tokens a training text might have had instead, at each place of an answer: those behind which the answer can
 * still become valid, as --constrain full has it (trace/constrain/automaton.h). They follow from the request and from
 * what is written so far, not from what comes; except that an answer which begins with the edge that its layer is asked
 * for might have had no other first. An answer that is right but for lacking what it is asked for (`balance --unmet`)
 * is wrong at the first label that leads away from it, and teaches nothing else. For `loom_batch.allowed`. */
#ifndef LOOM_TRAIN_ALLOWED_H
#define LOOM_TRAIN_ALLOWED_H

#include "core/pool.h"
#include "model/step.h"
#include "store/shard.h"

typedef struct loom_allowed loom_allowed;

/* For batches of shards like this one; borrows info and pool. FORMAT when the shard's tokenizer cannot be read or its
 * mode is none of ours. */
loom_status loom_allowed_new(loom_allowed **out, const loom_shard_info *info, loom_pool *pool, loom_err *err);
void loom_allowed_free(loom_allowed *x); /* NULL is fine */

/* Sets b->allowed and b->labels (less those that teach nothing), borrowed until the next call. Each sequence must be
 * one whole sample whose labels begin to count where its answer begins. Rows without a bit: nothing is known, because
 * the text broke a rule before (ids of edges that were left out, say) or its request cannot be read. */
loom_status loom_allowed_fill(loom_allowed *x, loom_batch *b, loom_err *err);

/* Counted rows so far, and those of them of which something was known. */
void loom_allowed_seen(const loom_allowed *x, int64_t *rows, int64_t *known);

#endif
