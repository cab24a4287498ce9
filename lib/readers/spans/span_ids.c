#include "readers/spans/span_ids.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { ID_MAX_BYTES = 16 };

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+' || c == '-') return 62; /* the standard alphabet, and that of URLs */
    if (c == '/' || c == '_') return 63;
    return -1;
}

static bool is_hex(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (hex_digit(text[i]) < 0) return false;
    return true;
}

/* Writes the hexadecimal form of base64 of exactly 8 or 16 bytes into hex[2 * ID_MAX_BYTES]; false: it is none. */
static bool base64_to_hex(char *hex, size_t *n_hex, const char *text, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    uint32_t bits = 0;
    int n_bits = 0;

    size_t bare = len;
    while (bare && len - bare < 2 && text[bare - 1] == '=') bare--;
    if (!(bare == 11 && (len == 11 || len == 12)) && !(bare == 22 && (len == 22 || len == 24))) return false;
    *n_hex = 0;
    for (size_t i = 0; i < bare; i++) {
        int d = base64_digit(text[i]);
        if (d < 0) return false;
        bits = bits << 6 | (uint32_t)d;
        for (n_bits += 6; n_bits >= 4 && *n_hex < (bare == 11 ? 16u : 32u); n_bits -= 4)
            hex[(*n_hex)++] = digits[bits >> (n_bits - 4) & 15];
    }
    return true;
}

const char *loom_span_id(loom_arena *arena, const char *text)
{
    char hex[2 * ID_MAX_BYTES];
    size_t len = text ? strlen(text) : 0;

    if (len == 0) return "";
    if (!is_hex(text, len)) {
        if (!base64_to_hex(hex, &len, text, len)) return loom_arena_strdup(arena, text, strlen(text));
        text = hex;
    }
    size_t zeros = 0;
    while (zeros < len && text[zeros] == '0') zeros++;
    if (zeros == len) return "";
    char *id = loom_arena_alloc(arena, len - zeros + 1);
    if (!id) return "";
    for (size_t i = zeros; i < len; i++)
        id[i - zeros] = (char)(text[i] >= 'A' && text[i] <= 'F' ? text[i] - 'A' + 'a' : text[i]);
    id[len - zeros] = 0;
    return id;
}
