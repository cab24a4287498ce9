# The page in a browser: it asks for nothing outside, and nothing runs over the edge of a phone or of a desktop.
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || skip "no chromium to look at the page with"
real=$SRC/tests/golden/spec/dedupe/expected.txt
expect 0 loom-eval prompts "$real" --mode recursive --per-cell 2 -o recursive.prompts.jsonl
expect 0 loom-eval oracle recursive.prompts.jsonl --damage 0.3 -o recursive.answers.jsonl
sed 's/"temperature":0/"temperature":0.5/' recursive.answers.jsonl >warm.answers.jsonl
expect 0 loom-eval heatmap recursive.answers.jsonl warm.answers.jsonl -p recursive.prompts.jsonl -o res
expect 0 loom-eval variants with=recursive.answers.jsonl without=warm.answers.jsonl -p recursive.prompts.jsonl -o res
expect 0 loom-eval baseline "$real" --count 60 -o probabilistic.graphs.zst
expect 0 loom-eval baseline "$real" --count 60 --seed 2 -o topology.graphs.zst # all origins have names for readers
expect 0 loom-eval similarity --real "$real" recursive.answers.jsonl probabilistic.graphs.zst topology.graphs.zst --resamples 20 -o res
if command -v gnuplot >/dev/null; then says res/fig16.gp '"Topology \(no model\)'; fi
expect 0 loom-eval memorization --train "$real" recursive=recursive.answers.jsonl recursive=warm.answers.jsonl -o res
expect 0 loom-eval report res

# all addresses in the page are names of XML dialects, anchors or nothing
grep -oE '(src|href|url)[=(]"?[^" )>]*' res/report.html | grep -vE '^(href="#|url\(#|href=.#|url\(.?#)' >outside
[ -s outside ] && fail "the page asks for $(head -n 3 outside)"

# a frame of the width of a device; how wide the page in it is, is written into the title of the frame's page
look() {
    cat >frame.html <<END
<!doctype html><title>?</title><iframe id=f width=$1 height=900 style="border:0" src="res/report.html"></iframe>
<script>document.getElementById('f').onload = e => { const d = e.target.contentDocument;
const w = d.documentElement.scrollWidth, open = [...d.querySelectorAll('details')]; open.forEach(x => x.open = true);
document.title = 'width ' + w + ' opened ' + d.documentElement.scrollWidth + ' pictures ' + d.querySelectorAll('svg').length; };</script>
END
    timeout 120 "$browser" --headless --no-sandbox --disable-gpu --allow-file-access-from-files --virtual-time-budget=5000 \
        --window-size=1400,1000 --dump-dom "file://$PWD/frame.html" >dom.html 2>browser.err || skip "the browser does not run here: $(tail -n 1 browser.err)"
    seen=$(grep -o '<title>[^<]*' dom.html)
}
for width in 390 1280; do
    look $width
    read -r _ wide _ opened _ pictures <<<"${seen#<title>}"
    [ "$wide" -le "$width" ] || fail "the page is ${wide:-?} pixels wide on a screen of $width ($seen)"
    [ "$opened" -le "$width" ] || fail "with its tables open the page is ${opened:-?} pixels wide on a screen of $width"
    if command -v gnuplot >/dev/null && [ "$pictures" -lt 8 ]; then fail "the page shows $pictures pictures"; fi
done
timeout 120 "$browser" --headless --no-sandbox --disable-gpu --screenshot=page.png --window-size=1280,2400 "file://$PWD/res/report.html" 2>browser.err
[ "$(head -c 4 page.png | tail -c 3)" = PNG ] || fail "no screenshot: $(tail -n 1 browser.err)"
