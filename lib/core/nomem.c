#include "core/nomem.h"

#include <stdatomic.h>

static atomic_bool lost_, result_;

bool loom_nomem_seen(void) { return atomic_load_explicit(&lost_, memory_order_relaxed); }
void loom_nomem_note(void) { atomic_store_explicit(&lost_, true, memory_order_relaxed); }
void loom_nomem_set(bool lost) { atomic_store_explicit(&lost_, lost, memory_order_relaxed); }

void loom_nomem_note_result(void) { atomic_store_explicit(&result_, true, memory_order_relaxed); }

loom_status loom_nomem_check(const char *what, loom_err *err)
{
    return loom_nomem_seen() ? loom_fail_nomem(err, what) : LOOM_OK;
}

loom_status loom_nomem_check_end(loom_err *err)
{
    return atomic_load_explicit(&result_, memory_order_relaxed) ? LOOM_OK : loom_nomem_check("this command", err);
}

loom_status loom_nomem_explain(loom_status st, loom_err *err)
{
    bool told = st == LOOM_OK || st == LOOM_STATUS_NOMEM || st == LOOM_STATUS_INTERRUPT;
    return told || !loom_nomem_seen() ? st : loom_fail_nomem(err, "this command");
}
