# End to end on the tiny profile, by the data rules a user runs: traces, graphs, text, tokens, models, answers, heat map.
run() { make -C "$SRC" --no-print-directory -f Makefile.data BIN="$BIN" RUN=tiny CONFIG="$PWD/tiny.conf" OUT="$PWD/made" "$@"; }
cp "$SRC/configs/tiny.conf" tiny.conf
expect 0 run figures
for f in raw all train valid; do [ -s made/$f.graphs.zst ] || fail "no made/$f.graphs.zst"; done
[ -s made/figures/fig12.csv ] || fail "no heat map"
for m in tabular instruction; do grep -q "$m" made/figures/fig12.csv || fail "no row of $m in the heat map"; done
if command -v gnuplot >/dev/null; then [ -s made/figures/fig12.png ] && [ -s made/figures/fig12.svg ] || fail "no picture"; fi

# what was made is not made again
expect 0 run figures
if grep -q loom- out; then fail "a second run made something again: $(cat out)"; fi

# a figure that lacks what it needs says in one sentence what to set
run figures FIGURES="3 99" >out 2>err && fail "an unknown figure is drawn"
says err "FIGURES names 99; there are T1 T2 T3 3 "
run figures FIGURES=3c >out 2>err && fail "figure 3c is drawn at one temperature"
says err "figures 3c and 13 need answers at several temperatures: set TEMPERATURES="
run figures FIGURES=14 >out 2>err && fail "figure 14 is drawn without recursive text"
says err "figure 14 needs the recursive text: add recursive to METHODS"
run figures FIGURES=6 METHODS=tabular >out 2>err && fail "figure 6 is drawn without the instruction model"
says err "figures 6, 7 and 13 and table 2 need the instruction model"

# the counts add up from the raw rows to the samples
expect 0 loom-preprocess graphs made/traces -o again.graphs.zst
same <(zstd -dcq again.graphs.zst) <(zstd -dcq made/raw.graphs.zst) || fail "the same traces gave other graphs"
loom-preprocess graphs made/traces --threads 1 -o one.graphs.zst 2>/dev/null
cmp -s one.graphs.zst again.graphs.zst || fail "graphs depend on the number of threads"

# the side of a graph follows from its text and the seed
part() { expect 0 loom-preprocess split made/all.graphs.zst --seed "$1" --modulo 4 --train "$2.t.graphs" --valid "$2.v.graphs" -q; }
part 1 a; part 1 b; part 2 c
cmp a.v.graphs b.v.graphs || fail "the same seed splits otherwise"
cmp -s a.v.graphs c.v.graphs && fail "another seed splits alike"
[ "$(cat a.[tv].graphs | wc -l)" = "$(cat c.[tv].graphs | wc -l)" ] || fail "graphs were lost in a split"

# every stage says how it was made
for f in made/all.graphs.zst made/stats.json made/instruction.train.txt.zst made/tokenizer.json; do
    says $f.meta.json '"command_line": "'
done

# an edited configuration has everything looked at, and only that made again which it changes
inodes() { stat -c '%i %n' made/*.graphs.zst made/*.txt.zst made/*.h5 made/tokenizer.json made/*.pretrain/model.h5; }
inodes >before
sleep 1
echo "# a remark" >>tiny.conf
expect 0 run figures
for f in raw.graphs.zst valid.graphs.zst stats.json tabular.train.txt.zst tokenizer.json instruction.train.tokens.h5 \
    tabular.prompts.jsonl tabular.answers.jsonl; do
    says err "made/$f is up to date"
done
sed -i 's/^per-cell = 1/per-cell = 2/' tiny.conf
expect 0 run figures
says err "made/tabular.train.tokens.h5 is up to date"
grep -qE "(prompts|answers).jsonl is up to date" err && fail "other prompts were asked for, the old ones are there"
inodes | cmp -s - before || fail "another number of prompts made other graphs, texts or models"

# a [balance] section trains on a selection of the text
printf '[balance]\nexponent = 0\nrepeats = 2\n' >>tiny.conf
expect 0 run sft
says out 'sft .*made/instruction.balanced.tokens.h5 .*made/instruction.renamed.tokens.h5 --valid'
says out '--base-model .*checkpoints/base.h5 -o .*made/instruction.sft'
grep -q 'pretrain .*instruction' out && fail "the instruction model was pretrained, although there is a base"
samples() { zstd -dcq "made/instruction.$1.txt.zst" | grep -c '^### Question'; }
[ "$(samples balanced)" -gt 0 ] && [ "$(samples balanced)" != "$(samples train)" ] || fail "$(samples balanced) samples to train on"

# from random weights it is pretrained, and made-up names are left out
run sft -n BASE_MODEL=none >out 2>err || fail "no plan without a base: $(cat err)"
for stage in pretrain sft; do says out "$stage .*made/instruction.balanced.tokens.h5 +--valid"; done
grep -qE 'renamed.tokens|--base-model' out && fail "made-up names or a base where there is none"
exit 0
