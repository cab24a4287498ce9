# A broken row loses that row only, wherever it stands: also where the blocks of 2 MiB that are read at a time meet, and in
# compressed input. The graphs must be those of the same table without the broken rows.
for tool in zstd gzip; do command -v $tool >/dev/null || skip "$tool is not installed"; done
number() { grep -o "\"$2\":[0-9]*" "$1" | tail -1 | cut -d: -f2; } # the total stands last

expect 0 loom-preprocess sample-traces --profile default --traces 30000 --files 1 -o t --progress never
csv=t/CallGraph_0.csv
block=$((2 << 20))
[ "$(wc -c <$csv)" -gt $((5 * block)) ] || fail "the table is too small to have several blocks"

# Every fifth row within 3 KB of a multiple of the block size is broken, in five ways in turn; each stays one line.
LC_ALL=C awk -v block=$block -v without=without.csv '
    {at += length($0) + 1; off = at % block}
    NR > 1 && (off < 3000 || off > block - 3000) && NR % 5 == 0 {
        kind = broken++ % 5
        if (kind == 0) sub(/,S_/, ",\"S_")
        else if (kind == 1) $0 = $0 ",1,2"
        else if (kind == 2) sub(/[^,]*$/, "x")
        else if (kind == 3) $0 = "\"" $0
        else gsub(/,/, "\"")
        print; next
    }
    {print; print >without}
    END {print broken + 0 >"n_broken"}' $csv >broken.csv
broken=$(cat n_broken)
[ "$broken" -ge 50 ] || fail "only $broken rows were broken"
[ "$(wc -l <broken.csv)" = "$(wc -l <$csv)" ] || fail "the broken table has other lines"

expect 0 loom-preprocess graphs without.csv -o without.txt --report without.json --threads 2
expect 0 loom-preprocess graphs broken.csv -o broken.txt --report broken.json --dropped dropped.csv --threads 2
cmp without.txt broken.txt || fail "broken rows changed graphs"
[ "$(number broken.json rows)" = $(($(number without.json rows) + broken)) ] || fail "rows are not counted"
[ "$(number broken.json rows_kept)" = "$(number without.json rows_kept)" ] || fail "broken rows took others with them, or were kept"
[ "$(number broken.json rows_dropped)" = $(($(number without.json rows_dropped) + broken)) ] || fail "broken rows are not all counted"
cut -d, -f2 dropped.csv | tail -n +2 | sort -c -n || fail "dropped rows are not listed in the order of the file"

gzip -1 -k broken.csv; zstd -q broken.csv
for packed in broken.csv.gz broken.csv.zst; do
    expect 0 loom-preprocess graphs $packed -o packed.txt --force --threads 2 --report packed.json
    cmp broken.txt packed.txt || fail "$packed gives other graphs"
    [ "$(number packed.json rows_kept)" = "$(number broken.json rows_kept)" ] || fail "$packed: other rows"
done

# One row that no other stands in for: exactly its trace is lost.
expect 0 loom-preprocess sample-traces --profile default --traces 30000 --files 1 --no-quirks -o clean --progress never
csv=clean/CallGraph_0.csv
row=$(LC_ALL=C awk -F, -v block=$block '{at += length($0) + 1} at > 2 * block && $4 == "0" {print NR; exit}' $csv)
awk -v row="$row" 'NR == row {sub(/,S_/, ",\"S_")} {print}' $csv >one.csv
trace=$(sed -n "${row}p" $csv | cut -d, -f2)
expect 0 loom-preprocess graphs $csv -o whole.txt --report whole.json --threads 2
expect 0 loom-preprocess graphs one.csv -o one.txt --report one.json --verdicts one.jsonl --threads 2
[ "$(number one.json rows_kept)" = $(($(number whole.json rows_kept) - 1)) ] || fail "a broken row lost $(($(number whole.json rows_kept) - $(number one.json rows_kept))) rows"
[ "$(number one.json graphs)" = $(($(number whole.json graphs) - 1)) ] || fail "a broken row lost other graphs"
[ "$(diff whole.txt one.txt | grep -c '^[<>]')" = 1 ] || fail "more than one graph differs"
says one.jsonl "\"trace\":\"$trace\",\"accepted\":false"
says one.json '"BAD_QUOTES":1'
exit 0
