/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The log on stderr: lines of the form "<time> <level>: <sentence>".
 *
 * Any thread may log.  A service manager stores the lines; the dispatcher has
 * no log file of its own.
 */

#ifndef ESD_LOG_H
#define ESD_LOG_H

typedef enum {
    ESD_LOG_ERROR = 0,
    ESD_LOG_WARN,
    ESD_LOG_INFO,
    ESD_LOG_DEBUG
} esd_log_level_t;

/* False: there is no such level. */
int esd_log_set(const char *name);

void esd_log_line(esd_log_level_t level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif /* ESD_LOG_H */
