/* Inside of checkpoints: ckpt_entries.c below ckpt_read.c, that below ckpt_write.c (which reads back) and
 * ckpt_folder.c. */
#ifndef LOOM_STORE_CKPT_IMPL_H
#define LOOM_STORE_CKPT_IMPL_H

#include "core/file.h"
#include "store/ckpt.h"

#define LOOM_CKPT_FORMAT  "spanloom-checkpoint"
#define LOOM_CKPT_VERSION 1

typedef struct loom_ckpt_item {
    loom_ckpt_entry e;
    int64_t offset; /* in the file; reading only */
    char *text;     /* texts; reading only */
} loom_ckpt_item;

typedef struct loom_ckpt_entries {
    loom_ckpt_item *items;
    size_t n, cap;
} loom_ckpt_entries;

void loom_ckpt_entries_release(loom_ckpt_entries *list);
int loom_ckpt_by_name(const void *a, const void *b); /* order of loom_ckpt_item */
/* Digest of the whole: names, types, shapes and checksums in name order, into which the list is put. */
uint64_t loom_ckpt_entries_digest(loom_ckpt_entries *list);

struct loom_ckpt {
    char *path;
    int fd;
    size_t size; /* of the file */
    loom_ckpt_entries list;
    char digest[17];
    loom_map_file map; /* empty until something is mapped */
};

/* A checkpoint file; loom_ckpt_open takes folders, too. */
loom_status loom_ckpt_open_file(loom_ckpt **out, const char *path, loom_err *err);

#endif
