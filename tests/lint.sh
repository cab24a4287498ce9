#!/usr/bin/env bash
# lint.sh [--fix]: the one style (.clang-format) and the short lists of what no source may hold (.clang-tidy, cppcheck,
# .shellcheckrc). --fix formats the C sources and does nothing else. Needs clang-format and clang-tidy 14, cppcheck, shellcheck:
# what Debian 12 has. A tool that is not there is a failure, since a check that did not run has found nothing.
set -u
cd "$(dirname "$0")/.." || exit 1
format=$(command -v clang-format-14 || command -v clang-format || true)
tidy=$(command -v clang-tidy-14 || command -v clang-tidy || true)
for tool in "$format" "$tidy" "$(command -v cppcheck)" "$(command -v shellcheck)"; do
    [ -n "$tool" ] || { echo "lint needs clang-format-14, clang-tidy-14, cppcheck and shellcheck: apt-get install them" >&2; exit 1; }
done
case $("$format" --version) in *version\ 14.*) ;; *) echo "$format is not version 14: others lay out lines in another way" >&2; exit 1 ;; esac
mapfile -t sources < <(find lib preprocess train infer eval tests -name '*.[ch]' | sort)
mapfile -t scripts < <(find tests -name '*.sh' | sort; echo .ci/run)
[ ${#sources[@]} -gt 100 ] && [ ${#scripts[@]} -gt 20 ] || { echo "lint saw ${#sources[@]} sources and ${#scripts[@]} scripts" >&2; exit 1; }
jobs=${JOBS:-$(nproc)}
each() { printf '%s\0' "${@:2}" | xargs -0 -P "$jobs" -n "$1" "${command[@]}"; }

if [ "${1:-}" = --fix ]; then
    command=("$format" -i) && each 20 "${sources[@]}"
    exit
fi
bad=0
step() { echo "lint: $1"; }
step "clang-format (make format mends it)"
command=("$format" --dry-run -Werror) && each 20 "${sources[@]}" || bad=1
long=$(awk 'length($0) > 120 && !/"/ { print FILENAME ":" FNR ": longer than 120 columns" }' "${sources[@]}")
[ -z "$long" ] || { echo "$long"; bad=1; }
step "nothing stands behind an exit"
dead=$(awk 'FNR == 1 { stop = 0 } stop && NF && !/^#/ { print FILENAME ":" FNR ": never runs: line " stop " exits"; stop = 0 } /^exit( |$)/ { stop = FNR }' "${scripts[@]}")
[ -z "$dead" ] || { echo "$dead"; bad=1; }
step shellcheck
shellcheck --severity=warning "${scripts[@]}" || bad=1
step cppcheck
cppcheck --quiet -j "$jobs" --std=c11 --enable=warning,portability --inline-suppr --error-exitcode=1 --suppressions-list=tests/cppcheck.txt \
    -D_GNU_SOURCE -D__linux__ -D__x86_64__ -Ilib -I. lib preprocess train infer eval || bad=1
step clang-tidy
build=${BUILD:-build}-lint
cmake -S . -B "$build" -G Ninja -DCMAKE_EXPORT_COMPILE_COMMANDS=ON -DLOOM_NATIVE=OFF >/dev/null || exit 1
mapfile -t compiled < <(printf '%s\n' "${sources[@]}" | grep '\.c$' | grep -vE '^tests/(fuzz/|tools/fault_)')
command=("$tidy" --quiet -p "$build") && each 8 "${compiled[@]}" 2>"$build/tidy.err" || bad=1
! grep -E 'error:' "$build/tidy.err" || bad=1
[ $bad = 0 ] && echo "lint: clean, ${#sources[@]} sources and ${#scripts[@]} scripts"
exit $bad
