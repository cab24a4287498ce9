# Every kind of file given to every reader: what is not meant for it is refused with one sentence that names the file,
# exit code 1 or 2, and nothing is left behind; what is meant for it is taken.
mkdir in
loom-preprocess sample-traces --profile tiny --traces 200 --files 1 -q -o traces || fail "no traces"
mv traces/CallGraph_0.csv in/table.csv
loom-preprocess graphs -q in/table.csv -o in/graphs.graphs.zst || fail "no graphs"
loom-preprocess stats -q in/graphs.graphs.zst -o in/stats.json || fail "no statistics"
loom-preprocess encode -q in/graphs.graphs.zst --mode instruction --stats in/stats.json -o in/text.txt.zst || fail "no text"
loom-preprocess tokenizer -q in/text.txt.zst -o in/tokenizer.json || fail "no tokenizer"
loom-preprocess tokens -q in/text.txt.zst --tokenizer in/tokenizer.json -o in/shard.tokens.h5 || fail "no shard"
loom-train pretrain -q in/shard.tokens.h5 -o run --hidden 16 --layers 1 --heads 2 --context 768 --batch-tokens 768 \
    --steps 1 --no-plot || fail "no model"
cp run/model.h5 in/model.h5
loom-eval prompts -q in/graphs.graphs.zst --per-cell 1 --edges 1:2 --depths 1:2 -o in/p.prompts.jsonl || fail "no prompts"
loom-eval oracle -q in/p.prompts.jsonl -o in/a.answers.jsonl || fail "no answers"
rm -f in/*.meta.json
: >in/empty
head -c 60000 "$(readlink -f "$BIN/loom-eval")" >in/binary
gzip -c in/table.csv | head -c 900 >in/cut.gz
head -c 900 in/graphs.graphs.zst >in/cut.graphs.zst
printf 'not a line of anything\n{"id":\n' >in/prose.txt
mkdir in/folder
kinds="table.csv graphs.graphs.zst stats.json text.txt.zst tokenizer.json shard.tokens.h5 model.h5 p.prompts.jsonl
a.answers.jsonl empty binary cut.gz cut.graphs.zst prose.txt folder missing"
good_g=in/graphs.graphs.zst good_t=in/text.txt.zst good_k=in/tokenizer.json good_s=in/shard.tokens.h5 good_m=in/model.h5
tiny="--hidden 16 --layers 1 --heads 2 --context 768 --batch-tokens 768 --steps 1 --no-plot -q"

bad=0
complain() { echo "$1 given to: $line" >&2; shift; echo "  $*" >&2; head -c 600 err >&2; bad=1; }
# A reader is a command with @ for the file, then the kinds it takes (KIND:3: with a negative verdict). Hundreds of commands:
# what the shell can see by itself starts no program.
shopt -s nullglob dotglob extglob
while IFS='|' read -r line takes; do
    [ -n "$line" ] || continue
    for kind in $kinds; do
        command=${line//@/in/$kind}
        eval "timeout 60 $command" >out 2>err </dev/null
        code=$?
        mapfile said <err
        case " $takes " in
            *" $kind "*) [ "$code" = 0 ] || complain "$kind" "exit code $code, expected 0" ;;
            *" $kind:3 "*) [ "$code" = 3 ] || complain "$kind" "exit code $code, expected 3: read, but nothing came out" ;;
            *)
                case $code in
                    1 | 2)
                        [[ ${#said[@]} = 1 && ${said[0]} == *$'\n' ]] || complain "$kind" "not one sentence"
                        [[ ${said[0]-} == *"in/$kind"* ]] || complain "$kind" "the file is not named"
                        made=(o!(ut))
                        [ ${#made[@]} = 0 ] || [ -z "$(find "${made[@]}" -type f ! -name run.lock)" ] ||
                            complain "$kind" "left behind:" $(find "${made[@]}" -type f) ;;
                    *) complain "$kind" "exit code $code, expected 1 or 2" ;;
                esac ;;
        esac
        half=(*tmp.* in/*tmp.*)
        [ ${#half[@]} = 0 ] || complain "$kind" "a temporary file is left"
        made=(o!(ut))
        [ ${#made[@]} = 0 ] || rm -rf "${made[@]}"
    done
done <<'END'
loom-preprocess graphs @ -o o.graphs.zst -q|graphs.graphs.zst table.csv
loom-preprocess anonymise @ -o o.graphs.zst --mapping o.tsv -q|graphs.graphs.zst table.csv
loom-preprocess dedupe @ -o o.graphs.zst -q|graphs.graphs.zst
loom-preprocess split @ --train o.t.graphs.zst --valid o.v.graphs.zst -q|graphs.graphs.zst
loom-preprocess stats @ -o o.json -q|graphs.graphs.zst
loom-preprocess describe @ -q|graphs.graphs.zst
loom-preprocess encode @ -o o.txt.zst -q|graphs.graphs.zst
loom-preprocess encode $good_g --stats @ -o o.txt.zst -q|stats.json
loom-preprocess balance @ -o o.txt.zst -q|text.txt.zst
loom-preprocess tokenizer @ -o o.json -q|text.txt.zst
loom-preprocess tokens @ --tokenizer $good_k -o o.tokens.h5 -q|text.txt.zst
loom-preprocess tokens $good_t --tokenizer @ -o o.tokens.h5 -q|tokenizer.json
loom-train pretrain @ -o o $tiny|shard.tokens.h5
loom-train pretrain $good_s --valid @ -o o $tiny|shard.tokens.h5
loom-train pretrain $good_s --init @ -o o $tiny|model.h5
loom-train sft @ --base $good_m -o o --context 768 --batch-tokens 768 --steps 1 --no-plot -q|shard.tokens.h5
loom-train sft $good_s --base @ -o o --context 768 --batch-tokens 768 --steps 1 --no-plot -q|model.h5
loom-train info @ -q|shard.tokens.h5 model.h5
loom-train import @ -o o.h5 -q|
loom-train average @ $good_m -o o.h5 -q|model.h5
loom-train average $good_m @ -o o.h5 -q|model.h5
loom-train merge @ -o o.h5 -q|
loom-train merge $good_m --adapter @ -o o.h5 -q|
loom-train export @ -o o -q|model.h5
loom-infer sample --model @ --edges 1 --depth 1 --max-tokens 5 -o o.jsonl -q|model.h5:3
loom-infer sample --model $good_m --prompts @ --limit 1 --max-tokens 5 -o o.jsonl -q|p.prompts.jsonl:3 text.txt.zst
loom-infer sample --model $good_m --like @ --limit 1 --max-tokens 5 -o o.jsonl -q|graphs.graphs.zst:3
loom-infer complete --model @ --max-tokens 2 -q x|model.h5
loom-infer complete --model $good_m --tokenizer @ --max-tokens 2 -q x|tokenizer.json
loom-infer convert @ -o o.csv -q|graphs.graphs.zst table.csv
loom-infer show @ -q|graphs.graphs.zst table.csv
loom-eval prompts @ --per-cell 1 -o o.jsonl -q|graphs.graphs.zst table.csv a.answers.jsonl
loom-eval prompts $good_g --per-cell 1 --stats @ -o o.jsonl -q|stats.json
loom-eval prompts $good_g --per-cell 1 --train @ -o o.jsonl -q|graphs.graphs.zst table.csv a.answers.jsonl
loom-eval heatmap @ --no-pictures -o o -q|a.answers.jsonl
loom-eval heatmap in/a.answers.jsonl --prompts @ --no-pictures -o o -q|p.prompts.jsonl
loom-eval similarity --real @ $good_g --runs 1 --resamples 0 --no-pictures -o o -q|graphs.graphs.zst table.csv a.answers.jsonl
loom-eval similarity --real $good_g @ --runs 1 --resamples 0 --no-pictures -o o -q|graphs.graphs.zst table.csv a.answers.jsonl
loom-eval memorization --train @ $good_g --no-pictures -o o -q|graphs.graphs.zst table.csv a.answers.jsonl
loom-eval distribution @ --no-pictures -o o -q|graphs.graphs.zst table.csv a.answers.jsonl
loom-eval baseline @ --count 5 -o o.graphs.zst -q|graphs.graphs.zst table.csv a.answers.jsonl
loom-eval tvae @ --rows 50 --epochs 1 --width 4 --count 5 -o o.calls.zst -q|graphs.graphs.zst table.csv a.answers.jsonl
loom-eval oracle @ -o o.jsonl -q|p.prompts.jsonl
END
[ "$bad" = 0 ] || fail "see above"
