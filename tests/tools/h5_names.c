/* h5_names FILE: the names of what an HDF5 file holds, one a line: datasets and groups by their path, attributes as
 * PATH@NAME (@NAME: of the file). A test compares them with docs/FORMATS.md. */
#include <hdf5.h>
#include <stdio.h>
#include <string.h>

static herr_t say_attribute(hid_t at, const char *name, const H5A_info_t *info, void *path)
{
    (void)at;
    (void)info;
    printf("%s@%s\n", (const char *)path, name);
    return 0;
}

static herr_t say_object(hid_t root, const char *name, const H5O_info_t *info, void *unused)
{
    bool is_root = strcmp(name, ".") == 0;
    hid_t object = H5Oopen(root, name, H5P_DEFAULT);
    (void)info;
    (void)unused;
    if (object < 0) return -1;
    if (!is_root) printf("%s\n", name);
    herr_t st = H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, NULL, say_attribute, is_root ? "" : (char *)name);
    H5Oclose(object);
    return st;
}

int main(int argc, char **argv)
{
    hid_t file = argc == 2 ? H5Fopen(argv[1], H5F_ACC_RDONLY, H5P_DEFAULT) : -1;
    if (file < 0) {
        fprintf(stderr, "usage: h5_names FILE.h5\n");
        return 2;
    }
    herr_t st = H5Ovisit1(file, H5_INDEX_NAME, H5_ITER_INC, say_object, NULL);
    H5Fclose(file);
    return st < 0;
}
