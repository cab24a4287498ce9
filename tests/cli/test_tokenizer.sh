# loom-preprocess tokenizer and tokens: options, refusals, outputs.
[ -x "$BIN/loom-preprocess" ] || skip "loom-preprocess is not built"

sample() { # NAME NUMBER
    printf '[GENERATE GRAPH]num_edges:1/id:%s\n<edges>\n(edge_id is 0,destination is MS_%05d,communication starts at %d milliseconds)\n</edges>\n' \
        "$1" $(($2 % 7)) "$2"
}
for i in $(seq 300); do sample S_00000000$((i % 5)) "$i"; done >train.txt
for i in $(seq 20); do
    printf '### Question: You are\nRequirements:\nid:S_000000001\n\n ### Answer: \n<layer>\n</layer>\n ### Finish\n'
done >sft.txt
zstd -q train.txt -o train.txt.zst 2>/dev/null || cp train.txt train.txt.zst

# learning
expect 0 loom-preprocess tokenizer train.txt.zst -o tok.json --json
says out '"distinct_names":12'
says out '"names_single":600'
says out '"name_tokens":12'
says out '"foreign_tokens":0'
format=$(sed -E 's/.*("format_tokens":[0-9]+,"format_digest":"[0-9a-f]+").*/\1/' out)
says tok.json.meta.json "$(echo "$format" | sed 's/.*"\([0-9a-f]*\)"$/\1/')"
says err 'names are one token'
says tok.json.meta.json 'train.txt.zst'
expect 0 loom-preprocess tokenizer train.txt -o again.json --threads 3 -q
cmp -s tok.json again.json || fail "the tokenizer depends on threads or on compression"
expect 0 loom-preprocess tokenizer train.txt -o - -q
cmp -s tok.json out || fail "standard output differs from the file"
expect 2 loom-preprocess tokenizer train.txt -o tok.json
one_sentence; says err 'tok.json'
expect 0 loom-preprocess tokenizer train.txt -o tok.json --force -q
expect 2 loom-preprocess tokenizer train.txt --name-tokens -1 -o x.json
one_sentence
expect 1 loom-preprocess tokenizer nowhere.txt -o x.json
one_sentence; says err 'nowhere.txt'
echo 'timestamp,traceid' >rows.csv
expect 1 loom-preprocess tokenizer rows.csv -o x.json
one_sentence; says err 'rows.csv: line 1'
expect 0 loom-preprocess tokenizer train.txt --dry-run -o x.json
[ ! -e x.json ] || fail "left x.json behind"

# the format part is the same whatever the text is; names of other shapes are spelt, and that is said
printf '[GENERATE GRAPH]id:shop\n<edges>\n(edge_id is 0,destination is MS_7)\n</edges>\n' >few.txt
expect 0 loom-preprocess tokenizer few.txt -o few.json --json
says out "$format"; says out '"name_tokens":0'; says out '"names_rare":1'
says err 'warning: .* graphs --rename'
expect 0 loom-preprocess tokenizer train.txt -o few.json --json --force --name-tokens 5
says out "$format"; says out '"name_tokens":5'; says out '"names_over":7'
expect 0 loom-preprocess tokenizer train.txt -o few.json --json --force --min-count 50
says out '"name_tokens":5'; says out '"names_rare":7'; says err '7 seen in too few samples'

# tokenising
expect 0 loom-preprocess tokens train.txt.zst --tokenizer tok.json -o train.tokens.h5 --json
says out '"samples":300'
says out '"mode":"tabular"'
says err 'MB/s'
tokens=$(sed -E 's/.*"tokens":([0-9]+).*/\1/' out)
says train.tokens.h5.meta.json 'tok.json'
expect 2 loom-preprocess tokens train.txt --tokenizer tok.json -o train.tokens.h5
one_sentence
expect 0 loom-preprocess tokens train.txt train.txt --tokenizer tok.json -o twice.tokens.h5 --json -q
says out "\"tokens\":$((2 * tokens)),"
expect 0 loom-preprocess tokens sft.txt --tokenizer tok.json -o sft.tokens.h5 --json -q
says out '"mode":"instruction"'
expect 1 loom-preprocess tokens train.txt sft.txt --tokenizer tok.json -o mixed.tokens.h5
one_sentence; says err 'sft.txt:1: .*--mode-agnostic'
[ ! -e mixed.tokens.h5 ] || fail "left a half-written shard behind"
expect 0 loom-preprocess tokens train.txt sft.txt --tokenizer tok.json -o mixed.tokens.h5 --mode-agnostic --json -q
says out '"mode":"mixed"'
expect 0 loom-preprocess tokens sft.txt train.txt --tokenizer tok.json -o short.tokens.h5 --mode-agnostic --max-tokens 25 --json
says out '"too_long":20'
says err 'left out'
expect 1 loom-preprocess tokens train.txt --tokenizer tok.json -o none.tokens.h5 --max-tokens 2
one_sentence; says err 'max-tokens'
expect 2 loom-preprocess tokens train.txt --tokenizer tok.json
one_sentence; says err 'output'
expect 2 loom-preprocess tokens train.txt --tokenizer tok.json -o -
one_sentence; says err 'HDF5'

# damaged and foreign tokenizers
head -c 5000 tok.json >cut.json
expect 1 loom-preprocess tokens train.txt --tokenizer cut.json -o x.tokens.h5
one_sentence; says err 'cut.json'
sed 's/"BPE"/"WordPiece"/' tok.json >foreign.json
expect 1 loom-preprocess tokens train.txt --tokenizer foreign.json -o x.tokens.h5
one_sentence; says err 'WordPiece'
expect 1 loom-preprocess tokens train.txt --tokenizer nowhere.json -o x.tokens.h5
one_sentence; says err 'nowhere.json'
[ ! -e x.tokens.h5 ] || fail "left x.tokens.h5 behind"

# layers of recursive samples one by one; other samples stay whole
for i in $(seq 4); do
    printf '[GENERATE GRAPH]id:S_1\n<layer>\n<edges>\n(edge_id is 0)\n</edges>\n<subgraph of edge_id 0>id:S_1</subgraph>\n</layer>\n'
    printf 'id:S_1\n<split>\n<subgraph of edge_id 0>id:S_1</subgraph>\n</split>\nid:S_1\n<layer>\n<edges>\n(edge_id is 1)\n</edges>\n</layer>\n'
done >recursive.txt
expect 0 loom-preprocess tokens recursive.txt --tokenizer tok.json -o together.tokens.h5 --json -q
says out '"mode":"recursive"'; says out '"samples":4,'
expect 0 loom-preprocess tokens recursive.txt --tokenizer tok.json --recursive-unit layer -o apart.tokens.h5 --json -q
says out '"mode":"recursive"'; says out '"samples":12,'
expect 0 loom-preprocess tokens train.txt --tokenizer tok.json --recursive-unit layer -o tabular.tokens.h5 --json -q
says out '"samples":300,'
# older spellings go on working, on the command line and in a file, and say what they are called now
expect 0 loom-preprocess tokens recursive.txt -t tok.json --layers apart -o old.tokens.h5 --json -q
says out '"samples":12,'; says err ': -t is called --tokenizer now$'; says err ': --layers is called --recursive-unit graph\|layer now$'
printf '[tokens]\nlayers = apart\n' >old.conf
expect 0 loom-preprocess tokens -c old.conf --print-config; says out '^recursive-unit = layer$'; says err 'old.conf:2: layers is called'
printf '[tokens]\nlayers = apart\nrecursive-unit = graph\n' >twice.conf
expect 2 loom-preprocess tokens -c twice.conf --print-config; says err 'twice.conf:3: "recursive-unit" is set twice'
expect 2 loom-preprocess tokens recursive.txt --layers beside -o x.tokens.h5; says err 'beside.*graph.*layer'

# other people's tokenizers, where they are at hand
for family in llama-2 llama-3; do
    json=$SHARED/data/tokenizers/$family/tokenizer.json
    [ -e "$json" ] || continue
    expect 0 loom-preprocess tokens sft.txt --tokenizer "$json" -o $family.tokens.h5 -q
done
exit 0
