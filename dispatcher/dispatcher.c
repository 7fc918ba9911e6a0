/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The life of the process: start, periodic work, and an orderly stop.
 *
 * A stop waits for requests in flight, so that their outcomes are recorded.  It
 * waits for a limited time; the next start sends again what has no outcome.
 */

#include <curl/curl.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "base/cached_alloc.h"
#include "base/clock.h"
#include "base/event_loop.h"
#include "base/interfaces.h"
#include "delivery/exports.h"
#include "log/unpacked.h"
#include "open/child.h"
#include "store/wake.h"

#include "ack.h"
#include "channel.h"
#include "clearing.h"
#include "control.h"
#include "dispatcher.h"
#include "exporter.h"
#include "host.h"
#include "heads.h"
#include "janitor.h"
#include "loader.h"
#include "log.h"
#include "loop.h"
#include "notifier.h"
#include "packing.h"
#include "proxy.h"
#include "recorder.h"
#include "refresh.h"
#include "sandbox.h"
#include "schedule.h"
#include "select.h"
#include "service.h"
#include "signing.h"
#include "stall.h"
#include "store.h"
#include "target.h"
#include "test_event.h"
#include "trickle.h"
#include "trusted_clock.h"

#define ESD_GRACE_S    30
#define ESD_PID_MODE   0644
#define ESD_ECHO_US    1000000
#define ESD_HEAP_KEPT  (4 * 1024 * 1024)   /* free bytes at the heap's end */
#define ESD_UNLOCK_US  10000000    /* between checks for a missing key */
#define ESD_UNPACKED_KEPT  (8 * 1024 * 1024)   /* unpacked log, unpacked.h */

static const int  esd_signals[] = { SIGTERM, SIGINT, SIGQUIT, SIGHUP };


static void
esd_dispatcher_end(esd_dispatcher_t *d)
{
    ev_break(d->loop.ev, EVBREAK_ALL);
}


static void
esd_on_refresh_timer(struct ev_loop *ev, ev_timer *w, int revents)
{
    (void) ev;
    (void) w;
    (void) revents;
}


static void
esd_on_wake(struct ev_loop *ev, ev_io *w, int revents)
{
    esd_dispatcher_t  *d;

    (void) ev;
    (void) revents;

    d = w->data;
    es_wake_drain(d->wake_fd);
    d->refresh = true;
}


/* The key file may contain the missing key now. */

static void
esd_dispatcher_unlock(esd_dispatcher_t *d)
{
    int64_t  now_us;

    now_us = es_clock_mono_us();

    if (d->locked && now_us >= d->reload_us) {
        d->reload_us = now_us + ESD_UNLOCK_US;
        d->reload = true;
    }
}


static void
esd_dispatcher_exports(esd_dispatcher_t *d)
{
    es_otlp_counts_t  counts;

    if (d->exporter != NULL && esd_exporter_moved(d->exporter, &counts)) {
        esd_must(d, es_changeset_exports(d->recorder.filling, &counts));
    }
}


static void
esd_dispatcher_packed(esd_dispatcher_t *d)
{
    es_packing_counts_t  counts;

    if (esd_packing_moved(&d->packing, &counts)) {
        esd_must(d, es_changeset_packing(d->recorder.filling, &counts));
    }
}


static void
esd_on_tick(struct ev_loop *ev, ev_timer *w, int revents)
{
    esd_dispatcher_t  *d;

    (void) ev;
    (void) revents;

    d = w->data;

    /* A writer may have been killed between its commit and the bell. */

    d->refresh = true;

    esd_dispatcher_unlock(d);
    esd_recorder_retry(d);
    esd_ack_tick(d);
    esd_targets_tick(d);
    esd_control_tick(d);
    esd_hosts_tick(d);
    d->verify = true;
    esd_stall_all(d);
    esd_select_due(d);

    if (!d->halted) {
        esd_record_heartbeat(d);
        esd_dispatcher_exports(d);
        esd_dispatcher_packed(d);
    }

    esd_service_tick(d);
    esd_log_flush(0);
}


static void
esd_on_tock(struct ev_loop *ev, ev_timer *w, int revents)
{
    esd_dispatcher_t  *d;

    (void) revents;

    d = w->data;

    if (d->nwaiting == 0 && d->nlingering == 0) {
        ev_timer_stop(ev, w);
        return;
    }

    esd_select_due(d);
}


static void
esd_on_grace(struct ev_loop *ev, ev_timer *w, int revents)
{
    esd_dispatcher_t  *d;

    (void) ev;
    (void) revents;

    d = w->data;
    esd_log_line(ESD_LOG_WARN,
                 "%u deliveries did not end within %d s; the next "
                 "start sends them again", d->in_flight, ESD_GRACE_S);
    esd_dispatcher_end(d);
}


/* systemd sends TERM to all processes of a service, and a parent passes its own
   on to the child.  The second signal then does not mean to end at once. */

static bool
esd_on_echo(esd_dispatcher_t *d)
{
    int64_t  now_us;

    now_us = es_clock_mono_us();

    if (!es_child_is() || now_us - d->stopped_us > ESD_ECHO_US) {
        return false;
    }

    d->stopped_us = 0;

    return true;
}


static void
esd_on_signal(struct ev_loop *ev, ev_signal *w, int revents)
{
    esd_dispatcher_t  *d;

    (void) revents;

    d = w->data;

    if (w->signum == SIGHUP) {
        d->refresh = true;
        d->reload = true;
        esd_service_reloads(d);
        return;
    }

    if (d->stopping && esd_on_echo(d)) {
        return;
    }

    if (d->stopping) {
        esd_log_line(ESD_LOG_WARN, "signal %d again: ending at once with %u "
                     "deliveries in flight", w->signum, d->in_flight);
        _exit(1);
    }

    esd_log_line(ESD_LOG_INFO,
                 "signal %d: stopping with %u deliveries in flight",
                 w->signum, d->in_flight);
    d->stopping = true;
    d->stopped_us = es_clock_mono_us();
    esd_service_stops(d);

    ev_timer_set(&d->grace, ESD_GRACE_S, 0);
    ev_timer_start(ev, &d->grace);
}


/* Runs after all other work of a turn; ends the loop when nothing is in
   flight. */

static void
esd_on_prepare(struct ev_loop *ev, ev_prepare *w, int revents)
{
    esd_dispatcher_t  *d;

    (void) ev;
    (void) revents;

    d = w->data;

    if (d->stopping && d->in_flight == 0) {
        esd_dispatcher_end(d);
    }
}


static void
esd_dispatcher_watch(esd_dispatcher_t *d)
{
    size_t           i;
    struct ev_loop  *ev;

    ev = d->loop.ev;

    ev_init(&d->refresh_timer, esd_on_refresh_timer);
    ev_init(&d->grace, esd_on_grace);
    d->grace.data = d;

    ev_timer_init(&d->tick, esd_on_tick, 1, 1);
    d->tick.data = d;
    ev_timer_start(ev, &d->tick);

    ev_timer_init(&d->tock, esd_on_tock, 0, 0.1);
    d->tock.data = d;

    ev_prepare_init(&d->ending, esd_on_prepare);
    d->ending.data = d;
    ev_set_priority(&d->ending, EV_MINPRI);
    ev_prepare_start(ev, &d->ending);

    for (i = 0; i < sizeof(esd_signals) / sizeof(esd_signals[0]); i++) {
        ev_signal_init(&d->signals[i], esd_on_signal, esd_signals[i]);
        d->signals[i].data = d;
        ev_signal_start(ev, &d->signals[i]);
    }

    ev_io_init(&d->wake, esd_on_wake, d->wake_fd, EV_READ);
    d->wake.data = d;
    ev_io_start(ev, &d->wake);
}


/* Every connection in use may have a kept one beside it; the store, the
   resolver and files need some descriptors more. */

static void
esd_dispatcher_files(esd_dispatcher_t *d)
{
    rlim_t         need;
    struct rlimit  limit;

    need = (rlim_t) d->options.max_connections * 2 + 256;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= need) {
        return;
    }

    limit.rlim_cur = limit.rlim_max < need ? limit.rlim_max : need;
    (void) setrlimit(RLIMIT_NOFILE, &limit);

    if (limit.rlim_cur < need) {
        d->options.max_connections = limit.rlim_cur > 512
                                     ? ((unsigned) limit.rlim_cur - 256) / 2
                                     : (unsigned) limit.rlim_cur / 4;
        esd_log_line(ESD_LOG_WARN, "the limit of open files, %llu, allows %u "
                     "connections", (unsigned long long) limit.rlim_cur,
                     d->options.max_connections);
    }
}


static es_rc_t
esd_pid_write(const char *path)
{
    int   fd;
    bool  ok;

    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, ESD_PID_MODE);
    ok = fd != -1
         && fchmod(fd, ESD_PID_MODE) == 0
         && dprintf(fd, "%ld\n", (long) getpid()) > 0;

    if (!ok) {
        esd_log_line(ESD_LOG_ERROR, "cannot write \"%s\": %s", path,
                     strerror(errno));
    }

    if (fd != -1) {
        (void) close(fd);
    }

    return ok ? ES_OK : ES_IO;
}


/* All that a start needs besides the store; with --wait it precedes the wait,
   so that a fault shows at once. */

static es_rc_t
esd_dispatcher_prepare(esd_dispatcher_t *d)
{
    es_rc_t  rc;

    esd_dispatcher_files(d);
    rc = esd_heads_check(d);

    if (rc == ES_OK) {
        rc = esd_proxy_init(d);
    }

    return rc == ES_OK ? esd_exporter_init(d) : rc;
}


/* The store is this process's, perhaps after a wait, in which the files of the
   proxy and of the collector can have changed. */

static es_rc_t
esd_dispatcher_enter(esd_dispatcher_t *d)
{
    es_rc_t  rc;

    esd_service_starts(d);
    esd_schedule_init(d);
    esd_clock_init(d);
    (void) esd_clock_update(d);     /* the janitor repeats this */

    esd_proxy_done(d);
    esd_exporter_finish(d);
    rc = esd_proxy_init(d);

    if (rc == ES_OK) {
        rc = esd_exporter_init(d);
    }

    if (rc != ES_OK) {
        return rc;
    }

    if (!es_interfaces_refresh(&d->interfaces)) {
        esd_log_line(ESD_LOG_ERROR, "cannot read the addresses of this host: "
                     "%s", strerror(errno));
        return ES_IO;
    }

    return ES_OK;
}


/* Whoever reads the file may send a signal, so the loop takes them already. */

static es_rc_t
esd_dispatcher_pid(esd_dispatcher_t *d)
{
    es_rc_t  rc;

    if (d->options.pid_file == NULL) {
        return ES_OK;
    }

    rc = esd_pid_write(d->options.pid_file);
    d->pid_written = rc == ES_OK;

    return rc;
}


static es_rc_t
esd_dispatcher_load(esd_dispatcher_t *d)
{
    es_rc_t  rc;

    esd_channels_init(d);
    rc = esd_loop_init(d);

    if (rc == ES_OK) {
        rc = es_wake_open(d->store, &d->wake_fd);
    }

    if (rc == ES_OK) {
        esd_dispatcher_watch(d);
        esd_trickle_init(d);
        esd_clearing_init(d);
        rc = esd_dispatcher_pid(d);
    }

    if (rc == ES_OK) {
        esd_sandbox_enter(d);
        rc = esd_recorder_start(d);
    }

    if (rc == ES_OK) {
        rc = esd_notifier_start(d);
    }

    if (rc == ES_OK) {
        rc = esd_refresh_load(d);
    }

    if (rc == ES_OK) {
        rc = esd_loader_start(d);
    }

    if (rc == ES_OK) {
        rc = esd_encrypt_start(d);
    }

    if (rc == ES_OK) {
        rc = esd_janitor_start(d);
    }

    if (rc == ES_OK) {
        rc = esd_packing_start(d);
    }

    if (rc == ES_OK) {
        rc = esd_exporter_start(d);
    }

    if (rc != ES_OK) {
        esd_log_line(ESD_LOG_ERROR, "cannot start: %s", es_reason(rc));
    }

    return rc;
}


/* ES_OK and d->stopping: a signal ended the wait for the store. */

static es_rc_t
esd_dispatcher_start(esd_dispatcher_t *d)
{
    es_rc_t  rc;

    rc = esd_dispatcher_prepare(d);

    if (rc == ES_OK) {
        rc = esd_store_open(d);
    }

    if (rc != ES_OK || d->stopping) {
        return rc;
    }

    rc = esd_dispatcher_enter(d);

    return rc == ES_OK ? esd_dispatcher_load(d) : rc;
}


/* Undoes a complete or partial start. */

static es_rc_t
esd_dispatcher_stop(esd_dispatcher_t *d)
{
    es_rc_t  rc;

    esd_janitor_finish(d);
    esd_packing_finish(d);
    esd_loader_finish(d);
    esd_encrypt_finish(d);
    esd_signing_finish(d);
    esd_test_events_end(d);
    esd_dispatcher_exports(d);
    esd_dispatcher_packed(d);

    rc = esd_recorder_finish(d);
    if (rc != ES_OK) {
        esd_log_line(ESD_LOG_ERROR,
                     "cannot write delivery state: %s; the next start "
                     "sends the last deliveries again",
                     es_reason(rc));
    }

    esd_notifier_finish(d);

    if (d->pid_written) {
        (void) unlink(d->options.pid_file);
    }

    /* nothing is written from here on, so the next dispatcher can begin */

    esd_store_release(d);
    esd_exporter_finish(d);

    esd_targets_done(d);
    esd_channels_done(d);
    esd_loop_done(d);
    esd_proxy_done(d);
    es_interfaces_done(&d->interfaces);

    if (d->wake_fd != -1) {
        (void) close(d->wake_fd);
    }

    esd_store_close(d);
    curl_global_cleanup();
    es_cached_end();

    return rc;
}


/* libcurl makes some forty allocations for each request, and the requests of one
   turn end together.  OpenSSL frees the buffers of a connection after each use,
   and the C library would return them to the kernel every time. */

static bool
esd_dispatcher_curl(void)
{
    es_cached_begin();
    (void) mallopt(M_TRIM_THRESHOLD, ESD_HEAP_KEPT);

    return curl_global_init_mem(CURL_GLOBAL_DEFAULT, es_cached_malloc,
                                es_cached_free, es_cached_realloc,
                                es_cached_strdup, es_cached_calloc)
           == CURLE_OK;
}


es_rc_t
esd_dispatcher_run(esd_dispatcher_t *d)
{
    es_rc_t  rc;

    if (!esd_dispatcher_curl()) {
        esd_log_line(ESD_LOG_ERROR, "cannot initialise libcurl");
        return ES_NOMEM;
    }

    d->wake_fd = -1;
    d->owner.fd = -1;

    rc = esd_dispatcher_start(d);
    if (rc != ES_OK || d->stopping) {
        (void) esd_dispatcher_stop(d);
        return rc;
    }

    esd_log_line(ESD_LOG_INFO, "eventsync-dispatcher %s on \"%s\"", ES_VERSION,
                 d->options.store);
    esd_service_ready(d);

    /* Lanes read in many places of a feed.  Without the memory it keeps
       less. */

    (void) es_unpacked_keep(ESD_UNPACKED_KEPT);

    es_event_loop_set(true);
    (void) ev_run(d->loop.ev, 0);
    es_event_loop_set(false);

    rc = esd_dispatcher_stop(d);

    if (rc == ES_OK) {
        esd_log_line(ESD_LOG_INFO, "stopped");
    }

    return rc;
}
