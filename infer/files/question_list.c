#include "infer/files/question_list.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/num.h"
#include "trace/text/downstream_task.h"
#include "trace/text/textfile.h"

typedef struct reading {
    loom_question_list *q;
    const char *path;
} reading;

static loom_status take(void *arg, const loom_textfile_sample *s, loom_err *err)
{
    const reading *r = arg;
    loom_question_list *q = r->q;
    loom_downstream_parts parts;

    if (!loom_downstream_cut(&parts, s->text))
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "%s:%" PRId64 ": no question and answer; give texts of `loom-preprocess encode --task`",
                         r->path, s->line);
    LOOM_TRY(loom_grow(&q->list, &q->cap, (size_t)q->n + 1, sizeof *q->list, err));
    q->list[q->n++] = (loom_question){.prompt = loom_arena_strdup(&q->arena, s->text, (size_t)(parts.answer - s->text)),
                                      .question = loom_arena_strdup(&q->arena, parts.question, parts.question_len)};
    return loom_arena_check(&q->arena, "questions", err);
}

static loom_status read_one(loom_question_list *q, const char *path, loom_err *err)
{
    reading r = {q, path};
    int64_t before = q->n;

    LOOM_TRY(loom_textfile_each(path, take, &r, err));
    if (q->n > before) return LOOM_OK;
    return loom_fail(err, LOOM_STATUS_FORMAT, "%s holds no question; give texts of `loom-preprocess encode --task`",
                     path);
}

loom_status loom_question_list_read(loom_question_list *q, loom_meta *meta, const char *paths, loom_err *err)
{
    loom_buf path = {0};
    loom_status st = LOOM_OK;
    size_t len;

    for (const char *at = paths; st == LOOM_OK && *at; at += len + (at[len] == ',')) {
        len = strcspn(at, ",");
        loom_buf_reset(&path);
        loom_buf_append(&path, at, len);
        if ((st = loom_buf_check(&path, "a path", err)) != LOOM_OK || len == 0) continue;
        if ((st = loom_meta_input(meta, path.data, err)) == LOOM_OK) st = read_one(q, path.data, err);
    }
    loom_buf_release(&path);
    return st;
}

void loom_question_list_release(loom_question_list *q)
{
    free(q->list);
    loom_arena_release(&q->arena);
    *q = (loom_question_list){0};
}
