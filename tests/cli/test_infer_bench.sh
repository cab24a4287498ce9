# The benchmark of generation runs and says what it measured; small numbers of everything.
expect 0 loom-infer bench --jobs 1,3 -n 1 --edges 2 --depth 2 --max-tokens 500 --compute f32 --constrain full --threads 1 -q
[ "$(grep -c '^| f32' out)" = 2 ] || fail "two rows expected"
says out 'random weights, 5\.[0-9]+ million parameters, 1 thread; best sgemm [0-9]+ GFLOP/s; 256 MiB are read at [0-9.]+ GB/s'
says out '^\| f32  \| full \|    3 \|'
expect 0 loom-infer bench --jobs 2 -n 1 --edges 2 --depth 2 --max-tokens 500 --compute bf16 --constrain full --threads 2 -q --json
says out '"jobs": 2'
for key in graphs_per_s graphs_as_asked_per_s chosen_tokens_per_s forced_tokens_per_s prompt_tokens_per_s share_of_memory share_of_far_memory \
    far_gbytes_per_s weight_bytes_per_step cache_bytes_per_step \
    share_of_sgemm peak_bytes cpu_seconds; do says out "\"$key\": [0-9.e+-]*[1-9]"; done
# a CPU without bfloat16 (oneDNN's own limit makes one of any): what stands in for it does not pass for the model's speed, and `auto` is float32
export ONEDNN_MAX_CPU_ISA=AVX512_CORE
expect 0 loom-infer bench --jobs 1 -n 1 --edges 2 --depth 2 --max-tokens 500 --constrain full --threads 1 -q
if ldd "$BIN/loom-infer" | grep -q dnnl || ! grep -q avx512_bf16 /proc/cpuinfo; then
    says out 'bfloat16 by plain'; says out '^bf16 is left out: this CPU has no instructions for it; --compute bf16'
    grep -q '^| bf16' out && fail "the stand-in's figures are the model's"
    expect 0 loom-infer sample -m "$SRC/checkpoints/base.h5" --edges 5 --depth 3 -n 2 -t 1 --constrain full --compute auto -q -o auto.jsonl
    expect 0 loom-infer sample -m "$SRC/checkpoints/base.h5" --edges 5 --depth 3 -n 2 -t 1 --constrain full --compute f32 -q -o f32.jsonl
    same auto.jsonl f32.jsonl || fail "auto is not float32"
fi
unset ONEDNN_MAX_CPU_ISA
expect 0 loom-infer sample -m "$SRC/checkpoints/base.h5" --edges 5 --depth 3 -n 2 -t 1 --constrain full --compute auto -q -o auto2.jsonl
for bad in 0 1,,2 x 5000 "1,2,"; do
    expect 2 loom-infer bench --jobs "$bad"; one_sentence; says err 'jobs is'
done
expect 1 loom-infer bench --model nothing; one_sentence
true
