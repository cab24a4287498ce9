# A system from its traces: the file, its formats, what is drawn from it, and whether it finds what the traces were drawn from.
expect 0 loom-preprocess sample-traces --profile tiny --traces 20000 --no-quirks --files 1 --truth -o traces
expect 0 loom-preprocess graphs traces/CallGraph_0.csv -o all.graphs.zst
expect 0 loom-eval topology all.graphs.zst -o topology.json
says err '20000 graphs of 12 services: [0-9]+ operations, [0-9]+ dependencies, [0-9]+ states'
says topology.json.meta.json '"subcommand": "topology"'

# the same bytes whatever the threads, the order and the pieces of the input
body() { sed 's/"meta":{/\n&/; s/^}$/&/' "$1" | sed '/"meta":{/,/^}$/d'; }
expect 0 loom-eval topology all.graphs.zst --threads 3 -o threads.json
cmp -s topology.json threads.json || fail "the number of threads shows in the file"
zstdcat all.graphs.zst | split -l 7000 - part.
expect 0 loom-eval topology part.ac part.aa part.ab -o parts.json
cmp -s <(body topology.json) <(body parts.json) || fail "the order of the graphs shows in the file"
body topology.json | grep -q '"operations"' || fail "nothing was compared"
zstdcat all.graphs.zst | loom-eval topology - -o stdin.json 2>err || fail "no graphs from stdin: $(cat err)"
cmp -s <(body topology.json) <(body stdin.json) || fail "stdin gives another file"
# other formats of traces give the same system
head -n 300 part.aa >few.graphs
expect 0 loom-infer convert few.graphs -o few.csv
expect 0 loom-infer convert few.graphs -o few.json
for f in few.graphs few.csv few.json; do expect 0 loom-eval topology $f -o $f.topology; done
cmp -s <(body few.graphs.topology) <(body few.csv.topology) || fail "CSV gives another system"
cmp -s <(body few.graphs.topology) <(body few.json.topology) || fail "Jaeger gives another system"

# what the traces were drawn from: at least 90 of 100 probabilities in their 95 % intervals, every rule
expect 0 loom-eval topology all.graphs.zst --per-service -o services.json
"$TOOLS/topology_truth" services.json traces/templates.json >truth || fail "no truth"
read -r _ slots _ inside _ rules _ followed _ groups _ apart <truth
[ "$slots" -ge 10 ] && [ $((inside * 100)) -ge $((slots * 90)) ] || fail "probabilities: $(cat truth)"
[ "$rules" = "$followed" ] && [ "$groups" = "$apart" ] || fail "rules: $(cat truth)"

# drawing: valid, repeatable, and as the graphs are
expect 0 loom-eval baseline --topology topology.json --count 20000 -o drawn.graphs.zst
says err '20000 graphs drawn after 20000 training graphs; 0 not of the wished size, 0 not valid'
expect 0 loom-eval baseline --topology topology.json --count 100 -o fewer.graphs.zst
cmp -s <(zstdcat drawn.graphs.zst | head -n 100) <(zstdcat fewer.graphs.zst) || fail "the first graphs depend on how many are drawn"
expect 0 loom-eval similarity --real all.graphs.zst topology=drawn.graphs.zst --resamples 0 --no-pictures -o res
awk -F, '$2 == "topology" && $6 == "0.5" {n++; if (!($7 <= 2 * $NF)) exit 1} END {exit !n}' res/fig04a_kl.csv || fail "calls: $(cat res/fig04a_kl.csv)"
awk -F, '$2 == "topology" && $5 == "graph" {n++; if (!($10 <= 2 * $NF)) exit 1} END {exit !(n == 3)}' res/fig16.csv || fail "graphs: $(cat res/fig16.csv)"
expect 0 loom-eval prompts all.graphs.zst --mode tabular --per-cell 2 -o p.jsonl
expect 0 loom-eval baseline --topology topology.json -p p.jsonl -o wished.graphs.zst
[ "$(zstdcat wished.graphs.zst | wc -l)" = "$(wc -l <p.jsonl)" ] || fail "not one graph for each prompt"

# other programs
for to in dot mubench hydragen lading; do
    expect 0 loom-eval topology topology.json --to $to -o system.$to
    expect 0 loom-eval topology all.graphs.zst --to $to -o again.$to
    cmp -s system.$to again.$to || fail "$to from the file is not $to from the graphs"
done
says err 'which the format cannot say'
says system.mubench.names.csv '^ms-[0-9]+,MS_[0-9]+$'
[ ! -e system.dot.names.csv ] || fail "a picture has no labels"
for key in '"external_services": \[' '"seq_len": [0-9]+' '"probabilities": \{' '"internal_service": \{' '"sleep_stress": \{' '"run": true' \
    '"sleep_time": [0-9.]+' '"mean_bandwidth": ' '"function_id": "' '"request_method": "rest"' '"workers": ' '"threads": '; do says system.mubench "$key"; done
for key in '"services": \[' '"clusters": \[' '"resources": \{' '"endpoints": \[' '"protocol": "http"' '"execution_mode": "(sequential|parallel)"' \
    '"execution_time": [0-9.]+' '"forward_requests": "synchronous"' '"called_services": \[' '"traffic_forward_ratio": [0-9]+' \
    '"request_payload_size": '; do says system.hydragen "$key"; done
# every service that is called is there, and every label is a DNS label
grep -oE '"service": "[^"]+"' system.hydragen | sort -u | sed 's/"service"/"name"/' | while read -r line; do says system.hydragen "$line"; done
grep -vE '^[a-z]([a-z0-9-]{0,61}[a-z0-9])?,' system.hydragen.names.csv | grep -v '^label,' && fail "no DNS label"
says system.lading '^edges:$'
[ "$(grep -c '^  - caller: ' system.lading)" = "$(grep -c ' -> o' system.dot)" ] || fail "lading and DOT have different dependencies"
if command -v dot >/dev/null; then dot -Tsvg system.dot >picture.svg || fail "Graphviz does not take the picture"; fi

# wrong use
expect 2 loom-eval topology topology.json -o t2.json; one_sentence; says err 'is a topology already'
expect 2 loom-eval baseline -o x.graphs; one_sentence; says err 'give the graphs to draw after'
expect 2 loom-eval baseline all.graphs.zst --topology topology.json -o x.graphs; one_sentence
expect 2 loom-eval baseline --topology topology.json --names uniform -o x.graphs; one_sentence
expect 1 loom-eval baseline --topology all.graphs.zst -o x.graphs; one_sentence; says err 'all.graphs.zst'
: >empty; expect 1 loom-eval topology empty -o x.json; one_sentence; says err 'empty: no valid call graph'
sed 's/RT_/RT_x/' few.graphs >bad; expect 1 loom-eval topology bad -o x.json; one_sentence; says err '300 BAD_EDGE|BAD_EDGE'
expect 2 loom-eval topology all.graphs.zst -o topology.json; says err 'exists already'
[ ! -e x.json ] && [ ! -e x.graphs ] || fail "a failed command left a file"
