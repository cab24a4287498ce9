# Two sets compared: an incident is put down to its place, halves of one set are not told apart, hostile names stay text.
expect 0 loom-preprocess sample-traces --profile tiny --services 6 --traces 6000 --seed 6 --no-quirks --files 1 -o traces
expect 0 loom-preprocess graphs traces/CallGraph_0.csv -o all.graphs.zst
zstdcat all.graphs.zst >all
awk 'NR % 2' all >odd; awk 'NR % 2 == 0' all >even
expect 0 loom-eval compare odd even --fail
says err '3000 and 3000 graphs, [0-9]+ tests: 0 differ, from 0 places'
[ ! -s out ] || fail "something is reported of two halves"

# the busiest call that is no root: lost in a third of the graphs, with all below it
read -r from to type < <(grep -oE '0\.[0-9]+\|[a-z]+\|[^|]*\|[^|]*' even | awk -F'|' '{print $3, $4, $2}' | sort | uniq -c | sort -rn | awk '{print $2, $3, $4; exit}')
awk -v call="|$type|$from|$to|" 'NR % 3 == 0 {
    n = split($3, e, /\|\|/); line = e[1]; split("", gone)
    for (i = 2; i <= n; i++) { split(e[i], f, "|"); id = f[1]; lost = index(e[i], call) > 0
        for (g in gone) if (index(id, g ".") == 1) lost = 1
        if (lost) gone[id]; else line = line "||" e[i] }
    print $1, $2, line; next } { print }' even | while read -r line; do echo "$line"; done >incident
expect 0 loom-eval compare odd incident -o lost
says out "^ +1 fewer calls .* $from (rpc|http|mq)( \(S_[0-9]+\))? -> $to $type\$"
says lost/places.csv "^1,dependency,\"?$from .* -> $to $type\"?,fewer calls,"
says lost/comparison.json '"format":"spanloom-comparison-1"'
says lost/manifest.json '"compare"'
[ "$(head -1 lost/changes.csv)" = "kind,name,calls_before,calls_after,graphs_before,graphs_after,test,before,after,log_ratio,lo,hi,superiority,p,q,found,explained" ] || fail "columns: $(head -1 lost/changes.csv)"
expect 3 loom-eval compare odd incident --fail; says err 'odd and incident differ at'
expect 0 loom-eval compare odd incident --threads 1 --json; cp out one.json
expect 0 loom-eval compare odd incident --threads 3 --json; cmp -s out one.json || fail "the number of threads shows"
shuf --random-source=all odd >shuffled
expect 0 loom-eval compare shuffled incident --json; cmp -s out one.json || fail "the order of the graphs shows"

# names of any kind
sed "s/$to/<script>alert(1)<\/script>\&amp;'\"/g" odd >odd.x; sed "s/$to/<script>alert(1)<\/script>\&amp;'\"/g" incident >incident.x
expect 0 loom-eval compare odd.x incident.x -o hostile
grep -q '<script' hostile/comparison.html && fail "a name runs in the page"
says hostile/comparison.html '&lt;script&gt;alert\(1\)'
grep -oE '<[a-z]+ [^<>]*(src|href)=[^ >]*' hostile/comparison.html && fail "the page asks for something"

: >empty; expect 1 loom-eval compare odd empty -o x; one_sentence; says err 'empty: no valid call graph'
expect 2 loom-eval compare odd; one_sentence
expect 2 loom-eval compare odd even -o lost; says err 'exists already'
[ ! -e x ] || fail "a failed command left a folder"
