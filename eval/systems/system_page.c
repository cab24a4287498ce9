#include "eval/systems/system_page.h"

#include <math.h>
#include <string.h>

#include "core/escape.h"
#include "eval/pages/html.h"

/* Colours are told by name, so that dark and light differ in one place. Every pair of text and ground has a
 * contrast of at least 4.5. */
static const char style[] =
    ":root{color-scheme:light dark;--ground:#fff;--text:#1b1b1b;--soft:#595959;--line:#d8d8d8;--faint:#f3f4f6;--link:#0b5e96;"
    "--more:#b3261e;--less:#0b57a4;--same:#767676;--rpc:#1f6fb2;--http:#23783d;--mc:#9a5b00;--db:#b3261e;--mq:#7b4fb0;--mark:#b3261e}"
    "@media(prefers-color-scheme:dark){:root{--ground:#16181c;--text:#e6e6e6;--soft:#a9adb5;--line:#3a3e46;--faint:#22252b;--link:#7ec0f5;"
    "--more:#ff8a80;--less:#82b8ff;--same:#9aa0a8;--rpc:#6db3f2;--http:#6fcf8c;--mc:#f0b35a;--db:#ff8a80;--mq:#c3a0f0;--mark:#ff8a80}}"
    "*{box-sizing:border-box}body{font:16px/1.5 system-ui,-apple-system,'Segoe UI','Liberation Sans',sans-serif;color:var(--text);"
    "background:var(--ground);max-width:1200px;margin:0 auto;padding:1.5rem 1.25rem 4rem}"
    "h1{font-size:1.6rem;line-height:1.2;margin:.4rem 0 .3rem;overflow-wrap:anywhere}h2{font-size:1.2rem;margin:2.2rem 0 .4rem;overflow-wrap:anywhere}"
    "p{margin:.3rem 0 .8rem;max-width:46rem}a{color:var(--link)}.soft{color:var(--soft)}"
    ".more{color:var(--more);font-weight:600}.less{color:var(--less);font-weight:600}"
    "code,.name{overflow-wrap:anywhere}td.name{overflow-wrap:break-word}td[data-l=where]{overflow-wrap:anywhere}code{font:.85em ui-monospace,'DejaVu Sans Mono',monospace}"
    ".wide{overflow-x:auto;border:1px solid var(--line);padding:.4rem;margin:.6rem 0}"
    ":focus-visible{outline:3px solid var(--link);outline-offset:2px}"
    "table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums;width:100%}caption{text-align:left;color:var(--soft)}"
    "th,td{padding:.28rem .7rem .28rem 0;text-align:left;border-bottom:1px solid var(--line);vertical-align:top}"
    "th{color:var(--soft);font-weight:600}td.n,th.n{text-align:right}"
    "summary{cursor:pointer;color:var(--link)}details{margin:.7rem 0}[open]>summary{margin-bottom:.5rem}"
    "svg text{fill:var(--text);font:12px system-ui,'Liberation Sans',sans-serif}svg .box{fill:var(--faint);stroke:var(--same)}"
    "svg .same{stroke:var(--same)}svg .more{stroke:var(--more)}svg .less{stroke:var(--less)}svg path{fill:none}"
    "@media(max-width:640px){body{padding:1rem .8rem 3rem;font-size:15px}h1{font-size:1.3rem}"
    "table.cards,.cards caption,.cards tbody,.cards tr,.cards td{display:block;width:auto}.cards thead{position:absolute;clip-path:inset(50%);width:1px;height:1px;overflow:hidden}"
    ".cards tr{border:1px solid var(--line);padding:.4rem .6rem;margin:.5rem 0}.cards td{border:0;padding:.1rem 0;text-align:left}"
    ".cards td::before{content:attr(data-l) ': ';color:var(--soft)}}"
    "@media print{:root{--ground:#fff;--text:#000;--soft:#444;--line:#bbb;--faint:#fff}body{max-width:none;padding:0;font-size:10.5pt}"
    ".wide{overflow:visible;border:0}.screen{display:none}tr,figure{break-inside:avoid}h2{break-after:avoid}}";

void loom_page_begin(loom_buf *html, const char *title, const char *script)
{
    loom_buf_str(
        html, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
              /* names come from traces: whatever they hold, a browser runs and loads nothing but what is ours */
              "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; ");
    loom_buf_str(html, script ? "script-src 'unsafe-inline'; " : "");
    loom_buf_str(
        html,
        "base-uri 'none'; form-action 'none'\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>");
    loom_html_text(html, title);
    loom_buf_printf(html, "</title><style>%s</style></head><body><main>\n<h1>", style);
    loom_html_text(html, title);
    loom_buf_str(html, "</h1>\n");
}

void loom_page_end(loom_buf *html, const char *script)
{
    loom_buf_str(html, "</main>");
    if (script) loom_buf_printf(html, "<script>%s</script>", script);
    loom_buf_str(html, "</body></html>\n");
}

void loom_page_name(loom_buf *html, const char *name)
{
    loom_buf plain = {0};
    loom_escape(&plain, name, strlen(name));
    loom_html_text(html, loom_buf_text(&plain));
    loom_buf_release(&plain);
}

void loom_page_name_cut(loom_buf *html, const char *name, size_t most)
{
    loom_buf plain = {0};
    char text[512];
    loom_escape(&plain, name, strlen(name));
    loom_escape_into(text, most + 1 < sizeof text ? most + 1 : sizeof text, loom_buf_text(&plain), plain.len);
    loom_html_text(html, text);
    loom_buf_release(&plain);
}

void loom_page_wide_begin(loom_buf *html, const char *label)
{
    loom_buf_str(html, "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"");
    loom_html_text(html, label);
    loom_buf_str(html, "\">\n");
}

void loom_page_wide_end(loom_buf *html) { loom_buf_str(html, "</div>\n"); }

void loom_page_table_begin(loom_buf *html, const char *caption, const char *headings)
{
    loom_buf_str(html, "<table class=\"cards\"><caption>");
    loom_html_text(html, caption);
    loom_buf_str(html, "</caption><thead><tr>");
    for (const char *at = headings; *at;) {
        size_t n = strcspn(at, "|");
        loom_buf_str(html, "<th scope=\"col\">");
        loom_html_textn(html, at, n);
        loom_buf_str(html, "</th>");
        at += n + (at[n] == '|');
    }
    loom_buf_str(html, "</tr></thead><tbody>\n");
}

void loom_page_cell_begin(loom_buf *html, const char *heading, bool number)
{
    loom_buf_printf(html, "<td%s data-l=\"", number ? " class=\"n\"" : " class=\"name\"");
    loom_html_text(html, heading);
    loom_buf_str(html, "\">");
}

void loom_page_cell_end(loom_buf *html) { loom_buf_str(html, "</td>"); }
void loom_page_table_end(loom_buf *html) { loom_buf_str(html, "</tbody></table>\n"); }
