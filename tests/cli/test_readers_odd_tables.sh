# One set of odd CallGraph tables, every program that reads such tables: all find the same graphs in them. Each table is the
# plain one written otherwise, or with rows that are dropped; a table that cannot be read fails everywhere.
cat >plain.csv <<'END'
timestamp,traceid,service,rpc_id,rpctype,um,dm,rt
1000,t1,S_1,0,http,USER,MS_1,90
1010,t1,S_1,0.1,rpc,MS_1,MS_2,20
1040,t1,S_1,0.2,rpc,MS_1,MS_3,30
2000,t2,S_2,0,http,USER,MS_1,7
END
expect 0 loom-preprocess graphs plain.csv -o - -q
cp out want.graphs
[ "$(wc -l <want.graphs)" = 2 ] || fail "the plain table has other graphs"

graph_share() { loom-eval distribution "one=$1" -o shares --no-pictures --force -q && mv shares/fig08.csv "$2" && rm -r shares; }
graph_share want.graphs want.csv || fail "distribution does not read a graph store"
same() { # TABLE [DROPPED]: the plain table's graphs; the programs that count rows left out count DROPPED
    expect 0 loom-preprocess graphs "$1" -o - --report rows.json --force -q
    cmp -s out want.graphs || { cat out >&2; fail "graphs $1: other graphs"; }
    says rows.json "\"rows_dropped\":${2:-0}[,}]"
    expect 0 loom-infer convert "$1" --to records -o -
    cmp -s out want.graphs || { cat out >&2; fail "convert $1: other graphs"; }
    expect 0 loom-infer convert "$1" -o shown.graphs --json --force
    says out "\"dropped_rows\":${2:-0}[,}]"
    graph_share "$1" got.csv || fail "distribution does not read $1"
    cmp -s got.csv want.csv || { cat got.csv >&2; fail "distribution $1: other graphs"; }
}
same plain.csv
(printf '\xef\xbb\xbf'; cat plain.csv) >bom.csv; same bom.csv
sed '1s/rpc_id/rpcid/' plain.csv >rpcid.csv; same rpcid.csv
sed '1s/^/  /; 1s/,/ , /g' plain.csv >blanks_in_header.csv; same blanks_in_header.csv
sed '2,$s/,/ ,\t/g; 2,$s/^/ /' plain.csv >blanks.csv; same blanks.csv
sed 's/$/\r/' plain.csv >crlf.csv; same crlf.csv
head -c -1 plain.csv >no_end.csv; same no_end.csv
awk '{print; print ""}' plain.csv >empty_lines.csv; same empty_lines.csv
(echo; cat plain.csv) >empty_first.csv; same empty_first.csv
sed 's/[^,]*/"&"/g' plain.csv >quoted.csv; same quoted.csv
awk -F, -v OFS=, '{print $8, $7, $6, "x", $5, $4, $3, $2, $1}' plain.csv | sed '1s/,x,/,interface,/' >order.csv; same order.csv
# a quoted field may hold line ends, commas and quotes, in columns that are not used too
awk -v q='"' 'NR == 1 {print $0 ",interface"} NR > 1 {print $0 "," q "a, " q q "b" q q "\nof two lines" q}' plain.csv >two_lines.csv
same two_lines.csv
(printf '\xef\xbb\xbf'; sed 's/[^,]*/"&"/g; s/$/\r/' plain.csv | sed '1s/rpc_id/rpcid/') >all.csv; same all.csv
sed '2,$s/,\([0-9]*\)$/,\1.75/' plain.csv >fractions.csv; same fractions.csv
gzip -k plain.csv && same plain.csv.gz
# rows that are dropped, the same ones everywhere
(cat plain.csv; echo '2001,t2,S_2,0.1,userDefined,MS_1,MS_2,1') >type.csv; same type.csv 1
(cat plain.csv; echo '2001,t2,S_2,0.1,rpc,MS_1,UNKNOWN,1'; echo '2001,t3,S_2,0,rpc,UNAVAILABLE,MS_2,1') >unknown.csv; same unknown.csv 2
(cat plain.csv; echo '2001,t2,S_2,0.1,rpc,MS_1,MS_2,NaN'; echo '2001,t2,S_2,0.1,rpc,MS_1,MS_2') >no_rt.csv; same no_rt.csv 2
(cat plain.csv; echo 'soon,t2,S_2,0.1,rpc,MS_1,MS_2,1'; echo '1e300,t2,S_2,0.1,rpc,MS_1,MS_2,1') >time.csv; same time.csv 2
(cat plain.csv; echo '2001,t2,S_2,0..1,rpc,MS_1,MS_2,1'; echo '2001,,S_2,0.1,rpc,MS_1,MS_2,1') >ids.csv; same ids.csv 2
(cat plain.csv; echo '2001,t2,S_2,0.1,rpc,MS_1,a b,1'; printf '2001,t2,S_2,0.1,rpc,MS_1,\xff,1\n') >names.csv; same names.csv 2
(cat plain.csv; echo '2001,t2,S_2,0.1,rpc,MS_1,MS_2,1,more') >more_fields.csv; same more_fields.csv 1
# an open quote loses its own line only
sed '3i 1005,t1,"S_1,0.9,rpc,MS_1,MS_2,1' plain.csv >open_quote.csv; same open_quote.csv 1
(cat plain.csv; printf '2001,t2,S_2,0.1,rpc,MS_1,MS\0_2,1\n') >nul.csv; same nul.csv 1
# more rows than the reader's buffer holds, and traces that lie apart
awk -F, -v OFS=, 'NR == 1 {print} NR > 1 {row[NR] = $0} END {print row[2]; for (i = 0; i < 70000; i++) print "5", "t9", "S_9", "0", "userDefined", "USER", "MS_9", "1";
    print row[3]; print row[4]; print row[5]}' plain.csv >long.csv; same long.csv 70000
(head -2 plain.csv; sed -n 5p plain.csv; sed -n 3,4p plain.csv) >apart.csv; same apart.csv
# where a row was dropped is told by its line
expect 0 loom-infer convert open_quote.csv --to records -o -; says err 'BAD_ROW, first: open_quote.csv:3\)'
(printf '\n'; sed -n 1p two_lines.csv; sed -n '2,$p' two_lines.csv; echo '1,t1,S_1,0.7,no,MS_1,MS_2,1,x') >line.csv
expect 0 loom-infer convert line.csv --to records -o -; says err 'BAD_ROW, first: line.csv:11\)'

# ---- no CallGraph table: nobody takes it for one, and a column that is missing is named ----
refused() { # TABLE SAYS
    expect 1 loom-preprocess graphs "$1" -o bad.graphs -q; one_sentence; says err "$2"
    expect 1 loom-infer convert "$1" -o bad.graphs -q; one_sentence
    expect 1 loom-eval distribution "$1" -o bad --no-pictures -q; one_sentence; says err "$2"
    [ ! -e bad.graphs ] && [ ! -e bad ] || fail "$1 left something behind"
}
cut -d, -f1-7 plain.csv >no_column.csv; refused no_column.csv 'no column "rt"'
sed 's/,rt/,dm/' plain.csv >twice.csv; refused twice.csv '"dm" stands twice|no column "rt"'
cut -d, -f1-2,4-8 plain.csv >no_service.csv; refused no_service.csv 'no column "service"'
