#!/usr/bin/env bash
# symbols.sh DIR: no executable may be linked from two libraries that define the same name. A linker takes whichever
# comes first, so one name in two floors is a wrong call that nobody sees. Stages are never linked with each other.
set -u
command -v nm >/dev/null || exit 77
names() { nm -g --defined-only "$@" 2>/dev/null | awk 'NF == 3 && $3 ~ /^loom_/ {print $3}'; }
floors=$(ls "$1"/libloom_*.a | grep -v _stage_)
bad=0
for stage in "$1"/libloom_stage_*.a; do
    twice=$(names $floors "$stage" | sort | uniq -d)
    [ -z "$twice" ] || { echo "defined in two libraries that ${stage##*_stage_} is linked from:" $twice; bad=1; }
done
exit $bad
