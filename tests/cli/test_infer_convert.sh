# Call graphs through every format and back.
cat >g.graphs <<'R'
00h00m03s000ms S_100000003 0|http|USER|MS_10001|ARRIVED_0|RT_50||0.1|rpc|MS_10001|MS_00012|ARRIVED_2|RT_40||0.1.1|mc|MS_00012|MS_00007|ARRIVED_3|RT_1||0.1.10|db|MS_00012|MS_00009|ARRIVED_5|RT_30||0.2|mq|MS_10001|MS_00007|ARRIVED_44|RT_0
00h00m00s000ms S_000000012 0|rpc|USER|MS_00003|ARRIVED_1|RT_9||0.2|mc|MS_00003|MS_00003|ARRIVED_0|RT_1
R
for to in csv json jsonl graphs.zst; do
    expect 0 loom-infer convert g.graphs -o "g.$to"
    expect 0 loom-infer convert "g.$to" -o "back.$to.graphs"
    cmp g.graphs "back.$to.graphs" || fail "$to does not come back as it was"
    [ -s "g.$to.meta.json" ] || fail "no provenance beside g.$to"
done
# one span is in the service it goes to, its parent is the call above, times are microseconds
says g.json '"operationName":"MS_00012->MS_00007"'
says g.json '"startTime":1640995203003000,"duration":1000'
says g.jsonl '"startTimeUnixNano":"1640995203003000000"'
says g.jsonl '"key":"callgraph.synthetic","value":\{"boolValue":true\}'
[ "$(wc -l <g.jsonl)" = 2 ] || fail "one line of OTLP for each graph"
expect 0 loom-infer convert g.graphs --no-synthetic --to otlp
if grep -q synthetic out; then fail "--no-synthetic still says synthetic"; fi
expect 0 loom-infer convert g.graphs -o g.dot
says g.dot '"MS_00012" -> "MS_00009" \[label="0.1.10 db 5\+30 ms"'
[ "$(grep -c '^digraph' g.dot)" = 2 ] || fail "one digraph for each graph"

# our own reader of raw tables gets the same graphs
if [ -x "$BIN/loom-preprocess" ]; then
    expect 0 loom-preprocess graphs g.csv -o again.graphs.zst
    expect 0 loom-infer convert again.graphs.zst -o again.graphs
    sort g.graphs >want; sort again.graphs | cmp - want || fail "loom-preprocess graphs reads the CSV differently"
fi

# same seed, same ids; another seed, others
expect 0 loom-infer convert g.graphs --to jaeger -o a.json
cmp a.json g.json || fail "ids are not reproducible"
expect 0 loom-infer convert g.graphs --to jaeger --seed 2 -o b.json
if cmp -s a.json b.json; then fail "ids do not depend on the seed"; fi

# --update does nothing when there is nothing to do
touch -d '1 hour ago' g.json
expect 0 loom-infer convert g.graphs -o g.json --update
[ -n "$(find g.json -mmin +30)" ] || fail "--update wrote again"
mkdir folder && cp g.json g.csv folder
expect 0 loom-infer convert folder -o folder.graphs
[ "$(wc -l <folder.graphs)" = 4 ] || fail "four graphs in the folder expected"

# refusals: one sentence each, nothing left behind
expect 2 loom-infer convert g.graphs -o g.csv; one_sentence
expect 2 loom-infer convert g.graphs -o g.xyz; one_sentence; says err 'does not tell the format'
expect 2 loom-infer convert
echo 'neither this nor that' >bad.txt
expect 1 loom-infer convert bad.txt -o x.csv; one_sentence; says err 'no CallGraph table'
echo '{"data":[{"spans":[{"traceID":"1"}],"processes":{}}]}' >bad.json
expect 1 loom-infer convert bad.json -o x.csv; one_sentence; says err 'NO_ID, first: bad.json:1'
echo '{"data":[' >cut.json
expect 1 loom-infer convert cut.json -o x.csv; one_sentence
echo '00h00m00s000ms S_1 0|http|USER|MS_1|ARRIVED_0|RT_5||0.1|rpc|MS_2|MS_3|ARRIVED_1|RT_9' >invalid.graphs
expect 1 loom-infer convert invalid.graphs -o x.csv; one_sentence; says err 'CHILD_OUTLIVES_PARENT'
ls x.csv* >/dev/null 2>&1 && fail "a failed conversion left a file"

# what starts late, ends before it starts or has an odd name comes back from spans as well
cat >odd.graphs <<'R'
12h30m15s250ms S_000000013 0|http|USER|MS_00001|ARRIVED_5|RT_10||0.1|mq|MS_00001|MS_00002|ARRIVED_6|RT_-2||0.1.3|db|MS_00002|MS_00009|ARRIVED_3|RT_1
00h00m00s000ms shop:GET_/x 0|http|USER|a"b\c|ARRIVED_0|RT_7
R
expect 0 loom-infer convert odd.graphs -o odd.json
expect 0 loom-infer convert odd.json -o odd.jsonl
expect 0 loom-infer convert odd.jsonl -o odd.back.graphs
cmp odd.graphs odd.back.graphs || fail "odd graphs do not come back as they were"
expect 2 loom-infer convert g.graphs -o late.json --epoch 9999999999999; one_sentence; says err 'spans cannot say'

# a trace of another system: client and server spans, a cache named by its client span, an orphan, a second root
cat >foreign.json <<'R'
{"data":[{"traceID":"t1","spans":[
 {"traceID":"t1","spanID":"a","operationName":"GET /cart","references":[],"startTime":1000400,"duration":9200,"tags":[{"key":"span.kind","type":"string","value":"server"},{"key":"http.method","type":"string","value":"GET"}],"processID":"p1"},
 {"traceID":"t1","spanID":"b","operationName":"cart.Get","references":[{"refType":"CHILD_OF","traceID":"t1","spanID":"a"}],"startTime":1001000,"duration":5000,"tags":[{"key":"span.kind","type":"string","value":"client"}],"processID":"p1"},
 {"traceID":"t1","spanID":"c","operationName":"cart.Get","references":[{"refType":"CHILD_OF","traceID":"t1","spanID":"b"}],"startTime":1002000,"duration":3000,"tags":[{"key":"span.kind","type":"string","value":"server"},{"key":"component","type":"string","value":"gRPC"}],"processID":"p2"},
 {"traceID":"t1","spanID":"d","operationName":"HGET","references":[{"refType":"CHILD_OF","traceID":"t1","spanID":"c"}],"startTime":1003000,"duration":499,"tags":[{"key":"span.kind","type":"string","value":"client"},{"key":"db.system","type":"string","value":"redis"}],"processID":"p2"},
 {"traceID":"t1","spanID":"e","operationName":"lost","references":[{"refType":"CHILD_OF","traceID":"t1","spanID":"zz"}],"startTime":1003000,"duration":10,"tags":[],"processID":"p2"},
 {"traceID":"t1","spanID":"f","operationName":"late","references":[],"startTime":1009000,"duration":10,"tags":[],"processID":"p2"}],
 "processes":{"p1":{"serviceName":"front end"},"p2":{"serviceName":"cart"}}}]}
R
expect 0 loom-infer convert foreign.json -o foreign.graphs
says err '1 graphs, 6 spans of 1 traces'
says err '1 spans left out because their parent is missing'
says err '1 more first spans'
cat >want <<'R'
00h00m01s000ms front_end:GET_/cart 0|http|USER|front_end|ARRIVED_0|RT_9||0.1|rpc|front_end|cart|ARRIVED_2|RT_3||0.1.1|mc|cart|redis|ARRIVED_3|RT_0
R
cmp foreign.graphs want || { cat foreign.graphs >&2; fail "a foreign trace is mapped differently"; }

# the terminal picture
expect 0 loom-infer show g.graphs -w 80 --color never
says out '^#0 S_100000003, 5 calls, depth 3, 50 ms$'
says out '^├─ MS_00012 rpc +2\+40 ms'
says out '^│  ├─ MS_00007 mc +3\+1 ms'
says out '^│  └─ MS_00009 db'
says out '^└─ MS_00007 mq +44\+0 ms'
expect 0 loom-infer show g.graphs --limit 0 --service S_12 --color never
says out '^#0 S_000000012, 2 calls'
expect 2 loom-infer show g.graphs --skip 5; one_sentence
# no line is wider than the picture, however deep the graph and long the names; plain characters where there are no others
{
    printf '00h00m00s000ms S_1 0|http|USER|MS_00001|ARRIVED_0|RT_5'
    id=0; for i in $(seq 1 60); do id=$id.1; printf '||%s|rpc|MS_%05d|MS_%05d|ARRIVED_0|RT_5' $id "$i" $((i + 1)); done
    printf '\n00h00m00s000ms S_2 0|http|USER|a-microservice-with-a-very-long-name-indeed-v2|ARRIVED_0|RT_5\n'
} >deep.graphs
for w in 40 100; do
    expect 0 loom-infer show deep.graphs --limit 0 -w $w --color never --symbols ascii
    [ "$(awk '{ if (length > n) n = length } END { print n }' out)" -le $w ] || fail "a line wider than $w"
    if LC_ALL=C grep -q '[^ -~]' out; then fail "ascii is not ascii"; fi
done
expect 0 loom-infer show deep.graphs --limit 0 -w 60 --color never --symbols utf8
says out '^…61  *└─ MS_00061 rpc'
says out '^a-micr.*….*v2 http'
(unset LC_ALL LC_CTYPE; LANG=de_DE.ISO-8859-1 "$BIN/loom-infer" show g.graphs --color never >latin)
says latin '^[|]- MS_00012 rpc'
yes "$(cat g.graphs)" | head -n 6000 >many.graphs
"$BIN/loom-infer" show many.graphs --limit 0 2>err | head -n 1 >out
[ ! -s err ] || fail "show | head complains"

# real traces of other systems, where they are at hand
D=$SHARED/data/other-systems
if [ -d "$D" ]; then
    expect 0 loom-infer convert "$D/deathstarbench-hotel-reservation-jaeger.tar.zst" -o hotel.graphs
    says err '147 graphs, 1617 spans of 147 traces read; 735 spans within a service'
    expect 0 loom-infer convert "$D/deathstarbench-media-microservices-jaeger.tar.zst" -o media.csv
    says err '150 graphs, 4050 spans of 150 traces'
    expect 0 loom-infer convert "$D/alibaba-v2022-otlp-sample.ndjson" -o ali.graphs
    says ali.graphs '^00h00m00s000ms S_000034483 0\|http\|USER\|MS_63670\|ARRIVED_0\|RT_8\|\|0.1\|rpc\|MS_63670\|MS_63670\|ARRIVED_0\|RT_3'
fi
