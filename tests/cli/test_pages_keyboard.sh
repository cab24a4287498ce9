# The pages of view, compare and report in a browser at 1,280 and 390 pixels, light and dark, of 1 and of 400 calls, with hostile
# names: all that can have the focus is reached by Tab alone, in the order in which it is seen, and axe-core finds nothing.
# LOOM_NODE_MODULES names a folder that holds node_modules with puppeteer-core and axe-core (tests/README.md says how to get them).
[ -n "${LOOM_NODE_MODULES:-}" ] || skip "LOOM_NODE_MODULES does not name a folder with puppeteer-core and axe-core"
command -v node >/dev/null || skip "no node"
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || skip "no chromium to look at the pages with"
for package in puppeteer-core axe-core; do
    [ -d "$LOOM_NODE_MODULES/node_modules/$package" ] || fail "$LOOM_NODE_MODULES holds no node_modules/$package"
done
long=$(printf 'X%.0s' $(seq 200)); evil="<script>document.title='hacked'</script><img/src=x/onerror=document.title='hacked'>"
for k in 1 2 3 4; do
    printf '00h0%dm00s000ms %s 0|http|USER|%s|ARRIVED_0|RT_%d||0.1|rpc|%s|%s|ARRIVED_1|RT_2\n' $k "$evil" "$long" $((9 * k)) "$long" "$evil"
done >few
echo '00h00m00s000ms S_000000003 0|http|USER|MS_00001|ARRIVED_0|RT_99' >>few
{ printf '00h00m00s000ms S_000000002 0|http|USER|MS_00001|ARRIVED_0|RT_9000'
  for i in $(seq 399); do printf '||0.%d|mc|MS_00001|MS_00002|ARRIVED_%d|RT_%d' $i $((i * 20)) $((i % 9)); done; echo; } >many
tail -n 1 few >one
for page in one few many; do expect 0 loom-eval view $page -o $page.html; done
for k in $(seq 20); do cat few; done >before
sed 's/RT_2$/RT_400/; s/RT_9|/RT_900|/; s/^00h03m.*/00h03m00s000ms S_000000003 0|http|USER|MS_00001|ARRIVED_0|RT_99/' before >after
expect 0 loom-eval compare before after -o cmp
real=$SRC/tests/golden/spec/dedupe/expected.txt
expect 0 loom-eval baseline "$real" --count 60 -o probabilistic.graphs.zst
expect 0 loom-eval similarity --real "$real" probabilistic.graphs.zst --resamples 20 -o res
expect 0 loom-eval report res
same <(grep -c 'id="by-slow"' few.html) <(echo 1) || fail "a page of five traces has no choice of order"

timeout 800 node "$SRC/tests/pages.mjs" "$LOOM_NODE_MODULES" "$browser" - one.html few.html many.html cmp/comparison.html res/report.html >seen 2>said ||
    fail "the browser did not look at all pages: $(tail -n 3 said)"
[ "$(wc -l <seen)" = 20 ] || fail "not four views of each page: $(wc -l <seen)"
good='"fits":true,"asked":0,"dialogs":0,"title":"(One trace in context|Traces in context|Two sets of traces compared|[^"]*report[^"]*|Spanloom[^"]*)"'
keys='"stops":[1-9][0-9]*,"met":[1-9][0-9]*,"missed":\[\],"hidden":0,"back":0,"other":(null|\{"missed":\[\],"back":0\}),"opens":(true|null)'
grep -vE "$good,($keys,)?\"axe\":\[\]\}\$" seen >bad
[ ! -s bad ] || fail "$(cut -c1-600 bad)"
[ "$(grep -c '"stops"' seen)" = 10 ] || fail "the keyboard was tried on $(grep -c '"stops"' seen) views"
[ "$(grep -c '"other":{' seen)" = 2 ] || fail "the other order was not tried"
says seen '"page":"many.html","width":390,"scheme":"light",.*"stops":40[0-9],"met":40[0-9],'
