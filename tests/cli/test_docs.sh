# What the documents name is there: links, files, options, make targets, sections that comments cite.
docs() { (cd "$SRC" && ls README.md CHANGELOG.md docs/*.md tests/README.md); }
bad=0
wrong() { echo "$*" >&2; bad=1; }

# links to files and to headings
slug() { tr 'A-Z' 'a-z' | sed -E 's/[^a-z0-9 _-]//g; s/ /-/g'; }
links=0
for d in $(docs); do
    while read -r link; do
        links=$((links + 1))
        file=${link%%#*} heading=
        [[ $link != *'#'* ]] || heading=${link#*#}
        target=$SRC/$d
        [ -z "$file" ] || target=$SRC/$(dirname "$d")/$file
        [ -e "$target" ] || { wrong "$d: there is no $link"; continue; }
        [ -z "$heading" ] || sed -nE 's/^#+ +//p' "$target" | slug | grep -qx -- "$heading" || wrong "$d: no heading of $link"
    done < <(grep -oE '\]\([^)]+\)' "$SRC/$d" | sed -E 's/^\]\(//; s/\)$//' | grep -vE '^https?:')
done
[ $links -gt 20 ] || fail "only $links links were seen"

# files of the tree, by name
(cd "$SRC" && git ls-files 2>/dev/null || find . -type f | sed 's,^\./,,') >tree
for d in $(docs); do
    [ "$d" = CHANGELOG.md ] || grep -oE '`[A-Za-z0-9_./-]+\.(c|h|sh|awk)`|`(lib|tests|docs|configs|preprocess|train|infer|eval)/[A-Za-z0-9_./-]+`' "$SRC/$d"
done | tr -d '`' | grep -vE 'mine\.conf$|^cmd_NAME\.c$' | sed 's,/$,,' | sort -u >named
[ "$(wc -l <named)" -gt 50 ] || fail "only $(wc -l <named) files were seen"
# every path, every end of one, every folder
awk -F/ '{ for (i = 1; i <= NF; i++) { s = $i; f = i == 1 ? $1 : f "/" $i; print f; for (k = i + 1; k <= NF; k++) s = s "/" $k; print s } }' tree | sort -u >known
for f in $(comm -23 named known); do wrong "there is no $f, which the documents name"; done

# options, in the help of some subcommand
for program in preprocess train infer eval; do
    loom-$program --help >top
    for s in $(awk '/^Subcommands:/ {on = 1; next} /^$/ {on = 0} on && /^  / {print $1}' top); do loom-$program "$s" --help; done
done >help
grep -oE -- '--[a-z][a-z0-9-]+' help | sort -u >known
for d in $(docs); do
    [ "$d" != tests/README.md ] && [ "$d" != docs/PERFORMANCE.md ] && [ "$d" != docs/EXPERIMENTS.md ] || continue
    grep -oE '(^|[ `(])--[a-z][a-z0-9-]+' "$SRC/$d" | grep -oE -- '--.*'
done | grep -vxE -- '--(output-on-failure|bind-to|map-by|hostfile|mca|oversubscribe|nodes|ntasks-per-node|cpus-per-task|time|requeue|signal|cap-add|shm-size|install|prefix|cflags|libs|help-format)' |
    sort -u >named # those of ctest, cmake, pkg-config, mpirun, sbatch and docker are theirs; --help-format is hidden
[ "$(wc -l <named)" -gt 80 ] || fail "only $(wc -l <named) options were seen"
for o in $(comm -23 named known); do wrong "no subcommand has $o, which the documents name"; done

# make targets
for t in $(cd "$SRC" && grep -ohE '(`|    )make [a-z][a-z-]+' README.md docs/*.md tests/README.md | awk '{print $NF}' | sort -u); do
    grep -qE "^$t:" "$SRC/Makefile" || wrong "make $t is in the documents and not in the Makefile"
done

# variables that a command of make is given there, that stand there by themselves, or in its help: it must take all of them
(cd "$SRC" && cat README.md CHANGELOG.md docs/*.md tests/README.md) >texts
{ grep -oE '\bmake [a-z][a-z-]*[ |`][^|]*' texts; grep -oE '`[A-Z]+[A-Z_]*(_[a-z])?=' texts | tr '`' ' '; sed -nE 's/^[a-z][a-z-]*:[^#]*## / /p' "$SRC/Makefile"; } |
    grep -oE '[ (][A-Z][A-Z_]*(_[a-z])?=' | tr -d ' (' | grep -vE '^((OMPI|ONEDNN|PKG|LOOM|CALLS)_|NAME=)' | sort -u >named # those of other programs, and a word of ours
[ "$(wc -l <named)" -gt 40 ] || fail "only $(wc -l <named) variables of make were seen"
mapfile -t named < <(sed 's/$/1/' named)
env -u MAKEFLAGS -u MAKELEVEL make -C "$SRC" --no-print-directory -n help "${named[@]}" >log 2>&1 || wrong "make refuses what the documents name: $(tail -n 1 log)"

# comments: sections that are there, and none of what is not in the repository
cd "$SRC" || exit 1
while IFS=: read -r at line text; do
    for cited in $(grep -oE '[A-Z]+\.md sections? [0-9]+' <<<"$text" | sed -E 's/\.md sections? /:/'); do
        grep -qE "^## ${cited#*:}\." "docs/${cited%:*}.md" || wrong "$at:$line cites ${cited%:*}.md section ${cited#*:}, which is not there"
    done
done < <(grep -rnE '[A-Z]+\.md sections? [0-9]+' lib preprocess train infer eval tests --include='*.[ch]')
grep -rnE '\(?spec[:/ ] ?0?[0-9a-z]+.*section|spec/0[0-9]' lib preprocess train infer eval --include='*.[ch]' >&2 && wrong "a comment cites a specification that is not in the repository"
[ $bad = 0 ] || fail "the documents name what is not there"
