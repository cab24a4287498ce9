# Real call graphs as perfect answers: all of them must be judged correct; the paper's own rules reject the few whose
# calls start before their callers.
real=$SHARED/data/alibaba-v2022-tracellm-tabular.csv
[ -r "$real" ] || skip "no real call graphs beside the checkout"
for mode in tabular recursive instruction; do
    expect 0 loom-eval prompts "$real" --mode $mode --per-cell 10 -o $mode.prompts.jsonl
    expect 0 loom-eval oracle $mode.prompts.jsonl -o $mode.answers.jsonl
done
expect 0 loom-eval heatmap *.answers.jsonl --validity both --no-pictures -o res
for mode in tabular recursive instruction; do
    says out "^$mode +0 code +[0-9]+ +100\.0"
    says out "^$mode +0 paper +[0-9]+ +(99|100)\.[0-9]"
done
