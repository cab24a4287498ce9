/* Cells of CSV tables: quoting, and what a spreadsheet would run. */
#include "core/csv_cell.h"
#include "test.h"

static void check_cell(const char *text, const char *want)
{
    loom_buf b = {0};
    loom_csv_cell(&b, text, strlen(text));
    CHECK_STR(loom_buf_text(&b), want);
    loom_buf_release(&b);
}

TEST(cells_are_quoted)
{
    check_cell("", "");
    check_cell("cart", "cart");
    check_cell("a,b", "\"a,b\"");
    check_cell("say \"x\"", "\"say \"\"x\"\"\"");
    check_cell("two\nlines", "\"two\nlines\"");
}

static void check_guard(const char *text, const char *want)
{
    loom_buf once = {0}, twice = {0};
    loom_csv_guard(&once, text, strlen(text));
    CHECK_STR(loom_buf_text(&once), want);
    loom_csv_guard(&twice, loom_buf_text(&once), once.len);
    CHECK_STR(loom_buf_text(&twice), want);
    loom_buf_release(&once);
    loom_buf_release(&twice);
}

TEST(formulas_get_an_apostrophe)
{
    check_guard("", "");
    check_guard("a,b\n1,2\n", "a,b\n1,2\n");
    check_guard("-1,+2.5,-3e-4,1-2\n", "-1,+2.5,-3e-4,1-2\n");
    check_guard("=1+1,+cmd,-x,@SUM(A1)\n", "'=1+1,'+cmd,'-x,'@SUM(A1)\n");
    check_guard("\"=A1,B1\",ok\n\"+\"\"x\"\"\",\"say \"\"=1\"\"\"\n",
                "\"'=A1,B1\",ok\n\"'+\"\"x\"\"\",\"say \"\"=1\"\"\"\n");
    check_guard("\tx,\"\r=x\",-\n", "'\tx,\"'\r=x\",'-\n");
    check_guard("a,=b", "a,'=b");
    check_guard("\"=never closed\n,=x", "\"'=never closed\n,=x");
}

TEST_MAIN(RUN(cells_are_quoted) RUN(formulas_get_an_apostrophe))
