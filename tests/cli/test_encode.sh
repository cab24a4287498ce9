# encode: three encodings, the same bytes whatever the threads, selection, questions, refusals.
P=$BIN/loom-preprocess
[ -x "$P" ] || skip "no loom-preprocess"
expect 0 "$P" sample-traces --profile tiny --traces 3000 -o traces --quiet
expect 0 "$P" graphs traces/CallGraph_*.csv -o raw.graphs.zst --quiet
expect 0 "$P" dedupe raw.graphs.zst -o all.graphs.zst --quiet
expect 0 "$P" stats all.graphs.zst -o stats.json --quiet

for mode in tabular recursive instruction; do
    expect 0 "$P" encode all.graphs.zst --mode $mode --stats stats.json --threads 1 -o $mode.1.txt
    says err "$mode samples of"
    expect 0 "$P" encode all.graphs.zst --mode $mode --stats stats.json --threads 4 -o $mode.4.txt
    cmp $mode.1.txt $mode.4.txt || fail "$mode: the text depends on the number of threads"
done
says tabular.1.txt '^\[GENERATE GRAPH\].*id:S_'
says recursive.1.txt '^<subgraph of edge_id 0>'
says instruction.1.txt '^ ### Finish$'
says instruction.1.txt '^Build a call graph with high latency$'
says instruction.1.txt '^Include an edge from MS_'
graphs=$(zstd -dc all.graphs.zst 2>/dev/null | wc -l)
if [ "$graphs" -gt 0 ]; then
    [ "$(grep -c '^\[GENERATE GRAPH\]' tabular.1.txt)" = "$graphs" ] || fail "not one tabular sample per graph"
    # the order of the store changes the order of the samples and nothing else
    zstd -dc all.graphs.zst | tac >back.graphs
    expect 0 "$P" encode back.graphs --mode tabular -o back.txt
    expect 0 "$P" encode all.graphs.zst --mode tabular -o front.txt
    same <(sort front.txt) <(sort back.txt) || fail "the text of a graph depends on its place in the store"
fi
says tabular.1.txt.meta.json '"mode": "tabular"'

# two copies, side by side: the first is the text of a run without copies, the second says the same with other draws
expect 0 "$P" encode all.graphs.zst --mode tabular --stats stats.json --copies 2 --json -o two.txt
says out "\"records_used\":$graphs,"
awk '/^\[GENERATE GRAPH\]/ {n++} {print >(n % 2 ? "first.txt" : "second.txt")}' two.txt
cmp first.txt tabular.1.txt || fail "the first of two copies is not the only one of one"
cmp -s first.txt second.txt && fail "two copies are the same text"
items() { grep "^(" "$1" | tr -d "()" | tr "," "\n" | LC_ALL=C sort; }
same <(items first.txt) <(items second.txt) || fail "a copy says something else"
expect 0 "$P" encode all.graphs.zst --mode tabular --stats stats.json --copies 2 --threads 1 -o again.txt
cmp two.txt again.txt || fail "copies depend on the number of threads"
expect 0 "$P" encode all.graphs.zst --mode tabular --stats stats.json --copies 2 --shuffle -o shuffled.txt
same <(LC_ALL=C sort shuffled.txt) <(LC_ALL=C sort two.txt) || fail "--shuffle changes more than the order"
cmp -s shuffled.txt two.txt && fail "--shuffle shuffles nothing"
expect 0 "$P" encode all.graphs.zst --mode tabular --sample 1:10 --json -o tenth.txt
n=$(grep -c '^\[GENERATE GRAPH\]' tenth.txt); all=$(grep -c '^\[GENERATE GRAPH\]' tabular.1.txt)
[ "$n" -ge $((all / 10)) ] && [ "$n" -le $((all / 10 + 1)) ] || fail "$n of $all graphs is not one in ten"
expect 0 "$P" encode all.graphs.zst --mode tabular --max-edges 2 -o small.txt
grep -q 'num_edges:[3-9]' small.txt && fail "--max-edges let larger graphs through"

# an uncommon call is asked for in its own layer, or in all layers on the way to it, the root's first; nothing else changes
asked() { awk '/^### Question/ {root = ""; line = ""} /^(.*\/)?start_node:/ && !/caller:/ {root = "root"} /^Include an edge/ {line = $0}
    /^ ### Answer/ && line {print root, line}' "$1"; }
for how in own handed-down; do
    expect 0 "$P" encode all.graphs.zst --stats stats.json --draws all --include $how -o include.$how.txt
    grep -v '^Include an edge' include.$how.txt >without.$how.txt
done
cmp without.own.txt without.handed-down.txt || fail "--include changes more than its lines"
asked include.own.txt | grep -q '^root' && fail "the root asks for a call of another layer"
n=$(asked include.handed-down.txt | grep -c '^root'); own=$(asked include.own.txt | wc -l); all=$(asked include.handed-down.txt | wc -l)
[ "$n" -gt 10 ] && [ "$all" -ge $((own + n)) ] || fail "$n roots and $all layers ask for a call, $own of them for their own"
# every line that a root has is met by one of its graph's layers
awk '/^### Question/ {root = 0; line = ""; answer = 0} /^(.*\/)?start_node:/ && !/caller:/ && !answer {root = 1; if (want != "" && !met) print "unmet", want; want = ""; met = 0}
    /^Include an edge/ {line = $0} /^ ### Answer/ {answer = 1; if (root) want = line; else if (line == want) met = 1; split(line, word, " "); wanted = line == want ? word[7] : ""}
    answer && /^\(/ && wanted != "" && index($0, "destination is " wanted ",") {seen++} END {print seen > "seen"}' include.handed-down.txt >unmet
[ ! -s unmet ] || fail "$(head -2 unmet)"
[ "$(cat seen)" -ge "$n" ] || fail "$(cat seen) calls were met, $n asked for"

# --asked: a share of the layers asks for its first call, uncommon or not; nothing else changes
for share in 0 0.3 1; do
    expect 0 "$P" encode all.graphs.zst --stats stats.json --draws all --asked $share -o asked.$share.txt
    grep -v '^Include an edge' asked.$share.txt | cmp - without.own.txt || fail "--asked $share changes more than its lines"
done
cmp asked.0.txt include.own.txt || fail "--asked 0 is not the default"
some=$(grep -c '^Include' asked.0.3.txt); every=$(grep -c '^Include' asked.1.txt)
[ "$some" -gt "$own" ] && [ "$some" -lt "$every" ] || fail "a share of .3 asks in $some layers, 0 in $own, 1 in $every"
first_asked='/^### Question/ {want = ""; answer = 0} /^Include an edge/ {split($0, w, " "); want = w[7]} /^ ### Answer/ {answer = 1}
    answer && /^\(/ {if (want != "" && index($0, want) == 0) print "not first:", want, $0; want = ""}'
awk "$first_asked" asked.0.3.txt asked.1.txt >unmet
[ ! -s unmet ] || fail "$(head -2 unmet)"
# --asked-for any: another call of the layer comes first, and still every layer begins with what it is asked for; the same calls
for share in 0 1; do
    expect 0 "$P" encode all.graphs.zst --stats stats.json --draws all --items listed --asked $share --asked-for any -o any.$share.txt
done
expect 0 "$P" encode all.graphs.zst --stats stats.json --draws all --items listed --asked 1 -o asked.listed.txt
calls() { grep '^(edge_id' "$1" | sed 's/edge_id is [0-9]*,//; s/,communication.*//' | LC_ALL=C sort; }
same <(calls any.1.txt) <(calls asked.listed.txt) || fail "--asked-for any makes other calls"
cmp -s any.1.txt asked.listed.txt && fail "--asked-for any is --asked-for first"
grep -v '^Include an edge' asked.listed.txt | cmp - <(grep -v '^Include an edge' any.0.txt) || fail "--asked-for any reorders layers that are not asked"
awk "$first_asked" any.1.txt >unmet
[ ! -s unmet ] || fail "$(head -2 unmet)"

# the first edges of a text, each with its items in one order
canon() {
    awk '/^\(/ {if (++seen > 200) exit; gsub(/[()]/, ""); n = split($0, item, ",")
        for (i = 2; i <= n; i++) for (j = i; j > 1 && item[j] < item[j - 1]; j--) {t = item[j]; item[j] = item[j - 1]; item[j - 1] = t}
        line = item[1]; for (i = 2; i <= n; i++) line = line "," item[i]; print line}' "$1" | LC_ALL=C sort
}
# listed items: every edge and subgraph line in one order, and still the same edges
for mode in tabular recursive instruction; do
    expect 0 "$P" encode all.graphs.zst --mode $mode --stats stats.json --items listed -o $mode.listed.txt
    grep '^(' $mode.listed.txt | grep -qv '^(edge_id is [0-9.]*,type is [a-z]*,.*finishes at [0-9]* milliseconds)$' &&
        fail "$mode: an edge whose items are not in the listed order"
    [ "$(grep -c '^(edge_id is ' $mode.1.txt)" -lt "$(grep -c '^(' $mode.1.txt)" ] || fail "$mode: items are not shuffled"
    same <(canon $mode.listed.txt) <(canon $mode.1.txt) || fail "$mode: other edges"
done
grep '^<subgraph of edge_id [0-9]*>.' instruction.listed.txt |
    grep -qvE '>id:S_[0-9]+/num_edges:[0-9]+/start_node:[^/]*/start_edge_id:[0-9]+/num_current_edges:[0-9]+/num_subgraphs:' &&
    fail "a subgraph line whose attributes are not in the listed order"

for task in high-latency uncommon; do
    expect 0 "$P" encode all.graphs.zst --task $task --stats stats.json -o $task.txt
    [ "$(grep -c '^Yes$' $task.txt)" = "$(grep -c '^No$' $task.txt)" ] || fail "$task: answers are not balanced"
done
for task in edge uncommon; do
    expect 0 "$P" encode all.graphs.zst --task $task --stats stats.json --questions 7 --json --force -o seven.txt
    says out '"left_out_beyond_questions": ?[0-9]+'
    expect 0 "$P" encode all.graphs.zst --task $task --stats stats.json --questions 7 --shuffle --force -o any.txt
    [ "$(grep -c '^### Question: ' any.txt)" = 7 ] || fail "$task: not any seven questions but $(grep -c '^### Question: ' any.txt)"
    cmp -s seven.txt any.txt && fail "$task: --shuffle draws the first questions"
    [ "$(grep -c '^### Question: ' seven.txt)" = 7 ] || fail "$task: not seven questions but $(grep -c '^### Question: ' seven.txt)"
done
expect 2 "$P" encode all.graphs.zst --questions 7 -o x.txt
says err 'goes with --task'
expect 0 "$P" encode all.graphs.zst --task edge -o edge.txt
[ "$(grep -c '^(\[MISSING\])$' edge.txt)" = "$(grep -c '^Child layer:$' edge.txt)" ] || fail "edge: parents and children differ"
expect 0 "$P" encode all.graphs.zst --task edge --items listed -o edge.listed.txt
grep '^(' edge.listed.txt | grep -vE '^\(edge_id is [^,]*,type is [^,]*,destination is [^,]*,communication starts at [^,]*,communication finishes at [^,]*\)$' |
    grep -qvF '([MISSING])' && fail "an edge of a question whose items are not in the listed order"
expect 0 "$P" encode all.graphs.zst --task attribute --mode recursive -o attribute.txt
says attribute.txt 'is \[MISSING\]'

# a damaged store: the bad line is counted, the rest is encoded
{ echo "no record"; zstd -dc all.graphs.zst 2>/dev/null | head -3; } >bad.graphs
expect 0 "$P" encode bad.graphs --mode tabular -o bad.txt
says err "1 of [0-9]+ records hold no valid call graph"

expect 2 "$P" encode all.graphs.zst --mode tabular -o tabular.1.txt
says err "exists already"
expect 2 "$P" encode all.graphs.zst --sample 5 -o x.txt
says err "expected K:N"
expect 2 "$P" encode all.graphs.zst --task uncommon -o x.txt
says err "needs the statistics"
expect 2 "$P" encode all.graphs.zst --task attribute --mode tabular -o x.txt
expect 2 "$P" encode
expect 1 "$P" encode absent.graphs -o x.txt
says err "absent.graphs"
[ ! -e x.txt ] || fail "a failed run left an output behind"
ls | grep -q tmp && fail "a temporary file was left behind"
exit 0
