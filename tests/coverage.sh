#!/usr/bin/env bash
# coverage.sh BUILD [LEAST]: branches of lib/, file by file, that the tests run in BUILD (cmake -DLOOM_COVERAGE=ON) took at least
# once. With LEAST (percent), fewer in all are a failure. Branches of <assert.h> are not compiled there (NDEBUG): a bug, not a case.
# A file that no test ran counts with none of its branches taken.
set -u
build=$(realpath "${1:?coverage.sh BUILD [LEAST]}") least=${2:-0}
cd "$(dirname "$0")/.." || exit 1
command -v gcov >/dev/null || { echo "SKIPPED: no gcov"; exit 77; }
mapfile -t counts < <(find "$build" -path '*loom_*' -path '*/lib/*' -name '*.gcno' ! -name '*_main.c.gcno')
[ -n "$(find "$build" -path '*loom_*' -path '*/lib/*' -name '*.gcda' -print -quit)" ] || { echo "$build holds no counts: build it with -DLOOM_COVERAGE=ON and run its tests" >&2; exit 1; }
gcov -b -n "${counts[@]}" 2>/dev/null | awk -v root="$PWD/" -v least="$least" '
    /^File / { file = $2; gsub("\047", "", file); sub(root, "", file) }
    /^Lines executed/ { split($0, p, /[:%]/); lines[file] = p[2]; }
    /^Taken at least once/ { split($0, p, /[:% ]+/); taken = p[5] / 100 * $NF; if (file ~ /^lib\/.*\.c$/ && (!(file in all) || taken > got[file])) { all[file] = $NF; got[file] = taken } }
    END {
        for (f in all) { printf "%5.1f %% of %4d branches  %5.1f %% of lines  %s\n", 100 * got[f] / all[f], all[f], lines[f], f | "sort -n"; n += all[f]; k += got[f] }
        close("sort -n")
        if (!n) { print "no branch of lib/ was seen" > "/dev/stderr"; exit 1 }
        printf "%5.1f %% of %4d branches of lib/\n", 100 * k / n, n
        if (100 * k / n < least) { printf "fewer than %s %%\n", least > "/dev/stderr"; exit 1 }
    }'
exit "${PIPESTATUS[1]}"
