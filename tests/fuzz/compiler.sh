#!/usr/bin/env bash
# compiler.sh: prints the first clang that builds fuzz targets (libFuzzer and the sanitizers' runtime are there), or
# says what to install. FUZZ_CC names one to be tried alone.
set -u
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo 'int LLVMFuzzerTestOneInput(const unsigned char *data, unsigned long size) { return data == 0 && size; }' >"$work/try.c"
for cc in ${FUZZ_CC:-clang clang-21 clang-20 clang-19 clang-18 clang-17 clang-16 clang-15 clang-14}; do
    command -v "$cc" >/dev/null || continue
    "$cc" -fsanitize=fuzzer,address,undefined "$work/try.c" -o "$work/try" 2>"$work/said" && { echo "$cc"; exit 0; }
done
echo "fuzzing needs clang with libFuzzer${FUZZ_CC:+ ($FUZZ_CC is none)}: apt-get install clang-14 libclang-rt-14-dev" >&2
[ ! -s "$work/said" ] || head -n 3 "$work/said" >&2
exit 1
