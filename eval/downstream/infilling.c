#include "eval/downstream/infilling.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/num.h"
#include "eval/answers/jsonl.h"
#include "eval/answers/outside_answers.h"
#include "trace/text/downstream_task.h"
#include "trace/text/textfile.h"

const char *const loom_missing_names[LOOM_MISSING] = {"type", "destination", "edge"};

#define CURE "give texts of `loom-preprocess encode --task attribute` or `edge`"

/* ---- questions ---- */

static bool starts_with(const char *text, const char *start) { return strncmp(text, start, strlen(start)) == 0; }

/* Takes one line of the question: an attribute list or an edge; others say nothing. `child`: of the layer below. */
static void read_line(loom_infilling_question *q, const char *line, size_t len, bool child, loom_arena *arena)
{
    loom_attrs a;
    loom_edge_text e;

    if (len && line[0] == '(') {
        if (!loom_edge_match(&e, line, len, arena)) return;
        if (strcmp(e.type, LOOM_TEXT_MISSING) == 0) q->missing = LOOM_MISSING_TYPE, q->edge = e;
        else if (strcmp(e.destination, LOOM_TEXT_MISSING) == 0) q->missing = LOOM_MISSING_DESTINATION, q->edge = e;
        if (!child) return;
        q->from = loom_min_i64(q->from, e.start);
        q->to = loom_max_i64(q->to, e.finish);
    } else if (!child && memchr(line, ':', len) && !loom_attrs_parse(&a, line, len, arena)) {
        q->service = a.id;
        q->source = a.start_node;
    }
}

/* False: it asks for something else. */
static bool understand(loom_infilling_question *q, loom_arena *arena)
{
    bool attribute = starts_with(q->text, LOOM_TEXT_ASK_ATTRIBUTE "\n"), child = false;
    size_t len;

    if (!attribute && !starts_with(q->text, LOOM_TEXT_ASK_PARENT "\n")) return false;
    q->missing = attribute ? LOOM_MISSING : LOOM_MISSING_EDGE;
    q->from = INT64_MAX, q->to = INT64_MIN;
    for (const char *line = strchr(q->text, '\n') + 1; *line; line += len + (line[len] == '\n')) {
        len = strcspn(line, "\n");
        child = child || (len == strlen(LOOM_TEXT_ASK_CHILD) && starts_with(line, LOOM_TEXT_ASK_CHILD));
        read_line(q, line, len, child, arena);
    }
    return attribute ? q->missing < LOOM_MISSING : loom_edge_match(&q->edge, q->truth, strlen(q->truth), arena);
}

typedef struct reading {
    loom_infilling *q;
    const char *path;
} reading;

static loom_status take_sample(void *arg, const loom_textfile_sample *s, loom_err *err)
{
    const reading *r = arg;
    loom_infilling *q = r->q;
    loom_downstream_parts parts;
    bool whole = loom_downstream_cut(&parts, s->text) && parts.finished;
    loom_infilling_question one = {.service = "", .source = ""};

    if (whole) {
        one.text = loom_arena_strdup(&q->arena, parts.question, parts.question_len);
        one.truth = loom_arena_strdup(&q->arena, parts.answer, parts.answer_len);
        LOOM_TRY(loom_arena_check(&q->arena, "questions", err));
    }
    if (!whole || !understand(&one, &q->arena))
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s:%" PRId64 ": a sample that asks for no missing element; " CURE,
                         r->path, s->line);
    LOOM_TRY(loom_grow(&q->list, &q->cap, (size_t)q->n + 1, sizeof *q->list, err));
    q->list[q->n++] = one;
    q->counts[one.missing]++;
    return LOOM_OK;
}

loom_status loom_infilling_read(loom_infilling *q, const char *path, loom_err *err)
{
    reading r = {q, path};
    int64_t before = q->n;

    LOOM_TRY(loom_textfile_each(path, take_sample, &r, err));
    if (q->n == before) return loom_fail(err, LOOM_STATUS_FORMAT, "%s: no question; " CURE, path);
    return loom_arena_check(&q->arena, "questions", err);
}

void loom_infilling_release(loom_infilling *q)
{
    free(q->list);
    loom_arena_release(&q->arena);
    *q = (loom_infilling){0};
}

/* ---- answers ---- */

static const char *trimmed(const char *text, size_t *len)
{
    text += strspn(text, " \t\r\n");
    *len = strcspn(text, "\r\n");
    while (*len && strchr(" \t", text[*len - 1])) --*len;
    return text;
}

static bool same_edge(const loom_edge_text *a, const loom_edge_text *b)
{
    return strcmp(a->edge_id, b->edge_id) == 0 && strcmp(a->type, b->type) == 0 && strcmp(a->source, b->source) == 0 &&
           strcmp(a->destination, b->destination) == 0 && a->start == b->start && a->finish == b->finish;
}

static bool connects(const loom_infilling_question *q, const loom_edge_text *e)
{
    return strcmp(e->type, q->edge.type) == 0 && strcmp(e->destination, q->edge.destination) == 0 &&
           e->start <= e->finish && e->start <= q->from && e->finish >= q->to;
}

bool loom_infilling_right(const loom_infilling_question *q, const char *text, bool *exact, loom_arena *scratch)
{
    loom_edge_text e;
    size_t len;

    if (exact) *exact = false;
    text = trimmed(text, &len);
    if (q->missing != LOOM_MISSING_EDGE) return len == strlen(q->truth) && memcmp(text, q->truth, len) == 0;
    loom_arena_reset(scratch);
    if (!loom_edge_match(&e, text, len, scratch)) return false;
    if (exact) *exact = same_edge(&e, &q->edge);
    return connects(q, &e);
}

typedef struct judging {
    const loom_infilling *q;
    loom_infilling_score *score;
    const char *path;
    bool *seen; /* (n) */
    loom_arena arena;
    loom_buf text;
} judging;

static bool asks_the_same(const loom_infilling_question *q, const loom_json *root)
{
    const char *prompt = loom_json_str(loom_json_get(root, "prompt"), NULL);

    return !prompt || strcmp(prompt, q->text) == 0;
}

static loom_status take_answer(void *arg, const loom_json *root, int64_t number, loom_err *err)
{
    judging *j = arg;
    bool none, exact;
    int64_t id;

    LOOM_TRY(loom_outside_answers_text(&j->text, &id, &none, root, j->path, number, err));
    if (id < 0 || id >= j->q->n || !asks_the_same(&j->q->list[id], root))
        return loom_fail(err, LOOM_STATUS_FORMAT,
                         "%s:%lld: an answer to another question than number %lld of these %lld; give the --questions "
                         "that were asked, in the same order",
                         j->path, (long long)number, (long long)id, (long long)j->q->n);
    if (j->seen[id])
        return loom_fail(err, LOOM_STATUS_FORMAT, "%s:%lld: question %lld is answered twice", j->path,
                         (long long)number, (long long)id);
    j->seen[id] = true;
    j->score->answered += !none;
    if (none) return LOOM_OK;
    j->score->right[j->q->list[id].missing] +=
        loom_infilling_right(&j->q->list[id], loom_buf_text(&j->text), &exact, &j->arena);
    j->score->exact += exact;
    return loom_arena_check(&j->arena, "an answer", err);
}

loom_status loom_infilling_judge(loom_infilling_score *score, const loom_infilling *q, const char *path, loom_err *err)
{
    judging j = {.q = q, .score = score, .path = path, .seen = loom_calloc((size_t)q->n + 1, sizeof *j.seen)};
    loom_status st = LOOM_OK;

    *score = (loom_infilling_score){0};
    st = j.seen ? loom_jsonl_read(path, "answers", "loom-infer complete --questions", NULL, take_answer, &j, err)
                : loom_fail_nomem(err, "answers");
    free(j.seen);
    loom_arena_release(&j.arena);
    loom_buf_release(&j.text);
    return st;
}

/* ---- without a model ---- */

/* The most frequent call of the service from the source that fits what the question shows; NULL: there is none. */
static const loom_stats_triple *most_frequent(const loom_infilling_question *q, const loom_stats *stats)
{
    int64_t n;
    const loom_stats_triple *t = loom_stats_triples(stats, q->service, &n), *best = NULL;

    for (int64_t i = 0; i < n; i++) {
        if (strcmp(t[i].source, q->source) != 0) continue;
        if (q->missing == LOOM_MISSING_TYPE && strcmp(t[i].destination, q->edge.destination) != 0) continue;
        if (q->missing == LOOM_MISSING_DESTINATION && strcmp(loom_call_type_name(t[i].type), q->edge.type) != 0)
            continue;
        if (!best || t[i].count > best->count) best = &t[i];
    }
    return best;
}

void loom_infilling_frequency(loom_infilling_score *score, const loom_infilling *q, const loom_stats *stats)
{
    *score = (loom_infilling_score){0};
    for (int64_t i = 0; i < q->n; i++) {
        const loom_infilling_question *one = &q->list[i];
        const loom_stats_triple *t = most_frequent(one, stats);
        score->answered += t != NULL;
        if (!t) continue;
        const char *type = loom_call_type_name(t->type);
        bool right = one->missing == LOOM_MISSING_TYPE ? strcmp(type, one->truth) == 0
                     : one->missing == LOOM_MISSING_DESTINATION
                         ? strcmp(t->destination, one->truth) == 0
                         : strcmp(type, one->edge.type) == 0 && strcmp(t->destination, one->edge.destination) == 0;
        score->right[one->missing] += right;
    }
}
