/* What a run cost. */
#ifndef LOOM_CORE_USAGE_H
#define LOOM_CORE_USAGE_H

#include <stdint.h>

double loom_time_now(void);      /* monotonic seconds */
double loom_cpu_seconds(void);   /* user + system of this process */
int64_t loom_peak_bytes(void);   /* peak resident memory of this process */
int64_t loom_resident_bytes(void);

#endif
