# Models of the published kind (tests/tools/make_random_llama.c, small ones): read as Hugging Face writes them, mapped,
# trained beside, merged, and asked for text; and the recipes of configs/ from traces to a tuned adapter.
[ -x "$TOOLS/make_random_llama" ] || skip "make_random_llama is not built"
command -v make >/dev/null || skip "no make"
loom-preprocess sample-traces --profile tiny --traces 200 -q -o traces || fail "no traces"
loom-preprocess graphs -q traces -o g.graphs.zst || fail "no graphs"
loom-preprocess encode -q g.graphs.zst --mode recursive -o t.txt.zst || fail "no text"
loom-preprocess tokenizer -q t.txt.zst -o tokenizer.json || fail "no tokenizer"
loom-preprocess tokens -q t.txt.zst --tokenizer tokenizer.json -o t.tokens.h5 || fail "no shard"

for shape in tiny-2 tiny-3.2; do
    "$TOOLS/make_random_llama" $shape $shape tokenizer.json 1 2>err || { cat err >&2; fail "no $shape"; }
    expect 0 loom-train info $shape
    says out 'parameters'; [ $shape = tiny-2 ] || says out 'embeddings +tied'
    expect 0 loom-train pretrain t.tokens.h5 --init $shape --lora --context 128 --batch-tokens 128 --packing joined --steps 2 --log-every 1 \
        --no-plot --dry-run -o none
    says out 'weights [0-9.]+ .iB \(mapped\)'
    expect 0 loom-train pretrain t.tokens.h5 --init $shape --lora --context 128 --batch-tokens 128 --packing joined --steps 2 --log-every 1 \
        --no-plot -q -o $shape.run
    # small random weights know nothing: the loss is that of guessing among all tokens
    V=$(loom-train info $shape | awk '$1 == "vocabulary" { print $2 }')
    awk -F, -v V="$V" 'NR == 2 && ($5 < log(V) - 1 || $5 > log(V) + 1) { exit 1 }' $shape.run/curve.csv || fail "the loss is not near log $V: $(sed -n 2p $shape.run/curve.csv)"
    expect 0 loom-infer complete --model $shape.run --max-tokens 4 --json -q 'id:S_1'; says out '"tokens":[1-4]'
    cp out before
    expect 0 loom-train merge $shape.run -o $shape.merged -q
    expect 0 loom-infer complete --model $shape.merged --max-tokens 4 --json -q 'id:S_1'
done
cmp -s tiny-2/model-00001-of-00002.safetensors tiny-3.2/model-00001-of-00002.safetensors && fail "both shapes have the same weights"
"$TOOLS/make_random_llama" tiny-2 again tokenizer.json 1 2>err
[ "$(cat tiny-2/*.safetensors | cksum)" = "$(cat again/*.safetensors | cksum)" ] || fail "the same shape gives other bytes"

# the recipes: without the base a sentence at once, with it the whole way
for recipe in llama2-7b-lora llama3.2-1b-lora; do
    made=(make --no-print-directory -f "$SRC/Makefile.data" BIN="$BIN" RUN=r OUT="out.$recipe" METHODS=instruction)
    expect 2 "${made[@]}" CONFIG="$SRC/configs/$recipe.conf" pretrain; says err 'name its Hugging Face folder .* with INIT='
    expect 2 "${made[@]}" CONFIG="$SRC/configs/$recipe.conf" INIT=nowhere pretrain; says err 'INIT=nowhere holds no config.json'
    [ ! -e out.$recipe ] || fail "work was done without a base"
    sed -E 's/^(context|micro-tokens|max-tokens) = .*/\1 = 2048/; s/^batch-tokens = .*/batch-tokens = 2048/; s/^(steps|warmup) = .*/\1 = 2/; s/^epochs = .*/epochs = 0.01/' \
        "$SRC/configs/$recipe.conf" >$recipe.conf
    printf '\n[sample-traces]\nprofile = tiny\ntraces = 200\n' >>$recipe.conf
    shape=tiny-2; [ $recipe = llama2-7b-lora ] || shape=tiny-3.2
    expect 0 "${made[@]}" CONFIG=$recipe.conf INIT=$shape sft
    [ -f out.$recipe/instruction.pretrain/adapter.h5 ] && [ -f out.$recipe/instruction.sft/adapter.h5 ] || fail "$recipe made no adapter"
    expect 0 loom-infer complete --model out.$recipe/instruction.sft --max-tokens 2 --json -q 'a'
done

# the benchmark of the large ones, on a small one
mkdir -p tokenizers/llama-2 && cp tokenizer.json tokenizers/llama-2/
expect 0 env TOKENIZERS=tokenizers CONTEXT=64 TOKENS=2 bash "$SRC/tests/bench_llama.sh" "$(dirname "$BIN")" tiny-2 bench
says out '^LoRA step +[0-9.]+ s'; says out '^generation +[0-9.]+ tokens/s at batch 1 .2 tokens, [0-9.]+ s wall'; says out '^memory bandwidth +[0-9.]+ GB/s'
[ -s bench.json ] && [ ! -e bench ] || fail "no bench.json, or the model is left"
mkdir ours && echo keep >ours/file
expect 1 env TOKENIZERS=tokenizers bash "$SRC/tests/bench_llama.sh" "$(dirname "$BIN")" tiny-2 ours; says err 'holds something else'
[ -f ours/file ] || fail "a folder of ours was removed"
expect 2 bash "$SRC/tests/bench_llama.sh" "$(dirname "$BIN")" llama-9 bench; says err 'no shape llama-9'
