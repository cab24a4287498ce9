#include "preprocess/private/hide_names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/compare.h"
#include "core/file.h"
#include "core/num.h"

static loom_status bad_key(const char *path, loom_err *err)
{
    return loom_fail(err, LOOM_STATUS_FORMAT, "%s: a key is 32 hex digits (16 random bytes), and nothing else", path);
}

static int hex(char c)
{
    const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 0x20) : NULL;
    return at ? (int)(at - digits) : -1;
}

loom_status loom_hide_key_read(loom_siphash_key *key, const char *path, loom_err *err)
{
    enum { MOST = 1024 };
    loom_buf text = {0};
    unsigned char bytes[16] = {0};
    loom_status st = loom_file_read(&text, path, MOST, err);
    const char *at = loom_buf_text(&text);
    at += strspn(at, " \t\r\n");
    for (int i = 0; i < 32 && st == LOOM_OK; i++) {
        int digit = hex(at[i]);
        if (digit < 0) st = bad_key(path, err);
        else bytes[i / 2] = (unsigned char)(bytes[i / 2] << 4 | digit);
    }
    if (st == LOOM_OK && at[32 + strspn(at + 32, " \t\r\n")]) st = bad_key(path, err);
    if (st == LOOM_OK) memcpy(key, bytes, sizeof bytes);
    loom_buf_release(&text);
    return st;
}

loom_status loom_hide_key_draw(loom_siphash_key *key, loom_err *err)
{
    loom_status st = loom_rng_secret(key, sizeof *key, err);

    return st == LOOM_OK ? LOOM_OK : loom_err_in(err, "no key can be drawn; give one with --key FILE");
}

/* 100,000,000,000 to 999,999,999,999: no zeros in front, so that the number has one spelling. */
static int64_t hashed(const loom_siphash_key *key, loom_rename_kind kind, const char *name)
{
    loom_siphash_key own = {key->k0 ^ (uint64_t)kind, key->k1};
    return (int64_t)(100000000000 + loom_siphash(own, name, strlen(name)) % 900000000000);
}

static loom_status set_all(loom_rename *r, loom_rename_kind kind, const char **names, size_t n,
                           const loom_siphash_key *key, loom_err *err)
{
    int64_t next = 1;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(names[i], "USER") == 0) continue;
        int64_t number = strcmp(names[i], LOOM_HIDDEN_RARE) == 0 ? 0 : key ? hashed(key, kind, names[i]) : next++;
        if (loom_rename_has(r, kind, number))
            return loom_fail(err, LOOM_STATUS_FORMAT,
                             "two names have the same hash under this key; give another one with --key FILE");
        if (!loom_rename_set(r, kind, names[i], number)) return loom_fail_nomem(err, "a mapping of names");
    }
    return LOOM_OK;
}

loom_status loom_hide_names(loom_rename *r, loom_rename_kind kind, const loom_intern *names,
                            const loom_siphash_key *key, uint64_t seed, loom_err *err)
{
    loom_rng rng;
    const char **texts = loom_alloc(names->n + 1, sizeof *texts);
    if (!texts) return loom_fail_nomem(err, "a mapping of names");
    if (names->n) memcpy(texts, names->texts, names->n * sizeof *texts);
    qsort(texts, names->n, sizeof *texts, loom_compare_texts);
    loom_rng_seed(&rng, seed, "anonymise", (uint64_t)kind);
    if (!key && names->n) loom_rng_shuffle(&rng, texts, names->n, sizeof *texts);
    loom_status st = set_all(r, kind, texts, names->n, key, err);
    free(texts);
    return st;
}
