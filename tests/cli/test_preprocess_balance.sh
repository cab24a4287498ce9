# Balanced text: shares of shapes worked out by hand, samples byte by byte as they were, in their order.
layer() { # calls subgraphs number: a sample of that shape
    printf '### Question: sample %d\n\n ### Answer: \n<layer>\n<edges>\n' "$3"
    for i in $(seq 1 "$1"); do printf '(edge_id is %d,type is rpc)\n' "$i"; done
    printf '</edges>\n'
    for i in $(seq 1 "$2"); do printf '<subgraph of edge_id %d>num_edges:1</subgraph>\n' "$i"; done
    printf '</layer>\n\n ### Finish\n'
}
for n in $(seq 1 16); do layer 1 0 $n; done >some.txt
for n in $(seq 17 20); do layer 3 1 $n; done >>some.txt
layer 3 2 21 >>some.txt
numbers() { sed -n 's/^### Question: sample //p' "$1"; }
among() { numbers "$1" | awk -v a="$2" -v b="$3" '$1 >= a && $1 <= b' | wc -l; }

# exponent 0.5: shares of 4, 2 and 1 sevenths; of 28 samples 16, 8 and 4, so each is written once, twice and four times
expect 0 loom-preprocess balance some.txt --exponent 0.5 --samples 28 -o b.txt
says err '28 samples, .* of 3 shapes; 21 of the 21 read are among them'
says b.txt.meta.json '"samples_written": 28'
{ seq 1 16; for n in 17 18 19 20; do echo $n; echo $n; done; for i in 1 2 3 4; do echo 21; done; } | cmp - <(numbers b.txt) || fail "other shares, or another order"

# 0: all alike; --repeats limits what that means for the rarest
expect 0 loom-preprocess balance some.txt --exponent 0 --samples 48 -o alike.txt
[ "$(among alike.txt 17 20) $(among alike.txt 21 21)" = "16 16" ] || fail "shapes are not alike"
expect 0 loom-preprocess balance some.txt --exponent 0 --samples 48 --repeats 3 -o few.txt
[ "$(among few.txt 17 20) $(among few.txt 21 21)" = "12 3" ] || fail "a sample more than three times"

# half of many samples: drawn, not the first ones; about as many as asked for; another seed draws others
for i in $(seq 1 1000); do layer 1 0 "$i"; done >many.txt
for seed in 1 2; do expect 0 loom-preprocess balance many.txt --samples 500 --seed $seed -o half.$seed.txt; done
n=$(among half.1.txt 1 1000); [ "$n" -gt 430 ] && [ "$n" -lt 570 ] || fail "$n of 1000 samples, not about 500"
n=$(among half.1.txt 1 500); [ "$n" -gt 190 ] && [ "$n" -lt 310 ] || fail "$n of the first 500, not about 250"
cmp -s half.1.txt half.2.txt && fail "the seed changes nothing"

# 1: every byte, compressed or not, in one file or two
expect 0 loom-preprocess balance some.txt -e 1 -o all.txt.zst
zstdcat all.txt.zst | cmp - some.txt || fail "something changed on the way"
expect 0 loom-preprocess balance some.txt all.txt.zst -e 1 -o twice.txt
cat some.txt some.txt | cmp - twice.txt || fail "two files are not read one after the other"

# what encode writes in the other encodings has shapes, too
printf '00h00m00s000ms S_000000001 0|http|USER|MS_00001|ARRIVED_0|RT_20||0.1|rpc|MS_00001|MS_00009|ARRIVED_1|RT_5\n' >g.txt
for i in $(seq 1 9); do printf '00h00m00s000ms S_00000000%d 0|http|USER|MS_00001|ARRIVED_0|RT_20\n' $i; done >>g.txt
for mode in tabular recursive instruction; do
    expect 0 loom-preprocess encode g.txt --mode $mode -o $mode.txt
    expect 0 loom-preprocess balance $mode.txt -e 0 -n 18 -o $mode.b.txt
    expect 0 loom-preprocess balance $mode.txt -e 1 -o $mode.all.txt
    cmp $mode.txt $mode.all.txt || fail "$mode: something changed on the way"
done
for mode in tabular recursive; do
    [ "$(grep -c 'MS_00009' $mode.b.txt)" -ge 9 ] || fail "$mode: the one graph of another shape was not written nine times"
done

# shapes beyond the table count as one
{ layer 1001 0 1; layer 1500 0 2; layer 999 0 3; } >long.txt
expect 0 loom-preprocess balance long.txt -e 0 -n 4 -o l.txt
says err 'of 2 shapes'

# a split layer has the calls of its parts and their subgraphs: 18, 18 and 20 in two parts, 20 in three, 18 with one below
split() { # number subgraphs-of-the-first-part calls-of-parts...
    local subs=$2
    printf '### Question: sample %d\n\n ### Answer: \n<split>\n' "$1"; shift 2
    for n; do
        printf '<subgraph of edge_id 0>num_edges:30/num_current_edges:%d/num_subgraphs:%d/caller:USER</subgraph>\n' "$n" "$subs"
        subs=0
    done
    printf '</split>\n\n ### Finish\n'
}
{ split 1 0 15 3; split 2 0 13 5; split 3 0 15 5; split 4 0 10 5 5; split 5 1 13 5; } >split.txt
expect 0 loom-preprocess balance split.txt -e 0 -n 16 -o s.txt
says err 'of 4 shapes'
[ "$(among s.txt 1 2) $(among s.txt 3 3) $(among s.txt 4 4) $(among s.txt 5 5)" = "4 4 4 4" ] ||
    fail "splits of 18, of 20 in two and in three, and of 18 with a subgraph are not alike"

# mistakes
expect 2 loom-preprocess balance some.txt; one_sentence; says err 'give -o FILE'
expect 2 loom-preprocess balance some.txt -e 2 -o x.txt; one_sentence
expect 1 loom-preprocess balance - -o x.txt <some.txt; one_sentence; says err 'read twice'
expect 1 loom-preprocess balance /dev/null -o x.txt; one_sentence; says err 'no sample to keep'
expect 1 loom-preprocess balance g.txt -o x.txt; one_sentence; says err 'g.txt: line 1: a text file begins with'
[ ! -e x.txt ] || fail "a failed run left a file"
exit 0
