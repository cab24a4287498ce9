# Bad input: one sentence that names file, place and cure; exit code 1 or 2; nothing half-written.
for tool in zstd; do command -v $tool >/dev/null || skip "$tool is not installed"; done
CSV=$SRC/tests/golden/spec/raw/callgraph_small.csv
nothing_left() { [ -z "$(ls | grep -E '^o\.|tmp')" ] || fail "left behind: $(ls)"; }
refused() { # CODE PATTERN command...: fails with one sentence that matches
    local code=$1 pattern=$2; shift 2
    expect "$code" "$@"; one_sentence; says err "$pattern"; nothing_left
}

: >empty.csv
refused 1 'empty.csv: the file is empty' loom-preprocess graphs empty.csv -o o.graphs.zst
head -1 "$CSV" >header.csv
refused 1 'header.csv: no valid graph in 0 rows' loom-preprocess graphs header.csv -o o.graphs.zst
cut -d, -f1-10 "$CSV" >nort.csv
refused 1 'nort.csv: line 1: no column "rt" in the header, found: timestamp, traceid' loom-preprocess graphs nort.csv -o o.graphs.zst
sed 's/^timestamp,/rt,/' "$CSV" >twice.csv
refused 1 'column "rt" stands twice' loom-preprocess graphs twice.csv -o o.graphs.zst
tail -n +2 "$CSV" >nohead.csv
refused 1 'nohead.csv: line 1: no column' loom-preprocess graphs nohead.csv -o o.graphs.zst
head -c 100000 "$BIN/loom-preprocess" >binary.csv
refused 1 'binary.csv: line 1: not a CSV file' loom-preprocess graphs binary.csv -o o.graphs.zst
head -c 3000000 /dev/zero >zeros.csv
refused 1 'zeros.csv: line 1: not a CSV file' loom-preprocess graphs zeros.csv -o o.graphs.zst
refused 1 'missing.csv' loom-preprocess graphs missing.csv -o o.graphs.zst
for i in 1 2 3 4 5 6 7 8 9; do tail -n +2 "$CSV" | sed "s/T_/T_$i/"; done >many
{ head -1 "$CSV"; cat many many; } | gzip >full.csv.gz
head -c 2000 full.csv.gz >cut.csv.gz
refused 1 'cut.csv.gz' loom-preprocess graphs cut.csv.gz -o o.graphs.zst
{ head -1 "$CSV"; cat many many; } | zstd -q >full.csv.zst
head -c 1000 full.csv.zst >cut.csv.zst
refused 1 'cut.csv.zst' loom-preprocess graphs cut.csv.zst -o o.graphs.zst
sed 's/,http,/,x,/; s/,rpc,/,y,/; s/,mc,/,z,/; s/,db,/,w,/; s/,mq,/,v,/; s/,RPC,/,u,/' "$CSV" >types.csv
refused 1 'TYPE_NOT_LISTED 64.*--type-map' loom-preprocess graphs types.csv -o o.graphs.zst
echo text >readme.txt; tar cf notable.tar readme.txt
refused 1 'notable.tar: no member holds traces \(first: readme.txt\)' loom-preprocess graphs notable.tar -o o.graphs.zst
cp "$CSV" t.csv; tar cf within.tar t.csv; tar czf around.tar.gz within.tar
refused 1 'around.tar.gz: no member holds traces \(first: within.tar\).*an archive within it is to be unpacked' loom-preprocess graphs around.tar.gz -o o.graphs.zst
tar cf nothing.tar -T /dev/null
refused 1 'nothing.tar: line 1: not a CSV file, nor JSON or an archive with files in it' loom-preprocess graphs nothing.tar -o o.graphs.zst
# nothing at all, compressed, is no damage; what is cut short is
for pack in gzip "zstd -q" xz; do
    command -v ${pack%% *} >/dev/null || continue
    $pack -c <empty.csv >nothing.packed
    refused 1 'nothing.packed: the file is empty; expected traces' loom-preprocess graphs nothing.packed -o o.graphs.zst
    refused 1 'nothing.packed: no valid graph in the input' loom-preprocess stats nothing.packed -o o.json
    head -c $(($(stat -c %s nothing.packed) - 2)) nothing.packed >cut.packed
    refused 1 'cut.packed: damaged or cut short' loom-preprocess graphs cut.packed -o o.graphs.zst
done
head -2 "$CSV" >alone.csv; expect 0 loom-preprocess graphs alone.csv -q -o alone.graphs
seed=1 # one by which the only graph falls to validation
while [ $seed -lt 60 ] && loom-preprocess split alone.graphs --modulo 2 --seed $seed --train o.graphs --valid p.graphs -qf 2>/dev/null; do seed=$((seed + 1)); done
rm -f o.graphs* p.graphs*
refused 1 'alone.graphs: of 1 graph none falls to training; give traces of more requests, or a greater --modulo' \
    loom-preprocess split alone.graphs --modulo 2 --seed $seed --train o.graphs --valid p.graphs
: >empty.json; refused 1 'empty.json: the file is empty; expected traces' loom-preprocess graphs empty.json -o o.graphs.zst
mkdir none
refused 1 'none: no file of traces in this folder' loom-preprocess graphs none -o o.graphs.zst
refused 2 'no output named' loom-preprocess graphs "$CSV"
refused 2 '' loom-preprocess graphs -o o.graphs.zst

# an existing output is kept without --force
echo precious >keep.graphs.zst
expect 2 loom-preprocess graphs "$CSV" -o keep.graphs.zst; one_sentence; says err 'exists already'
says keep.graphs.zst precious
expect 0 loom-preprocess graphs "$CSV" -o keep.graphs.zst --force
says keep.graphs.zst.meta.json '"rows": ?65'
# a failing run leaves the old output alone
expect 1 loom-preprocess graphs empty.csv -o keep.graphs.zst --force
zstdcat keep.graphs.zst | cmp - "$SRC/tests/golden/spec/raw/expected_stage1.txt" || fail "old output harmed"

# broken rows lose themselves only
{ head -1 "$CSV"
  echo '1000,T_90,S_1,0,"USER,,http,,MS_1,,5'
  printf '1000,T_91,S_1,0,USER,\0,http,,MS_1,,5\n'
  echo '1000,T_92,S_1,0,USER,,http,,MS_1,,inf'
  echo '1000,T_93,S_1,0,USER,,http,,MS_1,,x'
  echo ',T_94,S_1,0,USER,,http,,MS_1,,5'
  echo '1e99,T_94,S_1,0,USER,,http,,MS_1,,5'
  echo '1000,,S_1,0,USER,,http,,MS_1,,5'
  echo '1000,T_95,,0,USER,,http,,MS_1,,5'
  echo '1000,T_95,S_1,0..1,USER,,http,,MS_1,,5'
  echo '1000,T_95,S_1,,USER,,http,,MS_1,,5'
  echo '1000,T_95,S_1,0,,,http,,MS_1,,5'
  echo '1000,T_95,S_1,0,USER,,http,,NaN,,5'
  echo '1000,T_95,S_1,0,USER,,http,,MS 1,,5'
  echo '1000,T_96'
  head -c 1100000 /dev/zero | tr '\0' a; echo
  tail -n +2 "$CSV"; } >broken.csv
expect 0 loom-preprocess graphs broken.csv -o - --report r.json
cmp out "$SRC/tests/golden/spec/raw/expected_stage1.txt" || fail "broken rows took others with them"
for reason in '"BAD_QUOTES":1' '"BAD_BYTES":1' '"LINE_TOO_LONG":1' '"BAD_RT":2' '"BAD_TIMESTAMP":2' '"NO_TRACEID":1' '"NO_SERVICE":1' \
              '"BAD_RPC_ID":2' '"NO_UM":1' '"NO_DM":1' '"BAD_NAME":1' '"rows_with_missing_fields":1' '"BAD_QUOTES":2,' '"LINE_TOO_LONG":16'; do
    says r.json "$reason"
done

# graph stores
refused 1 'missing.graphs.zst' loom-preprocess dedupe missing.graphs.zst -o o.graphs.zst
: >empty.graphs.zst
refused 1 'no graph in the input' loom-preprocess dedupe empty.graphs.zst -o o.graphs.zst
refused 1 'no valid graph among.*NUM_COLUMNS' loom-preprocess dedupe "$CSV" -o o.graphs.zst
refused 1 'no valid graph' loom-preprocess split "$CSV" --train o.t.zst --valid o.v.zst
refused 1 'no valid graph' loom-preprocess stats "$CSV" -o o.json
refused 2 'same file' loom-preprocess split "$CSV" --train o.t.zst --valid o.t.zst
head -c 200 keep.graphs.zst >short.graphs.zst
refused 1 'short.graphs.zst' loom-preprocess dedupe short.graphs.zst -o o.graphs.zst

# a full disk
if [ -w /dev/full ]; then
    expect 1 bash -c 'loom-preprocess graphs "$0" -o - >/dev/full' "$CSV"
    says err 'standard output'
fi
# a disk that fills up on the way, played by a limit on the size of files: one sentence, and nothing is left
expect 0 loom-preprocess sample-traces --profile tiny --files 1 -o t -q
expect 0 loom-preprocess graphs t -o many.graphs.zst -q
expect 0 loom-preprocess encode many.graphs.zst --mode tabular -o many.txt -q
expect 0 loom-preprocess tokenizer many.txt -o many.json -q
small() { (trap '' XFSZ; ulimit -f 4; exec "$@"); }
refused 1 'cannot write o.graphs.zst: File too large; nothing was left half-written' small loom-preprocess graphs t -o o.graphs.zst -q
refused 1 'cannot write o.graphs.zst: File too large' small loom-preprocess dedupe many.graphs.zst -o o.graphs.zst -q
refused 1 'cannot write o.t.zst: File too large' small loom-preprocess split many.graphs.zst --train o.t.zst --valid o.v.zst -q
refused 1 'cannot write o.txt: File too large' small loom-preprocess encode many.graphs.zst --mode tabular -o o.txt -q
refused 1 'cannot write o.json: File too large' small loom-preprocess tokenizer many.txt -o o.json -q
refused 1 'o.h5: .*File too large' small loom-preprocess tokens many.txt --tokenizer many.json -o o.h5 -q
