# loom-infer serve over HTTP: the reference's request and OpenAI's, call graphs in every format, the same answers in any
# company, limits, bad requests, tokens, clients that leave, and a stop that finishes what was begun.
loom-infer --version | grep -q '^libmicrohttpd' || skip "built without libmicrohttpd: no serve"
M=$SRC/checkpoints/base.h5
one="--threads 1"

# start NAME OPTIONS...: a server in the background; its port in $P, its process in $server
start() {
    local name=$1; shift
    # shellcheck disable=SC2086
    loom-infer serve --model "$M" --port 0 $one "$@" >"$name.out" 2>"$name.err" &
    server=$!
    for _ in $(seq 300); do
        P=$(grep -oE 'listening at http://[^ ]*:[0-9]+' "$name.err" | grep -oE '[0-9]+$') && return
        kill -0 $server 2>/dev/null || break
        sleep 0.1
    done
    fail "no server: $(cat "$name.err")"
}
finish() {
    kill -TERM $server
    wait $server
    local code=$?
    [ $code = 0 ] || fail "the server ended with $code, expected 0"
}
trap 'kill $server 2>/dev/null; wait' EXIT
# ask METHOD PATH [BODY] ...: the answer in `body`, status and headers in `head`
ask() { "$TOOLS/http_ask" "$P" "$@" >body 2>head || fail "no answer to $*"; }
status() { says head "^HTTP/1.1 $1 "; }
post() { local want=$1; shift; ask POST "$@"; status "$want"; }
sentence() { says body "^\{\"error\":\{\"message\":\"([^\"\\\\]|\\\\.)*$1"; }
count() { ask GET /metrics; grep -F -- "$1 " body | awk '{s += $NF} END {print s + 0}'; }
field() { grep -oE "\"$1\":(\"([^\"\\\\]|\\\\.)*\"|[^,}]*)" | head -n 1 | sed -E "s/^\"$1\"://; s/^\"//; s/\"$//"; }

start first --batch 8
ask GET /health; status 200; says body '"status":"ok"'
ask GET /v1/models; status 200; says body '"id":"base","object":"model"'
ask GET /; status 200; says head '^Content-Type: text/html'; says head "^Content-Security-Policy: default-src 'none'"; says body '</html>'

# ---- the reference's evaluation script: prompt and completion come back, other members are passed over
prompt='id:S_1/num_edges:3'
expect 0 loom-infer complete --model "$M" $one --seed 5 -t 0.7 -k 0 --max-tokens 24 --json "$prompt"
want=$(field text <out)
[ -n "$want" ] || fail "no text to compare with"
post 200 /generate "{\"prompt\":\"$prompt\",\"n\":1,\"max_tokens\":24,\"temperature\":0.7,\"top_p\":1.0,\"top_k\":-1,\"seed\":5,\"use_beam_search\":false,\"stream\":false,\"stop\":[],\"stop_token_ids\":[]}"
[ "$(cat body)" = "{\"text\":[\"$prompt$want\"]}" ] || fail "not the text of complete: $(cat body) $want"
post 200 /generate "{\"prompt\":\"$prompt\",\"max_tokens\":24,\"temperature\":0.7,\"seed\":5,\"echo\":false}"
[ "$(cat body)" = "{\"text\":[\"$want\"]}" ] || fail "echo is not off: $(cat body)"
post 200 /generate "{\"prompt\":\"$prompt\",\"max_tokens\":100000000,\"temperature\":0,\"stop\":[\"num_sub\"]}" # clamped, cut
grep -q num_sub body && fail "the stop string is in the text"
expect 0 loom-infer complete --model "$M" $one --max-tokens 6 --logprobs --json "$prompt"
third=$(grep -oE '"id":[0-9]+' out | sed -n 3p | grep -oE '[0-9]+')
[ -n "$third" ] || fail "no third token: $(cat out)"
first=$(grep -oE '"id":[0-9]+' out | sed -n 1,2p | grep -c ":$third$")
[ "$first" = 0 ] || fail "the third token is one of the first two: another prompt is needed"
post 200 /v1/completions "{\"prompt\":\"$prompt\",\"max_tokens\":6,\"temperature\":0,\"stop_token_ids\":[$third],\"logprobs\":0}"
[ "$(field finish_reason <body)" = stop ] && [ "$(field completion_tokens <body)" = 3 ] || fail "a stop token does not stop: $(cat body)"

# ---- OpenAI's: log-probabilities as complete tells them, usage, several texts, streams
expect 0 loom-infer complete --model "$M" $one --max-tokens 6 --logprobs --json "$prompt"
grep -oE '"logprob":[-0-9.e]+' out | tail -n +2 | cut -d: -f2 >want.logprobs
post 200 /v1/completions "{\"model\":\"base\",\"prompt\":\"$prompt\",\"max_tokens\":6,\"temperature\":0,\"logprobs\":2}"
sed -E 's/.*"token_logprobs":\[([^]]*)\].*/\1/' body | tr ',' '\n' >got.logprobs
same want.logprobs got.logprobs || fail "other log-probabilities"
says body '"top_logprobs":\[\{'
says body '"text_offset":\[0,'
tokens=$(field total_tokens <body)
[ "$(($(field prompt_tokens <body) + 6))" = "$tokens" ] || fail "usage does not add up: $(cat body)"
post 200 /v1/completions "{\"prompt\":[\"a\",\"b\"],\"n\":2,\"max_tokens\":3,\"echo\":true,\"seed\":1}"
[ "$(grep -oE '"index":[0-9]' body | tr -d '\n')" = '"index":0"index":1"index":2"index":3' ] || fail "not two texts of each prompt: $(cat body)"
[ "$(grep -oE '"text":"[ab]' body | tr -d '\n')" = '"text":"a"text":"a"text":"b"text":"b' ] || fail "no echo: $(cat body)"
text='"temperature":0.9,"seed":9,"max_tokens":80,"stop":["remaining","</edges>"]'
post 200 /v1/completions "{\"prompt\":\"$prompt\",$text}"
whole=$(field text <body)
post 200 /v1/completions "{\"prompt\":\"$prompt\",$text,\"stream\":true,\"stream_options\":{\"include_usage\":true}}"
says head '^Content-Type: text/event-stream'
[ "$(tail -n 2 body | head -n 1)" = 'data: [DONE]' ] || fail "a stream without its end: $(tail -n 3 body)"
pieces=$(grep -oE '"text":"([^"\\]|\\.)*"' body | sed -E 's/^"text":"//; s/"$//' | tr -d '\n')
[ "$pieces" = "$whole" ] || fail "the pieces of a stream are not the text: $pieces, $whole"
[ "$(grep -c '"finish_reason":"' body)" = 1 ] || fail "a stream ends more than once"
says body '"choices":\[\],"usage":\{'
post 200 /generate "{\"prompt\":\"$prompt\",$text,\"stream\":true}"
[ "$(tail -n 1 body)" = "{\"text\":[\"$prompt$whole\"]}" ] || fail "the last line of a stream is not the text: $(tail -n 1 body)"

# ---- call graphs: what sample writes, in any company
expect 0 loom-infer sample --model "$M" $one --edges 5 --depth 3 -n 3 --seed 4 -t 0.8 --constrain full --records s.graphs --csv s.csv
wish='"edges":5,"depth":3,"count":3,"seed":4'
post 200 /v1/callgraphs "{$wish}"
same s.graphs body || fail "not the records of sample"
says head '^Spanloom-Seed: 4'; says head '^Spanloom-Written: 3'; says head '^Spanloom-As-Requested: 3'
cp body records
post 200 /v1/callgraphs "{$wish,\"format\":\"csv\"}"
same s.csv body || fail "not the table of sample"
for i in 1 2 3 4 5 6; do
    "$TOOLS/http_ask" "$P" POST /v1/callgraphs "{\"edges\":$((i + 2)),\"depth\":2,\"count\":2}" >other.$i 2>/dev/null &
    others[i]=$!
done
post 200 /v1/callgraphs "{$wish}"
same records body || fail "company changes the graphs of a seed"
for i in 1 2 3 4 5 6; do wait "${others[i]}" || fail "no answer beside others"; [ "$(wc -l <other.$i)" = 2 ] || fail "not two graphs: $(cat other.$i)"; done
for format in jaeger otlp zipkin; do
    post 200 /v1/callgraphs "{$wish,\"format\":\"$format\"}"
    expect 0 loom-infer convert -q body -o back.$format.graphs
    same <(sed 's/^[^ ]* //' records) <(sed 's/^[^ ]* //' back.$format.graphs) || fail "$format does not come back"
done
for format in dot chrome graphml flat; do post 200 /v1/callgraphs "{$wish,\"format\":\"$format\"}"; [ -s body ] || fail "nothing as $format"; done
post 200 /v1/callgraphs '{"edges":4,"depth":2,"include":"USER,MS_00007,http","service":"S_000000001"}'
says body 'S_000000001 0\|http\|USER\|MS_00007\|'
post 200 /v1/callgraphs '{"edges":3,"depth":2,"mode":"tabular","count":2}'

# ---- what is wrong is told in a sentence
post 400 /v1/callgraphs '{"edges":6,"depht":3}'; sentence 'unknown member .*depht'
post 400 /v1/callgraphs '{"edges":3,"depth":9}'; sentence 'no graph has 3 edges and depth 9'
post 400 /v1/callgraphs '{"edges":"3"}'; sentence 'edges'
post 400 /v1/callgraphs '{"edges":3,"format":"png"}'; sentence 'format'
post 400 /v1/callgraphs '{"edges":3,"format":"npy"}'; sentence 'format' # a folder is no answer
post 400 /v1/callgraphs '{"edges":3,"count":100000}'; sentence 'count'
post 400 /v1/completions '{"prompt":"a","n":'; sentence 'not valid JSON'
post 400 /v1/completions ''; sentence 'body'
post 400 /v1/completions '[1]'; sentence 'no JSON object'
post 400 /v1/completions '{"prompt":[1,2]}'; sentence 'token ids are not taken'
post 400 /v1/completions '{}'; sentence 'prompt'
post 400 /v1/completions '{"prompt":"a","model":"other"}'; sentence 'there is no model'
post 400 /v1/completions '{"prompt":"a","frequency_penalty":1}'; sentence 'frequency_penalty'
post 400 /v1/completions '{"prompt":"a","temperature":-1}'; sentence 'temperature'
post 400 /v1/completions '{"prompt":"a","stop":[""]}'; sentence 'stop'
post 400 /v1/completions '{"prompt":"a","echo":true,"logprobs":1}'; sentence 'log-probabilities'
post 400 /generate "{\"prompt\":\"$(printf 'id:S_%d/' $(seq 600))\"}"; sentence 'the context [0-9]+'
ask GET /generate; status 405; says head '^Allow: POST'
ask POST /health '{}'; status 405
ask GET /nowhere; status 404; sentence 'nothing at this path'
post 413 /generate --zeros 1073741824; sentence '1073741824 bytes, and at most 1048576'
post 413 /generate --chunks 3000000; sentence 'larger than 1048576'
post 403 /generate '{"prompt":"a"}' -H 'Origin: http://elsewhere.example'; sentence 'another origin'
post 200 /generate '{"prompt":"a","max_tokens":1}' -H 'Origin: http://127.0.0.1'
loom-infer serve --model "$M" --port "$P" >out 2>err && fail "two servers at one port"
one_sentence; says err "port $P at 127.0.0.1 is in use"
expect 1 loom-infer serve --model missing.h5; one_sentence

# ---- clients that go, and broken ones, leave nothing behind
"$TOOLS/http_ask" "$P" POST /v1/callgraphs '{"edges":60,"depth":6,"count":200}' --leave 100000 2>/dev/null
"$TOOLS/http_ask" "$P" POST /v1/callgraphs '{"edges":60,"depth":6,"count":200}' --leave 90 2>/dev/null
for _ in $(seq 100); do [ "$(count 'status="499"}')" = 1 ] && break; sleep 0.1; done
[ "$(count 'status="499"}')" = 1 ] || fail "nobody noticed that a client had gone"
[ "$(count spanloom_texts_in_flight)" = 0 ] && [ "$(count spanloom_active_requests)" = 0 ] || fail "work for a client that has gone"
post 200 /v1/callgraphs "{$wish}"
same records body || fail "a client that went changes the graphs of a seed"
[ "$(count spanloom_refused_total)" = 3 ] || fail "refused requests are not counted: $(grep refused body)"

# ---- a stop: what was begun is finished, the rest is told
"$TOOLS/http_ask" "$P" POST /v1/callgraphs '{"edges":12,"depth":3,"count":12,"seed":2}' >late 2>late.head &
late=$!
for _ in $(seq 100); do [ "$(count spanloom_active_requests)" = 1 ] && break; sleep 0.05; done
finish
wait $late || fail "a request that was begun was not answered: $(cat late.head)"
[ "$(wc -l <late)" = 12 ] || fail "not twelve graphs: $(cat late)"
says first.err 'stopping: 1 requests'

# ---- a token, and a secret that others can read
printf 'a-long-secret\n' >token; chmod 644 token
loom-infer serve --model "$M" --port 0 --token token >out 2>err && fail "a secret that others can read"
one_sentence; says err 'token can be read by others'
printf 'short\n' >bad; chmod 600 bad
expect 2 loom-infer serve --model "$M" --port 0 --token bad; one_sentence; says err '8 to 4096'
chmod 600 token
start second --token token --batch 1 --queue 1 --time-limit 2 --max-texts 4
ask GET /health; status 200
ask GET /; status 200
ask GET /v1/models; status 401; sentence 'wants a token'; says head '^WWW-Authenticate: Bearer'
ask GET /metrics -H 'Authorization: Bearer a-long-secreT'; status 401
key=(-H 'Authorization: Bearer a-long-secret')
ask GET /v1/models "${key[@]}"; status 200
post 400 /v1/completions '{"prompt":"a","n":5}' "${key[@]}"; sentence 'n.*from 1 to 4'

# ---- the queue is full, and time is up
long='{"prompt":"id:S_1","max_tokens":1000,"n":4,"seed":1}'
for i in 1 2 3 4; do
    "$TOOLS/http_ask" "$P" POST /v1/completions "$long" "${key[@]}" >queued.$i 2>queued.head.$i &
    others[i]=$!
    sleep 0.1
done
for i in 1 2 3 4; do wait "${others[i]}" || fail "no answer of a full queue"; done
cat queued.head.* | grep -oE '^HTTP/1.1 [0-9]+' | sort | uniq -c >statuses
grep -q ' 503$' statuses || fail "a full queue takes more: $(cat statuses)"
grep -q 'too many requests wait' queued.[1-4] || fail "no sentence: $(cat queued.[1-4])"
grep -q ' 504$' statuses && { grep -q 'longer than it may' queued.[1-4] || fail "no sentence: $(cat queued.[1-4])"; }
finish
exit 0
