/* Scripts of pictures: hostile names stay values, and only scripts that are ours are run unasked. */
#include "core/escape.h"
#include "eval/pages/figure.h"
#include "test.h"

static const char *const names[] = {"<script>alert(1)</script>",
                                    "a`touch owned`b",
                                    "say \"x\"",
                                    "back\\",
                                    "\\\" . system(\"touch owned\")",
                                    "'; system('touch owned')",
                                    "$(touch owned)",
                                    "@macro",
                                    "%s%n",
                                    "two\nlines",
                                    "\x1b[31m",
                                    ""};
enum { NAMES = sizeof names / sizeof *names };

static void fill(loom_figure_vars *v)
{
    for (int i = 0; i < NAMES; i++) loom_figure_str(v, i % 2 ? "title" : "caption", names[i]);
    loom_figure_list(v, "series", names, NAMES);
    loom_figure_list(v, "labels", names, NAMES);
    loom_figure_list(v, "panels", names, 1);
    loom_figure_list(v, "temperatures", names, 0);
    loom_figure_num(v, "x_lo", -1.5e-7);
}

/* The script of a figure with these values. */
static void script_of(loom_buf *into, const loom_figure *f, const char *values)
{
    loom_buf_reset(into);
    loom_figure_head(into, f);
    loom_buf_str(into, values);
    loom_figure_tail(into, f);
}

TEST(what_is_written_is_ours)
{
    loom_buf script = {0};
    loom_figure_vars v = {0};
    fill(&v);
    for (const loom_figure *f = loom_figures; f->name; f++) {
        script_of(&script, f, v.text.data);
        CHECK(loom_figure_is_ours(f->name, script.data, script.len));
        CHECK(!loom_figure_is_ours("fig99", script.data, script.len));
        script_of(&script, f, "");
        CHECK(loom_figure_is_ours(f->name, script.data, script.len));
        for (size_t n = 0; n < script.len; n += 97) CHECK(!loom_figure_is_ours(f->name, script.data, n));
    }
    CHECK(memchr(v.text.data, '`', v.text.len) == NULL && strstr(v.text.data, "\x1b") == NULL);
    loom_figure_vars_release(&v);
    loom_buf_release(&script);
}

TEST(anything_else_is_not)
{
    static const char *const values[] = {"system \"x\"\n",
                                         "title = system(\"x\")\n",
                                         "title = \"a\" . system(\"x\")\n",
                                         "title = \"`x`\"\n",
                                         "title = \"\\140x\\140\"\n",
                                         "title = \"a\\\"\n",
                                         "title = \"a\n",
                                         "title = 'a'\n",
                                         "title=\"a\"\n",
                                         "csv = \"< x\"\n",
                                         "name = \"../x\"\n",
                                         "format = \"x\"\n",
                                         "labels = \"a b\"\n",
                                         "labels = \"\\\"a\\\"b\"\n",
                                         "labels = \"\\\"a\\\\\\\"\"\n",
                                         "labels = \"\\\"a\"\n",
                                         "labels = \"\\\"a\\\"  \\\"b\\\"\"\n",
                                         "labels = \"\\\"\\\\\\\"\\\"\"\n",
                                         "x_lo = 1 + system(\"x\")\n",
                                         "x_lo = 1;x\n",
                                         "x_lo = \n",
                                         "x_lo = \"1\"\n",
                                         "shades = nan\n",
                                         "S = 1\n",
                                         "\n",
                                         "title = \"a\"",
                                         "title = \"a\"\n\ntitle = \"b\"\n"};
    loom_buf script = {0};
    const loom_figure *f = loom_figure_find("fig03a");
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        script_of(&script, f, values[i]);
        if (loom_figure_is_ours("fig03a", script.data, script.len)) TEST_FAIL_("taken: %s", values[i]);
    }
    script_of(&script, f, "title = \"a\"\n");
    CHECK(loom_figure_is_ours("fig03a", script.data, script.len));
    CHECK(!loom_figure_is_ours("fig03b", script.data, script.len));
    for (size_t i = 0; i < script.len; i += 13) {
        script.data[i] ^= 2;
        if (loom_figure_is_ours("fig03a", script.data, script.len))
            CHECK(strstr(script.data, "\ntitle = \"c\"\n") != NULL);
        script.data[i] ^= 2;
    }
    loom_buf_str(&script, "system \"x\"\n");
    CHECK(!loom_figure_is_ours("fig03a", script.data, script.len));
    loom_buf_release(&script);
}

TEST_MAIN(RUN(what_is_written_is_ours) RUN(anything_else_is_not))
