# Arrays of calls as NumPy reads them: shapes, pointers and names agree with the flat table of the same graphs.
python3 -c 'import numpy' 2>/dev/null || skip "no numpy"
loom-preprocess sample-traces --profile tiny --traces 300 -q -o traces || fail "no traces"
loom-preprocess graphs traces -q -o g.graphs || fail "no graphs"
expect 0 loom-infer convert g.graphs --to npy -q -o arrays
expect 0 loom-infer convert g.graphs --to flat -q -o flat.csv
cat >look.py <<'PY'
import csv, numpy as np
a = {n: np.load("arrays/%s.npy" % n) for n in "edge_index edge_attr edge_parent edge_ptr node_name node_ptr graph_attr".split()}
names = open("arrays/names.txt").read().splitlines()
types = "rpc http mc db mq".split()
rows = list(csv.DictReader(open("flat.csv")))
assert a["edge_index"].shape == (2, len(rows)) and a["edge_attr"].shape == (len(rows), 4)
assert all(x.dtype == np.int64 and x.flags.c_contiguous for x in a.values())
assert a["edge_ptr"][-1] == len(rows) and a["node_ptr"][-1] == len(a["node_name"])
graph = np.repeat(np.arange(len(a["edge_ptr"]) - 1), np.diff(a["edge_ptr"]))
for e, r in enumerate(rows):
    s, d = a["edge_index"][:, e]
    g = graph[e]
    assert int(r["graph:int"]) == g and names[a["graph_attr"][g, 0]] == r["service:str"]
    assert a["graph_attr"][g, 1] == int(r["time_of_day_ms:int"])
    assert a["node_ptr"][g] <= s < a["node_ptr"][g + 1] and a["node_ptr"][g] <= d < a["node_ptr"][g + 1]
    assert names[a["node_name"][s]] == r["source:str"] and names[a["node_name"][d]] == r["destination:str"]
    t, depth, start, rt = a["edge_attr"][e]
    assert (types[t], depth, start, rt) == (r["type:str"], int(r["depth:int"]), int(r["start_ms:int"]), int(r["response_ms:int"]))
    p = a["edge_parent"][e]
    assert (rows[p]["edge:str"] if p >= 0 else "") == r["parent:str"]
print(len(rows))
PY
expect 0 python3 look.py; [ "$(cat out)" = "$(($(wc -l <flat.csv) - 1))" ] || fail "other calls: $(cat out)"
