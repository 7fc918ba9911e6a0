/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The log on stderr: one line for each call, as text or as JSON.
 *
 *     2026-11-23T12:00:00.123Z warn: sentence
 *     {"time":"2026-11-23T12:00:00.123Z","level":"warn","msg":"sentence",...}
 *
 * Any thread may log, and none of them waits for the reader of stderr, see
 * log_sink.h.  A service manager stores the lines; the dispatcher has no log
 * file of its own.
 */

#ifndef ESD_LOG_H
#define ESD_LOG_H

#include <stdbool.h>
#include <stdint.h>

typedef enum {
    ESD_LOG_ERROR = 0,
    ESD_LOG_WARN,
    ESD_LOG_INFO,
    ESD_LOG_DEBUG
} esd_log_level_t;

/*
 * What a line is about.  The JSON form has a member for each field that is set,
 * beside the sentence.  A constructor of the subject's header fills it in:
 * esd_about_target(), esd_about_lane(), esd_about_event().
 */
typedef struct {
    const char  *partner;
    const char  *endpoint;
    const char  *feed;
    const char  *epoch;        /* of the cursor; NULL: no event */
    uint64_t     sequence;
    const char  *kind;         /* of an attempt that carries no events */
    const char  *event_id;
    const char  *trace_id;     /* 32 hexadecimal digits */
    unsigned     attempt;      /* from 1; 0: none */
    const char  *result;       /* of the attempt, as in its record */
    int          status;       /* of HTTP; 0: none */
    int64_t      latency_us;   /* of the attempt, if there is a result */
} esd_about_t;

/* False: there is no such level, or no such format. */
bool esd_log_set_level(const char *name);
bool esd_log_set_format(const char *name);

void esd_log_line(esd_log_level_t level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void esd_log_about(esd_log_level_t level, esd_about_t about, const char *fmt,
    ...) __attribute__((format(printf, 3, 4)));

/* Writes lines that wait for the reader of stderr, for `wait_ms` at most while
   it takes none.  Reports lines that were dropped. */
void esd_log_flush(int wait_ms);

#endif /* ESD_LOG_H */
