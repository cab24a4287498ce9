# Instruction following: prompts in pairs, perfect answers, the table.
cat "$SRC"/tests/golden/spec/stats/part_*.txt >real.txt
expect 0 loom-preprocess stats real.txt -o stats.json
expect 2 loom-eval prompts real.txt --ask uncommon -o ask.jsonl
says err "give the statistics with --stats"
expect 0 loom-eval prompts real.txt --ask uncommon --stats stats.json --count 20 -o ask.jsonl
[ $(($(wc -l <ask.jsonl) % 2)) = 0 ] || fail "prompts do not come in pairs"
says ask.jsonl '"ask":"uncommon","arm":"with","include":\["MS_'
# the two prompts of a pair differ in one line
diff <(sed -n 1p ask.jsonl | grep -o '"prompt":".*### Answer' | sed 's/\\n/\n/g') \
     <(sed -n 2p ask.jsonl | grep -o '"prompt":".*### Answer' | sed 's/\\n/\n/g') >difference
[ "$(grep -c '^[<>]' difference)" = 1 ] || fail "a pair differs in more than a line"
says difference '^< Include an edge from MS_'

expect 0 loom-eval prompts real.txt --ask high-latency --stats stats.json --count 5 --bounded -o slow.jsonl
p90=$(sed -n '1s/.*"p90":\([0-9]*\).*/\1/p' slow.jsonl)
says slow.jsonl "Build a call graph with high latency, $p90 <= latency"
sed -n 2p slow.jsonl | grep -q 'high latency' && fail "the prompt without the line has it"
expect 0 loom-eval oracle ask.jsonl -o ask.answers.jsonl
expect 0 loom-eval following ask.answers.jsonl --prompts ask.jsonl -o res
says out '^fig06,1,uncommon,with,([0-9]+),\1,1,'
cmp -s out res/fig06.csv || fail "the printed table is another one"
expect 0 loom-eval oracle ask.jsonl --damage 1 -o bad.answers.jsonl
expect 0 loom-eval following bad.answers.jsonl --prompts ask.jsonl -o res2
grep -qE '^fig06,1,uncommon,with,([0-9]+),\1,' res2/fig06.csv && fail "damage is not seen"

expect 2 loom-eval following ask.answers.jsonl -o e1
says err "no prompts for ask.answers.jsonl"
expect 0 loom-eval prompts real.txt --mode instruction --per-cell 2 -o cells.jsonl
expect 1 loom-eval following ask.answers.jsonl --prompts cells.jsonl -o e2
says err "cells.jsonl:1: this prompt asks for nothing"
expect 0 loom-eval prompts real.txt --ask uncommon --stats stats.json --count 20 --seed 9 -o other.jsonl
expect 1 loom-eval following ask.answers.jsonl --prompts other.jsonl -o e3
says err "ask.answers.jsonl:[0-9]+: this is no answer to a prompt of the file"

# pictures drawn again from a script edited by hand
if command -v gnuplot >/dev/null; then
    rm -f res/fig06.png
    expect 0 loom-eval figures res
    [ -s res/fig06.png ] || fail "figures drew nothing"
    cp res/fig06.gp mine.gp
    echo "this is no gnuplot" >res/broken.gp
    expect 2 loom-eval figures res
    says err "res/broken.gp is not, but for its values, the script that this program writes; .* give --trust"
    expect 1 loom-eval figures res --trust
    says err "res/broken.gp: gnuplot failed"
    rm res/broken.gp

    # a script may run any program: whatever is added or changed in one is refused, other values are not
    for line in 'system "touch owned"' 'caption = "`touch owned`"' 'csv = "< touch owned"' "shades = system('touch owned')" \
        'labels = "\"a\\\" . system(\\\"touch owned\\\")\""' 'format = "../../owned"' 'title = "a" . system("touch owned")'; do
        sed "/^caption = /a\\
${line//\\/\\\\}" mine.gp >res/fig06.gp
        grep -qF "$line" res/fig06.gp || fail "the test does not add: $line"
        expect 2 loom-eval figures res
        [ ! -e owned ] || fail "run: $line"
    done
    sed 's/^set yrange .*/set yrange [0:50]/' mine.gp >res/fig06.gp
    expect 2 loom-eval figures res
    expect 0 loom-eval figures res --trust
    sed 's/^title = .*/title = "A title \\"of mine\\" \\\\ and 5 %"/' mine.gp >res/fig06.gp
    expect 0 loom-eval figures res
    mv mine.gp res/fig06.gp
fi
[ -e e1 ] && fail "a command that failed left a folder"
mkdir e4
expect 2 loom-eval figures e4
says err "holds no scripts"
# a prompt without an answer is a failure, counted and said
sed '$d' ask.answers.jsonl >fewer.answers.jsonl
expect 0 loom-eval following fewer.answers.jsonl --prompts ask.jsonl -o res3
says err "fewer.answers.jsonl: 1 of the prompts in ask.jsonl have no answer; they are counted as failures"
n=$(awk -F, '$4 == "without" {print $6}' res/fig06.csv)
awk -F, -v n="$n" '$4 == "without" && $6 != n {exit 1}' res3/fig06.csv || fail "the missing answer is not in n"
