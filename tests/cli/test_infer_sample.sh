# A model of a few steps, from traces to generated graphs.
for b in loom-preprocess loom-train; do [ -x "$BIN/$b" ] || skip "$b is not built"; done
quiet() { "$@" >log 2>&1 || { tail -5 log >&2; fail "$*"; }; }
quiet loom-preprocess sample-traces --profile tiny -o traces
quiet loom-preprocess graphs traces -o raw.graphs.zst
quiet loom-preprocess dedupe raw.graphs.zst -o all.graphs.zst
quiet loom-preprocess stats all.graphs.zst -o stats.json
quiet loom-preprocess encode all.graphs.zst --stats stats.json --max-edges 8 -o i.txt.zst
quiet loom-preprocess tokenizer i.txt.zst -o tokenizer.json
quiet loom-preprocess tokens i.txt.zst --tokenizer tokenizer.json -o i.tokens.h5
quiet loom-train pretrain i.tokens.h5 -o run --steps 3 --hidden 32 --layers 2 --heads 4 --threads 1
M="--model run --threads 1 -q"

# free text of an untrained model: answers, no graph
expect 3 loom-infer sample $M --like all.graphs.zst --limit 3 -n 2 --max-tokens 20 -o free.answers.jsonl
says err 'none of 6 graphs was finished within --max-tokens: the answers are written, .*use --constrain full, or train longer'
[ "$(wc -l <free.answers.jsonl)" = 6 ] || fail "six answers expected"
says free.answers.jsonl '"id":2,"sample":1,"mode":"instruction",.*"stop":"length"'
[ -s free.answers.jsonl.meta.json ] || fail "no provenance"
says free.answers.jsonl.meta.json '"stopped_by_length": '

# constrained: every graph as asked for, whatever the batch, the threads and the sharing
expect 0 loom-infer sample $M --edges 7 --depth 3 --service S_5 -n 12 -t 1 --constrain full --json \
    -o a.answers.jsonl --records a.graphs --csv a.csv
says out '"graphs":12,"finished":12,"valid":12,"correct":12'
[ "$(wc -l <a.graphs)" = 12 ] || fail "twelve graphs expected"
[ "$(grep -c ' S_000000005 0|' a.graphs)" = 12 ] || fail "the service is not the one asked for"
expect 0 loom-infer sample --model run --threads 2 -q --edges 7 --depth 3 --service S_5 -n 12 -t 1 --constrain full --batch 3 \
    --no-share-prefixes -o b.answers.jsonl --records b.graphs
cmp a.answers.jsonl b.answers.jsonl || fail "answers depend on batch, threads or sharing"
cmp a.graphs b.graphs || fail "graphs depend on batch, threads or sharing"
expect 0 loom-infer sample $M --edges 7 --depth 3 --service S_5 -n 12 -t 1 --constrain full --seed 2 --records c.graphs
if cmp -s a.graphs c.graphs; then fail "the seed changes nothing"; fi

# the rows are the same graphs
expect 0 loom-preprocess graphs a.csv -o again.graphs.zst
expect 0 loom-infer convert again.graphs.zst -o again.graphs
sort a.graphs >want; sort again.graphs | cmp - want || fail "the CSV does not read back as the same graphs"

# other modes and forms
for mode in tabular recursive; do
    expect 0 loom-infer sample $M --mode $mode --edges 9 --depth 4 -n 5 -t 1 --constrain full --json --records $mode.graphs
    says out '"graphs":5,"finished":5,"valid":5,"correct":5'
done
expect 0 loom-infer sample $M --prompt-form reference --edges 9 --depth 4 -n 5 --constrain full --json --records ref.graphs
says out '"correct":5'
expect 0 loom-infer sample $M --edges 30 --depth 3 -n 2 -t 1 --constrain syntax --max-tokens 300 -o s.answers.jsonl
says s.answers.jsonl '"constrain":"syntax"'

# only names that are known
printf 'MS_00001\nMS_00002\n' >names
expect 0 loom-infer sample $M --edges 6 --depth 3 -n 4 -t 1 --constrain full --names names --records n.graphs
if grep -oE '\|MS_[0-9]+\|ARRIVED' n.graphs | grep -vqE 'MS_0000[12]\|'; then fail "a name that is not on the list"; fi
printf 'MS_00001\na,b\n' >bad.names
expect 1 loom-infer sample $M --edges 6 --depth 3 --constrain full --names bad.names --records m.graphs; one_sentence
says err 'a,b'

# a model carries the names of its training text: graphs are kept to them, sizes alone draw services as the text has them
called() { grep -oE '\|MS_[0-9]+\|ARRIVED' "$1" | sort -u; }
zstdcat all.graphs.zst | awk -F'[|][|]' 'NF <= 8' >all.graphs # what was encoded
called all.graphs >known
cut -d' ' -f2 all.graphs | sort -u >services
expect 0 loom-train info run --json
says out "\"microservices\": ?$(wc -l <known),"
expect 0 loom-infer sample $M --edges 7 --depth 3 -n 60 -t 1 --constrain full --json --records own.graphs
says out '"correct":60,"as_requested":60'
says err 'warning: the constraint overruled [0-9.]+ % of the model.s choices, [0-9.]+ % of those within names; above 5 %'
[ -z "$(called own.graphs | comm -23 - known)" ] || fail "a microservice that no training graph calls"
cut -d' ' -f2 own.graphs | sort -u >drawn
[ -z "$(comm -23 drawn services)" ] || fail "a service that no training graph has"
[ "$(wc -l <drawn)" -gt 3 ] || fail "sixty graphs of $(wc -l <drawn) services"
expect 0 loom-infer sample --model run --threads 1 --edges 7 --depth 3 -n 60 -t 1 --constrain full --names any --json --records any.graphs
says out '"correct":60,"as_requested":60'
says err 'warning: the constraint overruled [0-9.]+ % of the model.s choices; above 5 %'
[ -n "$(called any.graphs | comm -23 - known)" ] || fail "--names any knows only what training has"
# adapters, merged models and folders carry them as well
quiet loom-train sft i.tokens.h5 --base run -o tuned --steps 1 --threads 1
quiet loom-train merge tuned -o merged.h5
quiet loom-train export merged.h5 -o folder
quiet loom-train import folder -o back.h5
quiet loom-train average run back.h5 -o mean.h5
for m in tuned merged.h5 folder back.h5 mean.h5; do
    expect 0 loom-infer sample --model $m --threads 1 -q --edges 4 --depth 2 -n 20 -t 1 --constrain full --json --records $m.graphs
    says out '"as_requested":20'
    [ -z "$(called $m.graphs | comm -23 - known)" ] || fail "$m has lost the names"
done
# what the request names itself may be called, too
expect 0 loom-infer sample $M --edges 4 --depth 2 --include USER,MS_99999,rpc -n 2 --constrain full --json --records asked.graphs
says out '"as_requested":2'
says asked.graphs '0\|rpc\|USER\|MS_99999\|'

# a request that cannot be met is not finished, whether it says how many calls or not
for edges in num_edges:0/ ''; do
    printf '{"id":0,"mode":"recursive","edges":2,"depth":2,"prompt":"%sid:S_000000001/start_node:USER/num_subgraphs:1/remaining_depth:0\\n<layer>\\n<edges>\\n"}\n' "$edges" >refused.prompts.jsonl
    expect 0 loom-infer sample $M --prompts refused.prompts.jsonl --constrain full --json -o refused.answers.jsonl --force
    says out '"graphs":1,"finished":0,.*"refused":1'
    says refused.answers.jsonl '"refused":"the request cannot be met: .*"layers":\[\]'
done

# the evaluator believes it
if [ -x "$BIN/loom-eval" ]; then
    expect 0 loom-eval prompts all.graphs.zst --edges 1:6 --depths 1:3 --per-cell 2 -o p.prompts.jsonl
    expect 0 loom-infer sample $M --prompts p.prompts.jsonl --constrain full --json -o p.answers.jsonl
    n=$(wc -l <p.prompts.jsonl)
    says out "\"graphs\":$n,\"finished\":$n,\"valid\":$n,\"correct\":$n"
fi

# until_true PID COMMAND...: waits until the command is true of what process PID does; fails when PID has ended before.
until_true() {
    local pid=$1; shift
    until "$@"; do kill -0 $pid 2>/dev/null || { cat err >&2; fail "the run ended before: $*"; }; sleep 0.02; done
}
at_work() { ls x.csv.tmp.* >/dev/null 2>&1; }
has_lines() { [ "$(cat "$1" 2>/dev/null | wc -l)" -gt "$2" ]; }

# Ctrl-C: exit code 130, nothing half-written
loom-infer sample $M --edges 20 --depth 4 -n 100000 -t 1 --constrain full -o x.answers.jsonl --csv x.csv >out 2>err &
pid=$!
until_true $pid at_work
kill -INT $pid
wait $pid; code=$?
[ $code = 130 ] || { cat err >&2; fail "exit code $code after Ctrl-C, expected 130"; }
says err 'interrupted' # by its own decision, not killed
ls x.* >/dev/null 2>&1 && fail "an interrupted run left a file"

# with --resume the same command goes on, after Ctrl-C and after kill -9 in the middle of a line
R="$M --edges 9 --depth 4 -n 120 -t 1 --constrain full --batch 4"
expect 0 loom-infer sample $R -o whole.answers.jsonl --records whole.graphs
loom-infer sample $R --resume -o r.answers.jsonl --records r.graphs >out 2>err &
pid=$!
until_true $pid has_lines r.answers.jsonl.partial 5
kill -INT $pid 2>/dev/null
wait $pid; code=$?
[ $code = 130 ] || { cat err >&2; fail "exit code $code after Ctrl-C, expected 130"; }
[ -e r.answers.jsonl ] && fail "an interrupted run left its output"
expect 2 loom-infer sample $R --seed 5 --resume -o r.answers.jsonl --records r.graphs; one_sentence; says err 'another|other'
printf '{"id":0,"samp' >>r.answers.jsonl.partial
expect 0 loom-infer sample $R --resume -o r.answers.jsonl --records r.graphs
cmp whole.answers.jsonl r.answers.jsonl || fail "a resumed run gives other answers"
cmp whole.graphs r.graphs || fail "a resumed run gives other graphs"
[ -e r.answers.jsonl.partial ] && fail "the partial file is still there"

# completion
expect 0 loom-infer complete $M --max-tokens 5 'latency:1'
expect 0 loom-infer complete $M --max-tokens 5 --logprobs -t 1 -n 2 'latency:1'
[ "$(wc -l <out)" -ge 6 ] || fail "a line for each token expected"
says out '^-[0-9.]+	[0-9]+	".*"$'
expect 0 loom-infer complete $M --max-tokens 5 --json --logprobs 'latency:1'
says out '"prompt_tokens":[0-9]+,"tokens":5,"logprob":-'

# refusals
cp "$(command -v loom-infer)" alone # away from all that comes with it, there is no model to take
expect 2 ./alone sample --edges 3 --depth 2 -o x; one_sentence; says err 'model'
expect 2 loom-infer sample $M -o x; one_sentence; says err 'nothing to generate'
expect 2 loom-infer sample $M --edges 3 --depth 2; one_sentence; says err 'nothing to write'
expect 2 loom-infer sample $M --edges 3 --depth 4 -o x; one_sentence; says err 'deeper'
expect 2 loom-infer sample $M --edges 3 --prompts p -o x; one_sentence; says err 'exclude'
expect 1 loom-infer sample $M --prompts none.jsonl -o x; one_sentence
printf '{"id":0,"mode":"no","prompt":"x"}\n' >bad.jsonl
expect 1 loom-infer sample $M --prompts bad.jsonl -o x; one_sentence; says err 'bad.jsonl:1'
expect 1 loom-infer sample --model nothing --edges 3 --depth 2 -o x; one_sentence
expect 2 loom-infer sample $M --edges 3 --depth 2 --context 100000 -o x; one_sentence; says err 'context 100000: the model has [0-9]* positions'
ls x* >/dev/null 2>&1 && fail "a refused run left a file"
true
