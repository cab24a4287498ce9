#include "tokenizer/pretok.h"

#include <stdbool.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "core/nomem.h"
#include "core/num.h"

enum { JIT_STACK_START = 32 << 10, JIT_STACK_MAX = 64 << 20, MATCH_LIMIT = 20000000 };

typedef size_t next_fn(const unsigned char *s, size_t len, size_t at);

struct loom_pretok {
    pcre2_code *code; /* NULL: no cutting */
    next_fn *next;    /* hand-written matcher: end of the piece that begins at `at`; NULL: none */
    bool ascii_only;  /* it needs ASCII text */
};

struct loom_pretok_scratch {
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
};

/* ---- character classes of ASCII ---- */
enum { LETTER = 1, DIGIT = 2, SPACE = 4, WORD = 8, KEY = 16, STOP = 32 };

#define LETTER_(lower) [lower] = LETTER | WORD | KEY, [(lower)-32] = LETTER | WORD
#define DIGIT_(digit)  [digit] = DIGIT | WORD | STOP
static const uint8_t class_of[256] = {
    ['\t'] = SPACE,     ['\n'] = SPACE | STOP, ['\v'] = SPACE, ['\f'] = SPACE, ['\r'] = SPACE, [' '] = SPACE,
    DIGIT_('0'),        DIGIT_('1'),           DIGIT_('2'),    DIGIT_('3'),    DIGIT_('4'),    DIGIT_('5'),
    DIGIT_('6'),        DIGIT_('7'),           DIGIT_('8'),    DIGIT_('9'),    LETTER_('a'),   LETTER_('b'),
    LETTER_('c'),       LETTER_('d'),          LETTER_('e'),   LETTER_('f'),   LETTER_('g'),   LETTER_('h'),
    LETTER_('i'),       LETTER_('j'),          LETTER_('k'),   LETTER_('l'),   LETTER_('m'),   LETTER_('n'),
    LETTER_('o'),       LETTER_('p'),          LETTER_('q'),   LETTER_('r'),   LETTER_('s'),   LETTER_('t'),
    LETTER_('u'),       LETTER_('v'),          LETTER_('w'),   LETTER_('x'),   LETTER_('y'),   LETTER_('z'),
    ['_'] = WORD | KEY, ['/'] = STOP,          [','] = STOP,   ['('] = STOP,   [')'] = STOP,   ['<'] = STOP,
    ['>'] = STOP,
};

static bool is(unsigned char c, int classes) { return (class_of[c] & classes) != 0; }

static size_t span(const unsigned char *s, size_t len, size_t at, int classes)
{
    while (at < len && is(s[at], classes)) at++;
    return at;
}

/* ---- LOOM_PATTERN_LLAMA3 on ASCII ---- */

/* 's 't 're 've 'm 'll 'd in either case; s[at] is the apostrophe. Length, 0 when it is none. */
static size_t contraction(const unsigned char *s, size_t len, size_t at)
{
    int a = at + 1 < len ? s[at + 1] | 32 : 0, b = at + 2 < len ? s[at + 2] | 32 : 0;
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
    if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) return 3;
    return 0;
}

/* The three alternatives for white space. s[at] is white space not followed at once by a letter it clings to. */
static size_t llama3_space(const unsigned char *s, size_t len, size_t at)
{
    size_t end = at, after_newline = 0;
    for (; end < len && is(s[end], SPACE); end++)
        if (s[end] == '\n' || s[end] == '\r') after_newline = end + 1;
    if (after_newline) return after_newline;
    return end == len || end == at + 1 ? end : end - 1; /* the last blank belongs to what follows */
}

static size_t llama3_next(const unsigned char *s, size_t len, size_t at)
{
    unsigned char c = s[at];
    size_t n;
    if (is(c, LETTER)) return span(s, len, at + 1, LETTER);
    if (is(c, DIGIT)) {
        for (n = 1; n < 3 && at + n < len && is(s[at + n], DIGIT);) n++;
        return at + n;
    }
    if (c == '\'' && (n = contraction(s, len, at)) != 0) return at + n;
    if (c != '\r' && c != '\n' && at + 1 < len && is(s[at + 1], LETTER)) return span(s, len, at + 2, LETTER);
    n = at + (c == ' ');
    if (n < len && !is(s[n], SPACE | LETTER | DIGIT)) {
        while (n < len && !is(s[n], SPACE | LETTER | DIGIT)) n++;
        while (n < len && (s[n] == '\r' || s[n] == '\n')) n++;
        return n;
    }
    return llama3_space(s, len, at);
}

/* ---- LOOM_PATTERN_DOMAIN; bytes beyond ASCII are in no class, so that any text will do ---- */

static bool starts_word(const unsigned char *s, size_t at)
{
    return is(s[at], WORD) && (at == 0 || !is(s[at - 1], WORD));
}

static bool whole_word(const unsigned char *s, size_t len, size_t at, const char *word, size_t n)
{
    return len - at >= n && memcmp(s + at, word, n) == 0 && (at + n == len || !is(s[at + n], WORD));
}

/* VALUE at the start of a word: its end, 0 when there is none. */
static size_t domain_value(const unsigned char *s, size_t len, size_t at)
{
    size_t name = at;
    switch (s[at]) {
    case 'M': name++; break;
    case 'S': break;
    case 'U': return whole_word(s, len, at, "USER", 4) ? at + 4 : 0;
    case 'h': return whole_word(s, len, at, "http", 4) ? at + 4 : 0;
    case 'r': return whole_word(s, len, at, "rpc", 3) ? at + 3 : 0;
    case 'd': return whole_word(s, len, at, "db", 2) ? at + 2 : 0;
    case 'm': return whole_word(s, len, at, "mc", 2) || whole_word(s, len, at, "mq", 2) ? at + 2 : 0;
    default: return 0;
    }
    if (len - name < 3 || s[name] != 'S' || s[name + 1] != '_') return 0;
    size_t end = span(s, len, name + 2, DIGIT);
    return end > name + 2 ? end : 0;
}

/* KEY at the start of a word: its end behind the colon, 0 when there is none. */
static size_t domain_key(const unsigned char *s, size_t len, size_t at)
{
    size_t end = span(s, len, at, KEY);
    return end > at && end < len && s[end] == ':' ? end + 1 : 0;
}

static size_t domain_phrase(const unsigned char *s, size_t len, size_t at)
{
    size_t start = at + (s[at] == '<'), end = start;
    for (; end < len && !is(s[end], STOP); end++) {
        if (end > start && s[end - 1] == ' ' && end >= 4 && memcmp(s + end - 4, " is ", 4) == 0) break;
        if (starts_word(s, end) && (domain_value(s, len, end) || domain_key(s, len, end))) break;
    }
    return end > start ? end : at + 1;
}

static size_t domain_tag(const unsigned char *s, size_t len, size_t at)
{
    size_t name = at + 1 + (at + 1 < len && s[at + 1] == '/'), end = name;
    while (end < len && s[end] >= 'a' && s[end] <= 'z') end++;
    return end > name && end < len && s[end] == '>' ? end + 1 : 0;
}

static size_t domain_next(const unsigned char *s, size_t len, size_t at)
{
    size_t end = 0;
    if (s[at] == '<') end = domain_tag(s, len, at);
    else if (s[at] == ')') return at + 1 + (at + 1 < len && s[at + 1] == '\n');
    else if (is(s[at], STOP)) return at + 1;
    else if (starts_word(s, at)) {
        end = domain_value(s, len, at);
        if (!end && (end = domain_key(s, len, at)) != 0 && end < len && s[end] == ' ') end++;
    }
    return end ? end : domain_phrase(s, len, at);
}

/* ---- life ---- */

static loom_status compile(pcre2_code **out, const char *pattern, loom_err *err)
{
    int code;
    size_t where;
    uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF;
    pcre2_code *re = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, options, &code, &where, NULL);
    if (!re && code == PCRE2_ERROR_HEAP_FAILED) return loom_fail_nomem(err, "the split pattern");
    if (!re) {
        char why[160] = "";
        pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof why);
        return loom_fail(err, LOOM_STATUS_FORMAT, "cannot use the split pattern: %s at character %zu of %.200s", why,
                         where, pattern);
    }
    (void)pcre2_jit_compile(re, PCRE2_JIT_COMPLETE); /* without it matching is slower, not different */
    *out = re;
    return LOOM_OK;
}

loom_status loom_pretok_new(loom_pretok **out, const char *pattern, loom_err *err)
{
    loom_pretok *p = loom_calloc(1, sizeof *p);
    if (!p) return loom_fail_nomem(err, "a tokenizer");
    if (pattern) {
        loom_status st = compile(&p->code, pattern, err);
        if (st != LOOM_OK) {
            free(p);
            return st;
        }
        p->ascii_only = strcmp(pattern, LOOM_PATTERN_LLAMA3) == 0;
        if (p->ascii_only) p->next = llama3_next;
        if (strcmp(pattern, LOOM_PATTERN_DOMAIN) == 0) p->next = domain_next;
    }
    *out = p;
    return LOOM_OK;
}

void loom_pretok_free(loom_pretok *p)
{
    if (!p) return;
    pcre2_code_free(p->code);
    free(p);
}

bool loom_pretok_is_domain(const loom_pretok *p) { return p->next == domain_next; }

bool loom_pretok_is_llama3(const loom_pretok *p) { return p->ascii_only; }

loom_pretok_scratch *loom_pretok_scratch_new(const loom_pretok *p)
{
    loom_pretok_scratch *s = loom_calloc(1, sizeof *s);
    if (!s || !p->code) return s;
    s->data = pcre2_match_data_create(1, NULL);
    s->context = pcre2_match_context_create(NULL);
    s->stack = pcre2_jit_stack_create(JIT_STACK_START, JIT_STACK_MAX, NULL);
    if (!s->data || !s->context) {
        loom_pretok_scratch_free(s);
        loom_nomem_note();
        return NULL;
    }
    pcre2_set_match_limit(s->context, MATCH_LIMIT);
    if (s->stack) pcre2_jit_stack_assign(s->context, NULL, s->stack);
    return s;
}

void loom_pretok_scratch_free(loom_pretok_scratch *s)
{
    if (!s) return;
    pcre2_match_data_free(s->data);
    pcre2_match_context_free(s->context);
    pcre2_jit_stack_free(s->stack);
    free(s);
}

/* ---- running ---- */

void loom_pretok_run_pcre2(const loom_pretok *p, loom_pretok_scratch *s, const char *text, size_t len,
                           loom_piece_fn *fn, void *arg)
{
    size_t done = 0, at = 0; /* pieces are out up to `done`; the search goes on at `at` */
    while (p->code && at < len) {
        int found = pcre2_match(p->code, (PCRE2_SPTR)text, len, at, 0, s->data, s->context);
        if (found == PCRE2_ERROR_NOMEMORY) loom_nomem_note();
        if (found <= 0) break;
        const size_t *match = pcre2_get_ovector_pointer(s->data);
        size_t start = match[0], end = match[1];
        if (end <= start || start < done) { /* an empty match cuts nothing: step over one character */
            at = (end > at ? end : at) + 1;
            while (at < len && ((unsigned char)text[at] & 0xC0) == 0x80) at++;
            continue;
        }
        if (start > done) fn(arg, text, done, start - done);
        fn(arg, text, start, end - start);
        done = at = end;
    }
    if (done < len) fn(arg, text, done, len - done);
}

static bool is_ascii(const char *text, size_t len)
{
    size_t i = 0;
    uint64_t any = 0, word;
    for (; i + 8 <= len; i += 8) {
        memcpy(&word, text + i, 8);
        any |= word;
    }
    for (; i < len; i++) any |= (unsigned char)text[i];
    return (any & 0x8080808080808080u) == 0;
}

void loom_pretok_run(const loom_pretok *p, loom_pretok_scratch *s, const char *text, size_t len, loom_piece_fn *fn,
                     void *arg)
{
    if (!p->next || (p->ascii_only && !is_ascii(text, len))) {
        loom_pretok_run_pcre2(p, s, text, len, fn, arg);
        return;
    }
    for (size_t at = 0, end; at < len; at = end) {
        end = p->next((const unsigned char *)text, len, at);
        fn(arg, text, at, end - at);
    }
}
