#!/usr/bin/env bash
# bench_accuracy.sh BIN FOLDER: how many graphs are right after some minutes of training, from random weights with AdamW and
# with Muon and from the base model. Greedy, unconstrained, the paper's rules, all sizes that have test prompts. Prints the
# table and writes it as Markdown to FOLDER/table.md. Each number is a training of its own whose rate falls to its end, and
# a small file in FOLDER/cells, written when it is done: a rerun makes what is missing. One that was stopped begins anew,
# so that its times are whole.
#   SETS        a b c d; a: traces of the demonstration (CONFIG_a), b: of the desk recipe (CONFIG_b), c: TRACES (8000) of a
#               small system that the base has not seen (CONFIG_c), d: those of CSV= (CONFIG_d; numbers only come out)
#   STARTS      adamw muon base; base: BASE_MODEL (checkpoints/base.h5), trained on with Muon
#   PRECISIONS  f32 bf16, of training and answering alike
#   MINUTES     0 1 3 10 30 60; 0: the base with the names of the data, untrained
#   SEEDS       1 2 3, of the training; data and prompts are the same for all
#   THREADS     2
# The settings are those of the data set's configuration file. There, minutes fix the shares of `pretrain` and `sft` in a
# training from random weights; a training from the base is the last of them alone. Neither ends early.
set -euo pipefail
[ $# = 2 ] || { echo "usage: bench_accuracy.sh BIN FOLDER" >&2; exit 2; }
BIN=$(realpath "$1") SRC=$(realpath "$(dirname "$0")/..")
SETS=${SETS:-a b c d} STARTS=${STARTS:-adamw muon base} PRECISIONS=${PRECISIONS:-f32 bf16}
MINUTES=${MINUTES:-0 1 3 10 30 60} SEEDS=${SEEDS:-1 2 3} THREADS=${THREADS:-2} TRACES=${TRACES:-8000} CSV=${CSV:-}
P=$BIN/loom-preprocess T=$BIN/loom-train I=$BIN/loom-infer E=$BIN/loom-eval
TIMEFORMAT='%R %U %S'
export LC_ALL=C

say() { printf '%s\n' "$*" >&2; }
die() { local code=$1; shift; say "bench_accuracy.sh: $*"; exit "$code"; }
digest() { sha256sum | cut -c1-8; }
add() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a + b }'; }
field() { grep -oE "\"$1\": ?[-+.e0-9]+" result | head -n 1 | sed -E 's/.*: ?//'; }

# ---- what is asked for ----
# among NAME VALUES ALLOWED
among() {
    local word
    for word in $2; do
        case " $3 " in *" $word "*) ;; *) die 2 "$1= names $word; there are $3" ;; esac
    done
}
# numbers NAME VALUES PATTERN WHAT
numbers() {
    local word
    for word in $2; do [[ $word =~ ^($3)$ ]] || die 2 "$1= holds \"$word\", expected $4"; done
}
among SETS "$SETS" "a b c d"
among STARTS "$STARTS" "adamw muon base"
among PRECISIONS "$PRECISIONS" "f32 bf16"
numbers MINUTES "$MINUTES" '[0-9]+(\.[0-9]+)?' "minutes, such as 0 1 3 10"
numbers SEEDS "$SEEDS" '[0-9]{1,9}' "whole numbers, such as 1 2 3"
numbers THREADS "$THREADS" '[1-9][0-9]{0,3}' "a number of threads"
numbers TRACES "$TRACES" '[1-9][0-9]{0,8}' "a number of traces"
MINUTES=$(printf '%s\n' $MINUTES | awk '{ print $1 + 0 }' | sort -g -u)

declare -A config
for s in a b c d; do
    name=CONFIG_$s file=$SRC/configs/demo.conf
    [ $s != b ] || file=$SRC/configs/desk.conf
    [ $s != d ] || file=$SRC/configs/real.conf
    file=${!name:-$file}
    [ -f "$file" ] || die 1 "there is no $name=$file; give a configuration file"
    config[$s]=$(realpath "$file")
done
left_out=()
[ -z "$CSV" ] || [ -e "$CSV" ] || die 1 "there is no CSV=$CSV; give a CallGraph CSV or a folder of them"
[ -z "$CSV" ] || CSV=$(realpath "$CSV")
if [[ $SETS == *d* && -z $CSV ]]; then
    left_out+=("Set d is left out: CSV= names real traces, a CallGraph CSV or a folder of them.")
    SETS=${SETS//d/}
fi
[ -z "${BASE_MODEL:-}" ] || [ "$BASE_MODEL" = none ] || [ -e "$BASE_MODEL" ] ||
    die 1 "there is no BASE_MODEL=$BASE_MODEL; name a model of loom-train, or none"
base=${BASE_MODEL:-$SRC/checkpoints/base.h5} base_is=
if [[ $STARTS == *base* && $base = none ]]; then
    left_out+=("The rows from the base are left out: BASE_MODEL=none.")
    STARTS=${STARTS//base/}
elif [[ $STARTS == *base* && ! -e $base ]]; then
    why="there is no checkpoints/base.h5; BASE_MODEL= names a base model, 'make base' makes one"
    left_out+=("The rows from the base are missing: $why.")
elif [[ $STARTS == *base* ]]; then
    base=$(realpath "$base")
    [ ! -d "$base" ] || base=$base/model.h5
    [ -f "$base" ] || die 1 "there is no $base; BASE_MODEL= names a model of loom-train"
    base_is=$(digest <"$base")
fi
if [[ $PRECISIONS == *bf16* ]] && ! "$T" bench --no-small --no-middle --no-lora --compute bf16 --quiet >/dev/null 2>&1; then
    left_out+=("bf16 is left out: this CPU has no instructions for it.")
    PRECISIONS=${PRECISIONS//bf16/}
fi

mkdir -p "$2" && cd "$2"
exec 9>lock
flock -n 9 || die 1 "$2 is in use by another bench_accuracy.sh; wait for it or name another folder"
trap 'rm -rf run result said; flock -u 9' EXIT # also for children that still end and hold the same file
trap 'say "stopped; the same command makes what is missing"; exit 130' INT TERM
ln -sfn "$BIN" bin
machine=$(awk -F': ' '/^model name/ { print $2; exit }' /proc/cpuinfo | tr -d '"\\' | tr -s ' ')
machine="${machine:-$(uname -m)}, $(nproc) cores"
version=$(git -C "$SRC" describe --always --dirty 2>/dev/null || "$T" --version | head -n 1)

# What a set's numbers rest on: its settings, comments left out, and where its rows come from. Numbers of other settings stand
# beside one another in FOLDER/cells and never in one table.
recipe() {
    {
        sed -E 's/[[:space:]]*#.*//; /^[[:space:]]*$/d' "${config[$1]}"
        case $1 in
            c) echo "traces $TRACES" ;;
            d) find -L "$CSV" -type f -print0 | sort -z | xargs -0 cat | cksum ;;
        esac
    } | digest
}
declare -A cells
for s in a b c d; do
    if [ $s != d ] || [ -n "$CSV" ]; then recipe $s >$s.recipe; fi
    [ ! -f $s.recipe ] || cells[$s]=cells/$(digest <<<"$machine")/$s-$(<$s.recipe)
done

# name_cell SET START PRECISION MINUTES SEED: sets cell, the file; false where there is none
name_cell() {
    [ "$2" = base ] || [ "$4" != 0 ] || return 1
    [ "$2" != base ] || [ -n "$base_is" ] || return 1
    local who=$2
    [ "$2" != base ] || who=base-$base_is
    cell=${cells[$1]}/$who-$3-$4min-$THREADS-threads-seed-$5.json
}

# ---- data: by the rules of Makefile.data ----
# prepare SET: sets lessons, valid, prompts, tokenizer, and made_up: the lessons with made-up names, which models from the
# base learn as well, as `make demo` has it
declare -A lessons_of
prepare() {
    local rows=
    if [ -z "${lessons_of[$1]:-}" ]; then
        say "set $1: traces, graphs, text, tokens, prompts"
        mkdir -p "$1"
        cmp -s "${config[$1]}" "$1/recipe.conf" || cp "${config[$1]}" "$1/recipe.conf"
        case $1 in
            c) rows=c/traces
                "$P" sample-traces --profile default --traces "$TRACES" --services 120 --seed 977 -o c/traces --update -q ||
                    die 1 "no traces for set c" ;;
            d) rows=d/rows-$(<d.recipe)-$(basename "$CSV" | tr -c 'A-Za-z0-9.\n' _)
                ln -sfn "$CSV" "$rows" ;;
        esac
        lessons_of[$1]=$(env -u MAKEFLAGS -u MFLAGS -u MAKEOVERRIDES make -s -f "$SRC/Makefile.data" BIN=bin CONFIG="$1/recipe.conf" \
            OUT="$1" CSV="$rows" METHODS=instruction PART=test PRESET="$([ "$1" != b ] || echo desk)" BASE_MODEL=none RENAMED=yes INIT= inputs \
            2>said | tail -n 1) || { cat said >&2; die 1 "set $1 cannot be made"; }
    fi
    read -r lessons valid prompts tokenizer made_up <<<"${lessons_of[$1]}"
}

# ---- one number ----
# timed COMMAND...: its output goes to `result`, its seconds are added to wall and cpu
timed() {
    local took
    took=$({ time "$@" >result 2>said; } 2>&1) || { cat said >&2; return 1; }
    wall=$(add "$wall" "${took%% *}")
    cpu=$(add "$cpu" "$(awk '{ print $2 + $3 }' <<<"$took")")
}
# setting SUBCOMMAND OPTION: what the recipe says
setting() { "$T" "$1" --config "$conf" --print-config | sed -nE "s/^$2 = ([^ ]+).*/\1/p"; }

# The share of pretrain in a training from random weights; 1 where the recipe has no sft.
pretrain_share() {
    local unit p s none=1
    for unit in minutes tokens steps; do
        p=$(setting pretrain $unit) s=$(setting sft $unit)
        [ "$s" = 0 ] || none=0
        if [ "$p" != 0 ] && [ "$s" != 0 ]; then awk -v p="$p" -v s="$s" 'BEGIN { print p / (p + s) }'; return; fi
    done
    [ $none = 0 ] && echo 0.5 || echo 1
}

# train SUBCOMMAND MINUTES OPTIONS...: adds to steps and tokens, sets model. Where the recipe has patience, the model is the
# best one of all the time, but the time is not cut short: the rate of a stopped run would not have fallen.
train() {
    local stage=$1 minutes=$2 patience=0 others=
    shift 2
    [ "$start" != base ] || others=$made_up
    [ "$(setting "$stage" patience)" = 0 ] || patience=1000000
    timed "$T" "$stage" --config "$conf" --force --json --progress never --threads "$THREADS" --seed "$seed" --compute "$precision" \
        --minutes "$minutes" --tokens 0 --steps 0 --patience "$patience" --save-every 0 --save-minutes 0 --no-plot \
        "$@" "$lessons" ${others:+"$others"} --valid "$valid" -o "run/$stage" || return 1
    steps=$((steps + $(field step))) tokens=$((tokens + $(field tokens))) model=run/$stage
}

# learn: sets model, wall, cpu, steps, tokens
learn() {
    local share first
    wall=0 cpu=0 steps=0 tokens=0
    share=$(pretrain_share)
    if [ "$minutes" = 0 ]; then
        model=run/adapted.h5
        timed "$T" adapt "$base" --tokenizer "$tokenizer" --seed "$seed" --force -o $model
    elif [ "$start" = base ]; then
        train "$([ "$share" = 1 ] && echo pretrain || echo sft)" "$minutes" --base-model "$base" --optimizer muon
    else
        first=$(awk -v m="$minutes" -v s="$share" 'BEGIN { print m * s }')
        train pretrain "$first" --optimizer "$start" || return 1
        [ "$share" = 1 ] || train sft "$(awk -v m="$minutes" -v f="$first" 'BEGIN { print m - f }')" --base run/pretrain --optimizer "$start"
    fi
}

# answer: asks the model and judges it; sets right and graphs. No finished graph at all (3) is an answer, too.
answer() {
    "$I" sample --config "$conf" --force --progress never --threads "$THREADS" --model "$model" --prompts "$prompts" --temperature 0 \
        --constrain off --compute "$precision" -o run/a.answers.jsonl >result 2>said || [ $? = 3 ] || { cat said >&2; return 1; }
    "$E" heatmap --config "$conf" --force run/a.answers.jsonl --prompts "$prompts" --validity paper --no-pictures --json \
        -o run/judged >result 2>said || { cat said >&2; return 1; }
    right=$(field k) graphs=$(field n)
}

# make_cell SET START PRECISION MINUTES SEED
make_cell() {
    local set=$1 start=$2 precision=$3 minutes=$4 seed=$5 model wall cpu steps tokens right graphs conf=$1/recipe.conf
    prepare "$set"
    rm -rf run && mkdir -p run "$(dirname "$cell")"
    { learn && answer; } || die 1 "set $set, $start, $precision, $minutes minutes, seed $seed failed;" \
        "what was done before is kept in $PWD/cells"
    {
        printf '{"set":"%s","start":"%s","base":"%s",' "$set" "$start" "$([ "$start" != base ] || echo "$base_is")"
        printf '"precision":"%s","minutes":%s,"seed":%s,"threads":%s,' "$precision" "$minutes" "$seed" "$THREADS"
        printf '"right":%s,"graphs":%s,"wall_s":%s,"cpu_s":%s,' "$right" "$graphs" "$wall" "$cpu"
        printf '"steps":%s,"tokens":%s,"version":"%s",' "$steps" "$tokens" "$version"
        printf '"date":"%s","machine":"%s"}\n' "$(date -u +%Y-%m-%d)" "$machine"
    } >"$cell.new"
    mv "$cell.new" "$cell"
    say "set $set, $start, $precision, $minutes min, seed $seed: $right of $graphs right ($wall s, $cpu s CPU, $steps steps)"
}

# ---- the table ----
# The results of these settings, of any machine and base, one file a line.
current() {
    for s in a b c d; do
        [ ! -f $s.recipe ] || find cells -path "cells/*/$s-$(<$s.recipe)/*.json"
    done
}
# Lines of "wanted SET START BASE PRECISION MINUTES THREADS MACHINE", then the results: median and range over the seeds.
table() {
    local others
    {
        for s in $SETS; do for st in $STARTS; do for pr in $PRECISIONS; do for m in $MINUTES; do
            echo "wanted $s $st $([ $st = base ] && echo "${base_is:--}" || echo -) $pr $m $THREADS $machine"
        done; done; done; done
        current | xargs -r cat
    } | awk -f "$SRC/tests/bench_accuracy.awk"
    others=$(($(find cells -name '*.json' | wc -l) - $(current | wc -l)))
    [ "$others" = 0 ] || echo "Results of other settings or traces, kept in cells and not shown: $others."
    [ ${#left_out[@]} = 0 ] || printf '%s\n' "${left_out[@]}"
}

# ---- all of it, the short trainings first ----
mkdir -p cells
missing=()
for m in $MINUTES; do for seed in $SEEDS; do for s in $SETS; do for pr in $PRECISIONS; do for st in $STARTS; do
    if name_cell "$s" "$st" "$pr" "$m" "$seed" && [ ! -f "$cell" ]; then missing+=("$s $st $pr $m $seed"); fi
done; done; done; done; done
if [ ${#missing[@]} != 0 ]; then
    say "$(printf '%s\n' "${missing[@]}" | awk '{ m += $4 } END { printf "%d results to make, %g minutes of training in all", NR, m }')"
    for which in "${missing[@]}"; do
        # shellcheck disable=SC2086
        name_cell $which && make_cell $which
        table >table.md
    done
fi
table >table.md
cat table.md
