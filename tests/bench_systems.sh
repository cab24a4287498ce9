#!/usr/bin/env bash
# bench_systems.sh BUILD FOLDER: what `topology` and `compare` find, and what they and `push` cost. Prints tables and writes them to
# FOLDER/table.md. RUNS (50): incidents of each kind in each of four worlds. GRAPHS (1000000): of the timing; 0: none.
set -euo pipefail
BUILD=$(realpath "$1")
RUNS=${RUNS:-50}
GRAPHS=${GRAPHS:-1000000}
WORLDS=${WORLDS:-"2 3 4 6"}
E=$BUILD/bin/loom-eval I=$BUILD/bin/loom-infer P=$BUILD/bin/loom-preprocess T=$BUILD/tests
mkdir -p "$2" && cd "$2"
TIMEFORMAT='%R %U %S'
export LC_ALL=C

say() { printf '%s\n' "$*" >&2; }
# world NAME OPTION...: NAME.graphs.zst of sample traces without damage, all rows in one file, and its templates
world() {
    local name=$1
    shift
    [ -e "$name.graphs.zst" ] && return
    "$P" sample-traces "$@" --no-quirks --files 1 --truth -o "$name" --progress never --quiet --force
    "$P" graphs "$name/CallGraph_0.csv" -o "$name.graphs.zst" --quiet --progress never >/dev/null
}

# ---- what the traces were drawn from ----
world truth --profile default --traces 200000
"$E" topology truth.graphs.zst --per-service -o truth.json --update --quiet
read -r _ slots _ inside _ rules _ followed _ groups _ apart < <("$T/topology_truth" truth.json truth/templates.json)
# ---- drawn from it ----
world real --profile default
"$E" topology real.graphs.zst -o real.json --update --quiet
"$E" baseline --topology real.json --count 40000 -o topology.graphs.zst --update --quiet
"$E" baseline real.graphs.zst --count 40000 -o probabilistic.graphs.zst --update --quiet
rm -rf res
"$E" similarity --real real.graphs.zst topology.graphs.zst probabilistic.graphs.zst --resamples 0 --no-pictures --quiet -o res >/dev/null
{
    echo "| topology of sample traces | found | of |"
    echo "|---|---:|---:|"
    echo "| call probabilities inside their 95 % interval (callers seen 200 times) | $inside | $slots |"
    echo "| databases called only behind their cache | $followed | $rules |"
    echo "| alternatives never called one after the other | $apart | $groups |"
    echo
    echo "| 40,000 drawn graphs against 40,000 real ones | topology | probabilistic | floor |"
    echo "|---|---:|---:|---:|"
    awk -F, '$6 == "0.5" {v[$2] = $7; f = $NF} END {printf "| KL of popular calls | %.4g | %.4g | %.4g |\n", v["topology"], v["probabilistic"], f}' res/fig04a_kl.csv
    awk -F, '$5 == "graph" {v[$2, $4] = $10; f[$4] = $NF; n[$4]} END {for (k in n) printf "| EMD of %s, by graph | %.3g | %.3g | %.3g |\n", k, v["topology", k], v["probabilistic", k], f[k]}' res/fig16.csv | sort
} | tee table.md

# ---- incidents: four worlds together ----
for w in $WORLDS; do
    world "w$w" --profile tiny --services 4 --traces 40000 --seed "$w"
    say "incidents in world $w"
    "$T/incident_bench" "w$w.graphs.zst" "$RUNS" "$w" >"incidents.$w" 2>"missed.$w"
done
{
    echo
    echo "| incident | runs | first, % | first three, % |"
    echo "|---|---:|---:|---:|"
    for w in $WORLDS; do cat "incidents.$w"; done | awk -F'|' 'NR > 2 && $3 + 0 > 0 {
        k = $2; if (!(k in n)) order[++m] = k; n[k] += $3; a[k] += $3 * $4; b[k] += $3 * $5 }
        END { for (i = 1; i <= m; i++) { k = order[i]; printf "|%s| %d | %.2f | %s |\n", k, n[k], a[k] / n[k], k ~ /nothing/ ? "" : sprintf("%.2f", b[k] / n[k]) } }'
} | tee -a table.md

# ---- spans to a collector that only counts them, on the same machine ----
if "$I" --version | grep -q '^libcurl'; then
    rm -rf sink && mkdir sink
    "$T/otlp_sink" sink count &
    for _ in $(seq 200); do [ ! -s sink/port ] || break; sleep 0.05; done
    pushed=$({ time "$I" push real.graphs.zst --limit 40000 --collector "http://127.0.0.1:$(cat sink/port)/v1/traces" --json --progress never >pushed.json 2>said; } 2>&1)
    touch sink/stop && wait $!
    spans=$(grep -oE '"accepted":[0-9]+' pushed.json | head -n 1 | cut -d: -f2)
    {
        echo
        echo "| push of 40,000 graphs, gzip | wall s | CPU s | spans/s | goal 50 K |"
        echo "|---|---:|---:|---:|---|"
        awk -v n="$spans" '{ printf "| %d spans taken | %s | %.3f | %.0f | %s |\n", n, $1, $2 + $3, n / $1, (n / $1 >= 50000 ? "yes" : "no") }' <<<"$pushed"
    } | tee -a table.md
else
    say "built without libcurl: push is not measured"
fi
[ "$GRAPHS" = 0 ] && exit

# ---- cost: at most 10 s each on two cores, in at most 160 MiB, whatever the number of graphs ----
late=0
measure() { # NAME COMMAND...
    local name=$1 took wall cpu peak load kept
    shift
    read -r load _ </proc/loadavg
    took=$({ time "$@" --threads 2 --progress never --verbose >result 2>said; } 2>&1) || { cat said >&2; exit 1; }
    peak=$(sed -nE 's/.* ([0-9.]+ [KMG]iB) peak memory$/\1/p' said)
    read -r wall cpu < <(awk '{ print $1, $2 + $3 }' <<<"$took")
    # beside other work wall time says little; 10 s of CPU time need no more on a free core
    kept=$(awk -v w="$wall" -v c="$cpu" -v p="$peak" 'BEGIN { split(p, m, " "); mib = m[2] == "MiB" ? m[1] : m[2] == "KiB" ? m[1] / 1024 : m[1] * 1024
        print (w <= 10 ? "yes" : c <= 10 ? "by CPU time" : "no") (mib <= 160 ? ", yes" : ", no") }')
    [[ $kept != *no* ]] || late=1
    printf '| %s | %s | %s | %s | %s | %s |\n' "$name" "$wall" "$cpu" "$peak" "$load" "$kept"
}
world big --profile large --traces "$GRAPHS"
half=$((GRAPHS / 2))
[ -e big.b.graphs.zst ] || zstd -dcq big.graphs.zst | awk -v half=$half '{ print | ("zstd -q -1 -f -o big." (NR > half ? "b" : "a") ".graphs.zst") }'
cat big.*.zst >/dev/null # into memory: the program is measured, not the disk
rm -f big.json
{
    echo
    echo "| $GRAPHS graphs of 4,000 services, two threads | wall s | CPU s | peak memory | load before | 10 s, 160 MiB |"
    echo "|---|---:|---:|---:|---:|---|"
    measure "topology, half of them" "$E" topology big.a.graphs.zst -o big.json --force
    measure topology "$E" topology big.graphs.zst -o big.json --force
    measure "topology --per-service" "$E" topology big.graphs.zst --per-service -o big.json --force
    measure compare "$E" compare big.a.graphs.zst big.b.graphs.zst
    exit $late
} | tee -a table.md
