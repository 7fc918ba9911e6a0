/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Libcurl's multi-socket interface on libev.
 */

#ifndef ESD_LOOP_H
#define ESD_LOOP_H

#include <curl/curl.h>
#include <ev.h>
#include <sys/queue.h>

#include "base/base.h"

typedef struct esd_dispatcher  esd_dispatcher_t;
typedef struct esd_target      esd_target_t;
typedef struct esd_send        esd_send_t;
typedef struct esd_channel     esd_channel_t;

typedef TAILQ_HEAD(esd_channel_list, esd_channel)  esd_channels_t;

/* One watched descriptor. */
typedef struct {
    ev_io          io;
    esd_channel_t *channel;    /* that waits for it */
    int            wanted;           /* what libcurl asks for; 0: nothing */
    bool           ours;       /* closed by esd_loop_close() only */
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
    struct ev_loop  *ev;
    esd_channels_t   channels;
    esd_channels_t   busy;
    esd_channel_t   *shares[ESD_SHARES];   /* made when they are needed */
    unsigned         sockets;  /* open: in use or kept; or more, see
                                  esd_loop_full() */
    int64_t          counted_us;   /* monotonic */
    int64_t          short_us; /* monotonic: none could be had, and none is
                                  asked for before; or 0 */
    esd_watch_t     **watches; /* by descriptor */
    size_t            nwatches;
    ev_prepare        prepare;
    ev_idle           idle;    /* runs while there is work left */
} esd_loop_t;

es_rc_t esd_loop_init(esd_dispatcher_t *d);
void esd_loop_done(esd_dispatcher_t *d);
/* The channel that the target's requests go by, for one more send. */
esd_channel_t *esd_channel_take(esd_dispatcher_t *d, esd_target_t *target);
/* The send is no more: a channel without any ends soon. */
void esd_channel_leave(esd_send_t *send);
/* A request of the channel has begun: libcurl runs before the loop waits. */
void esd_channel_kick(esd_channel_t *channel);
/* One has ended otherwise than by libcurl's doing. */
void esd_channel_busy(esd_channel_t *channel);
/* Callbacks for easy handles: opens what egress allows; closes. */
curl_socket_t esd_loop_open(void *ctx, curlsocktype purpose,
    struct curl_sockaddr *addr);
int esd_loop_close(void *ctx, curl_socket_t fd);
/* What an attempt ended for may be that there are no descriptors. */
bool esd_loop_spare(esd_dispatcher_t *d);
/* There is no memory or descriptor to make `what`: nothing is sent for a
   second, and the log says so. */
void esd_loop_lacks(esd_dispatcher_t *d, const char *what, int error);
/* As many connections are kept, beside those in use, as may be. */
bool esd_loop_full(esd_dispatcher_t *d);
/* True while there were none, and nothing is to be sent. */
bool esd_loop_short(const esd_dispatcher_t *d);

#endif /* ESD_LOOP_H */
