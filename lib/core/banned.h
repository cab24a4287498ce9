/* Functions that are never right here, each with its replacement. Included by core/num.h and core/buf.h, so that a slip
 * is a compile error. The system headers come first: they may name what we ban. */
#ifndef LOOM_CORE_BANNED_H
#define LOOM_CORE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC poison atoi atol atoll atof                                /* loom_parse_i64, loom_parse_f64 */
#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf gets /* loom_buf, snprintf */
#pragma GCC poison strtok rand srand tmpnam mktemp                     /* loom_rng, loom_out_open */

#endif
