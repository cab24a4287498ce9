/* What the shards of small tests say of themselves: tabular text of a vocabulary with BOS 1 and EOS 2. */
#ifndef LOOM_TESTS_SMALL_SHARD_H
#define LOOM_TESTS_SMALL_SHARD_H

#include "store/shard.h"

static inline loom_shard_spec small_shard(int64_t vocabulary)
{
    return (loom_shard_spec){.vocab_size = vocabulary,
                             .bos_id = 1,
                             .eos_id = 2,
                             .has_eos = true,
                             .mode = "tabular",
                             .tokenizer = "{}",
                             .tokenizer_len = 2};
}

#endif
