# Published traces, which are not part of the repository: the graphs survive unchanged, every row and trace is accounted for.
for tool in zstd; do command -v $tool >/dev/null || skip "$tool is not installed"; done
D=$SHARED/data
[ -f "$D/alibaba-v2022-tracellm-tabular.csv" ] || skip "no published traces beside the checkout ($D)"

number() { grep -o "\"$2\":[0-9]*" "$1" | tail -1 | cut -d: -f2; } # the total stands last
adds_up() { # REPORT: what is dropped and what is kept make up what was there
    [ $(($(number "$1" rows_kept) + $(number "$1" rows_dropped))) = "$(number "$1" rows)" ] || fail "$1: rows do not add up"
    [ $(($(number "$1" graphs) + $(number "$1" graphs_dropped))) = "$(number "$1" traces)" ] || fail "$1: traces do not add up"
    [ $(($(number "$1" edges) + $(number "$1" repeated_ids_dropped))) -le "$(number "$1" rows_kept)" ] || fail "$1: more edges than rows"
}

# Graphs that were cleaned by their authors: all survive, through stage 2 as well.
for name in tabular:1057:4480 instruction:92:506; do
    IFS=: read -r set graphs edges <<<"$name"
    expect 0 loom-preprocess graphs "$D/alibaba-v2022-tracellm-$set.csv" -o "$set.graphs.zst" --report "$set.json"
    adds_up "$set.json"
    [ "$(number "$set.json" graphs)" = "$graphs" ] || fail "$set: $(number "$set.json" graphs) graphs"
    [ "$(number "$set.json" edges)" = "$edges" ] || fail "$set: $(number "$set.json" edges) edges"
    expect 0 loom-preprocess dedupe "$set.graphs.zst" -o "$set.all.graphs.zst" --json
    says out "\"kept\":$graphs,\"duplicates\":0,\"too_deep\":0,\"invalid\":0"
done
# Unchanged: every row is in the graph of its line, with times relative to the first row of its trace.
zstdcat tabular.graphs.zst | awk '{n=split($3, e, "[|][|]"); for (i = 1; i <= n; i++) {split(e[i], f, "|"); print $2, f[1], f[2], f[3], f[4], f[6]}}' | sort >got
tail -n +2 "$D/alibaba-v2022-tracellm-tabular.csv" | tr -d '\r' | awk -F, '
    function ms(n) {return n ~ /^MS_[0-9]+$/ ? sprintf("MS_%05d", substr(n, 4)) : n}
    {printf "S_%09d %s %s %s %s RT_%d\n", substr($3, 3), $4, $5, ms($6), ms($9), $11}' | sort >want
cmp got want || fail "tabular rows changed"

# Rows of incomplete graphs.
expect 0 loom-preprocess graphs "$D/alibaba-v2022-casper-rpc-rows.csv" -o casper.graphs.zst --report casper.json --verdicts casper.jsonl
adds_up casper.json
[ "$(number casper.json rows)" = 2087 ] && [ "$(number casper.json traces)" = 1037 ] || fail "casper: other rows or traces"
[ "$(wc -l <casper.jsonl)" = 1037 ] || fail "casper: not one verdict per trace"
[ "$(grep -c '"accepted":true,"reasons":\[\]' casper.jsonl)" = "$(number casper.json graphs)" ] || fail "casper: verdicts"
[ "$(grep -c '"accepted":false,"reasons":\["' casper.jsonl)" = "$(number casper.json graphs_dropped)" ] || fail "casper: a rejection without reason"

# Another system, whose types are not recorded and whose names are not numbers.
for name in trainticket-2023-01-29:369 trainticket-2023-01-30:320 onlineboutique-2022-08-23:375; do
    csv=$D/other-systems/nezha-${name%:*}-callgraph.csv
    expect 1 loom-preprocess graphs "$csv" -o none.graphs.zst; says err "--type-map UNKNOWN=rpc reads those of type"
    says err 'TYPE_NOT_LISTED.*--type-map'
    expect 0 loom-preprocess graphs "$csv" -o nezha.graphs.zst --type-map UNKNOWN=rpc --report nezha.json --force
    adds_up nezha.json
    [ "$(number nezha.json traces)" = "${name#*:}" ] || fail "$name: other traces"
    [ "$(number nezha.json graphs)" -gt $((${name#*:} * 9 / 10)) ] || fail "$name: too few graphs"
    expect 0 loom-preprocess graphs "$csv" -o - --type-map UNKNOWN=rpc --rename names.tsv
    [ "$(grep -cvE '^[0-9hms]+ S_[0-9]{9} (0[.0-9]*\|rpc\|(USER|MS_[0-9]{5})\|MS_[0-9]{5}\|ARRIVED_-?[0-9]+\|RT_-?[0-9]+(\|\|)?)+$' out)" = 0 ] || fail "$name: names left"
done

# The older layout: no service column; the callees' records of a trace, each by the clock of its machine.
expect 1 loom-preprocess graphs "$D/alibaba-v2021-sample.csv" -o none.graphs.zst
says err 'no column "service"'
expect 0 loom-preprocess graphs "$D/alibaba-v2021-sample.csv" -o old.graphs.zst --service-from root
