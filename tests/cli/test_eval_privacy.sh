# What a model gives away: one that has learned its graphs by heart says so, canaries included; one that has learned next to
# nothing does not.
expect 0 loom-preprocess sample-traces --profile tiny -q -o traces
expect 0 loom-preprocess graphs traces -o raw.graphs
expect 0 loom-preprocess dedupe raw.graphs -o all.graphs
expect 0 loom-preprocess split all.graphs --train some.graphs --valid rest.graphs --modulo 2
shuf --random-source=<(yes) -n 150 some.graphs >train.graphs; shuf --random-source=<(yes) -n 150 rest.graphs >valid.graphs
expect 0 loom-preprocess canaries train.graphs -o marked.graphs --planted planted.graphs --twins twins.graphs --canaries 20 --twin-count 150
[ "$(wc -l <marked.graphs)" = 170 ] && [ "$(wc -l <planted.graphs)" = 20 ] && [ "$(wc -l <twins.graphs)" = 150 ] || fail "other numbers of canaries"
same <(tail -n 20 marked.graphs) planted.graphs || fail "what was planted is something else"
expect 0 loom-preprocess graphs planted.graphs twins.graphs -o valid-ones.graphs; [ "$(wc -l <valid-ones.graphs)" = 170 ] || fail "canaries that are not valid"
expect 0 loom-preprocess canaries train.graphs -o m2 --planted p2 --twins t2 --canaries 20 --twin-count 150; cmp p2 planted.graphs || fail "the same seed plants others"
expect 0 loom-preprocess canaries train.graphs -o m3 --planted p3 --twins t3 --canaries 5 --repeats 3; [ "$(wc -l <m3)" = 165 ] || fail "repeats"
expect 1 loom-preprocess canaries train.graphs -o x --planted y --twins z --calls 900; one_sentence; [ ! -e x ] || fail "canaries of nothing"
expect 2 loom-preprocess canaries train.graphs -o x; one_sentence

for s in marked train valid planted twins; do expect 0 loom-preprocess encode $s.graphs --mode tabular -o $s.txt; done
expect 0 loom-preprocess tokenizer marked.txt valid.txt twins.txt -o tokenizer.json
for s in marked train valid planted twins; do expect 0 loom-preprocess tokens $s.txt -t tokenizer.json -o $s.tokens.h5; done
net="--hidden 64 --layers 2 --heads 4 --context 512 --batch-tokens 1024 --no-plot --compute f32 --threads 1"
expect 0 loom-train pretrain marked.tokens.h5 -o heart $net --lr 4e-3 --optimizer muon --steps 400 -q
expect 0 loom-train pretrain marked.tokens.h5 -o hardly $net --lr 1e-3 --steps 3 -q
ask="--members train.tokens.h5 --others valid.tokens.h5 --planted planted.tokens.h5 --twins twins.tokens.h5 --threads 1"
value() { sed -nE "/\"$2\": \{/,/\}/ s/.*\"$3\": ([0-9.e-]+),?$/\1/p" "$1"; }
above() { awk "BEGIN { exit !($1 > $2) }"; }
expect 0 loom-eval privacy -m heart $ask -o r --json; cp out heart.json
cmp heart.json r/privacy_attack.json || fail "the folder holds other numbers"
above "$(value heart.json membership auc)" 0.7 || fail "a model that has learned by heart is not told: $(cat heart.json)"
above "$(value heart.json membership auc_lo)" 0.5 || fail "its interval holds chance: $(cat heart.json)"
above "$(value heart.json canaries auc)" 0.7 || fail "canaries are not told: $(cat heart.json)"
above "$(sed -nE 's/.*"canaries_found": ([0-9]+).*/\1/p' heart.json)" 5 || fail "canaries are not found: $(cat heart.json)"
expect 0 loom-eval privacy -m heart $ask -o r -f
says out 'Membership: the model knows its training graphs by heart'; says out 'Canaries: [0-9]+ of 20 were found'
expect 3 loom-eval privacy -m heart $ask -o r -f --fail-above 0.7; says err 'more than the 0.700 allowed'
expect 0 loom-eval privacy -m hardly $ask -o r2 --json
above 0.65 "$(value out membership auc)" || fail "a model that has learned nothing is told: $(cat out)"
expect 0 loom-eval privacy -m hardly $ask -o r2 -f; says out 'this attack finds no difference; that is no proof'

# nearness needs no model
expect 0 loom-eval privacy --train train.graphs --heldout valid.graphs train.graphs -o n --json
[ "$(value out generated_to_training same_calls)" = 150 ] || fail "training graphs are not near themselves: $(cat out)"
above 150 "$(value out heldout_to_training same_calls)" || fail "held-out graphs: $(cat out)"
says out '"rare_names_generated"'
expect 0 loom-eval privacy --train train.graphs valid.graphs -o n -f; says out 'Nearness is a number, no verdict'

# bad use
expect 2 loom-eval privacy -o x; one_sentence
expect 2 loom-eval privacy -m heart --members train.tokens.h5 -o x; one_sentence; says err '--others'
expect 2 loom-eval privacy --members train.tokens.h5 --others valid.tokens.h5 -o x; one_sentence; says err '--model'
expect 2 loom-eval privacy train.graphs -o x; one_sentence; says err '--train'
expect 0 loom-preprocess tokenizer train.txt valid.txt -o other.json
expect 0 loom-preprocess tokens valid.txt -t other.json -o other.tokens.h5
expect 2 loom-eval privacy -m heart --members train.tokens.h5 --others other.tokens.h5 -o x; one_sentence; says err 'another tokenizer'
[ ! -e x ] || fail "a report of nothing"
