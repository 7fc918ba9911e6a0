/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * "probe": synthetic transactions through all channels.
 *
 * A setup makes a feed, a partner, a key and an endpoint of the probe's own, and
 * writes a file with what a run needs.  A run has no store: it publishes over
 * HTTP, and sees the events by poll, long poll, stream and webhook.
 *
 * probe.c has the command and its results, probe_setup.c the setup and its file,
 * probe_run.c the publisher and the readers, probe_http.c their requests, and
 * probe_hook.c the receiver of webhooks.
 */

#ifndef CTL_PROBE_H
#define CTL_PROBE_H

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "ctl.h"
#include "event/cursor.h"
#include "hook.h"
#include "keys/signature.h"

#define CTL_PROBE_FAULT_MAX  300
#define CTL_PROBE_TEXT_MAX   512
#define CTL_PROBE_RUN_LEN    8
#define CTL_PROBE_TYPE       "eventsync.probe"
#define CTL_PROBE_CONSUMER   "probe"

/* The order of the results. */
typedef enum {
    CTL_PROBE_PUBLISH = 0,
    CTL_PROBE_POLL,
    CTL_PROBE_LONG_POLL,
    CTL_PROBE_SSE,
    CTL_PROBE_WEBHOOK,
    CTL_PROBE_CHANNELS
} ctl_probe_channel_name_t;

/* What the file of the setup has.  All texts are NUL-terminated. */
typedef struct {
    char      url[CTL_PROBE_TEXT_MAX];     /* of the API */
    char      feed[ES_FEED_MAX + 1];       /* also the partner's name */
    char      key[CTL_PROBE_TEXT_MAX];
    char      endpoint[ES_FEED_MAX + 1];
    char      secret[CTL_PROBE_TEXT_MAX];
    char      address[64];                 /* of the receiver */
    uint16_t  port;
} ctl_probe_state_t;

/* What one channel has seen.  The probe's lock protects it during a run. */
typedef struct {
    bool       wanted;
    bool       ready;              /* it would see an event now */
    unsigned   next;               /* the event that it must see next, from 0 */
    unsigned   duplicates;
    int64_t   *took_us;            /* of each event that was seen */
    char       fault[CTL_PROBE_FAULT_MAX];     /* "": none */
} ctl_probe_channel_t;

typedef struct {
    ctl_probe_state_t    state;
    unsigned             rate;         /* events per second */
    unsigned             total;        /* events to publish */
    uint32_t             timeout_ms;   /* after the last one was published */
    char                 run[CTL_PROBE_RUN_LEN + 1];   /* begins the ids */
    char                 after[ES_CURSOR_MAX];         /* where readers begin */
    pthread_mutex_t      lock;
    int64_t             *sent_us;      /* when each request was sent */
    unsigned             published;
    atomic_bool          stop;
    es_signer_t         *signer;
    ctl_probe_channel_t  channels[CTL_PROBE_CHANNELS];
} ctl_probe_t;

const char *ctl_probe_name(ctl_probe_channel_name_t channel);

/* ---- probe_setup.c ---- */

/* Makes the records and writes the file `path`.  Nothing is left after a
   failure.  CTL_FAILED with a message. */
int ctl_probe_setup(ctl_t *ctl, ctl_probe_state_t *state, const char *path);

/* Removes the records, and the file unless `path` is NULL.  CTL_FAILED with a
   message. */
int ctl_probe_cleanup(ctl_t *ctl, const char *feed, const char *path);

/* Reads the file.  CTL_FAILED with a message. */
int ctl_probe_load(const char *path, ctl_probe_state_t *state);

/* ---- probe_run.c ---- */

/* Publishes and waits.  The channels have the results.  CTL_FAILED with a
   message: the run could not begin. */
int ctl_probe_run(ctl_probe_t *p);

/* An event has come on a channel, as JSON.  One of another run is ignored. */
void ctl_probe_seen(ctl_probe_t *p, ctl_probe_channel_name_t channel,
    es_str_t event);

/* Says why the channel has failed, unless it has a fault already. */
void ctl_probe_fault(ctl_probe_t *p, ctl_probe_channel_name_t channel,
    const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* True: the channel has seen all events or has failed, or the run is over. */
bool ctl_probe_ended(ctl_probe_t *p, ctl_probe_channel_name_t channel);

void ctl_probe_ready(ctl_probe_t *p, ctl_probe_channel_name_t channel);

/* ---- probe_http.c: each thread has a client of its own ---- */

typedef struct {
    ctl_probe_t               *p;
    ctl_probe_channel_name_t   channel;
    CURL                      *curl;
    struct curl_slist         *fields;     /* of the next request */
    long                       status;
    es_buf_t                   body;
    char                       next[ES_CURSOR_MAX];
    bool                       stream;     /* its body is one of events */
} ctl_probe_http_t;

/* False: out of memory. */
bool ctl_probe_http_open(ctl_probe_http_t *http, ctl_probe_t *p,
    ctl_probe_channel_name_t channel);
void ctl_probe_http_close(ctl_probe_http_t *http);

/* All return true after 2xx, and otherwise set the channel's fault.  A request
   that the end of the run interrupts returns false without one. */
bool ctl_probe_http_publish(ctl_probe_http_t *http, es_str_t batch);
bool ctl_probe_http_poll(ctl_probe_http_t *http, const char *after,
    unsigned wait_s);
bool ctl_probe_http_stream(ctl_probe_http_t *http, const char *after);

/* Acknowledges the cursor, so that the dispatcher does not send the probe's old
   events to a receiver that is gone.  Without eventsync_checkpoints nothing
   happens. */
void ctl_probe_http_ack(ctl_probe_http_t *http, const char *cursor);

/* ---- probe_hook.c ---- */

/* Receives webhooks until ctl_hook_end().  False: the channel has a fault. */
bool ctl_probe_hook_begin(ctl_probe_t *p, ctl_hook_t *hook);

/* ---- probe_metrics.c ---- */

/* Replaces the file by metrics of the run, in one step.  CTL_FAILED with a
   message. */
int ctl_probe_metrics(const ctl_probe_t *p, const char *path);

/* The latency in microseconds below which so many percent of the channel's
   events came; 0: none came.  Sorts took_us. */
int64_t ctl_probe_percentile(const ctl_probe_channel_t *c, unsigned percent);

#endif /* CTL_PROBE_H */
