/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Draws the progress of a long command on the last line of the terminal.
 *
 * The line is overwritten with blanks instead of an escape sequence, so that
 * every kind of terminal shows it.
 */

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "progress.h"

#define PROGRESS_US     100000     /* between two drawings */
#define PROGRESS_WIDTH  80         /* of a terminal that does not tell */
#define PROGRESS_LINE   256
#define PROGRESS_BAR    20

/* A process has one terminal, and so one progress.  Messages of any thread hide
   it. */
static struct {
    pthread_mutex_t  lock;
    bool         quiet;
    bool         begun;
    const char  *what;
    ctl_unit_t   unit;
    uint64_t     total;
    int64_t      begun_us;
    int64_t      drawn_us;
    int          columns;          /* that are drawn; 0: none */
} ctl_bar = { .lock = PTHREAD_MUTEX_INITIALIZER };


void
ctl_progress_set(bool quiet)
{
    ctl_bar.quiet = quiet || !isatty(STDERR_FILENO);
}


static int
ctl_progress_width(void)
{
    struct winsize  size;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0
           ? (size.ws_col < PROGRESS_LINE ? size.ws_col : PROGRESS_LINE) - 1
           : PROGRESS_WIDTH - 1;
}


/* "1.2k", or in bytes "1.2 MB". */

static void
ctl_progress_number(double value, char *out, size_t size)
{
    size_t  i;

    static const char *const  events[] = { "", "k", "M", "G" };
    static const char *const  bytes[] = { " B", " kB", " MB", " GB", " TB" };

    const char *const  *names = ctl_bar.unit == CTL_BYTES ? bytes : events;
    const size_t        n = ctl_bar.unit == CTL_BYTES ? 5 : 4;

    for (i = 0; i + 1 < n && value >= 1000; i++) {
        value /= 1000;
    }

    (void) snprintf(out, size, i > 0 && value < 100 ? "%.1f%s" : "%.0f%s",
                    value, names[i]);
}


/* Appends the share that is done as a bar, the rate, and the time left. */

static size_t
ctl_progress_line(uint64_t done, char line[PROGRESS_LINE])
{
    char      bar[PROGRESS_BAR + 1], number[32], rate[32];
    size_t    len, filled;
    double    seconds;
    uint64_t  left_s;

    seconds = (double) (es_clock_mono_us() - ctl_bar.begun_us) / 1e6;
    ctl_progress_number((double) done, number, sizeof(number));
    ctl_progress_number(seconds > 0 ? (double) done / seconds : 0, rate,
                        sizeof(rate));

    if (ctl_bar.total == 0) {
        return (size_t) snprintf(line, PROGRESS_LINE, "%s: %s%s, %s/s",
                                 ctl_bar.what, number,
                                 ctl_bar.unit == CTL_EVENTS ? " events" : "",
                                 rate);
    }

    done = done < ctl_bar.total ? done : ctl_bar.total;
    filled = (size_t) (done * PROGRESS_BAR / ctl_bar.total);
    memset(bar, '.', PROGRESS_BAR);
    memset(bar, '#', filled);
    bar[PROGRESS_BAR] = '\0';

    len = (size_t) snprintf(line, PROGRESS_LINE, "%s: [%s] %3" PRIu64 " %%, "
                            "%s%s, %s/s", ctl_bar.what, bar,
                            done * 100 / ctl_bar.total, number,
                            ctl_bar.unit == CTL_EVENTS ? " events" : "", rate);

    if (done > 0 && len < PROGRESS_LINE) {
        left_s = (uint64_t) (seconds * (double) (ctl_bar.total - done)
                             / (double) done + 0.5);
        len += (size_t) snprintf(line + len, PROGRESS_LINE - len, ", %" PRIu64
                                 ":%02" PRIu64 ":%02" PRIu64 " left",
                                 left_s / 3600, left_s / 60 % 60, left_s % 60);
    }

    return len;
}


void
ctl_progress_begin(const char *what, ctl_unit_t unit, uint64_t total)
{
    ctl_progress_end();

    ctl_bar.begun = true;
    ctl_bar.what = what;
    ctl_bar.unit = unit;
    ctl_bar.total = total;
    ctl_bar.begun_us = es_clock_mono_us();
    ctl_bar.drawn_us = 0;

    ctl_progress(0);
}


static void
ctl_progress_draw(uint64_t done)
{
    int   columns, width;
    char  line[PROGRESS_LINE];

    columns = (int) ctl_progress_line(done, line);
    width = ctl_progress_width();
    columns = columns < width ? columns : width;

    (void) fprintf(stderr, "\r%.*s%*s", columns, line,
                   columns < ctl_bar.columns ? ctl_bar.columns - columns : 0,
                   "");
    (void) fflush(stderr);
    ctl_bar.columns = columns;
}


void
ctl_progress(uint64_t done)
{
    int64_t  now_us;

    if (ctl_bar.quiet || !ctl_bar.begun) {
        return;
    }

    now_us = es_clock_mono_us();

    if (ctl_bar.drawn_us == 0 || now_us - ctl_bar.drawn_us >= PROGRESS_US) {
        (void) pthread_mutex_lock(&ctl_bar.lock);
        ctl_progress_draw(done);
        (void) pthread_mutex_unlock(&ctl_bar.lock);

        ctl_bar.drawn_us = now_us;
    }
}


void
ctl_progress_hide(void)
{
    (void) pthread_mutex_lock(&ctl_bar.lock);

    if (ctl_bar.columns > 0) {
        (void) fprintf(stderr, "\r%*s\r", ctl_bar.columns, "");
        (void) fflush(stderr);
        ctl_bar.columns = 0;
    }

    (void) pthread_mutex_unlock(&ctl_bar.lock);
}


void
ctl_progress_end(void)
{
    ctl_progress_hide();
    ctl_bar.begun = false;
}
