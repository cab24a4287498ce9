/* A call graph from the model that comes along, in the shortest way:
 *   cc sample_graph.c $(pkg-config --cflags --libs spanloom) -o sample_graph && ./sample_graph base.h5 */
#include <stdio.h>

#include "infer/engine/model_loader.h"
#include "infer/files/promptlist.h"
#include "infer/loop/budget.h"
#include "trace/graph/record.h"

static loom_status keep(void *record, const loom_gen_result *result, loom_err *err)
{
    if (!loom_outcome_has_record(result->outcome)) return loom_fail(err, LOOM_STATUS_VERDICT, "not a valid graph");
    loom_record_render_untimed(record, &result->outcome->graph.graph);
    return loom_buf_check(record, "the graph", err);
}

int main(int argc, char **argv)
{
    loom_err err = {0};
    loom_model_loader m = {0};
    loom_prompts ask = {0};
    loom_buf record = {0};
    loom_common common = {.threads = 1};
    loom_model_loader_conf files = {.model = argc > 1 ? argv[1] : NULL, .batch = 1, .share = true, .jump = true};
    loom_wish wish = {.edges = 6, .depth = 3, .latency = -1, .children = -1, .service = "S_000000001"};
    loom_gen_options how = {.match_training = true, .constrain = LOOM_CONSTRAIN_FULL, .seed = 1, .samples = 1,
                            .max_tokens = 4096, .temperature = 0.8, .top_k = 50};

    loom_gen_bos(&how, 0);
    if (loom_model_loader_open(&m, &files, &common, &err) == LOOM_OK &&
        loom_prompts_wish(&ask, &wish, LOOM_MODE_INSTRUCTION, true, 1, how.seed, &err) == LOOM_OK &&
        loom_budget_keep(&how, m.tok, ask.items, ask.n, loom_engine_context(m.engine), &err) == LOOM_OK)
        loom_generate(m.completer, ask.items, ask.n, &how, keep, &record, NULL, &err);
    puts(record.len ? record.data : err.msg);
    loom_prompts_release(&ask);
    loom_model_loader_close(&m);
    loom_buf_release(&record);
    return err.status != LOOM_OK;
}
