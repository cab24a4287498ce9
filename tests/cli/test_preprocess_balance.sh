# Balanced selections: sizes and their limits counted by hand, every size kept, the same with any number of threads.
edge() { echo "00h00m00s000ms S_00000000$1 0|http|USER|MS_0000$2|ARRIVED_0|RT_20"; }
chain() { echo "$(edge "$1" "$2")||0.1|rpc|MS_0000$2|MS_00009|ARRIVED_1|RT_5||0.1.1|mc|MS_00009|MS_00003|ARRIVED_2|RT_0"; }
wide() { echo "$(edge "$1" "$2")||0.1|rpc|MS_0000$2|MS_00009|ARRIVED_1|RT_5||0.2|mc|MS_0000$2|MS_00003|ARRIVED_2|RT_0"; }
for s in 1 2 3 4 5; do for m in 1 2 4 5; do edge $s $m; done; chain $s 1; done >some.txt   # 20 of one call, 5 chains
wide 1 1 >>some.txt; echo "no graph" >>some.txt

expect 0 loom-preprocess balance some.txt --per-size 4 -o b.graphs.zst
says err '9 of 26 graphs kept; 2 of 3 sizes had more than 4'
says err '1 invalid graphs were dropped'
says b.graphs.zst.meta.json '"graphs_kept": 9'
zstdcat b.graphs.zst >b
[ "$(grep -cv '||' b)" = 4 ] || fail "not 4 graphs of one call"
[ "$(grep -c '||0.1.1' b)" = 4 ] || fail "not 4 chains"
[ "$(grep -c '||0.2' b)" = 1 ] || fail "the only wide graph was not kept"
grep -vxFf some.txt b && fail "a graph that was not in the input"
[ "$(sort -u b | wc -l)" = 9 ] || fail "a graph twice"

# drawn, not the first ones; another seed draws others; the order of the input stays
expect 0 loom-preprocess balance some.txt --per-size 4 -o c.graphs.zst --seed 2
zstdcat c.graphs.zst | cmp -s - b && fail "the seed changes nothing"
grep -xFf b some.txt | cmp - b || fail "the order changed"

# no limit reached: everything valid
expect 0 loom-preprocess balance some.txt -o all.graphs.zst
[ "$(zstdcat all.graphs.zst | wc -l)" = 26 ] || fail "a graph is missing"

for i in $(seq 1 2000); do grep -v 'no graph' some.txt; done >many.txt   # many blocks
expect 0 loom-preprocess balance many.txt -n 1000 -o one.graphs.zst --threads 1
expect 0 loom-preprocess balance many.txt -n 1000 -o three.graphs.zst --threads 3
zstdcat one.graphs.zst >one; zstdcat three.graphs.zst | cmp - one || fail "threads change the selection"
[ "$(wc -l <one)" = 3000 ] || fail "not 1000 of each size"

# sizes beyond the table count as one
long() { printf '00h00m00s000ms S_000000001 0|http|USER|MS_00001|ARRIVED_0|RT_20'; for i in $(seq 1 "$1"); do printf '||0.%d|mc|MS_00001|MS_00002|ARRIVED_1|RT_0' "$i"; done; echo; }
{ long 1200; long 1500; long 998; } >long.txt
expect 0 loom-preprocess balance long.txt -n 1 -o l.graphs.zst
[ "$(zstdcat l.graphs.zst | wc -l)" = 2 ] || fail "1,201 and 1,501 calls are not of one size"

# mistakes
expect 2 loom-preprocess balance some.txt; one_sentence; says err 'give -o FILE'
expect 2 loom-preprocess balance some.txt -n 0 -o x.graphs.zst; one_sentence
expect 1 loom-preprocess balance - -o x.graphs.zst <some.txt; one_sentence; says err 'read twice'
expect 1 loom-preprocess balance /dev/null -o x.graphs.zst; one_sentence; says err 'no valid graph'
[ ! -e x.graphs.zst ] || fail "a failed run left a file"
