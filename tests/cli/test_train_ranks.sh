# Several processes under mpirun train the very model of one; a dead one ends the run, and the same command goes on.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_btl_vader_single_copy_mechanism=none
loom-preprocess sample-traces --profile tiny --traces 300 -q -o traces || fail "no traces"
loom-preprocess graphs -q traces -o g.graphs.zst || fail "no graphs"
loom-preprocess encode -q g.graphs.zst --mode tabular -o t.txt.zst || fail "no text"
loom-preprocess tokenizer -q t.txt.zst -o tokenizer.json || fail "no tokenizer"
loom-preprocess tokens -q t.txt.zst --tokenizer tokenizer.json -o t.tokens.h5 || fail "no shard"
shape=(--hidden 32 --layers 2 --heads 2 --context 128 --batch-tokens 512 --no-plot --threads 1)
train=(loom-train pretrain t.tokens.h5 "${shape[@]}" -q)
weights() { # sha256 of what a run has learned, without the header that says how it was made
    rm -rf exported; loom-train export -q "$1" -o exported || fail "cannot export $1"
    tail -c +$((9 + $(od -An -tu8 -N8 exported/*.safetensors))) exported/*.safetensors | sha256sum
}
curve() { cut -d, -f1-6 "$1"/curve.csv; } # without seconds and speed

# ---- one process, with shards: what all others are held to
expect 0 "${train[@]}" --steps 12 --valid t.tokens.h5 --valid-every 5 --log-every 3 --shards 8 -o one --json
says out '"ranks":1,"shards":8,'
want=$(weights one)
expect 0 "${train[@]}" --steps 12 -o plain
[ "$(weights plain)" != "$want" ] || fail "a run without shards is not expected to have the bits of one with them"
expect 2 "${train[@]}" --steps 12 -o one; one_sentence; says err '.--shards is "0" here, but "8" in the run'
expect 2 "${train[@]}" --steps 12 --shards 8 -o plain; one_sentence; says err '.--shards is "8" here, but ""'
expect 2 "${train[@]}" --steps 1 --shards 6 -o six; one_sentence; says err 'no power of two'
expect 2 "${train[@]}" --steps 1 --ranks 2 -o two; one_sentence; says err 'mpirun -n N'
expect 0 "${train[@]}" --steps 50 --ranks 4 --net-gbits 1 --dry-run -o none; says out '^ranks +4 of this speed: a step takes .* at 1 Gbit/s'
expect 0 "${train[@]}" --steps 50 --ranks 3 --dry-run --json -o none; says out '"step_exchange_seconds"'
planned() { expect 0 "${train[@]}" --steps 50 --ranks 4 --dry-run --json -o none "$@"; grep -oE '"step_bytes": ?[0-9.e+]+' out | cut -d: -f2; }
awk -v h="$(planned --exchange bf16)" -v f="$(planned)" 'BEGIN { exit !(h > 0 && h * 2 == f) }' || fail "a plan does not halve what is sent"
expect 2 "${train[@]}" --steps 1 --exchange bf16 -o none; one_sentence; says err '.--exchange bf16 is for gradients that are added up over'
expect 2 "${train[@]}" --steps 50 --ranks 9 --dry-run -o none; one_sentence; says err 'start at most 8'
# another launcher's processes, which this build cannot join
expect 2 env -u OMPI_COMM_WORLD_SIZE PMI_SIZE=3 PMI_RANK=0 "${train[@]}" --steps 1 -o none; one_sentence; says err 'mpirun started 3 processes'
# no MPI at all: the file that touches it still stands
if command -v cc >/dev/null; then
    cc -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -Werror -I"$SRC/lib" -fsyntax-only "$SRC/lib/core/ranks.c" || fail "ranks.c needs MPI"
fi

loom-train --version | grep -q '^Open MPI' || skip "built without MPI; one process was tested"
command -v mpirun >/dev/null || skip "no mpirun; one process was tested"
ranks() { local n=$1; shift; mpirun --oversubscribe --bind-to none -n "$n" "$@"; }
expect 2 ranks 2 loom-train info one; says err 'is a single one; start it without mpirun'

for n in 1 2 3 4; do
    expect 0 ranks $n "$TOOLS/ranks_check" $n; says out "^$n ranks agree"
done
ranks 2 "$TOOLS/ranks_check" 3 >/dev/null 2>&1 && fail "two ranks pass for three"

for n in 1 2 3 4 8; do
    expect 0 ranks $n "${train[@]}" --steps 12 --valid t.tokens.h5 --valid-every 5 --log-every 3 -o of_$n --json
    says out "\"ranks\":$n,\"shards\":8,"
    [ "$(wc -l <out)" = 1 ] || fail "more than rank 0 speaks"
    [ "$(weights of_$n)" = "$want" ] || fail "$n ranks give other weights"
    cmp <(curve one) <(curve of_$n) || fail "$n ranks give another curve"
done

# gradients in bfloat16: the same for any number of ranks, half of what is sent
expect 0 "${train[@]}" --steps 6 --shards 8 --exchange bf16 -o half_1
[ "$(weights half_1)" != "$(loom-train pretrain t.tokens.h5 "${shape[@]}" -q --steps 6 --shards 8 -o full_1 && weights full_1)" ] || fail "bfloat16 rounds nothing"
for n in 2 3 4; do
    expect 0 ranks $n "${train[@]}" --steps 6 --exchange bf16 -o half_$n --json
    [ "$(weights half_$n)" = "$(weights half_1)" ] || fail "$n ranks give other weights in bfloat16"
done
sent() { grep -oE '"bytes_sent":[0-9.e+]+' "$1" | cut -d: -f2; }
half=$(sent out)
expect 0 ranks 4 "${train[@]}" --steps 6 -o full_4 --json
[ -n "$half" ] && awk -v h="$half" -v f="$(sent out)" 'BEGIN { exit !(h > 0 && h * 2 == f) }' || fail "bfloat16 sends $half of $(sent out) bytes"
expect 2 "${train[@]}" --steps 6 -o half_1; one_sentence; says err '.--exchange is '

# Muon's matrices, the moving average, and adapters with dropout
for n in 1 2 3; do
    expect 0 ranks $n "${train[@]}" --steps 6 --optimizer muon --ema 0.9 -o muon_$n
    [ "$(weights muon_$n)" = "$(weights muon_1)" ] || fail "$n ranks give other weights with Muon"
    expect 0 ranks $n loom-train sft t.tokens.h5 --loss all --base one --context 128 --batch-tokens 512 --no-plot --threads 1 -q --steps 6 -o lora_$n
    [ "$(weights lora_$n)" = "$(weights lora_1)" ] || fail "$n ranks give another adapter"
done

# ---- a rank that dies takes the others along within seconds; 2, then 4, then 1 go on, to the bits of a run that was never stopped
saved() { # DIR PID: until the run has saved something or has ended
    for i in $(seq 1200); do
        ls "$1"/step-*.h5 >/dev/null 2>&1 && return
        [ -e "/proc/$2/exe" ] || return
        sleep 0.05
    done
}
expect 0 "${train[@]}" --steps 60 --shards 8 -o whole
mpirun --oversubscribe --bind-to none -n 2 "${train[@]}" --steps 60 --save-every 5 -o killed >/dev/null 2>err & pid=$!
saved killed $pid
victim=$(pgrep -P $pid -x loom-train | tail -n 1)
kill -KILL "$victim" || fail "no rank to kill: the run was done before"
since=$SECONDS
wait $pid && fail "a run with a dead rank is no success"
[ $((SECONDS - since)) -le 20 ] || fail "the others were alive $((SECONDS - since)) s later"
[ ! -e killed/model.h5 ] || fail "a killed run has no result yet"
expect 0 ranks 4 "${train[@]}" --steps 60 --save-every 5 --stop-after 45 -o killed
expect 0 "${train[@]}" --steps 60 --shards 8 -o killed
[ "$(weights killed)" = "$(weights whole)" ] || fail "2, then 4, then 1 give other weights"

# a signal to any rank, or SIGUSR1 to mpirun, saves and stops all
for how in rank mpirun; do
    mpirun --oversubscribe --bind-to none -n 3 "${train[@]}" --steps 100000 --save-every 5 -o asked >/dev/null 2>err & pid=$!
    saved asked $pid
    if [ $how = rank ]; then kill -TERM "$(pgrep -P $pid -x loom-train | tail -n 1)"; else kill -USR1 $pid; fi
    wait $pid; code=$?
    [ $code = 130 ] || { cat err >&2; fail "exit code $code after a signal to $how"; }
    says err 'interrupted at step [0-9]+, which is saved'
    rm -rf asked
done

# ---- what only one rank gets wrong, and what all do
expect 1 mpirun --oversubscribe --bind-to none -n 1 "${train[@]}" --steps 3 -o odd : -n 1 "${train[@]}" --steps 4 -o odd
says err 'the options, base or token shards on rank 1 .* differ from those of rank 0'
mpirun --oversubscribe --bind-to none -n 1 "${train[@]}" --steps 3 -o odd : -n 1 loom-train pretrain none.h5 -o odd >/dev/null 2>err && fail "a rank without data"
says err 'rank 1 on .*: cannot open none.h5'
expect 2 ranks 3 "${train[@]}" --shards 2 --steps 3 -o odd; says err '3 processes share 2 shards'
[ "$(grep -c '3 processes share' err)" = 1 ] || fail "a sentence of all is said once"
[ ! -e odd ] || fail "a run that did not begin leaves a folder"
