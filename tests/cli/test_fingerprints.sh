# The same input and options give the same bytes: every command that makes files runs twice, in different seconds and with
# different threads, and what does not depend on the machine is compared with fingerprints.sum beside this script.
# UPDATE_FINGERPRINTS=1 writes that file anew, for when a format or a method has changed on purpose.
sums=$SRC/tests/cli/fingerprints.sum
P=loom-preprocess
make_all() { # folder, threads
    local t="--threads $2 -q"
    mkdir "$1" && cd "$1" || exit 1
    $P sample-traces --profile tiny --traces 400 --files 2 --truth -o traces $t &&
        $P graphs traces -o raw.graphs.zst --report graphs.json --verdicts verdicts.jsonl --dropped dropped.csv $t &&
        $P graphs traces --merge -o merged.graphs.zst --rename names.txt $t &&
        $P dedupe raw.graphs.zst -o all.graphs.zst --report dedupe.json --decisions decisions.jsonl $t &&
        $P split all.graphs.zst --train t.graphs.zst --valid v.graphs.zst $t &&
        $P stats t.graphs.zst -o stats.json $t &&
        $P describe t.graphs.zst --csv describe.csv $t >/dev/null || return 1
    for m in tabular recursive instruction; do $P encode t.graphs.zst --stats stats.json --mode $m -o $m.txt.zst $t || return 1; done
    $P tokenizer instruction.txt.zst -o tokenizer.json $t &&
        $P balance instruction.txt.zst -o balanced.txt.zst $t &&
        $P tokens instruction.txt.zst --tokenizer tokenizer.json -o i.tokens.h5 $t || return 1
    loom-eval prompts v.graphs.zst --stats stats.json --train t.graphs.zst --edges 2:6 --depths 2:3 --per-cell 1 -o p.prompts.jsonl $t &&
        loom-eval prompts v.graphs.zst --stats stats.json --like --count 5 -o like.prompts.jsonl $t &&
        loom-eval oracle p.prompts.jsonl -o o.answers.jsonl $t &&
        loom-eval baseline t.graphs.zst --count 20 -o b.graphs.zst $t &&
        loom-eval distribution t.graphs.zst v.graphs.zst --no-pictures -o results $t >/dev/null &&
        loom-eval heatmap o.answers.jsonl --prompts p.prompts.jsonl --no-pictures -o results $t >/dev/null || return 1
    for f in csv json jsonl dot graphs; do loom-infer convert v.graphs.zst --limit 20 -o c.$f $t || return 1; done
    loom-train pretrain i.tokens.h5 --hidden 16 --layers 1 --heads 2 --context 2048 --batch-tokens 2048 --steps 3 --save-every 2 --no-plot \
        --threads 1 -q -o run &&
        loom-train average run/model.h5 run/model.h5 -o mean.h5 $t &&
        loom-train export run/model.h5 -o hf $t >/dev/null && loom-train import hf -o back.h5 $t >/dev/null || return 1
    loom-infer sample --model run --prompts like.prompts.jsonl --constrain full --max-tokens 1000 --csv s.csv --records s.graphs \
        -o s.answers.jsonl --threads 1 -q
    local code=$?
    [ $code = 0 ] || [ $code = 3 ]
}
( make_all one 1 ) || fail "a command failed"
sleep 1.1
( make_all two 2 ) || fail "a command failed the second time"

# Left out are measured times (curve.csv, training.json and its copy, the manifest, checkpoints to go on from) and what tells how a file was made: command line and threads.
list() { (cd $1 && find . -type f ! -name '*.meta.json' ! -name manifest.json ! -name curve.csv ! -name training.json ! -name 'step-*.h5' | sort); }
list one >names && list two | cmp -s - names || fail "the two runs made other files"
while read -r f; do cmp -s "one/$f" "two/$f" || fail "$f differs from run to run"; done <names
[ "$(wc -l <names)" -ge 40 ] || fail "only $(wc -l <names) files were compared"
strip() { grep -vE '^  "(command_line|threads|model_training)":' "$1"; }
(cd one && find . -name '*.meta.json') | while read -r f; do
    same <(strip one/$f) <(strip two/$f) || fail "$f differs in more than command line, threads and measured times"
done || exit 1

# A shard is known by its content: made again from a file of another name, it is the same to a run that goes on.
(
    cd two && cp instruction.txt.zst renamed.txt.zst && cp i.tokens.h5 before.h5
    expect 0 $P tokens renamed.txt.zst --tokenizer tokenizer.json -o i.tokens.h5 --force -q
    cmp -s i.tokens.h5 before.h5 && fail "the shard says nothing of its input"
    expect 0 loom-train pretrain i.tokens.h5 --hidden 16 --layers 1 --heads 2 --context 2048 --batch-tokens 2048 --steps 3 \
        --save-every 2 --no-plot --threads 1 -q -o run
) || exit 1

# The content of packed files, as the packer's version does not count.
pinned() {
    cd one && for f in traces/CallGraph_0.csv traces/truth.jsonl raw.graphs.zst verdicts.jsonl dropped.csv merged.graphs.zst \
        names.txt all.graphs.zst t.graphs.zst v.graphs.zst stats.json tabular.txt.zst recursive.txt.zst instruction.txt.zst \
        balanced.txt.zst tokenizer.json p.prompts.jsonl like.prompts.jsonl o.answers.jsonl c.csv c.json c.jsonl c.dot; do
        case $f in *.zst) zstd -dcq $f ;; *) cat $f ;; esac | sha256sum | sed "s|-\$|$f|"
    done
}
command -v zstd >/dev/null || skip "no zstd to unpack with; two runs gave the same bytes"
(pinned) >sums
[ -z "${UPDATE_FINGERPRINTS:-}" ] || cp sums "$sums"
diff "$sums" sums >changed || { cat changed >&2; fail "other content than before; if that is meant, run with UPDATE_FINGERPRINTS=1"; }
exit 0
