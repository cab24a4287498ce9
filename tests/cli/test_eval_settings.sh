# Table 1 says how a model was trained: what an option leaves to the program is "automatic", and of the lengths of a run stand those that
# ended it, no default beside them.
F=$SRC/tests/frozen
used() { expect 0 loom-eval settings "pretrain=$1" -o "$2" -q; awk -F, -v want="$3" '$4 == want { print $NF }' "$2/table1.csv"; }
[ "$(used "$F/run/model.h5" frozen steps)" = 4 ] || fail "the frozen run had $(used "$F/run/model.h5" frozen2 steps) steps, not 4"
grep -qE ',epochs,,1$' frozen/table1.csv && fail "epochs beside the steps that ended the run"
[ "$(used "$F/run/model.h5" again 'learning rate')" = automatic ] || fail "a learning rate of 0"
loom-train pretrain "$F/i.tokens.h5" --hidden 8 --layers 1 --heads 2 --context 1024 --batch-tokens 1024 --tokens 900 --lr 1e-3 --no-plot -q -o run ||
    fail "no model"
[ "$(used run tokens tokens)" = 900 ] || fail "no tokens in the table"
[ "$(used run rate 'learning rate')" = 0.001 ] || fail "another learning rate than the one that was given"
loom-train pretrain "$F/i.tokens.h5" --hidden 8 --layers 1 --heads 2 --context 1024 --batch-tokens 100000 --epochs 1 --no-plot -q -o whole ||
    fail "no model"
[ "$(used whole epochs epochs)" = 1 ] || fail "no epochs of a run that they ended"
