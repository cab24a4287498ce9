# Two processes that write one output, in two process namespaces as in two containers (where both have the same number):
# one of them makes it, whole, and FILE.meta.json is of the same run.
unshare --pid --fork true 2>/dev/null && space="unshare --pid --fork" ||
    { unshare -r --pid --fork true 2>/dev/null && space="unshare -r --pid --fork"; } ||
    skip "process namespaces are not permitted here"
loom-preprocess sample-traces --profile tiny --traces 1200 --files 1 -q -o traces || fail "no traces"
loom-preprocess graphs -q traces -o g.graphs.zst || fail "no graphs"
split() { # seed, options
    local seed=$1; shift
    $space loom-preprocess split g.graphs.zst --train o/t.graphs.zst --valid o/v.graphs.zst --threads 1 -q --seed $seed "$@"
}
seed_of() { sed -n 's/^  "seed": \([0-9]*\),$/\1/p' "$1.meta.json"; }
for seed in 1 2; do
    mkdir o && split $seed && mv o want$seed || fail "cannot split"
done
cmp -s want1/t.graphs.zst want2/t.graphs.zst && fail "two seeds give one split"
rounds=20 refused=0
check() { # both outputs and what tells of them are of one run
    local seed
    seed=$(seed_of o/t.graphs.zst)
    [ -n "$seed" ] && [ "$(seed_of o/v.graphs.zst)" = "$seed" ] || fail "round $1: the provenance of two runs"
    for f in t v; do cmp -s o/$f.graphs.zst want$seed/$f.graphs.zst || fail "round $1: $f is not what seed $seed makes"; done
    [ "$(ls -A o | wc -l)" = 4 ] || fail "round $1: left behind: $(ls -A o)"
}
for round in $(seq $rounds); do
    mkdir o
    split 1 2>err1 & a=$!
    split 2 2>err2 & b=$!
    wait $a; code1=$?
    wait $b; code2=$?
    case $code1$code2 in 02 | 20) ;; *) cat err1 err2 >&2; fail "round $round: exit codes $code1 and $code2" ;; esac
    cat err1 err2 >err
    says err 'exists already; give --force to replace it'
    one_sentence
    check $round
    split 1 --force & a=$!
    split 2 --force & b=$!
    wait $a && wait $b || fail "round $round: a forced run failed"
    check "$round, forced"
    expect 0 loom-preprocess split g.graphs.zst --train o/t.graphs.zst --valid o/v.graphs.zst --update \
        --seed "$(seed_of o/t.graphs.zst)"
    says err 'o/v.graphs.zst is up to date'
    rm -r o
done

# Two commands that share a results folder: each finds the other's part of the manifest.
for round in 1 2 3 4 5; do
    loom-eval distribution g.graphs.zst --no-pictures -q -o results >/dev/null & a=$!
    loom-eval similarity --real g.graphs.zst g.graphs.zst --resamples 20 --no-pictures -q -o results >/dev/null & b=$!
    wait $a && wait $b || fail "an evaluation failed"
    for part in distribution similarity; do says results/manifest.json "^    \"$part\": "; done
    [ -z "$(find results -name '.part*')" ] || fail "a folder is left"
    rm -r results
done
# Two of the same: the second must not mix its files with those of the first.
mkdir -p "results/.part.4194303-0123456789abcdef" && : >"results/.part.4194303-0123456789abcdef/fig08.csv"
mkdir results/.part.4194303
loom-eval distribution g.graphs.zst --no-pictures -q -o results >/dev/null || fail "an evaluation failed"
[ ! -e results/.part.4194303-0123456789abcdef ] || fail "what a killed run left stays"
[ -e results/.part.4194303 ] || fail "a folder of somebody else was removed"
expect 2 loom-eval distribution g.graphs.zst --no-pictures -q -o results
says err 'exists already'

# What tells of another file is not believed: the digest is compared, not only the size.
mkdir o && split 1 || fail "cannot split"
printf 'x' | dd of=o/v.graphs.zst bs=1 seek=100 conv=notrunc 2>/dev/null
expect 0 loom-preprocess split g.graphs.zst --train o/t.graphs.zst --valid o/v.graphs.zst --update --seed 1
grep -q 'v.graphs.zst is up to date' err && fail "a changed file of the same size is taken for the one that was made"
cmp -s o/v.graphs.zst want1/v.graphs.zst || fail "the changed file was not made again"

# A link stays a link, permissions stay.
mkdir real && mv o/t.graphs.zst real/ && ln -s ../real/t.graphs.zst o/t.graphs.zst && chmod 640 real/t.graphs.zst
expect 0 split 2 --force
[ -L o/t.graphs.zst ] && [ "$(stat -c %a real/t.graphs.zst)" = 640 ] || fail "--force changed a link or permissions"
cmp -s o/t.graphs.zst want2/t.graphs.zst || fail "the link does not lead to the new file"
exit 0
