#!/usr/bin/env bash
# faults.sh BUILD [POINTS [ONLY]]: lets calls fail, one at a time, under every subcommand on tiny inputs.
# POINTS (default 100) is the most for one case, ONLY a pattern of case names. Each point must end with exit 0 and the right
# bytes ("same"), or with exit 1, one sentence and nothing left ("error"); tests/tools/fault_run.c judges. Prints, for each
# case and kind of call, how many there are, how many were tried and how they ended; ends with exit 1 after any finding.
set -u
build=$(realpath "${1:?usage: faults.sh BUILD [POINTS [ONLY]]}") points=${2:-100} only=${3:-.}
src=$(realpath "$(dirname "$0")/..") jobs=${JOBS:-$(nproc)}
[ -e "$build/tests/fault_points.so" ] || { echo "$build holds no tests/fault_points.so: run 'make build'" >&2; exit 77; }
work=$(mktemp -d "${TMPDIR:-/tmp}/loom-faults.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
export PATH="$build/bin:$PATH"
cd "$work" || exit 1

# ---- inputs ----
must() { "$@" >log 2>&1 || { cat log >&2; echo "the inputs of the cases cannot be made: $*" >&2; exit 1; }; }
mkdir in && cd in || exit 1
real=$src/tests/golden/spec/dedupe/expected.txt
must loom-preprocess sample-traces --profile tiny --traces 60 -q -o traces
must loom-preprocess graphs -q traces -o g.graphs.zst
must loom-preprocess stats -q g.graphs.zst -o stats.json
must loom-preprocess encode -q g.graphs.zst --mode instruction --stats stats.json -o i.txt.zst
must loom-preprocess encode -q g.graphs.zst --mode recursive -o r.txt.zst
must loom-preprocess tokenizer -q i.txt.zst -o tokenizer.json
must loom-preprocess tokens -q i.txt.zst --tokenizer tokenizer.json -o t.tokens.h5
tiny="--hidden 16 --layers 1 --heads 2 --context 640 --batch-tokens 640 --no-plot"
must loom-train pretrain t.tokens.h5 -o run $tiny --steps 2 -q
must loom-train pretrain t.tokens.h5 -o two $tiny --steps 2 --seed 2 -q
must loom-train sft t.tokens.h5 --base run --lora -o lora --context 640 --batch-tokens 640 --no-plot --steps 1 -q
must "$build/tests/make_random_llama" tiny-3.2 llama tokenizer.json 1
head -n 12 "$real" >g.graphs
must loom-infer convert -q g.graphs -o g.csv
must loom-infer convert -q g.graphs -o g.json
must loom-infer convert -q g.graphs -o g.jsonl
must loom-eval prompts "$real" -q --mode instruction --edges 1:4 --depths 1:2 --per-cell 1 -o i.prompts.jsonl
must loom-eval prompts "$real" -q --mode recursive --edges 1:4 --depths 1:2 --per-cell 1 -o r.prompts.jsonl
cat "$src"/tests/golden/spec/stats/part_*.txt >real.graphs
must loom-preprocess stats -q real.graphs -o real.json
must loom-eval prompts real.graphs -q --ask uncommon --stats real.json --count 4 -o ask.jsonl
awk 'BEGIN { for (s = 1; s <= 2; s++) for (i = 0; i < 60; i++) { t = i % 8 == 0 ? 300 : 20 + i % 5
    printf "00h00m00s%03dms S_%d 0|http|USER|MS_1|ARRIVED_0|RT_%d||0.1|rpc|MS_1|MS_2|ARRIVED_1|RT_%d||0.1.1|mc|MS_2|MS_3|ARRIVED_2|RT_1\n", i, s, t + 3, t } }' >m.graphs
must loom-eval oracle -q r.prompts.jsonl -o r.answers.jsonl
must loom-eval oracle -q r.prompts.jsonl --damage 0.5 -o bad.answers.jsonl
must loom-eval oracle -q i.prompts.jsonl -o i.answers.jsonl
must loom-eval prompts g.graphs -q --mode tabular --edges 1:4 --depths 1:2 --per-cell 1 -o few.prompts.jsonl
sed "s/.*/\"(edge_id is 0)\"/" few.prompts.jsonl >few.jsonl
must loom-eval oracle -q ask.jsonl -o ask.answers.jsonl
must loom-eval heatmap -q r.answers.jsonl -p r.prompts.jsonl -o res --no-pictures
mkdir folder && cp g.csv folder/ && gzip -c g.csv >g.csv.gz && tar -cf g.tar g.csv
printf 'threads = 1\n[graphs]\n' >a.conf
cd .. || exit 1

# ---- cases ----
# fault NAME [options of fault_run] -- COMMAND: runs beside the others, JOBS at a time.
fault() {
    local name=$1; shift
    [[ "$name" =~ $only ]] || return 0
    while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n; done
    mkdir "case.$name" && ln -s ../in "case.$name/in"
    (cd "case.$name" && "$build/tests/fault_run" --library "$build/tests/fault_points.so" --label "$name" --points "$points" \
        --findings found "$@" >table 2>trouble || touch failed) &
}
one="--threads 1 -q"
results="--varies res/manifest.json" # holds times
training="--varies curve.csv --varies training.json --varies *.h5 --stays run.lock --whole step-*.h5 --whole model.h5 --whole adapter.h5 --whole curve.csv --whole training.json"

fault sample-traces   -- loom-preprocess sample-traces --profile tiny --traces 40 -o o/traces $one
fault graphs          -- loom-preprocess graphs in/g.csv --report o/r.json -o o/g.graphs.zst $one
fault graphs-2-threads -- loom-preprocess graphs in/traces -o o/g.graphs.zst --threads 2 -q
fault graphs-tar      -- loom-preprocess graphs in/g.tar -o o/g.graphs $one
fault graphs-config   -- loom-preprocess graphs in/g.csv.gz -o o/g.graphs --config in/a.conf $one
fault graphs-spans    -- loom-preprocess graphs in/g.json -o o/g.graphs --rename o/names.tsv --keep-ids $one
fault anonymise       -- loom-preprocess anonymise in/g.graphs.zst -o o/g.graphs --mapping o/names.tsv --names numbers --min-graphs 2 --report o/r.json $one
fault canaries        -- loom-preprocess canaries in/g.graphs.zst -o o/m.graphs --planted o/p.graphs --twins o/t.graphs --canaries 2 --twin-count 100 --calls 2 $one
fault dedupe          -- loom-preprocess dedupe in/g.graphs.zst -o o/g.graphs.zst $one
fault split           -- loom-preprocess split in/g.graphs.zst --train o/t.graphs.zst --valid o/v.graphs.zst $one
fault stats           -- loom-preprocess stats in/g.graphs.zst -o o/s.json $one
fault describe        -- loom-preprocess describe in/g.graphs.zst $one
fault encode          -- loom-preprocess encode in/g.graphs.zst --mode instruction --stats in/stats.json -o o/i.txt.zst $one
fault encode-tabular  -- loom-preprocess encode in/g.graphs --mode tabular -o o/t.txt --threads 2 -q
fault balance         -- loom-preprocess balance in/i.txt.zst --exponent 0.5 --samples 40 --renamed 0.25 -o o/b.txt.zst $one
fault tokenizer       -- loom-preprocess tokenizer in/i.txt.zst -o o/tokenizer.json $one
fault tokens          --varies *.h5 -- loom-preprocess tokens in/i.txt.zst --tokenizer in/tokenizer.json -o o/t.tokens.h5 $one
fault pretrain        $training -- loom-train pretrain in/t.tokens.h5 -o o $tiny --steps 2 $one
fault sft-private     $training -- loom-train sft in/t.tokens.h5 --base in/run -o o --context 640 --batch-tokens 640 --no-plot --steps 1 --dp noise=1,graphs=2 --dp-secret 3 $one
fault sft             $training -- loom-train sft in/t.tokens.h5 --base in/run --lora -o o --context 640 --batch-tokens 640 --no-plot --steps 1 $one
fault merge           --varies *.h5 -- loom-train merge in/lora -o o/m.h5 $one
fault average         --varies *.h5 -- loom-train average in/run in/two -o o/m.h5 $one
fault export          -- loom-train export in/run -o o/hf $one
fault import          --varies *.h5 -- loom-train import in/llama -o o/m.h5 $one
fault info            -- loom-train info --verify --tensors --meta in/run $one
fault info-shard      -- loom-train info --verify --json in/t.tokens.h5 $one
fault sample          -- loom-infer sample --model in/run --edges 3 --depth 2 --service S_5 -n 2 --constrain full -o o/a.jsonl --records o/a.graphs --csv o/a.csv $one
fault sample-prompts  -- loom-infer sample --model in/run --prompts in/i.prompts.jsonl --constrain full --max-tokens 300 -o o/a.jsonl --threads 2 -q
fault complete        -- loom-infer complete --model in/run --max-tokens 4 --json 'id:S_1' $one
fault complete-llama  -- loom-infer complete --model in/llama --max-tokens 2 --json 'id:S_1' $one
fault convert-csv     -- loom-infer convert in/g.csv -o o/g.graphs $one
fault convert-jaeger  -- loom-infer convert in/g.json -o o/g.csv $one
fault convert-otlp    -- loom-infer convert in/g.jsonl -o o/g.dot $one
fault convert-npy     -- loom-infer convert in/g.graphs --to npy -o o/arrays $one
fault convert-records -- loom-infer convert in/g.graphs.zst -o o/g.json $one
fault show            -- loom-infer show in/g.graphs $one
fault prompts         -- loom-eval prompts in/g.graphs.zst --mode instruction --per-cell 1 --edges 1:4 --depths 1:2 -o o/p.jsonl $one
fault prompts-ask     -- loom-eval prompts in/real.graphs --ask uncommon --stats in/real.json --count 3 -o o/p.jsonl $one
fault oracle          -- loom-eval oracle in/r.prompts.jsonl -o o/a.jsonl $one
fault oracle-damage   -- loom-eval oracle in/i.prompts.jsonl --damage 0.5 -o o/a.jsonl $one
fault heatmap         $results -- loom-eval heatmap in/r.answers.jsonl in/i.answers.jsonl -p in/r.prompts.jsonl,in/i.prompts.jsonl -o o/res --no-pictures $one
fault heatmap-2-threads $results -- loom-eval heatmap in/bad.answers.jsonl -o o/res --no-pictures --threads 2 -q
fault similarity      $results -- loom-eval similarity --real in/g.graphs.zst in/g.graphs --resamples 2 --no-pictures -o o/res $one
fault memorization    $results -- loom-eval memorization --train in/g.graphs.zst copies=in/g.graphs --no-pictures -o o/res $one
fault privacy         $results -- loom-eval privacy --model in/run --members in/t.tokens.h5 --others in/t.tokens.h5 --count 4 --train in/g.graphs.zst in/g.graphs -o o/res $one
fault distribution    $results -- loom-eval distribution in/g.graphs.zst in/g.graphs --no-pictures -o o/res $one
fault baseline        -- loom-eval baseline in/g.graphs.zst --count 10 -o o/b.graphs.zst $one
fault baseline-prompts -- loom-eval baseline in/g.graphs.zst --prompts in/r.prompts.jsonl -o o/b.graphs $one
fault tvae            -- loom-eval tvae in/g.graphs.zst --rows 50 --epochs 1 --width 4 --batch 20 --count 10 -o o/t.calls.zst $one
fault management      $results -- loom-eval management --real in/m.graphs --test in/m.graphs in/m.graphs --seeds 1 --no-pictures -o o/res $one
fault following       $results -- loom-eval following in/ask.answers.jsonl --prompts in/ask.jsonl --no-pictures -o o/res $one
fault prompts-few-shot -- loom-eval prompts in/g.graphs.zst --mode tabular --edges 1:4 --depths 1:2 --per-cell 1 --train in/g.graphs.zst --few-shot o/r.jsonl -o o/p.jsonl $one
fault few-shot        $results -- loom-eval few-shot x=in/few.jsonl --prompts in/few.prompts.jsonl -o o/res $one
fault variants        $results -- loom-eval variants with=in/r.answers.jsonl without=in/bad.answers.jsonl -p in/r.prompts.jsonl --no-pictures -o o/res $one
fault ladder          $results -- loom-eval ladder small=in/bad.answers.jsonl large=in/r.answers.jsonl -p in/r.prompts.jsonl --no-pictures -o o/res $one
fault settings        $results -- loom-eval settings pretrain=in/run/model.h5 sft=in/lora/adapter.h5 -o o/res $one
fault report          --start in/res -- loom-eval report o -o o/report.html $one
fault help            -- loom-train pretrain --help
fault print-config    -- loom-infer sample --print-config --config in/a.conf
wait

# ---- the table ----
printf '%-28s %-7s %8s %6s %6s %6s %6s %6s %6s %6s %6s %6s\n' case fails calls points same error signal hang code mute wrong left
cat case.*/table
cat case.*/table | awk '
    { calls[$2] += $3; for (i = 4; i <= 12; i++) { sum[$2, i] += $i; all[i] += $i } }
    END { for (k in calls) { printf "%-28s %-7s %8d", "all", k, calls[k]; for (i = 4; i <= 12; i++) printf " %6d", sum[k, i]; print "" }
          printf "%-28s %-7s %8s", "all", "", ""; for (i = 4; i <= 12; i++) printf " %6d", all[i]; print "" }'
cat case.*/trouble
if cat case.*/libraries >libraries 2>/dev/null; then
    echo "points at which a library crashed for want of memory; counted as error when the run ended with its sentence and nothing left:"
    cut -f1 libraries | sort | uniq -c
fi
if cat case.*/found >found 2>/dev/null; then echo "$(wc -l <found) findings:"; sort found; fi
if ls case.*/failed >/dev/null 2>&1; then exit 1; fi
[ "$(ls -d case.* | wc -l)" -gt 0 ] || { echo "no case is called $only"; exit 1; }
