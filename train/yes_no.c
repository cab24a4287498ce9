#include "train/yes_no.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/log.h"
#include "core/num.h"
#include "trace/text/downstream_task.h"
#include "trace/text/textfile.h"

#define CURE "give texts of `loom-preprocess encode --task high-latency` or `uncommon`"

typedef struct reading {
    loom_yes_no *q;
    const char *path;
    const loom_tokenizer *tok;
    loom_tok_scratch *scratch;
    loom_tokens tokens; /* of one question */
    int64_t context;
    int64_t seen;
} reading;

/* What stands after " ### Answer:", without the blank and line end before it and the finish line after it. */
static bool answer_is(const char *text, size_t len, const char *word)
{
    size_t skip = strspn(text, " \n"), n = strlen(word);

    return skip + n <= len && memcmp(text + skip, word, n) == 0 && (text[skip + n] == '\n' || text[skip + n] == 0);
}

static bool asks_uncommon(const char *text)
{
    static const char start[] = LOOM_TEXT_QUESTION LOOM_TEXT_ASK_UNCOMMON;

    return strncmp(text, start, sizeof start - 1) == 0;
}

static loom_status check(reading *r, const loom_textfile_sample *s, bool *yes, loom_err *err)
{
    const char *answer = s->text + s->answer;
    size_t len = s->len - s->answer;

    *yes = s->answer && answer_is(answer, len, LOOM_TEXT_YES);
    if (!*yes && !(s->answer && answer_is(answer, len, LOOM_TEXT_NO)))
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s:%" PRId64 ": a sample that is not answered by %s or %s; " CURE,
                         r->path, s->line, LOOM_TEXT_YES, LOOM_TEXT_NO);
    bool uncommon = asks_uncommon(s->text);
    if (r->seen++ == 0) r->q->uncommon = uncommon;
    if (uncommon != r->q->uncommon)
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s:%" PRId64 ": asks another question than the samples before it",
                         r->path, s->line);
    return LOOM_OK;
}

static loom_status keep(loom_yes_no *q, const loom_tokens *t, bool yes, loom_err *err)
{
    int64_t at = q->n ? q->first[q->n] : 0;

    LOOM_TRY(loom_grow(&q->tokens, &q->cap_tokens, (size_t)(at + t->n), sizeof *q->tokens, err));
    LOOM_TRY(loom_grow(&q->first, &q->cap_first, (size_t)q->n + 2, sizeof *q->first, err));
    LOOM_TRY(loom_grow(&q->yes, &q->cap_yes, (size_t)q->n + 1, sizeof *q->yes, err));
    memcpy(q->tokens + at, t->ids, (size_t)t->n * sizeof *t->ids);
    q->first[q->n] = at;
    q->first[q->n + 1] = at + t->n;
    q->yes[q->n++] = yes;
    q->n_yes += yes;
    return LOOM_OK;
}

static loom_status take(void *arg, const loom_textfile_sample *s, loom_err *err)
{
    reading *r = arg;
    bool yes;

    LOOM_TRY(check(r, s, &yes, err));
    size_t len = s->answer + strspn(s->text + s->answer, " \n");
    loom_tokens_reset(&r->tokens);
    if (loom_tokenizer_bos(r->tok) >= 0) loom_tokens_push(&r->tokens, loom_tokenizer_bos(r->tok), 0);
    loom_tokenizer_encode(&r->tokens, r->tok, r->scratch, s->text, len, 0);
    if (r->tokens.failed) return loom_fail_nomem(err, "the tokens of a question");
    if (r->tokens.n > r->context) {
        r->q->too_long++;
        return LOOM_OK;
    }
    return keep(r->q, &r->tokens, yes, err);
}

loom_status loom_yes_no_read(loom_yes_no *q, const char *path, const loom_tokenizer *tok, int64_t context,
                             loom_err *err)
{
    reading r = {.q = q, .path = path, .tok = tok, .context = context, .scratch = loom_tok_scratch_new(tok)};
    loom_status st =
        r.scratch ? loom_textfile_each(path, take, &r, err) : loom_fail_nomem(err, "the tokens of a question");

    if (st == LOOM_OK && q->n == 0)
        st = loom_fail(err, LOOM_STATUS_FORMAT, "%s: no question of at most %" PRId64 " tokens; " CURE, path, context);
    if (st == LOOM_OK && q->too_long)
        loom_warn("%s: %" PRId64 " of %" PRId64 " questions are longer than the context of %" PRId64
                  " tokens and are left out",
                  path, q->too_long, r.seen, context);
    loom_tokens_release(&r.tokens);
    loom_tok_scratch_free(r.scratch);
    return st;
}

void loom_yes_no_release(loom_yes_no *q)
{
    free(q->tokens);
    free(q->first);
    free(q->yes);
    *q = (loom_yes_no){0};
}
