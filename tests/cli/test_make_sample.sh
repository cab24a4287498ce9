# make sample: valid graphs of the wished size as records, as a table and drawn, from any model; the recipe of the base model
# can be read.
front() { make -C "$SRC" --no-print-directory -o build BUILD="$(dirname "$BIN")" SAMPLED="$PWD/new" "$@" >out 2>err; }
front sample MODEL="$PWD/missing.h5" && fail "samples from no model"
says err "there is no model $PWD/missing.h5: give MODEL= .* 'make base'"
[ ! -e new ] || fail "a folder for nothing"

# a model of seconds, made of worlds and made-up names as the base is
expect 0 loom-preprocess sample-traces --profile base --seed 7 --traces 400 --files 1 -o traces -q
expect 0 loom-preprocess graphs traces -o g.graphs.zst -q
expect 0 loom-preprocess encode g.graphs.zst --items listed --max-edges 10 -o named.txt -q
expect 0 loom-preprocess balance named.txt --renamed 1 --names 40:10 --samples 600 -o text.txt -q
expect 0 loom-preprocess tokenizer text.txt --name-tokens 50 -o tokenizer.json -q
expect 0 loom-preprocess tokens text.txt --max-tokens 1024 -o s.tokens.h5 -q
expect 0 loom-train pretrain s.tokens.h5 -o model --hidden 32 --layers 2 --heads 2 --steps 8 --batch-tokens 1024 -q

front sample MODEL="$PWD/model" N=2 EDGES=4 DEPTH=3 || fail "no sample: $(cat err)"
[ "$(grep -cE '^#[01] S_[0-9]+, 4 calls, depth 3, [0-9]+ ms$' out)" = 2 ] || fail "not two trees of the size asked for: $(cat out)"
[ "$(zstdcat new/new.graphs.zst | wc -l)" = 2 ] || fail "not two records"
[ "$(($(wc -l <new/new.csv) - 1))" = 8 ] || fail "not eight rows"
expect 0 loom-preprocess graphs new/new.csv -o back.graphs.zst; says err '2 .*graphs'
front sample MODEL="$PWD/model" N=2 EDGES=4 DEPTH=3 || fail "a second time"
front sample MODEL="$PWD/model" N=1 EDGES=2 DEPTH=4 && fail "a graph of two calls and four levels"

# every rule of the base's data and training can be planned; seeds of worlds are not shared with those it is validated on
make -C "$SRC" --no-print-directory -f Makefile.base -n BIN="$BIN" CONFIG=configs/base.conf OUT="$PWD/base" WORLDS="1 2" UNSEEN=9 base >plan 2>err || fail "no plan: $(cat err)"
for step in 'sample-traces .*--seed 1 ' 'sample-traces .*--seed 9 ' 'encode .*--mode tabular' 'balance .*recursive.train' 'pretrain .*instruction.train.tokens.h5 .*recursive.train.tokens.h5 .*tabular.train.tokens.h5' 'export .*bf16'; do
    says plan "$step"
done
for section in sample-traces split encode balance tokenizer tokens; do
    expect 0 loom-preprocess $section --config "$SRC/configs/base.conf" --print-config
done
expect 0 loom-train pretrain --config "$SRC/configs/base.conf" --print-config
make -C "$SRC" --no-print-directory -f Makefile.base -n BIN="$BIN" CONFIG=configs/base.conf OUT="$PWD/base" base >plan 2>err || fail "no plan: $(cat err)"
front -n base WORLDS="3 4" SAMPLES_tabular=77 || fail "make base knows no WORLDS: $(cat err)"
says out 'sample-traces .*--seed 4 '
says out "--samples 77 "
grep -oE 'sample-traces .*--seed [0-9]+' plan | grep -oE '[0-9]+$' >seeds
[ "$(wc -l <seeds)" -ge 50 ] && [ -z "$(sort seeds | uniq -d)" ] || fail "a world is drawn twice: learned from and validated on"
exit 0
