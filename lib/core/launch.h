/* What mpirun told this process in its environment: whether it is one of several, and how many share its machine. Knows
 * nothing of MPI, so that commands for one process can refuse to run as several. */
#ifndef LOOM_CORE_LAUNCH_H
#define LOOM_CORE_LAUNCH_H

#include <stdbool.h>
#include <stdint.h>

bool loom_launched(void);      /* by an mpirun, if only as one process */
int loom_launch_size(void);    /* processes that it started; 1 without it */
int loom_launch_rank(void);    /* number of this one, from 0 */
int loom_launch_on_host(void); /* of them, those on this machine; at least 1 */

/* Threads for this process when nobody says how many: those of its CPUs that are not for the processes beside it.
 * cpus: that it may use. mpirun leaves all CPUs to every process, unless it binds them. */
int64_t loom_launch_threads(int64_t cpus);

#endif
