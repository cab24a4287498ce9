#include "readers/spans/span_counts.h"

const char *loom_spans_fault_name(int fault)
{
    static const char *const more[] = {"TOO_LARGE", "PARENTS_NOT_EXPORTED"};
    return fault < LOOM_REASONS ? loom_reason_name((loom_reason)fault) : more[fault - LOOM_REASONS];
}

void loom_span_counts_join(loom_span_counts *to, const loom_span_counts *from)
{
    to->graphs += from->graphs;
    to->calls += from->calls;
    to->call_spans += from->call_spans;
    to->second_calls += from->second_calls;
    to->inside += from->inside;
    to->not_exported += from->not_exported;
    to->untyped += from->untyped;
    to->callee_times += from->callee_times;
    to->caller_times += from->caller_times;
    to->cut += from->cut;
    loom_left_join(&to->left, &from->left);
}

void loom_span_counts_release(loom_span_counts *c) { loom_left_release(&c->left); }
