# What --dry-run foretells is what the run takes: the peak of resident memory within 10 % of the sum, for every way to train.
loom-preprocess sample-traces --profile tiny --traces 300 -q -o traces || fail "no traces"
loom-preprocess graphs -q traces -o g.graphs.zst || fail "no graphs"
loom-preprocess encode -q g.graphs.zst --mode tabular -o t.txt.zst || fail "no text"
loom-preprocess tokenizer -q t.txt.zst -o tokenizer.json || fail "no tokenizer"
loom-preprocess tokens -q t.txt.zst --tokenizer tokenizer.json -o t.tokens.h5 || fail "no shard"
number() { grep -oE "\"$1\": ?[0-9]+" "$2" | grep -oE '[0-9]+$'; }

# measure WHAT OPTION...: plan and run with the same options
measure() {
    local what=$1 plan peak; shift
    local run=(loom-train pretrain t.tokens.h5 --context 256 --steps 1 --threads 2 --no-plot --json -q -o run "$@")
    expect 0 "${run[@]}" --dry-run
    plan=$(number total_bytes out)
    [ "$(($(number weights_bytes out) + $(number gradients_bytes out) + $(number moments_bytes out) + $(number activations_bytes out) + \
        $(number process_bytes out) + $(number data_bytes out)))" = "$plan" ] || fail "$what: the parts of the plan do not add up"
    expect 0 "${run[@]}"
    peak=$(number peak_bytes out)
    rm -rf run
    echo "$what: foretold $((plan >> 20)) MiB, peak $((peak >> 20)) MiB"
    [ $((peak * 10)) -le $((plan * 11)) ] && [ $((peak * 10)) -ge $((plan * 9)) ] ||
        fail "$what: foretold $((plan >> 20)) MiB, but the peak is $((peak >> 20)) MiB: more than 10 % off"
}
# Sanitizers keep a map of memory beside it: nothing to compare there.
expect 0 loom-train pretrain t.tokens.h5 --context 256 --hidden 16 --layers 1 --heads 2 --steps 1 --no-plot -q --json -o run
[ "$(number peak_bytes out)" -le $((300 << 20)) ] || skip "a tiny run takes $(number peak_bytes out) bytes here: no measure of memory (sanitizers?)"
rm -rf run

big="--hidden 512 --layers 4 --heads 8 --batch-tokens 1024"
half=""
loom-train pretrain t.tokens.h5 -o x --dry-run --compute bf16 >/dev/null 2>&1 && half=yes
measure "full, float32" $big --compute f32
measure "full, average of the weights" $big --compute f32 --ema 0.9
measure "full, Muon" $big --compute f32 --optimizer muon
measure "full, recompute" $big --batch-tokens 2048 --compute f32 --recompute
[ -z "$half" ] || measure "full, bfloat16" $big --compute bf16

# beside a mapped base of bfloat16
loom-train pretrain t.tokens.h5 --context 256 --hidden 768 --layers 4 --heads 8 --batch-tokens 256 --steps 1 --no-plot -q -o base || fail "no base"
loom-train export base -o mapped --dtype bf16 -q || fail "no folder"
measure "adapter" --init mapped --lora --batch-tokens 512 --compute f32
measure "adapter, recompute" --init mapped --lora --batch-tokens 1024 --compute f32 --recompute
measure "adapter beside float32" --init base --lora --batch-tokens 512 --compute f32
if [ -n "$half" ]; then
    measure "adapter, bfloat16" --init mapped --lora --batch-tokens 512 --compute bf16
else
    echo "not measured: products in bfloat16, which this CPU or build does not have"
fi

# short of memory: activations are computed twice by themselves, with the same bits, and what cannot fit is refused at once
small="--hidden 256 --layers 6 --heads 4 --batch-tokens 2048 --compute f32 --threads 2"
expect 0 loom-train pretrain t.tokens.h5 -o kept $small --context 256 --steps 1 --no-plot --dry-run
says out 'activations [0-9.]+ .iB,'
expect 0 loom-train pretrain t.tokens.h5 -o kept $small --context 256 --steps 1 --no-plot --dry-run --memory-limit 0.25
says out 'computed twice'; says err 'as with --recompute'
expect 0 loom-train pretrain t.tokens.h5 -o kept $small --context 256 --steps 2 --no-plot --log-every 1 -q
expect 0 loom-train pretrain t.tokens.h5 -o twice $small --context 256 --steps 2 --no-plot --log-every 1 --memory-limit 0.25
says err 'as with --recompute'
cmp <(cut -d, -f1,5,6 kept/curve.csv) <(cut -d, -f1,5,6 twice/curve.csv) || fail "recomputing changed losses or gradients"
expect 1 loom-train pretrain t.tokens.h5 -o none $small --context 256 --steps 1 --no-plot -q --memory-limit 0.02
one_sentence; says err 'this run needs about .* lower --micro-tokens'
[ ! -e none ] || fail "a refused run leaves a folder"
