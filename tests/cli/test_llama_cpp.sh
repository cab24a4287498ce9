# The real llama.cpp reads what we write: equal tokens, log-probabilities within 1e-3 in float32, the same greedy text.
# NODE_LLAMA_CPP names the folder of the package node-llama-cpp (tests/README.md says how to get it).
[ -n "${NODE_LLAMA_CPP:-}" ] || skip "NODE_LLAMA_CPP does not name the folder of node-llama-cpp"
command -v node >/dev/null || skip "no node"
[ -f "$NODE_LLAMA_CPP/dist/index.js" ] || fail "$NODE_LLAMA_CPP holds no dist/index.js"
[ -x "$TOOLS/token_logprobs" ] || skip "token_logprobs is not built"
BASE=$SRC/checkpoints/base.h5
MANY=1000 FEWER=300
loom-preprocess sample-traces --profile tiny --traces 1500 -q -o traces || fail "no traces"
loom-preprocess graphs -q traces -o g.graphs.zst 2>/dev/null || fail "no graphs"
for mode in instruction recursive tabular; do
    loom-preprocess encode -q g.graphs.zst --mode $mode -o $mode.txt || fail "no text"
done

# against WANT_TEXTS MODEL TEXT SAMPLES PROMPTS GGUF [ADAPTER]: all texts, most of the difference in found
against() {
    local want=$1; shift
    "$TOOLS/token_logprobs" "$1" "$2" "$3" "$4" >want.jsonl || fail "token_logprobs $*"
    node "$SRC/tests/llama_cpp.mjs" "$NODE_LLAMA_CPP" "$5" want.jsonl "${@:6}" >found 2>said || { cat said >&2; fail "llama.cpp does not read $5"; }
    says found "^\\{\"texts\":$want,\"same_tokens\":$want,\"prompts\":$4,"
    echo "$5: $(cat found)"
}
# difference MOST; the greedy tokens are the same where all prompts are asked to agree
difference() {
    sed -E 's/.*"largest_difference":([0-9.e+-]+).*/\1/' found | awk -v most="$1" '{ exit !($1 <= most) }' || { cat found >&2; fail "log-probabilities differ by more than $1"; }
}
greedy() { says found "\"prompts\":$1,.*\"same_greedy\":$1\\}"; }

loom-train export "$BASE" -o f32.gguf --dtype f32 -q || fail "no export"
against $MANY "$BASE" instruction.txt $MANY 6 f32.gguf; difference 1e-3; greedy 6
against $FEWER "$BASE" recursive.txt $FEWER 3 f32.gguf; difference 1e-3; greedy 3
against $FEWER "$BASE" tabular.txt $FEWER 3 f32.gguf; difference 1e-3; greedy 3
# the base is stored in bfloat16: nothing is lost there, but llama.cpp rounds what it multiplies; float16 and Q8_0 lose
for dtype in bf16 f16 q8_0; do
    loom-train export "$BASE" -o $dtype.gguf --dtype $dtype -q || fail "no export"
    against 20 "$BASE" instruction.txt 20 3 $dtype.gguf; difference 2
done

# a small model trained here, an adapter beside it (grouped heads, llama3 rotation), and the published vocabularies
loom-preprocess tokenizer -q instruction.txt -o tokenizer.json && loom-preprocess tokens -q instruction.txt --tokenizer tokenizer.json -o t.tokens.h5 || fail "no tokens"
loom-train pretrain t.tokens.h5 --hidden 64 --layers 2 --heads 4 --kv-heads 2 --ffn 128 --context 512 --batch-tokens 1024 --steps 20 --no-plot -q -o tiny || fail "no model"
loom-train export tiny -o tiny.gguf --dtype f32 --check instruction.txt -q || fail "no export"
against $FEWER tiny instruction.txt $FEWER 3 tiny.gguf; difference 1e-3; greedy 3
"$TOOLS/make_random_llama" tiny-3.2 three tokenizer.json 1 2>/dev/null || fail "no model"
loom-train pretrain t.tokens.h5 --init three --lora --lora-targets all --context 512 --batch-tokens 512 --lr 1e-2 --steps 8 --no-plot -q -o adapted || fail "no adapter"
loom-train export three -o three.gguf --dtype f32 -q && loom-train export adapted -o adapter.gguf -q || fail "no export"
against 20 adapted instruction.txt 20 3 three.gguf adapter.gguf; difference 1e-3; greedy 3
against 20 three instruction.txt 20 3 three.gguf; difference 1e-3
for k in 2 3; do
    published=$SHARED/data/tokenizers/llama-$k/tokenizer.json
    [ -f "$published" ] || { echo "no $published: its vocabulary is not compared"; continue; }
    shape=tiny-2; [ $k = 2 ] || shape=tiny-3.2
    "$TOOLS/make_random_llama" $shape published$k "$published" 1000 2>/dev/null || fail "no model"
    loom-train export published$k -o published$k.gguf --dtype f32 --check instruction.txt --samples 100 -q || fail "no export"
    against 100 published$k instruction.txt 100 1 published$k.gguf; difference 1e-3; greedy 1
done
