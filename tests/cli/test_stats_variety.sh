# What is too little to learn from is said before anything is trained: one tree of calls, few sizes, few graphs.
graph() { # number calls: a root with calls children
    printf '00h00m00s000ms S_%09d 0|http|USER|MS_00001|ARRIVED_0|RT_%d' $(($1 % 7)) $(($1 + 50))
    for ((k = 1; k <= $2; k++)); do printf '||0.%d|rpc|MS_00001|MS_%05d|ARRIVED_1|RT_5' "$k" $((k + $1 % 3)); done
    echo
}
stats() { expect 0 loom-preprocess stats "$1" -o "$1.json" --force "${@:2}"; }

# one tree, whatever the names and times; few graphs
for i in $(seq 1 40); do graph "$i" 2; done >one.txt
stats one.txt
says err 'all graphs have the same tree of calls: .* give traces of more kinds of requests'
says err 'only 1 size of graph \(calls and depth\) occurs in 10 graphs or more'
says err 'only 40 graphs to learn from: .*--patience'
says one.txt.json.meta.json '"trees": 1,'
says one.txt.json.meta.json '"filled_sizes": 1,?$'
stats one.txt --threads 3; says err '1 different trees of calls, 1 sizes \(calls and depth\), 1 of them with 10 graphs or more'

# nearly one tree; another type of call is another tree
{ cat one.txt; graph 41 3; sed -n '1s/rpc/db/p' one.txt; } >nearly.txt
stats nearly.txt; says err '95 % of the graphs have the same tree'; says nearly.txt.json.meta.json '"trees": 3,'

# enough of everything: nothing to say
for ((i = 1; i <= 1000; i++)); do graph "$i" $((i % 8)); done >many.txt
stats many.txt
grep -q warning err && fail "warns about graphs that will do: $(cat err)"
stats many.txt --quiet; [ ! -s err ] || fail "--quiet talks"
sed '$d' many.txt >less.txt; stats less.txt; says err 'only 999 graphs to learn from'

# a user's own traces: heard before the first training starts
{ echo timestamp,traceid,service,rpc_id,rpctype,um,uminstanceid,interface,dm,dminstanceid,rt
  for i in $(seq 1 60); do echo "0,T_$i,S_1,0,http,USER,USER,x,MS_1,MS_1_POD_1,$i.0"; done; } >own.csv
make -C "$SRC" --no-print-directory -f Makefile.data BIN="$BIN" RUN=tiny CONFIG="$SRC/configs/tiny.conf" OUT="$PWD/made" CSV="$PWD/own.csv" "$PWD/made/stats.json" >out 2>err || fail "no statistics: $(cat err)"
says err 'all graphs have the same tree of calls'
[ -z "$(find made -name '*.pretrain')" ] || fail "trained before it was said"
exit 0
