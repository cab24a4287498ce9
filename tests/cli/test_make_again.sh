# A model is trained once: another list of figures leaves it alone, and other questions or settings train those models anew
# that learn from them. The programs are stubs that write what they are asked for.
command -v make >/dev/null || skip "no make"
unset OUT CSV INIT CONFIG RUN BASE_MODEL METHODS FIGURES PRESET MAKEFLAGS MAKELEVEL
cp "$SRC"/Makefile.data "$SRC"/Makefile.recipe .
mkdir bin checkpoints
cp "$SRC/configs/demo.conf" .
touch checkpoints/base.h5 rows.csv
touch -d '1 hour ago' demo.conf checkpoints/base.h5 rows.csv
cat >bin/stub <<'STUB'
#!/usr/bin/env bash
echo "${0##*/} $*" >>said
last=
for word in "$@"; do
    case $last:$word in
    -o:*.pretrain | -o:*.sft | -o:*/infilling.instruction | -o:*/infilling.fresh) mkdir -p "$word" && touch "$word/model.h5" ;;
    -o:*/figures) mkdir -p "$word" ;;
    -o:* | --records:*) touch "$word" ;;
    --train:* | --valid:*) [ -e "$word" ] || touch "$word" ;;
    esac
    last=$word
done
STUB
chmod +x bin/stub
for program in preprocess train infer eval; do ln -s stub "bin/loom-$program"; done
draw() { : >said; make --no-print-directory -f Makefile.data BIN=bin CONFIG=demo.conf OUT=out CSV=rows.csv METHODS=instruction "$@" figures >log 2>&1 || { cat log >&2; fail "make $*"; }; }
trained() { grep -cE '^loom-train (sft|pretrain)' said; }

draw FIGURES='5 7 T2'
[ "$(trained)" = 3 ] || { grep loom-train said >&2; fail "three models, not $(trained)"; }
draw FIGURES='5 7 T2'
[ "$(trained)" = 0 ] && ! grep -q '^loom-infer' said || { cat said >&2; fail "the same once more works"; }
draw FIGURES='7 8'
[ "$(trained)" = 0 ] && ! grep -qE '^loom-(infer|preprocess)' said || { cat said >&2; fail "another list of figures makes models or questions anew"; }
says said 'loom-eval infilling' # the figure says what it stands among
draw FIGURES='7 8' LESSONS=77
[ "$(trained)" = 2 ] || { cat said >&2; fail "other lessons: two models, not $(trained)"; }
draw FIGURES='7 8' LESSONS=77 INFILLING='--tokens 5'
[ "$(trained)" = 2 ] && ! grep -q '^loom-preprocess' said || { cat said >&2; fail "other settings: two models and no question"; }
