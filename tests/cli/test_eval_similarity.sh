# Similarity, memorisation, sizes and the baseline on the golden graphs.
real=$SRC/tests/golden/spec/dedupe/expected.txt

expect 0 loom-eval baseline "$real" --count 300 -o probabilistic.graphs.zst
says err "300 graphs drawn after [0-9]+ training graphs; 0 not of the wished size, 0 not valid"
expect 0 loom-eval baseline "$real" --count 200 -o fewer.graphs.zst
same <(zstdcat probabilistic.graphs.zst | head -n 200) <(zstdcat fewer.graphs.zst) || fail "the first graphs depend on how many are drawn"
expect 0 loom-eval prompts "$real" --mode tabular --per-cell 3 -o tabular.prompts.jsonl
expect 0 loom-eval baseline "$real" --prompts tabular.prompts.jsonl -o wished.graphs.zst
[ "$(zstdcat wished.graphs.zst | wc -l)" = "$(wc -l <tabular.prompts.jsonl)" ] || fail "not one graph for each prompt"

expect 0 loom-eval similarity --real "$real" same="$real" probabilistic.graphs.zst --resamples 50 -o res
says res/fig04a_kl.csv '^fig04a,same,1,[0-9]+,[0-9]+,1e-06,[0-9.]+(e-[0-9]+)?,'
awk -F, '$2 == "same" && $6 == "1e-06" && $7 > 1e-4 { exit 1 }' res/fig04a_kl.csv || fail "real is not like itself"
awk -F, 'NR > 1 && $2 == "same" && $9 != 0 { exit 1 }' res/fig16.csv || fail "real is at a distance from itself"
# the intervals are basic: each belongs to the corrected distance and holds it, and none is below 0
for f in fig04a_kl fig16; do
    awk -F, 'NR == 1 {for (i = 1; i <= NF; i++) {if ($i == "lo") l = i; if ($i ~ /_corrected$/) c = i}; next}
             $l != "" {n++; if (!($l >= 0 && $l <= $c && $c <= $(l + 1))) exit 1} END {exit !(n && c)}' res/$f.csv ||
        fail "$f: an interval does not hold its corrected estimate"
done
says res/fig04b.csv '^fig04b,real,1,0,[0-9]+,10,'
expect 0 loom-eval distribution "$real" probabilistic.graphs.zst -o res
says res/fig08.csv '^fig08,expected,1,depth,1,'
expect 0 loom-eval memorization --train "$real" copies="$real" probabilistic.graphs.zst -o res
says out '^copies +- +[0-9]+ +[0-9]+ +100.00'
says res/fig15.csv '^fig15,probabilistic,1,,all,'
says res/privacy.json '"exact_copies"'
grep -q '"similarity"' res/manifest.json && grep -q '"distribution"' res/manifest.json && grep -q '"memorization"' res/manifest.json ||
    fail "the manifest lost a command"
# training graphs are quoted only on request
grep -q "MS_\|S_0" res/privacy.json && fail "privacy.json quotes training graphs"
expect 0 loom-eval memorization --train "$real" copies="$real" --examples 3 -o res3
[ "$(grep -c "MS_" res3/privacy.json)" = 3 ] || fail "--examples 3 does not quote three graphs"
# remembered or common: held-out graphs tell. Half of the graphs trained on, half held out.
awk 'NR % 2' "$real" >half1.txt
awk 'NR % 2 == 0' "$real" >half2.txt
expect 0 loom-eval memorization --train half1.txt --heldout half2.txt leak=half1.txt clean=half2.txt -o res4
n1=$(wc -l <half1.txt) n2=$(wc -l <half2.txt)
awk -F, -v n1="$n1" -v n2="$n2" '$2 == "leak" && $5 == "all" {if ($6 != n1 || $16 != n2 || $18 != 0) exit 1; f = 1} END {exit !f}' res4/fig15.csv ||
    fail "a leak is not told by the held-out graphs: $(grep 'leak,1,,all' res4/fig15.csv)"
says res4/privacy.json '"in_equal_part_of_training"'
awk -F, '$2 == "clean" && $5 == "all" && ($6 != 0 || $16 != "") {exit 1}' res4/fig15.csv || fail "the held-out graphs are compared with themselves"
expect 3 loom-eval memorization --train "$real" copies="$real" --fail-above 0.5 -o res2
says err "copies of training graphs, more than"

expect 2 loom-eval similarity "$real" -o e1
says err "name them with --real"
expect 2 loom-eval similarity --real "$real" "$real" "$real" -o e2
says err 'two files are called "expected"'
expect 2 loom-eval similarity --real "$real" "$real" -o res # no overwriting without --force
says err "exists already"
: >empty.txt
expect 1 loom-eval memorization --train empty.txt "$real" -o e3
says err "empty.txt: the file is empty"

expect 1 loom-eval similarity --real empty.txt "$real" -o e3
says err "empty.txt: the file is empty"
one_sentence
sed 's/MS_/MS_7/g' "$real" >stranger.txt
expect 0 loom-eval similarity --real "$real" stranger.txt --resamples 0 --no-pictures -o res7
says err "stranger.txt has no call in common with .*; are they of the same system"
says res7/fig04a_kl.csv '^fig04a,stranger,1,([^,]*,){10}0,'
says res7/fig16.csv '^fig16,stranger,1,in_degree,corpus,'

# two floors: halves of real, and as many real graphs as were generated; alike graphs are at no distance from each other
zstdcat probabilistic.graphs.zst >many.txt
head -20 many.txt >few.txt
expect 0 loom-eval similarity --real many.txt few.txt copies=many.txt --resamples 0 --no-pictures -o res8
for f in fig04a_kl fig16; do
    awk -F, 'NR == 1 {if ($(NF - 1) != "floor" || $NF != "floor_same_n") exit 1}
             $2 == "few" {a++; if (!($NF > 1.2 * $(NF - 1))) exit 1} $2 == "copies" {b++; if ($NF != $(NF - 1)) exit 1}
             END {exit !(a && b)}' res8/$f.csv || fail "$f: 20 real graphs are no further from the others than a half is"
done
line=$(head -1 "$real")
for i in $(seq 1 30); do echo "$line"; done >alike.txt
head -4 alike.txt >four.txt
expect 0 loom-eval similarity --real alike.txt four.txt --resamples 0 --no-pictures -o res9
awk -F, 'NR > 1 && $3 == 1 && ($(NF - 1) > 1e-9 || $NF > 1e-9) && $5 != "corpus" {exit 1}' res9/fig16.csv || fail "alike graphs are at a distance: $(cat res9/fig16.csv)"

# the page
expect 0 loom-eval report res
says res/report.html '^</body></html>$'
says res/report.html 'Copies of training graphs'
grep -qE '(src|href)="?(http|/|\.)' res/report.html && fail "the page needs other files"
if command -v gnuplot >/dev/null; then
    says res/report.html 'id="fig08-gnuplot_canvas"'
fi
expect 1 loom-eval report no-such-folder
says err "holds no manifest.json"

# a model that gets nothing right
expect 0 loom-eval oracle tabular.prompts.jsonl -o good.answers.jsonl
sed 's/"text":"[^"]*"/"text":"(nonsense)"/' good.answers.jsonl >wrong.answers.jsonl
expect 0 loom-eval memorization --train "$real" wrong.answers.jsonl good.answers.jsonl -o res5
says out '^wrong +0 +0 +0 +- +0.00 - 100.00 +- +-$'
says out '^wrong has no graph to judge: nothing can be said about copies$'
says res5/privacy.json '"exact_rate": null,'
expect 3 loom-eval memorization --train "$real" wrong.answers.jsonl good.answers.jsonl --fail-above 0.5 -o res10 --no-pictures
says err 'wrong has no graph with 4 or more calls, so nothing can be said'
says res5/fig15.csv '^fig15,wrong,1,0,all,0,0,[0-9]+,,,,'
expect 0 loom-eval distribution wrong.answers.jsonl good.answers.jsonl -o res5
expect 1 loom-eval similarity --real "$real" wrong.answers.jsonl -o res6
says err "wrong.answers.jsonl: none of the [0-9]+ answers is a correct graph; left out"
says err "no file holds a correct graph"
expect 0 loom-eval similarity --real "$real" wrong.answers.jsonl good.answers.jsonl -o res6
if grep -q '^fig16,wrong' res6/fig16.csv; then fail "a method without graphs is compared"; fi
