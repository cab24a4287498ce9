# Outputs: every program keeps what is there unless told otherwise, with the same sentence and exit code 2; a missing
# folder is named with its cure; a stopped or full output leaves nothing behind.
loom-preprocess sample-traces --profile tiny --traces 200 --files 1 -q -o traces || fail "no traces"
loom-preprocess graphs -q traces -o g.graphs.zst || fail "no graphs"
loom-preprocess encode -q g.graphs.zst --mode tabular -o t.txt.zst || fail "no text"
loom-preprocess tokenizer -q t.txt.zst -o tok.json || fail "no tokenizer"
loom-preprocess tokens -q t.txt.zst --tokenizer tok.json -o t.tokens.h5 || fail "no shard"
loom-train pretrain -q t.tokens.h5 -o run --hidden 16 --layers 1 --heads 2 --context 768 --batch-tokens 768 --steps 1 \
    --no-plot || fail "no model"
loom-train export -q run -o hf || fail "no export"
loom-eval prompts -q g.graphs.zst --mode tabular --per-cell 1 --edges 1:2 --depths 1:2 -o p.jsonl || fail "no prompts"

outputs() { # FILE: every command that writes a file, writing that one
    echo "loom-preprocess graphs traces -o $1
loom-preprocess dedupe g.graphs.zst -o $1
loom-preprocess split g.graphs.zst --train $1 --valid valid.graphs.zst
loom-preprocess stats g.graphs.zst -o $1
loom-preprocess encode g.graphs.zst --mode tabular -o $1
loom-preprocess tokenizer t.txt.zst -o $1
loom-preprocess tokens t.txt.zst --tokenizer tok.json -o $1
loom-train import hf -o $1
loom-infer sample --model run --prompts p.jsonl --max-tokens 4 -o $1
loom-infer convert g.graphs.zst --to csv -o $1
loom-eval prompts g.graphs.zst --per-cell 1 --edges 1:2 --depths 1:2 -o $1
loom-eval oracle p.jsonl -o $1
loom-eval baseline g.graphs.zst --count 3 -o $1"
}
echo precious >there
while read -r command; do
    expect 2 $command -q </dev/null; one_sentence; says err 'there exists already; give --force to replace it$'
    says there precious
done < <(outputs there)
while read -r command; do
    expect 1 $command -q </dev/null; one_sentence; says err 'cannot create nowhere/x: .*; make its folder first$'
    [ ! -e nowhere ] || fail "half a folder"
done < <(outputs nowhere/x)
expect 2 loom-preprocess sample-traces --profile tiny -q -o traces; one_sentence; says err 'give --force'
expect 2 loom-train export -q run -o hf; one_sentence; says err 'give --force'
[ ! -e valid.graphs.zst ] || fail "one of two outputs was written"
ls -A | grep -q 'tmp\.' && fail "a temporary file is left"
true
