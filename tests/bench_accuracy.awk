# The table of bench_accuracy.sh: reads "wanted SET START BASE PRECISION MINUTES THREADS MACHINE" and results, one JSON object
# a line; writes Markdown. Of the seeds of one row it shows the median and, from two seeds on, the range.

function value(name,    s) {
    if (!match($0, "\"" name "\":(\"[^\"]*\"|[-+.e0-9]+)")) return ""
    s = substr($0, RSTART + length(name) + 3, RLENGTH - length(name) - 3)
    gsub(/"/, "", s)
    return s
}
function order_of(set, start, base, precision) {
    return set (start == "adamw" ? 1 : start == "muon" ? 2 : 3) base (precision == "f32" ? 1 : 2)
}
# A row: one machine, set, start and precision. Minutes are its columns.
function row_of(machine, set, start, base, precision,    row) {
    row = machine SUBSEP set SUBSEP start SUBSEP base SUBSEP precision
    if (!(row in seen)) { seen[row] = order_of(set, start, base, precision); rows[++n_rows] = row; known_machine(machine) }
    return row
}
function known_machine(machine) { if (!(machine in machine_seen)) { machine_seen[machine] = 1; machines[++n_machines] = machine } }
function known_minutes(m) { if (!(m in minutes_seen)) { minutes_seen[m] = 1; minutes[++n_minutes] = m } }
function once(list, word) { return index(", " list ",", ", " word ",") ? list : list (list == "" ? "" : ", ") word }

# sorts sorted[1..n], numbers
function sort_numbers(n,    i, j, v) {
    for (i = 2; i <= n; i++) {
        v = sorted[i]
        for (j = i - 1; j > 0 && sorted[j] + 0 > v + 0; j--) sorted[j + 1] = sorted[j]
        sorted[j + 1] = v
    }
}
function median_of(what, at,    i, n) {
    n = count[at]
    for (i = 1; i <= n; i++) sorted[i] = figure[what, at, i]
    sort_numbers(n)
    return n % 2 ? sorted[(n + 1) / 2] : (sorted[n / 2] + sorted[n / 2 + 1]) / 2
}
function accuracy(at,    middle) {
    middle = median_of("share", at)
    return count[at] < 2 ? sprintf("%.1f", middle) : sprintf("%.1f (%.1f-%.1f)", middle, sorted[1], sorted[count[at]])
}
function grouped(v,    s, out) {
    s = sprintf("%.0f", v)
    for (out = ""; length(s) > 3; s = substr(s, 1, length(s) - 3)) out = "," substr(s, length(s) - 2) out
    return s out
}

BEGIN {
    set_name["a"] = "a: demonstration"; set_name["b"] = "b: desk"; set_name["c"] = "c: small, unseen"; set_name["d"] = "d: real"
    start_name["adamw"] = "scratch, AdamW"; start_name["muon"] = "scratch, Muon"; start_name["base"] = "base"
    precision_name["f32"] = "float32"; precision_name["bf16"] = "bfloat16"
}
/^wanted / {
    machine = $8
    for (i = 9; i <= NF; i++) machine = machine " " $i
    row_of(machine ", " $7 " threads", $2, $3, $4, $5)
    known_minutes($6 + 0)
    next
}
{
    machine = value("machine") ", " value("threads") " threads"
    base = value("base")
    row = row_of(machine, value("set"), value("start"), base == "" ? "-" : base, value("precision"))
    m = value("minutes") + 0
    known_minutes(m)
    at = row SUBSEP m
    i = ++count[at]
    figure["share", at, i] = 100 * value("right") / value("graphs")
    figure["graphs", at, i] = value("graphs")
    figure["wall", at, i] = value("wall_s")
    figure["cpu", at, i] = value("cpu_s")
    figure["steps", at, i] = value("steps")
    figure["tokens", at, i] = value("tokens")
    versions[machine] = once(versions[machine], value("version"))
    if (first[machine] == "" || value("date") < first[machine]) first[machine] = value("date")
    if (value("date") > last[machine]) last[machine] = value("date")
}

function row_names(part) {
    return set_name[part[2]] " | " start_name[part[3]] (part[3] == "base" && part[4] != "-" ? " " part[4] : "") " | " precision_name[part[5]]
}
function summary(machine,    r, i, part, line, at) {
    line = "| traces | start | products |"
    for (i = 1; i <= n_minutes; i++) line = line " " minutes[i] " min |"
    print line
    line = "|---|---|---|"
    for (i = 1; i <= n_minutes; i++) line = line "---:|"
    print line
    for (r = 1; r <= n_rows; r++) {
        split(rows[r], part, SUBSEP)
        if (part[1] != machine) continue
        line = "| " row_names(part) " |"
        for (i = 1; i <= n_minutes; i++) {
            at = rows[r] SUBSEP minutes[i]
            line = line " " (at in count ? accuracy(at) : part[3] == "base" && part[4] == "-" ? "missing" : part[3] != "base" && minutes[i] == 0 ? "" : "-") " |"
        }
        print line
    }
}
function details(machine,    r, i, part, at) {
    print "| traces | start | products | minutes | seeds | right, % | graphs | wall s | CPU s | steps | tokens |"
    print "|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    for (r = 1; r <= n_rows; r++) {
        split(rows[r], part, SUBSEP)
        if (part[1] != machine) continue
        for (i = 1; i <= n_minutes; i++) {
            at = rows[r] SUBSEP minutes[i]
            if (at in count)
                print "| " row_names(part) " | " minutes[i] " | " count[at] " | " accuracy(at) " | " grouped(median_of("graphs", at)) \
                    " | " sprintf("%.1f", median_of("wall", at)) " | " sprintf("%.1f", median_of("cpu", at)) " | " \
                    grouped(median_of("steps", at)) " | " grouped(median_of("tokens", at)) " |"
        }
    }
}
END {
    for (i = 1; i <= n_minutes; i++) sorted[i] = minutes[i]
    sort_numbers(n_minutes)
    for (i = 1; i <= n_minutes; i++) minutes[i] = sorted[i]
    for (i = 2; i <= n_rows; i++) {
        row = rows[i]
        for (j = i - 1; j > 0 && seen[rows[j]] > seen[row]; j--) rows[j + 1] = rows[j]
        rows[j + 1] = row
    }
    for (k = 1; k <= n_machines; k++) {
        machine = machines[k]
        if (versions[machine] == "") print machine ": no results yet."
        else print machine "; version " versions[machine] "; " first[machine] (first[machine] == last[machine] ? "" : " to " last[machine]) "."
        print "Right graphs in %, greedy, unconstrained, the paper's rules, test prompts; median (range) of the seeds.\n"
        summary(machine)
        print ""
        if (versions[machine] != "") { print "What it took, medians:\n"; details(machine); print "" }
    }
}
