# The section names that lib/core/cli.c accepts are exactly the subcommands of the four executables, [common] and [recipe].
sed -n '/known_sections\[\] = {/,/};/p' "$SRC/lib/core/cli.c" | grep -oE '"[a-z-]+"' | tr -d '"' | grep -vE '^(common|recipe)$' | sort >listed
for program in loom-preprocess loom-train loom-infer loom-eval; do
    "$program" --help | awk '/^Subcommands:/ {on = 1; next} /^$/ {on = 0} on && /^  / {print $1}'
done | sort -u >real # loom-train and loom-infer both have bench
diff listed real >&2 || fail "lib/core/cli.c lists other sections (<) than there are subcommands (>)"
