/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Libcurl's multi-socket interface on libev, and the descriptors that it
 * uses.
 */

#ifndef ESD_CHANNEL_H
#define ESD_CHANNEL_H

#include <curl/curl.h>
#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "types.h"

typedef TAILQ_HEAD(esd_channel_queue, esd_channel)  esd_channel_list_t;

/* One watched descriptor. */
typedef struct {
    ev_io          io;
    esd_channel_t *channel;    /* that waits for it */
    int            wanted;           /* what libcurl asks for; 0: nothing */
    bool           ours;       /* closed by esd_socket_close() only */
} esd_watch_t;

/* Requests that may share connections: those of an endpoint that has a client
   certificate or a trust of its own, as what libcurl compares before it uses a
   connection again is not relied upon; and those of a share of all others, as
   libcurl goes through all connections of a host to find one. */
struct esd_channel {
    esd_dispatcher_t           *d;
    TAILQ_ENTRY(esd_channel)    link;
    TAILQ_ENTRY(esd_channel)    in_busy;
    CURLM                      *multi;
    unsigned                    sends; /* made, in flight or not */
    bool                        kick;  /* libcurl is to run at once */
    bool                        busy;  /* it has run, or is to */
    ev_timer                    timer; /* libcurl's */
};

#define ESD_SHARES  64

typedef struct {
    esd_channel_list_t    all;
    esd_channel_list_t    busy;
    esd_channel_t        *shares[ESD_SHARES];  /* made when they are needed */
    unsigned              sockets;     /* open: in use or kept; or more, see
                                          esd_channels_full() */
    int64_t               counted_us;  /* monotonic */
    int64_t               short_us;    /* monotonic: there was no descriptor,
                                          and nothing is sent before; or 0 */
    esd_watch_t         **watches;     /* by descriptor */
    size_t                nwatches;
} esd_channels_t;

void esd_channels_init(esd_dispatcher_t *d);
/* After the last easy handle: libcurl calls back when it closes
   connections. */
void esd_channels_done(esd_dispatcher_t *d);
/* Calls send->ended() of each attempt that libcurl has finished. */
void esd_channels_reap(esd_dispatcher_t *d);
/* Lets libcurl run; true when it had something to do at once. */
bool esd_channels_run(esd_dispatcher_t *d);
/* The channel that the target's requests go by, for one more send. */
esd_channel_t *esd_channel_take(esd_dispatcher_t *d, esd_target_t *target);
/* The send is no more: a channel without any ends soon. */
void esd_channel_leave(esd_send_t *send);
/* A request of the channel has begun: libcurl runs before the loop waits. */
void esd_channel_kick(esd_channel_t *channel);
/* One has ended otherwise than by libcurl's doing. */
void esd_channel_busy(esd_channel_t *channel);
/* Callbacks for easy handles: opens what egress allows; closes. */
curl_socket_t esd_socket_open(void *ctx, curlsocktype purpose,
    struct curl_sockaddr *addr);
int esd_socket_close(void *ctx, curl_socket_t fd);
/* What an attempt ended for may be that there are no descriptors. */
bool esd_descriptors_spare(esd_dispatcher_t *d);
/* There is no memory or descriptor to make `what`: nothing is sent for a
   second, and the log says so. */
void esd_descriptors_lack(esd_dispatcher_t *d, const char *what, int error);
/* As many connections are kept, beside those in use, as may be. */
bool esd_channels_full(esd_dispatcher_t *d);
/* True while there were none, and nothing is to be sent. */
bool esd_descriptors_short(const esd_dispatcher_t *d);

#endif /* ESD_CHANNEL_H */
