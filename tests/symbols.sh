#!/usr/bin/env bash
# symbols.sh DIR: no executable may be linked from two libraries that define the same name. A linker takes whichever
# comes first, so one name in two floors is a wrong call that nobody sees. Stages are never linked with each other.
# It fails when it saw no library, no stage, or a library without names.
set -u
dir=${1:?symbols.sh DIR}
command -v nm >/dev/null || { echo "SKIPPED: no nm"; exit 77; }
shopt -s nullglob
stages=("$dir"/libloom_stage_*.a)
floors=()
for library in "$dir"/libloom_*.a; do [[ $library == *_stage_* ]] || floors+=("$library"); done
[ ${#floors[@]} -gt 0 ] || { echo "$dir holds no library of ours"; exit 1; }
[ ${#stages[@]} -gt 0 ] || { echo "$dir holds no library of a stage"; exit 1; }
names() { nm -g --defined-only "$@" 2>/dev/null | awk 'NF == 3 && $3 ~ /^loom_/ {print $3}'; }
bad=0
for library in "${floors[@]}" "${stages[@]}"; do
    [ -n "$(names "$library")" ] || { echo "${library##*/} defines no loom_ name"; bad=1; }
done
for stage in "${stages[@]}"; do
    twice=$(names "${floors[@]}" "$stage" | sort | uniq -d | paste -sd' ')
    [ -z "$twice" ] || { echo "defined in two libraries that ${stage##*_stage_} is linked from: $twice"; bad=1; }
done
exit $bad
