# What was taken out of call graphs, put back: right answers, wrong ones, those of others, the frequency table (Fig 7).
base=$SRC/checkpoints/base.h5
expect 0 loom-preprocess sample-traces --services 12 --traces 3000 -o traces -q
expect 0 loom-preprocess graphs traces -o raw.graphs.zst -q
expect 0 loom-preprocess dedupe raw.graphs.zst -o all.graphs.zst -q
expect 0 loom-preprocess split all.graphs.zst --modulo 4 --train train.graphs.zst --valid valid.graphs.zst -q
expect 0 loom-preprocess stats train.graphs.zst -o stats.json -q
for task in attribute edge; do
    expect 0 loom-preprocess encode valid.graphs.zst --task $task --sample 1:6 -o $task.txt -q
    grep -A1 '^ ### Answer: $' $task.txt | grep -vE '^( ### Answer: |--)$' >$task.truth
done
n_attribute=$(wc -l <attribute.truth) n_edge=$(wc -l <edge.truth)
[ "$n_attribute" -ge 20 ] && [ "$n_edge" -ge 10 ] || fail "only $n_attribute and $n_edge questions"
lines() { awk '{ print "{\"id\":" NR - 1 ",\"text\":\"" $0 "\"}" }' "$@"; }
lines attribute.truth edge.truth >right.jsonl
judge() { loom-eval infilling --questions attribute.txt,edge.txt --no-pictures "$@"; }
expect 0 judge right.jsonl --stats stats.json -o res
says res/fig07.csv "^fig07,right,[0-9]+,attribute,all,$n_attribute,$n_attribute,1,"
says res/fig07.csv "^fig07,right,[0-9]+,edge,all,$n_edge,$n_edge,1,"
says res/fig07.csv "^fig07,right,[0-9]+,edge,exact,$n_edge,$n_edge,1,"
# what is most frequent is right at times
awk -F, '$2 == "frequency" && $5 == "all" && $8 <= 0.1 { exit 1 }' res/fig07.csv || fail "frequency: $(cat res/fig07.csv)"

# order of items, and the wrapping, do not matter; times may be others while they cover the layer below
sed -E 's/\((.*),([^,]*)\)/(\2,\1)/; s/"id":([0-9]+),"text":(".*")/"custom_id":"\1","response":{"body":{"choices":[{"message":{"content":\2}}]}}/' right.jsonl | tac >turned.jsonl
expect 0 judge turned.jsonl -o turned
says turned/fig07.csv "^fig07,turned,[0-9]+,edge,exact,$n_edge,$n_edge,1,"
sed -E 's/finishes at ([0-9]+)/finishes at 9\1/' right.jsonl >later.jsonl
expect 0 judge later.jsonl -o later
says later/fig07.csv "^fig07,later,[0-9]+,edge,all,$n_edge,$n_edge,1,"
says later/fig07.csv "^fig07,later,[0-9]+,edge,exact,0,$n_edge,0,"
sed -E 's/starts at [0-9]+/starts at 99999999/; s/"(rpc|mc|db|mq|http)"/"db2"/; s/"MS_[0-9]+"/"MS_1"/' right.jsonl >wrong.jsonl
expect 0 judge wrong.jsonl -o wrong
says wrong/fig07.csv "^fig07,wrong,[0-9]+,attribute,all,0,$n_attribute,0,"
says wrong/fig07.csv "^fig07,wrong,[0-9]+,edge,all,0,$n_edge,0,"
head -n 3 right.jsonl >three.jsonl
expect 0 judge three.jsonl -o three
says err 'three.jsonl: [0-9]+ of [0-9]+ questions have no answer; they are counted as failures'

# a model of ours: every question once, in order; the same bytes again
ask() { loom-infer complete --model "$base" --max-tokens 40 --threads 1 -q "$@"; }
expect 0 ask --questions attribute.txt,edge.txt -o base.answers.jsonl
[ "$(wc -l <base.answers.jsonl)" = $((n_attribute + n_edge)) ] || fail "not an answer for each question"
says base.answers.jsonl '^\{"id":0,"prompt":"Predict a missing element'
grep -qE '"text":"[^"]*\\n' base.answers.jsonl && fail "an answer of more than a line: $(grep -m 1 -oE '"text":.*' base.answers.jsonl)"
expect 0 judge instruction=right.jsonl fresh=base.answers.jsonl -o both
says both/manifest.json '"figure": ?"7"'
expect 0 ask --questions attribute.txt,edge.txt -o base.answers.jsonl --update
cp base.answers.jsonl first
expect 0 ask --questions attribute.txt,edge.txt -o base.answers.jsonl --force
cmp -s first base.answers.jsonl || fail "not the same bytes again"

bad() { want=$1 pattern=$2; shift 2; expect "$want" "$@"; says err "$pattern"; one_sentence; }
bad 1 'base.answers.jsonl:1: an answer to another question' loom-eval infilling base.answers.jsonl --questions edge.txt,attribute.txt -o none
{ head -n 1 right.jsonl; head -n 1 right.jsonl; } >twice.jsonl
bad 1 'twice.jsonl:2: question 0 is answered twice' judge twice.jsonl -o none
bad 2 'name the texts that were asked' loom-eval infilling right.jsonl -o none
bad 2 'nothing to judge' loom-eval infilling -o none
expect 0 loom-preprocess encode valid.graphs.zst --task uncommon --stats stats.json -o uncommon.txt -q
bad 1 'uncommon.txt:1: a sample that asks for no missing element' loom-eval infilling right.jsonl --questions uncommon.txt -o none
bad 2 'needs a file for the answers' ask --questions edge.txt
bad 2 'has the prompts; leave out' ask --questions edge.txt -o x.jsonl prompt
bad 1 'stats.json: line 1' ask --questions stats.json -o x.jsonl
[ ! -e none ] && [ ! -e x.jsonl ] || fail "left something"
