/* Any bytes as a line of an answers file, as a graph file of unknown format, and as CSV or SVG of a report: reading and
 * judging them must not crash, and nothing but a correct graph may be accepted. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/json.h"
#include "eval/answers/answer_scan.h"
#include "eval/answers/answers.h"
#include "eval/answers/graphs.h"
#include "eval/pages/html.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same_text(const char *a, size_t n, const char *b, size_t m)
{
    return n == m && !a == !b && (!a || memcmp(a, b, n) == 0);
}

/* What the fast reader accepts, the general one reads alike. */
static void compare_readers(const char *line, size_t len)
{
    loom_arena arena = {0};
    loom_answer a, b;
    if (loom_answer_scan(&a, line, len, &arena)) {
        if (loom_answer_parse_general(&b, line, len, "fuzz", 1, &arena, NULL) != LOOM_OK) abort();
        if (a.id != b.id || a.sample != b.sample || a.edges != b.edges || a.depth != b.depth || a.mode != b.mode ||
            a.temperature != b.temperature || a.seed != b.seed || a.constrained != b.constrained ||
            a.refused != b.refused || a.n_layers != b.n_layers)
            abort();
        for (int32_t i = 0; i < a.n_layers; i++) {
            const loom_replay_layer *x = &a.layers[i], *y = &b.layers[i];
            if (x->parent != y->parent || !same_text(x->prompt, x->prompt_len, y->prompt, y->prompt_len) ||
                !same_text(x->text, x->text ? x->text_len : 0, y->text, y->text ? y->text_len : 0))
                abort();
        }
    }
    loom_prompt_line l;
    if (loom_prompt_scan(&l, line, len, &arena)) {
        loom_json *root = NULL;
        if (loom_json_parse(&root, line, len, "fuzz", NULL) != LOOM_OK) abort();
        if (l.id != loom_json_i64(loom_json_get(root, "id"), -1)) abort();
        loom_json_free(root);
    }
    loom_arena_release(&arena);
}

static void judge(const char *line, size_t len)
{
    loom_arena arena = {0};
    loom_answer answer;
    loom_score score = {0};
    if (loom_answer_parse(&answer, line, len, "fuzz", 1, &arena, NULL) == LOOM_OK &&
        loom_answer_score(&score, &answer, NULL) == LOOM_OK) {
        if (score.accurate && !score.correct) abort();
        if (score.correct && !(score.valid && score.finished)) abort();
        if (score.correct && answer.edges >= 0 && score.n_edges != answer.edges) abort();
        loom_score_release(&score);
    }
    loom_arena_release(&arena);
}

/* The file lives in memory: a disk would be the slowest part. */
static void read_graphs(const uint8_t *data, size_t size)
{
    char path[64];
    loom_graphs *in = NULL;
    loom_graph g;
    bool more = true;
    int fd = memfd_create("fuzz", 0);
    if (fd < 0) return;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (write(fd, data, size) == (ssize_t)size && loom_graphs_open(&in, path, NULL) == LOOM_OK)
        while (more && loom_graphs_next(in, &g, &more, NULL) == LOOM_OK)
            if (more && g.n_calls < 1) abort();
    loom_graphs_close(&in);
    close(fd);
}

static void make_page(const char *text)
{
    loom_buf html = {0};
    loom_html_csv(&html, text, "seed", 5);
    loom_html_svg(&html, text, "title", "p-");
    loom_buf_release(&html);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (!text) return 0;
    if (size) memcpy(text, data, size);
    text[size] = 0;
    compare_readers(text, size);
    judge(text, size);
    make_page(text);
    if (size % 8 == 0) read_graphs(data, size); /* opening a file costs more than all the rest */
    free(text);
    return 0;
}
