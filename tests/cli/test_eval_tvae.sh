# Calls of an autoencoder of table rows: the table, the same bytes again, its place in Fig 4a, bad input.
real=$SRC/tests/golden/spec/dedupe/expected.txt

expect 0 loom-eval tvae "$real" --rows 40 --epochs 3 --width 8 --batch 50 --count 500 -o tvae.calls.zst
says err "500 calls drawn; learned from 40 of [0-9]+ calls in 3 epochs"
[ "$(zstdcat tvae.calls.zst | head -n 1)" = "source|destination|type|start|response_time" ] || fail "no header"
[ "$(zstdcat tvae.calls.zst | wc -l)" = 501 ] || fail "not 500 calls"
zstdcat tvae.calls.zst | tail -n +2 | grep -qvE '^(USER|MS_[0-9]+)\|MS_[0-9]+\|(rpc|http|mc|db|mq)\|[0-9]+\|[0-9]+$' && fail "a line is no call"
expect 0 loom-eval tvae "$real" --rows 40 --epochs 3 --width 8 --batch 50 --count 500 --threads 1 -o again.calls.zst
cmp -s tvae.calls.zst again.calls.zst || fail "not the same bytes again"
expect 0 loom-eval tvae "$real" --rows 40 --epochs 3 --width 8 --batch 50 --count 500 --update -o tvae.calls.zst
says err "up to date"
says tvae.calls.zst.meta.json '"last_loss"'

grep -v 'RT_-' "$real" >whole.txt
real=$PWD/whole.txt
# calls by themselves stand in Fig 4a and nowhere else; a copy of the real calls is as close as real graphs are
grep -o '[^ |]*|\(rpc\|http\|mc\|db\|mq\)|[^|]*|[^|]*|ARRIVED_[0-9]*|RT_[0-9]*' whole.txt |
    sed -E 's/^[^|]*\|([a-z]+)\|([^|]*)\|([^|]*)\|ARRIVED_([0-9]+)\|RT_([0-9]+)$/\2|\3|\1|\4|\5/' >calls
{ echo "source|destination|type|start|response_time"; cat calls; } >copy.calls
expect 0 loom-eval similarity --real "$real" tvae.calls.zst copy=copy.calls real2="$real" --resamples 5 --no-pictures -o res
says res/fig04a_kl.csv '^fig04a,tvae,1,,500,0.5,'
one=$(grep '^fig04a,copy,1,,[0-9]*,0.5,' res/fig04a_kl.csv | cut -d, -f7) two=$(grep '^fig04a,real2,.*,0.5,' res/fig04a_kl.csv | cut -d, -f7 | head -n 1)
[ -n "$one" ] && [ "$one" = "$two" ] || fail "a table of the real calls is at $one, the graphs at $two"
grep -q "tvae\|copy" res/fig04b.csv res/fig16.csv && fail "calls without graphs have heavy hitters or degrees"
expect 0 loom-eval similarity --real "$real" tvae.calls.zst --resamples 0 --no-pictures -o alone
[ ! -e alone/fig16.csv ] || fail "branching without graphs"

printf 'source|destination|type|start|response_time\nMS_1|MS_2|rpc|1\n' >short.calls
expect 1 loom-eval similarity --real "$real" short.calls --no-pictures -o bad
says err 'short.calls:2: not a call'
expect 1 loom-eval similarity --real copy.calls "$real" --no-pictures -o bad
says err 'copy.calls: a table of calls is no set of real graphs'
expect 1 loom-eval tvae /dev/null -o none.calls.zst
[ ! -e none.calls.zst ] && [ ! -e bad ] || fail "left something"
