# What the main commands print on standard output, byte for byte, on the files of tests/frozen. UPDATE_EXPECTED=1 writes
# tests/cli/expected anew, for when an output has changed on purpose: look at the difference before it is kept.
E=$SRC/tests/cli/expected
cp -r "$SRC"/tests/frozen/. . && chmod -R u+w .
n=0
prints() { # NAME command...
    local name=$1; shift
    "$@" >"$name.out" 2>"$name.err" || { cat "$name.err" >&2; fail "$*"; }
    [ -s "$name.out" ] || fail "$* prints nothing"
    [ "${UPDATE_EXPECTED:-}" != 1 ] || { mkdir -p "$E"; cp "$name.out" "$E/"; }
    cmp -s "$name.out" "$E/$name.out" || { diff "$E/$name.out" "$name.out" | head -n 20 >&2; fail "$* prints something else than tests/cli/expected/$name.out"; }
    n=$((n + 1))
}
prints describe loom-preprocess describe graphs.graphs.zst
prints graphs loom-preprocess graphs c.csv -o -
prints encode loom-preprocess encode graphs.graphs.zst --mode instruction --stats stats.json --seed 1 -o -
prints balance loom-preprocess balance tabular.txt.zst --exponent 1 --seed 1 -o -
prints info-model loom-train info run/model.h5
prints info-adapter loom-train info adapter.h5
prints show loom-infer show graphs.graphs.zst --limit 3
prints convert loom-infer convert graphs.graphs.zst --limit 2 --to csv -o -
prints prompts loom-eval prompts graphs.graphs.zst --stats stats.json --edges 2:4 --depths 2:3 --per-cell 1 -o -
prints oracle loom-eval oracle p.prompts.jsonl -o -
prints heatmap loom-eval heatmap o.answers.jsonl --prompts p.prompts.jsonl --no-pictures -o results
prints memorization loom-eval memorization --train graphs.graphs.zst o.answers.jsonl --no-pictures -o results
[ "$n" = "$(find "$E" -name '*.out' | wc -l)" ] || fail "tests/cli/expected holds an output that no command is compared with"
