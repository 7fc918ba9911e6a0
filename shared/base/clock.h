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
 * The clock that all processes of one machine share, whatever their wall clocks
 * say: the kernel's time since boot, asked for past the C library and without
 * the offset of a time namespace.  It measures what passed between what two
 * processes wrote down (store_clock.h).
 */
typedef struct {
    uint64_t  boot;            /* names this start of this machine; 0: unknown */
    int64_t   offset_ms;       /* that the process's time namespace adds */
} es_machine_t;

/* Reads /proc; once in a process is enough. */
void es_machine_read(es_machine_t *machine);
int64_t es_machine_ms(const es_machine_t *machine);

/*
 * Parses an RFC 3339 date-time (any offset, any fraction; leap second 60
 * counts as 59.999).  ES_INVALID otherwise.
 */
es_rc_t es_time_parse(es_str_t text, int64_t *ms);

#endif /* ES_CLOCK_H */
