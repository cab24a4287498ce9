# Balanced text: shares of shapes worked out by hand, samples byte by byte as they were, in their order.
layer() { # calls subgraphs number: a sample of that shape
    printf '### Question: sample %d\n\n ### Answer: \n<layer>\n<edges>\n' "$3"
    for ((i = 1; i <= $1; i++)); do printf '(edge_id is %d,type is rpc)\n' "$i"; done
    printf '</edges>\n'
    for ((i = 1; i <= $2; i++)); do printf '<subgraph of edge_id %d>num_edges:1</subgraph>\n' "$i"; done
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
    expect 0 loom-preprocess balance $mode.txt -e 0 --samples 18 -o $mode.b.txt
    expect 0 loom-preprocess balance $mode.txt -e 1 -o $mode.all.txt
    cmp $mode.txt $mode.all.txt || fail "$mode: something changed on the way"
done
for mode in tabular recursive; do
    [ "$(grep -c 'MS_00009' $mode.b.txt)" -ge 9 ] || fail "$mode: the one graph of another shape was not written nine times"
done

# shapes beyond the table count as one
{ layer 1001 0 1; layer 1500 0 2; layer 999 0 3; } >long.txt
expect 0 loom-preprocess balance long.txt -e 0 --samples 4 -o l.txt
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
expect 0 loom-preprocess balance split.txt -e 0 --samples 16 -o s.txt
says err 'of 4 shapes'
[ "$(among s.txt 1 2) $(among s.txt 3 3) $(among s.txt 4 4) $(among s.txt 5 5)" = "4 4 4 4" ] ||
    fail "splits of 18, of 20 in two and in three, and of 18 with a subgraph are not alike"

# what asks for a call or for high latency is a shape of its own, and only the prompt counts
asks() { layer 1 1 "$1" | sed "s/^### Question: .*/&\n$2/"; }
{ for n in $(seq 1 12); do layer 1 1 $n; done; asks 13 'Build a call graph with high latency'; asks 14 'Include an edge from MS_00001 to MS_00002 with rpc type'
  asks 15 'Include an edge from MS_00001 to MS_00002 with rpc type\nBuild a call graph with high latency'
  layer 1 1 16 | sed 's/^<layer>/&\nInclude an edge from MS_00001/'; } >asks.txt
expect 0 loom-preprocess balance asks.txt -e 0 --samples 16 -o a.txt
says err 'of 4 shapes'
[ "$(among a.txt 13 13) $(among a.txt 14 14) $(among a.txt 15 15)" = "4 4 4" ] || fail "samples that ask for something were thinned with the others"

# --slow: half of what is written asks for high latency, both services alike (one has 8 samples, one has 4); the rest share
# the other half
slow() { layer 1 "$3" "$1" | sed "s,^### Question: .*,&\nRequirements:\nid:S_00000000$2/num_edges:2/num_current_edges:1\nBuild a call graph with high latency,"; }
{ for n in $(seq 1 8); do slow $n 1 $((n % 3)); done; for n in $(seq 9 12); do slow $n 2 0; done; for n in $(seq 13 28); do layer 1 0 $n; done; } >slow.txt
expect 0 loom-preprocess balance slow.txt -e 0 --samples 32 --slow 0.5 -o slow.b.txt
says err 'of 3 shapes'
[ "$(among slow.b.txt 1 8) $(among slow.b.txt 9 12) $(among slow.b.txt 13 28)" = "8 8 16" ] || fail "--slow 0.5 is not half of the samples, or services are not alike"
expect 0 loom-preprocess balance slow.txt -e 1 --slow 0 -o s0.txt
cmp slow.txt s0.txt || fail "--slow 0 changes something"
expect 0 loom-preprocess balance many.txt -e 1 --slow 0.5 -o s1.txt
cmp many.txt s1.txt || fail "--slow takes a share though nothing asks for high latency"

# so are layers with a deeper or larger graph below; sizes count to the power of two
below() { layer 2 1 "$1" | sed "s,^### Question: .*,&\nRequirements:\nid:S_000000001/num_edges:$3/num_current_edges:2/num_subgraphs:1/remaining_depth:$2,"; }
{ for n in $(seq 1 12); do below $n 1 $((n % 2 + 2)); done; below 13 3 3; below 14 1 4; below 15 3 30; below 16 3 31; } >deep.txt
expect 0 loom-preprocess balance deep.txt -e 0 --samples 16 -o d.txt
says err 'of 4 shapes'
[ "$(among d.txt 13 13) $(among d.txt 14 14) $(among d.txt 15 16)" = "4 4 4" ] || fail "deep and large graphs were thinned with the others"

# other names: one to one within a sample, below the root only, and nothing else changes
child() { # number
    printf '### Question: sample %d\nRequirements:\nid:S_000000001/start_node:MS_00001/caller:USER\n\n ### Answer: \n<layer>\n<edges>\n' "$1"
    printf '(edge_id is 1,destination is MS_00002)\n(edge_id is 2,destination is MS_00003)\n</edges>\n'
    printf 'copy start_node from edge 2 destination: MS_00003\n<subgraph of edge_id 2>start_node:MS_00003/caller:MS_00001</subgraph>\n</layer>\n\n ### Finish\n'
}
root() { child "$1" | sed 's,/caller:USER,,'; }
{ for n in $(seq 1 200); do child $n; done; for n in $(seq 201 220); do root $n; done; for n in $(seq 4 40); do child 300 | sed "s/MS_00003/MS_$((20000 + n))/"; done; } >names.txt
expect 0 loom-preprocess balance names.txt -e 1 --renamed 1 -o n.txt
says err '237 of them with other names, 40 names in all'
forms() { sed 's/MS_[0-9]*/MS/g' "$1"; }
same <(forms names.txt) <(forms n.txt) || fail "more than names changed"
sed -n '/sample 201$/,/sample 300$/p' names.txt | head -n 200 >root.old; sed -n '/sample 201$/,/sample 300$/p' n.txt | head -n 200 >root.new
cmp root.old root.new || fail "a layer of the root was renamed"
awk '/^### Question: sample/ { n = $4 } n <= 200 && /start_node:MS.*caller:USER/ { match($0, /MS_[0-9]+/); s = substr($0, RSTART, RLENGTH) }
    n <= 200 && /edge_id is 1,/ { match($0, /MS_[0-9]+/); one = substr($0, RSTART, RLENGTH) } n <= 200 && /edge_id is 2,/ { match($0, /MS_[0-9]+/); two = substr($0, RSTART, RLENGTH) }
    n <= 200 && /^copy/ && $NF != two { print "copies", n } n <= 200 && /^<subgraph/ { if (index($0, "start_node:" two "/caller:" s "<") == 0 || s == one || one == two || s == two) print "names", n; seen[two]++ }
    END { for (i in seen) k++; if (k < 20) print "only", k, "names drawn" }' n.txt >wrong
[ ! -s wrong ] || fail "$(head -3 wrong | paste -sd';')"
expect 0 loom-preprocess balance names.txt -e 1 --renamed 0.25 -o q.txt
n=$(diff <(grep '^copy' names.txt) <(grep '^copy' q.txt) | grep -c '^>'); [ "$n" -gt 30 ] && [ "$n" -lt 90 ] || fail "$n of 237 samples were renamed, not about 59"
expect 0 loom-preprocess balance some.txt -e 1 --renamed 1 -o none.txt
cmp some.txt none.txt || fail "text without names changed"

# made-up names: every sample of every encoding, the service and the root too, each name one other name throughout; the same
# with any number of threads; names are pool names of the fixed width, or any number
printf '00h00m00s000ms S_000000001 0|http|USER|MS_00001|ARRIVED_0|RT_40||0.1|rpc|MS_00001|MS_00002|ARRIVED_1|RT_30||0.1.1|mc|MS_00002|MS_00003|ARRIVED_2|RT_5||0.2|db|MS_00001|MS_00003|ARRIVED_33|RT_5\n' >one.txt
for i in $(seq 10 99); do sed "s/RT_40/RT_$i/;s/00001/000$i/g" one.txt; done >g2.txt
bare() { sed -E 's/\b(MS_|S_)[0-9]+/\1/g' "$1"; }
# number of each name of a line or sample in the order in which names appear: equal before and after, as the exchange is one to one
order() { awk -v head="$2" 'index($0, head) == 1 { delete seen; n = 0 }
    { line = $0; while (match(line, /(MS_|S_)[0-9]+/)) { name = substr(line, RSTART, RLENGTH); if (!(name in seen)) seen[name] = ++n
      printf "%s ", seen[name]; line = substr(line, RSTART + RLENGTH) } print "" }' "$1"; }
for mode in tabular recursive instruction; do
    head='[GENERATE GRAPH]'; [ $mode = instruction ] && head='### Question'
    expect 0 loom-preprocess encode g2.txt --mode $mode -o $mode.txt --force
    expect 0 loom-preprocess balance $mode.txt -e 1 --renamed 1 --names 500:50 -o $mode.n.txt --threads 1
    expect 0 loom-preprocess balance $mode.txt -e 1 --renamed 1 --names 500:50 -o $mode.m.txt --threads 3
    cmp $mode.n.txt $mode.m.txt || fail "$mode: names depend on the threads"
    same <(bare $mode.txt) <(bare $mode.n.txt) || fail "$mode: more than names changed"
    same <(order $mode.txt "$head") <(order $mode.n.txt "$head") || fail "$mode: names are not exchanged one to one"
    [ "$(grep -oE '\bM?S_[0-9]+' $mode.n.txt | grep -cvE '^(MS_[0-9]{5}|S_[0-9]{9})$')" = 0 ] || fail "$mode: names of another width"
    expect 0 loom-preprocess balance $mode.txt -e 1 --renamed 1 --names 500:50 --spelled 0 -o $mode.pool.txt
    [ "$(grep -oE 'MS_[0-9]+' $mode.pool.txt | grep -cvE '^MS_[89]')" = 0 ] || fail "$mode: names beside the pool"
    expect 0 loom-preprocess balance $mode.txt -e 1 --renamed 0.5 --names 500:50 --seed 2 -o $mode.half.txt
done
# --kept 0.5: some names of a sample stay, from none to all; still one to one
for mode in tabular instruction; do
    head='[GENERATE GRAPH]'; [ $mode = instruction ] && head='### Question'
    expect 0 loom-preprocess balance $mode.txt -e 1 --renamed 1 --names 500:50 --kept 0.5 -o $mode.kept.txt
    cmp <(bare $mode.txt) <(bare $mode.kept.txt) || fail "$mode: more than names changed"
    cmp <(order $mode.txt "$head") <(order $mode.kept.txt "$head") || fail "$mode: a kept name and another became one"
    paste <(grep -ohE '\bMS_[0-9]+' $mode.txt) <(grep -ohE '\bMS_[0-9]+' $mode.kept.txt) | awk '{same += $1 == $2} END {exit !(same > NR / 3 && same < NR * 2 / 3)}' ||
        fail "$mode: not about half of the microservices were kept"
    paste <(grep -ohE '\bS_[0-9]+' $mode.txt) <(grep -ohE '\bS_[0-9]+' $mode.kept.txt) | awk '$1 == $2 {same++} END {exit same > 0}' ||
        fail "$mode: a service was kept"
done
# a name that is kept is no other name's: one digit, so that every number is drawn before long
for i in $(seq 1 30); do printf '### Question: sample %d\n\n ### Answer: \n' $i; for n in 0 1 2 3 4 5; do echo "MS_0000$n S_00000000$n"; done; done >digit.txt
expect 0 loom-preprocess balance digit.txt -e 1 --renamed 1 --names 0:0 --spelled 1 --kept 0.5 -o digit.n.txt
cmp <(order digit.txt '### Question') <(order digit.n.txt '### Question') || fail "a kept name was given to another"
# both kinds share one pool over all texts; some names are spelled, most are of the pool
pool() { grep -ohE '\bMS_[0-9]+' "$@" | sort -u; }
n=$(pool instruction.pool.txt tabular.pool.txt recursive.pool.txt | wc -l); [ "$n" -gt 250 ] && [ "$n" -le 500 ] || fail "$n names of a pool of 500"
n=$(grep -ohE '\bMS_[0-9]+' instruction.n.txt | grep -cvE '^MS_[89]'); all=$(grep -ohE '\bMS_[0-9]+' instruction.n.txt | wc -l)
[ $((n * 20)) -gt "$all" ] && [ $((n * 4)) -lt "$all" ] || fail "$n of $all names are spelled, not about 12 in a hundred"
n=$(diff <(grep -o '^id:S_[0-9]*\|/id:S_[0-9]*' tabular.txt) <(grep -o '^id:S_[0-9]*\|/id:S_[0-9]*' tabular.half.txt) | grep -c '^>')
[ "$n" -le 70 ] || fail "--renamed 0.5 renamed $n of 90 samples"
# spelled 1, no pool: any numbers, small ones with leading zeros among them
expect 0 loom-preprocess balance instruction.txt -e 1 --renamed 1 --names 0:0 --spelled 1 -o spelled.txt
grep -qE 'MS_000[0-9]{2}' spelled.txt || fail "no small numbers"
grep -qE 'MS_[1-9][0-9]{4}' spelled.txt || fail "no large numbers"
same <(order instruction.txt '### Question') <(order spelled.txt '### Question') || fail "spelled names are not one to one"
# a pool smaller than a sample's names: the rest is spelled
expect 0 loom-preprocess balance tabular.txt -e 1 --renamed 1 --names 2:1 --spelled 0 -o few.names.txt
same <(order tabular.txt '[GEN') <(order few.names.txt '[GEN') || fail "a small pool gives a name twice"
# what is asked for follows: uncommon calls, the lines that copy
asks 13 'Include an edge from MS_00001 to MS_00002 with rpc type' >asked.txt
expect 0 loom-preprocess balance asked.txt -e 1 --renamed 1 --names 500:50 -o asked.n.txt
grep -qE 'Include an edge from MS_[0-9]{5} to MS_[0-9]{5} with rpc type' asked.n.txt && ! grep -q MS_00001 asked.n.txt || fail "what is asked for kept its names"
# samples without such names stay, and are counted
expect 0 loom-preprocess balance some.txt -e 1 --renamed 1 --names 500:50 -o nameless.txt
says err '21 samples kept their names'; cmp some.txt nameless.txt || fail "samples without names changed"
says nameless.txt.meta.json '"samples_without_names": 21'

# mistakes
for bad in 500 500: :5 5:x -1:5 20000:5; do expect 2 loom-preprocess balance names.txt --renamed 1 --names $bad -o x.txt; one_sentence; done
expect 2 loom-preprocess balance names.txt --names 500:50 -o x.txt; one_sentence; says err 'renamed'
expect 2 loom-preprocess balance names.txt --renamed 2 -o x.txt; one_sentence
expect 2 loom-preprocess balance some.txt; one_sentence; says err 'give -o FILE'
expect 2 loom-preprocess balance some.txt -e 2 -o x.txt; one_sentence
expect 1 loom-preprocess balance - -o x.txt <some.txt; one_sentence; says err 'read twice'
expect 1 loom-preprocess balance /dev/null -o x.txt; one_sentence; says err 'no sample to keep'
expect 1 loom-preprocess balance g.txt -o x.txt; one_sentence; says err 'g.txt: line 1: a text file begins with'
[ ! -e x.txt ] || fail "a failed run left a file"

# other times: the same samples in the same order but for times, the seed's own; text that asks for high latency keeps its
expect 0 loom-preprocess balance instruction.txt -e 1 --retimed 1 -o timed.txt
says err '186 of them with other times'
says timed.txt.meta.json '"samples_retimed": 186'
without_times() { sed -E 's/(start_communication_at[: ]|latency[: ]|starts at |finishes at )[0-9]+/\1/g' "$1"; }
cmp <(without_times instruction.txt) <(without_times timed.txt) || fail "--retimed changed more than times"
cmp -s instruction.txt timed.txt && fail "--retimed changed nothing"
expect 0 loom-preprocess balance instruction.txt -e 1 --retimed 1 -o timed.again.txt
cmp timed.txt timed.again.txt || fail "times of one seed differ"
{ cat instruction.txt; asks 1 'Build a call graph with high latency'; } >slow.txt
expect 0 loom-preprocess balance slow.txt -e 1 --retimed 0.5 -o half.txt
says half.txt.meta.json '"samples_retimed": [1-9]'

# the call that is asked for has other microservices of the text: one to one in each sample, and nothing else changed
expect 0 loom-preprocess encode g2.txt --mode instruction --asked 1 --include handed-down -o calls.txt
expect 0 loom-preprocess balance calls.txt -e 1 --swapped 1 -o swapped.txt
says swapped.txt.meta.json '"samples_swapped": 1[0-9][0-9]'
same <(bare calls.txt) <(bare swapped.txt) || fail "--swapped changed more than names"
same <(order calls.txt '### Question') <(order swapped.txt '### Question') || fail "--swapped is not one to one"
grep -ohE '\bMS_[0-9]+' calls.txt | sort -u >known; grep -ohE '\bMS_[0-9]+' swapped.txt | sort -u | comm -23 - known >strange
[ ! -s strange ] || fail "--swapped drew a name that is not in the text"
# what is exchanged stands in the request, and so does what it becomes
paste -d'|' calls.txt swapped.txt | awk -F'|' '/^### Question/ { delete asked } $1 ~ /^Include/ { asked[$1]; asked[$2] }
    { for (i = 1; i <= 2; i++) if (match($i, /destination is MS_[0-9]+/)) d[i] = substr($i, RSTART + 15, RLENGTH - 15); else d[i] = "" }
    d[1] != d[2] { seen++; ok = 0; for (line in asked) ok += index(line, d[1]) > 0 || index(line, d[2]) > 0; if (ok < 2) print "not asked for:", d[1], d[2] }
    END { if (seen < 30) print "only", seen + 0, "callees are others" }' >wrong
[ ! -s wrong ] || fail "$(head -3 wrong | paste -sd';')"
expect 0 loom-preprocess balance calls.txt -e 1 --swapped 0.5 -o some.swapped.txt
n=$(diff <(grep '^Include' calls.txt) <(grep '^Include' some.swapped.txt) | grep -c '^>'); [ "$n" -gt 30 ] && [ "$n" -lt 90 ] || fail "$n requests are others, not about half of 124"
# requests for a call of the text that the answer lacks: nothing else changed
expect 0 loom-preprocess balance calls.txt -e 1 --unmet 1 -o unmet.txt
says unmet.txt.meta.json '"samples_unmet": [1-9][0-9]*'
cmp <(grep -v '^Include' calls.txt) <(grep -v '^Include' unmet.txt) || fail "--unmet changed more than requests"
n=$(diff <(grep '^Include' calls.txt) <(grep '^Include' unmet.txt) | grep -c '^>'); [ "$n" -gt 30 ] || fail "only $n requests are others"
expect 0 loom-preprocess balance calls.txt -e 1 --unmet 1 -o unmet.again.txt
cmp unmet.txt unmet.again.txt || fail "requests of one seed differ"
# a text without a third name, and requests whose names stand nowhere else, stay
expect 0 loom-preprocess balance asks.txt -e 1 --swapped 1 -o same.txt
cmp asks.txt same.txt || fail "--swapped changed a request of which the answer says nothing"
