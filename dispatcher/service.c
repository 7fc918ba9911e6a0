/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Tells the service manager what the dispatcher does, by the protocol of
 * sd_notify(3).
 *
 * The protocol is a datagram of lines to a socket, and is stable.  libsystemd
 * is not used for it: its sd_notify() waits while the manager's socket is full,
 * which the loop must not, and it brings the decoders of four compressions
 * into a process that holds secrets.
 *
 * A message that the socket does not take now is tried again every second.
 * Pings are not: the next one follows soon.
 *
 * The watchdog's pings come from the loop, so that a loop that hangs sends
 * none.  It sends none either while one commit of the recorder or one load of
 * the registry takes longer than the watchdog's time.  A commit that fails is
 * no reason: a restart would not mend the disk.  Neither are the janitor and
 * the notifier: they wait for the writer lock of log/, which a publisher can
 * hold for long, and a restart would only interrupt the deliveries.
 */

#include <errno.h>
#include <ev.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "delivery/stall.h"

#include "dispatcher.h"
#include "loader.h"
#include "log.h"
#include "recorder.h"
#include "service.h"

#define ESD_SERVICE_PINGS   4          /* in the watchdog's time */
#define ESD_SERVICE_EXTEND  "30000000"


/* A path, or the name of an abstract socket after "@". */

static bool
esd_service_address(esd_service_t *service, const char *name)
{
    size_t  len;

    len = strlen(name);

    if ((name[0] != '/' && name[0] != '@') || name[1] == '\0'
        || len >= sizeof(service->address.sun_path))
    {
        esd_log_line(ESD_LOG_WARN, "NOTIFY_SOCKET is \"%s\", which is not the "
                     "name of a unix socket: the service manager is not told "
                     "anything", name);
        return false;
    }

    service->address.sun_family = AF_UNIX;
    memcpy(service->address.sun_path, name, len + 1);
    service->address_len = (socklen_t) (offsetof(struct sockaddr_un, sun_path)
                                        + len);

    if (name[0] == '@') {
        service->address.sun_path[0] = '\0';

    } else {
        service->address_len++;
    }

    return true;
}


/* The time counts only for the process that WATCHDOG_PID names. */

static void
esd_service_watchdog(esd_service_t *service)
{
    char        *end;
    long long    us;
    const char  *text, *pid;

    text = getenv("WATCHDOG_USEC");
    pid = getenv("WATCHDOG_PID");

    if (text == NULL || (pid != NULL && strtol(pid, NULL, 10) != getpid())) {
        return;
    }

    errno = 0;
    us = strtoll(text, &end, 10);

    if (text[0] < '1' || text[0] > '9' || *end != '\0' || errno != 0) {
        esd_log_line(ESD_LOG_WARN, "WATCHDOG_USEC is \"%s\", which is not a "
                     "number of microseconds: there are no pings", text);
        return;
    }

    service->watchdog_us = us;
}


void
esd_service_init(esd_service_t *service)
{
    const char  *name;

    service->fd = -1;
    name = getenv("NOTIFY_SOCKET");

    if (name == NULL || !esd_service_address(service, name)) {
        return;
    }

    service->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
                         0);
    if (service->fd == -1) {
        esd_log_line(ESD_LOG_WARN, "cannot make a socket for the service "
                     "manager: %s", strerror(errno));
        return;
    }

    esd_service_watchdog(service);
}


/* False: the manager does not take it now, and perhaps never. */

static bool
esd_service_send(esd_service_t *service, const char *text)
{
    ssize_t  n;

    n = sendto(service->fd, text, strlen(text), MSG_NOSIGNAL,
               (const struct sockaddr *) &service->address,
               service->address_len);

    if (n >= 0) {
        service->refused = false;
        return true;
    }

    if (errno != EAGAIN && errno != ENOBUFS && errno != EINTR
        && !service->refused)
    {
        service->refused = true;
        esd_log_line(ESD_LOG_WARN, "cannot tell the service manager at \"%s\" "
                     "what this process does: %s", getenv("NOTIFY_SOCKET"),
                     strerror(errno));
    }

    return false;
}


/* Sends what the manager does not know yet. */

static void
esd_service_tell(esd_service_t *service)
{
    char  text[ESD_SERVICE_STATE_MAX + ESD_SERVICE_STATUS_MAX + 16];

    if (service->fd == -1
        || (service->state[0] == '\0'
            && strcmp(service->status, service->told) == 0))
    {
        return;
    }

    (void) snprintf(text, sizeof(text), "%s%sSTATUS=%s", service->state,
                    service->state[0] != '\0' ? "\n" : "", service->status);

    if (esd_service_send(service, text)) {
        service->state[0] = '\0';
        memcpy(service->told, service->status, sizeof(service->told));
    }
}


static void __attribute__((format(printf, 2, 3)))
esd_service_state(esd_service_t *service, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    (void) vsnprintf(service->state, sizeof(service->state), fmt, args);
    va_end(args);
}


static void __attribute__((format(printf, 2, 3)))
esd_service_status(esd_service_t *service, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    (void) vsnprintf(service->status, sizeof(service->status), fmt, args);
    va_end(args);
}


void
esd_service_waits(esd_dispatcher_t *d, long pid)
{
    esd_service_t  *service;

    service = &d->service;

    esd_service_state(service, "EXTEND_TIMEOUT_USEC=" ESD_SERVICE_EXTEND);

    if (pid != 0) {
        esd_service_status(service, "Waiting until the dispatcher with the "
                           "process id %ld ends", pid);
    } else {
        esd_service_status(service, "Waiting until the other dispatcher ends");
    }

    esd_service_tell(service);
}


void
esd_service_starts(esd_dispatcher_t *d)
{
    esd_service_status(&d->service, "Reading the state of the last run");
    esd_service_tell(&d->service);
}


static size_t
esd_service_endpoints(const esd_dispatcher_t *d)
{
    size_t  i, n;

    for (i = 0, n = 0; i < d->ntargets; i++) {
        n += d->targets[i] != NULL;
    }

    return n;
}


static void
esd_service_present(esd_dispatcher_t *d)
{
    esd_service_t  *service;

    service = &d->service;

    if (d->stopping) {
        esd_service_status(service, "Stopping with %u requests in flight",
                           d->in_flight);

    } else if (d->halted) {
        esd_service_status(service, "Sending nothing: delivery state cannot be "
                           "written");

    } else if (d->stall.reason != ES_STALL_NONE) {
        esd_service_status(service, "Sending nothing: %s",
                           d->stall.reason == ES_STALL_PROXY
                           ? "the proxy does not work"
                           : "no descriptors for sockets");

    } else {
        esd_service_status(service, "Sending to %zu endpoints: %u requests in "
                           "flight, %zu events wait", esd_service_endpoints(d),
                           d->in_flight, d->nwaiting);
    }
}


/* The thread whose present work takes longer than the watchdog's time; NULL:
   none. */

static const char *
esd_service_stuck(esd_dispatcher_t *d)
{
    int64_t  limit_us;

    limit_us = d->service.watchdog_us;

    return esd_recorder_busy_us(d) > limit_us ? "a commit of delivery state"
           : esd_loader_busy_us(d) > limit_us ? "a load of the registry"
           : NULL;
}


static void
esd_service_ping(struct ev_loop *ev, ev_timer *w, int revents)
{
    const char        *what;
    esd_service_t     *service;
    esd_dispatcher_t  *d;

    (void) ev;
    (void) revents;

    d = w->data;
    service = &d->service;
    what = esd_service_stuck(d);

    if (what == NULL) {
        if (service->stuck) {
            esd_log_line(ESD_LOG_WARN, "all threads make progress again, and "
                         "the watchdog has its pings");
        }

        service->stuck = false;
        (void) esd_service_send(service, "WATCHDOG=1");
        return;
    }

    if (!service->stuck) {
        service->stuck = true;
        esd_log_line(ESD_LOG_ERROR, "%s has taken longer than the watchdog's "
                     "%" PRId64 " ms: the service manager gets no pings", what,
                     service->watchdog_us / 1000);
    }
}


void
esd_service_ready(esd_dispatcher_t *d)
{
    double          every_s;
    esd_service_t  *service;

    service = &d->service;

    service->running = true;
    esd_service_state(service, "READY=1");
    esd_service_present(d);
    esd_service_tell(service);

    if (service->watchdog_us == 0) {
        return;
    }

    every_s = (double) service->watchdog_us / 1000000 / ESD_SERVICE_PINGS;
    ev_timer_init(&service->watchdog, esd_service_ping, 0, every_s);
    service->watchdog.data = d;
    ev_timer_start(d->loop.ev, &service->watchdog);
}


void
esd_service_tick(esd_dispatcher_t *d)
{
    esd_service_present(d);
    esd_service_tell(&d->service);
}


void
esd_service_reloads(esd_dispatcher_t *d)
{
    esd_service_t  *service;

    service = &d->service;

    if (!service->running) {
        return;
    }

    service->reloading = true;
    esd_service_state(service, "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
                      es_clock_mono_us());
    esd_service_tell(service);
}


void
esd_service_reloaded(esd_dispatcher_t *d)
{
    esd_service_t  *service;

    service = &d->service;

    if (service->running && service->reloading) {
        service->reloading = false;
        esd_service_state(service, "READY=1");
        esd_service_tell(service);
    }
}


void
esd_service_stops(esd_dispatcher_t *d)
{
    esd_service_t  *service;

    service = &d->service;

    service->running = false;
    esd_service_state(service, "STOPPING=1");
    esd_service_present(d);
    esd_service_tell(service);
}
