# Tables of 2021: no service column, the two sides of a call told by the sign of rt; and other dirt of raw tables.
number() { sed -nE "s/.*\"total\":\{.*\"$2\":(-?[0-9]+)[,}].*/\1/p" "$1"; }
head='timestamp,traceid,rpcid,um,rpctype,dm,interface,rt'
{ # 1: both sides, in either order; 2: only the callee's; 3: the callee's clock is 2 ms ahead; 4: too long for any clock
    echo ",$head"
    printf '0,%s\n' 100,t1,0,USER,http,a,i,40 102,t1,0.1,a,rpc,b,i,-19 102,t1,0.1,a,rpc,b,i,20 105,t1,0.1.1,b,mc,c,,1 \
        110,t1,0.2,a,rpc,c,i,9 110,t1,0.2,a,rpc,c,i,-8 130,t1,0.3,a,mq,d,,0 \
        200,t2,0,USER,http,a,i,-40 202,t2,0.1,a,rpc,b,i,-19 \
        300,t3,0,USER,http,a,i,-8 306,t3,0.1,a,http,b,i,-4 306,t3,0.1.1,b,mc,c,,1 309,t3,0.1.2,b,rpc,b,i,0 \
        400,t4,0,USER,http,a,i,-8 401,t4,0.1,a,http,b,i,-9 \
        500,t5,0,USER,http,a,i,-8 506,t5,0.1,a,http,b,i,4
} >old.csv
expect 0 loom-preprocess graphs old.csv -o old.graphs --service-from root --report old.json
cat >want <<'R'
00h00m00s100ms a 0|http|USER|a|ARRIVED_0|RT_40||0.1|rpc|a|b|ARRIVED_2|RT_20||0.1.1|mc|b|c|ARRIVED_5|RT_1||0.2|rpc|a|c|ARRIVED_10|RT_9||0.3|mq|a|d|ARRIVED_30|RT_0
00h00m00s200ms a 0|http|USER|a|ARRIVED_0|RT_40||0.1|rpc|a|b|ARRIVED_2|RT_19
00h00m00s300ms a 0|http|USER|a|ARRIVED_0|RT_8||0.1|http|a|b|ARRIVED_4|RT_4||0.1.1|mc|b|c|ARRIVED_4|RT_1||0.1.2|rpc|b|b|ARRIVED_7|RT_0
R
cmp old.graphs want || { cat old.graphs >&2; fail "rows of two sides make other graphs"; }
[ "$(number old.json callee_records_dropped) $(number old.json calls_by_callee_records) $(number old.json calls_moved_to_callers_clock)" = "2 7 1" ] ||
    { cat old.json >&2; fail "the sides are counted otherwise"; }
says old.json '"graphs_dropped_by_first_reason":\{"CHILD_OUTLIVES_PARENT":2\}'   # a caller's record is not moved
# a table with services keeps the rules of 2022: the first row of an id counts, times may be negative
sed 's/^,//; 1s/$/,service/; 2,$s/^0,//; 2,$s/$/,S_1/' old.csv >new.csv
expect 0 loom-preprocess graphs new.csv -o new.graphs
says new.graphs 'RT_-8\|\|0\.1\|http\|a\|b\|ARRIVED_1\|RT_-9$'
[ "$(loom-preprocess graphs new.csv -o - --report - 2>/dev/null | grep -c callee_records_dropped.:0)" = 1 ] || fail "rows of 2022 are paired"

# blanks behind commas; what macOS hides in archives
sed 's/,/, /g' new.csv >blanks.csv
expect 0 loom-preprocess graphs blanks.csv -o blanks.graphs; cmp blanks.graphs new.graphs || fail "a blank behind a comma changes the graphs"
printf '\0\5\26\7' >._new.csv
tar -cf mac.tar ._new.csv new.csv
expect 0 loom-preprocess graphs mac.tar -o mac.graphs; cmp mac.graphs new.graphs || fail "macOS's ._ file is read"

D=$SHARED/data
[ -d "$D" ] || exit 0
expect 0 loom-preprocess graphs "$D/alibaba-v2021-sample.csv" -o - --service-from root
says out 'ARRIVED_4\|RT_4\|\|0\.1\.1'
[ -d "$SHARED/cases/readers" ] || exit 0
expect 0 loom-preprocess graphs "$SHARED/cases/readers/31-v2021/in.csv" -o v.graphs --service-from root
[ "$(wc -l <v.graphs)" = 1000 ] || fail "sound traces of 2021 are lost"
if grep -q 'RT_-' v.graphs; then fail "negative times are left"; fi
