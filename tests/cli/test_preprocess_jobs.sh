# Batch jobs as call graphs: the tree of a job by hand, what is left out and why, made-up jobs all the way to text.
cat >t.csv <<'X'
M1,1,j_1,1,Terminated,100,110,100,0.5
R2_1,1,j_1,2,Terminated,111,130,100,0.5
M3,1,j_1,1,Terminated,105,120,100,0.5
J4_2_3,1,j_1,3,Terminated,131,140,50,0.1
task_abc,1,j_2,7,Terminated,200,205,50,0.2
M1,1,j_3,1,Failed,100,110,100,0.5
R2_1,1,j_3,2,Terminated,111,130,100,0.5
R2_9,1,j_4,2,Terminated,111,130,100,0.5
R1_2,1,j_5,2,Terminated,111,130,100,0.5
R2_1,1,j_5,2,Terminated,131,140,100,0.5
M1,1,j_6,2,Terminated,111,130,100,0.5
M1,1,j_6,2,Terminated,131,140,100,0.5
M1,1,j_7,2,Terminated,130,111,100,0.5
M1,1
M1,1,j_8,1,Terminated,100,110,100,0.5
R2_1,1,j_8,2,Terminated,111,130,100,0.5
R3_1,1,j_8,2,Terminated,112,131,100,0.5
X
expect 0 loom-preprocess jobs t.csv -o t.graphs --names names.tsv
[ "$(wc -l <t.graphs)" = 3 ] || fail "not three graphs: $(cat t.graphs)"
# 4 waits for 2 and 3, 2 for 1: it lasts from the first start below it to its own end
root=$(sed -nE 's/^MS_0*([0-9]+)\tjob$/\1/p' names.tsv) || fail "no name of the job itself"
[ -n "$root" ] || fail "no name of the job itself: $(cat names.tsv)"
says t.graphs '^00h01m40s000ms S_[0-9]+ 0\|http\|USER\|MS_[0-9]+\|ARRIVED_0\|RT_40\|\|0.1\|rpc\|MS_[0-9]+\|MS_[0-9]+\|ARRIVED_0\|RT_40\|\|0.1.1\|rpc\|MS_[0-9]+\|MS_[0-9]+\|ARRIVED_0\|RT_30\|\|0.1.1.1\|rpc\|MS_[0-9]+\|MS_[0-9]+\|ARRIVED_0\|RT_10\|\|0.1.2\|rpc\|MS_[0-9]+\|MS_[0-9]+\|ARRIVED_5\|RT_15$'
says t.graphs '^00h03m20s000ms S_[0-9]+ 0\|http\|USER\|MS_[0-9]+\|ARRIVED_0\|RT_5\|\|0.1\|rpc\|[^|]*\|[^|]*\|ARRIVED_0\|RT_5$'
# of two that wait for 1 the first calls it
says t.graphs '\|ARRIVED_0\|RT_31\|\|0.1\|[^|]*\|[^|]*\|[^|]*\|ARRIVED_0\|RT_30\|\|0.1.1\|[^|]*\|[^|]*\|[^|]*\|ARRIVED_0\|RT_10\|\|0.2\|[^|]*\|[^|]*\|[^|]*\|ARRIVED_12\|RT_19$'
for n in '"rows": ?17' '"bad_columns": ?1' '"not_terminated": ?1' '"bad_times": ?1' '"jobs": ?8' '"graphs": ?3' '"row_left_out": ?2' '"absent_task": ?1' \
    '"tasks_wait_for_each_other": ?1' '"repeated_task": ?1' '"edges_left_out": ?1'; do says t.graphs.meta.json "$n"; done
expect 0 loom-preprocess jobs t.csv -o t.graphs --names names.tsv --update
says err 'up to date'
expect 0 loom-infer convert t.graphs --names-from names.tsv -o named.csv
says named.csv 'type_3_cpu_50_mem_0.1'

expect 0 loom-preprocess sample-jobs --jobs 3000 --programs 20 -o jobs.csv
expect 0 loom-preprocess sample-jobs --jobs 3000 --programs 20 -o again.csv
cmp -s jobs.csv again.csv || fail "not the same bytes again"
expect 0 loom-preprocess jobs jobs.csv -o raw.graphs.zst
says err '3000 graphs of 3000 jobs'
expect 0 loom-preprocess dedupe raw.graphs.zst -o all.graphs.zst
says all.graphs.zst.meta.json '"invalid": ?0'
expect 0 loom-preprocess describe all.graphs.zst
for mode in recursive tabular; do expect 0 loom-preprocess encode all.graphs.zst --mode $mode -o $mode.txt -q; done
says recursive.txt 'remaining_depth:5'

bad() { expect 1 loom-preprocess jobs "$1" -o x.graphs; says err "$2"; one_sentence; }
head -n 1 named.csv >other.csv
bad other.csv 'other.csv: no row of a finished task; give batch_task'
grep j_4 t.csv >absent.csv
bad absent.csv 'absent.csv: none of 1 jobs is whole'
[ ! -e x.graphs ] || fail "left something"
