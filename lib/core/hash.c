#include "core/hash.h"

#include <errno.h>
#include <xxhash.h>

#include "core/digest.h"
#include "core/num.h"

struct loom_intern_slot {
    uint32_t tag; /* upper hash bits: spares most string compares */
    uint32_t id1; /* id + 1; 0: empty */
};

struct loom_intern_block {
    struct loom_intern_block *next;
    size_t used, cap;
    char data[];
};

uint64_t loom_hash64(const void *bytes, size_t len, uint64_t seed) { return XXH3_64bits_withSeed(bytes, len, seed); }

loom_hash128 loom_hash128_of(const void *bytes, size_t len)
{
    XXH128_hash_t h = XXH3_128bits(bytes, len);
    return (loom_hash128){h.low64, h.high64};
}

void loom_hash128_text(loom_hash128 h, char text[33])
{
    snprintf(text, 33, "%016llx%016llx", (unsigned long long)h.hi, (unsigned long long)h.lo);
}

loom_status loom_hash_file(char text[33], const char *path, loom_err *err)
{
    loom_status st = LOOM_OK;
    FILE *f = fopen(path, "rb");

    if (!f) return loom_fail(err, LOOM_STATUS_IO, "cannot open %s: %s", path, strerror(errno));
    loom_digest *d = loom_digest_new();
    unsigned char *block = loom_alloc(1 << 20, 1);
    if (!d || !block) {
        st = loom_fail_nomem(err, "a file digest");
        goto done;
    }
    for (size_t n; (n = fread(block, 1, 1 << 20, f)) > 0;) loom_digest_add(d, block, n);
    if (ferror(f)) st = loom_fail(err, LOOM_STATUS_IO, "cannot read %s: %s", path, strerror(errno));
    else loom_digest_text(d, text);
done:
    free(block);
    loom_digest_free(d);
    fclose(f);
    return st;
}

/* Slot of the text, or the empty slot where it belongs. */
static size_t intern_probe(const loom_intern *t, const char *text, size_t len, uint64_t hash)
{
    size_t mask = t->n_slots - 1, i = hash & mask;
    uint32_t tag = (uint32_t)(hash >> 32);
    for (;; i = (i + 1) & mask) {
        const struct loom_intern_slot *s = &t->slots[i];
        if (s->id1 == 0) return i;
        if (s->tag == tag && t->lens[s->id1 - 1] == len && memcmp(t->texts[s->id1 - 1], text, len) == 0) return i;
    }
}

static bool intern_rehash(loom_intern *t, size_t n_slots)
{
    struct loom_intern_slot *slots = loom_calloc(n_slots, sizeof *slots);
    if (!slots) return false;
    free(t->slots);
    t->slots = slots;
    t->n_slots = n_slots;
    for (size_t id = 0; id < t->n; id++) {
        uint64_t hash = loom_hash64(t->texts[id], t->lens[id], 0);
        size_t mask = n_slots - 1, i = hash & mask;
        while (t->slots[i].id1) i = (i + 1) & mask;
        t->slots[i] = (struct loom_intern_slot){(uint32_t)(hash >> 32), (uint32_t)(id + 1)};
    }
    return true;
}

static const char *intern_copy(loom_intern *t, const char *text, size_t len)
{
    struct loom_intern_block *b = t->blocks;
    if (!b || b->cap - b->used < len + 1) {
        size_t cap = len + 1 > (64 << 10) ? len + 1 : (64 << 10);
        b = loom_alloc(sizeof *b + cap, 1);
        if (!b) return NULL;
        *b = (struct loom_intern_block){t->blocks, 0, cap};
        t->blocks = b;
    }
    char *copy = b->data + b->used;
    if (len) memcpy(copy, text, len);
    copy[len] = 0;
    b->used += len + 1;
    return copy;
}

static bool intern_grow(loom_intern *t)
{
    size_t cap = t->cap ? t->cap * 2 : 64;
    const char **texts = loom_realloc(t->texts, cap, sizeof *texts);
    if (!texts) return false;
    t->texts = texts;
    uint32_t *lens = loom_realloc(t->lens, cap, sizeof *lens);
    if (!lens) return false;
    t->lens = lens;
    t->cap = cap;
    return true;
}

int64_t loom_intern_add(loom_intern *t, const char *text, size_t len)
{
    if ((t->n_slots == 0 || t->n >= t->n_slots / 2) && !intern_rehash(t, t->n_slots ? t->n_slots * 2 : 64)) return -1;
    uint64_t hash = loom_hash64(text, len, 0);
    size_t i = intern_probe(t, text, len, hash);
    if (t->slots[i].id1) return (int64_t)t->slots[i].id1 - 1;
    if (t->n == t->cap && !intern_grow(t)) return -1;
    const char *copy = intern_copy(t, text, len);
    if (!copy) return -1;
    t->texts[t->n] = copy;
    t->lens[t->n] = (uint32_t)len;
    t->slots[i] = (struct loom_intern_slot){(uint32_t)(hash >> 32), (uint32_t)(t->n + 1)};
    return (int64_t)t->n++;
}

int64_t loom_intern_find(const loom_intern *t, const char *text, size_t len)
{
    if (t->n_slots == 0) return -1;
    size_t i = intern_probe(t, text, len, loom_hash64(text, len, 0));
    return (int64_t)t->slots[i].id1 - 1;
}

void loom_intern_release(loom_intern *t)
{
    for (struct loom_intern_block *b = t->blocks; b;) {
        struct loom_intern_block *next = b->next;
        free(b);
        b = next;
    }
    free(t->slots);
    free(t->texts);
    free(t->lens);
    *t = (loom_intern){0};
}
