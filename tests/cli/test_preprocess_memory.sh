# What preprocessing needs is what it promises: graphs 64 bytes a row kept and a base, which it says beforehand; dedupe 40
# bytes a distinct graph; everything else the same for five times the input. Slopes are compared, so that a small sample
# shows what a large one would need.
command -v awk >/dev/null || skip "awk is not installed"
number() { grep -o "\"$2\":[0-9]*" "$1" | tail -1 | cut -d: -f2; } # the total stands last
# peak FILE: of the last line on stderr, "1.2 s wall, 0.8 s CPU, 85.5 MiB peak memory", in KiB
peak() {
    sed -nE 's/.* ([0-9.]+) (KiB|MiB|GiB) peak memory$/\1 \2/p' "$1" |
        awk '{printf "%d", $1 * ($2 == "GiB" ? 1048576 : $2 == "MiB" ? 1024 : 1)}'
}
run() { # NAME subcommand...: keeps the report in NAME.json and the peak in NAME.peak
    local name=$1; shift
    expect 0 loom-preprocess "$@" --threads 2 --verbose --progress never
    mv out "$name.json"
    peak err >"$name.peak"
    [ "$(cat "$name.peak")" -gt 1000 ] || fail "$name: no peak memory in its last line"
}
# grows NAME BYTES COUNT [MIB]: from small.NAME to large.NAME the peak grows by at most BYTES for each of COUNT, and MIB (8)
# that are noise: buffers that were in use at the same time, or had to hold a larger graph
grows() {
    local by=$(($(cat large.$1.peak) - $(cat small.$1.peak)))
    [ $by -le $(($2 * $3 / 1024 + ${4:-8} * 1024)) ] || fail "$1 needs $by KiB more for $3 more: over $2 bytes each"
}

for size in small:60000 large:300000; do
    IFS=: read -r s traces <<<"$size"
    expect 0 loom-preprocess sample-traces --profile large --traces "$traces" --files 1 -o $s -q
    expect 0 loom-preprocess graphs $s --dry-run -o $s.graphs.zst
    mv err $s.need
    run $s.graphs graphs $s -o $s.graphs.zst --json
    run $s.dedupe dedupe $s.graphs.zst -o $s.all.graphs.zst --json
    run $s.split split $s.all.graphs.zst --train $s.train.graphs.zst --valid $s.valid.graphs.zst
    run $s.stats stats $s.all.graphs.zst -o $s.statistics.json
    run $s.encode encode $s.all.graphs.zst --mode instruction --stats $s.statistics.json -o $s.txt.zst
    [ -e tok.json ] || expect 0 loom-preprocess tokenizer $s.txt.zst -o tok.json -q
    run $s.tokens tokens $s.txt.zst --tokenizer tok.json -o $s.h5
done

kept=$(($(number large.graphs.json rows_kept) - $(number small.graphs.json rows_kept)))
[ $kept -gt 800000 ] || fail "only $kept rows more"
grows graphs 64 $kept
[ "$(cat small.graphs.peak)" -le $((256 * 1024)) ] || fail "graphs needs $(cat small.graphs.peak) KiB for next to nothing"
[ "$(number large.graphs.json table_bytes)" -le $((64 * $(number large.graphs.json rows_kept))) ] || fail "the tables take more than 64 bytes a row"
distinct=$(($(number large.dedupe.json kept) - $(number small.dedupe.json kept)))
grows dedupe 40 $distinct
[ "$(number large.dedupe.json table_bytes)" -le $((40 * $(number large.dedupe.json kept))) ] || fail "dedupe takes more than 40 bytes a distinct graph"
for step in split stats tokens; do grows $step 0 0; done
grows encode 0 0 32 # a block of graphs becomes ten times as much text

# The need is said beforehand: 256 MiB and 64 bytes a row, whose number is estimated from the first block.
said=$(sed -nE 's/^memory needed: at most ([0-9]+) MiB, for about [0-9.]+ [KM] rows of the largest file$/\1/p' large.need)
[ -n "$said" ] || { cat large.need >&2; fail "--dry-run does not say what memory is needed"; }
rows=$(number large.graphs.json rows)
awk -v said="$said" -v want=$((256 + (64 * rows >> 20))) 'BEGIN {exit !(said > .95 * want && said < 1.05 * want)}' ||
    fail "--dry-run says $said MiB for $rows rows"
[ "$(cat large.graphs.peak)" -le $((said * 1024)) ] || fail "graphs needed more than it had said"
expect 0 loom-preprocess graphs small large --merge --dry-run -o m.graphs.zst
says err '^memory needed: at most [0-9]+ MiB, for about [0-9.]+ [KM] rows of all files$'
expect 0 loom-preprocess graphs - --dry-run -o m.graphs.zst <large/CallGraph_0.csv
says err '^memory needed: at most 256 MiB and 64 bytes a row; how many rows standard input has cannot be told$'

# Traces of one row each, the worst there is: half as much again.
awk -F, 'BEGIN {OFS = ","} NR > 1 {$2 = sprintf("T_%011d", NR); $4 = "0"} {print}' small/CallGraph_0.csv >small.one.csv
awk -F, 'BEGIN {OFS = ","} NR > 1 {$2 = sprintf("T_%011d", NR); $4 = "0"} {print}' large/CallGraph_0.csv >large.one.csv
for s in small large; do run $s.one graphs $s.one.csv -o $s.one.graphs.zst --json; done
grows one 96 $kept
exit 0
