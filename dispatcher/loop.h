/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Libcurl's multi-socket interface on libev.
 */

#ifndef ES_LOOP_H
#define ES_LOOP_H

#include <curl/curl.h>
#include <ev.h>
#include <sys/queue.h>

#include "base/base.h"

typedef struct es_dispatcher  es_dispatcher_t;
typedef struct es_target      es_target_t;
typedef struct es_send        es_send_t;
typedef struct es_channel     es_channel_t;

typedef TAILQ_HEAD(es_channel_list, es_channel)  es_channels_t;

/* One watched descriptor. */
typedef struct {
    ev_io         io;
    es_channel_t *channel;     /* that waits for it */
    int           wanted;            /* what libcurl asks for; 0: nothing */
    bool          ours;        /* closed by es_loop_close() only */
} es_watch_t;

/* Requests that may share connections: those of an endpoint that has a client
   certificate or a trust of its own, as what libcurl compares before it uses a
   connection again is not relied upon; and those of a share of all others, as
   libcurl goes through all connections of a host to find one. */
struct es_channel {
    es_dispatcher_t           *d;
    TAILQ_ENTRY(es_channel)    link;
    TAILQ_ENTRY(es_channel)    in_busy;
    CURLM                     *multi;
    unsigned                   sends;  /* made, in flight or not */
    bool                       kick;   /* libcurl is to run at once */
    bool                       busy;   /* it has run, or is to */
    ev_timer                   timer;  /* libcurl's */
};

#define ES_SHARES  64

typedef struct {
    struct ev_loop  *ev;
    es_channels_t    channels;
    es_channels_t    busy;
    es_channel_t    *shares[ES_SHARES];    /* made when they are needed */
    unsigned         sockets;  /* open: in use or kept; or more, see
                                  es_loop_full() */
    int64_t          counted_us;   /* monotonic */
    int64_t          short_us; /* monotonic: none could be had, and none is
                                  asked for before; or 0 */
    es_watch_t     **watches;  /* by descriptor */
    size_t           nwatches;
    ev_prepare       prepare;
    ev_idle          idle;     /* runs while there is work left */
} es_loop_t;

es_rc_t es_loop_init(es_dispatcher_t *d);
void es_loop_done(es_dispatcher_t *d);
/* The channel that the target's requests go by, for one more send. */
es_channel_t *es_channel_take(es_dispatcher_t *d, es_target_t *target);
/* The send is no more: a channel without any ends soon. */
void es_channel_leave(es_send_t *send);
/* A request of the channel has begun: libcurl runs before the loop waits. */
void es_channel_kick(es_channel_t *channel);
/* One has ended otherwise than by libcurl's doing. */
void es_channel_busy(es_channel_t *channel);
/* Callbacks for easy handles: opens what egress allows; closes. */
curl_socket_t es_loop_open(void *ctx, curlsocktype purpose,
    struct curl_sockaddr *addr);
int es_loop_close(void *ctx, curl_socket_t fd);
/* What an attempt ended for may be that there are no descriptors. */
bool es_loop_spare(es_dispatcher_t *d);
/* There is no memory or descriptor to make `what`: nothing is sent for a
   second, and the log says so. */
void es_loop_lacks(es_dispatcher_t *d, const char *what, int error);
/* As many connections are kept, beside those in use, as may be. */
bool es_loop_full(es_dispatcher_t *d);
/* True while there were none, and nothing is to be sent. */
bool es_loop_short(const es_dispatcher_t *d);

#endif /* ES_LOOP_H */
