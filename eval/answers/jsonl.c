#include "eval/answers/jsonl.h"

#include "core/file.h"

loom_status loom_jsonl_read(const char *path, const char *what, const char *maker, loom_jsonl_quick_fn quick,
                            loom_jsonl_fn take, void *arg, loom_err *err)
{
    loom_lines *lines = NULL;
    char *line;
    size_t len;
    int64_t n = 0;
    loom_status st = loom_lines_open(&lines, path, err);
    if (st == LOOM_OK) loom_lines_bound(lines, LOOM_BOUND_PROMPTS);
    while (st == LOOM_OK && (st = loom_lines_next(lines, &line, &len, err)) == LOOM_OK && line) {
        int64_t number = loom_lines_number(lines);
        loom_json *root = NULL;
        loom_err why;
        n++;
        if (quick && quick(arg, line, len, number, &st, err)) continue;
        if (loom_json_parse(&root, line, len, path, &why) != LOOM_OK)
            st = loom_fail(err, LOOM_STATUS_FORMAT, "%s:%lld: not a line of JSON; write the file with `%s`", path,
                           (long long)number, maker);
        else st = take(arg, root, number, err);
        loom_json_free(root);
    }
    loom_lines_close(&lines);
    if (st == LOOM_OK && n == 0)
        st = loom_fail(err, LOOM_STATUS_FORMAT, "%s: the file holds no %s; write it with `%s`", path, what, maker);
    return st;
}
