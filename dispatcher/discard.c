/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Discard: deletes dead letters.
 *
 * Dead letters exist only on disk, so that the job reads them twice: once to
 * count the matching ones, and once to delete them.
 */

#include "base/base.h"
#include "delivery/delivery.h"
#include "log/feed.h"
#include "manage/clearing.h"
#include "store/txn.h"

#include "about.h"
#include "clearing.h"
#include "discard.h"
#include "dispatcher.h"
#include "lane.h"
#include "log.h"
#include "recorder.h"
#include "target.h"

#define ESD_DISCARD_SLICE  1000    /* dead letters in a slice */

typedef struct {
    esd_dispatcher_t    *d;
    es_txn_t            *txn;
    esd_clearing_job_t  *job;
    unsigned             seen;
} esd_discard_walk_t;


static es_rc_t
esd_discard_dead(void *ctx, const es_dead_t *dead)
{
    const es_feed_t     *feed;
    esd_dispatcher_t    *d;
    esd_clearing_job_t  *job;
    esd_discard_walk_t  *walk = ctx;

    d = walk->d;
    job = walk->job;

    if (walk->seen++ == ESD_DISCARD_SLICE) {
        return ES_STOP;
    }

    job->position.endpoint = dead->endpoint;
    job->position.feed = dead->feed;
    job->position.sequence = dead->sequence;
    memcpy(job->position.epoch, dead->epoch, sizeof(job->position.epoch));

    feed = dead->feed < d->nsources && d->sources[dead->feed] != NULL
           ? &d->sources[dead->feed]->feed : NULL;

    if (!es_clearing_dead(&job->clearing, &job->clear.request, feed, dead)
        || !es_clearing_type(&job->clearing, walk->txn, feed, dead->epoch,
                             dead->sequence))
    {
        return ES_OK;
    }

    job->count++;

    if (job->clear.removing) {
        esd_must(d, es_changeset_dead_done(d->recorder.filling, dead->endpoint,
                                           dead->feed, dead->epoch,
                                           dead->sequence));
    }

    return ES_OK;
}


esd_slice_t
esd_discard_slice(esd_dispatcher_t *d, es_txn_t *txn, esd_target_t *target,
    esd_clearing_job_t *job)
{
    es_rc_t             rc;
    esd_discard_walk_t  walk = { .d = d, .txn = txn, .job = job };

    job->position.endpoint = target->number;

    rc = es_delivery_dead_after(d->store, &job->position, esd_discard_dead,
                                &walk);

    if (rc == ES_STOP) {
        return ESD_SLICE_AGAIN;
    }

    if (rc != ES_OK) {
        esd_log_about(ESD_LOG_ERROR, esd_about_target(target),
                      "cannot read the dead letters of endpoint %s: %s",
                      target->name, es_strerror(rc));
        job->commits = d->recorder.commits + 2;
        return ESD_SLICE_AGAIN;
    }

    return job->clear.removing ? ESD_SLICE_DONE : ESD_SLICE_COUNTED;
}
