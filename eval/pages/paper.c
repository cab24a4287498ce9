#include "eval/pages/paper.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct finding {
    const char *figure, *what, *text;
    enum { ABOVE, BELOW } side; /* of the bound, where ours agrees */
    double bound;
} finding;

static const finding findings[LOOM_PAPER_FINDINGS] = {
    [LOOM_PAPER_EVERY_DEPTH] = {"3b", "recursive + instruction, every depth", "above 75 %", ABOVE, 0.75},
    [LOOM_PAPER_TABULAR_LARGE] = {"3a", "tabular, more than 15 edges", "below 25 %", BELOW, 0.25},
    [LOOM_PAPER_TABULAR_DEEP] = {"3b", "tabular, depth above 4", "near 0", BELOW, 0.1},
    [LOOM_PAPER_LAYERS_GAIN] = {"3a, 3b", "recursive over tabular", "about +30 points (edges), +35 (depth)", ABOVE, 0},
    [LOOM_PAPER_INSTRUCTIONS_GAIN] = {"3", "instruction tuning over recursive", "+23 to +36 points", ABOVE, 0},
    [LOOM_PAPER_INTERMEDIATE_GAIN] = {"13", "with over without intermediate instructions, every temperature",
                                      "about +13 %", ABOVE, 0},
    [LOOM_PAPER_SIZE_GAIN] = {"14", "the largest model over the smallest", "larger is better", ABOVE, 0},
    [LOOM_PAPER_SIZE_GAIN_DEEP] = {"14b", "largest over smallest, depth above 4", "+20 points (13B over 7B)", ABOVE, 0},
    [LOOM_PAPER_FOLLOWED] = {"6", NULL, "high accuracy", ABOVE, 0},
    [LOOM_PAPER_FEW_SHOT_GAIN] = {"T3", NULL, "above 75 % over 11 to 37 % (QwQ-32B)", ABOVE, 0},
    [LOOM_PAPER_FIRM_OURS] = {"5", NULL, "within 1.5 points of real", BELOW, 1.5},
    [LOOM_PAPER_FIRM_BASELINE] = {"5", NULL, "6 to 81 points below real", ABOVE, 6},
    [LOOM_PAPER_TRACE_VAE_OURS] = {"5", NULL, "comparable to real", BELOW, 0.02},
    [LOOM_PAPER_CLASSES] = {"T2", NULL, "1.2 (high latency) and 2.8 (uncommon) points below real", BELOW, 3},
    [LOOM_PAPER_UNCOMMON] = {"7", NULL, "76.8 %; Llama-2 never trained on traces 60.6 %", ABOVE, 0},
    [LOOM_PAPER_ATTRIBUTE] = {"7", NULL, "above 70 %; never trained on traces 30 to 40 points less", ABOVE, 0},
    [LOOM_PAPER_EDGE] = {"7", NULL, "66 %; never trained on traces 24 %", ABOVE, 0},
    [LOOM_PAPER_EMD_RATIO] = {"16", NULL, "2.6 to 10 times", ABOVE, 1},
};

void loom_paper_compare(loom_results *r, loom_paper_finding which, const char *what, double value, const char *ours,
                        const char *note)
{
    const finding *f = &findings[which];
    int same = isnan(value) ? -1 : f->side == ABOVE ? value > f->bound : value < f->bound;
    loom_results_summary(r, f->figure, what ? what : f->what, f->text, ours, same, note);
}

const char *loom_paper_noise(char *text, size_t cap, double noise, const char *unit)
{
    text[0] = 0;
    if (!isnan(noise)) snprintf(text, cap, "; two seeds of real differ by %.2g%s", noise, unit);
    return text;
}

const char *loom_paper_number(loom_paper_series series, const char *method)
{
    static const struct {
        loom_paper_series series;
        const char *method, *text;
    } numbers[] = {
        {LOOM_PAPER_KL, "instruction", "0.16"},
        {LOOM_PAPER_KL, "tabular", "0.11"},
        {LOOM_PAPER_KL, "tvae", "0.74"},
        {LOOM_PAPER_KL, "probabilistic", "3.84"},
        {LOOM_PAPER_HEAVY_50, "instruction", "above 90 %"},
        {LOOM_PAPER_HEAVY_500, "instruction", "65 %"},
        {LOOM_PAPER_HEAVY_10, "probabilistic", "59 %"},
        {LOOM_PAPER_HEAVY_500, "probabilistic", "23 %"},
        {LOOM_PAPER_COPIES, "tabular", "16 to 24 %"},
        {LOOM_PAPER_COPIES, "recursive", "3 to 5 %"},
        {LOOM_PAPER_COPIES, "instruction", "3 to 5 %"},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i].series == series && strcmp(numbers[i].method, method) == 0) return numbers[i].text;
    return NULL;
}

double loom_paper_few_shot(int64_t depth)
{
    static const double shares[] = {11.11, 32.5, 37.14, 33.33};
    return depth >= 2 && depth <= 5 ? shares[depth - 2] : NAN;
}

const char *loom_paper_class(const char *task, bool real)
{
    if (strcmp(task, "high-latency") == 0) return real ? "68.3 %" : "67.1 %";
    if (strcmp(task, "uncommon") == 0) return real ? "65.3 %" : "62.5 %";
    return NULL;
}

const loom_paper_setting loom_paper_settings[] = {
    {"optimizer", "optimizer", "AdamW", "AdamW"},
    {"learning rate", "lr", "3e-4", "1e-4"},
    {"schedule", "schedule", "cosine", "cosine"},
    {"batch, sequences", NULL, "64", "2"},
    {"gradient clipping", "clip", "1.0", "1.0"},
    {"warm-up steps", "warmup", "400 (public code)", NULL},
    {"steps", "steps", "32000 (public code)", NULL},
    {"epochs", "epochs", NULL, NULL},
    {"tokens", "tokens", NULL, NULL},
    {"minutes", "minutes", NULL, NULL},
    {"context, tokens", "context", "4096", NULL},
    {"weight decay", "weight-decay", NULL, NULL},
    {"LoRA", "lora", "true", "true"},
    {"LoRA rank", "lora-rank", "8", "8"},
    {"LoRA alpha", "lora-alpha", "16", "16"},
    {"LoRA dropout", "lora-dropout", "0.1", "0.1"},
    {"LoRA targets", "lora-targets", "q_proj,v_proj", "q_proj,v_proj"},
    {"weights", NULL, "7 B (Llama-2)", NULL},
    {"machine", NULL, "4 x A100 80 GB", NULL},
};
const size_t loom_paper_n_settings = sizeof loom_paper_settings / sizeof *loom_paper_settings;
