/* Messages between two ranks carry everything: MPI's own sums may be made in another order for every number of
 * ranks. Longer than most files, as it alone knows MPI: without it all of this is a few lines that do nothing. */
#include "core/ranks.h"

#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/file.h"
#include "core/hash.h"
#include "core/launch.h"
#include "core/log.h"
#include "core/num.h"
#include "core/usage.h"

#ifdef LOOM_HAVE_MPI
#include <mpi.h>
#define TEXT_OF(x)   #x
#define DIGITS_OF(x) TEXT_OF(x)
#endif

#define NAME 64 /* of a host */

static struct {
    int me, count; /* count 0: not joined, which is one process */
    bool agreed;   /* all know of the last failure */
    bool told;     /* rank 0 knows of it */
    int64_t taken; /* rank 0: results that others delivered */
    loom_ranks_cost cost;
} ranks;

/* What a rank says of itself. */
typedef struct voice {
    int status;
    char host[NAME];
    uint64_t number;
    char sentence[sizeof(((loom_err *)NULL)->msg)];
} voice;

int loom_ranks_count(void) { return ranks.count ? ranks.count : 1; }
int loom_ranks_me(void) { return ranks.me; }
bool loom_ranks_lead(void) { return ranks.me == 0; }
loom_ranks_cost loom_ranks_costs(void) { return ranks.cost; }

#ifdef LOOM_HAVE_MPI

const char *loom_ranks_library(void)
{
    return "Open MPI " DIGITS_OF(OMPI_MAJOR_VERSION) "." DIGITS_OF(OMPI_MINOR_VERSION) "." DIGITS_OF(
        OMPI_RELEASE_VERSION);
}

static loom_status join(loom_err *err)
{
    int got;

    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &got) != MPI_SUCCESS)
        return loom_fail(err, LOOM_STATUS_IO, "%s does not start; try the same mpirun with the program hostname",
                         loom_ranks_library());
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &ranks.me);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks.count);
    return LOOM_OK;
}

void loom_ranks_end(void)
{
    if (ranks.count) MPI_Finalize();
    ranks.count = ranks.me = 0;
}

void loom_ranks_abort(int exit_code)
{
    MPI_Abort(MPI_COMM_WORLD, exit_code);
    _exit(exit_code);
}

typedef struct requests {
    MPI_Request *list;
    int n;
} requests;

static loom_status room_for(requests *q, int64_t n, loom_err *err)
{
    *q = (requests){.list = n <= INT_MAX ? loom_alloc((size_t)n, sizeof *q->list) : NULL};
    return q->list ? LOOM_OK : loom_fail_nomem(err, "messages between ranks");
}

/* Seconds of looking before naps begin: at a meeting others may be late by much; floats are carried when all are
 * there, and move on only while somebody looks. */
static const double meeting_patience = 0.005, carrying_patience = 1;

static void rest(double since, double patience)
{
    const struct timespec nap = {.tv_nsec = 200000};

    if (loom_time_now() - since < patience) sched_yield();
    else nanosleep(&nap, NULL);
}

static loom_status unreachable(loom_err *err)
{
    return loom_fail(err, LOOM_STATUS_IO,
                     "another rank cannot be reached any more; the same command begins again, or goes on from the last "
                     "checkpoint");
}

/* Until all are through; frees the list. */
static loom_status finish(requests *q, bool started, double patience, loom_err *err)
{
    double since = loom_time_now();
    int done = 0;
    bool good = started;

    while (good && !done) {
        good = MPI_Testall(q->n, q->list, &done, MPI_STATUSES_IGNORE) == MPI_SUCCESS;
        if (good && !done) rest(since, patience);
    }
    free(q->list);
    q->list = NULL;
    return good ? LOOM_OK : unreachable(err);
}

static bool post(requests *q, void *data, size_t n, MPI_Datatype type, int peer, bool send)
{
    MPI_Request *r = &q->list[q->n++];

    return (send ? MPI_Isend(data, (int)n, type, peer, 0, MPI_COMM_WORLD, r)
                 : MPI_Irecv(data, (int)n, type, peer, 0, MPI_COMM_WORLD, r)) == MPI_SUCCESS;
}

loom_status loom_ranks_gather(void *all, size_t each, loom_err *err)
{
    double since = loom_time_now();
    bool good = true;
    requests q;

    if (ranks.count < 2) return LOOM_OK;
    LOOM_TRY(room_for(&q, 2 * ranks.count, err));
    for (int i = 0; good && i < ranks.count; i++)
        if (i != ranks.me)
            good = post(&q, (char *)all + (size_t)i * each, each, MPI_BYTE, i, false) &&
                   post(&q, (char *)all + (size_t)ranks.me * each, each, MPI_BYTE, i, true);
    loom_status st = finish(&q, good, meeting_patience, err);
    ranks.cost.waiting += loom_time_now() - since;
    return st;
}

loom_status loom_ranks_tell(void *data, size_t bytes, loom_err *err)
{
    double since = loom_time_now();
    bool good = true;
    requests q;

    if (ranks.count < 2) return LOOM_OK;
    LOOM_TRY(room_for(&q, ranks.count, err));
    if (ranks.me) good = post(&q, data, bytes, MPI_BYTE, 0, false);
    for (int i = 1; good && !ranks.me && i < ranks.count; i++) good = post(&q, data, bytes, MPI_BYTE, i, true);
    loom_status st = finish(&q, good, meeting_patience, err);
    ranks.cost.waiting += loom_time_now() - since;
    return st;
}

/* Does it concern this rank? */
static bool is_mine(const loom_ranks_move *m)
{
    return m->from != m->to && (m->from == ranks.me || m->to == ranks.me) && m->floats;
}

/* Upper halves of all floats of the moves, one move after the other. */
static uint16_t *pack_halves(const loom_ranks_move *moves, int64_t n)
{
    size_t all = 1, at = 0;

    for (int64_t i = 0; i < n; i++) all += is_mine(&moves[i]) ? moves[i].floats : 0;
    uint16_t *halves = loom_alloc(all, sizeof *halves);
    for (int64_t i = 0; halves && i < n; i++) {
        const loom_ranks_move *m = &moves[i];
        const uint32_t *bits = (const uint32_t *)(const void *)m->data;

        if (!is_mine(m)) continue;
        for (size_t k = 0; m->from == ranks.me && k < m->floats; k++) halves[at + k] = (uint16_t)(bits[k] >> 16);
        at += m->floats;
    }
    return halves;
}

static void unpack_halves(const loom_ranks_move *moves, int64_t n, const uint16_t *halves)
{
    for (int64_t i = 0; i < n; i++) {
        const loom_ranks_move *m = &moves[i];
        uint32_t *bits = (uint32_t *)(void *)m->data;

        if (!is_mine(m)) continue;
        for (size_t k = 0; m->to == ranks.me && k < m->floats; k++) bits[k] = (uint32_t)halves[k] << 16;
        halves += m->floats;
    }
}

/* halves NULL: whole floats */
static loom_status exchange(const loom_ranks_move *moves, int64_t n, uint16_t *halves, loom_err *err)
{
    size_t each = halves ? sizeof *halves : sizeof(float);
    bool good = true;
    requests q;

    LOOM_TRY(room_for(&q, n, err));
    for (int64_t i = 0; good && i < n; i++) {
        const loom_ranks_move *m = &moves[i];
        bool send = m->from == ranks.me;

        if (!is_mine(m)) continue;
        good = post(&q, halves ? (void *)halves : (void *)m->data, m->floats, halves ? MPI_UINT16_T : MPI_FLOAT,
                    send ? m->to : m->from, send);
        if (halves) halves += m->floats;
        if (send) ranks.cost.bytes += (double)(m->floats * each);
    }
    return finish(&q, good, carrying_patience, err);
}

loom_status loom_ranks_carry(const loom_ranks_move *moves, int64_t n, bool halves, loom_err *err)
{
    double since = loom_time_now();
    uint16_t *packed = NULL;

    if (ranks.count < 2) return LOOM_OK;
    if (halves && !(packed = pack_halves(moves, n))) return loom_fail_nomem(err, "messages between ranks");
    loom_status st = exchange(moves, n, packed, err);
    if (packed && st == LOOM_OK) unpack_halves(moves, n, packed);
    free(packed);
    ranks.cost.carrying += loom_time_now() - since;
    return st;
}

/* ---- results, to rank 0 ---- */

enum { PIECE = 1 << 28, LETTER = 1, CONTENT = 2 }; /* bytes at once; tags */

/* The letter goes only when rank 0 takes it, which may be long; then it is there for the rest. */
static loom_status send_result(const voice *letter, const loom_buf *bytes, loom_err *err)
{
    requests q;

    LOOM_TRY(room_for(&q, 1, err));
    bool good = MPI_Issend(letter, sizeof *letter, MPI_BYTE, 0, LETTER, MPI_COMM_WORLD, &q.list[q.n++]) == MPI_SUCCESS;
    LOOM_TRY(finish(&q, good, meeting_patience, err));
    for (size_t at = 0; letter->status == LOOM_OK && at < bytes->len; at += PIECE) {
        size_t n = bytes->len - at < PIECE ? bytes->len - at : PIECE;

        LOOM_TRY(room_for(&q, 1, err));
        good = MPI_Isend(bytes->data + at, (int)n, MPI_BYTE, 0, CONTENT, MPI_COMM_WORLD, &q.list[q.n++]) == MPI_SUCCESS;
        LOOM_TRY(finish(&q, good, carrying_patience, err));
    }
    return LOOM_OK;
}

/* Until a letter of that rank lies there. mpirun asks rank 0 to stop when another has died. */
static loom_status await_letter(int from, loom_err *err)
{
    double since = loom_time_now();
    int there = 0;

    for (;;) {
        if (MPI_Iprobe(from, LETTER, MPI_COMM_WORLD, &there, MPI_STATUS_IGNORE) != MPI_SUCCESS) return unreachable(err);
        if (there) break;
        if (loom_stop_requested())
            return loom_fail(err, LOOM_STATUS_INTERRUPT, "interrupted; nothing was left half-written");
        rest(since, meeting_patience);
    }
    ranks.cost.waiting += loom_time_now() - since;
    return LOOM_OK;
}

static loom_status receive_result(voice *letter, loom_buf *bytes, int from, loom_err *err)
{
    loom_buf_reset(bytes);
    LOOM_TRY(await_letter(from, err));
    if (MPI_Recv(letter, sizeof *letter, MPI_BYTE, from, LETTER, MPI_COMM_WORLD, MPI_STATUS_IGNORE) != MPI_SUCCESS)
        return unreachable(err);
    if (letter->status != LOOM_OK) return LOOM_OK;
    if (!loom_buf_reserve(bytes, letter->number)) return loom_fail_nomem(err, "what another rank made");
    for (; bytes->len < letter->number; bytes->data[bytes->len] = 0) {
        size_t left = letter->number - bytes->len, n = left < PIECE ? left : PIECE;

        if (MPI_Recv(bytes->data + bytes->len, (int)n, MPI_BYTE, from, CONTENT, MPI_COMM_WORLD, MPI_STATUS_IGNORE) !=
            MPI_SUCCESS)
            return unreachable(err);
        bytes->len += n;
    }
    return LOOM_OK;
}

#else

const char *loom_ranks_library(void) { return NULL; }

/* There is nobody to join, as loom_ranks_start finds out from the number. */
static loom_status join(loom_err *err)
{
    (void)err;
    return LOOM_OK;
}

void loom_ranks_end(void) {}
void loom_ranks_abort(int exit_code) { _exit(exit_code); }

loom_status loom_ranks_gather(void *all, size_t each, loom_err *err)
{
    (void)all, (void)each, (void)err;
    return LOOM_OK;
}

loom_status loom_ranks_tell(void *data, size_t bytes, loom_err *err)
{
    (void)data, (void)bytes, (void)err;
    return LOOM_OK;
}

loom_status loom_ranks_carry(const loom_ranks_move *moves, int64_t n, bool halves, loom_err *err)
{
    (void)moves, (void)n, (void)halves, (void)err;
    return LOOM_OK;
}

static loom_status send_result(const voice *letter, const loom_buf *bytes, loom_err *err)
{
    (void)letter, (void)bytes, (void)err;
    return LOOM_OK;
}

static loom_status receive_result(voice *letter, loom_buf *bytes, int from, loom_err *err)
{
    (void)letter, (void)bytes, (void)from, (void)err;
    return LOOM_OK;
}

#endif

const char *loom_ranks_version(void)
{
    return loom_ranks_library() ? loom_ranks_library() : "without MPI: one process";
}

loom_status loom_ranks_start(loom_err *err)
{
    int started = loom_launch_size();

    if (started == 1) return LOOM_OK;
    LOOM_TRY(join(err));
    loom_stop_on_user_signal();
    if (loom_ranks_me() || loom_launch_rank()) loom_log_mute();
    if (loom_ranks_count() == started) return LOOM_OK;
    if (!loom_ranks_library())
        return loom_fail(
            err, LOOM_STATUS_ARG,
            "mpirun started %d processes, but this program was built without MPI: install libopenmpi-dev and build it "
            "again, or start it without mpirun",
            started);
    return loom_fail(err, LOOM_STATUS_ARG,
                     "mpirun started %d processes, and %s sees %d: start it with the mpirun of %s", started,
                     loom_ranks_library(), loom_ranks_count(), loom_ranks_library());
}

/* ---- on top of gather ---- */

loom_status loom_ranks_bits(uint32_t *bits, loom_err *err)
{
    uint32_t *all;
    loom_status st;

    if (loom_ranks_count() == 1) return LOOM_OK;
    if (!(all = loom_calloc((size_t)ranks.count, sizeof *all))) return loom_fail_nomem(err, "what the ranks say");
    all[ranks.me] = *bits;
    st = loom_ranks_gather(all, sizeof *all, err);
    for (int i = 0; st == LOOM_OK && i < ranks.count; i++) *bits |= all[i];
    free(all);
    return st;
}

/* What this rank says; the sentence where it failed. */
static void speak(voice *v, loom_status mine, uint64_t number, const loom_err *said)
{
    v->status = mine;
    v->number = number;
    gethostname(v->host, NAME - 1);
    if (mine != LOOM_OK && said) snprintf(v->sentence, sizeof v->sentence, "%s", said->msg);
}

/* What every rank says; NULL: *st tells why not. The caller frees it. */
static voice *hear(loom_status mine, uint64_t number, const loom_err *said, loom_status *st, loom_err *err)
{
    voice *all = loom_calloc((size_t)ranks.count, sizeof *all);

    if (!all) {
        *st = loom_fail_nomem(err, "what the ranks say");
        return NULL;
    }
    speak(&all[ranks.me], mine, number, said);
    if ((*st = loom_ranks_gather(all, sizeof *all, err)) == LOOM_OK) return all;
    free(all);
    return NULL;
}

/* Numbers alone when all is well, which is nearly always. */
static loom_status any_failed(uint32_t *failed, loom_status mine, loom_err *err)
{
    loom_err other;

    *failed = mine != LOOM_OK;
    if (loom_ranks_bits(failed, &other) == LOOM_OK) return LOOM_OK;
    return mine != LOOM_OK ? mine : loom_fail(err, other.status, "%s", other.msg);
}

loom_status loom_ranks_agree(loom_status mine, loom_err *err)
{
    loom_status st;
    loom_err other;
    uint32_t failed;
    voice *all;
    int i = 0;

    ranks.agreed = false;
    if (loom_ranks_count() == 1) return mine;
    if ((st = any_failed(&failed, mine, err)) != LOOM_OK || !failed) return st;
    if (!(all = hear(mine, 0, err, &st, &other))) return mine != LOOM_OK ? mine : loom_fail(err, st, "%s", other.msg);
    while (all[i].status == LOOM_OK) i++;
    st = (loom_status)all[i].status;
    if (i) loom_fail(err, st, "rank %d on %s: %s", i, all[i].host, all[i].sentence);
    else loom_fail(err, st, "%s", all[i].sentence);
    free(all);
    ranks.agreed = true;
    return st;
}

loom_status loom_ranks_same(uint64_t number, const char *what, loom_err *err)
{
    loom_status st = LOOM_OK;
    voice *all;

    if (loom_ranks_count() == 1) return LOOM_OK;
    if (!(all = hear(LOOM_OK, number, NULL, &st, err))) return st;
    for (int i = 1; i < ranks.count && st == LOOM_OK; i++)
        if (all[i].number != all[0].number)
            st = loom_fail(err, LOOM_STATUS_FORMAT, "%s on rank %d (%s) differ from those of rank 0 (%s)", what, i,
                           all[i].host, all[0].host);
    free(all);
    ranks.agreed = st != LOOM_OK;
    return st;
}

/* ---- work in turns ---- */

static int rank_of(int64_t turn) { return (int)(turn % loom_ranks_count()); }

bool loom_ranks_own(int64_t turn) { return rank_of(turn) == ranks.me; }

loom_status loom_ranks_deliver(loom_buf *bytes, int64_t turn, loom_status mine, loom_err *err)
{
    int from = rank_of(turn);
    voice letter = {0};

    ranks.agreed = false;
    if (from == 0) return ranks.me == 0 ? mine : LOOM_OK;
    if (ranks.me == from) {
        if (mine == LOOM_OK) mine = loom_buf_check(bytes, "what this rank made", err);
        speak(&letter, mine, bytes->len, err);
        LOOM_TRY(send_result(&letter, bytes, mine == LOOM_OK ? err : NULL));
        ranks.told = mine != LOOM_OK;
        return mine;
    }
    if (ranks.me) return LOOM_OK;
    LOOM_TRY(receive_result(&letter, bytes, from, err));
    ranks.taken++;
    return letter.status == LOOM_OK
               ? LOOM_OK
               : loom_fail(err, (loom_status)letter.status, "rank %d on %s: %s", from, letter.host, letter.sentence);
}

loom_status loom_ranks_share(bool *idle, const loom_meta *m, const loom_ctx *ctx, loom_err *err)
{
    char digest[33];

    if (loom_ranks_count() == 1) return LOOM_OK;
    if (m->unknown)
        return loom_ranks_agree(
            loom_fail(err, LOOM_STATUS_ARG, "standard input is rank 0's alone and cannot be shared out; name files"),
            err);
    loom_meta_settings(m, ctx, digest);
    LOOM_TRY(loom_ranks_same(loom_hash64(digest, strlen(digest), 0), "the options or inputs", err));
    return loom_ranks_tell(idle, sizeof *idle, err);
}

/* ---- commands ---- */

/* Rank 0 has most failures of all ranks, too, and says them; so others give it a moment. */
static void say_failure(const loom_err *err)
{
    const struct timespec moment = {.tv_sec = 1};
    char host[NAME] = "";

    if (loom_ranks_lead()) {
        loom_error("%s", err->msg);
        return;
    }
    nanosleep(&moment, NULL);
    if (loom_stop_requested()) return;
    gethostname(host, sizeof host - 1);
    loom_log_unmute();
    loom_error("rank %d on %s: %s", loom_ranks_me(), host, err->msg);
}

/* Rank 0 has this rank's failure and takes all along. Who left by himself meanwhile would leave mpirun hanging: Open
 * MPI does not bear one rank that ends while another aborts. */
static void await_end(void)
{
    const struct timespec moment = {.tv_nsec = 100000000};

    for (int i = 0; i < 100 && !loom_stop_requested(); i++) nanosleep(&moment, NULL);
}

/* A verdict is no failure. The last to come is waited for without keeping a CPU busy. */
void loom_ranks_leave(loom_status st, const loom_err *err)
{
    loom_err lost;

    if (loom_ranks_count() > 1 && (st == LOOM_OK || st == LOOM_STATUS_VERDICT)) {
        loom_ranks_agree(LOOM_OK, &lost);
        ranks.agreed = true;
    }
    if (loom_ranks_count() > 1 && !ranks.agreed) {
        if (ranks.told) await_end();
        else say_failure(err);
        loom_ranks_abort(loom_exit_code(st));
    }
    loom_ranks_end();
}

loom_status loom_ranks_run(loom_status (*work)(const loom_ctx *ctx, loom_err *err), const loom_ctx *ctx, loom_err *err)
{
    LOOM_TRY(loom_ranks_start(err));
    if (ctx->common.dry_run) {
        bool lead = loom_ranks_lead();

        loom_ranks_end();
        return lead ? work(ctx, err) : LOOM_OK;
    }
    loom_status st = work(ctx, err);
    if (st == LOOM_OK && loom_ranks_count() > 1)
        loom_info("%d ranks shared the work: %lld pieces of it came from others, for which rank 0 waited %.1f s",
                  loom_ranks_count(), (long long)ranks.taken, ranks.cost.waiting);
    loom_ranks_leave(st, err);
    return st;
}
