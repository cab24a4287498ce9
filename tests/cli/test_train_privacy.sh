# Adapters with differential privacy: what would break the guarantee is refused, a stopped run spends the same budget and ends with
# the same bits, the adapter tells nothing but itself, and a model that has its graphs by heart does not with it.
expect 0 loom-preprocess sample-traces --profile tiny --traces 3000 -q -o traces
expect 0 loom-preprocess graphs traces -q -o raw.graphs
expect 0 loom-preprocess dedupe raw.graphs -q -o all.graphs
[ "$(wc -l <all.graphs)" -ge 400 ] || fail "too few graphs: $(wc -l <all.graphs)"
sed -n 1,150p all.graphs >public.graphs; sed -n 151,230p all.graphs >train.graphs; sed -n 271,390p all.graphs >valid.graphs
for s in public train valid; do expect 0 loom-preprocess encode $s.graphs --mode tabular -q -o $s.txt; done
cat public.txt train.txt valid.txt >all.txt; expect 0 loom-preprocess tokenizer all.txt -q -o tokenizer.json
for s in public train valid; do expect 0 loom-preprocess tokens $s.txt --tokenizer tokenizer.json -q -o $s.tokens.h5; done
net="--context 1024 --no-plot --compute f32 --threads 1 -q"
expect 0 loom-train pretrain public.tokens.h5 -o base --hidden 48 --layers 2 --heads 4 $net --batch-tokens 2048 --lr 4e-3 --optimizer muon --steps 100
tune="loom-train pretrain train.tokens.h5 --init base/model.h5 --lora --lora-rank 32 --lora-alpha 64 --lora-dropout 0 --lora-targets all $net"

# by heart without, not with
expect 0 $tune -o heart --batch-tokens 2048 --lr 1e-2 --weight-decay 0 --steps 300
expect 0 $tune -o guarded --lr 1e-2 --weight-decay 0 --steps 150 --clip 0.5 --dp epsilon=2,delta=1e-4,graphs=16 --dp-secret 5
ask="--members train.tokens.h5 --others valid.tokens.h5 --threads 1 --json"
auc() { sed -nE '/"membership": \{/,/\}/ s/.*"auc": ([0-9.e-]+),?$/\1/p' out; }
expect 0 loom-eval privacy -m base --adapter heart $ask -o p1; by_heart=$(auc)
expect 0 loom-eval privacy -m base --adapter guarded $ask -o p2; hidden=$(auc)
awk "BEGIN { exit !($by_heart > 0.7 && $hidden < 0.6) }" || fail "area under the curve $by_heart without --dp, $hidden with"

# training.json tells what was spent; the adapter tells no count, checksum or name of the graphs
for what in '"unit":"graph"' '"epsilon":(1\.9|2,)' '"delta":0.0001' '"steps":150' '"graphs":80' '"graphs_a_step":16' '"graphs_alike":0' '"most_alike":1'; do
    grep -qE "\"privacy\":\{.*$what" guarded/training.json || fail "training.json does not say $what: $(cat guarded/training.json)"
done
expect 0 loom-train info --json guarded
says out '"tokens_trained":0[,}]'
expect 0 loom-train info guarded --meta
says out '"dp": *"epsilon=2'
digest=$(sed -nE 's/.*"output_xxh3_128": "([0-9a-f]+)".*/\1/p' train.tokens.h5.meta.json); [ ${#digest} = 32 ] || fail "no digest"
if grep -qE "train\.(tokens|txt)|$digest|\"samples\":80" out; then fail "the adapter tells of its data: $(cat out)"; fi
expect 0 loom-train info heart --meta; says out "$digest"; says out '"samples":80' # as any other adapter does

# a stopped run: the same bits and the same budget
few="$tune --lr 1e-2 --steps 6 --dp noise=0.9,delta=1e-4,graphs=12"
expect 0 $few -o whole --dp-secret 9
expect 0 $few -o parts --dp-secret 9 --stop-after 2
[ ! -e parts/adapter.h5 ] || fail "an adapter of a run that is not done"
expect 0 $few -o parts
for run in whole parts; do expect 0 loom-train export $run -o $run-peft -q; done
cmp whole-peft/adapter_model.safetensors parts-peft/adapter_model.safetensors || fail "another adapter after a stop"
spent() { sed -E 's/.*"privacy":(\{[^}]*\}).*/\1/' "$1/training.json"; }
[ "$(spent whole)" = "$(spent parts)" ] || fail "another budget after a stop: $(spent whole), $(spent parts)"
# without a secret of its own each run has another noise
for run in a b; do expect 0 $few -o $run; expect 0 loom-train export $run -o $run-peft -q; done
if cmp -s a-peft/adapter_model.safetensors b-peft/adapter_model.safetensors; then fail "two runs with the same noise"; fi

# going on otherwise, or where the guarantee would not hold
refuse() { expect 2 "$@"; one_sentence; }
expect 0 $few -o going --stop-after 2
refuse $tune --lr 1e-2 --steps 6 -o going; says err '"none" here'
refuse $tune --lr 1e-2 --steps 6 --dp noise=0.8,delta=1e-4,graphs=12 -o going; says err '\-\-dp is "noise=0.8'
refuse $few --clip 2 -o going; says err '\-\-clip'
refuse $tune -o x --dp epsilon=8 --valid valid.tokens.h5; says err '\-\-no-best'
refuse $tune -o x --dp epsilon=8 --valid valid.tokens.h5 --patience 3; says err '\-\-patience lets'
refuse $tune -o x --dp epsilon=8 --minutes 1; says err '\-\-minutes'
refuse $tune -o x --dp epsilon=8 --tokens 5000; says err '\-\-tokens'
refuse $tune -o x --dp epsilon=8 --overfit 8; says err 'smaller shard'
refuse $tune -o x --dp epsilon=8 --packing joined; says err 'packing samples'
refuse $tune -o x --dp epsilon=8 --clip 0; says err '\-\-clip more than 0'
refuse $tune -o x --dp epsilon=8 --shards 4; says err 'one process'
refuse $tune -o x --dp epsilon=8,noise=1; says err 'one of epsilon'
refuse $tune -o x --dp delta=2; says err 'is none of'
refuse $tune -o x --dp epsilon=8,graphs=500; says err 'there are 80'
refuse loom-train pretrain train.tokens.h5 -o x --hidden 16 --layers 1 --heads 2 $net --dp epsilon=8; says err 'adapters'
refuse $tune valid.tokens.h5 -o x --dp epsilon=8; says err 'takes one token shard'
# text in which a graph stands more than once, or in pieces that do not stand together
tokens() { expect 0 loom-preprocess tokens "$1" --tokenizer tokenizer.json -q -f -o odd.tokens.h5; }
odd() { expect "$1" loom-train pretrain odd.tokens.h5 --init base/model.h5 --lora $net -o x --dp epsilon=8,graphs=8; one_sentence; says err "$2"; }
expect 0 loom-preprocess balance train.txt -q -o odd.txt; tokens odd.txt; odd 2 'text of loom-preprocess balance'
expect 0 loom-preprocess encode train.graphs --mode tabular --copies 2 -q -f -o odd.txt; tokens odd.txt; odd 2 'encode --copies'
expect 0 loom-preprocess encode train.graphs --mode instruction --shuffle -q -f -o odd.txt; tokens odd.txt; odd 2 'encode --copies, --shuffle'
cp train.txt unknown.txt; tokens unknown.txt; odd 1 'does not tell how its text was made'
[ ! -e x ] || fail "a run that was refused left a folder"

# instruction text: a graph is all its layers; canaries that stand three times are counted
expect 0 loom-preprocess canaries train.graphs -q -o marked.graphs --planted p.graphs --twins t.graphs --canaries 5 --repeats 3
expect 0 loom-preprocess encode marked.graphs --mode tabular -q -f -o m.txt; tokens m.txt
expect 0 loom-train pretrain odd.tokens.h5 --init base/model.h5 --lora $net -o m --dp epsilon=8,graphs=8 --dry-run; says out 'any one of 95 graphs'
says err '15 graphs have the text of another, up to 3 the same'
expect 0 loom-preprocess encode train.graphs --mode instruction -q -f -o i.txt; expect 0 loom-preprocess tokens i.txt --tokenizer tokenizer.json -q -o i.tokens.h5
expect 0 loom-train sft i.tokens.h5 --base base/model.h5 --context 1024 --compute f32 --threads 1 --dp epsilon=8 -o i --dry-run; says out 'any one of 80 graphs'
