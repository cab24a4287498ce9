#!/usr/bin/env bash
# bench_eval.sh BIN FOLDER: speed and memory of every command that judges graphs, over GRAPHS (300000) graphs made by the
# preprocessing, beside the goal of 200 thousand graphs a second on two cores. Prints a table and writes it as Markdown to
# FOLDER/table.md. RUNS (3): the median by CPU time counts. Answers are perfect ones of the oracle, a quarter of them
# damaged. What was made is kept (about 1.3 GB).
set -euo pipefail
BIN=$(realpath "$1")
GRAPHS=${GRAPHS:-300000}
RUNS=${RUNS:-3}
GOAL=${GOAL:-200000}
E=$BIN/loom-eval P=$BIN/loom-preprocess
mkdir -p "$2" && cd "$2"
TIMEFORMAT='%R %U %S'
export LC_ALL=C

say() { printf '%s\n' "$*" >&2; }

# measure NAME GRAPHS THREADS COMMAND...: one row of the table. Speed: graphs over wall time, and over CPU time times THREADS
# (1 for commands that work alone, 2 for those that spread their work over two cores): what a quiet machine gives.
rows=()
measure() {
    local name=$1 n=$2 threads=$3 wall cpu peak mib took
    shift 3
    : >times
    for _ in $(seq "$RUNS"); do
        rm -rf out
        took=$({ time "$@" --progress never --verbose >result 2>said; } 2>&1) || { cat said >&2; exit 1; }
        mib=$(sed -nE 's/.* ([0-9.]+) (KiB|MiB|GiB) peak memory$/\1 \2/p' said |
            awk '{ print $2 == "GiB" ? $1 * 1024 : $2 == "KiB" ? $1 / 1024 : $1 }')
        awk -v m="${mib:--}" '{ print $1, $2 + $3, m }' <<<"$took" >>times
    done
    read -r wall cpu peak < <(sort -n -k 2 times | sed -n "$(((RUNS + 1) / 2))p")
    rows+=("$(awk -v name="$name" -v n="$n" -v wall="$wall" -v cpu="$cpu" -v peak="$peak" -v goal="$GOAL" -v t="$threads" 'BEGIN {
        verdict = "no"
        if (t * n / cpu >= goal) verdict = "by CPU time"
        if (n / wall >= goal) verdict = "yes"
        printf "| %s | %d | %.2f | %.2f | %s | %.0f K | %.0f K | %s |", name, n, wall, cpu, peak, n / wall / 1e3, t * n / cpu / 1e3,
               verdict }')")
    say "${rows[-1]}"
}
lines() { zstd -dcqf "$1" | wc -l; }

say "making the inputs in $PWD"
"$P" sample-traces --profile large --traces "$((GRAPHS * 12 / 10))" -o traces --update --progress never
[ all.graphs.zst -nt traces/CallGraph_0.csv.meta.json ] || "$P" graphs traces -o all.graphs.zst --force --quiet >/dev/null
"$P" split all.graphs.zst --train train.graphs.zst --valid valid.graphs.zst --update --quiet
"$E" baseline train.graphs.zst --count "$GRAPHS" -o made.graphs.zst --update --quiet
for mode in tabular recursive instruction; do
    "$E" prompts all.graphs.zst --mode $mode --like --count 100000 -o $mode.prompts.jsonl --update --quiet
    "$E" oracle $mode.prompts.jsonl --damage 0.25 -o $mode.answers.jsonl --update --quiet
done
train=$(lines train.graphs.zst) made=$(lines made.graphs.zst) all=$(lines all.graphs.zst)
cat ./*.jsonl ./*.zst >/dev/null # into memory: the program is measured, not the disk

say "| what | graphs | wall s | CPU s | peak MiB | graphs/s | by CPU time, two cores | goal met |"
measure "parsing and validity of records, sizes (distribution)" "$made" 1 "$E" distribution made.graphs.zst -o out --no-pictures
measure "popular calls, heavy hitters, EMD (similarity), no intervals" "$made" 1 "$E" similarity --real valid.graphs.zst made.graphs.zst -o out --no-pictures --resamples 0
measure "the same with intervals of 1,000 resamples" "$made" 1 "$E" similarity --real valid.graphs.zst made.graphs.zst -o out --no-pictures
measure "memorisation" "$((made + train))" 1 "$E" memorization --train train.graphs.zst made.graphs.zst -o out --no-pictures
for mode in tabular recursive instruction; do
    n=$(wc -l <$mode.answers.jsonl)
    measure "raw answers, $mode: parsing, layer rules, validity (heatmap)" "$n" 2 "$E" heatmap $mode.answers.jsonl -o out --no-pictures \
        --edges 1:30 --depths 1:6 --validity both
done
rm -rf out result said times
{
    echo "| what | graphs | wall s | CPU s | peak MiB | graphs/s | by CPU time, two cores | $((GOAL / 1000)) K |"
    echo "|---|---:|---:|---:|---:|---:|---:|---|"
    printf '%s\n' "${rows[@]}"
} | tee table.md
