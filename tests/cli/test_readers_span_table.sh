# Tables of spans (CSV, a span a row): the graphs and counts of the same spans in OTLP, every span accounted for, what is damaged costs itself
# only. The columns are those of a published data set.
head=TraceID,SpanID,ParentID,PodName,OperationName,StartTimeUnixNano,EndTimeUnixNano,Duration
row() { # TRACE SPAN PARENT POD OPERATION START END (ms)
    echo "$1,$2,$3,$4,$5,${6}000000,${7}000000,$((($7 - $6) * 1000))"
}
ospan() { # the same as a line of OTLP; POD is a service here
    local parent=$3; [ "$parent" = root ] && parent=
    printf '{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"%s"}}]},"scopeSpans":[{"spans":[{"traceId":"%s","spanId":"%s","parentSpanId":"%s","name":"%s","startTimeUnixNano":"%s000000","endTimeUnixNano":"%s000000"}]}]}]}\n' \
        "$4" "$1" "$2" "$parent" "$5" "$6" "$7"
}
front=web-front-579b9bff58-t2dbm basket=basket-6f6cfc45b-h5m2n other=basket-6f6cfc45b-zz7dm
spans() { # HOW FRONT BASKET OTHER
    for t in $(seq 11 40); do
        $1 "$t" a1 root "$2" /home $((t * 1000)) $((t * 1000 + 90))
        $1 "$t" a2 a1 "$2" GET $((t * 1000 + 5)) $((t * 1000 + 60)) # within the service
        $1 "$t" a3 a2 "$3" get $((t * 1000 + 10)) $((t * 1000 + 50))
        $1 "$t" a4 a3 "$4" inner $((t * 1000 + 11)) $((t * 1000 + 30)) # another pod of the same service
        [ $((t % 3)) = 0 ] || $1 "$t" a5 a3 mysql-0 query $((t * 1000 + 12)) $((t * 1000 + 20))
        [ $((t % 5)) = 0 ] && $1 "$t" a6 ff "$3" lost $((t * 1000)) $((t * 1000 + 1))
    done
}
{ echo $head; spans row $front $basket $other; } >spans.csv
spans ospan web-front basket basket >spans.jsonl
counts() { sed -E 's/"first":"[^"]*"/"first":""/g' out; }
number() { sed -nE "s/.*\"$1\":(-?[0-9]+)[,}].*/\1/p" out; }
expect 0 loom-infer convert spans.jsonl --json -q -o want.graphs; counts >want.counts
expect 0 loom-infer convert spans.csv --json -q -o got.graphs; counts >got.counts
same want.graphs got.graphs || fail "other graphs than of the same spans in OTLP: $(diff want.graphs got.graphs | head -4)"
same want.counts got.counts || fail "other counts: $(diff want.counts got.counts)"
[ "$(number spans)" = "$(tail -n +2 spans.csv | wc -l)" ] || fail "$(number spans) spans"
[ "$(number spans)" = $(($(number spans_calls) + $(number spans_inside) + $(number spans_left_out) + $(number spans_rejected))) ] || fail "spans are lost"
[ "$(number spans_calls)" = 80 ] && [ "$(number orphans)" = 6 ] || fail "$(number spans_calls) calls, $(number orphans) orphans"
says out '"ORPHAN":\{"n":6,"first":"spans.csv, trace 15, span a6"'

# ---- packed, named otherwise, through every door, by any number of threads ----
zstd -q spans.csv; mkdir -p both packed; cp spans.csv packed/one.csv; tar czf both/t.tar.gz packed; cp spans.jsonl both/u.jsonl
expect 0 loom-preprocess graphs spans.csv.zst -q -o p.graphs; same p.graphs want.graphs || fail "graphs reads others"
expect 0 loom-preprocess graphs both -q -o both.graphs; [ "$(wc -l <both.graphs)" = 60 ] || fail "a folder of both"
cp spans.csv spans.txt; expect 0 loom-preprocess graphs spans.txt -q -o - ; cmp -s out want.graphs || fail "another name"
expect 0 loom-preprocess graphs - -q -o - <spans.csv; cmp -s out want.graphs || fail "standard input"
expect 0 loom-preprocess graphs spans.csv --rename names.tsv -q -o renamed.graphs
says names.tsv '	web-front$'; grep -q 'web\|basket\|mysql' renamed.graphs && fail "a name is left"
{ printf '\xef\xbb\xbf'; sed '1s/.*/trace_id, span_id, parent_span_id, service_name, span_name, start_time_unix_nano, end_time_unix_nano, duration/' spans.csv |
    sed -E 's/-[a-z0-9]+-[a-z0-9]{5},/,/; s/,/ , /g'; } >snake.csv
expect 0 loom-infer convert snake.csv -q -o snake.graphs; same snake.graphs want.graphs || fail "columns in other words"
echo "$head
1,1,root,a,x,5000000,6000000,1
2,1,root,\"b, \"\"c\"\"\",/x,5000000,6000000,1" >quoted.csv
expect 0 loom-preprocess graphs quoted.csv -q --rename q.tsv -o q.graphs; says q.tsv '	b,_"c"$'

# ---- what is damaged ----
{ cat spans.csv; echo '7,1,root'; echo '8,1,root,front,x,soon,9000000,1'; echo '8,2,root,front,x,5,later,1'; echo '8,3,,,x,5,6,1'; echo ',4,root,a,x,5,6,1'
  echo '9,1,root,a,x,9000000,8000000,1'; echo '9,2,root,"a,x,9000000,8000000,1'; } >bad.csv
expect 0 loom-infer convert bad.csv --json -q -o bad.graphs; cmp -s bad.graphs want.graphs || fail "a damaged row costs others"
n=$(wc -l <spans.csv)
says out "\"BAD_ROW\":\{\"n\":2,\"first\":\"bad.csv:$((n + 1))\"\}"; says out "\"NO_START\":\{\"n\":1,\"first\":\"bad.csv:$((n + 2))\"\}"
says out "\"NO_END\":\{\"n\":1,\"first\":\"bad.csv:$((n + 3))\"\}"; says out "\"NO_SERVICE\":\{\"n\":1,\"first\":\"bad.csv:$((n + 4))\"\}"
says out "\"NO_ID\":\{\"n\":1,\"first\":\"bad.csv:$((n + 5))\"\}"; says out "\"BAD_TIMES\":\{\"n\":1,\"first\":\"bad.csv:$((n + 6))\"\}"
expect 1 loom-infer convert bad.csv --strict -q -o x.graphs; one_sentence; says err "bad.csv:$((n + 1)): .*columns of the header"
echo 'TraceID,SpanID,PodName,Duration' >short.csv
expect 1 loom-preprocess graphs short.csv -o x.graphs; one_sentence
says err 'short.csv: line 1: a table of spans without the column ParentID, OperationName, StartTimeUnixNano, EndTimeUnixNano; '
echo $head >none.csv; expect 1 loom-preprocess graphs none.csv -o x.graphs; one_sentence; says err 'none.csv: no valid call graph'
printf 'TraceID,SpanID' >cut.csv; expect 1 loom-preprocess graphs cut.csv -o x.graphs; one_sentence; says err 'cut.csv: line 1'
[ ! -e x.graphs ] || fail "a file of nothing"

# ---- the published ones: calls as counted by others ----
D=$SHARED/data/other-systems
[ -d "$D" ] || exit 0
for set in onlineboutique-2022-08-23 trainticket-2023-01-29 trainticket-2023-01-30; do
    expect 0 loom-infer convert "$D/nezha-$set-spans.csv.zst" --cut-outliving --json -q -f -o nezha.graphs
    [ "$(number spans)" = $(($(zstdcat "$D/nezha-$set-spans.csv.zst" | wc -l) - 1)) ] || fail "$set: $(number spans) spans"
    [ "$(number calls)" = $(($(wc -l <"$D/nezha-$set-callgraph.csv") - 1)) ] || fail "$set: $(number calls) calls, not those of its table"
    [ "$(number spans)" = $(($(number spans_calls) + $(number spans_inside) + $(number spans_left_out) + $(number spans_rejected))) ] || fail "$set: spans are lost"
done
