#include "system/contrast_changes.h"

const char *const loom_change_kind_names[LOOM_CHANGE_KINDS] = {"service", "operation", "dependency", "path"};
const char *const loom_test_names[LOOM_TESTS] = {"graphs",        "asked",         "often",     "number",
                                                 "own",           "own_tail",      "own_kinds", "response",
                                                 "response_tail", "response_kinds"};

loom_test_unit loom_test_unit_of(loom_test t)
{
    switch (t) {
    case LOOM_TEST_NUMBER: return LOOM_TEST_CALLS;
    case LOOM_TEST_OWN:
    case LOOM_TEST_OWN_KINDS:
    case LOOM_TEST_RESPONSE:
    case LOOM_TEST_RESPONSE_KINDS: return LOOM_TEST_MS;
    default: return LOOM_TEST_SHARE;
    }
}
