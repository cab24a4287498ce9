#include "core/shared_path.h"

#include <limits.h>
#include <unistd.h>

bool loom_program_folder(loom_buf *into)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path);

    loom_buf_reset(into);
    if (n <= 0 || n == (ssize_t)sizeof path) return false;
    while (n > 1 && path[n - 1] != '/') n--;
    loom_buf_append(into, path, (size_t)(n > 1 ? n - 1 : n));
    return !loom_buf_failed(into);
}

static bool is_there(const loom_buf *path) { return !loom_buf_failed(path) && access(path->data, R_OK) == 0; }

bool loom_shared_path(loom_buf *into, const char *name)
{
    loom_buf folder = {0};
    bool found = loom_program_folder(&folder);

    if (found) {
        loom_buf_reset(into);
        loom_buf_printf(into, "%s/../share/spanloom/%s", folder.data, name);
        found = is_there(into);
        if (!found) { /* a build folder? */
            loom_buf_reset(into);
            loom_buf_printf(into, "%s/../CMakeCache.txt", folder.data);
            found = is_there(into);
            loom_buf_reset(into);
            loom_buf_printf(into, "%s/../../%s", folder.data, name);
            found = found && is_there(into);
        }
    }
    loom_buf_release(&folder);
    return found;
}
