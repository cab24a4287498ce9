#!/usr/bin/env bash
# bench_llama.sh BUILD SHAPE FOLDER: one LoRA step and some generated tokens on a model of a published one's exact shape
# (random weights: tests/tools/make_random_llama.c), with time and peak memory beside what --dry-run foretells.
#   SHAPE    llama-2-7b (13.5 GB in FOLDER, 24 GiB of memory), llama-3.2-1b (2.5 GB) or tiny-2, tiny-3.2 (seconds; CI)
#   FOLDER   where the model is made; kept when KEEP=1, else removed at the end. In /dev/shm the disk has no part in it.
# Prints a table and one line of JSON (FOLDER.json). TOKENIZERS: folder with llama-2/ and llama-3/tokenizer.json.
# STEPS (1), CONTEXT (512 tokens, one sequence a step), TOKENS (16 generated), COMPUTE (auto; f32, bf16).
set -euo pipefail
[ $# = 3 ] || { echo "usage: bench_llama.sh BUILD SHAPE FOLDER" >&2; exit 2; }
BUILD=$(realpath "$1") SHAPE=$2 SRC=$(realpath "$(dirname "$0")/..")
TOKENIZERS=${TOKENIZERS:-$SRC/../shared/data/tokenizers}
STEPS=${STEPS:-1} CONTEXT=${CONTEXT:-512} TOKENS=${TOKENS:-16} COMPUTE=${COMPUTE:-auto} KEEP=${KEEP:-0}
case $SHAPE in
    llama-2-7b) family=llama-2 bytes=13500000000 ;;
    llama-3.2-1b) family=llama-3 bytes=2500000000 ;;
    tiny-2) family=llama-2 bytes=20000000 ;;
    tiny-3.2) family=llama-3 bytes=30000000 ;;
    *) echo "bench_llama.sh: no shape $SHAPE; llama-2-7b, llama-3.2-1b, tiny-2 or tiny-3.2" >&2; exit 2 ;;
esac
tokenizer=$TOKENIZERS/$family/tokenizer.json
[ -f "$tokenizer" ] || { echo "bench_llama.sh: no $tokenizer; name the folder with TOKENIZERS=" >&2; exit 1; }
P=$BUILD/bin/loom-preprocess T=$BUILD/bin/loom-train I=$BUILD/bin/loom-infer
export LC_ALL=C

say() { printf '%s\n' "$*" >&2; }
calc() { awk "BEGIN { printf \"%$1\", $2 }"; }
number() { grep -oE "\"$1\": ?[0-9.e+-]+" "$2" | tail -n 1 | sed -E 's/.*: ?//'; }

# What is removed at the end must be a folder of ours.
if [ -e "$3" ] && [ ! -f "$3/complete" ] && [ -n "$(ls -A "$3")" ]; then
    say "bench_llama.sh: $3 holds something else; name a folder that is empty or not there"
    exit 1
fi
mkdir -p "$3"
FOLDER=$(realpath "$3")
room=$(df --output=avail -B1 "$FOLDER" | tail -n 1)
have=$(du -sb "$FOLDER" | cut -f1)
[ $((room + have)) -gt "$bytes" ] || { say "bench_llama.sh: $FOLDER has no room for $bytes bytes; name another folder"; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"; [ "$KEEP" = 1 ] || rm -rf "$FOLDER"' EXIT

# ---- inputs ----
[ -f "$FOLDER/complete" ] || { "$BUILD/tests/make_random_llama" "$SHAPE" "$FOLDER" "$tokenizer" && touch "$FOLDER/complete"; }
weights=$(stat -c %s "$FOLDER"/*.safetensors | awk '{ s += $1 } END { printf "%.0f", s }')
"$P" sample-traces --profile tiny --traces 300 -q -o "$work/traces"
"$P" graphs -q "$work/traces" -o "$work/g.graphs.zst"
"$P" encode -q "$work/g.graphs.zst" --mode recursive -o "$work/t.txt.zst"
"$P" tokens -q "$work/t.txt.zst" --tokenizer "$tokenizer" -o "$work/t.tokens.h5"

# ---- one step of an adapter, rank 8 on q and v; samples joined, so that every step has CONTEXT rows ----
train=("$T" pretrain "$work/t.tokens.h5" --init "$FOLDER" --lora --context "$CONTEXT" --batch-tokens "$CONTEXT" --packing joined
    --steps "$STEPS" --compute "$COMPUTE" --log-every 1 --no-plot --progress never -o "$work/run")
"${train[@]}" --dry-run --json >"$work/plan.json" 2>"$work/said" || { cat "$work/said" >&2; exit 1; }
say "training: $STEPS step(s) of $CONTEXT tokens"
TIMEFORMAT='%R %U %S'
read -r wall user system < <({ time "${train[@]}" --json >"$work/train.json" 2>"$work/said"; } 2>&1) || true
[ -s "$work/train.json" ] || { cat "$work/said" >&2; exit 1; }
seconds=$(calc .2f "$(number seconds "$work/train.json") / $STEPS")
loss=$(awk -F, 'NR > 1 { l = $5 } END { print l }' "$work/run/curve.csv")

# ---- tokens, one after another ----
say "generating: $TOKENS tokens"
generate=("$I" complete --model "$FOLDER" --max-tokens "$TOKENS" --batch 1 --context 64 --cache 128 --verbose --progress never)
! grep -q "products in bf16" "$work/said" || generate+=(--compute bf16)
{ time "${generate[@]}" "id:S_1" >"$work/text" 2>"$work/said"; } 2>"$work/times" || { cat "$work/said" >&2; exit 1; }
read -r _ infer_user _ <"$work/times"
# The rate is printed in whole tokens; here it is taken from count and seconds.
read -r made took < <(sed -nE 's/^([0-9]+) tokens chosen .* in ([0-9.]+) s: .*/\1 \2/p' "$work/said") || true
[ -n "${took:-}" ] || { cat "$work/said" >&2; echo "bench_llama.sh: no number of tokens and seconds in the lines above" >&2; exit 1; }
infer_peak=$(sed -nE 's/.* ([0-9.]+) (KiB|MiB|GiB) peak memory$/\1 \2/p' "$work/said" |
    awk '{ print $2 == "GiB" ? $1 * 1024 : $2 == "KiB" ? $1 / 1024 : $1 }')
bandwidth=$("$BUILD/tests/read_bandwidth")
rate=$(awk -v n="${made:-0}" -v s="${took:-0}" 'BEGIN { printf "%.2f", (s > 0 ? n / s : 0) }')
share=$(calc .1f "100 * $rate * $weights / $bandwidth")

predicted=$(number predicted_bytes "$work/train.json") peak=$(number peak_bytes "$work/train.json")
gib() { calc .2f "$1 / 1073741824"; }
cat <<TABLE
shape                 $SHAPE, $(gib "$weights") GiB of bfloat16
LoRA step             $seconds s ($CONTEXT tokens, wall; all of the command: $wall s wall, $user s CPU), loss $loss
peak of training      $(gib "$peak") GiB resident, mapped weights included; foretold $(gib "$predicted") GiB
generation            $rate tokens/s at batch 1 ($made tokens, $took s wall, $infer_user s CPU)
peak of generation    ${infer_peak:--} MiB resident, mapped weights included
memory bandwidth      $(calc .1f "$bandwidth / 1e9") GB/s measured; generation reads $share % of it
TABLE
printf '{"shape":"%s","weights_bytes":%s,"context":%s,"step_s":%s,"cpu_s":%s,"loss":%s,"peak_bytes":%s,"predicted_bytes":%s,"tokens_per_s":%s,"bandwidth_share_percent":%s}\n' \
    "$SHAPE" "$weights" "$CONTEXT" "$seconds" "$user" "$loss" "$peak" "$predicted" "$rate" "$share" >"$FOLDER.json"
