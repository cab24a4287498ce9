#include "train/piece_scores.h"

#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/num.h"

/* The rest of a message. Fields: a number (tag << 3 | kind), then by kind 0 a number, 1 eight bytes, 2 a length and
 * that many bytes, 5 four bytes. */
typedef struct message {
    const unsigned char *at, *end;
} message;

static bool get_number(message *m, uint64_t *out)
{
    *out = 0;
    for (int shift = 0; m->at < m->end && shift < 64; shift += 7) {
        unsigned char byte = *m->at++;
        *out |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) return true;
    }
    return false;
}

/* False at the end (then m->at == m->end) or where it is damaged. */
static bool get_field(message *m, uint64_t *tag, message *value)
{
    uint64_t key = 0, n = 0;
    const unsigned char *start;

    if (m->at == m->end || !get_number(m, &key)) return false;
    start = m->at;
    *tag = key >> 3;
    switch (key & 7) {
    case 0:
        if (!get_number(m, &n)) return false;
        *value = (message){start, m->at};
        return true;
    case 1: n = 8; break;
    case 2:
        if (!get_number(m, &n)) return false;
        break;
    case 5: n = 4; break;
    default: return false;
    }
    if (n > (uint64_t)(m->end - m->at)) return false;
    *value = (message){m->at, m->at + n};
    m->at += n;
    return true;
}

static bool take_piece(float *scores, bool *known, const loom_tokenizer *tok, message piece)
{
    message value, text = {0};
    uint64_t tag;
    float score = 0;

    while (get_field(&piece, &tag, &value)) {
        if (tag == 1) text = value;
        if (tag == 2 && value.end - value.at == 4) memcpy(&score, value.at, 4);
    }
    if (piece.at != piece.end || !text.at) return false;
    int32_t id = loom_tokenizer_find(tok, (const char *)text.at, (size_t)(text.end - text.at));
    if (id >= 0) {
        scores[id] = score;
        known[id] = true;
    }
    return true;
}

static loom_status take_model(float *scores, bool *known, const loom_tokenizer *tok, const loom_buf *file,
                              const char *path, loom_err *err)
{
    message m = {(const unsigned char *)loom_buf_text(file), (const unsigned char *)loom_buf_text(file) + file->len},
            value;
    uint64_t tag;

    while (get_field(&m, &tag, &value))
        if (tag == 1 && !take_piece(scores, known, tok, value)) break;
    if (m.at != m.end || file->len == 0)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s is damaged: byte %zu is no part of a SentencePiece model", path,
                         (size_t)((const char *)m.at - loom_buf_text(file)));
    for (int64_t id = 0; id < loom_tokenizer_vocab_size(tok); id++)
        if (!known[id] && loom_tokenizer_text(tok, (int32_t)id) && !loom_tokenizer_is_special(tok, (int32_t)id))
            return loom_fail(err, LOOM_STATUS_FORMAT, "%s has no piece \"%.60s\", which tokenizer.json has", path,
                             loom_tokenizer_text(tok, (int32_t)id));
    return LOOM_OK;
}

loom_status loom_piece_scores_read(float *scores, bool *found, const loom_tokenizer *tok, const char *dir,
                                   loom_err *err)
{
    loom_buf path = {0}, file = {0};
    bool *known = NULL;
    loom_status st = LOOM_OK;

    *found = false;
    if (!loom_file_is_dir(dir)) return LOOM_OK;
    loom_buf_printf(&path, "%s/tokenizer.model", dir);
    if (!loom_file_exists(loom_buf_text(&path))) goto done;
    if (!(known = loom_calloc((size_t)loom_tokenizer_vocab_size(tok), 1))) st = loom_fail_nomem(err, "the pieces");
    if (st == LOOM_OK) st = loom_file_read(&file, path.data, LOOM_BOUND_JSON, err);
    if (st == LOOM_OK) st = take_model(scores, known, tok, &file, path.data, err);
    *found = st == LOOM_OK;
done:
    free(known);
    loom_buf_release(&path);
    loom_buf_release(&file);
    return st;
}
