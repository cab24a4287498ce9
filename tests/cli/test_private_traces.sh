# Private traces of any form by one command: every span is accounted for, names become numbers, the mapping stays with its
# owner, and no real name gets any further.
word=zyxwarehouse # stands in every real name
spans() { # TRACE CHILDREN: id, parent, service, start, duration of a first span and its children, one a line
    echo "a0 - $word-front $((1000000 + $1 * 1000)) $((90000 + 1000 * ($1 % 7)))"
    for k in $(seq 1 "$2"); do echo "a$k a0 $word-$(((k + $1) % 4)) $((1000000 + $1 * 1000 + k * 3000)) $((2000 + $1 % 5 * 100))"; done
}
jaeger() { # TRACE CHILDREN
    spans "$@" | awk -v t="$(printf %016x "$1")" '{
        tag = $2 == "-" ? "server" : "client"
        s = s (NR > 1 ? "," : "") sprintf("{\"traceID\":\"%s\",\"spanID\":\"%s\",\"operationName\":\"/%s\",\"references\":[%s],\"startTime\":%d,\"duration\":%d,\"tags\":[{\"key\":\"span.kind\",\"value\":\"server\"}],\"processID\":\"%s\"}",
            t, $1, $3, $2 == "-" ? "" : "{\"refType\":\"CHILD_OF\",\"traceID\":\"" t "\",\"spanID\":\"" $2 "\"}", $4, $5, $3)
        p = p (seen[$3]++ ? "" : (p ? "," : "") "\"" $3 "\":{\"serviceName\":\"" $3 "\"}")
    } END { printf "{\"data\":[{\"traceID\":\"%s\",\"spans\":[%s],\"processes\":{%s}}]}\n", t, s, p }'
}
zipkin() {
    spans "$@" | awk -v t="$(printf %016x "$1")" '{
        s = s (NR > 1 ? "," : "") sprintf("{\"traceId\":\"%s\",\"id\":\"%s\",%s\"name\":\"/%s\",\"kind\":\"SERVER\",\"timestamp\":%d,\"duration\":%d,\"localEndpoint\":{\"serviceName\":\"%s\"}}",
            t, $1, $2 == "-" ? "" : "\"parentId\":\"" $2 "\",", $3, $4, $5, $3)
    } END { print "[" s "]" }'
}
otlp() {
    spans "$@" | awk -v t="$(printf %032x "$1")" '{
        r = r (NR > 1 ? "," : "") sprintf("{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":\"%s\"}}]},\"scopeSpans\":[{\"spans\":[{\"traceId\":\"%s\",\"spanId\":\"%s\",\"parentSpanId\":\"%s\",\"name\":\"/%s\",\"kind\":2,\"startTimeUnixNano\":\"%d000\",\"endTimeUnixNano\":\"%d000\"}]}]}",
            $3, t, $1, $2 == "-" ? "" : $2, $3, $4, $4 + $5)
    } END { print "{\"resourceSpans\":[" r "]}" }'
}
number() { sed -nE "s/.*\"$2\":(-?[0-9]+)[,}].*/\1/p" "$1"; }
mkdir -p in/deep
for i in $(seq 1 40); do jaeger "$i" $((i % 6)); done >in/some.json
for i in $(seq 41 60); do zipkin "$i" $((i % 5)); done | zstd -q >in/deep/z.json.zst
for i in $(seq 61 80); do otlp "$i" $((i % 4 + 1)); done >in/o.jsonl
mkdir packed; for i in $(seq 81 90); do jaeger "$i" 3 >packed/$i.json; done; echo "see also" >packed/README
tar czf in/packed.tar.gz packed
echo "not traces" >in/notes.txt; echo '{"no":"spans"}' >in/some.json.meta.json; echo junk >in/.hidden.json
echo '{"cut' >>in/o.jsonl

# ---- one command, every kind; what is left out is counted ----
expect 0 loom-preprocess graphs in -o all.graphs --report all.json
says err '90 graphs, [0-9]+ spans of 90 traces read'
says err '2 files of other kinds .*first: in/notes.txt'; says err 'NOT_JSON, first: in/o.jsonl:21'
says err 'warning: name ".*--rename'
met=$(number all.json spans)
[ "$met" -gt 200 ] || fail "$met spans"
[ "$met" = $(($(number all.json spans_calls) + $(number all.json spans_inside) + $(number all.json spans_left_out) + $(number all.json spans_rejected))) ] ||
    fail "spans are lost: $(cat all.json)"
expect 0 loom-infer convert in -o conv.graphs
same <(sort conv.graphs) <(sort all.graphs) || fail "graphs and convert read other graphs from the same folder"
expect 0 loom-preprocess graphs all.graphs -o again.graphs; cmp -s all.graphs again.graphs || fail "a store does not come through"
expect 0 loom-preprocess graphs - -o - <in/some.json; cmp -s out <(head -40 all.graphs | cat) || grep -c . out | grep -qx 40 || fail "standard input"
expect 0 loom-preprocess graphs in --dry-run -o x.graphs; [ ! -e x.graphs ] || fail "--dry-run writes"
expect 1 loom-preprocess graphs in/notes.txt -o x.graphs; one_sentence
expect 1 loom-preprocess graphs packed/README -o x.graphs; one_sentence
echo '{"data":[]}' >none.json; expect 1 loom-preprocess graphs none.json -o x.graphs; one_sentence; says err 'no valid call graph'
expect 2 loom-preprocess graphs in -o x.graphs --keep-ids; one_sentence; says err '--rename'

# ---- numbers for names, and names again ----
(umask 022; expect 0 loom-preprocess graphs in -o named.graphs --rename names.tsv --keep-ids)
[ "$(stat -c %a names.tsv)" = 600 ] || fail "the mapping may be read by others: $(stat -c %a names.tsv)"
grep -q $word named.graphs named.graphs.meta.json && fail "a real name stands in the store"
says names.tsv "^MS_00001	$word-0$"; says names.tsv "^S_000000001	$word-front:/$word-front$"
expect 0 loom-infer convert named.graphs --names-from names.tsv -o real.graphs
cmp -s real.graphs all.graphs || fail "the mapping does not bring the names back"
expect 0 loom-infer show named.graphs --names-from names.tsv; says out "$word-front"
expect 0 loom-infer show named.graphs; grep -q $word out && fail "show knows names without a mapping"
expect 1 loom-infer convert named.graphs --names-from nothing.tsv -o x.graphs; one_sentence; says err 'no mapping'
expect 1 loom-infer convert named.graphs --names-from all.json -o x.graphs; one_sentence
cp named.graphs before; expect 0 loom-preprocess graphs in -o named.graphs --rename names.tsv --keep-ids --update; says err 'up to date'
sed -i '1s/^MS_00001/MS_00099/' names.tsv
expect 0 loom-preprocess graphs in -o named.graphs --rename names.tsv --keep-ids --update; says named.graphs MS_00099
chmod 644 names.tsv; expect 0 loom-preprocess graphs in -o named.graphs --rename names.tsv --force; [ "$(stat -c %a names.tsv)" = 600 ] || fail "a mapping that others could read stays so"

# ids stay, unless their number is somebody else's
row() { echo "$1,T$1,$2,0,http,USER,$3,9"; }
head=timestamp,traceid,service,rpc_id,rpctype,um,dm,rt
{ echo $head; row 1 S_5 MS_7; row 2 S_000000005 MS_00007; row 3 front MS_1; row 4 S_1 other; } >a.csv
{ echo $head; row 1 S_2 MS_2; row 2 S_9 MS_3; } >b.csv
expect 0 loom-preprocess graphs a.csv b.csv -o - --rename ids.tsv --keep-ids
cut -d' ' -f2- out | sed -E 's/ 0\|http\|USER\|/ /; s/\|.*//' | paste -sd, >got
[ "$(cat got)" = "S_000000005 MS_00007,S_000000005 MS_00007,S_000000002 MS_00001,S_000000001 MS_00002,S_000000003 MS_00004,S_000000009 MS_00003" ] ||
    fail "ids: $(cat got)"
expect 0 loom-preprocess graphs a.csv b.csv -o - --rename ids.tsv --keep-ids; cut -d' ' -f2- out | sed -E 's/ 0\|http\|USER\|/ /; s/\|.*//' | paste -sd, | cmp -s - got || fail "a second run gives other numbers"

# ---- the whole pipeline from the folder: no real name in text, tokenizer, models, prompts, answers or pages ----
expect 0 make -C "$SRC" --no-print-directory -f Makefile.data BIN="$BIN" RUN=tiny CONFIG="$SRC/configs/tiny.conf" OUT="$PWD/made" CSV="$PWD/in" figures
[ -s made/figures/report.html ] || fail "no page"
[ "$(stat -c %a made/names.tsv)" = 600 ] || fail "the mapping of the run may be read by others"
says made/names.tsv $word
while read -r f; do
    case $f in *.zst) zstd -dcq "$f" ;; *) cat "$f" ;; esac | grep -aq $word && [ "$f" != made/names.tsv ] && fail "a real name stands in $f"
done < <(find made -type f)
expect 0 loom-infer sample --model made/instruction.sft --edges 2 --depth 2 -n 3 -t 1 --constrain full --records new.graphs
grep -q $word new.graphs && fail "the model knows real names"
expect 0 loom-infer convert new.graphs --names-from made/names.tsv -o new.jsonl
says new.jsonl $word
