#include "eval/answers/instruction_prompts.h"

#include "trace/text/facts.h"

#include <string.h>

const char *const loom_ask_names[LOOM_ASKS] = {"none", "high_latency", "uncommon", "both"};

static bool wants_latency(loom_ask ask) { return ask == LOOM_ASK_HIGH_LATENCY || ask == LOOM_ASK_BOTH; }
static bool wants_call(loom_ask ask) { return ask == LOOM_ASK_UNCOMMON || ask == LOOM_ASK_BOTH; }

static const loom_call *draw_rare(const loom_graph *g, const loom_stats *stats, loom_rng *rng)
{
    const loom_call *chosen = NULL;
    uint64_t seen = 0;
    for (int32_t i = 1; i < g->n_calls; i++) {
        const loom_call *c = &g->calls[i];
        if (!loom_stats_is_rare(stats, g->service, c->source, c->type, c->destination)) continue;
        if (loom_rng_below(rng, ++seen) == 0) chosen = c;
    }
    return chosen;
}

bool loom_instruction_of(loom_instruction *out, loom_ask ask, const loom_graph *g, const loom_stats *stats,
                         loom_rng *rng)
{
    double mean;
    *out = (loom_instruction){.ask = ask};
    /* only requests of users may ask for high latency: the others show theirs */
    if (wants_latency(ask) && strcmp(g->calls[0].source, LOOM_TEXT_USER) != 0) return false;
    if (wants_latency(ask) &&
        (!loom_stats_latency(stats, g->service, NULL, &out->p90, &mean) || !loom_latency_varies(out->p90, mean)))
        return false;
    if (!wants_call(ask)) return true;
    const loom_call *c = draw_rare(g, stats, rng);
    if (!c) return false;
    out->source = c->source;
    out->type = loom_call_type_name(c->type);
    out->destination = c->destination;
    return true;
}

/* Appends `prompt` without the line `text`. */
static void drop_line(loom_buf *into, const char *prompt, const char *text)
{
    size_t n = strlen(text);
    while (*prompt) {
        size_t line = strcspn(prompt, "\n");
        size_t whole = line + (prompt[line] == '\n');
        if (line != n || memcmp(prompt, text, n) != 0) loom_buf_append(into, prompt, whole);
        prompt += whole;
    }
}

loom_status loom_instruction_prompts(loom_buf *with, loom_buf *without, const loom_instruction *asked,
                                     const loom_graph *g, bool match_training, bool bounded, loom_rng *rng,
                                     loom_arena *arena, loom_err *err)
{
    loom_line include = {.kind = LOOM_LINE_INCLUDE, .name = {asked->source, asked->destination, asked->type}};
    loom_prompt_conf conf = {.mode = LOOM_MODE_INSTRUCTION,
                             .match_training = match_training,
                             .high_latency = wants_latency(asked->ask),
                             .latency_from = bounded ? asked->p90 : 0,
                             .include = wants_call(asked->ask) ? &include : NULL};
    loom_buf line = {0}, half = {0};
    size_t from = with->len;
    LOOM_TRY(loom_request_root_prompt(with, g, NULL, &conf, rng, arena, err));
    loom_buf_str(&half, with->data + from);
    if (wants_latency(asked->ask)) {
        loom_buf rest = {0};
        loom_line latency = loom_request_high_latency(&conf);
        loom_line_render(&line, &latency);
        drop_line(&rest, half.data, line.data);
        loom_buf_release(&half);
        half = rest;
    }
    if (wants_call(asked->ask)) {
        loom_buf_reset(&line);
        loom_line_render(&line, &include);
        drop_line(without, half.data, line.data);
    } else {
        loom_buf_str(without, half.data);
    }
    loom_buf_release(&line);
    loom_buf_release(&half);
    return LOOM_OK;
}

bool loom_instruction_followed(const loom_instruction *asked, const loom_graph *g, bool strict)
{
    if (g->n_calls == 0) return false;
    int64_t latency = loom_call_finish(&g->calls[0]);
    if (wants_latency(asked->ask) && (strict ? latency <= asked->p90 : latency < asked->p90)) return false;
    if (!wants_call(asked->ask)) return true;
    for (int32_t i = 0; i < g->n_calls; i++) {
        const loom_call *c = &g->calls[i];
        if (strcmp(c->source, asked->source) == 0 && strcmp(c->destination, asked->destination) == 0 &&
            strcmp(loom_call_type_name(c->type), asked->type) == 0)
            return true;
    }
    return false;
}
