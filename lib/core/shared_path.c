#include "core/shared_path.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

/* Length of the program's own path, 0: not known. In a root without /proc the system still tells the name under which
 * it was started. */
static ssize_t program_path(char path[PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX);
    const char *started = n < 0 ? (const char *)getauxval(AT_EXECFN) : NULL;

    if (started && realpath(started, path)) n = (ssize_t)strlen(path);
    return n <= 0 || n == PATH_MAX ? 0 : n;
}

bool loom_program_folder(loom_buf *into)
{
    char path[PATH_MAX];
    ssize_t n = program_path(path);

    loom_buf_reset(into);
    if (!n) return false;
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
