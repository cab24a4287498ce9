/* What the writer and the reader of token shards agree on. */
#ifndef LOOM_STORE_SHARD_IMPL_H
#define LOOM_STORE_SHARD_IMPL_H

#define LOOM_SHARD_FORMAT  "spanloom-tokens"
#define LOOM_SHARD_VERSION 1
#define LOOM_SHARD_CHUNK   32768 /* elements; also the block that is gathered before it is written */

#endif
