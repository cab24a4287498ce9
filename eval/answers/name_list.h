/* Lists of names in an option: "A,B,C". */
#ifndef LOOM_EVAL_NAME_LIST_H
#define LOOM_EVAL_NAME_LIST_H

#include <stdbool.h>

#include "core/buf.h"

/* The i-th name, from 0, into an empty buffer; false: there are not so many, or it is empty. NULL is no list. */
bool loom_name_list_nth(loom_buf *into, const char *list, int i);

#endif
