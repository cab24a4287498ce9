# Every container, layout and spelling of the same table gives the same graphs.
for tool in zstd xz; do command -v $tool >/dev/null || skip "$tool is not installed"; done
CSV=$SRC/tests/golden/spec/raw/callgraph_small.csv
WANT=$SRC/tests/golden/spec/raw/expected_stage1.txt
same() { cmp out "$WANT" || fail "$1 gives other graphs"; }

gzip -c "$CSV" >a.csv.gz; zstd -q "$CSV" -o a.csv.zst; xz -c "$CSV" >a.csv.xz
for file in a.csv.gz a.csv.zst a.csv.xz; do
    expect 0 loom-preprocess graphs $file -o -
    same $file
done
expect 0 loom-preprocess graphs - -o - <"$CSV"; same stdin
expect 0 loom-preprocess graphs - -o - <a.csv.gz; same "compressed stdin"

mkdir data; cp "$CSV" data/one.csv; echo readme >data/README.md
tar czf one.tar.gz data
expect 0 loom-preprocess graphs one.tar.gz -o -; same tar.gz
expect 0 loom-preprocess graphs data -o -; same folder

# several members and several files: one after the other
cp "$CSV" data/two.csv
tar czf two.tar.gz data/one.csv data/README.md data/two.csv
cat "$WANT" "$WANT" >want2
expect 0 loom-preprocess graphs two.tar.gz -o - --report r.json; cmp out want2 || fail "two members"
says r.json 'two.tar.gz\(data/two.csv\)'
expect 0 loom-preprocess graphs data/one.csv a.csv.gz -o -; cmp out want2 || fail "two files"

sed 's/$/\r/' "$CSV" >crlf.csv
expect 0 loom-preprocess graphs crlf.csv -o -; same CRLF
head -c -1 "$CSV" >cut.csv
expect 0 loom-preprocess graphs cut.csv -o -; same "no last line end"
{ printf '\xef\xbb\xbf'; cat "$CSV"; } >bom.csv
expect 0 loom-preprocess graphs bom.csv -o -; same "byte-order mark"
{ echo; sed 's/$/\n/' "$CSV"; } >blank.csv
expect 0 loom-preprocess graphs blank.csv -o -; same "blank lines"

# every field quoted; doubled quotes and commas and line ends in a field that is not used
awk -F, 'BEGIN{OFS=","} NR==16{print; next} {for(i=1;i<=NF;i++) $i="\"" $i "\""} 1' "$CSV" >quoted.csv
expect 0 loom-preprocess graphs quoted.csv -o -; same quotes
awk -F, 'BEGIN{OFS=","} NR>1{$8="\"a \"\"b\"\", c\nd\""} 1' "$CSV" >multi.csv
expect 0 loom-preprocess graphs multi.csv -o - --report r.json --force; same "line ends in quotes"

# columns in another order, rpcid, a leading unnamed row number (the v2021 layout)
awk -F, 'BEGIN{OFS=","} {n=(NR==1?"":NR); r=(NR==1?"rpcid":$4); m=NF>11?",":""; print n,$2,$1,r,$5,$7,$9,$8,$11 m,$3}' "$CSV" >v2021.csv
sed -i '/,extra$/d' v2021.csv
expect 0 loom-preprocess graphs v2021.csv -o - --report r.json --force
says out 'S_100000026'
awk -F, 'BEGIN{OFS=","} {print $11,$9,$7,$5,$4,$3,$2,$1}' "$CSV" | head -46 | tail -n +1 >order.csv
expect 0 loom-preprocess graphs order.csv -o -
head -5 "$WANT" | cut -c1-60 >want5; grep -v S_100000019 out | head -4 | cut -c1-60 | cmp - <(grep -v S_100000019 want5) || fail "column order"

# traces that straddle files: lost without --merge, whole with it, whatever the layout of each file
{ head -31 "$CSV"; } >half1.csv
{ head -1 "$CSV"; tail -n +32 "$CSV"; } | awk -F, 'BEGIN{OFS=","} {x=$1; $1=$2; $2=x} 1' >half2.csv
expect 0 loom-preprocess graphs half1.csv half2.csv -o - --merge --report r.json --dropped d.csv --force; same "merged files"
says r.json '"files_merged":2'
says d.csv '^half1.csv,8,T_02,TYPE_NOT_LISTED$'
says d.csv '^half2.csv,17,T_16,BAD_FIELD_COUNT$'
expect 0 loom-preprocess graphs half1.csv half2.csv -o -
! cmp -s <(sort out) <(sort "$WANT") || fail "files are not kept apart"

# a trace that comes back in a later file, or member, is counted; the same for any number of threads
count() { grep -o "\"$2\":[0-9]*" "$1" | tail -1 | cut -d: -f2; }
for threads in 1 3; do
    expect 0 loom-preprocess graphs half1.csv half2.csv -o - --report r.json --force --threads $threads
    says err 'warning: 1 trace came back in a later file \(first: half2.csv, trace T_[0-9]+\): .*give --merge'
    [ "$(count r.json split_traces)" = 1 ] || fail "$(count r.json split_traces) traces came back, not 1"
done
mkdir halves; cp half1.csv half2.csv halves; tar czf halves.tar.gz halves; tar czf half2.tar.gz half2.csv
for input in halves halves.tar.gz; do
    expect 0 loom-preprocess graphs $input -o - --report r.json --force
    says err 'came back in a later file \(first: halves.*half[12].csv\)?, trace T_'
done
expect 0 loom-preprocess graphs half1.csv half2.tar.gz "$CSV" -o - --report r.json --force
expect 0 loom-preprocess graphs "$CSV" -o - --report one.json
[ "$(count r.json split_traces)" = $((1 + $(count one.json traces) - $(count one.json NO_ROWS_LEFT))) ] ||
    fail "not every trace of the third file came back"
for input in half1.csv half2.tar.gz "half1.csv half2.csv --merge"; do
    expect 0 loom-preprocess graphs $input -o - --report r.json --force
    ! grep -q 'came back' err || fail "$input: nothing comes back"
    [ "$(count r.json split_traces)" = 0 ] || fail "$input: nothing comes back, but is counted"
done

# a request that is only checked
expect 0 loom-preprocess graphs half1.csv half2.csv -o dry.graphs.zst --dry-run
[ ! -e dry.graphs.zst ] || fail "--dry-run wrote"
expect 1 loom-preprocess graphs half1.csv <(echo) -o dry.graphs.zst --dry-run; one_sentence

# decimal and missing trailing fields
sed 's/^\([0-9]*\),/\1.75,/' "$CSV" >decimal.csv
expect 0 loom-preprocess graphs decimal.csv -o -; same "decimal timestamps"

# service of v2021 tables from the root call
cut -d, -f1,2,4- "$CSV" >noservice.csv
expect 1 loom-preprocess graphs noservice.csv -o x.graphs.zst
one_sentence; says err 'no column "service".*--service-from root'
expect 0 loom-preprocess graphs noservice.csv -o - --service-from root
says out '^00h00m10s000ms MS_00123 0'

# types: mapped, and in other case
expect 0 loom-preprocess graphs "$CSV" -o - --type-map userDefined=db --any-case
says out 'S_100000002 0\|http\|.*0.1\|db\|.*0.2\|rpc\|.*0.3\|mq'
says err '^[0-9]+ graphs'
expect 2 loom-preprocess graphs "$CSV" -o - --type-map userDefined; one_sentence
expect 2 loom-preprocess graphs "$CSV" -o - --type-map a=b; one_sentence; says err 'none of rpc, http, mc, db, mq'

# names are replaced by numbers; the mapping is kept and read again
cat >own.csv <<'CSV'
timestamp,traceid,service,rpc_id,um,uminstanceid,rpctype,interface,dm,dminstanceid,rt
1000,a1,shop: front page,0,USER,,http,,web|1,,9
1001,a1,shop: front page,0.1,web|1,,rpc,,cart,,3
CSV
expect 1 loom-preprocess graphs own.csv -o x.graphs.zst; one_sentence; says err 'BAD_NAME 2.*--rename'
expect 0 loom-preprocess graphs own.csv -o - --rename names.tsv
echo '00h00m01s000ms S_000000001 0|http|USER|MS_00002|ARRIVED_0|RT_9||0.1|rpc|MS_00002|MS_00001|ARRIVED_1|RT_3' | cmp out - || fail "renamed"
says names.tsv '^MS_00001	cart$'
sed -i 's/cart/basket/' own.csv
expect 0 loom-preprocess graphs own.csv -o - --rename names.tsv
says out '0.1\|rpc\|MS_00002\|MS_00003'
[ "$(wc -l <names.tsv)" = 4 ] || fail "mapping has $(wc -l <names.tsv) lines"
echo nonsense >bad.tsv
expect 1 loom-preprocess graphs own.csv -o - --rename bad.tsv; one_sentence; says err 'bad.tsv:1'
