#!/usr/bin/env bash
# run.sh BIN_DIR SECONDS [FUZZER...]: runs the fuzz targets, seeded with the golden values, SECONDS each; goes on after a
# finding, whose input is left in the current folder (turn it into a regression test), and fails at the end. One line of
# result for each target; .ci/run counts them.
set -u
bin=$1 seconds=$2
shift 2
src=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ $# -gt 0 ] || set -- $(cd "$bin" && ls | grep '^fuzz_')

seeds() { # FUZZER: fills the folder $work/FUZZER
    local to=$work/$1 g=$src/tests/golden
    mkdir -p "$to"
    case $1 in
        fuzz_preprocess_csv) cp "$g/spec/raw/callgraph_small.csv" "$to" ;;
        fuzz_record) split -l 1 "$g/spec/dedupe/input.txt" "$to/record-" ;;
        fuzz_safetensors) for d in "$g"/llama/*/; do head -c 9000 "$d/model.safetensors" >"$to/$(basename "$d")"; done ;;
        fuzz_tokenizer) find "$g" -name '*.json' -size -8k -exec cp --backup=numbered {} "$to" \; ;;
        *) split -b 2000 -a 3 "$g/spec/layer_texts/cases.json" "$to/text-" ;;
    esac
}

# The time limit of one input is by the clock: long enough for a machine that does other work.
status=0
for f in "$@"; do
    seeds "$f"
    if "$bin/$f" -max_total_time="$seconds" -rss_limit_mb=4096 -timeout=60 -print_final_stats=1 -artifact_prefix="$f-" \
        "$work/$f" >"$work/$f.log" 2>&1; then
        echo "$f: $(sed -n 's/^stat::number_of_executed_units: *//p' "$work/$f.log") inputs in $seconds s, no finding"
    else
        tail -n 40 "$work/$f.log"
        echo "$f: a finding, see above"
        status=1
    fi
done
exit $status
