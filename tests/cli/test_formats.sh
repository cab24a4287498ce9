# FORMATS.md names every field of every file: one of each is made here, and each field that it has is looked for in the section
# about it; then the fields that the tables of a section name are looked for in the files.

# ---- fields of a file, one a line ----
# Keys of JSON text, by their path ("layers.prefix"); lists add nothing to it.
json_fields() {
    grep -ahoE '"([^"\\]|\\.)*"|[][{}:]' "$@" | awk '
        /^[[{]$/ { at[++deep] = key; key = "" } /^[]}]$/ { key = at[deep--] } /^"/ { text = substr($0, 2, length($0) - 2) }
        /^:$/ { key = text; path = ""; for (i = 1; i <= deep; i++) if (at[i] != "") path = path at[i] "."; print path key }' | sort -u
}
csv_fields() { head -qn 1 "$@" | tr ',' '\n' | sed 's/:.*//' | sort -u; }
# Facts and tensors of a GGUF file, without what stands once at the head of a row of the table.
gguf_fields() {
    grep -aoE '(general|spanloom|llama|tokenizer\.ggml)\.[a-z_]+(\.[a-z_]+)*|(blk\.[0-9]+\.)?[a-z_]+\.weight' "$1" |
        sed -E 's/^(general|llama|tokenizer\.ggml)\.//; s/^blk\.[0-9]+\.([a-z_]+)\.weight$/\1/' | sort -u
}
# Datasets by their path, of tensors NAME alone; attributes.
h5_fields() {
    "$TOOLS/h5_names" "$1" | sed -E 's,^((tensors|adapter|adam_m|adam_v|muon_m|ema)/)[^@]*,\1NAME,; s/^.*@//' |
        grep -vxE 'tensors|adapter|adam_m|adam_v|muon_m|ema|state|text' | sort -u
}

# ---- what the document says ----
section() { # HEADING: its lines, to the next heading
    awk -v want="$1" '/^```/ { code = !code } /^#+ / && !code { s = $0; sub(/^#+ /, "", s); gsub(/`/, "", s); on = s == want; next } on' "$SRC/docs/FORMATS.md"
}
words() { # those in backquotes and in blocks of code
    awk '/^```/ { code = !code; next } code { print; next } { n = split($0, part, "`"); for (i = 2; i <= n; i += 2) print part[i] }' |
        tr -c 'A-Za-z0-9_.*/-' '\n' | sed 's,^/,,' | grep . | sort -u
}

bad=0
told() { [ ! -s told ] || { cat told >&2; bad=1; }; }
# named FILE SECTION...: each field of FILE (standard input), or the last part of its path, is a word of these sections.
named() {
    local file=$1 s; shift
    cat >fields; [ -s fields ] || fail "$file has no fields"
    for s in "$@"; do section "$s"; sed "s|^|$s\t|" fields >>seen; done >text
    [ -s text ] || fail "FORMATS.md has no section $*"
    words <text >known
    awk -v file="$file" -v where="$*" 'NR == FNR { known[$0]; next }
        { last = $0; sub(/.*[.\/]/, "", last) }
        !($0 in known) && !(last in known) { print file " has " $0 ", which FORMATS.md does not name under " where }' known fields >told
    told
}
# complete SECTION [WORD...]: the first cells of its tables name fields that a file had, but for the WORDs.
complete() {
    local s=$1; shift
    section "$s" | awk -F'|' '/^\| *(… )?`/ { print $2 }' | words >first
    [ -s first ] || fail "there is no table under $s"
    awk -F'\t' -v where="$s" -v not=" $* " 'NR == FNR { if ($1 == where) { x = $2; seen[x]; sub(/.*[.\/]/, "", x); seen[x] } next }
        !($0 in seen) && !index(not, " " $0 " ") { print "FORMATS.md names " $0 " under " where ", and no file has it" }' seen first >told
    told
}

# ---- one of each ----
P=loom-preprocess
make_data() {
    $P sample-traces --profile tiny --traces 1200 --files 1 --truth -o traces &&
        $P graphs traces -o raw.graphs.zst --report graphs.json --verdicts verdicts.jsonl --dropped dropped.csv &&
        $P dedupe raw.graphs.zst -o all.graphs.zst --report dedupe.json --decisions decisions.jsonl &&
        $P split all.graphs.zst --train t.graphs.zst --valid v.graphs.zst --modulo 3 &&
        $P stats t.graphs.zst -o stats.json && $P describe t.graphs.zst --csv describe.csv >/dev/null &&
        $P anonymise t.graphs.zst -o open.graphs.zst --mapping map.tsv --min-graphs 2 --report anonymise.json &&
        $P canaries t.graphs.zst -o marked.graphs.zst --planted planted.graphs.zst --twins twins.graphs.zst --twin-count 100 &&
        $P sample-jobs --jobs 100 -o batch_task.csv && $P jobs batch_task.csv -o jobs.graphs.zst || return
    for m in tabular instruction; do $P encode t.graphs.zst --stats stats.json --mode $m -o $m.txt.zst || return; done
    for s in v planted twins; do $P encode $s.graphs.zst --mode tabular -o $s.txt.zst || return; done
    for k in high-latency uncommon attribute; do
        for s in t v; do $P encode $s.graphs.zst --task $k --questions 40 --stats stats.json -o $k.$s.txt.zst || return; done
    done
    $P tokenizer instruction.txt.zst tabular.txt.zst -o tokenizer.json &&
        $P balance instruction.txt.zst --renamed 1 --names 50:10 --retimed 0.5 --swapped 0.5 -o balanced.txt.zst || return
    for s in instruction tabular v planted twins; do $P tokens $s.txt.zst --tokenizer tokenizer.json -o $s.tokens.h5 || return; done
}
make_models() {
    local tiny="--context 1024 --batch-tokens 1024 --no-plot --threads 1"
    loom-train pretrain tabular.tokens.h5 instruction.tokens.h5 --valid v.tokens.h5 --valid-every 1 --hidden 16 --layers 1 --heads 2 \
        --optimizer muon --ema 0.9 --steps 2 $tiny -o run &&
        loom-train sft instruction.tokens.h5 --base run --steps 1 --dp noise=1,graphs=2 $tiny -o hidden &&
        loom-train classify --model run --test high-latency.v.txt.zst real=high-latency.t.txt.zst --seeds 1 -o lbfgs.classes.jsonl &&
        loom-train classify --model run --test uncommon.v.txt.zst real=uncommon.t.txt.zst --solver adam --seeds 1 -o adam.classes.jsonl &&
        loom-infer complete --model run --questions attribute.v.txt.zst --max-tokens 2 -o filled.answers.jsonl &&
        loom-train export run -o model.gguf
}
make_results() {
    local r="--no-pictures -o results"
    loom-eval prompts v.graphs.zst --stats stats.json --train t.graphs.zst --edges 2:6 --depths 2:3 --per-cell 1 -o p.prompts.jsonl &&
        loom-eval prompts v.graphs.zst --stats stats.json --ask both --count 5 -o ask.prompts.jsonl &&
        loom-eval prompts v.graphs.zst --mode tabular --train t.graphs.zst --edges 2:3 --depths 2:2 --per-cell 1 --few-shot few.requests.jsonl -o few.prompts.jsonl &&
        loom-eval oracle p.prompts.jsonl -o p.answers.jsonl && loom-eval oracle ask.prompts.jsonl -o ask.answers.jsonl || return
    loom-infer sample --model run --prompts p.prompts.jsonl --limit 1 --constrain full --max-tokens 200 -o s.answers.jsonl --csv s.csv
    loom-eval classes lbfgs.classes.jsonl adam.classes.jsonl -o results &&
        loom-eval infilling run=filled.answers.jsonl --questions attribute.v.txt.zst --stats stats.json $r &&
        loom-eval heatmap p.answers.jsonl --prompts p.prompts.jsonl $r &&
        loom-eval following ask.answers.jsonl -p ask.prompts.jsonl $r &&
        loom-eval variants with=p.answers.jsonl without=p.answers.jsonl -p p.prompts.jsonl $r &&
        loom-eval ladder a=s.answers.jsonl $r &&
        loom-eval few-shot p.answers.jsonl -p p.prompts.jsonl -o results && loom-eval settings pretrain=run/model.h5 -o results &&
        loom-eval baseline t.graphs.zst --count 300 -o b.graphs.zst &&
        loom-eval tvae t.graphs.zst --rows 100 --epochs 1 --count 100 -o tvae.calls.zst &&
        loom-eval similarity --real v.graphs.zst b.graphs.zst tvae.calls.zst --runs 2 --sequence 20 --resamples 20 $r &&
        loom-eval distribution t.graphs.zst $r && loom-eval memorization --train t.graphs.zst --heldout v.graphs.zst b.graphs.zst $r &&
        loom-eval management --real all.graphs.zst --test all.graphs.zst b.graphs.zst --seeds 1 --vae-epochs 1 --train-graphs 50 --test-graphs 50 $r &&
        loom-eval privacy --model run --members tabular.tokens.h5 --others v.tokens.h5 --planted planted.tokens.h5 --twins twins.tokens.h5 \
            --train t.graphs.zst --heldout v.graphs.zst b.graphs.zst --count 20 -o results &&
        loom-eval topology t.graphs.zst -o topology.json && loom-eval topology topology.json --to mubench -o work.json &&
        loom-eval compare t.graphs.zst b.graphs.zst -o comparison && loom-eval view v.graphs.zst --top 1 -o view.html || return
    # a first call that does not arrive at 0, and one with a negative response time
    printf '00h00m00s000ms S_000000001 0|http|USER|MS_00001|ARRIVED_3|RT_5||0.1|rpc|MS_00001|MS_00002|ARRIVED_4|RT_-1\n' >odd.graphs
    loom-infer convert odd.graphs -o odd.json && loom-infer convert odd.graphs --to zipkin -o odd.zipkin &&
        loom-infer convert odd.json --json -o back.graphs >convert.json && loom-infer convert odd.graphs --to npy -o npy &&
        loom-infer convert odd.graphs --to flat -o odd.csv
}
for make in make_data make_models make_results; do $make >log 2>&1 || { tail -n 5 log >&2; fail "$make"; }; done

# ---- each beside its section ----
reports="Reports of stage 1 and 2" graphs="CallGraph CSV" key="Answer key of the sample traces" met="Counts of what was read"
shard="Token shards *.tokens.h5" saved="Checkpoints *.h5" trained="How a model was trained training.json" asked="Prompts *.prompts.jsonl"
answers="Answers *.answers.jsonl" spans="Spans: Jaeger JSON and OTLP/JSON" others="Zipkin, Chrome trace events, GraphML, flat table"
common="Results of loom-eval"
json_fields graphs.json | grep -vE '_reason\.|^types_not_listed\.|^no_tables\.' | named graphs.json "$reports" "$graphs"
json_fields graphs.json | grep '^no_tables\.' | grep -v '\.left_out\.' | named graphs.json "$met"
json_fields verdicts.jsonl | named verdicts.jsonl "$reports"
json_fields dedupe.json | grep -v '_reason\.' | named dedupe.json "$reports"
json_fields decisions.jsonl | named decisions.jsonl "$reports"
csv_fields dropped.csv describe.csv | named dropped.csv,describe.csv "$reports"
json_fields anonymise.json | grep -v '^input\.' | named anonymise.json "$graphs"
csv_fields traces/CallGraph_0.csv s.csv | named CallGraph_0.csv "$graphs"
json_fields traces/truth.jsonl traces/templates.json | named truth.jsonl,templates.json "$key"
json_fields stats.json | sed -E 's/^(graphs|latency|rare|infilling)\.[SU][^.]*(\.MS_.*)?/\1/' | named stats.json "Statistics stats.json"
json_fields ./*.meta.json ./*/*.meta.json | grep -vE '^(options|inputs|(model|data|source|base)_meta|model_training|texts|report|cells)\.|_reason\.|with\.|left_out\.' |
    named meta.json "Provenance F.meta.json" Counters "$met"
h5_fields tabular.tokens.h5 | named tabular.tokens.h5 "$shard"
for f in run/*.h5 hidden/*.h5; do h5_fields $f | named $f "$saved"; done
gguf_fields model.gguf | named model.gguf "GGUF *.gguf"
csv_fields run/curve.csv | named curve.csv "Learning curve curve.csv"
json_fields run/training.json hidden/training.json | named training.json "$trained"
json_fields p.prompts.jsonl ask.prompts.jsonl | named prompts.jsonl "$asked"
json_fields few.requests.jsonl | named few.requests.jsonl "Few-shot requests and answers"
json_fields p.answers.jsonl s.answers.jsonl | named answers.jsonl "$answers"
json_fields filled.answers.jsonl | named filled.answers.jsonl "Answers to questions"
json_fields lbfgs.classes.jsonl adam.classes.jsonl | named classes.jsonl "Answers of classifiers *.classes.jsonl"
json_fields convert.json | named convert.json "$met"
csv_fields odd.csv | named odd.csv "$others"
ls npy | grep -v 'meta.json$' | named npy "$others"
json_fields odd.zipkin | sed -n 's/^tags\.//p' | named odd.zipkin "$spans"
grep -o '"callgraph\.[^"]*"' odd.json | tr -d '"' | named odd.json "$spans"
zstdcat tvae.calls.zst | head -n 1 | tr '|' '\n' | named tvae.calls.zst "Tables of calls *.calls.zst"
json_fields topology.json | grep -vE '^meta\.|services\.S_' | named topology.json "Topology topology.json"
csv_fields work.json.names.csv | named names.csv "Topology topology.json"
csv_fields results/fig12.csv results/fig03.csv results/errors.csv | named fig12.csv,fig03.csv,errors.csv heatmap "$common"
csv_fields results/fig13.csv results/fig14.csv results/table1.csv | named fig13.csv,fig14.csv,table1.csv "variants, ladder, settings" heatmap "$common"
csv_fields results/fig04*.csv results/fig16.csv | named fig04.csv,fig16.csv similarity "$common"
csv_fields results/fig05*.csv | named fig05.csv management "$common"
csv_fields results/table2*.csv | named table2.csv classes "$common"
csv_fields results/fig07.csv | named fig07.csv infilling "$common"
csv_fields results/table3.csv | named table3.csv few-shot "$common"
csv_fields results/fig06.csv | named fig06.csv following "$common"
csv_fields results/fig08.csv | named fig08.csv distribution "$common"
csv_fields results/fig15.csv | named fig15.csv memorization "$common"
json_fields results/privacy.json | named privacy.json memorization
json_fields results/privacy_attack.json | named privacy_attack.json privacy
csv_fields comparison/places.csv comparison/changes.csv | named places.csv,changes.csv compare
json_fields comparison/comparison.json | named comparison.json compare
json_fields results/manifest.json | grep -vE 'options\.|inputs\.' | sed -E 's/^runs\.[^.]*$/runs/; s/^runs\.[^.]*\.//' | sort -u |
    named manifest.json manifest.json "Provenance F.meta.json" heatmap

# ---- and back: what only some runs have is named here ----
complete "$reports" --report --dropped --verdicts --decisions --csv graphs dedupe describe anonymise
complete "$graphs"
complete "Statistics stats.json"
complete "Provenance F.meta.json"
complete "$met"
complete "$shard"
complete "$saved" text/base text/adapter
complete "$trained" kept_step
complete "$asked"
complete "$answers" refused
complete "$spans"
complete "$others"
complete "Topology topology.json"
complete heatmap
complete similarity
complete privacy
[ "$(cut -f1 seen | sort -u | wc -l)" -ge 30 ] || fail "only $(cut -f1 seen | sort -u | wc -l) sections were looked at"
[ $bad = 0 ] || fail "FORMATS.md and the files differ"
