#!/usr/bin/env bash
# The floors: an #include "..." may only point to the same folder or to a folder below (docs/ARCHITECTURE.md).
set -u
cd "$(dirname "$0")/.." || exit 1
bad=0
allowed() { # folder -> folders it may include
    case $1 in
        lib/core) echo "core" ;;
        lib/store | lib/trace | lib/tokenizer) echo "core ${1#lib/}" ;;
        lib/readers) echo "core trace readers" ;;
        lib/system) echo "core trace readers system" ;;
        lib/model) echo "core store model" ;;
        preprocess | train | infer | eval) echo "core store trace tokenizer readers system model $1" ;;
    esac
}
for folder in lib/core lib/store lib/trace lib/tokenizer lib/readers lib/system lib/model preprocess train infer eval; do
    ok=" $(allowed "$folder") "
    while IFS=: read -r file line text; do
        target=$(sed -E 's/.*#include "([^"]*)".*/\1/' <<<"$text")
        case $target in
            */*) [[ $ok == *" ${target%%/*} "* ]] || { echo "$file:$line: $folder must not include \"$target\""; bad=1; } ;;
            *) echo "$file:$line: include \"$target\" is not rooted"; bad=1 ;;
        esac
    done < <(grep -rn --include='*.[ch]' '^ *#include "' "$folder")
done
dup=$(find lib preprocess train infer eval -name '*.[ch]' -printf '%f\n' | sort | uniq -d)
[ -z "$dup" ] || { echo "file names must be unique in the tree: $dup"; bad=1; }
exit $bad
