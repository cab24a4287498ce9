# What a model started from and how long it was trained: training.json, its copy beside answers, the line under the heat map;
# nothing is said that is not known. And how long a run would take: --dry-run.
loom-preprocess sample-traces --profile tiny --traces 300 -q -o traces || fail "no traces"
loom-preprocess graphs -q traces -o g.graphs.zst || fail "no graphs"
loom-preprocess stats -q g.graphs.zst -o stats.json 2>/dev/null || fail "no statistics"
loom-preprocess encode -q g.graphs.zst --stats stats.json --mode instruction -o t.txt.zst || fail "no text"
loom-preprocess tokenizer -q t.txt.zst -o tokenizer.json || fail "no tokenizer"
loom-preprocess tokens -q t.txt.zst --tokenizer tokenizer.json -o t.tokens.h5 || fail "no shard"
how="--context 1024 --batch-tokens 2048 --no-plot -q --compute f32"
shape="--hidden 16 --layers 1 --heads 2 $how"
digest() { loom-train info --json "$1" | sed -E 's/.*"digest":"([0-9a-f]+)".*/\1/'; }

# training.json tells of the model beside it
expect 0 loom-train pretrain t.tokens.h5 -o one $shape --steps 5 --threads 2
says one/training.json '^\{"format":"spanloom-training-1","model":"model.h5","digest":"[0-9a-f]{16}","command":"pretrain","steps":5,"tokens":[0-9]+,"seconds":[0-9.e-]+,"machines":\[\{"threads":2(,"cpu":"[^"]+")?\}\],"products":"f32","start":\{"from":"random weights"\}\}$'
says one/training.json "\"digest\":\"$(digest one/model.h5)\""
cpu=$(sed -nE '/^model name/ { s/^[^:]*: *//; s/ +/ /g; p; q }' /proc/cpuinfo)
[ -z "$cpu" ] || grep -qF "\"cpu\":\"$cpu\"" one/training.json || fail "not the CPU of this machine: $cpu"

# the parts of a run, each with its threads; a finished run adds nothing, and makes the file anew only when it is gone
expect 0 loom-train pretrain t.tokens.h5 -o two $shape --steps 6 --threads 1 --stop-after 3
[ ! -e two/training.json ] || fail "an unfinished run tells of a result"
expect 0 loom-train pretrain t.tokens.h5 -o two $shape --steps 6 --threads 2
says two/training.json '"machines":\[\{"threads":1[^}]*\},\{"threads":2[^}]*\}\]'
cp two/training.json kept.json
expect 0 loom-train pretrain t.tokens.h5 -o two $shape --steps 6 --threads 1; cmp two/training.json kept.json || fail "a finished run says something else"
rm two/training.json
expect 0 loom-train pretrain t.tokens.h5 -o two $shape --steps 6 --threads 1; cmp two/training.json kept.json || fail "not the same facts as before"
expect 0 loom-train pretrain t.tokens.h5 -o two $shape --steps 7 --force --stop-after 1
[ ! -e two/training.json ] || fail "--force leaves training.json of the run that it throws away"
rm -r two

# where it began, and what is known of that
expect 0 loom-train sft t.tokens.h5 --base one --no-lora -o tuned $how --steps 2
says tuned/training.json '"command":"sft".*"start":\{"from":"model","path":"one","digest":"[0-9a-f]{16}","training":\{.*"steps":5,.*"random weights"\}\}\}\}$'
expect 0 loom-train sft t.tokens.h5 --base one -o lora $how --steps 1
says lora/training.json "\"model\":\"adapter.h5\",\"digest\":\"$(digest lora/adapter.h5)\""
cp one/model.h5 base.h5
expect 0 loom-train sft t.tokens.h5 --base-model base.h5 --no-lora -o based $how --steps 2
says based/training.json '"start":\{"from":"base model","path":"base.h5","digest":"[0-9a-f]{16}"\}\}$'

# answers carry it; the heat map shows it: in the table, as JSON, in the manifest, in the script, on the page
expect 0 loom-eval prompts g.graphs.zst --stats stats.json --mode instruction --per-cell 1 --edges 1:4 --depths 1:2 -o p.jsonl
answer() { # MODEL FILE; not one of the graphs is finished
    expect 3 loom-infer sample --model $1 --prompts p.jsonl --max-tokens 8 -q -o $2.answers.jsonl --force
}
answer based based; answer tuned tuned; answer lora lora
grep -qF "\"model_training\": $(cat based/training.json)" based.answers.jsonl.meta.json || fail "the answers do not carry training.json"
line='from the base model \(digest [0-9a-f]{8}\), [0-9]+ s on [0-9]+ threads?[^,]*, [0-9.]+ ?K? tokens, 2 steps, f32'
expect 0 loom-eval heatmap based=based.answers.jsonl tuned=tuned.answers.jsonl lora=lora.answers.jsonl -o res
says out "^based: $line$"
says out '^tuned: from one \(digest [0-9a-f]{8}\), .*2 steps, f32; before that from random weights, [0-9]+ s, [0-9.]+ K tokens$'
says out '^lora: from one \(digest [0-9a-f]{8}\), .*1 step, f32; before'
says res/manifest.json '"trained"'
says res/fig12.gp "^trained = \".*from the base model"
if command -v gnuplot >/dev/null; then says res/fig12.svg 'from the base model'; fi
expect 0 loom-eval figures res
expect 0 loom-eval report res; if command -v gnuplot >/dev/null; then says res/report.html "<li>based: $line</li>"; fi
expect 0 loom-eval heatmap based=based.answers.jsonl -o res2 --no-pictures --json; says out "\"trained\":\"$line\""

# not known, or not of this model: not said
cp based/training.json stale.json; cp one/model.h5 based/model.h5
answer based stale; ! grep -q '"model_training"' stale.answers.jsonl.meta.json || fail "training.json of another model was believed"
expect 0 loom-eval heatmap based=stale.answers.jsonl -o res3 --no-pictures; says out '^based: from random weights, 5 steps$'
echo '{"format":' >based/training.json
answer based stale
expect 0 loom-eval heatmap based=stale.answers.jsonl -o res4 --no-pictures; says out '^based: from random weights, 5 steps$'
expect 0 loom-eval oracle p.jsonl -o o.answers.jsonl
expect 0 loom-eval heatmap o.answers.jsonl -o res5; ! grep -q ': from' out || fail "the oracle was not trained"
says res5/fig12.gp '^trained = "\\"-\\""$'
expect 0 loom-eval heatmap x=tuned.answers.jsonl x=lora.answers.jsonl -o res6 --no-pictures
! grep -q '^x: ' out || fail "two models under one name are not one model"
echo >>tuned.answers.jsonl
expect 0 loom-eval heatmap x=tuned.answers.jsonl -o res7 --no-pictures; ! grep -q '^x.*: from' out || fail "believed a .meta.json of another file"

# how long it would take
expect 0 loom-train pretrain t.tokens.h5 -o plan $shape --steps 500 --dry-run --threads 1
says out '^time +about .* for 500 steps, .* tokens: an estimate for this machine .* tokens/s with 1 thread;'
expect 0 loom-train pretrain t.tokens.h5 -o plan $shape --minutes 3 --dry-run --json
says out '"estimated_seconds": 180'; says out '"estimated_tokens": [0-9]{4,}'; says out '"tokens_per_s": [0-9]'
expect 0 loom-train sft t.tokens.h5 --base one -o plan $how --steps 500 --dry-run; says out '^time +about .* for 500 steps'
expect 0 loom-train pretrain t.tokens.h5 --base-model base.h5 -o plan $how --steps 500 --optimizer muon --dry-run; says out '^time +about .* for 500 steps'
expect 0 loom-train pretrain t.tokens.h5 -o plan --hidden 2048 --layers 24 --dry-run --json; says out '"not_measured": "'
expect 0 loom-train pretrain t.tokens.h5 -o plan --hidden 2048 --layers 24 --dry-run; says out '^time +not estimated: '
expect 2 loom-train pretrain t.tokens.h5 -o plan $shape --steps 5 --rest-lr 10; one_sentence; says err 'optimizer muon'
[ ! -e plan ] || fail "a plan leaves a folder"
exit 0
