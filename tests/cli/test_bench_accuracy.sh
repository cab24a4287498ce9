# bench_accuracy.sh: the smallest subset, with models of seconds. The table has a row for every start, a rerun makes nothing, a
# stopped one goes on, and what cannot be made is said in a sentence.
command -v make >/dev/null || skip "no make"
cat >recipe.conf <<'END'
[encode]
items = listed
[pretrain]
hidden = 32
layers = 2
heads = 2
context = 768
batch-tokens = 1024
optimizer = muon
lr = 4e-3
minutes = 2
tokens = 1000000
patience = 3
valid-every = 20
valid-tokens = 2000
[sft]
lora = false
context = 768
batch-tokens = 1024
minutes = 3     # with the line above the share of each
lr = 1e-3
valid-every = 20
valid-tokens = 2000
[prompts]
per-cell = 1
edges = 1:4
depths = 1:3
match-training = true
[sample]
max-tokens = 200
END
export CONFIG_c=$PWD/recipe.conf TRACES=150 SETS=c THREADS=1 PRECISIONS=f32 SEEDS=1 MINUTES='0 0.01'
unset BASE_MODEL CSV CONFIG OUT INIT
bench() { bash "$SRC/tests/bench_accuracy.sh" "$BIN" "$PWD/bench"; }
row() { grep -F "| c: small, unseen | $1 | float32 |" out >rows; [ "$(wc -l <rows)" = "$2" ] || { cat out err >&2; fail "$(wc -l <rows) rows of $1"; }; }

# a base of another world, made as `make base` makes it
expect 0 loom-preprocess sample-traces --profile base --seed 7 --traces 300 --files 1 -o traces -q
expect 0 loom-preprocess graphs traces -o g.graphs.zst -q
expect 0 loom-preprocess encode g.graphs.zst --items listed --max-edges 10 -o named.txt -q
expect 0 loom-preprocess balance named.txt --renamed 1 --names 40:10 --samples 400 -o text.txt -q
expect 0 loom-preprocess tokenizer text.txt --name-tokens 50 -o tokenizer.json -q
expect 0 loom-preprocess tokens text.txt --max-tokens 768 -o s.tokens.h5 -q
expect 0 loom-train pretrain s.tokens.h5 -o model --hidden 32 --layers 2 --heads 2 --context 768 --steps 4 --batch-tokens 1024 -q
expect 0 loom-train export model -o base.h5 --dtype bf16 -q

# without a base its rows are named as missing, and the table stands all the same; seen in a tree that ships none
mkdir -p bare/tests && cp "$SRC"/tests/bench_accuracy.* bare/tests && ln -s "$SRC/configs" "$SRC/Makefile.data" bare
STARTS=base expect 0 bash bare/tests/bench_accuracy.sh "$BIN" "$PWD/bench"
says out '^The rows from the base are missing: there is no checkpoints/base.h5; BASE_MODEL= names a base model'
row base 1; says rows '\| missing \| missing \|$'

# every start; from random weights there is nothing at 0 minutes
export BASE_MODEL=$PWD/base.h5
expect 0 bench
says err '^3 results to make, 0.02 minutes|^4 results to make, 0.03 minutes'
says out '^\| traces \| start \| products \| 0 min \| 0.01 min \|$'
says out ', 1 threads; version .*; 20[0-9-]*\.$'
for start in "scratch, AdamW" "scratch, Muon"; do
    row "$start" 2
    says rows '\|  \| [0-9]+\.[0-9] \|$'
    says rows '\| 0.01 \| 1 \| [0-9.]+ \| [1-9][0-9]* \| [0-9.]+ \| [0-9.]+ \| [1-9][0-9,]* \| [1-9][0-9,]* \|$'
done
base="base $(sha256sum <base.h5 | cut -c1-8)"
row "$base" 3
says rows '\| [0-9]+\.[0-9] \| [0-9]+\.[0-9] \|$'
says rows '\| 0 \| 1 \| [0-9.]+ \| [1-9][0-9]* \| [0-9.]+ \| [0-9.]+ \| 0 \| 0 \|$'
cmp -s out bench/table.md || fail "table.md is another table"
[ ! -e bench/run ] || fail "a model is left behind"

# a rerun makes nothing; of more seeds only the new one is made, and the range is shown
find bench/c bench/cells -type f -exec stat -c '%i %Y %n' {} + | sort >before
expect 0 bench
find bench/c bench/cells -type f -exec stat -c '%i %Y %n' {} + | sort | cmp -s - before || fail "a rerun made something"
[ ! -s err ] || fail "a rerun says something: $(cat err)"
STARTS=base MINUTES=0 SEEDS='1 2' expect 0 bench
[ "$(grep -c 'min, seed' err)" = 1 ] || fail "not one result was made: $(cat err)"
row "$base" 3; says rows '\| 0 \| 2 \| [0-9.]+ \([0-9.]+-[0-9.]+\) \|'
row "scratch, Muon" 2

# of a result that was taken away only that one is made; a remark in the settings changes nothing, a setting does
rm "$(find bench/cells -name 'muon-*.json')"
echo "# a remark" >>recipe.conf
expect 0 bench
[ "$(grep -c 'min, seed' err)" = 1 ] || fail "not one result was made: $(cat err)"
sed -i 's/^max-tokens = .*/max-tokens = 150/' recipe.conf
STARTS=base MINUTES=0 expect 0 bench
row "$base" 2
says out '^Results of other settings or traces, kept in cells and not shown: 5\.$'

# a set without its traces is named; what is not there or unknown is refused in a sentence, before anything is made
SETS='c d' STARTS=base MINUTES=0 expect 0 bench
says out '^Set d is left out: CSV= names real traces'
BASE_MODEL=none MINUTES=0 expect 0 bench; says out '^The rows from the base are left out: BASE_MODEL=none\.$'
CSV=nowhere.csv expect 1 bench; one_sentence; says err 'there is no CSV=nowhere.csv'
BASE_MODEL=nowhere.h5 expect 1 bench; one_sentence; says err 'there is no BASE_MODEL=nowhere.h5'
CONFIG_c=nowhere.conf expect 1 bench; one_sentence; says err 'there is no CONFIG_c=nowhere.conf'
SETS='c e' expect 2 bench; one_sentence; says err 'SETS= names e; there are a b c d'
MINUTES='1 ten' expect 2 bench; one_sentence; says err 'MINUTES= holds "ten"'
PRECISIONS=f16 expect 2 bench; one_sentence; says err 'PRECISIONS= names f16'

# one that is stopped leaves no result and no model
find bench/cells -type f | sort >before
STARTS=muon MINUTES=5 setsid bash "$SRC/tests/bench_accuracy.sh" "$BIN" "$PWD/bench" >out 2>err &
for _ in $(seq 1200); do [ ! -d bench/run/pretrain ] || break; sleep 0.1; done
kill -TERM -- -$! || fail "no training to stop: $(cat err)"
wait $!; [ $? = 130 ] || fail "stopped, yet not 130: $(cat err)"
says err '^stopped; the same command makes what is missing$'
[ ! -e bench/run ] || fail "a model is left behind"
find bench/cells -type f | sort | cmp -s - before || fail "a stopped training left a result"

# a training that fails ends the run with its own sentence, and makes no result of it
head -c 4000 base.h5 >broken.h5
find bench/cells -type f | sort >before
BASE_MODEL=$PWD/broken.h5 STARTS=base expect 1 bench
says err 'broken.h5'; says err 'set c, base, f32, 0 minutes, seed 1 failed; what was done before is kept in'
find bench/cells -type f | sort | cmp -s - before || fail "a failed training left a result"

# real traces are set d, by any path; the front door knows the variables
cp traces/CallGraph_0.csv 'my traces.csv'
SETS=d CSV='my traces.csv' CONFIG_d=recipe.conf STARTS=base MINUTES=0 expect 0 bench
says out "^\| d: real \| $base \| float32 \| [0-9.]+ \|"
make -C "$SRC" --no-print-directory -n -o build BUILD="$(dirname "$BIN")" bench-accuracy CONFIG_c="$CONFIG_c" SETS=c STARTS=muon THREADS=1 >out 2>err ||
    fail "the front door: $(cat err)"
says out 'bash tests/bench_accuracy.sh'
exit 0
