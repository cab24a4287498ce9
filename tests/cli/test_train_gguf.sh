# Models for llama.cpp: the file, the Modelfile, what is said of it, and what is refused. Its bytes: unit/test_train_gguf;
# the real llama.cpp: cli/test_llama_cpp.
BASE=$SRC/checkpoints/base.h5
loom-preprocess sample-traces --profile tiny --traces 200 -q -o traces || fail "no traces"
loom-preprocess graphs -q traces -o g.graphs.zst || fail "no graphs"
loom-preprocess encode -q g.graphs.zst --mode instruction -o t.txt || fail "no text"

# four types, each smaller than the one before
for dtype in f32 f16 bf16 q8_0; do
    expect 0 loom-train export "$BASE" -o $dtype.gguf --dtype $dtype --check t.txt --samples 50
    says err '^[0-9]+ names and texts have the same tokens in llama.cpp$'
    says err "^$dtype.gguf: GGUF model, and a Modelfile for ollama"
    [ "$(head -c 4 $dtype.gguf)" = GGUF ] || fail "$dtype.gguf is no GGUF file"
done
size() { stat -c %s "$1"; }
[ "$(size f16.gguf)" -lt $(($(size f32.gguf) * 6 / 10)) ] && [ "$(size q8_0.gguf)" -lt $(($(size f16.gguf) * 7 / 10)) ] || fail "sizes: $(ls -l ./*.gguf)"
says f32.gguf.meta.json '"texts_cut_otherwise": *0'
says f32.gguf.meta.json '"texts_compared": *[0-9]+'
says f32.gguf.Modelfile '^FROM "./f32.gguf"$'
says f32.gguf.Modelfile '^PARAMETER stop "</layer>"$'
says f32.gguf.Modelfile '^PARAMETER num_ctx 1536$'
expect 0 loom-train export "$BASE" -o tabular.gguf --form tabular -q; says tabular.gguf.Modelfile '^PARAMETER stop "</edges>"$'
# the same bytes again; nothing is replaced unasked
expect 2 loom-train export "$BASE" -o f32.gguf --dtype f32 --check t.txt --samples 50; one_sentence; says err 'exists'
cp f32.gguf before.copy
expect 0 loom-train export "$BASE" -o f32.gguf --dtype f32 --check t.txt --samples 50 --force -q; cmp f32.gguf before.copy || fail "other bytes"

# names of which one begins another: MS_1 is a token, MS_12 is spelt
sed -E 's/MS_[0-9]+/MS_1/g' t.txt >known.txt
sed -E 's/MS_[0-9]+/MS_12/g' t.txt >longer.txt
expect 0 loom-preprocess tokenizer -q known.txt --min-count 1 -o tokenizer.json
for t in known longer; do expect 0 loom-preprocess tokens -q $t.txt --tokenizer tokenizer.json -o $t.tokens.h5; done
expect 0 loom-train pretrain known.tokens.h5 --hidden 32 --layers 1 --heads 2 --ffn 64 --context 1024 --batch-tokens 1024 --steps 1 --no-plot -q -o run
expect 0 loom-train export run -o run.gguf; says err '^[0-9]+ names and texts have the same tokens'
expect 1 loom-train export run -o other.gguf --check longer.txt; one_sentence; says err 'other.gguf: llama.cpp would cut [0-9]+ of [0-9]+ names and texts '
expect 1 loom-train export run -o other.gguf --names longer.tokens.h5; one_sentence; says err 'llama.cpp would cut 1 of [0-9]+ names .*"MS_12"'
[ ! -e other.gguf ] && [ ! -e other.gguf.Modelfile ] || fail "a refused model was written"
expect 0 loom-train export run -o other.gguf --check longer.txt --accept-differences
says err 'warning: llama.cpp cuts [0-9]+ of [0-9]+ texts otherwise'; says other.gguf.meta.json '"texts_cut_otherwise": *[1-9]'

# what is for GGUF alone; a name that a Modelfile cannot hold; a text that is none
expect 2 loom-train export "$BASE" -o folder --dtype q8_0; one_sentence; says err 'q8_0 is for GGUF'
expect 2 loom-train export "$BASE" -o folder --check t.txt; one_sentence; says err '--check is for GGUF'
expect 2 loom-train export "$BASE" -o 'a"b.gguf'; one_sentence; says err 'cannot stand in a Modelfile'
expect 1 loom-train export "$BASE" -o none.gguf --check nowhere.txt; one_sentence
[ -z "$(find . -name '*b.gguf*' -o -name 'none.gguf*' -o -name folder)" ] || fail "something is left: $(ls)"

# Llama's kinds: with our tokenizer; one without scores is refused, tokenizer.model brings them
"$TOOLS/make_random_llama" tiny-3.2 three tokenizer.json 1 2>/dev/null || fail "no model"
expect 0 loom-train export three -o three.gguf --dtype q8_0 -q
expect 0 loom-train pretrain known.tokens.h5 --init three --lora --context 1024 --batch-tokens 1024 --steps 1 --no-plot -q -o adapted
expect 0 loom-train export adapted -o adapter.gguf; says err '^adapter.gguf: GGUF adapter$'; [ ! -e adapter.gguf.Modelfile ] || fail "an adapter has a Modelfile"
says adapter.gguf.meta.json '"source_digest"'
# an adapter that says another rank than its matrices have
expect 0 loom-train export adapted -o peft -q
sed -i -E 's/"r": *[0-9]+/"r": 3/' peft/adapter_config.json
expect 1 loom-train merge three --adapter peft -o merged; one_sentence; says err 'lora_A.weight is .8, 64., the model needs .3, 64.'
[ ! -e merged ] || fail "a refused adapter was merged"
awk 'BEGIN { printf "{\"model\":{\"type\":\"BPE\",\"byte_fallback\":true,\"unk_token\":\"<unk>\",\"vocab\":{\"<unk>\":0,\"<s>\":1,\"</s>\":2"
    for (i = 0; i < 256; i++) printf ",\"<0x%02X>\":%d", i, i + 3
    printf ",\"▁\":259,\"a\":260,\"b\":261,\"ab\":262,\"▁ab\":263},\"merges\":[\"a b\",\"▁ ab\"]},\"added_tokens\":["
    split("<unk> <s> </s>", s, " ")
    for (i = 1; i <= 3; i++) printf "%s{\"id\":%d,\"content\":\"%s\",\"special\":true,\"normalized\":false}", (i > 1 ? "," : ""), i - 1, s[i]
    print "],\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":\"▁\"},{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"▁\"}]},"
    print "\"pre_tokenizer\":null,\"post_processor\":null,\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":\"▁\"},\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}]}}" }' >pieces.json
"$TOOLS/make_random_llama" tiny-2 two pieces.json 1 2>/dev/null || fail "no model"
expect 1 loom-train export two -o two.gguf; one_sentence; says err 'joins pieces .* by score'; [ ! -e two.gguf ] || fail "written without scores"
# a piece: field 1 of the model; in it its text (1) and its score (2, four bytes)
piece() { local n=${#2} all; printf -v all '\\x0a\\x%02x\\x0a\\x%02x%%s\\x15%s' $((n + 7)) "$n" "$1"; printf "$all" "$2"; }
export LC_ALL=C
{ for ((i = 0; i < 256; i++)); do printf -v byte '<0x%02X>' "$i"; piece '\x00\x00\x00\x00' "$byte"; done
  for p in '▁' a b; do piece '\x00\x00\x80\xc0' "$p"; done; piece '\x00\x00\x80\xbf' ab; piece '\x00\x00\x00\xc0' '▁ab'; } >two/tokenizer.model
expect 0 loom-train export two -o two.gguf; says err 'nothing to compare the tokens'
head -c 700 two/tokenizer.model >cut && mv cut two/tokenizer.model
expect 1 loom-train export two -o cut.gguf; one_sentence; says err 'two/tokenizer.model (is damaged|has no piece)'
