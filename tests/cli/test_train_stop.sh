# Ctrl-C saves and exits 130; kill -9 loses nothing that was saved; the end is the same as without either.
loom-preprocess sample-traces --profile tiny --traces 300 -q -o traces || fail "no traces"
loom-preprocess graphs -q traces -o g.graphs.zst || fail "no graphs"
loom-preprocess encode -q g.graphs.zst --mode tabular -o t.txt.zst || fail "no text"
loom-preprocess tokenizer -q t.txt.zst -o tokenizer.json || fail "no tokenizer"
loom-preprocess tokens -q t.txt.zst --tokenizer tokenizer.json -o t.tokens.h5 || fail "no shard"
# A plain command, so that $! is the trainer itself and no shell around it.
train=(loom-train pretrain t.tokens.h5 --hidden 32 --layers 2 --heads 2 --context 128 --batch-tokens 512 --save-every 7 --no-plot
       --threads 2 -q)
# wait_for_checkpoint DIR PID: until the run has saved something or has ended (at most a minute)
wait_for_checkpoint() {
    for i in $(seq 1200); do
        ls "$1"/step-*.h5 >/dev/null 2>&1 && return
        [ -e "/proc/$2/exe" ] || return
        sleep 0.05
    done
    kill -KILL "$2"
    fail "no checkpoint within a minute"
}

expect 0 "${train[@]}" -o whole --steps 90

# Ctrl-C in the middle: again in an empty folder when the run was done before it came
for i in $(seq 10); do
    rm -rf stopped
    "${train[@]}" -o stopped --steps 90 2>err & pid=$!
    wait_for_checkpoint stopped $pid
    kill -INT $pid 2>/dev/null; wait $pid; code=$?
    [ $code = 0 ] || break
done
[ $code = 130 ] || fail "exit code $code after Ctrl-C in $i runs"
says err 'interrupted at step [0-9]+, which is saved'
[ ! -e stopped/model.h5 ] || fail "an interrupted run has no result yet"
newest() { ls stopped/step-*.h5 2>/dev/null | tail -n 1; }
kills=0
for i in 1 2 3; do
    before=$(newest)
    "${train[@]}" -o stopped --steps 90 & pid=$!
    for k in $(seq 1200); do # until it has saved more
        [ "$(newest)" = "$before" ] && [ -e "/proc/$pid/exe" ] || break
        sleep 0.05
    done
    kill -KILL $pid 2>/dev/null; wait $pid 2>/dev/null
    [ $? = 137 ] && kills=$((kills + 1))
done
[ $kills -gt 0 ] || fail "no run was killed before its end"
expect 0 "${train[@]}" -o stopped --steps 90
ls stopped/*.tmp.* >/dev/null 2>&1 && fail "rests of a killed run"

# the same answer to the last bit
cmp <(cut -d, -f1,2,4,5,6 whole/curve.csv | tail -n 1) <(cut -d, -f1,2,4,5,6 stopped/curve.csv | tail -n 1) || fail "the curves end differently"
awk 'NR > 1 && $1 + 0 <= last { exit 1 } { last = $1 + 0 }' FS=, stopped/curve.csv || fail "a step stands twice in the curve"

# Muon keeps other things: killed and gone on with, by another number of threads too, it ends in the same bits
muon=("${train[@]}" --optimizer muon --ema 0.9)
expect 0 "${muon[@]}" -o muon --steps 60
"${muon[@]}" -o muon_killed --steps 60 & pid=$!
wait_for_checkpoint muon_killed $pid
kill -KILL $pid 2>/dev/null; wait $pid 2>/dev/null
expect 0 "${muon[@]}" -o muon_killed --steps 60 --stop-after 45 --threads 3
expect 2 "${train[@]}" --ema 0.9 -o muon_killed --steps 60; one_sentence; says err '.--optimizer is "adamw" here, but "muon"'
expect 2 "${muon[@]}" --no-nesterov -o muon_killed --steps 60; one_sentence; says err '.--nesterov is "false" here'
expect 0 "${muon[@]}" -o muon_killed --steps 60 --threads 1
cmp <(cut -d, -f1,2,4,5,6 muon/curve.csv | tail -n 1) <(cut -d, -f1,2,4,5,6 muon_killed/curve.csv | tail -n 1) || fail "the curves of Muon end differently"
for run in muon muon_killed; do loom-train export -q $run -o $run.hf || fail "cannot export $run"; done
weights() { tail -c +$((9 + $(od -An -tu8 -N8 "$1"))) "$1"; } # behind the header, which says how the file was made
cmp <(weights muon.hf/model.safetensors) <(weights muon_killed.hf/model.safetensors) || fail "Muon's weights differ after a kill"
expect 0 loom-train info --tensors muon/step-00000060.h5
says out 'muon_m/model.layers.1.mlp.down_proj.weight'; says out 'adam_v/model.embed_tokens.weight'; says out 'ema/model.layers.0'
grep -qE '(adam_v|adam_m)/.*_proj' out && fail "moments that Muon does not need"
expect 2 "${muon[@]}" --lora --init muon -o adapter --steps 1; one_sentence; says err '--no-lora'

# without an adapter, any number of threads gives the same bits, in either type of products
for compute in f32 auto; do
    for threads in 1 2 3; do
        expect 0 loom-train pretrain t.tokens.h5 --hidden 48 --layers 2 --heads 4 --context 128 --batch-tokens 1500 --micro-tokens 700 \
            --steps 6 --log-every 1 --save-every 0 --no-plot -q --compute $compute --threads $threads -o threads_$threads
        cmp <(cut -d, -f1-6 threads_1/curve.csv) <(cut -d, -f1-6 threads_$threads/curve.csv) || fail "$threads threads give other bits ($compute)"
        loom-train export -q threads_$threads -o threads_$threads.hf || fail "cannot export"
        cmp <(weights threads_1.hf/model.safetensors) <(weights threads_$threads.hf/model.safetensors) || fail "$threads threads give other weights ($compute)"
    done
    rm -rf threads_*
done

# one at a time
"${train[@]}" -o busy --steps 1000 & pid=$!
trap 'kill -KILL $pid 2>/dev/null' EXIT # whatever fails below
wait_for_checkpoint busy $pid
if [ -e /proc/$pid/exe ]; then
    expect 1 "${train[@]}" -o busy --steps 1000; one_sentence; says err 'another loom-train'
fi
kill -KILL $pid 2>/dev/null; wait $pid 2>/dev/null
trap - EXIT

# the disk fills up while saving (here: a limit on file sizes): one sentence, older checkpoints stay whole
"${train[@]}" -o full --steps 90 --stop-after 14 || fail "cannot begin"
before=$(ls full/step-*.h5 | tail -n 1)
( trap '' XFSZ; ulimit -f 40; "${train[@]}" -o full --steps 90 >out 2>err ); code=$?
[ $code = 1 ] || fail "exit code $code on a full disk"
one_sentence; says err 'saving step|File too large'
expect 0 loom-train info --verify "$before"
expect 0 "${train[@]}" -o full --steps 90
