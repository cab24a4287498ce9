# --update: an output is made again exactly when something that shapes its bytes has changed.
set -u

# fresh FILE command...: the command says that FILE is up to date and leaves it alone.
fresh() {
    local file=$1 before
    shift
    before=$(stat -c '%i %y' "$file" "$file.meta.json")
    expect 0 "$@" --update
    says err "$file is up to date"
    [ "$(stat -c '%i %y' "$file" "$file.meta.json")" = "$before" ] || fail "$file was touched: $*"
}
# stale FILE command...: the command makes FILE anew, and then it is up to date.
stale() {
    local file=$1 before
    shift
    before=$(stat -c %i "$file" 2>/dev/null)
    expect 0 "$@" --update
    grep -q "up to date" err && fail "$file was not made again: $*"
    [ "$(stat -c %i "$file")" != "$before" ] || fail "$file is still the old one: $*"
    fresh "$file" "$@"
}

P=loom-preprocess
sample() { $P sample-traces --profile tiny --files 2 --truth -o in "$@"; }
graphs() { $P graphs in -o raw.graphs.zst "$@"; }
dedupe() { $P dedupe raw.graphs.zst -o all.graphs.zst --report dedupe.json "$@"; }
split() { $P split all.graphs.zst --train t.graphs.zst --valid v.graphs.zst "$@"; }
stats() { $P stats t.graphs.zst -o stats.json "$@"; }
encode() { $P encode t.graphs.zst --stats stats.json -o t.txt.zst "$@"; }
tokenizer() { $P tokenizer t.txt.zst -o tokenizer.json "$@"; }
tokens() { $P tokens t.txt.zst --tokenizer tokenizer.json -o t.tokens.h5 "$@"; }

# ---- every command: made, then left alone, whatever the threads; another folder's name does not count ----
stale in/CallGraph_1.csv sample
fresh in/templates.json sample --threads 1
stale raw.graphs.zst graphs
fresh raw.graphs.zst graphs --threads 1 --verbose --progress never
stale all.graphs.zst dedupe
fresh all.graphs.zst dedupe --threads 1
stale t.graphs.zst split
fresh v.graphs.zst split --threads 1
stale stats.json stats
stale t.txt.zst encode
stale tokenizer.json tokenizer
stale t.tokens.h5 tokens
fresh t.txt.zst encode --threads 1
fresh tokenizer.json tokenizer --threads 1
fresh t.tokens.h5 tokens --threads 1
cp -r in moved
fresh raw.graphs.zst $P graphs moved -o raw.graphs.zst

# ---- without --update an existing output is refused as before, and --force replaces it ----
expect 2 stats
says err "exists already; give --force"
before=$(stat -c %i stats.json)
expect 0 stats --force
[ "$(stat -c %i stats.json)" != "$before" ] || fail "--force left the old file"

# ---- what shapes bytes counts: options, seed, inputs ----
stale t.graphs.zst split --seed 2
stale t.graphs.zst split --modulo 5
stale t.graphs.zst split
stale t.txt.zst encode --mode tabular
stale t.txt.zst encode --seed 7
stale t.txt.zst encode
stale tokenizer.json tokenizer --min-count 9
stale t.tokens.h5 tokens
sed -i '$d' in/CallGraph_1.csv
stale raw.graphs.zst graphs
fresh raw.graphs.zst graphs
cp t.graphs.zst other.graphs.zst
expect 0 $P encode other.graphs.zst --stats stats.json -o t.txt.zst --update
says err "t.txt.zst is up to date" # the same content under another name
expect 0 $P encode v.graphs.zst --stats stats.json -o t.txt.zst --update
grep -q "up to date" err && fail "another store, the same text"
expect 0 $P encode t.graphs.zst -o t.txt.zst --update
grep -q "up to date" err && fail "no statistics, the same text"

# ---- an output that is gone, cut or without provenance is made again ----
rm dedupe.json
stale all.graphs.zst dedupe
rm v.graphs.zst
stale v.graphs.zst split
truncate -s -1 stats.json
stale stats.json stats
rm stats.json.meta.json
stale stats.json stats
echo "{" >stats.json.meta.json
stale stats.json stats

# ---- standard input has no digest ----
expect 0 $P dedupe - -o piped.graphs.zst --update <raw.graphs.zst
expect 0 $P dedupe - -o piped.graphs.zst --update <raw.graphs.zst
grep -q "up to date" err && fail "standard input taken for known"

# ---- commands that cannot tell refuse ----
expect 2 $P describe t.graphs.zst --update
says err "cannot tell whether its outputs are up to date"

# ---- a killed run leaves the old output or none; the next one cleans up and succeeds ----
mkfifo pipe
for there in no yes; do
    sum=$(cat killed.graphs.zst 2>/dev/null | cksum)
    $P graphs - -o killed.graphs.zst --force <pipe 2>/dev/null &
    pid=$!
    exec 9>pipe
    cat in/CallGraph_0.csv >&9
    for _ in $(seq 200); do left=$(ls killed.graphs.zst.tmp.$pid-* 2>/dev/null) && break; sleep 0.05; done
    [ -n "$left" ] || fail "no temporary file"
    kill -9 $pid
    wait $pid 2>/dev/null
    exec 9>&-
    [ "$(cat killed.graphs.zst 2>/dev/null | cksum)" = "$sum" ] || fail "a killed run changed the output"
    [ $there = no ] && [ -e killed.graphs.zst ] && fail "a killed run left an output"
    [ -e "$left" ] || fail "the killed run removed its temporary file"
    lives=killed.graphs.zst.tmp.$$-0123456789abcdef # of a process that lives
    : >"$lives"
    : >killed.graphs.zst.tmp.x
    : >"killed.graphs.zst.tmp.$pid" # somebody's own numbering
    expect 0 $P graphs in -o killed.graphs.zst --seed $pid --update
    grep -q "up to date" err && fail "nothing was done after a kill"
    [ ! -e "$left" ] || fail "a stale temporary file was left"
    [ -e "$lives" ] && [ -e killed.graphs.zst.tmp.x ] && [ -e "killed.graphs.zst.tmp.$pid" ] ||
        fail "another's file was removed"
    rm killed.graphs.zst.tmp.*
done
loom-preprocess dedupe killed.graphs.zst -o twice.graphs.zst 2>/dev/null || fail "the output after a kill is damaged"
exit 0
