# The pages of view and compare in a browser: nothing wider than the screen, dark and light, every call reached by the keyboard
# alone, and (where axe-core can be had: LOOM_AXE=axe.min.js, or in node_modules) no violation of accessibility.
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || skip "no chromium to look at the pages with"
long=$(printf 'X%.0s' $(seq 200)); evil="<script>document.title='hacked'</script><img/src=x/onerror=document.title='hacked'>"
{ for k in 1 2 3 4; do printf '00h0%dm00s000ms %s 0|http|USER|%s|ARRIVED_0|RT_9||0.1|rpc|%s|%s|ARRIVED_1|RT_2\n' $k "$evil" "$long" "$long" "$evil"; done
  printf '00h00m00s000ms S_000000002 0|http|USER|MS_00001|ARRIVED_0|RT_9000'; for i in $(seq 399); do printf '||0.%d|mc|MS_00001|MS_00002|ARRIVED_%d|RT_%d' $i $((i * 20)) $((i % 9)); done; echo
  echo '00h00m00s000ms S_000000003 0|http|USER|MS_00001|ARRIVED_0|RT_0'; } >odd
for k in $(seq 20); do cat odd; done >before
grep -v S_000000002 before >after; sed 's/RT_2$/RT_400/; s/RT_9|/RT_900|/' odd >slow; for k in $(seq 20); do cat slow; done >>after
expect 0 loom-eval view odd -o view.html
head -n 5 odd | tail -n 1 >one; expect 0 loom-eval view one -o one.html
expect 0 loom-eval compare before after -o cmp; cp cmp/comparison.html .
[ "$(grep -c '^' cmp/places.csv)" -ge 2 ] || fail "nothing differs"
axe=${LOOM_AXE:-$SRC/node_modules/axe-core/axe.min.js}
# look PAGE WIDTH OPTION: a copy of the page that tells what a browser makes of it in its title
look() {
    { sed 's/<meta http-equiv="Content-Security-Policy"[^>]*>//; s#</body></html>##' "$1"
      [ -e "$axe" ] && { printf '<script>'; cat "$axe"; printf '</script>'; }
      cat <<'END'
<script>(async () => {
const all = [...document.querySelectorAll('details')]; all.forEach(d => d.open = true);
const wide = document.documentElement.scrollWidth, sees = document.documentElement.clientWidth;
const stops = document.querySelectorAll('summary, a[href], input, [tabindex="0"]');
let deaf = [...stops].filter(s => s.tabIndex < 0).length; /* focus itself is tried of some: each one lays the page out again */
for (let i = 0; i < stops.length; i += Math.ceil(stops.length / 9)) { stops[i].focus({preventScroll: true}); deaf += document.activeElement !== stops[i]; }
let bad = 'none'; if (window.axe) { const r = await axe.run(); bad = r.violations.map(v => v.id).join(','); }
document.title = (document.title === 'hacked' ? 'hacked' : 'looked') + ' wide ' + (wide > sees) + ' details ' + all.length + ' deaf ' + deaf + ' axe ' + (bad || 'none');
})()</script></body></html>
END
    } >look.html
    timeout 200 "$browser" --headless --no-sandbox --disable-gpu $3 --window-size="$2",900 --virtual-time-budget=60000 --dump-dom "file://$PWD/look.html" >dom.html 2>browser.err ||
        skip "the browser does not run here: $(tail -n 1 browser.err)"
    grep -o '<title>[^<]*' dom.html | head -n 1 >seen
    says seen '^<title>looked wide false details [0-9]+ deaf 0 axe none$'
}
look view.html 1280 ''
says seen 'details 409 '
look view.html 500 --force-dark-mode
look one.html 1280 --force-dark-mode
look comparison.html 1280 --force-dark-mode
look comparison.html 500 ''
[ -e "$axe" ] || echo "axe-core is not here: accessibility rules not checked"
