# A recipe is its configuration file: a copy under another name gives the same commands. A variable of the command line goes
# before it, and what [recipe] cannot mean is an error with its line.
command -v make >/dev/null || skip "no make"
unset OUT CSV INIT CONFIG RUN BASE_MODEL METHODS FIGURES PRESET MAKEFLAGS MAKELEVEL
cp "$SRC"/Makefile* .
cp -r "$SRC/configs" configs
mkdir checkpoints && touch checkpoints/base.h5 rows.csv
plan() { make --no-print-directory -o build BUILD=build -n figures "$@" 2>&1 | grep -v '^set -e'; }
commands() { grep -c '^build/bin/loom-' "$1"; }

for recipe in desk scratch demo real tiny jobs; do
    cp configs/$recipe.conf configs/mine.conf
    plan RUN=$recipe | sed "s/$recipe\.conf/mine.conf/g; s,out/$recipe\\>,out/mine,g" >one
    plan RUN=mine >two
    cmp one two || { diff one two | head -n 5 >&2; fail "a copy of $recipe.conf gives other commands"; }
    [ "$(commands one)" -gt 20 ] || { head -n 5 one >&2; fail "no plan of $recipe"; }
    echo "$recipe: $(commands one)" >>counts
done
says counts '^desk: (1[01][0-9])$' # 31 of them make what is learnt again
says counts '^demo: 2[0-9]$'
plan RUN=jobs >out
says out 'loom-preprocess sample-jobs .*-o out/jobs/batch_task.csv'
says out 'loom-preprocess jobs .*out/jobs/batch_task.csv --names out/jobs/names.tsv'
plan RUN=demo FIGURES=17 >err; says err 'figure 17 rests on batch jobs'
plan RUN=demo FIGURES='T2 7' METHODS=tabular >err; says err 'figures 6, 7 and 13 and table 2 need the instruction model'
plan RUN=demo FIGURES='5 7 T2' >out
# training text asks for every slow graph as a slow one; prompts that do not would get none, and no likeness of response times
plan RUN=desk >told
grep 'loom-eval prompts .*--mode instruction' told >asked && [ "$(wc -l <asked)" -ge 2 ] || fail "the desk recipe asks for nothing"
grep -v -- '--stats ' asked && fail "prompts of the instruction model do not know what is slow"
# a model that finishes no graph (3) has answered, under every rule
[ "$(grep -c 'loom-infer sample ' out)" = "$(grep -cF '|| test $? -eq 3' out)" ] || fail "an answer of a model that finishes nothing is taken for a failure"
for what in 'topology ' 'management ' 'classes ' 'infilling '; do says out "loom-eval $what"; done
says out 'loom-train classify .*--fresh'
# the trainings of figure 7 go together with what each recipe sets for its models: what they miss here are files only
for recipe in desk demo real; do
    plan RUN=$recipe FIGURES=7 | grep 'loom-train .*-o out/.*/infilling\.' | sed 's,^build/bin/,,' >trainings
    [ "$(wc -l <trainings)" = 2 ] || fail "$recipe tunes other than two models for figure 7"
    while read -r training; do
        $training --dry-run 2>err && fail "trained on nothing: $training"
        says err 'cannot open out/.*questions.tokens.h5'
    done <trainings
done
for figure in 3 3a 3b 3c 12; do plan RUN=demo FIGURES=$figure TEMPERATURES=1 >out; says out 'loom-eval heatmap '; done
touch x.jsonl
plan RUN=demo FIGURES=T3 OUTSIDE=theirs=x.jsonl >out; says out 'instruction.small.prompts.jsonl'; says out 'loom-eval few-shot .*theirs=x.jsonl'
plan RUN=demo FIGURES='T3 3a' OUTSIDE=theirs=x.jsonl >out
grep -q small out && fail "what was asked for figure 3 is asked for table 3 again"
cp configs/base.conf configs/mine.conf
base() { make --no-print-directory -f Makefile.base -n BIN=b OUT=o CONFIG="$1" base 2>&1 | sed 's/base\.conf/mine.conf/g'; }
[ "$(base configs/base.conf | md5sum)" = "$(base configs/mine.conf | md5sum)" ] || fail "a copy of base.conf gives other commands"

# a recipe that includes another differs in what it says itself; whose fault it is, is said with file and line
printf '# like desk\ninclude = desk.conf\n' >configs/mine.conf
plan RUN=desk | sed "s/desk\.conf/mine.conf/g; s,out/desk\\>,out/mine,g" >one
plan RUN=mine >two
cmp one two || fail "a recipe that includes desk.conf and says nothing gives other commands"
printf '[recipe]\nmethods = tabular\n' >>configs/mine.conf
plan RUN=mine >out; says out '--mode tabular'; grep -q -- '--mode instruction' out && fail "what is included goes before the file"
loom-preprocess balance --config configs/mine.conf --print-config >out; says out '^unmet = 0.15'
# what was made before the included file was edited is made again
mkdir kept && touch kept/traces.meta.json
traces() { make --no-print-directory -n -f Makefile.data BIN=b OUT=kept CONFIG=configs/mine.conf kept/traces.meta.json >out 2>&1; }
touch -d '1 hour ago' configs/mine.conf configs/desk.conf
traces; grep -q 'sample-traces' out && fail "made again for nothing"
touch -d '1 hour' configs/desk.conf
traces; says out 'loom-preprocess sample-traces '
printf 'include = nowhere.conf\n' >configs/mine.conf; plan RUN=mine >err; says err 'configs/mine.conf: there is no configs/nowhere.conf to include'
printf '[recipe]\n\nmethod = tabular\n' >configs/under.conf; printf 'include = under.conf\n' >configs/mine.conf
plan RUN=mine >err; says err 'configs/under.conf:3: unknown key "method" in .recipe.'
printf '[recipe]\nfigures = 3\n' >configs/under.conf; printf 'include = under.conf\n[recipe]\nfigures = 8\nfigures = 12\n' >configs/mine.conf
plan RUN=mine >err; says err 'configs/mine.conf:4: "figures" is set twice'

# a base model that is made first, by its own recipe
printf 'include = desk.conf\n[recipe]\nbase-model = configs/small-base.conf\n' >configs/mine.conf
plan RUN=mine METHODS=instruction >out
says out 'loom-preprocess sample-traces --config configs/small-base.conf .*--seed 12 -o out/mine/base/world-12'
grep -q 'base/world-13' out && fail "more worlds than small-base.conf has"
says out '--base-model out/mine/base/base.h5 -o out/mine/instruction.sft'
mkdir -p kept/base && touch kept/base/base.h5 # Makefile.base alone knows whether what that follows from is newer
make --no-print-directory -n -f Makefile.data BIN=b OUT=kept CONFIG=configs/mine.conf kept/base/base.h5 >out 2>&1
says out 'Makefile.base .*CONFIG=configs/small-base.conf .* kept/base/base.h5'
plan RUN=mine BASE_MODEL=configs/none.conf >err; says err 'BASE_MODEL=configs/none.conf is not there'

# what the file says is done, and the command line goes before it
printf '[recipe]\nmethods = recursive   # alone\nfigures = 12\ntemperatures = "0.5"\nfull = no\n' >configs/mine.conf
plan RUN=mine >out; grep -q -- '--mode recursive' out || fail "methods are not read"
grep -q -- '--mode tabular' out && fail "a form that is not asked for"
grep -q -- '--constrain full' out && fail "full = no"
plan RUN=mine METHODS=tabular FULL=yes >out
says out '--mode tabular'; says out '--constrain full'
grep -q -- '--mode recursive' out && fail "METHODS= does not go before the file"
grep -q replay out && fail "worlds of the base are learnt again though nobody asked for it"
printf 'replay = 3:5\nreplay-samples = 700\n' >>configs/mine.conf
plan RUN=mine METHODS='tabular instruction' >out
[ "$(sed -n 's/.*loom-preprocess sample-traces .*--seed \([0-9]*\) .*replay.*/\1/p' out | paste -sd' ')" = '3 4 5' ] || fail "other worlds than replay = 3:5"
says out 'loom-preprocess balance --config .*base.conf .*--samples 700 --names .* -o .*replay.txt.zst'
says out 'loom-train sft .*instruction.train.tokens.h5 .*replay.tokens.h5 --valid'
grep 'loom-train pretrain' out | grep -q replay && fail "the tabular model learns instruction text"
plan RUN=mine METHODS=instruction BASE_MODEL=none >out; grep -q replay out && fail "learnt again without a base that knew it"
# from random weights, where names change places: a first part on such texts alone
printf 'base-model = none\nrenamed = own\n' >>configs/mine.conf
plan RUN=mine METHODS='tabular instruction' >out
says out 'loom-preprocess balance .*instruction.train.txt.zst .*--renamed 1  *--retimed 0 -o'; says out 'loom-preprocess tokens .*instruction.renamed.txt.zst  *--tokenizer'
says out 'loom-train pretrain --config [^ ]* --force  *out/mine/instruction.renamed.tokens.h5 --valid'
says out 'loom-train sft .* out/mine/instruction.train.tokens.h5 out/mine/instruction.renamed.tokens.h5 --valid'
says out '--base out/mine/instruction.pretrain/model.h5'
grep -q 'tabular.renamed\|replay\|base.h5' out && fail "more than the tuned model learns such texts, or a base is there"
plan RUN=mine METHODS=instruction BASE_MODEL=checkpoints/base.h5 RENAMED=yes >out; says out '--base-model checkpoints/base.h5'; says out '--names 200:40'
plan RUN=mine RENAMED=others >err; says err 'RENAMED is others; it is yes, own or no'
printf 'infilling-options = --lr 2e-3 --context 256\n' >>configs/mine.conf
plan RUN=mine METHODS=instruction FIGURES=7 LESSONS='80 20' >out
says out '--task attribute --questions 80 .*train.questions'; says out '--task edge --questions 20 .*train.questions'
[ "$(grep -c 'loom-train .* --lr 2e-3 --context 256 -o out/mine/infilling' out)" = 2 ] || fail "figure 7 tunes its two models in different ways"
printf '[balance]\nexponent = 0\nunmet = 0.2\n' >>configs/mine.conf
plan RUN=mine >out; says out 'loom-preprocess balance .*recursive.train.txt.zst'
says out 'loom-preprocess balance .*train.txt.zst .*--unmet 0 -o'
plan RUN=mine BASE_MODEL=checkpoints/base.h5 >out; grep 'balanced.txt.zst' out | grep -q 'train.txt.zst .*--unmet 0' && fail "requests that are not met are left out"
expect 0 loom-preprocess balance --config configs/mine.conf --print-config # the programs leave [recipe] alone

refused() { # TEXT PATTERN
    printf "$1" >configs/mine.conf
    plan RUN=mine >err; says err "$2"
}
refused '[recipe]\nmethod = tabular\n' 'configs/mine.conf:2: unknown key "method" in '
refused '[recipe]\npreset = desk\npreset = paper\n' 'configs/mine.conf:3: "preset" is set twice'
refused '[recipe]\n\nfigures = 3; touch x\n' 'configs/mine.conf:3: a value of \[recipe\] is made of'
[ ! -e x ] || fail "a value was run as a command"
refused '[recipe]\nmethods = tabluar\n' 'METHODS names tabluar; there are tabular recursive instruction'
plan RUN=paper >err; says err 'there is no configs/paper.conf; RUN= is one of: .* PRESET=paper'
