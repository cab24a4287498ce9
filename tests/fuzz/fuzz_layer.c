/* Any bytes as prompt and generated text: reading, judging and growing a graph from them must not crash, and what reads
 * exactly must render to the same bytes. The first byte chooses the mode, the second where the prompt ends. */
#include <stdlib.h>

#include "trace/request/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void grow(loom_mode mode, bool match, const char *prompt, size_t prompt_len, const char *text, size_t len)
{
    loom_request_conf conf = {.mode = mode, .match_training = match, .keep_going = true};
    loom_request *r = NULL;
    const loom_request_layer *l;
    loom_buf line = {0}, log = {0}, codes = {0};
    loom_rng rng;

    loom_rng_seed(&rng, 1, "fuzz", 0);
    if (loom_request_new(&r, &conf, prompt, prompt_len, &rng, NULL) != LOOM_OK) abort();
    for (int n = 0; n < 50 && (l = loom_request_take(r)); n++)
        if (loom_request_answer(r, l->index, text, len, NULL) != LOOM_OK) abort();
    loom_trace_line(&line, 1, mode, loom_request_outcome(r));
    loom_request_failures(r, 1, &log, &codes);
    loom_request_free(&r);
    loom_buf_release(&line);
    loom_buf_release(&log);
    loom_buf_release(&codes);
}

static void read_exactly(loom_mode mode, const char *text, size_t len, loom_arena *arena)
{
    loom_text t;
    loom_buf again = {0};
    if (loom_text_parse(&t, mode, text, len, arena, NULL) == LOOM_OK) {
        loom_text_render(&again, &t);
        if (again.len > len + 1) abort();
    }
    loom_buf_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;
    loom_mode mode = (loom_mode)(data[0] % LOOM_MODES);
    const char *text = (const char *)data + 2;
    size_t len = size - 2, cut = len * data[1] / 256;
    loom_arena arena = {0};
    loom_buf prompt = {0};

    read_exactly(mode, text, len, &arena);
    grow(mode, data[0] & 128, text, cut, text + cut, len - cut);
    (void)loom_request_record_prompt(&prompt, mode, data[0] & 64, text, len, NULL);
    loom_buf_release(&prompt);
    loom_arena_release(&arena);
    return 0;
}
