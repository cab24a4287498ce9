#!/usr/bin/env bash
# bench_serve.sh BUILD OUT: the HTTP server under load, on loopback. First 64 clients that ask for call graphs only, beside
# `sample --batch 64` of the same wish: throughput of both, by the clock and by processor time, and their quotient. Then as many
# clients of all kinds for SECONDS_ALL: slow readers, broken bodies, clients that leave; memory must stay flat and no answer
# may be wrong. CLIENTS=64 SECONDS_GRAPHS=60 SECONDS_ALL=120 GRAPHS=256 WISH='"edges":12,"depth":4'. Ends with exit 1 after a
# wrong answer.
set -u
build=$(realpath "${1:?usage: bench_serve.sh BUILD OUT}") out=${2:?usage: bench_serve.sh BUILD OUT}
src=$(realpath "$(dirname "$0")/..")
clients=${CLIENTS:-64} graphs=${GRAPHS:-256}
model=${BENCH_MODEL:-$src/checkpoints/base.h5}
wish=${WISH:-'"edges":12,"depth":4'}
"$build/bin/loom-infer" --version | grep -q '^libmicrohttpd' || { echo "built without libmicrohttpd: nothing to measure"; exit 77; }
mkdir -p "$out" || exit 1
options=$(sed -E 's/"([a-z_]+)":("([^"]*)"|([^,]*))/--\1 \3\4/g; s/,/ /g; s/_/-/g' <<<"$wish")
trap 'kill $server 2>/dev/null' EXIT

echo "sample --batch 64 $options, $graphs graphs"
# shellcheck disable=SC2086
"$build/bin/loom-infer" sample --model "$model" $options -n "$graphs" -t 0.8 --constrain full --batch 64 --force -v \
    --records "$out/sample.graphs.zst" 2>"$out/sample.err" || { cat "$out/sample.err"; exit 1; }
sampled=$(sed -nE 's/.* appended in .*: ([0-9]+) tokens.s$/\1/p' "$out/sample.err")
tokens=$(sed -nE 's/^([0-9]+) tokens chosen by the model and ([0-9]+) appended.*/\1 \2/p' "$out/sample.err" | awk '{print $1 + $2}')
cpu=$(sed -nE 's/.*wall, ([0-9:.]+) ?(s|)( CPU|CPU).*/\1/p' "$out/sample.err" | awk -F: '{s = 0; for (i = 1; i <= NF; i++) s = 60 * s + $i; print s}')
echo "  $sampled tokens/s, $(awk -v t="$tokens" -v c="$cpu" 'BEGIN {printf "%.0f", t / c}') per second of processor time"

"$build/bin/loom-infer" serve --model "$model" --port 0 --batch 64 >"$out/server.out" 2>"$out/server.err" &
server=$!
for _ in $(seq 600); do
    port=$(grep -oE 'http://[^ ]*:[0-9]+' "$out/server.err" | grep -oE '[0-9]+$') && break
    sleep 0.1
done
[ -n "$port" ] || { cat "$out/server.err"; exit 1; }
status=0
echo "serve, $clients clients that ask for graphs"
"$build/tests/http_load" "$port" "$clients" "${SECONDS_GRAPHS:-60}" graphs "{$wish,\"count\":4}" >"$out/graphs.txt" || status=1
sed 's/^/  /' "$out/graphs.txt"
awk -v s="$sampled" '/tokens\/s/ {printf "  %.0f %% of sample\n", 100 * $3 / s}' "$out/graphs.txt"
echo "serve, $clients clients of all kinds"
"$build/tests/http_load" "$port" "$clients" "${SECONDS_ALL:-120}" all "{$wish,\"count\":1}" >"$out/all.txt" || status=1
sed 's/^/  /' "$out/all.txt"
kill -TERM $server
wait $server || { echo "the server ended with $?"; cat "$out/server.err"; status=1; }
exit $status
