/* The driver through which HDF5 writes: into a file that is open already, and never with a failure.
 *
 * HDF5 cannot close a file whose disk is full: it fails again, keeps what it could not write, or crashes, also at
 * the end of the process. So the driver keeps the first failure to itself, tells HDF5 that all went well, and writes
 * nothing more.
 * Whoever writes asks the sink, at each step to stop early, and at last before the file gets its name. */
#ifndef LOOM_STORE_H5_DRIVER_H
#define LOOM_STORE_H5_DRIVER_H

#include <hdf5.h>
#include <stdbool.h>

typedef struct loom_h5_sink {
    int fd;                    /* borrowed, open for reading and writing */
    int failed;                /* errno of the first write that failed; 0: none */
    bool stopped;              /* nothing is written any more: the file is to be thrown away */
    struct loom_h5_sink *next; /* of a list that its owner keeps */
} loom_h5_sink;

/* Makes `access` (a file access list) use the driver on `sink`, which must outlive the file. Negative: HDF5 refused. */
herr_t loom_h5_use_sink(hid_t access, loom_h5_sink *sink);

#endif
