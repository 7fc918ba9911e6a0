/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Composes log lines.
 */

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/base.h"
#include "base/clock.h"

#include "about.h"
#include "log.h"
#include "log_json.h"
#include "log_sink.h"

#define ESD_LOG_TEXT_MAX  1024

static const char  *const  esd_log_names[] = {
    [ESD_LOG_ERROR] = "error",
    [ESD_LOG_WARN] = "warn",
    [ESD_LOG_INFO] = "info",
    [ESD_LOG_DEBUG] = "debug"
};

/* Set once, before any thread starts. */
static esd_log_level_t  esd_log_level = ESD_LOG_INFO;
static bool             esd_log_is_json;


bool
esd_log_set_level(const char *name)
{
    unsigned  i;

    for (i = 0; i < sizeof(esd_log_names) / sizeof(esd_log_names[0]); i++) {
        if (strcmp(name, esd_log_names[i]) == 0) {
            esd_log_level = (esd_log_level_t) i;
            return true;
        }
    }

    return false;
}


bool
esd_log_set_format(const char *name)
{
    esd_log_is_json = strcmp(name, "json") == 0;

    return esd_log_is_json || strcmp(name, "text") == 0;
}


/* A line may quote a receiver or a partner, whose text must not break it. */

static size_t
esd_log_text(char *out, const char *time, const char *level, const char *msg)
{
    int    n;
    char  *p;

    n = snprintf(out, ESD_LOG_TEXT_MAX - 1, "%.*s %s: %s", ES_TIME_LEN, time,
                 level, msg);

    if (n > ESD_LOG_TEXT_MAX - 2) {
        n = ESD_LOG_TEXT_MAX - 2;
    }

    for (p = out; p < out + n; p++) {
        if ((unsigned char) *p < ' ' || *p == 0x7f) {
            *p = '?';
        }
    }

    out[n] = '\n';

    return (size_t) n + 1;
}


static void esd_log_print(esd_log_level_t level, const esd_about_t *about,
    const char *fmt, va_list args) __attribute__((format(printf, 3, 0)));

static void
esd_log_print(esd_log_level_t level, const esd_about_t *about,
    const char *fmt, va_list args)
{
    char    time[ES_TIME_LEN + 1], msg[ESD_LOG_TEXT_MAX];
    char    line[ESD_LOG_LINE_MAX];
    size_t  len;

    es_time_print(es_clock_ms(), time);
    (void) vsnprintf(msg, sizeof(msg), fmt, args);

    len = esd_log_is_json
          ? esd_log_json(line, time, esd_log_names[level], msg, about)
          : esd_log_text(line, time, esd_log_names[level], msg);

    esd_log_sink(line, len);
}


void
esd_log_line(esd_log_level_t level, const char *fmt, ...)
{
    va_list      args;
    esd_about_t  about;

    if (level > esd_log_level) {
        return;
    }

    memset(&about, 0, sizeof(esd_about_t));

    va_start(args, fmt);
    esd_log_print(level, &about, fmt, args);
    va_end(args);
}


void
esd_log_about(esd_log_level_t level, esd_about_t about, const char *fmt, ...)
{
    va_list  args;

    if (level > esd_log_level) {
        return;
    }

    va_start(args, fmt);
    esd_log_print(level, &about, fmt, args);
    va_end(args);
}


void
esd_log_flush(int wait_ms)
{
    uint64_t  dropped;

    dropped = esd_log_sink_flush(wait_ms);

    if (dropped > 0) {
        esd_log_line(ESD_LOG_WARN, "%" PRIu64 " log lines were dropped, "
                     "because nothing read standard error", dropped);
    }
}
