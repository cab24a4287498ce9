# Every subcommand explains itself: --help names every option once, --print-config reads back to the same settings.
for program in loom-preprocess loom-train loom-infer loom-eval; do
    expect 2 "$program"
    says err "Usage: $program SUBCOMMAND"
    expect 0 "$program" --help
    expect 0 "$program" --version
    says out "^$program [0-9]"
    "$program" --help | awk '/^Subcommands:/ {on = 1; next} /^$/ {on = 0} on && /^  / {print $1}' >commands
    [ -s commands ] || fail "$program lists no subcommand"
    while read -r command; do
        expect 0 "$program" "$command" --help
        says out "^Usage: $program $command"
        [ -s err ] && fail "$program $command --help writes to stderr"
        awk 'length > 130' out | grep -q . && fail "$program $command --help has lines over 130 columns"
        grep -oE '^  -[a-zA-Z],' out | sort | uniq -d | grep -q . && fail "$program $command: one letter means two options"
        sed -nE 's/^  -([a-zA-Z]), (--[-a-z0-9]+).*/\1 \2/p' out >>letters
        expect 0 "$program" "$command" --print-config
        cp out first.conf
        expect 0 "$program" "$command" --config first.conf --print-config
        cmp -s first.conf out || { diff first.conf out >&2; fail "$program $command: --print-config does not read back"; }
        expect 2 "$program" "$command" --no-such-option
        one_sentence
        says err "unknown option --no-such-option"
    done <commands
    expect 2 "$program" no-such-command
    one_sentence
done
# a letter means the same option wherever there is one
[ "$(wc -l <letters)" -gt 50 ] || fail "only $(wc -l <letters) short options were seen"
sort -u letters | awk '$1 == last { print; bad = 1 } { last = $1 } END { exit bad }' || fail "the letter means another option elsewhere"
