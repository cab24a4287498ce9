# Requests for language models of others, and their answers in the wrappings that are usual.
real=$SRC/tests/golden/spec/dedupe/expected.txt
ask() { loom-eval prompts "$real" --mode tabular --edges 2:6 --depths 2:4 --per-cell 2 --no-repeat --train "$real" "$@"; }
expect 0 ask --few-shot requests.jsonl -o p.prompts.jsonl
n=$(wc -l <p.prompts.jsonl)
[ "$n" -ge 4 ] && [ "$(wc -l <requests.jsonl)" = "$n" ] || fail "not a request for each prompt"
says requests.jsonl '^\{"custom_id":"0","method":"POST","url":"/v1/chat/completions","body":\{"model":"model","messages":\[\{"role":"system"'
says requests.jsonl 'Example 2:.*Your turn:'
expect 0 ask --few-shot again.jsonl -o again.prompts.jsonl
cmp -s requests.jsonl again.jsonl || fail "not the same bytes again"
expect 0 ask --few-shot requests.jsonl -o p.prompts.jsonl --update
says err "up to date"

# right answers in every wrapping are judged like the plain ones
expect 0 loom-eval oracle p.prompts.jsonl -o right.answers.jsonl
sed -E 's/.*"text":("[^"]*").*/\1/' right.answers.jsonl >texts
judged() { expect 0 loom-eval few-shot "x=$1" --prompts p.prompts.jsonl --force -o "res-$1"; }
all() { judged "$1"; says "res-$1/table3.csv" "^table3,x,[0-9]+,0,all,$2,$n,"; }
cp texts bare
number() { form=$1 awk '{ form = ENVIRON["form"]; id = NR - 1; text = substr($0, 2, length($0) - 2); line = form; gsub(/&/, "\\\\&", text)
    sub(/ID/, id, line); at = index(line, "TEXT"); print substr(line, 1, at - 1) text substr(line, at + 4) }' texts; }
number '{"id":ID,"text":"TEXT"}' >plain
number '{"custom_id":"ID","response":{"status_code":200,"body":{"id":"chatcmpl-1","choices":[{"message":{"role":"assistant","content":"<think>first <edges> (no)</think>Here:\n```\n<edges>\nTEXT</edges>\n```\nDone."}}]}},"error":null}' >batch
number '{"custom_id":"ID","result":{"type":"succeeded","message":{"content":[{"type":"thinking","thinking":"hm","text":"("},{"type":"text","text":"TEXT</edges>"}]}}}' >parts
number '{"candidates":[{"content":{"parts":[{"text":"Sure.\n"},{"text":"TEXT"}]}}]}' >candidates
number '{"id":"cmpl-ID","choices":[{"text":"TEXT"}]}' >choices
number '{"model":"m","message":{"role":"assistant","content":"TEXT"}}' >chat
for form in bare plain batch parts candidates choices chat; do all $form "$n"; done
tac batch >shuffled
all shuffled "$n"
says res-batch/manifest.json '"figure": ?"T3"'
expect 0 loom-eval heatmap ours=right.answers.jsonl theirs=batch -p p.prompts.jsonl --no-pictures -o map
says map/fig03.csv '^fig03,theirs,'
expect 0 loom-eval few-shot x=batch instruction=right.answers.jsonl -p p.prompts.jsonl -o both
says both/manifest.json '[+]0.0 points'

# what is wrong, missing or an error is a failure; nothing else is
sed 's/finishes at/ends at/' plain >wrong
all wrong 0
head -n 1 plain >one
all one 1
says err "have no answer; they are counted as failures"
{ echo '{"custom_id":"0","response":{"status_code":429,"body":{}},"error":{"message":"slow down"}}'; tail -n +2 batch; } >error
all error $((n - 1))

bad() { expect 1 loom-eval few-shot "x=$1" --prompts p.prompts.jsonl -o none; says err "$2"; one_sentence; }
{ head -n 1 plain; echo '{"id":1}'; } >no_text
bad no_text 'no_text:2: no text of an answer'
{ head -n 1 plain; echo '{"id":1,"choices":[{"text":"a"},{"text":"b"}]}'; } >two
bad two 'two:2: 2 answers in one line'
{ head -n 1 plain; echo '{"id":9999,"text":"a"}'; } >far
bad far 'far:2: p.prompts.jsonl has no tabular prompt 9999'
{ head -n 1 batch; echo '{"custom_id":"b-1","text":"a"}'; } >odd
bad odd 'odd:2: p.prompts.jsonl has no tabular prompt'
{ head -n 1 plain; echo 'Sure!'; } >prose
bad prose 'prose:2: not a line of JSON'
expect 2 loom-eval few-shot x=plain -o none
says err 'give the tabular prompts it was asked with --prompts'
expect 2 loom-eval prompts "$real" --few-shot r.jsonl --train "$real" -o q.jsonl
says err 'add --mode tabular'
expect 2 loom-eval prompts "$real" --mode tabular --few-shot r.jsonl -o q.jsonl
says err 'with --train'
expect 2 ask --few-shot q.jsonl -o q.jsonl
says err 'cannot both go to'
grep ' 0|[a-z]*|[^|]*|[^|]*|[^|]*|[^|]*||[^|]*' "$real" | head -n 1 >small
expect 1 loom-eval prompts "$real" --mode tabular --few-shot r.jsonl --train small --examples 3 -o q.jsonl
says err '[0-9]+ training graphs of these sizes, 3 examples wanted'
[ ! -e none ] && [ ! -e q.jsonl ] && [ ! -e r.jsonl ] || fail "left something"
