/* Functions that are never right here, each with its replacement. Included last in every .c file's headers through
 * core/num.h and core/buf.h, so that a slip is a compile error. */
#ifndef LOOM_CORE_BANNED_H
#define LOOM_CORE_BANNED_H

#pragma GCC poison atoi atol atoll atof /* loom_parse_i64, loom_parse_f64 */
#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf gets /* loom_buf, snprintf */
#pragma GCC poison strtok rand srand tmpnam mktemp /* loom_rng, loom_out_open */

#endif
