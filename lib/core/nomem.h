/* Running out of memory, remembered.
 *
 * Every allocation of core that fails sets one mark of the process, also where the caller could not hand up a
 * status (an append to a loom_buf). While it is set, loom_out_commit and the other writers give no file its name,
 * loom_stdout_write prints nothing, and loom_cli_main ends with exit 1: a result is never made of what was lost.
 *
 * Callers still check: the mark is the net below them. It is the one mutable global besides the stop flag, because an
 * allocation deep in a table of names has no other way to the end of the run that does not run through every
 * signature. */
#ifndef LOOM_CORE_NOMEM_H
#define LOOM_CORE_NOMEM_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"

bool loom_nomem_seen(void);
void loom_nomem_note(void);
void loom_nomem_set(bool lost); /* for tests */

/* A result went out whole: what is lost later is talk about it, and no failure of the run. */
void loom_nomem_note_result(void);

/* LOOM_STATUS_NOMEM with a sentence once memory has run out, else LOOM_OK. `what`: "the statistics". */
loom_status loom_nomem_check(const char *what, loom_err *err);
/* The same at the end of a run that may have had no result. */
loom_status loom_nomem_check_end(loom_err *err);
/* A failure after memory ran out is a consequence ("not a line of JSON"): the same with the cause as its sentence. */
loom_status loom_nomem_explain(loom_status st, loom_err *err);

#endif
