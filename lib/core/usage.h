/* What a run cost. */
#ifndef LOOM_CORE_USAGE_H
#define LOOM_CORE_USAGE_H

#include <stddef.h>
#include <stdint.h>

double loom_time_now(void);    /* monotonic seconds */
double loom_cpu_seconds(void); /* user + system of this process */
int64_t loom_peak_bytes(void); /* peak resident memory of this process */
int64_t loom_resident_bytes(void);
/* Memory that was freed goes back to the system, where the C library can do that; it keeps what a burst of work took
 * otherwise. Takes milliseconds. */
void loom_give_memory_back(void);
double loom_memory_there(void); /* bytes: what the machine and its control group have */
/* "AMD EPYC 9B14", as the system calls the CPU, into text[cap], printable ASCII alone; "" when it does not say. */
const char *loom_cpu_name(char *text, size_t cap);

#endif
