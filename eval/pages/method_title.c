#include "eval/pages/method_title.h"

#include <string.h>

const char *loom_method_title(const char *method)
{
    static const char *const titles[][2] = {
        {"tabular", "Tabular (whole graph at once)"},
        {"recursive", "Recursive (layer by layer)"},
        {"instruction", "Recursive + instruction"},
        {"tabular constrained", "Tabular, constrained decoding"},
        {"recursive constrained", "Recursive, constrained decoding"},
        {"instruction constrained", "Recursive + instruction, constrained decoding"},
        {"real", "Real"},
        {"train", "Training"},
        {"valid", "Validation"},
        {"probabilistic", "Probabilistic"},
        {"topology", "Topology (no model)"},
        {"fresh", "Never trained on traces"},
        {"frequency", "Most frequent in training"},
        {"tvae", "TVAE (calls as table rows)"},
    };
    for (size_t i = 0; i < sizeof titles / sizeof *titles; i++)
        if (strcmp(method, titles[i][0]) == 0) return titles[i][1];
    return method;
}
