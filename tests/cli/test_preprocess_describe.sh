# Descriptions of graph stores: numbers known by hand, side by side, the same with any number of threads.
G=$SRC/tests/golden/spec
cat >two.graphs.zst <<'R'
00h00m00s000ms S_000000001 0|http|USER|MS_00001|ARRIVED_0|RT_20||0.1|rpc|MS_00001|MS_00002|ARRIVED_1|RT_5||0.1.1|mc|MS_00002|MS_00003|ARRIVED_2|RT_0||0.2|rpc|MS_00001|MS_00002|ARRIVED_5|RT_15
00h00m00s000ms S_000000002 0|rpc|USER|MS_00002|ARRIVED_0|RT_0
R
expect 0 loom-preprocess describe two.graphs.zst
for line in 'count +graphs +2' 'microservices +4' 'calls +5' 'distinct calls +4' 'depth share +1 +0.5000' ' 3 +0.5000' 'mean +2.50' \
            'type share +rpc +0.600' 'root +http +0.500' 'overlapping neighbours +1.000' 'gap p50, ms +-1' 'groups with a repeated call +0.500' \
            'source = destination +0.000' 'top service +0.500' 'graphs with a rare call +-$' 'root finish, ms +p10 +0'; do
    says out "$line"
done

expect 0 loom-preprocess describe two.graphs.zst "$G/stats/part_1.txt" --csv fig08.csv
says err '1 invalid graphs'
says out '^ +two +part_1.txt$'
says fig08.csv '^split,axis,x,count,share$'
says fig08.csv '^two,depth,3,1,0.5$'
says fig08.csv '^two,edges,4,1,0.5$'
says fig08.csv.meta.json '"subcommand": "describe"'
expect 2 loom-preprocess describe two.graphs.zst --csv fig08.csv; one_sentence

# many blocks: the same numbers with 1 and 3 threads, rare calls as in the statistics
awk '!/999/ { all = all $0 "\n" } END { for (i = 0; i < 400; i++) printf "%s", all }' "$G/stats/part_1.txt" >many.txt
expect 0 loom-preprocess describe many.txt --json --threads 1; mv out one
expect 0 loom-preprocess describe many.txt --json --threads 3
cmp out one || fail "threads change the description"
says out '"graphs judged": [0-9]+'
expect 0 loom-preprocess describe - <many.txt
says out 'graphs with a rare call +-$'

expect 1 loom-preprocess describe "$G/raw/callgraph_small.csv"; one_sentence; says err 'no valid graph'
mkdir none; expect 1 loom-preprocess describe none; one_sentence
