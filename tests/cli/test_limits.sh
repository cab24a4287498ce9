# Limits of the shell: an address space too small for matrix products, and files that may not grow.
( ulimit -v 350000 && loom-train --version ) >out 2>err || skip "the program cannot be started under ulimit -v 350000 here"
tiny="--hidden 16 --layers 1 --heads 2 --context 512 --batch-tokens 512 --no-plot --steps 1 -q"
loom-preprocess sample-traces --profile tiny --traces 40 -q -o traces || fail "no traces"
loom-preprocess graphs -q traces -o g.graphs || fail "no graphs"
loom-preprocess encode -q g.graphs --mode recursive -o r.txt || fail "no text"
loom-preprocess tokenizer -q r.txt -o tokenizer.json || fail "no tokenizer"
loom-preprocess tokens -q r.txt --tokenizer tokenizer.json -o t.tokens.h5 || fail "no tokens"
loom-train pretrain t.tokens.h5 -o run $tiny || fail "no model"

# Two threads need 256 MiB beside the program: there is no room for them, and that is said at once.
refused() {
    ( ulimit -v 350000; timeout -s KILL 120 "$@" ) >out 2>err
    [ $? = 1 ] || { cat err >&2; fail "$1: should end with exit 1"; }
    [ "$(wc -l <err)" = 1 ] || fail "$1: should say one sentence"
    grep -q "ulimit -v" err || fail "$1: should name the limit"
}
refused loom-train pretrain t.tokens.h5 -o other $tiny --threads 2
[ ! -e other ] || fail "a folder was left"
refused loom-infer sample --model run --edges 3 --depth 2 -n 1 --threads 2 -q -o a.jsonl
[ ! -e a.jsonl ] || fail "a file was left"

( ulimit -f 1; loom-train average run run/model.h5 -o m.h5 -q ) >out 2>err && fail "average: should have failed"
grep -q "File too large" err || fail "average: should say that the file may not grow"
[ -z "$(ls | grep '^m\.h5')" ] || fail "average: left a file"
