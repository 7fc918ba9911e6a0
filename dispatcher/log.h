/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Lines on standard error: "<time> <level>: <sentence>".
 */

#ifndef ES_LOG_H
#define ES_LOG_H

typedef enum {
    ES_LOG_ERROR = 0,
    ES_LOG_WARN,
    ES_LOG_INFO,
    ES_LOG_DEBUG
} es_log_level_t;

/* False when there is no such level. */
int es_log_set(const char *name);

void es_log_line(es_log_level_t level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif /* ES_LOG_H */
