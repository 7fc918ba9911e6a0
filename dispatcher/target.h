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
#include "base/clock.h"
#include "delivery/certificates.h"
#include "delivery/figures.h"
#include "delivery/outbox.h"
#include "delivery/stall.h"
#include "keys/signature.h"
#include "registry/registry.h"
#include "store/txn.h"

#include "bearer.h"
#include "channel.h"
#include "host.h"
#include "slots.h"
#include "types.h"
#include "window.h"

struct esd_target {
    esd_dispatcher_t      *d;
    uint32_t               number;
    esd_slot_holder_t     *holder;     /* its partner */
    esd_caller_t           caller;     /* of the host of its URL */
    esd_caller_t           token_caller;   /* of that of its token server */
    const es_endpoint_t   *conf;       /* in the loaded registry */
    uint64_t               revision;   /* of the record in use */
    uint64_t               partner_revision;
    uint64_t               seen;       /* d->syncs that found it last */
    char                   name[ES_FEED_MAX + 1];
    char                   partner[ES_FEED_MAX + 1];
    es_signer_t           *signers[ES_SECRETS_MAX];
    int64_t                signer_expires_ms[ES_SECRETS_MAX];
    unsigned               nsigners;
    es_rc_t                locked;     /* not ES_OK: secrets that cannot be
                                          used */
    bool                   stopped;
    uint64_t               stopped_revision;
    bool                   unverified; /* it is sent only checks */
    esd_verification_t    *verification;   /* NULL: it needs none, see
                                              verification.h */
    bool                   full;       /* a lane found no free slot */
    unsigned               in_flight;
    unsigned               retrying;   /* retries of these */
    unsigned               retries;    /* retry records of all lanes */
    unsigned               requested;  /* waiting and untried, by request */
    int64_t                longest_ms; /* more than any delay */
    int64_t                redrive_ms; /* dead letters up to this time are tried
                                          again; 0: none */
    uint64_t               redrive_commits;    /* begins after these */
    unsigned               failed;     /* events waiting for another attempt */
    double                 window;     /* adaptive limit of in_flight */
    esd_latency_t          latency;
    _Atomic uint64_t       bucket;     /* of its rate limit, see gcra.h */
    ev_timer               earned;     /* when its rate allows an attempt */
    int64_t                throttled_us;   /* monotonic: no attempt before */
    unsigned               busy;       /* such answers without a pause of theirs */
    int64_t                busy_us;    /* monotonic: the last of these */
    size_t                 batch_bytes; /* of a batch at most, since one was
                                          refused; 0: as many as ever */
    int64_t                batch_us;   /* monotonic: since when */
    int64_t                used_us;    /* monotonic: last send */
    unsigned               failures;   /* in a row */
    bool                   doubted;    /* its last attempt had no answer */
    uint32_t               broken;     /* no answer or 5xx, in a row */
    int64_t                broken_us;  /* monotonic: time of the first */
    int64_t                broken_ms;
    uint32_t               trips;      /* circuit open: failed probes + 1 */
    es_failing_t           failing;    /* since_ms is 0: it is not failing */
    int64_t                failing_us; /* monotonic: its time was counted up to
                                          here; 0: none counts */
    int64_t                failing_stored_ms;  /* its counted time as stored */
    char                   stop_reason[64]; /* why it is stopped */
    esd_lanes_t            lanes;      /* the lane that sent last comes last */
    esd_sends_t            others;     /* in flight, without a lane */
    esd_sends_t            idle;       /* not in flight */
    esd_test_events_t      tests;      /* waiting */
    unsigned               ntests;
    bool                   testing;    /* in d->testing */
    TAILQ_ENTRY(esd_target)  in_testing;
    esd_clearing_job_t    *job;        /* see clearing.c; or NULL */
    esd_token_t            token;
    bool                   gated;      /* as `conf` was at the last join */
    es_stall_t             stall;      /* why nothing is sent to it */
    es_certificates_t      certificates;
    int64_t                handshake_us[ES_CERTS]; /* monotonic: the last full
                                          one; 0: none */
    int64_t                excused_ms; /* see fresh.h; 0: never */
    es_figures_t           figures;
    int64_t                figures_due_us; /* monotonic: they are written then;
                                          0: they have not changed */
    TAILQ_ENTRY(esd_target)  in_figures;
    esd_channel_t         *channel;    /* of its own, while it has sends */
};

/* True when the endpoint's record and its partner's allow requests.  The end of
   an agreement counts at once, though the registry is loaded again later. */
static inline bool
esd_target_allowed(const esd_target_t *target)
{
    const es_partner_t  *partner = target->conf->partner;

    return !target->stopped
           && !target->conf->paused
           && target->nsigners > 0
           && !es_endpoint_disabled(target->conf)
           && (partner->data_use.expires_ms == 0
               || !es_partner_ended(partner, es_clock_ms()));
}

/* True when they allow deliveries, and the receiver has agreed.  A change of a
   record wakes the endpoint's lanes. */
static inline bool
esd_target_enabled(const esd_target_t *target)
{
    return esd_target_allowed(target) && !target->unverified;
}

/* Follows the loaded registry: makes new targets, changes those whose record
   changed, and destroys others.  With `all` every target is compared with
   every feed again. */
void esd_targets_sync(esd_dispatcher_t *d, es_txn_t *txn, bool all);
/* Makes or keeps the lane of an endpoint and a feed, or puts it away. */
void esd_target_join(esd_dispatcher_t *d, es_txn_t *txn, esd_target_t *target,
    esd_source_t *source);
/* Each second. */
void esd_targets_tick(esd_dispatcher_t *d);
void esd_targets_done(esd_dispatcher_t *d);

#endif /* ESD_TARGET_H */
