# Ctrl-C (or a closed terminal) ends every long job within seconds, with exit code 130, one sentence, and nothing half-written. (Training, which
# saves, has a case of its own.)
loom-preprocess sample-traces --profile tiny --traces 300 --files 1 -q -o traces || fail "no traces"
loom-preprocess graphs -q traces -o g.graphs.zst || fail "no graphs"
mkdir o
interrupted() { # command...: it would run for minutes
    "$@" >out 2>err </dev/null & local pid=$! code
    # The handler stands once the program has read its options: a signal before that ends it without a word.
    for i in $(seq 400); do
        [ -n "$(awk '/^SigCgt/ {print substr($2, 15) ~ /[2367abef]$/ ? "yes" : ""}' /proc/$pid/status 2>/dev/null)" ] && break
        sleep 0.05
    done
    sleep 0.3
    kill -${SIGNAL:-INT} $pid 2>/dev/null || { cat err >&2; fail "ended by itself: $*"; }
    for i in $(seq 600); do [ -e /proc/$pid/exe ] || break; sleep 0.05; done
    if [ -e /proc/$pid/exe ]; then kill -KILL $pid; fail "still runs half a minute after Ctrl-C: $*"; fi
    wait $pid; code=$?
    [ "$code" = 130 ] || { cat err >&2; fail "exit code $code, expected 130: $*"; }
    says err 'interrupted'
    [ -z "$(find o -type f)" ] || fail "left behind: $(find o -type f)"
}
interrupted loom-preprocess encode g.graphs.zst --copies 1000 --mode instruction -o o/x.txt -q
interrupted loom-eval baseline g.graphs.zst --count 1000000000 -o o/x.graphs.zst -q
interrupted loom-eval similarity --real g.graphs.zst g.graphs.zst --resamples 1000000 --no-pictures -o o/r -q
SIGNAL=HUP interrupted loom-eval baseline g.graphs.zst --count 1000000000 -o o/x.graphs.zst -q
interrupted loom-train bench --steps 1000 --no-middle --no-lora --batch 2 --context 128 -q
true
