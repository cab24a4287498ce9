# From validation graphs to the heat map: prompts, perfect answers, tables, pictures, and what goes wrong.
valid=$SRC/tests/golden/spec/dedupe/expected.txt

for mode in tabular recursive instruction; do
    expect 0 loom-eval prompts "$valid" --mode $mode --per-cell 4 --train "$valid" -o $mode.prompts.jsonl
    says err "prompts for [0-9]+ of 136 cells"
    expect 0 loom-eval oracle $mode.prompts.jsonl -o $mode.answers.jsonl
    expect 0 loom-eval oracle $mode.prompts.jsonl --damage 1 -o $mode.damaged.jsonl
done
says instruction.prompts.jsonl.meta.json '"cells":'
says instruction.prompts.jsonl '^\{"id":0,"mode":"instruction","edges":1,"depth":1,"service":"S_'

# the same seed gives the same prompts, another one does not
expect 0 loom-eval prompts "$valid" --mode recursive --per-cell 4 -o again.jsonl
cmp -s recursive.prompts.jsonl again.jsonl || fail "prompts differ between two runs with one seed"
expect 0 loom-eval prompts "$valid" --mode recursive --per-cell 4 --seed 2 -o other.jsonl
cmp -s recursive.prompts.jsonl other.jsonl && fail "the seed changes nothing"
expect 2 loom-eval prompts "$valid" -o again.jsonl # no overwriting without --force
says err "again.jsonl"

# perfect answers score 100 % in every mode; one of the graphs starts a call before its caller, which the paper forbids
expect 0 loom-eval heatmap tabular.answers.jsonl recursive.answers.jsonl instruction.answers.jsonl -o res --validity both
says out "^tabular +0 code +[0-9]+ +100.0"
says out "^recursive +0 code +[0-9]+ +100.0"
says out "^instruction +0 code +[0-9]+ +100.0"
says out "^instruction +0 paper +20 +95.0"
awk -F, '$5 == "code" && $NF == "scored" && $10 != 1 { bad = 1 } END { exit bad }' res/fig12.csv ||
    fail "a scored cell of the oracle is not 1"
says res/fig12.csv '^experiment,method,seed,temperature,validity,edges,depth,k,n,value,lo,hi,'
says res/fig12.csv ',not_covered$'
says res/fig03.csv '^fig03,tabular,1,0,paper,edges,1,'
says res/errors.csv '^errors,recursive,1,0,code,14,cannot be parsed,0,0,0$'
says res/manifest.json '"format": "spanloom-results-1"'
[ -s res/fig12.gp ] || fail "no script"
if command -v gnuplot >/dev/null; then
    for f in fig12 fig03a fig03b; do
        [ "$(head -c 4 res/$f.png | tail -c 3)" = PNG ] || fail "$f.png is no picture"
        says res/$f.svg "</svg>"
    done
fi
ls res/*.tmp >/dev/null 2>&1 && fail "temporary files are left"

# two halves: nothing in both, nothing lost, whatever the seed and the kind of prompts; a structure is in one of them only
of_part() { # part seed options...: the records asked for
    local part=$1 seed=$2; shift 2
    expect 0 loom-eval prompts "$valid" --part "$part" --seed "$seed" "$@" -o part.jsonl --force
    sed -E 's/.*"record":"([^"]*)".*/\1/' part.jsonl | LC_ALL=C sort -u
}
like="--mode recursive --like --count 100000"
of_part all 1 $like >all.records; says part.jsonl.meta.json '"part": "all"'
of_part dev 1 $like >dev.records; says err 'validation graphs are in the part "dev"'; says part.jsonl.meta.json '"part": "dev"'
of_part test 1 $like >test.records
LC_ALL=C sort dev.records test.records | cmp - all.records || fail "the halves are not the whole"
[ -z "$(LC_ALL=C comm -12 dev.records test.records)" ] || fail "a graph is in both halves"
[ $(($(wc -l <dev.records) * 3)) -gt "$(wc -l <all.records)" ] && [ $(($(wc -l <test.records) * 3)) -gt "$(wc -l <all.records)" ] || fail "the halves are uneven"
of_part dev 9 $like | cmp - dev.records || fail "the half depends on the seed"
structures() { sed -E 's/^[^ ]* //; s/ARRIVED_[0-9]+|RT_[0-9]+//g' "$1" | LC_ALL=C sort -u; }
[ -z "$(LC_ALL=C comm -12 <(structures dev.records) <(structures test.records))" ] || fail "a structure is in both halves"
of_part test 1 --per-cell 4 --mode instruction >cells.records
[ -s cells.records ] && [ -z "$(LC_ALL=C comm -23 cells.records test.records)" ] || fail "prompts of the cells leave their half"
expect 0 loom-eval prompts "$valid" --per-cell 4 --train "$valid" --part all -o whole.jsonl
cmp whole.jsonl instruction.prompts.jsonl || fail "--part all is not what was without it"
head -1 all.records >alone.txt # in one half, so the other has none
for part in dev test; do loom-eval prompts alone.txt --part $part --mode recursive --like -o alone.$part.jsonl -q 2>>alone.err; echo $? >>alone.codes; done
[ "$(sort alone.codes | paste -sd' ')" = "0 1" ] || fail "a graph that is in both halves, or in none"
says alone.err 'no graph is in the part "(dev|test)"; give more graphs'

# damage is seen; threads change nothing; JSON
expect 0 loom-eval heatmap bad=instruction.damaged.jsonl -o res2 --json --threads 1 --prompts instruction.prompts.jsonl
says out '^\[\{"method":"bad",.*"n":'
grep -q '"value":1,' out && fail "damaged answers score 100 %"
expect 0 loom-eval heatmap bad=instruction.damaged.jsonl -o res3 --threads 3 --no-pictures
cmp -s res2/fig12.csv res3/fig12.csv || fail "threads change the result"
[ -e res3/fig12.gp ] && fail "--no-pictures wrote a script"

# without gnuplot: tables and scripts, a warning, success
mkdir no && for tool in $(basename -a "$BIN"/loom-eval); do ln -s "$BIN/$tool" no/; done
PATH=$PWD/no expect 0 loom-eval heatmap tabular.answers.jsonl -o res4
says err "warning: no pictures: gnuplot is not installed"
[ -s res4/fig12.gp ] && [ -s res4/fig12.csv ] || fail "tables and scripts are missing"
[ -e res4/fig12.png ] && fail "a picture without gnuplot"

# a prompt without an answer is a failure, counted and said, for each file by itself
sed '1,2d' tabular.answers.jsonl >fewer.answers.jsonl
total=$(wc -l <tabular.prompts.jsonl)
expect 0 loom-eval heatmap all=tabular.answers.jsonl some=fewer.answers.jsonl --prompts tabular.prompts.jsonl --validity code -o res6
says err "some, temperature 0: 2 of the prompts in tabular.prompts.jsonl have no answer; they are counted as failures"
says out "^all +0 code +$total +100.0"
says out "^some +0 code +$total "
grep -qE "^some +0 code +$total +100.0" out && fail "a missing answer is no failure"
says res6/errors.csv '^errors,some,1,0,sampler,missing,the file holds no answer to the prompt,2,'

# two samples of each prompt, two of them not answered
sed '1,2d; s/"sample":0/"sample":1/' tabular.answers.jsonl | cat tabular.answers.jsonl - >two.answers.jsonl
expect 0 loom-eval heatmap two=two.answers.jsonl --prompts tabular.prompts.jsonl --validity code -o two --no-pictures
says two/errors.csv '^errors,two,1,0,sampler,missing,the file holds no answer to the prompt,2,'
says two/fig03.csv "^fig03,two,1,0,code,temperature,0,$((2 * total - 2)),$((2 * total)),"

# prompts must be of the answers' mode
expect 2 loom-eval heatmap tabular.answers.jsonl --prompts recursive.prompts.jsonl -o e6
says err 'the answers of "tabular" are of the mode tabular, for which --prompts names no file'
one_sentence
expect 2 loom-eval heatmap tabular.answers.jsonl --prompts tabular.prompts.jsonl,recursive.prompts.jsonl -o e6
says err "recursive.prompts.jsonl holds recursive prompts, but no answers of that mode were given"
one_sentence
[ -e e6 ] && fail "a command that failed left a folder"

# graphs of others: records, lines of the public program, CSV; each answers the prompt of its place
sed -E 's/.*"record":"([^"]*)".*/\1/' tabular.prompts.jsonl >theirs.txt
expect 0 loom-eval heatmap -g theirs.txt -p tabular.prompts.jsonl -o g1 --no-pictures --validity both
says out "^theirs +0 code +$total +100.0"
says out "^theirs +0 paper +$total +9[0-9]"
sed -E 's/^[^ ]* ([^ ]*) (.*)$/<-1><s> id:\1\/max depth:1\/num edges:1[\2]<\/s>/' theirs.txt >lines.txt
sed -i '3s/.*/[INVALID TRACE]/' lines.txt
expect 0 loom-eval heatmap -g public=lines.txt -p tabular.prompts.jsonl -o g2 --no-pictures --validity code
says g2/fig03.csv "^fig03,public,0,0,code,temperature,0,$((total - 1)),$total,"
tac theirs.txt >wrong-order.txt
expect 0 loom-eval heatmap -g wrong-order.txt -p tabular.prompts.jsonl -o g3 --no-pictures
grep -qE "^wrong-order +0 paper +$total +100.0" out && fail "graphs of other sizes than asked for are correct"
head -n 5 theirs.txt >few.txt
cat theirs.txt theirs.txt >many.txt
expect 1 loom-eval heatmap -g few.txt -p tabular.prompts.jsonl -o g4
says err "holds fewer graphs than the $total prompts"
one_sentence
expect 1 loom-eval heatmap -g many.txt -p tabular.prompts.jsonl -o g4
says err "holds more graphs than the $total prompts"
expect 2 loom-eval heatmap -g theirs.txt -o g4
says err "which prompts do these graphs answer"
expect 2 loom-eval heatmap -o g4
says err "nothing to judge"

# several temperatures: Fig 3c; with and without: Fig 13; sizes: Fig 14
sed 's/"temperature":0/"temperature":0.4/' recursive.damaged.jsonl >warm.answers.jsonl
expect 0 loom-eval heatmap recursive.answers.jsonl warm.answers.jsonl -p recursive.prompts.jsonl -o res7
says res7/fig03.csv '^fig03,recursive,1,0.4,paper,temperature,0.4,'
expect 0 loom-eval variants with=recursive.answers.jsonl without=recursive.damaged.jsonl with=warm.answers.jsonl -p recursive.prompts.jsonl -o res7
says res7/fig13.csv '^experiment,variant,seed,temperature,validity,axis,x,k,n,value,lo,hi$'
says res7/fig13.csv '^fig13,without,1,0,paper,temperature,0,[0-9]+,'
says res7/fig13.csv '^fig13,with,1,0.4,paper,temperature,0.4,'
expect 0 loom-eval ladder small=recursive.damaged.jsonl large=recursive.answers.jsonl large=warm.answers.jsonl -p recursive.prompts.jsonl -o res7
says err "how large the model is cannot be told"
says res7/fig14.csv '^fig14,large,,1,0,paper,depth,1,'
says res7/manifest.json '"13"'
if command -v gnuplot >/dev/null; then
    for f in fig03c fig13 fig14a fig14b fig14c; do says res7/$f.svg "</svg>"; done
fi
expect 2 loom-eval ladder recursive.answers.jsonl -o e7
says err "which model is it"
# --update: what is there stays; other answers, names or options make it anew
expect 0 loom-eval heatmap recursive.answers.jsonl warm.answers.jsonl -p recursive.prompts.jsonl -o res7 --update
says err "what heatmap writes is up to date"
expect 0 loom-eval heatmap other=recursive.answers.jsonl warm.answers.jsonl -p recursive.prompts.jsonl -o res7 --update
says res7/fig12.csv '^fig12,other,'
rm res7/fig03.csv
expect 0 loom-eval heatmap other=recursive.answers.jsonl warm.answers.jsonl -p recursive.prompts.jsonl -o res7 --update
[ -s res7/fig03.csv ] || fail "--update leaves a table missing"
# nothing half-written when the disk is full (here: no file may grow beyond 8 KiB)
full_disk() { (trap '' XFSZ; ulimit -f 8; exec "$@"); }
expect 1 full_disk loom-eval heatmap recursive.answers.jsonl -o res8
[ -e res8 ] && fail "a full disk leaves a folder: $(ls -A res8)"
cp -r res7 res9
expect 1 full_disk loom-eval heatmap recursive.answers.jsonl -o res9 --force
diff -r res7 res9 || fail "a full disk changes results that were there"

# sample sizes by preset; a number of one's own goes before
expect 0 loom-eval prompts "$valid" --mode tabular --preset desk --edges 1 --depths 1 -o preset.jsonl
[ "$(wc -l <preset.jsonl)" = 10 ] || fail "desk asks for $(wc -l <preset.jsonl) prompts of a cell, not 10"
expect 0 loom-eval prompts "$valid" --mode tabular --preset desk --per-cell 3 --edges 1 --depths 1 -o preset3.jsonl
[ "$(wc -l <preset3.jsonl)" = 3 ] || fail "--per-cell does not go before the preset"
expect 0 loom-eval prompts "$valid" --mode tabular --like -o like.jsonl
says err "[0-9]+ prompts: one for every validation graph \(50000 were asked for\)"
expect 0 loom-eval prompts "$valid" --mode tabular --like --count 5 -o like5.jsonl
same <(head -n 5 like.jsonl) like5.jsonl || fail "fewer prompts are other prompts"
expect 2 loom-eval prompts "$valid" --like --ask both -o e8.jsonl
says err "two kinds of prompts"

# bad input: one sentence, file, line, cure
expect 2 loom-eval heatmap tabular.answers.jsonl
says err "output"
: >empty.jsonl
expect 1 loom-eval heatmap empty.jsonl -o e1
says err "empty.jsonl: the file holds no answers; write it with"
expect 1 loom-eval heatmap tabular.prompts.jsonl -o e2
says err "tabular.prompts.jsonl:1: not an answer: this is a prompts file"
{ head -n 1 tabular.answers.jsonl; echo nonsense; } >broken.jsonl
expect 1 loom-eval heatmap broken.jsonl -o e3
says err "broken.jsonl:2: not a line of JSON"
expect 1 loom-eval heatmap recursive.answers.jsonl --prompts other.jsonl -o e4
says err "recursive.answers.jsonl:[0-9]+: this is not an answer to prompt"
expect 1 loom-eval prompts empty.jsonl -o e.jsonl
says err "empty.jsonl: the file is empty"
printf 'a b c\n' >junk.txt
expect 1 loom-eval prompts junk.txt -o e.jsonl
says err "junk.txt: none of 1 lines holds a valid call graph"
expect 2 loom-eval prompts "$valid" --edges 5:2 -o e.jsonl
says err '"5:2", expected FIRST:LAST'
expect 1 loom-eval prompts "$valid" --edges 900:901 -o e.jsonl
says err "no graph has 900:901 edges"
expect 1 loom-eval heatmap x=missing.jsonl -o e5
says err "missing.jsonl"

# --update: nothing to do, then another setting
expect 0 loom-eval prompts "$valid" --mode recursive --per-cell 4 --update -o again.jsonl
says err "up to date"
expect 0 loom-eval prompts "$valid" --mode recursive --per-cell 2 --update -o again.jsonl
says err "prompts for [0-9]+ of 136 cells"
expect 0 loom-eval oracle again.jsonl --update -o again.answers.jsonl
expect 0 loom-eval oracle again.jsonl --update -o again.answers.jsonl
says err "up to date"

# a graph with repeated ids is right by the rules, but no record can show it: counted, said, and not among graphs
edge() { printf '(edge_id is %s,type is rpc,destination is MS_0000%s,communication starts at 0 milliseconds,communication finishes at 9 milliseconds)\\n' "$1" "$2"; }
list="id:S_000000001/num_edges:2/start_node:MS_00001/start_edge_id:1/start_communication_at:0/latency:9/num_subgraphs:0/remaining_depth:0/num_current_edges:2/caller:USER"
for second in 1 2; do
    printf '{"id":0,"sample":%s,"mode":"recursive","edges":3,"depth":2,"temperature":0,"seed":1,"layers":[{"parent":-1,"prompt":"id:S_000000001/start_node:USER/num_edges:3/remaining_depth:1\\n<layer>\\n<edges>\\n","text":"%s</edges>\\n<subgraph of edge_id 0>%s</subgraph>\\n"},{"parent":0,"prompt":"%s\\n","text":"<layer>\\n<edges>\\n%s%s</edges>\\n"}]}\n' \
        $((second - 1)) "$(edge 0 1)" "$list" "$list" "$(edge 1 2)" "$(edge $second 3)"
done >twice.answers.jsonl
expect 0 loom-eval heatmap twice.answers.jsonl -o res20 --no-pictures --validity code
says out '^recursive +0 code +2 +100.0'
says out '^recursive at 0: duplicate_ids in 1 graph counted as correct \(two calls of a layer have one id\); no record is made of it$'
says res20/errors.csv '^errors,recursive,1,0,odd,duplicate_ids,two calls of a layer have one id,1,0.5,$'
expect 0 loom-eval distribution twice.answers.jsonl -o res21 --no-pictures
says res21/fig08.csv '^fig08,twice,1,edges,3,1,1$'
