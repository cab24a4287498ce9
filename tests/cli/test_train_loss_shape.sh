# What the gradient is of: --gce, --focus and --allowed each give another model, a stopped run goes on with the same bits,
# shards and threads change nothing of it, and a run keeps to what it began with.
loom-preprocess sample-traces --profile tiny --traces 200 -q -o traces || fail "no traces"
loom-preprocess graphs -q traces/CallGraph_?.csv -o g.graphs.zst || fail "no graphs"
loom-preprocess encode -q g.graphs.zst --mode instruction -o t.txt.zst || fail "no text"
loom-preprocess tokenizer -q t.txt.zst -o tokenizer.json || fail "no tokenizer"
loom-preprocess tokens -q t.txt.zst --tokenizer tokenizer.json -o t.tokens.h5 || fail "no shard"
train=(loom-train pretrain t.tokens.h5 --hidden 32 --layers 2 --heads 2 --context 768 --batch-tokens 1024 --no-plot
       --compute f32 --loss answer --steps 8)
weights() { # sha256 of what a run has learned, without the header that says how it was made
    rm -rf exported; loom-train export -q "$1" -o exported || fail "cannot export $1"
    tail -c +$((9 + $(od -An -tu8 -N8 exported/*.safetensors))) exported/*.safetensors | sha256sum
}
shape=(--focus 0.3 --allowed 2)
for how in "" "--gce 0.4" "--focus 0.4" "--allowed 2" "--allowed 4" "${shape[*]}"; do
    expect 0 "${train[@]}" $how -o "run$how" --threads 1
    weights "run$how" >>all
done
[ "$(sort -u all | wc -l)" = 6 ] || fail "two of six ways to weigh give one model"
says err '^what the request allows was known of (9[0-9]|100)'

expect 0 "${train[@]}" "${shape[@]}" -o stopped --threads 1 --stop-after 3
expect 2 "${train[@]}" -q --focus 0.3 --allowed 3 -o stopped; one_sentence; says err '.--allowed is "3" here, but "2" in the run'
expect 2 "${train[@]}" -q -o stopped; one_sentence; says err ' here, but '
expect 0 "${train[@]}" "${shape[@]}" -o stopped --threads 1
[ "$(weights stopped)" = "$(weights "run${shape[*]}")" ] || fail "a run that was stopped learned something else"

for threads in 1 2; do expect 0 "${train[@]}" "${shape[@]}" -o shards$threads --threads $threads --shards 4; done
[ "$(weights shards1)" = "$(weights shards2)" ] || fail "another number of threads, other bits"

expect 2 "${train[@]}" --allowed 1 --loss all -o x; one_sentence; says err '.--loss answer'
expect 2 "${train[@]}" --allowed 1 --packing joined -o x; one_sentence; says err '.--packing samples'
expect 2 "${train[@]}" --focus 1 --dp epsilon=8,delta=1e-5 -o x; one_sentence; says err '.--focus and --dp'
[ ! -e x ] || fail "a run that was refused left a folder"
