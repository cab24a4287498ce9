# Several processes under mpirun share the files of graphs, dedupe, encode and tokens, and the graphs of sample, and write the bytes
# of a single one. What fails, or dies, ends all of them and leaves nothing half-written.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_btl_vader_single_copy_mechanism=none
for i in 1 2 3 4 5; do
    loom-preprocess sample-traces --profile tiny --traces 300 --seed $i -q -o traces$i || fail "no traces"
done
sed 's/,rpc,/,UNLISTED,/' traces5/CallGraph_0.csv >traces5/odd.csv # rows that are dropped, of a type that is reported
cp traces1/CallGraph_0.csv traces4/again.csv                       # traces that come back
base=$SRC/checkpoints/base.h5
# the same traces as documents of other systems: several kinds, packed together with a table, damaged, in pieces, with names that are no
# numbers, with a call that goes on after its caller's
mkdir spans; echo "no traces" >spans/notes.txt
loom-preprocess sample-traces --profile tiny --traces 90 --seed 9 -q -o traces9 && loom-preprocess graphs -q traces9 -o nine.graphs || fail "no graphs"
loom-infer convert -q nine.graphs -o spans/a.jsonl && loom-infer convert -q nine.graphs --to zipkin -o spans/b.json || fail "no spans"
sed -E 's/"(callgraph\.[a-z_]*)"/"x.\1"/g; s/MS_000/shop-/g' spans/a.jsonl >spans/c.jsonl
{ tail -n 30 spans/c.jsonl; echo '{"cut'; head -c 300 spans/c.jsonl; } >spans/d.jsonl
{ echo TraceID,SpanID,ParentID,ServiceName,OperationName,StartTimeUnixNano,EndTimeUnixNano
  for t in 1 2 3; do echo "$t,1,root,MS_7,op $t,1000000000,1090000000"; echo "$t,2,1,cart, get,1010000000,10${t}0000000"; done; } >spans/e.csv
mkdir packed; cp spans/e.csv packed/a.csv; cp traces1/CallGraph_0.csv packed/b.csv; cp spans/d.jsonl packed/c.jsonl; echo more >packed/README
tar czf spans/f.tar.gz packed; cp nine.graphs spans/g.csv

# made KIND HOW...: all outputs of KIND into a folder KIND.N, HOW being what starts a program
made() {
    local kind=$1 dir=$2; shift 2
    mkdir "$dir"
    case $kind in
    graphs) expect 0 "$@" loom-preprocess graphs traces1 traces2 traces3 traces4 traces5 --threads 1 -o "$dir/g.graphs.zst" --report "$dir/report.json" \
        --dropped "$dir/dropped.csv" --verdicts "$dir/verdicts.jsonl" ;;
    renamed) expect 0 "$@" loom-preprocess graphs traces1 traces2 traces3 --threads 1 --rename "$dir/names.tsv" -o "$dir/g.graphs.zst" ;;
    spans) expect 0 "$@" loom-preprocess graphs spans nine.graphs --threads 1 -o "$dir/g.graphs" --report "$dir/report.json" --dropped "$dir/dropped.csv" ;;
    cut) expect 0 "$@" loom-preprocess graphs spans --threads 1 --cut-outliving -o "$dir/g.graphs" --report "$dir/report.json" ;;
    numbered) expect 0 "$@" loom-preprocess graphs spans nine.graphs --threads 1 --rename "$dir/names.tsv" --keep-ids -o "$dir/g.graphs" --report "$dir/report.json" ;;
    others) expect 0 "$@" loom-preprocess graphs one.graphs.zst traces2 two.graphs.zst traces3 --threads 1 -o "$dir/g.graphs.zst" --report "$dir/report.json" ;;
    dedupe) expect 0 "$@" loom-preprocess dedupe stores two.graphs.zst --threads 1 -o "$dir/d.graphs.zst" --report "$dir/report.json" --decisions "$dir/d.jsonl" ;;
    encode) expect 0 "$@" loom-preprocess encode one.graphs.zst two.graphs.zst --copies 50 --threads 1 -o "$dir/t.txt.zst" ;;
    shuffled) expect 0 "$@" loom-preprocess encode one.graphs.zst two.graphs.zst --copies 50 --shuffle --sample 3:4 --threads 1 -o "$dir/t.txt" ;;
    asked) expect 0 "$@" loom-preprocess encode one.graphs.zst two.graphs.zst --copies 20 --task edge --questions 9000 --threads 1 -o "$dir/t.txt" ;;
    tokens) expect 0 "$@" loom-preprocess tokens t1.txt t2.txt t3.txt t4.txt t5.txt --tokenizer tokenizer.json --threads 1 -o "$dir/t.tokens.h5" ;;
    sample) expect 0 "$@" loom-infer sample --model "$base" --edges 6 --depth 3 -n 7 -t 0.8 --constrain full --compute f32 --threads 1 -o "$dir/a.jsonl" \
        --records "$dir/r.graphs.zst" --csv "$dir/r.csv" --json ;;
    esac
    # of what tells how a file was made, all but the command line and the names
    for meta in "$dir"/*.meta.json; do
        grep -vE '"(command_line|path|output|report|dropped|verdicts|decisions|records|csv|rename|prompt_tokens_(computed|shared))":' "$meta" |
            sed "s/$dir//g" >"$meta.some" && rm "$meta"
    done
    rm -rf "$dir"/*.names.tsv.meta.json
}
for i in 1 2; do loom-preprocess graphs -q traces$i -o $i.graphs.zst || fail "no graphs"; done
mv 1.graphs.zst one.graphs.zst; mv 2.graphs.zst two.graphs.zst; mkdir stores
for i in 1 2 3 4 5; do
    loom-preprocess graphs -q traces$i traces1 -o stores/$i.graphs.zst && loom-preprocess encode -q stores/$i.graphs.zst --seed $i -o t$i.txt || fail "no text"
done
loom-preprocess tokenizer -q t1.txt -o tokenizer.json || fail "no tokenizer"
kinds="graphs renamed spans cut numbered others dedupe encode shuffled asked tokens sample"
for kind in $kinds; do made $kind $kind.1; done
[ "$(grep -c UNLISTED graphs.1/report.json)" = 1 ] || fail "the odd rows are not reported"
grep -q '"split_traces":[1-9]' graphs.1/report.json || fail "no trace comes back"
for reason in NOT_JSON FOREIGN_FILE; do grep -q "\"$reason\":{\"n\":[1-9]" spans.1/report.json || fail "nothing is left out for $reason"; done
grep -q '"no_tables".*"split_traces":[1-9]' spans.1/report.json || fail "no trace of spans comes back"
cmp -s spans.1/g.graphs numbered.1/g.graphs && fail "no name is replaced"

loom-preprocess --version | grep -q '^Open MPI' || skip "built without MPI; one process was tested"
command -v mpirun >/dev/null || skip "no mpirun; one process was tested"
ranks() { local n=$1; shift; mpirun --oversubscribe --bind-to none -n "$n" "$@"; }
for kind in $kinds; do
    counts="2 3 4"
    case $kind in renamed | cut | numbered | others | shuffled | asked) counts=3 ;; esac
    for n in $counts; do
        made $kind $kind.$n ranks $n
        says err "^$n ranks shared the work: "
        case $kind in
        asked) says err ' 0 pieces of it came from others' ;; # rank 0 alone, and said so in the documentation
        *) says err ' [1-9][0-9]* pieces of it came from others' ;;
        esac
        diff -r $kind.1 $kind.$n >differs || { head -5 differs >&2; fail "$n ranks give other files for $kind"; }
    done
done
made graphs graphs.of1 ranks 1
diff -r graphs.1 graphs.of1 || fail "mpirun -n 1 gives other files"
ranks 2 "$TOOLS/ranks_check" 3 >/dev/null 2>&1 && fail "two ranks pass for three"

# up to date is up to date for all; a plan is made once
expect 0 ranks 3 loom-preprocess dedupe stores -o u.graphs.zst
expect 0 ranks 3 loom-preprocess dedupe stores -o u.graphs.zst --update; says err 'up to date'
expect 0 ranks 3 loom-preprocess dedupe stores -o v.graphs.zst --dry-run
[ "$(grep -c 'would be read' err)" = 1 ] || fail "a plan is said once"

# ---- what fails
nothing() { # PATTERN: no output, no temporary file
    [ -z "$(find . -name "$1*")" ] || fail "left behind: $(find . -name "$1*")"
}
expect 2 ranks 3 loom-preprocess dedupe stores -o u.graphs.zst; says err 'u.graphs.zst exists already; give --force'
[ "$(grep -c 'exists already' err)" = 1 ] || fail "a sentence of all is said once"
expect 2 ranks 2 loom-preprocess dedupe - -o x.graphs.zst <one.graphs.zst; says err 'cannot be shared out; name files'
expect 2 ranks 2 loom-infer sample --model "$base" --edges 6 -o x.jsonl --resume; says err '.--resume is for a single process'
echo "not,a,table" >bad.csv
expect 1 ranks 3 loom-preprocess graphs traces1 bad.csv traces2 -o x.graphs.zst; says err 'bad.csv'
head -c 3000 stores/2.graphs.zst >cut.graphs.zst
expect 1 ranks 3 loom-preprocess dedupe stores/1.graphs.zst cut.graphs.zst stores/3.graphs.zst -o x.graphs.zst; says err 'cut.graphs.zst'
expect 1 ranks 3 loom-preprocess tokens t1.txt t2.txt none.txt t3.txt --tokenizer tokenizer.json -o x.tokens.h5; says err 'none.txt'
mpirun --oversubscribe --bind-to none -n 1 loom-preprocess encode one.graphs.zst -o x.txt : -n 1 loom-preprocess encode one.graphs.zst --seed 2 -o x.txt \
    >out 2>err && fail "two ranks with two seeds"
says err 'the options or inputs on rank 1 .* differ from those of rank 0'
nothing x.

# a rank that dies takes the others along within seconds
mpirun --oversubscribe --bind-to none -n 3 loom-infer sample --model "$base" --edges 20 --depth 4 -n 100000 --threads 1 --records y.graphs.zst -q >/dev/null 2>err & pid=$!
for i in $(seq 200); do
    [ -n "$(find . -name 'y.graphs.zst.tmp.*')" ] && break
    sleep 0.05
done
kill -KILL "$(pgrep -P $pid -x loom-infer | tail -n 1)" || fail "no rank to kill"
since=$SECONDS
wait $pid && fail "a run with a dead rank is no success"
[ $((SECONDS - since)) -le 20 ] || fail "the others were alive $((SECONDS - since)) s later"
nothing y.
