# Graphs for others: no name, nothing rare, no time of day; valid graphs all the same, and the mapping undoes the names.
expect 0 loom-preprocess sample-traces --profile tiny --traces 600 -q -o traces
sed -i 's/MS_/shop-/g; s/,S_/,front-/g' traces/*.csv; rm -f traces/*.meta.json
expect 0 loom-preprocess graphs traces -o raw.graphs
expect 2 loom-preprocess anonymise raw.graphs -o a.graphs; one_sentence; says err 'mapping'
expect 2 loom-preprocess anonymise - --mapping m.tsv -o a.graphs; one_sentence
expect 0 loom-preprocess anonymise traces -o a.graphs --mapping m.tsv --report r.json
[ "$(stat -c %a m.tsv)" = 600 ] || fail "the mapping may be read by others"
says m.tsv '^# key [0-9a-f]{32}$'; says m.tsv '^MS_[1-9][0-9]{11}	shop-'
grep -qE 'shop-|front-' a.graphs a.graphs.meta.json r.json && fail "a real name is left"
grep -qv '^00h00m00s000ms ' a.graphs && fail "a time of day is left"
expect 0 loom-infer convert a.graphs --names-from m.tsv -o back.graphs
same <(cut -d' ' -f2- back.graphs | sort) <(cut -d' ' -f2- raw.graphs | sort) || fail "the mapping does not undo it"

# the same key, the same names, whatever else is there; another draw, others
sed -n 's/^# key //p' m.tsv >key; head -100 raw.graphs >some.graphs
expect 0 loom-preprocess anonymise some.graphs -o b.graphs --mapping mb.tsv --key key
expect 0 loom-preprocess anonymise raw.graphs -o all.graphs --mapping ma.tsv --key key
cmp b.graphs <(head -100 all.graphs) || fail "the same key gave other names"
expect 0 loom-preprocess anonymise some.graphs -o c.graphs --mapping mc.tsv; cmp -s b.graphs c.graphs && fail "a key that anybody could have"
for bad in 12 zz; do echo $bad >badkey; expect 1 loom-preprocess anonymise some.graphs -o x.graphs --mapping mx.tsv --key badkey; one_sentence; [ ! -e mx.tsv ] || fail "a mapping of nothing"; done
expect 0 loom-preprocess anonymise some.graphs -o n.graphs --mapping mn.tsv --names numbers
expect 0 loom-preprocess anonymise some.graphs -o n2.graphs --mapping mn2.tsv --names numbers; cmp n.graphs n2.graphs || fail "the same seed gave other numbers"
expect 0 loom-preprocess anonymise some.graphs -o n3.graphs --mapping mn3.tsv --names numbers --seed 2; cmp -s n.graphs n3.graphs && fail "another seed gave the same numbers"

# everything that is left occurs in K graphs of the output, also when leaving out makes others rare
for rare in drop pool; do
    for k in 5 40; do
        expect 0 loom-preprocess anonymise raw.graphs -o k.graphs --mapping k.tsv --min-graphs $k --rare $rare --report k.json --force
        awk -v k=$k '{
            split("", here); here["s" $2]
            n = split($3, calls, /\|\|/)
            for (i = 1; i <= n; i++) { split(calls[i], f, "|"); here["o" f[4] "|" f[2]]; here["d" f[3] "|" f[4] "|" f[2]] }
            for (key in here) count[key]++
        } END { for (key in count) if (count[key] < k) { print key, count[key]; exit 1 } }' k.graphs || fail "-k $k --rare $rare leaves something rare"
        [ "$(wc -l <k.graphs)" = "$(sed -nE 's/.*"written":([0-9]+).*/\1/p' k.json)" ] || fail "the report counts other graphs"
        [ "$(sed -nE 's/.*"graphs":([0-9]+),"written":([0-9]+),"left_out_for_rare":\{"service":([0-9]+),"operation":([0-9]+),"dependency":([0-9]+).*/\1 - \2 - \3 - \4 - \5/p' k.json | sed 's/^/0 + /' | xargs expr)" = 0 ] || fail "graphs are not accounted for: $(cat k.json)"
        wc -l <k.graphs >$rare.$k
    done
done
[ "$(cat drop.40)" -lt "$(cat drop.5)" ] || fail "a larger K leaves as many graphs"
[ "$(cat pool.40)" -gt "$(cat drop.40)" ] || fail "pooling keeps no more graphs"
says k.tsv '^MS_00000	\(rare\)$'
expect 1 loom-preprocess anonymise raw.graphs -o x.graphs --mapping x.tsv --min-graphs 100000; one_sentence; says err '--min-graphs'; [ ! -e x.tsv ] || fail "a mapping of nothing"

# coarse times, valid graphs
expect 0 loom-preprocess anonymise raw.graphs -o t.graphs --mapping t.tsv --round 5
grep -oE '(ARRIVED|RT)_-?[0-9]+' t.graphs | grep -vqE '[05]$' && fail "a time is not rounded"
expect 0 loom-preprocess graphs t.graphs -o u.graphs; [ "$(wc -l <u.graphs)" = "$(wc -l <raw.graphs)" ] || fail "rounding makes graphs that are not valid"
expect 0 loom-preprocess anonymise raw.graphs -o l.graphs --mapping l.tsv --log-grid 0.2
expect 0 loom-preprocess graphs l.graphs -o u.graphs --force; [ "$(wc -l <u.graphs)" = "$(wc -l <raw.graphs)" ] || fail "a grid makes graphs that are not valid"
[ "$(grep -oE 'RT_[0-9]+' l.graphs | sort -u | wc -l)" -lt "$(grep -oE 'RT_[0-9]+' raw.graphs | sort -u | wc -l)" ] || fail "no time became coarse"
