/* Pieces: setting them up, numbers within ranges, names. */
#include "trace/constrain/automaton_impl.h"

/* ---- setting up pieces ---- */

void loom_am_literal(loom_automaton_state *s, int place, const char *piece, size_t len)
{
    s->place = (uint8_t)place;
    s->kind = KIND_LITERAL;
    s->piece = piece;
    s->piece_len = (int32_t)len;
    s->at = 0;
}

/* A text of our own, at most 23 bytes. */
static void literal_small(loom_automaton_state *s, int place, const char *t)
{
    size_t len = strlen(t);
    memcpy(s->small, t, len + 1);
    loom_am_literal(s, place, NULL, len);
}

void loom_am_literal_number(loom_automaton_state *s, int place, int64_t v)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%lld", (long long)v);
    literal_small(s, place, digits);
}

bool loom_am_choice(loom_automaton_state *s, int place, int group, uint32_t choices)
{
    s->place = (uint8_t)place;
    s->kind = KIND_CHOICE;
    s->group = (uint8_t)group;
    s->choices = choices;
    s->at = 0;
    return choices != 0;
}

void loom_am_number(loom_automaton_state *s, int place)
{
    s->place = (uint8_t)place;
    s->kind = KIND_NUMBER;
    s->number = 0;
    s->n_digits = 0;
}

bool loom_am_number_in(loom_automaton_state *s, int place, int64_t lo, int64_t hi)
{
    loom_am_number(s, place);
    s->ranges.n = 1;
    s->ranges.lo[0] = lo;
    s->ranges.hi[0] = hi;
    return lo <= hi;
}

bool loom_am_number_free(loom_automaton_state *s, int place) { return loom_am_number_in(s, place, 0, FREE_CAP); }

void loom_am_name(const loom_automaton *a, loom_automaton_state *s, int place, uint32_t kinds)
{
    s->place = (uint8_t)place;
    s->kind = KIND_NAME;
    s->choices = kinds;
    s->at = 0;
    s->name_lo = 0;
    s->name_hi = (int32_t)a->conf.n_names;
}

/* ---- numbers ---- */

static bool has_number(const loom_ranges *r, int64_t v)
{
    for (int i = 0; i < r->n; i++)
        if (v >= r->lo[i] && v <= r->hi[i]) return true;
    return false;
}

/* Can v, or v with more digits behind it, be in range? */
static bool leads_to(const loom_ranges *r, int64_t v)
{
    for (int i = 0; i < r->n; i++) {
        int64_t lo = v, hi = v;
        for (;;) {
            if (lo <= r->hi[i] && hi >= r->lo[i]) return true;
            if (v == 0 || lo > r->hi[i] / 10) break;
            lo *= 10;
            hi = hi * 10 + 9;
        }
    }
    return false;
}

bool loom_am_more_digits(const loom_automaton_state *s)
{
    if (s->n_digits && s->number == 0) return false;
    for (int d = 0; d < 10; d++)
        if (leads_to(&s->ranges, s->number * 10 + d) && (d || s->n_digits || has_number(&s->ranges, 0))) return true;
    return false;
}

bool loom_am_step_number(loom_automaton_state *s, int digit)
{
    if (s->n_digits && s->number == 0) return false; /* no leading zeros */
    int64_t v = s->number * 10 + digit;
    if (!s->n_digits && digit == 0 ? !has_number(&s->ranges, 0) : !leads_to(&s->ranges, v)) return false;
    s->number = v;
    s->n_digits++;
    return true;
}

bool loom_am_number_complete(const loom_automaton_state *s) { return s->n_digits && has_number(&s->ranges, s->number); }

/* ---- names ---- */

bool loom_am_is_digit(unsigned char b) { return b >= '0' && b <= '9'; }

/* "PREFIX" then digits. */
static bool fits_numbered(const char *prefix, int32_t at, unsigned char b, int32_t max_digits)
{
    int32_t n = (int32_t)strlen(prefix);
    return at < n ? (unsigned char)prefix[at] == b : loom_am_is_digit(b) && at < n + max_digits;
}

/* First of names[lo..hi), which agree in their first `at` bytes, whose next byte is not below b. */
static int32_t first_not_below(const char *const *names, int32_t lo, int32_t hi, int32_t at, int b)
{
    while (lo < hi) {
        int32_t mid = lo + (hi - lo) / 2;
        if ((unsigned char)names[mid][at] < b) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

bool loom_am_step_name(const loom_automaton *a, loom_automaton_state *s, unsigned char b)
{
    uint32_t left = 0;

    /* canonical names: zeros in front fill up to five digits, longer numbers have none */
    int32_t most = s->at > 3 && s->small[3] == '0' ? 5 : 9;
    if ((s->choices & NAME_MS) && fits_numbered("MS_", s->at, b, most)) left |= NAME_MS;
    if ((s->choices & NAME_SERVICE) && fits_numbered("S_", s->at, b, 12)) left |= NAME_SERVICE;
    if ((s->choices & NAME_USER) && s->at < 4 && (unsigned char)"USER"[s->at] == b) left |= NAME_USER;
    if ((s->choices & NAME_NONE) && s->at < 4 && (unsigned char)"None"[s->at] == b) left |= NAME_NONE;
    if (s->choices & NAME_LISTED) {
        const char *const *names = a->conf.names;
        int32_t lo = s->name_lo, hi = s->name_hi;
        lo = first_not_below(names, lo, hi, s->at, b);
        hi = first_not_below(names, lo, hi, s->at, b + 1);
        if (lo < hi) {
            left |= NAME_LISTED;
            s->name_lo = lo;
            s->name_hi = hi;
        }
    }
    if (!left) return false;
    s->choices = left;
    if (s->at < (int32_t)sizeof s->small - 1) {
        s->small[s->at] = (char)b;
        s->small[s->at + 1] = 0;
    }
    s->at++;
    return true;
}

bool loom_am_name_complete(const loom_automaton *a, const loom_automaton_state *s)
{
    if ((s->choices & NAME_MS) && s->at >= 3 + 5) return true;
    if ((s->choices & NAME_SERVICE) && s->at >= 2 + 1) return true;
    if ((s->choices & (NAME_USER | NAME_NONE)) && s->at == 4) return true;
    return (s->choices & NAME_LISTED) && a->conf.names[s->name_lo][s->at] == 0;
}

/* Can a destination be this name? *listed: its place among the names, -1 when there is no list. */
bool loom_am_writable(const loom_automaton *a, const char *name, int32_t *listed)
{
    loom_automaton_state s = {.n_edges = 0};

    loom_am_name(a, &s, P_ITEM_VALUE, a->conf.names ? NAME_LISTED : NAME_MS);
    *listed = -1;
    for (; *name; name++)
        if (!loom_am_step_name(a, &s, (unsigned char)*name)) return false;
    if (!loom_am_name_complete(a, &s)) return false;
    if (a->conf.names) *listed = s.name_lo;
    return true;
}

const char *loom_am_edge_name(const loom_automaton *a, const loom_am_edge *e)
{
    return e->listed >= 0 ? a->conf.names[e->listed] : e->name;
}
