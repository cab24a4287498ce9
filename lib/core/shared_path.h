/* What comes with the programs: recipes (configs/demo.conf) and the base model (checkpoints/base.h5). It is found
 * from where the running program lies: PREFIX/bin/../share/spanloom, or the source tree that a build folder is in. */
#ifndef LOOM_CORE_SHARED_PATH_H
#define LOOM_CORE_SHARED_PATH_H

#include <stdbool.h>

#include "core/buf.h"

/* The path of the shipped file `name` into *into, which is emptied first; false where there is none. */
bool loom_shared_path(loom_buf *into, const char *name);

/* The folder of the running program, without '/' at its end; false when it cannot be told. */
bool loom_program_folder(loom_buf *into);

#endif
