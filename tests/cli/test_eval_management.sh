# FIRM trained on graphs of several origins: tables, the same bytes again, too few graphs, one class only.
expect 0 loom-preprocess sample-traces --services 12 --traces 8000 -o traces -q
expect 0 loom-preprocess graphs traces -o raw.graphs.zst -q
expect 0 loom-preprocess dedupe raw.graphs.zst -o all.graphs.zst -q
expect 0 loom-preprocess split all.graphs.zst --modulo 3 --train train.graphs.zst --valid valid.graphs.zst -q
expect 0 loom-eval baseline train.graphs.zst --count 3000 -o probabilistic.graphs.zst -q

manage() { loom-eval management --real train.graphs.zst --test valid.graphs.zst --train-graphs 120 --test-graphs 120 --seeds 2 --vae-epochs 4 --no-pictures "$@"; }
expect 0 manage probabilistic.graphs.zst copy=train.graphs.zst -o res
for app in A B; do
    for unit in window trace; do says res/fig05_mean.csv "^fig05,real,firm_$app,$unit,rbf,"; done
done
# 2 applications, 2 units, 2 machines, 2 seeds; a copy of the real graphs does as they do
[ "$(grep -c '^fig05,real,' res/fig05.csv)" = 16 ] || fail "not 16 rows of real graphs"
cmp -s <(grep '^fig05,real,' res/fig05.csv | cut -d, -f3-) <(grep '^fig05,copy,' res/fig05.csv | cut -d, -f3-) || fail "a copy is not like the original"
# the four counts are those of the test set, and give the accuracy
awk -F, 'NR > 1 && ($16 + $17 + $18 + $19 != $9 || ($16 + $18) / $9 - $11 > 1e-6 || $11 - ($16 + $18) / $9 > 1e-6) { exit 1 }' res/fig05.csv ||
    fail "counts and accuracy do not fit"
says res/manifest.json 'critical components of application A'
expect 0 manage probabilistic.graphs.zst copy=train.graphs.zst -o again --threads 1
cmp -s res/fig05.csv again/fig05.csv || fail "not the same bytes again"

expect 2 loom-eval management probabilistic.graphs.zst -o none
says err 'with --real'
zstdcat train.graphs.zst | head -n 40 >few.txt
expect 0 manage few.txt -o few
says err 'few.txt: [0-9]+ correct graphs of application A .*at least 50 are needed; left out'
expect 1 loom-eval management --real few.txt --test valid.graphs.zst probabilistic.graphs.zst -o none
says err 'few.txt: '
expect 1 loom-eval management --real train.graphs.zst --test few.txt probabilistic.graphs.zst -o none
says err 'few.txt: application A .* graphs to test on'
[ ! -e none ] || fail "left something"

# Graphs of the applications alone, each asked for as a real one of them: what it is asked for, and what FIRM learns from.
expect 0 loom-preprocess stats train.graphs.zst -o stats.json -q
expect 0 loom-eval prompts train.graphs.zst --like --apps --unusual --bounded --match-training --stats stats.json --count 60 -o apps.jsonl
[ "$(grep -c '"prompt"' apps.jsonl)" = 120 ] || fail "not 60 prompts of each of two applications"
[ "$(grep -o '"service":"[^"]*"' apps.jsonl | sort -u | wc -l)" = 2 ] || fail "not two applications"
says apps.jsonl 'Build a call graph with high latency, [0-9]+ <= latency'
# --even: as many graphs with it as without
for kind in uncommon:'Include an edge' high-latency:'high latency, '; do
    expect 0 loom-eval prompts train.graphs.zst --like --unusual --even "${kind%%:*}" --bounded --match-training --stats stats.json --count 80 --force -o even.jsonl
    [ "$(wc -l <even.jsonl)" = 80 ] || fail "not 80 prompts"
    [ "$(grep -c "${kind#*:}" even.jsonl)" = 40 ] || fail "$(grep -c "${kind#*:}" even.jsonl) of 80 prompts ask for ${kind%%:*}, not 40"
done
expect 2 loom-eval prompts train.graphs.zst --like --even uncommon -o none
says err 'add --unusual'
# in the order of the file
records() { sed -E 's/.*"record":"([^"]*)".*/\1/' "$1"; }
records apps.jsonl | while read -r line; do grep -nxF -m1 "$line" <(zstdcat train.graphs.zst) | cut -d: -f1; done | sort -nc || fail "not in the order of the graphs"
expect 0 loom-eval baseline train.graphs.zst --prompts apps.jsonl -o apps.graphs.zst -q
expect 0 manage probabilistic.graphs.zst --apps probabilistic=apps.graphs.zst --train-graphs 60 --no-tracevae -o apps
says apps/fig05_mean.csv '^fig05,probabilistic,firm_A,window,rbf,60,'
expect 2 manage probabilistic.graphs.zst --apps other=apps.graphs.zst -o none
says err '--apps has graphs of "other"'
expect 2 loom-eval prompts train.graphs.zst --apps -o none
says err 'add --like'
# graphs that are never slow: the machines can say one thing only, and that is said
zstdcat train.graphs.zst | grep -E '\|USER\|[^|]*\|ARRIVED_[0-9]*\|RT_[0-9]?($|\|)' >fast.txt
expect 0 manage fast=fast.txt --no-tracevae -o fast
says err '[0-9]+ machines saw one class only and say nothing else'
awk -F, '$2 == "fast" && $13 != .5 { exit 1 }' fast/fig05.csv || fail "one class: balanced accuracy is not one half"

# TraceVAE: every anomaly, the comparator without a graph, the same bytes again
for kind in time structure both; do says res/fig05_tracevae_mean.csv "^fig05,real,$kind,120,2,0?[.]?[0-9]+"; done
cmp -s res/fig05_tracevae.csv again/fig05_tracevae.csv || fail "not the same bytes of TraceVAE again"
[ "$(grep -c '^fig05,real,' res/fig05_tracevae.csv)" = 6 ] || fail "not 6 rows of TraceVAE"
cmp -s <(grep '^fig05,real,' res/fig05_tracevae.csv | cut -d, -f3-) <(grep '^fig05,copy,' res/fig05_tracevae.csv | cut -d, -f3-) ||
    fail "TraceVAE: a copy is not like the original"
awk -F, 'NR > 1 && $4 == "time" && $12 <= .5 { exit 1 }' res/fig05_tracevae.csv || fail "a slow call is no stranger than a usual one"
says res/manifest.json 'slow calls found'
# of the values alone a slow call stands out, whatever the structure's share of the score says
awk -F, 'NR > 1 && $4 == "time" && $14 <= .5 { exit 1 }' res/fig05_tracevae.csv || fail "the values alone: $(cut -d, -f2,4,10,14 res/fig05_tracevae.csv)"
