# Installing into a folder with a blank in its name: programs, recipes and the base model are found there, the README's commands
# run from there, manual pages and completions say what the options are, and the libraries serve a program of others.
build=$(dirname "$BIN")
[ -e "$build/libloom_stage_infer.a" ] || skip "the libraries are not built"
prefix="$PWD/a place"
cmake --install "$build" --prefix "$prefix" >log 2>&1 || fail "cannot install: $(tail -n 5 log)"
mkdir work && cd work || exit 1
PATH=$(tr ':' '\n' <<<"$PATH" | grep -vxF "$BIN" | paste -sd:) # nothing of the build folder
for program in loom loom-preprocess loom-train loom-infer loom-eval; do [ -x "$prefix/bin/$program" ] || fail "no $program"; done
command -v loom-infer >/dev/null && fail "another loom-infer is in PATH: $(command -v loom-infer)"
loom=$prefix/bin/loom

# ---- one command in front
expect 2 "$loom"
expect 0 "$loom" --help
for program in preprocess train infer eval; do
    "$prefix/bin/loom-$program" --help | awk '/^Subcommands:/ {on = 1; next} /^$/ {on = 0} on && /^  / {print $1}' >commands
    [ -s commands ] || fail "no subcommand of loom-$program"
    while read -r command; do says out "^  $command "; done <commands
done
expect 0 "$loom" sample --help; says out '^Usage: loom-infer sample'
expect 0 "$loom" infer bench --help; says out '^Usage: loom-infer bench'
expect 2 "$loom" bench; one_sentence; says err 'loom train bench and loom infer bench'
expect 2 "$loom" smaple; one_sentence
expect 0 "$loom" pretrain --config demo --print-config; cp out by-name
expect 0 "$loom" pretrain --config "$SRC/configs/demo.conf" --print-config
same by-name out || fail "--config demo is not the recipe of that name"
expect 1 "$loom" pretrain --config no-such-recipe --print-config; one_sentence; says err "cannot open no-such-recipe"

# ---- the base model, and the README's commands by hand, from there
expect 0 "$loom" sample --edges 4 --depth 2 -n 1 --constrain full --records base.graphs
says err 'the base model that comes with Spanloom'
[ "$(wc -l <base.graphs)" = 1 ] || fail "no graph of the base model"
if unshare -m sh -c 'mount -t tmpfs none /proc' 2>/dev/null; then # a root without /proc, as debootstrap leaves it
    rm -f base.graphs
    # shellcheck disable=SC2016
    expect 0 unshare -m sh -c 'mount -t tmpfs none /proc && exec "$0" sample --edges 4 --depth 2 -n 1 --constrain full --records base.graphs' "$loom"
    says err 'the base model that comes with Spanloom'
fi
sed -n '/^## By hand/,/^## /p' "$SRC/README.md" | sed -nE 's,^    \$B/(.*),"$B"/\1,p' | sed 's/--minutes 2/--steps 3/' >readme.sh
[ "$(wc -l <readme.sh)" -ge 10 ] || fail "only $(wc -l <readme.sh) commands of the README were seen"
B="$prefix/bin" bash -e readme.sh >out 2>err || fail "a command of the README fails: $(tail -n 3 err)"
[ "$(wc -l <new.csv)" -gt 10 ] || fail "no rows at the end of the README's commands"

# ---- manual pages and completions: every option of every subcommand
if [ -e "$prefix/share/man/man1/loom-infer.1.gz" ]; then
    for program in loom-preprocess loom-train loom-infer loom-eval; do
        zcat "$prefix/share/man/man1/$program.1.gz" | sed 's/\\-/-/g' >page
        for command in $("$prefix/bin/$program" --help-format list | tail -n +2 | cut -f1); do
            says page "^.fB$program $command"
            "$prefix/bin/$program" "$command" --help | grep -oE '^  (-., |    )--[a-z0-9-]+' | grep -oE -- '--[a-z0-9-]+' | sort -u >options
            [ "$(wc -l <options)" -gt 10 ] || fail "only $(wc -l <options) options of $program $command were seen"
            sed -n "/^\\\\fB$program $command\\\\/,/^\.SH COMMON/p" page | grep -oE -- '--[a-z0-9-]+' | sort -u >told
            grep -oE -- '--[a-z0-9-]+' page | sort -u >>told
            [ -z "$(comm -23 options <(sort -u told))" ] || fail "the page of $program lacks $(comm -23 options <(sort -u told) | paste -sd' ')"
        done
    done
    zcat "$prefix/share/man/man1/loom.1.gz" | grep -q '^\\fBsample' || fail "the page of loom lists no subcommand"
    complete() { # words so far, the last one to be completed
        bash -c 'source "$1/share/bash-completion/completions/loom"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _loom; printf "%s\n" "${COMPREPLY[@]}"' - "$prefix" "$@"
    }
    same <(complete loom serv) <(echo serve) || fail "serve is not completed: $(complete loom serv)"
    same <(complete loom sample --constrain '') <(printf 'off\nsyntax\nfull\n') || fail "choices are not completed"
    same <(complete loom-train pretrain --hidd) <(echo --hidden) || fail "options are not completed"
    : >"a file.h5"
    complete loom-infer sample --model 'a ' | grep -qxF 'a file.h5' || fail "files are not completed"
    command -v zsh >/dev/null && { zsh -n "$prefix/share/zsh/site-functions/_loom" || fail "zsh cannot read its completion"; }
fi

# ---- a program of others, by pkg-config and by CMake
pc=$(find "$prefix" -name spanloom.pc)
[ -n "$pc" ] || fail "no spanloom.pc"
export PKG_CONFIG_PATH=${pc%/*}
flags=$(pkg-config --cflags --libs spanloom) || fail "pkg-config does not know spanloom"
example=$(find "$prefix" -name sample_graph.c)
grep -q . "$example" || fail "the example is not installed"
if ! nm "$(find "$prefix" -name libloom_core.a)" 2>/dev/null | grep -qE '__asan_init|__tsan_init'; then
    eval "cc -Wall -Werror \"\$example\" $flags -o by-pkg-config" >log 2>&1 || fail "cannot compile the example: $(tail -n 5 log)"
    expect 0 ./by-pkg-config "$prefix/share/spanloom/checkpoints/base.h5"
    says out '^00h00m00s000ms S_000000001 0\|'
    unset PKG_CONFIG_PATH
    printf 'cmake_minimum_required(VERSION 3.20)\nproject(example C)\nfind_package(spanloom 0.1 REQUIRED)\nadd_executable(by-cmake "%s")\ntarget_link_libraries(by-cmake spanloom::spanloom)\n' \
        "$example" >CMakeLists.txt
    cmake -S . -B example -DCMAKE_PREFIX_PATH="$prefix" >log 2>&1 && cmake --build example >>log 2>&1 || fail "find_package fails: $(tail -n 5 log)"
    expect 0 ./example/by-cmake "$prefix/share/spanloom/checkpoints/base.h5"
    says out '^00h00m00s000ms S_000000001 0\|'
fi
exit 0
