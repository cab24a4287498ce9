#!/usr/bin/env bash
# run.sh BIN_DIR SECONDS [FUZZER...]: runs the fuzz targets, seeded with the golden values, SECONDS each, JOBS at a time;
# goes on after a finding, whose input is left in the current folder (turn it into a regression test), and fails at the
# end. One line of result for each target; .ci/run counts them.
set -u
bin=$1 seconds=$2
shift 2
src=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ $# -gt 0 ] || set -- $(cd "$bin" && ls | grep '^fuzz_')

seeds() { # FUZZER: fills the folder $work/FUZZER
    local tar to=$work/$1 g=$src/tests/golden
    mkdir -p "$to"
    case $1 in
        fuzz_preprocess_csv) cp "$g/spec/raw/callgraph_small.csv" "$to" ;;
        fuzz_record) split -l 1 "$g/spec/dedupe/input.txt" "$to/record-" ;;
        fuzz_safetensors) for d in "$g"/llama/*/; do head -c 9000 "$d/model.safetensors" >"$to/$(basename "$d")"; done ;;
        fuzz_container)
            echo 'timestamp,traceid' >"$work/a.csv"
            head -n 5 "$g/spec/dedupe/input.txt" >"$work/b.csv"
            tar -C "$work" -cf "$to/ustar.tar" a.csv b.csv
            tar -C "$work" --format=pax -cf "$to/pax.tar" a.csv b.csv
            tar -C "$work" --format=v7 -cf "$to/v7.tar" a.csv
            for tar in "$to"/*.tar; do # xz and zstd may be missing
                gzip -nc "$tar" >"$tar.gz"
                xz -c "$tar" >"$tar.xz" 2>/dev/null || rm -f "$tar.xz"
                zstd -qc "$tar" >"$tar.zst" 2>/dev/null || rm -f "$tar.zst"
            done
            cp "$work/b.csv" "$to/plain" ;;
        fuzz_ckpt | fuzz_shard) ;; # these write their own
        fuzz_tokenizer) find "$g" -name '*.json' -size -8k -exec cp --backup=numbered {} "$to" \; ;;
        fuzz_infer_spans)
            echo '{"data":[{"traceID":"1","spans":[{"traceID":"1","spanID":"a","operationName":"GET","references":[],"startTime":1000,"duration":900,"tags":[{"key":"span.kind","type":"string","value":"server"}],"processID":"p1"},{"traceID":"1","spanID":"b","references":[{"refType":"CHILD_OF","spanID":"a"}],"startTime":1100,"duration":50,"tags":[{"key":"db.system","value":"redis"}],"processID":"p2"}],"processes":{"p1":{"serviceName":"A"},"p2":{"serviceName":"B"}}}]}' >"$to/jaeger"
            echo '{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"A"}}]},"scopeSpans":[{"spans":[{"traceId":"1","spanId":"a","parentSpanId":"","name":"x","kind":2,"startTimeUnixNano":"1000000","endTimeUnixNano":"9000000","attributes":[{"key":"callgraph.edge_id","value":{"stringValue":"0"}},{"key":"callgraph.caller","value":{"stringValue":"USER"}},{"key":"callgraph.rt","value":{"intValue":"-3"}},{"key":"callgraph.arrived","value":{"intValue":"5"}}]}]}]}]}' >"$to/otlp"
            echo '[{"traceId":"1","id":"a","kind":"CLIENT","timestamp":1000,"duration":90,"localEndpoint":{"serviceName":"A"},"remoteEndpoint":{"serviceName":"B"}},{"traceId":"1","id":"a","shared":true,"kind":"SERVER","timestamp":1010,"duration":50,"localEndpoint":{"serviceName":"B"},"tags":{"http.method":"GET"}}]' >"$to/zipkin"
            echo '{"batches":[{"resource":{},"scope_spans":[{"spans":[{"trace_id":"AAAAAAAAAAAAAAAAAAAAAQ==","span_id":"AAAAAAAAAAE=","kind":"SPAN_KIND_PRODUCER","start_time_unix_nano":1000000,"end_time_unix_nano":"0","links":[{}],"attributes":[{"key":"messaging.destination.name","value":{"string_value":"q"}},{"key":"url.full","value":{"string_value":"http://u:p@[::1]:80/x"}}]}]}]}]}' >"$to/snake"
            { printf '\xef\xbb\xbf'; head -c 200 "$to/otlp"; echo; cat "$to/jaeger"; echo '{"resourceLogs":[]}'; sed 's/"references":\[\]/"references":[{"refType":"FOLLOWS_FROM","traceID":"2","spanID":"0"},{"refType":"CHILD_OF","traceID":"1","spanID":"00"}]/; s/"duration":900/"duration":null/' "$to/jaeger"; } >"$to/lines" ;;
        fuzz_readers_protobuf) # a message of three spans; the same with its length in front; one that is cut short
            printf '\x0a\xb9\x01\x0a\x17\x0a\x15\x0a\x0cservice.name\x12\x05\x0a\x03abc\x12\x9d\x01\x12\x31\x0a\x01\x01\x12\x01\x01\x2a\x01r\x30\x02\x39\0\0\0\x01\0\0\0\0\x41\0\0\0\x04\0\0\0\0\x4a\x12\x0a\x09db.system\x12\x05\x0a\x03sql' >"$to/plain"
            { printf '\0\0\0\xbc'; cat "$to/plain"; } >"$to/framed"
            head -c 60 "$to/plain" >"$to/cut" ;;
        fuzz_readers_span_table) # a call of two pods; quotes, columns in other words, a row that is cut short
            printf 'TraceID,SpanID,ParentID,PodName,OperationName,StartTimeUnixNano,EndTimeUnixNano,Duration\n1,a,root,a-6f6cfc45b-h5m2n,x,1000000,9000000,1\n1,b,a,b-0,y,2000000,3000000,1\n' >"$to/plain"
            printf 'span_id, trace_id,service,operation,parent_span_id,kind,start_time_unix_nano,end_time_unix_nano\r\na,1,"q, ""r""\n",x,0,server,5,6\r\n\r\nb,1,s,x,a' >"$to/quoted" ;;
        *) split -b 2000 -a 3 "$g/spec/layer_texts/cases.json" "$to/text-" ;;
    esac
}

# The time limit of one input is by the clock: long enough for a machine that does other work.
fuzz() { # FUZZER
    seeds "$1"
    if FUZZ_SEEDS=$work/$1 "$bin/$1" -max_total_time="$seconds" -rss_limit_mb=4096 -timeout=60 -print_final_stats=1 -artifact_prefix="$1-" \
        "$work/$1" >"$work/$1.log" 2>&1; then
        echo "$1: $(sed -n 's/^stat::number_of_executed_units: *//p' "$work/$1.log") inputs in $seconds s, no finding"
    else
        printf '%s\n%s: a finding, see above\n' "$(tail -n 40 "$work/$1.log")" "$1"
        return 1
    fi
}

status=0 running=0
for f in "$@"; do
    [ $running -lt "${JOBS:-$(nproc)}" ] || { wait -n || status=1; running=$((running - 1)); }
    fuzz "$f" &
    running=$((running + 1))
done
while [ $running -gt 0 ]; do
    wait -n || status=1
    running=$((running - 1))
done
exit $status
