# Spans sent to a collector of our own: the very spans that convert writes, moved to now or not; refusals, pauses and retries counted;
# one sentence for a collector that is not there, goes on failing, refuses or is not waited for.
loom-infer --version | grep -q '^libcurl' || skip "built without libcurl"
loom-preprocess sample-traces --profile tiny --traces 300 -q -o traces || fail "no traces"
loom-preprocess graphs traces -q -o g.graphs || fail "no graphs"
spans=$(awk '{ print NF }' g.graphs | wc -l); [ "$spans" -gt 100 ] || fail "too few graphs"
sink() { # DIR ANSWER...: starts a collector, url is where
    mkdir -p "$1"; "$TOOLS/otlp_sink" "$@" & sink_pid=$!
    for i in $(seq 200); do [ -s "$1/port" ] && break; sleep 0.05; done
    url="http://127.0.0.1:$(cat "$1/port")/v1/traces"
}
stop() { touch "$1/stop"; wait $sink_pid; }
count() { grep -oE "\"$1\":[0-9]+" out | head -n 1 | cut -d: -f2; }
# each span of some JSON on a line of its own, sorted
canonical() { sed 's/{"traceId"/\n&/g' "$@" | grep '^{"traceId"' | sed -E 's/("status":\{"code":0\}\}).*/\1/' | sort; }

# the spans of convert, byte for byte; gzip or not
expect 0 loom-infer convert g.graphs --to otlp -q -o c.jsonl; canonical c.jsonl >want
sink a; expect 0 loom-infer push g.graphs --collector "$url" --times kept --batch 100 --json; stop a
[ "$(count accepted)" = "$(wc -l <want)" ] && [ "$(count refused)" = 0 ] && [ "$(count unsent)" = 0 ] || fail "other counts: $(cat out)"
[ "$(count requests)" = "$(find a -name 'body-*.json.gz' | wc -l)" ] && [ "$(count requests)" -gt 3 ] || fail "other numbers of requests"
says a/heads '^POST /v1/traces HTTP/1.1'; says a/heads '^Content-Type: application/json'
for f in a/body-*.gz; do zcat "$f"; echo; done >a.json
same <(canonical a.json) want || fail "other spans than convert writes"
expect 0 loom-infer convert a.json -q -o back.graphs
same <(sort g.graphs) <(sort back.graphs) || fail "other graphs come back"
sink b; expect 0 loom-infer push g.graphs --collector "$url" --times kept --no-gzip --limit 20 -q; stop b
expect 0 loom-infer convert g.graphs --to otlp --limit 20 -q -o c20.jsonl
same <(canonical b/body-*.json) <(canonical c20.jsonl) || fail "other spans without gzip"

# moved to now: the last call ends when it is sent
before=$(date +%s); sink n; expect 0 loom-infer push g.graphs --collector "$url" --limit 5 -q; stop n; after=$(date +%s)
zcat n/body-*.gz | grep -oE '"endTimeUnixNano":"[0-9]+' | grep -oE '[0-9]+$' | sort -n | tail -n 1 | cut -c 1-10 >ended
[ "$(cat ended)" -ge "$before" ] && [ "$(cat ended)" -le "$after" ] || fail "ended at $(cat ended), sent from $before to $after"
# three graphs, one in two seconds, take four; each is sent when it is due, on a busy machine as well
started=$(date +%s%N); sink r; expect 0 loom-infer push g.graphs --collector "$url" --limit 3 --rate 0.5 -q; stop r
[ $(($(date +%s%N) - started)) -ge 4000000000 ] || fail "--rate sends at once"
[ "$(find r -name 'body-*' | wc -l)" = 3 ] || fail "spans wait while nothing is due"

# pauses: as long as asked; the same request again
started=$(date +%s%N); sink p drop 503:after=1 429 200; expect 0 loom-infer push g.graphs --collector "$url" --limit 3 --json; stop p
[ $(($(date +%s%N) - started)) -ge 1500000000 ] || fail "Retry-After was not waited for"
[ "$(count retried)" = 3 ] && [ "$(count requests)" = 1 ] || fail "retries: $(cat out)"
says err 'does not answer \(.*trying again'
for i in 2 3 4; do cmp <(zcat p/body-0001.json.gz) <(zcat p/body-000$i.json.gz) || fail "another request the next time"; done

# refused: a part, or all
sink f 'partial:3:too old\\u001b[31m' 200; expect 3 loom-infer push g.graphs --collector "$url" --batch 50 --json; stop f
[ "$(count refused)" = 3 ] && [ $(($(count accepted) + 3)) = "$(wc -l <want)" ] || fail "refused spans: $(cat out)"
says err 'refused 3 of [0-9]+ spans: too old'; if grep -q $'\x1b' err; then fail "a collector's words reach the terminal"; fi
sink w 200 400; expect 1 loom-infer push g.graphs --collector "$url" --batch 50 --json; stop w
says err 'refuses: 400 \(not now.x1b\[31m\)'; [ "$(count accepted)" -ge 50 ] && [ "$(count refused)" -ge 50 ] || fail "counts: $(cat out)"
[ $(($(count accepted) + $(count refused) + $(count unsent))) = "$(count spans)" ] || fail "spans are lost: $(cat out)"
sink d 503; expect 1 loom-infer push g.graphs --collector "$url" --retries 1 -q; one_sentence; says err 'goes on answering 503'; stop d
# not there, no address, too slow
port=$(cat d/port); expect 1 loom-infer push g.graphs --collector "http://127.0.0.1:$port/v1/traces" --retries 0 -q; one_sentence; says err 'is a collector listening'
for bad in ftp://127.0.0.1/ nonsense:// file:///etc/hostname ''; do expect 2 loom-infer push g.graphs --collector "$bad" -q; one_sentence; says err 'no address'; done
expect 2 loom-infer push g.graphs --rate 1 --speed 1; one_sentence
sink h hang; expect 1 loom-infer push g.graphs --collector "$url" --retries 0 --timeout 1 -q; one_sentence; says err 'imed out'; kill $sink_pid; wait $sink_pid
# Ctrl-C in a pause
sink i 503:after=60; loom-infer push g.graphs --collector "$url" >out 2>err & pid=$!
for i in $(seq 200); do grep -q 'trying again' err && break; sleep 0.05; done
kill -INT $pid; wait $pid; code=$?; [ $code = 130 ] || fail "exit code $code after Ctrl-C"
says err 'interrupted; 0 of [0-9]+ spans were accepted'; stop i
# nothing is sent without being asked to, or of nothing
expect 0 loom-infer push g.graphs --collector http://127.0.0.1:1/ --dry-run; says err 'would send [0-9]+ spans'
echo '{"resourceSpans":[]}' >empty.json; expect 1 loom-infer push empty.json --collector http://127.0.0.1:1/ -q; one_sentence
