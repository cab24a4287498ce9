# Names are data, in every message, page and picture: markup, quotes, commands, formulas, escape sequences and a name of
# 1 KB go through the pipeline, and nothing of them is run, obeyed or taken for structure.
long=$(printf 'n%.0s' $(seq 1000))
esc=$(printf '\033') csi=$(printf '\302\233')
names=('<script>alert(1)</script>' "\"quoted\"" "';touch\${IFS}owned;'" '`touch${IFS}owned`' '$(touch${IFS}owned)' '=1+cmd' '@SUM(A1)' '-x' 'a,b' \
    'back\' "${csi}31mred" '%s%n' '&amp;<b>' '../../etc/passwd' '/abs' '#c' '*d' '!e' '%f' "$long")
obeyed() { grep -q "$esc\|$csi" "$@"; } # a byte that a terminal obeys

# 12 traces of a root and each name, so that every name is among the popular calls
quoted() { printf '"%s"' "${1//\"/\"\"}"; }
{
    echo timestamp,traceid,service,rpc_id,rpctype,um,dm,rt
    for t in $(seq 1 12); do
        echo "1000,T$t,$(quoted "${names[0]}"),0,http,USER,MS_00001,100"
        k=0
        for name in "${names[@]}"; do
            k=$((k + 1))
            echo "$((1000 + k)),T$t,$(quoted "${names[0]}"),0.$k,rpc,MS_00001,$(quoted "$name"),$t"
        done
    done
} >hostile.csv
expect 0 loom-preprocess graphs hostile.csv -o all.graphs.zst
expect 0 loom-infer show all.graphs.zst --limit 1 -w 200 --color never; obeyed out err && fail "show lets escape sequences through"
says out 'u009b31mred'
expect 0 loom-infer convert all.graphs.zst -o all.dot; obeyed all.dot && fail "DOT holds escape sequences"
says all.dot '"\\"quoted\\""'
if command -v dot >/dev/null; then dot -Tsvg all.dot >/dev/null || fail "dot cannot read the names"; fi
expect 0 loom-infer convert all.graphs.zst -o all.json; obeyed all.json && fail "JSON holds escape sequences"
expect 0 loom-infer convert all.json -o back.csv
expect 0 loom-infer convert all.graphs.zst -o again.csv
expect 0 loom-preprocess graphs again.csv -o again.graphs.zst
same <(zstd -dcq again.graphs.zst | cut -d' ' -f2-) <(zstd -dcq all.graphs.zst | cut -d' ' -f2-) || fail "CSV does not bring the names back"
expect 0 loom-infer convert all.graphs.zst -o safe.csv --safe-csv
says safe.csv ",'=1\+cmd,"; says safe.csv ",'@SUM\(A1\),"; says safe.csv ",'-x,"; says again.csv ',=1\+cmd,'

# what other programs read: YAML in quotes, labels of DNS
expect 0 loom-eval topology all.graphs.zst -o t.json
expect 0 loom-eval topology t.json --to lading -o t.yaml; obeyed t.yaml && fail "YAML holds escape sequences"
says t.yaml '^  - name: "\.\./\.\./etc/passwd"$'; says t.yaml '^  - name: "\$\(touch'; says t.yaml '^  - name: "!e"$'
grep 'name:' t.yaml | grep -qvE '^  - name: "([^"\]|\\.)*"$' && fail "a name of the YAML is no quoted one"
expect 0 loom-eval topology t.json --to mubench -o t.mubench.json
grep -E '^  "' t.mubench.json | grep -vE '^  "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?": \{$' && fail "a service of muBench is no label of DNS"

# mapping files, dropped rows
expect 0 loom-preprocess graphs hostile.csv --rename map.tsv -o named.graphs.zst
obeyed map.tsv && fail "the mapping holds escape sequences"
says map.tsv 'back\\\\$'; says map.tsv 'u009b31mred$'
expect 0 loom-preprocess graphs hostile.csv --rename map.tsv -o twice.graphs.zst
cmp -s named.graphs.zst twice.graphs.zst || fail "a mapping that is read back gives other numbers"
printf 'timestamp,traceid,service,rpc_id,rpctype,um,dm,rt\n1,"=T,1",S_1,0,nothing,USER,MS_00001,1\n1,T2,S_1,0,http,USER,MS_00001,1\n' >'=odd,.csv'
expect 0 loom-preprocess graphs ./=odd,.csv --dropped d.csv -o d.graphs.zst
says d.csv '^"./=odd,.csv",2,"=T,1",'
expect 0 loom-preprocess graphs ./=odd,.csv --dropped d.csv -o d.graphs.zst --safe-csv -f
says d.csv ",2,\"'=T,1\","

# messages
expect 1 loom-infer show "no such ${esc}[31m file"; obeyed err && fail "a message lets escape sequences through"
says err 'x1b\[31m'; one_sentence
expect 2 loom-infer "${esc}]0;owned"; obeyed err && fail "a subcommand goes to the terminal as typed"
expect 2 loom-infer show all.graphs.zst "--${esc}[2J"; obeyed err && fail "an option goes to the terminal as typed"

# tables, pictures and the page, methods called by the same names
expect 0 loom-eval prompts all.graphs.zst --per-cell 2 --edges 21:21 --depths 2:2 -o p.prompts.jsonl
expect 0 loom-eval oracle p.prompts.jsonl -o a.answers.jsonl
call=()
for name in '<script>alert(1)</script>' '"quoted"' '`touch owned`' '$(touch owned)' "'; system('touch owned') #" 'back\' '@x' \
    "${csi}31m" '\" . system("touch owned") . "' "${long:0:1000}"; do
    cp a.answers.jsonl "a$((${#call[@]} + 1)).jsonl"
    call+=("${name//\//|}=a$((${#call[@]} + 1)).jsonl")
done
expect 0 loom-eval heatmap "${call[@]}" --prompts p.prompts.jsonl --title "<b>\`touch owned\`\\" -o r
obeyed out err && fail "the summary lets escape sequences through"
expect 0 loom-eval similarity --real all.graphs.zst "<i>\\\`touch owned\`\"=all.graphs.zst" "@x=again.graphs.zst" -o r
expect 0 loom-eval distribution all.graphs.zst again.graphs.zst -o r
if command -v gnuplot >/dev/null; then
    for gp in r/*.gp; do [ -s "${gp%.gp}.svg" ] || fail "no picture of $gp"; done
    expect 0 loom-eval figures r
fi
expect 0 loom-eval report r --title '<script>alert(2)</script>'
grep -qi '<script' r/report.html && fail "a name became markup of the page"
says r/report.html "Content-Security-Policy.*default-src 'none'"
says r/report.html '&lt;script&gt;alert\(2\)'
[ -z "$(find . -name 'owned*')" ] || fail "a name was run"
expect 0 loom-eval heatmap "@x=a1.jsonl" --prompts p.prompts.jsonl --safe-csv -o r2
says r2/fig12.csv "'@x,"
