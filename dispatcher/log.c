/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Writes log lines.  There is no buffer, so that no line is lost when the
 * process is killed.
 */

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

#include "log.h"

static const char  *esd_log_names[] = { "error", "warn", "info", "debug" };

/* Set once, before any thread starts. */
static esd_log_level_t  esd_log_level = ESD_LOG_INFO;


int
esd_log_set(const char *name)
{
    unsigned  i;

    for (i = 0; i < sizeof(esd_log_names) / sizeof(esd_log_names[0]); i++) {
        if (strcmp(name, esd_log_names[i]) == 0) {
            esd_log_level = (esd_log_level_t) i;
            return 1;
        }
    }

    return 0;
}


/* A line may quote a receiver or a partner, whose text must not break it. */

static void
esd_log_clean(char *text, int len)
{
    int  i;

    for (i = 0; i < len; i++) {
        if ((unsigned char) text[i] < ' ' || text[i] == 0x7f) {
            text[i] = '?';
        }
    }
}


/* Each line is one write, so that lines of different threads do not mix. */

void
esd_log_line(esd_log_level_t level, const char *fmt, ...)
{
    int      n, m;
    char     line[1024];
    va_list  args;
    ssize_t  written;

    if (level > esd_log_level) {
        return;
    }

    es_time_print(es_clock_ms(), line);
    n = ES_TIME_LEN;
    n += snprintf(line + n, sizeof(line) - (size_t) n, " %s: ",
                  esd_log_names[level]);

    va_start(args, fmt);
    m = vsnprintf(line + n, sizeof(line) - (size_t) n - 1, fmt, args);
    va_end(args);

    n += m < (int) sizeof(line) - n - 1 ? m : (int) sizeof(line) - n - 2;
    esd_log_clean(line, n);
    line[n++] = '\n';

    written = write(STDERR_FILENO, line, (size_t) n);
    (void) written;
}
