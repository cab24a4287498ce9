# Files that an earlier version wrote (tests/frozen) are read, and a run that it began goes on. A format that has to change is read
# in its old form as well, or refused with a sentence: these files stay as they are, and new ones are added beside them.
F=$SRC/tests/frozen
cp -r "$F"/. . && chmod -R u+w .

expect 0 loom-preprocess dedupe graphs.graphs.zst -o again.graphs.zst
cmp -s <(zstdcat graphs.graphs.zst) <(zstdcat again.graphs.zst) || fail "the store reads differently"
n=$(zstdcat graphs.graphs.zst | wc -l)
[ "$n" -gt 10 ] || fail "the frozen store holds $n graphs"
for mode in tabular recursive instruction; do
    expect 0 loom-preprocess encode graphs.graphs.zst --mode $mode --stats stats.json -o $mode.new.txt.zst
    expect 0 loom-preprocess tokens $mode.txt.zst --tokenizer tokenizer.json --max-tokens 1000000 -o $mode.tokens.h5
done
expect 0 loom-preprocess balance instruction.txt.zst --exponent 1 -o balanced.txt.zst

# a shard, a model, an adapter, and a run that was stopped after two of four steps
expect 0 loom-train info run/model.h5; says out 'parameters'
expect 0 loom-train info adapter.h5
rm run/model.h5 run/training.json
expect 0 loom-train pretrain i.tokens.h5 --hidden 8 --layers 1 --heads 2 --ffn 16 --context 1024 --batch-tokens 1024 --steps 4 --save-every 2 \
    --no-plot --threads 1 -o run
says err 'step-00000002|going on|goes on|resum'
[ "$(tail -n 1 run/curve.csv | cut -d, -f1)" = 4 ] || fail "the run did not go on: $(cat run/curve.csv)"
cp "$F/run/model.h5" "$F/run/training.json" run/

# prompts and answers
expect 0 loom-eval oracle p.prompts.jsonl -o new.answers.jsonl
expect 0 loom-eval heatmap o.answers.jsonl --prompts p.prompts.jsonl --no-pictures -o results
says out 'oracle|100'
loom-infer sample --model "$F/run" --prompts p.prompts.jsonl --max-tokens 2 -q -o s.answers.jsonl 2>err
[ -s s.answers.jsonl ] || { cat err >&2; fail "the frozen model writes nothing"; }

# graphs as others read them
for f in csv json jsonl; do
    expect 0 loom-infer convert c.$f -o c.$f.graphs
    [ "$(wc -l <c.$f.graphs)" = 8 ] || fail "c.$f holds $(wc -l <c.$f.graphs) graphs, not 8"
done
expect 0 loom-preprocess graphs c.csv -o rows.graphs.zst
expect 0 loom-eval distribution graphs.graphs.zst --no-pictures -o results
