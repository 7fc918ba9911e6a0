/*
 * clock.h - time, by one seam so that tests can drive it.
 */

#ifndef ES_CLOCK_H
#define ES_CLOCK_H

#include "base.h"

#define ES_TIME_LEN  24    /* "2026-11-23T12:00:00.123Z" */

/* Wall clock in milliseconds since the epoch, UTC. */
int64_t es_clock_ms(void);

/* Monotonic clock in microseconds, for latencies and timers. */
int64_t es_clock_mono_us(void);

/* Milliseconds since boot, the time in which the machine slept included: what
   has passed, however the wall clock was set meanwhile. */
int64_t es_clock_boot_ms(void);

/* Prints RFC 3339 with milliseconds, ES_TIME_LEN bytes, no NUL. */
void es_time_print(int64_t ms, char *out);

/*
 * Parses an RFC 3339 date-time (any offset, any fraction; leap second 60
 * counts as 59.999).  ES_INVALID otherwise.
 */
es_rc_t es_time_parse(es_str_t text, int64_t *ms);

#endif /* ES_CLOCK_H */
