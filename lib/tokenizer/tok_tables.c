#include "core/hash.h"
#include "core/num.h"
#include "tokenizer/tok_internal.h"

bool loom_tok_map_init(loom_tok_map *m, size_t n)
{
    size_t slots = 16;
    while (slots < 2 * n) slots *= 2;
    m->slots = loom_alloc(slots, sizeof *m->slots);
    if (!m->slots) return false;
    m->mask = slots - 1;
    for (size_t i = 0; i < slots; i++) m->slots[i] = (loom_tok_map_slot){0, -1};
    return true;
}

void loom_tok_map_release(loom_tok_map *m)
{
    free(m->slots);
    *m = (loom_tok_map){0};
}

/* Slot of the string, or the empty slot where it belongs. */
static size_t probe(const loom_tok_map *m, const loom_tok_text *spans, const char *data, size_t len, uint64_t hash)
{
    uint32_t tag = (uint32_t)(hash >> 32);
    for (size_t i = (size_t)hash & m->mask;; i = (i + 1) & m->mask) {
        const loom_tok_map_slot *s = &m->slots[i];
        if (s->id < 0) return i;
        if (s->tag == tag && spans[s->id].len == len && memcmp(spans[s->id].data, data, len) == 0) return i;
    }
}

int32_t loom_tok_map_put(loom_tok_map *m, const loom_tok_text *spans, int32_t id)
{
    uint64_t hash = loom_hash64(spans[id].data, spans[id].len, 0);
    loom_tok_map_slot *s = &m->slots[probe(m, spans, spans[id].data, spans[id].len, hash)];
    if (s->id >= 0) return s->id;
    *s = (loom_tok_map_slot){(uint32_t)(hash >> 32), id};
    return -1;
}

int32_t loom_tok_map_find_hashed(const loom_tok_map *m, const loom_tok_text *spans, const char *data, size_t len,
                                 uint64_t hash)
{
    return m->slots[probe(m, spans, data, len, hash)].id;
}

int32_t loom_tok_map_find(const loom_tok_map *m, const loom_tok_text *spans, const char *data, size_t len)
{
    return loom_tok_map_find_hashed(m, spans, data, len, loom_hash64(data, len, 0));
}

/* ---- the byte-level alphabet ---- */

static bool maps_to_itself(uint32_t b) { return (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xFF && b != 0xAD); }

int32_t loom_tokenizer_find(const loom_tokenizer *tok, const char *text, size_t len)
{
    return loom_tok_map_find(&tok->by_text, tok->texts, text, len);
}

uint32_t loom_byte_char(unsigned char byte)
{
    uint32_t n = 0;
    if (maps_to_itself(byte)) return byte;
    for (uint32_t b = 0; b < byte; b++) n += !maps_to_itself(b);
    return 0x100 + n;
}

int loom_char_byte(uint32_t code)
{
    if (code < 0x100) return maps_to_itself(code) ? (int)code : -1;
    uint32_t n = code - 0x100;
    for (uint32_t b = 0; b < 256 && n < 68; b++)
        if (!maps_to_itself(b) && n-- == 0) return (int)b;
    return -1;
}
