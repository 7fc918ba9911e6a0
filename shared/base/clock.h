/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Time, by one seam so that tests can drive it.
 */

#ifndef ES_CLOCK_H
#define ES_CLOCK_H

#include "base/base.h"

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

/* What a process's wall clock is worth beside the store's time.
   log/store_clock.h judges it. */
typedef enum {
    ES_CLOCK_GOOD = 0,
    ES_CLOCK_AHEAD,            /* the wall clock is not believed */
    ES_CLOCK_BEHIND,
    ES_CLOCK_MOVED,            /* it was off for so long that it now is */
    ES_CLOCK_DOUBT             /* it was taken after a start of the machine */
} es_clock_case_t;

typedef struct {
    int64_t          time_ms;  /* for what is stored */
    int64_t          due_ms;   /* for what ends: the store's time at least */
    int64_t          sure_ms;  /* for what is deleted: never later than that */
    int64_t          off_ms;   /* the wall clock less the store's time */
    es_clock_case_t  outcome;
    bool             settled;  /* the wall clock may decide what is deleted */
    bool             changed;  /* the record, in more than how old it is */
} es_clock_verdict_t;

#endif /* ES_CLOCK_H */
