/* Golden cases of the text side: our own copies in tests/golden/spec, and those made from published graphs, which are
 * other people's data and are read from the shared folder where it is there. */
#ifndef LOOM_TEST_TRACE_CASES_H
#define LOOM_TEST_TRACE_CASES_H

#include "core/arena.h"
#include "core/json.h"
#include "test.h"
#include "trace/graph/record.h"

/* Calls fn for every case of both files; returns how many there were. */
static inline int trace_cases(const char *folder, void (*fn)(const loom_json *one, loom_arena *arena))
{
    const char *shared = test_shared();
    int n = 0;
    for (int published = 0; published < 2; published++) {
        char path[1024];
        loom_json *cases = NULL;
        loom_arena arena = {0};
        loom_err err = {0};
        if (published && !shared) break;
        snprintf(path, sizeof path,
                 published ? "%s/spec/golden/from-published-data/%s/cases.json" : "%s/tests/golden/spec/%s/cases.json",
                 published ? shared : LOOM_SOURCE_DIR, folder);
        struct stat there;
        if (published && stat(path, &there) != 0) break;
        if (loom_json_read_file(&cases, path, 64 << 20, &err) != LOOM_OK) {
            TEST_FAIL_("%s", err.msg);
            break;
        }
        for (size_t i = 0; i < loom_json_len(cases); i++, n++) {
            int failed_before = test_failed_;
            loom_arena_reset(&arena);
            fn(loom_json_at(cases, i), &arena);
            if (test_failed_ > failed_before)
                fprintf(stderr, "  in case \"%s\"\n",
                        loom_json_str(loom_json_get(loom_json_at(cases, i), "name"), NULL));
        }
        loom_json_free(cases);
        loom_arena_release(&arena);
    }
    return n;
}

static inline const char *case_str(const loom_json *one, const char *key)
{
    const char *text = loom_json_str(loom_json_get(one, key), NULL);
    return text ? text : "(absent)";
}

static inline bool case_graph(loom_graph *g, const loom_json *one, loom_arena *arena)
{
    loom_verdict why;
    const char *line = case_str(one, "graph");
    bool ok = loom_record_read(g, &why, line, strlen(line), arena);
    test_checks_++;
    if (!ok) TEST_FAIL_("the graph of the case is invalid");
    return ok;
}

#endif
