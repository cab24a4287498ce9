# sample-traces: same bytes for the same seed, the real cleaning leaves exactly what the truth file says, and no output
# is ever half written or silently replaced.
P="$BIN/loom-preprocess"
records_of_truth() { grep -oE '"[0-9]{2}h[0-9]{2}m[0-9]{2}s[0-9]{3}ms S_[^"]*"' "$1" | tr -d '"' | LC_ALL=C sort; }

# 1 and 3 threads, and once more: identical; another seed: different
expect 0 "$P" sample-traces --profile tiny -o a --truth --threads 1 --json
says out '"traces":2000,'
says err 'synthetic sample data, seed 1'
expect 0 "$P" sample-traces --profile tiny -o b --truth --threads 3 --quiet
[ -s err ] && fail "--quiet talks"
for f in CallGraph_0.csv CallGraph_1.csv CallGraph_2.csv CallGraph_3.csv truth.jsonl templates.json; do
    cmp -s a/$f b/$f || fail "$f depends on the number of threads"
done
expect 0 "$P" sample-traces --profile tiny -o c --seed 2 --quiet
cmp -s a/CallGraph_0.csv c/CallGraph_0.csv && fail "seed 2 gives the bytes of seed 1"
[ -e c/truth.jsonl ] && fail "truth.jsonl without --truth"
cat a/CallGraph_?.csv >all
[ "$(sha256sum <all | cut -d' ' -f1)" = 7eb40cf2653bcaf11e9f64883f2a0e6192ee7ef2dcc16aa752c04ea65f6ccd85 ] || fail "the tiny sample of seed 1 has changed"

# base: another world for every seed, not only other traces; its bytes are the same everywhere
for s in 1 2; do expect 0 "$P" sample-traces --profile base --seed $s --traces 500 --files 1 -o base.$s --quiet; done
[ "$(sha256sum <base.1/CallGraph_0.csv | cut -d' ' -f1)" = 6159d93868ad02ee7e8a649a636eb01a2c86e8da2e71b307a8fe9e1468bed1d0 ] || fail "the base's sample of seed 1 has changed"
services() { cut -d, -f3 base.$1/CallGraph_0.csv | sort -u; }
[ "$(comm -12 <(services 1) <(services 2) | grep -c S_)" = 0 ] || fail "two worlds of the base share services"

# provenance and shape of the rows
says a/CallGraph_0.csv.meta.json '"caption": "synthetic sample data, seed 1"'
says a/truth.jsonl.meta.json '"caption": "synthetic sample data, seed 1"'
head -1 a/CallGraph_3.csv | grep -qx 'timestamp,traceid,service,rpc_id,rpctype,um,uminstanceid,interface,dm,dminstanceid,rt' ||
    fail "header line"
grep -vE '^[0-9]+,T_[0-9]{11},S_[0-9]+,0(\.[0-9]+)*,(rpc|http|mc|db|mq|UNKNOWN),(USER,USER|MS_[0-9]+,MS_[0-9]+_POD_[0-9]+|UNKNOWN,UNAVAILABLE|UNAVAILABLE,UNAVAILABLE),[A-Za-z0-9_-]{10},(MS_[0-9]+,MS_[0-9]+_POD_[0-9]+|UNKNOWN,UNKNOWN),[0-9]+\.0$' a/CallGraph_?.csv |
    grep -cv timestamp >odd # malformed lines only
[ "$(cat odd)" -le 30 ] || fail "$(cat odd) lines do not look like rows"

# the cleaning of spec 01 keeps exactly what the truth predicts: default damage, harsh damage, none, other profiles
agree() { # folder
    expect 0 "$P" graphs "$1"/CallGraph_?.csv -o - --quiet
    LC_ALL=C sort out >"$1.got"
    records_of_truth "$1/truth.jsonl" >"$1.want"
    cmp -s "$1.got" "$1.want" || { diff "$1.got" "$1.want" | head -4 >&2; fail "$1: cleaning and truth disagree"; }
    [ -s "$1.want" ] || fail "$1: nothing left"
}
agree a
expect 0 "$P" sample-traces --profile tiny -o harsh --truth --harsh --seed 5 --quiet
agree harsh
[ "$(wc -l <harsh.want)" -lt "$(wc -l <a.want)" ] || fail "--harsh is not harsh"
expect 0 "$P" sample-traces --profile tiny -o faithful --truth --no-quirks --quiet
agree faithful
[ "$(wc -l <faithful.want)" = 2000 ] || fail "--no-quirks loses traces"
grep -q '"clean":false' faithful/truth.jsonl && fail "--no-quirks leaves unclean traces"
expect 0 "$P" sample-traces --profile v2021 --traces 1500 --services 50 --files 9 --hours 30 -o wide --truth --quiet
agree wide
expect 0 "$P" sample-traces --profile base --seed 3 --traces 1500 -o drawn --truth --quiet
agree drawn
expect 0 "$P" sample-traces --profile large --traces 3000 --zipf 0.5 --files 1 -o flat --truth --quiet
agree flat
says a/truth.jsonl '"clean":false,"cleaned":\[\]'

# refusals: one sentence, nothing written
expect 2 "$P" sample-traces
one_sentence; says err '-o DIR'
expect 2 "$P" sample-traces --profile huge -o x
one_sentence
expect 2 "$P" sample-traces --harsh --no-quirks -o x
one_sentence
expect 2 "$P" sample-traces --profile tiny -o a
one_sentence; says err 'force'
expect 1 "$P" sample-traces --profile tiny --files 2 -o a --force
one_sentence; says err 'CallGraph_[23].csv'
expect 0 "$P" sample-traces --profile tiny -o a --truth --force --quiet
cmp -s a/truth.jsonl b/truth.jsonl || fail "--force gave something else"
expect 0 "$P" sample-traces --profile tiny -o dry --dry-run
[ -e dry ] && fail "--dry-run made the folder"
: >file
expect 1 "$P" sample-traces --profile tiny -o file/inside
one_sentence
[ -z "$(find . -name '*.tmp*')" ] || fail "temporary files are left"
exit 0
