/* One rank of two, with the other one played: what it says is put in the place of MPI. Every meeting point once as each
 * of the two, once with the other one failing, and once for each call of MPI that fails. */
#include "core/ranks.h"

#include <sys/wait.h>

#include "core/launch.h"
#include "core/log.h"
#include "unit/failing_calls.h"

#ifdef LOOM_HAVE_MPI
#include <mpi.h>

/* ---- the other rank ---- */

/* As core/ranks.c has it: what a rank says of itself. */
typedef struct voice {
    int status;
    char host[64];
    uint64_t number;
    char sentence[sizeof(((loom_err *)NULL)->msg)];
} voice;

static int me, others_count = 2;
static loom_status other_fails;     /* what became of it */
static uint64_t other_differs;      /* added to its number */
static const char *other_made = ""; /* its result, where it delivers one */
static bool letter_read;
static int looks; /* how often rank 0 looks before a letter lies there */

typedef struct pending {
    void *to;
    size_t n;
} pending;

static pending waiting[64];
static int n_waiting;
static char said[1 << 16]; /* what this rank sent last */
static size_t n_said;

static size_t size_of(MPI_Datatype type) { return type == MPI_BYTE ? 1 : type == MPI_UINT16_T ? 2 : 4; }

/* The other one says what this one says, but for what the test has it do. */
static void answer(void *to, size_t n)
{
    memset(to, 0, n);
    memcpy(to, said, n < n_said ? n : n_said);
    if (n == sizeof(uint32_t) && other_fails) *(uint32_t *)to |= 1;
    if (n != sizeof(voice)) return;
    voice *v = to;
    v->status = (int)other_fails;
    v->number += other_differs;
    snprintf(v->host, sizeof v->host, "far");
    snprintf(v->sentence, sizeof v->sentence, "its disk is full");
}

/* The letter in front of a result, then the result. */
static void deliver(void *to, size_t n)
{
    if (letter_read) {
        memcpy(to, other_made, n);
        return;
    }
    answer(to, n);
    ((voice *)to)->number = strlen(other_made);
    letter_read = true;
}

#define FAILS_(name) (calls_hit_(name, EIO, false))

int MPI_Init_thread(int *argc, char ***argv, int wanted, int *got)
{
    (void)argc, (void)argv;
    *got = wanted;
    return FAILS_("MPI_Init_thread") ? MPI_ERR_OTHER : MPI_SUCCESS;
}
int MPI_Comm_set_errhandler(MPI_Comm comm, MPI_Errhandler handler)
{
    (void)comm, (void)handler;
    return MPI_SUCCESS;
}
int MPI_Comm_rank(MPI_Comm comm, int *rank)
{
    (void)comm;
    *rank = me;
    return MPI_SUCCESS;
}
int MPI_Comm_size(MPI_Comm comm, int *count)
{
    (void)comm;
    *count = others_count;
    return MPI_SUCCESS;
}
int MPI_Finalize(void) { return MPI_SUCCESS; }
int MPI_Abort(MPI_Comm comm, int code)
{
    (void)comm;
    _exit(code);
}
static int send_(const char *name, const void *from, int n, MPI_Datatype type)
{
    if (FAILS_(name)) return MPI_ERR_OTHER;
    n_said = (size_t)n * size_of(type);
    memcpy(said, from, n_said);
    return MPI_SUCCESS;
}
int MPI_Isend(const void *from, int n, MPI_Datatype type, int peer, int tag, MPI_Comm comm, MPI_Request *request)
{
    (void)peer, (void)tag, (void)comm, (void)request;
    return send_("MPI_Isend", from, n, type);
}
int MPI_Issend(const void *from, int n, MPI_Datatype type, int peer, int tag, MPI_Comm comm, MPI_Request *request)
{
    (void)peer, (void)tag, (void)comm, (void)request;
    return send_("MPI_Issend", from, n, type);
}
int MPI_Irecv(void *to, int n, MPI_Datatype type, int peer, int tag, MPI_Comm comm, MPI_Request *request)
{
    (void)peer, (void)tag, (void)comm, (void)request;
    if (FAILS_("MPI_Irecv")) return MPI_ERR_OTHER;
    waiting[n_waiting++] = (pending){to, (size_t)n * size_of(type)};
    return MPI_SUCCESS;
}
int MPI_Testall(int n, MPI_Request *list, int *done, MPI_Status *statuses)
{
    static int looked;
    (void)n, (void)list, (void)statuses;
    if (FAILS_("MPI_Testall")) return MPI_ERR_OTHER;
    *done = ++looked % 2 == 0; /* not at the first look */
    for (; *done && n_waiting > 0; n_waiting--) answer(waiting[n_waiting - 1].to, waiting[n_waiting - 1].n);
    return MPI_SUCCESS;
}
int MPI_Iprobe(int from, int tag, MPI_Comm comm, int *there, MPI_Status *status)
{
    (void)from, (void)tag, (void)comm, (void)status;
    *there = looks-- <= 0;
    return FAILS_("MPI_Iprobe") ? MPI_ERR_OTHER : MPI_SUCCESS;
}
int MPI_Recv(void *to, int n, MPI_Datatype type, int from, int tag, MPI_Comm comm, MPI_Status *status)
{
    (void)from, (void)tag, (void)comm, (void)status;
    if (FAILS_("MPI_Recv")) return MPI_ERR_OTHER;
    deliver(to, (size_t)n * size_of(type));
    return MPI_SUCCESS;
}

/* ---- what the two do together ---- */

static loom_status join(loom_err *err)
{
    n_waiting = 0;
    n_said = 0;
    letter_read = false;
    looks = 2;
    return loom_ranks_start(err);
}

static void play(int rank)
{
    me = rank;
    other_fails = LOOM_OK;
    other_differs = 0;
    other_made = "made elsewhere";
    setenv("OMPI_COMM_WORLD_SIZE", "2", 1);
    setenv("OMPI_COMM_WORLD_RANK", rank ? "1" : "0", 1);
}

static loom_status meet(loom_err *err)
{
    uint32_t bits = 4;
    int64_t number = 7, all[2] = {7, 7};
    loom_status st = join(err);
    if (st == LOOM_OK) st = loom_ranks_agree(LOOM_OK, err);
    if (st == LOOM_OK) st = loom_ranks_bits(&bits, err);
    if (st == LOOM_OK) CHECK_I64(bits, 4);
    if (st == LOOM_OK) st = loom_ranks_tell(&number, sizeof number, err);
    if (st == LOOM_OK) st = loom_ranks_gather(all, sizeof *all, err);
    if (st == LOOM_OK) CHECK(all[0] == 7 && all[1] == 7);
    if (st == LOOM_OK) st = loom_ranks_same(5, "the options", err);
    loom_ranks_end();
    CHECK_I64(loom_ranks_count(), 1);
    return st;
}

static bool halved;

static loom_status carry(loom_err *err)
{
    float there[2] = {1, 2}, back[2] = {0}, own[1] = {3}, none[1];
    const loom_ranks_move moves[] = {
        {0, 1, me ? back : there, 2}, {1, 0, me ? there : back, 2}, {0, 0, own, 1}, {0, 1, none, 0}};
    loom_status st = join(err);
    if (st == LOOM_OK) st = loom_ranks_carry(moves, 4, halved, err);
    if (st == LOOM_OK) CHECK(back[0] == 1 && back[1] == 2 && own[0] == 3); /* the other one sends the same */
    if (st == LOOM_OK) CHECK(loom_ranks_costs().bytes > 0);
    loom_ranks_end();
    return st;
}

static loom_status share_work(loom_err *err)
{
    static const loom_opt opts[] = {LOOM_OPT_END};
    static const loom_cmd cmd = {.name = "make", .opts = opts};
    loom_ctx ctx = {.program = "loom-test", .cmd = &cmd, .command_line = ""};
    loom_meta meta = {0};
    loom_buf bytes = {0};
    bool idle = false;
    loom_status st = join(err);
    if (st == LOOM_OK) st = loom_ranks_share(&idle, &meta, &ctx, err);
    for (int64_t turn = 0; turn < 3 && st == LOOM_OK; turn++) {
        bool own = loom_ranks_own(turn);
        CHECK_I64(own, turn % 2 == me);
        loom_buf_reset(&bytes);
        if (own) loom_buf_str(&bytes, "made here");
        letter_read = false;
        st = loom_ranks_deliver(&bytes, turn, LOOM_OK, err);
        if (st == LOOM_OK && me == 0 && !own) CHECK_STR(loom_buf_text(&bytes), "made elsewhere");
    }
    loom_buf_release(&bytes);
    loom_ranks_end();
    return st;
}

TEST(two_ranks)
{
    for (int rank = 0; rank < 2; rank++) {
        play(rank);
        failing_calls_sweep("ranks that meet", meet, CALLS_FAIL);
        for (int h = 0; h < 2; h++) {
            halved = h;
            failing_calls_sweep("floats between ranks", carry, CALLS_FAIL);
            failing_memory_sweep("floats between ranks", carry, 50);
        }
        failing_calls_sweep("work in turns", share_work, CALLS_FAIL);
    }
}

TEST(the_other_one_fails)
{
    loom_err err = {0};
    uint32_t bits = 0;
    loom_buf bytes = {0};
    play(0);
    REQUIRE_OK(join(&err), err);
    other_fails = LOOM_STATUS_IO;
    CHECK_I64(loom_ranks_agree(LOOM_OK, &err), LOOM_STATUS_IO);
    CHECK_STR(err.msg, "rank 1 on far: its disk is full");
    loom_fail(&err, LOOM_STATUS_FORMAT, "mine");
    CHECK_I64(loom_ranks_agree(LOOM_STATUS_FORMAT, &err), LOOM_STATUS_FORMAT); /* rank 0's own goes first */
    CHECK_STR(err.msg, "mine");
    CHECK_I64(loom_ranks_deliver(&bytes, 1, LOOM_OK, &err), LOOM_STATUS_IO);
    CHECK_STR(err.msg, "rank 1 on far: its disk is full");
    REQUIRE_OK(loom_ranks_bits(&bits, &err), err);
    CHECK_I64(bits, 1);
    other_fails = LOOM_OK;
    other_differs = 1;
    CHECK_I64(loom_ranks_same(5, "the options", &err), LOOM_STATUS_FORMAT);
    CHECK(strstr(err.msg, "the options on rank 1 (far) differ from those of rank 0"));
    loom_stop_set(true);
    looks = 1000;
    letter_read = false;
    CHECK_I64(loom_ranks_deliver(&bytes, 1, LOOM_OK, &err), LOOM_STATUS_INTERRUPT);
    loom_stop_set(false);
    loom_ranks_end();
    loom_buf_release(&bytes);
}

/* Rank 1: what it could not make is told to rank 0, whose failure it is then. */
TEST(this_one_fails)
{
    loom_err err = {0};
    loom_buf bytes = {0};
    loom_meta meta = {.unknown = true};
    bool idle = false;
    play(1);
    REQUIRE_OK(join(&err), err);
    loom_fail(&err, LOOM_STATUS_IO, "no room");
    CHECK_I64(loom_ranks_deliver(&bytes, 1, LOOM_STATUS_IO, &err), LOOM_STATUS_IO);
    CHECK_STR(((voice *)(void *)said)->sentence, "no room");
    CHECK_I64(((voice *)(void *)said)->status, LOOM_STATUS_IO);
    CHECK_I64(loom_ranks_deliver(&bytes, 0, LOOM_STATUS_IO, &err), LOOM_OK); /* not its turn */
    loom_ranks_end();
    play(0);
    REQUIRE_OK(join(&err), err);
    CHECK_I64(loom_ranks_share(&idle, &meta, NULL, &err), LOOM_STATUS_ARG);
    CHECK(strstr(err.msg, "standard input is rank 0's alone"));
    loom_ranks_end();
}

/* ---- commands ---- */

static loom_status outcome;

static loom_status work(const loom_ctx *ctx, loom_err *err)
{
    (void)ctx;
    return outcome == LOOM_OK ? LOOM_OK : loom_fail(err, outcome, "it went wrong");
}

/* The exit code of a command under mpirun; what is no failure comes back. */
static int run_as(int rank, loom_status how, bool dry)
{
    int status;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        loom_ctx ctx = {.common.dry_run = dry};
        loom_err err = {0};
        play(rank);
        n_waiting = 0;
        outcome = how;
        loom_log_set_level(LOOM_LOG_QUIET);
        if (!freopen("/dev/null", "w", stderr)) _exit(99);
        loom_status st = loom_ranks_run(work, &ctx, &err);
        exit(50 + (int)st); /* came back: nobody else had to be taken along */
    }
    if (waitpid(child, &status, 0) != child) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(commands)
{
    for (int rank = 0; rank < 2; rank++) {
        CHECK_I64(run_as(rank, LOOM_OK, false), 50);
        CHECK_I64(run_as(rank, LOOM_STATUS_VERDICT, false), 50 + LOOM_STATUS_VERDICT);
        CHECK_I64(run_as(rank, LOOM_STATUS_IO, false), loom_exit_code(LOOM_STATUS_IO));
        CHECK_I64(run_as(rank, LOOM_STATUS_ARG, false), loom_exit_code(LOOM_STATUS_ARG));
        CHECK_I64(run_as(rank, LOOM_STATUS_IO, true), rank ? 50 : 50 + LOOM_STATUS_IO); /* rank 0's alone */
    }
}

/* An mpirun of another MPI: every process believes to be alone. */
TEST(the_wrong_mpirun)
{
    loom_err err = {0};
    play(0);
    others_count = 1;
    CHECK_I64(loom_ranks_start(&err), LOOM_STATUS_ARG);
    CHECK(strstr(err.msg, "mpirun started 2 processes") && strstr(err.msg, "sees 1"));
    loom_ranks_end();
    others_count = 2;
}
#endif

/* ---- without others ---- */

static void alone(void)
{
    unsetenv("OMPI_COMM_WORLD_SIZE");
    unsetenv("OMPI_COMM_WORLD_RANK");
    unsetenv("OMPI_COMM_WORLD_LOCAL_SIZE");
}

TEST(one_process)
{
    loom_err err = {0};
    uint32_t bits = 2;
    loom_buf bytes = {0};
    bool idle = true;
    alone();
    REQUIRE_OK(loom_ranks_start(&err), err);
    CHECK(loom_ranks_count() == 1 && loom_ranks_me() == 0 && loom_ranks_lead() && loom_ranks_own(5));
    CHECK_I64(loom_ranks_agree(LOOM_STATUS_IO, &err), LOOM_STATUS_IO);
    CHECK(loom_ranks_bits(&bits, &err) == LOOM_OK && bits == 2);
    CHECK(loom_ranks_tell(&bits, sizeof bits, &err) == LOOM_OK &&
          loom_ranks_gather(&bits, sizeof bits, &err) == LOOM_OK);
    CHECK(loom_ranks_carry(NULL, 0, true, &err) == LOOM_OK && loom_ranks_same(1, "x", &err) == LOOM_OK);
    CHECK(loom_ranks_deliver(&bytes, 3, LOOM_STATUS_FORMAT, &err) == LOOM_STATUS_FORMAT);
    CHECK(loom_ranks_share(&idle, NULL, NULL, &err) == LOOM_OK);
    loom_ranks_leave(LOOM_OK, &err);
    CHECK(strlen(loom_ranks_version()) > 3);
    loom_ranks_end();
}

/* What mpirun says of a process, in numbers or in nonsense. */
TEST(words_of_mpirun)
{
    static const struct {
        const char *value;
        int size, rank;
    } cases[] = {{"3", 3, 3}, {"0", 1, 0}, {"-1", 1, 0}, {"x", 1, 0}, {"", 1, 0}, {"99999999", 1, 0}};
    alone();
    CHECK(!loom_launched() && loom_launch_size() == 1 && loom_launch_rank() == 0 && loom_launch_on_host() == 1);
    CHECK_I64(loom_launch_threads(6), 6);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        setenv("OMPI_COMM_WORLD_SIZE", cases[i].value, 1);
        setenv("OMPI_COMM_WORLD_RANK", cases[i].value, 1);
        setenv("OMPI_COMM_WORLD_LOCAL_SIZE", cases[i].value, 1);
        CHECK(loom_launched());
        CHECK_I64(loom_launch_size(), cases[i].size);
        CHECK_I64(loom_launch_rank(), cases[i].rank);
        CHECK_I64(loom_launch_on_host(), cases[i].size);
    }
    setenv("OMPI_COMM_WORLD_LOCAL_SIZE", "1000", 1);
    CHECK_I64(loom_launch_threads(4), 1);
    alone();
    setenv("PMI_SIZE", "4", 1);
    CHECK_I64(loom_launch_size(), 4);
    unsetenv("PMI_SIZE");
}

#ifdef LOOM_HAVE_MPI
TEST_MAIN(RUN(one_process) RUN(words_of_mpirun) RUN(commands) RUN(two_ranks) RUN(the_other_one_fails)
              RUN(this_one_fails) RUN(the_wrong_mpirun))
#else
TEST(mpirun_without_mpi)
{
    loom_err err = {0};
    setenv("OMPI_COMM_WORLD_SIZE", "2", 1);
    CHECK_I64(loom_ranks_start(&err), LOOM_STATUS_ARG);
    CHECK(strstr(err.msg, "was built without MPI"));
    alone();
}
TEST_MAIN(RUN(one_process) RUN(words_of_mpirun) RUN(mpirun_without_mpi))
#endif
