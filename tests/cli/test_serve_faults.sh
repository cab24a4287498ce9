# loom-infer serve against what goes wrong on a network: each case has its sentence or its status, and the server answers the next
# request as if nothing had been. Short, since `make test-sanitize` runs it, too.
loom-infer --version | grep -q '^libmicrohttpd' || skip "built without libmicrohttpd: no serve"
M=$SRC/checkpoints/base.h5
loom-infer serve --model "$M" --port 0 --threads 1 --batch 8 --idle 2 >server.out 2>server.err &
server=$!
trap 'kill $server 2>/dev/null; wait' EXIT
for _ in $(seq 600); do
    P=$(grep -oE 'listening at http://[^ ]*:[0-9]+' server.err | grep -oE '[0-9]+$') && break
    kill -0 $server 2>/dev/null || fail "no server: $(cat server.err)"
    sleep 0.1
done
ask() { "$TOOLS/http_ask" "$P" "$@" >body 2>head; }
status() { says head "^HTTP/1.1 $1 "; }
sentence() { says body "^\{\"error\":\{\"message\":\"([^\"\\\\]|\\\\.)*$1"; }
count() { ask GET /metrics; grep -F -- "$1 " body | awk '{s += $NF} END {print s + 0}'; }
wish='{"edges":4,"depth":2,"count":2,"seed":4}'
ask POST /v1/callgraphs "$wish" || fail "no answer"
cp body want
[ "$(wc -l <want)" = 2 ] || fail "not two graphs: $(cat want)"
still() { # WHAT: the same answer as at first
    ask POST /v1/callgraphs "$wish" || fail "no answer after $1: $(cat server.err)"
    cmp -s want body || fail "another answer after $1: $(cat body)"
}

# ---- before it starts: the port, the address, the token's file
expect 1 loom-infer serve --model "$M" --port "$P"; one_sentence; says err "port $P at 127.0.0.1 is in use"
expect 2 loom-infer serve --model "$M" --port 0 --address nowhere.invalid; one_sentence; says err 'nowhere.invalid'
printf 'a-long-secret\n' >token
for mode in 640 604 622; do
    chmod $mode token
    expect 2 loom-infer serve --model "$M" --port 0 --token token; one_sentence; says err "token can be read by others .its mode is $mode.*chmod 600"
done
expect 1 loom-infer serve --model "$M" --port 0 --token none; one_sentence; says err 'cannot open none'

# ---- bodies: a gigabyte, one that does not say how long it is, broken JSON, bytes that are no text, a deep nest, one that is cut
ask POST /v1/callgraphs --zeros 1073741824; status 413; sentence '1073741824 bytes, and at most 1048576'
ask POST /v1/callgraphs --chunks 3000000; status 413; sentence 'larger than 1048576'
ask POST /v1/callgraphs --zeros 9223372036854775807; status '4[0-9][0-9]'
ask POST /v1/callgraphs '{"edges":4,'; status 400; sentence 'not valid JSON'
ask POST /v1/callgraphs "$(printf '{"service":"\377\376"}')"; status 400; sentence 'not valid JSON'
ask POST /v1/callgraphs "$(printf '[%.0s' $(seq 5000))"; status 400
ask POST /generate '{"prompt":"a\u0000b","max_tokens":1}'; status '(200|400)'
still "broken bodies"
"$TOOLS/http_ask" "$P" --raw 'POST /generate HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{"prompt"' >body 2>head && fail "an answer to half a body: $(cat head)"
ask --raw 'POST /generate HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\nConnection: close\r\n\r\n{}'; [ ! -s head ] || status 400
ask --raw 'POST /generate HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n{}\r\n'; [ ! -s head ] || status 400
ask --raw 'no request at all\r\n\r\n'; [ ! -s head ] || status '(400|505)'
ask --raw 'GET /health HTTP/1.1\r\nHost: a\r\nConn'; [ ! -s head ] || status 408 # the rest never comes: --idle
still "broken requests"

# ---- clients that go: while they send, while they wait, while they are answered
for leave in 20 90 100000; do
    "$TOOLS/http_ask" "$P" POST /v1/callgraphs '{"edges":60,"depth":6,"count":200}' --leave $leave 2>/dev/null
    "$TOOLS/http_ask" "$P" POST /v1/completions '{"prompt":"id:S_1","max_tokens":1000,"n":8,"stream":true}' --leave $leave 2>/dev/null
done
for _ in $(seq 200); do
    [ "$(count 'status="499"}')" = 2 ] && [ "$(count spanloom_active_requests)" = 0 ] && break
    sleep 0.1
done
[ "$(count spanloom_active_requests)" = 0 ] && [ "$(count spanloom_texts_in_flight)" = 0 ] || fail "work for clients that have gone"
still "clients that went"

# ---- a slow reader gets all of its text, and holds up nobody
text='{"prompt":"id:S_1","temperature":0.9,"seed":3,"max_tokens":60,"stream":true}'
ask POST /v1/completions "$text"; cp body quick
"$TOOLS/http_ask" "$P" POST /v1/completions "$text" --slow 4000 >slow 2>slow.head & slow=$!
still "a slow reader began"
wait $slow || fail "a slow reader gets no whole answer"
pieces() { grep -oE '"text":"([^"\\]|\\.)*"' "$1" | sed -E 's/^"text":"//; s/"$//' | tr -d '\n'; echo; }
same <(pieces quick) <(pieces slow) || fail "a slow reader gets another text"

kill -TERM $server
wait $server; code=$?
[ $code = 0 ] || fail "the server ended with $code: $(cat server.err)"
grep -qE 'ERROR: |runtime error' server.err && fail "$(cat server.err)"
exit 0
