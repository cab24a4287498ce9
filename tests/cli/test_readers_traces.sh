# Traces of other systems as they come: references, ids, damage, pieces. Each case gives the graphs of its sound twin.
jspan() { # TRACE ID REFERENCES START DURATION PROCESS
    printf '{"traceID":"%s","spanID":"%s","references":[%s],"startTime":%s,"duration":%s,"tags":[],"processID":"%s"}' "$@"
}
ref() { printf '{"refType":"%s","traceID":"%s","spanID":"%s"}' "$@"; }
processes='{"p1":{"serviceName":"front"},"p2":{"serviceName":"basket"},"p3":{"serviceName":"till"}}'
T=5a5a5a5a5a5a5a5a
jaeger() { # ROOT_REFS CHILD_REFS: a first span, two children; the second child's references are given
    printf '{"data":[{"traceID":"%s","spans":[%s,%s,%s],"processes":%s}]}\n' $T "$(jspan $T a1 "$1" 1000000 90000 p1)" \
        "$(jspan $T a2 "$(ref CHILD_OF $T a1)" 1010000 20000 p2)" "$(jspan $T a3 "$2" 1040000 30000 p3)" "$processes"
}
graph='00h00m01s000ms front: 0|rpc|USER|front|ARRIVED_0|RT_90||0.1|rpc|front|basket|ARRIVED_10|RT_20||0.2|rpc|front|till|ARRIVED_40|RT_30'
same() { # FILE...: gives that graph and no other
    expect 0 loom-infer convert "$@" --to records -o -
    [ "$(cat out)" = "$graph" ] || { cat out >&2; fail "$*: another graph"; }
}
# number KEY: of the report on stdout of convert --json
number() { sed -nE "s/.*\"$1\":(-?[0-9]+)[,}].*/\1/p" out; }
adds_up() { # the report of the last convert --json -o FILE
    local in sum
    in=$(number spans)
    sum=$(($(number spans_calls) + $(number spans_inside) + $(number spans_left_out) + $(number spans_rejected)))
    [ "$in" = "$sum" ] || { cat out >&2; fail "$in spans, $sum of them counted"; }
    [ "$(number calls)" = $(($(number spans_calls) + $(number second_calls))) ] || fail "calls do not add up"
}

# ---- references: other traces are links; zeros are nobody; ids are numbers ----
child=$(ref CHILD_OF $T a1)
jaeger '' "$child" >plain.json; same plain.json
jaeger "$(ref FOLLOWS_FROM beef 9),$(ref CHILD_OF beef 8)" "$child" >links.json; same links.json; says err '2 links to other spans'
jaeger '' "$(ref CHILD_OF beef 9),$child" >first.json; same first.json; says err '1 links'
jaeger '' "$(ref FOLLOWS_FROM beef 9),$(ref FOLLOWS_FROM $T a1)" >follows.json; same follows.json
jaeger '' "$(ref FOLLOWS_FROM $T a2),$child" >both.json; same both.json; says err '1 links'
for zeros in 0 0000000000000000; do jaeger "$(ref CHILD_OF $T $zeros)" "$child" >zero.json; same zero.json; done
sed 's/"processID":"p1"/"parentSpanID":"0000000000000000",&/' plain.json >field.json; same field.json
jaeger '' "$(ref CHILD_OF 0000000000000000${T^^} 00A1)" >upper.json; same upper.json
sed "s/\"traceID\":\"$T\",\"spanID\":\"a2\"/\"traceID\":\"0000000000000000$T\",\"spanID\":\"a2\"/" plain.json >wide.json; same wide.json
# ---- a first span whose parent was never exported is the first all the same; of several, none ----
jaeger "$(ref CHILD_OF $T ffff)" "$child" >orphan.json; same orphan.json
says err 'PARENT_NOT_EXPORTED'
jaeger "$(ref CHILD_OF $T ffff)" "$(ref CHILD_OF $T fffe)" >several.json
expect 1 loom-infer convert several.json -o several.graphs; one_sentence; says err 'PARENTS_NOT_EXPORTED \(3 spans\)'

# ---- one bad record loses itself only, wherever it is; --strict makes it an error ----
damaged() { # NAME WHERE SAYS: plain.json and $NAME give what is sound in them, with the reason and its line
    expect 0 loom-infer convert "$1" -o "$1.graphs" --json --force
    adds_up
    says err "$3"
    says out "\"$2\":\{\"n\":1,\"first\":\"$1:"
    expect 1 loom-infer convert "$1" -o strict.graphs --strict; one_sentence; says err "$1:"
    [ ! -e strict.graphs ] || fail "--strict leaves a file"
}
pretty() { sed 's/},{/},\n{/g' "$1"; }
lost=$(jspan $T b1 "$child" 1010000 null p2)
# what hangs on the damaged span hangs on its parent
printf '{"data":[{"spans":[%s,\n%s,\n%s],"processes":%s}]}\n' "$(jspan $T a1 '' 1000000 90000 p1)" "$lost" \
    "$(jspan $T a3 "$(ref CHILD_OF $T b1)" 1040000 30000 p3)" "$processes" >noend.json
damaged noend.json NO_END 'NO_END, first: noend.json:2\)'
[ "$(cut -d' ' -f3 noend.json.graphs)" = '0|rpc|USER|front|ARRIVED_0|RT_90||0.1|rpc|front|till|ARRIVED_40|RT_30' ] || fail "children are lost with a damaged span"
sed 's/"duration":null/"duration":20000/; s/"processID":"p2"/"processID":"p9"/' noend.json >noprocess.json
damaged noprocess.json NO_SERVICE 'NO_SERVICE, first: noprocess.json:2\)'
sed 's/"duration":null/"duration":20000/; s/"startTime":1010000/"other":1/' noend.json >nostart.json
damaged nostart.json NO_START 'NO_START, first: nostart.json:2\)'
sed 's/"spanID":"b1",/"other":1,/; s/"duration":null/"duration":1/' noend.json >noid.json
damaged noid.json NO_ID 'NO_ID, first: noid.json:2\)'
ospan() { printf '{"traceId":"%s","spanId":"%s","parentSpanId":"%s","name":"x","kind":%s,"startTimeUnixNano":"%s","endTimeUnixNano":"%s","attributes":[%s]}' "$@"; }
olines() { printf '{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"%s"}}]},"scopeSpans":[{"spans":[%s]}]}]}\n' "$@"; }
attr() { printf '{"key":"%s","value":{"stringValue":"%s"}}' "$@"; }
good1=$(olines front "$(ospan aa 1 '' 2 1000000000 1050000000 '')") good2=$(olines front "$(ospan bb 1 '' 2 2000000000 2050000000 '')")
printf '%s\n%s\n%s\n' "$good1" "${good1:0:150}" "$good2" >cut.jsonl     # in a string
damaged cut.jsonl NOT_JSON 'NOT_JSON, first: cut.jsonl:2\)'
printf '%s\n%s\n%s\n' "$good1" "${good1%\}\]*}" "$good2" >cut2.jsonl   # between values
damaged cut2.jsonl NOT_JSON 'NOT_JSON, first: cut2.jsonl:2\)'
printf '%s\n%s\n%s' "$good1" "$good2" "${good1:0:40}" >cut3.jsonl       # at the end
damaged cut3.jsonl NOT_JSON 'NOT_JSON, first: cut3.jsonl:3\)'
printf '%s\n{"resourceLogs":[]}\n%s\n' "$good1" "$good2" >logs.jsonl
damaged logs.jsonl NOT_SPANS 'NOT_SPANS, first: logs.jsonl:2\)'
for f in cut cut2 cut3 logs; do [ "$(wc -l <$f.jsonl.graphs)" = 2 ] || fail "$f.jsonl: a good line is lost"; done
mkdir -p folder/deeper && cp plain.json folder/deeper && echo 'shopping list' >folder/notes.txt && printf '\x00\x05' >folder/._plain.json
same folder; says err 'files of other kinds \(FOREIGN_FILE, first: folder/notes.txt\)'
expect 1 loom-infer convert folder --to records -o - --strict; one_sentence; says err 'notes.txt'
expect 1 loom-infer convert folder/notes.txt --to records -o -; one_sentence; says err 'no graph store, no JSON'
tar -cf mac.tar -C folder ._plain.json deeper/plain.json; same mac.tar

# ---- layouts: byte order mark, one after the other, no end of line ----
{ printf '\xef\xbb\xbf'; cat plain.json; } >bom.json; same bom.json
sed 's/[][{},]/&\n/g' plain.json >tall.json; same tall.json
sed "s/$T/77/g" tall.json | cat tall.json - >two.json
expect 0 loom-infer convert two.json -o two.graphs; [ "$(wc -l <two.graphs)" = 2 ] || fail "documents one after the other"
printf '%s' "$good1$good2" >close.json
expect 0 loom-infer convert close.json -o close.graphs; [ "$(wc -l <close.graphs)" = 2 ] || fail "documents in one line"

# ---- a trace spread over files ----
olines front "$(ospan cc 2 1 3 1005000000 1025000000 "$(attr server.address basket)")" >part1.jsonl
olines front "$(ospan cc 1 '' 2 1000000000 1050000000 '')" >part2.jsonl
expect 0 loom-infer convert part1.jsonl part2.jsonl -o apart.graphs --json
says err 'warning: 1 traces came back in a later file \(first: part2.jsonl, trace cc\).*--merge'
[ "$(number split_traces)" = 1 ] || fail "split traces are not counted"
expect 0 loom-infer convert part1.jsonl part2.jsonl -o whole.graphs --merge --json; adds_up
says whole.graphs ' 0\|rpc\|USER\|front\|ARRIVED_0\|RT_50\|\|0\.1\|rpc\|front\|basket\|ARRIVED_5\|RT_20$'
expect 0 loom-infer convert whole.graphs -o whole.csv
{ head -n 2 whole.csv; } >rows1.csv; { head -n 1 whole.csv; tail -n 1 whole.csv; } >rows2.csv
expect 0 loom-infer convert rows1.csv rows2.csv -o rows.graphs --merge; cmp rows.graphs whole.graphs || fail "rows of a trace are not merged"
expect 0 loom-infer convert rows1.csv rows2.csv -o rows0.graphs; says err 'came back in a later file'
sed 's/,/, /g' whole.csv >blanks.csv
expect 0 loom-infer convert blanks.csv -o blanks.graphs; cmp blanks.graphs whole.graphs || fail "blanks behind commas"

# ---- one place for times: the callee's span, whatever the caller calls it ----
for name in basket basket.default.svc.cluster.local:8080 http; do
    { olines front "$(ospan dd 1 '' 2 1000000000 1050000000 ''),$(ospan dd 2 1 3 1005000000 1025000000 "$(attr server.address $name)")"
      olines basket "$(ospan dd 3 2 2 1010000000 1020000000 "$(attr http.request.method GET)")"; } >times.jsonl
    expect 0 loom-infer convert times.jsonl --to records -o -
    says out '0\.1\|http\|front\|basket\|ARRIVED_10\|RT_10$'
done
olines front "$(ospan ee 1 '' 2 1000000000 1050000000 ''),$(ospan ee 2 1 4 1005000000 1006000000 "$(attr messaging.system kafka),$(attr messaging.destination.name orders)")" >producer.jsonl
expect 0 loom-infer convert producer.jsonl --to records -o -; says out '0\.1\|mq\|front\|orders\|ARRIVED_5\|RT_1$'
says err '1 calls have the callee.s times, 1 the caller.s'
sed 's/,{"key":"messaging.dest[^}]*}}//' producer.jsonl >system.jsonl
expect 0 loom-infer convert system.jsonl --to records -o -; says out '0\.1\|mq\|front\|kafka\|'
{ cat producer.jsonl; olines mailer "$(ospan ee 3 2 5 1010000000 1090000000 "$(attr messaging.system kafka)")"; } >outlives.jsonl
expect 1 loom-infer convert outlives.jsonl --to records -o -; says err 'CHILD_OUTLIVES_PARENT'
expect 0 loom-infer convert outlives.jsonl --to records -o - --cut-outliving
says out '0\.1\|mq\|front\|mailer\|ARRIVED_10\|RT_40$'; says err '1 calls cut'

# ---- real traces written in other ways give the same graphs ----
D=$SHARED/data/other-systems
[ -d "$D" ] || exit 0
for input in deathstarbench-hotel-reservation-jaeger.tar.zst deathstarbench-media-microservices-jaeger.tar.zst alibaba-v2022-otlp-sample.ndjson; do
    expect 0 loom-infer convert "$D/$input" -o real.graphs --force --json; adds_up
    sort real.graphs >want
    for variant in links zeros names ids otlp otlp+text otlp+base64+zeros otlp+links+zeros+names+text; do
        "$TOOLS/span_variants" $variant "$D/$input" >other.json || fail "span_variants"
        expect 0 loom-infer convert other.json -o other.graphs --force --json; adds_up
        sort other.graphs | cmp - want || fail "$input as $variant: other graphs"
    done
done
C=$SHARED/cases/readers
[ -d "$C" ] || exit 0
for f in "$C"/06-*/*.json "$C"/07-*/*.json "$C"/09-*/*.json "$C"/18-*/onefile.json; do
    expect 0 loom-infer convert "$f" --to records -o -
    [ "$(tr '|' '\n' <out | grep -c RT_)" = 3 ] || fail "$f: not three calls"
done
