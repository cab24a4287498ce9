#include "preprocess/texts/text_shape.h"

#include <stdio.h>
#include <string.h>

#include "core/hash.h"
#include "core/num.h"

/* Larger numbers count as this: there are never so many samples of one shape there that it matters. */
#define MOST 1000

const char *loom_text_value(const char *text, const char *end, loom_attr which)
{
    const char *name = loom_attr_table[which].name;
    size_t len = strlen(name);

    while ((text = memmem(text, (size_t)(end - text), name, len))) {
        text += len;
        if (text < end && *text == ':') return text + 1;
    }
    return NULL;
}

/* The number that a text gives for an attribute, 0 without it. */
static int64_t number_of(const char *line, const char *end, loom_attr which)
{
    const char *at = loom_text_value(line, end, which);
    int64_t n = 0;

    if (!at) return 0;
    for (; at < end && *at >= '0' && *at <= '9' && n < MOST; at++) n = 10 * n + (*at - '0');
    return n;
}

bool loom_text_asks_for_slow(const char *prompt, size_t len)
{
    return memmem(prompt, len, LOOM_TEXT_HIGH_LATENCY, strlen(LOOM_TEXT_HIGH_LATENCY)) != NULL;
}

/* What a prompt asks for. How deep and large the graph below a layer is (to the power of two) says which calls will do:
 * two calls with five levels below are another thing than two with one. Those that ask for a certain call or for high
 * latency are mostly layers of the root, which have one call: among all of that shape they would be thinned until the
 * model no longer hears them. */
static int prompt_shape(char *out, size_t size, const char *prompt, size_t len)
{
    size_t line_len;
    bool call = loom_text_include_line(prompt, len, &line_len) != NULL;
    bool slow = loom_text_asks_for_slow(prompt, len);
    int64_t depth = number_of(prompt, prompt + len, LOOM_ATTR_REMAINING_DEPTH), log2 = 0;

    for (int64_t edges = number_of(prompt, prompt + len, LOOM_ATTR_NUM_EDGES); edges > 1; edges /= 2) log2++;
    return snprintf(out, size, "%d %d %d %d", call, slow, (int)depth, (int)log2);
}

size_t loom_text_shape_slow(char *out, size_t size, const char *prompt, size_t len)
{
    const char *end = prompt + len, *id = loom_text_value(prompt, end, LOOM_ATTR_ID);
    size_t id_len = id ? strcspn(id, "/\n") : 0;

    return (size_t)snprintf(out, size, "slow %016llx", (unsigned long long)loom_hash64(id ? id : "", id_len, 0));
}

/* By lines: an edge begins with a bracket, a subgraph with its tag. A split layer has no edges but those of its parts,
 * and there the subgraphs of the parts count too: parts with calls below are what sums go wrong in. */
size_t loom_text_shape(char *out, size_t size, const char *text, const loom_text_item *item)
{
    const char *at = text, *end = text + item->len, *stop;
    const size_t tag = strlen(LOOM_TEXT_SUB);
    int64_t calls = 0, subs = 0, calls_in_parts = 0, subs_in_parts = 0;

    for (; at < end; at = stop + 1) {
        stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop) stop = end;
        if (*at == '(') calls++;
        if ((size_t)(stop - at) < tag || memcmp(at, LOOM_TEXT_SUB, tag) != 0) continue;
        subs++;
        if (calls) continue;
        calls_in_parts += number_of(at, stop, LOOM_ATTR_NUM_CURRENT_EDGES);
        subs_in_parts += number_of(at, stop, LOOM_ATTR_NUM_SUBGRAPHS);
    }
    if (!calls) {
        calls = calls_in_parts;
        subs += subs_in_parts;
    }
    int len = snprintf(out, size, "%d %d ", (int)loom_min_i64(calls, MOST), (int)loom_min_i64(subs, MOST));
    return (size_t)(len + prompt_shape(out + len, size - (size_t)len, text, item->answer));
}
