#!/usr/bin/env bash
# layers.sh [TREE]: holds the sources to the table of folders in docs/ARCHITECTURE.md. tests/cli/test_layers.sh plants faults.
#   - an include in quotes is rooted, names a file of the tree, and points to its own folder or to one that the table allows
#   - rooms (subfolders) are in the table, include only the rooms that it names, and every room that it names
#   - a header of the tree is never in angle brackets; one of a library only where its one door is; else C and POSIX
#   - *_impl.h and *_internal.h are included from their own folder only
#   - no circle of files, none of rooms; names of files and of types are unique
#   - a file of more than 500 lines says in its first comment why
# It fails when it saw no source, no include or no table, too.
set -u
tree=${1:-$(dirname "$0")/..}
cd "$tree" || exit 1
[ -f docs/ARCHITECTURE.md ] || { echo "there is no docs/ARCHITECTURE.md to hold the sources to"; exit 1; }
mapfile -t files < <(find lib preprocess train infer eval -name '*.[ch]' 2>/dev/null | sort)
[ ${#files[@]} -gt 0 ] || { echo "no source was seen"; exit 1; }
exec awk '
function complain(text) { print text; bad = 1 }
function folder_of(path) { sub(/\/[^\/]*$/, "", path); return path }
function top_of(path,   p) { split(path, p, "/"); return p[1] == "lib" ? p[1] "/" p[2] : p[1] }
function base_of(path) { sub(/.*\//, "", path); return path }
# "lib/trace/text.c" and "lib/trace/text.h" are one module. A sentence about an error needs text, escapes and memory, and each
# of these tells errors: they are one.
function module_of(path)
{
    sub(/\.[ch]$/, "", path)
    sub(/^lib\/core\/(buf|nomem|escape)$/, "lib/core/err", path)
    return path
}
function once(text, key) { if (!(key in told)) complain(text); told[key] = 1 }
# is there a row for it, and is its name the only one of its kind?
function look_at(file,   folder, top, name)
{
    folder = folder_of(file); top = top_of(file); name = base_of(file)
    if (name in owner) complain("file names must be unique in the tree: " owner[name] " and " file)
    owner[name] = file
    seen_folder[folder] = 1
    if (!(top in listed)) once(file ": " top " is not in the table of docs/ARCHITECTURE.md", top)
    else if (!(folder in listed)) once(file ": the room " folder " is not in the table of docs/ARCHITECTURE.md: give it a row, with the rooms that it includes", folder)
}
# by what is left of the includes
function reaches(from, goal,   been, queue, head, tail, near, n, i) {
    queue[++tail] = from; been[from] = 1
    while (head < tail) {
        n = split(uses[queue[++head]], near, SUBSEP)
        for (i = 1; i <= n; i++) {
            if (near[i] == goal) return 1
            if (near[i] != "" && !(near[i] in been)) { been[near[i]] = 1; queue[++tail] = near[i] }
        }
    }
    return 0
}

BEGIN {
    n = split("assert ctype dirent dlfcn errno fcntl float inttypes limits locale math poll pthread regex sched setjmp signal spawn " \
              "stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string strings sys/file sys/ioctl sys/mman sys/random " \
              "sys/auxv sys/resource sys/socket sys/stat sys/statvfs sys/syscall sys/time sys/types sys/wait time ucontext unistd wchar " \
              "cpuid immintrin netdb netinet/in arpa/inet", standard, " ")
    for (i = 1; i <= n; i++) door["^" standard[i] "\\.h$"] = "."
    door["^(hdf5|H5[A-Za-z]*)\\.h$"] = "^lib/store/"
    door["^cblas\\.h$"] = "^lib/model/([a-z_]+/)?blas\\.c$"
    door["^lapacke\\.h$"] = "^lib/model/([a-z_]+/)?(lora|pissa|gaussian)[a-z_]*\\.c$"
    door["^oneapi/"] = "^lib/model/([a-z_]+/)?(half|bf16)[a-z_]*\\.c$"
    door["^(jansson|zstd|archive|archive_entry|xxhash)\\.h$|^isa-l/"] = "^lib/core/"
    door["^pcre2\\.h$"] = "^lib/tokenizer/"
    door["^curl/curl\\.h$"] = "^infer/push/http_post\\.c$"
    door["^malloc\\.h$"] = "^lib/core/usage\\.c$"
    door["^mpi\\.h$"] = "^lib/core/"
    door["^microhttpd\\.h$"] = "^infer/serve/"
    for (i = 2; i < ARGC; i++) here[ARGV[i]] = 1
}

# ---- the table: | `folder` | `what` `it` `may` `include` | ... |
FILENAME == "docs/ARCHITECTURE.md" {
    if ($0 !~ /^\| `(lib\/[a-z_0-9\/]+|preprocess|train|infer|eval)[a-z_0-9\/]*` \|/) next
    split($0, cell, "|")
    name = cell[2]; gsub(/[` ]/, "", name)
    listed[name] = 1; n_listed++
    n = split(cell[3], words, " ")
    for (i = 1; i <= n; i++) { w = words[i]; gsub(/[`,]/, "", w); if (w != "") may[name, w] = 1 }
    next
}

FNR == 1 { file = FILENAME; excused = 0 }

# ---- long files say why
FNR <= 20 && /onger than most/ { excused = 1 }
FNR == 501 && !excused { complain(file ": over 500 lines; divide it, or say in the first comment why it is \"longer than most\"") }

# ---- types: defined once
/^(typedef )?(struct|enum|union) loom_[a-z0-9_]+ *\{/ || /^(typedef )?(struct|enum|union) loom_[a-z0-9_]+ *$/ || /^\} loom_[a-z0-9_]+;/ {
    match($0, /loom_[a-z0-9_]+/); type = substr($0, RSTART, RLENGTH)
    if ((type in type_at) && type_at[type] != file) complain(file ":" FNR ": the type " type " is there already, in " type_at[type])
    type_at[type] = file
}

/^[ \t]*#[ \t]*include[ \t]*["<]/ {
    includes++
    target = $0; sub(/^[ \t]*#[ \t]*include[ \t]*/, "", target)
    angle = substr(target, 1, 1) == "<"
    target = substr(target, 2); sub(/[">].*/, "", target)
    at = file ":" FNR
    first = target; sub(/\/.*/, "", first)
    if (angle) {
        pending[++n_pending] = at SUBSEP file SUBSEP target
        next
    }
    if (target !~ /\//) { complain(at ": include \"" target "\" is not rooted"); next }
    edge_from[++n_edges] = file; edge_to[n_edges] = target; edge_at[n_edges] = at
}

END {
    if (!n_listed) { print "docs/ARCHITECTURE.md has no table of folders"; exit 1 }
    for (i = 2; i < ARGC; i++) look_at(ARGV[i])
    if (!includes) { print "no include was seen"; exit 1 }
    for (name in listed) {
        found = 0
        for (f in seen_folder) if (f == name || index(f, name "/") == 1) found = 1
        if (!found) complain("docs/ARCHITECTURE.md lists " name ", where no source is")
    }
    for (i = 1; i <= n_pending; i++) {
        split(pending[i], p, SUBSEP)
        if (("lib/" p[3]) in here || p[3] in here) { complain(p[1] ": <" p[3] "> is a file of ours, and must stand in quotes"); continue }
        ok = known = 0
        for (d in door) if (p[3] ~ d) { known = 1; if (p[2] ~ door[d]) ok = 1 }
        if (!known) complain(p[1] ": <" p[3] "> has no door in tests/layers.sh: say which folder may include it")
        else if (!ok) complain(p[1] ": <" p[3] "> is included outside its one folder")
    }
    for (i = 1; i <= n_edges; i++) {
        from = edge_from[i]; target = edge_to[i]; at = edge_at[i]
        to = ("lib/" target) in here ? "lib/" target : target
        if (!(to in here)) { complain(at ": there is no \"" target "\""); continue }
        a = top_of(from); b = top_of(to); fa = folder_of(from); fb = folder_of(to)
        if (a != b && !((a, b) in may) && !(b ~ /^lib\// && (a, "lib/*") in may)) complain(at ": " a " must not include \"" target "\"")
        if (to ~ /_(impl|internal)\.h$/ && fa != fb) complain(at ": \"" target "\" belongs to " fb " alone")
        if (a == b && fa != fb && fa != a) { # between rooms; what lies at the top of a folder may use all its rooms
            room = substr(fb, length(b) + 2); if (room == "") room = "."
            if (fa in listed && !((fa, room) in may)) complain(at ": the room " fa " must not include \"" target "\"")
            used[fa, room] = 1; arc["room " fa, "room " fb] = at
        }
        # an inner header is the common notebook of its folder, not a file above or below
        if (to !~ /_(impl|internal)\.h$/ && module_of(from) != module_of(to)) arc[module_of(from), module_of(to)] = at
    }
    for (pair in may) {
        split(pair, p, SUBSEP)
        if (p[1] != top_of(p[1] "/x") && !((p[1], p[2]) in used)) complain("docs/ARCHITECTURE.md says that " p[1] " includes " p[2] "; it does not")
    }
    # ---- circles: take away, again and again, what includes nothing that is left, or what nothing left includes
    for (pair in arc) { split(pair, p, SUBSEP); node[p[1]] = 1; node[p[2]] = 1 }
    do {
        changed = 0
        for (x in node) { out[x] = 0; in_[x] = 0 }
        for (pair in arc) { split(pair, p, SUBSEP); if (p[1] in node && p[2] in node) { out[p[1]]++; in_[p[2]]++ } }
        for (x in out) if (x in node && (!out[x] || !in_[x])) { delete node[x]; changed = 1 }
    } while (changed)
    for (pair in arc) { split(pair, p, SUBSEP); if (p[1] in node && p[2] in node) uses[p[1]] = uses[p[1]] SUBSEP p[2] }
    for (pair in arc) {
        split(pair, p, SUBSEP)
        if (p[1] in node && p[2] in node && reaches(p[2], p[1])) complain("circle: " p[1] " includes " p[2] " (" arc[pair] ")")
    }
    exit bad
}' docs/ARCHITECTURE.md "${files[@]}"
