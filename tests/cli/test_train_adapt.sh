# A base model taken over to another system: adapt, pretrain and sft with --base-model, and weights alone in bfloat16.
world() { # NAME SEED
    loom-preprocess sample-traces --profile tiny --traces 400 --seed "$2" -q -o "$1" || fail "no traces"
    loom-preprocess graphs -q "$1"/CallGraph_?.csv -o "$1.graphs.zst" || fail "no graphs"
    loom-preprocess encode -q "$1.graphs.zst" --mode instruction -o "$1.txt.zst" || fail "no text"
    loom-preprocess tokenizer -q "$1.txt.zst" -o "$1.json" || fail "no tokenizer"
    loom-preprocess tokens -q "$1.txt.zst" --tokenizer "$1.json" -o "$1.tokens.h5" || fail "no shard"
}
world one 1
world two 2
common="--batch-tokens 768 --no-plot -q"
shape="--hidden 24 --layers 2 --heads 2 --context 768"
expect 0 loom-train pretrain one.tokens.h5 -o one $shape $common --steps 60 --lr 1e-2

# weights alone, half as large; the weights are those of the model, rounded
expect 0 loom-train export one -o base.h5 --dtype bf16
says err 'base.h5: checkpoint of the weights'
expect 0 loom-train export one -o whole.h5 -q
[ $((2 * $(stat -c %s base.h5))) -lt $(($(stat -c %s whole.h5) + 200000)) ] || fail "bfloat16 is not half as large"
expect 0 loom-train info --verify --tensors --meta base.h5
says out 'q_proj.weight +BF16'; says out '"source_meta"'; ! grep -q adam_m out || fail "moments are in the file"
expect 2 loom-train export one -o base.h5; one_sentence; says err 'exists already'

# without training: the same format, other names; reproducible
expect 0 loom-train adapt base.h5 --tokenizer two.json -o adapted.h5
says err '368 tokens shared, [0-9]+ microservices and [0-9]+ services new'
expect 0 loom-train info --verify --meta adapted.h5; says out '"base_digest": *"[0-9a-f]{16}"'; says out '"base_meta"'
floats() { # MODEL: its weights, without the header
    loom-train export "$1" -o "$1.hf" --force -q || fail "no export"
    tail -c +$(($(od -An -tu8 -N8 "$1.hf/model.safetensors") + 9)) "$1.hf/model.safetensors"
}
expect 0 loom-train adapt base.h5 --tokenizer two.json -o again.h5 -q
expect 0 loom-train adapt base.h5 --tokenizer two.json -o other.h5 -q --seed 2
for m in adapted again other; do floats $m.h5 >$m.floats; done
cmp -s adapted.floats again.floats || fail "the same seed gives other weights"
! cmp -s adapted.floats other.floats || fail "another seed gives the same weights"
expect 0 loom-train adapt adapted.h5 --tokenizer two.json -o same.h5; says err 'nothing is replaced'
expect 2 loom-train adapt base.h5 -o x.h5; one_sentence; says err '--tokenizer'
expect 2 loom-train adapt base.h5 --tokenizer two.json; one_sentence; says err '--output'
expect 1 loom-train adapt nowhere.h5 --tokenizer two.json -o x.h5; one_sentence
expect 1 loom-train adapt base.h5 --tokenizer one.txt.zst -o x.h5; one_sentence
expect 2 loom-train adapt base.h5 --tokenizer two.json -o adapted.h5; one_sentence; says err 'exists already'

# it predicts the other system's texts far better than random weights do
loss() { sed -E 's/.*"valid_loss":([0-9.]+).*/\1/' out; }
expect 0 loom-train pretrain two.tokens.h5 -o random $shape $common --steps 1 --lr 1e-9 --valid two.tokens.h5 --json
random=$(loss)
expect 0 loom-train pretrain two.tokens.h5 -o start --base-model base.h5 --context 768 $common --steps 1 --lr 1e-9 \
    --valid two.tokens.h5 --json
start=$(loss)
awk "BEGIN { exit !($start < 0.75 * $random) }" || fail "adapted $start, random $random"
expect 0 loom-train pretrain two.tokens.h5 -o start2 --init adapted.h5 --context 768 $common --steps 1 --lr 1e-9 \
    --valid two.tokens.h5 --json
[ "$(loss)" = "$start" ] || fail "adapt and --base-model make other models: $(loss), $start"

# it carries the names of the other system alone, from the first step and when it goes on
names() { loom-train info --json "$1" | sed -E 's/.*"microservices":([0-9]+),"services":([0-9]+).*/\1 \2/'; }
[ "$(names start)" = "$(names two.tokens.h5)" ] || fail "names of the base are left: $(names start), $(names two.tokens.h5)"
loom-train info --json adapted.h5 | grep -q microservices && fail "a model that was not trained carries names"

# a run from it goes on bit for bit, with the base's digest in its model
run="loom-train pretrain two.tokens.h5 --base-model base.h5 --context 768 $common --steps 6"
expect 0 $run -o six
expect 0 $run -o three --stop-after 3
expect 0 $run -o three
floats six >six.floats; floats three >three.floats
cmp -s six.floats three.floats || fail "a run that was stopped ends with other weights"
digest=$(loom-train info --meta adapted.h5 | sed -nE 's/.*"base_digest": *"([0-9a-f]+)".*/\1/p')
for m in six three; do
    expect 0 loom-train info --meta $m; says out "\"base_digest\": *\"$digest\""
done
expect 2 loom-train pretrain two.tokens.h5 --base-model adapted.h5 --context 768 $common --steps 6 -o three
one_sentence; says err 'checksum of the base'

# all weights in training may see more positions than the base had: those of an adapter's base stay as they are
expect 0 loom-train sft two.tokens.h5 --base-model base.h5 --no-lora --context 900 --batch-tokens 900 --steps 1 --no-plot -q -o longer
expect 0 loom-train export longer -o longer.hf -q; says longer.hf/config.json '"max_position_embeddings": *900'
expect 2 loom-train sft two.tokens.h5 --base adapted.h5 --lora --context 900 --batch-tokens 900 --steps 1 --no-plot -q -o lora
says err '900 is more than the 768 positions of adapted.h5; lower it'

# the shape is the base's; what the command line says otherwise is refused, a configuration file is for other runs too
printf '[pretrain]\nhidden = 64\nlayers = 3\n' >c.conf
expect 0 loom-train pretrain --config c.conf two.tokens.h5 --base-model base.h5 --context 768 $common --steps 1 -o conf
expect 0 loom-train info conf; says out 'hidden size +24|24'
expect 2 loom-train pretrain two.tokens.h5 --base-model base.h5 --context 768 $common --steps 1 -o x --hidden 64
one_sentence; says err '--hidden is 64 here, but 24 in the base model base.h5'
expect 2 loom-train pretrain two.tokens.h5 --base-model base.h5 --context 768 $common --steps 1 -o x --no-tie-embeddings
one_sentence; says err '--tie-embeddings'
expect 0 loom-train pretrain two.tokens.h5 --base-model base.h5 --context 768 $common --steps 1 -o x --dry-run
[ ! -e x ] || fail "left x behind"

# none is none; two starts are too many; an adapter needs a file
expect 0 loom-train pretrain two.tokens.h5 --base-model none $shape $common --steps 1 -o none
expect 2 loom-train pretrain two.tokens.h5 --base-model base.h5 --init adapted.h5 $common -o x; one_sentence
says err 'one of --init and --base-model'
expect 0 loom-train sft two.tokens.h5 --base-model base.h5 --no-lora --context 768 $common --steps 2 -o tuned
expect 2 loom-train sft two.tokens.h5 --base-model base.h5 --context 768 $common --steps 2 -o x; one_sentence
says err 'loom-train adapt'
expect 2 loom-train sft two.tokens.h5 --base-model none --no-lora $common -o x; one_sentence; says err '--base is missing'

# export can give a model the names that its graphs shall keep to
size="--edges 2 --depth 2 --constrain full --temperature 1 --seed 3"
expect 0 loom-train export none -o named.h5 --names two.tokens.h5
expect 0 loom-infer sample --model named.h5 $size -n 3 --records g.graphs -o a.jsonl
grep -q 'carries no names' err && fail "the names were not taken"
[ "$(grep -c . g.graphs)" = 3 ] || fail "not three graphs"
expect 1 loom-train export none -o x.h5 --names named.h5; one_sentence; says err 'named.h5'
[ ! -e x.h5 ] || fail "left x.h5 behind"

# another format is refused by its first token
sed 's/"latency:":/"latenz:":/' two.json >german.json
expect 1 loom-train adapt base.h5 --tokenizer german.json -o x.h5
one_sentence; says err 'token 269 is "latency:" in base.h5, but "latenz:" in german.json'
exit 0
