# Single traces in context: which are shown, what is said of them, names of any kind.
usual='S_000000001 0|http|USER|MS_00001|ARRIVED_0|RT_20||0.1|rpc|MS_00001|MS_00002|ARRIVED_2|RT_5||0.2|db|MS_00001|MS_00003|ARRIVED_9|RT_4'
for i in $(seq 1 99); do printf '00h%02dm00s000ms %s\n' $((i % 40)) "$usual"; done >all
echo '00h07m00s000ms S_000000001 0|http|USER|MS_00001|ARRIVED_0|RT_900||0.1|rpc|MS_00001|MS_00002|ARRIVED_2|RT_5||0.2|mc|MS_00001|MS_00009|ARRIVED_9|RT_1' >>all
expect 0 loom-eval view all --top 3 -o page.html
says err 'page.html: 3 of 100 traces'
says page.html.meta.json '"subcommand": "view"'
[ "$(grep -c '<section id="t' page.html)" = 3 ] || fail "not three traces"
# the odd one comes first in both orders; what it lacks and what is seldom about it is said
first=$(grep -o '<section id="t[0-9]*" style="--rare:0;--slow:0"' page.html) || fail "the odd trace is not first"
says page.html 'Its structure is that of 1\.0&nbsp;% of the service.s 100 graphs'
says page.html 'Usually it also calls</p><ul><li><span class="name">MS_00003</span> db \(in 99\.0&nbsp;% of the invocations\)'
says page.html 'Seldom: the caller makes this call in 1\.0&nbsp;% of its invocations'
says page.html '<b>Time.</b>'
expect 0 loom-eval view all --top 1 --by slow -o slow.html
grep -q 'Trace 1</a>: S_000000001' slow.html && says slow.html '900 ms' || fail "not the slowest"
expect 0 loom-eval view all --by first --top 2 -o first.html
says first.html '20 ms, from'
# a structure that is not common: the nearest that is
awk '{print; print}' all >more; awk '{print; print; print}' more >many
sed -n '$p' all | sed 's/||0.2|mc.*//' >alone; expect 0 loom-eval view alone --against many -o near.html
says near.html 'Its structure is that of 0\.0&nbsp;%'
says near.html 'The nearest common structure, of 9[89]\.[0-9]&nbsp;%, has 1 calls that this one has not, and not 0 of those here'
# generated beside real, several files of any kind, threads
expect 0 loom-infer convert all -o other.json --limit 5
expect 0 loom-eval view other.json alone --against all --by first --top 4 -o two.html
says two.html 'from <span class="name">alone'
# which thread sees a thing first is another in every run: several of them
for i in $(seq 8); do
    expect 0 loom-eval view all --top 3 -o threads.html --threads $((1 + i % 3)) --force
    cmp -s page.html threads.html || fail "the number of threads shows"
done
# nobody has seen it
sed 's/MS_0000/MS_7777/g; s/S_000000001/S_000000009/' alone >stranger
expect 0 loom-eval view stranger --against all -o stranger.html
says stranger.html 'This service was never seen'
says stranger.html 'No such call from this caller is known'
# names of any kind, long and with markup; one call and many
long=$(printf 'X%.0s' $(seq 200)); evil="<script>alert(1)</script><img/src=x/onerror=alert(2)>\"'&amp;"
{ printf '00h00m00s000ms %s 0|http|USER|%s|ARRIVED_0|RT_9||0.1|rpc|%s|%s|ARRIVED_1|RT_2\n' "$evil" "$long" "$long" "$evil"
  printf '00h00m00s000ms S_000000002 0|http|USER|MS_00001|ARRIVED_0|RT_9000'; for i in $(seq 399); do printf '||0.%d|mc|MS_00001|MS_00002|ARRIVED_%d|RT_%d' $i $((i * 20)) $((i % 9)); done; echo
  echo '00h00m00s000ms S_000000003 0|http|USER|MS_00001|ARRIVED_0|RT_0'; } >odd
expect 0 loom-eval view odd -o odd.html
grep -qE '<script|<img' odd.html && fail "a name runs in the page"
says odd.html '&lt;script&gt;alert\(1\)'
grep -oE '<[a-z]+ [^<>]*(src|href)=[^ >]*' odd.html | grep -v '^<a href="#t[0-9]*"$' && fail "the page asks for something"
[ "$(grep -c '<li><details>' odd.html)" = 403 ] || fail "not a line for each call"
expect 2 loom-eval view - -o x.html; one_sentence; says err 'read twice'
expect 2 loom-eval view all --service S_000000007 -o x.html; one_sentence; says err 'none of the graphs of all is of service S_000000007'
: >empty; expect 1 loom-eval view empty -o x.html; one_sentence
[ ! -e x.html ] || fail "a failed command left a page"
