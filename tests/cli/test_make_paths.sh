# The front door takes any path, and says in a sentence what it cannot find or does not know. The data rules are a stub.
command -v make >/dev/null || skip "no make"
unset OUT CSV INIT CONFIG RUN BASE_MODEL MAKEFLAGS MAKELEVEL
cp "$SRC/Makefile" "$SRC/Makefile.base" .
cat >Makefile.data <<'END'
FIGURES ?= 3
pretrain:
	@mkdir -p $(OUT); cat $(CSV) /dev/null >$(OUT)/rows; cat $(CONFIG) >$(OUT)/conf
	@echo 'CSV=$(CSV) RUN=$(RUN) FIGURES=$(FIGURES) OUT=$(OUT)'
END
mkdir bin configs build
printf '#!/bin/sh\n' >bin/cmake
chmod +x bin/cmake
touch -d '1 hour ago' CMakeLists.txt
touch build/build.ninja
for name in demo 'a b'; do echo "$name" >"configs/$name.conf"; done
front() { PATH=$PWD/bin:$PATH make --no-print-directory pretrain "$@" >said 2>err; }
made() { [ "$(cat "$1" 2>/dev/null)" = "$2" ] || { cat said err >&2; fail "$1 is not \"$2\""; }; }
refused() {
    front "$@" && fail "$* is taken"
    [ "$(grep -cvE '^make(\[[0-9]*\])?: ' err)" -le 1 ] || { cat err >&2; fail "$*: not one sentence"; }
}

echo one >'my file.csv'
echo two >"it's \"q\"; touch owned.csv"
front CSV='my file.csv' FIGURES='3 4' || fail "a blank in CSV="
made out/demo-my_file/rows one
says said 'CSV=out/links/[0-9]+-my_file\.csv RUN=demo FIGURES=3 4 OUT='
front CSV="it's \"q\"; touch owned.csv" OUT='my dir/made' || fail "quotes in CSV="
made 'my dir/made/rows' two
[ ! -e owned.csv ] || fail "a name was run as a command"
# a name is data to make as well: nothing in it is a variable, a function, a pattern, an option or the end of a line
odd=('a$x' 'b$(touch owned)' 'c$(shell touch owned)' 'd`touch owned`' $'e\nf' '50%' -x '@y' '<script>' '%s%n' '#h' 'i=j:k' '*' '~' 'l,m' '(n' 'o)' "p'q" '..')
for name in "${odd[@]}"; do
    [ "$name" = .. ] && name=sub/../..r
    mkdir -p sub; echo "$name" >"$name.csv"
    front CSV="$name.csv" || fail "CSV=$name.csv"
    made "$(sed -nE 's/^CSV=.* OUT=//p' said)/rows" "$name"
    front CSV='my file.csv' OUT="to/$name" || fail "OUT=to/$name"
    made "to/$name/rows" one
    [ ! -e owned ] || fail "$name was run as a command"
done
[ "$(find out -path out/links -prune -o -name rows -print | wc -l)" -gt 15 ] || fail "odd names share a folder"
front RUN='a b' || fail "a blank in RUN="
made out/a_b/conf 'a b'
front CONFIG='configs/a b.conf' || fail "a blank in CONFIG="
made out/a_b/conf 'a b'

refused CSV=nowhere.csv; says err '^there is no CSV=nowhere.csv; give traces \(CallGraph CSV'
refused RUN=dmo; says err '^there is no configs/dmo.conf; RUN= is one of: a b demo, CONFIG= a file'
refused INIT='no folder'; says err '^there is no folder INIT=no folder'
refused CVS='my file.csv'; says err 'CVS= is no variable of this Makefile; make help tells them'

# A variable of the base model's rules is known; without them the front door works and says nothing of its own.
front CSV='my file.csv' UNSEEN=1001 || fail "UNSEEN= of Makefile.base is not known"
rm Makefile.base
front CSV='my file.csv' || fail "the front door needs Makefile.base"
[ ! -s err ] || { cat err >&2; fail "something is said without Makefile.base"; }
