#include "preprocess/jobs/job_graph.h"

#include <string.h>

#include "core/num.h"

const char *const loom_job_flaw_names[LOOM_JOB_FLAWS] = {
    "graphs", "row_left_out", "repeated_task", "absent_task", "tasks_wait_for_each_other", "too_many_tasks"};

#define NOBODY (-1)
#define JOB    (-2) /* the root call */

/* A task in its tree. */
typedef struct node {
    const loom_batch_task *task;
    int64_t parent;     /* index; JOB */
    int64_t start, end; /* of all below */
    int64_t depth;      /* tasks above and itself; 0: not known yet */
} node;

typedef struct tree {
    loom_job_graphs *j;
    node *list; /* (n) */
    int64_t n, start, end;
    loom_graph *g;
    int32_t id[LOOM_JOB_MOST + 2];
} tree;

static int64_t find(const tree *t, int64_t number)
{
    for (int64_t i = 0; i < t->n; i++)
        if (t->list[i].task->number == number) return i;
    return NOBODY;
}

static loom_job_flaw check_numbers(const tree *t)
{
    for (int64_t i = 0; i < t->n; i++) {
        const loom_batch_task *a = t->list[i].task;
        if (a->number >= 0 && find(t, a->number) != i) return LOOM_JOB_REPEATED;
        for (int64_t k = 0; k < a->n_after; k++)
            if (find(t, a->after[k]) == NOBODY) return LOOM_JOB_ABSENT;
    }
    return LOOM_JOB_OK;
}

/* Who waits for task i: the lowest number; and how many do. */
static int64_t first_waiting(const tree *t, int64_t i, int64_t *n)
{
    int64_t first = JOB;

    *n = 0;
    for (int64_t k = 0; k < t->n; k++) {
        const loom_batch_task *a = t->list[k].task;
        bool waits = false;
        for (int64_t m = 0; m < a->n_after; m++) waits |= a->after[m] == t->list[i].task->number;
        if (!waits) continue;
        ++*n;
        if (first == JOB || a->number < t->list[first].task->number) first = k;
    }
    return first;
}

/* Every way up must end at the job, in as many steps as there are tasks at most. */
static loom_job_flaw hang(tree *t)
{
    for (int64_t i = 0; i < t->n; i++) {
        int64_t waiting = 0;
        t->list[i].parent = t->list[i].task->number < 0 ? JOB : first_waiting(t, i, &waiting);
        t->j->edges_left_out += waiting > 1 ? waiting - 1 : 0;
    }
    for (int64_t i = 0; i < t->n; i++) {
        int64_t depth = 1;
        for (int64_t up = t->list[i].parent; up != JOB; up = t->list[up].parent)
            if (++depth > t->n) return LOOM_JOB_CYCLE;
        t->list[i].depth = depth;
    }
    return LOOM_JOB_OK;
}

/* Spans grow from the deepest tasks up. */
static void span(tree *t)
{
    int64_t deepest = 0;

    t->start = INT64_MAX, t->end = INT64_MIN;
    for (int64_t i = 0; i < t->n; i++) {
        node *a = &t->list[i];
        a->start = a->task->start, a->end = a->task->end;
        t->start = loom_min_i64(t->start, a->start);
        t->end = loom_max_i64(t->end, a->end);
        deepest = loom_max_i64(deepest, a->depth);
    }
    for (int64_t d = deepest; d > 1; d--)
        for (int64_t i = 0; i < t->n; i++) {
            if (t->list[i].depth != d) continue;
            node *up = &t->list[t->list[i].parent];
            up->start = loom_min_i64(up->start, t->list[i].start);
            up->end = loom_max_i64(up->end, t->list[i].end);
        }
}

/* ---- the graph ---- */

static bool name_kind(tree *t, int64_t kind, loom_buf *into)
{
    const char *text = kind < 0 ? "job" : loom_intern_text(&t->j->tasks->kinds, kind);

    if (!loom_rename_add(&t->j->names, LOOM_RENAME_MICROSERVICE, (const char *[]){text}, 1)) return false;
    loom_rename_append(&t->j->names, LOOM_RENAME_MICROSERVICE, text, into);
    return true;
}

static const char *called(tree *t, int64_t kind)
{
    loom_buf name = {0};
    const char *copy = name_kind(t, kind, &name) ? loom_arena_strdup(&t->j->arena, loom_buf_text(&name), name.len) : "";

    loom_buf_release(&name);
    return copy;
}

/* The kinds of the last tasks, each once, lowest first: what the job is for. */
static const char *service_of(tree *t)
{
    loom_buf text = {0}, name = {0};
    const char *copy = "";

    for (int64_t kind = 0; kind < (int64_t)t->j->tasks->kinds.n; kind++)
        for (int64_t i = 0; i < t->n; i++)
            if (t->list[i].parent == JOB && t->list[i].task->kind == kind) {
                loom_buf_printf(&text, "%s%s", text.len ? "+" : "", loom_intern_text(&t->j->tasks->kinds, kind));
                break;
            }
    if (text.data && loom_rename_add(&t->j->names, LOOM_RENAME_SERVICE, (const char *[]){text.data}, 1)) {
        loom_rename_append(&t->j->names, LOOM_RENAME_SERVICE, text.data, &name);
        copy = loom_arena_strdup(&t->j->arena, loom_buf_text(&name), name.len);
    }
    loom_buf_release(&text);
    loom_buf_release(&name);
    return copy;
}

static void add_call(tree *t, int32_t n_id, loom_call_type type, const char *source, const char *destination,
                     int64_t start, int64_t end)
{
    int32_t *id = loom_arena_alloc(&t->j->arena, (size_t)n_id * sizeof *id);

    if (!id) return;
    memcpy(id, t->id, (size_t)n_id * sizeof *id);
    t->g->calls[t->g->n_calls++] = (loom_call){.id = id,
                                               .n_id = n_id,
                                               .type = type,
                                               .source = source,
                                               .destination = destination,
                                               .arrived = start - t->start,
                                               .rt = end - start};
}

/* The next child by start, then number, behind `last`; NOBODY. */
static int64_t next_child(const tree *t, int64_t parent, int64_t last)
{
    int64_t best = NOBODY;

    for (int64_t i = 0; i < t->n; i++) {
        const node *a = &t->list[i], *b = best == NOBODY ? NULL : &t->list[best],
                   *l = last == NOBODY ? NULL : &t->list[last];
        if (a->parent != parent || i == last) continue;
        if (l && (a->start < l->start || (a->start == l->start && i < last))) continue;
        if (!b || a->start < b->start) best = i;
    }
    return best;
}

static void add_children(tree *t, int64_t parent, int32_t depth, const char *source)
{
    int32_t place = 0;

    for (int64_t i = NOBODY; (i = next_child(t, parent, i)) != NOBODY;) {
        const node *a = &t->list[i];
        const char *name = called(t, a->task->kind);
        t->id[depth] = ++place;
        add_call(t, depth + 1, LOOM_CALL_RPC, source, name, a->start, a->end);
        add_children(t, i, depth + 1, name);
    }
}

static loom_status grow(tree *t, loom_err *err)
{
    loom_arena *arena = &t->j->arena;
    const char *root = called(t, NOBODY);

    *t->g = (loom_graph){.service = service_of(t),
                         .time_of_day = t->start % 86400 * 1000,
                         .calls = loom_arena_calloc(arena, (size_t)t->n + 1, sizeof *t->g->calls)};
    if (!t->g->calls) return loom_fail_nomem(err, "a job");
    add_call(t, 1, LOOM_CALL_HTTP, "USER", root, t->start, t->end);
    add_children(t, JOB, 1, root);
    return loom_arena_check(arena, "a job", err);
}

loom_status loom_job_graph(loom_job_graphs *j, int64_t job, loom_graph *g, loom_job_flaw *flaw, loom_err *err)
{
    const loom_batch_tasks *all = j->tasks;
    tree t = {.j = j, .n = all->first[job + 1] - all->first[job], .g = g};

    loom_arena_reset(&j->arena);
    *flaw = all->broken[job] || t.n == 0 ? LOOM_JOB_ROW_LEFT_OUT
            : t.n > LOOM_JOB_MOST        ? LOOM_JOB_TOO_LARGE
                                         : LOOM_JOB_OK;
    if (*flaw != LOOM_JOB_OK) return LOOM_OK;
    t.list = loom_arena_calloc(&j->arena, (size_t)t.n, sizeof *t.list);
    if (!t.list) return loom_fail_nomem(err, "a job");
    for (int64_t i = 0; i < t.n; i++) t.list[i].task = &all->list[all->first[job] + i];
    if ((*flaw = check_numbers(&t)) != LOOM_JOB_OK || (*flaw = hang(&t)) != LOOM_JOB_OK) return LOOM_OK;
    span(&t);
    return grow(&t, err);
}

void loom_job_graphs_release(loom_job_graphs *j)
{
    loom_rename_release(&j->names);
    loom_arena_release(&j->arena);
}
