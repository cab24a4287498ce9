#include "preprocess/texts/text_batch.h"

#include "core/num.h"

enum { BATCH_BYTES = 16 << 20, CHUNK_BYTES = 128 << 10 };

static loom_status add_item(loom_text_batch *b, loom_text_item item, loom_err *err)
{
    LOOM_TRY(loom_grow(&b->items, &b->cap, b->n + 1, sizeof *b->items, err));
    b->items[b->n++] = item;
    return LOOM_OK;
}

static loom_status add_layers(loom_text_batch *b, const loom_textfile_sample *s, loom_err *err)
{
    int64_t line = s->line;

    for (size_t at = 0, next = 0; at < s->len; at += next) {
        size_t len = loom_sample_layer(s->text + at, s->len - at, &next);
        LOOM_TRY(add_item(b, (loom_text_item){b->text.len + at, len, 0, s->mode, line}, err));
        for (size_t i = 0; i < next; i++) line += s->text[at + i] == '\n';
    }
    return LOOM_OK;
}

static loom_status add(loom_text_batch *b, const loom_textfile_sample *s, loom_err *err)
{
    if (b->apart && s->mode == LOOM_MODE_RECURSIVE) LOOM_TRY(add_layers(b, s, err));
    else LOOM_TRY(add_item(b, (loom_text_item){b->text.len, s->len, s->answer, s->mode, s->line}, err));
    loom_buf_append(&b->text, s->text, s->len);
    return loom_buf_check(&b->text, "a batch of samples", err); /* items point into it */
}

static loom_status cut_chunks(loom_text_batch *b, loom_err *err)
{
    size_t end = 0;
    b->n_chunks = 0;
    for (size_t i = 0; i <= b->n; i++) {
        if (i < b->n && i > 0 && b->items[i].at < end) continue;
        LOOM_TRY(loom_grow(&b->chunks, &b->cap_chunks, (size_t)b->n_chunks + 1, sizeof *b->chunks, err));
        b->chunks[b->n_chunks++] = i;
        if (i < b->n) end = b->items[i].at + CHUNK_BYTES;
    }
    b->n_chunks--; /* the last entry is the end */
    return LOOM_OK;
}

/* Messages of the reader that give a line only get the file in front. */
static loom_status name_file(loom_status st, const char *path, loom_err *err)
{
    return err && strncmp(err->msg, "line ", 5) == 0 ? loom_err_in(err, "%s", path) : st;
}

loom_status loom_text_batch_fill(loom_text_batch *b, loom_textfile *file, const char *path, loom_err *err)
{
    loom_textfile_sample s;
    loom_status st;
    b->n = 0;
    loom_buf_reset(&b->text);
    while (b->text.len < BATCH_BYTES) {
        if ((st = loom_textfile_next(file, &s, err)) != LOOM_OK) return name_file(st, path, err);
        if (!s.text) break;
        LOOM_TRY(add(b, &s, err));
    }
    return cut_chunks(b, err);
}

void loom_text_batch_chunk(const loom_text_batch *b, int64_t chunk, size_t *first, size_t *n)
{
    *first = b->chunks[chunk];
    *n = b->chunks[chunk + 1] - *first;
}

void loom_text_batch_release(loom_text_batch *b)
{
    loom_buf_release(&b->text);
    free(b->items);
    free(b->chunks);
    *b = (loom_text_batch){0};
}
