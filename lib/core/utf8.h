/* UTF-8 as Unicode defines it: no overlong forms, no surrogates, nothing beyond U+10FFFF. */
#ifndef LOOM_CORE_UTF8_H
#define LOOM_CORE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the character that text[0..len) begins with, 1 to 4; 0 where it is none, or cut off. */
size_t loom_utf8_length(const char *text, size_t len);
/* The same, and the character in *code (NULL: not wanted; untouched on 0). */
size_t loom_utf8_get(const char *text, size_t len, uint32_t *code);
/* Writes a character (code <= 0x10FFFF, no surrogate); returns the bytes written, 1 to 4. */
size_t loom_utf8_put(char out[4], uint32_t code);
bool loom_utf8_valid(const char *text, size_t len);
/* Puts '?' for every byte that is no part of a character, and for NUL: JSON holds no other text. */
void loom_utf8_mend(char *text, size_t len);

#endif
