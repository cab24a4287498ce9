# End to end on the tiny profile, by the data rules a user runs: traces, graphs, text, tokens, models, answers, heat map.
run() { make -C "$SRC" --no-print-directory -f Makefile.data BIN="$BIN" RUN=tiny CONFIG=configs/tiny.conf OUT="$PWD/made" "$@"; }
expect 0 run figures
for f in raw all train valid; do [ -s made/$f.graphs.zst ] || fail "no made/$f.graphs.zst"; done
[ -s made/figures/fig12.csv ] || fail "no heat map"
for m in tabular instruction; do grep -q "$m" made/figures/fig12.csv || fail "no row of $m in the heat map"; done
if command -v gnuplot >/dev/null; then [ -s made/figures/fig12.png ] && [ -s made/figures/fig12.svg ] || fail "no picture"; fi

# what was made is not made again
expect 0 run figures
if grep -q loom- out; then fail "a second run made something again: $(cat out)"; fi

# the counts add up from the raw rows to the samples
expect 0 loom-preprocess graphs made/traces -o again.graphs.zst
cmp -s <(zstd -dcq again.graphs.zst) <(zstd -dcq made/raw.graphs.zst) || fail "the same traces gave other graphs"
loom-preprocess graphs made/traces --threads 1 -o one.graphs.zst 2>/dev/null
cmp -s one.graphs.zst again.graphs.zst || fail "graphs depend on the number of threads"

# every stage says how it was made
for f in made/all.graphs.zst made/stats.json made/instruction.train.txt.zst made/tokenizer.json; do
    says $f.meta.json '"command_line": "'
done
