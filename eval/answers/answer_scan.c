#include "eval/answers/answer_scan.h"

#include <string.h>

#include "core/num.h"

/* A place in the line, and where unescaped texts go: one block as long as the line holds them all, since every text
 * loses its two quotes and gains one NUL. */
typedef struct scan {
    const char *at, *end;
    char *space;
    loom_arena *arena; /* of lists */
} scan;

static bool take(scan *s, char c)
{
    while (s->at < s->end && *s->at == ' ') s->at++;
    if (s->at >= s->end || *s->at != c) return false;
    s->at++;
    return true;
}

static bool peek(scan *s, char c)
{
    while (s->at < s->end && *s->at == ' ') s->at++;
    return s->at < s->end && *s->at == c;
}

static bool take_word(scan *s, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(s->end - s->at) < n || memcmp(s->at, word, n) != 0) return false;
    s->at += n;
    return true;
}

/* What a backslash and this letter stand for; 0: not one of the short escapes. */
static char escaped(char c)
{
    switch (c) {
    case 'n': return '\n';
    case 't': return '\t';
    case 'r': return '\r';
    case 'b': return '\b';
    case 'f': return '\f';
    case '"':
    case '\\':
    case '/': return c;
    default: return 0;
    }
}

/* In a byte of x that needs a second look (control, '"', '\\', beyond ASCII and DEL) the high bit; bytes behind the
 * first such one may have it too. */
static uint64_t special_bytes(uint64_t x)
{
    const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
    uint64_t quote = x ^ '"' * ones, slash = x ^ '\\' * ones;
    return (((x - 0x20 * ones) & ~x) | (x + ones) | x | ((quote - ones) & ~quote) | ((slash - ones) & ~slash)) & high;
}

/* Eight bytes, the first one lowest. */
static uint64_t load8(const char *c)
{
    uint64_t x;
    memcpy(&x, c, sizeof x);
    return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? __builtin_bswap64(x) : x;
}

/* Copies up to the first special byte, eight at a time. What lands beyond it is written over later; it fits, since a
 * text never ends further into its space than into the line. */
static void take_plain(const char **from, const char *end, char **into)
{
    const char *c = *from;
    char *to = *into;
    for (; end - c >= 8; c += 8, to += 8) {
        uint64_t special = special_bytes(load8(c));
        memcpy(to, c, 8);
        if (!special) continue;
        int plain = __builtin_ctzll(special) / 8;
        c += plain, to += plain;
        break;
    }
    *from = c, *into = to;
}

static bool take_text(scan *s, const char **text, size_t *len)
{
    if (!take(s, '"')) return false;
    char *into = s->space;
    const char *c = s->at;
    take_plain(&c, s->end, &into);
    while (c < s->end && *c != '"') {
        char v = *c++;
        bool escape = v == '\\';
        if ((unsigned char)v < 0x20 || (unsigned char)v >= 0x7f) return false;
        if (escape && (c >= s->end || (v = escaped(*c++)) == 0)) return false;
        *into++ = v;
        if (escape) take_plain(&c, s->end, &into);
    }
    if (c >= s->end) return false;
    *into = 0;
    *text = s->space;
    *len = (size_t)(into - s->space);
    s->space = into + 1;
    s->at = c + 1;
    return true;
}

/* A number of JSON: no sign but -, no leading zero. Returns its length. */
static size_t number_length(scan *s, bool whole)
{
    while (s->at < s->end && *s->at == ' ') s->at++;
    size_t n = 0, most = (size_t)(s->end - s->at);
    const char *digits = s->at + (most && *s->at == '-');
    while (n < most && (strchr(whole ? "-0123456789" : "-0123456789.eE+", s->at[n]) != NULL && s->at[n])) n++;
    if (digits >= s->at + n || *digits < '0' || *digits > '9') return 0;
    if (*digits == '0' && digits + 1 < s->at + n && digits[1] >= '0' && digits[1] <= '9') return 0;
    const char last = s->at[n - 1];
    if (last < '0' || last > '9') return 0; /* "1.", "1e" are none */
    return n;
}

static bool take_i64(scan *s, int64_t *v)
{
    size_t n = number_length(s, true);
    if (!n || !loom_parse_i64(s->at, n, v)) return false;
    s->at += n;
    return true;
}

static bool take_f64(scan *s, double *v)
{
    size_t n = number_length(s, false);
    const char *dot = n ? memchr(s->at, '.', n) : NULL;
    if (!n || (dot && (dot[1] < '0' || dot[1] > '9')) || !loom_parse_f64(s->at, n, v)) return false;
    s->at += n;
    return true;
}

/* Which of the names a key is; each may come once. -1: another one, or again. */
static int take_key(scan *s, const char *const *names, int n, unsigned *seen)
{
    const char *key;
    size_t len;
    if (!take_text(s, &key, &len) || !take(s, ':')) return -1;
    for (int i = 0; i < n; i++) {
        if (strcmp(key, names[i]) != 0) continue;
        if (*seen & 1u << i) return -1;
        *seen |= 1u << i;
        while (s->at < s->end && *s->at == ' ') s->at++;
        return i;
    }
    return -1;
}

/* The value of key number `key` into *out. */
typedef bool value_fn(void *out, scan *s, int key);

static bool take_object(scan *s, const char *const *names, int n, value_fn *value, void *out, unsigned *seen)
{
    *seen = 0;
    if (!take(s, '{')) return false;
    do {
        int key = take_key(s, names, n, seen);
        if (key < 0 || !value(out, s, key)) return false;
    } while (take(s, ','));
    return take(s, '}');
}

/* ---- layers ---- */

enum { LAYER_PREFIX, LAYER_PARENT, LAYER_PROMPT, LAYER_TEXT, LAYER_TOKENS, LAYER_STOP, LAYER_KEYS };
static const char *const layer_keys[LAYER_KEYS] = {"prefix", "parent", "prompt", "text", "tokens", "stop"};

static bool layer_value(void *layer, scan *s, int key)
{
    loom_replay_layer *out = layer;
    const char *text;
    size_t len;
    int64_t n;
    switch (key) {
    case LAYER_PARENT:
        if (!take_i64(s, &n) || n < -1 || n > LOOM_REQUEST_MAX_LAYERS) return false;
        out->parent = (int32_t)n;
        return true;
    case LAYER_PROMPT: return take_text(s, &out->prompt, &out->prompt_len);
    case LAYER_TEXT: return peek(s, '"') ? take_text(s, &out->text, &out->text_len) : take_word(s, "null");
    case LAYER_TOKENS: return take_i64(s, &n);
    default: return take_text(s, &text, &len);
    }
}

static bool take_layer(loom_replay_layer *out, scan *s, int32_t index)
{
    unsigned seen;
    *out = (loom_replay_layer){0};
    if (!take_object(s, layer_keys, LAYER_KEYS, layer_value, out, &seen) || !(seen & 1u << LAYER_PARENT) ||
        !out->prompt_len)
        return false;
    return index == 0 ? out->parent == -1 : out->parent >= 0 && out->parent < index;
}

static bool take_layers(loom_answer *out, scan *s)
{
    int32_t cap = 8;
    loom_replay_layer *list = loom_arena_alloc(s->arena, (size_t)cap * sizeof *list);
    out->n_layers = 0;
    out->layers = list;
    if (!list || !take(s, '[')) return false;
    if (take(s, ']')) return true;
    do {
        if (out->n_layers == cap) {
            loom_replay_layer *more = loom_arena_alloc(s->arena, 2 * (size_t)cap * sizeof *more);
            if (!more) return false;
            memcpy(more, list, (size_t)cap * sizeof *more);
            out->layers = list = more;
            cap *= 2;
        }
        if (out->n_layers == LOOM_REQUEST_MAX_LAYERS || !take_layer(&list[out->n_layers], s, out->n_layers))
            return false;
        out->n_layers++;
    } while (take(s, ','));
    return take(s, ']');
}

/* ---- the line ---- */

enum {
    KEY_ID,
    KEY_SAMPLE,
    KEY_MODE,
    KEY_EDGES,
    KEY_DEPTH,
    KEY_TEMPERATURE,
    KEY_SEED,
    KEY_CONSTRAIN,
    KEY_REFUSED,
    KEY_LAYERS,
    KEYS
};
static const char *const keys[KEYS] = {"id",          "sample", "mode",      "edges",   "depth",
                                       "temperature", "seed",   "constrain", "refused", "layers"};

static bool answer_value(void *answer, scan *s, int key)
{
    loom_answer *out = answer;
    const char *text;
    size_t len;
    switch (key) {
    case KEY_ID: return take_i64(s, &out->id);
    case KEY_SAMPLE: return take_i64(s, &out->sample);
    case KEY_EDGES: return take_i64(s, &out->edges);
    case KEY_DEPTH: return take_i64(s, &out->depth);
    case KEY_SEED: return take_i64(s, &out->seed);
    case KEY_TEMPERATURE: return take_f64(s, &out->temperature);
    case KEY_MODE: return take_text(s, &text, &len) && loom_mode_parse(&out->mode, text);
    case KEY_CONSTRAIN:
        if (!take_text(s, &text, &len)) return false;
        out->constrained = strcmp(text, "off") != 0;
        return true;
    case KEY_REFUSED: out->refused = true; return take_text(s, &text, &len);
    default: return take_layers(out, s);
    }
}

bool loom_answer_scan(loom_answer *out, const char *line, size_t len, loom_arena *arena)
{
    scan s = {line, line + len, loom_arena_alloc(arena, len + 1), arena};
    unsigned seen;
    *out = (loom_answer){.id = -1, .edges = -1, .depth = -1};
    if (!s.space || !take_object(&s, keys, KEYS, answer_value, out, &seen) || s.at != s.end) return false;
    return (seen & 1u << KEY_MODE) && (seen & 1u << KEY_LAYERS);
}

/* ---- prompts ---- */

enum { ASKED_ID, ASKED_MODE, ASKED_EDGES, ASKED_DEPTH, ASKED_SERVICE, ASKED_PROMPT, ASKED_RECORD, ASKED_KEYS };
static const char *const asked_keys[ASKED_KEYS] = {"id", "mode", "edges", "depth", "service", "prompt", "record"};

static bool asked_value(void *asked, scan *s, int key)
{
    loom_prompt_line *out = asked;
    const char *text;
    size_t len;
    switch (key) {
    case ASKED_ID: return take_i64(s, &out->id);
    case ASKED_EDGES: return take_i64(s, &out->edges);
    case ASKED_DEPTH: return take_i64(s, &out->depth);
    case ASKED_MODE: return take_text(s, &out->mode, &len);
    case ASKED_PROMPT: return take_text(s, &out->prompt, &out->prompt_len);
    default: return take_text(s, &text, &len);
    }
}

bool loom_prompt_scan(loom_prompt_line *out, const char *line, size_t len, loom_arena *arena)
{
    scan s = {line, line + len, loom_arena_alloc(arena, len + 1), arena};
    unsigned seen;
    *out = (loom_prompt_line){.id = -1, .edges = -1, .depth = -1};
    return s.space && take_object(&s, asked_keys, ASKED_KEYS, asked_value, out, &seen) && s.at == s.end;
}
