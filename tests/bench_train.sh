#!/usr/bin/env bash
# bench_train.sh BIN FOLDER: tokens a second of training, its share of the machine's matrix product, and the peer's figure.
# Prints a table and writes it as Markdown to FOLDER/table.md. Models of 5.8 M and 29.5 M parameters and a LoRA adapter
# (rank 8 on q and v) beside the latter, products in float32 and bfloat16, one thread and all.
# THREADS (2), STEPS (5), BATCH (8), CONTEXT (512); PYTHON (/usr/bin/python3) with PyTorch, TORCH_LLAMA (the peer's program).
set -euo pipefail
BIN=$(realpath "$1")
SRC=$(realpath "$(dirname "$0")/..")
THREADS=${THREADS:-2}
STEPS=${STEPS:-5}
BATCH=${BATCH:-8}
CONTEXT=${CONTEXT:-512}
PYTHON=${PYTHON:-/usr/bin/python3}
TORCH_LLAMA=${TORCH_LLAMA:-$SRC/../shared/tools/torch_llama.py}
mkdir -p "$2" && cd "$2"
export LC_ALL=C

say() { printf '%s\n' "$*" >&2; }

# The peer's threads are two, whatever THREADS says: its program sets them.
peer=yes
if [[ ! -f $TORCH_LLAMA ]]; then
    peer=no && say "the peer is left out: $TORCH_LLAMA is not there (TORCH_LLAMA= names it)"
elif ! "$PYTHON" -c 'import torch' 2>/dev/null; then
    peer=no && say "the peer is left out: $PYTHON has no torch; install python3-torch, or name another with PYTHON="
fi

# ours NAME OPTION COMPUTE THREADS: sets speed, share, ms, sgemm, and sizes as the peer's program takes them
ours() {
    local run
    say "$1, $3, $4 threads ..."
    run=$("$BIN/loom-train" bench --no-small --no-middle --no-lora --no-one-thread "--$2" --compute "$3" --threads "$4" --json \
        --batch "$BATCH" --context "$CONTEXT" --steps "$STEPS" --quiet | tr -d ' \n')
    speed=$(field tokens_per_s "$run") share=$(field share_of_sgemm "$run") ms=$(field step_s "$run") sgemm=$(field sgemm_gflops "$run")
    sizes=
    for key in hidden layers heads kv_heads ffn vocabulary; do sizes+=" $(field "$key" "$run")"; done
}
field() { grep -oE "\"$1\":[-+.e0-9]+" <<<"$2" | head -n 1 | cut -d: -f2; }

# theirs SIZES... : sets torch
theirs() {
    torch=-
    [[ $peer == no ]] && return
    say "PyTorch, $* ..."
    torch=$("$PYTHON" "$TORCH_LLAMA" "$@" | sed -nE 's/.*: ([0-9]+) tok\/s.*/\1/p')
}

over() { awk -v a="$1" -v b="$2" 'BEGIN { if (a + 0 > 0 && b + 0 > 0) printf "%.2f", a / b; else printf "-" }'; }

bf16=bf16
"$BIN/loom-train" bench --no-small --no-middle --no-lora --compute bf16 --quiet >/dev/null 2>&1 || bf16=

rows=()
declare -A full
# measure NAME OPTION [lora]
measure() {
    local compute threads
    for compute in f32 $bf16; do
        torch=
        for threads in 1 $([[ $THREADS != 1 ]] && echo "$THREADS"); do
            local against=- of_full=-
            ours "$1" "$2" "$compute" "$threads"
            # shellcheck disable=SC2086
            [[ $torch ]] || theirs $sizes "$BATCH" "$CONTEXT" "$STEPS" $([[ $compute == bf16 ]] && echo bf16) ${3:-}
            [[ $threads == 2 ]] && against=$(over "$speed" "$torch")
            [[ ${3:-} ]] && of_full=$(over "$speed" "${full[$compute.$threads]}") || full[$compute.$threads]=$speed
            rows+=("$(awk -v n="$1" -v c="$compute" -v t="$threads" -v s="$speed" -v ms="$ms" -v sh="$share" -v g="$sgemm" \
                -v f="$of_full" -v p="$torch" -v a="$against" 'BEGIN {
                printf "| %s | %s | %d | %.0f | %.0f | %.0f %% of %.0f | %s | %s | %s |", n, c, t, s, 1e3 * ms, 100 * sh, g, f,
                    t == 2 ? p : "-", a }')")
        done
    done
}
measure "5.8 M" small
measure "29.5 M" middle
measure "29.5 M, LoRA" lora lora

{
    echo "$BATCH sequences of $CONTEXT, median of $STEPS steps, forward + backward + AdamW; $(nproc) cores"
    echo
    echo "| model | products | threads | tokens/s | ms a step | share of sgemm (GFLOP/s) | x full | PyTorch tokens/s | x PyTorch |"
    echo "|---|---|---:|---:|---:|---:|---:|---:|---:|"
    printf '%s\n' "${rows[@]}"
} | tee table.md
