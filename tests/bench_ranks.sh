#!/usr/bin/env bash
# bench_ranks.sh BIN OUT: what several processes are worth on this machine. The same training (sample traces, RANKS_SHAPE, STEPS
# steps of TOKENS tokens in 8 shards) as 1 rank of 1 thread, 2 ranks of 1 thread and 1 rank of 2 threads, RUNS times in turn;
# prints the best of each in tokens a second, the quotients, and the share of rank 0's time in exchanges and waiting.
# The three must give the same weights; exit 1 when they do not.
set -u
BIN=$(realpath "${1:?usage: bench_ranks.sh BIN OUT}") out=${2:?usage: bench_ranks.sh BIN OUT}
export PATH="$BIN:$PATH" LC_ALL=C
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_btl_vader_single_copy_mechanism=none
loom-train --version | grep -q '^Open MPI' || { echo "built without MPI: nothing to measure"; exit 77; }
command -v mpirun >/dev/null || { echo "no mpirun: nothing to measure"; exit 77; }
mkdir -p "$out" && cd "$out" || exit 1
read -r -a shape <<<"${RANKS_SHAPE:---hidden 192 --layers 4 --heads 6}"
steps=${STEPS:-40} tokens=${TOKENS:-4096} runs=${RUNS:-3}
must() { "$@" >log 2>&1 || { cat log >&2; exit 1; }; }
if [ ! -e t.tokens.h5 ]; then
    must loom-preprocess sample-traces --profile tiny --traces 3000 -q --force -o traces
    must loom-preprocess graphs -q traces --force -o g.graphs.zst
    must loom-preprocess encode -q g.graphs.zst --mode recursive --force -o t.txt.zst
    must loom-preprocess tokenizer -q t.txt.zst --force -o tokenizer.json
    must loom-preprocess tokens -q t.txt.zst --tokenizer tokenizer.json --force -o t.tokens.h5
fi
field() { grep -oE "\"$1\": ?[-+.e0-9]+" "$2" | head -n 1 | grep -oE '[-+.e0-9]+$'; }

# once RANKS THREADS: trains; one line "RANKS THREADS seconds exchange waiting digest tokens"
once() {
    rm -rf "run.$1.$2"
    mpirun --oversubscribe --bind-to none -n "$1" loom-train pretrain t.tokens.h5 "${shape[@]}" --context 512 --batch-tokens "$tokens" --steps "$steps" \
        --seed 1 --no-plot --quiet --threads "$2" -o "run.$1.$2" --json >"json.$1.$2" 2>log || { cat log >&2; exit 1; }
    must loom-train export -q --force "run.$1.$2" -o "hf.$1.$2"
    local file=hf.$1.$2/model.safetensors
    printf '%s %s %s %s %s %s %s\n' "$1" "$2" "$(field seconds "json.$1.$2")" "$(field exchange_seconds "json.$1.$2")" "$(field waiting_seconds "json.$1.$2")" \
        "$(tail -c +$((9 + $(od -An -tu8 -N8 "$file"))) "$file" | sha256sum | cut -c1-16)" "$(field tokens "json.$1.$2")"
}
for ((i = 0; i < runs; i++)); do once 1 1; once 2 1; once 1 2; done | tee lines |
    awk '{ printf "%d rank(s) of %d thread(s): %.2f s\n", $1, $2, $3 }' >&2
awk '
    { k = $1 " x " $2; if (!(k in best) || $3 < best[k]) { best[k] = $3; ex[k] = $4; wait[k] = $5 } digest[$6] = 1; all = $7 }
    END {
        print "ranks x threads   tokens/s   in exchanges   waiting"
        split("1 x 1,2 x 1,1 x 2", order, ",")
        for (i = 1; i <= 3; i++) { k = order[i]
            printf "%-15s %10.0f %12.1f %% %7.1f %%\n", k, all / best[k], 100 * ex[k] / best[k], 100 * wait[k] / best[k] }
        printf "2 x 1 is %.2f times 1 x 1, and %.2f times 1 x 2\n", best["1 x 1"] / best["2 x 1"], best["1 x 2"] / best["2 x 1"]
        for (d in digest) n++
        if (n > 1) { print "the three do not give the same weights"; exit 1 }
        print "all gave the same weights"
    }' lines
