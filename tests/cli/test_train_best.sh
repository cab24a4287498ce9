# The weights of the lowest validation loss are kept in best.h5, whatever comes after; a stopped run keeps the same ones.
loom-preprocess sample-traces --profile tiny --traces 300 -q -o traces || fail "no traces"
loom-preprocess graphs -q traces -o g.graphs.zst || fail "no graphs"
loom-preprocess encode -q g.graphs.zst --mode tabular -o t.txt.zst || fail "no text"
loom-preprocess tokenizer -q t.txt.zst -o tokenizer.json || fail "no tokenizer"
loom-preprocess tokens -q t.txt.zst --tokenizer tokenizer.json -o t.tokens.h5 || fail "no shard"
# Three samples by heart, at a high rate: the validation loss on others falls, then wavers.
train=(loom-train pretrain t.tokens.h5 --valid t.tokens.h5 --overfit 3 --hidden 32 --layers 1 --heads 2 --context 128 --batch-tokens 256
    --lr 3e-2 --schedule constant --valid-every 5 --valid-tokens 8000 --no-plot --threads 1 --save-every 10 --steps 120)
best_row() { awk -F, 'NR > 1 && $9 != "" && (best == "" || $9 + 0 < best + 0) { best = $9; step = $1 } END { print step, best }' "$1"; }

expect 0 "${train[@]}" -o whole
says err 'lowest validation loss: [0-9.]+ at step [0-9]+, kept as whole/best.h5'
read -r step loss < <(best_row whole/curve.csv)
[ "$step" -lt 120 ] || fail "the last step was the best: the test shows nothing"
says err "at step $step,"
expect 0 loom-train info --json whole/best.h5
says out "\"step\":$step,"
grep -oE '"validation_loss":[0-9.]+' out | cut -d: -f2 >said
awk -v a="$(cat said)" -v b="$loss" 'BEGIN { exit !(a - b < 1e-3 && b - a < 1e-3) }' || fail "best.h5 says $(cat said), the curve $loss"
expect 0 loom-train info whole/step-00000120.h5
says out "best_step +$step"

# these are the weights it says: a run of no step on from them has that validation loss at once
expect 0 loom-train pretrain t.tokens.h5 --valid t.tokens.h5 --init whole/best.h5 --overfit 3 --context 128 --batch-tokens 256 --lr 1e-9 \
    --valid-tokens 8000 --no-plot --threads 1 --steps 1 -o again
awk -F, -v want="$loss" 'END { exit !($9 - want < 1e-4 && want - $9 < 1e-4) }' again/curve.csv || fail "best.h5 has other weights: $(tail -n 1 again/curve.csv)"

# stopped before and after the best step: the same file in the end, and the same result
expect 0 "${train[@]}" -o parts --stop-after $((step > 3 ? step - 3 : 1))
expect 0 "${train[@]}" -o parts --stop-after $((step + 3))
expect 0 "${train[@]}" -o parts
says err "lowest validation loss: [0-9.]+ at step $step, kept as parts/best.h5"
for file in best model; do
    for run in whole parts; do loom-train export $run/$file.h5 -o $run-$file -q --dtype f32 || fail "no export"; done
    for run in whole parts; do [ -s $run-$file/model.safetensors ] || fail "$run-$file holds no weights"; done
    cmp <(tail -c 20000 whole-$file/model.safetensors) <(tail -c 20000 parts-$file/model.safetensors) || fail "$file.h5 differs after a stop"
done

# an adapter's best, and none when it is not wanted
expect 0 loom-train pretrain t.tokens.h5 --valid t.tokens.h5 --init whole --lora --context 128 --batch-tokens 256 --steps 6 --valid-every 2 \
    --valid-tokens 8000 --no-plot --threads 1 -o adapter
expect 0 loom-train info adapter/best.h5; says out 'kind +adapter'
expect 0 "${train[@]}" --no-best -o without
[ ! -e without/best.h5 ] || fail "--no-best keeps them"
says err 'lowest validation loss: [0-9.]+ at step [0-9]+$'
