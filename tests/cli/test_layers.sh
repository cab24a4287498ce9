# tests/layers.sh finds what it is there to find: each fault is planted alone into a copy of the sources.
for folder in lib preprocess train infer eval; do cp -r "$SRC/$folder" .; done
mkdir docs && cp "$SRC/docs/ARCHITECTURE.md" docs/
layers() { bash "$SRC/tests/layers.sh" "$PWD" >out 2>&1; }
layers || { cat out >&2; fail "the sources themselves are at fault"; }

# found PATTERN: the fault is named, and nothing else. What was planted lies in `planted`, what it hid in hidden/.
planted=()
found() {
    layers && fail "not found: $1"
    grep -qE -- "$1" out || { cat out >&2; fail "not named: $1"; }
    local file
    for file in "${planted[@]}"; do rm -f "$file"; done
    planted=()
    find lib preprocess train infer eval -mindepth 1 -type d -empty -delete 2>/dev/null
}
plant() { mkdir -p "$(dirname "$1")"; printf '%b' "$2" >"$1"; planted+=("$1"); }

# where headers lie today
h5=$(cd lib && find store -name h5.h) text=$(cd lib && find trace -name text.h) llama=$(cd lib && find model -name llama.h)

plant lib/trace/planted.c "#include <$h5>\\n";           found '^lib/trace/planted.c:1: <store/.*h5.h> is a file of ours'
plant lib/trace/planted.c "# include \"$h5\"\\n";          found '^lib/trace/planted.c:1: lib/trace must not include "store/.*h5.h"'
plant lib/trace/planted.c "\\n\\t#include \"$h5\"\\n";       found '^lib/trace/planted.c:2: lib/trace must not include'
plant lib/trace/planted.c "#\\tinclude\\t\"$h5\"\\n";        found '^lib/trace/planted.c:1: lib/trace must not include'
plant lib/core/planted.h "#include \"$text\"\\n";          found 'lib/core must not include "trace/.*text.h"'
plant train/planted.c '#include "infer/infer_main.c"\n';       found 'train must not include|there is no'
plant train/planted.c '#include "core/nowhere.h"\n';           found 'there is no "core/nowhere.h"'
plant eval/planted.c '#include "eval_main.h"\n';               found 'is not rooted'
plant lib/model/planted.c '#include <hdf5.h>\n';               found '<hdf5.h> is included outside its one folder'
plant lib/model/rope_planted.c '#include <cblas.h>\n';         found '<cblas.h> is included outside its one folder'
plant eval/planted.c '#include <jansson.h>\n';                 found '<jansson.h> is included outside its one folder'
plant train/planted.c '#include <mpi.h>\n';                    found '<mpi.h> is included outside its one folder'
plant train/planted.c '#include <math.h>\n'"$(yes '\n' | head -n 500 | tr -d '\n')"; found '^train/planted.c: over 500 lines'
plant infer/planted.c '#include <sqlite3.h>\n';                found '<sqlite3.h> has no door in tests/layers.sh'
plant infer/planted.c '#include <curl/curl.h>\n';              found '<curl/curl.h> is included outside its one folder'
plant lib/model/planted_impl.h '';                             plant train/planted.c '#include "model/planted_impl.h"\n'
found '"model/planted_impl.h" belongs to lib/model alone'
plant lib/trace/planted/deep.c "#include \"$llama\"\\n";   found 'lib/trace must not include "model/.*llama.h"'
plant lib/trace/planted/deep.c '';                             found 'the room lib/trace/planted is not in the table'
plant lib/planted/deep.c '';                                   found 'lib/planted is not in the table'
plant train/err.c '';                                          found 'file names must be unique in the tree: '
plant lib/trace/planted.h 'typedef struct loom_planted {\n    int x;\n} loom_planted;\n'
plant eval/planted_too.h 'typedef struct loom_planted {\n    int y;\n} loom_planted;\n'
found 'the type loom_planted is there already, in '
plant lib/trace/planted_a.h '#include "trace/planted_b.h"\n'; plant lib/trace/planted_b.c '#include "trace/planted_a.h"\n'
plant lib/trace/planted_b.h '';                                found '^circle: lib/trace/planted_a includes lib/trace/planted_b'

# rooms: what the table says of them holds, both ways
cp docs/ARCHITECTURE.md whole
row() { sed "s#^| \`eval\` .*#&\n| \`eval/planted\` | $1 | a room |\n| \`eval/below\` | $2 | another |#" whole >docs/ARCHITECTURE.md; }
row '`below`' ''
plant eval/planted/up.c '#include "eval/below/down.h"\n'; plant eval/below/down.h ''
layers || { cat out >&2; fail "a room may include what the table says"; }
row '' '';                 found 'the room eval/planted must not include "eval/below/down.h"'
row '`below`' ''
plant eval/planted/up.c ''; plant eval/below/down.h '';        found 'says that eval/planted includes below; it does not'
row '`below`' '`planted`'
plant eval/planted/up.c '#include "eval/below/down.h"\n'; plant eval/below/down.h ''
plant eval/planted/left.h ''; plant eval/below/right.c '#include "eval/planted/left.h"\n'
found '^circle: room eval/'
cp whole docs/ARCHITECTURE.md

# a guard that saw nothing fails
mv eval away; found 'lists eval, where no source is'; mv away eval
grep -v '^| `' whole >docs/ARCHITECTURE.md; found 'has no table of folders'
rm docs/ARCHITECTURE.md; found 'there is no docs/ARCHITECTURE.md'
cp whole docs/ARCHITECTURE.md
for f in lib preprocess train infer eval; do mv $f $f.away; done
found 'no source was seen'
mkdir -p lib/core && : >lib/core/planted.c
found 'no include was seen|where no source is'
rm -r lib
for f in lib preprocess train infer eval; do mv $f.away $f; done
layers || { cat out >&2; fail "something planted is left"; }
