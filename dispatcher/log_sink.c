/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Writes log lines to stderr without waiting for its reader.
 *
 * stderr is shared with other processes, so it must not become non-blocking.
 * A socket, as a service manager gives one, takes MSG_DONTWAIT.  A pipe or a
 * terminal is asked by poll(2) first.
 */

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log_sink.h"

#define ESD_LOG_HELD  (256 * 1024)

static pthread_mutex_t  esd_log_mutex = PTHREAD_MUTEX_INITIALIZER;

/* Lines that wait, the first perhaps without its beginning. */
static char             esd_log_held[ESD_LOG_HELD];
static size_t           esd_log_nheld;
static uint64_t         esd_log_dropped;


/* Returns how many bytes are done with.  If nobody will ever read stderr, that
   is all of them. */

static size_t
esd_log_write(const char *data, size_t len, int wait_ms)
{
    ssize_t        n;
    struct pollfd  fd;

    fd.fd = STDERR_FILENO;
    fd.events = POLLOUT;

    if (poll(&fd, 1, wait_ms) != 1) {
        return 0;
    }

    n = send(STDERR_FILENO, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n == -1 && errno == ENOTSOCK) {
        n = write(STDERR_FILENO, data, len);
    }

    if (n >= 0) {
        return (size_t) n;
    }

    return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? 0 : len;
}


/* The largest piece that ends with a line and that a pipe takes whole. */

static size_t
esd_log_piece(void)
{
    size_t       len;
    const char  *end;

    len = esd_log_nheld < ESD_LOG_LINE_MAX ? esd_log_nheld : ESD_LOG_LINE_MAX;
    end = memrchr(esd_log_held, '\n', len);

    return end != NULL ? (size_t) (end + 1 - esd_log_held) : len;
}


static bool
esd_log_flush(int wait_ms)
{
    size_t  n;

    while (esd_log_nheld > 0) {
        n = esd_log_write(esd_log_held, esd_log_piece(), wait_ms);
        if (n == 0) {
            return false;
        }

        esd_log_nheld -= n;
        memmove(esd_log_held, esd_log_held + n, esd_log_nheld);
    }

    return true;
}


void
esd_log_sink(const char *line, size_t len)
{
    size_t  n;

    (void) pthread_mutex_lock(&esd_log_mutex);

    n = esd_log_flush(0) ? esd_log_write(line, len, 0) : 0;

    if (n == len) {
        /* void */

    } else if (len - n <= ESD_LOG_HELD - esd_log_nheld) {
        memcpy(esd_log_held + esd_log_nheld, line + n, len - n);
        esd_log_nheld += len - n;

    } else {
        esd_log_dropped++;
    }

    (void) pthread_mutex_unlock(&esd_log_mutex);
}


uint64_t
esd_log_sink_flush(int wait_ms)
{
    uint64_t  dropped;

    (void) pthread_mutex_lock(&esd_log_mutex);

    dropped = 0;

    if (esd_log_flush(wait_ms)) {
        dropped = esd_log_dropped;
        esd_log_dropped = 0;
    }

    (void) pthread_mutex_unlock(&esd_log_mutex);

    return dropped;
}
