# The base model that ships is the one that its card tells of: small, intact, of the digest named there. It generates as it is,
# and copies the names of a system that it never saw.
base=$SRC/checkpoints/base.h5 card=$SRC/checkpoints/README.md
[ -f "$base" ] || fail "checkpoints/base.h5 is missing"
[ "$(stat -c %s "$base")" -le $((8 << 20)) ] || fail "larger than 8 MiB"
expect 0 loom-train info --verify "$base"
says out 'all checksums agree'
digest=$(sed -nE 's/^digest +([0-9a-f]{16}).*/\1/p' out)
[ -n "$digest" ] || fail "info names no digest of the weights"
grep -q "$digest" "$card" || fail "the card does not name the weights $digest"

expect 0 loom-infer sample --model "$base" --edges 9 --depth 4 -n 3 --constrain full --temperature 0.8 --records g.graphs -o a.jsonl -q
[ "$(wc -l <g.graphs)" = 3 ] || fail "not three graphs"

expect 0 loom-preprocess sample-traces --profile tiny --seed 4711 -o traces -q
expect 0 loom-preprocess graphs traces -o g.graphs.zst -q
expect 0 loom-preprocess stats g.graphs.zst -o stats.json -q
expect 0 loom-preprocess encode g.graphs.zst --items listed --stats stats.json -o text.txt -q
expect 0 loom-preprocess tokenizer text.txt -o tokenizer.json -q
expect 0 loom-train adapt "$base" --tokenizer tokenizer.json -o adapted.h5 -q
expect 0 loom-eval prompts g.graphs.zst --stats stats.json --edges 1:12 --depths 1:4 --per-cell 1 --match-training -o p.jsonl -q
expect 0 loom-infer sample --model adapted.h5 --prompts p.jsonl --max-tokens 900 -o b.jsonl -q
expect 0 loom-eval heatmap b.jsonl -p p.jsonl --no-pictures -o figures -q
right=$(awk '$1 == "instruction" {print int($5)}' out)
[ "${right:-0}" -ge 75 ] || fail "$right % of the graphs are right without any training; see $(cat out)"
exit 0
