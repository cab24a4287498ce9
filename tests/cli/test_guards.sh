# Guards that see nothing fail: tests/symbols.sh, a program of tests/test.h, a case of tests/cli/run.sh.
command -v cc >/dev/null && command -v ar >/dev/null || skip "no compiler"

# symbols.sh: one name in two libraries that are linked together; nothing to look at is a failure
library() { printf "$2" >x.c && cc -c x.c -o x.o && rm -f built/libloom_$1.a && ar rc built/libloom_$1.a x.o; }
mkdir built
expect 1 bash "$SRC/tests/symbols.sh" nowhere; says out 'nowhere .*no library|no library'
expect 1 bash "$SRC/tests/symbols.sh" built; says out 'no library'
library core 'int loom_planted(void) { return 1; }\n'
expect 1 bash "$SRC/tests/symbols.sh" built; says out 'no library of a stage'
library stage_train 'int loom_other(void) { return 1; }\n'
expect 0 bash "$SRC/tests/symbols.sh" built
library stage_train 'int loom_planted(void) { return 2; }\n'
expect 1 bash "$SRC/tests/symbols.sh" built; says out 'defined in two libraries .*train.*loom_planted'
library stage_train 'int main_only(void) { return 2; }\n'
expect 1 bash "$SRC/tests/symbols.sh" built; says out 'libloom_stage_train.a defines no loom_ name'

# test.h: what checks nothing has failed
program() {
    printf '#include "test.h"\n%b\n' "$1" >t.c
    cc "-DLOOM_SOURCE_DIR=\".\"" -D_GNU_SOURCE -I"$SRC/tests" -I"$SRC/lib" -o t t.c || fail "does not compile: $1"
    expect "$2" ./t
}
program 'TEST(a) { CHECK(1 == 1); }\nTEST_MAIN(RUN(a))' 0;                       says out '1 checks, 0 failed, 0 skipped'
program 'TEST(a) { CHECK(1 == 2); }\nTEST_MAIN(RUN(a))' 1;                       says err 'failed: 1 == 2'
program 'TEST(a) { SKIP("no reason"); }\nTEST_MAIN(RUN(a))' 77;                  says out 'SKIPPED .*no reason'
program 'TEST(a) { }\nTEST_MAIN(RUN(a))' 1;                                      says err 'a checked nothing'
program 'TEST(a) { CHECK(1); }\nTEST(b) { (void)0; }\nTEST_MAIN(RUN(a) RUN(b))' 1; says err 'b checked nothing'
program 'TEST_MAIN()' 1;                                                         says out '0 checks'

# run.sh: a case without a check, or one that is not there
echo 'true' >empty.sh
expect 1 bash "$SRC/tests/cli/run.sh" empty.sh; says err 'checks nothing'
expect 1 bash "$SRC/tests/cli/run.sh" nowhere.sh; says err 'no case nowhere.sh'
echo 'expect 0 true' >one.sh; expect 0 bash "$SRC/tests/cli/run.sh" one.sh
echo 'expect 0 false' >one.sh; expect 1 bash "$SRC/tests/cli/run.sh" one.sh
