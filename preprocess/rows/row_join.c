#include "preprocess/rows/row_join.h"

#include <stdlib.h>
#include <string.h>

#include "core/num.h"

/* ---- numbers ---- */

static loom_status join_names(uint32_t **map, loom_intern *all, const loom_intern *own, loom_err *err)
{
    *map = loom_alloc(own->n, sizeof **map);
    if (!*map) return loom_fail_nomem(err, "the names of a file");
    for (size_t k = 0; k < own->n; k++) {
        int64_t id = loom_intern_add(all, loom_intern_text(own, (int64_t)k), loom_intern_len(own, (int64_t)k));
        if (id < 0) return loom_fail_nomem(err, "the names of a file");
        (*map)[k] = (uint32_t)id;
    }
    return LOOM_OK;
}

/* Traces of the other readers are added to the table of reader 0, then their tables are let go. */
static loom_status join_traces(loom_row_join *j, loom_row_tables *t, loom_err *err)
{
    j->traces = t->readers[0].traces;
    t->readers[0].traces = (loom_texts){0};
    for (int i = 1; i < t->n_threads; i++) {
        loom_texts *own = &t->readers[i].traces;
        uint32_t *map = j->maps[i].traces = loom_alloc(own->n, sizeof *map);
        if (!map) return loom_fail_nomem(err, "the traces of a file");
        for (size_t k = 0; k < own->n; k++) {
            const char *text = loom_texts_at(own, (uint32_t)k);
            if ((map[k] = loom_texts_add(&j->traces, text, strlen(text))) == LOOM_TEXTS_FULL)
                return loom_texts_fail(loom_row_tables_place(t), err);
        }
        loom_texts_release(own);
    }
    loom_texts_seal(&j->traces);
    return LOOM_OK;
}

/* Tables in the order of the readers: what a number means does not depend on which is joined first. */
static loom_status join_tables(loom_row_join *j, loom_row_tables *t, loom_err *err)
{
    for (int i = 0; i < t->n_threads; i++)
        LOOM_TRY(join_names(&j->maps[i].services, &j->all_services, &t->readers[i].services, err));
    for (int i = 0; i < t->n_threads; i++)
        LOOM_TRY(join_names(&j->maps[i].names, &j->all_names, &t->readers[i].names, err));
    for (int i = 0; i < t->n_threads; i++) LOOM_TRY(join_names(&j->maps[i].ids, &j->all_ids, &t->readers[i].ids, err));
    return join_traces(j, t, err);
}

/* ---- names as they are written out ---- */

static const char *final_name(loom_row_join *j, loom_rename_kind kind, const char *raw)
{
    loom_buf text = {0};
    if (j->conf.rename) loom_rename_append(j->conf.rename, kind, raw, &text);
    else if (kind == LOOM_RENAME_SERVICE) loom_name_append_service(&text, raw, strlen(raw));
    else loom_name_append_microservice(&text, raw, strlen(raw));
    const char *name = loom_arena_strdup(&j->arena, loom_buf_text(&text), text.len);
    j->arena.failed |= loom_buf_failed(&text);
    loom_buf_release(&text);
    if (!j->odd_name[0] && strpbrk(name, LOOM_NAME_ODD)) snprintf(j->odd_name, sizeof j->odd_name, "%s", name);
    return name;
}

/* Numbers for names without one; the texts are copied, as they get sorted. */
static loom_status rename_new(loom_row_join *j, loom_rename_kind kind, const loom_intern *names, loom_err *err)
{
    if (!j->conf.rename) return LOOM_OK;
    const char **texts = loom_alloc(names->n, sizeof *texts);
    if (!texts) return loom_fail_nomem(err, "a mapping of names");
    if (names->n) memcpy(texts, names->texts, names->n * sizeof *texts);
    bool added = loom_rename_add(j->conf.rename, kind, texts, names->n);
    free(texts);
    return added ? LOOM_OK : loom_fail_nomem(err, "a mapping of names");
}

static loom_status final_names(loom_row_join *j, loom_err *err)
{
    loom_arena *a = &j->arena;
    bool from_root = j->conf.service_from_root;
    const loom_intern *services = from_root ? &j->all_names : &j->all_services;
    size_t n_names = j->all_names.n, n_services = services->n;
    LOOM_TRY(rename_new(j, LOOM_RENAME_MICROSERVICE, &j->all_names, err));
    LOOM_TRY(rename_new(j, LOOM_RENAME_SERVICE, services, err));
    j->names = loom_arena_alloc(a, (n_names + 1) * sizeof *j->names);
    j->service_raw = loom_arena_alloc(a, (n_services + 1) * sizeof *j->service_raw);
    j->service_out = loom_arena_alloc(a, (n_services + 1) * sizeof *j->service_out);
    LOOM_TRY(loom_arena_check(a, "the names of a file", err));
    for (size_t i = 0; i < n_names; i++)
        j->names[i] = final_name(j, LOOM_RENAME_MICROSERVICE, loom_intern_text(&j->all_names, (int64_t)i));
    for (size_t i = 0; i < n_services; i++) {
        j->service_raw[i] = loom_intern_text(services, (int64_t)i);
        j->service_out[i] =
            from_root && !j->conf.rename ? j->names[i] : final_name(j, LOOM_RENAME_SERVICE, j->service_raw[i]);
    }
    return loom_arena_check(a, "the names of a file", err);
}

static loom_status parse_ids(loom_row_join *j, loom_err *err)
{
    loom_arena *a = &j->arena;
    int32_t components[LOOM_ID_MAX_COMPONENTS];
    size_t n = j->all_ids.n;
    j->id_texts = j->all_ids.texts;
    j->ids = loom_arena_alloc(a, (n + 1) * sizeof *j->ids);
    j->id_lens = loom_arena_alloc(a, (n + 1) * sizeof *j->id_lens);
    LOOM_TRY(loom_arena_check(a, "the ids of a file", err));
    for (size_t i = 0; i < n; i++) {
        int32_t len =
            loom_id_parse(components, LOOM_ID_MAX_COMPONENTS, j->id_texts[i], loom_intern_len(&j->all_ids, (int64_t)i));
        int32_t *id = loom_arena_alloc(a, (size_t)(len > 0 ? len : 1) * sizeof *id);
        if (!id) break;
        if (len > 0) memcpy(id, components, (size_t)len * sizeof *id);
        j->ids[i] = id;
        j->id_lens[i] = len;
    }
    return loom_arena_check(a, "the ids of a file", err);
}

/* ---- rows ---- */

typedef struct renumbering {
    const loom_row_join *join;
    loom_row_tables *tables;
} renumbering;

static void renumber_chunk(void *arg, int64_t item, int thread)
{
    const renumbering *n = arg;
    loom_chunk *chunk = &n->tables->chunks.items[item];
    const loom_row_maps *maps = &n->join->maps[chunk->thread];
    bool has_service = !n->join->conf.service_from_root;
    (void)thread;
    for (int32_t i = 0; i < chunk->n; i++) {
        loom_raw_row *r = &chunk->rows[i];
        if (has_service) r->service = maps->services[r->service];
        r->source = maps->names[r->source];
        r->destination = maps->names[r->destination];
        r->id = maps->ids[r->id];
        if (maps->traces) r->trace = maps->traces[r->trace];
    }
}

loom_status loom_row_join_make(loom_row_join *j, loom_row_tables *t, const loom_row_join_conf *conf, loom_err *err)
{
    j->conf = *conf;
    j->n_maps = t->n_threads;
    j->maps = loom_calloc((size_t)j->n_maps, sizeof *j->maps);
    if (!j->maps) return loom_fail_nomem(err, "the names of a file");
    LOOM_TRY(join_tables(j, t, err));
    LOOM_TRY(final_names(j, err));
    LOOM_TRY(parse_ids(j, err));
    loom_pool_for(t->conf.pool, (int64_t)t->chunks.n, renumber_chunk, &(renumbering){j, t});
    for (int i = 0; i < j->n_maps && !conf->keep_trace_maps; i++) {
        free(j->maps[i].traces);
        j->maps[i].traces = NULL;
    }
    return LOOM_OK;
}

void loom_row_join_release(loom_row_join *j)
{
    for (int i = 0; j->maps && i < j->n_maps; i++) {
        free(j->maps[i].services);
        free(j->maps[i].names);
        free(j->maps[i].ids);
        free(j->maps[i].traces);
    }
    free(j->maps);
    loom_texts_release(&j->traces);
    loom_intern_release(&j->all_names);
    loom_intern_release(&j->all_services);
    loom_intern_release(&j->all_ids);
    loom_arena_release(&j->arena);
}
