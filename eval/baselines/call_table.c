#include "eval/baselines/call_table.h"

#include <string.h>

#include "core/num.h"

loom_status loom_call_table_is(bool *is, const char *path, loom_err *err)
{
    loom_in *in = NULL;
    char head[sizeof LOOM_CALL_TABLE_HEADER];
    size_t got = 0, n = 1;

    *is = false;
    if (strcmp(path, "-") == 0 || loom_file_size(path) <= 0) return LOOM_OK; /* a stream can be read once only */
    LOOM_TRY(loom_in_open(&in, path, err));
    loom_status st = LOOM_OK;
    while (got < sizeof head && n > 0 && (st = loom_in_read(in, head + got, sizeof head - got, &n, err)) == LOOM_OK)
        got += n;
    loom_in_close(&in);
    if (st == LOOM_OK)
        *is = got == sizeof head && memcmp(head, LOOM_CALL_TABLE_HEADER, got - 1) == 0 &&
              (head[got - 1] == '\n' || head[got - 1] == '\r');
    return st;
}

/* Cuts the line at its bars; false unless there are five fields. */
static bool cut(char *line, char *field[5])
{
    for (int i = 0; i < 5; i++) {
        field[i] = line;
        char *bar = strchr(line, '|');
        if ((bar == NULL) != (i == 4)) return false;
        if (bar) *bar = 0, line = bar + 1;
    }
    return true;
}

static bool parse(loom_call *c, char *line)
{
    char *field[5];

    if (!cut(line, field)) return false;
    c->source = field[0];
    c->destination = field[1];
    c->type = loom_call_type_of(field[2], strlen(field[2]));
    return c->type != LOOM_CALL_TYPES && loom_name_fits_record(field[0], strlen(field[0])) &&
           loom_name_fits_record(field[1], strlen(field[1])) &&
           loom_parse_i64(field[3], strlen(field[3]), &c->arrived) &&
           loom_parse_i64(field[4], strlen(field[4]), &c->rt) && c->arrived >= 0 && c->rt >= 0 &&
           c->arrived <= LOOM_TIME_MAX_MS && c->rt <= LOOM_TIME_MAX_MS;
}

loom_status loom_call_table_read(const char *path, loom_call_table_fn fn, void *arg, loom_err *err)
{
    static const int32_t root[] = {0};
    loom_lines *lines = NULL;
    char *line;
    size_t len;
    loom_status st = loom_lines_open(&lines, path, err);

    while (st == LOOM_OK && (st = loom_lines_next(lines, &line, &len, err)) == LOOM_OK && line) {
        loom_call call = {.id = root, .n_id = 1};
        if (loom_lines_number(lines) == 1) continue;
        if (strlen(line) == len && parse(&call, line)) st = fn(arg, &call, err);
        else
            st = loom_fail(err, LOOM_STATUS_FORMAT, "%s:%lld: not a call; expected " LOOM_CALL_TABLE_HEADER, path,
                           (long long)loom_lines_number(lines));
    }
    loom_lines_close(&lines);
    return st;
}

loom_status loom_call_table_begin(loom_out *out, loom_err *err)
{
    return loom_out_printf(out, err, LOOM_CALL_TABLE_HEADER "\n");
}

loom_status loom_call_table_write(loom_out *out, const loom_call *c, loom_err *err)
{
    return loom_out_printf(out, err, "%s|%s|%s|%lld|%lld\n", c->source, c->destination, loom_call_type_name(c->type),
                           (long long)c->arrived, (long long)c->rt);
}
