#include "infer/loop/naming.h"

#include <string.h>

#include "trace/text/parse.h"

bool loom_naming_is_file(const char *option) { return option && strcmp(option, "any") != 0; }

loom_status loom_naming_open(loom_naming *n, const char *option, const char *text, size_t len, bool full, loom_err *err)
{
    if (text) LOOM_TRY(loom_names_parse(&n->model, text, len, "names of the model", err));
    LOOM_TRY(loom_names_sort(&n->model, err));
    if (loom_naming_is_file(option)) {
        LOOM_TRY(loom_names_read(&n->file, option, err));
        n->allowed = &n->file;
    } else if (!option && n->model.n) {
        n->known = &n->model;
        if (full) n->allowed = &n->model;
    }
    return LOOM_OK;
}

static loom_status ask_line(loom_naming *n, const char *text, loom_arena *arena, loom_err *err)
{
    loom_line line;

    if (!loom_line_match(&line, LOOM_LINE_INCLUDE, text, strlen(text), arena)) return LOOM_OK;
    for (int i = 0; i < 2; i++)
        if (strcmp(line.name[i], LOOM_TEXT_USER) != 0 && !loom_names_has(&n->model, line.name[i]))
            LOOM_TRY(loom_names_add(&n->model, line.name[i], strlen(line.name[i]), err));
    return LOOM_OK;
}

loom_status loom_naming_ask(loom_naming *n, const loom_gen_prompt *prompts, int64_t n_prompts, loom_err *err)
{
    loom_arena arena = {0};
    loom_parsed_prompt p;
    size_t had = n->model.microservices.n, line_len;
    loom_status st = LOOM_OK;

    for (int64_t i = 0; n->known && i < n_prompts && st == LOOM_OK; i++) {
        const loom_gen_prompt *prompt = &prompts[i];
        if (!loom_text_include_line(prompt->text, prompt->len, &line_len)) continue;
        loom_arena_reset(&arena);
        loom_parse_prompt(&p, prompt->mode, prompt->text, prompt->len, &arena);
        for (int32_t k = 0; k < p.n_includes && st == LOOM_OK; k++) st = ask_line(n, p.includes[k], &arena, err);
    }
    loom_arena_release(&arena);
    if (st == LOOM_OK && n->model.microservices.n != had) st = loom_names_sort(&n->model, err);
    return st;
}

void loom_naming_release(loom_naming *n)
{
    loom_names_release(&n->model);
    loom_names_release(&n->file);
    n->allowed = n->known = NULL;
}
