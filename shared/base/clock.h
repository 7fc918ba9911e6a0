/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Clocks and times.
 *
 * All files take the time from here, so that tests can set it in one place.
 * Any thread may call any of these functions.
 */

#ifndef ES_CLOCK_H
#define ES_CLOCK_H

#include "base/base.h"

#define ES_TIME_LEN  24    /* "2026-11-23T12:00:00.123Z" */

/* Wall clock in milliseconds since the epoch, UTC. */
int64_t es_clock_ms(void);

/* Monotonic clock in microseconds, for latencies and timers. */
int64_t es_clock_mono_us(void);

/* Milliseconds since boot, including the time in which the machine slept.
   A change of the wall clock does not change it. */
int64_t es_clock_boot_ms(void);

/* True if something, such as NTP, keeps the kernel's clock right, as adjtimex(2)
   says.  ES_NOT_FOUND: the kernel does not say. */
es_rc_t es_clock_synchronized(bool *synchronized);

/* Prints RFC 3339 with milliseconds: ES_TIME_LEN bytes and no NUL. */
void es_time_print(int64_t ms, char *out);

/*
 * The clock that all processes of one machine share: the kernel's time since
 * boot, without the offset of a time namespace.  It is read past the C
 * library, because tools that fake a process's clocks replace that.  The store
 * uses it for the time between two records of different processes
 * (store_clock.h).
 */
typedef struct {
    uint64_t  boot;            /* identifies this start of this machine; 0:
                                  unknown */
    int64_t   offset_ms;       /* of the process's time namespace */
} es_machine_t;

/* Reads /proc.  Once in a process is enough. */
void es_machine_read(es_machine_t *machine);
int64_t es_machine_ms(const es_machine_t *machine);

/*
 * Parses an RFC 3339 date-time with any offset and any fraction.  The leap
 * second 60 counts as 59.999.  ES_INVALID: it is none.
 */
es_rc_t es_time_parse(es_str_t text, int64_t *ms);

/* The value of a process's wall clock beside the store's time, as
   log/store_clock.h decides it. */
typedef enum {
    ES_CLOCK_GOOD = 0,
    ES_CLOCK_AHEAD,            /* the store does not follow the wall clock */
    ES_CLOCK_BEHIND,
    ES_CLOCK_MOVED,            /* off for so long that the store now follows
                                  it */
    ES_CLOCK_DOUBT             /* followed, after a start of the machine */
} es_clock_case_t;

typedef struct {
    int64_t          time_ms;  /* dates what is stored */
    int64_t          due_ms;   /* compared with an end: at least the store's
                                  time */
    int64_t          sure_ms;  /* decides deletions: never later than time_ms */
    int64_t          off_ms;   /* the wall clock minus the store's time */
    es_clock_case_t  outcome;
    bool             settled;  /* deletions may go by the wall clock */
    bool             changed;  /* the record differs by more than its age */
} es_clock_verdict_t;

#endif /* ES_CLOCK_H */
