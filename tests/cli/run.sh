#!/usr/bin/env bash
# run.sh CASE.sh: runs a command-line test in an empty scratch folder.
# The case sees BIN (folder of the executables), SRC (source tree) and the helpers below; its exit code is the verdict,
# 77 = skipped. Helpers end the case with a message at the first failure.
set -u
case_file=$(realpath "$1")
[ -f "$case_file" ] || { echo "there is no case $1" >&2; exit 1; }
scratch=$(mktemp -d "${TMPDIR:-/tmp}/loom-cli.XXXXXX")
trap 'chmod -R u+w "$scratch" 2>/dev/null; rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
export PATH="$BIN:$PATH"
SHARED=${LOOM_SHARED:-$SRC/../shared}

fail() { echo "FAILED: $*" >&2; exit 1; }
skip() { echo "SKIPPED: $*"; exit 77; }
# expect CODE command...: runs it, keeps out/err in files `out` and `err`, checks the exit code.
expect() {
    local want=$1 got; shift
    "$@" >out 2>err; got=$?
    [ "$got" = "$want" ] || { echo "command: $*" >&2; head -c 2000 out >&2; head -c 2000 err >&2; fail "exit code $got, expected $want"; }
}
# says FILE PATTERN: an extended regular expression that must match a line.
says() { grep -qE -- "$2" "$1" || { head -c 2000 "$1" >&2; fail "$1 does not say /$2/"; }; }
# same A B: two files, or outputs of <(...), are alike and not empty: two programs that failed alike say nothing.
same() { cat "$1" >same.a; cat "$2" >same.b; [ -s same.a ] && cmp same.a same.b; }
# one_sentence: err holds exactly one line.
one_sentence() { [ "$(wc -l <err)" = 1 ] || { cat err >&2; fail "expected one line on stderr"; }; }

grep -qE '^[^#]*\b(expect|says|fail)\b' "$case_file" || fail "$1 checks nothing"
( . "$case_file" )
