#include "trace/text/textfile.h"

#include "core/file.h"
#include "core/num.h"

struct loom_textfile {
    loom_lines *lines;
    loom_buf sample; /* the sample being gathered */
    loom_buf next;   /* first line of the one after it */
    int64_t line;    /* where the sample being gathered begins */
    bool started, ended;
};

static bool begins(const char *text, size_t len, const char *with)
{
    return len >= strlen(with) && memcmp(text, with, strlen(with)) == 0;
}

static bool is_line(const char *text, size_t len, const char *line)
{
    return len == strlen(line) && memcmp(text, line, len) == 0;
}

static bool begins_sample(const char *text, size_t len)
{
    return begins(text, len, LOOM_TEXT_GENERATE) || begins(text, len, LOOM_TEXT_QUESTION);
}

static bool is_blank(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] != ' ' && (text[i] < '\t' || text[i] > '\r')) return false;
    return true;
}

static size_t without_blank_end(const char *text, size_t len)
{
    while (len && is_blank(text + len - 1, 1)) len--;
    return len;
}

size_t loom_sample_length(const char *text, size_t len, size_t *next)
{
    size_t at = 0;
    while (at < len) {
        const char *lf = memchr(text + at, '\n', len - at);
        at = lf ? (size_t)(lf - text) + 1 : len;
        if (begins_sample(text + at, len - at)) break;
    }
    *next = at;
    return without_blank_end(text, at);
}

size_t loom_sample_layer(const char *text, size_t len, size_t *next)
{
    for (size_t at = 0; at < len; at = *next) {
        const char *lf = memchr(text + at, '\n', len - at);
        size_t end = lf ? (size_t)(lf - text) : len;
        *next = lf ? end + 1 : len;
        if (is_line(text + at, end - at, LOOM_TEXT_LAYER_END) || is_line(text + at, end - at, LOOM_TEXT_SPLIT_END))
            return end;
    }
    *next = len;
    return len;
}

size_t loom_sample_answer(const char *text, size_t len)
{
    const char *mark = len ? memmem(text, len, LOOM_TEXT_ANSWER_MARK, strlen(LOOM_TEXT_ANSWER_MARK)) : NULL;
    return mark ? (size_t)(mark - text) + strlen(LOOM_TEXT_ANSWER_MARK) : 0;
}

static loom_mode mode_of(const char *text, size_t len)
{
    if (begins(text, len, LOOM_TEXT_QUESTION)) return LOOM_MODE_INSTRUCTION;
    const char *lf = memchr(text, '\n', len);
    size_t rest = lf ? len - (size_t)(lf + 1 - text) : 0;
    if (rest && (begins(lf + 1, rest, LOOM_TEXT_LAYER) || begins(lf + 1, rest, LOOM_TEXT_SPLIT)))
        return LOOM_MODE_RECURSIVE;
    return LOOM_MODE_TABULAR;
}

loom_status loom_textfile_open(loom_textfile **out, const char *path, loom_err *err)
{
    loom_textfile *f = loom_calloc(1, sizeof *f);
    if (!f) return loom_fail_nomem(err, "a text reader");
    loom_status st = loom_lines_open(&f->lines, path, err);
    if (st != LOOM_OK) {
        free(f);
        return st;
    }
    *out = f;
    return LOOM_OK;
}

void loom_textfile_close(loom_textfile **f)
{
    if (!*f) return;
    loom_lines_close(&(*f)->lines);
    loom_buf_release(&(*f)->sample);
    loom_buf_release(&(*f)->next);
    free(*f);
    *f = NULL;
}

/* Reads up to the start of the next sample, whose first line is kept in f->next. */
static loom_status gather(loom_textfile *f, loom_err *err)
{
    char *line;
    size_t len;

    for (;;) {
        LOOM_TRY(loom_lines_next(f->lines, &line, &len, err));
        if (!line) {
            f->ended = true;
            return LOOM_OK;
        }
        if (begins_sample(line, len)) {
            loom_buf_reset(&f->next);
            loom_buf_append(&f->next, line, len);
            if (f->started) return LOOM_OK;
            f->started = true;
            loom_buf_append(&f->sample, line, len);
            f->line = loom_lines_number(f->lines);
            continue;
        }
        if (!f->started && !is_blank(line, len))
            return loom_fail(err, LOOM_STATUS_FORMAT,
                             "line %lld: a text file begins with " LOOM_TEXT_GENERATE " or \"%s\"; "
                             "is this the output of loom-preprocess encode?",
                             (long long)loom_lines_number(f->lines), LOOM_TEXT_QUESTION);
        if (!f->started) continue;
        if (f->sample.len + len >= LOOM_BOUND_SAMPLE)
            return loom_fail(err, LOOM_STATUS_FORMAT, "line %lld: the sample that begins here is longer than %zu MiB",
                             (long long)f->line, LOOM_BOUND_SAMPLE >> 20);
        loom_buf_char(&f->sample, '\n');
        loom_buf_append(&f->sample, line, len);
    }
}

loom_status loom_textfile_next(loom_textfile *f, loom_textfile_sample *out, loom_err *err)
{
    *out = (loom_textfile_sample){0};
    loom_buf_reset(&f->sample);
    if (f->ended) return LOOM_OK;
    if (f->started) {
        loom_buf_append(&f->sample, f->next.data, f->next.len);
        f->line = loom_lines_number(f->lines);
    }
    LOOM_TRY(gather(f, err));
    LOOM_TRY(loom_buf_check(&f->sample, "a sample", err));
    LOOM_TRY(loom_buf_check(&f->next, "a sample", err));
    if (!f->started) return LOOM_OK;
    f->sample.len = without_blank_end(f->sample.data, f->sample.len);
    f->sample.data[f->sample.len] = 0;
    out->text = f->sample.data;
    out->len = f->sample.len;
    out->line = f->line;
    out->mode = mode_of(out->text, out->len);
    if (out->mode == LOOM_MODE_INSTRUCTION) out->answer = loom_sample_answer(out->text, out->len);
    return LOOM_OK;
}

loom_status loom_textfile_each(const char *path, loom_textfile_fn *fn, void *arg, loom_err *err)
{
    loom_textfile *f = NULL;
    loom_textfile_sample s;
    loom_status st = loom_textfile_open(&f, path, err);

    while (st == LOOM_OK) {
        if (loom_stop_requested()) {
            st = loom_fail(err, LOOM_STATUS_INTERRUPT, "interrupted; nothing was left half-written");
            break;
        }
        if ((st = loom_textfile_next(f, &s, err)) != LOOM_OK) {
            st = loom_err_in(err, "%s", path);
            break;
        }
        if (!s.text) break;
        st = fn(arg, &s, err);
    }
    loom_textfile_close(&f);
    return st;
}
