#!/usr/bin/env bash
# bench_preprocess.sh BIN FOLDER: speed and memory of every preprocessing step on a large synthetic sample, beside the goals.
# Prints a table and writes it as Markdown to FOLDER/table.md. Inputs are made once and kept in FOLDER (about 4 GB).
# TRACES (3000000), RUNS (3; the median by wall time counts), TOKENIZERS (folder with llama-2/ and llama-3/tokenizer.json).
set -euo pipefail
BIN=$(realpath "$1")
SRC=$(realpath "$(dirname "$0")/..")
TRACES=${TRACES:-3000000}
RUNS=${RUNS:-3}
TOKENIZERS=${TOKENIZERS:-$SRC/../shared/data/tokenizers}
P=$BIN/loom-preprocess
mkdir -p "$2" && cd "$2"
TIMEFORMAT='%R %U %S'
export LC_ALL=C

say() { printf '%s\n' "$*" >&2; }
json() { grep -o "\"$1\":[0-9]*" "$2" | tail -n 1 | cut -d: -f2; }
calc() { awk "BEGIN { printf \"%$1\", $2 }"; }

# measure COMMAND...: sets wall, cpu (seconds) and peak; stdout goes to `result`.
measure() {
    : >times
    for _ in $(seq "$RUNS"); do
        local mib took
        took=$({ time "$@" >result 2>said; } 2>&1) || { cat said >&2; exit 1; }
        mib=$(sed -nE 's/.* ([0-9.]+) (KiB|MiB|GiB) peak memory$/\1 \2/p' said |
            awk '{ print $2 == "GiB" ? $1 * 1024 : $2 == "KiB" ? $1 / 1024 : $1 }')
        awk -v m="${mib:--}" '{ print $1, $2 + $3, m }' <<<"$took" >>times
    done
    read -r wall cpu peak < <(sort -n times | sed -n "$(((RUNS + 1) / 2))p")
}

rows=()
# row STEP FIGURE PER_CPU_SECOND GOAL MET
row() {
    rows+=("$1|$wall|$cpu|$peak|$2|$3|$4|$5")
    say "$(printf '%-34s %8s s wall %8s s CPU %8s MiB  %-22s goal %s: %s' "$1" "$wall" "$cpu" "$peak" "$2" "$4" "$5")"
}
met() { awk "BEGIN { print ($1) ? \"yes\" : \"no\" }"; }

# ---- inputs ----
say "making the inputs in $PWD"
"$P" sample-traces --profile large --traces "$TRACES" -o traces --update --progress never
largest=$(ls -S traces/*.csv | head -n 1)
[ largest.csv.gz -nt "$largest" ] || gzip -6 -c "$largest" >largest.csv.gz
[ largest.tar.gz -nt "$largest" ] || tar -C traces -czf largest.tar.gz "$(basename "$largest")"
cat traces/*.csv largest.* >/dev/null # into memory, where it fits: the programs are measured, not the disk

# ---- graphs ----
measure "$P" graphs traces -o raw.graphs.zst --force --json --verbose --progress never
n=$(json rows result)
most=$(grep -o '"rows_kept":[0-9]*' result | head -n -1 | cut -d: -f2 | sort -n | tail -n 1) # the last is the total
row "graphs, plain CSV" "$(calc .2f "$n / $wall / 1e6") M rows/s" "$(calc .2f "$n / $cpu / 1e6") M" "2 M rows/s" \
    "$(met "$n / $wall >= 2e6")"
allowed=$(calc .0f "256 + 64 * $most / 1048576")
row "  memory" "$peak MiB" "" "$allowed MiB (64 bytes a kept row)" "$(met "${peak/#-/0} <= $allowed")"

measure "$P" graphs "$largest" -o one.graphs.zst --force --json --verbose --progress never
n=$(json rows result)
row "graphs, the largest file" "$(calc .2f "$n / $wall / 1e6") M rows/s" "$(calc .2f "$n / $cpu / 1e6") M" "" ""
measure gzip -dc largest.csv.gz
gunzip=$wall
for file in largest.csv.gz largest.tar.gz; do
    measure "$P" graphs $file -o packed.graphs.zst --force --json --verbose --progress never
    row "  ${file#largest}" "$(calc .2f "$n / $wall / 1e6") M rows/s" "$(calc .2f "$n / $cpu / 1e6") M" \
        "gzip -dc: $(calc .2f "$n / $gunzip / 1e6") M" "$(met "$wall <= $gunzip")"
    cmp -s one.graphs.zst packed.graphs.zst || { say "$file gave other graphs"; exit 1; }
done

# ---- dedupe, split, stats ----
measure "$P" dedupe raw.graphs.zst -o all.graphs.zst --force --json --verbose --progress never
n=$(json graphs result)
distinct=$(json kept result)
row "dedupe" "$(calc .0f "$n / $wall / 1e3") K graphs/s" "$(calc .0f "$n / $cpu / 1e3") K" "500 K graphs/s" \
    "$(met "$n / $wall >= 5e5")"
bytes=$(calc .1f "$(json table_bytes result) / $distinct")
row "  memory" "$bytes bytes a distinct graph" "" "40" "$(met "$bytes <= 40")"
measure "$P" split all.graphs.zst --train train.graphs.zst --valid valid.graphs.zst --force --verbose --progress never
row "split" "$(calc .0f "$distinct / $wall / 1e3") K graphs/s" "$(calc .0f "$distinct / $cpu / 1e3") K" "" ""
measure "$P" stats all.graphs.zst -o stats.json --force --verbose --progress never
row "stats" "$(calc .0f "$distinct / $wall / 1e3") K graphs/s" "$(calc .0f "$distinct / $cpu / 1e3") K" "" ""

# ---- encode ----
zstd -dcq all.graphs.zst | awk 'NR <= 200000' | zstd -qf -o some.graphs.zst
for mode in tabular recursive instruction; do
    measure "$P" encode some.graphs.zst --mode $mode --stats stats.json -o $mode.txt.zst --force --json --verbose --progress never
    mb=$(calc f "$(json bytes result) / 1e6")
    row "encode, $mode" "$(calc .0f "$mb / $wall") MB/s" "$(calc .0f "$mb / $cpu") MB" "100 MB/s" "$(met "$mb / $wall >= 100")"
done

# ---- tokens; a core's share is what a second of CPU time does ----
measure "$P" tokenizer instruction.txt.zst -o tokenizer.json --force --verbose --progress never
row "tokenizer" "$(calc .0f "$mb / $wall") MB/s" "$(calc .0f "$mb / $cpu") MB" "" ""
tokens() { # NAME FILE GOAL
    [ -e "$2" ] || { say "no $2; left out"; return 0; }
    measure "$P" tokens instruction.txt.zst --tokenizer "$2" -o tokens.h5 --force --json --verbose --progress never
    local each
    mb=$(calc f "$(json bytes result) / 1e6")
    each=$(calc .0f "$mb / $cpu")
    row "tokens, $1" "$(calc .0f "$mb / $wall") MB/s, $(calc .1f "$(json tokens result) / $wall / 1e6") M tokens/s" "$each MB" \
        "$3 MB/s a core" "$(met "$each >= $3")"
}
tokens "domain" tokenizer.json 20
tokens "Llama-2" "$TOKENIZERS/llama-2/tokenizer.json" 8
tokens "Llama-3" "$TOKENIZERS/llama-3/tokenizer.json" 8
rm -f tokens.h5 tokens.h5.meta.json result said times

# ---- the table ----
{
    echo "$(awk -F': ' '/^model name/ { print $2; exit }' /proc/cpuinfo), $(nproc) cores, load average $(cut -d' ' -f1 /proc/loadavg);" \
        "$TRACES traces of the profile \`large\`, median of $RUNS runs, $(date -u +%Y-%m-%d)."
    echo
    echo "| step | wall s | CPU s | peak MiB | speed | per CPU second | goal | met |"
    echo "|---|---:|---:|---:|---:|---:|---:|---|"
    printf '%s\n' "${rows[@]}" | sed 's/^/| /; s/|/ | /2g; s/$/ |/'
} >table.md
cat table.md
