#include "core/opt.h"

#include <ctype.h>

#include "core/num.h"

static void *field(void *conf, const loom_opt *opt) { return (char *)conf + opt->offset; }
static const void *const_field(const void *conf, const loom_opt *opt) { return (const char *)conf + opt->offset; }

/* Index of text[0..len) in "a|b|c", -1 when it is none of them. */
static int choice_index(const char *choices, const char *text, size_t len)
{
    int index = 0;
    for (const char *c = choices;; index++) {
        size_t n = strcspn(c, "|");
        if (n == len && memcmp(c, text, n) == 0) return index;
        if (c[n] == 0) return -1;
        c += n + 1;
    }
}

static void choice_text(loom_buf *into, const char *choices, int index)
{
    const char *c = choices;
    while (index-- > 0) c += strcspn(c, "|") + 1;
    loom_buf_append(into, c, strcspn(c, "|"));
}

static loom_status bad_number(const loom_opt *opt, const char *text, const char *where, loom_err *err)
{
    return loom_fail(err, LOOM_STATUS_ARG, "%s is \"%s\", expected %s from %.12g to %.12g", where, text,
                     opt->type == LOOM_OPT_TYPE_I64 ? "an integer" : "a number", opt->min, opt->max);
}

loom_status loom_opt_set(void *conf, const loom_opt *opt, const char *text, const char *where, loom_arena *arena,
                         loom_err *err)
{
    void *p = field(conf, opt);
    size_t len = strlen(text);
    switch (opt->type) {
    case LOOM_OPT_TYPE_FLAG: {
        int v = choice_index("false|true", text, len);
        if (v < 0) return loom_fail(err, LOOM_STATUS_ARG, "%s is \"%s\", expected true or false", where, text);
        *(bool *)p = v == 1;
        return LOOM_OK;
    }
    case LOOM_OPT_TYPE_I64: {
        int64_t v;
        if (!loom_parse_i64(text, len, &v) || (double)v < opt->min || (double)v > opt->max)
            return bad_number(opt, text, where, err);
        *(int64_t *)p = v;
        return LOOM_OK;
    }
    case LOOM_OPT_TYPE_F64: {
        double v;
        if (!loom_parse_f64(text, len, &v) || v < opt->min || v > opt->max) return bad_number(opt, text, where, err);
        *(double *)p = v;
        return LOOM_OK;
    }
    case LOOM_OPT_TYPE_STR: {
        const char *copy = loom_arena_strdup(arena, text, len);
        LOOM_TRY(loom_arena_check(arena, "options", err));
        *(const char **)p = copy;
        return LOOM_OK;
    }
    case LOOM_OPT_TYPE_ENUM: {
        int v = choice_index(opt->meta, text, len);
        if (v < 0) return loom_fail(err, LOOM_STATUS_ARG, "%s is \"%s\", expected one of %s", where, text, opt->meta);
        *(int *)p = v;
        return LOOM_OK;
    }
    case LOOM_OPT_TYPE_END:
    case LOOM_OPT_TYPE_GROUP:
    case LOOM_OPT_TYPE_WAS: break;
    }
    return loom_fail(err, LOOM_STATUS_ARG, "%s is not an option", where);
}

loom_status loom_opt_defaults(void *conf, const loom_opt *opts, loom_arena *arena, loom_err *err)
{
    for (const loom_opt *o = opts; o->type != LOOM_OPT_TYPE_END; o++)
        if (loom_opt_is_value(o) && o->value) LOOM_TRY(loom_opt_set(conf, o, o->value, o->name, arena, err));
    return LOOM_OK;
}

const loom_opt *loom_opt_find(const loom_opt *opts, const char *name)
{
    for (const loom_opt *o = opts; o->type != LOOM_OPT_TYPE_END; o++)
        if (loom_opt_is_value(o) && strcmp(o->name, name) == 0) return o;
    return NULL;
}

const loom_opt *loom_opt_find_was(const loom_opt *opts, const char *name, char letter)
{
    for (const loom_opt *o = opts; o->type != LOOM_OPT_TYPE_END; o++) {
        if (o->type != LOOM_OPT_TYPE_WAS) continue;
        if (name ? o->name && strcmp(o->name, name) == 0 : o->letter == letter) return o;
    }
    return NULL;
}

const char *loom_opt_was_value(const loom_opt *was, const loom_opt *now, const char *text, loom_arena *arena)
{
    loom_buf choice = {0};
    int index = was->meta ? choice_index(was->meta, text, strlen(text)) : -1;
    if (index < 0) return text;
    choice_text(&choice, now->meta, index);
    const char *copy = loom_arena_strdup(arena, loom_buf_text(&choice), choice.len);
    loom_buf_release(&choice);
    return copy ? copy : text;
}

void loom_opt_value_text(loom_buf *into, const void *conf, const loom_opt *opt)
{
    const void *p = const_field(conf, opt);
    switch (opt->type) {
    case LOOM_OPT_TYPE_FLAG: loom_buf_str(into, *(const bool *)p ? "true" : "false"); break;
    case LOOM_OPT_TYPE_I64: loom_buf_i64(into, *(const int64_t *)p); break;
    case LOOM_OPT_TYPE_F64: loom_buf_f64(into, *(const double *)p); break;
    case LOOM_OPT_TYPE_STR: loom_buf_str(into, *(const char *const *)p ? *(const char *const *)p : ""); break;
    case LOOM_OPT_TYPE_ENUM: choice_text(into, opt->meta, *(const int *)p); break;
    case LOOM_OPT_TYPE_END:
    case LOOM_OPT_TYPE_GROUP:
    case LOOM_OPT_TYPE_WAS: break;
    }
}

/* Bare values hold no quote, no '#', and no space at either end. */
static bool stands_bare(const char *text)
{
    size_t n = strlen(text);
    return n > 0 && !strpbrk(text, "\"#\n\\") && !isspace((unsigned char)text[0]) &&
           !isspace((unsigned char)text[n - 1]);
}

void loom_opt_print_config(loom_buf *into, const void *conf, const loom_opt *opts, bool comments)
{
    loom_buf value = {0};
    for (const loom_opt *o = opts; o->type != LOOM_OPT_TYPE_END; o++) {
        if (o->type == LOOM_OPT_TYPE_WAS) continue;
        if (o->type == LOOM_OPT_TYPE_GROUP) {
            if (comments) loom_buf_printf(into, "\n# ---- %s ----\n", o->name);
            continue;
        }
        bool unset = o->type == LOOM_OPT_TYPE_STR && !*(const char *const *)const_field(conf, o);
        loom_buf_reset(&value);
        loom_opt_value_text(&value, conf, o);
        if (comments) loom_buf_printf(into, "# %s\n", o->help);
        if (unset) loom_buf_printf(into, "# %s =\n", o->name);
        else if (o->type != LOOM_OPT_TYPE_STR || stands_bare(loom_buf_text(&value)))
            loom_buf_printf(into, "%s = %s\n", o->name, loom_buf_text(&value));
        else {
            loom_buf_printf(into, "%s = \"", o->name);
            for (const char *c = loom_buf_text(&value); *c; c++) {
                if (*c == '\n') {
                    loom_buf_str(into, "\\n");
                    continue;
                }
                if (*c == '"' || *c == '\\') loom_buf_char(into, '\\');
                loom_buf_char(into, *c);
            }
            loom_buf_str(into, "\"\n");
        }
    }
    loom_buf_release(&value);
}

/* Help text wrapped at 78 columns, continued under column 28. */
static void append_wrapped(loom_buf *into, const char *text, size_t column, size_t indent)
{
    while (*text) {
        size_t n = strcspn(text, " ");
        if (column > indent && column + n + 1 > 78) {
            loom_buf_printf(into, "\n%*s", (int)indent, "");
            column = indent;
        } else if (column > indent) {
            loom_buf_char(into, ' ');
            column++;
        }
        loom_buf_append(into, text, n);
        column += n;
        text += n;
        while (*text == ' ') text++;
    }
    loom_buf_char(into, '\n');
}

void loom_opt_print_help(loom_buf *into, const void *conf, const loom_opt *opts)
{
    enum { INDENT = 28 };
    loom_buf left = {0}, help = {0};
    bool hidden = false;
    for (const loom_opt *o = opts; o->type != LOOM_OPT_TYPE_END; o++) {
        if (o->type == LOOM_OPT_TYPE_GROUP) {
            hidden = o->hidden;
            if (!hidden) loom_buf_printf(into, "\n%s:\n", o->name);
            continue;
        }
        if (hidden || o->type == LOOM_OPT_TYPE_WAS) continue;
        loom_buf_reset(&left);
        loom_buf_reset(&help);
        if (o->letter) loom_buf_printf(&left, "  -%c, --%s", o->letter, o->name);
        else loom_buf_printf(&left, "      --%s", o->name);
        if (o->meta) loom_buf_printf(&left, " %s", o->meta);
        loom_buf_str(&help, o->help);
        bool unset = o->type == LOOM_OPT_TYPE_STR && !*(const char *const *)const_field(conf, o);
        bool off = o->type == LOOM_OPT_TYPE_FLAG && !*(const bool *)const_field(conf, o);
        if (o->type == LOOM_OPT_TYPE_FLAG && !off) loom_buf_printf(&help, " (on; --no-%s)", o->name);
        else if (!unset && !off) {
            loom_buf_str(&help, " (default ");
            loom_opt_value_text(&help, conf, o);
            loom_buf_char(&help, ')');
        }
        loom_buf_append(into, left.data, left.len);
        if (left.len + 2 > INDENT) loom_buf_printf(into, "\n%*s", INDENT, "");
        else loom_buf_printf(into, "%*s", (int)(INDENT - left.len), "");
        append_wrapped(into, loom_buf_text(&help), INDENT, INDENT);
    }
    loom_buf_release(&left);
    loom_buf_release(&help);
}
