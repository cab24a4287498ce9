# What can be asked for on the command line: wishes, published prompts, filters, shards; and what is refused.
for b in loom-preprocess loom-train; do [ -x "$BIN/$b" ] || skip "$b is not built"; done
quiet() { "$@" >log 2>&1 || { tail -5 log >&2; fail "$*"; }; }
quiet loom-preprocess sample-traces --profile tiny -o traces
quiet loom-preprocess graphs traces -o raw.graphs.zst
quiet loom-preprocess dedupe raw.graphs.zst -o all.graphs.zst
for mode in instruction tabular; do quiet loom-preprocess encode all.graphs.zst --mode $mode --max-edges 8 -o $mode.txt.zst; done
quiet loom-preprocess tokenizer instruction.txt.zst -o tokenizer.json
quiet loom-preprocess tokenizer tabular.txt.zst -o other.json
quiet loom-preprocess tokens instruction.txt.zst --tokenizer tokenizer.json -o i.tokens.h5
quiet loom-train pretrain i.tokens.h5 -o run --steps 3 --hidden 32 --layers 2 --heads 4 --threads 1
M="--model run --threads 1 -q"
S="loom-infer sample $M --constrain full -t 1"

# every option says its unit or range in --help
expect 0 loom-infer sample --help
for o in service edges depth latency high-latency min-latency include start-node children prompts reference-prompts like n shard \
    temperature top-k top-p min-p trials resume; do says out "^ +(-[a-z], )?--$o( |\$)"; done
[ "$(grep -c -- "-1: not asked for\|not asked for" out)" -ge 3 ] || fail "defaults of -1 are not explained"

# wishes end up in the prompt, and under `full` in the graph
expect 0 $S --edges 9 --depth 4 --service S_12 --latency 77 -n 3 -o w.answers.jsonl --records w.graphs --json
says out '"correct":3'
head -1 w.answers.jsonl >one
for want in 'id:S_000000012' 'num_edges:9' 'remaining_depth:3' 'latency:77' 'should finish before latency 77'; do says one "$want"; done
[ "$(grep -c ' S_000000012 0|' w.graphs)" = 3 ] || fail "the service is not the one asked for"
expect 0 $S --edges 6 --depth 3 --high-latency -n 2 -o h.answers.jsonl --json
says out '"correct":2'
says h.answers.jsonl 'Build a call graph with high latency'
expect 0 $S --edges 6 --depth 3 --min-latency 1234 -n 4 -o m.answers.jsonl --records m.graphs --json
says out '"correct":4'
says m.answers.jsonl 'Build a call graph with high latency, 1234 <= latency'
[ "$(grep -oE ' 0\|[a-z]+\|USER\|MS_[0-9]+\|ARRIVED_0\|RT_[0-9]+' m.graphs | sed 's/.*RT_//' | awk '$1 >= 1234' | wc -l)" = 4 ] ||
    fail "a graph is faster than it was to be"
expect 0 $S --edges 8 --depth 3 --include MS_1,MS_00002,rpc -n 6 --records inc.graphs -o inc.answers.jsonl --json
says out '"correct":6'
says inc.answers.jsonl 'Include an edge from MS_00001 to MS_00002 with rpc type'
[ "$(grep -c '|rpc|MS_00001|MS_00002|' inc.graphs)" = 6 ] || fail "a graph lacks the call that was asked for"
expect 0 $S --edges 4 --depth 2 --start-node MS_77 -n 3 --records start.graphs --json
says out '"correct":3'
[ "$(grep -cE ' 0\|[a-z]+\|MS_00077\|' start.graphs)" = 3 ] || fail "the first caller is not the one asked for"
expect 0 $S --edges 4 --depth 2 -n 2 --records user.graphs
[ "$(grep -cE ' 0\|[a-z]+\|USER\|' user.graphs)" = 2 ] || fail "the first caller is not USER by default"
expect 0 $S --children 0 -n 4 --records leaf.graphs --json
says out '"correct":4'
[ "$(grep -c '||' leaf.graphs)" = 0 ] || fail "a graph without children has more than one call"

# where only the most likely token is left to draw, drawing is taking it
G="loom-infer sample $M --constrain full --edges 6 --depth 3 -n 2"
expect 0 $G -t 0 --records greedy.graphs
expect 0 $G -t 2 --top-k 0 --records drawn.graphs
cmp -s greedy.graphs drawn.graphs && fail "a temperature of 2 draws nothing"
for how in "--top-k 1" "--top-k 0 --top-p 1e-6" "--top-k 0 --min-p 1"; do
    expect 0 $G -t 2 $how --records most.graphs --force
    cmp greedy.graphs most.graphs || fail "$how draws what is not the most likely"
done

# published prompts: mode by mode, quirks, one without start node
{
    printf 'left out: no record\n### Question: You are a trace generator that creates traces based on given requirements.\nRequirements:\n'
    printf 'id:S_000000003/num_edges:4/remaining_depth:2/num_current_edges:1/num_subgraphs:1/start_edge_id:0/start_node:USER/start_communication_at:0\n'
    printf 'Conditions:\nthe first edge_id should be start_edge_id 0\n\n'
    printf '### Question: id:S_000000004/num_edges:3/remaining_depth:2/start_node:USER/start_edge_id:0/num_current_edges:1\n'
    printf '### Question: id:S_000000005/num_edges:3/depth:2\n'
} >published.txt
expect 0 $S --prompts published.txt --prompt-form reference -o p.answers.jsonl --records p.graphs --json
says out '"graphs":3,"finished":3,"valid":3,"correct":3'
says p.answers.jsonl '^\{"id":0,"sample":0,"mode":"instruction","edges":4,"depth":3,'
says p.answers.jsonl '^\{"id":1,"sample":0,"mode":"recursive","edges":3,"depth":3,'
says p.answers.jsonl '^\{"id":2,"sample":0,"mode":"tabular","edges":3,"depth":2,'
says p.answers.jsonl 'start_edge_id 0\\n ### Answer: \\n<layer>\\n<edges>"'
expect 0 $S --prompts published.txt --mode tabular -o t.answers.jsonl --json
says out '"graphs":1,'
expect 0 $S --prompts published.txt --reference-prompts -o q.answers.jsonl --json
says out '"graphs":2,'
cp published.txt second.txt; tar cf two.tar published.txt second.txt
expect 0 $S --prompts two.tar --reference-prompts -o a.answers.jsonl --json # the last of each file
says out '"graphs":4,'
grep -v 'tabular' published.txt | sed 's#/start_node:USER##' | head -6 >nobody.txt
expect 0 $S --prompts nobody.txt -o n.answers.jsonl --records n.graphs --json
says out '"graphs":1,"finished":1,"valid":1,"correct":1'
[ "$(grep -cE ' 0\|[a-z]+\|USER\|' n.graphs)" = 1 ] || fail "without start_node the first call does not come from USER"
if [ -r "$SHARED/data/prompts.tar.zst" ]; then
    expect 0 loom-infer sample $M --prompts "$SHARED/data/prompts.tar.zst" -o x --dry-run
    expect 0 loom-infer sample --model run --prompts "$SHARED/data/prompts.tar.zst" -o x --dry-run
    says err 'would generate 14100 graphs'
fi

# filters: only the most likely token is left
expect 0 loom-infer complete $M --max-tokens 12 'latency:'; mv out greedy
for only in '--top-k 1' '--min-p 1 --top-k 0' '--top-p 0.000001 --top-k 0'; do
    expect 0 loom-infer complete $M --max-tokens 12 -t 1.5 $only 'latency:'
    cmp greedy out || fail "$only is not greedy"
done
expect 0 $S --edges 5 --depth 2 --top-k 0 --min-p 1 -o m1 --seed 1
expect 0 $S --edges 5 --depth 2 --top-k 0 --min-p 1 -o m2 --seed 1 --top-p 0.5
cmp m1 m2 || fail "min-p 1 leaves more than one token"

# the constraint is accounted for
expect 0 loom-infer sample --model run --threads 1 --constrain full -t 1 --edges 6 --depth 3 -n 4 -o c.answers.jsonl --json
says err 'constraint: changed [0-9.]+ % of [0-9]+ chosen tokens \(probability refused there: mean 0\.[0-9]+, 95 % at most [01]\.[0-9]+\), appended [0-9]+'
says out '"mask_changed":[1-9][0-9]*,"mask_tokens":[0-9]+,"mask_forced":[1-9][0-9]*,"mask_removed_mean":0\.[0-9]+,"mask_removed_p95":(0\.[0-9]+|1)'
says c.answers.jsonl.meta.json '"mask_removed_p95": (0\.[0-9]+|1)'

# shards: joined in order they are the whole run, and each can be resumed
W="$M --constrain full -t 1 --like all.graphs.zst --limit 4 -n 40"
expect 0 loom-infer sample $W -o whole.answers.jsonl --records whole.graphs --csv whole.csv
for i in 1 2 3; do
    if [ $i = 2 ]; then # killed after two graphs: the partial file of its shard alone is gone on with
        expect 0 loom-infer sample $W --shard 2/3 --resume -o 2.answers.jsonl
        cp 2.answers.jsonl full2
        for attempt in 1 2 3 4 5; do
            rm -f 2.answers.jsonl* 2.graphs* 2.csv*
            loom-infer sample $W --shard 2/3 --batch 1 --resume -o 2.answers.jsonl --records 2.graphs --csv 2.csv >out 2>err &
            pid=$!
            while kill -0 $pid 2>/dev/null && [ "$(cat 2.answers.jsonl.partial 2>/dev/null | wc -l)" -le 2 ]; do sleep 0.01; done
            kill -KILL $pid 2>/dev/null; wait $pid 2>/dev/null
            [ -e 2.answers.jsonl ] || break
        done
        [ -e 2.answers.jsonl ] && fail "five runs ended before they could be killed"
        [ "$(wc -l <2.answers.jsonl.partial)" -gt 2 ] || fail "a killed run has kept nothing"
        expect 2 loom-infer sample $W --shard 3/3 --resume -o 2.answers.jsonl --records 2.graphs; one_sentence
        rm -f 2.graphs* 2.csv*
        expect 0 loom-infer sample $W --shard 2/3 --resume -o 2.answers.jsonl --records 2.graphs --csv 2.csv
        cmp full2 2.answers.jsonl || fail "a resumed shard differs"
    else
        expect 0 loom-infer sample $W --shard $i/3 -o $i.answers.jsonl --records $i.graphs --csv $i.csv
    fi
done
cat 1.answers.jsonl 2.answers.jsonl 3.answers.jsonl | cmp - whole.answers.jsonl || fail "the shards' answers are not those of the whole run"
[ "$(wc -l <1.answers.jsonl)" = 54 ] || fail "shards are not equal"
cat 1.graphs 2.graphs 3.graphs | cmp - whole.graphs || fail "the shards' graphs are not those of the whole run"
{ cat 1.csv; tail -qn +2 2.csv 3.csv; } | cmp - whole.csv || fail "the shards' rows are not those of the whole run"
expect 0 loom-infer sample $W --shard 300/300 -o empty.answers.jsonl # more parts than graphs
[ -s empty.answers.jsonl ] && fail "an empty shard has answers"

# refusals, in one sentence
no() { local want=$1; shift; expect 2 loom-infer "$@"; one_sentence; says err "$want"; }
for bad in 0/3 4/3 3 a/b 1/0 1/2/3 -1/2 ''; do no 'shard is' sample $M --edges 2 -o x --shard "$bad"; done
no 'tabular requests' sample $M --mode tabular --edges 3 --start-node USER -o x
no 'tabular requests' sample $M --mode tabular --edges 3 --children 1 -o x
no 'only instructions' sample $M --mode recursive --edges 3 --high-latency -o x
no 'only instructions' sample $M --mode tabular --edges 3 --include MS_1,MS_2,rpc -o x
no 'contradict' sample $M --edges 3 --children 0 -o x
no 'contradict' sample $M --depth 1 --children 1 -o x
no 'not for both' sample $M --edges 3 --latency 5 --high-latency -o x
for bad in MS_1 MS_1,MS_2 MS_1,MS_2,phone ,MS_2,rpc MS_1,,rpc; do no 'include is' sample $M --edges 3 --include "$bad" -o x; done
no 'min-p' sample $M --edges 3 --min-p 2 -o x
no 'other.json is not the tokenizer' complete $M --tokenizer other.json 'latency:'
no 'other.json is not the tokenizer' sample $M --tokenizer other.json --edges 2 -o x
expect 0 loom-infer complete $M --tokenizer tokenizer.json --max-tokens 2 'latency:'
printf 'no prompts here\n' >odd.txt
expect 1 loom-infer sample $M --prompts odd.txt -o x; one_sentence; says err 'odd.txt:1'
printf '### Question: x\n\n### Question: nothing\n' >odd.txt
expect 1 loom-infer sample $M --prompts odd.txt -o x; one_sentence; says err 'odd.txt:1'
: >odd.txt
no 'holds no prompt' sample $M --prompts odd.txt -o x
ls x* >/dev/null 2>&1 && fail "a refused run left a file"
true
