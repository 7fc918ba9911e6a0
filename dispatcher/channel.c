/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Channels: libcurl's multi-socket interface on libev, and the descriptors
 * that it uses.
 *
 * With each request libcurl starts and stops watching a kept connection.
 * Telling the kernel each time would cost two system calls per delivery, so a
 * descriptor that we opened stays watched until it closes, or becomes readable
 * while libcurl does not watch it.  libcurl closes its own descriptors (the
 * resolver's) without notice, so these are watched only while libcurl does.
 *
 * libcurl would report its next timeout with each step of each request.
 * Instead, the loop asks for it once before each wait, for each channel that
 * was active.
 */

#include <curl/curl.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/interfaces.h"
#include "registry/registry.h"

#include "channel.h"
#include "destination.h"
#include "dispatcher.h"
#include "log.h"
#include "send.h"
#include "target.h"

#define ESD_UNACKED_MS  30000      /* of data, until a connection is closed */
#define ESD_SHORT_US    1000000    /* pause when there are no descriptors */
#define ESD_RECOUNT_US  1000000    /* between counts of open sockets */

static void esd_channel_destroy(esd_dispatcher_t *d, esd_channel_t *channel);


void
esd_channels_init(esd_dispatcher_t *d)
{
    TAILQ_INIT(&d->channels.all);
    TAILQ_INIT(&d->channels.busy);
}


void
esd_channels_done(esd_dispatcher_t *d)
{
    size_t           i;
    esd_channel_t   *channel;
    esd_channels_t  *channels;

    channels = &d->channels;

    while ((channel = TAILQ_FIRST(&channels->all)) != NULL) {
        esd_channel_destroy(d, channel);
    }

    for (i = 0; i < channels->nwatches; i++) {
        if (channels->watches[i] != NULL) {
            ev_io_stop(d->loop.ev, &channels->watches[i]->io);
            free(channels->watches[i]);
        }
    }

    free(channels->watches);
}


void
esd_channel_busy(esd_channel_t *channel)
{
    if (!channel->busy) {
        channel->busy = true;
        TAILQ_INSERT_TAIL(&channel->d->channels.busy, channel, in_busy);
    }
}


void
esd_channel_kick(esd_channel_t *channel)
{
    channel->kick = true;
    esd_channel_busy(channel);
}


/*
 * Bytes that come while no request is under way would be taken for the answer
 * to the next one.  They are dropped, and libcurl finds the connection closed.
 * Versions before 8.0 do not check that themselves.
 */

static void
esd_socket_idle(const esd_watch_t *watch)
{
    char  late[4096];

    if (watch->single
        && recv(watch->io.fd, late, sizeof(late), MSG_DONTWAIT) > 0)
    {
        (void) shutdown(watch->io.fd, SHUT_RDWR);

        while (recv(watch->io.fd, late, sizeof(late), MSG_DONTWAIT) > 0) {
            /* void */
        }
    }
}


/* The descriptor that the ended request has used; NULL: it is closed. */

static esd_watch_t *
esd_socket_used(const esd_send_t *send)
{
    curl_socket_t          fd;
    const esd_channels_t  *channels;

    channels = &send->d->channels;
    fd = CURL_SOCKET_BAD;
    (void) curl_easy_getinfo(send->easy, CURLINFO_ACTIVESOCKET, &fd);

    return fd >= 0 && (size_t) fd < channels->nwatches ? channels->watches[fd]
                                                       : NULL;
}


const esd_handshake_t *
esd_socket_over(esd_send_t *send)
{
    long          version;
    esd_watch_t  *watch;

    version = CURL_HTTP_VERSION_NONE;
    (void) curl_easy_getinfo(send->easy, CURLINFO_HTTP_VERSION, &version);

    watch = version == CURL_HTTP_VERSION_2_0 && send->destination.plain
            ? NULL : esd_socket_used(send);

    if (watch == NULL) {
        return &send->handshake;
    }

    if (version != CURL_HTTP_VERSION_2_0) {
        watch->single = true;
    }

    if (send->handshake.seen_us != 0) {
        watch->handshake = send->handshake;
    }

    return &watch->handshake;
}


static void
esd_channel_on_io(struct ev_loop *ev, ev_io *io, int revents)
{
    int                running;
    esd_watch_t       *watch;

    watch = (esd_watch_t *) io;

    /* The other end closes an idle connection.  libcurl notices that when it
       next uses the connection. */

    if (watch->wanted == 0) {
        esd_socket_idle(watch);
        ev_io_stop(ev, io);
        return;
    }

    esd_channel_busy(watch->channel);

    (void) curl_multi_socket_action(watch->channel->multi, io->fd,
                      ((revents & EV_READ) ? CURL_CSELECT_IN : 0)
                      | ((revents & EV_WRITE) ? CURL_CSELECT_OUT : 0)
                      | ((revents & EV_ERROR) ? CURL_CSELECT_ERR : 0),
                      &running);
}


static esd_watch_t *
esd_socket_watch(esd_dispatcher_t *d, int fd)
{
    size_t            n;
    esd_watch_t     **watches;
    esd_channels_t   *channels;

    channels = &d->channels;

    if ((size_t) fd >= channels->nwatches) {
        n = (size_t) fd + 64;

        watches = realloc(channels->watches, n * sizeof(esd_watch_t *));
        if (watches == NULL) {
            return NULL;
        }

        memset(watches + channels->nwatches, 0,
               (n - channels->nwatches) * sizeof(esd_watch_t *));
        channels->watches = watches;
        channels->nwatches = n;
    }

    if (channels->watches[fd] == NULL) {
        channels->watches[fd] = calloc(1, sizeof(esd_watch_t));
        if (channels->watches[fd] == NULL) {
            return NULL;
        }

        ev_io_init(&channels->watches[fd]->io, esd_channel_on_io, fd, EV_READ);
        channels->watches[fd]->io.data = d;
    }

    return channels->watches[fd];
}


/* libcurl 7.88 does not report the close of a socket that never connected. */

static void
esd_socket_check(esd_channels_t *channels, int fd)
{
    if (channels->watches[fd]->ours && fcntl(fd, F_GETFD) == -1) {
        channels->watches[fd]->ours = false;
        channels->sockets--;
    }
}


static int
esd_channel_on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx,
    void *unused)
{
    int                events;
    esd_watch_t       *watch;
    esd_channel_t     *channel;
    esd_dispatcher_t  *d;

    (void) easy;
    (void) unused;

    channel = ctx;
    d = channel->d;

    watch = esd_socket_watch(d, fd);
    if (watch == NULL) {
        return -1;
    }

    events = what == CURL_POLL_REMOVE
             ? 0 : ((what & CURL_POLL_IN) ? EV_READ : 0)
                   | ((what & CURL_POLL_OUT) ? EV_WRITE : 0);
    watch->wanted = events;
    watch->channel = channel;

    if (events == 0) {
        if (!watch->ours || (watch->io.events & EV_WRITE)) {
            ev_io_stop(d->loop.ev, &watch->io);
            esd_socket_check(&d->channels, fd);
        }

        return 0;
    }

    if (ev_is_active(&watch->io)) {
        if ((watch->io.events & (EV_READ | EV_WRITE)) == events) {
            return 0;
        }

        ev_io_stop(d->loop.ev, &watch->io);
    }

    ev_io_set(&watch->io, fd, events);
    ev_io_start(d->loop.ev, &watch->io);

    return 0;
}


/* Without descriptors or memory nothing is sent for a while, and no endpoint
   counts that as a failure. */

void
esd_descriptors_lack(esd_dispatcher_t *d, const char *what, int error)
{
    int64_t  now_us;

    now_us = es_clock_mono_us();

    if (now_us - d->channels.short_us > 10 * ESD_SHORT_US) {
        esd_log_line(ESD_LOG_ERROR,
                     "cannot create %s, nothing is sent for %d s: "
                     "%s", what, ESD_SHORT_US / 1000000, strerror(error));
    }

    d->channels.short_us = now_us + ESD_SHORT_US;
}


static void
esd_socket_failed(esd_send_t *send, int error)
{
    if (error == EMFILE
        || error == ENFILE
        || error == ENOBUFS
        || error == ENOMEM)
    {
        send->starved = true;
        esd_descriptors_lack(send->d, "a socket", error);
    }
}


bool
esd_descriptors_spare(esd_dispatcher_t *d)
{
    int  fd;

    fd = dup(d->wake_fd);

    if (fd == -1) {
        esd_descriptors_lack(d, "a socket", errno);
        return false;
    }

    (void) close(fd);

    return true;
}


bool
esd_descriptors_short(const esd_dispatcher_t *d)
{
    return d->channels.short_us != 0
           && es_clock_mono_us() < d->channels.short_us;
}


curl_socket_t
esd_socket_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *addr)
{
    int                fd;
    unsigned           unacked_ms;
    esd_send_t        *send;
    esd_watch_t       *watch;
    esd_dispatcher_t  *d;

    send = ctx;
    d = send->d;

    if (purpose != CURLSOCKTYPE_IPCXN) {
        send->refused = true;
        return CURL_SOCKET_BAD;
    }

    if (!es_interfaces_refresh(&d->interfaces)) {
        send->starved = true;
        esd_descriptors_lack(d, "a socket", errno);
        return CURL_SOCKET_BAD;
    }

    if (!esd_destination_allowed(send, &addr->addr)) {
        return CURL_SOCKET_BAD;
    }

    fd = socket(addr->family, addr->socktype | SOCK_CLOEXEC, addr->protocol);
    if (fd == -1) {
        esd_socket_failed(send, errno);
        return CURL_SOCKET_BAD;
    }

    /* An attempt over HTTP/2 that times out leaves its connection to the next
       ones, even when the peer is gone. */

    unacked_ms = ESD_UNACKED_MS;
    (void) setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacked_ms,
                      sizeof(unacked_ms));

    watch = esd_socket_watch(d, fd);
    if (watch == NULL) {
        (void) close(fd);
        esd_socket_failed(send, ENOMEM);
        return CURL_SOCKET_BAD;
    }

    ev_io_stop(d->loop.ev, &watch->io);
    watch->wanted = 0;

    /* an earlier descriptor of this number may have been closed without
       notice */

    d->channels.sockets += !watch->ours;
    watch->ours = true;
    watch->single = false;
    memset(&watch->handshake, 0, sizeof(watch->handshake));

    return fd;
}


int
esd_socket_close(void *ctx, curl_socket_t fd)
{
    esd_watch_t       *watch;
    esd_channels_t    *channels;
    esd_dispatcher_t  *d;

    d = ctx;
    channels = &d->channels;

    if ((size_t) fd < channels->nwatches && channels->watches[fd] != NULL) {
        watch = channels->watches[fd];
        ev_io_stop(d->loop.ev, &watch->io);
        watch->wanted = 0;
        channels->sockets -= watch->ours;
        watch->ours = false;
    }

    return close(fd);
}


static void
esd_channel_on_timer(struct ev_loop *ev, ev_timer *w, int revents)
{
    esd_channel_t  *channel;

    (void) revents;

    channel = w->data;
    ev_timer_stop(ev, w);
    esd_channel_kick(channel);
}


/* Corrects the count after closes that libcurl did not report. */

static void
esd_channels_recount(esd_channels_t *channels)
{
    size_t  fd;

    for (fd = 0; fd < channels->nwatches; fd++) {
        if (channels->watches[fd] != NULL) {
            esd_socket_check(channels, (int) fd);
        }
    }
}


bool
esd_channels_full(esd_dispatcher_t *d)
{
    unsigned     max;
    int64_t      now_us;
    esd_channels_t  *channels;

    channels = &d->channels;
    max = d->options.max_connections + d->in_flight;

    if (channels->sockets < max) {
        return false;
    }

    now_us = es_clock_mono_us();

    if (now_us - channels->counted_us >= ESD_RECOUNT_US) {
        channels->counted_us = now_us;
        esd_channels_recount(channels);
    }

    return channels->sockets >= max;
}


/* Endpoints with exceptions share no connections with others: a connection to an
   address that is not public would refuse the request of another endpoint, which
   might reach the same name at a public one. */

static bool
esd_channel_excepted(const es_endpoint_t *endpoint)
{
    return endpoint->exceptions.naddresses > 0
           || endpoint->partner->exceptions.naddresses > 0;
}


static esd_channel_t *
esd_channel_create(esd_dispatcher_t *d)
{
    esd_channel_t  *channel;

    channel = calloc(1, sizeof(esd_channel_t));
    if (channel == NULL) {
        return NULL;
    }

    channel->d = d;
    channel->multi = curl_multi_init();

    if (channel->multi == NULL) {
        free(channel);
        return NULL;
    }

    ev_init(&channel->timer, esd_channel_on_timer);
    channel->timer.data = channel;

    (void) curl_multi_setopt(channel->multi, CURLMOPT_SOCKETFUNCTION,
                             esd_channel_on_socket);
    (void) curl_multi_setopt(channel->multi, CURLMOPT_SOCKETDATA, channel);
    (void) curl_multi_setopt(channel->multi, CURLMOPT_MAXCONNECTS,
                             (long) d->options.max_connections);
    (void) curl_multi_setopt(channel->multi, CURLMOPT_PIPELINING,
                             (long) CURLPIPE_MULTIPLEX);

    TAILQ_INSERT_TAIL(&d->channels.all, channel, link);

    return channel;
}


static void
esd_channel_destroy(esd_dispatcher_t *d, esd_channel_t *channel)
{
    TAILQ_REMOVE(&d->channels.all, channel, link);

    if (channel->busy) {
        TAILQ_REMOVE(&d->channels.busy, channel, in_busy);
    }

    ev_timer_stop(d->loop.ev, &channel->timer);
    (void) curl_multi_cleanup(channel->multi);
    free(channel);
}


esd_channel_t *
esd_channel_take(esd_dispatcher_t *d, esd_target_t *target)
{
    bool             own;
    esd_channel_t  **channel, **shares;

    own = target->conf->client_cert.len > 0 || target->conf->ca_file.len > 0;
    shares = esd_channel_excepted(target->conf) ? d->channels.excepted
                                                : d->channels.shares;
    channel = own ? &target->channel : &shares[target->number % ESD_SHARES];

    if (*channel == NULL) {
        *channel = esd_channel_create(d);

        if (*channel == NULL) {
            return NULL;
        }

        /* a shared channel stays, because it keeps connections */

        (*channel)->sends = !own;
    }

    (*channel)->sends++;

    return *channel;
}


void
esd_channel_leave(esd_send_t *send)
{
    if (--send->channel->sends > 0) {
        return;
    }

    if (send->target->channel == send->channel) {
        send->target->channel = NULL;
    }

    esd_channel_busy(send->channel);
}


static void
esd_channel_reap(esd_channel_t *channel)
{
    int          left;
    char        *private;
    CURLMsg     *msg;
    esd_send_t  *send;

    while ((msg = curl_multi_info_read(channel->multi, &left)) != NULL) {
        if (msg->msg == CURLMSG_DONE) {
            private = NULL;
            (void) curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE,
                                     &private);
            send = (esd_send_t *) (void *) private;
            send->over(send, msg->data.result);
        }
    }
}


void
esd_channels_reap(esd_dispatcher_t *d)
{
    esd_channel_t  *channel, *next;

    for (channel = TAILQ_FIRST(&d->channels.busy); channel; channel = next) {
        esd_channel_reap(channel);
        next = TAILQ_NEXT(channel, in_busy);

        /* not freed by esd_channel_leave(), where libcurl may be running */

        if (channel->sends == 0) {
            esd_channel_destroy(d, channel);
        }
    }
}


/* True: libcurl has work to do at once.  Otherwise the channel's timer is
   set. */

static bool
esd_channel_due(esd_channel_t *channel)
{
    long  ms;

    ms = -1;
    (void) curl_multi_timeout(channel->multi, &ms);

    if (ms == 0) {
        return true;
    }

    channel->timer.repeat = ms > 0 ? (double) ms / 1000 : 0;
    ev_timer_again(channel->d->loop.ev, &channel->timer);

    return false;
}


bool
esd_channels_run(esd_dispatcher_t *d)
{
    int             running;
    bool            kicked;
    esd_channel_t  *channel, *next;

    kicked = false;

    for (channel = TAILQ_FIRST(&d->channels.busy); channel; channel = next) {
        next = TAILQ_NEXT(channel, in_busy);

        if (channel->kick || esd_channel_due(channel)) {
            channel->kick = false;
            kicked = true;
            (void) curl_multi_socket_action(channel->multi,
                                            CURL_SOCKET_TIMEOUT, 0, &running);

        } else if (channel->sends > 0) {
            channel->busy = false;
            TAILQ_REMOVE(&d->channels.busy, channel, in_busy);
        }
    }

    return kicked;
}
