#include "trace/text/facts.h"

#include "core/hash.h"
#include "core/rng.h"

static bool is_rare(const void *ctx, const char *service, const char *source, loom_call_type type,
                    const char *destination)
{
    return loom_stats_is_rare(ctx, service, source, type, destination);
}

loom_facts loom_stats_facts(const loom_stats *stats, const char *service)
{
    loom_facts facts = {0};
    if (!stats) return facts;
    facts.has_latency = loom_stats_latency(stats, service, NULL, &facts.p90, &facts.mean);
    facts.is_rare = is_rare;
    facts.ctx = stats;
    return facts;
}

bool loom_latency_varies(int64_t p90, double mean) { return (double)p90 - mean > 5; }

bool loom_is_high_latency(const loom_facts *facts, int64_t latency)
{
    return facts->has_latency && loom_latency_varies(facts->p90, facts->mean) && latency >= facts->p90;
}

bool loom_asks_for_first(const loom_facts *facts, int32_t first_call)
{
    return loom_unit_f64(loom_hash64(&first_call, sizeof first_call, facts->draw)) < facts->asked;
}
