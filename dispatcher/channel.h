/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * libcurl's multi-socket interface on libev, and the descriptors that it
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

#include "certificates.h"
#include "types.h"

typedef TAILQ_HEAD(esd_channel_queue, esd_channel)  esd_channel_list_t;

/* One watched descriptor. */
typedef struct {
    ev_io          io;
    esd_channel_t *channel;    /* that watches it */
    int            wanted;           /* what libcurl watches; 0: nothing */
    bool           single;     /* carries one request at a time */
    bool           ours;       /* only esd_socket_close() closes it */
    esd_handshake_t  handshake;    /* of its TLS connection */
} esd_watch_t;

/* Requests that may share connections.  An endpoint with a client certificate
   or its own trusted certificates has a channel of its own, so that the
   isolation does not depend on what libcurl compares before it reuses a
   connection.  All others are divided among a few channels, because libcurl
   searches all connections of a host to find one. */
struct esd_channel {
    esd_dispatcher_t           *d;
    TAILQ_ENTRY(esd_channel)    link;
    TAILQ_ENTRY(esd_channel)    in_busy;
    CURLM                      *multi;
    unsigned                    sends; /* existing ones, in flight or idle */
    bool                        kick;  /* libcurl must run at once */
    bool                        busy;  /* it has run or must run */
    ev_timer                    timer; /* libcurl's */
};

#define ESD_SHARES  64

typedef struct {
    esd_channel_list_t    all;
    esd_channel_list_t    busy;
    esd_channel_t        *shares[ESD_SHARES];  /* created when needed */
    esd_channel_t        *excepted[ESD_SHARES];    /* likewise; of endpoints
                                          with excepted addresses */
    unsigned              sockets;     /* open ones, in use or kept; may be too
                                          high, see esd_channels_full() */
    int64_t               counted_us;  /* monotonic */
    int64_t               short_us;    /* monotonic: nothing is sent before, for
                                          lack of descriptors; or 0 */
    esd_watch_t         **watches;     /* by descriptor */
    size_t                nwatches;
} esd_channels_t;

void esd_channels_init(esd_dispatcher_t *d);
/* Must follow the last easy handle, because libcurl calls back when it closes
   connections. */
void esd_channels_done(esd_dispatcher_t *d);
/* Calls send->ended() of each attempt that libcurl has finished. */
void esd_channels_reap(esd_dispatcher_t *d);
/* Lets libcurl run; true: it had work to do at once. */
bool esd_channels_run(esd_dispatcher_t *d);
/* The channel of the requests to the target, for one more send. */
esd_channel_t *esd_channel_take(esd_dispatcher_t *d, esd_target_t *target);
/* The send ends; a channel without sends is freed soon. */
void esd_channel_leave(esd_send_t *send);
/* A request of the channel has begun: libcurl runs before the loop waits. */
void esd_channel_kick(esd_channel_t *channel);
/* A request of the channel has ended outside of libcurl. */
void esd_channel_busy(esd_channel_t *channel);
/* Callbacks of easy handles, which open allowed addresses and close sockets. */
curl_socket_t esd_socket_open(void *ctx, curlsocktype purpose,
    struct curl_sockaddr *addr);
int esd_socket_close(void *ctx, curl_socket_t fd);
/* A request has ended.  If its connection carries one request at a time, bytes
   that come before the next request end the connection.  Returns what the
   handshake of the connection has shown. */
const esd_handshake_t *esd_socket_over(esd_send_t *send);
/* False: no descriptor is available, which may be why an attempt failed. */
bool esd_descriptors_spare(esd_dispatcher_t *d);
/* No memory or descriptor was available for `what`: nothing is sent for a
   second, and a line is logged. */
void esd_descriptors_lack(esd_dispatcher_t *d, const char *what, int error);
/* True: the limit of kept connections is reached. */
bool esd_channels_full(esd_dispatcher_t *d);
/* True during the pause after a lack of descriptors. */
bool esd_descriptors_short(const esd_dispatcher_t *d);

#endif /* ESD_CHANNEL_H */
