# OTLP in protobuf: the same spans give the same graphs and the same counts as in JSON, in any order of fields, with or without lengths in
# front, packed or in a folder; what is cut short or no OTLP costs itself only.
loom-preprocess sample-traces --profile tiny --traces 300 -q -o traces || fail "no traces"
loom-preprocess graphs traces -q -o g.graphs || fail "no graphs"
expect 0 loom-infer convert g.graphs -q -o g.jsonl
# counts but for what tells of places
counts() { sed -E 's/"first":"[^"]*"/"first":""/g' out; }
same_as_json() { # JSON: as protobuf in every way that there is
    expect 0 loom-infer convert "$1" --json -q -f -o want.graphs; counts >want.counts
    for how in "" framed backwards "framed backwards" library; do
        "$TOOLS/otlp_protobuf" $how "$1" >x.pb || fail "otlp_protobuf $how $1"
        expect 0 loom-infer convert x.pb --json -q -f -o x.graphs; counts >x.counts
        same want.graphs x.graphs || fail "$1 as protobuf ($how): other graphs"
        same want.counts x.counts || fail "$1 as protobuf ($how): other counts: $(diff want.counts x.counts)"
    done
}
same_as_json g.jsonl; cmp g.graphs x.graphs || fail "our own graphs do not come back"
# every odd thing that JSON may say: no ids, no service, no times, times that cannot be, kinds, links, numbers, an id of zeros
cat >odd.jsonl <<'JSON'
{"resourceSpans":[{"resource":{"attributes":[{"key":"service.version","value":{"intValue":"3"}},{"key":"service.name","value":{"stringValue":"front"}}]},"scopeSpans":[{"spans":[{"traceId":"0a","spanId":"01","name":"r","kind":2,"startTimeUnixNano":"1000000000","endTimeUnixNano":"1090000000","links":[{}],"events":[{}]},{"traceId":"0a","spanId":"02","parentSpanId":"01","kind":3,"startTimeUnixNano":"1010000000","endTimeUnixNano":"1020000000","attributes":[{"key":"db.system","value":{"stringValue":"redis"}},{"key":"net.peer.port","value":{"intValue":"6379"}},{"key":"x","value":{"doubleValue":1.5}},{"key":"y","value":{"boolValue":true}},{"key":"z","value":{}}]},{"traceId":"0a","spanId":"03","parentSpanId":"01","kind":9,"startTimeUnixNano":"1030000000","endTimeUnixNano":"0"},{"traceId":"0a","spanId":"04","parentSpanId":"01","endTimeUnixNano":"7"},{"traceId":"0a","spanId":"05","parentSpanId":"01","startTimeUnixNano":"1030000000","endTimeUnixNano":"1020000000"},{"traceId":"","spanId":"06"},{"traceId":"0a","name":"no id"},{"traceId":"0a","spanId":"01","startTimeUnixNano":"1030000000","endTimeUnixNano":"1040000000"},{"traceId":"0a","spanId":"08","parentSpanId":"0000","startTimeUnixNano":"1030000000","endTimeUnixNano":"1040000000"}]},{"spans":[]}]}]}
{"resourceSpans":[{"resource":{},"scopeSpans":[{"spans":[{"traceId":"0b","spanId":"01","kind":2,"startTimeUnixNano":"0","endTimeUnixNano":"1000000"}]}]},{"resource":{"attributes":[{"key":"service.name","value":{"intValue":"7"}}]},"scopeSpans":[{"spans":[{"traceId":"0b","spanId":"02","parentSpanId":"01","kind":4,"startTimeUnixNano":"0","endTimeUnixNano":"1000000","attributes":[{"key":"messaging.destination.name","value":{"stringValue":"orders"}}]}]}]}]}
JSON
same_as_json odd.jsonl

# packed, in a folder beside JSON, through every door
"$TOOLS/otlp_protobuf" g.jsonl >g.pb; mkdir both; gzip -c g.pb >both/a.pb.gz; cp odd.jsonl both/b.jsonl
expect 0 loom-infer convert both -q -o both.graphs; head -n "$(wc -l <g.graphs)" both.graphs | cmp - g.graphs || fail "a folder of both"
expect 0 loom-preprocess graphs g.pb -q -o door.graphs; same <(sort door.graphs) <(sort g.graphs) || fail "graphs reads others"
expect 0 loom-infer show g.pb

# damaged: counted with its place; what comes before is kept
head -c 3000 g.pb >cut.pb; expect 0 loom-infer convert cut.pb --json -f -q -o cut.graphs; says out '"NOT_PROTOBUF":\{"n":1,"first":"cut.pb, byte [0-9]+"'
expect 1 loom-infer convert cut.pb --strict -q -f -o x.graphs; one_sentence; says err 'cut.pb, byte [0-9]+: .*cut short'
"$TOOLS/otlp_protobuf" framed g.jsonl | head -c 9000 >frame.pb; expect 0 loom-infer convert frame.pb --json -q -f -o frame.graphs; says out '"NOT_PROTOBUF":\{"n":1'
[ "$(wc -l <frame.graphs)" -gt 2 ] || fail "nothing is kept of a file that was cut short"
# a log in protobuf: field 2 of a record is a number where a span has an id
printf '\x0a\x14\x0a\x02\x0a\x00\x12\x0e\x0a\x00\x12\x0a\x10\x05\x08\x01\x10\x02\x18\x03\x20\x04' >log.pb
expect 1 loom-infer convert log.pb --to records -q -o -; one_sentence; says err 'no valid call graph'
printf '\n\n\ntimestamp,traceid\n' >text.csv; expect 1 loom-infer convert text.csv --to records -q -o -; one_sentence; says err 'no CallGraph table'

# real traces, where they are
D=$SHARED/data/other-systems
[ -d "$D" ] || exit 0
same_as_json "$D/alibaba-v2022-otlp-sample.ndjson"
"$TOOLS/span_variants" otlp "$D/deathstarbench-hotel-reservation-jaeger.tar.zst" >hotel.jsonl || fail "span_variants"
same_as_json hotel.jsonl
