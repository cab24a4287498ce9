#include "core/gzip.h"

#include <archive.h>
#include <archive_entry.h>

static la_ssize_t take(struct archive *a, void *into, const void *data, size_t len)
{
    (void)a;
    loom_buf_append(into, data, len);
    return (la_ssize_t)len;
}

/* A raw file through the gzip filter. */
static bool compress(struct archive *a, struct archive_entry *entry, loom_buf *into, const void *data, size_t len)
{
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_pathname(entry, "data");
    return archive_write_set_format_raw(a) == ARCHIVE_OK && archive_write_add_filter_gzip(a) == ARCHIVE_OK &&
           archive_write_set_filter_option(a, "gzip", "compression-level", "1") == ARCHIVE_OK &&
           archive_write_set_filter_option(a, "gzip", "timestamp", NULL) == ARCHIVE_OK &&
           archive_write_set_bytes_per_block(a, 0) == ARCHIVE_OK &&
           archive_write_open(a, into, NULL, take, NULL) == ARCHIVE_OK &&
           archive_write_header(a, entry) == ARCHIVE_OK && archive_write_data(a, data, len) == (la_ssize_t)len &&
           archive_write_close(a) == ARCHIVE_OK;
}

loom_status loom_gzip(loom_buf *into, const void *data, size_t len, loom_err *err)
{
    struct archive *a = archive_write_new();
    struct archive_entry *entry = archive_entry_new();
    bool done = a && entry && compress(a, entry, into, data, len);

    archive_entry_free(entry);
    archive_write_free(a);
    return done ? loom_buf_check(into, "a compressed text", err) : loom_fail_nomem(err, "a compressed text");
}
