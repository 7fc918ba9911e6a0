/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A target: an endpoint as the dispatcher runs it, with its lanes, its
 * requests and its limits.
 */

#ifndef ESD_TARGET_H
#define ESD_TARGET_H

#include <ev.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/base.h"
#include "delivery/outbox.h"
#include "delivery/stall.h"
#include "keys/signature.h"
#include "registry/registry.h"
#include "store/txn.h"

#include "bearer.h"
#include "channel.h"
#include "slots.h"
#include "types.h"
#include "window.h"

struct esd_target {
    esd_dispatcher_t      *d;
    uint32_t               number;
    esd_slot_holder_t     *holder;     /* its partner */
    const es_endpoint_t   *conf;       /* of the present picture */
    uint64_t               revision;   /* that the rest was made from */
    uint64_t               partner_revision;
    uint64_t               seen;       /* sync that found it last */
    char                   name[ES_FEED_MAX + 1];
    es_signer_t           *signers[ES_SECRETS_MAX];
    int64_t                signer_expires_ms[ES_SECRETS_MAX];
    unsigned               nsigners;
    bool                   locked;     /* secrets that cannot be decrypted */
    bool                   stopped;
    uint64_t               stopped_revision;
    bool                   full;       /* a lane found no room in flight */
    unsigned               in_flight;
    unsigned               retrying;   /* of them, those that failed before */
    unsigned               retries;    /* retry records of all lanes */
    unsigned               asked;      /* that wait on request, untried */
    int64_t                longest_ms; /* more than any delay */
    int64_t                redrive_ms; /* dead letters up to then are tried
                                          again; 0: none */
    uint64_t               redrive_commits;    /* not before so many */
    unsigned               failed;     /* that wait for another attempt */
    double                 window;     /* in flight at most, adapting */
    esd_latency_t          latency;
    _Atomic uint64_t       bucket;     /* of its rate, as gcra.h has it */
    ev_timer               earned;     /* the next attempt of its rate */
    int64_t                throttled_us;   /* monotonic: none before */
    int64_t                used_us;    /* monotonic: last send */
    unsigned               failures;   /* in a row */
    bool                   doubted;    /* its last attempt had no answer */
    uint32_t               broken;     /* no answer or 5xx, in a row */
    int64_t                broken_us;  /* monotonic: the first of them */
    int64_t                broken_ms;
    uint32_t               trips;      /* circuit open: failed probes + 1 */
    es_failing_t           failing;    /* since_ms 0: it does not */
    char                   over[64];   /* why it is disabled */
    esd_lanes_t            lanes;      /* who was sent last comes last */
    esd_sends_t            others;     /* in flight, of no lane */
    esd_sends_t            idle;       /* made and not in flight */
    esd_test_events_t      tests;      /* that wait */
    unsigned               ntests;
    bool                   testing;    /* in d->testing */
    TAILQ_ENTRY(esd_target)  in_testing;
    esd_clearing_job_t    *job;        /* see clearing.c; or NULL */
    esd_token_t            token;
    es_stall_t             stall;      /* why it is sent nothing */
    esd_channel_t         *channel;    /* of its own, while it has sends */
};

/* True when the endpoint's record and its partner's allow deliveries.  A
   change of a record wakes the endpoint's lanes. */
static inline bool
esd_target_enabled(const esd_target_t *target)
{
    return !target->stopped
           && !target->conf->paused
           && target->nsigners > 0
           && !target->conf->partner->disabled;
}

/* Follows the loaded registry: makes new targets, changes those whose record
   changed, and destroys others.  With `all` every target is compared with
   every feed again. */
void esd_targets_sync(esd_dispatcher_t *d, es_txn_t *txn, bool all);
/* Makes, keeps or parks the lane of an endpoint and a feed. */
void esd_target_join(esd_dispatcher_t *d, es_txn_t *txn, esd_target_t *target,
    esd_source_t *source);
/* Each second. */
void esd_targets_tick(esd_dispatcher_t *d);
void esd_targets_done(esd_dispatcher_t *d);

#endif /* ESD_TARGET_H */
