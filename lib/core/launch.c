#include "core/launch.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/num.h"

/* Open MPI's name first, then that of MPICH and its relatives. */
static const char *value_of(const char *open_mpi, const char *others)
{
    const char *value = getenv(open_mpi);

    return value ? value : getenv(others);
}

static int number_of(const char *open_mpi, const char *others, int otherwise)
{
    const char *value = value_of(open_mpi, others);
    int64_t n;

    return value && loom_parse_i64(value, strlen(value), &n) && n >= 0 && n < 1 << 20 ? (int)n : otherwise;
}

bool loom_launched(void) { return value_of("OMPI_COMM_WORLD_SIZE", "PMI_SIZE") != NULL; }

int loom_launch_size(void)
{
    int n = number_of("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", 1);

    return n > 0 ? n : 1;
}

int loom_launch_rank(void) { return number_of("OMPI_COMM_WORLD_RANK", "PMI_RANK", 0); }

int loom_launch_on_host(void)
{
    int n = number_of("OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", 1);

    return n > 0 ? n : 1;
}

int64_t loom_launch_threads(int64_t cpus)
{
    int64_t beside = loom_launch_on_host(), online = sysconf(_SC_NPROCESSORS_ONLN);

    if (beside == 1) return cpus;
    return loom_max_i64(1, loom_min_i64(cpus, loom_max_i64(online, cpus) / beside));
}
