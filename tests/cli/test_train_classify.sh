# Heads on a frozen model: trained on questions of several origins, tested on the same real ones (Table 2).
base=$SRC/checkpoints/base.h5
expect 0 loom-preprocess sample-traces --services 12 --traces 6000 -o traces -q
expect 0 loom-preprocess graphs traces -o raw.graphs.zst -q
expect 0 loom-preprocess dedupe raw.graphs.zst -o all.graphs.zst -q
expect 0 loom-preprocess split all.graphs.zst --modulo 5 --train train.graphs.zst --valid valid.graphs.zst -q
expect 0 loom-preprocess stats train.graphs.zst -o stats.json -q
for task in high-latency uncommon; do
    expect 0 loom-preprocess encode valid.graphs.zst --task $task --stats stats.json -o $task.valid.txt -q
    expect 0 loom-preprocess encode train.graphs.zst --task $task --stats stats.json --sample 1:4 -o $task.train.txt -q
done
learn() { loom-train classify --model "$base" --threads 1 --seeds 2 "$@"; }
expect 0 learn --test uncommon.valid.txt real=uncommon.train.txt copy=uncommon.train.txt -o uncommon.classes.jsonl
says err '2 origins, [0-9]+ questions of each to train on, [0-9]+ to test on; needs .* MiB'
[ "$(wc -l <uncommon.classes.jsonl)" = 5 ] || fail "not a line for the truth and one for each head"
says uncommon.classes.jsonl '"task":"uncommon","state":"last","fresh":false'
cmp -s <(grep '"origin":"real"' uncommon.classes.jsonl | cut -d, -f2-) <(grep '"origin":"copy"' uncommon.classes.jsonl | cut -d, -f2-) ||
    fail "a copy is not like the original"
cp uncommon.classes.jsonl first
expect 0 learn --test uncommon.valid.txt real=uncommon.train.txt copy=uncommon.train.txt -o uncommon.classes.jsonl --update
says err "up to date"
expect 0 learn --test uncommon.valid.txt real=uncommon.train.txt other=uncommon.train.txt -o uncommon.classes.jsonl --update
says uncommon.classes.jsonl '"origin":"other"'
expect 0 learn --test uncommon.valid.txt real=uncommon.train.txt copy=uncommon.train.txt -o uncommon.classes.jsonl --force
cmp first uncommon.classes.jsonl || fail "not the same bytes again"
expect 0 learn --test high-latency.valid.txt real=high-latency.train.txt --solver adam --epochs 2 --state mean -o high-latency.classes.jsonl
says high-latency.classes.jsonl '"solver":"adam","lr":[0-9.e-]+,"batch":[0-9]+,'
expect 0 learn --test uncommon.valid.txt real=uncommon.train.txt --state both -o both.classes.jsonl
says both.classes.jsonl '"state":"both"'
weights() { grep -m 1 '"origin":"real"' "$1" | sed 's/.*"weights":\[//; s/\].*//' | tr , '\n' | wc -l; }
[ "$(weights both.classes.jsonl)" = "$(($(weights uncommon.classes.jsonl) * 2 - 1))" ] || fail "not a weight for each number of both states"
expect 0 learn --test uncommon.valid.txt real=uncommon.train.txt --fresh -o fresh.classes.jsonl
says fresh.classes.jsonl '"fresh":true'
expect 0 learn --test uncommon.valid.txt real=uncommon.train.txt --dry-run -o dry.jsonl
[ ! -e dry.jsonl ] || fail "--dry-run wrote something"

expect 0 loom-eval classes uncommon.classes.jsonl high-latency.classes.jsonl -o res
says res/table2_mean.csv '^table2,real,uncommon,'
[ "$(grep -c '^table2,copy,' res/table2.csv)" = 2 ] || fail "not two heads of the copy"
# the four counts are those of the test set, and give the accuracy
awk -F, 'NR > 1 && ($16 + $17 + $18 + $19 != $11 || ($16 + $18) / $11 - $12 > 1e-6 || $12 - ($16 + $18) / $11 > 1e-6) { exit 1 }' res/table2.csv ||
    fail "counts and accuracy do not fit"
awk -F, '$2 == "real" && $3 == "uncommon" && $7 <= .5 { exit 1 }' res/table2_mean.csv || fail "nothing was learned of uncommon calls: $(cat res/table2_mean.csv)"
says res/manifest.json '"figure": ?"T2"'

bad() { want=$1 pattern=$2; shift 2; expect "$want" "$@"; says err "$pattern"; one_sentence; }
bad 2 'name a model with --model' loom-train classify uncommon.train.txt -o x.jsonl
bad 2 'two origins are called "a"' learn --test uncommon.valid.txt a=uncommon.train.txt a=uncommon.train.txt -o x.jsonl
bad 1 'high-latency.train.txt asks another question than uncommon.valid.txt' learn --test uncommon.valid.txt high-latency.train.txt -o x.jsonl
expect 0 loom-preprocess encode valid.graphs.zst --task attribute -o attribute.txt -q
bad 1 'attribute.txt:1: a sample that is not answered by Yes or No' learn --test uncommon.valid.txt attribute.txt -o x.jsonl
expect 0 loom-preprocess encode train.graphs.zst --task uncommon --stats stats.json --no-balance --sample 1:4 -o all.txt -q
awk 'BEGIN { RS = "### Question: "; ORS = "" } NR > 1 && /\nNo\n/ { print "### Question: " $0 }' all.txt >no.txt
bad 1 'no.txt: all [0-9]+ questions are answered by No' learn --test uncommon.valid.txt no.txt -o x.jsonl
head -c 2000 uncommon.train.txt >few.txt
bad 1 'few.txt|has [0-9]+ questions, at least 10 are needed' learn --test uncommon.valid.txt few.txt -o x.jsonl
bad 1 'uncommon.valid.txt:1: ' loom-eval classes uncommon.valid.txt -o none
head -n 1 uncommon.classes.jsonl >headless
bad 1 'headless: the file holds no head' loom-eval classes headless -o none
[ ! -e none ] && [ ! -e x.jsonl ] || fail "left something"
