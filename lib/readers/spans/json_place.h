/* Where a value stands in JSON text: the line, for messages. Parsed values do not know their place; it is looked up
 * when it is asked for. */
#ifndef LOOM_READERS_SPANS_JSON_PLACE_H
#define LOOM_READERS_SPANS_JSON_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct loom_json_step {
    const char *key; /* member of an object; NULL: element of an array */
    size_t index;
} loom_json_step;

/* Lines before the value that the steps lead to from the first value of the text (valid JSON); those before the last
 * container on the way when it is not there. */
int64_t loom_json_lines_before(const char *text, size_t len, const loom_json_step *steps, int n);

/* The byte behind the value at `at` (a brace or bracket), told by its brackets; `len` when it does not end. */
size_t loom_json_value_end(const char *text, size_t len, size_t at);

#endif
