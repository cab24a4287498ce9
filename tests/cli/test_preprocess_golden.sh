# Stage 1, stage 2 and statistics against the golden cases, byte for byte.
for tool in zstd; do command -v $tool >/dev/null || skip "$tool is not installed"; done
G=$SRC/tests/golden/spec

expect 0 loom-preprocess graphs "$G/raw/callgraph_small.csv" -o raw.graphs.zst --report report.json --dropped dropped.csv --verdicts verdicts.jsonl
zstdcat raw.graphs.zst | cmp - "$G/raw/expected_stage1.txt" || fail "stage 1 differs"

# Dropped rows: line, trace and first filter of each.
sed -n 's/^ *"line": \(.*\),$/\1/p; s/^ *"trace": "\(.*\)",$/\1/p; s/^ *"why": "\(.*\)".*$/\1/p' "$G/raw/dropped_rows.json" | paste -d, - - - >want
tail -n +2 dropped.csv | cut -d, -f2- | cmp - want || fail "dropped rows differ"

# Verdicts: accepted, reasons in order, unique edges of every trace.
tr -d ' \n' <"$G/raw/verdicts.json" | sed 's/,"reference_accepted":[a-z]*,"reference_reasons":\[[^]]*\]//g; s/"\(T_[0-9]*\)":{/{"trace":"\1",/g; s/^{//; s/}$//; s/},{/}\n{/g' | sort >want
sort verdicts.jsonl | cmp - want || fail "verdicts differ"
says report.json '"graphs":16'

for threads in 1 2 5; do
    expect 0 loom-preprocess graphs "$G/raw/callgraph_small.csv" -o - --threads $threads --quiet
    cmp out "$G/raw/expected_stage1.txt" || fail "stage 1 differs with $threads threads"
done

expect 0 loom-preprocess dedupe "$G/dedupe/input.txt" -o all.graphs.zst --decisions decisions.jsonl
zstdcat all.graphs.zst | cmp - "$G/dedupe/expected.txt" || fail "stage 2 differs"
tr -d ' \n' <"$G/dedupe/decisions.json" | sed 's/^\[//; s/\]$//; s/},{/}\n{/g; s/"line":[0-9]*,//g' >want
echo >>want
sed 's/"file":"[^"]*","line":[0-9]*,//' decisions.jsonl | cmp - want || fail "decisions differ"

expect 0 loom-preprocess stats "$G/stats/part_1.txt" "$G/stats/part_2.txt" -o stats.json
for section in latency rare infilling; do
    sed -n '/"pooled"/,$p' "$G/stats/expected.json" | sed -n "/^  \"$section\"/,/^  }/p" | tr -d ' \n,' >want
    sed -n "/^  \"$section\"/,/^  }/p" stats.json | tr -d ' \n,' | sed 's/"mean":\([0-9]*\)}/"mean":\1.0}/g' >got
    # 15 digits of a mean are compared; the last ones depend on how the sum was made
    sed -i 's/\(\.[0-9]\{12\}\)[0-9]*/\1/g' want got
    cmp got want || fail "statistics differ in $section"
done
