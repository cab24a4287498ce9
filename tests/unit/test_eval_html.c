/* Pieces of the report page. */
#include "eval/pages/html.h"
#include "test.h"

TEST(svg_is_set_inline)
{
    loom_buf b = {0};
    loom_html_svg(
        &b,
        "<?xml version=\"1.0\"?>\n<svg \n width=\"860\" height=\"480\"\n viewBox=\"0 0 860 480\"\n xmlns=\"x\">\n"
        "<title>Gnuplot</title>\n<desc>by GNUPLOT</desc><g id=\"canvas\"><path id='gpPt0' d='M0'/>"
        "<use xlink:href='#gpPt0' fill='url(#gpPat1)' color='#ffffff'/><text>the id='x is text, #1 too</text></g></svg>\n",
        "A < B", "f1-");
    CHECK_STR(b.data,
              "<svg role=\"img\" xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\""
              " viewBox=\"0 0 860 480\" style=\"max-width:860px\"><title>A &lt; B</title><g id=\"f1-canvas\">"
              "<path id='f1-gpPt0' d='M0'/><use xlink:href='#f1-gpPt0' fill='url(#f1-gpPat1)' color='#ffffff'/>"
              "<text>the id='f1-x is text, #1 too</text></g></svg>\n");
    loom_buf_reset(&b);
    loom_html_svg(&b, "no picture", "x", "y");
    CHECK_STR(b.data, "");
    loom_html_svg(&b, "<svg", "x", "y");
    CHECK_STR(b.data, "");
    loom_buf_release(&b);
}

TEST(csv_becomes_a_table)
{
    loom_buf b = {0};
    CHECK_I64(loom_html_csv(&b, "a,seed,c\n\"x,\"\"y\"\" <\",1,-2.5\nz,1,\nq,1,4\n", "seed,other", 2), 3);
    CHECK_STR(b.data, "<table class=\"cards\">\n<tr class=\"h\"><th>a</th><th>c</th></tr>\n"
                      "<tr><td data-l=\"a\">x,&quot;y&quot; &lt;</td><td class=\"n\" data-l=\"c\">-2.5</td></tr>\n"
                      "<tr><td data-l=\"a\">z</td><td data-l=\"c\"></td></tr>\n</table>\n");
    loom_buf_reset(&b);
    CHECK_I64(loom_html_csv(&b, "", "", 5), 0);
    CHECK_I64(loom_html_csv(&b, "a,b", "", 5), 0);
    CHECK_I64(loom_html_csv(&b, "a\n\"never closed", "", 5), 1);
    loom_buf_reset(&b);
    CHECK_I64(loom_html_csv(&b, "a,,\n1,2,3\n", "seed", 5), 1); /* columns without a name once took forever */
    CHECK_STR(
        b.data,
        "<table class=\"cards\">\n<tr class=\"h\"><th>a</th><th></th><th></th></tr>\n<tr><td class=\"n\" data-l=\"a\">1</td><td class=\"n\">2</td>"
        "<td class=\"n\">3</td></tr>\n</table>\n");
    loom_buf_release(&b);
}

TEST_MAIN(RUN(svg_is_set_inline) RUN(csv_becomes_a_table))
