#include "store/h5_driver.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#if H5_VERSION_GE(1, 14, 0)
#include <H5FDdevelop.h>
#endif

#include "core/num.h"

typedef struct driver_file {
    H5FD_t base; /* HDF5's own part comes first */
    loom_h5_sink *sink;
    haddr_t eoa, eof; /* end of what HDF5 has allocated; end of the file */
} driver_file;

#define MOST ((haddr_t)1 << 62)

/* HDF5 copies the driver's settings: a pointer, as it is. */
static H5FD_t *open_file(const char *name, unsigned flags, hid_t access, haddr_t most)
{
    loom_h5_sink *const *setting = H5Pget_driver_info(access);
    driver_file *f = setting ? loom_calloc(1, sizeof *f) : NULL;
    (void)name, (void)flags, (void)most;
    if (!f) return NULL;
    f->sink = *setting;
    return &f->base;
}

static herr_t close_file(H5FD_t *base)
{
    free(base);
    return 0;
}

static int compare(const H5FD_t *a, const H5FD_t *b)
{
    uintptr_t x = (uintptr_t)((const driver_file *)a)->sink, y = (uintptr_t)((const driver_file *)b)->sink;
    return x < y ? -1 : x > y;
}

/* Small pieces are gathered before they are written, as HDF5's own drivers have it. */
static herr_t query(const H5FD_t *base, unsigned long *flags)
{
    (void)base;
    *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
             H5FD_FEAT_AGGREGATE_SMALLDATA;
    return 0;
}

static haddr_t get_eoa(const H5FD_t *base, H5FD_mem_t type)
{
    (void)type;
    return ((const driver_file *)base)->eoa;
}

static herr_t set_eoa(H5FD_t *base, H5FD_mem_t type, haddr_t eoa)
{
    (void)type;
    ((driver_file *)base)->eoa = eoa;
    return 0;
}

static haddr_t get_eof(const H5FD_t *base, H5FD_mem_t type)
{
    (void)type;
    return ((const driver_file *)base)->eof;
}

/* What lies beyond the end reads as zeros, as from any other driver. */
static herr_t read_file(H5FD_t *base, H5FD_mem_t type, hid_t transfer, haddr_t at, size_t n, void *data)
{
    const driver_file *f = (const driver_file *)base;
    char *to = data;
    (void)type, (void)transfer;
    while (n > 0) {
        ssize_t got = pread(f->sink->fd, to, n, (off_t)at);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -1;
        if (got == 0) {
            memset(to, 0, n);
            return 0;
        }
        to += got;
        at += (haddr_t)got;
        n -= (size_t)got;
    }
    return 0;
}

static herr_t write_file(H5FD_t *base, H5FD_mem_t type, hid_t transfer, haddr_t at, size_t n, const void *data)
{
    driver_file *f = (driver_file *)base;
    const char *from = data;
    (void)type, (void)transfer;
    if (at + n > f->eof) f->eof = at + n;
    while (n > 0 && !f->sink->failed && !f->sink->stopped) {
        ssize_t put = pwrite(f->sink->fd, from, n, (off_t)at);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) {
            f->sink->failed = put < 0 ? errno : EIO;
            break;
        }
        from += put;
        at += (haddr_t)put;
        n -= (size_t)put;
    }
    return 0;
}

/* The file is as long as what is allocated, also where nothing was written at its end. */
static herr_t cut(H5FD_t *base, hid_t transfer, hbool_t closing)
{
    driver_file *f = (driver_file *)base;
    (void)transfer, (void)closing;
    if (f->eoa == f->eof || f->sink->failed || f->sink->stopped) return 0;
    if (ftruncate(f->sink->fd, (off_t)f->eoa) != 0) f->sink->failed = errno;
    f->eof = f->eoa;
    return 0;
}

static const H5FD_class_t driver = {
#if H5_VERSION_GE(1, 14, 0)
    .version = H5FD_CLASS_VERSION,
    .value = (H5FD_class_value_t)600, /* of those kept for private use */
#endif
    .name = "spanloom",
    .maxaddr = MOST,
    .fc_degree = H5F_CLOSE_STRONG,
    .fapl_size = sizeof(loom_h5_sink *),
    .open = open_file,
    .close = close_file,
    .cmp = compare,
    .query = query,
    .get_eoa = get_eoa,
    .set_eoa = set_eoa,
    .get_eof = get_eof,
    .read = read_file,
    .write = write_file,
    .truncate = cut,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

herr_t loom_h5_use_sink(hid_t access, loom_h5_sink *sink)
{
    static hid_t id = -1;
    if (id < 0 && (id = H5FDregister(&driver)) < 0) return -1;
    return H5Pset_driver(access, id, &sink);
}
