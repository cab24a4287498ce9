#include "preprocess/private/rare_keys.h"

#include <stdlib.h>
#include <string.h>

#include "core/num.h"

const char *const loom_rare_names[LOOM_RARE_KINDS] = {"service", "operation", "dependency"};

/* A letter for the kind, then names that end with a zero byte, then the type. */
static const loom_buf *key_of(loom_rare_keys *k, char kind, const char *a, const char *b, char type)
{
    loom_buf_reset(&k->key);
    loom_buf_char(&k->key, kind);
    loom_buf_append(&k->key, a, strlen(a) + 1);
    if (b) loom_buf_append(&k->key, b, strlen(b) + 1);
    loom_buf_char(&k->key, type);
    return &k->key;
}

static char type_letter(const loom_call *c) { return (char)('a' + (int)c->type); }

static loom_status count(loom_rare_keys *k, const loom_buf *key, loom_err *err)
{
    size_t before = k->keys.n;
    LOOM_TRY(loom_buf_check(key, "counts of names", err));
    int64_t id = loom_intern_add(&k->keys, key->data, key->len);
    if (id < 0) return loom_fail_nomem(err, "counts of names");
    LOOM_TRY(loom_grow(&k->counts, &k->cap_counts, k->keys.n, sizeof *k->counts, err));
    LOOM_TRY(loom_grow(&k->last, &k->cap_last, k->keys.n, sizeof *k->last, err));
    if (k->keys.n > before) k->counts[id] = 0, k->last[id] = -1;
    k->counts[id] += k->last[id] != k->graphs;
    k->last[id] = k->graphs;
    return LOOM_OK;
}

loom_status loom_rare_keys_add(loom_rare_keys *k, const loom_graph *g, loom_err *err)
{
    LOOM_TRY(count(k, key_of(k, 's', g->service, NULL, 0), err));
    for (int32_t i = 0; i < g->n_calls; i++) {
        const loom_call *c = &g->calls[i];
        LOOM_TRY(count(k, key_of(k, 'm', c->source, NULL, 0), err));
        LOOM_TRY(count(k, key_of(k, 'm', c->destination, NULL, 0), err));
        LOOM_TRY(count(k, key_of(k, 'o', c->destination, NULL, type_letter(c)), err));
        LOOM_TRY(count(k, key_of(k, 'd', c->source, c->destination, type_letter(c)), err));
    }
    k->graphs++;
    return LOOM_OK;
}

static int64_t graphs_of(const loom_rare_keys *k, const loom_buf *key)
{
    int64_t id = loom_intern_find(&k->keys, loom_buf_text(key), key->len);
    return id < 0 ? 0 : k->counts[id];
}

loom_rare loom_rare_keys_find(loom_rare_keys *k, const loom_graph *g, int64_t least)
{
    if (graphs_of(k, key_of(k, 's', g->service, NULL, 0)) < least) return LOOM_RARE_SERVICE;
    for (int32_t i = 0; i < g->n_calls; i++) {
        const loom_call *c = &g->calls[i];
        if (graphs_of(k, key_of(k, 'o', c->destination, NULL, type_letter(c))) < least) return LOOM_RARE_OPERATION;
        if (graphs_of(k, key_of(k, 'd', c->source, c->destination, type_letter(c))) < least)
            return LOOM_RARE_DEPENDENCY;
    }
    return LOOM_RARE_NONE;
}

int64_t loom_rare_keys_service(loom_rare_keys *k, const char *service)
{
    return graphs_of(k, key_of(k, 's', service, NULL, 0));
}

int64_t loom_rare_keys_microservice(loom_rare_keys *k, const char *microservice)
{
    return graphs_of(k, key_of(k, 'm', microservice, NULL, 0));
}

void loom_rare_keys_release(loom_rare_keys *k)
{
    loom_intern_release(&k->keys);
    free(k->counts);
    free(k->last);
    loom_buf_release(&k->key);
    *k = (loom_rare_keys){0};
}
