# Zipkin v2 comes back as it went out; Chrome events, GraphML and the flat table hold every call; hostile names stay text.
real=$SRC/tests/golden/spec/dedupe/expected.txt
head -n 200 "$real" >graphs
calls=$(tr ' ' '\n' <graphs | grep -o '|ARRIVED_' | wc -l) n=$(wc -l <graphs)
for to in zipkin chrome graphml flat; do expect 0 loom-infer convert graphs --to $to -o out.$to; done
expect 0 loom-infer convert out.zipkin --to records -o back
expect 0 loom-infer convert graphs --to records -o plain
cmp -s back plain || fail "Zipkin does not come back as it went out"
[ "$(grep -c '^{"traceId":"[0-9a-f]\{32\}","id":"[0-9a-f]\{16\}",.*"timestamp":[0-9]*,"duration":[0-9]*,"localEndpoint":{"serviceName":"' out.zipkin)" = "$calls" ] || fail "not a span for each call"
grep '"parentId":""' out.zipkin && fail "an empty parent"
[ "$(grep -c '"ph":"X"' out.chrome)" = "$calls" ] && [ "$(grep -c '"process_name"' out.chrome)" = "$n" ] || fail "Chrome events"
[ "$(grep -c '<edge ' out.graphml)" = "$calls" ] && [ "$(grep -c '<graph ' out.graphml)" = "$n" ] || fail "GraphML"
[ "$(wc -l <out.flat)" = $((calls + 1)) ] || fail "the flat table"
[ "$(head -1 out.flat)" = "graph:int,service:str,time_of_day_ms:int,edge:str,parent:str,depth:int,type:str,source:str,destination:str,start_ms:int,response_ms:int" ] || fail "$(head -1 out.flat)"
expect 0 loom-infer convert graphs -o named.graphml; cmp -s named.graphml out.graphml || fail "the name does not tell GraphML"
printf '00h00m00s000ms <a>&"x 0|http|USER|=1+1,"]]>\x01\xff|ARRIVED_0|RT_3\n' >odd
sed -i 's/\x01//' odd
for to in zipkin chrome graphml flat; do expect 0 loom-infer convert odd --to $to -o odd.$to; done
says odd.graphml '<data key="service">&lt;a&gt;&amp;"x</data>'
says odd.flat '^0,"<a>&""x",0,0,,1,http,USER,"=1\+1,""'
expect 0 loom-infer convert odd --to flat --safe-csv -o safe.flat; says safe.flat "\"'=1"
if command -v python3 >/dev/null; then
    python3 -c 'import sys, json, xml.etree.ElementTree as t
for f in ("out.zipkin", "out.chrome", "odd.zipkin", "odd.chrome"): json.load(open(f))
for f in ("out.graphml", "odd.graphml"): t.parse(f)' || fail "an independent reader refuses a file"
else echo "python3 is not here: JSON and XML not read by another program"; fi

# arrays: a folder, whole or not at all
expect 0 loom-infer convert "$SRC"/tests/frozen/graphs.graphs.zst --to npy -q -o arrays
[ "$(find arrays -type f | sort | tr '\n' ' ')" = "arrays/edge_attr.npy arrays/edge_index.npy arrays/edge_index.npy.meta.json arrays/edge_parent.npy arrays/edge_ptr.npy arrays/graph_attr.npy arrays/names.txt arrays/node_name.npy arrays/node_ptr.npy " ] || fail "other files: $(find arrays -type f)"
cp arrays/edge_index.npy before; expect 2 loom-infer convert "$SRC"/tests/frozen/graphs.graphs.zst --to npy -q -o arrays; one_sentence; says err 'force'
expect 0 loom-infer convert "$SRC"/tests/frozen/graphs.graphs.zst --to npy -q -f -o arrays; cmp before arrays/edge_index.npy || fail "other bytes the second time"
expect 2 loom-infer convert "$SRC"/tests/frozen/graphs.graphs.zst --to npy -q; one_sentence; says err 'output DIR'
echo nothing >nothing.txt; expect 1 loom-infer convert nothing.txt --to npy -q -o gone; [ ! -e gone ] || fail "a folder of nothing"
