# Token shards and checkpoints that are damaged, cut short or of another kind: one sentence, exit 1 (or 2), no crash.
loom-preprocess sample-traces --profile tiny --traces 300 -q -o traces || fail "no traces"
loom-preprocess graphs -q traces -o g.graphs.zst || fail "no graphs"
loom-preprocess encode -q g.graphs.zst --mode tabular -o t.txt.zst || fail "no text"
loom-preprocess tokenizer -q t.txt.zst -o tokenizer.json || fail "no tokenizer"
loom-preprocess tokens -q t.txt.zst --tokenizer tokenizer.json -o t.tokens.h5 || fail "no shard"
tiny="--hidden 16 --layers 1 --heads 2 --context 128 --batch-tokens 256 --no-plot -q"

expect 0 loom-train pretrain t.tokens.h5 --valid t.tokens.h5 -o run $tiny --steps 5
[ -f run/model.h5 ] && [ -f run/curve.csv ] && [ -f run/step-00000005.h5 ] || fail "outputs are missing"
[ "$(wc -l <run/curve.csv)" -ge 2 ] || fail "no learning curve"

# info says what each is
expect 0 loom-train info --json t.tokens.h5 run run/step-00000005.h5
says out '"kind":"token shard"'
says out '"kind":"checkpoint".*"step":5'
[ "$(wc -l <out)" = 3 ] || fail "one JSON object a line"
expect 0 loom-train info --verify --tensors --meta run
says out 'model.embed_tokens.weight +F32 \[[0-9]+, 16\]'
says out 'all checksums agree'
says out '"subcommand": *"pretrain"'

# the mean of two models, weight by weight; of one and itself, the model
expect 0 loom-train pretrain t.tokens.h5 -o two $tiny --steps 5 --seed 2
expect 0 loom-train average run two -o mean.h5; says err 'mean of 2 models'
expect 0 loom-train average run/model.h5 run -o same.h5 -q
for m in run two mean.h5 same.h5; do
    expect 0 loom-train export $m -o $m.hf -q
    tail -c 4000 $m.hf/model.safetensors | od -An -v -w4 -tf4 >$m.floats
done
paste run.floats two.floats mean.h5.floats same.h5.floats | awk '
    { m = ($1 + $2) / 2; if ($3 - m > 1e-6 || m - $3 > 1e-6 || $4 != $1) bad = NR; if ($1 != $2) differ++ }
    END { if (NR != 1000 || differ < 900 || bad) { print NR, differ, bad; exit 1 } }' >wrong || fail "not the mean: $(cat wrong)"
expect 0 loom-train info --meta mean.h5; says out '"models": *\["run/model.h5","two/model.h5"\]'
expect 0 loom-train pretrain t.tokens.h5 -o wide ${tiny/16/32} --steps 1
expect 2 loom-train average run wide -o x.h5; one_sentence; says err 'other sizes'
expect 0 loom-train pretrain t.tokens.h5 -o heads ${tiny/heads 2/heads 4} --steps 1
expect 2 loom-train average run heads -o x.h5; one_sentence; says err 'other sizes' # the same tensors, another model
expect 2 loom-train average run two; one_sentence; says err '--output is missing'
expect 2 loom-train average run -o x.h5; one_sentence
expect 2 loom-train average run two -o mean.h5; one_sentence; says err 'mean.h5'
[ ! -e x.h5 ] || fail "a refused average left a file"

# the wrong kind of file
echo hello >text.h5
expect 1 loom-train info text.h5; one_sentence; says err 'not an HDF5 file'
expect 1 loom-train pretrain text.h5 -o x $tiny; one_sentence; says err 'not an HDF5 file'
expect 1 loom-train pretrain run/model.h5 -o x $tiny; one_sentence; says err 'is no token shard.*spanloom-checkpoint'
expect 1 loom-train sft t.tokens.h5 --base t.tokens.h5 -o x -q; one_sentence; says err 'is no checkpoint'
expect 1 loom-train info nothere; one_sentence
expect 1 loom-train pretrain nothere.tokens.h5 -o x $tiny; one_sentence; says err 'nothere.tokens.h5'
expect 1 loom-train info .; one_sentence; says err 'holds no model'

# damaged and cut short
cp run/model.h5 cut.h5; truncate -s 3000 cut.h5
expect 1 loom-train info cut.h5; one_sentence; says err 'damaged or cut short'
cp t.tokens.h5 cut.tokens.h5; truncate -s 5000 cut.tokens.h5
expect 1 loom-train pretrain cut.tokens.h5 -o x $tiny; one_sentence; says err 'cut.tokens.h5'
cp run/model.h5 bent.h5
size=$(stat -c %s bent.h5)
printf 'XXXXXXXX' | dd of=bent.h5 bs=1 seek=$((size / 3)) conv=notrunc status=none
expect 1 loom-train info --verify bent.h5; one_sentence; says err 'checksum'

# another tokenizer
loom-preprocess tokenizer -q t.txt.zst --name-tokens 4 -o other.json || fail "no tokenizer"
loom-preprocess tokens -q t.txt.zst --tokenizer other.json -o other.tokens.h5 || fail "no shard"
expect 1 loom-train sft other.tokens.h5 --base run -o x --context 128 --loss all -q; says err 'another tokenizer'
expect 1 loom-train pretrain t.tokens.h5 --valid other.tokens.h5 -o x $tiny; one_sentence; says err 'different tokenizers'

# another number of threads gives an adapter other bits, and only an adapter
gone="loom-train sft t.tokens.h5 --base run --loss all --context 128 --batch-tokens 256 --no-plot --steps 6"
expect 0 $gone -o gone -q --stop-after 3 --threads 1
expect 0 $gone -o gone --stop-after 5 --threads 2
says err 'warning: the run had 1 thread so far and goes on with 2: an adapter.s sums'
expect 0 $gone -o gone --threads 2
grep -q 'goes on with' err && fail "the same number of threads is warned about"
expect 0 $gone -o whole --no-lora -q --stop-after 3 --threads 1
expect 0 $gone -o whole --no-lora --threads 2
grep -q 'goes on with' err && fail "a whole model is warned about, whose bits do not depend on threads"

# a tokenizer that sampling could not use is refused on import, and nothing is written
expect 0 loom-train import run.hf -o again.h5 -q
cp -r run.hf uni.hf; sed -i 's/"type": *"BPE"/"type":"Unigram"/' uni.hf/tokenizer.json
expect 1 loom-train import uni.hf -o x.h5; one_sentence; says err 'model Unigram is not supported.*move tokenizer.json away'
cp -r run.hf norm.hf; sed -i 's/"normalizer": *null/"normalizer":{"type":"Lowercase"}/' norm.hf/tokenizer.json
expect 1 loom-train import norm.hf -o x.h5; one_sentence; says err 'normalizer Lowercase is not supported'
expect 0 loom-train pretrain other.tokens.h5 -o few $tiny --steps 1
expect 0 loom-train export few -o few.hf -q
cp tokenizer.json few.hf/
expect 1 loom-train import few.hf -o x.h5; one_sentence; says err 'tokenizer.json has [0-9]+ tokens but the model knows [0-9]+'
[ ! -e x.h5 ] || fail "a refused import left a file"
rm few.hf/tokenizer.json
expect 0 loom-train import few.hf -o weights.h5 -q

# wrong use
expect 2 loom-train pretrain t.tokens.h5 $tiny; says err 'output'
expect 2 loom-train pretrain -o x; says err 'SHARD'
expect 2 loom-train pretrain t.tokens.h5 -o x --hidden 15 -q; one_sentence
expect 2 loom-train pretrain t.tokens.h5 -o x --lora -q; says err '--init'
expect 2 loom-train sft t.tokens.h5 -o x -q; says err '--base'
expect 2 loom-train pretrain t.tokens.h5 -o x --context 1024 --batch-tokens 100 -q; says err '--batch-tokens'
expect 2 loom-train pretrain t.tokens.h5 -o x --steps 5 --tokens 100 -q; says err '--steps'
expect 2 loom-train pretrain t.tokens.h5 -o x --patience 2 -q; says err '--valid'

# a plan instead of a run
expect 0 loom-train pretrain t.tokens.h5 -o planned --dry-run
says out '^memory .*weights'
[ ! -e planned ] || fail "a dry run leaves nothing behind"
expect 0 loom-train pretrain t.tokens.h5 -o planned --dry-run --json
says out '"total_bytes": [0-9]+'

# a run that fails at its start leaves nothing: no folder, no lock; nor does one that has ended keep its lock
expect 1 loom-train pretrain t.tokens.h5 --init nothere -o failed -q; one_sentence; says err 'nothere does not exist'
[ ! -e failed ] || fail "a failed run leaves $(ls -a failed)"
mkdir mine
expect 1 loom-train pretrain t.tokens.h5 --init nothere -o mine -q
[ -d mine ] && [ -z "$(ls -A mine)" ] || fail "a folder of ours was removed, or holds $(ls -A mine)"
[ ! -e run/run.lock ] || fail "a finished run keeps its lock"

# options are called by their names
expect 2 loom-train pretrain t.tokens.h5 -o x --heads 3 -q; one_sentence; says err '--heads 3 does not divide --hidden 256'
expect 2 loom-train pretrain t.tokens.h5 -o x --hidden 24 --heads 8 -q; one_sentence; says err '--hidden 24 and --heads 8 make heads of 3'
expect 2 loom-train pretrain t.tokens.h5 -o x --heads 4 --kv-heads 3 -q; one_sentence; says err '--kv-heads 3 does not divide --heads 4'
[ ! -e x ] || fail "wrong options leave a folder"
expect 1 loom-train info text.h5; says err 'give a checkpoint of loom-train or a shard'

# the disk fills up while exporting (here: a limit on file sizes): no part of a model stays, what was there does
( trap '' XFSZ; ulimit -f 8; loom-train export run -o part -q >out 2>err ); code=$?
[ $code = 1 ] || fail "exit code $code on a full disk"
one_sentence; [ ! -e part ] || fail "a part of a model is left: $(ls part)"
( trap '' XFSZ; ulimit -f 8; loom-train export run -o sharded --max-gb 0.000004 -q >out 2>err ); code=$?
[ $code = 1 ] && [ ! -e sharded ] || fail "exit code $code, $(ls sharded 2>&1)"
mkdir kept && echo keep >kept/notes.json
( trap '' XFSZ; ulimit -f 8; loom-train export run -o kept -q >out 2>err )
[ "$(ls kept)" = notes.json ] || fail "kept holds $(ls kept)"
