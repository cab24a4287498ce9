# Configuration files: sections, precedence, and a sentence with file and line for every mistake.
printf '# a comment\n[common]\nseed = 7   # why\n\n[graphs, dedupe]\nforce = true\n' >good.conf
expect 0 loom-preprocess dedupe --config good.conf --print-config
says out '^seed = 7$'
says out '^force = true$'
expect 0 loom-preprocess dedupe --config good.conf --seed 8 --print-config
says out '^seed = 8$'
expect 0 loom-preprocess split --config good.conf --print-config
says out '^force = false$'

bad() { # text, pattern
    printf "$1" >bad.conf
    expect 2 loom-preprocess dedupe --config bad.conf x -o y
    one_sentence
    says err "$2"
}
bad 'sed = 7\n' 'bad.conf:1: unknown key "sed"; did you mean --seed'
bad '[common]\nseed = 7\nseed = 8\n' 'bad.conf:3: "seed" is set twice'
bad '[dedup]\n' 'bad.conf:1: unknown section \[dedup\]'
bad 'seed = many\n' 'bad.conf:1: seed is "many", expected an integer'
bad 'seed 7\n' 'bad.conf:1: expected key = value'
bad '[common\n' 'bad.conf:1: expected \[section\]'
bad 'config = "a" b\n' 'bad.conf:1: .*stands after the value'
expect 1 loom-preprocess dedupe --config missing.conf x -o y
one_sentence
says err 'cannot open missing.conf'
