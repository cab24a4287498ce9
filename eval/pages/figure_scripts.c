/* The gnuplot scripts, line by line, and the table of figures. A script sees the variables of eval/pages/figure.h
 * first, then its own size lines, then the common lines, then its body (with a key: the lines on keys and axes in
 * between); `name` and `csv` are always set. To change a picture, edit the .gp file that a run wrote, and bring the
 * lines back here. */
#include "eval/pages/figure.h"

/* Terminal, fonts, title and caption, colours. Needs W, H, title, caption. */
const char *const loom_figure_common[] = {
    "if (!exists(\"format\")) format = \"png\"",
    "S = format eq \"svg\" ? 1.0 : 2.0",
    "if (format eq \"svg\") {",
    "    set terminal svg size W,H font \"Arial,13\" background \"#ffffff\" enhanced",
    "} else {",
    "    if (strstrt(GPVAL_TERMINALS, \"pngcairo\") > 0) {",
    "        set terminal pngcairo size W*S,H*S font \"Liberation Sans,13\" fontscale S linewidth S pointscale S background \"#ffffff\" enhanced",
    "    } else {",
    "        set terminal png size W*S,H*S background \"#ffffff\" enhanced",
    "    }",
    "}",
    "set output name.\".\".format.\".tmp\"",
    "set encoding utf8",
    "set datafile separator comma",
    "set datafile columnheaders",
    "set datafile missing NaN",
    "set tics nomirror textcolor rgb \"#333333\"",
    "set label 1 title at screen 0,1 left offset 1.5,-1.2 font \",19\" textcolor rgb \"#111111\" noenhanced",
    "# a caption that is too long for the picture is set smaller",
    "wide = 8.3 * strlen(caption) / (W - 36)",
    "set label 2 caption at screen 0,1 left offset 1.5,-3.0 font sprintf(\",%.1f\", 12.0 / (wide > 1 ? wide : 1)) textcolor rgb \"#555555\" noenhanced",
    "# Okabe-Ito colours, told apart with any colour vision; one for each method, the same in every figure",
    "other(i) = i % 4 == 1 ? 0x56b4e9 : i % 4 == 2 ? 0x8c510a : i % 4 == 3 ? 0xcc79a7 : 0x333333",
    "# lines that stand in an order are shades of one colour, light to dark",
    "if (!exists(\"shades\")) shades = 0",
    "part(i) = (i - 1.0) / (shades > 1 ? shades - 1 : 1)",
    "shade(i) = 65536 * int(158 - 150 * part(i)) + 256 * int(202 - 154 * part(i)) + int(225 - 118 * part(i))",
    "hue(m, i) = shades > 0 ? shade(i) : m eq \"real\" || m eq \"valid\" ? 0x6b6b6b : m eq \"train\" ? 0xa8a8a8 : m[1:7] eq \"tabular\" ? 0xe69f00 : m[1:9] eq \"recursive\" ? 0x009e73 : \\",
    "    m[1:11] eq \"instruction\" || m eq \"with\" ? 0x0072b2 : m eq \"without\" || m[1:13] eq \"probabilistic\" ? 0xd55e00 : m[1:4] eq \"tvae\" ? 0xcc79a7 : m[1:8] eq \"topology\" ? 0x8c510a : other(i)",
    "# what was decoded under constraints is paler, dashed and has hollow marks",
    "held(m) = strstrt(m, \" constrained\") > 0",
    "half(part) = (part + 235) / 2",
    "pale(c) = 65536 * half(c / 65536) + 256 * half(c / 256 % 256) + half(c % 256)",
    "colour(m, i) = held(m) ? pale(hue(m, i)) : hue(m, i)",
    "dash(m) = held(m) ? 2 : 1",
    "solid(m) = m eq \"real\" || m eq \"valid\" || m eq \"train\" ? 5 : m[1:7] eq \"tabular\" ? 7 : m[1:9] eq \"recursive\" ? 9 : m[1:11] eq \"instruction\" ? 5 : \\",
    "    m[1:13] eq \"probabilistic\" ? 13 : 11",
    "mark(m) = solid(m) - held(m)",
    "# a key of our own: lines of coloured marks under the caption, at key_y pixels from the top",
    "legend(i, m, text) = sprintf(\"set label %d \\\"%s\\\" at screen %f,%f left offset 0.9,-0.12 font \\\",12.5\\\" textcolor rgb \\\"#222222\\\" noenhanced point pt %d ps 1.1 lw 2 lc rgb %d\", \\",
    "    100 + i, text, key_x / W, 1 - key_y / H, mark(m), colour(m, i))",
    NULL};

/* ---- what most pictures share: emitted by figure.c when the table says so ---- */

/* Rows that the key needs: lists series, labels; left; key_from: where it begins, right of left. Sets H, top. */
const char *const loom_figure_key_size[] = {
    "if (!exists(\"key_from\")) key_from = 6.0",
    "key_step(i) = 46 + 8.5 * strlen(word(labels, i))",
    "key_x = left + key_from; key_rows = 1",
    "do for [i = 1:words(labels)] {",
    "    if (key_x > left + key_from && key_x + key_step(i) > W) { key_rows = key_rows + 1; key_x = left + key_from }",
    "    key_x = key_x + key_step(i)",
    "}",
    "H = H + 20 * (key_rows - 1)",
    "top = 92 + 20 * key_rows",
    NULL};

/* The key itself, margins, axes. */
const char *const loom_figure_key[] = {
    "unset key",
    "key_x = left + key_from; key_y = 86.0",
    "do for [i = 1:words(series)] {",
    "    if (key_x > left + key_from && key_x + key_step(i) > W) { key_y = key_y + 20; key_x = left + key_from }",
    "    eval legend(i, word(series, i), word(labels, i))",
    "    key_x = key_x + key_step(i)",
    "}",
    "set lmargin at screen 1.0 * left / W",
    "set rmargin at screen 1 - 24.0 / W",
    "set tmargin at screen 1 - 1.0 * top / H",
    "set bmargin at screen 1.0 * bottom / H",
    "set border 3 lc rgb \"#888888\"",
    "set grid ytics lc rgb \"#e4e4e4\" lt 1",
    "set tics scale 0.4",
    NULL};

static const char *const fig12_size[] = {
    "n_panels = words(panels)",
    "cols = edges_hi - edges_lo + 1",
    "rows = depth_hi - depth_lo + 1",
    "cell = 34",
    "cell_w = cols > 26 ? 34 : cols < 11 ? 90 : 960.0 / cols",
    "# a line under each panel says how its model was trained; \"-\" where that is not known",
    "if (!exists(\"trained\")) trained = \"\"",
    "told(p) = p <= words(trained) && word(trained, p) ne \"-\" ? word(trained, p) : \"\"",
    "under = 0",
    "do for [p = 1:n_panels] { if (told(p) ne \"\") { under = 20 } }",
    "left = 74; right = 118; top = 118; bottom = 106 + under; gap = 64 + under",
    "grid_w = cell_w * cols",
    "panel_h = cell * rows",
    "W = left + right + (grid_w < 940 ? 940 : grid_w)",
    "H = top + bottom + n_panels * panel_h + (n_panels - 1) * gap",
    NULL};

/* Heat maps: edges_lo, edges_hi, depth_lo, depth_hi, min_train, validity; lists panels (method), temperatures,
 * labels, trained */
static const char *const fig12_body[] = {
    "set palette defined (0 \"#440154\", 0.125 \"#472d7b\", 0.25 \"#3b528b\", 0.375 \"#2c728e\", 0.5 \"#21918c\", \\",
    "    0.625 \"#28ae80\", 0.75 \"#5ec962\", 0.875 \"#addc30\", 1 \"#fde725\")",
    "set cbrange [0:100]",
    "set xrange [edges_lo-0.5:edges_hi+0.5]",
    "set yrange [depth_lo-0.5:depth_hi+0.5]",
    "set border 0",
    "set tics scale 0",
    "set xtics edges_lo,1,edges_hi offset 0,0.4 font \",11\"",
    "set ytics depth_lo,1,depth_hi offset 0.6,0 font \",11\"",
    "unset key",
    "# a star marks cells with few training graphs",
    "text(v, n) = sprintf(min_train > 0 && n < min_train ? \"%.0f*\" : \"%.0f\", 100 * v)",
    "few(n) = min_train > 0 ? column(n) : 0",
    "px = 1.0 / W",
    "py = 1.0 / H",
    "set object 11 rectangle center screen (left + 8) * px,24 * py size screen 17 * px,17 * py fs pattern 4 border lc rgb \"#a8a8a8\" fc rgb \"#8c8c8c\" behind",
    "set label 11 (has_coverage ? \"no prompts: no validation graph has this size\" : \"no answers for this size\") at screen (left + 24) * px,24 * py left font \",11.5\" textcolor rgb \"#333333\"",
    "set object 12 rectangle center screen (left + 420) * px,24 * py size screen 17 * px,17 * py fs solid 1.0 noborder fc rgb \"#f1f1f1\" behind",
    "set label 12 \"no graph can have this size\" at screen (left + 436) * px,24 * py left font \",11.5\" textcolor rgb \"#333333\"",
    "if (min_train > 0) {",
    "    set label 13 sprintf(\"*  fewer than %d training graphs of this size\", min_train) at screen (left + 690) * px,24 * py left font \",11.5\" textcolor rgb \"#333333\"",
    "}",
    "set multiplot",
    "do for [p = 1:n_panels] {",
    "    m = word(panels, p)",
    "    t = real(word(temperatures, p))",
    "    y1 = 1.0 - (top + (p - 1) * (panel_h + gap)) * py",
    "    y0 = y1 - panel_h * py",
    "    set lmargin at screen left * px",
    "    set rmargin at screen (left + grid_w) * px",
    "    set tmargin at screen y1",
    "    set bmargin at screen y0",
    "    set object 1 rectangle from edges_lo-0.5,depth_lo-0.5 to edges_hi+0.5,depth_hi+0.5 fs solid 1.0 noborder fc rgb \"#f1f1f1\" behind",
    "    set label 3 word(labels, p) at graph 0,1 left offset 0,0.75 font \",14\" textcolor rgb \"#111111\" noenhanced",
    "    set ylabel \"depth (levels)\" offset 1.4,0 textcolor rgb \"#333333\"",
    "    if (p == n_panels) { set xlabel \"edges (calls in the graph)\" offset 0,0.3 - 1.0 * under / 20 textcolor rgb \"#333333\" } else { unset xlabel }",
    "    long = 7.9 * strlen(told(p)) / (W - left - 24)",
    "    if (told(p) ne \"\") { set label 4 told(p) at screen left * px,y0 - 34 * py left font sprintf(\",%.1f\", 11.5 / (long > 1 ? long : 1)) textcolor rgb \"#555555\" noenhanced } else { unset label 4 }",
    "    if (p == 1) {",
    "        set colorbox user origin screen (left + grid_w + 26) * px,y0 size screen 16 * px,y1 - y0 noborder",
    "        set cblabel \"correct, %\" offset 0.4,0 textcolor rgb \"#333333\"",
    "        set cbtics 0,20,100 font \",11\"",
    "    } else { unset colorbox }",
    "    mine(s) = strcol(\"method\") eq m && column(\"temperature\") == t && strcol(\"validity\") eq validity && strcol(\"status\") eq s",
    "    plot csv using (mine(\"scored\") ? column(\"edges\") : NaN):(column(\"depth\")):(0.48):(0.46):(100 * column(\"value\")) with boxxyerror fs solid 1.0 noborder lc palette, \\",
    "         \"\" using (mine(\"not_covered\") || mine(\"no_answers\") ? column(\"edges\") : NaN):(column(\"depth\")):(0.48):(0.46) with boxxyerror fs pattern 4 border lc rgb \"#a8a8a8\" lc rgb \"#8c8c8c\", \\",
    "         \"\" using (mine(\"scored\") && column(\"value\") < 0.6 ? column(\"edges\") : NaN):(column(\"depth\")):(text(column(\"value\"), few(\"n_train\"))) with labels font \",10.5\" textcolor rgb \"#ffffff\", \\",
    "         \"\" using (mine(\"scored\") && column(\"value\") >= 0.6 ? column(\"edges\") : NaN):(column(\"depth\")):(text(column(\"value\"), few(\"n_train\"))) with labels font \",10.5\" textcolor rgb \"#1a1a1a\"",
    "    unset label 1; unset label 2; unset label 11; unset label 12; unset label 13; unset object 11; unset object 12",
    "}",
    "unset multiplot",
    NULL};

static const char *const fig03_size[] = {"W = 860; H = 480; left = 86.0; bottom = 66.0", NULL};

/* Accuracy lines: who (column of the series), axis, x_label, x_lo, x_hi, x_step, validity; lists series (method),
 * temperatures, labels */
static const char *const fig03_body[] = {
    "set xlabel x_label textcolor rgb \"#333333\"",
    "set ylabel \"correct graphs, %\" offset 0.6,0 textcolor rgb \"#333333\"",
    "set yrange [0:100]",
    "unset clip",
    "set ytics 0,20,100",
    "set xrange [x_lo-0.3*x_step:x_hi+0.3*x_step]",
    "set xtics x_lo,x_step,x_hi",
    "set style fill transparent solid 0.16 noborder",
    "n_series = words(series)",
    "any_t = axis eq \"temperature\"",
    "mine(i) = strcol(\"axis\") eq axis && strcol(who) eq word(series, i) && strcol(\"validity\") eq validity && (any_t || column(\"temperature\") == real(word(temperatures, i)))",
    "# rows of other series are skipped; gaps between sizes are bridged",
    "plot for [i = 1:n_series] csv using (mine(i) ? column(\"x\") : NaN):(100 * column(\"lo\")):(100 * column(\"hi\")) with filledcurves lc rgb colour(word(series, i), i) notitle, \\",
    "     for [i = 1:n_series] csv using (mine(i) ? column(\"x\") : NaN):(100 * column(\"value\")) with linespoints lw 2 dt dash(word(series, i)) pt mark(word(series, i)) ps 0.8 lc rgb colour(word(series, i), i) notitle",
    NULL};

static const char *const fig04a_size[] = {"W = 1000; H = 560; left = 84.0; bottom = 148.0", "key_from = 84.0", NULL};

/* Popular calls: shown; lists series, labels */
static const char *const fig04a_body[] = {
    "set ylabel \"share of the calls, %\" offset 0.4,0 textcolor rgb \"#333333\"",
    "set xrange [0.3:shown + 0.7]",
    "set logscale y 10",
    "set yrange [0.01:100]",
    "set ytics (\"0.01\" 0.01, \"0.1\" 0.1, \"1\" 1, \"10\" 10, \"100\" 100)",
    "set xtics rotate by 60 right offset 0.4,-0.1 scale 0 font \",9\" noenhanced",
    "key_x = left + 6; key_y = 86.0",
    "eval legend(0, \"real\", \"Real\")",
    "short(name) = name[1:3] eq \"MS_\" ? name[4:strlen(name)] : name",
    "call(n) = short(strcol(\"source\")).\" > \".short(strcol(\"destination\")).\" \".strcol(\"type\")",
    "mine(m) = strcol(\"method\") eq m && column(\"rank\") <= shown",
    "floor_at(v) = v > 0.0001 ? 100 * v : 0.01",
    "set style fill solid 1.0 noborder",
    "set boxwidth 0.72",
    "plot csv using (mine(\"real\") ? column(\"rank\") : NaN):(100 * column(\"prob\")):xtic(call(0)) with boxes lc rgb \"#bdbdbd\" notitle, \\",
    "     for [i = 1:words(series)] csv using (mine(word(series, i)) ? column(\"rank\") + 0.12 * (i - (words(series) + 1) / 2.0) : NaN):(floor_at(column(\"prob\"))) with points pt mark(word(series, i)) ps 1.0 lc rgb colour(word(series, i), i) notitle",
    NULL};

static const char *const fig04b_size[] = {"W = 860; H = 480; left = 86.0; bottom = 66.0", NULL};

/* Heavy hitters: lists series (real first), labels */
static const char *const fig04b_body[] = {
    "set xlabel \"K (most triggered microservices)\" textcolor rgb \"#333333\"",
    "set ylabel \"found among the generated K, %\" offset 0.6,0 textcolor rgb \"#333333\"",
    "set yrange [0:100]",
    "set ytics 0,20,100",
    "unset clip",
    "set xrange [0:510]",
    "set xtics (10, 50, 100, 200, 300, 400, 500)",
    "set style fill transparent solid 0.16 noborder",
    "mine(i) = strcol(\"method\") eq word(series, i)",
    "plot for [i = 2:words(series)] csv using (mine(i) ? column(\"K\") : NaN):(100 * column(\"least\")):(100 * column(\"most\")) with filledcurves lc rgb colour(word(series, i), i) notitle, \\",
    "     csv using (mine(1) ? column(\"K\") : NaN):(100 * column(\"mean\")) with lines lw 2 dt 2 lc rgb colour(\"real\", 1) notitle, \\",
    "     for [i = 2:words(series)] csv using (mine(i) ? column(\"K\") : NaN):(100 * column(\"mean\")) with linespoints lw 2 pt mark(word(series, i)) ps 0.8 lc rgb colour(word(series, i), i) notitle",
    NULL};

static const char *const fig16_size[] = {"W = 860; H = 480; left = 98.0; bottom = 58.0", NULL};

/* Earth mover distances: lists series, labels */
static const char *const fig16_body[] = {
    "set ylabel \"normalised earth mover's distance, %\" offset 0.2,0 textcolor rgb \"#333333\"",
    "fields = \"in_degree out_degree response_time\"",
    "set xtics (\"calls received\" 1, \"calls made\" 2, \"response time\" 3) scale 0",
    "set xrange [0.45:3.55]",
    "set logscale y 10",
    "set format y \"%g\"",
    "n = words(series)",
    "w = 0.76 / n",
    "place(f) = f eq \"in_degree\" ? 1 : f eq \"out_degree\" ? 2 : 3",
    "at(i) = place(strcol(\"field\")) + w * (i - (n + 1) / 2.0)",
    "mine(i) = strcol(\"method\") eq word(series, i) && strcol(\"scope\") eq \"graph\"",
    "# bars of a logarithmic axis need a foot: the picture starts below the smallest floor",
    "stats csv using (column(\"floor\") > 0 ? column(\"floor\") : NaN) nooutput",
    "foot = 100 * STATS_min / 3.0",
    "set yrange [foot:*]",
    "set style fill solid 1.0 noborder",
    "plot for [i = 1:n] csv using (mine(i) ? at(i) : NaN):(100 * column(\"nemd_range\")):(at(i) - 0.46 * w):(at(i) + 0.46 * w):(foot):(100 * column(\"nemd_range\")) with boxxyerror lc rgb colour(word(series, i), i) notitle, \\",
    "     for [i = 1:n] csv using (mine(i) ? at(i) : NaN):(100 * column(\"lo\")):(0):(100 * (column(\"hi\") - column(\"lo\"))) with vectors heads size 0.02,90 lw 1.2 lc rgb \"#222222\" notitle, \\",
    "     csv using (mine(1) ? place(strcol(\"field\")) - 0.42 : NaN):(100 * column(\"floor\")):(0.84):(0) with vectors nohead lw 2.5 lc rgb \"#000000\" notitle",
    NULL};

static const char *const fig15_size[] = {"W = 860; H = 480; left = 86.0; bottom = 66.0", NULL};

/* Memorisation by size: y_most; lists series, temperatures, labels */
static const char *const fig15_body[] = {
    "set ylabel \"copies, % of the valid graphs\" offset 0.6,0 textcolor rgb \"#333333\"",
    "set xlabel \"calls in the graph\" textcolor rgb \"#333333\"",
    "set xtics (\"all\" 0, \"1\" 1, \"2–3\" 2, \"4–7\" 3, \"8–15\" 4, \"16–30\" 5, \"31 and more\" 6) scale 0",
    "set xrange [-0.55:6.55]",
    "set yrange [0:y_most]",
    "set arrow 1 from 0.5, graph 0 to 0.5, graph 1 nohead lc rgb \"#cccccc\"",
    "n = words(series)",
    "w = 0.76 / n",
    "place(b) = b eq \"all\" ? 0 : b eq \"1\" ? 1 : b eq \"2-3\" ? 2 : b eq \"4-7\" ? 3 : b eq \"8-15\" ? 4 : b eq \"16-30\" ? 5 : 6",
    "at(i) = place(strcol(\"bucket\")) + w * (i - (n + 1) / 2.0)",
    "temp(i) = word(temperatures, i)",
    "mine(i) = strcol(\"method\") eq word(series, i) && strcol(\"temperature\") eq (temp(i) eq \"-\" ? \"\" : temp(i)) && column(\"n_valid\") > 0",
    "set style fill solid 1.0 noborder",
    "plot for [i = 1:n] csv using (mine(i) ? at(i) : NaN):(100 * column(\"value_valid\")):(at(i) - 0.46 * w):(at(i) + 0.46 * w):(0):(100 * column(\"value_valid\")) with boxxyerror lc rgb colour(word(series, i), i) notitle, \\",
    "     for [i = 1:n] csv using (mine(i) ? at(i) : NaN):(100 * column(\"lo\")):(0):(100 * (column(\"hi\") - column(\"lo\"))) with vectors heads size 0.03,90 lw 1.2 lc rgb \"#222222\" notitle",
    NULL};

/* Memorisation by temperature: y_most; lists series, labels */
static const char *const fig15_lines_body[] = {
    "set ylabel \"copies, % of the valid graphs\" offset 0.6,0 textcolor rgb \"#333333\"",
    "set xlabel \"temperature\" textcolor rgb \"#333333\"",
    "set xrange [x_lo - 0.06:x_hi + 0.06]",
    "set xtics x_lo,0.2,x_hi",
    "set yrange [0:y_most]",
    "set style fill transparent solid 0.16 noborder",
    "mine(i) = strcol(\"method\") eq word(series, i) && strcol(\"bucket\") eq \"all\" && column(\"n_valid\") > 0",
    "plot for [i = 1:words(series)] csv using (mine(i) ? column(\"temperature\") : NaN):(100 * column(\"lo\")):(100 * column(\"hi\")) with filledcurves lc rgb colour(word(series, i), i) notitle, \\",
    "     for [i = 1:words(series)] csv using (mine(i) ? column(\"temperature\") : NaN):(100 * column(\"value_valid\")) with linespoints lw 2 dt dash(word(series, i)) pt mark(word(series, i)) ps 0.8 lc rgb colour(word(series, i), i) notitle",
    NULL};

static const char *const fig08_size[] = {"W = 1000; H = 460; left = 86.0; bottom = 66.0", NULL};

/* Sizes: edges_hi, depth_hi, log_scale; lists series, labels */
static const char *const fig08_body[] = {
    "n = words(series)",
    "w = 0.84 / n",
    "if (log_scale) { set logscale y 10; set yrange [0.01:100]; foot = 0.01 } else { set yrange [0:*]; foot = 0 }",
    "mine(i, axis, hi) = strcol(\"split\") eq word(series, i) && strcol(\"axis\") eq axis && column(\"x\") <= hi",
    "at(i) = column(\"x\") + w * (i - (n + 1) / 2.0)",
    "set style fill solid 1.0 noborder",
    "set multiplot",
    "set rmargin at screen 0.66",
    "set xrange [0.4:edges_hi + 0.6]",
    "set xtics 1,(edges_hi > 40 ? 5 : 1),edges_hi font \",11\"",
    "set xlabel \"calls in the graph\" textcolor rgb \"#333333\"",
    "set ylabel \"share of the graphs, %\" offset 0.6,0 textcolor rgb \"#333333\"",
    "plot for [i = 1:n] csv using (mine(i, \"edges\", edges_hi) ? at(i) : NaN):(100 * column(\"share\")):(at(i) - 0.46 * w):(at(i) + 0.46 * w):(foot):(100 * column(\"share\")) with boxxyerror lc rgb colour(word(series, i), i) notitle",
    "unset label 1; unset label 2",
    "do for [i = 1:n] { eval sprintf(\"unset label %d\", 100 + i) }",
    "set lmargin at screen 0.66 + 64.0 / W",
    "set xrange [0.4:depth_hi + 0.6]",
    "set xtics 1,1,depth_hi font \",11\"",
    "set xlabel \"depth (levels)\"",
    "unset ylabel",
    "plot for [i = 1:n] csv using (mine(i, \"depth\", depth_hi) ? at(i) : NaN):(100 * column(\"share\")):(at(i) - 0.46 * w):(at(i) + 0.46 * w):(foot):(100 * column(\"share\")) with boxxyerror lc rgb colour(word(series, i), i) notitle",
    "unset multiplot",
    NULL};

/* Bars of every origin, in a group for each application: windows, random features. */
static const char *const fig05_size[] = {"W = 860; H = 460; left = 86.0; bottom = 50.0", NULL};
static const char *const fig05_body[] = {
    "set ylabel \"right about real graphs, %\" offset 0.6,0 textcolor rgb \"#333333\"",
    "set yrange [0:100]",
    "set ytics 0,20,100",
    "set xtics (\"application A\" 1, \"application B\" 2) scale 0",
    "set xrange [0.4:2.6]",
    "n_series = words(series)",
    "wide = 0.8 / n_series",
    "at(i) = (strcol(\"task\") eq \"firm_A\" ? 1 : 2) + (i - 0.5 * (n_series + 1)) * wide",
    "mine(i) = strcol(\"method\") eq word(series, i) && strcol(\"unit\") eq \"window\" && strcol(\"machine\") eq \"rbf\"",
    "set style fill solid 1.0 noborder",
    "plot for [i = 1:n_series] csv using (mine(i) ? at(i) : NaN):(100 * column(\"accuracy\")):(at(i) - 0.46 * wide):(at(i) + 0.46 * wide):(0):(100 * column(\"accuracy\")) with boxxyerror lc rgb colour(word(series, i), i) notitle, \\",
    "     for [i = 1:n_series] csv using (mine(i) ? at(i) : NaN):(100 * (column(\"accuracy\") - column(\"std\"))):(0):(200 * column(\"std\")) with vectors heads size 0.02,90 lw 1.2 lc rgb \"#222222\" notitle",
    NULL};

static const char *const fig05_tracevae_size[] = {"W = 860; H = 460; left = 86.0; bottom = 50.0", NULL};
static const char *const fig05_tracevae_body[] = {
    "set ylabel \"area under the ROC curve\" offset 0.6,0 textcolor rgb \"#333333\"",
    "set yrange [0:1]",
    "set ytics 0,0.2,1",
    "set xtics (\"slow calls\" 1, \"slow calls, by times alone\" 2, \"missing calls\" 3, \"both\" 4) scale 0",
    "set xrange [0.4:4.6]",
    "n_series = words(series)",
    "wide = 0.8 / n_series",
    "place(kind) = kind eq \"time\" ? 1 : kind eq \"structure\" ? 3 : 4",
    "shift(i) = (i - 0.5 * (n_series + 1)) * wide",
    "at(i) = place(strcol(\"anomaly\")) + shift(i)",
    "mine(i) = strcol(\"method\") eq word(series, i)",
    "slow(i) = mine(i) && strcol(\"anomaly\") eq \"time\"",
    "set style fill solid 1.0 noborder",
    "plot for [i = 1:n_series] csv using (mine(i) ? at(i) : NaN):(column(\"auc\")):(at(i) - 0.46 * wide):(at(i) + 0.46 * wide):(0):(column(\"auc\")) with boxxyerror lc rgb colour(word(series, i), i) notitle, \\",
    "     for [i = 1:n_series] csv using (slow(i) ? 2 + shift(i) : NaN):(column(\"auc_values\")):(2 + shift(i) - 0.46 * wide):(2 + shift(i) + 0.46 * wide):(0):(column(\"auc_values\")) with boxxyerror lc rgb colour(word(series, i), i) notitle, \\",
    "     for [i = 1:n_series] csv using (mine(i) ? at(i) : NaN):(column(\"auc\") - column(\"std\")):(0):(2 * column(\"std\")) with vectors heads size 0.02,90 lw 1.2 lc rgb \"#222222\" notitle",
    NULL};

static const char *const fig06_size[] = {
    "series = \"instruction real\"; labels = \"\\\"asked for\\\" \\\"not asked for\\\"\"",
    "W = 860; H = 460; left = 86.0; bottom = 50.0", NULL};

/* Instructions with and without their line */
static const char *const fig06_body[] = {
    "set ylabel \"graphs that follow, %\" offset 0.6,0 textcolor rgb \"#333333\"",
    "set yrange [0:100]",
    "set ytics 0,20,100",
    "set xtics (\"high latency\" 1, \"uncommon call\" 2, \"both\" 3) scale 0",
    "set xrange [0.4:3.6]",
    "place(a) = a eq \"high_latency\" ? 1 : a eq \"uncommon\" ? 2 : 3",
    "at(w) = place(strcol(\"instruction\")) + (w ? -0.19 : 0.19)",
    "mine(w) = strcol(\"arm\") eq (w ? \"with\" : \"without\")",
    "set style fill solid 1.0 noborder",
    "plot for [w = 0:1] csv using (mine(w) ? at(w) : NaN):(100 * column(\"value\")):(at(w) - 0.17):(at(w) + 0.17):(0):(100 * column(\"value\")) with boxxyerror lc rgb (w ? 0x0072b2 : 0x9a9a9a) notitle, \\",
    "     for [w = 0:1] csv using (mine(w) ? at(w) : NaN):(100 * column(\"lo\")):(0):(100 * (column(\"hi\") - column(\"lo\"))) with vectors heads size 0.02,90 lw 1.2 lc rgb \"#222222\" notitle",
    NULL};

static const char *const fig07_size[] = {"W = 860; H = 460; left = 86.0; bottom = 50.0", NULL};
static const char *const fig07_body[] = {
    "set ylabel \"right, %\" offset 0.6,0 textcolor rgb \"#333333\"",
    "set yrange [0:100]",
    "set ytics 0,20,100",
    "set xtics (\"uncommon call foretold\" 1, \"missing attribute\" 2, \"missing call\" 3) scale 0",
    "set xrange [0.4:3.6]",
    "n_series = words(series)",
    "wide = 0.8 / n_series",
    "place(t) = t eq \"uncommon\" ? 1 : t eq \"attribute\" ? 2 : 3",
    "at(i) = place(strcol(\"task\")) + (i - 0.5 * (n_series + 1)) * wide",
    "mine(i) = strcol(\"method\") eq word(series, i) && strcol(\"missing\") eq \"all\"",
    "set style fill solid 1.0 noborder",
    "plot for [i = 1:n_series] csv using (mine(i) ? at(i) : NaN):(100 * column(\"value\")):(at(i) - 0.46 * wide):(at(i) + 0.46 * wide):(0):(100 * column(\"value\")) with boxxyerror lc rgb colour(word(series, i), i) notitle, \\",
    "     for [i = 1:n_series] csv using (mine(i) ? at(i) : NaN):(100 * column(\"lo\")):(0):(100 * (column(\"hi\") - column(\"lo\"))) with vectors heads size 0.02,90 lw 1.2 lc rgb \"#222222\" notitle",
    NULL};

const loom_figure loom_figures[] = {
    {"fig12", "fig12.csv", fig12_size, fig12_body, false},
    {"fig12_constrained", "fig12.csv", fig12_size, fig12_body, false},
    {"fig03a", "fig03.csv", fig03_size, fig03_body, true},
    {"fig03b", "fig03.csv", fig03_size, fig03_body, true},
    {"fig03c", "fig03.csv", fig03_size, fig03_body, true},
    {"fig13", "fig13.csv", fig03_size, fig03_body, true},
    {"fig14a", "fig14.csv", fig03_size, fig03_body, true},
    {"fig14b", "fig14.csv", fig03_size, fig03_body, true},
    {"fig14c", "fig14.csv", fig03_size, fig03_body, true},
    {"fig04a", "fig04a_calls.csv", fig04a_size, fig04a_body, true},
    {"fig04b", "fig04b_summary.csv", fig04b_size, fig04b_body, true},
    {"fig16", "fig16.csv", fig16_size, fig16_body, true},
    {"fig15", "fig15.csv", fig15_size, fig15_lines_body, true},
    {"fig15_size", "fig15.csv", fig15_size, fig15_body, true},
    {"fig08", "fig08.csv", fig08_size, fig08_body, true},
    {"fig06", "fig06.csv", fig06_size, fig06_body, true},
    {"fig05", "fig05_mean.csv", fig05_size, fig05_body, true},
    {"fig05_tracevae", "fig05_tracevae_mean.csv", fig05_tracevae_size, fig05_tracevae_body, true},
    {"fig07", "fig07.csv", fig07_size, fig07_body, true},
    {NULL, NULL, NULL, NULL, false}};
