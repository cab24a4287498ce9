#!/usr/bin/env bash
# bench_llama_cpp.sh BUILD OUT: generation beside the real llama.cpp, the same weights (exported as a float32 GGUF), threads and
# prompt, float32 all through, the likeliest token each time: one sequence and eight. RUNS runs of TOKENS tokens a sequence in
# turn; prints the medians of tokens a second by the clock and by processor time, beside one another, and the load of the
# machine. NODE_LLAMA_CPP: the folder of node-llama-cpp (tests/README.md). BENCH_MODEL=checkpoint RUNS=7 TOKENS=512 THREADS=1
set -u
build=$(realpath "${1:?usage: bench_llama_cpp.sh BUILD OUT}") out=${2:?usage: bench_llama_cpp.sh BUILD OUT}
src=$(realpath "$(dirname "$0")/..")
[ -f "${NODE_LLAMA_CPP:-}/dist/index.js" ] || { echo "NODE_LLAMA_CPP does not name the folder of node-llama-cpp: nothing to compare with"; exit 77; }
model=${BENCH_MODEL:-$src/checkpoints/base.h5} runs=${RUNS:-7} tokens=${TOKENS:-512} threads=${THREADS:-1}
mkdir -p "$out" || exit 1
"$build/bin/loom-train" export "$model" -o "$out/model.gguf" --dtype f32 --force -q || exit 1

# our COUNT SEQUENCES: runs it; its processor time goes to $out/cpu
our() {
    local TIMEFORMAT='%U %S'
    { time "$build/bin/loom-infer" complete --model "$model" --threads "$threads" --compute f32 -t 0 --max-tokens "$1" -n "$2" -v 'id:S_1/num_edges:12' \
        >"$out/text" 2>"$out/ours.err"; } 2>"$out/cpu" || { cat "$out/ours.err" >&2; exit 1; }
    awk '{ printf "%.3f", $1 + $2 }' "$out/cpu"
}
ours() { # SEQUENCES: "tokens seconds cpu", without loading the model
    local before after
    before=$(our 1 "$1")
    after=$(our "$tokens" "$1")
    sed -nE 's/^([0-9]+) tokens chosen by the model and [0-9]+ appended in .*: ([0-9]+) tokens.s$/\1 \2/p' "$out/ours.err" |
        awk -v a="$after" -v b="$before" '{ print $1, $1 / $2, a - b }'
}
theirs() { node "$src/tests/llama_cpp_speed.mjs" "$NODE_LLAMA_CPP" "$out/model.gguf" "$1" "$tokens" "$threads" 2>"$out/theirs.err" || { cat "$out/theirs.err" >&2; exit 1; }; }
: >"$out/runs"
for ((i = 0; i < runs; i++)); do
    for n in 1 8; do
        echo "ours $n $(ours $n)" >>"$out/runs"
        echo "theirs $n $(theirs $n)" >>"$out/runs"
    done
done
awk 'NF != 5 { exit 1 }' "$out/runs" || { echo "a run gave no figures" >&2; exit 1; }
echo "load of the machine: $(cut -d' ' -f1-3 /proc/loadavg); $threads thread(s), $tokens tokens a sequence, float32, medians of $runs"
awk '
    { k = $1 " " $2; n[k]++; clock[k, n[k]] = $3 / $4; cpu[k, n[k]] = $3 / ($5 > 0 ? $5 : 1e-3) }
    function median(v, k,   m, i, j, a, t) {
        m = n[k]
        for (i = 1; i <= m; i++) a[i] = v[k, i]
        for (i = 1; i <= m; i++) for (j = i + 1; j <= m; j++) if (a[j] < a[i]) { t = a[i]; a[i] = a[j]; a[j] = t }
        return m % 2 ? a[(m + 1) / 2] : (a[m / 2] + a[m / 2 + 1]) / 2
    }
    END {
        print "sequences   tokens/s: Spanloom  llama.cpp  times   per CPU second: Spanloom  llama.cpp  times"
        for (s = 1; s <= 8; s += 7) {
            a = median(clock, "ours " s); b = median(clock, "theirs " s); c = median(cpu, "ours " s); d = median(cpu, "theirs " s)
            printf "%9d %20.0f %10.0f %6.1f %26.0f %10.0f %6.1f\n", s, a, b, a / b, c, d, c / d
        }
    }' "$out/runs"
