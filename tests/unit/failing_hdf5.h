/* Calls to HDF5 that fail, for unit/failing_calls.h. Closing does its work and then says that it failed. What only
 * looks up a size of something that is there is left out: that cannot fail. */
#ifndef LOOM_TESTS_FAILING_HDF5_H
#define LOOM_TESTS_FAILING_HDF5_H

#include <hdf5.h>

#include "unit/failing_calls.h"

#if FAILING_MEMORY

#define H5_FAILS(type, name, params, args) CALL_FAILS(type, -1, EIO, name, params, args)
#define H5_ENDS(name)                      CALL_ENDS(herr_t, -1, EIO, name, (hid_t id), (id))

/* clang-format off */
H5_FAILS(hid_t, H5Acreate2, (hid_t at, const char *name, hid_t type, hid_t space, hid_t how, hid_t list),
         (at, name, type, space, how, list))
H5_FAILS(htri_t, H5Aexists, (hid_t at, const char *name), (at, name))
H5_FAILS(hid_t, H5Aget_space, (hid_t id), (id))
H5_FAILS(hid_t, H5Aget_type, (hid_t id), (id))
H5_FAILS(hid_t, H5Aopen, (hid_t at, const char *name, hid_t list), (at, name, list))
H5_FAILS(herr_t, H5Aread, (hid_t id, hid_t type, void *to), (id, type, to))
H5_FAILS(herr_t, H5Awrite, (hid_t id, hid_t type, const void *from), (id, type, from))
H5_FAILS(hid_t, H5Dcreate2, (hid_t at, const char *name, hid_t type, hid_t space, hid_t a, hid_t b, hid_t c),
         (at, name, type, space, a, b, c))
H5_FAILS(hid_t, H5Dget_create_plist, (hid_t id), (id))
H5_FAILS(hid_t, H5Dget_space, (hid_t id), (id))
H5_FAILS(hid_t, H5Dget_type, (hid_t id), (id))
H5_FAILS(hid_t, H5Dopen2, (hid_t at, const char *name, hid_t list), (at, name, list))
H5_FAILS(herr_t, H5Dread, (hid_t id, hid_t type, hid_t memory, hid_t file, hid_t list, void *to),
         (id, type, memory, file, list, to))
H5_FAILS(herr_t, H5Dset_extent, (hid_t id, const hsize_t *size), (id, size))
H5_FAILS(herr_t, H5Dwrite, (hid_t id, hid_t type, hid_t memory, hid_t file, hid_t list, const void *from),
         (id, type, memory, file, list, from))
H5_FAILS(hid_t, H5FDregister, (const H5FD_class_t *driver), (driver))
H5_FAILS(hid_t, H5Fcreate, (const char *name, unsigned flags, hid_t create, hid_t access),
         (name, flags, create, access))
H5_FAILS(herr_t, H5Fflush, (hid_t id, H5F_scope_t scope), (id, scope))
H5_FAILS(htri_t, H5Fis_hdf5, (const char *name), (name))
H5_FAILS(hid_t, H5Fopen, (const char *name, unsigned flags, hid_t access), (name, flags, access))
H5_FAILS(hid_t, H5Gcreate2, (hid_t at, const char *name, hid_t a, hid_t b, hid_t c), (at, name, a, b, c))
H5_FAILS(hid_t, H5Gopen2, (hid_t at, const char *name, hid_t list), (at, name, list))
H5_FAILS(htri_t, H5Lexists, (hid_t at, const char *name, hid_t list), (at, name, list))
H5_FAILS(herr_t, H5Literate,
         (hid_t id, H5_index_t index, H5_iter_order_t order, hsize_t *at, H5L_iterate_t op, void *arg),
         (id, index, order, at, op, arg))
H5_FAILS(hid_t, H5Pcreate, (hid_t class), (class))
H5_FAILS(int, H5Pget_chunk, (hid_t id, int rank, hsize_t *to), (id, rank, to))
H5_FAILS(int, H5Pget_external_count, (hid_t id), (id))
H5_FAILS(H5D_layout_t, H5Pget_layout, (hid_t id), (id))
H5_FAILS(herr_t, H5Pset_driver, (hid_t id, hid_t driver, const void *info), (id, driver, info))
CALL_FAILS(const void *, NULL, EIO, H5Pget_driver_info, (hid_t id), (id))
H5_FAILS(hid_t, H5Screate, (H5S_class_t class), (class))
H5_FAILS(hid_t, H5Screate_simple, (int rank, const hsize_t *dims, const hsize_t *most), (rank, dims, most))
H5_FAILS(int, H5Sget_simple_extent_dims, (hid_t id, hsize_t *dims, hsize_t *most), (id, dims, most))
H5_FAILS(int, H5Sget_simple_extent_ndims, (hid_t id), (id))
H5_FAILS(hssize_t, H5Sget_simple_extent_npoints, (hid_t id), (id))
H5_FAILS(herr_t, H5Sselect_hyperslab,
         (hid_t id, H5S_seloper_t op, const hsize_t *a, const hsize_t *b, const hsize_t *c, const hsize_t *d),
         (id, op, a, b, c, d))
H5_FAILS(hid_t, H5Tcopy, (hid_t id), (id))
H5_FAILS(htri_t, H5Tequal, (hid_t a, hid_t b), (a, b))
H5_FAILS(H5T_class_t, H5Tget_class, (hid_t id), (id))
H5_FAILS(htri_t, H5Tis_variable_str, (hid_t id), (id))
H5_FAILS(herr_t, H5Eset_auto2, (hid_t stack, H5E_auto2_t say, void *arg), (stack, say, arg))
H5_FAILS(herr_t, H5PLset_loading_state, (unsigned mask), (mask))
/* clang-format on */
H5_ENDS(H5Aclose)
H5_ENDS(H5Dclose)
H5_ENDS(H5Fclose)
H5_ENDS(H5Gclose)
H5_ENDS(H5Pclose)
H5_ENDS(H5Sclose)
H5_ENDS(H5Tclose)

#endif

#endif
